//===- Winograd.cpp - how Winograd's kernels cut their work --------------===//

#include "ir/Winograd.h"
#include "ir/FilterPanels.h"
#include "ir/MatmulBlocks.h"
#include "ir/SweptGradient.h"

#include <algorithm>
#include <limits>

using namespace mlir;
using namespace sinter;

bool sinter::isWinogradForm(const Convolution &conv) {
  return conv.groups == 1 &&
         llvm::all_of(conv.window, [](const WindowAxis &axis) {
           return axis.taps == 3 && axis.stride == 1 && axis.dilation == 1 &&
                  axis.low <= 2 && axis.high <= 2;
         });
}

static int64_t tiles(const WindowAxis &axis) {
  return (axis.windows() + 1) / 2;
}

bool sinter::paysAsWinograd(const Convolution &conv) {
  double channels = conv.channels, filters = conv.filters;
  // Vector instructions of a tile: products, and what it takes to transform a
  // channel and a filter: loads, additions, stores.
  double tile = 16 * channels * filters + 60 * channels + 70 * filters;
  double all = tile * tiles(conv.window[0]) * tiles(conv.window[1]);
  constexpr double worthwhile = 0.9;
  return all < worthwhile * static_cast<double>(conv.products());
}

/// Floats in rows of `count` that do not all begin in the same cache set: a
/// whole, odd number of cache lines.
static int64_t spread(int64_t count) {
  constexpr int64_t line = 16;
  int64_t lines = (count + line - 1) / line;
  return (lines | 1) * line;
}

WinogradTiling sinter::tilingOf(WinogradConv2dOp op, int64_t batchBound) {
  Convolution conv = convolutionOf(op);
  WinogradTiling tiling;
  tiling.tilesDown = tiles(conv.window[0]);
  tiling.tilesAcross = tiles(conv.window[1]);
  int64_t samples = paddedBatch(batchBound);
  // Two cache lines of each pixel, where there are so many samples.
  tiling.samples = samples % (2 * kLaneMultiple) == 0
                       ? 2 * kLaneMultiple
                       : std::min(samples, kLaneMultiple);
  tiling.units = tiling.tilesDown * samples / tiling.samples;
  // Few and odd: two threads would not get the same.
  constexpr int64_t few = 16;
  bool isUneven = tiling.units % 2 != 0 && tiling.units < few &&
                  conv.filters % (2 * kFilterBlock) == 0;
  tiling.parts = isUneven ? 2 : 1;
  tiling.units *= tiling.parts;

  // Transformed tiles and products take a third of an L2 cache, but columns
  // fill a few vectors. Of such runs, the one with the least work: tiles, those
  // that the last run has too many included and in whole vectors, and for each
  // run the filters' taps.
  constexpr int64_t cacheFloats = 320 * 1024 / 4, fewColumns = 32;
  int64_t most = std::max(
      cacheFloats / (16 * (conv.channels + conv.filters) * tiling.samples),
      fewColumns / tiling.samples);
  tiling.run = 1;
  int64_t leastWork = std::numeric_limits<int64_t>::max();
  for (int64_t run = 1; run <= std::min(most, tiling.tilesAcross); ++run) {
    int64_t runs = (tiling.tilesAcross + run - 1) / run;
    int64_t columns = llvm::alignTo(run * tiling.samples, kLaneMultiple);
    int64_t work = runs * (columns + 16);
    if (work <= leastWork) {
      tiling.run = run;
      tiling.runs = runs;
      leastWork = work;
    }
  }

  // Scratch grows with tasks.
  constexpr int64_t mostTasks = 8;
  constexpr int64_t worthwhile = 1 << 15; // products of one sample
  int64_t products = tiling.units / tiling.parts * tiling.tilesAcross * 16 *
                     conv.channels * conv.filters;
  tiling.tasks = std::clamp<int64_t>(products / worthwhile, 1,
                                     std::min(mostTasks, tiling.units));
  tiling.inputFloats = spread(conv.channels * tiling.columns());
  tiling.productFloats = spread(conv.filters * tiling.columns());
  return tiling;
}

bool sinter::fitsSampleWinograd(const Convolution &conv) {
  // With fewer, lanes of a last vector that nobody needs cost too much.
  constexpr int64_t many = 2 * kFilterBlock;
  auto isFit = [&](int64_t count) {
    return fillsFilterBlocks(count) || count >= many;
  };
  return isFit(conv.channels) && isFit(conv.filters);
}

