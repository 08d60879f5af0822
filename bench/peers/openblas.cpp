// openblas.cpp - one matmul of OpenBLAS, row-major, f32.
//
//   peer_openblas NN|NT|TN M N K      C (M, N) = A B; T: that operand is stored
//                                     transposed. Timed in slices (slices.h)
#include "bench/slices.h"

#include <cstdlib>
#include <string>

// As cblas.h has it; 111 and 112 say plain and transposed, 101 row-major.
extern "C" void cblas_sgemm(int order, int transposeA, int transposeB, int m,
                            int n, int k, float alpha, const float *a, int lda,
                            const float *b, int ldb, float beta, float *c,
                            int ldc);

int main(int argc, char **argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: peer_openblas NN|NT|TN M N K\n");
    return 2;
  }
  const std::string form = argv[1];
  const int m = std::atoi(argv[2]), n = std::atoi(argv[3]),
            k = std::atoi(argv[4]);
  const bool transposeA = form[0] == 'T', transposeB = form[1] == 'T';
  auto filled = [](int rows, int columns) {
    std::vector<float> values(static_cast<size_t>(rows) *
                              static_cast<size_t>(columns));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i % 17) / 16;
    return values;
  };
  const std::vector<float> a = filled(m, k), b = filled(k, n);
  std::vector<float> c = filled(m, n);
  serveSlices([&] {
    cblas_sgemm(101, transposeA ? 112 : 111, transposeB ? 112 : 111, m, n, k, 1,
                a.data(), transposeA ? m : k, b.data(), transposeB ? k : n, 0,
                c.data(), n);
  });
  return 0;
}
