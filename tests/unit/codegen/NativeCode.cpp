//===- NativeCode.cpp - loops in text form, compiled and loaded ----------===//

#include "NativeCode.h"

#include "codegen/Dialects.h"
#include "codegen/EmitObject.h"
#include "codegen/LowerToLLVM.h"
#include "codegen/ModelTable.h"
#include "codegen/TargetInfo.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <catch2/catch.hpp>

using namespace mlir;

std::unique_ptr<MLIRContext> createContext() {
  DialectRegistry registry;
  sinter::registerAllSinterDialects(registry);
  auto context = std::make_unique<MLIRContext>(registry);
  context->disableMultithreading();
  return context;
}

/// The value, or a failed test that shows the error.
template <typename T> static T require(llvm::Expected<T> expected) {
  if (!expected)
    FAIL(llvm::toString(expected.takeError()));
  return std::move(*expected);
}

static void require(llvm::Error error) {
  if (error)
    FAIL(llvm::toString(std::move(error)));
}

NativeCode::NativeCode(const std::string &loops, const std::string &cpu,
                       const sinter::ModelRecord *record) {
  std::unique_ptr<MLIRContext> context = createContext();
  auto module = parseSourceString<ModuleOp>(loops, context.get());
  REQUIRE(module);
  auto target = sinter::createTarget(module->getLoc(), cpu, /*tripleName=*/"");
  REQUIRE(succeeded(target));

  PassManager passes(context.get());
  sinter::addLowerToLLVMPasses(passes, target->shape);
  REQUIRE(succeeded(passes.run(*module)));

  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> translated =
      sinter::translateToLLVM(*module, llvmContext, *target);
  REQUIRE(translated);
  if (record) {
    sinter::TableOptions table;
    table.targetCpu = cpu;
    sinter::addModelTable(*translated, *record, table);
  }
  sinter::optimize(*translated, *target);

  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream out(object);
  sinter::emitMachineCode(*translated, *target,
                          llvm::CodeGenFileType::ObjectFile, out);
  jit = require(llvm::orc::LLJITBuilder().create());
  jit->getMainJITDylib().addGenerator(
      require(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
          jit->getDataLayout().getGlobalPrefix())));
  require(jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(
      llvm::StringRef(object.data(), object.size()))));
}

uint64_t NativeCode::addressOf(const std::string &name) {
  return require(jit->lookup(name)).getValue();
}
