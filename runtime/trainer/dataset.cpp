// dataset.cpp - files to checked arrays; see dataset.h.
#include "runtime/trainer/dataset.h"

#include "runtime/trainer/array_files.h"
#include "runtime/trainer/cifar.h"
#include "runtime/trainer/image_files.h"
#include "runtime/trainer/synthetic.h"

#include <algorithm>
#include <cmath>

namespace sinter::trainer {

static Shape sampleShape(const sinter_tensor_info &tensor) {
  return {tensor.shape + 1, tensor.shape + tensor.rank};
}

ModelShape modelShape(const sinter_model &model,
                      const sinter_function_info &function) {
  ModelShape shape;
  shape.input = sampleShape(function.inputs[0]);
  const int64_t inputs = std::max<int64_t>(model.predict.num_inputs, 1);
  for (int64_t i = 1; i < inputs; ++i)
    shape.others.push_back(sampleShape(function.inputs[i]));
  for (int64_t i = 0; i < inputs; ++i)
    shape.names.push_back(function.inputs[i].name);
  if (function.num_inputs > inputs)
    shape.target = sampleShape(function.inputs[inputs]);
  return shape;
}

// ---- Files ------------------------------------------------------------------

static std::string join(const std::string &directory, const std::string &path) {
  if (directory.empty() || path.empty() || path[0] == '/')
    return path;
  return directory + "/" + path;
}

/// Where the two halves of a data set came from, for messages.
struct Names {
  std::string inputs, labels;
};

/// Without a map the folders' own order decides.
static Error readFolders(const Recipe &recipe, const std::string &path,
                         const ModelShape &model, ClassMap *map, Array &inputs,
                         Array &labels) {
  ClassMap own;
  std::vector<std::string> &classes = (map ? map : &own)->names;
  if (Error error =
          readPictureFolders(path, model.input, classes, inputs, labels))
    return error;
  const bool areClasses = recipe.targetKind != TargetKind::Values;
  const int64_t expected =
      areClasses ? recipe.classes : shapeElements(model.target) + 1;
  if (static_cast<int64_t>(classes.size()) == expected &&
      (areClasses || expected == 2))
    return {};
  const auto found = static_cast<long long>(classes.size());
  classes.clear();
  if (!areClasses && expected != 2)
    return wrongInput("%s: expected a model of classes for folders of "
                      "pictures, got one with targets of shape %s",
                      path.c_str(), shapeText(model.target).c_str());
  return wrongInput("%s: expected %lld folders, one for each class of the "
                    "model, got %lld",
                    path.c_str(), static_cast<long long>(expected), found);
}

static Error readSource(const Recipe &recipe, const DataSource &source,
                        const std::string &directory, const ModelShape &model,
                        ClassMap *map, Array &inputs, Array &labels,
                        Names &names) {
  if (source.synthetic.samples > 0) {
    names.inputs = names.labels = "synthetic";
    return makeSynthetic(recipe, source.synthetic, model, inputs, labels);
  }
  if (!source.csv.empty()) {
    names.inputs = names.labels = join(directory, source.csv);
    return readCsv(names.inputs, source.csvFormat, inputs, labels);
  }
  if (!source.npz.empty()) {
    std::string path = join(directory, source.npz);
    names = {path + ": " + source.x, path + ": " + source.y};
    if (Error error = readNpz(path, source.x, inputs))
      return error;
    return readNpz(path, source.y, labels);
  }
  if (!source.cifar10.empty()) {
    std::vector<std::string> paths;
    for (const std::string &path : source.cifar10)
      paths.push_back(join(directory, path));
    names.inputs = names.labels = paths.front();
    return readCifar10(paths, inputs, labels);
  }
  if (!source.directory.empty()) {
    names.inputs = names.labels = join(directory, source.directory);
    return readFolders(recipe, names.inputs, model, map, inputs, labels);
  }
  names = {join(directory, source.images), join(directory, source.labels)};
  if (Error error = readArray(names.inputs, inputs))
    return error;
  return readArray(names.labels, labels);
}

// ---- Checks -----------------------------------------------------------------

static Shape withoutOnes(Shape shape) {
  shape.erase(std::remove(shape.begin(), shape.end(), 1), shape.end());
  return shape;
}

/// Row-major data may be read as another shape when that cannot be a mistake:
/// dimensions of 1 do not count, and one side may be flat. (3, 32, 32) for
/// (32, 32, 3) is a mistake.
static bool isCompatible(const Shape &found, const Shape &expected) {
  Shape a = withoutOnes(found), b = withoutOnes(expected);
  return a == b || ((a.size() == 1 || b.size() == 1) &&
                    shapeElements(a) == shapeElements(b));
}

static Error checkShape(const std::string &file, const char *what,
                        const Array &array, const Shape &expected) {
  if (isCompatible(array.recordShape(), expected))
    return {};
  return wrongInput("%s: expected %s of shape %s in each record, got %s",
                    file.c_str(), what, shapeText(expected).c_str(),
                    shapeText(array.recordShape()).c_str());
}

/// One whole number in 0 .. classes-1 for each record.
static Error convertClasses(const std::string &file, const Array &labels,
                            int64_t classes, std::vector<int32_t> &converted) {
  if (labels.recordElements() != 1)
    return wrongInput("%s: expected one class number in each record, got "
                      "shape %s",
                      file.c_str(), shapeText(labels.recordShape()).c_str());
  converted.resize(static_cast<size_t>(labels.records()));
  for (int64_t i = 0; i < labels.records(); ++i) {
    float label = labels.at(i);
    if (!(label >= 0) || label >= static_cast<float>(classes) ||
        label != std::floor(label))
      return wrongInput("%s: record %lld (counted from 0): expected a class "
                        "number from 0 to %lld, got %g",
                        file.c_str(), static_cast<long long>(i),
                        static_cast<long long>(classes - 1), label);
    converted[static_cast<size_t>(i)] = static_cast<int32_t>(label);
  }
  return {};
}

/// One label that the map knows for each record.
static Error mapClasses(const std::string &file, const Array &labels,
                        const ClassMap &map, std::vector<int32_t> &converted) {
  converted.resize(static_cast<size_t>(labels.records()));
  for (int64_t i = 0; i < labels.records(); ++i) {
    int32_t number = map.find(labels.at(i));
    if (number < 0)
      return wrongInput("%s: record %lld (counted from 0): expected a label of "
                        "the training set (%s), got %g",
                        file.c_str(), static_cast<long long>(i),
                        map.text().c_str(), labels.at(i));
    converted[static_cast<size_t>(i)] = number;
  }
  return {};
}

static Error setMappedTargets(const Recipe &recipe, const std::string &file,
                              const Array &labels, ClassMap &map,
                              Dataset &dataset) {
  if (labels.recordElements() != 1)
    return wrongInput("%s: expected one label in each record, got shape %s",
                      file.c_str(), shapeText(labels.recordShape()).c_str());
  if (!map.isGiven())
    if (Error error = map.learn(file, labels, recipe.classes))
      return error;
  return mapClasses(file, labels, map, dataset.classes);
}

static Error setTargets(const Recipe &recipe, const std::string &file,
                        Array labels, const ModelShape &model, ClassMap *map,
                        Dataset &dataset) {
  if (recipe.mapsClasses && map)
    return setMappedTargets(recipe, file, labels, *map, dataset);
  bool areClasses = recipe.targetKind == TargetKind::Sparse ||
                    (recipe.targetKind == TargetKind::OneHot &&
                     labels.recordElements() != recipe.classes);
  if (areClasses)
    return convertClasses(file, labels, recipe.classes, dataset.classes);
  if (Error error = checkShape(file, "targets", labels, model.target))
    return error;
  dataset.targets = std::move(labels);
  return {};
}

static constexpr int64_t mostSamples = UINT32_MAX; // an order holds uint32_t

static Error checkInputs(const std::string &file, const Array &inputs,
                         const ModelShape &model) {
  if (inputs.records() > mostSamples)
    return wrongInput("%s: expected at most %lld records, got %lld",
                      file.c_str(), static_cast<long long>(mostSamples),
                      static_cast<long long>(inputs.records()));
  return checkShape(file, "inputs", inputs, model.input);
}

/// The inputs of a model that has several, and the labels.
static Error readSeveral(const DataSource &source, const std::string &directory,
                         const ModelShape &model, Dataset &dataset,
                         Array &labels, Names &names) {
  if (!source.npz.empty()) {
    const std::string path = join(directory, source.npz);
    names = {path, path + ": " + source.y};
    if (Error error = loadInputs({path}, model, dataset))
      return error;
    return readNpz(path, source.y, labels);
  }
  std::vector<std::string> paths;
  for (const std::string &input : source.inputs) {
    const size_t equals = input.find('=');
    paths.push_back(input.substr(0, equals + 1) +
                    join(directory, input.substr(equals + 1)));
  }
  names = {"the inputs", join(directory, source.labels)};
  if (Error error = loadInputs(paths, model, dataset))
    return error;
  return readArray(names.labels, labels);
}

Error loadDataset(const Recipe &recipe, const DataSource &source,
                  const char *set, const std::string &directory,
                  const ModelShape &model, Dataset &dataset, ClassMap *map) {
  if (!source.isGiven())
    return wrongInput("expected data.%s in the model's spec, got none", set);
  Array labels;
  Names names;
  if (!model.others.empty()) {
    if (Error error =
            readSeveral(source, directory, model, dataset, labels, names))
      return error;
  } else if (Error error = readSource(recipe, source, directory, model, map,
                                      dataset.inputs, labels, names)) {
    return error;
  }
  if (Error error = checkInputs(names.inputs, dataset.inputs, model))
    return error;
  if (labels.records() != dataset.samples())
    return wrongInput(
        "%s: expected %lld records as in %s, got %lld", names.labels.c_str(),
        static_cast<long long>(dataset.samples()), names.inputs.c_str(),
        static_cast<long long>(labels.records()));
  return setTargets(recipe, names.labels, std::move(labels), model, map,
                    dataset);
}

Error settleClasses(const Recipe &recipe, const std::string &weights,
                    ClassMap &map) {
  if (!recipe.mapsClasses)
    map.forgetLabels();
  if (!recipe.mapsClasses || map.classes() == recipe.classes)
    return {};
  return wrongInput("%s: expected the labels of %lld classes (`classes` in the "
                    "metadata, as training saves it), got %lld",
                    weights.c_str(), static_cast<long long>(recipe.classes),
                    static_cast<long long>(map.classes()));
}

static bool endsWith(const std::string &text, const char *ending) {
  const std::string tail = ending;
  return text.size() >= tail.size() &&
         text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

Error loadInputs(const std::string &path, const std::string &name,
                 const ModelShape &model, Array &inputs) {
  if (endsWith(path, ".png") || endsWith(path, ".ppm") ||
      endsWith(path, ".pgm"))
    return readPictureFile(path, model.input, inputs);
  Array noLabels;
  bool isCsv = endsWith(path, ".csv") || endsWith(path, ".csv.gz");
  Error error = isCsv                    ? readCsv(path, {}, inputs, noLabels)
                : endsWith(path, ".npz") ? readNpzOrOnly(path, name, inputs)
                                         : readArray(path, inputs);
  if (error)
    return error;
  return checkInputs(path, inputs, model);
}

/// Of the file that `paths` names for the input; or the archive's array.
static Error loadInput(const std::vector<std::string> &paths,
                       const std::string &name, const ModelShape &model,
                       Array &array, std::string &source) {
  if (paths.size() == 1 && endsWith(paths[0], ".npz") &&
      paths[0].compare(0, name.size() + 1, name + "=") != 0) {
    source = paths[0] + ": " + name;
    if (Error error = readNpz(paths[0], name, array))
      return error;
    return checkInputs(source, array, model);
  }
  for (const std::string &path : paths)
    if (path.compare(0, name.size() + 1, name + "=") == 0) {
      source = path.substr(name.size() + 1);
      return loadInputs(source, name, model, array);
    }
  return wrongInput("expected an npz archive with an array for each input, or "
                    "NAME=FILE for each; got none for '%s'",
                    name.c_str());
}

Error loadInputs(const std::vector<std::string> &paths, const ModelShape &model,
                 Dataset &dataset) {
  dataset.others.resize(model.others.size());
  std::string first, source;
  for (size_t i = 0; i <= model.others.size(); ++i) {
    const ModelShape own{i ? model.others[i - 1] : model.input, {}, {}, {}};
    Array &array = i ? dataset.others[i - 1] : dataset.inputs;
    if (Error error =
            loadInput(paths, model.names[i], own, array, i ? source : first))
      return error;
    if (array.records() != dataset.samples())
      return wrongInput("%s: expected %lld records as in %s, got %lld",
                        source.c_str(),
                        static_cast<long long>(dataset.samples()),
                        first.c_str(), static_cast<long long>(array.records()));
  }
  // A misspelled name has left its input without a file, but not where an
  // input is given twice.
  if (paths.size() <= model.others.size() + 1)
    return {};
  return wrongInput("expected files for %zu inputs, got %zu",
                    model.others.size() + 1, paths.size());
}

} // namespace sinter::trainer
