//===- SumWindows.cpp - sums of max pooling's gradient -------------------===//
//
// Problem: a normalisation in front of max pooling is trained with two sums
// over the image, of the pooling's gradient g and of g * y. But g is 0 wherever
// no window has its maximum: all of the image is read to find the maxima again.
//
// Idea: of each window, g has dy, once:
//
//   sum(g)     = sum(dy)
//   sum(g * y) = sum(dy * y at the windows' maxima)
//
// The forward pass, which compares the pixels anyway, stores y at the maxima, a
// number for each window. The sums are then often an epilogue of what makes dy.
//
// Left alone: windows that overlap (g is then stored, and summed on the way),
// sums over a part of an image, y that is made after the pooling.
//
//===----------------------------------------------------------------------===//

#include "ir/Window.h"
#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_SUMWINDOWS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

static bool sumsImages(ReduceSumOp sum) {
  return llvm::is_contained(sum.getAxes(), 1) &&
         llvm::is_contained(sum.getAxes(), 2);
}

static MaxPool2dGradientOp gradientOf(Value value) {
  auto gradient = value.getDefiningOp<MaxPool2dGradientOp>();
  auto isApart = [](const WindowAxis &axis) {
    return axis.taps <= axis.stride;
  };
  return gradient && llvm::all_of(poolWindowOf(gradient), isApart)
             ? gradient
             : MaxPool2dGradientOp();
}

/// The pooling whose gradient that is.
static MaxPool2dOp poolingOf(MaxPool2dGradientOp gradient) {
  for (Operation *user : gradient.getX().getUsers()) {
    auto pool = dyn_cast<MaxPool2dOp>(user);
    if (pool && pool.getWindow() == gradient.getWindow() &&
        pool.getStrides() == gradient.getStrides() &&
        pool.getPadding() == gradient.getPadding())
      return pool;
  }
  return {};
}

/// What `sum` may have as its operand instead, or null.
static Value summandOverWindows(ReduceSumOp sum) {
  if (auto gradient = gradientOf(sum.getX()))
    return gradient.getDy();
  auto product = sum.getX().getDefiningOp<MulOp>();
  if (!product || !product->hasOneUse())
    return {};
  Value left = product->getOperand(0), right = product->getOperand(1);
  MaxPool2dGradientOp gradient = gradientOf(left);
  Value factor = right;
  if (!gradient) {
    gradient = gradientOf(right);
    factor = left;
  }
  if (!gradient || factor.getType() != gradient.getResult().getType())
    return {};
  MaxPool2dOp pool = poolingOf(gradient);
  Operation *made = factor.getDefiningOp();
  if (!pool || (made && !made->isBeforeInBlock(pool)))
    return {};
  OpBuilder builder(pool.getContext());
  builder.setInsertionPointAfter(pool);
  Value atMaxima = MaxPool2dGatherOp::create(
      builder, pool.getLoc(), gradient.getX(), factor, gradient.getWindow(),
      gradient.getStrides(), gradient.getPadding());
  builder.setInsertionPoint(product);
  return MulOp::create(builder, product.getLoc(), gradient.getDy(), atMaxima);
}

namespace {
struct SumWindows : sinter::impl::SumWindowsBase<SumWindows> {
  void runOnOperation() override {
    for (auto function : getOperation().getBody().getOps<func::FuncOp>())
      for (Operation &op : llvm::make_early_inc_range(function.front())) {
        auto sum = dyn_cast<ReduceSumOp>(op);
        if (!sum || !sumsImages(sum))
          continue;
        Value before = sum.getX(), summand = summandOverWindows(sum);
        if (!summand)
          continue;
        sum.getXMutable().assign(summand);
        if (before.use_empty())
          before.getDefiningOp()->erase();
        ++numSums;
      }
  }
};
} // namespace
