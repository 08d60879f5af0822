//===- LowerWinogradGradient.cpp - du = sum of (A dy A') * (B' x B) ------===//
//
// For one of the taps, du is a product of two matrices, channels by filters,
// that contracts the tiles of all images. Each tap is on its own, so a unit
// owns what it sums: no partial results between tasks.
//
//   for unit in this task's part of rows of taps x parts of the filters:
//     for chunks of tiles, n = (tile, sample) in the chunk:
//       scratch D[tap] = A dy A'
//       for channels, a block at a time:
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
// FilterPanels.h says why filters are in the lanes: T of dy is turned for that,
// as tiles have fewer pixels than taps. Where filters would leave lanes empty,
// samples are in them, and each lane has sums of its own:
//
//         for taps, C channels, F filters:
//           acc[C][F] = sum(n) V[c][n..] * D[f][n..]
//           du[tap][c..][f..] += the sums of the lanes of acc
//
// Which rows of pixels have a part in a row of taps, and their factors, are
// numbers at run time, so one loop nest serves all rows. Samples behind the
// last are 0.
//
//===----------------------------------------------------------------------===//

#include "codegen/FilterGradient.h"
#include "codegen/FilterPanels.h"
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
/// The rows of pixels of a tile that have a part in a row of taps, which is a
/// number at run time, and their factors. What has none is not read: 0 times
/// NaN would be NaN.
struct Rows {
  SmallVector<Value, 4> pixel;  // index
  SmallVector<Value, 4> factor; // null: 1
};

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
  void buildUnit(Value tapRow, Value firstFilter, int64_t filters);
  void sumRows(const Operand &operand, const Rows &rows, Value tileRow,
               Value firstColumn, Value columnCount, Value firstTo);
  void turnPixel(const Operand &operand, Value to);
  void overTiles(const Operand &operand, const Rows &rows,
                 llvm::function_ref<void(Value column, Value from)> body);
  WinogradRow makeTaps(const Operand &operand, Value from, int64_t lanes);
  void transform(const Operand &operand, const Rows &rows, int64_t to,
                 int64_t tapFloats);
  void transformImage(const Rows &rows, Value firstChannel, int64_t count);
  void transformResult(const Rows &rows, Value firstFilter, int64_t filters);
  /// Some channels and filters at one tap: where they are in V, D and du.
  struct Part {
    Value tapRow, tap, firstChannel, channelInBlock, firstFilter, filterInPart;
    int64_t channels;
  };
  Value imageOf(const Part &part);
  Value resultOf(const Part &part);
  Value placeOf(const Part &part, int64_t channel);
  void buildPanel(const Part &part, ArrayRef<VectorPiece> pieces);
  void buildDots(const Part &part, int64_t filters);
  void clear(Value tapRow, Value firstFilter, int64_t filters);
  Rows rowsOf(Value tapRow, int64_t pixels,
              llvm::function_ref<double(int64_t row, int64_t pixel)> factor);

  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value product(Value x, Value y) { return arith::MulIOp::create(e.b, x, y); }
  Value equals(Value x, int64_t y) {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, x, e.index(y));
  }
  Value difference(Value x, Value y) {
    return arith::SubIOp::create(e.b, x, y);
  }
  Value least(Value x, Value y) { return arith::MinSIOp::create(e.b, x, y); }
  /// That the batch's samples fill in this chunk.
  Value chunkColumns() {
    return product(difference(lastTile(), firstTile), columns);
  }
  Value lastTile() {
    return least(e.index(tiling.tilesDown * tiling.tilesAcross),
                 e.add(firstTile, tiling.chunk));
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
  /// Of a tap in D, and in V, which is behind D.
  int64_t resultTapFloats() const {
    return tiling.paddedFilters() * tiling.columns;
  }
  int64_t imageTapFloats() const { return tiling.channels * tiling.columns; }
  int64_t imageAt() const { return tiling.taps * resultTapFloats(); }
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

/// `factor` is that of a pixel in a row of taps.
Rows WinogradGradientNest::rowsOf(
    Value tapRow, int64_t pixels,
    llvm::function_ref<double(int64_t, int64_t)> factor) {
  // The parts of each row, one with factor 1 first if there is one.
  struct RowPart {
    int64_t pixel;
    double factor;
  };
  SmallVector<SmallVector<RowPart, 4>> rows(tiling.taps);
  size_t most = 0;
  for (auto [number, row] : llvm::enumerate(rows)) {
    for (int64_t i = pixels - 1; i >= 0; --i)
      if (double f = factor(static_cast<int64_t>(number), i); f != 0)
        row.push_back({i, f});
    llvm::stable_sort(row, [](const RowPart &x, const RowPart &y) {
      return x.factor == 1 && y.factor != 1;
    });
    most = std::max(most, row.size());
  }
  // A row with fewer parts has its first again, times 0.
  for (SmallVector<RowPart, 4> &row : rows)
    while (row.size() < most)
      row.push_back({row.front().pixel, 0});
  Rows result;
  for (size_t part = 0; part < most; ++part) {
    // A table in a number, four bits for each row of taps, and one in a vector.
    int64_t pixelsOfRows = 0;
    constexpr int64_t entries = 8;
    SmallVector<float, entries> factors(entries, 0);
    for (auto [number, row] : llvm::enumerate(rows)) {
      pixelsOfRows |= row[part].pixel << (4 * number);
      factors[number] = static_cast<float>(row[part].factor);
    }
    Value shifted =
        arith::ShRUIOp::create(e.b, e.index(pixelsOfRows), e.mul(tapRow, 4));
    result.pixel.push_back(arith::AndIOp::create(e.b, shifted, e.index(0xF)));
    bool isOne = llvm::all_of(
        rows, [&](const auto &row) { return row[part].factor == 1; });
    if (isOne) {
      result.factor.push_back(Value());
      continue;
    }
    auto type = VectorType::get({entries}, e.b.getF32Type());
    Value all = arith::ConstantOp::create(
        e.b, DenseElementsAttr::get(type, ArrayRef<float>(factors)));
    result.factor.push_back(vector::ExtractOp::create(e.b, all, tapRow));
  }
  return result;
}

/// T from `firstTo` on, (column, feature, sample), or (column, sample, filter)
/// for panels: for `columnCount` columns of pixels, the sum of those in `rows`
/// times their factors. Pixels that do not exist are 0.
void WinogradGradientNest::sumRows(const Operand &operand, const Rows &rows,
                                   Value tileRow, Value firstColumn,
                                   Value columnCount, Value firstTo) {
  const auto &[down, across] = conv.window;
  bool isTurned = operand.isResult && tiling.inPanels;
  int64_t lanes = operand.together * e.lanes(), samples = e.layout.padded();
  auto type = VectorType::get({lanes}, e.b.getF32Type());
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(type));
  auto isBelow = [&](Value pixel, int64_t size) -> Value {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, pixel,
                                 e.index(size));
  };
  auto both = [&](Value x, Value y) -> Value {
    return arith::AndIOp::create(e.b, x, y);
  };
  auto firstOf = [&](Value number, int64_t low) {
    return e.add(e.mul(number, tiling.tile), operand.isResult ? 0 : -low);
  };
  Value row = firstOf(tileRow, down.low);
  Value left = firstOf(firstColumn, across.low);
  SmallVector<Value> pixelRows, rowExists, factors;
  Value allExist;
  for (Value pixelRow : rows.pixel) {
    pixelRows.push_back(sum(row, pixelRow));
    rowExists.push_back(isBelow(pixelRows.back(), operand.height));
    allExist = allExist ? both(allExist, rowExists.back()) : rowExists.back();
  }
  Value whole = arith::DivUIOp::create(e.b, e.batch, e.index(e.lanes()));
  for (Value factor : rows.factor)
    factors.push_back(factor ? spread(factor, lanes) : Value());
  e.loop(e.index(0), columnCount, 1, [&](Value number) {
    Value column = sum(left, number);
    Value columnExists = isBelow(column, operand.width);
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
      Value value;
      for (size_t k = 0; k < from.size(); ++k) {
        Value at = sum(from[k], offset), next;
        if (masks.empty())
          next = vector::LoadOp::create(e.b, type, operand.memory, at);
        else
          next = vector::MaskedLoadOp::create(e.b, type, operand.memory, at,
                                              masks[k], zero);
        if (value)
          value = vector::FMAOp::create(e.b, factors[k], next, value);
        else
          value =
              factors[k] ? arith::MulFOp::create(e.b, factors[k], next) : next;
      }
      store(value, sum(to, offset));
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
      turnPixel(operand, place);
  });
}

