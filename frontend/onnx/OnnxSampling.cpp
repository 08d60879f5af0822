// OnnxSampling.cpp - rules of ops that look at images between pixels, at places
// that are computed.
//
// Problem: a gather at computed places is not an op of the dialect.
// Idea: what is seen at a place is a sum over all pixels, with weights that are
// the product of one along the height and one along the width: max(0, 1 -
// |place - pixel|) is linear interpolation, with zeros around the image. What
// else lies around it, and cubic interpolation, change the places and weights
// alone.
// Known weakness: it takes places times pixels products, up to kMostPairs. An
// infinite pixel makes what is seen of its whole image NaN.
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

static Tensor linear(NodeReader &n, Tensor x, double scale, double offset) {
  return n.layer(Config("rescaling", {{"scale", scale}, {"offset", offset}}),
                 x);
}

static Tensor clamped(NodeReader &n, Tensor x, double low, double high) {
  if (!x)
    return {};
  x = both(n, "maximum", x, numberLike(n, low, x));
  return both(n, "minimum", x, numberLike(n, high, x));
}

/// sizes + more
static Shape joined(Shape sizes, std::initializer_list<int64_t> more) {
  sizes.insert(sizes.end(), more);
  return sizes;
}

// ---- Weights ----------------------------------------------------------------

namespace {
enum class Mode { Nearest, Linear, Cubic };
enum class Around { Zeros, Border, Reflection };
} // namespace

/// Into [low, high], turned back at the ends.
static Tensor reflected(NodeReader &n, Tensor x, double low, double high) {
  const double period = 2 * (high - low);
  if (period == 0)
    return linear(n, x, 0, low);
  Tensor t = linear(n, x, 1, -low);
  if (!t)
    return {};
  t = both(n, "mod", t, numberLike(n, period, t));
  t = both(n, "minimum", t, linear(n, t, -1, period));
  return linear(n, t, 1, low);
}

/// ((a + 2) t - (a + 3)) t^2 + 1 up to 1, a (t^3 - 5 t^2 + 8 t - 4) up to 2,
/// with a = -3/4 and t = |distance|.
static Tensor cubic(NodeReader &n, Tensor t) {
  if (!t)
    return {};
  const double a = -0.75;
  Tensor square = both(n, "multiply", t, t);
  Tensor nearer = linear(
      n, both(n, "multiply", linear(n, t, a + 2, -(a + 3)), square), 1, 1);
  // a ((t - 5) t + 8) t - 4 a
  Tensor inner =
      linear(n, both(n, "multiply", linear(n, t, 1, -5), t), a, 8 * a);
  Tensor farther = linear(n, both(n, "multiply", inner, t), 1, -4 * a);
  Tensor isNear = both(n, "less_equal", t, numberLike(n, 1, t)),
         isSeen = both(n, "less", t, numberLike(n, 2, t));
  if (!isNear || !isSeen || !nearer || !farther)
    return {};
  farther = n.layer(Config("where"), {isSeen, farther, numberLike(n, 0, t)});
  return n.layer(Config("where"), {isNear, nearer, farther});
}

/// The weight of pixels first, first + 1, ... at each place: a new last axis of
/// `size`.
static Tensor weightsOf(NodeReader &n, Tensor places, Mode mode, int64_t first,
                        int64_t size) {
  if (!places)
    return {};
  const Shape shape = n.shapeOf(places);
  const int64_t rank = rankOf(shape) + 1;
  std::vector<float> pixels;
  for (int64_t i = 0; i < size; ++i)
    pixels.push_back(static_cast<float>(first + i));
  Tensor x = reshaped(n, places, joined(shape, {1}));
  Tensor pixel = vectorAlong(n, std::move(pixels), rank, rank - 1);
  if (mode == Mode::Nearest)
    return both(n, "equal", x, pixel);
  Tensor apart = n.layer(Config("absolute"), both(n, "subtract", x, pixel));
  if (mode == Mode::Cubic)
    return cubic(n, apart);
  Tensor weight = linear(n, apart, -1, 1);
  return weight ? both(n, "maximum", weight, numberLike(n, 0, weight))
                : Tensor();
}

// ---- GridSample -------------------------------------------------------------

