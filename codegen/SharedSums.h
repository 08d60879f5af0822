//===- SharedSums.h - rows that share a vector of sums --------------------===//
//
// Problem: few columns behind a matrix's last whole vector leave most lanes of
// another one empty, in products as in what follows them: a row of 100 columns
// takes 7 vectors of 16 lanes in place of 6.25.
//
// Idea: there several rows share a vector of sums. Its products are with what
// blends make of the rows' scalars. Tiles are of whole rows, which are whole
// vectors in memory: their sums are shuffled to lie as there.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_SHAREDSUMS_H
#define SINTER_CODEGEN_SHAREDSUMS_H

#include "codegen/KernelEmitter.h"
#include "codegen/TileChoice.h"

namespace sinter {

class SharedSums {
public:
  /// Where rows of `sums` can share vectors and registers hold a tile.
  static std::optional<SharedSums> of(KernelEmitter &e, mlir::Value sums);

  /// Of whole rows, the best first; without the vectors that are shared.
  const std::vector<Tile> &tiles() const { return possible; }
  /// Vectors of a row by itself.
  int64_t vectors() const { return columns / e->lanes(); }
  /// Vectors that `rows` rows share.
  int64_t sharedBy(int64_t rows) const { return rows / together; }

  /// The sums' products for sample n, shared vector by shared vector: `spreads`
  /// are the rows' scalars in all lanes.
  void multiply(mlir::Value dy, mlir::Value n,
                llvm::ArrayRef<mlir::Value> spreads,
                llvm::ArrayRef<mlir::Value> before,
                llvm::SmallVectorImpl<mlir::Value> &after) const;

  /// The vectors of whole rows as they lie in memory, from the sums of rows by
  /// themselves, then those together.
  llvm::SmallVector<mlir::Value>
  asStored(llvm::ArrayRef<mlir::Value> sums) const;

private:
  SharedSums(KernelEmitter &e, int64_t columns)
      : e(&e), columns(columns), rest(columns % e.lanes()) {}

  mlir::Value storedVector(llvm::ArrayRef<mlir::Value> sums, int64_t rows,
                           int64_t number) const;
  mlir::Value blend(llvm::ArrayRef<mlir::Value> spreads) const;

  KernelEmitter *e;
  int64_t columns, rest; // columns behind the last whole vector
  int64_t together = 1;  // rows in a shared vector
  std::vector<Tile> possible;
};

} // namespace sinter

#endif // SINTER_CODEGEN_SHAREDSUMS_H
