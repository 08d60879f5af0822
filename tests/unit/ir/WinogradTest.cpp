//===- WinogradTest.cpp - Winograd's ops against the direct sum ----------===//
//
// The matrices are right if a convolution and its gradients come out as those
// of the direct sum do, up to a double's rounding: for both sizes of tiles, for
// images that tiles do not fill, for padding on some sides.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/ir/Program.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter::reference;
using namespace sinter::test;

static const char direct[] = R"(
  func.func @f(%x: tensor<?x7x9x2xf32>, %w: tensor<3x3x2x3xf32>, %d: tensor<?x7x10x3xf32>) -> (tensor<?x7x10x3xf32>, tensor<?x7x9x2xf32>, tensor<3x3x2x3xf32>) {
    %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [2, 0, 1, 2] groups 1 : (tensor<?x7x9x2xf32>, tensor<3x3x2x3xf32>) -> tensor<?x7x10x3xf32>
    %dx = sinter.conv2d_transpose %d, %w size [7, 9] strides [1, 1] dilations [1, 1] padding [2, 0, 1, 2] groups 1 : (tensor<?x7x10x3xf32>, tensor<3x3x2x3xf32>) -> tensor<?x7x9x2xf32>
    %dw = sinter.conv2d_filter_gradient %x, %d size [3, 3] strides [1, 1] dilations [1, 1] padding [2, 0, 1, 2] groups 1 : (tensor<?x7x9x2xf32>, tensor<?x7x10x3xf32>) -> tensor<3x3x2x3xf32>
    return %y, %dx, %dw : tensor<?x7x10x3xf32>, tensor<?x7x9x2xf32>, tensor<3x3x2x3xf32>
  })";

static std::string winograd(int64_t tile) {
  std::string taps = std::to_string(tile + 2);
  std::string u = "tensor<" + taps + "x" + taps + "x2x3xf32>";
  std::string v = "tensor<" + taps + "x" + taps + "x3x2xf32>";
  std::string size = "tile " + std::to_string(tile);
  return R"(
  func.func @f(%x: tensor<?x7x9x2xf32>, %w: tensor<3x3x2x3xf32>, %d: tensor<?x7x10x3xf32>) -> (tensor<?x7x10x3xf32>, tensor<?x7x9x2xf32>, tensor<3x3x2x3xf32>) {
    %u = sinter.winograd_filter %w )" +
         size + " : (tensor<3x3x2x3xf32>) -> " + u + R"(
    %y = sinter.winograd_conv2d %x, %u padding [2, 0, 1, 2] : (tensor<?x7x9x2xf32>, )" +
         u + R"() -> tensor<?x7x10x3xf32>
    %v = sinter.winograd_filter %w )" +
         size + " flipped : (tensor<3x3x2x3xf32>) -> " + v + R"(
    %dx = sinter.winograd_conv2d %d, %v padding [0, 2, 1, 0] : (tensor<?x7x10x3xf32>, )" +
         v + R"() -> tensor<?x7x9x2xf32>
    %du = sinter.winograd_filter_gradient %x, %d )" +
         size +
         R"( padding [2, 0, 1, 2] : (tensor<?x7x9x2xf32>, tensor<?x7x10x3xf32>) -> )" +
         u + R"(
    %dw = sinter.winograd_filter_adjoint %du : ()" +
         u + R"() -> tensor<3x3x2x3xf32>
    return %y, %dx, %dw : tensor<?x7x10x3xf32>, tensor<?x7x9x2xf32>, tensor<3x3x2x3xf32>
  })";
}

TEST_CASE("Winograd's ops give what the direct sum does") {
  Program expected(direct);
  REQUIRE(expected.ok());
  std::mt19937_64 random(1);
  std::vector<Tensor> inputs = randomInputs(expected.function("f"), 2, random);
  auto sums = run(expected.function("f"), inputs, Precision::Double);
  for (int64_t tile : {2, 4}) {
    INFO("tiles of " << tile);
    Program program(winograd(tile));
    INFO(program.diagnostics());
    REQUIRE(program.ok());
    auto results = run(program.function("f"), inputs, Precision::Double);
    REQUIRE(results.size() == sums.size());
    for (size_t i = 0; i < sums.size(); ++i)
      for (size_t k = 0; k < sums[i].values.size(); ++k) {
        INFO("result " << i << ", element " << k);
        CHECK(std::abs(results[i].values.flat(k) - sums[i].values.flat(k)) <
              1e-12);
      }
  }
}
