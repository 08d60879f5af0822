//===- LowerPanelGradient.cpp - gradients of filters, filters in the lanes ===//
//
// dw(i, j, c, f) = sum(r, q, n) x(r + i, q + j, c, n) dy(r, q, f, n) as
// products of matrices (FilterPanels.h says why):
//
//   for unit in this task's part of parts of the filters x parts of channels:
//     for a few rows r0 of dy, for a part n0 of the samples:
//       scratch D[panel of filters][r, q, n][f in the panel] = dy, turned
//       for panels of F vectors, tap rows i, channels C and taps T at a time:
//         acc[C][T][F] = dw(i, j.., c.., f..), for the first rows 0
//         for rows r of r0 that tap i sees, pixels q, samples n of n0:
//           acc[c][t][f] += broadcast x(r + i, q + j + t, c, n) * D[r, q, n][f]
//         dw(i, j.., c.., f..) = acc
//
// D and the rows of x under it stay in the L2 cache while all taps and channels
// pass over them. A row's pixels are cut into runs from which the same taps hit
// the image, which is known here: nothing is multiplied by zero.
//
//===----------------------------------------------------------------------===//

#include "codegen/FilterGradient.h"
#include "codegen/FilterPanels.h"
#include "codegen/TileChoice.h"
#include "ir/FilterPanels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
class PanelGradientNest {
public:
  PanelGradientNest(KernelEmitter &e, Conv2dFilterGradientOp op)
      : e(e), op(op), conv(convolutionOf(op)),
        tiling(*panelTilingOf(op, e.layout.batchBound)) {}

  int64_t build();

private:
  /// Some channels and taps of a row of the filter, over a panel of D.
  struct Visit {
    Value tapRow, channel; // the first of `channels`
    int64_t channels, firstTap, taps;
    Value filter, panel; // where its filters and its floats begin
    ArrayRef<VectorPiece> pieces;
  };

  /// Is dy too large for caches to hold it from kernel to kernel?
  bool isFromMemory() const { return dyBytes() >= 8 << 20; }
  int64_t dyBytes() const {
    return storedBytes(tensorTypeOf(conv.result), e.layout.batchBound);
  }
  bool sharesRows() const;
  using OfUnit = llvm::function_ref<void(int64_t filters, int64_t channels)>;
  void overUnits(Value low, Value high, OfUnit body);
  void overRows(llvm::function_ref<void()> body);
  void buildPart(int64_t filters, int64_t channels);
  void turn(int64_t filters);
  void fetch(Value feature, int64_t channels, Value sample);
  void fetchNextPart(const Visit &visit, Value row, Value column);
  void fetchSums(ArrayRef<Value> places, ArrayRef<VectorPiece> pieces);
  void buildVisit(const Visit &visit);
  SmallVector<Value> alongRow(const Visit &visit, Value row, ValueRange sums);
  SmallVector<Value> overSamples(const Visit &visit, const WindowRun &run,
                                 Value row, Value column, ValueRange sums);

  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(e.b, x, y); }
  Value least(Value x, Value y) { return arith::MinSIOp::create(e.b, x, y); }
  int64_t stepsAtOnce() const { return std::min<int64_t>(e.lanes(), 4); }
  /// Where the pixel's samples are in a panel of n's.
  Value columnOf(Value row, Value column) {
    Value pixel =
        sum(e.mul(sub(row, firstRow), conv.window[1].windows()), column);
    return e.mul(pixel, tiling.samples);
  }

  KernelEmitter &e;
  Conv2dFilterGradientOp op;
  Convolution conv;
  FilterPanelTiling tiling;
  Tile tile{1, 1}; // channels and taps by vectors of filters
  int64_t tapsAtOnce = 1;
  std::optional<FilterPanels> panels;
  Value x, dy; // (features, lanes)
  // What is turned now, and for which part.
  Value firstRow, endRow, firstSample, endSample, isFirst;
  Value unit, firstFilter, firstChannel;
  Value nextRow, nextFilter; // where the part that comes next begins
};
} // namespace

/// D. Samples behind the batch are turned with the others, and not used.
void PanelGradientNest::turn(int64_t filters) {
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  int64_t windows = conv.window[1].windows();
  e.loop(firstRow, endRow, 1, [&](Value row) {
    e.loop(e.index(0), e.index(windows), 1, [&](Value column) {
      Value pixel = sum(e.mul(row, windows), column);
      Value feature = sum(e.mul(pixel, conv.filters), firstFilter);
      Value to = columnOf(row, column);
      panels->over(filters, [&](Value first, ArrayRef<VectorPiece> pieces) {
        int64_t stride = panels->stride(pieces);
        int64_t count = pieces.back().start + pieces.back().existing;
        Value panel = sum(e.mul(first, tiling.columns), e.mul(to, stride));
        e.loop(firstSample, endSample, e.lanes(), [&](Value sample) {
          Value from = sum(panel, e.mul(sub(sample, firstSample), stride));
          inParts(e, count, e.lanes(), [&](Value part, int64_t some) {
            Value filter = sum(sum(feature, first), part);
            panels->turn(some, sum(from, part), stride, [&](int64_t f) {
              return vector::LoadOp::create(
                  e.b, vector, dy, ValueRange{e.add(filter, f), sample});
            });
          });
        });
      });
    });
  });
}

