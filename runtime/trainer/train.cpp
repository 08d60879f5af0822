// train.cpp - the command `train`: epochs over the data, then the results.
//
// Everything that can be refused is refused before the first step: data,
// weights to start from, places to write to. Inside an epoch nothing is
// allocated. The order of epoch e depends on the seed and e alone.
#include "runtime/trainer/commands.h"
#include "runtime/trainer/history.h"
#include "runtime/trainer/output.h"
#include "runtime/trainer/pass.h"
#include "runtime/trainer/report.h"

#include <chrono>
#include <cstdio>

namespace sinter::trainer {

namespace {

/// The samples to train on and those to validate on.
struct TrainingData {
  Dataset training, separateValidation;
  Order order, validationOrder;
  bool isSplit = false;

  bool hasValidation() const { return !validationOrder.empty(); }
  const Dataset &validation() const {
    return isSplit ? training : separateValidation;
  }
};

/// What a run is, once recipe and flags are settled.
struct Run {
  Recipe recipe;
  int64_t epochs, batchSize;
  uint64_t seed;
  bool shuffle;
};

} // namespace

static Error settle(const sinter_model &model, const Options &options,
                    Run &run) {
  if (Error error = checkCompiled(model, model.train_step, "training"))
    return error;
  if (Error error = readRecipe(model, run.recipe))
    return error;
  run.epochs = options.epochs.value_or(run.recipe.epochs);
  run.seed = static_cast<uint64_t>(options.seed.value_or(run.recipe.seed));
  run.shuffle = run.recipe.shuffle && !options.noShuffle;
  if (!options.history.empty()) {
    if (Error error = checkHistoryPath(options.history))
      return error;
    if (Error error = checkWritable(options.history))
      return error;
  }
  if (!options.report.empty()) {
    if (Error error = checkReportPath(options.report))
      return error;
    if (Error error = checkWritable(options.report))
      return error;
  }
  if (!options.save.empty())
    if (Error error = checkWritable(options.save))
      return error;
  return chooseBatchSize(model, run.recipe, options, run.batchSize);
}

static Error load(const sinter_model &model, const Options &options,
                  const Run &run, TrainingData &data) {
  const ModelShape shape = modelShape(model.train_step);
  if (Error error = loadDataset(run.recipe, run.recipe.train, "train",
                                options.data, shape, data.training))
    return error;
  data.order = inOrder(data.training.samples());
  const bool validates = model.eval_step.run && !options.noValidation;
  if (run.recipe.validation.isGiven()) {
    if (!validates)
      return {};
    if (Error error =
            loadDataset(run.recipe, run.recipe.validation, "validation",
                        options.data, shape, data.separateValidation))
      return error;
    data.validationOrder = inOrder(data.separateValidation.samples());
    return {};
  }
  if (run.recipe.validationSplit <= 0)
    return {};
  data.isSplit = true;
  if (Error error = split(run.recipe, data.order, data.validationOrder))
    return error;
  if (!validates)
    data.validationOrder.clear();
  return {};
}

static void printHead(const Run &run, const TrainingData &data,
                      const Instance &instance) {
  std::printf("%s: %lld parameters, %zu samples to train on, %zu to validate, "
              "batch %lld, %d thread%s\n",
              instance.model().name,
              static_cast<long long>(countWeights(instance.model()).all()),
              data.order.size(), data.validationOrder.size(),
              static_cast<long long>(run.batchSize), instance.threads(),
              instance.threads() == 1 ? "" : "s");
  std::fflush(stdout);
}

static Error atEpoch(int64_t epoch, const char *phase, Error error) {
  error.message =
      format("training diverged at epoch %lld, %s%s",
             static_cast<long long>(epoch), phase, error.message.c_str());
  return error;
}

static Error runEpochs(const Run &run, TrainingData &data, Instance &instance,
                       Progress &progress, Means &training, Means *validation,
                       History &history) {
  using Clock = std::chrono::steady_clock;
  const sinter_model &model = instance.model();
  Batch batch(run.recipe, modelShape(model.train_step), run.batchSize);
  const Order unshuffled = data.order;
  for (int64_t epoch = 1; epoch <= run.epochs; ++epoch) {
    const Clock::time_point begin = Clock::now();
    if (run.shuffle) {
      data.order = unshuffled;
      permute(data.order, run.seed, SINTER_STREAM_SHUFFLE,
              static_cast<uint32_t>(epoch - 1));
    }
    progress.beginEpoch();
    if (Error error = runPass(instance, model.train_step,
                              {data.training, data.order, run.batchSize}, batch,
                              training, &progress))
      return atEpoch(epoch, "", std::move(error));
    if (validation)
      if (Error error =
              runPass(instance, model.eval_step,
                      {data.validation(), data.validationOrder, run.batchSize},
                      batch, *validation, nullptr))
        return atEpoch(epoch, "validation ", std::move(error));
    double seconds =
        std::chrono::duration<double>(Clock::now() - begin).count();
    progress.endEpoch(training, validation, seconds);
    history.add(training, validation, seconds);
  }
  return {};
}

static Error report(const Run &run, const Options &options,
                    const TrainingData &data, const History &history,
                    Instance &instance) {
  ReportRun report = {run.recipe,  history,
                      instance,    {data.training, data.order, run.batchSize},
                      {},          run.seed,
                      options.data};
  if (data.hasValidation())
    report.validation.emplace(
        PassData{data.validation(), data.validationOrder, run.batchSize});
  return writeReport(options.report, report);
}

Error runTrain(const sinter_model &model, const Options &options) {
  Run run;
  if (Error error = settle(model, options, run))
    return error;
  TrainingData data;
  if (Error error = load(model, options, run, data))
    return error;
  Instance instance;
  if (Error error = instance.create(model, options.threads, run.seed))
    return error;
  if (!options.init.empty())
    if (Error error = instance.load(options.init))
      return error;

  const bool isQuiet = options.quiet || options.json;
  if (!isQuiet)
    printHead(run, data, instance);
  const PassData pass = {data.training, data.order, run.batchSize};
  Progress progress(isQuiet ? Progress::Style::Quiet
                            : Progress::styleOfOutput(),
                    run.epochs, pass.steps());
  Means training(model.train_step), validation(model.eval_step);
  Means *validates = data.hasValidation() ? &validation : nullptr;
  History history(training, validates, run.epochs);
  if (Error error = runEpochs(run, data, instance, progress, training,
                              validates, history))
    return error;

  if (!options.save.empty())
    if (Error error = instance.save(options.save))
      return error;
  if (!options.history.empty())
    if (Error error = history.write(options.history, instance))
      return error;
  if (!options.report.empty())
    if (Error error = report(run, options, data, history, instance))
      return error;
  if (options.json)
    std::fputs(history.json(instance).c_str(), stdout);
  return {};
}

} // namespace sinter::trainer
