// TuningFile.h - how the kernels of a model are cut, as text to commit.
//
// Problem: what `sinter compile --tune` measured has to serve later builds, and
// others' (see ir/Tuning.h for what there is to choose).
// Idea: a YAML file with a line a kernel, sorted, without times or paths, so
// that measuring again changes lines only where choices change:
//
//   tuning: 1
//   compiler: sinter 0.1.0
//   target_cpu: znver4
//   kernels:
//     matmul 784xN 784x100 N=32: {tile: 13x2}
//
// A damaged file is an error. What only does not apply any more (another
// processor's file, a kernel that the model does not have, a value that is not
// possible) is a warning, and the compiler chooses itself.
// Known weakness: processors of one name may differ in their caches.
#ifndef SINTER_FRONTEND_TUNINGFILE_H
#define SINTER_FRONTEND_TUNINGFILE_H

#include "frontend/Diagnostics.h"

#include "codegen/ModelRecord.h"
#include "mlir/IR/BuiltinAttributes.h"

#include <map>
#include <memory>
#include <optional>

namespace sinter::frontend {

/// For each kernel's key a value for each of its knobs.
using Choices = std::map<std::string, std::map<std::string, std::string>>;

/// A model's attribute `sinter.tuning`.
mlir::DictionaryAttr choicesAttribute(const Choices &choices,
                                      mlir::MLIRContext &context);

/// What stands in a file for `compiler`, "sinter 0.1.0", and `targetCpu`.
std::string writeTuning(const Choices &choices, llvm::StringRef compiler,
                        llvm::StringRef targetCpu);

/// A tuning file that was read. Prints its reports to stderr when it goes.
class TuningFile {
public:
  TuningFile(const std::string &path, llvm::StringRef compiler,
             llvm::StringRef targetCpu);
  /// The same from memory, for tests.
  TuningFile(const std::string &path, std::string text,
             llvm::StringRef compiler, llvm::StringRef targetCpu);
  ~TuningFile();

  /// False after errors.
  bool isGood() const { return !reports->hasErrors(); }
  /// None if the file is for another processor.
  const Choices &choices() const { return read; }
  Diagnostics &diagnostics() { return *reports; }

  /// Warns of all that code generation did not find a use for.
  void compare(const ModelRecord &record);

private:
  void parse(llvm::StringRef text, llvm::StringRef compiler,
             llvm::StringRef targetCpu);

  std::unique_ptr<Diagnostics> reports;
  Choices read;
  std::map<std::string, SourceLoc> places; // of kernels
};

/// "dir/model.tuning" for "dir/model.yaml".
std::string tuningBeside(llvm::StringRef spec);

/// All decisions of all functions, in the order of their kernels.
std::vector<ChoiceRecord> allChoices(const ModelRecord &record);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_TUNINGFILE_H
