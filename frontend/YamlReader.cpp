// YamlReader.cpp - walks the YAML tree and fills in a Spec.
//
// The reader knows the shape of a spec (which section holds what); names,
// types, ranges and defaults it leaves to completeConfig(). A config is written
// in one of three ways, all read by toConfig():
//
//   flatten                                  a name
//   dropout: 0.3                             a name and its main argument
//   dense: {units: 100, activation: relu}    a name and its arguments
//
// Known weakness: a map with one key stands for a config wherever a value is
// expected, so a misplaced map is reported as a config of the wrong kind.
#include "frontend/YamlReader.h"

#include "frontend/ConfigCheck.h"
#include "frontend/ImportedModel.h"
#include "frontend/YamlTree.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace sinter::frontend;
using llvm::formatv;
using llvm::StringRef;

namespace {

class SpecReader {
public:
  explicit SpecReader(Diagnostics &diagnostics) : diagnostics(diagnostics) {}

  Spec read(const YamlNode &root);

private:
  // One reader for each key of a spec; see the table in read().
  void readModel(const YamlEntry &entry);
  void readInput(const YamlEntry &entry);
  void readInputs(const YamlEntry &entry);
  void readOutputs(const YamlEntry &entry);
  void readLayers(const YamlEntry &entry);
  void readLoss(const YamlEntry &entry);
  void readLossWeights(const YamlEntry &entry);
  void readOptimizer(const YamlEntry &entry);
  void readMetrics(const YamlEntry &entry);
  void readData(const YamlEntry &entry);
  void readTrain(const YamlEntry &entry);
  void readCallbacks(const YamlEntry &entry);

  /// `model: FILE`: network, weights, and what else the file has.
  void readModelFile(const YamlEntry &entry, const YamlNode &root);
  void readScale(Config &input, const YamlNode &node, StringRef key);
  void checkOutputs();
  void readClasses(const YamlEntry &entry);
  void addLayer(Config layer, bool isFirst);
  std::optional<Config> readDataSource(const YamlNode &node);
  void checkSource(const Config &source);
  void checkTargets(const Config &source);
  void checkNamed(const Config &source, StringRef key, StringRef kind,
                  llvm::ArrayRef<StringRef> names);

  /// A completed config, or nothing after errors.
  std::optional<Config> toConfig(const YamlNode &node, Kind kind);
  std::optional<Config> toSection(const YamlEntry &entry);
  std::optional<Config> complete(Config config, Kind kind);

  /// What stands right of a config's name.
  std::vector<Argument> toArguments(const YamlNode &node,
                                    const EntryInfo *entry);
  Value toValue(const YamlNode &node);

  void error(SourceLoc loc, std::string message) {
    diagnostics.error(loc, std::move(message));
  }

  Diagnostics &diagnostics;
  Spec spec;
  bool hasSeveralOutputs = false;
  std::vector<std::pair<Reference, double>> lossWeights;
};

} // namespace

static bool namesModelFile(StringRef text);

