//===- LowerPoolGradient.cpp - sweeps around a pooling's gradient --------===//
//
//   for rows of blocks in this task's part:
//     row sums = 0
//     for blocks inside: for channels, samples: all pixels of the block
//     for pixels at the border:  as in any sweep
//
// ImageBlocks.h says why.
//
//===----------------------------------------------------------------------===//

#include "codegen/ImageBlocks.h"
#include "codegen/SideBySide.h"
#include "codegen/Sweep.h"
#include "codegen/TileChoice.h"

using namespace mlir;
using namespace sinter;

std::optional<int64_t> sinter::lowerPoolGradient(KernelEmitter &e,
                                                 const SweepDomain &domain,
                                                 double cycles) {
  if (domain.full.size() != 3 || domain.outer != domain.full ||
      !domain.reductions.empty())
    return {};
  std::optional<Window> window = pooledWindow(e.kernel);
  if (!window)
    return {};
  ImageBlocks blocks(e, domain.full, window);
  if (!blocks.hasBlocks())
    return {};

  auto overChannels = [&](llvm::function_ref<void(Value channel)> body) {
    sinter::overChannels(e, domain.full[2], body);
  };
  KnownTaps known(e, blocks, *window, domain.full[2]);
  int64_t units = blocks.units(), tasks = chooseTasks(units, cycles);
  // A task searches a row of windows of the task before again.
  constexpr int64_t enough = 16;
  if (known)
    tasks = std::min(tasks, enough);
  auto [low, high] = e.taskRange(units, tasks);
  e.loop(low, high, 1, [&](Value unit) {
    auto [firstRow, endRow] = blocks.rowsOf(unit);
    e.loop(firstRow, endRow, 1, [&](Value row) {
      overChannels([&](Value channel) { e.clearRowSums(row, channel); });
    });
    known.begin(unit, low, overChannels);
    blocks.over(unit, [&](const ImageBlock &block) {
      overChannels([&](Value channel) {
        blocks.prefetchNext(block, channel);
        known.use(block, channel);
        for (size_t i = 0; i < block.rows.size(); ++i) {
          SmallVector<Indices> points;
          for (size_t j = 0; j < block.columns.size(); ++j) {
            points.push_back(block.point(i, j, channel));
            e.storeAll(points.back(), [](RankedTensorType) { return true; });
          }
          addRowSums(e, points);
        }
      });
    });
  });
  return tasks;
}
