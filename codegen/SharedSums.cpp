//===- SharedSums.cpp - rows that share a vector of sums ------------------===//

#include "codegen/SharedSums.h"
#include "codegen/EpilogueMemory.h"
#include "codegen/SideBySide.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

std::optional<SharedSums> SharedSums::of(KernelEmitter &e, Value sums) {
  RankedTensorType matrix = tensorTypeOf(sums);
  int64_t rows = matrix.getDimSize(0);
  SharedSums shared(e, matrix.getDimSize(1));
  constexpr int64_t fewest = 4; // lanes of a register
  if (shared.vectors() == 0 || shared.rest < fewest ||
      e.lanes() % shared.rest != 0)
    return std::nullopt;
  shared.together = e.lanes() / shared.rest;
  if (rows % shared.together != 0 || !hasPlainEpilogue(e, sums))
    return std::nullopt;

  constexpr int64_t enough = 12; // sums, to hide what blends take
  int64_t most = e.layout.target.registers - 3;
  for (int64_t r = shared.together; r <= rows; r += shared.together) {
    int64_t ofTile = r * shared.vectors() + shared.sharedBy(r);
    if (ofTile + r > most) // rows have a scalar each
      break;
    if (ofTile >= enough)
      shared.possible.insert(shared.possible.begin(), {r, shared.vectors()});
  }
  if (shared.possible.empty())
    return std::nullopt;
  return shared;
}

/// Each row's scalar, in the lanes that its sums have of a vector.
Value SharedSums::blend(ArrayRef<Value> spreads) const {
  auto type = VectorType::get({e->lanes()}, e->b.getI1Type());
  Value result = spreads.front();
  for (auto [r, spread] : llvm::drop_begin(llvm::enumerate(spreads))) {
    SmallVector<bool> ofRow(e->lanes());
    std::fill_n(ofRow.begin() + r * rest, rest, true);
    Value mask = arith::ConstantOp::create(
        e->b, DenseElementsAttr::get(type, ArrayRef<bool>(ofRow)));
    result = arith::SelectOp::create(e->b, mask, spread, result);
  }
  return result;
}

void SharedSums::multiply(Value dy, Value n, ArrayRef<Value> spreads,
                          ArrayRef<Value> before,
                          SmallVectorImpl<Value> &after) const {
  auto type = VectorType::get({rest}, e->b.getF32Type());
  Value once = vector::LoadOp::create(e->b, type, dy,
                                      ValueRange{n, e->index(columns - rest)});
  Value often = sideBySide(*e, SmallVector<Value>(together, once));
  for (auto [i, sum] : llvm::enumerate(before))
    after.push_back(vector::FMAOp::create(
        e->b, blend(spreads.slice(i * together, together)), often, sum));
}

Value SharedSums::storedVector(ArrayRef<Value> sums, int64_t rows,
                               int64_t number) const {
  int64_t lanes = e->lanes();
  struct Source {
    int64_t vector, lane;
  };
  auto sourceOf = [&](int64_t lane) -> Source {
    int64_t row = (number * lanes + lane) / columns;
    int64_t column = (number * lanes + lane) % columns;
    if (column < columns - rest)
      return {row * vectors() + column / lanes, column % lanes};
    return {rows * vectors() + row / together,
            row % together * rest + column - (columns - rest)};
  };
  // The lanes of one source after those of the other.
  int64_t last = sourceOf(0).vector;
  Value result = sums[last];
  SmallVector<int64_t> mask(lanes);
  for (int64_t i = 0; i < lanes; ++i)
    mask[i] = sourceOf(i).vector == last ? sourceOf(i).lane : i;
  for (int64_t i = 0; i < lanes;) {
    int64_t vector = sourceOf(i).vector;
    if (vector == last) {
      ++i;
      continue;
    }
    for (; i < lanes && sourceOf(i).vector == vector; ++i)
      mask[i] = lanes + sourceOf(i).lane;
    result = vector::ShuffleOp::create(e->b, result, sums[vector], mask);
    llvm::copy(llvm::seq<int64_t>(lanes), mask.begin());
    last = vector;
  }
  return result;
}

SmallVector<Value> SharedSums::asStored(ArrayRef<Value> sums) const {
  auto all = static_cast<int64_t>(sums.size());
  int64_t rows = all * e->lanes() / columns;
  SmallVector<Value> stored;
  for (int64_t number = 0; number < all; ++number)
    stored.push_back(storedVector(sums, rows, number));
  return stored;
}
