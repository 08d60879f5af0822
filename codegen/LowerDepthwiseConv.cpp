//===- LowerDepthwiseConv.cpp - each channel with a filter of its own
//------===//
//
// y(r, q, c) = sum(i, j) w(i, j, c) x(r + i, q + j, c), with samples in the
// lanes: a few multiply-adds for each vector of x, so that what counts is how
// often x is read.
//
//   for unit in this task's part of blocks of rows x runs of channels:
//     for blocks of R x Q pixels in these rows:
//       for channels c, samples n:
//         acc[R][Q] = 0
//         for pixels (h, w) that the block's windows see:
//           acc[r][q] += w(i, j, c) * x(h, w, c, n) for each tap that fits
//         epilogue on acc: bias, activation, row sums, ...; store
//
// A vector is loaded once for up to as many multiply-adds as there are taps,
// and a row of the image is read for R + taps - 1 rows in place of each taps
// times. Channels run innermost, as they lie in memory. Taps outside of the
// image are known here, and left out.
//
// With stride 1 the transpose is the same with its taps reversed.
//
//===----------------------------------------------------------------------===//

#include "codegen/DepthwiseColumns.h"
#include "codegen/TileChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
class DepthwiseNest {
public:
  DepthwiseNest(KernelEmitter &e, Operation *op, const DepthwiseImage &image)
      : e(e), op(op), image(image) {}

  int64_t build();

private:
  struct Block {
    WindowRun rows, columns;
    Value row, column;
  };

  void buildVisit(const Block &block, Value channel);
  void buildVector(const Block &block, Value channel, Value sample,
                   ArrayRef<Value> weights);
  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }

  KernelEmitter &e;
  Operation *op;
  const DepthwiseImage &image;
};
} // namespace

SmallVector<Value> DepthwiseImage::weights(KernelEmitter &e,
                                           Value channel) const {
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  SmallVector<Value> weights;
  for (int64_t tap = 0; tap < taps(); ++tap) {
    int64_t stored = transposed ? taps() - 1 - tap : tap;
    Value scalar =
        memref::LoadOp::create(e.b, filter, e.add(channel, stored * channels));
    weights.push_back(vector::BroadcastOp::create(e.b, vector, scalar));
  }
  return weights;
}

/// A block's pixels of one channel, for one vector of samples.
void DepthwiseNest::buildVector(const Block &block, Value channel, Value sample,
                                ArrayRef<Value> weights) {
  const auto &[down, across] = image.window;
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  Value firstRow = e.add(e.mul(block.row, down.stride), -down.low);
  Value firstColumn = e.add(e.mul(block.column, across.stride), -across.low);
  Value pixel = sum(e.mul(firstRow, across.pixels), firstColumn);
  Value first = sum(e.mul(pixel, image.channels), channel);

  SmallVector<Value> acc(block.rows.size * block.columns.size,
                         e.vectorConstant(0));
  // A block has more streams than the processor follows by itself.
  constexpr int64_t ahead = 2;
  constexpr unsigned toSecondCache = 2;
  Meetings vertical = meetingsOf(down, block.rows);
  for (const auto &[w, horizontal] : meetingsOf(across, block.columns))
    for (const auto &[h, above] : vertical) {
      Value at = e.add(first, (h * across.pixels + w) * image.channels);
      memref::PrefetchOp::create(e.b, image.source,
                                 ValueRange{e.add(at, ahead), sample},
                                 /*isWrite=*/false, toSecondCache,
                                 /*isDataCache=*/true);
      Value x = vector::LoadOp::create(e.b, vector, image.source,
                                       ValueRange{at, sample});
      for (Meeting v : above)
        for (Meeting u : horizontal) {
          Value &total = acc[v.window * block.columns.size + u.window];
          total = vector::FMAOp::create(
              e.b, x, weights[v.tap * across.taps + u.tap], total);
        }
    }

  e.setSample(sample);
  for (int64_t r = 0; r < block.rows.size; ++r)
    for (int64_t q = 0; q < block.columns.size; ++q)
      e.point([&] {
        e.seed(op->getResult(0), acc[r * block.columns.size + q]);
        Indices at = {e.add(block.row, r), e.add(block.column, q), channel};
        e.storeAll(at, [](RankedTensorType) { return true; });
        e.addRowSums(at);
      });
}

void DepthwiseNest::buildVisit(const Block &block, Value channel) {
  SmallVector<Value> weights = image.weights(e, channel);
  e.loop(e.index(0), e.batch, e.lanes(),
         [&](Value sample) { buildVector(block, channel, sample, weights); });
}

