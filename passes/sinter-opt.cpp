//===- sinter-opt.cpp - one pass at a time -------------------------------===//
//
//   sinter-opt model.mlir --sinter-build-steps --sinter-autodiff
//
// For tests and for people. `--help` lists the passes; mlir-opt's flags work.
//
//===----------------------------------------------------------------------===//

#include "ir/SinterDialect.h"
#include "passes/Pipeline.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<sinter::SinterDialect, mlir::func::FuncDialect>();
  mlir::registerTransformsPasses();
  sinter::registerPipelines();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Sinter's pass driver\n", registry));
}
