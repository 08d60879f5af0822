// What is written is what is read.
#include "frontend/TuningFile.h"

#include "mlir/IR/MLIRContext.h"

#include <catch2/catch.hpp>

using namespace sinter::frontend;

static const Choices kChoices = {
    {"convolution 7x7x50 to 7x7x25 padding=1,1,1,1 N=32",
     {{"algorithm", "direct"}}},
    {"conv2d_filter_gradient 7x7x50xN 7x7x25xN padding=1,1,1,1 size=3,3 N=32",
     {{"rows", "2"}, {"tile", "2x4"}}},
    {"matmul Nx512 512x24 one sample", {{"vectors", "2"}}}};

TEST_CASE("a tuning file is read as it was written", "[tuning]") {
  std::string text = writeTuning(kChoices, "sinter 1", "znver4");
  TuningFile file("t", text, "sinter 1", "znver4");
  CHECK(file.isGood());
  CHECK(file.choices() == kChoices);
  CHECK(writeTuning(file.choices(), "sinter 1", "znver4") == text);
  TuningFile empty("t", writeTuning({}, "sinter 1", "znver4"), "sinter 1",
                   "znver4");
  CHECK(empty.isGood());
  CHECK(empty.choices().empty());
}

TEST_CASE("a tuning file of another processor is not used", "[tuning]") {
  TuningFile file("t", writeTuning(kChoices, "sinter 1", "znver4"), "sinter 1",
                  "skylake");
  CHECK(file.isGood());
  CHECK(file.choices().empty());
}

TEST_CASE("names that are no names are refused", "[tuning]") {
  const std::string head = "tuning: 1\ncompiler: c\ntarget_cpu: p\nkernels:";
  for (const char *rest :
       {" 5", " [a]", "\n  '': {tile: 1}", "\n  k: {'': 1}", "\n  k: {tile: }",
        "\n  k: {tile: {a: 1}}", "\n  k:"}) {
    INFO(rest);
    TuningFile file("t", head + rest, "c", "p");
    CHECK_FALSE(file.isGood());
  }
}

TEST_CASE("choices are a dictionary of a model", "[tuning]") {
  mlir::MLIRContext context;
  mlir::DictionaryAttr attribute = choicesAttribute(kChoices, context);
  CHECK(attribute.size() == kChoices.size());
  auto kernel =
      attribute.getAs<mlir::DictionaryAttr>("matmul Nx512 512x24 one sample");
  REQUIRE(kernel);
  CHECK(kernel.getAs<mlir::StringAttr>("vectors").getValue() == "2");
}
