// peak.cpp - what this core can do: fused multiply-adds a second.
//
// Problem: "87 GFLOP/s" says nothing without the machine's ceiling, and data
// sheets give clocks that a core with wide vectors does not hold.
// Idea: enough independent accumulators to hide the latency of an FMA (4
// cycles, 2 a cycle: 8; 24 fill AVX-512's registers well, 12 AVX2's), no memory
// traffic, for a few milliseconds, several times; the best time is the peak.
// The widest instruction set that the CPU has is used and named.
// Known weakness: one thread; neighbours on a shared host lower the result, so
// run it beside what is compared with it.
//
//   peak [--json]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>

namespace {

constexpr long kRounds = 1 << 21;
constexpr int kRepetitions = 9;

/// kRounds times one multiply-add on each of `sizeof...(chain)` vectors. On
/// these types a * x + b is one FMA instruction; indices known at compile time
/// keep all chains in registers.
template <typename Vector, int... chain>
[[gnu::always_inline]] inline float
multiplyAdd(float seed, std::integer_sequence<int, chain...>) {
  Vector sums[] = {(Vector{} + (seed + float(chain)))...};
  // The fixed point is 1, so that nothing overflows or becomes denormal.
  Vector factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  for (long round = 0; round < kRounds; ++round)
    ((sums[chain] = sums[chain] * factor + term), ...);
  Vector total{};
  ((total += sums[chain]), ...);
  return total[0];
}

template <int chains> using Chains = std::make_integer_sequence<int, chains>;

using Vector4 [[gnu::vector_size(16)]] = float;
using Vector8 [[gnu::vector_size(32)]] = float;
using Vector16 [[gnu::vector_size(64)]] = float;

#if defined(__x86_64__)
[[gnu::target("avx512f,prefer-vector-width=512")]] float avx512(float seed) {
  return multiplyAdd<Vector16>(seed, Chains<24>());
}
[[gnu::target("avx2,fma")]] float avx2(float seed) {
  return multiplyAdd<Vector8>(seed, Chains<12>());
}
#endif
float baseline(float seed) { return multiplyAdd<Vector4>(seed, Chains<12>()); }

struct Variant {
  const char *name;
  float (*run)(float);
  int lanes, chains;
};

Variant widest() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return {"avx512", avx512, 16, 24};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {"avx2+fma", avx2, 8, 12};
#endif
  return {"baseline", baseline, 4, 12};
}

} // namespace

int main(int argc, char **argv) {
  bool json = argc > 1 && !std::strcmp(argv[1], "--json");
  if (argc > 1 && !json) {
    std::fprintf(stderr, "usage: peak [--json]\n");
    return 2;
  }
  Variant variant = widest();
  double best = 0;
  volatile float sink = 0;
  for (int i = 0; i < kRepetitions; ++i) {
    auto start = std::chrono::steady_clock::now();
    sink = sink + variant.run(float(i));
    std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    double flops = 2.0 * kRounds * variant.lanes * variant.chains;
    best = std::max(best, flops / seconds.count() / 1e9);
  }
  std::printf(json ? "{\"isa\": \"%s\", \"gflops\": %.1f}\n"
                   : "%s: %.1f GFLOP/s (f32 FMA, one thread)\n",
              variant.name, best);
  return 0;
}
