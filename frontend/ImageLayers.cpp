// ImageLayers.cpp - layers that work on images (height, width, channels) and
// sequences (steps, channels).
//
// A sequence is an image of one row: the rules of 1-D layers are those of 2-D
// layers with windows of height 1, and emission reshapes before and after. What
// `padding: same` means is TensorFlow's rule, Keras's own: as many windows as
// strides fit, an odd missing pixel is added below and to the right.
// Known weakness: zero_padding2d before a convolution stays an op of its own.
#include "frontend/LayerParts.h"
#include "frontend/Masks.h"

#include "ir/Moments.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;
using mlir::ValueRange;

// ---- Images and sequences ---------------------------------------------------

using Pair = std::array<int64_t, 2>;

Shape sinter::frontend::imageShape(const Shape &sample) {
  if (sample.size() == 3)
    return sample;
  return {1, sample[0], sample[1]};
}

static Shape sampleShape(int rank, Shape image) {
  return rank == 1 ? Shape{image[1], image[2]} : image;
}

std::string sinter::frontend::expectImages(int rank, const Shape &sample) {
  if (static_cast<int>(sample.size()) == rank + 1)
    return "";
  std::string message =
      rank == 3   ? "expected volumes (depth, height, width, channels)"
      : rank == 2 ? "expected images (height, width, channels)"
                  : "expected sequences (steps, channels)";
  message += ", got " + toText(sample);
  if (static_cast<int>(sample.size()) == rank) {
    Shape withChannel = sample;
    withChannel.push_back(1);
    std::string text = toText(withChannel);
    message +=
        "; put 'reshape: [" + text.substr(1, text.size() - 2) + "]' before it";
  }
  return message;
}

/// An argument with a number for each space axis, height 1 in a sequence.
static Pair pairOf(const Config &config, int rank, StringRef arg,
                   int64_t vertical = 1) {
  if (rank == 1)
    return {vertical, config.integer(arg)};
  std::vector<int64_t> pair = config.integers(arg);
  return {pair[0], pair[1]};
}

static int rankOf(ValueRange inputs) {
  return static_cast<int>(tensorTypeOf(inputs[0]).getRank()) - 2;
}

static Shape sampleOf(mlir::Value x) {
  return Shape(featureShape(tensorTypeOf(x)));
}

static mlir::Value asImage(LayerEmitter &e, mlir::Value x) {
  if (tensorTypeOf(x).getRank() == 4)
    return x;
  return ReshapeOp::create(e.builder, e.loc, e.typeOf(imageShape(sampleOf(x))),
                           x);
}

/// Sides that ops can count.
static constexpr int64_t kLongest = 1 << 20;

static std::string checkSides(const Shape &image) {
  if (image[0] > kLongest || image[1] > kLongest)
    return formatv("expected images of at most {0} pixels a side, got {1}",
                   kLongest, toText(image));
  return "";
}

// ---- Windows ----------------------------------------------------------------

/// The argument `padding` for the axes (vertical, horizontal).
static std::array<AxisPadding, 2> paddingOf(const Config &config, int rank) {
  const Value &value = config.get("padding");
  if (const std::string *rule = value.getIf<std::string>())
    return {AxisPadding{rank == 1 ? StringRef("valid") : *rule}, {*rule}};
  std::vector<int64_t> sides = config.integers("padding");
  if (rank == 1)
    return {AxisPadding{}, {"", sides[0], sides[1]}};
  return {AxisPadding{"", sides[0], sides[1]}, {"", sides[2], sides[3]}};
}

WindowAxis sinter::frontend::windowAxis(int64_t pixels, int64_t taps,
                                        int64_t stride, int64_t dilation,
                                        AxisPadding padding) {
  WindowAxis axis{pixels, taps, stride, dilation, padding.low, padding.high};
  if (padding.rule == "causal")
    axis.low = axis.reach() - 1;
  if (padding.rule == "same") {
    int64_t windows = (pixels + stride - 1) / stride;
    int64_t missing =
        std::max<int64_t>((windows - 1) * stride + axis.reach() - pixels, 0);
    axis.low = missing / 2;
    axis.high = missing - axis.low;
  }
  return axis;
}

