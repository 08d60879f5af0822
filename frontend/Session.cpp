// Session.cpp - loads a spec and runs the passes on it.
//
// An error that the trainability check finds is the user's (status 1). Whatever
// fails behind it is a bug of Sinter's (status 3) and says so: the spec was
// right.
#include "frontend/Session.h"

#include "codegen/Dialects.h"
#include "frontend/Dump.h"
#include "frontend/Summary.h"
#include "frontend/Tuner.h"
#include "frontend/Version.h"
#include "ir/Tuning.h"
#include "passes/Passes.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/xxhash.h"

using namespace sinter;
using namespace sinter::frontend;

// One small model: starting threads would cost more than they bring.
static constexpr auto kThreading = mlir::MLIRContext::Threading::DISABLED;

static mlir::DialectRegistry allDialects() {
  mlir::DialectRegistry registry;
  registerAllSinterDialects(registry);
  return registry;
}

Session::Session(const Options &options)
    : commandLine(options), context(allDialects(), kThreading) {
  mlir::applyDefaultTimingManagerCLOptions(clock); // --mlir-timing
  if (options.timeReport)
    clock.setEnabled(true);
  total = clock.getRootScope();
}

Session::Failure Session::load() {
  auto timer = time("Read spec");
  spec.emplace(commandLine.spec);
  if (!spec->isGood())
    return kWrongInput;
  if (!commandLine.weights.empty()) {
    auto weights =
        readWeights(commandLine.weights, spec->model(), spec->diagnostics());
    if (!weights)
      return kWrongInput;
    spec->model().setWeights(
        std::make_shared<const std::vector<ImportedWeight>>(
            std::move(*weights)));
  }
  graph = spec->model().build(context);
  if (commandLine.functions == "predict")
    graph->walk([](ModelOp model) {
      // Then the passes make no training step, and no states for it.
      model.removeLossAttr();
      model.removeOptimizerAttr();
      model.removeMetricsAttr();
    });
  handler.emplace(context, spec->diagnostics());
  std::string text;
  llvm::raw_string_ostream stream(text);
  dumpModule(stream, *graph, /*locations=*/false);
  fingerprint = llvm::xxh3_64bits(text);
  return readTuning();
}

//===----------------------------------------------------------------------===//
// Tuning
//===----------------------------------------------------------------------===//

/// LLVM's version says nothing about choices.
static constexpr llvm::StringLiteral kCompiler = "sinter " SINTER_VERSION;

std::string Session::tuningPath() const {
  return commandLine.tuning.empty() ? tuningBeside(commandLine.spec)
                                    : commandLine.tuning;
}

void Session::attach(const Choices &choices) {
  for (auto model : graph->getOps<ModelOp>())
    if (choices.empty())
      model->removeAttr(tuning::attribute);
    else
      model->setAttr(tuning::attribute, choicesAttribute(choices, context));
}

Session::Failure Session::readTuning() {
  if (commandLine.noTuning || commandLine.tune)
    return std::nullopt;
  std::string path = tuningPath();
  if (commandLine.tuning.empty() && !llvm::sys::fs::exists(path))
    return std::nullopt;
  mlir::FailureOr<TargetInfo> target =
      createTarget(graph->getLoc(), commandLine.targetCpu, commandLine.target);
  if (mlir::failed(target))
    return kUsage;
  tuningFile.emplace(path, kCompiler, target->machine->getTargetCPU());
  if (!tuningFile->isGood())
    return kWrongInput;
  attach(tuningFile->choices());
  return std::nullopt;
}

