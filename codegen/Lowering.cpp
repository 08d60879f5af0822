//===- Lowering.cpp - planned model to loops -----------------------------===//
//
// One function a kernel, one a step; and the record of what was made. The loop
// nests are in Lower*.cpp, one file a kind of kernel; which kind has which is
// the table below.
//
//===----------------------------------------------------------------------===//

#include "codegen/Lowering.h"

#include "codegen/KernelEmitter.h"
#include "codegen/Pointers.h"
#include "ir/Tuning.h"
#include "ir/Winograd.h"
#include "passes/Names.h"
#include "passes/Schedule.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

#include <map>

using namespace mlir;
using namespace sinter;

using KernelLowering = FailureOr<int64_t> (*)(KernelEmitter &);

static KernelLowering findLowering(KernelKind kind, bool oneSample) {
  if (oneSample)
    switch (kind) {
    case KernelKind::Matmul:
      return lowerSampleMatmul;
    case KernelKind::BatchMatmul:
      return lowerSampleBatchMatmul;
    case KernelKind::Sweep:
      return lowerSampleSweep;
    case KernelKind::Conv:
      return lowerSampleConv;
    case KernelKind::WinogradConv:
      return lowerSampleWinograd;
    case KernelKind::WinogradFilter: // where nothing prepares it
      return lowerWinogradFilter;
    default:
      return nullptr;
    }
  switch (kind) {
  case KernelKind::Matmul:
    return lowerMatmul;
  case KernelKind::BatchMatmul:
    return lowerBatchMatmul;
  case KernelKind::WeightGradient:
    return lowerWeightGradient;
  case KernelKind::Sweep:
    return lowerSweep;
  case KernelKind::BatchReduce:
    return lowerBatchReduce;
  case KernelKind::Conv:
    return lowerConv;
  case KernelKind::FilterGradient:
    return lowerFilterGradient;
  case KernelKind::WinogradConv:
    return lowerWinogradConv;
  case KernelKind::WinogradFilter:
    return lowerWinogradFilter;
  case KernelKind::WinogradGradient:
    return lowerWinogradGradient;
  case KernelKind::Scatter:
    return lowerScatter;
  case KernelKind::Relayout:
    return lowerRelayout;
  }
  llvm_unreachable("every kind has a lowering");
}

//===----------------------------------------------------------------------===//
// May we?
//===----------------------------------------------------------------------===//

/// Ops that the emitter or a nest knows.
static bool hasLowering(Operation *op) {
  return isa<AddOp, SubOp, MulOp, DivOp, MaximumOp, MinimumOp, GreaterOp,
             EqualOp, SelectOp, NegOp, AbsOp, SignOp, FloorOp, ExpOp, Expm1Op,
             LogOp, Log1pOp, SqrtOp, CosOp, SinOp, TanhOp, ErfOp, CastOp,
             BroadcastOp, ReshapeOp, OneHotOp, SliceOp, PadOp, ConcatenateOp,
             ConstantOp, IotaOp, BatchSizeOp, RandomUniformOp, RandomNormalOp,
             MatmulOp, BatchMatmulOp, Conv2dOp, Conv2dTransposeOp,
             Conv2dFilterGradientOp, WinogradFilterOp, WinogradFilterAdjointOp,
             WinogradConv2dOp, WinogradFilterGradientOp, ScratchOp, MaxPool2dOp,
             MaxPool2dGatherOp, AvgPool2dOp, MaxPool2dGradientOp,
             AvgPool2dGradientOp, TransposeOp, UpsampleOp, ReduceSumOp,
             ReduceMaxOp, ArgMaxOp, EmbeddingOp, EmbeddingGradientOp,
             RelayoutOp, ReadOp, WriteOp, YieldOp>(op);
}

bool sinter::isPrimitive(Operation *op) {
  return hasLowering(op) && !isa<ReadOp, WriteOp, YieldOp>(op);
}

