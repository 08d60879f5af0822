// KerasConfig.cpp - translation by the tables of Catalog.h.
//
// Names and meaning of the catalog are Keras 3's, so most arguments go over as
// they are: for each one of the JSON, the row says its type. The exceptions are
// in four small tables here: renamed classes, renamed arguments, arguments that
// do not matter, and what has changed its meaning since Keras 2. An argument
// that no table knows is refused unless it is off (null, false): guessing would
// give another network.
#include "frontend/keras/KerasConfig.h"

#include "frontend/ConfigCheck.h"
#include "frontend/LayerNamer.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <charconv>
#include <cmath>

using namespace sinter::frontend;
using llvm::StringRef;

KerasConfigReader::KerasConfigReader(std::string version, bool hasWeights)
    : hasWeights(hasWeights) {
  if (StringRef text(version); text.starts_with("1.") || text.starts_with("2."))
    major = text[0] - '0';
}

std::vector<std::string> KerasConfigReader::takeComplaints() {
  return std::exchange(complaints, {});
}

std::nullopt_t KerasConfigReader::complain(std::string text) {
  complaints.push_back(std::move(text));
  return std::nullopt;
}

// ---- Values
// -------------------------------------------------------------------

/// 0.0010000000474974513 is 0.001 in 32 bits.
static double withFewDigits(double number) {
  auto single = static_cast<float>(number);
  if (!std::isfinite(single) || static_cast<double>(single) != number)
    return number;
  char text[64];
  auto [end, error] = std::to_chars(text, text + sizeof text, single);
  double result = number;
  std::from_chars(text, end, result);
  return result;
}

/// Keras writes tuples and arrays as objects.
static const Json &unwrapped(const Json &json) {
  if (textMember(json, "class_name") == "__tuple__")
    if (const Json *items = member(json, "items"))
      return *items;
  if (textMember(json, "type") == "ndarray" ||
      textMember(json, "class_name") == "__numpy__")
    if (const Json *value = member(json, "value"))
      return *value;
  return json;
}

