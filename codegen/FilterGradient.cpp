//===- FilterGradient.cpp - what gradients of filters share --------------===//

#include "codegen/FilterGradient.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

SmallVector<Value> sinter::laneSums(KernelEmitter &e, ArrayRef<Value> vectors) {
  auto isGiven = [](Value vector) { return static_cast<bool>(vector); };
  Value any = *llvm::find_if(vectors, isGiven);
  int64_t lanes = cast<VectorType>(any.getType()).getDimSize(0);
  SmallVector<Value> level(vectors);
  for (int64_t width = 1; width < lanes; width *= 2) {
    // Halves of `width` lanes, of the first vector and of the second in turns.
    SmallVector<int64_t> low, high;
    for (int64_t block = 0; block < lanes; block += 2 * width)
      for (int64_t from : {block, block + lanes})
        for (int64_t lane = 0; lane < width; ++lane) {
          low.push_back(from + lane);
          high.push_back(from + width + lane);
        }
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
                         llvm::function_ref<Value(int64_t)> placeOf) {
  // Four at a time, which begin at multiples of four, so that none straddles
  // two vectors.
  constexpr int64_t quad = 4;
  int64_t rows = static_cast<int64_t>(acc.size()) / columns;
  int64_t quads = (columns + quad - 1) / quad;
  SmallVector<Value> spaced(rows * quads * quad);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      spaced[r * quads * quad + c] = acc[r * columns + c];
  SmallVector<Value> sums = laneSums(e, spaced);

  int64_t lanes = cast<VectorType>(acc.front().getType()).getDimSize(0);
  auto quadType = VectorType::get({quad}, e.b.getF32Type());
  for (int64_t r = 0; r < rows; ++r) {
    Value place = placeOf(r);
    for (int64_t q = 0; q < quads; ++q) {
      int64_t number = (r * quads + q) * quad;
      Value total = sums[number / lanes];
      int64_t lane = number % lanes;
      int64_t count = std::min(quad, columns - q * quad);
      if (count == quad) {
        Value at = e.add(place, q * quad);
        SmallVector<int64_t> taken = {lane, lane + 1, lane + 2, lane + 3};
        Value part = vector::ShuffleOp::create(e.b, total, total, taken);
        Value before = vector::LoadOp::create(e.b, quadType, memory, at);
        Value after = arith::AddFOp::create(e.b, before, part);
        vector::StoreOp::create(e.b, after, memory, at);
        continue;
      }
      for (int64_t c = 0; c < count; ++c) {
        Value at = e.add(place, q * quad + c);
        Value part = vector::ExtractOp::create(e.b, total, lane + c);
        Value before = memref::LoadOp::create(e.b, memory, at);
        Value after = arith::AddFOp::create(e.b, before, part);
        memref::StoreOp::create(e.b, after, memory, at);
      }
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
