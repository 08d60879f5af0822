// KerasJson.h - a model as the JSON that Keras 3 makes of it.
#ifndef SINTER_FRONTEND_KERAS_KERASJSON_H
#define SINTER_FRONTEND_KERAS_KERASJSON_H

#include "frontend/JsonText.h"
#include "frontend/ModelBuilder.h"

namespace sinter::frontend {

/// Keeps the order in which members are added, as Keras does.
using OrderedJson = nlohmann::ordered_json;

/// The two dialects: whole-model HDF5 names the modules of few objects.
enum class KerasDialect { Hdf5, Archive };

/// {"class_name": "Sequential" or "Functional", "config": ...}. What Keras has
/// no form for is added to `refused`, one text for each.
OrderedJson toKerasModel(const ModelBuilder &model, KerasDialect dialect,
                         std::vector<std::string> &refused);

/// Loss, metrics and optimizer of a spec that has a loss and an optimizer:
/// "training_config" or "compile_config".
OrderedJson toKerasTraining(const Spec &spec, KerasDialect dialect);

/// Whether each layer reads the one before it, and only that.
bool isSequential(const ModelBuilder &model);

/// The version whose files these are.
inline constexpr const char *kKerasVersion = "3.12.0";

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_KERASJSON_H
