//===- FuseKernels.cpp - group ops into kernels --------------------------===//
//
// Problem: op by op, every intermediate goes through memory.
// Idea: visit ops in order and let each join a group that makes one of its
// operands, when the group's loop nest has a place for it; groups then become
// `sinter.kernel`s. A group is one of
//
//   matmul           y(n, m) tiles in registers; epilogue: elementwise on y
//   batch_matmul     each sample's matrices times each other; epilogue:
//                    elementwise on the products
//   weight_gradient  dW(k, m) tiles in registers; epilogue: elementwise on dW,
//                    which is where optimizer updates end up
//   sweep            a domain (batch, d...) or (d...): elementwise ops, and
//                    reductions over trailing dimensions, each of which costs
//                    one more loop over what it reduces
//   batch_reduce     sums over the batch of elementwise chains; epilogue:
//                    elementwise on the sums
//   conv             a convolution of images, or its transpose; epilogue:
//                    elementwise on the result, and sums over its rows; of one
//                    sample, pooling
//   winograd_conv    the same, with its scratch, and with its winograd_filter
//                    where that is better made a part at a time
//   filter_gradient  in the sweep that makes dy, where nobody else reads it and
//                    images have few channels; else alone
//   winograd_gradient  alone, or with its adjoint, where what is between would
//                    leave the cache; epilogue: elementwise on dW
//   winograd_filter  alone
//   scatter          embedding_gradient, alone
//   relayout         alone
//
// Sums over a batch of images are taken in two steps: over each row, where the
// image is made (in a conv's epilogue, or a sweep), lane by lane; then over
// rows and samples, a small batch_reduce. So batch statistics cost no pass of
// their own.
//
// A value that several groups read is stored, unless it is cheaper to compute
// it again from what is in memory anyway: batch normalisation before pooling
// is never stored at all.
//
// "May we?" (the can... functions) stands apart from "do it" (join, merge). The
// one rule that is not about loop nests: groups must not wait for each other.
//
// A write joins the group that makes its value, so that a weight is updated
// from registers, unless another kernel that needs the old weight would then
// have to run both before and after. Weakness: greedy; the first group that
// takes an op keeps it.
//
//===----------------------------------------------------------------------===//

#include "ir/Locations.h"
#include "ir/PoolGradient.h"
#include "ir/SweptGradient.h"
#include "ir/Winograd.h"
#include "passes/Names.h"
#include "passes/Passes.h"
#include "passes/Schedule.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Debug.h"

#define DEBUG_TYPE "sinter-fuse-kernels"

namespace sinter {
#define GEN_PASS_DEF_FUSEKERNELS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

//===----------------------------------------------------------------------===//
// What an op is to fusion
//===----------------------------------------------------------------------===//

/// The shape without trailing dimensions of size 1: where loops run.
static ArrayRef<int64_t> loopShape(RankedTensorType type) {
  ArrayRef<int64_t> shape = type.getShape();
  while (!shape.empty() && shape.back() == 1)
    shape = shape.drop_back();
  return shape;
}

/// A reshape that only adds or drops trailing 1s touches no element.
static bool isUnitReshape(Operation *op) {
  auto reshape = dyn_cast<ReshapeOp>(op);
  return reshape && loopShape(tensorTypeOf(reshape.getX())) ==
                        loopShape(tensorTypeOf(reshape.getResult()));
}

/// Marks a slice that shows a part of what is in memory.
static constexpr StringLiteral kView = "sinter.view";

static bool isView(Operation *op) {
  return (isa<ReshapeOp>(op) && !isUnitReshape(op)) || op->hasAttr(kView);
}

/// Each element of the result follows from single elements of the operands.
static bool isPointwise(Operation *op) {
  return op->hasTrait<Elementwise>() || op->hasTrait<Gathering>() ||
         isUnitReshape(op) ||
         isa<OneHotOp, EmbeddingOp, RandomUniformOp, RandomNormalOp>(op);
}

/// How often a gathering op asks for an element of its operand, about.
static int64_t gatherings(Operation *op) {
  if (isa<TransposeOp, SliceOp, PadOp, ConcatenateOp>(op))
    return 1;
  if (auto upsample = dyn_cast<UpsampleOp>(op))
    return upsample.getFactors()[0] * upsample.getFactors()[1];
  int64_t windows = 1, taps = 1;
  for (const WindowAxis &axis : poolWindowOf(op)) {
    windows *= (axis.taps + axis.stride - 1) / axis.stride;
    taps *= axis.taps;
  }
  // A gradient looks at all of the windows that a pixel is in.
  return isa<MaxPool2dGradientOp>(op) ? windows * taps : windows;
}

/// What it may cost to compute an operand again for each use of an element.
static constexpr int64_t kMostGatherings = 4;

static bool isContraction(Operation *op) {
  return isa<MatmulOp, BatchMatmulOp, Conv2dOp, Conv2dTransposeOp,
             Conv2dFilterGradientOp, WinogradConv2dOp,
             WinogradFilterGradientOp>(op);
}

/// A transposition of what batch_matmul kernels alone read: they do so where it
/// lies, if that leaves the lanes of one sample along the last axis.
static bool isReadInProducts(Operation *op) {
  auto transpose = dyn_cast<TransposeOp>(op);
  if (!transpose || transpose.getX().getDefiningOp<TransposeOp>())
    return false;
  ArrayRef<int64_t> order = transpose.getPermutation();
  bool keepsLast = order.back() + 1 == static_cast<int64_t>(order.size());
  bool hasSamplesInLanes = isBatchMinor(tensorTypeOf(transpose.getX()));
  return llvm::all_of(op->getUses(), [&](OpOperand &use) {
    auto product = dyn_cast<BatchMatmulOp>(use.getOwner());
    return product &&
           (hasSamplesInLanes || keepsLast || &use != &product.getBMutable());
  });
}

/// A transposition whose operand a batch_matmul kernel makes: it stores its
/// result transposed, again with the lanes of one sample along the last axis.
static bool isWrittenByProducts(Operation *op) {
  auto transpose = dyn_cast<TransposeOp>(op);
  if (!transpose)
    return false;
  ArrayRef<int64_t> order = transpose.getPermutation();
  return isBatchMinor(tensorTypeOf(transpose.getX())) ||
         order.back() + 1 == static_cast<int64_t>(order.size());
}

static bool isBatchReduce(Operation *op) {
  auto sum = dyn_cast<ReduceSumOp>(op);
  return sum && isBatched(sum.getX()) && sum.getAxes().front() == 0;
}

static bool isReduce(Operation *op) {
  return isa<ReduceSumOp, ReduceMaxOp, ArgMaxOp>(op) && !isBatchReduce(op) &&
         !isRowSum(op);
}

/// The state that `value` shows, itself or through views; or null.
static ReadOp stateBehind(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isView(op))
      return dyn_cast<ReadOp>(op);
    value = op->getOperand(0);
  }
  return {};
}

