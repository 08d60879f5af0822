//===- Moments.h - means and variances as formulas -----------------------===//
//
// What normalising layers, their gradients and their moving statistics share.
// All of them build the same ops for the same operands, so that common
// subexpressions become one.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_MOMENTS_H
#define SINTER_IR_MOMENTS_H

#include "ir/Formula.h"

#include "llvm/ADT/Sequence.h"

namespace sinter {

/// One of each channel, over all axes but the last.
struct Moments {
  mlir::Value mean, variance;
};

inline llvm::SmallVector<int64_t> allButChannels(mlir::RankedTensorType type) {
  return llvm::to_vector(llvm::seq<int64_t>(0, type.getRank() - 1));
}

/// How many elements a channel has in this batch.
inline mlir::Value batchCount(Formula f, mlir::RankedTensorType type) {
  double pixels = 1;
  for (int64_t size : featureShape(type).drop_back())
    pixels *= static_cast<double>(size);
  mlir::Value samples = BatchSizeOp::create(
      f.b, f.loc, mlir::RankedTensorType::get({}, f.b.getF32Type()));
  return f.mul(samples, pixels);
}

/// Biased variance in one pass, about a shift near the mean (Chan, Golub and
/// LeVeque, "Algorithms for Computing the Sample Variance", 1983).
inline Moments batchMoments(Formula f, mlir::Value x, mlir::Value shift) {
  llvm::SmallVector<int64_t> axes = allButChannels(tensorTypeOf(x));
  mlir::Value count = batchCount(f, tensorTypeOf(x));
  mlir::Value d = f.sub(x, shift);
  mlir::Value first = f.div(f.sum(d, axes), count);
  mlir::Value second = f.div(f.sum(f.square(d), axes), count);
  return {f.add(shift, first), f.max(f.sub(second, f.square(first)), 0)};
}

/// 1 / sqrt(variance + epsilon)
inline mlir::Value inverseDeviation(Formula f, mlir::Value variance,
                                    double epsilon) {
  return f.div(f.one(), f.sqrt(f.add(variance, epsilon)));
}

/// The mean over the last `count` axes, which stay with size 1.
inline mlir::Value meanOfLast(Formula f, mlir::Value x, int64_t count) {
  mlir::RankedTensorType type = tensorTypeOf(x);
  auto axes = llvm::to_vector(
      llvm::seq<int64_t>(type.getRank() - count, type.getRank()));
  double elements = 1;
  for (int64_t size : type.getShape().take_back(count))
    elements *= static_cast<double>(size);
  // Divided: 1 / elements as f32 would be a little off, and x - mean shows it.
  return f.div(f.sum(x, axes, /*keepDims=*/true), f.number(elements));
}

struct LayerMoments {
  mlir::Value centred, variance;
};

/// Biased, in two passes: a sample's elements are at hand.
inline LayerMoments layerMoments(Formula f, mlir::Value x, int64_t axes) {
  mlir::Value centred = f.sub(x, meanOfLast(f, x, axes));
  return {centred, meanOfLast(f, f.square(centred), axes)};
}

} // namespace sinter

#endif // SINTER_IR_MOMENTS_H