int64_t DepthwiseNest::build() {
  const auto &[down, across] = image.window;
  // Accumulators, weights and a pixel stay in registers.
  int64_t side = 4;
  while (side > 1 && side * side + image.taps() + 2 > e.layout.target.registers)
    --side;
  e.setLanes(Lanes::Samples);
  return overDepthwiseUnits(
      e, image, side, /*run=*/1,
      [&](const WindowRun &rows, Value row, Value low, Value high) {
        Block block;
        block.rows = rows;
        block.row = row;
        if (e.hasRowSums())
          for (int64_t r = 0; r < rows.size; ++r)
            e.loop(low, high, 1, [&](Value channel) {
              e.loop(e.index(0), e.batch, e.lanes(), [&](Value sample) {
                e.setSample(sample);
                e.clearRowSums(e.add(block.row, r), channel);
              });
            });
        for (const WindowRun &columns :
             windowRuns(across, side, 0, across.taps)) {
          block.columns = columns;
          e.loop(e.index(columns.first),
                 e.index(columns.first + columns.turns * columns.size),
                 columns.size, [&](Value column) {
                   block.column = column;
                   e.loop(low, high, 1,
                          [&](Value channel) { buildVisit(block, channel); });
                 });
        }
      });
}

int64_t sinter::overDepthwiseUnits(
    KernelEmitter &e, const DepthwiseImage &image, int64_t side, int64_t run,
    llvm::function_ref<void(const WindowRun &, Value, Value, Value)> body) {
  const auto &[down, across] = image.window;
  int64_t rowBlocks = (down.windows() + side - 1) / side;
  int64_t runs = (image.channels + run - 1) / run;
  // Long runs of channels in memory, but enough units for many threads.
  constexpr int64_t longRun = 128, enough = 16;
  int64_t parts = std::max((image.channels + longRun - 1) / longRun,
                           (enough + rowBlocks - 1) / rowBlocks);
  parts = std::min(parts, runs);
  int64_t units = rowBlocks * parts;
  double cycles = static_cast<double>(image.channels) * image.taps() *
                  down.windows() * across.windows() * e.layout.padded() /
                  e.lanes();
  int64_t tasks = chooseTasks(units, cycles);

  auto [firstUnit, endUnit] = e.taskRange(units, tasks);
  e.loop(firstUnit, endUnit, 1, [&](Value unit) {
    Value rowBlock = arith::DivUIOp::create(e.b, unit, e.index(parts));
    Value part = arith::RemUIOp::create(e.b, unit, e.index(parts));
    auto bound = [&](Value number) -> Value {
      Value first =
          arith::DivUIOp::create(e.b, e.mul(number, runs), e.index(parts));
      if (run == 1)
        return first;
      return arith::MinUIOp::create(e.b, e.mul(first, run),
                                    e.index(image.channels));
    };
    Value low = bound(part), high = bound(e.add(part, 1));
    int64_t blocksBefore = 0;
    for (const WindowRun &rows : windowRuns(down, side, 0, down.taps)) {
      // This run's blocks, as far as they are the unit's: one or none.
      int64_t blocksThen = blocksBefore + rows.turns;
      Value from = arith::MaxUIOp::create(e.b, rowBlock, e.index(blocksBefore));
      Value to =
          arith::MinUIOp::create(e.b, e.add(rowBlock, 1), e.index(blocksThen));
      blocksBefore = blocksThen;
      e.loop(from, to, 1,
             [&](Value number) { body(rows, e.mul(number, side), low, high); });
    }
  });
  return tasks;
}

bool sinter::isDepthwise(const KernelEmitter &e, const Convolution &conv,
                         bool transposed) {
  const auto &[down, across] = conv.window;
  constexpr int64_t others = 4; // accumulators of the smallest block, a pixel
  return conv.groups > 1 && conv.channels == 1 && conv.filters == 1 &&
         down.taps * across.taps + others <= e.layout.target.registers &&
         (!transposed || (down.stride == 1 && across.stride == 1));
}

/// The axis on which the transpose of what `axis` says is a convolution.
static WindowAxis transposedAxis(const WindowAxis &axis) {
  int64_t low = axis.reach() - 1 - axis.low;
  int64_t high = axis.pixels - 1 - axis.windows() - low + axis.reach();
  return {axis.windows(), axis.taps, 1, axis.dilation, low, high};
}

int64_t sinter::lowerDepthwise(KernelEmitter &e, Operation *op,
                               const Convolution &conv, Value source,
                               Value filter, bool transposed) {
  const auto &[down, across] = conv.window;
  DepthwiseImage image = {source, filter, conv.window, conv.groups, transposed};
  if (transposed)
    image.window = {transposedAxis(down), transposedAxis(across)};
  if (std::optional<int64_t> tasks = lowerDepthwiseColumns(e, op, image))
    return *tasks;
  return DepthwiseNest(e, op, image).build();
}
