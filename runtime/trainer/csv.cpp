// csv.cpp - records, header, columns; see csv.h.
#include "runtime/trainer/csv.h"

#include "runtime/trainer/byte_reader.h"
#include "runtime/trainer/numbers.h"

#include <cmath>
#include <cstring>

namespace sinter::trainer {

namespace {

constexpr size_t mostRecordBytes = 16 << 20;

/// Cuts the file into records of fields. The memory of a record is reused.
class RecordReader {
public:
  RecordReader(ByteReader &bytes, char separator)
      : bytes(bytes), separator(separator), buffer(1 << 16) {}

  Error skipByteOrderMark();
  Error skipLines(int64_t count);
  /// The next record that is not an empty line; no fields at the end.
  Error next();

  size_t fields() const { return starts.size(); }
  const char *field(size_t i) const { return text.c_str() + starts[i]; }
  /// The line on which the record begins, from 1.
  int64_t line() const { return firstLine; }

private:
  Error fill();
  bool atEnd() const { return bufferNext == bufferEnd; }
  char take();
  void takeOrdinary();
  Error readQuoted();
  Error readField(char &endedBy);
  Error tooLong() const;

  ByteReader &bytes;
  const char separator;
  std::vector<char> buffer;
  size_t bufferNext = 0, bufferEnd = 0;
  int64_t currentLine = 1, firstLine = 1;
  std::string text; // the record's fields, each with a 0 behind it
  std::vector<size_t> starts;
};

} // namespace

/// Reads on when the buffer is used up; `atEnd` afterwards means the file's.
Error RecordReader::fill() {
  if (!atEnd())
    return {};
  bufferNext = 0;
  return bytes.readSome(buffer.data(), buffer.size(), bufferEnd);
}

char RecordReader::take() {
  char c = buffer[bufferNext++];
  currentLine += c == '\n';
  return c;
}

Error RecordReader::skipByteOrderMark() {
  if (Error error = fill())
    return error;
  if (bufferEnd >= 3 && std::memcmp(buffer.data(), "\xef\xbb\xbf", 3) == 0)
    bufferNext = 3;
  return {};
}

Error RecordReader::skipLines(int64_t count) {
  while (currentLine <= count) {
    if (Error error = fill())
      return error;
    if (atEnd())
      return wrongInput("%s: expected more than the %lld lines to skip",
                        bytes.name().c_str(), static_cast<long long>(count));
    take();
  }
  return {};
}

Error RecordReader::tooLong() const {
  return wrongInput("%s:%lld: expected a record of at most %zu bytes, got more",
                    bytes.name().c_str(), static_cast<long long>(firstLine),
                    mostRecordBytes);
}

/// The rest of a quoted field, behind its first quote.
Error RecordReader::readQuoted() {
  for (;;) {
    if (Error error = fill())
      return error;
    if (atEnd())
      return wrongInput("%s:%lld: expected a closing quote",
                        bytes.name().c_str(),
                        static_cast<long long>(firstLine));
    if (text.size() > mostRecordBytes)
      return tooLong();
    char c = take();
    if (c == '"') {
      if (Error error = fill())
        return error;
      if (atEnd() || buffer[bufferNext] != '"')
        return {};
      take();
    }
    text += c;
  }
}

/// All characters in the buffer up to one that may have a meaning.
void RecordReader::takeOrdinary() {
  const char *begin = buffer.data() + bufferNext;
  const char *end = buffer.data() + bufferEnd, *next = begin;
  while (next != end && *next != separator && *next != '\n' && *next != '"')
    ++next;
  text.append(begin, next);
  bufferNext += static_cast<size_t>(next - begin);
}

/// `endedBy` is the separator, or '\n' for the end of the record.
Error RecordReader::readField(char &endedBy) {
  const size_t start = text.size();
  starts.push_back(start);
  for (;;) {
    takeOrdinary();
    if (text.size() > mostRecordBytes)
      return tooLong();
    if (Error error = fill())
      return error;
    endedBy = atEnd() ? '\n' : buffer[bufferNext];
    if (endedBy == '"') {
      take();
      if (text.size() > start)
        text += '"';
      else if (Error error = readQuoted())
        return error;
    } else if (endedBy == separator || endedBy == '\n') {
      if (!atEnd())
        take();
      if (endedBy == '\n' && text.size() > start && text.back() == '\r')
        text.pop_back();
      if (std::memchr(text.data() + start, 0, text.size() - start))
        return wrongInput("%s:%lld: expected text, got a zero byte",
                          bytes.name().c_str(),
                          static_cast<long long>(firstLine));
      text += '\0';
      return {};
    }
  }
}

Error RecordReader::next() {
  for (;;) {
    text.clear();
    starts.clear();
    firstLine = currentLine;
    char endedBy = separator;
    while (endedBy == separator) {
      if (Error error = readField(endedBy))
        return error;
      // A run of spaces is one separator.
      if (separator == ' ' && *field(starts.size() - 1) == 0)
        starts.pop_back();
    }
    if (starts.size() == 1 && *field(0) == 0)
      starts.clear(); // an empty line, or the end
    if (Error error = fill())
      return error;
    if (!starts.empty() || atEnd())
      return {};
  }
}

static bool isHeader(const RecordReader &record) {
  double value;
  for (size_t i = 0; i < record.fields(); ++i)
    if (*record.field(i) == 0 || parseDouble(record.field(i), value))
      return false;
  return true;
}

namespace {

/// What the first record says of the columns.
struct Columns {
  std::vector<std::string> names; // empty without a header
  std::vector<size_t> inputs, labels;

