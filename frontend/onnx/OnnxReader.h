// OnnxReader.h - ONNX models, operator sets 1 to 22.
#ifndef SINTER_FRONTEND_ONNX_ONNXREADER_H
#define SINTER_FRONTEND_ONNX_ONNXREADER_H

#include "frontend/ImportedModel.h"
#include "frontend/onnx/OnnxFile.h"

namespace sinter::frontend {

/// A graph as layers.
struct OnnxNetwork {
  std::unique_ptr<Diagnostics> reports; // of the builder
  std::unique_ptr<ModelBuilder> builder;
  std::vector<ImportedWeight> weights;
  /// Whether axis 0 of inputs and outputs is the batch; else a whole input is
  /// one sample.
  bool hasBatch;
  /// Which axis of inputs and of each output that is in the file; behind this
  /// border it comes first.
  int64_t inputBatchAt = 0;
  std::vector<int64_t> outputBatchAt = {};
};

/// Turns the graph into layers. Reports what cannot be taken over, every node
/// by name.
std::optional<OnnxNetwork> buildOnnx(const onnx::Graph &graph,
                                     Diagnostics &diagnostics);

/// Reads an ONNX file into layers of the catalog. The first axis of the input
/// is the batch, whatever size the file gives it, or the second, as recurrent
/// networks have it; a graph that mixes samples is taken as a network whose one
/// sample is the whole input, with a warning.
/// Initializers become parameters, which training changes; running statistics
/// of batch normalisation and single numbers stay as they are. All nodes that
/// cannot be taken over are reported in one go.
std::optional<ImportedModel> readOnnx(const std::string &path,
                                      Diagnostics &diagnostics);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_ONNX_ONNXREADER_H
