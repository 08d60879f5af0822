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
/// Two rows of pixels of a tile and their factors, which depend on the row of
/// taps.
struct Rows {
  std::array<Value, 2> pixel, factor; // index; vector
};

class WinogradGradientNest {
public:
  explicit WinogradGradientNest(KernelEmitter &e);
  int64_t build();

private:
  void buildUnit(Value tapRow, Value firstFilter, Value filters);
  void transform(Value image, bool isResult, const Rows &rows,
                 Value firstChannel, Value count, Value to, int64_t tapFloats);
  void buildProduct(Value tapRow, Value tap, Value firstChannel,
                    int64_t channels, Value filterInPart, Value filter,
                    int64_t filters);
  Value sumLanes(ArrayRef<Value> vectors);
  void addTo(Value at, Value sums);
  Rows imageRows(Value tapRow);
  Rows resultRows(Value tapRow);

  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value product(Value x, Value y) { return arith::MulIOp::create(e.b, x, y); }
  Value equals(Value x, int64_t y) {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, x, e.index(y));
  }
  Value least(Value x, Value y) { return arith::MinSIOp::create(e.b, x, y); }
  Value lastTile() {
    return least(e.index(tiling.tilesDown * tiling.tilesAcross),
                 e.add(firstTile, tiling.chunk));
  }
  int64_t resultTapFloats() const { return tiling.filters * tiling.columns; }
  int64_t imageTapFloats() const {
    return WinogradGradientTiling::maxChannels * tiling.columns;
  }
  /// `values[row]`.
  template <typename Make>
  Value choose(Value row, std::array<int64_t, 4> values, Make make) {
    Value result = make(values[3]);
    for (int64_t i = 2; i >= 0; --i)
      result =
          arith::SelectOp::create(e.b, equals(row, i), make(values[i]), result);
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
// Transforms of one row of taps
//===----------------------------------------------------------------------===//

/// Rows of B': x0 - x2, x1 + x2, x2 - x1, x1 - x3.
Rows WinogradGradientNest::imageRows(Value tapRow) {
  auto pixel = [&](int64_t i) { return e.index(i); };
  auto factor = [&](int64_t f) { return e.vectorConstant(f); };
  return {{choose(tapRow, {0, 1, 2, 1}, pixel),
           choose(tapRow, {2, 2, 1, 3}, pixel)},
          {factor(1), choose(tapRow, {-1, 1, -1, -1}, factor)}};
}

/// Rows of A: y0, y0 + y1, y0 - y1, -y1.
Rows WinogradGradientNest::resultRows(Value tapRow) {
  auto factor = [&](int64_t f) { return e.vectorConstant(f); };
  return {{e.index(0), e.index(1)},
          {choose(tapRow, {1, 1, 1, 0}, factor),
           choose(tapRow, {0, 1, -1, -1}, factor)}};
}

/// For `count` channels from `firstChannel` on, and all tiles of the chunk: the
/// row's four elements, to scratch from `to` on, `tapFloats` from tap to tap.
void WinogradGradientNest::transform(Value image, bool isResult,
                                     const Rows &rows, Value firstChannel,
                                     Value count, Value to, int64_t tapFloats) {
  const auto &[down, across] = conv.window;
  int64_t height = isResult ? down.windows() : down.pixels;
  int64_t width = isResult ? across.windows() : across.pixels;
  int64_t channels = isResult ? conv.filters : conv.channels;
  int64_t pixels = isResult ? 2 : 4; // of a tile's row
  auto maskType = VectorType::get({e.lanes()}, e.b.getI1Type());
  Value zero = e.vectorConstant(0);
  auto isBelow = [&](Value pixel, int64_t size) -> Value {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, pixel,
                                 e.index(size));
  };
  auto both = [&](Value x, Value y) -> Value {
    return arith::AndIOp::create(e.b, x, y);
  };
  e.loop(firstTile, lastTile(), 1, [&](Value tileNumber) {
    Value acrossTiles = e.index(tiling.tilesAcross);
    auto place = [&](Value number, int64_t low) {
      return e.add(e.mul(number, 2), isResult ? 0 : -low);
    };
    Value row =
        place(arith::DivUIOp::create(e.b, tileNumber, acrossTiles), down.low);
    Value column =
        place(arith::RemUIOp::create(e.b, tileNumber, acrossTiles), across.low);
    // Of the two rows, one behind the other.
    SmallVector<Value> at, exists;
    Value allExist;
    for (int64_t k = 0; k < 2; ++k)
      for (int64_t l = 0; l < pixels; ++l) {
        Value h = sum(row, rows.pixel[k]), w = e.add(column, l);
        exists.push_back(both(isBelow(h, height), isBelow(w, width)));
        allExist = allExist ? both(allExist, exists.back()) : exists.back();
        Value pixel = arith::SelectOp::create(
            e.b, exists.back(), sum(e.mul(h, width), w), e.index(0));
        at.push_back(sum(e.mul(pixel, channels), firstChannel));
      }
    Value tileInChunk = arith::SubIOp::create(e.b, tileNumber, firstTile);
    Value firstColumn = sum(to, product(tileInChunk, columns));
    auto build = [&](Value v, bool isMasked) {
      Value sample = e.mul(v, e.lanes());
      SmallVector<Value> masks;
      if (isMasked) {
        Value rest = arith::SubIOp::create(e.b, e.batch, sample);
        for (Value each : exists) {
          Value live = arith::SelectOp::create(e.b, each, rest, e.index(0));
          masks.push_back(vector::CreateMaskOp::create(e.b, maskType, live));
        }
      }
      Value out = sum(firstColumn, sample);
      e.loop(e.index(0), count, 1, [&](Value c) {
        auto load = [&](int64_t i) -> Value {
          std::array<Value, 2> from = {sum(at[i], c), sample};
          if (isMasked)
            return vector::MaskedLoadOp::create(e.b, vectorType, image, from,
                                                masks[i], zero);
          return vector::LoadOp::create(e.b, vectorType, image, from);
        };
        SmallVector<Value> t;
        for (int64_t l = 0; l < pixels; ++l) {
          Value upper = load(l);
          if (isResult)
            upper = arith::MulFOp::create(e.b, rows.factor[0], upper);
          t.push_back(vector::FMAOp::create(e.b, rows.factor[1],
                                            load(pixels + l), upper));
        }
        auto add = [&](Value x, Value y) -> Value {
          return arith::AddFOp::create(e.b, x, y);
        };
        auto sub = [&](Value x, Value y) -> Value {
          return arith::SubFOp::create(e.b, x, y);
        };
        std::array<Value, 4> taps;
        if (isResult)
          taps = {t[0], add(t[0], t[1]), sub(t[0], t[1]),
                  arith::NegFOp::create(e.b, t[1])};
        else
          taps = {sub(t[0], t[2]), add(t[1], t[2]), sub(t[2], t[1]),
                  sub(t[1], t[3])};
        Value first = sum(out, e.mul(c, tiling.columns));
        for (int64_t tap = 0; tap < 4; ++tap)
          vector::StoreOp::create(
              e.b, taps[tap], scratch,
              ValueRange{e.task, e.add(first, tap * tapFloats)});
      });
    };
    // Masks for tiles at a border, and for samples behind the last.
    Value whole = arith::DivUIOp::create(e.b, e.batch, e.index(e.lanes()));
    Value plain = arith::SelectOp::create(e.b, allExist, whole, e.index(0));
    e.loop(e.index(0), plain, 1, [&](Value v) { build(v, false); });
    e.loop(plain, vectors, 1, [&](Value v) { build(v, true); });
  });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// `channels` of the transformed image times `filters` of the transformed
/// gradient, at one tap.
void WinogradGradientNest::buildProduct(Value tapRow, Value tap,
                                        Value firstChannel, int64_t channels,
                                        Value filterInPart, Value filter,
                                        int64_t filters) {
  Value count = arith::SubIOp::create(e.b, lastTile(), firstTile);
  Value end = product(count, columns);
  Value firstD =
      sum(e.mul(tap, resultTapFloats()), e.mul(filterInPart, tiling.columns));
  Value firstV = e.add(e.mul(tap, imageTapFloats()), 4 * resultTapFloats());
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
  Value row =
      sum(e.mul(sum(e.mul(tapRow, 4), tap), conv.channels), firstChannel);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t f = 0; f < filters;) {
      Value at = sum(e.mul(e.add(row, c), conv.filters), e.add(filter, f));
      ArrayRef<Value> sums = ArrayRef(acc).drop_front(c * filters + f);
      if (f + 4 <= filters && e.lanes() >= 4) {
        addTo(at, sumLanes(sums.take_front(4)));
        f += 4;
      } else {
        addTo(at, vector::ReductionOp::create(e.b, vector::CombiningKind::ADD,
                                              sums.front(),
                                              arith::FastMathFlags::reassoc));
        ++f;
      }
    }
}