/// Is `value` in memory in any case: what a contraction made, or comes from
/// outside? Fusion puts elementwise ops behind a contraction.
static bool isStoredAnyway(Value value, int depth = 0) {
  constexpr int deepest = 8;
  Operation *op = value.getDefiningOp();
  if (!op || isa<RelayoutOp, ConcatenateOp>(op) || isContraction(op))
    return true;
  if (isView(op))
    return isStoredAnyway(op->getOperand(0), depth);
  return depth < deepest && op->hasTrait<Elementwise>() &&
         llvm::any_of(op->getOperands(), [&](Value operand) {
           Operation *producer = operand.getDefiningOp();
           return producer && operand.getType() == value.getType() &&
                  !isView(producer) && !isa<RelayoutOp>(producer) &&
                  isStoredAnyway(operand, depth + 1);
         });
}

/// Do the bytes of the slice lie together?
static bool isContiguous(SliceOp slice, bool oneSample) {
  RankedTensorType type = tensorTypeOf(slice.getX());
  ArrayRef<int64_t> before = type.getShape().slice(1, slice.getAxis() - 1);
  return (oneSample || isBatchMinor(type)) &&
         llvm::all_of(before, [](int64_t size) { return size == 1; });
}

/// A reduction that a sweep has a place for: of trailing features of each
/// sample, or of an unbatched tensor to a scalar. Others get a kernel each.
static bool isSweepReduce(Operation *op) {
  if (!isReduce(op))
    return false;
  RankedTensorType type = tensorTypeOf(op->getOperand(0));
  if (loopShape(type) == loopShape(tensorTypeOf(op->getResult(0))))
    return false; // of nothing but 1s: it has no loop to stand in
  if (isa<ArgMaxOp>(op))
    return isBatched(type) || type.getRank() == 1;
  ArrayRef<int64_t> axes = isa<ReduceSumOp>(op)
                               ? cast<ReduceSumOp>(op).getAxes()
                               : cast<ReduceMaxOp>(op).getAxes();
  int64_t count = axes.size();
  if (!isBatched(type))
    return count == type.getRank();
  return axes.back() == type.getRank() - 1 &&
         axes.back() - axes.front() + 1 == count;
}

namespace {
struct Group {
  KernelKind kind;
  llvm::SetVector<Operation *> ops;
  bool batched = false;
  /// The loops: all of them, and those outside of reductions.
  SmallVector<int64_t> full;
  std::optional<SmallVector<int64_t>> prefix;
  /// batch_reduce: the shape of the sums.
  SmallVector<int64_t> epilogue;
  /// Groups that must run before although this one uses none of their values.
  llvm::SmallDenseSet<Group *> after;
  bool isView = false;
  /// Takes no further op.
  bool isClosed = false;

  bool hasRowSums() const { return llvm::any_of(ops, isRowSum); }
  bool hasPooling() const {
    return llvm::any_of(ops, llvm::IsaPred<MaxPool2dOp, AvgPool2dOp>);
  }
  bool hasReductions() const { return llvm::any_of(ops, isReduce); }
};

/// Fuses one function.
class Fuser {
public:
  Fuser(func::FuncOp function, int64_t batchBound, bool fuse)
      : block(function.front()), batchBound(batchBound), fuse(fuse),
        oneSample(function->hasAttr(names::oneSample)) {}

  LogicalResult run();

  unsigned numKernels = 0, numFused = 0, numRecomputed = 0;

private:
  // ---- May we?
  bool canJoin(Group &group, Operation *op);
  bool canTakeShape(const Group &group, ArrayRef<int64_t> shape);
  bool canAbsorb(Group &into, Group &from);
  bool canWrite(Group &group, WriteOp write);
  bool canGather(const Group &group, Operation *op);
  bool canPool(const Group &group, Operation *op);
  bool canSweep(const Group &sweep, Conv2dFilterGradientOp op);
  SmallVector<Value> cheapChain(Value value);
  bool storedBy(Value value, const Group &group);

  // ---- Do it
  Group &create(KernelKind kind, Operation *op);
  void takeShape(Group &group, ArrayRef<int64_t> shape);
  void join(Group &group, Operation *op);
  void absorb(Group &into, Group &from);
  void place(Operation *op);
  void placeBatchReduce(ReduceSumOp op);
  void placeWrite(WriteOp op);
  void reshapeSumsOfOne();
  void chooseSliceViews();
  void splitImageSums();
  void chooseRecomputed();
  void materialize(Operation *op, OpBuilder &inside, IRMapping &mapping,
                   const llvm::DenseMap<Value, Value> &stored);
  void copySharedResults();
  LogicalResult emit();
  void emitKernel(Group &group, OpBuilder &builder,
                  llvm::DenseMap<Value, Value> &stored);

  // ---- The graph of groups
  Group *groupOf(Value value) const {
    Operation *op = value.getDefiningOp();
    return op ? groups.lookup(op) : nullptr;
  }
  llvm::SmallSetVector<Group *, 8> dependencies(Group &group) const;
  /// Does `last` wait for `first`, directly or not?
  bool waits(Group &last, const Group &first) const;
  bool waitsThroughOthers(Group &last, Group &first) const;
  SmallVector<Group *> readersOf(StringRef state) const;
  bool readsAgain(Value value, StringRef state) const;

