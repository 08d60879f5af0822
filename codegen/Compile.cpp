//===- Compile.cpp - code generation's front door ------------------------===//
//
// The order of things, and where each artifact leaves the line. Objects go
// through a temporary file to the linker; an output that could not be completed
// is not left behind.
//
//===----------------------------------------------------------------------===//

#include "codegen/Compile.h"

#include "codegen/EmitHeader.h"
#include "codegen/EmitObject.h"
#include "codegen/EntryPoints.h"
#include "codegen/Freestanding.h"
#include "codegen/Link.h"
#include "codegen/LowerToLLVM.h"
#include "codegen/Lowering.h"
#include "codegen/ModelTable.h"
#include "codegen/Parts.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"

#include <list>

using namespace mlir;

namespace sinter {

std::optional<EmitKind> parseEmitKind(StringRef name) {
  return llvm::StringSwitch<std::optional<EmitKind>>(name)
      .Case("exe", EmitKind::Executable)
      .Case("lib", EmitKind::Library)
      .Case("shared", EmitKind::Shared)
      .Case("obj", EmitKind::Object)
      .Case("asm", EmitKind::Assembly)
      .Case("llvm", EmitKind::LLVM)
      .Case("mlir", EmitKind::MLIR)
      .Default(std::nullopt);
}

std::string defaultOutput(EmitKind kind, StringRef model) {
  switch (kind) {
  case EmitKind::Executable:
    return model.str();
  case EmitKind::Library:
    return ("lib" + model + ".a").str();
  case EmitKind::Shared:
    return ("lib" + model + ".so").str();
  case EmitKind::Object:
    return (model + ".o").str();
  case EmitKind::Assembly:
    return (model + ".s").str();
  case EmitKind::LLVM:
    return (model + ".ll").str();
  case EmitKind::MLIR:
    return (model + ".mlir").str();
  }
  llvm_unreachable("all kinds are listed");
}

static bool isLibrary(EmitKind kind) {
  return kind == EmitKind::Library || kind == EmitKind::Shared;
}
/// Does the output have a library's functions and a header?
static bool hasEntryPoints(const CompileOptions &options) {
  return isLibrary(options.emit) || options.freestanding;
}
static bool isLinked(EmitKind kind) {
  return kind == EmitKind::Executable || isLibrary(kind);
}

//===----------------------------------------------------------------------===//
// Writing files
//===----------------------------------------------------------------------===//

/// Lets `write` fill the file, which stays only if all could be written.
static LogicalResult
writeFile(Location loc, StringRef file,
          llvm::function_ref<void(llvm::raw_pwrite_stream &)> write) {
  std::error_code error;
  llvm::ToolOutputFile output(file, error, llvm::sys::fs::OF_None);
  if (!error) {
    {
      // Objects are written out of order, which stdout may not allow.
      llvm::buffer_ostream buffer(output.os());
      write(buffer);
    }
    output.os().flush();
    error = output.os().error();
    output.os().clear_error();
  }
  if (error)
    return emitError(loc, "cannot write ") << file << ": " << error.message();
  output.keep();
  return success();
}

/// NAME.h and NAME.hpp, beside the library.
static LogicalResult writeHeader(Location loc, const ModelRecord &record,
                                 const CompileOptions &options) {
  auto write = [&](StringRef suffix, auto emit) {
    SmallString<128> file(llvm::sys::path::parent_path(options.output));
    llvm::sys::path::append(file, record.name + suffix);
    return writeFile(loc, file, [&](llvm::raw_pwrite_stream &out) {
      emit(record, !options.freestanding, options.inputScales, out);
    });
  };
  if (failed(write(".h", emitHeader)))
    return failure();
  // The C++ one throws and allocates, which a bare machine cannot.
  return options.freestanding ? success() : write(".hpp", emitCppHeader);
}

static LogicalResult link(Location loc, const ModelRecord &record,
                          ArrayRef<std::string> objects,
                          const TargetInfo &target,
                          const CompileOptions &options) {
  switch (options.emit) {
  case EmitKind::Library:
    return archiveLibrary(loc, objects, record.name, target,
                          !options.freestanding, options.output);
  case EmitKind::Shared:
    return linkShared(loc, objects, record.name, target, options.isInspected,
                      options.output);
  default:
    return linkExecutable(loc, objects, options.output);
  }
}

//===----------------------------------------------------------------------===//
// The line
//===----------------------------------------------------------------------===//

/// Only the table and a library's entry points are visible from outside.
static void addInterface(llvm::Module &module, const ModelRecord &record,
                         const TargetInfo &target,
                         const CompileOptions &options) {
  if (options.freestanding)
    defineRuntime(module);
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
  llvm::GlobalVariable *global = nullptr;
  if (options.freestanding) {
    module.getFunction(record.name + "_init")
        ->setLinkage(llvm::GlobalValue::ExternalLinkage);
  } else {
    TableOptions table;
    table.targetCpu = target.machine->getTargetCPU().str();
    table.isMainModel = options.emit == EmitKind::Executable;
    table.statesOnly = isLibrary(options.emit) && !options.isInspected;
    if (!table.statesOnly)
      table.recipe = options.recipe;
    global = addModelTable(module, record, table);
  }
  if (hasEntryPoints(options))
    addEntryPoints(module, record, global);
}

static LogicalResult runLoweringPasses(ModuleOp loops, const TargetInfo &target,
                                       TimingScope &timing) {
  PassManager passes(loops.getContext(), ModuleOp::getOperationName());
  // Fails only where the program has no such options.
  (void)applyPassManagerCLOptions(passes);
  passes.enableTiming(timing);
  addLowerToLLVMPasses(passes, target.shape);
  return passes.run(loops);
}

/// In parts, which the linker puts together.
static LogicalResult compileLinked(ModuleOp loops, const ModelRecord &record,
                                   const TargetInfo &target,
                                   const CompileOptions &options,
                                   TimingScope &timing) {
  Location loc = loops.getLoc();
  std::vector<OwningOpRef<ModuleOp>> parts = splitLoops(loops);
  auto compiled = compileParts(
      loops, parts, target,
      [&](llvm::Module &module) {
        addInterface(module, record, target, options);
      },
      isLibrary(options.emit) && !options.debugInfo, timing);
  if (failed(compiled))
    return failure();

  TimingScope linking = timing.nest("Link");
  std::vector<std::string> files;
  std::list<llvm::FileRemover> removers;
  for (const SmallVector<char, 0> &object : *compiled) {
    SmallString<128> file;
    if (std::error_code error =
            llvm::sys::fs::createTemporaryFile("sinter", "o", file))
      return emitError(loc, "cannot create a temporary file: ")
             << error.message();
    removers.emplace_back(file);
    files.push_back(file.str().str());
    if (failed(writeFile(loc, file, [&](llvm::raw_pwrite_stream &out) {
          out << StringRef(object.data(), object.size());
        })))
      return failure();
  }
  return link(loc, record, files, target, options);
}

static LogicalResult compileToFile(ModuleOp loops, const ModelRecord &record,
                                   const TargetInfo &target,
                                   const CompileOptions &options,
                                   TimingScope &timing) {
  Location loc = loops.getLoc();
  if (options.freestanding)
    addInitFunction(loops, record);
  if (isLinked(options.emit))
    return compileLinked(loops, record, target, options, timing);
  TimingScope lowering = timing.nest("Loops to LLVM dialect");
  if (failed(runLoweringPasses(loops, target, lowering)))
    return failure();
  lowering.stop();

  TimingScope translation = timing.nest("Translate to LLVM IR");
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module =
      translateToLLVM(loops, context, target);
  if (!module)
    return failure();
  addInterface(*module, record, target, options);
  if (options.freestanding && !options.debugInfo)
    llvm::StripDebugInfo(*module);
  translation.stop();
  if (options.emit == EmitKind::LLVM)
    return writeFile(loc, options.output, [&](llvm::raw_pwrite_stream &out) {
      module->print(out, /*AAW=*/nullptr);
    });

  TimingScope optimization = timing.nest("LLVM optimisation");
  optimize(*module, target);
  optimization.stop();

  TimingScope emission = timing.nest("Instruction selection");
  return writeFile(loc, options.output, [&](llvm::raw_pwrite_stream &out) {
    emitMachineCode(*module, target,
                    options.emit == EmitKind::Assembly
                        ? llvm::CodeGenFileType::AssemblyFile
                        : llvm::CodeGenFileType::ObjectFile,
                    out);
  });
}

LogicalResult compileLoops(ModuleOp loops, const ModelRecord &record,
                           const TargetInfo &target,
                           const CompileOptions &options, TimingScope &timing) {
  Location loc = loops.getLoc();
  if (failed(compileToFile(loops, record, target, options, timing)))
    return failure();
  bool isCode = isLibrary(options.emit) || options.emit == EmitKind::Object;
  if (!isCode || !hasEntryPoints(options) || options.output == "-")
    return success();
  return writeHeader(loc, record, options);
}

LogicalResult compileModel(ModuleOp planned, const CompileOptions &options,
                           TimingScope &timing, ModelRecord *learned) {
  Location loc = planned.getLoc();
  FailureOr<TargetInfo> target =
      createTarget(loc, options.targetCpu, options.targetTriple);
  if (failed(target))
    return failure();
  if (options.emit == EmitKind::Executable && !target->isHost)
    return emitError(loc, "expected this machine's platform to link a trainer "
                          "for, got ")
           << target->machine->getTargetTriple().str()
           << "; --emit lib, shared and obj serve other platforms";

  TimingScope lowering = timing.nest("Planned model to loops");
  FailureOr<ModelRecord> record = lowerToLoops(planned, target->shape);
  if (failed(record))
    return failure();
  lowering.stop();
  if (learned)
    *learned = *record;
  if (options.emit == EmitKind::MLIR)
    return writeFile(loc, options.output, [&](llvm::raw_pwrite_stream &out) {
      planned.print(out);
      out << '\n';
    });
  std::string task = llvm::formatv("{0} kernels, {1} distinct, to machine code",
                                   record->numKernels, record->distinctKernels);
  TimingScope rest = timing.nest(StringRef(task));
  return compileLoops(planned, *record, *target, options, rest);
}

} // namespace sinter
