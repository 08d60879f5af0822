// The tables hold what they promise: every default is valid, every layer has a
// rule, every name is one of its kind.
#include "frontend/ConfigCheck.h"
#include "frontend/Layers.h"

#include "llvm/ADT/STLExtras.h"

#include <catch2/catch.hpp>

#include <set>

using namespace sinter::frontend;

static const Kind kinds[] = {
    Kind::Section,     Kind::DataSource,  Kind::Layer,   Kind::Activation,
    Kind::Initializer, Kind::Regularizer, Kind::Loss,    Kind::Optimizer,
    Kind::Schedule,    Kind::Metric,      Kind::Callback};

static Diagnostics diagnostics("test");

/// A value that a required argument takes.
static Value exampleOf(const ArgInfo &arg) {
  switch (arg.type) {
  case Type::Activation:
    return "relu";
  case Type::Text:
  case Type::Texts:
  case Type::Name:
  case Type::Names:
    return "name";
  case Type::Integers:
    return Value::List{1};
  case Type::Numbers:
    return Value::List{0.5, 0.5};
  case Type::Integer:
    return 1;
  default:
    return 0.5;
  }
}

TEST_CASE("every entry completes with required arguments alone", "[catalog]") {
  for (Kind kind : kinds)
    for (const EntryInfo &entry : tableOf(kind).entries) {
      INFO(entry.name.str());
      Config config(entry.name.str());
      for (const ArgInfo &arg : entry.args)
        if (arg.required())
          config.args.push_back({arg.name.str(), exampleOf(arg)});
      Diagnostics reports("test");
      CHECK(completeConfig(config, kind, reports));
      REQUIRE(config.complete);
      REQUIRE(config.args.size() == entry.args.size());
      for (size_t i = 0; i < config.args.size(); ++i)
        CHECK(config.args[i].name == entry.args[i].name);
    }
}

TEST_CASE("names are unique and documented", "[catalog]") {
  for (Kind kind : kinds) {
    const Table &table = tableOf(kind);
    std::set<llvm::StringRef> names;
    for (const EntryInfo &entry : table.entries) {
      INFO(entry.name.str());
      CHECK(names.insert(entry.name).second);
      CHECK_FALSE(entry.doc.empty());
      std::set<llvm::StringRef> args;
      for (const ArgInfo &arg : entry.args) {
        CHECK(args.insert(arg.name).second);
        CHECK_FALSE(arg.doc.empty());
      }
    }
    for (llvm::StringRef name : table.notYet) {
      INFO(name.str());
      CHECK_FALSE(table.find(name));
    }
  }
}

TEST_CASE("layers of the catalog and of the builder are the same",
          "[catalog]") {
  for (const EntryInfo &entry : tableOf(Kind::Layer).entries)
    CHECK((findLayerRule(entry.name) != nullptr) == (entry.name != "input"));
}

TEST_CASE("checks convert to the declared type", "[catalog]") {
  Config config("dense", {{"activation", "swish"}, {"units", 3}});
  REQUIRE(completeConfig(config, Kind::Layer, diagnostics));
  CHECK(config.integer("units") == 3);
  CHECK(config.config("activation").name == "silu");
  CHECK(config.config("kernel_initializer").name == "glorot_uniform");
  CHECK(config.isNull("kernel_regularizer"));
  CHECK(config.flag("use_bias"));

  Config sgd("sgd", {{"learning_rate", 1}, {"momentum", "9/10"}});
  REQUIRE(completeConfig(sgd, Kind::Optimizer, diagnostics));
  CHECK(sgd.config("learning_rate").name == "constant");
  CHECK(sgd.config("learning_rate").number("value") == 1.0);
  CHECK(sgd.number("momentum") == 0.9);
}

TEST_CASE("the main argument needs no name", "[catalog]") {
  Config config("dropout", {{"", 0.3}});
  REQUIRE(completeConfig(config, Kind::Layer, diagnostics));
  CHECK(config.number("rate") == 0.3);
}

TEST_CASE("Keras's defaults", "[catalog]") {
  auto number = [](Kind kind, const char *entry, const char *arg) {
    Config config(entry);
    REQUIRE(completeConfig(config, kind, diagnostics));
    return config.number(arg);
  };
  CHECK(number(Kind::Optimizer, "rmsprop", "rho") == 0.9);
  CHECK(number(Kind::Optimizer, "rmsprop", "epsilon") == 1e-7);
  CHECK(number(Kind::Optimizer, "adagrad", "initial_accumulator_value") == 0.1);
  CHECK(number(Kind::Optimizer, "adadelta", "rho") == 0.95);
  CHECK(number(Kind::Optimizer, "adamw", "weight_decay") == 0.004);
  CHECK(number(Kind::Activation, "leaky_relu", "negative_slope") == 0.2);
  CHECK(number(Kind::Layer, "leaky_relu", "negative_slope") == 0.3);
  CHECK(number(Kind::Regularizer, "l2", "l2") == 0.01);
  CHECK(number(Kind::Initializer, "random_normal", "stddev") == 0.05);
  CHECK(number(Kind::Loss, "huber", "delta") == 1.0);
  Config sgd("sgd");
  REQUIRE(completeConfig(sgd, Kind::Optimizer, diagnostics));
  CHECK(sgd.config("learning_rate").number("value") == 0.01);
}
