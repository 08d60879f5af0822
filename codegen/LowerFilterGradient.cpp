//===- LowerFilterGradient.cpp - pixels and samples contracted away ------===//
//
// dw(i, j, c, f) = sum(r, q, n) x(r + i, q + j, c, n) dy(r, q, f, n): both
// operands are vectors of samples, so an accumulator is a vector of partial
// sums, one a lane.
//
//   for unit in this task's part of bands of filters x bands of channels:
//     dw = 0
//     for a few rows r0, for a few vectors of samples n0:
//       for filters F at a time, channels C at a time, tap rows i, T taps j:
//         acc[C][T][F] = 0
//         for rows r of r0 that tap i sees, samples n of n0, pixels q:
//           acc[c][t][f] += x(r + i, q + j + t, c, n) * dy(r, q, f, n)
//         dw(i, j.., c.., f..) += the sums of the lanes of acc
//
// The rows r0 of x and dy stay in the L2 cache while all tiles of the band pass
// over them; a tile that walked the whole image for itself would fetch few
// bytes of each pixel, at a stride that is often a power of two, and find them
// evicted. A visit is long enough to pay for the sums of lanes
// (FilterGradient.h).
//
// The T taps of a row of the filter share dy, and x moves along under them. The
// row's pixels are cut into runs from which the same taps hit the image, which
// is known here: no tap is multiplied by zero, or masked away.
//
// A small window on few channels has all of its taps in registers at once, for
// a few filters: dy is read once, from one end of the image to the other.
//
// Every sum is complete in one unit and in one order: no partial results.
// This is for filters with few taps in all, where it would not pay to bring the
// filters into the lanes, as LowerPanelGradient.cpp does. Depthwise filters
// have a nest of their own, too (LowerDepthwiseGradient.cpp).
//
//===----------------------------------------------------------------------===//

#include "codegen/FilterGradient.h"
#include "codegen/KernelEmitter.h"
#include "codegen/TileChoice.h"
#include "ir/SweptGradient.h"
#include "ir/Window.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
/// Taps of a row that a tile has at most.
constexpr int64_t kWidest = 5;

class FilterGradientNest {
public:
  FilterGradientNest(KernelEmitter &e, Conv2dFilterGradientOp op)
      : e(e), op(op), conv(convolutionOf(op)) {}

  int64_t build();

private:
  /// A tile of the filter, and the part of the images it visits.
  struct Visit {
    Value group, channel, filter; // the first of the tile, in its group
    int64_t channels, filters;
    Value tapRow; // the first of `tapRows`
    int64_t tapRows, firstTap, taps;
    Value firstRow, endRow, firstSample, endSample;
    // What the visit fetches for the next rows: a filter and a channel.
    Value nextFilter, nextChannel;
  };

