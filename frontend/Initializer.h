// Initializer.h - Keras's initializers as the four the runtime knows.
#ifndef SINTER_FRONTEND_INITIALIZER_H
#define SINTER_FRONTEND_INITIALIZER_H

#include "frontend/Spec.h"

#include "ir/SinterDialect.h"

namespace sinter::frontend {

/// The state attribute `init(a, b)`.
struct InitialValue {
  sinter::Init init;
  float a, b;
};

/// `initializer` is complete; `shape` is the parameter's.
InitialValue initialValueOf(const Config &initializer,
                            llvm::ArrayRef<int64_t> shape);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_INITIALIZER_H
