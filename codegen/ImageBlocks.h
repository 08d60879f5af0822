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
// Windows that reach into several blocks would be searched once for each (3 x 3
// with stride 2: four times); KnownTaps remembers what was found.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_IMAGEBLOCKS_H
#define SINTER_CODEGEN_IMAGEBLOCKS_H

#include "codegen/KernelEmitter.h"
#include "ir/PoolGradient.h"

namespace sinter {

/// Some rows by some columns, each next to the one before.
struct ImageBlock {
  llvm::SmallVector<mlir::Value, 2> rows, columns;
  mlir::Value down{}, across{}; // its number, of a block of several pixels

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

  /// Blocks first .. end-1 along an axis are inside.
  struct Inside {
    int64_t first, end;
  };
  const Inside &insideDown() const { return down; }
  const Inside &insideAcross() const { return across; }

private:
  static Inside insideOf(const WindowAxis &axis);

  KernelEmitter &e;
  llvm::SmallVector<int64_t> shape;
  std::optional<Window> window;
  int64_t high = 1, wide = 1; // of a block
  Inside down{0, 0}, across{0, 0};
};

/// The maximal taps of windows over several blocks: each window is searched for
/// the block that has it last, and a byte a window is kept for its neighbours,
/// a row of windows at a time. Blocks are taken from left to right, then down.
/// Nothing is known where that is not possible (remembersMaxima).
class KnownTaps {
public:
  KnownTaps(KernelEmitter &e, const ImageBlocks &blocks, const Window &window,
            int64_t channels);

  using Channels =
      llvm::function_ref<void(llvm::function_ref<void(mlir::Value)>)>;
  /// Before the blocks of a unit, of a task that begins with `firstUnit`:
  /// windows that no block before has. `overChannels` calls with each channel.
  void begin(mlir::Value unit, mlir::Value firstUnit, Channels overChannels);
  /// Is anything known?
  explicit operator bool() const { return !memories.empty(); }
  /// Before a block's points, for one channel.
  void use(const ImageBlock &block, mlir::Value channel);

private:
  struct Memory { // (slots, channels, samples): a row's windows and the one
                  // before it, above the current block's left
    MaxPool2dGradientOp gradient;
    mlir::Value taps;
  };
  mlir::Value load(const Memory &memory, mlir::Value slot, mlir::Value channel);
  void store(const Memory &memory, mlir::Value tap, mlir::Value slot,
             mlir::Value channel);

  KernelEmitter &e;
  ImageBlocks::Inside down, across;
  WindowsOverBlock overDown, overAcross;
  int64_t slots; // of a row's windows
  llvm::SmallVector<Memory> memories;
};

/// The window of the pooling gradients in `kernel`; nothing if they have
/// several, or if there are none or other ops that look at neighbours.
std::optional<Window> pooledWindow(KernelOp kernel);

/// Adds `points`, of one row and channel, to the kernel's row sums: all at
/// once, in registers first.
void addRowSums(KernelEmitter &e, llvm::ArrayRef<Indices> points);

} // namespace sinter

#endif // SINTER_CODEGEN_IMAGEBLOCKS_H
