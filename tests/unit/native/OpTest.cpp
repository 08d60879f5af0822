//===- OpTest.cpp - every op, compiled, against the reference ------------===//
//
// Each function of OpTexts.h becomes a model of its own, is compiled, and runs
// with batches of 1, 7, the bound less one, and the bound. The interpreter runs
// the function as it was written, with ordinary inputs and with awkward ones:
// zeros of both signs, large numbers, infinities, denormals, NaN.
//
// Bounds: a single op of exact arithmetic gives the reference's very bits, one
// of VectorMath.h's functions keeps its bound, all else 1e-5 of the value plus
// 1e-6 of the tensor's largest (Winograd's tiles of 4 x 4: 1e-5).
//
//===----------------------------------------------------------------------===//

#include "codegen/VectorMath.h"
#include "ir/Winograd.h"
#include "tests/unit/ir/Program.h"
#include "tests/unit/native/Compare.h"
#include "tests/unit/native/ImageTexts.h"
#include "tests/unit/native/Models.h"
#include "tests/unit/native/NativeModels.h"
#include "tests/unit/native/OpTexts.h"
#include "tests/unit/native/TrainTexts.h"

#include <catch2/catch.hpp>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

//===----------------------------------------------------------------------===//
// Inputs and bounds
//===----------------------------------------------------------------------===//

/// The ops that a function applies to its inputs.
static std::vector<Operation *> computingOps(func::FuncOp function) {
  std::vector<Operation *> ops;
  for (Operation &op : function.front().without_terminator())
    if (!isa<ConstantOp, ReadOp, WriteOp, CastOp, BatchSizeOp, ReshapeOp,
             BroadcastOp>(op))
      ops.push_back(&op);
  return ops;
}

static bool isExact(Operation *op) {
  return isa<AddOp, SubOp, MulOp, DivOp, MaximumOp, MinimumOp, GreaterOp,
             EqualOp, SelectOp, NegOp, AbsOp, SignOp, FloorOp, SqrtOp, OneHotOp,
             EmbeddingOp, ConcatenateOp, SliceOp, PadOp, TransposeOp,
             UpsampleOp, MaxPool2dOp, ReduceMaxOp, ArgMaxOp, RandomUniformOp,
             ReluOp>(op);
}

static Tolerance toleranceOf(func::FuncOp function) {
  std::vector<Operation *> ops = computingOps(function);
  if (ops.size() <= 1 && llvm::all_of(ops, isExact))
    return {};
  if (ops.size() == 1)
    for (VectorMathBound bound : vectorMathBounds)
      if (ops[0]->getName().stripDialect() == bound.function)
        return {.ulps = bound.ulps + 0.5}; // the reference is rounded, too
  // Sums of products that are larger than what they add up to.
  bool hasLargeTiles = llvm::any_of(ops, [](Operation *op) {
    auto conv = dyn_cast<WinogradConv2dOp>(op);
    auto gradient = dyn_cast<WinogradFilterGradientOp>(op);
    return (conv && winogradTile(tensorTypeOf(conv.getU())) == 4) ||
           (gradient && gradient.getTile() == 4);
  });
  return {.relative = 1e-5, .absolute = hasLargeTiles ? 1e-5 : 1e-6};
}

