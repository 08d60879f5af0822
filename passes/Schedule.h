//===- Schedule.h - lives of stored values in an order of kernels --------===//
//
// Shared by ordering, planning and lowering: which values take arena memory,
// which share it as views, and when they are used for the last time.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_PASSES_SCHEDULE_H
#define SINTER_PASSES_SCHEDULE_H

#include "ir/SinterDialect.h"
#include "passes/Names.h"

namespace sinter {

/// How many samples the kernels of `function`, which stands in a model, take at
/// a time: its values in the arena have room for so many.
inline int64_t batchBoundOf(mlir::func::FuncOp function) {
  if (function->hasAttr(names::oneSample))
    return 1;
  if (auto bound =
          function->getAttrOfType<mlir::IntegerAttr>(names::batchBound))
    return bound.getInt();
  return function->getParentOfType<ModelOp>().getBatchBound();
}

/// The value whose bytes `value` shows: itself, or the operand of a reshape.
inline mlir::Value storageOf(mlir::Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getX();
  return value;
}

/// Is `value` kept in the arena? Not arguments, states and constants; nor what
/// the function returns, which goes to the caller's memory.
inline bool isInArena(mlir::Value value) {
  if (!value.getDefiningOp<KernelOp>())
    return false;
  return llvm::none_of(value.getUsers(), [](mlir::Operation *user) {
    return mlir::isa<mlir::func::ReturnOp>(user);
  });
}

/// The arena values that a kernel reads, each once.
inline llvm::SmallVector<mlir::Value> arenaOperands(KernelOp kernel) {
  llvm::SmallVector<mlir::Value> values;
  for (mlir::Value captured : kernel.getCaptured()) {
    mlir::Value storage = storageOf(captured);
    if (isInArena(storage) && !llvm::is_contained(values, storage))
      values.push_back(storage);
  }
  return values;
}

} // namespace sinter

#endif // SINTER_PASSES_SCHEDULE_H
