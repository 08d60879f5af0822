// peak.cpp - the FMA peak and the bandwidth of memory, as the yardsticks for
// `benchmark`.
//
// Twelve independent chains of multiply-adds hide the latency of the units; a
// triad goes through arrays of the size of each cache. Both loops are compiled
// once for each vector width, and the widest that the machine has is timed. The
// best of many short runs counts: on a machine that is shared, a short one has
// a better chance to be left alone.
// Known weakness: on a machine that shares its cores the peak moves by some
// percent from run to run.
#include "runtime/trainer/peak.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace sinter::trainer {

namespace {

constexpr int chains = 12, timedRuns = 48;
constexpr int64_t rounds = 1 << 17;

/// One thread's arithmetic; `lanes` is a vector of f32.
template <typename Lanes>
[[gnu::always_inline]] inline float multiplyAdd(float factor, float term) {
  Lanes sums[chains] = {}, factors = {}, terms = {};
  factors += factor;
  terms += term;
  // Chains that start alike would be one chain to the compiler.
  for (int i = 0; i < chains; ++i)
    sums[i] += factor + static_cast<float>(i);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i)
      sums[i] = sums[i] * factors + terms;
  float sum = 0;
  for (int i = 0; i < chains; ++i)
    sum += sums[i][0];
  return sum;
}

/// One thread's share of a = b + factor * c, `passes` times.
template <typename Lanes>
[[gnu::always_inline]] inline void triad(float *a, size_t count, float factor,
                                         int64_t passes) {
  auto *results = reinterpret_cast<Lanes *>(a);
  const auto *terms = reinterpret_cast<const Lanes *>(a + count);
  const auto *others = reinterpret_cast<const Lanes *>(a + 2 * count);
  const size_t vectors = count / (sizeof(Lanes) / sizeof(float));
  for (int64_t pass = 0; pass < passes; ++pass) {
#pragma GCC unroll 4
    for (size_t i = 0; i < vectors; ++i)
      results[i] = terms[i] + factor * others[i];
    asm volatile("" ::: "memory"); // or one pass would do
  }
}

typedef float Lanes4 __attribute__((vector_size(16)));
float multiplyAdd4(float factor, float term) {
  return multiplyAdd<Lanes4>(factor, term);
}
void triad4(float *a, size_t count, float factor, int64_t passes) {
  triad<Lanes4>(a, count, factor, passes);
}

#ifdef __x86_64__
typedef float Lanes8 __attribute__((vector_size(32)));
typedef float Lanes16 __attribute__((vector_size(64)));
[[gnu::target("avx2,fma")]] float multiplyAdd8(float factor, float term) {
  return multiplyAdd<Lanes8>(factor, term);
}
[[gnu::target("avx512f")]] float multiplyAdd16(float factor, float term) {
  return multiplyAdd<Lanes16>(factor, term);
}
[[gnu::target("avx2,fma")]] void triad8(float *a, size_t count, float factor,
                                        int64_t passes) {
  triad<Lanes8>(a, count, factor, passes);
}
[[gnu::target("avx512f")]] void triad16(float *a, size_t count, float factor,
                                        int64_t passes) {
  triad<Lanes16>(a, count, factor, passes);
}
#endif

struct Loop {
  int lanes;
  float (*run)(float factor, float term);
  void (*triad)(float *a, size_t count, float factor, int64_t passes);
};

