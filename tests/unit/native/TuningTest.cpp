//===- TuningTest.cpp - forced choices, compiled -------------------------===//
//
// A tuning file may change the order of sums and nothing else. Random networks
// get a random one of the possible values for each choice of each kernel;
// lowering must take every one of them, and compiled code must follow the
// interpreter and be the same for any number of threads.
//
//===----------------------------------------------------------------------===//

#include "ir/Tuning.h"
#include "tests/unit/native/ImageTexts.h"
#include "tests/unit/native/Models.h"
#include "tests/unit/native/Steps.h"

#include "mlir/IR/Builders.h"

#include <catch2/catch.hpp>

#include <random>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

static constexpr Tolerance tolerance{.relative = 1e-4, .absolute = 1e-5};

/// Key and knob to value.
using Choices = std::map<std::string, std::map<std::string, std::string>>;

static std::vector<ChoiceRecord> choicesOf(const ModelRecord &record) {
  std::vector<ChoiceRecord> all;
  for (const FunctionRecord *function : {&record.predict, &record.predictOne,
                                         &record.evalStep, &record.trainStep})
    for (const KernelRecord &kernel : function->kernels)
      llvm::append_range(all, kernel.choices);
  return all;
}

static ModuleRef plan(MLIRContext &context, const std::string &text,
                      const Choices &choices) {
  // Written into the text: the stages read it as they would from a dump.
  std::string attribute = std::string(tuning::attribute) + " = {";
  for (auto &[key, knobs] : choices) {
    attribute += "\"" + key + "\" = {";
    for (auto &[knob, value] : knobs)
      attribute += knob + " = \"" + value + "\", ";
    attribute.resize(attribute.size() - 2);
    attribute += "}, ";
  }
  if (!choices.empty())
    attribute.resize(attribute.size() - 2);
  std::string tuned = text;
  const std::string begin = "attributes {";
  tuned.insert(tuned.find(begin) + begin.size(), attribute + "}, ");
  return compileTo(context, tuned, Stage::Planned);
}

/// What lowering would choose from, without compiling.
static ModelRecord lower(MLIRContext &context, ModuleOp planned) {
  NativeModels models(context);
  return models.record(models.add(planned));
}

static void checkForced(const std::vector<TrainText> &texts,
                        std::minstd_rand &random) {
  std::unique_ptr<MLIRContext> context = createContext();
  NativeModels native(*context);
  struct Network {
    const TrainText &text;
    ModuleRef train;
    size_t model;
  };
  std::vector<Network> networks;
  size_t changed = 0;
  auto draw = [&](const ModelRecord &record, Choices &choices) {
    for (const ChoiceRecord &choice : choicesOf(record)) {
      auto &value = choices[choice.key][choice.knob];
      if (value.empty())
        value = choice.values[random() % choice.values.size()];
    }
  };
  for (const TrainText &text : texts) {
    INFO(text.model);
    // First the algorithms, which decide what there is to choose.
    Choices choices;
    draw(lower(*context, *plan(*context, text.model, {})), choices);
    draw(lower(*context, *plan(*context, text.model, choices)), choices);
    ModuleRef planned = plan(*context, text.model, choices);
    size_t model = native.add(*planned);
    for (const ChoiceRecord &choice : choicesOf(native.record(model))) {
      INFO(choice.key << ": " << choice.knob);
      CHECK(choice.values[choice.chosen] == choices[choice.key][choice.knob]);
      changed += choice.chosen != 0;
    }
    networks.push_back(
        {text, compileTo(*context, text.model, Stage::Train), model});
  }
  CHECK(changed > 2 * texts.size());
  native.compile();

  std::unique_ptr<sinter_pool, void (*)(sinter_pool *)> pool(
      sinter_pool_create(3), sinter_pool_destroy);
  for (const Network &network : networks) {
    INFO(network.text.model);
    func::FuncOp step = findFunction(*network.train, "train_step");
    const auto bound = static_cast<size_t>(network.text.batchBound);
    const State start = startState(*network.train);
    uint64_t seed = 0;
    for (size_t samples : {bound, size_t(1), bound - 1}) {
      std::vector<Tensor> batch =
          makeBatch(step, network.text, samples, ++seed);
      State expectedState = start, state = start, sharedState = start;
      Results expected = interpretStep(*network.train, batch, expectedState);
      State exactState = start;
      Results exact =
          interpretStep(*network.train, batch, exactState, Precision::Double);
      Results results = nativeStep(native, network.model, batch, state);
      // Where a rounding decides, both orders of sums are right.
      constexpr Tolerance close{.relative = 2e-5, .absolute = 2e-6};
      if (difference(exact, expected, close).empty() &&
          difference(exactState, expectedState, close).empty()) {
        CHECK(difference(results, expected, tolerance) == "");
        CHECK(difference(state, expectedState, tolerance) == "");
      }
      Results shared =
          nativeStep(native, network.model, batch, sharedState, pool.get());
      CHECK(difference(shared, results, {}) == "");
      CHECK(difference(sharedState, state, {}) == "");
    }
  }
}

TEST_CASE("forced choices in random networks of images") {
  std::minstd_rand random(1);
  std::vector<TrainText> texts;
  for (uint64_t number = 40; number < 52; ++number)
    texts.push_back(imageText(number));
  checkForced(texts, random);
}

TEST_CASE("forced choices in networks for several threads") {
  std::minstd_rand random(2);
  checkForced({wideTrainText(), largeImageText(2)}, random);
}

TEST_CASE("forced choices in many random networks", "[.][many]") {
  std::minstd_rand random(3);
  for (uint64_t from = 100; from < 340; from += 8) {
    std::vector<TrainText> texts;
    for (uint64_t number = from; number < from + 8; ++number)
      texts.push_back(imageText(number));
    checkForced(texts, random);
  }
}
