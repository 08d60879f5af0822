//===- Compare.cpp - how near two tensors have to be ---------------------===//

#include "tests/unit/native/Compare.h"

#include <cmath>
#include <sstream>

using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

/// The distance from |x| to the next larger f32.
static double ulpOf(double x) {
  auto magnitude = static_cast<float>(std::abs(x));
  return double(std::nextafter(magnitude, INFINITY)) - magnitude;
}

std::string sinter::test::difference(const Tensor &actual,
                                     const Tensor &expected,
                                     Tolerance tolerance) {
  if (actual.element != expected.element ||
      actual.values.shape() != expected.values.shape())
    return "another type";
  double largest = 1;
  for (double value : expected.values)
    if (std::isfinite(value))
      largest = std::max(largest, std::abs(value));
  size_t wrong = 0;
  std::ostringstream text;
  text.precision(9);
  for (size_t i = 0; i < expected.values.size(); ++i) {
    double a = actual.values.flat(i), e = expected.values.flat(i);
    if (a == e || (std::isnan(a) && std::isnan(e)))
      continue;
    if (std::isfinite(a) && std::isfinite(e) &&
        std::abs(a - e) <= std::max(tolerance.ulps * ulpOf(e),
                                    tolerance.relative * std::abs(e) +
                                        tolerance.absolute * largest))
      continue;
    if (wrong++ == 0)
      text << "element " << i << ": expected " << e << ", got " << a;
  }
  if (wrong)
    text << "; " << wrong << " of " << expected.values.size() << " are wrong";
  return text.str();
}

std::string sinter::test::difference(const std::vector<Tensor> &actual,
                                     const std::vector<Tensor> &expected,
                                     Tolerance tolerance) {
  if (actual.size() != expected.size())
    return "another number of results";
  for (size_t i = 0; i < actual.size(); ++i) {
    std::string text = difference(actual[i], expected[i], tolerance);
    if (!text.empty())
      return "result " + std::to_string(i) + ", " + text;
  }
  return "";
}

std::string sinter::test::difference(const State &actual, const State &expected,
                                     Tolerance tolerance) {
  for (auto &[name, tensor] : expected) {
    auto found = actual.find(name);
    std::string text = found == actual.end()
                           ? "not there"
                           : difference(found->second, tensor, tolerance);
    if (!text.empty())
      return "state " + name + ", " + text;
  }
  return "";
}
