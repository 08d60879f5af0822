// Tuner.h - measures how the kernels of a model are best cut.
//
// Problem: the cost models of code generation (codegen/TileChoice.cpp,
// ir/Winograd.cpp) are simple; machines are not.
// Idea: compile the whole model several times, each time with another choice
// for each kernel, load all of it into this process, and run it in turns: each
// kernel is measured between its neighbours, with the cache as they leave it. A
// kernel's choices do not depend on another's, so that the n-th compilation can
// try the n-th candidate of every kernel at once. One knob after the other:
// algorithms first, for they decide which kernels there are.
//
// A candidate has to be a few percent faster than the default, twice: where it
// is found, and beside the default alone. So noise seldom gets into the file,
// and measuring again gives the same one as far as noise allows.
//
// Known weakness: one thread measures, and memory that several share is not
// what limits it. A kernel that another choice of algorithm fuses otherwise is
// compared without its neighbours.
#ifndef SINTER_FRONTEND_TUNER_H
#define SINTER_FRONTEND_TUNER_H

#include "frontend/TuningFile.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"

#include <functional>

namespace sinter::frontend {

struct TunerOptions {
  /// For all measurements, beside compiling; each has a few rounds anyway.
  double seconds = 40;
  /// Candidates of a kernel's knob, the default among them.
  size_t mostCandidates = 9;
};

/// Choices for the kernels of the model in `graph`, a module at the graph
/// stage, which stays as it is; `runPasses` takes a copy to the planned stage.
/// Prints a table of what was measured to `os`. Errors go to the context's
/// diagnostics.
mlir::FailureOr<Choices>
tuneModel(mlir::ModuleOp graph,
          const std::function<mlir::LogicalResult(mlir::ModuleOp)> &runPasses,
          const TunerOptions &options, llvm::raw_ostream &os);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_TUNER_H
