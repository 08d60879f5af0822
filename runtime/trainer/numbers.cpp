// numbers.cpp - text to numbers; see numbers.h.
#include "runtime/trainer/numbers.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace sinter::trainer {

static bool isDigit(char c) { return c >= '0' && c <= '9'; }

/// Most fields of a table of pixels: up to seven digits, exact in a double.
static bool parseShortNatural(const char *text, double &value) {
  int natural = 0, digits = 0;
  for (; isDigit(text[digits]) && digits < 7; ++digits)
    natural = natural * 10 + (text[digits] - '0');
  value = natural;
  return digits > 0 && text[digits] == 0;
}

bool parseDouble(const char *text, double &value) {
  if (parseShortNatural(text, value))
    return true;
  if (std::strpbrk(text, "xX")) // strtod would take hexadecimal
    return false;
  char *end;
  value = std::strtod(text, &end);
  return end != text && end[std::strspn(end, " \t")] == 0;
}

bool parseInteger(const char *text, int64_t &value) {
  const char *digits = text[0] == '-' ? text + 1 : text;
  if (!isDigit(digits[0]))
    return false;
  char *end;
  errno = 0;
  value = std::strtoll(text, &end, 10);
  return errno == 0 && *end == 0;
}

} // namespace sinter::trainer
