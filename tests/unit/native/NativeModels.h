//===- NativeModels.h - planned models, compiled and called --------------===//
//
// Problem: compiled code has to be held against the interpreter, and must not
// touch memory that is not its own.
//
// Idea: many small models become one object, which is quicker to compile than
// one each. A call gets inputs that end where a page ends and cannot be
// written, outputs of exactly the batch's size between canaries, and an arena
// and a state between canaries. It runs twice, with other bytes in arena and
// outputs, and must give the same bits: nothing depends on what memory held,
// padded lanes included.
//
// Known weakness: reads before an input and reads past the batch that do not
// matter for the result go unnoticed when they stay in mapped memory.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_TESTS_UNIT_NATIVE_NATIVEMODELS_H
#define SINTER_TESTS_UNIT_NATIVE_NATIVEMODELS_H

#include "codegen/TargetInfo.h"
#include "ir/reference/Interpreter.h"
#include "tests/unit/codegen/NativeCode.h"

#include "mlir/IR/OwningOpRef.h"

namespace sinter::test {

class NativeModels {
public:
  explicit NativeModels(mlir::MLIRContext &context,
                        const std::string &cpu = "native");

  /// Lowers a copy of `planned`, whose model's name no other has, and returns
  /// its number.
  size_t add(mlir::ModuleOp planned);
  /// After the last add, before the first run.
  void compile();

  const ModelRecord &record(size_t model) const { return records[model]; }

  bool has(size_t model, llvm::StringRef function) const {
    return !step(model, function).symbol.empty();
  }

  /// Calls @predict, @predict_one, @eval_step or @train_step; `state` is
  /// updated.
  std::vector<reference::Tensor>
  run(size_t model, llvm::StringRef function,
      const std::vector<reference::Tensor> &inputs, reference::State &state,
      size_t batch, sinter_pool *pool = nullptr);

  /// The code of one of these, or of @prepare, to be called as it is.
  sinter_function find(size_t model, llvm::StringRef function) const;

private:
  const FunctionRecord &step(size_t model, llvm::StringRef function) const;

  std::string cpu;
  TargetInfo target;
  mlir::OwningOpRef<mlir::ModuleOp> loops;
  std::vector<ModelRecord> records;
  std::unique_ptr<NativeCode> code;
};

} // namespace sinter::test

#endif // SINTER_TESTS_UNIT_NATIVE_NATIVEMODELS_H
