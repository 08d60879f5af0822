// peak.cpp - what the machine can do: f32 multiply-adds and memory traffic a
// second, the ceilings of every figure beside them.
//
// Multiply-adds are the yardstick of a trainer's own `benchmark` command.
// Traffic is the triad a = b + s c over three arrays that together fill a part
// of a cache (half of L1 and L2; of L3 the half that is this thread's), or
// eight times the last one; 12 bytes an element, as if a store did not read.
// Neighbours on a shared host lower all of them: run it beside what is compared
// with it.
// Known weakness: cache sizes are what Linux says; where it says nothing, 32
// KiB, 1 MiB and 16 MiB are taken.
//
//   bench_peak [--json] [--threads N]
#include "runtime/trainer/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

#ifdef __x86_64__
#define WIDEST [[gnu::target_clones("avx512f", "avx2", "default")]]
typedef float Lanes __attribute__((vector_size(64)));
#else
#define WIDEST
typedef float Lanes __attribute__((vector_size(16)));
#endif

/// `sweeps` times a = b + scale c.
WIDEST void triad(Lanes *a, const Lanes *b, const Lanes *c, size_t count,
                  int64_t sweeps, float scale) {
  for (int64_t sweep = 0; sweep < sweeps; ++sweep) {
#pragma GCC unroll 4
    for (size_t i = 0; i < count; ++i)
      a[i] = b[i] + scale * c[i];
    // Not known to the compiler: another sweep has to be done.
    asm volatile("" : : "r"(a) : "memory");
  }
}

/// Of each thread; the arrays are its own.
struct Arrays {
  Lanes *memory;
  size_t count; // vectors of one array
  int64_t sweeps;
};

void runTriad(const sinter_call *call, int64_t thread) {
  const Arrays &mine = static_cast<const Arrays *>(call->state)[thread];
  // Some cache lines between the arrays, or all three would want the same
  // places of the cache.
  size_t stride = mine.count + 20;
  triad(mine.memory, mine.memory + stride, mine.memory + 2 * stride, mine.count,
        mine.sweeps, 0.5f);
}

/// Best GB/s of several runs on all threads, `bytes` of arrays each; 0 when
/// memory is refused.
double measureTriad(sinter_pool *pool, size_t bytes) {
  const int threads = sinter_pool_threads(pool);
  const size_t count = bytes / 3 / sizeof(Lanes);
  const double traffic = 3.0 * sizeof(Lanes) * static_cast<double>(count);
  const int64_t sweeps =
      std::max<int64_t>(1, static_cast<int64_t>(2e8 / traffic));
  std::vector<Arrays> arrays;
  for (int i = 0; i < threads; ++i) {
    size_t size = 3 * (count + 20) * sizeof(Lanes);
    void *memory = std::aligned_alloc(sizeof(Lanes), size);
    if (!memory)
      return 0;
    std::memset(memory, 0, size);
    arrays.push_back({static_cast<Lanes *>(memory), count, sweeps});
  }
  sinter_call call = {};
  call.state = arrays.data();
  call.pool = pool;
  double best = 0;
  for (int run = 0; run < 6; ++run) {
    const Clock::time_point begin = Clock::now();
    sinter_parallel_for(&call, runTriad, threads);
    double seconds =
        std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::max(best, traffic * static_cast<double>(sweeps) * threads /
                              seconds / 1e9);
  }
  for (Arrays &each : arrays)
    std::free(each.memory);
  return best;
}

/// Of a level's data cache, as the first core has it. What sysconf says is
/// another machine's on some virtual ones.
size_t cacheBytes(int level, size_t otherwise) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" +
                               std::to_string(index) + "/";
    int found = 0;
    size_t kib = 0;
    std::string kind;
    std::ifstream(folder + "level") >> found;
    std::ifstream(folder + "type") >> kind;
    std::ifstream(folder + "size") >> kib; // "32K"
    if (found == level && kind != "Instruction" && kib)
      return kib << 10;
  }
  return otherwise;
}

} // namespace

int main(int argc, char **argv) {
  bool json = false;
  int threads = 1;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--json")) {
      json = true;
    } else if (!std::strcmp(argv[i], "--threads") && i + 1 < argc &&
               std::atoi(argv[i + 1]) > 0) {
      threads = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr, "usage: bench_peak [--json] [--threads N]\n");
      return 2;
    }
  }
  sinter_pool *pool = sinter_pool_create(threads);
  if (!pool) {
    std::fprintf(stderr, "bench_peak: out of memory\n");
    return 3;
  }
  const size_t last = cacheBytes(3, 16 << 20);
  const size_t many = static_cast<size_t>(threads);
  const struct {
    const char *name;
    size_t bytes;
  } levels[] = {
      {"L1", cacheBytes(1, 32 << 10) / 2},
      {"L2", cacheBytes(2, 1 << 20) / 2},
      {"L3", last / 2 / many},
      {"DRAM", 8 * last / many},
  };
  double gflops = sinter::trainer::measurePeakFlops(pool) / 1e9;
  std::printf(json ? "{\"threads\": %d, \"gflops\": %.1f, \"triad\": ["
                   : "%d thread(s): %.1f GFLOP/s (f32)\n",
              threads, gflops);
  for (const auto &level : levels)
    std::printf(json ? "%s{\"level\": \"%s\", \"bytes\": %zu, \"gbs\": %.1f}"
                     : "%s%5s %10zu bytes a thread %8.1f GB/s\n",
                json && &level != levels ? ", " : "", level.name, level.bytes,
                measureTriad(pool, level.bytes));
  if (json)
    std::puts("]}");
  sinter_pool_destroy(pool);
  return 0;
}
