//===- LowerWinograd.cpp - Winograd's filtering, and its filters ---------===//
//
// winograd_conv2d: with samples in the lanes, all three steps are vertical
// arithmetic on vectors as they lie in memory.
//
//   for unit in this task's part of rows of tiles x samples:
//     for runs of tiles:
//       scratch V[tap][channels][tiles, samples] = B' x B
//       for filters f, a block at a time, of all taps each:
//         for filters of the block, R at a time, and vectors of (tiles,
//         samples), N at a time:
//           acc[R][N] = sum(c) broadcast u[tap][c][f + r] * V[tap][c][n..]
//           scratch M[tap][f..][n..] = acc
//       for tiles, samples:
//         for filters: the first of M's taps = A' M A, the tile's pixels
//         for pixels, filters: epilogue, store, row sums
//
// Products do not care whose sample a lane is: where a vector holds more than a
// small batch, it holds several tiles of it.
//
// The products are a matrix product from the L2 cache: V and M of a run stay
// there (ir/Winograd.h says how long a run is), u streams: in blocks of filters
// it lies in the order in which it is read. Results are written
// filter by filter, from front to back. Pixels outside of the
// image are 0.
//
// winograd_filter and its adjoint are a sweep over channels with filters in the
// lanes.
//
//===----------------------------------------------------------------------===//

#include "codegen/TileChoice.h"
#include "codegen/WinogradTransforms.h"
#include "ir/Winograd.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

using namespace mlir;
using namespace sinter;

namespace {
class WinogradNest {
public:
  explicit WinogradNest(KernelEmitter &e);
  int64_t build();

private:
  void buildUnit(Value tileRow);
  void clearRowSums(Value tileRow);
  void transformTiles(Value firstRow, Value firstTile, Value count);
  void transformTile(Value firstRow, Value firstColumn, Value column);
  void transformPixels(const WinogradSquare &at, const WinogradSquare &exists,
                       Value c, Value s, Value column);
  void buildProducts(Value firstFilter, int64_t filters, Value count);
  void buildProduct(Value tap, Value taps, Value firstFilter, int64_t rows,
                    Value column, int64_t vectors);
  void inVectors(Value count, llvm::function_ref<void(Value, int64_t)> body);
  void buildResults(Value tileRow, Value firstTile, Value count);
  void transformProducts(Value column);
  void buildPixel(Value row, Value pixelColumn, Value pixels);

  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value product(Value x, Value y) { return arith::MulIOp::create(e.b, x, y); }
  Value less(Value x, int64_t y) {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, x, e.index(y));
  }
  Value isTrue(Value x, Value y) { return arith::AndIOp::create(e.b, x, y); }
  void when(Value condition, llvm::function_ref<void()> body) {
    auto branch = scf::IfOp::create(e.b, condition, /*withElse=*/false);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    e.scope(body);
  }
  Value loadVector(Value memory, ValueRange at) {
    return vector::LoadOp::create(e.b, vectorType, memory, at);
  }
  /// Of this task's scratch.
  Value loadScratch(Value at) { return loadVector(scratch, {e.task, at}); }
  Value loadWide(Value at) {
    return vector::LoadOp::create(e.b, wideType, scratch,
                                  ValueRange{e.task, at});
  }
  void storeScratch(Value value, Value at) {
    vector::StoreOp::create(e.b, value, scratch, ValueRange{e.task, at});
  }
  int64_t unitFilters() const { return conv.filters / tiling.parts; }
  bool isBlocked() const { return block < uType.getDimSize(3); }
  /// Of a block of u: all taps, each channel's filters.
  int64_t blockFloats() const {
    return tiling.allTaps() * uType.getDimSize(2) * block;
  }
  /// The place of a row's `i`th of `count` in a tile that may be turned around.
  int64_t turned(int64_t i, int64_t count) {
    return op.getFlipped() ? count - 1 - i : i;
  }
  int64_t inputAt(int64_t tap) const { return tap * tiling.inputFloats; }
  Value productAt(Value tap) {
    return e.add(e.mul(tap, tiling.productFloats),
                 tiling.allTaps() * tiling.inputFloats);
  }

