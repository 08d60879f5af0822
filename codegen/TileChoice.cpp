//===- TileChoice.cpp - register tiles and tasks -------------------------===//
//
// Cost model: for each step of the contracted dimension a tile of R x V issues
// R V multiply-adds, V vector loads and R broadcasts. A core does about as many
// loads as multiply-adds in a cycle, so a tile costs max(R V, R + V), and at
// least the multiply-add's latency (4 cycles), which small tiles cannot hide.
//
// Behind the sums of a tile comes its epilogue. It needs registers, too, and
// what it finds taken goes to memory and back; where sums are short, that is
// more than a large tile saves. An optimizer's epilogue goes through rows of
// weights and slots; wide tiles visit fewer of them. The constants were fitted
// to what `sinter compile --tune` measured on Zen 4, kernel by kernel. Where a
// core does two multiply-adds of the widest vectors in a cycle (Zen 5),
// matrices whose rows lie far apart cost what the L2 cache delivers: tiles of
// many rows load fewer vectors.
//
//===----------------------------------------------------------------------===//

#include "codegen/TileChoice.h"

#include "llvm/ADT/bit.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace sinter;

static double tileCost(int64_t rows, int64_t vectors) {
  constexpr int64_t latency = 8; // of a multiply-add, times units: 4 x 2
  constexpr double ofLoad = 0.1; // beside as many multiply-adds
  int64_t loads = rows + vectors;
  return static_cast<double>(std::max({rows * vectors, loads, latency})) + 0.5 +
         ofLoad * static_cast<double>(loads);
}

/// The same with vectors from the L2 cache, for a core that does two
/// multiply-adds of the widest vectors in a cycle.
static double farTileCost(int64_t rows, int64_t vectors) {
  constexpr double ofFarLoad = 3.5, besideProducts = 0.3;
  return std::max(tileCost(rows, vectors),
                  ofFarLoad * static_cast<double>(vectors)) +
         besideProducts * static_cast<double>(vectors);
}

/// What an epilogue costs that finds `taken` registers full of sums.
static double spillCost(int64_t taken, const TargetShape &target,
                        double ofSpill = 20) {
  int64_t unhindered = target.registers * 9 / 16;
  return ofSpill *
         static_cast<double>(std::max<int64_t>(taken - unhindered, 0));
}

/// A whole tile, all of its steps and its end.
static double tileCost(int64_t rows, int64_t vectors, const TileWork &work,
                       const TargetShape &target) {
  bool isFar = work.isFar && target.widestProducts > 1;
  double cost = static_cast<double>(work.steps) *
                (isFar ? farTileCost(rows, vectors) : tileCost(rows, vectors));
  if (work.hasEpilogue)
    cost += isFar && !work.hasSlots
                ? spillCost(rows * vectors + vectors, target, 3)
                : spillCost(rows * vectors + vectors, target);
  constexpr double ofRow = 10;
  return work.updates ? cost + ofRow * static_cast<double>(rows) : cost;
}

/// All tiles of a `rows` x `vectors` result, the ragged ones at its edges
/// included.
static double totalCost(int64_t rows, int64_t vectors, Tile tile,
                        const TileWork &work, const TargetShape &target) {
  int64_t fullRows = rows / tile.rows, restRows = rows % tile.rows;
  int64_t fullVectors = vectors / tile.vectors;
  int64_t restVectors = vectors % tile.vectors;
  auto costOf = [&](int64_t r, int64_t v) {
    return r && v ? tileCost(r, v, work, target) : 0;
  };
  return fullRows * fullVectors * costOf(tile.rows, tile.vectors) +
         fullVectors * costOf(restRows, tile.vectors) +
         fullRows * costOf(tile.rows, restVectors) +
         costOf(restRows, restVectors);
}

