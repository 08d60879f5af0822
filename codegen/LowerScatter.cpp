//===- LowerScatter.cpp - the gradient of an embedding -------------------===//
//
// Rows of dy are added to the rows of the result that x names:
//
//   clear the result
//   for each sample, for each of its indices: row[x] += row of dy
//
// Lanes are columns, and tasks have columns of their own, so that no two touch
// an element and each sums in the same order, however many there are.
// Weaknesses: every task looks at all indices; few columns make one task.
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
class ScatterNest {
public:
  explicit ScatterNest(KernelEmitter &e)
      : e(e),
        op(*e.kernel.getBody().front().getOps<EmbeddingGradientOp>().begin()) {}

  int64_t build();

private:
  /// For each block of this task's columns: body(first column, vector type).
  void forColumns(llvm::function_ref<void(Value, VectorType)> body);

  KernelEmitter &e;
  EmbeddingGradientOp op;
  int64_t columns = 0;
  Value low, high; // blocks of `lanes` columns, the last perhaps narrower
};
} // namespace

void ScatterNest::forColumns(llvm::function_ref<void(Value, VectorType)> body) {
  Type element = e.b.getF32Type();
  int64_t blocks = columns / e.lanes(), rest = columns % e.lanes();
  Value wholeEnd = arith::MinUIOp::create(e.b, high, e.index(blocks));
  e.loop(low, wholeEnd, 1, [&](Value block) {
    body(e.mul(block, e.lanes()), VectorType::get({e.lanes()}, element));
  });
  if (rest) {
    // A loop of one turn in the task that has it.
    Value first = arith::MaxUIOp::create(e.b, low, e.index(blocks));
    e.loop(first, high, 1, [&](Value block) {
      body(e.mul(block, e.lanes()), VectorType::get({rest}, element));
    });
  }
}

int64_t ScatterNest::build() {
  int64_t rows = op.getRows(), indices = featureCount(tensorTypeOf(op.getX()));
  columns = tensorTypeOf(op.getDy()).getShape().back();
  Value x = e.memory(op.getX(), /*flat=*/true);
  Value dy = e.memory(op.getDy(), /*flat=*/true);
  Value result = e.memory(e.kernel.getResult(0), /*flat=*/true);
  int64_t units = (columns + e.lanes() - 1) / e.lanes();
  double cycles =
      static_cast<double>(units) * (rows + 8.0 * e.layout.batchBound * indices);
  int64_t tasks = chooseTasks(units, cycles);
  std::tie(low, high) = e.taskRange(units, tasks);

  auto sum = [&](Value a, Value b) -> Value {
    return arith::AddIOp::create(e.b, a, b);
  };
  e.loop(e.index(0), e.index(rows), 1, [&](Value row) {
    forColumns([&](Value column, VectorType type) {
      Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(type));
      vector::StoreOp::create(e.b, zero, result,
                              ValueRange{sum(e.mul(row, columns), column)});
    });
  });
  e.loop(e.index(0), e.batch, 1, [&](Value sample) {
    e.loop(e.index(0), e.index(indices), 1, [&](Value i) {
      Value index = memref::LoadOp::create(e.b, x, ValueRange{sample, i});
      KernelEmitter::Row row = e.rowAt(index, rows);
      auto branch = scf::IfOp::create(e.b, row.exists, /*withElse=*/false);
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(branch.thenBlock());
      Value number =
          arith::IndexCastOp::create(e.b, e.b.getIndexType(), row.number);
      forColumns([&](Value column, VectorType type) {
        Value from = sum(e.mul(i, columns), column);
        Value to = sum(e.mul(number, columns), column);
        Value more =
            vector::LoadOp::create(e.b, type, dy, ValueRange{sample, from});
        Value before =
            vector::LoadOp::create(e.b, type, result, ValueRange{to});
        Value after = arith::AddFOp::create(e.b, before, more);
        vector::StoreOp::create(e.b, after, result, ValueRange{to});
      });
    });
  });
  return tasks;
}

FailureOr<int64_t> sinter::lowerScatter(KernelEmitter &e) {
  return ScatterNest(e).build();
}
