// counters.h - what the processor counts while kernels run, where Linux gives
// it to a user's program (perf_event_open): cycles, instructions, cache misses.
//
// Counted is what this process does itself, not what the kernel does for it, on
// all threads that start after `open`.
// Known weakness: what "cache misses" are is the processor's choice (of the
// last level on Intel's, of L2 on AMD's), and reading costs some hundred
// cycles, which count.
#ifndef SINTER_TRAINER_COUNTERS_H
#define SINTER_TRAINER_COUNTERS_H

#include <array>
#include <cstdint>
#include <string>

namespace sinter::trainer {

class Counters {
public:
  static constexpr size_t count = 3;
  static constexpr const char *names[count] = {"cycles", "instructions",
                                               "cache_misses"};
  using Values = std::array<uint64_t, count>;

  Counters() { descriptors.fill(-1); }
  ~Counters();
  Counters(const Counters &) = delete;
  Counters &operator=(const Counters &) = delete;

  /// Starts what can be started; call it before there are threads.
  void open();
  bool isOpen(size_t i) const { return descriptors[i] >= 0; }
  bool anyOpen() const;
  /// Why the first one that is missing is; empty where none is.
  const std::string &missing() const { return reason; }
  /// The counts since `open`; 0 where there is none.
  Values read() const;

private:
  std::array<int, count> descriptors;
  std::string reason;
};

} // namespace sinter::trainer

#endif
