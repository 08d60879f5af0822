// Summary.h - the table that Keras's model.summary() prints.
#ifndef SINTER_FRONTEND_SUMMARY_H
#define SINTER_FRONTEND_SUMMARY_H

#include "frontend/ModelBuilder.h"

namespace sinter::frontend {

struct ParameterCount {
  int64_t trainable = 0, frozen = 0;
};
ParameterCount countParameters(const ModelBuilder &model);

/// For a model that passed check().
void printSummary(llvm::raw_ostream &os, const ModelBuilder &model);

/// The table's rows for the trainer's report, as lines of a recipe:
/// "summary.layer=NAME|CLASS|SHAPE|PARAMETERS".
std::string summaryRecipe(const ModelBuilder &model);

/// "79,510"
std::string groupedNumber(int64_t number);
/// "310.59 KB"
std::string readableSize(double bytes);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_SUMMARY_H
