// Options.h - the command line of `sinter`.
#ifndef SINTER_FRONTEND_OPTIONS_H
#define SINTER_FRONTEND_OPTIONS_H

#include <optional>
#include <string>
#include <vector>

namespace sinter::frontend {

/// What a process says on exit; see the README.
enum ExitStatus {
  kDone = 0,
  kWrongInput = 1, // the message is on stderr
  kUsage = 2,
  kFailed = 3, // the disk is full, there is no linker, Sinter has a bug
};

enum class Command {
  Compile,
  Run,
  Summary,
  Check,
  Dump,
  Import,
  Export,
  Catalog
};

struct Options {
  Command command = Command::Summary;
  std::string spec; // path of the spec file, or of a model file
  // compile, run, check, dump
  std::string targetCpu; // empty: this machine's, or --target's oldest
  std::string target;    // triple; empty: this machine's
  bool timeReport = false;
  std::string tuning; // file; empty: beside the spec, if there is one
  bool noTuning = false;
  // compile, import, export
  std::string weights; // a file; empty: none
  std::string output;  // compile: empty means named after the model
  std::string emit = "exe";
  std::string functions = "all"; // or "predict"
  std::string runtime = "posix"; // or "none"
  bool debugInfo = false;
  bool tune = false;
  double tuneSeconds = 40;
  // export
  bool scaledInput = false;
  // dump
  std::string stage = "graph";
  std::string layer; // empty: all
  bool locations = false;
  // run: what the trainer gets
  std::vector<std::string> trainerArguments;
};

/// Fills in `options`. Returns a status if the process is to end now: after
/// --help, --version or a usage error, which has been printed.
std::optional<int> parseOptions(int argc, char **argv, Options &options);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_OPTIONS_H
