// main.cpp - two models in one C++ program.
//
// Trains one, copies it, carries its weights through memory, and looks at them
// through xtensor where that is installed. The other is only asked.
#include "exclusive_or.hpp"
#include "forecast.hpp"

#include <cmath>
#include <cstdio>

int main() try {
  const float inputs[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  const float targets[4] = {0, 1, 1, 0};

  exclusive_or::Pool threads(2);
  exclusive_or::Model model(/*seed=*/1, &threads);
  exclusive_or::Model::Results results{};
  for (int step = 0; step < 500; ++step)
    results = model.train_step(&inputs[0][0], targets, 4);
  std::printf("loss %.4f, accuracy %.2f\n", static_cast<double>(results.loss),
              static_cast<double>(results.accuracy));

  // A new model with the same weights says the same.
  const std::vector<unsigned char> weights = model.save_memory();
  exclusive_or::Model other(/*seed=*/2);
  other.load_memory(weights.data(), weights.size());
  float said[4], repeated[4];
  model.predict(&inputs[0][0], 4, said);
  other.predict(&inputs[0][0], 4, repeated);
  for (int i = 0; i < 4; ++i) {
    std::printf("%g xor %g = %.3f\n", static_cast<double>(inputs[i][0]),
                static_cast<double>(inputs[i][1]),
                static_cast<double>(said[i]));
    if (std::memcmp(&said[i], &repeated[i], sizeof said[i]) != 0 ||
        std::fabs(said[i] - targets[i]) > 0.2f)
      return 1;
  }

#ifdef SINTER_XTENSOR
  const xt::xtensor<float, 2> rows = {{0, 1}, {1, 1}};
  const xt::xtensor<float, 2> answers = model.predict(rows);
  std::printf("from xtensor: %.3f %.3f; weights of shape %zu x %zu\n",
              static_cast<double>(answers(0, 0)),
              static_cast<double>(answers(1, 0)),
              model.hidden_kernel().shape(0), model.hidden_kernel().shape(1));
  if (std::fabs(answers(0, 0) - said[1]) > 1e-5f)
    return 1;
#endif

  // Errors are exceptions.
  try {
    other.load("no/such/file");
    return 1;
  } catch (const std::runtime_error &error) {
    std::printf("%s\n", error.what());
  }

  forecast::Model forecaster;
  const std::vector<float> past(16, 0.5f);
  float next;
  forecaster.predict(past.data(), 1, &next);
  std::printf("forecast %s\n", std::isfinite(next) ? "made" : "failed");
  return std::isfinite(next) ? 0 : 1;
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
