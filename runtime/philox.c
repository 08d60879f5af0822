/* philox.c - Philox 4x32-10, the counter-based generator of the whole system.
 *
 * Ten rounds of two 32x32->64 bit products, as in Salmon, Moraes, Dror and
 * Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). There is no
 * state: any element of any stream is computed on its own, which is what makes
 * training independent of the number of threads. Generated code has its own
 * vectorised copy; this one serves initialisers and permutations.
 */
#include "runtime/sinter_runtime.h"

static const uint32_t multiplier_0 = 0xD2511F53u, multiplier_1 = 0xCD9E8D57u;
static const uint32_t weyl_0 = 0x9E3779B9u, weyl_1 = 0xBB67AE85u;

void sinter_philox4x32(const uint32_t counter[4], const uint32_t key[2],
                       uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    uint64_t product_0 = (uint64_t)multiplier_0 * c0;
    uint64_t product_1 = (uint64_t)multiplier_1 * c2;
    c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
    c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)product_1;
    c3 = (uint32_t)product_0;
    k0 += weyl_0;
    k1 += weyl_1;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}
