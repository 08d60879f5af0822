// OnnxFile.cpp - protobuf to OnnxFile.h. The only file that sees protobuf.
//
// Nothing in the file is believed: sizes are checked before memory is taken,
// the order of nodes and the uniqueness of names are checked here, so that a
// circle or a name without a value cannot reach the readers of ops.
#include "frontend/onnx/OnnxFile.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/FormatVariadic.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <onnx/onnx_pb.h>

#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::formatv;

static_assert(llvm::endianness::native == llvm::endianness::little,
              "raw_data is little-endian");

// ---- Small helpers ----------------------------------------------------------

std::string sinter::frontend::onnx::nameOf(ElementType type) {
  switch (type) {
  case ElementType::Float:
    return "float32";
  case ElementType::UInt8:
    return "uint8";
  case ElementType::Int8:
    return "int8";
  case ElementType::UInt16:
    return "uint16";
  case ElementType::Int16:
    return "int16";
  case ElementType::Int32:
    return "int32";
  case ElementType::Int64:
    return "int64";
  case ElementType::String:
    return "string";
  case ElementType::Bool:
    return "bool";
  case ElementType::Float16:
    return "float16";
  case ElementType::Double:
    return "float64";
  case ElementType::UInt32:
    return "uint32";
  case ElementType::UInt64:
    return "uint64";
  case ElementType::BFloat16:
    return "bfloat16";
  }
  return "type " + std::to_string(static_cast<int>(type));
}

bool sinter::frontend::onnx::isFloating(ElementType type) {
  return type == ElementType::Float || type == ElementType::Float16 ||
         type == ElementType::Double || type == ElementType::BFloat16;
}

std::optional<ElementType>
sinter::frontend::onnx::typeCalled(llvm::StringRef name) {
  ::onnx::TensorProto::DataType type;
  if (!::onnx::TensorProto::DataType_Parse(name.str(), &type))
    return std::nullopt;
  return static_cast<ElementType>(type);
}

Constant Constant::ofIntegers(std::vector<int64_t> values) {
  Constant result;
  result.type = ElementType::Int64;
  result.dims = {static_cast<int64_t>(values.size())};
  result.values = std::move(values);
  return result;
}

std::string Node::describe() const {
  if (!name.empty())
    return "node '" + printable(name) + "' (" + printable(op) + ")";
  std::string made = outputs.empty() ? "" : outputs.front();
  return "the node that makes '" + printable(made) + "' (" + printable(op) +
         ")";
}

std::optional<int64_t> sinter::frontend::onnx::countElements(const Dims &dims) {
  const int64_t most = 2147483647;
  int64_t count = 1;
  bool empty = false;
  for (int64_t size : dims) {
    if (size < 0)
      return std::nullopt;
    empty |= size == 0;
    if (size > 0 && size > most / count)
      return std::nullopt;
    if (size > 0)
      count *= size;
  }
  return empty ? 0 : count;
}

Dims sinter::frontend::onnx::stridesOf(const Dims &dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;)
    strides[i - 1] = strides[i] * dims[i];
  return strides;
}

std::vector<int64_t> sinter::frontend::onnx::counting(int64_t begin,
                                                      int64_t end) {
  std::vector<int64_t> numbers;
  for (int64_t number = begin; number < end; ++number)
    numbers.push_back(number);
  return numbers;
}

std::vector<int64_t> sinter::frontend::onnx::reversedAxes(size_t rank) {
  std::vector<int64_t> axes = counting(0, static_cast<int64_t>(rank));
  std::reverse(axes.begin(), axes.end());
  return axes;
}

std::string sinter::frontend::onnx::dimsToText(const Dims &dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) {
    text += i ? ", " : "";
    text += dims[i] == kBatch ? "N"
            : dims[i] < 0     ? "?"
                              : std::to_string(dims[i]);
  }
  return text + "]";
}

// ---- Tensors ----------------------------------------------------------------

namespace {

class Reader {
public:
  explicit Reader(Diagnostics &diagnostics) : diagnostics(diagnostics) {}

