/* placement.c - see placement.h. */
#ifdef __linux__
#define _GNU_SOURCE /* CPU sets */
#endif
#include "runtime/placement.h"

#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#include <time.h>

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

int sinter_current_cpu(void) { return sched_getcpu(); }

int sinter_available_cpus(void) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    return CPU_COUNT(&allowed);
  /* More CPUs than the set has room for. */
  return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

bool sinter_leave_cpus(const atomic_int *taken, int count) {
  /* A move takes some ten microseconds, a wait a time slice: milliseconds. */
  const double longest_move = 100;
  cpu_set_t allowed, others;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return false;
  others = allowed;
  for (int i = 0; i < count; ++i) {
    int cpu = atomic_load_explicit(&taken[i], memory_order_relaxed);
    if (cpu >= 0 && cpu < CPU_SETSIZE)
      CPU_CLR((size_t)cpu, &others);
  }
  double before = microseconds();
  /* An empty set is refused, and the thread stays. */
  if (sched_setaffinity(0, sizeof others, &others) != 0)
    return false;
  bool is_quick = microseconds() - before <= longest_move;
  (void)sched_setaffinity(0, sizeof allowed, &allowed);
  return is_quick;
}

#else

int sinter_current_cpu(void) { return -1; }

int sinter_available_cpus(void) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 1 ? (int)online : 1;
}

bool sinter_leave_cpus(const atomic_int *taken, int count) {
  (void)taken;
  (void)count;
  return false;
}

#endif
