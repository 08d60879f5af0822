//===- Window.h - which pixels a window covers ---------------------------===//
//
// One axis of a convolution or of pooling, in the terms of SinterOps.td: tap i
// of window r reads pixel `r stride + i dilation - low`. Verifiers, the
// reference and the loop nests all ask here.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_WINDOW_H
#define SINTER_IR_WINDOW_H

#include "ir/SinterDialect.h"

#include <array>

namespace sinter {

struct WindowAxis {
  int64_t pixels, taps, stride, dilation, low, high;

  /// Pixels from the first tap to the last.
  int64_t reach() const { return dilation * (taps - 1) + 1; }
  /// How many windows fit; 0 or less if none does.
  int64_t windows() const {
    int64_t room = pixels + low + high - reach();
    return room < 0 ? 0 : room / stride + 1;
  }
  /// The pixel that tap `tap` of window `window` reads; it may be outside.
  int64_t pixel(int64_t window, int64_t tap) const {
    return window * stride + tap * dilation - low;
  }
  bool covers(int64_t window, int64_t tap) const {
    int64_t at = pixel(window, tap);
    return at >= 0 && at < pixels;
  }
};

/// Vertical and horizontal.
using Window = std::array<WindowAxis, 2>;

/// The window of an op on images of `image`'s type with taps as `taps` says.
/// Dilations are 1 where the op has none.
inline Window makeWindow(llvm::ArrayRef<int64_t> pixels,
                         llvm::ArrayRef<int64_t> taps,
                         llvm::ArrayRef<int64_t> strides,
                         llvm::ArrayRef<int64_t> padding,
                         llvm::ArrayRef<int64_t> dilations = {1, 1}) {
  return {WindowAxis{pixels[0], taps[0], strides[0], dilations[0], padding[0],
                     padding[1]},
          WindowAxis{pixels[1], taps[1], strides[1], dilations[1], padding[2],
                     padding[3]}};
}

/// A convolution, whichever of its ops it stands in.
struct Convolution {
  // One of them is the op's result. Winograd's forms have no filter.
  mlir::Value image, filter, result;
  Window window;
  int64_t groups;
  /// Channels of the image and filters, of one group.
  int64_t channels, filters;

  /// Multiply-adds of the direct sum, of one sample: taps outside of the image
  /// are not counted.
  int64_t products() const {
    int64_t count = channels * filters * groups;
    for (const WindowAxis &axis : window) {
      int64_t hits = 0;
      for (int64_t at = 0; at < axis.windows(); ++at)
        for (int64_t tap = 0; tap < axis.taps; ++tap)
          hits += axis.covers(at, tap);
      count *= hits;
    }
    return count;
  }
};
Convolution convolutionOf(Conv2dOp op);
Convolution convolutionOf(Conv2dTransposeOp op);
Convolution convolutionOf(Conv2dFilterGradientOp op);
Convolution convolutionOf(WinogradConv2dOp op);
Convolution convolutionOf(WinogradFilterGradientOp op);

/// Of the four pooling ops.
Window poolWindowOf(mlir::Operation *op);

} // namespace sinter

#endif // SINTER_IR_WINDOW_H
