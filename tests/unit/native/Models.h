//===- Models.h - from text to any stage, and values to start with -------===//

#ifndef SINTER_TESTS_UNIT_NATIVE_MODELS_H
#define SINTER_TESTS_UNIT_NATIVE_MODELS_H

#include "ir/SinterDialect.h"
#include "ir/reference/Interpreter.h"
#include "passes/Pipeline.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <set>

namespace sinter::test {

using ModuleRef = mlir::OwningOpRef<mlir::ModuleOp>;

/// Parses `text`; an error ends the test.
ModuleRef parse(mlir::MLIRContext &context, const std::string &text);

/// `text`, at the graph stage, taken to `stage`.
ModuleRef compileTo(mlir::MLIRContext &context, const std::string &text,
                    Stage stage, bool fuse = true);

/// `text`, whose functions are complete already, taken to the planned stage; in
/// slices if its arena exceeds `sliceBytes`, or slices fit in `ownSliceBytes`.
ModuleRef planSteps(mlir::MLIRContext &context, const std::string &text,
                    int64_t sliceBytes = 4 << 20,
                    int64_t ownSliceBytes = 256 << 10);

mlir::func::FuncOp findFunction(mlir::ModuleOp module, llvm::StringRef name);

/// Full names of all ops used, added to `names`.
void collectOpNames(mlir::ModuleOp module, std::set<std::string> &names);

/// A value for every state: random where its initialiser is, uniform within its
/// bounds if it has any; the seed 11, 12.
reference::State startState(mlir::ModuleOp module);

/// Runs the interpreter; a failure ends the test.
std::vector<reference::Tensor>
interpretOrFail(mlir::func::FuncOp function,
                const std::vector<reference::Tensor> &inputs,
                reference::State &state, size_t batch,
                reference::Precision precision = reference::Precision::Float32);

} // namespace sinter::test

#endif // SINTER_TESTS_UNIT_NATIVE_MODELS_H
