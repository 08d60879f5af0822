//===- EmitCppHeader.cpp - the C++ header of a library -------------------===//
//
// Problem: NAME.h leaves memory, its alignment and its end to the caller, whom
// C++ can help.
//
// Idea: NAME.hpp is a layer of inline functions over NAME.h: class Model owns
// state and arena, class Pool threads; failures are exceptions. With xtensor
// (SINTER_XTENSOR defined before the header is read), tensors may be
// xt::xtensor with shapes checked, and weights are views of the state.
//
//===----------------------------------------------------------------------===//

#include "codegen/EmitHeader.h"

#include "codegen/EntryPoints.h"

#include "llvm/ADT/StringExtras.h"

using llvm::ArrayRef;
using llvm::raw_ostream;
using llvm::StringRef;

namespace sinter {

static StringRef elementType(const TensorRecord &tensor) {
  return tensor.dtype == SINTER_F32 ? "float" : "std::int32_t";
}

static int64_t featuresOf(const TensorRecord &tensor) {
  int64_t count = 1;
  for (int64_t size : tensor.shape)
    count *= size < 0 ? 1 : size;
  return count;
}

static bool isScalar(const TensorRecord &tensor) {
  return tensor.shape.empty();
}

/// "xt::xtensor<float, 3>"
static std::string xtensorType(const TensorRecord &tensor) {
  return "xt::xtensor<" + elementType(tensor).str() + ", " +
         std::to_string(tensor.shape.size()) + ">";
}

static void emitShape(const TensorRecord &tensor, raw_ostream &out) {
  out << '{';
  llvm::interleave(
      tensor.shape, out,
      [&](int64_t size) {
        if (size < 0)
          out << "static_cast<std::size_t>(batch)";
        else
          out << size;
      },
      ", ");
  out << '}';
}

static void emitShapeCheck(StringRef name, const TensorRecord &tensor,
                           raw_ostream &out) {
  out << "    check_shape(\"" << name << "\", " << name << ".shape(), ";
  emitShape(tensor, out);
  out << ");\n";
}

/// Parameters that are xtensor's, and the beginning of the body: the batch, and
/// a check of each shape.
static void emitXtensorInputs(const FunctionRecord &record,
                              ArrayRef<std::string> names, raw_ostream &out) {
  const auto inputs =
      llvm::zip(names.take_front(record.inputs.size()), record.inputs);
  llvm::interleave(
      inputs, out,
      [&](const auto &pair) {
        auto [name, input] = pair;
        out << "const " << xtensorType(input) << " &" << name;
      },
      ", ");
  out << ") {\n    const auto batch = static_cast<std::int64_t>(" << names[0]
      << ".shape(0));\n";
  for (auto [name, input] : inputs)
    emitShapeCheck(name, input, out);
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// What the caller must do to inputs before a step.
static void emitScales(const FunctionRecord &step, ArrayRef<double> scales,
                       raw_ostream &out) {
  const std::vector<std::string> names = argumentNames(step);
  for (size_t i = 0; i < step.inputs.size(); ++i)
    if (const std::string note = scaleNote(scales, i); !note.empty())
      out << "  /// " << names[i] << note << ".\n";
}

/// What the fields of a step's results are called: no two alike.
static std::vector<std::string> resultNames(const FunctionRecord &step) {
  FunctionRecord results;
  results.outputs = step.outputs;
  return argumentNames(results);
}

/// Loss and metrics by name.
static void emitResults(const FunctionRecord &step, raw_ostream &out) {
  out << "  /// Means over a batch.\n  struct Results {\n";
  for (const std::string &name : resultNames(step))
    out << "    float " << name << ";\n";
  out << "  };\n\n";
}

static void emitStep(const ModelRecord &model, const Step &step,
                     ArrayRef<double> scales, raw_ostream &out) {
  const FunctionRecord &record = *step.record;
  const std::vector<std::string> names = argumentNames(record);
  const auto inputs =
      llvm::zip(ArrayRef(names).take_front(record.inputs.size()),
                ArrayRef(record.inputs));
  out << (step.changesState
              ? "  /// One step of training; the loss is the one before it."
              : "  /// Loss and metrics; the weights stay as they are.")
      << " batch: 1 to batch_bound\n  /// samples.\n";
  emitScales(record, scales, out);
  out << "  Results " << step.suffix << '(';
  for (auto [name, input] : inputs)
    out << "const " << elementType(input) << " *" << name << ", ";
  out << "std::int64_t batch) {\n    check_batch(batch);\n    Results "
         "results{};\n    ::"
      << model.name << '_' << step.suffix << "(state.get(), arena.get(), batch";
  for (auto [name, input] : inputs)
    out << ", " << name;
  for (const std::string &name : resultNames(record))
    out << ", &results." << name;
  out << ", pool);\n    return results;\n  }\n";

  out << "#ifdef SINTER_XTENSOR\n  Results " << step.suffix << '(';
  emitXtensorInputs(record, names, out);
  out << "    return " << step.suffix << '(';
  for (auto [name, input] : inputs)
    out << name << ".data(), ";
  out << "batch);\n  }\n#endif\n\n";
}

/// With xtensor: one output is returned as it is, several in a struct.
static void emitXtensorPredict(const FunctionRecord &record,
                               const std::vector<std::string> &names,
                               raw_ostream &out) {
  const size_t count = record.inputs.size();
  const bool isOne = record.outputs.size() == 1;
  const auto inputs =
      llvm::zip(ArrayRef(names).take_front(count), ArrayRef(record.inputs));
  const auto outputs =
      llvm::zip(ArrayRef(names).drop_front(count), ArrayRef(record.outputs));
  out << "#ifdef SINTER_XTENSOR\n";
  if (!isOne) {
    out << "  struct Predictions {\n";
    for (auto [name, output] : outputs)
      out << "    " << xtensorType(output) << ' ' << name << ";\n";
    out << "  };\n";
  }
  out << "  " << (isOne ? xtensorType(record.outputs[0]) : "Predictions")
      << " predict(";
  emitXtensorInputs(record, names, out);
  for (auto [name, output] : outputs) {
    out << "    auto " << name << " = " << xtensorType(output)
        << "::from_shape(";
    emitShape(output, out);
    out << ");\n";
  }
  out << "    predict(";
  for (auto [name, input] : inputs)
    out << name << ".data(), ";
  out << "batch";
  for (auto [name, output] : outputs)
    out << ", " << name << ".data()";
  out << ");\n    return ";
  if (isOne) {
    out << names.back();
  } else {
    out << '{';
    llvm::interleave(
        ArrayRef(names).drop_front(count), out,
        [&](const std::string &name) { out << "std::move(" << name << ")"; },
        ", ");
    out << '}';
  }
  out << ";\n  }\n#endif\n\n";
}

static void emitPredict(const ModelRecord &model, ArrayRef<double> scales,
                        raw_ostream &out) {
  const FunctionRecord &record = model.predict;
  const std::vector<std::string> names = argumentNames(record);
  const size_t count = record.inputs.size();
  const auto inputs =
      llvm::zip(ArrayRef(names).take_front(count), ArrayRef(record.inputs));
  const auto outputs =
      llvm::zip(ArrayRef(names).drop_front(count), ArrayRef(record.outputs));
  out << "  /// What the model makes of any number of samples.\n";
  emitScales(record, scales, out);
  out << "  void predict(";
  for (auto [name, input] : inputs)
    out << "const " << elementType(input) << " *" << name << ", ";
  out << "std::int64_t batch";
  for (auto [name, output] : outputs)
    out << ",\n               " << elementType(output) << " *" << name;
  out << ") {\n    while (batch > 0) {\n"
      << "      const std::int64_t now = batch < batch_bound ? batch : "
         "batch_bound;\n      ::"
      << model.name << "_predict(state.get(), arena.get(), now";
  for (const std::string &name : names)
    out << ", " << name;
  out << ", pool);\n";
  for (auto [name, input] : inputs)
    out << "      " << name << " += now * " << featuresOf(input) << ";\n";
  for (auto [name, output] : outputs)
    out << "      " << name << " += now * " << featuresOf(output) << ";\n";
  out << "      batch -= now;\n    }\n  }\n";
  emitXtensorPredict(record, names, out);
}

static void emitWeights(const ModelRecord &model, StringRef macro,
                        raw_ostream &out) {
  out << "  /// The weights, in place.\n";
  for (const WeightPlace &place : weightPlaces(model)) {
    TensorRecord tensor{place.state->name, place.state->dtype,
                        place.state->shape};
    std::string pointer =
        ("reinterpret_cast<" + elementType(tensor) +
         " *>(static_cast<unsigned char *>(state.get()) + " + macro + "_" +
         StringRef(place.name).upper() + "_OFFSET)")
            .str();
    out << "  " << elementType(tensor) << " *" << place.name
        << "_data() {\n    return " << pointer << ";\n  }\n";
    out << "#ifdef SINTER_XTENSOR\n  auto " << place.name
        << "() {\n    return xt::adapt(" << place.name << "_data(), "
        << featuresOf(tensor) << ", xt::no_ownership(),\n        std::array<"
        << "std::size_t, " << tensor.shape.size() << ">{";
    emitShape(tensor, out);
    out << "});\n  }\n#endif\n";
  }
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

static const char *const opening = R"(
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef SINTER_XTENSOR
#include <xtensor/xadapt.hpp>
#include <xtensor/xtensor.hpp>
#endif

)";

static const char *const pool = R"(
/// Threads that share the work of a call; the calling thread is one of them.
/// Serves one call at a time.
class Pool {
public:
  explicit Pool(int threads) : pool(sinter_pool_create(threads)) {
    if (!pool)
      throw std::runtime_error("no memory or no threads for a pool");
  }
  sinter_pool *get() const { return pool.get(); }

private:
  struct Destroy {
    void operator()(sinter_pool *p) const { sinter_pool_destroy(p); }
  };
  std::unique_ptr<sinter_pool, Destroy> pool;
};

)";

// NAME_ and MACRO_ stand for the model.
static const char *const memory = R"(
  static constexpr std::int64_t batch_bound = MACRO_BATCH_BOUND;
  static constexpr std::size_t state_bytes = MACRO_STATE_BYTES;

