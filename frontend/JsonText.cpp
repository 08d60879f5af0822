// JsonText.cpp - bounds before parsing, so that hostile text stays harmless.
#include "frontend/JsonText.h"

#include "frontend/Diagnostics.h"

using namespace sinter::frontend;
using llvm::StringRef;

/// How deep brackets are nested, outside of texts.
static unsigned depthOf(StringRef text) {
  unsigned depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

std::optional<Json> sinter::frontend::parseJson(StringRef text,
                                                std::string &wrong) {
  if (text.size() > (16u << 20)) {
    wrong = "expected less than 16 MiB of JSON";
    return std::nullopt;
  }
  if (depthOf(text) > 100) {
    wrong = "expected JSON of at most 100 levels";
    return std::nullopt;
  }
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::parse_error &error) {
    wrong = "not valid JSON at byte " + std::to_string(error.byte);
    return std::nullopt;
  } catch (const Json::exception &) { // a number that no double holds
    wrong = "not valid JSON (a number is out of range)";
    return std::nullopt;
  }
}

const Json *sinter::frontend::member(const Json *object, const char *key) {
  if (!object || !object->is_object())
    return nullptr;
  auto it = object->find(key);
  return it == object->end() || it->is_null() ? nullptr : &*it;
}

std::string sinter::frontend::textMember(const Json *object, const char *key) {
  const Json *value = member(object, key);
  return value && value->is_string() ? value->get<std::string>()
                                     : std::string();
}

std::string sinter::frontend::describe(const Json &value) {
  if (std::string name = textMember(value, "class_name"); !name.empty())
    return printable(name);
  return printable(value.dump(-1, ' ', /*ensure_ascii=*/true,
                              Json::error_handler_t::replace));
}
