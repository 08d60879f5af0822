// LayerParts.h - what the rules of Layers.cpp, ImageLayers.cpp and
// OnnxWriter.cpp share.
#ifndef SINTER_FRONTEND_LAYERPARTS_H
#define SINTER_FRONTEND_LAYERPARTS_H

#include "frontend/Layers.h"

#include "ir/Window.h"

namespace sinter::frontend {

/// A parameter `layer/name`, as arguments NAME_initializer and, if the layer
/// has it, NAME_regularizer say; `argument` stands for another NAME.
void addParameter(LayerRecord &layer, llvm::StringRef name, Shape shape,
                  llvm::StringRef argument = "");

mlir::Value emitActivation(LayerEmitter &e, const Config &activation,
                           mlir::Value x);

/// activation(x + bias), as arguments `use_bias` and `activation` say. The bias
/// is parameter number `bias`.
mlir::Value emitBiasAndActivation(LayerEmitter &e, mlir::Value x, size_t bias);

/// The elements of `x` in the shape of the layer's result.
mlir::Value reshapeToResult(LayerEmitter &e, mlir::Value x);

/// The axis that `concatenate` joins, counted in a sample; out of range values
/// stay so.
int64_t joinAxis(const LayerRecord &layer, size_t sampleRank);

/// A sample of space axes and channels as (height, width, channels); a sequence
/// has height 1.
Shape imageShape(const Shape &sample);

/// The windows of layers on images of shape `image`, or on sequences, which
/// have `rank` 1. A transposed convolution's are those of the convolution that
/// it is the transpose of: its windows come in, its pixels go out.
Window convolutionWindow(const Config &config, int rank, const Shape &image);
Window transposedWindow(const Config &config, const Shape &image);
Window poolWindow(const Config &config, int rank, const Shape &image);

/// The result has the operand's shape.
std::string inferSame(LayerRecord &layer, llvm::ArrayRef<Shape> inputs);
/// Operands of one rank, sizes of 1 stretched.
std::string inferBroadcast(LayerRecord &layer, llvm::ArrayRef<Shape> inputs);

/// Functions of keras.ops.
llvm::ArrayRef<LayerRule> operationLayerRules();
/// Convolutions, pooling, and what else works on images and sequences.
llvm::ArrayRef<LayerRule> imageLayerRules();

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_LAYERPARTS_H
