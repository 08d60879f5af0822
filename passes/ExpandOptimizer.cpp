//===- ExpandOptimizer.cpp - updates become arithmetic -------------------===//
//
// Problem: an optimizer is a formula for each parameter, slots beside it, and a
// learning rate that moves. Idea: write the formula once as ops; everything
// after treats it as ordinary elementwise code, so that fusion can put the
// whole update behind the weight gradient that feeds it.
//
// Formulas and names are Keras 3's. t = iteration + 1; slots start at 0 unless
// said. 1 - beta^t is computed as -expm1(t ln beta), which keeps its digits for
// small t where f32's 1 - beta^t loses them.
//
//===----------------------------------------------------------------------===//

#include "ir/Formula.h"
#include "passes/Config.h"
#include "passes/Names.h"
#include "passes/Passes.h"

#include <cmath>
#include <numbers>

namespace sinter {
#define GEN_PASS_DEF_EXPANDOPTIMIZER
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

namespace {
/// Builds the arithmetic of one train step's optimizer.
class OptimizerBuilder : Formula {
public:
  OptimizerBuilder(ModelOp model, func::FuncOp step)
      : Formula(OpBuilder(step.front().getTerminator()), step.getLoc()),
        model(model), config(*model.getOptimizer()) {
    iteration = ReadOp::create(
        b, loc, RankedTensorType::get({}, b.getI32Type()), names::iteration);
    step32 = CastOp::create(b, loc, RankedTensorType::get({}, b.getF32Type()),
                            iteration);
    t = add(step32, 1);
    rate = learningRate();
  }

  LogicalResult expand(MutableArrayRef<UpdateOp> updates);

private:
  struct Parameter {
    StringRef name;
    RankedTensorType type;
    Value w, g; // value and gradient
  };
  using Rule = void (OptimizerBuilder::*)(const Parameter &);
  static Rule findRule(StringRef name);

  // ---- One function an optimizer: g, slots -> new w
  // momentum: m = momentum m - rate g; w += m (nesterov: momentum m - rate g)
  void sgd(const Parameter &p) {
    Value down = mul(rate, p.g);
    double momentum = config.number("momentum", 0);
    if (momentum == 0)
      return write(p, sub(p.w, down));
    Value m = slot(p, "momentum",
                   [&](Value m) { return sub(mul(m, momentum), down); });
    Value change = config.flag("nesterov") ? sub(mul(m, momentum), down) : m;
    write(p, add(p.w, change));
  }

  // v = rho v + (1 - rho) g^2; a = rho a + (1 - rho) g if centered
  // w -= rate g / sqrt(v - a^2 + eps), through momentum if there is one
  void rmsprop(const Parameter &p) {
    double rho = config.number("rho", 0.9);
    double momentum = config.number("momentum", 0);
    Value v = slot(p, "velocity",
                   [&](Value v) { return decay(v, square(p.g), rho); });
    Value variance = v;
    if (config.flag("centered")) {
      Value a = slot(p, "average_gradient",
                     [&](Value a) { return decay(a, p.g, rho); });
      variance = sub(v, square(a));
    }
    Value down = div(mul(rate, p.g), sqrt(add(variance, epsilon())));
    if (momentum > 0)
      down = slot(p, "momentum",
                  [&](Value m) { return add(mul(m, momentum), down); });
    write(p, sub(p.w, down));
  }

  // a = a + g^2; w -= rate g / sqrt(a + eps)
  void adagrad(const Parameter &p) {
    Value a = slot(
        p, "accumulator", [&](Value a) { return add(a, square(p.g)); },
        config.number("initial_accumulator_value", 0.1));
    write(p, sub(p.w, div(mul(rate, p.g), sqrt(add(a, epsilon())))));
  }

