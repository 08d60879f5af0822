// OnnxConstants.h - ops of an ONNX graph whose operands are all known.
//
// Problem: exporters write sizes as graphs: Shape, Gather, Unsqueeze, Concat,
// Reshape; weights pass a Transpose or a Slice on their way to the op that uses
// them. A compiler with static shapes has to see through all that.
// Idea: an op with constant operands is computed here, by ONNX's definition, on
// numbers in memory. The number of samples, which is not known, is kBatch in
// such constants: it can be picked, moved and compared, not computed with.
#ifndef SINTER_FRONTEND_ONNX_ONNXCONSTANTS_H
#define SINTER_FRONTEND_ONNX_ONNXCONSTANTS_H

#include "frontend/onnx/OnnxFile.h"

#include "llvm/ADT/ArrayRef.h"

namespace sinter::frontend::onnx {

/// How many elements may be read and made for all nodes of a graph together, so
/// that a small file cannot ask for much work or memory: 2^25, and 32 times
/// those in the file.
int64_t foldingBudget(const Graph &graph);

/// The first result of `node` on constants; null where an input is left out.
/// Further ones go to `others`. Nothing if the op is not among those that are
/// folded; what is wrong with it, if it is, goes to `wrong`. Takes from
/// `budget`, and refuses what exceeds it.
std::optional<Constant> foldNode(const Node &node, int64_t opset,
                                 llvm::ArrayRef<const Constant *> inputs,
                                 std::vector<Constant> &others, int64_t &budget,
                                 std::string &wrong);

/// Axes in another order: axis i of the result is axis `permutation[i]`.
Constant transposed(const Constant &x, llvm::ArrayRef<int64_t> permutation);

} // namespace sinter::frontend::onnx

#endif // SINTER_FRONTEND_ONNX_ONNXCONSTANTS_H
