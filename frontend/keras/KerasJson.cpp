// KerasJson.cpp - configs of the catalog as Keras's, by the catalog's rows.
//
// Arguments that Sinter knows only the default of are left out: Keras fills
// them in. Names of classes are the rows' for layers, and made of the names for
// the rest: glorot_uniform is GlorotUniform.
#include "frontend/keras/KerasJson.h"

#include "frontend/Catalog.h"
#include "frontend/LayerParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace sinter::frontend;
using llvm::StringRef;

namespace {

class JsonWriter {
public:
  JsonWriter(KerasDialect dialect, std::vector<std::string> &refused)
      : dialect(dialect), refused(refused) {}

  OrderedJson model(const ModelBuilder &model);
  OrderedJson loss(const Config &config);
  OrderedJson metric(const Config &config);
  OrderedJson optimizer(const Config &config);

private:
  OrderedJson layer(const LayerRecord &record);
  OrderedJson wrapped(const Config &config);
  OrderedJson inputLayer(const LayerRecord &record);
  OrderedJson call(const ModelBuilder &model, const LayerRecord &record);
  OrderedJson history(const ModelBuilder &model, size_t layer);
  OrderedJson value(const ArgInfo &info, const Value &value);
  OrderedJson activation(const Config &config);
  /// Adds the arguments of `config` to `json`.
  void arguments(const Config &config, Kind kind, OrderedJson &json);
  OrderedJson object(const char *module, std::string className,
                     OrderedJson config, bool always = true);

  KerasDialect dialect;
  std::vector<std::string> &refused;
  std::string layerName; // for `refused`
};

} // namespace

/// "glorot_uniform" -> "GlorotUniform"
static std::string toCamelCase(StringRef name) {
  std::string result;
  for (StringRef word : llvm::split(name, '_'))
    result += word.take_front().upper() + word.drop_front().str();
  return result;
}

static std::string classNameOf(Kind kind, StringRef name) {
  if (kind == Kind::Optimizer)
    return llvm::StringSwitch<std::string>(name)
        .Case("sgd", "SGD")
        .Case("rmsprop", "RMSprop")
        .Case("adamw", "AdamW")
        .Default(toCamelCase(name));
  if (name == "l1_l2")
    return "L1L2";
  std::string result = toCamelCase(name);
  if (kind == Kind::Metric && StringRef(name).contains("top_k"))
    return StringRef(name).starts_with("sparse")
               ? "SparseTopKCategoricalAccuracy"
               : "TopKCategoricalAccuracy";
  return result;
}

/// {"module", "class_name", "config", "registered_name"}; layers and optimizers
/// have a module in archives only.
OrderedJson JsonWriter::object(const char *module, std::string className,
                               OrderedJson config, bool always) {
  OrderedJson json;
  const bool full = always || dialect == KerasDialect::Archive;
  if (full)
    json["module"] = module;
  json["class_name"] = std::move(className);
  json["config"] = std::move(config);
  if (full)
    json["registered_name"] = nullptr;
  return json;
}

/// True when nothing but defaults is in it.
static bool isPlain(const Config &config, Kind kind) {
  Config plain(config.name);
  for (const Argument &argument : config.args) {
    const ArgInfo &info = *tableOf(kind).find(config.name)->find(argument.name);
    if (info.required())
      return false;
    if (info.fixed || argument.value.isNull())
      continue;
    const bool *flag = argument.value.getIf<bool>();
    const double *number = argument.value.getIf<double>();
    const int64_t *integer = argument.value.getIf<int64_t>();
    double known = 0;
    bool isNumber = !info.defaultText.getAsDouble(known);
    if (!(flag && info.defaultText == (*flag ? "true" : "false")) &&
        !(number && isNumber && *number == known) &&
        !(integer && isNumber && static_cast<double>(*integer) == known))
      return false;
  }
  return true;
}

OrderedJson JsonWriter::activation(const Config &config) {
  if (isPlain(config, Kind::Activation))
    return config.name;
  // As a layer inside of the layer.
  const EntryInfo *entry = tableOf(Kind::Layer).find(config.name);
  if (!entry) {
    refused.push_back("layer '" + layerName + "': the activation " +
                      config.name +
                      " with arguments has no form in Keras's files");
    return config.name;
  }
  OrderedJson json;
  json["name"] = config.name;
  arguments(config, Kind::Activation, json);
  return object("keras.layers", entry->className.str(), std::move(json));
}

