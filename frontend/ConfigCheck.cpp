// ConfigCheck.cpp - checks and completes configs, driven by the catalog.
//
// Order of work for one config: find the row, match given arguments to it,
// convert each to its declared type, fill in defaults, check relations. Each
// argument is judged on its own, so that one pass finds all errors.
// Known weakness: relations between arguments are checked only when every
// argument alone is right.
#include "frontend/ConfigCheck.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cfloat>
#include <charconv>
#include <cmath>

using namespace sinter::frontend;
using llvm::formatv;
using llvm::StringRef;

// ---- Scalars ----------------------------------------------------------------

template <typename T> static std::optional<T> parseWhole(StringRef text) {
  if (text.consume_front("+") && text.starts_with("-"))
    return std::nullopt;
  T value;
  auto [end, error] = std::from_chars(text.begin(), text.end(), value);
  if (error != std::errc() || end != text.end())
    return std::nullopt;
  return value;
}

static std::optional<double> parseDecimal(StringRef text) {
  // from_chars also takes "inf" and "nan", which no argument allows.
  if (text.find_if_not([](char c) {
        return llvm::isDigit(c) || StringRef("+-.eE").contains(c);
      }) != StringRef::npos)
    return std::nullopt;
  return parseWhole<double>(text);
}

std::optional<double> sinter::frontend::parseNumber(StringRef text) {
  auto [numerator, denominator] = text.split('/');
  std::optional<double> n = parseDecimal(numerator.trim());
  if (!text.contains('/'))
    return n;
  std::optional<double> d = parseDecimal(denominator.trim());
  if (!n || !d || *d == 0 || !std::isfinite(*n / *d))
    return std::nullopt;
  return *n / *d;
}

Value sinter::frontend::parseScalar(StringRef text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null")
    return Value();
  if (text == "true" || text == "True" || text == "TRUE")
    return Value(true);
  if (text == "false" || text == "False" || text == "FALSE")
    return Value(false);
  Value value;
  if (std::optional<int64_t> integer = parseWhole<int64_t>(text))
    value = Value(*integer);
  else if (std::optional<double> number = parseDecimal(text))
    value = Value(*number);
  else
    return Value(text.str());
  value.source = text.str();
  return value;
}

bool sinter::frontend::isName(StringRef text) {
  const size_t longest = 64;
  return !text.empty() && text.size() <= longest && !llvm::isDigit(text[0]) &&
         text[0] != '-' && text[0] != '.' && llvm::all_of(text, [](char c) {
           return llvm::isAlnum(c) || StringRef("_-.").contains(c);
         });
}

static bool isOneLine(StringRef text) {
  return !text.empty() && llvm::none_of(text, [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
  });
}

llvm::StringRef sinter::frontend::insteadOf(const ArgInfo &arg) {
  return arg.name == "stateful"
             ? "; instead, take out what the last step leaves with `state` "
               "layers (return_state: true) and give it back as an input"
             : "";
}

// ---- One argument -----------------------------------------------------------

namespace {

/// Converts values of one config; `subject` is its name, for messages.
class Converter {
public:
  Converter(StringRef subject, Diagnostics &diagnostics)
      : subject(subject), diagnostics(diagnostics) {}

  /// `value` in the type of `arg`, or nothing after an error.
  std::optional<Value> convert(const ArgInfo &arg, const Value &value) {
    if (value.isNull() && arg.defaultText == "null")
      return value;
    if (arg.fixed)
      return convertFixed(arg, value);
    switch (arg.type) {
    case Type::Integers:
    case Type::Numbers:
    case Type::Texts:
    case Type::Names:
      return convertList(arg, value);
    case Type::Pair:
    case Type::Triple:
      if (std::optional<Value> choice = toChoice(arg, value))
        return choice;
      if (std::optional<Value::List> tuple =
              toTuple(arg, value, arg.type == Type::Pair ? 2 : 3))
        return at(value.loc, std::move(*tuple));
      return refuse(arg, value, /*inList=*/false);
    case Type::Pairs:
      return convertPairs(arg, value, 2);
    case Type::Triples:
      return convertPairs(arg, value, 3);
    case Type::ClassWeights:
      return convertClassWeights(arg, value);
    case Type::Activation:
    case Type::Initializer:
    case Type::Regularizer:
    case Type::Schedule:
    case Type::Layer:
      return convertConfig(arg, value);
    default:
      if (std::optional<Value> result = convertScalar(arg.type, arg, value))
        return result;
      return refuse(arg, value, /*inList=*/false);
    }
  }

private:
  std::nullopt_t refuse(const ArgInfo &arg, const Value &value, bool inList) {
    diagnostics.error(value.loc,
                      formatv("{0}: expected '{1}' to be {2}, got {3}{4}",
                              subject, arg.name, describe(arg),
                              value.describe(), inList ? " in it" : "")
                          .str());
    return std::nullopt;
  }

