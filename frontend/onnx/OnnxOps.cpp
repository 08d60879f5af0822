// OnnxOps.cpp - what each ONNX op becomes: one small rule an op, one table at
// the end.
//
// Rules follow https://onnx.ai/onnx/operators, all operator sets from 1 to 22;
// where sets differ, the rule says how. Layers' names and arguments are those
// of `sinter catalog`. A rule that meets what it cannot express refuses the
// node and says why; it never approximates.
#include "frontend/onnx/OnnxConstants.h"
#include "frontend/onnx/OnnxRuleParts.h"

#include "frontend/Layers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

// ---- Helpers ----------------------------------------------------------------

/// [[top, bottom], [left, right]] from the sides of one or two axes.
static Value toSides(ArrayRef<int64_t> low, ArrayRef<int64_t> high) {
  if (low.size() == 1)
    return toList({low[0], high[0]});
  Value::List pairs;
  for (size_t i = 0; i < low.size(); ++i)
    pairs.push_back(toList({low[i], high[i]}));
  return Value(std::move(pairs));
}

/// A number for one axis, a list for several.
static Value toSize(ArrayRef<int64_t> numbers) {
  return numbers.size() == 1 ? Value(numbers[0]) : toList(numbers);
}

static bool isOne(int64_t number) { return number == 1; }

/// The operand's only element, if it is a constant of one.
std::optional<double> onnx::scalar(const NodeReader &n, size_t input) {
  const Constant *value = n.constant(input);
  if (!value || value->size() != 1)
    return std::nullopt;
  return value->number(0);
}

/// A floating constant, or nothing after a refusal.
static const Constant *weight(NodeReader &n, size_t input, StringRef what) {
  const Constant *value = n.constant(input);
  if (value && value->isFloat())
    return value;
  n.refuse(formatv("expected {0} to be a constant, got {1}", what,
                   value ? "whole numbers" : "a tensor that is computed"));
  return nullptr;
}

/// A vector of `size` elements, or nothing after a refusal.
static const Constant *vectorWeight(NodeReader &n, size_t input, StringRef what,
                                    int64_t size) {
  const Constant *value = weight(n, input, what);
  if (value && value->size() != static_cast<size_t>(size)) {
    n.refuse(formatv("expected {0} of {1} elements, got {2}", what, size,
                     dimsToText(value->dims)));
    return nullptr;
  }
  return value;
}

static Constant asVector(const Constant &x) {
  Constant result = x;
  result.dims = {static_cast<int64_t>(x.size())};
  return result;
}

/// The order in which the operand is at hand, without a permute layer.
Order onnx::orderOf(const NodeReader &n, size_t input) {
  return n.input(input).isConstant() ? Order::AsInFile : n.input(input).order;
}

// ---- One operand, elementwise -----------------------------------------------

static void passOn(NodeReader &n) { n.result(n.input(0)); }

/// A layer on the operand in whatever order it is.
static void elementwise(NodeReader &n, Config config) {
  const Order order = orderOf(n, 0);
  n.result(n.layer(std::move(config), n.tensor(0, order)), order);
}

static Config activation(Config which) {
  return Config("activation", {{"activation", std::move(which)}});
}

static void readRelu(NodeReader &n) { elementwise(n, Config("relu")); }
static void readSigmoid(NodeReader &n) {
  elementwise(n, activation("sigmoid"));
}
static void readTanh(NodeReader &n) { elementwise(n, activation("tanh")); }
static void readSoftplus(NodeReader &n) {
  elementwise(n, activation("softplus"));
}
static void readLeakyRelu(NodeReader &n) {
  elementwise(
      n, Config("leaky_relu", {{"negative_slope", n.number("alpha", 0.01)}}));
}
static void readElu(NodeReader &n) {
  elementwise(n, Config("elu", {{"alpha", n.number("alpha", 1.0)}}));
}

static void readSelu(NodeReader &n) {
  const bool isOld = n.opset() < 6;
  const double alpha =
                   n.number("alpha", isOld ? 1.6732 : 1.67326319217681884766),
               gamma =
                   n.number("gamma", isOld ? 1.0507 : 1.05070102214813232422);
  if (std::fabs(alpha - 1.6732632) < 1e-5 &&
      std::fabs(gamma - 1.0507010) < 1e-5)
    return elementwise(n, activation("selu"));
  const Order order = orderOf(n, 0);
  Tensor y = n.layer(Config("elu", {{"alpha", alpha}}), n.tensor(0, order));
  n.result(n.layer(Config("rescaling", {{"scale", gamma}}), y), order);
}

static void readGelu(NodeReader &n) {
  Config gelu("gelu",
              {{"approximate", n.text("approximate", "none") == "tanh"}});
  elementwise(n, activation(std::move(gelu)));
}

static void readHardSigmoid(NodeReader &n) {
  const double alpha = n.number("alpha", 0.2), beta = n.number("beta", 0.5);
  if (beta != 0.5) { // max(0, min(1, alpha x + beta))
    const Order order = orderOf(n, 0);
    Tensor x =
        n.layer(Config("rescaling", {{"scale", alpha}, {"offset", beta}}),
                n.tensor(0, order));
    if (!x)
      return;
    x = n.layer(Config("maximum"), {x, numberLike(n, 0, x)});
    return n.result(n.layer(Config("minimum"), {x, numberLike(n, 1, x)}),
                    order);
  }
  // Keras's has a slope of 1 / 6: the operand is scaled to that.
  const Order order = orderOf(n, 0);
  Tensor x = n.tensor(0, order);
  if (std::fabs(alpha * 6 - 1) > 1e-6)
    x = n.layer(Config("rescaling", {{"scale", alpha * 6}}), x);
  n.result(n.layer(activation("hard_sigmoid"), x), order);
}

/// Ops that are an operation of keras.ops under another name.
static void readUnary(NodeReader &n) {
  static const std::pair<StringRef, const char *> names[] = {
      {"Abs", "absolute"},    {"Acos", "arccos"},
      {"Acosh", "arccosh"},   {"Asin", "arcsin"},
      {"Asinh", "arcsinh"},   {"Atan", "arctan"},
      {"Atanh", "arctanh"},   {"Ceil", "ceil"},
      {"Cos", "cos"},         {"Cosh", "cosh"},
      {"Erf", "erf"},         {"Exp", "exp"},
      {"Floor", "floor"},     {"IsNaN", "isnan"},
      {"Log", "log"},         {"Neg", "negative"},
      {"Not", "logical_not"}, {"Reciprocal", "reciprocal"},
      {"Round", "round"},     {"Sign", "sign"},
      {"Sin", "sin"},         {"Sinh", "sinh"},
      {"Sqrt", "sqrt"},       {"Tan", "tan"},
  };
  for (auto [op, layer] : names)
    if (op == n.op())
      return elementwise(n, Config(layer));
}

/// A number that all elements are compared or computed with.
Tensor onnx::numberLike(NodeReader &n, double number, Tensor like) {
  Constant value;
  value.dims = Dims(n.shapeOf(like).size(), 1);
  value.values = std::vector<float>{static_cast<float>(number)};
  return n.frozen(std::move(value));
}

static void readIsInf(NodeReader &n) {
  const bool above = n.integer("detect_positive", 1) != 0,
             below = n.integer("detect_negative", 1) != 0;
  if (!above && !below)
    return n.refuse("expected an infinity to look for");
  if (above && below)
    return elementwise(n, Config("isinf"));
  const Order order = orderOf(n, 0);
  Tensor x = n.tensor(0, order);
  if (!x)
    return;
  Tensor side =
      n.layer(Config(above ? "greater" : "less"), {x, numberLike(n, 0, x)});
  n.result(n.layer(Config("multiply"), {n.layer(Config("isinf"), x), side}),
           order);
}

