// OnnxResize.cpp - Resize and Upsample.
//
// Idea: along each axis, a result is a weighted sum of a few elements, with
// weights that depend on sizes alone: a product with a constant matrix. Nearest
// neighbours at whole factors are Keras's up_sampling.
// Known weakness: the matrix is dense, so an axis of more than 256 elements is
// refused, and an infinite element spoils its row.
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

static constexpr int64_t kLongestAxis = 256;

namespace {

/// One axis on its way from `from` elements to `to`.
struct Axis {
  int64_t from = 0, to = 0;
  double scale = 1, start = 0, end = 1; // the last two: of the region
};

/// Weights of each element of the operand in each one of the result.
struct Sampling {
  std::vector<std::vector<double>> weights; // [to][from]
  std::vector<bool> isOutside;              // [to]: gets the extra value
};

struct Manner {
  std::string mode, coordinates, nearest;
  double cubicA = -0.75;
  bool excludesOutside = false;
};

} // namespace

static double positionOf(const Manner &how, const Axis &axis, int64_t i) {
  const double x = static_cast<double>(i),
               last = static_cast<double>(axis.from - 1);
  // ONNX's reference does not round the size that scales give.
  const double rest = axis.scale * static_cast<double>(axis.from) - 1;
  if (how.coordinates == "align_corners")
    return axis.to > 1 ? x * last / rest : 0;
  if (how.coordinates == "asymmetric")
    return x / axis.scale;
  if (how.coordinates == "tf_half_pixel_for_nn")
    return (x + 0.5) / axis.scale;
  if (how.coordinates == "tf_crop_and_resize")
    return axis.to > 1
               ? axis.start * last + x * (axis.end - axis.start) * last / rest
               : 0.5 * (axis.start + axis.end) * last;
  if (how.coordinates == "pytorch_half_pixel" && axis.to == 1)
    return 0;
  return (x + 0.5) / axis.scale - 0.5;
}

static double nearestTo(const Manner &how, double x) {
  if (how.nearest == "floor")
    return std::floor(x);
  if (how.nearest == "ceil")
    return std::ceil(x);
  return how.nearest == "round_prefer_ceil" ? std::floor(x + 0.5)
                                            : std::ceil(x - 0.5);
}

