//===- NativeModels.cpp - planned models, compiled and called ------------===//

#include "tests/unit/native/NativeModels.h"

#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/Verifier.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;
using namespace sinter::test;

/// What compiled code finds in this program: all of it is linked in.
[[gnu::used]] static void *const runtimeFunctions[] = {
#define SINTER_CALL(name, ...) reinterpret_cast<void *>(&name),
#include "runtime/sinter_calls.def"
};

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

static TargetInfo makeTarget(MLIRContext &context, const std::string &cpu) {
  FailureOr<TargetInfo> target =
      createTarget(UnknownLoc::get(&context), cpu, /*triple=*/"");
  REQUIRE(succeeded(target));
  return std::move(*target);
}

NativeModels::NativeModels(MLIRContext &context, const std::string &cpu)
    : cpu(cpu), target(makeTarget(context, cpu)),
      loops(ModuleOp::create(UnknownLoc::get(&context))) {}

size_t NativeModels::add(ModuleOp planned) {
  OwningOpRef<ModuleOp> copy = planned.clone();
  FailureOr<ModelRecord> record = lowerToLoops(*copy, target.shape);
  REQUIRE(succeeded(record));
  INFO(record->name);
  CHECK(succeeded(verify(*copy)));
  records.push_back(std::move(*record));
  // Several models declare the same functions of the runtime.
  for (Operation &op : llvm::make_early_inc_range(*copy->getBody()))
    if (!SymbolTable::lookupSymbolIn(*loops, SymbolTable::getSymbolName(&op)))
      op.moveBefore(loops->getBody(), loops->getBody()->end());
  return records.size() - 1;
}

void NativeModels::compile() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  loops->print(stream, OpPrintingFlags().useLocalScope());
  code = std::make_unique<NativeCode>(text, cpu);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

namespace {
/// Read-only bytes that end where a page ends; after it nothing is mapped.
class GuardedInput {
public:
  explicit GuardedInput(const std::vector<uint32_t> &words) {
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_t bytes = words.size() * 4;
    size_t used = (bytes + page - 1) / page * page;
    size = used + page;
    memory = static_cast<char *>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory != MAP_FAILED);
    data = memory + used - bytes;
    std::memcpy(data, words.data(), bytes);
    mprotect(memory, used, PROT_READ);
    mprotect(memory + used, page, PROT_NONE);
  }
  GuardedInput(const GuardedInput &) = delete;
  ~GuardedInput() { munmap(memory, size); }

  char *data;

private:
  char *memory;
  size_t size;
};

/// Bytes between canaries.
class Fenced {
public:
  /// `skew` bytes past a multiple of 64.
  Fenced(size_t bytes, int fill, size_t skew = 0)
      : bytes(bytes), block(2 * fence + skew + bytes, canary) {
    auto start = reinterpret_cast<uintptr_t>(block.data());
    offset = fence + skew - start % 64;
    std::memset(data(), fill, bytes);
  }
  char *data() { return block.data() + offset; }
  /// Are the canaries still there?
  bool intact() const {
    for (size_t i = 0; i < block.size(); ++i)
      if ((i < offset || i >= offset + bytes) && block[i] != canary)
        return false;
    return true;
  }

private:
  static constexpr size_t fence = 4096;
  static constexpr char canary = 0x5b;
  size_t bytes, offset = 0;
  std::vector<char> block;
};
} // namespace

static std::vector<uint32_t> toWords(const Tensor &tensor) {
  std::vector<uint32_t> words;
  for (double value : tensor.values)
    words.push_back(tensor.element == Element::F32
                        ? llvm::bit_cast<uint32_t>(static_cast<float>(value))
                        : static_cast<uint32_t>(static_cast<int32_t>(value)));
  return words;
}

static Tensor toTensor(const char *bytes, sinter_dtype dtype,
                       const std::vector<int64_t> &sizes, size_t batch) {
  std::vector<size_t> shape;
  for (int64_t size : sizes)
    shape.push_back(size < 0 ? batch : static_cast<size_t>(size));
  Tensor tensor;
  tensor.element = dtype == SINTER_F32 ? Element::F32 : Element::I32;
  tensor.values = Array::from_shape(shape);
  for (size_t i = 0; i < tensor.values.size(); ++i) {
    uint32_t word;
    std::memcpy(&word, bytes + 4 * i, 4);
    tensor.values.flat(i) = dtype == SINTER_F32
                                ? double(llvm::bit_cast<float>(word))
                                : double(static_cast<int32_t>(word));
  }
  return tensor;
}

