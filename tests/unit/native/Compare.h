//===- Compare.h - how near two tensors have to be -----------------------===//

#ifndef SINTER_TESTS_UNIT_NATIVE_COMPARE_H
#define SINTER_TESTS_UNIT_NATIVE_COMPARE_H

#include "ir/reference/Interpreter.h"

#include <string>

namespace sinter::test {

/// |actual - expected| may be `ulps` units in the last place of the expected
/// f32, or `relative` |expected| + `absolute` max(1, largest |expected| in the
/// tensor), whichever is more. NaN and infinities must be where they are
/// expected.
struct Tolerance {
  double ulps = 0, relative = 0, absolute = 0;
};

/// Empty if all elements are near enough, otherwise what is wrong.
std::string difference(const reference::Tensor &actual,
                       const reference::Tensor &expected, Tolerance tolerance);

/// The same for lists of results.
std::string difference(const std::vector<reference::Tensor> &actual,
                       const std::vector<reference::Tensor> &expected,
                       Tolerance tolerance);

/// The same for states, by name.
std::string difference(const reference::State &actual,
                       const reference::State &expected, Tolerance tolerance);

} // namespace sinter::test

#endif // SINTER_TESTS_UNIT_NATIVE_COMPARE_H
