// callbacks.cpp - those that watch one figure, and the list of all; see
// callbacks.h. The rules are those of keras/src/callbacks of Keras 3.
#include "runtime/trainer/callbacks.h"

#include "runtime/trainer/log_file.h"
#include "runtime/trainer/output.h"

#include <cmath>
#include <cstdio>

namespace sinter::trainer {

namespace {

/// The figure that a callback watches. The compiler has turned `mode: auto`
/// into min or max.
class Monitor {
public:
  explicit Monitor(const CallbackRecipe &recipe)
      : owner(recipe.name), name(recipe.text("monitor")),
        wantsLess(recipe.text("mode") == "min"),
        best(wantsLess ? INFINITY : -INFINITY) {}

  Error check(const History &history) {
    figure = history.find(name);
    if (figure < history.figures())
      return {};
    return wrongInput("%s: expected 'monitor' to be one of %s, got '%s'%s",
                      owner.c_str(), history.names().c_str(), name.c_str(),
                      name.compare(0, 4, "val_") == 0 &&
                              history.find("val_loss") == history.figures()
                          ? "; this run has no validation data"
                          : "");
  }

  double value(const History &history) const { return history.last(figure); }

  bool isBetter(double value, double than, double minDelta) const {
    return wantsLess ? value + minDelta < than : value - minDelta > than;
  }

  const std::string owner, name;
  const bool wantsLess;
  double best;

private:
  size_t figure = 0;
};

// ---- early_stopping ---------------------------------------------------------

class EarlyStopping : public Callback {
public:
  explicit EarlyStopping(const CallbackRecipe &recipe)
      : monitor(recipe), minDelta(std::fabs(recipe.number("min_delta"))),
        baseline(recipe.number("baseline")),
        hasBaseline(!recipe.isNull("baseline")),
        restores(recipe.flag("restore_best_weights")),
        patience(recipe.integer("patience")),
        startFromEpoch(recipe.integer("start_from_epoch")) {}

  Error check(CallbackContext &context) override {
    if (Error error = monitor.check(context.history))
      return error;
    if (restores)
      for (const sinter_tensor &tensor : context.instance.weights())
        bestWeights.emplace_back(static_cast<size_t>(tensor.bytes));
    return {};
  }

  Error epochEnd(CallbackContext &context, int64_t epoch) override {
    if (epoch < startFromEpoch)
      return {};
    const double current = monitor.value(context.history);
    if (restores && bestEpoch < 0)
      remember(context.instance, epoch);
    ++wait;
    if (monitor.isBetter(current, monitor.best, minDelta)) {
      monitor.best = current;
      remember(context.instance, epoch);
      if (!hasBaseline || monitor.isBetter(current, baseline, minDelta))
        wait = 0;
      return {};
    }
    if (wait >= patience && epoch > 0) {
      stoppedEpoch = epoch;
      context.stop = true;
    }
    return {};
  }

  Error trainEnd(CallbackContext &context) override {
    if (stoppedEpoch > 0 && context.prints)
      std::printf("early stopping after epoch %lld: no better %s than %#.4g\n",
                  static_cast<long long>(stoppedEpoch + 1),
                  monitor.name.c_str(), monitor.best);
    if (!restores || bestEpoch < 0)
      return {};
    const std::vector<sinter_tensor> weights = context.instance.weights();
    for (size_t i = 0; i < weights.size(); ++i)
      std::copy(bestWeights[i].begin(), bestWeights[i].end(),
                static_cast<char *>(weights[i].data));
    context.instance.markChanged();
    if (context.prints)
      std::printf("restored the weights of epoch %lld\n",
                  static_cast<long long>(bestEpoch + 1));
    return {};
  }

  void save(Notes &notes, const std::string &key) const override {
    notes.put(key + "best", monitor.best);
    notes.put(key + "wait", wait);
    notes.put(key + "best_epoch", bestEpoch);
    notes.put(key + "stopped_epoch", stoppedEpoch);
  }
  bool load(const Notes &notes, const std::string &key) override {
    return notes.get(key + "best", monitor.best) &&
           notes.get(key + "wait", wait) &&
           notes.get(key + "best_epoch", bestEpoch) &&
           notes.get(key + "stopped_epoch", stoppedEpoch);
  }
  void addTensors(const std::string &key, const Instance &instance,
                  std::vector<sinter_tensor> &tensors) override {
    if (!restores || bestEpoch < 0)
      return;
    const std::vector<sinter_tensor> weights = instance.weights();
    tensorNames.clear();
    for (const sinter_tensor &weight : weights)
      tensorNames.push_back(key + "best/" + weight.name);
    for (size_t i = 0; i < weights.size(); ++i) {
      tensors.push_back(weights[i]);
      tensors.back().name = tensorNames[i].c_str();
      tensors.back().data = bestWeights[i].data();
    }
  }

private:
  void remember(const Instance &instance, int64_t epoch) {
    bestEpoch = epoch;
    if (!restores)
      return;
    const std::vector<sinter_tensor> weights = instance.weights();
    for (size_t i = 0; i < weights.size(); ++i) {
      const char *data = static_cast<const char *>(weights[i].data);
      std::copy(data, data + weights[i].bytes, bestWeights[i].begin());
    }
  }

