//===- ModelTableTest.cpp - the runtime reads what the compiler wrote ----===//

#include "NativeCode.h"
#include "Scaler.h"

#include <catch2/catch.hpp>

#include <vector>

namespace {

struct CompiledScaler {
  Scaler scaler = buildScaler();
  NativeCode code{scaler.loops, "native", &scaler.record};
  const sinter_model &model =
      *code.lookup<const sinter_model *>("sinter_model_scaler");
};

} // namespace

TEST_CASE("the table holds every field of the record", "[modeltable]") {
  CompiledScaler compiled;
  const sinter_model &model = compiled.model;
  CHECK(model.abi_version == SINTER_ABI_VERSION);
  CHECK(std::string(model.name) == "scaler");
  CHECK(std::string(model.compiler).find("LLVM") != std::string::npos);
  CHECK(model.batch_bound == 8);
  CHECK(model.state_bytes == 128);
  CHECK(std::string(model.recipe).empty());

  REQUIRE(model.num_states == 1);
  const sinter_state_info &state = model.states[0];
  CHECK(std::string(state.name) == "scale/gamma");
  CHECK(state.role == SINTER_PARAMETER);
  REQUIRE(state.rank == 1);
  CHECK(state.shape[0] == 16);
  CHECK(state.offset == 64);
  CHECK(state.bytes == 64);
  CHECK(state.init == SINTER_INIT_CONSTANT);
  CHECK(state.init_a == 3);
  CHECK(state.data == nullptr);

  const sinter_function_info &predict = model.predict;
  CHECK(predict.arena_bytes == 100);
  REQUIRE(predict.num_inputs == 1);
  CHECK(predict.inputs[0].shape[0] == -1);
  CHECK(std::string(predict.outputs[0].name) == "prediction");
  REQUIRE(predict.num_kernels == 1);
  CHECK(predict.kernels[0].run != nullptr);
  CHECK(predict.kernels[0].tasks == 8);
  CHECK(predict.kernels[0].flops_per_sample == 16);
  REQUIRE(predict.num_buffers == 1);
  CHECK(std::string(predict.buffers[0].name) == "scale: mul");
  CHECK(predict.buffers[0].offset == 64);
  CHECK(predict.buffers[0].bytes == 36);
  CHECK(predict.buffers[0].first_kernel == 0);
  CHECK(predict.buffers[0].last_kernel == 2);
  CHECK(model.train_step.run == nullptr);
}

TEST_CASE("a step runs its kernel for the samples of the batch",
          "[modeltable]") {
  CompiledScaler compiled;
  const sinter_model &model = compiled.model;
  std::vector<char> block(model.state_bytes + 64);
  void *state = block.data();
  sinter_init_state(&model, state, /*seed=*/1);

  std::vector<float> x(8 * 16), y(x.size(), -1);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = float(i);
  const void *inputs[] = {x.data()};
  void *outputs[] = {y.data()};
  sinter_pool *pool = sinter_pool_create(2);
  sinter_call call = {state, nullptr, inputs, outputs, /*batch=*/5, pool};
  model.predict.run(&call);
  sinter_pool_destroy(pool);
  for (size_t i = 0; i < x.size(); ++i)
    CHECK(y[i] == (i < 5 * 16 ? 3 * x[i] : -1));
}
