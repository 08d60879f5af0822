/* sinter_runtime.h - what a compiled model and the program around it agree on.
 *
 * A compiled model is one read-only table, `sinter_model`, and the functions it
 * points to. Every function has the same form: it gets a `sinter_call` (where
 * the state, the scratch arena, the inputs and the outputs are, and how many
 * samples the batch holds) and runs to the end without allocating, printing or
 * failing. Memory belongs to the caller:
 *
 *   state     `state_bytes`, 64-byte aligned: parameters, optimizer slots,
 *             iteration counter and seed, all that a training run has to keep
 *             (copy it and you have copied the run); and behind them, from
 *             `derived_offset` on, what functions want made of the weights.
 *   arena     `arena_bytes` of the function called, 64-byte aligned: scratch,
 *             of no value between calls. Two calls may run at the same time
 *             when they have separate arenas and no call writes the state that
 *             the other uses.
 *   inputs    row-major tensors, batch first, as in Keras (N, H, W, C). Read
 *             only.
 *   outputs   row-major tensors, batch first; scalars are one element.
 *
 * The header is plain C99 and stands alone. The runtime library behind it needs
 * libc, libm and pthreads.
 */
#ifndef SINTER_RUNTIME_H
#define SINTER_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SINTER_ABI_VERSION 5u

/* ---- Threads ------------------------------------------------------------- */

typedef struct sinter_pool sinter_pool;
struct sinter_call;

/* One task of a kernel. Tasks of one kernel touch disjoint outputs and may run
 * in any order, at the same time. */
typedef void (*sinter_task)(const struct sinter_call *call, int64_t task);

/* Starts `threads` - 1 workers (the caller is the remaining one). NULL when
 * memory or threads are refused. */
sinter_pool *sinter_pool_create(int threads);
void sinter_pool_destroy(sinter_pool *pool);
int sinter_pool_threads(const sinter_pool *pool);

/* Runs task(call, 0 .. tasks-1) on the pool's threads and returns when all are
 * done. With T = min(threads, tasks), thread t gets the tasks [t*tasks/T,
 * (t+1)*tasks/T); the caller is thread 0. Where threads have to wait for a CPU,
 * because other programs use them, the caller runs all tasks for a while.
 * Task boundaries come from the
 * compiler and depend on shapes alone, so results are bit-identical for any
 * number of threads. `call->pool` may be NULL: then the caller runs all tasks
 * in order. One pool serves one call at a time, and a task must not call this
 * function. */
void sinter_parallel_for(const struct sinter_call *call, sinter_task task,
                         int64_t tasks);

/* ---- Calling a compiled function ----------------------------------------- */

typedef struct sinter_call {
  void *state;
  void *arena;
  const void *const *inputs;
  void *const *outputs;
  int64_t batch; /* samples in this call, 1 .. batch_bound */
  sinter_pool *pool;
} sinter_call;

typedef void (*sinter_function)(const sinter_call *call);

/* Calls `run` on the samples of `call`, at most `most` at a time. For functions
 * of one input and one output, a sample of which takes the given bytes. The
 * call's arena has `places` times `arena_bytes`, what `run` needs: so many
 * threads may each run slices of their own. Fewer slices than threads, and all
 * of them with more threads than places, run one after another, with the call's
 * pool. */
void sinter_run_slices(const sinter_call *call, sinter_function run,
                       int64_t most, int64_t input_bytes, int64_t output_bytes,
                       int64_t arena_bytes, int64_t places);

/* ---- The table that describes a compiled model --------------------------- */

typedef enum sinter_dtype { SINTER_F32 = 0, SINTER_I32 = 1 } sinter_dtype;

/* A function's input or output. A batched tensor has shape[0] == -1. */
typedef struct sinter_tensor_info {
  const char *name; /* "input", "target", "prediction", "loss", ... */
  sinter_dtype dtype;
  int32_t rank;
  const int64_t *shape;
} sinter_tensor_info;

/* One kernel, in the order in which a function runs them; for `info` and
 * `benchmark`. Work is fixed + per_sample * batch, in floating-point operations
 * (a multiply-add counts two) and in bytes read and written. */
typedef struct sinter_kernel_info {
  const char *name; /* layers and kind, e.g. "hidden: matmul+bias+relu" */
  const char *kind; /* "matmul", "weight_gradient", "sweep", "relayout", ... */
  sinter_task run;
  int64_t tasks;
  int64_t flops_fixed, flops_per_sample;
  int64_t bytes_fixed, bytes_per_sample;
} sinter_kernel_info;

/* One intermediate in the arena, for people: where it lies and from which
 * kernel to which (both included) it is in use. A result that takes its
 * operand's place begins at the kernel where the operand ends. */
