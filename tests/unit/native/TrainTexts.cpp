//===- TrainTexts.cpp - small networks to train --------------------------===//
//
// A network is written layer by layer; each layer's method returns the name of
// its value. Widths are no multiples of anything.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/native/TrainTexts.h"

using namespace sinter::test;

static std::string number(int64_t value) { return std::to_string(value); }

namespace {
/// A batched value of some features.
struct Layer {
  std::string value;
  int64_t width;
  std::string type() const { return "tensor<?x" + number(width) + "xf32>"; }
};

class Network {
public:
  explicit Network(std::string inputShape = "")
      : inputShape(std::move(inputShape)) {}

  Layer input(int64_t width) {
    inputWidth = width;
    Layer flat{"%x", width};
    if (inputShape.empty())
      inputShape = number(width);
    else
      flat = make(width, "sinter.reshape %x : tensor<?x" + inputShape +
                             "xf32> -> tensor<?x" + number(width) + "xf32>");
    return flat;
  }

  /// x w + b; the weights are new ones unless `shared` names a layer's.
  Layer dense(Layer x, int64_t width, const std::string &regularizer = "",
              const std::string &shared = "") {
    std::string name = shared.empty() ? "dense" + number(count) : shared;
    last = name;
    std::string kernel =
        "tensor<" + number(x.width) + "x" + number(width) + "xf32>";
    std::string bias = "tensor<" + number(width) + "xf32>";
    if (shared.empty())
      states += "sinter.state parameter @\"" + name + "/kernel\" : " + kernel +
                " = uniform(-1.0, 1.0) " + regularizer +
                "\nsinter.state parameter @\"" + name + "/bias\" : " + bias +
                " = uniform(-1.0, 1.0)\n";
    std::string w = emit("sinter.read @\"" + name + "/kernel\" : " + kernel);
    std::string b = emit("sinter.read @\"" + name + "/bias\" : " + bias);
    // Keeps the pre-activations near 1 for weights on (-1, 1).
    Layer scaled =
        make(x.width, "sinter.mul " + x.value + ", %small : (" + x.type() +
                          ", tensor<f32>) -> " + x.type());
    Layer product = make(width, "sinter.matmul " + scaled.value + ", " + w +
                                    " : (" + x.type() + ", " + kernel +
                                    ") -> tensor<?x" + number(width) + "xf32>");
    return make(width, "sinter.add " + product.value + ", " + b + " : (" +
                           product.type() + ", " + bias + ") -> " +
                           product.type());
  }

  /// An op of one operand and the same type: "tanh", "dropout" "stream 0 {..}".
  Layer apply(Layer x, const std::string &op, const std::string &rest = "") {
    return make(x.width,
                "sinter." + op + " " + x.value + " " + rest + " : " + x.type());
  }

  /// add, mul, sub, maximum of two values of one shape.
  Layer combine(const std::string &op, Layer x, Layer y) {
    return make(x.width, "sinter." + op + " " + x.value + ", " + y.value +
                             " : (" + x.type() + ", " + y.type() + ") -> " +
                             x.type());
  }

  Layer concatenate(Layer x, Layer y) {
    Layer result{"", x.width + y.width};
    return make(result.width, "sinter.concatenate " + x.value + ", " + y.value +
                                  " axis 1 : (" + x.type() + ", " + y.type() +
                                  ") -> " + result.type());
  }

  const std::string &lastDense() const { return last; }

  std::string model(const std::string &name, int64_t bound, Layer result,
                    const std::string &loss, const std::string &optimizer,
                    const std::string &metrics) const {
    return "sinter.model @" + name + " batch_bound " + number(bound) +
           " attributes {loss = {" + loss + "}, optimizer = {" + optimizer +
           "}, metrics = [" + metrics + "]} {\n" + states +
           "func.func @forward(%x: tensor<?x" + inputShape + "xf32>) -> " +
           result.type() +
           " {\n%small = sinter.constant dense<0.4> : tensor<f32>\n" + body +
           "return " + result.value + " : " + result.type() + "\n}\n}\n";
  }

private:
  std::string emit(const std::string &op) {
    std::string value = "%v" + number(count++);
    body += value + " = " + op + "\n";
    return value;
  }
  Layer make(int64_t width, const std::string &op) { return {emit(op), width}; }

