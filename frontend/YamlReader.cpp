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
#include "llvm/Support/Path.h"

using namespace sinter::frontend;
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
  void readLayers(const YamlEntry &entry);
  void readLoss(const YamlEntry &entry);
  void readOptimizer(const YamlEntry &entry);
  void readMetrics(const YamlEntry &entry);
  void readData(const YamlEntry &entry);
  void readTrain(const YamlEntry &entry);
  void readCallbacks(const YamlEntry &entry);

  /// `model: FILE`: network, weights, and what else the file has.
  void readModelFile(const YamlEntry &entry, const YamlNode &root);
  void readClasses(const YamlEntry &entry);
  void addLayer(Config layer, bool isFirst);
  std::optional<Config> readDataSource(const YamlNode &node);

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
      {"layers", true, &SpecReader::readLayers, "the network"},
      {"loss", true, &SpecReader::readLoss, "what training minimises"},
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

  bool misspelled = false;
  const YamlEntry *file = nullptr; // `model: FILE`
  for (const YamlEntry &entry : root.entries)
    if (entry.key == "model" && entry.value.isScalar() &&
        namesModelFile(entry.value.text))
      file = &entry;
  if (file)
    readModelFile(*file, root);
  for (const YamlEntry &entry : root.entries) {
    if (file &&
        (entry.key == "model" || entry.key == "input" || entry.key == "layers"))
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
  if (!spec.input && !misspelled && !root.find("input") && firstIsLayer)
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
    if (other.key == "layers")
      error(other.keyLoc, "expected 'layers' or a model from a file, got both; "
                          "`sinter import` makes layers of the file");
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
  const YamlNode *input = root.find("input");
  if (!input)
    return;
  if (!input->isMap() || input->entries.size() != 1 ||
      input->entries[0].key != "scale")
    return error(input->loc,
                 "expected 'input' to be {scale: NUMBER}: its shape "
                 "is the file's");
  Config config("input", {}, input->loc);
  for (const Argument &argument : spec.input->args)
    if (argument.name != "scale")
      config.args.push_back(argument);
  config.args.push_back(
      {"scale", toValue(input->entries[0].value), input->entries[0].keyLoc});
  if (std::optional<Config> completed =
          complete(std::move(config), Kind::Section))
    spec.input = std::move(*completed);
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

void SpecReader::readInput(const YamlEntry &entry) {
  if (spec.input)
    return error(entry.keyLoc, "the input is given twice");
  spec.input = toSection(entry);
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
    std::optional<Config> layer = toConfig(item, Kind::Layer);
    // A wrong layer keeps its place, so that later ones are still understood.
    addLayer(layer ? std::move(*layer) : Config("", {}, item.loc), index == 0);
  }
}

void SpecReader::addLayer(Config layer, bool isFirst) {
  if (layer.name != "input") {
    spec.layers.push_back(std::move(layer));
    return;
  }
  if (spec.input)
    error(layer.loc, "the input is given twice");
  else if (!isFirst)
    error(layer.loc, "expected 'input' to be the first layer");
  else
    spec.input = std::move(layer);
}

void SpecReader::readLoss(const YamlEntry &entry) {
  spec.loss = toConfig(entry.value, Kind::Loss);
}

void SpecReader::readOptimizer(const YamlEntry &entry) {
  spec.optimizer = toConfig(entry.value, Kind::Optimizer);
}

void SpecReader::readMetrics(const YamlEntry &entry) {
  spec.metrics.clear(); // those of a model file
  if (entry.value.isNull())
    return;
  llvm::ArrayRef<YamlNode> items = entry.value; // one metric needs no list
  if (entry.value.isList())
    items = entry.value.items;
  for (const YamlNode &item : items)
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

std::optional<Config> SpecReader::readDataSource(const YamlNode &node) {
  // The form of a source is told by its first key: {csv: FILE, label: NAME}.
  for (const EntryInfo &form : tableOf(Kind::DataSource).entries)
    if (node.find(form.name))
      return complete(
          Config(form.name.str(), toArguments(node, &form), node.loc),
          Kind::DataSource);
  error(node.loc, "expected a data source ({images: FILE, labels: FILE}, "
                  "{csv: FILE, label: COLUMN}, {npz: FILE, x: ARRAY, y: "
                  "ARRAY}, {cifar10: FILE}, {directory: FOLDER} or {synthetic: "
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
