// ImportModel.cpp - picks the reader and holds what it gave against the
// catalog.
//
// Readers translate; whether a name, an argument or a shape is right is found
// out here, by the same code that judges a spec. Messages of that code do not
// say which layer they are about (in a spec, the line does), so each config is
// completed with reports of its own, which then get the layer's name.
#include "frontend/ImportedModel.h"

#include "frontend/ConfigCheck.h"
#include "frontend/SpecBuilder.h"
#include "frontend/keras/KerasReader.h"
#include "frontend/onnx/OnnxReader.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

#include <cstdio>
#include <cstring>
#include <new>
#include <sys/stat.h>

using namespace sinter::frontend;
using llvm::StringRef;

void sinter::frontend::reportOffenders(llvm::ArrayRef<Offender> offenders,
                                       Diagnostics &diagnostics) {
  const size_t most = 100; // that anybody reads
  for (const Offender &offender : offenders.take_front(most))
    diagnostics.error({}, "layer '" + printable(offender.layer) + "' (" +
                              printable(offender.kind) + "): " + offender.why +
                              (offender.hint.empty() ? "" : "; ") +
                              offender.hint);
  if (offenders.size() > most)
    diagnostics.error({}, "and " + std::to_string(offenders.size() - most) +
                              " more layers");
}

// ---- Names
// --------------------------------------------------------------------

static std::string toName(StringRef text, StringRef alsoAllowed) {
  std::string name;
  for (char c : text.take_front(64))
    name += llvm::isAlnum(c) || alsoAllowed.contains(c) ? c : '_';
  if (name.empty() || llvm::isDigit(name[0]) || name[0] == '-' ||
      name[0] == '.')
    name = "_" + name.substr(0, 63);
  return name;
}

std::string sinter::frontend::toModelName(StringRef text) {
  return toName(text, "_");
}

std::string sinter::frontend::toLayerName(StringRef text) {
  return toName(text, "_-.");
}

// ---- Kinds of file
// ------------------------------------------------------------

namespace {
enum class FileKind { Keras, Onnx, Unknown };
}

/// The first bytes of a regular file; fewer when there are no more.
static std::string magicOf(const std::string &path) {
  struct stat status;
  std::string bytes(8, '\0');
  if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
    return "";
  std::FILE *file = std::fopen(path.c_str(), "rb");
  if (!file)
    return "";
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  std::fclose(file);
  return bytes;
}

/// ONNX has no magic bytes; there, the ending decides.
static FileKind kindOfFile(const std::string &path) {
  const std::string magic = magicOf(path);
  StringRef name = path;
  if (StringRef(magic).starts_with("\x89HDF\r\n\x1a\n") ||
      StringRef(magic).starts_with("PK\3\4"))
    return FileKind::Keras;
  if (name.ends_with(".onnx"))
    return FileKind::Onnx;
  for (StringRef ending : {".h5", ".hdf5", ".keras", ".json"})
    if (name.ends_with(ending))
      return FileKind::Keras;
  return FileKind::Unknown;
}

bool sinter::frontend::isModelFile(const std::string &path) {
  return kindOfFile(path) != FileKind::Unknown;
}

static std::optional<ImportedModel> readFile(const std::string &path,
                                             const ImportOptions &options,
                                             Diagnostics &diagnostics) {
  switch (kindOfFile(path)) {
  case FileKind::Keras:
    return readKeras(path, options.weights, diagnostics);
  case FileKind::Onnx:
    return readOnnx(path, diagnostics);
  case FileKind::Unknown:
    break;
  }
  diagnostics.error(
      {},
      "expected a model file of Keras (.h5, .keras, .json) or ONNX (.onnx)");
  return std::nullopt;
}

// ---- The model
// ----------------------------------------------------------------

static bool complete(Config &config, Kind kind, const std::string &what,
                     Diagnostics &diagnostics) {
  Diagnostics own(diagnostics.fileName().str());
  bool ok = completeConfig(config, kind, own);
  diagnostics.absorb(own, what + ": ");
  return ok;
}

