// OnnxStatistics.cpp - normalisation by a sample's own moments, and losses.
//
// Composed of means, differences and products. A label picks its class by
// comparison with 0, 1, 2, ..., so labels may be computed.
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

/// A reduction over axes of a sample, counted from 0; they stay with size 1.
static Tensor reduced(NodeReader &n, StringRef layer, Tensor x,
                      ArrayRef<int64_t> axes) {
  std::vector<int64_t> places;
  for (int64_t axis : axes)
    places.push_back(axis + 1);
  return n.layer(
      Config(layer.str(), {{"axis", toList(places)}, {"keepdims", true}}), x);
}

/// An operand that is never trained, constant or not.
static Tensor fixedOperand(NodeReader &n, size_t input) {
  const Constant *given = n.constant(input);
  if (!given)
    return n.tensor(input);
  if (n.lead() == 1 && given->size() != 1) {
    n.refuse("a constant of " + dimsToText(given->dims) +
             " would make the samples of a batch differ");
    return {};
  }
  Constant values = *given;
  std::vector<float> numbers;
  for (size_t i = 0; i < given->size(); ++i)
    numbers.push_back(static_cast<float>(given->number(i)));
  values.values = std::move(numbers);
  if (n.lead() == 1 || values.dims.empty())
    values.dims = {1};
  return n.frozen(std::move(values));
}

/// A vector of `size` along `axis` of a sample, a constant or, where a whole
/// input is one sample, a tensor.
static Tensor alongAxis(NodeReader &n, size_t input, int64_t size, int64_t rank,
                        int64_t axis) {
  Dims dims(rank, 1);
  dims[axis] = size;
  if (onnx::countElements(n.dims(input)) != size) {
    n.refuse(formatv("expected {0} elements, got {1}", size,
                     dimsToText(n.dims(input))));
    return {};
  }
  if (!n.constant(input))
    return reshaped(n, n.tensor(input), dims);
  Operand operand = n.input(input);
  Constant values = *operand.constant;
  values.dims = dims;
  operand.constant = std::make_shared<Constant>(std::move(values));
  return n.parameter(operand, rank, Order::AsInFile);
}

// ---- Normalisation ----------------------------------------------------------

namespace {
struct Moments {
  Tensor mean, centred, variance;
};
} // namespace

static Moments momentsOf(NodeReader &n, Tensor x, ArrayRef<int64_t> axes) {
  Moments m;
  m.mean = reduced(n, "mean", x, axes);
  m.centred = n.layer(Config("subtract"), {x, m.mean});
  m.variance = reduced(n, "mean", n.layer(Config("square"), m.centred), axes);
  return m;
}

/// 1 / sqrt(variance + epsilon)
static Tensor inverseDeviation(NodeReader &n, Tensor variance, double epsilon) {
  Tensor y = n.layer(Config("rescaling", {{"scale", 1.0}, {"offset", epsilon}}),
                     variance);
  return n.layer(Config("rsqrt"), y);
}

static void readLayerNormalization(NodeReader &n) {
  const int64_t rank = rankOf(n.dims(0));
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", -1), rank);
  if (!axis)
    return;
  if (*axis < n.lead())
    return n.refuse("it runs over the samples of a batch");
  Tensor x = n.tensor(0);
  if (!x)
    return;
  Moments m = momentsOf(n, x, counting(*axis - n.lead(), rank - n.lead()));
  Tensor inverse = inverseDeviation(n, m.variance, n.number("epsilon", 1e-5));
  Tensor y = n.layer(Config("multiply"), {m.centred, inverse});
  y = n.layer(Config("multiply"), {y, widened(n, 1, rank - n.lead())});
  if (n.hasInput(2))
    y = n.layer(Config("add"), {y, widened(n, 2, rank - n.lead())});
  n.result(y);
  if (n.numResults() > 1)
    n.result(m.mean, Order::AsInFile, 1);
  if (n.numResults() > 2)
    n.result(inverse, Order::AsInFile, 2);
}

static void readInstanceNormalization(NodeReader &n) {
  const Dims dims = n.dims(0);
  const int64_t rank = rankOf(dims) - n.lead(), channel = 1 - n.lead();
  if (rankOf(dims) < 3)
    return n.refuse(
        "expected sequences (N, C, L) or images (N, C, H, W), got " +
        dimsToText(dims));
  Tensor x = n.tensor(0);
  if (!x)
    return;
  Moments m = momentsOf(n, x, counting(channel + 1, rank));
  Tensor y = n.layer(
      Config("multiply"),
      {m.centred, inverseDeviation(n, m.variance, n.number("epsilon", 1e-5))});
  y = n.layer(Config("multiply"), {y, alongAxis(n, 1, dims[1], rank, channel)});
  n.result(
      n.layer(Config("add"), {y, alongAxis(n, 2, dims[1], rank, channel)}));
}

/// (x - mean) / (deviation + 1e-9)
static void readMeanVarianceNormalization(NodeReader &n) {
  std::vector<int64_t> axes = n.integers("axes", {0, 2, 3});
  for (int64_t &given : axes) {
    std::optional<int64_t> axis = n.axisOf(given, rankOf(n.dims(0)));
    if (!axis)
      return;
    if (*axis < n.lead())
      return n.refuse("it runs over the samples of a batch");
    given = *axis - n.lead();
  }
  Tensor x = n.tensor(0);
  if (!x)
    return;
  Moments m = momentsOf(n, x, axes);
  Tensor deviation =
      n.layer(Config("rescaling", {{"scale", 1.0}, {"offset", 1e-9}}),
              n.layer(Config("sqrt"), m.variance));
  n.result(n.layer(Config("divide"), {m.centred, deviation}));
}

