// benchmark.h - what `benchmark` measured: the step, its kernels, the machine.
#ifndef SINTER_TRAINER_BENCHMARK_H
#define SINTER_TRAINER_BENCHMARK_H

#include "runtime/trainer/counters.h"
#include "runtime/trainer/peak.h"

namespace sinter::trainer {

struct KernelTime {
  const sinter_kernel_info *kernel;
  int threads; // that get a part of it
  double seconds, flops, bytes;
  /// Counts of one run, all threads together; see Counters::isOpen.
  std::array<double, Counters::count> counts = {};

  /// "hidden" of "hidden: matmul+add+maximum".
  std::string layer() const;
};

struct Measurement {
  const char *function = "";
  int64_t batch = 0;
  int threads = 0;
  int64_t rounds = 0;
  Machine all, one; // what all threads can do, and what one can
  double stepSeconds = 0;
  double gatherSeconds = 0;        // copying one batch, before the step
  double barrierSeconds = 0;       // handing out a kernel that does nothing
  std::vector<KernelTime> kernels; // in the order in which they run
  std::array<bool, Counters::count> counted = {};
  std::string notCounted; // why, where a counter is missing

  double percentOfPeak(const KernelTime &time) const {
    return 100 * time.flops / time.seconds / all.flopsPerSecond;
  }
  /// The roofs of the threads that the kernel has.
  const Machine &machineOf(const KernelTime &time) const {
    return time.threads == 1 ? one : all;
  }
  /// Where the bytes of a kernel lie when it runs, as far as their number
  /// tells.
  const MemoryLevel &levelOf(const KernelTime &time) const {
    return machineOf(time).levelOf(time.bytes);
  }
  /// The time that the kernel needs at least on this machine, by its arithmetic
  /// or by its bytes, in percent of the time it takes.
  double percentOfRoof(const KernelTime &time) const;
  double kernelSeconds() const;
  /// Of all kernels that more than one thread runs.
  double allBarrierSeconds() const;
};

void printBenchmark(const Measurement &measured);
void printBenchmarkJson(const sinter_model &model, const Measurement &measured);

} // namespace sinter::trainer

#endif
