//===- ImageBlocks.cpp - points of images, computed a few at once --------===//

#include "codegen/ImageBlocks.h"
#include "codegen/Pointers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
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
    : e(e), shape(shape), window(window) {
  if (!window) {
    high = wide = 2;
    down = {0, shape[0] / high};
    across = {0, shape[1] / wide};
    return;
  }
  int64_t points = (*window)[0].stride * (*window)[1].stride;
  if (points == 1 || points > kMostPointsOfBlock)
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
      ImageBlock block{{}, {}, unit, column};
      auto place = [&](Value number, int64_t size, int64_t offset) {
        return window ? e.inBlock(number, size, offset)
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
  constexpr unsigned toFirstCache = 3;
  auto prefetch = [&](Value tensor, Value row, Value column) {
    memref::PrefetchOp::create(
        e.b, e.memory(tensor),
        ValueRange{row, column, channel, e.currentSample()},
        /*isWrite=*/false, toFirstCache, /*isDataCache=*/true);
  };
  // How far the windows over a block go beyond its last pixel.
  auto reach = [](const WindowAxis &axis) {
    int64_t end = axis.pixel(WindowsOverBlock(axis).last, axis.taps);
    return std::max<int64_t>(end - axis.stride, 0);
  };
  for (Value tensor : e.kernel.getCaptured()) {
    RankedTensorType type = tensorTypeOf(tensor);
    ArrayRef<int64_t> size = featureShape(type);
    if (!isBatchMinor(type) || size.size() != 3 || size[2] != shape[2])
      continue;
    if (size == ArrayRef(shape)) {
      bool isSearched =
          window && llvm::any_of(tensor.getUsers(), [&](Operation *user) {
            auto gradient = dyn_cast<MaxPool2dGradientOp>(user);
            return gradient && gradient->getParentOp() == e.kernel &&
                   gradient.getX() == tensor;
          });
      int64_t below = isSearched ? reach((*window)[0]) : 0;
      int64_t beside = isSearched ? reach((*window)[1]) : 0;
      // The rows above are those that blocks above have seen.
      for (int64_t i = below; i < high + below; ++i)
        for (Value column : block.columns)
          prefetch(tensor, e.add(block.rows[0], i),
                   e.add(column, wide + beside));
    } else if (window && size[0] == (*window)[0].windows() &&
               size[1] == (*window)[1].windows()) {
      prefetch(tensor, e.add(block.down, WindowsOverBlock((*window)[0]).last),
               e.add(block.across, WindowsOverBlock((*window)[1]).last + 1));
    }
  }
}

KnownTaps::KnownTaps(KernelEmitter &e, const ImageBlocks &blocks,
                     const Window &window, int64_t channels)
    : e(e), down(blocks.insideDown()), across(blocks.insideAcross()),
      overDown(window[0]), overAcross(window[1]),
      slots(across.end - across.first + 1) {
  SmallVector<int64_t> shape = {slots + 1, channels, e.layout.padded()};
  int64_t ofWindow = shape[1] * shape[2], bytes = shape[0] * ofWindow;
  auto gradients = e.kernel.getBody().front().getOps<MaxPool2dGradientOp>();
  int64_t count = std::distance(gradients.begin(), gradients.end());
  if (!remembersMaxima(window, ofWindow * count))
    return;
  auto pointer = LLVM::LLVMPointerType::get(e.b.getContext());
  Value size = arith::ConstantOp::create(e.b, e.b.getI64IntegerAttr(bytes));
  for (MaxPool2dGradientOp gradient : gradients) {
    constexpr unsigned line = 64;
    Value start =
        LLVM::AllocaOp::create(e.b, pointer, e.b.getI8Type(), size, line);
    memories.push_back(
        {gradient, createMemRef(e.b, e.b.getLoc(), start, 0,
                                MemRefType::get(shape, e.b.getI8Type()))});
  }
}

Value KnownTaps::load(const Memory &memory, Value slot, Value channel) {
  auto bytes = cast<VectorType>(e.elementVector(e.b.getI8Type()));
  Value tap = vector::LoadOp::create(
      e.b, bytes, memory.taps, ValueRange{slot, channel, e.currentSample()});
  return arith::ExtUIOp::create(e.b, e.elementVector(e.b.getI32Type()), tap);
}

void KnownTaps::store(const Memory &memory, Value tap, Value slot,
                      Value channel) {
  Value byte =
      arith::TruncIOp::create(e.b, e.elementVector(e.b.getI8Type()), tap);
  vector::StoreOp::create(e.b, byte, memory.taps,
                          ValueRange{slot, channel, e.currentSample()});
}

void KnownTaps::begin(Value unit, Value firstUnit, Channels overChannels) {
  if (memories.empty())
    return;
  auto search = [&](int64_t row, Value slot) {
    Indices window = {e.inBlock(unit, 1, row),
                      e.inBlock(slot, 1, across.first + overAcross.first)};
    overChannels([&](Value channel) {
      for (const Memory &memory : memories) {
        if (row == overDown.last) // the one above it, before it is lost
          store(memory, load(memory, slot, channel), e.index(slots), channel);
        Value tap =
            e.maximalTap(memory.gradient, {window[0], window[1], channel});
        store(memory, tap, slot, channel);
      }
    });
  };
  auto countIf = [&](Value condition, int64_t count) {
    return arith::SelectOp::create(e.b, condition, e.index(count), e.index(0));
  };
  Value isInside = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                         e.add(unit, -down.first),
                                         e.index(down.end - down.first));
  Value first = arith::MaxUIOp::create(e.b, firstUnit, e.index(down.first));
  Value isFirst =
      arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, unit, first);
  isFirst = arith::AndIOp::create(e.b, isFirst, isInside);
  e.loop(e.index(0), countIf(isFirst, slots), 1,
         [&](Value slot) { search(overDown.first, slot); });
  e.loop(e.index(0), countIf(isInside, 1), 1,
         [&](Value slot) { search(overDown.last, slot); });
}

void KnownTaps::use(const ImageBlock &block, Value channel) {
  if (block.columns.size() == 1)
    return;
  auto window = [&](int64_t row, int64_t column) -> Indices {
    return {e.inBlock(block.down, 1, row), e.inBlock(block.across, 1, column),
            channel};
  };
  Value left = e.add(block.across, -across.first), right = e.add(left, 1);
  for (const Memory &memory : memories) {
    Value above = load(memory, right, channel);
    e.seedMaximalTap(memory.gradient, window(overDown.first, overAcross.first),
                     load(memory, e.index(slots), channel));
    e.seedMaximalTap(memory.gradient, window(overDown.first, overAcross.last),
                     above);
    e.seedMaximalTap(memory.gradient, window(overDown.last, overAcross.first),
                     load(memory, left, channel));
    Value tap =
        e.maximalTap(memory.gradient, window(overDown.last, overAcross.last));
    store(memory, above, e.index(slots), channel);
    store(memory, tap, right, channel);
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
