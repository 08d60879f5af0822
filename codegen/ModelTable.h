//===- ModelTable.h - the table that describes a compiled model ----------===//

#ifndef SINTER_CODEGEN_MODELTABLE_H
#define SINTER_CODEGEN_MODELTABLE_H

#include "codegen/ModelRecord.h"

#include "llvm/IR/GlobalVariable.h"
#include "llvm/IR/Module.h"

namespace sinter {

/// What the table says beyond the model itself.
struct TableOptions {
  std::string targetCpu;
  std::string recipe;       // for the trainer; see runtime/trainer/recipe.h
  bool isMainModel = false; // also `sinter_main_model`, for the trainer
  /// Not the functions, and not visible from outside: what a library needs to
  /// make, load and save states. The linker drops functions that nobody calls.
  bool statesOnly = false;
};

/// Adds the constant `sinter_model_NAME`, laid out as runtime/sinter_runtime.h
/// says, and the strings and arrays that it points to. The functions that
/// `record` names are in `module`.
llvm::GlobalVariable *addModelTable(llvm::Module &module,
                                    const ModelRecord &record,
                                    const TableOptions &options);

} // namespace sinter

#endif // SINTER_CODEGEN_MODELTABLE_H
