//===- Pipeline.h - from the declared network to planned kernels ---------===//

#ifndef SINTER_PASSES_PIPELINE_H
#define SINTER_PASSES_PIPELINE_H

#include "mlir/Pass/PassManager.h"

namespace sinter {

/// What holds after each stage: see Pipeline.cpp, the one page to read.
enum class Stage { Graph, Train, Fused, Planned };

/// Appends the passes that take a module from the graph stage to `last`;
/// without `fuse` with a kernel for each op, to compare with.
void buildPipeline(mlir::OpPassManager &manager, Stage last, bool fuse = true);

/// Makes the passes and the pipelines (`--sinter-to-train`, `-fused`,
/// `-planned`) available to sinter-opt.
void registerPipelines();

} // namespace sinter

#endif // SINTER_PASSES_PIPELINE_H
