//===- InterpreterTest.cpp - state, kernels, batch sizes, refusals -------===//

#include "tests/unit/ir/Program.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

static const char modelText[] = R"(
  sinter.model @m batch_bound 4 {
    sinter.state parameter @w : tensor<2xf32> = constant(0.0, 0.0)
    sinter.state slot @old : tensor<2xf32> = constant(0.0, 0.0)
    sinter.state iteration @step : tensor<i32> = constant(0.0, 0.0)
    func.func @swap(%x: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<2xf32>) {
      %w = sinter.read @w : tensor<2xf32>
      %sum = sinter.reduce_sum %x axes [0] : (tensor<?x2xf32>) -> tensor<2xf32>
      sinter.write @w, %sum : tensor<2xf32>
      sinter.write @old, %w : tensor<2xf32>
      %again = sinter.read @w : tensor<2xf32>
      %y = sinter.add %x, %again : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
      return %y, %w : tensor<?x2xf32>, tensor<2xf32>
    }
    func.func @count() {
      %step = sinter.read @step : tensor<i32>
      %one = sinter.constant dense<1> : tensor<i32>
      %next = sinter.add %step, %one : (tensor<i32>, tensor<i32>) -> tensor<i32>
      sinter.write @step, %next : tensor<i32>
      return
    }
  })";

static State startState() {
  return {{"w", Tensor::f32({2}, {10, 20})},
          {"old", Tensor::f32({2}, {0, 0})},
          {"step", Tensor::i32({}, {41})}};
}

TEST_CASE("reads see the state at entry, writes take effect at return") {
  Program program(modelText);
  INFO(program.diagnostics());
  REQUIRE(program.ok());
  State state = startState();
  auto results = interpret(program.function("swap"),
                           {Tensor::f32({2, 2}, {1, 2, 3, 4})}, state);
  REQUIRE(succeeded(results));
  CHECK(same((*results)[0].values, Array({{11, 22}, {13, 24}})));
  CHECK(same((*results)[1].values, Array({10, 20})));
  CHECK(same(state["w"].values, Array({4, 6})));
  CHECK(same(state["old"].values, Array({10, 20})));

  REQUIRE(succeeded(interpret(program.function("count"), {}, state)));
  CHECK(state["step"].values() == 42);
  CHECK(state["step"].element == Element::I32);
}

