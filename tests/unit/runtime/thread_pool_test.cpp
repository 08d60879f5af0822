// thread_pool_test.cpp - every task runs once, on the thread that the header
// says, for any number of threads and tasks.
#include "runtime/sinter_runtime.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <limits>
#include <memory>
#include <pthread.h>
#include <thread>
#include <vector>

namespace {

struct Ran {
  std::atomic<int> times{0};
  pthread_t thread{};
};

void note(const sinter_call *call, int64_t task) {
  Ran &ran = static_cast<Ran *>(call->state)[task];
  ++ran.times;
  ran.thread = pthread_self();
}

struct DestroyPool {
  void operator()(sinter_pool *pool) const { sinter_pool_destroy(pool); }
};
using Pool = std::unique_ptr<sinter_pool, DestroyPool>;

sinter_call callWith(void *state, const Pool &pool) {
  return {state, nullptr, nullptr, nullptr, 1, pool.get()};
}

/// Runs `tasks` tasks and returns what ran.
std::vector<Ran> run(const Pool &pool, int64_t tasks) {
  std::vector<Ran> ran(static_cast<size_t>(tasks));
  sinter_call call = callWith(ran.data(), pool);
  sinter_parallel_for(&call, note, tasks);
  return ran;
}

} // namespace

TEST_CASE("every task runs exactly once") {
  for (int threads : {1, 2, 3, 4, 7, 16}) {
    Pool pool(sinter_pool_create(threads));
    REQUIRE(pool);
    CHECK(sinter_pool_threads(pool.get()) == threads);
    for (int64_t tasks : {0, 1, 2, 3, 5, 16, 17, 1000})
      for (const Ran &ran : run(pool, tasks))
        REQUIRE(ran.times == 1);
  }
}

TEST_CASE("thread t runs tasks t*tasks/T up to (t+1)*tasks/T") {
  Pool pool(sinter_pool_create(3));
  std::vector<Ran> ran = run(pool, 8); // 0 1 | 2 3 4 | 5 6 7
  auto sameThread = [&](size_t a, size_t b) {
    return pthread_equal(ran[a].thread, ran[b].thread) != 0;
  };
  CHECK(pthread_equal(ran[0].thread, pthread_self()));
  CHECK(sameThread(0, 1));
  CHECK_FALSE(sameThread(1, 2));
  CHECK(sameThread(2, 4));
  CHECK_FALSE(sameThread(4, 5));
  CHECK(sameThread(5, 7));
}

TEST_CASE("without a pool the caller runs all tasks in order") {
  std::vector<Ran> ran = run(nullptr, 5);
  for (const Ran &one : ran) {
    CHECK(one.times == 1);
    CHECK(pthread_equal(one.thread, pthread_self()));
  }
}

TEST_CASE("a single task runs on the calling thread") {
  Pool pool(sinter_pool_create(4));
  CHECK(pthread_equal(run(pool, 1)[0].thread, pthread_self()));
}

TEST_CASE("workers that fell asleep wake up") {
  Pool pool(sinter_pool_create(2));
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (const Ran &ran : run(pool, 2))
      REQUIRE(ran.times == 1);
  }
}

TEST_CASE("many rounds in a row lose no task") {
  Pool pool(sinter_pool_create(2));
  std::vector<Ran> ran(2);
  sinter_call call = callWith(ran.data(), pool);
  const int rounds = 50000;
  for (int round = 0; round < rounds; ++round)
    sinter_parallel_for(&call, note, 2);
  CHECK(ran[0].times == rounds);
  CHECK(ran[1].times == rounds);
}

TEST_CASE("a pool of no threads is refused") {
  CHECK(sinter_pool_create(0) == nullptr);
  CHECK(sinter_pool_create(-1) == nullptr);
  sinter_pool_destroy(nullptr);
}

#if defined(__x86_64__) || defined(__aarch64__)
static void halveSmallest(const sinter_call *call, int64_t task) {
  volatile float smallest = std::numeric_limits<float>::min();
  static_cast<float *>(call->state)[task] = smallest * 0.5f;
}

TEST_CASE("workers flush denormals, and the caller after asking for it") {
  Pool pool(sinter_pool_create(2));
  float halves[2] = {1, 1};
  sinter_call call = callWith(halves, pool);
  std::thread([&] {
    sinter_flush_denormals();
    sinter_parallel_for(&call, halveSmallest, 2);
  }).join();
  CHECK(halves[0] == 0.0f);
  CHECK(halves[1] == 0.0f);
}
#endif
