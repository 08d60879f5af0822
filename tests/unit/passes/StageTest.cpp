//===- StageTest.cpp - every stage computes the same ---------------------===//
//
// One model with a branch, dropout, a regulariser and a shared value is taken
// through the pipeline with each optimizer. The reference interpreter runs
// three training steps at each stage; losses, metrics, predictions and all
// state must agree. Then one step of plain gradient descent is compared with
// finite differences of the evaluation loss.
//
// Tolerance 1e-6: everything runs in double, but folding rounds constants to
// f32.
//
//===----------------------------------------------------------------------===//

#include "passes/Pipeline.h"
#include "tests/unit/ir/Program.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

static std::string modelText(StringRef optimizer, StringRef dropout) {
  return R"(
  sinter.model @branches batch_bound 20
      attributes {loss = {name = "sparse_categorical_crossentropy"},
                  optimizer = )" +
         optimizer.str() + R"(,
                  metrics = [{name = "sparse_categorical_accuracy", title = "accuracy"}]} {
    sinter.state parameter @"a/kernel" : tensor<6x5xf32> = uniform(-1.0, 1.0)
        {regularizer = {l1 = 0.01 : f32, l2 = 0.02 : f32}}
    sinter.state parameter @"a/bias" : tensor<5xf32> = uniform(-1.0, 1.0)
    sinter.state parameter @"b/kernel" : tensor<5x4xf32> = uniform(-1.0, 1.0)
    sinter.state parameter @"c/kernel" : tensor<9x3xf32> = uniform(-1.0, 1.0)
    sinter.state parameter @"c/bias" : tensor<3xf32> = uniform(-1.0, 1.0)
    func.func @forward(%x: tensor<?x2x3xf32>) -> tensor<?x3xf32> {
      %flat = sinter.reshape %x : tensor<?x2x3xf32> -> tensor<?x6xf32>
      %wa = sinter.read @"a/kernel" : tensor<6x5xf32>
      %ba = sinter.read @"a/bias" : tensor<5xf32>
      %ma = sinter.matmul %flat, %wa : (tensor<?x6xf32>, tensor<6x5xf32>) -> tensor<?x5xf32>
      %za = sinter.add %ma, %ba : (tensor<?x5xf32>, tensor<5xf32>) -> tensor<?x5xf32>
      %a = sinter.tanh %za : tensor<?x5xf32>
      %wb = sinter.read @"b/kernel" : tensor<5x4xf32>
      %mb = sinter.matmul %a, %wb : (tensor<?x5xf32>, tensor<5x4xf32>) -> tensor<?x4xf32>
      %b = sinter.gelu %mb : tensor<?x4xf32>
      %d = )" +
         dropout.str() + R"( : tensor<?x4xf32>
      %joined = sinter.concatenate %a, %d axis 1 : (tensor<?x5xf32>, tensor<?x4xf32>) -> tensor<?x9xf32>
      %wc = sinter.read @"c/kernel" : tensor<9x3xf32>
      %bc = sinter.read @"c/bias" : tensor<3xf32>
      %mc = sinter.matmul %joined, %wc : (tensor<?x9xf32>, tensor<9x3xf32>) -> tensor<?x3xf32>
      %zc = sinter.add %mc, %bc : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
      %y = sinter.softmax %zc : tensor<?x3xf32>
      return %y : tensor<?x3xf32>
    }
  })";
}

static const char withDropout[] =
    "sinter.dropout %b stream 0 {rate = 0.25 : f32}";
static const char withoutDropout[] = "sinter.silu %b";

static std::unique_ptr<Program> compile(const std::string &text, Stage stage) {
  auto program = std::make_unique<Program>(text);
  INFO(program->diagnostics());
  REQUIRE(program->ok());
  PassManager passes(program->getModule().getContext());
  buildPipeline(passes, stage);
  bool compiled = succeeded(passes.run(program->getModule()));
  INFO(program->diagnostics());
  REQUIRE(compiled);
  return program;
}

/// Parameters at random, seed 11 and 12, everything else as its constant says.
static State startState(Program &program) {
  State state;
  std::mt19937_64 random(5);
  program.getModule().walk([&](StateOp op) {
    auto next = [&]() -> double {
      if (op.getRole() == Role::Seed)
        return 11;
      if (op.getInit() == Init::Constant)
        return op.getA().convertToFloat();
      return static_cast<float>(std::ldexp(double(random() >> 11), -52) - 1);
    };
    state[op.getSymName().str()] = fill(op.getTensorType(), 1, next);
  });
  return state;
}

static std::vector<Tensor> makeBatch(Program &program, size_t samples,
                                     uint64_t seed) {
  std::mt19937_64 random(seed);
  func::FuncOp step = program.function("train_step");
  step->setAttr("classes",
                IntegerAttr::get(IntegerType::get(step.getContext(), 64), 3));
  return randomInputs(step, samples, random);
}

static bool isClose(const Array &a, const Array &b, double tolerance) {
  if (a.shape() != b.shape())
    return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a.flat(i) - b.flat(i)) <=
          tolerance * std::max(1.0, std::abs(b.flat(i)))))
      return false;
  return true;
}

static std::vector<Tensor> call(Program &program, StringRef function,
                                const std::vector<Tensor> &inputs,
                                State &state) {
  auto results = interpret(program.function(function), inputs, state,
                           {Precision::Double, {}});
  INFO("@" << function.str() << ": " << program.diagnostics());
  REQUIRE(succeeded(results));
  return *results;
}

