//===- TileChoice.cpp - register tiles and tasks -------------------------===//
//
// Cost model: for each step of the contracted dimension a tile of R x V issues
// R V multiply-adds, V vector loads and R broadcasts. A core does about as many
// loads as multiply-adds in a cycle, so a tile costs max(R V, R + V), and at
// least the multiply-add's latency (4 cycles), which small tiles cannot hide.
//
//===----------------------------------------------------------------------===//

#include "codegen/TileChoice.h"

#include "llvm/ADT/bit.h"

#include <algorithm>
#include <cmath>

using namespace sinter;

static double tileCost(int64_t rows, int64_t vectors) {
  constexpr int64_t latency = 8; // of a multiply-add, times units: 4 x 2
  return std::max({rows * vectors, rows + vectors, latency}) + 0.5;
}

/// All tiles of a `rows` x `vectors` result, the ragged ones at its edges
/// included.
static double totalCost(int64_t rows, int64_t vectors, Tile tile) {
  int64_t fullRows = rows / tile.rows, restRows = rows % tile.rows;
  int64_t fullVectors = vectors / tile.vectors;
  int64_t restVectors = vectors % tile.vectors;
  double cost = fullRows * fullVectors * tileCost(tile.rows, tile.vectors);
  if (restRows)
    cost += fullVectors * tileCost(restRows, tile.vectors);
  if (restVectors)
    cost += fullRows * tileCost(tile.rows, restVectors);
  if (restRows && restVectors)
    cost += tileCost(restRows, restVectors);
  return cost;
}

Tile sinter::chooseTile(int64_t rows, int64_t vectors,
                        const TargetShape &target) {
  Tile best{1, 1};
  double bestCost = totalCost(rows, vectors, best);
  for (int64_t v = 1; v <= std::min<int64_t>(vectors, 4); ++v)
    for (int64_t r = 1; r <= rows; ++r) {
      if (r * v + v + 1 > target.registers)
        break;
      double cost = totalCost(rows, vectors, {r, v});
      if (cost < bestCost) {
        best = {r, v};
        bestCost = cost;
      }
    }
  return best;
}

Tile sinter::choosePackedTile(int64_t rows, int64_t vectors,
                              int64_t rowMultiple, const TargetShape &target) {
  Tile best{1, 1};
  double bestCost = HUGE_VAL;
  for (int64_t v = 1; v <= std::min<int64_t>(vectors, 4); ++v)
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
/// are new: those come from the L2 cache, at about half a vector a cycle.
static double filterTileCost(int64_t channels, int64_t filters, int64_t taps) {
  constexpr int64_t latency = 8;
  return std::max({channels * filters * taps, channels * taps + filters,
                   2 * (channels + filters), latency}) +
         0.5;
}

FilterTile sinter::chooseFilterTile(int64_t channels, int64_t filters,
                                    int64_t taps, const TargetShape &target) {
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
  FilterTile best{1, 1};
  double bestCost = total(best);
  for (int64_t c = 1; c <= channels; ++c)
    for (int64_t f = 1; f <= filters; ++f) {
      if (c * f * taps + std::min(f, c * taps) + 2 > target.registers)
        break;
      if (f % quad && f != filters)
        continue;
      double cost = total({c, f});
      if (cost < bestCost) {
        best = {c, f};
        bestCost = cost;
      }
    }
  return best;
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

SampleTile sinter::chooseSampleTile(int64_t pixels,
                                    llvm::ArrayRef<VectorPiece> filters,
                                    bool isStreamed, const TargetShape &target,
                                    double *cost) {
  auto count = static_cast<int64_t>(filters.size());
  auto total = [&](SampleTile tile) {
    double sum = 0;
    for (int64_t v = 0; v < count; v += tile.vectors) {
      int64_t vectors = std::min(tile.vectors, count - v);
      double width = 0;
      for (const VectorPiece &piece : filters.slice(v, vectors))
        width += 2 * piece.lanes <= target.lanes ? 0.5 : 1;
      int64_t rest = pixels % tile.pixels;
      sum += static_cast<double>(pixels / tile.pixels) *
             sampleStepCost(tile.pixels, vectors, width, isStreamed);
      if (rest)
        sum += sampleStepCost(rest, vectors, width, isStreamed);
    }
    return sum;
  };
  SampleTile best{1, 1};
  double bestCost = total(best);
  for (int64_t v = 1; v <= count; ++v)
    for (int64_t p = 1; p <= pixels; ++p) {
      if (p * v + v + (v > 1 ? 1 : 0) > target.registers)
        break;
      if (double other = total({p, v}); other < bestCost) {
        best = {p, v};
        bestCost = other;
      }
    }
  if (cost)
    *cost = bestCost;
  return best;
}
