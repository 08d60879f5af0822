// The text that a trainer reads.
#include "frontend/Recipe.h"
#include "frontend/ModelBuilder.h"
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

TEST_CASE("the rows of tables that inputs look up", "[recipe]") {
  ModelBuilder model("m");
  Tensor words = model.input({4}), size = model.input({2}, {.name = "size"});
  auto embedding = [&](Tensor x, int64_t rows) {
    return model.flatten(model.layer(
        Config("embedding", {{"input_dim", rows}, {"output_dim", int64_t(2)}}),
        {x}));
  };
  CHECK(writeTables(model) == "");
  model.concatenate({embedding(words, 20), size, embedding(words, 10)});
  CHECK(writeTables(model) == "input.rows=10,0\n");
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

TEST_CASE("made-up samples and pictures", "[recipe]") {
  std::string recipe = recipeOf(R"(
data:
  train: {synthetic: 64, values: 20}
  validation: {directory: pictures}
  test: {synthetic: 8, seed: 1}
)");
  CHECK(recipe.find("data.train.synthetic=64\ndata.train.seed=0\n"
                    "data.train.values=20\n"
                    "data.validation.directory=pictures\n"
                    "data.test.synthetic=8\ndata.test.seed=1\n"
                    "data.test.values=256\n") != std::string::npos);
}

TEST_CASE("targets follow the loss", "[recipe]") {
  Config loss("categorical_crossentropy");
  CHECK(targetOf(loss, {10}).kind == Target::Kind::OneHot);
  CHECK(targetOf(loss, {10}).classes == 10);
  CHECK(targetOf("mean_squared_error", {10}).kind == Target::Kind::Values);
  CHECK(targetOf("binary_crossentropy", {1}).kind == Target::Kind::Values);
}

TEST_CASE("callbacks, in order and with their modes settled", "[recipe]") {
  std::string recipe = recipeOf(R"(
metrics: [accuracy, {sparse_categorical_accuracy: {name: right}}]
data:
  train: {cifar10: [a.bin, b.bin]}
  classes: auto
train: {class_weight: {2: 0.5, 0: 3}}
callbacks:
  - early_stopping: {monitor: val_right, patience: 2}
  - reduce_lr_on_plateau
  - csv_logger: {filename: log.csv, separator: ";"}
  - terminate_on_nan
)");
  auto has = [&](const std::string &lines) {
    INFO(recipe);
    CHECK(recipe.find("\n" + lines) != std::string::npos);
  };
  has("data.train.cifar10=a.bin,b.bin\ndata.classes=auto\n");
  has("train.class_weight=2,0.5,0,3\n");
  has("callback.0=early_stopping\ncallback.0.monitor=val_right\n"
      "callback.0.min_delta=0\ncallback.0.patience=2\ncallback.0.mode=max\n"
      "callback.0.restore_best_weights=false\n"
      "callback.0.start_from_epoch=0\n");
  has("callback.1=reduce_lr_on_plateau\ncallback.1.monitor=val_loss\n"
      "callback.1.factor=0.10000000000000001\ncallback.1.patience=10\n"
      "callback.1.mode=min\ncallback.1.min_delta=0.0001\n"
      "callback.1.cooldown=0\ncallback.1.min_lr=0\n");
  has("callback.2=csv_logger\ncallback.2.filename=log.csv\n"
      "callback.2.separator=;\ncallback.2.append=false\n"
      "callback.3=terminate_on_nan\n");
}
