// SpecBuilder.h - from a spec that was read to a model that is built.
#ifndef SINTER_FRONTEND_SPECBUILDER_H
#define SINTER_FRONTEND_SPECBUILDER_H

#include "frontend/ModelBuilder.h"

namespace sinter::frontend {

/// Makes the calls to `builder` that `spec` asks for and checks the model.
/// Reports to the builder's diagnostics: unknown layer names, cycles, shapes.
/// Also works on a spec with errors, to find more of them; false after any.
bool buildSpec(const Spec &spec, ModelBuilder &builder);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_SPECBUILDER_H
