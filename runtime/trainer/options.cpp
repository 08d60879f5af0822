// options.cpp - two tables, of commands and of flags, and their reader.
//
// A flag is one row: name, value, which commands take it, what it does. Help,
// errors and suggestions all come from the rows. `--flag value` and
// `--flag=value` are the same.
#include "runtime/trainer/options.h"

#include "runtime/trainer/numbers.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

namespace sinter::trainer {

namespace {

struct CommandRow {
  Command command;
  const char *name, *help;
};

const CommandRow commandRows[] = {
    {Command::Train, "train", "train the model on data.train"},
    {Command::Evaluate, "evaluate", "loss and metrics of weights on data.test"},
    {Command::Predict, "predict", "run the model on an input file"},
    {Command::CrossValidate, "cross-validate",
     "train and evaluate on k folds of data.train"},
    {Command::Info, "info", "parameters, memory, kernels and their work"},
    {Command::Benchmark, "benchmark", "time a step and each of its kernels"},
};

constexpr unsigned bit(Command command) {
  return 1u << static_cast<unsigned>(command);
}
constexpr unsigned train = bit(Command::Train),
                   evaluate = bit(Command::Evaluate),
                   predict = bit(Command::Predict),
                   crossValidate = bit(Command::CrossValidate),
                   info = bit(Command::Info),
                   benchmark = bit(Command::Benchmark);
constexpr unsigned trains = train | crossValidate;

struct FlagRow {
  const char *name;
  const char *value; // what to call its value; null for a switch
  unsigned commands, requiredBy;
  const char *help;
  /// Null, or what was expected instead of `text`.
  const char *(*set)(Options &options, const char *text);
};

template <std::string Options::*field>
const char *setText(Options &options, const char *text) {
  options.*field = text;
  return *text ? nullptr : "a file name";
}

template <bool Options::*field>
const char *setSwitch(Options &options, const char *) {
  options.*field = true;
  return nullptr;
}

template <std::optional<int64_t> Options::*field, int64_t least>
const char *setNumber(Options &options, const char *text) {
  int64_t value;
  if (!parseInteger(text, value) || value < least || value > INT32_MAX)
    return least == 0 ? "a whole number from 0 to 2147483647"
                      : "a whole number from 1 to 2147483647";
  options.*field = value;
  return nullptr;
}

const char *addInput(Options &options, const char *text) {
  options.inputs.push_back(text);
  return *text ? nullptr : "a file name";
}

const char *setThreads(Options &options, const char *text) {
  int64_t value;
  if (!parseInteger(text, value) || value < 1 || value > 1024)
    return "a whole number from 1 to 1024";
  options.threads = static_cast<int>(value);
  return nullptr;
}

const char *setFolds(Options &options, const char *text) {
  if (!parseInteger(text, options.folds) || options.folds < 2 ||
      options.folds > INT32_MAX)
    return "a whole number of at least 2";
  return nullptr;
}

const char *setFunction(Options &options, const char *text) {
  options.function = text;
  for (const char *known : {"predict", "eval_step", "train_step"})
    if (options.function == known)
      return nullptr;
  return "predict, eval_step or train_step";
}

/// "500" steps or "30s".
const char *setCheckpointEvery(Options &options, const char *text) {
  std::string number = text;
  const bool isSeconds = !number.empty() && number.back() == 's';
  if (isSeconds)
    number.pop_back();
  int64_t value;
  if (!parseInteger(number.c_str(), value) || value < 1 || value > INT32_MAX)
    return "a number of steps (500) or of seconds (30s)";
  options.checkpointsWithinEpochs = true;
  options.checkpointSteps = isSeconds ? 0 : value;
  options.checkpointSeconds = static_cast<double>(value);
  return nullptr;
}

const FlagRow flagRows[] = {
    {"--data", "DIR", trains | evaluate, 0,
     "where the data files are (default: here)", setText<&Options::data>},
    {"--weights", "FILE", evaluate | predict, evaluate | predict,
     "safetensors file to use (default: the weights compiled in, if any)",
     setText<&Options::weights>},
    {"--input", "FILE", predict, predict,
     "idx, npy, npz, csv, png or ppm file to read; of several inputs one npz "
     "archive, or NAME=FILE for each",
     addInput},
    {"--output", "FILE", predict, predict,
     "npy, npz or csv file to write; npz for several outputs",
     setText<&Options::output>},
    {"--argmax", nullptr, predict, 0,
     "write the class of each record, not its probabilities",
     setSwitch<&Options::argmax>},
    {"--folds", "N", crossValidate, 0, "parts of the data (default: 5)",
     setFolds},
    {"--shuffle-folds", nullptr, crossValidate, 0,
     "folds of a random order (the seed's), not of the file's",
     setSwitch<&Options::shuffleFolds>},
    {"--epochs", "N", trains, 0, "passes over the training data",
     setNumber<&Options::epochs, 1>},
    {"--batch-size", "N", trains | evaluate | benchmark, 0, "samples in a step",
     setNumber<&Options::batchSize, 1>},
    {"--threads", "N", trains | evaluate | predict | benchmark, 0,
     "threads to use (default: every CPU)", setThreads},
    {"--function", "NAME", benchmark, 0,
     "predict, eval_step or train_step (default: train_step)", setFunction},
    {"--repeat", "N", benchmark, 0,
     "rounds to take the medians of (default: a second of them, at least 3)",
     setNumber<&Options::repeat, 1>},
    {"--seed", "N", trains, 0, "seed of weights, order and dropout",
     setNumber<&Options::seed, 0>},
    {"--no-shuffle", nullptr, trains, 0, "keep the order of the data",
     setSwitch<&Options::noShuffle>},
    {"--init", "FILE", trains, 0, "weights to start from",
     setText<&Options::init>},
    {"--save", "FILE", train, 0, "where to write the trained weights",
     setText<&Options::save>},
    {"--history", "FILE", train, 0,
     "where to write each epoch's figures (.json or .csv)",
     setText<&Options::history>},
    {"--report", "FILE", train, 0, "where to write a page on the run (.html)",
     setText<&Options::report>},
    {"--no-validation", nullptr, train, 0,
     "do not evaluate after each epoch; a split stays unused",
     setSwitch<&Options::noValidation>},
    {"--checkpoint-dir", "DIR", train, 0,
     "keep a checkpoint there: after each epoch, on SIGINT and SIGTERM, and "
     "as --checkpoint-every says",
     setText<&Options::checkpointDirectory>},
    {"--checkpoint-every", "N", train, 0,
     "within an epoch, too: every N steps, or every Ns seconds (default: 60s)",
     setCheckpointEvery},
    {"--resume", nullptr, train, 0,
     "go on from the checkpoint, with the same flags; without one, start",
     setSwitch<&Options::resume>},
    {"--confusion", nullptr, evaluate, 0,
     "count how often each class was taken for each other",
     setSwitch<&Options::confusion>},
    {"--quiet", nullptr, trains, 0, "print errors only",
     setSwitch<&Options::quiet>},
    {"--json", nullptr, trains | evaluate | info | benchmark, 0,
     "print the result as JSON, and nothing else", setSwitch<&Options::json>},
};

/// Levenshtein's distance.
size_t editDistance(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// Collects names and proposes the one that was probably meant.
class Suggestion {
public:
  explicit Suggestion(const std::string &found) : found(found) {}

  void consider(const char *name) {
    size_t distance = editDistance(found, name);
    if (distance < least) {
      least = distance;
      nearest = name;
    }
  }

  /// "; did you mean '...'?" or nothing.
  std::string text() const {
    return nearest.empty() ? "" : "; did you mean '" + nearest + "'?";
  }

private:
  const std::string found;
  size_t least = 4; // farther away is no misspelling
  std::string nearest;
};

const char *programName(const char *path) {
  const char *slash = std::strrchr(path, '/');
  return slash ? slash + 1 : path;
}

std::string helpForAll(const char *program) {
  std::string text = format("usage: %s COMMAND [flags]\n\n", program);
  for (const CommandRow &row : commandRows)
    text += format("  %-16s%s\n", row.name, row.help);
  text += format("\n%s COMMAND --help lists the flags of a command.\n"
                 "Exit status: 0 done, 1 wrong input, 2 wrong usage, 3 the "
                 "run failed or was interrupted.\n",
                 program);
  return text;
}

/// Whether the command does not work without the flag.
bool isRequired(const FlagRow &flag, Command command, const Options &options) {
  return (flag.requiredBy & bit(command)) &&
         !(options.modelHasWeights && std::strcmp(flag.name, "--weights") == 0);
}

std::string helpFor(const char *program, const CommandRow &command,
                    const Options &options) {
  std::string required, flags;
  for (const FlagRow &flag : flagRows) {
    if (!(flag.commands & bit(command.command)))
      continue;
    std::string name = flag.name;
    if (flag.value)
      name += std::string(" ") + flag.value;
    flags += format("  %-22s%s\n", name.c_str(), flag.help);
    if (isRequired(flag, command.command, options))
      required += " " + name;
  }
  return format("usage: %s %s%s [flags]\n\n%s\n\n%s", program, command.name,
                required.c_str(), command.help, flags.c_str());
}

bool isHelp(const char *argument) {
  return std::strcmp(argument, "--help") == 0 ||
         std::strcmp(argument, "-h") == 0;
}

const CommandRow *findCommand(const char *name) {
  for (const CommandRow &row : commandRows)
    if (std::strcmp(row.name, name) == 0)
      return &row;
  return nullptr;
}

Error unknownCommand(const char *found) {
  Suggestion suggestion(found);
  std::string names;
  for (const CommandRow &row : commandRows) {
    suggestion.consider(row.name);
    names += &row == commandRows                 ? ""
             : &row == std::end(commandRows) - 1 ? " or "
                                                 : ", ";
    names += row.name;
  }
  return wrongUsage("expected a command (%s), got '%s'%s", names.c_str(), found,
                    suggestion.text().c_str());
}

const FlagRow *findFlag(const std::string &name, Command command) {
  for (const FlagRow &row : flagRows)
    if (name == row.name && (row.commands & bit(command)))
      return &row;
  return nullptr;
}

Error unknownFlag(const std::string &found, const CommandRow &command) {
  Suggestion suggestion(found);
  for (const FlagRow &row : flagRows)
    if (row.commands & bit(command.command))
      suggestion.consider(row.name);
  return wrongUsage("%s: unknown flag '%s'%s", command.name, found.c_str(),
                    suggestion.text().c_str());
}

/// One flag and its value, which may be the next argument.
Error parseFlag(const CommandRow &command, const char *const *&next,
                const char *const *end, Options &options,
                std::vector<const FlagRow *> &given) {
  const char *argument = *next++;
  const char *equals = std::strchr(argument, '=');
  const std::string name =
      equals ? std::string(argument, equals) : std::string(argument);
  const FlagRow *flag = findFlag(name, command.command);
  if (!flag)
    return unknownFlag(name, command);
  const char *value = equals ? equals + 1 : nullptr;
  if (flag->value && !value && next != end)
    value = *next++;
  if (flag->value && !value)
    return wrongUsage("%s: expected a value behind the flag: %s %s",
                      command.name, flag->name, flag->value);
  if (!flag->value && value)
    return wrongUsage("%s: %s: expected no value, got '%s'", command.name,
                      flag->name, value);
  given.push_back(flag);
  if (const char *expected = flag->set(options, value))
    return wrongUsage("%s: %s: expected %s, got '%s'", command.name, flag->name,
                      expected, value);
  return {};
}

} // namespace

Error parseOptions(int argc, const char *const *argv, Options &options) {
  const char *program = programName(argv[0]);
  if (argc < 2)
    return wrongUsage("expected a command\n%s", helpForAll(program).c_str());
  if (isHelp(argv[1])) {
    options.help = helpForAll(program);
    return {};
  }
  const CommandRow *command = findCommand(argv[1]);
  if (!command)
    return unknownCommand(argv[1]);
  options.command = command->command;
  std::vector<const FlagRow *> given;
  for (const char *const *next = argv + 2, *const *end = argv + argc;
       next != end;) {
    if (isHelp(*next)) {
      options.help = helpFor(program, *command, options);
      return {};
    }
    if (Error error = parseFlag(*command, next, end, options, given))
      return error;
  }
  for (const FlagRow &flag : flagRows)
    if (isRequired(flag, command->command, options) &&
        std::find(given.begin(), given.end(), &flag) == given.end())
      return wrongUsage("%s: expected the flag %s %s", command->name, flag.name,
                        flag.value);
  return {};
}

} // namespace sinter::trainer
