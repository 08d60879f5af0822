//===- LowerWinograd.cpp - Winograd's filtering, and its filters ---------===//
//
// winograd_conv2d: with samples in the lanes, all three steps are vertical
// arithmetic on vectors as they lie in memory.
//
//   for unit in this task's part of rows of tiles x samples (x filters):
//     for runs of tiles:
//       scratch V[tap][channels][tiles, samples] = B' x B
//       for filters, some at a time:
//         for taps, these filters, R at a time, and vectors of (tiles,
//         samples), N at a time:
//           acc[R][N] = sum(c) broadcast u[tap][c][f + r] * V[tap][c][n..]
//           scratch M[tap][f..][n..] = acc
//         for tiles, samples:
//           for filters: the first of M's taps = A' M A, the tile's pixels
//           for pixels, filters: epilogue, store, row sums
//
// Nothing but the epilogue cares whose sample a lane is: where a vector holds
// more than a small batch, it holds several tiles of it.
//
// The products are a matrix product from the L2 cache: V of a run and M of some
// filters stay there (ir/Winograd.h says how long a run is), u streams: in
// blocks of filters it lies in the order in which it is read. Where u would
// leave the caches, it is not read but made here, for some channels of M's
// filters at a time; M then sums over these:
//
//         for channels, some at a time:
//           scratch u[tap][c][f] = G w G'
//           for taps, filters, vectors: M[tap][f..][n..] += acc
//
// Pixels outside of the image are 0. Short tiles have no products at the last
// row or column of taps; tiles are in an order (WinogradTiles.h) in which those
// that have are side by side.
//
//===----------------------------------------------------------------------===//

#include "codegen/EpilogueMemory.h"
#include "codegen/TileChoice.h"
#include "codegen/WinogradFilters.h"
#include "codegen/WinogradTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
class WinogradNest {
public:
  explicit WinogradNest(KernelEmitter &e);
  int64_t build();

private:
  void buildUnit();
  void clearRowSums();
  void transformTile(Value tile, Value column, Value firstChannel);
  void transformPixels(const TilePixels &tile, Value c, Value s, Value column);
  void makeFilters();
  void fetchResults(Value firstTile, Value tap);
  std::pair<Value, Value> inRun(std::pair<Value, Value> range, Value firstTile,
                                Value count);
  Value firstColumn(Value from, Value to);
  void buildProducts(Value firstTile, Value count);
  void buildProduct(Value tap, Value taps, Value made, int64_t rows,
                    Value column, int64_t vectors);
  void overMade(int64_t size,
                llvm::function_ref<void(Value, Value, int64_t)> body);
  void inVectors(Value from, Value to,
                 llvm::function_ref<void(Value, int64_t)> body);
  void buildResults(Value firstTile, Value count);
  void transformProducts(Value column);
  void buildPixels(Value tile, Value column);
  void buildPixel(Value row, Value pixelColumn, Value pixels);

  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value difference(Value x, Value y) {
    return arith::SubIOp::create(e.b, x, y);
  }
  Value quotient(Value x, int64_t y) {
    return arith::DivUIOp::create(e.b, x, e.index(y));
  }
  Value rest(Value x, int64_t y) {
    return arith::RemUIOp::create(e.b, x, e.index(y));
  }
  Value least(Value x, Value y) { return arith::MinSIOp::create(e.b, x, y); }
  Value greatest(Value x, Value y) { return arith::MaxSIOp::create(e.b, x, y); }
  Value isTrue(Value x, Value y) { return arith::AndIOp::create(e.b, x, y); }
  void when(Value condition, llvm::function_ref<void()> body) {
    auto branch = scf::IfOp::create(e.b, condition, /*withElse=*/false);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    e.scope(body);
  }
  /// Of this task's scratch.
  Value loadScratch(Value at) {
    return vector::LoadOp::create(e.b, vectorType, scratch,
                                  ValueRange{e.task, at});
  }
  Value loadWide(Value at) {
    return vector::LoadOp::create(e.b, wideType, scratch,
                                  ValueRange{e.task, at});
  }
  /// Where a vector has as many channels of a tile as it has tiles, V has it as
  /// it is: for some tiles, those channels of the first, of the second, ...
  /// Half of a line would wait for it twice. But each of many filters would
  /// sort them.
  bool isInterleaved() const {
    constexpr int64_t many = 256;
    return tilesTogether > 1 && channelsTogether == tilesTogether &&
           conv.filters < many;
  }
  /// In V, of a channel's tiles (for the first of the channels together).
  Value placeInV(Value column) {
    return isInterleaved() ? e.mul(column, channelsTogether) : column;
  }
  /// The vectors of some tiles, channel by channel.
  SmallVector<Value> loadChannels(Value at) {
    if (!isInterleaved())
      return {loadWide(at)};
    SmallVector<Value> tiles;
    for (int64_t i = 0; i < tilesTogether; ++i)
      tiles.push_back(loadWide(e.add(at, i * width)));
    return transposed(e, tiles);
  }
  void storeScratch(Value value, Value at) {
    vector::StoreOp::create(e.b, value, scratch, ValueRange{e.task, at});
  }
  int64_t partFilters() const { return conv.filters / tiling.parts; }
  bool isBlocked() const { return block < uType.getDimSize(3); }
  /// Of a block of u: all taps, each channel's filters.
  int64_t blockFloats() const {
    return tiling.allTaps() * uType.getDimSize(2) * block;
  }
  Value loadWeight(Value at) {
    if (filters)
      return memref::LoadOp::create(e.b, scratch, ValueRange{e.task, at});
    return memref::LoadOp::create(e.b, u, at);
  }
  int64_t inputAt(int64_t tap) const { return tap * tiling.inputFloats; }
  Value productAt(Value tap) {
    return e.add(e.mul(tap, tiling.productFloats),
                 tiling.allTaps() * tiling.inputFloats);
  }
  /// Where filters that are made here begin.
  int64_t filtersAt() const {
    return tiling.allTaps() * (tiling.inputFloats + tiling.productFloats);
  }

