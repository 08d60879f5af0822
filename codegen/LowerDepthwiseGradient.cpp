//===- LowerDepthwiseGradient.cpp - gradients of depthwise filters
//---------===//
//
// Problem: dw(i, j, f) = sum(r, q, n) x(r + i, q + j, c, n) dy(r, q, f, n) with
// one channel c to a filter f has one multiply-add for each pixel and tap: no
// operand is shared between filters, and every byte of both images is needed
// for a few multiply-adds only.
//
//   for unit in this task's part of the filters:
//     dw = 0
//     for blocks of R x Q pixels:
//       for filters f of the unit:
//         acc[taps] = 0
//         for samples n:
//           dy[R][Q] = load dy(r.., q.., f, n)
//           for pixels (h, w) that the block's windows see:
//             acc[i][j] += x(h, w, c, n) * dy[r][q] for each tap that fits
//         dw(.., f) += the sums of the lanes of acc
//
// All taps share a block: each vector of x is loaded once for up to as many
// multiply-adds as there are taps. Filters run innermost, as they lie in
// memory, so that each pixel of the block is a stream that the processor
// fetches ahead. Taps outside of the image are known here, and left out.
//
// Known weakness: the rim of each block is read again by the next one.
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
class DepthwiseGradientNest {
public:
  DepthwiseGradientNest(KernelEmitter &e, Conv2dFilterGradientOp op)
      : e(e), conv(convolutionOf(op)) {}

  int64_t build();

private:
  /// R x Q windows: their runs say which taps hit, the values where they are.
  struct Block {
    WindowRun rows, columns;
    Value row, column;
  };

  void clear(Value low, Value high);
  void buildVisit(const Block &block, Value filter);
  SmallVector<Value> step(const Block &block, Value filter, Value sample,
                          Value mask, ValueRange acc);
  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  /// Where the tap's weight for `filter` lies in dw.
  Value placeOf(int64_t tap, Value filter) {
    return e.add(filter, tap * filters());
  }
  int64_t filters() const { return conv.filters * conv.groups; }
  int64_t taps() const { return conv.window[0].taps * conv.window[1].taps; }

  KernelEmitter &e;
  Convolution conv;
  Value x, dy, dw; // (features, lanes), (features, lanes), flat
};
} // namespace

/// All multiply-adds of a block, for one vector of samples.
SmallVector<Value> DepthwiseGradientNest::step(const Block &block, Value filter,
                                               Value sample, Value mask,
                                               ValueRange acc) {
  const auto &[down, across] = conv.window;
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  // A block has more streams than the processor follows by itself.
  constexpr int64_t ahead = 2;
  constexpr unsigned toSecondCache = 2;
  auto load = [&](Value memory, Value feature) -> Value {
    memref::PrefetchOp::create(e.b, memory,
                               ValueRange{e.add(feature, ahead), sample},
                               /*isWrite=*/false, toSecondCache,
                               /*isDataCache=*/true);
    if (!mask)
      return vector::LoadOp::create(e.b, vector, memory,
                                    ValueRange{feature, sample});
    return vector::MaskedLoadOp::create(e.b, vector, memory,
                                        ValueRange{feature, sample}, mask,
                                        e.vectorConstant(0));
  };
  Value window = sum(e.mul(block.row, across.windows()), block.column);
  Value firstDy = sum(e.mul(window, filters()), filter);
  Value imageRow = e.add(e.mul(block.row, down.stride), -down.low);
  Value imageColumn = e.add(e.mul(block.column, across.stride), -across.low);
  Value pixel = sum(e.mul(imageRow, across.pixels), imageColumn);
  Value channel =
      conv.filters == 1
          ? filter
          : arith::DivUIOp::create(e.b, filter, e.index(conv.filters))
                .getResult();
  Value firstX = sum(e.mul(pixel, conv.groups), channel);

  SmallVector<Value> gradients(block.rows.size * block.columns.size);
  auto gradientAt = [&](int64_t row, int64_t column) {
    Value &gradient = gradients[row * block.columns.size + column];
    if (!gradient)
      gradient = load(
          dy, e.add(firstDy, (row * across.windows() + column) * filters()));
    return gradient;
  };
  SmallVector<Value> next(acc);
  Meetings vertical = meetingsOf(down, block.rows);
  for (const auto &[w, horizontal] : meetingsOf(across, block.columns))
    for (const auto &[h, above] : vertical) {
      Value value =
          load(x, e.add(firstX, (h * across.pixels + w) * conv.groups));
      for (Meeting v : above)
        for (Meeting u : horizontal) {
          Value &sum = next[v.tap * across.taps + u.tap];
          sum = vector::FMAOp::create(e.b, value,
                                      gradientAt(v.window, u.window), sum);
        }
    }
  return next;
}