/// Inputs that make trouble.
static std::vector<Tensor> awkwardInputs(func::FuncOp function, size_t batch) {
  std::vector<double> numbers = {0.0,   -0.0, 1,   -1,  NAN,  0.5,
                                 -1e-3, 30,   -30, 2.5, -2.5, 88};
  std::vector<Operation *> ops = computingOps(function);
  // One op has nothing to cancel.
  auto asksWhere = [](Operation *op) {
    return isa<ArgMaxOp, MaxPool2dGradientOp, MaxPool2dGatherOp>(op);
  };
  if (ops.size() == 1 && !asksWhere(ops[0])) {
    if (ops[0]->hasTrait<Elementwise>() && !isa<Expandable>(ops[0]))
      numbers.insert(numbers.end(),
                     {INFINITY, -INFINITY, 1e7, -1e7, 1e-40, -1e-40, 0x1p-149});
    if (isExact(ops[0]))
      numbers.insert(numbers.end(), {3e38, -3e38});
  }
  // An index of NaN is nobody's.
  if (llvm::any_of(ops, asksWhere))
    numbers[4] = 4;
  const double integers[] = {0, 1, 2, -1, 7, 16777217, -2147483648.0, 3};
  std::vector<Tensor> inputs;
  size_t next = 0;
  for (Type type : function.getArgumentTypes()) {
    auto tensor = cast<RankedTensorType>(type);
    bool isFloat = tensor.getElementType().isF32();
    // Steps that share no factor: all pairs come up.
    inputs.push_back(fill(tensor, batch, [&]() -> double {
      ++next;
      return isFloat ? static_cast<float>(
                           numbers[next * next % 23 % numbers.size()])
                     : integers[next * 3 % std::size(integers)];
    }));
  }
  return inputs;
}

//===----------------------------------------------------------------------===//
// The tests
//===----------------------------------------------------------------------===//

namespace {
struct CompiledText {
  OpText text;
  ModuleRef original, planned;
  size_t model;
};
} // namespace

static void checkText(NativeModels &native, CompiledText &compiled,
                      size_t batch, const std::vector<sinter_pool *> &pools) {
  func::FuncOp original = findFunction(*compiled.original, "predict");
  func::FuncOp planned = findFunction(*compiled.planned, "predict");
  Tolerance tolerance = toleranceOf(original);
  auto check = [&](func::FuncOp function, const std::vector<Tensor> &inputs) {
    State expectedState = startState(*compiled.planned);
    State actualState = expectedState;
    std::vector<Tensor> expected =
        interpretOrFail(function, inputs, expectedState, batch);
    std::vector<Tensor> actual =
        native.run(compiled.model, "predict", inputs, actualState, batch);
    CHECK(difference(actual, expected, tolerance) == "");
    CHECK(difference(actualState, expectedState, tolerance) == "");
    if (batch > 1 || !native.has(compiled.model, "predict_one"))
      return;
    INFO("one sample");
    for (sinter_pool *pool : pools)
      CHECK(difference(native.run(compiled.model, "predict_one", inputs,
                                  actualState, batch, pool),
                       expected, tolerance) == "");
  };
  INFO("@" << compiled.text.name << ", batch " << batch);
  std::mt19937_64 random(batch);
  {
    INFO("ordinary inputs");
    check(original, randomInputs(original, batch, random));
  }
  // Composites are exact for ordinary numbers only: what their expansions do.
  INFO("awkward inputs");
  check(planned, awkwardInputs(original, batch));
}

/// Compiles and checks `texts`.
static void checkTexts(const std::string &cpu, int64_t bound,
                       std::vector<OpText> texts, bool inSlices = false) {
  INFO(cpu << ", batches of up to " << bound);
  std::unique_ptr<MLIRContext> context = createContext();
  NativeModels native(*context, cpu);
  std::vector<CompiledText> all;
  for (OpText &text : texts) {
    INFO("@" << text.name);
    CompiledText compiled;
    compiled.original = parse(*context, modelText(text, bound));
    compiled.planned = inSlices
                           ? planSteps(*context, modelText(text, bound), 1, 1)
                           : planSteps(*context, modelText(text, bound));
    auto sliced = findFunction(*compiled.planned, "predict")
                      ->getAttrOfType<IntegerAttr>("sinter.batch_bound");
    if (inSlices && (!sliced || sliced.getInt() > 16))
      continue; // two inputs, two results, or sums over the batch
    compiled.model = native.add(*compiled.planned);
    compiled.text = std::move(text);
    all.push_back(std::move(compiled));
  }
  native.compile();
  std::unique_ptr<sinter_pool, void (*)(sinter_pool *)> pool(
      sinter_pool_create(3), sinter_pool_destroy);
  for (CompiledText &compiled : all)
    for (int64_t batch :
         {int64_t(1), std::min<int64_t>(7, bound), bound - 1, bound})
      checkText(native, compiled, static_cast<size_t>(batch),
                {nullptr, pool.get()});
}

