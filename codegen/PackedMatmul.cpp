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

#include "codegen/EpilogueMemory.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace sinter;

/// Steps of a product between which something of the next one is copied.
static constexpr int64_t kShare = 16;

static int64_t ceilDiv(int64_t x, int64_t y) { return (x + y - 1) / y; }

PackedMatmul::PackedMatmul(KernelEmitter &e, const MatmulBlocks &blocks,
                           Value product, Value a, Value b, int64_t columns,
                           bool rowsInFours)
    : e(e), blocks(blocks), a(a), b(b), columns(columns) {
  scratch = e.memory(e.kernel.getResults().back());
  ofEpilogue = epilogueMemory(e, product);
  vectorType = VectorType::get({e.lanes()}, e.b.getF32Type());
  constexpr int64_t mostVectors = 4;
  tile = choosePackedTile(
      blocks.rows, ceilDiv(columns, e.lanes()),
      std::min(mostVectors, MatmulBlocks::maxPanel / e.lanes()),
      rowsInFours ? 4 : 1, e.layout.target);
  panelWidth = tile.vectors * e.lanes();
  rowTiles = ceilDiv(blocks.rows, tile.rows);
  panels = ceilDiv(columns, panelWidth);
  rowsCopied = ceilDiv(tile.rows, e.lanes()) * e.lanes();
  tileFloats = blocks.alongInner ? tile.rows * blocks.rowStride()
                                 : blocks.blockInner * rowsCopied;
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
  return lesser(e.mul(rowTile, tile.rows), e.index(blocks.rows - rowsCopied));
}

// Scratch: two panels, two blocks of rows, the sums.

