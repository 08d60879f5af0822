//===- LowerWinogradFilter.cpp - Winograd's filters, and back -------------===//
//
// winograd_filter and its adjoint are a sweep over channels with filters in the
// lanes: for each vector all taps are read, transformed and stored.
//
// A flipped filter has channels and filters exchanged: squares of as many of
// both as there are lanes are turned, tap by tap, in memory of the task's own;
// then they are swept.
//
//===----------------------------------------------------------------------===//

#include "codegen/TileChoice.h"
#include "codegen/WinogradTransforms.h"
#include "ir/Winograd.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

using namespace mlir;
using namespace sinter;

namespace {
/// The taps of many filters, transformed by `apply`, to the columns and then to
/// the rows.
class TapsNest {
public:
  using Apply = llvm::function_ref<WinogradRow(ArrayRef<Value>)>;

  TapsNest(KernelEmitter &e, Operation *op, Apply apply);
  int64_t build();
  int64_t buildFlipped();

private:
  void transform(Value memory, Value at, int64_t tapFloats, Value to,
                 Value mask);
  void flip(Value firstChannel, Value firstFilter);
  Value load(Value memory, Value at, Value mask);
  void store(Value value, Value memory, Value at, Value mask);
  int64_t chooseTasksOf(int64_t parts);

  KernelEmitter &e;
  Apply apply;
  Value source;
  SmallVector<Value, 2> destinations;
  int64_t fromTaps, toTaps;  // of a row
  int64_t channels, filters; // of the result
  int64_t block, blockFloats;
  bool isStreamed;
  int64_t lanes;
  VectorType vectorType;
  Value square; // a task's own: for each tap, channels by filters
};
} // namespace

TapsNest::TapsNest(KernelEmitter &e, Operation *op, Apply apply)
    : e(e), apply(apply), source(e.weights(op->getOperand(0))),
      lanes(e.layout.widest) {
  if (e.kernel.getNumResults())
    destinations.push_back(e.memory(e.kernel.getResult(0), /*flat=*/true));
  for (auto write : e.kernel.getBody().front().getOps<WriteOp>())
    destinations.push_back(e.stateMemory(write.getState(), /*flat=*/true));
  RankedTensorType type = tensorTypeOf(op->getResult(0));
  fromTaps = tensorTypeOf(op->getOperand(0)).getDimSize(0);
  toTaps = type.getDimSize(0);
  channels = type.getDimSize(2);
  filters = type.getDimSize(3);
  block = isInFilterBlocks(type) ? kFilterBlock : filters;
  blockFloats = channels * block; // of a tap
  e.setWidth(lanes, lanes);
  vectorType = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  // Whose memory is aligned.
  bool isInArena =
      e.kernel.getNumResults() && destinations.size() == 1 &&
      llvm::none_of(e.kernel.getResult(0).getUsers(), [](Operation *user) {
        return user->hasTrait<OpTrait::IsTerminator>();
      });
  isStreamed = isInArena && isInFilterBlocks(type) && e.isStreamed(type);
}

Value TapsNest::load(Value memory, Value at, Value mask) {
  if (!mask)
    return vector::LoadOp::create(e.b, vectorType, memory, at);
  return vector::MaskedLoadOp::create(e.b, vectorType, memory, at, mask,
                                      e.vectorConstant(0));
}

void TapsNest::store(Value value, Value memory, Value at, Value mask) {
  if (mask)
    vector::MaskedStoreOp::create(e.b, memory, at, mask, value);
  else if (isStreamed)
    e.storeStreamed(value, memory, at);
  else
    vector::StoreOp::create(e.b, value, memory, at);
}

int64_t TapsNest::chooseTasksOf(int64_t parts) {
  double work = double(channels * filters / lanes) *
                double(fromTaps * fromTaps + 2 * toTaps * toTaps);
  return chooseTasks(std::max<int64_t>(parts, 1), work);
}

/// One vector: its taps are at `at` in `memory`, `tapFloats` apart; results go
/// to `to`.
void TapsNest::transform(Value memory, Value at, int64_t tapFloats, Value to,
                         Value mask) {
  auto taps = makeSquare(fromTaps, [&](int64_t i, int64_t j) {
    return load(memory, e.add(at, (i * fromTaps + j) * tapFloats), mask);
  });
  WinogradSquare result = bothWays(taps, apply);
  for (Value destination : destinations)
    for (int64_t i = 0; i < toTaps; ++i)
      for (int64_t j = 0; j < toTaps; ++j)
        store(result[i][j], destination,
              e.add(to, (i * toTaps + j) * blockFloats), mask);
}

/// (channel, filter) by (channel, filter), in the order of the result, but for
/// some channels of all blocks of filters together: so the source is read
/// nearly from front to back. Taps lie a power of two apart, in the same sets
/// of the caches: only vectors of whole lines touch a line once.
int64_t TapsNest::build() {
  int64_t points = channels * filters;
  // Channels whose filters are read together.
  constexpr int64_t mostTogether = 32;
  int64_t together = std::gcd(channels, mostTogether);
  auto buildVector = [&](Value at, Value mask) {
    // Where the vector is in the source, and in the result.
    Value from = at, to = at;
    if (block < filters) {
      auto divide = [&](Value value, int64_t by) -> std::pair<Value, Value> {
        return {arith::DivUIOp::create(e.b, value, e.index(by)),
                arith::RemUIOp::create(e.b, value, e.index(by))};
      };
      auto [group, inGroup] = divide(at, together * filters);
      auto [number, inBlock] = divide(inGroup, together * block);
      auto [inside, filter] = divide(inBlock, block);
      Value channel = e.sum(e.mul(group, together), inside);
      from =
          e.sum(e.sum(e.mul(channel, filters), e.mul(number, block)), filter);
      to = e.sum(e.mul(number, toTaps * toTaps * blockFloats),
                 e.sum(e.mul(channel, block), filter));
    }
    transform(source, from, points, to, mask);
  };
  int64_t vectors = points / lanes, rest = points % lanes;
  int64_t tasks = chooseTasksOf(vectors);
  auto [low, high] = e.taskRange(vectors, tasks);
  e.loop(low, high, 1, [&](Value v) { buildVector(e.mul(v, lanes), {}); });
  if (rest) {
    Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, e.task,
                                         e.index(tasks - 1));
    auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/false);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    Value mask = vector::ConstantMaskOp::create(
        e.b, VectorType::get({lanes}, e.b.getI1Type()), ArrayRef{rest});
    e.scope([&] { buildVector(e.index(vectors * lanes), mask); });
  }
  return tasks;
}

