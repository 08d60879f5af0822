//===- SinterExpand.cpp - ops in terms of simpler ops --------------------===//
//
// First the layers that differ between training and inference, resolved when
// the steps are built. Then the composites, expanded after differentiation and
// before fusion, so that code generation sees primitives alone. Each expansion
// is the formula of the op's summary in the form that keeps f32 accurate.
//
//===----------------------------------------------------------------------===//

#include "ir/Formula.h"
#include "ir/Moments.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace sinter;

//===----------------------------------------------------------------------===//
// Training and inference
//===----------------------------------------------------------------------===//

Value DropoutOp::buildInference(OpBuilder &) { return getX(); }

Value SpatialDropoutOp::buildInference(OpBuilder &) { return getX(); }

// dropout's formula, with one draw a channel
Value SpatialDropoutOp::buildTraining(OpBuilder &b, Value seed, Value step) {
  Formula f(b, getLoc());
  double rate = getRate().convertToFloat();
  RankedTensorType type = tensorTypeOf(getX());
  int64_t channels = type.getShape().back();
  auto draws = RankedTensorType::get({type.getDimSize(0), channels},
                                     type.getElementType());
  Value u =
      RandomUniformOp::create(b, getLoc(), draws, seed, step, getStream());
  Value dropped = f.greater(f.number(rate), u);
  Value factor = f.select(dropped, f.zero(), f.number(1 / (1 - rate)));
  SmallVector<int64_t> shape(type.getRank(), 1);
  shape.front() = type.getDimSize(0);
  shape.back() = channels;
  return f.mul(getX(), f.reshape(factor, shape));
}

// y = gamma (x - mean) / sqrt(variance + epsilon) + beta
Value BatchNormalizationOp::buildInference(OpBuilder &b) {
  Formula f(b, getLoc());
  auto type = RankedTensorType::get({tensorTypeOf(getX()).getShape().back()},
                                    b.getF32Type());
  Value mean = ReadOp::create(b, getLoc(), type, getMovingMean());
  Value variance = ReadOp::create(b, getLoc(), type, getMovingVariance());
  Value r = inverseDeviation(f, variance, getEpsilon().convertToFloat());
  return f.add(f.mul(f.sub(getX(), mean), f.mul(r, getGamma())), getBeta());
}

/// Adds a state that training alone has, 0 at first, to the model.
static void addSlot(OpBuilder b, Location loc, StringRef name,
                    RankedTensorType type) {
  auto model = b.getInsertionBlock()->getParentOp()->getParentOfType<ModelOp>();
  // Behind all others: a state's first values depend on its place.
  b.setInsertionPoint(*model.getBody().getOps<func::FuncOp>().begin());
  StateOp::create(b, loc, Role::Slot, name, type, Init::Constant, APFloat(0.0f),
                  APFloat(0.0f), nullptr, nullptr);
}

// moving = moving + (batch's - moving) (1 - momentum)
// lag = (batch's mean - moving) momentum, which the new moving mean lacks to it
// shift = moving mean + lag = the mean of the batch before
Value BatchNormalizationOp::buildTraining(OpBuilder &b, Value, Value) {
  Formula f(b, getLoc());
  auto type = RankedTensorType::get({tensorTypeOf(getX()).getShape().back()},
                                    b.getF32Type());
  std::string lag = (getMovingMean() + "/lag").str();
  addSlot(b, getLoc(), lag, type);
  Value mean = ReadOp::create(b, getLoc(), type, getMovingMean());
  Value variance = ReadOp::create(b, getLoc(), type, getMovingVariance());
  Value shift = f.add(mean, ReadOp::create(b, getLoc(), type, lag));
  Moments batch = batchMoments(f, getX(), shift);
  double momentum = getMomentum().convertToFloat();
  auto follow = [&](FlatSymbolRefAttr state, Value moving, Value value) {
    Value next = f.add(moving, f.mul(f.sub(value, moving), 1 - momentum));
    WriteOp::create(b, getLoc(), state.getAttr(), next);
  };
  follow(getMovingMeanAttr(), mean, batch.mean);
  follow(getMovingVarianceAttr(), variance, batch.variance);
  WriteOp::create(b, getLoc(), lag, f.mul(f.sub(batch.mean, mean), momentum));
  return BatchNormOp::create(b, getLoc(), getX(), getGamma(), getBeta(), shift,
                             getEpsilon());
}

// keep = u >= rate, spelled 1 - (rate > u); y = x * keep / (1 - rate)
Value DropoutOp::buildTraining(OpBuilder &b, Value seed, Value step) {
  Formula f(b, getLoc());
  double rate = getRate().convertToFloat();
  Value u = RandomUniformOp::create(b, getLoc(), getX().getType(), seed, step,
                                    getStream());
  Value dropped = f.greater(f.number(rate), u);
  return f.mul(getX(), f.select(dropped, f.zero(), f.number(1 / (1 - rate))));
}

