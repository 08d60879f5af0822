//===- FilterPanels.h - how filter gradients in panels cut their work ----===//
//
// conv2d_filter_gradient's kernel turns some rows of dy at a time into panels
// with filters in the lanes (codegen/FilterPanels.h), in memory of its own
// (`sinter.scratch`): how much has to be known when memory is planned.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_FILTERPANELS_H
#define SINTER_IR_FILTERPANELS_H

#include "ir/Window.h"

#include "llvm/Support/MathExtras.h"

#include <optional>

namespace sinter {

/// Units are some filters by some channels, of all taps: no sum crosses units.
struct FilterPanelTiling {
  int64_t filters, filterParts;   // whole vectors; the last part may have fewer
  int64_t channels, channelParts; // the same
  int64_t rows, samples;          // of dy that are turned at a time
  int64_t columns;                // pixels and samples of these
  int64_t tasks;

  int64_t units() const { return filterParts * channelParts; }
  int64_t taskFloats() const {
    return llvm::alignTo(filters, kLaneMultiple) * columns;
  }
};

/// None where samples stay in the lanes: groups, few products for each element
/// of dy, or filters that would leave many lanes empty.
std::optional<FilterPanelTiling> panelTilingOf(Conv2dFilterGradientOp op,
                                               int64_t batchBound);

} // namespace sinter

#endif // SINTER_IR_FILTERPANELS_H
