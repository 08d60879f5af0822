//===- Freestanding.cpp - what stands in for the runtime -----------------===//
//
// See Freestanding.h. The formulas of the initialisers are those of
// runtime/state.c.
//
//===----------------------------------------------------------------------===//

#include "codegen/Freestanding.h"

#include "codegen/Pointers.h"
#include "codegen/VectorRandom.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/IR/IRBuilder.h"

#include <numbers>

using namespace mlir;

//===----------------------------------------------------------------------===//
// NAME_init
//===----------------------------------------------------------------------===//

namespace {

class InitWriter {
public:
  InitWriter(ModuleOp module, const sinter::ModelRecord &record)
      : module(module), record(record),
        b(module.getLoc(), OpBuilder::atBlockEnd(module.getBody())) {}

  void write();

private:
  Value i32(int64_t value) {
    return arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
  }
  Value i64(int64_t value) {
    return arith::ConstantOp::create(b, b.getI64IntegerAttr(value));
  }
  Value f32(float value) {
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  }
  Value f64(double value) {
    return arith::ConstantOp::create(b, b.getF64FloatAttr(value));
  }

  Value wordAt(Value base, Value number) {
    return LLVM::GEPOp::create(b, base.getType(), b.getI32Type(), base,
                               ValueRange{number});
  }
  /// base[0 .. words) = value(0), value(1), ...; values have 32 bits.
  void fill(Value base, int64_t words,
            llvm::function_ref<Value(Value number)> value) {
    auto loop = scf::ForOp::create(b, i64(0), i64(words), i64(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value number = loop.getInductionVar();
    LLVM::StoreOp::create(b, value(number), wordAt(base, number));
  }

  std::array<Value, 2> draw(int64_t stream, Value element, Value attempt);
  Value uniform(Value word);
  Value standardNormal(std::array<Value, 2> words);
  Value truncatedNormal(int64_t stream, Value element);
  Value initialValue(const sinter::StateRecord &state, int64_t position,
                     Value element);
  void makeOrthogonal(const sinter::StateRecord &state, Value base);
  Value addData(const sinter::StateRecord &state, int64_t position);
  void writeState(const sinter::StateRecord &state, int64_t position);

  ModuleOp module;
  const sinter::ModelRecord &record;
  ImplicitLocOpBuilder b;
  Value state;
  std::array<Value, 2> seed; // low and high word
};

} // namespace

/// The first two words of the element's counter.
std::array<Value, 2> InitWriter::draw(int64_t stream, Value element,
                                      Value attempt) {
  Type vector = VectorType::get({1}, b.getI32Type());
  auto lane = [&](Value word) -> Value {
    return vector::BroadcastOp::create(b, vector, word);
  };
  Value low = arith::TruncIOp::create(b, b.getI32Type(), element);
  Value high = arith::TruncIOp::create(
      b, b.getI32Type(), arith::ShRUIOp::create(b, element, i64(32)));
  sinter::PhiloxWords words = sinter::emitPhilox(
      b,
      {lane(low), lane(attempt), lane(high),
       lane(i32(static_cast<int32_t>(SINTER_STREAM_INIT +
                                     static_cast<uint32_t>(stream))))},
      {lane(seed[0]), lane(seed[1])});
  return {vector::ExtractOp::create(b, words[0], 0),
          vector::ExtractOp::create(b, words[1], 0)};
}

/// sinter_uniform01
Value InitWriter::uniform(Value word) {
  Value upper = arith::ShRUIOp::create(b, word, i32(8));
  Value number = arith::SIToFPOp::create(b, b.getF32Type(), upper);
  return arith::MulFOp::create(b, number, f32(0x1p-24f));
}

/// sqrt(-2 log u) cos(2 pi v), u and v the words plus 1/2, times 2^-32. Close
/// to 1, -log u = -log1p(-(1 - u)), whose argument has all its digits.
Value InitWriter::standardNormal(std::array<Value, 2> words) {
  auto fraction = [&](Value word) -> Value {
    Value number = arith::UIToFPOp::create(b, b.getF32Type(), word);
    return arith::MulFOp::create(b, arith::AddFOp::create(b, number, f32(0.5f)),
                                 f32(0x1p-32f));
  };
  Value complement = arith::XOrIOp::create(b, words[0], i32(-1));
  Value nearOne =
      math::Log1pOp::create(b, arith::NegFOp::create(b, fraction(complement)));
  Value elsewhere = math::LogOp::create(b, fraction(words[0]));
  Value isNearOne = arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                                          words[0], i32(0)); // its upper half
  Value log = arith::SelectOp::create(b, isNearOne, nearOne, elsewhere);
  Value radius =
      math::SqrtOp::create(b, arith::MulFOp::create(b, log, f32(-2.0f)));
  Value angle = arith::MulFOp::create(
      b, fraction(words[1]), f32(static_cast<float>(2 * std::numbers::pi)));
  return arith::MulFOp::create(b, radius, math::CosOp::create(b, angle));
}

/// Draws until the value is within two standard deviations.
Value InitWriter::truncatedNormal(int64_t stream, Value element) {
  Value first = i32(0);
  auto loop = scf::WhileOp::create(
      b, TypeRange{b.getF32Type(), b.getI32Type()}, ValueRange{first},
      [&](OpBuilder &, Location, ValueRange) {},
      [&](OpBuilder &, Location, ValueRange) {});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(loop.getBeforeBody());
  Value attempt = loop.getBeforeArguments()[0];
  Value value = standardNormal(draw(stream, element, attempt));
  Value isFar = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT,
                                      math::AbsFOp::create(b, value), f32(2));
  scf::ConditionOp::create(b, isFar, ValueRange{value, attempt});
  b.setInsertionPointToEnd(loop.getAfterBody());
  Value next = arith::AddIOp::create(b, loop.getAfterArguments()[1], i32(1));
  scf::YieldOp::create(b, ValueRange{next});
  return loop.getResult(0);
}

