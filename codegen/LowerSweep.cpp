//===- LowerSweep.cpp - elementwise chains with reductions ---------------===//
//
// A sweep has a domain and an outer part of it:
//
//   for outer point p:
//     for each reduction r, in order:  acc = loop over the rest; r(p) = acc
//     store what has the outer shape
//     for the rest: store what has the full shape
//
// Values between are computed again where they are needed: softmax takes its
// exponentials twice, and writes nothing but its result. Batched domains have
// lanes over samples (and over channels, where the samples are fewer than a
// register has lanes), so reductions over features stay in their lanes;
// unbatched ones have lanes over columns, and flatten to one dimension if all
// shapes agree.
//
// A batch reduction sums lanes at the end, in a fixed order, and counts only
// samples that exist.
//
// Weakness: a reduction over leading dimensions of an unbatched tensor runs in
// scalars.
//
//===----------------------------------------------------------------------===//

#include "codegen/Pointers.h"
#include "codegen/SideBySide.h"
#include "codegen/Sweep.h"
#include "codegen/TileChoice.h"
#include "codegen/VectorRandom.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
class SweepNest {
public:
  explicit SweepNest(KernelEmitter &e) : e(e), domain(e.kernel) {}

  FailureOr<int64_t> build();

private:
  int64_t buildBatched();
  int64_t buildImage(double work);
  int64_t buildFlat();
  FailureOr<int64_t> buildColumns();
  FailureOr<int64_t> buildLoneReduce(Operation *op);

  void buildPoint(ValueRange outer);
  SmallVector<Value> carry(ArrayRef<int64_t> shape, ValueRange outer,
                           Operation *op);
  bool canFlatten();
  void flatTail(llvm::function_ref<void(Value, Value)> body);
  double cycles(int64_t elements) {
    return static_cast<double>(elements) / e.lanes() * operations;
  }

  KernelEmitter &e;
  const SweepDomain domain;
  ArrayRef<Operation *> reductions = domain.reductions;
  ArrayRef<int64_t> full = domain.full;
  ArrayRef<int64_t> outer = domain.outer;
  const bool batched = domain.batched, sumsRows = domain.sumsRows;
  const int64_t operations = domain.operations;
};
} // namespace

/// The reduction's accumulators after all loops over `shape`, inside `at`.
SmallVector<Value> SweepNest::carry(ArrayRef<int64_t> shape, ValueRange at,
                                    Operation *op) {
  Accumulator accumulator(e, op);
  Value operand = op->getOperand(0);
  Indices point(at);
  auto nest = [&](auto self, ArrayRef<int64_t> rest,
                  ValueRange acc) -> SmallVector<Value> {
    if (rest.empty()) {
      Indices features(point);
      features.resize(featureShape(tensorTypeOf(operand)).size(), e.index(0));
      Value position;
      if (isa<ArgMaxOp>(op)) {
        position =
            arith::IndexCastOp::create(e.b, e.b.getI32Type(), features.back());
        if (auto vector =
                dyn_cast<VectorType>(e.elementVector(e.b.getI32Type())))
          position = vector::BroadcastOp::create(e.b, vector, position);
      }
      return accumulator.step(acc, e.emit(operand, features), position);
    }
    return e.loop(e.index(0), e.index(rest.front()), 1, acc,
                  [&](Value i, ValueRange inner) {
                    point.push_back(i);
                    SmallVector<Value> next =
                        self(self, rest.drop_front(), inner);
                    point.pop_back();
                    return next;
                  });
  };
  return nest(nest, shape, accumulator.start());
}

//===----------------------------------------------------------------------===//
// The nests
//===----------------------------------------------------------------------===//

FailureOr<int64_t> SweepNest::build() {
  if (Operation *op = domain.loneReduction())
    return buildLoneReduce(op);
  if (batched)
    return buildBatched();
  if (canFlatten())
    return buildFlat();
  return buildColumns();
}

