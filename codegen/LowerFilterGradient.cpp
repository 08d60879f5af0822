//===- LowerFilterGradient.cpp - pixels and samples contracted away ------===//
//
// dw(i, j, c, f) = sum(r, q, n) x(r + i, q + j, c, n) dy(r, q, f, n): both
// operands are vectors of samples, so an accumulator is a vector of partial
// sums, one a lane, and its lanes are added once at the end.
//
//   for unit in this task's part of filter tiles x channel tiles x taps i:
//     acc[C][T][F] = 0
//     for rows r that tap i sees, pixels q of the row, samples n:
//       dy[F] = load dy(r, q, f.., n)
//       acc[c][t][f] += x(r + i, q + t, c, n) * dy[f]
//     store the sum of the lanes of acc[c][t][f] at (i, t, c, f)
//
// The T taps of a row of the filter share dy, and x moves along under them, so
// that it comes from the L1 cache for all taps but one. A pixel at the border
// has taps outside of the image: these load nothing, under a mask.
//
// Every sum is complete in one unit and in one order: no partial results.
// Weakness: filters wider than `kWidest` take one tap at a time.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelEmitter.h"
#include "codegen/TileChoice.h"
#include "ir/Window.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
constexpr int64_t kWidest = 5;

class FilterGradientNest {
public:
  explicit FilterGradientNest(KernelEmitter &e)
      : e(e), op(*e.kernel.getBody()
                      .front()
                      .getOps<Conv2dFilterGradientOp>()
                      .begin()),
        conv(convolutionOf(op)) {}

  int64_t build();

private:
  /// What is the same for all turns of a unit's loops.
  struct Unit {
    Value tapRow, firstTap, channel, filter; // channel and filter of all groups
    int64_t channels, filters;
  };

  void buildUnit(const Unit &unit, Value outChannel);
  SmallVector<Value> overSamples(const Unit &unit, Value row, Value column,
                                 bool allTapsHit, ValueRange acc);
  SmallVector<Value> step(const Unit &unit, Value row, Value column,
                          Value sample, Value count, bool allTapsHit,
                          ValueRange acc);
  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(e.b, x, y); }
  Value notNegative(Value x) {
    return arith::MaxSIOp::create(e.b, x, e.index(0));
  }
  /// Windows for which `tap` hits the image.
  std::pair<Value, Value> windowsOf(const WindowAxis &axis, Value tap);

  KernelEmitter &e;
  Conv2dFilterGradientOp op;
  Convolution conv;
  Value x, dy, dw; // (features, lanes), (features, lanes), flat
  int64_t taps = 1;
};
} // namespace

std::pair<Value, Value> FilterGradientNest::windowsOf(const WindowAxis &axis,
                                                      Value tap) {
  // 0 <= r stride + tap dilation - low < pixels
  auto ceilDivide = [&](Value value) -> Value {
    return axis.stride == 1
               ? value
               : arith::DivUIOp::create(e.b, e.add(value, axis.stride - 1),
                                        e.index(axis.stride))
                     .getResult();
  };
  Value before = sub(e.index(axis.low), e.mul(tap, axis.dilation));
  Value room = e.add(before, axis.pixels);
  Value low = ceilDivide(notNegative(before));
  Value high = arith::MinSIOp::create(e.b, e.index(axis.windows()),
                                      ceilDivide(notNegative(room)));
  return {low, high};
}

