//===- TargetInfoTest.cpp - processors by name ---------------------------===//

#include "NativeCode.h"

#include "codegen/TargetInfo.h"

#include "mlir/IR/Diagnostics.h"

#include <catch2/catch.hpp>

using namespace mlir;

namespace {

/// The error for a wrong name.
std::string errorFor(const std::string &cpu, const std::string &triple) {
  std::unique_ptr<MLIRContext> context = createContext();
  std::string message;
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
    message = diagnostic.str();
    return success();
  });
  CHECK(failed(
      sinter::createTarget(UnknownLoc::get(context.get()), cpu, triple)));
  return message;
}

sinter::TargetShape shapeOf(const std::string &cpu, const std::string &triple) {
  std::unique_ptr<MLIRContext> context = createContext();
  auto target =
      sinter::createTarget(UnknownLoc::get(context.get()), cpu, triple);
  REQUIRE(succeeded(target));
  return target->shape;
}

const std::string x86 = "x86_64-linux-gnu", arm = "aarch64-linux-gnu",
                  riscv = "riscv64-linux-gnu", arm32 = "arm-linux-gnueabihf";

} // namespace

TEST_CASE("lanes and registers follow from the processor", "[target]") {
  CHECK(shapeOf("skylake-avx512", x86).lanes == 16);
  CHECK(shapeOf("skylake-avx512", x86).registers == 32);
  CHECK(shapeOf("znver4", x86).widestProducts == 1);
  CHECK(shapeOf("znver5", x86).widestProducts == 2);
  CHECK(shapeOf("haswell", x86).lanes == 8);
  CHECK(shapeOf("haswell", x86).registers == 16);
  CHECK(shapeOf("x86-64", x86).lanes == 4);
  CHECK(shapeOf("cortex-a76", arm).lanes == 4);
  CHECK(shapeOf("", arm).registers == 32);
  CHECK(shapeOf("", riscv).lanes * shapeOf("", riscv).registers == 32);
  CHECK(shapeOf("sifive-x280", riscv).lanes == 16);
  CHECK(shapeOf("", arm32).indexBits == 32);
  CHECK(shapeOf("", "armv7").lanes == 4);
}

TEST_CASE("unknown names are errors with near matches", "[target]") {
  CHECK(errorFor("haswel", x86) ==
        "expected a processor of x86_64, got 'haswel'; did you mean haswell?");
  CHECK(errorFor("warp9000000000", x86) ==
        "expected a processor of x86_64, got 'warp9000000000'");
  CHECK(errorFor("", "x86_65-linux-gnu").find("did you mean") !=
        std::string::npos);
  CHECK(errorFor("", "wasm32-unknown-unknown").find("64-bit") !=
        std::string::npos);
  CHECK(errorFor("", "armv6-linux-gnueabihf") ==
        "expected ARMv7-A or later for its vectors (NEON), got "
        "'armv6-linux-gnueabihf'");
  CHECK(errorFor("native", arm32) ==
        "expected the name of a processor of armv7, as this machine is none, "
        "got 'native'");
}

#ifdef __x86_64__
TEST_CASE("native is no processor of another platform", "[target]") {
  CHECK(errorFor("native", arm).find("got 'native'") != std::string::npos);
}
#endif
