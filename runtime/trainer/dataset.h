// dataset.h - one data set in memory, checked against the model.
//
// Loading reads the files that the recipe names and holds them against what
// the model takes: shapes, counts, class numbers. What passes can be trained
// on without another check.
#ifndef SINTER_TRAINER_DATASET_H
#define SINTER_TRAINER_DATASET_H

#include "runtime/trainer/array.h"
#include "runtime/trainer/class_map.h"
#include "runtime/trainer/recipe.h"

namespace sinter::trainer {

/// Per-sample shapes of what the model takes.
struct ModelShape {
  Shape input;
  std::vector<Shape> targets = {};       // one for each output; none: no loss
  std::vector<Shape> others = {};        // inputs behind the first
  std::vector<std::string> names = {};   // of all inputs
  std::vector<std::string> outputs = {}; // whose the targets are
};

/// Of `train_step`, `eval_step` or `predict` (without target) of `model`.
ModelShape modelShape(const sinter_model &model,
                      const sinter_function_info &function);

/// What the results of one output are compared with.
struct Targets {
  Array values;                 // Values, or rows for OneHot
  std::vector<int32_t> classes; // Sparse, or OneHot from class numbers
};

struct Dataset {
  Array inputs;                    // of the model's first input
  std::vector<Targets> targets{1}; // of each output
  std::vector<Array> others = {};  // of the inputs behind the first

  int64_t samples() const { return inputs.records(); }
};

/// `set` ("train", "validation", "test") is for messages; relative paths start
/// at `directory`. Where the recipe maps labels to classes, `map` says how; an
/// empty one learns it from this set first.
Error loadDataset(const Recipe &recipe, const DataSource &source,
                  const char *set, const std::string &directory,
                  const ModelShape &model, Dataset &dataset,
                  ClassMap *map = nullptr);

/// Refuses weights without the labels that the recipe's `classes: auto` needs;
/// without it, forgets those that the weights bring.
Error settleClasses(const Recipe &recipe, const std::string &weights,
                    ClassMap &map);

/// Are the numbers that an embedding looks up rows of its table? A number that
/// is none would be NaN in the model. `file`: of the first input, for messages.
Error checkTableRows(const Recipe &recipe, const ModelShape &model,
                     const std::string &file, const Dataset &dataset);

/// The input of `predict`: idx, npy, csv, npz or one picture by the name's
/// extension. An npz archive has the array `name`, or only one array.
Error loadInputs(const std::string &path, const std::string &name,
                 const ModelShape &model, Array &inputs);

/// The inputs of a model that has several: `paths` is one npz archive with an
/// array for each input, or NAME=FILE for each.
Error loadInputs(const std::vector<std::string> &paths, const ModelShape &model,
                 Dataset &dataset);

} // namespace sinter::trainer

#endif
