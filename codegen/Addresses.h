//===- Addresses.h - addresses that share what they have in common -------===//

#ifndef SINTER_CODEGEN_ADDRESSES_H
#define SINTER_CODEGEN_ADDRESSES_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace sinter {

/// A pass over a module of structured loops whose memrefs are born of pointers
/// (Pointers.h): loads and stores become LLVM's, from pointers plus constants.
std::unique_ptr<mlir::Pass> createShareAddressesPass();

} // namespace sinter

#endif // SINTER_CODEGEN_ADDRESSES_H
