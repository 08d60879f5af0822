//===- ModelRecord.h - what lowering learns about a model ----------------===//
//
// Lowering turns a planned `sinter.model` into kernels and step functions; this
// record is what remains to be said about them. ModelTable.cpp writes it into
// the object as the constant `sinter_model` table (runtime/sinter_runtime.h,
// field by field the same), the report prints it.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_MODELRECORD_H
#define SINTER_CODEGEN_MODELRECORD_H

#include "runtime/sinter_runtime.h"

#include <string>
#include <vector>

namespace sinter {

struct TensorRecord {
  std::string name;
  sinter_dtype dtype = SINTER_F32;
  std::vector<int64_t> shape; // shape[0] == -1: batched
};

/// A decision that was made for a kernel, see ir/Tuning.h.
struct ChoiceRecord {
  std::string key, knob;
  std::vector<std::string> values; // that are possible, the default first
  size_t chosen = 0;               // which of them
  /// How much of the kernel's time depends on it: of a filter's transform a
  /// part for each of its users.
  double share = 1;
};

struct KernelRecord {
  std::string name;   // layer and ops, for people
  std::string kind;   // "matmul", "weight_gradient", "sweep", ...
  std::string symbol; // void symbol(const sinter_call *, int64_t task)
  int64_t tasks = 1;
  int64_t flopsFixed = 0, flopsPerSample = 0;
  int64_t bytesFixed = 0, bytesPerSample = 0;
  std::vector<ChoiceRecord> choices;
};

/// An intermediate's place in the arena and its life, counted in kernels.
struct BufferRecord {
  std::string name;
  int64_t offset = 0, bytes = 0;
  int64_t firstKernel = 0, lastKernel = 0;
};

struct FunctionRecord {
  std::string symbol; // void symbol(const sinter_call *); empty: absent
  int64_t arenaBytes = 0, arenaLowerBound = 0;
  int64_t kernelBatchBound = 0; // samples at a time
  std::vector<TensorRecord> inputs, outputs;
  std::vector<KernelRecord> kernels; // in the order in which they run
  std::vector<BufferRecord> buffers; // by the kernel that stores them
};

struct StateRecord {
  std::string name;
  sinter_dtype dtype = SINTER_F32;
  sinter_role role = SINTER_PARAMETER;
  std::vector<int64_t> shape;
  int64_t offset = 0, bytes = 0;
  sinter_init_kind init = SINTER_INIT_CONSTANT;
  float a = 0, b = 0;
  std::vector<char> data; // SINTER_INIT_DATA only
};

struct ModelRecord {
  std::string name;
  int64_t batchBound = 0;
  int64_t stateBytes = 0;
  /// Where derived states begin, behind the word that says whether they are
  /// current; `stateBytes` where there are none.
  int64_t derivedOffset = 0;
  std::vector<StateRecord> states;
  FunctionRecord predict, evalStep, trainStep;
  FunctionRecord predictOne;   // may be absent although `predict` is not
  FunctionRecord prepare;      // absent where no state is derived
  int64_t numKernels = 0;      // in all functions
  int64_t distinctKernels = 0; // how many of them have code of their own
};

} // namespace sinter

#endif // SINTER_CODEGEN_MODELRECORD_H
