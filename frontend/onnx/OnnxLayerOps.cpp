// OnnxLayerOps.cpp - ONNX ops, and forms of them, that are a whole layer here:
// activations, borders, sizes, layer normalisation.
//
// They are tried before the rules of other topics. These are, among others,
// what `sinter export` writes, and come back as the layers that they were.
#include "frontend/onnx/OnnxRuleParts.h"

#include "frontend/Layers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

// ---- Activations ------------------------------------------------------------

/// In whatever order the operand is.
static void activate(NodeReader &n, Config which) {
  const Operand &x = n.input(0);
  const Order order = x.isConstant() ? Order::AsInFile : x.order;
  n.result(n.layer(Config("activation", {{"activation", std::move(which)}}),
                   n.tensor(0, order)),
           order);
}

static constexpr char kExponential[] = "exponential", kSilu[] = "silu";

template <const char *name> static void readPlain(NodeReader &n) {
  activate(n, Config(name));
}

/// Limits are attributes before set 11, operands since.
static void readClip(NodeReader &n) {
  auto limit = [&](const char *name, size_t input, double none) {
    const Constant *value = n.constant(input);
    return value && value->size() == 1 ? value->number(0)
           : n.hasInput(input)         ? NAN
                                       : n.number(name, none);
  };
  const double low = limit("min", 1, -INFINITY),
               high = limit("max", 2, INFINITY);
  if (low == 0 && high == 6)
    return activate(n, Config("relu6"));
  if (low == 0 && high >= 3.4e38)
    return activate(n, Config("relu"));
  if (low == -1 && high == 1)
    return activate(n, Config("hard_tanh"));
  n.refuse(formatv("expected the limits 0 and 6 (relu6), -1 and 1 (hard_tanh), "
                   "or 0 alone, got {0} and {1}",
                   low, high));
}

static void readSquareplus(NodeReader &n) {
  activate(n, Config("squareplus", {{"b", n.number("b", 4)}}));
}

// ---- Borders and sizes ------------------------------------------------------

namespace {
/// The axes of space of sequences, images and volumes, in the file.
struct Space {
  int64_t first, count;
  Order order; // in which a layer on them takes the operand
};
} // namespace

/// Images whose other axes `isWhole` finds untouched: with channels first, or
/// last. Nothing after a refusal.
template <typename IsWhole>
static std::optional<Space> spaceOf(NodeReader &n, IsWhole isWhole) {
  const int64_t rank = rankOf(n.dims(0)), space = rank - 1 - n.lead();
  const bool leads =
      n.lead() == 0 || isWhole(0); // the samples of a batch, all of them
  if (leads && space >= 1 && space <= 3) {
    const Operand &x = n.input(0);
    const bool first = isWhole(n.lead()), last = isWhole(rank - 1);
    const bool isFirst = !x.isConstant() && x.order == Order::ChannelsLast;
    if (first && (isFirst || !last))
      return Space{n.lead() + 1, space, Order::ChannelsLast};
    if (last)
      return Space{n.lead(), space, Order::AsInFile};
  }
  n.refuse("expected sequences, images or volumes whose samples and channels "
           "stay as "
           "they are, got " +
           dimsToText(n.dims(0)));
  return std::nullopt;
}

/// [[top, bottom], [left, right]], or [before, after].
static Value toBorders(ArrayRef<std::pair<int64_t, int64_t>> sides) {
  Value::List pairs;
  for (auto [low, high] : sides)
    pairs.push_back(toList({low, high}));
  return pairs.size() == 1 ? pairs[0] : Value(std::move(pairs));
}

/// Steps of 1 through axes of space: what is before and after is cut off.
static void readSlice(NodeReader &n) {
  const Dims dims = n.dims(0);
  std::optional<std::vector<int64_t>> starts = n.list("starts", 1),
                                      ends = n.list("ends", 2),
                                      axes = n.list("axes", 3),
                                      steps = n.list("steps", 4);
  if (!axes && !n.hasInput(3))
    axes = counting(0, rankOf(starts ? *starts : Dims()));
  if (!starts || !ends || !axes || starts->size() != ends->size() ||
      starts->size() != axes->size() || (n.hasInput(4) && !steps) ||
      (steps && llvm::any_of(*steps, [](int64_t x) { return x != 1; })))
    return n.refuse("expected constant starts and ends, and steps of 1");
  std::vector<std::pair<int64_t, int64_t>> cut(dims.size());
  for (size_t i = 0; i < axes->size(); ++i) {
    std::optional<int64_t> axis = n.axisOf((*axes)[i], rankOf(dims));
    if (!axis)
      return;
    const int64_t size = dims[*axis];
    if (size < 0) { // the samples
      cut[*axis] = {(*starts)[i], (*ends)[i] >= INT32_MAX ? 0 : 1};
      continue;
    }
    auto place = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
    };
    cut[*axis] = {place((*starts)[i]), size - place((*ends)[i])};
    if (cut[*axis].first + cut[*axis].second >= size)
      return n.refuse("expected a part with at least one element");
  }
  std::optional<Space> space = spaceOf(n, [&](int64_t axis) {
    return cut[axis] == std::pair<int64_t, int64_t>(0, 0);
  });
  if (!space)
    return;
  ArrayRef<std::pair<int64_t, int64_t>> sides(cut);
  sides = sides.slice(space->first, space->count);
  n.result(n.layer(Config(ranked("cropping", space->count),
                          {{"cropping", toBorders(sides)}}),
                   n.tensor(0, space->order)),
           space->order);
}

