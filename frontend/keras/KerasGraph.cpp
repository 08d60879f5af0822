// KerasGraph.cpp - Sequential and Functional models, as Keras 2 and 3 write
// them.
//
// A Sequential model is a list of layers; its first may be an InputLayer, or
// carry the input's shape. A Functional model has for each layer the calls that
// were made with it ("inbound_nodes"), in two forms:
//
//   Keras 2  [[["conv", 0, 0, {}], ["pool", 0, 0, {}]]]
//            one list for each call, in it [layer, call, output, kwargs]
//   Keras 3  [{"args": [[TENSOR, TENSOR]], "kwargs": {}}]
//            TENSOR = {"class_name": "__keras_tensor__",
//                      "config": {..., "keras_history": ["conv", 0, 0]}}
//
// Known weakness: one input, one output, and each layer is called once.
#include "frontend/keras/KerasGraph.h"

#include "frontend/Diagnostics.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace sinter::frontend;

namespace {

class GraphReader {
public:
  GraphReader(const Json &model, KerasGraph &graph, std::string &wrong)
      : model(model), graph(graph), wrong(wrong) {}

  bool read();

private:
  bool readSequential(const Json &layers);
  bool readFunctional(const Json &layers);
  bool readLayer(const Json &json, KerasLayer &layer);
  void readCalls(const Json &json, KerasLayer &layer);
  void readKeras2Call(const Json &call, KerasLayer &layer);
  void readKeras3Call(const Json &call, KerasLayer &layer);
  void addInput(const Json &history, KerasLayer &layer);
  bool readShape(const Json *shape);
  bool sortLayers();
  bool checkEnds();

  bool fail(std::string text) {
    wrong = std::move(text);
    return false;
  }

  const Json &model;
  KerasGraph &graph;
  std::string &wrong;
};

} // namespace

bool GraphReader::read() {
  const std::string className = textMember(model, "class_name");
  const Json *config = member(model, "config");
  if (className.empty() || !config)
    return fail("expected the configuration of a model (class_name, config)");
  graph.name = textMember(config, "name");
  const Json *layers = config->is_array() ? config : member(config, "layers");
  if (className != "Sequential" && className != "Functional" &&
      className != "Model")
    return fail("the model is of class '" + printable(className) +
                "': expected Sequential or Functional (a subclass of Model is "
                "Python code, which the file does not hold)");
  if (!layers || !layers->is_array() || layers->empty())
    return fail("the model has no layers");
  if (layers->size() > 10000)
    return fail("expected at most 10000 layers");
  return className == "Sequential" ? readSequential(*layers)
                                   : readFunctional(*layers);
}

bool GraphReader::readLayer(const Json &json, KerasLayer &layer) {
  layer.className = textMember(json, "class_name");
  layer.config = member(json, "config");
  if (layer.className.empty() || !layer.config || !layer.config->is_object())
    return fail("layer " + std::to_string(graph.layers.size() + 1) +
                ": expected class_name and config");
  layer.name = textMember(layer.config, "name");
  if (layer.name.empty())
    layer.name = textMember(json, "name");
  return true;
}

/// [null, 28, 28, 1] without the batch; false when it is no shape.
bool GraphReader::readShape(const Json *shape) {
  if (shape && shape->is_object()) // {"class_name": "__tuple__", "items": ...}
    shape = member(shape, "items");
  if (shape && shape->is_array() && shape->size() == 1 &&
      (*shape)[0].is_array())
    shape = &(*shape)[0];
  if (!shape || !shape->is_array() || shape->size() < 2 || shape->size() > 8)
    return false;
  std::vector<int64_t> sizes;
  for (const Json &size : llvm::drop_begin(*shape)) {
    if (size.is_number_integer())
      sizes.push_back(size.get<int64_t>());
    else if (size.is_null())
      sizes.push_back(-1);
    else
      return false;
  }
  graph.inputShape = std::move(sizes);
  return true;
}

static const Json *inputShapeOf(const Json *config) {
  for (const char *key : {"batch_shape", "batch_input_shape"})
    if (const Json *shape = member(config, key))
      return shape;
  return nullptr;
}

