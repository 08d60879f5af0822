//===- LowerMatmul.cpp - activations times weights -----------------------===//
//
// y(m, n) = sum(k) w(k, m) x(k, n), lanes over samples n, and the input
// gradient dx(k, n) = sum(m) w(k, m) dy(m, n), which is the same with w read
// the other way. Weights are broadcast scalars in the order in which they are
// stored: nothing is packed.
//
//   for unit in this task's part of (M / R) x (N / (V lanes)), one or the other
//   first:
//     acc[R][V] = 0
//     for k: x[V] = load x(k, n..); acc[r][v] += broadcast w(k, m+r) * x[v]
//     epilogue on acc[r][v] at (m+r, n+v lanes): bias, activation, dropout, ...
//     store what is wanted
//
// With several contractions in a kernel (passes/SplitContractions.cpp) each is
// the part of one sum that some rows of x make: its k runs over these rows.
//
// Units of samples past the end of this batch are skipped. Large products,
// whose panels of x do not stay in the L2 cache, are cut in blocks
// (PackedMatmul.h). Weakness: where that begins is a constant
// (ir/MatmulBlocks.cpp).
//
//===----------------------------------------------------------------------===//

#include "codegen/EpilogueMemory.h"
#include "codegen/KernelEmitter.h"
#include "codegen/NextSlice.h"
#include "codegen/PackedMatmul.h"
#include "codegen/Pointers.h"
#include "codegen/TileChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
class MatmulNest {
public:
  explicit MatmulNest(KernelEmitter &e)
      : e(e), matmul(*e.kernel.getBody().front().getOps<MatmulOp>().begin()),
        parts(e.kernel.getBody().front().getOps<MatmulOp>()) {}

  FailureOr<int64_t> build();

private:
  int64_t buildPacked(const MatmulBlocks &blocks);
  Value weightMemory();
  void buildUnits(Value low, Value high);
  void buildTile(Value m, Value n, int64_t rows);
  SmallVector<Value> accumulate(Value m, Value n, int64_t rows);
  void findNextInput();
  Value firstFetched(Value m, Value n);
  void fetchNextInput(Value from, Value k);

  KernelEmitter &e;
  MatmulOp matmul;
  SmallVector<MatmulOp> parts;
  unsigned part = 0; // which of them is `matmul`
  ContractedRows contracted;
  // The first `fullTiles` tiles have all rows, the others `lastRows` each.
  int64_t rowTiles = 0, fullTiles = 0, lastRows = 0, sampleTiles = 0;
  bool downColumns = false; // do tiles of the same samples follow each other?
  Tile tile{1, 1};
  SmallVector<Value> ofEpilogue; // EpilogueMemory.h
  // In a slice: the next slice's input (NextSlice.h), floats fetched at a step.
  Value nextInput;
  int64_t fetchedFloats = 0;
};
} // namespace

ContractedRows sinter::contractedRows(MatmulOp matmul) {
  Value x = matmul.getA();
  if (auto pad = x.getDefiningOp<PadOp>())
    if (auto slice = pad.getX().getDefiningOp<SliceOp>())
      if (pad.getLow() == slice.getStart())
        return {slice.getX(), int64_t(slice.getStart()),
                int64_t(slice.getStart() + slice.getSize())};
  RankedTensorType type = tensorTypeOf(x);
  return {x, 0, type.getDimSize(matmul.getTransposeA() ? 0 : 1)};
}

