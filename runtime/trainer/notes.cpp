// notes.cpp - see notes.h.
#include "runtime/trainer/notes.h"

#include "runtime/trainer/numbers.h"

#include <cstdlib>
#include <cstring>
#include <zlib.h>

namespace sinter::trainer {

void Notes::put(const std::string &key, const std::string &text) {
  pairs.push_back({key, text});
}

void Notes::put(const std::string &key, int64_t number) {
  put(key, std::to_string(number));
}

void Notes::put(const std::string &key, double number) {
  put(key, format("%a", number));
}

void Notes::put(const std::string &key, const std::vector<double> &numbers) {
  std::string text;
  for (double number : numbers)
    text += format(text.empty() ? "%a" : " %a", number);
  put(key, text);
}

uint32_t Notes::checksum(const std::string &except) const {
  uint32_t sum = 0;
  for (const auto &[key, text] : pairs)
    if (key != except) {
      const std::string line = key + "=" + text;
      sum += static_cast<uint32_t>(crc32_z(
          0, reinterpret_cast<const Bytef *>(line.data()), line.size()));
    }
  return sum;
}

const std::string *Notes::find(const std::string &key) const {
  for (const auto &[name, value] : pairs)
    if (name == key)
      return &value;
  return nullptr;
}

bool Notes::get(const std::string &key, std::string &value) const {
  const std::string *text = find(key);
  if (text)
    value = *text;
  return text;
}

bool Notes::get(const std::string &key, int64_t &value) const {
  const std::string *text = find(key);
  int64_t parsed;
  if (!text || !parseInteger(text->c_str(), parsed))
    return false;
  value = parsed;
  return true;
}

bool Notes::get(const std::string &key, double &value) const {
  std::vector<double> values;
  if (!get(key, values) || values.size() != 1)
    return false;
  value = values[0];
  return true;
}

bool Notes::get(const std::string &key, std::vector<double> &values) const {
  const std::string *text = find(key);
  std::vector<double> parsed;
  for (const char *next = text ? text->c_str() : ""; *next;) {
    char *end;
    parsed.push_back(std::strtod(next, &end));
    if (end == next)
      return false;
    next = end + std::strspn(end, " ");
  }
  if (text)
    values.insert(values.end(), parsed.begin(), parsed.end());
  return text;
}

std::vector<sinter_metadata> Notes::metadata() const {
  std::vector<sinter_metadata> result;
  for (const auto &[key, value] : pairs)
    result.push_back({key.c_str(), value.c_str()});
  return result;
}

static void addPair(void *context, const char *key, const char *value) {
  static_cast<Notes *>(context)->put(key, std::string(value));
}

Error Notes::read(const std::string &path) {
  char message[4096];
  sinter_status status = sinter_read_metadata(path.c_str(), addPair, this,
                                              message, sizeof message);
  return status == SINTER_OK ? Error{} : Error{Status(status), message};
}

} // namespace sinter::trainer