  std::string inputShape, states, body, last;
  int64_t inputWidth = 0, count = 0;
};
} // namespace

//===----------------------------------------------------------------------===//
// Networks
//===----------------------------------------------------------------------===//

/// dense, activation, dropout, dense, activation.
static std::string chain(const std::string &name, int64_t bound, int64_t width,
                         const std::string &hidden, const std::string &output,
                         const std::string &loss, const std::string &optimizer,
                         const std::string &metrics = "") {
  Network n("2x7");
  Layer h = n.apply(n.dense(n.input(14), 21), hidden);
  h = n.apply(h, "dropout", "stream 0 {rate = 0.3 : f32}");
  Layer y = n.dense(h, width);
  if (!output.empty())
    y = n.apply(y, output);
  return n.model(name, bound, y, loss, optimizer, metrics);
}

/// A layer with rows of weights enough for an update that runs beside the next
/// rows' products, in two tasks (codegen/LateEpilogue.h).
static std::string manyRows(const std::string &name, int64_t bound,
                            int64_t units, const std::string &loss,
                            const std::string &optimizer) {
  Network n;
  Layer h = n.apply(n.dense(n.input(200), units), "tanh");
  return n.model(name, bound, n.dense(h, 6), loss, optimizer, "");
}

/// Values read several times: sum, product, maximum, concatenation, noise.
static std::string branches(const std::string &name, int64_t bound,
                            int64_t width, const std::string &output,
                            const std::string &loss,
                            const std::string &optimizer,
                            const std::string &metrics = "") {
  Network n;
  Layer x = n.input(11);
  Layer a = n.apply(
      n.dense(x, 18, "{regularizer = {l1 = 0.001 : f32, l2 = 0.01 : f32}}"),
      "tanh");
  Layer noisy = n.apply(a, "gaussian_noise", "stream 0 {stddev = 0.1 : f32}");
  Layer b = n.apply(n.dense(noisy, 18), "gelu");
  b = n.apply(b, "dropout", "stream 1 {rate = 0.25 : f32}");
  Layer gate = n.apply(n.dense(x, 18), "sigmoid");
  Layer sum = n.combine("add", a, b);
  Layer product = n.combine("mul", sum, gate);
  Layer largest = n.combine("maximum", a, gate);
  Layer joined = n.concatenate(n.concatenate(product, largest), x);
  Layer y = n.dense(joined, width,
                    "{regularizer = {l1 = 0.0 : f32, l2 = 0.01 : f32}}");
  if (!output.empty())
    y = n.apply(y, output);
  return n.model(name, bound, y, loss, optimizer, metrics);
}

/// One dense layer three times over.
static std::string shared(const std::string &name, int64_t bound, int64_t width,
                          const std::string &output, const std::string &loss,
                          const std::string &optimizer,
                          const std::string &metrics = "") {
  Network n;
  Layer h = n.dense(n.input(9), 9);
  std::string weights = n.lastDense();
  h = n.apply(h, "elu", "{alpha = 1.0 : f32}");
  h = n.apply(n.dense(h, 9, "", weights), "softplus");
  h = n.apply(n.dense(h, 9, "", weights), "silu");
  Layer y = n.dense(h, width);
  if (!output.empty())
    y = n.apply(y, output);
  return n.model(name, bound, y, loss, optimizer, metrics);
}

/// Layers with no weights in between, activations that are left.
static std::string deep(const std::string &name, int64_t bound, int64_t width,
                        const std::string &loss, const std::string &optimizer,
                        const std::string &metrics = "") {
  Network n;
  Layer h =
      n.apply(n.dense(n.input(5), 33), "leaky_relu", "{alpha = 0.3 : f32}");
  h = n.apply(n.dense(h, 7), "selu");
  h = n.apply(n.dense(h, 1), "gelu", "{approximate}");
  h = n.apply(n.dense(h, 16), "hard_sigmoid");
  h = n.apply(n.dense(h, 17), "relu");
  return n.model(name, bound, n.dense(h, width), loss, optimizer, metrics);
}

