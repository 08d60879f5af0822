// ZipFile.cpp - archives by libzip.
//
// An entry may claim any size, and compressed zeros may become any size: what
// comes out is counted while it is read, and stops at 32 MiB plus 16 times the
// archive. Entries with equal names are refused: which one is meant?
#include "frontend/ZipFile.h"

#include "llvm/Support/FileSystem.h"

#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

using namespace sinter::frontend;

TemporaryFile::TemporaryFile() {
  llvm::SmallString<128> path;
  if (llvm::sys::fs::createTemporaryFile("sinter", "", fd, path))
    fd = -1;
  name = path.str().str();
}

TemporaryFile::~TemporaryFile() {
  if (fd < 0)
    return;
  close(fd);
  unlink(name.c_str());
}

bool TemporaryFile::append(const void *data, size_t size) {
  const auto *bytes = static_cast<const char *>(data);
  while (size > 0) {
    ssize_t count = write(fd, bytes, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return false;
    bytes += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

static std::string zipError(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

/// Whether the file begins as an archive does. Then what is missing is its end.
static bool beginsAsZip(const std::string &path) {
  char magic[4] = {};
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const bool isRead = fd >= 0 && read(fd, magic, sizeof magic) == sizeof magic;
  if (fd >= 0)
    close(fd);
  return isRead && std::memcmp(magic, "PK\3\4", sizeof magic) == 0;
}

ZipFile::ZipFile(const std::string &path) {
  int code = 0;
  archive = zip_open(path.c_str(), ZIP_RDONLY, &code);
  struct stat status = {};
  stat(path.c_str(), &status);
  if (!archive && code == ZIP_ER_NOZIP && beginsAsZip(path)) {
    wrong = "truncated or damaged: expected a zip archive with its directory "
            "at the end, found a file of " +
            std::to_string(status.st_size) + " bytes without one";
    return;
  }
  if (!archive) {
    wrong = "not a readable zip archive (" + zipError(code) + ")";
    return;
  }
  most = std::min<uint64_t>(
      (32u << 20) + 16 * static_cast<uint64_t>(status.st_size), 16ull << 30);
  std::set<std::string> names;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
    const char *name =
        zip_get_name(archive, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    if (name && !names.insert(name).second)
      wrong = std::string("entry '") + name + "' is there twice";
  }
}

ZipFile::~ZipFile() {
  if (archive)
    zip_discard(archive);
}

bool ZipFile::has(const std::string &name) const {
  return zip_name_locate(archive, name.c_str(), ZIP_FL_ENC_RAW) >= 0;
}

template <typename Sink>
bool ZipFile::readInto(const std::string &name, Sink sink) {
  const std::string what = "entry '" + name + "'";
  if (!has(name)) {
    wrong = what + " is missing";
    return false;
  }
  zip_file_t *file = zip_fopen(archive, name.c_str(), ZIP_FL_ENC_RAW);
  if (!file) {
    wrong = what + " cannot be read: " + zip_strerror(archive);
    return false;
  }
  std::vector<char> buffer(1 << 16);
  uint64_t total = 0;
  zip_int64_t count = 0;
  while (wrong.empty() &&
         (count = zip_fread(file, buffer.data(), buffer.size())) > 0) {
    total += static_cast<uint64_t>(count);
    if (total > most)
      wrong = what + " holds far more than an archive of this size should";
    else if (!sink(buffer.data(), static_cast<size_t>(count)))
      wrong = what + " cannot be unpacked: no room for a temporary file";
  }
  if (wrong.empty() && count < 0)
    wrong = what + " is damaged (" + zip_file_strerror(file) + ")";
  zip_fclose(file);
  return wrong.empty();
}

bool ZipFile::read(const std::string &name, std::string &bytes) {
  bytes.clear();
  return readInto(name, [&](const char *data, size_t size) {
    bytes.append(data, size);
    return true;
  });
}

bool ZipFile::read(const std::string &name, TemporaryFile &file) {
  return readInto(name, [&](const char *data, size_t size) {
    return file.append(data, size);
  });
}

std::string sinter::frontend::writeZip(const std::string &path,
                                       const std::vector<ZipEntry> &entries) {
  int code = 0;
  zip *archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!archive)
    return zipError(code);
  std::string wrong;
  for (const ZipEntry &entry : entries) {
    zip_source_t *source = zip_source_buffer(archive, entry.bytes.data(),
                                             entry.bytes.size(), /*freep=*/0);
    zip_int64_t index =
        zip_file_add(archive, entry.name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      wrong = zip_strerror(archive);
      zip_source_free(source);
      break;
    }
    const auto place = static_cast<zip_uint64_t>(index);
    zip_set_file_compression(archive, place, ZIP_CM_STORE, 0);
    // The same model, the same bytes: 1980 is where zip's calendar begins.
    zip_file_set_dostime(archive, place, 0, (1 << 5) | 1, 0);
  }
  if (wrong.empty() && zip_close(archive) == 0)
    return "";
  if (wrong.empty())
    wrong = zip_strerror(archive);
  zip_discard(archive);
  return wrong;
}