FailureOr<int64_t> MatmulNest::build() {
  RankedTensorType result = tensorTypeOf(matmul.getResult());
  if (matmul.getTransposeA() || isBatched(matmul.getB()))
    return matmul.emitError("expected activations times weights, got ")
           << matmul.getA().getType() << " and " << matmul.getB().getType();
  if (auto blocks = blocksOf(matmul, e.layout.batchBound);
      blocks && hasScratch(e.kernel))
    return buildPacked(*blocks);
  int64_t inner = tensorTypeOf(matmul.getA()).getDimSize(1);
  int64_t rows = result.getDimSize(1);
  int64_t vectors = e.layout.padded() / e.lanes();
  double cycles =
      static_cast<double>(rows) * inner * vectors; // one FMA a cycle
  // Samples are padded to whole tiles of vectors.
  tile = chooseTile(e, matmul,
                    rankTiles(rows, vectors,
                              {.steps = inner, .isFar = true, .dividing = true},
                              e.layout.target),
                    [&](Tile tile) {
                      int64_t units = (rows + tile.rows - 1) / tile.rows *
                                      (vectors / tile.vectors);
                      return chooseTasks(units, cycles);
                    });
  // Random numbers come in blocks of four rows.
  auto random = e.kernel.getBody().front().getOps<RandomUniformOp>();
  if (!random.empty() && tile.rows > 4)
    tile.rows -= tile.rows % 4;

  rowTiles = (rows + tile.rows - 1) / tile.rows;
  lastRows = rows - (rowTiles - 1) * tile.rows;
  fullTiles = rowTiles - 1;
  // A last tile whose products do not hide their latency: then all are about as
  // high.
  constexpr int64_t enough = 10, many = 8;
  if (lastRows * tile.vectors < enough && rowTiles >= many && random.empty() &&
      !nextSliceFloats(e.kernel)) {
    tile.rows = (rows + rowTiles - 1) / rowTiles;
    fullTiles = rows - rowTiles * (tile.rows - 1);
    lastRows = fullTiles == rowTiles ? tile.rows : tile.rows - 1;
  }
  sampleTiles = e.layout.padded() / (tile.vectors * e.lanes());
  // An x as large as the L2 cache does not stay there from one row of tiles to
  // the next, but what a column of tiles needs of it does. And where weights
  // stay there, it is better that threads share the smaller operand; small ones
  // are better written and read by the same thread.
  constexpr int64_t cache = 1 << 20;
  int64_t ofX = storedBytes(tensorTypeOf(matmul.getA()), e.layout.batchBound);
  int64_t ofWeights = storedBytes(tensorTypeOf(matmul.getB()), 1);
  downColumns = ofX >= cache || (ofWeights >= cache / 8 &&
                                 ofWeights <= std::min(ofX, cache / 2));
  int64_t unitsPerPart = rowTiles * sampleTiles;
  int64_t units = unitsPerPart * static_cast<int64_t>(parts.size());
  int64_t tasks = chooseTasks(units, cycles);

  e.setLanes(Lanes::Samples);
  findNextInput();
  seedNumbers(e);
  constexpr int64_t large = 64 * 1024; // more than the first cache
  if (storedBytes(result, e.layout.batchBound) >= large)
    ofEpilogue = epilogueMemory(e, matmul.getResult());
  auto [low, high] = e.taskRange(units, tasks);
  for (part = 0; part < parts.size(); ++part) {
    matmul = parts[part];
    contracted = contractedRows(matmul);
    // This task's units of [part * unitsPerPart, (part + 1) * unitsPerPart).
    auto unitInPart = [&](Value unit) -> Value {
      if (parts.size() == 1)
        return unit;
      int64_t first = part * unitsPerPart;
      Value from = arith::MaxUIOp::create(e.b, unit, e.index(first));
      Value to =
          arith::MinUIOp::create(e.b, from, e.index(first + unitsPerPart));
      return arith::SubIOp::create(e.b, to, e.index(first));
    };
    buildUnits(unitInPart(low), unitInPart(high));
  }
  return tasks;
}

