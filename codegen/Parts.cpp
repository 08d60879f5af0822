//===- Parts.cpp - a module in parts that compile at the same time -------===//
//
// An LLVM target machine, like an LLVM context, serves one thread: each part
// has its own. Functions that one part calls in another are hidden symbols:
// the linker sees them, a program or shared library does not show them.
//
//===----------------------------------------------------------------------===//

#include "codegen/Parts.h"

#include "codegen/EmitObject.h"
#include "codegen/LowerToLLVM.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/MC/TargetRegistry.h"

using namespace mlir;

namespace sinter {

// Ops of a part, roughly: a twentieth of a second of compile time. Smaller
// parts would cost more in tables and start-up than threads give back, and a
// library some 2 KB each.
static constexpr size_t kPartSize = 4000;
static constexpr size_t kMostParts = 8;

//===----------------------------------------------------------------------===//
// Splitting
//===----------------------------------------------------------------------===//

static bool callsNothing(func::FuncOp function) {
  return !function.isDeclaration() &&
         !function
              .walk([](Operation *op) {
                return isa<func::CallOp, func::ConstantOp>(op)
                           ? WalkResult::interrupt()
                           : WalkResult::advance();
              })
              .wasInterrupted();
}

static size_t countOps(func::FuncOp function) {
  size_t ops = 0;
  function.walk([&](Operation *) { ++ops; });
  return ops;
}

std::vector<OwningOpRef<ModuleOp>> splitLoops(ModuleOp loops) {
  struct Sized {
    func::FuncOp function;
    size_t ops;
  };
  SmallVector<Sized> kernels;
  size_t all = 0;
  for (auto function : loops.getOps<func::FuncOp>()) {
    if (!callsNothing(function))
      continue;
    kernels.push_back({function, countOps(function)});
    all += kernels.back().ops;
  }
  size_t count = std::clamp<size_t>(all / kPartSize, 1, kMostParts);

  // The largest first, each to the part that has least so far.
  llvm::stable_sort(
      kernels, [](const Sized &a, const Sized &b) { return a.ops > b.ops; });
  SmallVector<size_t> sizes(count);
  SmallVector<SmallVector<func::FuncOp>> dealt(count);
  for (const Sized &kernel : kernels) {
    size_t least = llvm::min_element(sizes) - sizes.begin();
    sizes[least] += kernel.ops;
    dealt[least].push_back(kernel.function);
  }
  // The first share stays where the steps are.
  std::vector<OwningOpRef<ModuleOp>> parts;
  for (ArrayRef<func::FuncOp> functions : ArrayRef(dealt).drop_front()) {
    auto part = ModuleOp::create(loops.getLoc());
    for (func::FuncOp function : functions) {
      OpBuilder builder(function);
      func::FuncOp::create(builder, function.getLoc(), function.getName(),
                           function.getFunctionType())
          .setPrivate();
      function->moveBefore(part.getBody(), part.getBody()->end());
      function.setPublic();
    }
    parts.push_back(part);
  }
  return parts;
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

static TargetInfo copyOf(const TargetInfo &target) {
  const llvm::TargetMachine &machine = *target.machine;
  TargetInfo copy;
  copy.machine.reset(machine.getTarget().createTargetMachine(
      machine.getTargetTriple(), machine.getTargetCPU(),
      machine.getTargetFeatureString(), machine.Options,
      machine.getRelocationModel()));
  copy.shape = target.shape;
  copy.isHost = target.isHost;
  copy.name = target.name;
  return copy;
}

/// Threads must not load dialects.
static void loadDialects(const PassManager &passes) {
  MLIRContext *context = passes.getContext();
  DialectRegistry needed;
  passes.getDependentDialects(needed);
  context->appendDialectRegistry(needed);
  for (StringRef name : needed.getDialectNames())
    context->getOrLoadDialect(name);
}

FailureOr<std::vector<SmallVector<char, 0>>>
compileParts(ModuleOp loops, ArrayRef<OwningOpRef<ModuleOp>> parts,
             const TargetInfo &target,
             llvm::function_ref<void(llvm::Module &)> complete, bool dropLines,
             TimingScope &timing) {
  struct Part {
    ModuleOp module;
    std::unique_ptr<PassManager> passes;
    SmallVector<char, 0> object;
  };
  std::vector<Part> work;
  auto add = [&](ModuleOp module) {
    auto passes = std::make_unique<PassManager>(module.getContext(),
                                                ModuleOp::getOperationName());
    // Fails only where the program has no such options.
    (void)applyPassManagerCLOptions(*passes);
#ifdef NDEBUG
    passes->enableVerifier(false);
#endif
    addLowerToLLVMPasses(*passes, target.shape);
    work.push_back({module, std::move(passes), {}});
  };
  add(loops);
  for (const OwningOpRef<ModuleOp> &part : parts)
    add(*part);
  loadDialects(*work.front().passes);

  auto compile = [&](Part &part) -> LogicalResult {
    TimingScope lowering = timing.nest("Loops to LLVM dialect");
    if (failed(part.passes->run(part.module)))
      return failure();
    lowering.stop();

    TimingScope translation = timing.nest("Translate to LLVM IR");
    llvm::LLVMContext context;
    TargetInfo own = copyOf(target);
    std::unique_ptr<llvm::Module> module =
        translateToLLVM(part.module, context, own);
    if (!module)
      return failure();
    if (part.module == loops)
      complete(*module);
    else
      for (llvm::Function &function : *module)
        // An intrinsic is no symbol, and must not look like a missing one.
        if (!function.isIntrinsic())
          function.setVisibility(llvm::GlobalValue::HiddenVisibility);
    if (dropLines)
      llvm::StripDebugInfo(*module);
    translation.stop();

    TimingScope optimization = timing.nest("LLVM optimisation");
    optimize(*module, own);
    optimization.stop();

    TimingScope emission = timing.nest("Instruction selection");
    llvm::raw_svector_ostream out(part.object);
    emitMachineCode(*module, own, llvm::CodeGenFileType::ObjectFile, out);
    return success();
  };
  if (failed(failableParallelForEach(loops.getContext(), work, compile)))
    return failure();

  std::vector<SmallVector<char, 0>> objects;
  for (Part &part : work)
    objects.push_back(std::move(part.object));
  return objects;
}

} // namespace sinter