Value InitWriter::initialValue(const sinter::StateRecord &state,
                               int64_t position, Value element) {
  if (state.dtype == SINTER_I32)
    return i32(static_cast<int32_t>(state.a));
  auto scaled = [&](Value normal) -> Value {
    return arith::AddFOp::create(
        b, arith::MulFOp::create(b, normal, f32(state.b)), f32(state.a));
  };
  switch (state.init) {
  case SINTER_INIT_UNIFORM: {
    // In double precision, as in the runtime.
    Value number = uniform(draw(position, element, i32(0))[0]);
    Value wide = arith::ExtFOp::create(b, b.getF64Type(), number);
    double width = static_cast<double>(state.b) - static_cast<double>(state.a);
    Value sum = arith::AddFOp::create(
        b, f64(state.a), arith::MulFOp::create(b, f64(width), wide));
    return arith::TruncFOp::create(b, b.getF32Type(), sum);
  }
  case SINTER_INIT_ORTHOGONAL: // before makeOrthogonal
    return standardNormal(draw(position, element, i32(0)));
  case SINTER_INIT_NORMAL:
    return scaled(standardNormal(draw(position, element, i32(0))));
  case SINTER_INIT_TRUNCATED_NORMAL:
    return scaled(truncatedNormal(position, element));
  case SINTER_INIT_CONSTANT:
  case SINTER_INIT_DATA: // copied by the caller
    return f32(state.a);
  }
  llvm_unreachable("all initialisers are listed");
}

