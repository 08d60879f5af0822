//===- LowerWinogradGradient.cpp - du = sum of (A dy A') * (B' x B) ------===//
//
// For one of the taps, du is a product of two matrices, channels by filters,
// that contracts the tiles of all images. Each tap is on its own, so a unit
// owns what it sums: no partial results between tasks.
//
//   for unit in this task's part of groups of rows of taps x parts of the
//       filters:
//     for chunks of tiles, n = (tile, sample) in the chunk:
//       scratch D[tap] = A dy A'
//       for the unit's blocks of channels:
//         scratch V[tap][c][n] = B' x B
//         for taps, panels of F vectors of filters, C of the block's channels:
//           acc[C][F] = du[tap][c..][f..], in the first chunk 0
//           for n: acc[c][f] += broadcast V[c][n] * D[n][f..]
//           du[tap][c..][f..] = acc
//
// A transform goes down first, over the pixels of a run of tiles side by side:
// few streams, from front to back, of what may be far away, and neighbours
// share the columns where they overlap. What comes out stays in the cache.
//
//     for runs of tiles in the chunk:
//       for columns of pixels: scratch T[column][c] = a row of B' x
//       for its tiles: V[taps][c][n] = T B
//
// A unit reads all of x and dy, which leave the caches where images are large.
// There a unit is two rows of taps if these have the same sums of even and odd
// powers, and the next chunk's pixels are fetched during this one's products.
//
// FilterPanels.h says why filters are in the lanes: T of dy is turned for that,
// as tiles have fewer pixels than taps. Where filters would leave lanes empty,
// samples are in them, and each lane has sums of its own:
//
//         for taps, C channels, F filters:
//           acc[C][F] = sum(n) V[c][n..] * D[f][n..]
//           du[tap][c..][f..] += the sums of the lanes of acc, or = them
//
// One loop nest serves all rows of taps (WinogradRows.h). Samples behind the
// last are 0.
//
// Short tiles have no products at the last row or column of taps. Short rows of
// tiles come last, so that the last row of taps ends before them; in a chunk,
// so do the short tiles of its rows, for the last column. That leaves less for
// the last of the units: so that two threads get equal work, one in the middle
// is cut, between blocks of channels. Both parts of it make D.
//
//===----------------------------------------------------------------------===//

#include "codegen/FilterGradient.h"
#include "codegen/FilterPanels.h"
#include "codegen/TileChoice.h"
#include "codegen/WinogradRows.h"
#include "codegen/WinogradTiles.h"
#include "ir/Winograd.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

using namespace mlir;
using namespace sinter;

