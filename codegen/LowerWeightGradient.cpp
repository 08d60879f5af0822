//===- LowerWeightGradient.cpp - the batch contracted away ---------------===//
//
// dW(k, m) = sum(n) x(k, n) dy(n, m), lanes over columns m: x is batch-minor
// and broadcast, dy row-major. The optimizer's update is the epilogue: a tile
// of dW goes from registers into the state, so weight and slots are read and
// written once and the gradient itself is never stored.
//
//   for unit in this task's part of (K / R) x (M / V lanes):
//     acc[R][V] = 0
//     for n in 0 .. batch-1:            (the true batch: no padding is read)
//       dy[V] = load dy(n, m..); acc[r][v] += broadcast x(k+r, n) * dy[v]
//     epilogue and stores at (k+r, m+v lanes)
//
// The last columns are narrower vectors, or a masked one.
//
// An update is loads, stores, a square root and a division, with hardly
// anything for the units that multiply and add. So it is delayed: a tile's sums
// go to a scratch on the stack, and its rows are finished one by one between
// samples of the next tile, while multiply-adds of both sides of it are in
// flight. Of fashion_mlp's step (batch 32, Adam) it takes 2 % away.
//
// Which comes first, rows or columns? Tasks own what they own in the layer's
// forward kernel, so that weights do not travel between cores: rows where that
// sums in parts (passes/SplitContractions.cpp), otherwise columns. Those also
// keep their columns of dy in the first cache while the rows go by.
//
// Large ones are cut in blocks (PackedMatmul.h).
//
// Products of two matrices without a batch come here, too: a plain loop.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelEmitter.h"
#include "codegen/PackedMatmul.h"
#include "codegen/TileChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace sinter;

namespace {
/// Groups of columns that are cut alike: `count` of them, the first at column
/// `start`, each with these `pieces`, counted from its own first column.
struct Groups {
  int64_t start, count;
  SmallVector<VectorPiece> pieces;
  int64_t scratch; // where the group's sums are in the scratch
};

class WeightGradientNest {
public:
  explicit WeightGradientNest(KernelEmitter &e)
      : e(e), matmul(*e.kernel.getBody().front().getOps<MatmulOp>().begin()) {}

  FailureOr<int64_t> build();

private:
  int64_t buildPacked(const MatmulBlocks &blocks);
  void cutColumns();
  void chooseDelay(bool byColumns);
  /// The row tiles, each with all columns, or those of each of `groups`.
  void buildUnits(Value low, Value high, const Groups *groups);
  /// body(m, pieces, scratch) for each group of the unit.
  using TileBody =
      llvm::function_ref<void(Value, ArrayRef<VectorPiece>, Value)>;
  void forTiles(Value unit, const Groups *groups, TileBody body);
  Value rowOf(Value unit, const Groups *groups);
  Value columnOf(Value unit, const Groups &groups);
  void finish(Value unit, const Groups *groups);

  SmallVector<Value> accumulate(Value k, Value m, int64_t rows,
                                ArrayRef<VectorPiece> pieces, ValueRange start,
                                Value low, Value high);
  SmallVector<Value> zeros(int64_t rows, ArrayRef<VectorPiece> pieces);
  void buildTile(Value k, Value m, int64_t rows, ArrayRef<VectorPiece> pieces);
  /// The same, but the sums go to the scratch at `at`, and on the way those
  /// that were there, of the tile at (oldK, oldM), are finished, if there are.
  void buildDelayed(Value k, Value m, ArrayRef<VectorPiece> pieces, Value at,
                    Value hasOld, Value oldK, Value oldM);
  void finishRow(Value k, Value m, Value r, ArrayRef<VectorPiece> pieces,
                 Value at);
  void store(Value k, Value m, const VectorPiece &piece, Value sum);
  void branch(Value condition, llvm::function_ref<void()> whenTrue,
              llvm::function_ref<void()> whenFalse);
  Value isLess(Value x, Value y) {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, x, y);
  }

