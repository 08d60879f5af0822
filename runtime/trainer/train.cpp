// train.cpp - the command `train`: settles what to do, trains, writes results.
//
// Everything that can be refused is refused before the first step: data,
// weights to start from, places to write to. The loop is in training.cpp.
#include "runtime/trainer/commands.h"
#include "runtime/trainer/output.h"
#include "runtime/trainer/report.h"
#include "runtime/trainer/training.h"

#include <cstdio>

namespace sinter::trainer {

static Error checkResults(const Options &options) {
  if ((options.resume || options.checkpointsWithinEpochs) &&
      options.checkpointDirectory.empty())
    return wrongUsage("%s: expected --checkpoint-dir DIR beside it",
                      options.resume ? "--resume" : "--checkpoint-every");
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
  return options.save.empty() ? Error{} : checkWritable(options.save);
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
  report.classNames = data.classes.names;
  if (report.classNames.empty())
    for (int32_t i = 0; i < data.classes.classes(); ++i)
      report.classNames.push_back(data.classes.name(i));
  return writeReport(options.report, report);
}

Error runTrain(const sinter_model &model, const Options &options) {
  Run run;
  if (Error error = settleRun(model, options, run))
    return error;
  if (Error error = checkResults(options))
    return error;
  TrainingData data;
  if (Error error = loadTrainingData(model, options, run, data))
    return error;
  Instance instance;
  if (Error error = instance.create(model, options.threads, run.seed))
    return error;
  if (Error error = startFrom(options, data, instance))
    return error;

  if (!options.quiet && !options.json)
    printHead(run, data, instance);
  Training training(run, data, instance, options);
  if (Error error = training.run())
    return error;
  const History &history = training.figures();

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
