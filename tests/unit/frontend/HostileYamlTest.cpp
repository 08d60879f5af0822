// Input made to hurt: every one is refused with an error, quickly, and without
// a crash.
#include "frontend/SpecBuilder.h"
#include "frontend/YamlReader.h"

#include "llvm/ADT/StringExtras.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <random>

using namespace sinter::frontend;

static std::string repeat(const std::string &text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i)
    result += text;
  return result;
}

/// Reads and builds `text`; returns the number of errors.
static size_t errorsOf(const std::string &text) {
  Diagnostics diagnostics("hostile.yaml", text);
  Spec spec = readSpec(text, diagnostics);
  ModelBuilder builder(spec.name, diagnostics);
  buildSpec(spec, builder);
  std::string printed;
  llvm::raw_string_ostream stream(printed);
  diagnostics.print(stream);
  CHECK(printed.size() < 100000);
  return diagnostics.errorCount();
}

TEST_CASE("hostile text is refused, and soon", "[hostile]") {
  std::string staircase = "a:\n";
  for (size_t depth = 1; depth < 600; ++depth)
    staircase += std::string(depth, ' ') + "a:\n";
  std::string bomb = "a: &a [x, x]\n";
  for (char c = 'b'; c < 'z'; ++c)
    bomb += std::string(1, c) + ": &" + c + " [*" + static_cast<char>(c - 1) +
            ", *" + static_cast<char>(c - 1) + "]\n";
  const std::string texts[] = {
      repeat("[", 200000),
      repeat("{a: ", 50000),
      repeat("[{", 50000),
      repeat("- ", 100000),
      repeat("? ", 100000),
      repeat("\"", 200000),
      repeat("a: b\n", 40000),
      repeat("- a\n", 60000),
      repeat("---\n", 60000),
      repeat("%YAML 1.2\n", 20000),
      repeat("&a ", 50000),
      repeat("!a ", 50000),
      repeat("|", 200000),
      repeat("#", 200000),
      repeat(",", 200000),
      repeat(" ", 200000) + "a",
      "x: [" + repeat("[],", 60000) + "]",
      "a: >\n" + repeat("  b\n", 50000),
      repeat("a", 300000),
      std::string(1000, '\0'),
      "\xff\xfe" + repeat("a", 100),
      "\xef\xbb\xbf", // a byte order mark alone
      "*a",
      "<<: {a: b}",
      "a: *a",
      "{[a]: b}",
      "model: {",
      "model: 'abc",
      "\t",
      ":",
      "-",
      "!!binary x",
      staircase,
      bomb,
  };
  for (const std::string &text : texts) {
    INFO(text.substr(0, 40));
    auto start = std::chrono::steady_clock::now();
    CHECK(errorsOf(text) > 0);
    auto seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start);
    CHECK(seconds.count() < 5);
  }
}

static const std::string kGood = R"(model: m
input: {shape: [4, 2], scale: 1/255}
layers:
  - flatten
  - dense: {units: 3, activation: {leaky_relu: 0.1}, name: a}
  - dense: {units: 3, kernel_regularizer: {l2: 0.1}, inputs: [flatten]}
  - add: {inputs: [a, dense]}
  - dropout: 0.3
  - softmax
loss: {categorical_crossentropy: {label_smoothing: 0.1}}
optimizer: {adam: {learning_rate: {cosine_decay: {initial_learning_rate: 1, decay_steps: 9}}}}
metrics: [accuracy, top_k_categorical_accuracy: {k: 2}]
data:
  train: {csv: f.csv, label: [a, -1]}
  validation_split: {fraction: 0.2, shuffle: true}
train: {epochs: 3}
)";

TEST_CASE("the spec that is mutated below is right", "[hostile]") {
  CHECK(errorsOf(kGood) == 0);
}

TEST_CASE("damaged specs never crash", "[hostile]") {
  std::mt19937 random(42);
  const std::string letters = "{}[]:,-#&*!|>'\"%@` \n\tax019./\\\xff";
  for (int round = 0; round < 3000; ++round) {
    std::string text = kGood;
    for (int change = 0; change < 1 + round % 4; ++change) {
      size_t at = random() % text.size(), length = random() % 9;
      switch (random() % 4) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, 1, letters[random() % letters.size()]);
        break;
      case 2:
        text[at] = letters[random() % letters.size()];
        break;
      default: // repeats a part
        text.insert(random() % text.size(), text.substr(at, length * 4));
      }
    }
    errorsOf(text);
  }
}

TEST_CASE("no truncation of a spec crashes", "[hostile]") {
  for (size_t length = 0; length < kGood.size(); ++length)
    errorsOf(kGood.substr(0, length));
}