  /// Nothing, and no report, when `value` has another type or is out of range.
  std::optional<Value> convertScalar(Type type, const ArgInfo &arg,
                                     const Value &value) {
    Value result = value;
    const std::string *text = value.getIf<std::string>();
    const int64_t *integer = value.getIf<int64_t>();
    switch (type) {
    case Type::Bool:
      return value.getIf<bool>() ? std::optional(result) : std::nullopt;
    case Type::Integer:
      if (!integer || !arg.range.contains(static_cast<double>(*integer)))
        return std::nullopt;
      return result;
    case Type::Number: {
      std::optional<double> number;
      if (text && StringRef(*text).contains('/'))
        number = parseNumber(*text);
      else
        number = asNumber(value);
      // Numbers end up in 32-bit floats.
      if (!number || !arg.range.contains(*number) ||
          std::fabs(*number) > FLT_MAX)
        return std::nullopt;
      result = Value(*number);
      break;
    }
    case Type::Text:
      if (integer)
        result = Value(std::to_string(*integer));
      else if (!text || !isOneLine(*text))
        return std::nullopt;
      if (!arg.choices.empty() &&
          !llvm::is_contained(llvm::split(arg.choices, '|'),
                              StringRef(*result.getIf<std::string>())))
        return std::nullopt;
      break;
    case Type::Name:
      if (!text || !isName(*text))
        return std::nullopt;
      break; // `result` is `value`
    default:
      assert(false && "not a scalar type");
    }
    result.loc = value.loc;
    return result;
  }

  static Value at(SourceLoc loc, Value::List list) {
    Value value(std::move(list));
    value.loc = loc;
    return value;
  }

  /// The text, if it is one of those that may stand in place of numbers.
  std::optional<Value> toChoice(const ArgInfo &arg, const Value &value) {
    if (arg.choices.empty() || !value.getIf<std::string>())
      return std::nullopt;
    return convertScalar(Type::Text, arg, value);
  }

  /// A number stands for `count` of it.
  std::optional<Value::List> toTuple(const ArgInfo &arg, const Value &value,
                                     size_t count) {
    const auto *list = value.getIf<Value::List>();
    if (list && list->size() != count)
      return std::nullopt;
    Value::List result;
    for (size_t i = 0; i < count; ++i) {
      std::optional<Value> number =
          convertScalar(Type::Integer, arg, list ? (*list)[i] : value);
      if (!number)
        return std::nullopt;
      result.push_back(std::move(*number));
    }
    return result;
  }

  /// [a, b] stands for [[a, a], [b, b]].
  std::optional<Value> convertPairs(const ArgInfo &arg, const Value &value,
                                    size_t count) {
    if (std::optional<Value> choice = toChoice(arg, value))
      return choice;
    Value::List result;
    const auto *list = value.getIf<Value::List>();
    if (list && list->size() != count)
      return refuse(arg, value, /*inList=*/false);
    for (size_t i = 0; i < count; ++i) {
      std::optional<Value::List> pair =
          toTuple(arg, list ? (*list)[i] : value, 2);
      if (!pair)
        return refuse(arg, value, /*inList=*/false);
      result.insert(result.end(), pair->begin(), pair->end());
    }
    return at(value.loc, std::move(result));
  }

  static Type elementType(Type list) {
    switch (list) {
    case Type::Integers:
      return Type::Integer;
    case Type::Numbers:
      return Type::Number;
    case Type::Texts:
      return Type::Text;
    default:
      assert(list == Type::Names && "not a list type");
      return Type::Name;
    }
  }

