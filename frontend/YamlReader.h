// YamlReader.h - a spec file as checked values.
//
// Reads every form that a spec allows (a bare name, `dropout: 0.3`, a map),
// checks it against Catalog.h and reports all errors of the file. What the
// layers mean together (names, shapes, cycles) is SpecBuilder.h's business.
#ifndef SINTER_FRONTEND_YAMLREADER_H
#define SINTER_FRONTEND_YAMLREADER_H

#include "frontend/Spec.h"

namespace sinter::frontend {

/// The spec in `text`. After errors the parts that were right are still there,
/// so that the next step can look for more errors in them.
Spec readSpec(llvm::StringRef text, Diagnostics &diagnostics);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_YAMLREADER_H
