// SpecBuilder.cpp - resolves layer names to tensors and calls the builder.
//
// Of several inputs none is "the one before": the first layer names those that
// it reads.
//
// Layers stand in the order in which data flows: a layer reads the one before
// it, or the earlier ones that `inputs` names. A name that comes later is an
// error; when it closes a circle, the circle is shown. All layers get their
// names first, so that such errors can speak of layers still to come.
#include "frontend/SpecBuilder.h"

#include "frontend/Catalog.h"
#include "frontend/Layers.h"
#include "frontend/TrainingCheck.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace sinter::frontend;
using llvm::formatv;
using llvm::StringRef;

namespace {

class SpecBuilder {
public:
  SpecBuilder(const Spec &spec, ModelBuilder &builder)
      : spec(spec), builder(builder), layers(spec.layers) {}

  void build();

private:
  void nameLayers();
  void addInputs();
  void addLayers();
  Tensor addLayer(size_t index, std::vector<Tensor> inputs);
  void setOutputs();
  void checkInputs();
  void setTraining(const Config &train);
  std::vector<Reference> referencesOf(const Config &layer) const;
  void reportUnresolved(size_t layer, const Reference &reference);
  std::string findCircle(size_t from, size_t to) const;

  const Spec &spec;
  ModelBuilder &builder;
  std::vector<Config> layers; // named copies of the spec's
  std::vector<std::string> names;
  llvm::StringMap<size_t> indexOf; // of a name among `names`
  bool allNamed = true;            // no wrong layer whose name is unknown
  llvm::StringMap<Tensor> tensors; // of inputs and layers so far
  Tensor previous;                 // null also where there is none
};

} // namespace

/// Also of one that is not complete.
static const std::string &inputName(const Config &input) {
  return *input.find("name")->value.getIf<std::string>();
}

void SpecBuilder::nameLayers() {
  LayerNamer namer;
  for (const Config &input : spec.inputs)
    namer.claim(inputName(input));
  auto givenName = [](const Config &layer) -> const std::string * {
    const Argument *name = layer.find("name");
    return name ? name->value.getIf<std::string>() : nullptr;
  };
  for (const Config &layer : layers)
    if (const std::string *name = givenName(layer))
      namer.claim(*name); // the builder reports the second use
  for (auto [index, layer] : llvm::enumerate(layers)) {
    std::string name;
    if (const std::string *given = givenName(layer)) {
      name = *given;
    } else if (layer.complete && layer.name == "reuse") {
      name = namer.again(layer.text("layer"));
    } else if (layer.complete) {
      name = namer.fresh(tableOf(Kind::Layer).find(layer.name)->className);
      for (Argument &argument : layer.args)
        if (argument.name == "name")
          argument.value = Value(name);
    } else {
      allNamed = false;
    }
    indexOf.try_emplace(name, index);
    names.push_back(std::move(name));
  }
}

std::vector<Reference> SpecBuilder::referencesOf(const Config &layer) const {
  std::vector<Reference> result;
  if (layer.complete && !layer.isNull("inputs"))
    for (const Value &value : *layer.get("inputs").getIf<Value::List>())
      result.push_back({*value.getIf<std::string>(), value.loc});
  return result;
}

/// "a -> b -> a" when layer `to`, which comes after `from`, gets data from it;
/// else "". Follows first inputs found in a depth-first search.
std::string SpecBuilder::findCircle(size_t from, size_t to) const {
  std::vector<bool> seen(layers.size());
  std::vector<std::pair<size_t, std::string>> stack = {
      {to, names[to] + " -> " + names[from]}};
  while (!stack.empty()) {
    auto [layer, path] = std::move(stack.back());
    stack.pop_back();
    if (layer == from)
      return from == to ? names[from] + " -> " + names[from]
                        : names[from] + " -> " + path;
    if (seen[layer])
      continue;
    seen[layer] = true;
    std::vector<Reference> references = referencesOf(layers[layer]);
    auto follow = [&](size_t input) {
      stack.push_back(
          {input, input == from ? path : names[input] + " -> " + path});
    };
    if (references.empty() && layer > 0)
      follow(layer - 1);
    for (const Reference &reference : references)
      if (auto it = indexOf.find(reference.name); it != indexOf.end())
        follow(it->second);
  }
  return "";
}

void SpecBuilder::reportUnresolved(size_t layer, const Reference &reference) {
  Diagnostics &diagnostics = builder.diagnostics();
  auto later = indexOf.find(reference.name);
  if (later == indexOf.end()) {
    if (!allNamed)
      return; // it may be the name of a layer that could not be read
    std::vector<StringRef> known(names.begin(), names.begin() + layer);
    for (const Config &input : spec.inputs)
      known.push_back(inputName(input));
    std::string hint = didYouMean(reference.name, known);
    diagnostics.error(
        reference.loc,
        "unknown layer name '" + printable(reference.name) + "'" +
            (hint.empty() ? "; expected one of " + joinNames(known) : hint));
    return;
  }
  std::string circle = findCircle(layer, later->second);
  if (!circle.empty())
    diagnostics.error(reference.loc, "layers form a circle: " + circle);
  else
    diagnostics.error(
        reference.loc,
        formatv("layer '{0}' comes later, on line {1}; layers are listed in "
                "the order in which data flows",
                reference.name, layers[later->second].loc.line));
}

