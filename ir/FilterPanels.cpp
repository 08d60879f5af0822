//===- FilterPanels.cpp - how filter gradients in panels cut their work --===//

#include "ir/FilterPanels.h"

#include <algorithm>

using namespace mlir;
using namespace sinter;

/// `count` in at least `parts` equal parts of a multiple of `multiple`.
static void cut(int64_t count, int64_t multiple, int64_t &size,
                int64_t &parts) {
  size = (count + parts - 1) / parts;
  size = std::min<int64_t>(llvm::alignTo(size, multiple), count);
  parts = (count + size - 1) / size;
}

std::optional<FilterPanelTiling>
sinter::panelTilingOf(Conv2dFilterGradientOp op, int64_t batchBound) {
  Convolution conv = convolutionOf(op);
  const auto &[down, across] = conv.window;
  // Turning an element costs about as much as so many products; half a vector
  // is the least that a processor multiplies.
  constexpr int64_t fewProducts = 24, half = 8;
  if (conv.groups > 1 ||
      conv.channels * down.taps * across.taps < fewProducts ||
      4 * conv.filters < 3 * int64_t(llvm::alignTo(conv.filters, half)))
    return {};

  // Units for a few threads. Those of other channels turn their filters anew,
  // so there are more parts of filters first.
  FilterPanelTiling tiling;
  constexpr int64_t mostFilters = 64, enough = 8, fewChannels = 8;
  tiling.filterParts = (conv.filters + mostFilters - 1) / mostFilters;
  if (tiling.filterParts < enough)
    tiling.filterParts = (2 * conv.filters + mostFilters - 1) / mostFilters;
  cut(conv.filters, kLaneMultiple, tiling.filters, tiling.filterParts);
  constexpr int64_t worthTurning = 128; // products
  int64_t mostParts =
      std::min(conv.channels / fewChannels,
               conv.channels * down.taps * across.taps / worthTurning);
  tiling.channelParts = std::clamp<int64_t>((enough + tiling.filterParts - 1) /
                                                tiling.filterParts,
                                            1, std::max<int64_t>(mostParts, 1));
  cut(conv.channels, fewChannels, tiling.channels, tiling.channelParts);

  // Panels take a quarter of an L2 cache, and sums run over enough of them to
  // be worth their loads and stores.
  constexpr int64_t cacheFloats = 256 * 1024 / 4, worthwhile = 256;
  int64_t most = cacheFloats / llvm::alignTo(tiling.filters, kLaneMultiple);
  tiling.samples = paddedBatch(batchBound);
  while (tiling.samples % (2 * kLaneMultiple) == 0 &&
         across.windows() * tiling.samples > most)
    tiling.samples /= 2;
  int64_t ofRow = across.windows() * tiling.samples;
  tiling.rows =
      std::clamp<int64_t>((worthwhile + ofRow - 1) / ofRow, 1, down.windows());
  // Rather all rows than a few that are left: then no sum is loaded again.
  if (2 * tiling.rows > down.windows() && down.windows() * ofRow <= most)
    tiling.rows = down.windows();
  tiling.columns = tiling.rows * ofRow;

  // Scratch grows with tasks.
  constexpr int64_t mostTasks = 8, worthATask = 1 << 17; // products
  int64_t products = conv.products() * paddedBatch(batchBound);
  tiling.tasks = std::clamp<int64_t>(products / worthATask, 1,
                                     std::min(mostTasks, tiling.units()));
  return tiling;
}
