//===- VectorMath.cpp - exp, log, tanh, ... as vector code ---------------===//
//
// Problem: a call into libm costs a lane at a time what a whole vector may
// cost; and its result depends on the machine's libm.
//
// Idea: every function is reduced to a polynomial on a short interval, without
// branches and tables, so that all lanes run the same instructions. Reductions
// are the classic ones of Cody and Waite ("Software Manual for the Elementary
// Functions", 1980); tanh goes through expm1, erf(x) = 1 - e^-p(x) away from 0.
// Coefficients come from fit_polynomials.py beside this file. Special values
// come out of the arithmetic itself where possible, else of a select at the
// end.
//
// Multiply-adds are fused where the target has such an instruction; the bounds
// in VectorMath.h hold with and without.
//
// Known weakness: sin and cos work in f64, at half the speed, so that
// they need no fused multiply-add for a reduction by pi/2 without loss.
//
//===----------------------------------------------------------------------===//

#include "codegen/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <limits>
#include <numbers>

using namespace mlir;

//===----------------------------------------------------------------------===//
// Notation: operators that build arithmetic
//===----------------------------------------------------------------------===//

namespace {

/// A value of f32, f64, i32, i64 or i1, or a vector of these, with operators.
struct Term {
  ImplicitLocOpBuilder *builder;
  Value value;

  Type type() const { return value.getType(); }
  Term with(Value other) const { return {builder, other}; }

  /// The same shape with elements of another type.
  Type shaped(Type element) const {
    if (auto vector = dyn_cast<VectorType>(type()))
      return vector.clone(element);
    return element;
  }

  Term constant(double number) const {
    Type element = getElementTypeOrSelf(type());
    TypedAttr attr = isa<FloatType>(element)
                         ? TypedAttr(builder->getFloatAttr(element, number))
                         : builder->getIntegerAttr(element, int64_t(number));
    if (auto vector = dyn_cast<VectorType>(type()))
      attr = SplatElementsAttr::get(vector, Attribute(attr));
    return with(arith::ConstantOp::create(*builder, attr));
  }

  /// The bits of a float as an integer, and back.
  Term bits() const {
    unsigned width = getElementTypeOrSelf(type()).getIntOrFloatBitWidth();
    return with(arith::BitcastOp::create(
        *builder, shaped(builder->getIntegerType(width)), value));
  }
  Term asF32() const {
    return with(arith::BitcastOp::create(*builder,
                                         shaped(builder->getF32Type()), value));
  }
};

} // namespace

static bool isFloat(const Term &a) {
  return isa<FloatType>(getElementTypeOrSelf(a.type()));
}

static Term operator+(const Term &a, const Term &b) {
  if (isFloat(a))
    return a.with(arith::AddFOp::create(*a.builder, a.value, b.value));
  return a.with(arith::AddIOp::create(*a.builder, a.value, b.value));
}
static Term operator-(const Term &a, const Term &b) {
  if (isFloat(a))
    return a.with(arith::SubFOp::create(*a.builder, a.value, b.value));
  return a.with(arith::SubIOp::create(*a.builder, a.value, b.value));
}
static Term operator*(const Term &a, const Term &b) {
  return a.with(arith::MulFOp::create(*a.builder, a.value, b.value));
}
static Term operator/(const Term &a, const Term &b) {
  return a.with(arith::DivFOp::create(*a.builder, a.value, b.value));
}
static Term operator+(const Term &a, double b) { return a + a.constant(b); }
static Term operator-(const Term &a, double b) { return a - a.constant(b); }
static Term operator*(const Term &a, double b) { return a * a.constant(b); }
static Term operator-(double a, const Term &b) { return b.constant(a) - b; }

/// Bitwise, on integers.
static Term operator&(const Term &a, int64_t mask) {
  return a.with(
      arith::AndIOp::create(*a.builder, a.value, a.constant(mask).value));
}
static Term operator<<(const Term &a, int64_t by) {
  return a.with(
      arith::ShLIOp::create(*a.builder, a.value, a.constant(by).value));
}
/// Keeps the sign.
static Term operator>>(const Term &a, int64_t by) {
  return a.with(
      arith::ShRSIOp::create(*a.builder, a.value, a.constant(by).value));
}

