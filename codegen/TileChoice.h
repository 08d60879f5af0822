//===- TileChoice.h - register tiles and tasks ---------------------------===//

#ifndef SINTER_CODEGEN_TILECHOICE_H
#define SINTER_CODEGEN_TILECHOICE_H

#include "codegen/KernelEmitter.h"

namespace sinter {

/// A block of the result that stays in registers while the contracted dimension
/// runs: `rows` broadcast scalars times `vectors` vectors.
struct Tile {
  int64_t rows, vectors;
};

/// What a tile's sums are for.
struct TileWork {
  /// Of the contracted dimension.
  int64_t steps;
  /// Is there an epilogue, which needs registers beside the sums?
  bool hasEpilogue = true;
  /// Does that go through weights and an optimizer's slots, row by row?
  bool updates = false;
  /// Does it compute much, with slots beside the weights?
  bool hasSlots = false;
  /// Do vectors come from rows far apart, so that few stay in the first cache?
  bool isFar = false;
  /// Must the tile's vectors divide the result's?
  bool dividing = false;
  /// Of a tile.
  int64_t mostVectors = 4;
  /// Where not 0: a multiple of the tile's rows.
  int64_t rowsDivide = 0;
};

/// The tiles for a result of `rows` rows by `vectors` vectors, the best first.
/// Accumulators, the row of vectors and one broadcast must fit the registers;
/// among the tiles that do, that is the one with the fewest cycles over the
/// whole result, its ragged edges included.
std::vector<Tile> rankTiles(int64_t rows, int64_t vectors, const TileWork &work,
                            const TargetShape &target);

/// One of `ranked`, knob "tile" of the kernel whose work is `op`. Where
/// `tasksOf` says how many tasks that makes, none that makes fewer than the
/// first.
Tile chooseTile(KernelEmitter &e, mlir::Operation *op,
                llvm::ArrayRef<Tile> ranked,
                llvm::function_ref<int64_t(Tile)> tasksOf = nullptr);

/// The tile for a result that is made in whole tiles only, some rows twice,
/// where operands come from the cache behind the first: its rows are a multiple
/// of `rowMultiple`.
Tile choosePackedTile(int64_t rows, int64_t vectors, int64_t mostVectors,
                      int64_t rowMultiple, const TargetShape &target);

/// A block of a filter's gradient: `channels` of the image by `filters`, for
/// each tap of a row.
struct FilterTile {
  int64_t channels, filters;
};

/// The tiles of a gradient of `channels` by `filters` whose rows of `taps` taps
/// stay in registers, at most `mostChannels` channels each; the best first.
std::vector<FilterTile> rankFilterTiles(int64_t channels, int64_t filters,
                                        int64_t taps, int64_t mostChannels,
                                        const TargetShape &target);

/// One of `ranked`, knob "tile" of the kernel whose work is `op`: none that is
/// cut in fewer than `enough` units if the first is not.
FilterTile chooseFilterTile(KernelEmitter &e, mlir::Operation *op,
                            llvm::ArrayRef<FilterTile> ranked,
                            llvm::function_ref<int64_t(FilterTile)> unitsOf,
                            int64_t enough);

/// A convolution's tile of `rows` filters and `vectors` of samples, for some
/// `pixels` next to each other.
struct ConvTile {
  int64_t rows, vectors, pixels;
};

/// The tiles for `rows` filters, `vectors` of samples (a tile's divide them)
/// and `pixels` in a row that see all taps; the best first. Where `together`
/// pixels share a vector, a tile has a multiple of that. With `isPacked` the
/// filter is close to the core, and the image is not.
std::vector<ConvTile> rankConvTiles(int64_t rows, int64_t vectors,
                                    int64_t pixels, int64_t together,
                                    int64_t steps, bool isPacked,
                                    const TargetShape &target);

/// Tasks for a kernel of `units` independent units of work that costs about
/// `cycles` in all: one if it is not worth a hand-over to other threads.
int64_t chooseTasks(int64_t units, double cycles);

/// The same for one sample, whose kernels are short: a hand-over has to save
/// more.
int64_t chooseSampleTasks(int64_t units, double cycles);

/// `size` elements as whole vectors, and a last one that is no wider than it
/// has to be.
llvm::SmallVector<VectorPiece> splitInVectors(int64_t size,
                                              const TargetShape &target);

/// The tile of a convolution of one sample: `pixels` by `vectors` of filters.
struct SampleTile {
  int64_t pixels, vectors;
};

/// The tiles for rows of `pixels` pixels that fit, with their costs, in steps
/// of which a pixel's sum has `steps`; the best first. `isStreamed`: the filter
/// is too large to stay in a cache close to the core.
std::vector<std::pair<double, SampleTile>>
rankSampleTiles(int64_t pixels, llvm::ArrayRef<VectorPiece> filters,
                int64_t steps, bool isStreamed, const TargetShape &target);

} // namespace sinter

#endif // SINTER_CODEGEN_TILECHOICE_H
