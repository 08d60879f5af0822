//===- KernelEmitter.cpp - memory and loops of one kernel ----------------===//

#include "codegen/KernelEmitter.h"
#include "codegen/Pointers.h"
#include "codegen/SideBySide.h"
#include "ir/Tuning.h"
#include "passes/Names.h"
#include "passes/Schedule.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

KernelEmitter::KernelEmitter(KernelOp kernel, const ModelLayout &layout,
                             func::FuncOp function, const KernelFrame *frame)
    : b(kernel.getLoc(), kernel.getContext()), kernel(kernel), layout(layout),
      oneSample(
          kernel->getParentOfType<func::FuncOp>()->hasAttr(names::oneSample)),
      frame(frame), width(layout.target.lanes) {
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  call = entry->getArgument(0);
  task = arith::IndexCastOp::create(b, b.getIndexType(), entry->getArgument(1));
  Value samples = loadCallField(b, b.getLoc(), call, CallField::Batch);
  batch = arith::IndexCastOp::create(b, b.getIndexType(), samples);
  // All addresses and small constants are made here, before any loop.
  for (Value captured : kernel.getCaptured())
    memory(captured);
  for (Value result : kernel.getResults())
    memory(result);
  kernel.walk([&](Operation *op) {
    if (auto read = dyn_cast<ReadOp>(op))
      stateMemory(read.getState());
    if (auto write = dyn_cast<WriteOp>(op))
      stateMemory(write.getState());
  });
  index(0);
  index(1);
}

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

/// "13x2"
static std::string textOf(const KernelEmitter::Numbers &numbers) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::interleave(numbers, stream, "x");
  return text;
}

KernelEmitter::Numbers KernelEmitter::choose(Operation *op, StringRef knob,
                                             ArrayRef<Numbers> ranked) {
  ChoiceRecord record;
  record.key = tuningKey(op, layout.batchBound, oneSample);
  record.knob = knob.str();
  for (const Numbers &numbers : ranked)
    record.values.push_back(textOf(numbers));
  auto found =
      llvm::find(record.values, tunedValue(kernel, record.key, knob).str());
  if (found != record.values.end())
    record.chosen = found - record.values.begin();
  size_t chosen = record.chosen;
  choices.push_back(std::move(record));
  return ranked[chosen];
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static Value emitAddress(StringAttr state, const ModelLayout &layout,
                         OpBuilder &b, Location loc, Value call) {
  Value block = loadCallField(b, loc, call, CallField::State);
  return createByteOffset(b, loc, block, layout.stateOffsets.lookup(state));
}

/// Of an input, a kernel's result, or a part of it.
static Value emitAddress(Value tensor, OpBuilder &b, Location loc, Value call) {
  if (isSliceView(tensor.getDefiningOp())) {
    auto view = tensor.getDefiningOp<SliceOp>();
    return createByteOffset(b, loc,
                            emitAddress(startOf(view.getX()), b, loc, call),
                            offsetOf(view));
  }
  if (auto argument = dyn_cast<BlockArgument>(tensor))
    return loadInput(b, loc, call, argument.getArgNumber());
  auto result = cast<OpResult>(tensor);
  int64_t place = (*cast<KernelOp>(result.getOwner())
                        .getOffsets())[result.getResultNumber()];
  if (place < 0)
    return loadOutput(b, loc, call, -1 - place);
  Value arena = loadCallField(b, loc, call, CallField::Arena);
  return createByteOffset(b, loc, arena, place);
}

void sinter::appendFrameTypes(const KernelFrame &frame, MLIRContext *context,
                              SmallVectorImpl<Type> &types) {
  types.append(frame.tensors.size() + frame.states.size(),
               LLVM::LLVMPointerType::get(context));
  types.append(frame.streams.size(), IntegerType::get(context, 64));
}

SmallVector<Value> sinter::emitFrame(const KernelFrame &frame,
                                     const ModelLayout &layout, OpBuilder &b,
                                     Location loc, Value call) {
  SmallVector<Value> values;
  for (Value tensor : frame.tensors)
    values.push_back(emitAddress(tensor, b, loc, call));
  for (StringAttr state : frame.states)
    values.push_back(emitAddress(state, layout, b, loc, call));
  for (int64_t stream : frame.streams)
    values.push_back(
        arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(stream)));
  return values;
}

Value KernelEmitter::frameArgument(unsigned position) {
  return cast<BlockArgument>(call).getOwner()->getArgument(2 + position);
}