  KernelEmitter &e;
  WinogradConv2dOp op;
  Convolution conv;
  WinogradTiling tiling;
  WinogradSums sums;
  VectorType vectorType;
  /// Of what is transformed: floats of a vector, which may be of several tiles.
  int64_t width;
  VectorType wideType;
  int64_t tilesTogether; // in such a vector
  // In a vector of pixels, and of results.
  int64_t channelsTogether, filtersTogether;
  Value x, u, scratch; // flat, flat (or its filter), (tasks, floats)
  SmallVector<Value> ofEpilogue;
  RankedTensorType uType;
  int64_t block; // u's filters that lie together
  Tile tile{1, 1};
  bool hasRandom;
  // The unit's first row of tiles, and sample; its tiles.
  Value firstRow, sample;
  std::optional<TileOrder> tiles;
  // The filters that this task has of it, and the first whose products are in
  // M.
  Value filtersFrom, filtersTo, madeFrom;
  Value firstChannel;                  // of those whose products are summed
  std::optional<WinogradTaps> filters; // if they are made here
};
} // namespace

template <typename Op> static Op only(KernelEmitter &e) {
  return *e.kernel.getBody().front().getOps<Op>().begin();
}

WinogradNest::WinogradNest(KernelEmitter &e)
    : e(e), op(only<WinogradConv2dOp>(e)), conv(convolutionOf(op)),
      tiling(tilingOf(op, e.layout.batchBound)), sums(e, tiling.tile) {
  e.setLanes(Lanes::Samples);
  vectorType = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  width = e.layout.widest;
  wideType = VectorType::get({width}, e.b.getF32Type());
  tilesTogether = std::max<int64_t>(width / tiling.samples, 1);
  channelsTogether = channelsSideBySide(e, conv.channels);
  filtersTogether = channelsSideBySide(e, tiling.filters);
  x = e.row(conv.image);
  uType = tensorTypeOf(op.getU());
  scratch = e.memory(e.kernel.getResults().back());
  block = isInFilterBlocks(uType) ? kFilterBlock : uType.getDimSize(3);
  if (WinogradFilterOp filter = filterMadeBy(op, e.layout.batchBound)) {
    auto store = [this](Value value, Value at, Value) {
      vector::StoreOp::create(this->e.b, value, scratch,
                              ValueRange{this->e.task, at});
    };
    u = e.weights(filter.getFilter());
    filters.emplace(e, filter, u,
                    WinogradTaps::Destination{tiling.filterFloats, block,
                                              std::move(store)});
  } else {
    u = e.weights(op.getU());
  }
  // What comes from beyond the second cache; where filters are made, memory is
  // not idle.
  constexpr int64_t large = 3 << 19;
  if (!filters &&
      storedBytes(tensorTypeOf(op.getResult()), e.layout.batchBound) >= large)
    ofEpilogue = epilogueMemory(e, op.getResult());
  auto random = e.kernel.getBody().front().getOps<RandomUniformOp>();
  hasRandom = !random.empty();
}

