//===- CasesTest.cpp - ops of a file, run on numbers of a file -----------===//
//
// Problem: what an op computes is to be compared with another system's results,
// and that system is driven from Python.
//
// Idea: a folder (the environment's SINTER_CASES) is the interface.
// `cases.mlir` has functions with attributes `batch` and `bound`; `inputs.f32`
// their arguments, one after the other, and then the gradient of the loss by
// the function's result. `outputs.f32` gets each function's result and its
// gradients by all arguments that have one, made by the gradient rules.
// tests/e2e/torch_ops.py makes such folders.
//
// Another folder has a model: `model.mlir` at the train stage, `steps.txt` with
// the numbers of steps and samples, `state.f32` with the values of parameters
// and frozen states, `input.f32` and `target.f32` with one batch. `losses.f32`
// gets the loss of each step on this batch, `end.f32` the same states as they
// are then. tests/e2e/torch_models.py makes those.
//
// These tests are hidden: they run when asked for by name.
//
//===----------------------------------------------------------------------===//

#include "codegen/Compile.h"
#include "tests/unit/ir/Gradients.h"
#include "tests/unit/ir/Program.h"
#include "tests/unit/native/Models.h"
#include "tests/unit/native/NativeModels.h"
#include "tests/unit/native/OpTexts.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

namespace {
struct Folder {
  Folder() {
    const char *folder = std::getenv("SINTER_CASES");
    INFO("SINTER_CASES names the folder of the cases");
    REQUIRE(folder);
    path = folder;
  }
  std::string readText(const char *name) const {
    std::ifstream file(path + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string path;
};

/// One function of the file, with its gradients, and what goes in.
struct Case {
  func::FuncOp function;
  size_t batch;
  int64_t bound;
  std::vector<Tensor> inputs;
};
} // namespace

namespace {
/// A file of numbers, one after the other.
struct Numbers {
  Numbers(const Folder &folder, const char *name)
      : file(folder.path + "/" + name, std::ios::binary) {}
  double operator()() {
    float value = 0;
    file.read(reinterpret_cast<char *>(&value), sizeof value);
    REQUIRE(file.good());
    return value;
  }
  std::ifstream file;
};
} // namespace

static std::vector<Case> readCases(const Folder &folder, ModuleOp module) {
  Numbers numbers(folder, "inputs.f32");
  std::vector<Case> cases;
  for (func::FuncOp original :
       llvm::to_vector(module.getBody()->getOps<func::FuncOp>())) {
    Case one;
    one.batch = original->getAttrOfType<IntegerAttr>("batch").getInt();
    one.bound = original->getAttrOfType<IntegerAttr>("bound").getInt();
    one.function =
        buildGradientFunction(original, /*withResult=*/true).function;
    for (Type type : one.function.getArgumentTypes())
      one.inputs.push_back(fill(cast<RankedTensorType>(type), one.batch,
                                [&] { return numbers(); }));
    cases.push_back(std::move(one));
  }
  return cases;
}

static void write(std::ofstream &file, const std::vector<Tensor> &tensors) {
  for (const Tensor &tensor : tensors)
    for (double value : tensor.values) {
      auto rounded = static_cast<float>(value);
      file.write(reinterpret_cast<const char *>(&rounded), sizeof rounded);
    }
}

TEST_CASE("cases by the reference", "[.][cases-reference]") {
  Folder folder;
  std::unique_ptr<MLIRContext> context = createContext();
  ModuleRef module = parse(*context, folder.readText("cases.mlir"));
  std::ofstream file(folder.path + "/outputs.f32", std::ios::binary);
  for (Case &one : readCases(folder, *module))
    write(file, run(one.function, one.inputs, Precision::Double, one.batch));
  REQUIRE(file.good());
}

TEST_CASE("cases by compiled code", "[.][cases-native]") {
  Folder folder;
  std::unique_ptr<MLIRContext> context = createContext();
  ModuleRef module = parse(*context, folder.readText("cases.mlir"));
  std::vector<Case> cases = readCases(folder, *module);
  NativeModels native(*context);
  std::vector<std::pair<size_t, ModuleRef>> models;
  for (Case &one : cases) {
    OpText text{one.function.getName().str(), "", ""};
    one.function.setName("predict");
    llvm::raw_string_ostream stream(text.function);
    one.function->print(stream, OpPrintingFlags().useLocalScope());
    one.function.setName(text.name);
    INFO("@" << text.name);
    ModuleRef planned = planSteps(*context, modelText(text, one.bound));
    size_t model = native.add(*planned);
    models.emplace_back(model, std::move(planned));
  }
  native.compile();
  std::ofstream file(folder.path + "/outputs.f32", std::ios::binary);
  for (auto [one, model] : llvm::zip(cases, models)) {
    State state;
    write(file,
          native.run(model.first, "predict", one.inputs, state, one.batch));
  }
  REQUIRE(file.good());
}

TEST_CASE("steps by the reference", "[.][steps-reference]") {
  Folder folder;
  std::unique_ptr<MLIRContext> context = createContext();
  ModuleRef module = parse(*context, folder.readText("model.mlir"));
  func::FuncOp step = findFunction(*module, "train_step");
  std::istringstream counts(folder.readText("steps.txt"));
  size_t steps = 0, samples = 0;
  counts >> steps >> samples;
  auto isGiven = [](StateOp op) {
    return op.getRole() == Role::Parameter || op.getRole() == Role::Frozen;
  };

  State state = startState(*module);
  Numbers numbers(folder, "state.f32");
  module->walk([&](StateOp op) {
    if (isGiven(op))
      for (double &value : state[op.getSymName().str()].values)
        value = numbers();
  });
  std::vector<Tensor> batch;
  for (auto [name, type] : llvm::zip_equal(
           std::array{"input.f32", "target.f32"}, step.getArgumentTypes())) {
    Numbers values(folder, name);
    batch.push_back(
        fill(cast<RankedTensorType>(type), samples, [&] { return values(); }));
  }

  std::ofstream losses(folder.path + "/losses.f32", std::ios::binary);
  for (size_t i = 0; i < steps; ++i) {
    auto results = interpret(step, batch, state, {Precision::Double, samples});
    REQUIRE(succeeded(results));
    write(losses, {results->front()});
  }
  std::ofstream end(folder.path + "/end.f32", std::ios::binary);
  module->walk([&](StateOp op) {
    if (isGiven(op))
      write(end, {state[op.getSymName().str()]});
  });
  REQUIRE((losses.good() && end.good()));
}
