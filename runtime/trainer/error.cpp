// error.cpp - formatted messages; see error.h.
#include "runtime/trainer/error.h"

#include <cstdarg>
#include <cstdio>

namespace sinter::trainer {

static std::string formatList(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  std::string text(length > 0 ? static_cast<size_t>(length) : 0, '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  return text;
}

std::string format(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = formatList(format, arguments);
  va_end(arguments);
  return text;
}

Error wrongInput(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Error error{Status::WrongInput, formatList(format, arguments)};
  va_end(arguments);
  return error;
}

Error wrongUsage(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Error error{Status::WrongUsage, formatList(format, arguments)};
  va_end(arguments);
  return error;
}

Error runFailed(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Error error{Status::RunFailed, formatList(format, arguments)};
  va_end(arguments);
  return error;
}

} // namespace sinter::trainer
