//===- Link.cpp - object file to program or library ----------------------===//
//
// Problem: a program needs the C library's start files and paths, which only
// the machine's own compiler knows for sure.
//
// Idea: call that compiler as a linker; any C or C++ one will do. A shared
// library needs no start files, so where there is no compiler lld serves. An
// archive needs no tool: LLVM writes it. The runtime's archives are found
// beside this program, in the build folder as after installation.
//
// Known weakness: links for the machine it runs on only.
//
//===----------------------------------------------------------------------===//

#include "codegen/Link.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/Archive.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace mlir;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace sinter {

//===----------------------------------------------------------------------===//
// Finding what is needed
//===----------------------------------------------------------------------===//

/// Folders that may hold the runtime's archives, the first choice first.
static SmallVector<std::string> runtimeFolders() {
  if (auto folder = llvm::sys::Process::GetEnv("SINTER_RUNTIME_DIR"))
    return {*folder};
  std::string program =
      fs::getMainExecutable(nullptr, reinterpret_cast<void *>(&runtimeFolders));
  StringRef prefix = path::parent_path(path::parent_path(program));
  return {(prefix + "/lib").str(), (prefix + "/lib/sinter").str()};
}

static FailureOr<std::string> findRuntimeArchive(Location loc, StringRef name) {
  SmallVector<std::string> folders = runtimeFolders();
  for (StringRef folder : folders) {
    SmallString<128> file(folder);
    path::append(file, name);
    if (fs::exists(file))
      return file.str().str();
  }
  return emitError(loc, "expected ")
         << name << " in " << llvm::join(folders, " or ")
         << "; SINTER_RUNTIME_DIR names another folder";
}

/// The first of `names` that is on the path, or nothing.
static std::string findProgram(ArrayRef<StringRef> names) {
  for (StringRef name : names)
    if (auto program = llvm::sys::findProgramByName(name))
      return *program;
  return "";
}

static std::string findCompiler() {
  if (auto chosen = llvm::sys::Process::GetEnv("CC"))
    if (auto program = llvm::sys::findProgramByName(*chosen))
      return *program;
  return findProgram({"cc", "c++", "gcc", "g++", "clang", "clang++"});
}

static std::string findLld() {
  std::string lld = findProgram({"ld.lld", "ld.lld-22"});
  if (lld.empty() && fs::can_execute(SINTER_LLVM_TOOLS "/ld.lld"))
    lld = SINTER_LLVM_TOOLS "/ld.lld";
  return lld;
}

//===----------------------------------------------------------------------===//
// Running the linker
//===----------------------------------------------------------------------===//

/// Runs a program; what it prints is part of the error when it fails.
static LogicalResult runLinker(Location loc, StringRef program,
                               ArrayRef<StringRef> arguments) {
  SmallString<128> log;
  if (std::error_code error =
          fs::createTemporaryFile("sinter-link", "log", log))
    return emitError(loc, "cannot create a temporary file: ")
           << error.message();
  llvm::FileRemover remover(log);
  SmallVector<StringRef> commandLine = {program};
  llvm::append_range(commandLine, arguments);
  std::string reason;
  int status = llvm::sys::ExecuteAndWait(
      program, commandLine, /*Env=*/std::nullopt,
      {/*stdin=*/StringRef(""), /*stdout=*/log.str(), /*stderr=*/log.str()},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &reason);
  if (status == 0)
    return success();
  InFlightDiagnostic diagnostic = emitError(loc, "linking failed: ");
  if (auto text = llvm::MemoryBuffer::getFile(log);
      text && !(*text)->getBuffer().empty())
    diagnostic << (*text)->getBuffer().trim();
  else
    diagnostic << program << ": "
               << (reason.empty() ? "exit status " + std::to_string(status)
                                  : reason);
  return diagnostic;
}

LogicalResult linkExecutable(Location loc, ArrayRef<std::string> objects,
                             StringRef output) {
  auto trainer = findRuntimeArchive(loc, "libsinter_trainer.a");
  auto runtime = findRuntimeArchive(loc, "libsinter_runtime.a");
  if (failed(trainer) || failed(runtime))
    return failure();
  std::string compiler = findCompiler();
  if (compiler.empty())
    return emitError(loc, "expected a C compiler to link with (cc, gcc, clang, "
                          "... on the PATH, or CC), found none; --emit obj and "
                          "--emit lib need none");
  SmallVector<StringRef> arguments(objects.begin(), objects.end());
  arguments.append(
      {*trainer, *runtime,
       // Whatever a bare machine may lack goes in; the rest is libc.
       "-Wl,-Bstatic", "-lstdc++", "-lz", "-Wl,-Bdynamic", "-static-libgcc",
       "-Wl,--as-needed", "-lm", "-lpthread", "-Wl,--gc-sections",
#ifdef SINTER_SANITIZE
       "-fsanitize=address,undefined",
#endif
       "-o", output});
  return runLinker(loc, compiler, arguments);
}

