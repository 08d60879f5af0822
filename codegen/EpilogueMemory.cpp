//===- EpilogueMemory.cpp - what the epilogue of sums goes through --------===//

#include "codegen/EpilogueMemory.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace sinter;

SmallVector<Value> sinter::epilogueMemory(KernelEmitter &e, Value sums) {
  llvm::SmallSetVector<Value, 4> memory;
  Block &body = e.kernel.getBody().front();
  for (Operation &op : body.without_terminator()) {
    if (auto read = dyn_cast<ReadOp>(op);
        read && read.getResult().getType() == sums.getType())
      memory.insert(e.stateMemory(read.getState()));
    if (isa<MatmulOp, WinogradConv2dOp>(op))
      continue;
    for (Value operand : op.getOperands())
      if (operand.getParentBlock() != &body &&
          operand.getType() == sums.getType())
        memory.insert(e.memory(operand));
  }
  // What is streamed is better not in a cache.
  for (auto [inside, result] :
       llvm::zip_equal(e.kernel.getYield().getValues(), e.kernel.getResults()))
    if (inside.getType() == sums.getType() &&
        !e.isStreamed(tensorTypeOf(result)))
      memory.insert(e.memory(result));
  return memory.takeVector();
}
