// OnnxOperations.cpp - the ONNX of functions of keras.ops: arithmetic,
// comparisons, reductions, parts.
//
// Truth is 1 and falsehood 0 in Sinter, a type of its own in ONNX: comparisons
// end with a cast.
//
// Known weakness: ONNX has no expm1 and log1p; near 0, exp(x) - 1 and
// log(1 + x) have fewer digits than Sinter's.
#include "frontend/LayerParts.h"
#include "frontend/onnx/OnnxRules.h"

#include "llvm/ADT/STLExtras.h"

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::StringRef;

/// TensorProto's numbers.
static constexpr int64_t kFloat = 1, kBool = 9;

static std::string toNumber(OnnxEmitter &e, const std::string &x) {
  return e.node("Cast", {x}, {{"to", kFloat}});
}
static std::string toTruth(OnnxEmitter &e, const std::string &x) {
  return e.node("Cast", {x}, {{"to", kBool}});
}

namespace {
/// A layer that is one op of ONNX.
struct Name {
  StringRef layer, op;
  bool isTruth = false; // the op's result is
};
} // namespace

static const Name *findName(ArrayRef<Name> names, StringRef layer) {
  const Name *found = llvm::find_if(
      names, [&](const Name &name) { return name.layer == layer; });
  return found == names.end() ? nullptr : found;
}

static void finish(OnnxEmitter &e, OnnxOperand like, std::string y) {
  like.name = std::move(y);
  e.setResult(std::move(like));
}

// ---- One operand ------------------------------------------------------------

static const Name unaryNames[] = {
    {"absolute", "Abs"},      {"arccos", "Acos"},
    {"arccosh", "Acosh"},     {"arcsin", "Asin"},
    {"arcsinh", "Asinh"},     {"arctan", "Atan"},
    {"arctanh", "Atanh"},     {"ceil", "Ceil"},
    {"cos", "Cos"},           {"cosh", "Cosh"},
    {"erf", "Erf"},           {"exp", "Exp"},
    {"floor", "Floor"},       {"isinf", "IsInf", true},
    {"isnan", "IsNaN", true}, {"log", "Log"},
    {"negative", "Neg"},      {"reciprocal", "Reciprocal"},
    {"round", "Round"},       {"sign", "Sign"},
    {"sin", "Sin"},           {"sinh", "Sinh"},
    {"sqrt", "Sqrt"},         {"tan", "Tan"},
};

static void emitUnary(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  const Name *name = findName(unaryNames, e.config().name);
  std::string y = e.node(name->op, {x.name});
  finish(e, x, name->isTruth ? toNumber(e, y) : y);
}

static void emitExpm1(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  finish(e, x, e.node("Sub", {e.node("Exp", {x.name}), e.constant("one", 1)}));
}
static void emitLog1p(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  finish(e, x, e.node("Log", {e.node("Add", {x.name, e.constant("one", 1)})}));
}
static void emitRsqrt(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  finish(e, x, e.node("Reciprocal", {e.node("Sqrt", {x.name})}));
}
static void emitSquare(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  finish(e, x, e.node("Mul", {x.name, x.name}));
}
/// sign(x) floor(|x|)
static void emitTrunc(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  std::string size = e.node("Floor", {e.node("Abs", {x.name})});
  finish(e, x, e.node("Mul", {e.node("Sign", {x.name}), size}));
}
static void emitNot(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  finish(e, x, toNumber(e, e.node("Not", {toTruth(e, x.name)})));
}

// ---- Two and three operands -------------------------------------------------

static const Name binaryNames[] = {
    {"divide", "Div"},
    {"equal", "Equal", true},
    {"greater", "Greater", true},
    {"greater_equal", "GreaterOrEqual", true},
    {"less", "Less", true},
    {"less_equal", "LessOrEqual", true},
    {"power", "Pow"},
};

static void emitBinary(OnnxEmitter &e) {
  std::vector<OnnxOperand> x = e.operands();
  const Name *name = findName(binaryNames, e.config().name);
  std::string y = e.node(name->op, {x[0].name, x[1].name});
  finish(e, x[0], name->isTruth ? toNumber(e, y) : y);
}

static const Name logicNames[] = {
    {"logical_and", "And"}, {"logical_or", "Or"}, {"logical_xor", "Xor"}};

static void emitLogic(OnnxEmitter &e) {
  std::vector<OnnxOperand> x = e.operands();
  const Name *name = findName(logicNames, e.config().name);
  const std::string p = toTruth(e, x[0].name), q = toTruth(e, x[1].name);
  finish(e, x[0], toNumber(e, e.node(name->op, {p, q})));
}

