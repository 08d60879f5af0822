//===- ConformanceTest.cpp - ONNX's conformance suite --------------------===//
//
// Problem: an importer of 150 ops is right only if somebody else's examples say
// so.
//
// Idea: ONNX ships its own, each a small model with inputs and outputs (Debian:
// libonnx-testdata). All of them go through import, pipeline and code
// generation; the native code of many models is one object, called by
// NativeModels, which also looks after memory. What is refused has its reason
// in the table that this test writes; a wrong answer fails the test, and so
// does a committed table that is not what was found. A static compiler has to
// know sizes, axes and indices: where a model is refused with all inputs open,
// integers are bound to the values of the example, then all inputs but one,
// then all of them; the table says so.
//
// To write the table anew: SINTER_WRITE_CONFORMANCE=1 onnx-tests
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/OnnxConstants.h"
#include "frontend/onnx/OnnxReader.h"
#include "ir/SinterDialect.h"
#include "passes/Pipeline.h"
#include "tests/unit/native/NativeModels.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdlib>
#include <iostream>

using namespace sinter;
using namespace sinter::frontend;
namespace file = sinter::frontend::onnx;
using llvm::StringRef;

namespace {

const char *const kSuite = "/usr/share/libonnx-testdata/data";

enum class Verdict { Pass, Refused, Fail };

struct Example {
  std::string suite, name, ops; // "node", "test_abs", "Abs"
  std::string note;             // the reason, or which inputs are bound
  Verdict verdict = Verdict::Refused;
  std::vector<file::Constant> inputs, outputs; // of the open inputs
  std::optional<OnnxNetwork> network;
  size_t model = 0; // in its NativeModels
  size_t batch = 1;
};

std::vector<std::string> entriesOf(const std::string &folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(folder, error), end;
       it != end && !error; it.increment(error))
    names.push_back(llvm::sys::path::filename(it->path()).str());
  llvm::sort(names);
  return names;
}

/// The first error, without the file's name.
std::string reasonOf(const Diagnostics &diagnostics) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  diagnostics.print(stream);
  size_t at = text.find("error: ");
  std::string reason = at == std::string::npos ? text : text.substr(at + 7);
  reason = reason.substr(0, reason.find('\n'));
  if (size_t hint = reason.find("; export the model with");
      hint != std::string::npos)
    reason.resize(hint);
  return reason;
}

std::vector<file::Constant> readTensors(const std::string &folder,
                                        const char *kind,
                                        const std::vector<file::Port> &ports,
                                        Diagnostics &diagnostics) {
  std::vector<file::Constant> tensors;
  for (size_t i = 0; i < ports.size(); ++i) {
    std::optional<file::Constant> tensor = file::readTensorFile(
        folder + "/" + kind + "_" + std::to_string(i) + ".pb", diagnostics);
    if (!tensor)
      break;
    // The suite has the bits of bfloat16 as uint16.
    if (ports[i].type == file::ElementType::BFloat16 &&
        tensor->type == file::ElementType::UInt16) {
      std::vector<float> values;
      for (int64_t bits : tensor->integers())
        values.push_back(
            llvm::bit_cast<float>(static_cast<uint32_t>(bits) << 16));
      tensor->type = file::ElementType::BFloat16;
      tensor->values = std::move(values);
    }
    tensors.push_back(std::move(*tensor));
  }
  return tensors;
}

/// Takes the graph with the inputs that `isBound` as constants.
template <typename Predicate>
bool build(Example &example, const file::Graph &whole,
           const std::vector<file::Constant> &inputs, Predicate isBound,
           std::string &reason) {
  file::Graph graph = whole;
  graph.inputs.clear();
  example.inputs.clear();
  for (auto [i, port] : llvm::enumerate(whole.inputs)) {
    if (isBound(i, port)) {
      graph.initializers[port.name] = inputs[i];
      continue;
    }
    // Sizes that the model leaves open are the example's.
    file::Port known = port;
    known.dims = inputs[i].dims;
    graph.inputs.push_back(std::move(known));
    example.inputs.push_back(inputs[i]);
  }
  // A network has an input, if only one that nobody reads.
  if (graph.inputs.empty()) {
    file::Constant nothing;
    nothing.dims = {1};
    nothing.values = std::vector<float>{0};
    graph.inputs.push_back({"nothing", nothing.type, nothing.dims});
    example.inputs.push_back(std::move(nothing));
  }
  Diagnostics diagnostics(example.name);
  example.network = buildOnnx(graph, diagnostics);
  if (!example.network && reason.empty())
    reason = reasonOf(diagnostics);
  return example.network.has_value();
}