/// One pixel of T, at `to`, is turned.
void WinogradGradientNest::turnPixel(const Operand &operand, Value to) {
  int64_t stride = tiling.inVectors(operand.features);
  e.loop(e.index(0), vectors, 1, [&](Value v) {
    Value sample = e.mul(v, e.lanes());
    inParts(e, operand.features, e.lanes(), [&](Value part, int64_t count) {
      Value from =
          sum(e.mul(part, e.layout.padded()), e.add(sample, tiling.pixelAt()));
      panels->turn(
          count, sum(to, sum(e.mul(sample, stride), part)), stride,
          [&](int64_t i) { return load(e.add(from, i * e.layout.padded())); });
    });
  });
}

/// For all tiles of the chunk: `body` gets where its columns begin in a row of
/// the chunk, and where its pixels do in T.
void WinogradGradientNest::overTiles(
    const Operand &operand, const Rows &rows,
    llvm::function_ref<void(Value, Value)> body) {
  int64_t pixelFloats = tiling.pixelFloats(operand.features);
  e.loop(firstTile, lastTile(), 1, [&](Value tile) {
    Value acrossTiles = e.index(tiling.tilesAcross);
    Value tileRow = arith::DivUIOp::create(e.b, tile, acrossTiles);
    Value tileColumn = arith::RemUIOp::create(e.b, tile, acrossTiles);
    Value inRun = arith::RemUIOp::create(e.b, tileColumn, e.index(tiling.run));
    Value from =
        e.add(e.mul(inRun, tiling.tile * pixelFloats), tiling.sumsAt());
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
      sumRows(operand, rows, tileRow, tileColumn,
              e.add(e.mul(tiles, tiling.tile), operand.pixels - tiling.tile),
              from);
    }
    body(product(difference(tile, firstTile), columns), from);
  });
}