namespace {
/// Some features of x or dy, whose tiles are transformed.
struct Operand {
  Value memory;                            // flat
  int64_t height, width, channels, pixels; // the last: of a tile's row
  int64_t together;                        // channels in a vector
  bool isResult;                           // dy, else x
  Value firstFeature;
  int64_t features;
};

class WinogradGradientNest {
public:
  explicit WinogradGradientNest(KernelEmitter &e);
  int64_t build();

private:
  void buildUnit(Value group, Value firstFilter, int64_t filters);
  void sumRows(const Operand &operand, const WinogradRows &rows,
               const TileLine &line, Value firstColumn, Value columnCount,
               Value firstTo);
  void turnPixel(const Operand &operand, Value pixel, Value to);
  /// Where a tile's columns begin in a row of the chunk, and its pixels in T;
  /// has it all of them?
  struct TileOfChunk {
    Value column, from, isLong;
  };
  void
  overTiles(const Operand &operand, const WinogradRows &rows,
            llvm::function_ref<void(Value row, const TileOfChunk &tile)> body);
  WinogradRow makeTaps(const Operand &operand, const TileOfChunk &tile,
                       Value offset, int64_t lanes);
  void transform(const Operand &operand, const WinogradRows &rows, int64_t to,
                 int64_t tapFloats);
  Operand imageFrom(Value firstChannel, int64_t count);
  Operand resultFrom(Value firstFilter, int64_t filters);
  void transformResult(const Operand &result, const WinogradRows &rows,
                       int64_t filters);
  /// Some channels and filters at one tap: where they are in V, D and du.
  struct Part {
    Value tap, firstChannel, channelInBlock, firstFilter, filterInPart;
    int64_t channels;
  };
  Value imageOf(const Part &part);
  Value resultOf(const Part &part);
  Value placeOf(const Part &part, int64_t channel);
  void buildPanel(const Part &part, ArrayRef<VectorPiece> pieces);
  void buildDots(const Part &part, int64_t filters);
  void addStreams(const Operand &operand, const WinogradRows &rows, Value tap);

  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value product(Value x, Value y) { return arith::MulIOp::create(e.b, x, y); }
  Value equals(Value x, int64_t y) {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, x, e.index(y));
  }
  Value difference(Value x, Value y) {
    return arith::SubIOp::create(e.b, x, y);
  }
  Value quotient(Value x, int64_t y) {
    return arith::DivUIOp::create(e.b, x, e.index(y));
  }
  Value remainder(Value x, int64_t y) {
    return arith::RemUIOp::create(e.b, x, e.index(y));
  }
  Value least(Value x, Value y) { return arith::MinSIOp::create(e.b, x, y); }
  /// Of the chunk's tiles that have products at a tap of its row, the columns
  /// that the batch's samples fill.
  Value chunkColumns(Value tap) {
    Value tiles = difference(lastTile(), firstTile);
    if (tiling.across.shorts > 0)
      tiles = arith::SelectOp::create(
          e.b, equals(remainder(tap, tiling.taps), tiling.taps - 1),
          difference(longsBefore(lastTile()), longsBefore(firstTile)), tiles);
    return product(tiles, columns);
  }
  Value lastTile() { return least(tileCount, e.add(firstTile, tiling.chunk)); }
  /// Tiles in front of number `tile` whose rows of pixels are not short.
  Value longsBefore(Value tile) {
    int64_t across = tiling.across.tiles;
    return sum(e.mul(quotient(tile, across), tiling.across.longs()),
               sinter::longsBefore(e, tiling.across, remainder(tile, across)));
  }
  /// Row `inOrder` of the tiles, of which long ones come first.
  TileLine rowOf(Value inOrder) {
    Value rows = e.index(tiling.down.tiles);
    return lineOfTile(e, tiling.down,
                      tileInOrder(e, tiling.down, e.index(0), rows, inOrder));
  }
  Value spread(Value factor, int64_t lanes) {
    return vector::BroadcastOp::create(
        e.b, VectorType::get({lanes}, e.b.getF32Type()), factor);
  }
  /// One behind the other.
  Value repeated(Value mask, int64_t times) {
    SmallVector<int64_t> lanes;
    for (int64_t i = 0; i < times * e.lanes(); ++i)
      lanes.push_back(i % e.lanes());
    return vector::ShuffleOp::create(e.b, mask, mask, lanes);
  }
  Value load(Value at) {
    return vector::LoadOp::create(e.b, vectorType, scratch,
                                  ValueRange{e.task, at});
  }
  void store(Value value, Value at) {
    vector::StoreOp::create(e.b, value, scratch, ValueRange{e.task, at});
  }
  /// To the second row of taps. One on its own lies where it would have one,
  /// and overwrites that.
  Value secondRow(int64_t floats) {
    return arith::SelectOp::create(e.b, equals(rowCount, 2), e.index(floats),
                                   e.index(0));
  }
  /// Of a tap in D, and in V, which is behind D.
  int64_t resultTapFloats() const {
    return tiling.paddedFilters() * tiling.columns;
  }
  int64_t imageTapFloats() const { return tiling.channels * tiling.columns; }
  int64_t imageAt() const { return tiling.unitTaps() * resultTapFloats(); }
  KernelEmitter &e;
  WinogradFilterGradientOp op;
  Convolution conv;
  WinogradGradientTiling tiling;
  WinogradSums sums;
  int64_t channelsTogether, filtersTogether;     // in vectors of pixels
  int64_t channelsOfTile = 1, filtersOfTile = 1; // in vectors, or samples are
  std::optional<FilterPanels> panels;
  bool isStreamed; // does du pass by the caches?
  VectorType vectorType;
  Value x, dy, du, scratch; // flat, flat, flat, (tasks, floats)
  Value vectors;            // that the batch's samples fill
  /// A row of pixels that the next chunk reads, fetched into L2 during the
  /// products of a tap: with each of their columns `columnFloats`, with each
  /// step `lines`.
  struct Stream {
    Value memory, from;
    int64_t columnFloats, lines;
  };
  SmallVector<Stream, 8> streams;
  // The current unit: its blocks of channels; its first row of taps, and how
  // many; the tiles that have products at these.
  Value firstBlock, endBlock, firstRow, rowCount, tileCount;
  // The current chunk.
  Value isFirst, firstTile, columns;
};
} // namespace

