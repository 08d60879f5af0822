// ModelBuilder.cpp - records layers and checks the model that they make.
//
// layer() does for every layer the same four things: complete the config, name
// the layer, infer its shape, keep the record. check() then looks at the whole:
// unused results, and whether loss, metrics and output belong together. It
// warns where Keras would train on quietly though the figures mean something
// else.
#include "frontend/ModelBuilder.h"

#include "frontend/ConfigCheck.h"
#include "frontend/Layers.h"
#include "frontend/Masks.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace sinter::frontend;
using llvm::formatv;
using llvm::StringRef;

ModelBuilder::ModelBuilder(std::string name)
    : modelName(std::move(name)),
      ownReports(std::make_unique<Diagnostics>(modelName)),
      reports(ownReports.get()) {}

ModelBuilder::ModelBuilder(std::string name, Diagnostics &diagnostics)
    : modelName(std::move(name)), reports(&diagnostics) {}

// ---- Layers -----------------------------------------------------------------

/// Arguments for a config: those that were set.
namespace {
struct ArgumentList : std::vector<Argument> {
  void set(const char *name, Value value) {
    push_back({name, std::move(value)});
  }
  template <typename T> void setIf(const char *name, std::optional<T> value) {
    if (value)
      set(name, *value);
  }
  void setIf(const char *name, std::string text) {
    if (!text.empty())
      set(name, std::move(text));
  }
  void setIf(const char *name, Config config) {
    if (!config.name.empty())
      set(name, std::move(config));
  }
};
} // namespace

static Config configOf(const char *layer, ArgumentList arguments) {
  return Config(layer, std::move(arguments));
}

static Value toList(const Shape &shape) {
  return Value(Value::List(shape.begin(), shape.end()));
}

Tensor ModelBuilder::input(Shape shape, InputOptions options) {
  ArgumentList args;
  args.set("shape", toList(shape));
  args.setIf("scale", options.scale);
  args.setIf("name", std::move(options.name));
  return layer(configOf("input", std::move(args)), {});
}

Tensor ModelBuilder::flatten(Tensor x, std::string name) {
  ArgumentList args;
  args.setIf("name", std::move(name));
  return layer(configOf("flatten", std::move(args)), x);
}

Tensor ModelBuilder::reshape(Tensor x, Shape shape, std::string name) {
  ArgumentList args;
  args.set("target_shape", toList(shape));
  args.setIf("name", std::move(name));
  return layer(configOf("reshape", std::move(args)), x);
}

Tensor ModelBuilder::dense(Tensor x, DenseOptions options) {
  ArgumentList args;
  args.set("units", options.units);
  args.setIf("activation", std::move(options.activation));
  args.setIf("use_bias", options.useBias);
  args.setIf("kernel_initializer", std::move(options.kernelInitializer));
  args.setIf("bias_initializer", std::move(options.biasInitializer));
  args.setIf("kernel_regularizer", std::move(options.kernelRegularizer));
  args.setIf("bias_regularizer", std::move(options.biasRegularizer));
  args.setIf("trainable", options.trainable);
  args.setIf("name", std::move(options.name));
  return layer(configOf("dense", std::move(args)), x);
}

Tensor ModelBuilder::activation(Tensor x, Config activation, std::string name) {
  ArgumentList args;
  args.set("activation", std::move(activation));
  args.setIf("name", std::move(name));
  return layer(configOf("activation", std::move(args)), x);
}

Tensor ModelBuilder::dropout(Tensor x, double rate, std::string name) {
  ArgumentList args;
  args.set("rate", rate);
  args.setIf("name", std::move(name));
  return layer(configOf("dropout", std::move(args)), x);
}

Tensor ModelBuilder::gaussianNoise(Tensor x, double stddev, std::string name) {
  ArgumentList args;
  args.set("stddev", stddev);
  args.setIf("name", std::move(name));
  return layer(configOf("gaussian_noise", std::move(args)), x);
}

Tensor ModelBuilder::add(llvm::ArrayRef<Tensor> inputs, std::string name) {
  ArgumentList args;
  args.setIf("name", std::move(name));
  return layer(configOf("add", std::move(args)), inputs);
}

Tensor ModelBuilder::multiply(llvm::ArrayRef<Tensor> inputs, std::string name) {
  ArgumentList args;
  args.setIf("name", std::move(name));
  return layer(configOf("multiply", std::move(args)), inputs);
}

