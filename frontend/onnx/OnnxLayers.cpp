// OnnxLayers.cpp - the ONNX of activations, shapes, dense layers, arithmetic.
//
// What only training has (dropout, noise) is left out. Layers of images are in
// OnnxImageLayers.cpp.
//
// Known weakness: an embedding of a number that is not whole or below 0 is NaN
// here, ONNX's Gather cuts or counts from the end.
#include "frontend/LayerParts.h"
#include "frontend/onnx/OnnxRules.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::StringRef;
using Attributes = OnnxEmitter::Attributes;

// ---- Activations ------------------------------------------------------------

static std::string clip(OnnxEmitter &e, std::string x, double low,
                        double high) {
  return e.node("Clip", {x, e.constant("low", low), e.constant("high", high)});
}

static float numberOf(const Config &config, StringRef arg) {
  return static_cast<float>(config.number(arg));
}

static std::string leakyRelu(OnnxEmitter &e, const Config &config,
                             std::string x) {
  return e.node("LeakyRelu", {x},
                {{"alpha", numberOf(config, "negative_slope")}});
}

/// min(x, max_value) for x > threshold, else negative_slope (x - threshold)
static std::string relu(OnnxEmitter &e, const Config &config, std::string x) {
  const float slope = numberOf(config, "negative_slope"),
              threshold = numberOf(config, "threshold");
  const bool isLimited = !config.isNull("max_value");
  if (isLimited && slope == 0 && threshold == 0)
    return clip(e, x, 0, config.number("max_value"));
  std::string y = threshold != 0
                      ? e.node("ThresholdedRelu", {x}, {{"alpha", threshold}})
                  : slope != 0 ? leakyRelu(e, config, x)
                               : e.node("Relu", {x});
  if (isLimited)
    y = e.node("Min", {y, e.constant("high", config.number("max_value"))});
  if (threshold == 0 || slope == 0)
    return y;
  const std::string below =
      e.node("Relu", {e.node("Sub", {e.constant("threshold", threshold), x})});
  return e.node("Sub", {y, e.node("Mul", {below, e.constant("slope", slope)})});
}

static std::string elu(OnnxEmitter &e, const Config &config, std::string x) {
  return e.node("Elu", {x}, {{"alpha", numberOf(config, "alpha")}});
}

static std::string selu(OnnxEmitter &e, const Config &, std::string x) {
  return e.node("Selu", {x}, {{"alpha", 1.67326324f}, {"gamma", 1.05070098f}});
}

/// x / 2 (1 + erf(x / sqrt 2)), or with tanh(sqrt(2 / pi) (x + 0.044715 x^3))
static std::string gelu(OnnxEmitter &e, const Config &config, std::string x) {
  std::string phi;
  if (config.flag("approximate")) {
    std::string cube = e.node("Mul", {e.node("Mul", {x, x}), x});
    cube = e.node("Mul", {cube, e.constant("cubic", 0.044715)});
    cube = e.node("Add", {x, cube});
    cube = e.node("Mul",
                  {cube, e.constant("sqrt_2_over_pi", std::sqrt(2 / M_PI))});
    phi = e.node("Tanh", {cube});
  } else {
    phi = e.node("Div", {x, e.constant("sqrt_2", std::sqrt(2.0))});
    phi = e.node("Erf", {phi});
  }
  phi = e.node("Add", {phi, e.constant("one", 1)});
  return e.node("Mul", {e.node("Mul", {x, phi}), e.constant("half", 0.5)});
}

static std::string silu(OnnxEmitter &e, const Config &, std::string x) {
  return e.node("Mul", {x, e.node("Sigmoid", {x})});
}

