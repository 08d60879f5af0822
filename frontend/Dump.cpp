// Dump.cpp - prints a stage, or what a layer has become in it.
//
// An op stems from a layer if its location, or one fused into it, bears the
// layer's name. A matching op is printed whole, with its region; values keep
// the numbers they have in the full dump.
#include "frontend/Dump.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/Location.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace sinter::frontend;

static mlir::OpPrintingFlags flagsFor(bool locations) {
  mlir::OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(16);
  if (locations)
    flags.enableDebugInfo(/*enable=*/true, /*prettyForm=*/true);
  return flags;
}

void sinter::frontend::dumpModule(llvm::raw_ostream &os, mlir::ModuleOp module,
                                  bool locations) {
  module->print(os, flagsFor(locations));
  os << '\n';
}

static bool stemsFrom(mlir::Location loc, llvm::StringRef layer) {
  return loc
      ->walk([&](mlir::Location part) {
        auto name = llvm::dyn_cast<mlir::NameLoc>(part);
        return name && name.getName() == layer ? mlir::WalkResult::interrupt()
                                               : mlir::WalkResult::advance();
      })
      .wasInterrupted();
}

bool sinter::frontend::dumpLayer(llvm::raw_ostream &os, mlir::ModuleOp module,
                                 llvm::StringRef layer, bool locations) {
  mlir::AsmState state(module, flagsFor(locations));
  mlir::Operation *lastFunction = nullptr;
  bool found = false;
  module->walk<mlir::WalkOrder::PreOrder>([&](mlir::Operation *op) {
    if (op->getNumRegions() != 0 &&
        llvm::isa<mlir::ModuleOp, mlir::SymbolOpInterface>(op) &&
        !stemsFrom(op->getLoc(), layer))
      return mlir::WalkResult::advance(); // the model, a function: look inside
    if (!stemsFrom(op->getLoc(), layer))
      return mlir::WalkResult::advance();
    auto function = op->getParentOfType<mlir::FunctionOpInterface>();
    if (function && function != lastFunction)
      os << "// @" << function.getName() << '\n';
    lastFunction = function;
    op->print(os, state);
    os << '\n';
    found = true;
    return mlir::WalkResult::skip();
  });
  return found;
}
