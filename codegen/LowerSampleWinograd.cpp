//===- LowerSampleWinograd.cpp - Winograd's filtering of one image -------===//
//
// winograd_conv2d with lanes along channels and filters, in which x and u lie:
//
//   for unit in this task's part of filters x runs of tiles:
//     for tiles, vectors of channels:
//       scratch V[tap][tile][channels] = B' x B
//     for vectors of filters f, N at a time:
//       for taps, tiles, R at a time:
//         acc[R][N] = sum(c) broadcast V[tap][t + r][c] * u[tap][c][f..]
//         scratch M[tap][tile][f..] = acc
//       for tiles, pixels: A' M A, epilogue, store, row sums
//
// V stays in the L2 cache (ir/Winograd.h says how many tiles that are). u is
// read once a unit, from front to back, if it lies in blocks of filters: the
// first R tiles of a tap would wait for it, and memory would be idle for the
// others, so each fetches a share of the next tap's. That the filter has to be
// transformed costs nothing here, see PrepareWeights.
//
// Channels and filters that do not fill vectors have a last, masked one; that
// of filters is no wider than it has to be. Where it is a quarter of a vector,
// products of four channels lie side by side in a whole one:
//
//   acc[R] = sum(c, in fours) V[tap][t + r][c..c + 3], each for all f
//                             * u[tap][c..c + 3][f..]
//   scratch M[tap][tile][f..] = sum of acc's quarters
//
// Where image and filters are near, time goes into arithmetic. A last tile of 4
// that has one or two pixels down or across is then half a tile, of 4 taps
// instead of 6 (WinogradTransforms.cpp). A unit's tiles lie in this order:
//
//   half across | whole | half down | half both ways
//
// so that those with any tap are next to each other: all, or without either
// end. And the transforms go along columns and then along rows, each in a loop,
// for 36 vectors at once leave the registers. Where the image is far, its loads
// should not wait for each other.
//
// Where the kernel stores what pooling makes of its result, no window lies
// across tiles: a row of windows is pooled in registers.
//
//===----------------------------------------------------------------------===//

#include "codegen/SideBySide.h"
#include "codegen/TileChoice.h"
#include "codegen/WinogradTiles.h"
#include "ir/Winograd.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
class SampleWinograd {
public:
  explicit SampleWinograd(KernelEmitter &e)
      : e(e),
        op(*e.kernel.getBody().front().getOps<WinogradConv2dOp>().begin()),
        conv(convolutionOf(op)), tiling(sampleTilingOf(op)),
        pooling(poolingOf(e.kernel)), sums(e, tiling.tile) {}
  int64_t build();

private:
  /// Tiles of a unit, `from` .. `to` - 1 in its scratch, that are whole, or
  /// have two pixels down or across; `first`: where the first of them is among
  /// the image's tiles of that kind, row by row.
  struct TileGroup {
    bool halfDown, halfAcross;
    int64_t from, to;
    Value first;
  };

  void buildUnit(int64_t tiles, bool isLast);
  void groupTiles(int64_t tiles, bool isLast);
  std::pair<Value, Value> placeOf(const TileGroup &group, Value tile);
  void overTiles(llvm::function_ref<void(const TileGroup &group, Value tile)>);
  void clearRowSums(int64_t tiles);
  void overChannels(llvm::function_ref<void(Value c, Value mask)> body);
  void transformAtOnce(Value tile);
  void transformInSteps(const TileGroup &group, Value tile);
  /// Vectors of filters next to each other.
  using Pieces = ArrayRef<VectorPiece>;
  void buildProducts(Value firstFilter, Pieces pieces);
  void
  overTaps(llvm::function_ref<void(Value tap, int64_t from, int64_t to)> body);
  void buildProduct(Value tap, ArrayRef<Value> taps, Pieces pieces,
                    Value firstTile, int64_t tiles, ArrayRef<Value> fetched);
  SmallVector<Value> shareOfNext(ArrayRef<Value> taps, Value firstTile,
                                 int64_t passes);
  /// Channels whose products lie side by side in a vector; 1: none.
  int64_t channelsTogether(const VectorPiece &piece) const;
  void buildNarrowProduct(Value tap, Value weights, const VectorPiece &piece,
                          Value firstTile, int64_t tiles);
  void buildPixel(Value row, Value column, Value products, Value firstFilter,
                  Pieces pieces);
  void buildResultsAtOnce(Value tile, Value firstFilter, Pieces pieces);
  void buildResultsInSteps(const TileGroup &group, Value tile,
                           Value firstFilter, Pieces pieces);
  void overFilters(int64_t most,
                   llvm::function_ref<void(Value first, Pieces pieces)> body);

