//===- LowerConv.cpp - images times filters, and back --------------------===//
//
// A convolution as a matrix product that nobody unfolds: with samples in the
// lanes, y(r, q, f) = sum(i, j, c) w(i, j, c, f) x(r + i, q + j, c) needs x's
// vectors as they lie in memory and w's scalars as they lie in memory.
//
//   for unit in this task's part of rows x sample tiles:
//     for pixels q of the row, P at a time:
//       for filters f, R at a time:
//         acc[P][R][V] = 0
//         for taps i, j that hit the image, channels c:
//           x[P][V] = load x(r + i, q + j + p, c, n..)
//           acc[p][r][v] += broadcast w(i, j, c, f + r) * x[p][v]
//         epilogue on acc at (r, q + p, f + r): bias, activation, row sums, ...
//         store what is wanted
//
// All filters of a pixel are made before the next one, so that the result is
// written from front to back. Where there are few rows, units have a part of
// the filters each.
//
// Taps outside of the image are skipped, not multiplied by zero. Vertically all
// pixels of a row skip the same taps; horizontally the row has a border, pixel
// by pixel with its own bounds, and an inside where all taps hit.
//
// Of a large filter (ir/PackedFilter.h) a unit is a few tiles of R filters and
// a block of rows x sample tiles: the tiles' weights are copied first, step by
// step of the sum, and all pixels of the block are computed with the copies.
//
// The transpose (the gradient of the image) has the same form with taps
// reversed and filters summed: y(h, w, c) = sum(i, j, f) w(i, j, c, f) x((h -
// i) / s, (w - j) / s, f) over the taps that divide. Where a stride is larger
// than the window, rows or columns without any product are all epilogue.
//
// One channel to a group, or very few filters, leave R small; then P pixels
// share each broadcast. Pixels of a tile see the same taps: of a transpose they
// are a stride apart.
//
// Where a small batch fills a part of a vector only, sums are of two or four
// pixels side by side, gathered when they are loaded. There tiles cover the
// border, too: which pixels a tap hits is known here, and the others' lanes are
// masked, as are those behind the end of a row. The epilogue's vectors are of
// channels side by side, as they lie in memory.
//
//===----------------------------------------------------------------------===//

#include "codegen/EpilogueMemory.h"
#include "codegen/FilterGradient.h"
#include "codegen/KernelEmitter.h"
#include "codegen/SideBySide.h"
#include "codegen/TileChoice.h"
#include "ir/PackedFilter.h"
#include "ir/Window.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

using namespace mlir;
using namespace sinter;

namespace {
/// Pixels of a row of the result, the first in `column`.
struct PixelTile {
  Value column;
  int64_t count;
  enum { OneOfBorder, AllTapsHit, Known } kind;
  int64_t number = 0; // Known: which column that is
};

/// The taps of one axis that hit the image from a pixel of the result.
struct Taps {
  Value low, high;
  int64_t step = 1;
  /// Set where a tap within the bounds may still miss, see `pixel`.
  bool guarded = false;
};

class ConvNest {
public:
  explicit ConvNest(KernelEmitter &e);
  int64_t build();

private:
  // ---- Geometry of one axis
  Taps tapsAt(const WindowAxis &axis, Value at);
  Value pixel(const WindowAxis &axis, Value at, Value tap);
  /// Pixels of the result from which all taps hit; of a transpose, all those
  /// that divide.
  std::pair<int64_t, int64_t> inside(const WindowAxis &axis) const;
  /// From one pixel of a tile to the next.
  int64_t apart() const { return transposed ? conv.window[1].stride : 1; }
  int64_t pixels(const WindowAxis &axis) const {
    return transposed ? axis.pixels : axis.windows();
  }
  bool exists(int64_t column) const {
    return column >= 0 && column < pixels(conv.window[1]);
  }
  /// The pixel of the source that a tap hits, known here.
  std::optional<int64_t> hit(const WindowAxis &axis, int64_t at,
                             int64_t tap) const;
  /// The pixels of a row that are a multiple of apart() behind `first`: how
  /// many, and those from which all taps hit.
  struct Run {
    int64_t count, low, high;
  };
  Run runFrom(int64_t first) const;
  int64_t ahead(const Run &run) const;
  int64_t pixelsTogether(int64_t vectors) const;

