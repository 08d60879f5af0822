// OnnxRecurrent.cpp - LSTM, GRU and RNN, read.
//
// They become the layers of Keras that they are: weights transposed, gates in
// Keras's order (i, f, c, o and z, r, h where ONNX has i, o, f, c and z, r, h),
// both biases added where Keras has one. Where all steps are asked for and the
// last one, too, that is taken out of all.
//
// Known weakness: limits on what gates see (clip), sequences of several lengths
// in one batch, and activations that Keras does not have are refused.
#include "frontend/onnx/OnnxConstants.h"
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <numeric>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

bool onnx::isRecurrentOp(StringRef op) {
  return op == "LSTM" || op == "GRU" || op == "RNN";
}

namespace {

class RecurrentReader {
public:
  explicit RecurrentReader(NodeReader &n)
      : n(n), isLstm(n.op() == "LSTM"), isGru(n.op() == "GRU"),
        gates(isLstm  ? 4
              : isGru ? 3
                      : 1),
        batchFirst(n.integer("layout", 0)) {}

  void read();

private:
  bool readSizes();
  bool readActivations();
  bool readStates();
  bool readLengths();
  std::optional<Config> activationCalled(const std::string &name);
  double activationNumber(llvm::StringRef attribute, size_t &next,
                          double otherwise);
  Tensor stateOf(size_t input, int64_t direction);
  Constant stacked(const Constant &x, int64_t direction, int64_t first,
                   bool transpose) const;
  Config cellOf(int64_t direction, bool sequences) const;
  void addWeights(int64_t direction, std::vector<LayerWeight> &weights) const;
  void giveSteps(Tensor y);
  void giveLast(Tensor y, bool sequences);
  void giveMemory(Tensor y);
  bool leavesMemory() const { return isLstm && n.isUsed(2); }
  void give(Tensor y, int64_t batchAt, size_t index);

  NodeReader &n;
  const bool isLstm, isGru;
  const int64_t gates;
  const bool batchFirst; // layout 1
  int64_t steps = 0, features = 0, units = 0, directions = 1;
  bool isReverse = false;
  std::vector<Config> activations, gateActivations; // of each direction
  size_t nextAlpha = 0, nextBeta = 0; // of the activations' numbers
  std::vector<Tensor> states; // direction by direction: h, and c of an LSTM
};

} // namespace

/// Sizes and weights as the op defines them; false after a refusal.
bool RecurrentReader::readSizes() {
  const std::string direction = n.text("direction", "forward");
  isReverse = direction == "reverse";
  directions = direction == "bidirectional" ? 2 : 1;
  auto refuse = [&](std::string why) {
    n.refuse(std::move(why));
    return false;
  };
  if (!isReverse && directions == 1 && direction != "forward")
    return refuse("expected the direction forward, reverse or bidirectional, "
                  "got '" +
                  printable(direction) + "'");
  if (n.has("clip"))
    return refuse("'clip' is not supported");
  if (n.integer("input_forget", 0) != 0)
    return refuse("'input_forget' is not supported");
  const Dims x = n.dims(0);
  if (rankOf(x) != 3)
    return refuse("expected a sequence of three axes, got " + dimsToText(x));
  const int64_t batchAt = batchFirst ? 0 : 1;
  if (n.lead() == 1 && n.input(0).batchAt != batchAt)
    return refuse(formatv("expected samples along axis {0}, got them along "
                          "axis {1}",
                          batchAt, n.input(0).batchAt));
  if (n.lead() == 0 && x[batchAt] != 1)
    return refuse(formatv("expected a batch of samples, or one of 1 sample, "
                          "got one of {0}",
                          x[batchAt]));
  steps = x[batchFirst ? 1 : 0];
  features = x[2];
  const Constant *kernel = weight(n, 1, "W"), *recurrent = nullptr;
  if (!kernel || !(recurrent = weight(n, 2, "R")))
    return false;
  units = recurrent->dims.empty() ? 0 : recurrent->dims.back();
  auto expect = [&](const Constant &c, const char *what, const Dims &dims) {
    return c.dims == dims ||
           refuse("expected " + std::string(what) + " of " + dimsToText(dims) +
                  ", got " + dimsToText(c.dims));
  };
  if (!expect(*kernel, "W", {directions, gates * units, features}) ||
      !expect(*recurrent, "R", {directions, gates * units, units}))
    return false;
  if (n.integer("hidden_size", units) != units)
    return refuse(formatv("expected hidden_size to be R's {0}, got {1}", units,
                          n.integer("hidden_size", units)));
  for (auto [input, what, width] :
       {std::tuple(3, "B", 2 * gates * units), std::tuple(7, "P", 3 * units)}) {
    if (!n.hasInput(input) || (input == 7 && !isLstm))
      continue;
    const Constant *value = weight(n, input, what);
    if (!value || !expect(*value, what, {directions, width}))
      return false;
  }
  return true;
}