/// Each pixel repeated a whole number of times: `nearest` with factors whose
/// rounding says just that.
static void readResize(NodeReader &n) {
  const Dims dims = n.dims(0);
  const bool isUpsample = n.op() == "Upsample";
  const size_t at = isUpsample || n.opset() == 10 ? 1 : 2;
  const Constant *scales = n.constant(at);
  const std::string where =
      isUpsample || n.opset() == 10
          ? "asymmetric"
          : n.text("coordinate_transformation_mode", "half_pixel");
  const std::string rounding =
      isUpsample || n.opset() == 10
          ? "floor"
          : n.text("nearest_mode", "round_prefer_floor");
  const bool repeats =
      (where == "asymmetric" && rounding == "floor") ||
      (where == "half_pixel" && rounding == "round_prefer_floor");
  if (n.text("mode", "nearest") != "nearest" || !repeats)
    return n.refuse("expected mode nearest, asymmetric with floor or "
                    "half_pixel with round_prefer_floor");
  std::vector<double> factors;
  if (scales && scales->size() == dims.size())
    for (size_t i = 0; i < dims.size(); ++i)
      factors.push_back(scales->number(i));
  else if (std::optional<std::vector<int64_t>> sizes = n.list("", at + 1);
           sizes && sizes->size() == dims.size())
    for (size_t i = 0; i < dims.size(); ++i)
      factors.push_back(static_cast<double>((*sizes)[i]) /
                        static_cast<double>(dims[i]));
  for (double factor : factors)
    if (!(factor >= 1 && factor <= 1024 && factor == std::floor(factor)))
      return n.refuse("expected each pixel to be repeated a whole number of "
                      "times, up to 1024");
  if (factors.empty())
    return n.refuse("expected a constant factor or size for each axis");
  std::optional<Space> space =
      spaceOf(n, [&](int64_t axis) { return factors[axis] == 1; });
  if (!space)
    return;
  Value::List size;
  for (int64_t i = 0; i < space->count; ++i)
    size.push_back(Value(static_cast<int64_t>(factors[space->first + i])));
  n.result(
      n.layer(Config(ranked("up_sampling", space->count),
                     {{"size", space->count == 1 ? size[0] : Value(size)}}),
              n.tensor(0, space->order)),
      space->order);
}

// ---- Normalisation ----------------------------------------------------------

static void readLayerNormalization(NodeReader &n) {
  const Dims dims = n.dims(0);
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", -1), rankOf(dims));
  if (!axis)
    return;
  if (*axis < n.lead())
    return n.refuse("it runs over the samples of a batch");
  const Dims shape(dims.begin() + *axis, dims.end());
  std::vector<LayerWeight> weights;
  for (size_t i = 1; i <= 2; ++i) {
    if (!n.hasInput(i))
      continue;
    const Constant *value = n.constant(i);
    if (!value || !value->isFloat() || value->dims != shape)
      return n.refuse("expected constants of " + dimsToText(shape) +
                      " as scale and bias");
    weights.push_back({i == 1 ? "gamma" : "beta", *value});
  }
  Value::List axes;
  for (int64_t i = *axis - rankOf(dims); i < 0; ++i)
    axes.push_back(Value(i));
  n.result(n.layer(
      Config("layer_normalization", {{"axis", Value(std::move(axes))},
                                     {"epsilon", n.number("epsilon", 1e-5)},
                                     {"scale", n.hasInput(1)},
                                     {"center", n.hasInput(2)}}),
      n.tensor(0), std::move(weights)));
}

// ---- Constants as samples ---------------------------------------------------

/// A constant repeated for each sample: a layer `parameter`.
static void readExpand(NodeReader &n) {
  std::optional<std::vector<int64_t>> dims = n.list("", 1);
  const Constant *value = n.constant(0);
  if (!value || !dims || dims->empty() || n.lead() == 0 || (*dims)[0] != kBatch)
    return n.refuse("expected a constant that is repeated for each sample");
  Dims one = *dims;
  one[0] = 1;
  if (value->dims != one)
    return n.refuse("expected a constant of " + dimsToText(one) + ", got " +
                    dimsToText(value->dims));
  n.result(n.parameter(n.input(0), rankOf(*dims) - 1, Order::AsInFile));
}

// ---- The table --------------------------------------------------------------

ArrayRef<OpRule> onnx::layerOpRules() {
  static const OpRule rules[] = {
      {"Clip", 1, readClip},
      {"Exp", 1, readPlain<kExponential>},
      {"Expand", 2, readExpand},
      {"LayerNormalization", 1, readLayerNormalization},
      {"Resize", 1, readResize},
      {"Slice", 1, readSlice},
      {"Upsample", 1, readResize},
      {"sinter.Silu", 1, readPlain<kSilu>},
      {"sinter.Squareplus", 1, readSquareplus},
  };
  return rules;
}