/// Comparisons are false for NaN.
static Term compare(arith::CmpFPredicate predicate, const Term &a, double b) {
  return a.with(arith::CmpFOp::create(*a.builder, predicate, a.value,
                                      a.constant(b).value));
}
static Term operator<(const Term &a, double b) {
  return compare(arith::CmpFPredicate::OLT, a, b);
}
static Term operator>(const Term &a, double b) {
  return compare(arith::CmpFPredicate::OGT, a, b);
}
static Term operator==(const Term &a, double b) {
  return compare(arith::CmpFPredicate::OEQ, a, b);
}

static Term select(const Term &condition, const Term &a, const Term &b) {
  return a.with(
      arith::SelectOp::create(*a.builder, condition.value, a.value, b.value));
}

/// NaN stays NaN: the comparison is false for it.
static Term atMost(const Term &x, double high) {
  return select(x > high, x.constant(high), x);
}
static Term atLeast(const Term &x, double low) {
  return select(x < low, x.constant(low), x);
}

static Term abs(const Term &x) {
  return x.with(math::AbsFOp::create(*x.builder, x.value));
}
static Term copySign(const Term &magnitude, const Term &sign) {
  return magnitude.with(math::CopySignOp::create(*magnitude.builder,
                                                 magnitude.value, sign.value));
}

/// a * b + c; fused where that is one instruction.
static Term fma(const Term &a, const Term &b, const Term &c) {
  if (isa<VectorType>(a.type()))
    return a.with(vector::FMAOp::create(*a.builder, a.value, b.value, c.value));
  return a.with(LLVM::FMulAddOp::create(*a.builder, a.value, b.value, c.value));
}
static Term fma(const Term &a, double b, const Term &c) {
  return fma(a, a.constant(b), c);
}
static Term fma(const Term &a, const Term &b, double c) {
  return fma(a, b, a.constant(c));
}

/// c[0] + c[1] x + c[2] x^2 + ...
static Term polynomial(const Term &x, ArrayRef<float> c) {
  Term sum = x.constant(c.back());
  for (float coefficient : llvm::reverse(c.drop_back()))
    sum = fma(sum, x, coefficient);
  return sum;
}

//===----------------------------------------------------------------------===//
// Exponentials: x = n ln 2 + r, e^x = 2^n e^r
//===----------------------------------------------------------------------===//

namespace {

/// ln 2 in two parts; n * high is exact for |n| < 2^9.
constexpr float ln2High = 0x1.62e4p-1f, ln2Low = 0x1.7f7d1cp-20f;

struct ReducedExponent {
  Term n;         // i32
  Term remainder; // |r| <= ln 2 / 2
};

} // namespace

static ReducedExponent reduceExponent(const Term &x) {
  // Adding 1.5 * 2^23 rounds to an integer, whose bits are the sum's low ones.
  // NaN runs through, and no conversion is undefined.
  constexpr float rounder = 0x1.8p23f;
  Term shifted = fma(x, std::numbers::log2e, x.constant(rounder));
  Term n = shifted - rounder;
  Term remainder = fma(n, -ln2Low, fma(n, -ln2High, x));
  Term bits = shifted.bits();
  return {bits - bits.constant(llvm::bit_cast<int32_t>(rounder)), remainder};
}

/// e^r - 1
static Term expm1OfRemainder(const Term &r) {
  Term tail = polynomial(r, {0.5f, 0.166666672f, 0.0416664891f, 0.00833320804f,
                             0.00139326847f, 0.0001994427f});
  return fma(r * r, tail, r);
}

/// 2^n for -126 <= n <= 127
static Term powerOf2(const Term &n) { return ((n + 127) << 23).asF32(); }

static Term buildExp(const Term &x) {
  // e^-104 rounds to 0, e^89 to infinity.
  auto [n, r] = reduceExponent(atLeast(atMost(x, 89), -104));
  // Two factors, as 2^n itself may be out of range.
  Term half = n >> 1;
  return (expm1OfRemainder(r) + 1) * powerOf2(half) * powerOf2(n - half);
}