static Window windowOf(const Shape &image, Pair taps, Pair strides,
                       Pair dilations, std::array<AxisPadding, 2> padding) {
  Window window;
  for (int i = 0; i < 2; ++i)
    window[i] =
        windowAxis(image[i], taps[i], strides[i], dilations[i], padding[i]);
  return window;
}

std::string sinter::frontend::checkWindow(ArrayRef<WindowAxis> window) {
  for (const WindowAxis &axis : window) {
    if (axis.pixels > kLongest || axis.reach() > kLongest)
      return formatv("expected images and windows of at most {0} pixels a "
                     "side, got {1} and {2}",
                     kLongest, axis.pixels, axis.reach());
    if (axis.windows() < 1)
      return formatv("expected images of at least the window's {0} pixels, got "
                     "{1}; use a smaller window or padding: same",
                     axis.reach(), axis.pixels);
  }
  return "";
}

WindowLists::WindowLists(const Window &window) {
  for (const WindowAxis &axis : window) {
    taps.push_back(axis.taps);
    strides.push_back(axis.stride);
    dilations.push_back(axis.dilation);
    padding.append({axis.low, axis.high});
  }
}

// ---- Convolutions -----------------------------------------------------------

Window sinter::frontend::convolutionWindow(const Config &config, int rank,
                                           const Shape &image) {
  return windowOf(image, pairOf(config, rank, "kernel_size"),
                  pairOf(config, rank, "strides"),
                  pairOf(config, rank, "dilation_rate"),
                  paddingOf(config, rank));
}

/// Keras's shape: a sequence's kernel has one space axis.
static Shape kernelShape(const Config &config, int rank, int64_t in,
                         int64_t out) {
  Pair taps = pairOf(config, rank, "kernel_size");
  return rank == 1 ? Shape{taps[1], in, out} : Shape{taps[0], taps[1], in, out};
}

static std::string setConvolved(LayerRecord &layer, int rank,
                                const Window &window, int64_t channels) {
  if (std::string wrong = checkWindow(window); !wrong.empty())
    return wrong;
  layer.shape =
      sampleShape(rank, {window[0].windows(), window[1].windows(), channels});
  return "";
}

template <int rank>
static std::string inferConv(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const Config &config = layer.config;
  if (std::string wrong = expectImages(rank, inputs[0]); !wrong.empty())
    return wrong;
  Shape image = imageShape(inputs[0]);
  const int64_t filters = config.integer("filters"),
                groups = config.integer("groups");
  if (image[2] % groups != 0 || filters % groups != 0)
    return formatv("expected 'groups' to divide the {0} channels and the {1} "
                   "filters, got {2}",
                   image[2], filters, groups);
  addParameter(layer, "kernel",
               kernelShape(config, rank, image[2] / groups, filters));
  if (config.flag("use_bias"))
    addParameter(layer, "bias", {filters});
  return setConvolved(layer, rank, convolutionWindow(config, rank, image),
                      filters);
}

mlir::Value sinter::frontend::convolve(LayerEmitter &e, mlir::Value image,
                                       mlir::Value filter, const Window &window,
                                       int64_t groups) {
  WindowLists lists(window);
  return Conv2dOp::create(e.builder, e.loc, image, filter, lists.strides,
                          lists.dilations, lists.padding, groups);
}

/// Parameter number `index` as a filter (height, width, in, out).
static mlir::Value readFilter(LayerEmitter &e, size_t index,
                              ArrayRef<int64_t> shape) {
  mlir::Value kernel = e.read(index);
  return Formula(e.builder, e.loc).reshape(kernel, shape);
}

static mlir::Value emitConv(LayerEmitter &e, ValueRange inputs) {
  const Config &config = e.layer.config;
  int rank = rankOf(inputs);
  mlir::Value image = asImage(e, inputs[0]);
  Window window = convolutionWindow(config, rank, sampleOf(image));
  const int64_t groups = config.integer("groups");
  mlir::Value filter =
      readFilter(e, 0,
                 {window[0].taps, window[1].taps, sampleOf(image)[2] / groups,
                  config.integer("filters")});
  mlir::Value y = convolve(e, image, filter, window, groups);
  return reshapeToResult(e, emitBiasAndActivation(e, y, 1));
}

