//===- TargetInfo.cpp - which processor, and what it can do --------------===//
//
// Problem: LLVM takes any processor name, warns on stderr when it does not know
// it, and goes on for the oldest one.
//
// Idea: ask LLVM's own tables first; a wrong name is an error with the names
// that come closest. Lanes and registers follow from the features.
//
// Known weakness: vectors of variable length are used as the shortest that they
// can be: RVV's as its minimal length says, SVE's not at all. Targets other
// than the four that errors list are not tested.
//
//===----------------------------------------------------------------------===//

#include "codegen/TargetInfo.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/ARMTargetParser.h"
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
  constexpr unsigned count = 3;
  const auto furthest =
      static_cast<unsigned>(std::min<size_t>(4, name.size() / 2));
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

static const char *const supported =
    "x86_64-linux-gnu, aarch64-linux-gnu, riscv64-linux-gnu or "
    "arm-linux-gnueabihf (ARMv7)";

/// The triple behind a name. The name of an architecture alone stands for its
/// Linux, and the oldest 32-bit ARM is the one that Debian's armhf has.
static Triple parseTriple(StringRef name) {
  Triple triple(Triple::normalize(name));
  bool isArm = triple.getArch() == Triple::arm;
  if (!name.contains('-')) {
    triple.setOS(Triple::Linux);
    triple.setEnvironment(isArm ? Triple::GNUEABIHF : Triple::GNU);
  }
  if (isArm && triple.getSubArch() == Triple::NoSubArch)
    triple.setArchName("armv7");
  return triple;
}

/// Tables and calls are laid out for little-endian machines whose objects are
/// ELF.
static const llvm::Target *findTarget(Location loc, const Triple &triple,
                                      StringRef name) {
  std::string reason;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, reason);
  if (!target) {
    emitError(loc, "expected a target triple such as ")
        << supported << ", got '" << name << "'"
        << suggestNames(triple.getArchName(),
                        {"x86_64", "aarch64", "riscv64", "arm"});
    return nullptr;
  }
  bool isArm = triple.getArch() == Triple::arm;
  if ((!triple.isArch64Bit() && !isArm) || !triple.isLittleEndian() ||
      !triple.isOSBinFormatELF()) {
    emitError(loc, "expected a 64-bit little-endian target or ARMv7, with ELF "
                   "objects: ")
        << supported << "; got '" << name << "'";
    return nullptr;
  }
  if (isArm && (llvm::ARM::parseArchVersion(triple.getArchName()) < 7 ||
                llvm::ARM::parseArchProfile(triple.getArchName()) !=
                    llvm::ARM::ProfileKind::A)) {
    emitError(loc, "expected ARMv7-A or later for its vectors (NEON), got '")
        << name << "'";
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
  switch (triple.getArch()) {
  case Triple::x86_64:
    return "x86-64";
  case Triple::riscv64:
    return "generic-rv64";
  default:
    return "generic";
  }
}

/// What every Linux distribution expects of the architecture, beyond what its
/// oldest processor has.
static StringRef baseFeatures(const Triple &triple) {
  // RV64GC
  return triple.getArch() == Triple::riscv64 ? "+m,+a,+f,+d,+c" : "";
}

static TargetShape shapeOf(const llvm::TargetMachine &machine) {
  const llvm::MCSubtargetInfo &subtarget = *machine.getMCSubtargetInfo();
  switch (machine.getTargetTriple().getArch()) {
  case Triple::x86_64:
    if (subtarget.checkFeatures("+avx512f"))
      return {/*lanes=*/16, /*registers=*/32, /*indexBits=*/64,
              /*widestProducts=*/machine.getTargetCPU() == "znver5" ? 2 : 1};
    return {/*lanes=*/subtarget.checkFeatures("+avx") ? 8 : 4,
            /*registers=*/16};
  case Triple::aarch64:
    return {/*lanes=*/4, /*registers=*/32};
  case Triple::arm:
    return {/*lanes=*/4, /*registers=*/16, /*indexBits=*/32};
  case Triple::riscv64:
    if (subtarget.checkFeatures("+zvl512b"))
      return {/*lanes=*/16, /*registers=*/32};
    if (subtarget.checkFeatures("+zvl256b"))
      return {/*lanes=*/8, /*registers=*/32};
    if (subtarget.checkFeatures("+zvl128b"))
      return {/*lanes=*/4, /*registers=*/32};
    // Scalars alone: a vector of 4 is 4 of the 32 registers.
    return {/*lanes=*/4, /*registers=*/8};
  default:
    return {/*lanes=*/4, /*registers=*/16};
  }
}

FailureOr<TargetInfo> createTarget(Location loc, StringRef cpu,
                                   StringRef tripleName) {
  initializeTargets();
  const Triple host(llvm::sys::getDefaultTargetTriple());
  const Triple triple = tripleName.empty() ? host : parseTriple(tripleName);
  const llvm::Target *target = findTarget(loc, triple, tripleName);
  if (!target)
    return failure();

  bool isHost =
      triple.getArch() == host.getArch() && triple.getOS() == host.getOS();
  if (cpu == "native" && !isHost)
    return emitError(loc, "expected the name of a processor of ")
           << triple.getArchName() << ", as this machine is none, got 'native'";
  if (cpu.empty() && isHost)
    cpu = "native";
  std::string features;
  if (cpu.empty()) {
    cpu = oldestProcessor(triple);
    features = baseFeatures(triple);
  } else if (cpu == "native") {
    cpu = llvm::sys::getHostCPUName();
    features = hostFeatures();
  } else if (failed(checkProcessor(loc, *target, triple, cpu))) {
    return failure();
  }

  llvm::TargetOptions options;
  // Lets the linker drop kernels and functions that a program does not use.
  options.FunctionSections = true;
  options.DataSections = true;
  if (triple.getArch() == Triple::riscv64)
    options.MCOptions.ABIName = "lp64d";
  TargetInfo info;
  info.machine.reset(target->createTargetMachine(triple, cpu, features, options,
                                                 llvm::Reloc::PIC_));
  info.shape = shapeOf(*info.machine);
  info.isHost = isHost;
  info.name = tripleName.empty() ? host.str() : tripleName.str();
  return info;
}

} // namespace sinter
