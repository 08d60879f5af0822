// OnnxRecurrentLayers.cpp - lstm, gru, simple_rnn, and what wraps them,
// written.
//
// ONNX's ops take (steps, samples, features) and give (steps, directions,
// samples, units), so a transposition stands on either side: ONNX Runtime knows
// no other layout. Gates go from Keras's order (i, f, c, o) to ONNX's (i, o, f,
// c); one bias becomes two, the second of zeros.
#include "frontend/LayerParts.h"
#include "frontend/onnx/OnnxRules.h"

#include "llvm/ADT/STLExtras.h"

using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::StringRef;

namespace {

/// Writes a recurrent layer, or both of a bidirectional one.
class RecurrentWriter {
public:
  RecurrentWriter(OnnxEmitter &e, std::vector<const Config *> cells);

  /// The result in Keras's order, or "" after a refusal.
  std::string write(StringRef mergeMode);

private:
  bool checkCells();
  std::string transposedKernel(size_t offset, const char *name);
  std::string biases();
  std::string peepholes();
  std::string firstStates(size_t state);
  std::string samplesFirst(const std::string &y);
  std::string direction(const std::string &y, size_t index);
  void giveStates(ArrayRef<std::string> results);

  const Config &cell() const { return *cells[0]; }
  int64_t gates() const { return isLstm ? 4 : isGru ? 3 : 1; }
  /// The first parameter of direction `index`.
  size_t parametersOf(size_t index) const {
    return index * e.layer().parameters.size() / cells.size();
  }

  OnnxEmitter &e;
  /// ONNX's first direction walks forward.
  std::vector<const Config *> cells;
  std::vector<size_t> keras; // the place of each among Keras's
  const bool isLstm, isGru, sequences, startsBackward;
  const int64_t units, steps, features;
};

} // namespace

RecurrentWriter::RecurrentWriter(OnnxEmitter &e,
                                 std::vector<const Config *> given)
    : e(e), cells(std::move(given)), keras({0, 1}),
      isLstm(cell().name == "lstm"), isGru(cell().name == "gru"),
      sequences(cell().flag("return_sequences")),
      startsBackward(cell().flag("go_backwards")),
      units(cell().integer("units")), steps(e.shape()[0]),
      features(e.shape()[1]) {
  if (cells.size() == 2 && startsBackward) {
    std::swap(cells[0], cells[1]);
    std::swap(keras[0], keras[1]);
  }
}

/// ONNX's name of an activation inside of the op, or "".
static std::string activationName(const Config &activation) {
  static const std::pair<StringRef, const char *> known[] = {
      {"tanh", "Tanh"},         {"sigmoid", "Sigmoid"},
      {"relu", "Relu"},         {"softsign", "Softsign"},
      {"softplus", "Softplus"}, {"hard_sigmoid", "HardSigmoid"},
      {"linear", "Affine"}};
  if (activation.name == "relu" && (activation.number("negative_slope") != 0 ||
                                    !activation.isNull("max_value") ||
                                    activation.number("threshold") != 0))
    return "";
  for (auto [keras, onnx] : known)
    if (activation.name == keras)
      return onnx;
  return "";
}

/// What ONNX has one of for both directions.
bool RecurrentWriter::checkCells() {
  for (const Config *one : cells) {
    if (one->name != cell().name ||
        one->flag("use_bias") != cell().flag("use_bias") ||
        (isGru && one->flag("reset_after") != cell().flag("reset_after")) ||
        (isLstm && one->flag("peepholes") != cell().flag("peepholes"))) {
      e.refuse("ONNX has no two directions of a different kind");
      return false;
    }
    std::vector<StringRef> arguments = {"activation"};
    if (isLstm || isGru)
      arguments.push_back("recurrent_activation");
    for (StringRef argument : arguments)
      if (activationName(one->config(argument)).empty()) {
        e.refuse("ONNX has no activation " + one->config(argument).name +
                 " in it");
        return false;
      }
  }
  return true;
}

/// (directions, gates units, rows) of the parameter `offset` of each.
std::string RecurrentWriter::transposedKernel(size_t offset, const char *name) {
  static const int64_t lstm[] = {0, 3, 1, 2}, others[] = {0, 1, 2};
  const int64_t width = gates() * units;
  std::vector<float> all;
  int64_t rows = 0;
  for (size_t d = 0; d < cells.size(); ++d) {
    ArrayRef<float> from = e.values(parametersOf(keras[d]) + offset);
    rows = static_cast<int64_t>(from.size()) / width;
    for (int64_t gate = 0; gate < gates(); ++gate)
      for (int64_t unit = 0; unit < units; ++unit)
        for (int64_t row = 0; row < rows; ++row)
          all.push_back(
              from[row * width + (isLstm ? lstm[gate] : others[gate]) * units +
                   unit]);
  }
  return e.constant(name, {static_cast<int64_t>(cells.size()), width, rows},
                    all);
}

