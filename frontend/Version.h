// Version.h - which compiler this is.
#ifndef SINTER_FRONTEND_VERSION_H
#define SINTER_FRONTEND_VERSION_H

#include "llvm/Config/llvm-config.h"

#include <string>

namespace sinter::frontend {

/// "sinter 0.1.0, LLVM 22.1.8"
inline std::string versionText() {
  return "sinter " SINTER_VERSION ", LLVM " LLVM_VERSION_STRING;
}

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_VERSION_H