/// The sums of the lanes of four vectors, as one vector of four.
Value WinogradGradientNest::sumLanes(ArrayRef<Value> vectors) {
  int64_t lanes = e.lanes();
  auto fold = [&](Value x, Value y, ArrayRef<int64_t> left,
                  ArrayRef<int64_t> right) -> Value {
    return arith::AddFOp::create(e.b,
                                 vector::ShuffleOp::create(e.b, x, y, left),
                                 vector::ShuffleOp::create(e.b, x, y, right));
  };
  // In each four lanes: x0+x1 y0+y1 x2+x3 y2+y3; then the sums of all four of
  // a, b, c, d.
  SmallVector<int64_t> even, odd, low, high;
  for (int64_t i = 0; i < lanes; i += 2) {
    even.append({i, lanes + i});
    odd.append({i + 1, lanes + i + 1});
  }
  for (int64_t i = 0; i < lanes; i += 4) {
    low.append({i, i + 1, lanes + i, lanes + i + 1});
    high.append({i + 2, i + 3, lanes + i + 2, lanes + i + 3});
  }
  Value ab = fold(vectors[0], vectors[1], even, odd);
  Value cd = fold(vectors[2], vectors[3], even, odd);
  Value sum = fold(ab, cd, low, high);
  for (int64_t size = lanes; size > 4; size /= 2) {
    SmallVector<int64_t> lower, upper;
    for (int64_t i = 0; i < size / 2; ++i) {
      lower.push_back(i);
      upper.push_back(size / 2 + i);
    }
    sum = fold(sum, sum, lower, upper);
  }
  return sum;
}

