// Catalog.cpp - the tables. Names, defaults and meaning are Keras 3's.
//
// To add an entry, add a row; reader, builder, suggestions and documentation
// follow. A name Keras has and Sinter lacks belongs into the table's last list,
// so that users are told "not yet" instead of "unknown".
#include "frontend/Catalog.h"

#include "frontend/Spec.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <cstdio>

using namespace sinter::frontend;
using llvm::StringRef;

namespace {

constexpr StringRef kRequired = "";
constexpr Range kAny;
constexpr Range atLeast(double low) { return {.low = low}; }
constexpr Range above(double low) { return {.low = low, .lowOpen = true}; }
constexpr Range within(double low, double high) {
  return {.low = low, .high = high};
}
/// [0, 1): the range of a decay or a dropped fraction.
constexpr Range kFraction{.low = 0, .high = 1, .highOpen = true};
constexpr Range kOpenFraction{
    .low = 0, .high = 1, .lowOpen = true, .highOpen = true};
/// Sizes and counts fit the 32-bit numbers in which kernels count.
constexpr Range kSize = within(1, 2147483647);
constexpr Range kSeed = within(0, 9223372036854775807.0);

constexpr bool kFixed = true;
/// Randomness is a pure function of the training seed, layer and step.
const ArgInfo kSeedArg{"seed", Type::Integer, "null", "training's seed is used",
                       kAny,   kFixed};

std::vector<ArgInfo> join(std::vector<ArgInfo> args,
                          llvm::ArrayRef<ArgInfo> common) {
  args.insert(args.end(), common.begin(), common.end());
  return args;
}

// ---- Sections of a spec -----------------------------------------------------

std::vector<ArgInfo> inputArgs() {
  return {{"shape", Type::Integers, kRequired, "shape of one sample", kSize},
          {"scale", Type::Number, "1", "factor applied while data is read"},
          {"name", Type::Name, "input", "what `inputs:` calls it"}};
}

Table sections() {
  return {
      "section",
      "sections",
      {
          {"input", "InputLayer", "one sample as the network gets it",
           inputArgs()},
          {"reuse",
           "",
           "stands among the layers: calls an earlier one again, with the same "
           "weights",
           {{"layer", Type::Name, kRequired, "which one"},
            {"name", Type::Name, "null",
             "of this call [LAYER_1, LAYER_2, ...]"},
            {"inputs", Type::Names, "null",
             "layers whose results it reads [the one before it]"}}},
          {"train",
           "",
           "how the trainer runs; its flags override it",
           {{"epochs", Type::Integer, "1", "passes over the data", kSize},
            {"batch_size", Type::Integer, "32", "samples in one step",
             within(1, 1 << 20)},
            {"seed", Type::Integer, "0", "of initial weights, dropout, order",
             kSeed},
            {"shuffle", Type::Bool, "true", "a new order in each epoch"},
            {"class_weight", Type::ClassWeights, "null",
             "factors on the training loss of a class's samples"}}},
          {"validation_split",
           "",
           "takes a part of the training data for validation",
           {{"fraction", Type::Number, kRequired, "part of the samples",
             kOpenFraction},
            {"shuffle", Type::Bool, "false",
             "a random part; else the last samples, as in Keras"},
            {"seed", Type::Integer, "0", "of the random part", kSeed}}},
      },
  };
}

std::string checkCsv(const Config &config) {
  if (config.text("separator").size() != 1)
    return "expected 'separator' to be one character";
  // The trainer gets the columns as one line, separated by commas.
  for (const std::string &label : config.texts("label"))
    if (StringRef(label).contains(','))
      return "expected 'label' to name columns without commas; give positions";
  return "";
}

/// The trainer gets the files as one line, separated by commas.
std::string checkCifar10(const Config &config) {
  for (const std::string &file : config.texts("cifar10"))
    if (StringRef(file).contains(','))
      return "expected file names without commas";
  return "";
}

/// One file may be called anything.
std::string checkLabelFiles(const Config &config) {
  const std::vector<std::string> files = config.texts("labels");
  for (const std::string &file : files)
    if (files.size() > 1 && StringRef(file).contains(','))
      return "expected file names without commas";
  return "";
}

std::string checkInputFiles(const Config &config) {
  for (const std::string &file : config.texts("inputs"))
    if (StringRef(file).contains(','))
      return "expected file names without commas";
  return checkLabelFiles(config);
}

constexpr const char *kLabelsDoc =
    "targets: idx, idx.gz or npy; of several outputs {kind: FILE, size: FILE}";

Table dataSources() {
  return {
      "data source",
      "data sources",
      {
          {"images",
           "",
           "two files, one of inputs and one of targets",
           {{"images", Type::Text, kRequired, "inputs: idx, idx.gz or npy"},
            {"labels", Type::Texts, kRequired, kLabelsDoc}},
           {},
           checkLabelFiles},
          {"csv",
           "",
           "one table of numbers",
           {{"csv", Type::Text, kRequired, "file, may be .gz"},
            {"label", Type::Texts, kRequired,
             "target columns: names, or positions from 0 (-1 is the last); of "
             "several outputs {kind: COLUMNS, size: COLUMNS}"},
            {"skip_rows", Type::Integer, "0", "lines before the table",
             within(0, 2147483647)},
            {"separator", Type::Text, ",", "between fields"}},
           {},
           checkCsv},
          {"npz",
           "",
           "arrays of one NumPy archive",
           {{"npz", Type::Text, kRequired, "file"},
            {"x", Type::Text, "null",
             "array of the only input; those of several are called as the "
             "inputs are"},
            {"y", Type::Text, "null",
             "array of targets of the only output; those of several are called "
             "as the outputs are"}}},
          {"inputs",
           "",
           "a file for each of several inputs ({image: FILE, meta: FILE}), and "
           "one of targets",
           {{"inputs", Type::Texts, kRequired,
             "idx, idx.gz, npy or csv; here NAME=FILE"},
            {"labels", Type::Texts, kRequired, kLabelsDoc}},
           {},
           checkInputFiles},
          {"cifar10",
           "",
           "binary records of CIFAR-10; inputs are (32, 32, 3)",
           {{"cifar10", Type::Texts, kRequired, "files, may be .gz"}},
           {},
           checkCifar10},
          {"directory",
           "",
           "a folder for each class, in it PNG, PPM or PGM pictures; they are "
           "brought to the size of the input",
           {{"directory", Type::Text, kRequired, "the folder of folders"}}},
          {"synthetic",
           "",
           "made-up samples: random whole numbers, random labels",
           {{"synthetic", Type::Integer, kRequired, "how many samples",
             within(1, 100000000)},
            {"seed", Type::Integer, "0", "of the samples", kSeed},
            {"values", Type::Integer, "256",
             "inputs are from 0 to one less than this", within(2, 256)}}},
      },
  };
}

// ---- Layers -----------------------------------------------------------------

const ArgInfo kNegativeSlope{"negative_slope", Type::Number, "0.0",
                             "slope below 0", atLeast(0)};
const ArgInfo kAxis{"axis", Type::Integer, "-1", "dimension it runs over",
                    kAny,   kFixed};

constexpr const char *kReluDoc =
    "min(x, max_value) for x > threshold, else negative_slope (x - threshold)";

std::vector<ArgInfo> reluArgs() {
  return {kNegativeSlope,
          {"max_value", Type::Number, "null", "upper limit", atLeast(0)},
          {"threshold", Type::Number, "0.0", "where it starts", atLeast(0)}};
}

std::vector<ArgInfo> layer(std::vector<ArgInfo> args) {
  return join(std::move(args),
              {{"name", Type::Name, "null", "default: dense, dense_1, ..."},
               {"inputs", Type::Names, "null",
                "layers it reads; default: the one before"}});
}

std::string checkReshape(const Config &config) {
  std::vector<int64_t> shape = config.integers("target_shape");
  if (llvm::count(shape, -1) > 1)
    return "expected at most one -1 in 'target_shape'";
  if (llvm::is_contained(shape, 0))
    return "expected no 0 in 'target_shape'";
  return "";
}

// ---- Layers of images -------------------------------------------------------

/// Sides of windows and images that kernels can count.
constexpr Range kSide = within(1, 1 << 20);
constexpr Range kBorder = within(0, 1 << 20);

const ArgInfo kDataFormat{"data_format",        Type::Text, "channels_last",
                          "where channels are", kAny,       kFixed};
const ArgInfo kTrainable{"trainable", Type::Bool, "true",
                         "the optimizer changes it"};

ArgInfo activationArg() {
  return {"activation", Type::Activation, "linear", "applied to the result"};
}

/// NAME_initializer
ArgInfo initializer(StringRef name, StringRef value, StringRef doc) {
  return {name, Type::Initializer, value, doc};
}
ArgInfo regularizer(StringRef name, StringRef doc) {
  return {name, Type::Regularizer, "null", doc};
}
ArgInfo unsupported(StringRef name, Type type, StringRef doc) {
  return {name, type, "null", doc, kAny, kFixed};
}

/// Numbers before and after each of `rank` axes.
Type borderType(int rank) {
  return rank == 1 ? Type::Pair : rank == 2 ? Type::Pairs : Type::Triples;
}

/// Numbers are no part of Keras's argument; PyTorch and ONNX have them.
ArgInfo paddingArg(int rank, StringRef choices, StringRef doc) {
  return {"padding", borderType(rank), "valid", doc, kBorder, false, choices};
}

ArgInfo windowArg(int rank, StringRef name, StringRef value, StringRef doc,
                  Range range = kSide) {
  const Type type = rank == 1   ? Type::Integer
                    : rank == 2 ? Type::Pair
                                : Type::Triple;
  return {name, type, value, doc, range};
}

std::string checkConvTranspose(const Config &config) {
  if (!config.isNull("output_padding")) {
    std::vector<int64_t> extra = config.integers("output_padding"),
                         strides = config.integers("strides");
    for (size_t i = 0; i < extra.size(); ++i)
      if (extra[i] >= strides[i])
        return "expected 'output_padding' to be less than 'strides'";
  }
  return "";
}

/// What convolutions take between their sizes and their initializers.
std::vector<ArgInfo> stridedArgs(int rank, StringRef paddings = "valid|same") {
  return {windowArg(rank, "strides", "1", "pixels from window to window"),
          paddingArg(rank, paddings,
                     "same: pixels of 0 around, as many as windows need"),
          kDataFormat,
          windowArg(rank, "dilation_rate", "1", "pixels from tap to tap")};
}

const ArgInfo kFilters{"filters", Type::Integer, kRequired,
                       "channels of the result", kSize};
const ArgInfo kGroups{"groups", Type::Integer, "1",
                      "channels and filters in as many separate parts", kSize};
const ArgInfo kDepthMultiplier{"depth_multiplier", Type::Integer, "1",
                               "filters for each channel", kSize};

ArgInfo kernelSize(int rank) {
  return windowArg(rank, "kernel_size", kRequired, "of a window");
}

const ArgInfo kUseBias{"use_bias", Type::Bool, "true", "adds a bias"};

std::vector<ArgInfo> kernelArgs() {
  return {
      activationArg(),
      kUseBias,
      initializer("kernel_initializer", "glorot_uniform", "of the kernel"),
      initializer("bias_initializer", "zeros", "of the bias"),
      regularizer("kernel_regularizer", "penalty on the kernel"),
      regularizer("bias_regularizer", "penalty on the bias"),
      unsupported("activity_regularizer", Type::Regularizer,
                  "penalty on the result"),
      unsupported("kernel_constraint", Type::Text, "projection of the kernel"),
      unsupported("bias_constraint", Type::Text, "projection of the bias"),
      kTrainable};
}

std::vector<ArgInfo> convArgs(int rank) {
  std::vector<ArgInfo> args = {kFilters, kernelSize(rank)};
  llvm::append_range(
      args, stridedArgs(rank, rank == 1 ? "valid|same|causal" : "valid|same"));
  args.push_back(kGroups);
  return layer(join(std::move(args), kernelArgs()));
}

std::vector<ArgInfo> depthwiseArgs() {
  std::vector<ArgInfo> args = {kernelSize(2)};
  std::vector<ArgInfo> strided = stridedArgs(2);
  strided.insert(strided.begin() + 2, kDepthMultiplier); // as in Keras
  llvm::append_range(args, strided);
  return layer(join(
      std::move(args),
      {activationArg(), kUseBias,
       initializer("depthwise_initializer", "glorot_uniform", "of the kernel"),
       initializer("bias_initializer", "zeros", "of the bias"),
       regularizer("depthwise_regularizer", "penalty on the kernel"),
       regularizer("bias_regularizer", "penalty on the bias"),
       unsupported("activity_regularizer", Type::Regularizer,
                   "penalty on the result"),
       unsupported("depthwise_constraint", Type::Text,
                   "projection of the kernel"),
       unsupported("bias_constraint", Type::Text, "projection of the bias"),
       kTrainable}));
}

std::vector<ArgInfo> separableArgs() {
  std::vector<ArgInfo> args = {kFilters, kernelSize(2)};
  llvm::append_range(args, stridedArgs(2));
  return layer(join(
      std::move(args),
      {kDepthMultiplier, activationArg(), kUseBias,
       initializer("depthwise_initializer", "glorot_uniform",
                   "of the kernel of each channel"),
       initializer("pointwise_initializer", "glorot_uniform",
                   "of the kernel across channels"),
       initializer("bias_initializer", "zeros", "of the bias"),
       regularizer("depthwise_regularizer",
                   "penalty on the kernel of each channel"),
       regularizer("pointwise_regularizer",
                   "penalty on the kernel across channels"),
       regularizer("bias_regularizer", "penalty on the bias"),
       unsupported("activity_regularizer", Type::Regularizer,
                   "penalty on the result"),
       unsupported("depthwise_constraint", Type::Text,
                   "projection of the kernel of each channel"),
       unsupported("pointwise_constraint", Type::Text,
                   "projection of the kernel across channels"),
       unsupported("bias_constraint", Type::Text, "projection of the bias"),
       kTrainable}));
}

std::vector<ArgInfo> convTransposeArgs(int rank) {
  std::vector<ArgInfo> args = {kFilters, kernelSize(rank)};
  std::vector<ArgInfo> strided = stridedArgs(rank);
  strided.insert(strided.begin() + 2,
                 windowArg(rank, "output_padding", "null",
                           "pixels of the result beyond the smallest size",
                           kBorder));
  llvm::append_range(args, strided);
  return layer(join(std::move(args), kernelArgs()));
}

std::vector<ArgInfo> poolArgs(int rank) {
  return layer({windowArg(rank, "pool_size", "2", "of a window"),
                windowArg(rank, "strides", "null",
                          "pixels from window to window; default: pool_size"),
                paddingArg(rank, "valid|same",
                           "same: windows at the border may be smaller"),
                kDataFormat});
}

std::vector<ArgInfo> globalPoolArgs() {
  return layer(
      {kDataFormat, {"keepdims", Type::Bool, "false", "images of one pixel"}});
}

/// Borders of a sequence or an image.
std::vector<ArgInfo> borderArgs(int rank, StringRef name, StringRef value,
                                StringRef doc) {
  std::vector<ArgInfo> args = {{name, borderType(rank), value, doc, kBorder}};
  if (rank > 1)
    args.push_back(kDataFormat);
  return layer(std::move(args));
}

/// gamma and beta.
std::vector<ArgInfo> normalizationArgs() {
  return {{"center", Type::Bool, "true", "adds beta"},
          {"scale", Type::Bool, "true", "multiplies by gamma"},
          initializer("beta_initializer", "zeros", "of beta"),
          initializer("gamma_initializer", "ones", "of gamma"),
          regularizer("beta_regularizer", "penalty on beta"),
          regularizer("gamma_regularizer", "penalty on gamma"),
          unsupported("beta_constraint", Type::Text, "projection of beta"),
          unsupported("gamma_constraint", Type::Text, "projection of gamma")};
}

std::vector<ArgInfo> batchNormalizationArgs() {
  std::vector<ArgInfo> args = {
      {"axis", Type::Integer, "-1", "dimension of the channels: the last"},
      {"momentum", Type::Number, "0.99",
       "part of the moving statistics that a step keeps", within(0, 1)},
      {"epsilon", Type::Number, "0.001", "added to the variance", above(0)}};
  llvm::append_range(args, normalizationArgs());
  return layer(join(
      std::move(args),
      {initializer("moving_mean_initializer", "zeros", "of the moving mean"),
       initializer("moving_variance_initializer", "ones",
                   "of the moving variance"),
       {"synchronized", Type::Bool, "false", "over several machines", kAny,
        kFixed},
       {"trainable", Type::Bool, "true",
        "false: the moving statistics are used in training, too"}}));
}

std::vector<ArgInfo> layerNormalizationArgs() {
  std::vector<ArgInfo> args = {
      {"axis", Type::Integers, "-1", "dimensions it runs over: the last ones"},
      {"epsilon", Type::Number, "0.001", "added to the variance", above(0)}};
  llvm::append_range(args, normalizationArgs());
  args.push_back(kTrainable);
  return layer(std::move(args));
}

std::vector<ArgInfo> spatialDropoutArgs(int rank) {
  std::vector<ArgInfo> args = {{"rate", Type::Number, kRequired,
                                "fraction of channels set to 0", kFraction}};
  if (rank > 1)
    args.push_back(kDataFormat);
  args.push_back(kSeedArg);
  return layer(std::move(args));
}

std::vector<EntryInfo> imageLayers() {
  return {
      {"conv1d", "Conv1D", "activation(kernel over each window + bias)",
       convArgs(1)},
      {"conv2d", "Conv2D", "activation(kernel over each window + bias)",
       convArgs(2)},
      {"depthwise_conv2d", "DepthwiseConv2D",
       "a convolution of each channel alone", depthwiseArgs()},
      {"separable_conv2d", "SeparableConv2D",
       "a convolution of each channel alone, then one across channels",
       separableArgs()},
      {"conv2d_transpose",
       "Conv2DTranspose",
       "the transpose of a convolution: strides enlarge",
       convTransposeArgs(2),
       {},
       checkConvTranspose},
      {"max_pooling1d",
       "MaxPooling1D",
       "largest element of each window",
       poolArgs(1),
       {"max_pool1d"}},
      {"max_pooling2d",
       "MaxPooling2D",
       "largest pixel of each window",
       poolArgs(2),
       {"max_pool2d"}},
      {"average_pooling1d",
       "AveragePooling1D",
       "mean of each window",
       poolArgs(1),
       {"avg_pool1d"}},
      {"average_pooling2d",
       "AveragePooling2D",
       "mean of each window",
       poolArgs(2),
       {"avg_pool2d"}},
      {"global_max_pooling1d",
       "GlobalMaxPooling1D",
       "largest element of each channel",
       globalPoolArgs(),
       {"global_max_pool1d"}},
      {"global_max_pooling2d",
       "GlobalMaxPooling2D",
       "largest pixel of each channel",
       globalPoolArgs(),
       {"global_max_pool2d"}},
      {"global_average_pooling1d",
       "GlobalAveragePooling1D",
       "mean of each channel",
       globalPoolArgs(),
       {"global_avg_pool1d"}},
      {"global_average_pooling2d",
       "GlobalAveragePooling2D",
       "mean of each channel",
       globalPoolArgs(),
       {"global_avg_pool2d"}},
      {"zero_padding1d", "ZeroPadding1D", "zeros before and after",
       borderArgs(1, "padding", "1", "how many; [before, after]")},
      {"zero_padding2d", "ZeroPadding2D", "zeros around",
       borderArgs(2, "padding", "1",
                  "how many; [vertical, horizontal] or "
                  "[[top, bottom], [left, right]]")},
      {"cropping1d", "Cropping1D", "without steps at the ends",
       borderArgs(1, "cropping", "1", "how many; [before, after]")},
      {"cropping2d", "Cropping2D", "without pixels at the borders",
       borderArgs(2, "cropping", "0",
                  "how many; [vertical, horizontal] or "
                  "[[top, bottom], [left, right]]")},
      {"up_sampling1d",
       "UpSampling1D",
       "each step repeated",
       layer({windowArg(1, "size", "2", "how often")}),
       {"upsampling1d"}},
      {"up_sampling2d",
       "UpSampling2D",
       "each pixel repeated",
       layer({windowArg(2, "size", "2", "how often"),
              kDataFormat,
              {"interpolation", Type::Text, "nearest", "between pixels", kAny,
               kFixed}}),
       {"upsampling2d"}},
      {"permute", "Permute", "dimensions in another order",
       layer({{"dims", Type::Integers, kRequired,
               "1 is the first dimension of a sample", kSize}})},
      {"batch_normalization", "BatchNormalization",
       "gamma (x - mean) / sqrt(variance + epsilon) + beta, of each channel "
       "over the batch",
       batchNormalizationArgs()},
      {"layer_normalization", "LayerNormalization",
       "gamma (x - mean) / sqrt(variance + epsilon) + beta, of each sample",
       layerNormalizationArgs()},
      {"spatial_dropout1d", "SpatialDropout1D",
       "in training: drops whole channels", spatialDropoutArgs(1)},
      {"spatial_dropout2d", "SpatialDropout2D",
       "in training: drops whole channels", spatialDropoutArgs(2)},
  };
}

/// Of volumes (depth, height, width, channels).
std::vector<EntryInfo> volumeLayers() {
  const StringRef borders = "how many; [depth, vertical, horizontal] or three "
                            "pairs of before and after";
  return {
      {"conv3d", "Conv3D", "activation(kernel over each window + bias)",
       convArgs(3)},
      {"conv3d_transpose",
       "Conv3DTranspose",
       "the transpose of a convolution: strides enlarge",
       convTransposeArgs(3),
       {},
       checkConvTranspose},
      {"max_pooling3d",
       "MaxPooling3D",
       "largest voxel of each window",
       poolArgs(3),
       {"max_pool3d"}},
      {"average_pooling3d",
       "AveragePooling3D",
       "mean of each window",
       poolArgs(3),
       {"avg_pool3d"}},
      {"global_max_pooling3d",
       "GlobalMaxPooling3D",
       "largest voxel of each channel",
       globalPoolArgs(),
       {"global_max_pool3d"}},
      {"global_average_pooling3d",
       "GlobalAveragePooling3D",
       "mean of each channel",
       globalPoolArgs(),
       {"global_avg_pool3d"}},
      {"zero_padding3d", "ZeroPadding3D", "zeros around",
       borderArgs(3, "padding", "1", borders)},
      {"cropping3d", "Cropping3D", "without voxels at the borders",
       borderArgs(3, "cropping", "1", borders)},
      {"up_sampling3d",
       "UpSampling3D",
       "each voxel repeated",
       layer({windowArg(3, "size", "2", "how often"), kDataFormat}),
       {"upsampling3d"}},
      {"spatial_dropout3d", "SpatialDropout3D",
       "in training: drops whole channels", spatialDropoutArgs(3)},
  };
}

// ---- Layers of sequences ----------------------------------------------------

/// What lstm, gru and simple_rnn share; `own` are those of one alone.
std::vector<ArgInfo> recurrentArgs(bool hasGates, std::vector<ArgInfo> own) {
  std::vector<ArgInfo> args = {
      {"units", Type::Integer, kRequired, "length of the state", kSize},
      {"activation", Type::Activation, "tanh", "of the state"}};
  if (hasGates)
    args.push_back(
        {"recurrent_activation", Type::Activation, "sigmoid", "of the gates"});
  llvm::append_range(
      args, std::vector<ArgInfo>{
                kUseBias,
                initializer("kernel_initializer", "glorot_uniform",
                            "of the kernel (in, gates units)"),
                initializer("recurrent_initializer", "orthogonal",
                            "of the recurrent kernel (units, gates units)"),
                initializer("bias_initializer", "zeros", "of the bias")});
  llvm::append_range(args, own);
  llvm::append_range(
      args,
      std::vector<ArgInfo>{
          regularizer("kernel_regularizer", "penalty on the kernel"),
          regularizer("recurrent_regularizer",
                      "penalty on the recurrent kernel"),
          regularizer("bias_regularizer", "penalty on the bias"),
          unsupported("activity_regularizer", Type::Regularizer,
                      "penalty on the result"),
          unsupported("kernel_constraint", Type::Text,
                      "projection of the kernel"),
          unsupported("recurrent_constraint", Type::Text,
                      "projection of the recurrent kernel"),
          unsupported("bias_constraint", Type::Text, "projection of the bias"),
          {"dropout", Type::Number, "0.0",
           "in training: fraction of the input's features set to 0, the same "
           "in all steps",
           kFraction},
          {"recurrent_dropout", Type::Number, "0.0",
           "in training: fraction of the state set to 0 in the product with "
           "the recurrent kernel, the same in all steps",
           kFraction},
          {"return_sequences", Type::Bool, "false",
           "the states of all steps instead of the last one's"},
          {"return_state", Type::Bool, "false",
           "layers `state` may take out what the last step leaves"},
          {"zero_output_for_mask", Type::Bool, "false",
           "masked steps give 0 instead of the result before them"},
          {"go_backwards", Type::Bool, "false", "from the last step on"},
          {"stateful", Type::Bool, "false",
           "a batch goes on where the one before ended", kAny, kFixed},
          {"unroll", Type::Bool, "false",
           "no matter: steps are always written out"},
          kTrainable});
  return layer(std::move(args));
}

std::vector<EntryInfo> recurrentLayers() {
  auto wrapped = [](StringRef doc) {
    return ArgInfo{"layer", Type::Layer, kRequired, doc};
  };
  return {
      {"lstm", "LSTM",
       "a state and a memory with gates, updated step by step; `inputs` may "
       "name both at the start, too",
       recurrentArgs(/*hasGates=*/true,
                     {{"unit_forget_bias", Type::Bool, "true",
                       "the bias of the forget gate starts at 1"},
                      {"peepholes", Type::Bool, "false",
                       "gates see the memory (ONNX has this, Keras does "
                       "not)"}})},
      {"gru", "GRU",
       "a state with gates, updated step by step; `inputs` may name it at the "
       "start, too",
       recurrentArgs(/*hasGates=*/true,
                     {{"reset_after", Type::Bool, "true",
                       "the reset gate works on the product with the state, "
                       "which has a bias of its own"}})},
      {"simple_rnn", "SimpleRNN",
       "activation(x kernel + bias + state recurrent_kernel), step by step; "
       "`inputs` may name the state at the start, too",
       recurrentArgs(/*hasGates=*/false, {})},
      {"bidirectional", "Bidirectional",
       "a recurrent layer and a second one that walks the other way",
       layer({wrapped("lstm, gru or simple_rnn"),
              {"merge_mode", Type::Text, "concat", "how results are joined",
               kAny, false, "concat|sum|mul|ave"},
              {"backward_layer", Type::Layer, "null",
               "the second layer; default: as the first"},
              kTrainable})},
      {"state", "State",
       "what a recurrent layer with return_state: true carries after its last "
       "step (in Keras a further result of that layer)",
       layer({{"index", Type::Integer, "0",
               "0: h; 1: c of an lstm; of a bidirectional, those of 'layer', "
               "then those of 'backward_layer'",
               within(0, 3)}})},
      {"time_distributed", "TimeDistributed", "a layer on each step by itself",
       layer({wrapped("of one input"), kTrainable})},
      {"repeat_vector", "RepeatVector", "the input as each of n steps",
       layer({{"n", Type::Integer, kRequired, "how many steps", kSize}})},
  };
}

// ---- Products and attention -------------------------------------------------

/// What attention layers have besides their own arguments.
std::vector<ArgInfo> attendingArgs(std::vector<ArgInfo> args) {
  args.push_back({"dropout", Type::Number, "0.0",
                  "in training: fraction of attention weights set to 0",
                  kFraction});
  args.push_back(kSeedArg);
  args.push_back({"use_causal_mask", Type::Bool, "false",
                  "no row attends to a later one; in Keras of the call"});
  args.push_back(kTrainable);
  return layer(std::move(args));
}

std::vector<ArgInfo> multiHeadAttentionArgs() {
  return attendingArgs({
      {"num_heads", Type::Integer, kRequired, "heads side by side", kSize},
      {"key_dim", Type::Integer, kRequired, "size of a head's query and key",
       kSize},
      {"value_dim", Type::Integer, "null", "of its value; default: key_dim",
       kSize},
      {"use_bias", Type::Bool, "true", "of all projections"},
      {"output_shape", Type::Integers, "null",
       "last dimensions of the result; default: the query's", kSize},
      unsupported("attention_axes", Type::Integers,
                  "default: all but the batch and the last"),
      unsupported("flash_attention", Type::Bool, "how it is computed"),
      initializer("kernel_initializer", "glorot_uniform", "of all kernels"),
      initializer("bias_initializer", "zeros", "of all biases"),
      regularizer("kernel_regularizer", "penalty on all kernels"),
      regularizer("bias_regularizer", "penalty on all biases"),
      {"activity_regularizer", Type::Regularizer, "null",
       "penalty on the result", kAny, kFixed},
      unsupported("kernel_constraint", Type::Text, "projection of kernels"),
      unsupported("bias_constraint", Type::Text, "projection of biases"),
  });
}

/// Products of two layers' results.
std::vector<EntryInfo> attentionLayers() {
  return {
      {"dot", "Dot", "sums of products along an axis of each of two inputs",
       layer({{"axes", Type::Integers, kRequired,
               "one axis of both, or one of each; 0 is the batch"},
              {"normalize", Type::Bool, "false",
               "cosines: each input over its length along the axis"}})},
      {"matmul", "Matmul",
       "NumPy's matmul, sample by sample: the product of the last two axes; the "
       "others broadcast, and a vector is a row or a column",
       layer({})},
      {"attention", "Attention",
       "softmax(query key') value; inputs: query, value, and perhaps key",
       attendingArgs({{"use_scale", Type::Bool, "false",
                       "a trained factor of the scores"},
                      {"score_mode", Type::Text, "dot",
                       "dot: query key'; concat: the sum of tanh(query + key)",
                       kAny, false, "dot|concat"}})},
      {"additive_attention", "AdditiveAttention",
       "softmax(sum of scale tanh(query + key)) value; inputs: query, value, "
       "and perhaps key",
       attendingArgs({{"use_scale", Type::Bool, "true",
                       "a trained factor of each feature"}})},
      {"multi_head_attention", "MultiHeadAttention",
       "softmax(Q K' / sqrt(key_dim)) V of each head, joined; inputs: query, "
       "value, key, or one that is all three",
       multiHeadAttentionArgs()},
  };
}

/// keras.ops. The classes name layers: exp, exp_1, ...
std::vector<EntryInfo> operationLayers() {
  std::vector<EntryInfo> rows;
  auto plain = [&](StringRef name, StringRef className, StringRef doc) {
    rows.push_back({name, className, doc, layer({})});
  };
  plain("absolute", "Absolute", "|x|");
  plain("arccos", "Arccos", "the angle in radians with cosine x");
  plain("arcsin", "Arcsin", "the angle in radians with sine x");
  plain("arctan", "Arctan", "the angle in radians with tangent x");
  plain("arccosh", "Arccosh", "the positive number with hyperbolic cosine x");
  plain("arcsinh", "Arcsinh", "the number with hyperbolic sine x");
  plain("arctanh", "Arctanh", "the number with hyperbolic tangent x");
  plain("ceil", "Ceil", "smallest integer >= x");
  plain("cos", "Cos", "cosine, x in radians");
  plain("cosh", "Cosh", "(exp(x) + exp(-x)) / 2");
  plain("erf", "Erf", "2 / sqrt(pi) times the integral of exp(-t^2) to x");
  plain("exp", "Exp", "e^x");
  plain("expm1", "Expm1", "e^x - 1");
  plain("floor", "Floor", "largest integer <= x");
  plain("isinf", "Isinf", "1 where x is infinite, else 0");
  plain("isnan", "Isnan", "1 where x is not a number, else 0");
  plain("log", "Log", "natural logarithm");
  plain("log1p", "Log1p", "log(1 + x)");
  plain("logical_not", "LogicalNot", "1 where x is 0, else 0");
  plain("negative", "Negative", "-x");
  plain("reciprocal", "Reciprocal", "1 / x");
  plain("round", "Round", "nearest integer, halves to the even one");
  plain("rsqrt", "Rsqrt", "1 / sqrt(x)");
  plain("sign", "Sign", "1, 0 or -1");
  plain("sin", "Sin", "sine, x in radians");
  plain("sinh", "Sinh", "(exp(x) - exp(-x)) / 2");
  plain("sqrt", "Sqrt", "square root");
  plain("square", "Square", "x^2");
  plain("tan", "Tan", "tangent, x in radians");
  plain("trunc", "Trunc", "x without what follows the point");
  plain("divide", "Divide", "the first input over the second");
  plain("equal", "Equal", "1 where the inputs are equal, else 0");
  plain("floor_divide", "FloorDivide", "floor(x1 / x2)");
  plain("greater", "Greater", "1 where x1 > x2, else 0");
  plain("greater_equal", "GreaterEqual", "1 where x1 >= x2, else 0");
  plain("less", "Less", "1 where x1 < x2, else 0");
  plain("less_equal", "LessEqual", "1 where x1 <= x2, else 0");
  plain("logical_and", "LogicalAnd", "1 where neither input is 0, else 0");
  plain("logical_or", "LogicalOr", "1 where an input is not 0, else 0");
  plain("logical_xor", "LogicalXor", "1 where one input is not 0, else 0");
  plain("mod", "Mod", "x1 - x2 floor(x1 / x2)");
  plain("not_equal", "NotEqual", "1 where the inputs differ, else 0");
  plain("power", "Power", "x1^x2");
  plain("where", "Where", "x1 where the first input is not 0, else x2");
  auto reduction = [&](StringRef name, StringRef className, StringRef doc) {
    rows.push_back(
        {name, className, doc,
         layer({{"axis", Type::Integers, "null",
                 "axes it runs over, 0 is the batch; default: all "
                 "of a sample"},
                {"keepdims", Type::Bool, "false", "they stay, with size 1"}})});
  };
  reduction("sum", "Sum", "sum of elements");
  reduction("mean", "Mean", "mean of elements");
  reduction("max", "Max", "largest element");
  reduction("min", "Min", "smallest element");
  reduction("prod", "Prod", "product of elements");
  reduction("logsumexp", "Logsumexp", "log(sum(exp(x)))");
  rows.push_back({"slice", "Slice", "a part of each sample",
                  layer({{"start_indices", Type::Integers, kRequired,
                          "its first element, an index for each axis of a "
                          "sample",
                          kBorder},
                         {"shape", Type::Integers, kRequired,
                          "its size along each axis of a sample", kSize}})});
  auto place = [&](StringRef name, StringRef className, StringRef doc) {
    rows.push_back(
        {name, className, doc,
         layer({{"axis", Type::Integer, "-1",
                 "the axis it looks along, 0 is the batch"},
                {"keepdims", Type::Bool, "false", "it stays, with size 1"}})});
  };
  place("argmax", "Argmax", "first place of the largest element");
  place("argmin", "Argmin", "first place of the smallest element");
  return rows;
}

Table plainLayers() {
  return {
      "layer",
      "layers",
      {
          {"input", "InputLayer",
           "the `input` section, written as the first layer", inputArgs()},
          {"flatten", "Flatten", "all of a sample in one dimension", layer({})},
          {"reshape",
           "Reshape",
           "another shape, same number of elements",
           layer({{"target_shape", Type::Integers, kRequired,
                   "shape of one sample; -1 is what remains",
                   within(-1, kSize.high)}}),
           {},
           checkReshape},
          {"dense", "Dense",
           "activation(x kernel + bias), over the last dimension",
           layer(
               {{"units", Type::Integer, kRequired, "number of outputs", kSize},
                {"activation", Type::Activation, "linear",
                 "applied to the result"},
                {"use_bias", Type::Bool, "true", "adds a bias"},
                {"kernel_initializer", Type::Initializer, "glorot_uniform",
                 "of the kernel (in, units)"},
                {"bias_initializer", Type::Initializer, "zeros",
                 "of the bias (units)"},
                {"kernel_regularizer", Type::Regularizer, "null",
                 "penalty on the kernel, added to the loss"},
                {"bias_regularizer", Type::Regularizer, "null",
                 "penalty on the bias, added to the loss"},
                {"activity_regularizer", Type::Regularizer, "null",
                 "penalty on the result", kAny, kFixed},
                {"kernel_constraint", Type::Text, "null",
                 "projection of the kernel", kAny, kFixed},
                {"bias_constraint", Type::Text, "null",
                 "projection of the bias", kAny, kFixed},
                {"trainable", Type::Bool, "true",
                 "the optimizer changes kernel and bias"}})},
          {"parameter", "Parameter",
           "a tensor that training changes, the same for every sample; for "
           "add, "
           "multiply, ...",
           layer(
               {{"shape", Type::Integers, kRequired, "as of one sample", kSize},
                initializer("value_initializer", "zeros", "of the tensor"),
                regularizer("value_regularizer", "penalty on the tensor"),
                kTrainable})},
          {"embedding", "Embedding",
           "each whole number's row of a table, which training learns",
           layer({{"input_dim", Type::Integer, kRequired,
                   "rows: numbers are 0 .. input_dim - 1", within(1, 1 << 24)},
                  {"output_dim", Type::Integer, kRequired, "length of a row",
                   kSize},
                  {"embeddings_initializer", Type::Initializer,
                   "random_uniform", "of the table (input_dim, output_dim)"},
                  {"embeddings_regularizer", Type::Regularizer, "null",
                   "penalty on the table, added to the loss"},
                  {"embeddings_constraint", Type::Text, "null",
                   "projection of the table", kAny, kFixed},
                  {"mask_zero", Type::Bool, "false",
                   "0 stands for nothing: layers behind leave such steps out"},
                  {"weights", Type::Text, "null", "the table's first values",
                   kAny, kFixed},
                  {"lora_rank", Type::Integer, "null",
                   "rank of an additional product", kAny, kFixed},
                  {"trainable", Type::Bool, "true",
                   "the optimizer changes the table"}})},
          {"masking", "Masking",
           "steps all of whose elements are mask_value stand for nothing: "
           "layers behind leave them out",
           layer({{"mask_value", Type::Number, "0.0", "which value"}})},
          {"activation", "Activation", "an activation as a layer of its own",
           layer({{"activation", Type::Activation, kRequired,
                   "which function"}})},
          {"relu", "ReLU", kReluDoc, layer(reluArgs())},
          {"leaky_relu", "LeakyReLU", "x for x > 0, else negative_slope x",
           layer({{"negative_slope", Type::Number, "0.3", "slope below 0",
                   atLeast(0)}})},
          {"elu", "ELU", "x for x > 0, else alpha (exp(x) - 1)",
           layer({{"alpha", Type::Number, "1.0", "depth of the left branch",
                   atLeast(0)}})},
          {"softmax", "Softmax",
           "exp(x) / sum(exp(x)), over the last dimension", layer({kAxis})},
          {"dropout", "Dropout",
           "in training: 0 with probability rate, else x / (1 - rate)",
           layer({{"rate", Type::Number, kRequired,
                   "fraction of inputs set to 0", kFraction},
                  kSeedArg})},
          {"gaussian_noise", "GaussianNoise",
           "in training: x + normal(0, stddev)",
           layer({{"stddev", Type::Number, kRequired,
                   "standard deviation of the noise", atLeast(0)},
                  kSeedArg})},
          {"rescaling", "Rescaling", "x scale + offset",
           layer({{"scale", Type::Number, kRequired, "factor"},
                  {"offset", Type::Number, "0.0", "added"}})},
          {"add", "Add", "sum of its inputs", layer({})},
          {"subtract", "Subtract", "the first input less the second",
           layer({})},
          {"multiply", "Multiply", "product of its inputs", layer({})},
          {"average", "Average", "mean of its inputs", layer({})},
          {"maximum", "Maximum", "largest of its inputs", layer({})},
          {"minimum", "Minimum", "smallest of its inputs", layer({})},
          {"concatenate", "Concatenate", "its inputs, one after the other",
           layer({{"axis", Type::Integer, "-1",
                   "dimension to join; 0 is the batch"}})},
      },
      {"alpha_dropout", "center_crop", "conv1d_transpose", "depthwise_conv1d",
       "einsum_dense", "gaussian_dropout", "group_normalization", "lambda",
       "normalization", "prelu", "random_crop", "random_flip",
       "random_rotation", "resizing", "rms_normalization", "separable_conv1d",
       "unit_normalization"},
  };
}

Table layers() {
  Table table = plainLayers();
  llvm::append_range(table.entries, attentionLayers());
  llvm::append_range(table.entries, imageLayers());
  llvm::append_range(table.entries, volumeLayers());
  llvm::append_range(table.entries, recurrentLayers());
  llvm::append_range(table.entries, operationLayers());
  return table;
}

Table activations() {
  return {
      "activation",
      "activations",
      {
          {"linear", "", "x", {}},
          {"relu", "", kReluDoc, reluArgs()},
          {"leaky_relu",
           "",
           "x for x > 0, else negative_slope x",
           {{"negative_slope", Type::Number, "0.2", "slope below 0",
             atLeast(0)}}},
          {"elu",
           "",
           "x for x > 0, else alpha (exp(x) - 1)",
           {{"alpha", Type::Number, "1.0", "depth of the left branch",
             atLeast(0)}}},
          {"selu", "", "1.0507 elu(x, alpha = 1.6733)", {}},
          {"gelu",
           "",
           "x Phi(x), Phi the normal distribution",
           {{"approximate", Type::Bool, "false", "Phi through tanh"}}},
          {"silu", "", "x sigmoid(x)", {}, {"swish"}},
          {"sigmoid", "", "1 / (1 + exp(-x))", {}},
          {"hard_sigmoid", "", "min(max(x / 6 + 1/2, 0), 1)", {}},
          {"tanh", "", "(exp(x) - exp(-x)) / (exp(x) + exp(-x))", {}},
          {"softplus", "", "log(1 + exp(x))", {}},
          {"softmax",
           "",
           "exp(x) / sum(exp(x)), over the last dimension",
           {kAxis}},
          {"log_softmax",
           "",
           "x - log(sum(exp(x))), over the last dimension",
           {kAxis}},
          {"celu",
           "",
           "max(x, 0) + alpha (exp(min(x, 0) / alpha) - 1)",
           {{"alpha", Type::Number, "1.0", "depth of the left branch",
             above(0)}}},
          {"exponential", "", "exp(x)", {}},
          {"hard_shrink",
           "",
           "x where |x| > threshold, else 0",
           {{"threshold", Type::Number, "0.5", "half the gap", atLeast(0)}}},
          {"hard_silu", "", "x hard_sigmoid(x)", {}, {"hard_swish"}},
          {"hard_tanh", "", "min(max(x, -1), 1)", {}},
          {"log_sigmoid", "", "-log(1 + exp(-x))", {}},
          {"mish", "", "x tanh(softplus(x))", {}},
          {"relu6", "", "min(max(x, 0), 6)", {}},
          {"soft_shrink",
           "",
           "x less what lies within threshold of 0",
           {{"threshold", Type::Number, "0.5", "half the gap", atLeast(0)}}},
          {"softsign", "", "x / (1 + |x|)", {}},
          {"squareplus",
           "",
           "(x + sqrt(x^2 + b)) / 2",
           {{"b", Type::Number, "4.0", "smoothness", atLeast(0)}}},
          {"tanh_shrink", "", "x - tanh(x)", {}},
      },
      {"glu", "sparsemax"},
  };
}

// ---- Initial values and penalties -------------------------------------------

Table initializers() {
  const ArgInfo mean{"mean", Type::Number, "0.0", "mean"};
  const ArgInfo stddev{"stddev", Type::Number, "0.05", "standard deviation",
                       atLeast(0)};
  return {
      "initializer",
      "initializers",
      {
          {"glorot_uniform", "", "+-sqrt(6 / (in + out))", {kSeedArg}},
          {"glorot_normal",
           "",
           "truncated, variance 2 / (in + out)",
           {kSeedArg}},
          {"he_uniform", "", "+-sqrt(6 / in)", {kSeedArg}},
          {"he_normal", "", "truncated, variance 2 / in", {kSeedArg}},
          {"lecun_uniform", "", "+-sqrt(3 / in)", {kSeedArg}},
          {"lecun_normal", "", "truncated, variance 1 / in", {kSeedArg}},
          {"zeros", "", "0", {}, {"zero"}},
          {"ones", "", "1", {}, {"one"}},
          {"constant",
           "",
           "one value",
           {{"value", Type::Number, "0.0", "the value"}}},
          {"random_normal", "", "normal", {mean, stddev, kSeedArg}, {"normal"}},
          {"random_uniform",
           "",
           "uniform on [minval, maxval)",
           {{"minval", Type::Number, "-0.05", "lower limit"},
            {"maxval", Type::Number, "0.05", "upper limit"},
            kSeedArg},
           {"uniform"},
           [](const Config &config) -> std::string {
             return config.number("minval") <= config.number("maxval")
                        ? ""
                        : "expected 'minval' to be at most 'maxval'";
           }},
          {"orthogonal",
           "",
           "gain times random rows, or columns where these are fewer, at right "
           "angles",
           {{"gain", Type::Number, "1.0", "length of a row"}, kSeedArg}},
          {"truncated_normal",
           "",
           "normal, redrawn beyond two standard deviations",
           {mean, stddev, kSeedArg}},
      },
      {"identity", "stft", "variance_scaling"},
  };
}

Table regularizers() {
  return {
      "regularizer",
      "regularizers",
      {
          {"l1",
           "",
           "l1 sum |w|",
           {{"l1", Type::Number, "0.01", "factor", atLeast(0)}}},
          {"l2",
           "",
           "l2 sum w^2",
           {{"l2", Type::Number, "0.01", "factor", atLeast(0)}}},
          {"l1_l2",
           "",
           "l1 sum |w| + l2 sum w^2",
           {{"l1", Type::Number, "0.0", "factor of |w|", atLeast(0)},
            {"l2", Type::Number, "0.0", "factor of w^2", atLeast(0)}}},
      },
      {"orthogonal_regularizer"},
  };
}

// ---- Losses and metrics -----------------------------------------------------

Table losses() {
  const ArgInfo fromLogits{"from_logits", Type::Bool, "false",
                           "the output has no softmax or sigmoid"};
  const ArgInfo smoothing{"label_smoothing", Type::Number, "0.0",
                          "targets move this far to the mean", within(0, 1)};
  return {
      "loss",
      "losses",
      {
          {"sparse_categorical_crossentropy",
           "",
           "-log p[label]; targets are class numbers",
           {fromLogits,
            {"ignore_class", Type::Integer, "null", "label without loss", kAny,
             kFixed}}},
          {"categorical_crossentropy",
           "",
           "-sum t log p; targets are one-hot",
           {fromLogits, smoothing, kAxis}},
          {"binary_crossentropy",
           "",
           "-mean(t log p + (1 - t) log(1 - p))",
           {fromLogits, smoothing, kAxis},
           {"bce"}},
          {"mean_squared_error", "", "mean (t - y)^2", {}, {"mse"}},
          {"mean_absolute_error", "", "mean |t - y|", {}, {"mae"}},
          {"huber",
           "",
           "(t - y)^2 / 2 near 0, delta |t - y| - delta^2 / 2 beyond delta",
           {{"delta", Type::Number, "1.0", "where it turns linear", above(0)}}},
          {"hinge", "", "mean max(1 - t y, 0); targets 0 count as -1", {}},
      },
      {"binary_focal_crossentropy", "categorical_focal_crossentropy",
       "categorical_hinge", "circle", "cosine_similarity", "ctc", "dice",
       "kl_divergence", "kld", "log_cosh", "mape",
       "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
       "msle", "poisson", "squared_hinge", "tversky"},
  };
}

std::vector<ArgInfo> metric(std::vector<ArgInfo> args) {
  return join(std::move(args), {{"name", Type::Name, "null",
                                 "in the history; default: itself"}});
}

Table metrics() {
  const ArgInfo k{"k", Type::Integer, "5", "how many guesses count", kSize};
  return {
      "metric",
      "metrics",
      {
          {"accuracy",
           "",
           "binary, categorical or sparse: follows loss and output",
           metric({}),
           {"acc"}},
          {"binary_accuracy", "",
           "part of outputs on the target's side of the threshold",
           metric({{"threshold", Type::Number, "0.5", "between 0 and 1",
                    within(0, 1)}})},
          {"categorical_accuracy", "", "argmax y = argmax t", metric({})},
          {"sparse_categorical_accuracy", "", "argmax y = label", metric({})},
          {"top_k_categorical_accuracy", "",
           "argmax t is among the k largest y", metric({k})},
          {"sparse_top_k_categorical_accuracy", "",
           "label is among the k largest y", metric({k})},
          {"mean_squared_error", "", "mean (t - y)^2", metric({}), {"mse"}},
          {"mean_absolute_error", "", "mean |t - y|", metric({}), {"mae"}},
      },
      {"auc",
       "binary_crossentropy",
       "binary_iou",
       "categorical_crossentropy",
       "categorical_hinge",
       "cosine_similarity",
       "f1_score",
       "false_negatives",
       "false_positives",
       "fbeta_score",
       "hinge",
       "iou",
       "kl_divergence",
       "mape",
       "mean",
       "mean_absolute_percentage_error",
       "mean_iou",
       "msle",
       "pearson_correlation",
       "poisson",
       "precision",
       "r2_score",
       "recall",
       "root_mean_squared_error",
       "sparse_categorical_crossentropy",
       "squared_hinge",
       "sum",
       "true_negatives",
       "true_positives"},
  };
}

// ---- Optimizers and learning-rate schedules ---------------------------------

std::string checkOptimizer(const Config &config) {
  int clips = 0;
  for (StringRef arg : {"clipnorm", "global_clipnorm", "clipvalue"})
    clips += !config.isNull(arg);
  return clips <= 1 ? ""
                    : "expected at most one of 'clipnorm', 'global_clipnorm' "
                      "and 'clipvalue'";
}

EntryInfo optimizer(StringRef name, StringRef doc, StringRef learningRate,
                    std::vector<ArgInfo> args, StringRef weightDecay = "null") {
  std::vector<ArgInfo> all = {{"learning_rate", Type::Schedule, learningRate,
                               "step size, a number or a schedule"}};
  llvm::append_range(all, args);
  return {name,
          "",
          doc,
          join(std::move(all),
               {{"weight_decay", Type::Number, weightDecay,
                 "w -= learning_rate weight_decay w before each update",
                 atLeast(0)},
                {"clipnorm", Type::Number, "null",
                 "longest gradient of one tensor", above(0)},
                {"global_clipnorm", Type::Number, "null",
                 "longest gradient of all tensors together", above(0)},
                {"clipvalue", Type::Number, "null", "largest gradient element",
                 above(0)},
                {"use_ema", Type::Bool, "false", "average of the weights", kAny,
                 kFixed},
                {"loss_scale_factor", Type::Number, "null",
                 "for 16-bit gradients", kAny, kFixed},
                {"gradient_accumulation_steps", Type::Integer, "null",
                 "steps in one update", kAny, kFixed}}),
          {},
          checkOptimizer};
}

Table optimizers() {
  const ArgInfo epsilon{"epsilon", Type::Number, "1e-7", "keeps 1/x finite",
                        atLeast(0)};
  auto rho = [](StringRef value) {
    return ArgInfo{"rho", Type::Number, value, "decay of squared gradients",
                   within(0, 1)};
  };
  const ArgInfo momentum{"momentum", Type::Number, "0.0",
                         "part of the last step that is kept", within(0, 1)};
  const ArgInfo beta1{"beta_1", Type::Number, "0.9", "decay of the mean",
                      kFraction};
  const ArgInfo beta2{"beta_2", Type::Number, "0.999",
                      "decay of the squared mean", kFraction};
  const ArgInfo amsgrad{"amsgrad", Type::Bool,
                        "false",   "keeps the largest squared mean",
                        kAny,      kFixed};
  return {
      "optimizer",
      "optimizers",
      {
          optimizer("sgd", "gradient descent, with momentum if wanted", "0.01",
                    {momentum,
                     {"nesterov", Type::Bool, "false",
                      "looks one step of momentum ahead"}}),
          optimizer("rmsprop", "divides by a running mean of squares", "0.001",
                    {rho("0.9"),
                     momentum,
                     epsilon,
                     {"centered", Type::Bool, "false",
                      "divides by the variance instead"}}),
          optimizer("adagrad", "divides by the sum of squares", "0.001",
                    {{"initial_accumulator_value", Type::Number, "0.1",
                      "where the sum starts", atLeast(0)},
                     epsilon}),
          optimizer("adadelta", "steps in units of earlier steps", "0.001",
                    {rho("0.95"), epsilon}),
          optimizer("adam", "momentum over a running mean of squares", "0.001",
                    {beta1, beta2, epsilon, amsgrad}),
          optimizer("adamw", "adam with weight decay beside the gradient",
                    "0.001", {beta1, beta2, epsilon, amsgrad}, "0.004"),
          optimizer("nadam", "adam with Nesterov's momentum", "0.001",
                    {beta1, beta2, epsilon}),
      },
      {"adafactor", "adamax", "ftrl", "lamb", "lion", "loss_scale_optimizer",
       "muon"},
  };
}

std::string checkPiecewise(const Config &config) {
  std::vector<int64_t> boundaries = config.integers("boundaries");
  if (config.numbers("values").size() != boundaries.size() + 1)
    return llvm::formatv("expected 'values' to have one number more than "
                         "'boundaries' ({0}), got {1}",
                         boundaries.size(), config.numbers("values").size())
        .str();
  for (size_t i = 1; i < boundaries.size(); ++i)
    if (boundaries[i] <= boundaries[i - 1])
      return "expected 'boundaries' to increase";
  return "";
}

std::string checkCosine(const Config &config) {
  if (config.isNull("warmup_target") && config.integer("warmup_steps") != 0)
    return "expected 'warmup_target' beside 'warmup_steps'";
  return "";
}

Table schedules() {
  const ArgInfo initial{"initial_learning_rate", Type::Number, kRequired,
                        "at step 0", atLeast(0)};
  const ArgInfo steps{"decay_steps", Type::Integer, kRequired,
                      "steps in one decay", kSize};
  return {
      "schedule",
      "schedules",
      {
          {"constant",
           "",
           "the same in every step; a plain number means this",
           {{"value", Type::Number, kRequired, "learning rate", atLeast(0)}}},
          {"exponential_decay",
           "",
           "initial decay_rate^(step / decay_steps)",
           {initial,
            steps,
            {"decay_rate", Type::Number, kRequired, "factor", above(0)},
            {"staircase", Type::Bool, "false", "whole decays only"}}},
          {"cosine_decay",
           "",
           "half a cosine from initial to alpha initial",
           {initial,
            steps,
            {"alpha", Type::Number, "0.0", "part that remains", atLeast(0)},
            {"warmup_target", Type::Number, "null",
             "rate after a linear warmup", atLeast(0)},
            {"warmup_steps", Type::Integer, "0", "steps of the warmup",
             within(0, kSize.high)}},
           {},
           checkCosine},
          {"piecewise_constant_decay",
           "",
           "values[i] up to step boundaries[i]",
           {{"boundaries", Type::Integers, kRequired, "steps, increasing",
             within(0, kSize.high)},
            {"values", Type::Numbers, kRequired, "one more than boundaries",
             atLeast(0)}},
           {},
           checkPiecewise},
      },
      {"cosine_decay_restarts", "inverse_time_decay", "polynomial_decay"},
  };
}

// ---- Callbacks --------------------------------------------------------------

std::string checkMode(const Config &config) {
  const std::string &mode = config.text("mode");
  return mode == "auto" || mode == "min" || mode == "max"
             ? ""
             : "expected 'mode' to be auto, min or max, got '" + mode + "'";
}

std::string checkCsvLogger(const Config &config) {
  const std::string &separator = config.text("separator");
  return separator.size() == 1 || separator == "\\t"
             ? ""
             : "expected 'separator' to be one character";
}

Table callbacks() {
  const ArgInfo monitor{"monitor", Type::Name, "val_loss",
                        "figure that is watched"};
  const ArgInfo mode{"mode", Type::Name, "auto",
                     "min, max, or what suits the figure"};
  return {
      "callback",
      "callbacks",
      {
          {"model_checkpoint",
           "",
           "saves the weights after each epoch",
           {{"path", Type::Text, kRequired,
             "file; {epoch:02d} and {val_loss:.2f} are filled in"},
            monitor,
            {"save_best_only", Type::Bool, "false",
             "only when the figure is the best so far"},
            {"save_weights_only", Type::Bool, "false",
             "either way it is the weights; --checkpoint-dir keeps the rest"},
            mode,
            {"save_freq", Type::Name, "epoch", "when", kAny, kFixed},
            {"initial_value_threshold", Type::Number, "null",
             "what the first best has to beat"}},
           {},
           checkMode},
          {"early_stopping",
           "",
           "ends training when the figure gets no better",
           {monitor,
            {"min_delta", Type::Number, "0", "smaller gains do not count",
             atLeast(0)},
            {"patience", Type::Integer, "0", "epochs without a gain",
             within(0, kSize.high)},
            mode,
            {"baseline", Type::Number, "null", "has to be reached, too"},
            {"restore_best_weights", Type::Bool, "false",
             "go back to the best epoch's weights"},
            {"start_from_epoch", Type::Integer, "0",
             "epochs before the first look", within(0, kSize.high)}},
           {},
           checkMode},
          {"reduce_lr_on_plateau",
           "",
           "lowers the learning rate when the figure gets no better",
           {monitor,
            {"factor", Type::Number, "0.1", "new rate = factor rate",
             kFraction},
            {"patience", Type::Integer, "10", "epochs without a gain",
             within(0, kSize.high)},
            mode,
            {"min_delta", Type::Number, "0.0001", "smaller gains do not count",
             atLeast(0)},
            {"cooldown", Type::Integer, "0", "epochs of rest after a change",
             within(0, kSize.high)},
            {"min_lr", Type::Number, "0.0", "lower limit", atLeast(0)}},
           {},
           checkMode},
          {"csv_logger",
           "",
           "the figures of each epoch as a line of a file",
           {{"filename", Type::Text, kRequired, "file"},
            {"separator", Type::Text, ",", "between fields"},
            {"append", Type::Bool, "false", "keep what is in the file"}},
           {},
           checkCsvLogger},
          {"tensorboard",
           "",
           "the figures of each epoch as TensorBoard's event files",
           {{"log_dir", Type::Text, "logs", "folder for train, validation"}}},
          {"terminate_on_nan",
           "",
           "ends training when the loss is not finite; always on",
           {}},
      },
      {"backup_and_restore", "lambda_callback", "learning_rate_scheduler",
       "progbar_logger", "remote_monitor", "swap_ema_weights"},
  };
}

} // namespace

