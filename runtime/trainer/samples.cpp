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
    : scales{recipe.inputScale} {
  auto addInput = [&](const Shape &shape) {
    inputs.emplace_back(static_cast<size_t>(capacity * shapeElements(shape)));
    pointers.push_back(inputs.back().data());
  };
  addInput(model.input);
  for (const Shape &other : model.others)
    addInput(other);
  scales.insert(scales.end(), recipe.otherScales.begin(),
                recipe.otherScales.end());
  scales.resize(inputs.size(), 1);
  for (size_t i = 0; i < model.targets.size(); ++i) {
    const auto size = static_cast<size_t>(shapeElements(model.targets[i]));
    targets.push_back({recipe.targets[i].kind, size, {}, {}});
    TargetBuffer &buffer = targets.back();
    if (buffer.kind == TargetKind::Sparse) {
      buffer.classes.resize(static_cast<size_t>(capacity));
      pointers.push_back(buffer.classes.data());
    } else {
      buffer.values.resize(static_cast<size_t>(capacity) * size);
      pointers.push_back(buffer.values.data());
    }
  }
}

template <typename T>
[[gnu::always_inline]] static inline void
scaleElements(const T *row, size_t size, float scale, float *scaled) {
  for (size_t i = 0; i < size; ++i)
    scaled[i] = static_cast<float>(row[i]) * scale;
}

#ifdef __x86_64__
template <typename T>
[[gnu::target("avx2")]] static void scaleBy8(const T *row, size_t size,
                                             float scale, float *scaled) {
  scaleElements(row, size, scale, scaled);
}
template <typename T>
[[gnu::target("avx512f")]] static void scaleBy16(const T *row, size_t size,
                                                 float scale, float *scaled) {
  scaleElements(row, size, scale, scaled);
}
#endif

/// Compiled once for each vector width; the widest that the machine has runs.
template <typename T>
static void scaleRow(const T *row, size_t size, float scale, float *scaled) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f"))
    return scaleBy16(row, size, scale, scaled);
  if (__builtin_cpu_supports("avx2"))
    return scaleBy8(row, size, scale, scaled);
#endif
  scaleElements(row, size, scale, scaled);
}

/// The elements `low` .. `high - 1` of a record, to the same places of `row`.
static void gatherRow(const Array &array, size_t record, size_t low,
                      size_t high, float scale, float *row) {
  const size_t start =
      record * static_cast<size_t>(array.recordElements()) + low;
  if (array.type == ElementType::U8)
    scaleRow(array.bytes.data() + start, high - low, scale, row + low);
  else
    scaleRow(array.floats() + start, high - low, scale, row + low);
}

static size_t elementBytes(const Array &array) {
  return array.type == ElementType::U8 ? 1 : sizeof(float);
}

/// Asks for what `gatherRow` will read. Inlined, because GCC takes a function
/// that does nothing but prefetch for one without effects, and drops its calls.
[[gnu::always_inline]] static inline void
prefetchRow(const Array &array, size_t record, size_t low, size_t high) {
  constexpr size_t line = 64;
  const size_t bytes = elementBytes(array);
  const uint8_t *row =
      array.bytes.data() +
      record * static_cast<size_t>(array.recordElements()) * bytes;
  for (size_t at = low * bytes; at < high * bytes; at += line)
    __builtin_prefetch(row + at, 0, 2);
}

// ---- A batch ----------------------------------------------------------------

struct Batch::Gathering {
  Batch &batch;
  const Dataset &dataset;
  const Order &order;
  size_t first, parts;
  bool asksAhead;
};

static const Array &arrayOf(const Dataset &dataset, size_t input) {
  return input ? dataset.others[input - 1] : dataset.inputs;
}

