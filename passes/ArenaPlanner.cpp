//===- ArenaPlanner.cpp - offsets for buffers with lifetimes -------------===//
//
// Dynamic storage allocation: rectangles with fixed x extent (lifetime) are to
// be stacked as low as possible. NP-hard, so: greedy. Take the buffers in some
// order and put each into the smallest gap that holds it between the buffers
// placed before whose lives touch its own. Largest first is the usual choice
// (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
// Inference", 2020); longest first or by area sometimes wins. All are tried,
// then the best is improved by moving the buffers that stick out to the front,
// and at last before buffers drawn at random, from a fixed seed. It stops as
// soon as a plan meets the lower bound.
//
// Weakness: quadratic in the number of buffers; fine for thousands.
//
//===----------------------------------------------------------------------===//

#include "passes/ArenaPlanner.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>
#include <random>

using namespace sinter;
using llvm::ArrayRef;

static bool overlap(const Lifetime &a, const Lifetime &b) {
  return a.first <= b.last && b.first <= a.last;
}

static int64_t lowerBound(ArrayRef<Lifetime> lives) {
  // The peak is reached where some life begins.
  int64_t bound = 0;
  for (const Lifetime &at : lives) {
    int64_t sum = 0;
    for (const Lifetime &life : lives)
      if (life.first <= at.first && at.first <= life.last)
        sum += life.bytes;
    bound = std::max(bound, sum);
  }
  return bound;
}

/// Places the lives in `order`, each in the smallest gap that holds it.
static ArenaPlan placeInOrder(ArrayRef<Lifetime> lives, ArrayRef<int> order) {
  ArenaPlan plan;
  plan.offsets.assign(lives.size(), 0);
  llvm::SmallVector<int> placed; // by offset
  for (int i : order) {
    int64_t end = 0, best = -1, bestGap = INT64_MAX;
    for (int j : placed) {
      if (!overlap(lives[i], lives[j]))
        continue;
      int64_t gap = plan.offsets[j] - end;
      if (gap >= lives[i].bytes && gap < bestGap) {
        best = end;
        bestGap = gap;
      }
      end = std::max(end, plan.offsets[j] + lives[j].bytes);
    }
    plan.offsets[i] = best >= 0 ? best : end;
    plan.bytes = std::max(plan.bytes, plan.offsets[i] + lives[i].bytes);
    auto position = llvm::lower_bound(placed, i, [&](int a, int b) {
      return plan.offsets[a] < plan.offsets[b];
    });
    placed.insert(position, i);
  }
  return plan;
}

ArenaPlan sinter::planArena(ArrayRef<Lifetime> lifetimes, int64_t alignment) {
  llvm::SmallVector<Lifetime> lives(lifetimes);
  for (Lifetime &life : lives)
    life.bytes = static_cast<int64_t>(
        llvm::alignTo(static_cast<uint64_t>(life.bytes), alignment));
  int64_t bound = lowerBound(lives);

  using Key = int64_t (*)(const Lifetime &);
  const Key keys[] = {
      [](const Lifetime &l) { return -l.bytes; },
      [](const Lifetime &l) { return -(l.last - l.first); },
      [](const Lifetime &l) { return -l.bytes * (l.last - l.first + 1); },
      [](const Lifetime &l) { return l.first; },
      [](const Lifetime &l) { return -l.last; },
  };
  llvm::SmallVector<int> order(lives.size()), bestOrder;
  ArenaPlan best;
  best.bytes = INT64_MAX;
  auto consider = [&](ArrayRef<int> candidate, bool orEqual = false) {
    ArenaPlan plan = placeInOrder(lives, candidate);
    if (plan.bytes > best.bytes || (plan.bytes == best.bytes && !orEqual))
      return false;
    best = std::move(plan);
    bestOrder.assign(candidate.begin(), candidate.end());
    return true;
  };
  for (Key key : keys) {
    std::iota(order.begin(), order.end(), 0);
    llvm::stable_sort(order, [&](int a, int b) {
      int64_t keyA = key(lives[a]), keyB = key(lives[b]);
      return keyA != keyB ? keyA < keyB : lives[a].bytes > lives[b].bytes;
    });
    consider(order);
    if (best.bytes <= bound)
      break;
  }
  // Whatever reaches the top goes first next time, as long as that helps.
  for (int round = 0; round < 64 && best.bytes > bound; ++round) {
    order = bestOrder;
    auto reachesTop = [&](int i) {
      return best.offsets[i] + lives[i].bytes == best.bytes;
    };
    std::stable_partition(order.begin(), order.end(), reachesTop);
    if (!consider(order))
      break;
  }
  // Then, on the way over plans that are no worse, one of those that reach the
  // top goes before any other: the same ones every time.
  const size_t pairs = lives.size() * lives.size() + 1;
  const size_t trials = std::clamp<size_t>((size_t(1) << 26) / pairs, 16, 512);
  std::minstd_rand random;
  auto below = [&](size_t count) { return random() % count; };
  for (size_t trial = 0; trial < trials && best.bytes > bound; ++trial) {
    order = bestOrder;
    llvm::SmallVector<size_t> top;
    for (size_t at = 0; at < order.size(); ++at)
      if (best.offsets[order[at]] + lives[order[at]].bytes == best.bytes)
        top.push_back(at);
    size_t from = top[below(top.size())];
    if (from == 0)
      continue;
    size_t to = below(from);
    std::rotate(order.begin() + to, order.begin() + from,
                order.begin() + from + 1);
    consider(order, /*orEqual=*/true);
  }
  if (lives.empty())
    best.bytes = 0;
  best.lowerBound = bound;
  return best;
}
