// OnnxFile.h - an ONNX file in memory, checked, without protobuf.
//
// Problem: a protobuf message says little about itself. A tensor's numbers may
// lie in one of six fields, names may be used twice or never defined, sizes may
// disagree with dims, and a damaged file may hold anything.
// Idea: one reader (OnnxFile.cpp, the only file that sees protobuf) turns the
// message into these plain structs and refuses what does not hold together.
// Whoever gets a Graph may rely on this: nodes stand in the order in which data
// flows, every name is defined once and before its use, and every constant has
// as many elements as its dims say.
//
// What ops mean: https://onnx.ai/onnx/operators. Element types keep ONNX's
// numbers (TensorProto.DataType).
#ifndef SINTER_FRONTEND_ONNX_ONNXFILE_H
#define SINTER_FRONTEND_ONNX_ONNXFILE_H

#include "frontend/Diagnostics.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sinter::frontend::onnx {

using Dims = std::vector<int64_t>;

/// Stands for the number of samples in Dims and in constants made of them.
/// Far from any size, and from what adding a few to a size gives.
inline constexpr int64_t kBatch = -(int64_t(1) << 40);
/// Of a tensor. Work on an element grows with them.
inline constexpr size_t kMostAxes = 64;

/// ONNX's numbers of the element types that Sinter knows something about.
enum class ElementType {
  Float = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Double = 11,
  UInt32 = 12,
  UInt64 = 13,
  BFloat16 = 16,
};

/// "float32", "int64", ... or "type 77".
std::string nameOf(ElementType type);
bool isFloating(ElementType type);
/// The type of that name in capitals, as operator sets before 6 write it.
std::optional<ElementType> typeCalled(llvm::StringRef name);

/// A constant. Numbers of every floating type are kept as float, those of every
/// integer type and bool as int64.
struct Constant {
  ElementType type = ElementType::Float;
  Dims dims;
  std::variant<std::vector<float>, std::vector<int64_t>> values;

  bool isFloat() const { return values.index() == 0; }
  const std::vector<float> &floats() const { return std::get<0>(values); }
  const std::vector<int64_t> &integers() const { return std::get<1>(values); }
  size_t size() const {
    return isFloat() ? floats().size() : integers().size();
  }
  /// Element `index` as a number of either kind.
  double number(size_t index) const {
    return isFloat() ? floats()[index] : static_cast<double>(integers()[index]);
  }

  static Constant ofIntegers(std::vector<int64_t> values);
};

struct Graph;

struct Attribute {
  enum class Kind { Float, Int, Text, Tensor, Floats, Ints, Texts, Other };
  Kind kind = Kind::Other;
  double number = 0;
  int64_t integer = 0;
  std::string text;
  Constant tensor;
  std::vector<double> numbers;
  std::vector<int64_t> integers;
  std::vector<std::string> texts;
  /// A graph of If, Loop or Scan, if it could be read; it may use what is
  /// defined outside of it.
  std::shared_ptr<const Graph> body;
};

struct Node {
  std::string op, name, domain;
  std::vector<std::string> inputs, outputs; // "": left out
  std::map<std::string, Attribute> attributes;

  /// "node 'conv1' (Conv)", or "the node that makes '17' (Conv)".
  std::string describe() const;
};

/// An input or output of the graph. A size that is not known is kBatch in the
/// first place of `dims` and -1 elsewhere.
struct Port {
  std::string name;
  ElementType type = ElementType::Float;
  std::optional<Dims> dims; // nothing: not even the rank is known
};

struct Graph {
  std::string name, producer;
  int64_t opset = 0;                 // of the standard domain
  std::vector<Port> inputs, outputs; // inputs without those that have a value
  std::map<std::string, Constant> initializers;
  std::vector<Node> nodes;
};

/// How many elements, or nothing if a size is negative or they are 2^31 or
/// more.
std::optional<int64_t> countElements(const Dims &dims);
/// How far apart neighbours along each axis are, in elements; rows first.
Dims stridesOf(const Dims &dims);

/// begin, begin + 1, ..., end - 1
std::vector<int64_t> counting(int64_t begin, int64_t end);
/// rank - 1, ..., 1, 0: the default of Transpose.
std::vector<int64_t> reversedAxes(size_t rank);

/// "[1, 28, 28]", "[N, 10]".
std::string dimsToText(const Dims &dims);

/// Reads the file at `path`. Reports what is wrong, all of it where possible.
std::optional<Graph> readGraph(const std::string &path,
                               Diagnostics &diagnostics);

/// Reads a file that holds one tensor (a TensorProto), as ONNX's test data do.
std::optional<Constant> readTensorFile(const std::string &path,
                                       Diagnostics &diagnostics);

} // namespace sinter::frontend::onnx

#endif // SINTER_FRONTEND_ONNX_ONNXFILE_H
