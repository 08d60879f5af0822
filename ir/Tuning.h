//===- Tuning.h - choices that a tuning file makes -----------------------===//
//
// Problem: how a kernel is cut is chosen by cost models, which now and then are
// wrong for a shape or a processor.
//
// Idea: `sinter compile --tune` measures what else could be chosen. Its answers
// are an attribute of the model: for each kernel's key a value for each of its
// knobs. Whoever chooses asks here first.
//
//   sinter.tuning = {
//     "matmul 784xN 784x100 N=32" = {tile = "13x2"}, ...}
//
//   key     the op that does the work, its operands' shapes as they lie in
//           memory, attributes that are not the usual ones, and N, the most
//           samples of a call
//   knob    "algorithm" (a 3 x 3 convolution's, tuning::algorithms), or what a
//           nest asks for (KernelEmitter::choose)
//   value   one of those that are possible, or it is as if nothing stood there
//
// Values change the order of sums and, where Winograd's filtering replaces the
// direct sum, how a convolution rounds; nothing else. They must not depend on
// threads, so the number of tasks is no knob.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_TUNING_H
#define SINTER_IR_TUNING_H

#include "ir/SinterDialect.h"

#include <string>

namespace sinter {

namespace tuning {
/// The model's attribute.
constexpr llvm::StringLiteral attribute = "sinter.tuning";
constexpr llvm::StringLiteral algorithm = "algorithm";
/// What a 3 x 3 convolution is computed with.
struct Algorithm {
  llvm::StringLiteral name;
  int64_t tile; // of Winograd's filtering; 0: the direct sum
};
constexpr Algorithm algorithms[] = {
    {"direct", 0}, {"winograd_2x2", 2}, {"winograd_4x4", 4}};
} // namespace tuning

/// The key of the kernel whose work is `op`.
std::string tuningKey(mlir::Operation *op, int64_t batchBound, bool oneSample);

/// The key under which a convolution, its transpose or its filter's gradient,
/// direct or Winograd's, has its algorithm. The same for both, at each stage.
/// Empty if there is no choice.
std::string algorithmKey(mlir::Operation *op);

/// What the model of `op` says about `knob` of `key`; empty: nothing.
llvm::StringRef tunedValue(mlir::Operation *op, llvm::StringRef key,
                           llvm::StringRef knob);

} // namespace sinter

#endif // SINTER_IR_TUNING_H
