// OnnxQuantized.cpp - rules of numbers of 8 bits with a scale and a zero point.
//
// Problem: such graphs compute with integers, networks here with f32.
// Idea: f32 holds every whole number up to 2^24, and sums of such numbers that
// stay below are exact in any order. So products of whole numbers are computed
// in f32, and the largest sum that the operands allow is looked at first:
// beyond 2^24 the node is refused. Rounding is to the nearest, halves to the
// even one, and what is beyond the type's range becomes its end, as ONNX says.
// Known weakness: deep products of large weights are refused, where a sum of 32
// bits would do.
#include "frontend/onnx/OnnxConstants.h"
#include "frontend/onnx/OnnxRuleParts.h"
#include "frontend/onnx/OnnxWindowParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

static constexpr double kExact = 1 << 24;

// ---- Parts ------------------------------------------------------------------

namespace {
struct Limits {
  double low, high;
};
} // namespace

/// Of a type of at most 16 bits, or nothing.
static std::optional<Limits> limitsOf(ElementType type) {
  switch (type) {
  case ElementType::UInt8:
    return Limits{0, 255};
  case ElementType::Int8:
    return Limits{-128, 127};
  case ElementType::UInt16:
    return Limits{0, 65535};
  case ElementType::Int16:
    return Limits{-32768, 32767};
  default:
    return std::nullopt;
  }
}

/// A scale or zero point as a tensor of `rank` axes of a sample: one number, or
/// one for each place along `axis` of a sample. Null after a refusal.
static Tensor factorOf(NodeReader &n, size_t input, int64_t rank, int64_t axis,
                       int64_t size) {
  const Dims dims = n.dims(input);
  Shape shape(std::max<int64_t>(rank, 1), 1);
  const std::optional<int64_t> count = onnx::countElements(dims);
  if (count && *count != 1) {
    if (axis < 0 || axis >= rank || *count != size) {
      n.refuse(formatv("expected a scale and a zero point for all elements, or "
                       "{0} along an axis, got {1}",
                       size, dimsToText(dims)));
      return {};
    }
    shape[axis] = size;
  }
  if (const Constant *given = n.constant(input)) {
    Constant values = *given;
    values.dims = shape;
    std::vector<float> numbers;
    for (size_t i = 0; i < given->size(); ++i)
      numbers.push_back(static_cast<float>(given->number(i)));
    values.values = std::move(numbers);
    return n.frozen(std::move(values));
  }
  if (n.lead() == 1) {
    n.refuse("expected constant scales and zero points");
    return {};
  }
  return reshaped(n, n.tensor(input), shape);
}

/// round(x / scale) + zero point, within the range of `type`.
static Tensor quantized(NodeReader &n, Tensor quotient, Tensor zero,
                        ElementType type) {
  std::optional<Limits> limits = limitsOf(type);
  if (!limits) {
    n.refuse("expected numbers of 8 or 16 bits, got " + nameOf(type));
    return {};
  }
  Tensor y = n.layer(Config("round"), quotient);
  if (zero)
    y = both(n, "add", y, zero);
  if (!y)
    return {};
  y = both(n, "maximum", y, numberLike(n, limits->low, y));
  return both(n, "minimum", y, numberLike(n, limits->high, y));
}

/// The attribute `axis` in a sample, -1 for the batch.
static std::optional<int64_t> axisOfScales(NodeReader &n) {
  const int64_t rank = rankOf(n.dims(0)), given = n.integer("axis", 1);
  if (n.has("block_size") && n.integer("block_size", 0) != 0) {
    n.refuse("scales of blocks are not supported");
    return std::nullopt;
  }
  if (onnx::countElements(n.dims(1)) == 1)
    return 0;
  std::optional<int64_t> axis = n.axisOf(given, rank);
  return axis ? std::optional(*axis - n.lead()) : std::nullopt;
}

/// Size of axis `axis` of a sample, or 1.
static int64_t sizeAlong(NodeReader &n, int64_t axis) {
  const Shape sample = sampleOf(n, n.dims(0));
  return axis >= 0 && axis < rankOf(sample) ? sample[axis] : 1;
}

static void finish(NodeReader &n, Tensor y, const Shape &sample,
                   size_t index = 0) {
  Operand operand;
  operand.tensor = reshaped(n, y, sample);
  operand.isScalar = sample.empty();
  n.result(std::move(operand), index);
}

