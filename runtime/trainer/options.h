// options.h - the command line of a trainer.
#ifndef SINTER_TRAINER_OPTIONS_H
#define SINTER_TRAINER_OPTIONS_H

#include "runtime/trainer/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sinter::trainer {

enum class Command { Train, Evaluate, Predict, CrossValidate, Info, Benchmark };

struct Options {
  Command command = Command::Train;
  /// Not empty when help was asked for: print it and do nothing else.
  std::string help;

  std::string data = ".";
  std::string init, save, history, report; // train
  std::string checkpointDirectory;         // train
  std::string weights;                     // evaluate, predict
  /// The compiled model brings weights or has no parameters: evaluate and
  /// predict need no file. Set before parsing.
  bool modelHasWeights = false;
  std::vector<std::string> inputs; // predict: FILE or NAME=FILE
  std::string output;              // predict
  // What is not given comes from the recipe.
  std::optional<int64_t> epochs, batchSize, seed;
  int threads = 0; // 0: one for each available CPU
  // Between checkpoints within an epoch; seconds where steps are 0.
  int64_t checkpointSteps = 0;
  double checkpointSeconds = 60;
  int64_t folds = 5;             // cross-validate
  std::string function;          // benchmark; empty: the model's main one
  std::optional<int64_t> repeat; // benchmark
  bool noShuffle = false, noValidation = false, quiet = false, json = false;
  bool checkpointsWithinEpochs = false; // --checkpoint-every was given
  bool resume = false, argmax = false, confusion = false, shuffleFolds = false;
};

Error parseOptions(int argc, const char *const *argv, Options &options);

} // namespace sinter::trainer

#endif