  Block &block;
  const int64_t batchBound;
  const bool fuse, oneSample;
  std::vector<std::unique_ptr<Group>> storage;
  llvm::DenseMap<Operation *, Group *> groups;
  llvm::DenseMap<Operation *, unsigned> position;
  /// Values that every group makes for itself.
  llvm::DenseSet<Value> recomputed;
};
} // namespace

//===----------------------------------------------------------------------===//
// The graph of groups
//===----------------------------------------------------------------------===//

llvm::SmallSetVector<Group *, 8> Fuser::dependencies(Group &group) const {
  llvm::SmallSetVector<Group *, 8> result;
  auto add = [&](auto self, Operation *op) -> void {
    for (Value operand : op->getOperands()) {
      Group *other = groupOf(operand);
      if (!other || other == &group)
        continue;
      if (recomputed.contains(operand))
        self(self, operand.getDefiningOp());
      else
        result.insert(other);
    }
  };
  for (Operation *op : group.ops)
    add(add, op);
  for (Group *other : group.after)
    result.insert(other);
  return result;
}

bool Fuser::waits(Group &last, const Group &first) const {
  SmallVector<Group *> stack = {&last};
  llvm::SmallPtrSet<Group *, 16> seen;
  while (!stack.empty()) {
    Group *group = stack.pop_back_val();
    if (group == &first)
      return true;
    if (seen.insert(group).second)
      llvm::append_range(stack, dependencies(*group));
  }
  return false;
}

bool Fuser::waitsThroughOthers(Group &last, Group &first) const {
  return llvm::any_of(dependencies(last), [&](Group *between) {
    return between != &first && waits(*between, first);
  });
}

SmallVector<Group *> Fuser::readersOf(StringRef state) const {
  llvm::SmallSetVector<Group *, 4> readers;
  SmallVector<Value> values; // the state, and views of it
  for (ReadOp read : block.getOps<ReadOp>())
    if (read.getState() == state)
      values.push_back(read);
  llvm::SmallDenseSet<Operation *> seen;
  while (!values.empty())
    for (Operation *user : values.pop_back_val().getUsers()) {
      if (!seen.insert(user).second)
        continue;
      bool isMadeAgain =
          user->getNumResults() == 1 && recomputed.contains(user->getResult(0));
      if (isView(user) || isMadeAgain)
        values.push_back(user->getResult(0));
      if (Group *group = groups.lookup(user); group && !isView(user))
        readers.insert(group);
    }
  return readers.takeVector();
}

//===----------------------------------------------------------------------===//
// May we?
//===----------------------------------------------------------------------===//

static bool isPrefix(ArrayRef<int64_t> shorter, ArrayRef<int64_t> longer) {
  return shorter.size() < longer.size() &&
         longer.take_front(shorter.size()) == shorter;
}

/// A sweep has one full loop nest and at most one outer part of it.
bool Fuser::canTakeShape(const Group &group, ArrayRef<int64_t> shape) {
  ArrayRef<int64_t> full = group.full;
  if (shape == full)
    return true;
  if (group.hasRowSums())
    return false;
  if (isPrefix(shape, full))
    return !group.prefix || ArrayRef(*group.prefix) == shape;
  return isPrefix(full, shape) && !group.prefix;
}

bool Fuser::canJoin(Group &group, Operation *op) {
  if (group.isClosed || !fuse)
    return false;
  RankedTensorType type = tensorTypeOf(op->getResult(0));
  bool fits = false;
  switch (group.kind) {
  case KernelKind::BatchMatmul:
    if (isWrittenByProducts(op)) {
      fits = true;
      break;
    }
    [[fallthrough]];
  case KernelKind::Matmul:
  case KernelKind::WeightGradient:
  case KernelKind::WinogradGradient: // with its adjoint: alone, it is closed
    fits =
        op->hasTrait<Elementwise>() && type.getShape() == ArrayRef(group.full);
    break;
  case KernelKind::Conv:
  case KernelKind::WinogradConv:
    fits =
        (op->hasTrait<Elementwise>() &&
         type.getShape() == ArrayRef(group.full)) ||
        (isRowSum(op) && !group.hasPooling() &&
         tensorTypeOf(op->getOperand(0)).getShape() == ArrayRef(group.full)) ||
        canPool(group, op);
    break;
  case KernelKind::Sweep: {
    if (isRowSum(op)) {
      RankedTensorType domain = tensorTypeOf(op->getOperand(0));
      fits = group.batched && !group.prefix && !group.hasReductions() &&
             loopShape(domain) == ArrayRef(group.full);
      break;
    }
    if (!isPointwise(op) && !isSweepReduce(op))
      return false;
    if (op->hasTrait<Gathering>() && !canGather(group, op))
      return false;
    RankedTensorType domain =
        isPointwise(op) ? type : tensorTypeOf(op->getOperand(0));
    fits = isBatched(domain) == group.batched &&
           canTakeShape(group, loopShape(domain));
    if (fits && isSweepReduce(op))
      fits = loopShape(domain) == ArrayRef(group.full) &&
             (!group.prefix || ArrayRef(*group.prefix) == loopShape(type));
    break;
  }
  case KernelKind::BatchReduce:
    fits = op->hasTrait<Elementwise>() && !isBatched(type) &&
           type.getShape() == ArrayRef(group.epilogue);
    break;
  case KernelKind::FilterGradient: // one in a sweep: alone, it is closed
    fits = isRowSum(op) &&
           loopShape(tensorTypeOf(op->getOperand(0))) == ArrayRef(group.full);
    break;
  case KernelKind::WinogradFilter:
  case KernelKind::Scatter:
  case KernelKind::Relayout:
    break;
  }
  // A row's sum is complete when the row is; what a product stores transposed
  // has other points than it.
  for (Value operand : op->getOperands()) {
    bool isTransposed = group.kind == KernelKind::BatchMatmul &&
                        operand.getDefiningOp<TransposeOp>();
    bool isApart = isRowSum(operand.getDefiningOp()) || isTransposed;
    fits &= !(isApart && groupOf(operand) == &group);
  }
  if (!fits)
    return false;
  // Nothing that the op needs may wait for the group.
  return llvm::none_of(op->getOperands(), [&](Value operand) {
    Group *other = groupOf(operand);
    return other && other != &group && waits(*other, group);
  });
}

