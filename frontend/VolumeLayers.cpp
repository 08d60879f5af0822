// VolumeLayers.cpp - layers that work on volumes (depth, height, width,
// channels), composed of the ops that work on images.
//
// Problem: the dialect's windows have two axes. A volume has three.
// Idea: a kernel (KD, KH, KW, in, out) is, as it lies in memory, a filter of KD
// KH rows. It is the convolution of an image in which, for each row of the
// result, the KH rows that it sees stand one behind the other, slice after
// slice: a window begins every KH rows, and KD slices are in it. So a
// convolution of volumes is ONE convolution of images. Windows that begin in
// the last slices of one row and end in the first of the next are cut out
// again. Dilated depth takes every so many slices first. The transposed
// convolution is the same backwards, and adds where rows were repeated.
//
// A maximum over a box is a maximum along each axis in turn, and so is a mean
// over those of its voxels that are in the volume, for their number is a
// product, too. Along width, then height, then depth, equal maxima leave the
// first one in row-major order, which is the one that gets the gradient in
// other frameworks. Repeating voxels is done axis by axis as well. Each axis in
// turn is an image: (depth height, width, channels), (depth, height, width
// channels) or (depth, height width, channels), none of which moves an element.
//
// Known weakness: a convolution's input is copied KH times, and of D slices
// with their padding KD - 1 are computed in vain.
#include "frontend/LayerParts.h"

#include "ir/Formula.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <numeric>

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;
using mlir::ValueRange;

// ---- Windows ----------------------------------------------------------------

static AxisPadding paddingOf(const Config &config, int axis) {
  if (const auto *rule = config.get("padding").getIf<std::string>())
    return {*rule};
  std::vector<int64_t> sides = config.integers("padding");
  return {"", sides[2 * axis], sides[2 * axis + 1]};
}

static VolumeWindow windowOf(const Config &config, const Shape &volume,
                             const std::vector<int64_t> &taps,
                             const std::vector<int64_t> &strides,
                             const std::vector<int64_t> &dilations) {
  VolumeWindow window;
  for (int i = 0; i < 3; ++i)
    window[i] = windowAxis(volume[i], taps[i], strides[i], dilations[i],
                           paddingOf(config, i));
  return window;
}

VolumeWindow sinter::frontend::volumeConvolutionWindow(const Config &config,
                                                       const Shape &volume) {
  return windowOf(config, volume, config.integers("kernel_size"),
                  config.integers("strides"), config.integers("dilation_rate"));
}

VolumeWindow sinter::frontend::volumePoolWindow(const Config &config,
                                                const Shape &volume) {
  const std::vector<int64_t> taps = config.integers("pool_size");
  return windowOf(config, volume, taps,
                  config.isNull("strides") ? taps : config.integers("strides"),
                  {1, 1, 1});
}

VolumeWindow sinter::frontend::volumeTransposedWindow(const Config &config,
                                                      const Shape &volume) {
  VolumeWindow window;
  for (int i = 0; i < 3; ++i) {
    std::optional<int64_t> extra;
    if (!config.isNull("output_padding"))
      extra = config.integers("output_padding")[i];
    window[i] = transposedAxis(volume[i], config.integers("kernel_size")[i],
                               config.integers("strides")[i],
                               config.integers("dilation_rate")[i],
                               paddingOf(config, i), extra);
  }
  return window;
}

/// What a window along one axis is along another one.
static constexpr WindowAxis along(int64_t pixels) {
  return {pixels, 1, 1, 1, 0, 0};
}

/// It sees each element alone.
static bool isPoint(const WindowAxis &axis) {
  return axis.taps == 1 && axis.stride == 1 && axis.low == 0 && axis.high == 0;
}

static Shape volumeOf(mlir::Value x) {
  return Shape(featureShape(tensorTypeOf(x)));
}

/// The elements of a batch in another shape of samples.
static mlir::Value reshaped(LayerEmitter &e, mlir::Value x,
                            const Shape &sample) {
  return volumeOf(x) == sample
             ? x
             : ReshapeOp::create(e.builder, e.loc, e.typeOf(sample), x)
                   .getResult();
}

// ---- Convolutions -----------------------------------------------------------

static Shape kernelShape(const Config &config, int64_t in, int64_t out) {
  Shape shape = config.integers("kernel_size");
  shape.insert(shape.end(), {in, out});
  return shape;
}

