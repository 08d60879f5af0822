// OperationLayers.cpp - functions of keras.ops as layers: elementwise
// arithmetic, comparisons, reductions.
//
// A graph of another framework is full of small operations that are no layer of
// Keras; in Keras itself a functional model holds them as operations named
// after the function (keras.ops.exp). They have the names, arguments and
// meaning of https://keras.io/api/ops, truth being 1 and falsehood 0.
// `axis` counts the batch, which is axis 0 and cannot be reduced.
//
// Known weakness: numbers are f32, so integers are exact up to 2^24.
#include "frontend/LayerParts.h"

#include "ir/Formula.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;
using V = mlir::Value; // a value of the IR, not of a config
using mlir::ValueRange;

// ---- One operand ------------------------------------------------------------

/// -1, 0 or 1.
static V signOf(Formula &f, V x) { return SignOp::create(f.b, f.loc, x); }
static V floorOf(Formula &f, V x) { return FloorOp::create(f.b, f.loc, x); }
static V truncated(Formula &f, V x) {
  return f.mul(signOf(f, x), floorOf(f, f.abs(x)));
}
/// 1 - p for a truth value.
static V notOf(Formula &f, V p) { return f.sub(f.one(), p); }
static V nonZero(Formula &f, V x) { return notOf(f, f.equal(x, f.zero())); }

static V orOf(Formula &f, V p, V q) {
  return MaximumOp::create(f.b, f.loc, p, q);
}

/// To the nearest whole number, halves to the even one.
static V rounded(Formula &f, V x) {
  V low = floorOf(f, x), part = f.sub(x, low);
  V isOdd = f.sub(low, f.mul(floorOf(f, f.mul(low, 0.5)), 2));
  V up = f.select(f.equal(part, f.number(0.5)), isOdd,
                  f.greater(part, f.number(0.5)));
  return f.add(low, up);
}

/// (e^x - e^-x) / 2; near 0 by e^x - 1, which keeps its digits there.
static V sinhOf(Formula &f, V x) {
  V e = f.expm1(x);
  V small = f.mul(f.add(e, f.div(e, f.add(e, 1))), 0.5);
  V large = f.mul(f.sub(f.exp(x), f.exp(f.neg(x))), 0.5);
  return f.select(f.greater(f.abs(x), f.one()), large, small);
}
static V coshOf(Formula &f, V x) {
  return f.mul(f.add(f.exp(x), f.exp(f.neg(x))), 0.5);
}
/// sign(x) log(1 + |x| + x^2 / (1 + sqrt(x^2 + 1)))
static V arcsinhOf(Formula &f, V x) {
  V a = f.abs(x), square = f.square(x);
  V more = f.div(square, f.add(f.sqrt(f.add(square, 1)), 1));
  return f.mul(signOf(f, x), f.log1p(f.add(a, more)));
}
/// log(x + sqrt(x^2 - 1)), by x - 1, which keeps its digits near 1.
static V arccoshOf(Formula &f, V x) {
  V t = f.add(x, -1);
  return f.log1p(f.add(t, f.sqrt(f.add(f.mul(t, 2), f.square(t)))));
}
static V arctanhOf(Formula &f, V x) {
  return f.mul(f.sub(f.log1p(x), f.log1p(f.neg(x))), 0.5);
}
/// |x| is brought below tan(pi / 8) by atan x = pi/4 + atan((x - 1) / (x + 1))
/// and pi/2 - atan(1 / x); there, a polynomial of error 2^-28. Within 3 ulp.
static V arctanOf(Formula &f, V x) {
  static const double p[] = {-0.3333333134651184, 0.19999539852142334,
                             -0.14263956248760223, 0.10743731260299683,
                             -0.06451927870512009};
  V a = f.abs(x), sign = signOf(f, x);
  V isLarge = f.greater(a, f.number(2.414213562373095)),
    isSmall = f.equal(f.greater(a, f.number(0.41421356237309503)), f.zero());
  // Each quotient where it is finite, so that no gradient is 0 times infinity.
  V large = f.div(f.number(-1), f.select(isLarge, x, f.one()));
  V ratio = f.select(isLarge, f.one(), a);
  V middle = f.mul(sign, f.div(f.add(ratio, -1), f.add(ratio, 1)));
  V t = f.select(isLarge, large, f.select(isSmall, x, middle));
  V offset =
      f.mul(sign, f.select(isLarge, f.number(M_PI_2),
                           f.select(isSmall, f.zero(), f.number(M_PI_4))));
  V z = f.square(t), sum = f.number(p[4]);
  for (int i = 3; i >= 0; --i)
    sum = f.add(f.mul(sum, z), p[i]);
  return f.add(offset, f.add(t, f.mul(f.mul(t, z), sum)));
}
/// atan(x / sqrt(1 - x^2)), with 1 - x^2 as a product, which keeps its digits.
static V arcsinOf(Formula &f, V x) {
  V cosine = f.sqrt(f.mul(f.sub(f.one(), x), f.add(x, 1)));
  return arctanOf(f, f.div(x, cosine));
}
/// 2 atan(sqrt((1 - x) / (1 + x)))
static V arccosOf(Formula &f, V x) {
  V ratio = f.div(f.sub(f.one(), x), f.add(x, 1));
  return f.mul(arctanOf(f, f.sqrt(ratio)), 2);
}

