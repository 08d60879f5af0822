//===- LinkTest.cpp - libraries as their users see them ------------------===//
//
// Compiles the scaler into a library and a C99 program that includes nothing
// but its header, links the two with the C compiler, and runs the result.
//
//===----------------------------------------------------------------------===//

#include "NativeCode.h"
#include "Scaler.h"

#include "codegen/Compile.h"
#include "codegen/Link.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace mlir;

namespace {

/// A folder that goes away with the test.
struct TemporaryFolder {
  TemporaryFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "sinter-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()));
    path = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

LogicalResult compileScaler(sinter::EmitKind kind, const std::string &output,
                            std::string &message) {
  std::unique_ptr<MLIRContext> context = createContext();
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
    message = diagnostic.str();
    return success();
  });
  Scaler scaler = buildScaler();
  auto loops = parseSourceString<ModuleOp>(scaler.loops, context.get());
  auto target = sinter::createTarget(loops->getLoc(), "native", "");
  REQUIRE(succeeded(target));
  sinter::CompileOptions options;
  options.emit = kind;
  options.output = output;
  TimingScope untimed;
  return sinter::compileLoops(*loops, scaler.record, *target, options, untimed);
}

const char *const program = R"(
#include "scaler.h"
#include <stdio.h>
#include <stdlib.h>
int main(void) {
  float x[2 * 16], y[2 * 16];
  void *state = aligned_alloc(64, SCALER_STATE_BYTES);
  void *arena = aligned_alloc(64, SCALER_ARENA_BYTES);
  struct sinter_pool *pool = sinter_pool_create(2);
  for (int i = 0; i < 2 * 16; ++i)
    x[i] = (float)i;
  scaler_init(state, 1);
  scaler_predict(state, arena, 2, x, y, pool);
  sinter_pool_destroy(pool);
  printf("%g %d\n", y[31], (int)(scaler_state_bytes() + scaler_arena_bytes()));
  free(state);
  free(arena);
  return 0;
}
)";

/// Compiles and links the program with `library`; what it prints.
std::string buildAndRun(const std::filesystem::path &folder,
                        const std::string &library) {
  std::ofstream(folder / "main.c") << program;
  std::string prefix = "cd " + folder.string() + " && ";
  std::string build = prefix +
                      "cc -std=c11 -Wall -Wextra -Wpedantic -Werror main.c " +
                      library + " -Wl,-rpath,. -lm -pthread -o main";
#ifdef SINTER_SANITIZE
  build += " -fsanitize=address,undefined";
#endif
  REQUIRE(std::system(build.c_str()) == 0);
  REQUIRE(std::system((prefix + "./main > out").c_str()) == 0);
  std::string line;
  std::ifstream out(folder / "out");
  std::getline(out, line);
  return line;
}

void checkLibrary(sinter::EmitKind kind, const std::string &name) {
  TemporaryFolder folder;
  std::string message;
  INFO(message);
  REQUIRE(
      succeeded(compileScaler(kind, (folder.path / name).string(), message)));
  CHECK(buildAndRun(folder.path, "./" + name) == "93 256");
}

} // namespace

TEST_CASE("a C99 program uses the static library", "[link]") {
  checkLibrary(sinter::EmitKind::Library, "libscaler.a");
}

TEST_CASE("a C99 program uses the shared library", "[link]") {
  checkLibrary(sinter::EmitKind::Shared, "libscaler.so");
}

TEST_CASE("a program is linked with the trainer", "[link]") {
  TemporaryFolder folder;
  std::string program = (folder.path / "scaler").string(), message;
  INFO(message);
  REQUIRE(
      succeeded(compileScaler(sinter::EmitKind::Executable, program, message)));
  CHECK(std::system((program + " info > /dev/null").c_str()) == 0);
}

TEST_CASE("what a linker or the disk refuses is an error", "[link]") {
  std::string message;
  CHECK(failed(compileScaler(sinter::EmitKind::Shared,
                             "/no/such/folder/libscaler.so", message)));
  CHECK(message.find("linking failed") == 0);
  CHECK(failed(compileScaler(sinter::EmitKind::Object,
                             "/no/such/folder/scaler.o", message)));
  CHECK(message == "cannot write /no/such/folder/scaler.o: No such file or "
                   "directory");
}

TEST_CASE("missing runtime archives are named", "[link]") {
  setenv("SINTER_RUNTIME_DIR", "/no/such/folder", /*overwrite=*/1);
  std::string message;
  CHECK(
      failed(compileScaler(sinter::EmitKind::Library, "libscaler.a", message)));
  unsetenv("SINTER_RUNTIME_DIR");
  CHECK(message == "expected libsinter_runtime.a in /no/such/folder; "
                   "SINTER_RUNTIME_DIR names another folder");
}
