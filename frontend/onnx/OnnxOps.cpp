// OnnxOps.cpp - finds the rules of an op, and holds what they share; products
// with weights.
//
// What each op becomes: one small rule an op, one table a topic, beside this
// file. Rules follow https://onnx.ai/onnx/operators, all operator sets from 1
// to 22; where sets differ, the rule says how. Layers' names and arguments are
// those of `sinter catalog`. A rule that meets what it cannot express refuses
// the node and says why; it never approximates. Several rules may know one op:
// the first that takes a node has it.
#include "frontend/onnx/OnnxConstants.h"
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

// ---- Parts -----------------------------------------------------------------

/// The operand's only element, if it is a constant of one.
std::optional<double> onnx::scalar(const NodeReader &n, size_t input) {
  const Constant *value = n.constant(input);
  if (!value || value->size() != 1)
    return std::nullopt;
  return value->number(0);
}

/// The order in which the operand is at hand, without a permute layer.
Order onnx::orderOf(const NodeReader &n, size_t input) {
  return n.input(input).isConstant() ? Order::AsInFile : n.input(input).order;
}

/// [[top, bottom], [left, right]] from the sides of one or two axes.
Value onnx::toSides(ArrayRef<int64_t> low, ArrayRef<int64_t> high) {
  if (low.size() == 1)
    return toList({low[0], high[0]});
  Value::List pairs;
  for (size_t i = 0; i < low.size(); ++i)
    pairs.push_back(toList({low[i], high[i]}));
  return Value(std::move(pairs));
}

/// A number for one axis, a list for several.
Value onnx::toSize(ArrayRef<int64_t> numbers) {
  return numbers.size() == 1 ? Value(numbers[0]) : toList(numbers);
}

bool onnx::isOne(int64_t number) { return number == 1; }

/// A floating constant, or nothing after a refusal.
const Constant *onnx::weight(NodeReader &n, size_t input, StringRef what) {
  const Constant *value = n.constant(input);
  if (value && value->isFloat())
    return value;
  n.refuse(formatv("expected {0} to be a constant, got {1}", what,
                   value ? "whole numbers" : "a tensor that is computed"));
  return nullptr;
}

/// A vector of `size` elements, or nothing after a refusal.
const Constant *onnx::vectorWeight(NodeReader &n, size_t input, StringRef what,
                                   int64_t size) {
  const Constant *value = weight(n, input, what);
  if (value && value->size() != static_cast<size_t>(size)) {
    n.refuse(formatv("expected {0} of {1} elements, got {2}", what, size,
                     dimsToText(value->dims)));
    return nullptr;
  }
  return value;
}

Constant onnx::asVector(const Constant &x) {
  Constant result = x;
  result.dims = {static_cast<int64_t>(x.size())};
  return result;
}

void onnx::passOn(NodeReader &n) { n.result(n.input(0)); }

std::string onnx::ranked(StringRef layer, size_t axes) {
  return (layer + std::to_string(axes) + "d").str();
}

/// The vector that an Add right behind adds to the last axis, or to the
/// channels of an image; it becomes the layer's bias.
std::optional<Constant> onnx::biasBehind(NodeReader &n, const Node *&add,
                                         int64_t units, int64_t spaceAxes) {
  add = n.onlyReader("Add");
  if (!add || add->inputs.size() != 2)
    return std::nullopt;
  for (const std::string &name : add->inputs) {
    const Constant *value = n.constantCalled(name);
    if (!value || !value->isFloat() ||
        value->size() != static_cast<size_t>(units))
      continue;
    // All but the axis of the units has size 1.
    const int64_t rank = rankOf(value->dims), axis = rank - 1 - spaceAxes;
    if (axis >= 0 && value->dims[axis] == units &&
        rank <= 1 + n.lead() + spaceAxes)
      return asVector(*value);
  }
  return std::nullopt;
}

/// A number that all elements are compared or computed with.
Tensor onnx::numberLike(NodeReader &n, double number, Tensor like) {
  Constant value;
  value.dims = Dims(n.shapeOf(like).size(), 1);
  value.values = std::vector<float>{static_cast<float>(number)};
  return n.frozen(std::move(value));
}

Tensor onnx::both(NodeReader &n, StringRef layer, Tensor a, Tensor b) {
  return n.layer(Config(layer.str()), {a, b});
}

Tensor onnx::sumOver(NodeReader &n, Tensor x, int64_t axis) {
  return n.layer(Config("sum", {{"axis", axis + 1}}), x);
}

// ---- Products with weights --------------------------------------------------

/// x kernel + bias, bias being input 2 or what an Add behind adds.
static void readProduct(NodeReader &n, Constant kernel,
                        std::optional<Constant> bias) {
  const int64_t units = kernel.dims[1];
  const Node *add = nullptr;
  if (!bias)
    bias = biasBehind(n, add, units, 0);
  else
    add = nullptr;
  Tensor x = n.tensor(0);
  if (x && (n.shapeOf(x).empty() || n.shapeOf(x).back() != kernel.dims[0]))
    return n.refuse(formatv("expected rows of {0} elements, got {1}",
                            kernel.dims[0], dimsToText(n.dims(0))));
  Config config("dense", {{"units", units}, {"use_bias", bias.has_value()}});
  std::vector<LayerWeight> weights = {{"kernel", std::move(kernel)}};
  const bool absorbs = bias && add;
  if (bias)
    weights.push_back({"bias", std::move(*bias)});
  Tensor y = n.layer(std::move(config), x, std::move(weights), n.nameFrom(1));
  n.result(y);
  if (absorbs)
    n.absorb(*add, y, Order::AsInFile);
}

