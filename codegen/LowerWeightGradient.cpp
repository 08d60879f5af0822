//===- LowerWeightGradient.cpp - the batch contracted away ---------------===//
//
// dW(k, m) = sum(n) x(k, n) dy(n, m), lanes over columns m: x is batch-minor
// and broadcast, dy row-major. The optimizer's update is the epilogue: a tile
// of dW goes from registers into the state, so weight and slots are read and
// written once and the gradient itself is never stored.
//
//   for unit in this task's part of bands of columns x (K / R):
//     for columns m of the band, V vectors at a time:
//       acc[R][V] = 0
//       for n in 0 .. batch-1:          (the true batch: no padding is read)
//         ask for some of the weights and slots at (k+r, m+v lanes)
//         dy[V] = load dy(n, m..); acc[r][v] += broadcast x(k+r, n) * dy[v]
//       epilogue and stores at (k+r, m+v lanes), masked at the last columns
//
// Rows share vectors where few columns are behind the last whole one
// (SharedSums.h): tiles are of whole rows then. An epilogue that would wait
// runs beside the sums of the next rows (LateEpilogue.h); then, too, there is
// one band, if rows are not too long.
//
// Which comes first, rows or columns? Tasks own what they own in the layer's
// forward kernel, so that weights do not travel between cores: rows where that
// sums in parts (passes/SplitContractions.cpp), and there is one band;
// otherwise bands of columns. A band's columns of dy stay in the first cache
// while the rows go by, and the wider it is, the longer are the runs of weights
// and slots that a row of it touches. Rows of dy that would lie a multiple of
// many lines apart are spaced for that (passes/Schedule.h).
//
// Large ones are cut in blocks (PackedMatmul.h).
//
// Products of two matrices without a batch come here, too: a plain loop.
//
//===----------------------------------------------------------------------===//

#include "codegen/EpilogueMemory.h"
#include "codegen/KernelEmitter.h"
#include "codegen/LateEpilogue.h"
#include "codegen/PackedMatmul.h"
#include "codegen/SharedSums.h"
#include "codegen/TileChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace sinter;

namespace {
class WeightGradientNest {
public:
  explicit WeightGradientNest(KernelEmitter &e)
      : e(e), matmul(*e.kernel.getBody().front().getOps<MatmulOp>().begin()) {}

  FailureOr<int64_t> build();

private:
  int64_t buildPacked(const MatmulBlocks &blocks);
  /// `vectors` vectors of columns from m; the last has `lastLanes` lanes.
  void buildTile(Value k, Value m, int64_t rows, int64_t vectors,
                 int64_t lastLanes);
  void endVector(Value sums, Value k, int64_t row, Value m, Value mask);
  /// `rows` rows from k: the columns of a band.
  void buildRows(Value k, int64_t rows, Value band);
  void branch(Value condition, llvm::function_ref<void()> whenTrue,
              llvm::function_ref<void()> whenFalse);
  Value maskOf(int64_t count);

  KernelEmitter &e;
  MatmulOp matmul;
  SmallVector<Value> ofEpilogue; // EpilogueMemory.h
  int64_t columns = 0;
  Tile tile{1, 1};
  int64_t bands = 1, bandGroups = 1; // of a tile's columns
  std::optional<SharedSums> sharing;
  std::optional<LateEpilogue> late;
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
  int64_t vectors = (columns + e.lanes() - 1) / e.lanes();
  e.setLanes(Lanes::Columns);
  sharing = SharedSums::of(e, matmul.getResult());
  if (sharing)
    vectors = sharing->vectors();
  // Arithmetic, and some sixteen cycles a vector for the epilogue.
  double cycles =
      static_cast<double>(rows) * vectors * (e.layout.batchBound + 16);
  bool byRows = forwardIsInParts(e.kernel);
  auto written = e.kernel.getBody().front().getOps<WriteOp>();
  bool hasSlots = llvm::range_size(written) > 1;
  auto ceilDivide = [](int64_t x, int64_t y) { return (x + y - 1) / y; };
  bool waits = LateEpilogue::pays(e, matmul.getResult());
  auto canBeLate = [&](Tile tile) {
    int64_t blocks = ceilDivide(rows, tile.rows);
    bool leavesTasks =
        LateEpilogue::mostTasks(blocks) > 1 || chooseTasks(blocks, cycles) == 1;
    return waits && leavesTasks && LateEpilogue::fits(e, tile.rows * columns);
  };
  // Enough bands for a few threads, more where they would be too wide.
  auto groupsOf = [&](Tile tile) {
    int64_t groups = ceilDivide(vectors, tile.vectors);
    if (byRows || canBeLate(tile))
      return groups;
    constexpr int64_t enough = 4, cacheFloats = 32 * 1024 / 4;
    int64_t most =
        cacheFloats / (e.layout.batchBound * tile.vectors * e.lanes());
    return std::clamp<int64_t>(most, 1, ceilDivide(groups, enough));
  };
  auto unitsOf = [&](Tile tile) {
    return ceilDivide(rows, tile.rows) *
           ceilDivide(ceilDivide(vectors, tile.vectors), groupsOf(tile));
  };
  TileWork work = {.steps = e.layout.batchBound,
                   .updates = true,
                   .hasSlots = hasSlots,
                   .isFar = true};
  tile =
      chooseTile(e, matmul,
                 sharing ? sharing->tiles()
                         : rankTiles(rows, vectors, work, e.layout.target),
                 [&](Tile tile) { return chooseTasks(unitsOf(tile), cycles); });

