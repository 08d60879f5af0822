// benchmark.cpp - the command `benchmark`: time of a function of the model and
// of each of its kernels, beside what this CPU can do, measured by the same
// process.
//
// The data is random; values do not change the time of a kernel. Function and
// kernels take turns, and times are medians, so that a disturbed run does not
// count. A kernel's roof is the FMA peak or the bandwidth of the nearest memory
// that holds its bytes, whichever allows less, of as many threads as it has
// (one, or all of them); measured before and after, and the better figure
// counts.
// Known weakness: kernels are timed one by one, each with its own clock
// reads (about 50 ns), so their sum is a little above the step. A small kernel
// may find its bytes farther away than their number tells, because others ran
// in between.
#include "runtime/trainer/benchmark.h"
#include "runtime/trainer/commands.h"
#include "runtime/trainer/instance.h"
#include "runtime/trainer/samples.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace sinter::trainer {

namespace {

using Clock = std::chrono::steady_clock;
constexpr double warmUpSeconds = 0.2, timedSeconds = 1.0;
constexpr int64_t fewestRounds = 3, mostRounds = 10000, countedRounds = 9;

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Samples of the right shapes: inputs from [0, 1), classes from all.
Dataset randomDataset(const Recipe &recipe, const ModelShape &model,
                      int64_t samples) {
  const uint32_t key[2] = {0, 0};
  uint32_t counter[4] = {}, words[4];
  auto fill = [&](Array &array, const Shape &shape) {
    array.shape = withRecords(samples, shape);
    size_t count = static_cast<size_t>(shapeElements(array.shape));
    array.bytes.resize(count * sizeof(float));
    for (size_t i = 0; i < count; ++i, ++counter[0]) {
      sinter_philox4x32(counter, key, words);
      array.floats()[i] = sinter_uniform01(words[0]);
    }
  };
  Dataset dataset;
  fill(dataset.inputs, model.input);
  dataset.others.resize(model.others.size());
  for (size_t i = 0; i < model.others.size(); ++i)
    fill(dataset.others[i], model.others[i]);
  dataset.targets.resize(model.targets.size());
  for (size_t output = 0; output < model.targets.size(); ++output) {
    const auto &[kind, classes] = recipe.targets[output];
    Targets &targets = dataset.targets[output];
    if (kind == TargetKind::Values)
      fill(targets.values, model.targets[output]);
    else
      for (int64_t i = 0; i < samples; ++i)
        targets.classes.push_back(
            static_cast<int32_t>(i % std::max<int64_t>(classes, 1)));
  }
  return dataset;
}

void warmUp(const sinter_function_info &function, const sinter_call &call) {
  const Clock::time_point begin = Clock::now();
  while (secondsSince(begin) < warmUpSeconds)
    function.run(&call);
}

template <typename Run> double timeOf(Run run) {
  const Clock::time_point begin = Clock::now();
  run();
  return secondsSince(begin);
}

void nothing(const sinter_call *, int64_t) {}

/// What the rounds measured, a column for each.
struct Times {
  std::vector<double> step, gather, barrier;
  std::vector<std::vector<double>> kernels;
};

} // namespace

/// A round is one of each: gathering, step, empty kernel, and the kernels in
/// their order, so that a disturbance hits all of them alike.
template <typename Gather>
static Times timeRounds(const sinter_function_info &function,
                        const sinter_call &call, std::optional<int64_t> rounds,
                        Gather gather) {
  const Clock::time_point begin = Clock::now();
  const auto count = static_cast<size_t>(function.num_kernels);
  const int threads = sinter_pool_threads(call.pool);
  sinter_call slice = call; // a kernel sees no more samples
  slice.batch = std::min(call.batch, function.kernel_batch_bound);
  Times times;
  times.kernels.resize(count);
  for (int64_t round = 0; round < rounds.value_or(mostRounds); ++round) {
    if (!rounds && round >= fewestRounds && secondsSince(begin) >= timedSeconds)
      break;
    times.gather.push_back(timeOf(gather));
    times.step.push_back(timeOf([&] { function.run(&call); }));
    times.barrier.push_back(
        timeOf([&] { sinter_parallel_for(&call, nothing, threads); }));
    for (size_t i = 0; i < count; ++i) {
      const sinter_kernel_info &kernel = function.kernels[i];
      times.kernels[i].push_back(timeOf(
          [&] { sinter_parallel_for(&slice, kernel.run, kernel.tasks); }));
    }
  }
  return times;
}