static void readGridSample(NodeReader &n) {
  const Dims dims = n.dims(0), gridDims = n.dims(1);
  if (dims.size() != 4 || gridDims.size() != 4 || gridDims[3] != 2 ||
      dims[0] != gridDims[0])
    return n.refuse("expected images (N, C, H, W) and a grid (N, H, W, 2), "
                    "got " +
                    dimsToText(dims) + " and " + dimsToText(gridDims));
  const std::string modeName = n.text("mode", "bilinear"),
                    aroundName = n.text("padding_mode", "zeros");
  std::optional<Mode> mode;
  if (modeName == "nearest")
    mode = Mode::Nearest;
  else if (modeName == "bilinear" || modeName == "linear")
    mode = Mode::Linear;
  else if (modeName == "bicubic" || modeName == "cubic")
    mode = Mode::Cubic;
  std::optional<Around> around;
  if (aroundName == "zeros")
    around = Around::Zeros;
  else if (aroundName == "border")
    around = Around::Border;
  else if (aroundName == "reflection")
    around = Around::Reflection;
  if (!mode || !around)
    return n.refuse("expected a mode and padding_mode of ONNX's, got '" +
                    printable(modeName) + "' and '" + printable(aroundName) +
                    "'");
  const bool aligned = n.integer("align_corners", 0) != 0;
  Shape before; // the batch, where it is part of a sample
  if (n.lead() == 0)
    before.push_back(dims[0]);
  const int64_t channels = dims[1], at = rankOf(before),
                places = gridDims[1] * gridDims[2];
  std::optional<int64_t> products = onnx::countElements(
      joined(before, {channels, places, dims[2] + 4, dims[3] + 4}));
  if (!products || *products > kMostPairs)
    return n.refuse(formatv("expected at most {0} products of a place and a "
                            "pixel",
                            kMostPairs));
  Tensor x = n.tensor(0), grid = n.tensor(1);
  if (!x || !grid)
    return;
  grid = reshaped(n, grid, joined(before, {places, 2}));
  Tensor weights[2];
  for (int axis = 0; axis < 2; ++axis) { // height, width
    const int64_t size = dims[2 + axis];
    const double pixels = static_cast<double>(size);
    std::vector<int64_t> starts(at + 2, 0);
    starts.back() = 1 - axis; // the grid has the width first
    Tensor place =
        reshaped(n, sliced(n, grid, starts, joined(before, {places, 1})),
                 joined(before, {places}));
    place = aligned ? linear(n, place, (pixels - 1) / 2, (pixels - 1) / 2)
                    : linear(n, place, pixels / 2, (pixels - 1) / 2);
    if (*mode == Mode::Nearest)
      place = n.layer(Config("round"), place);
    if (*around == Around::Border)
      place = clamped(n, place, 0, pixels - 1);
    if (*around == Around::Reflection) {
      place = aligned ? reflected(n, place, 0, pixels - 1)
                      : reflected(n, place, -0.5, pixels - 0.5);
      if (*mode != Mode::Cubic)
        place = clamped(n, place, 0, pixels - 1);
    }
    const bool isWider = *mode == Mode::Cubic && *around != Around::Zeros;
    if (isWider) { // two pixels more on each side
      std::vector<int64_t> sources;
      for (int64_t i = -2; i < size + 2; ++i) {
        int64_t source = std::clamp<int64_t>(i, 0, size - 1);
        const int64_t period = aligned ? 2 * (size - 1) : 2 * size;
        if (*around == Around::Reflection && period > 0) {
          const int64_t turned = (i % period + period) % period;
          source =
              std::min(turned, aligned ? period - turned : period - 1 - turned);
        }
        sources.push_back(source);
      }
      x = pickedAlong(n, x, at + 1 + axis, sources);
    }
    weights[axis] =
        weightsOf(n, place, *mode, isWider ? -2 : 0, isWider ? size + 4 : size);
  }
  if (!x || !weights[0] || !weights[1])
    return;
  // (.., channel, place, row, column), summed over rows, then over columns.
  const Shape image = n.shapeOf(x);
  const int64_t rows = image[at + 1], columns = image[at + 2];
  x = both(n, "multiply",
           reshaped(n, x, joined(before, {channels, 1, rows, columns})),
           reshaped(n, weights[0], joined(before, {1, places, rows, 1})));
  x = sumOver(n, x, at + 2);
  x = both(n, "multiply", x,
           reshaped(n, weights[1], joined(before, {1, places, columns})));
  x = sumOver(n, x, at + 2);
  if (x)
    resultOf(n, x, joined(before, {channels, gridDims[1], gridDims[2]}));
}

// ---- RoiAlign ---------------------------------------------------------------

