// OnnxWriter.h - a model and its weights as an ONNX file.
#ifndef SINTER_FRONTEND_ONNX_ONNXWRITER_H
#define SINTER_FRONTEND_ONNX_ONNXWRITER_H

#include "frontend/ModelBuilder.h"
#include "frontend/Weights.h"

namespace sinter::frontend {

struct OnnxOptions {
  /// The input comes multiplied by `input.scale` already. Otherwise the model
  /// multiplies, and takes what a trainer's `predict` takes.
  bool scaledInput = false;
  std::string version = {}; // of Sinter, for the file
};

/// The bytes of an ONNX model (opset 17, IR version 8) that computes what
/// `predict` does. Inputs and outputs are called and shaped as the spec's
/// inputs and the layers that are outputs, samples (height, width, channels),
/// with a symbolic batch N before them; numbers are f32, but an input that only
/// embeddings read is int64. Inside, images lie as ONNX's convolutions want
/// them, (channels, height, width), and weights are stored to fit. Nodes and
/// initialisers are called after their layers and states: "hidden/kernel".
///
/// `model` has passed its check(). `weights` may stand in any order. Reports a
/// state without weights, weights of another shape, and more bytes than a file
/// of ONNX may have (2^31 - 1); then there is no result.
std::optional<std::string> writeOnnx(const ModelBuilder &model,
                                     llvm::ArrayRef<ImportedWeight> weights,
                                     const OnnxOptions &options,
                                     Diagnostics &diagnostics);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_ONNX_ONNXWRITER_H
