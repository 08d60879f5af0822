//===- WinogradRows.h - rows of taps that are known at run time ----------===//
//
// The gradient of Winograd's filters goes through the rows of taps one by one,
// or two with opposite points at a time. A row of taps is a sum of rows of
// pixels: which have a part in it, and their factors, are numbers at run time,
// in tables, so that one loop nest serves all of them.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_WINOGRADROWS_H
#define SINTER_CODEGEN_WINOGRADROWS_H

#include "codegen/KernelEmitter.h"
#include "ir/Winograd.h"

namespace sinter {

/// One row of taps, or two with opposite points: the sum of even powers, plus
/// and minus `point` times that of odd ones. Which rows of pixels have a part
/// in them, and their factors, are numbers at run time. What has none is not
/// read: 0 times NaN would be NaN.
struct WinogradRows {
  struct Part {
    mlir::Value pixel;  // index
    mlir::Value factor; // null: 1
  };
  llvm::SmallVector<Part, 2> even, odd;
  mlir::Value point; // null: each row is on its own, and there are no odd ones

  llvm::SmallVector<Part, 4> parts() const {
    llvm::SmallVector<Part, 4> all(even.begin(), even.end());
    all.append(odd);
    return all;
  }
};

/// Of the group with number `group`, for an operand whose tiles have `pixels`
/// rows: `factor` is that of one of them in a row of taps.
WinogradRows
winogradRows(KernelEmitter &e,
             llvm::ArrayRef<WinogradGradientTiling::RowGroup> groups,
             mlir::Value group, int64_t pixels,
             llvm::function_ref<double(int64_t row, int64_t pixel)> factor);

/// Its first row of taps, and how many it has.
std::pair<mlir::Value, mlir::Value>
rowsOfGroup(KernelEmitter &e,
            llvm::ArrayRef<WinogradGradientTiling::RowGroup> groups,
            mlir::Value group);

} // namespace sinter

#endif // SINTER_CODEGEN_WINOGRADROWS_H
