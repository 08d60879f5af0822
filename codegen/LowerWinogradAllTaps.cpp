//===- LowerWinogradAllTaps.cpp - the filter's gradient without du --------===//
//
// Where images are small and filters many, du is far larger than dw, and leaves
// the cache before it is transformed. Here a unit owns all taps of some
// channels and filters: du is never stored.
//
//   for unit in this task's part of parts of the filters x blocks of channels:
//     for a new part: scratch D[tap][n][f] = A dy A', n = (tile, sample)
//     scratch: the pixels of x, side by side
//     scratch V[tap][c][n] = B' x B
//     for panels of F vectors of the part's filters, C of the block's channels:
//       for taps:
//         some rows of the dw before: epilogue, store
//         acc[C][F] = sum(n) broadcast V[tap][c][n] * D[tap][n][f..]
//         scratch M[tap][c][f..] = acc
//       scratch dw[..][c][f..] = G' M G
//
// dw, and the weights that an epilogue updates, lie in memory: few lines at a
// time, asked for some taps ahead, come and go while the products run.
//
// D of a part and V of a block stay in the L2 cache. FilterPanels.h says why
// filters are in the lanes. Samples behind the last are 0. Tiles are in an
// order (WinogradTiles.h) in which those with products at a tap are side by
// side.
//
//===----------------------------------------------------------------------===//

#include "codegen/EpilogueMemory.h"
#include "codegen/FilterPanels.h"
#include "codegen/TileChoice.h"
#include "codegen/WinogradTiles.h"
#include "ir/Winograd.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

using namespace mlir;
using namespace sinter;

namespace {
class AllTapsNest {
public:
  explicit AllTapsNest(KernelEmitter &e);
  int64_t build();

private:
  void
  overTiles(llvm::function_ref<void(const TileOrder::Place &, Value)> body);
  void overSamples(llvm::function_ref<void(Value)> body);
  Value existing(Value sample, int64_t together);
  void turnTile(const TileOrder::Place &place);
  void transformResult();
  void copyImage(int64_t channels);
  void transformImage(int64_t channels);
  /// Some channels of the block, and the vectors of a panel: a tile.
  struct Part {
    Value filter, channel; // of the unit's
    ArrayRef<VectorPiece> pieces;
    int64_t channels;
  };
  void buildProduct(Value tap, const Part &part);
  void transformProducts(const Part &part);
  void overRows(Value number, llvm::function_ref<void(Value, Value)> body);
  Indices placeOf(Value tap, Value channel, Value filter);
  void fetchRows(Value number);
  void storeRows(Value number);
  void buildTile(const Part &part);

  Value sum(Value x, Value y) { return arith::AddIOp::create(e.b, x, y); }
  Value product(Value x, Value y) { return arith::MulIOp::create(e.b, x, y); }
  Value divide(Value x, int64_t y) {
    return arith::DivUIOp::create(e.b, x, e.index(y));
  }
  Value remainder(Value x, int64_t y) {
    return arith::RemUIOp::create(e.b, x, e.index(y));
  }
  /// Of this task's scratch.
  Value load(Value at, int64_t lanes) {
    return vector::LoadOp::create(e.b,
                                  VectorType::get({lanes}, e.b.getF32Type()),
                                  scratch, ValueRange{e.task, at});
  }
  void store(Value value, Value at) {
    vector::StoreOp::create(e.b, value, scratch, ValueRange{e.task, at});
  }
  Value imageOf(Value tap) {
    return e.add(e.mul(tap, tiling.imageFloats()), tiling.imageAt());
  }
  Value productOf(Value tap) {
    return e.add(e.mul(tap, tiling.productFloats()), tiling.productAt());
  }
  Value filterOf(Value tap) {
    return e.add(e.mul(tap, tiling.productFloats()), tiling.filterAt());
  }
  /// Of the tile whose dw is not stored yet: its channels (0: there is none),
  /// its filters, and where they begin.
  enum { Channels, Filters, FirstChannel, FirstFilter, LastNumbers };
  Value last(int64_t number) {
    return memref::LoadOp::create(e.b, lastTile, e.index(number));
  }
  void setLast(int64_t number, Value value) {
    memref::StoreOp::create(e.b, value, lastTile, e.index(number));
  }

