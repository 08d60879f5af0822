//===- Lowering.h - planned model to loops -------------------------------===//

#ifndef SINTER_CODEGEN_LOWERING_H
#define SINTER_CODEGEN_LOWERING_H

#include "codegen/ModelRecord.h"
#include "mlir/IR/BuiltinOps.h"

namespace sinter {

/// What the kernels may assume of the processor. From the target machine.
struct TargetShape {
  int64_t lanes = 16;     // floats in a vector register
  int64_t registers = 32; // vector registers
  unsigned indexBits = 64;
  // Multiply-adds of the widest vectors that begin in a cycle: with two of 64
  // bytes, loads from behind the first cache are not hidden.
  int64_t widestProducts = 1;
};

/// Replaces the one `sinter.model` of `module`, at the planned stage, with
/// functions in func/scf/vector/memref/arith/math/llvm: one a kernel,
/// `void (ptr call, i64 task)`, and one a step, `void (ptr call)`, which runs
/// its kernels in order (in place when a kernel is one task, otherwise through
/// the runtime's sinter_parallel_for; with sinter_run_slices around it all
/// where the function was planned for a slice). Step functions are named
/// MODEL_predict, MODEL_eval_step, MODEL_train_step; kernels are private.
/// Errors are reported at the op that cannot be lowered.
mlir::FailureOr<ModelRecord> lowerToLoops(mlir::ModuleOp module,
                                          const TargetShape &target);

/// Can code be generated for `op` itself? Composites expand to such ops, and
/// structure needs none.
bool isPrimitive(mlir::Operation *op);

} // namespace sinter

#endif // SINTER_CODEGEN_LOWERING_H