static std::string inferDepthwise(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const Config &config = layer.config;
  if (std::string wrong = expectImages(2, inputs[0]); !wrong.empty())
    return wrong;
  const int64_t channels = inputs[0][2],
                multiplier = config.integer("depth_multiplier");
  addParameter(layer, "kernel", kernelShape(config, 2, channels, multiplier),
               "depthwise");
  if (config.flag("use_bias"))
    addParameter(layer, "bias", {channels * multiplier});
  return setConvolved(layer, 2, convolutionWindow(config, 2, inputs[0]),
                      channels * multiplier);
}

/// Filter c M + m sees channel c alone.
static mlir::Value convolveDepthwise(LayerEmitter &e, mlir::Value image) {
  const Config &config = e.layer.config;
  Shape shape = sampleOf(image);
  Window window = convolutionWindow(config, 2, shape);
  mlir::Value filter =
      readFilter(e, 0,
                 {window[0].taps, window[1].taps, 1,
                  shape[2] * config.integer("depth_multiplier")});
  return convolve(e, image, filter, window, shape[2]);
}

static mlir::Value emitDepthwise(LayerEmitter &e, ValueRange inputs) {
  return emitBiasAndActivation(e, convolveDepthwise(e, inputs[0]), 1);
}

static std::string inferSeparable(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const Config &config = layer.config;
  if (std::string wrong = expectImages(2, inputs[0]); !wrong.empty())
    return wrong;
  const int64_t channels = inputs[0][2],
                multiplier = config.integer("depth_multiplier"),
                filters = config.integer("filters");
  addParameter(layer, "depthwise_kernel",
               kernelShape(config, 2, channels, multiplier), "depthwise");
  addParameter(layer, "pointwise_kernel",
               {1, 1, channels * multiplier, filters}, "pointwise");
  if (config.flag("use_bias"))
    addParameter(layer, "bias", {filters});
  return setConvolved(layer, 2, convolutionWindow(config, 2, inputs[0]),
                      filters);
}

static mlir::Value emitSeparable(LayerEmitter &e, ValueRange inputs) {
  mlir::Value deep = convolveDepthwise(e, inputs[0]);
  Window point = windowOf(sampleOf(deep), {1, 1}, {1, 1}, {1, 1}, {});
  return emitBiasAndActivation(e, convolve(e, deep, e.read(1), point, 1), 2);
}

WindowAxis
sinter::frontend::transposedAxis(int64_t windows, int64_t taps, int64_t stride,
                                 int64_t dilation, AxisPadding padding,
                                 std::optional<int64_t> outputPadding) {
  WindowAxis axis{0, taps, stride, dilation, padding.low, padding.high};
  const int64_t reach = axis.reach();
  if (padding.rule.empty()) { // as PyTorch and ONNX have it
    axis.pixels = (windows - 1) * stride + reach - padding.low - padding.high +
                  outputPadding.value_or(0);
    return axis;
  }
  if (padding.rule == "same")
    axis.pixels = outputPadding
                      ? (windows - 1) * stride + reach % 2 + *outputPadding
                      : windows * stride;
  else
    axis.pixels = (windows - 1) * stride + reach +
                  outputPadding.value_or(std::max(reach, stride) - reach);
  const int64_t missing =
      std::max<int64_t>((windows - 1) * stride + reach - axis.pixels, 0);
  axis.low = missing / 2;
  axis.high = missing - axis.low;
  return axis;
}

Window sinter::frontend::transposedWindow(const Config &config,
                                          const Shape &image) {
  Window window;
  Pair taps = pairOf(config, 2, "kernel_size"),
       strides = pairOf(config, 2, "strides"),
       dilations = pairOf(config, 2, "dilation_rate");
  std::array<AxisPadding, 2> padding = paddingOf(config, 2);
  for (int i = 0; i < 2; ++i) {
    std::optional<int64_t> extra;
    if (!config.isNull("output_padding"))
      extra = config.integers("output_padding")[i];
    window[i] = transposedAxis(image[i], taps[i], strides[i], dilations[i],
                               padding[i], extra);
  }
  return window;
}

