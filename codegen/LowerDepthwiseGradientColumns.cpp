//===- LowerDepthwiseGradientColumns.cpp - the same, column by column -----===//
//
// Problem: see LowerDepthwiseColumns.cpp. A gradient's block has pixels of two
// images, all in one set of the first cache.
//
// Idea: the same, with dy in the buffer: each pixel of dy is loaded once from
// its image, and then stays near until the last column that its window sees.
// Sums of all taps wait in memory too, lane by lane, and leave it at the end.
//
//   for runs of about a kilobyte of channels, of this task's part:
//     sums = 0
//     for blocks of R rows of windows, columns w of the image:
//       for channels c, samples n:
//         near[q = w] = dy(r.., q, c, n)
//         for rows h that the block's windows see:
//           sums(i, j, c) += x(h, w, c, n) * near[q = w - j][r]
//     dw(.., c) = the sums of the lanes of sums
//
// Known weakness: sums go through memory once for each column, so that one
// vector of samples is too few.
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
class GradientColumnNest {
public:
  GradientColumnNest(KernelEmitter &e, Conv2dFilterGradientOp op, int64_t side)
      : e(e), conv(convolutionOf(op)), side(side),
        run(std::clamp<int64_t>(kRunFloats / e.layout.padded(), 1,
                                conv.groups)),
        vector(VectorType::get({e.lanes()}, e.b.getF32Type())) {}

  int64_t build();

private:
  /// A column of some rows, of one channel.
  struct Visit {
    WindowRun rows;
    ColumnRun columns;
    Value row, column, channel, place;
  };

  void buildVisit(const Visit &visit);
  SmallVector<Value> step(const Visit &visit, Value sample, Value mask,
                          ValueRange acc);
  void finishChannel(Value channel, Value place);
  int64_t taps() const { return conv.window[0].taps * conv.window[1].taps; }
  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }

  KernelEmitter &e;
  const Convolution conv;
  const int64_t side, run;
  const VectorType vector;
  Value x, dy, dw; // (features, lanes), (features, lanes), flat
  Value near,
      sums; // (columns, channels, rows, samples), (channels, taps, lanes)
};
} // namespace

