// AttentionLayers.cpp - products of two layers' results: dot, matmul, and the
// layers that attend.
//
// With queries q (rows of a sample), keys k and values v:
//
//   attention             softmax(score(q, k)) v, score a product or a network
//   multi_head_attention  the same for several heads side by side, each with
//                         projections of its own:
//                         softmax(Q K' / sqrt(key_dim)) V, then joined again
//
// Projections are the convolutions of one tap that dense layers over sequences
// are, too; products of what is computed are batch_matmul ops. A causal mask is
// a comparison of rows and columns in the scores' own kernel, not a tensor.
//
// Heads are apart and joined by transpositions, which the products' kernels
// take as other addresses.
//
// Weakness: scores are stored between product and softmax.
#include "frontend/LayerParts.h"
#include "frontend/Masks.h"

#include "ir/Formula.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;
using mlir::ValueRange;

using V = mlir::Value;

// ---- Parts ------------------------------------------------------------------

static V product(LayerEmitter &e, V a, V b, bool transposeB = false) {
  return BatchMatmulOp::create(e.builder, e.loc, a, b, /*transpose_a=*/false,
                               transposeB);
}

static V transposed(LayerEmitter &e, V x, ArrayRef<int64_t> order) {
  return TransposeOp::create(e.builder, e.loc, x, order);
}

/// A sample's `shape` in another one.
static V reshaped(LayerEmitter &e, V x, const Shape &shape) {
  mlir::RankedTensorType type = e.typeOf(shape);
  return x.getType() == type
             ? x
             : ReshapeOp::create(e.builder, e.loc, type, x).getResult();
}

