//===- ArenaPlanner.h - offsets for buffers with lifetimes ---------------===//
//
// Pure algorithm, no IR: ten integers test it.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_PASSES_ARENAPLANNER_H
#define SINTER_PASSES_ARENAPLANNER_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <vector>

namespace sinter {

/// A buffer of `bytes` in use from step `first` to step `last`, both included.
struct Lifetime {
  int64_t first, last, bytes;
};

struct ArenaPlan {
  std::vector<int64_t> offsets; // one a lifetime, multiples of the alignment
  int64_t bytes = 0;            // the arena's size
  int64_t lowerBound = 0;       // most bytes in use in one step
};

/// Offsets such that buffers in use at the same step do not overlap. Sizes are
/// rounded up to `alignment`. The best of several greedy orders: no plan needs
/// fewer than `lowerBound` bytes, and finding the best one is NP-hard.
ArenaPlan planArena(llvm::ArrayRef<Lifetime> lifetimes, int64_t alignment);

} // namespace sinter

#endif // SINTER_PASSES_ARENAPLANNER_H
