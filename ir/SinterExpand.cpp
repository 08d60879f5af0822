//===- SinterExpand.cpp - ops in terms of simpler ops --------------------===//
//
// First the layers that differ between training and inference, resolved when
// the steps are built. Then the composites, expanded after differentiation and
// before fusion, so that code generation sees primitives alone. Each expansion
// is the formula of the op's summary in the form that keeps f32 accurate.
//
//===----------------------------------------------------------------------===//

#include "ir/SinterDialect.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace sinter;

template <typename Op>
static Value binary(OpBuilder &b, Location loc, Value x, double y) {
  return Op::create(b, loc, x, scalar(b, loc, y));
}

//===----------------------------------------------------------------------===//
// Training and inference
//===----------------------------------------------------------------------===//

Value DropoutOp::buildInference(OpBuilder &) { return getX(); }

// keep = u >= rate, spelled 1 - (rate > u); y = x * keep / (1 - rate)
Value DropoutOp::buildTraining(OpBuilder &b, Value seed, Value step) {
  Location loc = getLoc();
  double rate = getRate().convertToFloat();
  Value u = RandomUniformOp::create(b, loc, getX().getType(), seed, step,
                                    getStream());
  Value dropped = GreaterOp::create(b, loc, scalar(b, loc, rate), u);
  Value mask = SelectOp::create(b, loc, dropped, scalar(b, loc, 0),
                                scalar(b, loc, 1 / (1 - rate)));
  return MulOp::create(b, loc, getX(), mask);
}

Value GaussianNoiseOp::buildInference(OpBuilder &) { return getX(); }

Value GaussianNoiseOp::buildTraining(OpBuilder &b, Value seed, Value step) {
  Value z = RandomNormalOp::create(b, getLoc(), getX().getType(), seed, step,
                                   getStream());
  return AddOp::create(
      b, getLoc(), getX(),
      binary<MulOp>(b, getLoc(), z, getStddev().convertToFloat()));
}

//===----------------------------------------------------------------------===//
// Composites
//===----------------------------------------------------------------------===//

Value ReluOp::expand(OpBuilder &b) {
  return binary<MaximumOp>(b, getLoc(), getX(), 0);
}

Value LeakyReluOp::expand(OpBuilder &b) {
  Value scaled =
      binary<MulOp>(b, getLoc(), getX(), getAlpha().convertToFloat());
  return SelectOp::create(b, getLoc(), getX(), getX(), scaled);
}

/// x > 0 ? positive x : negative (e^x - 1)
static Value exponentialUnit(OpBuilder &b, Location loc, Value x,
                             double positive, double negative) {
  // expm1 of min(x, 0): large x must not overflow on its way to being unused.
  Value tail = Expm1Op::create(b, loc, binary<MinimumOp>(b, loc, x, 0));
  Value linear = positive == 1 ? x : binary<MulOp>(b, loc, x, positive);
  return SelectOp::create(b, loc, x, linear,
                          binary<MulOp>(b, loc, tail, negative));
}

Value EluOp::expand(OpBuilder &b) {
  return exponentialUnit(b, getLoc(), getX(), 1, getAlpha().convertToFloat());
}

Value SeluOp::expand(OpBuilder &b) {
  return exponentialUnit(b, getLoc(), getX(), 1.0507009873554805,
                         1.0507009873554805 * 1.6732632423543772);
}

Value GeluOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  Value x = getX(), inner;
  if (getApproximate()) {
    Value xx = MulOp::create(b, loc, x, x);
    Value poly = binary<AddOp>(b, loc, binary<MulOp>(b, loc, xx, 0.044715), 1);
    Value scaled = binary<MulOp>(b, loc, x, std::sqrt(2 / std::numbers::pi));
    inner = TanhOp::create(b, loc, MulOp::create(b, loc, scaled, poly));
  } else {
    inner = ErfOp::create(b, loc,
                          binary<MulOp>(b, loc, x, 1 / std::numbers::sqrt2));
  }
  return MulOp::create(b, loc, binary<MulOp>(b, loc, x, 0.5),
                       binary<AddOp>(b, loc, inner, 1));
}

/// 1 / (1 + e^-x). e^-x overflows to infinity for x < -88, and 1 / infinity is
/// the right answer.
static Value logistic(OpBuilder &b, Location loc, Value x) {
  Value e = ExpOp::create(b, loc, NegOp::create(b, loc, x));
  return DivOp::create(b, loc, scalar(b, loc, 1), binary<AddOp>(b, loc, e, 1));
}

Value SigmoidOp::expand(OpBuilder &b) { return logistic(b, getLoc(), getX()); }

Value SiluOp::expand(OpBuilder &b) {
  return MulOp::create(b, getLoc(), getX(), logistic(b, getLoc(), getX()));
}

Value HardSigmoidOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  Value line =
      binary<AddOp>(b, loc, binary<MulOp>(b, loc, getX(), 1.0 / 6.0), 0.5);
  return binary<MinimumOp>(b, loc, binary<MaximumOp>(b, loc, line, 0), 1);
}

/// ln(1 + e^-|x|): what softplus and the logistic loss add to a straight line.
static Value softCorner(OpBuilder &b, Location loc, Value x) {
  Value decay =
      ExpOp::create(b, loc, NegOp::create(b, loc, AbsOp::create(b, loc, x)));
  return Log1pOp::create(b, loc, decay);
}

Value SoftplusOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  return AddOp::create(b, loc, binary<MaximumOp>(b, loc, getX(), 0),
                       softCorner(b, loc, getX()));
}

Value SigmoidCrossEntropyOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  Value line = SubOp::create(b, loc, binary<MaximumOp>(b, loc, getLogits(), 0),
                             MulOp::create(b, loc, getLogits(), getTargets()));
  return AddOp::create(b, loc, line, softCorner(b, loc, getLogits()));
}

/// x minus its maximum along the last axis.
static Value centred(OpBuilder &b, Location loc, Value x) {
  int64_t last = tensorTypeOf(x).getRank() - 1;
  Value top = ReduceMaxOp::create(b, loc, x, ArrayRef{last}, true);
  return SubOp::create(b, loc, x, top);
}

Value SoftmaxOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  int64_t last = tensorTypeOf(getX()).getRank() - 1;
  Value e = ExpOp::create(b, loc, centred(b, loc, getX()));
  Value sum = ReduceSumOp::create(b, loc, e, ArrayRef{last}, true);
  return DivOp::create(b, loc, e, sum);
}

Value SoftmaxCrossEntropyOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  Value x = centred(b, loc, getLogits());
  Value sum = ReduceSumOp::create(b, loc, ExpOp::create(b, loc, x),
                                  ArrayRef<int64_t>{1}, true);
  Value logSoftmax = SubOp::create(b, loc, x, LogOp::create(b, loc, sum));
  Value picked = MulOp::create(b, loc, getTargets(), logSoftmax);
  Value total =
      ReduceSumOp::create(b, loc, picked, ArrayRef<int64_t>{1}, false);
  return NegOp::create(b, loc, total);
}
