// OnnxWindowParts.h - what rules of convolutions and pooling share: their
// attributes, and images with channels last.
#ifndef SINTER_FRONTEND_ONNX_ONNXWINDOWPARTS_H
#define SINTER_FRONTEND_ONNX_ONNXWINDOWPARTS_H

#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"

namespace sinter::frontend::onnx {

/// The attributes of convolutions and pooling, one number for each axis of
/// space.
struct Windows {
  std::vector<int64_t> pixels, taps, strides, dilations, low, high;
  /// The part of `high` that a last window in ceil_mode reaches beyond the
  /// padding.
  std::vector<int64_t> beyond;
  /// The padding is what Keras calls 'same' for images of this size.
  bool isSame = false;

  int64_t reach(size_t axis) const {
    return (taps[axis] - 1) * dilations[axis] + 1;
  }
  int64_t windows(size_t axis) const {
    return (pixels[axis] + low[axis] + high[axis] - reach(axis)) /
               strides[axis] +
           1;
  }
  bool isPadded() const {
    return llvm::any_of(low, [](int64_t x) { return x != 0; }) ||
           llvm::any_of(high, [](int64_t x) { return x != 0; });
  }
  /// All zeros before a sequence: no step sees a later one.
  bool isCausal() const {
    return taps.size() == 1 && isPadded() && high[0] == 0 &&
           low[0] == (taps[0] - 1) * dilations[0];
  }
  Value padding() const {
    if (isPadded() && !isSame)
      return toSides(low, high);
    return isPadded() ? "same" : "valid";
  }
};

/// Nothing after a refusal. `taps` is the kernel's size, where the op has one
/// as operand. A transposed convolution's windows need not fit the image.
std::optional<Windows> readWindows(NodeReader &n,
                                   std::vector<int64_t> taps = {},
                                   bool mayBeLarger = false);

/// Operand `input`, (N, C, space..), with channels last. Where a whole input is
/// one sample, N has to be 1. Null after a refusal.
Tensor images(NodeReader &n, size_t input = 0);
/// An image with channels last as the node's result (N, C, space..).
void imagesResult(NodeReader &n, Tensor y, size_t index = 0);

} // namespace sinter::frontend::onnx

#endif // SINTER_FRONTEND_ONNX_ONNXWINDOWPARTS_H
