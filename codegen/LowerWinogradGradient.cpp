//===- LowerWinogradGradient.cpp - du = sum of (A dy A') * (B' x B) ------===//
//
// For one of the 16 taps, du is a product of two matrices, channels by filters,
// that contracts the tiles of all images. Each tap is on its own, so a unit
// owns what it sums: no partial results between tasks.
//
//   for unit in this task's part of taps x parts of the filters:
//     du[tap][c][f..] = 0
//     for chunks of tiles, n = (tile, sample) in the chunk:
//       scratch D[f][n] = A dy A' at the tap
//       for channels c, C at a time:
//         scratch V[C][n] = B' x B at the tap
//         for filters f, F at a time:
//           acc[C][F] = sum(n) V[c][n] * D[f][n], a sum in each lane
//           du[tap][c][f] += the sum of acc[c][f]'s lanes
//
// An element of B' x B at one tap is a sum of four pixels, of A dy A' of one to
// four; which, and their signs, are numbers at run time, so one loop nest
// serves all taps. Lanes behind the last sample are 0.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelEmitter.h"
#include "codegen/TileChoice.h"
#include "ir/Winograd.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
/// Two terms of a transform along one axis: pixels of the tile and their
/// factors, which depend on the tap.
struct Terms {
  std::array<Value, 2> pixel, factor; // index; vector
};

class WinogradGradientNest {
public:
  explicit WinogradGradientNest(KernelEmitter &e);
  int64_t build();

private:
  void buildUnit(Value tap, Value firstFilter, Value filters);
  void transform(Value image, const Window &window, bool isResult,
                 const std::array<Terms, 2> &terms, Value channels,
                 Value firstChannel, Value count, Value to);
  void buildProduct(Value tap, Value firstChannel, int64_t channels,
                    Value filterInPart, Value filter, int64_t filters);
  Terms imageTerms(Value tap);
  Terms resultTerms(Value tap);

  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value product(Value x, Value y) { return arith::MulIOp::create(e.b, x, y); }
  Value equals(Value x, int64_t y) {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, x, e.index(y));
  }
  Value least(Value x, Value y) { return arith::MinSIOp::create(e.b, x, y); }
  /// `values[tap]`.
  template <typename Make>
  Value choose(Value tap, std::array<int64_t, 4> values, Make make) {
    Value result = make(values[3]);
    for (int64_t i = 2; i >= 0; --i)
      result =
          arith::SelectOp::create(e.b, equals(tap, i), make(values[i]), result);
    return result;
  }

  KernelEmitter &e;
  WinogradFilterGradientOp op;
  Convolution conv;
  WinogradGradientTiling tiling;
  FilterTile tile{1, 1};
  VectorType vectorType;
  Value x, dy, du, scratch; // (features, lanes) twice, flat, (tasks, floats)
  Value vectors;            // that the batch's samples fill
  // The current chunk.
  Value firstTile, columns;
};
} // namespace

WinogradGradientNest::WinogradGradientNest(KernelEmitter &e)
    : e(e), op(*e.kernel.getBody()
                    .front()
                    .getOps<WinogradFilterGradientOp>()
                    .begin()),
      conv(convolutionOf(op)), tiling(tilingOf(op, e.layout.batchBound)) {
  e.setLanes(Lanes::Samples);
  vectorType = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  x = e.memory(conv.image, /*flat=*/true);
  dy = e.memory(conv.result, /*flat=*/true);
  du = e.memory(e.kernel.getResult(0), /*flat=*/true);
  scratch = e.memory(e.kernel.getResult(1));
}

//===----------------------------------------------------------------------===//
// Transforms at one tap
//===----------------------------------------------------------------------===//

/// Rows of B': x0 - x2, x1 + x2, x2 - x1, x1 - x3.
Terms WinogradGradientNest::imageTerms(Value tap) {
  auto pixel = [&](int64_t i) { return e.index(i); };
  auto factor = [&](int64_t f) { return e.vectorConstant(f); };
  return {{choose(tap, {0, 1, 2, 1}, pixel), choose(tap, {2, 2, 1, 3}, pixel)},
          {factor(1), choose(tap, {-1, 1, -1, -1}, factor)}};
}

/// Rows of A: y0, y0 + y1, y0 - y1, -y1.
Terms WinogradGradientNest::resultTerms(Value tap) {
  auto factor = [&](int64_t f) { return e.vectorConstant(f); };
  return {
      {e.index(0), e.index(1)},
      {choose(tap, {1, 1, 1, 0}, factor), choose(tap, {0, 1, -1, -1}, factor)}};
}