//===----------------------------------------------------------------------===//
// Calling
//===----------------------------------------------------------------------===//

const FunctionRecord &NativeModels::step(size_t model,
                                         StringRef function) const {
  const ModelRecord &record = records[model];
  if (function == "predict")
    return record.predict;
  if (function == "predict_one")
    return record.predictOne;
  if (function == "prepare")
    return record.prepare;
  return function == "eval_step" ? record.evalStep : record.trainStep;
}

sinter_function NativeModels::find(size_t model, StringRef function) const {
  return code->lookup<sinter_function>(step(model, function).symbol);
}

static bool sameBits(const Tensor &a, const Tensor &b) {
  return toWords(a) == toWords(b);
}

std::vector<Tensor> NativeModels::run(size_t model, StringRef function,
                                      const std::vector<Tensor> &inputs,
                                      State &state, size_t batch,
                                      sinter_pool *pool) {
  const ModelRecord &record = records[model];
  const FunctionRecord &step = this->step(model, function);
  auto entry = code->lookup<sinter_function>(step.symbol);

  std::vector<std::unique_ptr<GuardedInput>> guarded;
  std::vector<const void *> inputPointers;
  for (const Tensor &input : inputs) {
    guarded.push_back(std::make_unique<GuardedInput>(toWords(input)));
    inputPointers.push_back(guarded.back()->data);
  }
  REQUIRE(inputs.size() == step.inputs.size());

  auto call = [&](int garbage, State &after) {
    Fenced arena(static_cast<size_t>(step.arenaBytes), garbage);
    Fenced block(static_cast<size_t>(record.stateBytes), garbage);
    // Derived states are garbage, and said to be stale.
    if (!record.prepare.symbol.empty())
      std::memset(block.data() + record.derivedOffset, 0, 4);
    for (const StateRecord &entry : record.states) {
      if (entry.role == SINTER_DERIVED)
        continue;
      std::vector<uint32_t> words = toWords(after.at(entry.name));
      REQUIRE(static_cast<int64_t>(4 * words.size()) == entry.bytes);
      std::memcpy(block.data() + entry.offset, words.data(), 4 * words.size());
    }
    std::vector<std::unique_ptr<Fenced>> outputs;
    std::vector<void *> outputPointers;
    for (const TensorRecord &output : step.outputs) {
      size_t bytes = 4;
      for (int64_t size : output.shape)
        bytes *= size < 0 ? batch : static_cast<size_t>(size);
      outputs.push_back(std::make_unique<Fenced>(bytes, garbage, /*skew=*/4));
      outputPointers.push_back(outputs.back()->data());
    }
    sinter_call arguments{block.data(),
                          arena.data(),
                          inputPointers.data(),
                          outputPointers.data(),
                          static_cast<int64_t>(batch),
                          pool};
    entry(&arguments);

    bool intact = arena.intact() && block.intact();
    std::vector<Tensor> results;
    for (auto [output, info] : llvm::zip_equal(outputs, step.outputs)) {
      intact &= output->intact();
      results.push_back(
          toTensor(output->data(), info.dtype, info.shape, batch));
    }
    INFO("memory outside of state, arena and outputs was written");
    CHECK(intact);
    for (const StateRecord &entry : record.states)
      if (entry.role != SINTER_DERIVED)
        after[entry.name] = toTensor(block.data() + entry.offset, entry.dtype,
                                     entry.shape, batch);
    return results;
  };

  // As floats: NaN, and 3.4e38.
  State other = state;
  std::vector<Tensor> results = call(0xff, state);
  std::vector<Tensor> again = call(0x7f, other);
  bool same = true;
  for (auto [a, b] : llvm::zip_equal(results, again))
    same &= sameBits(a, b);
  for (auto &[name, tensor] : state)
    same &= sameBits(tensor, other.at(name));
  INFO("results depend on what the arena or the outputs held before");
  CHECK(same);
  return results;
}