  KernelEmitter &e;
  MatmulOp matmul;
  int64_t columns = 0, rowTiles = 0, lastRows = 0;
  SmallVector<Groups> allGroups;
  Tile tile{1, 1};
  Value scratch; // where epilogues are delayed: a unit's sums
};
} // namespace

/// Do the weights that `update` writes take part in a sum that is made in
/// parts, by rows?
static bool forwardIsInParts(KernelOp update) {
  llvm::StringSet<> written;
  for (WriteOp write : update.getBody().front().getOps<WriteOp>())
    written.insert(write.getState());
  for (KernelOp kernel : update->getBlock()->getOps<KernelOp>()) {
    Block &body = kernel.getBody().front();
    auto reads = [&](ReadOp read) { return written.contains(read.getState()); };
    if (kernel.getKind() == KernelKind::Matmul &&
        llvm::range_size(body.getOps<MatmulOp>()) > 1 &&
        llvm::any_of(body.getOps<ReadOp>(), reads))
      return true;
  }
  return false;
}

FailureOr<int64_t> WeightGradientNest::build() {
  RankedTensorType result = tensorTypeOf(matmul.getResult());
  if (!matmul.getTransposeA() || matmul.getTransposeB() ||
      !isBatched(matmul.getA()) || !isBatched(matmul.getB()))
    return matmul.emitError(
               "expected the batch as rows of the left operand, or contracted "
               "away, got ")
           << matmul.getA().getType() << " and " << matmul.getB().getType();
  if (auto blocks = blocksOf(matmul, e.layout.batchBound);
      blocks && hasScratch(e.kernel))
    return buildPacked(*blocks);
  int64_t rows = result.getDimSize(0);
  columns = result.getDimSize(1);
  auto vectors =
      static_cast<int64_t>(splitExactly(columns, e.layout.target).size());
  // Arithmetic, and some sixteen cycles a vector for the epilogue.
  double cycles =
      static_cast<double>(rows) * vectors * (e.layout.batchBound + 16);
  tile = chooseTile(
      e, matmul,
      rankTiles(rows, vectors, {.steps = e.layout.batchBound, .updates = true},
                e.layout.target),
      [&](Tile tile) {
        // Fewer rows may be all that units are made of.
        return chooseTasks((rows + tile.rows - 1) / tile.rows, cycles);
      });

  rowTiles = (rows + tile.rows - 1) / tile.rows;
  lastRows = rows - (rowTiles - 1) * tile.rows;
  cutColumns();
  int64_t groups = 0;
  for (const Groups &some : allGroups)
    groups += some.count;
  bool byColumns = groups > 1 && !forwardIsInParts(e.kernel);
  int64_t units = byColumns ? groups * rowTiles : rowTiles;
  int64_t tasks = chooseTasks(units, cycles);

  e.setLanes(Lanes::Columns);
  chooseDelay(byColumns);
  auto [low, high] = e.taskRange(units, tasks);
  if (!byColumns) {
    buildUnits(low, high, nullptr);
    return tasks;
  }
  int64_t first = 0;
  for (const Groups &some : allGroups) {
    // This task's units of these groups.
    int64_t count = some.count * rowTiles;
    auto inGroups = [&](Value unit) -> Value {
      if (count == units)
        return unit;
      Value from = arith::MaxUIOp::create(e.b, unit, e.index(first));
      Value to = arith::MinUIOp::create(e.b, from, e.index(first + count));
      return arith::SubIOp::create(e.b, to, e.index(first));
    };
    buildUnits(inGroups(low), inGroups(high), &some);
    first += count;
  }
  return tasks;
}

