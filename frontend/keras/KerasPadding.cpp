// KerasPadding.cpp - numbers as `padding`, and scaled inputs, for files of
// Keras.
//
// Problem: Keras's layers know the words 'valid' and 'same' alone; files of
// ONNX bring numbers.
// Idea: a word is equal if its windows lie on the same pixels. Else zeros go
// around the image in a layer before a convolution, or what is too much is cut
// off behind a transposed one. A maximum takes zeros as pixels, which shows
// where all of them are negative: only behind a layer that gives none is that
// the same. An average counts them, so it is refused.
// So is the scale of an input, which Keras's inputs do not have: a rescaling
// layer behind it.
// Known weakness: what a layer further back makes not negative is not seen.
#include "frontend/keras/KerasPadding.h"

#include "frontend/LayerNamer.h"
#include "frontend/LayerParts.h"

#include "llvm/ADT/STLExtras.h"

using namespace sinter;
using namespace sinter::frontend;
using llvm::StringRef;

static bool hasNumbers(const Config &config) {
  const Argument *padding = config.find("padding");
  return padding && padding->value.getIf<Value::List>() &&
         config.find(config.find("pool_size") ? "pool_size" : "kernel_size");
}

static Config withPadding(Config config, Value padding) {
  for (Argument &argument : config.args)
    if (argument.name == "padding")
      argument.value = std::move(padding);
  return config;
}

static bool isTransposed(const Config &config) {
  return StringRef(config.name).ends_with("_transpose");
}

/// The axes of space that the layer has.
using Axes = std::vector<WindowAxis>;

static Axes windowOf(const Config &config, const Shape &sample) {
  const int rank = static_cast<int>(sample.size()) - 1;
  const bool isPool = config.find("pool_size");
  if (rank == 3) {
    VolumeWindow window = isTransposed(config)
                              ? volumeTransposedWindow(config, sample)
                          : isPool ? volumePoolWindow(config, sample)
                                   : volumeConvolutionWindow(config, sample);
    return Axes(window.begin(), window.end());
  }
  Window window = isTransposed(config) ? transposedWindow(config, sample)
                  : isPool
                      ? poolWindow(config, rank, imageShape(sample))
                      : convolutionWindow(config, rank, imageShape(sample));
  return Axes(window.end() - rank, window.end());
}

/// Keras's layers have one of them.
static bool isStridedAndDilated(const Config &config) {
  auto isOver1 = [&](StringRef name) {
    const Argument *argument = config.find(name);
    if (!argument || argument->value.isNull())
      return false;
    if (const int64_t *number = argument->value.getIf<int64_t>())
      return *number > 1;
    return llvm::any_of(config.integers(name),
                        [](int64_t number) { return number > 1; });
  };
  return isOver1("strides") && isOver1("dilation_rate");
}

/// Whether both put their windows on the same pixels.
static bool agree(const Axes &a, const Axes &b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].low != b[i].low || a[i].windows() != b[i].windows() ||
        a[i].pixels != b[i].pixels)
      return false;
  return true;
}

/// Whether a layer's result has no number below 0.
static bool isNotNegative(const ModelBuilder &model, Tensor tensor) {
  const LayerRecord &layer = model.layers()[tensor.layer()];
  StringRef name = layer.config.name;
  if (name == "dropout" || name.contains("max_pooling") ||
      name.starts_with("spatial_dropout"))
    return isNotNegative(model, layer.inputs[0]);
  const Argument *inner = layer.config.find("activation");
  const Config &activation = inner ? *inner->value.config() : layer.config;
  static const StringRef names[] = {"relu6",        "sigmoid",  "softmax",
                                    "hard_sigmoid", "softplus", "exponential"};
  return (activation.name == "relu" &&
          activation.number("negative_slope") == 0) ||
         llvm::is_contained(names, activation.name);
}

namespace {
class Padder {
public:
  Padder(const ModelBuilder &from, std::vector<std::string> &refused)
      : from(from), refused(refused), to(from.name().str()) {}

  ModelBuilder run();

private:
  Tensor layer(Config config, llvm::ArrayRef<Tensor> inputs,
               const std::string &name);
  /// The name, or one with lines behind it where a layer has it.
  std::string fresh(std::string name) const;
  /// An input, and behind it what its scale does.
  Tensor input(const LayerRecord &record);
  /// Of a layer with numbers.
  Tensor padded(const LayerRecord &record, llvm::ArrayRef<Tensor> inputs);
  /// A zero_padding or cropping layer.
  Tensor border(const char *kind, const char *argument, const Axes &sides,
                const LayerRecord &record, Tensor input);

