//===- LowerSampleSweep.cpp - sweeps over one sample ---------------------===//
//
// The domain is that of LowerSweep.cpp, without samples; vectors run along its
// last dimension, with a masked remainder:
//
//   for outer point p:
//     for each value of the outer shape, in order:
//       a reduction: acc[lanes] = loop over the rest; its lanes together
//       others: in scalars
//     for the rest: store what has the full shape; outer values are broadcast
//
// Where all shapes agree, the domain is one dimension. Along the last dimension
// a concatenation or padding has joints; no vector lies across one.
//
// Weakness: ops whose elements have another neighbour than the operand's
// (transposed last dimension, one_hot, embedding, argmax, ...) make the whole
// kernel a nest of scalars.
//
//===----------------------------------------------------------------------===//

#include "codegen/Sweep.h"
#include "codegen/TileChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
class SampleSweep {
public:
  explicit SampleSweep(KernelEmitter &e) : e(e), domain(e.kernel) {}

  int64_t build();

private:
  bool isOuterOp(Operation &op) const;
  bool fitsColumns() const;
  bool fitsFlat() const;
  SmallVector<int64_t> findJoints() const;

  int64_t overRows(int64_t rows, llvm::function_ref<void(Value)> body);
  void overPoints(ArrayRef<int64_t> shape, ValueRange start,
                  llvm::function_ref<void(ValueRange)> body);
  int64_t buildFlat();
  int64_t buildImage();
  int64_t buildPlain();
  int64_t buildOuter();
  int64_t buildLoneReduction(Operation *op);
  void buildPoint(ValueRange at);
  Value reduceAt(Operation *op, ValueRange at);
  double cycles() const {
    int64_t elements = product(domain.full);
    int64_t lanes = mode == Lanes::Columns ? e.lanes() : 1;
    return static_cast<double>(elements) / lanes * domain.operations;
  }

  KernelEmitter &e;
  const SweepDomain domain;
  ArrayRef<int64_t> full = domain.full, outer = domain.outer;
  Lanes mode = Lanes::None;
  SmallVector<int64_t> joints;
};
} // namespace

//===----------------------------------------------------------------------===//
// Which lanes?
//===----------------------------------------------------------------------===//

/// A value of the outer shape where there is another.
bool SampleSweep::isOuterOp(Operation &op) const {
  if (outer == full || isLeaf(&op) || op.getNumResults() != 1)
    return false;
  RankedTensorType type = tensorTypeOf(op.getResult(0));
  return isBatched(type) && featureLoops(type) == outer;
}

/// Does `op` move along the last dimension of its operand?
static bool movesLast(Operation *op) {
  auto isLast = [&](int64_t axis) {
    return axis + 1 == tensorTypeOf(op->getResult(0)).getRank();
  };
  if (auto slice = dyn_cast<SliceOp>(op))
    return isLast(slice.getAxis());
  if (auto pad = dyn_cast<PadOp>(op))
    return isLast(pad.getAxis());
  auto concatenate = dyn_cast<ConcatenateOp>(op);
  return concatenate && isLast(concatenate.getAxis());
}

/// May lanes run along the last dimension? Then, at a column, every value asked
/// for has the next columns in the next lanes, or is the same in all of them.
bool SampleSweep::fitsColumns() const {
  if (full.empty())
    return false;
  auto fits = [&](Value value) {
    RankedTensorType type = tensorTypeOf(value);
    size_t rank = featureShape(type).size();
    return isBatched(type) ? rank == full.size() : rank <= full.size();
  };
  int64_t moves = 0;
  for (Operation &op : e.kernel.getBody().front()) {
    if (isLeaf(&op) || isa<YieldOp>(op))
      continue;
    if (isa<OneHotOp, EmbeddingOp, ArgMaxOp>(op))
      return false;
    // Known at the current point alone.
    bool isOuter = isOuterOp(op);
    if (isOuter && llvm::any_of(op.getUsers(), [](Operation *user) {
          return user->hasTrait<Gathering>();
        }))
      return false;
    bool reduces = isSweepReduction(&op) || isRowSum(&op);
    if (isOuter && !reduces)
      continue; // in scalars
    if (isa<ReshapeOp>(op) || (!reduces && !fits(op.getResult(0))))
      return false;
    for (Value operand : op.getOperands()) {
      Operation *producer = operand.getDefiningOp();
      bool isInside = producer && producer->getParentOp() == e.kernel;
      if (!(isInside && isOuterOp(*producer)) && !fits(operand))
        return false;
    }
    auto transpose = dyn_cast<TransposeOp>(op);
    if (transpose && transpose.getPermutation().back() + 1 !=
                         tensorTypeOf(transpose.getResult()).getRank())
      return false;
    if (!movesLast(&op))
      continue;
    // One shift from the domain's columns, and no single column of several.
    if (++moves > 1 || tensorTypeOf(op.getResult(0)).getShape().back() == 1 ||
        tensorTypeOf(op.getResult(0)).getShape().back() != full.back())
      return false;
  }
  return true;
}

