/* fake_model.c - softmax regression in plain C; see fake_model.h. */
#include "fake_model.h"

#include <math.h>
#include <string.h>

typedef struct fake_state {
  _Alignas(64) float kernel[fake_inputs][fake_classes];
  _Alignas(64) float bias[fake_classes];
  _Alignas(64) float velocity[fake_inputs][fake_classes];
  _Alignas(64) int32_t iteration;
  _Alignas(64) int32_t seed[2];
} fake_state;

typedef struct fake_arena {
  float probability[fake_batch_bound][fake_classes];
} fake_arena;

static const float learning_rate = 0.5f, momentum = 0.5f;

static void softmax(const fake_state *state, const float *x, float *p) {
  float largest = -INFINITY, sum = 0;
  for (int c = 0; c < fake_classes; ++c) {
    p[c] = state->bias[c];
    for (int i = 0; i < fake_inputs; ++i)
      p[c] += x[i] * state->kernel[i][c];
    largest = fmaxf(largest, p[c]);
  }
  for (int c = 0; c < fake_classes; ++c)
    sum += p[c] = expf(p[c] - largest);
  for (int c = 0; c < fake_classes; ++c)
    p[c] /= sum;
}

/* One task: probabilities, loss and accuracy of the batch. */
static void forward(const sinter_call *call, int64_t task) {
  (void)task;
  const float *x = call->inputs[0];
  const int32_t *target = call->inputs[1];
  fake_arena *arena = call->arena;
  float loss = 0, hits = 0;
  for (int64_t n = 0; n < call->batch; ++n) {
    float *p = arena->probability[n];
    softmax(call->state, x + n * fake_inputs, p);
    loss -= logf(p[target[n]]);
    int best = 0;
    for (int c = 1; c < fake_classes; ++c)
      best = p[c] > p[best] ? c : best;
    hits += best == target[n];
  }
  *(float *)call->outputs[0] = loss / (float)call->batch;
  *(float *)call->outputs[1] = hits / (float)call->batch;
}

/* A task for each class: gradient and update of its column. */
static void update(const sinter_call *call, int64_t c) {
  fake_state *state = call->state;
  const fake_arena *arena = call->arena;
  const float *x = call->inputs[0];
  const int32_t *target = call->inputs[1];
  float gradient[fake_inputs] = {0}, bias_gradient = 0;
  for (int64_t n = 0; n < call->batch; ++n) {
    float error = arena->probability[n][c] - (target[n] == c);
    for (int i = 0; i < fake_inputs; ++i)
      gradient[i] += error * x[n * fake_inputs + i];
    bias_gradient += error;
  }
  float rate = learning_rate / (float)call->batch;
  for (int i = 0; i < fake_inputs; ++i) {
    float *velocity = &state->velocity[i][c];
    *velocity = momentum * *velocity - rate * gradient[i];
    state->kernel[i][c] += *velocity;
  }
  state->bias[c] -= rate * bias_gradient;
}

static void predict(const sinter_call *call) {
  for (int64_t n = 0; n < call->batch; ++n)
    softmax(call->state, (const float *)call->inputs[0] + n * fake_inputs,
            (float *)call->outputs[0] + n * fake_classes);
}

static void eval_step(const sinter_call *call) {
  sinter_parallel_for(call, forward, 1);
}

static void train_step(const sinter_call *call) {
  sinter_parallel_for(call, forward, 1);
  sinter_parallel_for(call, update, fake_classes);
  ++((fake_state *)call->state)->iteration;
}

static const int64_t input_shape[] = {-1, 2, 2}, target_shape[] = {-1},
                     prediction_shape[] = {-1, fake_classes};
static const int64_t kernel_shape[] = {fake_inputs, fake_classes},
                     bias_shape[] = {fake_classes}, seed_shape[] = {2};

static const sinter_tensor_info inputs[] = {
    {"input", SINTER_F32, 3, input_shape},
    {"target", SINTER_I32, 1, target_shape},
};
static const sinter_tensor_info figures[] = {
    {"loss", SINTER_F32, 0, NULL},
    {"accuracy", SINTER_F32, 0, NULL},
};
static const sinter_tensor_info prediction[] = {
    {"prediction", SINTER_F32, 2, prediction_shape},
};
static const sinter_kernel_info kernels[] = {
    {"output: matmul+bias+softmax+loss", "sweep", forward, 1, 0, 40, 60, 40},
    {"output: gradient+update", "sweep", update, fake_classes, 48, 30, 96, 40},
};

static const sinter_buffer_info buffers[] = {
    {"output: matmul+bias+softmax+loss", 0, sizeof(fake_arena), 0, 1},
};

#define PLACE(field)                                                           \
  offsetof(fake_state, field), sizeof(((fake_state *)0)->field)

static const sinter_state_info states[] = {
    {"output/kernel", SINTER_F32, SINTER_PARAMETER, 2, kernel_shape,
     PLACE(kernel), SINTER_INIT_UNIFORM, -0.5f, 0.5f, NULL},
    {"output/bias", SINTER_F32, SINTER_PARAMETER, 1, bias_shape, PLACE(bias),
     SINTER_INIT_CONSTANT, 0, 0, NULL},
    {"output/kernel/momentum", SINTER_F32, SINTER_SLOT, 2, kernel_shape,
     PLACE(velocity), SINTER_INIT_CONSTANT, 0, 0, NULL},
    {"optimizer/iteration", SINTER_I32, SINTER_ITERATION, 0, NULL,
     PLACE(iteration), SINTER_INIT_CONSTANT, 0, 0, NULL},
    {"optimizer/seed", SINTER_I32, SINTER_SEED, 1, seed_shape, PLACE(seed),
     SINTER_INIT_CONSTANT, 0, 0, NULL},
};

sinter_model fake_model(const char *recipe) {
  const int64_t arena = sizeof(fake_arena);
  return (sinter_model){
      .abi_version = SINTER_ABI_VERSION,
      .name = "fake",
      .compiler = "by hand",
      .target_cpu = "any",
      .batch_bound = fake_batch_bound,
      .state_bytes = sizeof(fake_state),
      .num_states = sizeof states / sizeof *states,
      .states = states,
      .predict = {predict, 0, 0, 1, 1, 0, inputs, prediction, NULL, 0, NULL,
                  fake_batch_bound},
      .eval_step = {eval_step, arena, arena, 2, 2, 1, inputs, figures, kernels,
                    1, buffers, fake_batch_bound},
      .train_step = {train_step, arena, arena, 2, 2, 2, inputs, figures,
                     kernels, 1, buffers, fake_batch_bound},
      .recipe = recipe,
      .derived_offset = sizeof(fake_state),
  };
}