/// The pixel that comes next: at strides that are powers of two, the first
/// cache holds few of them, and no processor guesses them. Each step on the way
/// along a line asks for its share of the channels, unless memory is slow.
void PanelGradientNest::fetch(Value feature, int64_t channels, Value sample) {
  constexpr int64_t line = 64 / sizeof(float);
  int64_t ofLine = std::max<int64_t>(line / e.layout.padded(), 1);
  int64_t samples = std::min(line, e.layout.padded());
  int64_t shares = e.layout.batchBound % samples == 0 && !isFromMemory()
                       ? samples / stepsAtOnce()
                       : 1;
  int64_t lines = (channels + ofLine - 1) / ofLine;
  int64_t ofShare = (lines + shares - 1) / shares;
  Value share = arith::RemUIOp::create(
      e.b, arith::DivUIOp::create(e.b, sample, e.index(stepsAtOnce())),
      e.index(shares));
  Value first = sum(feature, e.mul(share, ofShare * ofLine));
  for (int64_t i = 0; i < ofShare; ++i)
    memref::PrefetchOp::create(e.b, x,
                               ValueRange{e.add(first, i * ofLine), sample},
                               /*isWrite=*/false, /*localityHint=*/3,
                               /*isDataCache=*/true);
}

/// Where dy does not stay in the second cache, a pixel of what will be turned
/// next comes to it: each visit asks for a part of its filters.
void PanelGradientNest::fetchNextPart(const Visit &visit, Value row,
                                      Value column) {
  const auto &[down, across] = conv.window;
  // From the third cache, that pays where a line has many products.
  constexpr int64_t fromCache = 512 << 10, many = 64;
  bool isMany = conv.channels * down.taps * across.taps >= many;
  if (!(isFromMemory() || (isMany && dyBytes() >= fromCache)) ||
      tiling.samples < e.layout.padded())
    return;
  constexpr int64_t line = 64 / sizeof(float), mostAtOnce = 16;
  constexpr unsigned toSecondCache = 2;
  int64_t channelsAtOnce = tile.rows / tapsAtOnce;
  int64_t visits =
      down.taps * ((tiling.channels + channelsAtOnce - 1) / channelsAtOnce);
  int64_t lines = tiling.filters * e.layout.padded() / line;
  int64_t ofVisit = (lines + visits - 1) / visits;
  Value number =
      sum(e.mul(arith::DivUIOp::create(e.b, sub(visit.channel, firstChannel),
                                       e.index(channelsAtOnce)),
                down.taps),
          visit.tapRow);
  Value rowThen = sum(nextRow, sub(row, firstRow));
  Value pixel = sum(e.mul(rowThen, across.windows()), column);
  Value feature = sum(e.mul(pixel, conv.filters), nextFilter);
  Value first = e.mul(number, ofVisit * line);
  inParts(e, ofVisit, mostAtOnce, [&](Value from, int64_t count) {
    Value start = sum(first, e.mul(from, line));
    for (int64_t i = 0; i < count; ++i)
      memref::PrefetchOp::create(e.b, dy,
                                 ValueRange{feature, e.add(start, i * line)},
                                 /*isWrite=*/false, toSecondCache,
                                 /*isDataCache=*/true);
  });
}