  std::optional<Graph> readBody(const ::onnx::GraphProto &proto);
  std::optional<Graph> read(const ::onnx::ModelProto &model);
  bool readTensor(const ::onnx::TensorProto &proto, const std::string &what,
                  Constant &result);

private:
  void error(std::string message) {
    diagnostics.error(SourceLoc(), std::move(message));
  }
  void readOpset(const ::onnx::ModelProto &model);
  Attribute readAttribute(const ::onnx::AttributeProto &proto,
                          const std::string &what);
  void readInitializers(const ::onnx::GraphProto &proto);
  void readPorts(const ::onnx::GraphProto &proto);
  std::optional<Port> readPort(const ::onnx::ValueInfoProto &proto);
  void readNodes(const ::onnx::GraphProto &proto);
  void checkOrder();

  Diagnostics &diagnostics;
  Graph graph;
};

float halfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent == 0) // a multiple of 2^-24
    return (sign ? -1.0f : 1.0f) * static_cast<float>(fraction) *
           5.9604644775390625e-8f;
  const uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return llvm::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

float bfloatToFloat(uint16_t bits) {
  return llvm::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// The elements of `raw` as T, each through `convert`.
template <typename T, typename Out, typename Convert>
std::vector<Out> unpack(const std::string &raw, Convert convert) {
  std::vector<Out> result(raw.size() / sizeof(T));
  for (size_t i = 0; i < result.size(); ++i) {
    T element;
    std::memcpy(&element, raw.data() + i * sizeof(T), sizeof(T));
    result[i] = convert(element);
  }
  return result;
}

/// Bytes of an element in raw_data; 0: a type that has none.
size_t bytesOf(ElementType type) {
  switch (type) {
  case ElementType::Bool:
  case ElementType::UInt8:
  case ElementType::Int8:
    return 1;
  case ElementType::UInt16:
  case ElementType::Int16:
  case ElementType::Float16:
  case ElementType::BFloat16:
    return 2;
  case ElementType::Float:
  case ElementType::Int32:
  case ElementType::UInt32:
    return 4;
  case ElementType::Int64:
  case ElementType::UInt64:
  case ElementType::Double:
    return 8;
  case ElementType::String:
    return 0;
  }
  return 0;
}

void unpackRaw(const std::string &raw, Constant &result) {
  auto integer = [](auto x) { return static_cast<int64_t>(x); };
  auto floating = [](auto x) { return static_cast<float>(x); };
  switch (result.type) {
  case ElementType::Float:
    result.values = unpack<float, float>(raw, floating);
    break;
  case ElementType::Double:
    result.values = unpack<double, float>(raw, floating);
    break;
  case ElementType::Float16:
    result.values = unpack<uint16_t, float>(raw, halfToFloat);
    break;
  case ElementType::BFloat16:
    result.values = unpack<uint16_t, float>(raw, bfloatToFloat);
    break;
  case ElementType::Int8:
    result.values = unpack<int8_t, int64_t>(raw, integer);
    break;
  case ElementType::Bool:
    result.values =
        unpack<uint8_t, int64_t>(raw, [](uint8_t x) { return x != 0; });
    break;
  case ElementType::UInt8:
    result.values = unpack<uint8_t, int64_t>(raw, integer);
    break;
  case ElementType::Int16:
    result.values = unpack<int16_t, int64_t>(raw, integer);
    break;
  case ElementType::UInt16:
    result.values = unpack<uint16_t, int64_t>(raw, integer);
    break;
  case ElementType::Int32:
    result.values = unpack<int32_t, int64_t>(raw, integer);
    break;
  case ElementType::UInt32:
    result.values = unpack<uint32_t, int64_t>(raw, integer);
    break;
  case ElementType::Int64:
    result.values = unpack<int64_t, int64_t>(raw, integer);
    break;
  case ElementType::UInt64:
    result.values = unpack<uint64_t, int64_t>(raw, integer);
    break;
  case ElementType::String:
    break; // has no raw_data; refused before
  }
}

/// The typed field that holds a type's elements, as ONNX's onnx.proto says.
void unpackField(const ::onnx::TensorProto &proto, Constant &result) {
  auto integers = [&](const auto &field) {
    result.values = std::vector<int64_t>(field.begin(), field.end());
  };
  switch (result.type) {
  case ElementType::Float:
    result.values = std::vector<float>(proto.float_data().begin(),
                                       proto.float_data().end());
    break;
  case ElementType::Double:
    result.values = std::vector<float>(proto.double_data().begin(),
                                       proto.double_data().end());
    break;
  case ElementType::Float16:
  case ElementType::BFloat16: {
    std::vector<float> values;
    for (int32_t bits : proto.int32_data())
      values.push_back(result.type == ElementType::Float16
                           ? halfToFloat(static_cast<uint16_t>(bits))
                           : bfloatToFloat(static_cast<uint16_t>(bits)));
    result.values = std::move(values);
    break;
  }
  case ElementType::Int64:
    integers(proto.int64_data());
    break;
  case ElementType::UInt32:
  case ElementType::UInt64:
    integers(proto.uint64_data());
    break;
  default:
    integers(proto.int32_data());
  }
}

} // namespace

