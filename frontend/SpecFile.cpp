// SpecFile.cpp - reads a spec file and collects all that is said about it.
#include "frontend/SpecFile.h"

#include "frontend/ImportedModel.h"
#include "frontend/SpecBuilder.h"
#include "frontend/YamlReader.h"

#include "mlir/IR/Location.h"

#include <cerrno>
#include <cstdio>
#include <system_error>

using namespace sinter::frontend;

std::variant<std::string, std::error_code>
sinter::frontend::readText(const std::string &path) {
  std::FILE *file = std::fopen(path.c_str(), "rb");
  if (!file)
    return std::error_code(errno, std::generic_category());
  std::string text(1 << 20, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  int error = std::ferror(file) ? errno : 0; // a folder can be opened
  std::fclose(file);
  if (error != 0)
    return std::error_code(error, std::generic_category());
  return text;
}

SpecFile::SpecFile(const std::string &path) {
  if (isModelFile(path)) {
    reports = std::make_unique<Diagnostics>(path);
    std::optional<ImportedModel> model = importModel(path, {}, *reports);
    if (!model)
      return;
    readSpecification = toSpec(std::move(*model));
    builder.emplace(readSpecification->name, *reports);
    buildSpec(*readSpecification, *builder);
    return;
  }
  auto content = readText(path);
  if (const auto *error = std::get_if<std::error_code>(&content)) {
    reports = std::make_unique<Diagnostics>(path);
    reports->error({}, "cannot read the spec: " + error->message());
    return;
  }
  const std::string &text = std::get<std::string>(content);
  reports = std::make_unique<Diagnostics>(path, text);
  readSpecification = readSpec(text, *reports);
  builder.emplace(readSpecification->name, *reports);
  buildSpec(*readSpecification, *builder);
}

SpecFile::~SpecFile() { reports->print(llvm::errs()); }

static SourceLoc specLocOf(mlir::Location loc) {
  auto found = loc->findInstanceOf<mlir::FileLineColLoc>();
  return found ? SourceLoc{found.getLine(), found.getColumn()} : SourceLoc{};
}

SpecDiagnosticHandler::SpecDiagnosticHandler(mlir::MLIRContext &context,
                                             Diagnostics &diagnostics)
    : ScopedDiagnosticHandler(&context) {
  // A message about the spec, not about our IR.
  context.printOpOnDiagnostic(false);
  setHandler([&diagnostics](mlir::Diagnostic &diagnostic) {
    std::string message = diagnostic.str();
    for (mlir::Diagnostic &note : diagnostic.getNotes())
      message += "; " + note.str();
    SourceLoc loc = specLocOf(diagnostic.getLocation());
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
      diagnostics.error(loc, std::move(message));
    else
      diagnostics.warning(loc, std::move(message));
    return mlir::success();
  });
}
