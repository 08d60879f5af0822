// confusion.h - which classes a model takes for which.
//
// A classifier's predictions are gathered once, one small record a sample;
// counts, samples to show and rates all come from these records.
#ifndef SINTER_TRAINER_CONFUSION_H
#define SINTER_TRAINER_CONFUSION_H

#include "runtime/trainer/pass.h"

namespace sinter::trainer {

/// What the model says of one sample.
struct Prediction {
  uint32_t sample = 0; // its record in the data set
  uint32_t actual = 0, predicted = 0;
  float probability = 0; // of the predicted class

  bool isRight() const { return actual == predicted; }
};

/// How many classes the model tells apart: recipe's, 2 for one number with an
/// accuracy (split at 0.5, as Keras's does), 0 when it is no classifier or has
/// several outputs.
size_t countClasses(const sinter_model &model, const Recipe &recipe);

/// The class that a row of `predict` names, and its probability; a single
/// number tells two classes apart. A row that is no distribution holds logits.
Prediction classify(const float *row, size_t width);

/// Runs the `predict` of a classifier on the samples of `data.order`, in that
/// order.
std::vector<Prediction> predictClasses(Instance &instance, const PassData &data,
                                       Batch &batch);

class Confusion {
public:
  explicit Confusion(size_t classes)
      : size(classes), counts(classes * classes) {}
  Confusion(size_t classes, const std::vector<Prediction> &predictions);

  void add(size_t actual, size_t predicted) {
    ++counts[actual * size + predicted];
  }

  size_t classes() const { return size; }
  int64_t at(size_t actual, size_t predicted) const {
    return counts[actual * size + predicted];
  }
  int64_t samplesOf(size_t actual) const;
  int64_t namedAs(size_t predicted) const;
  int64_t samples() const;
  int64_t right() const;
  /// Of the class's samples, the part that was found; NaN without samples.
  double recall(size_t actual) const;
  /// Of the samples named so, the part that are; NaN when none was.
  double precision(size_t predicted) const;

private:
  size_t size;
  std::vector<int64_t> counts; // a row for each actual class
};

} // namespace sinter::trainer

#endif
