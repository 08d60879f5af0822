//===- PackedFilter.h - large filters, copied tile by tile ---------------===//
//
// A convolution reads some filters' weights, step by step of its sum, for each
// few pixels again. In a large filter those steps are pages apart, at strides
// that are often powers of two: few stay in the L2 cache. So the kernel copies
// a tile's weights to where they lie side by side (`sinter.scratch`), and
// computes many pixels with the copy (codegen/LowerConv.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_PACKEDFILTER_H
#define SINTER_IR_PACKEDFILTER_H

#include "ir/Window.h"

#include <optional>

namespace sinter {

struct PackedFilter {
  int64_t steps;  // of a sum
  int64_t tiles;  // of filters, copied at a time
  int64_t blocks; // of pixels, computed with one copy each

  /// Scratch grows with them.
  static constexpr int64_t tasks = 8;
  /// Filters that are copied, a cache line of them; a tile has no more.
  static constexpr int64_t width = kLaneMultiple;

  int64_t tileFloats() const { return steps * width; }
  int64_t taskFloats() const { return tiles * tileFloats(); }
};

/// None where the filter stays in the L2 cache as it is, or is read too seldom.
std::optional<PackedFilter> packedFilterOf(Conv2dOp op, int64_t batchBound);

} // namespace sinter

#endif // SINTER_IR_PACKEDFILTER_H