static void readSoftsign(NodeReader &n) {
  elementwise(n, activation("softsign"));
}
static void readMish(NodeReader &n) { elementwise(n, activation("mish")); }
static void readHardSwish(NodeReader &n) {
  elementwise(n, activation("hard_silu"));
}
static void readCelu(NodeReader &n) {
  elementwise(n,
              activation(Config("celu", {{"alpha", n.number("alpha", 1.0)}})));
}

static void readShrink(NodeReader &n) {
  const double threshold = n.number("lambd", 0.5), bias = n.number("bias", 0);
  if (bias != 0 && bias != threshold)
    return n.refuse(
        formatv("expected bias 0 or lambd, {0}, got {1}", threshold, bias));
  elementwise(n, activation(Config(bias == 0 ? "hard_shrink" : "soft_shrink",
                                   {{"threshold", threshold}})));
}

static void readThresholdedRelu(NodeReader &n) {
  const Order order = orderOf(n, 0);
  Tensor x = n.tensor(0, order);
  if (!x)
    return;
  Tensor above =
      n.layer(Config("greater"), {x, numberLike(n, n.number("alpha", 1), x)});
  n.result(n.layer(Config("multiply"), {above, x}), order);
}

/// Between two numbers, either of which may be missing.
static void readClip(NodeReader &n) {
  std::optional<double> low, high;
  if (n.has("min"))
    low = n.number("min", 0);
  if (n.has("max"))
    high = n.number("max", 0);
  for (size_t i : {1, 2})
    if (n.hasInput(i)) {
      std::optional<double> given = scalar(n, i);
      if (!given)
        return n.refuse("expected constant limits");
      (i == 1 ? low : high) = given;
    }
  const Order order = orderOf(n, 0);
  Tensor x = n.tensor(0, order);
  if (!x)
    return;
  if (low == 0.0 && high == 6.0)
    return n.result(n.layer(activation("relu6"), x), order);
  if (low)
    x = n.layer(Config("maximum"), {x, numberLike(n, *low, x)});
  if (high && x)
    x = n.layer(Config("minimum"), {x, numberLike(n, *high, x)});
  n.result(x, order);
}

static void readDropout(NodeReader &n) {
  if (n.refuseResultsFrom(1))
    return;
  if (n.hasInput(2) && scalar(n, 2) != 0.0)
    return n.refuse("expected training_mode to be a constant 'false'",
                    "export the model in inference mode; training turns "
                    "dropout on again");
  double rate = n.number("ratio", 0.5);
  if (n.hasInput(1)) {
    std::optional<double> given = scalar(n, 1);
    if (!given)
      return n.refuse("expected a constant ratio");
    rate = *given;
  }
  elementwise(n, Config("dropout", {{"rate", rate}}));
}

static void readCast(NodeReader &n) {
  const ElementType to = n.op() == "Cast" ? n.castTo() : n.type(1);
  const Order order = orderOf(n, 0);
  auto layer = [&](StringRef name) {
    n.result(n.layer(Config(name.str()), n.tensor(0, order)), order);
  };
  if (to == ElementType::String || n.type(0) == ElementType::String)
    return n.refuse("strings are not supported");
  if (to == ElementType::Bool && n.type(0) != ElementType::Bool) {
    layer("logical_not");
    n.rework("logical_not");
  } else if (!isFloating(to) && !n.isInteger(0) && !n.onlyReader("Gather")) {
    // (Rows of a table are whole numbers anyway.)
    layer("trunc");
  } else {
    n.result(n.tensor(0, order), order);
    if (!isFloating(n.type(0)) && n.type(0) != to)
      n.wrapInto(to);
  }
}

// ---- Softmax ----------------------------------------------------------------

/// Along one axis; before set 13, over all axes from it on.
static void readSoftmax(NodeReader &n, Config config) {
  const Dims dims = n.dims(0);
  const int64_t rank = rankOf(dims);
  std::optional<int64_t> axis =
      n.axisOf(n.integer("axis", n.opset() < 13 ? 1 : -1), rank);
  if (!axis)
    return;
  if (*axis < n.lead())
    return n.refuse("it runs over the samples of a batch");
  if (*axis == rank - 1)
    return n.result(n.layer(config, n.tensor(0)));
  if (n.opset() >= 13) {
    if (*axis == n.lead())
      return n.result(n.layer(config, n.tensor(0, Order::ChannelsLast)),
                      Order::ChannelsLast);
    // The axis goes last and comes back: an exchange is its own inverse.
    std::vector<int64_t> exchange = counting(1, rank - n.lead() + 1);
    std::swap(exchange[*axis - n.lead()], exchange.back());
    Config permute("permute", {{"dims", toList(exchange)}});
    Tensor y = n.layer(config, n.layer(permute, n.tensor(0)));
    return n.result(n.layer(permute, y));
  }
  if (*axis != n.lead())
    return n.refuse("expected axis 1 or the last one, got axis " +
                    std::to_string(*axis));
  Tensor x = n.tensor(0);
  if (!x)
    return;
  const Shape shape = n.shapeOf(x);
  Tensor y = n.layer(config, n.layer(Config("flatten"), x));
  n.result(n.layer(Config("reshape", {{"target_shape", toList(shape)}}), y));
}

static void readSoftmax(NodeReader &n) {
  readSoftmax(n, activation("softmax"));
}
static void readLogSoftmax(NodeReader &n) {
  readSoftmax(n, activation("log_softmax"));
}

// ---- Two and more operands, elementwise -------------------------------------

/// As operator sets before 7 have it: the axes of the second operand are those
/// of the first one from `axis` on.
static void mergeAlongAxis(NodeReader &n, StringRef layer) {
  const Dims dims = n.dims(0), own = n.dims(1);
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rankOf(dims));
  if (!axis)
    return;
  const int64_t behind = rankOf(dims) - *axis - rankOf(own);
  if (behind < 0)
    return n.refuse("expected an axis of " + dimsToText(dims) +
                    " behind which there is place for " + dimsToText(own));
  if (!n.input(1).isConstant())
    return n.refuse("expected a constant second operand with its axis");
  Operand second = n.input(1);
  Constant stretched = *second.constant;
  stretched.dims.insert(stretched.dims.end(), behind, 1);
  second.constant = std::make_shared<Constant>(std::move(stretched));
  const Order order = orderOf(n, 0);
  Tensor y = n.parameter(second, rankOf(dims) - n.lead(), order);
  n.result(n.layer(Config(layer.str()), {n.tensor(0, order), y}), order);
}

/// A layer on operands that broadcast, all in one order.
static void merge(NodeReader &n, StringRef layer) {
  if (n.opset() < 7 && n.has("axis"))
    return mergeAlongAxis(n, layer);
  int64_t rank = 0;
  Order order = Order::AsInFile;
  for (size_t i = 0; i < n.numInputs(); ++i) {
    rank = std::max(rank, rankOf(n.dims(i)));
    if (orderOf(n, i) == Order::ChannelsLast)
      order = Order::ChannelsLast;
  }
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < n.numInputs(); ++i) {
    const Operand &operand = n.input(i);
    if (operand.isConstant()) {
      inputs.push_back(n.parameter(operand, rank - n.lead(), order));
      continue;
    }
    const int64_t own = rankOf(n.dims(i));
    if (own == rank) {
      inputs.push_back(n.tensor(i, order));
      continue;
    }
    if (n.lead() == 1)
      return n.refuse("operands of different rank would mix samples");
    Tensor x = n.tensor(i);
    if (!x)
      return;
    Shape shape = n.dims(i);
    shape.insert(shape.begin(), rank - own, 1);
    inputs.push_back(
        n.layer(Config("reshape", {{"target_shape", toList(shape)}}), x));
  }
  if (inputs.size() == 1)
    return passOn(n);
  n.result(n.layer(Config(layer.str()), inputs), order);
}