/// The rows of the matrix at `base`, or its columns where these are fewer,
/// orthogonal by Gram and Schmidt's method, of length `a`.
void InitWriter::makeOrthogonal(const sinter::StateRecord &info, Value base) {
  const int64_t elements = info.bytes / 4;
  const int64_t columns = info.shape.empty() ? 1 : info.shape.back();
  const int64_t rows = elements / columns;
  const bool byRows = rows <= columns;
  const int64_t count = byRows ? rows : columns, length = elements / count;
  auto scaled = [&](Value number, int64_t factor) -> Value {
    return arith::MulIOp::create(b, number, i64(factor));
  };
  auto place = [&](Value vector, Value element) {
    return wordAt(base,
                  arith::AddIOp::create(b, scaled(vector, byRows ? columns : 1),
                                        scaled(element, byRows ? 1 : columns)));
  };
  auto load = [&](Value vector, Value element) -> Value {
    Value number =
        LLVM::LoadOp::create(b, b.getF32Type(), place(vector, element));
    return arith::ExtFOp::create(b, b.getF64Type(), number);
  };
  auto store = [&](Value number, Value vector, Value element) {
    LLVM::StoreOp::create(b, arith::TruncFOp::create(b, b.getF32Type(), number),
                          place(vector, element));
  };
  /// Runs `body` for each number below `end`, with the builder in the loop.
  auto forEach = [&](Value end, llvm::function_ref<void(Value)> body) {
    auto loop = scf::ForOp::create(b, i64(0), end, i64(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVar());
  };
  auto dot = [&](Value v, Value w) -> Value {
    auto loop =
        scf::ForOp::create(b, i64(0), i64(length), i64(1), ValueRange{f64(0)});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value e = loop.getInductionVar();
    Value product = arith::MulFOp::create(b, load(v, e), load(w, e));
    Value sum = arith::AddFOp::create(b, loop.getRegionIterArg(0), product);
    scf::YieldOp::create(b, sum);
    return loop.getResult(0);
  };
  forEach(i64(count), [&](Value v) {
    forEach(v, [&](Value w) {
      Value part = dot(v, w);
      forEach(i64(length), [&](Value e) {
        Value along = arith::MulFOp::create(b, part, load(w, e));
        store(arith::SubFOp::create(b, load(v, e), along), v, e);
      });
    });
    Value size = math::SqrtOp::create(b, dot(v, v));
    forEach(i64(length), [&](Value e) {
      store(arith::DivFOp::create(b, load(v, e), size), v, e);
    });
  });
  forEach(i64(elements), [&](Value e) {
    Value number = LLVM::LoadOp::create(b, b.getF32Type(), wordAt(base, e));
    LLVM::StoreOp::create(b, arith::MulFOp::create(b, number, f32(info.a)),
                          wordAt(base, e));
  });
}

/// The state's initial bytes as a constant of the object.
Value InitWriter::addData(const sinter::StateRecord &state, int64_t position) {
  std::string name = record.name + "_data" + std::to_string(position);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    LLVM::GlobalOp::create(
        b, LLVM::LLVMArrayType::get(b.getI8Type(), state.data.size()),
        /*isConstant=*/true, LLVM::Linkage::Internal, name,
        b.getStringAttr(StringRef(state.data.data(), state.data.size())),
        /*alignment=*/64);
  }
  return LLVM::AddressOfOp::create(
      b, LLVM::LLVMPointerType::get(b.getContext()), name);
}

void InitWriter::writeState(const sinter::StateRecord &info, int64_t position) {
  if (info.role == SINTER_ITERATION || info.role == SINTER_DERIVED)
    return; // 0 already, which also says that nothing is prepared
  Value base = sinter::createByteOffset(b, b.getLoc(), state, info.offset);
  if (info.role == SINTER_SEED) {
    for (int64_t word : {0, 1})
      LLVM::StoreOp::create(b, seed[word], wordAt(base, i64(word)));
    return;
  }
  if (info.init == SINTER_INIT_DATA) {
    Value data = addData(info, position);
    fill(base, info.bytes / 4, [&](Value number) -> Value {
      return LLVM::LoadOp::create(b, b.getI32Type(), wordAt(data, number));
    });
    return;
  }
  fill(base, info.bytes / 4,
       [&](Value number) { return initialValue(info, position, number); });
  if (info.init == SINTER_INIT_ORTHOGONAL)
    makeOrthogonal(info, base);
}

void InitWriter::write() {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto function =
      func::FuncOp::create(b, record.name + "_init",
                           b.getFunctionType({pointer, b.getI64Type()}, {}));
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  state = entry->getArgument(0);
  Value whole = entry->getArgument(1);
  seed = {arith::TruncIOp::create(b, b.getI32Type(), whole),
          arith::TruncIOp::create(b, b.getI32Type(),
                                  arith::ShRUIOp::create(b, whole, i64(32)))};
  // Also the gaps between tensors, so that equal states are equal bytes.
  fill(state, record.stateBytes / 4, [&](Value) { return i32(0); });
  for (auto [position, info] : llvm::enumerate(record.states))
    writeState(info, position);
  func::ReturnOp::create(b);
}

void sinter::addInitFunction(ModuleOp loops, const ModelRecord &record) {
  InitWriter(loops, record).write();
}

//===----------------------------------------------------------------------===//
// The runtime's functions
//===----------------------------------------------------------------------===//

