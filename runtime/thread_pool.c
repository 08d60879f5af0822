/* thread_pool.c - run the tasks of one kernel on a fixed set of threads.
 *
 * A training step of a small model is a few dozen kernels of some microseconds,
 * so handing out work and waiting for its end must cost well below one
 * microsecond. The share of every thread is known beforehand (no queue, no
 * stealing): the caller writes each worker's share into the worker's own cache
 * line and opens its `start` gate, runs its own share, and waits at each
 * worker's `finish` gate. A gate is a number that one thread publishes and one
 * other thread awaits, first by spinning, then asleep. Spinning that was in
 * vain is cut by half the next time and grows again with success, so that on a
 * crowded machine the threads soon stop taking time from each other. A worker
 * that has slept looks whether it shares its CPU with another thread of the
 * pool, and if so leaves it (placement.h).
 *
 * A thread that is woken on a busy CPU waits for its turn, some milliseconds,
 * and all others wait for it. After a delay that cost more than the threads
 * saved, the caller runs all tasks alone for ten times as long: then delays
 * cost little, and threads that have no CPUs are no slower than one thread. A
 * long kernel outweighs the same delay. Results do not depend on who runs a
 * task.
 *
 * Known weakness: the caller serves the workers one after the other, which
 * costs it two cache misses per worker; with more than some 32 threads a tree
 * would be faster. A task that takes much longer than its neighbours is not
 * helped by idle threads.
 */
#include "runtime/placement.h"
#include "runtime/sinter_runtime.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum {
  cache_line = 64,
  /* 20 to 80 microseconds on today's CPUs: longer than the trainer needs to
   * gather a batch, short against a scheduler's time slice. */
  most_spins = 2000,
  /* Enough to see a running partner answer. */
  least_spins = 20,
  /* So often a sleeper tries a long spin again: two threads that always find
   * each other asleep would never learn that the machine is free. */
  sleeps_before_retry = 32,
};

/* In microseconds: what waking a thread, or moving it, may take. */
static const double longest_delay = 200;

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static inline void spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

/* ---- Gates --------------------------------------------------------------- */

typedef struct gate {
  atomic_uint round;
  atomic_bool has_sleeper;
  /* The waiting thread's own: how often to look before falling asleep (0 means
   * never to look), and how often it fell asleep. */
  int spins;
  unsigned sleeps;
  /* When a sleeper was told; 0 if it was about to sleep. */
  double opened_at;
  pthread_mutex_t mutex;
  pthread_cond_t opened;
} gate;

static void gate_init(gate *g, bool spins) {
  atomic_init(&g->round, 0);
  atomic_init(&g->has_sleeper, false);
  g->spins = spins ? most_spins : 0;
  g->sleeps = 0;
  g->opened_at = 0;
  pthread_mutex_init(&g->mutex, NULL);
  pthread_cond_init(&g->opened, NULL);
}

static void gate_destroy(gate *g) {
  pthread_cond_destroy(&g->opened);
  pthread_mutex_destroy(&g->mutex);
}

/* Everything written before is visible to the thread that awaits `round`. */
static void gate_open(gate *g, unsigned round) {
  if (atomic_load(&g->has_sleeper))
    g->opened_at = microseconds();
  /* Sequentially consistent, as are the sleeper's accesses: either we see
   * the sleeper's flag, or it sees our round before it goes to sleep. */
  atomic_store(&g->round, round);
  if (!atomic_load(&g->has_sleeper))
    return;
  pthread_mutex_lock(&g->mutex);
  pthread_cond_signal(&g->opened);
  pthread_mutex_unlock(&g->mutex);
}

static void gate_sleep(gate *g, unsigned round) {
  pthread_mutex_lock(&g->mutex);
  g->opened_at = 0;
  atomic_store(&g->has_sleeper, true);
  while (atomic_load(&g->round) != round)
    pthread_cond_wait(&g->opened, &g->mutex);
  atomic_store(&g->has_sleeper, false);
  pthread_mutex_unlock(&g->mutex);
}

/* For a spin that was in vain. */
static void spin_less(gate *g) {
  if (g->spins >= 2 * least_spins)
    g->spins /= 2;
  if (++g->sleeps % sleeps_before_retry == 0)
    g->spins = most_spins;
}

static void spin_more(gate *g) {
  if (g->spins < most_spins)
    g->spins *= 2;
}

/* Microseconds between the opening of a gate and now, for who has slept. */
static double gate_delay(const gate *g) {
  return g->opened_at > 0 ? microseconds() - g->opened_at : 0;
}

/* True if the calling thread slept. */
static bool gate_await(gate *g, unsigned round) {
  for (int i = 0; i < g->spins; ++i) {
    if (atomic_load_explicit(&g->round, memory_order_acquire) == round) {
      spin_more(g);
      return false;
    }
    spin_pause();
  }
  if (g->spins > 0)
    spin_less(g);
  gate_sleep(g, round);
  return true;
}

/* ---- The pool ------------------------------------------------------------ */

typedef struct worker {
  /* One cache line that the caller writes and the worker reads. A share
   * without a call asks the worker to end. */
  _Alignas(cache_line) const sinter_call *call;
  sinter_task task;
  int64_t first, end;
  gate start;
  /* One cache line that the worker writes and the caller reads. */
  _Alignas(cache_line) gate finish;
  unsigned rounds; /* started so far; the caller's own count */
  int number;      /* of the thread: 1, 2, ... */
  sinter_pool *pool;
  double delay; /* how late it began its last share; it slept before */
  pthread_t thread;
} worker;