/// A part of each row of an input.
void Batch::gatherColumns(const Gathering &job, size_t input, size_t part) {
  const Array &array = arrayOf(job.dataset, input);
  const size_t size = static_cast<size_t>(array.recordElements());
  // Whole cache lines of the batch, but for the last part.
  constexpr size_t floatsInLine = 16;
  auto boundary = [&](size_t i) {
    return i == job.parts ? size
                          : i * size / job.parts / floatsInLine * floatsInLine;
  };
  const size_t low = boundary(part), high = boundary(part + 1);
  // As many rows as take long enough; long ones the processor follows itself.
  constexpr size_t bytesAhead = 4096;
  const size_t rowsAhead =
      bytesAhead / ((high - low) * elementBytes(array) + 1);
  auto askFor = [&](size_t number) {
    if (number < job.order.size())
      prefetchRow(array, job.order[number], low, high);
  };
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const size_t at = job.first + i;
    if (rowsAhead > 0)
      askFor(at + rowsAhead);
    if (job.asksAhead)
      askFor(at + static_cast<size_t>(count));
    gatherRow(array, job.order[at], low, high, scales[input],
              inputs[input].data() + i * size);
  }
}

void Batch::gatherPart(const sinter_call *call, int64_t part) {
  const Gathering &job = *static_cast<const Gathering *>(call->state);
  for (size_t input = 0; input < job.batch.inputs.size(); ++input)
    job.batch.gatherColumns(job, input, static_cast<size_t>(part));
  if (part == 0)
    job.batch.gatherTargets(job.dataset, job.order, job.first);
}

void Batch::gather(const Dataset &dataset, const Order &order, int64_t first,
                   int64_t count, sinter_pool *pool) {
  this->count = count;
  // A part should be worth a hand-over, a thread goes through the rows but
  // once; rows ahead should stay in the second cache.
  constexpr int64_t leastInPart = 4096;
  const int64_t mostParts = pool ? sinter_pool_threads(pool) : 1;
  constexpr size_t mostBytesAhead = size_t(1) << 18;
  int64_t numbers = 0;
  size_t bytes = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Array &array = arrayOf(dataset, i);
    const int64_t own = count * array.recordElements();
    numbers += own;
    bytes += static_cast<size_t>(own) * elementBytes(array);
  }
  const int64_t parts =
      std::clamp(numbers / leastInPart, int64_t{1}, mostParts);
  Gathering job = {*this,
                   dataset,
                   order,
                   static_cast<size_t>(first),
                   static_cast<size_t>(parts),
                   bytes <= mostBytesAhead};
  const sinter_call call = {&job, nullptr, nullptr, nullptr, count, pool};
  sinter_parallel_for(&call, gatherPart, static_cast<int64_t>(job.parts));
}

static void gatherTarget(const Targets &targets, size_t sample, size_t size,
                         float *row) {
  if (targets.classes.empty()) {
    gatherRow(targets.values, sample, 0, size, 1, row);
    return;
  }
  std::fill_n(row, size, 0.0f);
  row[targets.classes[sample]] = 1;
}

void Batch::gatherTargets(const Dataset &dataset, const Order &order,
                          size_t first) {
  for (size_t output = 0; output < targets.size(); ++output) {
    const Targets &from = dataset.targets[output];
    TargetBuffer &to = targets[output];
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const size_t sample = order[first + i];
      if (to.kind == TargetKind::Sparse)
        to.classes[i] = from.classes[sample];
      else
        gatherTarget(from, sample, to.size, to.values.data() + i * to.size);
    }
  }
}

void Batch::gatherInputs(const Dataset &dataset, int64_t first, int64_t count) {
  this->count = count;
  for (size_t input = 0; input < inputs.size(); ++input) {
    const Array &array = arrayOf(dataset, input);
    const size_t size = static_cast<size_t>(array.recordElements());
    for (size_t i = 0; i < static_cast<size_t>(count); ++i)
      gatherRow(array, static_cast<size_t>(first) + i, 0, size, scales[input],
                inputs[input].data() + i * size);
  }
}

} // namespace sinter::trainer