/// Keys's kernel at distance `d`.
static double cubic(double d, double a) {
  d = std::fabs(d);
  if (d <= 1)
    return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static Sampling samplingOf(const Manner &how, const Axis &axis) {
  Sampling result;
  for (int64_t i = 0; i < axis.to; ++i) {
    std::vector<double> weights(axis.from, 0.0);
    const double x = positionOf(how, axis, i), base = std::floor(x);
    auto put = [&](double place, double weight) {
      const double last = static_cast<double>(axis.from - 1);
      if (how.excludesOutside && (place < 0 || place > last))
        return;
      weights[static_cast<size_t>(std::clamp(place, 0.0, last))] += weight;
    };
    if (how.mode == "nearest") {
      put(nearestTo(how, x), 1);
    } else if (how.mode == "linear") {
      put(base, 1 - (x - base));
      put(base + 1, x - base);
    } else {
      for (int tap = -1; tap <= 2; ++tap)
        put(base + tap, cubic(x - base - tap, how.cubicA));
    }
    double sum = 0;
    for (double weight : weights)
      sum += weight;
    for (double &weight : weights)
      weight /= how.excludesOutside ? sum : 1;
    result.weights.push_back(std::move(weights));
    result.isOutside.push_back(
        how.coordinates == "tf_crop_and_resize" &&
        (x < 0 || x > static_cast<double>(axis.from) - 1));
  }
  return result;
}

/// k, where each element is repeated k times; else 0.
static int64_t repetitionOf(const Sampling &sampling, const Axis &axis) {
  if (axis.to % axis.from != 0)
    return 0;
  const int64_t times = axis.to / axis.from;
  for (int64_t i = 0; i < axis.to; ++i)
    if (sampling.isOutside[i] || sampling.weights[i][i / times] != 1)
      return 0;
  return times;
}

static Tensor sampled(NodeReader &n, Tensor x, int64_t place, const Axis &axis,
                      const Sampling &sampling, double outside) {
  if (!x || repetitionOf(sampling, axis) == 1)
    return x;
  Constant kernel, bias;
  kernel.dims = {axis.from, axis.to};
  bias.dims = {axis.to};
  std::vector<float> weights, added;
  for (int64_t from = 0; from < axis.from; ++from)
    for (int64_t to = 0; to < axis.to; ++to)
      weights.push_back(sampling.isOutside[to]
                            ? 0
                            : static_cast<float>(sampling.weights[to][from]));
  bool hasBias = false;
  for (bool isOutside : sampling.isOutside) {
    added.push_back(isOutside ? static_cast<float>(outside) : 0);
    hasBias |= isOutside;
  }
  kernel.values = std::move(weights);
  bias.values = std::move(added);
  std::vector<int64_t> exchange = counting(0, n.shapeOf(x).size());
  std::swap(exchange[place], exchange.back());
  std::vector<LayerWeight> all = {{"kernel", std::move(kernel)}};
  if (hasBias)
    all.push_back({"bias", std::move(bias)});
  x = n.layer(
      Config("dense",
             {{"units", axis.to}, {"use_bias", hasBias}, {"trainable", false}}),
      permuted(n, x, exchange), std::move(all));
  return permuted(n, x, exchange);
}

/// The axes' sizes from scales or sizes, wherever the operator set has them;
/// nothing after a refusal.
static std::optional<std::vector<Axis>> readAxes(NodeReader &n) {
  const Dims dims = n.dims(0);
  const size_t rank = dims.size();
  std::vector<Axis> axes(rank);
  for (size_t i = 0; i < rank; ++i)
    axes[i].from = axes[i].to = dims[i];
  const bool isUpsample = n.op() == "Upsample";
  const size_t scalesAt = isUpsample || n.opset() < 11 ? 1 : 2;
  const Constant *scales = n.constant(scalesAt),
                 *sizes = isUpsample ? nullptr : n.constant(3);
  if (scales && scales->size() == 0)
    scales = nullptr;
  std::vector<double> numbers = n.numbers("scales");
  if (scales)
    for (size_t i = 0; i < scales->size(); ++i)
      numbers.push_back(scales->number(i));
  if (isUpsample && n.has("height_scale"))
    numbers = {1, 1, n.number("height_scale", 1), n.number("width_scale", 1)};
  if (n.has("axes") || n.integer("antialias", 0) ||
      n.text("keep_aspect_ratio_policy", "stretch") != "stretch") {
    n.refuse("axes, antialias and keep_aspect_ratio_policy are not supported");
    return std::nullopt;
  }
  if ((sizes ? sizes->size() : numbers.size()) != rank) {
    n.refuse("expected constant scales or sizes, one for each axis");
    return std::nullopt;
  }
  for (size_t i = 0; i < rank; ++i) {
    if (static_cast<int64_t>(i) < n.lead()) {
      const bool stays =
          sizes ? sizes->number(i) == static_cast<double>(n.fileBatch()) ||
                      sizes->number(i) == kBatch
                : numbers[i] == 1;
      if (stays)
        continue;
      n.refuse("it resizes the batch");
      return std::nullopt;
    }
    const double from = static_cast<double>(dims[i]),
                 to = sizes ? sizes->number(i) : std::floor(from * numbers[i]);
    if (!(to >= 1 && to <= 65536)) {
      n.refuse(formatv("expected sizes in 1 .. 65536, got {0}", to));
      return std::nullopt;
    }
    axes[i].to = static_cast<int64_t>(to);
    axes[i].scale = sizes ? to / from : numbers[i];
  }
  return axes;
}

/// Whole factors on both sides of images; false: it is something else.
static bool readUpSampling(NodeReader &n, ArrayRef<Axis> axes,
                           ArrayRef<Sampling> samplings) {
  if (n.lead() != 1 || axes.size() != 4 || axes[1].from != axes[1].to)
    return false;
  const int64_t rows = repetitionOf(samplings[2], axes[2]),
                columns = repetitionOf(samplings[3], axes[3]);
  if (!rows || !columns)
    return false;
  n.result(n.layer(Config("up_sampling2d", {{"size", toList({rows, columns})}}),
                   n.tensor(0, Order::ChannelsLast)),
           Order::ChannelsLast);
  return true;
}

static void readResize(NodeReader &n) {
  std::optional<std::vector<Axis>> axes = readAxes(n);
  if (!axes)
    return;
  // Before set 11, coordinates had no modes.
  const bool isOld = n.op() == "Upsample" || n.opset() < 11;
  Manner how;
  how.mode = n.text("mode", "nearest");
  how.coordinates = n.text("coordinate_transformation_mode",
                           isOld ? "asymmetric" : "half_pixel");
  how.nearest = n.text("nearest_mode", isOld ? "floor" : "round_prefer_floor");
  how.cubicA = n.number("cubic_coeff_a", -0.75);
  how.excludesOutside = n.integer("exclude_outside", 0) != 0;
  if (how.mode == "bilinear")
    how.mode = "linear";
  static const StringRef modes[] = {"nearest", "linear", "cubic"};
  static const StringRef coordinates[] = {
      "half_pixel", "pytorch_half_pixel",   "align_corners",
      "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
  if (!llvm::is_contained(modes, how.mode) ||
      !llvm::is_contained(coordinates, how.coordinates))
    return n.refuse("expected mode nearest, linear or cubic, and coordinates "
                    "of ONNX's, got '" +
                    printable(how.mode) + "' and '" +
                    printable(how.coordinates) + "'");
  if (how.coordinates == "tf_crop_and_resize") {
    const Constant *region = n.constant(1);
    if (!region || region->size() != 2 * axes->size())
      return n.refuse("expected a constant region of all axes");
    for (size_t i = 0; i < axes->size(); ++i) {
      (*axes)[i].start = region->number(i);
      (*axes)[i].end = region->number(i + axes->size());
    }
  }
  std::vector<Sampling> samplings(axes->size());
  bool isLong = false;
  for (size_t i = n.lead(); i < axes->size(); ++i) {
    const Axis &axis = (*axes)[i];
    // What stays as it is needs no table.
    if (axis.from == axis.to && axis.start == 0 && axis.end == 1 &&
        axis.scale == 1)
      continue;
    if (axis.from * axis.to > int64_t(1) << 24)
      return n.refuse(formatv("expected axes of at most {0} elements, got {1}",
                              kLongestAxis, axis.from));
    samplings[i] = samplingOf(how, axis);
    isLong |= axis.from > kLongestAxis;
  }
  for (size_t i = n.lead(); i < axes->size(); ++i)
    if (samplings[i].weights.empty() && i >= 2 && axes->size() == 4)
      samplings[i] = samplingOf({"nearest", "asymmetric", "floor"}, (*axes)[i]);
  if (readUpSampling(n, *axes, samplings))
    return;
  if (isLong)
    return n.refuse(formatv("expected whole factors and nearest neighbours, or "
                            "axes of at most {0} elements",
                            kLongestAxis));
  Tensor x = n.tensor(0);
  for (size_t i = n.lead(); i < axes->size(); ++i)
    if (!samplings[i].weights.empty())
      x = sampled(n, x, static_cast<int64_t>(i) - n.lead(), (*axes)[i],
                  samplings[i], n.number("extrapolation_value", 0));
  n.result(x);
}

ArrayRef<OpRule> onnx::resizeRules() {
  static const OpRule rules[] = {
      {"Resize", 1, readResize},
      {"Upsample", 1, readResize},
  };
  return rules;
}