namespace {
struct UnaryRule {
  StringRef name;
  V (*emit)(Formula &f, V x);
};
struct BinaryRule {
  StringRef name;
  V (*emit)(Formula &f, V x, V y);
};
} // namespace

static const UnaryRule unaryRules[] = {
    {"absolute", [](Formula &f, V x) { return f.abs(x); }},
    {"arccos", arccosOf},
    {"arccosh", arccoshOf},
    {"arcsin", arcsinOf},
    {"arcsinh", arcsinhOf},
    {"arctan", arctanOf},
    {"arctanh", arctanhOf},
    {"ceil", [](Formula &f, V x) { return f.neg(floorOf(f, f.neg(x))); }},
    {"cos", [](Formula &f, V x) -> V { return CosOp::create(f.b, f.loc, x); }},
    {"cosh", coshOf},
    {"erf", [](Formula &f, V x) -> V { return ErfOp::create(f.b, f.loc, x); }},
    {"exp", [](Formula &f, V x) { return f.exp(x); }},
    {"expm1", [](Formula &f, V x) { return f.expm1(x); }},
    {"floor", floorOf},
    {"isnan", [](Formula &f, V x) { return notOf(f, f.equal(x, x)); }},
    {"isinf",
     [](Formula &f, V x) { return f.equal(f.abs(x), f.number(INFINITY)); }},
    {"log", [](Formula &f, V x) { return f.log(x); }},
    {"log1p", [](Formula &f, V x) { return f.log1p(x); }},
    {"logical_not", [](Formula &f, V x) { return f.equal(x, f.zero()); }},
    {"negative", [](Formula &f, V x) { return f.neg(x); }},
    {"reciprocal", [](Formula &f, V x) { return f.div(f.one(), x); }},
    {"round", rounded},
    {"rsqrt", [](Formula &f, V x) { return f.div(f.one(), f.sqrt(x)); }},
    {"sign", signOf},
    {"sin", [](Formula &f, V x) -> V { return SinOp::create(f.b, f.loc, x); }},
    {"sinh", sinhOf},
    {"sqrt", [](Formula &f, V x) { return f.sqrt(x); }},
    {"square", [](Formula &f, V x) { return f.square(x); }},
    {"tan",
     [](Formula &f, V x) {
       return f.div(SinOp::create(f.b, f.loc, x), CosOp::create(f.b, f.loc, x));
     }},
    {"trunc", truncated},
};

static V emitUnary(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  for (const UnaryRule &rule : unaryRules)
    if (rule.name == e.layer.config.name)
      return rule.emit(f, inputs[0]);
  assert(false && "operation of the catalog without emission");
  return {};
}

// ---- Two operands -----------------------------------------------------------

/// |x|^y, negative for a negative x and an odd y; x^0 is 1.
static V powerOf(Formula &f, V x, V y) {
  V isWhole = f.equal(y, floorOf(f, y)); // else NaN for a negative x
  V size = f.exp(f.mul(y, f.log(f.select(isWhole, f.abs(x), x))));
  V isOdd = f.abs(f.sub(y, f.mul(floorOf(f, f.mul(y, 0.5)), 2)));
  V isNegative = f.greater(f.zero(), x);
  V sign = f.sub(f.one(), f.mul(f.mul(isNegative, isOdd), 2));
  return f.select(f.equal(y, f.zero()), f.one(), f.mul(size, sign));
}
/// x - y floor(x / y): the sign of y.
static V modOf(Formula &f, V x, V y) {
  return f.sub(x, f.mul(y, floorOf(f, f.div(x, y))));
}
static V lessOf(Formula &f, V x, V y) { return f.greater(y, x); }