static std::string inferConvTranspose(LayerRecord &layer,
                                      ArrayRef<Shape> inputs) {
  const Config &config = layer.config;
  if (std::string wrong = expectImages(2, inputs[0]); !wrong.empty())
    return wrong;
  const int64_t filters = config.integer("filters");
  addParameter(layer, "kernel", kernelShape(config, 2, filters, inputs[0][2]));
  if (config.flag("use_bias"))
    addParameter(layer, "bias", {filters});
  Window window = transposedWindow(config, inputs[0]);
  for (const WindowAxis &axis : window)
    if (axis.pixels < 1)
      return "expected a result of at least one pixel; use a larger "
             "'output_padding' or a larger kernel";
  if (std::string wrong = checkWindow(window); !wrong.empty())
    return wrong;
  layer.shape = {window[0].pixels, window[1].pixels, filters};
  return "";
}

static mlir::Value emitConvTranspose(LayerEmitter &e, ValueRange inputs) {
  Window window = transposedWindow(e.layer.config, sampleOf(inputs[0]));
  WindowLists lists(window);
  mlir::Value y = Conv2dTransposeOp::create(
      e.builder, e.loc, inputs[0], e.read(0),
      ArrayRef<int64_t>{window[0].pixels, window[1].pixels}, lists.strides,
      lists.dilations, lists.padding, 1);
  return emitBiasAndActivation(e, y, 1);
}

// ---- Pooling ----------------------------------------------------------------

Window sinter::frontend::poolWindow(const Config &config, int rank,
                                    const Shape &image) {
  Pair taps = pairOf(config, rank, "pool_size");
  Pair strides =
      config.isNull("strides") ? taps : pairOf(config, rank, "strides");
  return windowOf(image, taps, strides, {1, 1}, paddingOf(config, rank));
}

/// Pooling is unrolled over its window, and a maximum's gradient over all
/// windows that a pixel is in: what that may come to.
static constexpr int64_t mostTaps = 1024, mostUnrolled = 4096;

static std::string checkUnrolled(ArrayRef<WindowAxis> window) {
  int64_t taps = 1, windows = 1;
  std::string size, strides;
  for (const WindowAxis &axis : window) {
    taps *= std::min(axis.taps, mostTaps + 1);
    int64_t overlap = (axis.taps + axis.stride - 1) / axis.stride;
    windows *= std::min(overlap, mostTaps + 1);
    size += (size.empty() ? "" : " x ") + std::to_string(axis.taps);
    strides += (strides.empty() ? "" : " x ") + std::to_string(axis.stride);
  }
  if (taps > mostTaps)
    return formatv(
        "expected windows of at most {0} pixels (global pooling takes "
        "whole images), got {1}",
        mostTaps, size);
  if (taps * windows > mostUnrolled)
    return formatv(
        "expected less overlap (windows of {0} with strides of {1} put each "
        "pixel into {2} of them)",
        size, strides, windows);
  return "";
}

std::string sinter::frontend::checkPoolWindow(ArrayRef<WindowAxis> window) {
  if (std::string wrong = checkUnrolled(window); !wrong.empty())
    return wrong;
  for (const WindowAxis &axis : window)
    if (axis.low >= axis.taps || axis.high >= axis.taps)
      return formatv("expected 'padding' to be less than 'pool_size', got {0} "
                     "and {1}",
                     std::max(axis.low, axis.high), axis.taps);
  return "";
}

template <int rank>
static std::string inferPool(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (std::string wrong = expectImages(rank, inputs[0]); !wrong.empty())
    return wrong;
  Shape image = imageShape(inputs[0]);
  Window window = poolWindow(layer.config, rank, image);
  if (std::string wrong = checkPoolWindow(window); !wrong.empty())
    return wrong;
  return setConvolved(layer, rank, window, image[2]);
}

template <typename Op>
static mlir::Value emitPool(LayerEmitter &e, ValueRange inputs) {
  mlir::Value image = asImage(e, inputs[0]);
  WindowLists lists(
      poolWindow(e.layer.config, rankOf(inputs), sampleOf(image)));
  mlir::Value y = Op::create(e.builder, e.loc, image, lists.taps, lists.strides,
                             lists.padding);
  return reshapeToResult(e, y);
}

