// training.h - a training run: which samples, how many epochs, and the loop.
//
// A run is a pure function of model, recipe, flags and data. `Position` says
// how far it has come; with the model's state, the running means, the history
// and the callbacks' notes it is all that a checkpoint needs, so a run that is
// killed and resumed ends in the same bits as one that is left alone. The order
// of epoch e depends on the seed and e alone. Inside an epoch nothing is
// allocated, except by a checkpoint.
#ifndef SINTER_TRAINER_TRAINING_H
#define SINTER_TRAINER_TRAINING_H

#include "runtime/trainer/callbacks.h"
#include "runtime/trainer/checkpoint.h"
#include "runtime/trainer/options.h"
#include "runtime/trainer/pass.h"

#include <chrono>

namespace sinter::trainer {

/// What a run is, once recipe and flags are settled.
struct Run {
  Recipe recipe;
  int64_t epochs = 1, batchSize = 32;
  uint64_t seed = 0;
  bool shuffle = true;
};

Error settleRun(const sinter_model &model, const Options &options, Run &run);

/// The samples to train on and those to validate on.
struct TrainingData {
  Dataset training, separateValidation;
  Order order, validationOrder;
  ClassMap classes;
  bool isSplit = false;

  bool hasValidation() const { return !validationOrder.empty(); }
  const Dataset &validation() const {
    return isSplit ? training : separateValidation;
  }
};

Error loadTrainingData(const sinter_model &model, const Options &options,
                       const Run &run, TrainingData &data);

/// Loads --init, if it is given, and names the classes as the data does.
Error startFrom(const Options &options, const TrainingData &data,
                Instance &instance);

class Training {
public:
  /// Output follows the flags; `inFold` is for one of several runs: no
  /// progress, no checkpoints, no files from callbacks.
  Training(const Run &run, const TrainingData &data, Instance &instance,
           const Options &options, bool inFold = false);

  /// From the first epoch, or from a checkpoint, to the last.
  Error run();

  const History &figures() const { return history; }

private:
  using Clock = std::chrono::steady_clock;

  /// How much is done.
  struct Position {
    int64_t epoch = 0, step = 0;
    double epochSeconds = 0; // of the epoch that is not finished
  };

  Error openCheckpoint();
  Error resume();
  Error checkIdentity(const Notes &notes) const;
  Notes identity() const;
  std::vector<sinter_tensor> checkpointTensors() const;
  Error writeCheckpoint();
  bool isCheckpointDue() const;

  void orderEpoch();
  Error runEpoch();
  Error runSteps();
  double secondsSoFar() const;

  Error interrupted();
  Error diverged(const char *phase, int64_t step, int64_t steps, float loss);
  void goBackBefore(int64_t step);

  const Run &plan;
  const TrainingData &data;
  Instance &instance;
  const Options &options;
  const bool isQuiet, inFold;

  Order order;
  Batch batch;
  Means training, validation;
  History history;
  Progress progress;
  Callbacks callbacks;
  CallbackContext context;

  Position at;
  Clock::time_point epochBegan, lastWritten;
  Checkpoint checkpoint;
  uint32_t dataChecksum = 0;

  // The state some steps ago, to find out what a run died of.
  std::vector<char> snapshot;
  int64_t snapshotStep = 0;
};

} // namespace sinter::trainer

#endif