bool Reader::readTensor(const ::onnx::TensorProto &proto,
                        const std::string &what, Constant &result) {
  result.type = static_cast<ElementType>(proto.data_type());
  result.dims.assign(proto.dims().begin(), proto.dims().end());
  if (proto.data_location() == ::onnx::TensorProto::EXTERNAL) {
    error(what + " lies in another file (external data); save the model as "
                 "one file");
    return false;
  }
  const size_t bytes = bytesOf(result.type);
  if (bytes == 0) {
    error(what + ": expected numbers, got elements of " + nameOf(result.type));
    return false;
  }
  if (result.dims.size() > kMostAxes) {
    error(formatv("{0}: expected at most {1} axes, got {2}", what, kMostAxes,
                  result.dims.size()));
    return false;
  }
  std::optional<int64_t> count = countElements(result.dims);
  if (!count) {
    error(what + ": expected less than 2^31 elements, got dims " +
          dimsToText(result.dims));
    return false;
  }
  // Compared before anything is allocated.
  if (proto.has_raw_data()) {
    if (proto.raw_data().size() != static_cast<size_t>(*count) * bytes) {
      error(formatv("{0}: expected {1} bytes of data for {2} {3}, got {4}",
                    what, static_cast<size_t>(*count) * bytes,
                    nameOf(result.type), dimsToText(result.dims),
                    proto.raw_data().size()));
      return false;
    }
    unpackRaw(proto.raw_data(), result);
    return true;
  }
  unpackField(proto, result);
  if (result.size() != static_cast<size_t>(*count)) {
    error(formatv("{0}: expected {1} elements for dims {2}, got {3}", what,
                  *count, dimsToText(result.dims), result.size()));
    return false;
  }
  return true;
}

// ---- The graph --------------------------------------------------------------

Attribute Reader::readAttribute(const ::onnx::AttributeProto &proto,
                                const std::string &what) {
  Attribute result;
  using Proto = ::onnx::AttributeProto;
  switch (proto.type()) {
  case Proto::FLOAT:
    result.kind = Attribute::Kind::Float;
    result.number = proto.f();
    break;
  case Proto::INT:
    result.kind = Attribute::Kind::Int;
    result.integer = proto.i();
    break;
  case Proto::STRING:
    result.kind = Attribute::Kind::Text;
    result.text = proto.s();
    break;
  case Proto::TENSOR:
    if (readTensor(proto.t(),
                   what + ", attribute '" + printable(proto.name()) + "'",
                   result.tensor))
      result.kind = Attribute::Kind::Tensor;
    break;
  case Proto::FLOATS:
    result.kind = Attribute::Kind::Floats;
    result.numbers.assign(proto.floats().begin(), proto.floats().end());
    break;
  case Proto::INTS:
    result.kind = Attribute::Kind::Ints;
    result.integers.assign(proto.ints().begin(), proto.ints().end());
    break;
  case Proto::STRINGS:
    result.kind = Attribute::Kind::Texts;
    result.texts.assign(proto.strings().begin(), proto.strings().end());
    break;
  case Proto::GRAPH: {
    // What is wrong with it is told when its node is refused by name.
    Diagnostics own(diagnostics.fileName().str());
    if (std::optional<Graph> body = Reader(own).readBody(proto.g()))
      result.body = std::make_shared<const Graph>(std::move(*body));
    break;
  }
  default:
    break; // lists of graphs and the like: ops that need them are refused
  }
  return result;
}

