//===- LaneSums.cpp - the lanes of many vectors, each summed
//---------------===//

#include "codegen/FilterGradient.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

SmallVector<Value> sinter::laneSums(KernelEmitter &e, ArrayRef<Value> vectors) {
  int64_t lanes = e.lanes();
  SmallVector<Value> level(vectors);
  for (int64_t width = 1; width < lanes; width *= 2) {
    // Halves of `width` lanes, of the first vector and of the second in turns.
    SmallVector<int64_t> low, high;
    for (int64_t block = 0; block < lanes; block += 2 * width)
      for (int64_t from : {block, block + lanes})
        for (int64_t lane = 0; lane < width; ++lane) {
          low.push_back(from + lane);
          high.push_back(from + width + lane);
        }
    SmallVector<Value> next;
    // Level k has a vector for each 2^k of the given ones.
    for (size_t i = 0; i < level.size(); i += 2) {
      Value x = level[i], y = i + 1 < level.size() ? level[i + 1] : Value();
      if (!x && !y) {
        next.push_back({});
        continue;
      }
      x = x ? x : y;
      y = y ? y : x;
      Value lows = vector::ShuffleOp::create(e.b, x, y, low);
      Value highs = vector::ShuffleOp::create(e.b, x, y, high);
      next.push_back(arith::AddFOp::create(e.b, lows, highs));
    }
    level = next;
  }
  return level;
}

SmallVector<WindowRun> sinter::windowRuns(const WindowAxis &axis, int64_t size,
                                          int64_t firstTap, int64_t taps) {
  auto sameTapsHit = [&](int64_t first, int64_t second) {
    for (int64_t w = 0; w < size; ++w)
      for (int64_t tap = firstTap; tap < firstTap + taps; ++tap)
        if (axis.covers(first + w, tap) != axis.covers(second + w, tap))
          return false;
    return true;
  };
  SmallVector<WindowRun> runs;
  for (int64_t first = 0; first < axis.windows(); first += size) {
    int64_t here = std::min(size, axis.windows() - first);
    if (!runs.empty() && here == size && sameTapsHit(runs.back().first, first))
      ++runs.back().turns;
    else
      runs.push_back({first, here, 1});
  }
  return runs;
}

Meetings sinter::meetingsOf(const WindowAxis &axis, const WindowRun &run) {
  Meetings meetings;
  for (int64_t w = 0; w < run.size; ++w)
    for (int64_t tap = 0; tap < axis.taps; ++tap)
      if (axis.covers(run.first + w, tap))
        meetings[w * axis.stride + tap * axis.dilation].push_back({w, tap});
  return meetings;
}
