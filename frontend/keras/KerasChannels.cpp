// KerasChannels.cpp - which of the two orders each image is in.
//
// Problem: models may be saved with data_format='channels_first', (C, H, W)
// instead of (H, W, C). Filters are stored the same way in both; images are
// not. Idea: one walk that knows of each value whether it has been moved, that
// is, whether it is here (H, W, C) where the file has (C, H, W). Layers on
// images want it moved and leave it so; elementwise layers take what comes;
// normalisation and concatenation count their axis anew; everything else gets
// the file's order. A chain of image layers is so permuted at its ends alone. A
// Flatten with channels first moves them last itself, which then costs nothing.
// Known weakness: a sum of a moved and an unmoved image goes back to the file's
// order.
#include "frontend/keras/KerasChannels.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace sinter::frontend;
using llvm::StringRef;

static bool hasChannelsFirst(const KerasLayer &layer) {
  return layer.config &&
         textMember(layer.config, "data_format") == "channels_first";
}

Json sinter::frontend::withChannelsLast(const KerasLayer &layer) {
  Json config = *layer.config;
  if (hasChannelsFirst(layer))
    config["data_format"] = "channels_last";
  return config;
}

namespace {

/// A value of the network, by its key.
struct Image {
  size_t rank = 0; // axes of a sample; 0: not known
  bool moved = false;
};

class Mover {
public:
  Mover(KerasGraph &graph, std::vector<Config> &configs,
        std::vector<Offender> &offenders)
      : graph(graph), configs(configs), offenders(offenders) {}

  void run();

private:
  Image addImage(KerasLayer &layer, Config &config);
  Image read(KerasLayer &layer, Config &config);
  /// The key of the value in that order, which is made where it is missing.
  std::string inOrder(const std::string &key, bool moved);
  Image inFileOrder(KerasLayer &layer);

  KerasGraph &graph;
  std::vector<Config> &configs;
  std::vector<Offender> &offenders;
  std::vector<KerasLayer> newLayers;
  std::vector<Config> newConfigs;
  llvm::StringMap<Image> images;
  llvm::StringMap<std::string> permuted; // keys
  llvm::StringMap<std::string> names;    // of layers, by key
};

} // namespace

std::string Mover::inOrder(const std::string &key, bool moved) {
  const Image image = images[key];
  if (image.moved == moved || image.rank == 1)
    return key;
  std::string &known = permuted[key];
  if (!known.empty())
    return known;
  const auto rank = static_cast<int64_t>(image.rank);
  Value::List dims;
  for (int64_t i = 0; i < rank; ++i)
    dims.push_back(moved ? (i + 1) % rank + 1 : (i + rank - 1) % rank + 1);
  KerasLayer permute;
  permute.name = names[key] + (moved ? "_channels_last" : "_channels_first");
  permute.className = "Permute";
  permute.key = key + (moved ? "/last" : "/first");
  permute.inputs = {key};
  known = permute.key;
  images[known] = {image.rank, moved};
  names[known] = permute.name;
  newLayers.push_back(std::move(permute));
  newConfigs.push_back(Config("permute", {{"dims", Value(std::move(dims))}}));
  return permuted[key];
}

/// Axes of a sample of what a layer works on: Conv2D's has 3.
static size_t rankOf(StringRef className) {
  for (auto [ending, rank] : {std::pair("1D", 2), {"2D", 3}, {"3D", 4}})
    if (className.contains(ending))
      return static_cast<size_t>(rank);
  return 0;
}

