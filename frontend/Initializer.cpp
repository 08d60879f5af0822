// Initializer.cpp - from names to distributions.
//
// The scaled initializers draw with a variance of scale / n, where n is the
// number of inputs of a unit (fan in), or the mean of inputs and outputs:
//
//   glorot  1 / mean(in, out)    Glorot and Bengio, 2010
//   he      2 / in               He et al., 2015
//   lecun   1 / in               LeCun et al., 1998
//
// A uniform distribution of variance v reaches to sqrt(3 v). A normal one that
// is cut at two standard deviations loses variance; Keras widens it by
// 1 / 0.8796 beforehand to make up for that.
#include "frontend/Initializer.h"

#include <cmath>

using namespace sinter;
using namespace sinter::frontend;
using llvm::StringRef;

/// Inputs and outputs of one unit, by Keras's rule: a kernel's last two
/// dimensions, times the pixels that the kernel covers.
static std::pair<double, double> fans(llvm::ArrayRef<int64_t> shape) {
  double out = static_cast<double>(shape.back());
  if (shape.size() == 1)
    return {out, out};
  double pixels = 1;
  for (int64_t size : shape.drop_back(2))
    pixels *= static_cast<double>(size);
  double in = static_cast<double>(shape[shape.size() - 2]);
  return {in * pixels, out * pixels};
}

static InitialValue scaled(StringRef family, bool uniform,
                           llvm::ArrayRef<int64_t> shape) {
  auto [in, out] = fans(shape);
  const double variance = family == "glorot" ? 2 / (in + out)
                          : family == "he"   ? 2 / in
                                             : 1 / in;
  if (uniform) {
    float limit = static_cast<float>(std::sqrt(3 * variance));
    return {Init::Uniform, -limit, limit};
  }
  const double cut = 0.87962566103423978; // of a unit normal, cut at +-2
  return {Init::TruncatedNormal, 0,
          static_cast<float>(std::sqrt(variance) / cut)};
}

InitialValue sinter::frontend::initialValueOf(const Config &initializer,
                                              llvm::ArrayRef<int64_t> shape) {
  auto number = [&](StringRef arg) {
    return static_cast<float>(initializer.number(arg));
  };
  StringRef name = initializer.name;
  if (name == "zeros")
    return {Init::Constant, 0, 0};
  if (name == "ones")
    return {Init::Constant, 1, 0};
  if (name == "constant")
    return {Init::Constant, number("value"), 0};
  if (name == "random_uniform")
    return {Init::Uniform, number("minval"), number("maxval")};
  if (name == "random_normal")
    return {Init::Normal, number("mean"), number("stddev")};
  if (name == "truncated_normal")
    return {Init::TruncatedNormal, number("mean"), number("stddev")};
  if (name == "orthogonal")
    return {Init::Orthogonal, number("gain"), 0};
  auto [family, distribution] = name.split('_');
  assert((family == "glorot" || family == "he" || family == "lecun") &&
         "initializer of the catalog without a distribution");
  return scaled(family, distribution == "uniform", shape);
}
