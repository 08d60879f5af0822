// RecurrentLayers.cpp - layers that walk along a sequence, step by step.
//
// Problem: LSTM, GRU and SimpleRNN are loops over time; the graph has none.
// Idea: the number of steps is known, so the loop is written out. What does not
// wait for the step before, x W + b, is one product over all steps; a step then
// is h U, a slice of that, and the gates. Steps are equal in form, so they
// share their kernels' code. With a the activation and s the recurrent one, h
// and c of the step before:
//
//   simple_rnn  h' = a(x W + b + h U)
//   lstm        i, f, g, o = x W + b + h U, in parts
//               c' = s(f) c + s(i) a(g)         h' = s(o) a(c')
//     peepholes: P_i c and P_f c are added to i and f, P_o c' to o
//   gru         z, r = s(x W + b + h U), in parts
//               n = a(x W + b + r (h U + d)) if reset_after, its own bias d,
//                   else a(x W + b + (r h) U)   h' = z h + (1 - z) n
//
// A masked step (see Masks.h) leaves h and c as they are, and gives what the
// step before gave, 0 at the start.
//
// Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; Gers and
// Schmidhuber, "Recurrent Nets that Time and Count", 2000 (peepholes); Cho et
// al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.
//
// The layers that wrap others are here, too, since most of what they wrap is
// recurrent: bidirectional, time_distributed.
//
// Known weakness: the graph, and with it compile time, grows with the number of
// steps. A gru whose reset gate comes first multiplies by all of U twice, and
// uses a part of each.
#include "frontend/LayerParts.h"

#include "ir/Formula.h"

#include "llvm/Support/FormatVariadic.h"

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::SmallVector;
using llvm::StringRef;
using mlir::ValueRange;

// ---- Cells ------------------------------------------------------------------

/// How many products of `units` columns a step takes.
static int64_t gatesOf(const Config &cell) {
  return cell.name == "lstm" ? 4 : cell.name == "gru" ? 3 : 1;
}

int64_t sinter::frontend::statesOf(const Config &cell) {
  return cell.name == "lstm" ? 2 : 1;
}

static bool resetsAfter(const Config &cell) {
  return cell.name == "gru" && cell.flag("reset_after");
}

static bool hasPeepholes(const Config &cell) {
  return cell.name == "lstm" && cell.flag("peepholes");
}

namespace {
/// Where a cell's parameters stand among those of its layer.
struct CellParameters {
  explicit CellParameters(const Config &cell, size_t first = 0)
      : kernel(first), recurrent(first + 1), bias(first + 2),
        peephole(first + (cell.flag("use_bias") ? 3 : 2)),
        end(peephole + (hasPeepholes(cell) ? 1 : 0)) {}

  size_t kernel, recurrent, bias, peephole, end;
};
} // namespace

/// The value of all elements that a constant initializer gives.
static std::optional<float> constantOf(const Config &initializer) {
  if (initializer.name == "zeros")
    return 0.0f;
  if (initializer.name == "ones")
    return 1.0f;
  if (initializer.name == "constant")
    return static_cast<float>(initializer.number("value"));
  return std::nullopt;
}

/// Adds the parameters of a cell that reads `features`; what is wrong, or "".
static std::string addCell(LayerRecord &layer, const Config &cell,
                           StringRef prefix, int64_t features) {
  const int64_t units = cell.integer("units"), gates = gatesOf(cell);
  if (units > kMostRows / gates)
    return formatv("expected 'units' of at most {0}, got {1}",
                   kMostRows / gates, units);
  auto add = [&](StringRef name, StringRef argument, Shape shape) {
    Parameter parameter{layer.name + "/" + prefix.str() + name.str(),
                        std::move(shape),
                        cell.config((argument + "_initializer").str())};
    std::string regularizer = (argument + "_regularizer").str();
    if (name != "peephole" && !cell.isNull(regularizer))
      parameter.regularizer = cell.config(regularizer);
    parameter.trainable =
        cell.flag("trainable") && layer.config.flag("trainable");
    layer.parameters.push_back(std::move(parameter));
  };
  add("kernel", "kernel", {features, gates * units});
  add("recurrent_kernel", "recurrent", {units, gates * units});
  if (cell.flag("use_bias")) {
    add("bias", "bias",
        resetsAfter(cell) ? Shape{2, gates * units} : Shape{gates * units});
    if (cell.name == "lstm" && cell.flag("unit_forget_bias")) {
      std::optional<float> others = constantOf(cell.config("bias_initializer"));
      if (!others)
        return "expected 'bias_initializer' to be zeros, ones or a constant, "
               "or 'unit_forget_bias' to be false";
      std::vector<float> values(gates * units, *others);
      std::fill_n(values.begin() + units, units, 1.0f);
      layer.parameters.back().values = std::move(values);
    }
  }
  if (hasPeepholes(cell))
    add("peephole", "recurrent", {3, units});
  return "";
}

