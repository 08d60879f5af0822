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
  case Type::Layer:
    return Config("lstm", {{"units", 2}});
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
  case Type::Pair:
  case Type::Triple:
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

TEST_CASE("pairs may be written short", "[catalog]") {
  using Integers = std::vector<int64_t>;
  Config conv(
      "conv2d",
      {{"filters", 8}, {"kernel_size", Value::List{3, 5}}, {"strides", 2}});
  REQUIRE(completeConfig(conv, Kind::Layer, diagnostics));
  CHECK(conv.integers("kernel_size") == Integers{3, 5});
  CHECK(conv.integers("strides") == Integers{2, 2});
  CHECK(conv.integers("dilation_rate") == Integers{1, 1});
  CHECK(conv.text("padding") == "valid");

  auto padding = [](Value value) {
    Config config("zero_padding2d", {{"padding", std::move(value)}});
    REQUIRE(completeConfig(config, Kind::Layer, diagnostics));
    return config.integers("padding");
  };
  CHECK(padding(2) == Integers{2, 2, 2, 2});
  CHECK(padding(Value::List{1, 2}) == Integers{1, 1, 2, 2});
  CHECK(padding(Value::List{Value::List{1, 2}, Value::List{3, 4}}) ==
        Integers{1, 2, 3, 4});
  CHECK(padding(Value::List{1, Value::List{3, 4}}) == Integers{1, 1, 3, 4});

  Config volume("zero_padding3d", {{"padding", Value::List{1, 2, 3}}});
  REQUIRE(completeConfig(volume, Kind::Layer, diagnostics));
  CHECK(volume.integers("padding") == Integers{1, 1, 2, 2, 3, 3});
  Config taps("conv3d",
              {{"filters", 8}, {"kernel_size", Value::List{3, 5, 7}}});
  REQUIRE(completeConfig(taps, Kind::Layer, diagnostics));
  CHECK(taps.integers("kernel_size") == Integers{3, 5, 7});
  CHECK(taps.integers("strides") == Integers{1, 1, 1});

  Config pool("max_pool2d");
  REQUIRE(completeConfig(pool, Kind::Layer, diagnostics));
  CHECK(pool.name == "max_pooling2d");
  CHECK(pool.integers("pool_size") == Integers{2, 2});
  CHECK(pool.isNull("strides"));
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
  CHECK(number(Kind::Layer, "batch_normalization", "momentum") == 0.99);
  CHECK(number(Kind::Layer, "batch_normalization", "epsilon") == 1e-3);
  CHECK(number(Kind::Layer, "layer_normalization", "epsilon") == 1e-3);
  CHECK(number(Kind::Regularizer, "l2", "l2") == 0.01);
  CHECK(number(Kind::Initializer, "random_normal", "stddev") == 0.05);
  CHECK(number(Kind::Loss, "huber", "delta") == 1.0);
  Config sgd("sgd");
  REQUIRE(completeConfig(sgd, Kind::Optimizer, diagnostics));
  CHECK(sgd.config("learning_rate").number("value") == 0.01);
}
