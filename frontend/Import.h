// Import.h - the commands `sinter import` and `sinter export`.
#ifndef SINTER_FRONTEND_IMPORT_H
#define SINTER_FRONTEND_IMPORT_H

#include "frontend/Options.h"

namespace sinter::frontend {

/// Writes spec.yaml and weights.safetensors into the folder options.output,
/// which is made if need be. Returns the status to exit with.
int importCommand(const Options &options);

/// Writes the network of a spec, with its weights, as a file of the kind that
/// the ending of options.output says.
int exportCommand(const Options &options);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_IMPORT_H
