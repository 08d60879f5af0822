// checkpoint.cpp - see checkpoint.h.
#include "runtime/trainer/checkpoint.h"

#include "runtime/trainer/log_file.h"

#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <zlib.h>

namespace sinter::trainer {

static constexpr const char *fileName = "checkpoint.safetensors";

Checkpoint::~Checkpoint() {
  if (isOpen())
    close(lock);
}

Error Checkpoint::open(const std::string &folder) {
  if (Error error = makeFolders(folder))
    return error;
  lock = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!isOpen())
    return runFailed("%s: cannot open: %s", folder.c_str(), strerror(errno));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return runFailed("%s: expected a folder that no other run uses, got one "
                     "that a running training has locked",
                     folder.c_str());
  if (access(folder.c_str(), W_OK) != 0)
    return runFailed("%s: cannot write: %s", folder.c_str(), strerror(errno));
  file = folder + "/" + fileName;
  removeLeftovers(folder);
  return {};
}

/// Temporary files of output_file.c. Nobody else writes here: we have the lock.
void Checkpoint::removeLeftovers(const std::string &folder) const {
  const std::string prefix = std::string(fileName) + ".tmp";
  DIR *entries = opendir(folder.c_str());
  if (!entries)
    return;
  while (const dirent *entry = readdir(entries))
    if (std::strncmp(entry->d_name, prefix.c_str(), prefix.size()) == 0)
      unlink((folder + "/" + entry->d_name).c_str());
  closedir(entries);
}

bool Checkpoint::exists() const { return access(file.c_str(), F_OK) == 0; }

static const char checksumKey[] = "checksum";

static int64_t checksum(const Notes &notes,
                        const std::vector<sinter_tensor> &tensors) {
  uint32_t sum = notes.checksum(checksumKey);
  for (const sinter_tensor &tensor : tensors)
    sum = static_cast<uint32_t>(crc32_z(sum,
                                        static_cast<const Bytef *>(tensor.data),
                                        static_cast<size_t>(tensor.bytes)));
  return sum;
}

Error Checkpoint::write(Notes notes,
                        const std::vector<sinter_tensor> &tensors) const {
  notes.put(checksumKey, checksum(notes, tensors));
  const std::vector<sinter_metadata> metadata = notes.metadata();
  char message[4096];
  sinter_status status = sinter_write_tensors(
      file.c_str(), tensors.data(), static_cast<int64_t>(tensors.size()),
      metadata.data(), static_cast<int64_t>(metadata.size()), message,
      sizeof message);
  return status == SINTER_OK ? Error{} : Error{Status(status), message};
}

Error Checkpoint::readTensors(const char *model, const Notes &notes,
                              const std::vector<sinter_tensor> &tensors) const {
  char message[4096];
  sinter_status status = sinter_read_tensors(
      file.c_str(), model, tensors.data(), static_cast<int64_t>(tensors.size()),
      message, sizeof message);
  if (status != SINTER_OK)
    return Error{Status(status), message};
  int64_t written = -1;
  if (!notes.get(checksumKey, written) || written != checksum(notes, tensors))
    return wrongInput(
        "%s: expected the checksum of what it holds, got another: "
        "the file is damaged",
        file.c_str());
  return {};
}

} // namespace sinter::trainer