/// Groups of whole vectors are alike; each that is left is code of its own.
void WeightGradientNest::cutColumns() {
  SmallVector<VectorPiece> pieces = splitExactly(columns, e.layout.target);
  int64_t step = tile.vectors * e.lanes(), whole = columns / step;
  auto slots = [&](size_t before) {
    return static_cast<int64_t>(before) * tile.rows * e.lanes();
  };
  ArrayRef<VectorPiece> rest = pieces;
  if (whole) {
    allGroups.push_back(
        {0, whole, SmallVector<VectorPiece>(rest.take_front(tile.vectors)), 0});
    rest = rest.drop_front(whole * tile.vectors);
  }
  while (!rest.empty()) {
    ArrayRef<VectorPiece> part =
        rest.take_front(std::min<size_t>(tile.vectors, rest.size()));
    int64_t start = part.front().start;
    Groups last{start, 1, {}, slots(pieces.size() - rest.size())};
    for (VectorPiece piece : part) {
      piece.start -= start;
      last.pieces.push_back(piece);
    }
    allGroups.push_back(std::move(last));
    rest = rest.drop_front(part.size());
  }
}

void WeightGradientNest::chooseDelay(bool byColumns) {
  if (e.kernel.getBody().front().getOps<WriteOp>().empty())
    return; // nothing that could be hidden
  int64_t vectors = 0;
  for (const Groups &some : allGroups) {
    auto ofGroup = static_cast<int64_t>(some.pieces.size());
    vectors = byColumns ? std::max(vectors, ofGroup)
                        : vectors + some.count * ofGroup;
  }
  constexpr int64_t most = 4096; // floats: half of a first cache
  int64_t floats = vectors * tile.rows * e.lanes();
  if (floats > most)
    return;
  auto type = MemRefType::get({floats}, e.b.getF32Type());
  scratch = memref::AllocaOp::create(e.b, type, e.b.getI64IntegerAttr(64));
}

Value WeightGradientNest::rowOf(Value unit, const Groups *groups) {
  if (groups && groups->count > 1)
    unit = arith::RemUIOp::create(e.b, unit, e.index(rowTiles));
  return e.mul(unit, tile.rows);
}

Value WeightGradientNest::columnOf(Value unit, const Groups &groups) {
  if (groups.count == 1)
    return e.index(groups.start);
  Value number = arith::DivUIOp::create(e.b, unit, e.index(rowTiles));
  return e.mul(number, tile.vectors * e.lanes());
}

void WeightGradientNest::forTiles(Value unit, const Groups *groups,
                                  TileBody body) {
  if (groups)
    return body(columnOf(unit, *groups), groups->pieces, e.index(0));
  for (const Groups &some : allGroups) {
    int64_t step = tile.vectors * e.lanes();
    if (some.count == 1)
      body(e.index(some.start), some.pieces, e.index(some.scratch));
    else
      e.loop(e.index(0), e.index(some.count * step), step,
             [&](Value m) { body(m, some.pieces, e.mul(m, tile.rows)); });
  }
}

void WeightGradientNest::buildUnits(Value low, Value high,
                                    const Groups *groups) {
  bool isRagged = lastRows != tile.rows;
  auto isFull = [&](Value unit) {
    return isLess(rowOf(unit, groups), e.index((rowTiles - 1) * tile.rows));
  };
  e.loop(low, high, 1, [&](Value unit) {
    Value k = rowOf(unit, groups);
    Value before = arith::SubIOp::create(e.b, unit, e.index(1));
    auto buildFull = [&] {
      if (!scratch)
        return forTiles(unit, groups, [&](Value m, auto pieces, Value) {
          buildTile(k, m, tile.rows, pieces);
        });
      Value hasOld = isLess(low, unit);
      if (isRagged) // what comes behind the last rows finds none
        hasOld = arith::AndIOp::create(e.b, hasOld, isLess(e.index(0), k));
      Value oldK = rowOf(before, groups);
      forTiles(unit, groups, [&](Value m, auto pieces, Value at) {
        Value oldM = groups ? columnOf(before, *groups) : m;
        buildDelayed(k, m, pieces, at, hasOld, oldK, oldM);
      });
    };
    if (!isRagged)
      return buildFull();
    branch(isFull(unit), buildFull, [&] {
      if (scratch)
        branch(isLess(low, unit), [&] { finish(before, groups); }, {});
      forTiles(unit, groups, [&](Value m, auto pieces, Value) {
        buildTile(k, m, lastRows, pieces);
      });
    });
  });
  if (!scratch)
    return;
  branch(isLess(low, high),
         [&] {
           Value last = arith::SubIOp::create(e.b, high, e.index(1));
           if (!isRagged)
             return finish(last, groups);
           branch(isFull(last), [&] { finish(last, groups); }, {});
         },
         {});
}

