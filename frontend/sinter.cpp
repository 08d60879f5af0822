// sinter.cpp - the program: one function for each command.
//
//   sinter compile SPEC [-o OUT] [--emit KIND]    sinter check SPEC
//   sinter run SPEC [trainer flags]               sinter dump SPEC --stage S
//   sinter summary SPEC                           sinter catalog
//   sinter import FILE -o DIR                     sinter export --spec SPEC
//
// Each command takes the spec through a Session as far down the pipeline as it
// needs and prints what it found. Messages about the spec are collected there
// and come out sorted at the end.
#include "frontend/Cache.h"
#include "frontend/Catalog.h"
#include "frontend/Dump.h"
#include "frontend/Import.h"
#include "frontend/Report.h"
#include "frontend/Session.h"
#include "frontend/Summary.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SHA256.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

using namespace sinter;
using namespace sinter::frontend;

static int summary(const Options &options) {
  SpecFile file(options.spec);
  if (!file.isGood())
    return kWrongInput;
  printSummary(llvm::outs(), file.model());
  return kDone;
}

static int check(const Options &options) {
  Session session(options);
  if (auto failure = session.loadTo(Stage::Planned))
    return *failure;
  printReport(llvm::outs(), session.file().model(), session.module());
  return kDone;
}

/// Prints what the session's module is, or the part of one layer.
static int dumpStage(Session &session) {
  const Options &options = session.options();
  if (options.layer.empty()) {
    dumpModule(llvm::outs(), session.module(), options.locations);
    return kDone;
  }
  if (dumpLayer(llvm::outs(), session.module(), options.layer,
                options.locations))
    return kDone;
  std::vector<llvm::StringRef> names;
  for (const LayerRecord &layer : session.file().model().layers())
    names.push_back(layer.name);
  session.file().diagnostics().error(
      {}, "no layer '" + options.layer + "' at the " + options.stage +
              " stage" + didYouMean(options.layer, names));
  return kWrongInput;
}

static int dump(const Options &options) {
  Session session(options);
  const auto stage = llvm::StringSwitch<Stage>(options.stage)
                         .Case("graph", Stage::Graph)
                         .Case("train", Stage::Train)
                         .Case("fused", Stage::Fused)
                         .Default(Stage::Planned);
  if (auto failure = session.loadTo(stage))
    return *failure;
  if (options.stage == "llvm" || options.stage == "asm")
    return session.compileTo(*parseEmitKind(options.stage), "-")
        .value_or(kDone);
  if (options.stage == "loops")
    if (auto failure = session.lowerToLoops())
      return *failure;
  return dumpStage(session);
}

static int compile(const Options &options) {
  Session session(options);
  if (auto failure = session.load())
    return *failure;
  if (options.tune) {
    if (auto failure = session.checkTrainable())
      return *failure;
    if (auto failure = session.tune())
      return *failure;
  }
  if (auto failure = session.runPasses(Stage::Planned))
    return *failure;
  EmitKind kind = *parseEmitKind(options.emit);
  if (kind == EmitKind::Executable && !session.file().spec().data.train &&
      options.functions != "predict")
    session.file().diagnostics().warning(
        {}, "no 'data' section: the program can predict, but not train");
  std::string output = options.output;
  if (output.empty())
    output = defaultOutput(kind, session.file().model().name());
  return session.compileTo(kind, output).value_or(kDone);
}

/// The graph as text leaves long tensors out.
static std::string hashOfWeights(const ModelBuilder &model) {
  llvm::SHA256 hash;
  if (model.weights())
    for (const ImportedWeight &weight : *model.weights())
      hash.update(
          llvm::StringRef(reinterpret_cast<const char *>(weight.values.data()),
                          weight.values.size() * sizeof(float)));
  return llvm::toHex(hash.final());
}

/// Compiles the trainer of a spec unless the cache has it. Returns its path, or
/// nothing, with `status` set, after errors.
static std::optional<std::string> makeTrainer(const Options &options,
                                              int &status) {
  Session session(options);
  auto fail = [&](Session::Failure failure) {
    status = failure.value_or(kFailed);
    return std::nullopt;
  };
  if (auto failure = session.load())
    return fail(failure);
  Diagnostics &diagnostics = session.file().diagnostics();
  if (!session.file().spec().data.train) {
    diagnostics.error({}, "missing key 'data' (what to train on)");
    return fail(kWrongInput);
  }
  std::string graph;
  llvm::raw_string_ostream stream(graph);
  dumpModule(stream, session.module(), /*locations=*/true);
  llvm::Expected<std::string> path =
      cachedTrainer(session.file().model().name(),
                    {graph, session.recipe(), options.targetCpu,
                     hashOfWeights(session.file().model())});
  if (!path) {
    diagnostics.error({}, llvm::toString(path.takeError()));
    return fail(kFailed);
  }
  if (llvm::sys::fs::can_execute(*path))
    return *path;

  if (auto failure = session.runPasses(Stage::Planned))
    return fail(failure);
  std::string draft = *path + "." + std::to_string(getpid());
  if (auto failure = session.compileTo(EmitKind::Executable, draft))
    return fail(failure);
  if (std::error_code error = llvm::sys::fs::rename(draft, *path)) {
    diagnostics.error({}, "cannot write " + *path + ": " + error.message());
    return fail(kFailed);
  }
  return *path;
}

static int run(const Options &options) {
  int status = kFailed;
  std::optional<std::string> trainer = makeTrainer(options, status);
  if (!trainer)
    return status;
  std::vector<std::string> words = {*trainer, "train"};
  llvm::append_range(words, options.trainerArguments);
  std::vector<char *> arguments;
  for (std::string &word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(trainer->c_str(), arguments.data()); // returns only on failure
  llvm::errs() << "cannot run " << *trainer << ": " << std::strerror(errno)
               << "\n";
  return kFailed;
}

static int runCommand(const Options &options) {
  switch (options.command) {
  case Command::Compile:
    return compile(options);
  case Command::Run:
    return run(options);
  case Command::Summary:
    return summary(options);
  case Command::Check:
    return check(options);
  case Command::Dump:
    return dump(options);
  case Command::Import:
    return importCommand(options);
  case Command::Export:
    return exportCommand(options);
  case Command::Catalog:
    printCatalog(llvm::outs());
    return kDone;
  }
  llvm_unreachable("all commands are listed");
}

int main(int argc, char **argv) {
  Options options;
  if (std::optional<int> status = parseOptions(argc, argv, options))
    return *status;
  int status = runCommand(options);
  // LLVM would abort over output that could not be written.
  llvm::outs().flush();
  if (!llvm::outs().has_error())
    return status;
  llvm::errs() << "cannot write to stdout: " << llvm::outs().error().message()
               << "\n";
  llvm::outs().clear_error();
  return kFailed;
}
