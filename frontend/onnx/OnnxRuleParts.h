// OnnxRuleParts.h - what the rules of ONNX ops share, and their tables.
#ifndef SINTER_FRONTEND_ONNX_ONNXRULEPARTS_H
#define SINTER_FRONTEND_ONNX_ONNXRULEPARTS_H

#include "frontend/Layers.h"
#include "frontend/onnx/OnnxNode.h"

namespace sinter::frontend::onnx {

inline Value toList(llvm::ArrayRef<int64_t> numbers) {
  return Value(Value::List(numbers.begin(), numbers.end()));
}
inline int64_t rankOf(const Dims &dims) {
  return static_cast<int64_t>(dims.size());
}
/// Sizes of a sample: without the batch, if there is one.
inline Shape sampleOf(const NodeReader &n, const Dims &dims) {
  return Shape(dims.begin() + n.lead(), dims.end());
}

/// [[top, bottom], [left, right]] from the sides of one or two axes.
Value toSides(llvm::ArrayRef<int64_t> low, llvm::ArrayRef<int64_t> high);
/// A number for one axis, a list for several.
Value toSize(llvm::ArrayRef<int64_t> numbers);
bool isOne(int64_t number);
/// "max_pooling" with "1d", "2d" or "3d".
std::string ranked(llvm::StringRef layer, size_t axes);
/// Of an element and a place that are compared where indices are computed: the
/// tensor of all of them is in memory.
inline constexpr int64_t kMostPairs = int64_t(1) << 24;
/// The order of a result of images or sequences.
inline constexpr Order kImages = Order::ChannelsLast;

/// A floating constant, or nothing after a refusal.
const Constant *weight(NodeReader &n, size_t input, llvm::StringRef what);
/// A vector of `size` elements, or nothing after a refusal.
const Constant *vectorWeight(NodeReader &n, size_t input, llvm::StringRef what,
                             int64_t size);
Constant asVector(const Constant &x);
/// The vector that an Add right behind adds to the last axis, or to the
/// channels of an image; it becomes the layer's bias.
std::optional<Constant> biasBehind(NodeReader &n, const Node *&add,
                                   int64_t units, int64_t spaceAxes);
/// The result is the operand.
void passOn(NodeReader &n);

/// The operand's only element, if it is a constant of one.
std::optional<double> scalar(const NodeReader &n, size_t input);
/// The order in which the operand is at hand, without a permute layer.
Order orderOf(const NodeReader &n, size_t input);
/// A number that all elements are compared or computed with.
Tensor numberLike(NodeReader &n, double number, Tensor like);
/// A layer of two operands.
Tensor both(NodeReader &n, llvm::StringRef layer, Tensor a, Tensor b);
/// The sum over an axis of a sample, which goes.
Tensor sumOver(NodeReader &n, Tensor x, int64_t axis);
/// `values` as a tensor of `rank` axes, all but `axis` of size 1.
Tensor vectorAlong(NodeReader &n, std::vector<float> values, int64_t rank,
                   int64_t axis);
/// 0, 1, 2, ..., size - 1 along `axis`.
Tensor rangeAlong(NodeReader &n, int64_t size, int64_t rank, int64_t axis);
/// The elements of `x` in another shape; an empty one stands for one element.
Tensor reshaped(NodeReader &n, Tensor x, Shape shape);
/// `x` as the node's result, of ONNX's sizes `sample`.
void resultOf(NodeReader &n, Tensor x, const Shape &sample);
/// Axes in another order, counted from 0.
Tensor permuted(NodeReader &n, Tensor x, llvm::ArrayRef<int64_t> order);
/// The part of the operand that begins at `starts`, one index an axis of a
/// sample.
Tensor sliced(NodeReader &n, Tensor x, const std::vector<int64_t> &starts,
              const std::vector<int64_t> &shape);
/// Positions along an axis of a sample: each an index of `x`, or -1 for `fill`.
/// Made of slices; refuses more than 64 of them.
Tensor pickedAlong(NodeReader &n, Tensor x, int64_t axis,
                   llvm::ArrayRef<int64_t> indices, double fill = 0);
/// The operand, a constant or not, with sizes of 1 in front up to `rank` axes
/// of a sample.
Tensor widened(NodeReader &n, size_t input, int64_t rank);

llvm::ArrayRef<OpRule> layerOpRules(); // tried first: OnnxLayerOps.cpp
llvm::ArrayRef<OpRule> elementwiseRules();
llvm::ArrayRef<OpRule> reductionRules();
llvm::ArrayRef<OpRule> windowRules();
llvm::ArrayRef<OpRule> poolingRules();
llvm::ArrayRef<OpRule> quantizedRules();
llvm::ArrayRef<OpRule> signalRules();
llvm::ArrayRef<OpRule> samplingRules();
llvm::ArrayRef<OpRule> orderRules();
llvm::ArrayRef<OpRule> sequenceRules();
llvm::ArrayRef<OpRule> shapeRules();
llvm::ArrayRef<OpRule> weightRules();
llvm::ArrayRef<OpRule> indexRules();
llvm::ArrayRef<OpRule> statisticsRules();
llvm::ArrayRef<OpRule> resizeRules();
llvm::ArrayRef<OpRule> productRules();
llvm::ArrayRef<OpRule> recurrentRules();

/// Ops that take samples along their second axis.
bool isRecurrentOp(llvm::StringRef op);

/// A node whose operands have their samples along axis `at`, as it is when they
/// come first.
struct BatchFirst {
  Node node;
  int64_t resultAt; // where the result has its samples then, in the file
};
/// Nothing if the node is not known to treat them alike. `n` is the node as it
/// stands.
std::optional<BatchFirst> withBatchFirst(const NodeReader &n, const Node &node,
                                         int64_t at);

void readConstantGather(NodeReader &n);
/// Where no operand is a matrix of weights.
void readComputedMatMul(NodeReader &n);
void readComputedGemm(NodeReader &n);

} // namespace sinter::frontend::onnx

#endif // SINTER_FRONTEND_ONNX_ONNXRULEPARTS_H
