//===- Gradients.h - a function's gradients, by the rules alone ----------===//

#ifndef SINTER_TESTS_UNIT_IR_GRADIENTS_H
#define SINTER_TESTS_UNIT_IR_GRADIENTS_H

#include "ir/SinterDialect.h"

namespace sinter::test {

/// A function of (arguments..., c) that returns the gradients of sum(c * y).
struct GradientFunction {
  mlir::func::FuncOp function;
  /// Which argument each gradient belongs to; others get none.
  std::vector<size_t> arguments;
};

/// The gradients of the first result of `original`, in a new function beside
/// it. Under `withResult` that result comes first, before the gradients.
GradientFunction buildGradientFunction(mlir::func::FuncOp original,
                                       bool withResult = false);

} // namespace sinter::test

#endif // SINTER_TESTS_UNIT_IR_GRADIENTS_H
