//===- PrepareTest.cpp - derived states are never stale ------------------===//
//
// A small network with all that is derived from weights (scaled filters,
// Winograd's transforms in blocks of filters, constants of normalisation),
// called as a library is: one block for the state, which stays.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "tests/unit/ir/Program.h"
#include "tests/unit/native/Models.h"
#include "tests/unit/native/Steps.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include <catch2/catch.hpp>

#include <cstring>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

static const char *const pattern = R"(
sinter.model @NAME batch_bound BOUND attributes {
    loss = {name = "mean_squared_error"},
    optimizer = {name = "sgd", learning_rate = 0.0001, momentum = 0.0, nesterov = false}} {
  sinter.state parameter @kernel : tensor<3x3xCHANNELSxFILTERSxf32> = uniform(-0.1, 0.1)
  sinter.state parameter @gamma : tensor<FILTERSxf32> = uniform(0.5, 1.5)
  sinter.state parameter @beta : tensor<FILTERSxf32> = uniform(-1.0, 1.0)
  sinter.state frozen @mean : tensor<FILTERSxf32> = uniform(-1.0, 1.0)
  sinter.state frozen @variance : tensor<FILTERSxf32> = uniform(0.5, 1.5)
  sinter.state parameter @last : tensor<FILTERSx3xf32> = uniform(-1.0, 1.0)
  func.func @forward(%x: tensor<?xPIXELSxCHANNELSxf32>) -> tensor<?x3xf32> {
    %w = sinter.read @kernel : tensor<3x3xCHANNELSxFILTERSxf32>
    %g = sinter.read @gamma : tensor<FILTERSxf32>
    %b = sinter.read @beta : tensor<FILTERSxf32>
    %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?xPIXELSxCHANNELSxf32>, tensor<3x3xCHANNELSxFILTERSxf32>) -> tensor<?xPIXELSxFILTERSxf32>
    %n = sinter.batch_normalization %c, %g, %b moving @mean, @variance momentum 0.9 epsilon 0.001 : (tensor<?xPIXELSxFILTERSxf32>, tensor<FILTERSxf32>, tensor<FILTERSxf32>) -> tensor<?xPIXELSxFILTERSxf32>
    %zero = sinter.constant dense<0.0> : tensor<f32>
    %r = sinter.maximum %n, %zero : (tensor<?xPIXELSxFILTERSxf32>, tensor<f32>) -> tensor<?xPIXELSxFILTERSxf32>
    %s = sinter.REDUCTION %r axes [1, 2] : (tensor<?xPIXELSxFILTERSxf32>) -> tensor<?xFILTERSxf32>
    %m = sinter.read @last : tensor<FILTERSx3xf32>
    %y = sinter.matmul %s, %m : (tensor<?xFILTERSxf32>, tensor<FILTERSx3xf32>) -> tensor<?x3xf32>
    return %y : tensor<?x3xf32>
  }
}
)";

static std::string networkOf(const std::string &name, int64_t batchBound,
                             int64_t channels, int64_t filters,
                             const std::string &pixels = "7x8",
                             const std::string &reduction = "reduce_sum") {
  std::string text = pattern;
  auto replace = [&](const std::string &word, const std::string &by) {
    for (size_t at; (at = text.find(word)) != text.npos;)
      text.replace(at, word.size(), by);
  };
  replace("NAME", name);
  replace("BOUND", std::to_string(batchBound));
  replace("CHANNELS", std::to_string(channels));
  replace("FILTERS", std::to_string(filters));
  replace("PIXELS", pixels);
  replace("REDUCTION", reduction);
  return text;
}
static const std::string network = networkOf("prepared", 20, 16, 32);
static constexpr size_t inputs = 7 * 8 * 16, outputs = 3;
static constexpr int64_t batchBound = 20;

/// To the planned stage as Pipeline.cpp goes, with or without PrepareWeights.
static ModuleRef plan(MLIRContext &context, const std::string &text,
                      bool prepares) {
  ModuleRef module = parse(context, text);
  PassManager passes(&context);
  OpPassManager &model = passes.nest<ModelOp>();
  model.addPass(createBuildSteps());
  model.addPass(createAutodiff());
  model.addPass(createExpandOptimizer());
  model.addPass(createExpandComposites());
  model.addPass(createCanonicalizerPass());
  model.addPass(createCSEPass());
  model.addPass(createSpecializeSample());
  model.addPass(createFoldNormalization());
  model.addPass(createUseWinograd());
  if (prepares)
    model.addPass(createPrepareWeights());
  model.addPass(createAssignLayout());
  model.addPass(createFuseKernels());
  model.addPass(createOrderKernels());
  model.addPass(createPlanMemory());
  REQUIRE(succeeded(passes.run(*module)));
  return module;
}

