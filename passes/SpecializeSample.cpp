//===- SpecializeSample.cpp - inference on one sample --------------------===//
//
// Problem: with a lane for each sample, a batch of 1 uses one lane of sixteen.
// Idea: a second prediction, @predict_one, whose lanes run along the last
// feature: the channels of an image, the units of a dense layer. In the IR it
// is a copy of @predict and an attribute: types keep their batch, which is 1 in
// every call, so that all verifiers, the interpreter and fusion hold for it.
// The attribute keeps AssignLayout away and chooses other loop nests.
//
// Products of two computed matrices want the right one row by row: where it is
// transposed, the copy gets a transposition of its own.
//
// Where an op has no such nest, no function is made, and callers use @predict.
// Weakness: all or nothing.
//
// Where the largest batch does not fill half of a wide vector, but channels do,
// @predict itself goes through its samples one by one in the same way.
//
//===----------------------------------------------------------------------===//

#include "ir/Window.h"
#include "passes/Names.h"
#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_SPECIALIZESAMPLE
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

// ---- May we?

/// Activations times weights as they are stored: lanes along the units.
static bool isDense(MatmulOp matmul) {
  return !matmul.getTransposeA() && !matmul.getTransposeB() &&
         isBatched(matmul.getA()) && !isBatched(matmul.getB());
}

static bool sumsBatch(Operation *op) {
  auto reducesBatch = [&](auto reduce) {
    return isBatched(reduce.getX()) && llvm::is_contained(reduce.getAxes(), 0);
  };
  if (auto sum = dyn_cast<ReduceSumOp>(op))
    return reducesBatch(sum);
  auto max = dyn_cast<ReduceMaxOp>(op);
  return max && reducesBatch(max);
}

static bool hasSampleForm(Operation *op) {
  if (auto matmul = dyn_cast<MatmulOp>(op))
    return isDense(matmul);
  if (op->hasTrait<Elementwise>() || op->hasTrait<Gathering>())
    return !isa<Expandable>(op);
  return isLeaf(op) ||
         isa<BatchMatmulOp, Conv2dOp, ReshapeOp, OneHotOp, EmbeddingOp,
             ReduceSumOp, ReduceMaxOp, ArgMaxOp, func::ReturnOp>(op);
}

static bool canSpecialize(func::FuncOp predict) {
  Block &block = predict.front();
  auto batched = [](Value value) { return isBatched(value); };
  return llvm::any_of(block.getArguments(), batched) &&
         llvm::all_of(block, [](Operation &op) {
           return hasSampleForm(&op) && !sumsBatch(&op);
         });
}

/// Are there too few samples to fill lanes with, where channels of nearly all
/// products do?
static bool isBetterOneByOne(ModelOp model, func::FuncOp predict) {
  // Half a vector: several pixels or channels go side by side.
  constexpr int64_t enough = kLaneMultiple / 2;
  if (static_cast<int64_t>(model.getBatchBound()) >= enough ||
      predict.getNumArguments() != 1 || predict.getNumResults() != 1)
    return false;
  int64_t full = 0, all = 0;
  for (Operation &op : predict.front()) {
    if (auto matmul = dyn_cast<MatmulOp>(op)) {
      all += featureCount(tensorTypeOf(matmul.getB()));
    } else if (auto matmul = dyn_cast<BatchMatmulOp>(op)) {
      RankedTensorType type = tensorTypeOf(matmul.getResult());
      int64_t products = matmul.getInner() * featureCount(type);
      all += products;
      if (type.getShape().back() % kLaneMultiple == 0)
        full += products;
    } else if (auto conv = dyn_cast<Conv2dOp>(op)) {
      Convolution form = convolutionOf(conv);
      all += form.products();
      if (form.groups == 1 && fillsFilterBlocks(form.filters))
        full += form.products();
    }
  }
  constexpr double nearly = 0.9;
  return full > 0 &&
         static_cast<double>(full) >= nearly * static_cast<double>(all);
}

// ---- Do it

/// Lanes run along the columns of products: right matrices lie row by row.
static void untransposeProducts(func::FuncOp function) {
  for (auto matmul : function.front().getOps<BatchMatmulOp>()) {
    if (!matmul.getTransposeB())
      continue;
    auto rank = tensorTypeOf(matmul.getB()).getRank();
    SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::swap(order[rank - 2], order[rank - 1]);
    OpBuilder builder(matmul);
    Value x = matmul.getB();
    if (auto inner = x.getDefiningOp<TransposeOp>()) { // both at once
      for (int64_t &axis : order)
        axis = inner.getPermutation()[axis];
      x = inner.getX();
    }
    matmul.getBMutable().assign(
        TransposeOp::create(builder, matmul.getLoc(), x, order));
    matmul.setTransposeB(false);
  }
}

namespace {
struct SpecializeSample : sinter::impl::SpecializeSampleBase<SpecializeSample> {
  void runOnOperation() override {
    auto predict = getOperation().lookupSymbol<func::FuncOp>(names::predict);
    if (!predict || !canSpecialize(predict))
      return;
    OpBuilder builder(predict->getContext());
    builder.setInsertionPointAfter(predict);
    auto one = cast<func::FuncOp>(builder.clone(*predict));
    one.setName(names::predictOne);
    one->setAttr(names::oneSample, builder.getUnitAttr());
    untransposeProducts(one);
    if (isBetterOneByOne(getOperation(), predict)) {
      predict->setAttr(names::oneSample, builder.getUnitAttr());
      predict->setAttr(names::batchBound, builder.getI64IntegerAttr(1));
      untransposeProducts(predict);
    }
  }
};
} // namespace
