//===- SinterOps.cpp - verifiers and shape inference ---------------------===//
//
// One sentence an error: "expected X, got Y". tests/ir/invalid.mlir has one
// test a sentence.
//
//===----------------------------------------------------------------------===//

#include "ir/SinterDialect.h"

#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

#define GET_OP_CLASSES
#include "ir/SinterOps.cpp.inc"

using namespace mlir;
using namespace sinter;

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

void ModelOp::build(OpBuilder &builder, OperationState &state, StringRef name,
                    int64_t batchBound) {
  state.getOrAddProperties<Properties>().sym_name = builder.getStringAttr(name);
  state.getOrAddProperties<Properties>().batch_bound =
      builder.getI64IntegerAttr(batchBound);
  state.addRegion()->emplaceBlock();
}

/// Every tensor in a model is static but for the batch, in dimension 0.
static LogicalResult verifyDimensions(Operation *op, Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return success();
  for (auto [i, size] : llvm::enumerate(tensor.getShape())) {
    if (i > 0 && ShapedType::isDynamic(size))
      return op->emitOpError(
                 "expected a dynamic size in dimension 0 only, got ")
             << tensor;
    if (size == 0)
      return op->emitOpError("expected sizes of at least 1, got ") << tensor;
  }
  if (isBatchMinor(tensor) && !isBatched(tensor))
    return op->emitOpError("expected a batched tensor in batch-minor layout, "
                           "got ")
           << tensor;
  return success();
}

static LogicalResult verifyOneWriteEach(func::FuncOp function) {
  llvm::SmallDenseMap<StringAttr, Location> written;
  WalkResult result = function.walk([&](WriteOp write) {
    auto [first, isNew] =
        written.insert({write.getStateAttr().getAttr(), write.getLoc()});
    if (isNew)
      return WalkResult::advance();
    auto error = write.emitOpError("expected at most one write of a state in a "
                                   "function, got another one of @")
                 << write.getState();
    error.attachNote(first->second) << "the first one";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

LogicalResult ModelOp::verifyRegions() {
  for (Operation &op : getBody().front()) {
    if (!isa<StateOp, func::FuncOp>(op))
      return op.emitOpError("expected states and functions only in a model");
    auto function = dyn_cast<func::FuncOp>(op);
    if (!function)
      continue;
    for (Type type : function.getArgumentTypes())
      if (failed(verifyDimensions(function, type)))
        return failure();
    WalkResult result = function.walk([](Operation *inner) {
      for (Type type : inner->getResultTypes())
        if (failed(verifyDimensions(inner, type)))
          return WalkResult::interrupt();
      return WalkResult::advance();
    });
    if (result.wasInterrupted() || failed(verifyOneWriteEach(function)))
      return failure();
  }
  return success();
}

LogicalResult StateOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape() ||
      !(type.getElementType().isF32() ||
        type.getElementType().isSignlessInteger(32)))
    return emitOpError("expected a static tensor of f32 or i32, got ")
           << getType();
  if (getValue() && getValue()->getShapedType() != type)
    return emitOpError("expected a value of the state's type ")
           << type << ", got " << getValue()->getShapedType();
  if (getInit() == Init::Uniform && !(getA() <= getB()))
    return emitOpError("expected uniform(a, b) with a <= b, got ")
           << getA().convertToFloat() << " and " << getB().convertToFloat();
  if (getRole() == Role::Iteration &&
      (type.getRank() != 0 || !type.getElementType().isInteger(32)))
    return emitOpError("expected the iteration to be tensor<i32>, got ")
           << type;
  if (getRole() == Role::Seed && (type.getShape() != ArrayRef<int64_t>{2} ||
                                  !type.getElementType().isInteger(32)))
    return emitOpError("expected the seed to be tensor<2xi32>, got ") << type;
  return success();
}

//===----------------------------------------------------------------------===//
// Reads, writes, kernels
//===----------------------------------------------------------------------===//

/// A read or write names a state of the enclosing model and has its type.
static LogicalResult verifyStateUse(Operation *op, FlatSymbolRefAttr name,
                                    Type type, SymbolTableCollection &tables) {
  auto state = tables.lookupNearestSymbolFrom<StateOp>(op, name);
  if (!state)
    return op->emitOpError("expected a state of this model, got ") << name;
  if (state.getType() != type) {
    auto error = op->emitOpError("expected the state's type ")
                 << state.getType() << ", got " << type;
    error.attachNote(state.getLoc()) << "the state";
    return failure();
  }
  return success();
}

LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifyStateUse(*this, getStateAttr(), getResult().getType(), tables);
}

