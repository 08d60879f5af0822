//===- ExpandComposites.cpp - composites become primitives ---------------===//
//
// Repeats until none is left: an expansion may use simpler composites.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_EXPANDCOMPOSITES
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

namespace {
struct ExpandComposites : sinter::impl::ExpandCompositesBase<ExpandComposites> {
  void runOnOperation() override {
    while (true) {
      SmallVector<Expandable> ops;
      getOperation().walk([&](Expandable op) { ops.push_back(op); });
      if (ops.empty())
        return;
      for (Expandable op : ops) {
        OpBuilder builder(op);
        op->getResult(0).replaceAllUsesWith(op.expand(builder));
        op->erase();
      }
    }
  }
};
} // namespace