static const BinaryRule binaryRules[] = {
    {"divide", [](Formula &f, V x, V y) { return f.div(x, y); }},
    {"equal", [](Formula &f, V x, V y) { return f.equal(x, y); }},
    {"floor_divide",
     [](Formula &f, V x, V y) { return floorOf(f, f.div(x, y)); }},
    {"greater", [](Formula &f, V x, V y) { return f.greater(x, y); }},
    {"greater_equal",
     [](Formula &f, V x, V y) {
       return orOf(f, f.greater(x, y), f.equal(x, y));
     }},
    {"less", lessOf},
    {"less_equal", [](Formula &f, V x,
                      V y) { return orOf(f, lessOf(f, x, y), f.equal(x, y)); }},
    {"logical_and",
     [](Formula &f, V x, V y) { return f.mul(nonZero(f, x), nonZero(f, y)); }},
    {"logical_or", [](Formula &f, V x,
                      V y) { return orOf(f, nonZero(f, x), nonZero(f, y)); }},
    {"logical_xor",
     [](Formula &f, V x, V y) {
       return f.abs(f.sub(nonZero(f, x), nonZero(f, y)));
     }},
    {"mod", modOf},
    {"not_equal", [](Formula &f, V x, V y) { return notOf(f, f.equal(x, y)); }},
    {"power", powerOf},
};

static std::string inferBinary(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (inputs.size() != 2)
    return formatv("expected 2 inputs, got {0}", inputs.size());
  return inferBroadcast(layer, inputs);
}

static V emitBinaryOperation(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  for (const BinaryRule &rule : binaryRules)
    if (rule.name == e.layer.config.name)
      return rule.emit(f, inputs[0], inputs[1]);
  assert(false && "operation of the catalog without emission");
  return {};
}

static std::string inferWhere(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (inputs.size() != 3)
    return formatv("expected 3 inputs, got {0}", inputs.size());
  return inferBroadcast(layer, inputs);
}

static V emitWhere(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  return f.select(nonZero(f, inputs[0]), inputs[1], inputs[2]);
}

// ---- Reductions -------------------------------------------------------------

/// The axes of the result's operand, counted with the batch, ascending; empty
/// after `wrong` is set.
static Shape reducedAxes(const Config &config, size_t sampleRank,
                         std::string &wrong) {
  const int64_t rank = static_cast<int64_t>(sampleRank);
  Shape axes;
  if (config.isNull("axis")) // all of a sample
    for (int64_t axis = 1; axis <= rank; ++axis)
      axes.push_back(axis);
  if (config.isNull("axis"))
    return axes;
  for (int64_t axis : config.integers("axis")) {
    const int64_t at = axis < 0 ? axis + rank + 1 : axis;
    if (at < 1 || at > rank || llvm::is_contained(axes, at)) {
      wrong = formatv("expected different axes in 1 .. {0} (0 is the batch) or "
                      "-{0} .. -1, got {1}",
                      rank, axis);
      return {};
    }
    axes.push_back(at);
  }
  llvm::sort(axes);
  return axes;
}

/// A sample keeps one axis at least.
static std::string inferReduction(LayerRecord &layer, ArrayRef<Shape> inputs) {
  std::string wrong;
  Shape axes = reducedAxes(layer.config, inputs[0].size(), wrong);
  if (!wrong.empty())
    return wrong;
  for (auto [i, size] : llvm::enumerate(inputs[0]))
    if (!llvm::is_contained(axes, static_cast<int64_t>(i) + 1))
      layer.shape.push_back(size);
    else if (layer.config.flag("keepdims"))
      layer.shape.push_back(1);
  if (layer.shape.empty())
    layer.shape = {1};
  return "";
}

/// Products go pairwise along one axis after the other.
static constexpr int64_t kMostFactors = 256;

static std::string inferProd(LayerRecord &layer, ArrayRef<Shape> inputs) {
  std::string wrong = inferReduction(layer, inputs);
  if (!wrong.empty())
    return wrong;
  for (int64_t axis : reducedAxes(layer.config, inputs[0].size(), wrong))
    if (inputs[0][axis - 1] > kMostFactors)
      return formatv("expected at most {0} factors along an axis, got {1}",
                     kMostFactors, inputs[0][axis - 1]);
  return "";
}

static V maximumOver(Formula &f, V x, ArrayRef<int64_t> axes) {
  return ReduceMaxOp::create(f.b, f.loc, x, axes, /*keep_dims=*/true);
}

static V productOver(Formula &f, V x, ArrayRef<int64_t> axes) {
  for (int64_t axis : axes) {
    const int64_t count = tensorTypeOf(x).getDimSize(axis);
    V product;
    for (int64_t i = 0; i < count; ++i) {
      V factor = SliceOp::create(f.b, f.loc, x, axis, i, 1);
      product = product ? f.mul(product, factor) : factor;
    }
    x = product;
  }
  return x;
}