static std::string inferConv(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const Config &config = layer.config;
  if (std::string wrong = expectImages(3, inputs[0]); !wrong.empty())
    return wrong;
  const int64_t channels = inputs[0][3], filters = config.integer("filters"),
                groups = config.integer("groups");
  if (channels % groups != 0 || filters % groups != 0)
    return formatv("expected 'groups' to divide the {0} channels and the {1} "
                   "filters, got {2}",
                   channels, filters, groups);
  addParameter(layer, "kernel",
               kernelShape(config, channels / groups, filters));
  if (config.flag("use_bias"))
    addParameter(layer, "bias", {filters});
  VolumeWindow window = volumeConvolutionWindow(config, inputs[0]);
  if (std::string wrong = checkWindow(window); !wrong.empty())
    return wrong;
  for (const WindowAxis &axis : window)
    layer.shape.push_back(axis.windows());
  layer.shape.push_back(filters);
  return "";
}

namespace {
/// The image that a convolution of volumes becomes one of.
struct Rows {
  explicit Rows(const VolumeWindow &window)
      : depth(window[0]), height(window[1]), results(height.windows()),
        step(depth.dilation == 1 ? depth.stride : 1) {
    auto extent = [](const WindowAxis &axis, int64_t unit) {
      const int64_t seen = (axis.windows() - 1) * axis.stride + axis.reach();
      return (seen + unit - 1) / unit * unit;
    };
    slices = extent(depth, depth.dilation == 1
                               ? depth.stride
                               : std::lcm(depth.stride, depth.dilation));
    rows = extent(height, height.stride);
    vertical = {results * slices * height.taps,
                depth.taps * height.taps,
                step * height.taps,
                1,
                0,
                std::max<int64_t>(depth.taps - step, 0) * height.taps};
  }

  const WindowAxis &depth, &height;
  int64_t results;      // rows of the result
  int64_t step;         // slices from window to window
  int64_t slices, rows; // with padding
  WindowAxis vertical;
};
} // namespace

static mlir::Value sliced(LayerEmitter &e, mlir::Value x, int64_t axis,
                          int64_t start, int64_t size) {
  return size == tensorTypeOf(x).getDimSize(axis)
             ? x
             : SliceOp::create(e.builder, e.loc, x, axis, start, size)
                   .getResult();
}

static mlir::Value padded(LayerEmitter &e, mlir::Value x, int64_t axis,
                          int64_t low, int64_t high) {
  return low == 0 && high == 0
             ? x
             : PadOp::create(e.builder, e.loc, x, axis, low, high).getResult();
}

/// `low` zeros, and what follows cut off or filled up at `size`.
static mlir::Value fitted(LayerEmitter &e, mlir::Value x, int64_t axis,
                          int64_t low, int64_t size) {
  const int64_t missing = size - low - tensorTypeOf(x).getDimSize(axis);
  x = padded(e, x, axis, low, std::max<int64_t>(missing, 0));
  return sliced(e, x, axis, 0, size);
}

/// Axes 1 and 2 of a sample of `rest` elements behind them, exchanged.
static mlir::Value exchanged(LayerEmitter &e, mlir::Value x, int64_t outer,
                             int64_t first, int64_t second, int64_t rest) {
  if (first == 1 || second == 1)
    return x;
  x = reshaped(e, x, {outer, first, second, rest});
  return TransposeOp::create(e.builder, e.loc, x,
                             ArrayRef<int64_t>{0, 1, 3, 2, 4});
}