/// One pixel of dy.
SmallVector<Value> PanelGradientNest::overSamples(const Visit &visit,
                                                  const WindowRun &run,
                                                  Value row, Value column,
                                                  ValueRange sums) {
  const auto &[down, across] = conv.window;
  int64_t stride = panels->stride(visit.pieces);
  Value imageRow =
      e.add(sum(e.mul(row, down.stride), e.mul(visit.tapRow, down.dilation)),
            -down.low);
  Value pixel =
      sum(e.mul(imageRow, across.pixels), e.mul(column, across.stride));
  Value firstX = sum(e.mul(pixel, conv.channels), visit.channel);
  Value firstD = sum(visit.panel, e.mul(columnOf(row, column), stride));
  if (visit.firstTap == 0)
    fetchNextPart(visit, row, column);
  auto build = [&](Value sample, int64_t steps, ValueRange before) {
    SmallVector<Value> next(before);
    if (run.turns > 1)
      fetch(sum(firstX, e.index((across.stride - across.low +
                                 visit.firstTap * across.dilation) *
                                conv.channels)),
            visit.channels, sample);
    Value d = sum(firstD, e.mul(sub(sample, firstSample), stride));
    for (int64_t step = 0; step < steps; ++step) {
      SmallVector<Value> floats;
      for (int64_t c = 0; c < visit.channels; ++c)
        for (int64_t tap = visit.firstTap; tap < visit.firstTap + visit.taps;
             ++tap) {
          int64_t offset = tap * across.dilation - across.low;
          floats.push_back(
              across.covers(run.first, tap)
                  ? memref::LoadOp::create(
                        e.b, x,
                        ValueRange{e.add(firstX, offset * conv.channels + c),
                                   e.add(sample, step)})
                        .getResult()
                  : Value());
        }
      panels->step(next, e.add(d, step * stride), visit.pieces, floats);
    }
    return next;
  };
  // Some steps in a row, then those that are left of a small batch.
  int64_t steps = stepsAtOnce();
  Value count = sub(endSample, firstSample);
  Value rest = arith::RemUIOp::create(e.b, count, e.index(steps));
  Value whole = sub(endSample, rest);
  SmallVector<Value> result =
      e.loop(firstSample, whole, steps, sums, [&](Value n, ValueRange before) {
        return build(n, steps, before);
      });
  if (steps == 1)
    return result;
  return e.loop(whole, endSample, 1, result, [&](Value n, ValueRange before) {
    return build(n, 1, before);
  });
}

SmallVector<Value> PanelGradientNest::alongRow(const Visit &visit, Value row,
                                               ValueRange before) {
  SmallVector<Value> sums(before);
  for (const WindowRun &run :
       windowRuns(conv.window[1], 1, visit.firstTap, visit.taps)) {
    if (run.turns == 1) {
      sums = overSamples(visit, run, row, e.index(run.first), sums);
      continue;
    }
    sums = e.loop(e.index(run.first), e.index(run.first + run.turns), 1, sums,
                  [&](Value column, ValueRange inside) {
                    return overSamples(visit, run, row, column, inside);
                  });
  }
  return sums;
}

/// Lines that the visit will write, rows of dw far apart, and has not read.
void PanelGradientNest::fetchSums(ArrayRef<Value> places,
                                  ArrayRef<VectorPiece> pieces) {
  Value dw = e.memory(e.kernel.getResult(0), /*flat=*/true);
  for (Value place : places)
    for (const VectorPiece &piece : pieces)
      memref::PrefetchOp::create(e.b, dw, e.add(place, piece.start),
                                 /*isWrite=*/true, /*localityHint=*/3,
                                 /*isDataCache=*/true);
}

void PanelGradientNest::buildVisit(const Visit &visit) {
  auto [top, bottom] = windowsUnder(e, conv.window[0], visit.tapRow);
  Value low = arith::MaxSIOp::create(e.b, top, firstRow);
  Value high = least(bottom, endRow);
  SmallVector<Value> places;
  for (int64_t c = 0; c < visit.channels; ++c)
    for (int64_t tap = visit.firstTap; tap < visit.firstTap + visit.taps;
         ++tap) {
      Value at = e.add(e.mul(visit.tapRow, conv.window[1].taps), tap);
      at = sum(e.mul(at, conv.channels), e.add(visit.channel, c));
      places.push_back(sum(e.mul(at, conv.filters), visit.filter));
    }
  bool isOnly = tiling.rows >= conv.window[0].windows() &&
                tiling.samples >= e.layout.padded();
  if (isOnly)
    fetchSums(places, visit.pieces);
  SmallVector<Value> sums =
      panels->begin(places, visit.pieces, isOnly ? Value() : isFirst);
  sums = e.loop(low, high, 1, sums, [&](Value row, ValueRange inside) {
    return alongRow(visit, row, inside);
  });
  panels->end(places, visit.pieces, sums);
}

void PanelGradientNest::buildPart(int64_t filters, int64_t channels) {
  const auto &[down, across] = conv.window;
  turn(filters);
  panels->over(filters, [&](Value first, ArrayRef<VectorPiece> pieces) {
    Visit visit;
    visit.pieces = pieces;
    visit.filter = sum(firstFilter, first);
    visit.panel = e.mul(first, tiling.columns);
    e.loop(e.index(0), e.index(down.taps), 1, [&](Value tapRow) {
      visit.tapRow = tapRow;
      for (int64_t tap = 0; tap < across.taps; tap += tapsAtOnce) {
        visit.firstTap = tap;
        visit.taps = std::min(tapsAtOnce, across.taps - tap);
        inParts(e, channels, tile.rows / tapsAtOnce,
                [&](Value channel, int64_t some) {
                  visit.channel = sum(firstChannel, channel);
                  visit.channels = some;
                  buildVisit(visit);
                });
      }
    });
  });
}

