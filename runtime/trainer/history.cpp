// history.cpp - columns of figures as JSON and CSV; see history.h.
#include "runtime/trainer/history.h"

#include "runtime/trainer/json.h"
#include "runtime/trainer/output.h"

namespace sinter::trainer {

History::History(const Means &training, const Means *validation,
                 const float *learningRate, int64_t epochs)
    : learningRate(learningRate) {
  for (size_t i = 0; i < training.size(); ++i)
    columns.push_back({training.name(i), {}});
  for (size_t i = 0; validation && i < validation->size(); ++i)
    columns.push_back({std::string("val_") + validation->name(i), {}});
  if (learningRate)
    columns.push_back({"learning_rate", {}});
  columns.push_back({"epoch_seconds", {}});
  for (Column &column : columns)
    column.values.reserve(static_cast<size_t>(epochs));
}

void History::add(const Means &training, const Means *validation,
                  double seconds) {
  auto column = columns.begin();
  for (size_t i = 0; i < training.size(); ++i)
    column++->values.push_back(training.mean(i));
  for (size_t i = 0; validation && i < validation->size(); ++i)
    column++->values.push_back(validation->mean(i));
  if (learningRate)
    column++->values.push_back(static_cast<double>(*learningRate));
  column->values.push_back(seconds);
}

size_t History::find(const std::string &name) const {
  size_t i = 0;
  while (i < figures() && columns[i].name != name)
    ++i;
  return i;
}

std::string History::names() const {
  std::string text;
  for (size_t i = 0; i < figures(); ++i)
    text += (i ? ", " : "") + columns[i].name;
  return text;
}

static std::string notesKey(const std::string &column) {
  return "history." + column;
}

void History::save(Notes &notes) const {
  for (const Column &column : columns)
    notes.put(notesKey(column.name), column.values);
}

bool History::load(const Notes &notes, int64_t epochs) {
  for (Column &column : columns) {
    column.values.clear();
    if (!notes.get(notesKey(column.name), column.values) ||
        column.values.size() != static_cast<size_t>(epochs))
      return false;
  }
  return true;
}

std::string History::json(const Instance &instance) const {
  JsonWriter json;
  json.beginObject();
  json.key("history").beginObject();
  for (const Column &column : columns) {
    json.key(column.name.c_str()).beginArray();
    for (double value : column.values)
      json.value(value);
    json.endArray();
  }
  json.endObject();
  json.key("model").value(instance.model().name);
  json.key("parameters").value(countWeights(instance.model()).all());
  json.key("threads").value(instance.threads());
  json.endObject();
  return json.finish();
}

std::string History::csv() const {
  std::string text = "epoch";
  for (const Column &column : columns)
    text += "," + column.name;
  text += "\n";
  for (size_t epoch = 0; epoch < columns[0].values.size(); ++epoch) {
    text += std::to_string(epoch + 1);
    for (const Column &column : columns)
      text += format(",%.9g", column.values[epoch]);
    text += "\n";
  }
  return text;
}

static bool hasExtension(const std::string &path, const char *extension) {
  size_t dot = path.rfind('.');
  return dot != std::string::npos &&
         path.compare(dot, path.npos, extension) == 0;
}

Error checkHistoryPath(const std::string &path) {
  if (hasExtension(path, ".json") || hasExtension(path, ".csv"))
    return {};
  return wrongUsage("--history: expected a file name that ends in .json or "
                    ".csv, got '%s'",
                    path.c_str());
}

Error History::write(const std::string &path, const Instance &instance) const {
  return writeText(path, hasExtension(path, ".csv") ? csv() : json(instance));
}

} // namespace sinter::trainer