  KernelEmitter &e;
  WinogradConv2dOp op;
  Convolution conv;
  WinogradTiling tiling;
  WinogradSums sums;
  VectorType vectorType;
  /// Of products: floats of a vector, which may be of several tiles.
  int64_t width;
  VectorType wideType;
  Value x, u, scratch; // (features, lanes), flat, (tasks, floats)
  RankedTensorType uType;
  int64_t block; // u's filters that lie together
  Tile tile{1, 1};
  bool hasRandom;
  Value sample, unitFilter; // the unit's first
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
  while (tiling.columns() % width)
    width /= 2;
  wideType = VectorType::get({width}, e.b.getF32Type());
  x = e.memory(conv.image, /*flat=*/true);
  u = e.weights(op.getU());
  uType = tensorTypeOf(op.getU());
  block = isInFilterBlocks(uType) ? kFilterBlock : uType.getDimSize(3);
  scratch = e.memory(e.kernel.getResults().back());
  auto random = e.kernel.getBody().front().getOps<RandomUniformOp>();
  hasRandom = !random.empty();
}

//===----------------------------------------------------------------------===//
// V = B' x B
//===----------------------------------------------------------------------===//

void WinogradNest::transformTiles(Value firstRow, Value firstTile,
                                  Value count) {
  e.loop(e.index(0), count, 1, [&](Value t) {
    Value firstColumn =
        e.add(e.mul(sum(firstTile, t), tiling.tile), -conv.window[1].low);
    transformTile(firstRow, firstColumn, e.mul(t, tiling.samples));
  });
}

/// The tile over the pixels from (`firstRow`, `firstColumn`) on, all channels.
void WinogradNest::transformTile(Value firstRow, Value firstColumn,
                                 Value column) {
  forTile(e, conv, tiling.taps, firstRow, firstColumn,
          [&](const WinogradSquare &at, const WinogradSquare &exists) {
            e.loop(e.index(0), e.index(conv.channels), 1, [&](Value c) {
              e.loop(
                  e.index(0), e.index(tiling.samples), e.lanes(),
                  [&](Value s) { transformPixels(at, exists, c, s, column); });
            });
          });
}

/// One channel of the tile, some samples. A filter that is turned around meets
/// unturned taps if its tile is turned, too, and what comes out.
void WinogradNest::transformPixels(const WinogradSquare &at,
                                   const WinogradSquare &exists, Value c,
                                   Value s, Value column) {
  WinogradSquare pixels;
  for (int64_t k = 0; k < tiling.taps; ++k) {
    pixels.emplace_back();
    for (int64_t l = 0; l < tiling.taps; ++l) {
      int64_t i = turned(k, tiling.taps), j = turned(l, tiling.taps);
      Value pixel = loadVector(x, {sum(at[i][j], c), sum(sample, s)});
      if (Value isIn = exists[i][j])
        pixel = arith::SelectOp::create(e.b, isIn, pixel, e.vectorConstant(0));
      pixels.back().push_back(pixel);
    }
  }
  WinogradSquare transformed =
      bothWays(pixels, [&](ArrayRef<Value> v) { return sums.image(v); });
  Value to = sum(sum(e.mul(c, tiling.columns()), column), s);
  int64_t tap = 0;
  for (const WinogradRow &row : transformed)
    for (Value value : row)
      storeScratch(value, e.add(to, inputAt(tap++)));
}

//===----------------------------------------------------------------------===//
// M = sum(c) u V
//===----------------------------------------------------------------------===//

/// `rows` filters times `vectors` vectors from `column` on, for one tap; `taps`
/// is where its filter begins for the first of the rows.
void WinogradNest::buildProduct(Value tap, Value taps, Value firstFilter,
                                int64_t rows, Value column, int64_t vectors) {
  bool flipped = op.getFlipped();
  // Steps in u from channel to channel, and from row to row.
  int64_t channelStep = flipped ? 1 : block;
  int64_t rowStep = flipped ? block : 1;
  // The processor does not guess what comes next beyond a page.
  constexpr int64_t farApart = 1024 / 4, prefetchDistance = 12;
  bool isFarApart = channelStep >= farApart;
  Value from = sum(e.mul(tap, tiling.inputFloats), column);
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(wideType));
  SmallVector<Value> acc(rows * vectors, zero);
  acc = e.loop(
      e.index(0), e.index(conv.channels), 1, acc,
      [&](Value c, ValueRange before) {
        SmallVector<Value> next(before), vs;
        Value at = sum(from, e.mul(c, tiling.columns()));
        for (int64_t v = 0; v < vectors; ++v)
          vs.push_back(loadWide(e.add(at, v * width)));
        Value weight = sum(taps, e.mul(c, channelStep));
        if (isFarApart)
          memref::PrefetchOp::create(
              e.b, u, e.add(weight, prefetchDistance * channelStep),
              /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
        for (int64_t r = 0; r < rows; ++r) {
          Value scalar =
              memref::LoadOp::create(e.b, u, e.add(weight, r * rowStep));
          Value spread = vector::BroadcastOp::create(e.b, wideType, scalar);
          for (int64_t v = 0; v < vectors; ++v)
            next[r * vectors + v] = vector::FMAOp::create(
                e.b, spread, vs[v], next[r * vectors + v]);
        }
        return next;
      });
  Value to =
      sum(productAt(tap), sum(e.mul(firstFilter, tiling.columns()), column));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < vectors; ++v)
      storeScratch(acc[r * vectors + v],
                   e.add(to, r * tiling.columns() + v * width));
}

