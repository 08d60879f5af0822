//===- VectorRandom.h - Philox in vector lanes ---------------------------===//

#ifndef SINTER_CODEGEN_VECTORRANDOM_H
#define SINTER_CODEGEN_VECTORRANDOM_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <array>

namespace sinter {

using PhiloxWords = std::array<mlir::Value, 4>;

/// Philox 4x32-10 in every lane: the same bits as the runtime's
/// sinter_philox4x32. Words are i32 vectors.
PhiloxWords emitPhilox(mlir::ImplicitLocOpBuilder &b, PhiloxWords counter,
                       std::array<mlir::Value, 2> key);

/// Words as numbers in [0, 1): the 24 upper bits times 2^-24.
mlir::Value emitUniform(mlir::ImplicitLocOpBuilder &b, mlir::Value word);

/// Two words as a standard normal number:
/// sqrt(-2 log(1 - u0)) cos(2 pi u1) (Box and Muller, 1958).
mlir::Value emitNormal(mlir::ImplicitLocOpBuilder &b, mlir::Value word0,
                       mlir::Value word1);

/// (0, 1, ..., lanes - 1) as i32.
mlir::Value laneNumbers(mlir::ImplicitLocOpBuilder &b, int64_t lanes);

} // namespace sinter

#endif // SINTER_CODEGEN_VECTORRANDOM_H
