// Recipe.h - what a trainer has to know of the spec, as text in the model.
//
// The compiled model carries its data and training sections as lines
// "key=value" (sinter_model.recipe), so that the trainer needs no YAML reader.
// Keys are the spec's own paths: data.train.csv=F, train.epochs=5. The
// trainer's half is runtime/trainer/recipe.*. Known weakness: values are single
// lines; the catalog's Type::Text refuses others.
#ifndef SINTER_FRONTEND_RECIPE_H
#define SINTER_FRONTEND_RECIPE_H

#include "frontend/Spec.h"

namespace sinter::frontend {

class ModelBuilder;

/// The form in which the loss wants its targets.
struct Target {
  enum class Kind { Sparse, OneHot, Values };
  Kind kind = Kind::Values;
  int64_t classes = 0; // of Sparse and OneHot
};

/// The target that a completed loss wants from an output of `outputShape` (one
/// sample).
Target targetOf(const Config &loss, llvm::ArrayRef<int64_t> outputShape);

/// `spec` must have been read without errors; `targets` as its outputs.
std::string writeRecipe(const Spec &spec, llvm::ArrayRef<Target> targets);

/// For each input of `model` the rows of the table that its numbers are looked
/// up in, 0 if they are not; nothing if none are.
std::string writeTables(const ModelBuilder &model);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_RECIPE_H
