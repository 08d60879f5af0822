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
  FilterTile best{1, 1};
  double bestCost = total(best);
  for (int64_t c = 1; c <= channels; ++c)
    for (int64_t f = 1; f <= filters; ++f) {
      if (c * f * taps + f + 2 > target.registers)
        break;
      double cost = total({c, f});
      if (cost < bestCost) {
        best = {c, f};
        bestCost = cost;
      }
    }
  return best;
}

int64_t sinter::chooseTasks(int64_t units, double cycles) {
  // A hand-over costs up to half a microsecond; a task should be worth it.
  constexpr double worthwhile = 3000;
  // So few tasks are a power of two: threads get equal shares, and those of
  // one kernel lie where those of the next do.
  constexpr int64_t few = 16;
  int64_t most = static_cast<int64_t>(cycles / worthwhile);
  int64_t tasks = std::clamp<int64_t>(most, 1, std::max<int64_t>(units, 1));
  return tasks < few ? static_cast<int64_t>(
                           llvm::bit_floor(static_cast<uint64_t>(tasks)))
                     : tasks;
}