  void chooseVisits();
  void buildBand(Value group, Value channelBand, Value filterBand);
  void clear(Value group, Value firstChannel, Value endChannel,
             Value firstFilter, Value endFilter);
  void buildVisit(const Visit &visit);
  using AlongRow = llvm::function_ref<SmallVector<Value>(
      Value row, ArrayRef<int64_t> tapRows, ValueRange)>;
  SmallVector<Value> overRows(const Visit &visit, AlongRow along,
                              ValueRange acc);
  SmallVector<Value> alongRow(const Visit &visit, Value row,
                              ArrayRef<int64_t> tapRows, Value sample,
                              Value mask, ValueRange acc);
  void prefetch(const Visit &visit, const WindowRun &run, Value firstDy,
                Value firstX, Value sample);
  SmallVector<Value> step(const Visit &visit, const WindowRun &run, Value row,
                          ArrayRef<int64_t> tapRows, Value column, Value sample,
                          Value mask, ValueRange acc);
  void addToMemory(const Visit &visit, ArrayRef<Value> acc);

  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(e.b, x, y); }
  Value least(Value x, Value y) { return arith::MinSIOp::create(e.b, x, y); }
  Value most(Value x, Value y) { return arith::MaxSIOp::create(e.b, x, y); }
  /// Loops over tiles low .. high - 1 of `size` out of `total`; the last of all
  /// may be smaller.
  void overTiles(Value low, Value high, int64_t size, int64_t total,
                 llvm::function_ref<void(Value first, int64_t count)> body);
  /// Where (tapRow, tap, channel, filter) lies in dw.
  Value placeOf(Value tapRow, Value tap, Value channel, Value filter) {
    Value at = sum(e.mul(tapRow, conv.window[1].taps), tap);
    at = sum(e.mul(at, conv.channels), channel);
    return sum(e.mul(at, conv.filters * conv.groups), filter);
  }

  KernelEmitter &e;
  Conv2dFilterGradientOp op;
  Convolution conv;
  Value x, dy, dw; // (features, lanes), (features, lanes), flat
  FilterTile tile{1, 1};
  int64_t channelTiles = 1, filterTiles = 1, channelBands = 1, filterBands = 1;
  int64_t tapsAtOnce = 1, rowsAtOnce = 1, samplesAtOnce = 1;
  int64_t fetchesOfFilters = 1;
  bool wholeWindow = false; // are all of its taps in registers?
};
} // namespace

void FilterGradientNest::overTiles(
    Value low, Value high, int64_t size, int64_t total,
    llvm::function_ref<void(Value, int64_t)> body) {
  int64_t count = (total + size - 1) / size, last = total - (count - 1) * size;
  e.loop(low, high, 1, [&](Value number) {
    Value first = e.mul(number, size);
    if (last == size || count == 1)
      return body(first, last);
    Value isFull = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, number,
                                         e.index(count - 1));
    auto branch = scf::IfOp::create(e.b, isFull, /*withElse=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    e.scope([&] { body(first, size); });
    e.b.setInsertionPointToStart(branch.elseBlock());
    e.scope([&] { body(first, last); });
  });
}

/// The next rows' pixels come to the L2 cache while these are at work: each
/// visit asks for a part of them, a vector or two a pixel.
void FilterGradientNest::prefetch(const Visit &visit, const WindowRun &run,
                                  Value firstDy, Value firstX, Value sample) {
  const auto &[down, across] = conv.window;
  if (run.turns == 1)
    return;
  const unsigned locality = wholeWindow ? 3 : 2; // the first or second cache
  auto fetch = [&](Value memory, Value feature) {
    memref::PrefetchOp::create(e.b, memory, ValueRange{feature, sample},
                               /*isWrite=*/false, locality,
                               /*isDataCache=*/true);
  };
  int64_t filters = conv.filters * conv.groups;
  if (wholeWindow) {
    for (int64_t f = 0; f < visit.filters; ++f)
      fetch(dy, e.add(firstDy, across.windows() * filters + f));
    return;
  }
  int64_t channels = conv.channels * conv.groups;
  Value dyAt = sum(e.add(firstDy, rowsAtOnce * across.windows() * filters),
                   visit.nextFilter);
  for (int64_t i = 0; i < fetchesOfFilters; ++i)
    fetch(dy, e.add(dyAt, i));
  Value xAt =
      sum(e.add(firstX, rowsAtOnce * down.stride * across.pixels * channels),
          visit.nextChannel);
  for (int64_t i = 0; i < across.stride; ++i)
    fetch(x, e.add(xAt, i * channels));
}

