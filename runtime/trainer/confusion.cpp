// confusion.cpp - predictions as classes, and their counts; see confusion.h.
//
// Known weakness: the recipe does not say whether `predict` ends in
// probabilities or logits, so a row is judged by its numbers. The class is the
// same either way for several classes; for one number, 0.5 splits as Keras's
// binary accuracy does.
#include "runtime/trainer/confusion.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace sinter::trainer {

static bool hasAccuracy(const sinter_function_info &function) {
  for (int64_t i = 0; i < function.num_outputs; ++i)
    if (std::strstr(function.outputs[i].name, "accuracy"))
      return true;
  return false;
}

size_t countClasses(const sinter_model &model, const Recipe &recipe) {
  if (!model.predict.run || model.predict.num_outputs > 1)
    return 0;
  const sinter_tensor_info &output = model.predict.outputs[0];
  if (output.rank != 2)
    return 0;
  const int64_t width = output.shape[1];
  const TargetForm &target = recipe.targets[0];
  if (target.kind != TargetKind::Values)
    return width == target.classes ? static_cast<size_t>(width) : 0;
  return width == 1 && model.eval_step.run && hasAccuracy(model.eval_step) ? 2
                                                                           : 0;
}

static Prediction classifyOne(float value) {
  Prediction result;
  result.predicted = value > 0.5f;
  float one = value >= 0 && value <= 1 ? value : 1 / (1 + std::exp(-value));
  result.probability = result.predicted ? one : 1 - one;
  return result;
}

Prediction classify(const float *row, size_t width) {
  if (width == 1)
    return classifyOne(*row);
  Prediction result;
  double sum = 0;
  bool isDistribution = true;
  for (size_t i = 0; i < width; ++i) {
    if (row[i] > row[result.predicted])
      result.predicted = static_cast<uint32_t>(i);
    sum += static_cast<double>(row[i]);
    isDistribution &= row[i] >= 0;
  }
  const float most = row[result.predicted];
  result.probability = most;
  if (isDistribution && std::fabs(sum - 1) < 1e-2)
    return result;
  double parts = 0; // softmax
  for (size_t i = 0; i < width; ++i)
    parts += std::exp(static_cast<double>(row[i] - most));
  result.probability = static_cast<float>(1 / parts);
  return result;
}

static uint32_t actualClass(const Dataset &dataset, uint32_t sample) {
  const auto &[values, classes] = dataset.targets[0];
  if (!classes.empty())
    return static_cast<uint32_t>(classes[sample]);
  const int64_t width = values.recordElements();
  const int64_t first = width * sample;
  if (width == 1)
    return values.at(first) > 0.5f;
  int64_t most = 0;
  for (int64_t i = 1; i < width; ++i)
    if (values.at(first + i) > values.at(first + most))
      most = i;
  return static_cast<uint32_t>(most);
}

std::vector<Prediction> predictClasses(Instance &instance, const PassData &data,
                                       Batch &batch) {
  const sinter_function_info &predict = instance.model().predict;
  const auto width = static_cast<size_t>(predict.outputs[0].shape[1]);
  std::vector<Prediction> predictions;
  predictions.reserve(data.order.size());
  for (int64_t first = 0; first < data.samples(); first += data.batchSize) {
    const int64_t count = std::min(data.batchSize, data.samples() - first);
    batch.gather(data.dataset, data.order, first, count);
    sinter_call call = instance.call(batch.arguments(), count);
    predict.run(&call);
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      Prediction prediction = classify(instance.output(0) + i * width, width);
      prediction.sample = data.order[static_cast<size_t>(first) + i];
      prediction.actual = actualClass(data.dataset, prediction.sample);
      predictions.push_back(prediction);
    }
  }
  return predictions;
}

Confusion::Confusion(size_t classes, const std::vector<Prediction> &predictions)
    : Confusion(classes) {
  for (const Prediction &prediction : predictions)
    add(prediction.actual, prediction.predicted);
}

int64_t Confusion::samplesOf(size_t actual) const {
  int64_t sum = 0;
  for (size_t i = 0; i < size; ++i)
    sum += at(actual, i);
  return sum;
}

int64_t Confusion::namedAs(size_t predicted) const {
  int64_t sum = 0;
  for (size_t i = 0; i < size; ++i)
    sum += at(i, predicted);
  return sum;
}

int64_t Confusion::samples() const {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

int64_t Confusion::right() const {
  int64_t sum = 0;
  for (size_t i = 0; i < size; ++i)
    sum += at(i, i);
  return sum;
}

static double share(int64_t part, int64_t all) {
  return all ? static_cast<double>(part) / static_cast<double>(all) : NAN;
}

double Confusion::recall(size_t actual) const {
  return share(at(actual, actual), samplesOf(actual));
}

double Confusion::precision(size_t predicted) const {
  return share(at(predicted, predicted), namedAs(predicted));
}

} // namespace sinter::trainer
