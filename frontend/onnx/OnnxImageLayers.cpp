// OnnxImageLayers.cpp - the ONNX of layers that work on sequences, images and
// volumes.
//
// Padding is always explicit: what `same` means with strides differs from
// framework to framework. Convolutions and pooling want channels first; the
// others take what they get.
#include "frontend/LayerParts.h"
#include "frontend/onnx/OnnxRules.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::StringRef;
using Attributes = OnnxEmitter::Attributes;

// ---- Convolutions -----------------------------------------------------------

using Axes = std::vector<WindowAxis>; // of space, those that a layer has

static Axes axesOf(const Window &window, int rank) {
  return Axes(window.end() - rank, window.end());
}

template <typename Get>
static std::vector<int64_t> each(const Axes &axes, Get get) {
  std::vector<int64_t> list;
  for (const WindowAxis &axis : axes)
    list.push_back(get(axis));
  return list;
}

/// Attributes of a window; ONNX has all beginnings before all ends.
static Attributes attributesOf(const Axes &axes) {
  std::vector<int64_t> pads =
      each(axes, [](const WindowAxis &a) { return a.low; });
  llvm::append_range(pads,
                     each(axes, [](const WindowAxis &a) { return a.high; }));
  return {
      {"kernel_shape", each(axes, [](const WindowAxis &a) { return a.taps; })},
      {"strides", each(axes, [](const WindowAxis &a) { return a.stride; })},
      {"pads", pads},
  };
}

static Attributes convolutionAttributes(const Axes &axes, int64_t groups) {
  Attributes result = attributesOf(axes);
  result.push_back({"dilations", each(axes, [](const WindowAxis &a) {
                      return a.dilation;
                    })});
  result.push_back({"group", groups});
  return result;
}

static int spaceRank(const OnnxEmitter &e) {
  return static_cast<int>(e.shape().size()) - 1;
}

/// A kernel (space.., in, out) as ONNX has it, (out, in, space..).
static std::string filter(OnnxEmitter &e, size_t parameter) {
  const Shape &shape = e.parameter(parameter).shape;
  Shape order, result;
  for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i)
    order.push_back(i);
  std::rotate(order.begin(), order.end() - 2, order.end());
  std::swap(order[0], order[1]);
  for (int64_t axis : order)
    result.push_back(shape[axis]);
  return e.weight(parameter, result,
                  permuted(e.values(parameter), shape, order));
}

/// A kernel (height, width, channels, multiplier) as a filter for each of the
/// channels' results.
static std::string depthwiseFilter(OnnxEmitter &e, size_t parameter) {
  const Shape &shape = e.parameter(parameter).shape;
  return e.weight(parameter, {shape[2] * shape[3], 1, shape[0], shape[1]},
                  permuted(e.values(parameter), shape, {2, 3, 0, 1}));
}

/// Ends a convolution, with parameter number `bias` as an operand of it.
static void finishConvolution(OnnxEmitter &e, StringRef op,
                              std::vector<std::string> operands, size_t bias,
                              const Attributes &attributes) {
  if (e.config().flag("use_bias"))
    operands.push_back(e.weight(bias));
  finishOnnx(e, {e.node(op, operands, attributes), Layout::First});
}

static Axes convolutionAxes(const OnnxEmitter &e) {
  const int rank = spaceRank(e);
  if (rank == 3) {
    VolumeWindow window = volumeConvolutionWindow(e.config(), e.shape());
    return Axes(window.begin(), window.end());
  }
  return axesOf(convolutionWindow(e.config(), rank, imageShape(e.shape())),
                rank);
}

static void emitConv(OnnxEmitter &e) {
  finishConvolution(
      e, "Conv", {e.operand(0, Layout::First), filter(e, 0)}, 1,
      convolutionAttributes(convolutionAxes(e), e.config().integer("groups")));
}

static Attributes depthwiseAttributes(const OnnxEmitter &e) {
  return convolutionAttributes(convolutionAxes(e), e.shape()[2]);
}

static void emitDepthwise(OnnxEmitter &e) {
  finishConvolution(e, "Conv",
                    {e.operand(0, Layout::First), depthwiseFilter(e, 0)}, 1,
                    depthwiseAttributes(e));
}

static void emitSeparable(OnnxEmitter &e) {
  std::string deep =
      e.node("Conv", {e.operand(0, Layout::First), depthwiseFilter(e, 0)},
             depthwiseAttributes(e));
  WindowAxis point = {1, 1, 1, 1, 0, 0};
  finishConvolution(e, "Conv", {deep, filter(e, 1)}, 2,
                    convolutionAttributes({point, point}, 1));
}

