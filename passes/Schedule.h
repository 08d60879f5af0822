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

/// Is `op` a slice that shows a part of what is in memory? Those stand outside
/// of kernels; others compute.
inline bool isSliceView(mlir::Operation *op) {
  return mlir::isa_and_nonnull<SliceOp>(op) &&
         mlir::isa<mlir::func::FuncOp>(op->getParentOp());
}

/// How many slices of a batch the arena of `function` has room for.
inline int64_t slicePlacesOf(mlir::func::FuncOp function) {
  auto places = function->getAttrOfType<mlir::IntegerAttr>(names::slicePlaces);
  return places ? places.getInt() : 1;
}

/// The value whose bytes begin where those of `value` do: itself, or the
/// operand of a reshape.
inline mlir::Value startOf(mlir::Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getX();
  return value;
}

/// The value whose bytes `value` shows, all of them or a part: itself, or the
/// operand of views.
inline mlir::Value storageOf(mlir::Value value) {
  for (value = startOf(value); isSliceView(value.getDefiningOp());)
    value = startOf(value.getDefiningOp<SliceOp>().getX());
  return value;
}

/// Where the bytes of a slice that is a view begin in those of its operand.
inline int64_t offsetOf(SliceOp view) {
  mlir::RankedTensorType type = tensorTypeOf(view.getX());
  const int64_t batch =
      batchBoundOf(view->getParentOfType<mlir::func::FuncOp>());
  return storedBytes(type, batch) / type.getShape()[view.getAxis()] *
         static_cast<int64_t>(view.getStart());
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

/// Floats behind each row of `value` in memory that nobody uses. Rows that lie
/// a multiple of many lines apart fall into few sets of the first cache: a
/// weight's gradient, which goes down the rows of dy, would find none there.
inline int64_t rowSpacing(mlir::Value value) {
  constexpr int64_t line = 16, many = 8 * line;
  auto kernel = value.getDefiningOp<KernelOp>();
  if (!kernel || kernel.getBody().front().getOps<RelayoutOp>().empty())
    return 0;
  mlir::RankedTensorType type = tensorTypeOf(value);
  bool isOperand = llvm::all_of(value.getUses(), [](mlir::OpOperand &use) {
    auto matmul = mlir::dyn_cast<MatmulOp>(use.getOwner());
    return matmul && matmul.getTransposeA() && use.getOperandNumber() == 1;
  });
  return isOperand && isBatched(type) && !isBatchMinor(type) &&
                 type.getRank() == 2 && featureCount(type) % many == 0
             ? line
             : 0;
}

/// Bytes that `value` takes in memory, for batches of up to `batchBound`.
inline int64_t storedBytes(mlir::Value value, int64_t batchBound) {
  return storedBytes(tensorTypeOf(value), batchBound) +
         batchBound * rowSpacing(value) * int64_t(sizeof(float));
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