void import(Example &example, const std::string &folder) {
  Diagnostics diagnostics(example.name);
  std::optional<file::Graph> graph =
      file::readGraph(folder + "/model.onnx", diagnostics);
  if (!graph) {
    example.note = reasonOf(diagnostics);
    return;
  }
  std::vector<std::string> ops;
  for (const file::Node &node : graph->nodes)
    if (!llvm::is_contained(ops, node.op))
      ops.push_back(node.op);
  example.ops = llvm::join(ops, ", ");
  const std::string data = folder + "/test_data_set_0";
  std::vector<file::Constant> inputs =
      readTensors(data, "input", graph->inputs, diagnostics);
  example.outputs = readTensors(data, "output", graph->outputs, diagnostics);
  if (inputs.size() != graph->inputs.size() ||
      example.outputs.size() != graph->outputs.size()) {
    example.note = reasonOf(diagnostics);
    return;
  }
  auto open = [](size_t, const file::Port &) { return false; };
  auto integers = [](size_t, const file::Port &port) {
    return !file::isFloating(port.type);
  };
  auto butFirst = [](size_t i, const file::Port &) { return i > 0; };
  auto all = [](size_t, const file::Port &) { return true; };
  std::string reason;
  if (build(example, *graph, inputs, open, reason))
    example.note = "";
  else if (build(example, *graph, inputs, integers, reason))
    example.note = "integer inputs constant";
  else if (build(example, *graph, inputs, butFirst, reason))
    example.note = "all inputs but the first constant";
  else if (build(example, *graph, inputs, all, reason))
    example.note = "all inputs constant";
  else
    example.note = reason;
}

/// The network has the axis of the samples in front.
file::Constant samplesFirst(const file::Constant &x, int64_t at) {
  if (at == 0)
    return x;
  std::vector<int64_t> order =
      file::counting(0, static_cast<int64_t>(x.dims.size()));
  std::rotate(order.begin(), order.begin() + at, order.begin() + at + 1);
  return file::transposed(x, order);
}

/// Adds the network's native code to `models`.
void compile(Example &example, mlir::MLIRContext &context,
             test::NativeModels &models) {
  ModelBuilder &builder = *example.network->builder;
  if (example.network->hasBatch) {
    const int64_t at = example.network->inputBatchAt;
    example.batch = static_cast<size_t>(example.inputs[0].dims[at]);
    for (file::Constant &input : example.inputs)
      input = samplesFirst(input, at);
    for (auto [output, at] :
         llvm::zip_equal(example.outputs, example.network->outputBatchAt))
      output = samplesFirst(output, at);
  }
  builder.setBatchBound(static_cast<int64_t>(example.batch));
  mlir::OwningOpRef<mlir::ModuleOp> module = builder.build(context);
  if (!module) {
    example.note = reasonOf(builder.diagnostics());
    example.network.reset();
    return;
  }
  mlir::PassManager passes(&context);
  buildPipeline(passes, Stage::Planned);
  INFO(example.name);
  REQUIRE(mlir::succeeded(passes.run(*module)));
  // All models' names are symbols of one object.
  for (auto model : module->getOps<ModelOp>())
    model.setSymName(example.suite == "node"
                         ? example.name
                         : llvm::StringRef(example.suite).take_front(7).str() +
                               "_" + example.name);
  example.model = models.add(*module);
}

reference::Tensor toTensor(const file::Constant &constant,
                           const TensorRecord &like, size_t batch) {
  reference::Tensor tensor;
  std::vector<size_t> shape;
  for (int64_t size : like.shape)
    shape.push_back(size < 0 ? batch : static_cast<size_t>(size));
  tensor.values = reference::Array::from_shape(shape);
  REQUIRE(tensor.values.size() == constant.size());
  for (size_t i = 0; i < constant.size(); ++i)
    tensor.values.flat(i) = constant.number(i);
  return tensor;
}

/// ONNX's own tolerance, wider for f32 than an exact kernel needs; bfloat16,
/// which the network computes in f32, has 8 bits.
std::string compare(const reference::Tensor &got, const file::Constant &want) {
  const double tolerance =
      want.type == file::ElementType::BFloat16 ? 1.0 / 128 : 1e-3;
  if (got.values.size() != want.size())
    return "expected " + std::to_string(want.size()) + " elements, got " +
           std::to_string(got.values.size());
  for (size_t i = 0; i < want.size(); ++i) {
    const double a = got.values.flat(i), b = want.number(i);
    const bool same = a == b || (std::isnan(a) && std::isnan(b)) ||
                      std::fabs(a - b) <= tolerance * std::fabs(b) + 1e-6;
    if (!same)
      return "element " + std::to_string(i) + ": expected " +
             std::to_string(b) + ", got " + std::to_string(a);
  }
  return "";
}

