//===- Autodiff.cpp - append the backward pass ---------------------------===//
//
// Reverse-mode differentiation over straight-line code: walk the ops from the
// loss back to the sources; when an op is reached, all readers of its result
// have been visited, so the gradient of the result is complete, and the op's
// rule gives those of its operands. Gradients of a value with several readers
// add up. Only ops between a source and the loss are visited, so nothing is
// built that dead-code elimination would have to remove.
//
// What a rule keeps alive it names by using it: liveness is plain use-def.
//
//===----------------------------------------------------------------------===//

#include "passes/Autodiff.h"

#include "passes/Names.h"
#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_AUTODIFF
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

FailureOr<Gradients> sinter::buildBackward(OpBuilder &builder, Block &block,
                                           Value loss, ArrayRef<Value> sources,
                                           unsigned &numRules) {
  // Which values depend on a source? Ops are in topological order.
  llvm::DenseSet<Value> active(sources.begin(), sources.end());
  SmallVector<Operation *> path;
  for (Operation &op : block) {
    if (op.hasTrait<ZeroGradient>())
      continue;
    if (llvm::any_of(op.getOperands(),
                     [&](Value v) { return active.contains(v); })) {
      active.insert(op.result_begin(), op.result_end());
      path.push_back(&op);
    }
  }

  Gradients gradients;
  gradients[loss] = scalar(builder, loss.getLoc(), 1);
  for (Operation *op : llvm::reverse(path)) {
    if (op->getNumResults() != 1 || !gradients.contains(op->getResult(0)))
      continue; // the loss does not depend on it
    auto rule = dyn_cast<Differentiable>(op);
    if (!rule) {
      op->emitError("expected an op with a gradient rule between a parameter "
                    "and the loss, got '")
          << op->getName() << "'";
      return failure();
    }
    SmallVector<Value> operandGradients =
        rule.buildGradient(builder, gradients.lookup(op->getResult(0)));
    assert(operandGradients.size() == op->getNumOperands() &&
           "a gradient, or null, for each operand");
    ++numRules;
    for (auto [operand, gradient] :
         llvm::zip_equal(op->getOperands(), operandGradients)) {
      if (!gradient || !active.contains(operand))
        continue;
      Value &total = gradients[operand];
      total = total ? AddOp::create(builder, op->getLoc(), total, gradient)
                          .getResult()
                    : gradient;
    }
  }
  return gradients;
}

namespace {
struct Autodiff : sinter::impl::AutodiffBase<Autodiff> {
  void runOnOperation() override {
    ModelOp model = getOperation();
    auto step = model.lookupSymbol<func::FuncOp>(names::trainStep);
    if (!step || !model.getOptimizer())
      return; // compiled for inference or evaluation alone

    SmallVector<Value> sources;
    for (ReadOp read : step.front().getOps<ReadOp>()) {
      auto state = model.lookupSymbol<StateOp>(read.getState());
      if (state.getRole() == Role::Parameter)
        sources.push_back(read);
    }
    Operation *terminator = step.front().getTerminator();
    OpBuilder builder(terminator);
    unsigned rules = 0;
    FailureOr<Gradients> gradients = buildBackward(
        builder, step.front(), terminator->getOperand(0), sources, rules);
    numRules += rules;
    if (failed(gradients))
      return signalPassFailure();

    // A parameter may be read in several places.
    llvm::MapVector<StringAttr, Value> totals;
    for (Value source : sources) {
      auto read = source.getDefiningOp<ReadOp>();
      Value gradient = gradients->lookup(source);
      if (!gradient)
        continue;
      Value &total = totals[read.getStateAttr().getAttr()];
      total = total ? AddOp::create(builder, read.getLoc(), total, gradient)
                          .getResult()
                    : gradient;
    }
    for (auto [name, gradient] : totals)
      UpdateOp::create(builder, model.lookupSymbol(name)->getLoc(),
                       FlatSymbolRefAttr::get(name), gradient);
  }
};
} // namespace
