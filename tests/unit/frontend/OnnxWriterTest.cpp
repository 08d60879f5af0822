// Every layer has its ONNX; weights are held against the model first. What the
// files compute is tests/e2e/onnx_export.py's.
#include "frontend/onnx/OnnxWriter.h"
#include "frontend/Catalog.h"
#include "frontend/onnx/OnnxRules.h"

#include <catch2/catch.hpp>

using namespace sinter::frontend;

TEST_CASE("layers and activations of the catalog have ONNX", "[onnx]") {
  for (const EntryInfo &entry : tableOf(Kind::Layer).entries) {
    INFO(entry.name.str());
    CHECK((findOnnxRule(entry.name) != nullptr) == (entry.name != "input"));
  }
  for (const EntryInfo &entry : tableOf(Kind::Activation).entries) {
    INFO(entry.name.str());
    CHECK(hasOnnxActivation(entry.name));
  }
}

/// What the writer says about `weights`, "" if it writes.
static std::string complaint(const ModelBuilder &model,
                             const std::vector<ImportedWeight> &weights) {
  Diagnostics diagnostics("test");
  const bool written = writeOnnx(model, weights, {}, diagnostics).has_value();
  CHECK(written != diagnostics.hasErrors());
  std::string text;
  llvm::raw_string_ostream stream(text);
  diagnostics.print(stream);
  return text;
}

TEST_CASE("weights have to fit the model", "[onnx]") {
  ModelBuilder model("small");
  model.dense(model.input({2}), {.units = 1, .name = "out"});
  REQUIRE(model.check());
  const ImportedWeight kernel = {"out/kernel", {2, 1}, {1, 2}},
                       bias = {"out/bias", {1}, {3}};
  CHECK(complaint(model, {bias, kernel}).empty());
  CHECK(complaint(model, {kernel}) ==
        "test: error: expected weights 'out/bias' of shape (1), found none\n");
  CHECK(complaint(model, {bias, {"out/kernel", {1, 2}, {1, 2}}}) ==
        "test: error: expected weights 'out/kernel' of shape (2, 1), got (1, "
        "2)\n");
}

TEST_CASE("a file of ONNX ends at 2 GB", "[onnx]") {
  ModelBuilder model("large");
  model.dense(model.input({40000}), {.units = 20000, .name = "out"});
  REQUIRE(model.check());
  // Refused before a number is looked at, so none are here.
  const std::vector<ImportedWeight> weights = {
      {"out/kernel", {40000, 20000}, {}}, {"out/bias", {20000}, {}}};
  CHECK(complaint(model, weights) ==
        "test: error: expected a model of less than 2147483647 bytes, more "
        "than which a file of ONNX cannot hold\n");
}

TEST_CASE("the same model gives the same bytes", "[onnx]") {
  ModelBuilder model("small");
  model.dense(model.input({2}, {.scale = 0.5}), {.units = 1, .name = "out"});
  REQUIRE(model.check());
  const ImportedWeight kernel = {"out/kernel", {2, 1}, {1, 2}},
                       bias = {"out/bias", {1}, {3}};
  Diagnostics diagnostics("test");
  auto first = writeOnnx(model, {kernel, bias}, {}, diagnostics);
  REQUIRE(first);
  CHECK(first == writeOnnx(model, {bias, kernel}, {}, diagnostics));
  CHECK(first !=
        writeOnnx(model, {bias, kernel}, {.scaledInput = true}, diagnostics));
}