/// Activations that have a number take it in their order; there may be none.
double RecurrentReader::activationNumber(StringRef attribute, size_t &next,
                                         double otherwise) {
  const std::vector<double> all = n.numbers(attribute);
  return next < all.size() ? all[next++] : otherwise;
}

std::optional<Config>
RecurrentReader::activationCalled(const std::string &name) {
  static const std::pair<StringRef, const char *> plain[] = {
      {"tanh", "tanh"},
      {"sigmoid", "sigmoid"},
      {"relu", "relu"},
      {"softsign", "softsign"},
      {"softplus", "softplus"}};
  const std::string lower = StringRef(name).lower();
  for (auto [onnx, keras] : plain)
    if (lower == onnx)
      return Config(keras);
  auto alpha = [&](double otherwise) {
    return activationNumber("activation_alpha", nextAlpha, otherwise);
  };
  auto beta = [&](double otherwise) {
    return activationNumber("activation_beta", nextBeta, otherwise);
  };
  if (lower == "elu")
    return Config("elu", {{"alpha", alpha(1)}});
  if (lower == "leakyrelu")
    return Config("leaky_relu", {{"negative_slope", alpha(0.01)}});
  const bool isAffine = lower == "affine";
  if (isAffine || lower == "hardsigmoid") {
    const double slope = alpha(isAffine ? 1 : 0.2),
                 offset = beta(isAffine ? 0 : 0.5);
    // The file has single precision.
    if (std::fabs(slope - (isAffine ? 1 : 1.0 / 6)) < 1e-6 &&
        offset == (isAffine ? 0 : 0.5))
      return Config(isAffine ? "linear" : "hard_sigmoid");
    n.refuse(formatv("expected {0} to be {1} in it, got {2} x + {3}",
                     printable(name), isAffine ? "x" : "x / 6 + 0.5", slope,
                     offset));
    return std::nullopt;
  }
  n.refuse("the activation " + printable(name) + " is not supported in it");
  return std::nullopt;
}

bool RecurrentReader::readActivations() {
  std::vector<std::string> names = n.texts("activations");
  const size_t each = isLstm ? 3 : isGru ? 2 : 1;
  if (names.empty())
    for (int64_t direction = 0; direction < directions; ++direction) {
      if (each > 1)
        names.push_back("Sigmoid");
      names.insert(names.end(), isLstm ? 2 : 1, "Tanh");
    }
  if (names.size() != each * directions) {
    n.refuse(formatv("expected {0} activations, got {1}", each * directions,
                     names.size()));
    return false;
  }
  for (size_t at = 0; at < names.size(); at += each) {
    std::optional<Config> outer = activationCalled(names[at]);
    std::optional<Config> inner =
        each > 1 && outer ? activationCalled(names[at + 1]) : outer;
    if (!inner)
      return false;
    // What comes in and what goes out: Keras has one for both.
    std::optional<Config> last =
        isLstm ? activationCalled(names[at + 2]) : inner;
    if (!last)
      return false;
    const bool agree =
        last->name == inner->name &&
        llvm::equal(last->args, inner->args,
                    [](const Argument &a, const Argument &b) {
                      return a.value.describe() == b.value.describe();
                    });
    if (!agree) {
      n.refuse("expected one activation of the memory as it comes in and as it "
               "goes out, got " +
               printable(names[at + 1]) + " and " + printable(names[at + 2]));
      return false;
    }
    activations.push_back(*inner);
    gateActivations.push_back(*outer);
  }
  return true;
}

/// Every sample has as many steps as there are.
bool RecurrentReader::readLengths() {
  if (!n.hasInput(4))
    return true;
  const Constant *lengths = n.constant(4);
  if (lengths && !lengths->isFloat() &&
      llvm::all_of(lengths->integers(),
                   [&](int64_t length) { return length == steps; }))
    return true;
  n.refuse(formatv("expected sequence_lens to be constant and {0}, the number "
                   "of steps, for every sample",
                   steps));
  return false;
}

/// Zero is what a layer starts with by itself.
static bool isZero(const Constant &c) {
  return c.isFloat() &&
         llvm::all_of(c.floats(), [](float x) { return x == 0; });
}

