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
// For another platform the runtime's sources, eight files of C, are compiled
// on the spot with that platform's C compiler. Whoever builds an app for it has
// one; it alone knows the C library's headers (glibc, musl, bionic, ...), whose
// types differ from platform to platform. An archive or bitcode made beforehand
// would serve the platforms that we had thought of.
//
// Known weakness: no trainers for other platforms, as those need zlib and a C++
// library for it.
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

#include <list>

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

/// Folders that may hold `runtime/`, the sources of the runtime.
static SmallVector<std::string> sourceFolders() {
  if (auto folder = llvm::sys::Process::GetEnv("SINTER_RUNTIME_DIR"))
    return {*folder};
  std::string program =
      fs::getMainExecutable(nullptr, reinterpret_cast<void *>(&sourceFolders));
  StringRef prefix = path::parent_path(path::parent_path(program));
  return {(prefix + "/share/sinter").str()};
}

static FailureOr<std::string> findSources(Location loc) {
  SmallVector<std::string> folders = sourceFolders();
  for (const std::string &folder : folders)
    if (fs::exists(folder + "/runtime/sinter_runtime.h"))
      return folder;
  return emitError(loc, "expected the runtime's sources, runtime/*.c, in ")
         << llvm::join(folders, " or ")
         << "; SINTER_RUNTIME_DIR names another folder";
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

//===----------------------------------------------------------------------===//
// Other platforms
//===----------------------------------------------------------------------===//

/// "aarch64-linux-gnu" of a compiler that makes code for it, or nothing.
static std::string platformOf(StringRef compiler) {
  SmallString<128> output;
  if (fs::createTemporaryFile("sinter-cc", "txt", output))
    return "";
  llvm::FileRemover remover(output);
  if (llvm::sys::ExecuteAndWait(compiler, {compiler, "-dumpmachine"},
                                std::nullopt, {"", output.str(), ""}) != 0)
    return "";
  auto text = llvm::MemoryBuffer::getFile(output);
  return text ? (*text)->getBuffer().trim().str() : "";
}

/// A C compiler for `target`: the one that CC names, if it is for this
/// platform, or a cross compiler with one of the usual names.
static FailureOr<std::string> findCompilerFor(Location loc,
                                              const TargetInfo &target) {
  if (target.isHost)
    return findCompiler();
  const llvm::Triple &triple = target.machine->getTargetTriple();
  if (auto chosen = llvm::sys::Process::GetEnv("CC"))
    if (auto program = llvm::sys::findProgramByName(*chosen)) {
      llvm::Triple made(llvm::Triple::normalize(platformOf(*program)));
      if (made.getArch() == triple.getArch() && made.getOS() == triple.getOS())
        return *program;
    }
  // Debian's names have no vendor; its 32-bit ARM is "arm".
  std::string plain = ((triple.isARM() ? "arm" : triple.getArchName()) + "-" +
                       triple.getOSName() + "-" + triple.getEnvironmentName())
                          .str();
  SmallVector<std::string> names;
  for (const std::string &prefix : {target.name, triple.str(), plain})
    if (std::string name = prefix + "-gcc"; !llvm::is_contained(names, name))
      names.push_back(name);
  SmallVector<StringRef> words(names.begin(), names.end());
  std::string compiler = findProgram(words);
  if (!compiler.empty())
    return compiler;
  return emitError(loc, "expected a C compiler for ")
         << target.name << " to build the runtime with (CC, or "
         << llvm::join(names, " or ")
         << " on the PATH), found none; --emit obj and --runtime none need "
            "none";
}

namespace {

/// The runtime for a target: the archive that came with this program, or one
/// that is made for the occasion and goes away with this object.
class TargetRuntime {
public:
  static FailureOr<TargetRuntime> get(Location loc, const TargetInfo &target) {
    TargetRuntime runtime;
    if (!target.isHost) {
      if (!runtime.build(loc, target))
        return failure();
      return runtime;
    }
    auto file = findRuntimeArchive(loc, "libsinter_runtime.a");
    if (failed(file))
      return failure();
    runtime.archive = *file;
    return runtime;
  }

  TargetRuntime(TargetRuntime &&other) { *this = std::move(other); }
  TargetRuntime &operator=(TargetRuntime &&other) {
    std::swap(archive, other.archive);
    std::swap(folder, other.folder);
    return *this;
  }
  ~TargetRuntime() {
    if (!folder.empty())
      fs::remove_directories(folder);
  }

  std::string archive;

private:
  TargetRuntime() = default;
  bool build(Location loc, const TargetInfo &target);

  std::string folder; // temporary
};

} // namespace

static llvm::Error writeArchive(ArrayRef<llvm::NewArchiveMember> members,
                                StringRef output) {
  return llvm::writeArchive(output, members,
                            llvm::SymtabWritingMode::NormalSymtab,
                            llvm::object::Archive::K_GNU,
                            /*Deterministic=*/true, /*Thin=*/false);
}

bool TargetRuntime::build(Location loc, const TargetInfo &target) {
  auto compiler = findCompilerFor(loc, target);
  auto sources = findSources(loc);
  if (failed(compiler) || failed(sources))
    return false;
  SmallString<128> made;
  if (std::error_code error = fs::createUniqueDirectory("sinter", made)) {
    emitError(loc, "cannot create a temporary folder: ") << error.message();
    return false;
  }
  folder = made.str();

  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator at(*sources + "/runtime", error), end;
       at != end && !error; at.increment(error))
    if (path::extension(at->path()) == ".c")
      files.push_back(at->path());
  llvm::sort(files);
  std::vector<llvm::NewArchiveMember> members;
  std::list<std::string> objects; // which the members point into
  for (const std::string &file : files) {
    objects.push_back((folder + "/" + path::stem(file) + ".o").str());
    std::string include = "-I" + *sources;
    if (failed(runLinker(loc, *compiler,
                         {"-std=c11", "-Os", "-fPIC", "-ffunction-sections",
                          "-fno-ident", "-fno-asynchronous-unwind-tables",
                          "-D_POSIX_C_SOURCE=200809L", "-D_FILE_OFFSET_BITS=64",
                          include, "-c", file, "-o", objects.back()})))
      return false;
    auto member = llvm::NewArchiveMember::getFile(objects.back(),
                                                  /*Deterministic=*/true);
    if (!member) {
      emitError(loc) << llvm::toString(member.takeError());
      return false;
    }
    member->MemberName = path::filename(objects.back());
    members.push_back(std::move(*member));
  }
  archive = folder + "/libsinter_runtime.a";
  if (llvm::Error error = writeArchive(members, archive)) {
    emitError(loc) << llvm::toString(std::move(error));
    return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Programs and shared libraries
//===----------------------------------------------------------------------===//

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
                         StringRef name, const TargetInfo &target,
                         bool showsRuntime, StringRef output) {
  auto compiler = findCompilerFor(loc, target);
  if (failed(compiler))
    return failure();
  auto runtime = TargetRuntime::get(loc, target);
  if (failed(runtime))
    return failure();
  // What the header declares, and nothing else: two such libraries in one
  // process share nothing by accident.
  SmallString<128> exports;
  int descriptor;
  if (std::error_code error =
          fs::createTemporaryFile("sinter-exports", "map", descriptor, exports))
    return emitError(loc, "cannot create a temporary file: ")
           << error.message();
  llvm::FileRemover remover(exports);
  llvm::raw_fd_ostream(descriptor, /*shouldClose=*/true)
      << "{ global: " << name
      << "_*; sinter_pool_create; sinter_pool_destroy; "
         "sinter_flush_denormals; "
      << (showsRuntime ? "sinter_*; " : "") << "local: *; };\n";

  SmallVector<StringRef> arguments = {"-shared", "-o", output};
  llvm::append_range(arguments, objects);
  // The library's user calls the pool's functions, too.
  SmallVector<std::string> options = {
      "--undefined=sinter_pool_create", "--undefined=sinter_flush_denormals",
      "-Bsymbolic", "--gc-sections", ("--version-script=" + exports).str()};
  if (!compiler->empty()) {
    for (std::string &option : options)
      option.insert(0, "-Wl,");
    arguments.push_back(runtime->archive);
    llvm::append_range(arguments, options);
    arguments.append({"-lm", "-lpthread"});
#ifdef SINTER_SANITIZE
    arguments.push_back("-fsanitize=address,undefined");
#endif
    return runLinker(loc, *compiler, arguments);
  }
  if (std::string lld = findLld(); !lld.empty()) {
    llvm::append_range(arguments, options);
    arguments.push_back(runtime->archive);
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
  if (!runtime.empty())
    if (llvm::Error error = readMembers(runtime, members))
      return error;
  return writeArchive(members, output);
}

LogicalResult archiveLibrary(Location loc, ArrayRef<std::string> objects,
                             StringRef name, const TargetInfo &target,
                             bool hasRuntime, StringRef output) {
  std::optional<TargetRuntime> runtime;
  if (hasRuntime) {
    auto found = TargetRuntime::get(loc, target);
    if (failed(found))
      return failure();
    runtime.emplace(std::move(*found));
  }
  if (llvm::Error error = writeLibrary(
          objects, name, runtime ? StringRef(runtime->archive) : "", output))
    return emitError(loc, "cannot write ")
           << output << ": " << llvm::toString(std::move(error));
  return success();
}

} // namespace sinter