/// Everything that a user sees of three training steps, by name.
static std::map<std::string, Array> observe(Program &program, State state) {
  std::map<std::string, Array> seen;
  auto record = [&](const std::string &name,
                    const std::vector<Tensor> &results) {
    for (size_t i = 0; i < results.size(); ++i)
      seen[name + ", result " + std::to_string(i)] = results[i].values;
  };
  const size_t batches[] = {20, 1, 3}; // the bound, one, a remainder
  for (size_t step = 0; step < std::size(batches); ++step) {
    std::string at = " in step " + std::to_string(step);
    std::vector<Tensor> batch = makeBatch(program, batches[step], step);
    record("predict" + at, call(program, "predict", {batch[0]}, state));
    record("eval_step" + at, call(program, "eval_step", batch, state));
    record("train_step" + at, call(program, "train_step", batch, state));
  }
  for (auto &[name, tensor] : state)
    seen["state " + name] = tensor.values;
  return seen;
}

TEST_CASE("fused and planned kernels compute what the train stage does") {
  const char *optimizers[] = {
      R"({name = "sgd", learning_rate = 0.1})",
      R"({name = "sgd", learning_rate = 0.1, momentum = 0.9, nesterov = true})",
      R"({name = "sgd", learning_rate = 0.1, clipnorm = 0.5})",
      R"({name = "sgd", learning_rate = 0.1, clipvalue = 0.01})",
      R"({name = "sgd", learning_rate = 0.1, global_clipnorm = 0.5})",
      R"({name = "rmsprop", learning_rate = 0.01, rho = 0.9, epsilon = 1.0e-7})",
      R"({name = "rmsprop", learning_rate = 0.01, rho = 0.9, momentum = 0.9, centered = true, epsilon = 1.0e-7})",
      R"({name = "adagrad", learning_rate = 0.01, initial_accumulator_value = 0.1, epsilon = 1.0e-7})",
      R"({name = "adadelta", learning_rate = 1.0, rho = 0.95, epsilon = 1.0e-7})",
      R"({name = "adam", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.999, epsilon = 1.0e-7})",
      R"({name = "adamw", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.999, epsilon = 1.0e-7, weight_decay = 0.004})",
      R"({name = "nadam", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.999, epsilon = 1.0e-7})",
      R"({name = "sgd", learning_rate = {name = "exponential_decay", initial_learning_rate = 0.1, decay_steps = 2, decay_rate = 0.5}})",
      R"({name = "sgd", learning_rate = {name = "cosine_decay", initial_learning_rate = 0.1, decay_steps = 2}})",
      R"({name = "sgd", learning_rate = {name = "piecewise_constant_decay", boundaries = [0, 1], values = [0.1, 0.2, 0.3]}})",
  };
  for (const char *optimizer : optimizers) {
    INFO(optimizer);
    std::string text = modelText(optimizer, withDropout);
    auto train = compile(text, Stage::Train);
    State start = startState(*train);
    std::map<std::string, Array> expected = observe(*train, start);
    for (Stage stage : {Stage::Fused, Stage::Planned}) {
      INFO("stage " << static_cast<int>(stage));
      auto program = compile(text, stage);
      std::map<std::string, Array> actual = observe(*program, start);
      REQUIRE(actual.size() == expected.size());
      for (auto &[name, values] : expected) {
        INFO(name);
        CHECK(isClose(actual[name], values, 1e-6));
      }
    }
  }
}

TEST_CASE("prediction is the declared network") {
  std::string text =
      modelText(R"({name = "sgd", learning_rate = 0.1})", withDropout);
  auto graph = compile(text, Stage::Graph);
  auto planned = compile(text, Stage::Planned);
  State state = startState(*planned);
  std::vector<Tensor> batch = makeBatch(*planned, 7, 1);
  CHECK(isClose(call(*planned, "predict", {batch[0]}, state)[0].values,
                call(*graph, "forward", {batch[0]}, state)[0].values, 1e-6));
}

TEST_CASE("a training step descends along the gradient of its loss") {
  std::string text =
      modelText(R"({name = "sgd", learning_rate = 1.0})", withoutDropout);
  auto program = compile(text, Stage::Planned);
  State state = startState(*program);
  for (size_t samples : {1, 6}) {
    std::vector<Tensor> batch = makeBatch(*program, samples, samples);
    State after = state;
    call(*program, "train_step", batch, after);
    auto loss = [&] {
      return call(*program, "eval_step", batch, state)[0].values();
    };
    constexpr double step = 1e-5;
    program->getModule().walk([&](StateOp op) {
      if (op.getRole() != Role::Parameter)
        return;
      std::string name = op.getSymName().str();
      for (size_t i = 0; i < state[name].values.size(); ++i) {
        double &w = state[name].values.flat(i);
        double before = w;
        w = before + step;
        double above = loss();
        w = before - step;
        double below = loss();
        w = before;
        double numeric = (above - below) / (2 * step);
        double descent = before - after[name].values.flat(i);
        INFO(name << ", element " << i << ": step " << descent
                  << ", differences " << numeric);
        CHECK(std::abs(descent - numeric) <=
              1e-6 * std::max(1.0, std::abs(numeric)));
      }
    });
  }
}
