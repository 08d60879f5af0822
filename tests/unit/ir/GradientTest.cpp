//===- GradientTest.cpp - gradient rules against finite differences ------===//
//
// For each function y = f(x...) in gradients/samples.mlir and a fixed random c,
// the gradient rules give the derivative of sum(c * y) by each argument;
// central differences of the interpreter give it again.
//
// Tolerance: 1e-6 * max(1, |derivative|). The interpreter runs in double with a
// step of 1e-5, so that both the truncation error (about step^2) and the
// rounding error (about 1e-16 / step) stay near 1e-10; what remains is that
// rules hold constants such as 1/6 in f32.
//
// Known weakness: samples are drawn at random and so never hit a kink; what a
// rule says there (relu at 0, a tie of maximum) is tested by hand below.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/ir/Gradients.h"
#include "tests/unit/ir/Program.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

/// d sum(c * y) / d inputs[argument], element by element.
static Array finiteDifferences(func::FuncOp function,
                               std::vector<Tensor> inputs, size_t batch,
                               size_t argument, const Array &c) {
  constexpr double step = 1e-5;
  auto loss = [&] {
    Array y = run(function, inputs, Precision::Double, batch)[0].values;
    return xt::sum(y * c)();
  };
  Array result = Array::from_shape(inputs[argument].values.shape());
  for (size_t i = 0; i < result.size(); ++i) {
    double &x = inputs[argument].values.flat(i);
    double before = x;
    x = before + step;
    double above = loss();
    x = before - step;
    double below = loss();
    x = before;
    result.flat(i) = (above - below) / (2 * step);
  }
  return result;
}

/// Is the argument declared to get no gradient although the result depends on
/// it? (Targets of a loss; the sample says so.)
static bool isStopped(func::FuncOp function, int64_t argument) {
  auto stopped = function->getAttrOfType<DenseI64ArrayAttr>("stopped");
  return stopped && llvm::is_contained(stopped.asArrayRef(), argument);
}

static void checkSample(func::FuncOp function, size_t batch) {
  INFO("@" << function.getName().str() << ", batch " << batch);
  std::mt19937_64 random(20 + batch);
  std::vector<Tensor> inputs = randomInputs(function, batch, random);
  Tensor c = fill(cast<RankedTensorType>(function.getResultTypes()[0]), batch,
                  [&] { return std::ldexp(double(random() >> 11), -52) - 1; });

  GradientFunction rules = buildGradientFunction(function);
  std::vector<Tensor> extended = inputs;
  extended.push_back(c);
  std::vector<Tensor> gradients =
      run(rules.function, extended, Precision::Double, batch);
  rules.function.erase();

  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].element != Element::F32)
      continue;
    auto found = llvm::find(rules.arguments, i);
    bool hasRule = found != rules.arguments.end();
    if (isStopped(function, i)) {
      CHECK(!hasRule);
      continue;
    }
    Array numeric = finiteDifferences(function, inputs, batch, i, c.values);
    Array analytic = Array::from_shape(numeric.shape());
    analytic.fill(0);
    if (hasRule)
      analytic = gradients[found - rules.arguments.begin()].values;
    for (size_t e = 0; e < numeric.size(); ++e) {
      double n = numeric.flat(e), a = analytic.flat(e);
      INFO("argument " << i << ", element " << e << ": rule " << a
                       << ", differences " << n);
      CHECK(std::abs(a - n) <= 1e-6 * std::max(1.0, std::abs(n)));
    }
  }
}

TEST_CASE("gradient rules agree with finite differences") {
  auto program = Program::load("gradients/samples.mlir");
  for (func::FuncOp function : program->functions())
    for (size_t batch : {1, 3})
      checkSample(function, batch);
}

/// The gradients of sum(y) for a one-argument function at given points.
static std::vector<double> gradientsAt(StringRef op, ArrayRef<double> points) {
  std::string type = "tensor<" + std::to_string(points.size()) + "xf32>";
  Program program("func.func @f(%x: " + type + ") -> " + type + " {\n %y = " +
                  op.str() + " : " + type + "\n return %y : " + type + "\n}");
  INFO(program.diagnostics());
  REQUIRE(program.ok());
  GradientFunction rules = buildGradientFunction(program.function("f"));
  std::vector<Tensor> gradients =
      run(rules.function,
          {Tensor::f32({points.size()}, {points.begin(), points.end()}),
           Tensor::f32({points.size()}, std::vector(points.size(), 1.0))});
  return {gradients[0].values.begin(), gradients[0].values.end()};
}

TEST_CASE("gradients at kinks are Keras's") {
  using Values = std::vector<double>;
  CHECK(gradientsAt("sinter.relu %x", {-1, 0, 1}) == Values{0, 0, 1});
  CHECK(gradientsAt("sinter.abs %x", {-1, 0, 1}) == Values{-1, 0, 1});
  CHECK(gradientsAt("sinter.leaky_relu %x {alpha = 0.5 : f32}", {-1, 0, 1}) ==
        Values{0.5, 0.5, 1});
  CHECK(gradientsAt("sinter.hard_sigmoid %x", {-4, -3, 3, 4}) ==
        Values{0, 0, 0, 0});
}

TEST_CASE("gradients far from zero are finite") {
  for (StringRef op :
       {"sinter.elu %x {alpha = 1.0 : f32}", "sinter.selu %x", "sinter.gelu %x",
        "sinter.gelu %x {approximate}", "sinter.silu %x", "sinter.sigmoid %x",
        "sinter.softplus %x", "sinter.tanh %x", "sinter.erf %x"})
    for (double gradient : gradientsAt(op, {-1e4, -100, 100, 1e4})) {
      INFO(op.str());
      CHECK(std::isfinite(gradient));
    }
}

TEST_CASE("the gradient of a tie goes to the left operand") {
  Program program(R"(
    func.func @maximum(%a: tensor<1xf32>, %b: tensor<1xf32>) -> tensor<1xf32> {
      %y = sinter.maximum %a, %b : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      return %y : tensor<1xf32>
    }
    func.func @minimum(%a: tensor<1xf32>, %b: tensor<1xf32>) -> tensor<1xf32> {
      %y = sinter.minimum %a, %b : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      return %y : tensor<1xf32>
    })");
  REQUIRE(program.ok());
  for (func::FuncOp function : program.functions()) {
    Tensor two = Tensor::f32({1}, {2}), one = Tensor::f32({1}, {1});
    std::vector<Tensor> gradients =
        run(buildGradientFunction(function).function, {two, two, one});
    CHECK(gradients[0].values(0) == 1);
    CHECK(gradients[1].values(0) == 0);
  }
}

TEST_CASE("elements that share a maximum share its gradient") {
  Program program(R"(
    func.func @f(%x: tensor<4xf32>) -> tensor<f32> {
      %y = sinter.reduce_max %x axes [0] : (tensor<4xf32>) -> tensor<f32>
      return %y : tensor<f32>
    })");
  REQUIRE(program.ok());
  std::vector<Tensor> gradients =
      run(buildGradientFunction(program.function("f")).function,
          {Tensor::f32({4}, {3, 1, 3, 0}), Tensor::f32({}, {1})});
  CHECK(same(gradients[0].values, Array({0.5, 0, 0.5, 0})));
}
