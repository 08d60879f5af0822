//===- RegistryTest.cpp - no op without its parts ------------------------===//
//
// Walks every op that the dialect registers. A new op fails here until it has
// a reference kernel, says what its gradient is, and stands in the files of
// samples that the other tests read.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/ir/Program.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::test;

static bool isStructure(RegisteredOperationName op) {
  return op.hasTrait<Structure>();
}

TEST_CASE("every op that computes has a reference kernel") {
  REQUIRE(!registeredOps().empty());
  for (RegisteredOperationName op : registeredOps()) {
    INFO(op.getStringRef().str());
    CHECK((reference::findKernel(op.getStringRef()) != nullptr) !=
          isStructure(op));
  }
}

TEST_CASE("every op that computes has a gradient rule or declares none") {
  for (RegisteredOperationName op : registeredOps()) {
    INFO(op.getStringRef().str());
    bool rule = op.hasInterface<Differentiable>();
    bool refusal = op.hasTrait<ZeroGradient>() || op.hasTrait<NoGradient>();
    bool replacedBefore = op.hasInterface<ModeDependent>();
    CHECK(rule + refusal + replacedBefore + isStructure(op) == 1);
  }
}

TEST_CASE("every op that computes has a case worked out by hand") {
  std::set<std::string> covered =
      Program::load("unit/ir/reference.mlir")->opNames();
  for (RegisteredOperationName op : registeredOps()) {
    INFO(op.getStringRef().str() << " is not in unit/ir/reference.mlir");
    CHECK((isStructure(op) || covered.count(op.getStringRef().str())));
  }
}

TEST_CASE("every op with a gradient rule or an expansion has a sample") {
  std::set<std::string> covered =
      Program::load("gradients/samples.mlir")->opNames();
  for (RegisteredOperationName op : registeredOps()) {
    bool sampled =
        op.hasInterface<Differentiable>() || op.hasInterface<Expandable>();
    INFO(op.getStringRef().str() << " is not in gradients/samples.mlir");
    CHECK((!sampled || covered.count(op.getStringRef().str())));
  }
}

TEST_CASE("every op stands in the round-trip test") {
  std::set<std::string> covered = Program::load("ir/roundtrip.mlir")->opNames();
  for (RegisteredOperationName op : registeredOps()) {
    INFO(op.getStringRef().str() << " is not in ir/roundtrip.mlir");
    CHECK(covered.count(op.getStringRef().str()));
  }
}
