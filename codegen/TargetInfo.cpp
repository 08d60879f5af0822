//===- TargetInfo.cpp - which processor, and what it can do --------------===//
//
// Problem: LLVM takes any processor name, warns on stderr when it does not know
// it, and goes on for the oldest one.
//
// Idea: ask LLVM's own tables first; a wrong name is an error with the names
// that come closest. Lanes and registers follow from the features.
//
// Known weakness: targets other than x86-64 and AArch64 are taken for machines
// with 16 registers of 4 floats; vectors of variable length (SVE, RVV) are not
// used.
//
//===----------------------------------------------------------------------===//

#include "codegen/TargetInfo.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;
using llvm::Triple;

namespace sinter {

static void initializeTargets() {
  static const bool once = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    return true;
  }();
  (void)once;
}

/// "; did you mean a, b or c?" from the known names nearest to `name`, or
/// nothing when none is near.
static std::string suggestNames(StringRef name, ArrayRef<StringRef> known) {
  constexpr unsigned furthest = 4, count = 3;
  SmallVector<std::pair<unsigned, StringRef>> near;
  for (StringRef candidate : known) {
    unsigned distance = name.edit_distance_insensitive(
        candidate, /*AllowReplacements=*/true, furthest);
    if (distance <= furthest)
      near.push_back({distance, candidate});
  }
  llvm::sort(near);
  near.truncate(std::min<size_t>(near.size(), count));
  if (near.empty())
    return "";
  return "; did you mean " + llvm::join(llvm::make_second_range(near), " or ") +
         "?";
}

/// Object layouts are written for 64-bit, little-endian ELF.
static const llvm::Target *findTarget(Location loc, const Triple &triple) {
  std::string reason;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, reason);
  if (!target) {
    SmallVector<StringRef> known;
    for (const llvm::Target &candidate : llvm::TargetRegistry::targets())
      known.push_back(candidate.getName());
    emitError(loc, "expected a target triple such as 'x86_64-linux-gnu' or "
                   "'aarch64-linux-gnu', got '")
        << triple.str() << "'" << suggestNames(triple.getArchName(), known);
    return nullptr;
  }
  if (!triple.isArch64Bit() || !triple.isLittleEndian() ||
      !triple.isOSBinFormatELF()) {
    emitError(loc, "expected a 64-bit little-endian target with ELF objects, "
                   "got '")
        << triple.str() << "'";
    return nullptr;
  }
  return target;
}

static LogicalResult checkProcessor(Location loc, const llvm::Target &target,
                                    const Triple &triple, StringRef cpu) {
  std::unique_ptr<llvm::MCSubtargetInfo> subtarget(
      target.createMCSubtargetInfo(triple, "", ""));
  // LLVM's list for x86-64 has 32-bit processors, too.
  auto runs64Bit = [&](StringRef name) {
    std::unique_ptr<llvm::MCSubtargetInfo> info(
        target.createMCSubtargetInfo(triple, name, ""));
    return triple.getArch() != Triple::x86_64 || info->checkFeatures("+64bit");
  };
  if (subtarget->isCPUStringValid(cpu) && runs64Bit(cpu))
    return success();
  SmallVector<StringRef> known;
  for (const llvm::SubtargetSubTypeKV &entry :
       subtarget->getAllProcessorDescriptions())
    if (runs64Bit(entry.Key))
      known.push_back(entry.Key);
  return emitError(loc, "expected a processor of ")
         << triple.getArchName() << ", got '" << cpu << "'"
         << suggestNames(cpu, known);
}

/// The features of this processor that the operating system lets us use, such
/// as "+avx512f,-amx-tile".
static std::string hostFeatures() {
  llvm::SubtargetFeatures features;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    features.AddFeature(feature.first(), feature.second);
  return features.getString();
}

static StringRef oldestProcessor(const Triple &triple) {
  return triple.getArch() == Triple::x86_64 ? "x86-64" : "generic";
}

static TargetShape shapeOf(const llvm::TargetMachine &machine) {
  const llvm::MCSubtargetInfo &subtarget = *machine.getMCSubtargetInfo();
  switch (machine.getTargetTriple().getArch()) {
  case Triple::x86_64:
    if (subtarget.checkFeatures("+avx512f"))
      return {/*lanes=*/16, /*registers=*/32};
    return {/*lanes=*/subtarget.checkFeatures("+avx") ? 8 : 4,
            /*registers=*/16};
  case Triple::aarch64:
    return {/*lanes=*/4, /*registers=*/32};
  default:
    return {/*lanes=*/4, /*registers=*/16};
  }
}

FailureOr<TargetInfo> createTarget(Location loc, StringRef cpu,
                                   StringRef tripleName) {
  initializeTargets();
  const Triple host(llvm::sys::getDefaultTargetTriple());
  const Triple triple =
      tripleName.empty() ? host : Triple(Triple::normalize(tripleName));
  const llvm::Target *target = findTarget(loc, triple);
  if (!target)
    return failure();

  bool isHost =
      triple.getArch() == host.getArch() && triple.getOS() == host.getOS();
  if (cpu == "native" && !isHost)
    return emitError(loc, "expected the name of a processor of ")
           << triple.getArchName() << ", as this machine is none, got 'native'";
  if (cpu.empty())
    cpu = isHost ? "native" : oldestProcessor(triple);

  std::string features;
  if (cpu == "native") {
    cpu = llvm::sys::getHostCPUName();
    features = hostFeatures();
  } else if (failed(checkProcessor(loc, *target, triple, cpu))) {
    return failure();
  }

  llvm::TargetOptions options;
  // Lets the linker drop kernels and functions that a program does not use.
  options.FunctionSections = true;
  options.DataSections = true;
  TargetInfo info;
  info.machine.reset(target->createTargetMachine(triple, cpu, features, options,
                                                 llvm::Reloc::PIC_));
  info.shape = shapeOf(*info.machine);
  info.isHost = isHost;
  return info;
}

} // namespace sinter
