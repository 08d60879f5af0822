// ImportedModel.h - a model read from a file of another framework.
//
// Problem: Keras and ONNX files must end in the same ModelBuilder calls as a
// YAML spec, with the same names, defaults and checks.
// Idea: each reader turns its file into what the YAML reader would have made of
// a spec: configs of the catalog, plus the weights. Nobody behind this border
// knows which file a model came from. Readers fill in only the arguments that
// the file has; importModel() completes the configs against the catalog, builds
// the model once and holds the weights against its parameters, so that readers
// need not check what the catalog and the shape rules check anyway.
//
//   ImportedModel model;
//   model.name = "mnist";
//   model.inputs = {Config("input", {{"shape", Value::List{28, 28, 1}}})};
//   model.layers.push_back(Config("dense", {{"units", 10}, {"name", "out"}}));
//   model.weights.push_back({"out/kernel", {784, 10}, values});
//
// Known weakness: all weights are in memory as f32.
#ifndef SINTER_FRONTEND_IMPORTEDMODEL_H
#define SINTER_FRONTEND_IMPORTEDMODEL_H

#include "frontend/ModelBuilder.h"
#include "frontend/Spec.h"
#include "frontend/Weights.h"

namespace sinter::frontend {

struct ImportedModel {
  /// Becomes a C symbol: letters, digits and '_' (see toModelName()).
  std::string name;
  /// What the file is, for comments: "Keras 2.12.0 HDF5", "ONNX, opset 13".
  std::string format;
  /// Configs "input": `shape` and `name`, perhaps `scale`.
  std::vector<Config> inputs;
  /// In an order in which data flows. `name` is always set and unique; `inputs`
  /// is set where a layer does not read (only) the one before it, and in the
  /// first one if there are several inputs. "reuse" is a layer called again.
  std::vector<Config> layers;
  /// Names of the layers that are results; none: the last one is.
  std::vector<std::string> outputs = {};
  std::optional<Config> loss, optimizer; // where the file has them
  std::vector<Config> metrics;
  /// In any order. Either none at all (an architecture without weights) or one
  /// for each parameter of each layer.
  std::vector<ImportedWeight> weights;
  /// Of the only result, one sample's; importModel() sets it.
  std::vector<int64_t> outputShape = {};
};

/// A layer that cannot be taken over. Readers collect all of them and hand them
/// to reportOffenders(), so that one run shows everything that is in the way.
struct Offender {
  std::string layer; // its name in the file
  std::string kind;  // its class or op: "LSTM", "InstanceNormalization"
  std::string why;   // "the layer is not supported yet"
  std::string hint;  // what to do: "replace it by ..."; may be empty
};

/// One error for each: "layer 'lstm_1' (LSTM): WHY; HINT".
void reportOffenders(llvm::ArrayRef<Offender> offenders,
                     Diagnostics &diagnostics);

/// The nearest name that a layer or model may have: what is not a letter, a
/// digit or '_' becomes '_', a leading digit gets one before it, and what is
/// longer than 64 characters is cut.
std::string toModelName(llvm::StringRef text);
/// The same for layers, where '-' and '.' may stay.
std::string toLayerName(llvm::StringRef text);

/// Completes the configs of `model` and builds it without weights: its layers
/// with their parameters, the input first. For readers whose files do not name
/// weights as we do; importModel() calls it, too. Nothing after errors, which
/// name the layer.
std::optional<std::vector<LayerRecord>>
completeImported(ImportedModel &model, Diagnostics &diagnostics);

struct ImportOptions {
  /// A second file with the weights, for an architecture without them.
  std::string weights;
};

/// Whether `path` ends in .h5, .hdf5, .keras, .json or .onnx, or begins with
/// the magic bytes of HDF5 or zip. Does not report: a file that is not there is
/// judged by its name.
bool isModelFile(const std::string &path);

/// Reads a model file of any supported kind, told by its first bytes, then by
/// its ending. All configs of the result are complete, names are unique, and
/// each weight has the shape of the parameter whose name it bears, and is
/// finite. Nothing after errors, which name the file and the layer or tensor.
std::optional<ImportedModel> importModel(const std::string &path,
                                         const ImportOptions &options,
                                         Diagnostics &diagnostics);

/// The spec that an imported model stands for. All of it is as if it stood at
/// `loc`. Takes the weights out of `model`.
Spec toSpec(ImportedModel model, SourceLoc loc = {});

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_IMPORTEDMODEL_H
