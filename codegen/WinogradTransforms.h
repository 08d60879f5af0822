//===- WinogradTransforms.h - the three transforms, vector by vector -----===//
//
// What Winograd's kernels share, whatever their lanes are: the transforms as
// sums of vectors.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_WINOGRADTRANSFORMS_H
#define SINTER_CODEGEN_WINOGRADTRANSFORMS_H

#include "codegen/KernelEmitter.h"
#include "codegen/SideBySide.h"

namespace sinter {

/// Vectors of a row, and of a square of them.
using WinogradRow = llvm::SmallVector<mlir::Value, 6>;
using WinogradSquare = llvm::SmallVector<WinogradRow, 6>;

/// `make(row, column)` for `size` rows and columns.
template <typename Make> WinogradSquare makeSquare(int64_t size, Make make) {
  WinogradSquare square(size);
  for (int64_t k = 0; k < size; ++k)
    for (int64_t l = 0; l < size; ++l)
      square[k].push_back(make(k, l));
  return square;
}

/// The points 0, a, -a and infinity.
inline constexpr std::array<int64_t, 4> halfTaps = {0, 1, 2, 5};

/// Sums of vectors for tiles of `tile` x `tile`: the matrices of SinterOps.td
/// times a row, with as few instructions as they allow.
class WinogradSums {
public:
  WinogradSums(KernelEmitter &e, int64_t tile) : e(e), tile(tile) {}

  /// B' v.
  WinogradRow image(llvm::ArrayRef<mlir::Value> v) const;
  /// A' v.
  WinogradRow result(llvm::ArrayRef<mlir::Value> v) const;
  /// The same of half a tile of 4: the first two pixels, with the taps
  /// `halfTaps` of whole tiles' filters.
  WinogradRow halfImage(llvm::ArrayRef<mlir::Value> v) const;
  WinogradRow halfResult(llvm::ArrayRef<mlir::Value> v) const;
  /// A v.
  WinogradRow resultAdjoint(llvm::ArrayRef<mlir::Value> v) const;
  /// G v.
  WinogradRow filter(llvm::ArrayRef<mlir::Value> v) const;
  /// G' v.
  WinogradRow filterAdjoint(llvm::ArrayRef<mlir::Value> v) const;

private:
  mlir::Value add(mlir::Value x, mlir::Value y) const;
  mlir::Value sub(mlir::Value x, mlir::Value y) const;
  mlir::Value times(double factor, mlir::Value x) const;
  /// x + factor y.
  mlir::Value add(mlir::Value x, double factor, mlir::Value y) const;
  mlir::Value sub(mlir::Value x, double factor, mlir::Value y) const {
    return add(x, -factor, y);
  }

  KernelEmitter &e;
  int64_t tile;
};

/// `apply`, a function of vectors, to the columns of `square`, then to the rows
/// of what comes out.
WinogradSquare
bothWays(const WinogradSquare &square,
         llvm::function_ref<WinogradRow(llvm::ArrayRef<mlir::Value>)> apply);

} // namespace sinter

#endif // SINTER_CODEGEN_WINOGRADTRANSFORMS_H
