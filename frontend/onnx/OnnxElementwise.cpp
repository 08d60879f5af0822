// OnnxElementwise.cpp - rules of arithmetic: each element on its own, or beside
// those of other operands, which broadcast; and softmax, along one axis.
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

// ---- One operand, elementwise -----------------------------------------------

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
  const double alpha = n.number("alpha", 1);
  if (alpha >= 0)
    return elementwise(n, Config("relu", {{"threshold", alpha}}));
  Tensor x = n.tensor(0, order);
  if (!x)
    return;
  Tensor above = n.layer(Config("greater"), {x, numberLike(n, alpha, x)});
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
  if (low == 0.0 && high && *high >= 0 && std::isfinite(*high))
    return n.result(
        n.layer(Config("relu", {{"max_value", *high}}), x), order);
  if (low)
    x = n.layer(Config("maximum"), {x, numberLike(n, *low, x)});
  if (high && x)
    x = n.layer(Config("minimum"), {x, numberLike(n, *high, x)});
  n.result(x, order);
}

static void readDropout(NodeReader &n) {
  double rate = n.number("ratio", 0.5);
  if (n.hasInput(1)) {
    std::optional<double> given = scalar(n, 1);
    if (!given)
      return n.refuse("expected a constant ratio");
    rate = *given;
  }
  // A rate of 0 is nothing in any mode.
  if (n.hasInput(2) && scalar(n, 2) != 0.0 && rate != 0)
    return n.refuse("expected training_mode to be a constant 'false'",
                    "export the model in inference mode; training turns "
                    "dropout on again");
  elementwise(n, Config("dropout", {{"rate", rate}}));
  if (!n.wantsResult(1))
    return;
  // The mask: in inference, everything passes.
  const Order order = orderOf(n, 0);
  Tensor x = n.tensor(0, order);
  if (x)
    n.result(n.layer(Config("logical_or"), {x, numberLike(n, 1, x)}), order, 1);
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

// ---- The table -------------------------------------------------------------

ArrayRef<OpRule> onnx::elementwiseRules() {
  static const OpRule rules[] = {
      {"Abs", 1, readUnary},
      {"Acos", 1, readUnary},
      {"Acosh", 1, readUnary},
      {"Add", 2, readAdd},
      {"And", 2, readMerge},
      {"Asin", 1, readUnary},
      {"Asinh", 1, readUnary},
      {"Atan", 1, readUnary},
      {"Atanh", 1, readUnary},
      {"Cast", 1, readCast},
      {"CastLike", 2, readCast},
      {"Ceil", 1, readUnary},
      {"Celu", 1, readCelu},
      {"Clip", 1, readClip},
      {"Cos", 1, readUnary},
      {"Cosh", 1, readUnary},
      {"Div", 2, readDiv},
      {"Dropout", 1, readDropout},
      {"Elu", 1, readElu},
      {"Equal", 2, readMerge},
      {"Erf", 1, readUnary},
      {"Exp", 1, readUnary},
      {"Floor", 1, readUnary},
      {"Gelu", 1, readGelu},
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
      {"Max", 1, readMax},
      {"Mean", 1, readMean},
      {"Min", 1, readMin},
      {"Mish", 1, readMish},
      {"Mod", 2, readMod},
      {"Mul", 2, readMul},
      {"Neg", 1, readUnary},
      {"Not", 1, readUnary},
      {"Or", 2, readMerge},
      {"PRelu", 2, readPRelu},
      {"Pow", 2, readPow},
      {"Reciprocal", 1, readUnary},
      {"Relu", 1, readRelu},
      {"Round", 1, readUnary},
      {"Selu", 1, readSelu},
      {"Shrink", 1, readShrink},
      {"Sigmoid", 1, readSigmoid},
      {"Sign", 1, readUnary},
      {"Sin", 1, readUnary},
      {"Sinh", 1, readUnary},
      {"Softmax", 1, readSoftmax},
      {"Softplus", 1, readSoftplus},
      {"Softsign", 1, readSoftsign},
      {"Sqrt", 1, readUnary},
      {"Sub", 2, readSub},
      {"Sum", 1, readSum},
      {"Tan", 1, readUnary},
      {"Tanh", 1, readTanh},
      {"ThresholdedRelu", 1, readThresholdedRelu},
      {"Where", 3, readMerge},
      {"Xor", 2, readMerge},
  };
  return rules;
}
