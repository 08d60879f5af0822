//===- AssignLayout.cpp - samples innermost ------------------------------===//
//
// Problem: with features innermost, a layer of 75 channels does not fill whole
// vectors, and softmax needs shuffles across lanes.
// Idea: put the batch innermost, padded to whole vectors. Every lane is a
// sample: any number of channels fits, borders can be skipped, reductions over
// features are plain adds, and weights are broadcast scalars that need no
// packing. Only what mixes samples differs: in a weight gradient the batch is
// the contracted dimension, and the lanes are the right operand's features, so
// that operand stays row-major. So do the rows that an embedding's gradient
// adds up.
// Weakness: a batch of 1 fills one lane of each vector; SpecializeSample makes
// a function for that, whose values stay row-major.
//
//===----------------------------------------------------------------------===//

#include "passes/Names.h"
#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_ASSIGNLAYOUT
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

/// `type` with or without samples innermost.
static RankedTensorType withLayout(RankedTensorType type, bool batchMinor) {
  Attribute layout;
  if (batchMinor)
    layout = BatchMinorAttr::get(type.getContext());
  return RankedTensorType::get(type.getShape(), type.getElementType(), layout);
}

namespace {
struct AssignLayout : sinter::impl::AssignLayoutBase<AssignLayout> {
  void runOnOperation() override {
    for (auto function : getOperation().getBody().getOps<func::FuncOp>())
      if (!function->hasAttr(names::oneSample))
        assign(function);
  }

  void assign(func::FuncOp function) {
    Block &block = function.front();
    for (Operation &op : block)
      for (Value result : op.getResults())
        if (isBatched(result))
          result.setType(withLayout(tensorTypeOf(result), true));

    OpBuilder builder(function);
    builder.setInsertionPointToStart(&block);
    for (Value argument : block.getArguments())
      if (isBatched(argument) && !argument.use_empty()) {
        SmallVector<OpOperand *> uses;
        for (OpOperand &use : argument.getUses())
          uses.push_back(&use);
        Value minor = relayout(builder, argument, true);
        for (OpOperand *use : uses)
          use->set(minor);
      }

    // One row-major copy serves all weight gradients that want it.
    llvm::DenseMap<Value, Value> rowMajor;
    auto inRows = [&](Value value) {
      Value &copy = rowMajor[value];
      if (!copy) {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointAfterValue(value);
        copy = relayout(builder, value, false);
      }
      return copy;
    };
    SmallVector<MatmulOp> matmuls(block.getOps<MatmulOp>());
    for (MatmulOp matmul : matmuls)
      if (matmul.getTransposeA() && isBatched(matmul.getA()))
        matmul.getBMutable().assign(inRows(matmul.getB()));
    // Rows are added to a table as they lie.
    for (auto gradient : block.getOps<EmbeddingGradientOp>()) {
      auto relayout = gradient.getX().getDefiningOp<RelayoutOp>();
      gradient.getXMutable().assign(relayout ? relayout.getX()
                                             : inRows(gradient.getX()));
      gradient.getDyMutable().assign(inRows(gradient.getDy()));
    }
    for (OpOperand &operand : block.getTerminator()->getOpOperands())
      if (isBatched(operand.get()))
        operand.set(inRows(operand.get()));
  }

  Value relayout(OpBuilder &builder, Value value, bool batchMinor) {
    ++numRelayouts;
    return RelayoutOp::create(builder, value.getLoc(),
                              withLayout(tensorTypeOf(value), batchMinor),
                              value);
  }
};
} // namespace
