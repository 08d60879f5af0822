//===- VectorRandom.cpp - Philox in vector lanes -------------------------===//
//
// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011): ten rounds of two 32 x 32 -> 64 bit products, xors and
// a key that grows by constants. Every lane has its own counter, so a number
// depends on its position alone, never on the order of computation.
//
//===----------------------------------------------------------------------===//

#include "codegen/VectorRandom.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"

#include <numbers>
#include <numeric>

using namespace mlir;
using namespace sinter;

static Value integers(ImplicitLocOpBuilder &b, Type type, uint32_t value) {
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(cast<VectorType>(type), APInt(32, value)));
}

static Value numbers(ImplicitLocOpBuilder &b, VectorType like, float value) {
  auto type = VectorType::get(like.getShape(), b.getF32Type());
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, value));
}

PhiloxWords sinter::emitPhilox(ImplicitLocOpBuilder &b, PhiloxWords counter,
                               std::array<Value, 2> key) {
  Type type = counter[0].getType();
  Value multiplier0 = integers(b, type, 0xD2511F53u);
  Value multiplier1 = integers(b, type, 0xCD9E8D57u);
  Value weyl0 = integers(b, type, 0x9E3779B9u);
  Value weyl1 = integers(b, type, 0xBB67AE85u);
  auto [c0, c1, c2, c3] = counter;
  auto [k0, k1] = key;
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      k0 = arith::AddIOp::create(b, k0, weyl0);
      k1 = arith::AddIOp::create(b, k1, weyl1);
    }
    auto product0 = arith::MulUIExtendedOp::create(b, multiplier0, c0);
    auto product1 = arith::MulUIExtendedOp::create(b, multiplier1, c2);
    auto mix = [&](Value high, Value word, Value k) -> Value {
      return arith::XOrIOp::create(b, arith::XOrIOp::create(b, high, word), k);
    };
    c0 = mix(product1.getHigh(), c1, k0);
    c1 = product1.getLow();
    c2 = mix(product0.getHigh(), c3, k1);
    c3 = product0.getLow();
  }
  return {c0, c1, c2, c3};
}

Value sinter::emitUniform(ImplicitLocOpBuilder &b, Value word) {
  auto type = cast<VectorType>(word.getType());
  Value upper = arith::ShRUIOp::create(b, word, integers(b, type, 8));
  // 24 bits fit a signed conversion.
  Value number = arith::SIToFPOp::create(
      b, VectorType::get(type.getShape(), b.getF32Type()), upper);
  return arith::MulFOp::create(b, number, numbers(b, type, 0x1p-24f));
}

Value sinter::emitNormal(ImplicitLocOpBuilder &b, Value word0, Value word1) {
  auto type = cast<VectorType>(word0.getType());
  // 1 - u is in (0, 1]: the logarithm is finite.
  Value u =
      arith::SubFOp::create(b, numbers(b, type, 1), emitUniform(b, word0));
  Value squared =
      arith::MulFOp::create(b, math::LogOp::create(b, u), numbers(b, type, -2));
  Value angle = arith::MulFOp::create(
      b, emitUniform(b, word1),
      numbers(b, type, static_cast<float>(2 * std::numbers::pi)));
  return arith::MulFOp::create(b, math::SqrtOp::create(b, squared),
                               math::CosOp::create(b, angle));
}

Value sinter::laneNumbers(ImplicitLocOpBuilder &b, int64_t lanes) {
  SmallVector<int32_t> values(lanes);
  std::iota(values.begin(), values.end(), 0);
  auto type = VectorType::get({lanes}, b.getI32Type());
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, ArrayRef<int32_t>(values)));
}
