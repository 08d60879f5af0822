// KerasReader.cpp - from a file of Keras to an ImportedModel.
//
// Three kinds of file hold the same things in other places:
//
//   .h5     attributes model_config, training_config, keras_version; weights
//   .keras  a zip: config.json (with compile_config), metadata.json,
//           model.weights.h5
//   .json   the architecture alone; weights are in a file beside it
//
// KerasGraph tells which layers there are, KerasConfig what each is,
// KerasWeights where its numbers lie. Layers that cannot be taken over are
// collected and reported together. A loss, optimizer or metric that cannot is a
// warning: the user's spec can name another.
#include "frontend/keras/KerasReader.h"

#include "frontend/ZipFile.h"
#include "frontend/keras/KerasChannels.h"
#include "frontend/keras/KerasConfig.h"
#include "frontend/keras/KerasGraph.h"
#include "frontend/keras/KerasWeights.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <unistd.h>

using namespace sinter::frontend;
using llvm::StringRef;

namespace {

class KerasReader {
public:
  KerasReader(const std::string &path, const std::string &weightsPath,
              Diagnostics &diagnostics)
      : path(path), weightsPath(weightsPath), diagnostics(diagnostics) {}

  std::optional<ImportedModel> read();

private:
  bool readFile();
  bool readHdf5Model();
  bool readZip();
  bool readArchitecture();
  bool readWeightsFile(int descriptor, const std::string &what);

  bool convert();
  void convertLayers(KerasConfigReader &configs);
  void linkLayers();
  void convertTraining(KerasConfigReader &configs);
  void checkAttention(llvm::ArrayRef<LayerRecord> records);
  bool takeWeights();

  bool fail(std::string message) {
    diagnostics.error({}, std::move(message));
    return false;
  }
  bool parse(const std::string &text, const char *what, Json &json);

  const std::string &path, &weightsPath;
  Diagnostics &diagnostics;

  Json model, training; // training: null, or with loss, optimizer, metrics
  std::string version, container;
  std::optional<Hdf5Content> content; // with the weights
  KerasGraph graph;
  ImportedModel result;
  std::vector<Offender> offenders;
};

/// An open file, closed at the end.
class OpenFile {
public:
  explicit OpenFile(const std::string &path)
      : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)),
        error(fd < 0 ? std::strerror(errno) : "") {}
  ~OpenFile() {
    if (fd >= 0)
      close(fd);
  }
  OpenFile(const OpenFile &) = delete;
  OpenFile &operator=(const OpenFile &) = delete;

  const int fd;
  const std::string error;
};

} // namespace

bool KerasReader::parse(const std::string &text, const char *what, Json &json) {
  std::string wrong;
  std::optional<Json> parsed = parseJson(text, wrong);
  if (!parsed)
    return fail(std::string(what) + ": " + wrong);
  json = std::move(*parsed);
  return true;
}

// ---- Files
// --------------------------------------------------------------------

bool KerasReader::readWeightsFile(int descriptor, const std::string &what) {
  auto read = readHdf5(descriptor, {"/optimizer_weights", "/optimizer"});
  if (const auto *error = std::get_if<Hdf5Error>(&read))
    return fail(what + error->message);
  content = std::move(std::get<Hdf5Content>(read));
  return true;
}

bool KerasReader::readHdf5Model() {
  OpenFile file(path);
  if (file.fd < 0)
    return fail("cannot read it: " + file.error);
  if (!readWeightsFile(file.fd, ""))
    return false;
  container = "HDF5";
  if (const std::string *text = content->text("", "keras_version"))
    version = *text;
  const std::string *config = content->text("", "model_config");
  if (!config)
    return fail(hasKerasWeights(*content)
                    ? "the file has weights, but no architecture: save the "
                      "whole model, or import the architecture's JSON with "
                      "--weights FILE.h5"
                    : "no model of Keras: the attribute 'model_config' is "
                      "missing");
  if (!parse(*config, "model_config", model))
    return false;
  if (const std::string *text = content->text("", "training_config"))
    return parse(*text, "training_config", training);
  return true;
}

