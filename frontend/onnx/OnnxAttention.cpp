// OnnxAttention.cpp - the ONNX of products of two layers' results: dot, matmul,
// and the layers that attend.
//
// What they are is told in AttentionLayers.cpp. A causal mask is made of the
// constants 0, 1, 2, ... by a comparison, which runtimes compute once.
#include "frontend/LayerParts.h"
#include "frontend/onnx/OnnxRules.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::StringRef;

static std::vector<int64_t> countingTo(int64_t size) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < size; ++i)
    numbers.push_back(i);
  return numbers;
}

/// A batch of x in another shape of samples.
static std::string reshaped(OnnxEmitter &e, const std::string &x,
                            const Shape &sample) {
  Shape shape = {-1};
  llvm::append_range(shape, sample);
  return e.node("Reshape", {x, e.integers("shape", shape)});
}

static std::string transposed(OnnxEmitter &e, const std::string &x,
                              const Shape &order) {
  return e.node("Transpose", {x}, {{"perm", order}});
}

static std::string inserted(OnnxEmitter &e, const std::string &x,
                            int64_t axis) {
  return e.node("Unsqueeze", {x, e.integers("axis", {axis})});
}

// ---- dot, matmul ------------------------------------------------------------

/// A vector becomes a matrix by hand, and so do axes that a sample lacks in
/// front: the batch stands before them.
static void emitMatmul(OnnxEmitter &e) {
  const Shape a = e.shape(0), b = e.shape(1);
  std::string operands[2];
  for (size_t i = 0; i < 2; ++i) {
    Shape own = e.shape(i);
    if (own.size() == 1)
      own.insert(i ? own.end() : own.begin(), 1);
    const size_t rank = std::max({a.size(), b.size(), size_t(2)});
    own.insert(own.begin(), rank - own.size(), 1);
    operands[i] = e.operand(i, Layout::Last);
    if (own != e.shape(i))
      operands[i] = reshaped(e, operands[i], own);
  }
  std::string y = e.node("MatMul", {operands[0], operands[1]});
  if (a.size() == 1 || b.size() == 1)
    y = reshaped(e, y, e.layer().shape);
  e.setResult({y});
}

/// x over its length along `axis`, at least 1e-12.
static std::string normalized(OnnxEmitter &e, const std::string &x,
                              int64_t axis) {
  std::string square = e.node("Mul", {x, x});
  square = e.node("ReduceSum", {square, e.integers("axis", {axis})},
                  {{"keepdims", int64_t(1)}});
  square = e.node("Max", {square, e.constant("smallest", 1e-24)});
  return e.node("Div", {x, e.node("Sqrt", {square})});
}

/// By an equation: a letter for each axis, one of them in both.
static void emitDot(OnnxEmitter &e) {
  Shape axes = e.config().integers("axes");
  if (axes.size() == 1)
    axes.push_back(axes[0]);
  std::vector<std::string> operands;
  std::string equation, result = "z";
  char next = 'a';
  for (size_t i = 0; i < 2; ++i) {
    const int64_t rank = static_cast<int64_t>(e.shape(i).size());
    const int64_t axis = axes[i] < 0 ? axes[i] + rank + 1 : axes[i];
    std::string x = e.operand(i, Layout::Last);
    operands.push_back(e.config().flag("normalize") ? normalized(e, x, axis)
                                                    : x);
    equation += i ? ",z" : "z";
    for (int64_t at = 1; at <= rank; ++at) {
      const char letter = at == axis ? 'y' : next++;
      equation += letter;
      if (at != axis)
        result += letter;
    }
  }
  equation += "->" + result;
  std::string y =
      e.node("Einsum", operands, {{"equation", StringRef(equation)}});
  e.setResult({result.size() > 1 ? y : inserted(e, y, 1)});
}

// ---- Attention --------------------------------------------------------------

/// Weights of `columns` for each of `rows`.
static std::string attentionWeights(OnnxEmitter &e, std::string scores,
                                    int64_t rows, int64_t columns) {
  if (e.config().flag("use_causal_mask")) {
    std::string row = inserted(e, e.integers("rows", countingTo(rows)), 1);
    std::string isLater =
        e.node("Greater", {e.integers("columns", countingTo(columns)), row});
    scores = e.node("Where", {isLater, e.constant("masked", -1e9), scores});
  }
  return e.node("Softmax", {scores}, {{"axis", int64_t(-1)}});
}

/// tanh(scale (q + k)) for each row of q and each of k.
static std::string pairs(OnnxEmitter &e, const std::string &scale) {
  std::string sum = e.node(
      "Add", {inserted(e, e.operand(0, Layout::Last), 2),
              inserted(e, e.operand(e.numInputs() - 1, Layout::Last), 1)});
  return e.node("Tanh", {scale.empty() ? sum : e.node("Mul", {sum, scale})});
}