/// The vectors of `count` tiles, `tile.vectors` at a time, then one by one.
void WinogradNest::inVectors(Value count,
                             llvm::function_ref<void(Value, int64_t)> body) {
  int64_t step = tile.vectors * width;
  Value all = e.mul(count, tiling.samples);
  Value whole = e.mul(arith::DivUIOp::create(e.b, all, e.index(step)), step);
  e.loop(e.index(0), whole, step,
         [&](Value column) { body(column, tile.vectors); });
  if (tile.vectors > 1)
    e.loop(whole, all, width, [&](Value column) { body(column, 1); });
}

/// All taps of some filters: one of u's blocks, or as many as a tile has.
void WinogradNest::buildProducts(Value firstFilter, int64_t filters,
                                 Value count) {
  bool flipped = op.getFlipped();
  e.loop(e.index(0), e.index(tiling.allTaps()), 1, [&](Value tap) {
    // For rows of u, or from block to block.
    int64_t filterStep = flipped       ? block
                         : isBlocked() ? blockFloats() / block
                                       : 1;
    Value firstTaps = sum(e.mul(tap, blockFloats() / tiling.allTaps()),
                          e.mul(firstFilter, filterStep));
    inParts(e, filters, tile.rows, [&](Value part, int64_t rows) {
      Value taps = sum(firstTaps, e.mul(part, flipped ? block : 1));
      Value filter = sum(firstFilter, part);
      int64_t step = tile.vectors * width;
      if (tiling.samples % step == 0)
        e.loop(e.index(0), e.mul(count, tiling.samples), step,
               [&](Value column) {
                 buildProduct(tap, taps, filter, rows, column, tile.vectors);
               });
      else if (tiling.isEven())
        inParts(e, tiling.columns(), step, [&](Value column, int64_t floats) {
          buildProduct(tap, taps, filter, rows, column, floats / width);
        });
      else
        inVectors(count, [&](Value column, int64_t vectors) {
          buildProduct(tap, taps, filter, rows, column, vectors);
        });
    });
  });
}

//===----------------------------------------------------------------------===//
// y = A' M A
//===----------------------------------------------------------------------===//

/// The pixels of the unit's filters, where the first products were: what is
/// behind the convolution then goes pixel by pixel, and its code is made once.
void WinogradNest::transformProducts(Value column) {
  e.loop(e.index(0), e.index(unitFilters()), 1, [&](Value number) {
    Value filter = sum(unitFilter, number);
    Value at = sum(e.mul(filter, tiling.columns()), column);
    auto placeOf = [&](int64_t tap) {
      return sum(productAt(e.index(tap)), at);
    };
    WinogradSquare products;
    for (int64_t k = 0; k < tiling.taps; ++k) {
      products.emplace_back();
      for (int64_t l = 0; l < tiling.taps; ++l)
        products.back().push_back(loadScratch(placeOf(k * tiling.taps + l)));
    }
    WinogradSquare pixels =
        bothWays(products, [&](ArrayRef<Value> v) { return sums.result(v); });
    for (int64_t k = 0; k < tiling.tile; ++k)
      for (int64_t l = 0; l < tiling.tile; ++l)
        storeScratch(pixels[turned(k, tiling.tile)][turned(l, tiling.tile)],
                     placeOf(k * tiling.tile + l));
  });
}

/// The unit's filters of one of the tile's pixels.
void WinogradNest::buildPixel(Value row, Value pixelColumn, Value pixels) {
  // Random numbers come in blocks of four filters.
  inParts(e, unitFilters(), hasRandom ? 4 : 1, [&](Value first, int64_t count) {
    Value filter = sum(unitFilter, first);
    for (int64_t i = 0; i < count; ++i)
      e.point([&] {
        Value each = e.add(filter, i);
        Value at = sum(pixels, e.mul(each, tiling.columns()));
        e.seed(op.getResult(), loadScratch(at));
        Indices to = {row, pixelColumn, each};
        e.storeAll(to, [](RankedTensorType) { return true; });
        e.addRowSums(to);
      });
  });
}

