// OnnxBodies.h - nodes that hold graphs of their own: If, Loop, Scan.
//
// Problem: a network is one graph of layers; its files may have branches and
// loops.
// Idea: where the condition, the number of iterations or the length of what is
// scanned is known, the body's nodes stand in place of the node, once for each
// iteration.
#ifndef SINTER_FRONTEND_ONNX_ONNXBODIES_H
#define SINTER_FRONTEND_ONNX_ONNXBODIES_H

#include "frontend/onnx/OnnxFile.h"

namespace sinter::frontend::onnx {

bool hasBodies(const Graph &graph);
/// The graph with the bodies of its nodes written out, as far as it is known
/// which and how often.
Graph withBodiesInlined(const Graph &graph);

} // namespace sinter::frontend::onnx

#endif // SINTER_FRONTEND_ONNX_ONNXBODIES_H
