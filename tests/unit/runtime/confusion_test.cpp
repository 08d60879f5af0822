// confusion_test.cpp - rows to classes, classes to counts.
#include "fake_model.h"
#include "runtime/trainer/confusion.h"

#include <catch2/catch.hpp>
#include <cmath>

using namespace sinter::trainer;

TEST_CASE("a row names its largest number's class") {
  const float distribution[] = {0.2f, 0.7f, 0.1f};
  CHECK(classify(distribution, 3).predicted == 1);
  CHECK(classify(distribution, 3).probability == 0.7f);
  const float logits[] = {-1, 0, 0.5f};
  CHECK(classify(logits, 3).predicted == 2);
  CHECK(classify(logits, 3).probability ==
        Approx(1 / (1 + std::exp(-0.5) + std::exp(-1.5))));
}

TEST_CASE("one number tells two classes apart") {
  const float high = 0.75f, low = 0.25f, logit = -2;
  CHECK(classify(&high, 1).predicted == 1);
  CHECK(classify(&high, 1).probability == 0.75f);
  CHECK(classify(&low, 1).predicted == 0);
  CHECK(classify(&low, 1).probability == 0.75f);
  CHECK(classify(&logit, 1).predicted == 0);
  CHECK(classify(&logit, 1).probability == Approx(1 / (1 + std::exp(-2.0))));
}

TEST_CASE("counts add up; a class without samples has no rate") {
  Confusion confusion(3);
  confusion.add(0, 0);
  confusion.add(0, 1);
  confusion.add(1, 1);
  confusion.add(1, 1);
  CHECK(confusion.at(0, 1) == 1);
  CHECK(confusion.samples() == 4);
  CHECK(confusion.right() == 3);
  CHECK(confusion.samplesOf(0) == 2);
  CHECK(confusion.namedAs(1) == 3);
  CHECK(confusion.recall(0) == 0.5);
  CHECK(confusion.precision(1) == Approx(2.0 / 3));
  CHECK(std::isnan(confusion.recall(2)));
  CHECK(std::isnan(confusion.precision(2)));
}

TEST_CASE("predictions come in the given order, with their classes") {
  const sinter_model model =
      fake_model("target.kind=sparse\ntarget.classes=3\n");
  Recipe recipe;
  REQUIRE_FALSE(readRecipe(model, recipe));
  CHECK(countClasses(model, recipe) == 3);
  Dataset dataset;
  dataset.inputs = {ElementType::U8, {3, 2, 2}, LargeBytes(12, 1)};
  dataset.targets[0].classes = {2, 1, 0};
  Instance instance;
  REQUIRE_FALSE(instance.create(model, 1, 1));
  Batch batch(recipe, modelShape(model, model.train_step), 2);
  const Order order = {2, 0, 1};
  const std::vector<Prediction> predictions =
      predictClasses(instance, {dataset, order, 2}, batch);
  REQUIRE(predictions.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(predictions[i].sample == order[i]);
    CHECK(predictions[i].actual == 2 - order[i]);
    CHECK(predictions[i].predicted == predictions[0].predicted);
    CHECK(predictions[i].probability > 1.0f / 3);
  }
  CHECK(Confusion(3, predictions).right() == 1);
}

TEST_CASE("a model that predicts values is no classifier") {
  sinter_model model = fake_model("target.kind=sparse\ntarget.classes=3\n");
  Recipe recipe;
  CHECK(countClasses(model, recipe) == 0);
  model.predict.run = nullptr;
  recipe.targets[0].kind = TargetKind::Sparse;
  recipe.targets[0].classes = 3;
  CHECK(countClasses(model, recipe) == 0);
}
