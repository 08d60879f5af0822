//===- ExpansionTest.cpp - composites against their expansions -----------===//
//
// Every function in gradients/samples.mlir that holds an Expandable op runs
// twice, with the op and with its expansion.
//
// Without rounding both must agree to 1e-6 relative (constants in expansions
// are f32), down to the smallest normal f32. With every op rounded to f32, an
// expansion must still be within 2e-6 * (1 + |y|), and not turn a finite
// result into infinity or NaN on the way: that is what "the form that keeps f32
// accurate" promises.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/ir/Program.h"

#include "mlir/IR/Verifier.h"

#include <catch2/catch.hpp>

#include <limits>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

/// Replaces every Expandable op in a copy of the function; null when there is
/// none.
static func::FuncOp expandCopy(func::FuncOp original) {
  OpBuilder builder(original);
  auto copy = cast<func::FuncOp>(builder.clone(*original));
  copy.setName((original.getName() + "_expanded").str());
  std::vector<Expandable> composites;
  copy.walk([&](Expandable op) { composites.push_back(op); });
  if (composites.empty()) {
    copy.erase();
    return {};
  }
  for (Expandable op : composites) {
    builder.setInsertionPoint(op);
    Value value = op.expand(builder);
    CHECK(value.getType() == op->getResult(0).getType());
    op->getResult(0).replaceAllUsesWith(value);
    op->erase();
  }
  copy.walk([](Expandable op) {
    FAIL("an expansion holds another composite, "
         << op->getName().getStringRef().str());
  });
  REQUIRE(succeeded(verify(copy)));
  return copy;
}

/// Cycles through values where formulas break.
static double nextExtreme(size_t &position) {
  constexpr double denormal = std::numeric_limits<float>::denorm_min();
  constexpr double normal = std::numeric_limits<float>::min();
  static const double values[] = {
      0,      -0.0,    denormal, -denormal, 1000 * denormal,
      normal, -normal, 1e-6,     -1e-6,     0.01,
      -0.01,  0.5,     -0.5,     1,         -1,
      3,      -3,      20,       -20,       88,
      -88,    100,     -100};
  return static_cast<float>(values[position++ % std::size(values)]);
}

/// Extreme values for logits, and targets in 0 .. 1.
static std::vector<Tensor> extremeInputs(func::FuncOp function, size_t batch) {
  std::vector<Tensor> inputs;
  auto stopped = function->getAttrOfType<DenseI64ArrayAttr>("stopped");
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    bool isTarget = stopped && llvm::is_contained(stopped.asArrayRef(),
                                                  static_cast<int64_t>(i));
    size_t position = i;
    inputs.push_back(fill(cast<RankedTensorType>(type), batch, [&] {
      return isTarget ? (position++ % 3) / 2.0 : nextExtreme(position);
    }));
  }
  return inputs;
}

template <typename Agree>
static void compare(func::FuncOp function, func::FuncOp expanded,
                    const std::vector<Tensor> &inputs, Precision precision,
                    Agree agree) {
  Array whole = run(function, inputs, precision)[0].values;
  Array parts = run(expanded, inputs, precision)[0].values;
  REQUIRE((whole.shape() == parts.shape()));
  for (size_t i = 0; i < whole.size(); ++i) {
    INFO("element " << i << ": op " << whole.flat(i) << ", expansion "
                    << parts.flat(i));
    CHECK(agree(whole.flat(i), parts.flat(i)));
  }
}

TEST_CASE("an expansion computes what its op does") {
  auto program = Program::load("gradients/samples.mlir");
  std::set<std::string> expanded;
  for (func::FuncOp function : program->functions()) {
    function.walk([&](Expandable op) {
      expanded.insert(op->getName().getStringRef().str());
    });
    func::FuncOp copy = expandCopy(function);
    if (!copy)
      continue;
    INFO("@" << function.getName().str());
    std::mt19937_64 random(4);
    for (const std::vector<Tensor> &inputs :
         {extremeInputs(function, 46), randomInputs(function, 5, random)}) {
      compare(function, copy, inputs, Precision::Double,
              [](double op, double expansion) {
                return std::abs(op - expansion) <=
                       1e-6 * std::abs(op) + std::numeric_limits<float>::min();
              });
      compare(function, copy, inputs, Precision::Float32,
              [](double op, double expansion) {
                return std::abs(op - expansion) <= 2e-6 * (1 + std::abs(op));
              });
    }
    copy.erase();
  }
  for (RegisteredOperationName op : registeredOps()) {
    INFO(op.getStringRef().str() << " is in no sample");
    CHECK((!op.hasInterface<Expandable>() ||
           expanded.count(op.getStringRef().str())));
  }
}
