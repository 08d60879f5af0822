// OnnxReader.cpp - walks an ONNX graph once and turns it into layers.
//
// A node whose operands are all known is computed (OnnxConstants); any other
// has rules, found by findOpRules(). A node that cannot be taken over is noted,
// its results count as unknown, and what reads them is skipped, so that one run
// reports every cause and no consequence.
#include "frontend/onnx/OnnxReader.h"

#include "frontend/Layers.h"
#include "frontend/onnx/OnnxBodies.h"
#include "frontend/onnx/OnnxConstants.h"
#include "frontend/onnx/OnnxNode.h"
#include "frontend/onnx/OnnxPatterns.h"
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <cmath>
#include <set>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

/// Bodies that are written out and ops that become many layers multiply.
static constexpr size_t kMostLayers = 100000;

// ---- Import -----------------------------------------------------------------

std::string Import::freshName(StringRef wanted) {
  std::string name = toLayerName(wanted.ltrim('/'));
  size_t &count = taken[name];
  std::string result = name;
  while (count++ > 0) {
    result = name + "_" + std::to_string(count - 1);
    if (taken.try_emplace(result, 1).second)
      break;
  }
  return result;
}

bool Import::isTaken(StringRef name) const {
  return taken.count(toLayerName(name.ltrim('/')));
}

/// (C, H, W) from (H, W, C), and back.
static Dims toFileOrder(Dims sample) {
  std::rotate(sample.begin(), sample.end() - 1, sample.end());
  return sample;
}

Dims Import::dimsOf(const Operand &operand) const {
  if (operand.isConstant())
    return operand.constant->dims;
  Dims sample = builder->layers()[operand.tensor.layer()].shape;
  if (operand.isScalar)
    sample.clear();
  if (operand.order == Order::ChannelsLast)
    sample = toFileOrder(std::move(sample));
  if (lead == 1)
    sample.insert(sample.begin() + operand.batchAt, kBatch);
  return sample;
}

Tensor Import::inOrder(const Operand &operand, Order order) {
  if (operand.order == order || !operand.tensor)
    return operand.tensor;
  Tensor &known = reordered[{operand.tensor.layer(), order}];
  if (known)
    return known;
  const LayerRecord &record = builder->layers()[operand.tensor.layer()];
  const Shape shape = record.shape;
  const int64_t rank = static_cast<int64_t>(shape.size());
  Dims dims = counting(1, rank + 1);
  if (order == Order::AsInFile)
    std::rotate(dims.begin(), dims.end() - 1, dims.end());
  else
    std::rotate(dims.begin(), dims.begin() + 1, dims.end());
  // With a single channel, or a single pixel, nothing moves.
  Shape target;
  for (int64_t dim : dims)
    target.push_back(shape[dim - 1]);
  const int64_t channels = order == Order::AsInFile ? shape.back() : shape[0];
  const bool moves = channels > 1 && *frontend::countElements(shape) > channels;
  const char *suffix =
      order == Order::AsInFile ? "_channels_first" : "_channels_last";
  Config config(moves ? "permute" : "reshape");
  config.args.push_back(moves ? Argument{"dims", toList(dims)}
                              : Argument{"target_shape", toList(target)});
  config.args.push_back({"name", freshName(record.name + suffix)});
  return known = builder->layer(config, operand.tensor);
}

// ---- NodeReader: attributes -------------------------------------------------

static const Attribute *findAttribute(const Node &node, StringRef name) {
  auto it = node.attributes.find(name.str());
  return it == node.attributes.end() ? nullptr : &it->second;
}

bool NodeReader::has(StringRef attribute) const {
  return findAttribute(node, attribute);
}
int64_t NodeReader::integer(StringRef attribute, int64_t value) const {
  const Attribute *found = findAttribute(node, attribute);
  return found ? found->integer : value;
}
double NodeReader::number(StringRef attribute, double value) const {
  const Attribute *found = findAttribute(node, attribute);
  return found ? found->number : value;
}
std::string NodeReader::text(StringRef attribute, StringRef value) const {
  const Attribute *found = findAttribute(node, attribute);
  return found ? found->text : value.str();
}
std::vector<int64_t> NodeReader::integers(StringRef attribute,
                                          std::vector<int64_t> value) const {
  const Attribute *found = findAttribute(node, attribute);
  return found ? found->integers : value;
}

std::vector<double> NodeReader::numbers(StringRef attribute) const {
  const Attribute *found = findAttribute(node, attribute);
  return found ? found->numbers : std::vector<double>();
}

std::vector<std::string> NodeReader::texts(StringRef attribute) const {
  const Attribute *found = findAttribute(node, attribute);
  return found ? found->texts : std::vector<std::string>();
}

// ---- NodeReader: operands ---------------------------------------------------

bool NodeReader::hasInput(size_t index) const {
  return index < node.inputs.size() && !node.inputs[index].empty();
}
bool NodeReader::isUsed(size_t index) const {
  return index < node.outputs.size() && !node.outputs[index].empty() &&
         import.readers.count(node.outputs[index]);
}
const Operand &NodeReader::input(size_t index) const {
  return import.operands.at(node.inputs[index]);
}
const Constant *NodeReader::constant(size_t index) const {
  return hasInput(index) ? input(index).constant.get() : nullptr;
}

const Constant *NodeReader::constantCalled(const std::string &name) const {
  auto operand = import.operands.find(name);
  return operand == import.operands.end() ? nullptr
                                          : operand->second.constant.get();
}

std::optional<int64_t> NodeReader::axisOf(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    refuse(formatv("expected an axis in {0} .. {1}, got {2}", -rank, rank - 1,
                   axis));
    return std::nullopt;
  }
  return axis < 0 ? axis + rank : axis;
}

std::optional<std::vector<int64_t>> NodeReader::list(StringRef attribute,
                                                     size_t input) const {
  if (const Attribute *found = findAttribute(node, attribute))
    return found->integers;
  const Constant *value = constant(input);
  if (!value || value->isFloat())
    return std::nullopt;
  return value->integers();
}

// ---- NodeReader: layers -----------------------------------------------------

const Shape &NodeReader::shapeOf(Tensor tensor) const {
  return import.builder->layers()[tensor.layer()].shape;
}

