//===- MatmulBlocks.h - how large matrix products cut their work ---------===//
//
// Problem: the plain nests (LowerMatmul.cpp, LowerWeightGradient.cpp) go down
// columns of matrices. Once these are large, every step is another page, and
// strides of powers of two put all steps into the same few cache sets.
//
// Idea: as in Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication" (2008): blocks of both operands are copied to where they lie
// in the order of use, and sums grow in memory, block by block of the
// contracted dimension (codegen/PackedMatmul.cpp). The copies are scratch,
// which has to be known when memory is planned, before code is generated: here.
//
// Weakness: cache sizes are those of common processors, not the target's.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_MATMULBLOCKS_H
#define SINTER_IR_MATMULBLOCKS_H

#include "ir/SinterDialect.h"

#include <optional>

namespace sinter {

/// result(row, column) = sum(k) a(row, k) b(k, column), lanes along columns,
/// all sizes in elements.
struct MatmulBlocks {
  /// Columns are whole cache lines, those past the end included.
  int64_t rows, columns, inner;
  /// Is a row of a(row, k) contiguous? Else a column is.
  bool alongInner;
  /// The result is cut into this grid of tasks.
  int64_t taskRows, taskColumns;
  /// What a task works on at a time, at most: of the result, and of the sum.
  /// Rows and steps of the sum are whole cache lines.
  int64_t blockRows, blockColumns, blockInner;

  /// Columns of a panel, which stays in the first cache, at most.
  static constexpr int64_t maxPanel = 32;

  int64_t tasks() const { return taskRows * taskColumns; }

  // ---- A task's scratch: two panels of b, two blocks of a, sums.
  int64_t panelFloats() const { return 2 * blockInner * maxPanel; }
  // The block of a is copied as it is stored. Its longer stride is an odd
  // number of cache lines, so that a column's lines are in different sets.
  // Columns are cut into tiles of whole vectors, which takes some more.
  int64_t rowStride() const { return blockInner + 16; }
  int64_t blockFloats() const {
    return alongInner ? blockRows * rowStride()
                      : blockRows * 4 / 3 * blockInner;
  }
  int64_t rowFloats() const { return 2 * blockFloats(); }
  int64_t sumFloats() const { return blockRows * blockColumns; }
  int64_t taskFloats() const {
    return panelFloats() + rowFloats() + sumFloats();
  }
};

/// How `op` is blocked; nothing if that does not pay.
std::optional<MatmulBlocks> blocksOf(MatmulOp op, int64_t batchBound);

} // namespace sinter

#endif // SINTER_IR_MATMULBLOCKS_H