bool KerasReader::readZip() {
  ZipFile zip(path);
  std::string text;
  Json metadata;
  if (!zip.error().empty())
    return fail(zip.error());
  container = "archive";
  if (!zip.has("config.json"))
    return fail("no model of Keras: the archive has no config.json");
  if (!zip.read("config.json", text))
    return fail(zip.error());
  if (!parse(text, "config.json", model))
    return false;
  if (zip.has("metadata.json")) {
    if (!zip.read("metadata.json", text))
      return fail(zip.error());
    if (!parse(text, "metadata.json", metadata))
      return false;
    version = textMember(metadata, "keras_version");
  }
  if (const Json *compiled = member(model, "compile_config"))
    training = *compiled;
  TemporaryFile weights;
  if (!zip.read("model.weights.h5", weights))
    return fail(zip.error());
  return readWeightsFile(weights.descriptor(), "model.weights.h5: ");
}

bool KerasReader::readArchitecture() {
  OpenFile file(path);
  std::string text(16 << 20, '\0'); // more than parseJson() takes
  ssize_t size = file.fd < 0 ? -1 : 0;
  for (size_t used = 0; size >= 0;) {
    size = ::read(file.fd, text.data() + used, text.size() - used);
    used += size > 0 ? static_cast<size_t>(size) : 0;
    if (size == 0 || used == text.size()) {
      text.resize(used);
      break;
    }
  }
  if (size < 0)
    return fail("cannot read it: " +
                (file.fd < 0 ? file.error : std::strerror(errno)));
  if (!parse(text, "the architecture", model))
    return false;
  container = "architecture";
  version = textMember(model, "keras_version");
  if (weightsPath.empty())
    return true;
  OpenFile weights(weightsPath);
  if (weights.fd < 0)
    return fail("cannot read " + weightsPath + ": " + weights.error);
  if (!readWeightsFile(weights.fd, weightsPath + ": "))
    return false;
  return hasKerasWeights(*content) ||
         fail(weightsPath + ": no weights of Keras: neither 'layer_names' nor "
                            "a group 'layers'");
}

bool KerasReader::readFile() {
  char magic[8] = {};
  {
    OpenFile file(path);
    if (file.fd < 0)
      return fail("cannot read it: " + file.error);
    if (::read(file.fd, magic, sizeof magic) < 0)
      return fail("cannot read it: " + std::string(std::strerror(errno)));
  }
  const bool isHdf5 = std::memcmp(magic, "\x89HDF\r\n\x1a\n", 8) == 0,
             isZip = std::memcmp(magic, "PK\3\4", 4) == 0;
  StringRef name = path;
  if (!weightsPath.empty() && (isHdf5 || isZip))
    return fail("--weights is for an architecture (.json); this file has its "
                "own weights");
  if (isHdf5 || (!isZip && (name.ends_with(".h5") || name.ends_with(".hdf5"))))
    return readHdf5Model();
  if (isZip || name.ends_with(".keras"))
    return readZip();
  return readArchitecture();
}

// ---- The model
// ----------------------------------------------------------------

/// Names that Keras gives to models that have none.
static bool isAutomaticName(StringRef name) {
  for (StringRef base : {"sequential", "functional", "model"})
    if (StringRef rest = name; rest.consume_front(base))
      if (rest.empty() || (rest.consume_front("_") &&
                           rest.find_if_not(llvm::isDigit) == StringRef::npos))
        return true;
  return name.empty();
}

void KerasReader::convertLayers(KerasConfigReader &configs) {
  for (KerasLayer &layer : graph.layers) {
    auto offend = [&](std::string why) {
      offenders.push_back({layer.name, layer.className, std::move(why), ""});
    };
    if (!layer.reuses.empty()) {
      result.layers.push_back(Config("reuse"));
      if (!layer.wrong.empty())
        offend(layer.wrong);
      continue;
    }
    if (layer.state) {
      result.layers.push_back(
          Config("state", {{"index", static_cast<int64_t>(*layer.state)}}));
      continue;
    }
    std::optional<Config> config =
        configs.layer(layer.className, withChannelsLast(layer));
    for (std::string &complaint : configs.takeComplaints())
      offend(std::move(complaint));
    if (!layer.wrong.empty())
      offend(layer.wrong);
    result.layers.push_back(config ? std::move(*config) : Config());
  }
}