/// A direction's state at the start, one sample's; null after a refusal.
Tensor RecurrentReader::stateOf(size_t input, int64_t direction) {
  Constant values;
  values.dims = {units};
  values.values = std::vector<float>(units, 0.0f);
  if (!n.hasInput(input))
    return n.frozen(std::move(values));
  const size_t size = static_cast<size_t>(units);
  if (const Constant *given = n.constant(input)) {
    const size_t dirs = static_cast<size_t>(directions);
    const size_t samples = given->size() / (dirs * size);
    const bool fits = given->isFloat() && given->dims.size() == 3 &&
                      given->dims.back() == units && samples > 0 &&
                      given->size() == dirs * size * samples &&
                      given->dims[batchFirst ? 1 : 0] == directions;
    for (size_t sample = 0; fits && sample < samples; ++sample) {
      const size_t row =
          batchFirst ? sample * dirs + direction : direction * samples + sample;
      std::vector<float> own(given->floats().begin() + row * size,
                             given->floats().begin() + (row + 1) * size);
      if (sample > 0 && own != values.floats()) {
        n.refuse("its first states differ from sample to sample of a batch");
        return {};
      }
      values.values = std::move(own);
    }
    if (!fits) {
      n.refuse("expected first states of " +
               dimsToText({directions, kBatch, units}) + ", got " +
               dimsToText(given->dims));
      return {};
    }
    return n.frozen(std::move(values));
  }
  if (n.lead() == 1 && n.input(input).batchAt != (batchFirst ? 0 : 1)) {
    n.refuse("expected first states with samples along the input's axis");
    return {};
  }
  Tensor x = n.tensor(input);
  if (!x ||
      *sinter::frontend::countElements(n.shapeOf(x)) != directions * units) {
    n.refuse("expected first states of " +
             dimsToText({directions, kBatch, units}) + ", got " +
             dimsToText(n.dims(input)));
    return {};
  }
  x = reshaped(n, x, {directions, units});
  if (directions > 1)
    x = sliced(n, x, {direction, 0}, {1, units});
  return reshaped(n, x, {units});
}

bool RecurrentReader::readStates() {
  auto isSet = [&](size_t input) {
    return n.hasInput(input) &&
           !(n.constant(input) && isZero(*n.constant(input)));
  };
  if (!isSet(5) && !(isLstm && isSet(6)))
    return true;
  for (int64_t direction = 0; direction < directions; ++direction)
    for (size_t input = 5; input <= (isLstm ? 6 : 5); ++input) {
      states.push_back(stateOf(input, direction));
      if (!states.back())
        return false;
    }
  return true;
}

/// Gates of a direction's rows, from `first` on, in Keras's order; transposed,
/// gates are columns.
Constant RecurrentReader::stacked(const Constant &x, int64_t direction,
                                  int64_t first, bool transpose) const {
  static const int64_t lstm[] = {0, 2, 3, 1}, others[] = {0, 1, 2};
  const int64_t columns = transpose ? x.dims.back() : 1;
  const int64_t all =
      static_cast<int64_t>(x.size()) / (x.dims[0] * columns); // rows
  const float *rows = x.floats().data() + (direction * all + first) * columns;
  Constant result;
  std::vector<float> values;
  for (int64_t gate = 0; gate < gates; ++gate) {
    const float *from =
        rows + (isLstm ? lstm[gate] : others[gate]) * units * columns;
    values.insert(values.end(), from, from + units * columns);
  }
  result.values = std::move(values);
  result.dims = {gates * units};
  if (!transpose)
    return result;
  result.dims.push_back(columns);
  return transposed(result, {1, 0});
}

Config RecurrentReader::cellOf(int64_t direction, bool sequences) const {
  Config cell(isLstm  ? "lstm"
              : isGru ? "gru"
                      : "simple_rnn",
              {{"units", units},
               {"activation", activations[direction]},
               {"use_bias", n.hasInput(3)},
               {"return_sequences", sequences},
               {"return_state", leavesMemory()},
               {"go_backwards", isReverse || direction == 1}});
  if (isLstm || isGru)
    cell.args.push_back({"recurrent_activation", gateActivations[direction]});
  if (isGru)
    cell.args.push_back(
        {"reset_after", n.integer("linear_before_reset", 0) != 0});
  if (isLstm && n.hasInput(7))
    cell.args.push_back({"peepholes", true});
  return cell;
}