static V emitReduction(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  V x = inputs[0];
  std::string wrong;
  Shape axes =
      reducedAxes(e.layer.config, featureShape(tensorTypeOf(x)).size(), wrong);
  double count = 1;
  for (int64_t axis : axes)
    count *= static_cast<double>(tensorTypeOf(x).getDimSize(axis));
  StringRef name = e.layer.config.name;
  V y;
  if (name == "sum")
    y = f.sum(x, axes, true);
  else if (name == "mean")
    y = f.mul(f.sum(x, axes, true), 1 / count);
  else if (name == "max")
    y = maximumOver(f, x, axes);
  else if (name == "min")
    y = f.neg(maximumOver(f, f.neg(x), axes));
  else if (name == "prod")
    y = productOver(f, x, axes);
  else if (name == "logsumexp") {
    V largest = maximumOver(f, x, axes);
    y = f.add(f.log(f.sum(f.exp(f.sub(x, largest)), axes, true)), largest);
  }
  assert(y && "reduction of the catalog without emission");
  return reshapeToResult(e, y);
}

// ---- Indices ----------------------------------------------------------------

static std::string inferArg(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const int64_t rank = static_cast<int64_t>(inputs[0].size());
  const int64_t axis = layer.config.integer("axis"),
                at = axis < 0 ? axis + rank : axis - 1;
  if (at < 0 || at >= rank)
    return formatv("expected 'axis' in 1 .. {0} (0 is the batch) or -{0} .. "
                   "-1, got {1}",
                   rank, axis);
  layer.shape = inputs[0];
  if (layer.config.flag("keepdims"))
    layer.shape[at] = 1;
  else
    layer.shape.erase(layer.shape.begin() + at);
  if (layer.shape.empty())
    layer.shape = {1};
  return "";
}

/// The first place of the extreme element.
static V emitArg(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  V x = inputs[0];
  const int64_t rank = tensorTypeOf(x).getRank();
  int64_t axis = e.layer.config.integer("axis");
  axis += axis < 0 ? rank : 0;
  if (axis != rank - 1) { // the op looks along the last axis
    Shape order(llvm::seq<int64_t>(0, rank).begin(),
                llvm::seq<int64_t>(0, rank).end());
    std::rotate(order.begin() + axis, order.begin() + axis + 1, order.end());
    x = TransposeOp::create(e.builder, e.loc, x, order);
  }
  if (e.layer.config.name == "argmin")
    x = f.neg(x);
  V index = ArgMaxOp::create(e.builder, e.loc, x);
  mlir::RankedTensorType type = tensorTypeOf(index);
  V number = CastOp::create(
      e.builder, e.loc,
      mlir::RankedTensorType::get(type.getShape(), e.builder.getF32Type()),
      index);
  return reshapeToResult(e, number);
}

// ---- Parts ----

static std::string inferSlice(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const Shape starts = layer.config.integers("start_indices"),
              shape = layer.config.integers("shape");
  bool fits =
      starts.size() == inputs[0].size() && shape.size() == starts.size();
  for (size_t i = 0; fits && i < starts.size(); ++i)
    fits = starts[i] <= inputs[0][i] - shape[i];
  if (!fits)
    return formatv("expected 'start_indices' and 'shape' of a part of {0}, got "
                   "{1} and {2}",
                   toText(inputs[0]), toText(starts), toText(shape));
  layer.shape = shape;
  return "";
}

static V emitSlice(LayerEmitter &e, ValueRange inputs) {
  V y = inputs[0];
  const Shape starts = e.layer.config.integers("start_indices");
  for (size_t i = 0; i < starts.size(); ++i)
    if (tensorTypeOf(y).getDimSize(i + 1) != e.layer.shape[i])
      y = SliceOp::create(e.builder, e.loc, y, i + 1, starts[i],
                          e.layer.shape[i]);
  return y;
}

// ---- The table --------------------------------------------------------------

ArrayRef<LayerRule> sinter::frontend::operationLayerRules() {
  static const std::vector<LayerRule> rules = [] {
    std::vector<LayerRule> list;
    for (const UnaryRule &rule : unaryRules)
      list.push_back({rule.name, Arity::One, inferSame, emitUnary});
    for (const BinaryRule &rule : binaryRules)
      list.push_back(
          {rule.name, Arity::Many, inferBinary, emitBinaryOperation});
    list.push_back({"where", Arity::Many, inferWhere, emitWhere});
    for (StringRef name : {"sum", "mean", "max", "min", "logsumexp"})
      list.push_back({name, Arity::One, inferReduction, emitReduction});
    list.push_back({"slice", Arity::One, inferSlice, emitSlice});
    list.push_back({"prod", Arity::One, inferProd, emitReduction});
    for (StringRef name : {"argmax", "argmin"})
      list.push_back({name, Arity::One, inferArg, emitArg});
    return list;
  }();
  return rules;
}
