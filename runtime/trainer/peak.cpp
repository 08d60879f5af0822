// peak.cpp - the FMA peak, as the yardstick for `benchmark`.
//
// Twelve independent chains of multiply-adds hide the latency of the units;
// the loop is compiled once for each vector width, and the widest that the
// machine has is timed. The best of several runs counts.
// Known weakness: on a machine that shares its cores the peak moves by some
// percent from run to run.
#include "runtime/trainer/peak.h"

#include <algorithm>
#include <chrono>

namespace sinter::trainer {

namespace {

constexpr int chains = 12, timedRuns = 8;
constexpr int64_t rounds = 1 << 20;

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

typedef float Lanes4 __attribute__((vector_size(16)));
float multiplyAdd4(float factor, float term) {
  return multiplyAdd<Lanes4>(factor, term);
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
#endif

struct Loop {
  int lanes;
  float (*run)(float factor, float term);
};

Loop widestLoop() {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f"))
    return {16, multiplyAdd16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {8, multiplyAdd8};
#endif
  return {4, multiplyAdd4};
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

} // namespace

double measurePeakFlops(sinter_pool *pool) {
  using Clock = std::chrono::steady_clock;
  Job job{widestLoop()};
  const int threads = sinter_pool_threads(pool);
  sinter_call call = {};
  call.state = &job;
  call.pool = pool;
  double best = 0;
  for (int run = 0; run < timedRuns; ++run) {
    const Clock::time_point begin = Clock::now();
    sinter_parallel_for(&call, runLoop, threads);
    double seconds =
        std::chrono::duration<double>(Clock::now() - begin).count();
    double flops = 2.0 * chains * job.loop.lanes * rounds * threads;
    best = std::max(best, flops / seconds);
  }
  return best;
}

} // namespace sinter::trainer