static std::string summedLast(OnnxEmitter &e, const std::string &x) {
  return e.node("ReduceSum", {x, e.integers("axis", {-1})},
                {{"keepdims", int64_t(0)}});
}

static void finishAttention(OnnxEmitter &e, const std::string &scores) {
  std::string weights =
      attentionWeights(e, scores, e.shape(0)[0], e.shape(1)[0]);
  e.setResult({e.node("MatMul", {weights, e.operand(1, Layout::Last)})});
}

static void emitAttention(OnnxEmitter &e) {
  const bool hasScale = e.config().flag("use_scale");
  const std::string scale = hasScale ? e.weight(0) : "";
  if (e.config().text("score_mode") == "concat") {
    std::string sums = summedLast(e, pairs(e, scale));
    return finishAttention(e,
                           e.node("Mul", {sums, e.weight(hasScale ? 1 : 0)}));
  }
  std::string key =
      transposed(e, e.operand(e.numInputs() - 1, Layout::Last), {0, 2, 1});
  std::string scores = e.node("MatMul", {e.operand(0, Layout::Last), key});
  finishAttention(e, hasScale ? e.node("Mul", {scores, scale}) : scores);
}

static void emitAdditiveAttention(OnnxEmitter &e) {
  std::string all = pairs(e, "");
  if (e.config().flag("use_scale"))
    all = e.node("Mul", {all, e.weight(0)});
  finishAttention(e, summedLast(e, all));
}

// ---- multi_head_attention ---------------------------------------------------

/// x times parameter `kernel`, of `in` rows in all, and the bias behind it.
static std::string projected(OnnxEmitter &e, const std::string &x,
                             size_t kernel, int64_t in) {
  const int64_t units = *countElements(e.parameter(kernel).shape) / in;
  std::string y =
      e.node("MatMul", {x, e.weight(kernel, {in, units}, e.values(kernel))});
  if (!e.config().flag("use_bias"))
    return y;
  return e.node("Add",
                {y, e.weight(kernel + 1, {units}, e.values(kernel + 1))});
}

static void emitMultiHeadAttention(OnnxEmitter &e) {
  const Config &config = e.config();
  const int64_t heads = config.integer("num_heads"),
                keyDim = config.integer("key_dim"),
                valueDim = config.isNull("value_dim")
                               ? keyDim
                               : config.integer("value_dim");
  const size_t step = config.flag("use_bias") ? 2 : 1;
  // (places, features) of query, value and key, which may be one input.
  auto head = [&](size_t input, size_t kernel, int64_t size, double scale,
                  const Shape &order) {
    const Shape &shape = e.shape(input);
    const int64_t in = shape.back(), places = *countElements(shape) / in;
    std::string x = e.operand(input, Layout::Last);
    if (shape.size() != 2)
      x = reshaped(e, x, {places, in});
    x = projected(e, x, kernel, in);
    if (scale != 1)
      x = e.node("Mul", {x, e.constant("scale", scale)});
    return transposed(e, reshaped(e, x, {places, heads, size}), order);
  };
  auto placesOf = [&](size_t input) {
    return *countElements(e.shape(input)) / e.shape(input).back();
  };
  const size_t value = e.numInputs() > 1 ? 1 : 0, key = e.numInputs() - 1;
  std::string q = head(0, 0, keyDim, 1 / std::sqrt(static_cast<double>(keyDim)),
                       {0, 2, 1, 3}),
              k = head(key, step, keyDim, 1, {0, 2, 3, 1}),
              v = head(value, 2 * step, valueDim, 1, {0, 2, 1, 3});
  std::string weights =
      attentionWeights(e, e.node("MatMul", {q, k}), placesOf(0), placesOf(key));
  std::string joined =
      transposed(e, e.node("MatMul", {weights, v}), {0, 2, 1, 3});
  joined = reshaped(e, joined, {placesOf(0), heads * valueDim});
  std::string y = projected(e, joined, 3 * step, heads * valueDim);
  const Shape &shape = e.layer().shape;
  e.setResult({shape.size() == 2 ? y : reshaped(e, y, shape)});
}

// ---- The table --------------------------------------------------------------

ArrayRef<OnnxRule> sinter::frontend::onnxAttentionRules() {
  static const OnnxRule rules[] = {
      {"dot", emitDot},
      {"matmul", emitMatmul},
      {"attention", emitAttention},
      {"additive_attention", emitAdditiveAttention},
      {"multi_head_attention", emitMultiHeadAttention},
  };
  return rules;
}
