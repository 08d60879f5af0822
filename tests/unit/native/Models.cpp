//===- Models.cpp - from text to any stage, and values to start with -----===//

#include "tests/unit/native/Models.h"

#include "passes/Passes.h"
#include "tests/unit/ir/Program.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

ModuleRef sinter::test::parse(MLIRContext &context, const std::string &text) {
  ModuleRef module = parseSourceString<ModuleOp>(text, &context);
  INFO(text);
  REQUIRE(module);
  return module;
}

static void runPasses(PassManager &passes, ModuleOp module,
                      const std::string &text) {
  INFO(text);
  REQUIRE(succeeded(passes.run(module)));
}

ModuleRef sinter::test::compileTo(MLIRContext &context, const std::string &text,
                                  Stage stage, bool fuse) {
  ModuleRef module = parse(context, text);
  PassManager passes(&context);
  buildPipeline(passes, stage, fuse);
  runPasses(passes, *module, text);
  return module;
}

ModuleRef sinter::test::planSteps(MLIRContext &context, const std::string &text,
                                  int64_t sliceBytes, int64_t ownSliceBytes) {
  ModuleRef module = parse(context, text);
  PassManager passes(&context);
  OpPassManager &model = passes.nest<ModelOp>();
  model.addPass(createExpandComposites());
  model.addPass(createCanonicalizerPass());
  model.addPass(createCSEPass());
  model.addPass(createSpecializeSample());
  model.addPass(createAssignLayout());
  model.addPass(createFuseKernels());
  model.addPass(createOrderKernels());
  model.addPass(createPlanMemory({sliceBytes, ownSliceBytes}));
  runPasses(passes, *module, text);
  return module;
}

func::FuncOp sinter::test::findFunction(ModuleOp module, StringRef name) {
  func::FuncOp found;
  module->walk([&](func::FuncOp function) {
    if (function.getName() == name)
      found = function;
  });
  INFO(name.str());
  REQUIRE(found);
  return found;
}

void sinter::test::collectOpNames(ModuleOp module,
                                  std::set<std::string> &names) {
  module->walk(
      [&](Operation *op) { names.insert(op->getName().getStringRef().str()); });
}

State sinter::test::startState(ModuleOp module) {
  State state;
  std::mt19937_64 random(5);
  module->walk([&](StateOp op) {
    double seed = 10;
    auto next = [&]() -> double {
      if (op.getRole() == Role::Seed)
        return ++seed;
      if (op.getInit() == Init::Constant)
        return op.getA().convertToFloat();
      double draw = std::ldexp(double(random() >> 11), -53);
      double a = -1, b = 1;
      if (op.getInit() == Init::Uniform) {
        a = op.getA().convertToFloat();
        b = op.getB().convertToFloat();
      }
      return static_cast<float>(a + (b - a) * draw);
    };
    state[op.getSymName().str()] = fill(op.getTensorType(), 1, next);
  });
  return state;
}

std::vector<Tensor>
sinter::test::interpretOrFail(func::FuncOp function,
                              const std::vector<Tensor> &inputs, State &state,
                              size_t batch, Precision precision) {
  auto results = interpret(function, inputs, state, {precision, batch});
  REQUIRE(succeeded(results));
  return *results;
}