namespace {

/// for (i64 i = 0; i < end; i += step) body(i), with the builder after it.
void buildLoop(llvm::IRBuilder<> &b, llvm::Value *end, llvm::Value *step,
               llvm::function_ref<void(llvm::Value *)> body) {
  llvm::Function *function = b.GetInsertBlock()->getParent();
  llvm::BasicBlock *before = b.GetInsertBlock();
  auto *head = llvm::BasicBlock::Create(b.getContext(), "head", function);
  auto *inside = llvm::BasicBlock::Create(b.getContext(), "body", function);
  auto *after = llvm::BasicBlock::Create(b.getContext(), "after", function);
  b.CreateBr(head);
  b.SetInsertPoint(head);
  llvm::PHINode *i = b.CreatePHI(b.getInt64Ty(), 2);
  i->addIncoming(b.getInt64(0), before);
  b.CreateCondBr(b.CreateICmpSLT(i, end), inside, after);
  b.SetInsertPoint(inside);
  body(i);
  i->addIncoming(b.CreateAdd(i, step), b.GetInsertBlock());
  b.CreateBr(head);
  b.SetInsertPoint(after);
}

/// The function's declaration gets an entry block; null where there is none.
llvm::Function *beginRuntimeFunction(llvm::Module &module, StringRef name,
                                     llvm::IRBuilder<> &b) {
  llvm::Function *function = module.getFunction(name);
  if (function)
    b.SetInsertPoint(
        llvm::BasicBlock::Create(module.getContext(), "entry", function));
  return function;
}

} // namespace

/// Each task in turn.
static void defineParallelFor(llvm::Module &module) {
  llvm::IRBuilder<> b(module.getContext());
  llvm::Function *function =
      beginRuntimeFunction(module, "sinter_parallel_for", b);
  if (!function)
    return;
  llvm::Value *call = function->getArg(0), *task = function->getArg(1);
  auto *type = llvm::FunctionType::get(b.getVoidTy(),
                                       {b.getPtrTy(), b.getInt64Ty()}, false);
  buildLoop(b, function->getArg(2), b.getInt64(1), [&](llvm::Value *i) {
    b.CreateCall(type, task, {call, i});
  });
  b.CreateRetVoid();
}

/// runtime/slices.c
static void defineRunSlices(llvm::Module &module) {
  llvm::IRBuilder<> b(module.getContext());
  llvm::Function *function =
      beginRuntimeFunction(module, "sinter_run_slices", b);
  if (!function)
    return;
  llvm::Value *call = function->getArg(0), *run = function->getArg(1),
              *most = function->getArg(2);
  llvm::Type *pointer = b.getPtrTy(), *i64 = b.getInt64Ty();
  // sinter_call: state, arena, inputs, outputs, batch, pool
  auto *type = llvm::StructType::get(
      b.getContext(), {pointer, pointer, pointer, pointer, i64, pointer});
  auto load = [&](unsigned field) {
    return b.CreateLoad(type->getElementType(field),
                        b.CreateStructGEP(type, call, field));
  };
  llvm::Value *part = b.CreateAlloca(type);
  llvm::Value *tensors[] = {b.CreateAlloca(pointer), b.CreateAlloca(pointer)};
  auto store = [&](unsigned field, llvm::Value *value) {
    b.CreateStore(value, b.CreateStructGEP(type, part, field));
  };
  for (unsigned field : {0, 1, 5})
    store(field, load(field));
  llvm::Value *starts[2];
  for (unsigned side : {0, 1}) {
    starts[side] = b.CreateLoad(pointer, load(2 + side));
    store(2 + side, tensors[side]);
  }
  llvm::Value *batch = load(4);
  buildLoop(b, batch, most, [&](llvm::Value *first) {
    for (unsigned side : {0, 1}) {
      llvm::Value *offset = b.CreateMul(first, function->getArg(3 + side));
      b.CreateStore(b.CreateGEP(b.getInt8Ty(), starts[side], offset),
                    tensors[side]);
    }
    llvm::Value *rest = b.CreateSub(batch, first);
    store(4, b.CreateSelect(b.CreateICmpSLT(rest, most), rest, most));
    b.CreateCall(llvm::FunctionType::get(b.getVoidTy(), {pointer}, false), run,
                 {part});
  });
  b.CreateRetVoid();
}

void sinter::defineRuntime(llvm::Module &module) {
  defineParallelFor(module);
  defineRunSlices(module);
}
