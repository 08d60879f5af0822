// Session.h - one spec on its way down the pipeline.
//
// Holds what the commands share: the spec file, the MLIR context, the module
// and the clock of --time-report. A step returns the status to exit with if it
// failed, so that a command reads as a list of steps.
#ifndef SINTER_FRONTEND_SESSION_H
#define SINTER_FRONTEND_SESSION_H

#include "frontend/Options.h"
#include "frontend/SpecFile.h"
#include "frontend/TuningFile.h"

#include "codegen/Compile.h"
#include "passes/Pipeline.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/Timing.h"

namespace sinter::frontend {

class Session {
public:
  explicit Session(const Options &options);

  /// The status to exit with, or nothing after success.
  using Failure = std::optional<int>;

  /// Checks the spec and builds the graph stage, with the choices of the tuning
  /// file, if there is one (ir/Tuning.h).
  Failure load();
  /// Measures which choices are best, writes them to the tuning file, and gives
  /// them to the graph stage instead of those that it had.
  Failure tune();
  /// Can the model of the graph stage train, if it says that it does?
  Failure checkTrainable();
  /// From the graph stage to `last`.
  Failure runPasses(sinter::Stage last);
  /// load() and runPasses().
  Failure loadTo(sinter::Stage last);
  /// From the planned stage to the loops stage.
  Failure lowerToLoops();
  /// From the planned stage to a file ("-" is stdout). Uses the module up.
  Failure compileTo(sinter::EmitKind kind, const std::string &output);

  /// What a trainer is told.
  std::string recipe();

  mlir::ModuleOp module() { return *graph; }
  SpecFile &file() { return *spec; }
  const Options &options() const { return commandLine; }

private:
  mlir::TimingScope time(llvm::StringRef name) { return total.nest(name); }
  Failure readTuning();
  mlir::LogicalResult runPasses(mlir::ModuleOp module, sinter::Stage last,
                                mlir::TimingScope &timer);
  void attach(const Choices &choices);
  /// Where --tune writes.
  std::string tuningPath() const;
  /// Reports that passes failed on a model that was right.
  int reportBug();

  const Options &commandLine;
  mlir::DefaultTimingManager clock;
  mlir::TimingScope total;
  mlir::MLIRContext context;
  std::optional<SpecFile> spec;
  std::optional<SpecDiagnosticHandler> handler;
  /// Of the graph stage: tells whether a checkpoint is of the same network.
  uint64_t fingerprint = 0;
  mlir::OwningOpRef<mlir::ModuleOp> graph;
  std::optional<TuningFile> tuningFile;
};

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_SESSION_H
