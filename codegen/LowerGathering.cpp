//===- LowerGathering.cpp - values from other points ---------------------===//
//
// Pooling, upsampling and transposition at one point of their result: which
// points of the operand they ask for, unrolled. Indices are scalars, so no
// lanes diverge; an index that may be outside of the image is moved inside, and
// what is read there is not used.
//
// A pooling gradient is written the same way, from the pixel's point of view:
// the windows that cover it, and whether it is their maximum. Where windows do
// not overlap there is one. Neighbours share windows; LowerPoolGradient.cpp
// lets them share the search for the maximum, too.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;
using namespace sinter;

/// Both, where null is true.
static Value both(ImplicitLocOpBuilder &b, Value x, Value y) {
  if (!x || !y)
    return x ? x : y;
  return arith::AndIOp::create(b, x, y);
}

/// `value` where `exists`, else `otherwise`.
static Value whereExists(ImplicitLocOpBuilder &b, Value exists, Value value,
                         Value otherwise) {
  return exists ? arith::SelectOp::create(b, exists, value, otherwise) : value;
}

KernelEmitter::Tap KernelEmitter::tapAt(const WindowAxis &axis, Value window,
                                        int64_t tap) {
  if (const BlockIndex *known = findInBlock(window)) {
    Value base = known->base;
    return {inBlock(base, known->stride * axis.stride,
                    axis.pixel(known->offset, tap)),
            {}};
  }
  Value at = add(mul(window, axis.stride), axis.pixel(0, tap));
  if (axis.covers(0, tap) && axis.covers(axis.windows() - 1, tap))
    return {at, {}};
  // As an unsigned number, an index below 0 is large.
  Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, at,
                                       index(axis.pixels));
  return {arith::SelectOp::create(b, exists, at, index(0)), exists};
}

/// How many of a window's pixels are in the image, along one axis; null if all.
Value KernelEmitter::overlap(const WindowAxis &axis, Value window) {
  if (findInBlock(window))
    return {};
  if (axis.low == 0 &&
      axis.pixel(axis.windows() - 1, axis.taps - 1) < axis.pixels)
    return {};
  Value first = add(mul(window, axis.stride), -axis.low);
  Value end =
      arith::MinSIOp::create(b, add(first, axis.taps), index(axis.pixels));
  return arith::SubIOp::create(b, end,
                               arith::MaxSIOp::create(b, first, index(0)));
}

SmallVector<KernelEmitter::Covering>
KernelEmitter::windowsOver(const WindowAxis &axis, Value pixel) {
  SmallVector<Covering> result;
  if (const BlockIndex *known = findInBlock(pixel);
      known && known->stride == axis.stride) {
    Value base = known->base;
    int64_t shifted = known->offset + axis.low;
    for (int64_t tap = shifted % axis.stride; tap < axis.taps;
         tap += axis.stride)
      result.push_back(
          {inBlock(base, 1, (shifted - tap) / axis.stride), index(tap), {}});
    return result;
  }
  Value shifted = add(pixel, axis.low);
  Value last = arith::DivUIOp::create(b, shifted, index(axis.stride));
  Value rest = arith::RemUIOp::create(b, shifted, index(axis.stride));
  int64_t candidates = (axis.taps + axis.stride - 1) / axis.stride;
  bool endsCovered =
      (axis.pixels - 1 + axis.low) / axis.stride < axis.windows();
  for (int64_t q = 0; q < candidates; ++q) {
    Value window = add(last, -q), tap = add(rest, q * axis.stride), exists;
    if (q > 0 || !endsCovered) {
      exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, window,
                                     index(axis.windows()));
      window = arith::SelectOp::create(b, exists, window, index(0));
    }
    if ((q + 1) * axis.stride > axis.taps)
      exists = both(b, exists,
                    arith::CmpIOp::create(b, arith::CmpIPredicate::ult, tap,
                                          index(axis.taps)));
    result.push_back({window, tap, exists});
  }
  return result;
}

/// The maximum of a window, of equal ones the first, NaN if a tap is; or, in
/// `position`, the number of its first maximal tap; or, in `found`, `y` there.
Value KernelEmitter::emitMaxPool(Value x, const Window &window,
                                 ValueRange features, Value *position, Value y,
                                 Value *found) {
  Value best;
  // Of comparisons, a maximum costs one instruction a tap. They pass over NaN:
  // whether there was one is asked for two taps at a time.
  Value isNumber, unasked;
  auto ask = [&](Value x, Value y) {
    isNumber = both(b, isNumber,
                    arith::CmpFOp::create(b, arith::CmpFPredicate::ORD, x, y));
  };
  int64_t number = 0;
  Value least = vectorConstant(-std::numeric_limits<float>::infinity());
  auto numberOf = [&](int64_t tap) {
    return spread(arith::ConstantOp::create(b, b.getI32IntegerAttr(tap)));
  };
  for (int64_t i = 0; i < window[0].taps; ++i) {
    Tap down = tapAt(window[0], features[0], i);
    for (int64_t j = 0; j < window[1].taps; ++j, ++number) {
      Tap across = tapAt(window[1], features[1], j);
      Indices at = {down.pixel, across.pixel, features[2]};
      Value exists = both(b, down.exists, across.exists);
      Value value = whereExists(b, exists, emit(x, at), least);
      Value other;
      if (found)
        other = whereExists(b, exists, emit(y, at), vectorConstant(0));
      if (!best) {
        best = value;
        if (position)
          *position = numberOf(0);
        if (found)
          *found = other;
        continue;
      }
      Value wins =
          arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, value, best);
      best = arith::SelectOp::create(b, wins, value, best);
      if (position) {
        *position =
            arith::SelectOp::create(b, wins, numberOf(number), *position);
      } else if (found) {
        *found = arith::SelectOp::create(b, wins, other, *found);
      } else if (unasked) {
        ask(unasked, value);
        unasked = {};
      } else {
        unasked = value;
      }
    }
  }
  if (unasked)
    ask(unasked, unasked);
  if (!isNumber)
    return best;
  Value none = vectorConstant(std::numeric_limits<float>::quiet_NaN());
  return arith::SelectOp::create(b, isNumber, best, none);
}

