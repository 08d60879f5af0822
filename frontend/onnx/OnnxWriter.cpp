// OnnxWriter.cpp - weights into the model's order, layers through their rules.
#include "frontend/onnx/OnnxWriter.h"

#include "frontend/Layers.h"
#include "frontend/Masks.h"
#include "frontend/ModelExport.h"
#include "frontend/onnx/OnnxRules.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::formatv;

/// The weights as the model's parameters stand; nothing after errors.
static std::optional<std::vector<const ImportedWeight *>>
inModelOrder(const ModelBuilder &model, ArrayRef<ImportedWeight> weights,
             Diagnostics &diagnostics) {
  llvm::StringMap<const ImportedWeight *> byName;
  for (const ImportedWeight &weight : weights)
    byName[weight.name] = &weight;
  std::vector<const ImportedWeight *> result;
  bool good = true;
  auto fail = [&](std::string message) {
    diagnostics.error({}, std::move(message));
    good = false;
  };
  for (const LayerRecord &layer : model.layers())
    for (const Parameter &parameter : layer.parameters) {
      const ImportedWeight *weight = byName.lookup(parameter.name);
      if (!weight)
        fail(formatv("expected weights '{0}' of shape {1}, found none",
                     parameter.name, toText(parameter.shape)));
      else if (weight->shape != parameter.shape)
        fail(formatv("expected weights '{0}' of shape {1}, got {2}",
                     parameter.name, toText(parameter.shape),
                     toText(weight->shape)));
      result.push_back(weight);
    }
  if (!good)
    return std::nullopt;
  return result;
}

/// What a file may have, as protobuf counts.
static constexpr int64_t kMostBytes = 2147483647;

static void reportSize(Diagnostics &diagnostics) {
  diagnostics.error({}, formatv("expected a model of less than {0} bytes, more "
                                "than which a file of ONNX cannot hold",
                                kMostBytes));
}

std::optional<std::string> sinter::frontend::writeOnnx(
    const ModelBuilder &model, ArrayRef<ImportedWeight> weights,
    const OnnxOptions &options, Diagnostics &diagnostics) {
  auto ordered = inModelOrder(model, weights, diagnostics);
  if (!ordered)
    return std::nullopt;
  int64_t bytes = 0; // before they are there another two times
  for (const ImportedWeight *weight : *ordered)
    bytes += 4 * *countElements(weight->shape);
  if (bytes > kMostBytes) {
    reportSize(diagnostics);
    return std::nullopt;
  }

  OnnxGraph graph(model.name(), options.version);
  OnnxEmitter emitter(graph, model, *ordered);
  std::string scales;
  size_t next = 0;
  for (; next < model.layers().size(); ++next) {
    const LayerRecord &input = model.layers()[next];
    if (input.config.name != "input")
      break;
    const double scale = input.config.number("scale");
    emitter.emitInput(next, options.scaledInput ? 1 : scale);
    if (scale != 1)
      scales += formatv("{0}{1}", scales.empty() ? "" : "; ",
                        formatv(options.scaledInput
                                    ? "'{0}' is to be multiplied by {1} before "
                                      "it gets here"
                                    : "'{0}' is raw; the model multiplies it "
                                      "by {1}",
                                input.name, scale))
                    .str();
  }
  for (; next < model.layers().size(); ++next) {
    emitter.beginLayer(next);
    const LayerRecord &layer = model.layers()[next];
    if (heedsMasks(layer.config) && llvm::any_of(layer.inputs, [&](Tensor x) {
          return model.layers()[x.layer()].masked;
        }))
      emitter.refuse("ONNX has no masks of steps, which it reads");
    else
      findOnnxRule(layer.config.name)->emit(emitter);
  }
  for (const std::string &refusal : emitter.refusals())
    diagnostics.error({}, refusal);
  if (!emitter.refusals().empty())
    return std::nullopt;
  emitter.emitOutputs();
  if (!scales.empty())
    graph.setDescription(scales);
  std::string file = graph.serialize();
  if (file.empty()) {
    reportSize(diagnostics);
    return std::nullopt;
  }
  return file;
}

ExportResult sinter::frontend::exportOnnx(const ExportSource &source,
                                          const std::string &path,
                                          Diagnostics &diagnostics) {
  auto bytes = writeOnnx(source.model, source.weights,
                         {source.scaledInput, SINTER_VERSION}, diagnostics);
  if (!bytes)
    return ExportResult::Refused;
  return writeFile(path, *bytes, diagnostics) ? ExportResult::Done
                                              : ExportResult::NotWritten;
}
