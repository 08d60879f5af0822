//===- WinogradFilters.cpp - taps of many filters, transformed -----------===//

#include "codegen/WinogradFilters.h"
#include "ir/Winograd.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

/// F(tile x tile, 3 x 3)'s.
static int64_t tileOf(Operation *op) {
  if (auto filter = dyn_cast<WinogradFilterOp>(op))
    return static_cast<int64_t>(filter.getTile());
  return winogradTile(tensorTypeOf(cast<WinogradFilterAdjointOp>(op).getU()));
}

WinogradTaps::WinogradTaps(KernelEmitter &e, Operation *op, Value source,
                           Destination to)
    : lanes(e.layout.widest), e(e), sums(e, tileOf(op)),
      isAdjoint(isa<WinogradFilterAdjointOp>(op)), source(source),
      destination(std::move(to)),
      type(VectorType::get({lanes}, e.b.getF32Type())) {
  RankedTensorType result = tensorTypeOf(op->getResult(0));
  fromTaps = tensorTypeOf(op->getOperand(0)).getDimSize(0);
  toTaps = result.getDimSize(0);
  channels = result.getDimSize(2);
  filters = result.getDimSize(3);
  auto allocate = [&](int64_t floats) -> Value {
    return memref::AllocaOp::create(e.b,
                                    MemRefType::get({floats}, e.b.getF32Type()),
                                    e.b.getI64IntegerAttr(64));
  };
  auto filter = dyn_cast<WinogradFilterOp>(op);
  if (filter && filter.getFlipped())
    square = allocate(fromTaps * fromTaps * lanes * lanes);
  // A page is as far as a way of the cache reaches.
  constexpr int64_t pageFloats = 4096 / sizeof(float), fewTaps = 16;
  bool isCrowded = toTaps * toTaps > fewTaps &&
                   destination.tapFloats % (pageFloats / 2) == 0;
  bool isInLines = filter && lanes == kLaneMultiple &&
                   destination.channelFloats == lanes &&
                   channels % kTogether == 0 && filters % lanes == 0;
  if (isCrowded && isInLines)
    lines = allocate(toTaps * toTaps * kTogether * lanes);
}

Value WinogradTaps::load(Value memory, Value at, Value mask) {
  if (!mask)
    return vector::LoadOp::create(e.b, type, memory, at);
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(type));
  return vector::MaskedLoadOp::create(e.b, type, memory, at, mask, zero);
}

/// One vector: its taps are at `at` in `memory`, `tapFloats` apart.
WinogradSquare WinogradTaps::transformed(Value memory, Value at,
                                         int64_t tapFloats, Value mask) {
  auto taps = makeSquare(fromTaps, [&](int64_t i, int64_t j) {
    return load(memory, e.add(at, (i * fromTaps + j) * tapFloats), mask);
  });
  return bothWays(taps, [&](ArrayRef<Value> v) {
    return isAdjoint ? sums.filterAdjoint(v) : sums.filter(v);
  });
}

void WinogradTaps::transform(Value memory, Value at, int64_t tapFloats,
                             Value to, Value mask) {
  int64_t tap = 0;
  for (const WinogradRow &row : transformed(memory, at, tapFloats, mask))
    for (Value value : row)
      destination.store(value, e.add(to, tap++ * destination.tapFloats), mask);
}

void WinogradTaps::transformSome(Value memory, Value at, int64_t step,
                                 int64_t tapFloats, Value to) {
  int64_t lineFloats = kTogether * lanes;
  e.loop(e.index(0), e.index(kTogether), 1, [&](Value v) {
    int64_t tap = 0;
    for (const WinogradRow &row :
         transformed(memory, e.sum(at, e.mul(v, step)), tapFloats, {}))
      for (Value value : row)
        vector::StoreOp::create(e.b, value, lines,
                                e.add(e.mul(v, lanes), tap++ * lineFloats));
  });
  e.loop(e.index(0), e.index(toTaps * toTaps), 1, [&](Value tap) {
    Value from = e.mul(tap, lineFloats);
    Value firstTo = e.sum(to, e.mul(tap, destination.tapFloats));
    for (int64_t i = 0; i < lineFloats; i += lanes)
      destination.store(load(lines, e.add(from, i), {}), e.add(firstTo, i), {});
  });
}

void WinogradTaps::transform(Value from, Value to, Value mask) {
  transform(source, from, channels * filters, to, mask);
}

