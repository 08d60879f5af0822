//===- LowerSampleConv.cpp - one image times filters ---------------------===//
//
// y(r, q, f) = sum(i, j, c) w(i, j, c, f) x(r + i, q + j, c), lanes along the
// filters f, in which w lies; x is a broadcast scalar.
//
//   for block of R vectors of filters, row r in this task's part:
//     for pixels q of the row, P at a time:
//       acc[P][R] = 0
//       for taps i that hit the image, j, channels c:
//         w[R] = load w(i, j, c, f..)
//         acc[p][r] += broadcast x(r + i, q + j + p, c) * w[r]
//       epilogue on acc at (r, q + p, f..): bias, activation, ...
//
// A block's filters lie a row of all filters apart, too far for a processor to
// follow: where they come from far, each step fetches those of a later one.
//
// The last vector of filters is no wider than it has to be, and masked: 50
// filters are three vectors of 16 and one of 4 lanes.
//
// Which taps of a row hit the image is known for each tile of pixels, so taps
// outside are left out, pixel by pixel; neighbouring tiles with the same hits
// share a loop. Small images are one tile, so that their filters, which tend to
// be large, are read once.
//
// Where the kernel stores what pooling makes of its result, a unit has the rows
// of a row of windows: they stay in the first cache, and are then pooled.
//
// With one channel and filter to a group, lanes run along the groups, and x is
// a vector, too. Weakness: other groups have lanes along their own filters, few
// as they may be.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelEmitter.h"
#include "codegen/TileChoice.h"
#include "ir/Window.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
/// For each tap of the window across (or, for a whole image, of the window),
/// the pixels of a tile for which it hits the image.
using Hits = SmallVector<SmallVector<int64_t>>;

/// `count` tiles of `size` pixels, one after the other, with the same hits.
struct TileRun {
  int64_t start, size, count;
  Hits hits;
};

class SampleConv {
public:
  explicit SampleConv(KernelEmitter &e)
      : e(e), op(*e.kernel.getBody().front().getOps<Conv2dOp>().begin()),
        conv(convolutionOf(op)), down(conv.window[0]), across(conv.window[1]),
        pooling(poolingOf(e.kernel)) {}

  int64_t build();

private:
  void chooseTile(double cycles);
  /// Of units.
  int64_t rows() const {
    return pooling ? poolWindowOf(pooling)[0].windows() : down.windows();
  }
  /// Blocks of filters, of rows or of whole images.
  int64_t unitsOf(int64_t tileVectors, bool whole) const;
  SmallVector<TileRun> findRuns() const;
  void buildUnit(ArrayRef<VectorPiece> pieces);
  void buildPooled(ArrayRef<VectorPiece> pieces);
  void buildTile(Value column, const TileRun &run,
                 ArrayRef<VectorPiece> pieces);
  void storeTile(Value column, const TileRun &run, ArrayRef<VectorPiece> pieces,
                 ValueRange acc);
  Value poolRowAt(Value rowOfWindow, Value column, ArrayRef<VectorPiece> pieces,
                  int64_t v);
  SmallVector<Value> overTaps(Value sourceRow, Value weightsRow,
                              const TileRun &run, ArrayRef<VectorPiece> pieces,
                              ValueRange acc);
  SmallVector<Value> step(ArrayRef<int64_t> pixels, Value source, Value weights,
                          ArrayRef<VectorPiece> pieces, ValueRange acc);
  bool covers(int64_t pixel, int64_t tap) const;
  Value clampTaps(bool high);
  /// A pixel of the tile, from `column` on, in the result.
  std::pair<Value, Value> place(Value column, int64_t pixel) {
    if (!wholeImage)
      return {row, e.add(column, pixel)};
    return {e.index(pixel / across.windows()),
            e.index(pixel % across.windows())};
  }
  /// Where the pixel's window lies in the source, from the tile's first's on.
  int64_t sourceOffset(int64_t pixel) const {
    if (!wholeImage)
      return pixel * across.stride * allChannels;
    int64_t width = across.windows();
    return (pixel / width * down.stride * across.pixels +
            pixel % width * across.stride) *
           allChannels;
  }