WinogradGradientNest::WinogradGradientNest(KernelEmitter &e)
    : e(e), op(*e.kernel.getBody()
                    .front()
                    .getOps<WinogradFilterGradientOp>()
                    .begin()),
      conv(convolutionOf(op)), tiling(tilingOf(op, e.layout.batchBound)),
      sums(e, tiling.tile) {
  e.setLanes(Lanes::Samples);
  vectorType = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  x = e.row(conv.image);
  dy = e.row(conv.result);
  du = e.memory(e.kernel.getResult(0), /*flat=*/true);
  scratch = e.memory(e.kernel.getResult(1));
  channelsTogether =
      channelsSideBySide(e, std::gcd(conv.channels, tiling.channels));
  filtersTogether =
      channelsSideBySide(e, std::gcd(conv.filters, tiling.filters));
  // Written once, in whole lines, to memory that is aligned.
  Value result = e.kernel.getResult(0);
  bool isInArena = llvm::none_of(result.getUsers(), [](Operation *user) {
    return user->hasTrait<OpTrait::IsTerminator>();
  });
  isStreamed = isInArena && tiling.chunks == 1 &&
               conv.filters % kLaneMultiple == 0 &&
               e.isStreamed(tensorTypeOf(result));
}

//===----------------------------------------------------------------------===//
// Transforms of one row of taps
//===----------------------------------------------------------------------===//