void DepthwiseGradientNest::buildVisit(const Block &block, Value filter) {
  SmallVector<Value> acc(taps(), e.vectorConstant(0));
  Value rest = arith::RemUIOp::create(e.b, e.batch, e.index(e.lanes()));
  Value whole = arith::SubIOp::create(e.b, e.batch, rest);
  acc = e.loop(e.index(0), whole, e.lanes(), acc,
               [&](Value sample, ValueRange inside) {
                 return step(block, filter, sample, {}, inside);
               });
  acc = withLastSamples(e, rest, acc, [&](Value mask) {
    return step(block, filter, whole, mask, acc);
  });

  SmallVector<Value> sums = laneSums(e, acc);
  for (int64_t tap = 0; tap < taps(); ++tap) {
    Value part =
        vector::ExtractOp::create(e.b, sums[tap / e.lanes()], tap % e.lanes());
    Value at = placeOf(tap, filter);
    Value before = memref::LoadOp::create(e.b, dw, at);
    Value after = arith::AddFOp::create(e.b, before, part);
    memref::StoreOp::create(e.b, after, dw, at);
  }
}

/// dw = 0 for filters low .. high - 1.
void DepthwiseGradientNest::clear(Value low, Value high) {
  Value zero = arith::ConstantOp::create(e.b, e.b.getF32FloatAttr(0));
  for (int64_t tap = 0; tap < taps(); ++tap)
    e.loop(low, high, 1, [&](Value filter) {
      memref::StoreOp::create(e.b, zero, dw, placeOf(tap, filter));
    });
}

int64_t DepthwiseGradientNest::build() {
  x = e.memory(conv.image, /*flat=*/true);
  dy = e.memory(conv.result, /*flat=*/true);
  dw = e.memory(e.kernel.getResult(0), /*flat=*/true);
  const auto &[down, across] = conv.window;
  // The accumulators, a block's dy as far as the taps of a column need it, and
  // a pixel stay in registers.
  int64_t side = 4;
  while (side > 1 && taps() + side * std::min(side, across.taps) + 2 >
                         e.layout.target.registers)
    --side;

  // Long runs of filters in memory are worth more than many units.
  constexpr int64_t enough = 8;
  int64_t longRun = std::clamp<int64_t>(filters() / enough, 4, 32);
  int64_t units = (filters() + longRun - 1) / longRun;
  double cycles = static_cast<double>(filters()) * taps() * down.windows() *
                  across.windows() * e.layout.padded() / e.lanes();
  int64_t tasks = chooseTasks(units, cycles);
  e.setLanes(Lanes::Samples);
  auto [firstUnit, endUnit] = e.taskRange(units, tasks);
  Value low = e.mul(firstUnit, longRun);
  Value high =
      arith::MinUIOp::create(e.b, e.mul(endUnit, longRun), e.index(filters()));
  clear(low, high);
  auto overRun = [&](const WindowRun &run,
                     llvm::function_ref<void(Value)> body) {
    if (run.turns == 1)
      return body(e.index(run.first));
    e.loop(e.index(run.first), e.index(run.first + run.turns * run.size),
           run.size, body);
  };
  Block block;
  for (const WindowRun &rows : windowRuns(down, side, 0, down.taps)) {
    block.rows = rows;
    overRun(rows, [&](Value row) {
      block.row = row;
      for (const WindowRun &columns :
           windowRuns(across, side, 0, across.taps)) {
        block.columns = columns;
        overRun(columns, [&](Value column) {
          block.column = column;
          e.loop(low, high, 1,
                 [&](Value filter) { buildVisit(block, filter); });
        });
      }
    });
  }
  return tasks;
}

bool sinter::isDepthwiseGradient(const KernelEmitter &e,
                                 const Convolution &conv) {
  constexpr int64_t operands = 4; // beside the accumulators
  return conv.channels == 1 && conv.groups > 1 &&
         conv.window[0].taps * conv.window[1].taps + operands <=
             e.layout.target.registers;
}

int64_t sinter::lowerDepthwiseGradient(KernelEmitter &e,
                                       Conv2dFilterGradientOp op) {
  if (std::optional<int64_t> tasks = lowerDepthwiseGradientColumns(e, op))
    return *tasks;
  return DepthwiseGradientNest(e, op).build();
}