static std::string nameOf(const Config &layer) {
  const Argument *name = layer.find("name");
  const auto *text = name ? name->value.getIf<std::string>() : nullptr;
  return text ? *text : layer.name;
}

/// The model without its weights.
static Spec networkOf(const ImportedModel &model) {
  Spec spec;
  spec.name = model.name;
  spec.inputs = model.inputs;
  spec.layers = model.layers;
  for (const std::string &output : model.outputs)
    spec.outputs.push_back({output, {}});
  spec.loss = model.loss;
  spec.optimizer = model.optimizer;
  spec.metrics = model.metrics;
  return spec;
}

std::optional<std::vector<LayerRecord>>
sinter::frontend::completeImported(ImportedModel &model,
                                   Diagnostics &diagnostics) {
  bool ok = true;
  for (Config &input : model.inputs)
    ok &= complete(input, Kind::Section, "input '" + nameOf(input) + "'",
                   diagnostics);
  for (Config &layer : model.layers)
    ok &= complete(layer, layer.name == "reuse" ? Kind::Section : Kind::Layer,
                   "layer '" + printable(nameOf(layer)) + "'", diagnostics);
  if (model.loss)
    ok &= complete(*model.loss, Kind::Loss, "loss", diagnostics);
  if (model.optimizer)
    ok &= complete(*model.optimizer, Kind::Optimizer, "optimizer", diagnostics);
  for (Config &metric : model.metrics)
    ok &= complete(metric, Kind::Metric, "metric", diagnostics);
  if (!ok)
    return std::nullopt;
  // Loss and metrics are judged when the spec is built; here it is the network.
  Spec network = networkOf(model);
  network.loss.reset();
  network.metrics.clear();
  ModelBuilder builder(model.name, diagnostics);
  if (!buildSpec(network, builder))
    return std::nullopt;
  return builder.layers().vec();
}

Spec sinter::frontend::toSpec(ImportedModel model, SourceLoc loc) {
  Spec spec = networkOf(model);
  spec.nameLoc = loc;
  auto place = [&](Config &config) {
    config.loc = loc;
    for (Argument &argument : config.args)
      argument.loc = argument.value.loc = loc;
  };
  for (Reference &output : spec.outputs)
    output.loc = loc;
  for (std::vector<Config> *list : {&spec.inputs, &spec.layers, &spec.metrics})
    for (Config &config : *list)
      place(config);
  for (std::optional<Config> *config : {&spec.loss, &spec.optimizer})
    if (*config)
      place(**config);
  if (!model.weights.empty())
    spec.weights = std::make_shared<const std::vector<ImportedWeight>>(
        std::move(model.weights));
  return spec;
}

std::optional<ImportedModel>
sinter::frontend::importModel(const std::string &path,
                              const ImportOptions &options,
                              Diagnostics &diagnostics) {
  std::optional<ImportedModel> model;
  try {
    model = readFile(path, options, diagnostics);
  } catch (const std::bad_alloc &) {
    diagnostics.error({}, "reading it takes more memory than there is");
  }
  if (!model || diagnostics.hasErrors())
    return std::nullopt;
  std::optional<std::vector<LayerRecord>> layers =
      completeImported(*model, diagnostics);
  if (!layers)
    return std::nullopt;
  if (model->outputs.size() < 2) {
    const std::string name =
        model->outputs.empty() ? layers->back().name : model->outputs[0];
    model->outputShape = llvm::find_if(*layers, [&](const LayerRecord &layer) {
                           return layer.name == name;
                         })->shape;
  }
  if (model->weights.empty())
    return model;
  if (!checkWeights(model->weights, *layers, diagnostics, {}))
    return std::nullopt;
  // In the model's order, so that equal models give equal files.
  llvm::StringMap<ImportedWeight *> byName;
  for (ImportedWeight &weight : model->weights)
    byName[weight.name] = &weight;
  std::vector<ImportedWeight> ordered;
  for (const LayerRecord &layer : *layers)
    for (const Parameter &parameter : layer.parameters)
      ordered.push_back(std::move(*byName[parameter.name]));
  model->weights = std::move(ordered);
  return model;
}