void WinogradNest::buildResults(Value tileRow, Value firstTile, Value count) {
  const auto &[down, across] = conv.window;
  e.loop(e.index(0), count, 1, [&](Value t) {
    e.loop(e.index(0), e.index(tiling.samples), e.lanes(), [&](Value s) {
      e.setSample(sum(sample, s));
      Value column = sum(e.mul(t, tiling.samples), s);
      transformProducts(column);
      e.loop(
          e.index(0), e.index(tiling.tile * tiling.tile), 1, [&](Value number) {
            Value size = e.index(tiling.tile);
            Value row = sum(e.mul(tileRow, tiling.tile),
                            arith::DivUIOp::create(e.b, number, size));
            Value pixelColumn = sum(e.mul(sum(firstTile, t), tiling.tile),
                                    arith::RemUIOp::create(e.b, number, size));
            Value pixels = sum(productAt(number), column);
            Value exists;
            if (down.windows() % tiling.tile)
              exists = less(row, down.windows());
            if (across.windows() % tiling.tile) {
              Value fits = less(pixelColumn, across.windows());
              exists = exists ? isTrue(exists, fits) : fits;
            }
            if (exists)
              when(exists, [&] { buildPixel(row, pixelColumn, pixels); });
            else
              buildPixel(row, pixelColumn, pixels);
          });
    });
  });
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void WinogradNest::clearRowSums(Value tileRow) {
  if (!e.hasRowSums())
    return;
  Value from = e.mul(tileRow, tiling.tile);
  Value to = arith::MinUIOp::create(e.b, e.add(from, tiling.tile),
                                    e.index(conv.window[0].windows()));
  e.loop(from, to, 1, [&](Value row) {
    e.loop(e.index(0), e.index(unitFilters()), 1, [&](Value filter) {
      e.loop(e.index(0), e.index(tiling.samples), e.lanes(), [&](Value s) {
        e.setSample(sum(sample, s));
        e.clearRowSums(row, sum(unitFilter, filter));
      });
    });
  });
}

void WinogradNest::buildUnit(Value tileRow) {
  clearRowSums(tileRow);
  Value firstRow = e.add(e.mul(tileRow, tiling.tile), -conv.window[0].low);
  e.loop(e.index(0), e.index(tiling.runs), 1, [&](Value number) {
    Value firstTile = e.mul(number, tiling.run);
    Value count = e.index(tiling.run);
    if (!tiling.isEven()) {
      Value left =
          arith::SubIOp::create(e.b, e.index(tiling.tilesAcross), firstTile);
      count = arith::MinUIOp::create(e.b, count, left);
    }
    transformTiles(firstRow, firstTile, count);
    inParts(e, unitFilters(), isBlocked() ? block : tile.rows,
            [&](Value first, int64_t filters) {
              buildProducts(sum(unitFilter, first), filters, count);
            });
    buildResults(tileRow, firstTile, count);
  });
}

int64_t WinogradNest::build() {
  TileWork work{.steps = conv.channels, .hasEpilogue = false};
  work.rowsDivide = isBlocked() ? block : 0;
  tile = chooseTile(e, op,
                    rankTiles(unitFilters(), tiling.columns() / width, work,
                              e.layout.target));
  int64_t unitsOfPart = tiling.units / tiling.parts;
  int64_t sampleTiles = unitsOfPart / tiling.tilesDown;
  auto [low, high] = e.taskRange(tiling.units, tiling.tasks);
  e.loop(low, high, 1, [&](Value unit) {
    unitFilter = e.index(0);
    if (tiling.parts > 1) {
      Value count = e.index(unitsOfPart);
      unitFilter =
          e.mul(arith::DivUIOp::create(e.b, unit, count), unitFilters());
      unit = arith::RemUIOp::create(e.b, unit, count);
    }
    Value tiles = e.index(sampleTiles);
    Value tileRow = arith::DivUIOp::create(e.b, unit, tiles);
    sample = e.mul(arith::RemUIOp::create(e.b, unit, tiles), tiling.samples);
    Value hasSamples =
        arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, sample, e.batch);
    when(hasSamples, [&] { buildUnit(tileRow); });
  });
  return tiling.tasks;
}

FailureOr<int64_t> sinter::lowerWinogradConv(KernelEmitter &e) {
  return WinogradNest(e).build();
}

//===----------------------------------------------------------------------===//
// Filters
//===----------------------------------------------------------------------===//