  Value load(Value memory, Value at, Value mask) {
    if (!mask)
      return vector::LoadOp::create(e.b, vectorType, memory, at);
    Value none = arith::ConstantOp::create(e.b, e.b.getZeroAttr(vectorType));
    return vector::MaskedLoadOp::create(e.b, vectorType, memory, at, mask,
                                        none);
  }
  Value loadScratch(Value at, int64_t lanes) {
    return vector::LoadOp::create(e.b,
                                  VectorType::get({lanes}, e.b.getF32Type()),
                                  scratch, ValueRange{e.task, at});
  }
  void storeScratch(Value value, Value at) {
    vector::StoreOp::create(e.b, value, scratch, ValueRange{e.task, at});
  }
  /// Of a tile, or of half of one: its pixels; those of the image; which tap
  /// number `i` of them is.
  int64_t pixelsOf(bool isHalf) const { return isHalf ? 2 : tiling.tile; }
  int64_t tapsOf(bool isHalf) const { return pixelsOf(isHalf) + 2; }
  static int64_t tapOf(int64_t i, bool isHalf) {
    return isHalf ? halfTaps[i] : i;
  }
  Value tapOf(Value i, bool isHalf);
  Value divide(Value value, int64_t by) {
    return arith::DivUIOp::create(e.b, value, e.index(by));
  }
  Value remainder(Value value, int64_t by) {
    return arith::RemUIOp::create(e.b, value, e.index(by));
  }
  /// Where a tap's transformed tile begins in the scratch; a tap's products.
  Value inputAt(Value tap, Value tile) {
    return e.sum(e.mul(tap, tiling.inputFloats()),
                 e.mul(tile, tiling.tileFloats));
  }
  Value productAt(Value tap, Value tile) {
    return e.add(e.sum(e.mul(tap, tiling.productFloats()),
                       e.mul(tile, tiling.mostFilters)),
                 tiling.allTaps() * tiling.inputFloats());
  }

  KernelEmitter &e;
  WinogradConv2dOp op;
  const Convolution conv;
  const WinogradSampleTiling tiling;
  Operation *const pooling; // of the result, or null
  /// Of filters that are kept at a time: their code is written out.
  static constexpr int64_t mostVectors = 4;
  WinogradSums sums;
  VectorType vectorType;
  Value x, u, scratch; // flat, flat, (tasks, floats)
  Value between;       // what comes of a tile's columns, flat
  int64_t block;       // u's filters that lie together
  Tile tile{1, 1};
  /// Does the image come from near? Then it is transformed in steps.
  bool isNear = false;
  /// Are the last tiles down, or across, halves?
  bool halvesDown = false, halvesAcross = false;
  // The current unit.
  Value firstTile, unitFilter;
  SmallVector<TileGroup, 4> groups;
};
} // namespace

//===----------------------------------------------------------------------===//
// Whole and half tiles
//===----------------------------------------------------------------------===//

void SampleWinograd::groupTiles(int64_t tiles, bool isLast) {
  groups.clear();
  if (!halvesDown && !halvesAcross) {
    groups.push_back({false, false, 0, tiles, firstTile});
    return;
  }
  int64_t columns = tiling.across.tiles - halvesAcross;
  int64_t rows = tiles / tiling.across.tiles - (halvesDown && isLast);
  Value firstRow = divide(firstTile, tiling.across.tiles);
  int64_t from = 0;
  auto add = [&](bool halfDown, bool halfAcross, int64_t count, Value first) {
    if (count > 0)
      groups.push_back({halfDown, halfAcross, from, from + count, first});
    from += count;
  };
  add(false, true, halvesAcross ? rows : 0, firstRow);
  add(false, false, rows * columns, e.mul(firstRow, columns));
  if (halvesDown && isLast) {
    Value lastRow = e.add(firstRow, rows);
    add(true, false, columns, e.mul(lastRow, columns));
    add(true, true, halvesAcross ? 1 : 0, lastRow);
  }
}

/// The tile's row and column.
std::pair<Value, Value> SampleWinograd::placeOf(const TileGroup &group,
                                                Value tile) {
  int64_t columns = tiling.across.tiles - halvesAcross;
  Value number = e.sum(group.first, e.add(tile, -group.from));
  if (group.halfAcross)
    return {number, e.index(columns)};
  return {divide(number, columns), remainder(number, columns)};
}

