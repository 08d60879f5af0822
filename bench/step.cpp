// step.cpp - calls of a compiled model's library: NAME_train_step or
// NAME_predict, as an app would make them.
//
// All samples are in memory as the function reads them; a call is one step on
// the next batch. Denormals count as zero, as in a trainer.
// Known weakness: knows models of one input whose outputs in training are loss
// and one metric, with class numbers as targets.
//
//   bench_step LIBRARY NAME train_step|predict BATCH PIXELS CLASSES THREADS
//   DATA
//
// DATA: bytes, PIXELS for each sample, then a byte for each label. Timed in
// slices (slices.h).
#include "bench/slices.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <iterator>
#include <string>

struct sinter_pool;

namespace {

template <typename Function> Function *find(void *library, std::string name) {
  void *symbol = dlsym(library, name.c_str());
  if (!symbol) {
    std::fprintf(stderr, "bench_step: %s\n", dlerror());
    std::exit(1);
  }
  return reinterpret_cast<Function *>(symbol);
}

/// Zeroed, at a multiple of 64.
template <typename Value> Value *allocate(size_t count) {
  size_t bytes = (count * sizeof(Value) + 63) / 64 * 64;
  void *memory = std::aligned_alloc(64, bytes);
  if (!memory) {
    std::fprintf(stderr, "bench_step: out of memory\n");
    std::exit(3);
  }
  return static_cast<Value *>(std::memset(memory, 0, bytes));
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 9) {
    std::fprintf(stderr, "usage: bench_step LIBRARY NAME train_step|predict "
                         "BATCH PIXELS CLASSES THREADS DATA\n");
    return 2;
  }
  const std::string name = argv[2], function = argv[3];
  const size_t batch = std::strtoul(argv[4], nullptr, 10),
               pixels = std::strtoul(argv[5], nullptr, 10),
               classes = std::strtoul(argv[6], nullptr, 10);
  void *library = dlopen(argv[1], RTLD_NOW);
  std::ifstream file(argv[8], std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  const size_t samples = bytes.size() / (pixels + 1);
  if (!library || samples < batch || !batch) {
    std::fprintf(stderr, "bench_step: expected a library and %zu samples: %s\n",
                 batch, library ? argv[8] : dlerror());
    return 1;
  }

  float *inputs = allocate<float>(samples * pixels);
  int32_t *targets = allocate<int32_t>(samples);
  for (size_t i = 0; i < samples * pixels; ++i)
    inputs[i] = static_cast<float>(static_cast<uint8_t>(bytes[i])) / 255;
  for (size_t i = 0; i < samples; ++i)
    targets[i] = static_cast<int32_t>(
        static_cast<uint8_t>(bytes[samples * pixels + i]) % classes);

  auto size = [&](const char *what) {
    return static_cast<size_t>(find<int64_t()>(library, name + what)());
  };
  char *state = allocate<char>(size("_state_bytes"));
  char *arena = allocate<char>(size("_arena_bytes"));
  float *prediction = allocate<float>(batch * classes);
  find<void(void *, uint64_t)>(library, name + "_init")(state, 42);
  find<void()>(library, "sinter_flush_denormals")();
  sinter_pool *pool = find<sinter_pool *(int)>(library, "sinter_pool_create")(
      std::atoi(argv[7]));
  if (!pool) {
    std::fprintf(stderr, "bench_step: expected %s threads, got none\n",
                 argv[7]);
    return 3;
  }

  size_t first = 0;
  auto next = [&] {
    size_t now = first;
    first = now + 2 * batch <= samples ? now + batch : 0;
    return now;
  };
  const int64_t count = static_cast<int64_t>(batch);
  if (function == "predict") {
    auto *predict =
        find<void(const void *, void *, int64_t, const float *, float *,
                  sinter_pool *)>(library, name + "_predict");
    serveSlices([&] {
      predict(state, arena, count, inputs + next() * pixels, prediction, pool);
    });
  } else {
    auto *step = find<void(void *, void *, int64_t, const float *,
                           const int32_t *, float *, float *, sinter_pool *)>(
        library, name + "_" + function);
    float loss, metric;
    serveSlices([&] {
      size_t sample = next();
      step(state, arena, count, inputs + sample * pixels, targets + sample,
           &loss, &metric, pool);
    });
  }
  return 0;
}
