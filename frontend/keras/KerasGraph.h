// KerasGraph.h - the layers of a Keras model in order, with who reads whom.
#ifndef SINTER_FRONTEND_KERAS_KERASGRAPH_H
#define SINTER_FRONTEND_KERAS_KERASGRAPH_H

#include "frontend/JsonText.h"

#include <vector>

namespace sinter::frontend {

struct KerasLayer {
  std::string name, className;
  const Json *config = nullptr;    // the layer's own, in the file's JSON
  std::vector<std::string> inputs; // names of layers; empty: the one before
  std::string wrong; // why this layer's place in the graph is not supported
  size_t place = 0;  // in the file, where order may differ
};

struct KerasGraph {
  std::string name; // of the model
  std::string inputName;
  std::vector<int64_t> inputShape; // of one sample; -1: not fixed
  std::vector<KerasLayer> layers;  // data flows downwards; no input layer
};

/// Takes a Sequential or Functional model apart. False, with the reason in
/// `wrong`, when `model` is something else. `model` must outlive the result.
bool readKerasGraph(const Json &model, KerasGraph &graph, std::string &wrong);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_KERASGRAPH_H
