// dataset.cpp - files to checked arrays; see dataset.h.
#include "runtime/trainer/dataset.h"

#include "runtime/trainer/array_files.h"
#include "runtime/trainer/cifar.h"
#include "runtime/trainer/image_files.h"
#include "runtime/trainer/numbers.h"
#include "runtime/trainer/synthetic.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sinter::trainer {

static Shape sampleShape(const sinter_tensor_info &tensor) {
  return {tensor.shape + 1, tensor.shape + tensor.rank};
}

static bool endsWith(const std::string &text, const char *ending) {
  const std::string tail = ending;
  return text.size() >= tail.size() &&
         text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

static std::string withoutEnding(const std::string &text, const char *ending) {
  return endsWith(text, ending)
             ? text.substr(0, text.size() - std::strlen(ending))
             : text;
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
  for (int64_t i = inputs; i < function.num_inputs; ++i) {
    shape.targets.push_back(sampleShape(function.inputs[i]));
    shape.outputs.push_back(withoutEnding(function.inputs[i].name, "_target"));
  }
  return shape;
}

// ---- Files ------------------------------------------------------------------

static std::string join(const std::string &directory, const std::string &path) {
  if (directory.empty() || path.empty() || path[0] == '/')
    return path;
  return directory + "/" + path;
}

namespace {

/// What the targets of one output are made of, and where it came from, for
/// messages.
struct Labels {
  Array array;
  std::string name;
};

/// Where the inputs and the targets of all outputs come to lie.
struct Halves {
  Dataset &dataset;
  std::vector<Labels> labels;
  std::string inputsName;

  /// All of them in one file.
  void setNames(const std::string &file) {
    inputsName = file;
    for (Labels &one : labels)
      one.name = file;
  }
};

} // namespace

/// The parts of `text`, a list of OUTPUT=VALUE with commas, that belong to
/// `output`.
static std::vector<std::string> valuesOf(const std::string &text,
                                         const std::string &output) {
  std::vector<std::string> values;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const size_t equals = text.find('=', begin);
    if (equals < end && text.compare(begin, equals - begin, output) == 0)
      values.push_back(text.substr(equals + 1, end - equals - 1));
    begin = end + 1;
  }
  return values;
}

/// Without a map the folders' own order decides.
static Error readFolders(const Recipe &recipe, const std::string &path,
                         const ModelShape &model, ClassMap *map, Array &inputs,
                         Array &labels) {
  ClassMap own;
  std::vector<std::string> &classes = (map ? map : &own)->names;
  if (Error error =
          readPictureFolders(path, model.input, classes, inputs, labels))
    return error;
  const TargetForm &form = recipe.targets[0];
  const bool areClasses = form.kind != TargetKind::Values;
  const int64_t expected =
      areClasses ? form.classes : shapeElements(model.targets[0]) + 1;
  if (static_cast<int64_t>(classes.size()) == expected &&
      (areClasses || expected == 2))
    return {};
  const auto found = static_cast<long long>(classes.size());
  classes.clear();
  if (!areClasses && expected != 2)
    return wrongInput("%s: expected a model of classes for folders of "
                      "pictures, got one with targets of shape %s",
                      path.c_str(), shapeText(model.targets[0]).c_str());
  return wrongInput("%s: expected %lld folders, one for each class of the "
                    "model, got %lld",
                    path.c_str(), static_cast<long long>(expected), found);
}

/// A file for each output.
static Error readLabels(const std::string &text, const std::string &directory,
                        const ModelShape &model, Halves &halves) {
  for (size_t i = 0; i < halves.labels.size(); ++i) {
    Labels &labels = halves.labels[i];
    labels.name = text;
    if (halves.labels.size() > 1) {
      const std::vector<std::string> files = valuesOf(text, model.outputs[i]);
      if (files.size() != 1)
        return wrongInput("data: expected a file of labels for the output '%s'",
                          model.outputs[i].c_str());
      labels.name = files[0];
    }
    labels.name = join(directory, labels.name);
    if (Error error = readArray(labels.name, labels.array))
      return error;
  }
  return {};
}

/// The archive's arrays: `y`, or those that are called as the outputs are.
static Error readNpzLabels(const std::string &path, const std::string &y,
                           const ModelShape &model, Halves &halves) {
  for (size_t i = 0; i < halves.labels.size(); ++i) {
    Labels &labels = halves.labels[i];
    const std::string name = halves.labels.size() > 1 ? model.outputs[i] : y;
    labels.name = path + ": " + name;
    if (Error error = readNpz(path, name, labels.array))
      return error;
  }
  return {};
}