LogicalResult WriteOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifyStateUse(*this, getStateAttr(), getValue().getType(), tables);
}

LogicalResult UpdateOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifyStateUse(*this, getStateAttr(), getGradient().getType(), tables);
}

LogicalResult KernelOp::verify() {
  Block &block = getBody().front();
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield)
    return emitOpError("expected the region to end in 'sinter.yield'");
  if (yield.getOperandTypes() != getResultTypes())
    return emitOpError("expected to yield its result types ")
           << getResultTypes() << ", got " << yield.getOperandTypes();
  if (auto offsets = getOffsets())
    if (offsets->size() != getNumResults())
      return emitOpError("expected an offset for each of ")
             << getNumResults() << " results, got " << offsets->size();
  return success();
}

YieldOp KernelOp::getYield() {
  return cast<YieldOp>(getBody().front().getTerminator());
}

SmallVector<Value> KernelOp::getCaptured() {
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(getBody(), captured);
  return captured.takeVector();
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

void ConstantOp::build(OpBuilder &builder, OperationState &state, float value) {
  auto type = RankedTensorType::get({}, builder.getF32Type());
  build(builder, state, type, DenseElementsAttr::get(type, value));
}

LogicalResult BatchSizeOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location>, Adaptor,
                                            SmallVectorImpl<Type> &types) {
  types.push_back(RankedTensorType::get({}, Float32Type::get(context)));
  return success();
}

LogicalResult IotaOp::verify() {
  RankedTensorType type = tensorTypeOf(getResult());
  if (isBatched(type) || static_cast<int64_t>(getAxis()) >= type.getRank())
    return emitOpError("expected an axis of a static tensor, got axis ")
           << getAxis() << " of " << type;
  return success();
}

/// Random numbers are drawn for each sample from a stream of the model's.
template <typename Op> static LogicalResult verifyDraw(Op op) {
  if (!isBatched(op.getResult()))
    return op.emitOpError("expected a batched result, got ")
           << op.getResult().getType();
  int64_t stream = op.getStream();
  if (stream < 0 || stream >= (int64_t(1) << 30))
    return op.emitOpError("expected a stream in 0 .. 2^30 - 1, got ") << stream;
  return success();
}

template <typename Op> static LogicalResult verifyRandom(Op op) {
  if (tensorTypeOf(op.getSeed()).getShape() != ArrayRef<int64_t>{2})
    return op.emitOpError("expected the seed to be tensor<2xi32>, got ")
           << op.getSeed().getType();
  return verifyDraw(op);
}
LogicalResult RandomUniformOp::verify() { return verifyRandom(*this); }
LogicalResult RandomNormalOp::verify() { return verifyRandom(*this); }

LogicalResult DropoutOp::verify() {
  float rate = getRate().convertToFloat();
  if (!(rate >= 0 && rate < 1))
    return emitOpError("expected a rate in [0, 1), got ") << rate;
  return verifyDraw(*this);
}

LogicalResult SpatialDropoutOp::verify() {
  float rate = getRate().convertToFloat();
  if (!(rate >= 0 && rate < 1))
    return emitOpError("expected a rate in [0, 1), got ") << rate;
  if (tensorTypeOf(getX()).getRank() < 3)
    return emitOpError("expected channels and a space before them, got ")
           << getX().getType();
  return verifyDraw(*this);
}

