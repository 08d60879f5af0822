//===- SinterGrad.cpp - one gradient rule per op -------------------------===//
//
// dy is the gradient of the loss with respect to the op's result; a rule builds
// the gradient with respect to each operand (null: none flows). The line above
// a rule is its mathematics and what it keeps alive until the backward pass.
// Operands that broadcasting stretched get their gradient summed back.
//
//===----------------------------------------------------------------------===//

#include "ir/Formula.h"
#include "ir/Moments.h"
#include "ir/Window.h"

#include <cmath>
#include <numbers>
#include <numeric>

using namespace mlir;
using namespace sinter;

//===----------------------------------------------------------------------===//
// Binary
//===----------------------------------------------------------------------===//

// y = a + b            da = dy            db = dy                  keeps
// nothing
SmallVector<Value> AddOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.sumTo(dy, getLhs()), f.sumTo(dy, getRhs())};
}

// y = a - b            da = dy            db = -dy                 keeps
// nothing
SmallVector<Value> SubOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.sumTo(dy, getLhs()), f.sumTo(f.neg(dy), getRhs())};
}

// y = a b              da = dy b          db = dy a                keeps a and
// b
// y = a a              da = 2 dy a
SmallVector<Value> MulOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  if (getLhs() == getRhs())
    return {f.mul(f.add(dy, dy), getLhs()), Value()};
  return {f.sumTo(f.mul(dy, getRhs()), getLhs()),
          f.sumTo(f.mul(dy, getLhs()), getRhs())};
}

// y = a / b            da = dy / b        db = -dy y / b           keeps b and
// y
SmallVector<Value> DivOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value da = f.div(dy, getRhs());
  return {f.sumTo(da, getLhs()),
          f.sumTo(f.neg(f.mul(da, getResult())), getRhs())};
}

// y = max(a, b)        da = b > a ? 0 : dy    db = b > a ? dy : 0  keeps a and
// b
SmallVector<Value> MaximumOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value right = f.greater(getRhs(), getLhs());
  return {f.sumTo(f.select(right, f.zero(), dy), getLhs()),
          f.sumTo(f.select(right, dy, f.zero()), getRhs())};
}

// y = min(a, b)        da = a > b ? 0 : dy    db = a > b ? dy : 0  keeps a and
// b
SmallVector<Value> MinimumOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value right = f.greater(getLhs(), getRhs());
  return {f.sumTo(f.select(right, f.zero(), dy), getLhs()),
          f.sumTo(f.select(right, dy, f.zero()), getRhs())};
}

// y = p > 0 ? a : b    da = p > 0 ? dy : 0    db = p > 0 ? 0 : dy  keeps p
SmallVector<Value> SelectOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {Value(),
          f.sumTo(f.select(getCondition(), dy, f.zero()), getIfPositive()),
          f.sumTo(f.select(getCondition(), f.zero(), dy), getOtherwise())};
}

//===----------------------------------------------------------------------===//
// Unary primitives
//===----------------------------------------------------------------------===//

// y = -x               dx = -dy                                    keeps
// nothing
SmallVector<Value> NegOp::buildGradient(OpBuilder &builder, Value dy) {
  return {Formula(builder, getLoc()).neg(dy)};
}

// y = |x|              dx = dy sign(x)                             keeps x
SmallVector<Value> AbsOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.mul(dy, SignOp::create(builder, getLoc(), getX()))};
}

// y = e^x              dx = dy y                                   keeps y
SmallVector<Value> ExpOp::buildGradient(OpBuilder &builder, Value dy) {
  return {Formula(builder, getLoc()).mul(dy, getResult())};
}

// y = e^x - 1          dx = dy (y + 1)                             keeps y
SmallVector<Value> Expm1Op::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.mul(dy, f.add(getResult(), f.one()))};
}

// y = ln x             dx = dy / x                                 keeps x
SmallVector<Value> LogOp::buildGradient(OpBuilder &builder, Value dy) {
  return {Formula(builder, getLoc()).div(dy, getX())};
}

// y = ln(1 + x)        dx = dy / (1 + x)                           keeps x
SmallVector<Value> Log1pOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.div(dy, f.add(getX(), f.one()))};
}

// y = sqrt x           dx = dy / (2 y)                             keeps y
SmallVector<Value> SqrtOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.div(f.mul(dy, 0.5), getResult())};
}