const Table &sinter::frontend::tableOf(Kind kind) {
  static const Table tables[] = {sections(),    dataSources(),  layers(),
                                 activations(), initializers(), regularizers(),
                                 losses(),      optimizers(),   schedules(),
                                 metrics(),     callbacks()};
  return tables[static_cast<size_t>(kind)];
}

bool sinter::frontend::isConfigType(Type type) {
  return type >= Type::Activation;
}

Kind sinter::frontend::kindOf(Type type) {
  switch (type) {
  case Type::Activation:
    return Kind::Activation;
  case Type::Initializer:
    return Kind::Initializer;
  case Type::Regularizer:
    return Kind::Regularizer;
  case Type::Layer:
    return Kind::Layer;
  default:
    assert(type == Type::Schedule && "not the type of a config");
    return Kind::Schedule;
  }
}

// ---- Looking things up ------------------------------------------------------

const EntryInfo *Table::find(StringRef name) const {
  for (const EntryInfo &entry : entries)
    if (entry.name == name || llvm::is_contained(entry.aliases, name))
      return &entry;
  return nullptr;
}

std::vector<StringRef> Table::names() const {
  std::vector<StringRef> result;
  for (const EntryInfo &entry : entries)
    result.push_back(entry.name);
  return result;
}

const ArgInfo *EntryInfo::find(StringRef arg) const {
  for (const ArgInfo &info : args)
    if (info.name == arg)
      return &info;
  return nullptr;
}