void WinogradGradientNest::addTo(Value at, Value sums) {
  if (auto type = dyn_cast<VectorType>(sums.getType())) {
    Value before = vector::LoadOp::create(e.b, type, du, at);
    vector::StoreOp::create(e.b, arith::AddFOp::create(e.b, before, sums), du,
                            at);
    return;
  }
  Value before = memref::LoadOp::create(e.b, du, at);
  memref::StoreOp::create(e.b, arith::AddFOp::create(e.b, before, sums), du,
                          at);
}

void WinogradGradientNest::buildUnit(Value tapRow, Value firstFilter,
                                     Value filters) {
  Value zero = arith::ConstantOp::create(e.b, e.b.getF32FloatAttr(0));
  e.loop(e.index(0), e.index(4 * conv.channels), 1, [&](Value c) {
    Value row = sum(e.mul(tapRow, 4 * conv.channels), c);
    Value from = sum(e.mul(row, conv.filters), firstFilter);
    e.loop(e.index(0), filters, 1, [&](Value f) {
      memref::StoreOp::create(e.b, zero, du, sum(from, f));
    });
  });

  Rows image = imageRows(tapRow), result = resultRows(tapRow);
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
    transform(dy, /*isResult=*/true, result, firstFilter, filters, e.index(0),
              resultTapFloats());
    inParts(conv.channels, tile.channels, [&](Value c, int64_t channels) {
      transform(x, /*isResult=*/false, image, c, e.index(channels),
                e.index(4 * resultTapFloats()), imageTapFloats());
      e.loop(e.index(0), e.index(4), 1, [&](Value tap) {
        overFilters([&](Value f, int64_t count) {
          buildProduct(tapRow, tap, c, channels, f, sum(firstFilter, f), count);
        });
      });
    });
  });
}

int64_t WinogradGradientNest::build() {
  tile = chooseFilterTile(
      e, op,
      rankFilterTiles(conv.channels, tiling.filters, /*taps=*/1,
                      WinogradGradientTiling::maxChannels, e.layout.target),
      /*unitsOf=*/[](FilterTile) { return 1; }, /*enough=*/1);
  vectors = arith::DivUIOp::create(e.b, e.add(e.batch, e.lanes() - 1),
                                   e.index(e.lanes()));
  columns = e.mul(vectors, e.lanes());

  auto [low, high] = e.taskRange(tiling.units(), tiling.tasks);
  e.loop(low, high, 1, [&](Value unit) {
    Value parts = e.index(tiling.filterParts);
    Value tapRow = arith::DivUIOp::create(e.b, unit, parts);
    Value part = arith::RemUIOp::create(e.b, unit, parts);
    Value firstFilter = e.mul(part, tiling.filters);
    Value left = arith::SubIOp::create(e.b, e.index(conv.filters), firstFilter);
    buildUnit(tapRow, firstFilter, least(e.index(tiling.filters), left));
  });
  return tiling.tasks;
}

FailureOr<int64_t> sinter::lowerWinogradGradient(KernelEmitter &e) {
  return WinogradGradientNest(e).build();
}