std::optional<Value> sinter::frontend::toValue(const Json &given) {
  const Json &json = unwrapped(given);
  if (json.is_null())
    return Value();
  if (json.is_boolean())
    return Value(json.get<bool>());
  if (json.is_number_unsigned() &&
      json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
    return std::nullopt;
  if (json.is_number_integer())
    return Value(json.get<int64_t>());
  if (json.is_number_float())
    return Value(withFewDigits(json.get<double>()));
  if (json.is_string())
    return Value(json.get<std::string>());
  if (!json.is_array())
    return std::nullopt;
  Value::List list;
  for (const Json &item : json) {
    std::optional<Value> value = toValue(item);
    if (!value)
      return std::nullopt;
    list.push_back(std::move(*value));
  }
  return Value(std::move(list));
}

// ---- Tables
// -------------------------------------------------------------------

/// Does not change what a layer computes.
static bool isIrrelevant(StringRef className, StringRef arg) {
  static const StringRef everywhere[] = {"name",
                                         "dtype",
                                         "batch_input_shape",
                                         "batch_shape",
                                         "input_dtype",
                                         "seed",
                                         "build_input_shape",
                                         "reduction",
                                         "module",
                                         "implementation",
                                         "registered_name",
                                         "input_length",
                                         "autocast",
                                         "ema_momentum",
                                         "ema_overwrite_frequency",
                                         "jit_compile",
                                         "is_legacy_optimizer",
                                         "fused",
                                         "fn",
                                         "lora_alpha",
                                         "steps_per_execution",
                                         "sparse",
                                         "ragged",
                                         "use_cudnn"};
  if (llvm::is_contained(everywhere, arg))
    return true;
  // Written by the base class, used by nobody.
  if (className == "DepthwiseConv2D" || className == "SeparableConv2D")
    return arg.starts_with("kernel_") && arg != "kernel_size" &&
           arg != "kernel_constraint";
  // Shapes that the inputs say; the axes are checked where shapes are known.
  if (className == "MultiHeadAttention")
    return arg == "query_shape" || arg == "key_shape" || arg == "value_shape" ||
           arg == "attention_axes";
  return className == "Nadam" && arg == "schedule_decay";
}

/// Whether null means in Keras what the catalog's default says: off for flags
/// and numbers, Keras's own settings for some. (Files of Keras 2 have null as
/// epsilon of optimizers, where it is the settings' 1e-7.)
static bool isNullTheDefault(const ArgInfo &info) {
  static const StringRef defaults[] = {"null", "false", "0", "0.0", "1e-7"};
  static const StringRef names[] = {"seed", "data_format", "trainable", "l1",
                                    "l2"};
  return llvm::is_contained(defaults, info.defaultText) ||
         llvm::is_contained(names, info.name);
}

/// Of losses, optimizers, ... , in any spelling:
/// "SparseCategoricalCrossentropy" and "sparse_categorical_crossentropy".
static const EntryInfo *findEntry(Kind kind, StringRef name) {
  const Table &table = tableOf(kind);
  if (const EntryInfo *entry = table.find(name))
    return entry;
  if (const EntryInfo *entry = table.find(toSnakeCase(name)))
    return entry;
  if (name == "L1L2")
    return table.find("l1_l2");
  // An activation with arguments is a layer inside of another: LeakyReLU.
  if (kind == Kind::Activation)
    for (const EntryInfo &layer : tableOf(Kind::Layer).entries)
      if (layer.className == name)
        return table.find(layer.name);
  return table.find(name.lower()); // RMSprop, AdamW
}

// ---- Configs
// ------------------------------------------------------------------

void KerasConfigReader::fixedArgument(const ArgInfo &info, const Json &value) {
  if (info.name == "seed" || (value.is_null() && isNullTheDefault(info)))
    return;
  std::optional<Value> converted = toValue(value);
  if (info.name == "axis" && converted) // [-1] is -1
    if (const auto *list = converted->getIf<Value::List>();
        list && list->size() == 1)
      converted = Value((*list)[0]);
  Value known = parseScalar(info.defaultText);
  auto number = [](const Value &v) -> std::optional<double> {
    if (const int64_t *integer = v.getIf<int64_t>())
      return static_cast<double>(*integer);
    const double *real = v.getIf<double>();
    return real ? std::optional(*real) : std::nullopt;
  };
  if (converted && (converted->describe() == known.describe() ||
                    (number(known) && number(known) == number(*converted))))
    return;
  if (info.name == "data_format")
    complain("its images have channels first; Sinter has them last (save the "
             "model with data_format='channels_last')");
  else
    complain("'" + info.name.str() + "' = " + describe(value) +
             " is not supported yet" + insteadOf(info).str());
}

void KerasConfigReader::nullArgument(const ArgInfo &info, Config &result) {
  if (info.type == Type::Activation) {
    if (info.defaultText != "linear")
      result.args.push_back({info.name.str(), Config("linear")});
  } else if (info.type == Type::Initializer) {
    if (!hasWeights && info.defaultText != "glorot_uniform")
      result.args.push_back({info.name.str(), Config("glorot_uniform")});
  } else if (!isNullTheDefault(info)) {
    complain("'" + info.name.str() + "' = null is not supported (expected " +
             sinter::frontend::describe(info) + ")");
  }
}

std::optional<Value> KerasConfigReader::argument(const ArgInfo &info,
                                                 const Json &given) {
  auto wrap = [](std::optional<Config> config) -> std::optional<Value> {
    if (!config)
      return std::nullopt;
    return Value(std::move(*config));
  };
  const Json &json = unwrapped(given);
  if (json.is_null() || !isConfigType(info.type)) {
    std::optional<Value> value = toValue(json);
    if (!value)
      return complain("'" + info.name.str() + "' = " + describe(json) +
                      " is not supported (expected " + describe(info) + ")");
    const auto *list = value->getIf<Value::List>();
    const bool wantsOne = info.type == Type::Integer ||
                          info.type == Type::Number || info.type == Type::Bool;
    if (list && list->size() == 1 && wantsOne) {
      Value only = list->front();
      return only;
    }
    return value;
  }
  switch (info.type) {
  case Type::Initializer:
    return wrap(initializer(json));
  case Type::Regularizer:
    return wrap(regularizer(json));
  case Type::Layer: {
    const Json *config = member(json, "config");
    if (!config)
      return complain("expected '" + info.name.str() + "' to be a layer, got " +
                      describe(json));
    return wrap(layer(textMember(json, "class_name"), *config));
  }
  case Type::Schedule:
    if (json.is_number())
      return toValue(json);
    return wrap(named(Kind::Schedule, json));
  default:
    return wrap(named(Kind::Activation, json));
  }
}

void KerasConfigReader::arguments(const EntryInfo &entry, const Json *config,
                                  Config &result) {
  if (!config || !config->is_object())
    return;
  for (const auto &item : config->items()) {
    StringRef key = item.key();
    const Json &value = item.value();
    if ((entry.className == "LeakyReLU" || entry.name == "leaky_relu") &&
        key == "alpha")
      key = "negative_slope";
    if (key == "lr")
      key = "learning_rate";
    if (isIrrelevant(entry.className, key))
      continue;
    const ArgInfo *info = entry.find(key);
    if (info && info->fixed) {
      fixedArgument(*info, value);
      continue;
    }
    if (info) {
      if (value.is_null() && info->defaultText != "null") {
        nullArgument(*info, result);
        continue;
      }
      if (std::optional<Value> converted = argument(*info, value))
        result.args.push_back({info->name.str(), std::move(*converted)});
      continue;
    }
    const bool isOff = value.is_null() || value == false || value == 0 ||
                       (key == "groups" && value == 1);
    const bool isDefault = key == "trainable" ||
                           (key == "data_format" && value == "channels_last");
    if (key == "data_format" && value == "channels_first")
      complain("its images have channels first; Sinter has them last (save the "
               "model with data_format='channels_last')");
    else if (key == "decay" && !isOff)
      complain("the decay of the learning rate is not supported yet");
    else if (!isOff && !isDefault)
      complain("'" + printable(key) + "' = " + describe(value) +
               " is not supported yet");
  }
}

/// A name, a class with its config, or a function of Python by its name.
static std::pair<std::string, const Json *> nameAndConfig(const Json &value) {
  if (value.is_string())
    return {value.get<std::string>(), nullptr};
  std::string name = textMember(value, "class_name");
  const Json *config = member(value, "config");
  if (name == "function" && config && config->is_string())
    return {config->get<std::string>(), nullptr};
  // A wrapper around a function, named in its config.
  if (std::string function = textMember(config, "fn"); !function.empty())
    return {function, config};
  if (const Json *function = config ? member(config, "fn") : nullptr)
    return {nameAndConfig(*function).first, config};
  return {name, config};
}

/// ReLU with an upper limit of 6 and nothing else set.
static bool isRelu6(StringRef className, const Json *config) {
  const Json *limit = member(config, "max_value");
  auto isOff = [&](const char *name) {
    const Json *value = member(config, name);
    return !value || value->is_null() || *value == 0;
  };
  return className == "ReLU" && limit && *limit == 6 &&
         isOff("negative_slope") && isOff("threshold");
}

std::optional<Config> KerasConfigReader::named(Kind kind, const Json &value) {
  const Table &table = tableOf(kind);
  auto [name, config] = nameAndConfig(value);
  if (kind == Kind::Activation && isRelu6(name, config))
    return Config("relu6");
  const EntryInfo *entry = findEntry(kind, name);
  if (!entry)
    return complain(("the " + table.noun + " ").str() +
                    (name.empty() ? describe(value) : printable(name)) +
                    " is not supported yet");
  if (entry->name == "hard_sigmoid" && isKeras2())
    return complain("hard_sigmoid has changed since Keras 2: it was "
                    "clip(x / 5 + 1/2, 0, 1), now it is clip(x / 6 + 1/2, 0, "
                    "1)");
  Config result(entry->name.str());
  const size_t before = complaints.size();
  arguments(*entry, config, result);
  if (complaints.size() != before)
    return std::nullopt;
  return result;
}

/// Keras 2's general form of the scaled initializers.
static StringRef nameOfScaled(const Json *config) {
  const Json *scale = member(config, "scale");
  const std::string mode = textMember(config, "mode"),
                    distribution = textMember(config, "distribution");
  const double factor = scale && scale->is_number() ? scale->get<double>() : 0;
  const bool uniform = distribution == "uniform";
  if (!uniform && distribution != "normal" &&
      distribution != "truncated_normal")
    return "";
  if (factor == 1 && mode == "fan_avg")
    return uniform ? "glorot_uniform" : "glorot_normal";
  if (factor == 2 && mode == "fan_in")
    return uniform ? "he_uniform" : "he_normal";
  if (factor == 1 && mode == "fan_in")
    return uniform ? "lecun_uniform" : "lecun_normal";
  return "";
}

std::optional<Config> KerasConfigReader::initializer(const Json &value) {
  auto [name, config] = nameAndConfig(value);
  StringRef(name).consume_back("V2");
  if (name == "VarianceScaling")
    if (StringRef scaled = nameOfScaled(config); !scaled.empty())
      return Config(scaled.str());
  const size_t before = complaints.size();
  if (std::optional<Config> result = named(Kind::Initializer, value))
    return result;
  if (!hasWeights)
    return std::nullopt;
  // The weights are there: how they once began says nothing any more.
  complaints.resize(before);
  return Config("zeros");
}

std::optional<Config> KerasConfigReader::regularizer(const Json &value) {
  std::optional<Config> result = named(Kind::Regularizer, value);
  if (!result || result->name != "l1_l2")
    return result;
  auto factor = [&](StringRef arg) {
    const Argument *argument = result->find(arg);
    const double *number = argument ? argument->value.getIf<double>() : nullptr;
    return number ? *number : 0.0;
  };
  if (factor("l1") == 0)
    return Config("l2", {{"l2", factor("l2")}});
  if (factor("l2") == 0)
    return Config("l1", {{"l1", factor("l1")}});
  return result;
}

// ---- Layers
// -------------------------------------------------------------------

void KerasConfigReader::checkType(const Json &config) {
  const Json *type = member(config, "dtype");
  if (!type)
    return;
  std::string name = type->is_string()
                         ? type->get<std::string>()
                         : textMember(member(*type, "config"), "name");
  if (name.empty())
    name = describe(*type);
  static const StringRef asFloat[] = {"float32", "int32",  "int64",  "uint8",
                                      "int16",   "uint16", "uint32", "int8"};
  if (llvm::is_contained(asFloat, name))
    return;
  static const StringRef near[] = {"mixed_float16", "mixed_bfloat16", "float16",
                                   "bfloat16", "float64"};
  if (!llvm::is_contained(near, name)) {
    complain("numbers of type " + printable(name) + " are not supported yet");
    return;
  }
  std::string note = "the file computes in " + name +
                     "; here it is float32, and results differ by roundings";
  if (!llvm::is_contained(notes, note))
    notes.push_back(std::move(note));
}

/// Whether a Bidirectional's second layer is its first, the other way round.
static bool isMirrored(const Json &config) {
  auto walkOf = [](const Json *layer) -> Json {
    const Json *own = layer ? member(*layer, "config") : nullptr;
    if (!own || !own->is_object())
      return {};
    Json walk = *own;
    walk["class_name"] = textMember(*layer, "class_name");
    walk.erase("name");
    return walk;
  };
  Json forward = walkOf(member(config, "layer")),
       backward = walkOf(member(config, "backward_layer"));
  if (!forward.is_object() || !backward.is_object() ||
      forward.value("go_backwards", Json(false)) ==
          backward.value("go_backwards", Json(false)))
    return false;
  forward.erase("go_backwards");
  backward.erase("go_backwards");
  return forward == backward;
}

std::optional<Config> KerasConfigReader::layer(const std::string &className,
                                               const Json &config) {
  StringRef name = className;
  for (StringRef version : {"V1", "V2"}) // of TensorFlow 1.x
    if (name != version)
      name.consume_back(version);
  // Layers of Keras 2 for GPUs: the same with fixed activations, which are the
  // defaults, as is `reset_after`.
  if (name == "CuDNNLSTM")
    name = "LSTM";
  const bool isCuDnnGru = name == "CuDNNGRU";
  if (isCuDnnGru)
    name = "GRU";
  if (isRelu6(name, &config)) {
    checkType(config);
    if (!complaints.empty())
      return std::nullopt;
    return Config("activation", {{"activation", Config("relu6")}});
  }
  const auto &entries = tableOf(Kind::Layer).entries;
  auto it = llvm::find_if(
      entries, [&](const EntryInfo &entry) { return entry.className == name; });
  if (it == entries.end() || it->name == "input" || it->name == "parameter" ||
      it->name == "state") {
    const bool isKeras =
        llvm::is_contained(tableOf(Kind::Layer).notYet, toSnakeCase(name)) ||
        name == "PReLU" || name == "RNN" || name.starts_with("ConvLSTM");
    if (name == "Sequential" || name == "Functional" || name == "Model")
      return complain("a model inside of the model is not supported yet; save "
                      "its layers as layers of the outer model");
    if (name == "Lambda" || name.contains("OpLambda") ||
        name.contains("SlicingOp"))
      return complain("it runs Python code; use a layer instead (`sinter "
                      "catalog` lists them)");
    return complain(isKeras
                        ? "the layer is not supported yet; remove it or use "
                          "another (`sinter catalog` lists them)"
                        : "no layer of Keras has this class; use one that "
                          "`sinter catalog` lists");
  }
  Config result(it->name.str());
  checkType(config);
  if (name == "Bidirectional") {
    // member() does not tell null from missing.
    if (auto mode = config.find("merge_mode");
        mode != config.end() && mode->is_null())
      return complain("'merge_mode' = null gives two results, one of each "
                      "direction, which is not supported yet");
    Json own = config;
    if (isMirrored(config))
      own.erase("backward_layer"); // it is the default
    arguments(*it, &own, result);
  } else {
    arguments(*it, &config, result);
  }
  // Before it was an argument, the reset gate came first.
  if (name == "GRU" && !isCuDnnGru && isKeras2() &&
      !member(config, "reset_after"))
    result.args.push_back({"reset_after", false});
  if (!complaints.empty())
    return std::nullopt;
  return result;
}

// ---- Training
// -----------------------------------------------------------------

std::optional<Config> KerasConfigReader::loss(const Json &value) {
  if (textMember(member(value, "config"), "reduction") == "sum")
    return complain(
        "a loss that is summed over the batch is not supported yet");
  return named(Kind::Loss, value);
}

std::optional<Config> KerasConfigReader::metric(const Json &value) {
  // `metrics=['accuracy']`, as a compiled model saves it.
  std::string name = textMember(member(value, "config"), "name");
  if (name == "accuracy" || name == "acc")
    return Config("accuracy");
  std::optional<Config> metric = named(Kind::Metric, value);
  if (metric && isName(name) &&
      findEntry(Kind::Metric, name) != findEntry(Kind::Metric, metric->name))
    metric->args.push_back({"name", Value(name)});
  return metric;
}

std::optional<Config> KerasConfigReader::optimizer(const Json &value) {
  std::optional<Config> result = named(Kind::Optimizer, value);
  if (!result)
    return std::nullopt;
  // Before it was an argument, the sum began at 0.
  if (result->name == "adagrad" && isKeras2() &&
      !result->find("initial_accumulator_value"))
    result->args.push_back({"initial_accumulator_value", 0.0});
  // Off, in Keras 2's spelling.
  llvm::erase_if(result->args, [](const Argument &argument) {
    const bool *flag = argument.value.getIf<bool>();
    return argument.name == "weight_decay" && flag && !*flag;
  });
  return result;
}
