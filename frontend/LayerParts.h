// LayerParts.h - what the rules of Layers.cpp and ImageLayers.cpp share.
#ifndef SINTER_FRONTEND_LAYERPARTS_H
#define SINTER_FRONTEND_LAYERPARTS_H

#include "frontend/Layers.h"

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

/// Convolutions, pooling, and what else works on images and sequences.
llvm::ArrayRef<LayerRule> imageLayerRules();

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_LAYERPARTS_H
