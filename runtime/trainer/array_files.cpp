// array_files.cpp - idx, npy and npz; see array_files.h.
#include "runtime/trainer/array_files.h"

#include "runtime/trainer/zip_directory.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace sinter::trainer {

namespace {

/// How one number is stored, and how a run of them becomes f32.
struct StoredType {
  const char *name; // as npy spells it
  size_t bytes;
  void (*toFloats)(const void *stored, float *floats, size_t count);
};

template <typename T>
void convert(const void *stored, float *floats, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, static_cast<const char *>(stored) + i * sizeof(T),
                sizeof(T));
    floats[i] = static_cast<float>(value);
  }
}

const StoredType storedTypes[] = {
    {"|u1", 1, nullptr}, // kept as it is
    {"|b1", 1, convert<uint8_t>}, {"|i1", 1, convert<int8_t>},
    {"<i2", 2, convert<int16_t>}, {"<i4", 4, convert<int32_t>},
    {"<i8", 8, convert<int64_t>}, {"<f4", 4, convert<float>},
    {"<f8", 8, convert<double>},
};

const StoredType &byteType = storedTypes[0];

} // namespace

/// A header may claim any shape: refuses one that the rest of the stream cannot
/// hold, before memory is asked for.
static Error checkSize(const ByteReader &reader, const Shape &shape,
                       size_t elementBytes) {
  uint64_t most = reader.mostBytesLeft(), bytes = elementBytes;
  bool fits = true;
  for (int64_t size : shape) {
    uint64_t factor = static_cast<uint64_t>(size);
    if (factor == 0)
      return wrongInput("%s: expected data, got an array of shape %s",
                        reader.name().c_str(), shapeText(shape).c_str());
    fits = fits && factor <= most / bytes;
    bytes = fits ? bytes * factor : bytes;
  }
  if (fits)
    return {};
  return wrongInput("%s: truncated: expected an array of shape %s with %zu "
                    "bytes a number, got room for at most %llu bytes",
                    reader.name().c_str(), shapeText(shape).c_str(),
                    elementBytes, static_cast<unsigned long long>(most));
}

static Error checkFinite(const ByteReader &reader, const Array &array,
                         size_t first, size_t count) {
  const float *floats = array.floats();
  for (size_t i = first; i < first + count; ++i) {
    if (std::isfinite(floats[i]))
      continue;
    size_t size = static_cast<size_t>(array.recordElements());
    return wrongInput("%s: record %zu, number %zu (both counted from 0): "
                      "expected a finite f32, got %g",
                      reader.name().c_str(), i / size, i % size, floats[i]);
  }
  return {};
}

/// Everything behind the header. `array.shape` is set.
static Error readData(ByteReader &reader, const StoredType &stored,
                      Array &array) {
  if (Error error = checkSize(reader, array.shape, stored.bytes))
    return error;
  size_t count = static_cast<size_t>(shapeElements(array.shape));
  if (!stored.toFloats) {
    array.type = ElementType::U8;
    array.bytes.resize(count);
    if (Error error = reader.read(array.bytes.data(), count, "data"))
      return error;
    return reader.expectEnd();
  }
  array.type = ElementType::F32;
  array.bytes.resize(count * sizeof(float));
  constexpr size_t chunk = 8192;
  std::vector<uint8_t> raw(std::min(chunk, count) * stored.bytes);
  for (size_t done = 0; done < count;) {
    size_t now = std::min(chunk, count - done);
    if (Error error = reader.read(raw.data(), now * stored.bytes, "data"))
      return error;
    stored.toFloats(raw.data(), array.floats() + done, now);
    if (Error error = checkFinite(reader, array, done, now))
      return error;
    done += now;
  }
  return reader.expectEnd();
}

// ---- idx --------------------------------------------------------------------

static constexpr uint8_t idxBytes = 0x08;
static constexpr int mostIdxRank = 8;

/// `magic`, already read: 0, 0, type, rank.
static Error readIdx(ByteReader &reader, const uint8_t magic[4], Array &array) {
  if (magic[2] != idxBytes)
    return wrongInput("%s: expected an idx file of bytes (type 0x08), got type "
                      "0x%02x",
                      reader.name().c_str(), magic[2]);
  int rank = magic[3];
  if (rank < 1 || rank > mostIdxRank)
    return wrongInput("%s: expected 1 to %d dimensions, got %d",
                      reader.name().c_str(), mostIdxRank, rank);
  array.shape.clear();
  for (int i = 0; i < rank; ++i) {
    uint8_t size[4];
    if (Error error = reader.read(size, sizeof size, "the idx header"))
      return error;
    array.shape.push_back(int64_t{size[0]} << 24 | size[1] << 16 |
                          size[2] << 8 | size[3]);
  }
  return readData(reader, byteType, array);
}

// ---- npy --------------------------------------------------------------------

static constexpr size_t mostNpyHeader = 1 << 16;

namespace {

/// The header is a Python dictionary, as in
/// {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }
struct NpyHeader {
  std::string text;

  /// What follows `'key':`; npos when the key is missing.
  size_t find(const char *key) const {
    size_t at = text.find(std::string("'") + key + "'");
    at = at == std::string::npos ? at : text.find(':', at);
    return at == std::string::npos ? at : text.find_first_not_of(" :", at);
  }
};

} // namespace

