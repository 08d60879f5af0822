//===- Kernels.h - what each op computes, as plainly as it can be said ---===//
//
// Problem: every rewrite, fusion and generated loop needs something to be
// compared with that is too simple to be wrong.
//
// Idea: one small kernel an op, written with xtensor from the formula in the
// op's description. Values are held as doubles, which represent every f32 and
// i32 exactly, and all arithmetic is in double; who runs a kernel decides
// whether its results are rounded to f32 (Interpreter.h). Kernels are never
// tuned.
//
// Known weakness: a kernel sees whole tensors, so a large model needs twice
// its f32 memory for every value alive and runs a few hundred times slower
// than compiled code.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_REFERENCE_KERNELS_H
#define SINTER_IR_REFERENCE_KERNELS_H

#include "mlir/IR/Operation.h"

#include <xtensor/xarray.hpp>

#include <vector>

namespace sinter::reference {

using Array = xt::xarray<double>;

enum class Element { F32, I32 };

/// A dense row-major tensor.
struct Tensor {
  Element element = Element::F32;
  Array values;

  static Tensor f32(std::vector<size_t> shape, std::vector<double> values);
  static Tensor i32(std::vector<size_t> shape, std::vector<double> values);
};

/// Everything that a kernel may look at.
struct KernelCall {
  mlir::Operation *op;
  /// The op's operands, then the states that it names.
  llvm::ArrayRef<const Array *> operands;
  /// The result's shape, the batch filled in.
  std::vector<size_t> shape;
  size_t batch;

  const Array &operator[](size_t i) const { return *operands[i]; }
};

/// Computes an op's only result from operands that its verifier accepts. Fails,
/// with a diagnostic at the op, only where the op holds data that is not there
/// (an elided constant).
using Kernel = mlir::FailureOr<Array> (*)(const KernelCall &);

/// The kernel of the op with this full name ("sinter.add"), or null.
Kernel findKernel(llvm::StringRef opName);

} // namespace sinter::reference

#endif // SINTER_IR_REFERENCE_KERNELS_H
