//===- PoolGradient.cpp - max pooling's gradient, block by block ----------===//

#include "ir/PoolGradient.h"

using namespace mlir;
using namespace sinter;

bool sinter::remembersMaxima(const Window &window, int64_t bytes) {
  constexpr int64_t mostBytes = 64 << 10;
  int64_t points = window[0].stride * window[1].stride;
  auto reachesNext = [](const WindowAxis &axis) {
    WindowsOverBlock over(axis);
    return over.last == over.first + 1;
  };
  // A row, and two of the row before.
  return points > 1 && points <= kMostPointsOfBlock &&
         llvm::all_of(window, reachesNext) &&
         (window[1].windows() + 2) * bytes <= mostBytes;
}