/// The same for those of opTexts whose numbers are wanted: the more
/// configurations, the fewer each.
static void checkTexts(const std::string &cpu, int64_t bound,
                       llvm::function_ref<bool(size_t)> wanted,
                       bool inSlices = false) {
  std::vector<OpText> texts;
  for (auto [number, text] : llvm::enumerate(opTexts()))
    if (wanted(number))
      texts.push_back(std::move(text));
  checkTexts(cpu, bound, std::move(texts), inSlices);
}

static bool everyText(size_t) { return true; }

TEST_CASE("ops with batches in slices") {
  checkTexts(
      "native", 48, [](size_t number) { return number % 3 == 2; }, true);
}

TEST_CASE("small slices run on threads of their own") {
  // 200 features, 130 of a layer, 200 again: 64 samples at a time.
  const OpText text = {"layers",
                       "sinter.state parameter @w : tensor<200x130xf32> = "
                       "uniform(-0.1, 0.1)",
                       R"(
    func.func @predict(%x: tensor<?x200xf32>) -> tensor<?x200xf32> {
      %w = sinter.read @w : tensor<200x130xf32>
      %m = sinter.matmul %x, %w : (tensor<?x200xf32>, tensor<200x130xf32>)
        -> tensor<?x130xf32>
      %h = sinter.relu %m : tensor<?x130xf32>
      %g = sinter.matmul %h, %w transposed
        : (tensor<?x130xf32>, tensor<200x130xf32>) -> tensor<?x200xf32>
      %y = sinter.tanh %g : tensor<?x200xf32>
      return %y : tensor<?x200xf32>
    })"};
  constexpr int64_t bound = 256;
  std::unique_ptr<MLIRContext> context = createContext();
  std::string model = modelText(text, bound);
  ModuleRef original = parse(*context, model);
  ModuleRef planned = planSteps(*context, model, 4 << 20, 100 << 10);
  func::FuncOp function = findFunction(*planned, "predict");
  auto number = [&](StringRef name) {
    auto attribute = function->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : 0;
  };
  REQUIRE(number("sinter.batch_bound") == 64);
  REQUIRE(number("sinter.slice_places") == 4);
  NativeModels native(*context, "native");
  size_t compiled = native.add(*planned);
  native.compile();
  for (size_t batch : {2, 63, 64, 65, 130, 255, 256}) {
    std::mt19937_64 random(batch);
    func::FuncOp asWritten = findFunction(*original, "predict");
    std::vector<Tensor> inputs = randomInputs(asWritten, batch, random);
    State state = startState(*planned);
    std::vector<Tensor> alone =
        native.run(compiled, "predict", inputs, state, batch);
    std::vector<Tensor> expected =
        interpretOrFail(asWritten, inputs, state, batch);
    INFO("batch " << batch);
    CHECK(difference(alone, expected, toleranceOf(asWritten)) == "");
    // 5 threads are more than there are places.
    for (int threads : {2, 3, 4, 5}) {
      std::unique_ptr<sinter_pool, void (*)(sinter_pool *)> pool(
          sinter_pool_create(threads), sinter_pool_destroy);
      INFO(threads << " threads");
      CHECK(difference(native.run(compiled, "predict", inputs, state, batch,
                                  pool.get()),
                       alone, {}) == "");
    }
  }
}

TEST_CASE("most functions have a form for one sample") {
  // Gradients and what draws numbers have none.
  std::unique_ptr<MLIRContext> context = createContext();
  size_t with = 0, without = 0;
  for (const OpText &text : opTexts()) {
    bool found = false;
    planSteps(*context, modelText(text, 16))->walk([&](func::FuncOp function) {
      found |= function.getName() == "predict_one";
    });
    ++(found ? with : without);
  }
  CHECK(with > without);
}

TEST_CASE("every op computes what the reference does") {
  checkTexts("native", 19, everyText);
}

