// ZipFile.h - the entries of a zip archive, within bounds; and a new archive.
#ifndef SINTER_FRONTEND_ZIPFILE_H
#define SINTER_FRONTEND_ZIPFILE_H

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

struct zip;

namespace sinter::frontend {

/// A file that is gone with its descriptor.
class TemporaryFile {
public:
  TemporaryFile();
  TemporaryFile(TemporaryFile &&other) : fd(std::exchange(other.fd, -1)) {}
  ~TemporaryFile();
  int descriptor() const { return fd; } // -1: there is none
  std::string path() const;             // for this process and its children
  bool append(const void *data, size_t size);

private:
  int fd;
};

class ZipFile {
public:
  /// Opens an archive to read; error() says what was wrong.
  explicit ZipFile(const std::string &path);
  ~ZipFile();
  ZipFile(const ZipFile &) = delete;
  ZipFile &operator=(const ZipFile &) = delete;

  const std::string &error() const { return wrong; }
  bool has(const std::string &name) const;
  /// The bytes of an entry. False, with error() set, when there is none, it is
  /// damaged, or holds more than a file of the archive's size should.
  bool read(const std::string &name, std::string &bytes);
  bool read(const std::string &name, TemporaryFile &file);

private:
  template <typename Sink> bool readInto(const std::string &name, Sink sink);

  zip *archive = nullptr;
  uint64_t most = 0; // bytes of one entry
  std::string wrong;
};

struct ZipEntry {
  std::string name;
  std::string bytes;
};

/// Replaces the file `path` by an archive of `entries`, not compressed. What
/// was wrong, or "".
std::string writeZip(const std::string &path,
                     const std::vector<ZipEntry> &entries);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_ZIPFILE_H
