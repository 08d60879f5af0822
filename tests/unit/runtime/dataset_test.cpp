// dataset_test.cpp - data against model: shapes, counts, class numbers; then
// orders, splits and batches.
#include "runtime/trainer/samples.h"
#include "support.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace sinter::trainer;
using namespace sinter::trainer::tests;

namespace {

using Floats = std::vector<float>;

/// Three images of 2 x 2 and labels, as files in a directory.
struct Files {
  TemporaryDirectory directory;
  Recipe recipe;
  ModelShape model = {{2, 2}, {Shape{}}};
  Dataset dataset;

  Files() {
    directory.write("images", idx({3, 2, 2}, "abcdefghijkl"));
    directory.write("labels", idx({3}, std::string("\0\2\1", 3)));
    recipe.targets[0].kind = TargetKind::Sparse;
    recipe.targets[0].classes = 3;
    recipe.train.images = "images";
    recipe.train.labels = "labels";
  }

  /// The message with the directory cut off.
  std::string load() {
    dataset = {};
    Error error = loadDataset(recipe, recipe.train, "train", directory.name(),
                              model, dataset);
    CHECK((error.status == Status::Done || error.status == Status::WrongInput));
    std::string message = error.message;
    const std::string prefix = directory.name() + "/";
    for (size_t at; (at = message.find(prefix)) != message.npos;)
      message.erase(at, prefix.size());
    return message;
  }
};

} // namespace

TEST_CASE("images and labels become a data set") {
  Files files;
  CHECK(files.load() == "");
  CHECK(files.dataset.samples() == 3);
  CHECK(files.dataset.targets[0].classes == std::vector<int32_t>{0, 2, 1});
}

TEST_CASE("data that the model cannot take is refused") {
  Files files;
  SECTION("shape") {
    files.model.input = {3, 3};
    CHECK(files.load() == "images: expected inputs of shape (3, 3) in each "
                          "record, got (2, 2)");
  }
  SECTION("shape of equal size") {
    files.directory.write("images", idx({3, 3, 2, 2}, std::string(36, 'a')));
    files.model.input = {2, 2, 3};
    CHECK(files.load() == "images: expected inputs of shape (2, 2, 3) in each "
                          "record, got (3, 2, 2)");
  }
  SECTION("count") {
    files.directory.write("labels", idx({2}, "\1\1"));
    CHECK(files.load() == "labels: expected 3 records as in images, got 2");
  }
  SECTION("class out of range") {
    files.directory.write("labels", idx({3}, "\1\3\1"));
    CHECK(files.load() == "labels: record 1 (counted from 0): expected a class "
                          "number from 0 to 2, got 3");
  }
  SECTION("negative class") {
    files.directory.write("labels",
                          npy("<i8", "(3,)", raw<int64_t>({1, 1, -1})));
    CHECK(files.load() == "labels: record 2 (counted from 0): expected a class "
                          "number from 0 to 2, got -1");
  }
  SECTION("fractional class") {
    files.directory.write("labels",
                          npy("<f4", "(3,)", raw<float>({0.5f, 1, 1})));
    CHECK(files.load() == "labels: record 0 (counted from 0): expected a class "
                          "number from 0 to 2, got 0.5");
  }
  SECTION("rows for classes") {
    files.directory.write("labels", idx({3, 2}, "\1\1\1\1\1\1"));
    CHECK(files.load() ==
          "labels: expected one class number in each record, got shape (2)");
  }
  SECTION("targets of another shape") {
    files.recipe.targets[0].kind = TargetKind::Values;
    files.model.targets = {{2}};
    CHECK(files.load() == "labels: expected targets of shape (2) in each "
                          "record, got ()");
  }
  SECTION("no data in the spec") {
    files.recipe.train = {};
    CHECK(files.load() == "expected data.train in the model's spec, got none");
  }
}

TEST_CASE("data of a harmlessly different shape is taken") {
  Files files;
  for (const Shape &shape : {Shape{2, 2, 1}, Shape{4}, Shape{1, 4}}) {
    files.model.input = shape;
    CHECK(files.load() == "");
  }
}