/// Is every value of the domain's shape, or one number?
bool SampleSweep::fitsFlat() const {
  auto fits = [&](Value value) {
    RankedTensorType type = tensorTypeOf(value);
    return featureCount(type) == 1 || featureLoops(type) == full;
  };
  if (!domain.reductions.empty() || domain.sumsRows || product(full) == 1)
    return false;
  return llvm::all_of(e.kernel.getBody().front(), [&](Operation &op) {
    bool isPlain = op.hasTrait<Elementwise>() || isLeaf(&op) ||
                   isa<ReshapeOp, YieldOp>(op);
    return isPlain && llvm::all_of(op.getOperands(), fits) &&
           llvm::all_of(op.getResults(), fits);
  });
}

SmallVector<int64_t> SampleSweep::findJoints() const {
  SmallVector<int64_t> result;
  for (Operation &op : e.kernel.getBody().front()) {
    if (!movesLast(&op))
      continue;
    int64_t end = 0;
    auto sizeOf = [](Value x) { return tensorTypeOf(x).getShape().back(); };
    if (auto pad = dyn_cast<PadOp>(op)) {
      end = static_cast<int64_t>(pad.getLow());
      result = {end, end + sizeOf(pad.getX())};
    } else if (auto concatenate = dyn_cast<ConcatenateOp>(op)) {
      for (Value input : concatenate.getInputs().drop_back())
        result.push_back(end += sizeOf(input));
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// The nests
//===----------------------------------------------------------------------===//

int64_t SampleSweep::build() {
  if (Operation *op = domain.loneReduction())
    return buildLoneReduction(op);
  if (fitsFlat())
    return buildFlat();
  if (fitsColumns()) {
    mode = Lanes::Columns;
    joints = findJoints();
  }
  e.setLanes(mode);
  if (domain.sumsRows)
    return buildImage();
  // What reduces nothing but dimensions of size 1 has no loop inside.
  return outer == full && domain.reductions.empty() ? buildPlain()
                                                    : buildOuter();
}

/// body(row) for this task's part of the rows.
int64_t SampleSweep::overRows(int64_t rows,
                              llvm::function_ref<void(Value)> body) {
  int64_t tasks = chooseSampleTasks(rows, cycles());
  auto [low, high] = e.taskRange(rows, tasks);
  e.loop(low, high, 1, body);
  return tasks;
}

/// Nested loops over `shape`, the last one over columns; the points begin with
/// `start`.
void SampleSweep::overPoints(ArrayRef<int64_t> shape, ValueRange start,
                             llvm::function_ref<void(ValueRange)> body) {
  if (shape.empty())
    return body(start);
  e.loops(shape.drop_back(), [&](ValueRange middle) {
    e.columns(shape.back(), joints, [&](Value column) {
      Indices at(start);
      at.append(middle.begin(), middle.end());
      at.push_back(column);
      body(at);
    });
  });
}

static bool isAny(RankedTensorType) { return true; }

int64_t SampleSweep::buildFlat() {
  e.setLanes(mode = Lanes::Columns);
  e.setFlat(true);
  int64_t total = product(full), whole = total / e.lanes();
  int64_t tasks = chooseSampleTasks(whole, cycles());
  auto storeAt = [&](Value i) { e.storeAll(ValueRange{i}, isAny); };
  if (tasks == 1) {
    e.columns(total, {}, storeAt);
    return 1;
  }
  auto [low, high] = e.taskRange(whole, tasks);
  e.loop(e.mul(low, e.lanes()), e.mul(high, e.lanes()), e.lanes(), storeAt);
  if (whole * e.lanes() < total) {
    Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, e.task,
                                         e.index(tasks - 1));
    auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/false);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    e.setWidth(e.lanes(), total % e.lanes());
    e.scope([&] { storeAt(e.index(whole * e.lanes())); });
    e.resetWidth();
  }
  return tasks;
}

int64_t SampleSweep::buildPlain() {
  if (full.size() < 2) {
    overPoints(full, {}, [&](ValueRange at) { e.storeAll(at, isAny); });
    return 1;
  }
  return overRows(full[0], [&](Value row) {
    overPoints(full.drop_front(), ValueRange{row},
               [&](ValueRange at) { e.storeAll(at, isAny); });
  });
}

/// Images whose rows are summed.
int64_t SampleSweep::buildImage() {
  SmallVector<int64_t> shape(full);
  shape.resize(3, 1);
  return overRows(shape[0], [&](Value row) {
    e.columns(shape[2], joints,
              [&](Value channel) { e.clearRowSums(row, channel); });
    overPoints(ArrayRef(shape).drop_front(), ValueRange{row},
               [&](ValueRange at) {
                 e.storeAll(at, isAny);
                 e.addRowSums(at);
               });
  });
}

int64_t SampleSweep::buildOuter() {
  if (outer.empty()) {
    buildPoint({});
    return 1;
  }
  return overRows(outer[0], [&](Value row) {
    e.loops(outer.drop_front(), [&](ValueRange rest) {
      Indices at = {row};
      at.append(rest.begin(), rest.end());
      buildPoint(at);
    });
  });
}

/// A reduction over what lies inside of the outer point, as a scalar.
Value SampleSweep::reduceAt(Operation *op, ValueRange outerPoint) {
  Accumulator accumulator(e, op);
  Value operand = op->getOperand(0);
  size_t rank = featureShape(tensorTypeOf(operand)).size();
  ArrayRef<int64_t> rest = full.drop_front(outer.size());
  Indices point(outerPoint);
  auto nest = [&](auto self, ArrayRef<int64_t> shape,
                  ValueRange acc) -> SmallVector<Value> {
    if (shape.empty()) {
      Indices features(point);
      features.resize(rank, e.index(0));
      Value position;
      if (isa<ArgMaxOp>(op))
        position =
            arith::IndexCastOp::create(e.b, e.b.getI32Type(), features.back());
      return accumulator.step(acc, e.emit(operand, features), position,
                              e.currentMask());
    }
    auto step = [&](Value i, ValueRange inner) {
      point.push_back(i);
      SmallVector<Value> next = self(self, shape.drop_front(), inner);
      point.pop_back();
      return next;
    };
    if (shape.size() > 1)
      return e.loop(e.index(0), e.index(shape.front()), 1, acc, step);
    return e.columns(shape.front(), joints, acc, step);
  };
  SmallVector<Value> acc = nest(nest, rest, accumulator.start());
  return mode == Lanes::Columns ? accumulator.acrossLanes(acc[0]) : acc.back();
}

void SampleSweep::buildPoint(ValueRange at) {
  SmallVector<std::pair<Value, Value>> known; // tensors, and their scalars
  auto setMode = [&](Lanes lanes) {
    e.setLanes(lanes);
    for (auto [tensor, scalar] : known) {
      Value value = scalar;
      if (lanes == Lanes::Columns)
        value = vector::BroadcastOp::create(
            e.b, e.elementVector(scalar.getType()), scalar);
      e.seed(tensor, value);
    }
  };
  for (Operation &op : e.kernel.getBody().front()) {
    bool isReduction = isSweepReduction(&op);
    // In scalars, others are computed when they are asked for.
    if (!isReduction && (mode == Lanes::None || !isOuterOp(op)))
      continue;
    setMode(isReduction ? mode : Lanes::None);
    e.point([&] {
      Value result = op.getResult(0);
      Indices features(at);
      features.resize(featureShape(tensorTypeOf(result)).size(), e.index(0));
      known.emplace_back(result, isReduction ? reduceAt(&op, at)
                                             : e.emit(result, features));
    });
  }
  auto isOuter = [&](RankedTensorType type) {
    return featureLoops(type) == outer;
  };
  setMode(Lanes::None);
  e.point([&] { e.storeAll(at, isOuter); });
  setMode(mode);
  overPoints(full.drop_front(outer.size()), at, [&](ValueRange point) {
    e.storeAll(point, [&](RankedTensorType type) { return !isOuter(type); });
  });
}

/// A reduction over any features; lanes run along the last one if it is kept.
int64_t SampleSweep::buildLoneReduction(Operation *op) {
  RankedTensorType type = tensorTypeOf(op->getOperand(0));
  RankedTensorType result = tensorTypeOf(op->getResult(0));
  ReducedFeatures features(op);
  auto rank = static_cast<int64_t>(featureShape(type).size());
  if (!features.kept.empty() && features.kept.back() + 1 == rank &&
      features.keptSizes.back() > 1)
    mode = Lanes::Columns;
  e.setLanes(mode);
  Accumulator accumulator(e, op);
  overPoints(features.keptSizes, {}, [&](ValueRange outerPoint) {
    Indices point(rank);
    for (auto [i, value] : llvm::zip_equal(features.kept, outerPoint))
      point[i] = value;
    auto nest = [&](auto self, size_t depth,
                    ValueRange acc) -> SmallVector<Value> {
      if (depth == features.reduced.size()) {
        Value position;
        if (isa<ArgMaxOp>(op))
          position =
              arith::IndexCastOp::create(e.b, e.b.getI32Type(), point.back());
        return accumulator.step(acc, e.emit(op->getOperand(0), point),
                                position);
      }
      return e.loop(e.index(0), e.index(features.reducedSizes[depth]), 1, acc,
                    [&](Value i, ValueRange inner) {
                      point[features.reduced[depth]] = i;
                      return self(self, depth + 1, inner);
                    });
    };
    e.seed(op->getResult(0), nest(nest, 0, accumulator.start()).back());
    Indices at(outerPoint);
    if (result.getRank() == type.getRank()) { // keep_dims
      at.assign(rank, e.index(0));
      for (auto [i, value] : llvm::zip_equal(features.kept, outerPoint))
        at[i] = value;
    }
    e.storeAll(at, isAny);
  });
  return 1;
}

FailureOr<int64_t> sinter::lowerSampleSweep(KernelEmitter &e) {
  if (std::optional<int64_t> tasks = lowerJoin(e))
    return *tasks;
  if (!SweepDomain(e.kernel).batched)
    return lowerSweep(e);
  return SampleSweep(e).build();
}
