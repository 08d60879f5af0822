/* slices.c - a large batch, some samples at a time.
 *
 * Layer after layer over all of a large batch, activations would go through
 * main memory; over a few samples they stay in the cache. The compiler plans
 * the arena for so many samples and lets the model's function come here.
 *
 * Small slices stay in a core's own cache: then the arena has room for several,
 * and each thread goes through the network with slices of its own, without a
 * barrier between kernels. Slices that are left over, too few for all threads,
 * are shared, kernel by kernel; so are all of them where threads are more than
 * places in the arena. A sample's result does not depend on who computes it.
 */
#include "runtime/sinter_runtime.h"

#include <stdbool.h>

typedef struct slices {
  sinter_call call; /* first: a task gets a pointer to it */
  sinter_function run;
  int64_t most, input_bytes, output_bytes, arena_bytes;
  int64_t of_thread;
} slices;

/* Slice number `number`, in the arena's `place`. */
static void run_slice(const slices *all, int64_t number, int64_t place,
                      sinter_pool *pool) {
  const sinter_call *call = &all->call;
  const int64_t first = number * all->most, rest = call->batch - first;
  const void *input =
      (const char *)call->inputs[0] + (size_t)(first * all->input_bytes);
  void *output = (char *)call->outputs[0] + (size_t)(first * all->output_bytes);
  sinter_call part = *call;
  part.arena = (char *)call->arena + (size_t)(place * all->arena_bytes);
  part.inputs = &input;
  part.outputs = &output;
  part.batch = rest < all->most ? rest : all->most;
  part.pool = pool;
  all->run(&part);
}

static void run_thread(const sinter_call *call, int64_t thread) {
  const slices *all = (const slices *)call;
  for (int64_t i = 0; i < all->of_thread; ++i)
    run_slice(all, thread * all->of_thread + i, thread, NULL);
}

void sinter_run_slices(const sinter_call *call, sinter_function run,
                       int64_t most, int64_t input_bytes, int64_t output_bytes,
                       int64_t arena_bytes, int64_t places) {
  const int64_t count = (call->batch + most - 1) / most;
  const int64_t threads = call->pool ? sinter_pool_threads(call->pool) : 1;
  const bool apart = threads > 1 && threads <= places;
  const slices all = {.call = *call,
                      .run = run,
                      .most = most,
                      .input_bytes = input_bytes,
                      .output_bytes = output_bytes,
                      .arena_bytes = arena_bytes,
                      .of_thread = apart ? count / threads : 0};
  if (all.of_thread > 0)
    sinter_parallel_for(&all.call, run_thread, threads);
  for (int64_t i = all.of_thread * threads; i < count; ++i)
    run_slice(&all, i, 0, call->pool);
}
