// Spec.cpp - access to the generic nodes of a spec.
//
// Accessors are for completed configs only: completeConfig() has checked names
// and types by then, so what could go wrong here is our mistake and an assert.
#include "frontend/Spec.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <cassert>
#include <cstdio>

using namespace sinter::frontend;
using llvm::StringRef;

Value::Value(Config config)
    : data(std::make_shared<const Config>(std::move(config))) {}

const Config *Value::config() const {
  const auto *pointer = getIf<std::shared_ptr<const Config>>();
  return pointer ? pointer->get() : nullptr;
}

std::string Value::describe() const {
  if (isNull())
    return "null";
  if (const bool *flag = getIf<bool>())
    return *flag ? "true" : "false";
  if (!source.empty())
    return printable(source);
  if (const int64_t *integer = getIf<int64_t>())
    return std::to_string(*integer);
  if (const double *number = getIf<double>()) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%g", *number);
    return buffer;
  }
  if (const std::string *text = getIf<std::string>())
    return text->empty() ? "empty text" : "'" + printable(*text) + "'";
  if (getIf<List>())
    return "a list";
  return "a map";
}

const Argument *Config::find(StringRef arg) const {
  auto it = llvm::find_if(
      args, [&](const Argument &argument) { return argument.name == arg; });
  return it == args.end() ? nullptr : &*it;
}

const Value &Config::get(StringRef arg) const {
  const Argument *argument = find(arg);
  assert(complete && argument && "config was not checked against its table");
  return argument->value;
}

template <typename T> static const T &as(const Value &value) {
  const T *data = value.getIf<T>();
  assert(data && "argument has another type in its table");
  return *data;
}

template <typename T> static std::vector<T> listOf(const Value &value) {
  std::vector<T> result;
  for (const Value &element : as<Value::List>(value))
    result.push_back(as<T>(element));
  return result;
}

bool Config::flag(StringRef arg) const { return as<bool>(get(arg)); }
int64_t Config::integer(StringRef arg) const { return as<int64_t>(get(arg)); }
double Config::number(StringRef arg) const { return as<double>(get(arg)); }
const std::string &Config::text(StringRef arg) const {
  return as<std::string>(get(arg));
}
const Config &Config::config(StringRef arg) const {
  assert(get(arg).config() && "argument has another type in its table");
  return *get(arg).config();
}
std::vector<int64_t> Config::integers(StringRef arg) const {
  return listOf<int64_t>(get(arg));
}
std::vector<double> Config::numbers(StringRef arg) const {
  return listOf<double>(get(arg));
}
std::vector<std::string> Config::texts(StringRef arg) const {
  return listOf<std::string>(get(arg));
}