/// The operand that is not the number, where the other is one.
static std::optional<std::pair<size_t, double>> besideNumber(NodeReader &n) {
  for (size_t i = 0; i < 2; ++i)
    if (std::optional<double> number = scalar(n, i))
      if (rankOf(n.input(i).constant->dims) <= rankOf(n.dims(1 - i)))
        return std::pair(1 - i, *number);
  return std::nullopt;
}

static void rescale(NodeReader &n, size_t input, double scale, double offset) {
  const Order order = orderOf(n, input);
  n.result(n.layer(Config("rescaling", {{"scale", scale}, {"offset", offset}}),
                   n.tensor(input, order)),
           order);
}

static void readAdd(NodeReader &n) {
  if (auto beside = besideNumber(n); beside && !n.isInteger(0))
    return rescale(n, beside->first, 1, beside->second);
  merge(n, "add");
  n.wrapInto(n.type(0));
}
static void readSub(NodeReader &n) {
  if (auto beside = besideNumber(n); beside && !n.isInteger(0)) {
    const bool isRight = beside->first == 0; // x - number
    return rescale(n, beside->first, isRight ? 1 : -1,
                   isRight ? -beside->second : beside->second);
  }
  merge(n, "subtract");
  n.wrapInto(n.type(0));
}
static void readMul(NodeReader &n) {
  if (auto beside = besideNumber(n); beside && !n.isInteger(0))
    return rescale(n, beside->first, beside->second, 0);
  merge(n, "multiply");
  n.wrapInto(n.type(0));
}
static void readDiv(NodeReader &n) {
  if (n.isInteger(0)) {
    merge(n, "divide");
    return n.rework("trunc");
  }
  if (auto beside = besideNumber(n); beside && beside->first == 0)
    return rescale(n, 0, 1 / beside->second, 0);
  merge(n, "divide");
}

/// Ops of two and three operands that are an operation of keras.ops.
static void readMerge(NodeReader &n) {
  static const std::pair<StringRef, StringRef> names[] = {
      {"And", "logical_and"}, {"Equal", "equal"},
      {"Greater", "greater"}, {"GreaterOrEqual", "greater_equal"},
      {"Less", "less"},       {"LessOrEqual", "less_equal"},
      {"Or", "logical_or"},   {"Where", "where"},
      {"Xor", "logical_xor"},
  };
  for (auto [op, layer] : names)
    if (op == n.op())
      return merge(n, layer);
}

static void readPow(NodeReader &n) {
  const Order order = orderOf(n, 0);
  std::optional<double> exponent = scalar(n, 1);
  if (exponent == 2.0 || exponent == 0.5)
    return n.result(
        n.layer(Config(*exponent == 2 ? "square" : "sqrt"), n.tensor(0, order)),
        order);
  merge(n, "power");
  if (n.isInteger(0) && n.isInteger(1)) // by logarithms: near a whole number
    n.rework("round");
}

static void readMod(NodeReader &n) {
  if (!n.integer("fmod", 0))
    return merge(n, "mod");
  // The sign of the first operand: mod of the sizes times that.
  if (n.lead() == 1 && rankOf(n.dims(0)) != rankOf(n.dims(1)) &&
      !n.input(1).isConstant())
    return n.refuse("operands of different rank would mix samples");
  merge(n, "divide");
  n.rework("trunc");
  n.reworkWith([&](Tensor quotient, Order order) {
    const int64_t rank =
        std::max(rankOf(n.dims(0)), rankOf(n.dims(1))) - n.lead();
    auto operand = [&](size_t i) {
      return n.input(i).isConstant() ? n.parameter(n.input(i), rank, order)
                                     : n.tensor(i, order);
    };
    return n.layer(
        Config("subtract"),
        {operand(0), n.layer(Config("multiply"), {quotient, operand(1)})});
  });
}

static void readPRelu(NodeReader &n) {
  const Constant *slope = weight(n, 1, "the slope");
  if (!slope)
    return;
  const Order order = orderOf(n, 0);
  Tensor x = n.tensor(0, order);
  if (!x)
    return;
  const int64_t rank = rankOf(n.dims(0)) - n.lead();
  // relu(x) - slope relu(-x)
  Tensor below = n.layer(Config("relu"), n.layer(Config("negative"), x));
  Operand slopes = n.input(1);
  if (n.opset() < 7 && slope->size() > 1) { // one for each channel
    Constant wide = asVector(*slope);
    wide.dims.resize(std::max<int64_t>(rankOf(n.dims(0)) - 1, 1), 1);
    slopes.constant = std::make_shared<Constant>(std::move(wide));
  }
  below =
      n.layer(Config("multiply"), {below, n.parameter(slopes, rank, order)});
  n.result(n.layer(Config("subtract"), {n.layer(Config("relu"), x), below}),
           order);
}
static void readSum(NodeReader &n) { merge(n, "add"); }
static void readMean(NodeReader &n) { merge(n, "average"); }
static void readMax(NodeReader &n) { merge(n, "maximum"); }
static void readMin(NodeReader &n) { merge(n, "minimum"); }

// ---- Products with weights --------------------------------------------------

