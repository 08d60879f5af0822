// zip_directory.cpp - end record, directory, member; see zip_directory.h.
#include "runtime/trainer/zip_directory.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace sinter::trainer {

namespace {

// Sizes without the names and comments that follow.
constexpr size_t endRecordBytes = 22, entryBytes = 46, memberHeaderBytes = 30;
constexpr size_t mostCommentBytes = 0xffff;
constexpr uint16_t methodStored = 0, methodDeflated = 8, flagEncrypted = 1;
constexpr uint32_t inZip64 = 0xffffffff;

uint32_t little(const uint8_t *bytes, int count) {
  uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i)
    value = value << 8 | bytes[i];
  return value;
}

bool hasSignature(const uint8_t *bytes, char third, char fourth) {
  const char signature[] = {'P', 'K', third, fourth};
  return std::memcmp(bytes, signature, sizeof signature) == 0;
}

class Archive {
public:
  explicit Archive(const std::string &path)
      : path(path), file(std::fopen(path.c_str(), "rbe"), closeFile) {}

  /// Goes through the directory until `visit(entry, name)` is true.
  template <typename Visit> Error walk(Visit visit);
  Error find(const std::string &name, ZipMember &member);

private:
  static void closeFile(std::FILE *file) {
    if (file)
      std::fclose(file);
  }

  Error readAt(uint64_t offset, size_t bytes);
  Error readDirectory(uint32_t &entries);
  Error describe(const uint8_t *entry, ZipMember &member);

  const std::string path;
  std::unique_ptr<std::FILE, void (*)(std::FILE *)> file;
  uint64_t fileBytes = 0;
  std::vector<uint8_t> data; // what readAt or readDirectory has read
};

} // namespace

Error Archive::readAt(uint64_t offset, size_t bytes) {
  if (offset > fileBytes || bytes > fileBytes - offset)
    return wrongInput("%s: corrupt zip archive: expected %zu bytes at byte "
                      "%llu, got a file of %llu bytes",
                      path.c_str(), bytes,
                      static_cast<unsigned long long>(offset),
                      static_cast<unsigned long long>(fileBytes));
  data.resize(bytes);
  if (fseeko(file.get(), static_cast<off_t>(offset), SEEK_SET) != 0 ||
      std::fread(data.data(), 1, bytes, file.get()) != bytes)
    return runFailed("%s: cannot read: %s", path.c_str(), strerror(errno));
  return {};
}

/// The end record is the last thing in the file but for a comment.
Error Archive::readDirectory(uint32_t &entries) {
  if (!file || fseeko(file.get(), 0, SEEK_END) != 0)
    return wrongInput("%s: cannot open: %s", path.c_str(), strerror(errno));
  fileBytes = static_cast<uint64_t>(std::max<off_t>(ftello(file.get()), 0));
  size_t tail =
      std::min<uint64_t>(fileBytes, endRecordBytes + mostCommentBytes);
  if (Error error = readAt(fileBytes - tail, tail))
    return error;
  for (size_t at = tail - std::min(tail, endRecordBytes) + 1; at-- > 0;) {
    const uint8_t *record = data.data() + at;
    if (tail - at < endRecordBytes || !hasSignature(record, 5, 6) ||
        at + endRecordBytes + little(record + 20, 2) != tail)
      continue;
    entries = little(record + 10, 2);
    uint32_t bytes = little(record + 12, 4), offset = little(record + 16, 4);
    if (offset == inZip64 || entries == 0xffff)
      return wrongInput("%s: expected an archive below 4 GiB, got zip64",
                        path.c_str());
    return readAt(offset, bytes);
  }
  return wrongInput("%s: expected an npz file, got no zip directory at its end",
                    path.c_str());
}

Error Archive::describe(const uint8_t *entry, ZipMember &member) {
  uint32_t flags = little(entry + 8, 2), method = little(entry + 10, 2);
  member.crc = little(entry + 16, 4);
  member.storedBytes = little(entry + 20, 4);
  member.bytes = little(entry + 24, 4);
  uint64_t header = little(entry + 42, 4);
  if (member.storedBytes == inZip64 || member.bytes == inZip64 ||
      header == inZip64)
    return wrongInput("%s: %s: expected a member below 4 GiB, got zip64",
                      path.c_str(), member.name.c_str());
  if ((method != methodStored && method != methodDeflated) ||
      (flags & flagEncrypted))
    return wrongInput("%s: %s: expected a stored or deflated member, got "
                      "method %u%s",
                      path.c_str(), member.name.c_str(), method,
                      flags & flagEncrypted ? ", encrypted" : "");
  member.deflated = method == methodDeflated;
  if (Error error = readAt(header, memberHeaderBytes))
    return error;
  if (!hasSignature(data.data(), 3, 4))
    return wrongInput("%s: %s: corrupt zip archive: expected a member at byte "
                      "%llu",
                      path.c_str(), member.name.c_str(),
                      static_cast<unsigned long long>(header));
  member.offset = header + memberHeaderBytes + little(data.data() + 26, 2) +
                  little(data.data() + 28, 2);
  return {};
}

template <typename Visit> Error Archive::walk(Visit visit) {
  uint32_t entries = 0;
  if (Error error = readDirectory(entries))
    return error;
  size_t at = 0;
  for (uint32_t i = 0; i < entries; ++i) {
    const uint8_t *entry = data.data() + at;
    size_t left = data.size() - at;
    size_t nameBytes = left < entryBytes ? 0 : little(entry + 28, 2);
    if (left < entryBytes + nameBytes || !hasSignature(entry, 1, 2))
      return wrongInput("%s: corrupt zip archive: expected %u entries in its "
                        "directory, got %u",
                        path.c_str(), entries, i);
    if (visit(entry,
              std::string(reinterpret_cast<const char *>(entry) + entryBytes,
                          nameBytes)))
      return {};
    at +=
        std::min<size_t>(left, entryBytes + nameBytes + little(entry + 30, 2) +
                                   little(entry + 32, 2));
  }
  return {};
}

Error Archive::find(const std::string &name, ZipMember &member) {
  std::string names;
  const uint8_t *found = nullptr;
  if (Error error = walk([&](const uint8_t *entry, std::string entryName) {
        names += (names.empty() ? "" : ", ") + entryName;
        found = entryName == name ? entry : nullptr;
        member.name = std::move(entryName);
        return found != nullptr;
      }))
    return error;
  if (found)
    return describe(found, member);
  return wrongInput("%s: expected a member '%s', got %s", path.c_str(),
                    name.c_str(), names.empty() ? "none" : names.c_str());
}

Error findZipMember(const std::string &path, const std::string &name,
                    ZipMember &member) {
  return Archive(path).find(name, member);
}

Error listZipMembers(const std::string &path, std::vector<std::string> &names) {
  return Archive(path).walk([&](const uint8_t *, std::string name) {
    names.push_back(std::move(name));
    return false;
  });
}

} // namespace sinter::trainer
