// Catalog.h - every name a spec may use: arguments, types, defaults, ranges.
//
// Problem: names, defaults and limits of layers, losses, optimizers and the
// rest are Keras 3's, and the reader, the C++ builder, did-you-mean and the
// documentation must all agree on them.
// Idea: they are data, one table for each kind, in Catalog.cpp and nowhere
// else. ConfigCheck.h checks a Config against its row; printCatalog() prints
// the tables as documentation.
//
//   row of Kind::Layer:
//     name "dropout", class "Dropout", arguments
//       {"rate", Type::Number, required, [0, 1), "fraction of inputs set to 0"}
//       ... and the arguments every layer has
//
// Known weakness: relations between arguments (`clipnorm` excludes `clipvalue`)
// are a function pointer in the row, invisible in the printed table.
#ifndef SINTER_FRONTEND_CATALOG_H
#define SINTER_FRONTEND_CATALOG_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <limits>
#include <string>
#include <vector>

namespace sinter::frontend {

struct Config;

/// The tables. Sections and data sources are parts of a spec file that follow
/// the same form.
enum class Kind {
  Section,
  DataSource,
  Layer,
  Activation,
  Initializer,
  Regularizer,
  Loss,
  Optimizer,
  Schedule,
  Metric,
  Callback,
};

/// The type of an argument. A scalar is accepted where a list is declared.
enum class Type {
  Bool,
  Integer,
  Number, // also a fraction, `1/255`
  Text,   // one line: a path, a column's name
  Name,   // letters, digits, '_', '-', '.'; starts with a letter or '_'
  Integers,
  Numbers,
  Texts,
  Names,
  Pair,         // 3 or [3, 5]: (vertical, horizontal), or (before, after)
  Pairs,        // 1, [1, 2] or [[1, 2], [3, 4]]: (top, bottom, left, right)
  Triple,       // 3 or [3, 5, 7]: (depth, vertical, horizontal)
  Triples,      // 1, [1, 2, 3] or [[1, 2], [3, 4], [5, 6]]: before and after
                // All four: or one of the row's choices.
  ClassWeights, // a map from class numbers to numbers
  Activation,   // the last five are configs from the table of that name
  Initializer,
  Regularizer,
  Schedule,
  Layer,
};

/// The values a number may have; both ends belong to it unless marked open.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool lowOpen = false, highOpen = false;

  bool contains(double value) const;
  /// " of at least 1", " in [0, 1)", or "" when everything is allowed.
  std::string describe() const;
};

struct ArgInfo {
  llvm::StringRef name;
  Type type;
  /// As a spec would write it; empty for a required argument.
  llvm::StringRef defaultText;
  llvm::StringRef doc;
  Range range = {};
  /// Keras has this argument, Sinter knows only its default.
  bool fixed = false;
  /// The texts it may be, "valid|same"; empty: any, and no text in place of a
  /// Pair or Pairs.
  llvm::StringRef choices = {};

  bool required() const { return defaultText.empty(); }
};

struct EntryInfo {
  llvm::StringRef name;
  llvm::StringRef className; // Keras's class; its snake case names layers
  llvm::StringRef doc;
  std::vector<ArgInfo> args;
  std::vector<llvm::StringRef> aliases = {};
  /// What is wrong with a combination of arguments, or "".
  std::string (*check)(const Config &) = nullptr;

  const ArgInfo *find(llvm::StringRef arg) const;
  /// The argument that `dropout: 0.3` gives without naming it: the first one
  /// of the entry's own; or null.
  const ArgInfo *mainArg() const;
  std::vector<llvm::StringRef> argNames() const;
};

struct Table {
  llvm::StringRef noun, plural; // "layer", "layers"
  std::vector<EntryInfo> entries;
  /// Names that Keras has and Sinter does not compile yet.
  std::vector<llvm::StringRef> notYet = {};

  /// By name or alias.
  const EntryInfo *find(llvm::StringRef name) const;
  std::vector<llvm::StringRef> names() const;
};

const Table &tableOf(Kind kind);

/// The table of a config type (Type::Activation and after).
bool isConfigType(Type type);
Kind kindOf(Type type);

/// "an integer", "a list of numbers", ... with the range.
std::string describe(const ArgInfo &arg);

/// All tables as Markdown.
void printCatalog(llvm::raw_ostream &os);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_CATALOG_H