//===----------------------------------------------------------------------===//
// V = B' x B
//===----------------------------------------------------------------------===//

/// Some channels of a tile; it begins at `column` of V.
void WinogradNest::transformTile(Value tile, Value column, Value firstChannel) {
  TileOrder::Place place = tiles->placeOf(tile);
  TilePixels pixels =
      pixelsOfTile(e, conv, tiling.down, tiling.across, place.rows.begin,
                   place.columns.begin, channelsTogether * e.lanes());
  e.loop(firstChannel, e.add(firstChannel, tiling.channels), channelsTogether,
         [&](Value c) {
           e.loop(e.index(0), e.index(tiling.samples), e.lanes(),
                  [&](Value s) { transformPixels(pixels, c, s, column); });
         });
}

/// Some samples of one channel of the tile, or all samples of some channels.
/// A vector of several tiles would fetch lines of several channels for each
/// channel: pixels are a power of two apart, and few of them stay in L1.
void WinogradNest::transformPixels(const TilePixels &tile, Value c, Value s,
                                   Value column) {
  auto type = VectorType::get({channelsTogether * e.lanes()}, e.b.getF32Type());
  auto pixels = makeSquare(tiling.taps, [&](int64_t k, int64_t l) -> Value {
    Value at =
        e.sum(e.mul(sum(tile.at[k][l], c), e.layout.padded()), sum(sample, s));
    return tile.kept(e, k, l, vector::LoadOp::create(e.b, type, x, at));
  });
  WinogradSquare transformed =
      bothWays(pixels, [&](ArrayRef<Value> v) { return sums.image(v); });
  Value to = sum(e.mul(c, tiling.columns()), placeInV(sum(column, s)));
  int64_t tap = 0;
  for (const WinogradRow &row : transformed)
    for (Value value : row) {
      Value place = e.add(to, inputAt(tap++));
      if (isInterleaved())
        storeScratch(value, place);
      else
        for (int64_t i = 0; i < channelsTogether; ++i)
          storeScratch(partOf(e, value, i, channelsTogether),
                       e.add(place, i * tiling.columns()));
    }
}

//===----------------------------------------------------------------------===//
// u = G w G', where no other kernel does that
//===----------------------------------------------------------------------===//

/// Of M's filters, from `firstChannel` on.
void WinogradNest::makeFilters() {
  int64_t lanes = filters->lanes;
  int64_t step = filters->isFlipped() ? lanes : 1;
  e.loop(e.index(0), e.index(tiling.channels), step, [&](Value c) {
    e.loop(e.index(0), e.index(tiling.filters), lanes, [&](Value f) {
      Value to = e.add(sum(e.mul(c, block), f), filtersAt());
      Value channel = sum(firstChannel, c), filter = sum(madeFrom, f);
      if (filters->isFlipped())
        filters->flip(channel, filter, to);
      else
        filters->transform(sum(e.mul(channel, conv.filters), filter), to);
    });
  });
}