Value KernelEmitter::maximalTap(MaxPool2dGradientOp gradient,
                                ValueRange window) {
  for (const Emitted &known : maxima)
    if (known.tensor == gradient.getResult() &&
        ValueRange(known.features) == window)
      return known.value;
  Value position;
  emitMaxPool(gradient.getX(), poolWindowOf(gradient), window, &position);
  seedMaximalTap(gradient, window, position);
  return position;
}

/// 1 / (number of a window's pixels in the image), in all lanes.
static Value inverseCount(KernelEmitter &e, const Window &window, Value down,
                          Value across) {
  auto &b = e.b;
  Value all = arith::MulIOp::create(b, down ? down : e.index(window[0].taps),
                                    across ? across : e.index(window[1].taps));
  Value count = arith::SIToFPOp::create(
      b, b.getF32Type(), arith::IndexCastOp::create(b, b.getI32Type(), all));
  Value one = arith::ConstantOp::create(b, b.getF32FloatAttr(1));
  return arith::DivFOp::create(b, one, count);
}

Value KernelEmitter::emitAvgPool(AvgPool2dOp op, ValueRange features) {
  Window window = poolWindowOf(op);
  Value total, zero = vectorConstant(0);
  for (int64_t i = 0; i < window[0].taps; ++i) {
    Tap down = tapAt(window[0], features[0], i);
    for (int64_t j = 0; j < window[1].taps; ++j) {
      Tap across = tapAt(window[1], features[1], j);
      Value value =
          emit(op.getX(), ValueRange{down.pixel, across.pixel, features[2]});
      value = whereExists(b, both(b, down.exists, across.exists), value, zero);
      total =
          total ? arith::AddFOp::create(b, total, value).getResult() : value;
    }
  }
  Value share = inverseCount(*this, window, overlap(window[0], features[0]),
                             overlap(window[1], features[1]));
  return arith::MulFOp::create(b, total, spread(share));
}

/// Over all windows that cover the pixel: dy where it is their maximum (`x`
/// given), or its even share.
Value KernelEmitter::emitPoolGradient(Operation *op, Value dy, Value x,
                                      ValueRange features) {
  Window window = poolWindowOf(op);
  SmallVector<Covering> downs = windowsOver(window[0], features[0]);
  SmallVector<Covering> acrosses = windowsOver(window[1], features[1]);
  Value total, zero = vectorConstant(0);
  for (const Covering &down : downs)
    for (const Covering &across : acrosses) {
      Indices at = {down.window, across.window, features[2]};
      Value value = emit(dy, at);
      if (x) {
        Value position = maximalTap(cast<MaxPool2dGradientOp>(op), at);
        Value own =
            arith::AddIOp::create(b, mul(down.tap, window[1].taps), across.tap);
        Value isOwn = arith::CmpIOp::create(
            b, arith::CmpIPredicate::eq, position,
            spread(arith::IndexCastOp::create(b, b.getI32Type(), own)));
        value = arith::SelectOp::create(b, isOwn, value, zero);
      } else {
        Value share =
            inverseCount(*this, window, overlap(window[0], down.window),
                         overlap(window[1], across.window));
        value = arith::MulFOp::create(b, value, spread(share));
      }
      value = whereExists(b, both(b, down.exists, across.exists), value, zero);
      total =
          total ? arith::AddFOp::create(b, total, value).getResult() : value;
    }
  return total ? total : zero; // a pixel between windows
}

Value KernelEmitter::emitGathering(Operation *op, ValueRange features) {
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    Indices at(features.size());
    for (auto [feature, axis] :
         llvm::zip_equal(features, transpose.getPermutation().drop_front()))
      at[axis - 1] = feature;
    return emit(transpose.getX(), at);
  }
  if (auto upsample = dyn_cast<UpsampleOp>(op)) {
    auto source = [&](int axis) -> Value {
      return arith::DivUIOp::create(b, features[axis],
                                    index(upsample.getFactors()[axis]));
    };
    return emit(upsample.getX(), ValueRange{source(0), source(1), features[2]});
  }
  if (auto pool = dyn_cast<MaxPool2dOp>(op))
    return emitMaxPool(pool.getX(), poolWindowOf(pool), features, nullptr);
  if (auto gather = dyn_cast<MaxPool2dGatherOp>(op)) {
    Value found;
    emitMaxPool(gather.getX(), poolWindowOf(op), features, nullptr,
                gather.getY(), &found);
    return found;
  }
  if (auto pool = dyn_cast<AvgPool2dOp>(op))
    return emitAvgPool(pool, features);
  if (auto gradient = dyn_cast<MaxPool2dGradientOp>(op))
    return emitPoolGradient(op, gradient.getDy(), gradient.getX(), features);
  return emitPoolGradient(op, cast<AvgPool2dGradientOp>(op).getDy(), {},
                          features);
}
