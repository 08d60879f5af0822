// LayerNamer.cpp - Keras's automatic layer names.
//
// Keras counts per class and does not look at names given by hand, so that
// `name: dense` beside an unnamed dense layer is an error there. Here the
// automatic name steps aside; models that Keras accepts get Keras's names.
#include "frontend/LayerNamer.h"

#include "llvm/ADT/StringExtras.h"

using namespace sinter::frontend;
using llvm::StringRef;

std::string LayerNamer::fresh(StringRef className) {
  std::string base = toSnakeCase(className);
  unsigned &count = counts[base];
  std::string name;
  do {
    name = count == 0 ? base : base + "_" + std::to_string(count);
    ++count;
  } while (!claim(name));
  return name;
}

std::string LayerNamer::again(StringRef name) {
  std::string candidate;
  for (unsigned i = 1; candidate.empty() || !claim(candidate); ++i)
    candidate = name.take_front(58).str() + "_" + std::to_string(i);
  return candidate;
}

std::string sinter::frontend::toSnakeCase(StringRef className) {
  // A '_' stands before a capital that starts a word: one followed by a small
  // letter (Re|Lu of ReLU has none after U), or following one (no digit:
  // Conv2D|Transpose).
  std::string result;
  for (size_t i = 0; i < className.size(); ++i) {
    bool startsWord =
        i > 0 && llvm::isUpper(className[i]) &&
        (llvm::isLower(className[i - 1]) ||
         (i + 1 < className.size() && llvm::isLower(className[i + 1])));
    if (startsWord)
      result += '_';
    result += llvm::toLower(className[i]);
  }
  return result;
}