/// One multiply-add of every accumulator whose tap hits the image.
SmallVector<Value> FilterGradientNest::step(const Visit &visit,
                                            const WindowRun &run, Value row,
                                            ArrayRef<int64_t> tapRows,
                                            Value column, Value sample,
                                            Value mask, ValueRange acc) {
  const auto &[down, across] = conv.window;
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  auto load = [&](Value memory, Value feature) -> Value {
    if (!mask)
      return vector::LoadOp::create(e.b, vector, memory,
                                    ValueRange{feature, sample});
    return vector::MaskedLoadOp::create(e.b, vector, memory,
                                        ValueRange{feature, sample}, mask,
                                        e.vectorConstant(0));
  };

  Value window = sum(e.mul(row, across.windows()), column);
  Value firstDy = sum(e.mul(window, conv.filters * conv.groups),
                      sum(e.mul(visit.group, conv.filters), visit.filter));
  Value imageRow =
      e.add(sum(e.mul(row, down.stride), e.mul(visit.tapRow, down.dilation)),
            -down.low);
  Value rowStart =
      sum(e.mul(imageRow, across.pixels), e.mul(column, across.stride));
  Value firstX = sum(e.mul(rowStart, conv.channels * conv.groups),
                     sum(e.mul(visit.group, conv.channels), visit.channel));

  prefetch(visit, run, firstDy, firstX, sample);

  struct Pixel {
    int64_t number; // of channel and tap
    Value value;
  };
  SmallVector<Pixel> pixels;
  auto loadPixels = [&](llvm::function_ref<void(Pixel)> use) {
    for (int64_t i : tapRows)
      for (int64_t t = 0; t < visit.taps; ++t) {
        int64_t tap = visit.firstTap + t;
        if (!across.covers(run.first, tap))
          continue;
        int64_t offset = i * down.dilation * across.pixels +
                         tap * across.dilation - across.low;
        Value place = e.add(firstX, offset * conv.channels * conv.groups);
        for (int64_t c = 0; c < visit.channels; ++c)
          use({(c * visit.tapRows + i) * visit.taps + t,
               load(x, e.add(place, c))});
      }
  };
  SmallVector<Value> next(acc);
  auto multiply = [&](const Pixel &pixel, Value gradient, int64_t f) {
    Value &sum = next[pixel.number * visit.filters + f];
    sum = vector::FMAOp::create(e.b, pixel.value, gradient, sum);
  };
  // The fewer stay in registers, the others pass by.
  if (visit.channels * visit.tapRows * visit.taps < visit.filters) {
    loadPixels([&](Pixel pixel) { pixels.push_back(pixel); });
    for (int64_t f = 0; f < visit.filters && !pixels.empty(); ++f) {
      Value gradient = load(dy, e.add(firstDy, f));
      for (const Pixel &pixel : pixels)
        multiply(pixel, gradient, f);
    }
    return next;
  }
  SmallVector<Value> gradients;
  for (int64_t f = 0; f < visit.filters; ++f)
    gradients.push_back(load(dy, e.add(firstDy, f)));
  loadPixels([&](Pixel pixel) {
    for (int64_t f = 0; f < visit.filters; ++f)
      multiply(pixel, gradients[f], f);
  });
  return next;
}

/// The pixels of one row, for one vector of samples and those of the visit's
/// rows of taps that hit the image.
SmallVector<Value> FilterGradientNest::alongRow(const Visit &visit, Value row,
                                                ArrayRef<int64_t> tapRows,
                                                Value sample, Value mask,
                                                ValueRange acc) {
  SmallVector<Value> sums(acc);
  for (const WindowRun &run :
       windowRuns(conv.window[1], 1, visit.firstTap, visit.taps)) {
    auto at = [&](Value column, ValueRange before) {
      return step(visit, run, row, tapRows, column, sample, mask, before);
    };
    sums = run.turns == 1 ? at(e.index(run.first), sums)
                          : e.loop(e.index(run.first),
                                   e.index(run.first + run.turns), 1, sums, at);
  }
  return sums;
}

