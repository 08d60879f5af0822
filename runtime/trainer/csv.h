// csv.h - read numbers from a table of text, plain or gzipped.
//
// One record a line, LF or CRLF; fields may be quoted ("" is a quote inside,
// line ends inside count). A first line without any number or empty field is
// a header and names the columns; one with some numbers is a record with a
// mistake. The label columns, by name or by position, go
// into one array, all others into another. With the separator ' ', any run of
// spaces separates.
//
// Known weakness: every field below the header has to be a number, but those of
// a label column that is asked for as text.
#ifndef SINTER_TRAINER_CSV_H
#define SINTER_TRAINER_CSV_H

#include "runtime/trainer/array.h"
#include "runtime/trainer/error.h"

namespace sinter::trainer {

struct CsvFormat {
  /// Column names, or positions from 0 (negative: from the end).
  std::vector<std::string> labels;
  int64_t skipRows = 0;
  char separator = ',';
};

/// `labels` stays empty when the format names none. With `texts`, the fields of
/// the only label column go there as they are.
Error readCsv(const std::string &path, const CsvFormat &format, Array &inputs,
              Array &labels, std::vector<std::string> *texts = nullptr);

} // namespace sinter::trainer

#endif
