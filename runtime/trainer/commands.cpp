// commands.cpp - from the command line to a command, and what they share.
#include "runtime/trainer/commands.h"

#include <cstdio>

namespace sinter::trainer {

Error chooseBatchSize(const sinter_model &model, const Recipe &recipe,
                      const Options &options, int64_t &batchSize) {
  batchSize = options.batchSize.value_or(recipe.batchSize);
  if (batchSize >= 1 && batchSize <= model.batch_bound)
    return {};
  return wrongUsage("--batch-size: expected 1 to %lld, for which the model was "
                    "compiled, got %lld; compile it again with a larger "
                    "train.batch_size",
                    static_cast<long long>(model.batch_bound),
                    static_cast<long long>(batchSize));
}

Error checkCompiled(const sinter_model &model,
                    const sinter_function_info &function, const char *name) {
  if (function.run)
    return {};
  return wrongInput("model '%s' was compiled without %s", model.name, name);
}

static Error runCommand(const sinter_model &model, const Options &options) {
  switch (options.command) {
  case Command::Train:
    return runTrain(model, options);
  case Command::Evaluate:
    return runEvaluate(model, options);
  case Command::Predict:
    return runPredict(model, options);
  case Command::CrossValidate:
    return runCrossValidate(model, options);
  case Command::Info:
    return runInfo(model, options);
  case Command::Benchmark:
    return runBenchmark(model, options);
  }
  return {};
}

/// Whether the compiler was given weights, which it gives all or none; or the
/// model has none that a file could hold.
static bool hasWeights(const sinter_model &model) {
  bool isWithout = true;
  for (int64_t i = 0; i < model.num_states; ++i) {
    const sinter_state_info &state = model.states[i];
    if (state.init == SINTER_INIT_DATA)
      return true;
    isWithout &= state.role != SINTER_PARAMETER && state.role != SINTER_FROZEN;
  }
  return isWithout;
}

static Error parseAndRun(const sinter_model &model, int argc,
                         const char *const *argv) {
  Options options;
  options.modelHasWeights = hasWeights(model);
  if (Error error = parseOptions(argc, argv, options))
    return error;
  if (options.help.empty()) {
    if (Error error = runCommand(model, options))
      return error;
  } else {
    std::fputs(options.help.c_str(), stdout);
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout))
    return runFailed("cannot write to standard output");
  return {};
}

int runTrainer(const sinter_model &model, int argc, const char *const *argv) {
  Error error = parseAndRun(model, argc, argv);
  if (error) {
    std::fflush(stdout);
    std::fprintf(stderr, "error: %s\n", error.message.c_str());
  }
  return static_cast<int>(error.status);
}

} // namespace sinter::trainer
