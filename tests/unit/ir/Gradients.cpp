//===- Gradients.cpp - a function's gradients, by the rules alone --------===//

#include "tests/unit/ir/Gradients.h"

#include "mlir/IR/Verifier.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::test;

/// The shortest reverse walk that can be right: it shares nothing with the
/// compiler's own but the rules.
GradientFunction sinter::test::buildGradientFunction(func::FuncOp original,
                                                     bool withResult) {
  OpBuilder builder(original);
  func::FuncOp function = cast<func::FuncOp>(builder.clone(*original));
  function.setName((original.getName() + "_gradient").str());
  Block &body = function.getBody().front();
  Operation *ret = body.getTerminator();
  Value y = ret->getOperand(0);
  llvm::DenseMap<Value, Value> gradients;
  gradients[y] = body.addArgument(y.getType(), function.getLoc());

  std::vector<Operation *> ops;
  for (Operation &op : body.without_terminator())
    ops.push_back(&op);
  builder.setInsertionPoint(ret);
  for (Operation *op : llvm::reverse(ops)) {
    auto differentiable = dyn_cast<Differentiable>(op);
    Value dy = gradients.lookup(op->getResult(0));
    if (!differentiable || !dy)
      continue;
    SmallVector<Value> rules = differentiable.buildGradient(builder, dy);
    REQUIRE(rules.size() == op->getNumOperands());
    for (auto [operand, gradient] : llvm::zip(op->getOperands(), rules)) {
      if (!gradient)
        continue;
      CHECK(gradient.getType() == operand.getType());
      Value &sum = gradients[operand];
      sum =
          sum ? AddOp::create(builder, op->getLoc(), sum, gradient) : gradient;
    }
  }

  GradientFunction result{function, {}};
  SmallVector<Value> returned;
  if (withResult)
    returned.push_back(y);
  for (size_t i = 0; i < original.getNumArguments(); ++i)
    if (Value gradient = gradients.lookup(body.getArgument(i))) {
      returned.push_back(gradient);
      result.arguments.push_back(i);
    }
  ret->setOperands(returned);
  function.setType(
      builder.getFunctionType(body.getArgumentTypes(), ret->getOperandTypes()));
  REQUIRE(succeeded(verify(function)));
  return result;
}
