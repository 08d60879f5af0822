// output.cpp - see output.h.
#include "runtime/trainer/output.h"

#include <cstring>

namespace sinter::trainer {

static Error cannotWrite(const std::string &path, int error) {
  return runFailed("%s: cannot write: %s", path.c_str(), strerror(error));
}

Output::~Output() {
  if (isOpen)
    sinter_output_discard(&file);
}

Error Output::open(const std::string &path) {
  this->path = path;
  if (int error = sinter_output_open(&file, this->path.c_str()))
    return cannotWrite(path, error);
  isOpen = true;
  return {};
}

void Output::write(const void *data, size_t bytes) {
  sinter_output_write(&file, data, bytes);
}

Error Output::commit() {
  isOpen = false;
  if (int error = sinter_output_commit(&file))
    return cannotWrite(path, error);
  return {};
}

Error writeText(const std::string &path, const std::string &text) {
  Output output;
  if (Error error = output.open(path))
    return error;
  output.write(text);
  return output.commit();
}

Error checkWritable(const std::string &path) {
  Output output;
  return output.open(path);
}

} // namespace sinter::trainer
