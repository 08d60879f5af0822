//===- Winograd.h - how Winograd's kernels cut their work ----------------===//
//
// The kernels of winograd_conv2d and of winograd_filter_gradient transform a
// few tiles at a time into memory of their own (`sinter.scratch`), so that the
// many products read it from the cache. How much that is has to be known when
// memory is planned, before code is generated: here.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_IR_WINOGRAD_H
#define SINTER_IR_WINOGRAD_H

#include "ir/Window.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>

namespace sinter {

/// F(tile x tile, 3 x 3)'s matrices (SinterOps.td has them).
struct WinogradMatrices {
  static constexpr int64_t mostTaps = 6;

  int64_t tile;                      // pixels of a row of the result
  double image[mostTaps][mostTaps];  // B'
  double result[mostTaps][mostTaps]; // A'
  double filter[mostTaps][3];        // G

  /// Of a row.
  int64_t taps() const { return tile + 2; }
};
/// `tile` is 2 or 4.
const WinogradMatrices &winogradMatrices(int64_t tile);

/// Pixels of a row of a tile whose transformed filters are `u`.
inline int64_t winogradTile(mlir::RankedTensorType u) {
  return u.getDimSize(0) - 2;
}

/// How tiles cut a row of the result's pixels, or a column. Where they do not
/// come out even, they are not filled up: as many as pixels are missing are
/// short, by a pixel, here and there among the others. The point infinity is a
/// part of nothing but a tile's last pixel, so short tiles have no products at
/// it.
struct WinogradCut {
  int64_t pixels;
  int64_t tile; // pixels of those that are not short
  int64_t tiles, shorts;

  WinogradCut() = default;
  WinogradCut(const WindowAxis &axis, int64_t tile)
      : pixels(axis.windows()), tile(tile),
        tiles(llvm::divideCeil(pixels, tile)),
        shorts(std::min(tiles, tiles * tile - pixels)) {}
  /// The same without short tiles: the last one sticks out.
  static WinogradCut even(const WindowAxis &axis, int64_t tile) {
    WinogradCut cut(axis, tile);
    cut.shorts = 0;
    return cut;
  }

  int64_t longs() const { return tiles - shorts; }
  int64_t begin(int64_t number) const {
    return number * tile - number * shorts / tiles;
  }
  /// Where even a short last tile sticks out, its pixels end before it does.
  int64_t end(int64_t number) const {
    return std::min(begin(number + 1), pixels);
  }
};

/// Is `op` a convolution that Winograd's filtering can compute: 3 x 3 taps, no
/// stride, no dilation, one group?
bool isWinogradForm(const Convolution &conv);

/// The size of tiles, 2 or 4, with which the convolution, or the gradient of
/// its filter, takes the least instructions and memory traffic for so many
/// samples; 0 if that is the direct sum.
int64_t bestWinogradTile(const Convolution &conv, bool isGradient,
                         int64_t samples);

/// Work is cut into units, some rows of tiles for a few samples and a part of
/// the filters, and units into runs of tiles.
struct WinogradTiling {
  int64_t tile, taps; // of a row: pixels of the result, of the image
  WinogradCut down, across;
  int64_t rows;    // of tiles in a unit; they divide those down
  int64_t samples; // of a unit
  int64_t parts;   // of the filters
  int64_t units;
  int64_t run, runs; // tiles at a time; runs of a unit
  int64_t filters;   // whose products are kept at a time
  int64_t channels;  // whose products are summed at a time
  int64_t tasks;
  /// A task's scratch: for each tap, `inputFloats` of transformed tiles,
  /// (channel, tile, sample); behind them for each tap `productFloats` of
  /// products, (filter, tile, sample); behind them, if the kernel transforms
  /// filters itself, for each tap `filterFloats` of these, (channel, filter).
  int64_t inputFloats, productFloats, filterFloats;

  int64_t allTaps() const { return taps * taps; }
  int64_t tiles() const { return rows * across.tiles; } // of a unit
  /// Has the last run as many tiles as the others?
  bool isEven() const { return tiles() % run == 0; }
  /// Of a run, in whole vectors.
  int64_t columns() const {
    return llvm::alignTo(run * samples, kLaneMultiple);
  }
  int64_t taskFloats() const {
    return allTaps() * (inputFloats + productFloats + filterFloats);
  }
};
WinogradTiling tilingOf(WinogradConv2dOp op, int64_t batchBound);

/// The winograd_filter that `op`'s kernel does itself, some filters at a time,
/// or null. Where u leaves the caches, to write it and to read it again takes
/// longer than its arithmetic, unless there is but one sample. There are at
/// most `samples`.
WinogradFilterOp filterMadeBy(WinogradConv2dOp op, int64_t samples);
/// Is it one of those?
bool isMadeByReader(WinogradFilterOp op, int64_t samples);
/// Channels of such filters that are transformed at a time: these stay in L2.
inline constexpr int64_t kChannelsOfMade = 64;

/// For one sample, units are a run of tiles, row by row, and a part of the
/// filters. Where a kernel sums rows, units are whole rows of tiles.
struct WinogradSampleTiling {
  int64_t tile, taps; // as above
  WinogradCut down, across;
  int64_t chunks;         // of the tiles
  int64_t filters, parts; // at a time; how often
  int64_t tasks;
  /// Floats of a transformed tile's channels.
  int64_t tileFloats;
  /// Filters whose products are kept at a time, at most.
  int64_t mostFilters;