//===----------------------------------------------------------------------===//
// M = sum(c) u V
//===----------------------------------------------------------------------===//

/// `rows` filters, from `made` in M on, times `vectors` vectors from `column`
/// on, for one tap; `taps` is where its filter begins for the first of the
/// rows.
void WinogradNest::buildProduct(Value tap, Value taps, Value made, int64_t rows,
                                Value column, int64_t vectors) {
  // The processor does not guess what comes next beyond a page.
  constexpr int64_t farApart = 1024 / 4, prefetchDistance = 12;
  bool isFarApart = !filters && block >= farApart;
  int64_t together = isInterleaved() ? channelsTogether : 1;
  Value from =
      sum(e.mul(tap, tiling.inputFloats),
          sum(e.mul(firstChannel, tiling.columns()), placeInV(column)));
  Value to = sum(productAt(tap), sum(e.mul(made, tiling.columns()), column));
  auto placeOf = [&](int64_t row, int64_t vector) {
    return e.add(to, row * tiling.columns() + vector * width);
  };
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(wideType));
  SmallVector<Value> acc(rows * vectors, zero);
  if (tiling.channels < conv.channels) {
    Value isLater = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne,
                                          firstChannel, e.index(0));
    Value mask = vector::BroadcastOp::create(
        e.b, VectorType::get({width}, e.b.getI1Type()), isLater);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < vectors; ++v)
        acc[r * vectors + v] = vector::MaskedLoadOp::create(
            e.b, wideType, scratch, ValueRange{e.task, placeOf(r, v)}, mask,
            zero);
  }
  acc = e.loop(
      e.index(0), e.index(tiling.channels), together, acc,
      [&](Value c, ValueRange before) {
        SmallVector<Value> next(before);
        Value at = sum(from, e.mul(c, tiling.columns()));
        SmallVector<SmallVector<Value>> vs; // channels of each
        for (int64_t v = 0; v < vectors; ++v)
          vs.push_back(loadChannels(e.add(at, v * width * together)));
        for (int64_t i = 0; i < together; ++i) {
          Value weight = sum(taps, e.mul(e.add(c, i), block));
          if (isFarApart)
            memref::PrefetchOp::create(
                e.b, u, e.add(weight, prefetchDistance * block),
                /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
          for (int64_t r = 0; r < rows; ++r) {
            Value scalar = loadWeight(e.add(weight, r));
            Value spread = vector::BroadcastOp::create(e.b, wideType, scalar);
            for (int64_t v = 0; v < vectors; ++v)
              next[r * vectors + v] = vector::FMAOp::create(
                  e.b, spread, vs[v][i], next[r * vectors + v]);
          }
        }
        return next;
      });
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < vectors; ++v)
      storeScratch(acc[r * vectors + v], placeOf(r, v));
}

/// The columns in between, `tile.vectors` vectors at a time, what is left by
/// halves of that. Lanes of the last one may be of no tile.
void WinogradNest::inVectors(Value from, Value to,
                             llvm::function_ref<void(Value, int64_t)> body) {
  for (int64_t count = tile.vectors; count > 0; count /= 2) {
    int64_t step = count * width;
    Value floats = difference(to, from);
    Value vectors = quotient(e.add(floats, width - 1), width);
    Value end = sum(from, e.mul(quotient(vectors, count), step));
    e.loop(from, end, step, [&](Value column) { body(column, count); });
    from = end;
  }
}

/// The filters whose products are in M, `size` at a time; their numbers there,
/// too.
void WinogradNest::overMade(
    int64_t size, llvm::function_ref<void(Value, Value, int64_t)> body) {
  inParts(e, tiling.filters, size, [&](Value made, int64_t count) {
    body(sum(madeFrom, made), made, count);
  });
}

