//===- WinogradFilters.h - taps of many filters, transformed -------------===//
//
// The arithmetic of winograd_filter and of its adjoint, for whoever needs some
// filters: filters are in the lanes, each vector of taps is read, transformed
// to the columns and then to the rows, and stored.
//
// A flipped filter has channels and filters exchanged: squares of as many of
// both as there are lanes are turned, tap by tap, in memory of the task's own.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_WINOGRADFILTERS_H
#define SINTER_CODEGEN_WINOGRADFILTERS_H

#include "codegen/WinogradTransforms.h"

namespace sinter {

class WinogradTaps {
public:
  /// Where results go: taps, and channels of a tap, are so many floats apart.
  struct Destination {
    int64_t tapFloats, channelFloats;
    /// (vector, place, mask or null)
    std::function<void(mlir::Value, mlir::Value, mlir::Value)> store;
  };

  /// Of winograd_filter or its adjoint; `source` is the operand's memory, flat.
  WinogradTaps(KernelEmitter &e, mlir::Operation *op, mlir::Value source,
               Destination to);

  /// Of a vector.
  const int64_t lanes;
  bool isFlipped() const { return square != nullptr; }

  /// The vector whose first tap is at `from` in the operand goes to `to`.
  void transform(mlir::Value from, mlir::Value to, mlir::Value mask = {});
  /// The same for `kTogether` vectors that lie side by side in the result, and
  /// `step` floats apart in the operand: if `isTogether`.
  void transformSome(mlir::Value from, int64_t step, mlir::Value to) {
    transformSome(source, from, step, channels * filters, to);
  }
  /// Where the result's taps lie in the same sets of the first cache, and many
  /// stores on their way there would drive each other's lines out of it, taps
  /// of a few vectors are stored one after the other.
  bool isTogether() const { return lines != nullptr; }
  static constexpr int64_t kTogether = 8;
  /// If flipped: a square of the result's channels and filters, or what there
  /// is of it. Its first tap goes to `to`.
  void flip(mlir::Value firstChannel, mlir::Value firstFilter, mlir::Value to);

  /// Consecutive channels or filters of the result.
  struct Some {
    mlir::Value first;
    int64_t count;
  };
  /// Where filters are transformed in parts, all channels of some filters, some
  /// at a time: fetches a share of what comes behind these, number `share` of
  /// `shares`.
  void fetchNext(Some ofFilters, Some ofChannels, mlir::Value share,
                 int64_t shares);

private:
  WinogradSquare transformed(mlir::Value memory, mlir::Value at,
                             int64_t tapFloats, mlir::Value mask);
  void transform(mlir::Value memory, mlir::Value at, int64_t tapFloats,
                 mlir::Value to, mlir::Value mask);
  void transformSome(mlir::Value memory, mlir::Value at, int64_t step,
                     int64_t tapFloats, mlir::Value to);
  mlir::Value load(mlir::Value memory, mlir::Value at, mlir::Value mask);

  KernelEmitter &e;
  WinogradSums sums;
  bool isAdjoint;
  mlir::Value source;
  Destination destination;
  int64_t fromTaps, toTaps;  // of a row
  int64_t channels, filters; // of the result
  mlir::VectorType type;
  mlir::Value square; // for each tap, channels by filters
  mlir::Value lines;  // for each tap, vectors that are not stored yet
};

} // namespace sinter

#endif // SINTER_CODEGEN_WINOGRADFILTERS_H
