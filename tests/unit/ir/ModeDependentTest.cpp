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

TEST_CASE("spatial dropout draws once a channel") {
  Program program(R"(
    func.func @f(%x: tensor<?x2x3x4xf32>, %seed: tensor<2xi32>, %step: tensor<i32>)
        -> (tensor<?x2x3x4xf32>, tensor<?x4xf32>) {
      %y = sinter.spatial_dropout %x stream 5 {rate = 0.25 : f32} : tensor<?x2x3x4xf32>
      %r = sinter.random_uniform %seed, %step stream 5
          : (tensor<2xi32>, tensor<i32>) -> tensor<?x4xf32>
      return %y, %r : tensor<?x2x3x4xf32>, tensor<?x4xf32>
    })");
  INFO(program.diagnostics());
  REQUIRE(program.ok());
  func::FuncOp function = program.function("f");
  auto op = cast<ModeDependent>(function.getBody().front().front());
  OpBuilder builder(op);
  op->getResult(0).replaceAllUsesWith(op.buildTraining(
      builder, function.getArgument(1), function.getArgument(2)));
  op->erase();
  REQUIRE(succeeded(verify(function)));

  std::mt19937_64 random(1);
  Tensor x = Tensor::f32({20, 2, 3, 4}, std::vector<double>(480));
  for (double &value : x.values)
    value = static_cast<float>(random() % 1000) / 100 + 1;
  std::vector<Tensor> results =
      run(function, {x, Tensor::i32({2}, {11, 12}), Tensor::i32({}, {3})});
  const Array &y = results[0].values, &u = results[1].values;
  int dropped = 0;
  for (size_t n = 0; n < 20; ++n)
    for (size_t c = 0; c < 4; ++c) {
      dropped += u(n, c) < 0.25;
      for (size_t pixel = 0; pixel < 6; ++pixel)
        CHECK(y(n, pixel / 3, pixel % 3, c) ==
              Approx(u(n, c) < 0.25
                         ? 0
                         : x.values(n, pixel / 3, pixel % 3, c) / 0.75)
                  .epsilon(1e-6));
    }
  CHECK(dropped > 8); // 20 of 80 expected
  CHECK(dropped < 35);
}

// Channel 0 is 1, 3, 1, 3: mean 2, variance 1. Channel 1 is always 5. Moving
// means 10 and 5, moving variances 2 and 4; momentum 3/4, epsilon 3.
static const std::vector<double> image = {1, 5, 3, 5, 1, 5, 3, 5};

static const char normalization[] = R"(
  sinter.model @m batch_bound 4 {
    sinter.state frozen @mean : tensor<2xf32> = constant(0.0, 0.0)
    sinter.state frozen @variance : tensor<2xf32> = constant(1.0, 0.0)
    func.func @f(%x: tensor<?x2x2xf32>, %g: tensor<2xf32>, %b: tensor<2xf32>,
                 %seed: tensor<2xi32>, %step: tensor<i32>) -> tensor<?x2x2xf32> {
      %y = sinter.batch_normalization %x, %g, %b moving @mean, @variance
          momentum 0.75 epsilon 3.0
          : (tensor<?x2x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2x2xf32>
      return %y : tensor<?x2x2xf32>
    }
  })";

static std::vector<double> normalize(bool training, State &state,
                                     const std::vector<double> &x = image) {
  Program program(normalization);
  INFO(program.diagnostics());
  REQUIRE(program.ok());
  func::FuncOp function = program.function("f");
  auto op = cast<ModeDependent>(function.getBody().front().front());
  OpBuilder builder(op);
  op->getResult(0).replaceAllUsesWith(
      training ? op.buildTraining(builder, function.getArgument(3),
                                  function.getArgument(4))
               : op.buildInference(builder));
  op->erase();
  REQUIRE(succeeded(verify(program.getModule())));
  auto results = interpret(function,
                           {Tensor::f32({2, 2, 2}, x), Tensor::f32({2}, {4, 1}),
                            Tensor::f32({2}, {1, 7}), Tensor::i32({2}, {0, 0}),
                            Tensor::i32({}, {0})},
                           state);
  REQUIRE(succeeded(results));
  return {(*results)[0].values.begin(), (*results)[0].values.end()};
}

static State movingStatistics() {
  return {{"mean", Tensor::f32({2}, {10, 5})},
          {"mean/lag", Tensor::f32({2}, {0, 0})},
          {"variance", Tensor::f32({2}, {2, 4})}};
}

TEST_CASE("batch normalisation follows the batch in training") {
  State state = movingStatistics();
  // gamma / sqrt(1 + 3) is 2; channel 1 has no deviation.
  CHECK(normalize(true, state) ==
        std::vector<double>{-1, 7, 3, 7, -1, 7, 3, 7});
  CHECK(same(state["mean"].values, Array({8, 5})));
  CHECK(same(state["variance"].values, Array({1.75, 3})));
  // What the moving mean lacks to 2, the batch's, which is the next shift.
  CHECK(same(state["mean/lag"].values, Array({-6, 0})));
  CHECK(normalize(true, state) ==
        std::vector<double>{-1, 7, 3, 7, -1, 7, 3, 7});
  CHECK(same(state["mean"].values, Array({6.5, 5})));
  CHECK(same(state["mean/lag"].values, Array({-4.5, 0})));
}

// Squares of numbers near 1000 leave no bits for a deviation near 1, and the
// moving mean needs 30 steps to come near: the shift must not wait for it.
TEST_CASE("batch normalisation is exact far from 0, but for the first step") {
  const std::vector<double> x = {1000.125, 5, 1001.375, 5,
                                 998.875,  5, 1000.75,  5};
  double mean = 0, variance = 0;
  for (size_t i = 0; i < x.size(); i += 2)
    mean += x[i] / 4;
  for (size_t i = 0; i < x.size(); i += 2)
    variance += (x[i] - mean) * (x[i] - mean) / 4;
  State state = movingStatistics();
  for (int step = 0; step < 3; ++step) {
    const double before = state["variance"].values(0);
    const std::vector<double> y = normalize(true, state, x);
    if (step == 0)
      continue;
    for (size_t i = 0; i < x.size(); i += 2)
      CHECK(y[i] == Approx(4 * (x[i] - mean) / std::sqrt(variance + 3) + 1)
                        .epsilon(1e-6));
    CHECK(state["variance"].values(0) ==
          Approx(0.75 * before + 0.25 * variance).epsilon(1e-6));
  }
}

TEST_CASE("batch normalisation uses what it followed in inference") {
  State state = movingStatistics();
  state["mean"] = Tensor::f32({2}, {3, 5});
  state["variance"] = Tensor::f32({2}, {1, 6});
  CHECK(normalize(false, state) ==
        std::vector<double>{-3, 7, 1, 7, -3, 7, 1, 7});
  CHECK(same(state["mean"].values, Array({3, 5})));
}
