//===- LowerPoolGradient.cpp - sweeps around a pooling's gradient --------===//
//
// A pixel's gradient asks for the windows over it, and each of them for its
// first maximal pixel: pixel by pixel, every window is searched as often as it
// has pixels. So pixels are computed in blocks as large as the stride, all at
// once, and the few windows over a block are searched once:
//
//   for rows of blocks in this task's part:
//     row sums = 0
//     for blocks inside: for channels, samples: all pixels of the block
//     for pixels at the border:  as in any sweep
//
// Inside are blocks whose windows exist with all of their pixels, so no index
// is guarded there.
//
// Weakness: windows that reach into several blocks are searched once for each
// (3 x 3 with stride 2: four times instead of the nine times of pixels alone).
//
//===----------------------------------------------------------------------===//

#include "codegen/Sweep.h"
#include "codegen/TileChoice.h"
#include "ir/Window.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
/// Blocks first .. end-1 along an axis are inside.
struct Inside {
  int64_t first, end;
};

class PoolGradientNest {
public:
  PoolGradientNest(KernelEmitter &e, ArrayRef<int64_t> shape,
                   const Window &window)
      : e(e), shape(shape), window(window), down(insideOf(window[0])),
        across(insideOf(window[1])) {}

  bool hasInside() const {
    return down.first < down.end && across.first < across.end;
  }
  int64_t build(double cycles);

private:
  static Inside insideOf(const WindowAxis &axis);
  void buildRows(Value blockRow);
  void buildPixels(Value row, Value from, Value to);
  void addRowSums(ArrayRef<Indices> points);
  void store(ValueRange at) {
    e.storeAll(at, [](RankedTensorType) { return true; });
  }
  void overChannels(llvm::function_ref<void(Value channel)> body) {
    e.loop(e.index(0), e.index(shape[2]), 1, [&](Value channel) {
      e.loop(e.index(0), e.batch, e.lanes(), [&](Value first) {
        sample = first;
        e.setSample(sample);
        body(channel);
      });
    });
  }

  KernelEmitter &e;
  ArrayRef<int64_t> shape;
  const Window &window;
  Inside down, across;
  Value sample;
};
} // namespace

Inside PoolGradientNest::insideOf(const WindowAxis &axis) {
  auto isInside = [&](int64_t block) {
    for (int64_t pixel = block * axis.stride; pixel < (block + 1) * axis.stride;
         ++pixel) {
      if (pixel >= axis.pixels)
        return false;
      int64_t shifted = pixel + axis.low;
      for (int64_t tap = shifted % axis.stride; tap < axis.taps;
           tap += axis.stride) {
        int64_t number = (shifted - tap) / axis.stride;
        if (shifted < tap || number >= axis.windows() ||
            !axis.covers(number, 0) || !axis.covers(number, axis.taps - 1))
          return false;
      }
    }
    return true;
  };
  Inside inside{0, axis.pixels / axis.stride};
  while (inside.first < inside.end && !isInside(inside.first))
    ++inside.first;
  while (inside.first < inside.end && !isInside(inside.end - 1))
    --inside.end;
  return inside;
}

/// Of points in one row of the block: all at once, in registers first.
void PoolGradientNest::addRowSums(ArrayRef<Indices> points) {
  for (auto [inside, result] : llvm::zip_equal(e.kernel.getYield().getValues(),
                                               e.kernel.getResults())) {
    if (!isRowSum(inside.getDefiningOp()))
      continue;
    Value terms = inside.getDefiningOp<ReduceSumOp>().getX(), total;
    for (const Indices &at : points) {
      Value term = e.emit(terms, at);
      total =
          total ? arith::AddFOp::create(e.b, total, term).getResult() : term;
    }
    Indices to = {points[0][0], points[0][2], sample};
    Value memory = e.memory(result);
    Value before = vector::LoadOp::create(
        e.b, cast<VectorType>(total.getType()), memory, to);
    vector::StoreOp::create(e.b, arith::AddFOp::create(e.b, before, total),
                            memory, to);
  }
}

