//===- DepthwiseColumns.h - the two nests of depthwise convolutions -------===//

#ifndef SINTER_CODEGEN_DEPTHWISECOLUMNS_H
#define SINTER_CODEGEN_DEPTHWISECOLUMNS_H

#include "codegen/FilterGradient.h"
#include "codegen/KernelEmitter.h"
#include "ir/Window.h"

namespace sinter {

/// What a depthwise convolution reads: its own image, or, for the transpose,
/// the gradient, on which that is a convolution with its taps reversed.
struct DepthwiseImage {
  mlir::Value source, filter; // (features, lanes) and flat
  Window window;
  int64_t channels;
  bool transposed;

  int64_t taps() const { return window[0].taps * window[1].taps; }
  /// Of a channel, tap by tap, each in all lanes.
  llvm::SmallVector<mlir::Value> weights(KernelEmitter &e,
                                         mlir::Value channel) const;
};

/// Columns first .. end - 1 of an image, which the same taps of windows see.
struct ColumnRun {
  int64_t first, end;
  bool isFirst, isLast; // of the image: a run of its own
  llvm::SmallVector<int64_t> taps;
};
llvm::SmallVector<ColumnRun> columnRuns(const WindowAxis &across);

/// Rows of windows that columns are gone through for, with `vectorsOfRow`
/// registers for each beside the weights (or their sums) and a pixel; 0 where
/// windows or registers do not allow it.
int64_t columnSide(const KernelEmitter &e, const Window &window,
                   int64_t vectorsOfRow);
/// Floats of a pixel that are gone through before those of the next one.
constexpr int64_t kRunFloats = 256;

/// body(rows, first of them, low, high) for each block of `side` rows of
/// windows and channels low .. high - 1, whole runs of `run` of them, of this
/// task. Returns the number of tasks.
int64_t
overDepthwiseUnits(KernelEmitter &e, const DepthwiseImage &image, int64_t side,
                   int64_t run,
                   llvm::function_ref<void(const WindowRun &, mlir::Value,
                                           mlir::Value, mlir::Value)>
                       body);

/// Column by column, where windows and registers allow.
std::optional<int64_t> lowerDepthwiseColumns(KernelEmitter &e,
                                             mlir::Operation *op,
                                             const DepthwiseImage &image);
/// The same for the gradient of the filter.
std::optional<int64_t> lowerDepthwiseGradientColumns(KernelEmitter &e,
                                                     Conv2dFilterGradientOp op);

} // namespace sinter

#endif // SINTER_CODEGEN_DEPTHWISECOLUMNS_H