/// `apply` to the columns and rows of all taps, (channel, filter) by (channel,
/// filter), in the order of the result, but for some channels of all blocks of
/// filters together: so the source is read nearly from front to back. Taps lie
/// a power of two apart, in the same sets of the caches: only vectors of whole
/// lines touch a line once.
static int64_t
transformTaps(KernelEmitter &e, Operation *op,
              llvm::function_ref<WinogradRow(ArrayRef<Value>)> apply) {
  Value from = e.weights(op->getOperand(0));
  SmallVector<Value> destinations;
  if (e.kernel.getNumResults())
    destinations.push_back(e.memory(e.kernel.getResult(0), /*flat=*/true));
  for (auto write : e.kernel.getBody().front().getOps<WriteOp>())
    destinations.push_back(e.stateMemory(write.getState(), /*flat=*/true));
  RankedTensorType type = tensorTypeOf(op->getResult(0));
  int64_t fromTaps = tensorTypeOf(op->getOperand(0)).getDimSize(0);
  int64_t toTaps = type.getDimSize(0);
  int64_t channels = type.getDimSize(2), filters = type.getDimSize(3);
  int64_t points = channels * filters;
  int64_t block = isInFilterBlocks(type) ? kFilterBlock : filters;
  int64_t ofBlock = channels * block; // points
  int64_t lanes = e.layout.widest;
  e.setWidth(lanes, lanes);
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));

  // Channels whose filters are read together.
  constexpr int64_t mostTogether = 32;
  int64_t together = std::gcd(channels, mostTogether);
  auto build = [&](Value at, Value mask) {
    // Where the vector is in the source, and in the result.
    Value source = at, to = at;
    if (block < filters) {
      auto divide = [&](Value value, int64_t by) -> std::pair<Value, Value> {
        return {arith::DivUIOp::create(e.b, value, e.index(by)),
                arith::RemUIOp::create(e.b, value, e.index(by))};
      };
      auto [group, inGroup] = divide(at, together * filters);
      auto [number, inBlock] = divide(inGroup, together * block);
      auto [inside, filter] = divide(inBlock, block);
      Value channel = e.sum(e.mul(group, together), inside);
      source =
          e.sum(e.sum(e.mul(channel, filters), e.mul(number, block)), filter);
      to = e.sum(e.mul(number, toTaps * toTaps * ofBlock),
                 e.sum(e.mul(channel, block), filter));
    }
    WinogradSquare taps;
    for (int64_t i = 0; i < fromTaps; ++i) {
      taps.emplace_back();
      for (int64_t j = 0; j < fromTaps; ++j) {
        Value place = e.add(source, (i * fromTaps + j) * points);
        taps.back().push_back(
            mask
                ? vector::MaskedLoadOp::create(e.b, vector, from, place, mask,
                                               e.vectorConstant(0))
                      .getResult()
                : vector::LoadOp::create(e.b, vector, from, place).getResult());
      }
    }
    WinogradSquare result = bothWays(taps, apply);
    for (Value destination : destinations)
      for (int64_t i = 0; i < toTaps; ++i)
        for (int64_t j = 0; j < toTaps; ++j) {
          Value place = e.add(to, (i * toTaps + j) * ofBlock);
          if (mask)
            vector::MaskedStoreOp::create(e.b, destination, place, mask,
                                          result[i][j]);
          else
            vector::StoreOp::create(e.b, result[i][j], destination, place);
        }
  };
  int64_t vectors = points / lanes, rest = points % lanes;
  int64_t tasks = chooseTasks(std::max<int64_t>(vectors, 1),
                              double(vectors) *
                                  (fromTaps * fromTaps + 2 * toTaps * toTaps));
  auto [low, high] = e.taskRange(vectors, tasks);
  e.loop(low, high, 1, [&](Value v) { build(e.mul(v, lanes), {}); });
  if (rest) {
    Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, e.task,
                                         e.index(tasks - 1));
    auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/false);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    Value mask = vector::CreateMaskOp::create(
        e.b, VectorType::get({lanes}, e.b.getI1Type()),
        ValueRange{e.index(rest)});
    e.scope([&] { build(e.index(vectors * lanes), mask); });
  }
  return tasks;
}

FailureOr<int64_t> sinter::lowerWinogradFilter(KernelEmitter &e) {
  e.setLanes(Lanes::Columns);
  for (Operation &op : e.kernel.getBody().front()) {
    if (auto filter = dyn_cast<WinogradFilterOp>(op)) {
      WinogradSums sums(e, static_cast<int64_t>(filter.getTile()));
      return transformTaps(e, &op,
                           [&](ArrayRef<Value> v) { return sums.filter(v); });
    }
    if (auto adjoint = dyn_cast<WinogradFilterAdjointOp>(op)) {
      WinogradSums sums(e, winogradTile(tensorTypeOf(adjoint.getU())));
      return transformTaps(
          e, &op, [&](ArrayRef<Value> v) { return sums.filterAdjoint(v); });
    }
  }
  llvm_unreachable("a kernel of this kind has one of the two");
}
