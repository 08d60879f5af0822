//===- Windows.h - reference kernels of convolutions and pooling ---------===//
//
// Rows of the table in Kernels.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_REFERENCE_WINDOWS_H
#define SINTER_IR_REFERENCE_WINDOWS_H

#include "ir/reference/Kernels.h"

namespace sinter::reference {

mlir::FailureOr<Array> conv2d(const KernelCall &call);
mlir::FailureOr<Array> conv2dTranspose(const KernelCall &call);
mlir::FailureOr<Array> conv2dFilterGradient(const KernelCall &call);
mlir::FailureOr<Array> winogradFilter(const KernelCall &call);
mlir::FailureOr<Array> winogradFilterAdjoint(const KernelCall &call);
mlir::FailureOr<Array> winogradConv2d(const KernelCall &call);
mlir::FailureOr<Array> winogradFilterGradient(const KernelCall &call);
mlir::FailureOr<Array> maxPool2d(const KernelCall &call);
mlir::FailureOr<Array> maxPool2dGradient(const KernelCall &call);
mlir::FailureOr<Array> maxPool2dGather(const KernelCall &call);
mlir::FailureOr<Array> avgPool2d(const KernelCall &call);
mlir::FailureOr<Array> avgPool2dGradient(const KernelCall &call);

} // namespace sinter::reference

#endif // SINTER_IR_REFERENCE_WINDOWS_H
