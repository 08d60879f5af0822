// Layers.h - what each layer does: its result's shape, parameters and IR.
//
// One rule for each layer of the catalog, in one table; a test holds the two
// against each other.
#ifndef SINTER_FRONTEND_LAYERS_H
#define SINTER_FRONTEND_LAYERS_H

#include "frontend/ModelBuilder.h"

#include "mlir/IR/Builders.h"

namespace sinter::frontend {

/// What a rule emits with.
struct LayerEmitter {
  mlir::OpBuilder &builder;
  mlir::Location loc;
  const LayerRecord &layer;
  /// Numbers the random ops of the model.
  int64_t &nextStream;
  /// Of each input: 1 for steps that count, 0 for others (samples, steps), or
  /// null where all do; or empty, where no input has any.
  llvm::SmallVector<mlir::Value> masks = {};
  /// Left by the rule: the values of LayerRecord::states.
  llvm::SmallVector<mlir::Value> states = {};

  /// The value of the layer's i-th parameter.
  mlir::Value read(size_t parameter) const;
  /// A batch of f32 samples.
  mlir::RankedTensorType typeOf(const Shape &shape) const;
};

/// How many inputs a layer takes.
enum class Arity {
  None,
  One,
  Some, // at least one: the rule judges the others
  Many, // at least two
};

struct LayerRule {
  llvm::StringRef name; // as in the catalog
  Arity arity;
  /// Fills in shape and parameters; what is wrong, or "".
  std::string (*infer)(LayerRecord &layer, llvm::ArrayRef<Shape> inputs);
  mlir::Value (*emit)(LayerEmitter &emitter, mlir::ValueRange inputs);
};

/// The rule of a layer; the input has none.
const LayerRule *findLayerRule(llvm::StringRef name);

/// "(28, 28)", for messages.
std::string toText(const Shape &shape);

/// How many elements, or nothing if more than a kernel can count (2^31 - 1).
std::optional<int64_t> countElements(const Shape &shape);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_LAYERS_H