struct sinter_pool {
  int num_workers;
  /* Where each thread was when it last slept (thread 0: when it last woke a
   * sleeper); -1: not known. Behind the workers. */
  atomic_int *cpus;
  double alone_until; /* microseconds; 0: not alone */
  _Alignas(cache_line) worker workers[];
};

static void run_tasks(const sinter_call *call, sinter_task task, int64_t first,
                      int64_t end) {
  for (int64_t i = first; i < end; ++i)
    task(call, i);
}

/* Called by a worker that has slept. */
static void check_place(worker *self) {
  atomic_int *cpus = self->pool->cpus;
  int threads = self->pool->num_workers + 1, here = sinter_current_cpu();
  atomic_store_explicit(&cpus[self->number], -1, memory_order_relaxed);
  bool is_shared = false;
  for (int i = 0; i < threads; ++i)
    is_shared |= here >= 0 &&
                 atomic_load_explicit(&cpus[i], memory_order_relaxed) == here;
  /* Moving costs some microseconds: not each time. */
  if (is_shared && self->start.sleeps % sleeps_before_retry == 1) {
    sinter_leave_cpus(cpus, threads);
    self->start.spins = most_spins;
    here = sinter_current_cpu();
  }
  atomic_store_explicit(&cpus[self->number], here, memory_order_relaxed);
}

static void *worker_main(void *argument) {
  worker *self = argument;
  sinter_flush_denormals();
  for (unsigned round = 1;; ++round) {
    bool slept = gate_await(&self->start, round);
    if (!self->call)
      return NULL;
    if (slept)
      check_place(self);
    self->delay = slept ? gate_delay(&self->start) : 0;
    run_tasks(self->call, self->task, self->first, self->end);
    gate_open(&self->finish, round);
  }
}

static bool start_worker(sinter_pool *pool, int number, bool spins) {
  worker *w = &pool->workers[number - 1];
  w->pool = pool;
  w->number = number;
  w->delay = 0;
  w->rounds = 0;
  gate_init(&w->start, spins);
  gate_init(&w->finish, spins);
  if (pthread_create(&w->thread, NULL, worker_main, w) == 0)
    return true;
  gate_destroy(&w->start);
  gate_destroy(&w->finish);
  return false;
}

static void stop_worker(worker *w) {
  w->call = NULL;
  gate_open(&w->start, ++w->rounds);
  pthread_join(w->thread, NULL);
  gate_destroy(&w->start);
  gate_destroy(&w->finish);
}

sinter_pool *sinter_pool_create(int threads) {
  if (threads < 1)
    return NULL;
  size_t count = (size_t)threads;
  size_t worker_bytes = sizeof(sinter_pool) + (count - 1) * sizeof(worker);
  size_t cpu_lines = (count * sizeof(atomic_int) + cache_line - 1) / cache_line;
  sinter_pool *pool =
      aligned_alloc(cache_line, worker_bytes + cpu_lines * cache_line);
  if (!pool)
    return NULL;
  pool->cpus = (atomic_int *)((char *)pool + worker_bytes);
  for (size_t i = 0; i < count; ++i)
    atomic_init(&pool->cpus[i], -1);
  /* With more threads than CPUs a spinning thread only keeps the awaited one
   * from running. */
  bool spins = sinter_available_cpus() >= threads;
  pool->num_workers = 0;
  pool->alone_until = 0;
  for (int i = 1; i < threads; ++i) {
    if (!start_worker(pool, i, spins)) {
      sinter_pool_destroy(pool);
      return NULL;
    }
    ++pool->num_workers;
  }
  return pool;
}

void sinter_pool_destroy(sinter_pool *pool) {
  if (!pool)
    return;
  for (int i = 0; i < pool->num_workers; ++i)
    stop_worker(&pool->workers[i]);
  free(pool);
}

int sinter_pool_threads(const sinter_pool *pool) {
  return pool->num_workers + 1;
}

static bool is_alone(sinter_pool *pool) {
  if (pool->alone_until == 0)
    return false;
  if (microseconds() < pool->alone_until)
    return true;
  pool->alone_until = 0;
  return false;
}

void sinter_parallel_for(const sinter_call *call, sinter_task task,
                         int64_t tasks) {
  sinter_pool *pool = call->pool;
  int64_t threads = pool ? pool->num_workers + 1 : 1;
  if (threads > tasks)
    threads = tasks;
  if (threads <= 1 || is_alone(pool)) {
    run_tasks(call, task, 0, tasks);
    return;
  }
  double begun = microseconds();
  /* The caller is thread 0; worker i is thread i + 1. */
  for (int64_t t = 1; t < threads; ++t) {
    worker *w = &pool->workers[t - 1];
    w->call = call;
    w->task = task;
    w->first = t * tasks / threads;
    w->end = (t + 1) * tasks / threads;
    if (atomic_load_explicit(&w->start.has_sleeper, memory_order_relaxed))
      atomic_store_explicit(&pool->cpus[0], sinter_current_cpu(),
                            memory_order_relaxed);
    gate_open(&w->start, ++w->rounds);
  }
  run_tasks(call, task, 0, tasks / threads);
  double longest = 0;
  for (int64_t t = 1; t < threads; ++t) {
    worker *w = &pool->workers[t - 1];
    double delay =
        gate_await(&w->finish, w->rounds) ? gate_delay(&w->finish) : 0;
    longest = delay > longest ? delay : longest;
    longest = w->delay > longest ? w->delay : longest;
  }
  if (longest <= longest_delay)
    return;
  /* Without the delay the kernel takes `busy`, alone that times `threads`. */
  double now = microseconds(), elapsed = now - begun, busy = elapsed - longest;
  if (elapsed > busy * (double)threads)
    pool->alone_until = now + 10 * longest;
}