static std::string hardSigmoid(OnnxEmitter &e, const Config &, std::string x) {
  return e.node("HardSigmoid", {x}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
}

static std::string celu(OnnxEmitter &e, const Config &config, std::string x) {
  return e.node("Celu", {x}, {{"alpha", numberOf(config, "alpha")}});
}

/// What lies within `threshold` of 0 is 0, the rest moves by `bias` towards it.
static std::string shrink(OnnxEmitter &e, std::string x, float threshold,
                          float bias) {
  return e.node("Shrink", {x}, {{"lambd", threshold}, {"bias", bias}});
}

static std::string hardShrink(OnnxEmitter &e, const Config &config,
                              std::string x) {
  return shrink(e, x, numberOf(config, "threshold"), 0);
}

static std::string softShrink(OnnxEmitter &e, const Config &config,
                              std::string x) {
  const float threshold = numberOf(config, "threshold");
  return shrink(e, x, threshold, threshold);
}

static std::string hardTanh(OnnxEmitter &e, const Config &, std::string x) {
  return clip(e, x, -1, 1);
}

static std::string relu6(OnnxEmitter &e, const Config &, std::string x) {
  return clip(e, x, 0, 6);
}

/// x tanh(softplus(x)); the op Mish came with set 18.
static std::string mish(OnnxEmitter &e, const Config &, std::string x) {
  return e.node("Mul", {x, e.node("Tanh", {e.node("Softplus", {x})})});
}

static std::string logSigmoid(OnnxEmitter &e, const Config &, std::string x) {
  return e.node("Neg", {e.node("Softplus", {e.node("Neg", {x})})});
}

/// (x + sqrt(x^2 + b)) / 2
static std::string squareplus(OnnxEmitter &e, const Config &config,
                              std::string x) {
  std::string y = e.node("Mul", {x, x});
  y = e.node("Sqrt",
             {e.node("Add", {y, e.constant("b", numberOf(config, "b"))})});
  return e.node("Mul", {e.node("Add", {x, y}), e.constant("half", 0.5)});
}

static std::string tanhShrink(OnnxEmitter &e, const Config &, std::string x) {
  return e.node("Sub", {x, e.node("Tanh", {x})});
}

namespace {
struct ActivationRule {
  StringRef name;
  std::string (*emit)(OnnxEmitter &e, const Config &config, std::string x);
};
} // namespace

/// An activation that is an op without attributes.
template <const char *op>
static std::string plain(OnnxEmitter &e, const Config &, std::string x) {
  return e.node(op, {x});
}
static constexpr char kSigmoid[] = "Sigmoid", kTanh[] = "Tanh",
                      kSoftplus[] = "Softplus", kExp[] = "Exp",
                      kHardSwish[] = "HardSwish", kSoftsign[] = "Softsign",
                      kSoftmax[] = "Softmax", kLogSoftmax[] = "LogSoftmax";

/// What runs over the channels is in alongChannels(), and linear is nothing.
static const ActivationRule activationRules[] = {
    {"relu", relu},
    {"leaky_relu", leakyRelu},
    {"elu", elu},
    {"selu", selu},
    {"gelu", gelu},
    {"silu", silu},
    {"sigmoid", plain<kSigmoid>},
    {"hard_sigmoid", hardSigmoid},
    {"tanh", plain<kTanh>},
    {"softplus", plain<kSoftplus>},
    {"celu", celu},
    {"exponential", plain<kExp>},
    {"hard_shrink", hardShrink},
    {"hard_silu", plain<kHardSwish>},
    {"hard_tanh", hardTanh},
    {"log_sigmoid", logSigmoid},
    {"mish", mish},
    {"relu6", relu6},
    {"soft_shrink", softShrink},
    {"softsign", plain<kSoftsign>},
    {"squareplus", squareplus},
    {"tanh_shrink", tanhShrink},
};

/// The op of an activation along the channels, or null.
static const char *alongChannels(StringRef activation) {
  return activation == "softmax"       ? kSoftmax
         : activation == "log_softmax" ? kLogSoftmax
                                       : nullptr;
}

static const ActivationRule *findActivation(StringRef name) {
  for (const ActivationRule &rule : activationRules)
    if (rule.name == name)
      return &rule;
  return nullptr;
}

bool sinter::frontend::hasOnnxActivation(StringRef name) {
  return name == "linear" || alongChannels(name) || findActivation(name);
}

/// The last dimension of a sample, in the batch that has it.
static int64_t channelAxis(const OnnxOperand &x) {
  return x.layout == Layout::First ? 1 : -1;
}

static OnnxOperand activate(OnnxEmitter &e, const Config &activation,
                            OnnxOperand x) {
  if (const char *op = alongChannels(activation.name))
    x.name = e.node(op, {x.name}, {{"axis", channelAxis(x)}});
  else if (activation.name != "linear")
    x.name = findActivation(activation.name)->emit(e, activation, x.name);
  return x;
}

void sinter::frontend::finishOnnx(OnnxEmitter &e, OnnxOperand x) {
  e.setResult(activate(e, e.config().config("activation"), std::move(x)));
}

static void emitActivationLayer(OnnxEmitter &e) {
  if (e.config().config("activation").name == "linear")
    e.passInput();
  else
    finishOnnx(e, e.operand());
}

static void emitNamedActivation(OnnxEmitter &e) {
  e.setResult(activate(e, e.config(), e.operand()));
}

// ---- Shapes -----------------------------------------------------------------

static void passInput(OnnxEmitter &e) { e.passInput(); }

static std::string reshape(OnnxEmitter &e, const std::string &x, Shape sample) {
  sample.insert(sample.begin(), 0); // 0: as it was
  return e.node("Reshape", {x, e.integers("shape", sample)});
}

static void emitReshape(OnnxEmitter &e) {
  if (e.layer().shape == e.shape())
    e.passInput();
  else
    e.setResult({reshape(e, e.elements(), e.layer().shape)});
}

std::string sinter::frontend::flattened(OnnxEmitter &e, const std::string &x) {
  return e.node("Flatten", {x}, {{"axis", int64_t(1)}});
}

static void emitFlatten(OnnxEmitter &e) {
  if (e.shape().size() == 1)
    return e.passInput();
  OnnxOperand x = e.operand();
  if (x.layout == Layout::Last || layoutsAgree(e.shape()))
    return e.setResult({flattened(e, x.name)});
  e.setResult({flattened(e, x.name), Layout::First, e.shape()});
}

int64_t sinter::frontend::axisIn(Layout layout, size_t sampleRank,
                                 size_t axis) {
  if (layout == Layout::Last)
    return static_cast<int64_t>(axis) + 1;
  return axis + 1 == sampleRank ? 1 : static_cast<int64_t>(axis) + 2;
}

static void emitPermute(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  const size_t rank = e.shape().size();
  if (rank == 1)
    return e.passInput();
  Shape order = {0};
  for (int64_t dim : e.config().integers("dims"))
    order.push_back(axisIn(x.layout, rank, static_cast<size_t>(dim) - 1));
  if (!llvm::is_sorted(order))
    x.name = e.node("Transpose", {x.name}, {{"perm", order}});
  e.setResult({x.name});
}

// ---- Dense, embedding, arithmetic -------------------------------------------

static void emitDense(OnnxEmitter &e) {
  const bool vectors = e.shape().size() == 1;
  OnnxOperand x =
      vectors ? e.operand() : OnnxOperand{e.operand(0, Layout::Last)};
  std::vector<std::string> operands = {
      x.name, e.weight(0, e.parameter(0).shape, inOrderOf(x, e.values(0)))};
  const bool bias = e.config().flag("use_bias");
  if (bias)
    operands.push_back(e.weight(1));
  std::string y;
  if (vectors && bias) {
    y = e.node("Gemm", operands);
  } else {
    y = e.node("MatMul", {operands[0], operands[1]});
    if (bias)
      y = e.node("Add", {y, operands[2]});
  }
  finishOnnx(e, {y});
}

static void emitEmbedding(OnnxEmitter &e) {
  static constexpr int64_t kInt64 = 7; // TensorProto's
  std::string x = e.operand(0, Layout::Last);
  if (!e.isInteger(0))
    x = e.node("Cast", {x}, {{"to", kInt64}});
  e.setResult({e.node("Gather", {e.weight(0), x}, {{"axis", int64_t(0)}})});
}

/// Steps of which an element is not mask_value, others 0.
static void emitMasking(OnnxEmitter &e) {
  static constexpr int64_t kFloat = 1; // TensorProto's
  const std::string x = e.operand(0, Layout::Last);
  const std::string same = e.node(
      "Equal", {x, e.constant("value", e.config().number("mask_value"))});
  const std::string differs =
      e.node("Cast", {e.node("Not", {same})}, {{"to", kFloat}});
  const std::string counts =
      e.node("ReduceMax", {differs}, {{"axes", std::vector<int64_t>{-1}}});
  e.setResult({e.node("Mul", {x, counts})});
}

static void emitParameter(OnnxEmitter &e) { e.setParameter(); }

static void emitRescaling(OnnxEmitter &e) {
  OnnxOperand x = e.operand();
  x.name =
      e.node("Mul", {x.name, e.constant("scale", e.config().number("scale"))});
  if (const double offset = e.config().number("offset"); offset != 0)
    x.name = e.node("Add", {x.name, e.constant("offset", offset)});
  e.setResult(x);
}

static constexpr char kAdd[] = "Add", kMul[] = "Mul", kSub[] = "Sub",
                      kMean[] = "Mean", kMax[] = "Max", kMin[] = "Min";

/// Ops of two operands, from the left.
template <const char *op> static void emitBinary(OnnxEmitter &e) {
  std::vector<OnnxOperand> inputs = e.operands(/*broadcast=*/true);
  OnnxOperand y = inputs[0];
  for (const OnnxOperand &x : ArrayRef(inputs).drop_front())
    y.name = e.node(op, {y.name, x.name});
  e.setResult(y);
}

static std::vector<std::string> namesOf(ArrayRef<OnnxOperand> operands) {
  std::vector<std::string> names;
  for (const OnnxOperand &operand : operands)
    names.push_back(operand.name);
  return names;
}

/// Ops of any number of operands.
template <const char *op> static void emitMany(OnnxEmitter &e) {
  std::vector<OnnxOperand> inputs = e.operands(/*broadcast=*/true);
  OnnxOperand y = inputs[0];
  y.name = e.node(op, namesOf(inputs));
  e.setResult(y);
}

static void emitConcatenate(OnnxEmitter &e) {
  const size_t rank = e.shape().size();
  std::vector<OnnxOperand> inputs;
  if (rank > 1)
    inputs = e.operands();
  else
    for (size_t i = 0; i < e.numInputs(); ++i)
      inputs.push_back({e.operand(i, Layout::Last)});
  OnnxOperand y = inputs[0];
  const size_t axis = static_cast<size_t>(joinAxis(e.layer(), rank));
  y.name = e.node("Concat", namesOf(inputs),
                  {{"axis", axisIn(y.layout, rank, axis)}});
  e.setResult(y);
}

// ---- The table --------------------------------------------------------------

const OnnxRule *sinter::frontend::findOnnxRule(StringRef layer) {
  static const OnnxRule rules[] = {
      {"flatten", emitFlatten},
      {"reshape", emitReshape},
      {"permute", emitPermute},
      {"dense", emitDense},
      {"parameter", emitParameter},
      {"embedding", emitEmbedding},
      {"masking", emitMasking},
      {"rescaling", emitRescaling},
      {"activation", emitActivationLayer},
      {"relu", emitNamedActivation},
      {"leaky_relu", emitNamedActivation},
      {"elu", emitNamedActivation},
      {"softmax", emitNamedActivation},
      {"dropout", passInput},
      {"gaussian_noise", passInput},
      {"add", emitBinary<kAdd>},
      {"multiply", emitBinary<kMul>},
      {"subtract", emitBinary<kSub>},
      {"average", emitMany<kMean>},
      {"maximum", emitMany<kMax>},
      {"minimum", emitMany<kMin>},
      {"concatenate", emitConcatenate},
  };
  for (ArrayRef<OnnxRule> table :
       {ArrayRef(rules), onnxAttentionRules(), onnxImageRules(),
        onnxOperationRules(), onnxRecurrentRules()})
    for (const OnnxRule &rule : table)
      if (rule.name == layer)
        return &rule;
  return nullptr;
}