static std::vector<float> makeNumbers(size_t count, int seed) {
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i)
    numbers[i] = static_cast<float>((i * 37 + seed * 101) % 127) / 64 - 1;
  return numbers;
}

namespace {
using Bytes = std::vector<char>;

/// A state block and an arena, at multiples of 64 bytes.
class Memory {
public:
  Memory(const NativeModels &models, size_t model, size_t count = inputs)
      : models(models), number(model), record(models.record(model)),
        count(count) {
    int64_t most = 0;
    for (const FunctionRecord *function :
         {&record.predict, &record.predictOne, &record.evalStep,
          &record.trainStep, &record.prepare})
      most = std::max(most, function->arenaBytes);
    state = allocate(record.stateBytes);
    arena = allocate(most);
  }

  /// What a training run keeps; whatever is derived becomes garbage.
  void setKept(const Bytes &kept) {
    std::memset(state.get(), 0x7f, static_cast<size_t>(record.stateBytes));
    std::memcpy(state.get(), kept.data(), kept.size());
    if (!record.prepare.symbol.empty())
      std::memset(state.get() + record.derivedOffset, 0, 4);
  }
  Bytes kept() const {
    return {state.get(), state.get() + record.derivedOffset};
  }
  Bytes all() const { return {state.get(), state.get() + record.stateBytes}; }

  std::vector<float> call(const char *function, int64_t batch, int seed,
                          sinter_pool *pool) {
    std::vector<float> x = makeNumbers(count * batch, seed);
    std::vector<float> target = makeNumbers(outputs * batch, seed + 1);
    std::vector<float> y(outputs * batch);
    const void *in[] = {x.data(), target.data()};
    void *out[] = {y.data()};
    sinter_call call{state.get(), arena.get(), in, out, batch, pool};
    models.find(number, function)(&call);
    return y;
  }

private:
  struct Free {
    void operator()(char *memory) const { std::free(memory); }
  };
  using Block = std::unique_ptr<char, Free>;
  static Block allocate(int64_t bytes) {
    return Block(static_cast<char *>(
        std::aligned_alloc(64, static_cast<size_t>(bytes / 64 + 1) * 64)));
  }

  const NativeModels &models;
  size_t number;
  const ModelRecord &record;
  size_t count; // numbers of an input
  Block state, arena;
};

/// The states at the start, as they lie in the block.
Bytes startOf(const ModelRecord &record, const State &start) {
  Bytes kept(static_cast<size_t>(record.derivedOffset));
  for (const StateRecord &state : record.states)
    if (state.role != SINTER_DERIVED && state.dtype == SINTER_F32) {
      auto *out = reinterpret_cast<float *>(kept.data() + state.offset);
      for (double value : start.at(state.name).values)
        *out++ = static_cast<float>(value);
    }
  return kept;
}

using Pool = std::unique_ptr<sinter_pool, void (*)(sinter_pool *)>;
} // namespace

TEST_CASE("derived states change no bit of a prediction") {
  std::unique_ptr<MLIRContext> context = createContext();
  for (const char *cpu : {"native", "x86-64-v3"}) {
    INFO(cpu);
    NativeModels native(*context, cpu);
    ModuleRef with = plan(*context, network, true);
    ModuleRef without =
        plan(*context, networkOf("each_call", 20, 16, 32), false);
    size_t models[] = {native.add(*with), native.add(*without)};
    native.compile();
    CHECK(native.record(models[0]).prepare.kernels.size() > 2);
    CHECK(native.record(models[1]).prepare.symbol.empty());

    State start = startState(*without);
    std::vector<float> results[2][3];
    for (size_t i = 0; i < 2; ++i) {
      Memory memory(native, models[i]);
      memory.setKept(startOf(native.record(models[i]), start));
      results[i][0] = memory.call("predict", 20, 1, nullptr);
      results[i][1] = memory.call("predict_one", 1, 2, nullptr);
      results[i][2] = memory.call("eval_step", 13, 3, nullptr);
    }
    for (size_t k = 0; k < 3; ++k)
      CHECK(results[0][k] == results[1][k]);
  }
}

