//===- EpilogueMemory.cpp - what the epilogue of sums goes through --------===//

#include "codegen/EpilogueMemory.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace sinter;

/// Where a kernel's result lies in the arena; negative: elsewhere.
static int64_t offsetOf(Value value) {
  auto kernel = value.getDefiningOp<KernelOp>();
  if (!kernel || !kernel.getOffsets())
    return -1;
  return (*kernel.getOffsets())[cast<OpResult>(value).getResultNumber()];
}

SmallVector<Value> sinter::epilogueMemory(KernelEmitter &e, Value sums) {
  llvm::SmallSetVector<Value, 4> memory;
  SmallVector<Value> operands;
  Block &body = e.kernel.getBody().front();
  for (Operation &op : body.without_terminator()) {
    if (auto read = dyn_cast<ReadOp>(op);
        read && read.getResult().getType() == sums.getType())
      memory.insert(e.stateMemory(read.getState()));
    if (isa<MatmulOp, WinogradConv2dOp>(op))
      continue;
    for (Value operand : op.getOperands())
      if (operand.getParentBlock() != &body &&
          operand.getType() == sums.getType()) {
        operands.push_back(operand);
        memory.insert(e.memory(operand));
      }
  }
  // What is streamed is better not in a cache, and results may lie where
  // operands do.
  auto isInPlace = [&](Value result) {
    return llvm::any_of(operands, [&](Value operand) {
      return offsetOf(operand) >= 0 && offsetOf(operand) == offsetOf(result);
    });
  };
  for (auto [inside, result] :
       llvm::zip_equal(e.kernel.getYield().getValues(), e.kernel.getResults()))
    if (inside.getType() == sums.getType() && !isInPlace(result) &&
        !e.isStreamed(tensorTypeOf(result)))
      memory.insert(e.memory(result));
  return memory.takeVector();
}

bool sinter::hasPlainEpilogue(KernelEmitter &e, Value sums) {
  auto isPlain = [&](Value value) {
    return value.getType() == sums.getType() ||
           tensorTypeOf(value).getRank() == 0;
  };
  return llvm::all_of(e.kernel.getBody().front().without_terminator(),
                      [&](Operation &op) {
                        return &op == sums.getDefiningOp() ||
                               ((op.hasTrait<Elementwise>() ||
                                 isa<ReadOp, WriteOp, ConstantOp>(op)) &&
                                llvm::all_of(op.getOperands(), isPlain) &&
                                llvm::all_of(op.getResults(), isPlain));
                      });
}

void sinter::fetchLine(KernelEmitter &e, ArrayRef<Value> matrices, Value row,
                       Value column, Value number, int64_t linesOfRow) {
  Value down = arith::DivUIOp::create(e.b, number, e.index(linesOfRow));
  Value along = arith::RemUIOp::create(e.b, number, e.index(linesOfRow));
  SmallVector<Value> at = {e.sum(row, down),
                           e.sum(column, e.mul(along, kLine))};
  for (Value matrix : matrices)
    memref::PrefetchOp::create(e.b, matrix, at, /*isWrite=*/false,
                               /*localityHint=*/3, /*isDataCache=*/true);
}

void sinter::seedNumbers(KernelEmitter &e) {
  Block &body = e.kernel.getBody().front();
  for (Operation &op : body.without_terminator())
    for (Value operand : op.getOperands())
      if (operand.getParentBlock() != &body &&
          tensorTypeOf(operand).getRank() == 0 &&
          tensorTypeOf(operand).getElementType().isF32())
        e.seed(operand, e.emit(operand, {}));
}
