//===- WinogradRows.cpp - rows of taps that are known at run time --------===//

#include "codegen/WinogradRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sinter;

/// A group's number in a table, which is in a number, four bits each.
static Value entryOf(KernelEmitter &e, Value group, ArrayRef<int64_t> table) {
  int64_t all = 0;
  for (auto [number, entry] : llvm::enumerate(table))
    all |= entry << (4 * number);
  Value shifted = arith::ShRUIOp::create(e.b, e.index(all), e.mul(group, 4));
  return arith::AndIOp::create(e.b, shifted, e.index(0xF));
}

WinogradRows
sinter::winogradRows(KernelEmitter &e,
                     ArrayRef<WinogradGradientTiling::RowGroup> rowGroups,
                     Value group, int64_t pixels,
                     llvm::function_ref<double(int64_t, int64_t)> factor) {
  struct RowPart {
    int64_t pixel;
    double factor;
  };
  struct Sums {
    SmallVector<RowPart, 4> even, odd;
    double point = 0;
  };
  SmallVector<Sums> groups;
  size_t mostEven = 0, mostOdd = 0;
  int64_t mostRows = 0;
  for (auto [row, count] : rowGroups)
    mostRows = std::max(mostRows, count);
  for (auto [row, count] : rowGroups) {
    Sums &sums = groups.emplace_back();
    for (int64_t i = pixels - 1; i >= 0; --i)
      if (double f = factor(row, i); f != 0) {
        bool isOdd = count == 2 && factor(row + 1, i) != f;
        (isOdd ? sums.odd : sums.even).push_back({i, f});
      }
    // One with factor 1 first if there is one.
    llvm::stable_sort(sums.even, [](const RowPart &x, const RowPart &y) {
      return x.factor == 1 && y.factor != 1;
    });
    if (count == mostRows) {
      mostEven = std::max(mostEven, sums.even.size());
      mostOdd = std::max(mostOdd, sums.odd.size());
    }
  }
  for (Sums &sums : groups) {
    // A row on its own has no more parts than two together.
    if (sums.even.size() > mostEven) {
      sums.odd.append(sums.even.begin() + mostEven, sums.even.end());
      sums.even.truncate(mostEven);
    }
    if (!sums.odd.empty())
      sums.point = sums.odd.front().factor;
    for (RowPart &part : sums.odd)
      part.factor /= sums.point;
    // What has fewer parts has its first again, times 0.
    while (sums.even.size() < mostEven)
      sums.even.push_back({sums.even.front().pixel, 0});
    if (sums.odd.empty() && mostOdd > 0)
      sums.odd.push_back({sums.even.front().pixel, 1});
    while (sums.odd.size() < mostOdd)
      sums.odd.push_back({sums.odd.front().pixel, 0});
  }
  auto number = [&](llvm::function_ref<double(const Sums &)> of) -> Value {
    constexpr int64_t entries = 8;
    if (llvm::all_of(groups, [&](const Sums &sums) { return of(sums) == 1; }))
      return {};
    SmallVector<float, entries> numbers(entries, 0);
    for (auto [i, sums] : llvm::enumerate(groups))
      numbers[i] = static_cast<float>(of(sums));
    auto type = VectorType::get({entries}, e.b.getF32Type());
    Value all = arith::ConstantOp::create(
        e.b, DenseElementsAttr::get(type, ArrayRef<float>(numbers)));
    return vector::ExtractOp::create(e.b, all, group);
  };
  auto parts = [&](size_t count, SmallVector<RowPart, 4> Sums::*half) {
    SmallVector<WinogradRows::Part, 2> result;
    for (size_t part = 0; part < count; ++part) {
      SmallVector<int64_t> pixelOf;
      for (const Sums &sums : groups)
        pixelOf.push_back((sums.*half)[part].pixel);
      result.push_back(
          {entryOf(e, group, pixelOf), number([&](const Sums &sums) {
             return (sums.*half)[part].factor;
           })});
    }
    return result;
  };
  WinogradRows rows{parts(mostEven, &Sums::even), parts(mostOdd, &Sums::odd),
                    Value()};
  if (mostOdd > 0)
    rows.point = number([](const Sums &sums) { return sums.point; });
  return rows;
}

std::pair<Value, Value>
sinter::rowsOfGroup(KernelEmitter &e,
                    ArrayRef<WinogradGradientTiling::RowGroup> groups,
                    Value group) {
  SmallVector<int64_t> firsts, counts;
  for (auto [row, count] : groups) {
    firsts.push_back(row);
    counts.push_back(count);
  }
  return {entryOf(e, group, firsts), entryOf(e, group, counts)};
}