void MatmulNest::buildUnits(Value low, Value high) {
  int64_t samplesPerTile = tile.vectors * e.lanes();
  e.loop(low, high, 1, [&](Value unit) {
    Value across = e.index(downColumns ? rowTiles : sampleTiles);
    Value rowTile = arith::DivUIOp::create(e.b, unit, across);
    Value sampleTile = arith::RemUIOp::create(e.b, unit, across);
    if (downColumns)
      std::swap(rowTile, sampleTile);
    Value n = e.mul(sampleTile, samplesPerTile);
    Value m = e.mul(rowTile, tile.rows);
    if (fullTiles < rowTiles - 1)
      m = e.sum(e.mul(rowTile, lastRows),
                arith::MinUIOp::create(e.b, rowTile, e.index(fullTiles)));
    Value hasSamples =
        arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, n, e.batch);
    auto guard = scf::IfOp::create(e.b, hasSamples, /*withElse=*/false);
    OpBuilder::InsertionGuard insertion(e.b);
    e.b.setInsertionPointToStart(guard.thenBlock());
    if (lastRows == tile.rows) {
      e.scope([&] { buildTile(m, n, tile.rows); });
      return;
    }
    Value isFull = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                         rowTile, e.index(fullTiles));
    auto branch = scf::IfOp::create(e.b, isFull, /*withElse=*/true);
    e.b.setInsertionPointToStart(branch.thenBlock());
    e.scope([&] { buildTile(m, n, tile.rows); });
    e.b.setInsertionPointToStart(branch.elseBlock());
    e.scope([&] { buildTile(m, n, lastRows); });
  });
}

Value MatmulNest::weightMemory() {
  auto read = matmul.getB().getDefiningOp<ReadOp>();
  return read && read->getParentOp() == e.kernel
             ? e.stateMemory(read.getState())
             : e.memory(matmul.getB());
}

int64_t MatmulNest::buildPacked(const MatmulBlocks &blocks) {
  auto random = e.kernel.getBody().front().getOps<RandomUniformOp>();
  e.setLanes(Lanes::Samples);
  PackedMatmul nest(e, blocks, matmul.getResult(), weightMemory(),
                    e.memory(matmul.getA()), e.layout.padded(),
                    /*rowsInFours=*/!random.empty());
  nest.build(e.index(blocks.inner), e.batch,
             [&](Value row, Value n, Value, ArrayRef<Value> sums) {
               e.setSample(n);
               for (auto [r, value] : llvm::enumerate(sums))
                 e.point([&] {
                   e.seed(matmul.getResult(), value);
                   e.storeAll(ValueRange{e.add(row, r)},
                              [](RankedTensorType) { return true; });
                 });
             });
  return blocks.tasks();
}

/// The tiles above each other share the lines of their samples' successors.
void MatmulNest::findNextInput() {
  int64_t floats = nextSliceFloats(e.kernel);
  if (!floats || parts.size() > 1)
    return;
  constexpr int64_t most = 2 * kLine; // more, and the memory is not idle
  int64_t samples = tile.vectors * e.lanes();
  int64_t steps = rowTiles * tensorTypeOf(matmul.getA()).getDimSize(1);
  fetchedFloats = (samples * floats + steps - 1) / steps;
  if (fetchedFloats > kLine)
    fetchedFloats = (fetchedFloats + kLine - 1) / kLine * kLine;
  if (fetchedFloats > most)
    return;
  Value call = e.task.getDefiningOp()->getBlock()->getArgument(0);
  Value input = loadInput(e.b, e.b.getLoc(), call, 0);
  nextInput = createMemRef(
      e.b, e.b.getLoc(), input, 0,
      MemRefType::get({2 * e.layout.batchBound, floats}, e.b.getF32Type()));
}

/// Where the lines begin that the tile at (m, n) fetches, counted from the
/// slice's first input.
Value MatmulNest::firstFetched(Value m, Value n) {
  int64_t floats = cast<MemRefType>(nextInput.getType()).getDimSize(1);
  int64_t inner = tensorTypeOf(matmul.getA()).getDimSize(1);
  Value rowTile = arith::DivUIOp::create(e.b, m, e.index(tile.rows));
  return e.sum(e.mul(e.sum(e.batch, n), floats),
               e.mul(rowTile, inner * fetchedFloats));
}

