//===- LowerToLLVM.h - from loops to the LLVM dialect --------------------===//

#ifndef SINTER_CODEGEN_LOWERTOLLVM_H
#define SINTER_CODEGEN_LOWERTOLLVM_H

#include "codegen/Lowering.h"
#include "mlir/Pass/PassManager.h"

namespace sinter {

/// Adds the passes that take a module of func, scf, cf, vector, memref, arith,
/// math, index and llvm ops to the LLVM dialect alone.
void addLowerToLLVMPasses(mlir::OpPassManager &passes,
                          const TargetShape &target);

} // namespace sinter

#endif // SINTER_CODEGEN_LOWERTOLLVM_H
