//===- Winograd.cpp - how Winograd's kernels cut their work --------------===//

#include "ir/Winograd.h"
#include "ir/FilterPanels.h"
#include "ir/MatmulBlocks.h"
#include "ir/PackedFilter.h"
#include "ir/SweptGradient.h"

#include <algorithm>
#include <limits>
#include <numeric>

using namespace mlir;
using namespace sinter;

bool sinter::isWinogradForm(const Convolution &conv) {
  return conv.groups == 1 &&
         llvm::all_of(conv.window, [](const WindowAxis &axis) {
           return axis.taps == 3 && axis.stride == 1 && axis.dilation == 1 &&
                  axis.low <= 2 && axis.high <= 2;
         });
}

const WinogradMatrices &sinter::winogradMatrices(int64_t tile) {
  static constexpr WinogradMatrices two = {
      2,
      {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
      {{1, 1, 1, 0}, {0, 1, -1, -1}},
      {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}}};
  constexpr double a = .75, b = 1.5, a2 = a * a, b2 = b * b;
  constexpr double n = a2 * b2, k = 2 * a2 * (a2 - b2), l = 2 * b2 * (b2 - a2);
  static constexpr WinogradMatrices four = {
      4,
      {{n, 0, -a2 - b2, 0, 1, 0},
       {0, -a * b2, -b2, a, 1, 0},
       {0, a * b2, -b2, -a, 1, 0},
       {0, -a2 * b, -a2, b, 1, 0},
       {0, a2 * b, -a2, -b, 1, 0},
       {0, n, 0, -a2 - b2, 0, 1}},
      {{1, 1, 1, 1, 1, 0},
       {0, a, -a, b, -b, 0},
       {0, a2, a2, b2, b2, 0},
       {0, a * a2, -a * a2, b * b2, -b * b2, 1}},
      {{1 / n, 0, 0},
       {1 / k, a / k, a2 / k},
       {1 / k, -a / k, a2 / k},
       {1 / l, b / l, b2 / l},
       {1 / l, -b / l, b2 / l},
       {0, 0, 1}}};
  return tile == 2 ? two : four;
}

int64_t sinter::bestWinogradTile(const Convolution &conv, bool isGradient,
                                 int64_t samples) {
  // Vector instructions: of a product, which waits for loads now and then, and
  // what it takes to transform a channel and a filter of a tile: loads,
  // arithmetic, stores. Fitted to measurements on Zen 4 of 3 to 512 channels.
  struct Cost {
    int64_t tile;
    double product, channel, filter;
  };
  static constexpr Cost ofSums[] = {{2, 1.3, 73, 50}, {4, 1.3, 330, 120}};
  static constexpr Cost ofOneSample[] = {{2, 1, 73, 50}, {4, 1, 330, 120}};
  static constexpr Cost ofGradients[] = {{2, 1.2, 100, 180},
                                         {4, 1.4, 250, 450}};
  ArrayRef<Cost> costs = isGradient     ? ofGradients
                         : samples == 1 ? ofOneSample
                                        : ofSums;
  // Filters are read once for all samples, from far if they leave the cache.
  double channels = conv.channels, filters = conv.filters;
  auto fetch = [&](double taps) {
    constexpr double far = 8, near = 2, cacheFloats = 1024 * 1024 / 4;
    double floats = taps * channels * filters;
    return (floats > cacheFloats ? far : near) * floats /
           static_cast<double>(samples);
  };
  constexpr double worthwhile = 0.9;
  double least = worthwhile * (static_cast<double>(conv.products()) + fetch(9));
  int64_t best = 0;
  for (const Cost &cost : costs) {
    WinogradCut down(conv.window[0], cost.tile),
        across(conv.window[1], cost.tile);
    int64_t taps = cost.tile + 2;
    // One sample has none that are short (see sampleTilingOf).
    auto along = [&](const WinogradCut &cut) {
      return cut.tiles * taps - (samples == 1 ? 0 : cut.shorts);
    };
    auto products = static_cast<double>(along(down) * along(across));
    auto tiles = static_cast<double>(down.tiles * across.tiles);
    double work = cost.product * products * channels * filters +
                  tiles * (cost.channel * channels + cost.filter * filters) +
                  fetch(static_cast<double>(taps * taps));
    if (work < least) {
      least = work;
      best = cost.tile;
    }
  }
  return best;
}