static void readRoiAlign(NodeReader &n) {
  if (n.lead() == 1)
    return n.refuse("its regions are of any sample of a batch");
  const Dims dims = n.dims(0), regions = n.dims(1);
  if (dims.size() != 4 || regions.size() != 2 || regions[1] != 4)
    return n.refuse("expected images (N, C, H, W) and regions (R, 4), got " +
                    dimsToText(dims) + " and " + dimsToText(regions));
  const int64_t points = n.integer("sampling_ratio", 0), count = regions[0],
                channels = dims[1];
  const int64_t sizes[2] = {n.integer("output_height", 1),
                            n.integer("output_width", 1)};
  if (n.text("mode", "avg") != "avg")
    return n.refuse("expected mode avg: maxima of weighted pixels are not "
                    "supported");
  if (points < 1 || points > 64)
    return n.refuse("expected a sampling_ratio of 1 to 64: with 0, the number "
                    "of points depends on the regions");
  const bool isHalf =
      n.opset() >= 16 &&
      n.text("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  const double scale = n.number("spatial_scale", 1);
  if (sizes[0] < 1 || sizes[1] < 1 || sizes[0] > 4096 || sizes[1] > 4096)
    return n.refuse("expected an output_height and output_width of 1 to 4096");
  std::optional<int64_t> products = onnx::countElements(
      {count, channels, std::max(sizes[0], dims[0]), dims[2], dims[3]});
  if (!products || *products > kMostPairs)
    return n.refuse(formatv("expected at most {0} products of a place and a "
                            "pixel",
                            kMostPairs));
  Tensor x = n.tensor(0), rois = n.tensor(1);
  if (!x || !rois)
    return;
  Tensor weights[2];
  for (int axis = 0; axis < 2; ++axis) {
    auto edge = [&](int64_t column) {
      Tensor t = sliced(n, rois, {0, column}, {count, 1});
      return linear(n, t, scale, isHalf ? -0.5 : 0);
    };
    const int64_t pixels = dims[2 + axis], size = sizes[axis];
    Tensor begin = edge(1 - axis), end = edge(3 - axis);
    Tensor length = both(n, "subtract", end, begin);
    if (!isHalf && length)
      length = both(n, "maximum", length, numberLike(n, 1, length));
    std::vector<float> steps; // of each point, in lengths of the region
    for (int64_t i = 0; i < size * points; ++i)
      steps.push_back(static_cast<float>((static_cast<double>(i) + 0.5) /
                                         static_cast<double>(size * points)));
    Tensor place = both(
        n, "add", begin,
        both(n, "multiply", length, vectorAlong(n, std::move(steps), 2, 1)));
    if (!place)
      return;
    // Beyond a pixel outside of the image, there is nothing.
    const double last = static_cast<double>(pixels);
    Tensor isSeen =
        both(n, "logical_and",
             both(n, "greater_equal", place, numberLike(n, -1, place)),
             both(n, "less_equal", place, numberLike(n, last, place)));
    Tensor weight =
        weightsOf(n, clamped(n, place, 0, last - 1), Mode::Linear, 0, pixels);
    if (!weight || !isSeen)
      return;
    weight = both(n, "multiply", weight,
                  reshaped(n, isSeen, {count, size * points, 1}));
    weight = reshaped(n, weight, {count, size, points, pixels});
    weights[axis] = n.layer(Config("mean", {{"axis", 3}}), weight);
  }
  // The image of each region.
  if (dims[0] > 1) {
    Tensor index = reshaped(n, n.tensor(2), {count, 1, 1, 1, 1});
    Tensor is = both(n, "equal", index, rangeAlong(n, dims[0], 5, 1));
    x = both(
        n, "multiply", is,
        reshaped(n, x, joined({1}, {dims[0], channels, dims[2], dims[3]})));
    x = sumOver(n, x, 1);
  }
  const int64_t images = dims[0] > 1 ? count : 1;
  x = both(n, "multiply",
           reshaped(n, x, {images, channels, 1, dims[2], dims[3]}),
           reshaped(n, weights[0], {count, 1, sizes[0], dims[2], 1}));
  x = sumOver(n, x, 3);
  x = both(n, "multiply",
           reshaped(n, x, {count, channels, sizes[0], 1, dims[3]}),
           reshaped(n, weights[1], {count, 1, 1, sizes[1], dims[3]}));
  x = sumOver(n, x, 4);
  if (x)
    resultOf(n, x, {count, channels, sizes[0], sizes[1]});
}

// ---- The table --------------------------------------------------------------

ArrayRef<OpRule> onnx::samplingRules() {
  static const OpRule rules[] = {
      {"GridSample", 2, readGridSample},
      {"RoiAlign", 3, readRoiAlign},
  };
  return rules;
}
