//===- SweptGradient.h - filter gradients inside of the sweep that makes dy
//===//
//
// Where nobody but conv2d_filter_gradient and sums over rows read dy, the sweep
// that makes dy gives it to the gradient's kernel from registers: dy, often the
// largest tensor of a model, is never stored. The kernel adds to a vector of
// sums for each tap and filter, in memory of its own (`sinter.scratch`): how
// much has to be known when memory is planned.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_SWEPTGRADIENT_H
#define SINTER_IR_SWEPTGRADIENT_H

#include "ir/Window.h"

namespace sinter {

/// May the kernel of `op` make dy itself? For images of few channels: each
/// element of dy meets all taps of all channels while it is in a register.
bool canSweepGradient(Conv2dFilterGradientOp op);

/// Does it, in the kernel that `op` is in?
bool isSweptGradient(mlir::Operation *op);

/// Units are filters: no sum crosses units.
struct SweptGradientTiling {
  int64_t taps;    // of all channels
  int64_t filters; // of a task, at most
  int64_t tasks;

  int64_t taskFloats() const { return taps * filters * kLaneMultiple; }
};
SweptGradientTiling sweptTilingOf(Conv2dFilterGradientOp op,
                                  int64_t batchBound);

} // namespace sinter

#endif // SINTER_IR_SWEPTGRADIENT_H
