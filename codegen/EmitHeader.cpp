//===- EmitHeader.cpp - the C header of a library ------------------------===//
//
// The header is all that the library's user reads, so it says who owns memory,
// how large it is, and what shape every tensor has. The functions are those of
// EntryPoints.h. Types of the runtime are named, never defined, so it can
// be included beside sinter_runtime.h and beside other models' headers. C99,
// and C++ as it is.
//
//===----------------------------------------------------------------------===//

#include "codegen/EmitHeader.h"

#include "codegen/EntryPoints.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Format.h"

#include <cmath>

using llvm::ArrayRef;
using llvm::raw_ostream;
using llvm::StringRef;

namespace sinter {

static StringRef elementType(const TensorRecord &tensor) {
  return tensor.dtype == SINTER_F32 ? "float" : "int32_t";
}

/// "float[batch][28][28]", "float[1]"
static std::string describe(const TensorRecord &tensor) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << elementType(tensor);
  for (int64_t size : tensor.shape)
    if (size < 0)
      out << "[batch]";
    else
      out << '[' << size << ']';
  if (tensor.shape.empty())
    out << "[1]";
  return text;
}

std::string scaleNote(ArrayRef<double> scales, size_t place) {
  if (place >= scales.size() || scales[place] == 1)
    return "";
  std::string number;
  llvm::raw_string_ostream out(number);
  // People write 1/255, which no decimal fraction says.
  const double scale = scales[place], divisor = std::round(1 / scale);
  if (std::abs(divisor) > 1 && std::abs(divisor) < 1e6 &&
      1 / divisor == scale && std::fmod(1000 * scale, 1) != 0)
    out << "1/" << static_cast<int64_t>(divisor);
  else
    out << llvm::format("%.9g", scale);
  return ", already multiplied by " + number + ", the spec's scale";
}

/// Tensor names are words with underscores; others must become such.
std::string identifier(StringRef name) {
  std::string text = name.str();
  for (char &c : text)
    if (!llvm::isAlnum(c))
      c = '_';
  return text;
}

std::vector<std::string> argumentNames(const FunctionRecord &step) {
  static const StringRef reserved[] = {
      // The headers' own.
      "state", "arena", "batch", "pool", "now", "results", "predictions",
      "int32_t", "int64_t", "size_t", "std", "xt",
      // Keywords of C99 and C++20.
      "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor",
      "bool", "break", "case", "catch", "char", "char16_t", "char32_t",
      "char8_t", "class", "co_await", "co_return", "co_yield", "compl",
      "concept", "const", "const_cast", "consteval", "constexpr", "constinit",
      "continue", "decltype", "default", "delete", "do", "double",
      "dynamic_cast", "else", "enum", "explicit", "export", "extern", "false",
      "float", "for", "friend", "goto", "if", "inline", "int", "long",
      "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr",
      "operator", "or", "or_eq", "private", "protected", "public", "register",
      "reinterpret_cast", "requires", "restrict", "return", "short", "signed",
      "sizeof", "static", "static_assert", "static_cast", "struct", "switch",
      "template", "this", "thread_local", "throw", "true", "try", "typedef",
      "typeid", "typename", "union", "unsigned", "using", "virtual", "void",
      "volatile", "wchar_t", "while", "xor", "xor_eq"};
  std::vector<std::string> names;
  llvm::StringSet<> taken;
  for (StringRef word : reserved)
    taken.insert(word);
  for (const auto *tensors : {&step.inputs, &step.outputs})
    for (const TensorRecord &tensor : *tensors) {
      const std::string base = identifier(tensor.name);
      std::string name = base;
      for (int copy = 2; !taken.insert(name).second; ++copy)
        name = base + "_" + std::to_string(copy);
      names.push_back(name);
    }
  return names;
}

