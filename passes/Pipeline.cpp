//===- Pipeline.cpp - THE pipeline ---------------------------------------===//
//
// One page: every pass in order, what holds after each stage, and why this
// order. `sinter dump --stage S` prints the module where it says so below.
//
//===----------------------------------------------------------------------===//

#include "passes/Pipeline.h"

#include "passes/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace sinter;

/// Algebra, common subexpressions, dead code: MLIR's own passes.
static void simplify(OpPassManager &model) {
  model.addPass(createCanonicalizerPass());
  model.addPass(createCSEPass());
}

void sinter::buildPipeline(OpPassManager &manager, Stage last, bool fuse) {
  OpPassManager &model = manager.nest<ModelOp>();

  // graph: the model as declared, verified, shapes inferred.
  if (last == Stage::Graph)
    return;

  // First, so that all reasons why a model cannot train are told at once, in
  // terms of what the user wrote.
  model.addPass(createCheckTrainable());
  model.addPass(createBuildSteps());
  // While softmax, gelu and the cross-entropies are still one op each, with
  // a gradient rule that is stable and short.
  model.addPass(createAutodiff());
  model.addPass(createExpandOptimizer());
  simplify(model);
  // train: @predict, @eval_step and @train_step are complete; loss, backward
  // pass and optimizer are ordinary ops.
  if (last == Stage::Train)
    return;

  // After autodiff, which wants composites; before fusion, which wants the
  // parts: softmax's maximum and sum may share a sweep with a loss.
  model.addPass(createExpandComposites());
  simplify(model);
  // After expansion, which makes the sums.
  model.addPass(createSumWindows());
  // When all ops are primitives, and before anything that is different for
  // one sample.
  model.addPass(createSpecializeSample());
  // After expansion: a normalisation in inference is then a factor and a
  // summand.
  model.addPass(createFoldNormalization());
  // After folding, which looks for conv2d.
  model.addPass(createUseWinograd());
  // After both, which compute with weights alone.
  model.addPass(createPrepareWeights());
  // Before fusion: a change of layout ends a kernel.
  model.addPass(createAssignLayout());
  model.addPass(createFuseKernels({.fuse = fuse}));
  // fused: every op that computes stands in a kernel.
  if (last == Stage::Fused)
    return;

  // First of all, since it makes kernels.
  model.addPass(createSplitContractions());
  // The order decides what can be planned.
  model.addPass(createOrderKernels());
  model.addPass(createPlanMemory());
  // planned: kernels in order; every stored value has an offset in the arena or
  // an output of the caller.
}

void sinter::registerPipelines() {
  registerSinterPasses();
  auto add = [](StringRef name, StringRef description, Stage stage) {
    // The registry keeps the names: they are literals.
    PassPipelineRegistration<>(
        name, description,
        [stage](OpPassManager &manager) { buildPipeline(manager, stage); });
  };
  add("sinter-to-train", "From the graph stage to the train stage",
      Stage::Train);
  add("sinter-to-fused", "From the graph stage to the fused stage",
      Stage::Fused);
  add("sinter-to-planned", "From the graph stage to the planned stage",
      Stage::Planned);
}
