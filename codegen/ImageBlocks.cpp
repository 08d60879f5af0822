//===- ImageBlocks.cpp - points of images, computed a few at once --------===//

#include "codegen/ImageBlocks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

ImageBlocks::Inside ImageBlocks::insideOf(const WindowAxis &axis) {
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

ImageBlocks::ImageBlocks(KernelEmitter &e, ArrayRef<int64_t> shape,
                         const std::optional<Window> &window)
    : e(e), shape(shape), isPooled(window.has_value()) {
  // More points at once need more code and registers than they save.
  constexpr int64_t mostPoints = 4;
  if (!window) {
    high = wide = 2;
    down = {0, shape[0] / high};
    across = {0, shape[1] / wide};
    return;
  }
  int64_t points = (*window)[0].stride * (*window)[1].stride;
  if (points == 1 || points > mostPoints)
    return;
  high = (*window)[0].stride;
  wide = (*window)[1].stride;
  down = insideOf((*window)[0]);
  across = insideOf((*window)[1]);
}

std::pair<Value, Value> ImageBlocks::rowsOf(Value unit) const {
  Value first = e.mul(unit, high);
  Value end =
      arith::MinUIOp::create(e.b, e.add(first, high), e.index(shape[0]));
  return {first, end};
}

void ImageBlocks::over(
    Value unit, llvm::function_ref<void(const ImageBlock &)> body) const {
  Value isInside, none = e.index(shape[1]), left = none, right = none;
  if (hasBlocks()) {
    // As an unsigned number, a difference below 0 is large.
    isInside = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                     e.add(unit, -down.first),
                                     e.index(down.end - down.first));
    Value blocks = arith::SelectOp::create(
        e.b, isInside, e.index(across.end - across.first), e.index(0));
    e.loop(e.index(0), blocks, 1, [&](Value number) {
      Value column = e.add(number, across.first);
      ImageBlock block;
      auto place = [&](Value number, int64_t size, int64_t offset) {
        return isPooled ? e.inBlock(number, size, offset)
                        : e.add(e.mul(number, size), offset);
      };
      for (int64_t i = 0; i < high; ++i)
        block.rows.push_back(place(unit, high, i));
      for (int64_t j = 0; j < wide; ++j)
        block.columns.push_back(place(column, wide, j));
      body(block);
    });
    left = arith::SelectOp::create(e.b, isInside, e.index(across.first * wide),
                                   none);
    right = arith::SelectOp::create(e.b, isInside, e.index(across.end * wide),
                                    none);
    bool isCovered = down.first == 0 && across.first == 0 &&
                     down.end * high == shape[0] &&
                     across.end * wide == shape[1];
    if (isCovered)
      return;
  }
  // On both sides of the blocks, or all of the row.
  auto [firstRow, endRow] = rowsOf(unit);
  e.loop(e.index(0), e.index(2), 1, [&](Value side) {
    Value isLeft =
        arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, side, e.index(0));
    Value from = arith::SelectOp::create(e.b, isLeft, e.index(0), right);
    Value to = arith::SelectOp::create(e.b, isLeft, left, none);
    e.loop(firstRow, endRow, 1, [&](Value row) {
      e.loop(from, to, 1, [&](Value column) {
        body(ImageBlock{{row}, {column}});
      });
    });
  });
}

void ImageBlocks::prefetchNext(const ImageBlock &block, Value channel) const {
  if (block.columns.size() == 1)
    return;
  constexpr unsigned toSecondCache = 2;
  for (Value tensor : e.kernel.getCaptured()) {
    RankedTensorType type = tensorTypeOf(tensor);
    if (!isBatchMinor(type) || featureShape(type) != ArrayRef(shape))
      continue;
    for (Value row : block.rows)
      for (Value column : block.columns)
        memref::PrefetchOp::create(
            e.b, e.memory(tensor),
            ValueRange{row, e.add(column, wide), channel, e.currentSample()},
            /*isWrite=*/false, toSecondCache, /*isDataCache=*/true);
  }
}

static bool isSame(const Window &x, const Window &y) {
  return llvm::all_of(llvm::zip_equal(x, y), [](auto axes) {
    const auto &[a, b] = axes;
    return a.pixels == b.pixels && a.taps == b.taps && a.stride == b.stride &&
           a.low == b.low && a.high == b.high;
  });
}

std::optional<Window> sinter::pooledWindow(KernelOp kernel) {
  std::optional<Window> window;
  for (Operation &op : kernel.getBody().front()) {
    if (!op.hasTrait<Gathering>())
      continue;
    if (!isa<MaxPool2dGradientOp>(op) ||
        (window && !isSame(*window, poolWindowOf(&op))))
      return {};
    window = poolWindowOf(&op);
  }
  return window;
}

void sinter::addRowSums(KernelEmitter &e, ArrayRef<Indices> points) {
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
    Indices to = {points[0][0], points[0][2], e.currentSample()};
    Value memory = e.memory(result);
    Value before = vector::LoadOp::create(
        e.b, cast<VectorType>(total.getType()), memory, to);
    vector::StoreOp::create(e.b, arith::AddFOp::create(e.b, before, total),
                            memory, to);
  }
}