static void readMatMul(NodeReader &n) {
  const Constant *kernel = n.constant(1);
  if (!kernel || !kernel->isFloat() || kernel->dims.size() != 2)
    return readComputedMatMul(n);
  readProduct(n, *kernel, std::nullopt);
}

static Constant scaled(Constant x, double factor) {
  if (factor != 1)
    for (float &value : std::get<0>(x.values))
      value *= static_cast<float>(factor);
  return x;
}

static void readGemm(NodeReader &n) {
  const Constant *b = n.constant(1);
  const bool isDense = b && b->isFloat() && b->dims.size() == 2 &&
                       (!n.hasInput(2) || n.constant(2));
  if (!isDense || n.integer("transA", 0))
    return readComputedGemm(n);
  Constant kernel = scaled(n.integer("transB", 0) ? transposed(*b, {1, 0}) : *b,
                           n.number("alpha", 1));
  std::optional<Constant> bias;
  if (n.hasInput(2)) {
    const Constant *c = weight(n, 2, "the third operand");
    if (!c)
      return;
    if (n.lead() == 0 && c->dims.size() == 2 && c->dims[0] != 1)
      return readComputedGemm(n);
    const size_t units = static_cast<size_t>(kernel.dims[1]);
    const bool isRow =
        c->dims.empty() || c->dims.back() == 1 || c->size() == units;
    if ((c->size() != units && c->size() != 1) || !isRow ||
        (c->dims.size() == 2 && c->dims[0] != 1))
      return n.refuse(formatv("expected a third operand of {0} elements, got "
                              "{1}",
                              units, dimsToText(c->dims)));
    bias = scaled(asVector(*c), n.number("beta", 1));
    if (c->size() != units) {
      bias->values = std::vector<float>(units, bias->floats()[0]);
      bias->dims = {static_cast<int64_t>(units)};
    }
  }
  readProduct(n, std::move(kernel), std::move(bias));
}

static void readGather(NodeReader &n) {
  if (n.constant(1))
    return readConstantGather(n);
  const Constant *table = n.constant(0);
  if (!table || !table->isFloat() || table->dims.empty() || !table->size() ||
      n.integer("axis", 0) != 0)
    return n.refuse("expected constant indices, or rows of a constant table");
  Constant rows = *table;
  const Dims row(rows.dims.begin() + 1, rows.dims.end());
  rows.dims = {rows.dims[0], *onnx::countElements(row)};
  Config config("embedding",
                {{"input_dim", rows.dims[0]}, {"output_dim", rows.dims[1]}});
  Tensor y = n.layer(std::move(config), n.tensor(1),
                     {{"embeddings", std::move(rows)}}, n.nameFrom(0));
  Shape shape = sampleOf(n, n.dims(1));
  llvm::append_range(shape, row);
  resultOf(n, y, shape);
}

// ---- The table -------------------------------------------------------------

ArrayRef<OpRule> onnx::weightRules() {
  static const OpRule rules[] = {
      {"Gather", 2, readGather},
      {"Gemm", 2, readGemm},
      {"MatMul", 2, readMatMul},
  };
  return rules;
}

// ---- All tables ------------------------------------------------------------

std::vector<const OpRule *> onnx::findOpRules(StringRef op) {
  std::vector<const OpRule *> found;
  for (ArrayRef<OpRule> table :
       {layerOpRules(), elementwiseRules(), reductionRules(), windowRules(),
        poolingRules(), quantizedRules(), signalRules(), samplingRules(),
        shapeRules(), weightRules(), indexRules(), productRules(), orderRules(),
        sequenceRules(), statisticsRules(), resizeRules(), recurrentRules()})
    for (const OpRule &rule : table)
      if (rule.op == op)
        found.push_back(&rule);
  return found;
}

std::pair<std::string, std::string> onnx::whyUnsupported(StringRef op) {
  static const struct {
    std::vector<StringRef> ops;
    const char *why, *hint;
  } kinds[] = {
      {{"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike",
        "RandomUniform", "RandomUniformLike"},
       "its results are random, and a compiled network gives the same answer "
       "to "
       "the same input",
       "make the random numbers an input of the graph"},
      {{"NonMaxSuppression", "NonZero", "Unique"},
       "the size of its result depends on what its operands hold; here, sizes "
       "are known when the network is compiled",
       "cut the graph before it and do it in the application"},
      {{"RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit",
        "TfIdfVectorizer"},
       "it works on text or its words; networks here compute with numbers",
       "cut the graph behind it and do it in the application"},
      {{"If", "Loop", "Scan", "SequenceMap"},
       "it is written out only where its condition, the number of iterations "
       "(20000 nodes at most) or the length of what is scanned is constant",
       "export the model with the branch or the loop resolved: tracing does "
       "so, and so do simplifiers of ONNX graphs"},
      {{"Optional", "OptionalGetElement", "OptionalHasElement"},
       "optional values are not supported",
       "export the model with tensors in their place"},
  };
  for (const auto &kind : kinds)
    if (llvm::is_contained(kind.ops, op))
      return {kind.why, kind.hint};
  return {"the op is not supported",
          "export the model with standard ops that `sinter import` knows, or "
          "cut the graph before it"};
}