const ArgInfo *EntryInfo::mainArg() const {
  return args.empty() || args.front().name == "name" ? nullptr : &args.front();
}

std::vector<StringRef> EntryInfo::argNames() const {
  std::vector<StringRef> result;
  for (const ArgInfo &info : args)
    if (!info.fixed)
      result.push_back(info.name);
  return result;
}

bool Range::contains(double value) const {
  return (lowOpen ? value > low : value >= low) &&
         (highOpen ? value < high : value <= high);
}

/// "0.5", "1": no digits that the table does not have.
static std::string shortNumber(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.10g", value);
  return buffer;
}

std::string Range::describe() const {
  bool hasLow = std::isfinite(low), hasHigh = std::isfinite(high);
  // Limits that only keep 32-bit counts safe say nothing to a reader.
  bool everyday = high < 1e9;
  if (hasLow && hasHigh && everyday)
    return " in " + std::string(lowOpen ? "(" : "[") + shortNumber(low) + ", " +
           shortNumber(high) + (highOpen ? ")" : "]");
  if (hasLow)
    return (lowOpen ? " above " : " of at least ") + shortNumber(low);
  return "";
}

/// Rows follow enum Type.
static const StringRef kTypeNames[] = {
    "true or false",
    "an integer",
    "a number",
    "text of one line",
    "a name",
    "a list of integers",
    "a list of numbers",
    "a list of texts",
    "a list of names",
    "an integer or a pair of integers",
    "an integer, a pair or two pairs of integers",
    "an integer or three integers",
    "an integer, three integers or three pairs of integers",
    "a map from class numbers to factors ({0: 1.0, 3: 2.5})",
    "an activation",
    "an initializer",
    "a regularizer",
    "a learning rate or schedule",
    "a layer",
};

