//===- Compile.h - code generation's front door --------------------------===//
//
//   planned model --lowerToLoops--> loops --addLowerToLLVMPasses--> LLVM
//   dialect
//     --translateToLLVM--> LLVM IR (+ table, entry points) --> object -->
//     output
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_COMPILE_H
#define SINTER_CODEGEN_COMPILE_H

#include "codegen/ModelRecord.h"
#include "codegen/TargetInfo.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/Timing.h"

#include <optional>
#include <string>
#include <vector>

namespace sinter {

enum class EmitKind {
  Executable, // trainer
  Library,    // libNAME.a and NAME.h
  Shared,     // libNAME.so and NAME.h
  Object,     // the model's table alone, see runtime/sinter_runtime.h;
              // freestanding: all of the library, with NAME.h
  Assembly,
  LLVM, // LLVM IR before optimisation
  MLIR, // the loops stage
};

/// The kind called "exe", "lib", "shared", "obj", "asm", "llvm" or "mlir".
std::optional<EmitKind> parseEmitKind(llvm::StringRef name);

/// "fashion_mlp", "libfashion_mlp.a", ...
std::string defaultOutput(EmitKind kind, llvm::StringRef model);

struct CompileOptions {
  EmitKind emit = EmitKind::Executable;
  std::string output;       // a path; "-" is stdout for text
  std::string targetCpu;    // empty or "native": this machine's
  std::string targetTriple; // empty: this machine's
  std::string recipe;       // for executables; see runtime/trainer/recipe.h
  /// What each input's numbers are multiplied by before they come to the model,
  /// which does not do it itself; for the headers. Inputs without one have 1.
  std::vector<double> inputScales;
  bool freestanding = false; // no runtime, no libc: a library or an object
  bool debugInfo = false;    // lines of the spec also in libraries
  /// A shared library shows its whole table and the runtime, to be measured.
  bool isInspected = false;
};

/// Compiles the model of `planned`, a module at the planned stage, which is
/// used up. Errors go to the context's diagnostics; what lowering learned goes
/// to `record`, if it is given.
mlir::LogicalResult compileModel(mlir::ModuleOp planned,
                                 const CompileOptions &options,
                                 mlir::TimingScope &timing,
                                 ModelRecord *record = nullptr);

/// The second half of compileModel: `loops` and `record` as lowerToLoops leaves
/// them.
mlir::LogicalResult compileLoops(mlir::ModuleOp loops,
                                 const ModelRecord &record,
                                 const TargetInfo &target,
                                 const CompileOptions &options,
                                 mlir::TimingScope &timing);

} // namespace sinter

#endif // SINTER_CODEGEN_COMPILE_H