Spec SpecReader::read(const YamlNode &root) {
  struct Section {
    StringRef key;
    bool required;
    void (SpecReader::*read)(const YamlEntry &);
    StringRef doc;
  };
  static const Section sections[] = {
      {"model", true, &SpecReader::readModel, "the model's name"},
      {"input", false, &SpecReader::readInput, "shape of one sample"},
      {"inputs", false, &SpecReader::readInputs, "shapes of several inputs"},
      {"layers", true, &SpecReader::readLayers, "the network"},
      {"outputs", false, &SpecReader::readOutputs, "layers that are results"},
      {"loss", true, &SpecReader::readLoss, "what training minimises"},
      {"loss_weights", false, &SpecReader::readLossWeights,
       "the losses' factors"},
      {"optimizer", true, &SpecReader::readOptimizer, "how it does so"},
      {"metrics", false, &SpecReader::readMetrics, "what is reported"},
      {"data", false, &SpecReader::readData, "where samples come from"},
      {"train", false, &SpecReader::readTrain, "epochs, batch size, seed"},
      {"callbacks", false, &SpecReader::readCallbacks, "after each epoch"},
  };
  if (!root.isMap()) {
    error(root.loc, "expected a spec (model: NAME, input: ..., layers: ...), "
                    "got " +
                        root.describe());
    return spec;
  }
  std::vector<StringRef> keys;
  for (const Section &section : sections)
    keys.push_back(section.key);

  if (const YamlNode *outputs = root.find("outputs"))
    hasSeveralOutputs = outputs->isList() && outputs->items.size() > 1;
  bool misspelled = false;
  const YamlEntry *file = nullptr; // `model: FILE`
  for (const YamlEntry &entry : root.entries)
    if (entry.key == "model" && entry.value.isScalar() &&
        namesModelFile(entry.value.text))
      file = &entry;
  if (file)
    readModelFile(*file, root);
  hasSeveralOutputs |= spec.outputs.size() > 1;
  for (const YamlEntry &entry : root.entries) {
    if (file &&
        llvm::is_contained({"model", "input", "inputs", "layers", "outputs"},
                           entry.key))
      continue; // readModelFile() has
    const auto *section = llvm::find_if(
        sections, [&](const Section &s) { return s.key == entry.key; });
    if (section != std::end(sections)) {
      (this->*section->read)(entry);
      continue;
    }
    std::string hint = didYouMean(entry.key, keys);
    misspelled |= !hint.empty();
    error(entry.keyLoc,
          "unknown key '" + printable(entry.key) + "'" +
              (hint.empty() ? "; expected one of " + joinNames(keys) : hint));
  }
  checkOutputs();
  if (file && spec.layers.empty())
    return std::move(spec); // the file could not be read; that is enough
  // A spec without loss and optimizer is of a network that predicts only.
  const bool trains = root.find("loss") || root.find("optimizer") ||
                      spec.loss || spec.optimizer;
  auto isGiven = [&](StringRef key) {
    if (key == "loss" || key == "optimizer")
      return root.find(key) || !trains ||
             (key == "loss" ? spec.loss : spec.optimizer).has_value();
    return root.find(key) || (key == "layers" && file);
  };
  for (const Section &section : sections)
    if (section.required && !misspelled && !isGiven(section.key))
      error(root.loc,
            ("missing key '" + section.key + "' (" + section.doc + ")").str());
  bool firstIsLayer = !spec.layers.empty() && spec.layers.front().complete;
  if (spec.inputs.empty() && !misspelled && !root.find("input") &&
      !root.find("inputs") && firstIsLayer)
    error(root.loc, "missing key 'input' (shape of one sample)");
  return std::move(spec);
}

// ---- Sections ---------------------------------------------------------------

static bool namesModelFile(StringRef text) {
  return llvm::any_of(
      llvm::ArrayRef<StringRef>{".onnx", ".h5", ".hdf5", ".keras", ".json"},
      [&](StringRef ending) { return text.ends_with(ending); });
}

/// The model's name becomes a C symbol of the compiled model.
static bool isCIdentifier(StringRef text) {
  return isName(text) && !text.contains('-') && !text.contains('.');
}

void SpecReader::readModelFile(const YamlEntry &entry, const YamlNode &root) {
  const SourceLoc loc = entry.value.loc;
  for (const YamlEntry &other : root.entries)
    if (other.key == "layers" || other.key == "outputs")
      error(other.keyLoc, "expected '" + other.key +
                              "' or a model from a file, got both; `sinter "
                              "import` makes layers of the file");
  // Beside the spec, unless it says otherwise.
  llvm::SmallString<128> path(entry.value.text);
  if (llvm::sys::path::is_relative(path)) {
    path = llvm::sys::path::parent_path(diagnostics.fileName());
    llvm::sys::path::append(path, entry.value.text);
  }
  Diagnostics about(path.str().str());
  std::optional<ImportedModel> model = importModel(path.str().str(), {}, about);
  diagnostics.absorb(about, printable(entry.value.text) + ": ", loc);
  if (!model)
    return;
  spec = toSpec(std::move(*model), loc);
  const YamlNode *input = root.find("input"), *inputs = root.find("inputs");
  if (input && spec.inputs.size() > 1) {
    std::string names;
    for (const Config &known : spec.inputs)
      names += (names.empty() ? "" : ", ") + known.text("name");
    return error(input->loc, "expected 'inputs' ({NAME: {scale: NUMBER}}): the "
                             "file has the inputs " +
                                 names);
  }
  if (input)
    readScale(spec.inputs.front(), *input, "input");
  if (inputs && !inputs->isMap())
    return error(inputs->loc, "expected 'inputs' to be {NAME: {scale: "
                              "NUMBER}}, got " +
                                  inputs->describe());
  for (const YamlEntry &part :
       inputs ? inputs->entries : std::vector<YamlEntry>()) {
    std::vector<StringRef> known;
    for (const Config &config : spec.inputs)
      known.push_back(config.text("name"));
    auto name = llvm::find(known, part.key);
    if (name != known.end()) {
      readScale(spec.inputs[name - known.begin()], part.value, part.key);
      continue;
    }
    std::string hint = didYouMean(part.key, known);
    error(part.keyLoc,
          "the file has no input '" + printable(part.key) + "'" +
              (hint.empty() ? "; expected one of " + joinNames(known) : hint));
  }
}

