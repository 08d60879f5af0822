// counters.cpp - see counters.h.
#include "runtime/trainer/counters.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>
#ifdef __linux__
#include <linux/perf_event.h>
#include <sys/syscall.h>
#endif

namespace sinter::trainer {

#ifdef __linux__
static int openCounter(uint64_t event) {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_HARDWARE;
  attributes.config = event;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  attributes.inherit = 1; // threads to come
  return static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1,
                                  PERF_FLAG_FD_CLOEXEC));
}
#endif

void Counters::open() {
#ifdef __linux__
  const uint64_t events[count] = {PERF_COUNT_HW_CPU_CYCLES,
                                  PERF_COUNT_HW_INSTRUCTIONS,
                                  PERF_COUNT_HW_CACHE_MISSES};
  for (size_t i = 0; i < count; ++i) {
    descriptors[i] = openCounter(events[i]);
    if (descriptors[i] < 0 && reason.empty())
      reason = std::string(names[i]) + ": " + strerror(errno);
  }
#else
  reason = "not on this system";
#endif
}

Counters::~Counters() {
  for (int descriptor : descriptors)
    if (descriptor >= 0)
      close(descriptor);
}

bool Counters::anyOpen() const {
  return std::any_of(descriptors.begin(), descriptors.end(),
                     [](int descriptor) { return descriptor >= 0; });
}

Counters::Values Counters::read() const {
  Values values = {};
  for (size_t i = 0; i < count; ++i)
    if (isOpen(i) && ::read(descriptors[i], &values[i], sizeof values[i]) !=
                         static_cast<ssize_t>(sizeof values[i]))
      values[i] = 0;
  return values;
}

} // namespace sinter::trainer
