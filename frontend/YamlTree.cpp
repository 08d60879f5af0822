// YamlTree.cpp - builds a bounded tree from yaml-cpp's parser events.
//
// Text is checked before yaml-cpp sees it: size, encoding, and tabs in
// indentation, which YAML forbids and for which its own message is obscure. The
// builder keeps a stack of open lists and maps and stops the parse by throwing
// Stop when a limit is passed; yaml-cpp is written for exceptions, and they end
// in parseYaml().
#include "frontend/YamlTree.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/FormatVariadic.h"

#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

using namespace sinter::frontend;
using llvm::formatv;
using llvm::StringRef;

namespace {

// Far above any real spec, far below what could hurt.
constexpr size_t kMaxBytes = 256 * 1024;
constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxNodes = 20000;

struct Stop {}; // the error is reported, the parse is over

SourceLoc toLoc(const YAML::Mark &mark) {
  if (mark.is_null())
    return {};
  return {static_cast<uint32_t>(mark.line + 1),
          static_cast<uint32_t>(mark.column + 1)};
}

class TreeBuilder : public YAML::EventHandler {
public:
  TreeBuilder(StringRef text, Diagnostics &diagnostics)
      : text(text), diagnostics(diagnostics) {}

  std::optional<YamlNode> root;

  void OnDocumentStart(const YAML::Mark &) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark &mark, YAML::anchor_t anchor) override {
    refuseAnchor(toLoc(mark), anchor);
    YamlNode node;
    node.loc = locOfNothing(mark);
    add(std::move(node));
  }

  void OnAlias(const YAML::Mark &mark, YAML::anchor_t) override {
    stop(toLoc(mark), "aliases (*name) are not supported; write the "
                      "value out");
  }

  void OnScalar(const YAML::Mark &mark, const std::string &tag,
                YAML::anchor_t anchor, const std::string &value) override {
    check(mark, tag, anchor);
    if (!open.empty() && open.back().node.isMap() && !open.back().hasKey) {
      open.back().key = value;
      open.back().keyLoc = toLoc(mark);
      open.back().hasKey = true;
      return;
    }
    YamlNode node;
    node.loc = toLoc(mark);
    node.text = value;
    node.quoted = tag == "!"; // yaml-cpp's mark for anything but a plain scalar
    add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark &mark, const std::string &tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    openNode(YamlNode::Kind::List, mark, tag, anchor);
  }
  void OnSequenceEnd() override { closeNode(); }

  void OnMapStart(const YAML::Mark &mark, const std::string &tag,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    openNode(YamlNode::Kind::Map, mark, tag, anchor);
  }
  void OnMapEnd() override { closeNode(); }

private:
  struct OpenNode {
    YamlNode node;
    std::string key; // of a map: read, its value still to come
    SourceLoc keyLoc;
    bool hasKey = false;
    llvm::StringMap<SourceLoc> seen = {};
  };

  [[noreturn]] void stop(SourceLoc loc, const char *message) {
    diagnostics.error(loc, message);
    throw Stop();
  }

  /// Nothing written has no place of its own, and yaml-cpp gives that of what
  /// follows. Its key has a place, or its dash in a list.
  SourceLoc locOfNothing(const YAML::Mark &mark) const {
    if (!open.empty() && open.back().hasKey)
      return open.back().keyLoc;
    StringRef before = text.take_front(mark.pos).rtrim();
    if (!before.ends_with("-"))
      return toLoc(mark);
    size_t line = before.count('\n'), start = before.rfind('\n') + 1;
    return {static_cast<uint32_t>(line + 1),
            static_cast<uint32_t>(before.size() - start)};
  }

  void refuseAnchor(SourceLoc loc, YAML::anchor_t anchor) {
    if (anchor != 0)
      stop(loc, "anchors (&name) are not supported; write the value "
                "out");
  }

  void check(const YAML::Mark &mark, const std::string &tag,
             YAML::anchor_t anchor) {
    refuseAnchor(toLoc(mark), anchor);
    if (!tag.empty() && tag != "?" && tag != "!")
      stop(toLoc(mark), "tags (!name) are not supported");
    if (++numNodes > kMaxNodes)
      stop(toLoc(mark), "the file has too many parts");
  }

