// Masks.cpp - where masks come from, where they go, where they end.
//
// The rules are those of Keras 3's layers: supports_masking and compute_mask().
#include "frontend/Masks.h"

#include "frontend/LayerParts.h"

#include "ir/Formula.h"

#include "llvm/ADT/STLExtras.h"

using namespace sinter;
using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::StringRef;
using mlir::ValueRange;

/// Layers whose result has the mask of their first input.
static bool passesMask(const Config &layer) {
  if (isRecurrent(layer))
    return layer.flag("return_sequences");
  if (layer.name == "bidirectional")
    return layer.config("layer").flag("return_sequences");
  return llvm::is_contained({"activation", "relu", "leaky_relu", "elu", "dense",
                             "dropout", "gaussian_noise", "spatial_dropout1d",
                             "layer_normalization", "batch_normalization",
                             "rescaling", "time_distributed", "attention",
                             "additive_attention", "multi_head_attention"},
                            StringRef(layer.name));
}

/// Layers of several inputs whose result is masked where all inputs are.
static bool mergesMasks(const Config &layer) {
  return llvm::is_contained(
      {"add", "subtract", "multiply", "average", "maximum", "minimum"},
      StringRef(layer.name));
}

bool sinter::frontend::heedsMasks(const Config &layer) {
  return isRecurrent(layer) ||
         llvm::is_contained({"bidirectional", "attention", "additive_attention",
                             "multi_head_attention",
                             "global_average_pooling1d"},
                            StringRef(layer.name));
}

/// What `layer` cannot do under a mask; or "".
static std::string whyNotUnderMask(const LayerRecord &record) {
  const Config &layer = record.config;
  if (layer.name == "concatenate" && record.shape.size() != 2)
    return "under a mask expected inputs of shape (steps, features)";
  if (layer.name == "softmax")
    return "a softmax layer under a mask is not supported; use {activation: "
           "softmax}, which no mask concerns";
  if (layer.name == "time_distributed") {
    const Config &inner = layer.config("layer");
    if (inner.name == "softmax" || inner.name == "global_average_pooling1d")
      return "a " + inner.name + " on each step under a mask is not supported";
  }
  return "";
}

std::string sinter::frontend::inferMask(LayerRecord &record,
                                        ArrayRef<Shape> inputs,
                                        ArrayRef<bool> inputsMasked) {
  const Config &layer = record.config;
  if (layer.name == "embedding" && layer.flag("mask_zero")) {
    if (inputs[0].size() != 1)
      return "expected an input of shape (steps) under 'mask_zero', got " +
             toText(inputs[0]);
    record.masked = true;
    return "";
  }
  if (layer.name == "masking") {
    record.masked = true;
    return "";
  }
  if (llvm::none_of(inputsMasked, [](bool masked) { return masked; }))
    return "";
  if (std::string why = whyNotUnderMask(record); !why.empty())
    return why;
  if (layer.name == "concatenate")
    record.masked = true;
  else if (mergesMasks(layer))
    record.masked =
        llvm::all_of(inputsMasked, [](bool masked) { return masked; });
  else
    record.masked = passesMask(layer) && inputsMasked[0];
  return "";
}

mlir::Value sinter::frontend::maskOver(LayerEmitter &e, mlir::Value mask,
                                       mlir::Value x) {
  Shape shape(featureShape(tensorTypeOf(x)).size(), 1);
  shape[0] = featureShape(tensorTypeOf(mask))[0];
  return ReshapeOp::create(e.builder, e.loc, e.typeOf(shape), mask);
}

/// A step counts where one of its elements does. Inputs without a mask count.
static mlir::Value emitJoinedMask(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  llvm::SmallVector<mlir::Value> masks;
  for (auto [input, mask] : llvm::zip_equal(inputs, e.masks)) {
    const int64_t steps = featureShape(tensorTypeOf(input))[0];
    masks.push_back(
        mask ? mask
             : BroadcastOp::create(e.builder, e.loc, e.typeOf({steps}), f.one())
                   .getResult());
  }
  if (joinAxis(e.layer, e.layer.shape.size()) == 0)
    return ConcatenateOp::create(e.builder, e.loc, masks, /*axis=*/1);
  mlir::Value any = masks[0];
  for (mlir::Value mask : llvm::drop_begin(masks))
    any = MaximumOp::create(e.builder, e.loc, any, mask);
  return any;
}

mlir::Value sinter::frontend::emitMask(LayerEmitter &e, ValueRange inputs) {
  Formula f(e.builder, e.loc);
  const Config &layer = e.layer.config;
  auto differs = [&](double value) {
    return f.sub(f.one(), f.equal(inputs[0], f.number(value)));
  };
  if (layer.name == "embedding")
    return differs(0);
  if (layer.name == "masking")
    return f.greater(f.sum(differs(layer.number("mask_value")), {2}), f.zero());
  if (layer.name == "concatenate")
    return emitJoinedMask(e, inputs);
  mlir::Value mask = e.masks[0];
  if (mergesMasks(layer))
    for (mlir::Value other : llvm::drop_begin(e.masks))
      mask = MaximumOp::create(e.builder, e.loc, mask, other);
  return mask;
}
