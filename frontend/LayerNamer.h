// LayerNamer.h - Keras's automatic layer names: dense, dense_1, re_lu, ...
#ifndef SINTER_FRONTEND_LAYERNAMER_H
#define SINTER_FRONTEND_LAYERNAMER_H

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <string>

namespace sinter::frontend {

class LayerNamer {
public:
  /// Takes `name`; false if it is taken.
  bool claim(llvm::StringRef name) { return taken.insert(name).second; }
  /// Takes the next free name for a layer of Keras's class `className`.
  std::string fresh(llvm::StringRef className);
  /// Takes the next free name for another call of the layer `name`.
  std::string again(llvm::StringRef name);

private:
  llvm::StringSet<> taken;
  llvm::StringMap<unsigned> counts;
};

/// "LeakyReLU" -> "leaky_re_lu", by Keras's rule.
std::string toSnakeCase(llvm::StringRef className);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_LAYERNAMER_H