LogicalResult GaussianNoiseOp::verify() {
  float stddev = getStddev().convertToFloat();
  if (!(stddev >= 0))
    return emitOpError("expected a standard deviation of at least 0, got ")
           << stddev;
  return verifyDraw(*this);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// The broadcast type of all operands, with `element` as element type.
static LogicalResult inferBroadcast(std::optional<Location> loc, StringRef name,
                                    ValueRange operands, Type element,
                                    SmallVectorImpl<Type> &types) {
  SmallVector<RankedTensorType> operandTypes;
  for (Value operand : operands)
    operandTypes.push_back(tensorTypeOf(operand));
  for (RankedTensorType type : operandTypes)
    if (type.getElementType() != operandTypes.front().getElementType())
      return emitOptionalError(
          loc, "'", name, "' op expected operands of one element type, got ",
          operandTypes.front(), " and ", type);
  std::string error;
  FailureOr<RankedTensorType> type = broadcastTypes(operandTypes, error);
  if (failed(type))
    return emitOptionalError(loc, "'", name, "' op ", error);
  types.push_back(
      RankedTensorType::get(type->getShape(), element, type->getEncoding()));
  return success();
}

#define ELEMENTWISE_INFERENCE(OpType)                                          \
  LogicalResult OpType::inferReturnTypes(                                      \
      MLIRContext *context, std::optional<Location> loc, Adaptor adaptor,      \
      SmallVectorImpl<Type> &types) {                                          \
    (void)context;                                                             \
    return inferBroadcast(                                                     \
        loc, getOperationName(), adaptor.getOperands(),                        \
        tensorTypeOf(adaptor.getOperands()[0]).getElementType(), types);       \
  }
ELEMENTWISE_INFERENCE(AddOp)
ELEMENTWISE_INFERENCE(SubOp)
ELEMENTWISE_INFERENCE(MulOp)
ELEMENTWISE_INFERENCE(DivOp)
ELEMENTWISE_INFERENCE(MaximumOp)
ELEMENTWISE_INFERENCE(MinimumOp)
ELEMENTWISE_INFERENCE(SelectOp)
ELEMENTWISE_INFERENCE(NegOp)
ELEMENTWISE_INFERENCE(AbsOp)
ELEMENTWISE_INFERENCE(SignOp)
ELEMENTWISE_INFERENCE(FloorOp)
ELEMENTWISE_INFERENCE(ExpOp)
ELEMENTWISE_INFERENCE(Expm1Op)
ELEMENTWISE_INFERENCE(LogOp)
ELEMENTWISE_INFERENCE(Log1pOp)
ELEMENTWISE_INFERENCE(SqrtOp)
ELEMENTWISE_INFERENCE(CosOp)
ELEMENTWISE_INFERENCE(SinOp)
ELEMENTWISE_INFERENCE(TanhOp)
ELEMENTWISE_INFERENCE(ErfOp)
ELEMENTWISE_INFERENCE(ReluOp)
ELEMENTWISE_INFERENCE(LeakyReluOp)
ELEMENTWISE_INFERENCE(EluOp)
ELEMENTWISE_INFERENCE(SeluOp)
ELEMENTWISE_INFERENCE(GeluOp)
ELEMENTWISE_INFERENCE(SiluOp)
ELEMENTWISE_INFERENCE(SigmoidOp)
ELEMENTWISE_INFERENCE(HardSigmoidOp)
ELEMENTWISE_INFERENCE(SoftplusOp)
ELEMENTWISE_INFERENCE(SigmoidCrossEntropyOp)
#undef ELEMENTWISE_INFERENCE

LogicalResult GreaterOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location> loc,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  return inferBroadcast(loc, getOperationName(), adaptor.getOperands(),
                        Float32Type::get(context), types);
}

LogicalResult EqualOp::inferReturnTypes(MLIRContext *context,
                                        std::optional<Location> loc,
                                        Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  return inferBroadcast(loc, getOperationName(), adaptor.getOperands(),
                        Float32Type::get(context), types);
}

