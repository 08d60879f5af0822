//===- WinogradTransforms.cpp - tiles at the border of images ------------===//

#include "codegen/WinogradTransforms.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace sinter;

void sinter::forTile(
    KernelEmitter &e, const Convolution &conv, Value firstRow,
    Value firstColumn,
    llvm::function_ref<void(const FourByFour &, const FourByFour &)> body) {
  const auto &[down, across] = conv.window;
  auto inImage = [&](const WindowAxis &axis, Value pixel) -> Value {
    // As unsigned numbers, those before the first are beyond the last.
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, pixel,
                                 e.index(axis.pixels));
  };
  auto both = [&](Value x, Value y) -> Value {
    return arith::AndIOp::create(e.b, x, y);
  };
  Four rows, columns, rowExists, columnExists;
  for (int64_t k = 0; k < 4; ++k) {
    rows[k] = e.add(firstRow, k);
    columns[k] = e.add(firstColumn, k);
    rowExists[k] = inImage(down, rows[k]);
    columnExists[k] = inImage(across, columns[k]);
  }
  auto build = [&](bool isInside) {
    FourByFour at, exists;
    for (int64_t k = 0; k < 4; ++k)
      for (int64_t l = 0; l < 4; ++l) {
        Value pixel = e.sum(e.mul(rows[k], across.pixels), columns[l]);
        if (!isInside) {
          exists[k][l] = both(rowExists[k], columnExists[l]);
          pixel = arith::SelectOp::create(e.b, exists[k][l], pixel, e.index(0));
        }
        at[k][l] = e.mul(pixel, conv.channels);
      }
    body(at, exists);
  };
  Value isInside = both(both(rowExists[0], rowExists[3]),
                        both(columnExists[0], columnExists[3]));
  auto branch = scf::IfOp::create(e.b, isInside, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(branch.thenBlock());
  e.scope([&] { build(true); });
  e.b.setInsertionPointToStart(branch.elseBlock());
  e.scope([&] { build(false); });
}