/// Part `tap` of what the run's pixels of M's filters are stored to, and of
/// what their epilogue reads: these are short pieces far apart, which no
/// processor guesses, and during the products memory is idle. Past the end this
/// is harmless.
void WinogradNest::fetchResults(Value firstTile, Value tap) {
  constexpr int64_t line = 64 / sizeof(float);
  constexpr unsigned toSecondCache = 2;
  int64_t ofTile = tiling.tile * tiling.tile;
  int64_t step = llvm::divideCeil(tiling.run * ofTile, tiling.allTaps());
  Value first = e.mul(tap, step);
  e.loop(first, e.add(first, step), 1, [&](Value number) {
    TileOrder::Place place =
        tiles->placeOf(sum(firstTile, quotient(number, ofTile)));
    Value pixel = rest(number, ofTile);
    Value row = sum(place.rows.begin, quotient(pixel, tiling.tile));
    Value column = sum(place.columns.begin, rest(pixel, tiling.tile));
    e.loop(madeFrom, e.add(madeFrom, tiling.filters), filtersTogether,
           [&](Value filter) {
             for (int64_t s = 0; s < tiling.samples; s += line)
               for (Value memory : ofEpilogue)
                 memref::PrefetchOp::create(
                     e.b, memory,
                     ValueRange{row, column, filter, e.add(sample, s)},
                     /*isWrite=*/false, toSecondCache, /*isDataCache=*/true);
           });
  });
}

/// The part of a range of tiles that is in the run, counted from its first.
std::pair<Value, Value> WinogradNest::inRun(std::pair<Value, Value> range,
                                            Value firstTile, Value count) {
  auto limit = [&](Value tile) {
    return least(count, greatest(e.index(0), difference(tile, firstTile)));
  };
  return {limit(range.first), limit(range.second)};
}

/// Where vectors of columns of the run's tiles `from` to `to` begin: in front
/// of these, where the last vector would leave V, or begin inside of what is
/// interleaved.
Value WinogradNest::firstColumn(Value from, Value to) {
  Value column = e.mul(from, tiling.samples);
  if (!tiles->hasShorts() || tilesTogether == 1)
    return column;
  if (isInterleaved())
    return e.mul(quotient(column, width), width);
  Value floats = difference(e.mul(to, tiling.samples), column);
  Value whole = e.mul(quotient(e.add(floats, width - 1), width), width);
  return least(column, difference(e.index(tiling.columns()), whole));
}

void WinogradNest::buildProducts(Value firstTile, Value count) {
  // From filter to filter, or from block to block.
  int64_t filterStep = isBlocked() ? blockFloats() / block : 1;
  e.loop(e.index(0), e.index(tiling.allTaps()), 1, [&](Value tap) {
    if (filters)
      filters->fetchNext({madeFrom, tiling.filters},
                         {firstChannel, tiling.channels}, tap,
                         tiling.allTaps());
    if (!ofEpilogue.empty())
      fetchResults(firstTile, tap);
    Value firstTaps = filters
                          ? e.add(e.mul(tap, tiling.filterFloats), filtersAt())
                          : sum(e.mul(tap, blockFloats() / tiling.allTaps()),
                                e.mul(madeFrom, filterStep));
    Value from = e.index(0), to = count;
    if (tiles->hasShorts())
      std::tie(from, to) = inRun(tiles->rangeAt(tap), firstTile, count);
    from = firstColumn(from, to);
    to = e.mul(to, tiling.samples);
    overMade(tile.rows, [&](Value, Value made, int64_t rows) {
      Value taps = sum(firstTaps, made);
      int64_t step = tile.vectors * width;
      if (tiling.samples % step == 0)
        e.loop(from, to, step, [&](Value column) {
          buildProduct(tap, taps, made, rows, column, tile.vectors);
        });
      else if (tiling.isEven() && !tiles->hasShorts())
        inParts(e, tiling.columns(), step, [&](Value column, int64_t floats) {
          buildProduct(tap, taps, made, rows, column, floats / width);
        });
      else
        inVectors(from, to, [&](Value column, int64_t vectors) {
          buildProduct(tap, taps, made, rows, column, vectors);
        });
    });
  });
}