TEST_CASE("a prediction after training is that of fresh weights") {
  std::unique_ptr<MLIRContext> context = createContext();
  NativeModels native(*context);
  ModuleRef planned = plan(*context, network, true);
  size_t model = native.add(*planned);
  native.compile();
  Bytes start = startOf(native.record(model), startState(*planned));

  std::vector<std::vector<float>> ofThreads;
  for (int threads : {1, 2, 3}) {
    INFO(threads << " threads");
    Pool pool(sinter_pool_create(threads), sinter_pool_destroy);
    Memory one(native, model), other(native, model), fresh(native, model);
    one.setKept(start);
    other.setKept(start);
    std::vector<float> before = one.call("predict", 9, 1, pool.get());
    CHECK(other.call("predict", 9, 1, pool.get()) == before);
    for (int step = 0; step < 2; ++step)
      one.call("train_step", batchBound, step, pool.get());

    // Prepares, since the weights are new, and then only reads.
    std::vector<float> after = one.call("predict", 9, 1, pool.get());
    CHECK(after != before);
    Bytes prepared = one.all();
    CHECK(one.call("predict", 9, 1, pool.get()) == after);
    std::vector<float> alone = one.call("predict_one", 1, 1, pool.get());
    one.call("eval_step", 9, 1, pool.get());
    CHECK(one.all() == prepared);

    // Another state has not noticed.
    CHECK(other.call("predict", 9, 1, pool.get()) == before);

    fresh.setKept(one.kept());
    fresh.call("prepare", 1, 0, pool.get());
    CHECK(fresh.all() == prepared);
    CHECK(fresh.call("predict_one", 1, 1, pool.get()) == alone);
    CHECK(fresh.call("predict", 9, 1, pool.get()) == after);
    after.insert(after.end(), alone.begin(), alone.end());
    ofThreads.push_back(after);
  }
  CHECK(ofThreads[1] == ofThreads[0]);
  CHECK(ofThreads[2] == ofThreads[0]);
}

/// The first of nine samples of `count` numbers, alone, by one thread and by
/// two, has the prediction that it has among them.
static void checkAlone(const NativeModels &native, size_t model,
                       ModuleOp module, size_t count) {
  Memory memory(native, model, count);
  memory.setKept(startOf(native.record(model), startState(module)));
  std::vector<float> together = memory.call("predict", 9, 1, nullptr);
  std::vector<float> alone = memory.call("predict_one", 1, 1, nullptr);
  for (size_t k = 0; k < outputs; ++k)
    CHECK(alone[k] == Approx(together[k]).epsilon(1e-4).margin(1e-4));
  Pool pool(sinter_pool_create(2), sinter_pool_destroy);
  CHECK(memory.call("predict_one", 1, 1, pool.get()) == alone);
}

// Channels and filters that fill vectors, and that do not; units of whole rows,
// for their sums, and of tiles.
TEST_CASE("a sample alone has the prediction that it has in a batch") {
  std::unique_ptr<MLIRContext> context = createContext();
  for (const char *cpu : {"native", "x86-64-v3", "x86-64"}) {
    INFO(cpu);
    NativeModels native(*context, cpu);
    std::vector<ModuleRef> modules;
    struct Form {
      int64_t channels, filters;
      std::string pixels = "7x8", reduction = "reduce_sum";
      int64_t count = 7 * 8;
    };
    std::vector<Form> forms = {{32, 48},
                               {75, 50},
                               {37, 59},
                               {16, 45},
                               {37, 35},
                               {75, 50, "13x13", "reduce_sum", 13 * 13},
                               {75, 50, "13x13", "reduce_max", 13 * 13},
                               {50, 25, "14x14", "reduce_max", 14 * 14},
                               {33, 48, "10x9", "reduce_sum", 10 * 9},
                               {32, 34, "6x12", "reduce_max", 6 * 12}};
    for (const Form &form : forms) {
      std::string name = "alone" + std::to_string(modules.size());
      modules.push_back(
          plan(*context,
               networkOf(name, batchBound, form.channels, form.filters,
                         form.pixels, form.reduction),
               true));
      bool hasWinograd = false;
      findFunction(*modules.back(), "predict_one").walk([&](WinogradConv2dOp) {
        hasWinograd = true;
      });
      CHECK(hasWinograd);
      native.add(*modules.back());
    }
    native.compile();
    for (size_t i = 0; i < forms.size(); ++i) {
      INFO(forms[i].channels << " channels, " << forms[i].filters
                             << " filters, " << forms[i].pixels << ", "
                             << forms[i].reduction);
      auto count = static_cast<size_t>(forms[i].count * forms[i].channels);
      checkAlone(native, i, *modules[i], count);
    }
  }
}