void WeightGradientNest::finish(Value unit, const Groups *groups) {
  Value k = rowOf(unit, groups);
  forTiles(unit, groups, [&](Value m, auto pieces, Value at) {
    e.loop(e.index(0), e.index(tile.rows), 1,
           [&](Value r) { finishRow(k, m, r, pieces, at); });
  });
}

int64_t WeightGradientNest::buildPacked(const MatmulBlocks &blocks) {
  columns = tensorTypeOf(matmul.getResult()).getDimSize(1);
  e.setLanes(Lanes::Columns);
  PackedMatmul nest(e, blocks, e.memory(matmul.getA()), e.memory(matmul.getB()),
                    columns, /*rowsInFours=*/false);
  nest.build(e.batch, e.index(columns),
             [&](Value k, Value m, Value mask, ArrayRef<Value> sums) {
               for (auto [r, value] : llvm::enumerate(sums))
                 e.point([&] {
                   e.setMask(mask);
                   e.seed(matmul.getResult(), value);
                   e.storeAll(ValueRange{e.add(k, r), m},
                              [](RankedTensorType) { return true; });
                   e.setMask({});
                 });
             });
  return blocks.tasks();
}

void WeightGradientNest::branch(Value condition,
                                llvm::function_ref<void()> whenTrue,
                                llvm::function_ref<void()> whenFalse) {
  auto branch = scf::IfOp::create(e.b, condition, bool(whenFalse));
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(branch.thenBlock());
  e.scope(whenTrue);
  if (!whenFalse)
    return;
  e.b.setInsertionPointToStart(branch.elseBlock());
  e.scope(whenFalse);
}

SmallVector<Value> WeightGradientNest::zeros(int64_t rows,
                                             ArrayRef<VectorPiece> pieces) {
  SmallVector<Value> values;
  for (int64_t r = 0; r < rows; ++r)
    for (const VectorPiece &piece : pieces)
      values.push_back(e.zeroPiece(piece));
  return values;
}

/// `start` and the samples low .. high - 1.
SmallVector<Value> WeightGradientNest::accumulate(Value k, Value m,
                                                  int64_t rows,
                                                  ArrayRef<VectorPiece> pieces,
                                                  ValueRange start, Value low,
                                                  Value high) {
  Value x = e.memory(matmul.getA()), dy = e.memory(matmul.getB());
  return e.loop(low, high, 1, start, [&](Value n, ValueRange acc) {
    SmallVector<Value> dys, next;
    for (const VectorPiece &piece : pieces)
      dys.push_back(
          e.loadPiece(dy, ValueRange{n, e.add(m, piece.start)}, piece));
    for (int64_t r = 0; r < rows; ++r) {
      Value scalar = memref::LoadOp::create(e.b, x, ValueRange{e.add(k, r), n});
      for (Value vector : dys) {
        Value spread =
            vector::BroadcastOp::create(e.b, vector.getType(), scalar);
        next.push_back(
            vector::FMAOp::create(e.b, spread, vector, acc[next.size()]));
      }
    }
    return next;
  });
}

/// The epilogue of `piece` at row k.
void WeightGradientNest::store(Value k, Value m, const VectorPiece &piece,
                               Value sum) {
  e.point([&] {
    e.setWidth(piece.lanes, piece.existing);
    e.seed(matmul.getResult(), sum);
    e.storeAll(ValueRange{k, e.add(m, piece.start)},
               [](RankedTensorType) { return true; });
  });
  e.resetWidth();
}

