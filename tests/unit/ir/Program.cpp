//===- Program.cpp - MLIR text that a unit test runs ---------------------===//

#include "tests/unit/ir/Program.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

Program::Program(StringRef text) {
  context.loadDialect<SinterDialect, func::FuncDialect>();
  handler = std::make_unique<ScopedDiagnosticHandler>(
      &context, [&](Diagnostic &diagnostic) {
        messages += diagnostic.str() + "\n";
        return success();
      });
  module = parseSourceString<ModuleOp>(text, &context);
}

std::unique_ptr<Program> Program::load(StringRef path) {
  auto file =
      llvm::MemoryBuffer::getFile(std::string(SINTER_TESTS_DIR "/") + path);
  INFO("reading tests/" << path.str());
  REQUIRE(file);
  auto program = std::make_unique<Program>((*file)->getBuffer());
  INFO(program->diagnostics());
  REQUIRE(program->ok());
  return program;
}

std::vector<func::FuncOp> Program::functions() {
  std::vector<func::FuncOp> found;
  module->walk([&](func::FuncOp function) { found.push_back(function); });
  return found;
}

func::FuncOp Program::function(StringRef name) {
  for (func::FuncOp function : functions())
    if (function.getName() == name)
      return function;
  FAIL("no function @" << name.str());
  return {};
}

std::set<std::string> Program::opNames() {
  std::set<std::string> names;
  module->walk(
      [&](Operation *op) { names.insert(op->getName().getStringRef().str()); });
  return names;
}

std::vector<RegisteredOperationName> sinter::test::registeredOps() {
  static MLIRContext context;
  context.loadDialect<SinterDialect>();
  ArrayRef<RegisteredOperationName> ops =
      context.getRegisteredOperationsByDialect("sinter");
  return {ops.begin(), ops.end()};
}

std::vector<Tensor> sinter::test::run(func::FuncOp function,
                                      const std::vector<Tensor> &inputs,
                                      Precision precision,
                                      std::optional<size_t> batch) {
  State state;
  if (auto model = dyn_cast<ModelOp>(function->getParentOp()))
    for (StateOp op : model.getBody().getOps<StateOp>())
      if (auto value = dyn_cast_or_null<DenseElementsAttr>(op.getValueAttr())) {
        auto element = value.value_begin<float>();
        state[op.getSymName().str()] =
            fill(op.getTensorType(), 1, [&] { return *element++; });
      }
  FailureOr<std::vector<Tensor>> results =
      interpret(function, inputs, state, {precision, batch});
  INFO("running @" << function.getName().str());
  REQUIRE(succeeded(results));
  return *results;
}

/// A number attribute of a function, or `otherwise`.
static double numberOr(func::FuncOp function, StringRef name,
                       double otherwise) {
  if (auto number = function->getAttrOfType<FloatAttr>(name))
    return number.getValueAsDouble();
  if (auto number = function->getAttrOfType<IntegerAttr>(name))
    return static_cast<double>(number.getInt());
  return otherwise;
}

std::vector<Tensor> sinter::test::randomInputs(func::FuncOp function,
                                               size_t batch,
                                               std::mt19937_64 &random) {
  double from = numberOr(function, "from", -2);
  double to = numberOr(function, "to", 2);
  uint64_t classes = numberOr(function, "classes", 2);
  std::vector<Tensor> inputs;
  for (Type argument : function.getArgumentTypes()) {
    auto type = cast<RankedTensorType>(argument);
    bool isFloat = type.getElementType().isF32();
    inputs.push_back(fill(type, batch, [&]() -> double {
      if (!isFloat)
        return static_cast<double>(random() % classes);
      double unit = std::ldexp(static_cast<double>(random() >> 11), -53);
      return static_cast<float>(from + (to - from) * unit);
    }));
  }
  return inputs;
}