/// The network with pooling, a rectifier behind it, and a sum of what that
/// leaves.
static std::string pooledNetworkOf(const std::string &name, int64_t channels,
                                   int64_t filters, int64_t rows,
                                   int64_t columns, const std::string &pool) {
  auto image = [&](int64_t r, int64_t c) {
    return "tensor<?x" + std::to_string(r) + "x" + std::to_string(c) + "x" +
           std::to_string(filters) + "xf32>";
  };
  std::string text =
      networkOf(name, batchBound, channels, filters,
                std::to_string(rows) + "x" + std::to_string(columns));
  std::string before = "%r axes [1, 2] : (" + image(rows, columns),
              pooled = image(rows / 2, columns / 2),
              after = "%q axes [1, 2] : (" + pooled;
  text.replace(text.find(before), before.size(), after);
  text.insert(text.find("%s = "),
              "%p = sinter." + pool +
                  " %r window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (" +
                  image(rows, columns) + ") -> " + pooled +
                  "\n    %q = sinter.relu %p : " + pooled + "\n    ");
  return text;
}

// Behind direct sums and Winograd's tiles, whole ones and halves.
TEST_CASE("a sample alone is pooled where its image is made") {
  std::unique_ptr<MLIRContext> context = createContext();
  for (const char *cpu : {"native", "x86-64-v3", "x86-64"}) {
    INFO(cpu);
    NativeModels native(*context, cpu);
    std::vector<ModuleRef> modules;
    struct Form {
      int64_t channels, filters, rows, columns;
      const char *pool = "max_pool2d";
    };
    std::vector<Form> forms = {
        {1, 75, 28, 28},  {3, 20, 9, 31, "avg_pool2d"},
        {2, 33, 7, 6},    {75, 50, 14, 14},
        {37, 35, 11, 10}, {50, 25, 9, 13},
        {32, 64, 16, 6},  {33, 40, 13, 15, "avg_pool2d"}};
    for (const Form &form : forms) {
      std::string name = "pooled" + std::to_string(modules.size());
      modules.push_back(
          plan(*context,
               pooledNetworkOf(name, form.channels, form.filters, form.rows,
                               form.columns, form.pool),
               true));
      findFunction(*modules.back(), "predict_one").walk([&](Operation *op) {
        auto kernel = dyn_cast<KernelOp>(op->getParentOp());
        if (isa<MaxPool2dOp, AvgPool2dOp>(op))
          CHECK((kernel && kernel.getKind() != KernelKind::Sweep));
      });
      native.add(*modules.back());
    }
    native.compile();
    for (size_t i = 0; i < forms.size(); ++i) {
      const Form &form = forms[i];
      INFO(form.channels << " channels, " << form.filters << " filters, "
                         << form.rows << "x" << form.columns);
      auto count =
          static_cast<size_t>(form.rows * form.columns * form.channels);
      checkAlone(native, i, *modules[i], count);
    }
  }
}

// Blocks that fill units and do not, several parts, samples one by one.
TEST_CASE("derived states mean what the interpreter says") {
  std::unique_ptr<MLIRContext> context = createContext();
  for (const char *cpu : {"native", "x86-64-v3"}) {
    INFO(cpu);
    struct Size {
      int64_t batchBound, channels, filters;
    };
    std::vector<TrainText> texts;
    for (Size size : {Size{20, 16, 32}, Size{33, 48, 16}, Size{5, 32, 48},
                      Size{3, 64, 128}, Size{18, 20, 24}}) {
      std::string name = "sizes" + std::to_string(texts.size());
      texts.push_back(
          {name, networkOf(name, size.batchBound, size.channels, size.filters),
           size.batchBound, 0, -1, 1});
    }
    NativeModels native(*context, cpu);
    std::vector<ModuleRef> modules;
    for (const TrainText &text : texts) {
      modules.push_back(plan(*context, text.model, true));
      native.add(*modules.back());
    }
    native.compile();
    for (size_t i = 0; i < texts.size(); ++i) {
      INFO(texts[i].name);
      CHECK(native.has(i, "prepare"));
      State expected = startState(*modules[i]), actual = expected;
      func::FuncOp step = findFunction(*modules[i], "train_step");
      for (int64_t samples : {texts[i].batchBound, int64_t{1}, int64_t{3}}) {
        INFO(samples << " samples");
        std::vector<Tensor> batch =
            makeBatch(step, texts[i], static_cast<size_t>(samples), 7);
        constexpr Tolerance tolerance{.relative = 1e-4, .absolute = 1e-5};
        CHECK(difference(nativeStep(native, i, batch, actual),
                         interpretStep(*modules[i], batch, expected),
                         tolerance) == "");
        CHECK(difference(actual, expected, tolerance) == "");
      }
    }
  }
}