// y = cos x            dx = -dy sin x                              keeps x
SmallVector<Value> CosOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.neg(f.mul(dy, SinOp::create(builder, getLoc(), getX())))};
}

// y = sin x            dx = dy cos x                               keeps x
SmallVector<Value> SinOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.mul(dy, CosOp::create(builder, getLoc(), getX()))};
}

// y = tanh x           dx = dy (1 - y^2)                           keeps y
SmallVector<Value> TanhOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value y = getResult();
  return {f.mul(dy, f.sub(f.one(), f.mul(y, y)))};
}

// y = erf x            dx = dy 2/sqrt(pi) e^(-x^2)                 keeps x
SmallVector<Value> ErfOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value density = f.exp(f.neg(f.mul(getX(), getX())));
  return {f.mul(dy, f.mul(density, 2 * std::numbers::inv_sqrtpi))};
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

// y = relu x           dx = y > 0 ? dy : 0       keeps y: the next layer has it
SmallVector<Value> ReluOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.select(getResult(), dy, f.zero())};
}

// y = leaky_relu x     dx = x > 0 ? dy : alpha dy                  keeps x
SmallVector<Value> LeakyReluOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.select(getX(), dy, f.mul(dy, getAlpha().convertToFloat()))};
}

// y = elu x            dx = x > 0 ? dy : dy (y + alpha)            keeps x and
// y
SmallVector<Value> EluOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value alpha = f.number(getAlpha().convertToFloat());
  return {f.select(getX(), dy, f.mul(dy, f.add(getResult(), alpha)))};
}

// y = selu x           dx = x > 0 ? scale dy : dy (y + scale alpha)
//                                                                  keeps x and
//                                                                  y
SmallVector<Value> SeluOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value scaleAlpha = f.number(1.0507009873554805 * 1.6732632423543772);
  return {f.select(getX(), f.mul(dy, 1.0507009873554805),
                   f.mul(dy, f.add(getResult(), scaleAlpha)))};
}

// y = x Phi(x)         dx = dy (Phi(x) + x phi(x))                 keeps x
// y = x/2 (1 + t), t = tanh(u), u = c (x + a x^3)
//                      dx = dy/2 (1 + t + x (1 - t^2) c (1 + 3 a x^2))
//                                                                  keeps x
SmallVector<Value> GeluOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value x = getX(), xx = f.mul(x, x);
  if (getApproximate()) {
    constexpr double a = 0.044715;
    const double c = std::sqrt(2 / std::numbers::pi);
    Value u = f.mul(f.mul(x, c), f.add(f.one(), f.mul(xx, a)));
    Value t = TanhOp::create(builder, getLoc(), u);
    Value du = f.mul(f.add(f.one(), f.mul(xx, 3 * a)), c);
    Value inner = f.mul(f.mul(x, f.sub(f.one(), f.mul(t, t))), du);
    return {f.mul(f.mul(dy, 0.5), f.add(f.add(f.one(), t), inner))};
  }
  Value erf =
      ErfOp::create(builder, getLoc(), f.mul(x, 1 / std::numbers::sqrt2));
  Value phi = f.mul(f.add(f.one(), erf), 0.5);
  Value density = f.mul(f.exp(f.mul(xx, -0.5)),
                        std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  return {f.mul(dy, f.add(phi, f.mul(x, density)))};
}

// y = x s, s = sigmoid x    dx = dy (s + y (1 - s))                keeps x and
// y
SmallVector<Value> SiluOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value s = SigmoidOp::create(builder, getLoc(), getX());
  return {f.mul(dy, f.add(s, f.mul(getResult(), f.sub(f.one(), s))))};
}

// y = sigmoid x        dx = dy y (1 - y)                           keeps y
SmallVector<Value> SigmoidOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value y = getResult();
  return {f.mul(dy, f.mul(y, f.sub(f.one(), y)))};
}

// y = clamp(x/6 + 1/2, 0, 1)    dx = 0 < y < 1 ? dy/6 : 0          keeps y
SmallVector<Value> HardSigmoidOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value y = getResult();
  Value inside = f.mul(y, f.sub(f.one(), y));
  return {f.select(inside, f.mul(dy, 1.0 / 6.0), f.zero())};
}

// y = ln(1 + e^x)      dx = dy sigmoid(x)                          keeps x
SmallVector<Value> SoftplusOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.mul(dy, SigmoidOp::create(builder, getLoc(), getX()))};
}

//===----------------------------------------------------------------------===//
// Softmax and losses
//===----------------------------------------------------------------------===//

