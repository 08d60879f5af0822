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
        sums(e, tiling.tile) {}
  int64_t build();

private:
  void buildUnit(int64_t tiles);
  void clearRowSums(int64_t tiles);
  void transformTile(Value tile);
  /// Vectors of filters next to each other.
  using Pieces = ArrayRef<VectorPiece>;
  void buildProducts(Value firstFilter, Pieces pieces, int64_t tiles);
  void buildProduct(Value tap, ArrayRef<Value> taps, Pieces pieces,
                    Value firstTile, int64_t tiles, ArrayRef<Value> fetched);
  SmallVector<Value> shareOfNext(ArrayRef<Value> taps, Value firstTile,
                                 int64_t passes);
  /// Channels whose products lie side by side in a vector; 1: none.
  int64_t channelsTogether(const VectorPiece &piece) const;
  void buildNarrowProduct(Value tap, Value weights, const VectorPiece &piece,
                          Value firstTile, int64_t tiles);
  void buildResults(Value tile, Value firstFilter, Pieces pieces);
  void buildPixel(Value row, Value column, Value products, Value firstFilter,
                  Pieces pieces);
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
  /// Of filters that are kept at a time: their code is written out.
  static constexpr int64_t mostVectors = 4;
  WinogradSums sums;
  VectorType vectorType;
  Value x, u, scratch; // flat, flat, (tasks, floats)
  int64_t block;       // u's filters that lie together
  Tile tile{1, 1};
  // The current unit.
  Value firstTile, unitFilter;
};
} // namespace

//===----------------------------------------------------------------------===//
// V = B' x B
//===----------------------------------------------------------------------===//

void SampleWinograd::transformTile(Value tile) {
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
  int64_t last = conv.channels - e.lanes();
  if (last < 0) {
    auto type = VectorType::get({e.lanes()}, e.b.getI1Type());
    return build(e.index(0), vector::ConstantMaskOp::create(
                                 e.b, type, ArrayRef{conv.channels}));
  }
  // The last vector has some channels of the one before again.
  e.loop(e.index(0), e.index(conv.channels), e.lanes(), [&](Value c) {
    build(arith::MinUIOp::create(e.b, c, e.index(last)), {});
  });
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

/// All taps of some filters, for the unit's `tiles` tiles.
void SampleWinograd::buildProducts(Value firstFilter, Pieces pieces,
                                   int64_t tiles) {
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
  e.loop(e.index(0), e.index(tiling.allTaps()), 1, [&](Value tap) {
    SmallVector<Value> taps;
    for (Value start : starts)
      taps.push_back(e.sum(start, e.mul(tap, ofTap)));
    inParts(e, tiles, tile.rows, [&](Value firstTile, int64_t count) {
      size_t wide = pieces.size() - isNarrow, size;
      for (size_t v = 0; v < wide; v += size) {
        size = std::min<size_t>(tile.vectors, wide - v);
        auto some = ArrayRef(taps).slice(v, size);
        SmallVector<Value> fetched;
        if (tiles > tile.rows)
          fetched =
              shareOfNext(some, firstTile, llvm::divideCeil(tiles, tile.rows));
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
void SampleWinograd::buildResults(Value tile, Value firstFilter,
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

void SampleWinograd::buildUnit(int64_t tiles) {
  clearRowSums(tiles);
  e.loop(e.index(0), e.index(tiles), 1,
         [&](Value each) { transformTile(each); });
  bool isOnce =
      tiling.filters <= std::min(tiling.mostFilters, mostVectors * e.lanes());
  overFilters(isOnce ? mostVectors : tile.vectors,
              [&](Value filter, Pieces pieces) {
                buildProducts(filter, pieces, tiles);
                e.loop(e.index(0), e.index(tiles), 1,
                       [&](Value each) { buildResults(each, filter, pieces); });
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
  tile = chooseTile(
      e, op,
      rankTiles(tiling.tiles(),
                std::clamp<int64_t>(tiling.filters / e.lanes(), 1, most),
                {.steps = conv.channels, .hasEpilogue = false},
                e.layout.target));

  int64_t size =
      e.hasRowSums() ? tiling.rows() * tiling.across.tiles : tiling.tiles();
  int64_t chunks = (tiling.allTiles() + size - 1) / size;
  int64_t units = chunks * tiling.parts;
  int64_t tasks = std::min(tiling.tasks, units);
  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value unit) {
    Value chunk = remainder(unit, chunks);
    unitFilter = e.mul(divide(unit, chunks), tiling.filters);
    firstTile = e.mul(chunk, size);
    forPart(e, chunk, chunks, size, tiling.allTiles(),
            [&](int64_t tiles) { buildUnit(tiles); });
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerSampleWinograd(KernelEmitter &e) {
  return SampleWinograd(e).build();
}
