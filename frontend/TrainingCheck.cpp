// TrainingCheck.cpp - see TrainingCheck.h.
//
// The names of figures are the trainer's: loss, of several outputs each one's
// loss, the metrics, each of them again
// with "val_" where there is validation data, and learning_rate where a
// callback changes it.
#include "frontend/TrainingCheck.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace sinter::frontend;
using llvm::formatv;
using llvm::StringRef;

static constexpr StringRef kPlateau = "reduce_lr_on_plateau";

bool sinter::frontend::changesLearningRate(const Spec &spec) {
  return llvm::any_of(spec.callbacks, [](const Config &callback) {
    return callback.name == kPlateau;
  });
}

static bool hasValidation(const Spec &spec) {
  return spec.data.validation || spec.data.validationSplit;
}

static std::string titleOf(const OutputMetric &metric) {
  return metric.output.name + "_" + metricTitle(metric.metric);
}

static std::vector<std::string> figuresOf(const Spec &spec) {
  std::vector<std::string> names = {"loss"};
  for (const OutputLoss &loss : spec.outputLosses)
    names.push_back(loss.output.name + "_loss");
  for (const Config &metric : spec.metrics)
    names.push_back(metricTitle(metric));
  for (const OutputMetric &metric : spec.outputMetrics)
    names.push_back(titleOf(metric));
  const size_t count = names.size();
  for (size_t i = 0; i < count && hasValidation(spec); ++i)
    names.push_back("val_" + names[i]);
  if (changesLearningRate(spec))
    names.push_back("learning_rate");
  return names;
}

static void checkMonitor(const Spec &spec, const Config &callback,
                         Diagnostics &diagnostics) {
  const std::string &name = callback.text("monitor");
  const std::vector<std::string> figures = figuresOf(spec);
  if (llvm::is_contained(figures, name))
    return;
  const SourceLoc loc = callback.get("monitor").loc;
  StringRef plain = name;
  if (plain.consume_front("val_") && llvm::is_contained(figures, plain))
    return diagnostics.error(
        loc, formatv("{0}: '{1}' needs validation data; expected 'validation' "
                     "or 'validation_split' in 'data', or 'monitor: {2}'",
                     callback.name, name, plain)
                 .str());
  std::vector<StringRef> known(figures.begin(), figures.end());
  std::string hint = didYouMean(name, known);
  diagnostics.error(
      loc,
      formatv("{0}: expected 'monitor' to be a figure of the training, "
              "got '{1}'{2}",
              callback.name, name,
              hint.empty() ? "; expected one of " + joinNames(known) : hint)
          .str());
}

void sinter::frontend::checkTraining(const Spec &spec,
                                     const ModelBuilder &builder) {
  Diagnostics &diagnostics = builder.diagnostics();
  // A metric that could not be read may be the one that is watched.
  if (diagnostics.hasErrors())
    return;
  for (const Config &callback : spec.callbacks) {
    // model_checkpoint looks at the figure only to find the best.
    const Argument *best = callback.find("save_best_only");
    if (spec.data.train && callback.find("monitor") &&
        !(best && !callback.flag("save_best_only")))
      checkMonitor(spec, callback, diagnostics);
    if (callback.name == kPlateau && spec.optimizer &&
        spec.optimizer->config("learning_rate").name != "constant")
      diagnostics.error(
          callback.loc,
          formatv("{0}: expected a learning rate that is a number, got the "
                  "schedule {1}",
                  kPlateau, spec.optimizer->config("learning_rate").name)
              .str());
  }
  const std::vector<Target> targets = builder.targets();
  if (spec.data.autoClasses && targets.size() > 1)
    diagnostics.error(*spec.data.autoClasses,
                      "classes: expected a model of one output; give class "
                      "numbers to models of several");
  else if (spec.data.autoClasses && targets.size() == 1 &&
           targets[0].kind == Target::Kind::Values)
    diagnostics.error(*spec.data.autoClasses,
                      "classes: expected a loss with class numbers, got '" +
                          spec.loss->name + "'");
}

Config sinter::frontend::withMode(const Spec &spec, Config callback) {
  const Argument *mode = callback.find("mode");
  if (!mode || callback.text("mode") != "auto")
    return callback;
  StringRef figure = callback.text("monitor");
  figure.consume_front("val_");
  bool isLess = true; // losses
  for (const Config &metric : spec.metrics)
    if (figure == metricTitle(metric))
      isLess = StringRef(metric.name).ends_with("_error");
  for (const OutputMetric &metric : spec.outputMetrics)
    if (figure == titleOf(metric))
      isLess = StringRef(metric.metric.name).ends_with("_error");
  for (Argument &argument : callback.args)
    if (argument.name == "mode")
      argument.value = Value(isLess ? "min" : "max");
  return callback;
}
