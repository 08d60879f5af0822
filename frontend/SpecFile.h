// SpecFile.h - a spec file (or a model file, which stands for one) on its way
// to a model: read, checked, built.
#ifndef SINTER_FRONTEND_SPECFILE_H
#define SINTER_FRONTEND_SPECFILE_H

#include "frontend/ModelBuilder.h"

#include "mlir/IR/Diagnostics.h"

#include <system_error>
#include <variant>

namespace sinter::frontend {

/// A file's text, or the reason why there is none. Reads no more than a
/// megabyte, which is more than a spec may have: /dev/zero is a file, too.
std::variant<std::string, std::error_code> readText(const std::string &path);

/// What is left of a spec file after the frontend. Prints its reports to stderr
/// when it goes, so that errors of all steps come out together, sorted.
class SpecFile {
public:
  explicit SpecFile(const std::string &path);
  ~SpecFile();

  /// False after errors; then only diagnostics() is of use.
  bool isGood() const { return !reports->hasErrors(); }
  const Spec &spec() const { return *readSpecification; }
  ModelBuilder &model() { return *builder; }
  Diagnostics &diagnostics() { return *reports; }

private:
  std::unique_ptr<Diagnostics> reports;
  std::optional<Spec> readSpecification;
  std::optional<ModelBuilder> builder;
};

/// While it lives, what passes report about ops goes to `diagnostics`, at the
/// line of the spec from which the op stems.
class SpecDiagnosticHandler : public mlir::ScopedDiagnosticHandler {
public:
  SpecDiagnosticHandler(mlir::MLIRContext &context, Diagnostics &diagnostics);
};

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_SPECFILE_H
