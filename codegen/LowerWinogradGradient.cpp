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
// FilterPanels.h says why filters are in the lanes. Where they would leave
// lanes empty, samples are, and each lane has sums of its own:
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

/// An operand: where its tiles' pixels are.
struct Operand {
  Value memory;                            // flat
  int64_t height, width, channels, pixels; // the last: of a tile's row
  int64_t together;                        // channels in a vector
  bool isResult;                           // dy, else x
};

class WinogradGradientNest {
public:
  explicit WinogradGradientNest(KernelEmitter &e);
  int64_t build();

private:
  /// Makes a row of taps of a channel, a vector of samples each, or of the
  /// channels that a vector holds together.
  using MakeTaps = llvm::function_ref<WinogradRow(Value channel)>;

  void buildUnit(Value tapRow, Value firstFilter, int64_t filters);
  void overTiles(const Operand &operand, const Rows &rows, Value firstChannel,
                 llvm::function_ref<void(Value column, MakeTaps)> body);
  void storeRows(ArrayRef<Value> taps, Value at, int64_t tapFloats,
                 int64_t together);
  void transformImage(const Rows &rows, Value firstChannel, Value count);
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
  Value least(Value x, Value y) { return arith::MinSIOp::create(e.b, x, y); }
  /// That the batch's samples fill in this chunk.
  Value chunkColumns() {
    return product(arith::SubIOp::create(e.b, lastTile(), firstTile), columns);
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
  auto choose = [&](llvm::function_ref<Value(int64_t row)> make) {
    Value result = make(tiling.taps - 1);
    for (int64_t row = tiling.taps - 2; row >= 0; --row)
      result =
          arith::SelectOp::create(e.b, equals(tapRow, row), make(row), result);
    return result;
  };
  Rows result;
  for (size_t part = 0; part < most; ++part) {
    result.pixel.push_back(
        choose([&](int64_t row) { return e.index(rows[row][part].pixel); }));
    bool isOne = llvm::all_of(
        rows, [&](const auto &row) { return row[part].factor == 1; });
    result.factor.push_back(isOne ? Value() : choose([&](int64_t row) {
      return arith::ConstantOp::create(
          e.b, e.b.getF32FloatAttr(static_cast<float>(rows[row][part].factor)));
    }));
  }
  return result;
}

/// For all tiles of the chunk, and all vectors of samples: `body` gets where
/// they begin in a row of the chunk, and what makes the row of taps of a
/// channel behind `firstChannel`.
void WinogradGradientNest::overTiles(
    const Operand &operand, const Rows &rows, Value firstChannel,
    llvm::function_ref<void(Value, MakeTaps)> body) {
  const auto &[down, across] = conv.window;
  int64_t lanes = operand.together * e.lanes();
  auto type = VectorType::get({lanes}, e.b.getF32Type());
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(type));
  auto isBelow = [&](Value pixel, int64_t size) -> Value {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, pixel,
                                 e.index(size));
  };
  auto both = [&](Value x, Value y) -> Value {
    return arith::AndIOp::create(e.b, x, y);
  };
  e.loop(firstTile, lastTile(), 1, [&](Value tileNumber) {
    Value acrossTiles = e.index(tiling.tilesAcross);
    auto place = [&](Value number, int64_t low) {
      return e.add(e.mul(number, tiling.tile), operand.isResult ? 0 : -low);
    };
    Value row =
        place(arith::DivUIOp::create(e.b, tileNumber, acrossTiles), down.low);
    Value column =
        place(arith::RemUIOp::create(e.b, tileNumber, acrossTiles), across.low);
    // Of the rows, one behind the other.
    // Where they are: if all exist, and if not.
    SmallVector<Value> inside, at, exists;
    Value allExist;
    for (Value pixelRow : rows.pixel)
      for (int64_t l = 0; l < operand.pixels; ++l) {
        Value h = sum(row, pixelRow), w = e.add(column, l);
        exists.push_back(
            both(isBelow(h, operand.height), isBelow(w, operand.width)));
        allExist = allExist ? both(allExist, exists.back()) : exists.back();
        auto featureOf = [&](Value pixel) {
          return e.mul(sum(e.mul(pixel, operand.channels), firstChannel),
                       e.layout.padded());
        };
        Value first = sum(e.mul(h, operand.width), column);
        inside.push_back(
            e.add(featureOf(first), l * operand.channels * e.layout.padded()));
        at.push_back(featureOf(arith::SelectOp::create(
            e.b, exists.back(), e.add(first, l), e.index(0))));
      }
    Value tileInChunk = arith::SubIOp::create(e.b, tileNumber, firstTile);
    auto build = [&](Value v, bool isMasked) {
      Value sample = e.mul(v, e.lanes());
      SmallVector<Value> masks;
      if (isMasked) {
        Value rest = arith::SubIOp::create(e.b, e.batch, sample);
        for (Value each : exists) {
          Value live = arith::SelectOp::create(e.b, each, rest, e.index(0));
          Value mask = vector::CreateMaskOp::create(
              e.b, VectorType::get({e.lanes()}, e.b.getI1Type()), live);
          if (operand.together > 1)
            mask = repeated(mask, operand.together);
          masks.push_back(mask);
        }
      }
      auto makeTaps = [&](Value c) -> WinogradRow {
        Value place = sum(e.mul(c, e.layout.padded()), sample);
        auto pixel = [&](int64_t i) -> Value {
          Value from = sum(isMasked ? at[i] : inside[i], place);
          if (isMasked)
            return vector::MaskedLoadOp::create(e.b, type, operand.memory, from,
                                                masks[i], zero);
          return vector::LoadOp::create(e.b, type, operand.memory, from);
        };
        WinogradRow row;
        for (int64_t l = 0; l < operand.pixels; ++l) {
          Value value;
          for (auto [k, factor] : llvm::enumerate(rows.factor)) {
            Value next = pixel(static_cast<int64_t>(k) * operand.pixels + l);
            if (value)
              value = vector::FMAOp::create(e.b, spread(factor, lanes), next,
                                            value);
            else
              value = factor ? arith::MulFOp::create(e.b, spread(factor, lanes),
                                                     next)
                             : next;
          }
          row.push_back(value);
        }
        return operand.isResult ? sums.resultAdjoint(row) : sums.image(row);
      };
      body(sum(product(tileInChunk, columns), sample), makeTaps);
    };
    // Masks for tiles at a border, and for samples behind the last.
    Value whole = arith::DivUIOp::create(e.b, e.batch, e.index(e.lanes()));
    Value plain = arith::SelectOp::create(e.b, allExist, whole, e.index(0));
    e.loop(e.index(0), plain, 1, [&](Value v) { build(v, false); });
    e.loop(plain, vectors, 1, [&](Value v) { build(v, true); });
  });
}