/// The vector that an Add right behind adds to the last axis, or to the
/// channels of an image; it becomes the layer's bias.
static std::optional<Constant> biasBehind(NodeReader &n, const Node *&add,
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

// ---- Windows ----------------------------------------------------------------

namespace {
/// The attributes of convolutions and pooling, one number for each axis of
/// space.
struct Windows {
  std::vector<int64_t> taps, strides, dilations, low, high;
  /// The padding is what Keras calls 'same' for images of this size.
  bool isSame = false;

  bool isPadded() const {
    return llvm::any_of(low, [](int64_t x) { return x != 0; }) ||
           llvm::any_of(high, [](int64_t x) { return x != 0; });
  }
  /// All zeros before a sequence: no step sees a later one.
  bool isCausal() const {
    return taps.size() == 1 && isPadded() && high[0] == 0 &&
           low[0] == (taps[0] - 1) * dilations[0];
  }
  Value padding() const {
    if (isPadded() && !isSame)
      return toSides(low, high);
    return isPadded() ? "same" : "valid";
  }
};
} // namespace

/// Nothing after a refusal. `taps` is the kernel's size, where the op has one
/// as operand.
static std::optional<Windows> readWindows(NodeReader &n,
                                          std::vector<int64_t> taps = {}) {
  const Dims dims = n.dims(0);
  const size_t space = dims.size() - 1 - n.lead();
  if (static_cast<int64_t>(dims.size()) - 1 - n.lead() < 1 || space > 2) {
    n.refuse("expected sequences (N, C, L) or images (N, C, H, W), got " +
             dimsToText(dims));
    return std::nullopt;
  }
  Windows w;
  const std::vector<int64_t> ones(space, 1);
  w.taps = n.integers("kernel_shape", taps);
  w.strides = n.integers("strides", ones);
  w.dilations = n.integers("dilations", ones);
  std::vector<int64_t> pads =
      n.integers("pads", std::vector<int64_t>(2 * space, 0));
  auto inRange = [](ArrayRef<int64_t> numbers, int64_t low) {
    return llvm::all_of(numbers, [&](int64_t x) {
      return x >= low && x <= (int64_t(1) << 20);
    });
  };
  if (w.taps.size() != space || w.strides.size() != space ||
      w.dilations.size() != space || pads.size() != 2 * space ||
      !inRange(w.taps, 1) || !inRange(w.strides, 1) ||
      !inRange(w.dilations, 1) || !inRange(pads, 0)) {
    n.refuse(formatv("expected kernel_shape, strides, dilations and pads of "
                     "{0} axes, in range",
                     space));
    return std::nullopt;
  }
  w.low.assign(pads.begin(), pads.begin() + space);
  w.high.assign(pads.begin() + space, pads.end());
  const std::string rule = n.text("auto_pad", "NOTSET");
  for (size_t i = 0; i < space; ++i) {
    const int64_t pixels = dims[n.lead() + 1 + i],
                  reach = (w.taps[i] - 1) * w.dilations[i] + 1;
    if (rule == "SAME_UPPER" || rule == "SAME_LOWER") {
      const int64_t windows = (pixels + w.strides[i] - 1) / w.strides[i];
      const int64_t missing =
          std::max<int64_t>((windows - 1) * w.strides[i] + reach - pixels, 0);
      w.low[i] = rule == "SAME_UPPER" ? missing / 2 : missing - missing / 2;
      w.high[i] = missing - w.low[i];
    } else if (rule == "VALID") {
      w.low[i] = w.high[i] = 0;
    } else if (rule != "NOTSET" && !rule.empty()) {
      n.refuse("expected auto_pad to be one of ONNX's, got '" +
               printable(rule) + "'");
      return std::nullopt;
    }
    // A last window that the padding does not fill.
    if (n.integer("ceil_mode", 0)) {
      const int64_t room = pixels + w.low[i] + w.high[i] - reach;
      int64_t extra =
          room < 0 ? 0 : (w.strides[i] - room % w.strides[i]) % w.strides[i];
      // It must begin within the image or its padding before.
      const int64_t start = room + extra;
      if (extra && start < pixels + w.low[i])
        w.high[i] += extra;
    }
  }
  w.isSame = llvm::all_of(llvm::seq<size_t>(0, space), [&](size_t i) {
    const int64_t pixels = dims[n.lead() + 1 + i], stride = w.strides[i],
                  reach = (w.taps[i] - 1) * w.dilations[i] + 1,
                  windows = (pixels + stride - 1) / stride;
    const int64_t missing =
        std::max<int64_t>((windows - 1) * stride + reach - pixels, 0);
    return w.low[i] == missing / 2 && w.high[i] == missing - missing / 2;
  });
  return w;
}

/// The order of a result of images or sequences.
static constexpr Order kImages = Order::ChannelsLast;

/// (out, in, H, W) to (H, W, in, out).
static Constant toFilter(const Constant &w) {
  std::vector<int64_t> axes = counting(2, w.dims.size());
  axes.push_back(1);
  axes.push_back(0);
  return transposed(w, axes);
}

static void readConv(NodeReader &n) {
  const Dims dims = n.dims(0);
  const Constant *w = weight(n, 1, "the filters");
  if (!w)
    return;
  if (w->dims.size() != dims.size() + 1 - n.lead() || dims.size() < 2 ||
      w->size() == 0)
    return n.refuse("expected filters (out, in, ...) for images of " +
                    dimsToText(dims) + ", got " + dimsToText(w->dims));
  std::optional<Windows> windows =
      readWindows(n, std::vector<int64_t>(w->dims.begin() + 2, w->dims.end()));
  if (!windows)
    return;
  const int64_t filters = w->dims[0], channels = dims[n.lead()],
                groups = n.integer("group", 1),
                space = rankOf(dims) - 1 - n.lead();
  if (groups < 1 || w->dims[1] != channels / groups || channels % groups != 0 ||
      !std::equal(windows->taps.begin(), windows->taps.end(),
                  w->dims.begin() + 2))
    return n.refuse(formatv("expected filters for {0} channels in {1} groups "
                            "with kernel_shape {2}, got {3}",
                            channels, groups, dimsToText(windows->taps),
                            dimsToText(w->dims)));
  std::optional<Constant> bias;
  const Node *add = nullptr;
  if (n.hasInput(2)) {
    const Constant *b = vectorWeight(n, 2, "the bias", filters);
    if (!b)
      return;
    bias = asVector(*b);
  } else {
    bias = biasBehind(n, add, filters, space);
  }
  const bool isDepthwise =
      groups > 1 && groups == channels && space == 2 && filters % groups == 0;
  Config config(
      isDepthwise  ? "depthwise_conv2d"
      : space == 1 ? "conv1d"
                   : "conv2d",
      {{"kernel_size", toSize(windows->taps)},
       {"strides", toSize(windows->strides)},
       {"padding", windows->isCausal() ? Value("causal") : windows->padding()},
       {"dilation_rate", toSize(windows->dilations)},
       {"use_bias", bias.has_value()}});
  Constant kernel = toFilter(*w);
  if (isDepthwise) { // (H, W, 1, C M) to (H, W, C, M)
    config.args.push_back({"depth_multiplier", filters / channels});
    kernel.dims[2] = channels;
    kernel.dims[3] = filters / channels;
  } else {
    config.args.push_back({"filters", filters});
    if (groups != 1)
      config.args.push_back({"groups", groups});
  }
  std::vector<LayerWeight> weights = {{"kernel", std::move(kernel)}};
  const bool absorbs = bias && add;
  if (bias)
    weights.push_back({"bias", std::move(*bias)});
  Tensor y = n.layer(std::move(config), n.tensor(0, kImages),
                     std::move(weights), n.nameFrom(1));
  n.result(y, kImages);
  if (absorbs)
    n.absorb(*add, y, kImages);
}

static void readConvTranspose(NodeReader &n) {
  const Dims dims = n.dims(0);
  const Constant *w = weight(n, 1, "the filters");
  if (!w)
    return;
  if (rankOf(dims) != 3 + n.lead() || w->dims.size() != 4 || w->size() == 0)
    return n.refuse("expected images (N, C, H, W) and filters (in, out, H, W), "
                    "got " +
                    dimsToText(dims) + " and " + dimsToText(w->dims));
  if (n.integer("group", 1) != 1)
    return n.refuse("groups are not supported");
  std::optional<Windows> windows = readWindows(n, {w->dims[2], w->dims[3]});
  if (!windows)
    return;
  const int64_t channels = dims[n.lead()], filters = w->dims[1];
  if (w->dims[0] != channels || windows->taps[0] != w->dims[2] ||
      windows->taps[1] != w->dims[3])
    return n.refuse(formatv("expected filters for {0} channels, got {1}",
                            channels, dimsToText(w->dims)));
  std::vector<int64_t> extra = n.integers("output_padding", {0, 0});
  const std::string rule = n.text("auto_pad", "NOTSET");
  const bool same = StringRef(rule).starts_with("SAME");
  const std::vector<int64_t> wanted = n.integers("output_shape");
  if (extra.size() != 2 || (!wanted.empty() && wanted.size() < 2))
    return n.refuse("expected output_padding and output_shape of two axes");
  for (int i = 0; i < 2 && (same || !wanted.empty()); ++i) {
    const int64_t pixels = dims[n.lead() + 1 + i],
                  size = wanted.empty() ? pixels * windows->strides[i]
                                        : wanted[wanted.size() - 2 + i],
                  reach = (windows->taps[i] - 1) * windows->dilations[i] + 1;
    int64_t total =
        (pixels - 1) * windows->strides[i] + reach + extra[i] - size;
    if (total < 0) { // the result is longer than the windows reach
      extra[i] -= total;
      total = 0;
    }
    windows->low[i] = rule == "SAME_UPPER" ? total / 2 : total - total / 2;
    windows->high[i] = total - windows->low[i];
  }
  std::optional<Constant> bias;
  if (n.hasInput(2)) {
    const Constant *b = vectorWeight(n, 2, "the bias", filters);
    if (!b)
      return;
    bias = asVector(*b);
  }
  // Numbers even where all are 0: Keras's 'valid' may have another size.
  Value padding = toSides(windows->low, windows->high);
  auto isWord = [&](bool same) {
    return llvm::all_of(llvm::seq(0, 2), [&](int i) {
      const int64_t stride = windows->strides[i],
                    reach = (windows->taps[i] - 1) * windows->dilations[i] + 1;
      // What the windows reach beyond the result, or that beyond these.
      const int64_t missing = same ? std::max<int64_t>(reach - stride, 0) : 0;
      return windows->low[i] == missing / 2 &&
             windows->high[i] == missing - missing / 2 &&
             extra[i] == std::max<int64_t>(stride - reach, 0);
    });
  };
  if (isWord(true) || isWord(false)) {
    padding = isWord(true) ? "same" : "valid";
    extra = {0, 0}; // the words imply it
  }
  Config config("conv2d_transpose",
                {{"filters", filters},
                 {"kernel_size", toSize(windows->taps)},
                 {"strides", toSize(windows->strides)},
                 {"padding", std::move(padding)},
                 {"dilation_rate", toSize(windows->dilations)},
                 {"use_bias", bias.has_value()}});
  if (extra[0] || extra[1])
    config.args.push_back({"output_padding", toList(extra)});
  std::vector<LayerWeight> weights = {{"kernel", transposed(*w, {2, 3, 1, 0})}};
  if (bias)
    weights.push_back({"bias", std::move(*bias)});
  n.result(n.layer(std::move(config), n.tensor(0, kImages), std::move(weights),
                   n.nameFrom(1)),
           kImages);
}

static std::string ranked(StringRef layer, size_t axes) {
  return (layer + (axes == 1 ? "1d" : "2d")).str();
}

static Config poolConfig(StringRef layer, const Windows &w, Value padding) {
  return Config(ranked(layer, w.taps.size()),
                {{"pool_size", toSize(w.taps)},
                 {"strides", toSize(w.strides)},
                 {"padding", std::move(padding)}});
}

static void readMaxPool(NodeReader &n) {
  if (n.refuseResultsFrom(1))
    return;
  std::optional<Windows> windows = readWindows(n);
  if (!windows)
    return;
  if (!llvm::all_of(windows->dilations, isOne))
    return n.refuse("dilated pooling is not supported");
  n.result(n.layer(poolConfig("max_pooling", *windows, windows->padding()),
                   n.tensor(0, kImages)),
           kImages);
}

static void readAveragePool(NodeReader &n) {
  std::optional<Windows> windows = readWindows(n);
  if (!windows)
    return;
  if (!llvm::all_of(windows->dilations, isOne))
    return n.refuse("dilated pooling is not supported");
  Tensor x = n.tensor(0, kImages);
  Value padding = windows->padding();
  if (n.integer("count_include_pad", 0) && windows->isPadded()) {
    if (n.integer("ceil_mode", 0))
      return n.refuse("count_include_pad together with ceil_mode is not "
                      "supported");
    x = n.layer(Config(ranked("zero_padding", windows->taps.size()),
                       {{"padding", toSides(windows->low, windows->high)}}),
                x);
    padding = Value("valid");
  }
  n.result(n.layer(poolConfig("average_pooling", *windows, padding), x),
           kImages);
}

static void readGlobalPool(NodeReader &n, StringRef layer) {
  const int64_t space = rankOf(n.dims(0)) - 1 - n.lead();
  if (space < 1 || space > 2)
    return n.refuse(
        "expected sequences (N, C, L) or images (N, C, H, W), got " +
        dimsToText(n.dims(0)));
  n.result(n.layer(Config(ranked(layer, space), {{"keepdims", true}}),
                   n.tensor(0, kImages)),
           kImages);
}
static void readGlobalAveragePool(NodeReader &n) {
  readGlobalPool(n, "global_average_pooling");
}
static void readGlobalMaxPool(NodeReader &n) {
  readGlobalPool(n, "global_max_pooling");
}

/// A mean or maximum over all axes of space as global pooling; false: it is
/// another one.
static bool readPixelReduction(NodeReader &n, std::vector<int64_t> axes) {
  const Dims dims = n.dims(0);
  const int64_t rank = rankOf(dims), space = rank - 1 - n.lead();
  const StringRef layer = n.op() == "ReduceMean"  ? "global_average_pooling"
                          : n.op() == "ReduceMax" ? "global_max_pooling"
                                                  : "";
  if (layer.empty() || space < 1 || space > 2)
    return false;
  llvm::sort(axes);
  const auto is = [&](int64_t first) {
    return llvm::equal(axes, llvm::seq<int64_t>(first, first + space));
  };
  const bool keeps = n.integer("keepdims", 1);
  Config config(ranked(layer, space), {{"keepdims", keeps}});
  const Order order = keeps ? kImages : Order::AsInFile;
  if (is(n.lead() + 1)) // (N, C, H, W)
    n.result(n.layer(std::move(config), n.tensor(0, kImages)), order);
  else if (is(n.lead())) // (N, H, W, C): as in the file, channels are last
    n.result(n.layer(std::move(config), n.tensor(0)));
  else
    return false;
  return true;
}

static void readReduction(NodeReader &n) {
  struct Steps {
    StringRef op;
    const char *before, *reduction, *after; // null: nothing
  };
  static const Steps all[] = {
      {"ReduceL1", "absolute", "sum", nullptr},
      {"ReduceL2", "square", "sum", "sqrt"},
      {"ReduceLogSum", nullptr, "sum", "log"},
      {"ReduceLogSumExp", nullptr, "logsumexp", nullptr},
      {"ReduceMax", nullptr, "max", nullptr},
      {"ReduceMean", nullptr, "mean", nullptr},
      {"ReduceMin", nullptr, "min", nullptr},
      {"ReduceProd", nullptr, "prod", nullptr},
      {"ReduceSum", nullptr, "sum", nullptr},
      {"ReduceSumSquare", "square", "sum", nullptr},
  };
  const int64_t rank = rankOf(n.dims(0));
  std::optional<std::vector<int64_t>> axes = n.list("axes", 1);
  if (!axes && n.hasInput(1))
    return n.refuse("expected constant axes");
  if ((!axes || axes->empty()) && n.integer("noop_with_empty_axes", 0))
    return passOn(n);
  if (!axes || axes->empty())
    axes = counting(0, rank);
  std::vector<int64_t> positions;
  for (int64_t &given : *axes) {
    std::optional<int64_t> axis = n.axisOf(given, rank);
    if (!axis)
      return;
    if (*axis < n.lead())
      return n.refuse("it runs over the samples of a batch");
    given = *axis;
    positions.push_back(*axis + 1 - n.lead());
  }
  if (readPixelReduction(n, *axes))
    return;
  for (const Steps &steps : all) {
    if (steps.op != n.op())
      continue;
    Tensor x = n.tensor(0);
    if (steps.before)
      x = n.layer(Config(steps.before), x);
    if (!positions.empty())
      x = n.layer(Config(steps.reduction,
                         {{"axis", toList(positions)},
                          {"keepdims", n.integer("keepdims", 1) != 0}}),
                  x);
    if (steps.after)
      x = n.layer(Config(steps.after), x);
    if (!n.integer("keepdims", 1) &&
        static_cast<int64_t>(positions.size()) == rank - n.lead())
      n.scalarResult(x);
    else
      n.result(x);
  }
}

/// The last place of the extreme element: the largest index where it is.
static void readLastArg(NodeReader &n, int64_t axis) {
  const int64_t rank = rankOf(n.dims(0)), size = n.dims(0)[axis];
  const Value at = toList({axis + 1 - n.lead()});
  Tensor x = n.tensor(0);
  Tensor extreme = n.layer(Config(n.op() == "ArgMax" ? "max" : "min",
                                  {{"axis", at}, {"keepdims", true}}),
                           x);
  Constant places;
  places.dims = Dims(rank - n.lead(), 1);
  places.dims[axis - n.lead()] = size;
  std::vector<float> numbers;
  for (int64_t i = 0; i < size; ++i)
    numbers.push_back(static_cast<float>(i));
  places.values = std::move(numbers);
  Tensor isExtreme = n.layer(Config("equal"), {x, extreme});
  Tensor candidates =
      n.layer(Config("multiply"), {isExtreme, n.frozen(std::move(places))});
  const bool keeps = n.integer("keepdims", 1) != 0;
  Tensor y =
      n.layer(Config("max", {{"axis", at}, {"keepdims", keeps}}), candidates);
  if (!keeps && rank - n.lead() == 1)
    n.scalarResult(y);
  else
    n.result(y);
}

static void readArg(NodeReader &n) {
  const int64_t rank = rankOf(n.dims(0));
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rank);
  if (!axis)
    return;
  if (*axis < n.lead())
    return n.refuse("it runs over the samples of a batch");
  if (n.integer("select_last_index", 0))
    return readLastArg(n, *axis);
  Tensor y = n.layer(Config(n.op() == "ArgMax" ? "argmax" : "argmin",
                            {{"axis", *axis + 1 - n.lead()},
                             {"keepdims", n.integer("keepdims", 1) != 0}}),
                     n.tensor(0));
  if (!n.integer("keepdims", 1) && rank - n.lead() == 1)
    n.scalarResult(y);
  else
    n.result(y);
}