TEST_CASE("a kernel's region runs in place, at any stage") {
  Program program(R"(
    sinter.model @m batch_bound 4 {
      sinter.state parameter @w : tensor<2xf32> = constant(0.0, 0.0)
      func.func @f(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
        %w = sinter.read @w : tensor<2xf32>
        %r:2 = sinter.kernel sweep "a" -> tensor<?x2xf32, #sinter.batch_minor>, tensor<2xf32>
            attributes {offsets = array<i64: 0, -1>} {
          %minor = sinter.relayout %x : tensor<?x2xf32> -> tensor<?x2xf32, #sinter.batch_minor>
          %inner = sinter.mul %minor, %w
              : (tensor<?x2xf32, #sinter.batch_minor>, tensor<2xf32>) -> tensor<?x2xf32, #sinter.batch_minor>
          %twice = sinter.add %w, %w : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
          sinter.yield %inner, %twice : tensor<?x2xf32, #sinter.batch_minor>, tensor<2xf32>
        }
        %y = sinter.relayout %r#0 : tensor<?x2xf32, #sinter.batch_minor> -> tensor<?x2xf32>
        %z = sinter.sub %y, %r#1 : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
        return %z : tensor<?x2xf32>
      }
    })");
  INFO(program.diagnostics());
  REQUIRE(program.ok());
  State state = startState();
  auto results =
      interpret(program.function("f"), {Tensor::f32({1, 2}, {1, 2})}, state);
  REQUIRE(succeeded(results));
  CHECK(same((*results)[0].values, Array({{10 - 20, 40 - 40}})));
}

TEST_CASE("results are rounded to f32 unless told otherwise") {
  Program program(R"(
    func.func @f(%x: tensor<f32>) -> tensor<f32> {
      %y = sinter.exp %x : tensor<f32>
      return %y : tensor<f32>
    })");
  REQUIRE(program.ok());
  std::vector<Tensor> one = {Tensor::f32({}, {1})};
  func::FuncOp function = program.function("f");
  CHECK(run(function, one)[0].values() == double(float(std::exp(1.0))));
  CHECK(run(function, one, Precision::Double)[0].values() == std::exp(1.0));
}

/// Runs @name of the program, expects failure, an unchanged state and the
/// message.
static void checkRefusal(Program &program, StringRef name,
                         const std::vector<Tensor> &inputs, State state,
                         StringRef message, InterpretOptions options = {}) {
  INFO(program.diagnostics());
  REQUIRE(program.ok());
  State before = state;
  CHECK(failed(interpret(program.function(name), inputs, state, options)));
  INFO("diagnostics: " << program.diagnostics());
  CHECK(StringRef(program.diagnostics()).contains(message));
  REQUIRE(state.size() == before.size());
  for (auto &[key, tensor] : before)
    CHECK(same(state[key].values, tensor.values));
}

TEST_CASE("inputs must fit the function") {
  Tensor batch2 = Tensor::f32({2, 2}, {1, 2, 3, 4});
  SECTION("number") {
    Program program(modelText);
    checkRefusal(program, "swap", {}, startState(), "expected 1 inputs, got 0");
  }
  SECTION("shape") {
    Program program(modelText);
    checkRefusal(
        program, "swap", {Tensor::f32({1, 3}, {1, 2, 3})}, startState(),
        "expected input 0 of type 'tensor<?x2xf32>', got (1, 3) of f32");
  }
  SECTION("element type") {
    Program program(modelText);
    checkRefusal(program, "swap", {Tensor::i32({1, 2}, {1, 2})}, startState(),
                 "got (1, 2) of i32");
  }
  SECTION("batch bound") {
    Program program(modelText);
    checkRefusal(program, "swap",
                 {Tensor::f32({5, 2}, std::vector<double>(10, 0))},
                 startState(), "expected a batch of at most 4, got 5");
  }
  SECTION("empty batch") {
    Program program(modelText);
    checkRefusal(program, "swap", {Tensor::f32({0, 2}, {})}, startState(),
                 "expected at least one sample, got none");
  }
  SECTION("a batch size given that is another") {
    Program program(modelText);
    checkRefusal(program, "swap", {batch2}, startState(),
                 "expected one batch size, got 3 and, in input 0, 2",
                 {Precision::Float32, 3});
  }
}

TEST_CASE("states must be there and fit") {
  Tensor batch1 = Tensor::f32({1, 2}, {1, 2});
  SECTION("missing") {
    Program program(modelText);
    State state = startState();
    state.erase("w");
    checkRefusal(program, "swap", {batch1}, state,
                 "expected a value for @w, got none");
  }
  SECTION("shape") {
    Program program(modelText);
    State state = startState();
    state["w"] = Tensor::f32({3}, {1, 2, 3});
    checkRefusal(program, "swap", {batch1}, state,
                 "expected a value of type 'tensor<2xf32>' for @w, got (3) of "
                 "f32");
  }
}

TEST_CASE("what cannot be run is refused") {
  SECTION("an unknown batch size") {
    Program program(R"(
      func.func @f() -> tensor<f32> {
        %n = sinter.batch_size : tensor<f32>
        return %n : tensor<f32>
      })");
    checkRefusal(program, "f", {}, {}, "expected a batch size");
  }
  SECTION("a declaration") {
    Program program("func.func private @f()");
    checkRefusal(program, "f", {}, {}, "expected a function with a body");
  }
  SECTION("an op of another dialect, after a write") {
    Program program(R"(
      sinter.model @m batch_bound 4 {
        sinter.state parameter @w : tensor<2xf32> = constant(0.0, 0.0)
        func.func @g() { return }
        func.func @f(%x: tensor<2xf32>) {
          sinter.write @w, %x : tensor<2xf32>
          func.call @g() : () -> ()
          return
        }
      })");
    checkRefusal(program, "f", {Tensor::f32({2}, {1, 2})}, startState(),
                 "expected an op with a reference kernel, got 'func.call'");
  }
  SECTION("an elided constant") {
    Program program(R"(
      func.func @f() -> tensor<100xf32> {
        %c = sinter.constant dense_resource<__elided__> : tensor<100xf32>
        return %c : tensor<100xf32>
      })");
    checkRefusal(program, "f", {}, {},
                 "expected a value with all its elements");
  }
}