void WinogradTaps::flip(Value firstChannel, Value firstFilter, Value to) {
  auto maskType = VectorType::get({lanes}, e.b.getI1Type());
  auto squareType = VectorType::get({lanes, lanes}, e.b.getF32Type());
  auto left = [&](Value first, int64_t all) -> Value {
    if (all % lanes == 0)
      return e.index(lanes);
    Value rest = arith::SubIOp::create(e.b, e.index(all), first);
    return arith::MinUIOp::create(e.b, rest, e.index(lanes));
  };
  bool isWhole = channels % lanes == 0 && filters % lanes == 0;
  Value channelCount = left(firstChannel, channels);
  Value filterCount = left(firstFilter, filters);

  int64_t squareFloats = lanes * lanes;
  e.loop(e.index(0), e.index(fromTaps * fromTaps), 1, [&](Value tap) {
    // In the source, the result's filters are channels.
    Value flipped =
        arith::SubIOp::create(e.b, e.index(fromTaps * fromTaps - 1), tap);
    Value from = e.sum(e.mul(flipped, channels * filters),
                       e.sum(e.mul(firstFilter, channels), firstChannel));
    Value rows = arith::ConstantOp::create(e.b, e.b.getZeroAttr(squareType));
    for (int64_t i = 0; i < lanes; ++i) {
      Value at = e.add(from, i * channels), mask;
      if (!isWhole) {
        Value isIn = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ugt,
                                           filterCount, e.index(i));
        Value count =
            arith::SelectOp::create(e.b, isIn, channelCount, e.index(0));
        mask = vector::CreateMaskOp::create(e.b, maskType, count);
      }
      rows = vector::InsertOp::create(e.b, load(source, at, mask), rows,
                                      ArrayRef{i});
    }
    rows = vector::TransposeOp::create(e.b, rows, ArrayRef<int64_t>{1, 0});
    Value row = e.mul(tap, squareFloats);
    for (int64_t i = 0; i < lanes; ++i)
      vector::StoreOp::create(e.b,
                              vector::ExtractOp::create(e.b, rows, ArrayRef{i}),
                              square, e.add(row, i * lanes));
  });
  Value mask;
  if (filters % lanes)
    mask = vector::CreateMaskOp::create(e.b, maskType, filterCount);
  if (isTogether()) // channels are whole multiples of that
    return e.loop(e.index(0), channelCount, kTogether, [&](Value channel) {
      transformSome(square, e.mul(channel, lanes), lanes, squareFloats,
                    e.sum(to, e.mul(channel, destination.channelFloats)));
    });
  e.loop(e.index(0), channelCount, 1, [&](Value channel) {
    transform(square, e.mul(channel, lanes), squareFloats,
              e.sum(to, e.mul(channel, destination.channelFloats)), mask);
  });
}

void WinogradTaps::fetchNext(Some ofFilters, Some ofChannels, Value share,
                             int64_t shares) {
  Value channel = e.add(ofChannels.first, ofChannels.count);
  Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, channel,
                                       e.index(channels));
  Value filter = arith::SelectOp::create(
      e.b, isLast, e.add(ofFilters.first, ofFilters.count), ofFilters.first);
  channel = arith::SelectOp::create(e.b, isLast, e.index(0), channel);
  // The operand's rows, tap by tap.
  int64_t rows = channels, columns = filters;
  Some inRows{channel, ofChannels.count}, inColumns{filter, ofFilters.count};
  if (isFlipped()) {
    std::swap(rows, columns);
    std::swap(inRows, inColumns);
  }
  int64_t ofShare =
      llvm::divideCeil(fromTaps * fromTaps * inRows.count, shares);
  Value from = e.mul(share, ofShare), count = e.index(inRows.count);
  e.loop(from, e.add(from, ofShare), 1, [&](Value number) {
    Value tap = arith::DivUIOp::create(e.b, number, count);
    Value row = e.sum(inRows.first, arith::RemUIOp::create(e.b, number, count));
    Value at =
        e.sum(e.mul(e.sum(e.mul(tap, rows), row), columns), inColumns.first);
    for (int64_t line = 0; line < inColumns.count; line += kLaneMultiple)
      memref::PrefetchOp::create(e.b, source, e.add(at, line),
                                 /*isWrite=*/false, /*localityHint=*/2,
                                 /*isDataCache=*/true);
  });
}