  KernelEmitter &e;
  Conv2dOp op;
  const Convolution conv;
  const WindowAxis &down, &across;
  Operation *const pooling; // of the result, or null
  Value source, filter;     // flat
  Value poolRows;           // what is pooled, (row of a window, pixel, filter)
  int64_t allChannels = 0, allFilters = 0;
  bool isDepthwise = false, wholeImage = false, fetchesFilters = false;
  SmallVector<VectorPiece> pieces; // of a group
  SampleTile tile{1, 1};
  // The current unit.
  Value row, firstFilter, firstChannel;
  Value rowOfWindow;
};
} // namespace

int64_t SampleConv::unitsOf(int64_t tileVectors, bool whole) const {
  auto vectors = static_cast<int64_t>(pieces.size());
  int64_t groups = isDepthwise ? 1 : conv.groups;
  int64_t blocks = (vectors + tileVectors - 1) / tileVectors;
  return groups * blocks * (whole ? 1 : rows());
}

void SampleConv::chooseTile(double cycles) {
  int64_t width = across.windows(), height = down.windows();
  int64_t filterBytes = 4 * featureCount(tensorTypeOf(conv.filter));
  bool isStreamed = filterBytes > (1 << 19);
  constexpr int64_t farApart = 1024 / 4;
  fetchesFilters = isStreamed && allFilters >= farApart;
  int64_t steps = down.taps * across.taps * (isDepthwise ? 1 : conv.channels);
  struct Candidate {
    double cost;
    KernelEmitter::Numbers numbers;
  };
  std::vector<Candidate> candidates;
  for (auto [cost, other] :
       rankSampleTiles(width, pieces, steps, isStreamed, e.layout.target))
    candidates.push_back(
        {cost * static_cast<double>(height), {other.pixels, other.vectors, 0}});
  // A small image may be one tile, if that is the best of its tiles.
  if (2 * width * height <= e.layout.target.registers && !pooling) {
    bool isBest = true;
    for (auto [cost, other] : rankSampleTiles(width * height, pieces, steps,
                                              isStreamed, e.layout.target)) {
      Candidate image{cost, {other.pixels, other.vectors, 1}};
      if (other.pixels == width * height)
        candidates.insert(isBest && cost <= candidates.front().cost
                              ? candidates.begin()
                              : candidates.end(),
                          image);
      isBest = false;
    }
  }
  std::stable_sort(
      candidates.begin() + 1, candidates.end(),
      [](const Candidate &a, const Candidate &b) { return a.cost < b.cost; });
  auto tasksOf = [&](const KernelEmitter::Numbers &numbers) {
    return chooseSampleTasks(unitsOf(numbers[1], numbers[2]), cycles);
  };
  int64_t least = tasksOf(candidates.front().numbers);
  std::vector<KernelEmitter::Numbers> tiles;
  for (const Candidate &candidate : candidates)
    if (tasksOf(candidate.numbers) >= least)
      tiles.push_back(candidate.numbers);
  KernelEmitter::Numbers chosen = e.choose(op, "tile", tiles);
  tile = {chosen[0], chosen[1]};
  wholeImage = chosen[2];
}

bool SampleConv::covers(int64_t pixel, int64_t tap) const {
  if (!wholeImage)
    return across.covers(pixel, tap);
  int64_t width = across.windows();
  return down.covers(pixel / width, tap / across.taps) &&
         across.covers(pixel % width, tap % across.taps);
}

/// The tiles of a row, or of the image.
SmallVector<TileRun> SampleConv::findRuns() const {
  int64_t pixels = across.windows() * (wholeImage ? down.windows() : 1);
  int64_t taps = across.taps * (wholeImage ? down.taps : 1);
  SmallVector<TileRun> runs;
  for (int64_t start = 0; start < pixels; start += tile.pixels) {
    int64_t size = std::min(tile.pixels, pixels - start);
    Hits hits(taps);
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t p = 0; p < size; ++p)
        if (covers(start + p, tap))
          hits[tap].push_back(p);
    if (!runs.empty() && runs.back().size == size && runs.back().hits == hits)
      ++runs.back().count;
    else
      runs.push_back({start, size, 1, std::move(hits)});
  }
  return runs;
}

