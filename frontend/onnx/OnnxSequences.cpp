// OnnxSequences.cpp - rules of sequences of tensors, which exist at import
// alone.
//
// Problem: a network has no values but tensors.
// Idea: where the length of a sequence and the places in it are known, it is a
// list of operands; picking one, putting one in or joining all is done here.
// Known weakness: a sequence as the graph's input or output is refused.
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;

using Elements = std::vector<Operand>;

static constexpr size_t kMostElements = 4096;

static void giveSequence(NodeReader &n, Elements elements) {
  for (const Operand &element : elements)
    if (element.isSequence())
      return n.refuse("expected tensors, got a sequence of them");
  Operand operand;
  if (!elements.empty())
    operand.type = elements.front().type;
  operand.elements = std::make_shared<Elements>(std::move(elements));
  n.result(std::move(operand));
}

/// Null after a refusal.
static const Elements *sequenceOf(NodeReader &n) {
  const Operand &operand = n.input(0);
  if (!operand.isSequence())
    n.refuse("expected a sequence, got a tensor");
  return operand.elements.get();
}

/// A place that is counted from either end, of `count`; `byDefault` where none
/// is given. Nothing after a refusal.
static std::optional<size_t> placeOf(NodeReader &n, size_t input, size_t count,
                                     size_t byDefault) {
  if (!n.hasInput(input))
    return byDefault;
  const std::optional<double> given = scalar(n, input);
  const double size = static_cast<double>(count);
  if (!given || *given < -size || *given >= size) {
    n.refuse(
        formatv("expected a constant place in {0} .. {1}", -size, size - 1));
    return std::nullopt;
  }
  return static_cast<size_t>(*given < 0 ? *given + size : *given);
}

static void readConstruct(NodeReader &n) {
  Elements elements;
  for (size_t i = 0; i < n.numInputs(); ++i)
    if (n.hasInput(i))
      elements.push_back(n.input(i));
  giveSequence(n, std::move(elements));
}

static void readInsert(NodeReader &n) {
  const Elements *known = sequenceOf(n);
  if (!known)
    return;
  if (known->size() >= kMostElements)
    return n.refuse(formatv("expected at most {0} elements", kMostElements));
  // The end is a place, too, which is not counted from the end.
  const double size = static_cast<double>(known->size());
  const std::optional<double> given =
      n.hasInput(2) ? scalar(n, 2) : std::optional(size);
  if (!given || *given < -size || *given > size)
    return n.refuse(
        formatv("expected a constant place in {0} .. {1}", -size, size));
  Elements elements = *known;
  elements.insert(elements.begin() +
                      static_cast<size_t>(*given < 0 ? *given + size : *given),
                  n.input(1));
  giveSequence(n, std::move(elements));
}

static void readErase(NodeReader &n) {
  const Elements *known = sequenceOf(n);
  if (!known)
    return;
  if (known->empty())
    return n.refuse("expected an element to erase, got an empty sequence");
  std::optional<size_t> place = placeOf(n, 1, known->size(), known->size() - 1);
  if (!place)
    return;
  Elements elements = *known;
  elements.erase(elements.begin() + *place);
  giveSequence(n, std::move(elements));
}

static void readAt(NodeReader &n) {
  const Elements *known = sequenceOf(n);
  if (!known)
    return;
  if (std::optional<size_t> place = placeOf(n, 1, known->size(), 0))
    n.result((*known)[*place]);
}

static void readLength(NodeReader &n) {
  const Elements *known = sequenceOf(n);
  if (!known)
    return;
  Constant length = Constant::ofIntegers({static_cast<int64_t>(known->size())});
  length.dims.clear();
  Operand operand;
  operand.constant = std::make_shared<Constant>(std::move(length));
  n.result(std::move(operand));
}

static void readSplit(NodeReader &n) {
  const Dims dims = n.dims(0);
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rankOf(dims));
  if (!axis)
    return;
  *axis -= n.lead();
  if (*axis < 0)
    return n.refuse("it takes the samples of a batch apart");
  const Shape shape = sampleOf(n, dims);
  const int64_t size = shape[*axis];
  std::vector<int64_t> sizes(static_cast<size_t>(size), 1);
  if (n.hasInput(1)) {
    const Constant *given = n.constant(1);
    if (!given || given->isFloat() || given->size() == 0)
      return n.refuse("expected constant sizes");
    sizes = given->integers();
    if (given->dims.empty()) { // all of that size but the last
      const int64_t each = sizes[0];
      if (each < 1)
        return n.refuse(
            formatv("expected a size of at least 1, got {0}", each));
      sizes.clear();
      for (int64_t at = 0; at < size; at += each)
        sizes.push_back(std::min(each, size - at));
    }
  }
  const bool keeps = n.hasInput(1) || n.integer("keepdims", 1);
  if (sizes.size() > kMostElements)
    return n.refuse(formatv("expected at most {0} parts", kMostElements));
  Elements elements;
  int64_t at = 0;
  Tensor x = n.tensor(0);
  for (int64_t part : sizes) {
    if (part < 1 || part > size - at)
      return n.refuse(formatv("expected sizes of at least 1 that are {0} "
                              "together",
                              size));
    std::vector<int64_t> starts(shape.size(), 0);
    Shape own = shape;
    starts[*axis] = at;
    own[*axis] = part;
    at += part;
    Operand operand;
    operand.type = n.type(0);
    operand.tensor = sliced(n, x, starts, own);
    if (!keeps) {
      own.erase(own.begin() + *axis);
      operand.isScalar = own.empty();
      operand.tensor = reshaped(n, operand.tensor, own);
    }
    if (!operand.tensor)
      return;
    elements.push_back(std::move(operand));
  }
  if (at != size)
    return n.refuse(
        formatv("expected sizes that are {0} together, got {1}", size, at));
  giveSequence(n, std::move(elements));
}

static void readConcat(NodeReader &n) {
  const Elements *known = sequenceOf(n);
  if (!known)
    return;
  if (known->empty())
    return n.refuse("expected an element, got an empty sequence");
  const bool isNew = n.integer("new_axis", 0) != 0;
  const int64_t rank = rankOf(n.dimsOf(known->front()));
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rank + isNew);
  if (!axis)
    return;
  *axis -= n.lead();
  if (*axis < 0)
    return n.refuse("it adds samples to a batch");
  std::vector<Tensor> parts;
  for (const Operand &element : *known) {
    const Dims dims = n.dimsOf(element);
    if (rankOf(dims) != rank)
      return n.refuse("expected tensors of one rank");
    Tensor x = n.tensorOf(element);
    if (isNew && x) {
      Shape shape = sampleOf(n, dims);
      shape.insert(shape.begin() + *axis, 1);
      x = reshaped(n, x, shape);
    }
    if (!x)
      return;
    parts.push_back(x);
  }
  Operand operand;
  operand.tensor =
      parts.size() == 1
          ? parts[0]
          : n.layer(Config("concatenate", {{"axis", *axis + 1}}), parts);
  n.result(std::move(operand));
}

ArrayRef<OpRule> onnx::sequenceRules() {
  static const OpRule rules[] = {
      {"ConcatFromSequence", 1, readConcat},
      {"SequenceAt", 2, readAt},
      {"SequenceConstruct", 1, readConstruct},
      {"SequenceEmpty", 0, readConstruct},
      {"SequenceErase", 1, readErase},
      {"SequenceInsert", 2, readInsert},
      {"SequenceLength", 1, readLength},
      {"SplitToSequence", 1, readSplit},
  };
  return rules;
}