LogicalResult CastOp::verify() {
  RankedTensorType from = tensorTypeOf(getX()), to = tensorTypeOf(getResult());
  if (from.getShape() != to.getShape() ||
      from.getEncoding() != to.getEncoding())
    return emitOpError("expected a result of the operand's shape, got ")
           << getX().getType() << " to " << getResult().getType();
  return success();
}

LogicalResult OneHotOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType labels = tensorTypeOf(adaptor.getLabels());
  if (labels.getRank() != 1)
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expected labels of rank 1, got ", labels);
  types.push_back(RankedTensorType::get(
      {labels.getDimSize(0), static_cast<int64_t>(adaptor.getClasses())},
      Float32Type::get(context), labels.getEncoding()));
  return success();
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  RankedTensorType from = tensorTypeOf(getX()), to = tensorTypeOf(getResult());
  if (from.getElementType() != to.getElementType() ||
      from.getEncoding() != to.getEncoding())
    return emitOpError("expected to change the shape alone, got ")
           << from << " to " << to;
  if (isBatched(from) != isBatched(to))
    return emitOpError("expected the batch to stay, got ")
           << from << " to " << to;
  if (featureCount(from) != featureCount(to))
    return emitOpError("expected the same number of elements, got ")
           << featureCount(from) << " for " << featureCount(to);
  return success();
}

LogicalResult BroadcastOp::verify() {
  RankedTensorType from = tensorTypeOf(getX()), to = tensorTypeOf(getResult());
  std::string error;
  FailureOr<RankedTensorType> type = broadcastTypes({from, to}, error);
  if (failed(type) || type->getShape() != to.getShape())
    return emitOpError("expected an operand that stretches to the result, got ")
           << from << " to " << to;
  if (isBatched(from) && from.getEncoding() != to.getEncoding())
    return emitOpError("expected a batched operand to keep its layout, got ")
           << from << " to " << to;
  return success();
}

/// A feature axis of a batched tensor: `axis` in 1 .. rank - 1.
static LogicalResult checkFeatureAxis(std::optional<Location> loc,
                                      StringRef name, RankedTensorType type,
                                      int64_t axis) {
  if (!isBatched(type))
    return emitOptionalError(loc, "'", name,
                             "' op expected a batched tensor, got ", type);
  if (axis < 1 || axis >= type.getRank())
    return emitOptionalError(loc, "'", name,
                             "' op expected a feature axis in 1 .. ",
                             type.getRank() - 1, ", got ", axis);
  return success();
}

static RankedTensorType withSize(RankedTensorType type, int64_t axis,
                                 int64_t size) {
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = size;
  return RankedTensorType::get(shape, type.getElementType(),
                               type.getEncoding());
}

LogicalResult ConcatenateOp::inferReturnTypes(MLIRContext *,
                                              std::optional<Location> loc,
                                              Adaptor adaptor,
                                              SmallVectorImpl<Type> &types) {
  if (adaptor.getInputs().empty())
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expected at least one input, got none");
  RankedTensorType first = tensorTypeOf(adaptor.getInputs().front());
  int64_t axis = adaptor.getAxis(), size = 0;
  if (failed(checkFeatureAxis(loc, getOperationName(), first, axis)))
    return failure();
  for (Value input : adaptor.getInputs()) {
    RankedTensorType type = tensorTypeOf(input);
    if (type.getRank() != first.getRank() ||
        withSize(type, axis, 1) != withSize(first, axis, 1))
      return emitOptionalError(loc, "'", getOperationName(),
                               "' op expected inputs that differ along axis ",
                               axis, " only, got ", first, " and ", type);
    size += type.getDimSize(axis);
  }
  types.push_back(withSize(first, axis, size));
  return success();
}

LogicalResult SliceOp::inferReturnTypes(MLIRContext *,
                                        std::optional<Location> loc,
                                        Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  RankedTensorType type = tensorTypeOf(adaptor.getX());
  int64_t axis = adaptor.getAxis();
  int64_t start = adaptor.getStart(), size = adaptor.getSize();
  if (failed(checkFeatureAxis(loc, getOperationName(), type, axis)))
    return failure();
  // Written so that no sum overflows.
  if (size > type.getDimSize(axis) || start > type.getDimSize(axis) - size)
    return emitOptionalError(
        loc, "'", getOperationName(), "' op expected a slice within ",
        type.getDimSize(axis), " elements, got ", size, " from ", start);
  types.push_back(withSize(type, axis, size));
  return success();
}

