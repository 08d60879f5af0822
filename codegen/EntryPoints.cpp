//===- EntryPoints.cpp - a library's C functions -------------------------===//
//
// Each step gets a wrapper that lays its arguments out as a sinter_call on the
// stack; that of predict chooses between the functions for one sample and for
// several. Init, load and save hand the model's table to the runtime; without
// a runtime (Freestanding.h) there is no table.
//
//===----------------------------------------------------------------------===//

#include "codegen/EntryPoints.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace llvm;

namespace sinter {

constexpr uint64_t kCacheLine = 64;

SmallVector<Step> stepsOf(const ModelRecord &record) {
  SmallVector<Step> steps = {{"predict", &record.predict, false},
                             {"evaluate_step", &record.evalStep, false},
                             {"train_step", &record.trainStep, true}};
  llvm::erase_if(steps, [](const Step &s) { return s.record->symbol.empty(); });
  return steps;
}

int64_t largestArena(const ModelRecord &record) {
  int64_t bytes = 0;
  for (const Step &step : stepsOf(record))
    bytes = std::max(bytes, step.record->arenaBytes);
  bytes = std::max(bytes, record.predictOne.arenaBytes);
  return alignTo(bytes, kCacheLine);
}

int64_t wholeState(const ModelRecord &record) {
  return alignTo(record.stateBytes, kCacheLine);
}

namespace {

class EntryPointWriter {
public:
  EntryPointWriter(Module &module, const ModelRecord &record,
                   GlobalVariable *table)
      : module(module), record(record), table(table),
        builder(module.getContext()), pointer(builder.getPtrTy()),
        i32(builder.getInt32Ty()), i64(builder.getInt64Ty()),
        size(module.getDataLayout().getIntPtrType(module.getContext())) {}

  void write() {
    for (const Step &step : stepsOf(record))
      writeStep(step);
    writeConstant("state_bytes", wholeState(record));
    writeConstant("arena_bytes", largestArena(record));
    writeConstant("batch_bound", record.batchBound);
    writePrepare();
    if (!table)
      return;
    writeForward("init", "sinter_init_state", builder.getVoidTy(),
                 {pointer, i64});
    writeForward("load", "sinter_load_weights", i32,
                 {pointer, pointer, pointer, size});
    writeForward("save", "sinter_save_weights", i32,
                 {pointer, pointer, pointer, size});
    writeForward("load_memory", "sinter_load_weights_memory", i32,
                 {pointer, pointer, size, pointer, size});
    writeForward("save_memory", "sinter_save_weights_memory", size,
                 {pointer, pointer, size});
  }

private:
  /// An exported function with an entry block, to which the builder points.
  Function *begin(StringRef suffix, Type *result, ArrayRef<Type *> arguments) {
    auto *function = Function::Create(
        FunctionType::get(result, arguments, /*isVarArg=*/false),
        GlobalValue::ExternalLinkage, record.name + "_" + suffix, module);
    builder.SetInsertPoint(
        BasicBlock::Create(module.getContext(), "entry", function));
    return function;
  }

  void writeConstant(StringRef suffix, int64_t value) {
    begin(suffix, i64, {})->setSection(".text." + record.name + "_sizes");
    builder.CreateRet(builder.getInt64(value));
  }

  /// A function of the runtime whose first argument is the model.
  void writeForward(StringRef suffix, StringRef callee, Type *result,
                    ArrayRef<Type *> arguments) {
    SmallVector<Type *> calleeArguments = {pointer};
    llvm::append_range(calleeArguments, arguments);
    FunctionCallee target = module.getOrInsertFunction(
        callee, FunctionType::get(result, calleeArguments, false));
    Function *function = begin(suffix, result, arguments);
    SmallVector<Value *> values = {table};
    for (Argument &argument : function->args())
      values.push_back(&argument);
    Value *returned = builder.CreateCall(target, values);
    if (result->isVoidTy())
      builder.CreateRetVoid();
    else
      builder.CreateRet(returned);
  }

  /// Does nothing where nothing is derived.
  void writePrepare() {
    Function *run = module.getFunction(record.prepare.symbol);
    if (run)
      run->setName(record.prepare.symbol + ".step");
    Function *function =
        begin("prepare", builder.getVoidTy(), {pointer, pointer, pointer});
    if (run) {
      Value *none = Constant::getNullValue(pointer);
      builder.CreateCall(
          run, {createCall({function->getArg(0), function->getArg(1), none,
                            none, builder.getInt64(1), function->getArg(2)})});
    }
    builder.CreateRetVoid();
  }

  /// A sinter_call on the stack: state, arena, inputs, outputs, batch, pool.
  /// LLVM knows how long the target's pointers are.
  Value *createCall(ArrayRef<Value *> fields) {
    auto *type =
        StructType::get(module.getContext(),
                        {pointer, pointer, pointer, pointer, i64, pointer});
    Value *call = builder.CreateAlloca(type);
    for (auto [index, field] : llvm::enumerate(fields))
      builder.CreateStore(field, builder.CreateStructGEP(type, call, index));
    return call;
  }

  /// A stack array of the pointers.
  Value *storePointers(ArrayRef<Value *> values) {
    auto *type = ArrayType::get(pointer, values.size());
    Value *array = builder.CreateAlloca(type);
    for (auto [index, value] : llvm::enumerate(values))
      builder.CreateStore(
          value, builder.CreateConstInBoundsGEP2_64(type, array, 0, index));
    return array;
  }

  void writeStep(const Step &step) {
    size_t inputs = step.record->inputs.size();
    size_t outputs = step.record->outputs.size();
    SmallVector<Type *> arguments = {pointer, pointer, i64};
    arguments.append(inputs + outputs + 1, pointer);

    // The wrapper takes the step's name.
    Function *run = module.getFunction(step.record->symbol);
    run->setName(step.record->symbol + ".step");
    // With its kernels (EmitObject.cpp).
    run->setSection((".text." + step.record->symbol));
    Function *function = begin(step.suffix, builder.getVoidTy(), arguments);
    SmallVector<Value *> values;
    for (Argument &argument : function->args())
      values.push_back(&argument);
    ArrayRef<Value *> tensors = ArrayRef(values).drop_front(3).drop_back();

    Value *call = createCall(
        {values[0], values[1], storePointers(tensors.take_front(inputs)),
         storePointers(tensors.take_back(outputs)), values[2], values.back()});
    Function *one = module.getFunction(record.predictOne.symbol);
    if (step.record == &record.predict && one) {
      // Both functions have the same form.
      Value *isOne = builder.CreateICmpEQ(values[2], builder.getInt64(1));
      Value *chosen = builder.CreateSelect(isOne, one, run);
      builder.CreateCall(run->getFunctionType(), chosen, {call});
    } else {
      builder.CreateCall(run, {call});
    }
    builder.CreateRetVoid();
  }

  Module &module;
  const ModelRecord &record;
  GlobalVariable *table;
  IRBuilder<> builder;
  Type *pointer, *i32, *i64, *size; // size: C's size_t
};

} // namespace

void addEntryPoints(Module &module, const ModelRecord &record,
                    GlobalVariable *table) {
  EntryPointWriter(module, record, table).write();
}

} // namespace sinter