/// (directions, 2 gates units): of x, then of h.
std::string RecurrentWriter::biases() {
  static const int64_t lstm[] = {0, 3, 1, 2}, others[] = {0, 1, 2};
  const int64_t width = gates() * units;
  std::vector<float> all;
  for (size_t d = 0; d < cells.size(); ++d) {
    ArrayRef<float> from = e.values(parametersOf(keras[d]) + 2);
    for (int64_t part = 0; part < 2; ++part)
      for (int64_t gate = 0; gate < gates(); ++gate)
        for (int64_t unit = 0; unit < units; ++unit) {
          const size_t at = static_cast<size_t>(
              part * width + (isLstm ? lstm[gate] : others[gate]) * units +
              unit);
          all.push_back(at < from.size() ? from[at] : 0.0f);
        }
  }
  return e.constant("B", {static_cast<int64_t>(cells.size()), 2 * width}, all);
}

/// (directions, 3 units) of i, o, f.
std::string RecurrentWriter::peepholes() {
  std::vector<float> all;
  for (size_t d = 0; d < cells.size(); ++d) {
    ArrayRef<float> from = e.values(parametersOf(keras[d] + 1) - 1);
    for (int64_t row : {0, 2, 1})
      llvm::append_range(all, from.slice(row * units, units));
  }
  return e.constant("P", {static_cast<int64_t>(cells.size()), 3 * units}, all);
}

/// (directions, samples, units) of what the layer's inputs behind the first
/// are, or "".
std::string RecurrentWriter::firstStates(size_t state) {
  if (e.numInputs() == 1)
    return "";
  const size_t each = (e.numInputs() - 1) / cells.size();
  std::vector<std::string> parts;
  for (size_t d = 0; d < cells.size(); ++d)
    parts.push_back(e.node(
        "Unsqueeze", {e.operand(1 + keras[d] * each + state, Layout::Last),
                      e.integers("axes", {0})}));
  return parts.size() == 1 ? parts[0]
                           : e.node("Concat", parts, {{"axis", int64_t(0)}});
}

/// (samples, directions, units), or (samples, steps, directions, units).
std::string RecurrentWriter::samplesFirst(const std::string &y) {
  std::vector<int64_t> order = {1, 0, 2};
  if (sequences)
    order = {2, 0, 1, 3};
  return e.node("Transpose", {y}, {{"perm", order}});
}

/// One direction of what samplesFirst() gives, by Keras's count.
std::string RecurrentWriter::direction(const std::string &y, size_t index) {
  const int64_t place = static_cast<int64_t>(keras[index]);
  const std::string one = e.node(
      "Slice", {y, e.integers("start", {place}), e.integers("end", {place + 1}),
                e.integers("axis", {sequences ? 2 : 1})});
  Shape shape = {0, units};
  if (sequences)
    shape = {0, steps, units};
  return e.node("Reshape", {one, e.integers("shape", shape)});
}

/// Of the op's results Y_h and Y_c, (directions, samples, units), each
/// direction's by Keras's count.
void RecurrentWriter::giveStates(ArrayRef<std::string> results) {
  std::vector<std::string> states;
  for (size_t d = 0; d < cells.size(); ++d)
    for (std::string one : results.drop_front()) {
      const int64_t place = static_cast<int64_t>(keras[d]);
      if (cells.size() > 1)
        one = e.node("Slice",
                     {one, e.integers("start", {place}),
                      e.integers("end", {place + 1}), e.integers("axis", {0})});
      states.push_back(e.node("Squeeze", {one, e.integers("axes", {0})}));
    }
  e.setStates(std::move(states));
}

