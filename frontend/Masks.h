// Masks.h - steps that stand for nothing, as Keras 3 has them.
//
// Problem: sequences of several lengths share a batch, filled up with steps
// that are no data. Layers behind must not see these.
// Idea: a mask of a sequence, (samples, steps), 1 for data and 0 for filling,
// goes along with the result of a layer. It comes from
//
//   embedding  with mask_zero: steps whose number is not 0
//   masking    steps of which an element is not mask_value
//
// goes on through layers that keep steps apart (dense, dropout, add, ...), is
// heeded by
//
//   lstm, gru, simple_rnn, bidirectional   a masked step changes no state
//   attention, ..., multi_head_attention   masked values get no weight
//   global_average_pooling1d               the mean of what is not masked
//
// and ends at layers that mix steps or drop them, as it does in Keras: flatten,
// reshape, convolutions, pooling.
//
// Known weakness: losses and metrics know no masks (in Keras they do), so a
// model that trains must not have an output with one. Masks of more than one
// axis, and layers softmax and batch_normalization under a mask, are refused.
#ifndef SINTER_FRONTEND_MASKS_H
#define SINTER_FRONTEND_MASKS_H

#include "frontend/Layers.h"

namespace sinter::frontend {

/// Fills in `record.masked`, from its config and whether its inputs are masked;
/// what is wrong, or "".
std::string inferMask(LayerRecord &record, llvm::ArrayRef<Shape> inputs,
                      llvm::ArrayRef<bool> inputsMasked);

/// The mask of the result of a layer with record.masked.
mlir::Value emitMask(LayerEmitter &e, mlir::ValueRange inputs);

/// Whether a layer of that name computes something else under a mask.
bool heedsMasks(const Config &layer);

/// 0 or 1 for each element of `x` (samples, steps, ...): its step's mask.
mlir::Value maskOver(LayerEmitter &e, mlir::Value mask, mlir::Value x);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_MASKS_H