template <typename Set, typename Element>
static unsigned positionIn(const Set &set, const Element &element) {
  return llvm::find(set, element) - set.begin();
}

/// Where the bytes of `tensor`, seen from outside of its kernel, begin.
Value KernelEmitter::addressOf(Value tensor) {
  tensor = startOf(tensor);
  if (auto read = tensor.getDefiningOp<ReadOp>())
    return addressOf(read.getStateAttr().getAttr());
  return frame ? frameArgument(positionIn(frame->tensors, tensor))
               : emitAddress(tensor, b, b.getLoc(), call);
}

Value KernelEmitter::addressOf(StringAttr state) {
  return frame ? frameArgument(frame->tensors.size() +
                               positionIn(frame->states, state))
               : emitAddress(state, layout, b, b.getLoc(), call);
}

Value KernelEmitter::streamNumber(int64_t stream) {
  if (!frame)
    return index(stream);
  Value number = frameArgument(frame->tensors.size() + frame->states.size() +
                               positionIn(frame->streams, stream));
  return arith::IndexCastOp::create(b, b.getIndexType(), number);
}

/// `spacing`: floats behind each row.
static MemRefType memoryType(RankedTensorType type, const ModelLayout &layout,
                             bool flat, bool oneSample, int64_t spacing = 0) {
  SmallVector<int64_t> shape(featureShape(type));
  if (flat)
    shape = {featureCount(type)};
  if (isBatchMinor(type))
    shape.push_back(layout.padded());
  else if (isBatched(type) && !oneSample)
    shape.insert(shape.begin(), layout.batchBound);
  if (spacing)
    shape.back() += spacing;
  return MemRefType::get(shape, type.getElementType());
}

Value KernelEmitter::memory(Value tensor, bool isFlat) {
  Value &memref = memories[isFlat][tensor];
  if (!memref) {
    OpBuilder::InsertionGuard guard(b);
    Operation *function = task.getDefiningOp()->getParentOp();
    if (b.getInsertionBlock()->getParentOp() != function)
      b.setInsertionPointAfter(batch.getDefiningOp());
    memref = createMemRef(b, b.getLoc(), addressOf(tensor), 0,
                          memoryType(tensorTypeOf(tensor), layout, isFlat,
                                     oneSample, rowSpacing(tensor)));
  }
  return memref;
}

Value KernelEmitter::row(Value tensor) {
  OpBuilder::InsertionGuard guard(b);
  Operation *function = task.getDefiningOp()->getParentOp();
  if (b.getInsertionBlock()->getParentOp() != function)
    b.setInsertionPointAfter(batch.getDefiningOp());
  MemRefType type =
      memoryType(tensorTypeOf(tensor), layout, /*flat=*/true, oneSample);
  return createMemRef(
      b, b.getLoc(), addressOf(tensor), 0,
      MemRefType::get({type.getNumElements()}, type.getElementType()));
}

Value KernelEmitter::stateMemory(StringRef state, bool isFlat) {
  Value &memref = stateMemories[isFlat][state];
  if (!memref) {
    OpBuilder::InsertionGuard guard(b);
    Operation *function = task.getDefiningOp()->getParentOp();
    if (b.getInsertionBlock()->getParentOp() != function)
      b.setInsertionPointAfter(batch.getDefiningOp());
    memref = createMemRef(
        b, b.getLoc(), addressOf(b.getStringAttr(state)), 0,
        memoryType(layout.stateTypes.lookup(state), layout, isFlat, oneSample));
  }
  return memref;
}

Value KernelEmitter::weights(Value tensor) {
  auto read = tensor.getDefiningOp<ReadOp>();
  return read && read->getParentOp() == kernel
             ? stateMemory(read.getState(), /*isFlat=*/true)
             : memory(tensor, /*isFlat=*/true);
}

/// With flat addressing, tensors of one element are still reached as scalars.
bool KernelEmitter::isFlattened(RankedTensorType type) const {
  return flat && featureCount(type) > 1;
}

/// Do the lanes run along this tensor, rather than repeat one element of it?
bool KernelEmitter::hasColumns(RankedTensorType type) const {
  ArrayRef<int64_t> shape = featureShape(type);
  return lanesMode == Lanes::Columns &&
         (isFlattened(type) || (!shape.empty() && shape.back() > 1));
}

