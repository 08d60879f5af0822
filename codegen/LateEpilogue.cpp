//===- LateEpilogue.cpp - an epilogue beside the next sums ----------------===//

#include "codegen/LateEpilogue.h"
#include "codegen/EpilogueMemory.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

bool LateEpilogue::pays(KernelEmitter &e, Value sums) {
  Block &body = e.kernel.getBody().front();
  auto updated = llvm::range_size(body.getOps<WriteOp>());
  if (updated == 0 || !hasPlainEpilogue(e, sums))
    return false;
  if (llvm::any_of(body, [&](Operation &op) {
        return isa<SqrtOp, DivOp>(op) &&
               op.getResult(0).getType() == sums.getType();
      }))
    return true;
  // Few samples leave no room beside their products.
  constexpr int64_t enough = 32;
  bool hasSlots = updated > 1;
  bool isRagged = tensorTypeOf(sums).getDimSize(1) % e.lanes() != 0;
  return (hasSlots || isRagged) && e.layout.batchBound >= enough;
}

bool LateEpilogue::fits(KernelEmitter &e, int64_t floats) {
  // Two of them beside the operands in the first cache; with many samples they
  // are used seldom.
  constexpr int64_t near = 2560, most = 4096, many = 128;
  return floats <= (e.layout.batchBound < many ? near : most);
}

int64_t LateEpilogue::mostTasks(int64_t blocks) {
  constexpr int64_t longRun = 12;
  return std::max<int64_t>(blocks / longRun, 1);
}

LateEpilogue::LateEpilogue(KernelEmitter &e, Value sums, int64_t rows,
                           int64_t lastRows, int64_t tilesOfRow)
    : e(e), sums(sums), columns(tensorTypeOf(sums).getDimSize(1)),
      vectorsOfTile((rows * columns + e.lanes() * tilesOfRow - 1) /
                    (e.lanes() * tilesOfRow)),
      hasRest(rows * columns % e.lanes() != 0 ||
              lastRows * columns % e.lanes() != 0) {
  int64_t floats = (rows * columns + e.lanes() - 1) / e.lanes() * e.lanes();
  auto allocate = [&](ArrayRef<int64_t> shape, Type type) -> Value {
    return memref::AllocaOp::create(e.b, MemRefType::get(shape, type),
                                    e.b.getI64IntegerAttr(64));
  };
  buffer = allocate({2, floats}, e.b.getF32Type());
  cells = allocate({Cells}, e.b.getIndexType());
  memory = epilogueMemory(e, sums);
  for (Cell which : {Start, Floats, Done, Half})
    setCell(which, e.index(0));
}

Value LateEpilogue::cell(Cell which) {
  return memref::LoadOp::create(e.b, cells, e.index(which));
}

void LateEpilogue::setCell(Cell which, Value value) {
  memref::StoreOp::create(e.b, value, cells, e.index(which));
}

Value LateEpilogue::otherHalf() {
  return arith::SubIOp::create(e.b, e.index(1), cell(Half));
}

/// Of the last block.
Value LateEpilogue::vectors() {
  return arith::DivUIOp::create(e.b, e.add(cell(Floats), e.lanes() - 1),
                                e.index(e.lanes()));
}

/// The epilogue of vector `number` of the last block.
void LateEpilogue::epilogueOf(Value number) {
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  Value at = e.mul(number, e.lanes()), place = e.sum(cell(Start), at);
  // As early as memory needs, and no earlier than the first cache holds.
  constexpr int64_t vectorsAhead = 32;
  for (Value matrix : memory)
    memref::PrefetchOp::create(
        e.b, matrix,
        ValueRange{e.index(0), e.add(place, vectorsAhead * e.lanes())},
        /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
  e.point([&] {
    if (hasRest) {
      Value left = arith::SubIOp::create(e.b, cell(Floats), at);
      e.setMask(vector::CreateMaskOp::create(
          e.b, VectorType::get({e.lanes()}, e.b.getI1Type()), left));
    }
    e.seed(sums, vector::LoadOp::create(e.b, vector, buffer,
                                        ValueRange{cell(Half), at}));
    e.setFlat(true);
    e.storeAll(place, [](RankedTensorType) { return true; });
    e.setFlat(false);
    e.setMask({});
  });
}

SmallVector<Value> LateEpilogue::beside(
    ValueRange start,
    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> step) {
  Value done = cell(Done);
  Value left = arith::SubIOp::create(e.b, vectors(), done);
  Value both = arith::MinUIOp::create(
      e.b, e.batch, arith::MinUIOp::create(e.b, left, e.index(vectorsOfTile)));
  SmallVector<Value> acc =
      e.loop(e.index(0), both, 1, start, [&](Value n, ValueRange acc) {
        SmallVector<Value> next = step(n, acc);
        epilogueOf(e.sum(done, n));
        return next;
      });
  setCell(Done, e.sum(done, both));
  return e.loop(both, e.batch, 1, acc, step);
}

void LateEpilogue::keep(Value value, int64_t row, Value column, Value mask) {
  Indices at = {otherHalf(), e.add(column, row * columns)};
  if (mask)
    vector::MaskedStoreOp::create(e.b, buffer, at, mask, value);
  else
    vector::StoreOp::create(e.b, value, buffer, at);
}

void LateEpilogue::endBlock(Value row, int64_t rows) {
  finish();
  setCell(Start, e.mul(row, columns));
  setCell(Floats, e.index(rows * columns));
  setCell(Done, e.index(0));
  setCell(Half, otherHalf());
}

void LateEpilogue::finish() {
  e.loop(cell(Done), vectors(), 1, [&](Value number) { epilogueOf(number); });
}