static mlir::Value emitConv(LayerEmitter &e, ValueRange inputs) {
  const Config &config = e.layer.config;
  const int64_t groups = config.integer("groups"),
                filters = config.integer("filters");
  mlir::Value x = inputs[0], kernel = e.read(0);
  const Shape volume = volumeOf(x);
  const VolumeWindow window = volumeConvolutionWindow(config, volume);
  const int64_t channels = volume[3] / groups, depthTaps = window[0].taps;
  Formula f(e.builder, e.loc);
  if (isPoint(window[1]) && isPoint(window[2])) { // along depth alone
    const int64_t pixels = volume[1] * volume[2];
    x = reshaped(e, x, {volume[0], pixels, volume[3]});
    kernel = f.reshape(kernel, {depthTaps, 1, channels, filters});
    mlir::Value y = convolve(e, x, kernel, {window[0], along(pixels)}, groups);
    return reshapeToResult(e, emitBiasAndActivation(e, y, 1));
  }
  const Rows r(window);
  const WindowAxis &depth = r.depth, &height = r.height;
  const int64_t row = volume[2] * volume[3];
  // (rows, slices), those that meet with dilation next to each other.
  x = fitted(e, x, 1, depth.low, r.slices);
  x = fitted(e, x, 2, height.low, r.rows);
  x = exchanged(e, x, 1, r.slices, r.rows, row);
  const int64_t phases = depth.dilation;
  x = exchanged(e, x, r.rows, r.slices / phases, phases, row);
  // The rows that each row of the result sees.
  x = reshaped(e, x, {r.rows / height.stride, height.stride, r.slices, row});
  std::vector<mlir::Value> parts;
  for (int64_t tap = 0; tap < height.taps; ++tap) {
    const int64_t at = tap * height.dilation;
    mlir::Value part = sliced(e, x, 1, at / height.stride, r.results);
    part = sliced(e, part, 2, at % height.stride, 1);
    parts.push_back(
        reshaped(e, part, {r.results * r.slices, 1, volume[2], volume[3]}));
  }
  x = parts.size() == 1
          ? parts[0]
          : ConcatenateOp::create(e.builder, e.loc, parts, 2).getResult();
  x = reshaped(e, x, {r.vertical.pixels, volume[2], volume[3]});
  kernel =
      f.reshape(kernel, {r.vertical.taps, window[2].taps, channels, filters});
  mlir::Value y = convolve(e, x, kernel, {r.vertical, window[2]}, groups);
  // (rows, slices) of the result, and of the slices those that are wanted.
  const Shape &to = e.layer.shape;
  const int64_t length = to[2] * filters;
  y = exchanged(e, y, r.results, phases, r.slices / r.step / phases, length);
  y = reshaped(
      e, y,
      {r.results, r.slices / depth.stride, depth.stride / r.step, length});
  y = sliced(e, y, 3, 0, 1);
  y = reshaped(e, y, {r.results, r.slices / depth.stride, length});
  y = sliced(e, y, 2, 0, to[0]);
  y = exchanged(e, y, 1, to[1], to[0], length);
  return emitBiasAndActivation(e, reshaped(e, y, to), 1);
}

static std::string inferConvTranspose(LayerRecord &layer,
                                      ArrayRef<Shape> inputs) {
  const Config &config = layer.config;
  if (std::string wrong = expectImages(3, inputs[0]); !wrong.empty())
    return wrong;
  const int64_t filters = config.integer("filters");
  addParameter(layer, "kernel", kernelShape(config, filters, inputs[0][3]));
  if (config.flag("use_bias"))
    addParameter(layer, "bias", {filters});
  VolumeWindow window = volumeTransposedWindow(config, inputs[0]);
  for (const WindowAxis &axis : window) {
    if (axis.pixels < 1)
      return "expected a result of at least one voxel; use a larger "
             "'output_padding' or a larger kernel";
    layer.shape.push_back(axis.pixels);
  }
  layer.shape.push_back(filters);
  return checkWindow(window);
}

/// As emitConv(), from its end to its beginning.
static mlir::Value emitConvTranspose(LayerEmitter &e, ValueRange inputs) {
  const Config &config = e.layer.config;
  const Shape from = volumeOf(inputs[0]), &to = e.layer.shape;
  const VolumeWindow window = volumeTransposedWindow(config, from);
  const int64_t channels = from[3], filters = to[3];
  const Rows r(window);
  const WindowAxis &depth = r.depth, &height = r.height;
  const int64_t phases = depth.dilation, length = from[2] * channels,
                row = to[2] * filters;
  mlir::Value x = exchanged(e, inputs[0], 1, from[0], from[1], length);
  x = reshaped(e, x, {from[1], from[0], 1, length});
  x = padded(e, x, 3, 0, depth.stride / r.step - 1);
  x = reshaped(e, x, {from[1], from[0] * depth.stride / r.step, length});
  x = fitted(e, x, 2, 0, r.slices / r.step);
  x = exchanged(e, x, from[1], r.slices / r.step / phases, phases, length);
  x = reshaped(e, x, {from[1] * r.slices / r.step, from[2], channels});
  mlir::Value kernel = Formula(e.builder, e.loc)
                           .reshape(e.read(0), {r.vertical.taps, window[2].taps,
                                                filters, channels});
  const WindowLists lists({r.vertical, window[2]});
  mlir::Value y = Conv2dTransposeOp::create(
      e.builder, e.loc, x, kernel, ArrayRef<int64_t>{r.vertical.pixels, to[2]},
      lists.strides, lists.dilations, lists.padding, 1);
  y = reshaped(e, y, {r.results * r.slices, height.taps, row});
  mlir::Value sum;
  for (int64_t tap = 0; tap < height.taps; ++tap) {
    const int64_t at = tap * height.dilation,
                  before = at / height.stride * height.stride,
                  inside = at % height.stride;
    mlir::Value part = sliced(e, y, 2, tap, 1);
    part = reshaped(e, part, {r.results, 1, r.slices, row});
    part = padded(e, part, 2, inside, height.stride - 1 - inside);
    part = reshaped(e, part, {r.results * height.stride, r.slices, row});
    part =
        padded(e, part, 1, before, r.rows - before - r.results * height.stride);
    sum = sum ? AddOp::create(e.builder, e.loc, sum, part).getResult() : part;
  }
  y = exchanged(e, sum, r.rows, phases, r.slices / phases, row);
  y = exchanged(e, y, 1, r.rows, r.slices, row);
  y = reshaped(e, y, {r.slices, r.rows, to[2], filters});
  int axis = 1;
  for (const WindowAxis *axisWindow : {&depth, &height}) {
    const int64_t low = axisWindow->low, size = axisWindow->pixels,
                  known = tensorTypeOf(y).getDimSize(axis) - low;
    y = sliced(e, y, axis, low, std::min(size, known));
    y = padded(e, y, axis, 0, std::max<int64_t>(size - known, 0));
    ++axis;
  }
  return emitBiasAndActivation(e, y, 1);
}

