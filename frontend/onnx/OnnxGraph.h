// OnnxGraph.h - an ONNX model while it is put together.
//
// Problem: protobuf's generated headers are large, and clash with macros of
// others; who says which node a layer becomes need not see them.
// Idea: OnnxGraph.cpp alone includes them. Here values are names, and a node is
// an op's name with operands and attributes. The bytes depend on the calls and
// their order alone.
//
//   OnnxGraph graph("xor", "0.1.0");
//   graph.addInput("input", OnnxGraph::Float, {2});
//   graph.addConstant("out/kernel", {2, 1}, values);
//   graph.addNode("out", "MatMul", {"input", "out/kernel"}, {"out"}, {});
//   graph.addOutput("out", {1});
//
// Known weakness: the model is in memory twice while it is written.
#ifndef SINTER_FRONTEND_ONNX_ONNXGRAPH_H
#define SINTER_FRONTEND_ONNX_ONNXGRAPH_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace sinter::frontend {

/// An attribute of a node: an integer, a number, a text, or a list of one kind.
struct OnnxAttribute {
  llvm::StringRef name;
  std::variant<int64_t, float, llvm::StringRef, std::vector<int64_t>,
               std::vector<float>, std::vector<std::string>>
      value;
};

class OnnxGraph {
public:
  enum ElementType { Float, Int64 };

  /// Opset 17, IR version 8; `version` is the producer's.
  OnnxGraph(llvm::StringRef name, llvm::StringRef version);
  ~OnnxGraph();

  void setDescription(llvm::StringRef text);
  /// A batch of samples; its first dimension is the symbol N.
  void addInput(llvm::StringRef name, ElementType type,
                llvm::ArrayRef<int64_t> sample);
  void addOutput(llvm::StringRef name, llvm::ArrayRef<int64_t> sample);
  /// Initialisers; integers have one dimension.
  void addConstant(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                   llvm::ArrayRef<float> values);
  void addConstant(llvm::StringRef name, llvm::ArrayRef<int64_t> values);
  /// Operands have to be there already; "" is one left out, or a result that
  /// nobody wants.
  void addNode(llvm::StringRef name, llvm::StringRef op,
               llvm::ArrayRef<std::string> operands,
               llvm::ArrayRef<std::string> results,
               llvm::ArrayRef<OnnxAttribute> attributes,
               llvm::StringRef description = "");
  /// Another name for the result of the last node.
  void renameLastResult(llvm::StringRef name);

  /// The file's bytes, or "" if they are more than a file may have (2 GB).
  std::string serialize() const;

private:
  struct Model;
  std::unique_ptr<Model> model;
};

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_ONNX_ONNXGRAPH_H
