//===- VectorMathTest.cpp - the stated error bounds hold -----------------===//
//
// Compiles each function and compares it with libm's double function, whose own
// error is nothing at f32's scale. Arguments are bit patterns at a constant
// distance over the whole range of f32 (all of them in the hidden test
// "[exhaustive]", a matter of minutes), and a list of special values.
//
//===----------------------------------------------------------------------===//

#include "NativeCode.h"

#include "codegen/VectorMath.h"

#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float notANumber = std::numeric_limits<float>::quiet_NaN();

struct Function {
  const char *name;
  double (*reference)(double);
};

const Function functions[] = {
    {"exp", std::exp},     {"expm1", std::expm1}, {"log", std::log},
    {"log1p", std::log1p}, {"tanh", std::tanh},   {"erf", std::erf},
    {"sin", std::sin},     {"cos", std::cos},
};

double boundOf(const std::string &name) {
  for (const sinter::VectorMathBound &bound : sinter::vectorMathBounds)
    if (bound.function == name)
      return bound.ulps;
  FAIL("no bound is stated for " << name);
  return 0;
}

/// Applies a function to whole vectors, or to one number after the other.
class Compiled {
public:
  Compiled(const std::string &name, const std::string &type,
           const std::string &cpu)
      : code(source(name, type), cpu),
        run(code.lookup<void (*)(const float *, float *)>("run")) {}

  /// Overwrites `y`, which has x's size, with f(x).
  void operator()(const std::vector<float> &x, std::vector<float> &y) const {
    for (size_t i = 0; i < x.size(); i += chunk)
      run(&x[i], &y[i]);
  }

  static constexpr size_t chunk = 1024;

private:
  static std::string source(const std::string &name, const std::string &type) {
    bool isVector = type != "f32";
    std::string load = isVector ? "vector.load" : "memref.load";
    std::string store = isVector ? "vector.store" : "memref.store";
    std::string suffix = isVector ? ", " + type : "";
    std::string step = isVector ? "16" : "1";
    return R"(
      func.func @run(%px: !llvm.ptr, %py: !llvm.ptr) {
        %x = builtin.unrealized_conversion_cast %px : !llvm.ptr to memref<1024xf32>
        %y = builtin.unrealized_conversion_cast %py : !llvm.ptr to memref<1024xf32>
        %begin = arith.constant 0 : index
        %end = arith.constant 1024 : index
        %step = arith.constant )" +
           step + R"( : index
        scf.for %i = %begin to %end step %step {
          %a = )" +
           load + R"( %x[%i] : memref<1024xf32>)" + suffix + R"(
          %b = math.)" +
           name + R"( %a : )" + type + R"(
          )" +
           store + R"( %b, %y[%i] : memref<1024xf32>)" + suffix + R"(
        }
        return
      })";
  }

  NativeCode code;
  void (*run)(const float *, float *);
};

/// |got - wanted| in units of f32's spacing at `wanted`.
double ulpsBetween(float got, double wanted) {
  constexpr double overflow = 0x1p128; // what f32 rounds to infinity
  if (std::isnan(wanted) || std::isnan(got))
    return std::isnan(wanted) && std::isnan(got) ? 0 : infinity;
  if (std::abs(wanted) >= 0x1.ffffffp127)
    wanted = std::copysign(overflow, wanted);
  double value = std::isinf(got) ? std::copysign(overflow, got) : got;
  int exponent = wanted == 0 ? -126 : std::max(std::ilogb(wanted), -126);
  return std::abs(value - wanted) / std::ldexp(1.0, exponent - 23);
}

struct Worst {
  double ulps = 0;
  float argument = 0, got = 0;
};

bool isDefined(const std::string &name, float x) {
  return (name != "sin" && name != "cos") ||
         !(std::abs(x) > sinter::trigonometricLimit);
}

/// Over every `stride`-th bit pattern.
Worst findWorst(const Function &function, const Compiled &compiled,
                uint64_t stride) {
  Worst worst;
  std::vector<float> x(Compiled::chunk), y(x.size());
  for (uint64_t pattern = 0; pattern < (uint64_t(1) << 32);) {
    for (float &argument : x) {
      argument = std::bit_cast<float>(uint32_t(pattern));
      pattern += stride;
    }
    compiled(x, y);
    for (size_t i = 0; i < x.size(); ++i) {
      if (!isDefined(function.name, x[i]))
        continue;
      double ulps = ulpsBetween(y[i], function.reference(x[i]));
      if (ulps > worst.ulps)
        worst = {ulps, x[i], y[i]};
    }
  }
  return worst;
}

void checkBounds(const std::string &type, const std::string &cpu,
                 uint64_t stride) {
  for (const Function &function : functions) {
    Compiled compiled(function.name, type, cpu);
    Worst worst = findWorst(function, compiled, stride);
    INFO(cpu << ' ' << type << ' ' << function.name << '(' << std::hexfloat
             << worst.argument << ") = " << worst.got << std::defaultfloat
             << ", wrong by " << worst.ulps << " ulp");
    CHECK(worst.ulps <= boundOf(function.name));
    if (stride == 1)
      WARN(function.name << ": " << worst.ulps << " ulp");
  }
}

float apply(const std::string &name, float x) {
  Compiled compiled(name, "vector<16xf32>", "native");
  std::vector<float> argument(Compiled::chunk, x), result(argument.size());
  compiled(argument, result);
  return result[0];
}

} // namespace

TEST_CASE("vectors stay within the stated bounds", "[vectormath]") {
  checkBounds("vector<16xf32>", "native", /*stride=*/4099);
}

TEST_CASE("numbers stay within the stated bounds", "[vectormath]") {
  checkBounds("f32", "native", /*stride=*/65537);
}

#ifdef __x86_64__
TEST_CASE("bounds hold without fused multiply-add", "[vectormath]") {
  checkBounds("vector<16xf32>", "x86-64", /*stride=*/16411);
}
#endif

TEST_CASE("bounds hold for every argument", "[.][exhaustive]") {
  checkBounds("vector<16xf32>", "native", /*stride=*/1);
}

TEST_CASE("special values", "[vectormath]") {
  CHECK(apply("exp", -infinity) == 0);
  CHECK(apply("exp", infinity) == infinity);
  CHECK(apply("expm1", -infinity) == -1);
  CHECK(apply("expm1", infinity) == infinity);
  CHECK(apply("log", 0) == -infinity);
  CHECK(apply("log", infinity) == infinity);
  CHECK(std::isnan(apply("log", -1)));
  CHECK(apply("log1p", -1) == -infinity);
  CHECK(std::isnan(apply("log1p", -1.5f)));
  CHECK(apply("tanh", -infinity) == -1);
  CHECK(apply("erf", infinity) == 1);
  CHECK(std::isnan(apply("sin", infinity)));
  CHECK(std::isnan(apply("cos", 2 * sinter::trigonometricLimit)));
  for (const char *odd : {"expm1", "log1p", "tanh", "erf", "sin"})
    CHECK(std::signbit(apply(odd, -0.0f)));
  for (const Function &function : functions)
    CHECK(std::isnan(apply(function.name, notANumber)));
}
