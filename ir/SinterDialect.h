//===- SinterDialect.h - the dialect, its ops, and shape helpers ---------===//
//
// Include this to use the dialect. The manual is in the .td files: start with
// the dialect's description in SinterDialect.td.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_SINTERDIALECT_H
#define SINTER_IR_SINTERDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "ir/SinterDialect.h.inc"
#include "ir/SinterEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/SinterAttrs.h.inc"

namespace sinter {

template <typename ConcreteType>
class ZeroGradient
    : public mlir::OpTrait::TraitBase<ConcreteType, ZeroGradient> {};
template <typename ConcreteType>
class Elementwise : public mlir::OpTrait::TraitBase<ConcreteType, Elementwise> {
};
template <typename ConcreteType>
class NoGradient : public mlir::OpTrait::TraitBase<ConcreteType, NoGradient> {};
template <typename ConcreteType>
class Gathering : public mlir::OpTrait::TraitBase<ConcreteType, Gathering> {};
template <typename ConcreteType>
class Structure : public mlir::OpTrait::TraitBase<ConcreteType, Structure> {};

inline mlir::RankedTensorType tensorTypeOf(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType());
}

/// Does dimension 0 count samples?
inline bool isBatched(mlir::RankedTensorType type) {
  return type.getRank() > 0 && type.isDynamicDim(0);
}
inline bool isBatched(mlir::Value value) {
  return isBatched(tensorTypeOf(value));
}

/// Are samples innermost in memory?
inline bool isBatchMinor(mlir::RankedTensorType type) {
  return llvm::isa_and_present<BatchMinorAttr>(type.getEncoding());
}

/// Are filters, the last dimension, stored in blocks?
inline bool isInFilterBlocks(mlir::RankedTensorType type) {
  return llvm::isa_and_present<FilterBlocksAttr>(type.getEncoding());
}
/// Filters of a block: a cache line.
constexpr int64_t kFilterBlock = 16;
inline bool fillsFilterBlocks(int64_t filters) {
  return filters > 0 && filters % kFilterBlock == 0;
}

/// The dimensions of one sample: all but the batch.
inline llvm::ArrayRef<int64_t> featureShape(mlir::RankedTensorType type) {
  return type.getShape().drop_front(isBatched(type) ? 1 : 0);
}

/// The loops over one sample's features: their shape without trailing 1s.
inline llvm::ArrayRef<int64_t> featureLoops(mlir::RankedTensorType type) {
  llvm::ArrayRef<int64_t> shape = featureShape(type);
  while (!shape.empty() && shape.back() == 1)
    shape = shape.drop_back();
  return shape;
}

/// Elements of one sample of a batched tensor, or of the whole of another.
int64_t featureCount(mlir::RankedTensorType type);

/// Tensors in batch-minor layout are padded to a multiple of this many samples,
/// whatever the target's vector width; small batches to 4 or 8, so that no lane
/// is wasted on processors with vectors that narrow.
constexpr int64_t kLaneMultiple = 16;
inline int64_t paddedBatch(int64_t batchBound) {
  for (int64_t few : {4, 8})
    if (batchBound <= few)
      return few;
  return (batchBound + kLaneMultiple - 1) / kLaneMultiple * kLaneMultiple;
}

/// Bytes that a tensor takes in memory, for batches of up to `batchBound`.
int64_t storedBytes(mlir::RankedTensorType type, int64_t batchBound);

/// The type of an elementwise result, or failure (with a reason in `error`)
/// when the shapes do not broadcast. The element type is the first operand's;
/// a layout carries over from any operand that has one.
mlir::FailureOr<mlir::RankedTensorType>
broadcastTypes(llvm::ArrayRef<mlir::RankedTensorType> types,
               std::string &error);

/// `value` summed over whatever broadcasting stretched, so that it has `type`'s
/// shape: the gradient of broadcasting.
mlir::Value sumToShape(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value value, mlir::RankedTensorType type);

/// An f32 scalar constant.
mlir::Value scalar(mlir::OpBuilder &builder, mlir::Location loc, double value);

} // namespace sinter

#include "ir/SinterInterfaces.h.inc"

#define GET_OP_CLASSES
#include "ir/SinterOps.h.inc"

namespace sinter {

/// Ops that are copied into every kernel that uses them.
inline bool isLeaf(mlir::Operation *op) {
  return mlir::isa<ReadOp, ConstantOp, BatchSizeOp, IotaOp>(op);
}

/// A sum over the width of images, `(n, h, w, c) -> (n, h, c)`: kernels over
/// images make it on the way, a row at a time.
inline bool isRowSum(mlir::Operation *op) {
  auto sum = mlir::dyn_cast_or_null<ReduceSumOp>(op);
  return sum && isBatched(sum.getX()) &&
         tensorTypeOf(sum.getX()).getRank() == 4 && !sum.getKeepDims() &&
         sum.getAxes() == llvm::ArrayRef<int64_t>{2};
}

} // namespace sinter

#endif // SINTER_IR_SINTERDIALECT_H