  void openNode(YamlNode::Kind kind, const YAML::Mark &mark,
                const std::string &tag, YAML::anchor_t anchor) {
    check(mark, tag, anchor);
    if (open.size() >= kMaxDepth)
      stop(toLoc(mark), "the file is nested too deeply");
    if (!open.empty() && open.back().node.isMap() && !open.back().hasKey)
      stop(toLoc(mark), "expected a key to be a name, got a list or map");
    OpenNode opened;
    opened.node.kind = kind;
    opened.node.loc = toLoc(mark);
    open.push_back(std::move(opened));
  }

  void closeNode() {
    YamlNode node = std::move(open.back().node);
    open.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (open.empty()) {
      root = std::move(node);
      return;
    }
    OpenNode &parent = open.back();
    if (parent.node.isList()) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    if (!parent.hasKey)
      stop(node.loc, "expected a key to be a name, got nothing");
    parent.hasKey = false;
    auto [first, isNew] = parent.seen.try_emplace(parent.key, parent.keyLoc);
    if (isNew)
      parent.node.entries.push_back(
          {std::move(parent.key), parent.keyLoc, std::move(node)});
    else
      diagnostics.error(parent.keyLoc,
                        formatv("duplicate key '{0}', first on line {1}",
                                printable(parent.key), first->second.line)
                            .str());
  }

  StringRef text;
  Diagnostics &diagnostics;
  std::vector<OpenNode> open;
  size_t numNodes = 0;
};

/// What yaml-cpp would stumble over. Returns false after an error.
bool checkText(StringRef text, Diagnostics &diagnostics) {
  if (text.size() > kMaxBytes) {
    diagnostics.error({}, formatv("expected a file of at most {0} KiB, got {1}",
                                  kMaxBytes / 1024, text.size() / 1024)
                              .str());
    return false;
  }
  bool ok = true;
  uint32_t lineNumber = 0;
  while (!text.empty()) {
    StringRef line;
    std::tie(line, text) = text.split('\n');
    ++lineNumber;
    auto fail = [&](size_t offset, const char *message) {
      diagnostics.error({lineNumber, static_cast<uint32_t>(offset + 1)},
                        message);
      ok = false;
    };
    size_t indent = line.find_first_not_of(" ");
    size_t control = line.rtrim('\r').find_if([](char c) {
      return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
    });
    const auto *utf8 = reinterpret_cast<const llvm::UTF8 *>(line.data());
    if (indent != StringRef::npos && line[indent] == '\t')
      fail(indent, "tab in indentation; YAML wants spaces");
    else if (control != StringRef::npos)
      fail(control, "control character in the file; expected plain text");
    else if (!llvm::isLegalUTF8String(&utf8, utf8 + line.size()))
      fail(utf8 - reinterpret_cast<const llvm::UTF8 *>(line.data()),
           "the file is not UTF-8 text");
  }
  return ok;
}

} // namespace

std::optional<YamlNode> sinter::frontend::parseYaml(StringRef text,
                                                    Diagnostics &diagnostics) {
  if (!checkText(text, diagnostics))
    return std::nullopt;
  TreeBuilder builder(text, diagnostics);
  try {
    std::istringstream stream(text.str());
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder) && builder.root) {
      std::optional<YamlNode> root = std::move(builder.root);
      TreeBuilder second(text, diagnostics);
      if (parser.HandleNextDocument(second) && second.root) {
        diagnostics.error(second.root->loc,
                          "expected one YAML document, got a second one");
        return std::nullopt;
      }
      return root;
    }
    diagnostics.error({}, "the file is empty");
  } catch (const YAML::Exception &exception) {
    diagnostics.error(toLoc(exception.mark),
                      "YAML syntax: " + printable(exception.msg));
  } catch (const Stop &) {
  }
  return std::nullopt;
}

bool YamlNode::isNull() const {
  return isScalar() && !quoted &&
         (text.empty() || text == "~" || text == "null" || text == "Null");
}

const YamlNode *YamlNode::find(StringRef key) const {
  for (const YamlEntry &entry : entries)
    if (entry.key == key)
      return &entry.value;
  return nullptr;
}

std::vector<StringRef> YamlNode::keys() const {
  std::vector<StringRef> result;
  for (const YamlEntry &entry : entries)
    result.push_back(entry.key);
  return result;
}

std::string YamlNode::describe() const {
  if (isMap())
    return "a map";
  if (isList())
    return "a list";
  return isNull() ? "nothing" : "'" + printable(text) + "'";
}
