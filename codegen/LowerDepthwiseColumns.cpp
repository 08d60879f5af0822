//===- LowerDepthwiseColumns.cpp - depthwise filters, column by column ----===//
//
// Problem: with samples in the lanes, neighbouring pixels are channels x
// samples apart, mostly a multiple of a page. Then one channel's pixels all
// fall into one set of the first cache, and where a block has more of them than
// the set has ways, a line that was fetched ahead is gone before it is used.
//
// Idea: a column of pixels at a time, for a few rows of windows. What a window
// has so far waits in a small buffer that is not spread over pages, so that
// each pixel is loaded once for all windows of these rows.
//
//   for unit in this task's part of blocks of R rows x parts of the channels:
//     for runs of channels of about a kilobyte:
//       for columns w of the image:
//         for channels c, samples n:
//           acc[r][j] = waiting[q = w - j], or 0 where w is the first to count
//           for rows h that the block's windows see:
//             acc[r][j] += w(i, j, c) * x(h, w, c, n) for each tap that fits
//           waiting[q] = acc[r][j], but for windows that are complete:
//             epilogue on acc[r][j]: bias, activation, row sums, ...; store
//
// Done where pixels are a multiple of a page apart and results pass by the
// caches: other stores, a line of each page, wait for theirs.
//
// Products are added in the order of LowerDepthwiseConv.cpp.
//
// Known weakness: a window's sum goes through the buffer once for each column
// but its last, and needs about as many stores as loads.
//
//===----------------------------------------------------------------------===//

#include "codegen/DepthwiseColumns.h"
#include "codegen/FilterGradient.h"
#include "codegen/TileChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
class ColumnNest {
public:
  ColumnNest(KernelEmitter &e, Operation *op, const DepthwiseImage &image,
             int64_t side)
      : e(e), op(op), image(image), side(side),
        run(std::clamp<int64_t>(kRunFloats / e.layout.padded(), 1,
                                image.channels)) {}

  int64_t build();

private:
  void buildRows(const WindowRun &rows, Value row, Value low, Value high);
  void buildVisit(const WindowRun &rows, Value row, const ColumnRun &columns,
                  Value column, Value firstChannel, Value channel);
  void buildVector(const WindowRun &rows, Value row, const ColumnRun &columns,
                   Value column, Value place, Value channel,
                   ArrayRef<Value> weights);
  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }

  KernelEmitter &e;
  Operation *op;
  const DepthwiseImage &image;
  const int64_t side, run;
  Value waiting; // (columns, channels of a run, rows, samples)
};
} // namespace

SmallVector<ColumnRun> sinter::columnRuns(const WindowAxis &across) {
  SmallVector<ColumnRun> runs;
  for (int64_t column = 0; column < across.pixels; ++column) {
    ColumnRun next = {
        column, column + 1, column == 0, column + 1 == across.pixels, {}};
    for (int64_t tap = 0; tap < across.taps; ++tap)
      if (int64_t window = column + across.low - tap;
          window >= 0 && window < across.windows())
        next.taps.push_back(tap);
    if (!runs.empty() && runs.back().taps == next.taps &&
        !runs.back().isFirst && !next.isLast)
      ++runs.back().end;
    else
      runs.push_back(next);
  }
  return runs;
}