// ---- Normalisation ----------------------------------------------------------

static void readBatchNormalization(NodeReader &n) {
  if (n.refuseResultsFrom(1))
    return;
  if (n.opset() < 9 && n.integer("spatial", 1) != 1)
    return n.refuse("expected spatial 1: one mean for each channel");
  if (n.opset() < 7 && !n.integer("is_test", 0))
    return n.refuse("expected is_test 1, got 0",
                    "export the model in inference mode; training turns its "
                    "statistics on again");
  if (n.opset() >= 14 && n.integer("training_mode", 0))
    return n.refuse("training_mode 1 is not supported",
                    "export the model in inference mode; training turns its "
                    "statistics on again");
  const Dims dims = n.dims(0);
  if (rankOf(dims) <= n.lead())
    return n.refuse("expected channels, got " + dimsToText(dims));
  const int64_t channels = dims[n.lead()];
  static const char *const names[] = {"gamma", "beta", "moving_mean",
                                      "moving_variance"};
  std::vector<LayerWeight> weights;
  for (size_t i = 0; i < 4; ++i) {
    const Constant *value =
        vectorWeight(n, i + 1, "scale, bias, mean and variance", channels);
    if (!value)
      return;
    weights.push_back({names[i], asVector(*value)});
  }
  StringRef name = n.input(1).initializer;
  const bool named =
      name.consume_back(".weight") || name.consume_back("/gamma");
  Config config("batch_normalization",
                {{"momentum", n.number("momentum", 0.9)},
                 {"epsilon", n.number("epsilon", 1e-5)}});
  const Order order = rankOf(dims) > n.lead() + 1 ? kImages : Order::AsInFile;
  n.result(n.layer(std::move(config), n.tensor(0, order), std::move(weights),
                   named ? name : StringRef()),
           order);
}