Tensor ModelBuilder::concatenate(llvm::ArrayRef<Tensor> inputs, int64_t axis,
                                 std::string name) {
  ArgumentList args;
  args.set("axis", axis);
  args.setIf("name", std::move(name));
  return layer(configOf("concatenate", std::move(args)), inputs);
}

/// Fills in shape and parameters of `record`; what is wrong, or "".
static std::string inferLayer(LayerRecord &record,
                              llvm::ArrayRef<Shape> inputs) {
  if (record.config.name == "input") {
    record.shape = record.config.integers("shape");
  } else {
    const LayerRule *rule = findLayerRule(record.config.name);
    assert(rule && "layer of the catalog without a rule");
    if (rule->arity == Arity::Many && inputs.size() < 2)
      return formatv("expected 'inputs' with at least 2 layers, got {0}",
                     inputs.size());
    const size_t wanted = rule->arity == Arity::None ? 0 : 1;
    if (rule->arity == Arity::Some && inputs.empty())
      return "expected 'inputs' with at least 1 layer, got 0";
    const bool isCounted =
        rule->arity == Arity::None || rule->arity == Arity::One;
    if (isCounted && inputs.size() != wanted)
      return formatv("expected {0} input{1}, got {2}", wanted,
                     wanted == 1 ? "" : "s", inputs.size());
    if (std::string wrong = rule->infer(record, inputs); !wrong.empty())
      return wrong;
  }
  if (!countElements(record.shape))
    return "expected a result of less than 2^31 elements, got " +
           toText(record.shape);
  for (const Parameter &parameter : record.parameters)
    if (!countElements(parameter.shape))
      return "expected parameters of less than 2^31 elements, got " +
             toText(parameter.shape);
  return "";
}

/// Fills in all that follows from the config and the inputs; what is wrong, or
/// "".
std::string ModelBuilder::infer(LayerRecord &record) const {
  std::vector<Shape> shapes;
  llvm::SmallVector<bool> masked;
  for (Tensor input : record.inputs) {
    shapes.push_back(records[input.layer()].shape);
    masked.push_back(records[input.layer()].masked);
  }
  if (record.config.name == "state" && record.inputs.size() == 1)
    llvm::append_range(shapes, records[record.inputs[0].layer()].states);
  std::string wrong = inferLayer(record, shapes);
  return wrong.empty() ? inferMask(record, shapes, masked) : wrong;
}

Tensor ModelBuilder::layer(Config config, llvm::ArrayRef<Tensor> inputs) {
  Tensor result = tryLayer(std::move(config), inputs);
  broken |= !result;
  return result;
}

Tensor ModelBuilder::tryLayer(Config config, llvm::ArrayRef<Tensor> inputs) {
  if (!completeConfig(config, Kind::Layer, *reports))
    return {};
  std::string name;
  if (config.isNull("name"))
    name = namer.fresh(tableOf(Kind::Layer).find(config.name)->className);
  else if (name = config.text("name"); !namer.claim(name)) {
    reports->error(config.get("name").loc,
                   "layer name '" + name + "' is used twice");
    return {};
  }
  LayerRecord record{std::move(config), std::move(name), inputs};
  if (llvm::any_of(inputs, [](Tensor input) { return !input; }))
    return {}; // its maker has reported
  if (std::string wrong = infer(record); !wrong.empty()) {
    reports->error(record.config.loc, record.name + ": " + wrong);
    return {};
  }
  records.push_back(std::move(record));
  return Tensor(records.size() - 1);
}