/// The first tap down whose row is in the image, or the one after the last.
Value SampleConv::clampTaps(bool high) {
  Value before =
      arith::SubIOp::create(e.b, e.index(down.low), e.mul(row, down.stride));
  Value from = high ? e.add(before, down.pixels) : before;
  from = arith::MaxSIOp::create(e.b, from, e.index(0));
  if (down.dilation > 1)
    from = arith::DivUIOp::create(e.b, e.add(from, down.dilation - 1),
                                  e.index(down.dilation));
  return arith::MinSIOp::create(e.b, from, e.index(down.taps));
}

/// One multiply-add of each of the pixels' accumulators.
SmallVector<Value> SampleConv::step(ArrayRef<int64_t> pixels, Value from,
                                    Value weights, ArrayRef<VectorPiece> pieces,
                                    ValueRange acc) {
  constexpr int64_t fetchDistance = 32; // steps
  SmallVector<Value> next(acc), ws;
  for (auto [v, piece] : llvm::enumerate(pieces)) {
    int64_t first = v * e.lanes();
    if (fetchesFilters && first % kFilterBlock == 0)
      memref::PrefetchOp::create(
          e.b, filter, e.add(weights, first + fetchDistance * allFilters),
          /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
    ws.push_back(e.loadPiece(filter, e.add(weights, first), piece));
  }
  for (int64_t p : pixels) {
    Value at = e.add(from, sourceOffset(p));
    Value scalar;
    if (!isDepthwise)
      scalar = memref::LoadOp::create(e.b, source, at);
    for (auto [v, piece] : llvm::enumerate(pieces)) {
      Value x = isDepthwise
                    ? e.loadPiece(source, e.add(at, v * e.lanes()), piece)
                    : vector::BroadcastOp::create(e.b, ws[v].getType(), scalar)
                          .getResult();
      Value &sum = next[p * pieces.size() + v];
      sum = vector::FMAOp::create(e.b, x, ws[v], sum);
    }
  }
  return next;
}

/// Over taps across and channels, for one tap down, or over all taps of a whole
/// image. `sourceRow` and `weightsRow`: where in the source and in the filter
/// the first one is, for the tile's first pixel and the unit's first filter.
SmallVector<Value> SampleConv::overTaps(Value sourceRow, Value weightsRow,
                                        const TileRun &run,
                                        ArrayRef<VectorPiece> pieces,
                                        ValueRange acc) {
  int64_t channels = isDepthwise ? 1 : conv.channels;
  SmallVector<Value> next(acc);
  auto taps = static_cast<int64_t>(run.hits.size());
  for (int64_t tap = 0, count; tap < taps; tap += count) {
    const SmallVector<int64_t> &pixels = run.hits[tap];
    // Neighbouring taps with the same hits are one run, if channels are.
    int64_t j = tap % across.taps, i = tap / across.taps;
    count = 1;
    if (across.dilation == 1 && conv.groups == 1)
      while (j + count < across.taps && run.hits[tap + count] == pixels)
        ++count;
    if (pixels.empty())
      continue;
    int64_t there = i * down.dilation * across.pixels + j * across.dilation;
    Value from = e.add(sourceRow, there * allChannels);
    Value weights = e.add(weightsRow, tap * conv.channels * allFilters);
    auto body = [&](Value k, ValueRange sums) {
      return step(pixels, e.sum(from, k), e.sum(weights, e.mul(k, allFilters)),
                  pieces, sums);
    };
    constexpr int64_t shortRun = 4;
    if (count * channels > shortRun) {
      next = e.loop(e.index(0), e.index(count * channels), 1, next, body);
      continue;
    }
    for (int64_t k = 0; k < count * channels; ++k)
      next = body(e.index(k), next);
  }
  return next;
}

void SampleConv::buildTile(Value column, const TileRun &run,
                           ArrayRef<VectorPiece> pieces) {
  SmallVector<Value> acc;
  for (int64_t p = 0; p < run.size; ++p)
    for (const VectorPiece &piece : pieces)
      acc.push_back(e.zeroPiece(piece));
  // The first tap of the tile's first window; it may be outside.
  auto sourceAt = [&](Value sourceRow) {
    Value at = e.sum(e.mul(sourceRow, across.pixels),
                     e.add(e.mul(column, across.stride), -across.low));
    return e.sum(e.mul(at, allChannels), firstChannel);
  };
  if (wholeImage) {
    acc = overTaps(sourceAt(e.index(-down.low)), firstFilter, run, pieces, acc);
  } else {
    Value first = e.add(e.mul(row, down.stride), -down.low);
    acc = e.loop(clampTaps(false), clampTaps(true), 1, acc,
                 [&](Value i, ValueRange sums) {
                   Value sourceRow = e.sum(first, e.mul(i, down.dilation));
                   int64_t ofRow = across.taps * conv.channels * allFilters;
                   return overTaps(sourceAt(sourceRow),
                                   e.sum(e.mul(i, ofRow), firstFilter), run,
                                   pieces, sums);
                 });
  }
  storeTile(column, run, pieces, acc);
}

/// Where pixel `column` of a row that is pooled lies.
Value SampleConv::poolRowAt(Value rowOfWindow, Value column,
                            ArrayRef<VectorPiece> pieces, int64_t v) {
  Value at = e.sum(e.mul(rowOfWindow, across.windows()), column);
  return e.add(e.mul(at, pieces.size() * e.lanes()), v * e.lanes());
}

void SampleConv::storeTile(Value column, const TileRun &run,
                           ArrayRef<VectorPiece> pieces, ValueRange acc) {
  for (auto [v, piece] : llvm::enumerate(pieces)) {
    e.setWidth(piece.lanes, piece.existing);
    Value feature = e.add(firstFilter, v * e.lanes());
    // What depends on the filter alone serves all pixels.
    e.point([&] {
      for (int64_t p = 0; p < run.size; ++p) {
        auto [pixelRow, pixelColumn] = place(column, p);
        Indices at = {pixelRow, pixelColumn, feature};
        Value sum = acc[p * pieces.size() + v];
        if (pooling) {
          e.seedAt(op.getResult(), at, sum);
          vector::StoreOp::create(
              e.b, e.emit(pooling->getOperand(0), at), poolRows,
              poolRowAt(rowOfWindow, pixelColumn, pieces, v));
          continue;
        }
        e.seed(op.getResult(), sum);
        e.storeAll(at, [](RankedTensorType) { return true; });
        e.addRowSums(at);
      }
    });
  }
  e.resetWidth();
}

/// The rows of a row of windows, then these.
void SampleConv::buildPooled(ArrayRef<VectorPiece> pieces) {
  const Window window = poolWindowOf(pooling);
  const WindowAxis &windowDown = window[0], &windowAcross = window[1];
  Value unit = row;
  e.loop(e.index(0), e.index(windowDown.taps), 1, [&](Value i) {
    rowOfWindow = i;
    row = e.sum(e.mul(unit, windowDown.stride), i);
    buildUnit(pieces);
  });
  e.loop(e.index(0), e.index(windowAcross.windows()), 1, [&](Value number) {
    for (auto [v, piece] : llvm::enumerate(pieces)) {
      e.setWidth(piece.lanes, piece.existing);
      Value feature = e.add(firstFilter, v * e.lanes());
      auto type = VectorType::get({piece.lanes}, e.b.getF32Type());
      e.point([&] {
        for (int64_t i = 0; i < windowDown.taps; ++i)
          for (int64_t j = 0; j < windowAcross.taps; ++j) {
            Value column = e.inBlock(number, windowAcross.stride, j);
            Value pixel = vector::LoadOp::create(
                e.b, type, poolRows, poolRowAt(e.index(i), column, pieces, v));
            e.seedAt(pooling->getOperand(0),
                     {e.inBlock(unit, windowDown.stride, i), column, feature},
                     pixel);
          }
        e.storeAll(
            ValueRange{e.inBlock(unit, 1, 0), e.inBlock(number, 1, 0), feature},
            [](RankedTensorType) { return true; });
      });
    }
    e.resetWidth();
  });
  row = unit;
}

/// All pixels of the unit's row, or of the image, for some filters.
void SampleConv::buildUnit(ArrayRef<VectorPiece> pieces) {
  if (e.hasRowSums()) {
    for (auto [v, piece] : llvm::enumerate(pieces)) {
      e.setWidth(piece.lanes, piece.existing);
      Value feature = e.add(firstFilter, v * e.lanes());
      for (int64_t r = 0; r < (wholeImage ? down.windows() : 1); ++r)
        e.clearRowSums(wholeImage ? e.index(r) : row, feature);
    }
    e.resetWidth();
  }
  for (const TileRun &run : findRuns()) {
    int64_t end = run.start + run.count * run.size;
    if (run.count == 1)
      e.scope([&] { buildTile(e.index(run.start), run, pieces); });
    else
      e.loop(e.index(run.start), e.index(end), run.size,
             [&](Value column) { buildTile(column, run, pieces); });
  }
}

int64_t SampleConv::build() {
  isDepthwise = conv.groups > 1 && conv.channels == 1 && conv.filters == 1;
  allChannels = conv.channels * conv.groups;
  allFilters = conv.filters * conv.groups;
  int64_t groups = isDepthwise ? 1 : conv.groups;
  int64_t filters = isDepthwise ? conv.groups : conv.filters;
  source = e.memory(conv.image, /*flat=*/true);
  filter = e.weights(conv.filter);
  pieces = splitInVectors(filters, e.layout.target);
  auto vectors = static_cast<int64_t>(pieces.size());
  double cycles = static_cast<double>(down.windows() * across.windows()) *
                  groups * vectors * (isDepthwise ? 1 : conv.channels) *
                  down.taps * across.taps;
  chooseTile(cycles);

  int64_t blocks = (vectors + tile.vectors - 1) / tile.vectors;
  int64_t size = (vectors + blocks - 1) / blocks;
  blocks = (vectors + size - 1) / size;
  int64_t rows = wholeImage ? 1 : this->rows();
  int64_t units = groups * blocks * rows;
  int64_t tasks = chooseSampleTasks(units, cycles);

  e.setLanes(Lanes::Columns);
  if (pooling) {
    int64_t pixels = poolWindowOf(pooling)[0].taps * across.windows();
    poolRows = memref::AllocaOp::create(
        e.b, MemRefType::get({pixels * size * e.lanes()}, e.b.getF32Type()),
        e.b.getI64IntegerAttr(64));
  }
  auto build = [&](ArrayRef<VectorPiece> some) {
    return pooling ? buildPooled(some) : buildUnit(some);
  };
  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value unit) {
    auto divide = [&](Value value, int64_t by) -> std::pair<Value, Value> {
      if (by == 1)
        return {value, e.index(0)};
      return {arith::DivUIOp::create(e.b, value, e.index(by)),
              arith::RemUIOp::create(e.b, value, e.index(by))};
    };
    auto [part, theRow] = divide(unit, rows);
    auto [group, block] = divide(part, blocks);
    row = theRow;
    firstFilter = e.sum(e.mul(group, filters), e.mul(block, size * e.lanes()));
    // Channels and filters are the same thing where lanes run along groups.
    firstChannel = isDepthwise ? firstFilter : e.mul(group, conv.channels);
    ArrayRef<VectorPiece> whole = ArrayRef(pieces).take_front(size);
    ArrayRef<VectorPiece> last =
        ArrayRef(pieces).drop_front((blocks - 1) * size);
    bool isRagged =
        last.size() < whole.size() || last.back().existing < e.lanes();
    if (blocks == 1 || !isRagged)
      return build(whole);
    Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, block,
                                         e.index(blocks - 1));
    auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/true);
    OpBuilder::InsertionGuard insertion(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    e.scope([&] { build(last); });
    e.b.setInsertionPointToStart(branch.elseBlock());
    e.scope([&] { build(whole); });
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerSampleConv(KernelEmitter &e) {
  return SampleConv(e).build();
}
