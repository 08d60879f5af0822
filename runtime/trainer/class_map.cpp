// class_map.cpp - see class_map.h.
#include "runtime/trainer/class_map.h"

#include <algorithm>
#include <cmath>

namespace sinter::trainer {

static constexpr const char *notesKey = "classes";
/// Names of folders, so that a '/' can stand between them.
static constexpr const char *namesKey = "class_names";
/// More than a message should list.
static constexpr size_t mostShown = 40;

static bool isWhole(float label) {
  return label == std::floor(label) && std::fabs(label) < 16777216;
}

int32_t ClassMap::find(float label) const {
  if (!isWhole(label))
    return -1;
  auto at = std::lower_bound(labels.begin(), labels.end(),
                             static_cast<int32_t>(label));
  return at != labels.end() && *at == static_cast<int32_t>(label)
             ? static_cast<int32_t>(at - labels.begin())
             : -1;
}

Error ClassMap::learn(const std::string &file, const Array &found,
                      int64_t classes) {
  labels.clear();
  for (int64_t i = 0; i < found.records(); ++i) {
    float label = found.at(i);
    if (!isWhole(label))
      return wrongInput("%s: record %lld (counted from 0): expected a whole "
                        "number as label, got %g",
                        file.c_str(), static_cast<long long>(i), label);
    if (find(label) >= 0)
      continue;
    auto value = static_cast<int32_t>(label);
    labels.insert(std::lower_bound(labels.begin(), labels.end(), value), value);
    if (labels.size() > static_cast<size_t>(classes))
      break;
  }
  if (this->classes() == classes)
    return {};
  const bool isMore = this->classes() > classes;
  return wrongInput("%s: expected %lld different labels, one for each class of "
                    "the model, got %s: %s%s",
                    file.c_str(), static_cast<long long>(classes),
                    isMore ? "more" : std::to_string(labels.size()).c_str(),
                    text().c_str(), isMore ? ", ..." : "");
}

std::string ClassMap::text() const {
  std::string text;
  for (size_t i = 0; i < labels.size() && i < mostShown; ++i)
    text += (i ? ", " : "") + std::to_string(labels[i]);
  return labels.size() > mostShown ? text + ", ..." : text;
}

void ClassMap::save(Notes &notes) const {
  std::string text;
  for (int32_t label : labels)
    text += (text.empty() ? "" : " ") + std::to_string(label);
  if (isGiven())
    notes.put(notesKey, text);
  text.clear();
  for (const std::string &name : names)
    text += (text.empty() ? "" : "/") + name;
  if (!names.empty())
    notes.put(namesKey, text);
}

Error ClassMap::load(const std::string &path, const Notes &notes) {
  std::string text;
  std::vector<double> values;
  labels.clear();
  names.clear();
  if (notes.get(namesKey, text))
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find('/', begin), text.size());
      names.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  if (!notes.get(notesKey, text))
    return {};
  bool good = notes.get(notesKey, values);
  for (double value : values) {
    good = good && isWhole(static_cast<float>(value)) &&
           (labels.empty() || value > labels.back());
    labels.push_back(good ? static_cast<int32_t>(value) : 0);
  }
  if (good)
    return {};
  labels.clear();
  return wrongInput("%s: expected increasing whole numbers as '%s' in the "
                    "metadata, got '%.100s'",
                    path.c_str(), notesKey, text.c_str());
}

} // namespace sinter::trainer
