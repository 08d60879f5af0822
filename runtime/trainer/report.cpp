// report.cpp - gather what a run left and fill the page; see report.h.
//
// The page's form is report.html, which the build turns into a constant. Charts
// and tables are made here, in the trainer, so the page needs no script.
#include "runtime/trainer/report.h"

#include "runtime/trainer/markup.h"
#include "runtime/trainer/output.h"
#include "runtime/trainer/report_charts.h"
#include "runtime/trainer/report_classes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>

namespace sinter::trainer {

extern const char reportTemplate[]; // report.html

namespace {

using Column = History::Column;
const char *const secondsName = "epoch_seconds";
const char *const dot = " \xc2\xb7 ";

class Report {
public:
  explicit Report(const ReportRun &run)
      : run(run), model(run.instance.model()),
        classes(countClasses(model, run.recipe)), names(run.classNames) {
    for (size_t i = names.size(); i < classes; ++i)
      names.push_back(std::to_string(i));
    findBest();
  }

  std::string render();

private:
  void findBest();
  void classify();
  void predict(const PassData &data, const char *name);

  const Column *find(const std::string &name) const;
  size_t epochs() const { return run.history.all().front().values.size(); }
  double seconds() const;

  std::string headline() const;
  std::string tiles() const;
  std::string curves() const;
  std::string epochTable() const;
  std::string classesSection() const;
  std::string samplesSection() const;
  std::string layers() const;
  std::string facts() const;
  std::string memory() const;

  const ReportRun &run;
  const sinter_model &model;
  const size_t classes;
  std::vector<std::string> names;
  size_t best = 0; // epoch, from 1; 0: none

