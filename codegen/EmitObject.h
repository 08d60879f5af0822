//===- EmitObject.h - LLVM dialect to machine code -----------------------===//

#ifndef SINTER_CODEGEN_EMITOBJECT_H
#define SINTER_CODEGEN_EMITOBJECT_H

#include "codegen/TargetInfo.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/raw_ostream.h"

namespace sinter {

/// `module`, which holds nothing but the LLVM dialect, as LLVM IR for `target`.
std::unique_ptr<llvm::Module> translateToLLVM(mlir::ModuleOp module,
                                              llvm::LLVMContext &context,
                                              const TargetInfo &target);

/// Common subexpressions, loop invariants, branches: the loops are vector code
/// already.
void optimize(llvm::Module &module, const TargetInfo &target);

/// Writes an object or assembly file.
void emitMachineCode(llvm::Module &module, const TargetInfo &target,
                     llvm::CodeGenFileType type, llvm::raw_pwrite_stream &out);

} // namespace sinter

#endif // SINTER_CODEGEN_EMITOBJECT_H
