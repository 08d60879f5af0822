//===- EpilogueMemory.h - what the epilogue of sums goes through ----------===//

#ifndef SINTER_CODEGEN_EPILOGUEMEMORY_H
#define SINTER_CODEGEN_EPILOGUEMEMORY_H

#include "codegen/KernelEmitter.h"

namespace sinter {

/// The memory of matrices as large as `sums` that their kernel goes through
/// with them, element by element: a loss's targets, the weights of an update,
/// results. A nest can ask for them while it sums.
llvm::SmallVector<mlir::Value> epilogueMemory(KernelEmitter &e,
                                              mlir::Value sums);

} // namespace sinter

#endif // SINTER_CODEGEN_EPILOGUEMEMORY_H