Value PackedMatmul::sumsAt(Value t, Value tiles, Value panel) {
  Value number = sum(arith::MulIOp::create(e.b, panel, tiles), t);
  return e.add(e.mul(number, tile.rows * panelWidth),
               blocks.panelFloats() + blocks.rowFloats());
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// Addresses past a matrix's end are harmless.
void PackedMatmul::fetch(Value matrix, Value row, Value column) {
  memref::PrefetchOp::create(e.b, matrix, ValueRange{row, column},
                             /*isWrite=*/false, /*localityHint=*/2,
                             /*isDataCache=*/true);
}

// A tile of rows is copied piece by piece: its vectors at a step, or a line of
// one of its rows.

/// A power of two, by which numbers of lines are divided fast: the last row
/// stands in for those that are none.
int64_t PackedMatmul::rowsCounted() const {
  return llvm::bit_ceil(static_cast<uint64_t>(tile.rows));
}

/// How many pieces a tile has.
Value PackedMatmul::piecesOf(const Rows &rows) {
  return blocks.alongInner
             ? e.index(rowsCounted() * (blocks.blockInner / kLine))
             : rows.count;
}

/// Where piece number `i` begins: its row, counted in the tile, and its step.
/// Lines next to each other in memory are far apart in number: it is cheaper
/// when they come at different times.
std::pair<Value, Value> PackedMatmul::pieceAt(const Rows &rows, Value i) {
  if (!blocks.alongInner)
    return {e.index(0), i};
  Value rowCount = e.index(rowsCounted());
  Value last = arith::DivUIOp::create(
      e.b, arith::SubIOp::create(e.b, rows.count, e.index(1)), e.index(kLine));
  Value line = lesser(arith::DivUIOp::create(e.b, i, rowCount), last);
  return {
      lesser(arith::RemUIOp::create(e.b, i, rowCount), e.index(tile.rows - 1)),
      e.mul(line, kLine)};
}

/// Of tile number `t`.
void PackedMatmul::fetchPiece(const Rows &rows, Value t, Value i) {
  auto [r, step] = pieceAt(rows, i);
  Value row = sum(firstRow(sum(rows.rowTile, t)), r), k = sum(rows.k, step);
  fetch(a, blocks.alongInner ? row : k, blocks.alongInner ? k : row);
}

void PackedMatmul::copyPiece(const Rows &rows, Value t, Value i) {
  auto [r, step] = pieceAt(rows, i);
  Value rowTile = sum(rows.rowTile, t), k = sum(rows.k, step);
  Value to = sum(rows.copied, e.mul(t, tileFloats));
  if (!blocks.alongInner) {
    Value first = firstCopied(rowTile);
    to = sum(to, e.mul(step, rowsCopied));
    for (int64_t v = 0; v < rowsCopied; v += e.lanes())
      storeScratch(vector::LoadOp::create(e.b, vectorType, a,
                                          ValueRange{k, e.add(first, v)}),
                   e.add(to, v));
    return;
  }
  // Rows of `a` have `stored` elements; what is behind those that are summed
  // is copied, but never used.
  int64_t stored = cast<MemRefType>(a.getType()).getDimSize(1);
  Value row = sum(firstRow(rowTile), r);
  to = sum(sum(to, e.mul(r, blocks.rowStride())), step);
  for (int64_t v = 0; v < kLine; v += e.lanes()) {
    SmallVector<Value> at = {row, e.add(k, v)};
    if (stored % kLine == 0) {
      storeScratch(vector::LoadOp::create(e.b, vectorType, a, at),
                   e.add(to, v));
      continue;
    }
    Value left = arith::SubIOp::create(e.b, e.index(stored), at[1]);
    Value mask = vector::CreateMaskOp::create(
        e.b, VectorType::get({e.lanes()}, e.b.getI1Type()), ValueRange{left});
    storeScratch(vector::MaskedLoadOp::create(e.b, vectorType, a, at, mask,
                                              e.vectorConstant(0)),
                 e.add(to, v));
  }
}

/// All tiles, from piece number `low`.
void PackedMatmul::copyRows(const Rows &rows, Value tiles, Value low) {
  Value pieces = piecesOf(rows);
  if (blocks.alongInner)
    return e.loop(e.index(0), tiles, 1, [&](Value t) {
      e.loop(low, pieces, 1, [&](Value i) { copyPiece(rows, t, i); });
    });
  // Rows of `a` lie far apart: a processor does not guess which comes next.
  constexpr int64_t ahead = 8;
  e.loop(low, pieces, 1, [&](Value i) {
    e.loop(e.index(0), tiles, 1, [&](Value t) {
      fetchPiece(rows, t, e.add(i, ahead));
      copyPiece(rows, t, i);
    });
  });
}

/// A vector of b of which `existing` lanes exist, or more: zeros behind them.
Value PackedMatmul::loadPanel(Value k, Value column, int64_t existing) {
  int64_t lanes = std::clamp<int64_t>(existing, 0, e.lanes());
  Value zero = e.vectorConstant(0);
  if (lanes == 0)
    return zero;
  if (lanes == e.lanes())
    return vector::LoadOp::create(e.b, vectorType, b, ValueRange{k, column});
  Value mask = vector::ConstantMaskOp::create(
      e.b, VectorType::get({e.lanes()}, e.b.getI1Type()), ArrayRef{lanes});
  return vector::MaskedLoadOp::create(e.b, vectorType, b, ValueRange{k, column},
                                      mask, zero);
}

/// Steps `low` to `high` of the panel's columns that exist, zeros instead of
/// the others.
void PackedMatmul::copyPanel(const Panel &panel, Value low, Value high) {
  Value column = e.mul(panel.number, panelWidth);
  auto copy = [&](int64_t existing) {
    e.loop(low, high, 1, [&](Value i) {
      Value to = sum(panel.copied, e.mul(i, panelWidth));
      for (int64_t v = 0; v < panelWidth; v += e.lanes())
        storeScratch(loadPanel(sum(panel.k, i), e.add(column, v), existing - v),
                     e.add(to, v));
    });
  };
  int64_t whole = columns / panelWidth, rest = columns % panelWidth;
  if (!rest)
    return copy(panelWidth);
  Value isWhole = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult,
                                        panel.number, e.index(whole));
  when(
      isWhole, [&] { copy(panelWidth); }, [&] { copy(rest); });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// While tile number `t` of panel number `p` of a block is multiplied: copies
/// share number `share` of what comes next, and fetches what the next tile, or
/// this one with the next panel, copies.
void PackedMatmul::prepare(const Next &next, Value t, Value p, Value sums,
                           Value share) {
  auto lastOf = [&](Value count) {
    return arith::SubIOp::create(e.b, count, e.index(1));
  };
  auto number = [&](Value turn) -> Value {
    return sum(arith::MulIOp::create(e.b, turn, next.shares), share);
  };
  const Panel &panel = next.panel;
  Value step = lesser(number(t), lastOf(panel.count));
  copyPanel(panel, step, e.add(step, 1));
  Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq,
                                       e.add(t, 1), next.tiles);
  auto choose = [&](Value x, Value y) -> Value {
    return arith::SelectOp::create(e.b, isLast, x, y);
  };
  Value fetchedStep = sum(panel.k, choose(share, number(e.add(t, 1))));
  Value fetched =
      e.mul(sum(panel.number, choose(e.index(1), e.index(0))), panelWidth);
  for (int64_t v = 0; v < panelWidth; v += kLine)
    fetch(b, fetchedStep, e.add(fetched, v));
  copyPiece(next.rows, t, lesser(number(p), lastOf(piecesOf(next.rows))));
  fetchPiece(next.rows, t, number(e.add(p, 1)));
  // The next tile's sums.
  Value at = e.add(sum(sums, e.mul(share, panelWidth)), tile.rows * panelWidth);
  for (int64_t v = 0; v < panelWidth; v += kLine)
    fetch(scratch, e.task, e.add(at, v));
}