Tensor NodeReader::tensor(size_t index, Order order) {
  return tensorOf(input(index), order);
}

Tensor NodeReader::tensorOf(const Operand &operand, Order order) {
  if (operand.isConstant())
    return parameter(
        operand, static_cast<int64_t>(operand.constant->dims.size()) - lead(),
        order);
  return import.inOrder(operand, order);
}

std::string NodeReader::nameFrom(size_t weight) const {
  StringRef name = hasInput(weight) ? StringRef(input(weight).initializer) : "";
  for (const char *ending :
       {".weight", "/kernel", "/depthwise_kernel", "/embeddings", "/W"})
    if (name.consume_back(ending))
      return name.str();
  return "";
}

Tensor NodeReader::layer(Config config, ArrayRef<Tensor> inputs,
                         std::vector<LayerWeight> weights,
                         StringRef wantedName) {
  if (llvm::any_of(inputs, [](Tensor input) { return !input; }))
    return {};
  std::string wanted = wantedName.str();
  if (wanted.empty())
    wanted = node.name.empty() ? config.name : node.name;
  // `sinter export` names the last node of a layer LAYER/OP, its result LAYER.
  // Where the layer itself has that name already, the node keeps its own.
  if (!node.outputs.empty() && wanted == node.outputs.front() + "/" + node.op &&
      !import.isTaken(node.outputs.front()))
    wanted = node.outputs.front();
  size_t elements = 0;
  for (const LayerWeight &weight : weights)
    elements += weight.values.size();
  if (import.builder->layers().size() >= kMostLayers ||
      elements > import.weightsLeft) {
    refuse("the network grows far beyond what a file of this size needs");
    return {};
  }
  import.weightsLeft -= elements;
  const std::string name = import.freshName(wanted);
  config.args.push_back({"name", name});
  Tensor result = import.builder->layer(std::move(config), inputs);
  if (result)
    for (LayerWeight &weight : weights)
      import.weights.push_back({name + "/" + weight.parameter,
                                weight.values.dims, weight.values.floats()});
  return result;
}

Tensor NodeReader::parameter(const Operand &operand, int64_t rank,
                             Order order) {
  Constant values = *operand.constant;
  // ONNX aligns axes at the end; sizes of 1 in front do not count.
  while (static_cast<int64_t>(values.dims.size()) > rank &&
         values.dims.front() == 1)
    values.dims.erase(values.dims.begin());
  if (static_cast<int64_t>(values.dims.size()) > rank) {
    refuse("a constant of " + dimsToText(operand.constant->dims) +
           " would make the samples of a batch differ");
    return {};
  }
  while (static_cast<int64_t>(values.dims.size()) < std::max<int64_t>(rank, 1))
    values.dims.insert(values.dims.begin(), 1);
  if (order == Order::ChannelsLast) {
    std::vector<int64_t> axes = counting(1, values.dims.size());
    axes.push_back(0);
    values = transposed(values, axes);
  }
  if (!values.isFloat())
    values.values =
        std::vector<float>(values.integers().begin(), values.integers().end());
  if (llvm::any_of(values.floats(), [](float x) { return std::isinf(x); }))
    return withInfinities(std::move(values));
  Config config("parameter", {{"shape", toList(values.dims)}});
  // Whole numbers and truth values are no weights.
  if (operand.initializer.empty() || values.size() == 1 ||
      !operand.constant->isFloat())
    config.args.push_back({"trainable", false});
  StringRef name = operand.initializer;
  name.consume_back("/value");
  return layer(config, {}, {{"value", std::move(values)}},
               name.empty() ? node.name + "_constant" : name.str());
}

/// A mask of attention, as a rule. Weights are finite numbers, so what is not
/// becomes log 0, or its negative, where a frozen tensor says so.
Tensor NodeReader::withInfinities(Constant values) {
  std::vector<float> finite = values.floats();
  for (float &x : finite)
    x = std::isinf(x) ? 0 : x;
  auto like = [&](std::vector<float> numbers) {
    Constant made;
    made.dims = values.dims;
    made.values = std::move(numbers);
    return frozen(std::move(made));
  };
  Tensor result = like(finite);
  for (float infinity : {-INFINITY, INFINITY}) {
    std::vector<float> isThere;
    for (float x : values.floats())
      isThere.push_back(x == infinity);
    if (!llvm::is_contained(isThere, 1.0f))
      continue;
    Constant zero;
    zero.dims = Dims(values.dims.size(), 1);
    zero.values = std::vector<float>{0};
    Tensor number = layer(Config("log"), frozen(std::move(zero)));
    if (infinity > 0)
      number = layer(Config("negative"), number);
    result = layer(Config("where"), {like(std::move(isThere)), number, result});
  }
  return result;
}

Tensor NodeReader::frozen(Constant values) {
  Config config("parameter",
                {{"shape", toList(values.dims)}, {"trainable", false}});
  return layer(std::move(config), {}, {{"value", std::move(values)}},
               op() + "_constant");
}

void NodeReader::result(Tensor tensor, Order order, size_t index) {
  Operand operand;
  operand.tensor = tensor;
  operand.order = order;
  // Of operands without axes, the result has none; rules that add some say so.
  operand.isScalar = tensor && shapeOf(tensor) == Shape{1} && numInputs() > 0;
  for (size_t i = 0; i < numInputs(); ++i)
    operand.isScalar &=
        !hasInput(i) || static_cast<int64_t>(dims(i).size()) <= lead();
  result(std::move(operand), index);
}
void NodeReader::reworkWith(llvm::function_ref<Tensor(Tensor, Order)> make) {
  Operand made = import.operands[node.outputs[0]];
  if (!made.tensor)
    return; // refused
  made.tensor = make(made.tensor, made.order);
  result(std::move(made));
}
void NodeReader::rework(StringRef layer) {
  reworkWith([&](Tensor made, Order) {
    return this->layer(Config(layer.str()), made);
  });
}
ElementType NodeReader::type(size_t index) const {
  const Operand &operand = input(index);
  return operand.isConstant() ? operand.constant->type : operand.type;
}
bool NodeReader::isInteger(size_t index) const {
  return !isFloating(type(index));
}