/// One by one.
void PoolGradientNest::buildPixels(Value row, Value from, Value to) {
  e.loop(from, to, 1, [&](Value column) {
    overChannels([&](Value channel) {
      Indices at = {row, column, channel};
      store(at);
      e.addRowSums(at);
    });
  });
}

void PoolGradientNest::buildRows(Value blockRow) {
  int64_t high = window[0].stride, wide = window[1].stride;
  Value firstRow = e.mul(blockRow, high);
  Value endRow =
      arith::MinUIOp::create(e.b, e.add(firstRow, high), e.index(shape[0]));
  e.loop(firstRow, endRow, 1, [&](Value row) {
    overChannels([&](Value channel) { e.clearRowSums(row, channel); });
  });

  // As an unsigned number, a difference below 0 is large.
  Value isInside = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                         e.add(blockRow, -down.first),
                                         e.index(down.end - down.first));
  Value blocks = arith::SelectOp::create(
      e.b, isInside, e.index(across.end - across.first), e.index(0));
  e.loop(e.index(0), blocks, 1, [&](Value number) {
    Value block = e.add(number, across.first);
    overChannels([&](Value channel) {
      for (int64_t i = 0; i < high; ++i) {
        SmallVector<Indices> points;
        for (int64_t j = 0; j < wide; ++j) {
          points.push_back({e.inBlock(blockRow, high, i),
                            e.inBlock(block, wide, j), channel});
          store(points.back());
        }
        addRowSums(points);
      }
    });
  });

  // On both sides of the blocks, or all of the row.
  Value none = e.index(shape[1]);
  Value left = arith::SelectOp::create(e.b, isInside,
                                       e.index(across.first * wide), none);
  Value right =
      arith::SelectOp::create(e.b, isInside, e.index(across.end * wide), none);
  e.loop(e.index(0), e.index(2), 1, [&](Value side) {
    Value isLeft =
        arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, side, e.index(0));
    Value from = arith::SelectOp::create(e.b, isLeft, e.index(0), right);
    Value to = arith::SelectOp::create(e.b, isLeft, left, none);
    e.loop(firstRow, endRow, 1, [&](Value row) { buildPixels(row, from, to); });
  });
}

int64_t PoolGradientNest::build(double cycles) {
  int64_t units = (shape[0] + window[0].stride - 1) / window[0].stride;
  int64_t tasks = chooseTasks(units, cycles);
  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value blockRow) { buildRows(blockRow); });
  return tasks;
}

static bool isSame(const Window &x, const Window &y) {
  return llvm::all_of(llvm::zip_equal(x, y), [](auto axes) {
    const auto &[a, b] = axes;
    return a.pixels == b.pixels && a.taps == b.taps && a.stride == b.stride &&
           a.low == b.low && a.high == b.high;
  });
}

std::optional<int64_t> sinter::lowerPoolGradient(KernelEmitter &e,
                                                 const SweepDomain &domain,
                                                 double cycles) {
  if (domain.full.size() != 3 || domain.outer != domain.full ||
      !domain.reductions.empty())
    return {};
  // All that looks at neighbours sees the same windows.
  std::optional<Window> window;
  for (Operation &op : e.kernel.getBody().front()) {
    if (!op.hasTrait<Gathering>())
      continue;
    if (!isa<MaxPool2dGradientOp>(op) ||
        (window && !isSame(*window, poolWindowOf(&op))))
      return {};
    window = poolWindowOf(&op);
  }
  if (!window)
    return {};
  // More points at once need more code and registers than they save.
  constexpr int64_t mostPoints = 4;
  int64_t points = (*window)[0].stride * (*window)[1].stride;
  PoolGradientNest nest(e, domain.full, *window);
  if (points == 1 || points > mostPoints || !nest.hasInside())
    return {};
  return nest.build(cycles);
}
