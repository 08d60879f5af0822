//===- Link.h - object file to program or library ------------------------===//

#ifndef SINTER_CODEGEN_LINK_H
#define SINTER_CODEGEN_LINK_H

#include "codegen/TargetInfo.h"

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"

namespace sinter {

/// Links `objects` with the trainer and the runtime into a program.
mlir::LogicalResult linkExecutable(mlir::Location loc,
                                   llvm::ArrayRef<std::string> objects,
                                   llvm::StringRef output);

/// Links `objects` with the runtime into a shared library, which shows what
/// NAME.h declares, and all of the runtime where `showsRuntime`.
mlir::LogicalResult linkShared(mlir::Location loc,
                               llvm::ArrayRef<std::string> objects,
                               llvm::StringRef name, const TargetInfo &target,
                               bool showsRuntime, llvm::StringRef output);

/// Puts `objects`, as NAME.o, NAME.1.o, ..., and the runtime's objects, if
/// wanted, into an archive.
mlir::LogicalResult archiveLibrary(mlir::Location loc,
                                   llvm::ArrayRef<std::string> objects,
                                   llvm::StringRef name,
                                   const TargetInfo &target, bool hasRuntime,
                                   llvm::StringRef output);

} // namespace sinter

#endif // SINTER_CODEGEN_LINK_H