  Monitor monitor;
  const double minDelta, baseline;
  const bool hasBaseline, restores;
  const int64_t patience, startFromEpoch;
  int64_t wait = 0, bestEpoch = -1, stoppedEpoch = 0;
  std::vector<std::vector<char>> bestWeights;
  std::vector<std::string> tensorNames;
};

// ---- reduce_lr_on_plateau ---------------------------------------------------

class ReduceLearningRate : public Callback {
public:
  explicit ReduceLearningRate(const CallbackRecipe &recipe)
      : monitor(recipe), factor(recipe.number("factor")),
        minDelta(recipe.number("min_delta")),
        leastRate(recipe.number("min_lr")),
        patience(recipe.integer("patience")),
        cooldown(recipe.integer("cooldown")) {}

  Error check(CallbackContext &context) override {
    if (!context.instance.find(learningRateState))
      return runFailed("reduce_lr_on_plateau: expected a state '%s' in the "
                       "model; compile it again",
                       learningRateState);
    return monitor.check(context.history);
  }

  Error epochEnd(CallbackContext &context, int64_t epoch) override {
    const double current = monitor.value(context.history);
    if (cooldownLeft > 0) {
      --cooldownLeft;
      wait = 0;
    }
    if (monitor.isBetter(current, monitor.best, minDelta)) {
      monitor.best = current;
      wait = 0;
    } else if (cooldownLeft <= 0 && ++wait >= patience) {
      reduce(context, epoch);
    }
    return {};
  }

  void save(Notes &notes, const std::string &key) const override {
    notes.put(key + "best", monitor.best);
    notes.put(key + "wait", wait);
    notes.put(key + "cooldown_left", cooldownLeft);
  }
  bool load(const Notes &notes, const std::string &key) override {
    return notes.get(key + "best", monitor.best) &&
           notes.get(key + "wait", wait) &&
           notes.get(key + "cooldown_left", cooldownLeft);
  }

private:
  void reduce(CallbackContext &context, int64_t epoch) {
    float *rate = context.instance.find(learningRateState);
    if (!(*rate > static_cast<float>(leastRate)))
      return;
    *rate = static_cast<float>(
        std::max(static_cast<double>(*rate) * factor, leastRate));
    if (context.prints)
      std::printf("epoch %lld: learning rate reduced to %g\n",
                  static_cast<long long>(epoch + 1),
                  static_cast<double>(*rate));
    cooldownLeft = cooldown;
    wait = 0;
  }

  Monitor monitor;
  const double factor, minDelta, leastRate;
  const int64_t patience, cooldown;
  int64_t wait = 0, cooldownLeft = 0;
};

// ---- model_checkpoint -------------------------------------------------------

class ModelCheckpoint : public Callback {
public:
  explicit ModelCheckpoint(const CallbackRecipe &recipe)
      : monitor(recipe), pattern(recipe.text("path")),
        bestOnly(recipe.flag("save_best_only")) {
    if (!recipe.isNull("initial_value_threshold"))
      monitor.best = recipe.number("initial_value_threshold");
  }

  Error check(CallbackContext &context) override {
    std::string path;
    if (bestOnly)
      if (Error error = monitor.check(context.history))
        return error;
    if (Error error = formatPath(pattern, 1, context.history, path))
      return error;
    // A folder that depends on figures is made when they are known.
    if (pattern.find('{') < folderOf(pattern).size())
      return {};
    if (Error error = makeFolders(folderOf(path)))
      return error;
    return checkWritable(path);
  }

  Error epochEnd(CallbackContext &context, int64_t epoch) override {
    if (bestOnly) {
      const double current = monitor.value(context.history);
      if (!monitor.isBetter(current, monitor.best, 0))
        return {};
      monitor.best = current;
    }
    std::string path;
    if (Error error = formatPath(pattern, epoch + 1, context.history, path))
      return error;
    if (Error error = makeFolders(folderOf(path)))
      return error;
    return context.instance.save(path);
  }