/// All multiply-adds of a visit, for one vector of samples.
SmallVector<Value> GradientColumnNest::step(const Visit &visit, Value sample,
                                            Value mask, ValueRange acc) {
  const auto &[down, across] = conv.window;
  // The next column's run lies too far away to be fetched by itself.
  auto load = [&](Value memory, Value feature, bool fetches) -> Value {
    if (fetches)
      memref::PrefetchOp::create(
          e.b, memory, ValueRange{e.add(feature, conv.groups), sample},
          /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
    if (!mask)
      return vector::LoadOp::create(e.b, vector, memory,
                                    ValueRange{feature, sample});
    return vector::MaskedLoadOp::create(e.b, vector, memory,
                                        ValueRange{feature, sample}, mask,
                                        e.vectorConstant(0));
  };
  const ColumnRun &columns = visit.columns;
  SmallVector<SmallVector<Value>> gradients(across.taps);
  for (int64_t tap : llvm::reverse(columns.taps)) {
    Value window = e.add(visit.column, across.low - tap);
    Value slot = arith::RemUIOp::create(e.b, window, e.index(across.taps - 1));
    bool isNew = tap == 0 || columns.isFirst;
    for (int64_t r = 0; r < visit.rows.size; ++r) {
      Indices at = {slot, visit.place, e.index(r), sample};
      if (!isNew) {
        gradients[tap].push_back(vector::LoadOp::create(e.b, vector, near, at));
        continue;
      }
      Value pixel = sum(e.mul(e.add(visit.row, r), across.windows()), window);
      Value feature = sum(e.mul(pixel, conv.groups), visit.channel);
      Value value = load(dy, feature, tap == 0 && !columns.isLast);
      gradients[tap].push_back(value);
      if (tap + 1 < across.taps && !columns.isLast)
        vector::StoreOp::create(e.b, value, near, at);
    }
  }

  Value firstRow = e.add(e.mul(visit.row, down.stride), -down.low);
  Value pixel = sum(e.mul(firstRow, across.pixels), visit.column);
  Value first = sum(e.mul(pixel, conv.groups), visit.channel);
  SmallVector<Value> next(acc);
  for (const auto &[h, above] : meetingsOf(down, visit.rows)) {
    Value value =
        load(x, e.add(first, h * across.pixels * conv.groups), !columns.isLast);
    for (Meeting v : above)
      for (int64_t tap : columns.taps) {
        Value &total = next[v.tap * across.taps + tap];
        total =
            vector::FMAOp::create(e.b, value, gradients[tap][v.window], total);
      }
  }
  return next;
}

void GradientColumnNest::buildVisit(const Visit &visit) {
  SmallVector<Value> acc;
  auto placeOf = [&](int64_t tap) {
    return Indices{visit.place, e.index(tap), e.index(0)};
  };
  for (int64_t tap = 0; tap < taps(); ++tap)
    acc.push_back(vector::LoadOp::create(e.b, vector, sums, placeOf(tap)));
  Value rest = arith::RemUIOp::create(e.b, e.batch, e.index(e.lanes()));
  Value whole = arith::SubIOp::create(e.b, e.batch, rest);
  acc = e.loop(e.index(0), whole, e.lanes(), acc,
               [&](Value sample, ValueRange inside) {
                 return step(visit, sample, {}, inside);
               });
  acc = withLastSamples(
      e, rest, acc, [&](Value mask) { return step(visit, whole, mask, acc); });
  for (int64_t tap = 0; tap < taps(); ++tap)
    vector::StoreOp::create(e.b, acc[tap], sums, placeOf(tap));
}

/// dw of a channel, whose sums are complete.
void GradientColumnNest::finishChannel(Value channel, Value place) {
  SmallVector<Value> acc;
  for (int64_t tap = 0; tap < taps(); ++tap)
    acc.push_back(vector::LoadOp::create(
        e.b, vector, sums, ValueRange{place, e.index(tap), e.index(0)}));
  SmallVector<Value> totals = laneSums(e, acc);
  for (int64_t tap = 0; tap < taps(); ++tap) {
    Value total = vector::ExtractOp::create(e.b, totals[tap / e.lanes()],
                                            tap % e.lanes());
    memref::StoreOp::create(e.b, total, dw, e.add(channel, tap * conv.groups));
  }
}

int64_t GradientColumnNest::build() {
  x = e.memory(conv.image, /*flat=*/true);
  dy = e.memory(conv.result, /*flat=*/true);
  dw = e.memory(e.kernel.getResult(0), /*flat=*/true);
  const auto &[down, across] = conv.window;
  auto buffer = [&](ArrayRef<int64_t> shape) -> Value {
    return memref::AllocaOp::create(e.b,
                                    MemRefType::get(shape, e.b.getF32Type()),
                                    e.b.getI64IntegerAttr(64));
  };
  near = buffer({across.taps - 1, run, side, e.layout.padded()});
  sums = buffer({run, taps(), e.lanes()});

  int64_t units = (conv.groups + run - 1) / run;
  double cycles = static_cast<double>(conv.groups) * taps() * down.windows() *
                  across.windows() * e.layout.padded() / e.lanes();
  int64_t tasks = chooseTasks(units, cycles);
  e.setLanes(Lanes::Samples);
  auto [firstUnit, endUnit] = e.taskRange(units, tasks);
  e.loop(firstUnit, endUnit, 1, [&](Value unit) {
    Value low = e.mul(unit, run);
    Value high =
        arith::MinUIOp::create(e.b, e.add(low, run), e.index(conv.groups));
    auto overChannels = [&](llvm::function_ref<void(Value, Value)> body) {
      e.loop(low, high, 1, [&](Value channel) {
        body(channel, arith::SubIOp::create(e.b, channel, low));
      });
    };
    overChannels([&](Value, Value place) {
      for (int64_t tap = 0; tap < taps(); ++tap)
        vector::StoreOp::create(e.b, e.vectorConstant(0), sums,
                                ValueRange{place, e.index(tap), e.index(0)});
    });
    for (const WindowRun &rows : windowRuns(down, side, 0, down.taps))
      e.loop(
          e.index(rows.first), e.index(rows.first + rows.turns * rows.size),
          rows.size, [&](Value row) {
            for (const ColumnRun &columns : columnRuns(across))
              e.loop(
                  e.index(columns.first), e.index(columns.end), 1,
                  [&](Value column) {
                    overChannels([&](Value channel, Value place) {
                      buildVisit({rows, columns, row, column, channel, place});
                    });
                  });
          });
    overChannels(
        [&](Value channel, Value place) { finishChannel(channel, place); });
  });
  return tasks;
}

std::optional<int64_t>
sinter::lowerDepthwiseGradientColumns(KernelEmitter &e,
                                      Conv2dFilterGradientOp op) {
  Convolution conv = convolutionOf(op);
  int64_t side = columnSide(e, conv.window, conv.window[1].taps);
  bool sumsAreWorthIt = e.layout.padded() > e.lanes();
  if (conv.filters != 1 || side == 0 || !sumsAreWorthIt)
    return std::nullopt;
  return GradientColumnNest(e, op, side).build();
}