/// May `sweep` take the filter gradient whose dy it makes, and no longer store
/// dy? Only if nobody else reads it but sums over rows, which join, too.
bool Fuser::canSweep(const Group &sweep, Conv2dFilterGradientOp op) {
  Value dy = op.getDy();
  if (!fuse || !canSweepGradient(op) || sweep.kind != KernelKind::Sweep ||
      sweep.isView || sweep.isClosed || !sweep.batched || sweep.prefix ||
      sweep.hasReductions() ||
      loopShape(tensorTypeOf(dy)) != ArrayRef(sweep.full) ||
      sweep.full.size() != 4)
    return false;
  bool isRead = llvm::any_of(dy.getUsers(), [&](Operation *user) {
    return user != op && !isRowSum(user) && !sweep.ops.contains(user);
  });
  Group *image = groupOf(op.getX());
  return !isRead && (!image || !waits(*image, sweep));
}

/// May `group` compute what `op` asks for at other points than its own? A
/// reduction's result is known at the current point alone.
bool Fuser::canGather(const Group &group, Operation *op) {
  bool inside = llvm::any_of(op->getOperands(), [&](Value operand) {
    return groupOf(operand) == &group;
  });
  return !inside ||
         (!group.hasReductions() && gatherings(op) <= kMostGatherings);
}

/// May the kernel of a convolution of one sample store what pooling makes of
/// its image, and not the image? It pools as soon as some rows are made, which
/// stay in the first cache: windows neither overlap nor reach beyond the image.
bool Fuser::canPool(const Group &group, Operation *op) {
  if (!oneSample || !isa<MaxPool2dOp, AvgPool2dOp>(op) ||
      groupOf(op->getOperand(0)) != &group || group.hasRowSums() ||
      group.hasPooling())
    return false;
  // A small image is one tile.
  constexpr int64_t smallImage = 16, mostPixels = 256;
  Window window = poolWindowOf(op);
  const auto &[down, across] = window;
  bool isApart = llvm::all_of(window, [](const WindowAxis &axis) {
    return axis.taps == axis.stride && axis.taps <= 2 && axis.low == 0 &&
           axis.windows() * axis.stride <= axis.pixels;
  });
  // The emitter knows dimensions of size 1 by the index 0 alone.
  auto isLong = [](int64_t size) { return size != 1; };
  bool isPlain = llvm::all_of(
      tensorTypeOf(op->getResult(0)).getShape().drop_front(), isLong);
  bool isRead = llvm::any_of(group.ops, [&](Operation *inside) {
    return llvm::any_of(inside->getUsers(), [&](Operation *user) {
      return user != op && !group.ops.contains(user);
    });
  });
  return isApart && isPlain && !isRead &&
         down.pixels * across.pixels > smallImage &&
         down.taps * across.pixels <= mostPixels;
}

/// May the ops of `from` move into `into`?
bool Fuser::canAbsorb(Group &into, Group &from) {
  if (from.kind != KernelKind::Sweep || from.isView || from.isClosed ||
      from.batched != into.batched || !fuse)
    return false;
  if (into.kind == KernelKind::Matmul || into.kind == KernelKind::BatchMatmul ||
      into.kind == KernelKind::Conv || into.kind == KernelKind::WinogradConv ||
      into.kind == KernelKind::WeightGradient ||
      into.kind == KernelKind::WinogradGradient) {
    bool plain = llvm::all_of(from.ops, [&](Operation *op) {
      return (op->hasTrait<Elementwise>() ||
              isa<RandomUniformOp, RandomNormalOp>(op)) &&
             tensorTypeOf(op->getResult(0)).getShape() == ArrayRef(into.full);
    });
    if (!plain)
      return false;
    // Operands of the contraction are read in another order: from memory.
    bool feedsContraction = llvm::any_of(into.ops, [&](Operation *op) {
      return isContraction(op) &&
             llvm::any_of(op->getOperands(), [&](Value operand) {
               return groupOf(operand) == &from;
             });
    });
    if (feedsContraction)
      return false;
  } else if (into.kind == KernelKind::Sweep) {
    if (!canTakeShape(into, from.full) ||
        (from.prefix && ArrayRef(from.full) != ArrayRef(into.full)) ||
        (from.prefix && into.prefix && *from.prefix != *into.prefix))
      return false;
    bool gathers = llvm::any_of(
        into.ops, [](Operation *op) { return op->hasTrait<Gathering>(); });
    bool sumsRows = into.hasRowSums() || from.hasRowSums();
    if (gathers || (sumsRows && (ArrayRef(from.full) != ArrayRef(into.full) ||
                                 from.prefix || into.prefix)))
      return false;
  } else {
    return false;
  }
  return !waitsThroughOthers(into, from) && !waitsThroughOthers(from, into);
}

/// Does making `value` again read `state`?
bool Fuser::readsAgain(Value value, StringRef state) const {
  return recomputed.contains(value) &&
         llvm::any_of(value.getDefiningOp()->getOperands(), [&](Value operand) {
           ReadOp read = stateBehind(operand);
           return (read && read.getState() == state) ||
                  readsAgain(operand, state);
         });
}

