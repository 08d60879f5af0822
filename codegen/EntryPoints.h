//===- EntryPoints.h - a library's C functions ---------------------------===//
//
// What NAME.h declares (EmitHeader.cpp) and libNAME.a defines
// (EntryPoints.cpp):
//
//   NAME_predict        (state, arena, batch, input, prediction, pool)
//   NAME_evaluate_step  (state, arena, batch, input, target, loss, ..., pool)
//   NAME_train_step     (the same)
//   NAME_prepare        (state, arena, pool)
//   NAME_init           (state, seed)
//   NAME_load, _save    (state, path, message, message_size)
//   NAME_load_memory    (state, data, bytes, message, message_size)
//   NAME_save_memory    (state, data, bytes)
//   NAME_state_bytes, NAME_arena_bytes, NAME_batch_bound  ()
//
// Plain functions of pointers and integers, so that any language with a C
// interface can call them without knowing a struct.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_ENTRYPOINTS_H
#define SINTER_CODEGEN_ENTRYPOINTS_H

#include "codegen/ModelRecord.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/GlobalVariable.h"
#include "llvm/IR/Module.h"

namespace sinter {

/// A step function of a model and what it is called in a library.
struct Step {
  const char *suffix; // "predict", ...
  const FunctionRecord *record;
  bool changesState;
};

/// Those that the model was compiled with.
llvm::SmallVector<Step> stepsOf(const ModelRecord &record);

/// Bytes of one arena that serves every step, in whole cache lines.
int64_t largestArena(const ModelRecord &record);

/// Bytes of a state block, in whole cache lines.
int64_t wholeState(const ModelRecord &record);

/// Defines the functions above in `module`, which holds the model's table;
/// without a table (null) all but init, load and save.
void addEntryPoints(llvm::Module &module, const ModelRecord &record,
                    llvm::GlobalVariable *table);

} // namespace sinter

#endif // SINTER_CODEGEN_ENTRYPOINTS_H
