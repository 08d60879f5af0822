// KerasReader.h - reads what Keras 2.1 to 3.x saves.
#ifndef SINTER_FRONTEND_KERAS_KERASREADER_H
#define SINTER_FRONTEND_KERAS_KERASREADER_H

#include "frontend/ImportedModel.h"

namespace sinter::frontend {

/// Reads a whole model (.h5, .keras) or an architecture (.json), the latter
/// with the weights of `weightsPath` (.weights.h5) unless that is empty.
/// Reports every layer that cannot be taken over; then there is no result.
/// Configs are not complete; see ImportedModel.h.
std::optional<ImportedModel> readKeras(const std::string &path,
                                       const std::string &weightsPath,
                                       Diagnostics &diagnostics);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_KERASREADER_H
