//===- PoolGradient.h - max pooling's gradient, block by block ------------===//
//
// Windows that overlap would be searched for their maximum once for each pixel
// that asks. A kernel can go through the image in blocks as large as the stride
// and remember what it found, a byte a window: whoever decides whether the
// image is stored, or computed again for each search, has to know when.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_POOLGRADIENT_H
#define SINTER_IR_POOLGRADIENT_H

#include "ir/Window.h"

namespace sinter {

/// The windows over a block: those from `first` to `last`, behind that which
/// has the block's number.
struct WindowsOverBlock {
  explicit WindowsOverBlock(const WindowAxis &axis)
      : first(-((axis.taps - 1 - axis.low) / axis.stride)),
        last((axis.stride - 1 + axis.low) / axis.stride) {}
  int64_t first, last;
};

/// More points at once need more code and registers than they save.
inline constexpr int64_t kMostPointsOfBlock = 4;

/// Is each window searched but once, save at the border? So it is where windows
/// reach into the next block and no further, and what is remembered of a row of
/// windows, `bytes` each, fits on a thread's stack.
bool remembersMaxima(const Window &window, int64_t bytes);

} // namespace sinter

#endif // SINTER_IR_POOLGRADIENT_H