Tensor ModelBuilder::reuse(Tensor x, llvm::ArrayRef<Tensor> inputs,
                           std::string name, SourceLoc loc) {
  auto fail = [&](std::string message) {
    if (!message.empty())
      reports->error(loc, std::move(message));
    broken = true;
    return Tensor();
  };
  if (!x || llvm::any_of(inputs, [](Tensor input) { return !input; }))
    return fail(""); // its maker has reported
  const size_t first = records[x.layer()].sharedWith.value_or(x.layer());
  const LayerRecord original = records[first];
  if (original.config.name == "input")
    return fail("reuse: expected a layer, got the input '" + original.name +
                "'");
  if (original.config.name == "state")
    return fail("reuse: expected a layer that computes, got the state '" +
                original.name + "'; a second `state` takes it out");
  if (name.empty())
    name = namer.again(original.name);
  else if (!namer.claim(name))
    return fail("layer name '" + name + "' is used twice");
  LayerRecord record{original.config, std::move(name), inputs};
  record.config.loc = loc;
  for (Argument &argument : record.config.args)
    if (argument.name == "name")
      argument.value = Value(record.name);
  if (std::string wrong = infer(record); !wrong.empty())
    return fail(record.name + ": " + wrong);
  for (const auto &[own, shared] :
       llvm::zip_equal(record.parameters, original.parameters))
    if (own.shape != shared.shape)
      return fail(formatv("{0}: expected an input that the weights of '{1}' "
                          "fit: '{2}' has the shape {3}, here it would be {4}",
                          record.name, original.name, shared.name,
                          toText(shared.shape), toText(own.shape)));
  record.parameters.clear();
  record.sharedWith = first;
  records.push_back(std::move(record));
  return Tensor(records.size() - 1);
}

LayerRecord ModelBuilder::withParameters(const LayerRecord &layer) const {
  LayerRecord result = layer;
  if (layer.sharedWith)
    result.parameters = records[*layer.sharedWith].parameters;
  return result;
}

// ---- Training ---------------------------------------------------------------

void ModelBuilder::setLoss(Config config) {
  if (completeConfig(config, Kind::Loss, *reports))
    loss = std::move(config);
}

void ModelBuilder::setLosses(std::vector<OutputLoss> given) {
  bool ok = true;
  for (OutputLoss &loss : given)
    ok &= completeConfig(loss.loss, Kind::Loss, *reports);
  if (ok)
    losses = std::move(given);
}

std::vector<Target> ModelBuilder::targets() const {
  if (loss)
    return {targetOf(*loss, output().shape)};
  std::vector<Target> targets;
  for (Tensor output : outputs())
    for (const OutputLoss &one : losses)
      if (one.output.name == records[output.layer()].name)
        targets.push_back(targetOf(one.loss, records[output.layer()].shape));
  return targets;
}

void ModelBuilder::setOptimizer(Config config) {
  if (completeConfig(config, Kind::Optimizer, *reports))
    optimizer = std::move(config);
}

std::string sinter::frontend::metricTitle(const Config &metric) {
  return metric.isNull("name") ? metric.name : metric.text("name");
}

void ModelBuilder::setClassWeights(
    std::vector<std::pair<int64_t, double>> weights, SourceLoc loc) {
  classWeights = std::move(weights);
  classWeightsLoc = loc;
}

void ModelBuilder::setWeights(
    std::shared_ptr<const std::vector<ImportedWeight>> weights, SourceLoc loc) {
  values = std::move(weights);
  valuesLoc = loc;
}

void ModelBuilder::addMetric(Config config) {
  addMetric(std::move(config), nullptr);
}

void ModelBuilder::addMetric(Config config, const Reference &output) {
  addMetric(std::move(config), &output);
}

void ModelBuilder::addMetric(Config config, const Reference *output) {
  if (!completeConfig(config, Kind::Metric, *reports))
    return;
  std::string title = metricTitle(config);
  if (output)
    title = output->name + "_" + title;
  auto isTaken = [&](const MetricRecord &other) {
    return other.title == title;
  };
  if (title == "loss" || llvm::any_of(metrics, isTaken) ||
      llvm::any_of(losses, [&](const OutputLoss &loss) {
        return title == loss.output.name + "_loss";
      }))
    return reports->error(config.loc, "metric name '" + title +
                                          "' is used twice; give one of them "
                                          "another 'name'");
  metrics.push_back(
      {std::move(config), std::move(title), output ? output->name : ""});
}

// ---- The whole model --------------------------------------------------------

bool ModelBuilder::check() {
  if (!checked && !records.empty() && !broken) {
    checkUses();
    if (loss || !losses.empty()) {
      checkOutputs();
      checkShared();
      checkMasks();
      checkMetrics();
      checkClassWeights();
    }
    if (values)
      checkWeights(*values, records, *reports, valuesLoc);
  }
  checked = true;
  return !reports->hasErrors();
}

