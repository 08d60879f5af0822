//===- EmitObject.cpp - LLVM dialect to machine code ---------------------===//
//
// LLVM's new pass manager for the optimisation, its old one for the selection
// of instructions, which has no other. Every function says which processor it
// is for: passes ask the function, not the target machine.
//
// Kernels arrive as the loops that they shall be: unrolled, vectorised, without
// a call. What is left to do is to compute nothing twice and nothing in a loop
// that could stand before it. LLVM's own -O2 takes eight times as long and its
// further unrolling makes kernels larger, and filter gradients slower.
//
//===----------------------------------------------------------------------===//

#include "codegen/EmitObject.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/InstSimplifyPass.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopDeletion.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/LoopSimplify.h"

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

/// The kernels of a step go into one section: the linker keeps or drops them
/// together, and a section costs 200 bytes of an object.
static void chooseSection(llvm::Function &function) {
  StringRef name = function.getName();
  size_t end = name.rfind("_kernel");
  if (end != StringRef::npos)
    function.setSection((".text." + name.take_front(end)).str());
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
    if (!function.isDeclaration()) {
      nameProcessor(function, target);
      chooseSection(function);
    }
  return translated;
}

void optimize(llvm::Module &module, const TargetInfo &target) {
  // Nothing throws: no tables for unwinding.
  for (llvm::Function &function : module)
    function.setDoesNotThrow();
  llvm::PassBuilder builder(target.machine.get());
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);

  llvm::FunctionPassManager cleanUp;
  cleanUp.addPass(llvm::EarlyCSEPass());
  cleanUp.addPass(llvm::InstSimplifyPass());
  cleanUp.addPass(llvm::SimplifyCFGPass());
  llvm::LoopPassManager loopPasses;
  loopPasses.addPass(llvm::LoopRotatePass());
  loopPasses.addPass(llvm::LICMPass(llvm::LICMOptions()));
  loopPasses.addPass(llvm::LoopDeletionPass()); // also loops of one turn
  cleanUp.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loopPasses),
                                                        /*UseMemorySSA=*/true));
  cleanUp.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  cleanUp.addPass(llvm::SimplifyCFGPass());
  // A block before each loop, for what the registers of a loop start with: the
  // code generator keeps those that it finds.
  cleanUp.addPass(llvm::LoopSimplifyPass());
  llvm::ModulePassManager passes;
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(cleanUp)));
  // Functions of the interface that are not wanted, and dead declarations.
  passes.addPass(llvm::GlobalDCEPass());
  passes.run(module, modules);
}

/// Passes of the code generator that take a third of its time and a fourteenth,
/// and find nothing here. LLVM has no other switch for them.
static void skipPasses() {
  static const bool once = [] {
    auto &options = llvm::cl::getRegisteredOptions();
    auto set = [&](StringRef name, StringRef value) {
      auto option = options.find(name);
      if (option != options.end() && option->second->getNumOccurrences() == 0)
        option->second->addOccurrence(0, name, value);
    };
    // Addresses.cpp has made the addresses.
    set("disable-lsr", "true");
    // Follows variables through registers; line tables have none.
    set("experimental-debug-variable-locations", "false");
    return true;
  }();
  (void)once;
}

void emitMachineCode(llvm::Module &module, const TargetInfo &target,
                     llvm::CodeGenFileType type, llvm::raw_pwrite_stream &out) {
  llvm::legacy::PassManager passes;
  skipPasses();
  bool unsupported = target.machine->addPassesToEmitFile(
      passes, out, /*DwoOut=*/nullptr, type, /*DisableVerify=*/true);
  assert(!unsupported && "every registered target emits objects and assembly");
  (void)unsupported;
  passes.run(module);
}

} // namespace sinter
