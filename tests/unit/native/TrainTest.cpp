//===- TrainTest.cpp - whole training steps, compiled --------------------===//
//
// Five steps with batches of several sizes: compiled code, and the interpreter
// at the stages train, fused and planned, each from its own state on. Losses,
// metrics, predictions and every state must agree after every step: 1e-4 of the
// value plus 1e-5 of the tensor's largest.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/native/Models.h"
#include "tests/unit/native/Steps.h"
#include "tests/unit/native/TrainTexts.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

static constexpr Tolerance tolerance{.relative = 1e-4, .absolute = 1e-5};

static std::vector<size_t> batchesOf(const TrainText &text) {
  auto bound = static_cast<size_t>(text.batchBound);
  return {bound, 1, std::min<size_t>(7, bound), std::max<size_t>(1, bound - 1),
          bound};
}

static void trainEverywhere(const std::vector<TrainText> &texts,
                            const std::string &cpu) {
  INFO(cpu);
  std::unique_ptr<MLIRContext> context = createContext();
  NativeModels native(*context, cpu);
  struct Trained {
    ModuleRef stages[3];
    size_t model;
  };
  std::vector<Trained> all;
  for (const TrainText &text : texts) {
    Trained trained;
    Stage stages[] = {Stage::Train, Stage::Fused, Stage::Planned};
    for (size_t i = 0; i < 3; ++i)
      trained.stages[i] = compileTo(*context, text.model, stages[i]);
    // Evaluation and prediction are parts of the step: some of them will do.
    ModuleRef steps = trained.stages[2]->clone();
    if (all.size() % 4 != 0)
      for (const char *name : {"predict", "eval_step"})
        findFunction(*steps, name).erase();
    trained.model = native.add(*steps);
    all.push_back(std::move(trained));
  }
  native.compile();

  for (auto [text, trained] : llvm::zip_equal(texts, all)) {
    INFO(text.model);
    State states[4];
    for (State &state : states)
      state = startState(*trained.stages[2]);
    func::FuncOp trainStep = findFunction(*trained.stages[0], "train_step");
    size_t step = 0;
    for (size_t samples : batchesOf(text)) {
      INFO("step " << step << ", batch " << samples);
      std::vector<Tensor> batch = makeBatch(trainStep, text, samples, ++step);
      Results expected = interpretStep(*trained.stages[0], batch, states[0]);
      for (size_t i = 1; i < 3; ++i) {
        INFO("interpreted at stage " << i);
        Results actual = interpretStep(*trained.stages[i], batch, states[i]);
        CHECK(difference(actual, expected, tolerance) == "");
        CHECK(difference(states[i], states[0], tolerance) == "");
      }
      INFO("compiled");
      Results actual = nativeStep(native, trained.model, batch, states[3]);
      CHECK(difference(actual, expected, tolerance) == "");
      CHECK(difference(states[3], states[0], tolerance) == "");
    }
  }
}

TEST_CASE("training steps follow the interpreter at every stage") {
  trainEverywhere(trainTexts(), "native");
}

TEST_CASE("training steps on processors with narrower vectors") {
  std::vector<TrainText> texts = trainTexts();
  trainEverywhere({texts[1], texts[5], texts[8], texts[17]}, "x86-64-v3");
  trainEverywhere({texts[0], texts[6], texts[13]}, "x86-64");
}

TEST_CASE("any number of threads gives the same bits") {
  TrainText text = wideTrainText();
  std::unique_ptr<MLIRContext> context = createContext();
  ModuleRef planned = compileTo(*context, text.model, Stage::Planned);
  NativeModels native(*context);
  size_t model = native.add(*planned);
  native.compile();

  std::map<std::string, int64_t> mostTasks;
  for (const KernelRecord &kernel : native.record(model).trainStep.kernels)
    mostTasks[kernel.kind] = std::max(mostTasks[kernel.kind], kernel.tasks);
  CHECK(mostTasks["matmul"] > 2);
  CHECK(mostTasks["weight_gradient"] > 2);

  func::FuncOp trainStep = findFunction(*planned, "train_step");
  State interpreted = startState(*planned);
  State alone = interpreted;
  std::map<int, State> states;
  using Pool = std::unique_ptr<sinter_pool, void (*)(sinter_pool *)>;
  std::map<int, Pool> pools;
  for (int threads : {1, 2, 3}) {
    states[threads] = alone;
    pools.emplace(threads,
                  Pool(sinter_pool_create(threads), sinter_pool_destroy));
  }
  uint64_t seed = 0;
  for (size_t samples : {48, 31, 1}) {
    INFO("batch " << samples);
    std::vector<Tensor> batch = makeBatch(trainStep, text, samples, ++seed);
    Results expected = nativeStep(native, model, batch, alone);
    CHECK(difference(expected, interpretStep(*planned, batch, interpreted),
                     tolerance) == "");
    CHECK(difference(alone, interpreted, tolerance) == "");
    for (auto &[threads, pool] : pools) {
      INFO(threads << " threads");
      Results actual =
          nativeStep(native, model, batch, states[threads], pool.get());
      CHECK(difference(actual, expected, {}) == "");
      CHECK(difference(states[threads], alone, {}) == "");
    }
  }
}