// ---- Shapes -----------------------------------------------------------------

/// The operand's elements under new sizes, ONNX's, the batch in front.
static void reshapeTo(NodeReader &n, const Dims &dims) {
  Shape shape(dims.begin() + n.lead(), dims.end());
  const bool isScalar = shape.empty();
  if (isScalar)
    shape = {1};
  Tensor x = n.tensor(0);
  if (!x)
    return;
  auto finish = [&](Tensor y) {
    Operand operand;
    operand.tensor = y;
    operand.isScalar = isScalar;
    n.result(std::move(operand));
  };
  if (n.shapeOf(x) == shape)
    return finish(x);
  Config config = shape.size() == 1
                      ? Config("flatten")
                      : Config("reshape", {{"target_shape", toList(shape)}});
  finish(n.layer(std::move(config), x));
}

static void readReshape(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<std::vector<int64_t>> target = n.list("shape", 1);
  if (!target)
    return n.refuse("expected a constant shape");
  Dims dims = *target;
  const Dims sample(from.begin() + n.lead(), from.end());
  const int64_t count = *onnx::countElements(sample);
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] == 0 && !n.integer("allowzero", 0)) {
      if (i >= from.size())
        return n.refuse("expected 0 in the shape to stand for a size");
      dims[i] = from[i];
    }
  if (n.lead() == 1) {
    // The batch: as it is, as the file counts it, or what remains.
    Dims rest(dims.begin() + (dims.empty() ? 0 : 1), dims.end());
    const bool restIsSample = onnx::countElements(rest) == count;
    if (dims.empty() || (dims[0] != kBatch && dims[0] != n.fileBatch() &&
                         !(dims[0] == -1 && restIsSample)))
      return n.refuse("the shape " + dimsToText(*target) +
                      " mixes the samples of a batch of " + dimsToText(from));
    dims[0] = kBatch;
  }
  int64_t known = 1;
  int64_t *open = nullptr;
  for (size_t i = n.lead(); i < dims.size(); ++i)
    if (dims[i] == -1 && !open)
      open = &dims[i];
    else if (dims[i] < 1 || dims[i] > count)
      return n.refuse("the shape " + dimsToText(*target) + " does not hold " +
                      dimsToText(from));
    else if (known *= dims[i]; known > count)
      return n.refuse("the shape " + dimsToText(*target) + " does not hold " +
                      dimsToText(from));
  if (open)
    *open = count / known;
  if (known * (open ? *open : 1) != count)
    return n.refuse("the shape " + dimsToText(*target) + " does not hold " +
                    dimsToText(from));
  reshapeTo(n, dims);
}

static void readFlatten(NodeReader &n) {
  const Dims from = n.dims(0);
  int64_t axis = n.integer("axis", 1);
  axis += axis < 0 ? rankOf(from) : 0;
  if (axis < 0 || axis > rankOf(from))
    return n.refuse("expected an axis of its operand");
  if (n.lead() == 1) {
    if (axis != 1)
      return n.refuse("axis " + std::to_string(axis) +
                      " mixes the samples of a batch");
    return reshapeTo(
        n, {kBatch, *onnx::countElements(Dims(from.begin() + 1, from.end()))});
  }
  Dims dims = {1, 1};
  for (int64_t i = 0; i < rankOf(from); ++i)
    dims[i >= axis] *= from[i];
  reshapeTo(n, dims);
}

static void readUnsqueeze(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<std::vector<int64_t>> axes = n.list("axes", 1);
  if (!axes)
    return n.refuse("expected constant axes");
  const int64_t rank = rankOf(from) + static_cast<int64_t>(axes->size());
  std::vector<bool> isNew(rank);
  for (int64_t given : *axes) {
    std::optional<int64_t> axis = n.axisOf(given, rank);
    if (!axis)
      return;
    if (*axis < n.lead() || isNew[*axis])
      return n.refuse("expected different axes behind the batch, got " +
                      dimsToText(*axes));
    isNew[*axis] = true;
  }
  Dims dims;
  size_t next = 0;
  for (int64_t i = 0; i < rank; ++i)
    dims.push_back(isNew[i] ? 1 : from[next++]);
  reshapeTo(n, dims);
}

static void readSqueeze(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<std::vector<int64_t>> axes = n.list("axes", 1);
  if (!axes && n.hasInput(1))
    return n.refuse("expected constant axes");
  std::vector<bool> drop(from.size());
  for (size_t i = n.lead(); i < from.size(); ++i)
    drop[i] = !axes && from[i] == 1;
  for (int64_t given : axes.value_or(std::vector<int64_t>())) {
    std::optional<int64_t> axis = n.axisOf(given, rankOf(from));
    if (!axis)
      return;
    if (*axis < n.lead() || from[*axis] != 1)
      return n.refuse("expected axes of size 1 behind the batch, got " +
                      dimsToText(*axes) + " of " + dimsToText(from));
    drop[*axis] = true;
  }
  Dims dims;
  for (size_t i = 0; i < from.size(); ++i)
    if (!drop[i])
      dims.push_back(from[i]);
  reshapeTo(n, dims);
}

