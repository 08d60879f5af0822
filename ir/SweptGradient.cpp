//===- SweptGradient.cpp - filter gradients inside of the sweep that makes dy //

#include "ir/SweptGradient.h"

using namespace mlir;
using namespace sinter;

static int64_t tapsOf(const Convolution &conv) {
  return conv.channels * conv.window[0].taps * conv.window[1].taps;
}

bool sinter::canSweepGradient(Conv2dFilterGradientOp op) {
  // Three channels under 3 x 3 taps; one under 5 x 5.
  constexpr int64_t mostTaps = 27;
  Convolution conv = convolutionOf(op);
  return conv.groups == 1 && tapsOf(conv) <= mostTaps;
}

bool sinter::isSweptGradient(Operation *op) {
  auto gradient = dyn_cast<Conv2dFilterGradientOp>(op);
  if (!gradient || !isa<KernelOp>(op->getParentOp()))
    return false;
  Operation *producer = gradient.getDy().getDefiningOp();
  return producer && producer->getBlock() == op->getBlock();
}

SweptGradientTiling sinter::sweptTilingOf(Conv2dFilterGradientOp op,
                                          int64_t batchBound) {
  Convolution conv = convolutionOf(op);
  // Each task reads some filters of every pixel: long runs of bytes, but enough
  // tasks for a few threads.
  constexpr int64_t mostTasks = 8, worthATask = 1 << 17; // products
  int64_t products = conv.products() * paddedBatch(batchBound);
  SweptGradientTiling tiling;
  tiling.taps = tapsOf(conv);
  tiling.tasks = std::clamp<int64_t>(products / worthATask, 1,
                                     std::min(mostTasks, conv.filters));
  tiling.filters = (conv.filters + tiling.tasks - 1) / tiling.tasks;
  return tiling;
}
