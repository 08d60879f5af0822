// benchmark.cpp - the command `benchmark`: time of a training step and of each
// of its kernels, beside the CPU's FMA peak measured by the same process.
//
// The data is random; values do not change the time of a kernel. Times are
// medians, so that a disturbed run does not count. A model without training is
// measured by `predict`.
// Known weakness: kernels are timed one by one, each with its own clock reads
// (about 50 ns), so their sum is a little above the step.
#include "runtime/trainer/commands.h"
#include "runtime/trainer/instance.h"
#include "runtime/trainer/json.h"
#include "runtime/trainer/peak.h"
#include "runtime/trainer/samples.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace sinter::trainer {

namespace {

using Clock = std::chrono::steady_clock;
constexpr double warmUpSeconds = 0.2, timedSeconds = 1.0;
constexpr size_t fewestRuns = 5, mostRuns = 10000;

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct KernelTime {
  const sinter_kernel_info *kernel;
  double seconds;
  double flops;
};

struct Measurement {
  const char *function;
  int64_t batch;
  int threads;
  double peakFlops, stepSeconds;
  std::vector<KernelTime> kernels;
};

double percentOfPeak(const Measurement &measured, const KernelTime &time) {
  return 100 * time.flops / time.seconds / measured.peakFlops;
}

/// Samples of the right shapes: inputs from [0, 1), classes from all.
Dataset randomDataset(const Recipe &recipe, const ModelShape &model,
                      int64_t samples) {
  const uint32_t key[2] = {0, 0};
  uint32_t counter[4] = {}, words[4];
  auto fill = [&](Array &array, const Shape &shape) {
    array.shape = {samples};
    array.shape.insert(array.shape.end(), shape.begin(), shape.end());
    size_t count = static_cast<size_t>(shapeElements(array.shape));
    array.bytes.resize(count * sizeof(float));
    for (size_t i = 0; i < count; ++i, ++counter[0]) {
      sinter_philox4x32(counter, key, words);
      array.floats()[i] = sinter_uniform01(words[0]);
    }
  };
  Dataset dataset;
  fill(dataset.inputs, model.input);
  if (recipe.targetKind == TargetKind::Values)
    fill(dataset.targets, model.target);
  else
    for (int64_t i = 0; i < samples; ++i)
      dataset.classes.push_back(
          static_cast<int32_t>(i % std::max<int64_t>(recipe.classes, 1)));
  return dataset;
}

void warmUp(const sinter_function_info &function, const sinter_call &call) {
  const Clock::time_point begin = Clock::now();
  while (secondsSince(begin) < warmUpSeconds)
    function.run(&call);
}

/// Calls `run` until the figures of its calls can be trusted.
template <typename Run> void repeat(Run run) {
  const Clock::time_point begin = Clock::now();
  for (size_t runs = 0; runs < mostRuns; ++runs) {
    if (runs >= fewestRuns && secondsSince(begin) >= timedSeconds)
      return;
    run();
  }
}

} // namespace

static double timeStep(const sinter_function_info &function,
                       const sinter_call &call) {
  std::vector<double> seconds;
  repeat([&] {
    const Clock::time_point begin = Clock::now();
    function.run(&call);
    seconds.push_back(secondsSince(begin));
  });
  return median(std::move(seconds));
}

static std::vector<KernelTime> timeKernels(const sinter_function_info &function,
                                           const sinter_call &call) {
  const size_t count = static_cast<size_t>(function.num_kernels);
  std::vector<std::vector<double>> seconds(count);
  repeat([&] {
    for (size_t i = 0; i < count; ++i) {
      const sinter_kernel_info &kernel = function.kernels[i];
      const Clock::time_point begin = Clock::now();
      sinter_parallel_for(&call, kernel.run, kernel.tasks);
      seconds[i].push_back(secondsSince(begin));
    }
  });
  std::vector<KernelTime> times;
  for (size_t i = 0; i < count; ++i) {
    const sinter_kernel_info &kernel = function.kernels[i];
    double flops = static_cast<double>(kernel.flops_fixed +
                                       kernel.flops_per_sample * call.batch);
    times.push_back({&kernel, median(std::move(seconds[i])), flops});
  }
  return times;
}

static void print(const Measurement &measured) {
  std::printf("%s, batch %lld, %d thread%s: %.4f ms\nFMA peak %.1f GFLOP/s\n\n"
              "%10s %10s %8s  kernel\n",
              measured.function, static_cast<long long>(measured.batch),
              measured.threads, measured.threads == 1 ? "" : "s",
              measured.stepSeconds * 1e3, measured.peakFlops / 1e9, "ms",
              "GFLOP/s", "% peak");
  for (const KernelTime &time : measured.kernels)
    std::printf("%10.4f %10.2f %8.1f  %s\n", time.seconds * 1e3,
                time.flops / time.seconds / 1e9, percentOfPeak(measured, time),
                time.kernel->name);
}

static void printJson(const sinter_model &model, const Measurement &measured) {
  JsonWriter json;
  json.beginObject();
  json.key("model").value(model.name);
  json.key("target").value(model.target_cpu);
  json.key("function").value(measured.function);
  json.key("batch").value(measured.batch);
  json.key("threads").value(measured.threads);
  json.key("peak_gflops").value(measured.peakFlops / 1e9);
  json.key("step_ms").value(measured.stepSeconds * 1e3);
  json.key("kernels").beginArray();
  for (const KernelTime &time : measured.kernels) {
    json.beginObject();
    json.key("name").value(time.kernel->name);
    json.key("kind").value(time.kernel->kind);
    json.key("ms").value(time.seconds * 1e3);
    json.key("gflops").value(time.flops / time.seconds / 1e9);
    json.key("percent_of_peak").value(percentOfPeak(measured, time));
    json.endObject();
  }
  json.endArray();
  json.endObject();
  std::fputs(json.finish().c_str(), stdout);
}

Error runBenchmark(const sinter_model &model, const Options &options) {
  Recipe recipe;
  Measurement measured;
  if (Error error = readRecipe(model, recipe))
    return error;
  if (Error error = chooseBatchSize(model, recipe, options, measured.batch))
    return error;
  const bool trains = model.train_step.run != nullptr;
  const sinter_function_info &function =
      trains ? model.train_step : model.predict;
  if (Error error = checkCompiled(model, function, "training and prediction"))
    return error;
  Instance instance;
  if (Error error = instance.create(model, options.threads, 0))
    return error;

  const ModelShape shape = modelShape(function);
  Dataset dataset = randomDataset(recipe, shape, measured.batch);
  Batch batch(recipe, shape, measured.batch);
  batch.gather(dataset, inOrder(measured.batch), 0, measured.batch);
  sinter_call call =
      instance.call(batch.input(), batch.target(), measured.batch);
  warmUp(function, call);
  measured.function = trains ? "train_step" : "predict";
  measured.threads = instance.threads();
  measured.peakFlops = measurePeakFlops(instance.threadPool());
  measured.stepSeconds = timeStep(function, call);
  measured.kernels = timeKernels(function, call);
  if (options.json)
    printJson(model, measured);
  else
    print(measured);
  return {};
}

} // namespace sinter::trainer