/// Lanes over samples: reductions, then what is stored at each point.
void SweepNest::buildPoint(ValueRange at) {
  ArrayRef<int64_t> rest = full.drop_front(outer.size());
  for (Operation *op : reductions)
    e.seed(op->getResult(0), carry(rest, at, op).back());
  if (rest.empty()) {
    e.storeAll(at, [](RankedTensorType) { return true; });
    return;
  }
  auto isOuter = [&](RankedTensorType type) {
    return featureLoops(type) == outer;
  };
  e.storeAll(at, isOuter);
  e.loops(rest, [&](ValueRange inner) {
    Indices point(at);
    point.append(inner.begin(), inner.end());
    e.storeAll(point, [&](RankedTensorType type) { return !isOuter(type); });
  });
}

int64_t SweepNest::buildBatched() {
  e.setLanes(Lanes::Samples);
  double work = cycles(product(full) * e.layout.padded());
  if (std::optional<int64_t> tasks = lowerPoolGradient(e, domain, work))
    return *tasks;
  if (sumsRows)
    return buildImage(work);
  if (!outer.empty()) {
    // In groups along the last dimension, if that is the tensors' own.
    int64_t together = outer == full ? channelsSideBySide(e, outer.back()) : 1;
    SmallVector<int64_t> shape(outer);
    shape.back() /= together;
    int64_t tasks = chooseTasks(shape[0], work);
    auto [low, high] = e.taskRange(shape[0], tasks);
    e.loop(low, high, 1, [&](Value first) {
      e.loops(ArrayRef(shape).drop_front(), [&](ValueRange others) {
        Indices at = {first};
        at.append(others.begin(), others.end());
        at.back() = e.mul(at.back(), together);
        e.setChannels(at.back(), together);
        e.overSamples([&] { buildPoint(at); });
      });
    });
    return tasks;
  }
  int64_t blocks = e.layout.padded() / e.lanes();
  int64_t tasks = chooseTasks(blocks, work);
  auto [low, high] = e.taskRange(blocks, tasks);
  Value end = arith::MinUIOp::create(e.b, e.mul(high, e.lanes()), e.batch);
  e.loop(e.mul(low, e.lanes()), end, e.lanes(), [&](Value sample) {
    e.setSample(sample);
    buildPoint({});
  });
  return tasks;
}

/// Images whose rows are summed: a task has whole rows.
int64_t SweepNest::buildImage(double work) {
  SmallVector<int64_t> shape(full);
  shape.resize(3, 1);
  int64_t tasks = chooseTasks(shape[0], work);
  auto [low, high] = e.taskRange(shape[0], tasks);
  e.loop(low, high, 1, [&](Value row) {
    overChannels(e, shape[2],
                 [&](Value channel) { e.clearRowSums(row, channel); });
    e.loop(e.index(0), e.index(shape[1]), 1, [&](Value column) {
      overChannels(e, shape[2], [&](Value channel) {
        Indices at = {row, column, channel};
        e.storeAll(at, [](RankedTensorType) { return true; });
        e.addRowSums(at);
      });
    });
  });
  return tasks;
}

/// One dimension will do if everything has the domain's shape or one element.
bool SweepNest::canFlatten() {
  auto fits = [&](Value value) {
    RankedTensorType type = tensorTypeOf(value);
    return featureCount(type) == 1 ||
           (!isBatched(type) && featureLoops(type) == full);
  };
  for (Operation &op : e.kernel.getBody().front()) {
    if (!llvm::all_of(op.getOperands(), fits) ||
        !llvm::all_of(op.getResults(), fits))
      return false;
    // These look at indices.
    if (isa<SliceOp, PadOp, ConcatenateOp, OneHotOp, ArgMaxOp>(op))
      return false;
  }
  return true;
}

/// body(i, mask) for the elements after the domain's last whole vector, if
/// there are any; in the current block, so that it may carry values on.
void SweepNest::flatTail(llvm::function_ref<void(Value, Value)> body) {
  int64_t total = product(full), whole = total / e.lanes() * e.lanes();
  if (whole == total)
    return;
  Value mask = vector::ConstantMaskOp::create(
      e.b, VectorType::get({e.lanes()}, e.b.getI1Type()),
      ArrayRef{total - whole});
  e.scope([&] {
    e.setMask(mask);
    body(e.index(whole), mask);
    e.setMask({});
  });
}