/// One multiply-add of every accumulator with `count` samples from `sample` on;
/// a null count stands for a whole vector.
SmallVector<Value> FilterGradientNest::step(const Unit &unit, Value row,
                                            Value column, Value sample,
                                            Value count, bool allTapsHit,
                                            ValueRange acc) {
  const auto &[down, across] = conv.window;
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  auto maskType = VectorType::get({e.lanes()}, e.b.getI1Type());
  Value zero = e.vectorConstant(0);
  auto load = [&](Value memory, Value feature, Value mask) -> Value {
    if (!mask)
      return vector::LoadOp::create(e.b, vector, memory,
                                    ValueRange{feature, sample});
    return vector::MaskedLoadOp::create(
        e.b, vector, memory, ValueRange{feature, sample}, mask, zero);
  };
  Value mask =
      count ? vector::CreateMaskOp::create(e.b, maskType, count).getResult()
            : Value();

  Value window = sum(e.mul(row, across.windows()), column);
  Value firstDy = sum(e.mul(window, conv.filters * conv.groups), unit.filter);
  SmallVector<Value> dys;
  for (int64_t f = 0; f < unit.filters; ++f)
    dys.push_back(load(dy, e.add(firstDy, f), mask));

  Value imageRow =
      e.add(sum(e.mul(row, down.stride), e.mul(unit.tapRow, down.dilation)),
            -down.low);
  SmallVector<Value> next(acc);
  for (int64_t t = 0; t < taps; ++t) {
    Value tap = e.add(unit.firstTap, t);
    Value imageColumn =
        e.add(sum(e.mul(column, across.stride), e.mul(tap, across.dilation)),
              -across.low);
    Value tapMask = mask;
    if (!allTapsHit) {
      Value hits = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                         imageColumn, e.index(across.pixels));
      Value most = count ? count : e.index(e.lanes());
      Value live = arith::SelectOp::create(e.b, hits, most, e.index(0));
      tapMask = vector::CreateMaskOp::create(e.b, maskType, live);
    }
    Value place = sum(e.mul(imageRow, across.pixels), imageColumn);
    Value firstX = sum(e.mul(place, conv.channels * conv.groups), unit.channel);
    for (int64_t c = 0; c < unit.channels; ++c) {
      Value pixel = load(x, e.add(firstX, c), tapMask);
      for (int64_t f = 0; f < unit.filters; ++f) {
        Value &sum = next[(c * taps + t) * unit.filters + f];
        Value product = vector::FMAOp::create(e.b, pixel, dys[f], sum);
        // A tap outside takes no part, whatever dy is there.
        sum = allTapsHit ? product
                         : arith::SelectOp::create(e.b, tapMask, product, sum)
                               .getResult();
      }
    }
  }
  return next;
}

SmallVector<Value> FilterGradientNest::overSamples(const Unit &unit, Value row,
                                                   Value column,
                                                   bool allTapsHit,
                                                   ValueRange acc) {
  Value lanes = e.index(e.lanes());
  Value rest = arith::RemUIOp::create(e.b, e.batch, lanes);
  Value whole = sub(e.batch, rest);
  SmallVector<Value> sums = e.loop(
      e.index(0), whole, e.lanes(), acc, [&](Value sample, ValueRange inside) {
        return step(unit, row, column, sample, {}, allTapsHit, inside);
      });
  Value hasRest =
      arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne, rest, e.index(0));
  auto branch =
      scf::IfOp::create(e.b, ValueRange(sums).getTypes(), hasRest, true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(branch.thenBlock());
  e.scope([&] {
    scf::YieldOp::create(
        e.b, step(unit, row, column, whole, rest, allTapsHit, sums));
  });
  e.b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(e.b, sums);
  return SmallVector<Value>(branch.getResults());
}

void FilterGradientNest::buildUnit(const Unit &unit, Value outChannel) {
  const auto &[down, across] = conv.window;
  // Pixels from which all of the unit's taps hit.
  Value from, to;
  if (taps == 1) {
    std::tie(from, to) = windowsOf(across, unit.firstTap);
  } else {
    int64_t first = (across.low + across.stride - 1) / across.stride;
    int64_t room = across.pixels - 1 + across.low - (across.reach() - 1);
    int64_t last = room < 0 ? 0 : room / across.stride + 1;
    last = std::clamp<int64_t>(last, 0, across.windows());
    first = std::min(first, last);
    from = e.index(first);
    to = e.index(last);
  }
  auto [top, bottom] = windowsOf(down, unit.tapRow);
  SmallVector<Value> acc(unit.channels * taps * unit.filters,
                         e.vectorConstant(0));
  acc = e.loop(top, bottom, 1, acc, [&](Value row, ValueRange sums) {
    auto along = [&](Value low, Value high, bool allTapsHit, ValueRange start) {
      return e.loop(low, high, 1, start, [&](Value column, ValueRange inside) {
        return overSamples(unit, row, column, allTapsHit, inside);
      });
    };
    SmallVector<Value> next = along(from, to, true, sums);
    if (taps == 1)
      return next;
    // The border's few pixels: one loop that jumps over the inside.
    Value border = sub(e.index(across.windows()), sub(to, from));
    return e.loop(e.index(0), border, 1, next, [&](Value i, ValueRange inside) {
      Value isLeft =
          arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, i, from);
      Value right = sum(i, sub(to, from));
      Value column = arith::SelectOp::create(e.b, isLeft, i, right);
      return overSamples(unit, row, column, false, inside);
    });
  });

  int64_t filters = conv.filters * conv.groups;
  for (int64_t c = 0; c < unit.channels; ++c)
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t f = 0; f < unit.filters; ++f) {
        Value total =
            vector::ReductionOp::create(e.b, vector::CombiningKind::ADD,
                                        acc[(c * taps + t) * unit.filters + f],
                                        arith::FastMathFlags::reassoc);
        Value tap =
            sum(e.mul(unit.tapRow, across.taps), e.add(unit.firstTap, t));
        Value at = sum(e.mul(tap, conv.channels), e.add(outChannel, c));
        at = e.add(sum(e.mul(at, filters), unit.filter), f);
        memref::StoreOp::create(e.b, total, dw, at);
      }
}