WinogradSampleTiling sinter::sampleTilingOf(WinogradConv2dOp op) {
  Convolution conv = convolutionOf(op);
  WinogradSampleTiling tiling;
  tiling.tilesDown = tiles(conv.window[0]);
  tiling.tilesAcross = tiles(conv.window[1]);
  tiling.tileFloats = spread(conv.channels);

  // Transformed tiles take half of an L2 cache.
  constexpr int64_t cacheFloats = 512 * 1024 / 4;
  int64_t all = tiling.allTiles();
  int64_t most = std::max<int64_t>(cacheFloats / (16 * conv.channels), 1);
  tiling.chunks = (all + most - 1) / most;

  // An even number of equal units, or of equal sequences of them: whoever
  // shares them out to a few threads does it evenly. Each chunk goes through
  // the filters, each part of the filters transforms the tiles: more chunks
  // where the filters stay in the cache, else more parts.
  constexpr int64_t fewest = 4, fewestTiles = 24;
  constexpr int64_t worthwhile = 1 << 18; // products
  int64_t taps = 16 * conv.channels * conv.filters;
  int64_t products = taps * all;
  if (tiling.chunks > 1)
    tiling.chunks += tiling.chunks % 2;
  tiling.parts = 1;
  while (tiling.units() < fewest &&
         products / (2 * tiling.units()) >= worthwhile) {
    bool mayCut = all / (2 * tiling.chunks) >= fewestTiles;
    bool mayPart = conv.filters % (2 * tiling.parts * kFilterBlock) == 0;
    if (mayCut && (taps <= cacheFloats || !mayPart))
      tiling.chunks *= 2;
    else if (mayPart)
      tiling.parts *= 2;
    else
      break;
  }
  tiling.filters = conv.filters / tiling.parts;
  // Scratch grows with tasks, and leaves the cache.
  constexpr int64_t mostTasks = 4;
  tiling.tasks = std::clamp<int64_t>(products / worthwhile, 1,
                                     std::min(mostTasks, tiling.units()));
  return tiling;
}

WinogradGradientTiling sinter::tilingOf(WinogradFilterGradientOp op,
                                        int64_t batchBound) {
  Convolution conv = convolutionOf(op);
  WinogradGradientTiling tiling;
  tiling.tilesDown = tiles(conv.window[0]);
  tiling.tilesAcross = tiles(conv.window[1]);
  int64_t all = tiling.tilesDown * tiling.tilesAcross;
  auto cut = [](int64_t count, int64_t most, int64_t &part, int64_t &parts) {
    parts = (count + most - 1) / most;
    part = (count + parts - 1) / parts;
  };
  int64_t samples = paddedBatch(batchBound);
  // Each part transforms the image again.
  tiling.inPanels = fillsFilterBlocks(conv.filters);
  const int64_t mostFilters = tiling.inPanels ? 128 : 64;
  cut(conv.filters, mostFilters, tiling.filters, tiling.filterParts);
  // Parts of whole vectors, but for the last.
  if (tiling.filterParts > 1)
    tiling.filters = tiling.paddedFilters();
  // Panels of short runs of samples profit from long runs of channels. At least
  // as many as a square of the transposition has.
  const int64_t mostChannels = tiling.inPanels ? 64 : kLaneMultiple;
  int64_t blocks = (conv.channels + mostChannels - 1) / mostChannels;
  tiling.channels =
      std::max((conv.channels + blocks - 1) / blocks, kLaneMultiple);
  // A chunk takes half of an L2 cache.
  constexpr int64_t cacheFloats = 512 * 1024 / 4;
  int64_t rows = 4 * (tiling.paddedFilters() + tiling.channels);
  cut(all, std::max<int64_t>(cacheFloats / (rows * samples), 1), tiling.chunk,
      tiling.chunks);
  tiling.columns = spread(tiling.chunk * samples);

  constexpr int64_t mostTasks = 8;
  constexpr int64_t worthwhile = 1 << 17; // products
  int64_t products = all * samples * conv.channels * conv.filters;
  tiling.tasks = std::clamp<int64_t>(products / worthwhile, 1,
                                     std::min(mostTasks, tiling.units()));
  return tiling;
}

RankedTensorType sinter::scratchOf(Operation *op, int64_t batchBound,
                                   bool isSwept) {
  auto make = [&](auto tiling) {
    return RankedTensorType::get({tiling.tasks, tiling.taskFloats()},
                                 Float32Type::get(op->getContext()));
  };
  if (auto conv = dyn_cast<WinogradConv2dOp>(op)) {
    // Samples are not in the lanes where there is only one.
    if (!isBatchMinor(tensorTypeOf(conv.getX())))
      return make(sampleTilingOf(conv));
    return make(tilingOf(conv, batchBound));
  }
  if (auto winograd = dyn_cast<WinogradFilterGradientOp>(op))
    return make(tilingOf(winograd, batchBound));
  auto gradient = dyn_cast<Conv2dFilterGradientOp>(op);
  if (gradient && isSwept)
    return make(sweptTilingOf(gradient, batchBound));
  if (gradient)
    if (auto tiling = panelTilingOf(gradient, batchBound))
      return make(*tiling);
  if (auto matmul = dyn_cast<MatmulOp>(op))
    if (auto blocks = blocksOf(matmul, batchBound))
      return RankedTensorType::get({blocks->tasks(), blocks->taskFloats()},
                                   Float32Type::get(op->getContext()));
  return {};
}