Session::Failure Session::tune() {
  auto timer = time("Tuning");
  context.enableMultithreading(); // for the parts of what is compiled
  mlir::FailureOr<TargetInfo> target =
      createTarget(graph->getLoc(), commandLine.targetCpu, commandLine.target);
  if (mlir::failed(target))
    return kUsage;
  auto toPlanned = [&](mlir::ModuleOp module) {
    return runPasses(module, Stage::Planned, timer);
  };
  TunerOptions tuner;
  tuner.seconds = commandLine.tuneSeconds;
  bool textGoesOut = commandLine.output == "-";
  mlir::FailureOr<Choices> choices = tuneModel(
      *graph, toPlanned, tuner, textGoesOut ? llvm::errs() : llvm::outs());
  if (mlir::failed(choices))
    return kFailed;

  std::string path = tuningPath();
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (!error) {
    file << writeTuning(*choices, kCompiler, target->machine->getTargetCPU());
    file.close();
    error = file.error();
    file.clear_error();
  }
  if (error) {
    spec->diagnostics().error({},
                              "cannot write " + path + ": " + error.message());
    return kFailed;
  }
  attach(*choices);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Down the pipeline
//===----------------------------------------------------------------------===//

mlir::LogicalResult Session::runPasses(mlir::ModuleOp module, Stage last,
                                       mlir::TimingScope &timer) {
  mlir::PassManager manager(&context, mlir::ModuleOp::getOperationName());
  if (mlir::failed(mlir::applyPassManagerCLOptions(manager)))
    return mlir::failure();
  manager.enableTiming(timer);
  buildPipeline(manager, last);
  return manager.run(module);
}

Session::Failure Session::runPasses(Stage last) {
  if (last == Stage::Graph)
    return std::nullopt;
  if (Failure failure = checkTrainable())
    return failure;
  auto timer = time("Passes");
  if (mlir::succeeded(runPasses(*graph, last, timer)))
    return std::nullopt;
  return reportBug();
}

Session::Failure Session::checkTrainable() {
  auto timer = time("Check");
  mlir::PassManager manager(&context, mlir::ModuleOp::getOperationName());
  if (mlir::failed(mlir::applyPassManagerCLOptions(manager)))
    return kWrongInput;
  manager.enableTiming(timer);
  manager.nest<ModelOp>().addPass(createCheckTrainable());
  if (mlir::failed(manager.run(*graph)))
    return kWrongInput;
  return std::nullopt;
}

int Session::reportBug() {
  spec->diagnostics().error({}, "Sinter failed on a model that it had found "
                                "right; this is a bug, please report it");
  return kFailed;
}

Session::Failure Session::loadTo(Stage last) {
  if (Failure failure = load())
    return failure;
  return runPasses(last);
}

Session::Failure Session::lowerToLoops() {
  auto timer = time("Lower to loops");
  mlir::FailureOr<TargetInfo> target =
      createTarget(graph->getLoc(), commandLine.targetCpu, commandLine.target);
  if (mlir::failed(target))
    return kUsage;
  mlir::FailureOr<ModelRecord> record =
      sinter::lowerToLoops(*graph, target->shape);
  if (mlir::failed(record))
    return reportBug();
  if (tuningFile)
    tuningFile->compare(*record);
  return std::nullopt;
}

Session::Failure Session::compileTo(EmitKind kind, const std::string &output) {
  auto timer = time("Code generation");
  context.enableMultithreading(); // for the parts of a linked output
  CompileOptions compile;
  compile.emit = kind;
  compile.output = output;
  compile.targetCpu = commandLine.targetCpu;
  compile.targetTriple = commandLine.target;
  compile.recipe = recipe();
  for (const Config &input : spec->spec().inputs)
    compile.inputScales.push_back(input.number("scale"));
  compile.freestanding = commandLine.runtime == "none";
  compile.debugInfo = commandLine.debugInfo;
  // First on its own: a processor that does not exist is a usage error.
  if (mlir::failed(createTarget(graph->getLoc(), compile.targetCpu,
                                compile.targetTriple)))
    return kUsage;
  ModelRecord record;
  if (mlir::failed(compileModel(*graph, compile, timer, &record)))
    return kFailed;
  if (tuningFile)
    tuningFile->compare(record);
  return std::nullopt;
}

std::string Session::recipe() {
  return writeRecipe(spec->spec(), spec->model().targets()) +
         writeTables(spec->model()) + summaryRecipe(spec->model()) +
         llvm::formatv("model.fingerprint={0:x-16}\n", fingerprint).str();
}