/// By ONNX's definition of the op.
ElementType NodeReader::typeOfResult(size_t index) const {
  if (index > 0 && (op() == "MaxPool" || op() == "TopK"))
    return ElementType::Int64;
  if (index > 0 && op() == "Dropout")
    return ElementType::Bool;
  if (op() == "DynamicQuantizeLinear")
    return index == 1 ? ElementType::Float : ElementType::UInt8;
  if (op() == "ConvInteger" || op() == "MatMulInteger")
    return ElementType::Int32;
  if (op() == "QLinearConv" || op() == "QLinearMatMul")
    return type(7);
  static const StringRef truths[] = {
      "And",   "Equal", "Greater", "GreaterOrEqual",
      "IsInf", "IsNaN", "Less",    "LessOrEqual",
      "Not",   "Or",    "Xor"};
  if (llvm::is_contained(truths, op()))
    return ElementType::Bool;
  if (op() == "ArgMax" || op() == "ArgMin")
    return ElementType::Int64;
  if (op() == "Cast")
    return castTo();
  if (op() == "DequantizeLinear")
    return ElementType::Float;
  if (op() == "QuantizeLinear")
    return hasInput(2) ? type(2) : ElementType::UInt8;
  const size_t like = op() == "Where" || op() == "CastLike" ? 1
                      : op() == "OneHot"                    ? 2
                                                            : 0;
  return hasInput(like) ? type(like) : ElementType::Float;
}

ElementType NodeReader::castTo() const {
  const Attribute *to = findAttribute(node, "to");
  if (to && to->kind == Attribute::Kind::Text)
    return typeCalled(to->text).value_or(ElementType::String);
  return static_cast<ElementType>(integer("to", 1));
}

void NodeReader::resultWithBatchAt(int64_t batchAt, Tensor tensor,
                                   size_t index) {
  Operand operand;
  operand.tensor = tensor;
  import.resultBatchAt = batchAt;
  result(std::move(operand), index);
}

void NodeReader::scalarResult(Tensor tensor) {
  Operand operand;
  operand.tensor = tensor;
  operand.isScalar = true;
  result(std::move(operand));
}
void NodeReader::result(Operand operand, size_t index) {
  if (index >= node.outputs.size() || node.outputs[index].empty())
    return; // left out
  if (operand.tensor) {
    operand.type = typeOfResult(index);
    operand.batchAt = import.resultBatchAt;
  }
  import.operands[node.outputs[index]] = std::move(operand);
}

const Node *NodeReader::onlyReader(StringRef op) const {
  auto readers = import.readers.find(node.outputs.front());
  if (readers == import.readers.end() || readers->second.count != 1)
    return nullptr;
  const Node *other = readers->second.one;
  return other && other->op == op && other->domain.empty() ? other : nullptr;
}

void NodeReader::absorb(const Node &reader, Tensor tensor, Order order) {
  Operand operand;
  operand.tensor = tensor;
  operand.order = order;
  operand.batchAt = import.resultBatchAt;
  import.operands[reader.outputs.front()] = std::move(operand);
}

void NodeReader::refuse(std::string why, std::string hint) {
  std::string name = node.name;
  if (name.empty() && !node.outputs.empty())
    name = node.outputs.front();
  import.offenders.push_back({printable(name),
                              printable(node.op) + ", operator set " +
                                  std::to_string(import.graph->opset),
                              std::move(why), std::move(hint)});
}

bool NodeReader::wantsResult(size_t index) const {
  return index < node.outputs.size() && !node.outputs[index].empty() &&
         import.readers.count(node.outputs[index]);
}

bool NodeReader::refuseResultsFrom(size_t index) {
  for (size_t i = index; i < node.outputs.size(); ++i)
    if (wantsResult(i)) {
      refuse(formatv("its result number {0} is used, which is not supported",
                     i + 1));
      return true;
    }
  return false;
}

/// Ops that cannot leave the range of their operands' type, and those whose
/// rules bring results back into it.
static const StringRef keepsRange[] = {
    "And",
    "ArgMax",
    "ArgMin",
    "BitShift",
    "Cast",
    "CastLike",
    "Clip",
    "Compress",
    "Concat",
    "DepthToSpace",
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "Div",
    "Equal",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "Less",
    "LessOrEqual",
    "Max",
    "MatMulInteger",
    "MaxPool",
    "MaxUnpool",
    "Min",
    "Mod",
    "Not",
    "OneHot",
    "Or",
    "Pad",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "ReduceMax",
    "ReduceMin",
    "Relu",
    "Reshape",
    "ScatterElements",
    "ScatterND",
    "Sign",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
};

/// Bits of an integer type, or 0.
static int bitsOf(ElementType type) {
  switch (type) {
  case ElementType::UInt8:
  case ElementType::Int8:
    return 8;
  case ElementType::UInt16:
  case ElementType::Int16:
    return 16;
  case ElementType::Int32:
  case ElementType::UInt32:
    return 32;
  case ElementType::Int64:
  case ElementType::UInt64:
    return 64;
  default:
    return 0;
  }
}
static bool isSigned(ElementType type) {
  return type == ElementType::Int8 || type == ElementType::Int16 ||
         type == ElementType::Int32 || type == ElementType::Int64;
}

std::optional<ElementType> NodeReader::wrapping() const {
  if (llvm::is_contained(keepsRange, op()))
    return std::nullopt;
  for (size_t i = 0; i < numInputs(); ++i) {
    if (!hasInput(i) || (op() == "Pow" && i > 0))
      continue;
    const ElementType own = type(i);
    const int bits = bitsOf(own);
    if (bits == 0 || (bits >= 32 && isSigned(own)))
      continue;
    // Exact in f32, and brought back by the rule.
    const bool isSum = op() == "Add" || op() == "Sub";
    if (bits == 8 && (isSum || op() == "Mul"))
      continue;
    if (bits == 16 && isSum)
      continue;
    // As exact as the signed types.
    if (bits >= 32 && (op() == "Add" || op() == "Mul"))
      continue;
    return own;
  }
  return std::nullopt;
}

