// OnnxBatchAxis.cpp - nodes on tensors whose samples are not the first axis.
//
// Problem: recurrent ops have sequences as (steps, samples, features), so
// graphs around them count axes that way; every other rule expects samples
// first.
// Idea: a node on such tensors does the same to samples as another node on
// tensors with samples first: with axes counted anew. That node is made here,
// for the ops that stand around recurrent ones, and goes to the usual rules;
// where the samples are in the result is known beforehand.
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::StringRef;

namespace {

/// Moves the samples of one node's operands to the front.
class Mover {
public:
  Mover(const NodeReader &n, const Node &node, int64_t at)
      : n(n), at(at), rank(rankOf(n.dims(firstTensor(n)))), moved{node, at} {}

  std::optional<BatchFirst> move();

private:
  static size_t firstTensor(const NodeReader &n) {
    size_t i = 0;
    while (!n.hasInput(i) || n.input(i).isConstant())
      ++i;
    return i;
  }
  std::optional<int64_t> fromFront(int64_t axis, int64_t of) const {
    axis += axis < 0 ? of : 0;
    return axis >= 0 && axis < of ? std::optional(axis) : std::nullopt;
  }
  /// Where an axis of the operand is when the samples are in front.
  int64_t placeOf(int64_t axis) const {
    return axis == at ? 0 : axis < at ? axis + 1 : axis;
  }
  int64_t countBefore(ArrayRef<int64_t> axes) const {
    return llvm::count_if(axes, [&](int64_t axis) { return axis < at; });
  }
  void set(const char *name, int64_t value);
  void set(const char *name, std::vector<int64_t> values);
  std::optional<std::vector<int64_t>> axes(const char *name, size_t input,
                                           int64_t of) const;

  bool moveElementwise();
  bool moveAxis(int64_t byDefault);
  bool moveGather();
  bool moveTranspose();
  bool moveSqueeze();
  bool moveUnsqueeze();
  bool moveSlice();
  bool moveReduce();
  bool moveReshape();

  const NodeReader &n;
  const int64_t at, rank;
  BatchFirst moved;
};

} // namespace

void Mover::set(const char *name, int64_t value) {
  Attribute attribute;
  attribute.kind = Attribute::Kind::Int;
  attribute.integer = value;
  moved.node.attributes[name] = std::move(attribute);
}

void Mover::set(const char *name, std::vector<int64_t> values) {
  Attribute attribute;
  attribute.kind = Attribute::Kind::Ints;
  attribute.integers = std::move(values);
  moved.node.attributes[name] = std::move(attribute);
}

/// Axes of `of`, counted from the front; nothing if there are none, or wrong
/// ones.
std::optional<std::vector<int64_t>> Mover::axes(const char *name, size_t input,
                                                int64_t of) const {
  std::optional<std::vector<int64_t>> given = n.list(name, input);
  if (!given)
    return std::nullopt;
  for (int64_t &axis : *given) {
    std::optional<int64_t> front = fromFront(axis, of);
    if (!front)
      return std::nullopt;
    axis = *front;
  }
  return given;
}

/// Constants are aligned at the end: what they have stands behind the samples.
bool Mover::moveElementwise() {
  for (size_t i = 0; i < n.numInputs(); ++i) {
    if (!n.hasInput(i))
      continue;
    const bool isConstant = n.input(i).isConstant();
    const int64_t own = rankOf(n.dims(i));
    if (isConstant ? own > rank - 1 - at && n.constant(i)->size() != 1
                   : own != rank)
      return false;
  }
  return true;
}

bool Mover::moveAxis(int64_t byDefault) {
  std::optional<int64_t> axis = fromFront(n.integer("axis", byDefault), rank);
  if (!axis || *axis == at)
    return false;
  set("axis", placeOf(*axis));
  return true;
}

bool Mover::moveGather() {
  std::optional<int64_t> axis = fromFront(n.integer("axis", 0), rank);
  const Constant *indices = n.constant(1);
  if (!axis || *axis == at || !indices || n.input(0).isConstant())
    return false;
  set("axis", placeOf(*axis));
  if (*axis < at)
    moved.resultAt += rankOf(indices->dims) - 1;
  return true;
}

bool Mover::moveTranspose() {
  const std::vector<int64_t> given =
      n.integers("perm", reversedAxes(static_cast<size_t>(rank)));
  std::vector<int64_t> order = {0};
  for (auto [to, from] : llvm::enumerate(given)) {
    if (from < 0 || from >= rank)
      return false;
    if (from == at)
      moved.resultAt = static_cast<int64_t>(to);
    else
      order.push_back(placeOf(from));
  }
  set("perm", std::move(order));
  return true;
}

bool Mover::moveSqueeze() {
  std::optional<std::vector<int64_t>> given = axes("axes", 1, rank);
  if (!given) {
    if (n.has("axes") || n.hasInput(1))
      return false;
    given.emplace();
    for (auto [axis, size] : llvm::enumerate(n.dims(0)))
      if (size == 1)
        given->push_back(static_cast<int64_t>(axis));
  }
  if (llvm::is_contained(*given, at))
    return false;
  moved.resultAt -= countBefore(*given);
  for (int64_t &axis : *given)
    axis = placeOf(axis);
  set("axes", std::move(*given));
  return true;
}

