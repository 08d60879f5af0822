// peak.cpp - what one core can do: f32 multiply-adds a second.
//
// The yardstick of a trainer's own `benchmark` command, as a program, for
// figures of others. Neighbours on a shared host lower the result: run it
// beside what is compared with it.
//
//   bench_peak [--json]
#include "runtime/trainer/peak.h"

#include <cstdio>
#include <cstring>

int main(int argc, char **argv) {
  bool json = argc > 1 && !std::strcmp(argv[1], "--json");
  if (argc > 1 && !json) {
    std::fprintf(stderr, "usage: bench_peak [--json]\n");
    return 2;
  }
  sinter_pool *pool = sinter_pool_create(1);
  if (!pool) {
    std::fprintf(stderr, "bench_peak: out of memory\n");
    return 3;
  }
  double gflops = sinter::trainer::measurePeakFlops(pool) / 1e9;
  sinter_pool_destroy(pool);
  std::printf(json ? "{\"gflops\": %.1f}\n"
                   : "%.1f GFLOP/s (f32, one thread)\n",
              gflops);
  return 0;
}