void NodeReader::wrapInto(ElementType type) {
  const int bits = bitsOf(type);
  if (bits == 0 || bits > 16)
    return;
  // mod(x + half, 2^bits) - half
  const double size = std::ldexp(1.0, bits),
               half = isSigned(type) ? size / 2 : 0;
  auto shifted = [&](Tensor x, double by) {
    return by == 0
               ? x
               : layer(Config("rescaling", {{"scale", 1.0}, {"offset", by}}),
                       x);
  };
  reworkWith([&](Tensor x, Order) {
    Constant modulus;
    modulus.dims = Dims(shapeOf(x).size(), 1);
    modulus.values = std::vector<float>{static_cast<float>(size)};
    x = layer(Config("mod"), {shifted(x, half), frozen(std::move(modulus))});
    return shifted(x, -half);
  });
}

// ---- The walk ---------------------------------------------------------------

static bool hasRecurrentOp(const Graph &graph) {
  return llvm::any_of(graph.nodes, [](const Node &node) {
    return node.domain.empty() && isRecurrentOp(node.op);
  });
}

namespace {
class GraphReader {
public:
  /// `batchAt` is the axis of the samples in the inputs; of no matter where
  /// `lead` is 0. With `oneByOne`, which goes with a lead of 0, each sample is
  /// a batch of one in the graph.
  GraphReader(const Graph &graph, int64_t lead, int64_t batchAt,
              Diagnostics &diagnostics, bool oneByOne = false)
      : graph(graph), import(diagnostics), oneByOne(oneByOne),
        isRecurrent(hasRecurrentOp(graph)) {
    import.graph = &graph;
    import.lead = lead;
    import.inputBatchAt = batchAt;
    import.weightsLeft = 2 * static_cast<size_t>(budget);
  }

  /// False after errors or offenders.
  bool read();
  /// Whether the inputs themselves are not of this reading.
  bool isOther() const { return inputsFailed; }
  const std::vector<Offender> &offenders() const { return import.offenders; }
  OnnxNetwork take(std::unique_ptr<Diagnostics> reports) {
    OnnxNetwork network{std::move(reports), std::move(import.builder),
                        std::move(import.weights), import.lead == 1 || oneByOne,
                        import.inputBatchAt};
    for (const Port &port : graph.outputs)
      network.outputBatchAt.push_back(import.operands.at(port.name).batchAt);
    return network;
  }

private:
  bool readInput(const Port &port);
  void makeBatches();
  void findReaders();
  void readNode(const Node &node);
  void applyRules(NodeReader &reader, const Node &node);
  bool movesSamples(const Node &node) const;
  bool readMoved(const Node &node);
  bool fold(const Node &node);
  std::optional<Constant> fromSizes(const Node &node);
  std::optional<Constant> repeated(const Node &node);
  bool finish();
  bool readsLayer(Tensor layer) const;
  /// Takes so many elements from the budget, if they are left.
  bool affords(int64_t elements) {
    if (elements > budget)
      return false;
    budget -= elements;
    return true;
  }

  const Graph &graph;
  Import import;
  const bool oneByOne;
  bool inputsFailed = false;
  const bool isRecurrent;       // there is an op that has samples along axis 1
  std::set<std::string> needed; // values that the output depends on
  int64_t budget = foldingBudget(graph);
};
} // namespace

static bool isNumber(ElementType type) {
  return type != ElementType::String && !StringRef(nameOf(type)).contains(' ');
}

bool GraphReader::readInput(const Port &port) {
  auto error = [&](std::string message) {
    import.diagnostics.error(SourceLoc(), std::move(message));
    return false;
  };
  const std::string what = "input '" + printable(port.name) + "': ";
  // Integers and truth values are f32 in the network: exact up to 2^24.
  if (!isNumber(port.type))
    return error(what + "expected numbers or truth values, got elements of " +
                 nameOf(port.type));
  int64_t batchAt = import.inputBatchAt;
  if (!port.dims ||
      static_cast<int64_t>(port.dims->size()) < import.lead + batchAt)
    return error(what + "expected a shape with at least one size, got " +
                 (port.dims ? "none" : "no shape"));
  Shape shape(*port.dims);
  if (oneByOne && !shape.empty() && (shape[0] == kBatch || shape[0] == 1))
    shape.erase(shape.begin());
  else if (oneByOne)
    return error(what + "expected a batch of any size, or of one");
  if (import.lead == 1) {
    auto isOpen = [](int64_t size) { return size < 1; };
    const bool isFirst = import.operands.empty();
    // States of recurrent ops have samples along another axis than sequences.
    if (!isFirst && import.fileBatch == kBatch && !isOpen(shape[batchAt]) &&
        llvm::count_if(shape, isOpen) == 1)
      batchAt = llvm::find_if(shape, isOpen) - shape.begin();
    const int64_t batch = isOpen(shape[batchAt]) ? kBatch : shape[batchAt];
    shape.erase(shape.begin() + batchAt);
    if (!isFirst && import.fileBatch != batch)
      return error(what + "expected as many samples as in the first input");
    import.fileBatch = batch;
  } else if (llvm::is_contained(shape, kBatch)) {
    return error(what + "expected a size for every axis, got " +
                 dimsToText(*port.dims));
  }
  Operand operand;
  operand.isScalar = shape.empty();
  if (shape.empty())
    shape = {1};
  if (llvm::any_of(shape, [](int64_t size) { return size < 1; }))
    return error(what + "expected a size for every axis but the first, got " +
                 dimsToText(*port.dims));
  operand.type = port.type;
  operand.batchAt = batchAt;
  operand.tensor = import.builder->layer(
      Config("input",
             {{"shape", toList(shape)}, {"name", import.freshName(port.name)}}),
      {});
  import.operands[port.name] = operand;
  return static_cast<bool>(operand.tensor);
}

/// Each input as the graph's batch of one.
void GraphReader::makeBatches() {
  for (const Port &port : graph.inputs) {
    Operand &operand = import.operands.at(port.name);
    Shape shape = {1};
    if (!operand.isScalar)
      llvm::append_range(
          shape, import.builder->layers()[operand.tensor.layer()].shape);
    operand.isScalar = false;
    operand.tensor = import.builder->layer(
        Config("reshape", {{"target_shape", toList(shape)},
                           {"name", import.freshName("batch_of_one")}}),
        operand.tensor);
  }
}

