// Diagnostics.cpp - collects reports; sorts, explains and prints them.
//
// The source line is shown through a window of 120 bytes around the caret, so
// that a hostile one-line file of a megabyte still gives a readable message.
// The caret counts code points, not bytes, and keeps the line's tabs, so that
// it stands under the right letter.
// Known weakness: wide (East Asian) characters count as one column.
#include "frontend/Diagnostics.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <algorithm>

using namespace sinter::frontend;
using llvm::StringRef;

void Diagnostics::error(SourceLoc loc, std::string message) {
  add(loc, Severity::Error, std::move(message));
}

void Diagnostics::warning(SourceLoc loc, std::string message) {
  add(loc, Severity::Warning, std::move(message));
}

void Diagnostics::add(SourceLoc loc, Severity severity, std::string message) {
  numErrors += severity == Severity::Error;
  reports.push_back({loc, severity, std::move(message)});
}

void Diagnostics::absorb(const Diagnostics &other, StringRef prefix,
                         SourceLoc loc) {
  for (const Report &report : other.reports)
    add(report.loc ? report.loc : loc, report.severity,
        prefix.str() + report.message);
}

void Diagnostics::print(llvm::raw_ostream &os, size_t maxReports) const {
  std::vector<Report> sorted = reports;
  std::stable_sort(
      sorted.begin(), sorted.end(),
      [](const Report &a, const Report &b) { return a.loc < b.loc; });
  // Two checks may find the same fault; the user needs it once.
  sorted.erase(std::unique(sorted.begin(), sorted.end(),
                           [](const Report &a, const Report &b) {
                             return a.loc == b.loc && a.message == b.message;
                           }),
               sorted.end());
  for (const Report &report : llvm::ArrayRef(sorted).take_front(maxReports)) {
    os << file << ':';
    if (report.loc)
      os << report.loc.line << ':' << report.loc.column << ':';
    os << (report.severity == Severity::Error ? " error: " : " warning: ")
       << report.message << '\n';
    if (report.loc)
      printSourceLine(os, report.loc);
  }
  if (sorted.size() > maxReports)
    os << file << ": " << sorted.size() - maxReports << " more not shown\n";
}

static bool isContinuationByte(char c) { return (c & 0xC0) == 0x80; }

void Diagnostics::printSourceLine(llvm::raw_ostream &os, SourceLoc loc) const {
  StringRef rest = text, line;
  for (uint32_t i = 0; i < loc.line; ++i)
    std::tie(line, rest) = rest.split('\n');
  line = line.rtrim('\r');
  size_t caret = loc.column - 1;
  if (line.trim().empty() || caret > line.size())
    return;
  const size_t window = 120;
  if (line.size() > window) {
    size_t begin = caret > window / 2 ? caret - window / 2 : 0;
    while (begin < caret && isContinuationByte(line[begin]))
      ++begin;
    line = line.substr(begin, window);
    caret -= begin;
  }
  auto shown = [](char c) { return llvm::isPrint(c) || (c & 0x80) ? c : ' '; };
  os << "  ";
  for (char c : line)
    os << (c == '\t' ? '\t' : shown(c));
  os << "\n  ";
  for (char c : line.take_front(caret))
    if (!isContinuationByte(c))
      os << (c == '\t' ? '\t' : ' ');
  os << "^\n";
}

/// The form in which `Conv2D`, `conv2d` and `conv_2d` are the same name.
static std::string squash(StringRef name) {
  std::string result;
  for (char c : name)
    if (c != '_' && c != '-' && c != ' ')
      result += llvm::toLower(c);
  return result;
}

std::string sinter::frontend::didYouMean(StringRef name,
                                         llvm::ArrayRef<StringRef> candidates) {
  const size_t longestName = 64; // edit distance costs the product of lengths
  if (name.empty() || name.size() > longestName)
    return "";
  std::string wanted = squash(name);
  // One wrong letter in three is still the same word; two swapped letters count
  // as two wrong ones.
  unsigned bestDistance = std::max<size_t>(1, (wanted.size() + 2) / 3) + 1;
  StringRef best;
  for (StringRef candidate : candidates) {
    unsigned distance = StringRef(wanted).edit_distance(
        squash(candidate), /*AllowReplacements=*/true, bestDistance);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best.empty() ? "" : ("; did you mean '" + best + "'?").str();
}

std::string sinter::frontend::joinNames(llvm::ArrayRef<StringRef> names) {
  return llvm::join(names, ", ");
}

std::string sinter::frontend::printable(StringRef text) {
  const size_t longest = 60;
  std::string result;
  for (char c : text.take_front(longest))
    result += llvm::isPrint(c) || (c & 0x80) ? c : '?';
  if (text.size() > longest) {
    while (!result.empty() && (result.back() & 0x80))
      result.pop_back(); // no half of a UTF-8 sequence
    result += "...";
  }
  return result;
}
