// instance.cpp - memory around a compiled model; see instance.h.
#include "runtime/trainer/instance.h"
#include "runtime/trainer/large_pages.h"

#include <algorithm>
#include <cstring>
#include <sched.h>
#include <unistd.h>

namespace sinter::trainer {

static int64_t elements(const sinter_state_info &state) {
  int64_t count = 1;
  for (int i = 0; i < state.rank; ++i)
    count *= state.shape[i];
  return count;
}

WeightCount countWeights(const sinter_model &model) {
  WeightCount count;
  for (int64_t i = 0; i < model.num_states; ++i) {
    const sinter_state_info &state = model.states[i];
    if (state.role == SINTER_PARAMETER)
      count.trained += elements(state);
    else if (state.role == SINTER_FROZEN)
      count.frozen += elements(state);
  }
  return count;
}

int availableThreads() {
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    return CPU_COUNT(&allowed);
#endif
  return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

/// Numbers in an output when the batch is full.
static size_t outputElements(const sinter_tensor_info &output, int64_t batch) {
  int64_t count = 1;
  for (int i = 0; i < output.rank; ++i)
    count *= output.shape[i] < 0 ? batch : output.shape[i];
  return static_cast<size_t>(count);
}

Error Instance::create(const sinter_model &model, int threads, uint64_t seed) {
  if (model.abi_version != SINTER_ABI_VERSION)
    return runFailed("expected a model of ABI %u, got %u", SINTER_ABI_VERSION,
                     model.abi_version);
  compiled = &model;
  int64_t arenaBytes = 0;
  for (const sinter_function_info *function :
       {&model.predict, &model.predict_one, &model.eval_step,
        &model.train_step, &model.prepare}) {
    if (!function->run)
      continue;
    arenaBytes = std::max(arenaBytes, function->arena_bytes);
    size_t count = static_cast<size_t>(function->num_outputs);
    outputs.resize(std::max(outputs.size(), count));
    for (size_t i = 0; i < count; ++i)
      outputs[i].resize(
          std::max(outputs[i].size(),
                   outputElements(function->outputs[i], model.batch_bound)));
  }
  for (std::vector<float> &output : outputs)
    outputPointers.push_back(output.data());
  state.reset(allocateInLargePages(static_cast<size_t>(model.state_bytes)));
  arena.reset(allocateInLargePages(static_cast<size_t>(arenaBytes)));
  if (!state || !arena)
    return runFailed("out of memory: expected %lld bytes",
                     static_cast<long long>(model.state_bytes + arenaBytes));
  pool.reset(sinter_pool_create(threads > 0 ? threads : availableThreads()));
  if (!pool)
    return runFailed("cannot start the threads");
  sinter_flush_denormals();
  restart(seed);
  return {};
}

static constexpr size_t mostMessageBytes = 4096;

Error Instance::load(const std::string &path) {
  char message[mostMessageBytes];
  sinter_status status = sinter_load_weights(
      compiled, state.get(), path.c_str(), message, sizeof message);
  if (status != SINTER_OK)
    return {Status(status), message};
  Notes notes;
  if (Error error = notes.read(path))
    return error;
  return classes.load(path, notes);
}

Error Instance::save(const std::string &path) const {
  Notes notes;
  classes.save(notes);
  const std::vector<sinter_metadata> metadata = notes.metadata();
  const std::vector<sinter_tensor> tensors = weights();
  char message[mostMessageBytes];
  sinter_status status = sinter_write_tensors(
      path.c_str(), tensors.data(), static_cast<int64_t>(tensors.size()),
      metadata.data(), static_cast<int64_t>(metadata.size()), message,
      sizeof message);
  return status == SINTER_OK ? Error{} : Error{Status(status), message};
}

void Instance::restart(uint64_t seed) {
  sinter_init_state(compiled, state.get(), seed);
}

void Instance::copyState(void *copy) const {
  std::memcpy(copy, state.get(), stateBytes());
}

void Instance::setState(const void *copy) {
  std::memcpy(state.get(), copy, stateBytes());
  sinter_mark_stale(compiled, state.get());
}

float *Instance::find(const char *name) {
  const sinter_state_info *info = sinter_find_state(compiled, name);
  return info ? reinterpret_cast<float *>(static_cast<char *>(state.get()) +
                                          info->offset)
              : nullptr;
}

std::vector<sinter_tensor> Instance::states() const {
  std::vector<sinter_tensor> list(static_cast<size_t>(compiled->num_states));
  list.resize(static_cast<size_t>(
      sinter_list_states(compiled, state.get(), list.data())));
  return list;
}

std::vector<sinter_tensor> Instance::weights() const {
  std::vector<sinter_tensor> list(static_cast<size_t>(compiled->num_states));
  list.resize(static_cast<size_t>(
      sinter_list_weights(compiled, state.get(), list.data())));
  return list;
}

sinter_call Instance::call(const void *const *inputs, int64_t batch) {
  return {state.get(),           arena.get(), inputs,
          outputPointers.data(), batch,       pool.get()};
}

} // namespace sinter::trainer