/// Two inputs through one shared layer; two outputs, each with a loss and a
/// target of its own kind.
static std::string severalEnds(const std::string &name, int64_t bound) {
  return "sinter.model @" + name + " batch_bound " + number(bound) +
         R"( attributes {
  loss = {name = "weighted_sum", losses = [
    {name = "sparse_categorical_crossentropy", output = "kind", weight = 1.0},
    {name = "mean_squared_error", output = "size", weight = 0.25}]},
  optimizer = {name = "sgd", learning_rate = 0.1, momentum = 0.9},
  metrics = [{name = "sparse_categorical_accuracy", title = "kind_accuracy", output = "kind"},
             {name = "mean_absolute_error", title = "size_mae", output = "size"}]} {
  sinter.state parameter @"tower/kernel" : tensor<6x11xf32> = uniform(-0.5, 0.5)
  sinter.state parameter @"kind/kernel" : tensor<22x5xf32> = uniform(-0.5, 0.5)
  sinter.state parameter @"size/kernel" : tensor<11x3xf32> = uniform(-0.5, 0.5)
  func.func @forward(%left: tensor<?x6xf32>, %right: tensor<?x6xf32>) -> (tensor<?x5xf32>, tensor<?x3xf32>)
      attributes {sinter.input_names = ["left", "right"], sinter.result_names = ["kind", "size"]} {
    %w = sinter.read @"tower/kernel" : tensor<6x11xf32>
    %a0 = sinter.matmul %left, %w : (tensor<?x6xf32>, tensor<6x11xf32>) -> tensor<?x11xf32>
    %a = sinter.tanh %a0 : tensor<?x11xf32>
    %b0 = sinter.matmul %right, %w : (tensor<?x6xf32>, tensor<6x11xf32>) -> tensor<?x11xf32>
    %b = sinter.tanh %b0 : tensor<?x11xf32>
    %both = sinter.concatenate %a, %b axis 1 : (tensor<?x11xf32>, tensor<?x11xf32>) -> tensor<?x22xf32>
    %k = sinter.read @"kind/kernel" : tensor<22x5xf32>
    %logits = sinter.matmul %both, %k : (tensor<?x22xf32>, tensor<22x5xf32>) -> tensor<?x5xf32>
    %kind = sinter.softmax %logits : tensor<?x5xf32>
    %s = sinter.read @"size/kernel" : tensor<11x3xf32>
    %size = sinter.matmul %b, %s : (tensor<?x11xf32>, tensor<11x3xf32>) -> tensor<?x3xf32>
    return %kind, %size : tensor<?x5xf32>, tensor<?x3xf32>
  }
})";
}

//===----------------------------------------------------------------------===//
// The list
//===----------------------------------------------------------------------===//

