// YamlTree.h - YAML text as a plain tree with positions, safe on hostile input.
//
// Problem: yaml-cpp's own node type drops the place of keys, merges duplicate
// keys late and follows aliases, so that a few lines can stand for 10^9 nodes.
// Idea: listen to its parser events and build our own tree. Specs need scalars,
// lists and maps only; anchors, tags and several documents are refused, and
// size, depth and node count are bounded.
// Known weakness: after a YAML syntax error yaml-cpp cannot go on, so only the
// first one is reported.
#ifndef SINTER_FRONTEND_YAMLTREE_H
#define SINTER_FRONTEND_YAMLTREE_H

#include "frontend/Diagnostics.h"

#include <optional>
#include <string>
#include <vector>

namespace sinter::frontend {

struct YamlEntry;

struct YamlNode {
  enum class Kind { Scalar, List, Map };

  Kind kind = Kind::Scalar;
  SourceLoc loc;
  std::string text;    // of a scalar
  bool quoted = false; // "3" is text, 3 a number
  std::vector<YamlNode> items;
  std::vector<YamlEntry> entries; // in file order, keys are unique

  bool isScalar() const { return kind == Kind::Scalar; }
  bool isMap() const { return kind == Kind::Map; }
  bool isList() const { return kind == Kind::List; }
  /// Nothing written: `loss:` or `loss: null`.
  bool isNull() const;
  /// The value of `key`, or null.
  const YamlNode *find(llvm::StringRef key) const;
  std::vector<llvm::StringRef> keys() const;
  /// "'relu'", "a list", "a map", for messages.
  std::string describe() const;
};

struct YamlEntry {
  std::string key;
  SourceLoc keyLoc;
  YamlNode value;
};

/// The document in `text`, or nothing after errors. Duplicate keys are reported
/// and dropped; the rest of the tree is still returned.
std::optional<YamlNode> parseYaml(llvm::StringRef text,
                                  Diagnostics &diagnostics);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_YAMLTREE_H
