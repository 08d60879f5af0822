// class_map.cpp - see class_map.h.
#include "runtime/trainer/class_map.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace sinter::trainer {

static constexpr const char *notesKey = "classes";
/// Names with a '/' between them; one in a name is %2F, and a '%' %25.
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
  return checkCount(file, classes);
}

Error ClassMap::checkCount(const std::string &file, int64_t classes) const {
  if (this->classes() == classes)
    return {};
  const bool isMore = this->classes() > classes;
  return wrongInput("%s: expected %lld different labels, one for each class of "
                    "the model, got %s: %s%s",
                    file.c_str(), static_cast<long long>(classes),
                    isMore ? "more" : std::to_string(labels.size()).c_str(),
                    text().c_str(), isMore ? ", ..." : "");
}

/// Labels become text in messages, reports and files of weights.
static bool isPlain(const std::string &text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' && c != 0x7f;
  });
}

Error ClassMap::learn(const std::string &file,
                      const std::vector<std::string> &found, int64_t classes) {
  std::set<std::string> texts;
  for (size_t i = 0;
       i < found.size() && texts.size() <= static_cast<size_t>(classes); ++i)
    if (texts.insert(found[i]).second && !isPlain(found[i]))
      return found[i].empty()
                 ? wrongInput("%s: record %zu (counted from 0): expected a "
                              "label, got none",
                              file.c_str(), i)
                 : wrongInput("%s: record %zu (counted from 0): expected a "
                              "label without control characters, got '%.40s'",
                              file.c_str(), i, found[i].c_str());
  names.assign(texts.begin(), texts.end());
  labels.clear();
  for (size_t i = 0; i < names.size(); ++i)
    labels.push_back(static_cast<int32_t>(i));
  return checkCount(file, classes);
}

int32_t ClassMap::find(const std::string &text) const {
  const auto at = std::find(names.begin(), names.end(), text);
  return at == names.end() ? -1 : static_cast<int32_t>(at - names.begin());
}

std::string ClassMap::text() const {
  std::string text;
  for (size_t i = 0; i < labels.size() && i < mostShown; ++i)
    text += (i ? ", " : "") + name(static_cast<int32_t>(i));
  return labels.size() > mostShown ? text + ", ..." : text;
}

static std::string replaced(std::string text, const std::string &from,
                            const char *to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; ++at)
    text.replace(at, from.size(), to);
  return text;
}

static std::string escaped(const std::string &name) {
  return replaced(replaced(name, "%", "%25"), "/", "%2F");
}

static std::string unescaped(const std::string &name) {
  return replaced(replaced(name, "%2F", "/"), "%25", "%");
}

void ClassMap::save(Notes &notes) const {
  std::string text;
  for (int32_t label : labels)
    text += (text.empty() ? "" : " ") + std::to_string(label);
  if (isGiven())
    notes.put(notesKey, text);
  text.clear();
  for (const std::string &name : names)
    text += (text.empty() ? "" : "/") + escaped(name);
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
      names.push_back(unescaped(text.substr(begin, end - begin)));
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
  if (good && !names.empty() && names.size() != labels.size())
    return wrongInput("%s: expected a name for each of %zu classes as '%s' in "
                      "the metadata, got %zu",
                      path.c_str(), labels.size(), namesKey, names.size());
  if (good)
    return {};
  labels.clear();
  return wrongInput("%s: expected increasing whole numbers as '%s' in the "
                    "metadata, got '%.100s'",
                    path.c_str(), notesKey, text.c_str());
}

} // namespace sinter::trainer
