//===- Interpreter.h - runs a function of a model, op by op --------------===//
//
// Problem: a pass must not change what a function computes. Something has to
// be able to run the function before and after, at any stage up to `planned`.
//
// Idea: walk the ops in order and apply each one's reference kernel. Reads see
// the state as it was at function entry, writes take effect at return, a
// kernel's region runs in place. Derived states are never stale: a function that
// reads one gets what @prepare makes of the others. Layouts and arena offsets do not change what
// an op means, so they are ignored.
//
// Known weakness: because offsets are ignored, a plan in which two living
// values share bytes goes unnoticed here; the planner has its own check.
//
//   reference::State state = {{"w", reference::Tensor::f32({2}, {1, 2})}};
//   FailureOr<std::vector<reference::Tensor>> results =
//       reference::interpret(function, inputs, state);
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_REFERENCE_INTERPRETER_H
#define SINTER_IR_REFERENCE_INTERPRETER_H

#include "ir/reference/Kernels.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>
#include <optional>
#include <string>

namespace sinter::reference {

/// The values of a model's states, by symbol name.
using State = std::map<std::string, Tensor>;

enum class Precision {
  /// Each op computes in double and rounds its result to f32: what exact f32
  /// kernels would give.
  Float32,
  /// Nothing is rounded: for finite differences, where rounding would drown
  /// the difference.
  Double,
};

struct InterpretOptions {
  Precision precision = Precision::Float32;
  /// The number of samples, for a function without a batched input.
  std::optional<size_t> batch;
};

/// Runs `function` and returns its results. `state` changes only when the run
/// succeeds. A failure has emitted a diagnostic at the op, or at the function
/// for inputs that do not fit it.
mlir::FailureOr<std::vector<Tensor>>
interpret(mlir::func::FuncOp function, llvm::ArrayRef<Tensor> inputs,
          State &state, const InterpretOptions &options = {});

} // namespace sinter::reference

#endif // SINTER_IR_REFERENCE_INTERPRETER_H
