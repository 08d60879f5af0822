// KerasGraph.cpp - Sequential and Functional models, as Keras 2 and 3 write
// them, one in another.
//
// A Sequential model is a list of layers; its first may be an InputLayer, or
// carry the input's shape. A Functional model has for each layer the calls that
// were made with it ("inbound_nodes"), in two forms:
//
//   Keras 2  [[["conv", 0, 0, {}], ["pool", 0, 0, {}]]]
//            one list for each call, in it [layer, call, result, kwargs]
//   Keras 3  [{"args": [[TENSOR, TENSOR]], "kwargs": {}}]
//            TENSOR = {"class_name": "__keras_tensor__",
//                      "config": {..., "keras_history": ["conv", 0, 0]}}
//
// Idea: a Level is one model as written, its layers with their calls. expand()
// walks a level in the order in which data flows; where a layer is a model
// itself, it goes on in that model's level with what the call reads as inputs.
// So each call of each layer comes out once, under a key like
// "encoder#1/dense#0" (the second call of `encoder`, in it the first of
// `dense`). Calls that differ in the numbers alone are of one layer: the first
// to come out has the weights.
#include "frontend/keras/KerasGraph.h"

#include "frontend/Diagnostics.h"
#include "frontend/LayerNamer.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <algorithm>

using namespace sinter::frontend;
using llvm::StringRef;

namespace {

/// A result: of which layer of the level, of which call, which one.
struct Result {
  std::string layer;
  size_t call = 0, index = 0;
};

struct Call {
  std::vector<Result> inputs;
  std::string wrong;
  std::vector<std::string> flags = {}; // arguments that are true
  bool attends = false;                // the layer is a kind of attention
  bool recurs = false;                 // it takes first states
  std::vector<Result> masks = {};      // of its inputs
};

struct Node {
  std::string name, className;
  const Json *json = nullptr, *config = nullptr;
  std::vector<Call> calls;
  std::string byClass, wrong;

  /// A function of keras.ops, as masks are made with.
  bool isFunction = false;

  /// How many results of a layer there are besides the first.
  size_t numStates() const;
  bool isInput() const { return className == "InputLayer"; }
  bool isModel() const {
    const Json *layers = config->is_array() ? config : member(config, "layers");
    return layers && (className == "Sequential" || className == "Functional" ||
                      className == "Model");
  }
};

struct Level {
  std::string name;
  std::vector<Node> nodes; // in the file's order
  std::vector<std::string> inputs;
  std::vector<std::vector<int64_t>> shapes; // of the inputs, where known
  std::vector<Result> outputs;
};

constexpr size_t kMostLayers = 10000, kMostDepth = 32;

class GraphReader {
public:
  GraphReader(const Json &model, KerasGraph &graph, std::string &wrong)
      : model(model), graph(graph), wrong(wrong) {}

  bool read();

private:
  // One level.
  bool readLevel(const Json &model, Level &level);
  bool readSequential(const Json &model, const Json &layers, Level &level);
  bool readFunctional(const Json &model, const Json &layers, Level &level);
  bool readEnds(const Json &model, Level &level);
  bool readNode(const Json &json, size_t number, Node &node);
  void readCalls(Node &node);
  void readKeras2Call(const Json &json, Call &call);
  void readKeras3Call(const Json &json, Call &call);
  void readFunctionCall(const Json &json, Call &call);
  void addInput(const Json &history, std::vector<Result> &inputs, Call &call);
  bool takeMasks(Level &level);
  bool checkResults(Level &level);
  bool sortCalls(const Level &level,
                 std::vector<std::pair<size_t, size_t>> &order);

  // All of them.
  struct Place {
    std::string scope; // of keys: "encoder#1/"
    std::string first; // the scope without numbers of calls
    std::string name;  // of layers: "encoder/"
    std::vector<KerasStep> path;
    std::vector<size_t> place; // each step's, in its level
  };
  bool expand(const Level &level, const Place &place,
              const std::vector<std::string> &inputs,
              std::vector<std::string> &outputs);
  void addCall(const Node &node, const Call &call, size_t index,
               const Place &place, std::string key,
               std::vector<std::string> inputs);

  bool fail(std::string text) {
    wrong = std::move(text);
    return false;
  }

