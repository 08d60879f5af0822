// slices.h - how a program of this folder is timed beside others.
//
// Problem: on a shared machine another second has another speed, so two sides
// can only be compared when they take turns; and starting a process for every
// turn would measure the start.
// Idea: a side is a process that stays. Each line on stdin, a number of
// seconds, makes it run for that long and answer with one line of JSON: the
// milliseconds of a call, one number for each group of calls. A group is as
// many calls as last about half a millisecond, so that reading the clock costs
// nothing. Before the first line it answers "ready" once it is warm.
// With BENCH_CLOCK=cpu in the environment it is the process's CPU time that is
// told: for one thread on a machine that others use.
// What runs `between` groups is not timed: it leaves the caches as the calls
// before this one would leave them.
// Known weakness: a group's mean hides what single calls do; the medians are of
// groups. The Python and JavaScript sides do the same by hand.
#ifndef SINTER_BENCH_SLICES_H
#define SINTER_BENCH_SLICES_H

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

template <typename Call, typename Between>
void serveSlices(Call call, Between between) {
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  const char *clock = std::getenv("BENCH_CLOCK");
  const bool cpu = clock && std::string_view(clock) == "cpu";
  auto now = [&] {
    timespec time;
    clock_gettime(cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) +
           1e-9 * static_cast<double>(time.tv_nsec);
  };
  double one = 1e9;
  const Clock::time_point first = Clock::now();
  for (int i = 0; i < 5 && (i < 1 || since(first) < 0.5); ++i) {
    const Clock::time_point begin = Clock::now();
    call();
    one = std::min(one, since(begin));
  }
  const int group = static_cast<int>(std::clamp(5e-4 / one, 1.0, 1e6));
  std::puts("ready");
  std::fflush(stdout);

  double seconds;
  std::vector<double> times;
  while (std::scanf("%lf", &seconds) == 1) {
    // Caches and threads were lent to others since the last slice.
    const Clock::time_point warm = Clock::now();
    while (since(warm) + one < seconds / 10)
      call();
    times.clear();
    const Clock::time_point begin = Clock::now();
    do {
      between();
      const double start = now();
      for (int i = 0; i < group; ++i)
        call();
      times.push_back(1e3 * (now() - start) / group);
    } while (since(begin) < seconds);
    for (size_t i = 0; i < times.size(); ++i)
      std::printf("%s%.7g", i ? ", " : "[", times[i]);
    std::puts("]");
    std::fflush(stdout);
  }
}

template <typename Call> void serveSlices(Call call) {
  serveSlices(call, [] {});
}

#endif