  std::optional<Value> convertList(const ArgInfo &arg, const Value &value) {
    Type type = elementType(arg.type);
    Value::List result;
    const auto *list = value.getIf<Value::List>();
    if (!list) { // a scalar is a list of one
      std::optional<Value> only = convertScalar(type, arg, value);
      if (!only)
        return refuse(arg, value, /*inList=*/false);
      result.push_back(*only);
    } else if (list->empty()) {
      diagnostics.error(value.loc, formatv("{0}: expected '{1}' to be {2}, "
                                           "got an empty list",
                                           subject, arg.name, describe(arg))
                                       .str());
      return std::nullopt;
    } else {
      bool ok = true;
      for (const Value &element : *list) {
        std::optional<Value> converted = convertScalar(type, arg, element);
        if (converted)
          result.push_back(*converted);
        else
          ok = (refuse(arg, element, /*inList=*/true), false);
      }
      if (!ok)
        return std::nullopt;
    }
    Value converted(std::move(result));
    converted.loc = value.loc;
    return converted;
  }

  /// A config may be written as `relu`, as `leaky_relu: 0.1`, and a schedule as
  /// a plain number.
  std::optional<Value> convertConfig(const ArgInfo &arg, const Value &value) {
    Config config;
    const std::string *name = value.getIf<std::string>();
    const bool isFraction = name && parseNumber(*name);
    if (const Config *given = value.config(); given && !given->name.empty())
      config = *given;
    else if (name && !isFraction)
      config = Config(*name, {}, value.loc);
    else if (arg.type == Type::Schedule && (asNumber(value) || isFraction))
      config = Config("constant", {{"", value, value.loc}}, value.loc);
    else
      return refuse(arg, value, /*inList=*/false);
    if (!completeConfig(config, kindOf(arg.type), diagnostics))
      return std::nullopt;
    Value converted(std::move(config));
    converted.loc = value.loc;
    return converted;
  }

  /// {0: 1.0, 3: 2.5} as the list 0, 1.0, 3, 2.5. The reader of maps knows
  /// configs only: of one key it makes the name, of several the arguments.
  std::optional<Value> convertClassWeights(const ArgInfo &arg,
                                           const Value &value) {
    const Config *map = value.config();
    if (!map)
      return refuse(arg, value, /*inList=*/false);
    std::vector<Argument> entries = map->args;
    if (!map->name.empty() && entries.size() == 1 && entries[0].name.empty())
      entries[0].name = map->name;
    const ArgInfo factor{arg.name, Type::Number, "", "", {.low = 0}};
    Value::List list;
    for (const Argument &entry : entries) {
      std::optional<int64_t> number = parseWhole<int64_t>(entry.name);
      std::optional<Value> weight =
          convertScalar(Type::Number, factor, entry.value);
      if (!number || *number < 0 || !weight) {
        diagnostics.error(entry.loc,
                          formatv("{0}: expected '{1}' to map class "
                                  "numbers to factors of at least "
                                  "0, got {2}: {3}",
                                  subject, arg.name, printable(entry.name),
                                  entry.value.describe())
                              .str());
        return std::nullopt;
      }
      list.push_back(Value(*number));
      list.push_back(std::move(*weight));
    }
    if (list.empty())
      return refuse(arg, value, /*inList=*/false);
    Value converted(std::move(list));
    converted.loc = value.loc;
    return converted;
  }

  /// The default written out is as good as nothing written; all else is refused
  /// by name, for it would be wrong to ignore it.
  std::optional<Value> convertFixed(const ArgInfo &arg, const Value &value) {
    Value known = parseScalar(arg.defaultText);
    if (value.describe() == known.describe() ||
        (asNumber(known) && asNumber(known) == asNumber(value))) {
      known.loc = value.loc;
      return known;
    }
    diagnostics.error(value.loc,
                      formatv("{0}: '{1}' is not supported yet; expected its "
                              "default {2}, got {3}{4}",
                              subject, arg.name, arg.defaultText,
                              value.describe(), insteadOf(arg))
                          .str());
    return std::nullopt;
  }

  static std::optional<double> asNumber(const Value &value) {
    if (const double *number = value.getIf<double>())
      return *number;
    if (const int64_t *integer = value.getIf<int64_t>())
      return static_cast<double>(*integer);
    return std::nullopt;
  }

  StringRef subject;
  Diagnostics &diagnostics;
};

} // namespace

// ---- One config -------------------------------------------------------------