void Reader::readOpset(const ::onnx::ModelProto &model) {
  const int64_t oldest = 1, newest = 22;
  std::string other;
  for (const ::onnx::OperatorSetIdProto &set : model.opset_import())
    if (set.domain().empty() || set.domain() == "ai.onnx")
      graph.opset = set.version();
    else
      other = set.domain();
  if (graph.opset == 0 && !other.empty())
    error("expected ops of the standard domain, got a model of '" +
          printable(other) + "' alone, whose ops are not supported");
  else if (graph.opset < oldest || graph.opset > newest)
    error(formatv("expected a model of operator set {0} to {1}, got {2}; "
                  "onnx.version_converter can convert it",
                  oldest, newest, graph.opset));
}

void Reader::readInitializers(const ::onnx::GraphProto &proto) {
  for (const ::onnx::TensorProto &tensor : proto.initializer()) {
    const std::string what = "initializer '" + printable(tensor.name()) + "'";
    if (tensor.name().empty())
      error("expected every initializer to have a name, got one without");
    Constant constant;
    if (readTensor(tensor, what, constant) &&
        !graph.initializers.try_emplace(tensor.name(), std::move(constant))
             .second)
      error(what + " is defined twice");
  }
  for (const ::onnx::SparseTensorProto &tensor : proto.sparse_initializer())
    error("initializer '" + printable(tensor.values().name()) +
          "' is sparse, which is not supported; store it dense");
}

std::optional<Port> Reader::readPort(const ::onnx::ValueInfoProto &proto) {
  Port port;
  port.name = proto.name();
  const std::string what = "'" + printable(port.name) + "'";
  if (!proto.type().has_tensor_type()) {
    error("expected " + what +
          " to be a tensor, got a sequence, a map or "
          "nothing");
    return std::nullopt;
  }
  const auto &type = proto.type().tensor_type();
  port.type = static_cast<ElementType>(type.elem_type());
  if (!type.has_shape())
    return port;
  if (static_cast<size_t>(type.shape().dim_size()) > kMostAxes) {
    error(formatv("{0}: expected at most {1} axes, got {2}", what, kMostAxes,
                  type.shape().dim_size()));
    return std::nullopt;
  }
  port.dims.emplace();
  for (const auto &dim : type.shape().dim()) {
    const bool first = port.dims->empty();
    int64_t size = dim.has_dim_value() ? dim.dim_value() : -1;
    // -1 and 0 stand for "any" in files of some exporters.
    port.dims->push_back(size > 0 ? size : first ? kBatch : -1);
  }
  return port;
}

void Reader::readPorts(const ::onnx::GraphProto &proto) {
  for (const ::onnx::ValueInfoProto &input : proto.input())
    if (!graph.initializers.count(input.name()))
      if (std::optional<Port> port = readPort(input))
        graph.inputs.push_back(std::move(*port));
  for (const ::onnx::ValueInfoProto &output : proto.output())
    if (std::optional<Port> port = readPort(output))
      graph.outputs.push_back(std::move(*port));
  if (graph.outputs.empty())
    error("expected a graph with an output, got none");
}

void Reader::readNodes(const ::onnx::GraphProto &proto) {
  for (const ::onnx::NodeProto &node : proto.node()) {
    Node result;
    result.op = node.op_type();
    result.name = node.name();
    result.domain = node.domain() == "ai.onnx" ? "" : node.domain();
    result.inputs.assign(node.input().begin(), node.input().end());
    result.outputs.assign(node.output().begin(), node.output().end());
    for (const ::onnx::AttributeProto &attribute : node.attribute())
      if (!result.attributes
               .try_emplace(attribute.name(),
                            readAttribute(attribute, result.describe()))
               .second)
        error(result.describe() + " has attribute '" +
              printable(attribute.name()) + "' twice");
    graph.nodes.push_back(std::move(result));
  }
}

