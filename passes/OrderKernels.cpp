//===- OrderKernels.cpp - values die young -------------------------------===//
//
// Problem: the backward pass, in the order in which it was built, computes all
// gradients before the first update; each waits in memory.
// Idea: list scheduling. Of the kernels whose inputs are there, take the one
// that grows memory least (results made minus operands that die); an update
// that consumes a gradient frees it and so runs at once. Keep the schedule only
// if its peak is lower.
//
// A kernel that writes a state runs after all kernels that read it: reads see
// the value at function entry. Weakness: looks one kernel ahead.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "passes/Schedule.h"

namespace sinter {
#define GEN_PASS_DEF_ORDERKERNELS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

namespace {
class Scheduler {
public:
  explicit Scheduler(func::FuncOp function)
      : block(function.front()), batchBound(batchBoundOf(function)) {
    for (KernelOp kernel : block.getOps<KernelOp>())
      kernels.push_back(kernel);
    for (KernelOp kernel : kernels)
      for (Value value : arenaOperands(kernel))
        ++readers[value];
    findPredecessors();
  }

  LogicalResult run() {
    SmallVector<KernelOp> order = schedule();
    if (order.size() < kernels.size())
      return kernels.front()->getParentOp()->emitError(
          "expected kernels in some order, got some that wait for each other");
    if (peak(order) < peak(kernels))
      reorder(order);
    return success();
  }

private:
  void findPredecessors() {
    llvm::DenseMap<StringAttr, SmallVector<KernelOp>> stateReaders;
    for (KernelOp kernel : kernels) {
      auto reads = [&](ReadOp read) {
        stateReaders[read.getStateAttr().getAttr()].push_back(kernel);
      };
      kernel.walk(reads);
      for (Value captured : kernel.getCaptured())
        if (auto read = storageOf(captured).getDefiningOp<ReadOp>())
          reads(read); // through a view
    }
    for (KernelOp kernel : kernels) {
      auto &before = predecessors[kernel];
      for (Value captured : kernel.getCaptured())
        if (auto producer = storageOf(captured).getDefiningOp<KernelOp>())
          before.insert(producer);
      kernel.walk([&](WriteOp write) {
        for (KernelOp reader : stateReaders[write.getStateAttr().getAttr()])
          if (reader != kernel)
            before.insert(reader);
      });
    }
  }

  int64_t bytes(Value value) {
    return storedBytes(tensorTypeOf(value), batchBound);
  }
  int64_t bytesMade(KernelOp kernel) {
    int64_t sum = 0;
    for (Value result : kernel.getResults())
      if (isInArena(result))
        sum += bytes(result);
    return sum;
  }
  /// Bytes of operands that nobody reads after `kernel`; `left` counts readers.
  int64_t bytesFreed(KernelOp kernel, const llvm::DenseMap<Value, int> &left) {
    int64_t sum = 0;
    for (Value value : arenaOperands(kernel))
      if (left.lookup(value) == 1)
        sum += bytes(value);
    return sum;
  }

  /// All kernels, unless some wait for each other.
  SmallVector<KernelOp> schedule() {
    SmallVector<KernelOp> order, waiting(kernels);
    llvm::DenseSet<Operation *> done;
    llvm::DenseMap<Value, int> left = readers;
    while (!waiting.empty()) {
      auto best = waiting.end();
      int64_t bestGrowth = 0;
      for (auto it = waiting.begin(); it != waiting.end(); ++it) {
        bool ready = llvm::all_of(predecessors[*it], [&](Operation *before) {
          return done.contains(before);
        });
        if (!ready)
          continue;
        int64_t growth = bytesMade(*it) - bytesFreed(*it, left);
        if (best == waiting.end() || growth < bestGrowth) {
          best = it;
          bestGrowth = growth;
        }
      }
      if (best == waiting.end())
        break;
      KernelOp kernel = *best;
      waiting.erase(best);
      done.insert(kernel);
      for (Value value : arenaOperands(kernel))
        --left[value];
      order.push_back(kernel);
    }
    return order;
  }

  int64_t peak(ArrayRef<KernelOp> order) {
    llvm::DenseMap<Value, int> left = readers;
    int64_t now = 0, most = 0;
    for (KernelOp kernel : order) {
      now += bytesMade(kernel);
      most = std::max(most, now);
      now -= bytesFreed(kernel, left);
      for (Value value : arenaOperands(kernel))
        --left[value];
      for (Value result : kernel.getResults())
        if (isInArena(result) && !readers.contains(result))
          now -= bytes(result);
    }
    return most;
  }

  /// Kernels in the new order; each view right after what it shows.
  void reorder(ArrayRef<KernelOp> order) {
    Operation *terminator = block.getTerminator();
    for (KernelOp kernel : order)
      kernel->moveBefore(terminator);
    SmallVector<Operation *> views;
    for (Operation &op : block)
      if (isa<ReshapeOp, SliceOp>(op))
        views.push_back(&op);
    for (Operation *view : views)
      if (Operation *source = view->getOperand(0).getDefiningOp())
        view->moveAfter(source);
  }

  Block &block;
  int64_t batchBound;
  SmallVector<KernelOp> kernels;
  llvm::DenseMap<Value, int> readers;
  llvm::DenseMap<Operation *, llvm::DenseSet<Operation *>> predecessors;
};

struct OrderKernels : sinter::impl::OrderKernelsBase<OrderKernels> {
  void runOnOperation() override {
    for (auto function : getOperation().getBody().getOps<func::FuncOp>())
      if (failed(Scheduler(function).run()))
        return signalPassFailure();
  }
};
} // namespace
