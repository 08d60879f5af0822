//===- UseWinograd.cpp - fewer products for 3 x 3 filters ----------------===//
//
// Problem: a direct 3 x 3 convolution at the machine's peak is still 9
// multiply-adds a pixel.
// Idea: Winograd's filtering needs 4 in tiles of 2 x 2 pixels and 2.25 in tiles
// of 4 x 4 (SinterOps.td has the formulas). With samples in the lanes, or
// channels of one sample, its transforms are plain vertical sums. The filter's
// transform is a kernel of its own, once for each convolution (in inference not
// even that, see PrepareWeights); a backward pass takes that of the flipped
// filter. A tuning file may know better which tile pays (ir/Tuning.h). Known
// weakness: larger tiles would need still less, but round worse.
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
  // 0 if it does not pay.
  auto tileOf = [&](const Convolution &conv,
                    const Convolution &asComputed) -> int64_t {
    if (!isWinogradForm(conv))
      return 0;
    StringRef tuned = tunedValue(op, algorithmKey(op), tuning::algorithm);
    for (const tuning::Algorithm &algorithm : tuning::algorithms)
      if (tuned == algorithm.name)
        return algorithm.tile;
    auto model = op->getParentOfType<ModelOp>();
    return bestWinogradTile(asComputed, isa<Conv2dFilterGradientOp>(op),
                            oneSample ? 1 : model.getBatchBound());
  };
  if (auto forward = dyn_cast<Conv2dOp>(op)) {
    Convolution conv = convolutionOf(forward);
    int64_t tile = tileOf(conv, conv);
    if (!tile || (oneSample && !fitsSampleWinograd(conv)))
      return {};
    Value u = WinogradFilterOp::create(builder, loc, forward.getFilter(), tile,
                                       /*flipped=*/false,
                                       fillsFilterBlocks(conv.filters));
    return WinogradConv2dOp::create(builder, loc, forward.getX(), u,
                                    forward.getPadding());
  }
  if (auto back = dyn_cast<Conv2dTransposeOp>(op)) {
    Convolution conv = convolutionOf(back), computed = conv;
    std::swap(computed.channels, computed.filters);
    int64_t tile = tileOf(conv, computed);
    if (!tile)
      return {};
    Value u = WinogradFilterOp::create(builder, loc, back.getFilter(), tile,
                                       /*flipped=*/true,
                                       fillsFilterBlocks(computed.filters));
    return WinogradConv2dOp::create(builder, loc, back.getX(), u,
                                    transposedPadding(back.getPadding()));
  }
  if (auto gradient = dyn_cast<Conv2dFilterGradientOp>(op)) {
    Convolution conv = convolutionOf(gradient);
    int64_t tile = tileOf(conv, conv);
    if (!tile)
      return {};
    Value du = WinogradFilterGradientOp::create(builder, loc, gradient.getX(),
                                                gradient.getDy(), tile,
                                                gradient.getPadding());
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
