//===- LowerSampleMatmul.cpp - one sample's activations times weights ----===//
//
// y(m) = sum(k) x(k) w(k, m), lanes along m, in which the weights lie: each is
// read once, from front to back within a block of units, and multiplied by a
// broadcast x(k).
//
//   for block of V vectors of units in this task's part:
//     acc[S][V] = 0
//     for k, S at a time: acc[s][v] += broadcast x(k + s) * w(k + s, m + v..)
//     acc[0] + acc[1] + ...; epilogue at m + v..; store what is wanted
//
// Weights that an L2 cache could hold, were it not for those of other layers,
// come partly from further away: each step fetches some of a later one. A
// stream of more than that the processor follows better by itself.
//
// S partial sums hide the latency of multiply-adds where V alone is small. The
// last vector is masked, and no wider than it has to be. Memory is the limit:
// 4 bytes for two operations.
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
class SampleMatmul {
public:
  explicit SampleMatmul(KernelEmitter &e)
      : e(e), matmul(*e.kernel.getBody().front().getOps<MatmulOp>().begin()) {}

  int64_t build();

private:
  int64_t chooseSize(int64_t usual, int64_t vectors, int64_t most,
                     double cycles);
  void buildBlock(Value first, ArrayRef<VectorPiece> pieces);
  SmallVector<Value> accumulate(Value first, ArrayRef<VectorPiece> pieces);

  KernelEmitter &e;
  MatmulOp matmul;
  Value x, weights; // flat
  int64_t inner = 0, units = 0;
};
} // namespace

/// Vectors of a block: `usual`, or, without fewer tasks, another number.
int64_t SampleMatmul::chooseSize(int64_t usual, int64_t vectors, int64_t most,
                                 double cycles) {
  auto tasksOf = [&](int64_t size) {
    return chooseSampleTasks((vectors + size - 1) / size, cycles);
  };
  std::vector<KernelEmitter::Numbers> sizes = {{usual}};
  for (int64_t size = 1; size <= std::min(most, vectors); ++size)
    if (size != usual && tasksOf(size) >= tasksOf(usual))
      sizes.push_back({size});
  std::stable_sort(sizes.begin(), sizes.end(), [&](auto &a, auto &b) {
    return std::abs(a[0] - usual) < std::abs(b[0] - usual);
  });
  return e.choose(matmul, "vectors", sizes)[0];
}

int64_t SampleMatmul::build() {
  inner = tensorTypeOf(matmul.getA()).getDimSize(1);
  units = tensorTypeOf(matmul.getResult()).getDimSize(1);
  x = e.memory(matmul.getA(), /*flat=*/true);
  weights = e.weights(matmul.getB());

  SmallVector<VectorPiece> pieces = splitInVectors(units, e.layout.target);
  auto vectors = static_cast<int64_t>(pieces.size());
  // From a cache that is not the nearest, a core reads about 16 bytes a cycle.
  double cycles = static_cast<double>(inner * units) * 4 / 16;
  int64_t most = std::min<int64_t>(e.layout.target.registers - 4, 14);
  int64_t blocks =
      std::max((vectors + most - 1) / most, chooseSampleTasks(vectors, cycles));
  int64_t size =
      chooseSize((vectors + blocks - 1) / blocks, vectors, most, cycles);
  blocks = (vectors + size - 1) / size;
  int64_t tasks = chooseSampleTasks(blocks, cycles);

  e.setLanes(Lanes::Columns);
  auto [low, high] = e.taskRange(blocks, tasks);
  e.loop(low, high, 1, [&](Value block) {
    Value first = e.mul(block, size * e.lanes());
    ArrayRef<VectorPiece> whole = ArrayRef(pieces).take_front(size);
    ArrayRef<VectorPiece> last =
        ArrayRef(pieces).drop_front((blocks - 1) * size);
    bool isRagged =
        last.size() < whole.size() || last.back().existing < e.lanes();
    if (blocks == 1 || !isRagged)
      return buildBlock(first, whole);
    Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, block,
                                         e.index(blocks - 1));
    auto branch = scf::IfOp::create(e.b, isLast, /*withElse=*/true);
    OpBuilder::InsertionGuard insertion(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    e.scope([&] { buildBlock(first, last); });
    e.b.setInsertionPointToStart(branch.elseBlock());
    e.scope([&] { buildBlock(first, whole); });
  });
  return tasks;
}

