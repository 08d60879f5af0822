// evaluate.cpp - the command `evaluate`: loss and metrics of given weights.
//
// On data.test; without one on data.validation; without that on the part that
// was split from data.train. The output says which. With --confusion a second
// pass counts, for each class, what its samples were taken for.
#include "runtime/trainer/commands.h"
#include "runtime/trainer/json.h"
#include "runtime/trainer/pass.h"

#include <algorithm>
#include <cstdio>

namespace sinter::trainer {

namespace {

struct EvaluationData {
  Dataset dataset;
  Order order;
  const char *name = ""; // what it is, for people
};

} // namespace

namespace {

/// counts[true class][predicted class]
struct Confusion {
  std::vector<std::vector<int64_t>> counts;
  std::vector<std::string> labels;

  bool isGiven() const { return !counts.empty(); }
};

} // namespace

static Error load(const sinter_model &model, const Recipe &recipe,
                  const std::string &directory, ClassMap &map,
                  EvaluationData &data) {
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
  if (recipe.targetKind != TargetKind::Values)
    return {};
  return wrongInput("--confusion: expected a model whose loss has classes "
                    "(categorical crossentropy), got one of values");
}

static void count(const Recipe &recipe, Instance &instance,
                  const EvaluationData &data, Batch &batch, int64_t batchSize,
                  Confusion &confusion) {
  const size_t classes = static_cast<size_t>(recipe.classes);
  confusion.counts.assign(classes, std::vector<int64_t>(classes));
  for (size_t i = 0; i < classes; ++i)
    confusion.labels.push_back(
        std::to_string(instance.classes.label(static_cast<int32_t>(i))));
  const auto samples = static_cast<int64_t>(data.order.size());
  for (int64_t first = 0; first < samples; first += batchSize) {
    const int64_t now = std::min(batchSize, samples - first);
    batch.gather(data.dataset, data.order, first, now);
    sinter_call call = instance.call(batch.input(), nullptr, now);
    instance.model().predict.run(&call);
    for (int64_t i = 0; i < now; ++i) {
      const float *row = instance.output(0) + i * recipe.classes;
      const size_t sample = data.order[static_cast<size_t>(first + i)];
      const size_t predicted =
          static_cast<size_t>(std::max_element(row, row + classes) - row);
      ++confusion.counts[classOf(data.dataset, sample)][predicted];
    }
  }
}

static void print(const Confusion &confusion) {
  size_t width = 4; // of a column
  for (const std::string &label : confusion.labels)
    width = std::max(width, label.size());
  for (const auto &row : confusion.counts)
    for (int64_t number : row)
      width = std::max(width, std::to_string(number).size());
  const int column = static_cast<int>(width) + 1;
  std::printf("confusion (rows: the truth, columns: the prediction)\n%*s",
              column, "");
  for (const std::string &label : confusion.labels)
    std::printf("%*s", column, label.c_str());
  for (size_t i = 0; i < confusion.counts.size(); ++i) {
    std::printf("\n%*s", column, confusion.labels[i].c_str());
    for (int64_t number : confusion.counts[i])
      std::printf("%*lld", column, static_cast<long long>(number));
  }
  std::printf("\n");
}

static void writeJson(JsonWriter &json, const Confusion &confusion) {
  json.key("confusion").beginObject();
  json.key("labels").beginArray();
  for (const std::string &label : confusion.labels)
    json.value(label);
  json.endArray();
  json.key("matrix").beginArray();
  for (const auto &row : confusion.counts) {
    json.beginArray();
    for (int64_t number : row)
      json.value(number);
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
                      const Means &means, const Confusion &confusion) {
  JsonWriter json;
  json.beginObject();
  json.key("model").value(model.name);
  json.key("data").value(data.name);
  json.key("samples").value(static_cast<int64_t>(data.order.size()));
  for (size_t i = 0; i < means.size(); ++i)
    json.key(means.name(i)).value(means.mean(i));
  if (confusion.isGiven())
    writeJson(json, confusion);
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
  if (Error error = instance.load(options.weights))
    return error;
  if (Error error = settleClasses(recipe, options.weights, instance.classes))
    return error;
  EvaluationData data;
  if (Error error = load(model, recipe, options.data, instance.classes, data))
    return error;
  Batch batch(recipe, modelShape(model.eval_step), batchSize);
  Means means(model.eval_step);
  if (Error error =
          runPass(instance, model.eval_step,
                  {data.dataset, data.order, batchSize}, batch, means))
    return error;
  Confusion confusion;
  if (options.confusion)
    count(recipe, instance, data, batch, batchSize, confusion);
  if (options.json) {
    printJson(model, data, means, confusion);
    return {};
  }
  print(data, means);
  if (confusion.isGiven())
    print(confusion);
  return {};
}

} // namespace sinter::trainer