  // a = rho a + (1 - rho) g^2; d = -sqrt(s + eps) g / sqrt(a + eps)
  // s = rho s + (1 - rho) d^2; w += rate d
  void adadelta(const Parameter &p) {
    double rho = config.number("rho", 0.95);
    Value a = slot(p, "accumulated_gradient",
                   [&](Value a) { return decay(a, square(p.g), rho); });
    Value d;
    slot(p, "accumulated_update", [&](Value s) {
      Value rms = sqrt(add(s, epsilon()));
      d = div(mul(rms, neg(p.g)), sqrt(add(a, epsilon())));
      return decay(s, square(d), rho);
    });
    write(p, add(p.w, mul(rate, d)));
  }

  // m += (1 - beta1) (g - m); v += (1 - beta2) (g^2 - v)
  // w -= rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)
  void adam(const Parameter &p) {
    double beta1 = config.number("beta_1", 0.9);
    double beta2 = config.number("beta_2", 0.999);
    if (!alpha)
      alpha = div(mul(rate, sqrt(oneMinusPower(beta2))), oneMinusPower(beta1));
    Value m =
        slot(p, "momentum", [&](Value m) { return blend(m, p.g, beta1); });
    Value v = slot(p, "velocity",
                   [&](Value v) { return blend(v, square(p.g), beta2); });
    write(p, sub(p.w, div(mul(m, alpha), add(sqrt(v), epsilon()))));
  }

  // u(t) = beta1 (1 - 0.96^t / 2), U(t) = u(1) ... u(t); m and v as in adam
  // w -= rate (u(t+1) m / (1 - U(t) u(t+1)) + (1 - u(t)) g / (1 - U(t)))
  //      / (sqrt(v / (1 - beta2^t)) + eps)
  // Dozat, "Incorporating Nesterov Momentum into Adam", 2016.
  void nadam(const Parameter &p) {
    double beta1 = config.number("beta_1", 0.9);
    double beta2 = config.number("beta_2", 0.999);
    if (!nadamNow) {
      auto u = [&](Value at) {
        Value power = exp(mul(at, std::log(0.96)));
        return mul(sub(number(1), mul(power, 0.5)), beta1);
      };
      Value now = u(t), next = u(add(t, 1));
      RankedTensorType type = tensorTypeOf(now);
      addState("optimizer/u_product", type, 1);
      Value product =
          mul(ReadOp::create(b, loc, type, "optimizer/u_product"), now);
      WriteOp::create(b, loc, "optimizer/u_product", product);
      nadamNext = div(next, sub(number(1), mul(product, next)));
      nadamNow = div(sub(number(1), now), sub(number(1), product));
      nadamCorrection = div(number(1), oneMinusPower(beta2));
    }
    Value m =
        slot(p, "momentum", [&](Value m) { return blend(m, p.g, beta1); });
    Value v = slot(p, "velocity",
                   [&](Value v) { return blend(v, square(p.g), beta2); });
    Value mean = add(mul(m, nadamNext), mul(p.g, nadamNow));
    Value scale = add(sqrt(mul(v, nadamCorrection)), epsilon());
    write(p, sub(p.w, div(mul(mean, rate), scale)));
  }

  // ---- Learning rate, by iteration s (0 in the first step)
  Value learningRate() {
    if (config.flag("variable_learning_rate"))
      return variableRate();
    DictionaryAttr dictionary = config.dictionaryAt("learning_rate");
    if (!dictionary)
      return number(config.number("learning_rate", 0.001));
    Config schedule(dictionary);
    if (schedule.name() == "exponential_decay")
      return exponentialDecay(schedule);
    if (schedule.name() == "cosine_decay")
      return cosineDecay(schedule);
    if (schedule.name() == "piecewise_constant_decay")
      return piecewiseConstant(schedule);
    if (schedule.name() == "constant")
      return number(
          schedule.number("value", schedule.number("learning_rate", 0.001)));
    emitError(model.getLoc())
        << "expected a learning-rate schedule, got '" << schedule.name() << "'";
    bad = true;
    return number(0);
  }

