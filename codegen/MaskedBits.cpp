//===- MaskedBits.cpp - values that count only on a condition -------------===//

#include "codegen/MaskedBits.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

Value sinter::maskOf(KernelEmitter &e, Value condition, int64_t lanes) {
  return vector::BroadcastOp::create(
      e.b, VectorType::get({lanes}, e.b.getI32Type()),
      arith::ExtSIOp::create(e.b, e.b.getI32Type(), condition));
}

Value sinter::maskedBits(KernelEmitter &e, Value value, Value mask) {
  Value bits = vector::BitCastOp::create(e.b, mask.getType(), value);
  bits = arith::AndIOp::create(e.b, bits, mask);
  return vector::BitCastOp::create(e.b, value.getType(), bits);
}
