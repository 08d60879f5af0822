//===- KernelFrame.h - what equal kernels differ in ----------------------===//
//
// Problem: a deep network repeats its layers, and prediction, evaluation and
// training repeat each other. Kernels with their offsets as constants are
// compiled again for each place, and compile time grows with the depth.
//
// Idea: a kernel's frame lists the memory and the random streams that it uses,
// in the order of first use. Kernels that are equal but for their frames, names
// and locations are lowered once, as a function that gets its frame as
// arguments; a few instructions a kernel pass them (Lowering.cpp). A kernel
// that is alone of its form keeps its constants.
//
// Whether a result lies where an operand lay is not part of the form: nests
// never ask, planning does (PlanMemory.cpp), and nothing tells LLVM that two
// arguments differ.
//
// Known weakness: values are compared in the order of their ops; two kernels
// that compute the same in another order are two forms.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_KERNELFRAME_H
#define SINTER_CODEGEN_KERNELFRAME_H

#include "ir/SinterDialect.h"

#include "llvm/ADT/SetVector.h"

#include <vector>

namespace sinter {

/// Tensors of the function are behind their reshapes here; one that is read
/// from a state is that state.
struct KernelFrame {
  explicit KernelFrame(KernelOp kernel);

  llvm::SetVector<mlir::Value> tensors;
  llvm::SetVector<mlir::StringAttr> states;
  llvm::SetVector<int64_t> streams;
  /// Equal for two kernels exactly if one function, given a frame, is both.
  std::vector<uintptr_t> form;

private:
  uintptr_t placeOf(mlir::Value tensor);
  uintptr_t placeOf(mlir::StringAttr state);
  void describe(mlir::Operation &op,
                llvm::DenseMap<mlir::Value, uintptr_t> &numbers);
};

} // namespace sinter

#endif // SINTER_CODEGEN_KERNELFRAME_H