template <int rank>
static std::string inferGlobalPool(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (std::string wrong = expectImages(rank, inputs[0]); !wrong.empty())
    return wrong;
  layer.shape = {inputs[0].back()};
  if (layer.config.flag("keepdims"))
    layer.shape.insert(layer.shape.begin(), rank, 1);
  return "";
}

/// The axes of space: all but batch and channels.
static llvm::SmallVector<int64_t> spaceAxes(mlir::Value x) {
  return llvm::to_vector(llvm::seq<int64_t>(1, tensorTypeOf(x).getRank() - 1));
}

static mlir::Value emitGlobalMax(LayerEmitter &e, ValueRange inputs) {
  return ReduceMaxOp::create(e.builder, e.loc, inputs[0], spaceAxes(inputs[0]),
                             e.layer.config.flag("keepdims"));
}

static mlir::Value emitGlobalAverage(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  if (!e.masks.empty() && e.layer.config.name == "global_average_pooling1d") {
    mlir::Value mask = maskOver(e, e.masks[0], inputs[0]);
    const bool keeps = e.layer.config.flag("keepdims");
    return f.div(f.sum(f.mul(inputs[0], mask), {1}, keeps),
                 f.sum(mask, {1}, keeps));
  }
  double pixels = 1;
  for (int64_t size : featureShape(tensorTypeOf(inputs[0])).drop_back())
    pixels *= static_cast<double>(size);
  mlir::Value sum =
      f.sum(inputs[0], spaceAxes(inputs[0]), e.layer.config.flag("keepdims"));
  return f.div(sum, f.number(pixels));
}

// ---- Borders and sizes ------------------------------------------------------

/// Argument `name` for each axis of a sample: before and after.
static std::vector<int64_t> borders(const Config &config, StringRef name) {
  return config.integers(name); // top, bottom, left, right, or left, right
}

template <int rank>
static std::string inferZeroPadding(LayerRecord &layer,
                                    ArrayRef<Shape> inputs) {
  if (std::string wrong = expectImages(rank, inputs[0]); !wrong.empty())
    return wrong;
  std::vector<int64_t> sides = borders(layer.config, "padding");
  layer.shape = inputs[0];
  for (int i = 0; i < rank; ++i)
    layer.shape[i] += sides[2 * i] + sides[2 * i + 1];
  return "";
}

static mlir::Value emitZeroPadding(LayerEmitter &e, ValueRange inputs) {
  std::vector<int64_t> sides = borders(e.layer.config, "padding");
  mlir::Value y = inputs[0];
  for (int i = 0; i < rankOf(inputs); ++i)
    if (sides[2 * i] || sides[2 * i + 1])
      y = PadOp::create(e.builder, e.loc, y, i + 1, sides[2 * i],
                        sides[2 * i + 1]);
  return y;
}

template <int rank>
static std::string inferCropping(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (std::string wrong = expectImages(rank, inputs[0]); !wrong.empty())
    return wrong;
  std::vector<int64_t> sides = borders(layer.config, "cropping");
  layer.shape = inputs[0];
  for (int i = 0; i < rank; ++i) {
    layer.shape[i] -= sides[2 * i] + sides[2 * i + 1];
    if (layer.shape[i] < 1)
      return formatv("expected 'cropping' to leave a pixel, got {0} and {1} of "
                     "{2}",
                     sides[2 * i], sides[2 * i + 1], inputs[0][i]);
  }
  return "";
}

static mlir::Value emitCropping(LayerEmitter &e, ValueRange inputs) {
  std::vector<int64_t> sides = borders(e.layer.config, "cropping");
  mlir::Value y = inputs[0];
  for (int i = 0; i < rankOf(inputs); ++i)
    if (sides[2 * i] || sides[2 * i + 1])
      y = SliceOp::create(e.builder, e.loc, y, i + 1, sides[2 * i],
                          e.layer.shape[i]);
  return y;
}

template <int rank>
static std::string inferUpSampling(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (std::string wrong = expectImages(rank, inputs[0]); !wrong.empty())
    return wrong;
  Shape image = imageShape(inputs[0]);
  Pair factors = pairOf(layer.config, rank, "size");
  for (int i = 0; i < 2; ++i)
    image[i] *= factors[i];
  layer.shape = sampleShape(rank, image);
  return checkSides(image);
}