bool GraphReader::readSequential(const Json &layers) {
  const Json *shape = nullptr;
  for (const Json &json : layers) {
    KerasLayer layer;
    if (!readLayer(json, layer))
      return false;
    const bool isInput = layer.className == "InputLayer";
    if (isInput && !graph.layers.empty())
      return fail("layer '" + printable(layer.name) +
                  "': expected InputLayer to be the first layer");
    if (graph.layers.empty() && !shape) {
      shape = inputShapeOf(layer.config);
      if (!shape && !isInput)
        shape = member(member(json, "build_config"), "input_shape");
    }
    layer.place = graph.layers.size();
    if (!isInput)
      graph.layers.push_back(std::move(layer));
  }
  if (!shape) {
    shape = member(member(model, "config"), "build_input_shape");
    if (!shape)
      shape = member(member(model, "build_config"), "input_shape");
  }
  if (!shape)
    return fail("the model has no input shape: it was saved before it had seen "
                "data (add an Input layer)");
  if (!readShape(shape))
    return fail("expected the input's shape to be a list like [null, 28, 28, "
                "1], got " +
                describe(*shape));
  if (graph.layers.empty())
    return fail("the model has no layers");
  return true;
}

// ---- Functional models
// --------------------------------------------------------

/// ["conv", 0, 0]
void GraphReader::addInput(const Json &history, KerasLayer &layer) {
  const bool isHistory =
      history.is_array() && history.size() >= 3 && history[0].is_string() &&
      history[1].is_number_integer() && history[2].is_number_integer();
  if (!isHistory)
    layer.wrong =
        "its inputs are written in an unknown way: " + describe(history);
  else if (history[1] != 0)
    layer.wrong = "it reads the second call of the layer '" +
                  printable(history[0].get<std::string>()) +
                  "'; a layer may be called once";
  else if (history[2] != 0)
    layer.wrong = "it reads the second result of the layer '" +
                  printable(history[0].get<std::string>()) + "'";
  else
    layer.inputs.push_back(history[0].get<std::string>());
}

/// Arguments of a call besides tensors that say something.
static std::string kwargsOf(const Json *kwargs) {
  if (kwargs && kwargs->is_object())
    for (const auto &item : kwargs->items())
      if (!item.value().is_null() && !(item.value() == false))
        return item.key();
  return "";
}

void GraphReader::readKeras2Call(const Json &call, KerasLayer &layer) {
  // One tensor may stand without the list around it.
  const bool isOne = !call.empty() && call[0].is_string();
  std::vector<const Json *> tensors;
  if (isOne)
    tensors.push_back(&call);
  else
    for (const Json &tensor : call)
      tensors.push_back(&tensor);
  for (const Json *tensor : tensors) {
    addInput(*tensor, layer);
    if (tensor->is_array() && tensor->size() >= 4)
      if (std::string key = kwargsOf(&(*tensor)[3]); !key.empty())
        layer.wrong = "it is called with '" + printable(key) +
                      "', which is not supported yet";
  }
}

void GraphReader::readKeras3Call(const Json &call, KerasLayer &layer) {
  const Json *args = member(call, "args");
  if (std::string key = kwargsOf(member(call, "kwargs")); !key.empty())
    layer.wrong = "it is called with '" + printable(key) +
                  "', which is not supported yet";
  if (!args || !args->is_array() || args->size() != 1) {
    layer.wrong = "it is called with more than tensors, which is not supported "
                  "yet";
    return;
  }
  const Json &only = (*args)[0];
  std::vector<const Json *> tensors = {&only};
  if (only.is_array()) {
    tensors.clear();
    for (const Json &tensor : only)
      tensors.push_back(&tensor);
  }
  for (const Json *tensor : tensors) {
    const Json *history = member(member(tensor, "config"), "keras_history");
    if (textMember(tensor, "class_name") == "__keras_tensor__" && history)
      addInput(*history, layer);
    else
      layer.wrong =
          "it reads something that is no layer's result: " + describe(*tensor);
  }
}

void GraphReader::readCalls(const Json &json, KerasLayer &layer) {
  const Json *calls = member(json, "inbound_nodes");
  if (!calls || !calls->is_array() || calls->empty()) {
    layer.wrong = "it is not connected to the model";
    return;
  }
  if (calls->size() > 1) {
    layer.wrong = "it is called " + std::to_string(calls->size()) +
                  " times (shared); a layer may be called once";
    return;
  }
  const Json &call = (*calls)[0];
  if (call.is_object())
    readKeras3Call(call, layer);
  else if (call.is_array() && !call.empty())
    readKeras2Call(call, layer);
  else
    layer.wrong = "its inputs are written in an unknown way: " + describe(call);
}

