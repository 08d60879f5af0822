// evaluate.cpp - the command `evaluate`: loss and metrics of given weights.
//
// On data.test; without one on data.validation; without that on the part that
// was split from data.train. The output says which. With --confusion a second
// pass counts, for each class, what its samples were taken for.
#include "runtime/trainer/commands.h"
#include "runtime/trainer/confusion.h"
#include "runtime/trainer/json.h"
#include "runtime/trainer/pass.h"

#include <algorithm>
#include <cstdio>
#include <optional>

namespace sinter::trainer {

namespace {

struct EvaluationData {
  Dataset dataset;
  Order order;
  const char *name = ""; // what it is, for people
};

} // namespace

static Error load(const sinter_model &model, const Recipe &recipe,
                  const std::string &directory, ClassMap &map,
                  EvaluationData &data) {
  const ModelShape shape = modelShape(model, model.eval_step);
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
  if (Error error = loadDataset(recipe, *source, set, directory, shape,
                                data.dataset, &map))
    return error;
  data.order = inOrder(data.dataset.samples());
  if (!isSplit)
    return {};
  Order training = std::move(data.order);
  return split(recipe, training, data.order);
}

static Error checkConfusion(const sinter_model &model, const Recipe &recipe) {
  if (Error error = checkCompiled(model, model.predict, "prediction"))
    return error;
  if (countClasses(model, recipe))
    return {};
  if (model.predict.num_outputs > 1)
    return wrongInput("--confusion: expected a model of one output, got one of "
                      "%lld",
                      static_cast<long long>(model.predict.num_outputs));
  return wrongInput("--confusion: expected a model that tells classes apart (a "
                    "categorical crossentropy, or one output with an "
                    "accuracy), got one of values");
}

/// Classes as the data calls them.
static std::vector<std::string> labelsOf(const Instance &instance,
                                         size_t classes) {
  std::vector<std::string> labels;
  for (size_t i = 0; i < classes; ++i)
    labels.push_back(instance.classes.name(static_cast<int32_t>(i)));
  return labels;
}

static void print(const Confusion &confusion,
                  const std::vector<std::string> &labels) {
  size_t width = 4; // of a column
  for (size_t i = 0; i < labels.size(); ++i) {
    width = std::max(width, labels[i].size());
    for (size_t j = 0; j < labels.size(); ++j)
      width = std::max(width, std::to_string(confusion.at(i, j)).size());
  }
  const int column = static_cast<int>(width) + 1;
  std::printf("confusion (rows: the truth, columns: the prediction)\n%*s",
              column, "");
  for (const std::string &label : labels)
    std::printf("%*s", column, label.c_str());
  for (size_t i = 0; i < labels.size(); ++i) {
    std::printf("\n%*s", column, labels[i].c_str());
    for (size_t j = 0; j < labels.size(); ++j)
      std::printf("%*lld", column, static_cast<long long>(confusion.at(i, j)));
  }
  std::printf("\n");
}

static void writeJson(JsonWriter &json, const Confusion &confusion,
                      const std::vector<std::string> &labels) {
  json.key("confusion").beginObject();
  json.key("labels").beginArray();
  for (const std::string &label : labels)
    json.value(label);
  json.endArray();
  json.key("matrix").beginArray();
  for (size_t i = 0; i < labels.size(); ++i) {
    json.beginArray();
    for (size_t j = 0; j < labels.size(); ++j)
      json.value(confusion.at(i, j));
    json.endArray();
  }
  json.endArray();
  json.endObject();
}

static void print(const EvaluationData &data, const Means &means) {
  std::printf("%zu samples of %s\n", data.order.size(), data.name);
  for (size_t i = 0; i < means.size(); ++i)
    std::printf("%s %#.4g\n", means.name(i), means.mean(i));
}

static void printJson(const sinter_model &model, const EvaluationData &data,
                      const Means &means, const Confusion *confusion,
                      const std::vector<std::string> &labels) {
  JsonWriter json;
  json.beginObject();
  json.key("model").value(model.name);
  json.key("data").value(data.name);
  json.key("samples").value(static_cast<int64_t>(data.order.size()));
  for (size_t i = 0; i < means.size(); ++i)
    json.key(means.name(i)).value(means.mean(i));
  if (confusion)
    writeJson(json, *confusion, labels);
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
  if (options.confusion)
    if (Error error = checkConfusion(model, recipe))
      return error;
  Instance instance;
  if (Error error = instance.create(model, options.threads, 0))
    return error;
  if (!options.weights.empty())
    if (Error error = instance.load(options.weights))
      return error;
  if (Error error = settleClasses(recipe, options.weights, instance.classes))
    return error;
  EvaluationData data;
  if (Error error = load(model, recipe, options.data, instance.classes, data))
    return error;
  Batch batch(recipe, modelShape(model, model.eval_step), batchSize);
  Means means(model.eval_step);
  if (Error error =
          runPass(instance, model.eval_step,
                  {data.dataset, data.order, batchSize}, batch, means))
    return error;
  std::optional<Confusion> confusion;
  std::vector<std::string> labels;
  if (options.confusion) {
    const size_t classes = countClasses(model, recipe);
    labels = labelsOf(instance, classes);
    confusion.emplace(
        classes,
        predictClasses(instance, {data.dataset, data.order, batchSize}, batch));
  }
  if (options.json) {
    printJson(model, data, means, confusion ? &*confusion : nullptr, labels);
    return {};
  }
  print(data, means);
  if (confusion)
    print(*confusion, labels);
  return {};
}

} // namespace sinter::trainer
