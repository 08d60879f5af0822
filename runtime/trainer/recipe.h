// recipe.h - the spec's data and training sections, as the compiler left them.
//
// A trainer carries its defaults as text, one `key=value` a line:
//
//   input.scale=0.0039...          factor on the input while it is read; of
//                                  several inputs the factors, with commas
//   input.rows=20000               of each input, how many rows the table has
//                                  that its numbers are looked up in; 0: none
//   target.kind=sparse             sparse | one_hot | values
//   target.classes=10              for sparse and one_hot, else 0; of several
//                                  outputs both lines are lists, with commas
//   data.SET.images= .labels=      idx or npy, plain or gzipped; of several
//                                  outputs `labels` is a list of OUTPUT=FILE
//   data.SET.csv= .label= .skip_rows= .separator=
//                                  `label`, too, a list of OUTPUT=COLUMN
//   data.SET.npz= .x= .y=          SET is train, validation or test; without
//                                  x, arrays are called as the inputs are;
//                                  without y, as the outputs are
//   data.SET.inputs=               NAME=FILE for each of several inputs, with
//                                  commas between; and .labels=
//   data.SET.cifar10=              files of records, separated by commas
//   data.SET.directory=            a folder of pictures for each class
//   data.SET.synthetic= .seed= .values=    so many made-up samples
//   data.classes=auto              labels are mapped to class numbers
//   data.validation_split=0.2      the last fraction of the training data ...
//   data.validation_split_shuffle= data.validation_split_seed=   ... permuted
//   summary.layer=output|Dense|(None, 10)|7850     one line a layer
//   train.epochs= train.batch_size= train.seed= train.shuffle=
//   train.class_weight=            for reading only: it is compiled in
//   callback.0=early_stopping      the callbacks, in the spec's order ...
//   callback.0.patience=           ... and their arguments
//   model.fingerprint=             of the network, loss and optimizer
//
// The compiler wrote the text, so an error in it is ours, not the user's.
#ifndef SINTER_TRAINER_RECIPE_H
#define SINTER_TRAINER_RECIPE_H

#include "runtime/trainer/csv.h"
#include "runtime/trainer/error.h"

#include <utility>

namespace sinter::trainer {

enum class TargetKind {
  Sparse, // i32 class numbers
  OneHot, // f32 rows of `classes`; made from class numbers where needed
  Values, // f32 as stored
};

/// The form in which the loss of an output wants its targets.
struct TargetForm {
  TargetKind kind = TargetKind::Values;
  int64_t classes = 0; // of Sparse and OneHot
};

/// Samples that are made up; see synthetic.h.
struct SyntheticSource {
  int64_t samples = 0; // 0: not given
  int64_t seed = 0, values = 256;
};

/// Where one data set lies. At most one form is given.
struct DataSource {
  std::string images, labels;
  std::string csv;
  CsvFormat csvFormat;
  std::string npz, x, y;
  std::vector<std::string> inputs; // NAME=FILE, for `labels`
  std::vector<std::string> cifar10;
  std::string directory;
  SyntheticSource synthetic;

  bool isGiven() const {
    return !images.empty() || !csv.empty() || !npz.empty() || !inputs.empty() ||
           !cifar10.empty() || !directory.empty() || synthetic.samples > 0;
  }
};

/// A row of the model's summary, for the report.
struct LayerSummary {
  std::string name, type, shape;
  int64_t parameters = 0;
};

/// A callback and its arguments; the compiler wrote all of them.
struct CallbackRecipe {
  std::string name;
  std::vector<std::pair<std::string, std::string>> arguments;

  const std::string &text(const char *argument) const;
  bool isNull(const char *argument) const { return text(argument) == "null"; }
  bool flag(const char *argument) const { return text(argument) == "true"; }
  int64_t integer(const char *argument) const;
  double number(const char *argument) const;
};

struct Recipe {
  float inputScale = 1;
  std::vector<float> otherScales;     // of the inputs behind the first
  std::vector<int64_t> tableRows;     // of all inputs, or empty
  std::vector<TargetForm> targets{1}; // one for each output that is trained
  DataSource train, validation, test;
  double validationSplit = 0;
  bool shuffleBeforeSplit = false;
  int64_t splitSeed = 0;
  int64_t epochs = 1, batchSize = 32, seed = 0;
  bool shuffle = true;
  std::vector<LayerSummary> layers;
  bool mapsClasses = false;
  std::vector<CallbackRecipe> callbacks;

  bool hasCallback(const char *name) const;
};

Error parseRecipe(const char *text, Recipe &recipe);

/// The state that holds the learning rate where callbacks change it.
inline constexpr const char *learningRateState = "optimizer/learning_rate";

/// The model's recipe, held against what the model's functions take.
Error readRecipe(const sinter_model &model, Recipe &recipe);

} // namespace sinter::trainer

#endif
