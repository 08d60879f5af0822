// barrier.cpp - what it costs to hand a kernel to the threads and wait for it.
//
// Problem: a step of a small model is a dozen kernels of a few microseconds, so
// starting one must be far cheaper than running it.
// Idea: kernels with nothing in them, called back to back as a step does; the
// time of a call is the cost of the gates. A second row leaves a pause between
// calls that is longer than the workers spin, so that they sleep and have to be
// woken: what an epoch's first kernel pays.
// Known weakness: on a machine with fewer free cores than threads this measures
// the scheduler.
//
//   barrier [--json]
#include "runtime/sinter_runtime.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

static void emptyTask(const sinter_call *, int64_t) {}

/// Median nanoseconds of one call; `calls` of them are timed together.
static double nanoseconds(const sinter_call &call, int64_t tasks, int calls,
                          std::chrono::milliseconds pause) {
  std::vector<double> times;
  for (int repetition = 0; repetition < 101; ++repetition) {
    std::this_thread::sleep_for(pause);
    auto start = Clock::now();
    for (int i = 0; i < calls; ++i)
      sinter_parallel_for(&call, emptyTask, tasks);
    std::chrono::duration<double, std::nano> time = Clock::now() - start;
    times.push_back(time.count() / calls);
  }
  std::nth_element(times.begin(), times.begin() + 50, times.end());
  return times[50];
}

int main(int argc, char **argv) {
  bool json = argc > 1 && !std::strcmp(argv[1], "--json");
  if (argc > 1 && !json) {
    std::fprintf(stderr, "usage: barrier [--json]\n");
    return 2;
  }
  int cores = std::max(1u, std::thread::hardware_concurrency());
  std::printf(json ? "[" : "threads  ns a kernel  ns when asleep\n");
  for (int threads = 1; threads <= cores; threads *= 2) {
    sinter_pool *pool = sinter_pool_create(threads);
    if (!pool) {
      std::fprintf(stderr, "barrier: expected %d threads, got none\n", threads);
      return 3;
    }
    sinter_call call = {nullptr, nullptr, nullptr, nullptr, 1, pool};
    double awake = nanoseconds(call, threads, 1000, {});
    double asleep = nanoseconds(call, threads, 1, std::chrono::milliseconds(2));
    std::printf(json ? "%s{\"threads\": %d, \"awake_ns\": %.0f, "
                       "\"asleep_ns\": %.0f}"
                     : "%s%7d %12.0f %15.0f\n",
                json && threads > 1 ? ", " : "", threads, awake, asleep);
    sinter_pool_destroy(pool);
  }
  if (json)
    std::puts("]");
  return 0;
}