namespace {

/// Emits one walk along a sequence.
class Walk {
public:
  /// `zeroOutput`: what masked steps give is 0, instead of the result before.
  Walk(LayerEmitter &e, const Config &cell, size_t firstParameter,
       bool zeroOutput)
      : e(e), f(e.builder, e.loc), cell(cell), at(cell, firstParameter),
        units(cell.integer("units")), width(gatesOf(cell) * units),
        zeroOutput(zeroOutput),
        mask(e.masks.empty() ? mlir::Value() : e.masks[0]) {}

  /// What each step gives, in the order of processing. `states` of the first
  /// step: h, and c of an lstm; none for zeros.
  SmallVector<mlir::Value> emit(mlir::Value x, ValueRange states);
  /// After emit(): what the last step leaves, h, and c of an lstm.
  SmallVector<mlir::Value> states() const {
    return c && cell.name == "lstm" ? SmallVector<mlir::Value>{h, c}
                                    : SmallVector<mlir::Value>{h};
  }

private:
  mlir::Value slice(mlir::Value x, int64_t start, int64_t size) {
    return SliceOp::create(e.builder, e.loc, x, /*axis=*/1, start, size);
  }
  /// Columns of gate `gate` of a value that has all of them.
  mlir::Value gate(mlir::Value x, int64_t gate) {
    return slice(x, gate * units, units);
  }
  mlir::Value activate(mlir::Value x) {
    return emitActivation(e, cell.config("activation"), x);
  }
  mlir::Value squash(mlir::Value x) {
    return emitActivation(e, cell.config("recurrent_activation"), x);
  }
  mlir::Value matmul(mlir::Value x, mlir::Value kernel) {
    return MatmulOp::create(e.builder, e.loc, x, kernel, /*transpose_a=*/false,
                            /*transpose_b=*/false);
  }

  /// The state times the recurrent kernel, in training with some of the state
  /// dropped.
  mlir::Value recur(mlir::Value state) {
    return matmul(kept ? f.mul(state, kept) : state, recurrent);
  }

  mlir::Value drop(mlir::Value x);
  mlir::Value keptStates();
  mlir::Value project(mlir::Value x);
  mlir::Value rowOf(mlir::Value parameter, int64_t row);

  void stepSimple(mlir::Value in);
  void stepLstm(mlir::Value in);
  void stepGru(mlir::Value in);

  LayerEmitter &e;
  Formula f;
  const Config &cell;
  const CellParameters at;
  const int64_t units, width;
  const bool zeroOutput;
  const mlir::Value mask; // of the input's steps; null: none
  mlir::Value h, c;       // null: zeros
  // What steps share.
  mlir::Value recurrent, ownBias, peepholes[4]; // of gates i, f, (none,) o
  mlir::Value kept; // factors on the state, see recur(); null: none
};

} // namespace

/// Keras drops the same features in all steps of a sample.
mlir::Value Walk::drop(mlir::Value x) {
  const double rate = cell.number("dropout");
  if (rate == 0)
    return x;
  return SpatialDropoutOp::create(e.builder, e.loc, x,
                                  llvm::APFloat(static_cast<float>(rate)),
                                  e.nextStream++);
}

/// In training, 0 for units that are dropped and 1 / (1 - rate) for others, the
/// same for all steps and gates; or null.
mlir::Value Walk::keptStates() {
  const double rate = cell.number("recurrent_dropout");
  if (rate == 0)
    return {};
  mlir::Value ones =
      BroadcastOp::create(e.builder, e.loc, e.typeOf({units}), f.one());
  return DropoutOp::create(e.builder, e.loc, ones,
                           llvm::APFloat(static_cast<float>(rate)),
                           e.nextStream++);
}