void SampleWinograd::overTiles(
    llvm::function_ref<void(const TileGroup &, Value)> body) {
  for (const TileGroup &group : groups)
    e.loop(e.index(group.from), e.index(group.to), 1,
           [&](Value tile) { body(group, tile); });
}

/// Of each tap with the tiles that have it, `from` .. `to` - 1: those that
/// half tiles have, then those that they lack.
void SampleWinograd::overTaps(
    llvm::function_ref<void(Value tap, int64_t from, int64_t to)> body) {
  if (!groups.back().halfDown && !halvesAcross) {
    e.loop(e.index(0), e.index(tiling.allTaps()), 1,
           [&](Value tap) { body(tap, 0, groups.back().to); });
    return;
  }
  auto rangeOf = [&](bool lacksDown, bool lacksAcross) {
    std::pair<int64_t, int64_t> range = {groups.back().to, 0};
    for (const TileGroup &group : groups)
      if (!(lacksDown && group.halfDown) && !(lacksAcross && group.halfAcross))
        range = {std::min(range.first, group.from),
                 std::max(range.second, group.to)};
    return range;
  };
  // Along an axis: body(tap, is it one that half tiles lack?).
  auto overLine = [&](bool hasHalves,
                      llvm::function_ref<void(Value, bool)> body) {
    e.loop(e.index(0), e.index(tapsOf(hasHalves)), 1,
           [&](Value i) { body(tapOf(i, hasHalves), false); });
    if (hasHalves)
      e.loop(e.index(halfTaps[2] + 1), e.index(halfTaps[3]), 1,
             [&](Value tap) { body(tap, true); });
  };
  overLine(groups.back().halfDown, [&](Value k, bool lacksDown) {
    overLine(halvesAcross, [&](Value l, bool lacksAcross) {
      auto [from, to] = rangeOf(lacksDown, lacksAcross);
      if (from < to)
        body(e.sum(e.mul(k, tiling.taps), l), from, to);
    });
  });
}

Value SampleWinograd::tapOf(Value i, bool isHalf) {
  if (!isHalf)
    return i;
  Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, i,
                                       e.index(halfTaps.size() - 1));
  return arith::SelectOp::create(e.b, isLast, e.index(halfTaps.back()), i);
}

//===----------------------------------------------------------------------===//
// V = B' x B
//===----------------------------------------------------------------------===//

/// body(first channel, mask or null) for each vector of them.
void SampleWinograd::overChannels(
    llvm::function_ref<void(Value c, Value mask)> body) {
  int64_t last = conv.channels - e.lanes();
  if (last < 0) {
    auto type = VectorType::get({e.lanes()}, e.b.getI1Type());
    return body(e.index(0), vector::ConstantMaskOp::create(
                                e.b, type, ArrayRef{conv.channels}));
  }
  // The last vector has some channels of the one before again.
  e.loop(e.index(0), e.index(conv.channels), e.lanes(), [&](Value c) {
    body(arith::MinUIOp::create(e.b, c, e.index(last)), {});
  });
}

/// A tile whose image comes from far.
void SampleWinograd::transformAtOnce(Value tile) {
  Value number = e.sum(firstTile, tile);
  TilePixels pixels = pixelsOfTile(
      e, conv, tiling.down, tiling.across,
      lineOfTile(e, tiling.down, divide(number, tiling.across.tiles)).begin,
      lineOfTile(e, tiling.across, remainder(number, tiling.across.tiles))
          .begin,
      vectorType.getNumElements());
  auto build = [&](Value c, Value mask) {
    auto makePixel = [&](int64_t k, int64_t l) -> Value {
      return pixels.kept(e, k, l, load(x, e.sum(pixels.at[k][l], c), mask));
    };
    WinogradSquare transformed =
        bothWays(makeSquare(tiling.taps, makePixel),
                 [&](ArrayRef<Value> v) { return sums.image(v); });
    int64_t tap = 0;
    for (const WinogradRow &row : transformed)
      for (Value value : row)
        storeScratch(value, e.sum(inputAt(e.index(tap++), tile), c));
  };
  overChannels(build);
}

