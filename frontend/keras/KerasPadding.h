// KerasPadding.h - a model as Keras's layers can pad it and its inputs can
// read it.
#ifndef SINTER_FRONTEND_KERAS_KERASPADDING_H
#define SINTER_FRONTEND_KERAS_KERASPADDING_H

#include "frontend/ModelBuilder.h"

namespace sinter::frontend {

/// `model` without numbers as `padding`: as 'valid' or 'same' where that is
/// equal, else with a zero_padding or cropping layer, named after the layer.
/// An input's scale becomes a rescaling layer behind it, "input_scale".
/// Parameters are the same, in the same order. The layers for which there is
/// nothing equal are added to `refused`, one text for each; the result is then
/// incomplete.
ModelBuilder withKerasPadding(const ModelBuilder &model,
                              std::vector<std::string> &refused);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_KERASPADDING_H