/// A row of taps of what lies at `from` in T, `lanes` side by side.
WinogradRow WinogradGradientNest::makeTaps(const Operand &operand, Value from,
                                           int64_t lanes) {
  auto type = VectorType::get({lanes}, e.b.getF32Type());
  WinogradRow row;
  for (int64_t l = 0; l < operand.pixels; ++l)
    row.push_back(vector::LoadOp::create(
        e.b, type, scratch,
        ValueRange{e.task,
                   e.add(from, l * tiling.pixelFloats(operand.features))}));
  return operand.isResult ? sums.resultAdjoint(row) : sums.image(row);
}

/// V or D with samples in the lanes, from `to` on: rows of the taps `tapFloats`
/// apart, each feature in its row.
void WinogradGradientNest::transform(const Operand &operand, const Rows &rows,
                                     int64_t to, int64_t tapFloats) {
  int64_t together = operand.together;
  overTiles(operand, rows, [&](Value column, Value from) {
    e.loop(e.index(0), vectors, 1, [&](Value v) {
      Value sample = e.mul(v, e.lanes());
      Value firstTo = e.add(sum(column, sample), to);
      Value firstFrom = sum(from, sample);
      e.loop(e.index(0), e.index(operand.features), together, [&](Value i) {
        WinogradRow taps =
            makeTaps(operand, sum(firstFrom, e.mul(i, e.layout.padded())),
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

/// V, `count` channels from `firstChannel` on.
void WinogradGradientNest::transformImage(const Rows &rows, Value firstChannel,
                                          int64_t count) {
  const auto &[down, across] = conv.window;
  Operand image{x,
                down.pixels,
                across.pixels,
                conv.channels,
                tiling.taps,
                channelsTogether,
                /*isResult=*/false,
                firstChannel,
                count};
  transform(image, rows, imageAt(), imageTapFloats());
}

/// D, `filters` from `firstFilter` on.
void WinogradGradientNest::transformResult(const Rows &rows, Value firstFilter,
                                           int64_t filters) {
  const auto &[down, across] = conv.window;
  Operand result{dy,
                 down.windows(),
                 across.windows(),
                 conv.filters,
                 tiling.tile,
                 filtersTogether,
                 /*isResult=*/true,
                 firstFilter,
                 filters};
  if (!tiling.inPanels)
    return transform(result, rows, /*to=*/0, resultTapFloats());
  overTiles(result, rows, [&](Value column, Value from) {
    e.loop(e.index(0), columns, 1, [&](Value n) {
      Value sample = sum(from, e.mul(n, tiling.inVectors(filters)));
      panels->over(filters, [&](Value first, ArrayRef<VectorPiece> pieces) {
        int64_t stride = panels->stride(pieces);
        Value to =
            sum(e.mul(first, tiling.columns), e.mul(sum(column, n), stride));
        e.loop(e.index(0), e.index(stride), e.layout.widest, [&](Value f) {
          WinogradRow taps =
              makeTaps(result, sum(sample, sum(first, f)), e.layout.widest);
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
      sum(e.mul(sum(e.mul(part.tapRow, tiling.taps), part.tap), conv.channels),
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
  sums = panels->overColumns(sums, chunkColumns(), firstD, pieces, firstV,
                             part.channels, tiling.columns);
  panels->end(places, pieces, sums, isStreamed);
}

void WinogradGradientNest::buildDots(const Part &part, int64_t filters) {
  Value firstD = resultOf(part), firstV = imageOf(part);
  SmallVector<Value> acc(part.channels * filters, e.vectorConstant(0));
  acc = e.loop(e.index(0), chunkColumns(), e.lanes(), acc,
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
  addLaneSums(e, acc, filters, du,
              [&](int64_t channel) { return placeOf(part, channel); });
}

/// du = 0, for sums to be added.
void WinogradGradientNest::clear(Value tapRow, Value firstFilter,
                                 int64_t filters) {
  Value zero = arith::ConstantOp::create(e.b, e.b.getF32FloatAttr(0));
  int64_t rows = tiling.taps * conv.channels;
  e.loop(e.index(0), e.index(rows), 1, [&](Value c) {
    Value row = sum(e.mul(tapRow, rows), c);
    Value from = sum(e.mul(row, conv.filters), firstFilter);
    e.loop(e.index(0), e.index(filters), 1, [&](Value f) {
      memref::StoreOp::create(e.b, zero, du, sum(from, f));
    });
  });
}

void WinogradGradientNest::buildUnit(Value tapRow, Value firstFilter,
                                     int64_t filters) {
  const WinogradMatrices &matrices = winogradMatrices(tiling.tile);
  Rows image = rowsOf(tapRow, tiling.taps, [&](int64_t row, int64_t pixel) {
    return matrices.image[row][pixel];
  });
  Rows result = rowsOf(tapRow, tiling.tile, [&](int64_t row, int64_t pixel) {
    return matrices.result[pixel][row];
  });
  if (!tiling.inPanels)
    clear(tapRow, firstFilter, filters);
  Part part;
  part.tapRow = tapRow;
  part.firstFilter = firstFilter;
  e.loop(e.index(0), e.index(tiling.chunks), 1, [&](Value chunk) {
    isFirst = equals(chunk, 0);
    firstTile = e.mul(chunk, tiling.chunk);
    transformResult(result, firstFilter, filters);
    inParts(e, conv.channels, tiling.channels, [&](Value first, int64_t block) {
      transformImage(image, first, block);
      part.firstChannel = first;
      e.loop(e.index(0), e.index(tiling.taps), 1, [&](Value tap) {
        part.tap = tap;
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
                : arith::DivUIOp::create(e.b, e.add(e.batch, e.lanes() - 1),
                                         e.index(e.lanes()));
  columns = e.mul(vectors, e.lanes());

  auto [low, high] = e.taskRange(tiling.units(), tiling.tasks);
  e.loop(low, high, 1, [&](Value unit) {
    Value parts = e.index(tiling.filterParts);
    Value tapRow = arith::DivUIOp::create(e.b, unit, parts);
    Value part = arith::RemUIOp::create(e.b, unit, parts);
    Value firstFilter = e.mul(part, tiling.filters);
    forPart(e, part, tiling.filterParts, tiling.filters, conv.filters,
            [&](int64_t filters) { buildUnit(tapRow, firstFilter, filters); });
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
