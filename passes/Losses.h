//===- Losses.h - losses and metrics as ops ------------------------------===//

#ifndef SINTER_PASSES_LOSSES_H
#define SINTER_PASSES_LOSSES_H

#include "ir/SinterDialect.h"

namespace sinter {

/// The loss or metric that `config` declares (`name` and Keras's arguments),
/// for each sample: tensor<?xf32>. Null, with an error at `loc`, when
/// prediction and target do not fit it.
///
/// `prediction` (batch, ...) is the network's output; when a softmax or sigmoid
/// made it, cross-entropies use that op's operand, the logits. `target` is i32
/// (batch) for the sparse ones and otherwise f32 of the prediction's shape.
mlir::Value buildPerSample(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::DictionaryAttr config, mlir::Value prediction,
                           mlir::Value target);

/// The factor on each sample's training loss, tensor<?xf32>, that
/// `class_weight` of the loss `config` asks for ([class, weight, ...]; other
/// classes have 1), or null. A row of targets stands for the class of its
/// largest element, one binary target for class 0 or 1.
mlir::Value buildSampleWeights(mlir::OpBuilder &builder, mlir::Location loc,
                               mlir::DictionaryAttr config, mlir::Value target);

/// The type of target that the loss `config` wants for such a prediction.
mlir::RankedTensorType targetType(mlir::DictionaryAttr config,
                                  mlir::RankedTensorType prediction);

} // namespace sinter

#endif // SINTER_PASSES_LOSSES_H