bool Fuser::canWrite(Group &group, WriteOp write) {
  ArrayRef<int64_t> shape = tensorTypeOf(write.getValue()).getShape();
  if (group.isClosed && group.kind != KernelKind::WinogradFilter)
    return false;
  switch (group.kind) {
  case KernelKind::WeightGradient:
  case KernelKind::WinogradGradient:
    if (shape != ArrayRef(group.full))
      return false;
    break;
  case KernelKind::BatchReduce:
    if (shape != ArrayRef(group.epilogue))
      return false;
    break;
  case KernelKind::Sweep:
    // What lies outside of the inner loops may be stored more than once.
    if (group.batched ||
        loopShape(tensorTypeOf(write.getValue())) != ArrayRef(group.full))
      return false;
    break;
  case KernelKind::Matmul:
  case KernelKind::BatchMatmul:
  case KernelKind::Conv:
  case KernelKind::FilterGradient:
  case KernelKind::WinogradConv:
  case KernelKind::Scatter:
  case KernelKind::Relayout:
    return false;
  case KernelKind::WinogradFilter:
    break;
  }
  // The kernel reads the state only where it is about to write it.
  for (Operation *op : group.ops)
    for (Value operand : op->getOperands())
      if (ReadOp read = stateBehind(operand))
        if (read.getState() == write.getState() &&
            !(operand == read && op->hasTrait<Elementwise>() &&
              tensorTypeOf(op->getResult(0)).getShape() == shape))
          return false;
  // ... which what it makes again may not do.
  for (Operation *op : group.ops)
    for (Value operand : op->getOperands())
      if (groupOf(operand) != &group && readsAgain(operand, write.getState()))
        return false;
  // All other readers can run before.
  return llvm::none_of(readersOf(write.getState()), [&](Group *reader) {
    return reader != &group && waits(*reader, group);
  });
}

//===----------------------------------------------------------------------===//
// Do it
//===----------------------------------------------------------------------===//

Group &Fuser::create(KernelKind kind, Operation *op) {
  storage.push_back(std::make_unique<Group>());
  Group &group = *storage.back();
  group.kind = kind;
  group.ops.insert(op);
  groups[op] = &group;
  return group;
}

void Fuser::takeShape(Group &group, ArrayRef<int64_t> shape) {
  if (shape == ArrayRef(group.full))
    return;
  if (isPrefix(shape, group.full)) {
    group.prefix = SmallVector<int64_t>(shape);
  } else {
    group.prefix = group.full;
    group.full.assign(shape.begin(), shape.end());
  }
}

void Fuser::join(Group &group, Operation *op) {
  if (isa<MaxPool2dOp, AvgPool2dOp>(op) && group.kind != KernelKind::Sweep)
    group.full.assign(tensorTypeOf(op->getResult(0)).getShape());
  if (group.kind == KernelKind::Sweep && !isRowSum(op)) {
    if (isSweepReduce(op))
      takeShape(group, loopShape(tensorTypeOf(op->getOperand(0))));
    takeShape(group, loopShape(tensorTypeOf(op->getResult(0))));
  }
  group.ops.insert(op);
  groups[op] = &group;
  ++numFused;
}

void Fuser::absorb(Group &into, Group &from) {
  if (into.kind == KernelKind::Sweep) {
    takeShape(into, from.full);
    if (from.prefix)
      into.prefix = from.prefix;
  }
  for (Operation *op : from.ops) {
    into.ops.insert(op);
    groups[op] = &into;
  }
  into.after.insert(from.after.begin(), from.after.end());
  from.ops.clear();
  for (auto &group : storage)
    if (group->after.erase(&from))
      group->after.insert(&into);
}

/// Sums over the batch: joins a pure elementwise chain that makes its operand,
/// or a batch reduction of the same domain, or starts one.
void Fuser::placeBatchReduce(ReduceSumOp op) {
  RankedTensorType domain = tensorTypeOf(op.getX());
  RankedTensorType sums = tensorTypeOf(op.getResult());
  Group *producer = groupOf(op.getX());
  if (fuse && producer && producer->kind == KernelKind::Sweep &&
      !producer->isView && !producer->isClosed && !producer->prefix &&
      !producer->hasRowSums() &&
      domain.getShape() == ArrayRef(producer->full)) {
    producer->kind = KernelKind::BatchReduce;
    producer->epilogue.assign(sums.getShape().begin(), sums.getShape().end());
    producer->ops.insert(op);
    groups[op] = producer;
    ++numFused;
    return;
  }
  for (auto &group : storage)
    if (fuse && group->kind == KernelKind::BatchReduce && !group->ops.empty() &&
        domain.getShape() == ArrayRef(group->full) &&
        sums.getShape() == ArrayRef(group->epilogue) &&
        !(producer && producer != group.get() && waits(*producer, *group))) {
      group->ops.insert(op);
      groups[op] = group.get();
      ++numFused;
      return;
    }
  Group &group = create(KernelKind::BatchReduce, op);
  group.batched = true;
  group.full.assign(domain.getShape().begin(), domain.getShape().end());
  group.epilogue.assign(sums.getShape().begin(), sums.getShape().end());
}