/// The kernel is (space.., out, in), ONNX's (in, out, space..).
static void emitConvTranspose(OnnxEmitter &e) {
  Axes axes;
  if (spaceRank(e) == 3)
    llvm::append_range(axes, volumeTransposedWindow(e.config(), e.shape()));
  else
    llvm::append_range(axes, transposedWindow(e.config(), e.shape()));
  Attributes attributes = convolutionAttributes(axes, 1);
  // Pixels that no window reaches, at the end.
  std::vector<int64_t> beyond;
  for (auto [axis, windows] : llvm::zip(axes, e.shape()))
    beyond.push_back(axis.pixels + axis.low + axis.high -
                     (windows - 1) * axis.stride - axis.reach());
  attributes.push_back({"output_padding", beyond});
  finishConvolution(e, "ConvTranspose",
                    {e.operand(0, Layout::First), filter(e, 0)}, 1, attributes);
}

// ---- Pooling ----------------------------------------------------------------

static constexpr char kMaxPool[] = "MaxPool", kAveragePool[] = "AveragePool",
                      kGlobalMaxPool[] = "GlobalMaxPool",
                      kGlobalAveragePool[] = "GlobalAveragePool",
                      kReduceMax[] = "ReduceMax", kReduceMean[] = "ReduceMean";

template <const char *op> static void emitPool(OnnxEmitter &e) {
  const int rank = spaceRank(e);
  Axes axes;
  if (rank == 3)
    llvm::append_range(axes, volumePoolWindow(e.config(), e.shape()));
  else
    axes = axesOf(poolWindow(e.config(), rank, imageShape(e.shape())), rank);
  Attributes attributes = attributesOf(axes);
  if constexpr (op == kAveragePool) // pixels of the padding are none
    attributes.push_back({"count_include_pad", int64_t(0)});
  e.setResult(
      {e.node(op, {e.operand(0, Layout::First)}, attributes), Layout::First});
}

template <const char *op, const char *reduction>
static void emitGlobalPool(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  const bool keep = e.config().flag("keepdims");
  if (x.layout == Layout::Last) {
    Shape axes;
    for (int64_t i = 1; i <= spaceRank(e); ++i)
      axes.push_back(i);
    return e.setResult({e.node(reduction, {x.name},
                               {{"axes", axes}, {"keepdims", int64_t(keep)}})});
  }
  x.name = e.node(op, {x.name});
  if (keep)
    e.setResult(x);
  else
    e.setResult({flattened(e, x.name)});
}

// ---- Borders and sizes ------------------------------------------------------

static void emitZeroPadding(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  const size_t rank = e.shape().size();
  std::vector<int64_t> sides = e.config().integers("padding");
  Shape pads(2 * (rank + 1), 0);
  for (size_t i = 0; i + 1 < rank; ++i) {
    const int64_t axis = axisIn(x.layout, rank, i);
    pads[axis] = sides[2 * i];
    pads[axis + rank + 1] = sides[2 * i + 1];
  }
  x.name = e.node("Pad", {x.name, e.integers("pads", pads)});
  e.setResult(x);
}

static void emitCropping(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  const size_t rank = e.shape().size();
  std::vector<int64_t> sides = e.config().integers("cropping");
  Shape starts, ends, axes;
  for (size_t i = 0; i + 1 < rank; ++i) {
    starts.push_back(sides[2 * i]);
    ends.push_back(sides[2 * i] + e.layer().shape[i]);
    axes.push_back(axisIn(x.layout, rank, i));
  }
  x.name =
      e.node("Slice", {x.name, e.integers("starts", starts),
                       e.integers("ends", ends), e.integers("axes", axes)});
  e.setResult(x);
}

/// Each pixel repeated: result r is pixel floor(r / factor).
static void emitUpSampling(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  const size_t rank = e.shape().size();
  std::vector<float> scales(rank + 1, 1);
  for (size_t i = 0; i + 1 < rank; ++i)
    scales[axisIn(x.layout, rank, i)] =
        static_cast<float>(e.layer().shape[i] / e.shape()[i]);
  x.name = e.node(
      "Resize",
      {x.name, "",
       e.constant("scales", Shape{static_cast<int64_t>(rank + 1)}, scales)},
      {{"mode", StringRef("nearest")},
       {"coordinate_transformation_mode", StringRef("asymmetric")},
       {"nearest_mode", StringRef("floor")}});
  e.setResult(x);
}

// ---- Normalisation ----------------------------------------------------------

namespace {
/// gamma and beta, or the numbers that stand for them, of a layer whose
/// normalised axes have `count` elements.
struct Scaling {
  Scaling(const OnnxEmitter &e, size_t count) : gamma(count, 1), beta(count) {
    if (e.config().flag("scale"))
      gamma = e.values(next++).vec();
    if (e.config().flag("center"))
      beta = e.values(next++).vec();
  }
  std::vector<float> gamma, beta;
  size_t next = 0; // parameter behind these
};
} // namespace

/// Convolutions and pooling, which want their input's channels first.
static bool wantsChannelsFirst(const LayerRecord &layer) {
  StringRef name = layer.config.name;
  return name.contains("conv") ||
         (name.contains("_pooling") && !name.starts_with("global"));
}