/// `{scale: NUMBER}`, for an input of a model file.
void SpecReader::readScale(Config &input, const YamlNode &node, StringRef key) {
  if (!node.isMap() || node.entries.size() != 1 ||
      node.entries[0].key != "scale")
    return error(node.loc, ("expected '" + key +
                            "' to be {scale: NUMBER}: its shape is the file's")
                               .str());
  Config config("input", {}, node.loc);
  for (const Argument &argument : input.args)
    if (argument.name != "scale")
      config.args.push_back(argument);
  config.args.push_back(
      {"scale", toValue(node.entries[0].value), node.entries[0].keyLoc});
  if (std::optional<Config> completed =
          complete(std::move(config), Kind::Section))
    input = std::move(*completed);
}

void SpecReader::readModel(const YamlEntry &entry) {
  const YamlNode &node = entry.value;
  StringRef name = node.text;
  if (!node.isScalar() || !isCIdentifier(name))
    return error(node.loc, "expected 'model' to be a name of letters, digits "
                           "and '_' (it becomes a C symbol), got " +
                               node.describe());
  spec.name = name.str();
  spec.nameLoc = node.loc;
}

/// Keeps the place and the name of an input that is wrong, so that what reads
/// it is still understood.
static Config unknownInput(std::string name, SourceLoc loc) {
  return Config("input", {{"name", Value(std::move(name)), loc}}, loc);
}

void SpecReader::readInput(const YamlEntry &entry) {
  if (!spec.inputs.empty())
    return error(entry.keyLoc, "the input is given twice");
  spec.inputs.push_back(
      toSection(entry).value_or(unknownInput("input", entry.keyLoc)));
}

void SpecReader::readInputs(const YamlEntry &entry) {
  const YamlNode &node = entry.value;
  if (!spec.inputs.empty())
    return error(entry.keyLoc, "expected 'input' or 'inputs', got both");
  if (!node.isMap() || node.entries.empty())
    error(node.loc, "expected 'inputs' to be a map from names to inputs "
                    "({image: {shape: [28, 28]}, meta: {shape: [4]}}), got " +
                        (node.isMap() ? "an empty map" : node.describe()));
  for (const YamlEntry &part : node.entries) {
    Config config("input",
                  toArguments(part.value, tableOf(Kind::Section).find("input")),
                  part.keyLoc);
    std::optional<Config> completed;
    if (const Argument *name = config.find("name")) {
      error(name->loc, "expected no 'name': the input is called '" +
                           printable(part.key) + "'");
    } else {
      Value own(part.key);
      own.loc = part.keyLoc;
      config.args.push_back({"name", std::move(own), part.keyLoc});
      completed = complete(std::move(config), Kind::Section);
    }
    spec.inputs.push_back(
        completed.value_or(unknownInput(part.key, part.keyLoc)));
  }
  if (spec.inputs.empty()) // reported
    spec.inputs.push_back(unknownInput("input", entry.keyLoc));
}

void SpecReader::readOutputs(const YamlEntry &entry) {
  llvm::ArrayRef<YamlNode> items = entry.value; // one needs no list
  if (entry.value.isList())
    items = entry.value.items;
  if (items.empty())
    error(entry.value.loc, "expected 'outputs' to be a list of names of "
                           "layers, got an empty list");
  for (const YamlNode &item : items)
    if (!item.isScalar() || item.isNull())
      error(item.loc,
            "expected 'outputs' to be a list of names of layers, got " +
                item.describe());
    else if (llvm::any_of(spec.outputs, [&](const Reference &other) {
               return other.name == item.text;
             }))
      error(item.loc, "output '" + printable(item.text) + "' is given twice");
    else
      spec.outputs.push_back({item.text, item.loc});
}

