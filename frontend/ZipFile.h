// ZipFile.h - the entries of a zip archive, within bounds; and a new archive.
#ifndef SINTER_FRONTEND_ZIPFILE_H
#define SINTER_FRONTEND_ZIPFILE_H

#include <cstdint>
#include <string>
#include <vector>

struct zip;

namespace sinter::frontend {

/// A file in the folder for temporary ones, removed at the end. It needs its
/// name: libhdf5 looks up the name behind a descriptor.
class TemporaryFile {
public:
  TemporaryFile();
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile &) = delete;
  TemporaryFile &operator=(const TemporaryFile &) = delete;

  int descriptor() const { return fd; } // -1: there is none
  bool append(const void *data, size_t size);

private:
  std::string name;
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
