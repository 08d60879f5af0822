// Weights.h - named tensors of numbers in memory, and their files.
#ifndef SINTER_FRONTEND_WEIGHTS_H
#define SINTER_FRONTEND_WEIGHTS_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sinter::frontend {

class Diagnostics;
class ModelBuilder;
struct LayerRecord;
struct SourceLoc;

/// The value of one parameter.
struct ImportedWeight {
  std::string name; // as the compiled model calls it: "conv2d/kernel",
                    // "bn/moving_mean"
  std::vector<int64_t> shape;
  std::vector<float> values; // row-major; as many as `shape` has elements
};

/// Whether there is one value for each parameter of `layers`, of its shape and
/// finite. Reports what is not so.
bool checkWeights(const std::vector<ImportedWeight> &weights,
                  llvm::ArrayRef<LayerRecord> layers, Diagnostics &diagnostics,
                  SourceLoc loc);

/// Values for all parameters of `model` from a safetensors file, in the model's
/// order. Reports a file that lacks one, has more, or another shape, and
/// numbers that are not finite; then there is no result.
std::optional<std::vector<ImportedWeight>>
readWeights(const std::string &path, const ModelBuilder &model,
            Diagnostics &diagnostics);

/// Replaces the safetensors file `path` in one step. False after reporting.
bool writeWeights(const std::string &path,
                  const std::vector<ImportedWeight> &weights,
                  Diagnostics &diagnostics);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_WEIGHTS_H
