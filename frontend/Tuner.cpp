// Tuner.cpp - compiles, measures, chooses; see Tuner.h.
#include "frontend/Tuner.h"

#include "codegen/Compile.h"
#include "ir/SinterDialect.h"
#include "ir/Tuning.h"

#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemAlloc.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cfenv>
#include <chrono>
#include <cstring>
#include <dlfcn.h>
#include <limits>
#include <random>

using namespace mlir;
using namespace sinter;
using namespace sinter::frontend;

namespace {
using Clock = std::chrono::steady_clock;

double secondsBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// What a candidate's time has to be of the default's.
constexpr double worthwhile = 0.97;
/// Candidates as near as this to the fastest are as fast: the cost model's
/// favourite among them is taken, whatever noise says.
constexpr double alike = 1.01;
constexpr int fewestRounds = 5, mostRounds = 600;
/// The order in which knobs are tried. Those behind depend on those before.
const StringRef knobs[] = {tuning::algorithm, "tile", "rows", "vectors"};

/// Memory as generated code wants it, zeros.
class Memory {
public:
  explicit Memory(size_t size)
      : bytes(size), memory(llvm::allocate_buffer(size, alignment)) {
    std::memset(memory, 0, size);
  }
  Memory(Memory &&other) noexcept
      : bytes(other.bytes), memory(std::exchange(other.memory, nullptr)) {}
  Memory &operator=(Memory &&) = delete;
  ~Memory() {
    if (memory)
      llvm::deallocate_buffer(memory, bytes, alignment);
  }
  void *data() const { return memory; }

private:
  static constexpr size_t alignment = 4096;
  size_t bytes;
  void *memory;
};

/// A compiled model in this process.
struct Build {
  ModelRecord record;
  const sinter_model *model = nullptr;
  // Of its runtime.
  decltype(&sinter_init_state) initState = nullptr;
  decltype(&sinter_flush_denormals) flushDenormals = nullptr;
};

/// Of each function of a model, of each of its kernels.
using Times = std::vector<std::vector<double>>;

std::vector<const FunctionRecord *> functionsOf(const ModelRecord &record) {
  return {&record.predict, &record.predictOne, &record.evalStep,
          &record.trainStep};
}
std::vector<const sinter_function_info *>
functionsOf(const sinter_model &model) {
  return {&model.predict, &model.predict_one, &model.eval_step,
          &model.train_step};
}

double median(std::vector<double> values) {
  auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// A key and a knob of it.
using Question = std::pair<std::string, std::string>;

/// Seconds that depend on each choice, over all functions.
std::map<Question, double> costs(const Build &build, const Times &times) {
  std::map<Question, double> sums;
  for (auto [function, kernels] : llvm::zip(functionsOf(build.record), times))
    for (auto [kernel, seconds] : llvm::zip(function->kernels, kernels))
      for (const ChoiceRecord &choice : kernel.choices)
        sums[{choice.key, choice.knob}] += choice.share * seconds;
  return sums;
}

/// What was chosen, the defaults too.
Choices chosenIn(const ModelRecord &record) {
  Choices all;
  for (const ChoiceRecord &choice : allChoices(record))
    all[choice.key][choice.knob] = choice.values[choice.chosen];
  return all;
}

class Tuner {
public:
  Tuner(ModuleOp graph, const std::function<LogicalResult(ModuleOp)> &runPasses,
        const TunerOptions &options, llvm::raw_ostream &os)
      : graph(graph), runPasses(runPasses), options(options), os(os) {}
  ~Tuner();

  FailureOr<Choices> run();

private:
  FailureOr<Build *> build(const Choices &choices);
  /// Medians of rounds in which the builds take turns.
  std::vector<Times> measure(ArrayRef<Build *> builds);
  /// Tries all values of `knob`; `choices` gets those that are faster.
  LogicalResult tune(StringRef knob, Choices &choices);
  /// Takes from `choices` what is not faster than the default after all.
  LogicalResult confirm(Choices &choices);
  void printTable(const Build &before, const Times &timesBefore,
                  const Build &after, const Times &timesAfter);

  ModuleOp graph;
  const std::function<LogicalResult(ModuleOp)> &runPasses;
  const TunerOptions &options;
  llvm::raw_ostream &os;
  SmallString<128> folder;
  std::vector<std::pair<Choices, std::unique_ptr<Build>>> builds;
};
} // namespace

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

// Libraries stay loaded: kernels of one may still be in a measurement.
Tuner::~Tuner() {
  if (!folder.empty())
    (void)llvm::sys::fs::remove_directories(folder);
}

FailureOr<Build *> Tuner::build(const Choices &choices) {
  for (auto &[known, build] : builds)
    if (known == choices)
      return build.get();
  Location loc = graph.getLoc();
  if (folder.empty())
    if (std::error_code error =
            llvm::sys::fs::createUniqueDirectory("sinter-tune", folder))
      return emitError(loc, "cannot create a temporary folder: ")
             << error.message();
  SmallString<128> file(folder);
  llvm::sys::path::append(file, std::to_string(builds.size()) + ".so");

  OwningOpRef<ModuleOp> copy = graph.clone();
  for (auto model : copy->getOps<ModelOp>())
    model->setAttr(tuning::attribute,
                   choicesAttribute(choices, *graph.getContext()));
  auto made = std::make_unique<Build>();
  CompileOptions compile;
  compile.emit = EmitKind::Shared;
  compile.isInspected = true;
  compile.output = file.str().str();
  TimingScope noTiming;
  if (failed(runPasses(*copy)) ||
      failed(compileModel(*copy, compile, noTiming, &made->record)))
    return failure();

  void *library = dlopen(compile.output.c_str(), RTLD_NOW | RTLD_LOCAL);
  auto find = [&](const std::string &symbol, auto &pointer) {
    void *address = library ? dlsym(library, symbol.c_str()) : nullptr;
    pointer = reinterpret_cast<std::decay_t<decltype(pointer)>>(address);
    return address != nullptr;
  };
  if (!find("sinter_model_" + made->record.name, made->model) ||
      !find("sinter_init_state", made->initState) ||
      !find("sinter_flush_denormals", made->flushDenormals))
    return emitError(loc, "cannot load what was compiled to measure it: ")
           << dlerror();
  builds.emplace_back(choices, std::move(made));
  return builds.back().second.get();
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

/// A tensor of `info` for `batch` samples: numbers from [0, 1), classes 0.
static Memory makeTensor(const sinter_tensor_info &info, int64_t batch) {
  size_t count = 1;
  for (int32_t i = 0; i < info.rank; ++i)
    count *= static_cast<size_t>(info.shape[i] < 0 ? batch : info.shape[i]);
  Memory block(4 * count);
  if (info.dtype == SINTER_F32) {
    std::minstd_rand numbers;
    auto *values = static_cast<float *>(block.data());
    for (size_t i = 0; i < count; ++i)
      values[i] = static_cast<float>(numbers() & 0xffff) / 65536.0f;
  }
  return block;
}

static void runKernel(const sinter_kernel_info &kernel,
                      const sinter_call &call) {
  for (int64_t task = 0; task < kernel.tasks; ++task)
    kernel.run(&call, task);
}

std::vector<Times> Tuner::measure(ArrayRef<Build *> builds) {
  const sinter_model &first = *builds.front()->model;
  const size_t functions = functionsOf(first).size();
  // What an algorithm derives from a model's states is a state, too.
  std::vector<Memory> states;
  auto initStates = [&] {
    for (auto [build, state] : llvm::zip_equal(builds, states))
      build->initState(build->model, state.data(), /*seed=*/0);
  };
  for (Build *build : builds)
    states.emplace_back(static_cast<size_t>(build->model->state_bytes));
  // Memory that all builds use: they have the same signatures.
  int64_t arenaBytes = 0;
  for (Build *build : builds)
    for (const sinter_function_info *function : functionsOf(*build->model))
      arenaBytes = std::max(arenaBytes, function->arena_bytes);
  Memory arena(static_cast<size_t>(arenaBytes));
  struct Signature {
    std::vector<Memory> memory;
    std::vector<const void *> inputs;
    std::vector<void *> outputs;
  };
  std::vector<Signature> signatures(functions);
  for (auto [function, signature] : llvm::zip(functionsOf(first), signatures)) {
    if (!function->run)
      continue;
    for (int64_t i = 0; i < function->num_inputs; ++i) {
      signature.memory.push_back(
          makeTensor(function->inputs[i], first.batch_bound));
      signature.inputs.push_back(signature.memory.back().data());
    }
    for (int64_t i = 0; i < function->num_outputs; ++i) {
      signature.memory.push_back(
          makeTensor(function->outputs[i], first.batch_bound));
      signature.outputs.push_back(signature.memory.back().data());
    }
  }

  // [build][function][kernel][round]
  std::vector<std::vector<std::vector<std::vector<double>>>> samples;
  for (Build *build : builds) {
    samples.emplace_back();
    for (const sinter_function_info *function : functionsOf(*build->model))
      samples.back().emplace_back(function->num_kernels);
  }
  // As every caller of a compiled model does; but compiling goes on here.
  std::fenv_t environment;
  std::fegetenv(&environment);
  builds.front()->flushDenormals();
  const Clock::time_point begin = Clock::now();
  // A round for the caches and the clock rate, which does not count.
  for (int round = -1; round < mostRounds; ++round) {
    if (round >= fewestRounds &&
        secondsBetween(begin, Clock::now()) > options.seconds / 6)
      break;
    // Long training on noise may end in infinities.
    if (round == -1 || round % 16 == 0)
      initStates();
    for (size_t f = 0; f < functions; ++f)
      // Another build comes first each time, and one that does not count
      // before it: the first finds what the last function left in the caches.
      for (size_t turn = 0; turn <= builds.size(); ++turn) {
        size_t number = (turn + static_cast<size_t>(round + 1)) % builds.size();
        const sinter_model &model = *builds[number]->model;
        const sinter_function_info &function = *functionsOf(model)[f];
        const sinter_call call{
            states[number].data(),
            arena.data(),
            signatures[f].inputs.data(),
            signatures[f].outputs.data(),
            std::min(function.kernel_batch_bound, model.batch_bound),
            nullptr};
        Clock::time_point before = Clock::now();
        for (int64_t k = 0; k < function.num_kernels; ++k) {
          runKernel(function.kernels[k], call);
          Clock::time_point after = Clock::now();
          if (round >= 0 && turn > 0)
            samples[number][f][k].push_back(secondsBetween(before, after));
          before = after;
        }
      }
  }
  std::fesetenv(&environment);

  std::vector<Times> medians;
  for (auto &build : samples) {
    medians.emplace_back();
    for (auto &function : build) {
      medians.back().emplace_back();
      for (std::vector<double> &kernel : function)
        medians.back().back().push_back(median(std::move(kernel)));
    }
  }
  return medians;
}

//===----------------------------------------------------------------------===//
// Choosing
//===----------------------------------------------------------------------===//

LogicalResult Tuner::tune(StringRef knob, Choices &choices) {
  FailureOr<Build *> usual = build(choices);
  if (failed(usual))
    return failure();
  // Each key's candidates, what is chosen now in front.
  std::map<std::string, std::vector<std::string>> candidates;
  size_t most = 0;
  for (const ChoiceRecord &choice : allChoices((*usual)->record)) {
    if (choice.knob != knob)
      continue;
    std::vector<std::string> &values = candidates[choice.key];
    values = {choice.values[choice.chosen]};
    for (const std::string &value : choice.values)
      if (value != values.front() && values.size() < options.mostCandidates)
        values.push_back(value);
    most = std::max(most, values.size());
  }
  if (most < 2)
    return success();

  os << "trying up to " << most << " choices of " << knob << " for "
     << candidates.size() << " kernels\n";
  os.flush();
  std::vector<Build *> tried = {*usual};
  for (size_t i = 1; i < most; ++i) {
    Choices other = choices;
    for (auto &[key, values] : candidates)
      if (i < values.size())
        other[key][knob.str()] = values[i];
    FailureOr<Build *> made = build(other);
    if (failed(made))
      return failure();
    tried.push_back(*made);
  }
  std::vector<std::map<Question, double>> seconds;
  for (auto [build, times] : llvm::zip_equal(tried, measure(tried)))
    seconds.push_back(costs(*build, times));
  for (auto &[key, values] : candidates) {
    const Question question = {key, knob.str()};
    auto secondsOf = [&](size_t i) {
      auto found = seconds[i].find(question);
      return found == seconds[i].end() ? std::numeric_limits<double>::max()
                                       : found->second;
    };
    size_t best = 0;
    for (size_t i = 1; i < values.size(); ++i)
      if (secondsOf(i) < secondsOf(best))
        best = i;
    if (secondsOf(best) > worthwhile * secondsOf(0))
      continue;
    size_t chosen = 1;
    while (secondsOf(chosen) > alike * secondsOf(best))
      ++chosen;
    choices[key][knob.str()] = values[chosen];
  }
  return success();
}

LogicalResult Tuner::confirm(Choices &choices) {
  FailureOr<Build *> before = build({}), after = build(choices);
  if (failed(before) || failed(after))
    return failure();
  std::vector<Times> times = measure({*before, *after});
  std::map<Question, double> was = costs(**before, times[0]);
  std::map<Question, double> is = costs(**after, times[1]);
  Choices confirmed;
  for (const auto &[key, values] : choices)
    for (const auto &[knob, value] : values) {
      auto usual = was.find({key, knob}), tuned = is.find({key, knob});
      // A kernel that only another algorithm has was compared when it was
      // tuned.
      if (tuned != is.end() &&
          (usual == was.end() || tuned->second <= worthwhile * usual->second))
        confirmed[key][knob] = value;
    }
  choices = std::move(confirmed);
  return success();
}

void Tuner::printTable(const Build &before, const Times &timesBefore,
                       const Build &after, const Times &timesAfter) {
  std::map<Question, double> was = costs(before, timesBefore);
  std::map<Question, double> is = costs(after, timesAfter);
  Choices usual = chosenIn(before.record);
  struct Row {
    std::string kernel, choice;
    double before, after;
    bool isNew;
  };
  std::vector<Row> rows;
  for (const auto &[key, values] : chosenIn(after.record)) {
    Row row{key, "", 0, 0, false};
    for (const auto &[knob, value] : values) {
      row.choice += (row.choice.empty() ? "" : ", ") + knob + " " + value;
      auto found = was.find({key, knob});
      row.before = found == was.end() ? 0 : found->second;
      row.after = is[{key, knob}];
      bool known = found != was.end();
      row.isNew |= !known || usual[key][knob] != value;
    }
    rows.push_back(std::move(row));
  }
  llvm::stable_sort(
      rows, [](const Row &a, const Row &b) { return a.after > b.after; });
  size_t width = 6;
  for (const Row &row : rows)
    width = std::max(width, row.kernel.size());
  auto number = [&](double seconds) {
    if (seconds > 0)
      os << llvm::format("%12.4f", 1e3 * seconds);
    else
      os << llvm::right_justify("-", 12);
  };
  os << llvm::left_justify("kernel", width)
     << "  default ms     best ms  choice (* not the default)\n";
  for (const Row &row : rows) {
    os << llvm::left_justify(row.kernel, width);
    number(row.before);
    number(row.isNew ? row.after : row.before);
    os << (row.isNew ? "* " : "  ") << row.choice << '\n';
  }
  const StringRef names[] = {"predict", "predict_one", "eval_step",
                             "train_step"};
  for (auto [name, old, now] : llvm::zip(names, timesBefore, timesAfter)) {
    auto sum = [](const std::vector<double> &kernels) {
      double seconds = 0;
      for (double kernel : kernels)
        seconds += kernel;
      return seconds;
    };
    if (old.empty())
      continue;
    os << llvm::left_justify(("all of " + name).str(), width);
    number(sum(old));
    number(sum(now));
    os << '\n';
  }
}

FailureOr<Choices> Tuner::run() {
  Choices choices;
  for (StringRef knob : knobs)
    if (failed(tune(knob, choices)))
      return failure();
  if (!choices.empty() && failed(confirm(choices)))
    return failure();
  FailureOr<Build *> before = build({}), after = build(choices);
  if (failed(before) || failed(after))
    return failure();
  std::vector<Times> times = measure({*before, *after});
  printTable(**before, times[0], **after, times[1]);
  return chosenIn((*after)->record);
}

FailureOr<Choices> sinter::frontend::tuneModel(
    ModuleOp graph, const std::function<LogicalResult(ModuleOp)> &runPasses,
    const TunerOptions &options, llvm::raw_ostream &os) {
  return Tuner(graph, runPasses, options, os).run();
}
