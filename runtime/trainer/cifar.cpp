// cifar.cpp - see cifar.h.
#include "runtime/trainer/cifar.h"

#include "runtime/trainer/byte_reader.h"

namespace sinter::trainer {

static constexpr size_t side = 32, colours = 3, pixels = side * side,
                        recordBytes = 1 + colours * pixels;
static constexpr int classes = 10;

/// Fills `bytes`, or stops at the end of the file.
static Error readRecord(ByteReader &reader, uint8_t *bytes, size_t &got) {
  got = 0;
  for (size_t now = 1; now > 0 && got < recordBytes; got += now)
    if (Error error = reader.readSome(bytes + got, recordBytes - got, now))
      return error;
  return {};
}

static Error readFile(const std::string &path, Array &inputs, Array &labels) {
  ByteReader reader;
  if (Error error = reader.open(path))
    return error;
  uint8_t record[recordBytes];
  for (int64_t number = 0;; ++number) {
    size_t got;
    if (Error error = readRecord(reader, record, got))
      return error;
    if (got == 0 && number == 0)
      return wrongInput("%s: expected CIFAR-10 records, got an empty file",
                        path.c_str());
    if (got == 0)
      return {};
    if (got < recordBytes)
      return wrongInput("%s: record %lld (counted from 0): truncated: expected "
                        "%zu bytes, got %zu",
                        path.c_str(), static_cast<long long>(number),
                        recordBytes, got);
    if (record[0] >= classes)
      return wrongInput("%s: record %lld (counted from 0): expected a label "
                        "from 0 to %d, got %d; is this a CIFAR-10 file?",
                        path.c_str(), static_cast<long long>(number),
                        classes - 1, record[0]);
    labels.bytes.push_back(record[0]);
    const size_t start = inputs.bytes.size();
    inputs.bytes.resize(start + colours * pixels);
    uint8_t *picture = inputs.bytes.data() + start;
    for (size_t colour = 0; colour < colours; ++colour)
      for (size_t i = 0; i < pixels; ++i)
        picture[i * colours + colour] = record[1 + colour * pixels + i];
  }
}

Error readCifar10(const std::vector<std::string> &paths, Array &inputs,
                  Array &labels) {
  inputs.type = labels.type = ElementType::U8;
  for (const std::string &path : paths)
    if (Error error = readFile(path, inputs, labels))
      return error;
  const auto records = static_cast<int64_t>(labels.bytes.size());
  inputs.shape = {records, side, side, colours};
  labels.shape = {records};
  return {};
}

} // namespace sinter::trainer