static Error parseNpyType(const ByteReader &reader, const NpyHeader &header,
                          const StoredType *&stored) {
  size_t at = header.find("descr");
  bool quoted = at != std::string::npos && header.text[at] == '\'';
  size_t end = quoted ? header.text.find('\'', at + 1) : std::string::npos;
  if (end == std::string::npos)
    return wrongInput("%s: expected a plain type under 'descr' in the npy "
                      "header",
                      reader.name().c_str());
  std::string name = header.text.substr(at + 1, end - at - 1);
  for (const StoredType &type : storedTypes) {
    if (name == type.name) {
      stored = &type;
      return {};
    }
  }
  return wrongInput("%s: expected the type b1, u1, i1, i2, i4, i8, f4 or f8, "
                    "little-endian, got '%s'",
                    reader.name().c_str(), name.c_str());
}

static Error parseNpyShape(const ByteReader &reader, const NpyHeader &header,
                           Shape &shape) {
  size_t at = header.find("shape");
  bool good = at != std::string::npos && header.text[at] == '(';
  const char *next = good ? header.text.c_str() + at + 1 : "";
  shape.clear();
  while (good && *next != ')') {
    char *end;
    long long size = std::strtoll(next, &end, 10);
    good = end != next && size >= 0 && size <= INT32_MAX * 256ll;
    shape.push_back(size);
    next = end + std::strspn(end, ", L");
  }
  if (!good || shape.size() > 8)
    return wrongInput("%s: expected a shape in the npy header, got %s",
                      reader.name().c_str(), header.text.c_str());
  if (shape.empty())
    return wrongInput("%s: expected records, got a single number",
                      reader.name().c_str());
  return {};
}

/// `magic`, already read: the first four bytes of "\x93NUMPY".
static Error readNpy(ByteReader &reader, Array &array) {
  uint8_t rest[4]; // "PY", version
  if (Error error = reader.read(rest, sizeof rest, "the npy header"))
    return error;
  if (rest[0] != 'P' || rest[1] != 'Y' || rest[2] < 1 || rest[2] > 3)
    return wrongInput("%s: expected npy version 1, 2 or 3, got %d",
                      reader.name().c_str(), rest[2]);
  uint8_t length[4] = {};
  if (Error error = reader.read(length, rest[2] == 1 ? 2 : 4, "the npy header"))
    return error;
  size_t bytes = length[0] | length[1] << 8 | length[2] << 16 |
                 static_cast<size_t>(length[3]) << 24;
  if (bytes > mostNpyHeader)
    return wrongInput("%s: expected an npy header of at most %zu bytes, got "
                      "%zu",
                      reader.name().c_str(), mostNpyHeader, bytes);
  NpyHeader header{std::string(bytes, '\0')};
  if (Error error = reader.read(header.text.data(), bytes, "the npy header"))
    return error;
  const StoredType *stored = nullptr;
  if (Error error = parseNpyType(reader, header, stored))
    return error;
  size_t order = header.find("fortran_order");
  if (order == std::string::npos || header.text.compare(order, 5, "False") != 0)
    return wrongInput("%s: expected C order, got Fortran order; save "
                      "numpy.ascontiguousarray(x)",
                      reader.name().c_str());
  if (Error error = parseNpyShape(reader, header, array.shape))
    return error;
  return readData(reader, *stored, array);
}

std::string npyHeader(const Shape &shape, const char *type) {
  std::string dictionary = std::string("{'descr': '") + type +
                           "', 'fortran_order': False, 'shape': (";
  for (int64_t size : shape)
    dictionary += std::to_string(size) + ", ";
  dictionary += "), }";
  const size_t preamble = 10;
  dictionary.resize(
      (dictionary.size() + 1 + preamble + 63) / 64 * 64 - preamble, ' ');
  dictionary.back() = '\n';
  std::string header = "\x93NUMPY";
  header += '\x01';
  header += '\0';
  header += static_cast<char>(dictionary.size() & 0xff);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

static Error readAnyArray(ByteReader &reader, Array &array) {
  uint8_t magic[4];
  if (Error error = reader.read(magic, sizeof magic, "an idx or npy header"))
    return error;
  if (std::memcmp(magic, "\x93NUM", 4) == 0)
    return readNpy(reader, array);
  if (magic[0] == 0 && magic[1] == 0)
    return readIdx(reader, magic, array);
  if (magic[0] == 0xff && magic[1] == 0xd8)
    return wrongInput("%s: expected an idx or npy file, or a PNG, PPM or PGM "
                      "picture, got JPEG; convert it: mogrify -format png FILE "
                      "(ImageMagick)",
                      reader.name().c_str());
  return wrongInput("%s: expected an idx or npy file, got the first bytes %02x "
                    "%02x %02x %02x",
                    reader.name().c_str(), magic[0], magic[1], magic[2],
                    magic[3]);
}

Error readArray(const std::string &path, Array &array) {
  ByteReader reader;
  if (Error error = reader.open(path))
    return error;
  return readAnyArray(reader, array);
}

// ---- npz --------------------------------------------------------------------

Error readNpz(const std::string &path, const std::string &name, Array &array) {
  ZipMember member;
  if (Error error = findZipMember(path, name + ".npy", member))
    return error;
  ByteReader reader;
  if (Error error = reader.open(path, member))
    return error;
  return readAnyArray(reader, array);
}

Error readNpzOrOnly(const std::string &path, const std::string &name,
                    Array &array) {
  std::vector<std::string> members;
  if (Error error = listZipMembers(path, members))
    return error;
  const std::string ending = ".npy";
  const bool isOnly = members.size() == 1 &&
                      members[0].size() > ending.size() &&
                      members[0].compare(members[0].size() - ending.size(),
                                         ending.size(), ending) == 0;
  if (isOnly)
    return readNpz(
        path, members[0].substr(0, members[0].size() - ending.size()), array);
  return readNpz(path, name, array);
}

} // namespace sinter::trainer
