//===- Parts.h - a module in parts that compile at the same time ---------===//
//
// Problem: nearly all of compile time is LLVM's, one function after the other.
//
// Idea: kernels do not know of each other. They are dealt out to modules of
// about the same size, and each module goes through all of code generation on a
// thread of its own, into an object of its own. How kernels are dealt depends
// on the kernels alone, so the same model makes the same bytes on any machine.
//
// Known weakness: the linker has to put the objects together, so an output that
// is not linked (one object, assembly) is made in one part.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_PARTS_H
#define SINTER_CODEGEN_PARTS_H

#include "codegen/TargetInfo.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Support/Timing.h"
#include "llvm/IR/Module.h"

namespace sinter {

/// Moves kernels of `loops`, at the loops stage, into further modules. What
/// calls others stays.
std::vector<mlir::OwningOpRef<mlir::ModuleOp>> splitLoops(mlir::ModuleOp loops);

/// Lowers `loops` and then each of `parts` and compiles them to objects, in
/// that order. `complete` is called for the first module before optimisation.
/// With `dropLines` the objects have no line tables.
/// Uses the context's threads, if it has any.
mlir::FailureOr<std::vector<llvm::SmallVector<char, 0>>>
compileParts(mlir::ModuleOp loops,
             llvm::ArrayRef<mlir::OwningOpRef<mlir::ModuleOp>> parts,
             const TargetInfo &target,
             llvm::function_ref<void(llvm::Module &)> complete, bool dropLines,
             mlir::TimingScope &timing);

} // namespace sinter

#endif // SINTER_CODEGEN_PARTS_H
