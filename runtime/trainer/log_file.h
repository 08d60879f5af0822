// log_file.h - a file that grows by one piece an epoch.
//
// A checkpoint notes the file's name and size. A resumed run cuts it back to
// that size, so that an epoch which is computed again is not logged twice.
#ifndef SINTER_TRAINER_LOG_FILE_H
#define SINTER_TRAINER_LOG_FILE_H

#include "runtime/trainer/notes.h"

namespace sinter::trainer {

class LogFile {
public:
  LogFile() = default;
  ~LogFile();
  LogFile(const LogFile &) = delete;
  LogFile &operator=(const LogFile &) = delete;

  /// Starts `path` anew, or goes on behind what is in it.
  Error open(const std::string &path, bool append);
  /// Behind `load`: goes on where the checkpoint saw the end. Ok, and nothing
  /// opened, when the file has become shorter or is gone.
  Error reopen();
  bool isOpen() const { return descriptor >= 0; }
  bool isEmpty() const { return size == 0; }

  Error append(const std::string &bytes);

  void save(Notes &notes, const std::string &key) const;
  bool load(const Notes &notes, const std::string &key);

private:
  Error cannotWrite() const;

  std::string path;
  int descriptor = -1;
  int64_t size = 0; // as far as we wrote
};

/// "" for a file in the working directory.
std::string folderOf(const std::string &path);

/// Makes the folder `path` and those above it; nothing for "".
Error makeFolders(const std::string &path);

} // namespace sinter::trainer

#endif