  // ---- Loops
  void buildRow(Value lowTile, Value highTile);
  void buildPixelsOfRow();
  void buildWholeRow();
  void finishPixels(Value first, int64_t step);
  bool isHit(const WindowAxis &axis, int64_t start) const;
  void buildPixels(const PixelTile &pixels);
  void buildTile(const PixelTile &pixels, const Taps &taps);
  std::pair<Value, Value> groupAndTile(Value number);
  SmallVector<Value>
  overRows(ValueRange acc,
           llvm::function_ref<SmallVector<Value>(Value tap, Value sourceRow,
                                                 ValueRange)>
               body);
  SmallVector<Value> guardedLoop(
      const Taps &taps, const WindowAxis &axis, Value at, ValueRange acc,
      llvm::function_ref<SmallVector<Value>(Value tap, Value pixel, ValueRange)>
          body);
  SmallVector<Value> overInner(ArrayRef<Value> sources, Value weights,
                               ValueRange acc);
  SmallVector<Value> step(ArrayRef<Value> sources, ArrayRef<Value> weights,
                          ValueRange acc);
  void fillEnds(MutableArrayRef<Value> sources, int64_t first);
  Value maskOf(ArrayRef<Value> sources);
  void prefetch(Value first);
  int64_t fromStepToStep() const;
  void copyTiles(Value low, Value high);
  /// The first filter of a tile's copy, and where that begins.
  Value firstCopied(Value tile) {
    return arith::MinUIOp::create(e.b, e.mul(tile, tileRows),
                                  e.index(conv.filters - PackedFilter::width));
  }
  Value copyOf(Value tile) {
    return e.mul(sub(tile, firstTile), packed->tileFloats());
  }
  void buildPacked();
  /// Where part `number` of so many `parts` of `count` begins and ends.
  std::pair<Value, Value> boundsOf(Value number, int64_t count, int64_t parts) {
    auto bound = [&](Value at) -> Value {
      return arith::DivUIOp::create(e.b, e.mul(at, count), e.index(parts));
    };
    return {bound(number), bound(e.add(number, 1))};
  }
  void atPlace(Value place, llvm::function_ref<void()> body);
  void fetchResults(Value column);
  void fetchEpilogue(Value column, int64_t count);
  int64_t mostRows() const;
  /// Channels of the result.
  int64_t rowsOfGroup() const {
    return transposed ? conv.channels : conv.filters;
  }
  /// The channel that `ofGroup` is.
  Value featureOf(Value ofGroup) {
    return conv.groups == 1 ? ofGroup
                            : sum(e.mul(group, rowsOfGroup()), ofGroup);
  }
  Value sub(Value x, Value y) { return arith::SubIOp::create(e.b, x, y); }
  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }

  KernelEmitter &e;
  Operation *op = nullptr;
  Convolution conv;
  bool transposed = false;
  Value source, filter; // (features, lanes) and flat
  std::optional<PackedFilter> packed;
  Value copied;      // (tasks, floats): weights of some tiles
  int64_t inner = 0; // channels summed, of a group
  int64_t tileRows = 1, tilePixels = 1, tileVectors = 1;
  int64_t together = 1;         // pixels in a vector of sums
  int64_t channelsTogether = 1; // in a vector behind them
  int64_t tilesOfGroup = 1, lastRows = 1, sampleTiles = 1;
  // The current unit, and tile of filters in it.
  Value row, sample, lowTile, highTile;
  Taps rowTaps;
  Value group, firstRow;
  Value firstTile; // that is copied
  Value inCopy;    // where the current tile's weights are
  int64_t rows = 0;
};
} // namespace

ConvNest::ConvNest(KernelEmitter &e) : e(e) {
  Value from, weights;
  for (Operation &inside : e.kernel.getBody().front()) {
    if (auto forward = dyn_cast<Conv2dOp>(inside)) {
      conv = convolutionOf(forward);
      op = forward;
      from = conv.image;
    } else if (auto back = dyn_cast<Conv2dTransposeOp>(inside)) {
      conv = convolutionOf(back);
      op = back;
      from = conv.result;
      transposed = true;
    }
  }
  source = e.memory(from, /*flat=*/true);
  filter = e.weights(conv.filter);
  inner = transposed ? conv.filters : conv.channels;
}

//===----------------------------------------------------------------------===//
// Geometry
//===----------------------------------------------------------------------===//

Taps ConvNest::tapsAt(const WindowAxis &axis, Value at) {
  auto number = [&](int64_t n) { return e.index(n); };
  auto least = [&](Value x, Value y) -> Value {
    return arith::MinSIOp::create(e.b, x, y);
  };
  auto notNegative = [&](Value x) -> Value {
    return arith::MaxSIOp::create(e.b, x, number(0));
  };
  auto ceilDivide = [&](Value x, int64_t y) -> Value {
    return y == 1 ? x
                  : arith::DivUIOp::create(e.b, e.add(x, y - 1), number(y))
                        .getResult();
  };
  auto [from, to] = inside(axis);
  if (from == 0 && to == pixels(axis) && (!transposed || axis.stride == 1))
    return {number(0), number(axis.taps)};

  if (!transposed) {
    // 0 <= at stride + i dilation - low < pixels
    Value before = sub(number(axis.low), e.mul(at, axis.stride));
    Value room = e.add(before, axis.pixels);
    return {
        ceilDivide(notNegative(before), axis.dilation),
        least(number(axis.taps), ceilDivide(notNegative(room), axis.dilation))};
  }
  // r = (m - i dilation) / stride in 0 .. windows-1
  Value m = e.add(at, axis.low);
  Value most = arith::DivUIOp::create(e.b, m, number(axis.dilation));
  Value high = least(number(axis.taps), e.add(most, 1));
  Value past = notNegative(e.add(m, -axis.stride * (axis.windows() - 1)));
  Value low = ceilDivide(past, axis.dilation);
  if (axis.stride == 1)
    return {low, high};
  if (axis.dilation == 1) {
    Value ahead = arith::RemUIOp::create(e.b, sub(m, low), number(axis.stride));
    // Where no tap is left m - low may be negative; the loop is empty anyway.
    return {sum(low, ahead), high, axis.stride};
  }
  return {low, high, 1, /*guarded=*/true};
}

