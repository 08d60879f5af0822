// Layers.cpp - shape rule and emission of each layer, side by side.
//
// Shapes are those of one sample; in the IR the batch comes in front. Rules see
// completed configs, so arguments are there and in range. Layers of images are
// in ImageLayers.cpp.
#include "frontend/LayerParts.h"
#include "frontend/Masks.h"

#include "ir/Formula.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;
using mlir::ValueRange;

// ---- Helpers ----------------------------------------------------------------

std::string sinter::frontend::toText(const Shape &shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

std::optional<int64_t> sinter::frontend::countElements(const Shape &shape) {
  const int64_t most = 2147483647;
  int64_t count = 1;
  for (int64_t size : shape) {
    if (size > most / count)
      return std::nullopt;
    count *= size;
  }
  return count;
}

mlir::RankedTensorType LayerEmitter::typeOf(const Shape &shape) const {
  llvm::SmallVector<int64_t> batched = {mlir::ShapedType::kDynamic};
  llvm::append_range(batched, shape);
  return mlir::RankedTensorType::get(batched, builder.getF32Type());
}

mlir::Value LayerEmitter::read(size_t parameter) const {
  const Parameter &state = layer.parameters[parameter];
  return ReadOp::create(
      builder, loc,
      mlir::RankedTensorType::get(state.shape, builder.getF32Type()),
      state.name);
}

mlir::Value sinter::frontend::reshapeToResult(LayerEmitter &e, mlir::Value x) {
  mlir::RankedTensorType type = e.typeOf(e.layer.shape);
  return x.getType() == type
             ? x
             : ReshapeOp::create(e.builder, e.loc, type, x).getResult();
}

void sinter::frontend::addParameter(LayerRecord &layer, StringRef name,
                                    Shape shape, StringRef argument) {
  const Config &config = layer.config;
  std::string base = argument.empty() ? name.str() : argument.str();
  Parameter parameter{layer.name + "/" + name.str(), std::move(shape),
                      config.config(base + "_initializer")};
  std::string regularizer = base + "_regularizer";
  if (config.find(regularizer) && !config.isNull(regularizer))
    parameter.regularizer = config.config(regularizer);
  parameter.trainable = config.flag("trainable");
  layer.parameters.push_back(std::move(parameter));
}

// ---- Activations ------------------------------------------------------------

/// Keras's relu with all of its arguments.
static mlir::Value emitRelu(LayerEmitter &e, const Config &activation,
                            mlir::Value x) {
  Formula f(e.builder, e.loc);
  const double slope = activation.number("negative_slope"),
               threshold = activation.number("threshold");
  mlir::Value y;
  if (threshold != 0)
    y = f.select(f.greater(x, f.number(threshold)), x, f.zero());
  else if (slope != 0)
    y = LeakyReluOp::create(
        e.builder, e.loc, x,
        e.builder.getF32FloatAttr(static_cast<float>(slope)));
  else
    y = ReluOp::create(e.builder, e.loc, x);
  if (!activation.isNull("max_value"))
    y = f.min(y, activation.number("max_value"));
  if (threshold != 0 && slope != 0)
    y = f.sub(y, f.mul(f.max(f.sub(f.number(threshold), x), 0), slope));
  return y;
}

/// Activations without an op of their own.
static mlir::Value emitFormula(LayerEmitter &e, const Config &activation,
                               mlir::Value x) {
  Formula f(e.builder, e.loc);
  auto softplus = [&](mlir::Value y) -> mlir::Value {
    return SoftplusOp::create(e.builder, e.loc, y);
  };
  StringRef name = activation.name;
  if (name == "log_softmax") {
    const int64_t last = tensorTypeOf(x).getRank() - 1;
    auto reduce = [&]<typename Op>(mlir::Value y) -> mlir::Value {
      return Op::create(e.builder, e.loc, y, ArrayRef<int64_t>{last},
                        /*keep_dims=*/true);
    };
    mlir::Value shifted = f.sub(x, reduce.template operator()<ReduceMaxOp>(x));
    return f.sub(shifted, f.log(reduce.template operator()<ReduceSumOp>(
                              f.exp(shifted))));
  }
  if (name == "celu") {
    const double alpha = activation.number("alpha");
    mlir::Value left = f.expm1(f.mul(f.min(x, 0), 1 / alpha));
    return f.add(f.max(x, 0), f.mul(left, alpha));
  }
  if (name == "exponential")
    return f.exp(x);
  if (name == "hard_shrink")
    return f.select(
        f.greater(f.abs(x), f.number(activation.number("threshold"))), x,
        f.zero());
  if (name == "hard_silu")
    return f.mul(x, HardSigmoidOp::create(e.builder, e.loc, x));
  if (name == "hard_tanh")
    return f.min(f.max(x, -1), 1);
  if (name == "log_sigmoid")
    return f.neg(softplus(f.neg(x)));
  if (name == "mish")
    return f.mul(x, TanhOp::create(e.builder, e.loc, softplus(x)));
  if (name == "relu6")
    return f.min(f.max(x, 0), 6);
  if (name == "soft_shrink") {
    const double threshold = activation.number("threshold");
    return f.sub(x, f.min(f.max(x, -threshold), threshold));
  }
  if (name == "softsign")
    return f.div(x, f.add(f.abs(x), 1));
  if (name == "squareplus")
    return f.mul(f.add(x, f.sqrt(f.add(f.square(x), activation.number("b")))),
                 0.5);
  assert(name == "tanh_shrink" && "activation of the catalog without emission");
  return f.sub(x, TanhOp::create(e.builder, e.loc, x));
}

mlir::Value sinter::frontend::emitActivation(LayerEmitter &e,
                                             const Config &activation,
                                             mlir::Value x) {
  mlir::OpBuilder &b = e.builder;
  auto number = [&](StringRef arg) {
    return b.getF32FloatAttr(static_cast<float>(activation.number(arg)));
  };
  StringRef name = activation.name;
  if (name == "linear")
    return x;
  if (name == "relu")
    return emitRelu(e, activation, x);
  if (name == "leaky_relu")
    return LeakyReluOp::create(b, e.loc, x, number("negative_slope"));
  if (name == "elu")
    return EluOp::create(b, e.loc, x, number("alpha"));
  if (name == "selu")
    return SeluOp::create(b, e.loc, x);
  if (name == "gelu")
    return GeluOp::create(b, e.loc, x, activation.flag("approximate"));
  if (name == "silu")
    return SiluOp::create(b, e.loc, x);
  if (name == "sigmoid")
    return SigmoidOp::create(b, e.loc, x);
  if (name == "hard_sigmoid")
    return HardSigmoidOp::create(b, e.loc, x);
  if (name == "tanh")
    return TanhOp::create(b, e.loc, x);
  if (name == "softplus")
    return SoftplusOp::create(b, e.loc, x);
  if (name == "softmax")
    return SoftmaxOp::create(b, e.loc, x);
  return emitFormula(e, activation, x);
}

mlir::Value sinter::frontend::emitBiasAndActivation(LayerEmitter &e,
                                                    mlir::Value x,
                                                    size_t bias) {
  const Config &config = e.layer.config;
  if (config.flag("use_bias"))
    x = AddOp::create(e.builder, e.loc, x, e.read(bias));
  return emitActivation(e, config.config("activation"), x);
}

std::string sinter::frontend::inferSame(LayerRecord &layer,
                                        ArrayRef<Shape> inputs) {
  layer.shape = inputs[0];
  return "";
}

static mlir::Value emitActivationLayer(LayerEmitter &e, ValueRange inputs) {
  return emitActivation(e, e.layer.config.config("activation"), inputs[0]);
}

/// relu, leaky_relu, elu, softmax: layers named and configured as activations.
static mlir::Value emitNamedActivation(LayerEmitter &e, ValueRange inputs) {
  return emitActivation(e, e.layer.config, inputs[0]);
}

// ---- Shapes -----------------------------------------------------------------

static std::string inferFlatten(LayerRecord &layer, ArrayRef<Shape> inputs) {
  layer.shape = {*countElements(inputs[0])};
  return "";
}

static std::string inferReshape(LayerRecord &layer, ArrayRef<Shape> inputs) {
  Shape shape = layer.config.integers("target_shape");
  const int64_t have = *countElements(inputs[0]);
  Shape known = shape;
  llvm::erase(known, -1);
  std::optional<int64_t> want = countElements(known);
  if (want && known.size() < shape.size() && have % *want == 0) {
    *llvm::find(shape, -1) = have / *want;
    want = have;
  }
  if (want != have)
    return formatv("expected 'target_shape' to hold the {0} elements of {1}, "
                   "got {2}",
                   have, toText(inputs[0]), toText(shape));
  layer.shape = std::move(shape);
  return "";
}

static mlir::Value emitReshape(LayerEmitter &e, ValueRange inputs) {
  return reshapeToResult(e, inputs[0]);
}

// ---- Dense ------------------------------------------------------------------

static std::string inferDense(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const int64_t units = layer.config.integer("units");
  addParameter(layer, "kernel", {inputs[0].back(), units});
  if (layer.config.flag("use_bias"))
    addParameter(layer, "bias", {units});
  layer.shape = inputs[0];
  layer.shape.back() = units;
  return "";
}

/// x kernel, over the last of x's dimensions. What lies before it are pixels of
/// an image one pixel high, and the product a convolution with one tap.
static mlir::Value emitProduct(LayerEmitter &e, mlir::Value x) {
  ArrayRef<int64_t> sample = featureShape(tensorTypeOf(x));
  if (sample.size() == 1)
    return MatmulOp::create(e.builder, e.loc, x, e.read(0),
                            /*transpose_a=*/false, /*transpose_b=*/false);
  const int64_t in = sample.back(), units = e.layer.shape.back();
  const int64_t pixels = *countElements(Shape(sample)) / in;
  Formula f(e.builder, e.loc);
  x = ReshapeOp::create(e.builder, e.loc, e.typeOf({1, pixels, in}), x);
  mlir::Value filter = f.reshape(e.read(0), {1, 1, in, units});
  return Conv2dOp::create(e.builder, e.loc, x, filter,
                          /*strides=*/ArrayRef<int64_t>{1, 1},
                          /*dilations=*/ArrayRef<int64_t>{1, 1},
                          /*padding=*/ArrayRef<int64_t>{0, 0, 0, 0},
                          /*groups=*/1);
}

/// activation(x kernel + bias)
static mlir::Value emitDense(LayerEmitter &e, ValueRange inputs) {
  mlir::Value y = emitProduct(e, inputs[0]);
  return reshapeToResult(e, emitBiasAndActivation(e, y, 1));
}

// ---- Embedding --------------------------------------------------------------

static std::string inferEmbedding(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const int64_t columns = layer.config.integer("output_dim");
  addParameter(layer, "embeddings",
               {layer.config.integer("input_dim"), columns});
  layer.shape = inputs[0];
  layer.shape.push_back(columns);
  return "";
}

static mlir::Value emitEmbedding(LayerEmitter &e, ValueRange inputs) {
  return EmbeddingOp::create(e.builder, e.loc, inputs[0], e.read(0));
}

// ---- Masking ----------------------------------------------------------------

static std::string inferMasking(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (inputs[0].size() != 2)
    return "expected an input of shape (steps, features), got " +
           toText(inputs[0]);
  return inferSame(layer, inputs);
}

/// Masked steps are 0, whatever mask_value is.
static mlir::Value emitMasking(LayerEmitter &e, ValueRange inputs) {
  return Formula(e.builder, e.loc)
      .mul(inputs[0], maskOver(e, emitMask(e, inputs), inputs[0]));
}

// ---- Parameters ----

static std::string inferParameter(LayerRecord &layer, ArrayRef<Shape>) {
  layer.shape = layer.config.integers("shape");
  addParameter(layer, "value", layer.shape);
  return "";
}

/// Every sample gets a copy.
static mlir::Value emitParameter(LayerEmitter &e, ValueRange) {
  return BroadcastOp::create(e.builder, e.loc, e.typeOf(e.layer.shape),
                             e.read(0));
}

// ---- Arithmetic -------------------------------------------------------------

/// x scale + offset
static mlir::Value emitRescaling(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  mlir::Value scaled = f.mul(inputs[0], e.layer.config.number("scale"));
  double offset = e.layer.config.number("offset");
  return offset == 0 ? scaled : f.add(scaled, offset);
}

// ---- Random -----------------------------------------------------------------

static mlir::Value emitDropout(LayerEmitter &e, ValueRange inputs) {
  double rate = e.layer.config.number("rate");
  if (rate == 0)
    return inputs[0];
  return DropoutOp::create(e.builder, e.loc, inputs[0],
                           llvm::APFloat(static_cast<float>(rate)),
                           e.nextStream++);
}

static mlir::Value emitGaussianNoise(LayerEmitter &e, ValueRange inputs) {
  double stddev = e.layer.config.number("stddev");
  if (stddev == 0)
    return inputs[0];
  return GaussianNoiseOp::create(e.builder, e.loc, inputs[0],
                                 llvm::APFloat(static_cast<float>(stddev)),
                                 e.nextStream++);
}

// ---- Merging ----------------------------------------------------------------

std::string sinter::frontend::inferBroadcast(LayerRecord &layer,
                                             ArrayRef<Shape> inputs) {
  Shape shape = inputs[0];
  for (const Shape &other : inputs.drop_front()) {
    bool fits = other.size() == shape.size();
    for (size_t i = 0; fits && i < shape.size(); ++i) {
      fits = other[i] == shape[i] || other[i] == 1 || shape[i] == 1;
      shape[i] = std::max(shape[i], other[i]);
    }
    if (!fits)
      return "expected inputs of one shape, got " + toText(inputs[0]) +
             " and " + toText(other);
  }
  layer.shape = std::move(shape);
  return "";
}

template <typename Op>
static mlir::Value emitBinary(LayerEmitter &e, ValueRange inputs) {
  mlir::Value result = inputs[0];
  for (mlir::Value input : inputs.drop_front())
    result = Op::create(e.builder, e.loc, result, input);
  return result;
}

/// Keras takes two inputs, no more.
static std::string inferSubtract(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (inputs.size() != 2)
    return formatv("expected 2 inputs, got {0}", inputs.size());
  return inferBroadcast(layer, inputs);
}

static mlir::Value emitAverage(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  return f.div(emitBinary<AddOp>(e, inputs),
               f.number(static_cast<double>(inputs.size())));
}

int64_t sinter::frontend::joinAxis(const LayerRecord &layer,
                                   size_t sampleRank) {
  int64_t axis = layer.config.integer("axis"); // counts the batch
  return axis < 0 ? axis + static_cast<int64_t>(sampleRank) : axis - 1;
}

static std::string inferConcatenate(LayerRecord &layer,
                                    ArrayRef<Shape> inputs) {
  Shape shape = inputs[0];
  const int64_t axis = joinAxis(layer, shape.size());
  if (axis < 0 || axis >= static_cast<int64_t>(shape.size()))
    return formatv("expected 'axis' in 1 .. {0} (0 is the batch) or -{0} .. "
                   "-1, got {1}",
                   shape.size(), layer.config.integer("axis"));
  for (const Shape &other : inputs.drop_front()) {
    bool fits = other.size() == shape.size();
    for (size_t i = 0; fits && i < shape.size(); ++i)
      fits = static_cast<int64_t>(i) == axis || other[i] == shape[i];
    if (!fits)
      return "expected inputs that differ along 'axis' alone, got " +
             toText(inputs[0]) + " and " + toText(other);
    shape[axis] += other[axis];
  }
  layer.shape = std::move(shape);
  return "";
}

static mlir::Value emitConcatenate(LayerEmitter &e, ValueRange inputs) {
  int64_t axis = joinAxis(e.layer, e.layer.shape.size()) + 1;
  return ConcatenateOp::create(e.builder, e.loc, inputs, axis);
}

// ---- The table --------------------------------------------------------------

const LayerRule *sinter::frontend::findLayerRule(StringRef name) {
  static const LayerRule rules[] = {
      {"flatten", Arity::One, inferFlatten, emitReshape},
      {"reshape", Arity::One, inferReshape, emitReshape},
      {"dense", Arity::One, inferDense, emitDense},
      {"parameter", Arity::None, inferParameter, emitParameter},
      {"embedding", Arity::One, inferEmbedding, emitEmbedding},
      {"masking", Arity::One, inferMasking, emitMasking},
      {"rescaling", Arity::One, inferSame, emitRescaling},
      {"activation", Arity::One, inferSame, emitActivationLayer},
      {"relu", Arity::One, inferSame, emitNamedActivation},
      {"leaky_relu", Arity::One, inferSame, emitNamedActivation},
      {"elu", Arity::One, inferSame, emitNamedActivation},
      {"softmax", Arity::One, inferSame, emitNamedActivation},
      {"dropout", Arity::One, inferSame, emitDropout},
      {"gaussian_noise", Arity::One, inferSame, emitGaussianNoise},
      {"add", Arity::Many, inferBroadcast, emitBinary<AddOp>},
      {"multiply", Arity::Many, inferBroadcast, emitBinary<MulOp>},
      {"subtract", Arity::Many, inferSubtract, emitBinary<SubOp>},
      {"average", Arity::Many, inferBroadcast, emitAverage},
      {"maximum", Arity::Many, inferBroadcast, emitBinary<MaximumOp>},
      {"minimum", Arity::Many, inferBroadcast, emitBinary<MinimumOp>},
      {"concatenate", Arity::Many, inferConcatenate, emitConcatenate},
  };
  for (ArrayRef<LayerRule> table :
       {ArrayRef(rules), attentionLayerRules(), imageLayerRules(),
        volumeLayerRules(), operationLayerRules(), recurrentLayerRules()})
    for (const LayerRule &rule : table)
      if (rule.name == name)
        return &rule;
  return nullptr;
}