TEST_CASE("batches are converted, scaled and made one-hot") {
  Files files;
  files.recipe.targets[0].kind = TargetKind::OneHot;
  files.recipe.inputScale = 0.5f;
  files.model.targets = {{3}};
  REQUIRE(files.load() == "");
  Batch batch(files.recipe, files.model, 2);
  batch.gather(files.dataset, {2, 0, 1}, 0, 2);
  CHECK(Floats(batch.input(), batch.input() + 8) ==
        Floats{'i' * .5f, 'j' * .5f, 'k' * .5f, 'l' * .5f, 'a' * .5f, 'b' * .5f,
               'c' * .5f, 'd' * .5f});
  const auto *target = static_cast<const float *>(batch.target());
  CHECK(Floats(target, target + 6) == Floats{0, 1, 0, 1, 0, 0});
  batch.gather(files.dataset, {2, 0, 1}, 2, 1);
  CHECK(Floats(target, target + 3) == Floats{0, 0, 1});
}

TEST_CASE("rows of class values are taken as they are") {
  Files files;
  files.recipe.targets[0].kind = TargetKind::OneHot;
  files.model.targets = {{3}};
  files.directory.write(
      "labels",
      npy("<f4", "(3, 3)", raw<float>({1, 0, 0, .5f, .5f, 0, 0, 0, 1})));
  REQUIRE(files.load() == "");
  Batch batch(files.recipe, files.model, 1);
  batch.gather(files.dataset, {1}, 0, 1);
  const auto *target = static_cast<const float *>(batch.target());
  CHECK(Floats(target, target + 3) == Floats{.5f, .5f, 0});
}

TEST_CASE("made-up samples are a function of seed and position") {
  Recipe recipe;
  recipe.targets[0].kind = TargetKind::Sparse;
  recipe.targets[0].classes = 10;
  const ModelShape model = {{5, 7}, {Shape{}}}; // 35 is no multiple of 16
  auto made = [&](int64_t samples, int64_t seed) {
    DataSource source;
    source.synthetic = {samples, seed, 20};
    Dataset dataset;
    Error error =
        loadDataset(recipe, source, "train", "nowhere", model, dataset);
    CHECK(error.message == "");
    CHECK(dataset.samples() == samples);
    return dataset;
  };
  const Dataset all = made(1000, 1);
  Dataset some = made(10, 1), others = made(1000, 2);
  CHECK(std::equal(some.inputs.bytes.begin(), some.inputs.bytes.end(),
                   all.inputs.bytes.begin()));
  CHECK(std::equal(some.targets[0].classes.begin(),
                   some.targets[0].classes.end(),
                   all.targets[0].classes.begin()));
  CHECK(all.inputs.bytes != others.inputs.bytes);
  CHECK(all.targets[0].classes != others.targets[0].classes);
  std::vector<int> seen(20), kinds(10);
  for (uint8_t value : all.inputs.bytes)
    ++seen.at(value);
  for (int32_t kind : all.targets[0].classes)
    ++kinds.at(static_cast<size_t>(kind));
  for (int times : seen)
    CHECK(times == Approx(35000 / 20).epsilon(0.15));
  for (int times : kinds)
    CHECK(times == Approx(100).epsilon(0.35));
}

TEST_CASE("made-up targets of a model without classes") {
  Recipe recipe;
  DataSource source;
  source.synthetic = {6, 0, 256};
  Dataset dataset;
  const ModelShape model = {{2}, {{3, 2}}};
  REQUIRE_FALSE(loadDataset(recipe, source, "train", "", model, dataset));
  REQUIRE(dataset.targets[0].values.shape == Shape{6, 3, 2});
  float least = 1, largest = 0;
  for (int64_t i = 0; i < 36; ++i) {
    least = std::min(least, dataset.targets[0].values.at(i));
    largest = std::max(largest, dataset.targets[0].values.at(i));
  }
  CHECK(least >= 0);
  CHECK(least < 0.2f);
  CHECK(largest > 0.8f);
  CHECK(largest < 1);
}