/// In rounds of their own: reading the counters takes longer than some kernels.
static void countRounds(const sinter_function_info &function, sinter_call call,
                        const Counters &counters, Measurement &measured) {
  if (!counters.anyOpen())
    return;
  call.batch = std::min(call.batch, function.kernel_batch_bound);
  const int64_t rounds = std::min(countedRounds, measured.rounds);
  std::vector<std::array<std::vector<double>, Counters::count>> counts(
      measured.kernels.size());
  for (int64_t round = 0; round < rounds; ++round)
    for (size_t i = 0; i < counts.size(); ++i) {
      const sinter_kernel_info &kernel = function.kernels[i];
      const Counters::Values before = counters.read();
      sinter_parallel_for(&call, kernel.run, kernel.tasks);
      const Counters::Values after = counters.read();
      for (size_t c = 0; c < Counters::count; ++c)
        counts[i][c].push_back(static_cast<double>(after[c] - before[c]));
    }
  for (size_t i = 0; i < counts.size(); ++i)
    for (size_t c = 0; c < Counters::count; ++c)
      measured.kernels[i].counts[c] = median(std::move(counts[i][c]));
}

/// The function asked for, or the one that does most.
static Error chooseFunction(const sinter_model &model,
                            const std::string &wanted, const char *&name,
                            const sinter_function_info *&function) {
  const std::pair<const char *, const sinter_function_info *> functions[] = {
      {"train_step", &model.train_step},
      {"eval_step", &model.eval_step},
      {"predict", &model.predict}};
  for (auto [known, info] : functions)
    if (wanted.empty() ? info->run != nullptr : wanted == known) {
      name = known;
      function = info;
      return checkCompiled(model, *info, known);
    }
  return checkCompiled(model, model.predict, "training and prediction");
}

static void setMedians(const sinter_function_info &function, Times times,
                       Measurement &measured) {
  measured.rounds = static_cast<int64_t>(times.step.size());
  measured.stepSeconds = median(std::move(times.step));
  measured.gatherSeconds = median(std::move(times.gather));
  measured.barrierSeconds = median(std::move(times.barrier));
  for (size_t i = 0; i < times.kernels.size(); ++i) {
    const sinter_kernel_info &kernel = function.kernels[i];
    auto work = [&](int64_t fixed, int64_t perSample) {
      return static_cast<double>(
          fixed +
          perSample * std::min(measured.batch, function.kernel_batch_bound));
    };
    measured.kernels.push_back(
        {&kernel,
         static_cast<int>(std::min<int64_t>(measured.threads, kernel.tasks)),
         std::max(median(std::move(times.kernels[i])), 1e-9),
         work(kernel.flops_fixed, kernel.flops_per_sample),
         work(kernel.bytes_fixed, kernel.bytes_per_sample)});
  }
}

/// The first time, or better than before: somebody else may have used the
/// machine meanwhile.
static void measureMachines(sinter_pool *pool, Measurement &measured) {
  auto measure = [&](int threads, Machine &machine) {
    const Machine now = measureMachine(pool, threads);
    if (machine.threads == 0)
      machine = now;
    else
      machine.improve(now);
  };
  measure(1, measured.one);
  if (measured.threads == 1)
    measured.all = measured.one;
  else
    measure(measured.threads, measured.all);
}

Error runBenchmark(const sinter_model &model, const Options &options) {
  Recipe recipe;
  Measurement measured;
  if (Error error = readRecipe(model, recipe))
    return error;
  if (Error error = chooseBatchSize(model, recipe, options, measured.batch))
    return error;
  const sinter_function_info *chosen = nullptr;
  if (Error error =
          chooseFunction(model, options.function, measured.function, chosen))
    return error;
  // As those who call predict get it.
  if (chosen == &model.predict)
    chosen = sinter_predict_for(&model, measured.batch);
  const sinter_function_info &function = *chosen;
  Counters counters;
  counters.open(); // before the threads start, so that they are counted
  Instance instance;
  if (Error error = instance.create(model, options.threads, 0))
    return error;

  const ModelShape shape = modelShape(model, function);
  Dataset dataset = randomDataset(recipe, shape, measured.batch);
  Batch batch(recipe, shape, measured.batch);
  const Order order = inOrder(measured.batch);
  auto gather = [&] {
    if (function.num_inputs > model.predict.num_inputs)
      batch.gather(dataset, order, 0, measured.batch);
    else
      batch.gatherInputs(dataset, 0, measured.batch);
  };
  gather();
  sinter_call call = instance.call(batch.arguments(), measured.batch);
  measured.threads = instance.threads();
  warmUp(function, call); // also prepares the state
  measureMachines(instance.threadPool(), measured);
  setMedians(function, timeRounds(function, call, options.repeat, gather),
             measured);
  measureMachines(instance.threadPool(), measured);
  for (size_t i = 0; i < Counters::count; ++i)
    measured.counted[i] = counters.isOpen(i);
  measured.notCounted = counters.missing();
  countRounds(function, call, counters, measured);
  if (options.json)
    printBenchmarkJson(model, measured);
  else
    printBenchmark(measured);
  return {};
}

} // namespace sinter::trainer