/// Floats in rows of `count` that do not all begin in the same cache set: a
/// whole, odd number of cache lines.
static int64_t spread(int64_t count) {
  constexpr int64_t line = 16;
  int64_t lines = (count + line - 1) / line;
  return (lines | 1) * line;
}

static int64_t bytesOf(Value u) {
  return tensorTypeOf(u).getNumElements() * int64_t(sizeof(float));
}

WinogradFilterOp sinter::filterMadeBy(WinogradConv2dOp op, int64_t samples) {
  auto filter = op.getU().getDefiningOp<WinogradFilterOp>();
  if (filter && isa<KernelOp>(op->getParentOp()))
    return filter; // so it was decided
  if (!filter || !filter.getBlocked() || !filter->hasOneUse() || samples == 1)
    return {};
  // Each unit makes all filters.
  constexpr int64_t near = 4 << 20, mostColumns = 128;
  Convolution conv = convolutionOf(op);
  int64_t tile = winogradTile(tensorTypeOf(op.getU()));
  int64_t columns = WinogradCut(conv.window[0], tile).tiles *
                    WinogradCut(conv.window[1], tile).tiles *
                    paddedBatch(samples);
  bool isMade = bytesOf(filter) > near && columns <= mostColumns &&
                conv.channels % kChannelsOfMade == 0;
  return isMade ? filter : WinogradFilterOp();
}

bool sinter::isMadeByReader(WinogradFilterOp op, int64_t samples) {
  if (!op->hasOneUse())
    return false;
  auto conv = dyn_cast<WinogradConv2dOp>(*op->user_begin());
  return conv && filterMadeBy(conv, samples);
}

WinogradTiling sinter::tilingOf(WinogradConv2dOp op, int64_t batchBound) {
  Convolution conv = convolutionOf(op);
  WinogradTiling tiling;
  tiling.tile = winogradTile(tensorTypeOf(op.getU()));
  tiling.taps = tiling.tile + 2;
  tiling.down = WinogradCut(conv.window[0], tiling.tile);
  tiling.across = WinogradCut(conv.window[1], tiling.tile);
  int64_t samples = paddedBatch(batchBound);
  // Two cache lines of each pixel, where there are so many samples.
  tiling.samples = samples % (2 * kLaneMultiple) == 0
                       ? 2 * kLaneMultiple
                       : std::min(samples, kLaneMultiple);
  // Each unit reads all filters: where they come from far, rows of few tiles
  // share them.
  constexpr int64_t near = 16 << 20, fewColumns = 32;
  bool makesFilters = filterMadeBy(op, batchBound) != nullptr;
  int64_t enough =
      makesFilters || bytesOf(op.getU()) > near ? 2 * fewColumns : 1;
  tiling.rows = 1;
  while (tiling.rows < tiling.down.tiles &&
         (tiling.down.tiles % tiling.rows != 0 ||
          tiling.tiles() * tiling.samples < enough))
    ++tiling.rows;
  tiling.units = tiling.down.tiles / tiling.rows * samples / tiling.samples;
  // Few and odd: two threads would not get the same, and each part that is in
  // another task transforms the tiles again.
  constexpr int64_t few = 16;
  bool isInBlocks = isInFilterBlocks(tensorTypeOf(op.getU()));
  bool isUneven = tiling.units % 2 != 0 && tiling.units < few && isInBlocks &&
                  conv.filters % (2 * kFilterBlock) == 0;
  tiling.parts = isUneven ? 2 : 1;
  tiling.units *= tiling.parts;

  // Transformed tiles and products take a third of an L2 cache, but columns
  // fill a few vectors. Of such runs, the one with the least work: columns, in
  // whole vectors, and for each run the filters' taps.
  constexpr int64_t cacheFloats = 320 * 1024 / 4;
  tiling.filters = isInBlocks ? kFilterBlock : conv.filters;
  tiling.channels = makesFilters ? kChannelsOfMade : conv.channels;
  int64_t most = std::max(
      cacheFloats / (tiling.allTaps() * (conv.channels + tiling.filters) *
                     tiling.samples),
      std::max(enough, fewColumns) / tiling.samples);
  tiling.run = 1;
  int64_t leastWork = std::numeric_limits<int64_t>::max();
  for (int64_t run = 1; run <= std::min(most, tiling.tiles()); ++run) {
    auto columns = [&](int64_t count) {
      return llvm::alignTo(count * tiling.samples, kLaneMultiple);
    };
    int64_t runs = llvm::divideCeil(tiling.tiles(), run);
    int64_t last = tiling.tiles() - (runs - 1) * run;
    int64_t work = (runs - 1) * columns(run) + columns(last) + runs * 16;
    if (work <= leastWork) {
      tiling.run = run;
      tiling.runs = runs;
      leastWork = work;
    }
  }

  // Scratch grows with tasks.
  const int64_t mostTasks = isUneven ? 4 : 8;
  constexpr int64_t worthwhile = 1 << 15; // products of one sample
  int64_t products = tiling.units / tiling.parts * tiling.tiles() *
                     tiling.allTaps() * conv.channels * conv.filters;
  tiling.tasks = std::clamp<int64_t>(products / worthwhile, 1,
                                     std::min(mostTasks, tiling.units));
  tiling.inputFloats = spread(conv.channels * tiling.columns());
  tiling.productFloats = spread(tiling.filters * tiling.columns());
  tiling.filterFloats =
      makesFilters ? spread(tiling.channels * tiling.filters) : 0;
  return tiling;
}