/// The columns of `labels` that the outputs have, one group behind the other.
static void splitColumns(const Array &labels, std::vector<size_t> widths,
                         std::vector<Labels> &parts) {
  const auto columns = static_cast<size_t>(labels.recordElements());
  size_t first = 0;
  for (size_t part = 0; part < parts.size(); ++part) {
    Array &array = parts[part].array;
    const size_t width = widths[part];
    array.shape = {labels.records(), static_cast<int64_t>(width)};
    array.bytes.resize(static_cast<size_t>(labels.records()) * width *
                       sizeof(float));
    for (size_t i = 0; i < static_cast<size_t>(labels.records()); ++i)
      std::copy_n(labels.floats() + i * columns + first, width,
                  array.floats() + i * width);
    first += width;
  }
}

/// A table's labels to map: numbers, or texts where one is no number (then of
/// the training set); these as their places in the map.
static Error toLabels(const std::string &path,
                      const std::vector<std::string> &texts, int64_t classes,
                      ClassMap &map, Array &labels) {
  double number;
  const bool areNumbers =
      std::all_of(texts.begin(), texts.end(), [&](const std::string &text) {
        return parseDouble(text.c_str(), number);
      });
  const bool areTexts = map.isGiven() ? map.isOfTexts() : !areNumbers;
  if (areTexts && !map.isGiven())
    if (Error error = map.learn(path, texts, classes))
      return error;
  labels.shape = {static_cast<int64_t>(texts.size()), 1};
  labels.bytes.resize(texts.size() * sizeof(float));
  for (size_t i = 0; i < texts.size(); ++i) {
    const bool isKnown = areTexts ? (number = map.find(texts[i])) >= 0
                                  : parseDouble(texts[i].c_str(), number);
    if (!isKnown)
      return wrongInput("%s: record %zu (counted from 0): expected a label of "
                        "the training set (%s), got '%.40s'",
                        path.c_str(), i, map.text().c_str(), texts[i].c_str());
    labels.floats()[i] = static_cast<float>(number);
  }
  return {};
}

static Error readTable(const Recipe &recipe, const DataSource &source,
                       const std::string &path, const ModelShape &model,
                       ClassMap *map, Halves &halves) {
  halves.setNames(path);
  Array &inputs = halves.dataset.inputs;
  if (recipe.mapsClasses && map && source.csvFormat.labels.size() == 1) {
    std::vector<std::string> texts;
    Array none;
    if (Error error = readCsv(path, source.csvFormat, inputs, none, &texts))
      return error;
    return toLabels(path, texts, recipe.targets[0].classes, *map,
                    halves.labels[0].array);
  }
  if (halves.labels.size() == 1)
    return readCsv(path, source.csvFormat, inputs, halves.labels[0].array);
  std::string all;
  for (const std::string &label : source.csvFormat.labels)
    all += (all.empty() ? "" : ",") + label;
  CsvFormat format = source.csvFormat;
  format.labels.clear();
  std::vector<size_t> widths;
  for (size_t i = 0; i < halves.labels.size(); ++i) {
    const std::vector<std::string> columns = valuesOf(all, model.outputs[i]);
    widths.push_back(columns.size());
    format.labels.insert(format.labels.end(), columns.begin(), columns.end());
    halves.labels[i].name += ": '" + model.outputs[i] + "'";
  }
  Array labels;
  if (Error error = readCsv(path, format, inputs, labels))
    return error;
  splitColumns(labels, widths, halves.labels);
  return {};
}

/// The inputs of a model that has several, and the labels.
static Error readSeveral(const DataSource &source, const std::string &directory,
                         const ModelShape &model, Halves &halves) {
  if (!source.npz.empty()) {
    halves.inputsName = join(directory, source.npz);
    if (Error error = loadInputs({halves.inputsName}, model, halves.dataset))
      return error;
    return readNpzLabels(halves.inputsName, source.y, model, halves);
  }
  std::vector<std::string> paths;
  for (const std::string &input : source.inputs) {
    const size_t equals = input.find('=');
    paths.push_back(input.substr(0, equals + 1) +
                    join(directory, input.substr(equals + 1)));
  }
  halves.inputsName = "the inputs";
  if (Error error = loadInputs(paths, model, halves.dataset))
    return error;
  return readLabels(source.labels, directory, model, halves);
}

