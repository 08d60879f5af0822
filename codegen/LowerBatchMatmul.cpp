//===- LowerBatchMatmul.cpp - each sample's matrices times each other ----===//
//
// y(l, i, j) = sum(k) a(l, i, k) b(l, k, j) for all l, the axes before the
// matrices: attention's scores and its weighted sums. Nothing is shared between
// samples, so with lanes over samples n both operands are vectors:
//
//   for unit in this task's part of l x n x (I / R) x (J / C):
//     acc[R][C] = 0
//     for k: b[C] = load b(l, k, j.., n); a = load a(l, i+r, k, n)
//            acc[r][c] += a * b[c]
//     epilogue on acc[r][c] at (l, i+r, j+c, n): scale, mask, ...
//     store what is wanted
//
// R + C loads serve R C multiply-adds. Neighbouring units differ in n, then j,
// then i: what one reads lies beside what the next does. (With n outside, rows
// of one vector are far apart, share few sets of a cache, and drive each other
// out: 80 instead of 100 GFLOP/s for 4 heads of 64 x 32, 32 samples.)
//
// Of one sample, lanes run along j, and a is a broadcast scalar:
//
//   for unit in this task's part of l x (I / R) x (J / V lanes):
//     for k: b[V] = load b(l, k, j..); acc[r][v] += broadcast a(l, i+r, k) *
//     b[v]
//
// Operands may be transpositions of what lies in memory, results transpositions
// of the products (fusion leaves both to the kernel): an axis is then another
// factor of an address. Of one sample, j
// is contiguous in memory (passes/SpecializeSample.cpp).
//
// Weakness: no blocks of k. Where a row of tiles of both operands leaves the L2
// cache (k beyond about 1500 for lanes of 16 samples), operands come from
// further away.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelEmitter.h"
#include "codegen/TileChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
/// An operand as it lies in memory: its feature axis i is axis axes[i] there.
struct View {
  Value stored;
  SmallVector<int64_t> axes;
  bool transposed; // rows and columns, on top of that

  /// Where element (row, column) of the matrices at `lead` is. Axes that
  /// broadcast stay at 0.
  Indices place(KernelEmitter &e, ArrayRef<Value> lead, Value row,
                Value column) const {
    ArrayRef<int64_t> shape = featureShape(tensorTypeOf(stored));
    Indices logical(lead);
    logical.append({transposed ? column : row, transposed ? row : column});
    Indices at(axes.size());
    for (auto [i, axis] : llvm::enumerate(axes))
      at[axis] = shape[axis] == 1 ? e.index(0) : logical[i];
    return at;
  }
};

class BatchMatmul {
public:
  explicit BatchMatmul(KernelEmitter &e)
      : e(e),
        matmul(*e.kernel.getBody().front().getOps<BatchMatmulOp>().begin()),
        a(viewOf(matmul.getA(), matmul.getTransposeA())),
        b(viewOf(matmul.getB(), matmul.getTransposeB())) {
    ArrayRef<int64_t> shape = featureShape(tensorTypeOf(matmul.getResult()));
    lead = shape.drop_back(2);
    rows = shape[shape.size() - 2];
    columns = shape.back();
    inner = matmul.getInner();
    for (int64_t size : lead)
      leads *= size;
  }

  int64_t buildBatch();
  FailureOr<int64_t> buildSample();

private:
  using Body = llvm::function_ref<void(int64_t)>;

  View viewOf(Value operand, bool transposed) const;
  void whetherLast(Value tile, int64_t tiles, int64_t whole, int64_t last,
                   Body body);
  Indices leadAt(Value number);
  void buildTile(ArrayRef<Value> at, Value i, Value j, int64_t tileRows,
                 int64_t tileColumns);
  void buildSampleTile(ArrayRef<Value> at, Value i, Value j, int64_t tileRows,
                       ArrayRef<VectorPiece> pieces);
  void store(ArrayRef<Value> features);
  Value addressIn(const View &view, ArrayRef<Value> at, Value row,
                  Value column);