// ---- To and from integers ---------------------------------------------------

static void readQuantizeLinear(NodeReader &n) {
  const Shape sample = sampleOf(n, n.dims(0));
  std::optional<int64_t> axis = axisOfScales(n);
  if (!axis)
    return;
  const int64_t size = sizeAlong(n, *axis);
  Tensor zero;
  if (n.hasInput(2)) {
    zero = factorOf(n, 2, rankOf(sample), *axis, size);
    if (!zero)
      return;
  }
  ElementType type = n.hasInput(2) ? n.type(2) : ElementType::UInt8;
  if (!n.hasInput(2) && n.integer("output_dtype", 0))
    type = static_cast<ElementType>(n.integer("output_dtype", 0));
  Tensor x = n.tensor(0), scale = factorOf(n, 1, rankOf(sample), *axis, size);
  finish(n, quantized(n, both(n, "divide", x, scale), zero, type), sample);
}

static void readDequantizeLinear(NodeReader &n) {
  const Shape sample = sampleOf(n, n.dims(0));
  std::optional<int64_t> axis = axisOfScales(n);
  if (!axis)
    return;
  const int64_t size = sizeAlong(n, *axis);
  Tensor x = n.tensor(0);
  if (n.hasInput(2))
    x = both(n, "subtract", x, factorOf(n, 2, rankOf(sample), *axis, size));
  finish(n, both(n, "multiply", x, factorOf(n, 1, rankOf(sample), *axis, size)),
         sample);
}

/// The range of all elements, 0 among them, on 0 .. 255.
static void readDynamicQuantizeLinear(NodeReader &n) {
  if (n.lead() == 1)
    return n.refuse("its scale is that of all samples of a batch");
  const Shape sample = sampleOf(n, n.dims(0));
  Tensor x = n.tensor(0);
  if (!x)
    return;
  auto extreme = [&](StringRef reduction, StringRef layer) {
    Tensor y =
        n.layer(Config(reduction.str(),
                       {{"axis", toList(counting(1, n.shapeOf(x).size() + 1))},
                        {"keepdims", true}}),
                x);
    return y ? both(n, layer, y, numberLike(n, 0, y)) : Tensor();
  };
  Tensor least = extreme("min", "minimum"), most = extreme("max", "maximum");
  Tensor range = both(n, "subtract", most, least);
  if (!range)
    return;
  Tensor scale = both(n, "divide", range, numberLike(n, 255, range));
  Tensor zero = n.layer(Config("negative"), both(n, "divide", least, scale));
  zero = quantized(n, zero, {}, ElementType::UInt8);
  finish(n, quantized(n, both(n, "divide", x, scale), zero, ElementType::UInt8),
         sample);
  finish(n, scale, {}, 1);
  finish(n, zero, {}, 2);
}

// ---- Exact products ---------------------------------------------------------

/// The largest |x - zero| of an operand of 8 bits.
static std::optional<double> spanOf(NodeReader &n, size_t input, size_t zero) {
  std::optional<Limits> limits = limitsOf(n.type(input));
  if (!limits || limits->high > 255) {
    n.refuse("expected operands of 8 bits, got " + nameOf(n.type(input)));
    return std::nullopt;
  }
  double low = limits->low, high = limits->high;
  if (n.hasInput(zero)) {
    const Constant *values = n.constant(zero);
    double least = values ? HUGE_VAL : limits->low,
           most = values ? -HUGE_VAL : limits->high;
    for (size_t i = 0; values && i < values->size(); ++i) {
      least = std::min(least, values->number(i));
      most = std::max(most, values->number(i));
    }
    low -= most;
    high -= least;
  }
  return std::max(-low, high);
}

static bool isExact(NodeReader &n, double largest) {
  if (!(largest > kExact))
    return true;
  n.refuse(formatv("its sums may reach {0}, beyond 2^24, up to which float32 "
                   "has all whole numbers",
                   static_cast<int64_t>(largest)),
           "export the model in float32, or with weights of fewer bits");
  return false;
}

