//===- CheckTrainable.cpp - all trouble before training, at once ---------===//
//
// Problem: a model that cannot train should say so before code is generated,
// and say everything: a user who mends one error should not meet the next.
// Idea: one forward walk marks what depends on a parameter, one backward walk
// what reaches the output; what is wrong lies between.
//
//===----------------------------------------------------------------------===//

#include "passes/Names.h"
#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_CHECKTRAINABLE
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

/// Does a gradient pass through `op`? Layers with modes become arithmetic that
/// has rules.
static bool passesGradient(Operation &op) {
  return isa<Differentiable, ModeDependent>(op);
}

namespace {
struct CheckTrainable : sinter::impl::CheckTrainableBase<CheckTrainable> {
  void runOnOperation() override {
    ModelOp model = getOperation();
    auto forward = model.lookupSymbol<func::FuncOp>(names::forward);
    if (!forward || !model.getLoss())
      return; // declared for inference alone
    if (!model.getOptimizer()) {
      model.emitWarning("a loss without an optimizer: the model can be "
                        "evaluated, not trained");
      return;
    }

    // Values that a trainable parameter reaches through gradient rules.
    llvm::DenseSet<Value> trainable;
    llvm::MapVector<StringAttr, Operation *> unread;
    for (StateOp state : model.getBody().getOps<StateOp>())
      if (state.getRole() == Role::Parameter)
        unread[state.getSymNameAttr()] = state;
    bool any = !unread.empty(), wrong = false;
    if (!any) {
      model.emitError("expected at least one trainable parameter, got none");
      wrong = true;
    }

    Block &block = forward.front();
    llvm::DenseSet<Operation *> needed = opsBefore(block);
    for (Operation &op : block) {
      if (!needed.contains(&op))
        continue;
      if (auto read = dyn_cast<ReadOp>(op)) {
        if (unread.erase(read.getStateAttr().getAttr()))
          trainable.insert(read);
        else if (isParameter(model, read))
          trainable.insert(read);
        continue;
      }
      bool reached = llvm::any_of(op.getOperands(), [&](Value operand) {
        return trainable.contains(operand);
      });
      if (!reached || op.hasTrait<OpTrait::IsTerminator>() || onlyDecides(op))
        continue;
      if (!passesGradient(op)) {
        op.emitError("expected an op with a gradient between a trainable "
                     "parameter and the output, got '")
            << op.getName() << "'";
        wrong = true;
      }
      auto embedding = dyn_cast<EmbeddingOp>(op);
      if (embedding && trainable.contains(embedding.getX())) {
        op.emitError("expected indices that no trainable parameter makes: no "
                     "gradient flows to them");
        wrong = true;
      }
      trainable.insert(op.result_begin(), op.result_end());
    }
    for (auto [name, state] : unread) {
      state->emitError("expected every trainable parameter to reach the "
                       "output; @")
          << name.getValue() << " does not";
      wrong = true;
    }
    if (wrong)
      signalPassFailure();
  }

  /// Does `op` say which of two values it is, and nothing more? Gradients flow
  /// through the values.
  static bool onlyDecides(Operation &op) {
    return op.hasTrait<ZeroGradient>() && !op.use_empty() &&
           llvm::all_of(op.getUses(), [](OpOperand &use) {
             auto select = dyn_cast<SelectOp>(use.getOwner());
             return select && &use == &select.getConditionMutable();
           });
  }

  static bool isParameter(ModelOp model, ReadOp read) {
    return model.lookupSymbol<StateOp>(read.getState()).getRole() ==
           Role::Parameter;
  }

  /// The ops that the function's results depend on.
  static llvm::DenseSet<Operation *> opsBefore(Block &block) {
    llvm::DenseSet<Operation *> needed = {block.getTerminator()};
    for (Operation &op : llvm::reverse(block))
      if (needed.contains(&op))
        for (Value operand : op.getOperands())
          if (Operation *producer = operand.getDefiningOp())
            needed.insert(producer);
    return needed;
  }
};
} // namespace