//===----------------------------------------------------------------------===//
// y = A' M A
//===----------------------------------------------------------------------===//

/// The pixels of M's filters, where the first products were, of a vector from
/// `column` on: what is behind the convolution then goes pixel by pixel, and
/// its code is made once.
void WinogradNest::transformProducts(Value column) {
  overMade(1, [&](Value, Value made, int64_t) {
    Value at = sum(e.mul(made, tiling.columns()), column);
    auto placeOf = [&](int64_t tap) {
      return sum(productAt(e.index(tap)), at);
    };
    auto products = makeSquare(tiling.taps, [&](int64_t k, int64_t l) {
      return loadWide(placeOf(k * tiling.taps + l));
    });
    WinogradSquare pixels =
        bothWays(products, [&](ArrayRef<Value> v) { return sums.result(v); });
    for (int64_t k = 0; k < tiling.tile; ++k)
      for (int64_t l = 0; l < tiling.tile; ++l)
        storeScratch(pixels[k][l], placeOf(k * tiling.tile + l));
  });
}

/// One of the tile's pixels, of M's filters.
void WinogradNest::buildPixel(Value row, Value pixelColumn, Value pixels) {
  // Random numbers come in blocks of four filters.
  int64_t step = std::max<int64_t>(hasRandom ? 4 : 1, filtersTogether);
  overMade(step, [&](Value first, Value made, int64_t count) {
    for (int64_t i = 0; i < count; i += filtersTogether)
      e.point([&] {
        Value filter = e.add(first, i);
        Indices to = {row, pixelColumn, filter};
        SmallVector<Value> results;
        for (int64_t j = i; j < i + filtersTogether; ++j)
          results.push_back(loadScratch(
              sum(pixels, e.mul(e.add(made, j), tiling.columns()))));
        e.setChannels(filter, filtersTogether);
        e.seed(op.getResult(), sideBySide(e, results));
        e.storeAll(to, [](RankedTensorType) { return true; });
        e.addRowSums(to);
      });
  });
}

/// What comes out of a tile, some samples of which begin at `column` of M.
void WinogradNest::buildPixels(Value tile, Value column) {
  TileOrder::Place place = tiles->placeOf(tile);
  e.loop(e.index(0), e.index(tiling.tile * tiling.tile), 1, [&](Value number) {
    Value row = sum(place.rows.begin, quotient(number, tiling.tile));
    Value pixelColumn = sum(place.columns.begin, rest(number, tiling.tile));
    Value pixels = sum(productAt(number), column);
    Value exists;
    auto limit = [&](Value pixel, const TileLine &line) {
      Value fits = arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, pixel,
                                         line.end);
      exists = exists ? isTrue(exists, fits) : fits;
    };
    if (tiling.down.shorts)
      limit(row, place.rows);
    if (tiling.across.shorts)
      limit(pixelColumn, place.columns);
    if (exists)
      when(exists, [&] { buildPixel(row, pixelColumn, pixels); });
    else
      buildPixel(row, pixelColumn, pixels);
  });
}

