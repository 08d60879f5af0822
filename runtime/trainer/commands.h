// commands.h - what a trainer can do, one function a command.
#ifndef SINTER_TRAINER_COMMANDS_H
#define SINTER_TRAINER_COMMANDS_H

#include "runtime/trainer/options.h"
#include "runtime/trainer/recipe.h"

namespace sinter::trainer {

Error runTrain(const sinter_model &model, const Options &options);
Error runEvaluate(const sinter_model &model, const Options &options);
Error runPredict(const sinter_model &model, const Options &options);
Error runCrossValidate(const sinter_model &model, const Options &options);
Error runInfo(const sinter_model &model, const Options &options);
Error runBenchmark(const sinter_model &model, const Options &options);

/// The batch size asked for, or the recipe's; refused beyond the bound for
/// which the model was compiled.
Error chooseBatchSize(const sinter_model &model, const Recipe &recipe,
                      const Options &options, int64_t &batchSize);

/// Refuses a model that was compiled without the function.
Error checkCompiled(const sinter_model &model,
                    const sinter_function_info &function, const char *name);

/// The whole program: parses, runs, prints the error, returns the exit status.
int runTrainer(const sinter_model &model, int argc, const char *const *argv);

} // namespace sinter::trainer

#endif
