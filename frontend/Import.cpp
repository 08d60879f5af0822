// Import.cpp - `sinter import` and `sinter export`.
//
//   sinter import model.h5 -o DIR     DIR/spec.yaml, DIR/weights.safetensors
//   sinter export --spec DIR/spec.yaml --weights DIR/weights.safetensors
//                 -o again.h5
#include "frontend/Import.h"

#include "frontend/ModelExport.h"
#include "frontend/SpecFile.h"
#include "frontend/SpecWriter.h"
#include "frontend/YamlTree.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace sinter::frontend;

static std::string inFolder(const std::string &folder, const char *name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

/// Prints what is collected, and tells the status.
static int finish(const Diagnostics &diagnostics, int failure) {
  diagnostics.print(llvm::errs());
  return diagnostics.hasErrors() ? failure : kDone;
}

int sinter::frontend::importCommand(const Options &options) {
  Diagnostics diagnostics(options.spec);
  std::optional<ImportedModel> model =
      importModel(options.spec, {options.weights}, diagnostics);
  if (!model)
    return finish(diagnostics, kWrongInput);
  const std::string text =
      writeSpec(*model, llvm::sys::path::filename(options.spec));
  Diagnostics bounds(options.spec);
  if (!parseYaml(text, bounds)) {
    diagnostics.error({}, "the network has " +
                              std::to_string(model->layers.size()) +
                              " layers, more than a spec can hold; `sinter "
                              "compile` takes the file itself");
    return finish(diagnostics, kWrongInput);
  }
  if (std::error_code error = llvm::sys::fs::create_directories(
          options.output, /*IgnoreExisting=*/true,
          llvm::sys::fs::perms::all_all)) {
    diagnostics.error({}, "cannot make the folder " + options.output + ": " +
                              error.message());
    return finish(diagnostics, kFailed);
  }
  const std::string spec = inFolder(options.output, "spec.yaml"),
                    weights = inFolder(options.output, "weights.safetensors");
  size_t count = 0;
  for (const ImportedWeight &weight : model->weights)
    count += weight.values.size();
  bool ok = writeFile(spec, text, diagnostics);
  if (!model->weights.empty())
    ok = ok && writeWeights(weights, model->weights, diagnostics);
  if (ok)
    llvm::outs() << "wrote " << spec
                 << (model->weights.empty()
                         ? std::string(" (the file has no weights)")
                         : " and " + weights)
                 << ": " << model->layers.size() << " layers, " << count
                 << " numbers\n";
  return finish(diagnostics, kFailed);
}

int sinter::frontend::exportCommand(const Options &options) {
  SpecFile file(options.spec);
  if (!file.isGood() || !file.model().check())
    return kWrongInput;
  std::vector<ImportedWeight> weights;
  if (!options.weights.empty()) {
    auto read = readWeights(options.weights, file.model(), file.diagnostics());
    if (!read)
      return kWrongInput;
    weights = std::move(*read);
  } else if (file.model().weights()) {
    weights = *file.model().weights();
  } else if (llvm::any_of(file.model().layers(), [](const LayerRecord &layer) {
               return !layer.parameters.empty();
             })) {
    file.diagnostics().error(
        {}, "expected --weights FILE: the spec has no weights of its own");
    return kWrongInput;
  }
  const ExportSource source{file.spec(), file.model(), weights,
                            options.scaledInput};
  switch (exportModel(source, options.output, file.diagnostics())) {
  case ExportResult::Done:
    return kDone;
  case ExportResult::Refused:
    return kWrongInput;
  case ExportResult::NotWritten:
    break;
  }
  return kFailed;
}