  // Of a classifier.
  Dataset test;
  const Dataset *shown = nullptr;
  std::string shownName;
  std::vector<Prediction> predictions;
};

} // namespace

// ---- Figures ----------------------------------------------------------------

const Column *Report::find(const std::string &name) const {
  for (const Column &column : run.history.all())
    if (column.name == name)
      return &column;
  return nullptr;
}

void Report::findBest() {
  const Column *column = find(run.monitored);
  if (!column)
    return;
  for (size_t i = 0; i < column->values.size(); ++i) {
    const double value = column->values[i];
    if (!std::isfinite(value))
      continue;
    const double most = best ? column->values[best - 1] : value;
    if (!best || (run.isLessBetter ? value < most : value > most))
      best = i + 1;
  }
}

double Report::seconds() const {
  double sum = 0;
  if (const Column *column = find(secondsName))
    for (double value : column->values)
      sum += value;
  return sum;
}

/// "5 epochs"
static std::string counted(size_t number, const char *what) {
  return grouped(static_cast<int64_t>(number)) + " " + what +
         (number == 1 ? "" : "s");
}

std::string Report::headline() const {
  char when[64] = "";
  const std::time_t now = std::time(nullptr);
  std::tm local;
  if (localtime_r(&now, &local))
    std::strftime(when, sizeof when, "%Y-%m-%d %H:%M %Z", &local);
  return escaped(when + (dot + counted(epochs(), "epoch")) + " on " +
                 counted(run.training.order.size(), "sample") + " in " +
                 readableSeconds(seconds()));
}

static bool isShare(const std::string &name) {
  return name.find("accuracy") != name.npos;
}

static std::string figureOf(const std::string &name, double value) {
  return isShare(name) ? percent(value) : figure(value);
}

static std::string tile(const std::string &name, const std::string &value,
                        const std::string &note) {
  return "<div><dt>" + escaped(name) + "</dt><dd>" + escaped(value) +
         "<small>" + escaped(note) + "</small></dd></div>\n";
}

/// Loss and first metric, then size and time.
std::string Report::tiles() const {
  std::string html;
  size_t shownFigures = 0;
  for (const Column &column : run.history.all()) {
    if (column.name == secondsName || column.name.rfind("val_", 0) == 0 ||
        shownFigures == 2)
      continue;
    ++shownFigures;
    const Column *validation = find("val_" + column.name);
    const Column &told = validation ? *validation : column;
    std::string note = "after the last epoch";
    if (best && best != told.values.size())
      note = format("%s in epoch %zu, the best",
                    figureOf(told.name, told.values[best - 1]).c_str(), best);
    html += tile((validation ? "Validation " : "Training ") + column.name,
                 figureOf(told.name, told.values.back()), note);
  }
  const WeightCount weights = countWeights(model);
  html += tile("Parameters", grouped(weights.all()),
               readableBytes(4.0 * static_cast<double>(weights.all())) +
                   " of weights");
  html +=
      tile("Time", readableSeconds(seconds()),
           readableSeconds(seconds() / static_cast<double>(epochs())) +
               " an epoch, " +
               counted(static_cast<size_t>(run.instance.threads()), "thread"));
  return html;
}

std::string Report::curves() const {
  std::string cards;
  for (const Column &column : run.history.all()) {
    if (column.name == secondsName || column.name.rfind("val_", 0) == 0)
      continue;
    std::vector<Curve> curves = {{false, &column.values}};
    if (const Column *validation = find("val_" + column.name))
      curves.push_back({true, &validation->values});
    cards += renderCurves(column.name, curves, best);
  }
  std::string text = "Figures of each epoch.";
  if (best)
    text = format("The best epoch by %s is epoch %zu of %zu.",
                  run.monitored.c_str(), best, epochs());
  return "<section><h2>Curves</h2><p>" + escaped(text) +
         "</p><div class=\"grid two\">" + cards + "</div>" + epochTable() +
         "</section>";
}

std::string Report::epochTable() const {
  std::string html = "<details><summary>Every epoch as a table</summary><div "
                     "class=\"card scroll\" tabindex=\"0\" role=\"region\" "
                     "aria-label=\"Every epoch\"><table "
                     "class=\"rows\"><thead><tr><th scope=\"col\">Epoch</th>";
  for (const Column &column : run.history.all())
    html += "<th class=\"n\" scope=\"col\">" +
            escaped(column.name == secondsName ? "seconds" : column.name) +
            "</th>";
  html += "</tr></thead><tbody>\n";
  for (size_t i = 0; i < epochs(); ++i) {
    html += format("<tr><th scope=\"row\">%zu%s</th>", i + 1,
                   i + 1 == best ? " (best)" : "");
    for (const Column &column : run.history.all())
      html += "<td class=\"n\">" + figure(column.values[i]) + "</td>";
    html += "</tr>\n";
  }
  return html + "</tbody></table></div></details>";
}

// ---- Classes ----------------------------------------------------------------

/// A matrix of more would take much memory and tell little.
static constexpr size_t mostClasses = 1000;

void Report::predict(const PassData &data, const char *name) {
  Batch batch(run.recipe, modelShape(model, model.train_step), data.batchSize);
  predictions = predictClasses(run.instance, data, batch);
  shown = &data.dataset;
  shownName = name;
}

/// Validation data; without it data.test; without that the training data.
void Report::classify() {
  if (classes == 0 || classes > mostClasses)
    return;
  if (run.validation)
    return predict(*run.validation, "validation");
  ClassMap labels = run.instance.classes;
  if (run.recipe.test.isGiven() &&
      !loadDataset(run.recipe, run.recipe.test, "test", run.dataDirectory,
                   modelShape(model, model.train_step), test, &labels)) {
    const Order order = inOrder(test.samples());
    return predict({test, order, run.training.batchSize}, "test");
  }
  predict(run.training, "training");
}

std::string Report::classesSection() const {
  if (predictions.empty())
    return "";
  const Confusion confusion(classes, predictions);
  return "<section><h2>What the model mixes up</h2><p>The final weights on " +
         counted(predictions.size(), (shownName + " sample").c_str()) + ": " +
         percent(static_cast<double>(confusion.right()) /
                 static_cast<double>(confusion.samples())) +
         " right.</p>" + renderConfusion(confusion, names) + "</section>";
}

std::string Report::samplesSection() const {
  const Shape shape = modelShape(model, model.predict).input;
  if (predictions.empty() || !isImage(shape))
    return "";
  const size_t count = 12;
  auto card = [&](const char *title, const std::vector<Prediction> &chosen) {
    return format("<div class=\"card\"><h3>%s</h3>", title) +
           renderSamples(chosen, shown->inputs, shape, names) + "</div>\n";
  };
  std::string html = "<section><h2>Samples</h2><p>Of the " + shownName +
                     " data. Below each image: what the model says, its "
                     "probability, and the truth where that differs.</p><div "
                     "class=\"grid two\">" +
                     card("Evenly chosen", spread(predictions, count));
  const std::vector<Prediction> wrong = surestMistakes(predictions, count);
  if (!wrong.empty())
    html += card("The surest mistakes", wrong);
  return html + "</div></section>";
}

// ---- Model ------------------------------------------------------------------

std::string Report::layers() const {
  if (run.recipe.layers.empty())
    return "";
  std::string html =
      "<div class=\"card\"><h3>Layers</h3><table class=\"rows\"><thead><tr><th "
      "scope=\"col\">Layer (type)</th><th scope=\"col\">Output shape</th><th "
      "class=\"n\" scope=\"col\">Parameters</th></tr></thead><tbody>\n";
  for (const LayerSummary &layer : run.recipe.layers)
    html += "<tr><th scope=\"row\">" + escaped(layer.name) +
            " <span class=\"type\">(" + escaped(layer.type) +
            ")</span></th><td>" + escaped(layer.shape) +
            "</td><td class=\"n\">" + grouped(layer.parameters) +
            "</td></tr>\n";
  html += "</tbody><tfoot>\n";
  const WeightCount weights = countWeights(model);
  const std::pair<const char *, int64_t> totals[] = {
      {"Total", weights.all()},
      {"Trainable", weights.trained},
      {"Not trainable", weights.frozen}};
  for (auto [name, count] : totals)
    html +=
        format("<tr><th scope=\"row\">%s</th><td>%s</td><td "
               "class=\"n\">%s</td></tr>\n",
               name, readableBytes(4.0 * static_cast<double>(count)).c_str(),
               grouped(count).c_str());
  return html + "</tfoot></table></div>";
}

std::string Report::facts() const {
  std::string html;
  auto fact = [&](const char *name, const std::string &value) {
    html += format("<dt>%s</dt><dd>", name) + escaped(value) + "</dd>\n";
  };
  auto bytes = [](int64_t number) {
    return readableBytes(static_cast<double>(number));
  };
  fact("Training samples",
       grouped(static_cast<int64_t>(run.training.order.size())));
  if (run.validation)
    fact("Validation samples",
         grouped(static_cast<int64_t>(run.validation->order.size())));
  fact("Epochs", grouped(static_cast<int64_t>(epochs())));
  fact("Batch size", grouped(run.training.batchSize));
  fact("Steps an epoch", grouped(run.training.steps()));
  fact("Seed", std::to_string(run.seed));
  fact("Threads", std::to_string(run.instance.threads()));
  fact("Time", readableSeconds(seconds()));
  fact("Arena", bytes(model.train_step.arena_bytes));
  fact("State", bytes(model.state_bytes));
  fact("Target CPU", model.target_cpu);
  fact("Compiler", model.compiler);
  return html;
}

std::string Report::memory() const {
  const std::string card = renderMemory("train_step", model.train_step, model);
  if (card.empty())
    return "";
  return "<section><h2>Memory</h2><p>A training step works in one arena that "
         "was planned by the compiler. A block is an intermediate result: as "
         "high as its bytes, as wide as its life.</p>" +
         card + "</section>";
}

// ---- The page ---------------------------------------------------------------

std::string Report::render() {
  classify();
  const std::pair<const char *, std::string> parts[] = {
      {"model", escaped(model.name)},
      {"headline", headline()},
      {"tiles", tiles()},
      {"curves", curves()},
      {"classes", classesSection()},
      {"samples", samplesSection()},
      {"layers", layers()},
      {"facts", facts()},
      {"memory", memory()},
      {"compiler", escaped(model.compiler)}};
  std::string page;
  for (const char *rest = reportTemplate; *rest;) {
    const char *open = std::strstr(rest, "{{");
    const char *close = open ? std::strstr(open, "}}") : nullptr;
    if (!close) {
      page += rest;
      break;
    }
    page.append(rest, open);
    for (const auto &[name, text] : parts)
      if (std::string(open + 2, close) == name)
        page += text;
    rest = close + 2;
  }
  return page;
}

std::string renderReport(const ReportRun &run) { return Report(run).render(); }

Error checkReportPath(const std::string &path) {
  const size_t dot = std::min(path.rfind('.'), path.size());
  if (path.compare(dot, path.npos, ".html") == 0)
    return {};
  return wrongUsage("--report: expected a file name that ends in .html, got "
                    "'%s'",
                    path.c_str());
}

Error writeReport(const std::string &path, const ReportRun &run) {
  return writeText(path, renderReport(run));
}

} // namespace sinter::trainer