/// The row of `config`, or null after an error.
static const EntryInfo *findEntry(const Config &config, const Table &table,
                                  Diagnostics &diagnostics) {
  if (const EntryInfo *entry = table.find(config.name))
    return entry;
  std::vector<StringRef> names = table.names();
  std::string message =
      formatv("unknown {0} '{1}'", table.noun, printable(config.name));
  // Tried in this order: something we have elsewhere, a near name, a near name
  // that Keras has, the whole list.
  std::string hint = didYouMean(config.name, names);
  if (llvm::is_contained(table.notYet, config.name))
    message =
        formatv("{0} '{1}' is not supported yet", table.noun, config.name);
  else if (&table == &tableOf(Kind::Layer) &&
           tableOf(Kind::Activation).find(config.name))
    message += "; write 'activation: " + config.name + "'";
  else if (!hint.empty())
    message += hint;
  else if (!didYouMean(config.name, table.notYet).empty())
    message += didYouMean(config.name, table.notYet) +
               " That one is not supported yet";
  else
    message += "; expected one of " + joinNames(names);
  diagnostics.error(config.loc, message);
  return nullptr;
}

/// Collects the arguments as given, by their full names. Returns false after
/// reporting unknown and repeated ones.
static bool matchArguments(const Config &config, const EntryInfo &entry,
                           Diagnostics &diagnostics,
                           std::vector<Argument> &matched) {
  bool ok = true;
  auto fail = [&](SourceLoc loc, std::string message) {
    diagnostics.error(loc, entry.name.str() + std::move(message));
    ok = false;
  };
  for (Argument argument : config.args) {
    if (argument.name.empty()) { // the shorthand
      if (!entry.mainArg()) {
        fail(argument.loc,
             " takes no main argument, got " + argument.value.describe());
        continue;
      }
      argument.name = entry.mainArg()->name.str();
    } else if (!entry.find(argument.name)) {
      std::vector<StringRef> names = entry.argNames();
      std::string hint = didYouMean(argument.name, names);
      if (hint.empty())
        hint = names.empty() ? "; it takes none"
                             : "; it takes " + joinNames(names);
      fail(argument.loc,
           " has no argument '" + printable(argument.name) + "'" + hint);
      continue;
    }
    if (llvm::any_of(matched, [&](const Argument &other) {
          return other.name == argument.name;
        }))
      fail(argument.loc, " has argument '" + argument.name + "' twice");
    else
      matched.push_back(std::move(argument));
  }
  return ok;
}

/// The argument that stands for one left out.
static Argument defaultArgument(const ArgInfo &arg, SourceLoc loc) {
  Value value = arg.type == Type::Text && arg.defaultText != "null"
                    ? Value(arg.defaultText.str())
                    : parseScalar(arg.defaultText);
  value.loc = loc;
  return {arg.name.str(), std::move(value), loc};
}

bool sinter::frontend::completeConfig(Config &config, Kind kind,
                                      Diagnostics &diagnostics) {
  if (config.complete)
    return true;
  const EntryInfo *entry = findEntry(config, tableOf(kind), diagnostics);
  if (!entry)
    return false;
  std::vector<Argument> given;
  const bool allMatched = matchArguments(config, *entry, diagnostics, given);

  Config result(entry->name.str(), {}, config.loc);
  Converter converter(entry->name, diagnostics);
  bool ok = allMatched;
  for (const ArgInfo &arg : entry->args) {
    auto it = llvm::find_if(given, [&](const Argument &argument) {
      return argument.name == arg.name;
    });
    if (it == given.end() && arg.required()) {
      // An unknown argument is likely this one, misspelled: one fault, one
      // error.
      if (allMatched)
        diagnostics.error(config.loc,
                          formatv("{0}: missing argument '{1}' ({2})",
                                  entry->name, arg.name, arg.doc)
                              .str());
      ok = false;
      continue;
    }
    Argument argument =
        it != given.end() ? *it : defaultArgument(arg, config.loc);
    std::optional<Value> value = converter.convert(arg, argument.value);
    ok &= value.has_value();
    if (value)
      argument.value = std::move(*value);
    result.args.push_back(std::move(argument));
  }
  if (!ok)
    return false;
  result.complete = true;
  if (entry->check)
    if (std::string wrong = entry->check(result); !wrong.empty()) {
      diagnostics.error(config.loc, (entry->name + ": " + wrong).str());
      return false;
    }
  config = std::move(result);
  return true;
}
