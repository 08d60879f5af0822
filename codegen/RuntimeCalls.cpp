//===- RuntimeCalls.cpp - functions of the runtime in generated code -----===//
//
// The runtime's border is one table, sinter_calls.def. It is read here a second
// time (the first is the runtime's own test), so a function that is not in the
// table cannot be called, and a wrong signature cannot be written down.
//
//===----------------------------------------------------------------------===//

#include "codegen/RuntimeCalls.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace {

enum TypeCode { VOID, PTR, I32, I64, F32 };

struct RuntimeCall {
  StringRef name;
  TypeCode result;
  SmallVector<TypeCode> arguments;
};

} // namespace

static const RuntimeCall runtimeCalls[] = {
#define SINTER_CALL(name, result, ...) {#name, result, {__VA_ARGS__}},
#include "runtime/sinter_calls.def"
};

static Type typeOf(TypeCode code, MLIRContext *context) {
  switch (code) {
  case VOID:
    break;
  case PTR:
    return LLVM::LLVMPointerType::get(context);
  case I32:
    return IntegerType::get(context, 32);
  case I64:
    return IntegerType::get(context, 64);
  case F32:
    return Float32Type::get(context);
  }
  llvm_unreachable("void is no type of a value");
}

static FunctionType typeOf(const RuntimeCall &call, MLIRContext *context) {
  SmallVector<Type> arguments, results;
  for (TypeCode code : call.arguments)
    arguments.push_back(typeOf(code, context));
  if (call.result != VOID)
    results.push_back(typeOf(call.result, context));
  return FunctionType::get(context, arguments, results);
}

func::FuncOp sinter::declareRuntimeCall(ModuleOp module, StringRef name) {
  if (auto declared = module.lookupSymbol<func::FuncOp>(name))
    return declared;
  auto call = llvm::find_if(
      runtimeCalls, [&](const RuntimeCall &call) { return call.name == name; });
  assert(call != std::end(runtimeCalls) && "not in sinter_calls.def");
  auto builder = OpBuilder::atBlockBegin(module.getBody());
  auto function = func::FuncOp::create(builder, module.getLoc(), name,
                                       typeOf(*call, module.getContext()));
  function.setPrivate();
  return function;
}
