// json.cpp - see json.h.
#include "runtime/trainer/json.h"

#include "runtime/trainer/error.h"

#include <cmath>

namespace sinter::trainer {

void JsonWriter::breakLine() {
  text += '\n';
  text.append(static_cast<size_t>(depth) * 2, ' ');
}

/// What stands between the last value and the next one.
void JsonWriter::separate() {
  if (hasKey) {
    hasKey = false;
    return;
  }
  if (!isFirst)
    text += ',';
  if (depth > 0 && openArrays == 0)
    breakLine();
  else if (!isFirst)
    text += ' ';
  isFirst = false;
}

JsonWriter &JsonWriter::key(const char *name) {
  separate();
  appendQuoted(name);
  text += ": ";
  hasKey = true;
  return *this;
}

void JsonWriter::beginObject() {
  separate();
  text += '{';
  ++depth;
  isFirst = true;
}

void JsonWriter::endObject() {
  --depth;
  if (!isFirst && openArrays == 0)
    breakLine();
  text += '}';
  isFirst = false;
}

void JsonWriter::beginArray() {
  separate();
  text += '[';
  ++openArrays;
  isFirst = true;
}

void JsonWriter::endArray() {
  --openArrays;
  text += ']';
  isFirst = false;
}

void JsonWriter::value(const char *characters) {
  separate();
  appendQuoted(characters);
}

void JsonWriter::value(int64_t number) {
  separate();
  text += std::to_string(number);
}

void JsonWriter::value(double number) {
  separate();
  text += std::isfinite(number) ? format("%.9g", number) : "null";
}

void JsonWriter::appendQuoted(const char *characters) {
  text += '"';
  for (; *characters; ++characters) {
    if (*characters == '"' || *characters == '\\')
      text += '\\';
    if (static_cast<unsigned char>(*characters) < ' ')
      text += format("\\u%04x", *characters);
    else
      text += *characters;
  }
  text += '"';
}

} // namespace sinter::trainer
