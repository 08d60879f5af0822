// numbers.h - text to numbers, all of the text or nothing.
#ifndef SINTER_TRAINER_NUMBERS_H
#define SINTER_TRAINER_NUMBERS_H

#include <cstdint>

namespace sinter::trainer {

/// Decimal, spaces around it allowed. False when `text` is anything else.
bool parseDouble(const char *text, double &value);

/// Decimal digits with an optional minus, and nothing else.
bool parseInteger(const char *text, int64_t &value);

} // namespace sinter::trainer

#endif