Value ConvNest::pixel(const WindowAxis &axis, Value at, Value tap) {
  Value reach = e.mul(tap, axis.dilation);
  if (!transposed)
    return e.add(sum(e.mul(at, axis.stride), reach), -axis.low);
  Value m = sub(e.add(at, axis.low), reach);
  return axis.stride == 1
             ? m
             : arith::DivUIOp::create(e.b, m, e.index(axis.stride)).getResult();
}

std::pair<int64_t, int64_t> ConvNest::inside(const WindowAxis &axis) const {
  int64_t from, to;
  if (!transposed) {
    from = (axis.low + axis.stride - 1) / axis.stride;
    int64_t room = axis.pixels - 1 + axis.low - (axis.reach() - 1);
    to = room < 0 ? 0 : room / axis.stride + 1;
  } else if (axis.stride == 1 || axis.dilation == 1) {
    from = std::max<int64_t>(axis.reach() - 1 - axis.low, 0);
    to = axis.windows() * axis.stride - axis.low;
  } else {
    return {0, 0};
  }
  to = std::clamp<int64_t>(to, 0, pixels(axis));
  return {std::min(from, to), to};
}

std::optional<int64_t> ConvNest::hit(const WindowAxis &axis, int64_t at,
                                     int64_t tap) const {
  int64_t reach = tap * axis.dilation - axis.low;
  int64_t from = transposed ? at - reach : at * axis.stride + reach;
  int64_t step = transposed ? axis.stride : 1;
  int64_t end = transposed ? axis.windows() : axis.pixels;
  if (!exists(at) || from < 0 || from % step || from / step >= end)
    return {};
  return from / step;
}

ConvNest::Run ConvNest::runFrom(int64_t first) const {
  const WindowAxis &across = conv.window[1];
  auto [from, to] = inside(across);
  auto before = [&](int64_t end) {
    return std::max<int64_t>((end - first + apart() - 1) / apart(), 0);
  };
  return {before(pixels(across)), before(from), before(to)};
}

/// How many lanes of the first vector of `run` are before its first pixel: as
/// many as make the border begin or end with a vector, if that costs none.
int64_t ConvNest::ahead(const Run &run) const {
  auto vectors = [&](int64_t ahead) {
    return (run.count + ahead + together - 1) / together;
  };
  int64_t result = (together - run.low % together) % together;
  return vectors(result) == vectors(0) ? result : 0;
}

/// As many as fill a vector, unless there are as few, or the border is long.
int64_t ConvNest::pixelsTogether(int64_t vectors) const {
  constexpr int64_t longest = 16;
  int64_t result = 1;
  Run run = runFrom(0);
  if (vectors > 1 || run.low >= run.high ||
      run.count - (run.high - run.low) > longest)
    return result;
  while (2 * result * e.lanes() <= e.layout.widest && 2 * result <= run.count)
    result *= 2;
  return result;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// Loops over taps; misses leave the accumulators alone.
SmallVector<Value> ConvNest::guardedLoop(
    const Taps &taps, const WindowAxis &axis, Value at, ValueRange acc,
    llvm::function_ref<SmallVector<Value>(Value, Value, ValueRange)> body) {
  return e.loop(
      taps.low, taps.high, taps.step, acc,
      [&](Value tap, ValueRange inner) -> SmallVector<Value> {
        if (!taps.guarded)
          return body(tap, pixel(axis, at, tap), inner);
        Value m = sub(e.add(at, axis.low), e.mul(tap, axis.dilation));
        Value stride = e.index(axis.stride);
        Value rest = arith::RemUIOp::create(e.b, m, stride);
        Value divides = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq,
                                              rest, e.index(0));
        auto branch = scf::IfOp::create(e.b, inner.getTypes(), divides, true);
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPointToStart(branch.thenBlock());
        e.scope([&] {
          scf::YieldOp::create(e.b, body(tap, pixel(axis, at, tap), inner));
        });
        e.b.setInsertionPointToStart(branch.elseBlock());
        scf::YieldOp::create(e.b, inner);
        return SmallVector<Value>(branch.getResults());
      });
}

/// One multiply-add of every accumulator: `sources`, an index for each pixel,
/// null for one without a product, `weights`, one for each row.
SmallVector<Value> ConvNest::step(ArrayRef<Value> sources,
                                  ArrayRef<Value> weights, ValueRange acc) {
  auto sums = cast<VectorType>(acc.front().getType());
  auto ofPixel = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  int64_t held = sums.getNumElements() / ofPixel.getNumElements();
  SmallVector<Value> xs, masks;
  for (; !sources.empty(); sources = sources.drop_front(held)) {
    ArrayRef<Value> ofVector = sources.take_front(held);
    bool isPart = llvm::is_contained(ofVector, Value());
    masks.push_back(isPart ? maskOf(ofVector) : Value());
    for (int64_t v = 0; v < tileVectors; ++v) {
      SmallVector<Value> pixels;
      for (Value at : ofVector)
        pixels.push_back(at ? vector::LoadOp::create(
                                  e.b, ofPixel, source,
                                  ValueRange{at, e.add(sample, v * e.lanes())})
                                  .getResult()
                            : e.vectorConstant(0));
      xs.push_back(sideBySide(e, pixels));
    }
  }
  SmallVector<Value> next(acc);
  for (auto [r, at] : llvm::enumerate(weights)) {
    Value scalar =
        packed ? memref::LoadOp::create(e.b, copied, ValueRange{e.task, at})
               : memref::LoadOp::create(e.b, filter, at);
    Value spread = vector::BroadcastOp::create(e.b, sums, scalar);
    for (auto [p, mask] : llvm::enumerate(masks))
      for (int64_t v = 0; v < tileVectors; ++v) {
        Value &sum = next[(p * weights.size() + r) * tileVectors + v];
        Value more =
            vector::FMAOp::create(e.b, spread, xs[p * tileVectors + v], sum);
        // What is not there adds nothing, not even 0 times infinity.
        sum = mask ? arith::SelectOp::create(e.b, mask, more, sum).getResult()
                   : more;
      }
  }
  return next;
}