LogicalResult PadOp::inferReturnTypes(MLIRContext *,
                                      std::optional<Location> loc,
                                      Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  RankedTensorType type = tensorTypeOf(adaptor.getX());
  int64_t axis = adaptor.getAxis();
  if (failed(checkFeatureAxis(loc, getOperationName(), type, axis)))
    return failure();
  int64_t low = adaptor.getLow(), high = adaptor.getHigh(), size;
  if (llvm::AddOverflow(low, high, size) ||
      llvm::AddOverflow(size, type.getDimSize(axis), size))
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expected a padded size below 2^63, got ",
                             low, " + ", type.getDimSize(axis), " + ", high);
  types.push_back(withSize(type, axis, size));
  return success();
}

LogicalResult RelayoutOp::verify() {
  RankedTensorType from = tensorTypeOf(getX()), to = tensorTypeOf(getResult());
  if (from.getShape() != to.getShape() ||
      from.getElementType() != to.getElementType() || !isBatched(from))
    return emitOpError("expected one batched shape, got ")
           << from << " to " << to;
  if (isBatchMinor(from) == isBatchMinor(to))
    return emitOpError("expected two layouts, got ") << from << " to " << to;
  return success();
}

//===----------------------------------------------------------------------===//
// Reductions and contractions
//===----------------------------------------------------------------------===//

static LogicalResult inferReduce(std::optional<Location> loc, StringRef name,
                                 RankedTensorType type, ArrayRef<int64_t> axes,
                                 bool keepDims, bool batchAllowed,
                                 SmallVectorImpl<Type> &types) {
  if (axes.empty() || !llvm::is_sorted(axes, std::less_equal<>()) ||
      axes.front() < 0 || axes.back() >= type.getRank())
    return emitOptionalError(loc, "'", name,
                             "' op expected ascending axes in 0 .. ",
                             type.getRank() - 1, ", got [", axes, "]");
  bool overBatch = isBatched(type) && axes.front() == 0;
  if (overBatch && !batchAllowed)
    return emitOptionalError(loc, "'", name,
                             "' op expected feature axes, got the batch");
  bool leading = axes.back() == static_cast<int64_t>(axes.size()) - 1;
  if (overBatch && (keepDims || !leading))
    return emitOptionalError(
        loc, "'", name,
        "' op expected the batch to be summed alone or with the axes next to "
        "it, and dropped, got axes [",
        axes, "]", keepDims ? " with keep_dims" : "");
  SmallVector<int64_t> shape;
  for (auto [axis, size] : llvm::enumerate(type.getShape())) {
    bool reduced = llvm::is_contained(axes, static_cast<int64_t>(axis));
    if (!reduced)
      shape.push_back(size);
    else if (keepDims)
      shape.push_back(1);
  }
  types.push_back(
      RankedTensorType::get(shape, type.getElementType(),
                            overBatch ? Attribute() : type.getEncoding()));
  return success();
}

LogicalResult ReduceSumOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  return inferReduce(loc, getOperationName(), tensorTypeOf(adaptor.getX()),
                     adaptor.getAxes(), adaptor.getKeepDims(), true, types);
}

LogicalResult ReduceMaxOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  return inferReduce(loc, getOperationName(), tensorTypeOf(adaptor.getX()),
                     adaptor.getAxes(), adaptor.getKeepDims(), false, types);
}

LogicalResult ArgMaxOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType type = tensorTypeOf(adaptor.getX());
  if (featureShape(type).empty())
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expected a feature axis, got ", type);
  types.push_back(RankedTensorType::get(type.getShape().drop_back(),
                                        IntegerType::get(context, 32),
                                        type.getEncoding()));
  return success();
}