/// Along columns, then along rows.
void SampleWinograd::transformInSteps(const TileGroup &group, Value tile) {
  const auto &[down, across] = conv.window;
  auto [row, column] = placeOf(group, tile);
  int64_t rows = tapsOf(group.halfDown), columns = tapsOf(group.halfAcross);
  // Where rows of pixels begin, and masks for those that may be outside.
  int64_t lastRow = tiling.down.tiles - 1 - (halvesDown && !group.halfDown);
  ImageLine line =
      imageLine(e, down, rows, e.mul(row, tiling.tile), lastRow * tiling.tile);
  SmallVector<Value> rowAt, rowMask;
  for (auto [pixel, exists] : llvm::zip_equal(line.pixel, line.exists)) {
    Value existing = pixel;
    if (exists)
      existing = arith::SelectOp::create(e.b, exists, pixel, e.index(0));
    rowAt.push_back(e.mul(existing, across.pixels * conv.channels));
    rowMask.push_back(exists ? maskOf(e, exists, e.lanes()) : Value());
  }
  // The columns that exist.
  Value left = e.add(e.mul(column, tiling.tile), -across.low);
  Value low = arith::MaxSIOp::create(
      e.b, e.index(0), arith::SubIOp::create(e.b, e.index(0), left));
  Value high = arith::MinSIOp::create(
      e.b, e.index(columns),
      arith::SubIOp::create(e.b, e.index(across.pixels), left));
  auto image = [&](ArrayRef<Value> v, bool isHalf) {
    return isHalf ? sums.halfImage(v) : sums.image(v);
  };
  auto build = [&](Value c, Value mask) {
    auto at = [&](Value i, Value l) {
      return e.mul(e.sum(e.mul(i, tiling.taps), l), e.lanes());
    };
    auto clear = [&](Value l) {
      Value none = e.zeroPiece({0, e.lanes(), e.lanes()});
      for (int64_t i = 0; i < rows; ++i)
        vector::StoreOp::create(e.b, none, between, at(e.index(i), l));
    };
    e.loop(e.index(0), low, 1, clear);
    e.loop(low, high, 1, [&](Value l) {
      Value pixel = e.sum(e.mul(e.sum(left, l), conv.channels), c);
      WinogradRow v;
      for (int64_t k = 0; k < rows; ++k) {
        v.push_back(load(x, e.sum(rowAt[k], pixel), mask));
        if (rowMask[k])
          v.back() = maskedBits(e, v.back(), rowMask[k]);
      }
      for (auto [i, value] : llvm::enumerate(image(v, group.halfDown)))
        vector::StoreOp::create(e.b, value, between, at(e.index(i), l));
    });
    e.loop(high, e.index(columns), 1, clear);
    e.loop(e.index(0), e.index(rows), 1, [&](Value i) {
      Value row = e.mul(tapOf(i, group.halfDown), tiling.taps);
      WinogradRow v;
      for (int64_t l = 0; l < columns; ++l)
        v.push_back(load(between, at(i, e.index(l)), {}));
      for (auto [j, value] : llvm::enumerate(image(v, group.halfAcross)))
        storeScratch(
            value,
            e.sum(inputAt(e.add(row, tapOf(j, group.halfAcross)), tile), c));
    });
  };
  overChannels(build);
}

//===----------------------------------------------------------------------===//
// M = sum(c) V u
//===----------------------------------------------------------------------===//

/// `tiles` tiles times vectors of filters, for each of which `taps` says where
/// it begins in u for the tap. `fetched`: where those begin that are fetched.
void SampleWinograd::buildProduct(Value tap, ArrayRef<Value> taps,
                                  Pieces pieces, Value firstTile, int64_t tiles,
                                  ArrayRef<Value> fetched) {
  size_t vectors = pieces.size();
  Value from = inputAt(tap, firstTile);
  SmallVector<Value> acc;
  for (int64_t t = 0; t < tiles; ++t)
    for (const VectorPiece &piece : pieces)
      acc.push_back(e.zeroPiece(piece));
  auto widest = VectorType::get({pieces.front().lanes}, e.b.getF32Type());
  acc = e.loop(
      e.index(0), e.index(conv.channels), 1, acc,
      [&](Value c, ValueRange before) {
        SmallVector<Value> next(before), weights;
        for (Value start : fetched)
          memref::PrefetchOp::create(e.b, u, e.sum(start, e.mul(c, block)),
                                     /*isWrite=*/false, /*localityHint=*/2,
                                     /*isDataCache=*/true);
        for (auto [first, piece] : llvm::zip_equal(taps, pieces))
          weights.push_back(
              e.loadPiece(u, e.sum(first, e.mul(c, block)), piece));
        Value at = e.sum(from, c);
        for (int64_t t = 0; t < tiles; ++t) {
          Value scalar = memref::LoadOp::create(
              e.b, scratch,
              ValueRange{e.task, e.add(at, t * tiling.tileFloats)});
          Value spread = vector::BroadcastOp::create(e.b, widest, scalar);
          for (size_t v = 0; v < vectors; ++v)
            next[t * vectors + v] = vector::FMAOp::create(
                e.b,
                partOf(e, spread, 0, pieces.front().lanes / pieces[v].lanes),
                weights[v], next[t * vectors + v]);
        }
        return next;
      });
  Value to = productAt(tap, firstTile);
  for (int64_t t = 0; t < tiles; ++t)
    for (size_t v = 0; v < vectors; ++v)
      storeScratch(acc[t * vectors + v],
                   e.add(to, t * tiling.mostFilters + pieces[v].start));
}