void ModelBuilder::checkUses() {
  if (mayBeUnused)
    return;
  std::vector<bool> used(records.size());
  for (Tensor output : outputs())
    used[output.layer()] = true;
  for (const LayerRecord &layer : records)
    for (Tensor input : layer.inputs)
      used[input.layer()] = true;
  // An input may be there for its type or sizes alone.
  const bool mayIdle = !outputTensors.empty();
  for (const auto &[layer, isUsed] : llvm::zip(records, used))
    if (!isUsed && layer.config.name == "input" && !mayIdle)
      reports->error(layer.config.loc,
                     "input '" + layer.name +
                         "' is not used; expected a layer to read it");
    else if (!isUsed && layer.config.name != "input")
      reports->error(layer.config.loc,
                     "result of layer '" + layer.name +
                         "' is not used; expected another layer to read it " +
                         (outputTensors.empty()
                              ? "(the last layer is the output)"
                              : "or it to be among the outputs"));
}

const LayerRecord *ModelBuilder::findOutput(StringRef name) const {
  for (Tensor output : outputs())
    if (records[output.layer()].name == name)
      return &records[output.layer()];
  return nullptr;
}

/// A loss for each output, and each suits its output.
void ModelBuilder::checkOutputs() {
  std::vector<StringRef> names;
  for (Tensor output : outputs())
    names.push_back(records[output.layer()].name);
  if (loss && names.size() == 1)
    return checkLoss(*loss, output());
  if (loss)
    return reports->error(loss->loc,
                          "expected a loss for each output (loss: {" +
                              names[0].str() + ": " + loss->name +
                              ", ...}), since the model has "
                              "several: " +
                              joinNames(names));
  for (const OutputLoss &loss : losses) {
    const LayerRecord *output = findOutput(loss.output.name);
    if (output) {
      checkLoss(loss.loss, *output);
      continue;
    }
    std::string hint = didYouMean(loss.output.name, names);
    reports->error(
        loss.output.loc,
        "loss: no output '" + printable(loss.output.name) + "'" +
            (hint.empty() ? "; expected one of " + joinNames(names) : hint));
  }
  for (StringRef name : names)
    if (llvm::none_of(losses, [&](const OutputLoss &loss) {
          return loss.output.name == name;
        }))
      reports->error(losses[0].output.loc,
                     "loss: expected one for each output, got none for '" +
                         name.str() + "'");
}

/// Statistics that are updated by two calls of one step would be those of the
/// last call alone.
void ModelBuilder::checkShared() {
  for (const LayerRecord &layer : records)
    if (layer.sharedWith && layer.config.name == "batch_normalization")
      reports->error(layer.config.loc,
                     formatv("{0}: expected a layer without running statistics "
                             "in a model that trains, got another call of the "
                             "batch_normalization '{1}'",
                             layer.name, records[*layer.sharedWith].name));
}

/// Losses, metrics and statistics of a batch would count steps that are none.
void ModelBuilder::checkMasks() {
  for (Tensor tensor : outputs()) {
    const LayerRecord &output = records[tensor.layer()];
    if (output.masked)
      reports->error(output.config.loc,
                     formatv("{0}: expected an output without masked steps in "
                             "a model that trains, since losses do not leave "
                             "steps out; give the last step alone "
                             "(return_sequences: false), or, to count all "
                             "steps, put a reshape behind it, which ends the "
                             "mask",
                             output.name));
  }
  for (const LayerRecord &layer : records)
    if (layer.masked && layer.config.name == "batch_normalization")
      reports->error(layer.config.loc,
                     formatv("{0}: expected an input without masked steps in a "
                             "model that trains, since its statistics do not "
                             "leave steps out",
                             layer.name));
}

/// The activation that ends a layer, or "".
static StringRef lastActivation(const LayerRecord &layer) {
  const Config &config = layer.config;
  if (config.find("activation"))
    return config.config("activation").name;
  return tableOf(Kind::Activation).find(config.name) ? StringRef(config.name)
                                                     : "";
}

