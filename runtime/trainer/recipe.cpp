// recipe.cpp - one line after the other; see recipe.h.
#include "runtime/trainer/recipe.h"

#include "runtime/trainer/numbers.h"

#include <algorithm>
#include <cstring>

namespace sinter::trainer {

namespace {

bool setText(std::string &field, const std::string &value) {
  field = value;
  return true;
}

bool setInteger(int64_t &field, const std::string &value) {
  return parseInteger(value.c_str(), field);
}

bool setFlag(bool &field, const std::string &value) {
  field = value == "true";
  return field || value == "false";
}

bool setFloat(float &field, const std::string &value) {
  double parsed;
  bool good = parseDouble(value.c_str(), parsed);
  field = good ? static_cast<float>(parsed) : field;
  return good;
}

bool setList(std::vector<std::string> &field, const std::string &value) {
  field.clear();
  for (size_t begin = 0; begin <= value.size();) {
    size_t end = std::min(value.find(',', begin), value.size());
    field.push_back(value.substr(begin, end - begin));
    begin = end + 1;
  }
  return true;
}

bool setScales(Recipe &recipe, const std::string &value) {
  std::vector<std::string> numbers;
  bool good =
      setList(numbers, value) && setFloat(recipe.inputScale, numbers[0]);
  recipe.otherScales.assign(numbers.size() - 1, 1);
  for (size_t i = 1; i < numbers.size(); ++i)
    good &= setFloat(recipe.otherScales[i - 1], numbers[i]);
  return good;
}

bool setTableRows(std::vector<int64_t> &field, const std::string &value) {
  std::vector<std::string> numbers;
  setList(numbers, value);
  field.resize(numbers.size());
  bool good = true;
  for (size_t i = 0; i < numbers.size(); ++i)
    good &= setInteger(field[i], numbers[i]);
  return good;
}

bool setKind(TargetKind &field, const std::string &value) {
  if (value == "sparse")
    field = TargetKind::Sparse;
  else if (value == "one_hot")
    field = TargetKind::OneHot;
  else if (value == "values")
    field = TargetKind::Values;
  else
    return false;
  return true;
}

bool setKinds(Recipe &recipe, const std::string &value) {
  std::vector<std::string> kinds;
  setList(kinds, value);
  recipe.targets.assign(kinds.size(), {});
  bool good = true;
  for (size_t i = 0; i < kinds.size(); ++i)
    good &= setKind(recipe.targets[i].kind, kinds[i]);
  return good;
}

/// Behind the kinds.
bool setClasses(Recipe &recipe, const std::string &value) {
  std::vector<std::string> numbers;
  setList(numbers, value);
  bool good = numbers.size() == recipe.targets.size();
  for (size_t i = 0; good && i < numbers.size(); ++i)
    good = setInteger(recipe.targets[i].classes, numbers[i]);
  return good;
}

bool setSeparator(char &field, const std::string &value) {
  field = value == "\\t" ? '\t' : value[0];
  return value.size() == 1 || value == "\\t";
}

/// NAME|TYPE|SHAPE|PARAMETERS
bool addLayer(std::vector<LayerSummary> &layers, const std::string &value) {
  const size_t type = value.find('|');
  const size_t shape = value.find('|', type + 1);
  const size_t parameters = value.find('|', shape + 1);
  if (type == value.npos || shape == value.npos || parameters == value.npos)
    return false;
  layers.push_back({value.substr(0, type),
                    value.substr(type + 1, shape - type - 1),
                    value.substr(shape + 1, parameters - shape - 1)});
  return setInteger(layers.back().parameters, value.substr(parameters + 1));
}

/// `key` without its "data.train." or the like.
bool setSource(DataSource &source, const std::string &key,
               const std::string &value) {
  if (key == "images")
    return setText(source.images, value);
  if (key == "labels")
    return setText(source.labels, value);
  if (key == "csv")
    return setText(source.csv, value);
  if (key == "label")
    return setList(source.csvFormat.labels, value);
  if (key == "skip_rows")
    return setInteger(source.csvFormat.skipRows, value);
  if (key == "separator")
    return setSeparator(source.csvFormat.separator, value);
  if (key == "npz")
    return setText(source.npz, value);
  if (key == "x")
    return setText(source.x, value);
  if (key == "inputs")
    return setList(source.inputs, value);
  if (key == "cifar10")
    return setList(source.cifar10, value);
  if (key == "directory")
    return setText(source.directory, value);
  if (key == "synthetic")
    return setInteger(source.synthetic.samples, value);
  if (key == "seed")
    return setInteger(source.synthetic.seed, value);
  if (key == "values")
    return setInteger(source.synthetic.values, value);
  return key == "y" && setText(source.y, value);
}

/// `key` without its "callback.": "0" or "0.patience".
bool setCallback(std::vector<CallbackRecipe> &callbacks, const std::string &key,
                 const std::string &value) {
  size_t dot = key.find('.');
  int64_t position;
  if (!parseInteger(key.substr(0, dot).c_str(), position))
    return false;
  auto count = static_cast<int64_t>(callbacks.size());
  if (dot == key.npos) {
    callbacks.push_back({value, {}});
    return position == count;
  }
  if (position != count - 1)
    return false;
  callbacks.back().arguments.push_back({key.substr(dot + 1), value});
  return true;
}

bool set(Recipe &recipe, const std::string &key, const std::string &value) {
  if (key == "input.scale")
    return setScales(recipe, value);
  if (key == "input.rows")
    return setTableRows(recipe.tableRows, value);
  if (key == "target.kind")
    return setKinds(recipe, value);
  if (key == "target.classes")
    return setClasses(recipe, value);
  if (key == "data.validation_split")
    return parseDouble(value.c_str(), recipe.validationSplit);
  if (key == "data.validation_split_shuffle")
    return setFlag(recipe.shuffleBeforeSplit, value);
  if (key == "data.validation_split_seed")
    return setInteger(recipe.splitSeed, value);
  if (key == "train.epochs")
    return setInteger(recipe.epochs, value);
  if (key == "train.batch_size")
    return setInteger(recipe.batchSize, value);
  if (key == "train.seed")
    return setInteger(recipe.seed, value);
  if (key == "train.shuffle")
    return setFlag(recipe.shuffle, value);
  if (key == "summary.layer")
    return addLayer(recipe.layers, value);
  if (key == "data.classes")
    return recipe.mapsClasses = value == "auto";
  if (key == "train.class_weight" || key == "model.fingerprint")
    return true;
  const std::string callback = "callback.";
  if (key.compare(0, callback.size(), callback) == 0)
    return setCallback(recipe.callbacks, key.substr(callback.size()), value);
  const std::pair<const char *, DataSource *> sources[] = {
      {"data.train.", &recipe.train},
      {"data.validation.", &recipe.validation},
      {"data.test.", &recipe.test}};
  for (auto [prefix, source] : sources)
    if (key.compare(0, std::strlen(prefix), prefix) == 0)
      return setSource(*source, key.substr(std::strlen(prefix)), value);
  return false;
}

} // namespace

const std::string &CallbackRecipe::text(const char *argument) const {
  static const std::string none = "null";
  for (const auto &[name, value] : arguments)
    if (name == argument)
      return value;
  return none;
}

int64_t CallbackRecipe::integer(const char *argument) const {
  int64_t value = 0;
  return parseInteger(text(argument).c_str(), value) ? value : 0;
}

double CallbackRecipe::number(const char *argument) const {
  double value = 0;
  return parseDouble(text(argument).c_str(), value) ? value : 0;
}

bool Recipe::hasCallback(const char *name) const {
  return std::any_of(
      callbacks.begin(), callbacks.end(),
      [&](const CallbackRecipe &callback) { return callback.name == name; });
}

Error parseRecipe(const char *text, Recipe &recipe) {
  recipe = {};
  while (*text) {
    const std::string line(text, std::strcspn(text, "\n"));
    text += line.size();
    text += *text == '\n';
    size_t equals = line.find('=');
    if (line.empty())
      continue;
    if (equals == std::string::npos ||
        !set(recipe, line.substr(0, equals), line.substr(equals + 1)))
      return runFailed("the trainer's recipe: expected a known key and a value "
                       "of its type, got '%s'; compile the model again",
                       line.c_str());
  }
  return {};
}

static bool takesTarget(const sinter_tensor_info &target,
                        const TargetForm &form) {
  int64_t rowElements = 1;
  for (int i = 1; i < target.rank; ++i)
    rowElements *= target.shape[i];
  switch (form.kind) {
  case TargetKind::Sparse:
    return target.dtype == SINTER_I32 && rowElements == 1 && form.classes > 0;
  case TargetKind::OneHot:
    return target.dtype == SINTER_F32 && rowElements == form.classes;
  case TargetKind::Values:
    return target.dtype == SINTER_F32;
  }
  return false;
}

static bool takesTargets(const sinter_function_info &function,
                         const Recipe &recipe) {
  const auto inputs = static_cast<int64_t>(recipe.otherScales.size()) + 1;
  if (!function.run || function.num_inputs <= inputs)
    return true;
  if (function.num_inputs !=
      inputs + static_cast<int64_t>(recipe.targets.size()))
    return false;
  for (size_t i = 0; i < recipe.targets.size(); ++i)
    if (!takesTarget(function.inputs[inputs + static_cast<int64_t>(i)],
                     recipe.targets[i]))
      return false;
  return true;
}

Error readRecipe(const sinter_model &model, Recipe &recipe) {
  if (Error error = parseRecipe(model.recipe, recipe))
    return error;
  if (takesTargets(model.train_step, recipe) &&
      takesTargets(model.eval_step, recipe))
    return {};
  return runFailed("the trainer's recipe: expected the target.kind that model "
                   "'%s' takes; compile the model again",
                   model.name);
}

} // namespace sinter::trainer
