//===- TileChoice.h - register tiles and tasks ---------------------------===//

#ifndef SINTER_CODEGEN_TILECHOICE_H
#define SINTER_CODEGEN_TILECHOICE_H

#include "codegen/Lowering.h"

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

/// Tasks for a kernel of `units` independent units of work that costs about
/// `cycles` in all: one if it is not worth a hand-over to other threads.
int64_t chooseTasks(int64_t units, double cycles);

} // namespace sinter

#endif // SINTER_CODEGEN_TILECHOICE_H