static StringRef summaryOf(const ModelRecord &model, const Step &step) {
  if (StringRef(step.suffix) == "predict")
    return model.predictOne.symbol.empty()
               ? "What the model makes of a batch."
               : "What the model makes of a batch. A batch of 1 has code of "
                 "its own, several\n * times faster, which sums in another "
                 "order: results differ by roundings.";
  if (step.changesState)
    return "One training step: loss, gradients, optimizer update. The loss is\n"
           " * the one before the update.";
  return "Loss and metrics of a batch, as means; the state stays as it is.";
}

static void emitStep(const ModelRecord &model, const Step &step,
                     ArrayRef<double> scales, raw_ostream &out) {
  const std::vector<std::string> names = argumentNames(*step.record);
  const size_t inputs = step.record->inputs.size();
  out << "\n/* " << summaryOf(model, step) << "\n";
  for (auto [place, tensor] : llvm::enumerate(step.record->inputs))
    out << " *   " << names[place] << ": " << describe(tensor)
        << scaleNote(scales, place) << "\n";
  for (auto [name, tensor] : llvm::zip(ArrayRef(names).drop_front(inputs),
                                       ArrayRef(step.record->outputs)))
    out << " *   " << name << ": " << describe(tensor) << ", written\n";
  out << " */\nvoid " << model.name << '_' << step.suffix << '('
      << (step.changesState ? "" : "const ")
      << "void *state, void *arena, int64_t batch";
  for (auto [name, tensor] :
       llvm::zip(ArrayRef(names), ArrayRef(step.record->inputs)))
    out << ",\n    const " << elementType(tensor) << " *" << name;
  for (auto [name, tensor] : llvm::zip(ArrayRef(names).drop_front(inputs),
                                       ArrayRef(step.record->outputs)))
    out << ",\n    " << elementType(tensor) << " *" << name;
  out << ",\n    struct sinter_pool *pool);\n";
}

/// No two alike in capital letters either: they become macros. The C++ header
/// has NAME and NAME_data of each.
std::vector<WeightPlace> weightPlaces(const ModelRecord &model) {
  std::vector<WeightPlace> places;
  llvm::StringSet<> taken;
  for (const StateRecord &state : model.states) {
    if (state.role != SINTER_PARAMETER && state.role != SINTER_FROZEN)
      continue;
    const std::string base = identifier(state.name);
    std::string name = base, macro = StringRef(name).upper();
    for (int copy = 2; taken.contains(macro) || taken.contains(macro + "_DATA");
         ++copy) {
      name = base + "_" + std::to_string(copy);
      macro = StringRef(name).upper();
    }
    taken.insert(macro);
    taken.insert(macro + "_DATA");
    places.push_back({name, &state});
  }
  return places;
}

/// Where to find a weight without a file.
static void emitWeights(const ModelRecord &model, StringRef macro,
                        raw_ostream &out) {
  out << "\n/* Where each weight begins in the state, in bytes. After writing "
         "there call\n * "
      << model.name << "_prepare, or predictions may be those of the old "
      << "weights. */\n";
  for (const WeightPlace &place : weightPlaces(model))
    out << "#define " << macro << '_' << StringRef(place.name).upper()
        << "_OFFSET " << place.state->offset << " /* " << place.state->name
        << ": "
        << describe({place.state->name, place.state->dtype, place.state->shape})
        << " */\n";
}

static void emitFiles(StringRef name, raw_ostream &out) {
  out << R"(
/* The weights (not the optimizer's state) from and to a safetensors file. 0;
 * or, not 0, why not: 1, the file is not what the model needs, 3, reading or
 * writing failed; and then `message` says what was expected and what was
 * found. It may be NULL if `message_size` is 0. A file is checked as a
 * whole before it changes the state. These four functions, and no others of
 * this header, allocate; what they allocate they free.
 */
)";
  out << "int " << name
      << "_load(void *state, const char *path, char *message,\n"
         "    size_t message_size);\n";
  out << "int " << name
      << "_save(const void *state, const char *path, char *message,\n"
         "    size_t message_size);\n";
  out << R"(
