//===- EpilogueMemory.h - what the epilogue of sums goes through ----------===//

#ifndef SINTER_CODEGEN_EPILOGUEMEMORY_H
#define SINTER_CODEGEN_EPILOGUEMEMORY_H

#include "codegen/KernelEmitter.h"

namespace sinter {

/// Floats of a cache line, by which memory is asked for.
inline constexpr int64_t kLine = 16;

/// The memory of matrices as large as `sums` that their kernel goes through
/// with them, element by element: a loss's targets, the weights of an update,
/// results. A nest can ask for them while it sums.
llvm::SmallVector<mlir::Value> epilogueMemory(KernelEmitter &e,
                                              mlir::Value sums);

/// Does the epilogue of `sums` look at matrices as large as these, element by
/// element, and at numbers only? Then it can go through whole rows as through
/// one.
bool hasPlainEpilogue(KernelEmitter &e, mlir::Value sums);

/// Asks for line number `number` of the tile at (row, column) of each of
/// `matrices`: there are `linesOfRow` in each of its rows.
void fetchLine(KernelEmitter &e, llvm::ArrayRef<mlir::Value> matrices,
               mlir::Value row, mlir::Value column, mlir::Value number,
               int64_t linesOfRow);

/// Loads the numbers that the epilogue takes from memory, the same at all
/// points, ahead of the loops: behind each store they would be loaded again.
void seedNumbers(KernelEmitter &e);

} // namespace sinter

#endif // SINTER_CODEGEN_EPILOGUEMEMORY_H