bool GraphReader::readFunctional(const Json &layers) {
  std::vector<std::string> inputs;
  for (const Json &json : layers) {
    KerasLayer layer;
    if (!readLayer(json, layer))
      return false;
    if (layer.name.empty())
      return fail("layer " + std::to_string(graph.layers.size() + 1) +
                  ": expected a name");
    if (layer.className == "InputLayer") {
      inputs.push_back(layer.name);
      if (!readShape(inputShapeOf(layer.config)))
        return fail("input '" + printable(layer.name) +
                    "': expected a shape like [null, 28, 28, 1]");
      continue;
    }
    readCalls(json, layer);
    layer.place = graph.layers.size();
    graph.layers.push_back(std::move(layer));
  }
  if (inputs.size() != 1)
    return fail("expected one input layer, got " +
                std::to_string(inputs.size()) +
                (inputs.empty() ? "" : "; several are not supported yet"));
  graph.inputName = inputs[0];
  if (graph.layers.empty())
    return fail("the model has no layers");
  return sortLayers() && checkEnds();
}

/// Each layer behind those it reads, otherwise in the file's order.
bool GraphReader::sortLayers() {
  std::vector<KerasLayer> &layers = graph.layers;
  llvm::StringMap<size_t> indexOf;
  for (size_t i = 0; i < layers.size(); ++i)
    if (layers[i].name == graph.inputName ||
        !indexOf.try_emplace(layers[i].name, i).second)
      return fail("the name '" + printable(layers[i].name) + "' is used twice");
  std::vector<size_t> missing(layers.size()); // inputs not yet placed
  std::vector<std::vector<size_t>> readers(layers.size());
  for (size_t i = 0; i < layers.size(); ++i)
    for (const std::string &input : layers[i].inputs) {
      if (input == graph.inputName)
        continue;
      auto it = indexOf.find(input);
      if (it == indexOf.end())
        return fail("layer '" + printable(layers[i].name) +
                    "' reads the layer '" + printable(input) +
                    "', which the file does not have");
      ++missing[i];
      readers[it->second].push_back(i);
    }
  // Always the first that is ready keeps the file's order.
  std::vector<size_t> ready, order;
  auto byPlace = std::greater<>(); // a heap with the smallest on top
  for (size_t i = 0; i < layers.size(); ++i)
    if (missing[i] == 0)
      ready.push_back(i);
  std::make_heap(ready.begin(), ready.end(), byPlace);
  while (!ready.empty()) {
    std::pop_heap(ready.begin(), ready.end(), byPlace);
    size_t next = ready.back();
    ready.pop_back();
    order.push_back(next);
    for (size_t reader : readers[next])
      if (--missing[reader] == 0) {
        ready.push_back(reader);
        std::push_heap(ready.begin(), ready.end(), byPlace);
      }
  }
  if (order.size() != layers.size()) {
    auto it = llvm::find_if(missing, [](size_t count) { return count != 0; });
    return fail("the layers form a circle through '" +
                printable(layers[it - missing.begin()].name) + "'");
  }
  std::vector<KerasLayer> sorted;
  for (size_t i : order)
    sorted.push_back(std::move(layers[i]));
  layers = std::move(sorted);
  return true;
}

/// The output is the last layer, as ModelBuilder wants it.
bool GraphReader::checkEnds() {
  const Json *outputs = member(member(model, "config"), "output_layers");
  std::string name;
  if (outputs && outputs->is_array() && !outputs->empty()) {
    const Json &first = (*outputs)[0];
    if (first.is_string()) { // ["dense", 0, 0]
      name = first.get<std::string>();
    } else if (outputs->size() > 1) {
      return fail("expected one output, got " +
                  std::to_string(outputs->size()) +
                  "; several are not supported yet");
    } else if (first.is_array() && !first.empty() && first[0].is_string()) {
      name = first[0].get<std::string>();
    }
  }
  auto it = llvm::find_if(graph.layers, [&](const KerasLayer &layer) {
    return layer.name == name;
  });
  if (it == graph.layers.end())
    return fail("expected one output layer, got " +
                (outputs ? describe(*outputs) : "none"));
  // Others that are last have nobody who reads them; the builder reports that.
  std::rotate(it, it + 1, graph.layers.end());
  for (const KerasLayer &layer : graph.layers)
    if (llvm::is_contained(layer.inputs, name))
      return fail("the output '" + printable(name) +
                  "' is read by a layer; that is not supported yet");
  return true;
}

bool sinter::frontend::readKerasGraph(const Json &model, KerasGraph &graph,
                                      std::string &wrong) {
  return GraphReader(model, graph, wrong).read();
}
