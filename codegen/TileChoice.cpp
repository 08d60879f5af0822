//===- TileChoice.cpp - register tiles and tasks -------------------------===//
//
// Cost model: for each step of the contracted dimension a tile of R x V issues
// R V multiply-adds, V vector loads and R broadcasts. A core does about as many
// loads as multiply-adds in a cycle, so a tile costs max(R V, R + V), and at
// least the multiply-add's latency (4 cycles), which small tiles cannot hide.
//
//===----------------------------------------------------------------------===//

#include "codegen/TileChoice.h"

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

int64_t sinter::chooseTasks(int64_t units, double cycles) {
  // A hand-over costs about a microsecond; a task should be worth it.
  constexpr double worthwhile = 6000;
  int64_t most = static_cast<int64_t>(cycles / worthwhile);
  return std::clamp<int64_t>(most, 1, std::max<int64_t>(units, 1));
}
