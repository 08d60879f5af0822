// bytes.cpp - what fusion saves in memory traffic: bytes that a training step
// reads and writes, by kind of kernel, with a kernel for each op and as
// compiled. Each kernel's operands and results count once, whatever caches do.
//
//   sinter dump SPEC --stage graph | bench_bytes BATCH [--json]
#include "codegen/Dialects.h"
#include "codegen/Lowering.h"
#include "passes/Pipeline.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>
#include <map>

using namespace mlir;
using namespace sinter;

namespace {
struct Traffic {
  size_t kernels = 0;
  double bytes = 0;
};
} // namespace

/// By kind of kernel; empty after an error.
static std::map<std::string, Traffic> measure(MLIRContext &context,
                                              const std::string &text,
                                              double batch, bool fuse) {
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return {};
  PassManager passes(&context);
  buildPipeline(passes, Stage::Planned, fuse);
  if (failed(passes.run(*module)))
    return {};
  FailureOr<ModelRecord> record = lowerToLoops(*module, TargetShape());
  if (failed(record))
    return {};
  std::map<std::string, Traffic> kinds;
  for (const KernelRecord &kernel : record->trainStep.kernels)
    for (const std::string &kind : {kernel.kind, std::string("total")}) {
      ++kinds[kind].kernels;
      kinds[kind].bytes += static_cast<double>(kernel.bytesFixed) +
                           batch * static_cast<double>(kernel.bytesPerSample);
    }
  return kinds;
}

int main(int argc, char **argv) {
  double batch = argc > 1 ? std::atof(argv[1]) : 0;
  bool json = argc > 2 && !std::strcmp(argv[2], "--json");
  if (batch < 1) {
    std::fprintf(stderr, "usage: bench_bytes BATCH [--json] < graph.mlir\n");
    return 2;
  }
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  DialectRegistry registry;
  registerAllSinterDialects(registry);
  MLIRContext context(registry);
  std::map<std::string, Traffic> before = measure(context, text, batch, false);
  std::map<std::string, Traffic> after = measure(context, text, batch, true);
  if (before.empty() || after.empty())
    return 1;
  if (json) {
    std::printf("{\"batch\": %.0f, \"op_by_op\": %.0f, \"fused\": %.0f}\n",
                batch, before["total"].bytes, after["total"].bytes);
    return 0;
  }
  std::printf("| kernels | op by op | MB | fused | MB |\n"
              "| --- | --: | --: | --: | --: |\n");
  for (auto &[kind, traffic] : before) {
    Traffic fused = after[kind];
    std::printf("| %s | %zu | %.2f | %zu | %.2f |\n", kind.c_str(),
                traffic.kernels, traffic.bytes / 1e6, fused.kernels,
                fused.bytes / 1e6);
  }
  return 0;
}
