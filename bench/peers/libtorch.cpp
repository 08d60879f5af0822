// libtorch.cpp - a training step of a network with one hidden layer, as a user
// of PyTorch's C++ library writes it: modules, autograd, torch::optim.
//
//   peer_libtorch HIDDEN adam|rmsprop BATCH PIXELS CLASSES THREADS DATA
//
// DATA as bench_step reads it. Denormals count as zero. Timed in slices
// (slices.h).
#include "bench/slices.h"

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <torch/torch.h>

int main(int argc, char **argv) {
  if (argc != 8) {
    std::fprintf(stderr,
                 "usage: peer_libtorch HIDDEN adam|rmsprop BATCH PIXELS "
                 "CLASSES THREADS DATA\n");
    return 2;
  }
  const int64_t hidden = std::atol(argv[1]), batch = std::atol(argv[3]),
                pixels = std::atol(argv[4]), classes = std::atol(argv[5]);
  torch::set_num_threads(std::atoi(argv[6]));
  at::globalContext().setFlushDenormal(true);
  torch::manual_seed(42);

  std::ifstream file(argv[7], std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  const int64_t samples = static_cast<int64_t>(bytes.size()) / (pixels + 1);
  auto raw = [&](int64_t offset, at::IntArrayRef shape) {
    return torch::from_blob(bytes.data() + offset, shape, torch::kUInt8);
  };
  torch::Tensor x = raw(0, {samples, pixels}).to(torch::kFloat) / 255;
  torch::Tensor y =
      raw(samples * pixels, {samples}).to(torch::kLong).remainder(classes);

  torch::nn::Sequential model(torch::nn::Linear(pixels, hidden),
                              torch::nn::ReLU(),
                              torch::nn::Linear(hidden, classes));
  std::unique_ptr<torch::optim::Optimizer> optimizer;
  if (std::string(argv[2]) == "adam")
    optimizer = std::make_unique<torch::optim::Adam>(
        model->parameters(), torch::optim::AdamOptions(1e-3).eps(1e-7));
  else
    optimizer = std::make_unique<torch::optim::RMSprop>(
        model->parameters(),
        torch::optim::RMSpropOptions(1e-3).alpha(0.9).eps(1e-7));

  int64_t first = 0;
  serveSlices([&] {
    torch::Tensor inputs = x.narrow(0, first, batch),
                  targets = y.narrow(0, first, batch);
    first = first + 2 * batch <= samples ? first + batch : 0;
    optimizer->zero_grad();
    torch::Tensor loss =
        torch::nn::functional::cross_entropy(model->forward(inputs), targets);
    loss.backward();
    optimizer->step();
  });
  return 0;
}