/// Elements of an unbatched parameter as samples, which have slices.
mlir::Value Walk::rowOf(mlir::Value parameter, int64_t row) {
  const int64_t count = tensorTypeOf(parameter).getNumElements();
  mlir::Value all = BroadcastOp::create(e.builder, e.loc, e.typeOf({count}),
                                        f.reshape(parameter, {count}));
  return slice(all, row * units, units);
}

/// x W + b for all steps: (batch, steps * width). The steps are pixels of an
/// image one pixel high, and the product a convolution with one tap.
mlir::Value Walk::project(mlir::Value x) {
  ArrayRef<int64_t> sample = featureShape(tensorTypeOf(x));
  const int64_t steps = sample[0], features = sample[1];
  x = ReshapeOp::create(e.builder, e.loc, e.typeOf({1, steps, features}), x);
  mlir::Value filter = f.reshape(e.read(at.kernel), {1, 1, features, width});
  mlir::Value y = Conv2dOp::create(e.builder, e.loc, x, filter,
                                   /*strides=*/ArrayRef<int64_t>{1, 1},
                                   /*dilations=*/ArrayRef<int64_t>{1, 1},
                                   /*padding=*/ArrayRef<int64_t>{0, 0, 0, 0},
                                   /*groups=*/1);
  if (cell.flag("use_bias")) {
    mlir::Value bias = e.read(at.bias);
    if (resetsAfter(cell)) {
      // Rows are x's bias and h's. All gates get both, n takes h's out again.
      ownBias = rowOf(bias, 5);
      bias = f.sum(bias, {0});
    }
    y = f.add(y, bias);
  }
  return ReshapeOp::create(e.builder, e.loc, e.typeOf({steps * width}), y);
}

void Walk::stepSimple(mlir::Value in) {
  h = activate(h ? f.add(recur(h), in) : in);
}

void Walk::stepLstm(mlir::Value in) {
  if (h)
    in = f.add(recur(h), in);
  auto peep = [&](mlir::Value x, int64_t gate, mlir::Value state) {
    return peepholes[gate] && state ? f.add(x, f.mul(state, peepholes[gate]))
                                    : x;
  };
  mlir::Value next =
      f.mul(squash(peep(gate(in, 0), 0, c)), activate(gate(in, 2)));
  if (c)
    next = f.add(f.mul(squash(peep(gate(in, 1), 1, c)), c), next);
  c = next;
  h = f.mul(squash(peep(gate(in, 3), 3, c)), activate(c));
}

void Walk::stepGru(mlir::Value in) {
  mlir::Value product = h ? recur(h) : mlir::Value();
  auto sum = [&](mlir::Value from, int64_t part) {
    return from ? f.add(gate(from, part), gate(in, part)) : gate(in, part);
  };
  mlir::Value z = squash(sum(product, 0)), r = squash(sum(product, 1)), n;
  if (resetsAfter(cell)) {
    n = gate(in, 2);
    if (product)
      n = f.add(n, f.mul(r, gate(product, 2)));
    if (ownBias)
      n = f.add(n, f.mul(f.sub(r, f.one()), ownBias));
  } else {
    n = sum(h ? recur(f.mul(r, h)) : mlir::Value(), 2);
  }
  n = activate(n);
  // z h + (1 - z) n
  h = f.add(n, f.mul(z, h ? f.sub(h, n) : f.neg(n)));
}

SmallVector<mlir::Value> Walk::emit(mlir::Value x, ValueRange states) {
  const int64_t steps = featureShape(tensorTypeOf(x))[0];
  if (!states.empty())
    h = states[0];
  if (states.size() > 1)
    c = states[1];
  // A single step from zeros needs no recurrent kernel; but training expects a
  // gradient, even if it is 0.
  if (steps == 1 && states.empty())
    h = c = BroadcastOp::create(e.builder, e.loc, e.typeOf({units}), f.zero());
  mlir::Value inputs = project(drop(x));
  recurrent = e.read(at.recurrent);
  kept = keptStates();
  if (hasPeepholes(cell))
    for (auto [row, gate] : {std::pair(0, 0), std::pair(1, 1), std::pair(2, 3)})
      peepholes[gate] = rowOf(e.read(at.peephole), row);
  SmallVector<mlir::Value> results;
  mlir::Value output; // null: zeros
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t t = cell.flag("go_backwards") ? steps - 1 - step : step;
    mlir::Value in = slice(inputs, t * width, width), oldH = h, oldC = c;
    if (cell.name == "lstm")
      stepLstm(in);
    else if (cell.name == "gru")
      stepGru(in);
    else
      stepSimple(in);
    if (mask) {
      mlir::Value counts = slice(mask, t, 1);
      auto unlessMasked = [&](mlir::Value now, mlir::Value before) {
        return f.select(counts, now, before ? before : f.zero());
      };
      output = unlessMasked(h, zeroOutput ? mlir::Value() : output);
      h = unlessMasked(h, oldH);
      c = c ? unlessMasked(c, oldC) : c;
    }
    results.push_back(mask ? output : h);
  }
  return results;
}