Value KernelEmitter::load(Value memref, RankedTensorType type,
                          ValueRange features) {
  bool hasChannels = channels > 1 && llvm::is_contained(features, channel);
  if (isBatchMinor(type)) {
    Indices at(features);
    at.push_back(sample);
    auto vector =
        VectorType::get({hasChannels ? width : lanes()}, type.getElementType());
    Value value = vector::LoadOp::create(b, vector, memref, at);
    return hasChannels ? value
                       : sideBySide(*this, SmallVector<Value>(channels, value));
  }
  if (hasChannels) { // each of them in all lanes of its own
    Value each = vector::LoadOp::create(
        b, VectorType::get({channels}, type.getElementType()), memref,
        features);
    SmallVector<int64_t> from;
    for (int64_t lane = 0; lane < width; ++lane)
      from.push_back(lane / lanes());
    return vector::ShuffleOp::create(b, each, each, from);
  }
  if (!hasColumns(type))
    return spread(memref::LoadOp::create(b, memref, features));
  auto vector = cast<VectorType>(elementVector(type.getElementType()));
  if (!mask)
    return vector::LoadOp::create(b, vector, memref, features);
  Value rest = arith::ConstantOp::create(b, b.getZeroAttr(vector));
  return vector::MaskedLoadOp::create(b, vector, memref, features, mask, rest);
}

/// Is a tensor so large that it is gone from the caches before anybody reads
/// it? Its stores then pass by the caches: an ordinary one fetches the line
/// that it is about to overwrite, and drives out another. Only whole lines may
/// pass, in one store or in two that follow each other. The size was found by
/// whole training steps on Zen 4, whose cores have 4 MB of the last cache each;
/// below it what writers gain is lost by readers.
bool KernelEmitter::isStreamed(RankedTensorType type) const {
  constexpr int64_t large = 10 << 20, line = 64 / sizeof(float);
  int64_t stored = channels * lanes();
  bool wholeLines =
      stored >= line || (2 * stored >= line && layout.padded() == lanes());
  return wholeLines && type.getElementType().isF32() &&
         storedBytes(type, layout.batchBound) >= large;
}

void KernelEmitter::storeStreamed(Value value, Value memref, ValueRange at) {
  auto bytes = cast<VectorType>(value.getType()).getNumElements() *
               static_cast<int64_t>(sizeof(float));
  vector::StoreOp::create(b, value, memref, at, /*nontemporal=*/true,
                          llvm::MaybeAlign(bytes));
  hasStreamed = true;
}

/// What has passed by the caches is there for other threads.
void KernelEmitter::finish() {
  if (hasStreamed)
    LLVM::FenceOp::create(b, LLVM::AtomicOrdering::seq_cst);
  func::ReturnOp::create(b);
}

void KernelEmitter::store(Value value, Value memref, RankedTensorType type,
                          ValueRange features, bool readsAgain) {
  if (isBatchMinor(type)) {
    Indices at(features);
    at.push_back(sample);
    if (!readsAgain && isStreamed(type))
      storeStreamed(value, memref, at);
    else
      vector::StoreOp::create(b, value, memref, at);
    return;
  }
  if (!hasColumns(type)) {
    for (int64_t i = 0; i < channels; ++i) {
      Value scalar = value;
      if (isa<VectorType>(value.getType()))
        scalar = vector::ExtractOp::create(b, value, ArrayRef{i * lanes()});
      memref::StoreOp::create(b, scalar, memref, ofChannel(features, i));
    }
  } else if (mask) {
    vector::MaskedStoreOp::create(b, memref, features, mask, value);
  } else {
    vector::StoreOp::create(b, value, memref, features);
  }
}

/// body(sum, memory) for each row sum that the kernel yields.
static void
forRowSums(KernelOp kernel,
           llvm::function_ref<void(ReduceSumOp, Value result)> body) {
  for (auto [inside, result] :
       llvm::zip_equal(kernel.getYield().getValues(), kernel.getResults()))
    if (isRowSum(inside.getDefiningOp()))
      body(inside.getDefiningOp<ReduceSumOp>(), result);
}

