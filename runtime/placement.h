/* placement.h - on which CPUs the threads of a pool run.
 *
 * Problem: a scheduler likes to run a thread where it was woken from. Two
 * threads that take turns (each asleep while the other runs) then share one CPU
 * for good, since there never are two of them ready for a balancer to part.
 * Idea: a worker that finds itself on the CPU of another thread of its pool
 * leaves that CPU. It is a nudge and no binding: afterwards it may run
 * everywhere again, so that several programs do not crowd on the same CPUs.
 * Known weakness: implemented for Linux; elsewhere the scheduler decides.
 */
#ifndef SINTER_RUNTIME_PLACEMENT_H
#define SINTER_RUNTIME_PLACEMENT_H

#include <stdatomic.h>

/* The CPU of the calling thread, or -1 where that cannot be told. */
int sinter_current_cpu(void);

/* How many CPUs the calling thread may run on; at least 1. */
int sinter_available_cpus(void);

/* Moves the calling thread to a CPU that is not among the `count` in `taken`
 * (-1 for unknown), if it may use one; what it may use stays as it was. */
void sinter_leave_cpus(const atomic_int *taken, int count);

#endif