/// Which values the output needs, and which nodes among those read each.
void GraphReader::findReaders() {
  for (const Port &output : graph.outputs) {
    needed.insert(output.name);
    ++import.readers[output.name].count;
  }
  for (const Node &node : llvm::reverse(graph.nodes)) {
    if (llvm::none_of(node.outputs, [&](const std::string &output) {
          return needed.count(output);
        }))
      continue;
    for (const std::string &input : node.inputs) {
      if (input.empty())
        continue; // left out
      needed.insert(input);
      ++import.readers[input].count;
      import.readers[input].one = &node;
    }
  }
}

/// What depends on sizes alone, where all of them are known.
std::optional<Constant> GraphReader::fromSizes(const Node &node) {
  if (!node.domain.empty() || node.inputs.empty() || node.inputs[0].empty() ||
      (node.op != "Size" && node.op != "EyeLike"))
    return std::nullopt;
  NodeReader reader(import, node);
  const Dims dims = reader.dims(0);
  std::optional<int64_t> count = onnx::countElements(dims);
  if (!count)
    return std::nullopt;
  if (node.op == "Size") {
    Constant size = Constant::ofIntegers({*count});
    size.dims.clear();
    return size;
  }
  if (dims.size() != 2)
    return std::nullopt;
  if (!affords(*count)) {
    reader.refuse("expected a size that fits into memory, got " +
                  dimsToText(dims));
    return Constant();
  }
  Constant eye;
  eye.dims = dims;
  eye.type = static_cast<ElementType>(
      reader.integer("dtype", static_cast<int64_t>(reader.type(0))));
  const int64_t above = reader.integer("k", 0);
  std::vector<float> ones;
  for (int64_t i = 0; i < *count; ++i)
    ones.push_back(i % dims[1] - i / dims[1] == above);
  if (isFloating(eye.type))
    eye.values = std::move(ones);
  else
    eye.values = std::vector<int64_t>(ones.begin(), ones.end());
  return eye;
}

/// The number that an op repeats, ConstantOfShape's or the one that all
/// elements of Expand's operand are.
static std::optional<float> repeatedNumber(const Node &node,
                                           const Constant *operand) {
  if (node.op == "Expand") {
    if (!operand || !operand->isFloat() || operand->size() == 0 ||
        !llvm::all_equal(operand->floats()))
      return std::nullopt;
    return operand->floats()[0];
  }
  auto given = node.attributes.find("value");
  if (given == node.attributes.end())
    return 0.0f;
  const Constant &value = given->second.tensor;
  return value.isFloat() && value.size() == 1 ? std::optional(value.floats()[0])
                                              : std::nullopt;
}

/// A number repeated to sizes with the samples among them, as recurrent ops get
/// their first states: the same constant with one sample, for others align. A
/// file that was written for one size of a batch may have that many already.
std::optional<Constant> GraphReader::repeated(const Node &node) {
  const bool isExpand = node.op == "Expand";
  if (!node.domain.empty() || (node.op != "ConstantOfShape" && !isExpand) ||
      node.inputs.size() != (isExpand ? 2 : 1))
    return std::nullopt;
  const Operand &sizes = import.operands.at(node.inputs.back());
  if (!sizes.isConstant() || sizes.constant->isFloat() ||
      llvm::count(sizes.constant->integers(), kBatch) != 1)
    return std::nullopt;
  const Constant *operand = nullptr;
  Constant value;
  value.dims = sizes.constant->integers();
  if (isExpand) {
    operand = import.operands.at(node.inputs[0]).constant.get();
    if (!operand || operand->dims.size() > value.dims.size())
      return std::nullopt;
    for (auto [own, wanted] :
         llvm::zip(llvm::reverse(operand->dims), llvm::reverse(value.dims)))
      if (own != 1 && own != wanted &&
          (wanted != kBatch || own != import.fileBatch))
        return std::nullopt;
  }
  std::optional<float> number = repeatedNumber(node, operand);
  llvm::replace(value.dims, kBatch, int64_t(1));
  std::optional<int64_t> count = onnx::countElements(value.dims);
  if (!number || !count || !affords(*count))
    return std::nullopt;
  value.values = std::vector<float>(*count, *number);
  return value;
}

/// Computes a node with constant operands; false: it is not one.
bool GraphReader::fold(const Node &node) {
  std::vector<const Constant *> inputs;
  std::string initializer;
  if (node.op == "Shape" && node.domain.empty() && !node.inputs.empty() &&
      !node.inputs[0].empty()) {
    Dims dims = import.dimsOf(import.operands.at(node.inputs[0]));
    NodeReader reader(import, node);
    const int64_t rank = static_cast<int64_t>(dims.size());
    auto clamp = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
    };
    const int64_t start = clamp(reader.integer("start", 0)),
                  end = clamp(reader.integer("end", rank));
    dims =
        start < end ? Dims(dims.begin() + start, dims.begin() + end) : Dims();
    Operand operand;
    operand.constant =
        std::make_shared<Constant>(Constant::ofIntegers(std::move(dims)));
    import.operands[node.outputs[0]] = operand;
    return true;
  }
  if (std::optional<Constant> known = fromSizes(node)) {
    Operand operand;
    operand.constant = std::make_shared<Constant>(std::move(*known));
    import.operands[node.outputs[0]] = operand;
    return true;
  }
  if (std::optional<Constant> known = repeated(node)) {
    Operand operand;
    operand.constant = std::make_shared<Constant>(std::move(*known));
    import.operands[node.outputs[0]] = operand;
    return true;
  }
  for (const std::string &input : node.inputs) {
    if (input.empty()) {
      inputs.push_back(nullptr);
      continue;
    }
    const Operand &operand = import.operands.at(input);
    if (!operand.isConstant())
      return false;
    inputs.push_back(operand.constant.get());
    if (initializer.empty())
      initializer = operand.initializer;
  }
  std::string wrong;
  std::vector<Constant> others;
  std::optional<Constant> result =
      foldNode(node, graph.opset, inputs, others, budget, wrong);
  if (!result) {
    if (wrong.empty())
      return false;
    NodeReader(import, node).refuse(wrong);
    return true;
  }
  Operand operand;
  operand.constant = std::make_shared<Constant>(std::move(*result));
  operand.initializer = initializer;
  import.operands[node.outputs[0]] = std::move(operand);
  for (size_t i = 1; i < node.outputs.size() && i <= others.size(); ++i) {
    Operand other;
    other.constant = std::make_shared<Constant>(std::move(others[i - 1]));
    import.operands[node.outputs[i]] = std::move(other);
  }
  return true;
}

