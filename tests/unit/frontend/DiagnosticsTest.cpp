// Sorting, source lines, carets and suggestions.
#include "frontend/Diagnostics.h"

#include <catch2/catch.hpp>

using namespace sinter::frontend;

static std::string printed(const Diagnostics &diagnostics,
                           size_t maxReports = 100) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  diagnostics.print(stream, maxReports);
  return text;
}

TEST_CASE("reports come out by position, each once", "[diagnostics]") {
  Diagnostics diagnostics("f.yaml", "one\ntwo\n");
  diagnostics.error({2, 3}, "late");
  diagnostics.warning({1, 2}, "early");
  diagnostics.error({2, 3}, "late");
  diagnostics.error({}, "whole file");
  CHECK(printed(diagnostics) == "f.yaml: error: whole file\n"
                                "f.yaml:1:2: warning: early\n"
                                "  one\n"
                                "   ^\n"
                                "f.yaml:2:3: error: late\n"
                                "  two\n"
                                "    ^\n");
  CHECK(diagnostics.hasErrors());
}

TEST_CASE("warnings alone are no errors", "[diagnostics]") {
  Diagnostics diagnostics("f.yaml");
  diagnostics.warning({}, "odd");
  CHECK_FALSE(diagnostics.hasErrors());
}

TEST_CASE("the caret counts letters and keeps tabs", "[diagnostics]") {
  Diagnostics diagnostics("f", "\tübung: 3\r\n");
  diagnostics.error({1, 8}, "x"); // byte column: \t, two bytes of ü, ...
  CHECK(printed(diagnostics) == "f:1:8: error: x\n"
                                "  \tübung: 3\n"
                                "  \t     ^\n");
}

TEST_CASE("a place outside the text shows no line", "[diagnostics]") {
  Diagnostics diagnostics("f", "short\n");
  diagnostics.error({1, 99}, "x");
  diagnostics.error({9, 1}, "y");
  CHECK(printed(diagnostics) == "f:1:99: error: x\nf:9:1: error: y\n");
}

TEST_CASE("a long line is shown through a window", "[diagnostics]") {
  Diagnostics diagnostics("f", std::string(100000, 'a') + "X" +
                                   std::string(100000, 'b'));
  diagnostics.error({1, 100001}, "x");
  std::string text = printed(diagnostics);
  CHECK(text.size() < 400);
  size_t line = text.find('\n') + 1, caret = text.find('^');
  size_t secondLine = text.find('\n', line) + 1;
  CHECK(text[line + (caret - secondLine)] == 'X');
}

TEST_CASE("many reports are cut", "[diagnostics]") {
  Diagnostics diagnostics("f");
  for (uint32_t i = 1; i <= 5; ++i)
    diagnostics.error({i, 1}, "x");
  CHECK(printed(diagnostics, 2) ==
        "f:1:1: error: x\nf:2:1: error: x\nf: 3 more not shown\n");
}

TEST_CASE("did you mean", "[diagnostics]") {
  std::vector<llvm::StringRef> names = {"relu", "leaky_relu", "softmax",
                                        "softplus", "test"};
  auto hint = [&](llvm::StringRef name) { return didYouMean(name, names); };
  CHECK(hint("rellu") == "; did you mean 'relu'?");
  CHECK(hint("LeakyReLU") == "; did you mean 'leaky_relu'?");
  CHECK(hint("leaky-relu") == "; did you mean 'leaky_relu'?");
  CHECK(hint("softmaks") == "; did you mean 'softmax'?");
  CHECK(hint("tset") == "; did you mean 'test'?"); // two letters swapped
  CHECK(hint("convolution") == "");
  CHECK(hint("") == "");
  CHECK(hint(std::string(100000, 'r')) == "");
  CHECK(didYouMean("relu", {}) == "");
}

TEST_CASE("text of a file is made printable", "[diagnostics]") {
  CHECK(printable("a\nb\033[31m") == "a?b?[31m");
  CHECK(printable("ü") == "ü");
  CHECK(printable(std::string(100, 'x')) == std::string(60, 'x') + "...");
}
