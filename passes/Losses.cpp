//===- Losses.cpp - losses and metrics as ops ----------------------------===//
//
// Keras 3's formulas, one function each, p the prediction and t the target. A
// loss averages over all of a sample; the mean over samples is the caller's.
// Probabilities that reach a logarithm are clipped to [1e-7, 1 - 1e-7], as
// Keras does, unless the logits are known, which are exact.
//
//===----------------------------------------------------------------------===//

#include "passes/Losses.h"

#include "ir/Formula.h"
#include "passes/Config.h"

using namespace mlir;
using namespace sinter;

namespace {
constexpr double kEpsilon = 1e-7; // Keras's backend epsilon

struct LossBuilder : Formula {
  LossBuilder(OpBuilder &builder, Location loc, Config config, Value prediction,
              Value target)
      : Formula(builder, loc), config(config), prediction(prediction),
        target(target) {}

  Config config;
  Value prediction, target;

  // ---- Losses
  Value sparseCategoricalCrossentropy() { return crossentropy(oneHot(target)); }
  Value categoricalCrossentropy() {
    double smoothing = config.number("label_smoothing", 0);
    Value t = target;
    if (smoothing > 0)
      t = add(mul(t, 1 - smoothing), smoothing / classes());
    return crossentropy(t);
  }
  Value binaryCrossentropy() {
    double smoothing = config.number("label_smoothing", 0);
    Value t = target;
    if (smoothing > 0)
      t = add(mul(t, 1 - smoothing), smoothing / 2);
    if (Value x = logits<SigmoidOp>())
      return mean(SigmoidCrossEntropyOp::create(b, loc, x, t));
    Value p = clip(prediction);
    Value yes = mul(t, log(p));
    Value no = mul(sub(one(), t), log(sub(one(), p)));
    return mean(neg(add(yes, no)));
  }
  Value meanSquaredError() {
    Value e = sub(prediction, target);
    return mean(square(e));
  }
  Value meanAbsoluteError() { return mean(abs(sub(prediction, target))); }
  // |e| <= delta ? e^2 / 2 : delta |e| - delta^2 / 2
  Value huber() {
    double delta = config.number("delta", 1);
    Value e = sub(prediction, target), size = abs(e);
    Value linear = add(mul(size, delta), -0.5 * delta * delta);
    Value far = greater(size, number(delta));
    return mean(select(far, linear, mul(square(e), 0.5)));
  }
  // max(1 - t p, 0); a target of 0 stands for -1
  Value hinge() {
    Value t = sub(target, equal(target, zero()));
    return mean(max(sub(one(), mul(t, prediction)), 0));
  }

  // ---- Metrics
  Value sparseCategoricalAccuracy() {
    return equal(argmax(prediction), target);
  }
  Value categoricalAccuracy() {
    return equal(argmax(prediction), argmax(target));
  }
  Value binaryAccuracy() {
    Value yes = greater(prediction, number(config.number("threshold", 0.5)));
    return mean(equal(target, yes));
  }
  // Fewer than k classes score higher than the target's.
  Value topK(Value labels) {
    Value score = sumLast(mul(oneHot(labels), prediction));
    Value higher = sumLast(greater(prediction, score));
    return mean(greater(number(config.number("k", 5)), higher));
  }

