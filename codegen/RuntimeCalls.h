//===- RuntimeCalls.h - functions of the runtime in generated code -------===//

#ifndef SINTER_CODEGEN_RUNTIMECALLS_H
#define SINTER_CODEGEN_RUNTIMECALLS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace sinter {

/// The module's declaration of runtime function `name`, an entry of
/// runtime/sinter_calls.def; added where the module lacks it.
mlir::func::FuncOp declareRuntimeCall(mlir::ModuleOp module,
                                      llvm::StringRef name);

} // namespace sinter

#endif // SINTER_CODEGEN_RUNTIMECALLS_H
