//===- FilterPanels.h - gradients of filters with filters in the lanes ---===//
//
// Problem: dw[c][f] = sum(n) x[c][n] dy[f][n] contracts pixels and samples, and
// samples lie in the lanes. Dot products of such vectors leave sums spread over
// lanes, and a step of C F multiply-adds reads C + F vectors: more than an L2
// cache gives.
//
// Idea: dy is turned, a square of filters by samples at a time, into panels in
// the kernel's scratch: for each n a few vectors of filters. Then a step is one
// of a matrix product, F vectors of the panel times C broadcast floats of x,
// which stays as it lies.
//
// Lanes behind the last filter hold anything; they are not stored.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_FILTERPANELS_H
#define SINTER_CODEGEN_FILTERPANELS_H

#include "codegen/KernelEmitter.h"

namespace sinter {

class FilterPanels {
public:
  /// Panels of `vectors` vectors in `scratch`, (tasks, floats); the gradient is
  /// `gradient`, flat, with filters innermost.
  FilterPanels(KernelEmitter &e, mlir::Value scratch, mlir::Value gradient,
               int64_t vectors)
      : e(e), scratch(scratch), gradient(gradient), vectors(vectors) {}

  /// The panels of `filters`: the filter each begins with, and its vectors.
  void over(int64_t filters,
            llvm::function_ref<void(mlir::Value first,
                                    llvm::ArrayRef<VectorPiece> pieces)>
                body) const;
  /// Floats of one n; the last panel may be narrower.
  int64_t stride(llvm::ArrayRef<VectorPiece> pieces) const {
    return static_cast<int64_t>(pieces.size()) * e.layout.widest;
  }

  /// A square: load(f), a vector of samples, for `filters` filters, at most as
  /// many as there are lanes, becomes a column from `to` on, with samples
  /// `stride` apart.
  void turn(int64_t filters, mlir::Value to, int64_t stride,
            llvm::function_ref<mlir::Value(int64_t filter)> load) const;

  /// Sums of one panel for some rows of the gradient, which begin at `places`:
  /// what is there, or 0 if `isFirst` (a condition; null: yes).
  llvm::SmallVector<mlir::Value> begin(llvm::ArrayRef<mlir::Value> places,
                                       llvm::ArrayRef<VectorPiece> pieces,
                                       mlir::Value isFirst) const;
  /// sums += the panel's vectors at `at`, times a float for each row; null: no
  /// product of this row.
  void step(llvm::MutableArrayRef<mlir::Value> sums, mlir::Value at,
            llvm::ArrayRef<VectorPiece> pieces,
            llvm::ArrayRef<mlir::Value> floats) const;
  /// The same for `count` columns of the panel, which begins at `panel`; row
  /// r's floats for them begin at `floats` + r `rowFloats` in scratch. In
  /// memory, columns are a multiple of the lanes. `fetch` gets the first column
  /// of each step, which has some.
  llvm::SmallVector<mlir::Value>
  overColumns(llvm::ArrayRef<mlir::Value> sums, mlir::Value count,
              mlir::Value panel, llvm::ArrayRef<VectorPiece> pieces,
              mlir::Value floats, int64_t rows, int64_t rowFloats,
              llvm::function_ref<void(mlir::Value column)> fetch = {}) const;
  static int64_t columnsOfStep(const KernelEmitter &e) {
    return std::min<int64_t>(e.lanes(), 4);
  }
  /// `isStreamed`: whole vectors pass by the caches, and are aligned.
  void end(llvm::ArrayRef<mlir::Value> places,
           llvm::ArrayRef<VectorPiece> pieces, llvm::ArrayRef<mlir::Value> sums,
           bool isStreamed = false) const;

private:
  KernelEmitter &e;
  mlir::Value scratch, gradient;
  int64_t vectors;
};

} // namespace sinter

#endif // SINTER_CODEGEN_FILTERPANELS_H
