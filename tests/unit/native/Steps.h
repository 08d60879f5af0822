//===- Steps.h - runs a model's functions on batches ---------------------===//
//
// What the tests of whole training steps share: batches, and one step with the
// interpreter or compiled code.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_TESTS_UNIT_NATIVE_STEPS_H
#define SINTER_TESTS_UNIT_NATIVE_STEPS_H

#include "tests/unit/native/Compare.h"
#include "tests/unit/native/NativeModels.h"
#include "tests/unit/native/TrainTexts.h"

#include "mlir/IR/BuiltinOps.h"

#include <map>

namespace sinter::test {

/// An input and a target for the step function.
std::vector<reference::Tensor> makeBatch(mlir::func::FuncOp step,
                                         const TrainText &text, size_t samples,
                                         uint64_t seed);

/// The results of each function, by name: predictions, evaluation, then losses
/// and metrics of the step.
using Results = std::map<std::string, std::vector<reference::Tensor>>;

Results
interpretStep(mlir::ModuleOp module,
              const std::vector<reference::Tensor> &batch,
              reference::State &state,
              reference::Precision precision = reference::Precision::Float32);

/// Runs those functions that were compiled.
Results nativeStep(NativeModels &native, size_t model,
                   const std::vector<reference::Tensor> &batch,
                   reference::State &state, sinter_pool *pool = nullptr);

/// Empty if all that `actual` has is near enough, otherwise what is wrong.
std::string difference(const Results &actual, const Results &expected,
                       Tolerance tolerance);

} // namespace sinter::test

#endif // SINTER_TESTS_UNIT_NATIVE_STEPS_H