/// Every name is defined once, and before it is used: ONNX demands it, and it
/// rules out circles.
void Reader::checkOrder() {
  llvm::StringSet<> defined;
  auto define = [&](const std::string &name, const std::string &who) {
    if (!name.empty() && !defined.insert(name).second)
      error("'" + printable(name) + "' is defined twice, the second time by " +
            who);
  };
  for (const auto &[name, constant] : graph.initializers)
    defined.insert(name);
  for (const Port &input : graph.inputs)
    define(input.name, "an input of the graph");
  llvm::StringSet<> made;
  for (const Node &node : graph.nodes)
    for (const std::string &output : node.outputs)
      made.insert(output);
  for (const Node &node : graph.nodes) {
    for (const std::string &input : node.inputs)
      if (!input.empty() && !defined.count(input))
        error(node.describe() + " reads '" + printable(input) + "', which " +
              (made.count(input) ? "a later node makes; nodes must stand in "
                                   "the order in which data flows"
                                 : "nothing defines"));
    for (const std::string &output : node.outputs)
      define(output, node.describe());
  }
  for (const Port &output : graph.outputs)
    if (!defined.count(output.name))
      error("nothing defines the output '" + printable(output.name) + "'");
}

std::optional<Graph> Reader::readBody(const ::onnx::GraphProto &proto) {
  readInitializers(proto);
  readPorts(proto);
  readNodes(proto);
  if (diagnostics.hasErrors())
    return std::nullopt;
  return std::move(graph);
}

std::optional<Graph> Reader::read(const ::onnx::ModelProto &model) {
  if (!model.has_graph()) {
    error("expected an ONNX model, got a file without a graph");
    return std::nullopt;
  }
  const ::onnx::GraphProto &proto = model.graph();
  graph.name = proto.name();
  graph.producer = model.producer_name();
  readOpset(model);
  readInitializers(proto);
  readPorts(proto);
  readNodes(proto);
  checkOrder();
  if (diagnostics.hasErrors())
    return std::nullopt;
  return std::move(graph);
}

/// Reads a message of protobuf; reports what is wrong with the file.
static bool parseFile(const std::string &path, const char *expected,
                      google::protobuf::Message &message,
                      Diagnostics &diagnostics) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    diagnostics.error(SourceLoc(), file < 0 ? std::string("cannot open it: ") +
                                                  std::strerror(errno)
                                            : "expected a file");
    if (file >= 0)
      close(file);
    return false;
  }
  bool parsed;
  {
    google::protobuf::io::FileInputStream stream(file);
    google::protobuf::io::CodedInputStream coded(&stream);
    parsed =
        message.ParseFromCodedStream(&coded) && coded.ConsumedEntireMessage();
  }
  close(file);
  if (!parsed)
    diagnostics.error(SourceLoc(), std::string("expected ") + expected +
                                       " (a protobuf message), got a file "
                                       "that is damaged, cut off or of another "
                                       "kind");
  return parsed;
}

std::optional<Graph>
sinter::frontend::onnx::readGraph(const std::string &path,
                                  Diagnostics &diagnostics) {
  ::onnx::ModelProto model;
  if (!parseFile(path, "an ONNX model", model, diagnostics))
    return std::nullopt;
  return Reader(diagnostics).read(model);
}

std::optional<Constant>
sinter::frontend::onnx::readTensorFile(const std::string &path,
                                       Diagnostics &diagnostics) {
  ::onnx::TensorProto proto;
  Constant tensor;
  if (!parseFile(path, "an ONNX tensor", proto, diagnostics) ||
      !Reader(diagnostics).readTensor(proto, "the tensor", tensor))
    return std::nullopt;
  return tensor;
}