/// The filters of a convolution less their zero point, as (space.., in, out),
/// and the largest sum for operands of up to `span`.
static std::optional<Constant> integerFilters(NodeReader &n, size_t input,
                                              size_t zeroInput, double span,
                                              double &largest) {
  const Constant *w = n.constant(input);
  if (!w || w->isFloat() || rankOf(w->dims) != rankOf(n.dims(0)) ||
      w->dims.size() < 3 || w->size() == 0) {
    n.refuse("expected constant filters (out, in, ...) of whole numbers");
    return std::nullopt;
  }
  const int64_t filters = w->dims[0];
  const Constant *zero = n.constant(zeroInput);
  if (n.hasInput(zeroInput) &&
      (!zero ||
       (zero->size() != 1 && zero->size() != static_cast<size_t>(filters)))) {
    n.refuse("expected a constant zero point, or one for each filter");
    return std::nullopt;
  }
  const size_t each = w->size() / filters;
  std::vector<float> values;
  largest = 0;
  for (size_t i = 0; i < w->size(); ++i) {
    const size_t filter = i / each;
    const double offset =
        zero ? zero->number(zero->size() == 1 ? 0 : filter) : 0;
    values.push_back(static_cast<float>(w->number(i) - offset));
  }
  for (int64_t filter = 0; filter < filters; ++filter) {
    double sum = 0;
    for (size_t i = 0; i < each; ++i)
      sum += std::fabs(values[filter * each + i]);
    largest = std::max(largest, sum * span);
  }
  Constant result;
  result.dims = w->dims;
  result.values = std::move(values);
  std::vector<int64_t> axes = counting(2, rankOf(w->dims));
  axes.push_back(1);
  axes.push_back(0);
  return transposed(result, axes);
}

/// Of 3 x 3 filters: one more column of zeros. Such filters are convolved by
/// the direct sum, in which whole numbers stay whole; the fast algorithm for
/// 3 x 3 multiplies by fractions.
static void widen(Constant &kernel, Windows &w) {
  if (w.taps != std::vector<int64_t>{3, 3})
    return;
  const size_t row = kernel.floats().size() / 3, pixel = row / 3;
  std::vector<float> values;
  for (size_t i = 0; i < 3; ++i) {
    auto begin = kernel.floats().begin() + i * row;
    values.insert(values.end(), begin, begin + row);
    values.insert(values.end(), pixel, 0);
  }
  kernel.values = std::move(values);
  kernel.dims[1] = 4;
  w.taps[1] = 4;
  w.high[1] += w.dilations[1];
  w.isSame = false;
}

/// The sum of products of a convolution, channels last; null after a refusal.
/// `w` and `zeros` are the places of the filters and the zero points.
static Tensor integerConv(NodeReader &n, size_t w, size_t xZero, size_t wZero,
                          const Constant *bias) {
  const Dims dims = n.dims(0);
  std::optional<double> span = spanOf(n, 0, xZero);
  if (!span)
    return {};
  double largest = 0;
  std::optional<Constant> kernel = integerFilters(n, w, wZero, *span, largest);
  if (!kernel)
    return {};
  const int64_t filters = kernel->dims.back(), groups = n.integer("group", 1);
  std::optional<Windows> windows = readWindows(
      n, std::vector<int64_t>(kernel->dims.begin(), kernel->dims.end() - 2));
  if (!windows)
    return {};
  if (groups < 1 || dims[1] % groups != 0 || filters % groups != 0 ||
      kernel->dims[kernel->dims.size() - 2] != dims[1] / groups ||
      !std::equal(windows->taps.begin(), windows->taps.end(),
                  kernel->dims.begin())) {
    n.refuse("expected filters that fit the image's " + dimsToText(dims));
    return {};
  }
  if (bias && bias->size() != static_cast<size_t>(filters)) {
    n.refuse(formatv("expected a bias of {0} elements", filters));
    return {};
  }
  double offset = 0;
  for (size_t i = 0; bias && i < bias->size(); ++i)
    offset = std::max(offset, std::fabs(bias->number(i)));
  if (!isExact(n, largest + offset))
    return {};
  Tensor x = images(n);
  if (x && n.hasInput(xZero)) {
    const std::optional<double> zero = scalar(n, xZero);
    if (!zero) {
      n.refuse("expected a constant zero point of the image");
      return {};
    }
    x = both(n, "subtract", x, numberLike(n, *zero, x));
  }
  widen(*kernel, *windows);
  Config config(ranked("conv", windows->taps.size()),
                {{"filters", filters},
                 {"kernel_size", toSize(windows->taps)},
                 {"strides", toSize(windows->strides)},
                 {"padding", windows->padding()},
                 {"dilation_rate", toSize(windows->dilations)},
                 {"groups", groups},
                 {"use_bias", bias != nullptr},
                 {"trainable", false}});
  std::vector<LayerWeight> weights = {{"kernel", std::move(*kernel)}};
  if (bias) {
    Constant numbers = asVector(*bias);
    if (!numbers.isFloat())
      numbers.values =
          std::vector<float>(bias->integers().begin(), bias->integers().end());
    weights.push_back({"bias", std::move(numbers)});
  }
  return n.layer(std::move(config), x, std::move(weights), n.nameFrom(w));
}