/// In the order of their costs; equal ones in that of `tiles`.
template <typename T>
static std::vector<T> sortedByCost(std::vector<std::pair<double, T>> tiles) {
  llvm::stable_sort(
      tiles, [](const auto &a, const auto &b) { return a.first < b.first; });
  return std::vector<T>(llvm::make_second_range(tiles).begin(),
                        llvm::make_second_range(tiles).end());
}

std::vector<Tile> sinter::rankTiles(int64_t rows, int64_t vectors,
                                    const TileWork &work,
                                    const TargetShape &target) {
  std::vector<std::pair<double, Tile>> tiles;
  for (int64_t v = 1; v <= std::min(vectors, work.mostVectors); ++v)
    for (int64_t r = 1; r <= rows; ++r) {
      if (r * v + v + 1 > target.registers)
        break;
      if (work.rowsDivide % r == 0 && (!work.dividing || vectors % v == 0))
        tiles.push_back(
            {totalCost(rows, vectors, {r, v}, work, target), {r, v}});
    }
  return sortedByCost(std::move(tiles));
}

Tile sinter::chooseTile(KernelEmitter &e, Operation *op, ArrayRef<Tile> ranked,
                        llvm::function_ref<int64_t(Tile)> tasksOf) {
  std::vector<KernelEmitter::Numbers> possible;
  for (Tile tile : ranked)
    if (!tasksOf || tasksOf(tile) >= tasksOf(ranked.front()))
      possible.push_back({tile.rows, tile.vectors});
  KernelEmitter::Numbers chosen = e.choose(op, "tile", possible);
  return {chosen[0], chosen[1]};
}

Tile sinter::choosePackedTile(int64_t rows, int64_t vectors,
                              int64_t mostVectors, int64_t rowMultiple,
                              const TargetShape &target) {
  Tile best{1, 1};
  double bestCost = HUGE_VAL;
  for (int64_t v = 1; v <= std::min(vectors, mostVectors); ++v)
    for (int64_t r = rowMultiple; r <= rows; r += rowMultiple) {
      if (r * v + v + 1 > target.registers)
        break;
      double tiles = double((rows + r - 1) / r) * ((vectors + v - 1) / v);
      double cost = tiles * tileCost(r, v);
      if (cost < bestCost) {
        best = {r, v};
        bestCost = cost;
      }
    }
  return best;
}

/// A step issues C T F multiply-adds and loads T C + F vectors, of which C + F
/// are new: those come from the L2 cache, at about half a vector a cycle, and
/// what other instructions hide of that they do not hide wholly.
static double filterTileCost(int64_t channels, int64_t filters, int64_t taps) {
  constexpr int64_t latency = 8;
  int64_t fresh = channels + filters;
  return static_cast<double>(
             std::max({channels * filters * taps, channels * taps + filters,
                       2 * fresh, latency})) +
         0.5 + 0.5 * static_cast<double>(fresh);
}

std::vector<FilterTile> sinter::rankFilterTiles(int64_t channels,
                                                int64_t filters, int64_t taps,
                                                int64_t mostChannels,
                                                const TargetShape &target) {
  auto total = [&](FilterTile tile) {
    double cost = 0;
    int64_t fullC = channels / tile.channels, restC = channels % tile.channels;
    int64_t fullF = filters / tile.filters, restF = filters % tile.filters;
    cost += fullC * fullF * filterTileCost(tile.channels, tile.filters, taps);
    if (restC)
      cost += fullF * filterTileCost(restC, tile.filters, taps);
    if (restF)
      cost += fullC * filterTileCost(tile.channels, restF, taps);
    if (restC && restF)
      cost += filterTileCost(restC, restF, taps);
    return cost;
  };
  // Sums of four filters are added to memory at a time.
  constexpr int64_t quad = 4;
  std::vector<std::pair<double, FilterTile>> tiles = {{total({1, 1}), {1, 1}}};
  for (int64_t c = 1; c <= std::min(channels, mostChannels); ++c)
    for (int64_t f = 1; f <= filters; ++f) {
      if (c * f * taps + std::min(f, c * taps) + 2 > target.registers)
        break;
      if ((f % quad == 0 || f == filters) && c * f > 1)
        tiles.push_back({total({c, f}), {c, f}});
    }
  return sortedByCost(std::move(tiles));
}