// y = softmax x        dx = y (dy - sum(c) dy[c] y[c])             keeps y
SmallVector<Value> SoftmaxOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value y = getResult();
  return {f.mul(y, f.sub(dy, f.sumLast(f.mul(dy, y))))};
}

// loss[n] = -sum(c) t log softmax(x)    dx = dloss (softmax(x) sum(c) t - t)
//                                                                  keeps x and
//                                                                  t
SmallVector<Value> SoftmaxCrossEntropyOp::buildGradient(OpBuilder &builder,
                                                        Value dloss) {
  Formula f(builder, getLoc());
  Value p = SoftmaxOp::create(builder, getLoc(), getLogits());
  SmallVector<int64_t> column(tensorTypeOf(dloss).getShape());
  column.push_back(1);
  Value t = getTargets();
  // One-hot targets sum to 1; saying so saves a sweep.
  Value scaled = t.getDefiningOp<OneHotOp>() ? p : f.mul(p, f.sumLast(t));
  return {f.mul(f.sub(scaled, t), f.reshape(dloss, column)), Value()};
}

// y = -log likelihood of t under sigmoid(x)    dx = dy (sigmoid(x) - t)
//                                                                  keeps x and
//                                                                  t
SmallVector<Value> SigmoidCrossEntropyOp::buildGradient(OpBuilder &builder,
                                                        Value dy) {
  Formula f(builder, getLoc());
  Value p = SigmoidOp::create(builder, getLoc(), getLogits());
  return {f.sumTo(f.mul(dy, f.sub(p, getTargets())), getLogits()), Value()};
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

// y = reshape x        dx = reshape dy                             keeps
// nothing
SmallVector<Value> ReshapeOp::buildGradient(OpBuilder &builder, Value dy) {
  return {
      Formula(builder, getLoc()).reshape(dy, tensorTypeOf(getX()).getShape())};
}

// y = broadcast x      dx = dy summed over what was stretched      keeps
// nothing
SmallVector<Value> BroadcastOp::buildGradient(OpBuilder &builder, Value dy) {
  return {Formula(builder, getLoc()).sumTo(dy, getX())};
}

// y = concatenate xs   dx_i = the slice of dy that x_i became      keeps
// nothing
SmallVector<Value> ConcatenateOp::buildGradient(OpBuilder &builder, Value dy) {
  SmallVector<Value> gradients;
  int64_t start = 0;
  for (Value input : getInputs()) {
    int64_t size = tensorTypeOf(input).getDimSize(getAxis());
    gradients.push_back(
        SliceOp::create(builder, getLoc(), dy, getAxis(), start, size));
    start += size;
  }
  return gradients;
}

// y = slice x          dx = dy between zeros                       keeps
// nothing
SmallVector<Value> SliceOp::buildGradient(OpBuilder &builder, Value dy) {
  int64_t all = tensorTypeOf(getX()).getDimSize(getAxis());
  int64_t high = all - getStart() - getSize();
  return {PadOp::create(builder, getLoc(), dy, getAxis(), getStart(), high)};
}

// y = pad x            dx = the slice of dy inside the padding     keeps
// nothing
SmallVector<Value> PadOp::buildGradient(OpBuilder &builder, Value dy) {
  int64_t size = tensorTypeOf(getX()).getDimSize(getAxis());
  return {SliceOp::create(builder, getLoc(), dy, getAxis(), getLow(), size)};
}

// y = transpose x      dx = dy transposed back                     keeps
// nothing
SmallVector<Value> TransposeOp::buildGradient(OpBuilder &builder, Value dy) {
  SmallVector<int64_t> inverse(getPermutation().size());
  for (auto [i, axis] : llvm::enumerate(getPermutation()))
    inverse[axis] = i;
  return {TransposeOp::create(builder, getLoc(), dy, inverse)};
}

// y = upsample x       dx = the sum of dy over each pixel's copies keeps
// nothing
SmallVector<Value> UpsampleOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  ArrayRef<int64_t> factors = getFactors();
  Value mean = AvgPool2dOp::create(builder, getLoc(), dy, factors, factors,
                                   ArrayRef<int64_t>{0, 0, 0, 0});
  return {f.mul(mean, static_cast<double>(factors[0] * factors[1]))};
}