/// Of the next tap's vectors: each pass through the tiles fetches some. Passes
/// beyond fetch the first again, and the last tap what is behind u, harmlessly.
SmallVector<Value> SampleWinograd::shareOfNext(ArrayRef<Value> taps,
                                               Value firstTile,
                                               int64_t passes) {
  // Narrow vectors share cache lines.
  int64_t ofLine = std::max<int64_t>(kFilterBlock / e.lanes(), 1);
  int64_t lines = llvm::divideCeil(taps.size(), ofLine);
  int64_t share = llvm::divideCeil(lines, passes);
  Value first = e.mul(divide(firstTile, tile.rows), share);
  SmallVector<Value> starts;
  for (int64_t i = 0; i < share; ++i) {
    Value number = e.add(first, i), start = taps.front();
    for (int64_t l = 1; l < lines; ++l) {
      Value isIt = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, number,
                                         e.index(l));
      start = arith::SelectOp::create(e.b, isIt, taps[l * ofLine], start);
    }
    starts.push_back(e.add(start, conv.channels * block));
  }
  return starts;
}

int64_t SampleWinograd::channelsTogether(const VectorPiece &piece) const {
  // Two at a time save no instructions.
  constexpr int64_t worthwhile = 4;
  int64_t count = e.lanes() / piece.lanes;
  return count >= worthwhile ? count : 1;
}

/// `tiles` tiles times the few filters of `piece`, which begin at `weights`.
void SampleWinograd::buildNarrowProduct(Value tap, Value weights,
                                        const VectorPiece &piece,
                                        Value firstTile, int64_t tiles) {
  int64_t together = channelsTogether(piece);
  // Lanes are (filter, channel), so that channels as they lie need no turning.
  SmallVector<int64_t> repeated, turned, turnedBack;
  for (int64_t lane = 0; lane < e.lanes(); ++lane) {
    repeated.push_back(lane % together);
    turned.push_back(lane % together * piece.lanes + lane / together);
    turnedBack.push_back(lane % piece.lanes * together + lane / piece.lanes);
  }
  auto shuffle = [&](Value x, ArrayRef<int64_t> order) -> Value {
    return vector::ShuffleOp::create(e.b, x, x, order);
  };
  Value from = inputAt(tap, firstTile);
  auto step = [&](Value c, int64_t channels, ValueRange before) {
    SmallVector<Value> next(before), rows;
    for (int64_t i = 0; i < together; ++i)
      rows.push_back(
          i < channels
              ? e.loadPiece(u, e.sum(weights, e.mul(e.add(c, i), block)), piece)
              : e.zeroPiece(piece));
    Value w = shuffle(sideBySide(e, rows), turned);
    Value at = e.sum(from, c);
    for (int64_t t = 0; t < tiles; ++t) {
      Value few = e.loadPiece(
          scratch, ValueRange{e.task, e.add(at, t * tiling.tileFloats)},
          {0, together, channels});
      next[t] = vector::FMAOp::create(e.b, shuffle(few, repeated), w, next[t]);
    }
    return next;
  };
  SmallVector<Value> acc(tiles, e.zeroPiece({0, e.lanes(), e.lanes()}));
  int64_t whole = conv.channels / together * together;
  acc =
      e.loop(e.index(0), e.index(whole), together, acc,
             [&](Value c, ValueRange sums) { return step(c, together, sums); });
  if (whole < conv.channels)
    acc = step(e.index(whole), conv.channels - whole, acc);
  Value to = productAt(tap, firstTile);
  for (int64_t t = 0; t < tiles; ++t) {
    Value sum = shuffle(acc[t], turnedBack);
    for (int64_t parts = together; parts > 1; parts /= 2)
      sum = arith::AddFOp::create(e.b, partOf(e, sum, 0, 2),
                                  partOf(e, sum, 1, 2));
    storeScratch(sum, e.add(to, t * tiling.mostFilters + piece.start));
  }
}

