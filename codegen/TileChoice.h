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

/// The tile for a result of `rows` rows by `vectors` vectors. Accumulators, the
/// row of vectors and one broadcast must fit the registers; among the tiles
/// that do, the one with the fewest instructions over the whole result, its
/// ragged edges included.
Tile chooseTile(int64_t rows, int64_t vectors, const TargetShape &target);

/// The tile for a result that is made in whole tiles only, some rows twice,
/// where operands come from the cache behind the first: its rows are a multiple
/// of `rowMultiple`.
Tile choosePackedTile(int64_t rows, int64_t vectors, int64_t rowMultiple,
                      const TargetShape &target);

/// A block of a filter's gradient: `channels` of the image by `filters`, for
/// each tap of a row.
struct FilterTile {
  int64_t channels, filters;
};

/// The tile of a gradient of `channels` by `filters` whose rows of `taps` taps
/// stay in registers.
FilterTile chooseFilterTile(int64_t channels, int64_t filters, int64_t taps,
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

/// The tile for rows of `pixels` pixels. `isStreamed`: the filter is too large
/// to stay in a cache close to the core.
SampleTile chooseSampleTile(int64_t pixels, llvm::ArrayRef<VectorPiece> filters,
                            bool isStreamed, const TargetShape &target,
                            double *cost = nullptr);

} // namespace sinter

#endif // SINTER_CODEGEN_TILECHOICE_H
