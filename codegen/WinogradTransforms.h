//===- WinogradTransforms.h - the three transforms, vector by vector -----===//
//
// What Winograd's kernels share, whatever their lanes are: the transforms as
// sums of vectors, and which pixels of a tile lie in the image.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_WINOGRADTRANSFORMS_H
#define SINTER_CODEGEN_WINOGRADTRANSFORMS_H

#include "codegen/KernelEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace sinter {

using Four = std::array<mlir::Value, 4>;
using FourByFour = std::array<Four, 4>;

/// Sums of vectors; null stands for 0.
class WinogradSums {
public:
  explicit WinogradSums(KernelEmitter &e) : e(e) {}

  mlir::Value add(mlir::Value x, mlir::Value y) {
    return !x ? y : !y ? x : mlir::arith::AddFOp::create(e.b, x, y).getResult();
  }
  mlir::Value sub(mlir::Value x, mlir::Value y) {
    if (!y)
      return x;
    return x ? mlir::arith::SubFOp::create(e.b, x, y).getResult()
             : mlir::arith::NegFOp::create(e.b, y).getResult();
  }
  mlir::Value half(mlir::Value x) {
    return mlir::arith::MulFOp::create(e.b, x, e.vectorConstant(0.5f));
  }
  /// B' v.
  Four image(const Four &v) {
    return {sub(v[0], v[2]), add(v[1], v[2]), sub(v[2], v[1]), sub(v[1], v[3])};
  }
  /// A' v.
  std::array<mlir::Value, 2> result(const Four &v) {
    return {add(add(v[0], v[1]), v[2]), sub(sub(v[1], v[2]), v[3])};
  }
  /// G v.
  Four filter(const std::array<mlir::Value, 3> &v) {
    mlir::Value outer = half(add(v[0], v[2])), middle = half(v[1]);
    return {v[0], add(outer, middle), sub(outer, middle), v[2]};
  }
  /// G' v.
  std::array<mlir::Value, 3> filterAdjoint(const Four &v) {
    mlir::Value sum = half(add(v[1], v[2])), difference = half(sub(v[1], v[2]));
    return {add(v[0], sum), difference, add(sum, v[3])};
  }

private:
  KernelEmitter &e;
};

/// `rows`, a function of vectors, applied to the columns of `m`, then to the
/// rows of what comes out.
template <size_t From, size_t To, typename Apply>
std::array<std::array<mlir::Value, To>, To>
bothWays(const std::array<std::array<mlir::Value, From>, From> &m,
         Apply apply) {
  std::array<std::array<mlir::Value, From>, To> half;
  for (size_t j = 0; j < From; ++j) {
    std::array<mlir::Value, From> column;
    for (size_t i = 0; i < From; ++i)
      column[i] = m[i][j];
    std::array<mlir::Value, To> transformed = apply(column);
    for (size_t i = 0; i < To; ++i)
      half[i][j] = transformed[i];
  }
  std::array<std::array<mlir::Value, To>, To> result;
  for (size_t i = 0; i < To; ++i)
    result[i] = apply(half[i]);
  return result;
}

/// The tile of 4 x 4 pixels from (`firstRow`, `firstColumn`) on: `body` gets,
/// for each, where its channels begin in the image and, where the tile sticks
/// out, whether it exists (else null). Called twice: inside and at the border.
void forTile(
    KernelEmitter &e, const Convolution &conv, mlir::Value firstRow,
    mlir::Value firstColumn,
    llvm::function_ref<void(const FourByFour &at, const FourByFour &exists)>
        body);

} // namespace sinter

#endif // SINTER_CODEGEN_WINOGRADTRANSFORMS_H
