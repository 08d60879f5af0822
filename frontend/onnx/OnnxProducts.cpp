// OnnxProducts.cpp - products of two tensors that are both computed: MatMul,
// Gemm, Einsum.
//
// Idea: letters name axes, as in Einsum; both operands are brought to all
// letters, multiplied and summed over those that the result lacks.
// Known weakness: that is no fast product of matrices, so more than 2^16
// products are refused; products with constant weights are dense layers.
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

static constexpr int64_t kMostProducts = int64_t(1) << 16;

namespace {
/// A sample whose axes have letters.
struct Lettered {
  Tensor tensor;
  std::string letters;
};
} // namespace

/// `x` with its axes in the order of `all`, and size 1 where it has none.
static Tensor spread(NodeReader &n, const Lettered &x, StringRef all) {
  std::vector<int64_t> order;
  Shape shape;
  for (char letter : all) {
    const size_t at = x.letters.find(letter);
    if (at == std::string::npos) {
      shape.push_back(1);
      continue;
    }
    order.push_back(static_cast<int64_t>(at));
    shape.push_back(n.shapeOf(x.tensor)[at]);
  }
  return reshaped(n, permuted(n, x.tensor, order), shape);
}

/// Sum over all letters but those of `result`; null after a refusal.
static Tensor contracted(NodeReader &n, ArrayRef<Lettered> operands,
                         const std::string &result) {
  std::string all = result;
  for (const Lettered &operand : operands)
    for (char letter : operand.letters)
      if (!StringRef(all).contains(letter))
        all += letter;
  std::vector<Tensor> tensors;
  Shape sizes(all.size(), 1);
  for (const Lettered &operand : operands) {
    if (!operand.tensor)
      return {};
    tensors.push_back(spread(n, operand, all));
    if (!tensors.back())
      return {};
    for (auto [size, own] : llvm::zip(sizes, n.shapeOf(tensors.back()))) {
      if (size != 1 && own != 1 && size != own) {
        n.refuse("expected operands whose sizes agree, got " +
                 dimsToText(n.dims(0)) + " and " + dimsToText(n.dims(1)));
        return {};
      }
      size = std::max(size, own);
    }
  }
  std::optional<int64_t> count = onnx::countElements(sizes);
  if (!count || (operands.size() > 1 && *count > kMostProducts)) {
    n.refuse(formatv("expected constant weights, or at most {0} products",
                     kMostProducts));
    return {};
  }
  Tensor y =
      tensors.size() == 1 ? tensors[0] : n.layer(Config("multiply"), tensors);
  std::vector<int64_t> summed =
      counting(static_cast<int64_t>(result.size()) + 1,
               static_cast<int64_t>(all.size()) + 1);
  return summed.empty() ? y
                        : n.layer(Config("sum", {{"axis", toList(summed)}}), y);
}

/// "abc..." for `count` axes.
static std::string lettersFrom(char first, int64_t count) {
  std::string letters;
  for (int64_t i = 0; i < count; ++i)
    letters += static_cast<char>(first + i);
  return letters;
}

void onnx::readComputedMatMul(NodeReader &n) {
  const Dims a = n.dims(0), b = n.dims(1);
  const int64_t rank = std::max(rankOf(a), rankOf(b));
  if (a.empty() || b.empty() || rank > 10)
    return n.refuse("expected matrices, got " + dimsToText(a) + " and " +
                    dimsToText(b));
  if (n.lead() == 1 && (rankOf(a) != rankOf(b) || rank < 3))
    return n.refuse("it mixes the samples of a batch");
  // Axes before the matrices are aligned at the end.
  const int64_t before = std::max<int64_t>(rank - 2, 0);
  const std::string batch = lettersFrom('a', before);
  auto lettered = [&](size_t input, const char *matrix, const char *vector) {
    const int64_t own = rankOf(n.dims(input));
    std::string letters =
        own == 1 ? vector : batch.substr(before - (own - 2)) + matrix;
    return Lettered{n.tensor(input), letters.substr(n.lead())};
  };
  std::string result = batch;
  result += rankOf(a) == 1 ? "" : "m";
  result += rankOf(b) == 1 ? "" : "n";
  result = result.substr(n.lead());
  Tensor y =
      contracted(n, {lettered(0, "mk", "k"), lettered(1, "kn", "k")}, result);
  if (!y)
    return;
  resultOf(n, y, result.empty() ? Shape() : n.shapeOf(y));
}

/// alpha A' B' + beta C, none of them a batch.
void onnx::readComputedGemm(NodeReader &n) {
  if (n.lead() == 1 || rankOf(n.dims(0)) != 2 || rankOf(n.dims(1)) != 2)
    return n.refuse("it mixes the samples of a batch");
  Tensor y =
      contracted(n,
                 {Lettered{n.tensor(0), n.integer("transA", 0) ? "km" : "mk"},
                  Lettered{n.tensor(1), n.integer("transB", 0) ? "nk" : "kn"}},
                 "mn");
  if (!y)
    return;
  auto scaled = [&](Tensor x, double by) {
    return by == 1 ? x : n.layer(Config("rescaling", {{"scale", by}}), x);
  };
  y = scaled(y, n.number("alpha", 1));
  if (n.hasInput(2))
    y = n.layer(Config("add"),
                {y, scaled(widened(n, 2, 2), n.number("beta", 1))});
  n.result(y);
}

static void readEinsum(NodeReader &n) {
  std::string equation = n.text("equation", "");
  llvm::erase(equation, ' ');
  auto [left, right] = StringRef(equation).split("->");
  llvm::SmallVector<StringRef> terms;
  left.split(terms, ',');
  const bool isPlain =
      StringRef(equation).contains("->") && terms.size() == n.numInputs() &&
      terms.size() <= 2 && llvm::all_of(equation, [](char c) {
        return llvm::isAlpha(c) || c == ',' || c == '-' || c == '>';
      });
  if (!isPlain || n.lead() == 1)
    return n.refuse("expected an equation of one or two operands with '->' and "
                    "without '...', for whole inputs, got '" +
                    printable(equation) + "'");
  std::vector<Lettered> operands;
  for (auto [i, term] : llvm::enumerate(terms)) {
    std::string sorted = term.str();
    llvm::sort(sorted);
    if (rankOf(n.dims(i)) != static_cast<int64_t>(term.size()) ||
        std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      return n.refuse("expected a letter for each axis, none twice, got '" +
                      printable(term.str()) + "'");
    operands.push_back({n.tensor(i), term.str()});
  }
  std::string sorted = right.str();
  llvm::sort(sorted);
  for (char letter : right)
    if (!left.contains(letter) ||
        std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      return n.refuse("expected a result of different letters of the operands, "
                      "got '" +
                      printable(right.str()) + "'");
  Tensor y = contracted(n, operands, right.str());
  if (y)
    resultOf(n, y, right.empty() ? Shape() : n.shapeOf(y));
}

ArrayRef<OpRule> onnx::productRules() {
  static const OpRule rules[] = {{"Einsum", 1, readEinsum}};
  return rules;
}
