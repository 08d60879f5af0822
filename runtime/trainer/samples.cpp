// samples.cpp - orders and batches; see samples.h.
#include "runtime/trainer/samples.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sinter::trainer {

Order inOrder(int64_t count) {
  Order order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

void permute(Order &order, uint64_t seed, uint32_t stream, uint32_t epoch) {
  const uint32_t key[2] = {static_cast<uint32_t>(seed),
                           static_cast<uint32_t>(seed >> 32)};
  for (uint32_t i = static_cast<uint32_t>(order.size()); i > 1; --i) {
    const uint32_t counter[4] = {i, 0, epoch, stream};
    uint32_t words[4];
    sinter_philox4x32(counter, key, words);
    // 64 random bits modulo a number below 2^32: the bias is below 2^-32.
    uint64_t word = uint64_t{words[1]} << 32 | words[0];
    std::swap(order[i - 1], order[word % i]);
  }
}

Error split(const Recipe &recipe, Order &training, Order &validation) {
  if (recipe.shuffleBeforeSplit)
    permute(training, static_cast<uint64_t>(recipe.splitSeed),
            SINTER_STREAM_SPLIT, 0);
  size_t all = training.size();
  auto kept = static_cast<size_t>(
      std::floor(static_cast<double>(all) * (1 - recipe.validationSplit)));
  if (kept == 0 || kept == all)
    return wrongInput("data.validation_split: expected samples on both sides, "
                      "got %zu for training and %zu for validation",
                      kept, all - kept);
  validation.assign(training.begin() + static_cast<ptrdiff_t>(kept),
                    training.end());
  training.resize(kept);
  return {};
}

Batch::Batch(const Recipe &recipe, const ModelShape &model, int64_t capacity)
    : scale(recipe.inputScale), kind(recipe.targetKind),
      targetSize(static_cast<size_t>(shapeElements(model.target))),
      inputs(static_cast<size_t>(capacity * shapeElements(model.input))) {
  if (kind == TargetKind::Sparse)
    classes.resize(static_cast<size_t>(capacity));
  else
    values.resize(static_cast<size_t>(capacity) * targetSize);
}

const void *Batch::target() const {
  if (kind == TargetKind::Sparse)
    return classes.data();
  return values.data();
}

template <typename T>
static void scaleRow(const T *row, size_t size, float scale, float *scaled) {
  for (size_t i = 0; i < size; ++i)
    scaled[i] = static_cast<float>(row[i]) * scale;
}

static void gatherRow(const Array &array, size_t record, size_t size,
                      float scale, float *row) {
  if (array.type == ElementType::U8)
    scaleRow(array.bytes.data() + record * size, size, scale, row);
  else
    scaleRow(array.floats() + record * size, size, scale, row);
}

void Batch::gather(const Dataset &dataset, const Order &order, int64_t first,
                   int64_t count) {
  this->count = count;
  const size_t size = static_cast<size_t>(dataset.inputs.recordElements());
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    size_t sample = order[static_cast<size_t>(first) + i];
    gatherRow(dataset.inputs, sample, size, scale, inputs.data() + i * size);
    if (kind == TargetKind::Sparse)
      classes[i] = dataset.classes[sample];
    else
      gatherTarget(dataset, sample, values.data() + i * targetSize);
  }
}

void Batch::gatherTarget(const Dataset &dataset, size_t sample, float *row) {
  if (dataset.classes.empty()) {
    gatherRow(dataset.targets, sample, targetSize, 1, row);
    return;
  }
  std::fill_n(row, targetSize, 0.0f);
  row[dataset.classes[sample]] = 1;
}

void Batch::gatherInputs(const Array &array, int64_t first, int64_t count) {
  this->count = count;
  const size_t size = static_cast<size_t>(array.recordElements());
  for (size_t i = 0; i < static_cast<size_t>(count); ++i)
    gatherRow(array, static_cast<size_t>(first) + i, size, scale,
              inputs.data() + i * size);
}

} // namespace sinter::trainer
