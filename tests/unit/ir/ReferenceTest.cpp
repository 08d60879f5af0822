//===- ReferenceTest.cpp - kernels against numbers worked out by hand ----===//
//
// The cases are functions in reference.mlir: attribute `inputs` holds what goes
// in, `result` what must come out.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/ir/Program.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

static Tensor tensorOf(Attribute attribute) {
  auto elements = cast<DenseElementsAttr>(attribute);
  std::vector<double> values;
  if (elements.getElementType().isF32())
    for (float value : elements.getValues<float>())
      values.push_back(value);
  else
    for (int32_t value : elements.getValues<int32_t>())
      values.push_back(value);
  auto next = [&, i = size_t(0)]() mutable { return values[i++]; };
  return fill(cast<RankedTensorType>(elements.getType()), 1, next);
}

/// Equal up to one rounding of the expected value; NaN equals NaN.
static bool matches(double actual, double expected) {
  if (std::isnan(expected))
    return std::isnan(actual);
  if (std::isinf(expected) || expected == 0)
    return actual == expected;
  return std::abs(actual - expected) <= 1.2e-7 * std::abs(expected);
}

TEST_CASE("kernels give the numbers worked out by hand") {
  auto program = Program::load("unit/ir/reference.mlir");
  for (func::FuncOp function : program->functions()) {
    INFO("case @" << function.getName().str());
    std::vector<Tensor> inputs;
    for (Attribute input : function->getAttrOfType<ArrayAttr>("inputs"))
      inputs.push_back(tensorOf(input));
    std::optional<size_t> batch;
    if (auto given = function->getAttrOfType<IntegerAttr>("batch"))
      batch = given.getInt();
    Tensor expected = tensorOf(function->getAttr("result"));
    std::vector<Tensor> actual =
        run(function, inputs, Precision::Float32, batch);
    REQUIRE(actual.size() == 1);
    CHECK(actual[0].element == expected.element);
    REQUIRE((actual[0].values.shape() == expected.values.shape()));
    for (size_t i = 0; i < expected.values.size(); ++i) {
      INFO("element " << i << ": expected " << expected.values.flat(i)
                      << ", got " << actual[0].values.flat(i));
      CHECK(matches(actual[0].values.flat(i), expected.values.flat(i)));
    }
  }
}