  /// New weights, drawn with `seed`. `threads`, if any, must outlive the model.
  explicit Model(std::uint64_t seed = 0, const Pool *threads = nullptr)
      : state(allocate(MACRO_STATE_BYTES)),
        arena(allocate(MACRO_ARENA_BYTES)),
        pool(threads ? threads->get() : nullptr) {
    NAME_init(state.get(), seed);
  }
  /// A copy has the same weights and the same optimizer state.
  Model(const Model &other)
      : state(allocate(MACRO_STATE_BYTES)),
        arena(allocate(MACRO_ARENA_BYTES)), pool(other.pool) {
    std::memcpy(state.get(), other.state.get(), MACRO_STATE_BYTES);
  }
  Model(Model &&) = default;
  Model &operator=(Model other) {
    std::swap(state, other.state);
    std::swap(arena, other.arena);
    std::swap(pool, other.pool);
    return *this;
  }

  /// The block that the C header calls the state.
  void *data() { return state.get(); }
  const void *data() const { return state.get(); }

  /// Weights from and to a safetensors file or its bytes. Throws
  /// std::runtime_error that says what was expected and what was found.
  void load(const std::string &path) {
    char message[4096] = "";
    check(NAME_load(state.get(), path.c_str(), message, sizeof message),
          message);
  }
  void save(const std::string &path) const {
    char message[4096] = "";
    check(NAME_save(state.get(), path.c_str(), message, sizeof message),
          message);
  }
  void load_memory(const void *bytes, std::size_t size) {
    char message[4096] = "";
    check(NAME_load_memory(state.get(), bytes, size, message,
                           sizeof message),
          message);
  }
  std::vector<unsigned char> save_memory() const {
    std::vector<unsigned char> bytes(NAME_save_memory(state.get(), nullptr, 0));
    if (bytes.empty() ||
        NAME_save_memory(state.get(), bytes.data(), bytes.size()) == 0)
      throw std::bad_alloc();
    return bytes;
  }

)";

