//===- ArenaPlannerTest.cpp - offsets from lifetimes ---------------------===//

#include "passes/ArenaPlanner.h"

#include <catch2/catch.hpp>

#include <random>

using namespace sinter;

static void checkPlan(llvm::ArrayRef<Lifetime> lives, const ArenaPlan &plan,
                      int64_t alignment) {
  REQUIRE(plan.offsets.size() == lives.size());
  CHECK(plan.bytes >= plan.lowerBound);
  for (size_t i = 0; i < lives.size(); ++i) {
    CHECK(plan.offsets[i] % alignment == 0);
    CHECK(plan.offsets[i] + lives[i].bytes <= plan.bytes);
    for (size_t j = 0; j < i; ++j) {
      bool sameTime =
          lives[i].first <= lives[j].last && lives[j].first <= lives[i].last;
      bool sameBytes = plan.offsets[i] < plan.offsets[j] + lives[j].bytes &&
                       plan.offsets[j] < plan.offsets[i] + lives[i].bytes;
      CHECK_FALSE((sameTime && sameBytes));
    }
  }
}

TEST_CASE("no buffers, no bytes") {
  ArenaPlan plan = planArena({}, 64);
  CHECK(plan.bytes == 0);
  CHECK(plan.lowerBound == 0);
}

TEST_CASE("buffers that never meet share their bytes") {
  Lifetime lives[] = {{0, 1, 100}, {2, 3, 128}, {4, 4, 1}};
  ArenaPlan plan = planArena(lives, 64);
  CHECK(plan.offsets == std::vector<int64_t>{0, 0, 0});
  CHECK(plan.bytes == 128);
}

TEST_CASE("a life's last step still counts") {
  Lifetime lives[] = {{0, 1, 64}, {1, 2, 64}};
  CHECK(planArena(lives, 64).bytes == 128);
}

TEST_CASE("a short life fits the gap under a long one") {
  Lifetime lives[] = {{0, 0, 192}, {0, 2, 64}, {1, 1, 64}, {2, 2, 192}};
  ArenaPlan plan = planArena(lives, 64);
  checkPlan(lives, plan, 64);
  CHECK(plan.bytes == plan.lowerBound);
}

TEST_CASE("any lives: no overlap, and close to the lower bound") {
  std::mt19937 random(7);
  auto draw = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  double ratios = 0;
  constexpr int rounds = 200;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Lifetime> lives;
    for (int i = draw(1, 60); i > 0; --i) {
      int first = draw(0, 40);
      lives.push_back({first, first + draw(0, 8), draw(1, 5000)});
    }
    ArenaPlan plan = planArena(lives, 64);
    checkPlan(lives, plan, 64);
    ratios += static_cast<double>(plan.bytes) / plan.lowerBound;
  }
  CHECK(ratios / rounds < 1.01);
}
