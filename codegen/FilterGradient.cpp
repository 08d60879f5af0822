//===- FilterGradient.cpp - what gradients of filters share --------------===//

#include "codegen/FilterGradient.h"
#include "codegen/MaskedBits.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

/// The lanes of two vectors that one step of laneSums() adds: at each place a
/// lane of either `low` and `high`. First pairs within quads of lanes, then
/// quads: processors have instructions for these.
static std::pair<SmallVector<int64_t>, SmallVector<int64_t>>
lanesOfStep(int64_t lanes, int64_t step) {
  constexpr int64_t quad = 4;
  SmallVector<int64_t> low, high;
  auto add = [&](int64_t first, int64_t count, int64_t toHigh) {
    for (int64_t lane = first; lane < first + count; ++lane) {
      low.push_back(lane);
      high.push_back(lane + toHigh);
    }
  };
  if (int64_t block = std::min(quad, lanes); (1 << step) < block)
    for (int64_t first = 0; first < lanes; first += block)
      for (int64_t lane = 0; lane < block / 2; lane += 1 << step)
        for (int64_t vector : {0, 1})
          add(vector * lanes + first + lane, 1 << step, block / 2);
  else
    for (int64_t first = 0; first < 2 * lanes; first += 2 * quad)
      add(first, quad, quad);
  return {low, high};
}

SmallVector<Value> sinter::laneSums(KernelEmitter &e, ArrayRef<Value> vectors) {
  auto isGiven = [](Value vector) { return static_cast<bool>(vector); };
  Value any = *llvm::find_if(vectors, isGiven);
  int64_t lanes = cast<VectorType>(any.getType()).getDimSize(0);
  SmallVector<Value> level(vectors);
  for (int64_t step = 0; (1 << step) < lanes; ++step) {
    auto [low, high] = lanesOfStep(lanes, step);
    SmallVector<Value> next;
    // Level k has a vector for each 2^k of the given ones.
    for (size_t i = 0; i < level.size(); i += 2) {
      Value x = level[i], y = i + 1 < level.size() ? level[i + 1] : Value();
      if (!x && !y) {
        next.push_back({});
        continue;
      }
      x = x ? x : y;
      y = y ? y : x;
      Value lows = vector::ShuffleOp::create(e.b, x, y, low);
      Value highs = vector::ShuffleOp::create(e.b, x, y, high);
      next.push_back(arith::AddFOp::create(e.b, lows, highs));
    }
    level = next;
  }
  return level;
}

SmallVector<Value>
sinter::withLastSamples(KernelEmitter &e, Value rest, ArrayRef<Value> acc,
                        llvm::function_ref<SmallVector<Value>(Value)> body) {
  Value hasRest =
      arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne, rest, e.index(0));
  auto branch = scf::IfOp::create(e.b, ValueRange(acc).getTypes(), hasRest,
                                  /*withElse=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(branch.thenBlock());
  e.scope([&] {
    auto maskType = VectorType::get({e.lanes()}, e.b.getI1Type());
    Value mask = vector::CreateMaskOp::create(e.b, maskType, rest);
    scf::YieldOp::create(e.b, body(mask));
  });
  e.b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(e.b, acc);
  return branch.getResults();
}

void sinter::addLaneSums(KernelEmitter &e, ArrayRef<Value> acc, int64_t columns,
                         Value memory,
                         llvm::function_ref<Value(int64_t)> placeOf,
                         Value isFirst) {
  // Up to four at a time, which begin at multiples of four, so that none
  // straddles two vectors.
  constexpr int64_t quad = 4;
  int64_t rows = static_cast<int64_t>(acc.size()) / columns;
  int64_t stride = llvm::alignTo(columns, quad);
  SmallVector<Value> spaced(rows * stride);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      spaced[r * stride + c] = acc[r * columns + c];
  SmallVector<Value> sums = laneSums(e, spaced);

  int64_t lanes = cast<VectorType>(acc.front().getType()).getDimSize(0);
  Value isLater;
  if (isFirst)
    isLater = arith::XOrIOp::create(
        e.b, isFirst, arith::ConstantOp::create(e.b, e.b.getBoolAttr(true)));
  for (int64_t r = 0; r < rows; ++r) {
    Value place = placeOf(r);
    for (int64_t c = 0, width; c < columns; c += width) {
      width = columns - c >= quad ? quad : columns - c >= 2 ? 2 : 1;
      int64_t number = r * stride + c;
      Value total = sums[number / lanes];
      SmallVector<int64_t> taken;
      for (int64_t i = 0; i < width; ++i)
        taken.push_back(number % lanes + i);
      Value part = vector::ShuffleOp::create(e.b, total, total, taken);
      Value at = e.add(place, c);
      Value before = vector::LoadOp::create(e.b, part.getType(), memory, at);
      if (isFirst)
        before = maskedBits(e, before, maskOf(e, isLater, width));
      Value after = arith::AddFOp::create(e.b, before, part);
      vector::StoreOp::create(e.b, after, memory, at);
    }
  }
}

SmallVector<WindowRun> sinter::windowRuns(const WindowAxis &axis, int64_t size,
                                          int64_t firstTap, int64_t taps) {
  auto sameTapsHit = [&](int64_t first, int64_t second) {
    for (int64_t w = 0; w < size; ++w)
      for (int64_t tap = firstTap; tap < firstTap + taps; ++tap)
        if (axis.covers(first + w, tap) != axis.covers(second + w, tap))
          return false;
    return true;
  };
  SmallVector<WindowRun> runs;
  for (int64_t first = 0; first < axis.windows(); first += size) {
    int64_t here = std::min(size, axis.windows() - first);
    if (!runs.empty() && here == size && sameTapsHit(runs.back().first, first))
      ++runs.back().turns;
    else
      runs.push_back({first, here, 1});
  }
  return runs;
}

std::pair<Value, Value>
sinter::windowsUnder(KernelEmitter &e, const WindowAxis &axis, Value tap) {
  auto most = [&](Value x) -> Value {
    return arith::MaxSIOp::create(e.b, x, e.index(0));
  };
  auto ceilDivide = [&](Value value) -> Value {
    return axis.stride == 1
               ? value
               : arith::DivUIOp::create(e.b, e.add(value, axis.stride - 1),
                                        e.index(axis.stride))
                     .getResult();
  };
  // 0 <= r stride + tap dilation - low < pixels
  Value before =
      arith::SubIOp::create(e.b, e.index(axis.low), e.mul(tap, axis.dilation));
  Value room = e.add(before, axis.pixels);
  Value low = ceilDivide(most(before));
  Value high = arith::MinSIOp::create(e.b, e.index(axis.windows()),
                                      ceilDivide(most(room)));
  return {low, high};
}

Meetings sinter::meetingsOf(const WindowAxis &axis, const WindowRun &run) {
  Meetings meetings;
  for (int64_t w = 0; w < run.size; ++w)
    for (int64_t tap = 0; tap < axis.taps; ++tap)
      if (axis.covers(run.first + w, tap))
        meetings[w * axis.stride + tap * axis.dilation].push_back({w, tap});
  return meetings;
}