void Fuser::place(Operation *op) {
  if (auto matmul = dyn_cast<MatmulOp>(op)) {
    bool batched = isBatched(matmul.getResult());
    Group &group =
        create(batched ? KernelKind::Matmul : KernelKind::WeightGradient, op);
    group.batched = batched;
    group.full.assign(tensorTypeOf(matmul.getResult()).getShape());
    return;
  }
  if (isa<BatchMatmulOp>(op)) {
    Group &group = create(KernelKind::BatchMatmul, op);
    group.batched = true;
    group.full.assign(tensorTypeOf(op->getResult(0)).getShape());
    return;
  }
  if (isReadInProducts(op)) {
    create(KernelKind::Sweep, op).isClosed = true;
    return;
  }
  if (isa<Conv2dOp, Conv2dTransposeOp, WinogradConv2dOp>(op)) {
    Group &group = create(isa<WinogradConv2dOp>(op) ? KernelKind::WinogradConv
                                                    : KernelKind::Conv,
                          op);
    group.batched = true;
    group.full.assign(tensorTypeOf(op->getResult(0)).getShape());
    auto conv = dyn_cast<WinogradConv2dOp>(op);
    if (WinogradFilterOp filter =
            conv ? filterMadeBy(conv, batchBound) : nullptr)
      join(group, filter);
    return;
  }
  auto filter = dyn_cast<WinogradFilterOp>(op);
  if (filter && isMadeByReader(filter, batchBound))
    return; // which it joins
  if (auto gradient = dyn_cast<Conv2dFilterGradientOp>(op)) {
    Group *sweep = groupOf(gradient.getDy());
    if (sweep && canSweep(*sweep, gradient)) {
      sweep->kind = KernelKind::FilterGradient;
      join(*sweep, op);
      return;
    }
    create(KernelKind::FilterGradient, op).isClosed = true;
    return;
  }
  if (auto adjoint = dyn_cast<WinogradFilterAdjointOp>(op)) {
    auto gradient = adjoint.getU().getDefiningOp<WinogradFilterGradientOp>();
    if (fuse && gradient && gradient->hasOneUse() &&
        canTakeAdjoint(gradient, batchBound)) {
      Group &group = *groupOf(gradient);
      group.isClosed = false;
      group.full.assign(tensorTypeOf(adjoint.getResult()).getShape());
      return join(group, op);
    }
  }
  if (isa<WinogradFilterOp, WinogradFilterAdjointOp>(op)) {
    create(KernelKind::WinogradFilter, op).isClosed = true;
    return;
  }
  if (isa<WinogradFilterGradientOp>(op)) {
    create(KernelKind::WinogradGradient, op).isClosed = true;
    return;
  }
  if (isa<EmbeddingGradientOp>(op)) {
    create(KernelKind::Scatter, op).isClosed = true;
    return;
  }
  if (isa<RelayoutOp>(op)) {
    create(KernelKind::Relayout, op).batched = true;
    return;
  }
  if (isView(op)) {
    create(KernelKind::Sweep, op).isView = true;
    return;
  }
  if (isBatchReduce(op))
    return placeBatchReduce(cast<ReduceSumOp>(op));
  if (isReduce(op) && !isSweepReduce(op)) {
    create(KernelKind::Sweep, op).isClosed = true;
    return;
  }

  // The latest producer first: fusing with it leaves most freedom.
  llvm::SmallSetVector<Group *, 4> producers;
  for (Value operand : op->getOperands())
    if (Group *group = groupOf(operand); group && !group->isView)
      producers.insert(group);
  // The pooling beside it compares the same pixels.
  if (auto gather = dyn_cast<MaxPool2dGatherOp>(op))
    for (Operation *user : gather.getX().getUsers())
      if (Group *group = groups.lookup(user); group && isa<MaxPool2dOp>(user))
        producers.insert(group);
  SmallVector<Group *> candidates = producers.takeVector();
  llvm::stable_sort(candidates, [&](Group *a, Group *b) {
    auto rank = [](Group *g) { return g->kind == KernelKind::Sweep; };
    return rank(a) < rank(b); // epilogues before sweeps
  });
  Group *home = nullptr;
  for (Group *candidate : candidates)
    if (canJoin(*candidate, op)) {
      home = candidate;
      join(*home, op);
      break;
    }
  if (!home) {
    home = &create(KernelKind::Sweep, op);
    RankedTensorType type = tensorTypeOf(op->getResult(0));
    home->batched = isBatched(type);
    if (isRowSum(op)) {
      home->full.assign(loopShape(tensorTypeOf(op->getOperand(0))));
    } else if (isSweepReduce(op)) {
      home->batched = isBatched(op->getOperand(0));
      home->full.assign(loopShape(tensorTypeOf(op->getOperand(0))));
      takeShape(*home, loopShape(type));
    } else {
      home->full.assign(loopShape(type));
    }
  }
  for (Group *candidate : candidates)
    if (candidate != home && canAbsorb(*home, *candidate)) {
      ++numFused;
      absorb(*home, *candidate);
    }
}

void Fuser::placeWrite(WriteOp op) {
  Group *home = groupOf(op.getValue());
  if (home && !home->isView && canWrite(*home, op)) {
    home->ops.insert(op);
    groups[op] = home;
    ++numFused;
  } else {
    LLVM_DEBUG(llvm::dbgs() << "copies into @" << op.getState() << '\n');
    home = groups.lookup(op);
    if (!home)
      home = &create(KernelKind::Sweep, op);
    home->full.assign(loopShape(tensorTypeOf(op.getValue())));
  }
  for (Group *reader : readersOf(op.getState()))
    if (reader != home)
      home->after.insert(reader);
}

/// A reduction over axes of size 1 changes the shape alone.
void Fuser::reshapeSumsOfOne() {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (!isa<ReduceSumOp, ReduceMaxOp>(op) || isBatchReduce(&op))
      continue;
    Value x = op.getOperand(0), result = op.getResult(0);
    if (featureCount(tensorTypeOf(x)) != featureCount(tensorTypeOf(result)))
      continue;
    OpBuilder builder(&op);
    result.replaceAllUsesWith(
        ReshapeOp::create(builder, op.getLoc(), result.getType(), x));
    op.erase();
  }
}

/// Sums over images, of a batch or each: over each row first.
void Fuser::splitImageSums() {
  SmallVector<ReduceSumOp> sums(block.getOps<ReduceSumOp>());
  for (ReduceSumOp sum : sums) {
    RankedTensorType type = tensorTypeOf(sum.getX());
    ArrayRef<int64_t> axes = sum.getAxes();
    bool overImages = isBatched(type) && type.getRank() == 4 &&
                      !sum.getKeepDims() && axes.size() > 1 &&
                      axes.back() == 2 && axes[axes.size() - 2] == 1;
    if (!overImages)
      continue;
    OpBuilder builder(sum);
    Value rows = ReduceSumOp::create(builder, sum.getLoc(), sum.getX(),
                                     ArrayRef<int64_t>{2}, false);
    sum.getXMutable().assign(rows);
    sum.setAxes(SmallVector<int64_t>(axes.drop_back()));
  }
}

//===----------------------------------------------------------------------===//
// Stored, or computed again
//===----------------------------------------------------------------------===//

/// A handful of instructions.
static bool isCheap(Operation *op) {
  return isa<AddOp, SubOp, MulOp, MaximumOp, MinimumOp, GreaterOp, EqualOp,
             SelectOp, NegOp, AbsOp, BroadcastOp>(op) ||
         isUnitReshape(op) ||
         (isa<MaxPool2dGradientOp>(op) && gatherings(op) <= kMostGatherings);
}

