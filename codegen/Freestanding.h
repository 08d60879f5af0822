//===- Freestanding.h - what stands in for the runtime -------------------===//
//
// Problem: `--runtime none` makes a library for machines without an operating
// system: no threads, no files, no libc, nothing undefined in its objects.
//
// Idea: generated code needs two functions of the runtime, both of which are a
// loop where there are no threads; and NAME_init, which is generated for the
// states of the model, through the same lowering as kernels, so that
// logarithms and cosines are VectorMath's. Nothing here becomes a call of
// memcpy or memset.
//
// Initial values are the runtime's, from the same streams: constants, data and
// uniform numbers to the bit, normal ones, which the runtime computes in double
// precision, to 2e-6 standard deviations.
//
// Known weakness: on 32-bit ARM, which cannot divide 64-bit numbers, LLVM may
// call the compiler's own helpers (libgcc or compiler-rt).
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_FREESTANDING_H
#define SINTER_CODEGEN_FREESTANDING_H

#include "codegen/ModelRecord.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"

namespace sinter {

/// Adds NAME_init(ptr state, i64 seed) to a module at the loops stage.
void addInitFunction(mlir::ModuleOp loops, const ModelRecord &record);

/// Defines those functions of runtime/sinter_calls.def that `module` declares,
/// for one thread.
void defineRuntime(llvm::Module &module);

} // namespace sinter

#endif // SINTER_CODEGEN_FREESTANDING_H
