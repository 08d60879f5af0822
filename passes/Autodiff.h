//===- Autodiff.h - the reverse walk -------------------------------------===//

#ifndef SINTER_PASSES_AUTODIFF_H
#define SINTER_PASSES_AUTODIFF_H

#include "ir/SinterDialect.h"

namespace sinter {

/// Gradients by value: what the loss gains when an element of the value grows.
using Gradients = llvm::DenseMap<mlir::Value, mlir::Value>;

/// Appends, at the builder's insertion point, the backward pass of everything
/// in `block` that `loss` (a scalar computed there) depends on and that depends
/// on one of `sources`. Returns the gradients of all values on the way; fails,
/// with an error at the op, where a rule is missing. Counts applied rules in
/// `numRules`.
mlir::FailureOr<Gradients> buildBackward(mlir::OpBuilder &builder,
                                         mlir::Block &block, mlir::Value loss,
                                         llvm::ArrayRef<mlir::Value> sources,
                                         unsigned &numRules);

} // namespace sinter

#endif // SINTER_PASSES_AUTODIFF_H