/// A constant matrix less its zero point, or one for each column.
static std::optional<Constant> integerMatrix(NodeReader &n, size_t input,
                                             size_t zeroInput) {
  Constant matrix = *n.constant(input);
  const Constant *zero = n.constant(zeroInput);
  const size_t columns = static_cast<size_t>(matrix.dims[1]);
  if (n.hasInput(zeroInput) &&
      (!zero || (zero->size() != 1 && zero->size() != columns))) {
    n.refuse("expected a constant zero point, or one for each column");
    return std::nullopt;
  }
  std::vector<float> values;
  for (size_t i = 0; i < matrix.size(); ++i) {
    const double offset =
        zero ? zero->number(zero->size() == 1 ? 0 : i % columns) : 0;
    values.push_back(static_cast<float>(matrix.number(i) - offset));
  }
  matrix.values = std::move(values);
  return matrix;
}

/// Rows by a constant matrix.
static Tensor integerDense(NodeReader &n, size_t b, size_t aZero,
                           size_t bZero) {
  std::optional<double> span = spanOf(n, 0, aZero);
  std::optional<Constant> kernel =
      span ? integerMatrix(n, b, bZero) : std::nullopt;
  if (!kernel)
    return {};
  double largest = 0;
  const int64_t units = kernel->dims[1];
  for (int64_t column = 0; column < units; ++column) {
    double sum = 0;
    for (size_t i = column; i < kernel->size(); i += units)
      sum += std::fabs(kernel->floats()[i]);
    largest = std::max(largest, sum * *span);
  }
  if (!isExact(n, largest))
    return {};
  Tensor x = n.tensor(0);
  if (x && n.hasInput(aZero))
    x = both(n, "subtract", x, numberLike(n, *scalar(n, aZero), x));
  Config config("dense",
                {{"units", units}, {"use_bias", false}, {"trainable", false}});
  return n.layer(std::move(config), x, {{"kernel", std::move(*kernel)}},
                 n.nameFrom(b));
}

/// The sum of products of matrices, rows of `a` and columns of `b`.
static Tensor integerMatMul(NodeReader &n, size_t b, size_t aZero,
                            size_t bZero) {
  const Dims da = n.dims(0), db = n.dims(b);
  if (rankOf(da) < 2 || rankOf(db) < 2 || da.back() != db[db.size() - 2]) {
    n.refuse("expected matrices that fit, got " + dimsToText(da) + " and " +
             dimsToText(db));
    return {};
  }
  const Constant *matrix = n.constant(b);
  if (matrix && !matrix->isFloat() && rankOf(db) == 2 &&
      (!n.hasInput(aZero) || scalar(n, aZero)))
    return integerDense(n, b, aZero, bZero);
  if (n.lead() == 1 && (rankOf(da) < 3 || rankOf(db) != rankOf(da))) {
    n.refuse("expected a constant second matrix where samples are rows");
    return {};
  }
  std::optional<double> spanA = spanOf(n, 0, aZero),
                        spanB = spanOf(n, b, bZero);
  if (!spanA || !spanB)
    return {};
  const int64_t rank = std::max(rankOf(da), rankOf(db)) - n.lead(),
                inner = da.back(), columns = db.back();
  if (!isExact(n, *spanA * *spanB * static_cast<double>(inner)))
    return {};
  // (.., rows, inner, 1) by (.., 1, inner, columns), summed.
  auto operand = [&](size_t input, size_t zero, bool isRows) -> Tensor {
    const Dims dims = n.dims(input);
    Tensor x = widened(n, input, rank);
    if (!x)
      return {};
    if (n.hasInput(zero))
      x = both(n, "subtract", x,
               factorOf(n, zero, rank, isRows ? rank - 2 : rank - 1,
                        isRows ? dims[dims.size() - 2] : columns));
    if (!x)
      return {};
    Shape shape = n.shapeOf(x);
    shape.insert(isRows ? shape.end() : shape.end() - 2, 1);
    return reshaped(n, x, shape);
  };
  Tensor rows = operand(0, aZero, true), right = operand(b, bZero, false);
  if (!rows || !right)
    return {};
  Shape wide = n.shapeOf(rows), high = n.shapeOf(right);
  double pairs = 1;
  for (size_t i = 0; i < wide.size(); ++i)
    pairs *= static_cast<double>(std::max(wide[i], high[i]));
  if (pairs > kMostPairs) {
    n.refuse(formatv("expected at most {0} products", kMostPairs));
    return {};
  }
  return n.layer(Config("sum", {{"axis", rank}}),
                 both(n, "multiply", rows, right));
}

