// OnnxPatterns.h - activations that a graph spells out in arithmetic.
#ifndef SINTER_FRONTEND_ONNX_ONNXPATTERNS_H
#define SINTER_FRONTEND_ONNX_ONNXPATTERNS_H

#include "frontend/onnx/OnnxFile.h"

namespace sinter::frontend::onnx {

/// Puts one node in the place of the last of several that are together
///   gelu        x (1 + erf(x / sqrt 2)) / 2, as Gelu
///   gelu        x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, as Gelu
///   mish        x tanh(softplus(x)), as Mish
///   silu        x sigmoid(x), as sinter.Silu
///   squareplus  (x + sqrt(x^2 + b)) / 2, as sinter.Squareplus
/// whatever the order of operands and of products. The others stay for whoever
/// else reads them.
void fusePatterns(Graph &graph);

} // namespace sinter::frontend::onnx

#endif // SINTER_FRONTEND_ONNX_ONNXPATTERNS_H
