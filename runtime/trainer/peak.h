// peak.h - what this CPU can do: arithmetic in registers, and bytes from each
// level of its memory. The two together are the roofline of a kernel.
#ifndef SINTER_TRAINER_PEAK_H
#define SINTER_TRAINER_PEAK_H

#include "runtime/sinter_runtime.h"

#include <vector>

namespace sinter::trainer {

/// A cache, or the memory behind the last one.
struct MemoryLevel {
  const char *name; // "L1", "L2", "L3", "DRAM"
  /// What it holds for all threads together; infinite for "DRAM".
  double bytes;
  /// Bytes a second, all threads together, of the triad a = b + s c (12 bytes
  /// an element: two reads and a write) on arrays that this level holds and the
  /// one before does not.
  double bytesPerSecond;
};

/// The figures of `threads` threads together.
struct Machine {
  int threads = 0;
  /// f32 multiply-adds (two operations each), with the widest vectors of the
  /// machine, all operands in registers.
  double flopsPerSecond = 0;
  /// All levels that the system names, nearest first; the last one is "DRAM".
  std::vector<MemoryLevel> levels;

  /// The nearest level that holds `bytes`.
  const MemoryLevel &levelOf(double bytes) const;
  /// Keeps the better one of each figure.
  void improve(const Machine &other);
};

/// `flopsPerSecond` alone, of all threads.
double measurePeakFlops(sinter_pool *pool);
/// Takes some tenths of a second. `threads` of the pool's do the same.
Machine measureMachine(sinter_pool *pool, int threads);

} // namespace sinter::trainer

#endif