/// Nobody looks at pixels that are not there: they do as others in their vector
/// do, so that no lane has to be masked for them.
void ConvNest::fillEnds(MutableArrayRef<Value> sources, int64_t first) {
  for (auto [p, source] : llvm::enumerate(sources)) {
    if (exists(first + static_cast<int64_t>(p) * apart()))
      continue;
    for (Value other : sources.slice(p / together * together, together))
      source = source ? source : other;
  }
}

/// The lanes of pixels that are there.
Value ConvNest::maskOf(ArrayRef<Value> sources) {
  SmallVector<bool> lanes;
  for (Value at : sources)
    lanes.append(e.lanes(), static_cast<bool>(at));
  auto type =
      VectorType::get({static_cast<int64_t>(lanes.size())}, e.b.getI1Type());
  return arith::ConstantOp::create(e.b, DenseElementsAttr::get(type, lanes));
}

/// Weights some channels behind those from `first` on, where the processor does
/// not guess that they come next: it does not look beyond a page.
void ConvNest::prefetch(Value first) {
  constexpr int64_t farApart = 1024 / 4, distance = 12, line = 64 / 4;
  int64_t filters = conv.filters * conv.groups;
  if (transposed || packed || filters < farApart)
    return;
  Value next = e.add(first, distance * filters);
  for (int64_t r = 0; r < rows; r += line)
    memref::PrefetchOp::create(e.b, filter, e.add(next, r), /*isWrite=*/false,
                               /*localityHint=*/3, /*isDataCache=*/true);
}

/// From the weights of one step of a sum to those of the next.
int64_t ConvNest::fromStepToStep() const {
  return packed ? PackedFilter::width : conv.filters * conv.groups;
}

/// The lines that will be written some tiles from now: where a sum is short and
/// the result large, a core makes lines faster than its stores, one after the
/// other, get them from a cache further away. Past the end this is harmless.
void ConvNest::fetchResults(Value column) {
  constexpr int64_t shortSum = 32, large = 1 << 20, cycles = 1500, line = 16;
  int64_t steps = conv.window[0].taps * conv.window[1].taps * inner;
  if (steps > shortSum || tilePixels > 1)
    return;
  int64_t ofTile = tileRows * tileVectors * steps;
  int64_t ahead = (cycles + ofTile - 1) / ofTile * tileRows;
  RankedTensorType made = tensorTypeOf(op->getResult(0));
  for (Value result : e.kernel.getResults()) {
    RankedTensorType type = tensorTypeOf(result);
    if (type != made || storedBytes(type, e.layout.batchBound) < large ||
        e.isStreamed(type))
      continue;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < tileVectors * e.lanes(); i += line)
        memref::PrefetchOp::create(
            e.b, e.memory(result),
            ValueRange{row, column, e.add(featureOf(firstRow), r + ahead),
                       e.add(sample, i)},
            /*isWrite=*/true, /*localityHint=*/3, /*isDataCache=*/true);
  }
}

