// The text that a trainer reads.
#include "frontend/Recipe.h"
#include "frontend/YamlReader.h"

#include <catch2/catch.hpp>

using namespace sinter::frontend;

static const std::string kHead = R"(model: m
input: {shape: [4], scale: 1/255}
layers: [dense: 3]
loss: sparse_categorical_crossentropy
optimizer: sgd
)";

static std::string recipeOf(const std::string &rest) {
  Diagnostics diagnostics("test");
  Spec spec = readSpec(kHead + rest, diagnostics);
  REQUIRE_FALSE(diagnostics.hasErrors());
  return writeRecipe(spec, targetOf(*spec.loss, {3}));
}

TEST_CASE("a recipe without data", "[recipe]") {
  CHECK(recipeOf("") == "input.scale=0.0039215686274509803\n"
                        "target.kind=sparse\n"
                        "target.classes=3\n");
}

TEST_CASE("a full recipe", "[recipe]") {
  std::string recipe = recipeOf(R"(
data:
  train: {images: a.idx.gz, labels: b.idx.gz}
  validation_split: 0.2
  test: {npz: t.npz, x: x_test, y: y_test}
train: {epochs: 5, seed: 42, shuffle: false}
)");
  CHECK(recipe == "input.scale=0.0039215686274509803\n"
                  "target.kind=sparse\n"
                  "target.classes=3\n"
                  "data.train.images=a.idx.gz\n"
                  "data.train.labels=b.idx.gz\n"
                  "data.test.npz=t.npz\n"
                  "data.test.x=x_test\n"
                  "data.test.y=y_test\n"
                  "data.validation_split=0.20000000000000001\n"
                  "data.validation_split_shuffle=false\n"
                  "data.validation_split_seed=0\n"
                  "train.epochs=5\n"
                  "train.batch_size=32\n"
                  "train.seed=42\n"
                  "train.shuffle=false\n");
}

TEST_CASE("csv columns by name and position", "[recipe]") {
  std::string recipe = recipeOf(R"(
data:
  train: {csv: t.csv, label: [price, -1], separator: ";", skip_rows: 2}
  validation: {csv: v.csv, label: 3}
)");
  CHECK(recipe.find("data.train.label=price,-1\n") != std::string::npos);
  CHECK(recipe.find("data.train.separator=;\n") != std::string::npos);
  CHECK(recipe.find("data.train.skip_rows=2\n") != std::string::npos);
  CHECK(recipe.find("data.validation.label=3\n") != std::string::npos);
  CHECK(recipe.find("data.validation.separator=,\n") != std::string::npos);
}

TEST_CASE("targets follow the loss", "[recipe]") {
  Config loss("categorical_crossentropy");
  CHECK(targetOf(loss, {10}).kind == Target::Kind::OneHot);
  CHECK(targetOf(loss, {10}).classes == 10);
  CHECK(targetOf("mean_squared_error", {10}).kind == Target::Kind::Values);
  CHECK(targetOf("binary_crossentropy", {1}).kind == Target::Kind::Values);
}