int64_t SweepNest::buildFlat() {
  auto all = [](RankedTensorType) { return true; };
  int64_t total = product(full);
  if (total == 1) {
    e.setLanes(Lanes::None);
    for (Operation *op : reductions) {
      Indices at(featureShape(tensorTypeOf(op->getOperand(0))).size(),
                 e.index(0));
      e.seed(op->getResult(0), e.emit(op->getOperand(0), at));
    }
    e.storeAll({}, all);
    return 1;
  }
  e.setLanes(Lanes::Columns);
  e.setFlat(true);
  int64_t vectors = total / e.lanes(), whole = vectors * e.lanes();
  if (reductions.empty()) {
    int64_t tasks = chooseTasks(vectors, cycles(total));
    auto [low, high] = e.taskRange(vectors, tasks);
    auto storeAt = [&](Value i) { e.storeAll(ValueRange{i}, all); };
    auto storeTail = [&](Value i, Value) { storeAt(i); };
    e.loop(e.mul(low, e.lanes()), e.mul(high, e.lanes()), e.lanes(), storeAt);
    if (tasks == 1) {
      flatTail(storeTail);
    } else if (whole < total) {
      Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq,
                                           e.task, e.index(tasks - 1));
      auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/false);
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(branch.thenBlock());
      flatTail(storeTail);
    }
    return tasks;
  }
  // Sums over everything: one task, so that their order is fixed.
  auto isFull = [&](RankedTensorType type) { return featureCount(type) > 1; };
  for (Operation *op : reductions) {
    Accumulator accumulator(e, op);
    SmallVector<Value> acc =
        e.loop(e.index(0), e.index(whole), e.lanes(), accumulator.start(),
               [&](Value i, ValueRange acc) {
                 return accumulator.step(
                     acc, e.emit(op->getOperand(0), ValueRange{i}), {});
               });
    flatTail([&](Value i, Value mask) {
      acc = accumulator.step(acc, e.emit(op->getOperand(0), ValueRange{i}), {},
                             mask);
    });
    Value scalar = accumulator.acrossLanes(acc[0]);
    e.seed(op->getResult(0),
           vector::BroadcastOp::create(e.b, e.elementVector(e.b.getF32Type()),
                                       scalar));
  }
  e.storeAll({}, [&](RankedTensorType type) { return !isFull(type); });
  e.loop(e.index(0), e.index(whole), e.lanes(),
         [&](Value i) { e.storeAll(ValueRange{i}, isFull); });
  flatTail([&](Value i, Value) { e.storeAll(ValueRange{i}, isFull); });
  return 1;
}

/// Unbatched tensors of different shapes: lanes over the last dimension.
FailureOr<int64_t> SweepNest::buildColumns() {
  if (!reductions.empty() || outer != full) {
    // Broadcasting inside of a reduction: scalars.
    e.setLanes(Lanes::None);
    outer = {};
    buildPoint({});
    return 1;
  }
  e.setLanes(Lanes::Columns);
  int64_t last = full.back(), whole = last / e.lanes() * e.lanes();
  auto all = [](RankedTensorType) { return true; };
  e.loops(full.drop_back(), [&](ValueRange rows) {
    auto storeAt = [&](Value column) {
      Indices at(rows);
      at.push_back(column);
      e.storeAll(at, all);
    };
    e.loop(e.index(0), e.index(whole), e.lanes(), storeAt);
    if (whole < last) {
      e.setMask(vector::ConstantMaskOp::create(
          e.b, VectorType::get({e.lanes()}, e.b.getI1Type()),
          ArrayRef{last - whole}));
      e.scope([&] { storeAt(e.index(whole)); });
      e.setMask({});
    }
  });
  return 1;
}