/// The visit's rows, for the vectors of samples that `along` goes through.
SmallVector<Value> FilterGradientNest::overRows(const Visit &visit,
                                                AlongRow along,
                                                ValueRange acc) {
  const WindowAxis &down = conv.window[0];
  if (!wholeWindow) {
    auto [top, bottom] = windowsUnder(e, down, visit.tapRow);
    return e.loop(
        most(top, visit.firstRow), least(bottom, visit.endRow), 1, acc,
        [&](Value row, ValueRange sums) { return along(row, {0}, sums); });
  }
  SmallVector<Value> sums(acc);
  for (const WindowRun &run : windowRuns(down, 1, 0, down.taps)) {
    SmallVector<int64_t> tapRows;
    for (int64_t tap = 0; tap < down.taps; ++tap)
      if (down.covers(run.first, tap))
        tapRows.push_back(tap);
    sums = e.loop(e.index(run.first), e.index(run.first + run.turns), 1, sums,
                  [&](Value row, ValueRange before) {
                    return along(row, tapRows, before);
                  });
  }
  return sums;
}

/// dw += the sums of the lanes.
void FilterGradientNest::addToMemory(const Visit &visit, ArrayRef<Value> acc) {
  Value firstFilter = sum(e.mul(visit.group, conv.filters), visit.filter);
  addLaneSums(e, acc, visit.filters, dw, [&](int64_t pixel) {
    int64_t ofChannel = visit.tapRows * visit.taps;
    Value channel = e.add(visit.channel, pixel / ofChannel);
    Value tapRow = e.add(visit.tapRow, pixel % ofChannel / visit.taps);
    Value tap = e.index(visit.firstTap + pixel % visit.taps);
    return placeOf(tapRow, tap, channel, firstFilter);
  });
}

void FilterGradientNest::buildVisit(const Visit &visit) {
  SmallVector<Value> acc(visit.channels * visit.tapRows * visit.taps *
                             visit.filters,
                         e.vectorConstant(0));
  Value live = sub(visit.endSample, visit.firstSample);
  Value rest = arith::RemUIOp::create(e.b, live, e.index(e.lanes()));
  Value whole = sub(visit.endSample, rest);
  auto wholeVectors = [&](Value row, ArrayRef<int64_t> tapRows,
                          ValueRange sums) {
    return e.loop(visit.firstSample, whole, e.lanes(), sums,
                  [&](Value sample, ValueRange inside) {
                    return alongRow(visit, row, tapRows, sample, {}, inside);
                  });
  };
  acc = overRows(visit, wholeVectors, acc);
  acc = withLastSamples(e, rest, acc, [&](Value mask) {
    auto lastVector = [&](Value row, ArrayRef<int64_t> tapRows,
                          ValueRange inside) {
      return alongRow(visit, row, tapRows, whole, mask, inside);
    };
    return overRows(visit, lastVector, acc);
  });
  addToMemory(visit, acc);
}

/// dw = 0 for one band.
void FilterGradientNest::clear(Value group, Value firstChannel,
                               Value endChannel, Value firstFilter,
                               Value endFilter) {
  Value zero =
      arith::ConstantOp::create(e.b, e.b.getF32FloatAttr(0)).getResult();
  Value first = e.mul(group, conv.filters);
  e.loops({conv.window[0].taps, conv.window[1].taps}, [&](ValueRange taps) {
    e.loop(firstChannel, endChannel, 1, [&](Value channel) {
      e.loop(firstFilter, endFilter, 1, [&](Value filter) {
        memref::StoreOp::create(
            e.b, zero, dw,
            placeOf(taps[0], taps[1], channel, sum(first, filter)));
      });
    });
  });
}