void SpecReader::readTrain(const YamlEntry &entry) {
  spec.train = toSection(entry);
}

void SpecReader::readLayers(const YamlEntry &entry) {
  const YamlNode &node = entry.value;
  if (!node.isList() || node.items.empty())
    return error(node.loc,
                 "expected 'layers' to be a list of layers, got " +
                     (node.isList() ? "an empty list" : node.describe()));
  for (const auto &[index, item] : llvm::enumerate(node.items)) {
    const bool isReuse = item.isMap() && item.entries.size() == 1 &&
                         item.entries[0].key == "reuse";
    std::optional<Config> layer =
        isReuse ? toSection(item.entries[0]) : toConfig(item, Kind::Layer);
    // A wrong layer keeps its place, so that later ones are still understood.
    addLayer(layer ? std::move(*layer) : Config("", {}, item.loc), index == 0);
  }
}

void SpecReader::addLayer(Config layer, bool isFirst) {
  if (layer.name != "input") {
    spec.layers.push_back(std::move(layer));
    return;
  }
  if (!spec.inputs.empty())
    error(layer.loc, "the input is given twice");
  else if (!isFirst)
    error(layer.loc, "expected 'input' to be the first layer");
  else
    spec.inputs.push_back(std::move(layer));
}

void SpecReader::readLoss(const YamlEntry &entry) {
  const YamlNode &node = entry.value;
  // `loss: {huber: {delta: 2}}` is one loss; the builder asks for the others.
  const bool isOne = node.isMap() && node.entries.size() == 1 &&
                     tableOf(Kind::Loss).find(node.entries[0].key);
  if (!hasSeveralOutputs || !node.isMap() || isOne) {
    spec.loss = toConfig(node, Kind::Loss);
    return;
  }
  for (const YamlEntry &part : node.entries)
    if (std::optional<Config> loss = toConfig(part.value, Kind::Loss))
      spec.outputLosses.push_back(
          {{part.key, part.keyLoc}, std::move(*loss), 1});
}

void SpecReader::readLossWeights(const YamlEntry &entry) {
  if (!entry.value.isMap())
    return error(entry.value.loc,
                 "expected 'loss_weights' to be a map from outputs to numbers "
                 "({a: 1, b: 0.5}), got " +
                     entry.value.describe());
  for (const YamlEntry &part : entry.value.entries) {
    std::optional<double> weight =
        part.value.isScalar() ? parseNumber(part.value.text) : std::nullopt;
    if (weight && std::isfinite(*weight) && *weight >= 0)
      lossWeights.push_back({{part.key, part.keyLoc}, *weight});
    else
      error(part.value.loc, "loss_weights: expected a number of at least 0, "
                            "got " +
                                part.value.describe());
  }
}

/// Puts the weights to the losses, and holds the data against inputs and
/// outputs.
void SpecReader::checkOutputs() {
  std::vector<StringRef> known;
  for (const OutputLoss &loss : spec.outputLosses)
    known.push_back(loss.output.name);
  for (const auto &[output, weight] : lossWeights) {
    auto it = llvm::find(known, output.name);
    if (it != known.end()) {
      spec.outputLosses[it - known.begin()].weight = weight;
      continue;
    }
    std::string hint = didYouMean(output.name, known);
    error(output.loc,
          "loss_weights: no loss of an output '" + printable(output.name) +
              "'" +
              (!hint.empty()   ? hint
               : known.empty() ? "; expected a map of losses"
                               : "; expected one of " + joinNames(known)));
  }
  for (const std::optional<Config> *source :
       {&spec.data.train, &spec.data.validation, &spec.data.test})
    if (*source) {
      checkSource(**source);
      checkTargets(**source);
    }
}

void SpecReader::readOptimizer(const YamlEntry &entry) {
  spec.optimizer = toConfig(entry.value, Kind::Optimizer);
}

