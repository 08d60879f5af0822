//===- Tuning.cpp - choices that a tuning file makes ---------------------===//

#include "ir/Tuning.h"

#include "ir/Winograd.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace sinter;

/// "Nx784" row-major, "784xN" with samples innermost.
static std::string shapeText(RankedTensorType type) {
  SmallVector<std::string> sizes;
  for (int64_t size : type.getShape())
    if (!ShapedType::isDynamic(size))
      sizes.push_back(std::to_string(size));
  if (isBatched(type))
    sizes.insert(isBatchMinor(type) ? sizes.end() : sizes.begin(), "N");
  return sizes.empty() ? "scalar" : llvm::join(sizes, "x");
}

/// " strides=2,2"; nothing for what is usual: ones, zeros, false.
static std::string attributeText(NamedAttribute attribute) {
  StringRef name = attribute.getName();
  std::string prefix = (" " + name + "=").str();
  bool isFactor = name == "strides" || name == "dilations" || name == "groups";
  const int64_t usual = isFactor ? 1 : 0;
  if (auto flag = dyn_cast<BoolAttr>(attribute.getValue()))
    return flag.getValue() ? (" " + name).str() : "";
  if (isa<UnitAttr>(attribute.getValue()))
    return (" " + name).str();
  SmallVector<int64_t> numbers;
  if (auto number = dyn_cast<IntegerAttr>(attribute.getValue()))
    numbers.push_back(number.getInt());
  else if (auto array = dyn_cast<DenseI64ArrayAttr>(attribute.getValue()))
    llvm::append_range(numbers, array.asArrayRef());
  if (llvm::all_of(numbers, [&](int64_t x) { return x == usual; }))
    return "";
  return prefix +
         llvm::join(llvm::map_range(
                        numbers, [](int64_t x) { return std::to_string(x); }),
                    ",");
}

std::string sinter::tuningKey(Operation *op, int64_t batchBound,
                              bool oneSample) {
  std::string key = op->getName().stripDialect().str();
  for (Value operand : op->getOperands())
    key += " " + shapeText(tensorTypeOf(operand));
  for (NamedAttribute attribute : op->getAttrs())
    key += attributeText(attribute);
  return key + (oneSample ? " one sample" : " N=" + std::to_string(batchBound));
}

std::string sinter::algorithmKey(Operation *op) {
  StringRef name;
  RankedTensorType from, to;
  SmallVector<int64_t> padding;
  auto take = [&](StringRef what, Value image, Value result,
                  ArrayRef<int64_t> around) {
    name = what;
    from = tensorTypeOf(image);
    to = tensorTypeOf(result);
    padding.assign(around.begin(), around.end());
  };
  constexpr StringLiteral forward = "convolution", gradient = "filter gradient";
  if (auto conv = dyn_cast<Conv2dOp>(op)) {
    if (isWinogradForm(convolutionOf(conv)))
      take(forward, conv.getX(), conv.getResult(), conv.getPadding());
  } else if (auto conv = dyn_cast<Conv2dTransposeOp>(op)) {
    if (isWinogradForm(convolutionOf(conv))) {
      take(forward, conv.getX(), conv.getResult(), conv.getPadding());
      for (int64_t &p : padding) // of the convolution that it is
        p = 2 - p;
    }
  } else if (auto conv = dyn_cast<WinogradConv2dOp>(op)) {
    take(forward, conv.getX(), conv.getResult(), conv.getPadding());
  } else if (auto conv = dyn_cast<Conv2dFilterGradientOp>(op)) {
    if (isWinogradForm(convolutionOf(conv)))
      take(gradient, conv.getX(), conv.getDy(), conv.getPadding());
  } else if (auto conv = dyn_cast<WinogradFilterGradientOp>(op)) {
    take(gradient, conv.getX(), conv.getDy(), conv.getPadding());
  }
  if (name.empty())
    return {};
  // Without the batch: layouts come later than this choice.
  auto features = [](RankedTensorType type) {
    SmallVector<std::string> sizes;
    for (int64_t size : type.getShape())
      if (!ShapedType::isDynamic(size))
        sizes.push_back(std::to_string(size));
    return llvm::join(sizes, "x");
  };
  std::string key =
      (name + " " + features(from) + " to " + features(to) + " padding=").str();
  key += llvm::join(
      llvm::map_range(padding, [](int64_t x) { return std::to_string(x); }),
      ",");
  auto model = op->getParentOfType<ModelOp>();
  return key + " N=" + std::to_string(model.getBatchBound());
}

StringRef sinter::tunedValue(Operation *op, StringRef key, StringRef knob) {
  auto model = op->getParentOfType<ModelOp>();
  auto all = model ? model->getAttrOfType<DictionaryAttr>(tuning::attribute)
                   : DictionaryAttr();
  auto kernel = all ? all.getAs<DictionaryAttr>(key) : DictionaryAttr();
  auto value = kernel ? kernel.getAs<StringAttr>(knob) : StringAttr();
  return value ? value.getValue() : StringRef();
}
