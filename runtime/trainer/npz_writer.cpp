// npz_writer.cpp - members, directory, end record; see npz_writer.h.
#include "runtime/trainer/npz_writer.h"

#include "runtime/trainer/array_files.h"

#include <zlib.h>

namespace sinter::trainer {

namespace {

void append(std::string &bytes, uint64_t value, int count) {
  for (int i = 0; i < count; ++i)
    bytes += static_cast<char>(value >> (8 * i) & 0xff);
}

/// What a member's header and its entry in the directory share.
std::string describe(uint32_t crc, uint64_t bytes, size_t nameBytes) {
  std::string text;
  append(text, 20, 2);         // version 2.0 reads it
  append(text, 0, 2);          // no flags
  append(text, 0, 2);          // stored
  append(text, 0, 2);          // midnight ...
  append(text, 1 << 5 | 1, 2); // ... on the first of January 1980
  append(text, crc, 4);
  append(text, bytes, 4);
  append(text, bytes, 4);
  append(text, nameBytes, 2);
  append(text, 0, 2); // nothing extra
  return text;
}

} // namespace

Error checkNpzSize(const std::string &path,
                   const std::vector<NamedArray> &arrays) {
  double bytes = 0;
  for (const NamedArray &array : arrays)
    bytes += 4.0 * static_cast<double>(shapeElements(array.shape)) + 1024;
  if (bytes < 4294967295.0)
    return {};
  return wrongInput("%s: expected arrays of less than 4 GiB for an npz file, "
                    "got %.0f bytes; predict the samples in parts",
                    path.c_str(), bytes);
}

void writeNpz(Output &output, const std::vector<NamedArray> &arrays) {
  std::string directory;
  uint64_t offset = 0;
  for (const NamedArray &array : arrays) {
    const std::string name = array.name + ".npy";
    const std::string header = npyHeader(array.shape);
    const size_t bytes = array.values.size() * sizeof(float);
    uLong crc = crc32_z(0, reinterpret_cast<const Bytef *>(header.data()),
                        header.size());
    crc = crc32_z(crc, reinterpret_cast<const Bytef *>(array.values.data()),
                  bytes);
    const std::string described = describe(static_cast<uint32_t>(crc),
                                           header.size() + bytes, name.size());
    const std::string member = std::string("PK\x03\x04", 4) + described + name;
    output.write(member);
    output.write(header);
    output.write(array.values.data(), bytes);

    directory += std::string("PK\x01\x02", 4);
    append(directory, 20, 2); // made by version 2.0
    directory += described;
    append(directory, 0, 2); // no comment
    append(directory, 0, 2); // first disk
    append(directory, 0, 2); // no attributes
    append(directory, 0, 4);
    append(directory, offset, 4);
    directory += name;
    offset += member.size() + header.size() + bytes;
  }
  output.write(directory);
  std::string end("PK\x05\x06", 4);
  append(end, 0, 4); // first disk
  append(end, arrays.size(), 2);
  append(end, arrays.size(), 2);
  append(end, directory.size(), 4);
  append(end, offset, 4);
  append(end, 0, 2); // no comment
  output.write(end);
}

} // namespace sinter::trainer