/// Takes every element on its own.
static bool isElementwise(StringRef className) {
  return llvm::is_contained({"Activation", "ReLU", "LeakyReLU", "ELU",
                             "Dropout", "GaussianNoise", "GaussianDropout",
                             "AlphaDropout", "Rescaling", "Identity",
                             "ActivityRegularization"},
                            className);
}
static bool isMerge(StringRef className) {
  return llvm::is_contained(
      {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"},
      className);
}

/// Whether its activation runs over the last axis.
static bool endsInSoftmax(const Config &config) {
  const Argument *argument = config.find("activation");
  const Config *activation = argument ? argument->value.config() : nullptr;
  return activation && StringRef(activation->name).ends_with("softmax");
}

/// The axis argument of the file, or -1.
static int64_t axisOf(const KerasLayer &layer) {
  const Json *axis = member(layer.config, "axis");
  if (axis && axis->is_array() && axis->size() == 1)
    axis = &(*axis)[0];
  return axis && axis->is_number_integer() ? axis->get<int64_t>() : -1;
}

static void setAxis(Config &config, int64_t axis) {
  llvm::erase_if(config.args, [](const Argument &argument) {
    return argument.name == "axis";
  });
  if (config.name != "reuse")
    config.args.push_back({"axis", axis});
}

Image Mover::inFileOrder(KerasLayer &layer) {
  for (std::string &input : layer.inputs)
    input = inOrder(input, false);
  return {};
}

/// A layer on images whose data_format is channels_first.
Image Mover::addImage(KerasLayer &layer, Config &config) {
  const size_t rank = rankOf(layer.className);
  for (std::string &input : layer.inputs) {
    if (images[input].rank == 0)
      images[input].rank = rank;
    input = inOrder(input, true);
  }
  if (endsInSoftmax(config))
    offenders.push_back({layer.name, layer.className,
                         "its images have channels first and its softmax runs "
                         "over their width",
                         ""});
  const Json *keeps = member(layer.config, "keepdims");
  if (StringRef(layer.className).starts_with("Global") &&
      !(keeps && *keeps == true))
    return {1, false};
  return {rank, true};
}

Image Mover::read(KerasLayer &layer, Config &config) {
  StringRef name = layer.className;
  if (layer.inputs.empty())
    return {};
  const Image first = images[layer.inputs[0]];
  const bool allMoved = llvm::all_of(
      layer.inputs, [&](const std::string &key) { return images[key].moved; });
  if (hasChannelsFirst(layer) && rankOf(name) > 0)
    return addImage(layer, config);
  if (name == "Flatten") {
    if (hasChannelsFirst(layer) && first.rank == 0)
      offenders.push_back({layer.name, layer.className,
                           "it moves channels of something that is no image",
                           ""});
    for (std::string &input : layer.inputs)
      input = inOrder(input, hasChannelsFirst(layer) && first.rank > 1);
    return {1, false};
  }
  if (isElementwise(name) && !endsInSoftmax(config))
    return first;
  if (isMerge(name) && allMoved)
    return first;
  if (name == "BatchNormalization" && axisOf(layer) == 1 && first.rank > 1) {
    layer.inputs[0] = inOrder(layer.inputs[0], true);
    setAxis(config, -1);
    return {first.rank, true};
  }
  if (name == "Concatenate" && allMoved) {
    const auto rank = static_cast<int64_t>(first.rank);
    const int64_t axis =
        axisOf(layer) < 0 ? axisOf(layer) + rank + 1 : axisOf(layer);
    setAxis(config, axis == 1 ? rank : axis - 1);
    return first;
  }
  inFileOrder(layer);
  const bool keepsRank = name == "Dense" || name == "BatchNormalization" ||
                         isElementwise(name) || isMerge(name);
  return {keepsRank ? first.rank : 0, false};
}

void Mover::run() {
  if (llvm::none_of(graph.layers, hasChannelsFirst))
    return;
  for (const KerasInput &input : graph.inputs) {
    images[input.key] = {input.shape.size(), false};
    names[input.key] = input.name.empty() ? "input" : input.name;
  }
  for (auto [layer, config] : llvm::zip_equal(graph.layers, configs)) {
    const Image image = read(layer, config);
    images[layer.key] = image;
    names[layer.key] = layer.name;
    newLayers.push_back(std::move(layer));
    newConfigs.push_back(std::move(config));
  }
  for (std::string &output : graph.outputs)
    output = inOrder(output, false);
  graph.layers = std::move(newLayers);
  configs = std::move(newConfigs);
}

void sinter::frontend::moveChannels(KerasGraph &graph,
                                    std::vector<Config> &layers,
                                    std::vector<Offender> &offenders) {
  Mover(graph, layers, offenders).run();
}
