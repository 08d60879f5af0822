//===- Formula.h - building ops as one writes mathematics ----------------===//
//
//   Formula f(builder, loc);
//   Value y = f.div(f.one(), f.add(f.exp(f.neg(x)), 1));
//
// Gradient rules, expansions, losses and optimizers are formulas; this is their
// common vocabulary. Numbers become f32 scalar constants and broadcast.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_FORMULA_H
#define SINTER_IR_FORMULA_H

#include "ir/SinterDialect.h"

namespace sinter {

class Formula {
public:
  using Value = mlir::Value;

  /// New ops go where `builder` stands, in order.
  Formula(const mlir::OpBuilder &builder, mlir::Location loc)
      : b(builder), loc(loc) {}

  Value number(double value) { return scalar(b, loc, value); }
  Value zero() { return number(0); }
  Value one() { return number(1); }

  Value add(Value x, Value y) { return AddOp::create(b, loc, x, y); }
  Value add(Value x, double y) { return add(x, number(y)); }
  Value sub(Value x, Value y) { return SubOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return MulOp::create(b, loc, x, y); }
  Value mul(Value x, double y) { return mul(x, number(y)); }
  Value div(Value x, Value y) { return DivOp::create(b, loc, x, y); }
  Value max(Value x, double y) {
    return MaximumOp::create(b, loc, x, number(y));
  }
  Value min(Value x, double y) {
    return MinimumOp::create(b, loc, x, number(y));
  }

  Value neg(Value x) { return NegOp::create(b, loc, x); }
  Value abs(Value x) { return AbsOp::create(b, loc, x); }
  Value exp(Value x) { return ExpOp::create(b, loc, x); }
  Value expm1(Value x) { return Expm1Op::create(b, loc, x); }
  Value log(Value x) { return LogOp::create(b, loc, x); }
  Value log1p(Value x) { return Log1pOp::create(b, loc, x); }
  Value sqrt(Value x) { return SqrtOp::create(b, loc, x); }
  Value square(Value x) { return mul(x, x); }

  /// 1 where it holds, 0 elsewhere.
  Value greater(Value x, Value y) { return GreaterOp::create(b, loc, x, y); }
  Value equal(Value x, Value y) { return EqualOp::create(b, loc, x, y); }
  /// p > 0 ? x : y
  Value select(Value p, Value x, Value y) {
    return SelectOp::create(b, loc, p, x, y);
  }

  /// Sum over `axes`; x itself if there are none.
  Value sum(Value x, llvm::ArrayRef<int64_t> axes, bool keepDims = false) {
    return axes.empty()
               ? x
               : ReduceSumOp::create(b, loc, x, axes, keepDims).getResult();
  }
  /// Sum over the last axis, which stays with size 1.
  Value sumLast(Value x) {
    return sum(x, {tensorTypeOf(x).getRank() - 1}, /*keepDims=*/true);
  }

  Value reshape(Value x, llvm::ArrayRef<int64_t> shape) {
    mlir::RankedTensorType type = tensorTypeOf(x);
    if (type.getShape() == shape)
      return x;
    return ReshapeOp::create(b, loc,
                             mlir::RankedTensorType::get(shape,
                                                         type.getElementType(),
                                                         type.getEncoding()),
                             x);
  }
  Value broadcast(Value x, mlir::RankedTensorType type) {
    return x.getType() == type
               ? x
               : BroadcastOp::create(b, loc, type, x).getResult();
  }
  /// x summed over whatever broadcasting stretched, back to `like`'s shape.
  Value sumTo(Value x, Value like) {
    return sumToShape(b, loc, x, tensorTypeOf(like));
  }

  mlir::OpBuilder b;
  mlir::Location loc;
};

} // namespace sinter

#endif // SINTER_IR_FORMULA_H