// y = relayout x       dx = relayout dy                            keeps
// nothing
SmallVector<Value> RelayoutOp::buildGradient(OpBuilder &builder, Value dy) {
  if (dy.getType() == getX().getType())
    return {dy};
  return {RelayoutOp::create(builder, getLoc(), getX().getType(), dy)};
}

//===----------------------------------------------------------------------===//
// Reductions and contractions
//===----------------------------------------------------------------------===//

/// A reduction's result with the reduced axes back, as size 1.
template <typename Op>
static Value withKeptAxes(Formula &f, Op op, Value value) {
  SmallVector<int64_t> shape(tensorTypeOf(op.getX()).getShape());
  bool overBatch = isBatched(op.getX()) && op.getAxes().front() == 0;
  if (overBatch) // broadcasting restores a missing batch by itself
    return value;
  for (int64_t axis : op.getAxes())
    shape[axis] = 1;
  return f.reshape(value, shape);
}

// y = sum x            dx = dy, stretched                          keeps
// nothing
SmallVector<Value> ReduceSumOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  return {f.broadcast(withKeptAxes(f, *this, dy), tensorTypeOf(getX()))};
}

// y = max x            dx = x == y ? dy / ties : 0                 keeps x and
// y
SmallVector<Value> ReduceMaxOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Value isMax = f.equal(getX(), withKeptAxes(f, *this, getResult()));
  Value ties = ReduceSumOp::create(builder, getLoc(), isMax, getAxes(), true);
  return {f.mul(isMax, f.div(withKeptAxes(f, *this, dy), ties))};
}

// Y = A B              dA = dY B^T        dB = A^T dY              keeps A and
// B Y = A^T B            dA = B dY^T        dB = A dY Y = A B^T            dA =
// dY B          dB = dY^T A
SmallVector<Value> MatmulOp::buildGradient(OpBuilder &builder, Value dy) {
  Location loc = getLoc();
  Value a = getA(), b = getB();
  bool ta = getTransposeA(), tb = getTransposeB();
  Value da = ta ? MatmulOp::create(builder, loc, b, dy, tb, true)
                : MatmulOp::create(builder, loc, dy, b, false, !tb);
  Value db = tb ? MatmulOp::create(builder, loc, dy, a, true, ta)
                : MatmulOp::create(builder, loc, a, dy, !ta, false);
  return {da, db};
}

// Y = A B of each sample: as matmul; what was stretched is summed back
//                                                                  keeps A and
//                                                                  B
SmallVector<Value> BatchMatmulOp::buildGradient(OpBuilder &builder, Value dy) {
  Location loc = getLoc();
  Formula f(builder, loc);
  Value a = getA(), b = getB();
  bool ta = getTransposeA(), tb = getTransposeB();
  Value da = ta ? BatchMatmulOp::create(f.b, loc, b, dy, tb, true)
                : BatchMatmulOp::create(f.b, loc, dy, b, false, !tb);
  Value db = tb ? BatchMatmulOp::create(f.b, loc, dy, a, true, ta)
                : BatchMatmulOp::create(f.b, loc, a, dy, !ta, false);
  return {f.sumTo(da, a), f.sumTo(db, b)};
}