/// A reduction over any features: loops over those that stay outside.
FailureOr<int64_t> SweepNest::buildLoneReduce(Operation *op) {
  RankedTensorType type = tensorTypeOf(op->getOperand(0));
  RankedTensorType result = tensorTypeOf(op->getResult(0));
  ReducedFeatures features(op);
  ArrayRef<int64_t> kept = features.kept, keptSizes = features.keptSizes;
  ArrayRef<int64_t> reduced = features.reduced;
  ArrayRef<int64_t> reducedSizes = features.reducedSizes;
  size_t rank = featureShape(type).size();
  Accumulator accumulator(e, op);
  auto reduceAt = [&](ValueRange outerPoint) {
    Indices point(rank);
    for (auto [i, value] : llvm::zip_equal(kept, outerPoint))
      point[i] = value;
    auto nest = [&](auto self, size_t depth,
                    ValueRange acc) -> SmallVector<Value> {
      if (depth == reduced.size()) {
        Value position;
        if (isa<ArgMaxOp>(op))
          position =
              arith::IndexCastOp::create(e.b, e.b.getI32Type(), point.back());
        return accumulator.step(acc, e.emit(op->getOperand(0), point),
                                position);
      }
      return e.loop(e.index(0), e.index(reducedSizes[depth]), 1, acc,
                    [&](Value i, ValueRange inner) {
                      point[reduced[depth]] = i;
                      return self(self, depth + 1, inner);
                    });
    };
    e.seed(op->getResult(0), nest(nest, 0, accumulator.start()).back());
    Indices at(outerPoint);
    if (result.getRank() == type.getRank()) { // keep_dims
      at.assign(rank, e.index(0));
      for (auto [i, value] : llvm::zip_equal(kept, outerPoint))
        at[i] = value;
    }
    e.storeAll(at, [](RankedTensorType) { return true; });
  };
  if (!batched) {
    e.setLanes(Lanes::None);
    e.loops(keptSizes, reduceAt);
    return 1;
  }
  e.setLanes(Lanes::Samples);
  e.loops(keptSizes,
          [&](ValueRange at) { e.overSamples([&] { reduceAt(at); }); });
  return 1;
}

//===----------------------------------------------------------------------===//
// Tensors in a row
//===----------------------------------------------------------------------===//

/// The concatenation that is all of the kernel and whose operands, in memory,
/// make up the result one after the other; or null.
static ConcatenateOp loneJoin(KernelEmitter &e) {
  Block &body = e.kernel.getBody().front();
  auto join = dyn_cast<ConcatenateOp>(body.front());
  if (!join || !isa<YieldOp>(join->getNextNode()) ||
      e.kernel.getNumResults() != 1)
    return {};
  RankedTensorType type = tensorTypeOf(join.getResult());
  ArrayRef<int64_t> before = type.getShape().slice(1, join.getAxis() - 1);
  bool isRow = (e.oneSample || isBatchMinor(type)) &&
               llvm::all_of(before, [](int64_t size) { return size == 1; });
  return isRow ? join : ConcatenateOp();
}

/// A loop over the result would look for the part that each element is in.
std::optional<int64_t> sinter::lowerJoin(KernelEmitter &e) {
  ConcatenateOp join = loneJoin(e);
  if (!join)
    return std::nullopt;
  auto addressOf = [&](Value tensor) { // behind its type
    return e.memory(tensor, /*isFlat=*/true)
        .getDefiningOp<UnrealizedConversionCastOp>()
        .getOperand(0);
  };
  Location loc = e.b.getLoc();
  Value to = addressOf(e.kernel.getResult(0));
  int64_t start = 0;
  for (Value part : join.getInputs()) {
    RankedTensorType type = tensorTypeOf(part);
    int64_t bytes = storedBytes(type, e.layout.batchBound);
    int64_t count = bytes / 4; // f32 and i32
    auto row = MemRefType::get({count}, type.getElementType());
    Value source = createMemRef(e.b, loc, addressOf(part), 0, row);
    Value target = createMemRef(e.b, loc, to, start, row);
    // A loop, not memcpy: there may be no libc.
    int64_t whole = count / e.lanes() * e.lanes();
    auto vector = VectorType::get({e.lanes()}, type.getElementType());
    e.loop(e.index(0), e.index(whole), e.lanes(), [&](Value i) {
      Value value = vector::LoadOp::create(e.b, vector, source, i);
      vector::StoreOp::create(e.b, value, target, i);
    });
    e.loop(e.index(whole), e.index(count), 1, [&](Value i) {
      Value value = memref::LoadOp::create(e.b, source, i);
      memref::StoreOp::create(e.b, value, target, i);
    });
    start += bytes;
  }
  return 1;
}

