//===- PackedFilter.cpp - large filters, copied tile by tile -------------===//

#include "ir/PackedFilter.h"

#include <algorithm>

using namespace mlir;
using namespace sinter;

std::optional<PackedFilter> sinter::packedFilterOf(Conv2dOp op,
                                                   int64_t batchBound) {
  Convolution conv = convolutionOf(op);
  const auto &[down, across] = conv.window;
  // In floats: steps so far apart, and all of them beyond an L2 cache.
  constexpr int64_t farApart = 1024 / 4, large = (1 << 20) / 4;
  PackedFilter packed;
  packed.steps = down.taps * across.taps * conv.channels;
  if (!isBatchMinor(tensorTypeOf(op.getX())) || conv.groups > 1 ||
      conv.filters < farApart || packed.steps * conv.filters < large)
    return {};
  // Some tiles find a pixel's part of the image in the L2 cache, beside them;
  // so many groups of them are units for a few threads.
  constexpr int64_t copiedFloats = 320 * 1024 / 4, groups = 12;
  packed.tiles =
      std::max<int64_t>(std::min(copiedFloats / packed.tileFloats(),
                                 conv.filters / (groups * PackedFilter::width)),
                        1);
  // Vectors of pixels and samples that are computed with a copy.
  constexpr int64_t worthCopying = 16;
  int64_t samples = paddedBatch(batchBound);
  int64_t vectors = down.windows() * across.windows() * samples / kLaneMultiple;
  if (vectors < worthCopying)
    return {};
  // The image of a block is read for each copy, from the L3 cache.
  constexpr int64_t blockBytes = 4 << 20;
  int64_t bytes = storedBytes(tensorTypeOf(op.getX()), batchBound);
  packed.blocks = std::clamp<int64_t>((bytes + blockBytes - 1) / blockBytes, 1,
                                      down.windows());
  return packed;
}
