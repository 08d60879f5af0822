// SpecWriter.cpp - the reverse of YamlReader.cpp.
//
// A config is completed, so every argument is there; those that equal the row's
// default, brought to the declared type by the same code, are left out. Where a
// file does not say how to train, the spec gets a loss that suits the output
// and Adam, with a comment that says so: a spec needs both.
#include "frontend/SpecWriter.h"

#include "frontend/Catalog.h"
#include "frontend/ConfigCheck.h"
#include "frontend/LayerNamer.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <charconv>

using namespace sinter::frontend;
using llvm::StringRef;

// ---- Values
// -------------------------------------------------------------------

static std::string writeText(const std::string &text) {
  const bool isPlain = isName(text) && parseScalar(text).getIf<std::string>() &&
                       !llvm::is_contained({"yes", "no", "on", "off", "y", "n"},
                                           StringRef(text).lower());
  if (isPlain)
    return text;
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

/// The shortest digits that give the same number.
static std::string writeNumber(double number) {
  char text[64];
  auto [end, error] = std::to_chars(text, text + sizeof text, number);
  return std::string(text, end);
}

static std::string writeConfig(const Config &config, Kind kind);

static std::string writeList(const Value::List &list) {
  std::string text;
  for (const Value &value : list) {
    text += text.empty() ? "" : ", ";
    if (const auto *number = value.getIf<int64_t>())
      text += std::to_string(*number);
    else if (const auto *real = value.getIf<double>())
      text += writeNumber(*real);
    else if (const auto *name = value.getIf<std::string>())
      text += writeText(*name);
  }
  return "[" + text + "]";
}

static std::string writeValue(const ArgInfo &info, const Value &value) {
  if (value.isNull())
    return "null";
  if (const bool *flag = value.getIf<bool>())
    return *flag ? "true" : "false";
  if (const int64_t *integer = value.getIf<int64_t>())
    return std::to_string(*integer);
  if (const double *number = value.getIf<double>())
    return writeNumber(*number);
  if (const std::string *text = value.getIf<std::string>())
    return writeText(*text);
  if (const Config *config = value.config())
    return writeConfig(*config, kindOf(info.type));
  const Value::List &list = *value.getIf<Value::List>();
  auto at = [&](size_t i) { return *list[i].getIf<int64_t>(); };
  auto allAlike = [&](size_t step) { // every `step`-th and those behind it
    for (size_t i = 0; i < list.size(); ++i)
      if (at(i) != at(i - i % step))
        return false;
    return true;
  };
  const bool isPairs = info.type == Type::Pairs || info.type == Type::Triples;
  if ((isPairs || info.type == Type::Pair || info.type == Type::Triple) &&
      allAlike(list.size()))
    return std::to_string(at(0));
  if (!isPairs)
    return writeList(list);
  Value::List numbers;
  std::string pairs;
  for (size_t i = 0; i < list.size(); i += 2) {
    numbers.push_back(list[i]);
    pairs += (i ? ", " : "") + writeList({list[i], list[i + 1]});
  }
  return allAlike(2) ? writeList(numbers) : "[" + pairs + "]";
}

// ---- Configs
// ------------------------------------------------------------------

/// What stands for an argument that is left out, as writeValue() has it.
static std::string defaultOf(const ArgInfo &info) {
  Value value = info.type == Type::Text && info.defaultText != "null"
                    ? Value(info.defaultText.str())
                    : parseScalar(info.defaultText);
  value.source.clear();
  if (value.isNull())
    return "null";
  const auto *integer = value.getIf<int64_t>();
  if (integer && info.type == Type::Number)
    return writeNumber(static_cast<double>(*integer));
  if (integer && info.type == Type::Integers)
    return writeList({value});
  return writeValue(info, value);
}

/// Whether people write the main argument without its name: `dropout: 0.3`, but
/// `adam: {learning_rate: 0.01}`.
static bool isTerse(Kind kind) {
  return kind != Kind::Loss && kind != Kind::Optimizer && kind != Kind::Metric;
}

static std::string writeArguments(const Config &config, Kind kind) {
  const EntryInfo &entry = *tableOf(kind).find(config.name);
  std::string text, only;
  size_t count = 0; // of arguments, the last of which is `only` if that is set
  for (const Argument &argument : config.args) {
    const ArgInfo &info = *entry.find(argument.name);
    std::string value = writeValue(info, argument.value);
    if (info.fixed || (!info.required() && value == defaultOf(info)))
      continue;
    text += (count++ ? ", " : "") + argument.name + ": " + value;
    // `dense: 10` says less than `dense: {units: 10}`.
    if (&info == entry.mainArg() && info.type != Type::Integer && isTerse(kind))
      only = value;
  }
  // A map would be read as the arguments, not as the value of the main one.
  if (count == 1 && !only.empty() && only[0] != '{')
    return only;
  return text.empty() ? "" : "{" + text + "}";
}

static std::string writeConfig(const Config &config, Kind kind) {
  std::string arguments = writeArguments(config, kind);
  if (kind == Kind::Schedule && config.name == "constant")
    return arguments;
  return arguments.empty() ? config.name
                           : "{" + config.name + ": " + arguments + "}";
}

/// As a line of a list or of the spec: without the braces around.
static std::string writeLine(const Config &config, Kind kind) {
  std::string arguments = writeArguments(config, kind);
  return config.name + (arguments.empty() ? "" : ": " + arguments);
}

/// With the word `shape`, for people.
static std::string writeInput(const Config &input) {
  std::string arguments = writeArguments(input, Kind::Section);
  if (arguments[0] != '{')
    arguments = "{shape: " + arguments + "}";
  return arguments;
}

static std::string writeInputs(const std::vector<Config> &inputs) {
  if (inputs.size() == 1)
    return "input: " + writeInput(inputs[0]) + "\n";
  std::string text = "inputs:\n";
  for (Config input : inputs) {
    const std::string name = input.text("name");
    llvm::erase_if(input.args, [](const Argument &argument) {
      return argument.name == "name";
    });
    text += "  " + writeText(name) + ": " + writeInput(input) + "\n";
  }
  return text;
}

static Kind tableKindOf(const Config &layer) {
  return layer.name == "reuse" ? Kind::Section : Kind::Layer;
}

// ---- Names
// --------------------------------------------------------------------

static Argument &argumentOf(Config &config, StringRef name) {
  return *llvm::find_if(config.args, [&](const Argument &argument) {
    return argument.name == name;
  });
}

/// Leaves out the names that SpecBuilder would give, too. Each round finds
/// layers whose automatic name would be another, until there are none.
static void dropAutomaticNames(const std::vector<Config> &inputs,
                               std::vector<Config> &layers) {
  auto automatic = [&](LayerNamer &namer, const Config &layer) {
    return layer.name == "reuse"
               ? namer.again(layer.text("layer"))
               : namer.fresh(tableOf(Kind::Layer).find(layer.name)->className);
  };
  std::vector<bool> isGiven(layers.size());
  for (bool changed = true; changed;) {
    changed = false;
    LayerNamer namer;
    for (const Config &input : inputs)
      namer.claim(input.text("name"));
    for (size_t i = 0; i < layers.size(); ++i)
      if (isGiven[i])
        namer.claim(layers[i].text("name"));
    for (size_t i = 0; i < layers.size(); ++i) {
      if (isGiven[i])
        continue;
      if (automatic(namer, layers[i]) != layers[i].text("name"))
        isGiven[i] = changed = true;
    }
  }
  for (size_t i = 0; i < layers.size(); ++i)
    if (!isGiven[i])
      argumentOf(layers[i], "name").value = Value();
}

// ---- The spec
// -----------------------------------------------------------------

/// A loss for the kind of output that the last layer makes.
static StringRef guessLoss(const ImportedModel &model, size_t output = 0) {
  auto isOutput = [&](const Config &layer) {
    return model.outputs.empty() || layer.text("name") == model.outputs[output];
  };
  auto found = llvm::find_if(llvm::reverse(model.layers), isOutput);
  if (found == llvm::reverse(model.layers).end())
    return "mean_squared_error"; // an input
  StringRef activation = found->name;
  if (const Argument *argument = found->find("activation"))
    activation = argument->value.config()->name;
  if (output > 0) // whose shape is not known here
    return activation == "sigmoid" ? "binary_crossentropy"
                                   : "mean_squared_error";
  const std::vector<int64_t> &shape = model.outputShape;
  if (activation == "softmax" && shape.size() == 1 && shape[0] > 1)
    return "sparse_categorical_crossentropy";
  return activation == "sigmoid" ? "binary_crossentropy" : "mean_squared_error";
}

std::string sinter::frontend::writeSpec(const ImportedModel &model,
                                        StringRef origin) {
  std::string text = "# From " + printable(origin) + " (" + model.format +
                     ") by `sinter import`.\n";
  text += "model: " + writeText(model.name) + "\n";
  text += writeInputs(model.inputs) + "layers:\n";
  std::vector<Config> layers = model.layers;
  dropAutomaticNames(model.inputs, layers);
  for (const Config &layer : layers)
    text += "  - " + writeLine(layer, tableKindOf(layer)) + "\n";
  std::string outputs;
  for (const std::string &output : model.outputs)
    outputs += (outputs.empty() ? "" : ", ") + writeText(output);
  if (!outputs.empty())
    text += "outputs: [" + outputs + "]\n";
  if (model.outputs.size() > 1) {
    text +=
        "# To train it, give each output a loss, and say on what:\n# loss: {";
    for (size_t i = 0; i < model.outputs.size(); ++i)
      text += (i ? ", " : "") + writeText(model.outputs[i]) + ": " +
              guessLoss(model, i).str();
    return text + "}\n"
                  "# optimizer: adam\n"
                  "# data:\n"
                  "#   train: {npz: FILE}  # arrays named as inputs and "
                  "outputs\n"
                  "# train: {epochs: 1, batch_size: 32}\n";
  }

  const std::string guess = "  # a guess: the file names none";
  if (model.loss)
    text += "loss: " + writeConfig(*model.loss, Kind::Loss) + "\n";
  else
    text += "loss: " + guessLoss(model).str() + guess + "\n";
  if (model.optimizer)
    text +=
        "optimizer: " + writeConfig(*model.optimizer, Kind::Optimizer) + "\n";
  else
    text += "optimizer: adam" + guess + "\n";
  std::string metrics;
  for (const Config &metric : model.metrics)
    metrics +=
        (metrics.empty() ? "" : ", ") + writeConfig(metric, Kind::Metric);
  if (!metrics.empty())
    text += "metrics: [" + metrics + "]\n";
  text += "# To train it, say on what:\n"
          "# data:\n"
          "#   train: {images: FILE, labels: FILE}\n"
          "# train: {epochs: 1, batch_size: 32}\n";
  return text;
}
