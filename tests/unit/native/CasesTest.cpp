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
  std::string readText() const {
    std::ifstream file(path + "/cases.mlir");
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

static std::vector<Case> readCases(const Folder &folder, ModuleOp module) {
  std::ifstream numbers(folder.path + "/inputs.f32", std::ios::binary);
  auto next = [&]() -> double {
    float value = 0;
    numbers.read(reinterpret_cast<char *>(&value), sizeof value);
    return value;
  };
  std::vector<Case> cases;
  for (func::FuncOp original :
       llvm::to_vector(module.getBody()->getOps<func::FuncOp>())) {
    Case one;
    one.batch = original->getAttrOfType<IntegerAttr>("batch").getInt();
    one.bound = original->getAttrOfType<IntegerAttr>("bound").getInt();
    one.function =
        buildGradientFunction(original, /*withResult=*/true).function;
    for (Type type : one.function.getArgumentTypes())
      one.inputs.push_back(fill(cast<RankedTensorType>(type), one.batch, next));
    REQUIRE(numbers.good());
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
  ModuleRef module = parse(*context, folder.readText());
  std::ofstream file(folder.path + "/outputs.f32", std::ios::binary);
  for (Case &one : readCases(folder, *module))
    write(file, run(one.function, one.inputs, Precision::Double, one.batch));
  REQUIRE(file.good());
}

TEST_CASE("cases by compiled code", "[.][cases-native]") {
  Folder folder;
  std::unique_ptr<MLIRContext> context = createContext();
  ModuleRef module = parse(*context, folder.readText());
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