void ModelBuilder::checkLoss(const Config &loss, const LayerRecord &last) {
  const Target wanted = targetOf(loss, last.shape);
  if (wanted.kind != Target::Kind::Values &&
      (last.shape.size() != 1 || wanted.classes < 2))
    reports->error(loss.loc, loss.name +
                                 ": expected an output of at least 2 classes, "
                                 "got " +
                                 toText(last.shape) + " from layer '" +
                                 last.name + "'");

  // A crossentropy has a matching activation, unless it works on logits.
  if (!loss.find("from_logits"))
    return;
  const bool fromLogits = loss.flag("from_logits");
  StringRef activation =
      loss.name == "binary_crossentropy" ? "sigmoid" : "softmax";
  // A reshape behind it that keeps the classes changes nothing.
  const LayerRecord *end = &last;
  if (last.config.name == "reshape" &&
      records[last.inputs[0].layer()].shape.back() == last.shape.back())
    end = &records[last.inputs[0].layer()];
  const bool hasActivation = lastActivation(*end) == activation;
  if (fromLogits && hasActivation)
    reports->warning(loss.loc, formatv("{0} has from_logits: true, but layer "
                                       "'{1}' ends in {2} already",
                                       loss.name, last.name, activation));
  if (!fromLogits && !hasActivation)
    reports->warning(loss.loc, formatv("{0} expects probabilities, but layer "
                                       "'{1}' does not end in {2}; add it, or "
                                       "set from_logits: true",
                                       loss.name, last.name, activation));
}

/// Keras's choice for the metric called `accuracy`.
static const char *resolveAccuracy(const Target &target, const Shape &output) {
  if (output.back() == 1)
    return "binary_accuracy";
  return target.kind == Target::Kind::Sparse ? "sparse_categorical_accuracy"
                                             : "categorical_accuracy";
}

void ModelBuilder::checkMetric(MetricRecord &metric, const Config &loss,
                               const LayerRecord &output) {
  const Shape &shape = output.shape;
  const Target target = targetOf(loss, shape);
  const bool sparse = target.kind == Target::Kind::Sparse;
  if (metric.config.name == "accuracy") {
    SourceLoc loc = metric.config.loc;
    metric.config = Config(resolveAccuracy(target, shape), {}, loc);
    completeConfig(metric.config, Kind::Metric, *reports);
  }
  const Config &config = metric.config;
  const bool wantsSparse = StringRef(config.name).starts_with("sparse_");
  if (wantsSparse != sparse)
    reports->error(config.loc,
                   formatv("metric '{0}' expects {1}, but with loss '{2}' "
                           "targets are {3}",
                           config.name,
                           wantsSparse ? "class numbers"
                                       : "a value for each "
                                         "output",
                           loss.name, sparse ? "class numbers" : "values"));
  else if (config.find("k") && config.integer("k") > shape.back())
    reports->error(config.get("k").loc,
                   formatv("{0}: expected 'k' to be at most the {1} classes, "
                           "got {2}",
                           config.name, shape.back(), config.integer("k")));
}

void ModelBuilder::checkMetrics() {
  for (MetricRecord &metric : metrics) {
    if (metric.output.empty()) {
      if (loss && outputs().size() == 1)
        checkMetric(metric, *loss, output());
      else if (!loss)
        reports->error(metric.config.loc,
                       "expected 'metrics' to be a map from outputs to "
                       "metrics, as the losses are");
      continue;
    }
    auto its = llvm::find_if(losses, [&](const OutputLoss &loss) {
      return loss.output.name == metric.output;
    });
    const LayerRecord *output = findOutput(metric.output);
    if (its != losses.end() && output)
      checkMetric(metric, its->loss, *output);
    else if (!output)
      reports->error(metric.config.loc,
                     "metrics: no output '" + printable(metric.output) + "'");
  }
}

void ModelBuilder::checkClassWeights() {
  if (classWeights.empty())
    return;
  if (!loss)
    return reports->error(classWeightsLoc,
                          "class_weight: expected a model of one output");
  const Target wanted = targetOf(*loss, output().shape);
  int64_t classes = wanted.classes;
  if (wanted.kind == Target::Kind::Values)
    classes = loss->name == "binary_crossentropy" && output().shape == Shape{1}
                  ? 2
                  : 0;
  for (auto [number, weight] : classWeights) {
    if (classes == 0)
      return reports->error(classWeightsLoc,
                            "class_weight: expected a loss with classes (a "
                            "categorical crossentropy, or a binary one of one "
                            "output), got '" +
                                loss->name + "'");
    if (number >= classes)
      reports->error(classWeightsLoc,
                     formatv("class_weight: expected classes from 0 to {0}, "
                             "got {1}",
                             classes - 1, number));
  }
}
