// JsonText.h - JSON of unknown origin, looked at without exceptions.
#ifndef SINTER_FRONTEND_JSONTEXT_H
#define SINTER_FRONTEND_JSONTEXT_H

#include "llvm/ADT/StringRef.h"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace sinter::frontend {

using Json = nlohmann::json;

/// Parses `text`; nothing, with the reason in `wrong`, when it is not JSON,
/// longer than 16 MiB, or nested deeper than 100 levels.
std::optional<Json> parseJson(llvm::StringRef text, std::string &wrong);

/// A member that is there and not null, or a null pointer; also when `object`
/// is null or no object.
const Json *member(const Json *object, const char *key);
inline const Json *member(const Json &object, const char *key) {
  return member(&object, key);
}
/// The text of a member, or "".
std::string textMember(const Json *object, const char *key);
inline std::string textMember(const Json &object, const char *key) {
  return textMember(&object, key);
}

/// As a message shows it: on one line, not long, no control characters.
std::string describe(const Json &value);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_JSONTEXT_H