/// Gives layers and inputs their names, and says who reads whom.
void KerasReader::linkLayers() {
  llvm::StringMap<std::string> newName; // by key
  LayerNamer namer;
  auto unique = [&](std::string name) {
    std::string candidate = name;
    for (int i = 1; !namer.claim(candidate); ++i)
      candidate = name.substr(0, 58) + "_" + std::to_string(i);
    return candidate;
  };
  // What reads the layer before it needs no words.
  const bool isOne = graph.inputs.size() == 1;
  auto reads = [&](size_t i) -> std::vector<std::string> {
    const std::vector<std::string> &inputs = graph.layers[i].inputs;
    const std::string previous = i > 0   ? graph.layers[i - 1].key
                                 : isOne ? graph.inputs[0].key
                                         : "";
    return inputs.size() == 1 && inputs[0] == previous
               ? std::vector<std::string>()
               : inputs;
  };
  bool isNamed = !isOne;
  for (size_t i = 0; i < graph.layers.size(); ++i)
    isNamed |= llvm::is_contained(reads(i), graph.inputs[0].key);
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    const KerasLayer &layer = graph.layers[i];
    std::string fresh = layer.name.empty() ? namer.fresh(layer.className)
                                           : unique(toLayerName(layer.name));
    newName[layer.key] = fresh;
    if (!layer.reuses.empty())
      result.layers[i].args.push_back({"layer", newName[layer.reuses]});
    result.layers[i].args.push_back({"name", std::move(fresh)});
  }
  for (const KerasInput &input : graph.inputs) {
    std::string name = unique(isNamed ? toLayerName(input.name) : "input");
    newName[input.key] = name;
    Value::List shape(input.shape.begin(), input.shape.end());
    result.inputs.push_back(Config("input", {{"shape", Value(std::move(shape))},
                                             {"name", std::move(name)}}));
  }
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    Value::List names;
    for (const std::string &input : reads(i))
      names.push_back(Value(newName[input]));
    if (!names.empty())
      result.layers[i].args.push_back({"inputs", Value(std::move(names))});
    for (const std::string &flag : graph.layers[i].flags)
      result.layers[i].args.push_back({flag, Value(true)});
  }
  if (graph.outputs.size() > 1 || graph.outputs[0] != graph.layers.back().key)
    for (const std::string &output : graph.outputs)
      result.outputs.push_back(newName[output]);
}

void KerasReader::convertTraining(KerasConfigReader &configs) {
  auto warn = [&](const char *what) {
    for (const std::string &complaint : configs.takeComplaints())
      diagnostics.warning({}, std::string("the ") + what +
                                  " is not taken over: " + complaint);
  };
  if (graph.outputs.size() > 1) {
    if (member(training, "loss"))
      diagnostics.warning({}, "the losses of several outputs are not taken "
                              "over: the spec says how to train");
    return;
  }
  // One output, so a list or a map of losses has one element.
  auto only = [](const Json *value) {
    while (value && value->size() == 1 &&
           (value->is_array() ||
            (value->is_object() && !value->contains("class_name"))))
      value = &*value->begin();
    return value;
  };
  if (const Json *loss = only(member(training, "loss"))) {
    result.loss = configs.loss(*loss);
    warn("loss");
  }
  const Json *optimizer = member(training, "optimizer_config");
  if (!optimizer)
    optimizer = member(training, "optimizer");
  if (optimizer) {
    result.optimizer = configs.optimizer(*optimizer);
    warn("optimizer");
  }
  const Json *metrics = member(training, "metrics");
  while (metrics && metrics->size() == 1 &&
         (metrics->begin()->is_array() || metrics->is_object()))
    metrics = &*metrics->begin(); // of the only output
  if (!metrics || !metrics->is_array())
    return;
  for (const Json &metric : *metrics) {
    std::optional<Config> config = configs.metric(metric);
    warn("metric");
    if (config && llvm::none_of(result.metrics, [&](const Config &other) {
          return other.name == config->name;
        }))
      result.metrics.push_back(std::move(*config));
  }
}

/// Of integers and pairs of them.
static bool sameSize(const Value &a, const Value &b) {
  if (const auto *integer = a.getIf<int64_t>())
    return b.getIf<int64_t>() && *b.getIf<int64_t>() == *integer;
  const auto *one = a.getIf<Value::List>(), *two = b.getIf<Value::List>();
  return one && two && one->size() == two->size() &&
         llvm::equal(*one, *two, sameSize);
}