typedef struct sinter_buffer_info {
  const char *name; /* the kernel that stores it; "... #2": its second result */
  int64_t offset, bytes;
  int64_t first_kernel, last_kernel;
} sinter_buffer_info;

typedef struct sinter_function_info {
  sinter_function run; /* NULL: the model was compiled without it */
  int64_t arena_bytes;
  /* Most bytes alive at one moment: no plan can need less. */
  int64_t arena_lower_bound;
  int64_t num_inputs, num_outputs, num_kernels;
  const sinter_tensor_info *inputs;
  const sinter_tensor_info *outputs;
  const sinter_kernel_info *kernels;
  int64_t num_buffers;
  const sinter_buffer_info *buffers;
  /* Most samples of a call of one of its kernels; `run` takes the model's
   * batch_bound, in slices if that is more. */
  int64_t kernel_batch_bound;
} sinter_function_info;

typedef enum sinter_role {
  /* Trained, saved as weight. */
  SINTER_PARAMETER = 0,
  /* Saved as weight, not changed by the optimizer: moving statistics, frozen
   * layers. */
  SINTER_FROZEN = 1,
  /* What training alone needs, the optimizer's or batch normalisation's; saved
   * in checkpoints only. */
  SINTER_SLOT = 2,
  /* i32 scalar: training steps done; also the random generator's position. */
  SINTER_ITERATION = 3,
  /* i32[2]: low and high half of the 64-bit seed. */
  SINTER_SEED = 4,
  /* What `prepare` makes of the others; see below. Never saved. */
  SINTER_DERIVED = 5
} sinter_role;

typedef enum sinter_init_kind {
  /* a */
  SINTER_INIT_CONSTANT = 0,
  /* uniform on [a, b) */
  SINTER_INIT_UNIFORM = 1,
  /* mean a, standard deviation b */
  SINTER_INIT_NORMAL = 2,
  /* mean a, standard deviation b before values beyond 2 b are redrawn */
  SINTER_INIT_TRUNCATED_NORMAL = 3,
  /* copied from `data` */
  SINTER_INIT_DATA = 4,
  /* the last dimension's columns, all others' rows: standard normal numbers,
   * then the rows, or the columns where these are fewer, one after the other
   * made orthogonal to those before and brought to length a */
  SINTER_INIT_ORTHOGONAL = 5
} sinter_init_kind;

typedef struct sinter_state_info {
  /* "hidden/kernel"; slots: "hidden/kernel/momentum" */
  const char *name;
  sinter_dtype dtype;
  sinter_role role;
  int32_t rank;
  const int64_t *shape;
  int64_t offset, bytes; /* in the state block; offset is a multiple of 64 */
  sinter_init_kind init;
  float init_a, init_b;
  const void *data; /* SINTER_INIT_DATA only */
} sinter_state_info;

typedef struct sinter_model {
  uint32_t abi_version; /* SINTER_ABI_VERSION */
  const char *name;
  const char *compiler;   /* e.g. "sinter 0.1.0, LLVM 22.1.8" */
  const char *target_cpu; /* e.g. "znver4" */
  int64_t batch_bound;
  int64_t state_bytes;
  int64_t num_states;
  const sinter_state_info *states;
  /* inputs (input) -> outputs (prediction) */
  sinter_function_info predict;
  /* inputs (input, target) -> outputs (loss, metric, ...): means over the
   * batch; dropout off, state unchanged */
  sinter_function_info eval_step;
  /* the same, and one optimizer update of the state. The loss is the one before
   * the update. */
  sinter_function_info train_step;
  /* The spec's data and training sections for the trainer: lines "key=value",
   * see runtime/trainer/recipe.h. Empty in a library. */
  const char *recipe;
  /* `predict` for a batch of 1, several times faster; absent where the model
   * has an op that it cannot do. Sums have another order than in `predict`:
   * results differ by roundings. */
  sinter_function_info predict_one;
  /* inputs () -> outputs (): makes the derived states of the others; absent
   * where there are none. See "Derived states". */
  sinter_function_info prepare;
  /* Derived states begin here, behind a word that is 0 where they are stale;
   * `state_bytes` without any. */
  int64_t derived_offset;
} sinter_model;

/* The function that predicts batches of `batch` samples best. */
static inline const sinter_function_info *
sinter_predict_for(const sinter_model *model, int64_t batch) {
  return batch == 1 && model->predict_one.run ? &model->predict_one
                                              : &model->predict;
}

/* ---- State --------------------------------------------------------------- */

/* Fills a state block: every tensor by its initialiser, drawn from Philox
 * 4x32-10 keyed by `seed` and the tensor's position in the table (element e:
 * {low half of e, redraw, high half of e, SINTER_STREAM_INIT + position});
 * slots by theirs; iteration 0; the seed itself. */