void GraphReader::readNode(const Node &node) {
  if (llvm::none_of(node.outputs, [&](const std::string &output) {
        return needed.count(output);
      }))
    return; // the output does not depend on it
  // Its first result, which recurrent ops may leave out.
  const std::string &result = *llvm::find_if(
      node.outputs, [](const std::string &name) { return !name.empty(); });
  if (import.operands.count(result))
    return; // taken into the layer before it
  // Until its rule says otherwise, its results are unknown.
  auto unknown = [&](const std::string &name) {
    const Operand &operand = import.operands.at(name);
    return !operand.isConstant() && !operand.tensor && !operand.isSequence();
  };
  const bool blind = llvm::any_of(node.inputs, [&](const std::string &input) {
    return !input.empty() && unknown(input);
  });
  for (const std::string &output : node.outputs)
    if (!output.empty())
      import.operands[output] = Operand();
  NodeReader reader(import, node);
  std::vector<const OpRule *> rules;
  if (node.domain.empty())
    rules = findOpRules(node.op);
  const bool takesSequences = StringRef(node.op).starts_with("Sequence") ||
                              node.op == "ConcatFromSequence" ||
                              node.op == "Identity";
  if (!takesSequences &&
      llvm::any_of(node.inputs, [&](const std::string &input) {
        return !input.empty() && import.operands.at(input).isSequence();
      }))
    return reader.refuse("expected tensors, got a sequence of them");
  if (!blind && fold(node))
    return;
  if (rules.empty() && !node.domain.empty())
    return reader.refuse(
        "ops of domain '" + printable(node.domain) + "' are not supported",
        "export the model with standard ops that `sinter import` knows, or cut "
        "the graph before it");
  if (rules.empty()) {
    auto [why, hint] = whyUnsupported(node.op);
    return reader.refuse(std::move(why), std::move(hint));
  }
  if (blind)
    return;
  const OpRule &strictest =
      **llvm::max_element(rules, [](const OpRule *a, const OpRule *b) {
        return a->operands < b->operands;
      });
  for (size_t i = 0; i < strictest.operands; ++i)
    if (!reader.hasInput(i))
      return reader.refuse(
          formatv("expected {0} operands", strictest.operands));
  const size_t errors = import.diagnostics.errorCount(),
               offenders = import.offenders.size();
  if (std::optional<ElementType> type = reader.wrapping())
    return reader.refuse("it computes with " + nameOf(*type) +
                             ", which may wrap around",
                         "cast its operands to int32 or float32");
  import.resultBatchAt = 0;
  if (!readMoved(node))
    applyRules(reader, node);
  const auto isMade = [&](const std::string &output) {
    const auto made = import.operands.find(output);
    return made != import.operands.end() &&
           (made->second.tensor || made->second.isConstant() ||
            made->second.isSequence());
  };
  if (llvm::none_of(node.outputs, isMade) &&
      import.diagnostics.errorCount() == errors &&
      import.offenders.size() == offenders)
    reader.refuse("its operands are not of a form that is supported");
}

/// The first rule that takes it; if none does, the last one's reasons count.
void GraphReader::applyRules(NodeReader &reader, const Node &node) {
  const size_t errors = import.diagnostics.errorCount(),
               offenders = import.offenders.size();
  for (const OpRule *rule : findOpRules(node.op)) {
    import.offenders.resize(offenders);
    rule->read(reader);
    if (import.offenders.size() == offenders ||
        import.diagnostics.errorCount() != errors)
      break;
  }
}

/// A transposition, on its way to a recurrent op or back.
bool GraphReader::movesSamples(const Node &node) const {
  if (!isRecurrent || node.op != "Transpose")
    return false;
  const Attribute *order = findAttribute(node, "perm");
  return !order || (!order->integers.empty() && order->integers[0] != 0);
}

/// Reads a node whose operands have their samples elsewhere than in front, or
/// which moves them. False: it is no such node.
bool GraphReader::readMoved(const Node &node) {
  if (import.lead == 0 || isRecurrentOp(node.op))
    return false;
  std::optional<int64_t> at; // of all operands that have samples
  bool agree = true;
  for (const std::string &input : node.inputs) {
    if (input.empty() || !import.operands.at(input).tensor)
      continue;
    const int64_t own = import.operands.at(input).batchAt;
    agree &= at.value_or(own) == own;
    at = own;
  }
  if (!at || (agree && *at == 0 && !movesSamples(node)))
    return false;
  NodeReader asInFile(import, node);
  std::optional<BatchFirst> moved;
  if (agree)
    moved = withBatchFirst(asInFile, node, *at);
  if (!moved) {
    asInFile.refuse(
        agree ? "samples along axis " + std::to_string(*at) +
                    " of its operand are not supported"
              : "its operands have their samples along different axes");
    return true;
  }
  auto setBatchAt = [&](int64_t batchAt) {
    for (const std::string &input : node.inputs)
      if (!input.empty() && import.operands.at(input).tensor)
        import.operands.at(input).batchAt = batchAt;
  };
  setBatchAt(0);
  import.resultBatchAt = moved->resultAt;
  NodeReader reader(import, moved->node);
  applyRules(reader, moved->node);
  setBatchAt(*at);
  return true;
}

bool GraphReader::readsLayer(Tensor layer) const {
  return llvm::any_of(import.builder->layers(), [&](const LayerRecord &record) {
    return llvm::any_of(record.inputs, [&](Tensor input) {
      return input.layer() == layer.layer();
    });
  });
}