/// What the epilogue will read while products are summed, where these are few:
/// a tile has a line or two of each of its pixels, which are pages apart.
void ConvNest::fetchEpilogue(Value column, int64_t count) {
  constexpr int64_t fewProducts = 512, line = 64 / 4;
  int64_t steps = conv.window[0].taps * conv.window[1].taps * inner;
  if (together == 1 || steps > fewProducts)
    return;
  int64_t ofLine = std::max<int64_t>(line / e.layout.padded(), 1);
  for (Value memory : epilogueMemory(e, op->getResult(0)))
    for (int64_t p = 0; p < count; ++p)
      for (int64_t r = 0; r < rows; r += ofLine)
        memref::PrefetchOp::create(
            e.b, memory,
            ValueRange{row, e.add(column, p * apart()),
                       e.add(featureOf(firstRow), r), sample},
            /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
}

/// A transpose reads its rows of weights side by side. So many of them stay in
/// the L1 cache, where rows a power of two apart share sets.
int64_t ConvNest::mostRows() const {
  if (!transposed)
    return std::numeric_limits<int64_t>::max();
  constexpr int64_t setsBytes = 4096, ways = 6; // two are the image's
  int64_t step = conv.filters * conv.groups * 4;
  return setsBytes / std::gcd(step, setsBytes) * ways;
}

/// Over the channels of a tap. `sources` point to the first channel of the
/// group, `weights` to the tap's first row and channel.
SmallVector<Value> ConvNest::overInner(ArrayRef<Value> sources, Value weights,
                                       ValueRange acc) {
  int64_t filters = fromStepToStep();
  auto body = [&](Value k, ValueRange inside) {
    SmallVector<Value> from, scalars;
    for (Value at : sources)
      from.push_back(at ? sum(at, k) : Value());
    Value first = sum(weights, transposed ? k : e.mul(k, filters));
    for (int64_t r = 0; r < rows; ++r)
      scalars.push_back(e.add(first, transposed ? r * filters : r));
    prefetch(first);
    return step(from, scalars, inside);
  };
  if (inner > 4)
    return e.loop(e.index(0), e.index(inner), 1, acc, body);
  SmallVector<Value> next(acc);
  for (int64_t k = 0; k < inner; ++k)
    next = body(e.index(k), next);
  return next;
}

/// Over the rows of the source that a row of the result sees.
SmallVector<Value> ConvNest::overRows(
    ValueRange acc,
    llvm::function_ref<SmallVector<Value>(Value, Value, ValueRange)> body) {
  return guardedLoop(rowTaps, conv.window[0], row, acc, body);
}

/// Some pixels of the result's row, for one tile of filters.
void ConvNest::buildTile(const PixelTile &tile, const Taps &taps) {
  auto [column, count, kind, number] = tile;
  const WindowAxis &across = conv.window[1];
  int64_t width = transposed ? across.windows() : across.pixels;
  int64_t channels = inner * conv.groups;
  int64_t filters = fromStepToStep();
  Value groupStart = e.mul(group, inner);
  // Where a tap's weights for this tile begin.
  Value rowsStart = transposed ? sum(e.mul(firstRow, filters), groupStart)
                               : sum(e.mul(group, conv.filters), firstRow);
  if (packed)
    rowsStart = inCopy;
  auto weightsOf = [&](Value i, Value j) {
    Value tap = sum(e.mul(i, across.taps), j);
    return sum(e.mul(tap, conv.channels * filters), rowsStart);
  };
  auto sourceOf = [&](Value sourceRow, Value sourceColumn) {
    Value at = sum(e.mul(sourceRow, width), sourceColumn);
    return sum(e.mul(at, channels), groupStart);
  };

  fetchResults(column);
  fetchEpilogue(column, count);
  int64_t held = kind == PixelTile::OneOfBorder ? 1 : together;
  auto sums = VectorType::get({held * e.lanes()}, e.b.getF32Type());
  Value none = arith::ConstantOp::create(e.b, e.b.getZeroAttr(sums));
  SmallVector<Value> acc(count / held * rows * tileVectors, none);
  if (kind == PixelTile::Known) {
    acc = overRows(acc, [&](Value i, Value sourceRow, ValueRange inside) {
      SmallVector<Value> next(inside);
      for (int64_t j = 0; j < across.taps; ++j) {
        SmallVector<Value> sources(count);
        for (int64_t p = 0; p < count; ++p)
          if (auto from = hit(across, number + p * apart(), j))
            sources[p] = sourceOf(sourceRow, e.index(*from));
        fillEnds(sources, number);
        if (llvm::any_of(sources, [](Value at) { return bool(at); }))
          next = overInner(sources, weightsOf(i, e.index(j)), next);
      }
      return next;
    });
  } else if (kind == PixelTile::AllTapsHit) {
    acc = overRows(acc, [&](Value i, Value sourceRow, ValueRange inside) {
      auto overTap = [&](Value j, ValueRange before) {
        Value first = pixel(across, column, j);
        SmallVector<Value> sources;
        for (int64_t p = 0; p < count; ++p)
          sources.push_back(sourceOf(
              sourceRow, e.add(first, transposed ? p : p * across.stride)));
        return overInner(sources, weightsOf(i, j), before);
      };
      if (apart() > 1)
        return e.loop(taps.low, taps.high, taps.step, inside, overTap);
      SmallVector<Value> next(inside);
      for (int64_t j = 0; j < across.taps; ++j)
        next = overTap(e.index(j), next);
      return next;
    });
  } else {
    bool contiguous = !transposed && across.dilation == 1 && conv.groups == 1;
    acc = overRows(acc, [&](Value i, Value sourceRow, ValueRange inside) {
      if (contiguous) {
        // Taps and channels are one run in the image and in the filter.
        Value firstPixel = e.add(e.mul(column, across.stride), -across.low);
        Value from = sourceOf(sourceRow, firstPixel);
        Value weights = weightsOf(i, e.index(0));
        return e.loop(e.mul(taps.low, inner), e.mul(taps.high, inner), 1,
                      inside, [&](Value t, ValueRange before) {
                        SmallVector<Value> scalars;
                        Value first = sum(weights, e.mul(t, filters));
                        for (int64_t r = 0; r < rows; ++r)
                          scalars.push_back(e.add(first, r));
                        prefetch(first);
                        return step({sum(from, t)}, scalars, before);
                      });
      }
      return guardedLoop(taps, across, column, inside,
                         [&](Value j, Value sourceColumn, ValueRange before) {
                           return overInner({sourceOf(sourceRow, sourceColumn)},
                                            weightsOf(i, j), before);
                         });
    });
  }

  Value firstFeature = featureOf(firstRow);
  for (int64_t p = 0; p < count; ++p) {
    if (kind == PixelTile::Known && !exists(number + p * apart()))
      continue;
    Value pixelColumn = e.add(column, p * apart());
    for (int64_t v = 0; v < tileVectors; ++v) {
      e.setSample(e.add(sample, v * e.lanes()));
      for (int64_t r = 0; r < rows; r += channelsTogether)
        e.point([&] {
          SmallVector<Value> made;
          for (int64_t c = r; c < r + channelsTogether; ++c)
            made.push_back(partOf(e,
                                  acc[(p / held * rows + c) * tileVectors + v],
                                  p % held, held));
          e.seed(op->getResult(0), sideBySide(e, made));
          Indices at = {row, pixelColumn, e.add(firstFeature, r)};
          e.setChannels(at.back(), channelsTogether);
          e.storeAll(at, [](RankedTensorType) { return true; });
          e.addRowSums(at);
        });
    }
  }
  e.setChannels(e.index(0), 1);
}

/// A tile's group, and its number in it.
std::pair<Value, Value> ConvNest::groupAndTile(Value number) {
  if (conv.groups == 1)
    return {e.index(0), number};
  Value tiles = e.index(tilesOfGroup);
  return {arith::DivUIOp::create(e.b, number, tiles),
          arith::RemUIOp::create(e.b, number, tiles)};
}

/// The same pixels, for all filters of the unit.
void ConvNest::buildPixels(const PixelTile &pixels) {
  const WindowAxis &across = conv.window[1];
  Taps taps;
  if (pixels.kind == PixelTile::OneOfBorder)
    taps = tapsAt(across, pixels.column);
  else if (pixels.kind == PixelTile::AllTapsHit && apart() > 1)
    taps = {arith::RemUIOp::create(e.b, e.add(pixels.column, across.low),
                                   e.index(across.stride)),
            e.index(across.taps), across.stride};
  e.loop(lowTile, highTile, 1, [&](Value number) {
    auto [theGroup, tile] = groupAndTile(number);
    group = theGroup;
    firstRow = e.mul(tile, tileRows);
    if (packed)
      inCopy = sum(copyOf(tile), sub(firstRow, firstCopied(tile)));
    auto build = [&](int64_t size) {
      rows = size;
      e.scope([&] { buildTile(pixels, taps); });
    };
    if (lastRows == tileRows)
      return build(tileRows);
    Value isFull = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, tile,
                                         e.index(tilesOfGroup - 1));
    auto branch = scf::IfOp::create(e.b, isFull, /*withElse=*/true);
    OpBuilder::InsertionGuard insertion(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    build(tileRows);
    e.b.setInsertionPointToStart(branch.elseBlock());
    build(lastRows);
  });
}

/// Does a tap hit any pixel that is a multiple of the stride behind `start`? Of
/// a transpose, whose window may be smaller than its stride.
bool ConvNest::isHit(const WindowAxis &axis, int64_t start) const {
  for (int64_t tap = 0; tap < axis.taps; ++tap)
    if ((start + axis.low - tap * axis.dilation) % axis.stride == 0)
      return true;
  return !transposed;
}

/// The row's pixels from `first` on, of which no tap hits one, for the unit's
/// filters: from one end of memory to the other.
void ConvNest::finishPixels(Value first, int64_t step) {
  auto sums = VectorType::get({channelsTogether * e.lanes()}, e.b.getF32Type());
  Value none = arith::ConstantOp::create(e.b, e.b.getZeroAttr(sums));
  auto startOf = [&](Value number) {
    auto [theGroup, tile] = groupAndTile(number);
    Value ofGroup = arith::MinUIOp::create(e.b, e.mul(tile, tileRows),
                                           e.index(rowsOfGroup()));
    return sum(e.mul(theGroup, rowsOfGroup()), ofGroup);
  };
  Value begin = startOf(lowTile), end = startOf(highTile);
  e.loop(first, e.index(pixels(conv.window[1])), step, [&](Value column) {
    e.loop(begin, end, channelsTogether, [&](Value feature) {
      Indices at = {row, column, feature};
      e.setChannels(feature, channelsTogether);
      for (int64_t v = 0; v < tileVectors; ++v) {
        e.setSample(e.add(sample, v * e.lanes()));
        e.point([&] {
          e.seed(op->getResult(0), none);
          e.storeAll(at, [](RankedTensorType) { return true; });
          e.addRowSums(at);
        });
      }
    });
  });
  e.setChannels(e.index(0), 1);
}

/// All pixels of a row in tiles that begin at multiples of their size: those
/// that see all taps in a loop, the others one by one.
void ConvNest::buildWholeRow() {
  int64_t step = tilePixels * apart();
  for (int64_t start = 0; start < apart(); ++start) {
    if (!isHit(conv.window[1], start)) {
      finishPixels(e.index(start), apart());
      continue;
    }
    Run run = runFrom(start);
    int64_t before = ahead(run), count = run.count + before;
    int64_t tiles = (count + tilePixels - 1) / tilePixels;
    int64_t low = (run.low + before + tilePixels - 1) / tilePixels;
    int64_t high = std::max(low, (run.high + before) / tilePixels);
    int64_t first = start - before * apart();
    auto known = [&](int64_t tile) {
      int64_t column = first + tile * step;
      int64_t left = llvm::alignTo(count - tile * tilePixels, together);
      e.scope([&] {
        buildPixels({e.index(column), std::min(tilePixels, left),
                     PixelTile::Known, column});
      });
    };
    for (int64_t tile = 0; tile < std::min(low, tiles); ++tile)
      known(tile);
    if (low < high)
      e.loop(e.index(first + low * step), e.index(first + high * step), step,
             [&](Value q) {
               buildPixels({q, tilePixels, PixelTile::AllTapsHit});
             });
    for (int64_t tile = high; tile < tiles; ++tile)
      known(tile);
  }
}

/// The pixels of one row, for some tiles of filters.
void ConvNest::buildRow(Value low, Value high) {
  lowTile = low;
  highTile = high;
  rowTaps = tapsAt(conv.window[0], row);

  if (e.hasRowSums()) {
    auto firstFeature = [&](Value number) -> Value {
      auto [theGroup, tile] = groupAndTile(number);
      group = theGroup;
      return featureOf(e.mul(tile, tileRows));
    };
    Value end = firstFeature(high);
    int64_t features =
        (transposed ? conv.channels : conv.filters) * conv.groups;
    end = arith::MinUIOp::create(e.b, end, e.index(features));
    e.loop(firstFeature(low), end, 1, [&](Value feature) {
      for (int64_t v = 0; v < tileVectors; ++v) {
        e.setSample(e.add(sample, v * e.lanes()));
        e.clearRowSums(row, feature);
      }
    });
  }

  const WindowAxis &down = conv.window[0];
  auto isMissed = [&](int64_t start) { return !isHit(down, start); };
  if (conv.groups == 1 && !rowTaps.guarded &&
      llvm::any_of(llvm::seq(down.stride), isMissed)) {
    Value hits = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                       rowTaps.low, rowTaps.high);
    auto branch = scf::IfOp::create(e.b, hits, /*withElse=*/true);
    OpBuilder::InsertionGuard insertion(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    e.scope([&] { buildPixelsOfRow(); });
    e.b.setInsertionPointToStart(branch.elseBlock());
    return e.scope([&] { finishPixels(e.index(0), 1); });
  }
  buildPixelsOfRow();
}

void ConvNest::buildPixelsOfRow() {
  if (together > 1)
    return buildWholeRow();
  const WindowAxis &across = conv.window[1];
  int64_t width = pixels(across);
  auto [from, to] = inside(across);
  // With many channels a tap is long, and its bounds cost nothing.
  constexpr int64_t shortRun = 32;
  bool isShort = apart() == 1 && across.taps * inner <= shortRun;
  if (to <= from || (tilePixels == 1 && !isShort))
    from = to = width;
  auto border = [&](int64_t low, int64_t high) {
    if (low < high)
      e.loop(e.index(low), e.index(high), 1, [&](Value q) {
        buildPixels({q, 1, PixelTile::OneOfBorder});
      });
  };
  border(0, from);
  int64_t step = tilePixels * apart();
  int64_t whole = from + (to - from) / step * step;
  if (from < whole)
    e.loop(e.index(from), e.index(whole), step, [&](Value q) {
      if (apart() == 1)
        return buildPixels({q, tilePixels, PixelTile::AllTapsHit});
      e.loop(e.index(0), e.index(apart()), 1, [&](Value next) {
        buildPixels({sum(q, next), tilePixels, PixelTile::AllTapsHit});
      });
    });
  int64_t rest = apart() == 1 ? to - whole : 0;
  if (rest)
    e.scope([&] {
      buildPixels({e.index(whole), rest, PixelTile::AllTapsHit});
    });
  border(whole + rest, width);
}

/// The weights of some tiles, and of the filters behind each that fill its
/// line: at the filter's end, of those before it.
void ConvNest::copyTiles(Value low, Value high) {
  constexpr int64_t width = PackedFilter::width, distance = 24;
  auto vector = VectorType::get({e.layout.widest}, e.b.getF32Type());
  e.loop(low, high, 1, [&](Value tile) {
    Value filters = firstCopied(tile);
    Value to = copyOf(tile);
    e.loop(e.index(0), e.index(packed->steps), 1, [&](Value step) {
      Value from = sum(e.mul(step, conv.filters), filters);
      // It may be in two lines.
      for (int64_t end : {int64_t(0), width - 1})
        memref::PrefetchOp::create(e.b, filter,
                                   e.add(from, distance * conv.filters + end),
                                   /*isWrite=*/false, /*localityHint=*/3,
                                   /*isDataCache=*/true);
      for (int64_t i = 0; i < width; i += e.layout.widest) {
        Value weights =
            vector::LoadOp::create(e.b, vector, filter, e.add(from, i));
        vector::StoreOp::create(
            e.b, weights, copied,
            ValueRange{e.task, sum(to, e.add(e.mul(step, width), i))});
      }
    });
  });
}

/// A row of one tile of samples, if there are any.
void ConvNest::atPlace(Value place, llvm::function_ref<void()> body) {
  Value tiles = e.index(sampleTiles);
  row = arith::DivUIOp::create(e.b, place, tiles);
  sample =
      e.mul(arith::RemUIOp::create(e.b, place, tiles), tileVectors * e.lanes());
  Value hasSamples =
      arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, sample, e.batch);
  auto guard = scf::IfOp::create(e.b, hasSamples, /*withElse=*/false);
  OpBuilder::InsertionGuard insertion(e.b);
  e.b.setInsertionPointToStart(guard.thenBlock());
  body();
}