void SpecReader::readMetrics(const YamlEntry &entry) {
  spec.metrics.clear(); // those of a model file
  if (entry.value.isNull())
    return;
  // One metric needs no list.
  auto itemsOf = [](const YamlNode &node) -> llvm::ArrayRef<YamlNode> {
    if (node.isList())
      return node.items;
    return node;
  };
  const YamlNode &node = entry.value;
  const bool isOne = node.isMap() && node.entries.size() == 1 &&
                     tableOf(Kind::Metric).find(node.entries[0].key);
  if (hasSeveralOutputs && node.isMap() && !isOne) {
    for (const YamlEntry &part : node.entries)
      for (const YamlNode &item : itemsOf(part.value))
        if (std::optional<Config> metric = toConfig(item, Kind::Metric))
          spec.outputMetrics.push_back(
              {{part.key, part.keyLoc}, std::move(*metric)});
    return;
  }
  for (const YamlNode &item : itemsOf(node))
    if (std::optional<Config> metric = toConfig(item, Kind::Metric))
      spec.metrics.push_back(std::move(*metric));
}

void SpecReader::readCallbacks(const YamlEntry &entry) {
  if (entry.value.isNull())
    return;
  llvm::ArrayRef<YamlNode> items = entry.value; // one needs no list
  if (entry.value.isList())
    items = entry.value.items;
  for (const YamlNode &item : items)
    if (std::optional<Config> callback = toConfig(item, Kind::Callback))
      spec.callbacks.push_back(std::move(*callback));
}

void SpecReader::readClasses(const YamlEntry &entry) {
  if (entry.value.isScalar() && entry.value.text == "auto")
    spec.data.autoClasses = entry.keyLoc;
  else if (!entry.value.isNull())
    error(entry.value.loc, "data: expected 'classes' to be auto (labels are "
                           "mapped to class numbers), got " +
                               entry.value.describe());
}

void SpecReader::readData(const YamlEntry &entry) {
  if (!entry.value.isMap())
    return error(entry.value.loc, "expected 'data' to be a map with 'train', "
                                  "got " +
                                      entry.value.describe());
  static const StringRef keys[] = {"train", "validation", "test",
                                   "validation_split", "classes"};
  std::optional<Config> *sources[] = {&spec.data.train, &spec.data.validation,
                                      &spec.data.test};
  for (const YamlEntry &part : entry.value.entries) {
    const StringRef *key = llvm::find(keys, part.key);
    if (key == std::end(keys))
      error(part.keyLoc, "data has no key '" + printable(part.key) + "'" +
                             didYouMean(part.key, keys));
    else if (*key == "classes")
      readClasses(part);
    else if (*key == "validation_split")
      spec.data.validationSplit = toSection(part);
    else
      *sources[key - keys] = readDataSource(part.value);
  }
  if (!entry.value.find("train"))
    error(entry.keyLoc, "data: missing key 'train'");
  if (spec.data.train && spec.data.train->name == "directory" &&
      spec.data.validationSplit && spec.data.validationSplit->complete &&
      !spec.data.validationSplit->flag("shuffle"))
    error(spec.data.validationSplit->loc,
          "validation_split: expected 'shuffle: true' with a 'directory', "
          "whose last pictures are all of the last classes");
  if (spec.data.validation && spec.data.validationSplit)
    error(spec.data.validationSplit->loc,
          "expected 'validation' or 'validation_split', got both");
}

/// A map from names to files or columns as a list of NAME=FILE.
static Value toNamed(const YamlNode &map) {
  Value::List list;
  for (const YamlEntry &part : map.entries) {
    llvm::ArrayRef<YamlNode> items = part.value; // one needs no list
    if (part.value.isList() && !part.value.items.empty())
      items = part.value.items;
    for (const YamlNode &item : items) {
      Value named(item.isScalar() && !item.isNull() ? part.key + "=" + item.text
                                                    : part.key);
      named.loc = part.keyLoc;
      list.push_back(std::move(named));
    }
  }
  Value value(std::move(list));
  value.loc = map.loc;
  return value;
}