Loop widestLoop() {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f"))
    return {16, multiplyAdd16, triad16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {8, multiplyAdd8, triad8};
#endif
  return {4, multiplyAdd4, triad4};
}

struct Job {
  Loop loop;
  // Not known to the compiler, so that the arithmetic has to be done.
  volatile float factor = 0.999f, term = 0.001f, result = 0;
};

void runLoop(const sinter_call *call, int64_t) {
  Job &job = *static_cast<Job *>(call->state);
  job.result = job.loop.run(job.factor, job.term);
}

using Clock = std::chrono::steady_clock;

/// The same for every thread; thread t's arrays begin at 3 * count * t.
struct TriadJob {
  Loop loop;
  float *arrays;
  size_t count; // elements of one array of one thread
  int64_t passes;
};

void runTriad(const sinter_call *call, int64_t thread) {
  const TriadJob &job = *static_cast<TriadJob *>(call->state);
  job.loop.triad(job.arrays + 3 * job.count * static_cast<size_t>(thread),
                 job.count, 0.5f, job.passes);
}

double timeOf(const sinter_call &call, sinter_task task, int threads) {
  const Clock::time_point begin = Clock::now();
  sinter_parallel_for(&call, task, threads);
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Free {
  void operator()(float *memory) const { std::free(memory); }
};

/// All threads' arrays together have `bytes`. 0 where memory is refused.
double measureTriad(sinter_pool *pool, int threads, double bytes) {
  constexpr size_t alignment = size_t(1) << 21, lanes = 64;
  constexpr double bytesOfRun = 32 << 20; // long against starting a kernel
  constexpr int runs = 16;
  const auto parts = static_cast<size_t>(threads);
  const size_t count =
      static_cast<size_t>(bytes) / (3 * sizeof(float) * parts) / lanes * lanes;
  const size_t all =
      (3 * count * sizeof(float) * parts + alignment) / alignment * alignment;
  std::unique_ptr<float, Free> arrays(
      static_cast<float *>(std::aligned_alloc(alignment, all)));
  if (!arrays || count == 0)
    return 0;
#ifdef MADV_HUGEPAGE
  (void)madvise(arrays.get(), all, MADV_HUGEPAGE);
#endif
  std::fill_n(arrays.get(), all / sizeof(float), 1.0f);
  const auto passes = static_cast<int64_t>(bytesOfRun * threads / bytes) + 1;
  TriadJob job{widestLoop(), arrays.get(), count, passes};
  sinter_call call = {};
  call.state = &job;
  call.pool = pool;
  const double work =
      12.0 * static_cast<double>(count) * threads * static_cast<double>(passes);
  double best = 0;
  for (int run = 0; run < runs; ++run)
    best = std::max(best, work / timeOf(call, runTriad, threads));
  return best;
}

double measureFlops(sinter_pool *pool, int threads) {
  Job job{widestLoop()};
  sinter_call call = {};
  call.state = &job;
  call.pool = pool;
  const double work = 2.0 * chains * job.loop.lanes * rounds * threads;
  double best = 0;
  for (int run = 0; run < timedRuns; ++run)
    best = std::max(best, work / timeOf(call, runLoop, threads));
  return best;
}

double cacheBytesOfSystem(int level) {
#ifdef _SC_LEVEL1_DCACHE_SIZE
  constexpr int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE,
                           _SC_LEVEL3_CACHE_SIZE};
  return static_cast<double>(std::max(0L, sysconf(names[level - 1])));
#else
  return 0;
#endif
}

/// Of one core's data cache of this level, 0 where it is not known. Linux's
/// files come first: sysconf counts all parts of a divided L3.
double cacheBytes(int level) {
  for (int index = 0; index < 5; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" +
                               std::to_string(index) + "/";
    auto read = [&](const char *name) {
      char text[32] = {};
      if (std::FILE *file = std::fopen((folder + name).c_str(), "r")) {
        if (!std::fgets(text, sizeof text, file))
          text[0] = 0;
        std::fclose(file);
      }
      return std::string(text);
    };
    const std::string size = read("size");
    if (read("level") == std::to_string(level) + "\n" &&
        read("type") != "Instruction\n" && size.find('K') != size.npos)
      return 1024 * std::strtod(size.c_str(), nullptr);
  }
  return cacheBytesOfSystem(level);
}

} // namespace

double measurePeakFlops(sinter_pool *pool) {
  return measureFlops(pool, sinter_pool_threads(pool));
}

Machine measureMachine(sinter_pool *pool, int threads) {
  constexpr double least = 64 << 20, most = 256 << 20; // to measure DRAM with
  Machine machine;
  machine.threads = threads;
  machine.flopsPerSecond = measureFlops(pool, threads);
  const MemoryLevel levels[] = {{"L1", cacheBytes(1) * threads, 0},
                                {"L2", cacheBytes(2) * threads, 0},
                                {"L3", cacheBytes(3), 0}};
  double nearer = 0;
  for (MemoryLevel level : levels) {
    if (level.bytes <= nearer)
      continue;
    // In the middle between two caches: clear of both.
    const double size =
        nearer > 0 ? std::sqrt(nearer * level.bytes) : level.bytes / 2;
    level.bytesPerSecond = measureTriad(pool, threads, size);
    nearer = level.bytes;
    machine.levels.push_back(level);
  }
  machine.levels.push_back(
      {"DRAM", std::numeric_limits<double>::infinity(),
       measureTriad(pool, threads, std::clamp(4 * nearer, least, most))});
  return machine;
}

const MemoryLevel &Machine::levelOf(double bytes) const {
  return *std::find_if(
      levels.begin(), levels.end(),
      [&](const MemoryLevel &level) { return bytes <= level.bytes; });
}

void Machine::improve(const Machine &other) {
  flopsPerSecond = std::max(flopsPerSecond, other.flopsPerSecond);
  for (size_t i = 0; i < levels.size(); ++i)
    levels[i].bytesPerSecond =
        std::max(levels[i].bytesPerSecond, other.levels[i].bytesPerSecond);
}

} // namespace sinter::trainer