int64_t FilterGradientNest::build() {
  x = e.memory(conv.image, /*flat=*/true);
  dy = e.memory(conv.result, /*flat=*/true);
  dw = e.memory(e.kernel.getResult(0), /*flat=*/true);
  const auto &[down, across] = conv.window;
  taps = across.taps <= kWidest ? across.taps : 1;
  FilterTile tile =
      chooseFilterTile(conv.channels, conv.filters, taps, e.layout.target);
  int64_t channelTiles = (conv.channels + tile.channels - 1) / tile.channels;
  int64_t filterTiles = (conv.filters + tile.filters - 1) / tile.filters;
  int64_t runs = across.taps / taps;
  int64_t units = conv.groups * filterTiles * channelTiles * down.taps * runs;
  double cycles = static_cast<double>(conv.channels) * conv.filters *
                  conv.groups * down.taps * across.taps * down.windows() *
                  across.windows() * e.layout.padded() / e.lanes();
  int64_t tasks = chooseTasks(units, cycles);

  e.setLanes(Lanes::Samples);
  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value number) {
    auto divide = [&](Value value, int64_t by) {
      return std::pair<Value, Value>(
          arith::DivUIOp::create(e.b, value, e.index(by)),
          arith::RemUIOp::create(e.b, value, e.index(by)));
    };
    // The filters' tile of dy stays in the cache while channels pass by.
    auto [tiles, tap] = divide(number, down.taps * runs);
    auto [tapRow, run] = divide(tap, runs);
    auto [outer, channelTile] = divide(tiles, channelTiles);
    auto [group, filterTile] = divide(outer, filterTiles);
    Value outChannel = e.mul(channelTile, tile.channels);
    Unit unit;
    unit.tapRow = tapRow;
    unit.firstTap = e.mul(run, taps);
    unit.channel = sum(e.mul(group, conv.channels), outChannel);
    unit.filter =
        sum(e.mul(group, conv.filters), e.mul(filterTile, tile.filters));

    // Ragged tiles at the end of channels and of filters.
    auto split = [&](Value index, int64_t count, int64_t size, int64_t total,
                     llvm::function_ref<void(int64_t)> body) {
      int64_t last = total - (count - 1) * size;
      if (last == size || count == 1)
        return body(count == 1 ? last : size);
      Value isFull = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                           index, e.index(count - 1));
      auto branch = scf::IfOp::create(e.b, isFull, /*withElse=*/true);
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(branch.thenBlock());
      e.scope([&] { body(size); });
      e.b.setInsertionPointToStart(branch.elseBlock());
      e.scope([&] { body(last); });
    };
    split(channelTile, channelTiles, tile.channels, conv.channels,
          [&](int64_t channels) {
            split(filterTile, filterTiles, tile.filters, conv.filters,
                  [&](int64_t filters) {
                    unit.channels = channels;
                    unit.filters = filters;
                    buildUnit(unit, outChannel);
                  });
          });
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerFilterGradient(KernelEmitter &e) {
  return FilterGradientNest(e).build();
}