/// Whether a source has what the model's inputs want.
void SpecReader::checkSource(const Config &source) {
  if (llvm::any_of(spec.inputs, [](const Config &c) { return !c.complete; }))
    return;
  std::vector<StringRef> names;
  for (const Config &input : spec.inputs)
    names.push_back(input.text("name"));
  const bool isOne = names.size() == 1;
  if (source.name == "npz") {
    if (isOne == source.isNull("x"))
      error(source.loc, isOne ? "npz: missing argument 'x' (array of inputs)"
                              : "npz: expected no 'x': with several inputs the "
                                "arrays are called as these are: " +
                                    joinNames(names));
    return;
  }
  if (source.name != "inputs") {
    if (!isOne && source.name != "synthetic")
      error(source.loc, "data: expected 'inputs' (a file for each), 'npz' or "
                        "'synthetic' with a model of several inputs, got '" +
                            source.name + "'");
    return;
  }
  checkNamed(source, "inputs", "input", names);
}

/// Whether an argument that is a list of NAME=FILE has one for each of `names`,
/// the model's inputs or outputs.
void SpecReader::checkNamed(const Config &source, StringRef key, StringRef kind,
                            llvm::ArrayRef<StringRef> names) {
  const char *what = key == "label" ? "column" : "file";
  std::vector<StringRef> given;
  for (const Value &file : *source.get(key).getIf<Value::List>()) {
    auto [name, path] = StringRef(*file.getIf<std::string>()).split('=');
    const bool isTwice = key != "label" && llvm::is_contained(given, name);
    given.push_back(name);
    if (path.empty() || isTwice) {
      error(file.loc, formatv("{0}: expected a {1} for '{2}'", key, what,
                              printable(name)));
    } else if (!llvm::is_contained(names, name)) {
      std::string hint = didYouMean(name, names);
      error(file.loc,
            formatv("{0}: the model has no {1} '{2}'{3}", key, kind,
                    printable(name),
                    hint.empty() ? "; expected one of " + joinNames(names)
                                 : hint));
    }
  }
  for (StringRef name : names)
    if (!llvm::is_contained(given, name) && given.size() < names.size())
      error(source.loc,
            formatv("{0}: expected a {1} for each {2}, got none for '{3}'", key,
                    what, kind, name));
}

/// Whether a source has what the model's outputs are compared with.
void SpecReader::checkTargets(const Config &source) {
  std::vector<StringRef> names;
  for (const Reference &output : spec.outputs)
    names.push_back(output.name);
  const bool isOne = names.size() < 2;
  if (source.name == "npz") {
    if (isOne == source.isNull("y"))
      error(source.loc, isOne
                            ? "npz: missing argument 'y' (array of targets)"
                            : "npz: expected no 'y': with several outputs the "
                              "arrays are called as these are: " +
                                  joinNames(names));
    return;
  }
  const StringRef key = source.name == "csv" ? "label" : "labels";
  if (isOne) {
    if (key == "labels" && source.find(key) && source.texts(key).size() != 1)
      error(source.get(key).loc, "labels: expected one file, since the model "
                                 "has one output");
    return;
  }
  if (!source.find(key)) {
    if (source.name != "synthetic")
      error(source.loc, "data: expected a source with targets for each of the "
                        "outputs (" +
                            joinNames(names) + "), got '" + source.name + "'");
    return;
  }
  checkNamed(source, key, "output", names);
}

static std::string expectedNamed(StringRef key, bool isInputs, bool isSeveral) {
  if (isInputs)
    return "expected 'inputs' to be a map from inputs to files ({image: FILE, "
           "meta: FILE})";
  const StringRef what = key == "label" ? "columns" : "file";
  if (!isSeveral)
    return formatv("expected '{0}' to be the {1} of the only output", key,
                   what);
  return formatv("expected '{0}' to be a map from outputs to {1} ({{kind: "
                 "{2}, size: {2}})",
                 key, key == "label" ? "columns" : "files",
                 key == "label" ? "COLUMN" : "FILE");
}

