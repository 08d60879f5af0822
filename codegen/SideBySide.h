//===- SideBySide.h - narrow vectors in one register ---------------------===//
//
// Where a small batch fills a part of a register only, kernels put what several
// pixels, tiles or channels have for it side by side.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_SIDEBYSIDE_H
#define SINTER_CODEGEN_SIDEBYSIDE_H

#include "codegen/KernelEmitter.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

namespace sinter {

/// How many channels a vector holds side by side where a batch fills only a
/// part of it; `channels` is a multiple of that.
inline int64_t channelsSideBySide(const KernelEmitter &e, int64_t channels) {
  if (e.layout.padded() != e.lanes())
    return 1;
  return std::gcd(e.layout.widest / e.lanes(), channels);
}

/// body(channel) for all `channels`, as many together as that; for each vector
/// of the batch.
inline void overChannels(KernelEmitter &e, int64_t channels,
                         llvm::function_ref<void(mlir::Value)> body) {
  int64_t together = channelsSideBySide(e, channels);
  e.loop(e.index(0), e.index(channels), together, [&](mlir::Value channel) {
    e.setChannels(channel, together);
    e.overSamples([&] { body(channel); });
  });
}

/// One vector of them all; there are 1, 2 or 4 of equal type.
inline mlir::Value sideBySide(KernelEmitter &e,
                              llvm::ArrayRef<mlir::Value> vectors) {
  if (vectors.size() == 1)
    return vectors.front();
  size_t half = vectors.size() / 2;
  mlir::Value low = sideBySide(e, vectors.take_front(half));
  mlir::Value high = sideBySide(e, vectors.drop_front(half));
  auto type = mlir::cast<mlir::VectorType>(low.getType());
  return mlir::vector::ShuffleOp::create(
      e.b, low, high,
      llvm::to_vector(llvm::seq<int64_t>(2 * type.getNumElements())));
}

/// Number `number` of the `count` vectors that `vector` is made of.
inline mlir::Value partOf(KernelEmitter &e, mlir::Value vector, int64_t number,
                          int64_t count) {
  if (count == 1)
    return vector;
  auto type = mlir::cast<mlir::VectorType>(vector.getType());
  int64_t lanes = type.getNumElements() / count;
  return mlir::vector::ExtractStridedSliceOp::create(
      e.b, vector, number * lanes, lanes, /*strides=*/1);
}

/// Of vectors of as many parts, those of their first parts, second parts, ...
inline llvm::SmallVector<mlir::Value>
transposed(KernelEmitter &e, llvm::ArrayRef<mlir::Value> vectors) {
  llvm::SmallVector<mlir::Value> result(vectors);
  int64_t count = result.size();
  auto type = mlir::cast<mlir::VectorType>(result.front().getType());
  int64_t all = type.getNumElements(), lanes = all / count;
  // Bit by bit of a part's number, (vector, part) changes with (part, vector).
  for (int64_t bit = count / 2; bit > 0; bit /= 2)
    for (int64_t i = 0; i < count; ++i) {
      if (i & bit)
        continue;
      mlir::Value x = result[i], y = result[i | bit];
      llvm::SmallVector<int64_t> low, high;
      for (int64_t lane = 0; lane < all; ++lane) {
        bool isSet = lane / lanes & bit;
        low.push_back(isSet ? all + lane - bit * lanes : lane);
        high.push_back(isSet ? all + lane : lane + bit * lanes);
      }
      result[i] = mlir::vector::ShuffleOp::create(e.b, x, y, low);
      result[i | bit] = mlir::vector::ShuffleOp::create(e.b, x, y, high);
    }
  return result;
}

} // namespace sinter

#endif // SINTER_CODEGEN_SIDEBYSIDE_H
