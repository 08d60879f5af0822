// Options.cpp - CLI11 for our commands, LLVM's parser for MLIR's own flags.
//
// MLIR keeps its debugging flags (--mlir-print-ir-after-all,
// --mlir-pass-pipeline-crash-reproducer=FILE, ...) in LLVM's global option
// table. They are picked out by their prefix and handed over; everything else
// is ours. Under `run`, what we do not know belongs to the trainer.
#include "frontend/Options.h"

#include "frontend/Diagnostics.h"
#include "frontend/Version.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/CommandLine.h"

#include <CLI/CLI.hpp>

using namespace sinter::frontend;
using llvm::StringRef;

/// Moves MLIR's flags out of `arguments` into LLVM's option table. False after
/// an error, which LLVM has printed.
static bool parseMlirFlags(std::vector<std::string> &arguments) {
  std::vector<std::string> ours;
  std::vector<const char *> mlirFlags = {"sinter"};
  for (const std::string &argument : arguments)
    if (StringRef(argument).ltrim('-').starts_with("mlir-") &&
        argument[0] == '-')
      mlirFlags.push_back(argument.c_str());
    else
      ours.push_back(argument);
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  bool ok = llvm::cl::ParseCommandLineOptions(
      static_cast<int>(mlirFlags.size()), mlirFlags.data(), "", &llvm::errs());
  arguments = std::move(ours);
  return ok;
}

namespace {

/// Builds the tree of commands, with `options` behind it.
class CommandLine {
public:
  explicit CommandLine(Options &options) : options(options) {
    app.require_subcommand(1);
    app.set_version_flag("--version", versionText());
    app.footer("MLIR's flags (--mlir-print-ir-after-all, --mlir-timing, ...) "
               "work with compile, check and dump.");

    CLI::App *compile = add(Command::Compile, "compile",
                            "Make a trainer, a library or an object file");
    compile->add_option("-o,--output", options.output,
                        "File to write [named after the model]");
    compile->add_option("--emit", options.emit, "What to make")
        ->capture_default_str()
        ->check(CLI::IsMember(
            {"exe", "lib", "shared", "obj", "asm", "llvm", "mlir"}));
    compile->add_option("--weights", options.weights,
                        "Safetensors file with the weights to start from");
    compile->add_flag("--tune", options.tune,
                      "Measure on this machine how each kernel is best cut, "
                      "write the tuning file, compile with it");
    compile
        ->add_option("--tune-seconds", options.tuneSeconds,
                     "Time to measure, beside compiling")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 86400.0));
    compile
        ->add_option("--functions", options.functions,
                     "all, or only predict: no optimizer, a third of the "
                     "memory")
        ->capture_default_str()
        ->check(CLI::IsMember({"all", "predict"}));
    compile
        ->add_option("--runtime", options.runtime,
                     "What a library stands on: posix (libc, threads), or "
                     "none: freestanding (lib, obj)")
        ->capture_default_str()
        ->check(CLI::IsMember({"posix", "none"}));
    compile->add_flag("-g", options.debugInfo,
                      "Lines of the spec in libraries, for debuggers and "
                      "profilers (trainers have them)");
    addCpu(compile);
    addTriple(compile);
    addTuning(compile);
    addTimeReport(compile);

    CLI::App *run = add(Command::Run, "run",
                        "Compile into a cache, then train; further arguments "
                        "go to the trainer");
    addCpu(run);
    addTuning(run);
    run->allow_extras();

    add(Command::Summary, "summary", "Print layers, shapes and parameters");

    CLI::App *check =
        add(Command::Check, "check",
            "Check shapes, trainability and memory; generate no code");
    addTimeReport(check);

    CLI::App *dump = add(Command::Dump, "dump", "Print the model at a stage");
    dump->add_option("--stage", options.stage, "Which one")
        ->capture_default_str()
        ->check(CLI::IsMember(
            {"graph", "train", "fused", "planned", "loops", "llvm", "asm"}));
    dump->add_option("--layer", options.layer,
                     "Only what stems from this layer (graph to loops)");
    dump->add_flag("--locations", options.locations,
                   "Show layer and spec line of each op");
    addCpu(dump);
    addTriple(dump);
    addTuning(dump);
    addTimeReport(dump);

    CLI::App *import = add(Command::Import, "import",
                           "Make a spec and weights of a file of Keras (.h5, "
                           ".keras, .json) or ONNX (.onnx)",
                           "FILE", "Model file");
    import->add_option("-o,--output", options.output, "Folder to write into")
        ->required();
    import->add_option("--weights", options.weights,
                       "Weights (.h5) for an architecture without (.json)");

