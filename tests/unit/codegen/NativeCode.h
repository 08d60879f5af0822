//===- NativeCode.h - loops in text form, compiled and loaded ------------===//

#ifndef SINTER_TESTS_UNIT_CODEGEN_NATIVECODE_H
#define SINTER_TESTS_UNIT_CODEGEN_NATIVECODE_H

#include "codegen/ModelRecord.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"

#include <memory>
#include <string>

/// A context with Sinter's dialects.
std::unique_ptr<mlir::MLIRContext> createContext();

/// Compiles `loops`, a module in the dialects of the loops stage, for `cpu` and
/// keeps the object code in memory. With a record also its tables.
class NativeCode {
public:
  explicit NativeCode(const std::string &loops,
                      const std::string &cpu = "native",
                      const sinter::ModelRecord *record = nullptr);

  /// The address of an exported symbol; fails the test when there is none.
  template <typename Pointer> Pointer lookup(const std::string &name) {
    return reinterpret_cast<Pointer>(addressOf(name));
  }

private:
  uint64_t addressOf(const std::string &name);

  std::unique_ptr<llvm::orc::LLJIT> jit;
};

#endif // SINTER_TESTS_UNIT_CODEGEN_NATIVECODE_H
