// output.h - results to files; the C++ face of runtime/output_file.h.
#ifndef SINTER_TRAINER_OUTPUT_H
#define SINTER_TRAINER_OUTPUT_H

#include "runtime/output_file.h"
#include "runtime/trainer/error.h"

namespace sinter::trainer {

/// A file that appears under its name when it is committed, and not before.
class Output {
public:
  Output() = default;
  ~Output();
  Output(const Output &) = delete;
  Output &operator=(const Output &) = delete;

  Error open(const std::string &path);
  /// A failure is kept for the commit.
  void write(const void *data, size_t bytes);
  void write(const std::string &text) { write(text.data(), text.size()); }
  Error commit();

private:
  std::string path;
  sinter_output_file file = {};
  bool isOpen = false;
};

/// Replaces the file `path` by `text` in one step.
Error writeText(const std::string &path, const std::string &text);

/// Finds out before the work what would spoil its end.
Error checkWritable(const std::string &path);

} // namespace sinter::trainer

#endif