  int64_t rowTiles = ceilDivide(rows, tile.rows);
  int64_t lastRows = rows - (rowTiles - 1) * tile.rows;
  bandGroups = groupsOf(tile);
  bands = ceilDivide(ceilDivide(vectors, tile.vectors), bandGroups);
  bool isLate = canBeLate(tile);
  int64_t units = unitsOf(tile);
  int64_t tasks =
      chooseTasks(isLate ? LateEpilogue::mostTasks(units) : units, cycles);

  auto [low, high] = e.taskRange(units, tasks);
  if (isLate)
    late.emplace(e, matmul.getResult(), tile.rows, lastRows,
                 ceilDivide(vectors, tile.vectors));
  else // One run of memory the processor follows by itself.
    ofEpilogue = epilogueMemory(e, matmul.getResult());
  e.loop(low, high, 1, [&](Value unit) {
    Value band = arith::DivUIOp::create(e.b, unit, e.index(rowTiles));
    Value number = arith::RemUIOp::create(e.b, unit, e.index(rowTiles));
    Value k = e.mul(number, tile.rows);
    if (lastRows == tile.rows)
      return buildRows(k, tile.rows, band);
    Value isFull = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, number,
                                         e.index(rowTiles - 1));
    branch(
        isFull, [&] { buildRows(k, tile.rows, band); },
        [&] { buildRows(k, lastRows, band); });
  });
  if (late)
    late->finish();
  return tasks;
}

int64_t WeightGradientNest::buildPacked(const MatmulBlocks &blocks) {
  columns = tensorTypeOf(matmul.getResult()).getDimSize(1);
  e.setLanes(Lanes::Columns);
  PackedMatmul nest(e, blocks, matmul.getResult(), e.memory(matmul.getA()),
                    e.memory(matmul.getB()), columns, /*rowsInFours=*/false);
  nest.build(e.batch, e.index(columns),
             [&](Value k, Value m, Value mask, ArrayRef<Value> sums) {
               for (auto [r, value] : llvm::enumerate(sums))
                 endVector(value, k, r, m, mask);
             });
  return blocks.tasks();
}

void WeightGradientNest::branch(Value condition,
                                llvm::function_ref<void()> whenTrue,
                                llvm::function_ref<void()> whenFalse) {
  auto branch = scf::IfOp::create(e.b, condition, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(branch.thenBlock());
  e.scope(whenTrue);
  e.b.setInsertionPointToStart(branch.elseBlock());
  e.scope(whenFalse);
}

void WeightGradientNest::buildRows(Value k, int64_t rows, Value band) {
  int64_t step = tile.vectors * e.lanes(), ofBand = bandGroups * step;
  int64_t whole = columns / step * step, rest = sharing ? 0 : columns - whole;
  Value first = e.mul(band, ofBand);
  Value end = arith::MinUIOp::create(e.b, e.add(first, ofBand), e.index(whole));
  if (whole)
    e.loop(first, end, step,
           [&](Value m) { buildTile(k, m, rows, tile.vectors, e.lanes()); });
  if (rest) {
    Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, band,
                                         e.index(bands - 1));
    branch(
        isLast,
        [&] {
          int64_t vectors = (rest + e.lanes() - 1) / e.lanes();
          buildTile(k, e.index(whole), rows, vectors,
                    rest - (vectors - 1) * e.lanes());
        },
        [] {});
  }
  if (late)
    late->endBlock(k, rows);
}

