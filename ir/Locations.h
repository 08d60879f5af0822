//===- Locations.h - whose op is it? -------------------------------------===//
//
// Importers give every op the location `"layer"(file:line:column)`; passes hand
// it on.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_LOCATIONS_H
#define SINTER_IR_LOCATIONS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"

namespace sinter {

/// The layer that the location names, or "".
inline llvm::StringRef layerName(mlir::Location loc) {
  if (auto name = llvm::dyn_cast<mlir::NameLoc>(loc))
    return name.getName().getValue();
  if (auto fused = llvm::dyn_cast<mlir::FusedLoc>(loc))
    for (mlir::Location part : fused.getLocations())
      if (llvm::StringRef name = layerName(part); !name.empty())
        return name;
  return "";
}

} // namespace sinter

#endif // SINTER_IR_LOCATIONS_H
