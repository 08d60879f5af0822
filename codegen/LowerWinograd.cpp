//===- LowerWinograd.cpp - Winograd's filtering, and its filters ---------===//
//
// winograd_conv2d: with samples in the lanes, all three steps are vertical
// arithmetic on vectors as they lie in memory.
//
//   for unit in this task's part of rows of tiles x samples (x filters):
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
  void overFilters(int64_t size, llvm::function_ref<void(Value, int64_t)> body);
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
  int64_t partFilters() const { return conv.filters / tiling.parts; }
  bool isBlocked() const { return block < uType.getDimSize(3); }
  /// Of a block of u: all taps, each channel's filters.
  int64_t blockFloats() const {
    return tiling.allTaps() * uType.getDimSize(2) * block;
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
  int64_t together; // channels in a vector of pixels
  VectorType pixelType;
  Value x, u, scratch; // flat, flat, (tasks, floats)
  RankedTensorType uType;
  int64_t block; // u's filters that lie together
  Tile tile{1, 1};
  bool hasRandom;
  // The unit's first sample; the filters that this task has of it.
  Value sample, filtersFrom, filtersTo;
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
  together = channelsSideBySide(e, conv.channels);
  pixelType = VectorType::get({together * e.lanes()}, e.b.getF32Type());
  x = e.row(conv.image);
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
            e.loop(e.index(0), e.index(conv.channels), together, [&](Value c) {
              e.loop(
                  e.index(0), e.index(tiling.samples), e.lanes(),
                  [&](Value s) { transformPixels(at, exists, c, s, column); });
            });
          });
}

/// Some samples of one channel of the tile, or all samples of some channels.
void WinogradNest::transformPixels(const WinogradSquare &at,
                                   const WinogradSquare &exists, Value c,
                                   Value s, Value column) {
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(pixelType));
  WinogradSquare pixels;
  for (int64_t k = 0; k < tiling.taps; ++k) {
    pixels.emplace_back();
    for (int64_t l = 0; l < tiling.taps; ++l) {
      Value feature = sum(at[k][l], c);
      Value pixel = vector::LoadOp::create(
          e.b, pixelType, x,
          e.sum(e.mul(feature, e.layout.padded()), sum(sample, s)));
      if (Value isIn = exists[k][l])
        pixel = arith::SelectOp::create(e.b, isIn, pixel, zero);
      pixels.back().push_back(pixel);
    }
  }
  WinogradSquare transformed =
      bothWays(pixels, [&](ArrayRef<Value> v) { return sums.image(v); });
  Value to = sum(sum(e.mul(c, tiling.columns()), column), s);
  int64_t tap = 0;
  for (const WinogradRow &row : transformed)
    for (Value value : row) {
      Value place = e.add(to, inputAt(tap++));
      for (int64_t each = 0; each < together; ++each)
        storeScratch(channelOf(e, value, each, together),
                     e.add(place, each * tiling.columns()));
    }
}

//===----------------------------------------------------------------------===//
// M = sum(c) u V
//===----------------------------------------------------------------------===//

