// Report.cpp - parameters and memory of a planned model.
//
// State is counted as the runtime lays it out: each tensor begins at a multiple
// of 64 bytes.
#include "frontend/Report.h"

#include "frontend/Summary.h"

#include "ir/SinterDialect.h"
#include "passes/Names.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/MathExtras.h"

using namespace sinter;
using namespace sinter::frontend;

static int64_t stateBytes(ModelOp model) {
  int64_t bytes = 0;
  for (StateOp state : model.getBody().getOps<StateOp>())
    bytes = static_cast<int64_t>(
        llvm::alignTo(static_cast<uint64_t>(
                          bytes + 4 * state.getTensorType().getNumElements()),
                      64));
  return bytes;
}

void sinter::frontend::printReport(llvm::raw_ostream &os,
                                   const ModelBuilder &model,
                                   mlir::ModuleOp planned) {
  auto modelOp = *planned.getOps<ModelOp>().begin();
  ParameterCount parameters = countParameters(model);
  os << model.name() << ": "
     << groupedNumber(parameters.trainable + parameters.frozen)
     << " parameters, batches of 1 to " << modelOp.getBatchBound()
     << " samples\n";
  auto line = [&](const std::string &title) -> llvm::raw_ostream & {
    return os << "  " << llvm::left_justify(title, 14);
  };
  line("state") << readableSize(static_cast<double>(stateBytes(modelOp)))
                << '\n';
  for (auto function : modelOp.getBody().getOps<mlir::func::FuncOp>()) {
    auto bytes = [&](llvm::StringRef name) {
      auto value = function->getAttrOfType<mlir::IntegerAttr>(name);
      return readableSize(value ? static_cast<double>(value.getInt()) : 0);
    };
    auto kernels = function.getOps<KernelOp>();
    line("@" + function.getName().str())
        << "arena " << bytes(names::arenaBytes) << ", lower bound "
        << bytes(names::arenaLowerBound) << ", "
        << std::distance(kernels.begin(), kernels.end()) << " kernels\n";
  }
}