  const ModelBuilder &from;
  std::vector<std::string> &refused;
  ModelBuilder to;
};
} // namespace

Tensor Padder::layer(Config config, llvm::ArrayRef<Tensor> inputs,
                     const std::string &name) {
  llvm::erase_if(config.args, [](const Argument &argument) {
    return argument.name == "name" || argument.name == "inputs";
  });
  config.args.push_back({"name", name});
  return to.layer(std::move(config), inputs);
}

std::string Padder::fresh(std::string name) const {
  while (llvm::any_of(from.layers(), [&](const LayerRecord &other) {
    return other.name == name;
  }))
    name += "_";
  return name;
}

Tensor Padder::border(const char *kind, const char *argument, const Axes &sides,
                      const LayerRecord &record, Tensor input) {
  Value::List list;
  for (const WindowAxis &axis : sides) {
    Value::List pair = {axis.low, axis.high};
    list.push_back(Value(std::move(pair)));
  }
  const std::string rank = std::to_string(sides.size()) + "d";
  Value value = sides.size() == 1 ? list[0] : Value(std::move(list));
  return layer(Config(kind + rank, {{argument, std::move(value)}}), input,
               fresh(record.name + "_" + argument));
}

Tensor Padder::input(const LayerRecord &record) {
  const double scale = record.config.number("scale");
  Config config = record.config;
  llvm::erase_if(config.args, [](const Argument &argument) {
    return argument.name == "scale";
  });
  Tensor data = layer(std::move(config), {}, record.name);
  if (scale == 1)
    return data;
  return layer(Config("rescaling", {{"scale", scale}}), data,
               fresh(record.name + "_scale"));
}

Tensor Padder::padded(const LayerRecord &record,
                      llvm::ArrayRef<Tensor> inputs) {
  const Config &config = record.config;
  const Shape &sample = from.layers()[record.inputs[0].layer()].shape;
  const Axes window = windowOf(config, sample);
  for (const char *word : {"valid", "same"})
    if (Config simple = withPadding(config, word);
        agree(windowOf(simple, sample), window))
      return layer(std::move(simple), inputs, record.name);
  auto refuse = [&](const char *why) -> Tensor {
    refused.push_back("layer '" + record.name + "' (" + config.name +
                      "): Keras's layer has no numbers as padding, and " + why);
    return {};
  };
  if (isTransposed(config)) {
    // The whole result, and of that the part between the sides.
    Config whole = withPadding(config, "valid");
    Axes sides = window;
    const Axes all = windowOf(whole, sample);
    for (size_t i = 0; i < sides.size(); ++i)
      sides[i].high = all[i].pixels - window[i].pixels - window[i].low;
    Tensor y = layer(std::move(whole), inputs, record.name);
    return border("cropping", "cropping", sides, record, y);
  }
  if (StringRef(config.name).starts_with("average"))
    return refuse("zeros around the image would count in the average");
  if (config.find("pool_size") && !isNotNegative(from, record.inputs[0]))
    return refuse("zeros around an image of numbers below 0 would change the "
                  "maximum (put a relu before it)");
  Tensor x = border("zero_padding", "padding", window, record, inputs[0]);
  return layer(withPadding(config, "valid"), x, record.name);
}

ModelBuilder Padder::run() {
  std::vector<Tensor> results, outputs; // of each layer of `from`
  for (const LayerRecord &record : from.layers()) {
    std::vector<Tensor> inputs;
    for (Tensor input : record.inputs)
      inputs.push_back(results[input.layer()]);
    if (isStridedAndDilated(record.config))
      refused.push_back("layer '" + record.name + "' (" + record.config.name +
                        "): Keras's layer has strides or a dilation_rate, not "
                        "both");
    if (record.sharedWith) {
      if (hasNumbers(record.config))
        refused.push_back("layer '" + record.name + "' (" + record.config.name +
                          "): Keras's layer has no numbers as padding, and "
                          "this one is called several times");
      results.push_back(
          to.reuse(results[*record.sharedWith], inputs, record.name));
      continue;
    }
    if (record.config.name == "input")
      results.push_back(input(record));
    else if (hasNumbers(record.config))
      results.push_back(padded(record, inputs));
    else
      results.push_back(layer(record.config, inputs, record.name));
  }
  for (Tensor output : from.outputs())
    outputs.push_back(results[output.layer()]);
  to.setOutputs(outputs);
  return std::move(to);
}

ModelBuilder
sinter::frontend::withKerasPadding(const ModelBuilder &model,
                                   std::vector<std::string> &refused) {
  return Padder(model, refused).run();
}
