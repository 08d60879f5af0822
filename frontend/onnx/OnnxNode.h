// OnnxNode.h - one node of an ONNX graph on its way into layers: what its rules
// see.
//
// Problem: ONNX images are (N, C, H, W), Keras's and ours (N, H, W, C), and a
// graph moves freely between the two; the first axis may be the samples or not;
// constants may be weights, sizes or plain numbers.
// Idea: an Operand is a constant, or a layer's result together with the order
// of its axes. A rule asks for an operand in the order it wants, adds layers,
// and says in which order the result is; a permute layer appears only where the
// two differ. Axes are counted as ONNX counts them; `lead` is 1 where axis 0 is
// the samples, and 0 where a whole input is one sample.
#ifndef SINTER_FRONTEND_ONNX_ONNXNODE_H
#define SINTER_FRONTEND_ONNX_ONNXNODE_H

#include "frontend/ImportedModel.h"
#include "frontend/onnx/OnnxFile.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <memory>

namespace sinter::frontend::onnx {

/// Channels behind the axes of space, as Sinter has them, or as in the file.
enum class Order { AsInFile, ChannelsLast };

struct Operand {
  /// Set for constants; `tensor` for layers. Neither, nor `elements`: its maker
  /// was refused.
  std::shared_ptr<const Constant> constant;
  /// The initializer that it is, perhaps reshaped on the way; or "".
  std::string initializer;
  Tensor tensor;
  Order order = Order::AsInFile;
  /// Set for a sequence, whose length is known at import.
  std::shared_ptr<const std::vector<Operand>> elements;
  ElementType type = ElementType::Float; // in the file; f32 in the layers
  /// A sample without axes. The layer has one, of size 1.
  bool isScalar = false;
  /// The axis of the samples in the file, where there are any; the layer has
  /// them in front.
  int64_t batchAt = 0;

  bool isConstant() const { return constant != nullptr; }
  bool isSequence() const { return elements != nullptr; }
};

/// What is built while nodes are read.
struct Import {
  explicit Import(Diagnostics &diagnostics)
      : builder(std::make_unique<ModelBuilder>("onnx", diagnostics)),
        diagnostics(diagnostics) {
    builder->allowUnused();
  }

  const Graph *graph = nullptr;
  /// Axes before those of a sample: 1 or 0.
  int64_t lead = 1;
  /// The axis of the samples in the graph's inputs.
  int64_t inputBatchAt = 0;
  /// Where results of the node at hand have theirs.
  int64_t resultBatchAt = 0;
  /// The file's size of that axis, where it has one; Reshape nodes repeat it.
  int64_t fileBatch = kBatch;
  /// Infers shapes and checks arguments while the layers come in.
  std::unique_ptr<ModelBuilder> builder;
  std::vector<ImportedWeight> weights;
  /// How many elements the weights of further layers may have.
  size_t weightsLeft = 0;
  std::map<std::string, Operand> operands; // by the name of the value
  /// Who needs a value, of those that the output depends on.
  struct Readers {
    size_t count = 0; // the graph's outputs among them
    const Node *one = nullptr;
  };
  std::map<std::string, Readers> readers;
  std::vector<Offender> offenders;
  Diagnostics &diagnostics;

  /// A layer's name that is not used yet, from a name in the file.
  std::string freshName(llvm::StringRef wanted);
  /// Whether a layer has that name.
  bool isTaken(llvm::StringRef name) const;
  /// The operand's sizes in the file's order, with kBatch for the samples.
  Dims dimsOf(const Operand &operand) const;
  /// The result of the operand's layer in `order`.
  Tensor inOrder(const Operand &operand, Order order);

private:
  std::map<std::string, size_t> taken; // names, and how often
  std::map<std::pair<size_t, Order>, Tensor> reordered;
};

/// A weight of a layer: the parameter's name, its shape and the numbers.
struct LayerWeight {
  const char *parameter; // "kernel"
  Constant values;
};

class NodeReader {
public:
  NodeReader(Import &import, const Node &node) : import(import), node(node) {}

  // ---- Attributes; the default where the node has none
  bool has(llvm::StringRef attribute) const;
  int64_t integer(llvm::StringRef attribute, int64_t value) const;
  double number(llvm::StringRef attribute, double value) const;
  std::string text(llvm::StringRef attribute, llvm::StringRef value) const;
  std::vector<int64_t> integers(llvm::StringRef attribute,
                                std::vector<int64_t> value = {}) const;
  std::vector<double> numbers(llvm::StringRef attribute) const;
  std::vector<std::string> texts(llvm::StringRef attribute) const;