static mlir::Value emitUpSampling(LayerEmitter &e, ValueRange inputs) {
  Pair factors = pairOf(e.layer.config, rankOf(inputs), "size");
  mlir::Value y = UpsampleOp::create(e.builder, e.loc, asImage(e, inputs[0]),
                                     ArrayRef<int64_t>(factors));
  return reshapeToResult(e, y);
}

static std::string inferPermute(LayerRecord &layer, ArrayRef<Shape> inputs) {
  std::vector<int64_t> dims = layer.config.integers("dims"), sorted = dims;
  llvm::sort(sorted);
  const int64_t rank = static_cast<int64_t>(inputs[0].size());
  if (!llvm::equal(sorted, llvm::seq<int64_t>(1, rank + 1)))
    return formatv("expected 'dims' to hold each of 1 .. {0} once, for samples "
                   "of {1}",
                   rank, toText(inputs[0]));
  for (int64_t dim : dims)
    layer.shape.push_back(inputs[0][dim - 1]);
  return "";
}

static mlir::Value emitPermute(LayerEmitter &e, ValueRange inputs) {
  llvm::SmallVector<int64_t> permutation = {0};
  llvm::append_range(permutation, e.layer.config.integers("dims"));
  return TransposeOp::create(e.builder, e.loc, inputs[0], permutation);
}

// ---- Normalisation ----------------------------------------------------------

static std::string inferBatchNormalization(LayerRecord &layer,
                                           ArrayRef<Shape> inputs) {
  const Config &config = layer.config;
  const int64_t axis = config.integer("axis"),
                last = static_cast<int64_t>(inputs[0].size());
  if (axis != -1 && axis != last)
    return formatv("'axis' is supported for the last dimension alone: expected "
                   "-1 or {0}, got {1}",
                   last, axis);
  const Shape channels = {inputs[0].back()};
  if (config.flag("scale"))
    addParameter(layer, "gamma", channels);
  if (config.flag("center"))
    addParameter(layer, "beta", channels);
  for (StringRef name : {"moving_mean", "moving_variance"}) {
    addParameter(layer, name, channels);
    layer.parameters.back().trainable = false;
  }
  layer.shape = inputs[0];
  return "";
}

/// gamma and beta, or the numbers that stand for them.
static std::pair<mlir::Value, mlir::Value> readScale(LayerEmitter &e) {
  Formula f(e.builder, e.loc);
  const bool scale = e.layer.config.flag("scale");
  mlir::Value gamma = scale ? e.read(0) : f.one();
  mlir::Value beta =
      e.layer.config.flag("center") ? e.read(scale ? 1 : 0) : f.zero();
  return {gamma, beta};
}

static mlir::Value emitBatchNormalization(LayerEmitter &e, ValueRange inputs) {
  const Config &config = e.layer.config;
  auto number = [&](StringRef arg) {
    return llvm::APFloat(static_cast<float>(config.number(arg)));
  };
  auto [gamma, beta] = readScale(e);
  ArrayRef<Parameter> moving = ArrayRef(e.layer.parameters).take_back(2);
  auto op = BatchNormalizationOp::create(
      e.builder, e.loc, inputs[0].getType(), inputs[0], gamma, beta,
      moving[0].name, moving[1].name, number("momentum"), number("epsilon"));
  if (config.flag("trainable"))
    return op;
  // As in Keras, a layer that does not train always works as in inference.
  mlir::Value y = op.buildInference(e.builder);
  op.erase();
  return y;
}

static std::string inferLayerNormalization(LayerRecord &layer,
                                           ArrayRef<Shape> inputs) {
  const int64_t rank = static_cast<int64_t>(inputs[0].size());
  std::vector<int64_t> axes = layer.config.integers("axis");
  for (int64_t &axis : axes)
    axis = axis < 0 ? axis + rank + 1 : axis; // counts the batch
  llvm::sort(axes);
  const int64_t count = static_cast<int64_t>(axes.size());
  if (count > rank ||
      !llvm::equal(axes, llvm::seq<int64_t>(rank + 1 - count, rank + 1)))
    return "'axis' is supported for the last dimensions alone: expected -1, "
           "[-2, -1], ... within samples of " +
           toText(inputs[0]);
  const Shape shape(inputs[0].end() - count, inputs[0].end());
  if (layer.config.flag("scale"))
    addParameter(layer, "gamma", shape);
  if (layer.config.flag("center"))
    addParameter(layer, "beta", shape);
  layer.shape = inputs[0];
  return "";
}