void sinter_init_state(const sinter_model *model, void *state, uint64_t seed);

/* The entry called `name`, or NULL. */
const sinter_state_info *sinter_find_state(const sinter_model *model,
                                           const char *name);

/* ---- Derived states ------------------------------------------------------ */

/* Prediction and evaluation work with weights in other forms: scaled by batch
 * normalisation, transformed for Winograd's filtering. These are states of
 * their own, made by `prepare` when they are needed, not in every call:
 *
 *   - train_step and sinter_init_state leave them stale; so must whoever writes
 *     into the state block by hand: sinter_mark_stale.
 *   - predict, predict_one and eval_step begin with `prepare` where it is
 *     stale, in their own arena: a stale result cannot be had. That changes the
 *     state; prepare it first where several threads are to predict from one
 *     state at the same time.
 *   - sinter_load_weights prepares.
 *
 * A model that needs nothing of the kind has no `prepare`, and these functions
 * do nothing. */
static inline void sinter_mark_stale(const sinter_model *model, void *state) {
  if (model->prepare.run)
    *(int32_t *)((char *)state + model->derived_offset) = 0;
}

/* Makes the derived states, current or not; `arena` has `prepare.arena_bytes`
 * or more, `pool` may be NULL. From then on, until the state is changed,
 * predict and eval_step only read it. */
static inline void sinter_prepare(const sinter_model *model, void *state,
                                  void *arena, sinter_pool *pool) {
  sinter_call call = {state, arena, NULL, NULL, 1, pool};
  if (model->prepare.run)
    model->prepare.run(&call);
}

/* ---- Weights ------------------------------------------------------------- */

/* The values are the exit statuses of Sinter's programs. */
typedef enum sinter_status {
  SINTER_OK = 0,
  /* The file is not what the model needs. */
  SINTER_WRONG_INPUT = 1,
  /* Reading or writing failed: disk full, out of memory, ... */
  SINTER_RUN_FAILED = 3
} sinter_status;

/* Weights (the states with the roles PARAMETER and FROZEN, by name) from and to
 * a safetensors file. On failure `message` gets one line that names the file,
 * what was expected and what was found. Loading checks the whole file before it
 * changes the state, NaN and infinity included, and leaves it prepared (with
 * memory of its own for as long as that takes); saving replaces the file in one
 * step. */
sinter_status sinter_load_weights(const sinter_model *model, void *state,
                                  const char *path, char *message,
                                  size_t message_size);
sinter_status sinter_save_weights(const sinter_model *model, const void *state,
                                  const char *path, char *message,
                                  size_t message_size);

/* The same from and to the bytes of a safetensors file in memory. Saving
 * returns how many bytes the file has, 0 without memory for its header, and
 * writes `data` only if `bytes` are enough for all of it. */
sinter_status sinter_load_weights_memory(const sinter_model *model, void *state,
                                         const void *data, size_t bytes,
                                         char *message, size_t message_size);
size_t sinter_save_weights_memory(const sinter_model *model, const void *state,
                                  void *data, size_t bytes);

/* ---- Random numbers ------------------------------------------------------ */

/* Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011). A pure function of counter and key. Counters used
 * here: {element, sample, step, stream}; the key is the seed. Streams:
 *
 *   0 .. 2^30-1               random ops of the model, numbered by the compiler
 *   SINTER_STREAM_INIT + i    initialiser of state i
 *   SINTER_STREAM_SHUFFLE, SINTER_STREAM_SPLIT    the trainer's permutations
 *   SINTER_STREAM_SYNTHETIC                       its made-up samples
 */
#define SINTER_STREAM_INIT 0x80000000u
#define SINTER_STREAM_SHUFFLE 0x40000000u
#define SINTER_STREAM_SPLIT 0x40000001u
#define SINTER_STREAM_SYNTHETIC 0x40000002u
void sinter_philox4x32(const uint32_t counter[4], const uint32_t key[2],
                       uint32_t out[4]);

/* A random word as a float in [0, 1): its 24 upper bits times 2^-24. */
static inline float sinter_uniform01(uint32_t word) {
  return (float)(word >> 8) * 5.9604644775390625e-8f;
}

/* ---- Floating-point environment ------------------------------------------ */

/* Sets the calling thread to flush denormals to zero, as the pool's workers do
 * (moments of dead weights decay into denormals, which cost hundreds of cycles
 * each). Call it on the thread that runs the model, so that results do not
 * depend on which thread ran a task. */
void sinter_flush_denormals(void);

#ifdef __cplusplus
}
#endif
#endif