std::string sinter::frontend::describe(const ArgInfo &arg) {
  if (!arg.choices.empty()) { // 'a', 'b' or 'c'
    auto [rest, last] = arg.choices.rsplit('|');
    std::string text;
    for (StringRef choice : llvm::split(rest, '|'))
      text += (text.empty() ? "'" : ", '") + choice.str() + "'";
    text += " or '" + last.str() + "'";
    if (arg.type == Type::Text)
      return text;
    return text + ", or " + kTypeNames[static_cast<size_t>(arg.type)].str() +
           arg.range.describe();
  }
  return (kTypeNames[static_cast<size_t>(arg.type)] + arg.range.describe())
      .str();
}

// ---- Documentation ----------------------------------------------------------

void sinter::frontend::printCatalog(llvm::raw_ostream &os) {
  for (Kind kind :
       {Kind::Section, Kind::DataSource, Kind::Layer, Kind::Activation,
        Kind::Initializer, Kind::Regularizer, Kind::Loss, Kind::Optimizer,
        Kind::Schedule, Kind::Metric, Kind::Callback}) {
    const Table &table = tableOf(kind);
    os << "## " << StringRef(table.plural).take_front().upper()
       << table.plural.drop_front() << "\n";
    for (const EntryInfo &entry : table.entries) {
      os << "\n`" << entry.name << "`";
      for (StringRef alias : entry.aliases)
        os << " (`" << alias << "`)";
      os << ": " << entry.doc << "\n";
      for (const ArgInfo &arg : entry.args) {
        if (arg.fixed)
          continue;
        os << "- `" << arg.name << "`";
        if (!arg.required())
          os << " = " << arg.defaultText;
        os << ": " << describe(arg) << ". " << arg.doc << "\n";
      }
    }
    os << "\n";
  }
}
