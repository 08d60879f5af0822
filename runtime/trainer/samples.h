// samples.h - which samples of a data set, in which order, and their batches.
//
// Splitting and shuffling permute indices, never the data. A permutation is a
// pure function of seed, stream and epoch, so any epoch's order can be found
// without the ones before it.
// A batch is gathered by the pool's threads, each the same part of every
// sample: a model whose first layer sums over its inputs in parts finds its
// part in its own cache. In random order every row of a large data set comes
// from DRAM (some 0.5 us for 784 bytes, against 0.07 us from the cache), so a
// batch asks for a few rows ahead, and for those of the batch behind it, which
// then come from the last cache; large pages (large_pages.h) let it find them.
// Known weakness: it is still a tenth of the CPU time of training fashion_mlp.
#ifndef SINTER_TRAINER_SAMPLES_H
#define SINTER_TRAINER_SAMPLES_H

#include "runtime/trainer/dataset.h"

namespace sinter::trainer {

using Order = std::vector<uint32_t>;

/// 0, 1, ..., count-1
Order inOrder(int64_t count);

/// Fisher and Yates's shuffle, drawn from Philox.
void permute(Order &order, uint64_t seed, uint32_t stream, uint32_t epoch);

/// Moves the last `fraction` (of `recipe.validationSplit`) into `validation`.
Error split(const Recipe &recipe, Order &training, Order &validation);

/// The buffers for one batch, allocated once.
class Batch {
public:
  Batch(const Recipe &recipe, const ModelShape &model, int64_t capacity);

  /// Copies, converts and scales `count` samples from `first` of `order` on,
  /// with the threads of `pool` if there is one.
  void gather(const Dataset &dataset, const Order &order, int64_t first,
              int64_t count, sinter_pool *pool = nullptr);
  /// Inputs only: the samples `first` .. `first + count - 1`.
  void gatherInputs(const Dataset &dataset, int64_t first, int64_t count);

  int64_t size() const { return count; }
  /// The first input.
  float *input() { return inputs[0].data(); }
  /// Of an output: classes (i32) or values (f32).
  const void *target(size_t output = 0) const {
    return pointers[inputs.size() + output];
  }
  /// What a function is called with: the inputs, then the targets, which
  /// prediction leaves unread.
  const void *const *arguments() const { return pointers.data(); }

private:
  struct Gathering;
  static void gatherPart(const sinter_call *call, int64_t part);
  void gatherColumns(const Gathering &job, size_t input, size_t part);
  void gatherTargets(const Dataset &dataset, const Order &order, size_t first);

  /// Of one output.
  struct TargetBuffer {
    TargetKind kind;
    size_t size;                  // numbers a sample
    std::vector<float> values;    // OneHot, Values
    std::vector<int32_t> classes; // Sparse
  };

  std::vector<float> scales; // of the inputs
  int64_t count = 0;
  std::vector<std::vector<float>> inputs;
  std::vector<TargetBuffer> targets;
  std::vector<const void *> pointers;
};

} // namespace sinter::trainer

#endif