  // a state, which the program around the model may change between steps
  Value variableRate() {
    double start = config.number("learning_rate", 0.001);
    if (DictionaryAttr schedule = config.dictionaryAt("learning_rate"))
      start = Config(schedule).number("value", start);
    auto type = RankedTensorType::get({}, b.getF32Type());
    addState(names::learningRate, type, start);
    return ReadOp::create(b, loc, type, names::learningRate);
  }

  // initial decay_rate^(s / decay_steps), the exponent floored if staircase
  Value exponentialDecay(Config c) {
    Value exponent = mul(step32, 1 / c.number("decay_steps", 1));
    if (c.flag("staircase"))
      exponent = FloorOp::create(
          b, loc, div(step32, number(c.number("decay_steps", 1))));
    Value factor = exp(mul(exponent, std::log(c.number("decay_rate", 1))));
    return mul(factor, c.number("initial_learning_rate", 0.001));
  }

  // warmup: linear from initial to target over warmup_steps, then
  // base ((1 - alpha) (1 + cos(pi s' / decay_steps)) / 2 + alpha), s' counting
  // from the warmup's end. Loshchilov and Hutter, "SGDR", 2016.
  Value cosineDecay(Config c) {
    double initial = c.number("initial_learning_rate", 0.001);
    double alpha = c.number("alpha", 0), steps = c.number("decay_steps", 1);
    std::optional<double> target = c.number("warmup_target");
    double warmup = target ? c.number("warmup_steps", 0) : 0;
    double base = target ? *target : initial;
    Value since = sub(step32, number(warmup));
    Value done = min(since, steps);
    Value wave =
        add(CosOp::create(b, loc, mul(done, std::numbers::pi / steps)), 1);
    Value decayed = mul(add(mul(wave, (1 - alpha) / 2), alpha), base);
    if (warmup <= 0)
      return decayed;
    Value rising = add(mul(step32, (base - initial) / warmup), initial);
    return select(greater(number(warmup), step32), rising, decayed);
  }

  // values[i] for boundaries[i - 1] < s <= boundaries[i]
  Value piecewiseConstant(Config c) {
    SmallVector<double> boundaries = c.numbers("boundaries");
    SmallVector<double> values = c.numbers("values");
    if (values.size() != boundaries.size() + 1) {
      emitError(model.getLoc())
          << "expected one value more than boundaries, got " << values.size()
          << " for " << boundaries.size();
      bad = true;
      return number(0);
    }
    Value current = number(values.front());
    for (auto [boundary, value] :
         llvm::zip(boundaries, ArrayRef(values).drop_front())) {
      Value past = greater(step32, number(boundary));
      current = select(past, number(value), current);
    }
    return current;
  }

  // ---- Clipping
  void clip(MutableArrayRef<Parameter> parameters) {
    if (std::optional<double> limit = config.number("clipvalue"))
      for (Parameter &p : parameters)
        p.g = max(min(p.g, *limit), -*limit);
    // g limit / max(|g|, limit), for each tensor or for all together
    if (std::optional<double> limit = config.number("clipnorm"))
      for (Parameter &p : parameters)
        p.g = mul(p.g, shrink(sumOfSquares(p.g), *limit));
    if (std::optional<double> limit = config.number("global_clipnorm")) {
      Value total;
      for (Parameter &p : parameters)
        total = total ? add(total, sumOfSquares(p.g)) : sumOfSquares(p.g);
      Value factor = shrink(total, *limit);
      for (Parameter &p : parameters)
        p.g = mul(p.g, factor);
    }
  }
  Value sumOfSquares(Value g) {
    SmallVector<int64_t> axes =
        llvm::to_vector(llvm::seq<int64_t>(0, tensorTypeOf(g).getRank()));
    Value squares = square(g);
    return axes.empty()
               ? squares
               : ReduceSumOp::create(b, loc, squares, axes, false).getResult();
  }
  Value shrink(Value squares, double limit) {
    Value norm = sqrt(squares);
    return div(number(limit), max(norm, limit));
  }