/// Past the end of the caller's memory this is harmless.
void MatmulNest::fetchNextInput(Value from, Value k) {
  for (int64_t i = 0; i < fetchedFloats; i += kLine) {
    Value at = e.add(e.sum(from, e.mul(k, fetchedFloats)), i);
    memref::PrefetchOp::create(e.b, nextInput, ValueRange{e.index(0), at},
                               /*isWrite=*/false, /*localityHint=*/2,
                               /*isDataCache=*/true);
  }
}

SmallVector<Value> MatmulNest::accumulate(Value m, Value n, int64_t rows) {
  Value x = e.memory(contracted.x);
  Value w = weightMemory();
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  SmallVector<Value> start(rows * tile.vectors, e.vectorConstant(0));
  Value fetched = nextInput ? firstFetched(m, n) : Value();
  // Weights that other kernels drive out of the L2 cache: a tile's columns lie
  // a row apart, too far for a processor to follow, so each asks for the next
  // one's. Past the last it is harmless.
  constexpr int64_t large = 512 * 1024;
  bool fetchesWeights = !matmul.getTransposeB() &&
                        storedBytes(tensorTypeOf(matmul.getB()), 1) > large;
  // Targets and results: in steps that have loads to spare beside their
  // products.
  int64_t linesOfRow = tile.vectors * e.lanes() / kLine;
  int64_t lines = rows * linesOfRow;
  bool fetchesEpilogue =
      !ofEpilogue.empty() && !fetchesWeights && linesOfRow &&
      contracted.low == 0 && lines <= contracted.high &&
      rows + tile.vectors + static_cast<int64_t>(ofEpilogue.size()) <=
          rows * tile.vectors;
  return e.loop(
      e.index(contracted.low), e.index(contracted.high), 1, start,
      [&](Value k, ValueRange acc) {
        SmallVector<Value> xs, next;
        if (nextInput)
          fetchNextInput(fetched, k);
        if (fetchesWeights)
          memref::PrefetchOp::create(e.b, w, ValueRange{k, e.add(m, rows)},
                                     /*isWrite=*/false,
                                     /*localityHint=*/2, /*isDataCache=*/true);
        if (fetchesEpilogue)
          fetchLine(e, ofEpilogue, m, n,
                    arith::MinUIOp::create(e.b, k, e.index(lines - 1)),
                    linesOfRow);
        for (int64_t v = 0; v < tile.vectors; ++v)
          xs.push_back(vector::LoadOp::create(
              e.b, vector, x, ValueRange{k, e.add(n, v * e.lanes())}));
        for (int64_t r = 0; r < rows; ++r) {
          Value row = e.add(m, r);
          Value scalar = memref::LoadOp::create(
              e.b, w,
              matmul.getTransposeB() ? ValueRange{row, k} : ValueRange{k, row});
          Value spread = vector::BroadcastOp::create(e.b, vector, scalar);
          for (int64_t v = 0; v < tile.vectors; ++v)
            next.push_back(
                vector::FMAOp::create(e.b, spread, xs[v], acc[next.size()]));
        }
        return next;
      });
}

void MatmulNest::buildTile(Value m, Value n, int64_t rows) {
  SmallVector<Value> acc = accumulate(m, n, rows);
  for (int64_t v = 0; v < tile.vectors; ++v) {
    e.setSample(e.add(n, v * e.lanes()));
    for (int64_t r = 0; r < rows; ++r)
      e.point([&] {
        if (parts.size() > 1)
          return e.storeResult(part, acc[r * tile.vectors + v],
                               ValueRange{e.add(m, r)});
        e.seed(matmul.getResult(), acc[r * tile.vectors + v]);
        e.storeAll(ValueRange{e.add(m, r)},
                   [](RankedTensorType) { return true; });
      });
  }
}

FailureOr<int64_t> sinter::lowerMatmul(KernelEmitter &e) {
  return MatmulNest(e).build();
}
