//===- FoldNormalization.cpp - inference scales the filter instead -------===//
//
// Problem: in inference, batch normalisation is a factor and a summand for each
// channel; so is a bias.
// Idea: move factors through a convolution or matmul into its filter:
//
//   ((conv(x, w) + b) - mean) * s + beta   ->   conv(x, w * s) + ((b - mean) *
//   s + beta)
//
// PrepareWeights scales the filter once for all calls; the result would be
// scaled in each, for every pixel and sample. Functions that write state are
// training steps and stay as they are: there, factors depend on the batch. Left
// alone: a result with a second reader, and factors behind an activation; those
// stay an epilogue.
//
//===----------------------------------------------------------------------===//

#include "ir/Formula.h"
#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_FOLDNORMALIZATION
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

/// One number for each channel of `like`, or one for all, of the same in every
/// sample.
static bool isPerChannel(Value value, Value like) {
  RankedTensorType type = tensorTypeOf(value);
  return !isBatched(type) && type.getElementType().isF32() &&
         (type.getRank() == 0 ||
          (type.getRank() == 1 &&
           type.getDimSize(0) == tensorTypeOf(like).getShape().back()));
}

namespace {
/// y = contraction * factor + summand; null stands for 1 and for 0.
struct Affine {
  Value factor, summand;
};

/// The ops from a contraction's result on that are affine by channel.
struct Chain {
  SmallVector<Operation *> ops;
  bool scales = false;
};
} // namespace

/// The other operand, if `op` is affine in `value`.
static Value otherOperand(Operation *op, Value value) {
  if (!isa<AddOp, SubOp, MulOp>(op) ||
      op->getResult(0).getType() != value.getType())
    return {};
  Value left = op->getOperand(0), right = op->getOperand(1);
  Value other = left == value ? right : left;
  if (isa<SubOp>(op) && left != value)
    return {};
  return isPerChannel(other, value) ? other : Value();
}

// ---- May we?

/// Everything affine behind `value`, up to the last factor.
static Chain findChain(Value value) {
  Chain chain;
  SmallVector<Operation *> pending;
  while (value.hasOneUse()) {
    Operation *user = *value.getUsers().begin();
    if (!otherOperand(user, value))
      break;
    pending.push_back(user);
    if (isa<MulOp>(user)) {
      chain.ops = pending;
      chain.scales = true;
    }
    value = user->getResult(0);
  }
  if (chain.scales) // summands behind the last factor come along
    chain.ops = pending;
  return chain;
}

// ---- Do it

static void fold(Operation *contraction, const Chain &chain) {
  OpBuilder builder(chain.ops.back());
  Formula f(builder, chain.ops.back()->getLoc());
  Affine affine;
  Value value = contraction->getResult(0);
  for (Operation *op : chain.ops) {
    Value other = otherOperand(op, value);
    if (isa<MulOp>(op)) {
      affine.factor = affine.factor ? f.mul(affine.factor, other) : other;
      if (affine.summand)
        affine.summand = f.mul(affine.summand, other);
    } else if (isa<AddOp>(op)) {
      affine.summand = affine.summand ? f.add(affine.summand, other) : other;
    } else {
      affine.summand =
          affine.summand ? f.sub(affine.summand, other) : f.neg(other);
    }
    value = op->getResult(0);
  }
  Value filter = f.mul(contraction->getOperand(1), affine.factor);
  Operation *scaled = f.b.clone(*contraction);
  scaled->setOperand(1, filter);
  Value result = scaled->getResult(0);
  if (affine.summand)
    result = f.add(result, affine.summand);
  value.replaceAllUsesWith(result);
  for (Operation *op : llvm::reverse(chain.ops))
    op->erase();
  contraction->erase();
}

namespace {
struct FoldNormalization
    : sinter::impl::FoldNormalizationBase<FoldNormalization> {
  void runOnOperation() override {
    for (auto function : getOperation().getBody().getOps<func::FuncOp>()) {
      Block &block = function.front();
      if (!block.getOps<WriteOp>().empty())
        continue;
      SmallVector<Operation *> contractions;
      for (Operation &op : block) {
        // The filter's last dimension are the result's channels.
        auto matmul = dyn_cast<MatmulOp>(op);
        bool folds = isa<Conv2dOp>(op) || (matmul && !matmul.getTransposeA() &&
                                           !matmul.getTransposeB());
        if (folds)
          contractions.push_back(&op);
      }
      for (Operation *op : contractions)
        if (Chain chain = findChain(op->getResult(0)); chain.scales) {
          fold(op, chain);
          ++numFolded;
        }
    }
  }
};
} // namespace