static Error readSource(const Recipe &recipe, const DataSource &source,
                        const std::string &directory, const ModelShape &model,
                        ClassMap *map, Halves &halves) {
  Array &inputs = halves.dataset.inputs;
  if (source.synthetic.samples > 0) {
    std::vector<Array> targets;
    halves.setNames("synthetic");
    if (Error error = makeSynthetic(recipe, source.synthetic, model,
                                    halves.dataset, targets))
      return error;
    for (size_t i = 0; i < targets.size(); ++i)
      halves.labels[i].array = std::move(targets[i]);
    return {};
  }
  if (!model.others.empty())
    return readSeveral(source, directory, model, halves);
  if (!source.csv.empty())
    return readTable(recipe, source, join(directory, source.csv), model, map,
                     halves);
  if (!source.npz.empty()) {
    const std::string path = join(directory, source.npz);
    halves.inputsName = path + ": " + source.x;
    if (Error error = readNpz(path, source.x, inputs))
      return error;
    return readNpzLabels(path, source.y, model, halves);
  }
  if (!source.cifar10.empty()) {
    std::vector<std::string> paths;
    for (const std::string &path : source.cifar10)
      paths.push_back(join(directory, path));
    halves.setNames(paths.front());
    return readCifar10(paths, inputs, halves.labels[0].array);
  }
  if (!source.directory.empty()) {
    halves.setNames(join(directory, source.directory));
    return readFolders(recipe, halves.inputsName, model, map, inputs,
                       halves.labels[0].array);
  }
  halves.inputsName = join(directory, source.images);
  if (Error error = readArray(halves.inputsName, inputs))
    return error;
  return readLabels(source.labels, directory, model, halves);
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

static Error setMappedTargets(int64_t classes, const Labels &labels,
                              ClassMap &map, Targets &targets) {
  const Array &array = labels.array;
  if (array.recordElements() != 1)
    return wrongInput("%s: expected one label in each record, got shape %s",
                      labels.name.c_str(),
                      shapeText(array.recordShape()).c_str());
  if (!map.isGiven())
    if (Error error = map.learn(labels.name, array, classes))
      return error;
  return mapClasses(labels.name, array, map, targets.classes);
}

static Error setTargets(const TargetForm &form, Labels &labels,
                        const Shape &shape, Targets &targets) {
  const bool areClasses = form.kind == TargetKind::Sparse ||
                          (form.kind == TargetKind::OneHot &&
                           labels.array.recordElements() != form.classes);
  if (areClasses)
    return convertClasses(labels.name, labels.array, form.classes,
                          targets.classes);
  if (Error error = checkShape(labels.name, "targets", labels.array, shape))
    return error;
  targets.values = std::move(labels.array);
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

Error checkTableRows(const Recipe &recipe, const ModelShape &model,
                     const std::string &file, const Dataset &dataset) {
  for (size_t input = 0; input < recipe.tableRows.size(); ++input) {
    const int64_t rows = recipe.tableRows[input];
    const Array &numbers = input ? dataset.others[input - 1] : dataset.inputs;
    const float scale =
        input ? recipe.otherScales[input - 1] : recipe.inputScale;
    const int64_t inRecord = numbers.recordElements();
    for (int64_t i = 0; rows > 0 && i < numbers.records() * inRecord; ++i) {
      const float number = numbers.at(i) * scale;
      if (number >= 0 && number < static_cast<float>(rows) &&
          number == std::floor(number))
        continue;
      const std::string of =
          input ? "input '" + model.names[input] + "'" : file;
      return wrongInput("%s: record %lld (counted from 0): expected whole "
                        "numbers from 0 to %lld, rows of the embedding's "
                        "table, got %g",
                        of.c_str(), static_cast<long long>(i / inRecord),
                        static_cast<long long>(rows - 1), number);
    }
  }
  return {};
}

Error loadDataset(const Recipe &recipe, const DataSource &source,
                  const char *set, const std::string &directory,
                  const ModelShape &model, Dataset &dataset, ClassMap *map) {
  if (!source.isGiven())
    return wrongInput("expected data.%s in the model's spec, got none", set);
  Halves halves = {dataset, std::vector<Labels>(model.targets.size()), ""};
  if (Error error = readSource(recipe, source, directory, model, map, halves))
    return error;
  if (Error error = checkInputs(halves.inputsName, dataset.inputs, model))
    return error;
  if (Error error = checkTableRows(recipe, model, halves.inputsName, dataset))
    return error;
  dataset.targets.assign(model.targets.size(), {});
  for (size_t i = 0; i < halves.labels.size(); ++i) {
    Labels &labels = halves.labels[i];
    const TargetForm &form = recipe.targets[i];
    Targets &targets = dataset.targets[i];
    if (labels.array.records() != dataset.samples())
      return wrongInput(
          "%s: expected %lld records as in %s, got %lld", labels.name.c_str(),
          static_cast<long long>(dataset.samples()), halves.inputsName.c_str(),
          static_cast<long long>(labels.array.records()));
    if (Error error =
            recipe.mapsClasses && map
                ? setMappedTargets(form.classes, labels, *map, targets)
                : setTargets(form, labels, model.targets[i], targets))
      return error;
  }
  return {};
}

Error settleClasses(const Recipe &recipe, const std::string &weights,
                    ClassMap &map) {
  if (!recipe.mapsClasses)
    map.forgetLabels();
  const int64_t classes = recipe.targets[0].classes;
  if (!recipe.mapsClasses || map.classes() == classes)
    return {};
  return wrongInput("%s: expected the labels of %lld classes (`classes` in the "
                    "metadata, as training saves it), got %lld",
                    weights.c_str(), static_cast<long long>(classes),
                    static_cast<long long>(map.classes()));
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
    const ModelShape own{i ? model.others[i - 1] : model.input};
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