static LogicalResult checkLowerable(func::FuncOp function) {
  for (Operation &op : function.front()) {
    if (isa<ReshapeOp, ReadOp, ConstantOp, func::ReturnOp>(op) ||
        isSliceView(&op))
      continue;
    auto kernel = dyn_cast<KernelOp>(op);
    if (!kernel || !kernel.getOffsets())
      return op.emitError("expected planned kernels only, got '")
             << op.getName() << "'";
    for (Operation &inner : kernel.getBody().front()) {
      if (!hasLowering(&inner))
        return inner.emitError("expected a primitive, got '")
               << inner.getName() << "'";
      auto constant = dyn_cast<ConstantOp>(inner);
      if (constant && !constant.getValue().isSplat())
        return inner.emitError("expected a constant of one value, got ")
               << constant.getType() << " with several";
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// The record
//===----------------------------------------------------------------------===//

static sinter_dtype dtypeOf(RankedTensorType type) {
  return type.getElementType().isF32() ? SINTER_F32 : SINTER_I32;
}

static TensorRecord recordTensor(StringRef name, RankedTensorType type) {
  TensorRecord record{name.str(), dtypeOf(type), {}};
  for (int64_t size : type.getShape())
    record.shape.push_back(ShapedType::isDynamic(size) ? -1 : size);
  return record;
}

static StateRecord recordState(StateOp state, int64_t offset) {
  RankedTensorType type = state.getTensorType();
  StateRecord record;
  record.name = state.getSymName().str();
  record.dtype = dtypeOf(type);
  record.role = static_cast<sinter_role>(state.getRole());
  record.shape.assign(type.getShape().begin(), type.getShape().end());
  record.offset = offset;
  record.bytes = storedBytes(type, 1);
  record.init = static_cast<sinter_init_kind>(state.getInit());
  record.a = state.getA().convertToFloat();
  record.b = state.getB().convertToFloat();
  if (auto value = dyn_cast_or_null<DenseElementsAttr>(state.getValueAttr())) {
    record.init = SINTER_INIT_DATA;
    record.data.resize(record.bytes);
    auto *out = record.data.data();
    auto append = [&](uint32_t bits) {
      std::memcpy(out, &bits, 4);
      out += 4;
    };
    if (record.dtype == SINTER_F32)
      for (float x : value.getValues<float>())
        append(llvm::bit_cast<uint32_t>(x));
    else
      for (int32_t x : value.getValues<int32_t>())
        append(static_cast<uint32_t>(x));
  }
  return record;
}

/// Products of a convolution's direct sum, whatever its kernel needs:
/// Winograd's filtering does with fewer.
static int64_t productsOf(Operation *op) {
  Convolution conv;
  if (auto forward = dyn_cast<Conv2dOp>(op))
    conv = convolutionOf(forward);
  else if (auto back = dyn_cast<Conv2dTransposeOp>(op))
    conv = convolutionOf(back);
  else if (auto gradient = dyn_cast<Conv2dFilterGradientOp>(op))
    conv = convolutionOf(gradient);
  else if (auto winograd = dyn_cast<WinogradConv2dOp>(op))
    conv = convolutionOf(winograd);
  else if (auto gradient = dyn_cast<WinogradFilterGradientOp>(op))
    conv = convolutionOf(gradient);
  else
    return 0;
  return conv.products();
}

/// Direct or Winograd? Passes chose; the costs are in the kernel of the
/// products and in those that transform filters for it or take a gradient from
/// it.
static void recordAlgorithms(KernelOp kernel, KernelRecord &record) {
  auto add = [&](Operation *op, double share) {
    std::string key = algorithmKey(op);
    if (key.empty())
      return;
    int64_t tile = 0;
    if (auto conv = dyn_cast<WinogradConv2dOp>(op))
      tile = winogradTile(tensorTypeOf(conv.getU()));
    else if (auto gradient = dyn_cast<WinogradFilterGradientOp>(op))
      tile = static_cast<int64_t>(gradient.getTile());
    std::vector<std::string> names;
    size_t chosen = 0;
    for (const tuning::Algorithm &algorithm : tuning::algorithms) {
      if (algorithm.tile == tile)
        chosen = names.size();
      names.push_back(algorithm.name.str());
    }
    record.choices.push_back(
        {key, tuning::algorithm.str(), std::move(names), chosen, share});
  };
  auto opOf = [](Value stored) -> Operation * {
    auto producer = stored.getDefiningOp<KernelOp>();
    if (!producer)
      return nullptr;
    auto number = cast<OpResult>(stored).getResultNumber();
    return producer.getYield().getValues()[number].getDefiningOp();
  };
  for (Operation &op : kernel.getBody().front()) {
    add(&op, 1);
    if (!isa<WinogradFilterOp>(op))
      continue;
    SmallVector<Operation *> users;
    for (auto [inside, outside] :
         llvm::zip_equal(kernel.getYield().getValues(), kernel.getResults()))
      if (inside == op.getResult(0))
        llvm::append_range(users, outside.getUsers());
    for (Operation *user : users)
      add(user, 1.0 / static_cast<double>(users.size()));
  }
  for (Value captured : kernel.getCaptured())
    if (Operation *op = opOf(storageOf(captured));
        isa_and_nonnull<Conv2dFilterGradientOp, WinogradFilterGradientOp>(op))
      add(op, 1);
}

/// Arithmetic and memory traffic, as fixed + per sample.
static void recordWork(KernelOp kernel, KernelRecord &record) {
  auto count = [](RankedTensorType type, int64_t times, int64_t &fixed,
                  int64_t &perSample) {
    (isBatched(type) ? perSample : fixed) += times * featureCount(type);
  };
  auto countBytes = [&](RankedTensorType type) {
    count(type, 4, record.bytesFixed, record.bytesPerSample);
  };
  for (Value captured : kernel.getCaptured())
    countBytes(tensorTypeOf(captured));
  for (auto [inside, result] :
       llvm::zip_equal(kernel.getYield().getValues(), kernel.getResults()))
    if (!inside.getDefiningOp<ScratchOp>())
      countBytes(tensorTypeOf(result));
  for (Operation &op : kernel.getBody().front()) {
    if (auto read = dyn_cast<ReadOp>(op))
      countBytes(tensorTypeOf(read.getResult()));
    else if (auto write = dyn_cast<WriteOp>(op))
      countBytes(tensorTypeOf(write.getValue()));
    else if (auto matmul = dyn_cast<MatmulOp>(op)) {
      ContractedRows rows = contractedRows(matmul);
      RankedTensorType result = tensorTypeOf(matmul.getResult());
      int64_t work = matmul.getTransposeA()
                         ? featureCount(result)
                         : (rows.high - rows.low) * featureCount(result);
      record.flopsPerSample += 2 * work;
    } else if (auto matmul = dyn_cast<BatchMatmulOp>(op))
      record.flopsPerSample += 2 * matmul.getInner() *
                               featureCount(tensorTypeOf(matmul.getResult()));
    else if (int64_t products = productsOf(&op))
      record.flopsPerSample += 2 * products;
    else if (auto scatter = dyn_cast<EmbeddingGradientOp>(op))
      count(tensorTypeOf(scatter.getDy()), 1, record.flopsFixed,
            record.flopsPerSample);
    else if (isa<ReduceSumOp, ReduceMaxOp>(op))
      count(tensorTypeOf(op.getOperand(0)), 1, record.flopsFixed,
            record.flopsPerSample);
    else if (op.hasTrait<Elementwise>() && !isa<BroadcastOp>(op))
      count(tensorTypeOf(op.getResult(0)), 1, record.flopsFixed,
            record.flopsPerSample);
  }
}

/// What PlanMemory decided, told by the kernels' offsets and uses.
static std::vector<BufferRecord> recordBuffers(func::FuncOp function,
                                               int64_t batchBound) {
  std::vector<BufferRecord> buffers;
  llvm::DenseMap<Value, size_t> bufferOf;
  int64_t step = 0;
  for (KernelOp kernel : function.front().getOps<KernelOp>()) {
    for (Value value : arenaOperands(kernel))
      buffers[bufferOf.lookup(value)].lastKernel = step;
    for (auto [i, result] : llvm::enumerate(kernel.getResults())) {
      if (!isInArena(result))
        continue;
      std::string name = kernel.getName().str();
      if (i > 0)
        name += " #" + std::to_string(i + 1);
      bufferOf[result] = buffers.size();
      buffers.push_back({std::move(name), (*kernel.getOffsets())[i],
                         storedBytes(result, batchBound), step, step});
    }
    ++step;
  }
  return buffers;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

namespace {
class ModelLowering {
public:
  ModelLowering(ModuleOp module, ModelOp model, const TargetShape &target)
      : module(module), model(model), builder(module.getContext()),
        target(target), layout{static_cast<int64_t>(model.getBatchBound()),
                               target,
                               {},
                               {},
                               target.lanes},
        hasPrepare(model.lookupSymbol(names::prepare) != nullptr) {}

  FailureOr<ModelRecord> lower();

private:
  void placeStates();
  void findEqualKernels();
  FailureOr<FunctionRecord> lowerFunction(func::FuncOp function);
  FailureOr<KernelRecord> lowerKernel(KernelOp kernel, std::string symbol);
  FailureOr<int64_t> lowerShared(KernelOp kernel, func::FuncOp function);
  void defineSlices(func::FuncOp function, const FunctionRecord &record);
  void keepPrepared(func::FuncOp function, OpBuilder &inside, Value call);
  func::FuncOp declare(StringRef name, ArrayRef<Type> arguments, Location loc);

  ModuleOp module;
  ModelOp model;
  OpBuilder builder;
  const TargetShape target;
  ModelLayout layout;
  const bool hasPrepare;
  ModelRecord record;
  /// Kernels of one form, in all functions.
  struct Form {
    SmallVector<KernelOp> kernels;
    func::FuncOp function; // where there are several: their code, once made
    int64_t tasks = 0;
    std::vector<ChoiceRecord> choices;
  };
  std::vector<Form> forms;
  llvm::DenseMap<Operation *, size_t> formOf;
};
} // namespace

/// One block: each state at a multiple of a cache line, in declaration order,
/// derived ones last.
void ModelLowering::placeStates() {
  int64_t offset = 0;
  auto placeAll = [&](bool derived) {
    for (StateOp state : model.getBody().getOps<StateOp>()) {
      if ((state.getRole() == Role::Derived) != derived)
        continue;
      layout.stateOffsets[state.getSymName()] = offset;
      layout.stateTypes[state.getSymName()] = state.getTensorType();
      record.states.push_back(recordState(state, offset));
      offset = llvm::alignTo(offset + record.states.back().bytes, 64);
    }
  };
  placeAll(/*derived=*/false);
  record.derivedOffset = offset;
  if (hasPrepare) {
    offset += 64; // SINTER_DERIVED's word
    placeAll(/*derived=*/true);
  }
  record.stateBytes = offset;
}

void ModelLowering::findEqualKernels() {
  std::map<std::vector<uintptr_t>, size_t> known;
  model.walk([&](KernelOp kernel) {
    auto [entry, isNew] =
        known.try_emplace(KernelFrame(kernel).form, forms.size());
    if (isNew)
      forms.emplace_back();
    forms[entry->second].kernels.push_back(kernel);
    formOf[kernel] = entry->second;
  });
  record.numKernels = formOf.size();
  record.distinctKernels = forms.size();
}

func::FuncOp ModelLowering::declare(StringRef name, ArrayRef<Type> arguments,
                                    Location loc) {
  builder.setInsertionPointToEnd(module.getBody());
  return func::FuncOp::create(builder, loc, name,
                              builder.getFunctionType(arguments, {}));
}

static FailureOr<int64_t> emitNest(KernelOp kernel, const ModelLayout &layout,
                                   func::FuncOp function,
                                   std::vector<ChoiceRecord> &choices,
                                   const KernelFrame *frame = nullptr) {
  KernelEmitter emitter(kernel, layout, function, frame);
  KernelLowering lower = findLowering(kernel.getKind(), emitter.oneSample);
  if (!lower)
    return kernel.emitError("expected no ")
           << stringifyKernelKind(kernel.getKind())
           << " in a function of one sample";
  FailureOr<int64_t> tasks = lower(emitter);
  if (succeeded(tasks))
    emitter.finish();
  choices = emitter.takeChoices();
  return tasks;
}

/// Makes `function` call the code of the kernel's form with the kernel's frame.
/// The first kernel of a form brings the code, which bears the locations of all
/// of them.
FailureOr<int64_t> ModelLowering::lowerShared(KernelOp kernel,
                                              func::FuncOp function) {
  KernelFrame frame(kernel);
  size_t number = formOf.lookup(kernel);
  Form &form = forms[number];
  if (!form.function) {
    SmallVector<Type> arguments(function.getArgumentTypes());
    appendFrameTypes(frame, builder.getContext(), arguments);
    SmallVector<Location> locations;
    for (KernelOp user : form.kernels)
      locations.push_back(user.getLoc());
    std::string symbol =
        (model.getSymName() + "_shared" + std::to_string(number)).str();
    form.function = declare(symbol, arguments, builder.getFusedLoc(locations));
    form.function.setPrivate();
    FailureOr<int64_t> tasks =
        emitNest(kernel, layout, form.function, form.choices, &frame);
    if (failed(tasks))
      return failure();
    form.tasks = *tasks;
  }
  Location loc = kernel.getLoc();
  OpBuilder inside = OpBuilder::atBlockBegin(function.addEntryBlock());
  Value call = function.getArgument(0);
  SmallVector<Value> arguments(function.getArguments());
  llvm::append_range(arguments, emitFrame(frame, layout, inside, loc, call));
  func::CallOp::create(inside, loc, form.function, arguments);
  func::ReturnOp::create(inside, loc);
  return form.tasks;
}

FailureOr<KernelRecord> ModelLowering::lowerKernel(KernelOp kernel,
                                                   std::string symbol) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  func::FuncOp function =
      declare(symbol, {pointer, builder.getI64Type()}, kernel.getLoc());
  function.setPrivate();
  Form &form = forms[formOf.lookup(kernel)];
  bool isAlone = form.kernels.size() == 1;
  FailureOr<int64_t> tasks =
      isAlone ? emitNest(kernel, layout, function, form.choices)
              : lowerShared(kernel, function);
  if (failed(tasks))
    return failure();

  KernelRecord result;
  result.name = kernel.getName().str();
  result.kind = stringifyKernelKind(kernel.getKind()).str();
  result.symbol = std::move(symbol);
  result.tasks = *tasks;
  recordWork(kernel, result);
  result.choices = form.choices;
  if (!kernel->getParentOfType<func::FuncOp>()->hasAttr(names::oneSample))
    recordAlgorithms(kernel, result);
  return result;
}

static bool writesStates(func::FuncOp function) {
  return function.walk([](WriteOp) { return WalkResult::interrupt(); })
      .wasInterrupted();
}

static bool readsDerived(func::FuncOp function, ModelOp model) {
  return function
      .walk([&](ReadOp read) {
        auto state = model.lookupSymbol<StateOp>(read.getState());
        return state.getRole() == Role::Derived ? WalkResult::interrupt()
                                                : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Before a function runs: who changes states makes what is derived from them
/// stale, who reads that prepares it if it is.
void ModelLowering::keepPrepared(func::FuncOp function, OpBuilder &inside,
                                 Value call) {
  if (!hasPrepare || function.getName() == names::prepare)
    return;
  Location loc = function.getLoc();
  if (writesStates(function))
    createMarkPrepared(inside, loc, call, record.derivedOffset, false);
  else if (readsDerived(function, model))
    createPrepareIfStale(inside, loc, call, record.derivedOffset,
                         (model.getSymName() + "_" + names::prepare).str());
}

/// The function itself, where the kernels are called by "..._slice".
void ModelLowering::defineSlices(func::FuncOp function,
                                 const FunctionRecord &record) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Location loc = function.getLoc();
  func::FuncOp all = declare(record.symbol, {pointer}, loc);
  OpBuilder inside = OpBuilder::atBlockBegin(all.addEntryBlock());
  keepPrepared(function, inside, all.getArgument(0));
  auto bytesOf = [](Type type) {
    return storedBytes(cast<RankedTensorType>(type), 1);
  };
  int64_t places = slicePlacesOf(function);
  SliceForm form{layout.batchBound, bytesOf(function.getArgumentTypes()[0]),
                 bytesOf(function.getResultTypes()[0]),
                 record.arenaBytes / places, places};
  createRunSlices(inside, loc, all.getArgument(0), record.symbol + "_slice",
                  form);
  func::ReturnOp::create(inside, loc);
}

FailureOr<FunctionRecord> ModelLowering::lowerFunction(func::FuncOp function) {
  if (failed(checkLowerable(function)))
    return failure();
  FunctionRecord result;
  result.symbol = (model.getSymName() + "_" + function.getName()).str();
  if (auto bytes = function->getAttrOfType<IntegerAttr>(names::arenaBytes))
    result.arenaBytes = bytes.getInt();
  if (auto bytes = function->getAttrOfType<IntegerAttr>(names::arenaLowerBound))
    result.arenaLowerBound = bytes.getInt();
  auto inputNames = function->getAttrOfType<ArrayAttr>(names::inputNames);
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    StringRef name = inputNames ? cast<StringAttr>(inputNames[i]).getValue()
                     : i == 0   ? StringRef("input")
                                : StringRef("target");
    result.inputs.push_back(recordTensor(name, cast<RankedTensorType>(type)));
  }
  auto resultNames = function->getAttrOfType<ArrayAttr>(names::resultNames);
  for (auto [i, type] : llvm::enumerate(function.getResultTypes())) {
    StringRef name = resultNames ? cast<StringAttr>(resultNames[i]).getValue()
                                 : StringRef("prediction");
    result.outputs.push_back(recordTensor(name, cast<RankedTensorType>(type)));
  }

  layout.batchBound = batchBoundOf(function);
  // Small batches do not fill wide vectors.
  layout.target.lanes = function->hasAttr(names::oneSample)
                            ? target.lanes
                            : std::min(target.lanes, layout.padded());
  result.kernelBatchBound = layout.batchBound;
  result.buffers = recordBuffers(function, layout.batchBound);
  for (KernelOp kernel : function.front().getOps<KernelOp>()) {
    std::string symbol =
        result.symbol + "_kernel" + std::to_string(result.kernels.size());
    FailureOr<KernelRecord> kernelRecord = lowerKernel(kernel, symbol);
    if (failed(kernelRecord))
      return failure();
    result.kernels.push_back(*kernelRecord);
  }

  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  bool isSliced = function->hasAttr(names::batchBound);
  if (isSliced)
    defineSlices(function, result);
  func::FuncOp step = declare(result.symbol + (isSliced ? "_slice" : ""),
                              {pointer}, function.getLoc());
  OpBuilder inside = OpBuilder::atBlockBegin(step.addEntryBlock());
  Value call = step.getArgument(0);
  if (!isSliced)
    keepPrepared(function, inside, call);
  auto kernels = function.front().getOps<KernelOp>();
  for (auto [kernel, op] : llvm::zip_equal(result.kernels, kernels)) {
    Location loc = op->getLoc();
    if (kernel.tasks > 1) {
      createParallelFor(inside, loc, call, kernel.symbol, kernel.tasks);
      continue;
    }
    Value first =
        arith::ConstantOp::create(inside, loc, inside.getI64IntegerAttr(0));
    func::CallOp::create(inside, loc, kernel.symbol, TypeRange(),
                         ValueRange{call, first});
  }
  if (function.getName() == names::prepare)
    createMarkPrepared(inside, function.getLoc(), call, record.derivedOffset,
                       true);
  func::ReturnOp::create(inside, function.getLoc());
  return result;
}

FailureOr<ModelRecord> ModelLowering::lower() {
  record.name = model.getSymName().str();
  record.batchBound = model.getBatchBound();
  placeStates();
  findEqualKernels();
  for (auto function : model.getBody().getOps<func::FuncOp>()) {
    FailureOr<FunctionRecord> lowered = lowerFunction(function);
    if (failed(lowered))
      return failure();
    if (function.getName() == names::predict)
      record.predict = *lowered;
    else if (function.getName() == names::predictOne)
      record.predictOne = *lowered;
    else if (function.getName() == names::evalStep)
      record.evalStep = *lowered;
    else if (function.getName() == names::trainStep)
      record.trainStep = *lowered;
    else if (function.getName() == names::prepare)
      record.prepare = *lowered;
    else
      return function.emitError("expected @predict, @predict_one, @eval_step, "
                                "@train_step or @prepare, got @")
             << function.getName();
  }
  // Those that may have to prepare do it in their own arena.
  for (FunctionRecord *user :
       {&record.predict, &record.predictOne, &record.evalStep})
    if (!user->symbol.empty() && user->arenaBytes < record.prepare.arenaBytes) {
      user->arenaBytes = record.prepare.arenaBytes;
      user->arenaLowerBound = record.prepare.arenaLowerBound;
    }
  return record;
}

FailureOr<ModelRecord> sinter::lowerToLoops(ModuleOp module,
                                            const TargetShape &target) {
  module.getContext()
      ->loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                    math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  auto models = module.getOps<ModelOp>();
  if (!llvm::hasSingleElement(models))
    return module.emitError("expected one model, got ")
           << std::distance(models.begin(), models.end());
  ModelOp model = *models.begin();
  FailureOr<ModelRecord> record = ModelLowering(module, model, target).lower();
  if (succeeded(record))
    model.erase();
  return record;
}