// ---- Shapes -----------------------------------------------------------------

/// An input of steps and features, and the states that `states` cells start
/// with, if any.
static std::string expectSequence(ArrayRef<Shape> inputs, const Config &cell,
                                  int64_t walks) {
  if (inputs[0].size() != 2)
    return "expected an input of shape (steps, features), got " +
           toText(inputs[0]);
  if (inputs[0][0] > kMostSteps)
    return formatv("expected at most {0} steps, for each is written out, got "
                   "{1}",
                   kMostSteps, inputs[0][0]);
  const int64_t states = statesOf(cell) * walks;
  const int64_t given = static_cast<int64_t>(inputs.size()) - 1;
  if (given != 0 && given != states)
    return formatv("expected an input, or {0}: it and the first state{1}; got "
                   "{2}",
                   states + 1, states == 1 ? "" : "s", given + 1);
  const Shape wanted = {cell.integer("units")};
  for (const Shape &state : inputs.drop_front())
    if (state != wanted)
      return "expected a first state of shape " + toText(wanted) + ", got " +
             toText(state);
  return "";
}

/// (steps, features), or (features) of the last step.
static Shape resultOf(const Config &cell, int64_t steps, int64_t features) {
  return cell.flag("return_sequences") ? Shape{steps, features}
                                       : Shape{features};
}

/// What `walks` cells leave behind, where it is asked for.
static std::vector<Shape> statesAfter(const Config &cell, int64_t walks) {
  return cell.flag("return_state")
             ? std::vector<Shape>(statesOf(cell) * walks,
                                  Shape{cell.integer("units")})
             : std::vector<Shape>();
}

/// The steps one after the other.
static mlir::Value joinSteps(LayerEmitter &e, ArrayRef<mlir::Value> steps) {
  mlir::Value all = steps.size() == 1 ? steps[0]
                                      : ConcatenateOp::create(e.builder, e.loc,
                                                              ValueRange(steps),
                                                              /*axis=*/1)
                                            .getResult();
  return reshapeToResult(e, all);
}

static std::string inferRecurrent(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const Config &cell = layer.config;
  if (std::string wrong = expectSequence(inputs, cell, 1); !wrong.empty())
    return wrong;
  layer.shape = resultOf(cell, inputs[0][0], cell.integer("units"));
  layer.states = statesAfter(cell, 1);
  return addCell(layer, cell, "", inputs[0][1]);
}

static mlir::Value emitRecurrent(LayerEmitter &e, ValueRange inputs) {
  const Config &cell = e.layer.config;
  Walk walk(e, cell, 0, cell.flag("zero_output_for_mask"));
  SmallVector<mlir::Value> steps = walk.emit(inputs[0], inputs.drop_front());
  if (cell.flag("return_state"))
    e.states = walk.states();
  return cell.flag("return_sequences") ? joinSteps(e, steps) : steps.back();
}

// ---- Bidirectional ----------------------------------------------------------

Config sinter::frontend::backwardLayer(const Config &bidirectional) {
  if (!bidirectional.isNull("backward_layer"))
    return bidirectional.config("backward_layer");
  Config cell = bidirectional.config("layer");
  for (Argument &argument : cell.args)
    if (argument.name == "go_backwards")
      argument.value = sinter::frontend::Value(!cell.flag("go_backwards"));
  return cell;
}