static void readTranspose(NodeReader &n) {
  const Dims from = n.dims(0);
  const int64_t rank = rankOf(from);
  std::vector<int64_t> permutation = n.integers("perm", reversedAxes(rank));
  std::vector<int64_t> sorted = permutation;
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, rank)))
    return n.refuse("expected each axis once in perm, got " +
                    dimsToText(permutation));
  if (n.lead() == 1 && permutation[0] != 0)
    return n.refuse("perm " + dimsToText(permutation) +
                    " moves the samples of a batch");
  // Between (N, C, H, W) and (N, H, W, C): the layer has the right order.
  std::vector<int64_t> toLast = counting(0, rank);
  std::rotate(toLast.begin() + n.lead(), toLast.begin() + n.lead() + 1,
              toLast.end());
  std::vector<int64_t> toFirst = counting(0, rank);
  std::rotate(toFirst.begin() + n.lead(), toFirst.end() - 1, toFirst.end());
  if (rank - n.lead() >= 2 && orderOf(n, 0) == Order::ChannelsLast &&
      permutation == toLast)
    return n.result(n.tensor(0, Order::ChannelsLast));
  if (rank - n.lead() >= 2 && orderOf(n, 0) == Order::AsInFile &&
      permutation == toFirst)
    return n.result(n.tensor(0), Order::ChannelsLast);
  Dims dims;
  for (int64_t axis = n.lead(); axis < rank; ++axis)
    dims.push_back(permutation[axis] + 1 - n.lead());
  n.result(n.layer(Config("permute", {{"dims", toList(dims)}}), n.tensor(0)));
}

static void readConcat(NodeReader &n) {
  const int64_t rank = rankOf(n.dims(0));
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 1), rank);
  if (!axis)
    return;
  if (*axis < n.lead())
    return n.refuse("it joins batches of samples");
  Order order = Order::AsInFile;
  for (size_t i = 0; i < n.numInputs(); ++i) {
    if (rankOf(n.dims(i)) != rank)
      return n.refuse("expected operands of one rank");
    if (orderOf(n, i) == Order::ChannelsLast)
      order = Order::ChannelsLast;
  }
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < n.numInputs(); ++i)
    inputs.push_back(n.tensor(i, order));
  if (inputs.size() == 1)
    return passOn(n);
  int64_t at = *axis - n.lead(); // of a sample
  if (order == Order::ChannelsLast)
    at = at == 0 ? rank - n.lead() - 1 : at - 1;
  n.result(n.layer(Config("concatenate", {{"axis", at + 1}}), inputs), order);
}

static void readPad(NodeReader &n) {
  const Dims from = n.dims(0);
  const int64_t space = rankOf(from) - 1 - n.lead();
  std::optional<std::vector<int64_t>> pads = n.list("pads", 1);
  std::optional<double> value = n.number("value", 0);
  if (n.hasInput(2))
    value = scalar(n, 2);
  if (n.text("mode", "constant") != "constant" || value != 0.0 || !pads ||
      n.hasInput(3) || static_cast<int64_t>(pads->size()) != 2 * rankOf(from) ||
      space < 1 || space > 2)
    return n.refuse("expected constant zeros around the pixels of images");
  std::vector<int64_t> low(pads->end() - 2 * rankOf(from),
                           pads->begin() + rankOf(from)),
      high(pads->begin() + rankOf(from), pads->end());
  // Channels are first or, untouched as well, last.
  auto isPadded = [&](int64_t axis) { return low[axis] || high[axis]; };
  const bool isLast = !isPadded(rankOf(from) - 1) &&
                      (isPadded(n.lead()) || orderOf(n, 0) == Order::AsInFile);
  const int64_t first = n.lead() + (isLast ? 0 : 1);
  if ((n.lead() == 1 && isPadded(0)) || (!isLast && isPadded(n.lead())))
    return n.refuse("expected zeros around the pixels of images, got pads " +
                    dimsToText(*pads));
  low = {low.begin() + first, low.begin() + first + space};
  high = {high.begin() + first, high.begin() + first + space};
  if (llvm::any_of(*pads, [](int64_t x) { return x < 0; }))
    return n.refuse("expected pads of at least 0, got " + dimsToText(*pads));
  n.result(n.layer(Config(ranked("zero_padding", space),
                          {{"padding", toSides(low, high)}}),
                   n.tensor(0, isLast ? Order::AsInFile : kImages)),
           isLast ? Order::AsInFile : kImages);
}

/// Blocks of channels become blocks of pixels; `CRD` and `DCR` say in which
/// order a channel's number counts block and depth.
static void readDepthToSpace(NodeReader &n) {
  const Dims from = n.dims(0);
  const int64_t block = n.integer("blocksize", 0);
  if (rankOf(from) != 3 + n.lead() || block < 1 || block > 1024 ||
      from[n.lead()] % (block * block) != 0)
    return n.refuse("expected images with a multiple of blocksize^2 channels, "
                    "got " +
                    dimsToText(from));
  const int64_t depth = from[n.lead()] / (block * block),
                height = from[n.lead() + 1], width = from[n.lead() + 2];
  const bool crd = n.text("mode", "DCR") == "CRD";
  Tensor x = n.tensor(0);
  x = n.layer(
      Config("reshape", {{"target_shape",
                          crd ? toList({depth, block, block, height, width})
                              : toList({block, block, depth, height, width})}}),
      x);
  x = n.layer(Config("permute", {{"dims", crd ? toList({1, 4, 2, 5, 3})
                                              : toList({3, 4, 1, 5, 2})}}),
              x);
  n.result(n.layer(
      Config("reshape", {{"target_shape",
                          toList({depth, height * block, width * block})}}),
      x));
}

static void readSpaceToDepth(NodeReader &n) {
  const Dims from = n.dims(0);
  const int64_t block = n.integer("blocksize", 0);
  if (rankOf(from) != 3 + n.lead() || block < 1 || block > 1024 ||
      from[n.lead() + 1] % block != 0 || from[n.lead() + 2] % block != 0)
    return n.refuse("expected images with sides that blocksize divides, got " +
                    dimsToText(from));
  const int64_t depth = from[n.lead()], height = from[n.lead() + 1] / block,
                width = from[n.lead() + 2] / block;
  Tensor x = n.layer(
      Config("reshape",
             {{"target_shape", toList({depth, height, block, width, block})}}),
      n.tensor(0));
  x = n.layer(Config("permute", {{"dims", toList({3, 5, 1, 2, 4})}}), x);
  n.result(n.layer(
      Config("reshape", {{"target_shape",
                          toList({depth * block * block, height, width})}}),
      x));
}

