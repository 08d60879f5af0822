//===- EmitObject.cpp - LLVM dialect to machine code ---------------------===//
//
// LLVM's new pass manager for the optimisation, its old one for the selection
// of instructions, which has no other. Every function says which processor it
// is for: passes ask the function, not the target machine.
//
// Known weakness: one thread. Kernels are independent and could be compiled in
// parallel.
//
//===----------------------------------------------------------------------===//

#include "codegen/EmitObject.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Transforms/IPO/MergeFunctions.h"

using namespace mlir;

namespace sinter {

static void nameProcessor(llvm::Function &function, const TargetInfo &target) {
  const llvm::TargetMachine &machine = *target.machine;
  function.addFnAttr("target-cpu", machine.getTargetCPU());
  function.addFnAttr("target-features", machine.getTargetFeatureString());
  // Several processors prefer 256 bits where 512 are to be had: right for code
  // with an occasional vector, wrong for kernels that are nothing else.
  std::string bits = std::to_string(target.shape.lanes * 32);
  function.addFnAttr("prefer-vector-width", bits);
  function.addFnAttr("min-legal-vector-width", bits);
}

std::unique_ptr<llvm::Module> translateToLLVM(ModuleOp module,
                                              llvm::LLVMContext &context,
                                              const TargetInfo &target) {
  std::unique_ptr<llvm::Module> translated =
      translateModuleToLLVMIR(module, context, "model");
  if (!translated)
    return nullptr;
  translated->setTargetTriple(target.machine->getTargetTriple());
  translated->setDataLayout(target.machine->createDataLayout());
  for (llvm::Function &function : *translated)
    if (!function.isDeclaration())
      nameProcessor(function, target);
  return translated;
}

void optimize(llvm::Module &module, const TargetInfo &target) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.LoopInterleaving = false;
  tuning.SLPVectorization = false;

  llvm::PassBuilder builder(target.machine.get(), tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  // Prediction and evaluation have kernels in common, to the last offset:
  // nobody compares their addresses, so one body serves both.
  for (llvm::Function &function : module)
    if (function.hasLocalLinkage())
      function.setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
  llvm::ModulePassManager passes;
  passes.addPass(llvm::MergeFunctionsPass());
  passes.addPass(
      builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2));
  passes.run(module, modules);
}

void emitMachineCode(llvm::Module &module, const TargetInfo &target,
                     llvm::CodeGenFileType type, llvm::raw_pwrite_stream &out) {
  llvm::legacy::PassManager passes;
  bool unsupported = target.machine->addPassesToEmitFile(
      passes, out, /*DwoOut=*/nullptr, type);
  assert(!unsupported && "every registered target emits objects and assembly");
  (void)unsupported;
  passes.run(module);
}

} // namespace sinter