  // ---- States
  void addState(const Twine &name, RankedTensorType type, double start) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(*model.getBody().getOps<func::FuncOp>().begin());
    StateOp::create(b, loc, Role::Slot, b.getStringAttr(name).getValue(), type,
                    Init::Constant, APFloat(static_cast<float>(start)),
                    APFloat(0.0f), nullptr, nullptr);
  }
  /// Adds the slot `name` of p, and writes next(its value), which is returned.
  template <typename Next>
  Value slot(const Parameter &p, StringRef name, Next next, double start = 0) {
    std::string full = (p.name + "/" + name).str();
    addState(full, p.type, start);
    Value value = next(ReadOp::create(b, loc, p.type, full));
    WriteOp::create(b, loc, full, value);
    return value;
  }
  void write(const Parameter &p, Value w) {
    WriteOp::create(b, loc, p.name, w);
  }

  // ---- Parts
  double epsilon() { return config.number("epsilon", 1e-7); }
  /// rho x + (1 - rho) y
  Value decay(Value x, Value y, double rho) {
    return add(mul(x, rho), mul(y, 1 - rho));
  }
  /// x + (1 - beta) (y - x)
  Value blend(Value x, Value y, double beta) {
    return add(x, mul(sub(y, x), 1 - beta));
  }
  /// 1 - beta^t
  Value oneMinusPower(double beta) {
    if (beta == 0)
      return number(1);
    return neg(expm1(mul(t, std::log(beta))));
  }

  ModelOp model;
  Config config;
  Value iteration, step32, t, rate;
  Value alpha;                                // adam
  Value nadamNext, nadamNow, nadamCorrection; // nadam
  bool bad = false;
};

OptimizerBuilder::Rule OptimizerBuilder::findRule(StringRef name) {
  static const std::pair<StringRef, Rule> rules[] = {
      {"sgd", &OptimizerBuilder::sgd},
      {"rmsprop", &OptimizerBuilder::rmsprop},
      {"adagrad", &OptimizerBuilder::adagrad},
      {"adadelta", &OptimizerBuilder::adadelta},
      {"adam", &OptimizerBuilder::adam},
      {"adamw", &OptimizerBuilder::adam},
      {"nadam", &OptimizerBuilder::nadam},
  };
  for (auto [ruleName, rule] : rules)
    if (ruleName == name)
      return rule;
  return nullptr;
}

LogicalResult OptimizerBuilder::expand(MutableArrayRef<UpdateOp> updates) {
  Rule rule = findRule(config.name());
  if (!rule)
    return emitError(model.getLoc())
           << "expected an optimizer, got '" << config.name() << "'";
  SmallVector<Parameter> parameters;
  for (UpdateOp update : updates) {
    RankedTensorType type = tensorTypeOf(update.getGradient());
    Value w = ReadOp::create(b, update.getLoc(), type, update.getState());
    parameters.push_back({update.getState(), type, w, update.getGradient()});
  }
  clip(parameters);
  double weightDecay = config.number("weight_decay", 0);
  Location whole = loc;
  for (auto [p, update] : llvm::zip_equal(parameters, updates)) {
    loc = update.getLoc();
    if (weightDecay > 0)
      p.w = sub(p.w, mul(mul(p.w, weightDecay), rate));
    (this->*rule)(p);
  }
  loc = whole;
  Value one = ConstantOp::create(
      b, loc, iteration.getType(),
      DenseElementsAttr::get(tensorTypeOf(iteration), int32_t(1)));
  WriteOp::create(b, loc, names::iteration, add(iteration, one));
  return failure(bad);
}

struct ExpandOptimizer : sinter::impl::ExpandOptimizerBase<ExpandOptimizer> {
  void runOnOperation() override {
    ModelOp model = getOperation();
    auto step = model.lookupSymbol<func::FuncOp>(names::trainStep);
    if (!step || !model.getOptimizer())
      return;
    SmallVector<UpdateOp> updates(step.front().getOps<UpdateOp>());
    if (failed(OptimizerBuilder(model, step).expand(updates)))
      return signalPassFailure();
    for (UpdateOp update : updates)
      update.erase();
  }
};
} // namespace