bool sinter::fitsSampleWinograd(const Convolution &conv) {
  // With fewer, lanes of a last vector that nobody needs cost too much.
  constexpr int64_t many = 24;
  auto isFit = [&](int64_t count) {
    return fillsFilterBlocks(count) || count >= many;
  };
  return isFit(conv.channels) && isFit(conv.filters);
}

int64_t WinogradSampleTiling::productFloats() const {
  return spread(mostTiles() * mostFilters);
}

WinogradSampleTiling sinter::sampleTilingOf(WinogradConv2dOp op) {
  Convolution conv = convolutionOf(op);
  WinogradSampleTiling tiling;
  tiling.tile = winogradTile(tensorTypeOf(op.getU()));
  tiling.taps = tiling.tile + 2;
  // Windows of a pooling behind it lie in one tile each.
  tiling.down = WinogradCut::even(conv.window[0], tiling.tile);
  tiling.across = WinogradCut::even(conv.window[1], tiling.tile);
  tiling.tileFloats = spread(conv.channels);

  // Transformed tiles take half of an L2 cache.
  constexpr int64_t cacheFloats = 512 * 1024 / 4;
  int64_t all = tiling.allTiles();
  int64_t most =
      std::max<int64_t>(cacheFloats / (tiling.allTaps() * conv.channels), 1);
  tiling.chunks = (all + most - 1) / most;

  // An even number of equal units, or of equal sequences of them: whoever
  // shares them out to a few threads does it evenly. Each chunk goes through
  // the filters, each part of the filters transforms the tiles: more chunks
  // where the filters stay in the cache, else more parts.
  constexpr int64_t fewest = 4;
  const int64_t fewestTiles = tiling.tile == 2 ? 24 : 8;
  constexpr int64_t worthwhile = 1 << 18; // products
  int64_t weights = tiling.allTaps() * conv.channels * conv.filters;
  int64_t products = weights * all;
  if (tiling.chunks > 1)
    tiling.chunks += tiling.chunks % 2;
  tiling.parts = 1;
  while (tiling.units() < fewest &&
         products / (2 * tiling.units()) >= worthwhile) {
    bool mayCut = all / (2 * tiling.chunks) >= fewestTiles;
    bool mayPart = conv.filters % (2 * tiling.parts * kFilterBlock) == 0;
    if (mayCut && (weights <= cacheFloats || !mayPart))
      tiling.chunks *= 2;
    else if (mayPart)
      tiling.parts *= 2;
    else
      break;
  }
  tiling.filters = conv.filters / tiling.parts;
  // So few are kept together: what is left of whole vectors is then read along
  // with these.
  constexpr int64_t few = 4 * kFilterBlock;
  tiling.mostFilters = tiling.filters < few
                           ? llvm::alignTo(tiling.filters, kFilterBlock)
                           : 2 * kFilterBlock;
  // Scratch grows with tasks, and leaves the cache.
  constexpr int64_t mostTasks = 4;
  tiling.tasks = std::clamp<int64_t>(products / worthwhile, 1,
                                     std::min(mostTasks, tiling.units()));
  return tiling;
}

int64_t WinogradGradientTiling::pixelFloats(int64_t features) const {
  return spread(inVectors(features) * samples);
}