/// For `count` channels from `firstChannel` on, and all tiles of the chunk:
/// sums of the four pixels that `terms` name, to scratch from `to` on.
void WinogradGradientNest::transform(Value image, const Window &window,
                                     bool isResult,
                                     const std::array<Terms, 2> &terms,
                                     Value channels, Value firstChannel,
                                     Value count, Value to) {
  const auto &[down, across] = window;
  int64_t height = isResult ? down.windows() : down.pixels;
  int64_t width = isResult ? across.windows() : across.pixels;
  auto maskType = VectorType::get({e.lanes()}, e.b.getI1Type());
  Value zero = e.vectorConstant(0);
  Value lastTile = least(e.index(tiling.tilesDown * tiling.tilesAcross),
                         e.add(firstTile, tiling.chunk));
  e.loop(firstTile, lastTile, 1, [&](Value tileNumber) {
    Value acrossTiles = e.index(tiling.tilesAcross);
    auto place = [&](Value number, int64_t low) {
      return e.add(e.mul(number, 2), isResult ? 0 : -low);
    };
    Value row =
        place(arith::DivUIOp::create(e.b, tileNumber, acrossTiles), down.low);
    Value column =
        place(arith::RemUIOp::create(e.b, tileNumber, acrossTiles), across.low);
    std::array<Value, 4> at, exists;
    for (int64_t i = 0; i < 4; ++i) {
      Value h = sum(row, terms[0].pixel[i / 2]);
      Value w = sum(column, terms[1].pixel[i % 2]);
      auto inside = [&](Value pixel, int64_t size) {
        return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, pixel,
                                     e.index(size));
      };
      exists[i] =
          arith::AndIOp::create(e.b, inside(h, height), inside(w, width));
      Value pixel = sum(e.mul(h, width), w);
      pixel = arith::SelectOp::create(e.b, exists[i], pixel, e.index(0));
      at[i] = sum(product(pixel, channels), firstChannel);
    }
    Value tileInChunk = arith::SubIOp::create(e.b, tileNumber, firstTile);
    Value column0 = sum(to, product(tileInChunk, columns));
    e.loop(e.index(0), vectors, 1, [&](Value v) {
      Value sample = e.mul(v, e.lanes());
      Value rest = arith::SubIOp::create(e.b, e.batch, sample);
      std::array<Value, 4> masks;
      for (int64_t i = 0; i < 4; ++i) {
        Value live = arith::SelectOp::create(e.b, exists[i], rest, e.index(0));
        masks[i] = vector::CreateMaskOp::create(e.b, maskType, live);
      }
      Value out = sum(column0, sample);
      e.loop(e.index(0), count, 1, [&](Value c) {
        std::array<Value, 4> values;
        for (int64_t i = 0; i < 4; ++i)
          values[i] = vector::MaskedLoadOp::create(
              e.b, vectorType, image, ValueRange{sum(at[i], c), sample},
              masks[i], zero);
        auto combine = [&](const Terms &t, Value p, Value q) -> Value {
          Value first =
              isResult ? arith::MulFOp::create(e.b, t.factor[0], p).getResult()
                       : p;
          return vector::FMAOp::create(e.b, t.factor[1], q, first);
        };
        Value upper = combine(terms[1], values[0], values[1]);
        Value lower = combine(terms[1], values[2], values[3]);
        vector::StoreOp::create(
            e.b, combine(terms[0], upper, lower), scratch,
            ValueRange{e.task, sum(out, e.mul(c, tiling.columns))});
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// `channels` of the transformed image times `filters` of the transformed
/// gradient.
void WinogradGradientNest::buildProduct(Value tap, Value firstChannel,
                                        int64_t channels, Value filterInPart,
                                        Value filter, int64_t filters) {
  Value lastTile = least(e.index(tiling.tilesDown * tiling.tilesAcross),
                         e.add(firstTile, tiling.chunk));
  Value count = arith::SubIOp::create(e.b, lastTile, firstTile);
  Value end = product(count, columns);
  Value firstD = e.mul(filterInPart, tiling.columns);
  Value firstV = e.index(tiling.filters * tiling.columns);
  SmallVector<Value> acc(channels * filters, e.vectorConstant(0));
  auto load = [&](Value at) -> Value {
    return vector::LoadOp::create(e.b, vectorType, scratch,
                                  ValueRange{e.task, at});
  };
  acc =
      e.loop(e.index(0), end, e.lanes(), acc, [&](Value n, ValueRange before) {
        SmallVector<Value> next(before), ds;
        Value fromD = sum(firstD, n), fromV = sum(firstV, n);
        for (int64_t f = 0; f < filters; ++f)
          ds.push_back(load(e.add(fromD, f * tiling.columns)));
        for (int64_t c = 0; c < channels; ++c) {
          Value v = load(e.add(fromV, c * tiling.columns));
          for (int64_t f = 0; f < filters; ++f)
            next[c * filters + f] =
                vector::FMAOp::create(e.b, v, ds[f], next[c * filters + f]);
        }
        return next;
      });
  Value row = sum(e.mul(tap, conv.channels), firstChannel);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t f = 0; f < filters; ++f) {
      Value total = vector::ReductionOp::create(e.b, vector::CombiningKind::ADD,
                                                acc[c * filters + f],
                                                arith::FastMathFlags::reassoc);
      Value at = sum(e.mul(e.add(row, c), conv.filters), e.add(filter, f));
      Value before = memref::LoadOp::create(e.b, du, at);
      memref::StoreOp::create(e.b, arith::AddFOp::create(e.b, before, total),
                              du, at);
    }
}

void WinogradGradientNest::buildUnit(Value tap, Value firstFilter,
                                     Value filters) {
  Value zero = arith::ConstantOp::create(e.b, e.b.getF32FloatAttr(0));
  e.loop(e.index(0), e.index(conv.channels), 1, [&](Value c) {
    Value row = sum(e.mul(tap, conv.channels), c);
    Value from = sum(e.mul(row, conv.filters), firstFilter);
    e.loop(e.index(0), filters, 1, [&](Value f) {
      memref::StoreOp::create(e.b, zero, du, sum(from, f));
    });
  });

  Value down = arith::DivUIOp::create(e.b, tap, e.index(4));
  Value across = arith::RemUIOp::create(e.b, tap, e.index(4));
  std::array<Terms, 2> image = {imageTerms(down), imageTerms(across)};
  std::array<Terms, 2> result = {resultTerms(down), resultTerms(across)};

  auto inParts = [&](int64_t total, int64_t size,
                     llvm::function_ref<void(Value, int64_t)> body) {
    int64_t whole = total / size * size;
    if (whole > 0)
      e.loop(e.index(0), e.index(whole), size,
             [&](Value at) { body(at, size); });
    if (whole < total)
      e.scope([&] { body(e.index(whole), total - whole); });
  };
  auto overFilters = [&](llvm::function_ref<void(Value, int64_t)> body) {
    if (tiling.filterParts * tiling.filters == conv.filters)
      return inParts(tiling.filters, tile.filters, body);
    // The last part is smaller: what is left of it goes one by one.
    Value rest = arith::RemUIOp::create(e.b, filters, e.index(tile.filters));
    Value whole = arith::SubIOp::create(e.b, filters, rest);
    e.loop(e.index(0), whole, tile.filters,
           [&](Value f) { body(f, tile.filters); });
    e.loop(whole, filters, 1, [&](Value f) { body(f, 1); });
  };

  e.loop(e.index(0), e.index(tiling.chunks), 1, [&](Value chunk) {
    firstTile = e.mul(chunk, tiling.chunk);
    transform(dy, conv.window, /*isResult=*/true, result, e.index(conv.filters),
              firstFilter, filters, e.index(0));
    inParts(conv.channels, tile.channels, [&](Value c, int64_t channels) {
      transform(x, conv.window, /*isResult=*/false, image,
                e.index(conv.channels), c, e.index(channels),
                e.index(tiling.filters * tiling.columns));
      overFilters([&](Value f, int64_t count) {
        buildProduct(tap, c, channels, f, sum(firstFilter, f), count);
      });
    });
  });
}

int64_t WinogradGradientNest::build() {
  tile = chooseFilterTile(conv.channels, tiling.filters, /*taps=*/1,
                          e.layout.target);
  tile.channels = std::min(tile.channels, WinogradGradientTiling::maxChannels);
  vectors = arith::DivUIOp::create(e.b, e.add(e.batch, e.lanes() - 1),
                                   e.index(e.lanes()));
  columns = e.mul(vectors, e.lanes());

  auto [low, high] = e.taskRange(tiling.units(), tiling.tasks);
  e.loop(low, high, 1, [&](Value unit) {
    Value parts = e.index(tiling.filterParts);
    Value tap = arith::DivUIOp::create(e.b, unit, parts);
    Value part = arith::RemUIOp::create(e.b, unit, parts);
    Value firstFilter = e.mul(part, tiling.filters);
    Value left = arith::SubIOp::create(e.b, e.index(conv.filters), firstFilter);
    buildUnit(tap, firstFilter, least(e.index(tiling.filters), left));
  });
  return tiling.tasks;
}

FailureOr<int64_t> sinter::lowerWinogradGradient(KernelEmitter &e) {
  return WinogradGradientNest(e).build();
}