void WeightGradientNest::buildTile(Value k, Value m, int64_t rows,
                                   ArrayRef<VectorPiece> pieces) {
  SmallVector<Value> acc =
      accumulate(k, m, rows, pieces, zeros(rows, pieces), e.index(0), e.batch);
  for (int64_t r = 0; r < rows; ++r)
    for (auto [v, piece] : llvm::enumerate(pieces))
      store(e.add(k, r), m, piece, acc[r * pieces.size() + v]);
}

void WeightGradientNest::finishRow(Value k, Value m, Value r,
                                   ArrayRef<VectorPiece> pieces, Value at) {
  auto vectors = static_cast<int64_t>(pieces.size());
  Value row = e.sum(at, e.mul(r, vectors * e.lanes()));
  for (auto [v, piece] : llvm::enumerate(pieces)) {
    VectorPiece all{0, piece.lanes, piece.lanes};
    Value sum = e.loadPiece(scratch, e.add(row, v * e.lanes()), all);
    store(e.sum(k, r), m, piece, sum);
  }
}

void WeightGradientNest::buildDelayed(Value k, Value m,
                                      ArrayRef<VectorPiece> pieces, Value at,
                                      Value hasOld, Value oldK, Value oldM) {
  // A row's epilogue behind every so many samples.
  auto sampleOf = [&](Value r) -> Value {
    return arith::DivUIOp::create(e.b, arith::MulIOp::create(e.b, r, e.batch),
                                  e.index(tile.rows));
  };
  SmallVector<Value> acc = e.loop(
      e.index(0), e.index(tile.rows), 1, zeros(tile.rows, pieces),
      [&](Value r, ValueRange before) {
        SmallVector<Value> after =
            accumulate(k, m, tile.rows, pieces, before, sampleOf(r),
                       sampleOf(e.add(r, 1)));
        branch(hasOld, [&] { finishRow(oldK, oldM, r, pieces, at); }, {});
        return after;
      });
  for (auto [i, sum] : llvm::enumerate(acc))
    vector::StoreOp::create(e.b, sum, scratch,
                            ValueRange{e.add(at, i * e.lanes())});
}

/// Two matrices without a batch, in any form: rare and small, so in scalars.
static int64_t lowerUnbatched(KernelEmitter &e, MatmulOp matmul) {
  bool transposeA = matmul.getTransposeA(), transposeB = matmul.getTransposeB();
  int64_t inner = tensorTypeOf(matmul.getA()).getDimSize(transposeA ? 0 : 1);
  e.setLanes(Lanes::None);
  e.loops(tensorTypeOf(matmul.getResult()).getShape(), [&](ValueRange at) {
    auto element = [&](Value matrix, Value row, Value column, bool transposed) {
      return transposed ? e.emit(matrix, ValueRange{column, row})
                        : e.emit(matrix, ValueRange{row, column});
    };
    SmallVector<Value> sum =
        e.loop(e.index(0), e.index(inner), 1, e.vectorConstant(0),
               [&](Value k, ValueRange acc) -> SmallVector<Value> {
                 Value a = element(matmul.getA(), at[0], k, transposeA);
                 Value b = element(matmul.getB(), k, at[1], transposeB);
                 Value product = arith::MulFOp::create(e.b, a, b);
                 return {arith::AddFOp::create(e.b, acc[0], product)};
               });
    e.seed(matmul.getResult(), sum[0]);
    e.storeAll(at, [](RankedTensorType) { return true; });
  });
  return 1;
}

FailureOr<int64_t> sinter::lowerWeightGradient(KernelEmitter &e) {
  MatmulOp matmul = *e.kernel.getBody().front().getOps<MatmulOp>().begin();
  if (!isBatched(matmul.getA()) && !isBatched(matmul.getB()))
    return lowerUnbatched(e, matmul);
  return WeightGradientNest(e).build();
}
