//===- EmitHeader.h - the C header of a library --------------------------===//

#ifndef SINTER_CODEGEN_EMITHEADER_H
#define SINTER_CODEGEN_EMITHEADER_H

#include "codegen/ModelRecord.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

namespace sinter {

/// Writes NAME.h: C99 (and C++), self-contained, a prototype and a comment for
/// every entry point; without a runtime, only for those that need none.
/// `scales`: as CompileOptions::inputScales.
void emitHeader(const ModelRecord &record, bool hasRuntime,
                llvm::ArrayRef<double> scales, llvm::raw_ostream &out);

/// Writes NAME.hpp: NAME.h for C++17, with memory, threads and errors in C++'s
/// ways.
void emitCppHeader(const ModelRecord &record, bool hasRuntime,
                   llvm::ArrayRef<double> scales, llvm::raw_ostream &out);

/// ", already multiplied by 0.5, the spec's scale" of a step's input `place`,
/// counted from 0; nothing where the caller has nothing to do.
std::string scaleNote(llvm::ArrayRef<double> scales, size_t place);

/// A weight and its name as a C identifier, such as "hidden_kernel". Names that
/// are alike but for case or for what is no letter or digit get _2, _3, ... in
/// the order of the weights.
struct WeightPlace {
  std::string name;
  const StateRecord *state;
};
std::vector<WeightPlace> weightPlaces(const ModelRecord &record);

/// "input", "val_loss": names of tensors as C identifiers.
std::string identifier(llvm::StringRef name);

/// What the arguments of a step are called, inputs first: no two alike, and
/// none a keyword of C or C++ or a name that the headers use themselves.
std::vector<std::string> argumentNames(const FunctionRecord &step);

} // namespace sinter

#endif // SINTER_CODEGEN_EMITHEADER_H