  void save(Notes &notes, const std::string &key) const override {
    notes.put(key + "best", monitor.best);
  }
  bool load(const Notes &notes, const std::string &key) override {
    return notes.get(key + "best", monitor.best);
  }

private:
  Monitor monitor;
  const std::string pattern;
  const bool bestOnly;
};

std::unique_ptr<Callback> make(const CallbackRecipe &recipe, bool writesFiles) {
  if (recipe.name == "early_stopping")
    return std::make_unique<EarlyStopping>(recipe);
  if (recipe.name == "reduce_lr_on_plateau")
    return std::make_unique<ReduceLearningRate>(recipe);
  if (!writesFiles)
    return nullptr;
  if (recipe.name == "model_checkpoint")
    return std::make_unique<ModelCheckpoint>(recipe);
  if (recipe.name == "csv_logger")
    return makeCsvLogger(recipe);
  if (recipe.name == "tensorboard")
    return makeTensorBoard(recipe);
  return nullptr; // terminate_on_nan: training always does
}

} // namespace

// ---- Paths ------------------------------------------------------------------

/// One {name:spec}, `field` without its braces.
static bool formatField(const std::string &field, int64_t epoch,
                        const History &history, std::string &text) {
  size_t colon = std::min(field.find(':'), field.size());
  const std::string name = field.substr(0, colon);
  std::string spec =
      colon < field.size() ? field.substr(colon + 1) : std::string();
  const size_t figure = history.find(name);
  if (spec.find_first_not_of("0123456789.+- defgEFG") != spec.npos ||
      spec.size() > 8)
    return false;
  const bool hasType = !spec.empty() && spec.back() > '9';
  const char type = hasType ? spec.back() : 'g';
  if (hasType)
    spec.pop_back();
  if (name == "epoch" && (!hasType || type == 'd')) {
    text += sinter::trainer::format(("%" + spec + "lld").c_str(),
                                    static_cast<long long>(epoch));
    return true;
  }
  if (figure == history.figures() || type == 'd')
    return false;
  const double value = history.epochs() > 0 ? history.last(figure) : 0;
  text += sinter::trainer::format(("%" + spec + type).c_str(), value);
  return true;
}

Error formatPath(const std::string &pattern, int64_t epoch,
                 const History &history, std::string &path) {
  path.clear();
  for (size_t at = 0; at < pattern.size();) {
    size_t open = std::min(pattern.find('{', at), pattern.size());
    path += pattern.substr(at, open - at);
    if (open == pattern.size())
      break;
    size_t close = std::min(pattern.find('}', open), pattern.size());
    if (close == pattern.size() ||
        !formatField(pattern.substr(open + 1, close - open - 1), epoch, history,
                     path))
      return wrongInput("model_checkpoint: expected {NAME:FORMAT} in 'path', "
                        "with epoch or one of %s, got '%s'",
                        history.names().c_str(), pattern.c_str());
    at = close + 1;
  }
  return {};
}

// ---- All of them ------------------------------------------------------------

void Callbacks::create(const Recipe &recipe, bool writesFiles) {
  all.clear();
  for (const CallbackRecipe &callback : recipe.callbacks)
    all.push_back(make(callback, writesFiles));
}

Error Callbacks::check(CallbackContext &context) {
  for (auto &callback : all)
    if (callback)
      if (Error error = callback->check(context))
        return error;
  return {};
}

Error Callbacks::begin(CallbackContext &context) {
  for (auto &callback : all)
    if (callback)
      if (Error error = callback->begin(context))
        return error;
  return {};
}

Error Callbacks::epochEnd(CallbackContext &context, int64_t epoch) {
  for (auto &callback : all)
    if (callback)
      if (Error error = callback->epochEnd(context, epoch))
        return error;
  return {};
}

Error Callbacks::trainEnd(CallbackContext &context) {
  for (auto &callback : all)
    if (callback)
      if (Error error = callback->trainEnd(context))
        return error;
  return {};
}

static std::string keyOf(size_t callback, char end) {
  return "callback." + std::to_string(callback) + end;
}

void Callbacks::save(Notes &notes) const {
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i])
      all[i]->save(notes, keyOf(i, '.'));
}

bool Callbacks::load(const Notes &notes) {
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i] && !all[i]->load(notes, keyOf(i, '.')))
      return false;
  return true;
}

void Callbacks::addTensors(const Instance &instance,
                           std::vector<sinter_tensor> &tensors) const {
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i])
      all[i]->addTensors(keyOf(i, '/'), instance, tensors);
}

} // namespace sinter::trainer
