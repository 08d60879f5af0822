// TrainingCheck.h - what data and callbacks ask of the model.
#ifndef SINTER_FRONTEND_TRAININGCHECK_H
#define SINTER_FRONTEND_TRAININGCHECK_H

#include "frontend/ModelBuilder.h"

namespace sinter::frontend {

/// Reports callbacks that watch a figure which training does not have, or that
/// the optimizer cannot follow, and data options that the loss has no use for.
void checkTraining(const Spec &spec, const ModelBuilder &builder);

/// Whether the learning rate has to be a state that the trainer can change.
bool changesLearningRate(const Spec &spec);

/// A callback with `mode: auto` replaced by min or max, as Keras does: more is
/// better for accuracies, less for losses and errors.
Config withMode(const Spec &spec, Config callback);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_TRAININGCHECK_H
