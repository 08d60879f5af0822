// Native arctan, arcsin and arccos against the machine's libm in f64, in units
// of the last place. They are formulas of the frontend, not functions of the
// code generator, so this is where their bounds are held.
#include "frontend/ModelBuilder.h"
#include "ir/SinterDialect.h"
#include "passes/Pipeline.h"
#include "tests/unit/native/NativeModels.h"

#include "mlir/Pass/PassManager.h"

#include <catch2/catch.hpp>

#include <cmath>

using namespace sinter;
using namespace sinter::frontend;

/// Largest error of `function` over `xs`, in ulps of the true value.
static double worstError(const char *function, double (*truth)(double),
                         const std::vector<float> &xs) {
  ModelBuilder builder("angles");
  const size_t count = xs.size();
  Tensor x = builder.input({static_cast<int64_t>(count)});
  builder.layer(Config(function), x);
  builder.setBatchBound(1);
  std::unique_ptr<mlir::MLIRContext> context = createContext();
  mlir::OwningOpRef<mlir::ModuleOp> module = builder.build(*context);
  REQUIRE(module);
  mlir::PassManager passes(context.get());
  buildPipeline(passes, Stage::Planned);
  REQUIRE(mlir::succeeded(passes.run(*module)));
  test::NativeModels models(*context);
  const size_t model = models.add(*module);
  models.compile();
  reference::Tensor input;
  input.values = reference::Array::from_shape({1, count});
  for (size_t i = 0; i < count; ++i)
    input.values.flat(i) = xs[i];
  reference::State state;
  std::vector<reference::Tensor> inputs = {input};
  auto results = models.run(model, "predict", inputs, state, 1);
  double worst = 0;
  for (size_t i = 0; i < count; ++i) {
    const double want = truth(xs[i]), got = results[0].values.flat(i);
    const float size = static_cast<float>(std::fabs(want));
    const double ulp = std::nextafter(size, INFINITY) - size;
    worst = std::max(worst, std::fabs(got - want) / ulp);
  }
  return worst;
}

TEST_CASE("angles are exact to a few units in the last place", "[angles]") {
  std::vector<float> within, all;
  for (int i = -4000; i <= 4000; ++i)
    within.push_back(static_cast<float>(i) / 4000);
  for (float x : {1e-30f, 1e-7f, 3e-4f, 0.9999999f})
    within.insert(within.end(), {x, -x});
  all = within;
  for (float x = 1; x < 1e30f; x *= 1.01f)
    all.insert(all.end(), {x, -x});
  all.insert(all.end(), {INFINITY, -INFINITY});
  CHECK(worstError("arctan", std::atan, all) <= 3);
  CHECK(worstError("arcsin", std::asin, within) <= 5);
  CHECK(worstError("arccos", std::acos, within) <= 5);
}