TEST_CASE("more made-up samples than fit into memory are refused") {
  Recipe recipe;
  DataSource source;
  source.synthetic = {1 << 30, 0, 256};
  Dataset dataset;
  Error error = loadDataset(recipe, source, "train", "",
                            {{1 << 20, 1 << 10}, {Shape{1}}}, dataset);
  CHECK(error.status == Status::WrongInput);
  CHECK(error.message.find("synthetic: expected samples that fit into the ") ==
        0);
}

TEST_CASE("a shuffle is a permutation that seed, stream and epoch decide") {
  auto shuffled = [](uint64_t seed, uint32_t stream, uint32_t epoch) {
    Order order = inOrder(1000);
    permute(order, seed, stream, epoch);
    return order;
  };
  const Order first = shuffled(1, SINTER_STREAM_SHUFFLE, 0);
  CHECK(first == shuffled(1, SINTER_STREAM_SHUFFLE, 0));
  CHECK(first != shuffled(2, SINTER_STREAM_SHUFFLE, 0));
  CHECK(first != shuffled(1, SINTER_STREAM_SPLIT, 0));
  CHECK(first != shuffled(1, SINTER_STREAM_SHUFFLE, 1));
  Order sorted = first;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == inOrder(1000));
}

TEST_CASE("every position of a shuffle is equally likely") {
  const int count = 5, rounds = 20000;
  int seen[count][count] = {};
  for (uint32_t epoch = 0; epoch < rounds; ++epoch) {
    Order order = inOrder(count);
    permute(order, 3, SINTER_STREAM_SHUFFLE, epoch);
    for (int i = 0; i < count; ++i)
      ++seen[i][order[static_cast<size_t>(i)]];
  }
  for (auto &row : seen)
    for (int times : row)
      CHECK(times == Approx(rounds / count).epsilon(0.06));
}

TEST_CASE("a split takes the last fraction, as Keras does") {
  Recipe recipe;
  recipe.validationSplit = 0.2;
  Order training = inOrder(10), validation;
  REQUIRE_FALSE(split(recipe, training, validation));
  CHECK(training == inOrder(8));
  CHECK(validation == Order{8, 9});

  recipe.shuffleBeforeSplit = true;
  recipe.splitSeed = 42;
  Order shuffled = inOrder(10), other = inOrder(10), rest;
  REQUIRE_FALSE(split(recipe, shuffled, validation));
  REQUIRE_FALSE(split(recipe, other, rest));
  CHECK(shuffled == other);
  CHECK(shuffled != training);
  shuffled.insert(shuffled.end(), validation.begin(), validation.end());
  std::sort(shuffled.begin(), shuffled.end());
  CHECK(shuffled == inOrder(10));
}

TEST_CASE("a split that leaves nothing is refused") {
  Recipe recipe;
  recipe.validationSplit = 0.2;
  Order training = inOrder(1), validation;
  Error error = split(recipe, training, validation);
  CHECK(error.status == Status::WrongInput);
  CHECK(error.message ==
        "data.validation_split: expected samples on both sides, got 0 for "
        "training and 1 for validation");
}

TEST_CASE("forms of several targets are read") {
  Recipe recipe;
  REQUIRE_FALSE(parseRecipe("target.kind=sparse,values,one_hot\n"
                            "target.classes=3,0,7\n",
                            recipe));
  REQUIRE(recipe.targets.size() == 3);
  CHECK(recipe.targets[0].kind == TargetKind::Sparse);
  CHECK(recipe.targets[1].kind == TargetKind::Values);
  CHECK(recipe.targets[2].classes == 7);
  for (const char *wrong : {"target.kind=sparse,dense\n",
                            "target.kind=sparse,values\ntarget.classes=3\n",
                            "target.kind=sparse\ntarget.classes=x\n"})
    CHECK(parseRecipe(wrong, recipe).status == Status::RunFailed);
}