void SpecBuilder::addInputs() {
  for (const Config &input : spec.inputs) {
    Tensor tensor =
        input.complete
            ? builder.layer(Config("input", input.args, input.loc), {})
            : Tensor();
    tensors[inputName(input)] = tensor;
    if (spec.inputs.size() == 1)
      previous = tensor;
  }
}

Tensor SpecBuilder::addLayer(size_t index, std::vector<Tensor> inputs) {
  const Config &layer = layers[index];
  if (layer.name != "reuse")
    return builder.layer(layer, inputs);
  const Reference again = {layer.text("layer"), layer.get("layer").loc};
  auto first = tensors.find(again.name);
  if (first == tensors.end()) {
    reportUnresolved(index, again);
    return {};
  }
  return builder.reuse(first->second, inputs, names[index], layer.loc);
}

void SpecBuilder::addLayers() {
  for (auto [index, layer] : llvm::enumerate(layers)) {
    std::vector<Tensor> inputs;
    for (const Reference &reference : referencesOf(layer)) {
      auto it = tensors.find(reference.name);
      if (it == tensors.end())
        reportUnresolved(index, reference);
      inputs.push_back(it == tensors.end() ? Tensor() : it->second);
    }
    const LayerRule *rule = findLayerRule(layer.name);
    if (inputs.empty() && !(rule && rule->arity == Arity::None)) {
      if (index == 0 && spec.inputs.size() > 1 && layer.complete) {
        std::vector<StringRef> known;
        for (const Config &input : spec.inputs)
          known.push_back(inputName(input));
        builder.diagnostics().error(layer.loc,
                                    layer.name +
                                        ": expected 'inputs' in the first "
                                        "layer, since the model has several: " +
                                        joinNames(known));
      }
      inputs.push_back(previous);
    }
    // A layer that could not be read gives no tensor; those after it are
    // checked as far as possible.
    previous = layer.complete && !spec.inputs.empty()
                   ? addLayer(index, std::move(inputs))
                   : Tensor();
    tensors.try_emplace(names[index], previous);
  }
}

void SpecBuilder::setOutputs() {
  std::vector<Tensor> outputs;
  for (const Reference &output : spec.outputs) {
    auto it = tensors.find(output.name);
    if (it == tensors.end())
      reportUnresolved(layers.size(), output);
    else if (it->second)
      outputs.push_back(it->second);
  }
  if (outputs.size() == spec.outputs.size())
    builder.setOutputs(outputs);
}

/// Those that no layer reads and that are no output. Where names could not be
/// resolved, that says nothing.
void SpecBuilder::checkInputs() {
  if (builder.diagnostics().hasErrors())
    return;
  for (const Config &input : spec.inputs) {
    const size_t own = tensors[inputName(input)].layer();
    auto isIt = [&](Tensor tensor) { return tensor.layer() == own; };
    if (llvm::none_of(builder.outputs(), isIt) &&
        llvm::none_of(builder.layers(), [&](const LayerRecord &layer) {
          return llvm::any_of(layer.inputs, isIt);
        }))
      builder.diagnostics().error(
          input.loc, "input '" + inputName(input) +
                         "' is not used; expected a layer to read it");
  }
}

void SpecBuilder::build() {
  builder.setLocation(spec.nameLoc);
  nameLayers();
  addInputs();
  addLayers();
  setOutputs();
  if (!spec.outputs.empty())
    checkInputs(); // without outputs, check() does
  if (spec.loss)
    builder.setLoss(*spec.loss);
  if (!spec.outputLosses.empty())
    builder.setLosses(spec.outputLosses);
  if (spec.optimizer)
    builder.setOptimizer(*spec.optimizer);
  for (const Config &metric : spec.metrics)
    builder.addMetric(metric);
  for (const OutputMetric &metric : spec.outputMetrics)
    builder.addMetric(metric.metric, metric.output);
  if (spec.train)
    setTraining(*spec.train);
  if (spec.weights)
    builder.setWeights(spec.weights, spec.nameLoc);
  if (changesLearningRate(spec))
    builder.setVariableLearningRate();
}

void SpecBuilder::setTraining(const Config &train) {
  builder.setBatchBound(train.integer("batch_size"));
  const Value &weights = train.get("class_weight");
  if (weights.isNull())
    return;
  std::vector<std::pair<int64_t, double>> pairs;
  const auto &list = *weights.getIf<Value::List>();
  for (size_t i = 0; i < list.size(); i += 2)
    pairs.push_back({*list[i].getIf<int64_t>(), *list[i + 1].getIf<double>()});
  builder.setClassWeights(std::move(pairs), weights.loc);
}

bool sinter::frontend::buildSpec(const Spec &spec, ModelBuilder &builder) {
  SpecBuilder(spec, builder).build();
  builder.check();
  checkTraining(spec, builder);
  return !builder.diagnostics().hasErrors();
}
