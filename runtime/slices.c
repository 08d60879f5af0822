/* slices.c - a large batch, some samples at a time.
 *
 * Layer after layer over all of a large batch, activations would go through
 * main memory; over a few samples they stay in the cache. The compiler plans
 * the arena for so many samples and lets the model's function come here.
 */
#include "runtime/sinter_runtime.h"

void sinter_run_slices(const sinter_call *call, sinter_function run,
                       int64_t most, int64_t input_bytes,
                       int64_t output_bytes) {
  for (int64_t first = 0; first < call->batch; first += most) {
    const void *input =
        (const char *)call->inputs[0] + (size_t)(first * input_bytes);
    void *output = (char *)call->outputs[0] + (size_t)(first * output_bytes);
    const int64_t rest = call->batch - first;
    sinter_call part = *call;
    part.inputs = &input;
    part.outputs = &output;
    part.batch = rest < most ? rest : most;
    run(&part);
  }
}
