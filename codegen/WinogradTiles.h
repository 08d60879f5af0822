//===- WinogradTiles.h - where tiles are, and in which order -------------===//
//
// What Winograd's kernels share of tiles (ir/Winograd.h cuts the result into
// them): the pixels that one reads and writes, and an order in which those that
// have products at a tap are side by side.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_WINOGRADTILES_H
#define SINTER_CODEGEN_WINOGRADTILES_H

#include "codegen/MaskedBits.h"
#include "codegen/WinogradTransforms.h"
#include "ir/Winograd.h"

namespace sinter {

/// A line of a tile of the result: its first pixel, and the one behind its
/// last.
struct TileLine {
  mlir::Value begin, end;
};
/// Of tile `number` of `cut`.
TileLine lineOfTile(KernelEmitter &e, const WinogradCut &cut,
                    mlir::Value number);
/// Tiles of `cut` in front of number `number` that are not short.
mlir::Value longsBefore(KernelEmitter &e, const WinogradCut &cut,
                        mlir::Value number);
/// Of `count` tiles from `first` on, the one that comes as number `inOrder` if
/// long ones come first.
mlir::Value tileInOrder(KernelEmitter &e, const WinogradCut &cut,
                        mlir::Value first, mlir::Value count,
                        mlir::Value inOrder);

/// A line of a tile's pixels of the image: their numbers, and whether they
/// exist if not all do.
struct ImageLine {
  WinogradRow pixel, exists;
};
/// `count` pixels of a tile whose line of the result begins at `begin`, which
/// is at most `last`.
ImageLine imageLine(KernelEmitter &e, const WindowAxis &axis, int64_t count,
                    mlir::Value begin, int64_t last);

/// A tile's pixels of the image: where the channels of each begin and, for
/// those that may lie outside of it, a mask of i32: ones, or zeros.
struct TilePixels {
  WinogradSquare at, mask;

  /// `pixel`, loaded from `at[k][l]`, or 0 if it is outside.
  mlir::Value kept(KernelEmitter &e, int64_t k, int64_t l,
                   mlir::Value pixel) const;
};
/// Of the tile whose part of the result begins at `row` and `column`. Masks are
/// `lanes` wide.
TilePixels pixelsOfTile(KernelEmitter &e, const Convolution &conv,
                        const WinogradCut &down, const WinogradCut &across,
                        mlir::Value row, mlir::Value column, int64_t lanes);

/// Some whole rows of tiles. First come the short tiles of long rows, then the
/// long tiles, those of long rows first, then the short tiles of short rows:
/// whichever have products at a tap are side by side.
class TileOrder {
public:
  /// `rows` rows from `firstRow` on.
  TileOrder(KernelEmitter &e, const WinogradCut &down,
            const WinogradCut &across, mlir::Value firstRow, int64_t rows);

  bool hasShorts() const { return down.shorts + across.shorts > 0; }
  struct Place {
    TileLine rows, columns;
  };
  /// Of number `number`.
  Place placeOf(mlir::Value number) const;
  /// The first of those with products at `tap`, and the one behind the last.
  std::pair<mlir::Value, mlir::Value> rangeAt(mlir::Value tap) const;

private:
  KernelEmitter &e;
  WinogradCut down, across;
  mlir::Value firstRow;
  int64_t rows;
  mlir::Value longRows; // how many are not short
};

} // namespace sinter

#endif // SINTER_CODEGEN_WINOGRADTILES_H