/// What the epilogue goes through at a tile's row number `r`.
void PackedMatmul::fetchFinish(Value rowTile, Value panel, Value r) {
  Value row = sum(firstRow(rowTile), r), column = e.mul(panel, panelWidth);
  for (Value matrix : ofEpilogue)
    for (int64_t v = 0; v < panelWidth; v += kLine)
      fetch(matrix, row, e.add(column, v));
}

/// sums[R][V] += the rows at `copied` times the panel; what was in `sums`
/// counts as 0 where this `isFirst`.
void PackedMatmul::multiply(Value copied, const Panel &panel, Value sums,
                            Value isFirst,
                            llvm::function_ref<void(Value)> prepare) {
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
  auto step = [&](Value k, ValueRange before) {
    SmallVector<Value> after, vectors;
    Value column = sum(panel.copied, e.mul(k, panelWidth));
    for (int64_t v = 0; v < tile.vectors; ++v)
      vectors.push_back(loadScratch(e.add(column, v * e.lanes())));
    Value first = sum(copied, blocks.alongInner ? k : e.mul(k, rowsCopied));
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value at = e.add(first, r * (blocks.alongInner ? blocks.rowStride() : 1));
      Value scalar =
          memref::LoadOp::create(e.b, scratch, ValueRange{e.task, at});
      Value spread = vector::BroadcastOp::create(e.b, vectorType, scalar);
      for (Value vector : vectors)
        after.push_back(
            vector::FMAOp::create(e.b, spread, vector, before[after.size()]));
    }
    return after;
  };
  SmallVector<Value> acc = e.loop(
      e.index(0), panel.count, kShare, start, [&](Value k, ValueRange before) {
        prepare(arith::DivUIOp::create(e.b, k, e.index(kShare)));
        return e.loop(k, lesser(e.add(k, kShare), panel.count), 1, before,
                      step);
      });
  for (auto [i, value] : llvm::enumerate(acc))
    storeScratch(value, e.add(sums, i * e.lanes()));
}

//===----------------------------------------------------------------------===//
// Epilogue
//===----------------------------------------------------------------------===//

/// `count` rows from `row`, in the panel from `column`.
void PackedMatmul::finishRows(Value row, int64_t count, Value sums,
                              Value column, Epilogue epilogue) {
  auto vectorOf = [&](Value v, Value mask) {
    SmallVector<Value> values;
    for (int64_t r = 0; r < count; ++r)
      values.push_back(loadScratch(e.add(sum(sums, v), r * panelWidth)));
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
}

/// The epilogue of a tile whose sums are complete.
void PackedMatmul::finish(Value rowTile, Value panel, Value sums,
                          Epilogue epilogue) {
  Value row = e.mul(rowTile, tile.rows), column = e.mul(panel, panelWidth);
  // The last tile begins before its first row that is new.
  int64_t lastRows = blocks.rows - (rowTiles - 1) * tile.rows;
  constexpr int64_t atATime = 4;
  auto build = [&](int64_t rows) {
    Value from = e.add(sums, (tile.rows - rows) * panelWidth);
    int64_t whole = rows / atATime * atATime;
    if (whole)
      e.loop(e.index(0), e.index(whole), atATime, [&](Value r) {
        finishRows(sum(row, r), atATime, sum(from, e.mul(r, panelWidth)),
                   column, epilogue);
      });
    if (rows > whole)
      finishRows(e.add(row, whole), rows - whole,
                 e.add(from, whole * panelWidth), column, epilogue);
  };
  if (lastRows == tile.rows)
    return build(tile.rows);
  Value isFull = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, rowTile,
                                       e.index(rowTiles - 1));
  when(
      isFull, [&] { build(tile.rows); }, [&] { build(lastRows); });
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
  when(
      arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, panelLow,
                            panelHigh),
      [&] { buildPart(inner, rowLow, rowHigh, panelLow, panelHigh, epilogue); },
      {});
}

