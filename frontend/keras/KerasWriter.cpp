// KerasWriter.cpp - the files that Keras 3 writes: model.h5 and model.keras.
//
// What lies where is told in KerasReader.cpp and KerasWeights.cpp. Our
// parameters have Keras's names and order, so a file is the JSON of the
// network, the JSON of the training, and the parameters one by one. Optimizer
// slots are not in it: Keras starts them anew.
#include "frontend/Catalog.h"
#include "frontend/ModelExport.h"
#include "frontend/ZipFile.h"
#include "frontend/keras/Hdf5Writer.h"
#include "frontend/keras/KerasJson.h"
#include "frontend/keras/KerasPadding.h"
#include "frontend/keras/KerasWeights.h"

#include "llvm/ADT/STLExtras.h"

#include <ctime>

using namespace sinter::frontend;
using llvm::StringRef;

static std::string toText(const OrderedJson &json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/true);
}

namespace {
/// The model in Keras's layers, and its JSON.
struct Network {
  ModelBuilder model;
  OrderedJson json;
};
} // namespace

/// Nothing after reports.
static std::optional<Network> networkOf(const ExportSource &source,
                                        KerasDialect dialect,
                                        Diagnostics &diagnostics) {
  std::vector<std::string> refused;
  ModelBuilder model = withKerasPadding(source.model, refused);
  OrderedJson json =
      toKerasModel(refused.empty() ? model : source.model, dialect, refused);
  for (const std::string &what : refused)
    diagnostics.error({}, what);
  if (!refused.empty())
    return std::nullopt;
  return Network{std::move(model), std::move(json)};
}

static ExportResult reportFull(const std::string &path,
                               Diagnostics &diagnostics) {
  diagnostics.error({}, "cannot write " + path +
                            ": libhdf5 cannot hold the model in memory");
  return ExportResult::NotWritten;
}

// ---- HDF5
// ---------------------------------------------------------------------

/// /model_weights: a group for each layer, also for those without weights.
static void addLayerGroups(const ModelBuilder &model,
                           const std::vector<ImportedWeight> &weights,
                           Hdf5Writer &file) {
  const std::string root = "/model_weights";
  file.group(root);
  std::vector<std::string> names;
  auto weight = weights.begin();
  // Keras's Sequential does not count its input among its layers.
  for (const LayerRecord &layer :
       model.layers().drop_front(isSequential(model) ? 1 : 0)) {
    if (layer.sharedWith)
      continue;
    const std::string group = root + "/" + layer.name;
    file.group(group);
    names.push_back(layer.name);
    std::vector<std::string> variables;
    for (size_t i = 0; i < layer.parameters.size(); ++i) {
      variables.push_back((model.name() + "/" + layer.name + "/").str() +
                          kerasPlaceOf(layer, i).byName);
      file.dataset(group + "/" + variables.back(), weight->shape,
                   weight->values);
      ++weight;
    }
    file.texts(group, "weight_names", variables);
  }
  file.group(root + "/top_level_model_weights");
  file.texts(root + "/top_level_model_weights", "weight_names", {});
  file.texts(root, "layer_names", names);
  file.text(root, "backend", "tensorflow");
  file.text(root, "keras_version", kKerasVersion);
}

ExportResult sinter::frontend::exportKerasHdf5(const ExportSource &source,
                                               const std::string &path,
                                               Diagnostics &diagnostics) {
  std::optional<Network> network =
      networkOf(source, KerasDialect::Hdf5, diagnostics);
  if (!network)
    return ExportResult::Refused;
  Hdf5Writer file;
  file.text("/", "backend", "tensorflow");
  file.text("/", "keras_version", kKerasVersion);
  file.text("/", "model_config", toText(network->json));
  if (source.spec.loss && source.spec.optimizer)
    file.text("/", "training_config",
              toText(toKerasTraining(source.spec, KerasDialect::Hdf5)));
  addLayerGroups(network->model, source.weights, file);
  std::string bytes = file.bytes();
  if (bytes.empty())
    return reportFull(path, diagnostics);
  return writeFile(path, bytes, diagnostics) ? ExportResult::Done
                                             : ExportResult::NotWritten;
}

// ---- Archives
// -----------------------------------------------------------------

/// Groups are named after classes: conv2d, conv2d_1, ...
static std::string archivedWeights(const ModelBuilder &model,
                                   const std::vector<ImportedWeight> &weights) {
  Hdf5Writer file;
  LayerNamer namer;
  auto weight = weights.begin();
  for (const LayerRecord &layer : model.layers()) {
    if (layer.sharedWith)
      continue;
    StringRef className =
        tableOf(Kind::Layer).find(layer.config.name)->className;
    const std::string group = "/layers/" + namer.fresh(className);
    file.group(group + "/vars");
    file.text(group + "/vars", "name", layer.name);
    for (size_t i = 0; i < layer.parameters.size(); ++i, ++weight)
      file.dataset(group + "/" + kerasPlaceOf(layer, i).byNumber, weight->shape,
                   weight->values);
  }
  file.group("/vars");
  return file.bytes();
}

ExportResult sinter::frontend::exportKerasArchive(const ExportSource &source,
                                                  const std::string &path,
                                                  Diagnostics &diagnostics) {
  std::optional<Network> network =
      networkOf(source, KerasDialect::Archive, diagnostics);
  if (!network)
    return ExportResult::Refused;
  if (source.spec.loss && source.spec.optimizer)
    network->json["compile_config"] =
        toKerasTraining(source.spec, KerasDialect::Archive);
  std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%d@%H:%M:%S", std::gmtime(&now));
  OrderedJson metadata;
  metadata["keras_version"] = kKerasVersion;
  metadata["date_saved"] = date;
  std::string weights = archivedWeights(network->model, source.weights);
  if (weights.empty())
    return reportFull(path, diagnostics);
  std::string wrong =
      writeZip(path, {{"metadata.json", toText(metadata)},
                      {"config.json", toText(network->json)},
                      {"model.weights.h5", std::move(weights)}});
  if (wrong.empty())
    return ExportResult::Done;
  diagnostics.error({}, "cannot write " + path + ": " + wrong);
  return ExportResult::NotWritten;
}
