// The C++ way to make a model: the same graph as from a spec, the same errors.
#include "frontend/SpecBuilder.h"
#include "frontend/Summary.h"
#include "frontend/YamlReader.h"

#include "mlir/IR/MLIRContext.h"

#include <catch2/catch.hpp>

using namespace sinter::frontend;

static std::string graphOf(ModelBuilder &builder) {
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module = builder.build(context);
  REQUIRE(module);
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  return text;
}

static std::string reportsOf(const ModelBuilder &builder) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  builder.diagnostics().print(stream);
  return text;
}

TEST_CASE("C++ calls and a spec make the same graph", "[builder]") {
  ModelBuilder b("fashion_mlp");
  Tensor x = b.input({28, 28}, {.scale = 1.0 / 255});
  x = b.flatten(x);
  x = b.dense(x, {.units = 100, .activation = "relu", .name = "hidden"});
  x = b.dropout(x, 0.3);
  Tensor side = b.dense(x, {.units = 100,
                            .activation = {"leaky_relu", {{"", 0.1}}},
                            .useBias = false,
                            .kernelInitializer = "he_normal",
                            .kernelRegularizer = {"l2", {{"l2", 0.001}}}});
  x = b.add({x, side});
  x = b.multiply({x, side});
  x = b.concatenate({x, side});
  x = b.gaussianNoise(x, 0.1);
  x = b.reshape(x, {10, 20});
  x = b.flatten(x);
  x = b.activation(x, "tanh");
  b.dense(x, {.units = 10, .activation = "softmax", .trainable = false});
  b.setLoss("sparse_categorical_crossentropy");
  b.setOptimizer({"sgd", {{"learning_rate", 0.1}, {"momentum", 0.9}}});
  b.addMetric("accuracy");
  b.setBatchBound(64);

  Diagnostics diagnostics("spec.yaml");
  Spec spec = readSpec(R"(
model: fashion_mlp
input: {shape: [28, 28], scale: 1/255}
layers:
  - flatten
  - dense: {units: 100, activation: relu, name: hidden}
  - dropout: 0.3
  - dense:
      units: 100
      activation: {leaky_relu: 0.1}
      use_bias: false
      kernel_initializer: he_normal
      kernel_regularizer: {l2: 0.001}
  - add: {inputs: [dropout, dense]}
  - multiply: {inputs: [add, dense]}
  - concatenate: {inputs: [multiply, dense]}
  - gaussian_noise: 0.1
  - reshape: [10, 20]
  - flatten
  - activation: tanh
  - dense: {units: 10, activation: softmax, trainable: false}
loss: sparse_categorical_crossentropy
optimizer: {sgd: {learning_rate: 0.1, momentum: 0.9}}
metrics: [accuracy]
train: {batch_size: 64}
)",
                       diagnostics);
  ModelBuilder fromSpec(spec.name, diagnostics);
  CHECK(buildSpec(spec, fromSpec));
  CHECK(graphOf(b) == graphOf(fromSpec));
}

TEST_CASE("layers get Keras's names", "[builder]") {
  ModelBuilder b("m");
  Tensor x = b.input({4});
  for (int i = 0; i < 3; ++i)
    x = b.dense(x, {.units = 4});
  x = b.layer("relu", x);
  x = b.layer("leaky_relu", x);
  x = b.layer("elu", x);
  x = b.gaussianNoise(x, 1);
  std::vector<std::string> names;
  for (const LayerRecord &layer : b.layers())
    names.push_back(layer.name);
  CHECK(names == std::vector<std::string>{"input", "dense", "dense_1",
                                          "dense_2", "re_lu", "leaky_re_lu",
                                          "elu", "gaussian_noise"});
}

TEST_CASE("an automatic name steps aside", "[builder]") {
  ModelBuilder b("m");
  Tensor x = b.input({4});
  x = b.dense(x, {.units = 4, .name = "dense"});
  x = b.dense(x, {.units = 4});
  CHECK(b.layers()[2].name == "dense_1");
}

TEST_CASE("a recipe tells the layers, one a line", "[builder]") {
  ModelBuilder b("m");
  Tensor x = b.flatten(b.input({2, 2}));
  x = b.dense(x, {.units = 3, .name = "hidden"});
  const std::string layers = "summary.layer=flatten|Flatten|(None, 4)|0\n"
                             "summary.layer=hidden|Dense|(None, 3)|15\n";
  CHECK(summaryRecipe(b) == layers);
  // A model that branches shows its input, as in Keras.
  b.add({x, x}, "sum");
  CHECK(summaryRecipe(b) == "summary.layer=input|InputLayer|(None, 2, 2)|0\n" +
                                layers + "summary.layer=sum|Add|(None, 3)|0\n");
}

TEST_CASE("one fault gives one error", "[builder]") {
  ModelBuilder b("m");
  Tensor x = b.input({28, 28});
  x = b.layer({"conv2d", {{"filters", 8}, {"kernel_size", 3}}}, x);
  CHECK_FALSE(x);
  x = b.dense(x, {.units = 10});
  x = b.add({x, x});
  CHECK_FALSE(x);
  mlir::MLIRContext context;
  CHECK_FALSE(b.build(context));
  CHECK(reportsOf(b) ==
        "m: error: conv2d: expected images (height, width, channels), got (28, "
        "28); put 'reshape: [28, 28, 1]' before it\n");
}

