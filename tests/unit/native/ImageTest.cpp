//===- ImageTest.cpp - random networks of images, compiled ---------------===//
//
// Three steps of each network with batches of the bound, 1 and the bound less
// one: the interpreter at the stages train, fused and planned, and without
// fusion; compiled code with one thread and with several, now and then without
// fusion. All that a step returns and every state must agree: 1e-4 of the value
// plus 1e-5 of the tensor's largest. Each step starts from the same state:
// errors do not add up.
//
// Thousands more: native-tests "[many]", which does the networks from
// SINTER_IMAGES_FROM on, SINTER_IMAGES of them (0 and 300); large ones if
// SINTER_IMAGES_LARGE is set.
//
// Known weakness: where two numbers that are compared (a rectifier's, a
// window's) differ by a rounding, so may all that follows. If the interpreter
// finds the network that sensitive, too, it is left out.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/native/ImageTexts.h"
#include "tests/unit/native/Models.h"
#include "tests/unit/native/Steps.h"

#include <catch2/catch.hpp>

#include <iostream>
#include <optional>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

static constexpr Tolerance tolerance{.relative = 1e-4, .absolute = 1e-5};

namespace {
struct CompiledImages {
  TrainText text;
  ModuleRef train, fused, planned, unfused;
  size_t model;
  std::optional<size_t> unfusedModel;
};

struct Outcome {
  Results results;
  State state;
};
} // namespace

static std::string difference(const Outcome &actual, const Outcome &expected,
                              Tolerance tolerance) {
  std::string text = difference(actual.results, expected.results, tolerance);
  return text.empty() ? difference(actual.state, expected.state, tolerance)
                      : text;
}

/// Does an exact step give other numbers than one of rounded ops?
static bool isSensitive(const CompiledImages &images,
                        const std::vector<Tensor> &batch, const State &start,
                        const Outcome &expected) {
  Outcome exact{{}, start};
  exact.results =
      interpretStep(*images.train, batch, exact.state, Precision::Double);
  return !difference(exact, expected, {.relative = 2e-5, .absolute = 2e-6})
              .empty();
}

/// Returns how many networks were left out.
static size_t trainImages(uint64_t from, uint64_t count, const std::string &cpu,
                          bool large = false) {
  INFO(cpu);
  std::unique_ptr<MLIRContext> context = createContext();
  NativeModels native(*context, cpu);
  std::vector<CompiledImages> all;
  for (uint64_t number = from; number < from + count; ++number) {
    CompiledImages images;
    images.text = large ? largeImageText(number) : imageText(number);
    const std::string &model = images.text.model;
    images.train = compileTo(*context, model, Stage::Train);
    images.fused = compileTo(*context, model, Stage::Fused);
    images.planned = compileTo(*context, model, Stage::Planned);
    std::string renamed = model; // to be compiled beside the other
    renamed.insert(renamed.find(images.text.name) + images.text.name.size(),
                   "_unfused");
    images.unfused = compileTo(*context, renamed, Stage::Planned, false);
    // Evaluation and prediction are parts of the step: some of them will do.
    ModuleRef steps = images.planned->clone();
    if (number % 4 != 0)
      for (const char *name : {"predict", "eval_step"})
        findFunction(*steps, name).erase();
    images.model = native.add(*steps);
    if (number % 12 == 1)
      images.unfusedModel = native.add(*images.unfused);
    all.push_back(std::move(images));
  }
  native.compile();

  using Pool = std::unique_ptr<sinter_pool, void (*)(sinter_pool *)>;
  std::vector<Pool> pools;
  for (int threads : {2, 3})
    pools.emplace_back(sinter_pool_create(threads), sinter_pool_destroy);

  size_t sensitive = 0;
  for (CompiledImages &images : all) {
    INFO(images.text.model);
    func::FuncOp trainStep = findFunction(*images.train, "train_step");
    auto bound = static_cast<size_t>(images.text.batchBound);
    State state = startState(*images.planned);
    uint64_t step = 0;
    for (size_t samples : {bound, size_t(1), bound - 1}) {
      INFO("step " << step << ", batch " << samples);
      std::vector<Tensor> batch =
          makeBatch(trainStep, images.text, samples, ++step);
      Outcome expected{{}, state};
      expected.results = interpretStep(*images.train, batch, expected.state);
      std::string wrong;
      auto check = [&](const std::string &who, const Outcome &actual) {
        std::string text = difference(actual, expected, tolerance);
        if (wrong.empty() && !text.empty())
          wrong = who + ": " + text;
      };
      for (auto [who, module] :
           {std::pair<const char *, ModuleOp>{"fused", *images.fused},
            {"planned", *images.planned},
            {"unfused", *images.unfused}}) {
        Outcome actual{{}, state};
        actual.results = interpretStep(module, batch, actual.state);
        check(who, actual);
      }
      Outcome compiled{{}, state};
      compiled.results =
          nativeStep(native, images.model, batch, compiled.state);
      check("compiled", compiled);
      if (images.unfusedModel) {
        Outcome actual{{}, state};
        actual.results =
            nativeStep(native, *images.unfusedModel, batch, actual.state);
        check("compiled, unfused", actual);
      }
      if (!wrong.empty() && isSensitive(images, batch, state, expected)) {
        ++sensitive;
        break;
      }
      CHECK(wrong == "");
      for (Pool &pool : pools) {
        Outcome shared{{}, state};
        shared.results =
            nativeStep(native, images.model, batch, shared.state, pool.get());
        CHECK(difference(shared, compiled, {}) == "");
      }
      state = expected.state;
    }
  }
  return sensitive;
}

TEST_CASE("random networks of images follow the interpreter") {
  CHECK(trainImages(12, 12, "native") == 0);
  // A row sum's term is read where a result of its kernel is stored.
  CHECK(trainImages(54, 1, "native") == 0);
}

TEST_CASE("random networks of images on processors with narrower vectors") {
  CHECK(trainImages(27, 2, "x86-64-v3") == 0);
  CHECK(trainImages(30, 2, "x86-64") == 0);
  // A transposed convolution of groups leaves pixels without a product.
  CHECK(trainImages(65, 1, "x86-64-v3") == 0);
}

TEST_CASE("networks of images for several threads") {
  std::unique_ptr<MLIRContext> context = createContext();
  NativeModels native(*context);
  size_t model =
      native.add(*compileTo(*context, largeImageText(0).model, Stage::Planned));
  std::map<std::string, int64_t> mostTasks;
  for (const KernelRecord &kernel : native.record(model).trainStep.kernels)
    mostTasks[kernel.kind] = std::max(mostTasks[kernel.kind], kernel.tasks);
  for (const char *kind :
       {"conv", "filter_gradient", "sweep", "batch_reduce"}) {
    INFO(kind);
    CHECK(mostTasks[kind] > 2);
  }
  CHECK(trainImages(0, 1, "native", /*large=*/true) == 0);
}

TEST_CASE("many random networks of images", "[.][many]") {
  auto setting = [](const char *name, uint64_t otherwise) -> uint64_t {
    const char *text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
  };
  uint64_t from = setting("SINTER_IMAGES_FROM", 0);
  uint64_t end = from + setting("SINTER_IMAGES", 300);
  size_t sensitive = 0;
  for (uint64_t number = from; number < end; number += 4)
    sensitive += trainImages(number, std::min<uint64_t>(4, end - number),
                             number % 24 == 8    ? "x86-64"
                             : number % 24 == 16 ? "x86-64-v3"
                                                 : "native",
                             std::getenv("SINTER_IMAGES_LARGE") != nullptr);
  std::cout << sensitive << " of " << end - from << " were left out\n";
}
