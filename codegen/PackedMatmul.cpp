//===- PackedMatmul.cpp - large matrix products, block by block ----------===//
//
// PackedMatmul.h says what is built here. What it costs beside the products:
// an element of a is copied once for each block of columns, one of b once for
// each block of rows, a sum loaded and stored once for each block of k.
//
// Weakness: with many tasks each copies what its neighbours copy, too.
//
//===----------------------------------------------------------------------===//

#include "codegen/PackedMatmul.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

static int64_t ceilDiv(int64_t x, int64_t y) { return (x + y - 1) / y; }

PackedMatmul::PackedMatmul(KernelEmitter &e, const MatmulBlocks &blocks,
                           Value a, Value b, int64_t columns, bool rowsInFours)
    : e(e), blocks(blocks), a(a), b(b), columns(columns) {
  scratch = e.memory(e.kernel.getResults().back());
  vectorType = VectorType::get({e.lanes()}, e.b.getF32Type());
  tile = choosePackedTile(blocks.rows, ceilDiv(columns, e.lanes()),
                          rowsInFours ? 4 : 1, e.layout.target);
  panelWidth = tile.vectors * e.lanes();
  rowTiles = ceilDiv(blocks.rows, tile.rows);
  panels = ceilDiv(columns, panelWidth);
}

//===----------------------------------------------------------------------===//
// Parts of loop nests
//===----------------------------------------------------------------------===//

Value PackedMatmul::sum(Value x, Value y) {
  return arith::AddIOp::create(e.b, x, y);
}

Value PackedMatmul::lesser(Value x, Value y) {
  return arith::MinUIOp::create(e.b, x, y);
}

std::pair<Value, Value> PackedMatmul::part(int64_t count, Value number,
                                           int64_t parts) {
  if (parts == 1)
    return {e.index(0), e.index(count)};
  auto bound = [&](Value i) -> Value {
    return arith::DivUIOp::create(e.b, e.mul(i, count), e.index(parts));
  };
  return {bound(number), bound(e.add(number, 1))};
}

void PackedMatmul::when(Value condition, llvm::function_ref<void()> whenTrue,
                        llvm::function_ref<void()> whenFalse) {
  auto branch = scf::IfOp::create(e.b, condition, /*withElse=*/bool(whenFalse));
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(branch.thenBlock());
  e.scope(whenTrue);
  if (!whenFalse)
    return;
  e.b.setInsertionPointToStart(branch.elseBlock());
  e.scope(whenFalse);
}

/// Of this task.
Value PackedMatmul::loadScratch(Value at) {
  return vector::LoadOp::create(e.b, vectorType, scratch,
                                ValueRange{e.task, at});
}

void PackedMatmul::storeScratch(Value value, Value at) {
  vector::StoreOp::create(e.b, value, scratch, ValueRange{e.task, at});
}

Value PackedMatmul::firstRow(Value rowTile) {
  return lesser(e.mul(rowTile, tile.rows), e.index(blocks.rows - tile.rows));
}

/// Whole vectors can be copied from there.
Value PackedMatmul::firstCopied(Value rowTile) {
  return lesser(e.mul(rowTile, tile.rows),
                e.index(blocks.rows - std::max(tile.rows, e.lanes())));
}

// Scratch: the panel, the rows, the sums.