  KernelEmitter &e;
  BatchMatmulOp matmul;
  View a, b;
  ArrayRef<int64_t> lead;
  int64_t leads = 1, rows = 0, columns = 0, inner = 0;
};
} // namespace

View BatchMatmul::viewOf(Value operand, bool transposed) const {
  auto rank = static_cast<int64_t>(featureShape(tensorTypeOf(operand)).size());
  View view{operand, llvm::to_vector(llvm::seq<int64_t>(0, rank)), transposed};
  auto transpose = operand.getDefiningOp<TransposeOp>();
  if (!transpose || transpose->getParentOp() != e.kernel)
    return view;
  view.stored = transpose.getX();
  for (auto [axis, from] :
       llvm::zip_equal(view.axes, transpose.getPermutation().drop_front()))
    axis = from - 1; // features are counted without the batch
  return view;
}

/// body(last) in the last of `tiles`, body(whole) in the others.
void BatchMatmul::whetherLast(Value tile, int64_t tiles, int64_t whole,
                              int64_t last, Body body) {
  if (whole == last || tiles == 1)
    return e.scope([&] { body(last); });
  Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, tile,
                                       e.index(tiles - 1));
  auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/true);
  OpBuilder::InsertionGuard insertion(e.b);
  e.b.setInsertionPointToStart(branch.elseBlock());
  e.scope([&] { body(whole); });
  e.b.setInsertionPointToStart(branch.thenBlock());
  e.scope([&] { body(last); });
}

/// The indices of matrix `number`.
Indices BatchMatmul::leadAt(Value number) {
  Indices at(lead.size());
  for (size_t i = lead.size(); i-- > 0;) {
    at[i] =
        i == 0
            ? number
            : arith::RemUIOp::create(e.b, number, e.index(lead[i])).getResult();
    if (i > 0)
      number = arith::DivUIOp::create(e.b, number, e.index(lead[i]));
  }
  return at;
}

/// The kernel's results at a point of the products, transposed ones where that
/// goes. All are computed before any is stored, which may be where operands of
/// the epilogue were.
void BatchMatmul::store(ArrayRef<Value> features) {
  SmallVector<std::pair<Value, Indices>> results;
  for (Value result : e.kernel.getYield().getValues()) {
    Indices at(features);
    auto transpose = result.getDefiningOp<TransposeOp>();
    if (transpose)
      for (auto [to, from] :
           llvm::zip_equal(at, transpose.getPermutation().drop_front()))
        to = features[from - 1];
    results.emplace_back(
        e.emit(transpose ? transpose.getX() : result, features), at);
  }
  for (auto [i, result] : llvm::enumerate(results))
    e.storeResult(i, result.first, result.second);
}

//===----------------------------------------------------------------------===//
// Lanes over samples
//===----------------------------------------------------------------------===//

int64_t BatchMatmul::buildBatch() {
  int64_t vectors = e.layout.padded() / e.lanes();
  double cycles = static_cast<double>(leads * rows * columns * inner * vectors);
  auto unitsOf = [&](Tile tile) {
    return leads * vectors * ((rows + tile.rows - 1) / tile.rows) *
           ((columns + tile.vectors - 1) / tile.vectors);
  };
  // "vectors" of the tile are columns here, each a vector of samples.
  Tile tile =
      chooseTile(e, matmul,
                 rankTiles(rows, columns,
                           {.steps = inner,
                            .hasEpilogue = false,
                            .mostVectors = e.layout.target.registers},
                           e.layout.target),
                 [&](Tile t) { return chooseTasks(unitsOf(t), cycles); });
  int64_t rowTiles = (rows + tile.rows - 1) / tile.rows;
  int64_t columnTiles = (columns + tile.vectors - 1) / tile.vectors;
  int64_t lastRows = rows - (rowTiles - 1) * tile.rows;
  int64_t lastColumns = columns - (columnTiles - 1) * tile.vectors;
  int64_t units = unitsOf(tile), tasks = chooseTasks(units, cycles);

  e.setLanes(Lanes::Samples);
  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value unit) {
    auto next = [&](int64_t size) {
      Value part = arith::RemUIOp::create(e.b, unit, e.index(size));
      unit = arith::DivUIOp::create(e.b, unit, e.index(size));
      return part;
    };
    Value sample = e.mul(next(vectors), e.lanes());
    Value columnTile = next(columnTiles), rowTile = next(rowTiles);
    Indices at = leadAt(unit);
    Value hasSamples =
        arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, sample, e.batch);
    auto guard = scf::IfOp::create(e.b, hasSamples, /*withElse=*/false);
    OpBuilder::InsertionGuard insertion(e.b);
    e.b.setInsertionPointToStart(guard.thenBlock());
    e.setSample(sample);
    Value i = e.mul(rowTile, tile.rows), j = e.mul(columnTile, tile.vectors);
    whetherLast(rowTile, rowTiles, tile.rows, lastRows, [&](int64_t r) {
      whetherLast(columnTile, columnTiles, tile.vectors, lastColumns,
                  [&](int64_t c) { buildTile(at, i, j, r, c); });
    });
  });
  return tasks;
}

