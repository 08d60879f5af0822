// instance.h - a compiled model with the memory that it runs in: state, arena,
// outputs and threads. Everything is allocated by `create`.
#ifndef SINTER_TRAINER_INSTANCE_H
#define SINTER_TRAINER_INSTANCE_H

#include "runtime/trainer/class_map.h"

#include <cstdlib>
#include <memory>
#include <vector>

namespace sinter::trainer {

/// Elements of all states that are weights, trained or frozen.
struct WeightCount {
  int64_t trained = 0, frozen = 0;
  int64_t all() const { return trained + frozen; }
};
WeightCount countWeights(const sinter_model &model);

/// CPUs that this process may use.
int availableThreads();

class Instance {
public:
  /// `threads` 0: one for each available CPU.
  Error create(const sinter_model &model, int threads, uint64_t seed);

  /// Weights, and the labels of the classes where the file has them.
  Error load(const std::string &path);
  Error save(const std::string &path) const;
  /// What the classes are called, for files and people.
  ClassMap classes;

  /// Weights and optimizer as they were before the first step.
  void restart(uint64_t seed);
  /// The state without what is derived: `stateBytes` bytes.
  size_t stateBytes() const {
    return static_cast<size_t>(compiled->derived_offset);
  }
  void copyState(void *copy) const;
  void setState(const void *copy);
  /// Of the state called `name`, or null.
  float *find(const char *name);
  /// All states, or the weights only, where they lie.
  std::vector<sinter_tensor> states() const;
  std::vector<sinter_tensor> weights() const;
  /// To be called when they have been written there.
  void markChanged() { sinter_mark_stale(compiled, state.get()); }

  /// What a function of the model, or one of its kernels, is called with.
  sinter_call call(const void *const *inputs, int64_t batch);

  /// Output i of the function that ran last.
  const float *output(int64_t i) const {
    return outputs[static_cast<size_t>(i)].data();
  }
  const sinter_model &model() const { return *compiled; }
  sinter_pool *threadPool() const { return pool.get(); }
  int threads() const { return sinter_pool_threads(pool.get()); }

private:
  struct Free {
    void operator()(void *memory) const { std::free(memory); }
    void operator()(sinter_pool *pool) const { sinter_pool_destroy(pool); }
  };

  const sinter_model *compiled = nullptr;
  std::unique_ptr<void, Free> state, arena;
  std::unique_ptr<sinter_pool, Free> pool;
  std::vector<std::vector<float>> outputs;
  std::vector<void *> outputPointers;
};

} // namespace sinter::trainer

#endif
