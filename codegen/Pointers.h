//===- Pointers.h - from a sinter_call to memrefs ------------------------===//
//
// Problem: a kernel's only arguments are a pointer to the caller's sinter_call
// and a task number; loop nests want memrefs of static shape.
//
// Idea: at the loops stage a memref is born by one readable op,
//
//   %x = builtin.unrealized_conversion_cast %p : !llvm.ptr to
//   memref<784x32xf32>
//
// which LowerToLLVM turns into a constant descriptor, so that every access
// becomes one GEP from %p. Likewise a kernel's address is func.constant, cast
// to a pointer. Both casts are pure: CSE and loop-invariant code motion see
// through them.
//
// Known weakness: the pointers come out of memory, so LLVM cannot tell that two
// of them do not overlap; kernels keep what they reuse in SSA values.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_POINTERS_H
#define SINTER_CODEGEN_POINTERS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace sinter {

/// The fields of a sinter_call, in order. `Batch` is i64, the others !llvm.ptr.
enum class CallField { State, Arena, Inputs, Outputs, Batch, Pool };

/// Loads a field of the sinter_call that `call` points to. Calls do not change
/// while they run, so equal loads may be merged across stores.
mlir::Value loadCallField(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value call, CallField field);

/// call->inputs[index] and call->outputs[index].
mlir::Value loadInput(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value call, int64_t index);
mlir::Value loadOutput(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value call, int64_t index);

/// base + bytes.
mlir::Value createByteOffset(mlir::OpBuilder &builder, mlir::Location loc,
                             mlir::Value base, int64_t bytes);

/// The memory that starts `byteOffset` after `base`, as a memref of static
/// shape with the identity layout or constant strides.
mlir::Value createMemRef(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value base, int64_t byteOffset,
                         mlir::MemRefType type);

/// Notes in the state, at byte `offset`, whether derived states are current.
void createMarkPrepared(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value call, int64_t offset, bool prepared);
/// Calls `prepare`, a func.func `(ptr call)` of the same module, where they are
/// not.
void createPrepareIfStale(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value call, int64_t offset,
                          llvm::StringRef prepare);

/// Runs `kernel`, a func.func `(ptr call, i64 task)` of the same module, for
/// tasks 0 .. tasks-1 on the call's threads. Declares the runtime's function
/// where the module lacks it.
void createParallelFor(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value call, llvm::StringRef kernel, int64_t tasks);

/// How a function goes through a batch: at most `most` samples at a time, with
/// the bytes of a sample's input and output, and of the arena of each of
/// `places` slices that may run at the same time.
struct SliceForm {
  int64_t most, inputBytes, outputBytes, arenaBytes, places;
};

/// Runs `step`, a func.func `(ptr call)` of the same module, on slices of the
/// call's samples.
void createRunSlices(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value call, llvm::StringRef step,
                     const SliceForm &form);

} // namespace sinter

#endif // SINTER_CODEGEN_POINTERS_H
