// Weights.cpp - safetensors files, by the runtime's own reader and writer.
#include "frontend/Weights.h"

#include "frontend/Layers.h"

#include "runtime/safetensors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;

bool sinter::frontend::checkWeights(const std::vector<ImportedWeight> &weights,
                                    llvm::ArrayRef<LayerRecord> layers,
                                    Diagnostics &diagnostics, SourceLoc loc) {
  const size_t before = diagnostics.errorCount();
  auto error = [&](const ImportedWeight &weight, std::string what) {
    diagnostics.error(loc, "weight '" + printable(weight.name) + "'" + what);
  };
  llvm::StringMap<const ImportedWeight *> unused;
  for (const ImportedWeight &weight : weights)
    if (!unused.try_emplace(weight.name, &weight).second)
      error(weight, " is given twice");
  for (const LayerRecord &layer : layers)
    for (const Parameter &parameter : layer.parameters) {
      auto it = unused.find(parameter.name);
      if (it == unused.end()) {
        diagnostics.error(loc, "weight '" + parameter.name +
                                   "' is missing: expected the shape " +
                                   toText(parameter.shape));
        continue;
      }
      const ImportedWeight &weight = *it->second;
      unused.erase(it);
      auto bad = llvm::find_if_not(weight.values,
                                   [](float x) { return std::isfinite(x); });
      if (weight.shape != parameter.shape)
        error(weight, ": expected the shape " + toText(parameter.shape) +
                          ", got " + toText(weight.shape));
      else if (bad != weight.values.end())
        error(weight,
              llvm::formatv(": expected finite numbers, got {0} at element {1}",
                            std::isnan(*bad) ? "NaN" : "infinity",
                            bad - weight.values.begin()));
    }
  for (const auto &entry : unused)
    error(*entry.second, " belongs to no parameter");
  return diagnostics.errorCount() == before;
}

/// Writing only reads the values; the runtime's struct serves both ways.
static sinter_tensor describe(const ImportedWeight &weight) {
  sinter_tensor tensor = {};
  tensor.name = weight.name.c_str();
  tensor.dtype = SINTER_F32;
  tensor.rank = static_cast<int32_t>(weight.shape.size());
  tensor.shape = weight.shape.data();
  tensor.bytes = static_cast<int64_t>(weight.values.size() * sizeof(float));
  tensor.data = const_cast<float *>(weight.values.data());
  tensor.must_be_finite = 1;
  return tensor;
}

std::optional<std::vector<ImportedWeight>>
sinter::frontend::readWeights(const std::string &path,
                              const ModelBuilder &model,
                              Diagnostics &diagnostics) {
  std::vector<ImportedWeight> weights;
  for (const LayerRecord &layer : model.layers())
    for (const Parameter &parameter : layer.parameters) {
      int64_t count = 1;
      for (int64_t size : parameter.shape)
        count *= size;
      weights.push_back({parameter.name, parameter.shape,
                         std::vector<float>(static_cast<size_t>(count))});
    }
  std::vector<sinter_tensor> tensors;
  for (ImportedWeight &weight : weights)
    tensors.push_back(describe(weight));
  char message[8192];
  if (sinter_read_tensors(path.c_str(), model.name().str().c_str(),
                          tensors.data(), static_cast<int64_t>(tensors.size()),
                          message, sizeof message) != SINTER_OK) {
    diagnostics.error({}, message);
    return std::nullopt;
  }
  return weights;
}

bool sinter::frontend::writeWeights(const std::string &path,
                                    const std::vector<ImportedWeight> &weights,
                                    Diagnostics &diagnostics) {
  std::vector<sinter_tensor> tensors;
  for (const ImportedWeight &weight : weights)
    tensors.push_back(describe(weight));
  char message[1024];
  if (sinter_write_tensors(path.c_str(), tensors.data(),
                           static_cast<int64_t>(tensors.size()), nullptr, 0,
                           message, sizeof message) == SINTER_OK)
    return true;
  diagnostics.error({}, message);
  return false;
}