/// Sums over neighbouring channels are a product with a banded matrix.
static void readLRN(NodeReader &n) {
  const int64_t most = 1024, size = n.integer("size", 0);
  const Dims dims = n.dims(0);
  if (n.lead() == 0 || rankOf(dims) < 3)
    return n.refuse("expected images (N, C, H, W), got " + dimsToText(dims));
  const int64_t channels = dims[1];
  if (size < 1 || channels > most)
    return n.refuse(formatv("expected a size of at least 1 and at most {0} "
                            "channels, got {1} and {2}",
                            most, size, channels));
  Constant band;
  band.dims = {channels, channels};
  std::vector<float> values;
  for (int64_t from = 0; from < channels; ++from)
    for (int64_t to = 0; to < channels; ++to)
      values.push_back(from >= to - (size - 1) / 2 && from <= to + size / 2);
  band.values = std::move(values);
  Tensor x = n.tensor(0, Order::ChannelsLast);
  Tensor y = n.layer(
      Config("dense",
             {{"units", channels}, {"use_bias", false}, {"trainable", false}}),
      n.layer(Config("square"), x), {{"kernel", std::move(band)}});
  y = n.layer(Config("rescaling", {{"scale", n.number("alpha", 1e-4) /
                                                 static_cast<double>(size)},
                                   {"offset", n.number("bias", 1)}}),
              y);
  if (!y)
    return;
  y = n.layer(Config("power"), {y, numberLike(n, n.number("beta", 0.75), y)});
  n.result(n.layer(Config("divide"), {x, y}), Order::ChannelsLast);
}

// ---- Losses -----------------------------------------------------------------

/// NegativeLogLikelihoodLoss, and SoftmaxCrossEntropyLoss, which begins with
/// the logarithm of softmax over the classes.
static void readLoss(NodeReader &n) {
  const Dims dims = n.dims(0), labelDims = n.dims(1);
  const int64_t axis = 1 - n.lead(), rank = rankOf(dims) - n.lead();
  const std::string reduction = n.text("reduction", "mean");
  if (rankOf(dims) < 2 || rankOf(labelDims) != rankOf(dims) - 1)
    return n.refuse("expected scores (N, C, ...) and labels (N, ...), got " +
                    dimsToText(dims) + " and " + dimsToText(labelDims));
  if (reduction != "none" && n.lead() == 1)
    return n.refuse("it runs over the samples of a batch");
  if (reduction != "none" && reduction != "sum" && reduction != "mean")
    return n.refuse("expected reduction none, sum or mean, got '" +
                    printable(reduction) + "'");
  const int64_t classes = dims[1];
  Tensor x = n.tensor(0);
  if (n.op() == "SoftmaxCrossEntropyLoss") {
    std::vector<int64_t> exchange = counting(0, rank);
    std::swap(exchange[axis], exchange.back());
    x = permuted(n, x, exchange);
    x = n.layer(Config("activation", {{"activation", Config("log_softmax")}}),
                x);
    x = permuted(n, x, exchange);
    if (n.numResults() > 1)
      n.result(x, Order::AsInFile, 1);
  }
  Shape labelShape = sampleOf(n, dims);
  labelShape[axis] = 1;
  Tensor labels = reshaped(n, fixedOperand(n, 1), labelShape);
  Tensor is =
      n.layer(Config("equal"), {labels, rangeAlong(n, classes, rank, axis)});
  if (!x || !is)
    return;
  if (n.has("ignore_index")) {
    const double ignored = static_cast<double>(n.integer("ignore_index", 0));
    Tensor counts =
        n.layer(Config("not_equal"), {labels, numberLike(n, ignored, labels)});
    is = n.layer(Config("multiply"), {is, counts});
  }
  Tensor weights = is;
  if (n.hasInput(2))
    weights =
        n.layer(Config("multiply"), {is, alongAxis(n, 2, classes, rank, axis)});
  // Not 0 x: a score may be infinite.
  Tensor cost = n.layer(Config("where"), {is, x, numberLike(n, 0, x)});
  cost =
      n.layer(Config("negative"), n.layer(Config("multiply"), {cost, weights}));
  if (reduction == "none")
    return resultOf(n, reduced(n, "sum", cost, {axis}), sampleOf(n, labelDims));
  const std::vector<int64_t> all = counting(0, rank);
  cost = reduced(n, "sum", cost, all);
  if (reduction == "mean")
    cost = n.layer(Config("divide"), {cost, reduced(n, "sum", weights, all)});
  resultOf(n, cost, {});
}

// ---- The table --------------------------------------------------------------

ArrayRef<OpRule> onnx::statisticsRules() {
  static const OpRule rules[] = {
      {"InstanceNormalization", 3, readInstanceNormalization},
      {"LRN", 1, readLRN},
      {"LayerNormalization", 2, readLayerNormalization},
      {"MeanVarianceNormalization", 1, readMeanVarianceNormalization},
      {"NegativeLogLikelihoodLoss", 2, readLoss},
      {"SoftmaxCrossEntropyLoss", 2, readLoss},
  };
  return rules;
}
