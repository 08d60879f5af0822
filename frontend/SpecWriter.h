// SpecWriter.h - an imported model as a spec that people read and change.
#ifndef SINTER_FRONTEND_SPECWRITER_H
#define SINTER_FRONTEND_SPECWRITER_H

#include "frontend/ImportedModel.h"

namespace sinter::frontend {

/// YAML with the arguments that differ from their defaults, and no more. Names
/// of layers are left out where a spec without them gets the same ones. Reading
/// it gives `model` again, but for its weights. `origin` is named in a comment.
std::string writeSpec(const ImportedModel &model, llvm::StringRef origin);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_SPECWRITER_H
