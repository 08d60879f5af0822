// OnnxEmitter.h - what the rules of OnnxRules.h emit with.
//
// Problem: Sinter keeps channels last, ONNX's convolutions and pooling want
// them first, and a transposition around each of them would cost more than many
// layers do.
// Idea: each value knows in which of the two layouts it is there already. A
// rule asks for the layout that it needs, or takes what is at hand and says in
// which its result is; a layout that is missing is made once, where it is first
// asked for. So a chain of image layers is transposed at its ends alone. A
// flattened image keeps its channels first, too: a rule with weights puts these
// into the order of its input. A layer `parameter` is an initialiser; only who
// cannot broadcast it gets it repeated.
// Known weakness: layouts are settled in one sweep, layer by layer; a branch
// that is left early with channels last is not redone.
#ifndef SINTER_FRONTEND_ONNX_ONNXEMITTER_H
#define SINTER_FRONTEND_ONNX_ONNXEMITTER_H

#include "frontend/onnx/OnnxGraph.h"
#include "frontend/onnx/OnnxWriter.h"

#include <map>
#include <optional>

namespace sinter::frontend {

enum class Layout { Last, First };

/// A value in one layout. Samples of one dimension are in layout First when
/// they are an image flattened with its channels first; `image` is its shape,
/// channels last.
struct OnnxOperand {
  std::string name;
  Layout layout = Layout::Last;
  Shape image = {};
};

class OnnxEmitter {
public:
  using Attributes = std::vector<OnnxAttribute>;

  OnnxEmitter(OnnxGraph &graph, const ModelBuilder &model,
              const std::vector<const ImportedWeight *> &weights);

  /// Declares input layer number `input`, before all other layers. Rules see it
  /// multiplied by `scale`.
  void emitInput(size_t input, double scale);
  /// Starts a layer; its rule then calls the functions below.
  void beginLayer(size_t layer);
  /// Declares the model's outputs.
  void emitOutputs();

  /// What could not be written, a sentence each.
  llvm::ArrayRef<std::string> refusals() const { return refused; }

  const LayerRecord &layer() const { return *current; }
  const Config &config() const { return current->config; }

  // ---- The layer's inputs ----
  size_t numInputs() const { return current->inputs.size(); }
  const Shape &shape(size_t input = 0) const { return valueOf(input).shape; }
  /// In the layout at hand.
  OnnxOperand operand(size_t input = 0);
  std::string operand(size_t input, Layout layout);
  /// In any layout, for those who take its elements in row-major order.
  std::string elements(size_t input = 0);
  /// All inputs in one layout. With `broadcast`, parameters may come as a batch
  /// of one; one of the others has a whole one.
  std::vector<OnnxOperand> operands(bool broadcast = false);
  /// Whether all layers that read the current one are such, and there is one.
  bool areReaders(llvm::function_ref<bool(const LayerRecord &)> such) const;
  /// Whether it is there as int64.
  bool isInteger(size_t input) const;

  // ---- Its parameters ----
  const Parameter &parameter(size_t index) const {
    return current->parameters[index];
  }
  llvm::ArrayRef<float> values(size_t parameter) const;
  /// The initialiser with a parameter's name, as it is or in another shape.
  std::string weight(size_t parameter);
  std::string weight(size_t parameter, llvm::ArrayRef<int64_t> shape,
                     llvm::ArrayRef<float> values);

  // ---- What it becomes ----
  /// Initialisers "LAYER/name".
  std::string constant(llvm::StringRef name, double value);
  std::string constant(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                       llvm::ArrayRef<float> values);
  std::string integers(llvm::StringRef name, llvm::ArrayRef<int64_t> values);
  /// A node "LAYER/OP"; returns its result.
  std::string node(llvm::StringRef op, llvm::ArrayRef<std::string> operands,
                   const Attributes &attributes = {});
  /// The layer's result: what node() returned last, or an operand.
  void setResult(OnnxOperand result);
  /// The same for a node of several results; those that are not `wanted`, but
  /// for the last, are "".
  std::vector<std::string> node(llvm::StringRef op,
                                llvm::ArrayRef<std::string> operands,
                                const Attributes &attributes,
                                llvm::ArrayRef<bool> wanted);
  /// What layers `state` that read this one give, as setState() says.
  void setStates(std::vector<std::string> names);
  /// The result is state `number` of the layer that is read.
  void setState(size_t number);
  /// The layer has no form in ONNX; its result is then its input.
  void refuse(std::string why);
  /// Emits `record` in the layer's place, with its inputs and parameters.
  void emitAs(const LayerRecord &record);
  /// The result is the input itself.
  void passInput();
  /// The result is parameter 0, the same for every sample.
  void setParameter();

private:
  struct Value {
    std::string base; // what names of its layouts begin with
    Shape shape;
    Shape image; // of `first`, as OnnxOperand's
    std::string last, first;
    /// The layer whose parameter it is. Its layouts are then made where they
    /// are first asked for.
    std::optional<size_t> parameter = std::nullopt;
    /// The parameter as a batch of one.
    std::string oneLast = {}, oneFirst = {};
    size_t copies = 0; // of it that there are
  };

  bool isOutput(size_t layer) const;
  Value &valueOf(size_t input);
  const Value &valueOf(size_t input) const;
  /// Makes a layout that is missing.
  const std::string &inLayout(Value &value, Layout layout);
  /// A parameter as a batch of one, in the layout of `like`.
  std::string oneSample(Value &value, const OnnxOperand &like);
  /// A parameter as a batch like the others.
  void repeat(Value &value);
  std::string fresh(const std::string &wanted);
  std::string convert(const std::string &name, llvm::StringRef op,
                      const std::string &operand, const Shape &list);

  OnnxGraph &graph;
  const ModelBuilder &model;
  llvm::ArrayRef<const ImportedWeight *> weights; // as the parameters stand
  std::vector<size_t> firstWeight;                // of each layer
  /// Shape and checksum of each initialiser that is a whole parameter: calls of
  /// a shared layer have it once.
  std::map<std::string, std::pair<Shape, uint64_t>> written;
  std::vector<Value> results;
  std::vector<size_t> valueOfLayer;
  std::map<size_t, std::vector<std::string>> states; // of layers that have some
  size_t index = 0;                                  // of the current layer
  LayerRecord called; // it with its parameters, where it shares them
  const LayerRecord *current = nullptr;
  std::vector<std::string> taken;  // names within the layer
  std::string lastResult;          // of the graph's last node
  std::vector<bool> integerInputs; // which inputs are int64
  std::vector<std::string> refused;
};

/// Whether both layouts of a sample have its elements in the same order.
bool layoutsAgree(const Shape &sample);

/// `values` of shape `shape` with dimension order[i] as the i-th.
std::vector<float> permuted(llvm::ArrayRef<float> values, const Shape &shape,
                            llvm::ArrayRef<int64_t> order);

/// `values` with a row for each element of a sample, in the order in which
/// `operand` has these.
std::vector<float> inOrderOf(const OnnxOperand &operand,
                             llvm::ArrayRef<float> values);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_ONNX_ONNXEMITTER_H
