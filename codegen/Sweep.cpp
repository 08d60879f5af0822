//===- Sweep.cpp - what the nests of sweeps share ------------------------===//

#include "codegen/Sweep.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;
using namespace sinter;

//===----------------------------------------------------------------------===//
// The domain
//===----------------------------------------------------------------------===//

SmallVector<int64_t> sinter::reducedAxes(Operation *op) {
  if (auto sum = dyn_cast<ReduceSumOp>(op))
    return SmallVector<int64_t>(sum.getAxes());
  if (auto max = dyn_cast<ReduceMaxOp>(op))
    return SmallVector<int64_t>(max.getAxes());
  return {tensorTypeOf(op->getOperand(0)).getRank() - 1};
}

bool sinter::isSweepReduction(Operation *op) {
  return isa<ReduceSumOp, ReduceMaxOp, ArgMaxOp>(op) && !isRowSum(op);
}

/// For an element.
static int64_t operationsOf(Operation *op) {
  if (!isa<MaxPool2dOp, MaxPool2dGatherOp, AvgPool2dOp>(op))
    return 1;
  Window window = poolWindowOf(op);
  return window[0].taps * window[1].taps;
}

SweepDomain::SweepDomain(KernelOp kernel) {
  std::optional<SmallVector<int64_t>> shortest;
  auto see = [&](RankedTensorType type) {
    ArrayRef<int64_t> loops = featureLoops(type);
    batched |= isBatched(type);
    if (loops.size() > full.size())
      full.assign(loops.begin(), loops.end());
    if (!shortest || loops.size() < shortest->size())
      shortest.emplace(loops);
  };
  // What is stored or reduced makes the domain; other values are asked for
  // wherever they are needed.
  for (Operation &op : kernel.getBody().front()) {
    if (isLeaf(&op) || isa<YieldOp>(op))
      continue;
    operations += operationsOf(&op);
    if (isSweepReduction(&op)) {
      reductions.push_back(&op);
      see(tensorTypeOf(op.getResult(0)));
    }
    if (isSweepReduction(&op) || isRowSum(&op))
      see(tensorTypeOf(op.getOperand(0)));
    if (auto write = dyn_cast<WriteOp>(op))
      see(tensorTypeOf(write.getValue()));
    sumsRows |= isRowSum(&op);
  }
  for (Value value : kernel.getYield().getValues())
    if (!isRowSum(value.getDefiningOp()))
      see(tensorTypeOf(value));
  outer = *shortest;
}

Operation *SweepDomain::loneReduction() const {
  if (reductions.size() != 1 || operations != 1)
    return nullptr;
  RankedTensorType type = tensorTypeOf(reductions[0]->getOperand(0));
  SmallVector<int64_t> axes = reducedAxes(reductions[0]);
  bool suffix =
      axes.back() == type.getRank() - 1 &&
      axes.back() - axes.front() + 1 == static_cast<int64_t>(axes.size());
  bool whole = static_cast<int64_t>(axes.size()) == type.getRank();
  return (batched ? suffix : whole) ? nullptr : reductions[0];
}

ReducedFeatures::ReducedFeatures(Operation *reduction) {
  RankedTensorType type = tensorTypeOf(reduction->getOperand(0));
  int64_t shift = isBatched(type) ? 1 : 0;
  for (auto [i, size] : llvm::enumerate(featureShape(type))) {
    bool isReduced = llvm::is_contained(reducedAxes(reduction),
                                        static_cast<int64_t>(i) + shift);
    (isReduced ? reducedSizes : keptSizes).push_back(size);
    (isReduced ? reduced : kept).push_back(i);
  }
}

//===----------------------------------------------------------------------===//
// One reduction
//===----------------------------------------------------------------------===//

SmallVector<Value> Accumulator::start() {
  if (isa<ReduceSumOp>(op))
    return {e.vectorConstant(0)};
  Value least = e.vectorConstant(-std::numeric_limits<float>::infinity());
  if (isa<ReduceMaxOp>(op))
    return {least};
  Value none = arith::ConstantOp::create(
      e.b, e.b.getZeroAttr(e.elementVector(e.b.getI32Type())));
  return {least, none};
}

SmallVector<Value> Accumulator::step(ValueRange acc, Value value,
                                     Value position, Value mask) {
  if (mask)
    value = arith::SelectOp::create(e.b, mask, value, start()[0]);
  if (isa<ReduceSumOp>(op))
    return {arith::AddFOp::create(e.b, acc[0], value)};
  if (isa<ReduceMaxOp>(op)) // keeps a NaN
    return {arith::MaximumFOp::create(e.b, acc[0], value)};
  Value wins =
      arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGT, value, acc[0]);
  Value best = arith::SelectOp::create(e.b, wins, value, acc[0]);
  return {best, arith::SelectOp::create(e.b, wins, position, acc[1])};
}

Value Accumulator::acrossLanes(Value vector) {
  auto kind = isa<ReduceSumOp>(op) ? vector::CombiningKind::ADD
                                   : vector::CombiningKind::MAXIMUMF;
  // A tree of lanes, the same every time.
  return vector::ReductionOp::create(e.b, kind, vector,
                                     arith::FastMathFlags::reassoc);
}