/* The same with the bytes of such a file in memory. Saving returns how many
 * bytes the file has (0: out of memory), and writes them if that is at most
 * `size`.
 */
)";
  out << "int " << name
      << "_load_memory(void *state, const void *data, size_t size,\n"
         "    char *message, size_t message_size);\n";
  out << "size_t " << name
      << "_save_memory(const void *state, void *data, size_t size);\n";
}

static void emitThreads(raw_ostream &out) {
  out << R"(
/* Threads for `pool`: the caller and `threads` - 1 more. NULL when refused. One
 * pool serves one call at a time, of any model. Results are the same bits with
 * any number of threads, and without a pool.
 */
struct sinter_pool *sinter_pool_create(int threads);
void sinter_pool_destroy(struct sinter_pool *pool);

/* Makes the calling thread count denormals as zero, as the pool's threads do:
 * faster, and the same bits with any pool.
 */
void sinter_flush_denormals(void);
)";
}

void emitHeader(const ModelRecord &model, bool hasRuntime,
                ArrayRef<double> scales, raw_ostream &out) {
  const std::string &name = model.name;
  std::string macro = StringRef(name).upper();
  out << "/* " << name << ".h - the compiled model " << name << ".\n"
      << R"( *
 * Written by sinter; belongs to the library compiled with it, which needs
 * )"
      << (hasRuntime ? "nothing but libc, libm and pthreads."
                     : "nothing: no libc, no threads.")
      << R"( Memory is the caller's; nothing that
 * predicts or trains allocates, prints, fails or has state of its own:
 *
 *   state  parameters and optimizer; a copy of it is a copy of the model
 *   arena  scratch, of no value between calls
 )"
      << (hasRuntime ? "*   pool   threads to share the work; NULL: the "
                       "calling thread alone"
                     : "*   pool   NULL, there are no threads")
      << R"(
 *
 * State and arena start at a multiple of 64 bytes; tensors are row-major,
 * samples first, with the alignment of their elements, and do not overlap.
 * `batch`, the number of samples, is at least 1 and at most
 * )" << macro
      << R"(_BATCH_BOUND. Values are not checked.
 * Calls with different arenas may run at the same time, unless one of them
 * changes a state that another uses. The first call that predicts or evaluates
 * after a change prepares the state, which changes it: see )"
      << name << R"(_prepare.
 */
)";
  out << "#ifndef " << macro << "_H\n#define " << macro << "_H\n";
  out << R"(
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

)";
  out << "#define " << macro << "_STATE_BYTES " << wholeState(model) << "\n"
      << "#define " << macro << "_ARENA_BYTES " << largestArena(model) << "\n"
      << "#define " << macro << "_BATCH_BOUND " << model.batchBound << "\n";
  out << "\n/* The same numbers, for languages that do not read this file. */\n"
      << "int64_t " << name << "_state_bytes(void);\n"
      << "int64_t " << name << "_arena_bytes(void);\n"
      << "int64_t " << name << "_batch_bound(void);\n";
  if (hasRuntime)
    emitThreads(out);
  else
    out << "\nstruct sinter_pool;\n";
  out << "\n/* A new state: every parameter by its initialiser, drawn with "
         "`seed`. */\n"
      << "void " << name << "_init(void *state, uint64_t seed);\n";
  if (hasRuntime)
    emitFiles(name, out);
  emitWeights(model, macro, out);
  out << R"(
/* Brings weights into the form that prediction and evaluation work with: folded,
 * transformed. After )"
      << name << "_load they are. "
      << (model.trainStep.symbol.empty()
              ? "Of a new state the next call that\n * predicts does it "
                "itself; "
                "call this one before several threads use such a state\n * at "
                "the same time.\n */\n"
              : "After training steps or\n * a new state the next call that "
                "needs it does it itself; call this one before\n * several "
                "threads use such a state at the same time.\n */\n");
  out << "void " << name
      << "_prepare(void *state, void *arena, struct sinter_pool *pool);\n";
  for (const Step &step : stepsOf(model))
    emitStep(model, step, scales, out);
  out << "\n#ifdef __cplusplus\n}\n#endif\n#endif\n";
}

} // namespace sinter
