// OnnxSignals.cpp - rules of discrete Fourier transforms: products with
// constant matrices of cosines and sines.
//
// Known weakness: they take as many products as the square of the length, no
// fast transform; lengths have to be constant.
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

static constexpr int64_t kMostWeights = int64_t(1) << 24;

/// A matrix (length parts, bins 2) that makes real and imaginary parts of
/// `bins` of the transform of `size` elements from `length` of them; `parts` is
/// 2 where these are complex. Each row is multiplied by its element of
/// `window`, if there is one.
static Constant fourier(int64_t length, int64_t parts, int64_t bins,
                        int64_t size, bool inverse, const Constant *window) {
  Constant matrix;
  matrix.dims = {length * parts, bins * 2};
  std::vector<float> values;
  values.reserve(length * parts * bins * 2);
  const double sign = inverse ? 1 : -1,
               share = inverse ? 1.0 / static_cast<double>(size) : 1;
  for (int64_t i = 0; i < length; ++i)
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t bin = 0; bin < bins; ++bin) {
        const double angle = sign * 2 * M_PI *
                             static_cast<double>(i * bin % size) /
                             static_cast<double>(size),
                     factor = i < size
                                  ? share * (window ? window->number(i) : 1)
                                  : 0,
                     real = factor * std::cos(angle),
                     imaginary = factor * std::sin(angle);
        values.push_back(static_cast<float>(part ? -imaginary : real));
        values.push_back(static_cast<float>(part ? real : imaginary));
      }
  matrix.values = std::move(values);
  return matrix;
}

/// 1 or 2, or nothing after a refusal.
static std::optional<int64_t> partsOf(NodeReader &n, const Shape &sample) {
  if (!sample.empty() && (sample.back() == 1 || sample.back() == 2))
    return sample.back();
  n.refuse("expected a last axis of 1 for real numbers, 2 for complex ones, "
           "got " +
           dimsToText(n.dims(0)));
  return std::nullopt;
}

static void readDFT(NodeReader &n) {
  const Dims dims = n.dims(0);
  Shape sample = sampleOf(n, dims);
  std::optional<int64_t> parts = partsOf(n, sample);
  if (!parts)
    return;
  int64_t wanted = n.opset() < 20 ? n.integer("axis", 1) : -2;
  if (n.hasInput(2)) {
    std::optional<double> given = scalar(n, 2);
    if (!given)
      return n.refuse("expected a constant axis");
    wanted = static_cast<int64_t>(*given);
  }
  std::optional<int64_t> axis = n.axisOf(wanted, rankOf(dims));
  if (!axis)
    return;
  *axis -= n.lead();
  if (*axis < 0 || *axis + 1 >= rankOf(sample))
    return n.refuse("expected an axis between the batch and the last one");
  const int64_t length = sample[*axis];
  int64_t size = length;
  if (n.hasInput(1)) {
    std::optional<double> given = scalar(n, 1);
    if (!given || *given < 1 || *given > kMostWeights)
      return n.refuse("expected a constant dft_length of at least 1");
    size = static_cast<int64_t>(*given);
  }
  const bool inverse = n.integer("inverse", 0) != 0,
             oneSided = n.integer("onesided", 0) != 0;
  if (inverse && oneSided)
    return n.refuse("an inverse transform of one side is not supported");
  const int64_t bins = oneSided ? size / 2 + 1 : size;
  if (length * *parts > kMostWeights / (bins * 2))
    return n.refuse(
        formatv("expected a matrix of at most {0} elements", kMostWeights));
  // The axis next to the last one, and both as one row.
  std::vector<int64_t> order = counting(0, rankOf(sample));
  order.erase(order.begin() + *axis);
  order.insert(order.end() - 1, *axis);
  Tensor x = permuted(n, n.tensor(0), order);
  Shape rest;
  for (int64_t i = 0; i + 1 < rankOf(sample); ++i)
    if (i != *axis)
      rest.push_back(sample[i]);
  Shape row = rest, result = rest;
  row.push_back(length * *parts);
  result.insert(result.end(), {bins, 2});
  x = reshaped(n, x, row);
  Config config(
      "dense",
      {{"units", bins * 2}, {"use_bias", false}, {"trainable", false}});
  Tensor y = n.layer(
      std::move(config), x,
      {{"kernel", fourier(length, *parts, bins, size, inverse, nullptr)}});
  y = reshaped(n, y, result);
  std::vector<int64_t> back(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    back[order[i]] = static_cast<int64_t>(i);
  if (Tensor moved = permuted(n, y, back))
    n.result(moved);
}

/// A convolution: windows of the signal, one frame_step apart.
static void readSTFT(NodeReader &n) {
  const Dims dims = n.dims(0);
  Shape sample; // of one signal
  for (size_t i = 1; i < dims.size(); ++i)
    sample.push_back(dims[i]);
  if (sample.size() == 1)
    sample.push_back(1);
  std::optional<int64_t> parts = partsOf(n, sample);
  const std::optional<double> step = scalar(n, 1);
  const Constant *window = n.constant(2);
  if (!parts)
    return;
  if (rankOf(sample) != 2 || (n.lead() == 0 && dims[0] != 1) || !step ||
      *step < 1 || *step > kMostWeights || (n.hasInput(2) && !window))
    return n.refuse("expected a batch of signals, a constant frame_step and a "
                    "constant window");
  int64_t size = window ? static_cast<int64_t>(window->size()) : 0;
  if (n.hasInput(3)) {
    const std::optional<double> given = scalar(n, 3);
    if (!given || (window && *given != static_cast<double>(size)))
      return n.refuse("expected a constant frame_length, that of the window");
    size = static_cast<int64_t>(*given);
  }
  if (size < 1 || size > sample[0])
    return n.refuse(formatv("expected frames of 1 to {0} elements, got {1}",
                            sample[0], size));
  const int64_t bins = n.integer("onesided", 1) ? size / 2 + 1 : size;
  if (size * *parts > kMostWeights / (bins * 2))
    return n.refuse(
        formatv("expected a matrix of at most {0} elements", kMostWeights));
  Constant kernel = fourier(size, *parts, bins, size, false, window);
  kernel.dims = {size, *parts, bins * 2};
  Config config("conv1d", {{"filters", bins * 2},
                           {"kernel_size", size},
                           {"strides", static_cast<int64_t>(*step)},
                           {"use_bias", false},
                           {"trainable", false}});
  Tensor y = n.layer(std::move(config), reshaped(n, n.tensor(0), sample),
                     {{"kernel", std::move(kernel)}});
  if (!y)
    return;
  const int64_t frames = n.shapeOf(y)[0];
  const Shape result =
      n.lead() == 0 ? Shape{1, frames, bins, 2} : Shape{frames, bins, 2};
  if (Tensor shaped = reshaped(n, y, result))
    n.result(shaped);
}

// ---- The table --------------------------------------------------------------

ArrayRef<OpRule> onnx::signalRules() {
  static const OpRule rules[] = {
      {"DFT", 1, readDFT},
      {"STFT", 2, readSTFT},
  };
  return rules;
}