bool Mover::moveUnsqueeze() {
  std::optional<std::vector<int64_t>> plain = n.list("axes", 1);
  if (!plain)
    return false;
  const int64_t of = rank + static_cast<int64_t>(plain->size());
  std::optional<std::vector<int64_t>> given = axes("axes", 1, of);
  if (!given)
    return false;
  int64_t old = 0; // axes of the operand that have been passed
  for (int64_t axis = 0; axis < of; ++axis) {
    if (llvm::is_contained(*given, axis))
      continue;
    if (old++ == at)
      moved.resultAt = axis;
  }
  for (int64_t &axis : *given)
    axis += axis < moved.resultAt ? 1 : 0;
  set("axes", std::move(*given));
  return true;
}

bool Mover::moveSlice() {
  std::optional<std::vector<int64_t>> starts = n.list("starts", 1);
  if (!starts)
    return false;
  std::optional<std::vector<int64_t>> given = axes("axes", 3, rank);
  if (!given && !n.has("axes") && !n.hasInput(3))
    given = counting(0, rankOf(*starts));
  if (!given || llvm::any_of(*given, [&](int64_t a) { return a >= rank; }))
    return false;
  for (int64_t &axis : *given)
    axis = placeOf(axis);
  set("axes", std::move(*given));
  return true;
}

bool Mover::moveReduce() {
  std::optional<std::vector<int64_t>> given = axes("axes", 1, rank);
  if (!given || llvm::is_contained(*given, at))
    return false;
  if (!n.integer("keepdims", 1))
    moved.resultAt -= countBefore(*given);
  for (int64_t &axis : *given)
    axis = placeOf(axis);
  set("axes", std::move(*given));
  return true;
}

/// The axes before the samples have to keep their elements to themselves.
bool Mover::moveReshape() {
  std::optional<std::vector<int64_t>> target = n.list("shape", 1);
  if (!target || n.integer("allowzero", 0))
    return false;
  const Dims from = n.dims(0);
  int64_t before = 1, rest = 1;
  for (int64_t axis = 0; axis < rank; ++axis)
    (axis < at ? before : rest) *= axis == at ? 1 : from[axis];
  for (auto [i, size] : llvm::enumerate(*target))
    if (size == 0 && static_cast<int64_t>(i) < rank)
      size = from[i];
  int64_t passed = 1;
  for (size_t i = 0; i < target->size(); ++i) {
    const int64_t size = (*target)[i];
    Dims others(target->begin(), target->end());
    others.erase(others.begin() + static_cast<int64_t>(i));
    const bool isBatch =
        size == kBatch || (n.fileBatch() != kBatch && size == n.fileBatch()) ||
        (size == -1 && onnx::countElements(others) == before * rest);
    if (passed == before && isBatch) {
      moved.resultAt = static_cast<int64_t>(i);
      others.insert(others.begin(), kBatch);
      set("shape", std::move(others));
      return true;
    }
    if (size < 1)
      return false;
    passed *= size;
  }
  return false;
}

std::optional<BatchFirst> Mover::move() {
  static const StringRef elementwise[] = {
      "Abs",      "Add",         "Cast",      "Ceil",     "Clip",
      "Div",      "Dropout",     "Elu",       "Erf",      "Exp",
      "Floor",    "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
      "Log",      "Max",         "Min",       "Mul",      "Neg",
      "Pow",      "Reciprocal",  "Relu",      "Selu",     "Sigmoid",
      "Softplus", "Softsign",    "Sqrt",      "Sub",      "Sum",
      "Tanh"};
  const StringRef op = n.op();
  bool done = false;
  if (llvm::is_contained(elementwise, op))
    done = moveElementwise();
  else if (op == "Softmax" || op == "LogSoftmax")
    // Before set 13, all axes from `axis` on, which is one if it is the last.
    done = (n.opset() >= 13 ||
            fromFront(n.integer("axis", 1), rank) == rank - 1) &&
           moveAxis(n.opset() >= 13 ? -1 : 1);
  else if (op == "Concat" || op == "Split")
    done = moveAxis(0);
  else if (op == "MatMul") // by weights, along the last axis
    done = n.constant(1) && rankOf(n.dims(1)) == 2 && at < rank - 1;
  else if (op == "Gather")
    done = moveGather();
  else if (op == "Transpose")
    done = moveTranspose();
  else if (op == "Squeeze")
    done = moveSqueeze();
  else if (op == "Unsqueeze")
    done = moveUnsqueeze();
  else if (op == "Slice")
    done = moveSlice();
  else if (op.starts_with("Reduce"))
    done = moveReduce();
  else if (op == "Reshape")
    done = moveReshape();
  return done ? std::optional(std::move(moved)) : std::nullopt;
}

std::optional<BatchFirst> onnx::withBatchFirst(const NodeReader &n,
                                               const Node &node, int64_t at) {
  return Mover(n, node, at).move();
}