  std::string describe(size_t column) const {
    std::string text = "column " + std::to_string(column);
    return names.empty() ? text : text + " ('" + names[column] + "')";
  }
};

} // namespace

/// `label` as a name or a position; `count` when it is neither.
static size_t findColumn(const Columns &columns, const std::string &label,
                         size_t count) {
  for (size_t i = 0; i < columns.names.size(); ++i)
    if (columns.names[i] == label)
      return i;
  int64_t position, size = static_cast<int64_t>(count);
  if (!parseInteger(label.c_str(), position) || position < -size ||
      position >= size)
    return count;
  return static_cast<size_t>(position < 0 ? position + size : position);
}

static Error chooseColumns(const std::string &path, const RecordReader &first,
                           const CsvFormat &format, Columns &columns) {
  size_t count = first.fields();
  if (isHeader(first))
    for (size_t i = 0; i < count; ++i)
      columns.names.push_back(first.field(i));
  std::vector<bool> isLabel(count);
  for (const std::string &label : format.labels) {
    size_t column = findColumn(columns, label, count);
    if (column == count)
      return wrongInput(
          "%s:%lld: expected a label column '%s', got %zu "
          "columns %s",
          path.c_str(), static_cast<long long>(first.line()), label.c_str(),
          count, columns.names.empty() ? "and no header" : "of other names");
    columns.labels.push_back(column);
    isLabel[column] = true;
  }
  for (size_t i = 0; i < count; ++i)
    if (!isLabel[i])
      columns.inputs.push_back(i);
  if (columns.inputs.empty())
    return wrongInput("%s:%lld: expected input columns beside the label",
                      path.c_str(), static_cast<long long>(first.line()));
  return {};
}

static Error appendRow(const std::string &path, const RecordReader &record,
                       const Columns &columns,
                       const std::vector<size_t> &chosen, Array &array) {
  size_t start = array.bytes.size();
  array.bytes.resize(start + chosen.size() * sizeof(float));
  float *row = array.floats() + start / sizeof(float);
  for (size_t column : chosen) {
    double value;
    const char *field = record.field(column);
    if (!parseDouble(field, value) ||
        !std::isfinite(*row++ = static_cast<float>(value)))
      return wrongInput("%s:%lld: %s: expected a finite number, got '%.40s'",
                        path.c_str(), static_cast<long long>(record.line()),
                        columns.describe(column).c_str(), field);
  }
  return {};
}

static void setShape(Array &array, int64_t records, size_t columns) {
  array.type = ElementType::F32;
  array.shape = {records, static_cast<int64_t>(columns)};
}

Error readCsv(const std::string &path, const CsvFormat &format, Array &inputs,
              Array &labels, std::vector<std::string> *texts) {
  ByteReader bytes;
  if (Error error = bytes.open(path))
    return error;
  RecordReader record(bytes, format.separator);
  if (Error error = record.skipByteOrderMark())
    return error;
  if (Error error = record.skipLines(format.skipRows))
    return error;
  if (Error error = record.next())
    return error;
  Columns columns;
  if (record.fields() == 0)
    return wrongInput("%s: expected records, got an empty file", path.c_str());
  if (Error error = chooseColumns(path, record, format, columns))
    return error;
  const size_t count = record.fields();
  if (!columns.names.empty())
    if (Error error = record.next())
      return error;
  int64_t records = 0;
  while (record.fields() > 0) {
    if (record.fields() != count)
      return wrongInput("%s:%lld: expected %zu columns, got %zu", path.c_str(),
                        static_cast<long long>(record.line()), count,
                        record.fields());
    if (Error error = appendRow(path, record, columns, columns.inputs, inputs))
      return error;
    if (texts)
      texts->push_back(record.field(columns.labels[0]));
    else if (Error error =
                 appendRow(path, record, columns, columns.labels, labels))
      return error;
    ++records;
    if (Error error = record.next())
      return error;
  }
  if (records == 0)
    return wrongInput("%s: expected records below the header, got none",
                      path.c_str());
  setShape(inputs, records, columns.inputs.size());
  if (!texts)
    setShape(labels, records, columns.labels.size());
  return {};
}

} // namespace sinter::trainer
