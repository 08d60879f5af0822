//===- FilterPanels.cpp - gradients of filters with filters in the lanes -===//

#include "codegen/FilterPanels.h"
#include "codegen/TileChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

void FilterPanels::over(
    int64_t filters,
    llvm::function_ref<void(Value, ArrayRef<VectorPiece>)> body) const {
  TargetShape target = e.layout.target;
  target.lanes = e.layout.widest;
  inParts(e, filters, vectors * target.lanes, [&](Value first, int64_t count) {
    body(first, splitInVectors(count, target));
  });
}

void FilterPanels::turn(int64_t filters, Value to, int64_t stride,
                        llvm::function_ref<Value(int64_t)> load) const {
  auto square = VectorType::get({e.lanes(), e.lanes()}, e.b.getF32Type());
  Value matrix = arith::ConstantOp::create(e.b, e.b.getZeroAttr(square));
  for (int64_t i = 0; i < filters; ++i)
    matrix = vector::InsertOp::create(e.b, load(i), matrix, ArrayRef{i});
  matrix = vector::TransposeOp::create(e.b, matrix, ArrayRef<int64_t>{1, 0});
  for (int64_t i = 0; i < e.lanes(); ++i)
    vector::StoreOp::create(e.b,
                            vector::ExtractOp::create(e.b, matrix, ArrayRef{i}),
                            scratch, ValueRange{e.task, e.add(to, i * stride)});
}

/// The first `count` lanes of a piece.
static Value maskOf(KernelEmitter &e, const VectorPiece &piece, Value count) {
  return vector::CreateMaskOp::create(
      e.b, VectorType::get({piece.lanes}, e.b.getI1Type()), count);
}

SmallVector<Value> FilterPanels::begin(ArrayRef<Value> places,
                                       ArrayRef<VectorPiece> pieces,
                                       Value isFirst) const {
  SmallVector<Value> sums;
  for (Value place : places)
    for (const VectorPiece &piece : pieces) {
      Value zero = e.zeroPiece(piece);
      if (!isFirst) {
        sums.push_back(zero);
        continue;
      }
      Value count = arith::SelectOp::create(e.b, isFirst, e.index(0),
                                            e.index(piece.existing));
      sums.push_back(vector::MaskedLoadOp::create(
          e.b, zero.getType(), gradient, e.add(place, piece.start),
          maskOf(e, piece, count), zero));
    }
  return sums;
}

void FilterPanels::step(MutableArrayRef<Value> sums, Value at,
                        ArrayRef<VectorPiece> pieces,
                        ArrayRef<Value> floats) const {
  SmallVector<Value> vectors;
  for (const VectorPiece &piece : pieces)
    vectors.push_back(
        vector::LoadOp::create(e.b, e.zeroPiece(piece).getType(), scratch,
                               ValueRange{e.task, e.add(at, piece.start)}));
  for (size_t row = 0; row < floats.size(); ++row) {
    if (!floats[row])
      continue;
    for (size_t v = 0; v < vectors.size(); ++v) {
      Value &sum = sums[row * vectors.size() + v];
      Value spread =
          vector::BroadcastOp::create(e.b, sum.getType(), floats[row]);
      sum = vector::FMAOp::create(e.b, spread, vectors[v], sum);
    }
  }
}

SmallVector<Value>
FilterPanels::overColumns(ArrayRef<Value> sums, Value count, Value panel,
                          ArrayRef<VectorPiece> pieces, Value floats,
                          int64_t rows, int64_t rowFloats,
                          llvm::function_ref<void(Value)> fetch) const {
  int64_t steps = columnsOfStep(e);
  return e.loop(
      e.index(0), count, steps, sums, [&](Value n, ValueRange before) {
        if (fetch)
          fetch(n);
        SmallVector<Value> next(before);
        Value fromPanel = e.sum(panel, e.mul(n, stride(pieces)));
        Value from = e.sum(floats, n);
        for (int64_t i = 0; i < steps; ++i) {
          SmallVector<Value> ofRows;
          for (int64_t r = 0; r < rows; ++r)
            ofRows.push_back(memref::LoadOp::create(
                e.b, scratch,
                ValueRange{e.task, e.add(from, r * rowFloats + i)}));
          step(next, e.add(fromPanel, i * stride(pieces)), pieces, ofRows);
        }
        return next;
      });
}

void FilterPanels::end(ArrayRef<Value> places, ArrayRef<VectorPiece> pieces,
                       ArrayRef<Value> sums, bool isStreamed) const {
  for (size_t row = 0; row < places.size(); ++row)
    for (size_t v = 0; v < pieces.size(); ++v) {
      const VectorPiece &piece = pieces[v];
      Value sum = sums[row * pieces.size() + v];
      Value at = e.add(places[row], piece.start);
      if (piece.existing == piece.lanes && isStreamed)
        e.storeStreamed(sum, gradient, at);
      else if (piece.existing == piece.lanes)
        vector::StoreOp::create(e.b, sum, gradient, at);
      else
        vector::MaskedStoreOp::create(
            e.b, gradient, at, maskOf(e, piece, e.index(piece.existing)), sum);
    }
}
