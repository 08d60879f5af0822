// support.h - files to feed the trainer with, and a trainer to run in a child
// process.
#ifndef SINTER_TESTS_RUNTIME_SUPPORT_H
#define SINTER_TESTS_RUNTIME_SUPPORT_H

#include "runtime/sinter_runtime.h"
#include "runtime/trainer/error.h"

#include <functional>
#include <string>
#include <vector>

namespace sinter::trainer::tests {

/// A directory that disappears with its files.
class TemporaryDirectory {
public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory &) = delete;

  std::string path(const std::string &name) const { return root + "/" + name; }
  /// Writes a file and returns its path.
  std::string write(const std::string &name, const std::string &bytes) const;
  const std::string &name() const { return root; }

private:
  std::string root;
};

std::string readFile(const std::string &path);
bool fileExists(const std::string &path);

std::string gzip(const std::string &bytes);

struct ZipContent {
  std::string name, bytes;
  bool deflated = false;
};
std::string zip(const std::vector<ZipContent> &members);

/// `sizes` big-endian behind the magic number for bytes.
std::string idx(const std::vector<uint32_t> &sizes, const std::string &bytes);

std::string npy(const std::string &type, const std::string &shape,
                const std::string &bytes, const std::string &order = "False");

/// The bytes of numbers, as they lie in memory.
template <typename T> std::string raw(const std::vector<T> &values) {
  return {reinterpret_cast<const char *>(values.data()),
          values.size() * sizeof(T)};
}

/// What a program left behind.
struct Outcome {
  int status = -1;
  std::string out, err;
};
/// Runs `program` in a child process, whose exit status it returns.
Outcome runInChild(const std::function<int()> &program);
Outcome runProgram(const sinter_model &model,
                   const std::vector<std::string> &arguments);

} // namespace sinter::trainer::tests

#endif