/// `rows` filters times `vectors` vectors from `column` on, for one tap; `taps`
/// is where its filter begins for the first of the rows.
void WinogradNest::buildProduct(Value tap, Value taps, Value firstFilter,
                                int64_t rows, Value column, int64_t vectors) {
  // The processor does not guess what comes next beyond a page.
  constexpr int64_t farApart = 1024 / 4, prefetchDistance = 12;
  bool isFarApart = block >= farApart;
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
        Value weight = sum(taps, e.mul(c, block));
        if (isFarApart)
          memref::PrefetchOp::create(
              e.b, u, e.add(weight, prefetchDistance * block),
              /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
        for (int64_t r = 0; r < rows; ++r) {
          Value scalar = memref::LoadOp::create(e.b, u, e.add(weight, r));
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

/// The filters that this task has of the unit, `size` at a time.
void WinogradNest::overFilters(int64_t size,
                               llvm::function_ref<void(Value, int64_t)> body) {
  if (tiling.parts == 1)
    return inParts(e, conv.filters, size, body);
  e.loop(filtersFrom, filtersTo, size,
         [&](Value filter) { body(filter, size); });
}

/// All taps of some filters: one of u's blocks, or as many as a tile has.
void WinogradNest::buildProducts(Value firstFilter, int64_t filters,
                                 Value count) {
  e.loop(e.index(0), e.index(tiling.allTaps()), 1, [&](Value tap) {
    // From filter to filter, or from block to block.
    int64_t filterStep = isBlocked() ? blockFloats() / block : 1;
    Value firstTaps = sum(e.mul(tap, blockFloats() / tiling.allTaps()),
                          e.mul(firstFilter, filterStep));
    inParts(e, filters, tile.rows, [&](Value part, int64_t rows) {
      Value taps = sum(firstTaps, part);
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
  e.loop(filtersFrom, filtersTo, 1, [&](Value filter) {
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
        storeScratch(pixels[k][l], placeOf(k * tiling.tile + l));
  });
}

/// The unit's filters of one of the tile's pixels.
void WinogradNest::buildPixel(Value row, Value pixelColumn, Value pixels) {
  // Random numbers come in blocks of four filters.
  overFilters(hasRandom ? 4 : 1, [&](Value filter, int64_t count) {
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
    e.loop(filtersFrom, filtersTo, 1, [&](Value filter) {
      e.loop(e.index(0), e.index(tiling.samples), e.lanes(), [&](Value s) {
        e.setSample(sum(sample, s));
        e.clearRowSums(row, filter);
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
    overFilters(isBlocked() || tiling.parts > 1 ? kFilterBlock : tile.rows,
                [&](Value filter, int64_t filters) {
                  buildProducts(filter, filters, count);
                });
    buildResults(tileRow, firstTile, count);
  });
}

int64_t WinogradNest::build() {
  TileWork work{.steps = conv.channels, .hasEpilogue = false};
  work.rowsDivide = isBlocked() ? block : 0;
  tile = chooseTile(e, op,
                    rankTiles(partFilters(), tiling.columns() / width, work,
                              e.layout.target));
  int64_t sampleTiles = tiling.units / tiling.parts / tiling.tilesDown;
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

namespace {
/// The taps of many filters, transformed by `apply`, to the columns and then to
/// the rows.
class TapsNest {
public:
  using Apply = llvm::function_ref<WinogradRow(ArrayRef<Value>)>;

  TapsNest(KernelEmitter &e, Operation *op, Apply apply);
  int64_t build();
  int64_t buildFlipped();

private:
  void transform(Value memory, Value at, int64_t tapFloats, Value to,
                 Value mask);
  void flip(Value firstChannel, Value firstFilter);
  Value load(Value memory, Value at, Value mask);
  void store(Value value, Value memory, Value at, Value mask);
  int64_t chooseTasksOf(int64_t parts);

  KernelEmitter &e;
  Apply apply;
  Value source;
  SmallVector<Value, 2> destinations;
  int64_t fromTaps, toTaps;  // of a row
  int64_t channels, filters; // of the result
  int64_t block, blockFloats;
  bool isStreamed;
  int64_t lanes;
  VectorType vectorType;
  Value square; // a task's own: for each tap, channels by filters
};
} // namespace

TapsNest::TapsNest(KernelEmitter &e, Operation *op, Apply apply)
    : e(e), apply(apply), source(e.weights(op->getOperand(0))),
      lanes(e.layout.widest) {
  if (e.kernel.getNumResults())
    destinations.push_back(e.memory(e.kernel.getResult(0), /*flat=*/true));
  for (auto write : e.kernel.getBody().front().getOps<WriteOp>())
    destinations.push_back(e.stateMemory(write.getState(), /*flat=*/true));
  RankedTensorType type = tensorTypeOf(op->getResult(0));
  fromTaps = tensorTypeOf(op->getOperand(0)).getDimSize(0);
  toTaps = type.getDimSize(0);
  channels = type.getDimSize(2);
  filters = type.getDimSize(3);
  block = isInFilterBlocks(type) ? kFilterBlock : filters;
  blockFloats = channels * block; // of a tap
  e.setWidth(lanes, lanes);
  vectorType = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  // Whose memory is aligned.
  bool isInArena =
      e.kernel.getNumResults() && destinations.size() == 1 &&
      llvm::none_of(e.kernel.getResult(0).getUsers(), [](Operation *user) {
        return user->hasTrait<OpTrait::IsTerminator>();
      });
  isStreamed = isInArena && isInFilterBlocks(type) && e.isStreamed(type);
}

Value TapsNest::load(Value memory, Value at, Value mask) {
  if (!mask)
    return vector::LoadOp::create(e.b, vectorType, memory, at);
  return vector::MaskedLoadOp::create(e.b, vectorType, memory, at, mask,
                                      e.vectorConstant(0));
}

void TapsNest::store(Value value, Value memory, Value at, Value mask) {
  if (mask)
    vector::MaskedStoreOp::create(e.b, memory, at, mask, value);
  else if (isStreamed)
    e.storeStreamed(value, memory, at);
  else
    vector::StoreOp::create(e.b, value, memory, at);
}

int64_t TapsNest::chooseTasksOf(int64_t parts) {
  double work = double(channels * filters / lanes) *
                double(fromTaps * fromTaps + 2 * toTaps * toTaps);
  return chooseTasks(std::max<int64_t>(parts, 1), work);
}

/// One vector: its taps are at `at` in `memory`, `tapFloats` apart; results go
/// to `to`.
void TapsNest::transform(Value memory, Value at, int64_t tapFloats, Value to,
                         Value mask) {
  WinogradSquare taps;
  for (int64_t i = 0; i < fromTaps; ++i) {
    taps.emplace_back();
    for (int64_t j = 0; j < fromTaps; ++j)
      taps.back().push_back(
          load(memory, e.add(at, (i * fromTaps + j) * tapFloats), mask));
  }
  WinogradSquare result = bothWays(taps, apply);
  for (Value destination : destinations)
    for (int64_t i = 0; i < toTaps; ++i)
      for (int64_t j = 0; j < toTaps; ++j)
        store(result[i][j], destination,
              e.add(to, (i * toTaps + j) * blockFloats), mask);
}

/// (channel, filter) by (channel, filter), in the order of the result, but for
/// some channels of all blocks of filters together: so the source is read
/// nearly from front to back. Taps lie a power of two apart, in the same sets
/// of the caches: only vectors of whole lines touch a line once.
int64_t TapsNest::build() {
  int64_t points = channels * filters;
  // Channels whose filters are read together.
  constexpr int64_t mostTogether = 32;
  int64_t together = std::gcd(channels, mostTogether);
  auto buildVector = [&](Value at, Value mask) {
    // Where the vector is in the source, and in the result.
    Value from = at, to = at;
    if (block < filters) {
      auto divide = [&](Value value, int64_t by) -> std::pair<Value, Value> {
        return {arith::DivUIOp::create(e.b, value, e.index(by)),
                arith::RemUIOp::create(e.b, value, e.index(by))};
      };
      auto [group, inGroup] = divide(at, together * filters);
      auto [number, inBlock] = divide(inGroup, together * block);
      auto [inside, filter] = divide(inBlock, block);
      Value channel = e.sum(e.mul(group, together), inside);
      from =
          e.sum(e.sum(e.mul(channel, filters), e.mul(number, block)), filter);
      to = e.sum(e.mul(number, toTaps * toTaps * blockFloats),
                 e.sum(e.mul(channel, block), filter));
    }
    transform(source, from, points, to, mask);
  };
  int64_t vectors = points / lanes, rest = points % lanes;
  int64_t tasks = chooseTasksOf(vectors);
  auto [low, high] = e.taskRange(vectors, tasks);
  e.loop(low, high, 1, [&](Value v) { buildVector(e.mul(v, lanes), {}); });
  if (rest) {
    Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, e.task,
                                         e.index(tasks - 1));
    auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/false);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    Value mask = vector::ConstantMaskOp::create(
        e.b, VectorType::get({lanes}, e.b.getI1Type()), ArrayRef{rest});
    e.scope([&] { buildVector(e.index(vectors * lanes), mask); });
  }
  return tasks;
}

/// A square of the result's channels by filters, as many as there are lanes, is
/// turned tap by tap.
void TapsNest::flip(Value firstChannel, Value firstFilter) {
  auto maskType = VectorType::get({lanes}, e.b.getI1Type());
  auto squareType = VectorType::get({lanes, lanes}, e.b.getF32Type());
  auto left = [&](Value first, int64_t all) -> Value {
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
    Value to = e.mul(tap, squareFloats);
    for (int64_t i = 0; i < lanes; ++i)
      vector::StoreOp::create(e.b,
                              vector::ExtractOp::create(e.b, rows, ArrayRef{i}),
                              square, e.add(to, i * lanes));
  });

  Value place = e.sum(e.mul(firstChannel, block), firstFilter);
  if (block < filters) {
    Value number = arith::DivUIOp::create(e.b, firstFilter, e.index(block));
    Value inBlock = arith::RemUIOp::create(e.b, firstFilter, e.index(block));
    place = e.sum(e.mul(number, toTaps * toTaps * blockFloats),
                  e.sum(e.mul(firstChannel, block), inBlock));
  }
  Value mask;
  if (filters % lanes)
    mask = vector::CreateMaskOp::create(e.b, maskType, filterCount);
  e.loop(e.index(0), channelCount, 1, [&](Value channel) {
    transform(square, e.mul(channel, lanes), squareFloats,
              e.sum(place, e.mul(channel, block)), mask);
  });
}

int64_t TapsNest::buildFlipped() {
  int64_t across = llvm::divideCeil(channels, lanes);
  int64_t squares = across * llvm::divideCeil(filters, lanes);
  int64_t tasks = chooseTasksOf(squares);
  auto [low, high] = e.taskRange(squares, tasks);
  square = memref::AllocaOp::create(
      e.b,
      MemRefType::get({fromTaps * fromTaps * lanes * lanes}, e.b.getF32Type()),
      e.b.getI64IntegerAttr(64));
  // Along the source's rows.
  e.loop(low, high, 1, [&](Value number) {
    flip(e.mul(arith::RemUIOp::create(e.b, number, e.index(across)), lanes),
         e.mul(arith::DivUIOp::create(e.b, number, e.index(across)), lanes));
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerWinogradFilter(KernelEmitter &e) {
  e.setLanes(Lanes::Columns);
  for (Operation &op : e.kernel.getBody().front()) {
    if (auto filter = dyn_cast<WinogradFilterOp>(op)) {
      WinogradSums sums(e, static_cast<int64_t>(filter.getTile()));
      auto apply = [&](ArrayRef<Value> v) { return sums.filter(v); };
      TapsNest nest(e, &op, apply);
      return filter.getFlipped() ? nest.buildFlipped() : nest.build();
    }
    if (auto adjoint = dyn_cast<WinogradFilterAdjointOp>(op)) {
      WinogradSums sums(e, winogradTile(tensorTypeOf(adjoint.getU())));
      auto apply = [&](ArrayRef<Value> v) { return sums.filterAdjoint(v); };
      return TapsNest(e, &op, apply).build();
    }
  }
  llvm_unreachable("a kernel of this kind has one of the two");
}
