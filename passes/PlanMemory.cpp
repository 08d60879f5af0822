//===- PlanMemory.cpp - every stored intermediate gets an offset ---------===//
//
// The order of kernels is fixed; a value lives from the kernel that stores it
// to the last one that reads it or a view of it. Where a kernel reads a value
// for the last time, element by element, and stores another of the same form,
// both share their bytes. Offsets then come from ArenaPlanner, which knows
// lifetimes and nothing else.
//
// Where a function has one result for each sample, it runs slice by slice. If
// slices of some samples are small enough to stay in a core's own cache, each
// core takes slices of its own, and the arena has a place for each of them: it
// is no larger for that than for the whole batch. Otherwise, where the arena
// would not fit the last cache, it gets room for one slice, on which all cores
// work.
//
//===----------------------------------------------------------------------===//

#include "ir/SweptGradient.h"
#include "ir/Winograd.h"
#include "passes/ArenaPlanner.h"
#include "passes/Names.h"
#include "passes/Passes.h"
#include "passes/Schedule.h"

#include "llvm/ADT/bit.h"

namespace sinter {
#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

/// Cache lines; also the widest vector.
static constexpr int64_t kAlignment = 64;

/// Does `kernel` store results of `type` once, in its innermost loop, and read
/// what it makes itself only where it makes it? Then an element's loads come
/// before its store, and reductions come before both.
static bool storesInPlace(KernelOp kernel, Type type) {
  for (Operation &op : kernel.getBody().front()) {
    // A part of what the kernel makes is made again for each reader.
    if (op.hasTrait<Gathering>() &&
        llvm::any_of(op.getOperands(), [&](Value operand) {
          Operation *producer = operand.getDefiningOp();
          return producer && producer->getParentOp() == kernel;
        }))
      return false;
    if (kernel.getKind() != KernelKind::Sweep)
      continue;
    for (TypeRange types :
         {TypeRange(op.getOperandTypes()), TypeRange(op.getResultTypes())})
      for (Type other : types)
        if (featureLoops(cast<RankedTensorType>(other)).size() >
            featureLoops(cast<RankedTensorType>(type)).size())
          return false;
  }
  return true;
}

/// Does `kernel` read `operand` only at the index that it is about to store?
/// Then a result of the same type may take its place.
static bool readsInPlace(KernelOp kernel, Value operand) {
  // A part of the place is elsewhere than in the result.
  if (featureCount(tensorTypeOf(operand)) !=
      featureCount(tensorTypeOf(storageOf(operand))))
    return false;
  for (Operation *user : operand.getUsers()) {
    if (user->getParentOp() != kernel)
      continue;
    bool elementwise = user->hasTrait<Elementwise>() &&
                       tensorTypeOf(user->getResult(0)).getShape() ==
                           tensorTypeOf(operand).getShape();
    if (!elementwise)
      return false;
  }
  return true;
}

namespace {
class Planner {
public:
  explicit Planner(func::FuncOp function)
      : function(function), batchBound(batchBoundOf(function)) {}

  void run() {
    findLives();
    ArenaPlan plan = planArena(lives, kAlignment);
    record(plan);
  }

private:
  void findLives() {
    llvm::DenseMap<Value, int64_t> lastUse;
    int64_t step = 0;
    for (KernelOp kernel : kernels()) {
      for (Value value : arenaOperands(kernel))
        lastUse[value] = step;
      ++step;
    }
    step = 0;
    for (KernelOp kernel : kernels()) {
      llvm::SmallDenseSet<Value> taken;
      for (Value result : kernel.getResults()) {
        if (!isInArena(result))
          continue;
        int64_t last = std::max(step, lastUse.lookup(result));
        if (Value reused = dyingOperand(kernel, result, step, lastUse, taken)) {
          taken.insert(storageOf(reused));
          int64_t buffer = buffers.lookup(storageOf(reused));
          lives[buffer].last = last;
          buffers[result] = buffer;
          continue;
        }
        buffers[result] = lives.size();
        lives.push_back({step, last, storedBytes(result, batchBound)});
      }
      ++step;
    }
  }

  /// An operand whose bytes `result` may take over, or null.
  Value dyingOperand(KernelOp kernel, Value result, int64_t step,
                     const llvm::DenseMap<Value, int64_t> &lastUse,
                     const llvm::SmallDenseSet<Value> &taken) {
    Value made =
        kernel.getYield().getValues()[cast<OpResult>(result).getResultNumber()];
    if (!storesInPlace(kernel, result.getType()) ||
        isRowSum(made.getDefiningOp()) || made.getDefiningOp<ScratchOp>())
      return {}; // a row's sum is stored before all of the row is read
    for (Value operand : kernel.getCaptured()) {
      Value storage = storageOf(operand);
      if (!isInArena(storage) || taken.contains(storage) ||
          operand.getType() != result.getType() ||
          featureCount(tensorTypeOf(storage)) !=
              featureCount(tensorTypeOf(result)))
        continue;
      // A buffer may have several names: all of them must end here.
      int64_t buffer = buffers.lookup(storage);
      if (lives[buffer].last != step || lastUse.lookup(storage) != step)
        continue;
      bool allInPlace = llvm::all_of(kernel.getCaptured(), [&](Value other) {
        return storageOf(other) != storage || readsInPlace(kernel, other);
      });
      if (allInPlace)
        return operand;
    }
    return {};
  }