void FilterGradientNest::buildBand(Value group, Value channelBand,
                                   Value filterBand) {
  const auto &[down, across] = conv.window;
  auto bounds = [&](Value band, int64_t tiles, int64_t bands) {
    auto bound = [&](Value number) -> Value {
      return arith::DivUIOp::create(e.b, e.mul(number, tiles), e.index(bands));
    };
    return std::pair<Value, Value>(bound(band), bound(e.add(band, 1)));
  };
  auto [firstChannel, endChannel] =
      bounds(channelBand, channelTiles, channelBands);
  auto [firstFilter, endFilter] = bounds(filterBand, filterTiles, filterBands);
  auto end = [&](Value tiles, int64_t size, int64_t total) {
    return least(e.mul(tiles, size), e.index(total));
  };
  clear(group, e.mul(firstChannel, tile.channels),
        end(endChannel, tile.channels, conv.channels),
        e.mul(firstFilter, tile.filters),
        end(endFilter, tile.filters, conv.filters));

  Visit visit;
  visit.group = group;
  visit.tapRows = wholeWindow ? down.taps : 1;
  auto overTaps = [&] {
    e.loop(e.index(0), e.index(down.taps), visit.tapRows, [&](Value tapRow) {
      visit.tapRow = tapRow;
      Value number =
          arith::DivUIOp::create(e.b, visit.channel, e.index(tile.channels));
      Value turn = sum(e.mul(number, down.taps), tapRow);
      visit.nextFilter =
          e.mul(arith::RemUIOp::create(
                    e.b, turn, e.index(tile.filters / fetchesOfFilters)),
                fetchesOfFilters);
      for (int64_t tap = 0; tap < across.taps; tap += tapsAtOnce) {
        visit.firstTap = tap;
        visit.taps = std::min(tapsAtOnce, across.taps - tap);
        buildVisit(visit);
      }
    });
  };
  int64_t windows = down.windows();
  e.loop(e.index(0), e.index(windows), rowsAtOnce, [&](Value row) {
    visit.firstRow = row;
    visit.endRow = e.add(row, rowsAtOnce); // cut by windowsUnder
    e.loop(e.index(0), e.batch, samplesAtOnce, [&](Value sample) {
      visit.firstSample = sample;
      visit.endSample = least(e.add(sample, samplesAtOnce), e.batch);
      overTiles(firstFilter, endFilter, tile.filters, conv.filters,
                [&](Value filter, int64_t filters) {
                  visit.filter = filter;
                  visit.filters = filters;
                  Value turn = arith::DivUIOp::create(e.b, filter,
                                                      e.index(tile.filters));
                  visit.nextChannel =
                      arith::RemUIOp::create(e.b, turn, e.index(tile.channels));
                  overTiles(firstChannel, endChannel, tile.channels,
                            conv.channels,
                            [&](Value channel, int64_t channels) {
                              visit.channel = channel;
                              visit.channels = channels;
                              overTaps();
                            });
                });
    });
  });
}

/// How much of the images a visit goes through.
void FilterGradientNest::chooseVisits() {
  const auto &[down, across] = conv.window;
  if (wholeWindow) {
    rowsAtOnce = down.windows();
    samplesAtOnce = e.layout.padded();
    return;
  }
  // A visit should be worth its sums of lanes, but with pixels at strides that
  // are powers of two, the L2 cache holds few of them.
  constexpr int64_t worthwhile = 1600, vectorsAtOnce = 4;
  int64_t vectors = std::min(e.layout.padded() / e.lanes(), vectorsAtOnce);
  samplesAtOnce = vectors * e.lanes();
  int64_t row =
      across.windows() * vectors * tile.channels * tile.filters * tapsAtOnce;
  int64_t wanted = (worthwhile + row - 1) / row;
  // The same candidates whatever the tile.
  std::vector<KernelEmitter::Numbers> rows;
  for (int64_t candidate : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32})
    if (candidate < down.windows())
      rows.push_back({candidate});
  rows.push_back({down.windows()});
  auto preferred = llvm::find_if(
      rows, [&](ArrayRef<int64_t> some) { return some[0] >= wanted; });
  if (preferred == rows.end())
    --preferred;
  std::rotate(rows.begin(), preferred, std::next(preferred));
  rowsAtOnce = e.choose(op, "rows", rows)[0];
}

