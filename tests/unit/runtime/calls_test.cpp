// calls_test.cpp - the table of callable functions says what the header says.
#include "runtime/sinter_runtime.h"

#include <catch2/catch.hpp>
#include <string>
#include <type_traits>

namespace {

// The types of the table, as code generation sees them.
template <typename T> std::string typeName() {
  if constexpr (std::is_void_v<T>)
    return "VOID";
  else if constexpr (std::is_same_v<T, int32_t>)
    return "I32";
  else if constexpr (std::is_same_v<T, int64_t>)
    return "I64";
  else if constexpr (std::is_same_v<T, float>)
    return "F32";
  else
    return "PTR";
}

template <typename Result, typename... Arguments>
std::string signature(Result (*)(Arguments...)) {
  std::string text = typeName<Result>();
  ((text += ", " + typeName<Arguments>()), ...);
  return text;
}

} // namespace

#define STRING_OF(...) #__VA_ARGS__

TEST_CASE("every row of sinter_calls.def has the signature in the header") {
  int rows = 0;
#define SINTER_CALL(name, ...)                                                 \
  CHECK(signature(&name) == STRING_OF(__VA_ARGS__));                           \
  ++rows;
#include "runtime/sinter_calls.def"
  CHECK(rows > 0);
}
