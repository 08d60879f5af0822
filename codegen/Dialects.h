//===- Dialects.h - every dialect that a model passes through ------------===//

#ifndef SINTER_CODEGEN_DIALECTS_H
#define SINTER_CODEGEN_DIALECTS_H

#include "mlir/IR/DialectRegistry.h"

namespace sinter {

/// From the graph stage to LLVM IR.
void registerAllSinterDialects(mlir::DialectRegistry &registry);

} // namespace sinter

#endif // SINTER_CODEGEN_DIALECTS_H