TEST_CASE("ops with batches of whole vectors and of several") {
  checkTexts("native", 16, [](size_t number) { return number % 4 == 0; });
  checkTexts("native", 32, [](size_t number) { return number % 4 == 1; });
  checkTexts("native", 48, [](size_t number) { return number % 4 == 2; });
}

TEST_CASE("ops on processors with narrower vectors") {
  checkTexts("x86-64-v3", 19, [](size_t number) { return number % 3 == 0; });
  checkTexts("x86-64", 19, [](size_t number) { return number % 3 == 1; });
}

TEST_CASE("large products are cut in blocks") {
  checkTexts("native", 430, largeTexts());
  std::vector<OpText> texts = largeTexts();
  texts.resize(2);
  checkTexts("x86-64-v3", 430, std::move(texts));
}

TEST_CASE("large results pass by the caches") {
  for (int64_t bound : {8, 16, 48})
    checkTexts("native", bound, streamedTexts(bound));
  checkTexts("native", 8, streamedFilterTexts());
  checkTexts("native", 61, streamedDepthwiseTexts());
}

TEST_CASE("convolutions copy large filters") {
  checkTexts("native", 8, packedFilterTexts());
  checkTexts("x86-64-v3", 8, {packedFilterTexts().front()});
}

TEST_CASE("convolutions transform large filters themselves") {
  for (int64_t bound : {8, 19})
    checkTexts("native", bound, madeFilterTexts());
  checkTexts("x86-64-v3", 8, madeFilterTexts());
}

TEST_CASE("large gradients of filters are never stored transformed") {
  std::unique_ptr<MLIRContext> context = createContext();
  for (const OpText &text : allTapsTexts())
    planSteps(*context, modelText(text, 8))->walk([&](Operation *op) {
      INFO(text.name);
      if (isa<WinogradFilterAdjointOp, WriteOp>(op)) {
        auto kernel = op->getParentOfType<KernelOp>();
        CHECK(kernel.getKind() == KernelKind::WinogradGradient);
      }
    });
  for (int64_t bound : {8, 16, 40})
    checkTexts("native", bound, allTapsTexts());
  checkTexts("x86-64-v3", 8, allTapsTexts());
  checkTexts("x86-64", 8, allTapsTexts());
}

// Several channels or pixels in a vector, where vectors are longer than the
// batch.
TEST_CASE("ops with small batches") {
  checkTexts("native", 8, everyText);
  checkTexts("native", 4, [](size_t number) { return number % 2 == 0; });
  checkTexts("x86-64-v3", 4, [](size_t number) { return number % 2 == 1; });
}

TEST_CASE("convolutions of small batches") {
  std::vector<OpText> texts = opTexts();
  llvm::erase_if(texts, [](const OpText &text) {
    StringRef name = text.name;
    return !name.starts_with("winograd") && !name.starts_with("conv");
  });
  checkTexts("native", 4, texts);
  for (int64_t bound : {4, 8})
    checkTexts("x86-64-v3", bound, texts);
}

TEST_CASE("every op that computes is compiled by a test") {
  std::unique_ptr<MLIRContext> context = createContext();
  std::set<std::string> covered;
  for (const OpText &text : opTexts()) {
    collectOpNames(*parse(*context, modelText(text, 16)), covered);
    collectOpNames(*planSteps(*context, modelText(text, 16)), covered);
  }
  for (const TrainText &text : trainTexts())
    collectOpNames(*parse(*context, text.model), covered);
  for (uint64_t number = 12; number < 24; ++number) // those of ImageTest.cpp
    for (Stage stage : {Stage::Graph, Stage::Planned})
      collectOpNames(*compileTo(*context, imageText(number).model, stage),
                     covered);
  for (RegisteredOperationName op : registeredOps()) {
    INFO(op.getStringRef().str() << " is in no function of OpTexts.cpp, "
                                    "TrainTexts.cpp or ImageTexts.cpp");
    CHECK((op.hasTrait<Structure>() || covered.count(op.getStringRef().str())));
  }
}