/// The outputs in the file's order; a single one as the last layer.
bool GraphReader::finish() {
  std::vector<Tensor> outputs;
  for (const Port &port : graph.outputs) {
    const Operand &operand = import.operands.at(port.name);
    if (operand.isConstant() && import.lead == 1) {
      import.diagnostics.error(SourceLoc(),
                               "expected output '" + printable(port.name) +
                                   "' to depend on the input, got a constant");
      return false;
    }
    if (operand.isConstant()) {
      Constant values = *operand.constant;
      std::vector<float> numbers;
      for (size_t i = 0; i < values.size(); ++i)
        numbers.push_back(static_cast<float>(values.number(i)));
      values.values = std::move(numbers);
      if (values.dims.empty())
        values.dims = {1};
      Node maker;
      maker.op = port.name;
      outputs.push_back(NodeReader(import, maker).frozen(std::move(values)));
      if (!outputs.back())
        return false;
      continue;
    }
    if (operand.isSequence()) {
      import.diagnostics.error(SourceLoc(),
                               "expected output '" + printable(port.name) +
                                   "' to be a tensor, got a sequence of them");
      return false;
    }
    outputs.push_back(import.inOrder(operand, Order::AsInFile));
    if (!outputs.back()) {
      import.diagnostics.error(SourceLoc(),
                               "nothing could be made of output '" +
                                   printable(port.name) + "'");
      return false;
    }
  }
  for (Tensor &output : outputs) {
    if (!oneByOne)
      break;
    Shape shape = import.builder->layers()[output.layer()].shape;
    if (shape[0] != 1) {
      import.diagnostics.error(SourceLoc(), "expected outputs with the batch "
                                            "as their first axis");
      return false;
    }
    if (shape.size() > 1) {
      shape.erase(shape.begin());
      output = import.builder->layer(
          Config("reshape", {{"target_shape", toList(shape)},
                             {"name", import.freshName("sample")}}),
          output);
    }
  }
  // Layers behind an output, and inputs as outputs.
  const bool isLast =
      outputs.size() == 1 &&
      outputs[0].layer() + 1 == import.builder->layers().size() &&
      llvm::all_of(graph.inputs, [&](const Port &port) {
        return readsLayer(import.operands.at(port.name).tensor);
      });
  if (isLast && import.builder->layers().size() > 1)
    return true;
  // Of several, toImported() gives each the file's name; a layer with weights,
  // or that is two outputs, keeps its own.
  const bool isSeveral = outputs.size() > 1;
  llvm::SmallDenseSet<size_t> taken;
  for (auto [port, output] : llvm::zip_equal(graph.outputs, outputs)) {
    const LayerRecord &layer = import.builder->layers()[output.layer()];
    const bool canBe =
        layer.name == toLayerName(port.name) || layer.parameters.empty();
    if (isSeveral && canBe && layer.config.name != "input" &&
        taken.insert(output.layer()).second)
      continue;
    output = import.builder->layer(
        Config("activation", {{"activation", Config("linear")},
                              {"name", import.freshName("output")}}),
        output);
  }
  import.builder->setOutputs(outputs);
  return llvm::all_of(outputs, [](Tensor output) { return bool(output); });
}

bool GraphReader::read() {
  for (const Port &input : graph.inputs)
    if (!readInput(input)) {
      inputsFailed = true;
      return false;
    }
  if (oneByOne)
    makeBatches();
  for (const auto &[name, constant] : graph.initializers) {
    Operand operand;
    operand.constant = std::make_shared<Constant>(constant);
    operand.initializer = name;
    import.operands[name] = std::move(operand);
  }
  findReaders();
  for (const Node &node : graph.nodes) {
    const bool mayLack = node.domain.empty() && isRecurrentOp(node.op);
    if (node.outputs.empty() || (!mayLack && node.outputs[0].empty()) ||
        llvm::all_of(node.outputs, [](const std::string &output) {
          return output.empty();
        })) {
      NodeReader(import, node).refuse("expected a first result, got none");
      continue;
    }
    readNode(node);
  }
  return import.offenders.empty() && !import.diagnostics.hasErrors() &&
         finish();
}

std::optional<OnnxNetwork>
sinter::frontend::buildOnnx(const Graph &given, Diagnostics &diagnostics) {
  std::optional<Graph> inlined;
  if (hasBodies(given))
    inlined = withBodiesInlined(given);
  const Graph &graph = inlined ? *inlined : given;
  // First with samples along the first axis; what goes wrong is told of this
  // reading.
  auto reports = [&] {
    return std::make_unique<Diagnostics>(diagnostics.fileName().str());
  };
  auto first = reports(), second = reports();
  auto warnOfTypes = [&] {
    for (const Port &input : graph.inputs)
      if (isFloating(input.type) && input.type != ElementType::Float)
        diagnostics.warning(SourceLoc(),
                            "input '" + printable(input.name) + "' is " +
                                nameOf(input.type) +
                                "; the network computes in float32");
  };
  // Recurrent ops have samples along the second axis, unless told otherwise.
  auto ofSteps = reports();
  std::optional<GraphReader> steps;
  if (hasRecurrentOp(graph)) {
    steps.emplace(graph, 1, 1, *ofSteps);
    if (steps->read()) {
      warnOfTypes();
      return steps->take(std::move(ofSteps));
    }
  }
  GraphReader samples(graph, 1, 0, *first);
  if (samples.read()) {
    warnOfTypes();
    return samples.take(std::move(first));
  }
  // Samples that move to another axis on their way, as in PyTorch's attention:
  // what the graph makes of a batch of one.
  auto third = reports();
  GraphReader single(graph, 0, 0, *third, /*oneByOne=*/true);
  auto takeSingle = [&] {
    warnOfTypes();
    diagnostics.warning(SourceLoc(),
                        "samples do not stay on the first axis; each is "
                        "computed as the graph's batch of one, which is right "
                        "unless the graph mixes samples");
    return single.take(std::move(third));
  };
  // A file that was written with a batch of one has such samples, too.
  const bool isOfOne = llvm::all_of(graph.inputs, [](const Port &input) {
    return input.dims && !input.dims->empty() && input.dims->front() == 1;
  });
  if (isOfOne && single.read())
    return takeSingle();
  GraphReader whole(graph, 0, 0, *second);
  if (whole.read()) {
    warnOfTypes();
    diagnostics.warning(
        SourceLoc(), "the graph moves the first axis of the input, mixes what "
                     "lies along it, or has a fixed number there that it "
                     "needs; a whole input is taken as one sample (for a batch "
                     "of samples, export with a dynamic first axis)");
    return whole.take(std::move(second));
  }
  if (!isOfOne && single.read())
    return takeSingle();
  // The causes: of all readings, those that are left when sizes are no matter.
  if (steps && !steps->isOther() && !steps->offenders().empty() &&
      steps->offenders().size() <= samples.offenders().size()) {
    diagnostics.absorb(*ofSteps, "");
    reportOffenders(steps->offenders(), diagnostics);
    return std::nullopt;
  }
  if (!single.isOther() && !single.offenders().empty() &&
      single.offenders().size() < samples.offenders().size()) {
    diagnostics.absorb(*third, "");
    reportOffenders(single.offenders(), diagnostics);
    return std::nullopt;
  }
  const bool wholeIsCloser =
      !whole.isOther() &&
      (samples.isOther() ||
       (!whole.offenders().empty() &&
        whole.offenders().size() <= samples.offenders().size()));
  diagnostics.absorb(wholeIsCloser ? *second : *first, "");
  reportOffenders(wholeIsCloser ? whole.offenders() : samples.offenders(),
                  diagnostics);
  return std::nullopt;
}