SmallVector<WinogradGradientTiling::RowGroup, 6>
WinogradGradientTiling::rowGroups() const {
  // Those of opposite points come of the same sums. Two threads get equal work.
  if (rowsTogether == 2 && tile == 2)
    return {{1, 2}, {0, 1}, {3, 1}};
  if (rowsTogether == 2)
    return {{1, 2}, {0, 1}, {3, 2}, {5, 1}};
  SmallVector<RowGroup, 6> rows;
  for (int64_t row = 0; row < taps; ++row)
    rows.push_back({row, 1});
  return rows;
}

/// Where the second half of the work on `channels` channels begins, in blocks.
static int64_t middleOf(const WinogradGradientTiling &tiling,
                        int64_t channels) {
  // The last row of taps has less to do where tiles are short.
  SmallVector<int64_t> costs; // of units
  for (int64_t part = 0; part < tiling.filterParts; ++part)
    for (auto [row, count] : tiling.rowGroups())
      costs.push_back(count * (row == tiling.taps - 1 ? tiling.down.longs()
                                                      : tiling.down.tiles));
  auto sumOf = [&](int64_t units) {
    return std::accumulate(costs.begin(), costs.begin() + units, int64_t(0));
  };
  int64_t all = sumOf(tiling.units()), unit = tiling.units() / 2;
  // Both parts of a unit that is cut transform the result.
  constexpr int64_t worthwhile = 16;
  if (std::abs(2 * sumOf(unit) - all) * worthwhile <= all)
    return unit * tiling.blocks;
  for (unit = 0; 2 * sumOf(unit + 1) <= all;)
    ++unit;
  int64_t rest = (all - 2 * sumOf(unit)) * channels;
  int64_t block = 2 * costs[unit] * tiling.channels;
  return unit * tiling.blocks + (rest + block / 2) / block;
}

WinogradGradientTiling sinter::tilingOf(WinogradFilterGradientOp op,
                                        int64_t batchBound) {
  Convolution conv = convolutionOf(op);
  WinogradGradientTiling tiling;
  tiling.tile = static_cast<int64_t>(op.getTile());
  tiling.taps = tiling.tile + 2;
  tiling.down = WinogradCut(conv.window[0], tiling.tile);
  tiling.across = WinogradCut(conv.window[1], tiling.tile);
  int64_t all = tiling.down.tiles * tiling.across.tiles;
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
  tiling.samples = samples;
  // Panels whose du, which each chunk goes through, stays near take two rows of
  // taps at a time, which read the pixels together.
  constexpr int64_t nearFloats = 1024 * 1024 / 4;
  bool isNear =
      tiling.inPanels &&
      tiling.taps * tiling.taps * conv.channels * conv.filters <= nearFloats;
  tiling.rowsTogether = isNear ? 2 : 1;
  // Rows of pixels a page apart, and many of them, are more than the processor
  // follows by itself.
  constexpr int64_t nearPixels = (4 << 20) / 4;
  int64_t pixels = conv.window[0].pixels * conv.window[1].pixels *
                   (conv.channels + conv.filters) * samples;
  bool isFar = isNear && pixels > nearPixels;
  // Short blocks of channels leave room for more tiles, but are read less often
  // while the next pixels come.
  const int64_t mostChannels =
      tiling.inPanels && (isFar || !isNear) ? 64 : kLaneMultiple;
  cut(conv.channels, mostChannels, tiling.channels, tiling.blocks);
  // In a vector of pixels, as many are side by side as without blocks.
  tiling.channels =
      llvm::alignTo(tiling.channels, std::gcd(conv.channels, kLaneMultiple));
  tiling.blocks = llvm::divideCeil(conv.channels, tiling.channels);
  tiling.middle = middleOf(tiling, conv.channels);
  tiling.isFetched = isFar && tiling.blocks == 1;
  // A chunk takes three quarters of an L2 cache, but less where du passes, too,
  // and pixels from far.
  const int64_t cacheFloats = (isFar ? 384 : isNear ? 480 : 768) * 1024 / 4;
  int64_t rows = tiling.unitTaps() * (tiling.paddedFilters() + tiling.channels);
  cut(all, std::max<int64_t>(cacheFloats / (rows * samples), 1), tiling.chunk,
      tiling.chunks);
  tiling.columns = spread(tiling.chunk * samples);
  // Sums of rows take a sixteenth of an L2 cache.
  constexpr int64_t sumFloats = 64 * 1024 / 4;
  int64_t pixel = tiling.pixelFloats(std::max(tiling.filters, tiling.channels));
  tiling.run = std::clamp<int64_t>(
      sumFloats / (tiling.rowsTogether * pixel * tiling.tile), 1,
      tiling.across.tiles);

  constexpr int64_t mostTasks = 8;
  constexpr int64_t worthwhile = 1 << 15; // products of a tap
  int64_t products = all * samples * conv.channels * conv.filters;
  tiling.tasks = std::clamp<int64_t>(products / worthwhile, 1,
                                     std::min(mostTasks, tiling.units()));
  return tiling;
}