/// What Keras has worked out for itself goes back to the default that says it.
static void shorten(Config &layer, size_t rank) {
  for (Argument &argument : layer.args) {
    const auto *axis = argument.value.getIf<int64_t>();
    const Argument *window = layer.find("pool_size");
    if (layer.name == "batch_normalization" && argument.name == "axis" &&
        *axis == static_cast<int64_t>(rank))
      argument.value = Value(-1);
    else if (argument.name == "strides" && window &&
             sameSize(argument.value, window->value))
      argument.value = Value();
  }
}

/// What attends from each place of a sample to each, as the catalog's layer
/// does: Keras writes the axes down when it has seen the inputs.
void KerasReader::checkAttention(llvm::ArrayRef<LayerRecord> records) {
  for (const auto &[layer, record] :
       llvm::zip_equal(graph.layers, records.drop_front(graph.inputs.size()))) {
    if (layer.isMasked && llvm::none_of(record.inputs, [&](Tensor input) {
          return records[input.layer()].masked;
        }))
      offenders.push_back({layer.name, layer.className,
                           "the file gives it a mask, but none gets to its "
                           "inputs: this is not supported yet",
                           ""});
    const Json *axes = layer.className == "MultiHeadAttention"
                           ? member(*layer.config, "attention_axes")
                           : nullptr;
    if (!axes)
      continue;
    // With the batch.
    const auto rank = static_cast<int64_t>(
        records[record.inputs[0].layer()].shape.size() + 1);
    std::set<int64_t> wanted, given;
    for (int64_t axis = 1; axis + 1 < rank; ++axis)
      wanted.insert(axis);
    std::optional<Value> value = toValue(*axes);
    const bool isList = value && value->getIf<Value::List>();
    for (const Value &axis : isList  ? *value->getIf<Value::List>()
                             : value ? Value::List{*value}
                                     : Value::List{}) {
      const auto *number = axis.getIf<int64_t>();
      given.insert(!number || *number < -rank ? 0
                   : *number < 0              ? *number + rank
                                              : *number);
    }
    if (given != wanted)
      offenders.push_back(
          {layer.name, layer.className,
           "'attention_axes' = " + describe(*axes) +
               " is not supported yet: expected all axes between the batch "
               "and the features, 1 to " +
               std::to_string(rank - 2),
           ""});
  }
}

bool KerasReader::takeWeights() {
  std::optional<std::vector<LayerRecord>> records =
      completeImported(result, diagnostics);
  if (!records)
    return false;
  for (const auto &[layer, record] : llvm::zip_equal(
           result.layers,
           llvm::ArrayRef(*records).drop_front(graph.inputs.size())))
    shorten(layer, record.shape.size());
  checkAttention(*records);
  if (content)
    result.weights = takeKerasWeights(
        *content, graph.layers,
        llvm::ArrayRef(*records).drop_front(graph.inputs.size()), offenders);
  reportOffenders(offenders, diagnostics);
  return offenders.empty();
}

bool KerasReader::convert() {
  std::string wrong;
  if (!readKerasGraph(model, graph, wrong))
    return fail(wrong);
  for (const KerasInput &input : graph.inputs)
    if (llvm::is_contained(input.shape, -1))
      return fail("the input's shape has a size that is not fixed; build the "
                  "model with all sizes but the batch's");
  KerasConfigReader configs(version, content.has_value());
  convertLayers(configs);
  moveChannels(graph, result.layers, offenders);
  reportOffenders(offenders, diagnostics);
  for (const std::string &note : configs.warnings())
    diagnostics.warning({}, note);
  if (!offenders.empty())
    return false;
  linkLayers();
  convertTraining(configs);
  result.name =
      toModelName(isAutomaticName(graph.name) ? llvm::sys::path::stem(path)
                                              : StringRef(graph.name));
  result.format = "Keras" + (version.empty() ? "" : " " + printable(version)) +
                  " " + container;
  return takeWeights();
}

std::optional<ImportedModel> KerasReader::read() {
  if (!readFile() || !convert())
    return std::nullopt;
  return std::move(result);
}

std::optional<ImportedModel>
sinter::frontend::readKeras(const std::string &path,
                            const std::string &weightsPath,
                            Diagnostics &diagnostics) {
  return KerasReader(path, weightsPath, diagnostics).read();
}
