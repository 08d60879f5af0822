//===- ModeDependentTest.cpp - what dropout and noise become -------------===//
//
// Layers that differ between training and inference are replaced when the steps
// are built. Both replacements are run here and compared with the formulas in
// the ops' summaries.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/ir/Program.h"

#include "mlir/IR/Verifier.h"

#include <catch2/catch.hpp>

#include <cmath>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

/// Runs `layer` on `x`, replaced by its training or its inference form. The
/// second result is the random tensor of the same stream, seed and step.
static std::pair<Array, Array> runLayer(StringRef layer, StringRef random,
                                        bool training, const Tensor &x) {
  Program program(R"(
    func.func @f(%x: tensor<?x4xf32>, %seed: tensor<2xi32>, %step: tensor<i32>)
        -> (tensor<?x4xf32>, tensor<?x4xf32>) {
      %y = )" + layer.str() +
                  R"( : tensor<?x4xf32>
      %r = )" + random.str() +
                  R"( %seed, %step stream 5
          : (tensor<2xi32>, tensor<i32>) -> tensor<?x4xf32>
      return %y, %r : tensor<?x4xf32>, tensor<?x4xf32>
    })");
  INFO(program.diagnostics());
  REQUIRE(program.ok());
  func::FuncOp function = program.function("f");
  auto op = cast<ModeDependent>(function.getBody().front().front());
  OpBuilder builder(op);
  Value replacement = training
                          ? op.buildTraining(builder, function.getArgument(1),
                                             function.getArgument(2))
                          : op.buildInference(builder);
  op->getResult(0).replaceAllUsesWith(replacement);
  op->erase();
  REQUIRE(succeeded(verify(function)));
  std::vector<Tensor> results =
      run(function, {x, Tensor::i32({2}, {11, 12}), Tensor::i32({}, {3})});
  return {results[0].values, results[1].values};
}

static Tensor someInput() {
  std::mt19937_64 random(1);
  Tensor x = Tensor::f32({64, 4}, std::vector<double>(256));
  for (double &value : x.values)
    value = static_cast<float>(random() % 1000) / 100 - 5;
  return x;
}

TEST_CASE("inference leaves values alone") {
  Tensor x = someInput();
  CHECK(same(runLayer("sinter.dropout %x stream 5 {rate = 0.25 : f32}",
                      "sinter.random_uniform", false, x)
                 .first,
             x.values));
  CHECK(same(runLayer("sinter.gaussian_noise %x stream 5 {stddev = 0.5 : f32}",
                      "sinter.random_normal", false, x)
                 .first,
             x.values));
}

TEST_CASE("dropout drops where u < rate and scales the rest") {
  Tensor x = someInput();
  auto [y, u] = runLayer("sinter.dropout %x stream 5 {rate = 0.25 : f32}",
                         "sinter.random_uniform", true, x);
  int dropped = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    double expected = u.flat(i) < 0.25 ? 0 : x.values.flat(i) / 0.75;
    CHECK(y.flat(i) == Approx(expected).epsilon(1e-6));
    dropped += u.flat(i) < 0.25;
  }
  CHECK(dropped > 40); // 64 of 256 expected
  CHECK(dropped < 90);
}

TEST_CASE("a dropout rate of 0 keeps everything") {
  Tensor x = someInput();
  CHECK(same(runLayer("sinter.dropout %x stream 5 {rate = 0.0 : f32}",
                      "sinter.random_uniform", true, x)
                 .first,
             x.values));
}

TEST_CASE("noise is added in units of its standard deviation") {
  Tensor x = someInput();
  auto [y, z] =
      runLayer("sinter.gaussian_noise %x stream 5 {stddev = 0.5 : f32}",
               "sinter.random_normal", true, x);
  for (size_t i = 0; i < y.size(); ++i)
    CHECK(y.flat(i) == Approx(x.values.flat(i) + 0.5 * z.flat(i)).margin(1e-6));
}
