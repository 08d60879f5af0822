//===- Interpreter.cpp - runs a function of a model, op by op ------------===//

#include "ir/reference/Interpreter.h"

#include "ir/SinterDialect.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;

namespace {
/// One call of a function: its values so far, and its writes until they take
/// effect.
class Call {
public:
  Call(func::FuncOp function, const State &state,
       const InterpretOptions &options)
      : function(function), state(state), options(options),
        batch(options.batch) {}

  LogicalResult bindInputs(ArrayRef<Tensor> inputs);
  LogicalResult run(Block &block);

  std::vector<Tensor> takeResults() { return std::move(results); }
  State &getWrites() { return writes; }

private:
  LogicalResult run(Operation *op);
  LogicalResult run(ReadOp read);
  LogicalResult run(WriteOp write);
  LogicalResult run(KernelOp kernel);
  LogicalResult apply(Operation *op);

  /// What @prepare makes of the states at function entry.
  LogicalResult prepare(ModelOp model);

  /// A state's value at function entry; null, reported at `op`, without one
  /// of this type.
  const Tensor *valueOf(StringRef state, RankedTensorType type,
                        Operation *op) const;
  std::vector<Tensor> valuesOf(ValueRange operands) const;
  /// The type's shape with the batch filled in, or failure when a batch is
  /// needed and none is known.
  FailureOr<std::vector<size_t>> shapeOf(RankedTensorType type) const;
  void round(Tensor &tensor) const;

  func::FuncOp function;
  const State &state;
  const InterpretOptions &options;
  std::optional<size_t> batch;
  llvm::DenseMap<Value, Tensor> values;
  State writes, derived;
  std::vector<Tensor> results;
};
} // namespace

static std::optional<Element> elementOf(Type type) {
  if (type.isF32())
    return Element::F32;
  if (type.isSignlessInteger(32))
    return Element::I32;
  return std::nullopt;
}

static std::string describe(const Tensor &tensor) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << '(';
  llvm::interleaveComma(tensor.values.shape(), stream);
  stream << ") of " << (tensor.element == Element::F32 ? "f32" : "i32");
  return text;
}

/// Has the tensor this type, any number of samples taken for the batch?
static bool hasType(const Tensor &tensor, RankedTensorType type) {
  if (elementOf(type.getElementType()) != tensor.element ||
      static_cast<size_t>(type.getRank()) != tensor.values.dimension())
    return false;
  for (auto [expected, size] :
       llvm::zip(type.getShape(), tensor.values.shape()))
    if (!ShapedType::isDynamic(expected) &&
        static_cast<size_t>(expected) != size)
      return false;
  return true;
}

LogicalResult Call::bindInputs(ArrayRef<Tensor> inputs) {
  if (function.isExternal())
    return function.emitError("expected a function with a body");
  if (inputs.size() != function.getNumArguments())
    return function.emitError("expected ")
           << function.getNumArguments() << " inputs, got " << inputs.size();
  for (auto [i, input] : llvm::enumerate(inputs)) {
    auto type = dyn_cast<RankedTensorType>(function.getArgument(i).getType());
    if (!type || !hasType(input, type))
      return function.emitError("expected input ")
             << i << " of type " << function.getArgument(i).getType()
             << ", got " << describe(input);
    if (isBatched(type)) {
      size_t samples = input.values.shape(0);
      if (batch && *batch != samples)
        return function.emitError("expected one batch size, got ")
               << *batch << " and, in input " << i << ", " << samples;
      batch = samples;
    }
    values[function.getArgument(i)] = input;
  }
  if (!batch)
    return success();
  if (*batch == 0)
    return function.emitError("expected at least one sample, got none");
  auto model = dyn_cast<ModelOp>(function->getParentOp());
  if (model && *batch > model.getBatchBound())
    return function.emitError("expected a batch of at most ")
           << model.getBatchBound() << ", got " << *batch;
  return success();
}

LogicalResult Call::run(Block &block) {
  for (Operation &op : block)
    if (failed(run(&op)))
      return failure();
  return success();
}

LogicalResult Call::run(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](ReadOp read) { return run(read); })
      .Case([&](WriteOp write) { return run(write); })
      .Case([&](KernelOp kernel) { return run(kernel); })
      .Case([&](YieldOp) { return success(); }) // its kernel looks at it
      .Case([&](func::ReturnOp ret) {
        results = valuesOf(ret.getOperands());
        return success();
      })
      .Default([&](Operation *op) { return apply(op); });
}

