//===- LowerWinogradFilter.cpp - Winograd's filters, and back -------------===//
//
// winograd_filter and its adjoint are a sweep over channels with filters in the
// lanes, or over squares of both (codegen/WinogradFilters.h).
//
//===----------------------------------------------------------------------===//

#include "codegen/TileChoice.h"
#include "codegen/WinogradFilters.h"
#include "ir/Winograd.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

using namespace mlir;
using namespace sinter;

namespace {
class FilterNest {
public:
  FilterNest(KernelEmitter &e, Operation *op);
  int64_t build() { return taps.isFlipped() ? buildSquares() : buildVectors(); }

private:
  int64_t buildVectors();
  int64_t buildSquares();
  void store(Value value, Value at, Value mask);
  int64_t chooseTasksOf(int64_t parts);

  KernelEmitter &e;
  RankedTensorType type;     // of the result
  int64_t fromTaps, toTaps;  // of a row
  int64_t channels, filters; // of the result
  int64_t block, tapFloats;  // of it: filters that lie together, and their tap
  WinogradTaps taps;
  SmallVector<Value, 2> destinations;
  bool isStreamed;
};
} // namespace

FilterNest::FilterNest(KernelEmitter &e, Operation *op)
    : e(e), type(tensorTypeOf(op->getResult(0))),
      fromTaps(tensorTypeOf(op->getOperand(0)).getDimSize(0)),
      toTaps(type.getDimSize(0)), channels(type.getDimSize(2)),
      filters(type.getDimSize(3)),
      block(isInFilterBlocks(type) ? kFilterBlock : filters),
      tapFloats(channels * block),
      taps(e, op, e.weights(op->getOperand(0)),
           {tapFloats, block, [this](Value value, Value at, Value mask) {
              store(value, at, mask);
            }}) {
  if (e.kernel.getNumResults())
    destinations.push_back(e.memory(e.kernel.getResult(0), /*flat=*/true));
  for (auto write : e.kernel.getBody().front().getOps<WriteOp>())
    destinations.push_back(e.stateMemory(write.getState(), /*flat=*/true));
  // Whose memory is aligned.
  bool isInArena =
      e.kernel.getNumResults() && destinations.size() == 1 &&
      llvm::none_of(e.kernel.getResult(0).getUsers(), [](Operation *user) {
        return user->hasTrait<OpTrait::IsTerminator>();
      });
  isStreamed = isInArena && isInFilterBlocks(type) && e.isStreamed(type);
}

void FilterNest::store(Value value, Value at, Value mask) {
  for (Value destination : destinations)
    if (mask)
      vector::MaskedStoreOp::create(e.b, destination, at, mask, value);
    else if (isStreamed)
      e.storeStreamed(value, destination, at);
    else
      vector::StoreOp::create(e.b, value, destination, at);
}

int64_t FilterNest::chooseTasksOf(int64_t parts) {
  double work = double(channels * filters / taps.lanes) *
                double(fromTaps * fromTaps + 2 * toTaps * toTaps);
  return chooseTasks(std::max<int64_t>(parts, 1), work);
}

/// (channel, filter) by (channel, filter), in the order of the result, but for
/// some channels of all blocks of filters together: so the source is read
/// nearly from front to back. Taps lie a power of two apart, in the same sets
/// of the caches: only vectors of whole lines touch a line once.
int64_t FilterNest::buildVectors() {
  int64_t points = channels * filters;
  // Channels whose filters are read together.
  constexpr int64_t mostTogether = 32;
  int64_t together = std::gcd(channels, mostTogether);
  // Where the vector is in the source, and in the result.
  auto placesOf = [&](Value at) -> std::pair<Value, Value> {
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
      to = e.sum(e.mul(number, toTaps * toTaps * tapFloats),
                 e.sum(e.mul(channel, block), filter));
    }
    return {from, to};
  };
  const int64_t lanes = taps.lanes;
  if (taps.isTogether()) {
    int64_t step = WinogradTaps::kTogether * lanes;
    int64_t tasks = chooseTasksOf(points / step);
    auto [low, high] = e.taskRange(points / step, tasks);
    e.loop(low, high, 1, [&](Value number) {
      auto [from, to] = placesOf(e.mul(number, step));
      taps.transformSome(from, filters, to);
    });
    return tasks;
  }
  auto buildVector = [&](Value at, Value mask) {
    auto [from, to] = placesOf(at);
    taps.transform(from, to, mask);
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

int64_t FilterNest::buildSquares() {
  const int64_t lanes = taps.lanes;
  int64_t across = llvm::divideCeil(channels, lanes);
  int64_t squares = across * llvm::divideCeil(filters, lanes);
  int64_t tasks = chooseTasksOf(squares);
  auto [low, high] = e.taskRange(squares, tasks);
  // Along the source's rows.
  e.loop(low, high, 1, [&](Value number) {
    Value width = e.index(across);
    Value channel = e.mul(arith::RemUIOp::create(e.b, number, width), lanes);
    Value filter = e.mul(arith::DivUIOp::create(e.b, number, width), lanes);
    Value place = e.sum(e.mul(channel, block), filter);
    if (block < filters) {
      Value number = arith::DivUIOp::create(e.b, filter, e.index(block));
      Value inBlock = arith::RemUIOp::create(e.b, filter, e.index(block));
      place = e.sum(e.mul(number, toTaps * toTaps * tapFloats),
                    e.sum(e.mul(channel, block), inBlock));
    }
    taps.flip(channel, filter, place);
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerWinogradFilter(KernelEmitter &e) {
  e.setLanes(Lanes::Columns);
  for (Operation &op : e.kernel.getBody().front())
    if (isa<WinogradFilterOp, WinogradFilterAdjointOp>(op))
      return FilterNest(e, &op).build();
  llvm_unreachable("a kernel of this kind has one of the two");
}