FailureOr<int64_t> sinter::lowerSweep(KernelEmitter &e) {
  if (std::optional<int64_t> tasks = lowerJoin(e))
    return *tasks;
  return SweepNest(e).build();
}

//===----------------------------------------------------------------------===//
// Batch reductions
//===----------------------------------------------------------------------===//

FailureOr<int64_t> sinter::lowerBatchReduce(KernelEmitter &e) {
  SmallVector<ReduceSumOp> sums;
  int64_t operations = 0;
  for (Operation &op : e.kernel.getBody().front()) {
    if (auto sum = dyn_cast<ReduceSumOp>(op))
      sums.push_back(sum);
    ++operations;
  }
  // The leading features are summed with the batch.
  ArrayRef<int64_t> all = featureShape(tensorTypeOf(sums[0].getX()));
  size_t leading = sums[0].getAxes().size() - 1;
  ArrayRef<int64_t> shape = all.drop_front(leading);
  auto isBatchedType = [](RankedTensorType type) { return isBatched(type); };

  // Which of the vector's samples exist.
  auto liveLanes = [&](Value sample) -> Value {
    auto vector = VectorType::get({e.lanes()}, e.b.getI32Type());
    auto spread = [&](Value number) -> Value {
      Value i32 = arith::IndexCastOp::create(e.b, e.b.getI32Type(), number);
      return vector::BroadcastOp::create(e.b, vector, i32);
    };
    Value numbers =
        arith::AddIOp::create(e.b, spread(sample), laneNumbers(e.b, e.lanes()));
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, numbers,
                                 spread(e.batch));
  };

  auto reduceAt = [&](ValueRange at) {
    e.setLanes(Lanes::Samples);
    SmallVector<Value> start(sums.size(), e.vectorConstant(0));
    Indices point;
    auto nest = [&](auto self, ValueRange acc) -> SmallVector<Value> {
      if (point.size() < leading)
        return e.loop(e.index(0), e.index(all[point.size()]), 1, acc,
                      [&](Value i, ValueRange inner) {
                        point.push_back(i);
                        SmallVector<Value> next = self(self, inner);
                        point.pop_back();
                        return next;
                      });
      Indices features(point);
      features.append(at.begin(), at.end());
      return e.loop(
          e.index(0), e.batch, e.lanes(), acc,
          [&](Value sample, ValueRange inner) {
            e.setSample(sample);
            Value live = liveLanes(sample);
            SmallVector<Value> next;
            for (auto [i, sum] : llvm::enumerate(sums))
              next.push_back(Accumulator(e, sum).step(
                  inner[i], e.emit(sum.getX(), features), {}, live)[0]);
            e.storeAll(features, isBatchedType);
            return next;
          });
    };
    SmallVector<Value> acc = nest(nest, start);
    SmallVector<Value> totals;
    for (auto [i, sum] : llvm::enumerate(sums))
      totals.push_back(Accumulator(e, sum).acrossLanes(acc[i]));
    e.setLanes(Lanes::None);
    for (auto [sum, total] : llvm::zip_equal(sums, totals))
      e.seed(sum.getResult(), total);
    e.storeAll(at, [&](RankedTensorType type) { return !isBatchedType(type); });
  };

  if (shape.empty()) {
    reduceAt({});
    return 1;
  }
  double cycles = static_cast<double>(product(all)) * operations *
                      e.layout.padded() / e.lanes() +
                  32.0 * product(shape);
  int64_t tasks = chooseTasks(shape[0], cycles);
  auto [low, high] = e.taskRange(shape[0], tasks);
  e.loop(low, high, 1, [&](Value first) {
    e.loops(shape.drop_front(), [&](ValueRange others) {
      Indices at = {first};
      at.append(others.begin(), others.end());
      reduceAt(at);
    });
  });
  return tasks;
}