static mlir::Value emitLayerNormalization(LayerEmitter &e, ValueRange inputs) {
  const Config &config = e.layer.config;
  auto [gamma, beta] = readScale(e);
  return LayerNormOp::create(
      e.builder, e.loc, inputs[0], gamma, beta, config.integers("axis").size(),
      llvm::APFloat(static_cast<float>(config.number("epsilon"))));
}

// ---- Random -----------------------------------------------------------------

template <int rank>
static std::string inferSpatialDropout(LayerRecord &layer,
                                       ArrayRef<Shape> inputs) {
  layer.shape = inputs[0];
  return expectImages(rank, inputs[0]);
}

static mlir::Value emitSpatialDropout(LayerEmitter &e, ValueRange inputs) {
  double rate = e.layer.config.number("rate");
  if (rate == 0)
    return inputs[0];
  return SpatialDropoutOp::create(e.builder, e.loc, inputs[0],
                                  llvm::APFloat(static_cast<float>(rate)),
                                  e.nextStream++);
}

// ---- The table --------------------------------------------------------------

ArrayRef<LayerRule> sinter::frontend::imageLayerRules() {
  static const LayerRule rules[] = {
      {"conv1d", Arity::One, inferConv<1>, emitConv},
      {"conv2d", Arity::One, inferConv<2>, emitConv},
      {"depthwise_conv2d", Arity::One, inferDepthwise, emitDepthwise},
      {"separable_conv2d", Arity::One, inferSeparable, emitSeparable},
      {"conv2d_transpose", Arity::One, inferConvTranspose, emitConvTranspose},
      {"max_pooling1d", Arity::One, inferPool<1>, emitPool<MaxPool2dOp>},
      {"max_pooling2d", Arity::One, inferPool<2>, emitPool<MaxPool2dOp>},
      {"average_pooling1d", Arity::One, inferPool<1>, emitPool<AvgPool2dOp>},
      {"average_pooling2d", Arity::One, inferPool<2>, emitPool<AvgPool2dOp>},
      {"global_max_pooling1d", Arity::One, inferGlobalPool<1>, emitGlobalMax},
      {"global_max_pooling2d", Arity::One, inferGlobalPool<2>, emitGlobalMax},
      {"global_average_pooling1d", Arity::One, inferGlobalPool<1>,
       emitGlobalAverage},
      {"global_average_pooling2d", Arity::One, inferGlobalPool<2>,
       emitGlobalAverage},
      {"global_max_pooling3d", Arity::One, inferGlobalPool<3>, emitGlobalMax},
      {"global_average_pooling3d", Arity::One, inferGlobalPool<3>,
       emitGlobalAverage},
      {"zero_padding1d", Arity::One, inferZeroPadding<1>, emitZeroPadding},
      {"zero_padding2d", Arity::One, inferZeroPadding<2>, emitZeroPadding},
      {"zero_padding3d", Arity::One, inferZeroPadding<3>, emitZeroPadding},
      {"cropping1d", Arity::One, inferCropping<1>, emitCropping},
      {"cropping2d", Arity::One, inferCropping<2>, emitCropping},
      {"cropping3d", Arity::One, inferCropping<3>, emitCropping},
      {"up_sampling1d", Arity::One, inferUpSampling<1>, emitUpSampling},
      {"up_sampling2d", Arity::One, inferUpSampling<2>, emitUpSampling},
      {"permute", Arity::One, inferPermute, emitPermute},
      {"batch_normalization", Arity::One, inferBatchNormalization,
       emitBatchNormalization},
      {"layer_normalization", Arity::One, inferLayerNormalization,
       emitLayerNormalization},
      {"spatial_dropout1d", Arity::One, inferSpatialDropout<1>,
       emitSpatialDropout},
      {"spatial_dropout2d", Arity::One, inferSpatialDropout<2>,
       emitSpatialDropout},
      {"spatial_dropout3d", Arity::One, inferSpatialDropout<3>,
       emitSpatialDropout},
  };
  return rules;
}