  KernelEmitter &e;
  WinogradFilterGradientOp op;
  WinogradFilterAdjointOp adjoint;
  Convolution conv;
  WinogradAllTapsTiling tiling;
  WinogradSums sums;
  int64_t channelsTogether; // in a vector of pixels
  Tile tile{1, 1};
  std::optional<FilterPanels> panels;
  std::optional<TileOrder> tiles;
  Value x, dy, scratch; // flat, flat, (tasks, floats)
  SmallVector<Value> ofEpilogue;
  Value lastTile;
  Value vectors, columns;          // that the batch's samples fill
  Value firstChannel, firstFilter; // of the unit
};
} // namespace

template <typename Op> static Op only(KernelEmitter &e) {
  return *e.kernel.getBody().front().getOps<Op>().begin();
}

AllTapsNest::AllTapsNest(KernelEmitter &e)
    : e(e), op(only<WinogradFilterGradientOp>(e)),
      adjoint(only<WinogradFilterAdjointOp>(e)), conv(convolutionOf(op)),
      tiling(allTapsTilingOf(op, e.layout.batchBound)), sums(e, tiling.tile) {
  x = e.row(conv.image);
  dy = e.row(conv.result);
  scratch = e.memory(e.kernel.getResults().back());
  channelsTogether =
      channelsSideBySide(e, std::gcd(conv.channels, tiling.channels));
}

//===----------------------------------------------------------------------===//
// D and V
//===----------------------------------------------------------------------===//

/// body(tile, where its samples begin among the columns).
void AllTapsNest::overTiles(
    llvm::function_ref<void(const TileOrder::Place &, Value)> body) {
  e.loop(e.index(0), e.index(tiling.tiles()), 1, [&](Value number) {
    body(tiles->placeOf(number), product(number, columns));
  });
}

void AllTapsNest::overSamples(llvm::function_ref<void(Value)> body) {
  e.loop(e.index(0), vectors, 1, [&](Value v) { body(e.mul(v, e.lanes())); });
}

/// For a vector from `sample` on, ones where there is a sample, else zeros;
/// `together` times side by side.
Value AllTapsNest::existing(Value sample, int64_t together) {
  Value rest = arith::SubIOp::create(e.b, e.batch, sample);
  Value mask = vector::CreateMaskOp::create(
      e.b, VectorType::get({e.lanes()}, e.b.getI1Type()), rest);
  mask = arith::ExtSIOp::create(
      e.b, VectorType::get({e.lanes()}, e.b.getI32Type()), mask);
  return sideBySide(e, SmallVector<Value>(together, mask));
}

/// The pixels of a tile of dy for the part's filters, (pixel, sample, filter).
void AllTapsNest::turnTile(const TileOrder::Place &place) {
  auto isBelow = [&](Value pixel, Value end) -> Value {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, pixel, end);
  };
  auto type = VectorType::get({e.lanes()}, e.b.getF32Type());
  e.loop(e.index(0), e.index(tiling.tile * tiling.tile), 1, [&](Value number) {
    Value row = sum(place.rows.begin, divide(number, tiling.tile));
    Value column = sum(place.columns.begin, remainder(number, tiling.tile));
    Value exists = arith::AndIOp::create(e.b, isBelow(row, place.rows.end),
                                         isBelow(column, place.columns.end));
    Value pixel = arith::SelectOp::create(
        e.b, exists, sum(e.mul(row, tiling.across.pixels), column), e.index(0));
    Value isInside = maskOf(e, exists, e.lanes());
    Value first = sum(e.mul(pixel, conv.filters), firstFilter);
    Value firstTo =
        e.add(e.mul(number, tiling.pixelFloats()), tiling.pixelAt());
    overSamples([&](Value sample) {
      Value mask = arith::AndIOp::create(e.b, isInside, existing(sample, 1));
      e.loop(e.index(0), e.index(tiling.filters), e.lanes(), [&](Value f) {
        Value from = sum(e.mul(sum(first, f), e.layout.padded()), sample);
        Value to = sum(firstTo, sum(e.mul(sample, tiling.filters), f));
        panels->turn(e.lanes(), to, tiling.filters, [&](int64_t i) {
          return maskedBits(
              e,
              vector::LoadOp::create(e.b, type, dy,
                                     e.add(from, i * e.layout.padded())),
              mask);
        });
      });
    });
  });
}

