// KerasChannels.h - images with their channels first, as Sinter's.
#ifndef SINTER_FRONTEND_KERAS_KERASCHANNELS_H
#define SINTER_FRONTEND_KERAS_KERASCHANNELS_H

#include "frontend/ImportedModel.h"
#include "frontend/keras/KerasGraph.h"

namespace sinter::frontend {

/// The layer's configuration, as if its images had their channels last.
Json withChannelsLast(const KerasLayer &layer);

/// Makes of the layers' configs (`layers`, as many as the graph has, made from
/// withChannelsLast()) the network that the file means: adds layers `permute`
/// to both where an image changes its order. Inputs and outputs of the model
/// keep the file's order. Adds an offender for what cannot be moved.
void moveChannels(KerasGraph &graph, std::vector<Config> &layers,
                  std::vector<Offender> &offenders);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_KERASCHANNELS_H
