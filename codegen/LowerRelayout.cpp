//===- LowerRelayout.cpp - row-major and batch-minor ---------------------===//
//
// Both are matrices, (samples, features) and (features, samples): a relayout is
// a transposition in square blocks of `lanes`, in registers.
//
//   rows -> lanes   rows past the batch are read as 0, never from memory
//   lanes -> rows   rows past the batch are not written
//
// A task goes along its features with a block of samples before it takes the
// next: so many rows at a time are what a processor reads ahead by itself. From
// the caller's memory, which may be far, the next lines are fetched as well.
//
// With one feature there is nothing to transpose: a masked copy.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelEmitter.h"
#include "codegen/TileChoice.h"
#include "passes/Schedule.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

namespace {
class RelayoutNest {
public:
  explicit RelayoutNest(KernelEmitter &e)
      : e(e),
        relayout(*e.kernel.getBody().front().getOps<RelayoutOp>().begin()) {}

  int64_t build();

private:
  void block(Value sample, Value feature, int64_t columns, bool isWhole);
  void line(Value sample);
  Value loadRow(Value row, Value feature, int64_t columns, bool isWhole);
  void storeRow(Value line, Value row, Value feature, int64_t columns,
                bool isWhole);
  void fetch(Value row, Value feature);
  /// The first `count` (an index) lanes.
  Value mask(Value count) {
    return vector::CreateMaskOp::create(
        e.b, VectorType::get({e.lanes()}, e.b.getI1Type()), count);
  }
  /// How many of `most` columns of this row exist: none past the batch.
  Value columnsOf(Value row, int64_t most) {
    Value exists =
        arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, row, e.batch);
    return arith::SelectOp::create(e.b, exists, e.index(most), e.index(0));
  }

  KernelEmitter &e;
  RelayoutOp relayout;
  Value from, to;
  VectorType vector;
  Value zero;
  bool toLanes = false;
};
} // namespace

int64_t RelayoutNest::build() {
  RankedTensorType type = tensorTypeOf(relayout.getResult());
  toLanes = isBatchMinor(type);
  from = e.memory(relayout.getX(), /*flat=*/true);
  to = e.memory(e.kernel.getResult(0), /*flat=*/true);
  vector = VectorType::get({e.lanes()}, type.getElementType());
  zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(vector));

  int64_t features = featureCount(type);
  if (features == 1) {
    e.loop(e.index(0), e.batch, e.lanes(), [&](Value sample) { line(sample); });
    return 1;
  }
  int64_t blocks = features / e.lanes(), rest = features % e.lanes();
  int64_t units = blocks + (rest ? 1 : 0);
  // A block of 16 by 16 is 32 loads and stores and 64 shuffles.
  int64_t tasks = chooseTasks(units, 8.0 * units * e.layout.padded());
  auto [low, high] = e.taskRange(units, tasks);
  Value wholeEnd = arith::MinUIOp::create(e.b, high, e.index(blocks));
  auto along = [&, low = low, high = high](Value sample, bool isWhole) {
    e.loop(low, wholeEnd, 1, [&](Value unit) {
      block(sample, e.mul(unit, e.lanes()), e.lanes(), isWhole);
    });
    if (!rest)
      return;
    // The last, ragged block: a loop of one turn in the task that has it.
    Value first = arith::MaxUIOp::create(e.b, low, e.index(blocks));
    e.loop(first, high, 1, [&](Value unit) {
      block(sample, e.mul(unit, e.lanes()), rest, isWhole);
    });
  };
  Value ragged = arith::RemUIOp::create(e.b, e.batch, e.index(e.lanes()));
  Value wholeSamples = arith::SubIOp::create(e.b, e.batch, ragged);
  e.loop(e.index(0), wholeSamples, e.lanes(),
         [&](Value sample) { along(sample, /*isWhole=*/true); });
  e.loop(wholeSamples, e.batch, e.lanes(),
         [&](Value sample) { along(sample, /*isWhole=*/false); });
  return tasks;
}

void RelayoutNest::line(Value sample) {
  Value count = arith::SubIOp::create(e.b, e.batch, sample);
  Value live = mask(count), feature = e.index(0);
  if (toLanes) {
    Value value = vector::MaskedLoadOp::create(
        e.b, vector, from, ValueRange{sample, feature}, live, zero);
    vector::StoreOp::create(e.b, value, to, ValueRange{feature, sample});
  } else {
    Value value =
        vector::LoadOp::create(e.b, vector, from, ValueRange{feature, sample});
    vector::MaskedStoreOp::create(e.b, to, ValueRange{sample, feature}, live,
                                  value);
  }
}

/// Some lines behind `feature` of `row`. Past the memory's end it is harmless.
void RelayoutNest::fetch(Value row, Value feature) {
  constexpr int64_t ahead = 4;
  memref::PrefetchOp::create(
      e.b, from, ValueRange{row, e.add(feature, ahead * e.lanes())},
      /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
}

Value RelayoutNest::loadRow(Value row, Value feature, int64_t columns,
                            bool isWhole) {
  SmallVector<Value> at = {row, feature};
  if (isWhole && columns == e.lanes())
    return vector::LoadOp::create(e.b, vector, from, at);
  Value live = mask(isWhole ? e.index(columns) : columnsOf(row, columns));
  return vector::MaskedLoadOp::create(e.b, vector, from, at, live, zero);
}

void RelayoutNest::storeRow(Value line, Value row, Value feature,
                            int64_t columns, bool isWhole) {
  SmallVector<Value> at = {row, feature};
  if (isWhole && columns == e.lanes()) {
    vector::StoreOp::create(e.b, line, to, at);
    return;
  }
  Value live = mask(isWhole ? e.index(columns) : columnsOf(row, columns));
  vector::MaskedStoreOp::create(e.b, to, at, live, line);
}

/// `columns` features of as many samples as a vector has lanes; `isWhole`: all
/// of them are in the batch.
void RelayoutNest::block(Value sample, Value feature, int64_t columns,
                         bool isWhole) {
  auto square =
      VectorType::get({e.lanes(), e.lanes()}, vector.getElementType());
  Value matrix = arith::ConstantOp::create(e.b, e.b.getZeroAttr(square));
  for (int64_t i = 0; i < (toLanes ? e.lanes() : columns); ++i) {
    Value line;
    if (toLanes) {
      Value row = e.add(sample, i);
      if (isWhole && isa<BlockArgument>(storageOf(relayout.getX())))
        fetch(row, feature);
      line = loadRow(row, feature, columns, isWhole);
    } else {
      line = vector::LoadOp::create(e.b, vector, from,
                                    ValueRange{e.add(feature, i), sample});
    }
    matrix = vector::InsertOp::create(e.b, line, matrix, ArrayRef{i});
  }
  matrix = vector::TransposeOp::create(e.b, matrix, ArrayRef<int64_t>{1, 0});
  for (int64_t i = 0; i < (toLanes ? columns : e.lanes()); ++i) {
    Value line = vector::ExtractOp::create(e.b, matrix, ArrayRef{i});
    if (toLanes)
      vector::StoreOp::create(e.b, line, to,
                              ValueRange{e.add(feature, i), sample});
    else
      storeRow(line, e.add(sample, i), feature, columns, isWhole);
  }
}

FailureOr<int64_t> sinter::lowerRelayout(KernelEmitter &e) {
  return RelayoutNest(e).build();
}
