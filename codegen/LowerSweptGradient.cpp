//===- LowerSweptGradient.cpp - a filter gradient in the sweep of its dy -===//
//
// dw(i, j, c, f) = sum(r, q, n) x(r + i, q + j, c, n) dy(r, q, f, n), where dy
// is what a sweep makes: an activation's gradient, batch normalisation's, a
// pooling's. It goes from registers into the sums and is never stored.
//
//   for a part of the filters, this task's:
//     sums[f][tap] = 0, a vector each
//     for rows of blocks, for blocks of pixels:
//       for filters f, vectors of samples:
//         d = dy at all pixels of the block
//         row sums, and what else the sweep stores
//         for taps: sums[f][tap] += x at the tap of each pixel * d
//     dw = the sums of the lanes
//
// Pixels come in the order in which the sweep reads them: what is large is read
// once, from one end to the other. The sums of a task's filters lie in the L1
// cache: a block of four pixels loads and stores each of them once for four
// multiply-adds.
//
// Weakness: no more taps than a block's loads and stores can keep up with, so
// this is for images of few channels (ir/SweptGradient.h).
//
//===----------------------------------------------------------------------===//

#include "codegen/FilterGradient.h"
#include "codegen/ImageBlocks.h"
#include "ir/SweptGradient.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <map>

using namespace mlir;
using namespace sinter;

namespace {
class SweptGradientNest {
public:
  SweptGradientNest(KernelEmitter &e, Conv2dFilterGradientOp op)
      : e(e), op(op), conv(convolutionOf(op)),
        tiling(sweptTilingOf(op, e.layout.batchBound)) {}

  int64_t build();

private:
  /// A pixel of x under a block: counted from where tap (0, 0) of the block's
  /// first pixel is.
  using Offset = std::pair<int64_t, int64_t>;
  struct Pixel {
    Value exists, at; // the first of its channels, 0 where there is none
  };
  using Pixels = std::map<Offset, Pixel>;

  Offset offsetOf(size_t row, size_t column, int64_t i, int64_t j) const {
    const auto &[down, across] = conv.window;
    return {static_cast<int64_t>(row) * down.stride + i * down.dilation,
            static_cast<int64_t>(column) * across.stride + j * across.dilation};
  }
  Pixels pixelsUnder(const ImageBlock &block, Value &allExist);
  void buildBlock(const ImageBlocks &blocks, const ImageBlock &block);
  void buildPoints(const ImageBlock &block, const Pixels &pixels, Value filter,
                   bool isMasked);
  void clear();
  void finish();
  Value sumsAt(Value filter, Value tap) {
    Value number = arith::SubIOp::create(e.b, filter, firstFilter);
    return e.mul(e.sum(e.mul(number, tiling.taps), tap), e.lanes());
  }
  Value loadSums(Value at) {
    return vector::LoadOp::create(e.b, vectorType, scratch,
                                  ValueRange{e.task, at});
  }
  void storeSums(Value value, Value at) {
    vector::StoreOp::create(e.b, value, scratch, ValueRange{e.task, at});
  }

  KernelEmitter &e;
  Conv2dFilterGradientOp op;
  Convolution conv;
  SweptGradientTiling tiling;
  VectorType vectorType;
  Value x, dw, scratch; // (features, lanes), flat, (tasks, floats)
  Value firstFilter, endFilter;
};
} // namespace

SweptGradientNest::Pixels
SweptGradientNest::pixelsUnder(const ImageBlock &block, Value &allExist) {
  const auto &[down, across] = conv.window;
  struct Place {
    Value at, exists;
  };
  auto places = [&](const WindowAxis &axis, ArrayRef<Value> points) {
    std::map<int64_t, Place> result;
    Value first = e.add(e.mul(points[0], axis.stride), -axis.low);
    for (size_t point = 0; point < points.size(); ++point)
      for (int64_t tap = 0; tap < axis.taps; ++tap) {
        int64_t offset =
            static_cast<int64_t>(point) * axis.stride + tap * axis.dilation;
        if (result.count(offset))
          continue;
        Value at = e.add(first, offset);
        // As an unsigned number, one before the first is behind the last.
        Value exists = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, at,
                                             e.index(axis.pixels));
        result[offset] = {at, exists};
      }
    return result;
  };
  auto both = [&](Value a, Value b) -> Value {
    return arith::AndIOp::create(e.b, a, b);
  };
  std::map<int64_t, Place> rows = places(down, block.rows),
                           columns = places(across, block.columns);
  allExist = both(
      both(rows.begin()->second.exists, rows.rbegin()->second.exists),
      both(columns.begin()->second.exists, columns.rbegin()->second.exists));
  Pixels pixels;
  for (auto &[u, row] : rows)
    for (auto &[v, column] : columns) {
      Value exists = both(row.exists, column.exists);
      Value number = e.sum(e.mul(row.at, across.pixels), column.at);
      Value at = arith::SelectOp::create(
          e.b, exists, e.mul(number, conv.channels), e.index(0));
      pixels[{u, v}] = {exists, at};
    }
  return pixels;
}