/// All taps of some filters, for the unit's tiles.
void SampleWinograd::buildProducts(Value firstFilter, Pieces pieces) {
  int64_t ofTap = conv.channels * block; // floats
  SmallVector<Value> starts;
  for (const VectorPiece &piece : pieces) {
    Value filter = e.add(firstFilter, piece.start);
    if (block < conv.filters)
      filter = e.sum(e.mul(divide(filter, block), tiling.allTaps() * ofTap),
                     remainder(filter, block));
    starts.push_back(filter);
  }
  bool isNarrow = channelsTogether(pieces.back()) > 1;
  overTaps([&](Value tap, int64_t from, int64_t to) {
    SmallVector<Value> taps;
    for (Value start : starts)
      taps.push_back(e.sum(start, e.mul(tap, ofTap)));
    int64_t tiles = to - from;
    inParts(e, tiles, tile.rows, [&](Value first, int64_t count) {
      Value firstTile = e.add(first, from);
      size_t wide = pieces.size() - isNarrow, size;
      for (size_t v = 0; v < wide; v += size) {
        size = std::min<size_t>(tile.vectors, wide - v);
        auto some = ArrayRef(taps).slice(v, size);
        SmallVector<Value> fetched;
        if (tiles > tile.rows)
          fetched =
              shareOfNext(some, first, llvm::divideCeil(tiles, tile.rows));
        buildProduct(tap, some, pieces.slice(v, size), firstTile, count,
                     fetched);
      }
      if (isNarrow)
        buildNarrowProduct(tap, taps.back(), pieces.back(), firstTile, count);
    });
  });
}

//===----------------------------------------------------------------------===//
// y = A' M A
//===----------------------------------------------------------------------===//

void SampleWinograd::buildPixel(Value row, Value column, Value products,
                                Value firstFilter, Pieces pieces) {
  for (const VectorPiece &piece : pieces) {
    e.setWidth(piece.lanes, piece.existing);
    e.point([&] {
      e.seed(op.getResult(),
             loadScratch(e.add(products, piece.start), piece.lanes));
      Indices at = {row, column, e.add(firstFilter, piece.start)};
      e.storeAll(at, [](RankedTensorType) { return true; });
      e.addRowSums(at);
    });
  }
  e.resetWidth();
}

/// The pixels of a tile go where the first products were: what is behind the
/// convolution is then made pixel by pixel, and its code once.
void SampleWinograd::buildResultsAtOnce(Value tile, Value firstFilter,
                                        Pieces pieces) {
  for (const VectorPiece &piece : pieces) {
    auto placeOf = [&](int64_t tap) {
      return e.add(productAt(e.index(tap), tile), piece.start);
    };
    auto products = makeSquare(tiling.taps, [&](int64_t k, int64_t l) {
      return loadScratch(placeOf(k * tiling.taps + l), piece.lanes);
    });
    WinogradSquare pixels =
        bothWays(products, [&](ArrayRef<Value> m) { return sums.result(m); });
    for (int64_t k = 0; k < tiling.tile; ++k)
      for (int64_t l = 0; l < tiling.tile; ++l)
        storeScratch(pixels[k][l], placeOf(k * tiling.tile + l));
  }
  Value tileNumber = e.sum(firstTile, tile);
  TileLine rows =
      lineOfTile(e, tiling.down, divide(tileNumber, tiling.across.tiles));
  TileLine columns =
      lineOfTile(e, tiling.across, remainder(tileNumber, tiling.across.tiles));
  int64_t size = tiling.tile;
  e.loop(e.index(0), e.index(size * size), 1, [&](Value number) {
    Value row = e.sum(rows.begin, divide(number, size));
    Value column = e.sum(columns.begin, remainder(number, size));
    auto isIn = [&](Value pixel, const TileLine &line) -> Value {
      return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, pixel,
                                   line.end);
    };
    auto exists = scf::IfOp::create(
        e.b, arith::AndIOp::create(e.b, isIn(row, rows), isIn(column, columns)),
        /*withElse=*/false);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(exists.thenBlock());
    e.scope([&] {
      buildPixel(row, column, productAt(number, tile), firstFilter, pieces);
    });
  });
}