static Term buildExpm1(const Term &x) {
  // e^-20 - 1 rounds to -1.
  auto [n, r] = reduceExponent(atLeast(atMost(x, 89), -20));
  // 2^n q + (2^n - 1), all halved, as 2^128 is out of range.
  Term scale = powerOf2(n - n.constant(1));
  Term half = fma(expm1OfRemainder(r), scale, scale - 0.5);
  return select(abs(x) < 0x1p-25, x, half + half);
}

static Term buildTanh(const Term &x) {
  // (e^2x - 1) / (e^2x + 1); tanh 10 rounds to 1.
  Term magnitude = atMost(abs(x), 10);
  Term m = buildExpm1(magnitude + magnitude);
  return copySign(m / (m + 2), x);
}

static Term buildErf(const Term &x) {
  // erf 4 rounds to 1.
  Term t = atMost(abs(x), 4);
  Term near = polynomial(t * t, {0.128379166f, -0.376126289f, 0.112836242f,
                                 -0.0268555954f, 0.00519199343f,
                                 -0.000804470677f, 7.97485627e-05f});
  Term far = polynomial(t, {1.12850475f, 0.635751009f, 0.105218492f,
                            -0.0228619929f, 0.00320617948f, -0.000212914281f});
  Term tail = 1 - buildExp(t.constant(0) - t * far);
  return copySign(select(t < 0.9375, fma(near, t, t), tail), x);
}

//===----------------------------------------------------------------------===//
// Logarithms: x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2)
//===----------------------------------------------------------------------===//

/// The exponent e of a positive normal number, i32.
static Term exponentOf(const Term &x) {
  Term bits = x.bits();
  return (bits - bits.constant(llvm::bit_cast<int32_t>(0x1.6a09e6p-1f))) >> 23;
}

/// e ln 2 + ln(1 + f)
static Term combineLog(const Term &e, const Term &f) {
  Term exponent =
      f.with(arith::SIToFPOp::create(*f.builder, f.type(), e.value));
  Term tail = polynomial(f, {0.333333164f, -0.250008106f, 0.20002301f,
                             -0.166245535f, 0.141809836f, -0.131286368f,
                             0.128825411f, -0.0786056891f});
  Term square = f * f;
  Term low = fma(square * f, tail, exponent * ln2Low);
  return fma(exponent, ln2High, f + fma(square, -0.5, low));
}

/// What logarithms give where the arithmetic above does not hold. `argument` is
/// x of ln x.
static Term selectLogSpecials(const Term &argument, const Term &result) {
  constexpr double infinity = std::numeric_limits<float>::infinity();
  Term finite = select(argument == infinity, argument, result);
  Term atPole = select(argument == 0, argument.constant(-infinity), finite);
  Term isNumber = argument.with(
      arith::CmpFOp::create(*argument.builder, arith::CmpFPredicate::OGE,
                            argument.value, argument.constant(0).value));
  return select(isNumber, atPole,
                argument.constant(std::numeric_limits<float>::quiet_NaN()));
}

static Term buildLog(const Term &x) {
  Term isDenormal = x < 0x1p-126;
  Term normal = select(isDenormal, x * 0x1p23, x);
  Term e = exponentOf(normal);
  Term f = (normal.bits() - (e << 23)).asF32() - 1;
  Term shift = select(isDenormal, e.constant(23), e.constant(0));
  return selectLogSpecials(x, combineLog(e - shift, f));
}

static Term buildLog1p(const Term &x) {
  Term sum = x + 1;
  Term e = exponentOf(sum);
  // f = 2^-e x + (2^-e - 1) instead of 2^-e (1 + x) - 1, as 1 + x is rounded.
  // Times 4 and by 1/4, as 2^-128 is no normal number.
  Term scale = powerOf2(e.constant(2) - e);
  Term f = fma(x * 0.25, scale, fma(scale, 0.25, x.constant(-1)));
  Term result = selectLogSpecials(sum, combineLog(e, f));
  return select(abs(x) < 0x1p-25, x, result);
}