TEST_CASE("arguments from C++ are checked like a spec's", "[builder]") {
  ModelBuilder b("m");
  Tensor x = b.input({4});
  b.dropout(x, 1.5);
  b.dense(x, {.units = 3, .activation = "rellu"});
  b.setOptimizer({"sgd", {{"momentun", 0.9}}});
  CHECK(reportsOf(b) ==
        "m: error: dropout: expected 'rate' to be a number in [0, 1), got 1.5\n"
        "m: error: unknown activation 'rellu'; did you mean 'relu'?\n"
        "m: error: sgd has no argument 'momentun'; did you mean 'momentum'?\n");
}

TEST_CASE("a model for inference needs no loss", "[builder]") {
  ModelBuilder b("m");
  b.dense(b.input({4}), {.units = 2});
  CHECK(graphOf(b).find("loss") == std::string::npos);
}

TEST_CASE("layers before the input", "[builder]") {
  ModelBuilder b("m");
  b.flatten(Tensor());
  CHECK(reportsOf(b) == "");
  b.layer("flatten", {});
  CHECK(reportsOf(b) == "m: error: flatten_1: expected 1 input, got 0\n");
}

TEST_CASE("several inputs and outputs", "[builder]") {
  ModelBuilder b("m");
  Tensor x = b.input({4}), y = b.input({4}, {.name = "other"});
  b.setOutputs({b.add({x, y}), b.multiply({x, y}, "product")});
  std::string graph = graphOf(b);
  CHECK(graph.find("input_names = [\"input\", \"other\"]") !=
        std::string::npos);
  CHECK(graph.find("result_names = [\"add\", \"product\"]") !=
        std::string::npos);
  CHECK(graph.find("-> (tensor<?x4xf32>, tensor<?x4xf32>)") !=
        std::string::npos);

  ModelBuilder trained("m");
  x = trained.input({4});
  y = trained.input({4}, {.name = "other"});
  trained.setOutputs(
      {trained.add({x, y}), trained.multiply({x, y}, "product")});
  trained.setLoss("mse");
  CHECK(!trained.check());
  CHECK(reportsOf(trained) ==
        "m: error: expected a loss for each output (loss: {add: "
        "mean_squared_error, ...}), since the model has several: add, "
        "product\n");
}

static const char *const twoEnds = R"(model: m
inputs: {a: [4], b: {shape: [4], scale: 0.5}}
layers:
  - dense: {units: 3, name: tower, inputs: a}
  - reuse: {layer: tower, inputs: b, name: again}
outputs: [tower, again]
loss: {tower: mse, again: mae}
loss_weights: {again: 2}
optimizer: sgd
metrics: {again: mse}
)";

TEST_CASE("several inputs and outputs, and a layer that is called again",
          "[builder]") {
  Diagnostics diagnostics("m.yaml", twoEnds);
  Spec spec = readSpec(twoEnds, diagnostics);
  ModelBuilder fromSpec("m", diagnostics);
  buildSpec(spec, fromSpec);
  REQUIRE_FALSE(diagnostics.hasErrors());

  ModelBuilder b("m");
  Tensor x = b.input({4}, {.name = "a"});
  Tensor y = b.input({4}, {.scale = 0.5, .name = "b"});
  Tensor tower = b.dense(x, {.units = 3, .name = "tower"});
  Tensor again = b.reuse(tower, {y}, "again");
  b.setOutputs({tower, again});
  std::vector<OutputLoss> losses(2);
  losses[0].output.name = "tower";
  losses[0].loss = "mean_squared_error";
  losses[1].output.name = "again";
  losses[1].loss = "mean_absolute_error";
  losses[1].weight = 2;
  b.setLosses(std::move(losses));
  b.setOptimizer("sgd");
  b.addMetric("mean_squared_error", Reference{"again", {}});
  CHECK(graphOf(b) == graphOf(fromSpec));

  CHECK(b.layers()[3].sharedWith == 2);
  CHECK(b.layers()[3].parameters.empty());
  CHECK(b.withParameters(b.layers()[3]).parameters[0].name == "tower/kernel");
}

TEST_CASE("what a layer that is called again refuses", "[builder]") {
  ModelBuilder b("m");
  Tensor x = b.input({4}), y = b.dense(x, {.units = 4, .name = "tower"});
  CHECK_FALSE(b.reuse(x, {y}));
  CHECK_FALSE(b.reuse(y, {b.reshape(y, {2, 2})}));
  CHECK_FALSE(b.reuse(y, {x}, "tower"));
  const std::string reports = reportsOf(b);
  CHECK(reports.find("expected a layer, got the input 'input'") !=
        std::string::npos);
  CHECK(reports.find("'tower/kernel' has the shape (4, 4), here it would be "
                     "(2, 4)") != std::string::npos);
  CHECK(reports.find("layer name 'tower' is used twice") != std::string::npos);

  ModelBuilder trained("m");
  x = trained.layer({"batch_normalization", {{"name", "norm"}}},
                    trained.input({4}));
  y = trained.reuse(x, {x});
  trained.setLoss("mean_squared_error");
  trained.setOptimizer("sgd");
  CHECK_FALSE(trained.check());
  CHECK(reportsOf(trained).find("norm_1: expected a layer without running "
                                "statistics") != std::string::npos);
}