FilterTile sinter::chooseFilterTile(
    KernelEmitter &e, Operation *op, ArrayRef<FilterTile> ranked,
    llvm::function_ref<int64_t(FilterTile)> unitsOf, int64_t enough) {
  int64_t least = std::min(enough, unitsOf(ranked.front()));
  std::vector<KernelEmitter::Numbers> possible;
  for (FilterTile tile : ranked)
    if (unitsOf(tile) >= least)
      possible.push_back({tile.channels, tile.filters});
  KernelEmitter::Numbers chosen = e.choose(op, "tile", possible);
  return {chosen[0], chosen[1]};
}

/// A step of P pixels, or of P vectors of pixels that lie `together`, issues P
/// R V multiply-adds, R broadcasts and P V loads, times the pixels of each.
/// Those cost `further` each, as they come from behind the filter's few lines.
static double convTileCost(int64_t rows, int64_t vectors, int64_t pixels,
                           int64_t together, double ofLoad, double further) {
  constexpr int64_t latency = 8;
  int64_t ofPixels = vectors * pixels * together;
  return static_cast<double>(
             std::max({rows * vectors * pixels, rows + ofPixels, latency})) +
         0.5 + ofLoad * static_cast<double>(rows) +
         (ofLoad + further) * static_cast<double>(ofPixels);
}

std::vector<ConvTile> sinter::rankConvTiles(int64_t rows, int64_t vectors,
                                            int64_t pixels, int64_t together,
                                            int64_t steps, bool isPacked,
                                            const TargetShape &target) {
  const double further = together == 1 ? 0 : isPacked ? 0.7 : 0.2;
  pixels /= together; // from here on: vectors of them
  // A core does two loads in a cycle, and two multiply-adds of narrower vectors
  // or one of the widest: beside that one, loads are hidden.
  constexpr int64_t widest = 16;
  const double ofLoad = target.lanes < widest ? 0.5 : 0;
  // Then the best tile of one pixel comes first. Pixels share broadcasts and
  // hide latency where the tile alone is small.
  std::vector<Tile> ofPixel =
      rankTiles(rows, vectors, {.steps = steps, .dividing = true}, target);
  ConvTile first{ofPixel.front().rows, ofPixel.front().vectors, 1};
  int64_t room = target.registers - 2;
  while (first.rows * first.vectors * first.pixels < 10 &&
         first.pixels < pixels &&
         (first.rows + 1) * first.vectors * (first.pixels + 1) <= room)
    ++first.pixels;

  std::vector<std::pair<double, ConvTile>> tiles;
  auto cost = [&](const ConvTile &tile) {
    int64_t wholeRows = rows / tile.rows, restRows = rows % tile.rows;
    int64_t wholePixels = pixels / tile.pixels;
    int64_t restPixels = pixels % tile.pixels;
    auto row = [&](int64_t count) {
      auto costOf = [&](int64_t some) {
        return convTileCost(count, tile.vectors, some, together, ofLoad,
                            further);
      };
      double sum = wholePixels * costOf(tile.pixels);
      if (restPixels)
        sum += costOf(restPixels);
      return sum;
    };
    double sum = wholeRows * row(tile.rows) + (restRows ? row(restRows) : 0);
    return sum * static_cast<double>(vectors / tile.vectors);
  };
  for (Tile tile : ofPixel)
    for (int64_t p = 1; p <= std::max<int64_t>(pixels, 1); ++p) {
      // Some are left for what is loaded ahead.
      int64_t ahead = ofLoad > 0 && p > 1 ? 3 : 0;
      if (tile.rows * tile.vectors * p + tile.vectors * p + 1 + ahead >
          target.registers)
        break;
      bool isFirst = ofLoad == 0 && tile.rows == first.rows &&
                     tile.vectors == first.vectors && p == first.pixels;
      tiles.push_back({isFirst ? -1 : cost({tile.rows, tile.vectors, p}),
                       {tile.rows, tile.vectors, p * together}});
    }
  return sortedByCost(std::move(tiles));
}