static void readSlice(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<std::vector<int64_t>> starts = n.list("starts", 1),
                                      ends = n.list("ends", 2),
                                      axes = n.list("axes", 3),
                                      steps = n.list("steps", 4);
  if (!starts || !ends || starts->size() != ends->size() ||
      (n.hasInput(3) && !axes) || (n.hasInput(4) && !steps))
    return n.refuse("expected constant starts, ends, axes and steps");
  if (!axes)
    axes = counting(0, static_cast<int64_t>(starts->size()));
  if (axes->size() != starts->size() ||
      (steps && steps->size() != starts->size()))
    return n.refuse("expected an axis and a step for each start");
  std::vector<int64_t> begin(from.size(), 0), size = from;
  std::map<int64_t, std::vector<int64_t>> picked; // where the step is not 1
  for (size_t i = 0; i < starts->size(); ++i) {
    std::optional<int64_t> axis = n.axisOf((*axes)[i], rankOf(from));
    if (!axis)
      return;
    if (*axis < n.lead())
      return n.refuse("it takes a part of the samples of a batch");
    const int64_t all = from[*axis], step = steps ? (*steps)[i] : 1;
    auto clamp = [&](int64_t at, int64_t low, int64_t high) {
      return std::clamp<int64_t>(at < 0 ? at + all : at, low, high);
    };
    if (step == 1) {
      begin[*axis] = clamp((*starts)[i], 0, all);
      size[*axis] = clamp((*ends)[i], 0, all) - begin[*axis];
      if (size[*axis] < 1)
        return n.refuse("expected a part with elements");
      continue;
    }
    if (step == 0 || std::abs(step) > all)
      return n.refuse(formatv("expected steps of 1 to {0} or -{0} to -1, got "
                              "{1}",
                              all, step));
    const int64_t first = step > 0 ? clamp((*starts)[i], 0, all)
                                   : clamp((*starts)[i], 0, all - 1),
                  last = step > 0 ? clamp((*ends)[i], 0, all)
                                  : clamp((*ends)[i], -1, all - 1);
    for (int64_t at = first; step > 0 ? at < last : at > last; at += step)
      picked[*axis].push_back(at);
    if (picked[*axis].empty())
      return n.refuse("expected a part with elements");
  }
  begin.erase(begin.begin(), begin.begin() + n.lead());
  size.erase(size.begin(), size.begin() + n.lead());
  Tensor x = sliced(n, n.tensor(0), begin, size);
  for (auto &[axis, indices] : picked)
    x = pickedAlong(n, x, axis - n.lead(), indices);
  if (x)
    n.result(x);
}

static void readSplit(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rankOf(from));
  if (!axis)
    return;
  if (*axis < n.lead())
    return n.refuse("it splits the samples of a batch");
  std::optional<std::vector<int64_t>> sizes = n.list("split", 1);
  if (!sizes && n.hasInput(1))
    return n.refuse("expected constant sizes");
  const int64_t parts = static_cast<int64_t>(n.numResults());
  if (!sizes) {
    const int64_t size = (from[*axis] + parts - 1) / parts;
    sizes.emplace(parts, size);
    sizes->back() = from[*axis] - (parts - 1) * size;
  }
  int64_t total = 0;
  for (int64_t size : *sizes) {
    if (size < 1 || size > from[*axis])
      return n.refuse("expected parts with elements, got sizes " +
                      dimsToText(*sizes));
    total += size;
  }
  if (total != from[*axis] || static_cast<int64_t>(sizes->size()) != parts)
    return n.refuse("expected sizes of " + std::to_string(parts) +
                    " parts that add up to " + std::to_string(from[*axis]) +
                    ", got " + dimsToText(*sizes));
  std::vector<int64_t> begin(from.size() - n.lead(), 0),
      size(from.begin() + n.lead(), from.end());
  for (int64_t part = 0; part < parts; ++part) {
    size[*axis - n.lead()] = (*sizes)[part];
    n.result(sliced(n, n.tensor(0), begin, size), Order::AsInFile, part);
    begin[*axis - n.lead()] += (*sizes)[part];
  }
}

// ---- The table --------------------------------------------------------------

ArrayRef<OpRule> onnx::opRules() {
  static const OpRule rules[] = {
      {"Abs", 1, readUnary},
      {"Acos", 1, readUnary},
      {"Acosh", 1, readUnary},
      {"Add", 2, readAdd},
      {"And", 2, readMerge},
      {"ArgMax", 1, readArg},
      {"ArgMin", 1, readArg},
      {"Asin", 1, readUnary},
      {"Asinh", 1, readUnary},
      {"Atan", 1, readUnary},
      {"Atanh", 1, readUnary},
      {"AveragePool", 1, readAveragePool},
      {"BatchNormalization", 5, readBatchNormalization},
      {"Cast", 1, readCast},
      {"CastLike", 2, readCast},
      {"Ceil", 1, readUnary},
      {"Celu", 1, readCelu},
      {"Clip", 1, readClip},
      {"Concat", 1, readConcat},
      {"Conv", 2, readConv},
      {"ConvTranspose", 2, readConvTranspose},
      {"Cos", 1, readUnary},
      {"Cosh", 1, readUnary},
      {"DepthToSpace", 1, readDepthToSpace},
      {"Div", 2, readDiv},
      {"Dropout", 1, readDropout},
      {"Elu", 1, readElu},
      {"Equal", 2, readMerge},
      {"Erf", 1, readUnary},
      {"Exp", 1, readUnary},
      {"Flatten", 1, readFlatten},
      {"Floor", 1, readUnary},
      {"Gather", 2, readGather},
      {"Gelu", 1, readGelu},
      {"Gemm", 2, readGemm},
      {"GlobalAveragePool", 1, readGlobalAveragePool},
      {"GlobalMaxPool", 1, readGlobalMaxPool},
      {"Greater", 2, readMerge},
      {"GreaterOrEqual", 2, readMerge},
      {"HardSigmoid", 1, readHardSigmoid},
      {"HardSwish", 1, readHardSwish},
      {"Identity", 1, passOn},
      {"IsInf", 1, readIsInf},
      {"IsNaN", 1, readUnary},
      {"LeakyRelu", 1, readLeakyRelu},
      {"Less", 2, readMerge},
      {"LessOrEqual", 2, readMerge},
      {"Log", 1, readUnary},
      {"LogSoftmax", 1, readLogSoftmax},
      {"MatMul", 2, readMatMul},
      {"Max", 1, readMax},
      {"MaxPool", 1, readMaxPool},
      {"Mean", 1, readMean},
      {"Min", 1, readMin},
      {"Mish", 1, readMish},
      {"Mod", 2, readMod},
      {"Mul", 2, readMul},
      {"Neg", 1, readUnary},
      {"Not", 1, readUnary},
      {"Or", 2, readMerge},
      {"PRelu", 2, readPRelu},
      {"Pad", 1, readPad},
      {"Pow", 2, readPow},
      {"Reciprocal", 1, readUnary},
      {"ReduceL1", 1, readReduction},
      {"ReduceL2", 1, readReduction},
      {"ReduceLogSum", 1, readReduction},
      {"ReduceLogSumExp", 1, readReduction},
      {"ReduceMax", 1, readReduction},
      {"ReduceMean", 1, readReduction},
      {"ReduceMin", 1, readReduction},
      {"ReduceProd", 1, readReduction},
      {"ReduceSum", 1, readReduction},
      {"ReduceSumSquare", 1, readReduction},
      {"Relu", 1, readRelu},
      {"Reshape", 1, readReshape},
      {"Round", 1, readUnary},
      {"Selu", 1, readSelu},
      {"Shrink", 1, readShrink},
      {"Sigmoid", 1, readSigmoid},
      {"Sign", 1, readUnary},
      {"Sin", 1, readUnary},
      {"Sinh", 1, readUnary},
      {"Slice", 1, readSlice},
      {"Softmax", 1, readSoftmax},
      {"Softplus", 1, readSoftplus},
      {"Softsign", 1, readSoftsign},
      {"SpaceToDepth", 1, readSpaceToDepth},
      {"Split", 1, readSplit},
      {"Sqrt", 1, readUnary},
      {"Squeeze", 1, readSqueeze},
      {"Sub", 2, readSub},
      {"Sum", 1, readSum},
      {"Tan", 1, readUnary},
      {"Tanh", 1, readTanh},
      {"ThresholdedRelu", 1, readThresholdedRelu},
      {"Transpose", 1, readTranspose},
      {"Unsqueeze", 1, readUnsqueeze},
      {"Where", 3, readMerge},
      {"Xor", 2, readMerge},
  };
  return rules;
}

std::vector<const OpRule *> onnx::findOpRules(StringRef op) {
  std::vector<const OpRule *> found;
  for (ArrayRef<OpRule> table :
       {layerOpRules(), opRules(), indexRules(), productRules(),
        statisticsRules(), resizeRules()})
    for (const OpRule &rule : table)
      if (rule.op == op)
        found.push_back(&rule);
  return found;
}