  // ---- Parts
  /// -sum(c) t log p
  Value crossentropy(Value t) {
    if (Value x = logits<SoftmaxOp>())
      return SoftmaxCrossEntropyOp::create(b, loc, x, t);
    Value p = div(prediction, sumLast(prediction));
    return perSample(neg(sumLast(mul(t, log(clip(p))))));
  }
  /// What the prediction's softmax or sigmoid was made from, or the prediction
  /// if the loss declares it to be logits.
  template <typename Activation> Value logits() {
    if (config.flag("from_logits"))
      return prediction;
    // A reshape behind it that keeps the classes changes nothing.
    ArrayRef<int64_t> shape = tensorTypeOf(prediction).getShape();
    Value end = prediction;
    if (auto reshape = end.getDefiningOp<ReshapeOp>();
        reshape &&
        tensorTypeOf(reshape.getX()).getShape().back() == shape.back())
      end = reshape.getX();
    auto activation = end.getDefiningOp<Activation>();
    return activation ? reshape(activation.getX(), shape) : Value();
  }
  Value clip(Value p) { return min(max(p, kEpsilon), 1 - kEpsilon); }
  int64_t classes() { return tensorTypeOf(prediction).getShape().back(); }
  Value oneHot(Value labels) {
    return OneHotOp::create(b, loc, labels, classes());
  }
  Value argmax(Value x) { return ArgMaxOp::create(b, loc, x); }
  /// Mean over all of a sample: tensor<?xf32>.
  Value mean(Value x) {
    int64_t count = featureCount(tensorTypeOf(x));
    SmallVector<int64_t> axes =
        llvm::to_vector(llvm::seq<int64_t>(1, tensorTypeOf(x).getRank()));
    Value total = sum(x, axes);
    return count == 1 ? total : mul(total, 1.0 / count);
  }
  /// (batch, 1) as (batch).
  Value perSample(Value x) { return reshape(x, {ShapedType::kDynamic}); }
};

struct Entry {
  StringRef name;
  bool sparse;  // targets are labels, i32 (batch)
  bool classes; // the output is (batch, classes)
  Value (*build)(LossBuilder &);
};

/// Every loss and metric: one row each.
const Entry entries[] = {
    {"sparse_categorical_crossentropy", true, true,
     [](LossBuilder &l) { return l.sparseCategoricalCrossentropy(); }},
    {"categorical_crossentropy", false, true,
     [](LossBuilder &l) { return l.categoricalCrossentropy(); }},
    {"binary_crossentropy", false, false,
     [](LossBuilder &l) { return l.binaryCrossentropy(); }},
    {"mean_squared_error", false, false,
     [](LossBuilder &l) { return l.meanSquaredError(); }},
    {"mean_absolute_error", false, false,
     [](LossBuilder &l) { return l.meanAbsoluteError(); }},
    {"huber", false, false, [](LossBuilder &l) { return l.huber(); }},
    {"hinge", false, false, [](LossBuilder &l) { return l.hinge(); }},
    {"sparse_categorical_accuracy", true, true,
     [](LossBuilder &l) { return l.sparseCategoricalAccuracy(); }},
    {"categorical_accuracy", false, true,
     [](LossBuilder &l) { return l.categoricalAccuracy(); }},
    {"binary_accuracy", false, false,
     [](LossBuilder &l) { return l.binaryAccuracy(); }},
    {"sparse_top_k_categorical_accuracy", true, true,
     [](LossBuilder &l) { return l.topK(l.target); }},
    {"top_k_categorical_accuracy", false, true,
     [](LossBuilder &l) { return l.topK(l.argmax(l.target)); }},
};

const Entry *findEntry(StringRef name) {
  const Entry *entry =
      llvm::find_if(entries, [&](const Entry &e) { return e.name == name; });
  return entry == std::end(entries) ? nullptr : entry;
}
} // namespace

Value sinter::buildPerSample(OpBuilder &builder, Location loc,
                             DictionaryAttr dictionary, Value prediction,
                             Value target) {
  Config config(dictionary);
  const Entry *entry = findEntry(config.name());
  if (!entry) {
    emitError(loc) << "expected a loss or metric, got '" << config.name()
                   << "'";
    return {};
  }
  RankedTensorType p = tensorTypeOf(prediction);
  if (entry->classes && p.getRank() != 2) {
    emitError(loc) << "expected an output of shape (classes) for '"
                   << entry->name << "', got " << p;
    return {};
  }
  if (target.getType() != targetType(dictionary, p)) {
    emitError(loc) << "expected targets of type " << targetType(dictionary, p)
                   << " for '" << entry->name << "', got " << target.getType();
    return {};
  }
  LossBuilder lossBuilder(builder, loc, config, prediction, target);
  return entry->build(lossBuilder);
}

RankedTensorType sinter::targetType(DictionaryAttr config,
                                    RankedTensorType prediction) {
  const Entry *entry = findEntry(Config(config).name());
  if (entry && entry->sparse)
    return RankedTensorType::get({prediction.getDimSize(0)},
                                 IntegerType::get(config.getContext(), 32));
  return prediction;
}

Value sinter::buildSampleWeights(OpBuilder &builder, Location loc,
                                 DictionaryAttr dictionary, Value target) {
  SmallVector<double> weights = Config(dictionary).numbers("class_weight");
  if (weights.empty())
    return {};
  Formula f(builder, loc);
  RankedTensorType type = tensorTypeOf(target);
  Value label = target;
  if (type.getRank() == 2 && type.getDimSize(1) == 1)
    label = f.reshape(f.greater(target, f.number(0.5)), {ShapedType::kDynamic});
  else if (type.getRank() == 2)
    label = ArgMaxOp::create(f.b, loc, target);
  if (!tensorTypeOf(label).getElementType().isF32())
    label = CastOp::create(f.b, loc,
                           tensorTypeOf(label).clone(f.b.getF32Type()), label);
  // 1 + sum (w - 1) [label = class]
  Value sum = f.one();
  for (size_t i = 0; i + 1 < weights.size(); i += 2)
    sum = f.add(
        sum, f.mul(f.equal(label, f.number(weights[i])), weights[i + 1] - 1));
  return sum;
}