/// Is each pixel of `op`'s image asked for a few times only?
static bool searchesOnce(Operation *op, int64_t batchBound) {
  auto gradient = dyn_cast<MaxPool2dGradientOp>(op);
  if (!gradient)
    return false;
  int64_t channels = tensorTypeOf(gradient.getX()).getShape().back();
  return remembersMaxima(poolWindowOf(op), channels * paddedBatch(batchBound));
}

/// Does `use` need its operand in memory?
static bool needsMemory(OpOperand &use, int64_t batchBound) {
  Operation *user = use.getOwner();
  if (isView(user) || isReadInProducts(user))
    return true;
  if (auto embedding = dyn_cast<EmbeddingOp>(user))
    return &use == &embedding.getTableMutable();
  if (user->hasTrait<Gathering>())
    return gatherings(user) > kMostGatherings &&
           !searchesOnce(user, batchBound);
  return !isPointwise(user) && !isSweepReduce(user) && !isRowSum(user) &&
         !isBatchReduce(user);
}

/// The ops that make `value` from what is in memory, if that costs no more than
/// reading it: few and cheap, with at most one operand of its size. Otherwise
/// nothing.
SmallVector<Value> Fuser::cheapChain(Value value) {
  RankedTensorType type = tensorTypeOf(value);
  if (!isBatched(type) && type.getRank() > 0)
    return {}; // a weight's size
  constexpr unsigned most = 12;
  SmallVector<Value> chain = {value};
  llvm::SmallDenseSet<Value> large;
  for (unsigned i = 0; i < chain.size(); ++i) {
    Operation *op = chain[i].getDefiningOp();
    if (!isCheap(op) || chain.size() > most)
      return {};
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if ((producer && isLeaf(producer)) || llvm::is_contained(chain, operand))
        continue;
      Group *group = groupOf(operand);
      bool isMade = group && !group->isView && !storedBy(operand, *group);
      if (isMade && llvm::any_of(operand.getUsers(), llvm::IsaPred<WriteOp>))
        return {};
      RankedTensorType from = tensorTypeOf(operand);
      if (isMade)
        chain.push_back(operand);
      else if (isBatched(from) && 2 * featureCount(from) > featureCount(type))
        large.insert(operand);
    }
  }
  if (large.size() > 1)
    return {};
  return chain;
}

/// Would `group` store `value`, as things stand?
bool Fuser::storedBy(Value value, const Group &group) {
  return !recomputed.contains(value) &&
         llvm::any_of(value.getUsers(), [&](Operation *user) {
           bool isPlaced = !isa<WriteOp>(user) || groups.contains(user);
           return isPlaced && !group.ops.contains(user);
         });
}

void Fuser::chooseRecomputed() {
  for (Operation &op : block.without_terminator()) {
    Group *group = groups.lookup(&op);
    if (!group || group->isView || op.getNumResults() != 1)
      continue;
    Value value = op.getResult(0);
    if (isReadInProducts(&op)) {
      recomputed.insert(value);
      ++numRecomputed;
      continue;
    }
    if (!storedBy(value, *group) ||
        llvm::any_of(value.getUses(), [&](OpOperand &use) {
          return needsMemory(use, batchBound);
        }))
      continue;
    SmallVector<Value> chain = cheapChain(value);
    recomputed.insert(chain.begin(), chain.end());
    numRecomputed += chain.empty() ? 0 : 1;
  }
}

/// Every result of the function gets memory of its own: one that is a leaf, an
/// argument, or returned twice is copied.
void Fuser::copySharedResults() {
  Operation *terminator = block.getTerminator();
  OpBuilder builder(terminator);
  llvm::SmallDenseSet<Value> seen;
  for (OpOperand &use : terminator->getOpOperands()) {
    Value value = use.get();
    Operation *producer = value.getDefiningOp();
    bool owned = producer && !isLeaf(producer) && !isView(producer);
    if (owned && seen.insert(value).second)
      continue;
    if (auto relayout = value.getDefiningOp<RelayoutOp>())
      use.set(builder.clone(*relayout)->getResult(0));
    else
      use.set(
          BroadcastOp::create(builder, value.getLoc(), value.getType(), value));
  }
}

/// A slice whose bytes lie together in what is in memory anyway takes no
/// kernel, and kernels that read different ones are of one form.
void Fuser::chooseSliceViews() {
  const bool oneSample = block.getParentOp()->hasAttr(names::oneSample);
  for (SliceOp slice : block.getOps<SliceOp>())
    if (isContiguous(slice, oneSample) && isStoredAnyway(slice.getX()))
      slice->setAttr(kView, UnitAttr::get(slice.getContext()));
}

