// Report.h - what `sinter check` says about a model that is right.
#ifndef SINTER_FRONTEND_REPORT_H
#define SINTER_FRONTEND_REPORT_H

#include "frontend/ModelBuilder.h"

namespace sinter::frontend {

/// Parameters and memory. `planned` is the model at the planned stage.
///
///   fashion_mlp: 79,510 parameters, batches of 1 to 32 samples
///     state          932.58 KB
///     @train_step    arena 25.5 KB, lower bound 25.0 KB, 14 kernels
void printReport(llvm::raw_ostream &os, const ModelBuilder &model,
                 mlir::ModuleOp planned);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_REPORT_H