static std::string inferBidirectional(LayerRecord &layer,
                                      ArrayRef<Shape> inputs) {
  const Config &forward = layer.config.config("layer");
  const Config backward = backwardLayer(layer.config);
  for (const Config *cell : {&forward, &backward})
    if (!isRecurrent(*cell))
      return "expected 'layer' to be lstm, gru or simple_rnn, got " +
             cell->name;
  if (forward.integer("units") != backward.integer("units") ||
      statesOf(forward) != statesOf(backward))
    return "expected 'backward_layer' to have the states of 'layer'";
  if (forward.flag("return_sequences") != backward.flag("return_sequences"))
    return "expected 'backward_layer' to have the return_sequences of 'layer'";
  if (forward.flag("return_state") != backward.flag("return_state"))
    return "expected 'backward_layer' to have the return_state of 'layer'";
  if (forward.flag("go_backwards") == backward.flag("go_backwards"))
    return "expected one of 'layer' and 'backward_layer' to have go_backwards";
  if (std::string wrong = expectSequence(inputs, forward, 2); !wrong.empty())
    return wrong;
  const bool joins = layer.config.text("merge_mode") == "concat";
  layer.shape = resultOf(forward, inputs[0][0],
                         forward.integer("units") * (joins ? 2 : 1));
  layer.states = statesAfter(forward, 2);
  for (auto [cell, prefix] :
       {std::pair(&forward, "forward_"), std::pair(&backward, "backward_")})
    if (std::string wrong = addCell(layer, *cell, prefix, inputs[0][1]);
        !wrong.empty())
      return wrong;
  return "";
}

/// One step of both directions.
static mlir::Value merge(LayerEmitter &e, mlir::Value x, mlir::Value y) {
  const std::string &mode = e.layer.config.text("merge_mode");
  Formula f(e.builder, e.loc);
  if (mode == "sum")
    return f.add(x, y);
  if (mode == "mul")
    return f.mul(x, y);
  if (mode == "ave")
    return f.mul(f.add(x, y), 0.5);
  return ConcatenateOp::create(e.builder, e.loc, ValueRange{x, y}, /*axis=*/1);
}

static mlir::Value emitBidirectional(LayerEmitter &e, ValueRange inputs) {
  const Config &forward = e.layer.config.config("layer");
  const Config backward = backwardLayer(e.layer.config);
  ValueRange states = inputs.drop_front();
  const size_t half = states.size() / 2;
  // As Keras has it, whatever its layers say.
  const bool zeroOutput = forward.flag("return_sequences");
  Walk ahead(e, forward, 0, zeroOutput),
      behind(e, backward, CellParameters(forward).end, zeroOutput);
  SmallVector<mlir::Value> there =
      ahead.emit(inputs[0], states.take_front(half));
  SmallVector<mlir::Value> back =
      behind.emit(inputs[0], states.drop_front(half));
  if (forward.flag("return_state")) {
    e.states = ahead.states();
    llvm::append_range(e.states, behind.states());
  }
  if (!forward.flag("return_sequences"))
    return merge(e, there.back(), back.back());
  SmallVector<mlir::Value> steps;
  for (auto [x, y] : llvm::zip_equal(there, llvm::reverse(back)))
    steps.push_back(merge(e, x, y));
  return joinSteps(e, steps);
}

// ---- States -----------------------------------------------------------------

/// Of the layer's result and its states.
static std::string inferState(LayerRecord &layer, ArrayRef<Shape> inputs) {
  const int64_t index = layer.config.integer("index"),
                count = static_cast<int64_t>(inputs.size()) - 1;
  if (count == 0)
    return "expected to read lstm, gru or simple_rnn with return_state: true, "
           "or a bidirectional of such";
  if (index >= count)
    return formatv("expected 'index' to be at most {0}, since the layer has "
                   "{1} state{2}, got {3}",
                   count - 1, count, count == 1 ? "" : "s", index);
  layer.shape = inputs[1 + index];
  return "";
}

static mlir::Value emitState(LayerEmitter &e, ValueRange inputs) {
  return inputs[1 + e.layer.config.integer("index")];
}

// ---- Sequences of anything --------------------------------------------------

static std::string inferRepeatVector(LayerRecord &layer,
                                     ArrayRef<Shape> inputs) {
  if (inputs[0].size() != 1)
    return "expected an input of shape (features), got " + toText(inputs[0]);
  layer.shape = {layer.config.integer("n"), inputs[0][0]};
  return "";
}

static mlir::Value emitRepeatVector(LayerEmitter &e, ValueRange inputs) {
  mlir::Value row = ReshapeOp::create(
      e.builder, e.loc, e.typeOf({1, e.layer.shape[1]}), inputs[0]);
  return BroadcastOp::create(e.builder, e.loc, e.typeOf(e.layer.shape), row);
}

