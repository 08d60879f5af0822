// error.h - how the trainer reports trouble, without exceptions.
//
// A function that can fail returns an Error; a default Error means success.
// The message is one line that names the place, what was expected and what was
// found; the status is the exit status of the program.
#ifndef SINTER_TRAINER_ERROR_H
#define SINTER_TRAINER_ERROR_H

#include "runtime/sinter_runtime.h"

#include <string>

namespace sinter::trainer {

enum class Status : int {
  Done = SINTER_OK,
  WrongInput = SINTER_WRONG_INPUT,
  WrongUsage = 2,
  RunFailed = SINTER_RUN_FAILED,
};

struct [[nodiscard]] Error {
  Status status = Status::Done;
  std::string message;

  explicit operator bool() const { return status != Status::Done; }
};

/// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string format(const char *format, ...);

[[gnu::format(printf, 1, 2)]] Error wrongInput(const char *format, ...);
[[gnu::format(printf, 1, 2)]] Error wrongUsage(const char *format, ...);
[[gnu::format(printf, 1, 2)]] Error runFailed(const char *format, ...);

} // namespace sinter::trainer

#endif