std::vector<TrainText> sinter::test::trainTexts() {
  const std::string sparse = R"(name = "sparse_categorical_crossentropy")";
  const std::string categorical = R"(name = "categorical_crossentropy")";
  const std::string binary = R"(name = "binary_crossentropy")";
  const std::string mse = R"(name = "mean_squared_error")";
  const std::string sparseMetrics =
      R"({name = "sparse_categorical_accuracy", title = "accuracy"},
         {name = "sparse_top_k_categorical_accuracy", k = 2})";
  const std::string classMetrics =
      R"({name = "categorical_accuracy", title = "accuracy"},
         {name = "top_k_categorical_accuracy", k = 3})";
  const std::string sgd = R"(name = "sgd", learning_rate = 0.1)";
  const std::string adam =
      R"(name = "adam", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.999, epsilon = 1.0e-7)";
  auto scheduled = [](const std::string &schedule) {
    return "name = \"sgd\", learning_rate = {" + schedule + "}";
  };
  return {
      {"t0", chain("t0", 20, 5, "relu", "softmax", sparse, adam, sparseMetrics),
       20, 5, 0, 1},
      {"t1",
       chain(
           "t1", 48, 17, "tanh", "softmax",
           categorical + ", label_smoothing = 0.1",
           R"(name = "rmsprop", learning_rate = 0.01, rho = 0.9, epsilon = 1.0e-7)",
           classMetrics),
       48, 2, 0, 1},
      {"t2",
       chain("t2", 20, 3, "relu", "sigmoid", binary,
             sgd + ", momentum = 0.9, nesterov = true",
             R"({name = "binary_accuracy", threshold = 0.5})"),
       20, 2, 0, 1},
      {"t3",
       chain(
           "t3", 16, 4, "silu", "", mse,
           R"(name = "adagrad", learning_rate = 0.05, initial_accumulator_value = 0.1, epsilon = 1.0e-7)",
           R"({name = "mean_absolute_error"}, {name = "huber", delta = 0.7})"),
       16, 2, -1, 1},
      {"t4",
       branches(
           "t4", 20, 3, "", R"(name = "mean_absolute_error")",
           R"(name = "adadelta", learning_rate = 1.0, rho = 0.95, epsilon = 1.0e-7)"),
       20, 2, -1, 1},
      {"t5",
       branches(
           "t5", 33, 17, "", R"(name = "huber", delta = 0.5)",
           R"(name = "nadam", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.999, epsilon = 1.0e-7)"),
       33, 2, -2, 2},
      {"t6",
       branches(
           "t6", 20, 1, "tanh", R"(name = "hinge")",
           R"(name = "adamw", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.999, epsilon = 1.0e-7, weight_decay = 0.01)"),
       20, 2, -1, 1},
      {"t7", shared("t7", 20, 2, "", mse, sgd + ", clipnorm = 0.1"), 20, 2, -1,
       1},
      {"t8",
       shared("t8", 19, 4, "softmax", sparse, adam + ", global_clipnorm = 0.2",
              sparseMetrics),
       19, 4, 0, 1},
      {"t9",
       branches("t9", 20, 6, "softplus", sparse, sgd + ", clipvalue = 0.02"),
       20, 6, 0, 1},
      {"t10",
       chain(
           "t10", 20, 4, "sin", "softplus", categorical,
           R"(name = "rmsprop", learning_rate = 0.01, rho = 0.9, momentum = 0.9, centered = true, epsilon = 1.0e-3)"),
       20, 2, 0, 1},
      {"t11",
       chain(
           "t11", 20, 1, "tanh", "sigmoid", binary,
           scheduled(
               R"(name = "exponential_decay", initial_learning_rate = 0.1, decay_steps = 2, decay_rate = 0.5)")),
       20, 2, 0, 1},
      {"t12",
       chain(
           "t12", 7, 1, "tanh", "", mse,
           scheduled(
               R"(name = "cosine_decay", initial_learning_rate = 0.01, decay_steps = 3, warmup_target = 0.1, warmup_steps = 2)")),
       7, 2, 0, 1},
      {"t13",
       deep(
           "t13", 20, 3, sparse + ", from_logits = true",
           scheduled(
               R"(name = "piecewise_constant_decay", boundaries = [1, 2], values = [0.1, 0.02, 0.3])")),
       20, 3, 0, 1},
      {"t14",
       chain(
           "t14", 20, 3, "tanh", "hard_sigmoid",
           binary + ", label_smoothing = 0.2",
           scheduled(
               R"(name = "exponential_decay", initial_learning_rate = 0.1, decay_steps = 2, decay_rate = 0.5, staircase = true)")),
       20, 2, 0, 1},
      {"t15", deep("t15", 1, 2, mse, adam), 1, 2, 0, 1},
      {"t16", severalEnds("t16", 20), 20, 5, -1, 1},
      {"t17",
       manyRows(
           "t17", 20, 256, mse,
           R"(name = "rmsprop", learning_rate = 0.01, rho = 0.9, epsilon = 1.0e-7)"),
       20, 2, -1, 1},
      {"t18",
       manyRows("t18", 40, 100, mse, R"(name = "sgd", learning_rate = 0.01)"),
       40, 2, -1, 1},
  };
}

TrainText sinter::test::wideTrainText() {
  Network n;
  Layer h = n.apply(n.dense(n.input(150), 130), "relu");
  h = n.apply(h, "dropout", "stream 0 {rate = 0.5 : f32}");
  h = n.apply(n.dense(h, 90), "tanh");
  Layer y = n.apply(n.dense(h, 10), "softmax");
  return {
      "wide",
      n.model(
          "wide", 48, y, R"(name = "sparse_categorical_crossentropy")",
          R"(name = "adam", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.999, epsilon = 1.0e-7, global_clipnorm = 1.0)",
          R"({name = "sparse_categorical_accuracy"})"),
      48,
      10,
      0,
      1};
}
