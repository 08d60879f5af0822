//===- SinterFolds.cpp - algebra that always holds -----------------------===//
//
// Only identities that keep every bit (x + 0 changes -0 to 0: accepted, as in
// Keras's own graphs; x * 0 is not folded, because of NaN and infinity).
//
//===----------------------------------------------------------------------===//

#include "ir/SinterDialect.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace sinter;

/// Is `attribute` a splat f32 constant equal to `value`?
static bool isSplat(Attribute attribute, float value) {
  auto elements = dyn_cast_or_null<DenseElementsAttr>(attribute);
  return elements && elements.isSplat() && elements.getElementType().isF32() &&
         elements.getSplatValue<float>() == value;
}

/// The operand, if it has the op's type already: dropping the op then keeps
/// the shape.
template <typename Op> static OpFoldResult ifSameType(Op op, Value operand) {
  return operand.getType() == op.getType() ? operand : OpFoldResult();
}

/// Computes on two scalar f32 constants.
template <typename Op, typename Compute>
static OpFoldResult foldScalars(Op op, Attribute lhs, Attribute rhs,
                                Compute compute) {
  auto a = dyn_cast_or_null<DenseElementsAttr>(lhs);
  auto b = dyn_cast_or_null<DenseElementsAttr>(rhs);
  auto type = cast<RankedTensorType>(op.getType());
  if (!a || !b || type.getRank() != 0 || !type.getElementType().isF32())
    return {};
  return DenseElementsAttr::get(type,
                                compute(a.template getSplatValue<float>(),
                                        b.template getSplatValue<float>()));
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

OpFoldResult AddOp::fold(FoldAdaptor adaptor) {
  if (isSplat(adaptor.getRhs(), 0.0f))
    if (OpFoldResult same = ifSameType(*this, getLhs()))
      return same;
  if (isSplat(adaptor.getLhs(), 0.0f))
    if (OpFoldResult same = ifSameType(*this, getRhs()))
      return same;
  return foldScalars(*this, adaptor.getLhs(), adaptor.getRhs(),
                     std::plus<float>());
}

OpFoldResult SubOp::fold(FoldAdaptor adaptor) {
  if (isSplat(adaptor.getRhs(), 0.0f))
    if (OpFoldResult same = ifSameType(*this, getLhs()))
      return same;
  return foldScalars(*this, adaptor.getLhs(), adaptor.getRhs(),
                     std::minus<float>());
}

/// A constant, or one for each sample, as dropped units are in inference.
static bool isOnes(Value x, Attribute known) {
  auto broadcast = x.getDefiningOp<BroadcastOp>();
  if (broadcast)
    matchPattern(broadcast.getOperand(), m_Constant(&known));
  return isSplat(known, 1.0f);
}

OpFoldResult MulOp::fold(FoldAdaptor adaptor) {
  if (isOnes(getRhs(), adaptor.getRhs()))
    if (OpFoldResult same = ifSameType(*this, getLhs()))
      return same;
  if (isOnes(getLhs(), adaptor.getLhs()))
    if (OpFoldResult same = ifSameType(*this, getRhs()))
      return same;
  return foldScalars(*this, adaptor.getLhs(), adaptor.getRhs(),
                     std::multiplies<float>());
}

OpFoldResult DivOp::fold(FoldAdaptor adaptor) {
  if (isSplat(adaptor.getRhs(), 1.0f))
    if (OpFoldResult same = ifSameType(*this, getLhs()))
      return same;
  return foldScalars(*this, adaptor.getLhs(), adaptor.getRhs(),
                     std::divides<float>());
}

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (OpFoldResult same = ifSameType(*this, getX()))
    return same;
  if (auto inner = getX().getDefiningOp<ReshapeOp>()) {
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return {};
}

OpFoldResult BroadcastOp::fold(FoldAdaptor) {
  return ifSameType(*this, getX());
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  ArrayRef<int64_t> outer = getPermutation();
  if (llvm::equal(outer, llvm::seq<int64_t>(0, outer.size())))
    return getX();
  auto inner = getX().getDefiningOp<TransposeOp>();
  if (!inner)
    return {};
  SmallVector<int64_t> both;
  for (int64_t axis : outer)
    both.push_back(inner.getPermutation()[axis]);
  getXMutable().assign(inner.getX());
  setPermutation(both);
  return getResult();
}

OpFoldResult ReduceSumOp::fold(FoldAdaptor) {
  // A sum over axes of size 1 that stay is the operand itself.
  return ifSameType(*this, getX());
}
