// Diagnostics.h - everything that is wrong with one file, told in one go.
//
// Problem: a user who fixes a spec wants all of its errors at once, in the
// order of the file, each at the place where the fix goes.
// Idea: readers and builders only report; nothing is printed and nothing is
// thrown until print() sorts the reports by position and shows each with its
// source line and a caret, as a C++ compiler does.
//
//   model.yaml:5:13: error: dense has no argument 'unit'; did you mean 'units'?
//     - dense: {unit: 100}
//               ^
//
// Known weakness: a message points at one place; there are no fix-it ranges.
#ifndef SINTER_FRONTEND_DIAGNOSTICS_H
#define SINTER_FRONTEND_DIAGNOSTICS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <string>
#include <vector>

namespace sinter::frontend {

/// A place in a text file, counted from 1. Line 0 means "the file as a whole",
/// which is also what a model built in C++ has.
struct SourceLoc {
  uint32_t line = 0;
  uint32_t column = 0;

  explicit operator bool() const { return line != 0; }
  friend auto operator<=>(const SourceLoc &, const SourceLoc &) = default;
};

class Diagnostics {
public:
  /// `text` is the file's content, for the source lines under the messages.
  explicit Diagnostics(std::string file, std::string text = "")
      : file(std::move(file)), text(std::move(text)) {}

  void error(SourceLoc loc, std::string message);
  void warning(SourceLoc loc, std::string message);

  /// Takes over all reports of `other`, which is about something in this file,
  /// with `prefix` before each message. Those without a place get `loc`.
  void absorb(const Diagnostics &other, llvm::StringRef prefix,
              SourceLoc loc = {});

  bool hasErrors() const { return numErrors != 0; }
  size_t errorCount() const { return numErrors; }
  llvm::StringRef fileName() const { return file; }

  /// Prints all reports, sorted by position. Prints at most `maxReports`.
  void print(llvm::raw_ostream &os, size_t maxReports = 100) const;

private:
  enum class Severity { Error, Warning };
  struct Report {
    SourceLoc loc;
    Severity severity;
    std::string message;
  };
  void add(SourceLoc loc, Severity severity, std::string message);
  void printSourceLine(llvm::raw_ostream &os, SourceLoc loc) const;

  std::string file, text;
  std::vector<Report> reports;
  size_t numErrors = 0;
};

/// "; did you mean 'relu'?" for the candidate nearest to `name`, or "" when
/// none is near. Case, '_' and '-' do not count as differences.
std::string didYouMean(llvm::StringRef name,
                       llvm::ArrayRef<llvm::StringRef> candidates);

/// "a, b, c", for messages.
std::string joinNames(llvm::ArrayRef<llvm::StringRef> names);

/// Text from a file, made fit for a message: control characters become '?',
/// and text longer than a line is cut.
std::string printable(llvm::StringRef text);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_DIAGNOSTICS_H
