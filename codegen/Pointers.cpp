//===- Pointers.cpp - from a sinter_call to memrefs ----------------------===//

#include "codegen/Pointers.h"

#include "codegen/RuntimeCalls.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace sinter {

/// sinter_call. LLVM knows how long the target's pointers are.
static Type callType(MLIRContext *context) {
  auto pointer = LLVM::LLVMPointerType::get(context);
  auto i64 = IntegerType::get(context, 64);
  return LLVM::LLVMStructType::getLiteral(
      context, {pointer, pointer, pointer, pointer, i64, pointer});
}

Value createByteOffset(OpBuilder &builder, Location loc, Value base,
                       int64_t bytes) {
  if (bytes == 0)
    return base;
  // Not a constant index of the op: those have 32 bits.
  Value offset =
      arith::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(bytes));
  return LLVM::GEPOp::create(builder, loc, base.getType(), builder.getI8Type(),
                             base, ValueRange{offset},
                             LLVM::GEPNoWrapFlags::inbounds);
}

/// Loads what does not change during the call.
static Value loadInvariant(OpBuilder &builder, Location loc, Type type,
                           Value address) {
  auto load = LLVM::LoadOp::create(builder, loc, type, address);
  load.setInvariant(true);
  return load;
}

Value loadCallField(OpBuilder &builder, Location loc, Value call,
                    CallField field) {
  auto all = cast<LLVM::LLVMStructType>(callType(builder.getContext()));
  auto number = static_cast<int32_t>(field);
  Value address = LLVM::GEPOp::create(builder, loc, call.getType(), all, call,
                                      ArrayRef<LLVM::GEPArg>{0, number},
                                      LLVM::GEPNoWrapFlags::inbounds);
  return loadInvariant(builder, loc, all.getBody()[number], address);
}

static Value loadTensor(OpBuilder &builder, Location loc, Value call,
                        CallField field, int64_t index) {
  Value tensors = loadCallField(builder, loc, call, field);
  Value address =
      LLVM::GEPOp::create(builder, loc, call.getType(), call.getType(), tensors,
                          ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)},
                          LLVM::GEPNoWrapFlags::inbounds);
  return loadInvariant(builder, loc, call.getType(), address);
}

Value loadInput(OpBuilder &builder, Location loc, Value call, int64_t index) {
  return loadTensor(builder, loc, call, CallField::Inputs, index);
}

Value loadOutput(OpBuilder &builder, Location loc, Value call, int64_t index) {
  return loadTensor(builder, loc, call, CallField::Outputs, index);
}

Value createMemRef(OpBuilder &builder, Location loc, Value base,
                   int64_t byteOffset, MemRefType type) {
  Value start = createByteOffset(builder, loc, base, byteOffset);
  return UnrealizedConversionCastOp::create(builder, loc, type, start)
      .getResult(0);
}

/// Calls runtime function `callee` with the call, a function's address, and
/// numbers.
static void createRuntimeCall(OpBuilder &builder, Location loc,
                              StringRef callee, Value call, StringRef function,
                              FunctionType type, ArrayRef<int64_t> numbers) {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Value constant = func::ConstantOp::create(
      builder, loc, type,
      FlatSymbolRefAttr::get(builder.getContext(), function));
  Value address =
      UnrealizedConversionCastOp::create(builder, loc, pointer, constant)
          .getResult(0);
  SmallVector<Value> arguments = {call, address};
  for (int64_t number : numbers)
    arguments.push_back(arith::ConstantOp::create(
        builder, loc, builder.getI64IntegerAttr(number)));
  auto module =
      builder.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  func::CallOp::create(builder, loc, declareRuntimeCall(module, callee),
                       arguments);
}

/// The word that says whether derived states are current.
static Value preparedWord(OpBuilder &builder, Location loc, Value call,
                          int64_t offset) {
  Value state = loadCallField(builder, loc, call, CallField::State);
  return createByteOffset(builder, loc, state, offset);
}

void createMarkPrepared(OpBuilder &builder, Location loc, Value call,
                        int64_t offset, bool prepared) {
  Value value = arith::ConstantOp::create(builder, loc,
                                          builder.getI32IntegerAttr(prepared));
  LLVM::StoreOp::create(builder, loc, value,
                        preparedWord(builder, loc, call, offset));
}

void createPrepareIfStale(OpBuilder &builder, Location loc, Value call,
                          int64_t offset, StringRef prepare) {
  Value word = LLVM::LoadOp::create(builder, loc, builder.getI32Type(),
                                    preparedWord(builder, loc, call, offset));
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(0));
  Value isStale =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, word, zero);
  auto branch =
      scf::IfOp::create(builder, loc, isStale, /*withElseRegion=*/false);
  OpBuilder inside = branch.getThenBodyBuilder();
  func::CallOp::create(inside, loc, prepare, TypeRange(), ValueRange{call});
}

void createParallelFor(OpBuilder &builder, Location loc, Value call,
                       StringRef kernel, int64_t tasks) {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  auto type = builder.getFunctionType({pointer, builder.getI64Type()}, {});
  createRuntimeCall(builder, loc, "sinter_parallel_for", call, kernel, type,
                    {tasks});
}

void createRunSlices(OpBuilder &builder, Location loc, Value call,
                     StringRef step, const SliceForm &form) {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  createRuntimeCall(builder, loc, "sinter_run_slices", call, step,
                    builder.getFunctionType({pointer}, {}),
                    {form.most, form.inputBytes, form.outputBytes,
                     form.arenaBytes, form.places});
}

} // namespace sinter
