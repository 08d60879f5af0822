//===- Sweep.h - what the nests of sweeps share --------------------------===//
//
// A sweep's domain, found from what it stores and reduces; and one reduction.
// Its nests are in LowerSweep.cpp and, for one sample, LowerSampleSweep.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_SWEEP_H
#define SINTER_CODEGEN_SWEEP_H

#include "codegen/KernelEmitter.h"

#include <optional>

namespace sinter {

/// `full`: the loops; `outer`: those outside of reductions.
struct SweepDomain {
  explicit SweepDomain(KernelOp kernel);

  /// The one reduction that is all of the kernel, and that no suffix of the
  /// domain's dimensions is summed by; or null.
  mlir::Operation *loneReduction() const;

  llvm::SmallVector<mlir::Operation *> reductions;
  llvm::SmallVector<int64_t> full, outer;
  bool batched = false, sumsRows = false;
  int64_t operations = 0;
};

/// Copies the operands of a kernel that only puts them one after the other, and
/// gives the number of its tasks; nothing if it is no such kernel.
std::optional<int64_t> lowerJoin(KernelEmitter &e);

/// A reduction that is not a row sum.
bool isSweepReduction(mlir::Operation *op);
llvm::SmallVector<int64_t> reducedAxes(mlir::Operation *op);

/// The features of a reduction's operand, kept and reduced: their numbers and
/// sizes.
struct ReducedFeatures {
  explicit ReducedFeatures(mlir::Operation *reduction);
  llvm::SmallVector<int64_t> kept, keptSizes, reduced, reducedSizes;
};

inline int64_t product(llvm::ArrayRef<int64_t> sizes) {
  int64_t result = 1;
  for (int64_t size : sizes)
    result *= size;
  return result;
}

/// What is carried through the loops of a reduction, and how it ends.
class Accumulator {
public:
  Accumulator(KernelEmitter &e, mlir::Operation *op) : e(e), op(op) {}

  llvm::SmallVector<mlir::Value> start();
  /// `position` is argmax's index; `mask`, if given, says which lanes count.
  llvm::SmallVector<mlir::Value> step(mlir::ValueRange acc, mlir::Value value,
                                      mlir::Value position,
                                      mlir::Value mask = {});
  /// All lanes together, as a scalar.
  mlir::Value acrossLanes(mlir::Value vector);

private:
  KernelEmitter &e;
  mlir::Operation *op;
};

/// The nest of a sweep over images with a pooling's gradient in it, lanes over
/// samples: the number of tasks, or none where blocks would not help.
std::optional<int64_t>
lowerPoolGradient(KernelEmitter &e, const SweepDomain &domain, double cycles);

} // namespace sinter

#endif // SINTER_CODEGEN_SWEEP_H