  void record(const ArenaPlan &plan) {
    Builder builder(function.getContext());
    auto results = function.front().getTerminator()->getOperands();
    for (KernelOp kernel : kernels()) {
      SmallVector<int64_t> offsets;
      for (Value result : kernel.getResults()) {
        if (isInArena(result)) {
          offsets.push_back(plan.offsets[buffers.lookup(result)]);
          continue;
        }
        auto output = llvm::find(results, result) - results.begin();
        offsets.push_back(-1 - output);
      }
      kernel.setOffsets(offsets);
    }
    function->setAttr(names::arenaBytes, builder.getI64IntegerAttr(plan.bytes));
    function->setAttr(names::arenaLowerBound,
                      builder.getI64IntegerAttr(plan.lowerBound));
  }

  llvm::iterator_range<Block::op_iterator<KernelOp>> kernels() {
    return function.front().getOps<KernelOp>();
  }

  func::FuncOp function;
  int64_t batchBound;
  SmallVector<Lifetime> lives;
  llvm::DenseMap<Value, int64_t> buffers; // which life a value's bytes have
};

//===----------------------------------------------------------------------===//
// Slices of the batch
//===----------------------------------------------------------------------===//

/// Is each sample's result, the only one, its own?
bool canSlice(func::FuncOp function) {
  if (function->hasAttr(names::oneSample) || function.getNumArguments() != 1 ||
      function.getNumResults() != 1 || !isBatched(function.getArgument(0)))
    return false;
  Value result = function.front().getTerminator()->getOperand(0);
  if (!isBatched(result))
    return false;
  return !function
              .walk([](Operation *op) {
                auto kernel = dyn_cast<KernelOp>(op);
                bool mixes =
                    isa<BatchSizeOp, RandomUniformOp, RandomNormalOp, WriteOp>(
                        op) ||
                    (kernel && kernel.getKind() == KernelKind::BatchReduce);
                return mixes ? WalkResult::interrupt() : WalkResult::advance();
              })
              .wasInterrupted();
}

/// Bytes of the arena for as many samples as a vector has lanes.
int64_t arenaOfVector(func::FuncOp function) {
  int64_t arena =
      function->getAttrOfType<IntegerAttr>(names::arenaBytes).getInt();
  int64_t vectors = paddedBatch(batchBoundOf(function)) / kLaneMultiple;
  return std::max<int64_t>(arena / vectors, 1);
}

/// Samples whose values take up to `bytes`, or, where so few would take twice
/// that at most, the fewest that use weights often enough to hide the time of
/// reading them: whole vectors, a power of two. 0 if even these are too many.
int64_t chooseOwnSlice(func::FuncOp function, int64_t bytes) {
  constexpr int64_t leastVectors = 4;
  if (batchBoundOf(function) <= leastVectors * kLaneMultiple)
    return 0; // slices would be no smaller
  int64_t ofVector = arenaOfVector(function);
  if (leastVectors * ofVector > 2 * bytes)
    return 0;
  auto fitting = static_cast<uint64_t>(bytes / ofVector);
  return kLaneMultiple *
         std::max(leastVectors, static_cast<int64_t>(llvm::bit_floor(fitting)));
}

/// Samples whose values take about `bytes`, or as much as the weights do, which
/// every slice reads again: whole vectors of them.
int64_t chooseSlice(func::FuncOp function, int64_t bytes) {
  if (batchBoundOf(function) <= kLaneMultiple)
    return batchBoundOf(function);
  int64_t weights = 0;
  function.walk([&](ReadOp read) {
    weights += storedBytes(tensorTypeOf(read.getResult()), 1);
  });
  int64_t ofVector = arenaOfVector(function);
  int64_t fitting = std::max<int64_t>(bytes / ofVector, 1);
  int64_t paying = (weights + ofVector - 1) / ofVector;
  return kLaneMultiple * std::max(fitting, paying);
}

/// Kernels' own memory depends on how many samples there are.
void resizeScratch(func::FuncOp function) {
  for (KernelOp kernel : function.front().getOps<KernelOp>())
    for (ScratchOp scratch : kernel.getBody().front().getOps<ScratchOp>())
      for (Operation &op : kernel.getBody().front())
        if (RankedTensorType type =
                scratchOf(&op, batchBoundOf(function),
                          isSweptGradient(&op) || takesAdjoint(&op))) {
          scratch.getResult().setType(type);
          kernel.getResults().back().setType(type);
        }
}

struct PlanMemory : sinter::impl::PlanMemoryBase<PlanMemory> {
  using PlanMemoryBase::PlanMemoryBase;

  void runOnOperation() override {
    for (auto function : getOperation().getBody().getOps<func::FuncOp>()) {
      Planner(function).run();
      if (canSlice(function))
        planSlices(function);
    }
  }

  void planSlices(func::FuncOp function) {
    // Kernels for a slice are kernels of their own to compile.
    constexpr int64_t worthwhile = 3;
    int64_t bound = batchBoundOf(function);
    int64_t own = chooseOwnSlice(function, ownSliceBytes);
    if (own && own * worthwhile > bound)
      return;
    int64_t slice = own ? own : chooseSlice(function, sliceBytes);
    if (slice * worthwhile > bound)
      return;
    Builder builder(function);
    function->setAttr(names::batchBound, builder.getI64IntegerAttr(slice));
    resizeScratch(function);
    Planner(function).run();
    ++numSliced;
    if (!own)
      return;
    // More threads share each slice.
    constexpr int64_t mostPlaces = 16;
    int64_t places = std::min((bound + slice - 1) / slice, mostPlaces);
    function->setAttr(names::slicePlaces, builder.getI64IntegerAttr(places));
    for (StringRef bytes : {names::arenaBytes, names::arenaLowerBound}) {
      auto ofSlice = function->getAttrOfType<IntegerAttr>(bytes);
      function->setAttr(bytes,
                        builder.getI64IntegerAttr(places * ofSlice.getInt()));
    }
  }
};
} // namespace
