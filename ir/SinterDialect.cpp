//===- SinterDialect.cpp - registration and shape helpers ----------------===//

#include "ir/SinterDialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "ir/SinterDialect.cpp.inc"
#include "ir/SinterEnums.cpp.inc"
#include "ir/SinterInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/SinterAttrs.cpp.inc"

using namespace mlir;
using namespace sinter;

void SinterDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/SinterAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/SinterOps.cpp.inc"
      >();
}

Operation *SinterDialect::materializeConstant(OpBuilder &builder,
                                              Attribute value, Type type,
                                              Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, type, elements);
}

int64_t sinter::featureCount(RankedTensorType type) {
  int64_t count = 1;
  for (int64_t size : featureShape(type))
    count *= size;
  return count;
}

int64_t sinter::storedBytes(RankedTensorType type, int64_t batchBound) {
  int64_t samples = !isBatched(type)     ? 1
                    : isBatchMinor(type) ? paddedBatch(batchBound)
                                         : batchBound;
  return samples * featureCount(type) * 4; // f32 and i32
}

static std::string shapeText(RankedTensorType type) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << '(';
  llvm::interleave(
      type.getShape(), stream,
      [&](int64_t size) {
        if (ShapedType::isDynamic(size))
          stream << '?';
        else
          stream << size;
      },
      ", ");
  stream << ')';
  return text;
}

FailureOr<RankedTensorType>
sinter::broadcastTypes(ArrayRef<RankedTensorType> types, std::string &error) {
  SmallVector<int64_t> shape;
  Attribute layout;
  for (RankedTensorType type : types) {
    if (!layout)
      layout = type.getEncoding();
    ArrayRef<int64_t> other = type.getShape();
    // Align at the last dimension; `shape` grows at the front.
    while (shape.size() < other.size())
      shape.insert(shape.begin(), 1);
    size_t shift = shape.size() - other.size();
    for (auto [i, size] : llvm::enumerate(other)) {
      int64_t &have = shape[shift + i];
      if (size == have || size == 1)
        continue;
      // The batch aligns with the batch, or with nothing at all.
      bool stretches = have == 1 && (size != ShapedType::kDynamic || i == 0);
      if (!stretches) {
        error = "expected shapes that broadcast, got";
        for (RankedTensorType t : types)
          error += " " + shapeText(t);
        return failure();
      }
      have = size;
    }
  }
  for (size_t i = 1; i < shape.size(); ++i)
    if (ShapedType::isDynamic(shape[i])) {
      error = "expected the batch to align with the batch, got";
      for (RankedTensorType t : types)
        error += " " + shapeText(t);
      return failure();
    }
  return RankedTensorType::get(shape, types.front().getElementType(), layout);
}

Value sinter::sumToShape(OpBuilder &builder, Location loc, Value value,
                         RankedTensorType type) {
  RankedTensorType from = tensorTypeOf(value);
  if (from.getShape() == type.getShape())
    return value;
  SmallVector<int64_t> axes;
  int64_t missing = from.getRank() - type.getRank();
  for (int64_t axis = 0; axis < from.getRank(); ++axis) {
    bool stretched = axis < missing || (type.getDimSize(axis - missing) == 1 &&
                                        from.getDimSize(axis) != 1);
    if (stretched)
      axes.push_back(axis);
  }
  // Features first, then the batch: each sum has one kind of loop. A batch and
  // the leading features may go together, which leaves the channels.
  bool overBatch = isBatched(from) && !axes.empty() && axes.front() == 0;
  bool leavesChannels = static_cast<int64_t>(axes.size()) == missing &&
                        axes.back() == missing - 1 && type.getRank() > 0;
  if (overBatch && axes.size() > 1 && !leavesChannels) {
    value = ReduceSumOp::create(builder, loc, value,
                                ArrayRef(axes).drop_front(), true);
    axes.resize(1);
  }
  if (!axes.empty())
    value = ReduceSumOp::create(builder, loc, value, axes, !overBatch);
  if (tensorTypeOf(value).getShape() != type.getShape())
    value = ReshapeOp::create(
        builder, loc,
        RankedTensorType::get(type.getShape(), type.getElementType()), value);
  return value;
}

Value sinter::scalar(OpBuilder &builder, Location loc, double value) {
  return ConstantOp::create(builder, loc, static_cast<float>(value));
}
