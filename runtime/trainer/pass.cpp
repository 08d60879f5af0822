// pass.cpp - gather, run, sum; see pass.h.
#include "runtime/trainer/pass.h"

#include <algorithm>
#include <cmath>

namespace sinter::trainer {

float runStep(Instance &instance, const sinter_function_info &function,
              const PassData &data, int64_t step, Batch &batch, Means &means) {
  const int64_t first = step * data.batchSize;
  const int64_t count = std::min(data.batchSize, data.samples() - first);
  batch.gather(data.dataset, data.order, first, count, instance.threadPool());
  sinter_call call = instance.call(batch.arguments(), count);
  function.run(&call);
  for (int64_t i = 0; i < function.num_outputs; ++i)
    means.add(i, *instance.output(i), count);
  means.addSamples(count);
  return *instance.output(0);
}

Error runPass(Instance &instance, const sinter_function_info &function,
              const PassData &data, Batch &batch, Means &means) {
  means.clear();
  for (int64_t step = 0; step < data.steps(); ++step) {
    float loss = runStep(instance, function, data, step, batch, means);
    if (!std::isfinite(loss))
      return runFailed("step %lld of %lld: expected a finite loss, got %g",
                       static_cast<long long>(step + 1),
                       static_cast<long long>(data.steps()), loss);
  }
  return {};
}

} // namespace sinter::trainer
