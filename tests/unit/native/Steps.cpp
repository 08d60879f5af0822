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
  auto model = step->getParentOfType<ModelOp>();
  auto predict = model.lookupSymbol<func::FuncOp>("predict");
  const unsigned inputs = predict ? predict.getNumArguments() : 1;
  std::vector<Tensor> batch;
  for (unsigned i = 0; i < step.getNumArguments(); ++i) {
    bool isLabels = !type(i).getElementType().isF32();
    batch.push_back(fill(type(i), samples, [&]() -> double {
      return i < inputs ? uniform(-1, 1)
             : isLabels ? static_cast<double>(
                              random() % static_cast<uint64_t>(text.classes))
                        : uniform(text.from, text.to);
    }));
  }
  return batch;
}

static const char *const functions[] = {"predict", "predict_one", "eval_step",
                                        "train_step"};

/// @predict_one takes one sample.
static bool takes(StringRef function, const std::vector<Tensor> &batch) {
  return function != "predict_one" || batch[0].values.shape(0) == 1;
}

/// The first `count` of the batch's tensors: prediction takes no targets.
static std::vector<Tensor> inputsOf(size_t count,
                                    const std::vector<Tensor> &batch) {
  return {batch.begin(), batch.begin() + static_cast<ptrdiff_t>(count)};
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
    func::FuncOp function = findFunction(module, source);
    results[name] =
        interpretOrFail(function, inputsOf(function.getNumArguments(), batch),
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
    const ModelRecord &record = native.record(model);
    const size_t count =
        name == StringRef("predict")       ? record.predict.inputs.size()
        : name == StringRef("predict_one") ? record.predictOne.inputs.size()
                                           : batch.size();
    results[name] = native.run(model, name, inputsOf(count, batch), state,
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
