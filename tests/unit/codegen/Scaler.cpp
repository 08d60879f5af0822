//===- Scaler.cpp - a model small enough to write by hand ----------------===//

#include "Scaler.h"

#include "NativeCode.h"

#include "codegen/Pointers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Verifier.h"

#include <catch2/catch.hpp>

using namespace mlir;

namespace {

constexpr int64_t features = 16, batchBound = 8;
// Not at the block's start, so that offsets are tested too.
constexpr int64_t scaleOffset = 64;

/// Tasks past the batch's end do nothing.
void buildKernel(ImplicitLocOpBuilder &b, func::FuncOp kernel) {
  b.setInsertionPointToStart(kernel.addEntryBlock());
  Location loc = b.getLoc();
  Value call = kernel.getArgument(0);
  auto vector = VectorType::get({features}, b.getF32Type());
  auto row = MemRefType::get({features}, b.getF32Type());
  auto rows = MemRefType::get({batchBound, features}, b.getF32Type());
  Value state = sinter::loadCallField(b, loc, call, sinter::CallField::State);
  Value scale = sinter::createMemRef(b, loc, state, scaleOffset, row);
  Value x =
      sinter::createMemRef(b, loc, sinter::loadInput(b, loc, call, 0), 0, rows);
  Value y = sinter::createMemRef(b, loc, sinter::loadOutput(b, loc, call, 0), 0,
                                 rows);
  Value batch = sinter::loadCallField(b, loc, call, sinter::CallField::Batch);
  Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                                       kernel.getArgument(1), batch);
  auto guard = scf::IfOp::create(b, inside, /*withElseRegion=*/false);
  b.setInsertionPointToStart(guard.thenBlock());
  Value sample =
      arith::IndexCastOp::create(b, b.getIndexType(), kernel.getArgument(1));
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value product = arith::MulFOp::create(
      b, vector::LoadOp::create(b, vector, scale, zero),
      vector::LoadOp::create(b, vector, x, ValueRange{sample, zero}));
  vector::StoreOp::create(b, product, y, ValueRange{sample, zero});
  b.setInsertionPointAfter(guard);
  func::ReturnOp::create(b);
}

std::string buildLoops() {
  std::unique_ptr<MLIRContext> context = createContext();
  context->loadAllAvailableDialects();
  Location loc = UnknownLoc::get(context.get());
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  ImplicitLocOpBuilder b(loc, context.get());
  Type pointer = LLVM::LLVMPointerType::get(context.get());

  b.setInsertionPointToEnd(module->getBody());
  auto kernel = func::FuncOp::create(
      b, "scaler_kernel0", b.getFunctionType({pointer, b.getI64Type()}, {}));
  kernel.setPrivate();
  auto step = func::FuncOp::create(b, "scaler_predict",
                                   b.getFunctionType({pointer}, {}));
  buildKernel(b, kernel);
  b.setInsertionPointToStart(step.addEntryBlock());
  sinter::createParallelFor(b, loc, step.getArgument(0), kernel.getName(),
                            batchBound);
  func::ReturnOp::create(b);
  REQUIRE(succeeded(verify(*module)));

  std::string text;
  llvm::raw_string_ostream out(text);
  module->print(out);
  return text;
}

} // namespace

Scaler buildScaler() {
  Scaler scaler;
  scaler.loops = buildLoops();
  sinter::ModelRecord &record = scaler.record;
  record.name = "scaler";
  record.batchBound = batchBound;
  record.stateBytes = 128;
  record.derivedOffset = 128;

  sinter::StateRecord scale;
  scale.name = "scale/gamma";
  scale.shape = {features};
  scale.offset = scaleOffset;
  scale.bytes = 4 * features;
  scale.a = 3;
  record.states = {scale};

  sinter::KernelRecord kernel;
  kernel.name = "scale: mul";
  kernel.kind = "sweep";
  kernel.symbol = "scaler_kernel0";
  kernel.tasks = batchBound;
  kernel.flopsPerSample = features;
  record.predict.symbol = "scaler_predict";
  record.predict.arenaBytes = 100;
  record.predict.inputs = {{"input", SINTER_F32, {-1, features}}};
  record.predict.outputs = {{"prediction", SINTER_F32, {-1, features}}};
  record.predict.kernels = {kernel};
  record.predict.buffers = {{"scale: mul", 64, 36, 0, 2}};
  return scaler;
}