/// ONNX's op wants channels first. Where they are last and nobody behind it
/// transposes them, too, the layer is x a + b: an importer of the file then
/// finds a product and a sum that know nothing of statistics.
static void emitBatchNormalization(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  if (x.layout == Layout::Last && e.shape().size() > 1 &&
      e.areReaders(wantsChannelsFirst))
    x = {e.operand(0, Layout::First), Layout::First};
  const Shape channels = {e.shape().back()};
  Scaling s(e, static_cast<size_t>(channels[0]));
  ArrayRef<float> mean = e.values(s.next), variance = e.values(s.next + 1);
  const float epsilon = static_cast<float>(e.config().number("epsilon"));
  if (x.layout == Layout::First || e.shape().size() == 1) {
    auto constant = [&](StringRef name, ArrayRef<float> values) {
      return e.constant(name, channels, inOrderOf(x, values));
    };
    x.name = e.node("BatchNormalization",
                    {x.name, constant("gamma", s.gamma),
                     constant("beta", s.beta), constant("moving_mean", mean),
                     constant("moving_variance", variance)},
                    {{"epsilon", epsilon}});
    return e.setResult(x);
  }
  std::vector<float> a = s.gamma, b = s.beta;
  for (size_t i = 0; i < a.size(); ++i) {
    const double factor =
        s.gamma[i] / std::sqrt(static_cast<double>(variance[i]) + epsilon);
    a[i] = static_cast<float>(factor);
    b[i] = static_cast<float>(s.beta[i] - mean[i] * factor);
  }
  x.name = e.node("Mul", {x.name, e.constant("factor", channels, a)});
  x.name = e.node("Add", {x.name, e.constant("offset", channels, b)});
  e.setResult(x);
}

static void emitLayerNormalization(OnnxEmitter &e) {
  const int64_t axes = static_cast<int64_t>(e.config().integers("axis").size());
  OnnxOperand x = e.shape().size() == 1
                      ? e.operand()
                      : OnnxOperand{e.operand(0, Layout::Last)};
  const Shape shape(e.shape().end() - axes, e.shape().end());
  Scaling s(e, static_cast<size_t>(*countElements(shape)));
  std::vector<std::string> operands = {
      x.name, e.constant("gamma", shape, inOrderOf(x, s.gamma))};
  if (e.config().flag("center"))
    operands.push_back(e.constant("beta", shape, inOrderOf(x, s.beta)));
  x.name =
      e.node("LayerNormalization", operands,
             {{"axis", -axes},
              {"epsilon", static_cast<float>(e.config().number("epsilon"))}});
  e.setResult(x);
}

static void emitSpatialDropout(OnnxEmitter &e) { e.passInput(); }

// ---- The table --------------------------------------------------------------

ArrayRef<OnnxRule> sinter::frontend::onnxImageRules() {
  static const OnnxRule rules[] = {
      {"conv1d", emitConv},
      {"conv2d", emitConv},
      {"conv3d", emitConv},
      {"depthwise_conv2d", emitDepthwise},
      {"separable_conv2d", emitSeparable},
      {"conv2d_transpose", emitConvTranspose},
      {"conv3d_transpose", emitConvTranspose},
      {"max_pooling1d", emitPool<kMaxPool>},
      {"max_pooling2d", emitPool<kMaxPool>},
      {"max_pooling3d", emitPool<kMaxPool>},
      {"average_pooling1d", emitPool<kAveragePool>},
      {"average_pooling2d", emitPool<kAveragePool>},
      {"average_pooling3d", emitPool<kAveragePool>},
      {"global_max_pooling1d", emitGlobalPool<kGlobalMaxPool, kReduceMax>},
      {"global_max_pooling2d", emitGlobalPool<kGlobalMaxPool, kReduceMax>},
      {"global_max_pooling3d", emitGlobalPool<kGlobalMaxPool, kReduceMax>},
      {"global_average_pooling1d",
       emitGlobalPool<kGlobalAveragePool, kReduceMean>},
      {"global_average_pooling2d",
       emitGlobalPool<kGlobalAveragePool, kReduceMean>},
      {"global_average_pooling3d",
       emitGlobalPool<kGlobalAveragePool, kReduceMean>},
      {"zero_padding1d", emitZeroPadding},
      {"zero_padding2d", emitZeroPadding},
      {"zero_padding3d", emitZeroPadding},
      {"cropping1d", emitCropping},
      {"cropping2d", emitCropping},
      {"cropping3d", emitCropping},
      {"up_sampling1d", emitUpSampling},
      {"up_sampling2d", emitUpSampling},
      {"up_sampling3d", emitUpSampling},
      {"batch_normalization", emitBatchNormalization},
      {"layer_normalization", emitLayerNormalization},
      {"spatial_dropout1d", emitSpatialDropout},
      {"spatial_dropout2d", emitSpatialDropout},
      {"spatial_dropout3d", emitSpatialDropout},
  };
  return rules;
}
