//===- LateEpilogue.h - an epilogue beside the next sums ------------------===//
//
// Problem: an optimizer's square root and division take long, on a unit of
// their own, and behind a tile's sums the units for multiply-adds wait for it:
// a processor does not look far enough ahead to begin the next tile's. So it
// is, if less so, with memory that comes from the second cache, and with masks
// where rows end within a vector.
//
// Idea: the sums of a block of rows go to a small buffer. The loops that make
// the next block's do one vector of its epilogue in each turn:
//
//   for each block of whole rows, of this task:
//     for its tiles:
//       for n in 0 .. batch-1:
//         acc += ...                       (the tile's sums)
//         epilogue of one more vector of the block before, if there is one
//       buffer = acc
//   epilogue of the last block
//
// Whole rows are one run of memory: vectors of the buffer do not begin where
// rows do, and all but the last are full.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_LATEEPILOGUE_H
#define SINTER_CODEGEN_LATEEPILOGUE_H

#include "codegen/KernelEmitter.h"

namespace sinter {

class LateEpilogue {
public:
  /// Is the epilogue of `sums` an update that can go through a run of them,
  /// whatever their rows are, and does it wait: for square roots or divisions,
  /// for slots, or for vectors that are not full?
  static bool pays(KernelEmitter &e, mlir::Value sums);
  /// Do two blocks of so many floats stay near?
  static bool fits(KernelEmitter &e, int64_t floats);
  /// The most tasks for so many blocks: nothing runs beside the first sums of a
  /// task, nor beside its last epilogue.
  static int64_t mostTasks(int64_t blocks);

  /// For blocks of `rows` rows of the result, or `lastRows`, which get their
  /// sums in `tilesOfRow` tiles.
  LateEpilogue(KernelEmitter &e, mlir::Value sums, int64_t rows,
               int64_t lastRows, int64_t tilesOfRow);

  /// acc = step(n, acc) for all samples n, each with a vector of the epilogue
  /// of the block before as long as there are any.
  llvm::SmallVector<mlir::Value>
  beside(mlir::ValueRange start,
         llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                           mlir::ValueRange)>
             step);
  /// Sums of this block, at a row and a column of it; null is a mask of all
  /// lanes.
  void keep(mlir::Value sums, int64_t row, mlir::Value column,
            mlir::Value mask);
  /// Ends a block of `rows` rows of the result from `row` on.
  void endBlock(mlir::Value row, int64_t rows);
  /// The rest of the last block's epilogue.
  void finish();

private:
  /// Of the last block: where it begins in the result, its floats, how many
  /// vectors are done, and which half of the buffer it is in.
  enum Cell { Start, Floats, Done, Half, Cells };
  mlir::Value cell(Cell which);
  void setCell(Cell which, mlir::Value value);
  mlir::Value otherHalf();
  mlir::Value vectors();
  void epilogueOf(mlir::Value number);

  KernelEmitter &e;
  mlir::Value sums;
  const int64_t columns;
  const int64_t vectorsOfTile; // finished beside each
  const bool hasRest; // Are there blocks whose last vector is not full?
  mlir::Value buffer, cells;
  llvm::SmallVector<mlir::Value> memory; // EpilogueMemory.h
};

} // namespace sinter

#endif // SINTER_CODEGEN_LATEEPILOGUE_H