void WinogradNest::buildResults(Value firstTile, Value count) {
  e.loop(e.index(0), count, tilesTogether, [&](Value first) {
    e.loop(e.index(0), e.index(tiling.samples), e.lanes(), [&](Value s) {
      transformProducts(sum(e.mul(first, tiling.samples), s));
      Value end =
          arith::MinUIOp::create(e.b, e.add(first, tilesTogether), count);
      e.loop(first, end, 1, [&](Value t) {
        e.setSample(sum(sample, s));
        buildPixels(sum(firstTile, t), sum(e.mul(t, tiling.samples), s));
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void WinogradNest::clearRowSums() {
  if (!e.hasRowSums())
    return;
  Value from = lineOfTile(e, tiling.down, firstRow).begin;
  Value to = lineOfTile(e, tiling.down, e.add(firstRow, tiling.rows - 1)).end;
  e.loop(from, to, 1, [&](Value row) {
    e.loop(filtersFrom, filtersTo, filtersTogether, [&](Value filter) {
      e.setChannels(filter, filtersTogether);
      e.loop(e.index(0), e.index(tiling.samples), e.lanes(), [&](Value s) {
        e.setSample(sum(sample, s));
        e.clearRowSums(row, filter);
      });
    });
  });
}

void WinogradNest::buildUnit() {
  clearRowSums();
  e.loop(e.index(0), e.index(tiling.runs), 1, [&](Value number) {
    Value firstTile = e.mul(number, tiling.run);
    Value count = e.index(tiling.run);
    if (!tiling.isEven()) {
      Value left =
          arith::SubIOp::create(e.b, e.index(tiling.tiles()), firstTile);
      count = arith::MinUIOp::create(e.b, count, left);
    }
    // Tiles share lines of V: it may be larger than the cache.
    e.loop(e.index(0), e.index(conv.channels), tiling.channels, [&](Value c) {
      e.loop(e.index(0), count, 1, [&](Value t) {
        transformTile(sum(firstTile, t), e.mul(t, tiling.samples), c);
      });
    });
    auto make = [&](Value filter) {
      madeFrom = filter;
      e.loop(e.index(0), e.index(conv.channels), tiling.channels,
             [&](Value channel) {
               firstChannel = channel;
               if (filters)
                 makeFilters();
               buildProducts(firstTile, count);
             });
      buildResults(firstTile, count);
    };
    e.loop(filtersFrom, filtersTo, tiling.filters, make);
  });
}

int64_t WinogradNest::build() {
  TileWork work{.steps = conv.channels, .hasEpilogue = false};
  work.rowsDivide = isBlocked() ? block : 0;
  tile = chooseTile(e, op,
                    rankTiles(partFilters(), tiling.columns() / width, work,
                              e.layout.target));
  int64_t sampleTiles =
      tiling.units / tiling.parts / (tiling.down.tiles / tiling.rows);
  auto [low, high] = e.taskRange(tiling.units, tiling.tasks);
  // A unit's parts that are in one task are built together.
  int64_t parts = tiling.parts;
  Value first = low, end = high;
  if (parts > 1) {
    first = arith::DivUIOp::create(e.b, low, e.index(parts));
    end = arith::DivUIOp::create(e.b, e.add(high, parts - 1), e.index(parts));
  }
  e.loop(first, end, 1, [&, low = low, high = high](Value unit) {
    filtersFrom = e.index(0);
    filtersTo = e.index(conv.filters);
    if (parts > 1) {
      auto filterOf = [&](Value part) -> Value {
        Value inUnit = arith::SubIOp::create(e.b, part, e.mul(unit, parts));
        inUnit = arith::MaxSIOp::create(e.b, inUnit, e.index(0));
        inUnit = arith::MinSIOp::create(e.b, inUnit, e.index(parts));
        return e.mul(inUnit, partFilters());
      };
      filtersFrom = filterOf(low);
      filtersTo = filterOf(high);
    }
    Value block = quotient(unit, sampleTiles);
    firstRow = e.mul(block, tiling.rows);
    tiles.emplace(e, tiling.down, tiling.across, firstRow, tiling.rows);
    sample = e.mul(rest(unit, sampleTiles), tiling.samples);
    Value hasSamples =
        arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, sample, e.batch);
    when(hasSamples, [&] { buildUnit(); });
  });
  return tiling.tasks;
}

FailureOr<int64_t> sinter::lowerWinogradConv(KernelEmitter &e) {
  return WinogradNest(e).build();
}
