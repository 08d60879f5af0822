// log_file.cpp - see log_file.h.
#include "runtime/trainer/log_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sinter::trainer {

LogFile::~LogFile() {
  if (isOpen())
    close(descriptor);
}

Error LogFile::cannotWrite() const {
  return runFailed("%s: cannot write: %s", path.c_str(), strerror(errno));
}

Error LogFile::open(const std::string &path, bool append) {
  this->path = path;
  descriptor =
      ::open(path.c_str(),
             O_WRONLY | O_CREAT | O_CLOEXEC | (append ? 0 : O_TRUNC), 0666);
  if (!isOpen())
    return cannotWrite();
  const off_t end = lseek(descriptor, 0, SEEK_END);
  size = end > 0 ? end : 0; // a pipe has no end
  return {};
}

Error LogFile::reopen() {
  const int64_t known = size;
  struct stat status;
  if (stat(path.c_str(), &status) != 0 || status.st_size < known) {
    size = 0;
    return {};
  }
  if (Error error = open(path, /*append=*/true))
    return error;
  size = known;
  if (S_ISREG(status.st_mode) && (ftruncate(descriptor, size) != 0 ||
                                  lseek(descriptor, size, SEEK_SET) < 0))
    return cannotWrite();
  return {};
}

Error LogFile::append(const std::string &bytes) {
  for (size_t done = 0; done < bytes.size();) {
    ssize_t now = write(descriptor, bytes.data() + done, bytes.size() - done);
    if (now < 0 && errno == EINTR)
      continue;
    if (now <= 0)
      return cannotWrite();
    done += static_cast<size_t>(now);
  }
  size += static_cast<int64_t>(bytes.size());
  return {};
}

void LogFile::save(Notes &notes, const std::string &key) const {
  notes.put(key + "path", path);
  notes.put(key + "size", size);
}

bool LogFile::load(const Notes &notes, const std::string &key) {
  return notes.get(key + "path", path) && notes.get(key + "size", size) &&
         size >= 0;
}

std::string folderOf(const std::string &path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? "" : path.substr(0, slash);
}

Error makeFolders(const std::string &path) {
  for (size_t end = 1; end <= path.size(); ++end) {
    if (end < path.size() && path[end] != '/')
      continue;
    const std::string folder = path.substr(0, end);
    struct stat status;
    if (stat(folder.c_str(), &status) == 0) {
      if (!S_ISDIR(status.st_mode))
        return runFailed("%s: expected a folder", folder.c_str());
    } else if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
      return runFailed("%s: cannot make the folder: %s", folder.c_str(),
                       strerror(errno));
    }
  }
  return {};
}

} // namespace sinter::trainer