void KernelEmitter::storeAll(
    ValueRange features, llvm::function_ref<bool(RankedTensorType)> wanted) {
  // Everything is computed before anything is stored: results may lie where
  // operands were.
  struct Pending {
    Value value, memref;
    RankedTensorType type;
    Indices at;
  };
  SmallVector<Pending> pending;
  auto compute = [&](Value inside, Value memref) {
    RankedTensorType type = tensorTypeOf(inside);
    Operation *maker = inside.getDefiningOp();
    if (!wanted(type) || isRowSum(maker) || isa_and_nonnull<ScratchOp>(maker))
      return;
    Indices at(features);
    if (!isFlattened(type)) {
      // Trailing 1s that the loops do not have; scalars; single elements beside
      // a flat domain.
      ArrayRef<int64_t> shape = featureShape(type);
      at.resize(std::min<size_t>(at.size(), shape.size()));
      at.resize(shape.size(), index(0));
      for (auto [i, size] : llvm::zip_equal(at, shape))
        if (size == 1)
          i = index(0);
    }
    pending.push_back({emit(inside, at), memref, type, at});
  };
  for (auto [inside, result] :
       llvm::zip_equal(kernel.getYield().getValues(), kernel.getResults()))
    compute(inside, memory(result, isFlattened(tensorTypeOf(result))));
  for (WriteOp write : kernel.getBody().front().getOps<WriteOp>())
    compute(write.getValue(),
            stateMemory(write.getState(),
                        isFlattened(tensorTypeOf(write.getValue()))));
  // So are the terms of row sums, which are added afterwards.
  forRowSums(kernel,
             [&](ReduceSumOp sum, Value) { emit(sum.getX(), features); });
  for (Pending &p : pending)
    store(p.value, p.memref, p.type, p.at);
}

bool KernelEmitter::hasRowSums() {
  return llvm::any_of(kernel.getYield().getValues(), [](Value value) {
    return isRowSum(value.getDefiningOp());
  });
}

void KernelEmitter::clearRowSums(Value row, Value channel) {
  forRowSums(kernel, [&](ReduceSumOp sum, Value result) {
    store(vectorConstant(0), memory(result), tensorTypeOf(sum.getResult()),
          ValueRange{row, channel}, /*readsAgain=*/true);
  });
}

void KernelEmitter::addRowSums(ValueRange features) {
  forRowSums(kernel, [&](ReduceSumOp sum, Value result) {
    RankedTensorType type = tensorTypeOf(sum.getResult());
    Value memref = memory(result);
    Indices at = {features[0], features[2]};
    Value before = load(memref, type, at);
    Value value = emit(sum.getX(), features);
    store(arith::AddFOp::create(b, before, value), memref, type, at,
          /*readsAgain=*/true);
  });
}

Operation *sinter::poolingOf(KernelOp kernel) {
  for (Operation &op : kernel.getBody().front())
    if (isa<MaxPool2dOp, AvgPool2dOp>(op))
      return &op;
  return nullptr;
}

bool sinter::hasScratch(KernelOp kernel) {
  OperandRange values = kernel.getYield().getValues();
  return !values.empty() && values.back().getDefiningOp<ScratchOp>();
}

//===----------------------------------------------------------------------===//
// Parts of loop nests
//===----------------------------------------------------------------------===//

Value KernelEmitter::index(int64_t value) {
  Value &constant = indices[value];
  if (!constant) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(batch.getDefiningOp());
    constant = arith::ConstantIndexOp::create(b, value);
  }
  return constant;
}

Value KernelEmitter::add(Value x, int64_t y) {
  return y == 0 ? x : arith::AddIOp::create(b, x, index(y)).getResult();
}

Value KernelEmitter::mul(Value x, int64_t y) {
  return y == 1 ? x : arith::MulIOp::create(b, x, index(y)).getResult();
}

Value KernelEmitter::inBlock(Value base, int64_t stride, int64_t offset) {
  for (const BlockIndex &known : blockIndices)
    if (known.base == base && known.stride == stride && known.offset == offset)
      return known.index;
  Value index = add(mul(base, stride), offset);
  // `base` itself may be asked for: an index of its own, with its own form.
  if (index == base)
    index = arith::AddIOp::create(b, base, this->index(0));
  blockIndices.push_back({base, stride, offset, index});
  return index;
}

const KernelEmitter::BlockIndex *KernelEmitter::findInBlock(Value index) const {
  auto found = llvm::find_if(blockIndices, [&](const BlockIndex &known) {
    return known.index == index;
  });
  return found == blockIndices.end() ? nullptr : &*found;
}

Value KernelEmitter::sum(Value x, Value y) {
  return arith::AddIOp::create(b, x, y);
}