/// T from `firstTo` on, (column, feature, sample), or (column, sample, filter)
/// for panels: for `columnCount` columns of pixels, the sums of those in
/// `rows`. Pixels that do not exist are 0.
void WinogradGradientNest::sumRows(const Operand &operand,
                                   const WinogradRows &rows,
                                   const TileLine &line, Value firstColumn,
                                   Value columnCount, Value firstTo) {
  const auto &[down, across] = conv.window;
  bool isTurned = operand.isResult && tiling.inPanels;
  int64_t lanes = operand.together * e.lanes(), samples = e.layout.padded();
  auto type = VectorType::get({lanes}, e.b.getF32Type());
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(type));
  auto isBelow = [&](Value pixel, Value end) -> Value {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, pixel, end);
  };
  auto both = [&](Value x, Value y) -> Value {
    return arith::AndIOp::create(e.b, x, y);
  };
  Value row = operand.isResult ? line.begin : e.add(line.begin, -down.low);
  Value left = operand.isResult ? firstColumn : e.add(firstColumn, -across.low);
  Value rowEnd = operand.isResult ? line.end : e.index(operand.height);
  SmallVector<Value> pixelRows, rowExists, factors;
  Value allExist;
  for (const WinogradRows::Part &part : rows.parts()) {
    pixelRows.push_back(sum(row, part.pixel));
    factors.push_back(part.factor ? spread(part.factor, lanes) : Value());
    rowExists.push_back(isBelow(pixelRows.back(), rowEnd));
    allExist = allExist ? both(allExist, rowExists.back()) : rowExists.back();
  }
  Value whole = arith::DivUIOp::create(e.b, e.batch, e.index(e.lanes()));
  Value point, minus, second;
  if (rows.point) {
    point = spread(rows.point, lanes);
    minus = arith::NegFOp::create(e.b, point);
    second = secondRow(isTurned ? tiling.pixelFloats(operand.features)
                                : tiling.sumFloats());
  }
  e.loop(e.index(0), columnCount, 1, [&](Value number) {
    Value column = sum(left, number);
    Value columnExists = isBelow(column, e.index(operand.width));
    Value place =
        sum(e.mul(number, tiling.pixelFloats(operand.features)), firstTo);
    Value to = isTurned ? e.index(tiling.pixelAt()) : place;
    SmallVector<Value> from, exists;
    for (auto [pixelRow, isInside] : llvm::zip(pixelRows, rowExists)) {
      exists.push_back(both(isInside, columnExists));
      Value pixel = arith::SelectOp::create(
          e.b, exists.back(), sum(e.mul(pixelRow, operand.width), column),
          e.index(0));
      from.push_back(e.mul(
          sum(e.mul(pixel, operand.channels), operand.firstFeature), samples));
    }
    auto build = [&](Value offset, ArrayRef<Value> masks) {
      auto sumOf = [&](size_t begin, size_t end) {
        Value value;
        for (size_t k = begin; k < end; ++k) {
          Value at = sum(from[k], offset), next;
          if (masks.empty())
            next = vector::LoadOp::create(e.b, type, operand.memory, at);
          else
            next = vector::MaskedLoadOp::create(e.b, type, operand.memory, at,
                                                masks[k], zero);
          if (value)
            value = vector::FMAOp::create(e.b, factors[k], next, value);
          else
            value = factors[k] ? arith::MulFOp::create(e.b, factors[k], next)
                               : next;
        }
        return value;
      };
      Value at = sum(to, offset), even = sumOf(0, rows.even.size());
      if (!rows.point)
        return store(even, at);
      Value odd = sumOf(rows.even.size(), from.size());
      store(vector::FMAOp::create(e.b, minus, odd, even), sum(at, second));
      store(vector::FMAOp::create(e.b, point, odd, even), at);
    };
    auto buildVector = [&](Value sample, ArrayRef<Value> masks) {
      e.loop(e.index(0), e.index(operand.features), operand.together,
             [&](Value feature) {
               build(sum(e.mul(feature, samples), sample), masks);
             });
    };
    // Masks at a border, and for samples behind the last.
    Value plain = arith::SelectOp::create(e.b, both(allExist, columnExists),
                                          whole, e.index(0));
    Value first = e.index(0);
    if (samples > e.lanes()) {
      // From front to back, if all samples exist.
      Value isFull = equals(plain, samples / e.lanes());
      Value floats = arith::SelectOp::create(
          e.b, isFull, e.index(operand.features * samples), e.index(0));
      e.loop(e.index(0), floats, lanes, [&](Value i) { build(i, {}); });
      first = arith::SelectOp::create(e.b, isFull, plain, first);
    }
    e.loop(first, plain, 1,
           [&](Value v) { buildVector(e.mul(v, e.lanes()), {}); });
    e.loop(plain, vectors, 1, [&](Value v) {
      Value sample = e.mul(v, e.lanes());
      Value rest = arith::SubIOp::create(e.b, e.batch, sample);
      SmallVector<Value> masks;
      for (Value each : exists) {
        Value live = arith::SelectOp::create(e.b, each, rest, e.index(0));
        Value mask = vector::CreateMaskOp::create(
            e.b, VectorType::get({e.lanes()}, e.b.getI1Type()), live);
        masks.push_back(operand.together > 1 ? repeated(mask, operand.together)
                                             : mask);
      }
      buildVector(sample, masks);
    });
    if (isTurned)
      e.loop(e.index(0), rowCount, 1, [&](Value tapRow) {
        turnPixel(operand,
                  e.add(e.mul(tapRow, tiling.pixelFloats(operand.features)),
                        tiling.pixelAt()),
                  sum(place, e.mul(tapRow, tiling.sumFloats())));
      });
  });
}

/// One pixel of T, which lies at `pixel`, is turned and goes to `to`.
void WinogradGradientNest::turnPixel(const Operand &operand, Value pixel,
                                     Value to) {
  int64_t stride = tiling.inVectors(operand.features);
  e.loop(e.index(0), vectors, 1, [&](Value v) {
    Value sample = e.mul(v, e.lanes());
    inParts(e, operand.features, e.lanes(), [&](Value part, int64_t count) {
      Value from = sum(e.mul(part, e.layout.padded()), sum(sample, pixel));
      panels->turn(
          count, sum(to, sum(e.mul(sample, stride), part)), stride,
          [&](int64_t i) { return load(e.add(from, i * e.layout.padded())); });
    });
  });
}