LogicalResult linkShared(Location loc, ArrayRef<std::string> objects,
                         StringRef output) {
  auto runtime = findRuntimeArchive(loc, "libsinter_runtime.a");
  if (failed(runtime))
    return failure();
  SmallVector<StringRef> arguments = {"-shared", "-o", output};
  llvm::append_range(arguments, objects);
  // The whole runtime: the library's user calls it too.
  if (std::string compiler = findCompiler(); !compiler.empty()) {
    arguments.append({"-Wl,--whole-archive", *runtime, "-Wl,--no-whole-archive",
                      "-Wl,-Bsymbolic", "-Wl,--gc-sections", "-lm",
                      "-lpthread"});
#ifdef SINTER_SANITIZE
    arguments.push_back("-fsanitize=address,undefined");
#endif
    return runLinker(loc, compiler, arguments);
  }
  if (std::string lld = findLld(); !lld.empty()) {
    arguments.append({"--whole-archive", *runtime, "--no-whole-archive",
                      "-Bsymbolic", "--gc-sections"});
    return runLinker(loc, lld, arguments);
  }
  return emitError(loc, "expected a C compiler (cc, gcc, clang, ... on the "
                        "PATH, or CC) or ld.lld to link with, found neither; "
                        "--emit obj and --emit lib need none");
}

//===----------------------------------------------------------------------===//
// Archives
//===----------------------------------------------------------------------===//

/// The members of the archive in `file`, which outlive it.
static llvm::Error readMembers(StringRef file,
                               std::vector<llvm::NewArchiveMember> &members) {
  auto buffer = llvm::MemoryBuffer::getFile(file);
  if (!buffer)
    return llvm::createFileError(file, buffer.getError());
  auto archive = llvm::object::Archive::create(**buffer);
  if (!archive)
    return archive.takeError();
  llvm::Error error = llvm::Error::success();
  for (const llvm::object::Archive::Child &child :
       (*archive)->children(error)) {
    auto member =
        llvm::NewArchiveMember::getOldMember(child, /*Deterministic=*/true);
    if (!member)
      return llvm::joinErrors(std::move(error), member.takeError());
    // The name and the bytes still lie in `buffer`.
    auto name = child.getName();
    if (!name)
      return llvm::joinErrors(std::move(error), name.takeError());
    member->Buf =
        llvm::MemoryBuffer::getMemBufferCopy(member->Buf->getBuffer(), *name);
    member->MemberName = member->Buf->getBufferIdentifier();
    members.push_back(std::move(*member));
  }
  return error;
}

static llvm::Error writeLibrary(ArrayRef<std::string> objects, StringRef name,
                                StringRef runtime, StringRef output) {
  std::vector<llvm::NewArchiveMember> members;
  std::vector<std::string> names; // which the members point into
  for (size_t i = 0; i < objects.size(); ++i)
    names.push_back(
        (i == 0 ? name + ".o" : name + "." + Twine(i) + ".o").str());
  for (auto [object, member] : llvm::zip_equal(objects, names)) {
    auto model =
        llvm::NewArchiveMember::getFile(object, /*Deterministic=*/true);
    if (!model)
      return model.takeError();
    model->MemberName = member;
    members.push_back(std::move(*model));
  }
  if (llvm::Error error = readMembers(runtime, members))
    return error;
  return llvm::writeArchive(output, members,
                            llvm::SymtabWritingMode::NormalSymtab,
                            llvm::object::Archive::K_GNU,
                            /*Deterministic=*/true, /*Thin=*/false);
}

LogicalResult archiveLibrary(Location loc, ArrayRef<std::string> objects,
                             StringRef name, StringRef output) {
  auto runtime = findRuntimeArchive(loc, "libsinter_runtime.a");
  if (failed(runtime))
    return failure();
  if (llvm::Error error = writeLibrary(objects, name, *runtime, output))
    return emitError(loc, "cannot write ")
           << output << ": " << llvm::toString(std::move(error));
  return success();
}

} // namespace sinter
