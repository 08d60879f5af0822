/* main.c - a C program that learns online.
 *
 * A signal comes in value by value. The model forecasts each value from the 16
 * before it and then learns from what came, eight values at a time. In the
 * middle the signal changes; the error jumps, and falls again. No allocation,
 * no threads, no files until the weights are saved at the end.
 */
#include "forecast.h"

#include <math.h>
#include <stdio.h>

enum { past = 16, batch = 8, rounds = 4000 };

/* C99 has no word for alignment: a bit more memory, and round up. */
static unsigned char state_memory[FORECAST_STATE_BYTES + 63];
static unsigned char arena_memory[FORECAST_ARENA_BYTES + 63];

static void *aligned(unsigned char *memory) {
  return (void *)(((uintptr_t)memory + 63) / 64 * 64);
}

static float signal_at(int t) {
  const double speed = t < rounds * batch / 2 ? 0.2 : 0.45;
  return (float)(0.7 * sin(speed * t) + 0.3 * cos(2.3 * speed * t));
}

int main(int count, char **arguments) {
  void *state = aligned(state_memory), *arena = aligned(arena_memory);
  float input[batch][past], target[batch], forecast[batch], loss;
  double sum = 0, error = 0;
  char message[256];
  int round, i, t;

  sinter_flush_denormals();
  forecast_init(state, 1);
  for (round = 0; round < rounds; ++round) {
    for (i = 0; i < batch; ++i) {
      for (t = 0; t < past; ++t)
        input[i][t] = signal_at(round * batch + i + t);
      target[i] = signal_at(round * batch + i + past);
    }
    forecast_predict(state, arena, batch, &input[0][0], forecast, NULL);
    for (i = 0; i < batch; ++i)
      sum += fabs((double)(forecast[i] - target[i]));
    forecast_train_step(state, arena, batch, &input[0][0], target, &loss, NULL);
    if ((round + 1) % (rounds / 8) == 0) {
      error = sum / (rounds / 8 * (int)batch);
      printf("%6d values, mean error %.4f\n", (round + 1) * batch, error);
      sum = 0;
    }
  }
  if (count > 1 &&
      forecast_save(state, arguments[1], message, sizeof message)) {
    fprintf(stderr, "%s\n", message);
    return 1;
  }
  return error < 0.05 ? 0 : 1;
}