/// For all tiles of the chunk and the unit's rows of taps.
void WinogradGradientNest::overTiles(
    const Operand &operand, const WinogradRows &rows,
    llvm::function_ref<void(Value, const TileOfChunk &)> body) {
  int64_t pixelFloats = tiling.pixelFloats(operand.features);
  e.loop(firstTile, lastTile(), 1, [&](Value tile) {
    Value acrossTiles = e.index(tiling.across.tiles);
    Value tileRow = quotient(tile, tiling.across.tiles);
    Value tileColumn = remainder(tile, tiling.across.tiles);
    Value inRun = remainder(tileColumn, tiling.run);
    auto beginOf = [&](Value tile) {
      return lineOfTile(e, tiling.across, tile).begin;
    };
    Value left = beginOf(tileColumn);
    Value pixel = difference(left, beginOf(difference(tileColumn, inRun)));
    Value from = e.add(e.mul(pixel, pixelFloats), tiling.sumsAt());
    Value isNew = arith::OrIOp::create(
        e.b, equals(inRun, 0),
        arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, tile, firstTile));
    auto branch = scf::IfOp::create(e.b, isNew, /*withElse=*/false);
    {
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(branch.thenBlock());
      Value tiles = least(difference(e.index(tiling.run), inRun),
                          least(difference(acrossTiles, tileColumn),
                                difference(lastTile(), tile)));
      Value pixels = difference(beginOf(sum(tileColumn, tiles)), left);
      sumRows(operand, rows, rowOf(tileRow), left,
              e.add(pixels, operand.pixels - tiling.tile), from);
    }
    // Those with products at all taps come first.
    Value number = difference(tile, firstTile), isLong;
    if (tiling.across.shorts > 0) {
      Value longs = longsBefore(tile), longsOfChunk = longsBefore(firstTile);
      isLong = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne, longs,
                                     longsBefore(e.add(tile, 1)));
      Value before = difference(longs, longsOfChunk);
      Value all = difference(longsBefore(lastTile()), longsOfChunk);
      number = arith::SelectOp::create(e.b, isLong, before,
                                       sum(all, difference(number, before)));
    }
    Value column = product(number, columns);
    e.loop(e.index(0), rowCount, 1, [&](Value row) {
      body(row, {column, sum(from, e.mul(row, tiling.sumFloats())), isLong});
    });
  });
}

/// A row of taps of the tile's pixels in T, `offset` floats behind the first,
/// `lanes` side by side.
WinogradRow WinogradGradientNest::makeTaps(const Operand &operand,
                                           const TileOfChunk &tile,
                                           Value offset, int64_t lanes) {
  auto type = VectorType::get({lanes}, e.b.getF32Type());
  Value from = sum(tile.from, offset);
  WinogradRow row;
  for (int64_t l = 0; l < operand.pixels; ++l)
    row.push_back(vector::LoadOp::create(
        e.b, type, scratch,
        ValueRange{e.task,
                   e.add(from, l * tiling.pixelFloats(operand.features))}));
  if (!operand.isResult)
    return sums.image(row);
  if (tile.isLong) {
    Value mask = maskOf(e, tile.isLong, lanes);
    row.back() = maskedBits(e, row.back(), mask);
  }
  return sums.resultAdjoint(row);
}

/// V or D with samples in the lanes, from `to` on: rows of the taps `tapFloats`
/// apart, each feature in its row.
void WinogradGradientNest::transform(const Operand &operand,
                                     const WinogradRows &rows, int64_t to,
                                     int64_t tapFloats) {
  int64_t together = operand.together;
  overTiles(operand, rows, [&](Value row, const TileOfChunk &tile) {
    e.loop(e.index(0), vectors, 1, [&](Value v) {
      Value sample = e.mul(v, e.lanes());
      Value firstTo = sum(e.mul(row, tiling.taps * tapFloats),
                          e.add(sum(tile.column, sample), to));
      e.loop(e.index(0), e.index(operand.features), together, [&](Value i) {
        WinogradRow taps =
            makeTaps(operand, tile, sum(sample, e.mul(i, e.layout.padded())),
                     together * e.lanes());
        Value at = sum(firstTo, e.mul(i, tiling.columns));
        for (auto [tap, value] : llvm::enumerate(taps))
          for (int64_t each = 0; each < together; ++each)
            store(partOf(e, value, each, together),
                  e.add(at, static_cast<int64_t>(tap) * tapFloats +
                                each * tiling.columns));
      });
    });
  });
}

