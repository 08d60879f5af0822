//===- WinogradTransforms.cpp - few instructions
//---------------------------===//
//
// Tiles of 4: rows for the points p and -p differ in the sign of odd powers
// only, so even and odd powers are summed once for both.
//
// Half of such a tile: two pixels need four points only. With 0, a, -a and
// infinity, filters are those of a whole tile at these points, up to factors
// that the image takes instead:
//
//   G's row of 0 is 1 / (a2 b2), not -1 / a2:                   x0 a2 b2 - b2
//   x2 G's row of +-a has 1 / (2 a2 (a2 - b2)), not 1 / (2 a2):
//                                               (a2 - b2) (x2 +- a x1)
//
//===----------------------------------------------------------------------===//

#include "codegen/WinogradTransforms.h"
#include "ir/Winograd.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

using namespace mlir;
using namespace sinter;

Value WinogradSums::add(Value x, Value y) const {
  return arith::AddFOp::create(e.b, x, y);
}
Value WinogradSums::sub(Value x, Value y) const {
  return arith::SubFOp::create(e.b, x, y);
}
/// As wide as `x`.
static Value constantLike(KernelEmitter &e, Value x, double factor) {
  auto type = cast<ShapedType>(x.getType());
  return arith::ConstantOp::create(
      e.b, DenseElementsAttr::get(type, static_cast<float>(factor)));
}

Value WinogradSums::times(double factor, Value x) const {
  return arith::MulFOp::create(e.b, x, constantLike(e, x, factor));
}
Value WinogradSums::add(Value x, double factor, Value y) const {
  return vector::FMAOp::create(e.b, y, constantLike(e, y, factor), x);
}

WinogradRow WinogradSums::image(ArrayRef<Value> v) const {
  if (tile == 2)
    return {sub(v[0], v[2]), add(v[1], v[2]), sub(v[2], v[1]), sub(v[1], v[3])};
  const auto &rows = winogradMatrices(tile).image;
  // From the row of +p: the sum of the even powers, then of both signs.
  auto pair = [&](const double *row) -> std::array<Value, 2> {
    double p = row[3];
    Value even = add(v[4], row[2], v[2]), odd = add(v[3], row[1] / p, v[1]);
    return {add(even, p, odd), add(even, -p, odd)};
  };
  auto [plusA, minusA] = pair(rows[1]);
  auto [plusB, minusB] = pair(rows[3]);
  Value first = add(add(v[4], rows[0][2], v[2]), rows[0][0], v[0]);
  Value last = add(add(v[5], rows[5][3], v[3]), rows[5][1], v[1]);
  return {first, plusA, minusA, plusB, minusB, last};
}

WinogradRow WinogradSums::result(ArrayRef<Value> v) const {
  if (tile == 2)
    return {add(add(v[0], v[1]), v[2]), sub(sub(v[1], v[2]), v[3])};
  const auto &rows = winogradMatrices(tile).result;
  Value evenA = add(v[1], v[2]), oddA = sub(v[1], v[2]);
  Value evenB = add(v[3], v[4]), oddB = sub(v[3], v[4]);
  return {add(add(v[0], evenA), evenB),
          add(times(rows[1][1], oddA), rows[1][3], oddB),
          add(times(rows[2][1], evenA), rows[2][3], evenB),
          add(add(v[5], rows[3][1], oddA), rows[3][3], oddB)};
}

WinogradRow WinogradSums::halfImage(ArrayRef<Value> v) const {
  const auto &[size, image, result, filter] = winogradMatrices(tile);
  double a = result[1][1], a2 = a * a, b2 = result[2][3];
  Value even = times(a2 - b2, v[2]), odd = v[1];
  double factor = a * (a2 - b2);
  return {sub(times(image[0][0], v[0]), b2, v[2]), add(even, factor, odd),
          sub(even, factor, odd), sub(v[3], a2, v[1])};
}

WinogradRow WinogradSums::halfResult(ArrayRef<Value> v) const {
  double a = winogradMatrices(tile).result[1][1];
  return {add(v[0], add(v[1], v[2])), add(v[3], a, sub(v[1], v[2]))};
}

WinogradRow WinogradSums::resultAdjoint(ArrayRef<Value> v) const {
  if (tile == 2)
    return {v[0], add(v[0], v[1]), sub(v[0], v[1]),
            arith::NegFOp::create(e.b, v[1])};
  const auto &rows = winogradMatrices(tile).result;
  auto pair = [&](int64_t point) -> std::array<Value, 2> {
    double p = rows[1][point];
    Value even = add(v[0], p * p, v[2]), odd = add(v[1], p * p, v[3]);
    return {add(even, p, odd), add(even, -p, odd)};
  };
  auto [plusA, minusA] = pair(1);
  auto [plusB, minusB] = pair(3);
  return {v[0], plusA, minusA, plusB, minusB, v[3]};
}

WinogradRow WinogradSums::filter(ArrayRef<Value> v) const {
  const auto &rows = winogradMatrices(tile).filter;
  auto pair = [&](const double *row) -> std::array<Value, 2> {
    Value even = add(times(row[0], v[0]), row[2], v[2]);
    return {add(even, row[1], v[1]), add(even, -row[1], v[1])};
  };
  auto [plusA, minusA] = pair(rows[1]);
  if (tile == 2)
    return {v[0], plusA, minusA, v[2]};
  auto [plusB, minusB] = pair(rows[3]);
  return {times(rows[0][0], v[0]), plusA, minusA, plusB, minusB, v[2]};
}

WinogradRow WinogradSums::filterAdjoint(ArrayRef<Value> v) const {
  const auto &rows = winogradMatrices(tile).filter;
  Value evenA = add(v[1], v[2]), oddA = sub(v[1], v[2]);
  if (tile == 2)
    return {add(v[0], rows[1][0], evenA), times(rows[1][1], oddA),
            add(v[3], rows[1][2], evenA)};
  Value evenB = add(v[3], v[4]), oddB = sub(v[3], v[4]);
  return {
      add(add(times(rows[0][0], v[0]), rows[1][0], evenA), rows[3][0], evenB),
      add(times(rows[1][1], oddA), rows[3][1], oddB),
      add(add(v[5], rows[1][2], evenA), rows[3][2], evenB)};
}

WinogradSquare
sinter::bothWays(const WinogradSquare &square,
                 llvm::function_ref<WinogradRow(ArrayRef<Value>)> apply) {
  SmallVector<WinogradRow, 6> columns; // what comes of each
  for (size_t j = 0; j < square.size(); ++j) {
    WinogradRow column;
    for (const WinogradRow &row : square)
      column.push_back(row[j]);
    columns.push_back(apply(column));
  }
  WinogradSquare result;
  for (size_t i = 0; i < columns.front().size(); ++i) {
    WinogradRow row;
    for (const WinogradRow &column : columns)
      row.push_back(column[i]);
    result.push_back(apply(row));
  }
  return result;
}
