//===- ImageBlocks.h - points of images, computed a few at once ----------===//
//
// A pixel's pooling gradient asks for the windows over it, and each of them for
// its first maximal pixel: pixel by pixel, every window is searched as often as
// it has pixels. So pixels are computed in blocks as large as the stride, all
// at once, and the few windows over a block are searched once.
//
// Inside are blocks whose windows exist with all of their pixels, so no index
// is guarded there. Pixels at the border come one by one.
//
// Weakness: windows that reach into several blocks are searched once for each
// (3 x 3 with stride 2: four times instead of the nine times of pixels alone).
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_IMAGEBLOCKS_H
#define SINTER_CODEGEN_IMAGEBLOCKS_H

#include "codegen/KernelEmitter.h"

namespace sinter {

/// Some rows by some columns, each next to the one before.
struct ImageBlock {
  llvm::SmallVector<mlir::Value, 2> rows, columns;

  Indices point(size_t row, size_t column, mlir::Value channel) const {
    return {rows[row], columns[column], channel};
  }
};

class ImageBlocks {
public:
  /// Of an image of `shape` (rows, columns, channels). `window`, if given, is
  /// that of the poolings whose gradients are computed: of all ops that look at
  /// neighbours.
  ImageBlocks(KernelEmitter &e, llvm::ArrayRef<int64_t> shape,
              const std::optional<Window> &window);

  /// Are there blocks of several pixels?
  bool hasBlocks() const {
    return down.first < down.end && across.first < across.end;
  }
  /// Rows of blocks, the last of which may be cut off.
  int64_t units() const { return (shape[0] + high - 1) / high; }
  /// The image's rows of a unit: the first, and the one behind the last.
  std::pair<mlir::Value, mlir::Value> rowsOf(mlir::Value unit) const;
  /// All of the pixels of a unit: blocks, then pixels one by one. The code of
  /// `body` is there once for each of the two.
  void over(mlir::Value unit,
            llvm::function_ref<void(const ImageBlock &)> body) const;

  /// Asks for what the kernel reads at the next block, a vector of samples of
  /// one channel of each pixel: a processor's own prefetching follows none of a
  /// block's rows beyond a page.
  void prefetchNext(const ImageBlock &block, mlir::Value channel) const;

private:
  /// Blocks first .. end-1 along an axis are inside.
  struct Inside {
    int64_t first, end;
  };
  static Inside insideOf(const WindowAxis &axis);

  KernelEmitter &e;
  llvm::SmallVector<int64_t> shape;
  bool isPooled;
  int64_t high = 1, wide = 1; // of a block
  Inside down{0, 0}, across{0, 0};
};

/// The window of the pooling gradients in `kernel`; nothing if they have
/// several, or if there are none or other ops that look at neighbours.
std::optional<Window> pooledWindow(KernelOp kernel);

/// Adds `points`, of one row and channel, to the kernel's row sums: all at
/// once, in registers first.
void addRowSums(KernelEmitter &e, llvm::ArrayRef<Indices> points);

} // namespace sinter

#endif // SINTER_CODEGEN_IMAGEBLOCKS_H