/// Along columns, then along rows. What comes of columns goes where the first
/// products were.
void SampleWinograd::buildResultsInSteps(const TileGroup &group, Value tile,
                                         Value firstFilter, Pieces pieces) {
  auto [tileRow, tileColumn] = placeOf(group, tile);
  auto load = [&](Value tap, const VectorPiece &piece) {
    return loadScratch(e.add(productAt(tap, tile), piece.start), piece.lanes);
  };
  auto result = [&](ArrayRef<Value> m, bool isHalf) {
    return isHalf ? sums.halfResult(m) : sums.result(m);
  };
  e.loop(e.index(0), e.index(tapsOf(group.halfAcross)), 1, [&](Value j) {
    Value l = tapOf(j, group.halfAcross);
    for (const VectorPiece &piece : pieces) {
      WinogradRow m;
      for (int64_t i = 0; i < tapsOf(group.halfDown); ++i)
        m.push_back(
            load(e.add(l, tapOf(i, group.halfDown) * tiling.taps), piece));
      for (auto [k, value] : llvm::enumerate(result(m, group.halfDown)))
        storeScratch(value, e.add(productAt(e.add(l, k * tiling.taps), tile),
                                  piece.start));
    }
  });
  // Of the pixels that are stored, the result's or those of windows on it.
  auto windowOf = [&](int64_t axis) {
    return pooling ? poolWindowOf(pooling)[axis]
                   : WindowAxis{conv.window[axis].windows(), 1, 1, 1, 0, 0};
  };
  const WindowAxis windowDown = windowOf(0), windowAcross = windowOf(1);
  Value firstRow = divide(e.mul(tileRow, tiling.tile), windowDown.stride);
  Value firstColumn =
      divide(e.mul(tileColumn, tiling.tile), windowAcross.stride);
  Value rows = arith::MinUIOp::create(
      e.b, e.index(pixelsOf(group.halfDown) / windowDown.stride),
      arith::SubIOp::create(e.b, e.index(windowDown.windows()), firstRow));
  int64_t columns = pixelsOf(group.halfAcross) / windowAcross.stride;
  int64_t lastTile =
      tiling.across.tiles - 1 - (halvesAcross && !group.halfAcross);
  int64_t allExist =
      windowAcross.windows() - lastTile * tiling.tile / windowAcross.stride;
  e.loop(e.index(0), rows, 1, [&](Value k) {
    Value row = e.sum(firstRow, k);
    for (const VectorPiece &piece : pieces) {
      e.setWidth(piece.lanes, piece.existing);
      Value feature = e.add(firstFilter, piece.start);
      SmallVector<WinogradRow, 2> pixels; // of a row of windows
      for (int64_t i = 0; i < windowDown.taps; ++i) {
        Value first = e.mul(e.add(e.mul(k, windowDown.stride), i), tiling.taps);
        WinogradRow m;
        for (int64_t j = 0; j < tapsOf(group.halfAcross); ++j)
          m.push_back(load(e.add(first, tapOf(j, group.halfAcross)), piece));
        pixels.push_back(result(m, group.halfAcross));
      }
      for (int64_t l = 0; l < columns; ++l) {
        auto store = [&] {
          Indices at = {e.inBlock(row, 1, 0), e.inBlock(firstColumn, 1, l),
                        feature};
          if (!pooling)
            e.seed(op.getResult(), pixels[0][l]);
          for (int64_t i = 0; pooling && i < windowDown.taps; ++i)
            for (int64_t j = 0; j < windowAcross.taps; ++j) {
              int64_t pixel = l * windowAcross.stride + j;
              e.seedAt(op.getResult(),
                       {e.inBlock(row, windowDown.stride, i),
                        e.inBlock(firstColumn, windowAcross.stride, pixel),
                        feature},
                       pixels[i][pixel]);
            }
          e.storeAll(at, [](RankedTensorType) { return true; });
          e.addRowSums(at);
        };
        if (l < allExist) {
          e.point(store);
          continue;
        }
        Value exists = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                             e.add(firstColumn, l),
                                             e.index(windowAcross.windows()));
        auto branch = scf::IfOp::create(e.b, exists, /*withElse=*/false);
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPointToStart(branch.thenBlock());
        e.scope(store);
      }
      e.resetWidth();
    }
  });
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

/// The unit's filters, at most `most` vectors at a time: the last of them may
/// be a narrow one.
void SampleWinograd::overFilters(int64_t most,
                                 llvm::function_ref<void(Value, Pieces)> body) {
  llvm::SmallVector<VectorPiece> pieces =
      splitInVectors(tiling.filters, e.layout.target);
  auto count = static_cast<int64_t>(pieces.size());
  int64_t whole = // vectors
      count > most ? (tiling.filters / e.lanes() / most) * most : 0;
  if (whole > 0)
    e.loop(e.index(0), e.index(whole * e.lanes()), most * e.lanes(),
           [&](Value first) {
             body(e.sum(unitFilter, first), Pieces(pieces).take_front(most));
           });
  if (whole == count)
    return;
  e.scope([&] {
    body(e.add(unitFilter, whole * e.lanes()),
         splitInVectors(tiling.filters - whole * e.lanes(), e.layout.target));
  });
}