/// D.
void AllTapsNest::transformResult() {
  int64_t widest = e.layout.widest;
  overTiles([&](const TileOrder::Place &place, Value firstColumn) {
    turnTile(place);
    e.loop(e.index(0), columns, 1, [&](Value n) {
      Value pixels = e.add(e.mul(n, tiling.filters), tiling.pixelAt());
      panels->over(tiling.filters, [&](Value first,
                                       ArrayRef<VectorPiece> pieces) {
        int64_t stride = panels->stride(pieces);
        Value to = sum(e.mul(first, tiling.columns),
                       e.mul(sum(firstColumn, n), stride));
        e.loop(e.index(0), e.index(stride), widest, [&](Value f) {
          Value from = sum(pixels, sum(first, f));
          auto square = makeSquare(tiling.tile, [&](int64_t k, int64_t l) {
            return load(
                e.add(from, (k * tiling.tile + l) * tiling.pixelFloats()),
                widest);
          });
          int64_t tap = 0;
          for (const WinogradRow &taps :
               bothWays(square, [&](ArrayRef<Value> v) {
                 return sums.resultAdjoint(v);
               }))
            for (Value value : taps)
              store(value, e.add(sum(to, f), tap++ * tiling.resultFloats()));
        });
      });
    });
  });
}

/// All pixels of `channels` channels, side by side: in x they are a power of
/// two apart, and few stay in the caches until they are read.
void AllTapsNest::copyImage(int64_t channels) {
  int64_t samples = e.layout.padded(), floats = channels * samples;
  int64_t lanes = std::gcd(floats, e.layout.widest);
  auto type = VectorType::get({lanes}, e.b.getF32Type());
  e.loop(e.index(0), e.index(tiling.pixels), 1, [&](Value pixel) {
    Value from = e.mul(sum(e.mul(pixel, conv.channels), firstChannel), samples);
    Value to = e.add(e.mul(pixel, floats), tiling.pixelAt());
    for (int64_t at = 0; at < floats; at += lanes)
      store(vector::LoadOp::create(e.b, type, x, e.add(from, at)),
            e.add(to, at));
  });
}