static const char *const ending = R"(
private:
  struct Free {
    void operator()(void *block) const {
      ::operator delete(block, std::align_val_t(64));
    }
  };
  using Block = std::unique_ptr<void, Free>;

  static Block allocate(std::size_t bytes) {
    return Block(::operator new(bytes ? bytes : 1, std::align_val_t(64)));
  }
  static void check(int status, const char *message) {
    if (status != 0)
      throw std::runtime_error(message);
  }
  static void check_batch(std::int64_t batch) {
    if (batch < 1 || batch > batch_bound)
      throw std::invalid_argument("batch: expected 1 to " +
                                  std::to_string(batch_bound) +
                                  " samples, got " + std::to_string(batch));
  }
  template <class Shape, std::size_t Rank>
  static void check_shape(const char *name, const Shape &shape,
                          const std::size_t (&expected)[Rank]) {
    for (std::size_t i = 0; i < Rank; ++i)
      if (shape[i] != expected[i])
        throw std::invalid_argument(
            std::string(name) + ": expected " + std::to_string(expected[i]) +
            " in dimension " + std::to_string(i) + ", got " +
            std::to_string(shape[i]));
  }

  Block state, arena;
  sinter_pool *pool;
};
)";

static std::string fill(StringRef text, StringRef name, StringRef macro) {
  std::string result;
  while (!text.empty()) {
    size_t at = std::min(text.find("NAME_"), text.find("MACRO_"));
    result += text.take_front(at);
    text = text.drop_front(std::min(at, text.size()));
    if (text.consume_front("NAME_"))
      result += ("::" + name + "_").str();
    else if (text.consume_front("MACRO_"))
      result += (macro + "_").str();
  }
  return result;
}

void emitCppHeader(const ModelRecord &model, bool hasRuntime,
                   ArrayRef<double> scales, raw_ostream &out) {
  assert(hasRuntime && "exceptions and memory need one");
  (void)hasRuntime;
  std::string macro = StringRef(model.name).upper();
  out << "// " << model.name << ".hpp - the compiled model " << model.name
      << " for C++17.\n//\n"
      << "// Written by sinter; a layer of inline functions over " << model.name
      << ".h, which says what\n"
      << "// each does. Tensors are row-major, samples first. Calls of one "
         "Model must not run\n// at the same time. Define SINTER_XTENSOR "
         "before this header for xt::xtensor\n// arguments and views.\n"
      << "#ifndef " << macro << "_HPP\n#define " << macro << "_HPP\n\n"
      << "#include \"" << model.name << ".h\"\n"
      << opening << "namespace " << model.name << " {\n"
      << pool << "class Model {\npublic:" << fill(memory, model.name, macro);
  emitPredict(model, scales, out);
  if (!model.evalStep.symbol.empty())
    emitResults(model.evalStep, out);
  for (const Step &step : stepsOf(model))
    if (llvm::all_of(step.record->outputs, isScalar))
      emitStep(model, step, scales, out);
  emitWeights(model, macro, out);
  out << ending << "\n} // namespace " << model.name << "\n#endif\n";
}

} // namespace sinter
