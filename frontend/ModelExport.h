// ModelExport.h - a network with its weights as a file for other programs.
#ifndef SINTER_FRONTEND_MODELEXPORT_H
#define SINTER_FRONTEND_MODELEXPORT_H

#include "frontend/ModelBuilder.h"

namespace sinter::frontend {

/// What a file is made of. `weights` is in the order of the model's parameters.
struct ExportSource {
  const Spec &spec;
  const ModelBuilder &model;
  const std::vector<ImportedWeight> &weights;
  /// ONNX: `input.scale` is left to those who run the model.
  bool scaledInput = false;
};

/// Anything but Done has been reported.
enum class ExportResult {
  Done,
  Refused,    // the form cannot hold this model, or there is no such form
  NotWritten, // the disk is full, ...
};

/// Writes `path` in the form that its ending says (.h5, .keras, .npz, .onnx). After a
/// failure a file that was there before is as it was.
ExportResult exportModel(const ExportSource &source, const std::string &path,
                         Diagnostics &diagnostics);

/// Replaces the file `path` in one step. False after reporting.
bool writeFile(const std::string &path, llvm::StringRef bytes,
               Diagnostics &diagnostics);

// The forms, each in its own file.
ExportResult exportKerasHdf5(const ExportSource &source,
                             const std::string &path, Diagnostics &diagnostics);
ExportResult exportKerasArchive(const ExportSource &source,
                                const std::string &path,
                                Diagnostics &diagnostics);
ExportResult exportOnnx(const ExportSource &source, const std::string &path,
                        Diagnostics &diagnostics);
ExportResult exportNpz(const ExportSource &source, const std::string &path,
                       Diagnostics &diagnostics);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_MODELEXPORT_H
