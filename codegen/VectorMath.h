//===- VectorMath.h - exp, log, tanh, ... as vector code -----------------===//
//
// Error bounds, in units in the last place of the f32 result, over all f32
// arguments; tests/unit/codegen/VectorMathTest.cpp holds the code against
// libm's double functions, with these very numbers.
//
// All functions: NaN gives NaN; infinities and poles give what C gives.
// Denormal arguments and results are right in the processor's default mode;
// where denormals are flushed (sinter_flush_denormals) they count as zero.
//
// MLIR's own polynomial approximations are not used. Held against the same
// bounds, exp gives 0 where the result is denormal, log takes denormals for the
// smallest normal number, tanh and expm1 are wrong by more than 4 units, and
// cos(1.3e8) is -87.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_VECTORMATH_H
#define SINTER_CODEGEN_VECTORMATH_H

#include "mlir/IR/PatternMatch.h"

namespace sinter {

struct VectorMathBound {
  const char *function;
  double ulps;
};

inline constexpr VectorMathBound vectorMathBounds[] = {
    {"exp", 1.0},  {"expm1", 1.5}, {"log", 1.0}, {"log1p", 1.5},
    {"tanh", 2.5}, {"erf", 1.5},   {"sin", 2.0}, {"cos", 2.0},
};

/// sin and cos are defined for |x| up to this; beyond, where neighbouring
/// floats are more than two turns apart, the result is NaN.
inline constexpr float trigonometricLimit = 0x1p27f;

/// Patterns that expand these functions of the math dialect, on f32 and on
/// vectors of f32, into arithmetic.
void populateVectorMath(mlir::RewritePatternSet &patterns);

} // namespace sinter

#endif // SINTER_CODEGEN_VECTORMATH_H