bool sinter::frontend::worksOnLastAxis(const Config &layer) {
  return llvm::is_contained({"dense", "activation", "relu", "leaky_relu", "elu",
                             "softmax", "dropout", "gaussian_noise",
                             "rescaling"},
                            StringRef(layer.name));
}

/// The wrapped layer as a layer of its own, on `shape`; what is wrong, or "".
static std::string inferWrapped(const LayerRecord &layer, const Shape &shape,
                                LayerRecord &wrapped) {
  wrapped.config = layer.config.config("layer");
  wrapped.name = layer.name;
  const std::string &name = wrapped.config.name;
  const LayerRule *rule = findLayerRule(name);
  // What a layer learns of a batch it would learn once a step.
  if (!rule || rule->arity != Arity::One || name == "batch_normalization")
    return "'layer' = " + name +
           " is not supported; expected a layer with one input that treats "
           "every step alike";
  if (std::string wrong = rule->infer(wrapped, shape); !wrong.empty())
    return name + ": " + wrong;
  for (Parameter &parameter : wrapped.parameters)
    parameter.trainable &= layer.config.flag("trainable");
  return "";
}

static Shape withSteps(int64_t steps, const Shape &shape) {
  Shape result = {steps};
  llvm::append_range(result, shape);
  return result;
}

static std::string inferTimeDistributed(LayerRecord &layer,
                                        ArrayRef<Shape> inputs) {
  if (inputs[0].size() < 2)
    return "expected an input of shape (steps, ...), got " + toText(inputs[0]);
  const int64_t steps = inputs[0][0];
  LayerRecord wrapped;
  Shape shape(inputs[0].begin() + 1, inputs[0].end());
  if (std::string wrong = inferWrapped(layer, shape, wrapped); !wrong.empty())
    return wrong;
  if (!worksOnLastAxis(wrapped.config) && steps > kMostSteps)
    return formatv("expected at most {0} steps, for each is written out, got "
                   "{1}",
                   kMostSteps, steps);
  layer.parameters = std::move(wrapped.parameters);
  layer.shape = withSteps(steps, wrapped.shape);
  return "";
}

static mlir::Value emitTimeDistributed(LayerEmitter &e, ValueRange inputs) {
  mlir::Value x = inputs[0];
  Shape shape(featureShape(tensorTypeOf(x)));
  const int64_t steps = shape[0];
  const bool atOnce = worksOnLastAxis(e.layer.config.config("layer"));
  if (!atOnce)
    shape.erase(shape.begin());
  LayerRecord wrapped;
  inferWrapped(e.layer, shape, wrapped);
  wrapped.parameters = e.layer.parameters; // perhaps another layer's
  LayerEmitter inner{e.builder, e.loc, wrapped, e.nextStream};
  const LayerRule &rule = *findLayerRule(wrapped.config.name);
  if (atOnce)
    return rule.emit(inner, x);
  const int64_t size = *countElements(shape);
  const int64_t made = *countElements(wrapped.shape);
  x = ReshapeOp::create(e.builder, e.loc, e.typeOf({steps * size}), x);
  SmallVector<mlir::Value> results;
  for (int64_t step = 0; step < steps; ++step) {
    mlir::Value part =
        SliceOp::create(e.builder, e.loc, x, /*axis=*/1, step * size, size);
    part = ReshapeOp::create(e.builder, e.loc, e.typeOf(shape), part);
    mlir::Value y = rule.emit(inner, part);
    results.push_back(ReshapeOp::create(e.builder, e.loc, e.typeOf({made}), y));
  }
  return joinSteps(e, results);
}

// ---- The table --------------------------------------------------------------

bool sinter::frontend::isRecurrent(const Config &layer) {
  return layer.name == "lstm" || layer.name == "gru" ||
         layer.name == "simple_rnn";
}

ArrayRef<LayerRule> sinter::frontend::recurrentLayerRules() {
  static const LayerRule rules[] = {
      {"lstm", Arity::Some, inferRecurrent, emitRecurrent},
      {"gru", Arity::Some, inferRecurrent, emitRecurrent},
      {"simple_rnn", Arity::Some, inferRecurrent, emitRecurrent},
      {"bidirectional", Arity::Some, inferBidirectional, emitBidirectional},
      {"state", Arity::Some, inferState, emitState},
      {"repeat_vector", Arity::One, inferRepeatVector, emitRepeatVector},
      {"time_distributed", Arity::One, inferTimeDistributed,
       emitTimeDistributed},
  };
  return rules;
}