//===----------------------------------------------------------------------===//
// Sine and cosine: x = n pi/2 + r, in f64
//===----------------------------------------------------------------------===//

namespace {

struct ReducedAngle {
  Term quadrant;  // i32, n modulo 4
  Term remainder; // f32, |r| <= pi/4
};

} // namespace

static ReducedAngle reduceAngle(const Term &x) {
  Term wide = x.with(arith::ExtFOp::create(
      *x.builder, x.shaped(x.builder->getF64Type()), x.value));
  constexpr double rounder = 0x1.8p52;
  Term shifted = wide * (2 / std::numbers::pi) + rounder;
  Term n = shifted - rounder;
  // pi/2 in two parts; n * high is exact for |n| < 2^28, and so is the first
  // difference.
  constexpr double high = 0x1.921fb5p+0, low = 0x1.110b4611a6263p-26;
  Term remainder = wide - n * high - n * low;
  Type i32 = x.shaped(x.builder->getI32Type());
  Term quadrant = x.with(
      arith::TruncIOp::create(*x.builder, i32, (shifted.bits() & 3).value));
  return {quadrant, x.with(arith::TruncFOp::create(*x.builder, x.type(),
                                                   remainder.value))};
}

/// The sine of n quarter turns and a remainder.
static Term buildSineOf(const Term &x, const Term &quadrant, const Term &r) {
  Term square = r * r;
  Term sine = fma(
      square * r,
      polynomial(square, {-0.166666552f, 0.0083321901f, -0.000195184082f}), r);
  Term cosine =
      fma(square * square,
          polynomial(square, {0.0416666456f, -0.00138873013f, 2.44306684e-05f}),
          fma(square, -0.5, x.constant(1)));
  Term isOdd = quadrant.with(
      arith::CmpIOp::create(*x.builder, arith::CmpIPredicate::ne,
                            (quadrant & 1).value, quadrant.constant(0).value));
  // The half turn, moved to the sign bit.
  Term sign = (quadrant & 2) << 30;
  Term result = select(isOdd, cosine, sine);
  Term bits = result.bits();
  Term turned =
      x.with(arith::XOrIOp::create(*x.builder, bits.value, sign.value));
  // Not true for NaN, which gives NaN.
  Term isInRange = x.with(
      arith::CmpFOp::create(*x.builder, arith::CmpFPredicate::OLE, abs(x).value,
                            x.constant(sinter::trigonometricLimit).value));
  return select(isInRange, turned.asF32(),
                x.constant(std::numeric_limits<float>::quiet_NaN()));
}

static Term buildSin(const Term &x) {
  auto [quadrant, r] = reduceAngle(x);
  // Keeps tiny arguments, and the sign of zero.
  return select(abs(x) < 0x1p-13, x, buildSineOf(x, quadrant, r));
}

static Term buildCos(const Term &x) {
  auto [quadrant, r] = reduceAngle(x);
  return buildSineOf(x, quadrant + quadrant.constant(1), r);
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

namespace {

template <typename Op, Term (*build)(const Term &)>
class ExpandFunction : public OpRewritePattern<Op> {
public:
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    ImplicitLocOpBuilder builder(op.getLoc(), rewriter);
    rewriter.replaceOp(op, build({&builder, op.getOperand()}).value);
    return success();
  }
};

} // namespace

void sinter::populateVectorMath(RewritePatternSet &patterns) {
  patterns.add<ExpandFunction<math::ExpOp, buildExp>,
               ExpandFunction<math::ExpM1Op, buildExpm1>,
               ExpandFunction<math::LogOp, buildLog>,
               ExpandFunction<math::Log1pOp, buildLog1p>,
               ExpandFunction<math::TanhOp, buildTanh>,
               ExpandFunction<math::ErfOp, buildErf>,
               ExpandFunction<math::SinOp, buildSin>,
               ExpandFunction<math::CosOp, buildCos>>(patterns.getContext());
}
