//===- FilterGradient.h - what gradients of filters share ----------------===//
//
// Problem: a gradient of weights adds up over samples, which lie in the lanes.
// A sum across one vector is a chain of shuffles and adds, each waiting for the
// one before.
//
// Idea: a tree over as many vectors as a vector has lanes. A step takes two
// vectors to one that holds half sums of both; after the last, each lane is the
// total of one vector: about three instructions a vector, in place of ten.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_FILTERGRADIENT_H
#define SINTER_CODEGEN_FILTERGRADIENT_H

#include "codegen/KernelEmitter.h"

#include <map>

namespace sinter {

/// The sums of the lanes of `vectors`, as vectors: number n is in lane n %
/// lanes of vector n / lanes. A null stands for a vector that nobody asks for.
llvm::SmallVector<mlir::Value> laneSums(KernelEmitter &e,
                                        llvm::ArrayRef<mlir::Value> vectors);

/// The sums of the lanes of `acc`, which has `columns` vectors for each of some
/// rows, are added to `memory`, flat: a row's side by side from placeOf(row)
/// on. Where `isFirst`, a condition, they replace what is there.
void addLaneSums(KernelEmitter &e, llvm::ArrayRef<mlir::Value> acc,
                 int64_t columns, mlir::Value memory,
                 llvm::function_ref<mlir::Value(int64_t row)> placeOf,
                 mlir::Value isFirst = {});

/// `acc` after body(mask) has added what the `rest` samples behind the last
/// whole vector do, if there are any.
llvm::SmallVector<mlir::Value> withLastSamples(
    KernelEmitter &e, mlir::Value rest, llvm::ArrayRef<mlir::Value> acc,
    llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value mask)> body);

/// Windows along an axis, `size` at a time: `turns` times, from `first` on.
struct WindowRun {
  int64_t first, size, turns;
};

/// All windows of `axis` in order, such that within a run the same taps of
/// firstTap .. firstTap + taps - 1 hit the image in every turn.
llvm::SmallVector<WindowRun> windowRuns(const WindowAxis &axis, int64_t size,
                                        int64_t firstTap, int64_t taps);

/// The windows for which `tap`, known at run time, hits the image: from the
/// first to behind the last.
std::pair<mlir::Value, mlir::Value>
windowsUnder(KernelEmitter &e, const WindowAxis &axis, mlir::Value tap);

/// A window of a run, and a tap of it.
struct Meeting {
  int64_t window, tap;
};
using Meetings = std::map<int64_t, llvm::SmallVector<Meeting>>;
/// The windows of a run that see a pixel of the image, and with which tap: by
/// the pixel, counted from where tap 0 of the run's first window would be.
Meetings meetingsOf(const WindowAxis &axis, const WindowRun &run);

/// Whether LowerDepthwiseConv.cpp does this convolution, or its transpose.
bool isDepthwise(const KernelEmitter &e, const Convolution &conv,
                 bool transposed);
/// `op`'s kernel, whose image (or gradient) is `source`, by features and lanes,
/// and whose weights are `filter`, flat.
int64_t lowerDepthwise(KernelEmitter &e, mlir::Operation *op,
                       const Convolution &conv, mlir::Value source,
                       mlir::Value filter, bool transposed);

/// Whether gradients of this convolution's filters have all taps of one filter
/// in registers at once, LowerDepthwiseGradient.cpp.
bool isDepthwiseGradient(const KernelEmitter &e, const Convolution &conv);
int64_t lowerDepthwiseGradient(KernelEmitter &e, Conv2dFilterGradientOp op);
/// With filters in the lanes, LowerPanelGradient.cpp.
int64_t lowerPanelGradient(KernelEmitter &e, Conv2dFilterGradientOp op);
/// And where the kernel makes dy itself.
int64_t lowerSweptGradient(KernelEmitter &e, Conv2dFilterGradientOp op);

} // namespace sinter

#endif // SINTER_CODEGEN_FILTERGRADIENT_H
