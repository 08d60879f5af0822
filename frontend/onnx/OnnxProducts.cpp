// OnnxProducts.cpp - products of two tensors that are both computed: MatMul,
// Gemm, Einsum.
//
// Idea: letters name axes, as in Einsum. Each is one of four: in both operands
// and the result (a matrix each), in both and summed over, rows of the left
// operand, columns of the right one. Operands are brought into that order and
// are then a `matmul` layer's; where nothing is summed over, they are
// multiplied; where the right one is constant, they are a dense layer.
// Known weakness: axes that stretch while they are summed over are multiplied
// and summed, and refused where that is more than 2^16 products.
#include "frontend/onnx/OnnxConstants.h"
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
/// A sample whose axes have letters; `constant` where it is one for all
/// samples.
struct Lettered {
  Tensor tensor;
  std::string letters;
  const Constant *constant = nullptr;
  size_t input = 0; // that it comes from
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

/// All letters of `operands` multiplied, and summed but for those of `result`;
/// null after a refusal.
static Tensor multiplied(NodeReader &n, ArrayRef<Lettered> operands,
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

static std::string intersect(StringRef a, StringRef b, bool inBoth) {
  std::string letters;
  for (char letter : a)
    if (b.contains(letter) == inBoth)
      letters += letter;
  return letters;
}

/// Summed over letters that neither `others` nor `result` have.
static Lettered summedAlone(NodeReader &n, Lettered x, StringRef others,
                            StringRef result) {
  std::string kept;
  std::vector<int64_t> axes;
  for (auto [i, letter] : llvm::enumerate(x.letters))
    if (others.contains(letter) || result.contains(letter))
      kept += letter;
    else
      axes.push_back(static_cast<int64_t>(i) + 1);
  if (axes.empty())
    return x;
  x.tensor = n.layer(Config("sum", {{"axis", toList(axes)}}), x.tensor);
  x.letters = kept;
  x.constant = nullptr;
  return x;
}

/// The order of axes that turns `from` into `to`, which has the same letters.
static std::vector<int64_t> orderFrom(StringRef from, StringRef to) {
  std::vector<int64_t> order;
  for (char letter : to)
    order.push_back(static_cast<int64_t>(from.find(letter)));
  return order;
}

/// Sum over all letters but those of `result`; null after a refusal.
static Tensor contracted(NodeReader &n, std::vector<Lettered> operands,
                         const std::string &result) {
  for (const Lettered &operand : operands)
    if (!operand.tensor && !operand.constant)
      return {};
  if (operands.size() == 2 && operands[0].constant && !operands[1].constant)
    std::swap(operands[0], operands[1]);
  auto isLayer = [&](Lettered &x) {
    if (!x.tensor)
      x.tensor = widened(n, x.input, static_cast<int64_t>(x.letters.size()));
    return static_cast<bool>(x.tensor);
  };
  if (!isLayer(operands[0]) ||
      (operands.size() == 2 && !operands[1].constant && !isLayer(operands[1])))
    return {};
  const std::string inner =
      operands.size() == 2
          ? intersect(intersect(operands[0].letters, operands[1].letters, true),
                      result, false)
          : "";
  if (inner.empty()) {
    for (Lettered &operand : operands)
      if (!isLayer(operand))
        return {};
    return multiplied(n, operands, result);
  }
  Lettered a = summedAlone(n, operands[0], operands[1].letters, result),
           b = operands[1];
  const Constant *kernel = b.constant;
  const std::string shared =
      intersect(intersect(a.letters, b.letters, true), result, true);
  if (!kernel || !shared.empty() ||
      !intersect(b.letters, a.letters + result, false).empty()) {
    if (!isLayer(b))
      return {};
    kernel = nullptr;
    b = summedAlone(n, b, a.letters, result);
  }
  if (!a.tensor || (!kernel && !b.tensor))
    return {};
  const std::string rows = intersect(a.letters, b.letters, false),
                    columns = intersect(b.letters, a.letters, false);
  Shape sizesA = n.shapeOf(a.tensor), sizesB;
  if (kernel)
    sizesB.assign(kernel->dims.end() - static_cast<int64_t>(b.letters.size()),
                  kernel->dims.end());
  else
    sizesB = n.shapeOf(b.tensor);
  auto sizeIn = [](const Lettered &x, const Shape &sizes, char letter) {
    return sizes[x.letters.find(letter)];
  };
  Shape shapeA, shapeB, shape;
  int64_t rowCount = 1, columnCount = 1, innerCount = 1;
  for (char letter : inner) {
    const int64_t size = sizeIn(a, sizesA, letter);
    if (size != sizeIn(b, sizesB, letter))
      return multiplied(n, {a, b}, result);
    innerCount *= size;
  }
  for (char letter : shared) {
    shapeA.push_back(sizeIn(a, sizesA, letter));
    shapeB.push_back(sizeIn(b, sizesB, letter));
    if (shapeA.back() != shapeB.back() && shapeA.back() != 1 &&
        shapeB.back() != 1) {
      n.refuse("expected operands whose sizes agree, got " +
               dimsToText(n.dims(0)) + " and " + dimsToText(n.dims(1)));
      return {};
    }
    shape.push_back(std::max(shapeA.back(), shapeB.back()));
  }
  for (char letter : rows) {
    shape.push_back(sizeIn(a, sizesA, letter));
    rowCount *= shape.back();
  }
  for (char letter : columns) {
    shape.push_back(sizeIn(b, sizesB, letter));
    columnCount *= shape.back();
  }
  shapeA.insert(shapeA.end(), {rowCount, innerCount});
  shapeB.insert(shapeB.end(), {innerCount, columnCount});
  Tensor left = reshaped(
      n, permuted(n, a.tensor, orderFrom(a.letters, shared + rows + inner)),
      shapeA);
  Tensor y;
  if (kernel) {
    Constant matrix = *kernel;
    matrix.dims = sizesB;
    matrix = transposed(matrix, orderFrom(b.letters, inner + columns));
    matrix.dims = shapeB;
    y = n.layer(Config("dense", {{"units", columnCount}, {"use_bias", false}}),
                left, {{"kernel", std::move(matrix)}}, n.nameFrom(b.input));
  } else {
    Tensor right = reshaped(
        n,
        permuted(n, b.tensor, orderFrom(b.letters, shared + inner + columns)),
        shapeB);
    y = n.layer(Config("matmul"), {left, right});
  }
  if (!y)
    return {};
  return permuted(n, reshaped(n, y, shape),
                  orderFrom(shared + rows + columns, result));
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
  // A constant may lack the samples' axis; two computed ones align there.
  auto isFree = [&](size_t input) {
    const Dims dims = n.dims(input);
    return n.input(input).isConstant() && (rankOf(dims) < rank || dims[0] == 1);
  };
  if (n.lead() == 1 &&
      (rank < 3 || (!isFree(0) && !isFree(1) && rankOf(a) != rankOf(b)) ||
       (isFree(0) && isFree(1)) || (isFree(0) && rankOf(b) < rank) ||
       (isFree(1) && rankOf(a) < rank)))
    return n.refuse("it mixes the samples of a batch");
  // Axes before the matrices are aligned at the end.
  const int64_t before = std::max<int64_t>(rank - 2, 0);
  const std::string batch = lettersFrom('a', before);
  auto lettered = [&](size_t input, const char *matrix, const char *vector) {
    const int64_t own = rankOf(n.dims(input));
    std::string letters =
        own == 1 ? vector : batch.substr(before - (own - 2)) + matrix;
    letters = letters.substr(own == rank ? n.lead() : 0);
    const Constant *value = n.constant(input);
    if (value && value->isFloat())
      return Lettered{{}, letters, value, input};
    return Lettered{n.tensor(input), letters, nullptr, input};
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
  Tensor y = contracted(
      n,
      {Lettered{n.tensor(0), n.integer("transA", 0) ? "km" : "mk", nullptr, 0},
       Lettered{n.tensor(1), n.integer("transB", 0) ? "nk" : "kn", nullptr, 1}},
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

/// Where a letter stands twice in an operand: its diagonal, the letter once, at
/// the end.
static Lettered diagonal(NodeReader &n, Lettered x) {
  for (size_t i = 0; x.tensor && i < x.letters.size(); ++i) {
    const char letter = x.letters[i];
    const size_t second = x.letters.find(letter, i + 1);
    if (second == std::string::npos)
      continue;
    std::vector<int64_t> order;
    Shape shape;
    std::string rest;
    for (size_t axis = 0; axis < x.letters.size(); ++axis)
      if (axis != i && axis != second) {
        order.push_back(static_cast<int64_t>(axis));
        shape.push_back(n.shapeOf(x.tensor)[axis]);
        rest += x.letters[axis];
      }
    order.insert(order.end(),
                 {static_cast<int64_t>(i), static_cast<int64_t>(second)});
    const int64_t size = n.shapeOf(x.tensor)[i];
    if (size != n.shapeOf(x.tensor)[second]) {
      n.refuse("expected axes of one letter to have one size");
      return {};
    }
    x.tensor = permuted(n, x.tensor, order);
    shape.push_back(size * size);
    std::vector<int64_t> places;
    for (int64_t at = 0; at < size; ++at)
      places.push_back(at * (size + 1));
    const int64_t axis = static_cast<int64_t>(shape.size()) - 1;
    x.tensor = pickedAlong(n, reshaped(n, x.tensor, shape), axis, places);
    x.letters = rest + letter;
    i = static_cast<size_t>(-1); // from the start: another letter, or again
  }
  return x;
}

namespace {
/// An equation with letters in place of "...", and with its result.
struct Equation {
  std::vector<std::string> terms;
  std::string result;
};
} // namespace

/// Nothing where it does not suit the operands.
static std::optional<Equation> parseEquation(NodeReader &n) {
  std::string text = n.text("equation", "");
  llvm::erase(text, ' ');
  auto [left, right] = StringRef(text).split("->");
  const bool isImplicit = !StringRef(text).contains("->");
  llvm::SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != n.numInputs())
    return std::nullopt;
  Equation equation;
  // "..." are the last so many of these; of other letters nobody has taken
  // them.
  const std::string free = "!#$%&*+/0123456789";
  int64_t most = 0;
  auto expand = [&](StringRef term, int64_t dots) {
    auto [before, after] = term.split("...");
    if (before.size() == term.size())
      return term.str();
    return (before + StringRef(free).take_back(dots) + after).str();
  };
  for (auto [i, term] : llvm::enumerate(terms)) {
    int64_t dots = 0;
    if (term.contains("...")) {
      dots = rankOf(n.dims(i)) - static_cast<int64_t>(term.size()) + 3;
      if (dots < 0 || dots > static_cast<int64_t>(free.size()))
        return std::nullopt;
      most = std::max(most, dots);
    }
    equation.terms.push_back(expand(term, dots));
    if (static_cast<int64_t>(equation.terms.back().size()) != rankOf(n.dims(i)))
      return std::nullopt;
  }
  if (isImplicit) { // letters that stand once, in the order of the alphabet
    std::string once;
    for (char letter : left)
      if (llvm::isAlpha(letter) && left.count(letter) == 1)
        once += letter;
    llvm::sort(once);
    equation.result = StringRef(free).take_back(most).str() + once;
  } else {
    equation.result = expand(right, most);
  }
  for (const std::string &term : equation.terms)
    for (char letter : term)
      if (!llvm::isAlpha(letter) && !StringRef(free).contains(letter))
        return std::nullopt;
  std::string all = llvm::join(equation.terms, ""), sorted = equation.result;
  llvm::sort(sorted);
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end() ||
      !intersect(sorted, all, false).empty())
    return std::nullopt;
  return equation;
}

static void readEinsum(NodeReader &n) {
  std::optional<Equation> equation =
      n.numInputs() <= 2 ? parseEquation(n) : std::nullopt;
  if (!equation)
    return n.refuse("expected an equation of one or two operands that suits "
                    "them, with a result of different letters, got '" +
                    printable(n.text("equation", "")) + "'");
  // Samples stay apart: their letter is the first of all that have them.
  const char samples = n.lead() == 1 && !equation->result.empty()
                           ? equation->result.front()
                           : '\0';
  std::vector<Lettered> operands;
  for (auto [i, term] : llvm::enumerate(equation->terms)) {
    const Constant *value = n.constant(i);
    const bool hasSamples = StringRef(term).contains(samples);
    const bool isShared = value && n.lead() == 1 && !hasSamples;
    if (n.lead() == 1 && !isShared &&
        (samples == '\0' || !hasSamples || term.front() != samples ||
         StringRef(term).count(samples) != 1))
      return n.refuse("it mixes the samples of a batch");
    const std::string letters = term.substr(isShared ? 0 : n.lead());
    std::string sorted = letters;
    llvm::sort(sorted);
    const bool repeats =
        std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
    Lettered operand{{}, letters, nullptr, i};
    if (value && value->isFloat() && !repeats && (isShared || n.lead() == 0))
      operand.constant = value;
    else
      operand.tensor =
          isShared ? widened(n, i, rankOf(value->dims)) : n.tensor(i);
    operands.push_back(repeats ? diagonal(n, operand) : operand);
    if (repeats && !operands.back().tensor)
      return; // refused
  }
  const std::string result = equation->result.substr(n.lead());
  Tensor y = contracted(n, operands, result);
  if (y)
    resultOf(n, y, result.empty() ? Shape() : n.shapeOf(y));
}

ArrayRef<OpRule> onnx::productRules() {
  static const OpRule rules[] = {{"Einsum", 1, readEinsum}};
  return rules;
}