void PanelGradientNest::overRows(llvm::function_ref<void()> body) {
  Value windows = e.index(conv.window[0].windows());
  e.loop(e.index(0), windows, tiling.rows, [&](Value row) {
    firstRow = row;
    endRow = least(e.add(row, tiling.rows), windows);
    e.loop(e.index(0), e.batch, tiling.samples, [&](Value sample) {
      firstSample = sample;
      endSample = least(e.add(sample, tiling.samples), e.batch);
      isFirst = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq,
                                      sum(row, sample), e.index(0));
      body();
    });
  });
}

void PanelGradientNest::overUnits(Value low, Value high, OfUnit body) {
  e.loop(low, high, 1, [&](Value number) {
    unit = number;
    Value parts = e.index(tiling.channelParts);
    Value filterPart = arith::DivUIOp::create(e.b, unit, parts);
    Value channelPart = arith::RemUIOp::create(e.b, unit, parts);
    firstFilter = e.mul(filterPart, tiling.filters);
    firstChannel = e.mul(channelPart, tiling.channels);
    forPart(e, filterPart, tiling.filterParts, tiling.filters, conv.filters,
            [&](int64_t filters) {
              forPart(e, channelPart, tiling.channelParts, tiling.channels,
                      conv.channels,
                      [&](int64_t channels) { body(filters, channels); });
            });
  });
}

/// May all units pass over some rows before the next ones? The second cache
/// then has to hold dw, too. A dy from memory is slower in such short pieces.
bool PanelGradientNest::sharesRows() const {
  const auto &[down, across] = conv.window;
  constexpr int64_t cacheFloats = 512 * 1024 / sizeof(float);
  int64_t imageRows =
      (tiling.rows - 1) * down.stride + (down.taps - 1) * down.dilation + 1;
  int64_t ofImage = imageRows * across.pixels * conv.channels * tiling.samples;
  int64_t ofGradient = down.taps * across.taps * conv.channels * conv.filters;
  return tiling.filterParts > 1 && ofImage + ofGradient <= cacheFloats &&
         !isFromMemory();
}

int64_t PanelGradientNest::build() {
  e.setLanes(Lanes::Samples);
  x = e.memory(conv.image, /*flat=*/true);
  dy = e.memory(conv.result, /*flat=*/true);
  const auto &[down, across] = conv.window;
  // Few channels do not fill a tile alone.
  constexpr int64_t few = 8, mostTaps = 7;
  if (tiling.channels < few) {
    int64_t parts = (across.taps + mostTaps - 1) / mostTaps;
    tapsAtOnce = (across.taps + parts - 1) / parts;
  }
  int64_t widest = e.layout.widest;
  std::vector<Tile> ranked = rankTiles(
      tiling.channels * tapsAtOnce, (tiling.filters + widest - 1) / widest,
      {.steps = tiling.columns, .hasEpilogue = false}, e.layout.target);
  llvm::erase_if(ranked, [&](Tile tile) { return tile.rows % tapsAtOnce; });
  tile = chooseTile(e, op, ranked);
  panels.emplace(e, e.memory(e.kernel.getResult(1)),
                 e.memory(e.kernel.getResult(0), /*flat=*/true), tile.vectors);

  auto filterOf = [&](Value unit) {
    Value part =
        arith::DivUIOp::create(e.b, unit, e.index(tiling.channelParts));
    return e.mul(part, tiling.filters);
  };
  auto either = [&](Value isFirst, Value first, Value second) -> Value {
    return arith::SelectOp::create(e.b, isFirst, first, second);
  };
  auto isLess = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, x, y);
  };
  auto [low, high] = e.taskRange(tiling.units(), tiling.tasks);
  Value first = low, end = high;
  if (sharesRows())
    overRows([&] {
      overUnits(first, end, [&](int64_t filters, int64_t channels) {
        Value unitThen = e.add(unit, 1);
        Value isSame = isLess(unitThen, end);
        nextRow = either(isSame, firstRow, e.add(firstRow, tiling.rows));
        nextFilter = filterOf(either(isSame, unitThen, first));
        buildPart(filters, channels);
      });
    });
  else
    overUnits(first, end, [&](int64_t filters, int64_t channels) {
      overRows([&] {
        nextRow = e.add(firstRow, tiling.rows);
        nextFilter = firstFilter;
        if (!isFromMemory()) { // there, asking across units does not pay
          Value isSame = isLess(nextRow, e.index(down.windows()));
          nextRow = either(isSame, nextRow, e.index(0));
          nextFilter = either(isSame, firstFilter, filterOf(e.add(unit, 1)));
        }
        buildPart(filters, channels);
      });
    });
  return tiling.tasks;
}

int64_t sinter::lowerPanelGradient(KernelEmitter &e,
                                   Conv2dFilterGradientOp op) {
  return PanelGradientNest(e, op).build();
}
