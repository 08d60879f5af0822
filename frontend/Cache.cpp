// Cache.cpp - names and folder of compiled trainers; see Cache.h.
#include "frontend/Cache.h"

#include "frontend/Version.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include "llvm/TargetParser/Host.h"

#include <cstdlib>

using namespace sinter::frontend;
using llvm::StringRef;

/// Size and time of this program's file: what tells two builds apart.
static std::string compilerIdentity() {
  std::string identity = versionText();
  llvm::sys::fs::file_status status;
  if (!llvm::sys::fs::status("/proc/self/exe", status))
    identity +=
        " " + std::to_string(status.getSize()) + " " +
        std::to_string(
            status.getLastModificationTime().time_since_epoch().count());
  return identity;
}

static llvm::Expected<std::string> cacheFolder() {
  const char *cache = std::getenv("XDG_CACHE_HOME");
  const char *home = std::getenv("HOME");
  llvm::SmallString<128> folder;
  if (cache && llvm::sys::path::is_absolute(cache))
    folder = cache;
  else if (home && *home)
    llvm::sys::path::append(folder, home, ".cache");
  else
    return llvm::createStringError(
        "no place for a cache: set XDG_CACHE_HOME or HOME");
  llvm::sys::path::append(folder, "sinter");
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    return llvm::createStringError(error, "cannot create " + folder + ": " +
                                              error.message());
  return folder.str().str();
}

llvm::Expected<std::string>
sinter::frontend::cachedTrainer(StringRef name,
                                llvm::ArrayRef<std::string> inputs) {
  llvm::Expected<std::string> folder = cacheFolder();
  if (!folder)
    return folder;
  llvm::SHA256 hash;
  auto add =
      [&](StringRef text) { // with its length: "ab", "c" is not "a", "bc"
        hash.update(std::to_string(text.size()) + ":");
        hash.update(text);
      };
  add(compilerIdentity());
  add(llvm::sys::getHostCPUName());
  for (const std::string &input : inputs)
    add(input);
  std::string digest =
      llvm::toHex(hash.final(), /*LowerCase=*/true).substr(0, 32);
  llvm::SmallString<128> path(*folder);
  llvm::sys::path::append(path, name + "-" + digest);
  return path.str().str();
}
