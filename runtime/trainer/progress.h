// progress.h - what a person sees while training runs.
//
// On a terminal a bar in place, drawn at most ten times a second; elsewhere
// one line an epoch. Nothing is allocated while an epoch runs.
#ifndef SINTER_TRAINER_PROGRESS_H
#define SINTER_TRAINER_PROGRESS_H

#include "runtime/trainer/notes.h"

#include <chrono>
#include <cstdint>
#include <vector>

namespace sinter::trainer {

/// Running means of a function's outputs.
class Means {
public:
  explicit Means(const sinter_function_info &function)
      : outputs(function.outputs),
        sums(static_cast<size_t>(function.num_outputs)) {}

  void clear() {
    sums.assign(sums.size(), 0.0);
    samples = 0;
  }
  void add(int64_t output, double batchMean, int64_t count) {
    sums[static_cast<size_t>(output)] += batchMean * static_cast<double>(count);
  }
  void addSamples(int64_t count) { samples += count; }

  size_t size() const { return sums.size(); }
  const char *name(size_t i) const { return outputs[i].name; }
  double mean(size_t i) const { return sums[i] / static_cast<double>(samples); }

  void save(Notes &notes, const std::string &key) const {
    notes.put(key + ".sums", sums);
    notes.put(key + ".samples", samples);
  }
  /// False when the notes hold something else.
  bool load(const Notes &notes, const std::string &key) {
    std::vector<double> values;
    if (!notes.get(key + ".sums", values) || values.size() != sums.size() ||
        !notes.get(key + ".samples", samples))
      return false;
    sums.assign(values.begin(), values.end());
    return true;
  }

private:
  const sinter_tensor_info *outputs;
  std::vector<double> sums;
  int64_t samples = 0;
};

class Progress {
public:
  enum class Style { Quiet, Lines, Bar };

  /// A bar where standard output is a terminal, else lines.
  static Style styleOfOutput();

  Progress(Style style, int64_t epochs, int64_t stepsPerEpoch);

  /// The next epoch is the one behind `epochs`, of which `steps` are done.
  void resumeAt(int64_t epochs, int64_t steps) {
    epoch = epochs;
    firstStep = steps;
  }
  void beginEpoch();
  void step(int64_t step, const Means &training);
  /// `validation` may be null.
  void endEpoch(const Means &training, const Means *validation, double seconds);

  /// Leaves the bar as it is; the next text begins a line.
  void abandon();

private:
  using Clock = std::chrono::steady_clock;

  void draw(int64_t step, const Means &training, double secondsLeft);

  const Style style;
  const int64_t epochs, stepsPerEpoch;
  int64_t epoch = 0, firstStep = 0;
  int columns = 80;
  Clock::time_point begin, lastDrawn;
};

} // namespace sinter::trainer

#endif
