//===- UseWinograd.cpp - fewer products for 3 x 3 filters ----------------===//
//
// Problem: a direct 3 x 3 convolution at the machine's peak is still 36
// multiply-adds for four pixels.
// Idea: Winograd's F(2 x 2, 3 x 3) needs 16 (SinterOps.td has the formula).
// With samples in the lanes, or channels of one sample, its transforms are
// plain vertical additions. The filter's transform is a kernel of its own, once
// for each convolution (in inference not even that, see PrepareWeights); a
// backward pass takes it turned around.
// A tuning file may know better which ones pay (ir/Tuning.h).
// Known weakness: F(4 x 4, 3 x 3) would need 9, but rounds worse.
//
//===----------------------------------------------------------------------===//

#include "ir/Tuning.h"
#include "ir/Winograd.h"
#include "passes/Names.h"
#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_USEWINOGRAD
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

/// conv2d_transpose without strides is a convolution of its operand: `padding`
/// is that of the image it makes.
static SmallVector<int64_t> transposedPadding(ArrayRef<int64_t> padding) {
  return llvm::map_to_vector(padding, [](int64_t p) { return 2 - p; });
}

static Value replacement(OpBuilder &builder, Operation *op, bool oneSample) {
  Location loc = op->getLoc();
  auto pays = [&](const Convolution &conv, const Convolution &asComputed) {
    if (!isWinogradForm(conv))
      return false;
    StringRef tuned = tunedValue(op, algorithmKey(op), tuning::algorithm);
    return tuned == tuning::winograd ||
           (tuned != tuning::direct && paysAsWinograd(asComputed));
  };
  if (auto forward = dyn_cast<Conv2dOp>(op)) {
    Convolution conv = convolutionOf(forward);
    if (!pays(conv, conv) || (oneSample && !fitsSampleWinograd(conv)))
      return {};
    Value u = WinogradFilterOp::create(builder, loc, forward.getFilter(),
                                       fillsFilterBlocks(conv.filters));
    return WinogradConv2dOp::create(builder, loc, forward.getX(), u,
                                    forward.getPadding(), /*flipped=*/false);
  }
  if (auto back = dyn_cast<Conv2dTransposeOp>(op)) {
    Convolution conv = convolutionOf(back), computed = conv;
    std::swap(computed.channels, computed.filters);
    if (!pays(conv, computed))
      return {};
    Value u = WinogradFilterOp::create(builder, loc, back.getFilter(),
                                       /*blocked=*/false);
    return WinogradConv2dOp::create(builder, loc, back.getX(), u,
                                    transposedPadding(back.getPadding()),
                                    /*flipped=*/true);
  }
  if (auto gradient = dyn_cast<Conv2dFilterGradientOp>(op)) {
    Convolution conv = convolutionOf(gradient);
    if (!pays(conv, conv))
      return {};
    Value du = WinogradFilterGradientOp::create(
        builder, loc, gradient.getX(), gradient.getDy(), gradient.getPadding());
    return WinogradFilterAdjointOp::create(builder, loc, du);
  }
  return {};
}

namespace {
struct UseWinograd : sinter::impl::UseWinogradBase<UseWinograd> {
  void runOnOperation() override {
    for (auto function : getOperation().getBody().getOps<func::FuncOp>()) {
      bool oneSample = function->hasAttr(names::oneSample);
      for (Operation &op : llvm::make_early_inc_range(function.front())) {
        OpBuilder builder(&op);
        if (Value value = replacement(builder, &op, oneSample)) {
          op.getResult(0).replaceAllUsesWith(value);
          op.erase();
          ++numConvolutions;
        }
      }
    }
  }
};
} // namespace