void RecurrentReader::addWeights(int64_t direction,
                                 std::vector<LayerWeight> &weights) const {
  static const char *const names[][4] = {
      {"kernel", "recurrent_kernel", "bias", "peephole"},
      {"forward_kernel", "forward_recurrent_kernel", "forward_bias",
       "forward_peephole"},
      {"backward_kernel", "backward_recurrent_kernel", "backward_bias",
       "backward_peephole"}};
  const auto &name = names[directions == 1 ? 0 : direction + 1];
  weights.push_back({name[0], stacked(*n.constant(1), direction, 0, true)});
  weights.push_back({name[1], stacked(*n.constant(2), direction, 0, true)});
  if (n.hasInput(3)) {
    Constant bias = stacked(*n.constant(3), direction, 0, false);
    Constant own = stacked(*n.constant(3), direction, gates * units, false);
    auto &values = std::get<0>(bias.values);
    if (isGru && n.integer("linear_before_reset", 0)) {
      llvm::append_range(values, own.floats());
      bias.dims = {2, gates * units};
    } else {
      for (auto [sum, more] : llvm::zip_equal(values, own.floats()))
        sum += more;
    }
    weights.push_back({name[2], std::move(bias)});
  }
  if (!isLstm || !n.hasInput(7))
    return;
  // Rows of i, o, f.
  const float *p = n.constant(7)->floats().data() + direction * 3 * units;
  Constant peephole;
  peephole.dims = {3, units};
  std::vector<float> values(p, p + units);
  values.insert(values.end(), p + 2 * units, p + 3 * units);
  values.insert(values.end(), p + units, p + 2 * units);
  peephole.values = std::move(values);
  weights.push_back({name[3], std::move(peephole)});
}

/// Result `index`, whose sample in the file is `y`'s; a lone sample has a batch
/// of one there.
void RecurrentReader::give(Tensor y, int64_t batchAt, size_t index) {
  if (!y)
    return;
  if (n.lead() == 1)
    return n.resultWithBatchAt(batchAt, y, index);
  Shape shape = n.shapeOf(y);
  shape.insert(shape.begin() + batchAt, 1);
  n.resultWithBatchAt(0, reshaped(n, y, std::move(shape)), index);
}

/// All steps, in the order of time: Y.
void RecurrentReader::giveSteps(Tensor y) {
  if (isReverse) { // the layer gives them as it meets them
    std::vector<int64_t> order(steps);
    std::iota(order.rbegin(), order.rend(), 0);
    y = pickedAlong(n, y, 0, order);
    if (!y)
      return;
  }
  give(reshaped(n, y, {steps, directions, units}), batchFirst ? 0 : 2, 0);
}

/// The last step of each direction: Y_h.
void RecurrentReader::giveLast(Tensor y, bool sequences) {
  if (sequences && directions == 1)
    y = sliced(n, y, {steps - 1, 0}, {1, units});
  else if (sequences)
    y = n.layer(Config("concatenate", {{"axis", 1}}),
                {sliced(n, y, {steps - 1, 0}, {1, units}),
                 sliced(n, y, {0, units}, {1, units})});
  if (y)
    give(reshaped(n, y, {directions, units}), batchFirst ? 0 : 1, 1);
}

/// c of each direction after its last step: Y_c.
void RecurrentReader::giveMemory(Tensor y) {
  std::vector<Tensor> memories;
  for (int64_t direction = 0; direction < directions; ++direction) {
    Tensor c = n.layer(Config("state", {{"index", 2 * direction + 1}}), {y});
    if (!c)
      return;
    memories.push_back(reshaped(n, c, {1, units}));
  }
  Tensor all = directions == 1
                   ? memories[0]
                   : n.layer(Config("concatenate", {{"axis", 1}}), memories);
  if (all)
    give(all, batchFirst ? 0 : 1, 2);
}

void RecurrentReader::read() {
  if (!readSizes() || !readActivations() || !readLengths() || !readStates())
    return;
  Tensor x = n.tensor(0);
  if (!x)
    return;
  std::vector<Tensor> inputs = {reshaped(n, x, {steps, features})};
  llvm::append_range(inputs, states);
  const bool sequences = n.isUsed(0);
  std::vector<LayerWeight> weights;
  for (int64_t direction = 0; direction < directions; ++direction)
    addWeights(direction, weights);
  Config config = cellOf(0, sequences);
  if (directions == 2)
    config =
        Config("bidirectional", {{"layer", std::move(config)},
                                 {"backward_layer", cellOf(1, sequences)}});
  Tensor y =
      n.layer(std::move(config), inputs, std::move(weights), n.nameFrom(1));
  if (!y)
    return;
  if (n.isUsed(1))
    giveLast(y, sequences);
  if (leavesMemory())
    giveMemory(y);
  if (sequences)
    giveSteps(y);
}

static void readRecurrent(NodeReader &n) { RecurrentReader(n).read(); }

ArrayRef<OpRule> onnx::recurrentRules() {
  static const OpRule rules[] = {
      {"GRU", 3, readRecurrent},
      {"LSTM", 3, readRecurrent},
      {"RNN", 3, readRecurrent},
  };
  return rules;
}