TEST_CASE("targets of several outputs make a batch") {
  Files files;
  files.directory.write("sizes",
                        npy("<f4", "(3, 2)", raw<float>({1, 2, 3, 4, 5, 6})));
  files.recipe.targets = {{TargetKind::Sparse, 3}, {TargetKind::Values, 0}};
  files.recipe.train.labels = "size=sizes,kind=labels";
  files.model.targets = {Shape{}, Shape{2}};
  files.model.outputs = {"kind", "size"};
  REQUIRE(files.load() == "");
  Batch batch(files.recipe, files.model, 2);
  batch.gather(files.dataset, {2, 0, 1}, 0, 2);
  const auto *kinds = static_cast<const int32_t *>(batch.target(0));
  CHECK(std::vector<int32_t>(kinds, kinds + 2) == std::vector<int32_t>{1, 0});
  const auto *sizes = static_cast<const float *>(batch.target(1));
  CHECK(Floats(sizes, sizes + 4) == Floats{5, 6, 1, 2});
  files.directory.write("sizes",
                        npy("<f4", "(2, 2)", raw<float>({1, 2, 3, 4})));
  CHECK(files.load() == "sizes: expected 3 records as in images, got 2");
  files.recipe.train.labels = "kind=labels";
  CHECK(files.load() ==
        "data: expected a file of labels for the output 'size'");
}

TEST_CASE("numbers that a table has no row for are refused") {
  Files files; // 'a' is 97
  files.recipe.tableRows = {109};
  CHECK(files.load() == "");
  files.recipe.tableRows = {105};
  CHECK(files.load() == "images: record 2 (counted from 0): expected whole "
                        "numbers from 0 to 104, rows of the embedding's table, "
                        "got 105");
  files.recipe.inputScale = 0.5;
  CHECK(files.load() == "images: record 0 (counted from 0): expected whole "
                        "numbers from 0 to 104, rows of the embedding's table, "
                        "got 48.5");
  files.recipe.tableRows = {0};
  CHECK(files.load() == "");
}

TEST_CASE("a recipe is read line by line") {
  Recipe recipe;
  Error error =
      parseRecipe("input.scale=0.5\ninput.rows=20000,0\n"
                  "target.kind=one_hot\ntarget.classes=10\n"
                  "data.train.csv=a=b.csv\ndata.train.label=y,-1\n"
                  "data.train.skip_rows=2\n"
                  "data.train.separator=;\n"
                  "data.test.npz=t.npz\ndata.test.x=a\ndata.test.y=b\n"
                  "data.validation_split=0.2\n"
                  "data.validation_split_shuffle=true\n"
                  "data.validation_split_seed=42\n"
                  "train.epochs=7\ntrain.batch_size=16\n"
                  "train.seed=3\ntrain.shuffle=false",
                  recipe);
  CHECK(error.message == "");
  CHECK(recipe.inputScale == 0.5f);
  CHECK(recipe.tableRows == std::vector<int64_t>{20000, 0});
  CHECK(recipe.targets[0].kind == TargetKind::OneHot);
  CHECK(recipe.targets[0].classes == 10);
  CHECK(recipe.train.csv == "a=b.csv");
  CHECK(recipe.train.csvFormat.labels == std::vector<std::string>{"y", "-1"});
  CHECK(recipe.train.csvFormat.skipRows == 2);
  CHECK(recipe.train.csvFormat.separator == ';');
  CHECK(recipe.test.npz == "t.npz");
  CHECK(recipe.test.y == "b");
  CHECK_FALSE(recipe.validation.isGiven());
  CHECK(recipe.validationSplit == 0.2);
  CHECK(recipe.shuffleBeforeSplit);
  CHECK(recipe.splitSeed == 42);
  CHECK(recipe.epochs == 7);
  CHECK(recipe.batchSize == 16);
  CHECK(recipe.seed == 3);
  CHECK_FALSE(recipe.shuffle);
}

TEST_CASE("a recipe with an unknown line is our error") {
  Recipe recipe;
  for (const char *text : {"train.speed=9", "train.epochs=many", "train",
                           "target.kind=other", "data.train.size=1"}) {
    Error error = parseRecipe(text, recipe);
    CHECK(error.status == Status::RunFailed);
    CHECK(error.message.find(text) != std::string::npos);
  }
}