    CLI::App *exporter = app.add_subcommand(
        "export", "Write a network as a file of Keras, NumPy or ONNX");
    exporter->add_option("--spec", options.spec, "Model spec (YAML)")
        ->required();
    exporter->add_option("--weights", options.weights,
                         "Safetensors file [the spec's own]");
    exporter
        ->add_option("-o,--output", options.output,
                     "File to write: .h5, .keras, .npz or .onnx")
        ->required();
    exporter->add_flag(
        "--scaled-input", options.scaledInput,
        "ONNX: leave the input's 'scale' to those who run the model. Without "
        "this the model takes what 'predict' takes, and scales it itself");
    exporter->callback([&options] { options.command = Command::Export; });

    // Documentation is generated from the tables that check specs.
    app.add_subcommand("catalog",
                       "Print every layer, loss, optimizer, ... of a spec")
        ->callback([&options] { options.command = Command::Catalog; });
  }

  std::optional<int> parse(std::vector<std::string> arguments) {
    if (!arguments.empty() && !isCommandOrFlag(arguments[0]))
      return kUsage;
    // CLI11 takes its arguments from the back.
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(std::move(arguments));
    } catch (const CLI::ParseError &error) {
      return app.exit(error) == 0 ? kDone : kUsage;
    }
    options.trainerArguments = app.remaining(/*recurse=*/true);
    bool isText = options.stage == "llvm" || options.stage == "asm";
    if (!options.layer.empty() && isText) {
      llvm::errs() << "--layer: expected a stage from graph to loops, got "
                   << options.stage << "\n";
      return kUsage;
    }
    bool isForeign = !options.target.empty() || (!options.targetCpu.empty() &&
                                                 options.targetCpu != "native");
    if (options.tune && isForeign) {
      llvm::errs() << "--tune: measures on this machine; expected no "
                      "--target-cpu and no --target\n";
      return kUsage;
    }
    if (options.noTuning && (options.tune || !options.tuning.empty())) {
      llvm::errs() << "--no-tuning: expected neither --tune nor --tuning\n";
      return kUsage;
    }
    if (options.runtime == "none" && options.command == Command::Compile &&
        (options.emit == "exe" || options.emit == "shared")) {
      llvm::errs() << "--runtime none: expected --emit lib or obj, got "
                   << options.emit << "\n";
      return kUsage;
    }
    return std::nullopt;
  }

private:
  /// CLI11 would only say that a command is missing.
  bool isCommandOrFlag(const std::string &word) {
    std::vector<StringRef> commands;
    for (const CLI::App *command :
         app.get_subcommands([](const CLI::App *) { return true; }))
      commands.push_back(command->get_name());
    if (StringRef(word).starts_with("-") || llvm::is_contained(commands, word))
      return true;
    std::string hint = didYouMean(word, commands);
    if (hint.empty())
      hint = "; expected one of " + joinNames(commands);
    llvm::errs() << "unknown command '" << printable(word) << "'" << hint
                 << "\n";
    return false;
  }

  CLI::App *add(Command command, const char *name, const char *help,
                const char *file = "SPEC",
                const char *what = "Model spec (YAML), or a model file") {
    CLI::App *result = app.add_subcommand(name, help);
    result->add_option(file, options.spec, what)->required();
    result->callback([this, command] { options.command = command; });
    return result;
  }

  void addCpu(CLI::App *command) {
    command->add_option("--target-cpu", options.targetCpu,
                        "Processor to compile for [native]");
  }
  void addTriple(CLI::App *command) {
    command->add_option("--target", options.target,
                        "Target triple [this machine's]");
  }
  void addTuning(CLI::App *command) {
    command->add_option("--tuning", options.tuning,
                        "Tuning file [SPEC's name with .tuning, if it exists]");
    command->add_flag("--no-tuning", options.noTuning,
                      "Use none, even if there is one");
  }
  void addTimeReport(CLI::App *command) {
    command->add_flag("--time-report", options.timeReport,
                      "Print where compile time went");
  }

  Options &options;
  CLI::App app{"Compiles neural networks to native code", "sinter"};
};

} // namespace

std::optional<int> sinter::frontend::parseOptions(int argc, char **argv,
                                                  Options &options) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!parseMlirFlags(arguments))
    return kUsage;
  return CommandLine(options).parse(std::move(arguments));
}