std::optional<Config> SpecReader::readDataSource(const YamlNode &node) {
  // The form of a source is told by its first key: {csv: FILE, label: NAME}.
  for (const EntryInfo &form : tableOf(Kind::DataSource).entries)
    if (node.find(form.name)) {
      std::vector<Argument> arguments = toArguments(node, &form);
      bool ok = true;
      for (Argument &argument : arguments) {
        const YamlNode *part = node.find(argument.name);
        const bool isInputs =
            form.name == "inputs" && argument.name == "inputs";
        const bool isLabels =
            argument.name == (form.name == "csv" ? "label" : "labels");
        if (!part || !(isInputs || isLabels))
          continue;
        if (part->isMap() != (isInputs || hasSeveralOutputs)) {
          error(part->loc,
                expectedNamed(argument.name, isInputs, hasSeveralOutputs) +
                    ", got " + part->describe());
          ok = false;
        } else if (part->isMap()) {
          argument.value = toNamed(*part);
        }
      }
      if (!ok)
        return std::nullopt;
      return complete(Config(form.name.str(), std::move(arguments), node.loc),
                      Kind::DataSource);
    }
  error(node.loc, "expected a data source ({images: FILE, labels: FILE}, "
                  "{csv: FILE, label: COLUMN}, {npz: FILE, x: ARRAY, y: "
                  "ARRAY}, {inputs: {NAME: FILE, ...}, labels: FILE}, "
                  "{cifar10: FILE}, {directory: FOLDER} or {synthetic: "
                  "SAMPLES}), got " +
                      (node.isMap() ? "keys " + joinNames(node.keys())
                                    : node.describe()));
  return std::nullopt;
}

// ---- Configs ----------------------------------------------------------------

std::optional<Config> SpecReader::complete(Config config, Kind kind) {
  if (!completeConfig(config, kind, diagnostics))
    return std::nullopt;
  return config;
}

std::optional<Config> SpecReader::toSection(const YamlEntry &entry) {
  return complete(
      Config(entry.key,
             toArguments(entry.value, tableOf(Kind::Section).find(entry.key)),
             entry.keyLoc),
      Kind::Section);
}

std::optional<Config> SpecReader::toConfig(const YamlNode &node, Kind kind) {
  const Table &table = tableOf(kind);
  if (node.isScalar() && !node.isNull())
    return complete(Config(node.text, {}, node.loc), kind);
  if (node.isMap() && node.entries.size() == 1) {
    const YamlEntry &entry = node.entries.front();
    return complete(Config(entry.key,
                           toArguments(entry.value, table.find(entry.key)),
                           entry.keyLoc),
                    kind);
  }
  std::string message = ("expected one " + table.noun + ", got ").str();
  if (node.isMap() && !node.entries.empty())
    message += "the keys " + joinNames(node.keys()) + "; write {" +
               node.entries.front().key +
               ": {argument: value, ...}}, or indent the arguments further";
  else
    message += node.describe();
  error(node.loc, message);
  return std::nullopt;
}

std::vector<Argument> SpecReader::toArguments(const YamlNode &node,
                                              const EntryInfo *entry) {
  if (node.isNull())
    return {};
  // `activation: {leaky_relu: 0.1}`: the map is the main argument's config,
  // unless its key is an argument, or nearly one.
  bool isMainConfig =
      entry && entry->mainArg() && node.isMap() && node.entries.size() == 1 &&
      isConfigType(entry->mainArg()->type) &&
      !entry->find(node.entries.front().key) &&
      didYouMean(node.entries.front().key, entry->argNames()).empty();
  if (!node.isMap() || isMainConfig)
    return {{"", toValue(node), node.loc}};
  std::vector<Argument> result;
  for (const YamlEntry &part : node.entries)
    result.push_back({part.key, toValue(part.value), part.keyLoc});
  return result;
}

Value SpecReader::toValue(const YamlNode &node) {
  Value value;
  if (node.isList()) {
    Value::List list;
    for (const YamlNode &item : node.items)
      list.push_back(toValue(item));
    value = Value(std::move(list));
  } else if (node.isMap()) {
    // Only one key makes a config; the nameless one is refused by every type
    // but that of class weights.
    Config config("", {}, node.loc);
    if (node.entries.size() != 1) {
      config.args = toArguments(node, nullptr);
    } else {
      const YamlEntry &entry = node.entries.front();
      config =
          Config(entry.key, toArguments(entry.value, nullptr), entry.keyLoc);
    }
    value = Value(std::move(config));
  } else {
    value = node.quoted ? Value(node.text) : parseScalar(node.text);
  }
  value.loc = node.loc;
  return value;
}

Spec sinter::frontend::readSpec(StringRef text, Diagnostics &diagnostics) {
  std::optional<YamlNode> root = parseYaml(text, diagnostics);
  return root ? SpecReader(diagnostics).read(*root) : Spec();
}