int64_t FilterGradientNest::build() {
  x = e.memory(conv.image, /*flat=*/true);
  dy = e.memory(conv.result, /*flat=*/true);
  dw = e.memory(e.kernel.getResult(0), /*flat=*/true);
  const auto &[down, across] = conv.window;
  // Wider rows in equal parts.
  int64_t parts = (across.taps + kWidest - 1) / kWidest;
  tapsAtOnce = (across.taps + parts - 1) / parts;
  constexpr int64_t enough = 8; // units for many threads
  // All taps, where that leaves registers for several filters.
  int64_t ofWindow = conv.channels * down.taps * across.taps;
  int64_t filtersAtOnce = (e.layout.target.registers - 2) / (ofWindow + 1);
  wholeWindow = conv.groups == 1 && down.taps > 1 &&
                tapsAtOnce == across.taps && filtersAtOnce > 1;
  if (wholeWindow)
    tile = {conv.channels, std::min(filtersAtOnce, conv.filters)};
  else
    tile = chooseFilterTile(
        e, op,
        rankFilterTiles(conv.channels, conv.filters, tapsAtOnce, conv.channels,
                        e.layout.target),
        [&](FilterTile tile) {
          return (conv.channels + tile.channels - 1) / tile.channels *
                 ((conv.filters + tile.filters - 1) / tile.filters);
        },
        enough);
  channelTiles = (conv.channels + tile.channels - 1) / tile.channels;
  filterTiles = (conv.filters + tile.filters - 1) / tile.filters;

  // Enough units, and with them as few bytes as possible: each band of filters
  // reads the image, each band of channels the gradient.
  double imageBytes =
      static_cast<double>(conv.channels) * down.pixels * across.pixels;
  double resultBytes =
      static_cast<double>(conv.filters) * down.windows() * across.windows();
  double fewest = 0;
  for (int64_t c = 1; c <= std::min(channelTiles, enough); ++c) {
    int64_t f = std::min((enough + c - 1) / c, filterTiles);
    bool isEnough = c * f * conv.groups >= enough || c == channelTiles;
    double bytes = f * imageBytes + c * resultBytes;
    if (c == 1 ||
        (isEnough && (bytes < fewest || channelBands * filterBands < enough))) {
      fewest = bytes;
      channelBands = c;
      filterBands = f;
    }
  }
  if (conv.groups >= enough)
    channelBands = filterBands = 1;

  chooseVisits();
  int64_t turns = channelTiles / channelBands * down.taps;
  fetchesOfFilters = 1;
  while (fetchesOfFilters * turns < tile.filters &&
         tile.filters % (2 * fetchesOfFilters) == 0)
    fetchesOfFilters *= 2;

  int64_t bands = channelBands * filterBands, units = conv.groups * bands;
  double cycles = static_cast<double>(conv.channels) * conv.filters *
                  conv.groups * down.taps * across.taps * down.windows() *
                  across.windows() * e.layout.padded() / e.lanes();
  int64_t tasks = chooseTasks(units, cycles);
  e.setLanes(Lanes::Samples);
  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value unit) {
    auto divide = [&](Value value, int64_t by) {
      return std::pair<Value, Value>(
          arith::DivUIOp::create(e.b, value, e.index(by)),
          arith::RemUIOp::create(e.b, value, e.index(by)));
    };
    auto [group, band] = divide(unit, bands);
    auto [filterBand, channelBand] = divide(band, channelBands);
    buildBand(group, channelBand, filterBand);
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerFilterGradient(KernelEmitter &e) {
  auto ops = e.kernel.getBody().front().getOps<Conv2dFilterGradientOp>();
  Conv2dFilterGradientOp op = *ops.begin();
  if (isDepthwiseGradient(e, convolutionOf(op)))
    return lowerDepthwiseGradient(e, op);
  if (isSweptGradient(op))
    return lowerSweptGradient(e, op);
  if (hasScratch(e.kernel))
    return lowerPanelGradient(e, op);
  return FilterGradientNest(e, op).build();
}
