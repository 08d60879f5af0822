// Session.cpp - loads a spec and runs the passes on it.
//
// An error that the trainability check finds is the user's (status 1). Whatever
// fails behind it is a bug of Sinter's (status 3) and says so: the spec was
// right.
#include "frontend/Session.h"

#include "codegen/Dialects.h"
#include "frontend/Dump.h"
#include "frontend/Summary.h"
#include "passes/Passes.h"

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
  handler.emplace(context, spec->diagnostics());
  std::string text;
  llvm::raw_string_ostream stream(text);
  dumpModule(stream, *graph, /*locations=*/false);
  fingerprint = llvm::xxh3_64bits(text);
  return std::nullopt;
}

Session::Failure Session::runPasses(Stage last) {
  auto timer = time("Passes");
  auto run = [&](auto &&addPasses) {
    mlir::PassManager manager(&context, mlir::ModuleOp::getOperationName());
    if (mlir::failed(mlir::applyPassManagerCLOptions(manager)))
      return mlir::failure();
    manager.enableTiming(timer);
    addPasses(manager);
    return manager.run(*graph);
  };
  if (last == Stage::Graph)
    return std::nullopt;
  if (mlir::failed(run([](mlir::PassManager &manager) {
        manager.nest<ModelOp>().addPass(createCheckTrainable());
      })))
    return kWrongInput;
  if (mlir::succeeded(run(
          [&](mlir::PassManager &manager) { buildPipeline(manager, last); })))
    return std::nullopt;
  return reportBug();
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
  if (mlir::failed(sinter::lowerToLoops(*graph, target->shape)))
    return reportBug();
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
  // First on its own: a processor that does not exist is a usage error.
  if (mlir::failed(createTarget(graph->getLoc(), compile.targetCpu,
                                compile.targetTriple)))
    return kUsage;
  if (mlir::failed(compileModel(*graph, compile, timer)))
    return kFailed;
  return std::nullopt;
}

std::string Session::recipe() {
  // A model file may come without a loss; then there are no targets.
  const Target target = spec->spec().loss ? spec->model().target() : Target{};
  return writeRecipe(spec->spec(), target) + summaryRecipe(spec->model()) +
         llvm::formatv("model.fingerprint={0:x-16}\n", fingerprint).str();
}
