//===- TargetInfo.h - which processor, and what it can do ----------------===//

#ifndef SINTER_CODEGEN_TARGETINFO_H
#define SINTER_CODEGEN_TARGETINFO_H

#include "codegen/Lowering.h"

#include "mlir/IR/Location.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>

namespace sinter {

struct TargetInfo {
  std::unique_ptr<llvm::TargetMachine> machine;
  TargetShape shape;
  bool isHost;      // can this machine's linker and libraries serve the target?
  std::string name; // the triple as the user wrote it: cross compilers' prefix
};

/// The target called `cpu` of `triple`. Empty names stand for this machine:
/// an empty or "native" cpu for this very processor with the features that the
/// operating system grants, an empty triple for this platform. With another
/// platform's triple the default is its oldest processor (riscv64: RV64GC; arm:
/// ARMv7-A with NEON). An architecture alone, such as "aarch64", stands for its
/// Linux. Unknown names are errors at `loc` that list near matches.
mlir::FailureOr<TargetInfo>
createTarget(mlir::Location loc, llvm::StringRef cpu, llvm::StringRef triple);

} // namespace sinter

#endif // SINTER_CODEGEN_TARGETINFO_H