/// V of `channels` channels.
void AllTapsNest::transformImage(int64_t channels) {
  int64_t together = channelsTogether, lanes = together * e.lanes();
  Convolution copied = conv;
  copied.channels = channels;
  overTiles([&](const TileOrder::Place &place, Value firstColumn) {
    TilePixels pixels =
        pixelsOfTile(e, copied, tiling.down, tiling.across, place.rows.begin,
                     place.columns.begin, lanes);
    overSamples([&](Value sample) {
      Value live = existing(sample, together);
      Value firstTo = e.add(sum(firstColumn, sample), tiling.imageAt());
      e.loop(e.index(0), e.index(channels), together, [&](Value c) {
        auto square = makeSquare(tiling.taps, [&](int64_t k, int64_t l) {
          Value at =
              sum(e.mul(sum(pixels.at[k][l], c), e.layout.padded()), sample);
          Value pixel = load(e.add(at, tiling.pixelAt()), lanes);
          return maskedBits(e, pixels.kept(e, k, l, pixel), live);
        });
        Value to = sum(firstTo, e.mul(c, tiling.columns));
        int64_t tap = 0;
        for (const WinogradRow &taps :
             bothWays(square, [&](ArrayRef<Value> v) { return sums.image(v); }))
          for (Value value : taps) {
            Value place = e.add(to, tap++ * tiling.imageFloats());
            for (int64_t i = 0; i < together; ++i)
              store(partOf(e, value, i, together),
                    e.add(place, i * tiling.columns));
          }
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// M and dw
//===----------------------------------------------------------------------===//

/// M of a tile at one tap.
void AllTapsNest::buildProduct(Value tap, const Part &part) {
  int64_t stride = panels->stride(part.pieces);
  auto [from, to] = tiles->rangeAt(tap);
  Value first = product(from, columns), end = product(to, columns);
  Value firstD =
      sum(sum(e.mul(tap, tiling.resultFloats()), e.mul(first, stride)),
          e.mul(part.filter, tiling.columns));
  Value firstV =
      sum(sum(imageOf(tap), first), e.mul(part.channel, tiling.columns));
  SmallVector<Value> acc;
  for (int64_t c = 0; c < part.channels; ++c)
    for (const VectorPiece &piece : part.pieces)
      acc.push_back(e.zeroPiece(piece));
  acc = panels->overColumns(acc, arith::SubIOp::create(e.b, end, first), firstD,
                            part.pieces, firstV, part.channels, tiling.columns);
  Value firstTo = productOf(tap);
  for (int64_t c = 0; c < part.channels; ++c)
    for (auto [v, piece] : llvm::enumerate(part.pieces))
      store(acc[c * part.pieces.size() + v],
            e.add(firstTo, c * stride + piece.start));
}

/// G' M G of a tile, behind M: (tap, channel, filter).
void AllTapsNest::transformProducts(const Part &part) {
  int64_t stride = panels->stride(part.pieces);
  e.loop(e.index(0), e.index(part.channels * stride), e.layout.widest,
         [&](Value at) {
           auto square = makeSquare(tiling.taps, [&](int64_t i, int64_t j) {
             return load(sum(productOf(e.index(i * tiling.taps + j)), at),
                         e.layout.widest);
           });
           int64_t tap = 0;
           for (const WinogradRow &row :
                bothWays(square, [&](ArrayRef<Value> v) {
                  return sums.filterAdjoint(v);
                }))
             for (Value value : row)
               store(value, sum(filterOf(e.index(tap++)), at));
         });
}

/// A part of the last tile's rows of dw, taps of channels, of which there are
/// as many parts as taps: body(tap, channel in the tile).
void AllTapsNest::overRows(Value number,
                           llvm::function_ref<void(Value, Value)> body) {
  constexpr int64_t dwTaps = 9;
  Value rows = e.mul(last(Channels), dwTaps);
  auto first = [&](Value number) {
    return divide(product(number, rows), tiling.allTaps());
  };
  e.loop(first(number), first(e.add(number, 1)), 1,
         [&](Value row) { body(remainder(row, dwTaps), divide(row, dwTaps)); });
}

/// Where a row of the last tile is in dw.
Indices AllTapsNest::placeOf(Value tap, Value channel, Value filter) {
  constexpr int64_t side = 3;
  return {divide(tap, side), remainder(tap, side),
          sum(last(FirstChannel), channel), sum(last(FirstFilter), filter)};
}

/// What the epilogue goes through, to be written: weights are also in the
/// caches of other threads, which have read them.
void AllTapsNest::fetchRows(Value number) {
  overRows(number, [&](Value tap, Value channel) {
    e.loop(e.index(0), last(Filters), kLaneMultiple, [&](Value f) {
      for (Value memory : ofEpilogue)
        memref::PrefetchOp::create(e.b, memory, placeOf(tap, channel, f),
                                   /*isWrite=*/true, /*localityHint=*/3,
                                   /*isDataCache=*/true);
    });
  });
}

void AllTapsNest::storeRows(Value number) {
  overRows(number, [&](Value tap, Value channel) {
    Value from = sum(filterOf(tap), product(channel, last(Filters)));
    e.loop(e.index(0), last(Filters), e.layout.widest, [&](Value f) {
      e.seed(adjoint.getResult(), load(sum(from, f), e.layout.widest));
      e.storeAll(placeOf(tap, channel, f),
                 [](RankedTensorType) { return true; });
    });
  });
}

/// The tile before goes through the epilogue while this one's sums are made.
void AllTapsNest::buildTile(const Part &part) {
  constexpr int64_t ahead = 4;
  e.loop(e.index(0), e.index(tiling.allTaps()), 1, [&](Value tap) {
    fetchRows(e.add(tap, ahead));
    storeRows(tap);
    buildProduct(tap, part);
  });
  transformProducts(part);
  setLast(Channels, e.index(part.channels));
  setLast(Filters, e.index(panels->stride(part.pieces)));
  setLast(FirstChannel, sum(firstChannel, part.channel));
  setLast(FirstFilter, sum(firstFilter, part.filter));
}

int64_t AllTapsNest::build() {
  int64_t widest = e.layout.widest;
  TileWork work{.steps = tiling.columns, .hasEpilogue = false};
  work.mostVectors = tiling.mostPanel / widest;
  work.rowsDivide = tiling.channels;
  tile = chooseTile(e, op,
                    rankTiles(tiling.channels, tiling.filters / widest, work,
                              e.layout.target));
  panels.emplace(e, scratch, /*gradient=*/Value(), tile.vectors);
  ofEpilogue = epilogueMemory(e, adjoint.getResult());
  e.setLanes(Lanes::Columns);
  e.setWidth(widest, widest);
  vectors = e.layout.padded() == e.lanes()
                ? e.index(1)
                : divide(e.add(e.batch, e.lanes() - 1), e.lanes());
  columns = e.mul(vectors, e.lanes());

  tiles.emplace(e, tiling.down, tiling.across, e.index(0), tiling.down.tiles);
  lastTile = memref::AllocaOp::create(
      e.b, MemRefType::get({LastNumbers}, e.b.getIndexType()));
  for (int64_t number = 0; number < LastNumbers; ++number)
    setLast(number, e.index(0));
  auto [low, high] = e.taskRange(tiling.units(), tiling.tasks);
  e.loop(low, high, 1, [&, low = low](Value unit) {
    Value block = remainder(unit, tiling.blocks);
    firstChannel = e.mul(block, tiling.channels);
    firstFilter = e.mul(divide(unit, tiling.blocks), tiling.filters);
    auto equals = [&](Value x, Value y) -> Value {
      return arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, x, y);
    };
    Value isNew =
        arith::OrIOp::create(e.b, equals(unit, low), equals(block, e.index(0)));
    auto branch = scf::IfOp::create(e.b, isNew, /*withElse=*/false);
    {
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(branch.thenBlock());
      e.scope([&] { transformResult(); });
    }
    forPart(e, block, tiling.blocks, tiling.channels, conv.channels,
            [&](int64_t channels) {
              copyImage(channels);
              transformImage(channels);
              panels->over(tiling.filters, [&](Value filter,
                                               ArrayRef<VectorPiece> pieces) {
                inParts(e, channels, tile.rows, [&](Value c, int64_t count) {
                  buildTile({filter, c, pieces, count});
                });
              });
            });
  });
  e.loop(e.index(0), e.index(tiling.allTaps()), 1,
         [&](Value number) { storeRows(number); });
  return tiling.tasks;
}

FailureOr<int64_t> sinter::lowerWinogradAllTaps(KernelEmitter &e) {
  return AllTapsNest(e).build();
}
