// OnnxRules.h - what each layer and activation is in ONNX's ops.
//
// One small rule for each layer of the catalog, in one table; a test holds the
// two against each other.
#ifndef SINTER_FRONTEND_ONNX_ONNXRULES_H
#define SINTER_FRONTEND_ONNX_ONNXRULES_H

#include "frontend/onnx/OnnxEmitter.h"

namespace sinter::frontend {

struct OnnxRule {
  llvm::StringRef name; // as in the catalog
  /// Ends with the emitter's setResult() or passInput().
  void (*emit)(OnnxEmitter &e);
};

/// Null for the input, and for a layer without a rule.
const OnnxRule *findOnnxRule(llvm::StringRef layer);
bool hasOnnxActivation(llvm::StringRef activation);

// What the rules share.

/// Convolutions, pooling, and what else works on images and sequences.
llvm::ArrayRef<OnnxRule> onnxImageRules();
/// Products of two layers' results, and the layers that attend.
llvm::ArrayRef<OnnxRule> onnxAttentionRules();
/// Functions of keras.ops.
llvm::ArrayRef<OnnxRule> onnxOperationRules();
/// lstm, gru, ..., and what wraps them.
llvm::ArrayRef<OnnxRule> onnxRecurrentRules();
/// Sets the layer's result to its `activation` of `x`.
void finishOnnx(OnnxEmitter &e, OnnxOperand x);
/// Dimension `axis` of a sample, counted from 0, in the batch that has it.
int64_t axisIn(Layout layout, size_t sampleRank, size_t axis);
std::string flattened(OnnxEmitter &e, const std::string &x);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_ONNX_ONNXRULES_H