Value GaussianNoiseOp::buildInference(OpBuilder &) { return getX(); }

Value GaussianNoiseOp::buildTraining(OpBuilder &b, Value seed, Value step) {
  Formula f(b, getLoc());
  Value z = RandomNormalOp::create(b, getLoc(), getX().getType(), seed, step,
                                   getStream());
  return f.add(getX(), f.mul(z, getStddev().convertToFloat()));
}

//===----------------------------------------------------------------------===//
// Composites
//===----------------------------------------------------------------------===//

Value ReluOp::expand(OpBuilder &b) {
  return Formula(b, getLoc()).max(getX(), 0);
}

Value LeakyReluOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  return f.select(getX(), getX(), f.mul(getX(), getAlpha().convertToFloat()));
}

/// x > 0 ? positive x : negative (e^x - 1)
static Value exponentialUnit(Formula f, Value x, double positive,
                             double negative) {
  // expm1 of min(x, 0): large x must not overflow on its way to being unused.
  Value tail = f.mul(f.expm1(f.min(x, 0)), negative);
  return f.select(x, positive == 1 ? x : f.mul(x, positive), tail);
}

Value EluOp::expand(OpBuilder &b) {
  return exponentialUnit({b, getLoc()}, getX(), 1, getAlpha().convertToFloat());
}

Value SeluOp::expand(OpBuilder &b) {
  return exponentialUnit({b, getLoc()}, getX(), 1.0507009873554805,
                         1.0507009873554805 * 1.6732632423543772);
}

Value GeluOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  Value x = getX(), inner;
  if (getApproximate()) {
    Value poly = f.add(f.mul(f.square(x), 0.044715), 1);
    Value scaled = f.mul(x, std::sqrt(2 / std::numbers::pi));
    inner = TanhOp::create(b, getLoc(), f.mul(scaled, poly));
  } else {
    inner = ErfOp::create(b, getLoc(), f.mul(x, 1 / std::numbers::sqrt2));
  }
  return f.mul(f.mul(x, 0.5), f.add(inner, 1));
}

/// 1 / (1 + e^-x). e^-x overflows to infinity for x < -88, and 1 / infinity is
/// the right answer.
static Value logistic(Formula f, Value x) {
  return f.div(f.one(), f.add(f.exp(f.neg(x)), 1));
}

Value SigmoidOp::expand(OpBuilder &b) {
  return logistic({b, getLoc()}, getX());
}

Value SiluOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  return f.mul(getX(), logistic(f, getX()));
}

Value HardSigmoidOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  return f.min(f.max(f.add(f.mul(getX(), 1.0 / 6.0), 0.5), 0), 1);
}

/// ln(1 + e^-|x|): what softplus and the logistic loss add to a straight line.
static Value softCorner(Formula f, Value x) {
  return f.log1p(f.exp(f.neg(f.abs(x))));
}

Value SoftplusOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  return f.add(f.max(getX(), 0), softCorner(f, getX()));
}

Value SigmoidCrossEntropyOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  Value x = getLogits();
  Value line = f.sub(f.max(x, 0), f.mul(x, getTargets()));
  return f.add(line, softCorner(f, x));
}

/// x minus its maximum along the last axis.
static Value centred(Formula f, Value x) {
  int64_t last = tensorTypeOf(x).getRank() - 1;
  return f.sub(x, ReduceMaxOp::create(f.b, f.loc, x, ArrayRef{last}, true));
}

Value SoftmaxOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  Value e = f.exp(centred(f, getX()));
  return f.div(e, f.sumLast(e));
}

Value SoftmaxCrossEntropyOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  Value x = centred(f, getLogits());
  Value logSoftmax = f.sub(x, f.log(f.sumLast(f.exp(x))));
  return f.neg(f.sum(f.mul(getTargets(), logSoftmax), {1}));
}

Value BatchNormOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  Moments moments = batchMoments(f, getX(), getShift());
  Value r =
      inverseDeviation(f, moments.variance, getEpsilon().convertToFloat());
  Value c = f.sub(getX(), moments.mean);
  return f.add(f.mul(c, f.mul(getGamma(), r)), getBeta());
}

Value LayerNormOp::expand(OpBuilder &b) {
  Formula f(b, getLoc());
  LayerMoments moments = layerMoments(f, getX(), getAxes());
  Value r =
      inverseDeviation(f, moments.variance, getEpsilon().convertToFloat());
  return f.add(f.mul(f.mul(moments.centred, r), getGamma()), getBeta());
}