OrderedJson JsonWriter::value(const ArgInfo &info, const Value &value) {
  if (value.isNull())
    return nullptr;
  if (const bool *flag = value.getIf<bool>())
    return *flag;
  if (const int64_t *integer = value.getIf<int64_t>())
    return *integer;
  if (const double *number = value.getIf<double>())
    return *number;
  if (const std::string *text = value.getIf<std::string>())
    return *text;
  if (const Config *config = value.config()) {
    const Kind kind = kindOf(info.type);
    if (kind == Kind::Activation)
      return activation(*config);
    if (kind == Kind::Layer)
      return wrapped(*config);
    if (config->name == "constant" && kind == Kind::Schedule)
      return config->number("value");
    OrderedJson json = OrderedJson::object();
    arguments(*config, kind, json);
    const char *module = kind == Kind::Initializer   ? "keras.initializers"
                         : kind == Kind::Regularizer ? "keras.regularizers"
                                                     : "keras.optimizers."
                                                       "schedules";
    return object(module, classNameOf(kind, config->name), std::move(json));
  }
  OrderedJson list = OrderedJson::array();
  for (const Value &element : *value.getIf<Value::List>())
    list.push_back(this->value(info, element));
  if (info.type == Type::Pairs)
    return {{list[0], list[1]}, {list[2], list[3]}};
  if (info.type == Type::Triples)
    return {{list[0], list[1]}, {list[2], list[3]}, {list[4], list[5]}};
  return list;
}

void JsonWriter::arguments(const Config &config, Kind kind, OrderedJson &json) {
  const EntryInfo &entry = *tableOf(kind).find(config.name);
  for (const Argument &argument : config.args) {
    const ArgInfo &info = *entry.find(argument.name);
    // The format of images depends on the user's settings where it is missing.
    const bool isKept = !info.fixed || info.name == "data_format";
    if (info.name == "peepholes") {
      if (config.flag("peepholes"))
        refused.push_back("layer '" + layerName +
                          "': Keras has no lstm with peepholes");
      continue;
    }
    // An argument of the call, see there.
    const bool isOfCall = info.name == "use_causal_mask";
    if (isKept && !isOfCall && info.name != "name" && info.name != "inputs")
      json[argument.name] = value(info, argument.value);
  }
}

// ---- Layers
// -------------------------------------------------------------------

static OrderedJson batched(const Shape &shape) {
  OrderedJson json = OrderedJson::array({nullptr});
  for (int64_t size : shape)
    json.push_back(size);
  return json;
}

OrderedJson JsonWriter::inputLayer(const LayerRecord &record) {
  OrderedJson config;
  config["batch_shape"] = batched(record.shape);
  config["dtype"] = "float32";
  config["sparse"] = false;
  config["name"] = record.name;
  return object("keras.layers", "InputLayer", std::move(config), false);
}

/// A layer inside of another.
OrderedJson JsonWriter::wrapped(const Config &config) {
  const EntryInfo &entry = *tableOf(Kind::Layer).find(config.name);
  OrderedJson json;
  json["name"] = config.name;
  json["trainable"] = true;
  json["dtype"] = "float32";
  arguments(config, Kind::Layer, json);
  return object("keras.layers", entry.className.str(), std::move(json));
}

OrderedJson JsonWriter::layer(const LayerRecord &record) {
  layerName = record.name;
  if (record.config.name == "input")
    return inputLayer(record);
  const EntryInfo &entry = *tableOf(Kind::Layer).find(record.config.name);
  if (record.config.name == "parameter")
    refused.push_back("layer '" + record.name +
                      "' (parameter): Keras has no layer that is a tensor of "
                      "its own");
  if (record.config.name == "matmul" ||
      llvm::any_of(operationLayerRules(), [&](const LayerRule &rule) {
        return rule.name == record.config.name;
      }))
    refused.push_back("layer '" + record.name + "' (" + record.config.name +
                      "): Keras's files hold layers, no functions of "
                      "keras.ops; an .onnx file can");
  OrderedJson config;
  config["name"] = record.name;
  config["trainable"] = true; // replaced by the layer's own argument
  config["dtype"] = "float32";
  arguments(record.config, Kind::Layer, config);
  return object("keras.layers", entry.className.str(), std::move(config),
                false);
}

/// Where a result comes from: the layer, which of its calls, which result.
OrderedJson JsonWriter::history(const ModelBuilder &model, size_t layer) {
  const LayerRecord &record = model.layers()[layer];
  if (record.config.name == "state") {
    OrderedJson json = history(model, record.inputs[0].layer());
    json[2] = record.config.integer("index") + 1;
    return json;
  }
  if (!record.sharedWith)
    return {record.name, 0, 0};
  int64_t call = 1;
  for (size_t i = 0; i < layer; ++i)
    call += model.layers()[i].sharedWith == record.sharedWith;
  return {model.layers()[*record.sharedWith].name, call, 0};
}

