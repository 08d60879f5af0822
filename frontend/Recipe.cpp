// Recipe.cpp - writes a spec's data and training sections for the trainer.
//
// Sources and sections are completed configs, so their arguments are written by
// one loop, defaults included: the trainer has no defaults of its own.
#include "frontend/Recipe.h"

#include "frontend/ModelBuilder.h"
#include "frontend/TrainingCheck.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cassert>
#include <cstdio>

using namespace sinter::frontend;
using llvm::StringRef;

Target sinter::frontend::targetOf(const Config &loss,
                                  llvm::ArrayRef<int64_t> outputShape) {
  int64_t classes = outputShape.empty() ? 0 : outputShape.back();
  if (loss.name == "sparse_categorical_crossentropy")
    return {Target::Kind::Sparse, classes};
  if (loss.name == "categorical_crossentropy")
    return {Target::Kind::OneHot, classes};
  return {Target::Kind::Values, 0};
}

/// A value as the trainer reads it back; numbers without loss of a bit.
static std::string toText(const Value &value) {
  if (const bool *flag = value.getIf<bool>())
    return *flag ? "true" : "false";
  if (const int64_t *integer = value.getIf<int64_t>())
    return std::to_string(*integer);
  if (const double *number = value.getIf<double>()) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.17g", *number);
    return buffer;
  }
  if (const auto *list = value.getIf<Value::List>())
    return llvm::join(llvm::map_range(*list, toText), ",");
  const std::string *text = value.getIf<std::string>();
  assert(text && "a recipe holds scalars and lists only");
  return *text;
}

std::string sinter::frontend::writeRecipe(const Spec &spec,
                                          llvm::ArrayRef<Target> targets) {
  std::string recipe;
  auto line = [&](const llvm::Twine &key, const std::string &value) {
    recipe += (key + "=" + value + "\n").str();
  };
  auto lines = [&](StringRef prefix, const std::optional<Config> &config) {
    if (config)
      for (const Argument &argument : config->args)
        if (!argument.value.isNull())
          line(prefix + "." + argument.name, toText(argument.value));
  };

  line("input.scale",
       llvm::join(llvm::map_range(spec.inputs,
                                  [](const Config &input) {
                                    return toText(input.get("scale"));
                                  }),
                  ","));
  std::vector<std::string> kinds, classes;
  for (const Target &target : targets) {
    static const char *const names[] = {"sparse", "one_hot", "values"};
    kinds.push_back(names[static_cast<size_t>(target.kind)]);
    classes.push_back(std::to_string(target.classes));
  }
  if (!targets.empty()) {
    line("target.kind", llvm::join(kinds, ","));
    line("target.classes", llvm::join(classes, ","));
  }

  lines("data.train", spec.data.train);
  lines("data.validation", spec.data.validation);
  lines("data.test", spec.data.test);
  if (const std::optional<Config> &split = spec.data.validationSplit) {
    line("data.validation_split", toText(split->get("fraction")));
    line("data.validation_split_shuffle", toText(split->get("shuffle")));
    line("data.validation_split_seed", toText(split->get("seed")));
  }
  if (spec.data.autoClasses)
    line("data.classes", "auto");
  lines("train", spec.train);
  for (const auto &[index, callback] : llvm::enumerate(spec.callbacks)) {
    const std::string key = "callback." + std::to_string(index);
    line(key, callback.name);
    lines(key, withMode(spec, callback));
  }
  return recipe;
}

std::string sinter::frontend::writeTables(const ModelBuilder &model) {
  std::vector<std::string> rows;
  llvm::ArrayRef<LayerRecord> layers = model.layers();
  bool isLookedUp = false;
  for (const auto &[number, input] : llvm::enumerate(layers)) {
    if (input.config.name != "input")
      continue;
    int64_t fewest = 0;
    for (const LayerRecord &layer : layers) {
      const Config &config =
          layer.sharedWith ? layers[*layer.sharedWith].config : layer.config;
      if (config.name != "embedding" || layer.inputs[0].layer() != number)
        continue;
      int64_t own = config.integer("input_dim");
      fewest = fewest ? std::min(fewest, own) : own;
    }
    isLookedUp |= fewest > 0;
    rows.push_back(std::to_string(fewest));
  }
  return isLookedUp ? "input.rows=" + llvm::join(rows, ",") + "\n" : "";
}
