//===- WinogradTiles.cpp - where tiles are, and in which order -----------===//

#include "codegen/WinogradTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

//===----------------------------------------------------------------------===//
// Of the result
//===----------------------------------------------------------------------===//

static Value difference(KernelEmitter &e, Value x, Value y) {
  return arith::SubIOp::create(e.b, x, y);
}
static Value quotient(KernelEmitter &e, Value x, int64_t y) {
  return arith::DivUIOp::create(e.b, x, e.index(y));
}
static Value remainder(KernelEmitter &e, Value x, int64_t y) {
  return arith::RemUIOp::create(e.b, x, e.index(y));
}
static Value isBefore(KernelEmitter &e, Value x, Value y) {
  return arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, x, y);
}
static Value select(KernelEmitter &e, Value condition, Value x, Value y) {
  return arith::SelectOp::create(e.b, condition, x, y);
}

/// Short tiles in front of number `number`.
static Value shortsBefore(KernelEmitter &e, const WinogradCut &cut,
                          Value number) {
  if (cut.shorts == 0)
    return e.index(0);
  return quotient(e, e.mul(number, cut.shorts), cut.tiles);
}

Value sinter::longsBefore(KernelEmitter &e, const WinogradCut &cut,
                          Value number) {
  return difference(e, number, shortsBefore(e, cut, number));
}

Value sinter::tileInOrder(KernelEmitter &e, const WinogradCut &cut, Value first,
                          Value count, Value inOrder) {
  if (cut.shorts == 0 || cut.longs() == 0)
    return e.sum(first, inOrder);
  // WinogradCut::begin the other way round: the number of a long tile, and of a
  // short one, by how many of its kind come before it.
  Value before = longsBefore(e, cut, first);
  Value longs = difference(e, longsBefore(e, cut, e.sum(first, count)), before);
  Value longsToIt = e.sum(before, inOrder);
  Value shortsWithIt = e.sum(difference(e, first, before),
                             e.add(difference(e, inOrder, longs), 1));
  return select(
      e, isBefore(e, inOrder, longs),
      quotient(e, e.mul(longsToIt, cut.tiles), cut.longs()),
      quotient(e, e.add(e.mul(shortsWithIt, cut.tiles), -1), cut.shorts));
}

TileLine sinter::lineOfTile(KernelEmitter &e, const WinogradCut &cut,
                            Value number) {
  auto begin = [&](Value number) -> Value {
    return difference(e, e.mul(number, cut.tile), shortsBefore(e, cut, number));
  };
  return {begin(number), arith::MinUIOp::create(e.b, begin(e.add(number, 1)),
                                                e.index(cut.pixels))};
}

//===----------------------------------------------------------------------===//
// Of the image
//===----------------------------------------------------------------------===//

ImageLine sinter::imageLine(KernelEmitter &e, const WindowAxis &axis,
                            int64_t count, Value begin, int64_t last) {
  ImageLine line;
  Value first = e.add(begin, -axis.low);
  for (int64_t k = 0; k < count; ++k) {
    line.pixel.push_back(e.add(first, k));
    bool maySitOut = k < axis.low || last - axis.low + k >= axis.pixels;
    // As unsigned numbers, those before the first are beyond the last.
    line.exists.push_back(
        maySitOut ? arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                          line.pixel[k], e.index(axis.pixels))
                  : Value());
  }
  return line;
}

TilePixels sinter::pixelsOfTile(KernelEmitter &e, const Convolution &conv,
                                const WinogradCut &down,
                                const WinogradCut &across, Value row,
                                Value column, int64_t lanes) {
  int64_t taps = down.tile + 2;
  auto lineOf = [&](const WindowAxis &axis, const WinogradCut &cut,
                    Value begin) {
    return imageLine(e, axis, taps, begin, cut.begin(cut.tiles - 1));
  };
  ImageLine rows = lineOf(conv.window[0], down, row);
  ImageLine columns = lineOf(conv.window[1], across, column);
  auto existsAt = [&](int64_t k, int64_t l) -> Value {
    Value h = rows.exists[k], w = columns.exists[l];
    return h && w ? arith::AndIOp::create(e.b, h, w).getResult() : h ? h : w;
  };
  WinogradSquare exists = makeSquare(taps, existsAt);
  auto at = makeSquare(taps, [&](int64_t k, int64_t l) {
    Value pixel =
        e.sum(e.mul(rows.pixel[k], conv.window[1].pixels), columns.pixel[l]);
    if (exists[k][l])
      pixel = arith::SelectOp::create(e.b, exists[k][l], pixel, e.index(0));
    return e.mul(pixel, conv.channels);
  });
  auto mask = makeSquare(taps, [&](int64_t k, int64_t l) -> Value {
    return exists[k][l] ? maskOf(e, exists[k][l], lanes) : Value();
  });
  return {at, mask};
}

Value TilePixels::kept(KernelEmitter &e, int64_t k, int64_t l,
                       Value pixel) const {
  if (!mask[k][l])
    return pixel;
  return maskedBits(e, pixel, mask[k][l]);
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

TileOrder::TileOrder(KernelEmitter &e, const WinogradCut &down,
                     const WinogradCut &across, Value firstRow, int64_t rows)
    : e(e), down(down), across(across), firstRow(firstRow), rows(rows),
      longRows(difference(e, longsBefore(e, down, e.add(firstRow, rows)),
                          longsBefore(e, down, firstRow))) {}

TileOrder::Place TileOrder::placeOf(Value number) const {
  // Of rows and columns in order.
  Value row = quotient(e, number, across.tiles);
  Value column = remainder(e, number, across.tiles);
  int64_t longs = across.longs(), shorts = across.shorts;
  if (longs > 0 && shorts > 0) {
    Value middle = e.mul(longRows, shorts);
    Value last = e.add(middle, rows * longs);
    Value isFirst = isBefore(e, number, middle);
    Value isLong = isBefore(e, number, last);
    Value inMiddle = difference(e, number, middle);
    Value inShorts = select(e, isFirst, number, difference(e, number, last));
    Value shortRow = quotient(e, inShorts, shorts);
    Value shortColumn = e.add(remainder(e, inShorts, shorts), longs);
    row = select(e, isFirst, shortRow,
                 select(e, isLong, quotient(e, inMiddle, longs),
                        e.sum(longRows, shortRow)));
    column =
        select(e, isFirst, shortColumn,
               select(e, isLong, remainder(e, inMiddle, longs), shortColumn));
  }
  return {
      lineOfTile(e, down, tileInOrder(e, down, firstRow, e.index(rows), row)),
      lineOfTile(
          e, across,
          tileInOrder(e, across, e.index(0), e.index(across.tiles), column))};
}

std::pair<Value, Value> TileOrder::rangeAt(Value tap) const {
  int64_t taps = down.tile + 2;
  auto isLast = [&](Value line) -> Value {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, line,
                                 e.index(taps - 1));
  };
  Value isLastRow = isLast(quotient(e, tap, taps));
  Value isLastColumn = isLast(remainder(e, tap, taps));
  Value middle = e.mul(longRows, across.shorts);
  Value existing = select(e, isLastRow, longRows, e.index(rows));
  return {select(e, isLastColumn, middle, e.index(0)),
          select(e, isLastColumn,
                 e.sum(middle, e.mul(existing, across.longs())),
                 select(e, isLastRow, e.mul(longRows, across.tiles),
                        e.index(rows * across.tiles)))};
}