void run(Example &example, test::NativeModels &models) {
  const ModelRecord &record = models.record(example.model);
  reference::State state;
  for (const ImportedWeight &weight : example.network->weights) {
    std::vector<size_t> shape(weight.shape.begin(), weight.shape.end());
    reference::Tensor tensor;
    tensor.values = reference::Array::from_shape(shape);
    for (size_t i = 0; i < weight.values.size(); ++i)
      tensor.values.flat(i) = weight.values[i];
    state[weight.name] = std::move(tensor);
  }
  std::vector<reference::Tensor> inputs;
  for (auto [input, like] :
       llvm::zip_equal(example.inputs, record.predict.inputs))
    inputs.push_back(toTensor(input, like, example.batch));
  example.verdict = Verdict::Pass;
  for (StringRef function : {"predict", "predict_one"}) {
    if (function == "predict_one" &&
        (example.batch != 1 || !models.has(example.model, function)))
      continue;
    std::vector<reference::Tensor> results =
        models.run(example.model, function, inputs, state, example.batch);
    for (auto [got, want] : llvm::zip_equal(results, example.outputs))
      if (std::string wrong = compare(got, want); !wrong.empty()) {
        example.verdict = Verdict::Fail;
        example.note = function.str() + ": " + wrong;
      }
  }
}

std::string verdictText(const Example &example) {
  switch (example.verdict) {
  case Verdict::Pass:
    return example.note.empty() ? "pass" : "pass, " + example.note;
  case Verdict::Refused:
    return "refused: " + example.note;
  case Verdict::Fail:
    return "FAIL: " + example.note;
  }
  return "";
}

std::string escaped(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.replace(at, 1, "\\|");
  return text;
}

std::string tableOf(const std::vector<Example> &examples) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << "# ONNX's conformance suite\n\n"
      << "Generated by `onnx-tests` from the examples of Debian's "
         "libonnx-testdata 1.12. A refusal names its reason; where inputs are "
         "constant, the example's values were bound at import.\n\n"
      << "| suite | examples | pass | refused | fail |\n"
      << "| --- | --- | --- | --- | --- |\n";
  std::vector<std::string> suites;
  for (const Example &example : examples)
    if (!llvm::is_contained(suites, example.suite))
      suites.push_back(example.suite);
  for (const std::string &suite : suites) {
    size_t counts[3] = {};
    for (const Example &example : examples)
      if (example.suite == suite)
        ++counts[static_cast<size_t>(example.verdict)];
    out << "| " << suite << " | " << counts[0] + counts[1] + counts[2] << " | "
        << counts[0] << " | " << counts[1] << " | " << counts[2] << " |\n";
  }
  out << "\n| example | ops | result |\n| --- | --- | --- |\n";
  for (const Example &example : examples)
    out << "| " << example.suite << "/" << example.name << " | " << example.ops
        << " | " << escaped(verdictText(example)) << " |\n";
  return text;
}

} // namespace

TEST_CASE("ONNX's examples have ONNX's results, or are refused", "[onnx]") {
  if (!llvm::sys::fs::is_directory(kSuite)) {
    std::cout << "skipped: no " << kSuite
              << " (apt install libonnx-testdata)\n";
    return;
  }
  const char *only = std::getenv("SINTER_CONFORMANCE_ONLY");
  std::vector<Example> examples;
  for (const char *suite :
       {"node", "simple", "pytorch-converted", "pytorch-operator"})
    for (const std::string &name :
         entriesOf(std::string(kSuite) + "/" + suite)) {
      if (only && name.find(only) == std::string::npos)
        continue;
      Example example;
      example.suite = suite;
      example.name = name;
      import(example, std::string(kSuite) + "/" + suite + "/" + name);
      examples.push_back(std::move(example));
    }

  std::unique_ptr<mlir::MLIRContext> context = createContext();
  const size_t atATime = 32;
  std::vector<Example *> open;
  for (Example &example : examples)
    if (example.network)
      open.push_back(&example);
  for (size_t first = 0; first < open.size(); first += atATime) {
    test::NativeModels models(*context);
    auto some = llvm::ArrayRef(open).drop_front(first).take_front(atATime);
    for (Example *example : some)
      compile(*example, *context, models);
    models.compile();
    for (Example *example : some)
      if (example->network) {
        INFO(example->name);
        run(*example, models);
      }
  }

  size_t failures = 0;
  for (const Example &example : examples)
    if (example.verdict == Verdict::Fail) {
      ++failures;
      UNSCOPED_INFO(example.suite << "/" << example.name << ": "
                                  << example.note);
    }
  const std::string table = tableOf(examples);
  std::cout << table.substr(0, table.find("\n\n| example")) << "\n";
  CHECK(failures == 0);
  if (only)
    return;
  if (std::getenv("SINTER_WRITE_CONFORMANCE")) {
    std::error_code error;
    llvm::raw_fd_ostream(SINTER_CONFORMANCE_TABLE, error) << table;
    REQUIRE(!error);
  }
  auto committed = llvm::MemoryBuffer::getFile(SINTER_CONFORMANCE_TABLE);
  REQUIRE(committed);
  INFO(
      "the committed table is of another state: run SINTER_WRITE_CONFORMANCE=1 "
      "onnx-tests");
  CHECK((*committed)->getBuffer() == table);
}