std::string RecurrentWriter::write(StringRef mergeMode) {
  if (!checkCells())
    return "";
  const std::string x = e.node("Transpose", {e.operand(0, Layout::Last)},
                               {{"perm", std::vector<int64_t>{1, 0, 2}}});
  const bool bias = cell().flag("use_bias");
  std::vector<std::string> operands = {x,
                                       transposedKernel(0, "W"),
                                       transposedKernel(1, "R"),
                                       bias ? biases() : "",
                                       "",
                                       firstStates(0)};
  operands.push_back(isLstm ? firstStates(1) : "");
  operands.push_back(isLstm && cell().flag("peepholes") ? peepholes() : "");
  while (operands.back().empty())
    operands.pop_back();
  std::vector<std::string> activations;
  std::vector<float> alpha, beta;
  for (const Config *one : cells) {
    std::vector<Config> own;
    if (isLstm || isGru)
      own.push_back(one->config("recurrent_activation"));
    own.insert(own.end(), isLstm ? 2 : 1, one->config("activation"));
    for (const Config &activation : own) {
      activations.push_back(activationName(activation));
      // Numbers in order, of those activations that have any.
      if (activation.name == "hard_sigmoid") {
        alpha.push_back(1.0f / 6);
        beta.push_back(0.5f);
      } else if (activation.name == "linear") {
        alpha.push_back(1);
        beta.push_back(0);
      }
    }
  }
  OnnxEmitter::Attributes attributes = {
      {"hidden_size", units},
      {"direction", cells.size() == 2             ? "bidirectional"
                    : cell().flag("go_backwards") ? "reverse"
                                                  : "forward"},
      {"activations", activations}};
  if (!alpha.empty()) {
    attributes.push_back({"activation_alpha", alpha});
    attributes.push_back({"activation_beta", beta});
  }
  if (isGru)
    attributes.push_back(
        {"linear_before_reset", int64_t(cell().flag("reset_after"))});
  const bool leaves = cell().flag("return_state");
  SmallVector<bool, 3> wanted = {sequences};
  if (leaves || !sequences)
    wanted.push_back(true);
  if (leaves && isLstm)
    wanted.push_back(true);
  const std::vector<std::string> made = e.node(isLstm  ? "LSTM"
                                               : isGru ? "GRU"
                                                       : "RNN",
                                               operands, attributes, wanted);
  if (leaves)
    giveStates(made);
  std::string y = samplesFirst(made[sequences ? 0 : 1]);
  const int64_t width = mergeMode == "concat"
                            ? units * static_cast<int64_t>(cells.size())
                            : units;
  Shape shape = {0, width};
  if (sequences)
    shape = {0, steps, width};
  auto reshape = [&](const std::string &value) {
    return e.node("Reshape", {value, e.integers("shape", shape)});
  };
  if (cells.size() == 1 || (mergeMode == "concat" && keras[0] == 0)) {
    y = reshape(y);
  } else {
    std::vector<std::string> both = {direction(y, 0), direction(y, 1)};
    if (mergeMode == "concat")
      y = e.node("Concat", both, {{"axis", int64_t(-1)}});
    else
      y = e.node(mergeMode == "sum"   ? "Add"
                 : mergeMode == "mul" ? "Mul"
                                      : "Mean",
                 both);
  }
  // Keras gives steps as the first of its layers meets them.
  if (sequences && startsBackward)
    y = e.node("Slice",
               {y, e.integers("starts", {-1}), e.integers("ends", {INT32_MIN}),
                e.integers("axes", {1}), e.integers("steps", {-1})});
  return y;
}

static void emitRecurrent(OnnxEmitter &e) {
  std::string y = RecurrentWriter(e, {&e.config()}).write("concat");
  if (!y.empty())
    e.setResult({y});
}

static void emitBidirectional(OnnxEmitter &e) {
  const Config backward = backwardLayer(e.config());
  std::string y = RecurrentWriter(e, {&e.config().config("layer"), &backward})
                      .write(e.config().text("merge_mode"));
  if (!y.empty())
    e.setResult({y});
}

static void emitState(OnnxEmitter &e) {
  e.setState(static_cast<size_t>(e.config().integer("index")));
}

static void emitRepeatVector(OnnxEmitter &e) {
  const Shape &shape = e.layer().shape;
  std::string row = e.node("Reshape", {e.operand(0, Layout::Last),
                                       e.integers("row", {0, 1, shape[1]})});
  e.setResult({e.node("Tile", {row, e.integers("repeats", {1, shape[0], 1})})});
}

/// A layer that works on the last dimension does so whatever is before it.
static void emitTimeDistributed(OnnxEmitter &e) {
  LayerRecord wrapped = e.layer();
  wrapped.config = e.config().config("layer");
  if (!worksOnLastAxis(wrapped.config))
    return e.refuse("a " + wrapped.config.name +
                    " on each step cannot be written to ONNX yet");
  e.emitAs(wrapped);
}

ArrayRef<OnnxRule> sinter::frontend::onnxRecurrentRules() {
  static const OnnxRule rules[] = {
      {"lstm", emitRecurrent},
      {"gru", emitRecurrent},
      {"simple_rnn", emitRecurrent},
      {"bidirectional", emitBidirectional},
      {"state", emitState},
      {"repeat_vector", emitRepeatVector},
      {"time_distributed", emitTimeDistributed},
  };
  return rules;
}