  const Json &model;
  KerasGraph &graph;
  std::string &wrong;
  size_t models = 0;                       // that were expanded
  llvm::StringMap<KerasLayer> states;      // nobody has read yet, by key
  llvm::StringMap<std::string> firstCalls; // keys, by place without numbers
};

} // namespace

static bool isRecurrentClass(StringRef name) {
  return llvm::is_contained(
      {"LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "Bidirectional"},
      name);
}

size_t Node::numStates() const {
  const Json *own = config;
  StringRef cell = className;
  size_t walks = 1;
  std::string inner;
  if (cell == "Bidirectional") {
    const Json *layer = member(config, "layer");
    own = member(layer, "config");
    cell = inner = textMember(layer, "class_name");
    walks = 2;
  }
  const Json *given = member(own, "return_state");
  if (!isRecurrentClass(cell) || !given || *given != true)
    return 0;
  return cell.ends_with("LSTM") ? 2 * walks : walks;
}

bool GraphReader::readLevel(const Json &model, Level &level) {
  const std::string className = textMember(model, "class_name");
  const Json *config = member(model, "config");
  if (className.empty() || !config)
    return fail("expected the configuration of a model (class_name, config)");
  level.name = textMember(config, "name");
  const Json *layers = config->is_array() ? config : member(config, "layers");
  if (className != "Sequential" && className != "Functional" &&
      className != "Model")
    return fail("the model is of class '" + printable(className) +
                "': expected Sequential or Functional (a subclass of Model is "
                "Python code, which the file does not hold)");
  if (!layers || !layers->is_array() || layers->empty())
    return fail("the model has no layers");
  if (layers->size() > kMostLayers)
    return fail("expected at most " + std::to_string(kMostLayers) + " layers");
  const bool ok = className == "Sequential"
                      ? readSequential(model, *layers, level)
                      : readFunctional(model, *layers, level);
  LayerNamer namer;
  for (Node &node : level.nodes)
    node.byClass = namer.fresh(node.className);
  return ok;
}

bool GraphReader::readNode(const Json &json, size_t number, Node &node) {
  node.json = &json;
  node.className = textMember(json, "class_name");
  node.config = member(json, "config");
  if (node.className.empty() || !node.config ||
      !(node.config->is_object() || node.isModel()))
    return fail("layer " + std::to_string(number) +
                ": expected class_name and config");
  node.name = textMember(node.config, "name");
  if (node.name.empty())
    node.name = textMember(json, "name");
  node.isFunction =
      StringRef(textMember(json, "module")).starts_with("keras.src.ops") ||
      StringRef(textMember(json, "module")).starts_with("keras.ops");
  return true;
}

/// [null, 28, 28, 1] without the batch; false when it is no shape.
static bool readShape(const Json *shape, std::vector<int64_t> &sizes) {
  if (shape && shape->is_object()) // {"class_name": "__tuple__", "items": ...}
    shape = member(shape, "items");
  if (shape && shape->is_array() && shape->size() == 1 &&
      (*shape)[0].is_array())
    shape = &(*shape)[0];
  if (!shape || !shape->is_array() || shape->size() < 2 || shape->size() > 8)
    return false;
  sizes.clear();
  for (const Json &size : llvm::drop_begin(*shape)) {
    if (size.is_number_integer())
      sizes.push_back(size.get<int64_t>());
    else if (size.is_null())
      sizes.push_back(-1);
    else
      return false;
  }
  return true;
}

static const Json *inputShapeOf(const Json *config) {
  for (const char *key : {"batch_shape", "batch_input_shape"})
    if (const Json *shape = member(config, key))
      return shape;
  return nullptr;
}

// ---- Sequential models
// --------------------------------------------------------

bool GraphReader::readSequential(const Json &model, const Json &layers,
                                 Level &level) {
  const Json *shape = nullptr;
  llvm::StringSet<> seen;
  level.inputs = {""}; // no layer is called like this
  std::string previous = "";
  for (const Json &json : layers) {
    Node node;
    if (!readNode(json, level.nodes.size() + 1, node))
      return false;
    if (node.isInput() && !level.nodes.empty())
      return fail("layer '" + printable(node.name) +
                  "': expected InputLayer to be the first layer");
    if (level.nodes.empty() && !shape) {
      shape = inputShapeOf(node.config);
      if (!shape && !node.isInput())
        shape = member(member(json, "build_config"), "input_shape");
    }
    if (node.isInput())
      continue;
    if (!node.name.empty() && !seen.insert(node.name).second)
      node.wrong = "the name is used twice";
    if (node.name.empty() || !node.wrong.empty()) // of Keras 1
      node.name += "%" + std::to_string(level.nodes.size());
    node.calls = {{{{previous}}, ""}};
    previous = node.name;
    level.nodes.push_back(std::move(node));
  }
  if (!shape) {
    shape = member(member(model, "config"), "build_input_shape");
    if (!shape)
      shape = member(member(model, "build_config"), "input_shape");
  }
  level.shapes.emplace_back();
  if (shape && !readShape(shape, level.shapes[0]))
    return fail("expected the input's shape to be a list like [null, 28, 28, "
                "1], got " +
                describe(*shape));
  if (level.nodes.empty())
    return fail("the model has no layers");
  level.outputs = {{previous}};
  return true;
}

// ---- Functional models
// --------------------------------------------------------

/// ["conv", 0, 0]
static bool readResult(const Json &history, Result &result) {
  const bool isHistory =
      history.is_array() && history.size() >= 3 && history[0].is_string() &&
      history[1].is_number_integer() && history[2].is_number_integer();
  if (!isHistory)
    return false;
  const auto call = history[1].get<int64_t>(),
             index = history[2].get<int64_t>();
  result = {history[0].get<std::string>(), static_cast<size_t>(call),
            static_cast<size_t>(index)};
  return call >= 0 && index >= 0;
}

void GraphReader::addInput(const Json &history, std::vector<Result> &inputs,
                           Call &call) {
  Result result;
  if (readResult(history, result))
    inputs.push_back(std::move(result));
  else
    call.wrong =
        "its inputs are written in an unknown way: " + describe(history);
}

/// One tensor as either version writes it, or a list of them with gaps.
static void listTensors(const Json &json, std::vector<const Json *> &tensors) {
  const bool isList =
      json.is_array() && !(json.size() >= 3 && json[0].is_string());
  if (!isList && !json.is_null())
    tensors.push_back(&json);
  else if (isList)
    for (const Json &one : json)
      if (!one.is_null())
        tensors.push_back(&one);
}

/// Arguments of a call that say something: tensors that a layer gets by name,
/// in the order of its inputs, go to `tensors`, masks to `masks`, and what is
/// an argument of the layer here, to `call.flags`.
static void takeKwargs(const Json *kwargs, Call &call,
                       std::vector<const Json *> &tensors,
                       std::vector<const Json *> &masks) {
  if (!kwargs || !kwargs->is_object())
    return;
  static const StringRef attending[] = {"query", "value", "key"};
  if (call.attends)
    for (StringRef name : attending)
      if (const Json *tensor = member(*kwargs, name.data()))
        listTensors(*tensor, tensors);
  for (const auto &item : kwargs->items()) {
    const std::string &key = item.key();
    if (item.value().is_null() || item.value() == false ||
        (call.attends && llvm::is_contained(attending, key)))
      continue;
    if (call.attends && key == "use_causal_mask")
      call.flags.push_back(key);
    else if (call.recurs && key == "initial_state")
      listTensors(item.value(), tensors);
    else if (key == "mask" ||
             (call.attends && (key == "query_mask" || key == "value_mask" ||
                               key == "key_mask")))
      listTensors(item.value(), masks);
    else
      call.wrong = "it is called with '" + printable(key) +
                   "', which is not supported yet";
  }
}

void GraphReader::readKeras2Call(const Json &json, Call &call) {
  // One tensor may stand without the list around it.
  const bool isOne = !json.empty() && json[0].is_string();
  std::vector<const Json *> tensors;
  if (isOne)
    tensors.push_back(&json);
  else
    for (const Json &tensor : json)
      tensors.push_back(&tensor);
  std::vector<const Json *> named, masks;
  for (const Json *tensor : tensors) {
    addInput(*tensor, call.inputs, call);
    if (tensor->is_array() && tensor->size() >= 4)
      takeKwargs(&(*tensor)[3], call, named, masks);
  }
  for (const Json *tensor : named)
    addInput(*tensor, call.inputs, call);
  for (const Json *mask : masks)
    addInput(*mask, call.masks, call);
}

void GraphReader::readKeras3Call(const Json &json, Call &call) {
  const Json *args = member(json, "args");
  std::vector<const Json *> tensors;
  const size_t most = call.attends ? 3 : call.recurs ? 2 : 1;
  if (!args || !args->is_array() ||
      ((args->size() == 0 || args->size() > most) && !call.attends)) {
    call.wrong =
        "it is called with more than tensors, which is not supported yet";
    return;
  }
  for (const Json &argument : *args)
    if (argument.is_array())
      for (const Json &tensor : argument)
        tensors.push_back(&tensor);
    else if (!(argument.is_null() && (call.attends || call.recurs)))
      tensors.push_back(&argument);
  std::vector<const Json *> masks;
  takeKwargs(member(json, "kwargs"), call, tensors, masks);
  auto add = [&](const Json *tensor, std::vector<Result> &to) {
    const Json *history = member(member(tensor, "config"), "keras_history");
    if (textMember(tensor, "class_name") == "__keras_tensor__" && history)
      addInput(*history, to, call);
    else
      call.wrong =
          "it reads something that is no layer's result: " + describe(*tensor);
  };
  for (const Json *tensor : tensors)
    add(tensor, call.inputs);
  for (const Json *mask : masks)
    add(mask, call.masks);
}

/// Tensors among the arguments of a function.
static void listFunctionInputs(const Json &json,
                               std::vector<const Json *> &all) {
  if (textMember(json, "class_name") == "__keras_tensor__")
    all.push_back(&json);
  else if (json.is_array() || json.is_object())
    for (const Json &one : json)
      listFunctionInputs(one, all);
}

/// A function's arguments may be numbers, too. That is refused, but such a
/// function may only make a mask, which goes (see takeMasks()).
void GraphReader::readFunctionCall(const Json &json, Call &call) {
  readKeras3Call(json, call);
  if (call.wrong.empty())
    return;
  std::vector<const Json *> tensors;
  for (const char *part : {"args", "kwargs"})
    if (const Json *arguments = member(json, part))
      listFunctionInputs(*arguments, tensors);
  call.inputs.clear();
  for (const Json *tensor : tensors)
    if (const Json *history = member(member(tensor, "config"), "keras_history"))
      addInput(*history, call.inputs, call);
}

void GraphReader::readCalls(Node &node) {
  const Json *calls = member(*node.json, "inbound_nodes");
  if (!calls || !calls->is_array() || calls->empty()) {
    node.calls.push_back({{}, "it is not connected to the model"});
    return;
  }
  for (const Json &json : *calls) {
    Call call;
    call.attends = StringRef(node.className).ends_with("Attention");
    call.recurs = isRecurrentClass(node.className);
    if (json.is_object() && node.isFunction)
      readFunctionCall(json, call);
    else if (json.is_object())
      readKeras3Call(json, call);
    else if (json.is_array() && !json.empty())
      readKeras2Call(json, call);
    else
      call.wrong =
          "its inputs are written in an unknown way: " + describe(json);
    node.calls.push_back(std::move(call));
  }
}

bool GraphReader::readFunctional(const Json &model, const Json &layers,
                                 Level &level) {
  llvm::StringSet<> seen;
  for (const Json &json : layers) {
    Node node;
    if (!readNode(json, level.nodes.size() + 1, node))
      return false;
    if (node.name.empty())
      return fail("layer " + std::to_string(level.nodes.size() + 1) +
                  ": expected a name");
    if (!seen.insert(node.name).second)
      return fail("the name '" + printable(node.name) + "' is used twice");
    if (node.isInput())
      node.calls.emplace_back();
    else
      readCalls(node);
    level.nodes.push_back(std::move(node));
  }
  return readEnds(model, level) && takeMasks(level) && checkResults(level);
}

/// Keras 3 writes the functions that make masks as layers, and gives their
/// results to the layers that heed masks. Here masks go along with what they
/// are of, so such functions go, where nobody else reads them. A mask has to
/// begin where one of its reader's inputs came by: at the input of an Embedding
/// or Masking before it.
bool GraphReader::takeMasks(Level &level) {
  llvm::StringMap<const Node *> byName;
  for (const Node &node : level.nodes)
    byName[node.name] = &node;
  // What functions and masks lead back to, and all layers before a reader.
  auto collect =
      [&](std::vector<Result> todo, bool throughFunctions,
          llvm::function_ref<void(const Result &, const Node &)> see) {
        llvm::StringSet<> seen;
        while (!todo.empty()) {
          const Result result = std::move(todo.back());
          todo.pop_back();
          const Node *node = byName.lookup(result.layer);
          if (!node || !seen.insert(result.layer).second)
            continue;
          see(result, *node);
          if (throughFunctions && !node->isFunction)
            continue;
          for (const Call &call : node->calls)
            llvm::append_range(todo, call.inputs);
        }
      };
  llvm::StringSet<> readAsMasks;
  for (Node &node : level.nodes)
    for (Call &call : node.calls) {
      std::vector<std::string> sources;
      collect(call.masks, true, [&](const Result &result, const Node &from) {
        if (from.isFunction)
          readAsMasks.insert(from.name);
        else
          sources.push_back(result.layer);
      });
      size_t found = 0;
      if (!sources.empty())
        collect(call.inputs, false, [&](const Result &, const Node &from) {
          if (from.className == "Embedding" || from.className == "Masking")
            for (const Call &made : from.calls)
              found += made.inputs.size() == 1 &&
                       llvm::is_contained(sources, made.inputs[0].layer);
        });
      if (!call.masks.empty() && found == 0 && call.wrong.empty())
        call.wrong = "it is called with a 'mask' of its own, which is not "
                     "supported yet; expected the one of its input";
    }
  // Functions whose results are data as well stay, and are refused.
  for (bool again = true; std::exchange(again, false);)
    for (const Node &node : level.nodes)
      for (const Call &call : node.calls)
        if (!readAsMasks.contains(node.name))
          for (const Result &input : call.inputs)
            again |= readAsMasks.erase(input.layer);
  for (const Result &output : level.outputs)
    readAsMasks.erase(output.layer);
  llvm::erase_if(level.nodes, [&](const Node &node) {
    return readAsMasks.contains(node.name);
  });
  return true;
}

/// "input_layers" or "output_layers": ["a", 0, 0], a list of such, or a map.
static bool readEnd(const Json *json, std::vector<Result> &results) {
  Result result;
  if (!json || json->empty())
    return false;
  if (readResult(*json, result)) {
    results.push_back(std::move(result));
    return true;
  }
  if (!json->is_array() && !json->is_object())
    return false;
  for (const Json &one : *json) { // of a map, the values
    if (!readResult(one, result))
      return false;
    results.push_back(result);
  }
  return true;
}

/// Inputs in the order in which the model is called with them, and outputs.
bool GraphReader::readEnds(const Json &model, Level &level) {
  const Json *config = member(model, "config");
  std::vector<Result> inputs;
  if (!readEnd(member(config, "input_layers"), inputs))
    for (const Node &node : level.nodes) // of Keras 1
      if (node.isInput())
        inputs.push_back({node.name});
  if (inputs.empty())
    return fail("expected an input layer, got none");
  for (const Result &input : inputs) {
    auto node = llvm::find_if(level.nodes, [&](const Node &node) {
      return node.isInput() && node.name == input.layer;
    });
    if (node == level.nodes.end())
      return fail("input '" + printable(input.layer) +
                  "': expected an input layer of that name");
    level.inputs.push_back(input.layer);
    level.shapes.emplace_back();
    if (!readShape(inputShapeOf(node->config), level.shapes.back()))
      return fail("input '" + printable(input.layer) +
                  "': expected a shape like [null, 28, 28, 1]");
  }
  for (const Node &node : level.nodes)
    if (node.isInput() && !llvm::is_contained(level.inputs, node.name))
      return fail("input '" + printable(node.name) +
                  "' is not among the model's inputs");
  const Json *outputs = member(config, "output_layers");
  if (!readEnd(outputs, level.outputs))
    return fail("expected output layers, got " +
                (outputs ? describe(*outputs) : "none"));
  return true;
}

/// Whether all results that are read or given are there.
bool GraphReader::checkResults(Level &level) {
  llvm::StringMap<const Node *> byName;
  for (const Node &node : level.nodes)
    byName[node.name] = &node;
  auto check = [&](Result &result, const std::string &reader) {
    const Node *node = byName.lookup(result.layer);
    if (!node)
      return fail(reader + " reads the layer '" + printable(result.layer) +
                  "', which the file does not have");
    const size_t calls = node->calls.size();
    // With one call there is no doubt; files of Keras 2.1 count others, too.
    if (calls == 1)
      result.call = 0;
    if (result.call >= calls)
      return fail(reader + " reads call " + std::to_string(result.call + 1) +
                  " of the layer '" + printable(result.layer) +
                  "', which is called " + std::to_string(calls) + " times");
    if (result.index > node->numStates() && !node->isModel())
      return fail(reader + " reads result number " +
                  std::to_string(result.index + 1) + " of the layer '" +
                  printable(result.layer) + "', which has " +
                  std::to_string(node->numStates() + 1));
    return true;
  };
  for (Node &node : level.nodes)
    for (Call &call : node.calls)
      for (Result &input : call.inputs)
        if (!check(input, "layer '" + printable(node.name) + "'"))
          return false;
  for (Result &output : level.outputs)
    if (!check(output, "the model"))
      return false;
  return true;
}

/// Each call behind those it reads, otherwise in the file's order: pairs of
/// node and call.
bool GraphReader::sortCalls(const Level &level,
                            std::vector<std::pair<size_t, size_t>> &order) {
  llvm::StringMap<size_t> firstOf; // number of a node's first call
  std::vector<std::pair<size_t, size_t>> calls;
  for (const auto &[i, node] : llvm::enumerate(level.nodes)) {
    firstOf[node.name] = calls.size();
    for (size_t call = 0; call < node.calls.size(); ++call)
      calls.push_back({i, call});
  }
  std::vector<size_t> missing(calls.size()); // inputs not yet placed
  std::vector<std::vector<size_t>> readers(calls.size());
  for (const auto &[i, call] : llvm::enumerate(calls))
    for (const Result &input :
         level.nodes[call.first].calls[call.second].inputs)
      if (auto it = firstOf.find(input.layer);
          it != firstOf.end() && it->second + input.call < calls.size()) {
        ++missing[i];
        readers[it->second + input.call].push_back(i);
      }
  // Always the first that is ready keeps the file's order.
  std::vector<size_t> ready;
  auto byPlace = std::greater<>(); // a heap with the smallest on top
  for (size_t i = 0; i < calls.size(); ++i)
    if (missing[i] == 0)
      ready.push_back(i);
  std::make_heap(ready.begin(), ready.end(), byPlace);
  while (!ready.empty()) {
    std::pop_heap(ready.begin(), ready.end(), byPlace);
    size_t next = ready.back();
    ready.pop_back();
    order.push_back(calls[next]);
    for (size_t reader : readers[next])
      if (--missing[reader] == 0) {
        ready.push_back(reader);
        std::push_heap(ready.begin(), ready.end(), byPlace);
      }
  }
  if (order.size() == calls.size())
    return true;
  auto it = llvm::find_if(missing, [](size_t count) { return count != 0; });
  return fail("the layers form a circle through '" +
              printable(level.nodes[calls[it - missing.begin()].first].name) +
              "'");
}

// ---- All levels
// ---------------------------------------------------------------

void GraphReader::addCall(const Node &node, const Call &call, size_t index,
                          const Place &place, std::string key,
                          std::vector<std::string> inputs) {
  KerasLayer layer;
  // A name that was missing or taken had a number put to it.
  layer.name = place.name + StringRef(node.name).split('%').first.str();
  layer.className = node.className;
  layer.config = node.config;
  layer.inputs = std::move(inputs);
  layer.flags = call.flags;
  layer.isMasked = !call.masks.empty();
  layer.wrong = node.wrong.empty() ? call.wrong : node.wrong;
  layer.path = place.path;
  layer.path.push_back(
      {StringRef(node.name).split('%').first.str(), node.byClass});
  layer.place = place.place;
  layer.place.push_back(index);
  auto [first, isFirst] = firstCalls.try_emplace(place.first + node.name, key);
  if (!isFirst)
    layer.reuses = first->second;
  layer.key = std::move(key);
  graph.layers.push_back(std::move(layer));
}

bool GraphReader::expand(const Level &level, const Place &place,
                         const std::vector<std::string> &inputs,
                         std::vector<std::string> &outputs) {
  if (place.path.size() > kMostDepth)
    return fail("expected at most " + std::to_string(kMostDepth) +
                " models inside of each other");
  if (++models > kMostLayers)
    return fail("expected at most " + std::to_string(kMostLayers) +
                " calls of models");
  if (inputs.size() != level.inputs.size())
    return fail("the model '" + printable(level.name) + "' has " +
                std::to_string(level.inputs.size()) +
                " inputs, but is called with " + std::to_string(inputs.size()));
  // The results of each call, by "layer#call".
  llvm::StringMap<std::vector<std::string>> results;
  auto nameOf = [](const std::string &layer, size_t call) {
    return layer + "#" + std::to_string(call);
  };
  for (const auto &[name, key] : llvm::zip_equal(level.inputs, inputs))
    results[nameOf(name, 0)] = {key};
  auto find = [&](const Result &result, std::string &key) {
    const std::vector<std::string> &known =
        results[nameOf(result.layer, result.call)];
    if (result.index >= known.size())
      return fail("the model '" + printable(result.layer) + "' has " +
                  std::to_string(known.size()) + " results, but number " +
                  std::to_string(result.index + 1) + " is read");
    key = known[result.index];
    if (auto state = states.find(key); state != states.end()) {
      graph.layers.push_back(std::move(state->second));
      states.erase(state);
    }
    return true;
  };
  std::vector<std::pair<size_t, size_t>> order;
  if (!sortCalls(level, order))
    return false;
  for (auto [index, number] : order) {
    const Node &node = level.nodes[index];
    if (node.isInput())
      continue;
    if (graph.layers.size() >= kMostLayers)
      return fail("expected at most " + std::to_string(kMostLayers) +
                  " calls of layers");
    const Call &call = node.calls[number];
    std::vector<std::string> read;
    for (const Result &input : call.inputs)
      if (!find(input, read.emplace_back()))
        return false;
    const std::string name = nameOf(node.name, number),
                      key = place.scope + name;
    std::vector<std::string> &own = results[name];
    if (!node.isModel()) {
      own = {key};
      addCall(node, call, index, place, key, std::move(read));
      for (size_t i = 0; i < node.numStates(); ++i) {
        KerasLayer state = graph.layers.back();
        state.name += i == 0 ? "_state" : "_state_" + std::to_string(i);
        state.className = "State";
        state.inputs = {key};
        state.reuses = state.wrong = "";
        state.flags.clear();
        state.isMasked = false;
        state.state = i;
        state.key = own.emplace_back(key + ":" + std::to_string(i + 1));
        states[state.key] = std::move(state);
      }
      continue;
    }
    Level inner;
    if (!readLevel(*node.json, inner))
      return fail("the model '" + printable(node.name) + "': " + wrong);
    for (const std::string *why : {&node.wrong, &call.wrong})
      if (!why->empty())
        return fail("the model '" + printable(node.name) + "': " + *why);
    Place inside = {key + "/", place.first + node.name + "/",
                    place.name + node.name + "/", place.path, place.place};
    inside.place.push_back(index);
    inside.path.push_back({node.name, node.byClass});
    std::vector<std::string> made;
    if (!expand(inner, inside, read, made))
      return false;
    results[name] = std::move(made);
  }
  for (const Result &output : level.outputs)
    if (!find(output, outputs.emplace_back()))
      return false;
  return true;
}

bool GraphReader::read() {
  Level level;
  if (!readLevel(model, level))
    return false;
  graph.name = level.name;
  std::vector<std::string> inputs;
  for (const auto &[name, shape] :
       llvm::zip_equal(level.inputs, level.shapes)) {
    if (shape.empty())
      return fail("the model has no input shape: it was saved before it had "
                  "seen data (add an Input layer)");
    inputs.push_back("/" + name);
    graph.inputs.push_back({inputs.back(), name, shape});
  }
  if (!expand(level, {}, inputs, graph.outputs))
    return false;
  if (graph.layers.empty())
    return fail("the model has no layers");
  // A single output that nobody reads is the last layer.
  auto last = llvm::find_if(graph.layers, [&](const KerasLayer &layer) {
    return layer.key == graph.outputs[0];
  });
  if (graph.outputs.size() == 1 && last != graph.layers.end() &&
      llvm::none_of(graph.layers, [&](const KerasLayer &layer) {
        return llvm::is_contained(layer.inputs, graph.outputs[0]);
      }))
    std::rotate(last, last + 1, graph.layers.end());
  return true;
}

bool sinter::frontend::readKerasGraph(const Json &model, KerasGraph &graph,
                                      std::string &wrong) {
  return GraphReader(model, graph, wrong).read();
}
