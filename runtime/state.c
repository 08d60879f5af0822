/* state.c - the first contents of a model's state block, and a look-up by name.
 *
 * Element e of state i draws its random words from the Philox counter
 * {low half of e, attempt, high half of e, SINTER_STREAM_INIT + i}, so a
 * tensor's initial values depend on the seed and its place in the table alone,
 * not on the tensors around it. `attempt` counts the redraws of a truncated
 * normal.
 *
 * Known weakness: normal values go through libm's log and cos, so two C
 * libraries may differ in the last bit.
 */
#include "runtime/sinter_runtime.h"

#include <math.h>
#include <string.h>

typedef struct element_stream {
  uint32_t key[2];
  uint32_t stream;
} element_stream;

static void draw_words(const element_stream *source, int64_t element,
                       uint32_t attempt, uint32_t words[4]) {
  uint32_t counter[4] = {(uint32_t)element, attempt,
                         (uint32_t)((uint64_t)element >> 32), source->stream};
  sinter_philox4x32(counter, source->key, words);
}

static float draw_uniform(const element_stream *source, int64_t element) {
  uint32_t words[4];
  draw_words(source, element, 0, words);
  return sinter_uniform01(words[0]);
}

/* Box and Muller's method, one of its two values. */
static double draw_normal(const element_stream *source, int64_t element,
                          uint32_t attempt) {
  const double two_pi = 6.283185307179586, word = 1.0 / 4294967296.0;
  uint32_t words[4];
  draw_words(source, element, attempt, words);
  double u = (words[0] + 0.5) * word; /* never 0 */
  double v = (words[1] + 0.5) * word;
  return sqrt(-2.0 * log(u)) * cos(two_pi * v);
}

static double draw_truncated_normal(const element_stream *source,
                                    int64_t element) {
  for (uint32_t attempt = 0;; ++attempt) {
    double value = draw_normal(source, element, attempt);
    if (fabs(value) <= 2.0)
      return value;
  }
}

/* Vector v has its elements at values[v * step + e * stride]. */
typedef struct vectors {
  float *values;
  int64_t count, length, step, stride;
} vectors;

/* In eight sums, so that they need not wait for each other. */
static double dot(const vectors *all, int64_t v, int64_t w) {
  const float *x = all->values + v * all->step;
  const float *y = all->values + w * all->step;
  double sums[8] = {0}, sum = 0;
  for (int64_t e = 0; e < all->length; ++e)
    sums[e % 8] += (double)x[e * all->stride] * y[e * all->stride];
  for (int i = 0; i < 8; ++i)
    sum += sums[i];
  return sum;
}

/* The method of Gram and Schmidt, in its stable order: each vector in turn
 * loses its parts along the ones before, one after the other. */
static void make_orthogonal(const vectors *all, double size) {
  for (int64_t v = 0; v < all->count; ++v) {
    float *x = all->values + v * all->step;
    for (int64_t w = 0; w < v; ++w) {
      const float *y = all->values + w * all->step;
      const double part = dot(all, v, w); /* these have length 1 so far */
      for (int64_t e = 0; e < all->length; ++e)
        x[e * all->stride] =
            (float)(x[e * all->stride] - part * y[e * all->stride]);
    }
    const double scale = 1.0 / sqrt(dot(all, v, v));
    for (int64_t e = 0; e < all->length; ++e)
      x[e * all->stride] = (float)(scale * x[e * all->stride]);
  }
  for (int64_t e = 0; e < all->count * all->length; ++e)
    all->values[e] = (float)(size * all->values[e]);
}

static void init_orthogonal(const sinter_state_info *info,
                            const element_stream *source, float *values) {
  int64_t count = info->bytes / (int64_t)sizeof(float);
  int64_t columns = info->rank > 0 ? info->shape[info->rank - 1] : 1;
  int64_t rows = count / columns;
  for (int64_t e = 0; e < count; ++e)
    values[e] = (float)draw_normal(source, e, 0);
  vectors of_rows = {values, rows, columns, columns, 1};
  vectors of_columns = {values, columns, rows, 1, columns};
  make_orthogonal(rows <= columns ? &of_rows : &of_columns, info->init_a);
}

static void init_floats(const sinter_state_info *info,
                        const element_stream *source, float *values) {
  const double a = info->init_a, b = info->init_b;
  int64_t count = info->bytes / (int64_t)sizeof(float);
  for (int64_t e = 0; e < count; ++e) {
    switch (info->init) {
    case SINTER_INIT_UNIFORM:
      values[e] = (float)(a + (b - a) * draw_uniform(source, e));
      break;
    case SINTER_INIT_NORMAL:
      values[e] = (float)(a + b * draw_normal(source, e, 0));
      break;
    case SINTER_INIT_TRUNCATED_NORMAL:
      values[e] = (float)(a + b * draw_truncated_normal(source, e));
      break;
    case SINTER_INIT_CONSTANT:
    case SINTER_INIT_DATA:       /* copied by the caller */
    case SINTER_INIT_ORTHOGONAL: /* not an element at a time */
      values[e] = info->init_a;
      break;
    }
  }
}

static void init_integers(const sinter_state_info *info, int32_t *values) {
  int64_t count = info->bytes / (int64_t)sizeof(int32_t);
  for (int64_t e = 0; e < count; ++e)
    values[e] = (int32_t)info->init_a;
}

void sinter_init_state(const sinter_model *model, void *state, uint64_t seed) {
  element_stream source = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, 0};
  /* Also the gaps between tensors, so that equal states are equal bytes. */
  memset(state, 0, (size_t)model->derived_offset);
  sinter_mark_stale(model, state);
  for (int64_t i = 0; i < model->num_states; ++i) {
    const sinter_state_info *info = &model->states[i];
    void *values = (char *)state + info->offset;
    source.stream = SINTER_STREAM_INIT + (uint32_t)i;
    if (info->role == SINTER_ITERATION || info->role == SINTER_DERIVED)
      continue;
    if (info->role == SINTER_SEED)
      memcpy(values, source.key, sizeof source.key);
    else if (info->init == SINTER_INIT_DATA)
      memcpy(values, info->data, (size_t)info->bytes);
    else if (info->init == SINTER_INIT_ORTHOGONAL)
      init_orthogonal(info, &source, values);
    else if (info->dtype == SINTER_F32)
      init_floats(info, &source, values);
    else
      init_integers(info, values);
  }
}

const sinter_state_info *sinter_find_state(const sinter_model *model,
                                           const char *name) {
  for (int64_t i = 0; i < model->num_states; ++i)
    if (strcmp(model->states[i].name, name) == 0)
      return &model->states[i];
  return NULL;
}