/// The sums of each piece of the block that begins with unit `first`.
SmallVector<Value> SampleMatmul::accumulate(Value first,
                                            ArrayRef<VectorPiece> pieces) {
  constexpr int64_t inFlight = 8; // multiply-adds: 4 cycles, two a cycle
  auto vectors = static_cast<int64_t>(pieces.size());
  int64_t partial = std::clamp<int64_t>((inFlight + vectors - 1) / vectors, 1,
                                        std::max<int64_t>(inner, 1));
  constexpr int64_t large = 512 * 1024, cache = 1024 * 1024; // bytes
  constexpr int64_t ahead = 16 * 1024;
  int64_t bytes = storedBytes(tensorTypeOf(matmul.getB()), 1);
  bool isFetched = bytes > large && bytes <= cache;
  int64_t rowsAhead =
      ahead / (vectors * e.lanes() * static_cast<int64_t>(sizeof(float)));
  auto step = [&](Value k, int64_t sums, ValueRange acc) {
    SmallVector<Value> next(acc);
    for (int64_t s = 0; s < sums; ++s) {
      Value at = e.add(k, s);
      Value scalar = memref::LoadOp::create(e.b, x, at);
      Value row = e.sum(e.mul(at, units), first);
      for (auto [v, piece] : llvm::enumerate(pieces)) {
        int64_t unit = v * e.lanes();
        if (isFetched && unit % kFilterBlock == 0)
          memref::PrefetchOp::create(
              e.b, weights, e.add(row, unit + rowsAhead * units),
              /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
        Value w = e.loadPiece(weights, e.add(row, unit), piece);
        Value spread = vector::BroadcastOp::create(e.b, w.getType(), scalar);
        Value &sum = next[s * vectors + v];
        sum = vector::FMAOp::create(e.b, spread, w, sum);
      }
    }
    return next;
  };
  SmallVector<Value> acc;
  for (int64_t s = 0; s < partial; ++s)
    for (const VectorPiece &piece : pieces)
      acc.push_back(e.zeroPiece(piece));
  int64_t whole = inner / partial * partial;
  acc =
      e.loop(e.index(0), e.index(whole), partial, acc,
             [&](Value k, ValueRange sums) { return step(k, partial, sums); });
  acc = step(e.index(whole), inner - whole, acc);
  // In pairs, always the same.
  for (int64_t s = partial; s > 1; s = (s + 1) / 2)
    for (int64_t low = 0, high = (s + 1) / 2; high < s; ++low, ++high)
      for (int64_t v = 0; v < vectors; ++v)
        acc[low * vectors + v] = arith::AddFOp::create(
            e.b, acc[low * vectors + v], acc[high * vectors + v]);
  acc.truncate(vectors);
  return acc;
}

void SampleMatmul::buildBlock(Value first, ArrayRef<VectorPiece> pieces) {
  SmallVector<Value> acc = accumulate(first, pieces);
  for (auto [v, piece] : llvm::enumerate(pieces)) {
    e.setWidth(piece.lanes, piece.existing);
    e.point([&] {
      e.seed(matmul.getResult(), acc[v]);
      e.storeAll(ValueRange{e.add(first, v * e.lanes())},
                 [](RankedTensorType) { return true; });
    });
  }
  e.resetWidth();
}

FailureOr<int64_t> sinter::lowerSampleMatmul(KernelEmitter &e) {
  return SampleMatmul(e).build();
}