// y = table[x]         dtable = the sums of dy by x               keeps x
SmallVector<Value> EmbeddingOp::buildGradient(OpBuilder &builder, Value dy) {
  int64_t rows = tensorTypeOf(getTable()).getDimSize(0);
  return {Value(),
          EmbeddingGradientOp::create(builder, getLoc(), getX(), dy, rows)};
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

// y = conv(x, w)       dx = conv^T(dy, w)    dw = filter gradient(x, dy)
//                                                                  keeps x, w
SmallVector<Value> Conv2dOp::buildGradient(OpBuilder &builder, Value dy) {
  ArrayRef<int64_t> image = tensorTypeOf(getX()).getShape();
  ArrayRef<int64_t> taps = tensorTypeOf(getFilter()).getShape();
  return {Conv2dTransposeOp::create(builder, getLoc(), dy, getFilter(),
                                    image.slice(1, 2), getStrides(),
                                    getDilations(), getPadding(), getGroups()),
          Conv2dFilterGradientOp::create(
              builder, getLoc(), getX(), dy, taps.take_front(2), getStrides(),
              getDilations(), getPadding(), getGroups())};
}

// y = conv^T(x, w)     dx = conv(dy, w)      dw = filter gradient(dy, x)
//                                                                  keeps x, w
SmallVector<Value> Conv2dTransposeOp::buildGradient(OpBuilder &builder,
                                                    Value dy) {
  ArrayRef<int64_t> taps = tensorTypeOf(getFilter()).getShape();
  return {Conv2dOp::create(builder, getLoc(), dy, getFilter(), getStrides(),
                           getDilations(), getPadding(), getGroups()),
          Conv2dFilterGradientOp::create(
              builder, getLoc(), dy, getX(), taps.take_front(2), getStrides(),
              getDilations(), getPadding(), getGroups())};
}

// w = filter gradient(x, g)    dx = conv^T(g, dw)    dg = conv(x, dw)
//                                                                  keeps x, g
SmallVector<Value> Conv2dFilterGradientOp::buildGradient(OpBuilder &builder,
                                                         Value dw) {
  ArrayRef<int64_t> image = tensorTypeOf(getX()).getShape();
  return {Conv2dTransposeOp::create(builder, getLoc(), getDy(), dw,
                                    image.slice(1, 2), getStrides(),
                                    getDilations(), getPadding(), getGroups()),
          Conv2dOp::create(builder, getLoc(), getX(), dw, getStrides(),
                           getDilations(), getPadding(), getGroups())};
}

// y = max pool x       dx = dy at each window's first maximum      keeps x
SmallVector<Value> MaxPool2dOp::buildGradient(OpBuilder &builder, Value dy) {
  return {MaxPool2dGradientOp::create(builder, getLoc(), getX(), dy,
                                      getWindow(), getStrides(), getPadding())};
}

// y = avg pool x       dx = dy spread over each window             keeps
// nothing
SmallVector<Value> AvgPool2dOp::buildGradient(OpBuilder &builder, Value dy) {
  ArrayRef<int64_t> image = tensorTypeOf(getX()).getShape();
  return {AvgPool2dGradientOp::create(builder, getLoc(), dy, image.slice(1, 2),
                                      getWindow(), getStrides(), getPadding())};
}

// y = spread dy        d(dy) = avg pool of the gradient            keeps
// nothing
SmallVector<Value> AvgPool2dGradientOp::buildGradient(OpBuilder &builder,
                                                      Value dx) {
  return {AvgPool2dOp::create(builder, getLoc(), dx, getWindow(), getStrides(),
                              getPadding())};
}

//===----------------------------------------------------------------------===//
// Normalisation
//===----------------------------------------------------------------------===//

// y = gamma c r + beta, c = x - mean, r = 1 / sqrt(variance + epsilon), over m
// elements:
//   dbeta = sum(dy)      dgamma = r sum(dy c)
//   dx = gamma r (dy - sum(dy) / m - c r^2 sum(dy c) / m)          keeps x
SmallVector<Value> BatchNormOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  Moments moments = batchMoments(f, getX(), getShift());
  Value c = f.sub(getX(), moments.mean);
  Value r = inverseDeviation(f, moments.variance,
                             getEpsilon().convertToFloat());
  SmallVector<int64_t> axes = allButChannels(tensorTypeOf(getX()));
  Value sum = f.sum(dy, axes), sumC = f.sum(f.mul(dy, c), axes);
  Value count = batchCount(f, tensorTypeOf(getX()));
  Value slope = f.div(f.mul(f.square(r), sumC), count);
  Value rest = f.sub(f.sub(dy, f.div(sum, count)), f.mul(c, slope));
  return {f.mul(rest, f.mul(getGamma(), r)), f.sumTo(f.mul(r, sumC), getGamma()),
          f.sumTo(sum, getBeta()), Value()};
}

// As batch_norm, with sums over a sample's own elements, d = dy gamma:
//   dx = r (d - mean(d) - c r^2 mean(d c))                         keeps x
SmallVector<Value> LayerNormOp::buildGradient(OpBuilder &builder, Value dy) {
  Formula f(builder, getLoc());
  LayerMoments moments = layerMoments(f, getX(), getAxes());
  Value c = moments.centred;
  Value r = inverseDeviation(f, moments.variance,
                             getEpsilon().convertToFloat());
  Value d = f.mul(dy, getGamma());
  Value slope = f.mul(f.square(r), meanOfLast(f, f.mul(d, c), getAxes()));
  Value rest = f.sub(f.sub(d, meanOfLast(f, d, getAxes())), f.mul(c, slope));
  return {f.mul(rest, r), f.sumTo(f.mul(dy, f.mul(c, r)), getGamma()),
          f.sumTo(dy, getBeta())};
}
