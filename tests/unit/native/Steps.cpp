//===- Steps.cpp - runs a model's functions on batches -------------------===//

#include "tests/unit/native/Steps.h"

#include "tests/unit/ir/Program.h"
#include "tests/unit/native/Models.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

std::vector<Tensor> sinter::test::makeBatch(func::FuncOp step,
                                            const TrainText &text,
                                            size_t samples, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto uniform = [&](double from, double to) {
    return static_cast<float>(
        from + (to - from) * std::ldexp(double(random() >> 11), -53));
  };
  auto type = [&](unsigned i) {
    return cast<RankedTensorType>(step.getArgumentTypes()[i]);
  };
  Tensor input = fill(type(0), samples, [&] { return uniform(-1, 1); });
  bool isLabels = !type(1).getElementType().isF32();
  Tensor target = fill(type(1), samples, [&]() -> double {
    return isLabels ? static_cast<double>(random() %
                                          static_cast<uint64_t>(text.classes))
                    : uniform(text.from, text.to);
  });
  return {input, target};
}

static const char *const functions[] = {"predict", "predict_one", "eval_step",
                                        "train_step"};

/// @predict_one takes one sample.
static bool takes(StringRef function, const std::vector<Tensor> &batch) {
  return function != "predict_one" || batch[0].values.shape(0) == 1;
}

static std::vector<Tensor> inputsOf(const std::string &function,
                                    const std::vector<Tensor> &batch) {
  return StringRef(function).starts_with("predict")
             ? std::vector<Tensor>{batch[0]}
             : batch;
}

Results sinter::test::interpretStep(ModuleOp module,
                                    const std::vector<Tensor> &batch,
                                    State &state, Precision precision) {
  Results results;
  for (const char *name : functions) {
    if (!takes(name, batch))
      continue;
    // Before the stage at which it is made, @predict stands for it.
    auto model = *module.getOps<ModelOp>().begin();
    const char *source = StringRef(name) == "predict_one" &&
                                 !model.lookupSymbol<func::FuncOp>(name)
                             ? "predict"
                             : name;
    results[name] =
        interpretOrFail(findFunction(module, source), inputsOf(name, batch),
                        state, batch[0].values.shape(0), precision);
  }
  return results;
}

Results sinter::test::nativeStep(NativeModels &native, size_t model,
                                 const std::vector<Tensor> &batch, State &state,
                                 sinter_pool *pool) {
  Results results;
  for (const char *name : functions) {
    if (!native.has(model, name) || !takes(name, batch))
      continue;
    State before = state;
    results[name] = native.run(model, name, inputsOf(name, batch), state,
                               batch[0].values.shape(0), pool);
    INFO("@" << name << " changed the state");
    if (StringRef(name) != "train_step")
      CHECK(difference(state, before, {}) == "");
  }
  return results;
}

std::string sinter::test::difference(const Results &actual,
                                     const Results &expected,
                                     Tolerance tolerance) {
  if (!actual.count("train_step"))
    return "no step";
  for (auto &[name, results] : actual) {
    std::string text = difference(results, expected.at(name), tolerance);
    if (!text.empty())
      return "@" + name + ", " + text;
  }
  return "";
}