LogicalResult Fuser::run() {
  reshapeSumsOfOne();
  chooseSliceViews();
  splitImageSums();
  copySharedResults();
  for (auto [i, op] : llvm::enumerate(block))
    position[&op] = i;
  for (Operation &op : block.without_terminator())
    if (!isLeaf(&op) && !isa<WriteOp>(op))
      place(&op);
  // A write of another state reads that state: known before any is placed.
  for (WriteOp write : block.getOps<WriteOp>())
    if (!groupOf(write.getValue()))
      create(KernelKind::Sweep, write);
  // What is made again reads states again, and a write waits for that.
  if (fuse)
    chooseRecomputed();
  for (WriteOp write : block.getOps<WriteOp>())
    placeWrite(write);
  return emit();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// "hidden: matmul+add+maximum"; "hidden: matmul+update" if it writes states.
static std::string kernelName(ArrayRef<Operation *> ops) {
  constexpr size_t most = 5;
  SmallVector<StringRef> parts;
  for (Operation *op : ops)
    if (!isa<WriteOp>(op))
      parts.push_back(op->getName().stripDialect());
  if (parts.empty())
    parts.push_back("copy");
  if (llvm::any_of(ops, [](Operation *op) { return isa<WriteOp>(op); })) {
    parts.resize(1);
    parts.push_back("update");
  } else if (parts.size() > most) {
    parts.resize(most);
    parts.push_back("...");
  }
  StringRef layer = layerName(ops.front()->getLoc());
  return (layer.empty() ? "" : layer.str() + ": ") + llvm::join(parts, "+");
}

/// Gives each operand of `op` a value inside of the kernel.
void Fuser::materialize(Operation *op, OpBuilder &inside, IRMapping &mapping,
                        const llvm::DenseMap<Value, Value> &stored) {
  for (Value operand : op->getOperands()) {
    if (mapping.contains(operand))
      continue;
    Operation *producer = operand.getDefiningOp();
    if (producer && isLeaf(producer)) {
      inside.clone(*producer, mapping);
    } else if (recomputed.contains(operand)) {
      materialize(producer, inside, mapping, stored);
      inside.clone(*producer, mapping);
    } else if (Value memory = stored.lookup(operand)) {
      mapping.map(operand, memory);
    }
  }
}

void Fuser::emitKernel(Group &group, OpBuilder &builder,
                       llvm::DenseMap<Value, Value> &stored) {
  SmallVector<Operation *> ops(group.ops.begin(), group.ops.end());
  llvm::sort(ops, [&](Operation *a, Operation *b) {
    return position[a] < position[b];
  });
  // What somebody outside reads is stored.
  SmallVector<Value> results;
  bool writes = false;
  for (Operation *op : ops) {
    writes |= isa<WriteOp>(op);
    for (Value result : op->getResults())
      if (storedBy(result, group))
        results.push_back(result);
  }
  if (results.empty() && !writes)
    return; // its readers make everything themselves

  Operation *root = ops.front();
  for (Operation *op : ops)
    if (isContraction(op))
      root = op;
  SmallVector<Operation *> nameOrder = {root};
  for (Operation *op : ops)
    if (op != root && !(isContraction(root) && position[op] < position[root]))
      nameOrder.push_back(op);
  SmallVector<Type> types(ValueRange(results).getTypes());
  // Swept: dy is made here.
  auto gradient = dyn_cast<Conv2dFilterGradientOp>(root);
  bool isSwept = gradient && groupOf(gradient.getDy()) == &group;
  bool takesAdjoint =
      llvm::any_of(ops, llvm::IsaPred<WinogradFilterAdjointOp>) &&
      isa<WinogradFilterGradientOp>(root);
  RankedTensorType scratch =
      scratchOf(root, batchBound, isSwept || takesAdjoint);
  if (scratch)
    types.push_back(scratch);
  auto kernel = KernelOp::create(builder, root->getLoc(), types,
                                 kernelName(nameOrder), group.kind, nullptr);
  Block *body = &kernel.getBody().emplaceBlock();
  OpBuilder inside = OpBuilder::atBlockEnd(body);
  IRMapping mapping;
  for (Operation *op : ops) {
    materialize(op, inside, mapping, stored);
    inside.clone(*op, mapping);
  }
  SmallVector<Value> yielded;
  for (Value result : results)
    yielded.push_back(mapping.lookup(result));
  if (scratch)
    yielded.push_back(ScratchOp::create(inside, root->getLoc(), scratch));
  YieldOp::create(inside, root->getLoc(), yielded);
  for (auto [result, memory] : llvm::zip(results, kernel.getResults()))
    stored[result] = memory;
  ++numKernels;
}

LogicalResult Fuser::emit() {
  // Topological order; among the ready, the one that began first.
  SmallVector<Group *> waiting;
  for (auto &group : storage)
    if (!group->ops.empty())
      waiting.push_back(group.get());
  auto start = [&](Group *group) {
    unsigned first = ~0u;
    for (Operation *op : group->ops)
      first = std::min(first, position[op]);
    return first;
  };
  llvm::stable_sort(waiting,
                    [&](Group *a, Group *b) { return start(a) < start(b); });

  Operation *terminator = block.getTerminator();
  OpBuilder builder(terminator);
  SmallVector<Operation *> old;
  for (Operation &op : block.without_terminator())
    old.push_back(&op);

  llvm::DenseMap<Value, Value> stored;
  llvm::SmallPtrSet<Group *, 16> done;
  while (!waiting.empty()) {
    auto next = llvm::find_if(waiting, [&](Group *group) {
      return llvm::all_of(dependencies(*group),
                          [&](Group *other) { return done.contains(other); });
    });
    if (next == waiting.end())
      return waiting.front()->ops.front()->emitError(
          "expected states that can be written in some order, got updates that "
          "wait for each other");
    Group *group = *next;
    waiting.erase(next);
    done.insert(group);
    if (group->isView) {
      Operation *view = group->ops.front();
      Value shown = view->getOperand(0), memory = stored.lookup(shown);
      // A view of a leaf: the leaf stands at the top level.
      if (!memory && shown.getDefiningOp())
        memory = builder.clone(*shown.getDefiningOp())->getResult(0);
      IRMapping mapping;
      mapping.map(shown, memory ? memory : shown);
      Operation *copy = builder.clone(*view, mapping);
      copy->removeAttr(kView);
      stored[view->getResult(0)] = copy->getResult(0);
    } else {
      emitKernel(*group, builder, stored);
    }
  }
  for (OpOperand &use : terminator->getOpOperands())
    if (Value memory = stored.lookup(use.get()))
      use.set(memory);
  for (Operation *op : llvm::reverse(old))
    op->erase();
  return success();
}

namespace {
struct FuseKernels : sinter::impl::FuseKernelsBase<FuseKernels> {
  using FuseKernelsBase::FuseKernelsBase;

  void runOnOperation() override {
    for (auto function : getOperation().getBody().getOps<func::FuncOp>()) {
      Fuser fuser(function, batchBoundOf(function), fuse);
      if (failed(fuser.run()))
        return signalPassFailure();
      numKernels += fuser.numKernels;
      numFused += fuser.numFused;
      numRecomputed += fuser.numRecomputed;
    }
  }
};
} // namespace