void KernelEmitter::loop(Value low, Value high, int64_t step,
                         llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(b, low, high, index(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  scope([&] { body(loop.getInductionVar()); });
}

SmallVector<Value> KernelEmitter::loop(
    Value low, Value high, int64_t step, ValueRange start,
    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, low, high, index(step), start);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  scope([&] {
    SmallVector<Value> next =
        body(loop.getInductionVar(), loop.getRegionIterArgs());
    if (!next.empty()) // a loop that carries nothing has a terminator already
      scf::YieldOp::create(b, next);
  });
  return SmallVector<Value>(loop.getResults());
}

void KernelEmitter::loops(ArrayRef<int64_t> shape,
                          llvm::function_ref<void(ValueRange)> body) {
  Indices at;
  auto nest = [&](auto self) -> void {
    if (at.size() == shape.size())
      return body(at);
    loop(index(0), index(shape[at.size()]), 1, [&](Value i) {
      at.push_back(i);
      self(self);
      at.pop_back();
    });
  };
  nest(nest);
}

void KernelEmitter::overSamples(llvm::function_ref<void()> body) {
  if (layout.padded() == lanes()) {
    setSample(index(0));
    return body();
  }
  loop(index(0), batch, lanes(), [&](Value first) {
    setSample(first);
    body();
  });
}

void KernelEmitter::setChannels(Value first, int64_t count) {
  channels = count;
  channel = first;
  setWidth(count * lanes(), count * lanes());
}

Indices KernelEmitter::ofChannel(ValueRange features, int64_t i) {
  Indices at(features);
  llvm::replace(at, channel, add(channel, i));
  return at;
}

void KernelEmitter::setWidth(int64_t lanes, int64_t existing) {
  width = lanes;
  mask = existing == lanes ? Value()
                           : vector::ConstantMaskOp::create(
                                 b, VectorType::get({lanes}, b.getI1Type()),
                                 ArrayRef{existing});
}

Value KernelEmitter::zeroPiece(const VectorPiece &piece) {
  auto type = VectorType::get({piece.lanes}, b.getF32Type());
  return arith::ConstantOp::create(b, b.getZeroAttr(type));
}

Value KernelEmitter::loadPiece(Value memref, ValueRange at,
                               const VectorPiece &piece) {
  auto type = VectorType::get({piece.lanes}, b.getF32Type());
  if (piece.existing == piece.lanes)
    return vector::LoadOp::create(b, type, memref, at);
  Value exists = vector::ConstantMaskOp::create(
      b, VectorType::get({piece.lanes}, b.getI1Type()),
      ArrayRef{piece.existing});
  return vector::MaskedLoadOp::create(b, type, memref, at, exists,
                                      zeroPiece(piece));
}

void KernelEmitter::columns(int64_t size, ArrayRef<int64_t> joints,
                            llvm::function_ref<void(Value)> body) {
  columns(size, joints, {}, [&](Value column, ValueRange) {
    body(column);
    return SmallVector<Value>();
  });
}

SmallVector<Value> KernelEmitter::columns(
    int64_t size, ArrayRef<int64_t> joints, ValueRange start,
    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  if (lanesMode == Lanes::None)
    return loop(index(0), index(size), 1, start, body);
  SmallVector<Value> values(start);
  int64_t from = 0;
  auto run = [&](int64_t to) {
    runStart = from;
    int64_t whole = from + (to - from) / lanes() * lanes();
    if (from < whole)
      values = loop(index(from), index(whole), lanes(), values, body);
    if (whole < to) {
      setWidth(lanes(), to - whole);
      scope([&] { values = body(index(whole), values); });
      resetWidth();
    }
    from = to;
  };
  for (int64_t joint : joints)
    run(joint);
  run(size);
  return values;
}

std::pair<Value, Value> KernelEmitter::taskRange(int64_t units, int64_t tasks) {
  if (tasks == 1)
    return {index(0), index(units)};
  auto bound = [&](Value t) -> Value {
    return arith::DivUIOp::create(b, mul(t, units), index(tasks));
  };
  return {bound(task), bound(add(task, 1))};
}

void sinter::inParts(KernelEmitter &e, int64_t total, int64_t size,
                     llvm::function_ref<void(Value, int64_t)> body) {
  int64_t whole = total / size * size;
  if (whole > 0)
    e.loop(e.index(0), e.index(whole), size,
           [&](Value first) { body(first, size); });
  if (whole < total)
    e.scope([&] { body(e.index(whole), total - whole); });
}

void sinter::forPart(KernelEmitter &e, Value part, int64_t parts, int64_t size,
                     int64_t total, llvm::function_ref<void(int64_t)> body) {
  int64_t last = total - (parts - 1) * size;
  if (last == size)
    return body(size);
  Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, part,
                                       e.index(parts - 1));
  auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(branch.thenBlock());
  e.scope([&] { body(last); });
  e.b.setInsertionPointToStart(branch.elseBlock());
  e.scope([&] { body(size); });
}