/// The call of a layer in a Functional model.
OrderedJson JsonWriter::call(const ModelBuilder &model,
                             const LayerRecord &record) {
  OrderedJson tensors = OrderedJson::array();
  for (Tensor tensor : record.inputs) {
    const LayerRecord &input = model.layers()[tensor.layer()];
    OrderedJson config;
    config["shape"] = batched(input.shape);
    config["dtype"] = "float32";
    config["keras_history"] = history(model, tensor.layer());
    tensors.push_back(
        {{"class_name", "__keras_tensor__"}, {"config", std::move(config)}});
  }
  OrderedJson args = OrderedJson::array(), kwargs = OrderedJson::object();
  const bool recurs =
      isRecurrent(record.config) || record.config.name == "bidirectional";
  if (recurs && tensors.size() > 1) {
    kwargs["initial_state"] = OrderedJson(tensors.begin() + 1, tensors.end());
    args.push_back(tensors[0]);
  } else if (record.config.name == "multi_head_attention") {
    args = tensors; // query, value, key, not as a list
    if (args.size() == 1)
      args.push_back(tensors[0]);
  } else {
    args.push_back(tensors.size() == 1 ? tensors[0] : tensors);
  }
  OrderedJson json;
  json["args"] = std::move(args);
  json["kwargs"] = std::move(kwargs);
  if (record.config.find("use_causal_mask") &&
      record.config.flag("use_causal_mask"))
    json["kwargs"]["use_causal_mask"] = true;
  return json;
}

bool sinter::frontend::isSequential(const ModelBuilder &model) {
  for (const auto &[index, record] : llvm::enumerate(model.layers()))
    if (index > 0 &&
        (record.inputs.size() != 1 || record.inputs[0].layer() != index - 1 ||
         record.sharedWith || !record.states.empty() ||
         record.config.name == "multi_head_attention"))
      return false;
  const std::vector<Tensor> outputs = model.outputs();
  return outputs.size() == 1 && outputs[0].layer() + 1 == model.layers().size();
}

OrderedJson JsonWriter::model(const ModelBuilder &model) {
  const bool sequential = isSequential(model);
  OrderedJson layers = OrderedJson::array(), inputs = layers, outputs = layers;
  for (const auto &[index, record] : llvm::enumerate(model.layers())) {
    if (record.sharedWith || record.config.name == "state")
      continue; // among the calls of that one, or a result of its layer
    OrderedJson json = layer(record);
    if (!sequential) {
      json["name"] = record.name;
      json["inbound_nodes"] = OrderedJson::array();
      for (const LayerRecord &other : model.layers())
        if (!other.inputs.empty() &&
            (&other == &record || other.sharedWith == index))
          json["inbound_nodes"].push_back(call(model, other));
    }
    if (record.config.name == "input")
      inputs.push_back({record.name, 0, 0});
    layers.push_back(std::move(json));
  }
  for (Tensor output : model.outputs())
    outputs.push_back(history(model, output.layer()));
  OrderedJson config;
  config["name"] = model.name().str();
  config["trainable"] = true;
  if (sequential)
    config["dtype"] = "float32";
  config["layers"] = std::move(layers);
  if (sequential) {
    config["build_input_shape"] = batched(model.layers().front().shape);
  } else {
    config["input_layers"] = std::move(inputs);
    config["output_layers"] = std::move(outputs);
  }
  return object("keras", sequential ? "Sequential" : "Functional",
                std::move(config), false);
}

// ---- Training
// -----------------------------------------------------------------

OrderedJson JsonWriter::loss(const Config &config) {
  if (isPlain(config, Kind::Loss))
    return config.name;
  OrderedJson json;
  json["name"] = config.name;
  json["reduction"] = "sum_over_batch_size";
  arguments(config, Kind::Loss, json);
  return object("keras.losses", classNameOf(Kind::Loss, config.name),
                std::move(json));
}

OrderedJson JsonWriter::metric(const Config &config) {
  if (isPlain(config, Kind::Metric))
    return config.name;
  OrderedJson json;
  json["name"] = metricTitle(config);
  json["dtype"] = "float32";
  arguments(config, Kind::Metric, json);
  return object("keras.metrics", classNameOf(Kind::Metric, config.name),
                std::move(json));
}

OrderedJson JsonWriter::optimizer(const Config &config) {
  OrderedJson json;
  json["name"] = config.name;
  arguments(config, Kind::Optimizer, json);
  return object("keras.optimizers", classNameOf(Kind::Optimizer, config.name),
                std::move(json), false);
}

OrderedJson sinter::frontend::toKerasModel(const ModelBuilder &model,
                                           KerasDialect dialect,
                                           std::vector<std::string> &refused) {
  return JsonWriter(dialect, refused).model(model);
}

OrderedJson sinter::frontend::toKerasTraining(const Spec &spec,
                                              KerasDialect dialect) {
  std::vector<std::string> refused; // only layers have what Keras lacks
  JsonWriter writer(dialect, refused);
  OrderedJson metrics = OrderedJson::array();
  for (const Config &metric : spec.metrics)
    metrics.push_back(writer.metric(metric));
  OrderedJson json;
  if (dialect == KerasDialect::Archive)
    json["optimizer"] = writer.optimizer(*spec.optimizer);
  json["loss"] = writer.loss(*spec.loss);
  json["loss_weights"] = nullptr;
  json["metrics"] = std::move(metrics);
  json["weighted_metrics"] = nullptr;
  json["run_eagerly"] = false;
  json["steps_per_execution"] = 1;
  json["jit_compile"] = false;
  if (dialect == KerasDialect::Hdf5)
    json["optimizer_config"] = writer.optimizer(*spec.optimizer);
  return json;
}
