//===- Scaler.h - a model small enough to write by hand ------------------===//

#ifndef SINTER_TESTS_UNIT_CODEGEN_SCALER_H
#define SINTER_TESTS_UNIT_CODEGEN_SCALER_H

#include "codegen/ModelRecord.h"

#include <string>

/// y[n, f] = scale[f] * x[n, f] with 16 features; a kernel's task is a sample.
struct Scaler {
  std::string loops; // module in text form
  sinter::ModelRecord record;
};

Scaler buildScaler();

#endif // SINTER_TESTS_UNIT_CODEGEN_SCALER_H
