// report_charts.h - curves and the memory plan as SVG.
//
// Positions are percent of the drawing and letters are pixels, so a chart keeps
// its legibility at any width without a script.
#ifndef SINTER_TRAINER_REPORT_CHARTS_H
#define SINTER_TRAINER_REPORT_CHARTS_H

#include "runtime/sinter_runtime.h"

#include <string>
#include <vector>

namespace sinter::trainer {

struct Curve {
  bool isValidation = false;
  const std::vector<double> *values = nullptr; // one an epoch; NaN is a gap
};

/// A card with the curves of one figure ("loss"). `best` is the epoch to mark,
/// counted from 1; 0: none.
std::string renderCurves(const std::string &name,
                         const std::vector<Curve> &curves, size_t best);

/// A card with the arena over the kernels of `function`; empty without buffers.
std::string renderMemory(const char *name, const sinter_function_info &function,
                         const sinter_model &model);

} // namespace sinter::trainer

#endif