/// What the layers are called: as in the network, but that several outputs have
/// the file's names. Who had such a name gets the output's.
static std::vector<std::string> namesOf(const Graph &graph,
                                        const ModelBuilder &builder) {
  std::vector<std::string> names;
  for (const LayerRecord &record : builder.layers())
    names.push_back(record.name);
  if (graph.outputs.size() < 2)
    return names;
  for (const auto &[port, output] :
       llvm::zip_equal(graph.outputs, builder.outputs())) {
    const std::string wanted = toLayerName(port.name);
    auto other = llvm::find(names, wanted);
    if (other != names.end() &&
        other - names.begin() < static_cast<ptrdiff_t>(graph.inputs.size()))
      continue; // inputs keep theirs
    if (other != names.end())
      std::swap(*other, names[output.layer()]);
    else
      names[output.layer()] = wanted;
  }
  return names;
}

/// Which layers an output depends on: not those of which only the sizes are
/// read.
static std::vector<bool> neededLayers(const ModelBuilder &builder) {
  ArrayRef<LayerRecord> records = builder.layers();
  std::vector<bool> needed(records.size());
  for (Tensor output : builder.outputs())
    needed[output.layer()] = true;
  for (size_t own = records.size(); own-- > 0;)
    for (Tensor input : records[own].inputs)
      if (needed[own])
        needed[input.layer()] = true;
  return needed;
}

static ImportedModel toImported(const Graph &graph, OnnxNetwork network) {
  ImportedModel model;
  model.name = toModelName(graph.name.empty() ? "model" : graph.name);
  model.format = formatv("ONNX, operator set {0}", graph.opset);
  if (!graph.producer.empty())
    model.format += ", by " + printable(graph.producer);
  ArrayRef<LayerRecord> records = network.builder->layers();
  const std::vector<std::string> names = namesOf(graph, *network.builder);
  const size_t inputs = graph.inputs.size();
  for (const LayerRecord &input : records.take_front(inputs))
    model.inputs.push_back(input.config);
  std::map<std::string, std::string> newNames; // of parameters
  const std::vector<bool> needed = neededLayers(*network.builder);
  size_t before = inputs - 1; // the layer that stands in front
  for (size_t own = inputs; own < records.size(); ++own) {
    const LayerRecord &record = records[own];
    if (!needed[own]) {
      for (const Parameter &parameter : record.parameters)
        llvm::erase_if(network.weights, [&](const ImportedWeight &weight) {
          return weight.name == parameter.name;
        });
      continue;
    }
    Config config = record.config;
    Value::List read;
    for (Tensor input : record.inputs)
      read.push_back(names[input.layer()]);
    const bool isChain = record.inputs.size() == 1 &&
                         record.inputs[0].layer() == before &&
                         (before >= inputs || inputs == 1);
    before = own;
    for (Argument &argument : config.args)
      if (argument.name == "name")
        argument.value = Value(names[own]);
      else if (argument.name == "inputs" && !isChain && !read.empty())
        argument.value = Value(read);
    for (const Parameter &parameter : record.parameters)
      newNames[parameter.name] =
          names[own] + parameter.name.substr(record.name.size());
    model.layers.push_back(std::move(config));
  }
  if (graph.outputs.size() > 1)
    for (Tensor output : network.builder->outputs())
      model.outputs.push_back(names[output.layer()]);
  model.weights = std::move(network.weights);
  for (ImportedWeight &weight : model.weights)
    if (auto name = newNames.find(weight.name); name != newNames.end())
      weight.name = name->second;
  return model;
}

/// Takes inputs away that no output depends on; warns of each.
static void dropUnusedInputs(Graph &graph, Diagnostics &diagnostics) {
  std::set<std::string> needed;
  for (const Port &output : graph.outputs)
    needed.insert(output.name);
  for (const Node &node : llvm::reverse(graph.nodes))
    if (llvm::any_of(node.outputs, [&](const std::string &output) {
          return needed.count(output);
        }))
      needed.insert(node.inputs.begin(), node.inputs.end());
  llvm::erase_if(graph.inputs, [&](const Port &input) {
    if (needed.count(input.name))
      return false;
    diagnostics.warning(SourceLoc(), "input '" + printable(input.name) +
                                         "' is left out: no output depends "
                                         "on it");
    return true;
  });
}

std::optional<ImportedModel>
sinter::frontend::readOnnx(const std::string &path, Diagnostics &diagnostics) {
  std::optional<Graph> graph = readGraph(path, diagnostics);
  if (!graph)
    return std::nullopt;
  fusePatterns(*graph);
  if (graph->name.empty())
    graph->name = llvm::sys::path::stem(path).str();
  dropUnusedInputs(*graph, diagnostics);
  if (graph->inputs.empty() || graph->outputs.empty()) {
    diagnostics.error(SourceLoc(),
                      formatv("expected a graph with an input that an output "
                              "depends on, got {0} inputs and {1} outputs",
                              graph->inputs.size(), graph->outputs.size()));
    return std::nullopt;
  }
  std::optional<OnnxNetwork> network = buildOnnx(*graph, diagnostics);
  if (!network)
    return std::nullopt;
  return toImported(*graph, std::move(*network));
}
