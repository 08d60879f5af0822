//===- MaskedBits.h - values that count only on a condition ---------------===//
//
// Where all lanes of a vector count or none of them, and what is left out may
// be NaN: neither a factor 0 nor a branch will do.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_MASKEDBITS_H
#define SINTER_CODEGEN_MASKEDBITS_H

#include "codegen/KernelEmitter.h"

namespace sinter {

/// Ones of i32 in `lanes` lanes if `condition`, else zeros.
mlir::Value maskOf(KernelEmitter &e, mlir::Value condition, int64_t lanes);
/// `value`'s bits where `mask`, of i32, has ones, else 0: one instruction on
/// any processor; whatever else there was is forgotten.
mlir::Value maskedBits(KernelEmitter &e, mlir::Value value, mlir::Value mask);

} // namespace sinter

#endif // SINTER_CODEGEN_MASKEDBITS_H