const Tensor *Call::valueOf(StringRef name, RankedTensorType type,
                            Operation *op) const {
  auto entry = state.find(name.str());
  if (entry == state.end()) {
    op->emitOpError("expected a value for @") << name << ", got none";
    return nullptr;
  }
  if (!hasType(entry->second, type)) {
    op->emitOpError("expected a value of type ")
        << type << " for @" << name << ", got " << describe(entry->second);
    return nullptr;
  }
  return &entry->second;
}

LogicalResult Call::prepare(ModelOp model) {
  auto prepare = model.lookupSymbol<func::FuncOp>("prepare");
  if (!prepare)
    return model.emitError("expected a function @prepare for derived states, "
                           "got none");
  Call call(prepare, state, options);
  if (failed(call.run(prepare.getBody().front())))
    return failure();
  derived = std::move(call.getWrites());
  return success();
}

LogicalResult Call::run(ReadOp read) {
  auto model = read->getParentOfType<ModelOp>();
  auto source =
      model ? model.lookupSymbol<StateOp>(read.getState()) : StateOp();
  if (source && source.getRole() == Role::Derived) {
    if (derived.empty() && failed(prepare(model)))
      return failure();
    auto entry = derived.find(read.getState().str());
    if (entry == derived.end())
      return read.emitError("expected @prepare to write @")
             << read.getState() << ", got no such write";
    values[read.getResult()] = entry->second;
    return success();
  }
  const Tensor *value =
      valueOf(read.getState(), tensorTypeOf(read.getResult()), read);
  if (!value)
    return failure();
  values[read.getResult()] = *value;
  return success();
}

LogicalResult Call::run(WriteOp write) {
  writes[write.getState().str()] = values.at(write.getValue());
  return success();
}

LogicalResult Call::run(KernelOp kernel) {
  Block &body = kernel.getBody().front();
  if (failed(run(body)))
    return failure();
  for (auto [result, yielded] :
       llvm::zip(kernel.getResults(), body.getTerminator()->getOperands())) {
    Tensor value = values.at(yielded);
    values[result] = std::move(value);
  }
  return success();
}

LogicalResult Call::apply(Operation *op) {
  Kernel kernel = findKernel(op->getName().getStringRef());
  if (!kernel)
    return op->emitError("expected an op with a reference kernel, got '")
           << op->getName() << "'";
  RankedTensorType type = tensorTypeOf(op->getResult(0));
  FailureOr<std::vector<size_t>> shape = shapeOf(type);
  if (failed(shape) || (isa<BatchSizeOp>(op) && !batch))
    return op->emitError("expected a batch size: the function has no batched "
                         "input, so it must be given");
  SmallVector<const Array *> operands;
  for (Value operand : op->getOperands())
    operands.push_back(&values.at(operand).values);
  if (auto norm = dyn_cast<BatchNormalizationOp>(op)) {
    auto channels = RankedTensorType::get(type.getShape().take_back(),
                                          type.getElementType());
    for (StringRef name : {norm.getMovingMean(), norm.getMovingVariance()}) {
      const Tensor *value = valueOf(name, channels, op);
      if (!value)
        return failure();
      operands.push_back(&value->values);
    }
  }
  FailureOr<Array> array =
      kernel({op, operands, std::move(*shape), batch.value_or(1)});
  if (failed(array))
    return failure();
  Tensor result{*elementOf(type.getElementType()), std::move(*array)};
  assert(hasType(result, type) && "a kernel's result has the op's type");
  round(result);
  values[op->getResult(0)] = std::move(result);
  return success();
}

std::vector<Tensor> Call::valuesOf(ValueRange operands) const {
  std::vector<Tensor> tensors;
  for (Value operand : operands)
    tensors.push_back(values.at(operand));
  return tensors;
}

FailureOr<std::vector<size_t>> Call::shapeOf(RankedTensorType type) const {
  std::vector<size_t> shape;
  for (int64_t size : type.getShape()) {
    if (ShapedType::isDynamic(size) && !batch)
      return failure();
    shape.push_back(ShapedType::isDynamic(size) ? *batch : size);
  }
  return shape;
}

void Call::round(Tensor &tensor) const {
  if (tensor.element == Element::I32) {
    for (double &value : tensor.values) // integers wrap around
      value = static_cast<int32_t>(
          static_cast<uint32_t>(static_cast<int64_t>(value)));
  } else if (options.precision == Precision::Float32) {
    for (double &value : tensor.values)
      value = static_cast<float>(value);
  }
}

FailureOr<std::vector<Tensor>>
sinter::reference::interpret(func::FuncOp function, ArrayRef<Tensor> inputs,
                             State &state, const InterpretOptions &options) {
  Call call(function, state, options);
  if (failed(call.bindInputs(inputs)) ||
      failed(call.run(function.getBody().front())))
    return failure();
  for (auto &[name, value] : call.getWrites())
    state[name] = std::move(value);
  return call.takeResults();
}
