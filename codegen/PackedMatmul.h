//===- PackedMatmul.h - large matrix products, block by block ------------===//
//
//   result(row, column) = sum(k) a(row, k) b(k, column), lanes along columns
//
//   for block of rows, block of columns in this task's part:
//     for block of k, with a copy of the rows' a:
//       for panel of V vectors of the columns, with a copy of its b, k after k:
//         for R of the rows:
//           acc[R][V] = 0 or sums
//           for k: acc[r][v] += broadcast a * b[v]
//             (every kShare steps: copy some of the next block's a and of the
//             next panel's b, fetch what comes behind that)
//           sums = acc
//           behind the last block of k: epilogue on sums
//
// Copies and sums are in the task's scratch (ir/MatmulBlocks.h): a copy that is
// used, and one that is made. So copies cost instructions, which a core has to
// spare between multiply-adds, and no waiting. Each sum has the order of k, as
// if it were made in one go: blocks do not show in its bits.
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
  /// `product`(row, column), which the kernel's epilogue begins with;
  /// b(k, column) = `b`[k][column] for column < `columns`, and `a` is
  /// [row][k] or [k][row], as `blocks` says. With `rowsInFours` the epilogue's
  /// rows begin at multiples of four.
  PackedMatmul(KernelEmitter &e, const MatmulBlocks &blocks,
               mlir::Value product, mlir::Value a, mlir::Value b,
               int64_t columns, bool rowsInFours);

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
  /// The first row that is copied for a tile, in vectors.
  mlir::Value firstCopied(mlir::Value rowTile);
  mlir::Value sumsAt(mlir::Value tile, mlir::Value tiles, mlir::Value panel);

  /// Tiles of a at some of k.
  struct Rows {
    mlir::Value rowTile, k, count;
    mlir::Value copied; // in the scratch
  };
  /// A panel of b at some of k.
  struct Panel {
    mlir::Value number, k, count;
    mlir::Value copied; // in the scratch
  };
  /// What is copied during products.
  struct Next {
    Rows rows;
    Panel panel;
    mlir::Value tiles, shares; // in a block, and of each of its products
  };
  int64_t rowsCounted() const;
  mlir::Value piecesOf(const Rows &rows);
  std::pair<mlir::Value, mlir::Value> pieceAt(const Rows &rows, mlir::Value i);
  void fetchPiece(const Rows &rows, mlir::Value t, mlir::Value i);
  void copyPiece(const Rows &rows, mlir::Value t, mlir::Value i);
  void copyRows(const Rows &rows, mlir::Value tiles, mlir::Value low);
  mlir::Value loadPanel(mlir::Value k, mlir::Value column, int64_t existing);
  void copyPanel(const Panel &panel, mlir::Value low, mlir::Value high);
  void fetch(mlir::Value matrix, mlir::Value row, mlir::Value column);
  void prepare(const Next &next, mlir::Value t, mlir::Value p, mlir::Value sums,
               mlir::Value share);
  void fetchFinish(mlir::Value rowTile, mlir::Value panel, mlir::Value r);
  void multiply(mlir::Value copied, const Panel &panel, mlir::Value sums,
                mlir::Value isFirst,
                llvm::function_ref<void(mlir::Value)> prepare);
  void finishRows(mlir::Value row, int64_t count, mlir::Value sums,
                  mlir::Value column, Epilogue epilogue);
  void finish(mlir::Value rowTile, mlir::Value panel, mlir::Value sums,
              Epilogue epilogue);
  void buildPart(mlir::Value inner, mlir::Value rowLow, mlir::Value rowHigh,
                 mlir::Value panelLow, mlir::Value panelHigh,
                 Epilogue epilogue);

  KernelEmitter &e;
  const MatmulBlocks &blocks;
  mlir::Value a, b, scratch;                 // matrices, (tasks, floats)
  llvm::SmallVector<mlir::Value> ofEpilogue; // EpilogueMemory.h
  int64_t columns;
  Tile tile;
  int64_t rowTiles, panels, panelWidth; // of the whole result; floats
  int64_t rowsCopied, tileFloats;       // of a tile's copy: whole vectors
  mlir::VectorType vectorType;
};

} // namespace sinter

#endif // SINTER_CODEGEN_PACKEDMATMUL_H
