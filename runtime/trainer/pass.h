// pass.h - run a function of the model over many samples, batch by batch.
//
// The figures of a pass are the batches' figures weighted by their sizes, as
// in Keras 3: the loss of a training pass is the one seen while the weights
// changed. Nothing is allocated in a pass.
#ifndef SINTER_TRAINER_PASS_H
#define SINTER_TRAINER_PASS_H

#include "runtime/trainer/instance.h"
#include "runtime/trainer/progress.h"
#include "runtime/trainer/samples.h"

namespace sinter::trainer {

struct PassData {
  const Dataset &dataset;
  const Order &order;
  int64_t batchSize;

  int64_t samples() const { return static_cast<int64_t>(order.size()); }
  int64_t steps() const { return (samples() + batchSize - 1) / batchSize; }
};

/// One batch, `step` counted from 0; adds its figures to `means` and returns
/// its loss.
float runStep(Instance &instance, const sinter_function_info &function,
              const PassData &data, int64_t step, Batch &batch, Means &means);

/// Fills `means` with the mean of each output. Ends with an error at the first
/// step whose loss is not finite.
Error runPass(Instance &instance, const sinter_function_info &function,
              const PassData &data, Batch &batch, Means &means);

} // namespace sinter::trainer

#endif