static int64_t shareOut(int64_t units, double cycles, double worthwhile) {
  // So few tasks are a power of two: threads get equal shares, and those of
  // one kernel lie where those of the next do.
  constexpr int64_t few = 16;
  auto most = static_cast<int64_t>(cycles / worthwhile);
  int64_t tasks = std::clamp<int64_t>(most, 1, std::max<int64_t>(units, 1));
  return tasks < few ? static_cast<int64_t>(
                           llvm::bit_floor(static_cast<uint64_t>(tasks)))
                     : tasks;
}

int64_t sinter::chooseTasks(int64_t units, double cycles) {
  // A hand-over costs up to half a microsecond; a task should be worth it.
  return shareOut(units, cycles, 3000);
}

int64_t sinter::chooseSampleTasks(int64_t units, double cycles) {
  return shareOut(units, cycles, 12000);
}

//===----------------------------------------------------------------------===//
// One sample
//===----------------------------------------------------------------------===//

llvm::SmallVector<VectorPiece>
sinter::splitInVectors(int64_t size, const TargetShape &target) {
  llvm::SmallVector<VectorPiece> pieces;
  int64_t lanes = target.lanes;
  for (int64_t start = 0; start < size; start += lanes) {
    int64_t existing = std::min(lanes, size - start), width = lanes;
    // Narrower than 4 lanes there are no registers.
    while (width > 4 && existing <= width / 2)
      width /= 2;
    pieces.push_back({start, width, existing});
  }
  return pieces;
}

/// Steps over the contracted dimension: `pixels` broadcasts, a load for each
/// vector of filters, and their products. Half a vector costs half (a core
/// with 512-bit vectors does two of 256 bits in a cycle).
static double sampleStepCost(int64_t pixels, int64_t vectors, double width,
                             bool isStreamed) {
  constexpr double latency = 4;
  double loads = static_cast<double>(vectors) * (isStreamed ? 3 : 1) +
                 0.5 * static_cast<double>(pixels);
  return std::max({static_cast<double>(pixels) * width, loads, latency}) + 0.5;
}

std::vector<std::pair<double, SampleTile>>
sinter::rankSampleTiles(int64_t pixels, ArrayRef<VectorPiece> filters,
                        int64_t steps, bool isStreamed,
                        const TargetShape &target) {
  auto count = static_cast<int64_t>(filters.size());
  auto cost = [&](int64_t tilePixels, int64_t vectors, double width) {
    return sampleStepCost(tilePixels, vectors, width, isStreamed) +
           spillCost(tilePixels * vectors + vectors, target) /
               static_cast<double>(steps);
  };
  auto total = [&](SampleTile tile) {
    double sum = 0;
    for (int64_t v = 0; v < count; v += tile.vectors) {
      int64_t vectors = std::min(tile.vectors, count - v);
      double width = 0;
      for (const VectorPiece &piece : filters.slice(v, vectors))
        width += 2 * piece.lanes <= target.lanes ? 0.5 : 1;
      int64_t rest = pixels % tile.pixels;
      sum += static_cast<double>(pixels / tile.pixels) *
             cost(tile.pixels, vectors, width);
      if (rest)
        sum += cost(rest, vectors, width);
    }
    return sum;
  };
  std::vector<std::pair<double, SampleTile>> tiles;
  for (int64_t v = 1; v <= count; ++v)
    for (int64_t p = 1; p <= pixels; ++p) {
      if (p * v + v + (v > 1 ? 1 : 0) > target.registers)
        break;
      tiles.push_back({total({p, v}), {p, v}});
    }
  llvm::stable_sort(
      tiles, [](const auto &a, const auto &b) { return a.first < b.first; });
  return tiles;
}