/// dy at the points of the block for one filter and vector of samples, and what
/// comes of it.
void SweptGradientNest::buildPoints(const ImageBlock &block,
                                    const Pixels &pixels, Value filter,
                                    bool isMasked) {
  Value sample = e.currentSample();
  SmallVector<SmallVector<Value>> gradients; // by row, by column
  for (size_t r = 0; r < block.rows.size(); ++r) {
    SmallVector<Indices> points;
    gradients.emplace_back();
    for (size_t c = 0; c < block.columns.size(); ++c) {
      points.push_back(block.point(r, c, filter));
      e.storeAll(points.back(),
                 [](RankedTensorType type) { return isBatched(type); });
      gradients.back().push_back(e.emit(op.getDy(), points.back()));
    }
    addRowSums(e, points);
  }

  std::map<Offset, Value> masks;
  if (isMasked) {
    auto maskType = VectorType::get({e.lanes()}, e.b.getI1Type());
    Value rest = arith::SubIOp::create(e.b, e.batch, sample);
    for (auto &[offset, pixel] : pixels) {
      Value live = arith::SelectOp::create(e.b, pixel.exists, rest, e.index(0));
      masks[offset] = vector::CreateMaskOp::create(e.b, maskType, live);
    }
  }
  const auto &[down, across] = conv.window;
  std::map<std::pair<Offset, int64_t>, Value> loaded;
  auto pixelAt = [&](Offset offset, int64_t channel) {
    Value &value = loaded[{offset, channel}];
    if (value)
      return value;
    SmallVector<Value, 2> from = {e.add(pixels.at(offset).at, channel), sample};
    if (isMasked)
      value = vector::MaskedLoadOp::create(e.b, vectorType, x, from,
                                           masks[offset], e.vectorConstant(0));
    else
      value = vector::LoadOp::create(e.b, vectorType, x, from);
    return value;
  };
  Value first = sumsAt(filter, e.index(0));
  int64_t tap = 0;
  for (int64_t i = 0; i < down.taps; ++i)
    for (int64_t j = 0; j < across.taps; ++j)
      for (int64_t channel = 0; channel < conv.channels; ++channel, ++tap) {
        Value at = e.add(first, tap * e.lanes());
        Value sums = loadSums(at);
        for (size_t r = 0; r < block.rows.size(); ++r)
          for (size_t c = 0; c < block.columns.size(); ++c) {
            Offset offset = offsetOf(r, c, i, j);
            Value next = vector::FMAOp::create(e.b, pixelAt(offset, channel),
                                               gradients[r][c], sums);
            // What is not there adds nothing, not even 0 times NaN.
            sums = isMasked
                       ? arith::SelectOp::create(e.b, masks[offset], next, sums)
                             .getResult()
                       : next;
          }
        storeSums(sums, at);
      }
}

void SweptGradientNest::buildBlock(const ImageBlocks &blocks,
                                   const ImageBlock &block) {
  Value allExist;
  Pixels pixels = pixelsUnder(block, allExist);
  Value whole = e.mul(arith::DivUIOp::create(e.b, e.batch, e.index(e.lanes())),
                      e.lanes());
  Value plain = arith::SelectOp::create(e.b, allExist, whole, e.index(0));
  e.loop(firstFilter, endFilter, 1, [&](Value filter) {
    auto build = [&](bool isMasked) {
      return [&, isMasked](Value sample) {
        e.setSample(sample);
        blocks.prefetchNext(block, filter);
        buildPoints(block, pixels, filter, isMasked);
      };
    };
    e.loop(e.index(0), plain, e.lanes(), build(false));
    // At the border, and where samples end.
    e.loop(plain, e.batch, e.lanes(), build(true));
  });
}

void SweptGradientNest::clear() {
  e.loop(firstFilter, endFilter, 1, [&](Value filter) {
    e.loop(e.index(0), e.index(tiling.taps), 1, [&](Value tap) {
      storeSums(e.vectorConstant(0), sumsAt(filter, tap));
      memref::StoreOp::create(
          e.b, arith::ConstantOp::create(e.b, e.b.getF32FloatAttr(0)), dw,
          e.sum(e.mul(tap, conv.filters), filter));
    });
  });
}

void SweptGradientNest::finish() {
  e.loop(firstFilter, endFilter, 1, [&](Value filter) {
    SmallVector<Value> sums;
    for (int64_t tap = 0; tap < tiling.taps; ++tap)
      sums.push_back(loadSums(sumsAt(filter, e.index(tap))));
    addLaneSums(e, sums, /*columns=*/1, dw,
                [&](int64_t tap) { return e.add(filter, tap * conv.filters); });
  });
}

int64_t SweptGradientNest::build() {
  e.setLanes(Lanes::Samples);
  vectorType = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  x = e.memory(conv.image, /*flat=*/true);
  scratch = e.memory(e.kernel.getResults().back());
  for (auto [inside, result] :
       llvm::zip_equal(e.kernel.getYield().getValues(), e.kernel.getResults()))
    if (inside == op.getResult())
      dw = e.memory(result, /*flat=*/true);

  const auto &[down, across] = conv.window;
  ImageBlocks blocks(e, {down.windows(), across.windows(), conv.filters},
                     pooledWindow(e.kernel));
  std::tie(firstFilter, endFilter) = e.taskRange(conv.filters, tiling.tasks);
  clear();
  e.loop(e.index(0), e.index(blocks.units()), 1, [&](Value unit) {
    auto [firstRow, endRow] = blocks.rowsOf(unit);
    if (e.hasRowSums())
      e.loop(firstRow, endRow, 1, [&](Value row) {
        e.loop(firstFilter, endFilter, 1, [&](Value filter) {
          e.loop(e.index(0), e.batch, e.lanes(), [&](Value sample) {
            e.setSample(sample);
            e.clearRowSums(row, filter);
          });
        });
      });
    blocks.over(unit,
                [&](const ImageBlock &block) { buildBlock(blocks, block); });
  });
  finish();
  return tiling.tasks;
}

int64_t sinter::lowerSweptGradient(KernelEmitter &e,
                                   Conv2dFilterGradientOp op) {
  return SweptGradientNest(e, op).build();
}
