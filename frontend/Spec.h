// Spec.h - a model spec in memory: plain values, each with its place in the
// file.
//
// Problem: layers, losses, optimizers, initializers, schedules and data sources
// are all the same thing to a reader: a name with arguments. A struct for each
// would repeat its arguments in the struct, the reader, the checker and the
// printer.
// Idea: one generic node, Config, whose arguments are checked and completed
// against the tables of Catalog.h. After completeConfig() a Config holds every
// argument of its table row, in table order, in the declared type, so the
// accessors below cannot fail.
//
//   dense: {units: 100, activation: relu}
//   Config("dense", {{"units", 100}, {"activation", "relu"}})
//
// Known weakness: accessors take argument names as text; a misspelled one is an
// assertion, not a compile error.
#ifndef SINTER_FRONTEND_SPEC_H
#define SINTER_FRONTEND_SPEC_H

#include "frontend/Diagnostics.h"
#include "frontend/Weights.h"

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace sinter::frontend {

struct Config;

/// What an argument may hold: null, true, 3, 0.5, "text", [list] or a Config.
class Value {
public:
  using List = std::vector<Value>;

  Value() = default; // null
  Value(bool flag) : data(flag) {}
  template <typename T>
  requires std::is_integral_v<T> &&(!std::is_same_v<T, bool>)Value(T number)
      : data(static_cast<int64_t>(number)) {}
  Value(double number) : data(number) {}
  Value(const char *text) : data(std::string(text)) {}
  Value(std::string text) : data(std::move(text)) {}
  Value(List list) : data(std::move(list)) {}
  Value(Config config);

  template <typename T> const T *getIf() const { return std::get_if<T>(&data); }
  bool isNull() const { return getIf<std::monostate>() != nullptr; }
  const Config *config() const;

  /// How a message names it: "'abc'", "3.5", "true", "a list", "null".
  std::string describe() const;

  SourceLoc loc;
  std::string source; // a number as the file has it, for messages

private:
  std::variant<std::monostate, bool, int64_t, double, std::string, List,
               std::shared_ptr<const Config>>
      data;
};

struct Argument {
  std::string name; // empty: the entry's main argument (`dropout: 0.3`)
  Value value;
  SourceLoc loc = {};
};

/// One configured thing: a name and its arguments.
struct Config {
  Config() = default;
  Config(const char *name) : name(name) {}
  Config(std::string name, std::vector<Argument> args = {}, SourceLoc loc = {})
      : name(std::move(name)), args(std::move(args)), loc(loc) {}

  // Only for completed configs:
  bool isNull(llvm::StringRef arg) const { return get(arg).isNull(); }
  bool flag(llvm::StringRef arg) const;
  int64_t integer(llvm::StringRef arg) const;
  double number(llvm::StringRef arg) const;
  const std::string &text(llvm::StringRef arg) const;
  const Config &config(llvm::StringRef arg) const;
  std::vector<int64_t> integers(llvm::StringRef arg) const;
  std::vector<double> numbers(llvm::StringRef arg) const;
  std::vector<std::string> texts(llvm::StringRef arg) const;
  const Value &get(llvm::StringRef arg) const;

  const Argument *find(llvm::StringRef arg) const;

  std::string name;
  std::vector<Argument> args;
  SourceLoc loc;
  bool complete = false; // set by completeConfig: checked, all arguments there
};

/// Where the numbers come from. Each source is a completed Config of
/// Kind::DataSource; its name says the form (images, csv, npz, ...).
struct DataSpec {
  std::optional<Config> train, validation, test;
  std::optional<Config> validationSplit;
  /// Where `classes: auto` stands: labels are mapped to class numbers.
  std::optional<SourceLoc> autoClasses;
};

/// A layer or input by its name, and where that stands.
struct Reference {
  std::string name;
  SourceLoc loc;
};

/// The loss of one of several outputs, and its factor in the sum that training
/// minimises.
struct OutputLoss {
  Reference output;
  Config loss;
  double weight = 1;
};

struct OutputMetric {
  Reference output;
  Config metric;
};

/// A whole spec. Parts that were missing or wrong are empty or not `complete`;
/// the reader has reported them.
struct Spec {
  std::string name;
  SourceLoc nameLoc;
  /// Configs "input", in the order in which functions take them. All have a
  /// `name`, those that are wrong, too.
  std::vector<Config> inputs;
  /// Configs of Kind::Layer, and "reuse" of Kind::Section: an earlier layer,
  /// called again with the same weights.
  std::vector<Config> layers;
  /// Layers or inputs whose results the model gives; none: the last layer's.
  std::vector<Reference> outputs;
  std::optional<Config> loss, optimizer;
  std::vector<Config> metrics;
  /// In place of `loss` and `metrics`, where there are several outputs.
  std::vector<OutputLoss> outputLosses;
  std::vector<OutputMetric> outputMetrics;
  DataSpec data;
  std::optional<Config> train;
  std::vector<Config> callbacks;
  /// Initial values of all parameters, from a model file; or null.
  std::shared_ptr<const std::vector<ImportedWeight>> weights;
};

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_SPEC_H
