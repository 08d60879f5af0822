//===- EmitHeader.cpp - the C header of a library ------------------------===//
//
// The header is all that the library's user reads, so it says who owns memory,
// how large it is, and what shape every tensor has. The functions are those of
// EntryPoints.h. Types of the runtime are named, never defined, so it can
// be included beside sinter_runtime.h and beside other models' headers.
//
//===----------------------------------------------------------------------===//

#include "codegen/EmitHeader.h"

#include "codegen/EntryPoints.h"

#include "llvm/ADT/StringExtras.h"

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

/// Tensor names are words with underscores; others must become such.
static std::string identifier(StringRef name) {
  std::string text = name.str();
  for (char &c : text)
    if (!llvm::isAlnum(c))
      c = '_';
  return text;
}

static StringRef summaryOf(const ModelRecord &model, const Step &step) {
  if (StringRef(step.suffix) == "predict")
    return model.predictOne.symbol.empty()
               ? "The model's output for a batch."
               : "The model's output for a batch. A batch of 1 has code of its "
                 "own, several\n * times faster, which sums in another order: "
                 "results differ by roundings.";
  if (step.changesState)
    return "One training step: loss, gradients, optimizer update. The loss is\n"
           " * the one before the update.";
  return "Loss and metrics of a batch, as means; the state stays as it is.";
}

static void emitStep(const ModelRecord &model, const Step &step,
                     raw_ostream &out) {
  out << "\n/* " << summaryOf(model, step) << "\n";
  for (const TensorRecord &tensor : step.record->inputs)
    out << " *   " << identifier(tensor.name) << ": " << describe(tensor)
        << "\n";
  for (const TensorRecord &tensor : step.record->outputs)
    out << " *   " << identifier(tensor.name) << ": " << describe(tensor)
        << ", written\n";
  out << " */\nvoid " << model.name << '_' << step.suffix << '('
      << (step.changesState ? "" : "const ")
      << "void *state, void *arena, int64_t batch";
  for (const TensorRecord &tensor : step.record->inputs)
    out << ",\n    const " << elementType(tensor) << " *"
        << identifier(tensor.name);
  for (const TensorRecord &tensor : step.record->outputs)
    out << ",\n    " << elementType(tensor) << " *" << identifier(tensor.name);
  out << ",\n    struct sinter_pool *pool);\n";
}

void emitHeader(const ModelRecord &model, raw_ostream &out) {
  const std::string &name = model.name;
  std::string macro = StringRef(name).upper();
  out << "/* " << name << ".h - the compiled model " << name << ".\n"
      << R"( *
 * Written by sinter; belongs to the library compiled with it, which needs
 * nothing but libc, libm and pthreads. Memory is the caller's, nothing is
 * allocated:
 *
 *   state  parameters and optimizer; a copy of it is a copy of the model
 *   arena  scratch, of no value between calls
 *   pool   threads to share the work; NULL: the calling thread alone
 *
 * Both blocks start at a multiple of 64 bytes. Tensors are row-major, samples
 * first; `batch`, their number, is at least 1 and at most )"
      << macro << R"(_BATCH_BOUND.
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
  out << "\n/* Threads for `pool`: the caller and `threads` - 1 more. NULL "
         "when "
         "refused. One\n * pool serves one call at a time. */\n"
      << "struct sinter_pool *sinter_pool_create(int threads);\n"
      << "void sinter_pool_destroy(struct sinter_pool *pool);\n";
  out << R"(
/* Makes the calling thread count denormals as zero, as the pool's threads do:
 * faster, and the same bits with any pool.
 */
void sinter_flush_denormals(void);
)";
  out << "\n/* A new state: every parameter by its initialiser, drawn with "
         "`seed`. */\n"
      << "void " << name << "_init(void *state, uint64_t seed);\n";
  out << R"(
/* Parameters from and to a safetensors file. 0, or not 0 and a line of text in
 * `message`; a state is changed by a good file only.
 */
)";
  out << "int " << name
      << "_load(void *state, const char *path, char *message,\n"
         "    size_t message_size);\n";
  out << "int " << name
      << "_save(const void *state, const char *path, char *message,\n"
         "    size_t message_size);\n";
  out << R"(
/* Brings weights into the form that prediction and evaluation work with: folded,
 * transformed. After )"
      << name << R"(_load they are. After training steps or
 * a new state the next call that needs it does it itself; call this one before
 * several threads use such a state at the same time.
 */
)";
  out << "void " << name
      << "_prepare(void *state, void *arena, struct sinter_pool *pool);\n";
  for (const Step &step : stepsOf(model))
    emitStep(model, step, out);
  out << "\n#ifdef __cplusplus\n}\n#endif\n#endif\n";
}

} // namespace sinter