static void emitNotEqual(OnnxEmitter &e) {
  std::vector<OnnxOperand> x = e.operands();
  std::string same = e.node("Equal", {x[0].name, x[1].name});
  finish(e, x[0], toNumber(e, e.node("Not", {same})));
}
static void emitFloorDivide(OnnxEmitter &e) {
  std::vector<OnnxOperand> x = e.operands();
  finish(e, x[0], e.node("Floor", {e.node("Div", {x[0].name, x[1].name})}));
}
/// x - y floor(x / y): ONNX's Mod of floats has the sign of x.
static void emitMod(OnnxEmitter &e) {
  std::vector<OnnxOperand> x = e.operands();
  std::string whole = e.node("Floor", {e.node("Div", {x[0].name, x[1].name})});
  finish(e, x[0],
         e.node("Sub", {x[0].name, e.node("Mul", {x[1].name, whole})}));
}
static void emitWhere(OnnxEmitter &e) {
  std::vector<OnnxOperand> x = e.operands();
  finish(e, x[0],
         e.node("Where", {toTruth(e, x[0].name), x[1].name, x[2].name}));
}

// ---- Reductions, parts ------------------------------------------------------

static const Name reductionNames[] = {
    {"logsumexp", "ReduceLogSumExp"}, {"max", "ReduceMax"},
    {"mean", "ReduceMean"},           {"min", "ReduceMin"},
    {"prod", "ReduceProd"},           {"sum", "ReduceSum"},
};

/// The result as [N, 1], where a sample has no axis left.
static void finishReduced(OnnxEmitter &e, std::string y, int64_t axesLeft) {
  e.setResult({axesLeft > 0
                   ? y
                   : e.node("Reshape", {y, e.integers("shape", {-1, 1})})});
}

static void emitReduction(OnnxEmitter &e) {
  const Name *name = findName(reductionNames, e.config().name);
  const int64_t rank = static_cast<int64_t>(e.shape().size());
  Shape axes;
  if (e.config().isNull("axis"))
    for (int64_t axis = 1; axis <= rank; ++axis)
      axes.push_back(axis);
  else
    for (int64_t axis : e.config().integers("axis"))
      axes.push_back(axis < 0 ? axis + rank + 1 : axis);
  const bool keeps = e.config().flag("keepdims");
  OnnxEmitter::Attributes attributes = {{"keepdims", int64_t(keeps)}};
  std::vector<std::string> operands = {e.operand(0, Layout::Last)};
  if (name->op == "ReduceSum") // an operand since set 13
    operands.push_back(e.integers("axes", axes));
  else
    attributes.push_back({"axes", axes});
  std::string y = e.node(name->op, operands, attributes);
  finishReduced(e, y, keeps ? rank : rank - static_cast<int64_t>(axes.size()));
}

static void emitArg(OnnxEmitter &e) {
  const int64_t rank = static_cast<int64_t>(e.shape().size()),
                axis = e.config().integer("axis");
  const bool keeps = e.config().flag("keepdims");
  std::string y = e.node(e.config().name == "argmax" ? "ArgMax" : "ArgMin",
                         {e.operand(0, Layout::Last)},
                         {{"axis", axis < 0 ? axis + rank + 1 : axis},
                          {"keepdims", int64_t(keeps)}});
  finishReduced(e, toNumber(e, y), keeps ? rank : rank - 1);
}

static void emitSlice(OnnxEmitter &e) {
  Shape starts, ends, axes;
  const Shape begin = e.config().integers("start_indices");
  for (size_t i = 0; i < begin.size(); ++i) {
    const int64_t size = e.layer().shape[i];
    if (size == e.shape()[i])
      continue;
    starts.push_back(begin[i]);
    ends.push_back(begin[i] + size);
    axes.push_back(static_cast<int64_t>(i) + 1);
  }
  if (axes.empty())
    return e.passInput();
  e.setResult({e.node("Slice",
                      {e.operand(0, Layout::Last), e.integers("starts", starts),
                       e.integers("ends", ends), e.integers("axes", axes)})});
}

// ---- The table --------------------------------------------------------------

ArrayRef<OnnxRule> sinter::frontend::onnxOperationRules() {
  static const std::vector<OnnxRule> rules = [] {
    std::vector<OnnxRule> list = {
        {"argmax", emitArg},    {"argmin", emitArg},
        {"expm1", emitExpm1},   {"floor_divide", emitFloorDivide},
        {"log1p", emitLog1p},   {"logical_not", emitNot},
        {"mod", emitMod},       {"not_equal", emitNotEqual},
        {"rsqrt", emitRsqrt},   {"slice", emitSlice},
        {"square", emitSquare}, {"trunc", emitTrunc},
        {"where", emitWhere},
    };
    for (const Name &name : unaryNames)
      list.push_back({name.layer, emitUnary});
    for (const Name &name : binaryNames)
      list.push_back({name.layer, emitBinary});
    for (const Name &name : logicNames)
      list.push_back({name.layer, emitLogic});
    for (const Name &name : reductionNames)
      list.push_back({name.layer, emitReduction});
    return list;
  }();
  return rules;
}