/// A row of taps, `tapFloats` apart, each channel in its row.
void WinogradGradientNest::storeRows(ArrayRef<Value> taps, Value at,
                                     int64_t tapFloats, int64_t together) {
  for (auto [tap, value] : llvm::enumerate(taps))
    for (int64_t each = 0; each < together; ++each)
      store(partOf(e, value, each, together),
            e.add(at, static_cast<int64_t>(tap) * tapFloats +
                          each * tiling.columns));
}

/// V, `count` channels from `firstChannel` on.
void WinogradGradientNest::transformImage(const Rows &rows, Value firstChannel,
                                          Value count) {
  const auto &[down, across] = conv.window;
  Operand image{x,           down.pixels,      across.pixels, conv.channels,
                tiling.taps, channelsTogether, false};
  overTiles(image, rows, firstChannel, [&](Value column, MakeTaps makeTaps) {
    Value to = e.add(column, imageAt());
    e.loop(e.index(0), count, channelsTogether, [&](Value c) {
      storeRows(makeTaps(c), sum(to, e.mul(c, tiling.columns)),
                imageTapFloats(), channelsTogether);
    });
  });
}

/// D, `filters` from `firstFilter` on. Squares of filters by samples are made
/// in V's place, which is still free, before they are turned.
void WinogradGradientNest::transformResult(const Rows &rows, Value firstFilter,
                                           int64_t filters) {
  const auto &[down, across] = conv.window;
  Operand result{dy,           down.windows(), across.windows(),
                 conv.filters, tiling.tile,    filtersTogether,
                 true};
  if (!tiling.inPanels) {
    overTiles(result, rows, firstFilter, [&](Value column, MakeTaps makeTaps) {
      e.loop(e.index(0), e.index(filters), filtersTogether, [&](Value f) {
        storeRows(makeTaps(f), sum(column, e.mul(f, tiling.columns)),
                  resultTapFloats(), filtersTogether);
      });
    });
    return;
  }
  int64_t square = e.lanes() * e.lanes();
  overTiles(result, rows, firstFilter, [&](Value column, MakeTaps makeTaps) {
    panels->over(filters, [&](Value first, ArrayRef<VectorPiece> pieces) {
      const VectorPiece &last = pieces.back();
      int64_t stride = panels->stride(pieces);
      inParts(
          e, last.start + last.existing, e.lanes(),
          [&](Value part, int64_t count) {
            Value filter = sum(first, part);
            e.loop(e.index(0), e.index(count), filtersTogether, [&](Value i) {
              Value to = e.add(e.mul(i, e.lanes()), imageAt());
              for (auto [tap, value] :
                   llvm::enumerate(makeTaps(sum(filter, i))))
                store(value, e.add(to, static_cast<int64_t>(tap) * square));
            });
            Value to = sum(e.mul(first, tiling.columns),
                           sum(e.mul(column, stride), part));
            e.loop(e.index(0), e.index(tiling.taps), 1, [&](Value tap) {
              Value from = e.add(e.mul(tap, square), imageAt());
              panels->turn(
                  count, sum(to, e.mul(tap, resultTapFloats())), stride,
                  [&](int64_t i) { return load(e.add(from, i * e.lanes())); });
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
  int64_t steps = std::min<int64_t>(e.lanes(), 4);
  int64_t stride = panels->stride(pieces);
  sums = e.loop(
      e.index(0), chunkColumns(), steps, sums, [&](Value n, ValueRange before) {
        SmallVector<Value> next(before);
        Value fromD = sum(firstD, e.mul(n, stride)), fromV = sum(firstV, n);
        for (int64_t step = 0; step < steps; ++step) {
          SmallVector<Value> floats;
          for (int64_t c = 0; c < part.channels; ++c)
            floats.push_back(memref::LoadOp::create(
                e.b, scratch,
                ValueRange{e.task, e.add(fromV, c * tiling.columns + step)}));
          panels->step(next, e.add(fromD, step * stride), pieces, floats);
        }
        return next;
      });
  panels->end(places, pieces, sums);
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
      transformImage(image, first, e.index(block));
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
  vectors = arith::DivUIOp::create(e.b, e.add(e.batch, e.lanes() - 1),
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
  return WinogradGradientNest(e).build();
}