  int64_t allTaps() const { return taps * taps; }
  int64_t allTiles() const { return down.tiles * across.tiles; }
  /// Of a chunk; the last may have fewer.
  int64_t tiles() const { return llvm::divideCeil(allTiles(), chunks); }
  /// Of a chunk of whole rows; there may be fewer of them.
  int64_t rows() const {
    return llvm::divideCeil(down.tiles, std::min(chunks, down.tiles));
  }
  int64_t units() const { return chunks * parts; }
  /// A task's scratch: for each tap transformed tiles, (tile, channel); behind
  /// them for each tap products, (tile, filter).
  int64_t mostTiles() const { return std::max(tiles(), rows() * across.tiles); }
  int64_t inputFloats() const { return mostTiles() * tileFloats; }
  int64_t productFloats() const;
  int64_t taskFloats() const {
    return allTaps() * (inputFloats() + productFloats());
  }
};
WinogradSampleTiling sampleTilingOf(WinogradConv2dOp op);
/// May `op` have that form?
bool fitsSampleWinograd(const Convolution &conv);

/// The gradient's units are some rows of taps and some filters each, so no sum
/// crosses units. A unit goes through the tiles of all images in chunks.
struct WinogradGradientTiling {
  int64_t tile, taps; // as above
  WinogradCut down, across;
  int64_t chunk, chunks;        // tiles at a time; how often
  int64_t run;                  // tiles side by side whose rows are summed
  int64_t filters, filterParts; // the last part may have fewer
  int64_t channels, blocks;     // of a unit; the last may have fewer
  int64_t samples;              // in memory
  /// Do filters fill vectors? Then they lie in the lanes
  /// (codegen/FilterPanels.h), else samples do.
  bool inPanels;
  int64_t rowsTogether; // of taps in a unit, at most: 1 or 2
  bool isFetched;       // does the next chunk come from far?
  int64_t tasks;
  /// In blocks, units side by side: where the second half of the tasks begins.
  int64_t middle;
  /// Floats of one channel's or filter's transformed tiles in a chunk.
  int64_t columns;

  /// Rows of taps in a unit: the first, and how many.
  struct RowGroup {
    int64_t row, count;
  };
  llvm::SmallVector<RowGroup, 6> rowGroups() const;
  /// At most.
  int64_t unitTaps() const { return rowsTogether * taps; }
  int64_t units() const {
    return static_cast<int64_t>(rowGroups().size()) * filterParts;
  }
  /// So many features, and those that fill up their last vector.
  static int64_t inVectors(int64_t features) {
    return llvm::alignTo(features, kLaneMultiple);
  }
  int64_t paddedFilters() const { return inVectors(filters); }
  /// Floats of a pixel with so many features in the sums of rows.
  int64_t pixelFloats(int64_t features) const;
  /// For each tap filters, in whole vectors; behind them, for each tap
  /// channels; behind them for each row of taps sums of rows of pixels, and for
  /// each a pixel that is not turned yet.
  int64_t sumsAt() const {
    return unitTaps() * (paddedFilters() + channels) * columns;
  }
  int64_t sumFloats() const {
    return std::max(run * tile * pixelFloats(filters),
                    (run * tile + 2) * pixelFloats(channels));
  }
  int64_t pixelAt() const { return sumsAt() + rowsTogether * sumFloats(); }
  int64_t taskFloats() const {
    return pixelAt() + (inPanels ? rowsTogether * pixelFloats(filters) : 0);
  }
};
WinogradGradientTiling tilingOf(WinogradFilterGradientOp op,
                                int64_t batchBound);

/// The gradient's other form, for a kernel that makes dw: du, all taps of it,
/// stays in the cache. Units are some filters by some channels; the tiles of
/// all images are one chunk.
struct WinogradAllTapsTiling {
  int64_t tile, taps; // as above
  WinogradCut down, across;
  int64_t filters, filterParts; // whole vectors; all parts have as many
  int64_t channels, blocks;     // the last block may have fewer
  int64_t samples;              // in memory
  int64_t columns;              // tiles and samples
  int64_t pixels;               // of an image
  int64_t tasks;
  /// Filters in a panel, at most.
  static constexpr int64_t mostPanel = 4 * kLaneMultiple;

  int64_t allTaps() const { return taps * taps; }
  int64_t tiles() const { return down.tiles * across.tiles; }
  int64_t units() const { return filterParts * blocks; }
  /// Of a tap in D; in V, which is behind D; in M, behind V, and in what comes
  /// of M, behind that: of the block and of a panel.
  int64_t resultFloats() const;
  int64_t imageFloats() const;
  int64_t productFloats() const;
  int64_t imageAt() const { return allTaps() * resultFloats(); }
  int64_t productAt() const { return imageAt() + allTaps() * imageFloats(); }
  int64_t filterAt() const { return productAt() + allTaps() * productFloats(); }
  /// Behind all a tile's pixels of dy, so many floats each, or the block's of
  /// the image.
  int64_t pixelFloats() const;
  int64_t pixelAt() const { return filterAt() + 9 * productFloats(); }
  int64_t taskFloats() const {
    return pixelAt() +
           std::max(tile * tile * pixelFloats(), pixels * channels * samples);
  }
};
WinogradAllTapsTiling allTapsTilingOf(WinogradFilterGradientOp op,
                                      int64_t batchBound);
/// May and should the kernel of `op` take the adjoint of its result, and never
/// store du?
bool canTakeAdjoint(WinogradFilterGradientOp op, int64_t batchBound);
/// Does it, in the kernel that `op` is in?
bool takesAdjoint(mlir::Operation *op);

/// The scratch of `op`'s kernel, (tasks, floats), or null if it needs none.
/// `isFused`: does a filter gradient's kernel make dy itself, or take the
/// adjoint?
mlir::RankedTensorType scratchOf(mlir::Operation *op, int64_t batchBound,
                                 bool isFused);

} // namespace sinter

#endif // SINTER_IR_WINOGRAD_H