/// The first `count` lanes; null for all of them.
Value WeightGradientNest::maskOf(int64_t count) {
  if (count == e.lanes())
    return {};
  return vector::ConstantMaskOp::create(
      e.b, VectorType::get({e.lanes()}, e.b.getI1Type()), ArrayRef{count});
}

/// What is done with a vector of complete sums: at (k + row, m).
void WeightGradientNest::endVector(Value sums, Value k, int64_t row, Value m,
                                   Value mask) {
  if (late)
    return late->keep(sums, row, m, mask);
  e.point([&] {
    e.setMask(mask);
    e.seed(matmul.getResult(), sums);
    e.storeAll(ValueRange{e.add(k, row), m},
               [](RankedTensorType) { return true; });
    e.setMask({});
  });
}

void WeightGradientNest::buildTile(Value k, Value m, int64_t rows,
                                   int64_t vectors, int64_t lastLanes) {
  Value x = e.memory(matmul.getA()), dy = e.memory(matmul.getB());
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  Value lastMask = maskOf(lastLanes), zero = e.vectorConstant(0);
  int64_t own = rows * vectors; // sums of single rows
  SmallVector<Value> start(own + (sharing ? sharing->sharedBy(rows) : 0), zero);
  // What the epilogue goes through comes while the sums are made: rows lie far
  // apart, and no processor guesses the next ones. Few steps are over before it
  // is there, and some have no loads to spare beside their products: then all
  // is asked for at once.
  int64_t linesOfRow = (vectors * e.lanes() + kLine - 1) / kLine;
  int64_t lines = rows * linesOfRow;
  if (sharing) // rows behind each other
    lines = linesOfRow = rows * columns / kLine;
  auto matrices = static_cast<int64_t>(ofEpilogue.size());
  bool inSteps = lines <= e.layout.batchBound &&
                 rows + vectors + matrices <= rows * vectors;
  for (int64_t i = 0; i < lines && !inSteps; ++i)
    fetchLine(e, ofEpilogue, k, m, e.index(i), linesOfRow);
  auto step = [&](Value n, ValueRange acc) {
    if (inSteps)
      fetchLine(e, ofEpilogue, k, m,
                arith::MinUIOp::create(e.b, n, e.index(lines - 1)), linesOfRow);
    auto loadDy = [&](int64_t v) -> Value {
      SmallVector<Value> at = {n, e.add(m, v * e.lanes())};
      if (lastMask && v == vectors - 1)
        return vector::MaskedLoadOp::create(e.b, vector, dy, at, lastMask,
                                            zero);
      return vector::LoadOp::create(e.b, vector, dy, at);
    };
    auto loadSpread = [&](int64_t r) -> Value {
      Value scalar = memref::LoadOp::create(e.b, x, ValueRange{e.add(k, r), n});
      return vector::BroadcastOp::create(e.b, vector, scalar);
    };
    SmallVector<Value> dys(vectors), spreads(rows), next(own);
    auto multiply = [&](int64_t r, int64_t v) {
      if (!spreads[r])
        spreads[r] = loadSpread(r);
      if (!dys[v])
        dys[v] = loadDy(v);
      int64_t i = r * vectors + v;
      next[i] = vector::FMAOp::create(e.b, spreads[r], dys[v], acc[i]);
    };
    // Shared vectors need all scalars; else they pass by.
    if (sharing && vectors > rows) {
      for (int64_t v = 0; v < vectors; ++v)
        for (int64_t r = 0; r < rows; ++r)
          multiply(r, v);
    } else {
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t v = 0; v < vectors; ++v)
          multiply(r, v);
    }
    if (sharing)
      sharing->multiply(dy, n, spreads, SmallVector<Value>(acc.drop_front(own)),
                        next);
    return next;
  };
  SmallVector<Value> acc = late ? late->beside(start, step)
                                : e.loop(e.index(0), e.batch, 1, start, step);
  if (sharing) {
    for (auto [i, sums] : llvm::enumerate(sharing->asStored(acc)))
      endVector(sums, k, 0, e.index(i * e.lanes()), {});
    return;
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < vectors; ++v)
      endVector(acc[r * vectors + v], k, r, e.add(m, v * e.lanes()),
                v == vectors - 1 ? lastMask : Value());
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
