//===- Passes.h - the passes, see Passes.td ------------------------------===//

#ifndef SINTER_PASSES_PASSES_H
#define SINTER_PASSES_PASSES_H

#include "ir/SinterDialect.h"
#include "mlir/Pass/Pass.h"

namespace sinter {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

} // namespace sinter

#endif // SINTER_PASSES_PASSES_H