/// Units are a few tiles of filters for blocks of rows x sample tiles.
void ConvNest::buildPacked() {
  copied = e.memory(e.kernel.getResults().back());
  int64_t places = conv.window[0].windows() * sampleTiles;
  int64_t groups = (tilesOfGroup + packed->tiles - 1) / packed->tiles;
  auto [low, high] = e.taskRange(packed->blocks * groups, packed->tasks);
  e.loop(low, high, 1, [&](Value unit) {
    Value block = arith::DivUIOp::create(e.b, unit, e.index(groups));
    Value number = arith::RemUIOp::create(e.b, unit, e.index(groups));
    auto [tilesFrom, tilesTo] = boundsOf(number, tilesOfGroup, groups);
    auto [from, to] = boundsOf(block, places, packed->blocks);
    firstTile = tilesFrom;
    Value endTile = tilesTo;
    copyTiles(firstTile, endTile);
    e.loop(from, to, 1, [&](Value place) {
      atPlace(place, [&] { buildRow(firstTile, endTile); });
    });
  });
}

int64_t ConvNest::build() {
  if (isDepthwise(e, conv, transposed))
    return lowerDepthwise(e, op, conv, source, filter, transposed);
  int64_t vectors = e.layout.padded() / e.lanes();
  const WindowAxis &across = conv.window[1];
  auto [from, to] = inside(across);
  // Loops over so few channels are unrolled, and what they load is then loaded
  // long before it is used.
  constexpr int64_t few = 8, loadedAhead = 5;
  TargetShape target = e.layout.target;
  if (inner < few)
    target.registers -= loadedAhead;
  int64_t pixelsOfTile = (to - from) / apart();
  together = pixelsTogether(vectors);
  if (together > 1)
    pixelsOfTile = llvm::alignTo(runFrom(0).count, together);
  std::vector<KernelEmitter::Numbers> tiles;
  if (hasScratch(e.kernel))
    packed = packedFilterOf(cast<Conv2dOp>(op), e.layout.batchBound);
  std::vector<ConvTile> ranked = rankConvTiles(
      rowsOfGroup(), vectors, pixelsOfTile, together,
      inner * conv.window[0].taps * across.taps, packed.has_value(), target);
  std::stable_partition(ranked.begin(), ranked.end(),
                        [&](ConvTile tile) { return tile.rows <= mostRows(); });
  if (packed)
    llvm::erase_if(
        ranked, [](ConvTile tile) { return tile.rows > PackedFilter::width; });
  for (ConvTile tile : ranked)
    tiles.push_back({tile.rows, tile.vectors, tile.pixels});
  KernelEmitter::Numbers tile = e.choose(op, "tile", tiles);
  tileRows = tile[0];
  tileVectors = tile[1];
  tilePixels = tile[2];
  // Random numbers come in blocks of four rows.
  auto random = e.kernel.getBody().front().getOps<RandomUniformOp>();
  if (!random.empty() && tileRows > 4)
    tileRows -= tileRows % 4;

  if (random.empty() && conv.groups == 1)
    channelsTogether = channelsSideBySide(e, std::gcd(rowsOfGroup(), tileRows));

  tilesOfGroup = (rowsOfGroup() + tileRows - 1) / tileRows;
  lastRows = rowsOfGroup() - (tilesOfGroup - 1) * tileRows;
  sampleTiles = e.layout.padded() / (tileVectors * e.lanes());
  int64_t rowTiles = tilesOfGroup * conv.groups;
  int64_t height = pixels(conv.window[0]);
  e.setLanes(Lanes::Samples);
  if (packed) {
    buildPacked();
    return packed->tasks;
  }
  // Enough units for many threads.
  constexpr int64_t enough = 16;
  int64_t parts =
      std::clamp<int64_t>(enough / (height * sampleTiles), 1, rowTiles);
  int64_t units = height * sampleTiles * parts;
  double cycles = static_cast<double>(height) * pixels(across) * rowTiles *
                  tileRows * vectors * inner * conv.window[0].taps *
                  across.taps;
  int64_t tasks = chooseTasks(units, cycles);

  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value unit) {
    auto divide = [&](Value x, int64_t y) {
      Value by = e.index(y);
      return std::pair<Value, Value>(arith::DivUIOp::create(e.b, x, by),
                                     arith::RemUIOp::create(e.b, x, by));
    };
    auto [place, part] = divide(unit, parts);
    atPlace(place, [&] {
      if (parts == 1)
        return buildRow(e.index(0), e.index(rowTiles));
      auto [from, to] = boundsOf(part, rowTiles, parts);
      buildRow(from, to);
    });
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerConv(KernelEmitter &e) {
  return ConvNest(e).build();
}