void BatchMatmul::buildTile(ArrayRef<Value> at, Value i, Value j,
                            int64_t tileRows, int64_t tileColumns) {
  Value left = e.memory(a.stored), right = e.memory(b.stored);
  auto vector = cast<VectorType>(e.elementVector(e.b.getF32Type()));
  auto load = [&](Value memory, Indices place) -> Value {
    place.push_back(e.currentSample());
    return vector::LoadOp::create(e.b, vector, memory, place);
  };
  SmallVector<Value> start(tileRows * tileColumns, e.vectorConstant(0));
  SmallVector<Value> acc = e.loop(
      e.index(0), e.index(inner), 1, start, [&](Value k, ValueRange sums) {
        SmallVector<Value> line, next;
        for (int64_t c = 0; c < tileColumns; ++c)
          line.push_back(load(right, b.place(e, at, k, e.add(j, c))));
        for (int64_t r = 0; r < tileRows; ++r) {
          Value x = load(left, a.place(e, at, e.add(i, r), k));
          for (int64_t c = 0; c < tileColumns; ++c)
            next.push_back(
                vector::FMAOp::create(e.b, x, line[c], sums[next.size()]));
        }
        return next;
      });
  for (int64_t r = 0; r < tileRows; ++r)
    for (int64_t c = 0; c < tileColumns; ++c)
      e.point([&] {
        e.seed(matmul.getResult(), acc[r * tileColumns + c]);
        Indices features(at);
        features.append({e.add(i, r), e.add(j, c)});
        store(features);
      });
}

//===----------------------------------------------------------------------===//
// Lanes along the columns of one sample
//===----------------------------------------------------------------------===//