/// What a column's pixels of one channel and one vector of samples add.
void ColumnNest::buildVector(const WindowRun &rows, Value row,
                             const ColumnRun &columns, Value column,
                             Value place, Value channel,
                             ArrayRef<Value> weights) {
  const auto &[down, across] = image.window;
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  Value sample = e.currentSample();
  int64_t others = across.taps - 1;
  struct Waiting {
    Value window, slot;
    SmallVector<Value> acc;
  };
  SmallVector<Waiting> windows(across.taps);
  for (int64_t tap : columns.taps) {
    Waiting &now = windows[tap];
    now.window = e.add(column, across.low - tap);
    now.slot = arith::RemUIOp::create(e.b, now.window, e.index(others));
    now.acc.assign(rows.size, e.vectorConstant(0));
    if (tap != 0 && !columns.isFirst)
      for (int64_t r = 0; r < rows.size; ++r)
        now.acc[r] = vector::LoadOp::create(
            e.b, vector, waiting,
            ValueRange{now.slot, place, e.index(r), sample});
  }

  Value firstRow = e.add(e.mul(row, down.stride), -down.low);
  Value pixel = sum(e.mul(firstRow, across.pixels), column);
  Value first = sum(e.mul(pixel, image.channels), channel);
  for (const auto &[h, above] : meetingsOf(down, rows)) {
    Value at = e.add(first, h * across.pixels * image.channels);
    // The next column's runs lie too far apart to be fetched by themselves.
    if (!columns.isLast)
      memref::PrefetchOp::create(e.b, image.source,
                                 ValueRange{e.add(at, image.channels), sample},
                                 /*isWrite=*/false, /*localityHint=*/3,
                                 /*isDataCache=*/true);
    Value x = vector::LoadOp::create(e.b, vector, image.source,
                                     ValueRange{at, sample});
    for (Meeting v : above)
      for (int64_t tap : columns.taps) {
        Value &total = windows[tap].acc[v.window];
        total = vector::FMAOp::create(
            e.b, x, weights[v.tap * across.taps + tap], total);
      }
  }

  for (int64_t tap : columns.taps)
    for (int64_t r = 0; r < rows.size; ++r) {
      const Waiting &now = windows[tap];
      if (tap + 1 < across.taps && !columns.isLast) {
        vector::StoreOp::create(
            e.b, now.acc[r], waiting,
            ValueRange{now.slot, place, e.index(r), sample});
        continue;
      }
      e.point([&] {
        e.seed(op->getResult(0), now.acc[r]);
        Indices at = {e.add(row, r), now.window, channel};
        e.storeAll(at, [](RankedTensorType) { return true; });
        e.addRowSums(at);
      });
    }
}

void ColumnNest::buildVisit(const WindowRun &rows, Value row,
                            const ColumnRun &columns, Value column,
                            Value firstChannel, Value channel) {
  SmallVector<Value> weights = image.weights(e, channel);
  Value place = arith::SubIOp::create(e.b, channel, firstChannel);
  e.loop(e.index(0), e.batch, e.lanes(), [&](Value sample) {
    e.setSample(sample);
    buildVector(rows, row, columns, column, place, channel, weights);
  });
}

/// A block of rows, of channels low .. high - 1.
void ColumnNest::buildRows(const WindowRun &rows, Value row, Value low,
                           Value high) {
  if (e.hasRowSums())
    for (int64_t r = 0; r < rows.size; ++r)
      e.loop(low, high, 1, [&](Value channel) {
        e.loop(e.index(0), e.batch, e.lanes(), [&](Value sample) {
          e.setSample(sample);
          e.clearRowSums(e.add(row, r), channel);
        });
      });
  e.loop(low, high, run, [&](Value first) {
    Value end = arith::MinUIOp::create(e.b, e.add(first, run), high);
    for (const ColumnRun &columns : columnRuns(image.window[1]))
      e.loop(e.index(columns.first), e.index(columns.end), 1,
             [&](Value column) {
               e.loop(first, end, 1, [&](Value channel) {
                 buildVisit(rows, row, columns, column, first, channel);
               });
             });
  });
}

int64_t ColumnNest::build() {
  const auto &[down, across] = image.window;
  waiting = memref::AllocaOp::create(
      e.b,
      MemRefType::get({across.taps - 1, run, side, e.layout.padded()},
                      e.b.getF32Type()),
      e.b.getI64IntegerAttr(64));
  e.setLanes(Lanes::Samples);
  return overDepthwiseUnits(
      e, image, side, run,
      [&](const WindowRun &rows, Value row, Value low, Value high) {
        buildRows(rows, row, low, high);
      });
}

std::optional<int64_t>
sinter::lowerDepthwiseColumns(KernelEmitter &e, Operation *op,
                              const DepthwiseImage &image) {
  int64_t side = columnSide(e, image.window, image.window[1].taps);
  // Elsewhere blocks, which store less, are faster.
  constexpr int64_t page = 4096 / sizeof(float);
  if (side == 0 || image.channels * e.layout.padded() % page != 0 ||
      !e.isStreamed(tensorTypeOf(op->getResult(0))))
    return std::nullopt;
  return ColumnNest(e, op, image, side).build();
}

int64_t sinter::columnSide(const KernelEmitter &e, const Window &window,
                           int64_t vectorsOfRow) {
  const auto &[down, across] = window;
  constexpr int64_t fewest = 3, most = 4, mostSamples = 1024;
  bool fits = across.stride == 1 && across.dilation == 1 && across.taps > 1 &&
              across.low < across.taps && across.high < across.taps &&
              e.layout.padded() <= mostSamples;
  int64_t others = down.taps * across.taps + 2;
  int64_t side = (e.layout.target.registers - others) / vectorsOfRow;
  return fits && side >= fewest ? std::min(side, most) : 0;
}
