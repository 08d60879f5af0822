//===- Config.h - reading the model's declarations -----------------------===//
//
// `loss`, `optimizer` and `metrics` are dictionaries with a `name` and Keras's
// arguments, all present but those that are off (`clipnorm`, for example).
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_PASSES_CONFIG_H
#define SINTER_PASSES_CONFIG_H

#include "mlir/IR/BuiltinAttributes.h"

#include <optional>

namespace sinter {

class Config {
public:
  explicit Config(mlir::DictionaryAttr dictionary) : dictionary(dictionary) {}

  llvm::StringRef text(llvm::StringRef key) const {
    auto attribute = dictionary.getAs<mlir::StringAttr>(key);
    return attribute ? attribute.getValue() : llvm::StringRef();
  }
  llvm::StringRef name() const { return text("name"); }

  std::optional<double> number(llvm::StringRef key) const {
    return numberOf(dictionary.get(key));
  }
  double number(llvm::StringRef key, double fallback) const {
    return number(key).value_or(fallback);
  }

  bool flag(llvm::StringRef key) const {
    auto attribute = dictionary.getAs<mlir::BoolAttr>(key);
    return attribute && attribute.getValue();
  }

  llvm::SmallVector<double> numbers(llvm::StringRef key) const {
    llvm::SmallVector<double> values;
    mlir::Attribute attribute = dictionary.get(key);
    if (auto array = llvm::dyn_cast_or_null<mlir::ArrayAttr>(attribute))
      for (mlir::Attribute element : array)
        values.push_back(numberOf(element).value_or(0));
    else if (auto array =
                 llvm::dyn_cast_or_null<mlir::DenseF64ArrayAttr>(attribute))
      values.append(array.asArrayRef().begin(), array.asArrayRef().end());
    else if (auto array =
                 llvm::dyn_cast_or_null<mlir::DenseI64ArrayAttr>(attribute))
      values.append(array.asArrayRef().begin(), array.asArrayRef().end());
    return values;
  }

  mlir::DictionaryAttr dictionaryAt(llvm::StringRef key) const {
    return dictionary.getAs<mlir::DictionaryAttr>(key);
  }

private:
  static std::optional<double> numberOf(mlir::Attribute attribute) {
    if (auto value = llvm::dyn_cast_or_null<mlir::FloatAttr>(attribute))
      return value.getValueAsDouble();
    if (auto value = llvm::dyn_cast_or_null<mlir::IntegerAttr>(attribute))
      return static_cast<double>(value.getInt());
    return std::nullopt;
  }

  mlir::DictionaryAttr dictionary;
};

} // namespace sinter

#endif // SINTER_PASSES_CONFIG_H