FailureOr<int64_t> BatchMatmul::buildSample() {
  if (b.transposed || b.axes.back() + 1 != static_cast<int64_t>(b.axes.size()))
    return matmul.emitError("expected the right matrices row by row in memory, "
                            "got them transposed");
  SmallVector<VectorPiece> pieces = splitInVectors(columns, e.layout.target);
  auto vectors = static_cast<int64_t>(pieces.size());
  double cycles = static_cast<double>(leads * rows * inner * vectors);
  auto unitsOf = [&](const SampleTile &tile) {
    return leads * ((rows + tile.pixels - 1) / tile.pixels) *
           ((vectors + tile.vectors - 1) / tile.vectors);
  };
  std::vector<KernelEmitter::Numbers> tiles;
  int64_t least = 0;
  for (auto [cost, tile] :
       rankSampleTiles(rows, pieces, inner,
                       /*isStreamed=*/false, e.layout.target)) {
    int64_t tasks = chooseSampleTasks(unitsOf(tile), cycles);
    least = tiles.empty() ? tasks : least;
    if (tasks >= least)
      tiles.push_back({tile.pixels, tile.vectors});
  }
  KernelEmitter::Numbers chosen = e.choose(matmul, "tile", tiles);
  const SampleTile tile{chosen[0], chosen[1]};
  int64_t rowTiles = (rows + tile.pixels - 1) / tile.pixels;
  int64_t columnTiles = (vectors + tile.vectors - 1) / tile.vectors;
  int64_t lastRows = rows - (rowTiles - 1) * tile.pixels;
  ArrayRef<VectorPiece> whole = ArrayRef(pieces).take_front(tile.vectors);
  ArrayRef<VectorPiece> last =
      ArrayRef(pieces).drop_front((columnTiles - 1) * tile.vectors);
  bool isRagged =
      last.size() < whole.size() || last.back().existing < e.lanes();
  int64_t units = unitsOf(tile), tasks = chooseSampleTasks(units, cycles);

  e.setLanes(Lanes::Columns);
  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value unit) {
    Value rowTile = arith::RemUIOp::create(e.b, unit, e.index(rowTiles));
    Value rest = arith::DivUIOp::create(e.b, unit, e.index(rowTiles));
    Value columnTile = arith::RemUIOp::create(e.b, rest, e.index(columnTiles));
    Indices at =
        leadAt(arith::DivUIOp::create(e.b, rest, e.index(columnTiles)));
    Value i = e.mul(rowTile, tile.pixels);
    Value j = e.mul(columnTile, tile.vectors * e.lanes());
    whetherLast(rowTile, rowTiles, tile.pixels, lastRows, [&](int64_t r) {
      // Pieces of a whole tile, or of the last.
      whetherLast(columnTile, columnTiles, 1, isRagged ? 0 : 1, [&](int64_t w) {
        buildSampleTile(at, i, j, r, w ? whole : last);
      });
    });
  });
  return tasks;
}

/// In a flat memref.
Value BatchMatmul::addressIn(const View &view, ArrayRef<Value> at, Value row,
                             Value column) {
  ArrayRef<int64_t> shape = featureShape(tensorTypeOf(view.stored));
  Value address;
  for (auto [index, size] :
       llvm::zip_equal(view.place(e, at, row, column), shape))
    address = address ? e.sum(e.mul(address, size), index) : index;
  return address;
}

void BatchMatmul::buildSampleTile(ArrayRef<Value> at, Value i, Value j,
                                  int64_t tileRows,
                                  ArrayRef<VectorPiece> pieces) {
  Value left = e.memory(a.stored, /*flat=*/true);
  Value right = e.memory(b.stored, /*flat=*/true);
  SmallVector<Value> start;
  for (int64_t r = 0; r < tileRows; ++r)
    for (const VectorPiece &piece : pieces)
      start.push_back(e.zeroPiece(piece));
  SmallVector<Value> acc = e.loop(
      e.index(0), e.index(inner), 1, start, [&](Value k, ValueRange sums) {
        SmallVector<Value> line, next;
        Value row = addressIn(b, at, k, j);
        for (auto [v, piece] : llvm::enumerate(pieces))
          line.push_back(e.loadPiece(right, e.add(row, v * e.lanes()), piece));
        for (int64_t r = 0; r < tileRows; ++r) {
          Value scalar = memref::LoadOp::create(
              e.b, left, addressIn(a, at, e.add(i, r), k));
          for (Value x : line) {
            Value spread =
                vector::BroadcastOp::create(e.b, x.getType(), scalar);
            next.push_back(
                vector::FMAOp::create(e.b, spread, x, sums[next.size()]));
          }
        }
        return next;
      });
  for (int64_t r = 0; r < tileRows; ++r)
    for (auto [v, piece] : llvm::enumerate(pieces)) {
      e.setWidth(piece.lanes, piece.existing);
      e.point([&] {
        e.seed(matmul.getResult(), acc[r * pieces.size() + v]);
        Indices features(at);
        features.append({e.add(i, r), e.add(j, v * e.lanes())});
        store(features);
      });
    }
  e.resetWidth();
}

FailureOr<int64_t> sinter::lowerBatchMatmul(KernelEmitter &e) {
  return BatchMatmul(e).buildBatch();
}

FailureOr<int64_t> sinter::lowerSampleBatchMatmul(KernelEmitter &e) {
  return BatchMatmul(e).buildSample();
}
