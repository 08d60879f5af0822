//===- PrepareWeights.cpp - what depends on states alone, once -----------===//
//
// Problem: prediction scales filters by their batch normalisation and
// transforms them for Winograd's filtering, in every call, although weights
// change in training alone. Idea: move all that into a function of its own,
// @prepare, which writes what the others need into derived states. It runs when
// these are stale: generated code of functions that read them asks, that of
// functions that write other states tells (sinter_runtime.h has the rules).
// Known weakness: a derived filter takes the memory of a second copy, or of
// four in Winograd's form; a batch leaves the largest of those to its kernels.
//
//===----------------------------------------------------------------------===//

#include "ir/Winograd.h"
#include "passes/Names.h"
#include "passes/Passes.h"
#include "passes/Schedule.h"

#include "mlir/IR/IRMapping.h"

namespace sinter {
#define GEN_PASS_DEF_PREPAREWEIGHTS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

// ---- May we?

/// Costs nothing where it is used: a view, or a choice of index.
static bool isFree(Operation *op) { return isa<ReshapeOp, BroadcastOp>(op); }

/// Filters that a convolution's kernel transforms itself.
static bool isLeftToKernel(Operation *op) {
  auto filter = dyn_cast<WinogradFilterOp>(op);
  return filter &&
         isMadeByReader(filter,
                        batchBoundOf(op->getParentOfType<func::FuncOp>()));
}

static bool isSource(Operation *op) { return isa<ReadOp, ConstantOp>(op); }

namespace {
/// The ops of a function that depend on states alone.
class StateOnly {
public:
  explicit StateOnly(Block &block) {
    for (Operation &op : block.without_terminator())
      if (isSource(&op) || dependsOnSources(&op))
        ops.insert(&op);
  }

  bool contains(Operation *op) const { return ops.contains(op); }

  /// The results that other ops use, directly or through what costs nothing.
  SmallVector<Value> findBorder(Block &block) const {
    SmallVector<Value> border;
    for (Operation &op : block)
      if (contains(&op) && !isSource(&op) && !isFree(&op) &&
          isUsedOutside(op.getResult(0)))
        border.push_back(op.getResult(0));
    return border;
  }

private:
  bool dependsOnSources(Operation *op) const {
    return op->getNumResults() == 1 && isPure(op) &&
           !isa<BatchSizeOp, RandomUniformOp, RandomNormalOp>(op) &&
           !isLeftToKernel(op) && !isBatched(op->getResult(0)) &&
           llvm::all_of(op->getOperands(), [&](Value operand) {
             Operation *producer = operand.getDefiningOp();
             return producer && contains(producer);
           });
  }

  bool isUsedOutside(Value value) const {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      return !contains(user) ||
             (isFree(user) && isUsedOutside(user->getResult(0)));
    });
  }

  llvm::SmallDenseSet<Operation *> ops;
};

/// Ops are the same key if they compute the same value.
struct SameValue : llvm::DenseMapInfo<Operation *> {
  static unsigned getHashValue(const Operation *op) {
    return OperationEquivalence::computeHash(
        const_cast<Operation *>(op), OperationEquivalence::directHashValue,
        OperationEquivalence::ignoreHashValue,
        OperationEquivalence::IgnoreLocations);
  }
  static bool isEqual(const Operation *a, const Operation *b) {
    if (a == b)
      return true;
    if (isMarker(a) || isMarker(b))
      return false;
    return OperationEquivalence::isEquivalentTo(
        const_cast<Operation *>(a), const_cast<Operation *>(b),
        OperationEquivalence::IgnoreLocations);
  }
  static bool isMarker(const Operation *op) {
    return op == getEmptyKey() || op == getTombstoneKey();
  }
};
} // namespace

// ---- Do it

namespace {
struct PrepareWeights : sinter::impl::PrepareWeightsBase<PrepareWeights> {
  void runOnOperation() override {
    ModelOp model = getOperation();
    SmallVector<func::FuncOp> functions;
    for (auto function : model.getBody().getOps<func::FuncOp>())
      if (function.front().getOps<WriteOp>().empty())
        functions.push_back(function);
    for (func::FuncOp function : functions) {
      SmallVector<Value> border =
          StateOnly(function.front()).findBorder(function.front());
      copies.clear();
      SmallVector<StateOp> states;
      for (Value value : border)
        states.push_back(derive(value));
      for (auto [value, state] : llvm::zip_equal(border, states))
        replace(value, state);
      eraseUnused(function.front());
    }
  }

  /// The derived state that holds `value`.
  StateOp derive(Value value) {
    if (!prepare)
      createPrepare(value.getLoc());
    Value made = make(value);
    StateOp &state = derived[made];
    if (!state) {
      OpBuilder builder(prepare);
      std::string name = (names::derived + Twine(derived.size() - 1)).str();
      ++numDerived;
      state = StateOp::create(builder, value.getLoc(), Role::Derived, name,
                              value.getType(), Init::Constant, APFloat(0.0f),
                              APFloat(0.0f), nullptr, nullptr);
      builder.setInsertionPoint(prepare.front().getTerminator());
      WriteOp::create(builder, value.getLoc(), name, made);
    }
    return state;
  }

  void createPrepare(Location loc) {
    OpBuilder builder =
        OpBuilder::atBlockEnd(&getOperation().getBody().front());
    prepare = func::FuncOp::create(builder, loc, names::prepare,
                                   builder.getFunctionType({}, {}));
    builder.setInsertionPointToStart(prepare.addEntryBlock());
    func::ReturnOp::create(builder, loc);
  }

  /// `value`, made in @prepare.
  Value make(Value value) {
    if (Value copy = copies.lookup(value))
      return copy;
    Operation *op = value.getDefiningOp();
    IRMapping operands;
    for (Value operand : op->getOperands())
      operands.map(operand, make(operand));
    Operation *copy = op->clone(operands);
    auto [known, isNew] = made.insert(copy);
    if (isNew)
      OpBuilder(prepare.front().getTerminator()).insert(copy);
    else
      copy->destroy();
    return copies[value] = (*known)->getResult(0);
  }

  void replace(Value value, StateOp state) {
    OpBuilder builder(value.getDefiningOp());
    value.replaceAllUsesWith(ReadOp::create(
        builder, value.getLoc(), value.getType(), state.getSymName()));
  }

  static void eraseUnused(Block &block) {
    SmallVector<Operation *> ops;
    for (Operation &op : block.without_terminator())
      ops.push_back(&op);
    for (Operation *op : llvm::reverse(ops))
      if (isOpTriviallyDead(op))
        op->erase();
  }

  func::FuncOp prepare;
  llvm::DenseSet<Operation *, SameValue> made;
  /// From values of the current function to those of @prepare.
  llvm::DenseMap<Value, Value> copies;
  llvm::DenseMap<Value, StateOp> derived;
};
} // namespace