/// `count` channels of x from `firstChannel` on.
Operand WinogradGradientNest::imageFrom(Value firstChannel, int64_t count) {
  const auto &[down, across] = conv.window;
  return {x,
          down.pixels,
          across.pixels,
          conv.channels,
          tiling.taps,
          channelsTogether,
          /*isResult=*/false,
          firstChannel,
          count};
}

/// `filters` of dy from `firstFilter` on.
Operand WinogradGradientNest::resultFrom(Value firstFilter, int64_t filters) {
  const auto &[down, across] = conv.window;
  return {dy,
          down.windows(),
          across.windows(),
          conv.filters,
          tiling.tile,
          filtersTogether,
          /*isResult=*/true,
          firstFilter,
          filters};
}

/// D, `filters` of `result`.
void WinogradGradientNest::transformResult(const Operand &result,
                                           const WinogradRows &rows,
                                           int64_t filters) {
  if (!tiling.inPanels)
    return transform(result, rows, /*to=*/0, resultTapFloats());
  overTiles(result, rows, [&](Value row, const TileOfChunk &tile) {
    Value rowTo = e.mul(row, tiling.taps * resultTapFloats());
    e.loop(e.index(0), columns, 1, [&](Value n) {
      Value sample = e.mul(n, tiling.inVectors(filters));
      panels->over(filters, [&](Value first, ArrayRef<VectorPiece> pieces) {
        int64_t stride = panels->stride(pieces);
        Value to = sum(rowTo, sum(e.mul(first, tiling.columns),
                                  e.mul(sum(tile.column, n), stride)));
        e.loop(e.index(0), e.index(stride), e.layout.widest, [&](Value f) {
          WinogradRow taps = makeTaps(result, tile, sum(sample, sum(first, f)),
                                      e.layout.widest);
          for (auto [tap, value] : llvm::enumerate(taps))
            store(value, e.add(sum(to, f),
                               static_cast<int64_t>(tap) * resultTapFloats()));
        });
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Value WinogradGradientNest::imageOf(const Part &part) {
  Value tap = e.mul(part.tap, imageTapFloats());
  return e.add(sum(tap, e.mul(part.channelInBlock, tiling.columns)), imageAt());
}

Value WinogradGradientNest::resultOf(const Part &part) {
  return sum(e.mul(part.tap, resultTapFloats()),
             e.mul(part.filterInPart, tiling.columns));
}

Value WinogradGradientNest::placeOf(const Part &part, int64_t channel) {
  Value row =
      sum(e.mul(sum(e.mul(firstRow, tiling.taps), part.tap), conv.channels),
          sum(part.firstChannel, part.channelInBlock));
  return sum(e.mul(e.add(row, channel), conv.filters),
             sum(part.firstFilter, part.filterInPart));
}

void WinogradGradientNest::buildPanel(const Part &part,
                                      ArrayRef<VectorPiece> pieces) {
  Value firstD = resultOf(part), firstV = imageOf(part);
  SmallVector<Value> places;
  for (int64_t c = 0; c < part.channels; ++c)
    places.push_back(placeOf(part, c));
  SmallVector<Value> sums =
      panels->begin(places, pieces, tiling.chunks > 1 ? isFirst : Value());
  auto fetch = [&](Value n) {
    Value tile = quotient(part.channelInBlock, channelsOfTile);
    Value column = sum(e.mul(tile, tiling.chunk * tiling.samples), n);
    for (const Stream &stream : streams) {
      Value at = sum(stream.from, e.mul(column, stream.columnFloats));
      for (int64_t i = 0; i < stream.lines; ++i)
        memref::PrefetchOp::create(e.b, stream.memory,
                                   e.add(at, i * kLaneMultiple),
                                   /*isWrite=*/false, /*localityHint=*/2,
                                   /*isDataCache=*/true);
    }
  };
  sums = panels->overColumns(sums, chunkColumns(part.tap), firstD, pieces,
                             firstV, part.channels, tiling.columns, fetch);
  panels->end(places, pieces, sums, isStreamed);
}

/// What the transforms of the next chunk read of `operand`, an equal part for
/// each tap of this chunk.
void WinogradGradientNest::addStreams(const Operand &operand,
                                      const WinogradRows &rows, Value tap) {
  int64_t low = operand.isResult ? 0 : conv.window[0].low;
  int64_t across = tiling.chunk * tiling.tile;
  Value taps = e.mul(rowCount, tiling.taps);
  Value column = arith::DivUIOp::create(e.b, e.mul(tap, across), taps);
  Value tile =
      least(e.index(tiling.down.tiles * tiling.across.tiles - 1),
            sum(e.add(firstTile, tiling.chunk), quotient(column, tiling.tile)));
  Value tileRow = rowOf(quotient(tile, tiling.across.tiles)).begin;
  Value left = sum(
      lineOfTile(e, tiling.across, remainder(tile, tiling.across.tiles)).begin,
      remainder(column, tiling.tile));

  int64_t pixelFloats = operand.channels * tiling.samples;
  int64_t steps = FilterPanels::columnsOfStep(e);
  int64_t lines =
      llvm::divideCeil(across * pixelFloats * channelsOfTile * steps,
                       tiling.taps * conv.channels * tiling.chunk *
                           tiling.samples * kLaneMultiple);
  for (const WinogradRows::Part &part : rows.parts()) {
    Value row = e.add(sum(tileRow, part.pixel), -low);
    row = arith::MaxSIOp::create(e.b, e.index(0),
                                 least(row, e.index(operand.height - 1)));
    Value pixel = sum(e.mul(row, operand.width), left);
    streams.push_back({operand.memory, e.mul(pixel, pixelFloats),
                       lines * kLaneMultiple / steps, lines});
  }
}

void WinogradGradientNest::buildDots(const Part &part, int64_t filters) {
  Value firstD = resultOf(part), firstV = imageOf(part);
  SmallVector<Value> acc(part.channels * filters, e.vectorConstant(0));
  acc = e.loop(e.index(0), chunkColumns(part.tap), e.lanes(), acc,
               [&](Value n, ValueRange before) {
                 SmallVector<Value> next(before), ds;
                 Value fromD = sum(firstD, n), fromV = sum(firstV, n);
                 for (int64_t f = 0; f < filters; ++f)
                   ds.push_back(load(e.add(fromD, f * tiling.columns)));
                 for (int64_t c = 0; c < part.channels; ++c) {
                   Value v = load(e.add(fromV, c * tiling.columns));
                   for (int64_t f = 0; f < filters; ++f) {
                     Value &sum = next[c * filters + f];
                     sum = vector::FMAOp::create(e.b, v, ds[f], sum);
                   }
                 }
                 return next;
               });
  addLaneSums(
      e, acc, filters, du,
      [&](int64_t channel) { return placeOf(part, channel); }, isFirst);
}

void WinogradGradientNest::buildUnit(Value group, Value firstFilter,
                                     int64_t filters) {
  const WinogradMatrices &matrices = winogradMatrices(tiling.tile);
  auto groups = tiling.rowGroups();
  std::tie(firstRow, rowCount) = rowsOfGroup(e, groups, group);
  WinogradRows image = winogradRows(
      e, groups, group, tiling.taps,
      [&](int64_t row, int64_t pixel) { return matrices.image[row][pixel]; });
  WinogradRows result = winogradRows(
      e, groups, group, tiling.tile,
      [&](int64_t row, int64_t pixel) { return matrices.result[pixel][row]; });
  Part part;
  part.firstFilter = firstFilter;
  // At the last row of taps short rows of tiles have no products. Without any
  // chunk du would not be cleared.
  int64_t across = tiling.across.tiles;
  tileCount = arith::SelectOp::create(e.b, equals(firstRow, tiling.taps - 1),
                                      e.index(tiling.down.longs() * across),
                                      e.index(tiling.down.tiles * across));
  Value chunks = arith::MaxSIOp::create(
      e.b, e.index(1),
      quotient(e.add(tileCount, tiling.chunk - 1), tiling.chunk));
  e.loop(e.index(0), chunks, 1, [&](Value chunk) {
    isFirst = equals(chunk, 0);
    firstTile = e.mul(chunk, tiling.chunk);
    Operand ofResult = resultFrom(firstFilter, filters);
    transformResult(ofResult, result, filters);
    auto buildBlock = [&](int64_t block) {
      Operand ofImage = imageFrom(part.firstChannel, block);
      transform(ofImage, image, imageAt(), imageTapFloats());
      e.loop(e.index(0), e.mul(rowCount, tiling.taps), 1, [&](Value tap) {
        part.tap = tap;
        streams.clear();
        if (tiling.isFetched) {
          addStreams(ofImage, image, tap);
          addStreams(ofResult, result, tap);
        }
        auto overChannels = [&](llvm::function_ref<void()> body) {
          inParts(e, block, channelsOfTile, [&](Value c, int64_t channels) {
            part.channelInBlock = c;
            part.channels = channels;
            body();
          });
        };
        if (tiling.inPanels)
          return panels->over(filters,
                              [&](Value f, ArrayRef<VectorPiece> pieces) {
                                part.filterInPart = f;
                                overChannels([&] { buildPanel(part, pieces); });
                              });
        overChannels([&] {
          inParts(e, filters, filtersOfTile, [&](Value f, int64_t count) {
            part.filterInPart = f;
            buildDots(part, count);
          });
        });
      });
    };
    e.loop(firstBlock, endBlock, 1, [&](Value block) {
      part.firstChannel = e.mul(block, tiling.channels);
      forPart(e, block, tiling.blocks, tiling.channels, conv.channels,
              buildBlock);
    });
  });
}

int64_t WinogradGradientNest::build() {
  int64_t widest = e.layout.widest;
  if (tiling.inPanels) {
    Tile tile = chooseTile(e, op,
                           rankTiles(tiling.channels,
                                     (tiling.filters + widest - 1) / widest,
                                     {.steps = tiling.chunk * e.layout.padded(),
                                      .hasEpilogue = false},
                                     e.layout.target));
    channelsOfTile = tile.rows;
    panels.emplace(e, scratch, du, tile.vectors);
  } else {
    FilterTile tile = chooseFilterTile(
        e, op,
        rankFilterTiles(tiling.channels, tiling.filters, /*taps=*/1,
                        tiling.channels, e.layout.target),
        /*unitsOf=*/[](FilterTile) { return 1; }, /*enough=*/1);
    channelsOfTile = tile.channels;
    filtersOfTile = tile.filters;
  }
  vectors = e.layout.padded() == e.lanes()
                ? e.index(1)
                : quotient(e.add(e.batch, e.lanes() - 1), e.lanes());
  columns = e.mul(vectors, e.lanes());

  // In blocks of channels, units side by side.
  auto [low, high] = e.taskRange(tiling.units(), tiling.tasks);
  auto bound = [&](Value unit, Value task) -> Value {
    Value whole = e.mul(unit, tiling.blocks);
    if (tiling.tasks % 2 != 0)
      return whole;
    return arith::SelectOp::create(e.b, equals(task, tiling.tasks / 2),
                                   e.index(tiling.middle), whole);
  };
  Value first = bound(low, e.task), end = bound(high, e.add(e.task, 1));
  Value firstUnit = quotient(first, tiling.blocks);
  Value endUnit = quotient(e.add(end, tiling.blocks - 1), tiling.blocks);
  e.loop(firstUnit, endUnit, 1, [&](Value unit) {
    Value before = e.mul(unit, tiling.blocks);
    firstBlock =
        arith::MaxSIOp::create(e.b, difference(first, before), e.index(0));
    endBlock = least(difference(end, before), e.index(tiling.blocks));
    auto groups = static_cast<int64_t>(tiling.rowGroups().size());
    Value part = quotient(unit, groups), group = remainder(unit, groups);
    Value firstFilter = e.mul(part, tiling.filters);
    forPart(e, part, tiling.filterParts, tiling.filters, conv.filters,
            [&](int64_t filters) { buildUnit(group, firstFilter, filters); });
  });
  return tiling.tasks;
}

FailureOr<int64_t> sinter::lowerWinogradGradient(KernelEmitter &e) {
  auto gradients =
      e.kernel.getBody().front().getOps<WinogradFilterGradientOp>();
  if (takesAdjoint(*gradients.begin()))
    return lowerWinogradAllTaps(e);
  return WinogradGradientNest(e).build();
}
