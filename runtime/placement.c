/* placement.c - see placement.h. */
#ifdef __linux__
#define _GNU_SOURCE /* CPU sets */
#endif
#include "runtime/placement.h"

#include <unistd.h>

#ifdef __linux__
#include <sched.h>

int sinter_current_cpu(void) { return sched_getcpu(); }

int sinter_available_cpus(void) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    return CPU_COUNT(&allowed);
  /* More CPUs than the set has room for. */
  return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

void sinter_leave_cpus(const atomic_int *taken, int count) {
  cpu_set_t allowed, others;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return;
  others = allowed;
  for (int i = 0; i < count; ++i) {
    int cpu = atomic_load_explicit(&taken[i], memory_order_relaxed);
    if (cpu >= 0 && cpu < CPU_SETSIZE)
      CPU_CLR((size_t)cpu, &others);
  }
  /* An empty set is refused, and the thread stays. */
  if (sched_setaffinity(0, sizeof others, &others) == 0)
    (void)sched_setaffinity(0, sizeof allowed, &allowed);
}

#else

int sinter_current_cpu(void) { return -1; }

int sinter_available_cpus(void) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 1 ? (int)online : 1;
}

void sinter_leave_cpus(const atomic_int *taken, int count) {
  (void)taken;
  (void)count;
}

#endif
