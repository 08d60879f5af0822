// recipe.h - the spec's data and training sections, as the compiler left them.
//
// A trainer carries its defaults as text, one `key=value` a line:
//
//   input.scale=0.0039...          factor on the input while it is read
//   target.kind=sparse             sparse | one_hot | values
//   target.classes=10              for sparse and one_hot
//   data.SET.images= .labels=      idx or npy, plain or gzipped
//   data.SET.csv= .label= .skip_rows= .separator=
//   data.SET.npz= .x= .y=          SET is train, validation or test
//   data.validation_split=0.2      the last fraction of the training data ...
//   data.validation_split_shuffle= data.validation_split_seed=   ... permuted
//   summary.layer=output|Dense|(None, 10)|7850     one line a layer
//   train.epochs= train.batch_size= train.seed= train.shuffle=
//
// The compiler wrote the text, so an error in it is ours, not the user's.
#ifndef SINTER_TRAINER_RECIPE_H
#define SINTER_TRAINER_RECIPE_H

#include "runtime/trainer/csv.h"
#include "runtime/trainer/error.h"

namespace sinter::trainer {

enum class TargetKind {
  Sparse, // i32 class numbers
  OneHot, // f32 rows of `classes`; made from class numbers where needed
  Values, // f32 as stored
};

/// Where one data set lies. At most one of images, csv and npz is given.
struct DataSource {
  std::string images, labels;
  std::string csv;
  CsvFormat csvFormat;
  std::string npz, x, y;

  bool isGiven() const {
    return !images.empty() || !csv.empty() || !npz.empty();
  }
};

/// A row of the model's summary, for the report.
struct LayerSummary {
  std::string name, type, shape;
  int64_t parameters = 0;
};

struct Recipe {
  float inputScale = 1;
  TargetKind targetKind = TargetKind::Values;
  int64_t classes = 0;
  DataSource train, validation, test;
  double validationSplit = 0;
  bool shuffleBeforeSplit = false;
  int64_t splitSeed = 0;
  int64_t epochs = 1, batchSize = 32, seed = 0;
  bool shuffle = true;
  std::vector<LayerSummary> layers;
};

Error parseRecipe(const char *text, Recipe &recipe);

/// The model's recipe, held against what the model's functions take.
Error readRecipe(const sinter_model &model, Recipe &recipe);

} // namespace sinter::trainer

#endif