/// Of a unit of whole rows.
void SampleWinograd::clearRowSums(int64_t tiles) {
  if (!e.hasRowSums())
    return;
  int64_t rows = tiles / tiling.across.tiles;
  Value first = divide(firstTile, tiling.across.tiles);
  Value from = lineOfTile(e, tiling.down, first).begin;
  Value to = lineOfTile(e, tiling.down, e.add(first, rows - 1)).end;
  e.loop(from, to, 1, [&](Value row) {
    overFilters(1, [&](Value filter, Pieces pieces) {
      e.setWidth(pieces.front().lanes, pieces.front().existing);
      e.clearRowSums(row, filter);
      e.resetWidth();
    });
  });
}

void SampleWinograd::buildUnit(int64_t tiles, bool isLast) {
  clearRowSums(tiles);
  groupTiles(tiles, isLast);
  overTiles([&](const TileGroup &group, Value each) {
    isNear ? transformInSteps(group, each) : transformAtOnce(each);
  });
  bool isOnce =
      tiling.filters <= std::min(tiling.mostFilters, mostVectors * e.lanes());
  overFilters(
      isOnce ? mostVectors : tile.vectors, [&](Value filter, Pieces pieces) {
        buildProducts(filter, pieces);
        overTiles([&](const TileGroup &group, Value each) {
          isNear || pooling ? buildResultsInSteps(group, each, filter, pieces)
                            : buildResultsAtOnce(each, filter, pieces);
        });
      });
}

int64_t SampleWinograd::build() {
  e.setLanes(Lanes::Columns);
  vectorType = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  x = e.memory(conv.image, /*flat=*/true);
  u = e.weights(op.getU());
  block =
      isInFilterBlocks(tensorTypeOf(op.getU())) ? kFilterBlock : conv.filters;
  scratch = e.memory(e.kernel.getResults().back());
  int64_t most = std::min(tiling.mostFilters / e.lanes(), mostVectors);
  SmallVector<VectorPiece> pieces =
      splitInVectors(tiling.filters, e.layout.target);
  auto wide = static_cast<int64_t>(pieces.size()) -
              (channelsTogether(pieces.back()) > 1);
  tile =
      chooseTile(e, op,
                 rankTiles(tiling.tiles(), std::clamp<int64_t>(wide, 1, most),
                           {.steps = conv.channels, .hasEpilogue = false},
                           e.layout.target));

  int64_t size =
      e.hasRowSums() ? tiling.rows() * tiling.across.tiles : tiling.tiles();
  int64_t chunks = (tiling.allTiles() + size - 1) / size;
  constexpr int64_t nearImage = 1 << 16, nearFilters = 1 << 20; // bytes
  auto bytesOf = [](Value tensor) {
    return storedBytes(tensorTypeOf(tensor), 1);
  };
  isNear = bytesOf(conv.image) <= nearImage;
  bool mayHalve = isNear && bytesOf(op.getU()) <= nearFilters;
  if (isNear)
    between = memref::AllocaOp::create(
        e.b, MemRefType::get({tiling.allTaps() * e.lanes()}, e.b.getF32Type()),
        e.b.getI64IntegerAttr(64));
  auto hasHalves = [&](const WindowAxis &axis) {
    int64_t last = axis.windows() % tiling.tile;
    return tiling.tile == 4 && mayHalve && size % tiling.across.tiles == 0 &&
           last != 0 && last <= 2;
  };
  halvesDown = hasHalves(conv.window[0]);
  halvesAcross = hasHalves(conv.window[1]);
  int64_t units = chunks * tiling.parts;
  int64_t tasks = std::min(tiling.tasks, units);
  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value unit) {
    Value chunk = remainder(unit, chunks);
    unitFilter = e.mul(divide(unit, chunks), tiling.filters);
    firstTile = e.mul(chunk, size);
    int64_t tilesOfLast = tiling.allTiles() - (chunks - 1) * size;
    if (chunks == 1 || (tilesOfLast == size && !halvesDown))
      return buildUnit(size, /*isLast=*/chunks == 1);
    Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, chunk,
                                         e.index(chunks - 1));
    auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    e.scope([&] { buildUnit(tilesOfLast, /*isLast=*/true); });
    e.b.setInsertionPointToStart(branch.elseBlock());
    e.scope([&] { buildUnit(size, /*isLast=*/false); });
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerSampleWinograd(KernelEmitter &e) {
  return SampleWinograd(e).build();
}
