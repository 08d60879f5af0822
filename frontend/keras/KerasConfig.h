// KerasConfig.h - one configured thing of Keras as a Config of the catalog.
#ifndef SINTER_FRONTEND_KERAS_KERASCONFIG_H
#define SINTER_FRONTEND_KERAS_KERASCONFIG_H

#include "frontend/Catalog.h"
#include "frontend/JsonText.h"
#include "frontend/Spec.h"

namespace sinter::frontend {

/// Translates the JSON that Keras makes of layers, activations, initializers,
/// losses, ... A function that fails gives nothing and adds what was wrong to
/// complaints().
class KerasConfigReader {
public:
  /// `version` of Keras that wrote the file, "2.2.4-tf". With `hasWeights`,
  /// initializers do not matter, and unknown ones are not complained about.
  KerasConfigReader(std::string version, bool hasWeights);

  /// A layer without its name and inputs. `className` as in the file.
  std::optional<Config> layer(const std::string &className, const Json &config);
  std::optional<Config> loss(const Json &value);
  std::optional<Config> metric(const Json &value);
  std::optional<Config> optimizer(const Json &value);

  /// What was wrong since the last call.
  std::vector<std::string> takeComplaints();
  /// Things that change results a little, each once.
  const std::vector<std::string> &warnings() const { return notes; }

  /// True for files of Keras 1 and 2.
  bool isKeras2() const { return major < 3; }

private:
  std::optional<Config> named(Kind kind, const Json &value);
  std::optional<Config> initializer(const Json &value);
  std::optional<Config> regularizer(const Json &value);
  std::optional<Value> argument(const ArgInfo &info, const Json &value);
  void arguments(const EntryInfo &entry, const Json *config, Config &result);
  void checkType(const Json &config);
  /// Null, where the catalog's default is not.
  void nullArgument(const ArgInfo &info, Config &result);
  void fixedArgument(const ArgInfo &info, const Json &value);
  std::nullopt_t complain(std::string text);

  int major = 3;
  bool hasWeights;
  std::vector<std::string> complaints, notes;
};

/// A number or a list of them as a Value; nothing for other things. Numbers
/// that went through 32-bit floats get back the digits that were meant.
std::optional<Value> toValue(const Json &json);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_KERASCONFIG_H
