//===- Names.h - names that passes, code generation and tests share ------===//

#ifndef SINTER_PASSES_NAMES_H
#define SINTER_PASSES_NAMES_H

#include "llvm/ADT/StringRef.h"

namespace sinter::names {

// Functions.
constexpr llvm::StringLiteral forward = "forward";
constexpr llvm::StringLiteral predict = "predict";
constexpr llvm::StringLiteral predictOne = "predict_one";
constexpr llvm::StringLiteral evalStep = "eval_step";
constexpr llvm::StringLiteral trainStep = "train_step";
constexpr llvm::StringLiteral prepare = "prepare";

// States.
constexpr llvm::StringLiteral iteration = "optimizer/iteration";
constexpr llvm::StringLiteral learningRate = "optimizer/learning_rate";
constexpr llvm::StringLiteral seed = "optimizer/seed";
/// The prefix of derived states.
constexpr llvm::StringLiteral derived = "derived/";

// Attributes of functions.
/// A function of one sample: batched values stay row-major, and kernels have
/// their lanes over the last feature.
constexpr llvm::StringLiteral oneSample = "sinter.one_sample";
/// What callers call arguments and results, where there are several.
constexpr llvm::StringLiteral inputNames = "sinter.input_names";
constexpr llvm::StringLiteral resultNames = "sinter.result_names";
constexpr llvm::StringLiteral arenaBytes = "sinter.arena_bytes";
/// Samples at a time, where that is less than the model's bound.
constexpr llvm::StringLiteral batchBound = "sinter.batch_bound";
/// Slices of so many samples that the arena has room for, where it is several.
constexpr llvm::StringLiteral slicePlaces = "sinter.slice_places";
constexpr llvm::StringLiteral arenaLowerBound = "sinter.arena_lower_bound";

} // namespace sinter::names

#endif // SINTER_PASSES_NAMES_H
