// evaluate.cpp - the command `evaluate`: loss and metrics of given weights.
//
// On data.test; without one on data.validation; without that on the part that
// was split from data.train. The output says which.
#include "runtime/trainer/commands.h"
#include "runtime/trainer/json.h"
#include "runtime/trainer/pass.h"

#include <cstdio>

namespace sinter::trainer {

namespace {

struct EvaluationData {
  Dataset dataset;
  Order order;
  const char *name = ""; // what it is, for people
};

} // namespace

static Error load(const sinter_model &model, const Recipe &recipe,
                  const std::string &directory, EvaluationData &data) {
  const ModelShape shape = modelShape(model.eval_step);
  const bool isSplit = !recipe.test.isGiven() && !recipe.validation.isGiven() &&
                       recipe.validationSplit > 0;
  const DataSource *source = &recipe.test;
  const char *set = "test";
  data.name = "data.test";
  if (isSplit) {
    source = &recipe.train;
    set = "train";
    data.name = "the validation split of data.train (no data.test)";
  } else if (!recipe.test.isGiven() && recipe.validation.isGiven()) {
    source = &recipe.validation;
    set = "validation";
    data.name = "data.validation (no data.test)";
  }
  if (Error error =
          loadDataset(recipe, *source, set, directory, shape, data.dataset))
    return error;
  data.order = inOrder(data.dataset.samples());
  if (!isSplit)
    return {};
  Order training = std::move(data.order);
  return split(recipe, training, data.order);
}

static void print(const EvaluationData &data, const Means &means) {
  std::printf("%zu samples of %s\n", data.order.size(), data.name);
  for (size_t i = 0; i < means.size(); ++i)
    std::printf("%s %#.4g\n", means.name(i), means.mean(i));
}

static void printJson(const sinter_model &model, const EvaluationData &data,
                      const Means &means) {
  JsonWriter json;
  json.beginObject();
  json.key("model").value(model.name);
  json.key("data").value(data.name);
  json.key("samples").value(static_cast<int64_t>(data.order.size()));
  for (size_t i = 0; i < means.size(); ++i)
    json.key(means.name(i)).value(means.mean(i));
  json.endObject();
  std::fputs(json.finish().c_str(), stdout);
}

Error runEvaluate(const sinter_model &model, const Options &options) {
  Recipe recipe;
  int64_t batchSize;
  if (Error error = checkCompiled(model, model.eval_step, "evaluation"))
    return error;
  if (Error error = readRecipe(model, recipe))
    return error;
  if (Error error = chooseBatchSize(model, recipe, options, batchSize))
    return error;
  Instance instance;
  if (Error error = instance.create(model, options.threads, 0))
    return error;
  if (Error error = instance.load(options.weights))
    return error;
  EvaluationData data;
  if (Error error = load(model, recipe, options.data, data))
    return error;
  Batch batch(recipe, modelShape(model.eval_step), batchSize);
  Means means(model.eval_step);
  if (Error error =
          runPass(instance, model.eval_step,
                  {data.dataset, data.order, batchSize}, batch, means, nullptr))
    return error;
  if (options.json)
    printJson(model, data, means);
  else
    print(data, means);
  return {};
}

} // namespace sinter::trainer