// ---- Rules of products ------------------------------------------------------

static void readConvInteger(NodeReader &n) {
  imagesResult(n, integerConv(n, 1, 2, 3, nullptr));
}

/// The sum in units of the result: sum (x scale) (w scale) / (y scale).
static Tensor rescaled(NodeReader &n, Tensor sum, ArrayRef<size_t> scales,
                       int64_t axis) {
  if (!sum)
    return {};
  std::vector<float> factors(1, 1);
  for (size_t i = 0; i < 3; ++i) {
    const Constant *scale = n.constant(scales[i]);
    if (!scale || !scale->isFloat() ||
        (scale->size() != 1 &&
         (i != 1 ||
          scale->size() != static_cast<size_t>(n.shapeOf(sum)[axis])))) {
      n.refuse("expected constant scales, those of the second operand one for "
               "each column or filter");
      return {};
    }
    if (scale->size() > factors.size())
      factors.resize(scale->size(), factors[0]);
    for (size_t k = 0; k < factors.size(); ++k) {
      const float value = scale->floats()[scale->size() == 1 ? 0 : k];
      factors[k] = i == 2 ? factors[k] / value : factors[k] * value;
    }
  }
  return both(n, "multiply", sum,
              vectorAlong(n, std::move(factors), rankOf(n.shapeOf(sum)), axis));
}

static Tensor requantized(NodeReader &n, Tensor sum, ArrayRef<size_t> scales,
                          size_t zero, int64_t axis) {
  Tensor y = rescaled(n, sum, scales, axis);
  const std::optional<double> offset = scalar(n, zero);
  if (y && !offset)
    n.refuse("expected a constant zero point of the result");
  return y && offset ? quantized(n, y, numberLike(n, *offset, y), n.type(zero))
                     : Tensor();
}

static void readQLinearConv(NodeReader &n) {
  const Constant *bias = n.constant(8);
  if (n.hasInput(8) && !bias)
    return n.refuse("expected a constant bias");
  Tensor sum = integerConv(n, 3, 2, 5, bias);
  if (!sum)
    return;
  imagesResult(n,
               requantized(n, sum, {1, 4, 6}, 7, rankOf(n.shapeOf(sum)) - 1));
}

static void readMatMulInteger(NodeReader &n) {
  if (Tensor y = integerMatMul(n, 1, 2, 3))
    n.result(y);
}

static void readQLinearMatMul(NodeReader &n) {
  Tensor sum = integerMatMul(n, 3, 2, 5);
  if (sum)
    sum = requantized(n, sum, {1, 4, 6}, 7, rankOf(n.shapeOf(sum)) - 1);
  if (sum)
    n.result(sum);
}

// ---- The table --------------------------------------------------------------

ArrayRef<OpRule> onnx::quantizedRules() {
  static const OpRule rules[] = {
      {"ConvInteger", 2, readConvInteger},
      {"DequantizeLinear", 2, readDequantizeLinear},
      {"DynamicQuantizeLinear", 1, readDynamicQuantizeLinear},
      {"MatMulInteger", 2, readMatMulInteger},
      {"QLinearConv", 8, readQLinearConv},
      {"QLinearMatMul", 8, readQLinearMatMul},
      {"QuantizeLinear", 2, readQuantizeLinear},
  };
  return rules;
}