LogicalResult MatmulOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType a = tensorTypeOf(adaptor.getA()),
                   b = tensorTypeOf(adaptor.getB());
  int64_t rows = a.getDimSize(adaptor.getTransposeA() ? 1 : 0);
  int64_t inner = a.getDimSize(adaptor.getTransposeA() ? 0 : 1);
  int64_t otherInner = b.getDimSize(adaptor.getTransposeB() ? 1 : 0);
  int64_t columns = b.getDimSize(adaptor.getTransposeB() ? 0 : 1);
  if (inner != otherInner)
    return emitOptionalError(
        loc, "'", getOperationName(),
        "' op expected the right operand to have as many rows as the left has "
        "columns, got ",
        b, adaptor.getTransposeB() ? " transposed" : "", " for ", a,
        adaptor.getTransposeA() ? " transposed" : "");
  if (ShapedType::isDynamic(columns))
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expected the batch as rows of the left "
                             "operand or contracted away, got ",
                             a, " and ", b);
  types.push_back(RankedTensorType::get(
      {rows, columns}, a.getElementType(),
      ShapedType::isDynamic(rows) ? a.getEncoding() : Attribute()));
  return success();
}

LogicalResult BatchMatmulOp::inferReturnTypes(MLIRContext *,
                                              std::optional<Location> loc,
                                              Adaptor adaptor,
                                              SmallVectorImpl<Type> &types) {
  RankedTensorType a = tensorTypeOf(adaptor.getA()),
                   b = tensorTypeOf(adaptor.getB());
  int64_t rank = a.getRank();
  if (!isBatched(a) || !isBatched(b) || rank < 3 || b.getRank() != rank ||
      a.getEncoding() != b.getEncoding())
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expected two batched tensors of one rank of "
                             "at least 3 and one layout, got ",
                             a, " and ", b);
  bool ta = adaptor.getTransposeA(), tb = adaptor.getTransposeB();
  if (a.getDimSize(rank - (ta ? 2 : 1)) != b.getDimSize(rank - (tb ? 1 : 2)))
    return emitOptionalError(
        loc, "'", getOperationName(),
        "' op expected the right matrices to have as many rows as the left "
        "ones have columns, got ",
        b, tb ? " transposed" : "", " for ", a, ta ? " transposed" : "");
  SmallVector<int64_t> shape(a.getShape());
  for (int64_t i = 1; i < rank - 2; ++i) {
    int64_t other = b.getDimSize(i);
    if (shape[i] != other && shape[i] != 1 && other != 1)
      return emitOptionalError(loc, "'", getOperationName(),
                               "' op expected axes before the matrices that "
                               "broadcast, got ",
                               a, " and ", b);
    shape[i] = std::max(shape[i], other);
  }
  shape[rank - 2] = a.getDimSize(rank - (ta ? 1 : 2));
  shape[rank - 1] = b.getDimSize(rank - (tb ? 2 : 1));
  types.push_back(
      RankedTensorType::get(shape, a.getElementType(), a.getEncoding()));
  return success();
}

int64_t BatchMatmulOp::getInner() {
  RankedTensorType a = tensorTypeOf(getA());
  return a.getDimSize(a.getRank() - (getTransposeA() ? 2 : 1));
}

LogicalResult SoftmaxOp::inferReturnTypes(MLIRContext *,
                                          std::optional<Location> loc,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  RankedTensorType type = tensorTypeOf(adaptor.getX());
  if (featureShape(type).empty())
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expected a feature axis, got ", type);
  types.push_back(type);
  return success();
}

LogicalResult SoftmaxCrossEntropyOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  RankedTensorType logits = tensorTypeOf(adaptor.getLogits());
  RankedTensorType targets = tensorTypeOf(adaptor.getTargets());
  if (logits.getShape() != targets.getShape())
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expected targets of the logits' shape, got ",
                             targets, " for ", logits);
  types.push_back(RankedTensorType::get(logits.getShape().drop_back(),
                                        logits.getElementType(),
                                        logits.getEncoding()));
  return success();
}