Value PackedMatmul::sumsAt(Value t, Value tiles, Value panel) {
  Value number = sum(arith::MulIOp::create(e.b, panel, tiles), t);
  return e.add(e.mul(number, tile.rows * panelWidth),
               blocks.panelFloats() + blocks.rowFloats());
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// `tiles` tiles of rows from number `rowTile`, at `count` places from `k`.
void PackedMatmul::copyRows(Value rowTile, Value tiles, Value k, Value count) {
  Value base = e.index(blocks.panelFloats());
  Value first = firstCopied(rowTile);
  Value end =
      lesser(e.mul(sum(rowTile, tiles), tile.rows), e.index(blocks.rows));
  Value rows = arith::SubIOp::create(e.b, end, first);
  if (!blocks.alongInner) {
    // Rows of `a` lie far apart: a processor does not guess which comes next.
    constexpr int64_t ahead = 8;
    Value lastVector = e.index(blocks.rows - e.lanes());
    e.loop(e.index(0), count, 1, [&](Value i) {
      Value to = sum(base, e.mul(i, blocks.stepStride()));
      e.loop(e.index(0), rows, e.lanes(), [&](Value r) {
        Value row = lesser(sum(first, r), lastVector);
        memref::PrefetchOp::create(
            e.b, a, ValueRange{e.add(sum(k, i), ahead), row},
            /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
        Value value = vector::LoadOp::create(e.b, vectorType, a,
                                             ValueRange{sum(k, i), row});
        storeScratch(value, sum(to, arith::SubIOp::create(e.b, row, first)));
      });
    });
    return;
  }
  // Rows of `a` have `stored` elements; what is behind those that are summed
  // is copied, but never used.
  int64_t stored = cast<MemRefType>(a.getType()).getDimSize(1);
  e.loop(e.index(0), rows, 1, [&](Value r) {
    Value to = sum(base, e.mul(r, blocks.rowStride()));
    e.loop(e.index(0), count, e.lanes(), [&](Value i) {
      SmallVector<Value> at = {sum(first, r), sum(k, i)};
      if (stored % e.lanes() == 0)
        return storeScratch(vector::LoadOp::create(e.b, vectorType, a, at),
                            sum(to, i));
      Value left = arith::SubIOp::create(e.b, e.index(stored), at[1]);
      Value mask = vector::CreateMaskOp::create(
          e.b, VectorType::get({e.lanes()}, e.b.getI1Type()), ValueRange{left});
      storeScratch(vector::MaskedLoadOp::create(e.b, vectorType, a, at, mask,
                                                e.vectorConstant(0)),
                   sum(to, i));
    });
  });
}

/// The panel's columns that exist, zeros instead of the others.
void PackedMatmul::copyPanel(Value panel, Value k, Value count) {
  auto copy = [&](int64_t existing) {
    Value column = e.mul(panel, panelWidth);
    e.loop(e.index(0), count, 1, [&](Value i) {
      Value to = e.mul(i, panelWidth);
      for (int64_t v = 0; v < tile.vectors; ++v) {
        int64_t lanes =
            std::clamp<int64_t>(existing - v * e.lanes(), 0, e.lanes());
        SmallVector<Value> at = {sum(k, i), e.add(column, v * e.lanes())};
        Value value = e.vectorConstant(0);
        if (lanes == e.lanes()) {
          value = vector::LoadOp::create(e.b, vectorType, b, at);
        } else if (lanes) {
          Value mask = vector::ConstantMaskOp::create(
              e.b, VectorType::get({e.lanes()}, e.b.getI1Type()),
              ArrayRef{lanes});
          value =
              vector::MaskedLoadOp::create(e.b, vectorType, b, at, mask, value);
        }
        storeScratch(value, e.add(to, v * e.lanes()));
      }
    });
  };
  int64_t whole = columns / panelWidth, rest = columns % panelWidth;
  if (!rest)
    return copy(panelWidth);
  Value isWhole = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, panel,
                                        e.index(whole));
  when(
      isWhole, [&] { copy(panelWidth); }, [&] { copy(rest); });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Step `k` of tile number `t` fetches a cache line of each operand, so that
/// all steps of a panel fetch all of the next copy. Addresses past a matrix's
/// end are harmless.
void PackedMatmul::fetch(const Next &next, Value t, Value k) {
  constexpr int64_t line = 16;
  auto prefetch = [&](Value matrix, Value row, Value column) {
    memref::PrefetchOp::create(e.b, matrix, ValueRange{row, column},
                               /*isWrite=*/false, /*localityHint=*/2,
                               /*isDataCache=*/true);
  };
  int64_t lines = ceilDiv(panelWidth, line);
  Value which = arith::RemUIOp::create(e.b, t, e.index(lines));
  prefetch(b, sum(next.panelK, k), sum(next.column, e.mul(which, line)));
  if (!blocks.alongInner)
    return prefetch(a, sum(next.rowK, k), next.row);
  // A tile has about as many lines as steps: a row's are next to each other.
  Value lineSteps = e.index(blocks.blockInner / line);
  Value row = arith::DivUIOp::create(e.b, k, lineSteps);
  Value inRow = arith::RemUIOp::create(e.b, k, lineSteps);
  prefetch(a, sum(next.row, row), sum(next.rowK, e.mul(inRow, line)));
}

/// sums[R][V] += the rows at `copied` times the copied panel; what was in
/// `sums` counts as 0 where this `isFirst`.
void PackedMatmul::multiply(Value t, Value copied, Value sums, Value isFirst,
                            Value count, const Next &next) {
  int64_t vectors = tile.rows * tile.vectors;
  auto branch = scf::IfOp::create(e.b, SmallVector<Type>(vectors, vectorType),
                                  isFirst, /*withElse=*/true);
  auto yield = [&](Block *block, llvm::function_ref<Value(int64_t)> value) {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(block);
    SmallVector<Value> values;
    e.scope([&] {
      for (int64_t i = 0; i < vectors; ++i)
        values.push_back(value(i));
    });
    scf::YieldOp::create(e.b, values);
  };
  yield(branch.thenBlock(), [&](int64_t) { return e.vectorConstant(0); });
  yield(branch.elseBlock(),
        [&](int64_t i) { return loadScratch(e.add(sums, i * e.lanes())); });
  SmallVector<Value> start(branch.getResults());
  SmallVector<Value> acc =
      e.loop(e.index(0), count, 1, start, [&](Value k, ValueRange before) {
        SmallVector<Value> after, vectors;
        fetch(next, t, k);
        Value column = e.mul(k, panelWidth);
        for (int64_t v = 0; v < tile.vectors; ++v)
          vectors.push_back(loadScratch(e.add(column, v * e.lanes())));
        Value first = sum(copied, e.mul(k, blocks.stepStride()));
        for (int64_t r = 0; r < tile.rows; ++r) {
          Value at = e.add(first, r * blocks.rowStride());
          Value scalar =
              memref::LoadOp::create(e.b, scratch, ValueRange{e.task, at});
          Value spread = vector::BroadcastOp::create(e.b, vectorType, scalar);
          for (Value vector : vectors)
            after.push_back(vector::FMAOp::create(e.b, spread, vector,
                                                  before[after.size()]));
        }
        return after;
      });
  for (auto [i, value] : llvm::enumerate(acc))
    storeScratch(value, e.add(sums, i * e.lanes()));
}

//===----------------------------------------------------------------------===//
// Epilogue
//===----------------------------------------------------------------------===//

/// `count` rows from `row`, along all panels; their sums in the first panel
/// begin at `sums`.
void PackedMatmul::finishRows(Value row, int64_t count, Value sums,
                              Value panelStride, Value panel, Value panelCount,
                              Epilogue epilogue) {
  e.loop(e.index(0), panelCount, 1, [&](Value p) {
    Value from = sum(sums, arith::MulIOp::create(e.b, p, panelStride));
    Value column = e.mul(sum(panel, p), panelWidth);
    auto vectorOf = [&](Value v, Value mask) {
      SmallVector<Value> values;
      for (int64_t r = 0; r < count; ++r)
        values.push_back(loadScratch(e.add(sum(from, v), r * panelWidth)));
      epilogue(row, sum(column, v), mask, values);
    };
    e.loop(e.index(0), e.index(panelWidth), e.lanes(), [&](Value v) {
      if (columns % panelWidth == 0)
        return vectorOf(v, {});
      Value at = sum(column, v);
      auto fits = [&](int64_t lanes) -> Value {
        return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ule, at,
                                     e.index(columns - lanes));
      };
      int64_t rest = columns % e.lanes();
      if (!rest)
        return when(fits(e.lanes()), [&] { vectorOf(v, {}); }, {});
      when(
          fits(e.lanes()), [&] { vectorOf(v, {}); },
          [&] {
            when(fits(rest),
                 [&] {
                   Value mask = vector::ConstantMaskOp::create(
                       e.b, VectorType::get({e.lanes()}, e.b.getI1Type()),
                       ArrayRef{rest});
                   vectorOf(v, mask);
                 },
                 {});
          });
    });
  });
}

/// The epilogue of a block whose sums are complete.
void PackedMatmul::finish(Value rowTile, Value tiles, Value panel,
                          Value panelCount, Epilogue epilogue) {
  Value panelStride = e.mul(tiles, tile.rows * panelWidth);
  e.loop(e.index(0), tiles, 1, [&](Value t) {
    Value number = sum(rowTile, t);
    Value row = e.mul(number, tile.rows);
    Value sums = sumsAt(t, tiles, e.index(0));
    // The last tile begins before its first row that is new.
    int64_t lastRows = blocks.rows - (rowTiles - 1) * tile.rows;
    constexpr int64_t atATime = 4;
    auto build = [&](int64_t rows) {
      Value from = e.add(sums, (tile.rows - rows) * panelWidth);
      int64_t whole = rows / atATime * atATime;
      if (whole)
        e.loop(e.index(0), e.index(whole), atATime, [&](Value r) {
          finishRows(sum(row, r), atATime, sum(from, e.mul(r, panelWidth)),
                     panelStride, panel, panelCount, epilogue);
        });
      if (rows > whole)
        finishRows(e.add(row, whole), rows - whole,
                   e.add(from, whole * panelWidth), panelStride, panel,
                   panelCount, epilogue);
    };
    if (lastRows == tile.rows)
      return build(tile.rows);
    Value isFull = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, number,
                                         e.index(rowTiles - 1));
    when(
        isFull, [&] { build(tile.rows); }, [&] { build(lastRows); });
  });
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void PackedMatmul::build(Value inner, Value columnsUsed, Epilogue epilogue) {
  Value down = e.index(0), across = e.index(0);
  if (blocks.tasks() > 1) {
    down = arith::DivUIOp::create(e.b, e.task, e.index(blocks.taskColumns));
    across = arith::RemUIOp::create(e.b, e.task, e.index(blocks.taskColumns));
  }
  auto [rowLow, rowHigh] = part(rowTiles, down, blocks.taskRows);
  auto [panelLow, panelEnd] = part(panels, across, blocks.taskColumns);
  Value panelsUsed = arith::DivUIOp::create(
      e.b, e.add(columnsUsed, panelWidth - 1), e.index(panelWidth));
  Value panelHigh = lesser(panelEnd, panelsUsed);
  Value tileEnd = rowHigh;

  // As few blocks as fit, and all alike.
  auto inBlock = [](int64_t all, int64_t tasks, int64_t most) {
    int64_t ofTask = ceilDiv(all, tasks);
    return ceilDiv(ofTask, ceilDiv(ofTask, most));
  };
  int64_t mostTiles =
      inBlock(rowTiles, blocks.taskRows, blocks.blockRows / tile.rows);
  int64_t mostPanels =
      inBlock(panels, blocks.taskColumns, blocks.blockColumns / panelWidth);
  auto atMost = [&](Value low, Value high, int64_t most) {
    return lesser(arith::SubIOp::create(e.b, high, low), e.index(most));
  };
  e.loop(rowLow, tileEnd, mostTiles, [&](Value rowTile) {
    Value tiles = atMost(rowTile, tileEnd, mostTiles);
    e.loop(panelLow, panelHigh, mostPanels, [&](Value panel) {
      Value panelCount = atMost(panel, panelHigh, mostPanels);
      e.loop(e.index(0), inner, blocks.blockInner, [&](Value k) {
        Value count = atMost(k, inner, blocks.blockInner);
        copyRows(rowTile, tiles, k, count);
        Value nextK = sum(k, count);
        e.loop(e.index(0), panelCount, 1, [&](Value p) {
          copyPanel(sum(panel, p), k, count);
          Value nextPanel = e.add(p, 1);
          Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq,
                                               nextPanel, panelCount);
          auto choose = [&](Value x, Value y) -> Value {
            return arith::SelectOp::create(e.b, isLast, x, y);
          };
          // Behind the last of k come the next rows, and this k again.
          Value isEnd = arith::CmpIOp::create(e.b, arith::CmpIPredicate::uge,
                                              nextK, inner);
          Value fetchedK =
              arith::SelectOp::create(e.b, isEnd, e.index(0), nextK);
          Value fetchedTile =
              arith::SelectOp::create(e.b, isEnd, sum(rowTile, tiles), rowTile);
          Next next;
          next.column =
              e.mul(sum(panel, choose(e.index(0), nextPanel)), panelWidth);
          next.panelK = choose(fetchedK, k);
          next.rowK = fetchedK;
          e.loop(e.index(0), tiles, 1, [&](Value t) {
            next.row = firstRow(sum(fetchedTile, t));
            Value row = arith::SubIOp::create(e.b, firstRow(sum(rowTile, t)),
                                              firstCopied(rowTile));
            Value copied =
                e.add(e.mul(row, blocks.rowStride()), blocks.panelFloats());
            Value isFirst = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq,
                                                  k, e.index(0));
            multiply(t, copied, sumsAt(t, tiles, p), isFirst, count, next);
          });
        });
      });
      finish(rowTile, tiles, panel, panelCount, epilogue);
    });
  });
}
