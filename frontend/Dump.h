// Dump.h - a stage of the model as text.
#ifndef SINTER_FRONTEND_DUMP_H
#define SINTER_FRONTEND_DUMP_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

namespace sinter::frontend {

/// Prints `module` with big constants elided, and with the layer and spec line
/// of each op if `locations`.
void dumpModule(llvm::raw_ostream &os, mlir::ModuleOp module, bool locations);

/// Prints only the ops that stem from `layer`, one after the other, by
/// function. False if there is none.
bool dumpLayer(llvm::raw_ostream &os, mlir::ModuleOp module,
               llvm::StringRef layer, bool locations);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_DUMP_H
