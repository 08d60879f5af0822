//===- MatmulBlocks.cpp - how large matrix products cut their work -------===//

#include "ir/MatmulBlocks.h"

#include <algorithm>

using namespace mlir;
using namespace sinter;

static int64_t ceilDiv(int64_t x, int64_t y) { return (x + y - 1) / y; }

/// Whole cache lines.
static int64_t roundUp(int64_t floats) { return ceilDiv(floats, 16) * 16; }

std::optional<MatmulBlocks> sinter::blocksOf(MatmulOp op, int64_t batchBound) {
  RankedTensorType a = tensorTypeOf(op.getA()), b = tensorTypeOf(op.getB());
  RankedTensorType result = tensorTypeOf(op.getResult());
  MatmulBlocks blocks;
  if (op.getTransposeA()) { // a weight's gradient
    if (op.getTransposeB() || !isBatchMinor(a) || !isBatched(b))
      return std::nullopt;
    blocks.rows = result.getDimSize(0);
    blocks.columns = roundUp(result.getDimSize(1));
    blocks.inner = batchBound;
    blocks.alongInner = true;
  } else {
    if (!isBatchMinor(a) || isBatched(b))
      return std::nullopt;
    blocks.rows = result.getDimSize(1);
    blocks.columns = paddedBatch(batchBound);
    blocks.inner = a.getDimSize(1);
    blocks.alongInner = op.getTransposeB();
  }

  // Copies serve as many products as the other side is long; below this work
  // the caches forgive the plain nests.
  constexpr int64_t leastRows = 64, leastColumns = 64, leastInner = 64;
  constexpr int64_t leastWork = int64_t(1) << 28;
  int64_t work = blocks.rows * blocks.columns * blocks.inner;
  if (blocks.rows < leastRows || blocks.columns < leastColumns ||
      blocks.inner < leastInner || work < leastWork)
    return std::nullopt;

  // A panel of b stays in the L1 cache or just behind, a block of a and its
  // sums in the L2 cache.
  constexpr int64_t mostInner = 256, mostRows = 288, mostColumns = 1024;
  int64_t turns = ceilDiv(blocks.inner, mostInner);
  blocks.blockInner = roundUp(ceilDiv(blocks.inner, turns));

  // A task for each millisecond or so: scratch grows with tasks.
  constexpr int64_t mostTasks = 8, leastTaskRows = 256, leastTaskColumns = 512;
  constexpr int64_t worthwhile = int64_t(1) << 24;
  int64_t tasks = std::clamp<int64_t>(work / worthwhile, 1, mostTasks);
  int64_t down = std::max<int64_t>(blocks.rows / leastTaskRows, 1);
  int64_t across = std::max<int64_t>(blocks.columns / leastTaskColumns, 1);
  blocks.taskRows = blocks.taskColumns = 1;
  while (blocks.tasks() < tasks)
    if (2 * blocks.taskRows <= down)
      blocks.taskRows *= 2;
    else if (2 * blocks.taskColumns <= across)
      blocks.taskColumns *= 2;
    else
      break;
  // Registers hold up to 32 rows, and tasks share unevenly: a tile more.
  blocks.blockRows =
      std::min(roundUp(ceilDiv(blocks.rows, blocks.taskRows) + 32), mostRows);
  blocks.blockColumns = std::min(ceilDiv(blocks.columns, blocks.taskColumns) +
                                     MatmulBlocks::maxPanel,
                                 mostColumns);
  return blocks;
}