void PackedMatmul::buildPart(Value inner, Value rowLow, Value rowHigh,
                             Value panelLow, Value panelHigh,
                             Epilogue epilogue) {
  // As few blocks as fit, and all alike.
  auto inBlock = [](int64_t all, int64_t tasks, int64_t most) {
    int64_t ofTask = ceilDiv(all, tasks);
    return ceilDiv(ofTask, ceilDiv(ofTask, most));
  };
  int64_t mostTiles = inBlock(rowTiles, blocks.taskRows,
                              std::min(blocks.blockRows / tile.rows,
                                       blocks.blockFloats() / tileFloats));
  int64_t mostPanels =
      inBlock(panels, blocks.taskColumns, blocks.blockColumns / panelWidth);
  auto minus = [&](Value x, Value y) -> Value {
    return arith::SubIOp::create(e.b, x, y);
  };
  auto times = [&](Value x, Value y) -> Value {
    return arith::MulIOp::create(e.b, x, y);
  };
  auto over = [&](Value x, int64_t y) -> Value {
    return arith::DivUIOp::create(e.b, x, e.index(y));
  };
  auto choose = [&](Value condition, Value x, Value y) -> Value {
    return arith::SelectOp::create(e.b, condition, x, y);
  };
  auto equal = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, x, y);
  };
  auto atMost = [&](Value low, Value high, int64_t most) {
    return lesser(minus(high, low), e.index(most));
  };
  // There are two places for each copy.
  auto place = [&](Value number, int64_t floats) -> Value {
    return e.mul(arith::RemUIOp::create(e.b, number, e.index(2)), floats);
  };
  auto placeOfRows = [&](Value block) -> Value {
    return e.add(place(block, blocks.blockFloats()), blocks.panelFloats());
  };
  auto placeOfPanel = [&](Value number) -> Value {
    return place(number, blocks.blockInner * panelWidth);
  };
  Value kBlocks = over(e.add(inner, blocks.blockInner - 1), blocks.blockInner);
  Value allPanels = minus(panelHigh, panelLow);
  Value columnBlocks = over(e.add(allPanels, mostPanels - 1), mostPanels);

  Value zero = e.index(0);
  Value firstCount = atMost(zero, inner, blocks.blockInner);
  copyRows({rowLow, zero, firstCount, placeOfRows(zero)},
           atMost(rowLow, rowHigh, mostTiles), zero);
  copyPanel({panelLow, zero, firstCount, placeOfPanel(zero)}, zero, firstCount);
  e.loop(rowLow, rowHigh, mostTiles, [&](Value rowTile) {
    Value tiles = atMost(rowTile, rowHigh, mostTiles);
    Value rowBlock = over(minus(rowTile, rowLow), mostTiles);
    e.loop(panelLow, panelHigh, mostPanels, [&](Value panel) {
      Value panelCount = atMost(panel, panelHigh, mostPanels);
      Value before = minus(panel, panelLow);
      Value firstBlock =
          times(sum(times(rowBlock, columnBlocks), over(before, mostPanels)),
                kBlocks);
      Value firstNumber =
          times(sum(times(rowBlock, allPanels), before), kBlocks);
      // What comes behind the last of k.
      Value nextPanel = sum(panel, panelCount);
      Value isLastPanel = equal(nextPanel, panelHigh);
      Value nextRowTile = choose(isLastPanel, sum(rowTile, tiles), rowTile);
      nextPanel = choose(isLastPanel, panelLow, nextPanel);
      e.loop(zero, inner, blocks.blockInner, [&](Value k) {
        Value count = atMost(k, inner, blocks.blockInner);
        Value kBlock = over(k, blocks.blockInner);
        Value block = sum(firstBlock, kBlock);
        Value isFirst = equal(k, zero), isEnd = equal(sum(k, count), inner);
        Value nextK = choose(isEnd, zero, sum(k, count));
        Value nextCount = atMost(nextK, inner, blocks.blockInner);
        Next next;
        next.tiles = tiles;
        next.shares = over(e.add(count, kShare - 1), kShare);
        next.rows = {choose(isEnd, nextRowTile, rowTile), nextK, nextCount,
                     placeOfRows(e.add(block, 1))};
        e.loop(zero, panelCount, 1, [&](Value p) {
          Value number = sum(firstNumber, sum(times(kBlock, panelCount), p));
          Panel now = {sum(panel, p), k, count, placeOfPanel(number)};
          Value nextP = e.add(p, 1);
          Value isLast = equal(nextP, panelCount);
          next.panel = {choose(isLast, choose(isEnd, nextPanel, panel),
                               sum(panel, nextP)),
                        choose(isLast, nextK, k),
                        choose(isLast, nextCount, count),
                        placeOfPanel(e.add(number, 1))};
          e.loop(zero, tiles, 1, [&](Value t) {
            Value number = sum(rowTile, t), sums = sumsAt(t, tiles, p);
            Value copied = sum(placeOfRows(block), e.mul(t, tileFloats));
            if (!blocks.alongInner)
              copied =
                  sum(copied, minus(firstRow(number), firstCopied(number)));
            multiply(copied, now, sums, isFirst, [&](Value share) {
              prepare(next, t, p, sums, share);
              if (!ofEpilogue.empty())
                when(isEnd, [&] { fetchFinish(number, now.number, share); },
                     {});
            });
            when(isEnd, [&] { finish(number, now.number, sums, epilogue); },
                 {});
          });
          Value done = lesser(times(tiles, next.shares), next.panel.count);
          copyPanel(next.panel, done, next.panel.count);
        });
        copyRows(next.rows, tiles, times(panelCount, next.shares));
      });
    });
  });
}
