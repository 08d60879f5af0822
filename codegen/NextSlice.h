//===- NextSlice.h - input that is fetched ahead of its slice ------------===//
//
// Problem: with a batch in slices, every slice begins with input that may lie
// in main memory, and its transposition has nothing to do but wait for it.
// Idea: the product behind it keeps the core's arithmetic busy for long and its
// memory idle: a prefetch in each step, and the next slice's input is near when
// that slice begins.
// Known weakness: the first slice waits, and behind the last one nothing useful
// is fetched.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_NEXTSLICE_H
#define SINTER_CODEGEN_NEXTSLICE_H

#include "passes/Schedule.h"

namespace sinter {

/// Floats of a sample of the caller's input that `kernel` is to fetch for the
/// next slice; 0: none. It multiplies what a relayout made of that input.
inline int64_t nextSliceFloats(KernelOp kernel) {
  auto function = kernel->getParentOfType<mlir::func::FuncOp>();
  if (kernel.getKind() != KernelKind::Matmul ||
      function->hasAttr(names::oneSample) ||
      !function->hasAttr(names::batchBound))
    return 0;
  for (MatmulOp matmul : kernel.getBody().front().getOps<MatmulOp>()) {
    auto maker = startOf(matmul.getA()).getDefiningOp<KernelOp>();
    if (!maker || maker == kernel || maker.getKind() != KernelKind::Relayout)
      continue;
    for (mlir::Value captured : maker.getCaptured())
      if (mlir::isa<mlir::BlockArgument>(startOf(captured)))
        return featureCount(tensorTypeOf(captured));
  }
  return 0;
}

} // namespace sinter

#endif // SINTER_CODEGEN_NEXTSLICE_H
