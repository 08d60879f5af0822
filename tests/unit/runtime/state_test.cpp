// state_test.cpp - initialisers: right distribution, same bits every time.
#include "fake_model.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <vector>

namespace {

/// A model that is one tensor of 40,000 numbers.
struct OneTensor {
  static constexpr int64_t count = 40000;
  int64_t shape[1] = {count};
  sinter_state_info info;
  sinter_model model = {};

  OneTensor(sinter_init_kind kind, float a, float b)
      : info{"w",
             SINTER_F32,
             SINTER_PARAMETER,
             1,
             shape,
             0,
             count * int64_t{sizeof(float)},
             kind,
             a,
             b,
             nullptr} {
    model.state_bytes = info.bytes;
    model.derived_offset = info.bytes;
    model.num_states = 1;
    model.states = &info;
  }

  std::vector<float> init(uint64_t seed) {
    std::vector<float> values(count, NAN);
    sinter_init_state(&model, values.data(), seed);
    return values;
  }
};

double mean(const std::vector<float> &values) {
  double sum = 0;
  for (float value : values)
    sum += value;
  return sum / static_cast<double>(values.size());
}

double deviation(const std::vector<float> &values) {
  double m = mean(values), sum = 0;
  for (float value : values)
    sum += (value - m) * (value - m);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

} // namespace

TEST_CASE("uniform fills [a, b) evenly") {
  std::vector<float> values = OneTensor(SINTER_INIT_UNIFORM, -2, 4).init(7);
  auto [least, most] = std::minmax_element(values.begin(), values.end());
  CHECK(*least >= -2);
  CHECK(*most < 4);
  CHECK(mean(values) == Approx(1).margin(0.03));
  CHECK(deviation(values) == Approx(6 / std::sqrt(12.0)).epsilon(0.01));
}

TEST_CASE("normal has mean a and deviation b") {
  std::vector<float> values = OneTensor(SINTER_INIT_NORMAL, 1, 2).init(7);
  CHECK(mean(values) == Approx(1).margin(0.04));
  CHECK(deviation(values) == Approx(2).epsilon(0.015));
  auto beyond = std::count_if(values.begin(), values.end(), [](float value) {
    return std::abs(value - 1) > 4;
  });
  CHECK(static_cast<double>(beyond) / OneTensor::count ==
        Approx(0.0455).margin(0.005));
}

TEST_CASE("truncated normal redraws values beyond two deviations") {
  std::vector<float> values =
      OneTensor(SINTER_INIT_TRUNCATED_NORMAL, 1, 2).init(7);
  auto [least, most] = std::minmax_element(values.begin(), values.end());
  CHECK(*least >= -3);
  CHECK(*most <= 5);
  CHECK(mean(values) == Approx(1).margin(0.04));
  CHECK(deviation(values) == Approx(2 * 0.87962566).epsilon(0.015));
}

TEST_CASE("orthogonal makes the shorter vectors orthonormal, times a") {
  auto [rows, columns] =
      GENERATE(std::pair(16, 64), std::pair(64, 16), std::pair(20, 20));
  const float size = 1.5f;
  OneTensor tensor(SINTER_INIT_ORTHOGONAL, size, 0);
  const int64_t shape[] = {2, rows / 2, columns};
  tensor.info.rank = 3;
  tensor.info.shape = shape;
  tensor.info.bytes = rows * columns * int64_t{sizeof(float)};
  const std::vector<float> values = tensor.init(7);
  const bool by_rows = rows <= columns;
  const int count = by_rows ? rows : columns;
  const int length = by_rows ? columns : rows;
  for (int v = 0; v < count; ++v)
    for (int w = 0; w <= v; ++w) {
      double dot = 0;
      for (int e = 0; e < length; ++e)
        dot += by_rows ? values[v * columns + e] * values[w * columns + e]
                       : values[e * columns + v] * values[e * columns + w];
      CHECK(dot == Approx(v == w ? size * size : 0).margin(1e-5));
    }
  CHECK(values != tensor.init(8));
}

TEST_CASE("constants and data are taken as they are") {
  CHECK(OneTensor(SINTER_INIT_CONSTANT, 0.25f, 0).init(7) ==
        std::vector<float>(OneTensor::count, 0.25f));
  OneTensor tensor(SINTER_INIT_DATA, 0, 0);
  std::vector<float> data(OneTensor::count);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<float>(i);
  tensor.info.data = data.data();
  CHECK(tensor.init(7) == data);
}

TEST_CASE("initial values depend on the seed, all 64 bits of it") {
  OneTensor tensor(SINTER_INIT_NORMAL, 0, 1);
  CHECK(tensor.init(7) == tensor.init(7));
  CHECK(tensor.init(7) != tensor.init(8));
  CHECK(tensor.init(7) != tensor.init(7 + (uint64_t{1} << 32)));
}

TEST_CASE("the iteration starts at 0 and the seed is kept") {
  sinter_model model = fake_model("");
  std::vector<char> state(static_cast<size_t>(model.state_bytes), 'x');
  sinter_init_state(&model, state.data(), 0x0123456789abcdefu);
  const sinter_state_info *iteration =
      sinter_find_state(&model, "optimizer/iteration");
  const sinter_state_info *seed = sinter_find_state(&model, "optimizer/seed");
  REQUIRE(iteration);
  REQUIRE(seed);
  int32_t value;
  uint32_t halves[2];
  std::memcpy(&value, state.data() + iteration->offset, sizeof value);
  std::memcpy(halves, state.data() + seed->offset, sizeof halves);
  CHECK(value == 0);
  CHECK(halves[0] == 0x89abcdefu);
  CHECK(halves[1] == 0x01234567u);
  CHECK(sinter_find_state(&model, "hidden/kernel") == nullptr);
}