/// A square of the result's channels by filters, as many as there are lanes, is
/// turned tap by tap.
void TapsNest::flip(Value firstChannel, Value firstFilter) {
  auto maskType = VectorType::get({lanes}, e.b.getI1Type());
  auto squareType = VectorType::get({lanes, lanes}, e.b.getF32Type());
  auto left = [&](Value first, int64_t all) -> Value {
    Value rest = arith::SubIOp::create(e.b, e.index(all), first);
    return arith::MinUIOp::create(e.b, rest, e.index(lanes));
  };
  bool isWhole = channels % lanes == 0 && filters % lanes == 0;
  Value channelCount = left(firstChannel, channels);
  Value filterCount = left(firstFilter, filters);

  int64_t squareFloats = lanes * lanes;
  e.loop(e.index(0), e.index(fromTaps * fromTaps), 1, [&](Value tap) {
    // In the source, the result's filters are channels.
    Value flipped =
        arith::SubIOp::create(e.b, e.index(fromTaps * fromTaps - 1), tap);
    Value from = e.sum(e.mul(flipped, channels * filters),
                       e.sum(e.mul(firstFilter, channels), firstChannel));
    Value rows = arith::ConstantOp::create(e.b, e.b.getZeroAttr(squareType));
    for (int64_t i = 0; i < lanes; ++i) {
      Value at = e.add(from, i * channels), mask;
      if (!isWhole) {
        Value isIn = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ugt,
                                           filterCount, e.index(i));
        Value count =
            arith::SelectOp::create(e.b, isIn, channelCount, e.index(0));
        mask = vector::CreateMaskOp::create(e.b, maskType, count);
      }
      rows = vector::InsertOp::create(e.b, load(source, at, mask), rows,
                                      ArrayRef{i});
    }
    rows = vector::TransposeOp::create(e.b, rows, ArrayRef<int64_t>{1, 0});
    Value to = e.mul(tap, squareFloats);
    for (int64_t i = 0; i < lanes; ++i)
      vector::StoreOp::create(e.b,
                              vector::ExtractOp::create(e.b, rows, ArrayRef{i}),
                              square, e.add(to, i * lanes));
  });

  Value place = e.sum(e.mul(firstChannel, block), firstFilter);
  if (block < filters) {
    Value number = arith::DivUIOp::create(e.b, firstFilter, e.index(block));
    Value inBlock = arith::RemUIOp::create(e.b, firstFilter, e.index(block));
    place = e.sum(e.mul(number, toTaps * toTaps * blockFloats),
                  e.sum(e.mul(firstChannel, block), inBlock));
  }
  Value mask;
  if (filters % lanes)
    mask = vector::CreateMaskOp::create(e.b, maskType, filterCount);
  e.loop(e.index(0), channelCount, 1, [&](Value channel) {
    transform(square, e.mul(channel, lanes), squareFloats,
              e.sum(place, e.mul(channel, block)), mask);
  });
}

int64_t TapsNest::buildFlipped() {
  int64_t across = llvm::divideCeil(channels, lanes);
  int64_t squares = across * llvm::divideCeil(filters, lanes);
  int64_t tasks = chooseTasksOf(squares);
  auto [low, high] = e.taskRange(squares, tasks);
  square = memref::AllocaOp::create(
      e.b,
      MemRefType::get({fromTaps * fromTaps * lanes * lanes}, e.b.getF32Type()),
      e.b.getI64IntegerAttr(64));
  // Along the source's rows.
  e.loop(low, high, 1, [&](Value number) {
    flip(e.mul(arith::RemUIOp::create(e.b, number, e.index(across)), lanes),
         e.mul(arith::DivUIOp::create(e.b, number, e.index(across)), lanes));
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerWinogradFilter(KernelEmitter &e) {
  e.setLanes(Lanes::Columns);
  for (Operation &op : e.kernel.getBody().front()) {
    if (auto filter = dyn_cast<WinogradFilterOp>(op)) {
      WinogradSums sums(e, static_cast<int64_t>(filter.getTile()));
      auto apply = [&](ArrayRef<Value> v) { return sums.filter(v); };
      TapsNest nest(e, &op, apply);
      return filter.getFlipped() ? nest.buildFlipped() : nest.build();
    }
    if (auto adjoint = dyn_cast<WinogradFilterAdjointOp>(op)) {
      WinogradSums sums(e, winogradTile(tensorTypeOf(adjoint.getU())));
      auto apply = [&](ArrayRef<Value> v) { return sums.filterAdjoint(v); };
      return TapsNest(e, &op, apply).build();
    }
  }
  llvm_unreachable("a kernel of this kind has one of the two");
}
