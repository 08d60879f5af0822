// cross_validate.cpp - the command `cross-validate`: k runs, each on all folds
// of data.train but one, and evaluated on that one.
//
// Folds are scikit-learn's KFold: contiguous, the first n mod k of them one
// sample longer; with --shuffle-folds of a permuted order. Every run starts
// from the same fresh weights (the seed's), so that folds differ by their data
// alone. Callbacks that decide (early stopping, learning rate) act on the held
// out fold, as `validation_data` would; those that write files are left out.
#include "runtime/trainer/commands.h"
#include "runtime/trainer/json.h"
#include "runtime/trainer/training.h"

#include <cmath>
#include <cstdio>

namespace sinter::trainer {

namespace {

/// Loss and metrics of each fold.
struct Results {
  std::vector<std::string> names;
  std::vector<std::vector<double>> folds;

  double mean(size_t figure) const {
    double sum = 0;
    for (const auto &fold : folds)
      sum += fold[figure];
    return sum / static_cast<double>(folds.size());
  }
  /// Of the folds themselves, not of a population behind them.
  double deviation(size_t figure) const {
    double sum = 0;
    for (const auto &fold : folds)
      sum += std::pow(fold[figure] - mean(figure), 2);
    return std::sqrt(sum / static_cast<double>(folds.size()));
  }
};

} // namespace

/// Moves fold `fold` of `all` into the validation order.
static void chooseFold(const Order &all, int64_t fold, int64_t folds,
                       TrainingData &data) {
  const auto count = static_cast<int64_t>(all.size());
  const int64_t longer = count % folds, size = count / folds;
  const auto begin = all.begin() + fold * size + std::min(fold, longer);
  const auto end = begin + size + (fold < longer);
  data.validationOrder.assign(begin, end);
  data.order.assign(all.begin(), begin);
  data.order.insert(data.order.end(), end, all.end());
}

static void print(const Results &results, const std::vector<double> &fold,
                  int64_t folds) {
  std::printf("fold %zu/%lld", results.folds.size(),
              static_cast<long long>(folds));
  for (size_t i = 0; i < fold.size(); ++i)
    std::printf("  %s %#.4g", results.names[i].c_str(), fold[i]);
  std::printf("\n");
  std::fflush(stdout);
}

static void printSummary(const Results &results) {
  for (size_t i = 0; i < results.names.size(); ++i)
    std::printf("%s %#.4g ± %#.2g\n", results.names[i].c_str(), results.mean(i),
                results.deviation(i));
}

static void printJson(const sinter_model &model, const Results &results) {
  JsonWriter json;
  json.beginObject();
  json.key("model").value(model.name);
  json.key("folds").beginObject();
  for (size_t i = 0; i < results.names.size(); ++i) {
    json.key(results.names[i].c_str()).beginArray();
    for (const auto &fold : results.folds)
      json.value(fold[i]);
    json.endArray();
  }
  json.endObject();
  json.key("mean").beginObject();
  for (size_t i = 0; i < results.names.size(); ++i)
    json.key(results.names[i].c_str()).value(results.mean(i));
  json.endObject();
  json.key("std").beginObject();
  for (size_t i = 0; i < results.names.size(); ++i)
    json.key(results.names[i].c_str()).value(results.deviation(i));
  json.endObject();
  json.endObject();
  std::fputs(json.finish().c_str(), stdout);
}

static Error runFold(const Run &run, const TrainingData &data,
                     Instance &instance, const Options &options,
                     Results &results) {
  const sinter_function_info &function = instance.model().eval_step;
  instance.restart(run.seed);
  if (Error error = startFrom(options, data, instance))
    return error;
  Training training(run, data, instance, options, /*inFold=*/true);
  if (Error error = training.run())
    return error;
  Batch batch(run.recipe, modelShape(instance.model(), function),
              run.batchSize);
  Means means(function);
  if (Error error = runPass(
          instance, function,
          {data.training, data.validationOrder, run.batchSize}, batch, means))
    return error;
  results.names.clear();
  results.folds.emplace_back();
  for (size_t i = 0; i < means.size(); ++i) {
    results.names.push_back(means.name(i));
    results.folds.back().push_back(means.mean(i));
  }
  return {};
}

Error runCrossValidate(const sinter_model &model, const Options &options) {
  Run run;
  if (Error error = checkCompiled(model, model.eval_step, "evaluation"))
    return error;
  if (Error error = settleRun(model, options, run))
    return error;
  TrainingData data;
  if (Error error = loadTrainingData(model, options, run, data))
    return error;
  data.isSplit = true;
  Order all = data.order;
  if (options.folds > static_cast<int64_t>(all.size()))
    return wrongInput("--folds: expected at most the %zu samples of "
                      "data.train, got %lld",
                      all.size(), static_cast<long long>(options.folds));
  if (options.shuffleFolds)
    permute(all, run.seed, SINTER_STREAM_SPLIT, 0);
  Instance instance;
  if (Error error = instance.create(model, options.threads, run.seed))
    return error;
  Results results;
  const bool prints = !options.json && !options.quiet;
  for (int64_t fold = 0; fold < options.folds; ++fold) {
    chooseFold(all, fold, options.folds, data);
    if (Error error = runFold(run, data, instance, options, results)) {
      error.message = format("fold %lld: %s", static_cast<long long>(fold + 1),
                             error.message.c_str());
      return error;
    }
    if (prints)
      print(results, results.folds.back(), options.folds);
  }
  if (options.json)
    printJson(model, results);
  else
    printSummary(results);
  return {};
}

} // namespace sinter::trainer