int64_t WinogradAllTapsTiling::resultFloats() const {
  return spread(filters * columns);
}
int64_t WinogradAllTapsTiling::imageFloats() const {
  return spread(channels * columns);
}
int64_t WinogradAllTapsTiling::productFloats() const {
  return spread(channels * std::min(filters, mostPanel));
}
int64_t WinogradAllTapsTiling::pixelFloats() const {
  return spread(filters * samples);
}

WinogradAllTapsTiling sinter::allTapsTilingOf(WinogradFilterGradientOp op,
                                              int64_t batchBound) {
  Convolution conv = convolutionOf(op);
  WinogradAllTapsTiling tiling;
  tiling.tile = static_cast<int64_t>(op.getTile());
  tiling.taps = tiling.tile + 2;
  tiling.down = WinogradCut(conv.window[0], tiling.tile);
  tiling.across = WinogradCut(conv.window[1], tiling.tile);
  tiling.samples = paddedBatch(batchBound);
  tiling.columns = tiling.tiles() * tiling.samples;
  tiling.pixels = conv.window[0].pixels * conv.window[1].pixels;

  // Each part of the filters transforms the image again: as many filters as
  // have D in two thirds of an L2 cache.
  constexpr int64_t cacheFloats = 640 * 1024 / 4;
  int64_t most = cacheFloats / (tiling.allTaps() * tiling.columns);
  int64_t vectors = conv.filters / kLaneMultiple;
  tiling.filterParts = 1;
  while (tiling.filterParts < vectors &&
         (vectors % tiling.filterParts != 0 ||
          conv.filters / tiling.filterParts > most))
    ++tiling.filterParts;
  tiling.filters = conv.filters / tiling.filterParts;
  constexpr int64_t mostChannels = 16;
  tiling.blocks = llvm::divideCeil(conv.channels, mostChannels);
  tiling.channels = llvm::divideCeil(conv.channels, tiling.blocks);

  // Each task makes D again, in scratch of its own.
  constexpr int64_t mostTasks = 4;
  tiling.tasks = std::min(mostTasks, tiling.units());
  return tiling;
}

bool sinter::canTakeAdjoint(WinogradFilterGradientOp op, int64_t batchBound) {
  Convolution conv = convolutionOf(op);
  if (!fillsFilterBlocks(conv.filters))
    return false;
  // A du that stays near is read again for less than what transforming the
  // image for each part of the filters costs; so is one of many columns.
  constexpr int64_t farFloats = (4 << 20) / 4, enough = 4 * kLaneMultiple;
  WinogradAllTapsTiling tiling = allTapsTilingOf(op, batchBound);
  return tiling.allTaps() * conv.channels * conv.filters >= farFloats &&
         tiling.filters >= enough;
}

bool sinter::takesAdjoint(Operation *op) {
  return isa<WinogradFilterGradientOp>(op) &&
         isa<KernelOp>(op->getParentOp()) &&
         llvm::any_of(op->getUsers(), llvm::IsaPred<WinogradFilterAdjointOp>);
}

RankedTensorType sinter::scratchOf(Operation *op, int64_t batchBound,
                                   bool isFused) {
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
    return isFused ? make(allTapsTilingOf(winograd, batchBound))
                   : make(tilingOf(winograd, batchBound));
  auto gradient = dyn_cast<Conv2dFilterGradientOp>(op);
  if (gradient && isFused)
    return make(sweptTilingOf(gradient, batchBound));
  if (gradient)
    if (auto tiling = panelTilingOf(gradient, batchBound))
      return make(*tiling);
  if (auto direct = dyn_cast<Conv2dOp>(op))
    if (auto packed = packedFilterOf(direct, batchBound))
      return make(*packed);
  if (auto matmul = dyn_cast<MatmulOp>(op))
    if (auto blocks = blocksOf(matmul, batchBound))
      return RankedTensorType::get({blocks->tasks(), blocks->taskFloats()},
                                   Float32Type::get(op->getContext()));
  return {};
}