// ---- Pooling ----------------------------------------------------------------

static std::string inferPool(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (std::string wrong = expectImages(3, inputs[0]); !wrong.empty())
    return wrong;
  VolumeWindow window = volumePoolWindow(layer.config, inputs[0]);
  if (std::string wrong = checkWindow(window); !wrong.empty())
    return wrong;
  if (std::string wrong = checkPoolWindow(window); !wrong.empty())
    return wrong;
  for (const WindowAxis &axis : window)
    layer.shape.push_back(axis.windows());
  layer.shape.push_back(inputs[0][3]);
  return "";
}

template <typename Op>
static mlir::Value emitPool(LayerEmitter &e, ValueRange inputs) {
  mlir::Value x = inputs[0];
  Shape shape = volumeOf(x); // of what `x` holds
  const VolumeWindow window = volumePoolWindow(e.layer.config, shape);
  auto pool = [&](const Shape &image, const Window &w) {
    if (isPoint(w[0]) && isPoint(w[1]))
      return;
    const WindowLists lists(w);
    x = Op::create(e.builder, e.loc, reshaped(e, x, image), lists.taps,
                   lists.strides, lists.padding);
  };
  // Windows that end with their slice: height and width in one go.
  const bool isTiled = window[1].low == 0 && window[1].high == 0 &&
                       window[1].taps <= window[1].stride &&
                       window[1].pixels % window[1].stride == 0;
  WindowAxis rows = isTiled ? window[1] : along(shape[1]);
  rows.pixels *= shape[0];
  pool({shape[0] * shape[1], shape[2], shape[3]}, {rows, window[2]});
  shape[2] = window[2].windows();
  if (!isTiled)
    pool({shape[0], shape[1], shape[2] * shape[3]},
         {along(shape[0]), window[1]});
  const int64_t pixels = window[1].windows() * shape[2];
  pool({shape[0], pixels, shape[3]}, {window[0], along(pixels)});
  return reshapeToResult(e, x);
}

// ---- Sizes ------------------------------------------------------------------

static std::string inferUpSampling(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (std::string wrong = expectImages(3, inputs[0]); !wrong.empty())
    return wrong;
  layer.shape = inputs[0];
  const std::vector<int64_t> factors = layer.config.integers("size");
  for (int i = 0; i < 3; ++i)
    layer.shape[i] *= factors[i];
  if (!countElements(layer.shape))
    return "expected a result of fewer than 2^31 elements";
  return "";
}

static mlir::Value emitUpSampling(LayerEmitter &e, ValueRange inputs) {
  const Shape from = volumeOf(inputs[0]), to = e.layer.shape;
  const std::vector<int64_t> factors = e.layer.config.integers("size");
  mlir::Value x = reshaped(e, inputs[0], {from[0] * from[1], from[2], from[3]});
  x = UpsampleOp::create(e.builder, e.loc, x,
                         ArrayRef<int64_t>{factors[1], factors[2]});
  x = reshaped(e, x, {from[0], to[1] * to[2], to[3]});
  x = UpsampleOp::create(e.builder, e.loc, x, ArrayRef<int64_t>{factors[0], 1});
  return reshapeToResult(e, x);
}

// ---- The table --------------------------------------------------------------

ArrayRef<LayerRule> sinter::frontend::volumeLayerRules() {
  static const LayerRule rules[] = {
      {"conv3d", Arity::One, inferConv, emitConv},
      {"conv3d_transpose", Arity::One, inferConvTranspose, emitConvTranspose},
      {"max_pooling3d", Arity::One, inferPool, emitPool<MaxPool2dOp>},
      {"average_pooling3d", Arity::One, inferPool, emitPool<AvgPool2dOp>},
      {"up_sampling3d", Arity::One, inferUpSampling, emitUpSampling},
  };
  return rules;
}