  // ---- Operands
  const std::string &op() const { return node.op; }
  int64_t opset() const { return import.graph->opset; }
  int64_t lead() const { return import.lead; }
  size_t numInputs() const { return node.inputs.size(); }
  size_t numResults() const { return node.outputs.size(); }
  /// Whether somebody reads result `index`.
  bool isUsed(size_t index) const;
  ElementType type(size_t index) const;
  /// Whether the operand is of an integer type or bool.
  bool isInteger(size_t index) const;
  /// The type that a Cast asks for; String for none that is known.
  ElementType castTo() const;
  /// The operands' type, if it is a narrow or unsigned one and results of this
  /// op may leave its range.
  std::optional<ElementType> wrapping() const;
  bool hasInput(size_t index) const;
  /// Only of inputs that are there.
  const Operand &input(size_t index) const;
  /// Null unless input `index` is there and a constant.
  const Constant *constant(size_t index) const;
  /// The constant of that name, if it is known already; else null.
  const Constant *constantCalled(const std::string &name) const;
  Dims dims(size_t index) const { return import.dimsOf(input(index)); }
  /// Axis 0 of the file's input, where it has a size; else kBatch.
  int64_t fileBatch() const { return import.fileBatch; }
  /// `axis` counted from the front, or nothing after a refusal.
  std::optional<int64_t> axisOf(int64_t axis, int64_t rank);
  /// A list that older operator sets have as an attribute, newer ones as an
  /// input; nothing if there is neither, or the input is not a constant.
  std::optional<std::vector<int64_t>> list(llvm::StringRef attribute,
                                           size_t input) const;

  // ---- Layers
  /// The result of a layer, which must be there.
  Tensor tensor(size_t index, Order order = Order::AsInFile);
  Tensor tensorOf(const Operand &operand, Order order = Order::AsInFile);
  Dims dimsOf(const Operand &operand) const { return import.dimsOf(operand); }
  /// Adds a layer, named after the node or after the weight's initializer. The
  /// config has no name and no inputs. Null after an error, which is reported.
  Tensor layer(Config config, llvm::ArrayRef<Tensor> inputs,
               std::vector<LayerWeight> weights = {},
               llvm::StringRef wantedName = "");
  /// The numbers as a layer `parameter`: a sample of as many axes as `rank`, in
  /// `order`. Trained if it is an initializer of more than one element.
  Tensor parameter(const Operand &operand, int64_t rank, Order order);
  /// Numbers of the rule's own, the same for every sample; never trained.
  Tensor frozen(Constant values);
  const Shape &shapeOf(Tensor tensor) const;
  /// A layer name for what has this initializer as its weight.
  std::string nameFrom(size_t weight) const;

  /// The node's result `index`.
  void result(Tensor tensor, Order order = Order::AsInFile, size_t index = 0);
  void result(Operand operand, size_t index = 0);
  /// The node's result `index`, whose samples are axis `batchAt` of the file's.
  void resultWithBatchAt(int64_t batchAt, Tensor tensor, size_t index);
  /// The node's result, a sample of which has no axes.
  void scalarResult(Tensor tensor);
  /// Puts another layer behind the first result.
  void rework(llvm::StringRef layer);
  /// Puts what `make` adds behind the first result in its place.
  void reworkWith(llvm::function_ref<Tensor(Tensor, Order)> make);
  /// Brings the first result back into the range of an integer type of at most
  /// 16 bits, as its arithmetic wraps around.
  void wrapInto(ElementType type);
  /// The one node that reads the result, if it is an `op`, and no output of the
  /// graph is in the way.
  const Node *onlyReader(llvm::StringRef op) const;
  /// Gives the result of `reader`, too: it has been taken into this layer.
  void absorb(const Node &reader, Tensor tensor, Order order);

  /// This node cannot be taken over.
  void refuse(std::string why, std::string hint = "");
  /// Whether somebody needs result number `index`.
  bool wantsResult(size_t index) const;
  /// Refuses a node that needs result number `index` or later.
  bool refuseResultsFrom(size_t index);

private:
  ElementType typeOfResult(size_t index) const;
  Tensor withInfinities(Constant values);

  Import &import;
  const Node &node;
};

struct OpRule {
  llvm::StringRef op;
  size_t operands; // that must be there
  void (*read)(NodeReader &node);
};

/// The rules of an op of the standard domain, in the order in which they are
/// tried.
std::vector<const OpRule *> findOpRules(llvm::StringRef op);
/// Why an op without rules has none, and what to do about it.
std::pair<std::string, std::string> whyUnsupported(llvm::StringRef op);

} // namespace sinter::frontend::onnx

#endif // SINTER_FRONTEND_ONNX_ONNXNODE_H
