// KerasGraph.h - the layers of a Keras model in order, with who reads whom.
//
// Models inside of models are taken apart: their layers stand here one by one,
// named "encoder/dense". A layer that is called several times, or whose model
// is, stands here once for each call; the later calls say whose weights they
// share.
#ifndef SINTER_FRONTEND_KERAS_KERASGRAPH_H
#define SINTER_FRONTEND_KERAS_KERASGRAPH_H

#include "frontend/JsonText.h"

#include <optional>
#include <vector>

namespace sinter::frontend {

/// A step down from a model to a layer in it: how weights are found.
struct KerasStep {
  std::string name;
  std::string byClass; // "conv2d_1": the second of its class in the model
};

struct KerasLayer {
  std::string name, className;
  const Json *config = nullptr;        // the layer's own, in the file's JSON
  std::string key;                     // of this call
  std::vector<std::string> inputs;     // keys of inputs and calls before it
  std::string reuses;                  // the key of the first call, or ""
  std::vector<std::string> flags = {}; // arguments of the call that are true
  /// In place of a layer: the further result of this number of the layer that
  /// is read, counted from 0 (see `state` of the catalog).
  std::optional<size_t> state = std::nullopt;
  /// Whether the file says that an input has a mask.
  bool isMasked = false;
  std::string wrong; // why this layer's place in the graph is not supported
  std::vector<KerasStep> path; // from the whole model to the layer
  std::vector<size_t> place; // in the file, where order may differ: each step's
};

struct KerasInput {
  std::string key, name;
  std::vector<int64_t> shape; // of one sample; -1: not fixed
};

struct KerasGraph {
  std::string name; // of the model
  std::vector<KerasInput> inputs;
  std::vector<KerasLayer> layers;   // data flows downwards; no input layers
  std::vector<std::string> outputs; // keys
};

/// Takes a Sequential or Functional model apart. False, with the reason in
/// `wrong`, when `model` is something else. `model` must outlive the result.
bool readKerasGraph(const Json &model, KerasGraph &graph, std::string &wrong);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_KERASGRAPH_H
