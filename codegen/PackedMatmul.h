//===- PackedMatmul.h - large matrix products, block by block ------------===//
//
//   result(row, column) = sum(k) a(row, k) b(k, column), lanes along columns
//
//   for block of rows, block of columns in this task's part:
//     for block of k:
//       copy the rows' a
//       for panel of V vectors of the columns:
//         copy the panel's b: k after k
//         for R of the rows:
//           acc[R][V] = 0 or sums; for k: acc[r][v] += broadcast a * b[v]
//           sums = acc
//     epilogue on sums
//
// Copies and sums are in the task's scratch (ir/MatmulBlocks.h). Each sum has
// the order of k, as if it were made in one go: blocks do not show in its bits.
// Instead of fewer rows than R the last rows are R, too, and some of them are
// computed twice; only the epilogue is for each row once.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_PACKEDMATMUL_H
#define SINTER_CODEGEN_PACKEDMATMUL_H

#include "codegen/KernelEmitter.h"
#include "codegen/TileChoice.h"
#include "ir/MatmulBlocks.h"

namespace sinter {

class PackedMatmul {
public:
  /// b(k, column) = `b`[k][column] for column < `columns`, and `a` is
  /// [row][k] or [k][row], as `blocks` says. With `rowsInFours` the epilogue's
  /// rows begin at multiples of four.
  PackedMatmul(KernelEmitter &e, const MatmulBlocks &blocks, mlir::Value a,
               mlir::Value b, int64_t columns, bool rowsInFours);

  /// Results at `count` rows from `row`, in one vector of columns from
  /// `column`; `mask` is null or says which of its lanes exist.
  using Epilogue = llvm::function_ref<void(mlir::Value row, mlir::Value column,
                                           mlir::Value mask,
                                           llvm::ArrayRef<mlir::Value> sums)>;

  /// Sums over k < `inner`, for columns < `columnsUsed`.
  void build(mlir::Value inner, mlir::Value columnsUsed, Epilogue epilogue);

private:
  mlir::Value sum(mlir::Value x, mlir::Value y);
  mlir::Value lesser(mlir::Value x, mlir::Value y);
  /// This task's part of `count`, task number `number` of `parts`.
  std::pair<mlir::Value, mlir::Value> part(int64_t count, mlir::Value number,
                                           int64_t parts);
  void when(mlir::Value condition, llvm::function_ref<void()> whenTrue,
            llvm::function_ref<void()> whenFalse);
  mlir::Value loadScratch(mlir::Value at);
  void storeScratch(mlir::Value value, mlir::Value at);
  /// The first row that is computed for a tile.
  mlir::Value firstRow(mlir::Value rowTile);
  /// The first row that is copied for a block.
  mlir::Value firstCopied(mlir::Value rowTile);
  mlir::Value sumsAt(mlir::Value tile, mlir::Value tiles, mlir::Value panel);

  void copyRows(mlir::Value rowTile, mlir::Value tiles, mlir::Value k,
                mlir::Value count);
  void copyPanel(mlir::Value panel, mlir::Value k, mlir::Value count);
  /// What is copied next, and should be near by then.
  struct Next {
    mlir::Value row, rowK;      // of a's tile that is multiplied now
    mlir::Value column, panelK; // of b
  };
  void fetch(const Next &next, mlir::Value t, mlir::Value k);
  void multiply(mlir::Value t, mlir::Value copied, mlir::Value sums,
                mlir::Value isFirst, mlir::Value count, const Next &next);
  void finish(mlir::Value rowTile, mlir::Value tiles, mlir::Value panel,
              mlir::Value panels, Epilogue epilogue);
  void finishRows(mlir::Value row, int64_t count, mlir::Value sums,
                  mlir::Value panelStride, mlir::Value panel,
                  mlir::Value panelCount, Epilogue epilogue);

  KernelEmitter &e;
  const MatmulBlocks &blocks;
  mlir::Value a, b, scratch; // matrices, (tasks, floats)
  int64_t columns;
  Tile tile;
  int64_t rowTiles, panels, panelWidth; // of the whole result; floats
  mlir::VectorType vectorType;
};

} // namespace sinter

#endif // SINTER_CODEGEN_PACKEDMATMUL_H
