// Cache.h - where `sinter run` keeps the trainers it has compiled.
//
// A trainer's file is named by a hash of all that went into it: the graph with
// its locations, the recipe, the target options, this compiler's own file and,
// for `native`, the processor. Whatever changes, the name changes; nothing is
// ever out of date. Files are written under another name and renamed, so that
// two runs at once are safe.
// Known weakness: nothing is ever deleted (a trainer has some 100 KB).
#ifndef SINTER_FRONTEND_CACHE_H
#define SINTER_FRONTEND_CACHE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace sinter::frontend {

/// The path of the trainer made from `inputs`, in a folder that exists:
/// $XDG_CACHE_HOME/sinter or ~/.cache/sinter.
llvm::Expected<std::string> cachedTrainer(llvm::StringRef name,
                                          llvm::ArrayRef<std::string> inputs);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_CACHE_H
