//===- FoldTest.cpp - canonicalisation keeps every result ----------------===//
//
// Runs each function of the lit test ir/folds.mlir before and after
// --canonicalize. Results must be equal, not close.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/ir/Program.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

TEST_CASE("canonicalisation changes no result") {
  auto program = Program::load("ir/folds.mlir");
  struct Run {
    func::FuncOp function;
    std::vector<Tensor> inputs, results;
  };
  std::vector<Run> runs;
  std::mt19937_64 random(3);
  for (func::FuncOp function : program->functions()) {
    std::vector<Tensor> inputs = randomInputs(function, 3, random);
    runs.push_back(
        {function, inputs, run(function, inputs, Precision::Float32, 3)});
  }
  PassManager passes(program->getModule().getContext());
  passes.addPass(createCanonicalizerPass());
  REQUIRE(succeeded(passes.run(program->getModule())));
  REQUIRE(!runs.empty());
  for (Run &before : runs) {
    INFO("@" << before.function.getName().str());
    std::vector<Tensor> after =
        run(before.function, before.inputs, Precision::Float32, 3);
    REQUIRE(after.size() == before.results.size());
    for (auto [a, b] : llvm::zip(after, before.results))
      CHECK(same(a.values, b.values));
  }
}