static int64_t elements(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

/// scores (..., rows, columns), where a column is not after its row; elsewhere
/// so low that softmax makes it 0.
static V maskFuture(LayerEmitter &e, V scores) {
  Formula f(e.builder, e.loc);
  ArrayRef<int64_t> shape = tensorTypeOf(scores).getShape();
  mlir::Type number = e.builder.getF32Type();
  auto count = [&](int64_t rows, int64_t columns, int64_t axis) -> V {
    return IotaOp::create(e.builder, e.loc,
                          mlir::RankedTensorType::get({rows, columns}, number),
                          axis);
  };
  V row = count(shape[shape.size() - 2], 1, 0),
    column = count(1, shape.back(), 1);
  return f.select(f.greater(column, row), f.number(-1e9), scores);
}

/// The mask of input `number`, or null.
static V maskOf(LayerEmitter &e, size_t number) {
  return number < e.masks.size() ? e.masks[number] : V();
}

/// scores (..., rows, columns) where a step of a sample is not masked;
/// elsewhere as maskFuture(). The steps are `axis`: -1 columns, -2 rows.
static V maskSteps(LayerEmitter &e, V scores, V mask, int64_t axis) {
  if (!mask)
    return scores;
  Formula f(e.builder, e.loc);
  Shape shape(featureShape(tensorTypeOf(scores)).size(), 1);
  shape[shape.size() + axis] = featureShape(tensorTypeOf(mask))[0];
  return f.select(reshaped(e, mask, shape), scores, f.number(-1e9));
}

/// Weights of rows, with dropout in training. Masked values, input 1 (or the
/// only one), get none.
static V attentionWeights(LayerEmitter &e, V scores) {
  const Config &config = e.layer.config;
  scores = maskSteps(e, scores, maskOf(e, e.masks.size() > 1 ? 1 : 0), -1);
  if (config.flag("use_causal_mask"))
    scores = maskFuture(e, scores);
  V weights = SoftmaxOp::create(e.builder, e.loc, scores);
  const double rate = config.number("dropout");
  return rate == 0 ? weights
                   : DropoutOp::create(e.builder, e.loc, weights,
                                       llvm::APFloat(static_cast<float>(rate)),
                                       e.nextStream++)
                         .getResult();
}

// ---- dot, matmul ------------------------------------------------------------

/// Axes of the two samples, counted from 0; empty after `wrong` is set.
static Shape dotAxes(const Config &config, ArrayRef<Shape> inputs,
                     std::string &wrong) {
  Shape axes = config.integers("axes");
  if (axes.size() == 1)
    axes.push_back(axes[0]);
  if (axes.size() != 2) {
    wrong = formatv("expected one or two 'axes', got {0}", axes.size());
    return {};
  }
  for (size_t i = 0; i < 2; ++i) {
    const int64_t rank = static_cast<int64_t>(inputs[i].size());
    const int64_t at = axes[i] < 0 ? axes[i] + rank : axes[i] - 1;
    if (at < 0 || at >= rank) {
      wrong = formatv("expected 'axes' in 1 .. {0} (0 is the batch) or -{0} .. "
                      "-1 of input {1}, got {2}",
                      rank, i + 1, axes[i]);
      return {};
    }
    axes[i] = at;
  }
  return axes;
}

static Shape without(Shape shape, int64_t axis) {
  shape.erase(shape.begin() + axis);
  return shape;
}

static std::string expectTwo(ArrayRef<Shape> inputs) {
  return inputs.size() == 2
             ? std::string()
             : formatv("expected 2 inputs, got {0}", inputs.size()).str();
}

static std::string inferDot(LayerRecord &layer, ArrayRef<Shape> inputs) {
  std::string wrong = expectTwo(inputs);
  if (!wrong.empty())
    return wrong;
  Shape axes = dotAxes(layer.config, inputs, wrong);
  if (!wrong.empty())
    return wrong;
  if (inputs[0][axes[0]] != inputs[1][axes[1]])
    return formatv("expected axes of one size, got {0} of {1} and {2} of {3}",
                   inputs[0][axes[0]], toText(inputs[0]), inputs[1][axes[1]],
                   toText(inputs[1]));
  layer.shape = without(inputs[0], axes[0]);
  llvm::append_range(layer.shape, without(inputs[1], axes[1]));
  if (layer.shape.empty())
    layer.shape = {1};
  return "";
}

/// x over its length along `axis` of the batch, at least 1e-12.
static V normalized(LayerEmitter &e, V x, int64_t axis) {
  Formula f(e.builder, e.loc);
  V square = f.sum(f.square(x), {axis}, /*keepDims=*/true);
  return f.div(x, f.sqrt(f.max(square, 1e-24)));
}

static V emitDot(LayerEmitter &e, ValueRange inputs) {
  std::vector<Shape> shapes;
  for (V input : inputs)
    shapes.emplace_back(featureShape(tensorTypeOf(input)));
  std::string wrong;
  Shape axes = dotAxes(e.layer.config, shapes, wrong);
  V matrices[2];
  for (size_t i = 0; i < 2; ++i) {
    V x = inputs[i];
    if (e.layer.config.flag("normalize"))
      x = normalized(e, x, axes[i] + 1);
    // The contracted axis last, all others as rows.
    const int64_t rank = static_cast<int64_t>(shapes[i].size());
    Shape order;
    for (int64_t axis = 0; axis <= rank; ++axis)
      if (axis != axes[i] + 1)
        order.push_back(axis);
    order.push_back(axes[i] + 1);
    if (axes[i] + 1 != rank)
      x = transposed(e, x, order);
    const int64_t inner = shapes[i][axes[i]];
    matrices[i] = reshaped(e, x, {elements(shapes[i]) / inner, inner});
  }
  return reshapeToResult(
      e, product(e, matrices[0], matrices[1], /*transposeB=*/true));
}

/// Two samples as NumPy's matmul takes them: a vector is a row on the left, a
/// column on the right; axes that one of them lacks in front have size 1.
static std::pair<Shape, Shape> matricesOf(Shape a, Shape b) {
  if (a.size() == 1)
    a.insert(a.begin(), 1);
  if (b.size() == 1)
    b.push_back(1);
  const size_t rank = std::max(a.size(), b.size());
  a.insert(a.begin(), rank - a.size(), 1);
  b.insert(b.begin(), rank - b.size(), 1);
  return {std::move(a), std::move(b)};
}

static std::string inferMatmul(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (std::string wrong = expectTwo(inputs); !wrong.empty())
    return wrong;
  if (inputs[0].size() == 1 && inputs[1].size() == 1)
    return "expected a matrix, got two vectors, " + toText(inputs[0]) +
           " and " + toText(inputs[1]) + "; 'dot' multiplies them";
  const auto [a, b] = matricesOf(inputs[0], inputs[1]);
  const size_t rank = a.size();
  bool fits = a[rank - 1] == b[rank - 2];
  layer.shape = a;
  for (size_t i = 0; fits && i + 2 < rank; ++i) {
    fits = a[i] == b[i] || a[i] == 1 || b[i] == 1;
    layer.shape[i] = std::max(a[i], b[i]);
  }
  if (!fits)
    return "expected samples (..., m, k) and (..., k, n), got " +
           toText(inputs[0]) + " and " + toText(inputs[1]);
  layer.shape.back() = b.back();
  if (inputs[0].size() == 1)
    layer.shape.erase(layer.shape.end() - 2);
  if (inputs[1].size() == 1)
    layer.shape.pop_back();
  return "";
}

static V emitMatmul(LayerEmitter &e, ValueRange inputs) {
  const auto [a, b] = matricesOf(featureShape(tensorTypeOf(inputs[0])),
                                 featureShape(tensorTypeOf(inputs[1])));
  return reshapeToResult(
      e, product(e, reshaped(e, inputs[0], a), reshaped(e, inputs[1], b)));
}

// ---- attention, additive_attention ------------------------------------------

/// Inputs are the query (Tq, d), the value (Tv, dv) and perhaps the key
/// (Tv, d), by default the value.
static std::string inferAttending(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (inputs.size() > 3)
    return formatv("expected 2 or 3 inputs (query, value, key), got {0}",
                   inputs.size());
  const Shape &query = inputs[0], &value = inputs[1], &key = inputs.back();
  if (query.size() != 2 || value.size() != 2 || key.size() != 2 ||
      key[0] != value[0] || key[1] != query[1]) {
    std::string got;
    for (const Shape &input : inputs)
      got += (got.empty() ? "" : ", ") + toText(input);
    return "expected a query (Tq, d), a value (Tv, dv) and a key (Tv, d), "
           "got " +
           got;
  }
  layer.shape = {query[0], value[1]};
  return "";
}

static std::string inferAttention(LayerRecord &layer, ArrayRef<Shape> inputs) {
  if (std::string wrong = inferAttending(layer, inputs); !wrong.empty())
    return wrong;
  auto scalar = [&](const char *name) {
    layer.parameters.push_back({layer.name + "/" + name,
                                {},
                                Config("ones"),
                                std::nullopt,
                                layer.config.flag("trainable")});
  };
  if (layer.config.flag("use_scale"))
    scalar("scale");
  if (layer.config.text("score_mode") == "concat")
    scalar("concat_score_weight");
  return "";
}

static std::string inferAdditiveAttention(LayerRecord &layer,
                                          ArrayRef<Shape> inputs) {
  if (std::string wrong = inferAttending(layer, inputs); !wrong.empty())
    return wrong;
  if (layer.config.flag("use_scale"))
    layer.parameters.push_back({layer.name + "/scale",
                                {inputs[0][1]},
                                Config("glorot_uniform"),
                                std::nullopt,
                                layer.config.flag("trainable")});
  return "";
}

/// tanh(scale (q + k)) for each row of q and each of k: (Tq, Tv, d).
static V pairs(LayerEmitter &e, V query, V key, V scale) {
  Formula f(e.builder, e.loc);
  Shape q(featureShape(tensorTypeOf(query))),
      k(featureShape(tensorTypeOf(key)));
  V sum = f.add(reshaped(e, query, {q[0], 1, q[1]}),
                reshaped(e, key, {1, k[0], k[1]}));
  return TanhOp::create(e.builder, e.loc, scale ? f.mul(sum, scale) : sum);
}

/// The rows of masked queries are 0.
static V withoutMaskedRows(LayerEmitter &e, V result) {
  V mask = maskOf(e, 0);
  return mask ? Formula(e.builder, e.loc).mul(result, maskOver(e, mask, result))
              : result;
}

static V emitAttention(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  V query = inputs[0], value = inputs[1], key = inputs.back();
  const bool hasScale = e.layer.config.flag("use_scale");
  V scale = hasScale ? e.read(0) : V(), scores;
  if (e.layer.config.text("score_mode") == "dot") {
    scores = product(e, query, key, /*transposeB=*/true);
    scores = scale ? f.mul(scores, scale) : scores;
  } else {
    scores = f.mul(f.sum(pairs(e, query, key, scale), {3}),
                   e.read(hasScale ? 1 : 0));
  }
  return withoutMaskedRows(e, product(e, attentionWeights(e, scores), value));
}

static V emitAdditiveAttention(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  V all = pairs(e, inputs[0], inputs.back(), {});
  if (e.layer.config.flag("use_scale"))
    all = f.mul(all, e.read(0));
  return withoutMaskedRows(
      e, product(e, attentionWeights(e, f.sum(all, {3})), inputs[1]));
}

// ---- multi_head_attention ---------------------------------------------------

namespace {
/// Sizes of the layer, from its arguments and inputs: query, value, key, of
/// which later ones are earlier ones by default.
struct Heads {
  Heads(const Config &config, ArrayRef<Shape> inputs)
      : count(config.integer("num_heads")), keyDim(config.integer("key_dim")),
        valueDim(config.isNull("value_dim") ? keyDim
                                            : config.integer("value_dim")),
        query(inputs[0]), value(inputs[inputs.size() > 1 ? 1 : 0]),
        key(inputs.back()) {}

  int64_t count, keyDim, valueDim;
  Shape query, value, key;
};
} // namespace

/// All axes but the last are places that attend, or are attended to.
static int64_t places(const Shape &shape) {
  return elements(ArrayRef(shape).drop_back());
}

static std::string inferMultiHeadAttention(LayerRecord &layer,
                                           ArrayRef<Shape> inputs) {
  const Config &config = layer.config;
  if (inputs.size() > 3)
    return formatv("expected 1 to 3 inputs (query, value, key), got {0}",
                   inputs.size());
  Heads h(config, inputs);
  for (const Shape &input : inputs)
    if (input.size() < 2)
      return "expected samples (T, features), got " + toText(input);
  if (places(h.key) != places(h.value))
    return "expected as many keys as values, got " + toText(h.key) + " and " +
           toText(h.value);
  if (config.flag("use_causal_mask") &&
      (h.query.size() != 2 || h.value.size() != 2))
    return "expected sequences (T, features) under 'use_causal_mask', got " +
           toText(h.query) + " and " + toText(h.value);
  auto project = [&](const std::string &name, const Shape &kernel,
                     size_t bias) {
    addParameter(layer, name + "/kernel", kernel, "kernel");
    if (config.flag("use_bias"))
      addParameter(
          layer, name + "/bias",
          Shape(kernel.end() - static_cast<int64_t>(bias), kernel.end()),
          "bias");
  };
  project("query", {h.query.back(), h.count, h.keyDim}, 2);
  project("key", {h.key.back(), h.count, h.keyDim}, 2);
  project("value", {h.value.back(), h.count, h.valueDim}, 2);
  Shape output = config.isNull("output_shape")
                     ? Shape{h.query.back()}
                     : config.integers("output_shape");
  Shape kernel = {h.count, h.valueDim};
  llvm::append_range(kernel, output);
  project("attention_output", kernel, output.size());
  layer.shape = h.query;
  layer.shape.pop_back();
  llvm::append_range(layer.shape, output);
  return "";
}

/// x (T, in) times parameter `kernel`, of `in` rows in all, plus the bias that
/// may be behind it: (T, units).
static V projected(LayerEmitter &e, V x, size_t kernel, int64_t in) {
  Formula f(e.builder, e.loc);
  const Shape sample(featureShape(tensorTypeOf(x)));
  const int64_t rows = elements(sample) / in,
                units = elements(e.layer.parameters[kernel].shape) / in;
  V image = reshaped(e, x, {1, rows, in});
  V y = Conv2dOp::create(e.builder, e.loc, image,
                         f.reshape(e.read(kernel), {1, 1, in, units}),
                         /*strides=*/ArrayRef<int64_t>{1, 1},
                         /*dilations=*/ArrayRef<int64_t>{1, 1},
                         /*padding=*/ArrayRef<int64_t>{0, 0, 0, 0},
                         /*groups=*/1);
  if (e.layer.config.flag("use_bias"))
    y = f.add(y, f.reshape(e.read(kernel + 1), {units}));
  return y;
}

static V emitMultiHeadAttention(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  std::vector<Shape> shapes;
  for (V input : inputs)
    shapes.emplace_back(featureShape(tensorTypeOf(input)));
  Heads h(e.layer.config, shapes);
  const size_t step = e.layer.config.flag("use_bias") ? 2 : 1;
  auto heads = [&](V y, int64_t rows, int64_t size) {
    return transposed(e, reshaped(e, y, {rows, h.count, size}), {0, 2, 1, 3});
  };
  V valueIn = inputs[inputs.size() > 1 ? 1 : 0], keyIn = inputs.back();
  const double scale = 1 / std::sqrt(static_cast<double>(h.keyDim));
  V query = heads(f.mul(projected(e, inputs[0], 0, h.query.back()), scale),
                  places(h.query), h.keyDim);
  V key =
      heads(projected(e, keyIn, step, h.key.back()), places(h.key), h.keyDim);
  V value = heads(projected(e, valueIn, 2 * step, h.value.back()),
                  places(h.value), h.valueDim);
  V scores = product(e, query, key, /*transposeB=*/true);
  scores = maskSteps(e, scores, maskOf(e, 0), -2);
  scores = maskSteps(e, scores, maskOf(e, 2), -1);
  V sums = product(e, attentionWeights(e, scores), value);
  V joined = transposed(e, sums, {0, 2, 1, 3});
  return reshapeToResult(e,
                         projected(e, joined, 3 * step, h.count * h.valueDim));
}

// ---- The table --------------------------------------------------------------

ArrayRef<LayerRule> sinter::frontend::attentionLayerRules() {
  static const LayerRule rules[] = {
      {"dot", Arity::Many, inferDot, emitDot},
      {"matmul", Arity::Many, inferMatmul, emitMatmul},
      {"attention", Arity::Many, inferAttention, emitAttention},
      {"additive_attention", Arity::Many, inferAdditiveAttention,
       emitAdditiveAttention},
      {"multi_head_attention", Arity::Some, inferMultiHeadAttention,
       emitMultiHeadAttention},
  };
  return rules;
}
