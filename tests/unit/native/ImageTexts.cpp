//===- ImageTexts.cpp - random networks of images ------------------------===//
//
// Problem: fusion and the loop nests meet in combinations that nobody lists.
// Idea: a network is a few random blocks, each of them layers as people stack
// them, then a classifier. A block may read an older value: several readers,
// residuals, gates.
// Nothing is ill-conditioned: weights have their layer's scale, epsilons are
// large, and what an optimizer divides by is far from 0.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/native/ImageTexts.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <tuple>

using namespace sinter::test;

static std::string number(int64_t value) { return std::to_string(value); }
static std::string number(double value) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "%.6e", value);
  return text;
}
static std::string pair(int64_t a, int64_t b) {
  return "[" + number(a) + ", " + number(b) + "]";
}

namespace {
struct Image {
  std::string value;
  int64_t h, w, c;
  int64_t size() const { return h * w * c; }
  std::string type() const {
    return "tensor<?x" + number(h) + "x" + number(w) + "x" + number(c) +
           "xf32>";
  }
  bool hasShapeOf(const Image &other) const {
    return h == other.h && w == other.w && c == other.c;
  }
};

/// One axis of a convolution or of pooling.
struct Axis {
  int64_t taps, stride, dilation, low, high, windows;
};

class Writer {
public:
  explicit Writer(uint64_t seed, bool large = false)
      : random(seed * 2654435761u + 1), large(large) {}

  TrainText write(const std::string &name);

private:
  // ---- Chance
  int64_t upTo(int64_t most) { return below(most) + 1; }
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(bound));
  }
  bool chance(int64_t percent) { return below(100) < percent; }
  template <typename T> T oneOf(std::initializer_list<T> values) {
    return values.begin()[below(static_cast<int64_t>(values.size()))];
  }

  // ---- Text
  std::string emit(const std::string &op) {
    std::string value = "%v" + number(count++);
    body += value + " = sinter." + op + "\n";
    return value;
  }
  std::string constant(double value) {
    return emit("constant dense<" + number(value) + "> : tensor<f32>");
  }
  /// A parameter, or now and then a frozen one, read.
  std::string weight(const std::string &type, double from, double to) {
    std::string name = "w" + number(count++);
    bool frozen = !older.empty() && chance(15);
    states += "sinter.state " + std::string(frozen ? "frozen" : "parameter") +
              " @" + name + " : " + type + " = uniform(" + number(from) + ", " +
              number(to) + ")" +
              (!frozen && chance(10)
                   ? " {regularizer = {l1 = 0.001 : f32, l2 = 0.01 : f32}}"
                   : "") +
              "\n";
    return emit("read @" + name + " : " + type);
  }
  Image same(const Image &x, const std::string &op) {
    Image result = x;
    result.value = emit(op);
    return result;
  }
  Image apply(const Image &x, const std::string &op,
              const std::string &rest = "") {
    return same(x, op + " " + x.value + " " + rest + " : " + x.type());
  }
  Image binary(const std::string &op, const Image &x, const std::string &y,
               const std::string &type) {
    return same(x, op + " " + x.value + ", " + y + " : (" + x.type() + ", " +
                       type + ") -> " + x.type());
  }
  Image binary(const std::string &op, const Image &x, const Image &y) {
    return binary(op, x, y.value, y.type());
  }

  // ---- Layers
  Axis axis(int64_t pixels, bool pooling);
  Image conv(const Image &x, int64_t filters, bool keepSize, bool bias);
  Image transposed(const Image &x);
  Image bias(const Image &x) {
    std::string type = "tensor<" + number(x.c) + "xf32>";
    return binary("add", x, weight(type, -0.5, 0.5), type);
  }
  std::string batchNorm(const std::string &x, const std::string &type,
                        int64_t channels);
  Image batchNorm(const Image &x) {
    Image y = x;
    y.value = batchNorm(x.value, x.type(), x.c);
    return y;
  }
  Image layerNorm(const Image &x);
  Image activation(const Image &x);
  Image drop(const Image &x);
  Image pool(const Image &x, const std::string &kind);
  Image upsample(const Image &x);
  Image gate(const Image &x);
  Image reshaped(const Image &x);
  Image reduced(const Image &x);
  Image flatAndBack(const Image &x);
  Image twice(const Image &x);
  Image block(const Image &x);

  std::string dense(const std::string &x, int64_t from, int64_t to);

  std::mt19937_64 random;
  const bool large;
  std::string states, body;
  std::string convolution; // the last one, without its image
  int64_t count = 0, streams = 0;
  std::vector<Image> older; // what a block has read
};
} // namespace

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

Axis Writer::axis(int64_t pixels, bool pooling) {
  for (;;) {
    Axis a;
    a.taps = chance(85) ? upTo(4) : upTo(8);
    a.stride = upTo(3);
    a.dilation = pooling || chance(70) ? 1 : upTo(3);
    int64_t reach = a.dilation * (a.taps - 1) + 1;
    int64_t most = pooling ? a.taps : reach + 1;
    a.low = chance(50) ? 0 : below(most);
    a.high = chance(50) ? 0 : below(most);
    int64_t room = pixels + a.low + a.high - reach;
    a.windows = room < 0 ? 0 : room / a.stride + 1;
    // Pooling windows begin and end in the image.
    bool inside = !pooling || (a.low < a.taps && a.high < a.taps);
    if (a.windows > 0 && inside)
      return a;
  }
}

static std::string windowText(const Axis &v, const Axis &h) {
  return "strides " + pair(v.stride, h.stride) + " dilations " +
         pair(v.dilation, h.dilation) + " padding [" + number(v.low) + ", " +
         number(v.high) + ", " + number(h.low) + ", " + number(h.high) + "]";
}

Image Writer::conv(const Image &x, int64_t filters, bool keepSize,
                   bool withBias) {
  Axis v = axis(x.h, false), h = axis(x.w, false);
  if (keepSize)
    for (Axis *a : {&v, &h}) {
      int64_t reach = a->dilation * (a->taps - 1);
      a->stride = 1;
      a->low = below(reach + 1);
      a->high = reach - a->low;
      a->windows = a == &v ? x.h : x.w;
    }
  int64_t groups = 1;
  for (int64_t g : {x.c, oneOf<int64_t>({1, 2, 3})})
    if (chance(25) && x.c % g == 0) {
      groups = g;
      // A multiple of the groups, near what was asked for.
      filters = keepSize && filters % g != 0
                    ? filters
                    : std::max<int64_t>(1, filters / g) * g;
    }
  if (filters % groups != 0)
    groups = 1;
  int64_t channels = x.c / groups;
  double scale = 1.5 / std::sqrt(double(v.taps * h.taps * channels));
  std::string type = "tensor<" + number(v.taps) + "x" + number(h.taps) + "x" +
                     number(channels) + "x" + number(filters) + "xf32>";
  std::string w = weight(type, -scale, scale);
  Image y{"", v.windows, h.windows, filters};
  convolution = ", " + w + " " + windowText(v, h) + " groups " +
                number(groups) + " : (" + x.type() + ", " + type + ") -> " +
                y.type();
  y.value = emit("conv2d " + x.value + convolution);
  return withBias ? bias(y) : y;
}

Image Writer::transposed(const Image &x) {
  // The window of the image that comes out, which has x's pixels as windows.
  auto grow = [&](int64_t windows) {
    for (;;) {
      Axis a{upTo(4), upTo(3), chance(80) ? 1 : 2, below(3), below(3), windows};
      int64_t reach = a.dilation * (a.taps - 1) + 1;
      int64_t pixels =
          (windows - 1) * a.stride + reach - a.low - a.high + below(a.stride);
      if (pixels >= 1 && pixels <= 13)
        return std::make_pair(a, pixels);
    }
  };
  auto [v, height] = grow(x.h);
  auto [h, width] = grow(x.w);
  int64_t groups = chance(25) ? x.c : 1;
  int64_t channels = groups == 1 ? upTo(9) : 1;
  Image y{"", height, width, channels * groups};
  double scale = 1.5 / std::sqrt(double(v.taps * h.taps * x.c) /
                                 double(v.stride * h.stride * groups));
  std::string type = "tensor<" + number(v.taps) + "x" + number(h.taps) + "x" +
                     number(channels) + "x" + number(x.c) + "xf32>";
  std::string w = weight(type, -scale, scale);
  y.value = emit("conv2d_transpose " + x.value + ", " + w + " size " +
                 pair(height, width) + " " + windowText(v, h) + " groups " +
                 number(groups) + " : (" + x.type() + ", " + type + ") -> " +
                 y.type());
  return chance(60) ? bias(y) : y;
}

std::string Writer::batchNorm(const std::string &x, const std::string &type,
                              int64_t channels) {
  std::string mean = "@mean" + number(count++);
  std::string variance = "@variance" + number(count++);
  std::string each = "tensor<" + number(channels) + "xf32>";
  states += "sinter.state frozen " + mean + " : " + each +
            " = uniform(-0.3, 0.3)\nsinter.state frozen " + variance + " : " +
            each + " = uniform(0.5, 1.5)\n";
  bool scaled = chance(85), centred = chance(85);
  std::string gamma = scaled ? weight(each, 0.5, 1.5) : constant(1);
  std::string beta = centred ? weight(each, -0.5, 0.5) : constant(0);
  return emit("batch_normalization " + x + ", " + gamma + ", " + beta +
              " moving " + mean + ", " + variance +
              " momentum 0.8 epsilon 0.05 : (" + type + ", " +
              (scaled ? each : "tensor<f32>") + ", " +
              (centred ? each : "tensor<f32>") + ") -> " + type);
}

Image Writer::layerNorm(const Image &x) {
  int64_t axes = upTo(3);
  std::string type = "tensor<" + (axes > 2 ? number(x.h) + "x" : "") +
                     (axes > 1 ? number(x.w) + "x" : "") + number(x.c) +
                     "xf32>";
  std::string gamma = weight(type, 0.5, 1.5), beta = weight(type, -0.5, 0.5);
  return same(x, "layer_norm " + x.value + ", " + gamma + ", " + beta +
                     " axes " + number(axes) + " epsilon 0.05 : (" + x.type() +
                     ", " + type + ", " + type + ") -> " + x.type());
}

Image Writer::activation(const Image &x) {
  auto [name, rest] = oneOf<std::pair<const char *, const char *>>(
      {{"relu", ""},
       {"relu", ""},
       {"relu", ""},
       {"leaky_relu", "{alpha = 0.3 : f32}"},
       {"gelu", ""},
       {"silu", ""},
       {"tanh", ""},
       {"elu", "{alpha = 1.0 : f32}"}});
  return apply(x, name, rest);
}

Image Writer::drop(const Image &x) {
  auto [name, rest] = oneOf<std::pair<const char *, const char *>>(
      {{"dropout", "{rate = 0.25 : f32}"},
       {"spatial_dropout", "{rate = 0.25 : f32}"},
       {"gaussian_noise", "{stddev = 0.1 : f32}"}});
  return apply(x, name, "stream " + number(streams++) + " " + rest);
}

Image Writer::pool(const Image &x, const std::string &kind) {
  Axis v = axis(x.h, true), h = axis(x.w, true);
  Image y{"", v.windows, h.windows, x.c};
  y.value =
      emit(kind + " " + x.value + " window " + pair(v.taps, h.taps) +
           " strides " + pair(v.stride, h.stride) + " padding [" +
           number(v.low) + ", " + number(v.high) + ", " + number(h.low) + ", " +
           number(h.high) + "] : (" + x.type() + ") -> " + y.type());
  return y;
}

Image Writer::upsample(const Image &x) {
  int64_t v = x.h > 6 ? 1 : upTo(3), h = x.w > 6 ? 1 : upTo(3);
  Image y{"", x.h * v, x.w * h, x.c};
  y.value = emit("upsample " + x.value + " factors " + pair(v, h) + " : (" +
                 x.type() + ") -> " + y.type());
  return y;
}

/// x times something of each channel of each sample.
Image Writer::gate(const Image &x) {
  std::string each = "tensor<?x" + number(x.c) + "xf32>";
  std::string sum = emit("reduce_sum " + x.value + " axes [1, 2] : (" +
                         x.type() + ") -> " + each);
  std::string scale = constant(1.0 / double(x.h * x.w));
  std::string mean = emit("mul " + sum + ", " + scale + " : (" + each +
                          ", tensor<f32>) -> " + each);
  std::string z = chance(60) ? dense(mean, x.c, x.c) : mean;
  std::string s = emit("sigmoid " + z + " : " + each);
  Image small{"", 1, 1, x.c};
  small.value = emit("reshape " + s + " : " + each + " -> " + small.type());
  return binary("mul", x, small);
}

/// The same pixels at other places, or some of them.
Image Writer::reshaped(const Image &x) {
  Image y = x;
  switch (below(4)) {
  case 0: {
    std::swap(y.h, y.w);
    y.value = emit("transpose " + x.value + " permutation [0, 2, 1, 3] : (" +
                   x.type() + ") -> " + y.type());
    return y;
  }
  case 1: {
    int64_t axis = upTo(3);
    int64_t &size = axis == 1 ? y.h : axis == 2 ? y.w : y.c;
    int64_t start = below(size);
    size = upTo(size - start);
    y.value = emit("slice " + x.value + " axis " + number(axis) + " from " +
                   number(start) + " size " + number(size) + " : (" + x.type() +
                   ") -> " + y.type());
    return y;
  }
  case 2: {
    int64_t axis = upTo(3), low = below(3), high = below(3);
    (axis == 1 ? y.h : axis == 2 ? y.w : y.c) += low + high;
    y.value = emit("pad " + x.value + " axis " + number(axis) + " low " +
                   number(low) + " high " + number(high) + " : (" + x.type() +
                   ") -> " + y.type());
    return y;
  }
  default:
    std::swap(y.h, y.c);
    y.value = emit("reshape " + x.value + " : " + x.type() + " -> " + y.type());
    return y;
  }
}

/// The mean or maximum over some axes, spread again over what x has.
Image Writer::reduced(const Image &x) {
  auto [text, h, w, c] = oneOf<std::tuple<const char *, bool, bool, bool>>(
      {{"[1]", true, false, false},
       {"[2]", false, true, false},
       {"[2]", false, true, false},
       {"[3]", false, false, true},
       {"[1, 2]", true, true, false},
       {"[2, 3]", false, true, true},
       {"[1, 2, 3]", true, true, true}});
  Image y{"", h ? 1 : x.h, w ? 1 : x.w, c ? 1 : x.c};
  bool isSum = chance(70), keep = chance(50);
  std::string type = y.type();
  if (!keep)
    type = "tensor<?" + (h ? std::string() : "x" + number(x.h)) +
           (w ? std::string() : "x" + number(x.w)) +
           (c ? std::string() : "x" + number(x.c)) + "xf32>";
  y.value = emit(std::string(isSum ? "reduce_sum " : "reduce_max ") + x.value +
                 " axes " + text + (keep ? " keep_dims" : "") + " : (" +
                 x.type() + ") -> " + type);
  if (!keep)
    y.value = emit("reshape " + y.value + " : " + type + " -> " + y.type());
  if (isSum) {
    std::string scale = constant(double(y.size()) / double(x.size()));
    y = binary("mul", y, scale, "tensor<f32>");
  }
  return binary(oneOf({"sub", "add", "mul"}), x, y);
}

/// Through a dense layer with normalisation, or as a sequence.
Image Writer::flatAndBack(const Image &x) {
  int64_t width = x.size();
  if (chance(40)) {
    Image y = x;
    std::string type =
        "tensor<?x" + number(x.h * x.w) + "x" + number(x.c) + "xf32>";
    std::string v =
        emit("reshape " + x.value + " : " + x.type() + " -> " + type);
    v = batchNorm(v, type, x.c);
    y.value = emit("reshape " + v + " : " + type + " -> " + x.type());
    return y;
  }
  if (width > 60)
    return activation(x);
  std::string type = "tensor<?x" + number(width) + "xf32>";
  std::string v = emit("reshape " + x.value + " : " + x.type() + " -> " + type);
  v = batchNorm(dense(v, width, width), type, width);
  Image y = x;
  y.value = emit("reshape " + v + " : " + type + " -> " + x.type());
  return activation(y);
}

/// One convolution after itself.
Image Writer::twice(const Image &x) {
  Image y = conv(x, x.c, true, false);
  std::string again = convolution;
  y = activation(y);
  return y.hasShapeOf(x) ? activation(same(y, "conv2d " + y.value + again)) : y;
}

/// x w + b of a batch of vectors.
std::string Writer::dense(const std::string &x, int64_t from, int64_t to) {
  double scale = 1.5 / std::sqrt(double(from));
  std::string kernel = "tensor<" + number(from) + "x" + number(to) + "xf32>";
  std::string bias = "tensor<" + number(to) + "xf32>";
  std::string type = "tensor<?x" + number(to) + "xf32>";
  std::string w = weight(kernel, -scale, scale);
  std::string b = weight(bias, -0.5, 0.5);
  std::string product =
      emit("matmul " + x + ", " + w + " : (tensor<?x" + number(from) +
           "xf32>, " + kernel + ") -> " + type);
  return emit("add " + product + ", " + b + " : (" + type + ", " + bias +
              ") -> " + type);
}

//===----------------------------------------------------------------------===//
// Networks
//===----------------------------------------------------------------------===//

Image Writer::block(const Image &x) {
  // Channels as wide as the image now and then.
  int64_t filters = chance(20) ? x.w : chance(90) ? upTo(9) : upTo(40);
  const char *pooling = oneOf({"max_pool2d", "max_pool2d", "avg_pool2d"});
  if (large)
    filters = 8 + upTo(16);
  switch (large ? oneOf<int64_t>({0, 1, 3, 3, 4, 6, 9, 12}) : below(21)) {
  case 0:
    return activation(conv(x, filters, false, true));
  case 1:
  case 2:
    return activation(batchNorm(conv(x, filters, chance(30), false)));
  case 3:
  case 4: {
    Image y = activation(conv(x, filters, true, true));
    if (chance(40))
      y = drop(y);
    return pool(batchNorm(y), pooling);
  }
  case 5:
    return transposed(x);
  case 6:
    return activation(batchNorm(transposed(x)));
  case 7:
    return pool(x, pooling);
  case 8:
    return upsample(x);
  case 9:
  case 10: { // residual
    Image y = conv(x, x.c, true, false);
    if (chance(60))
      y = batchNorm(y);
    if (!y.hasShapeOf(x))
      return activation(y);
    y = binary(oneOf({"add", "add", "sub", "maximum"}), y, x);
    return chance(70) ? activation(y) : y;
  }
  case 11: { // two readers, joined
    Image a = chance(50) ? activation(conv(x, filters, true, true)) : x;
    Image b =
        chance(50) ? batchNorm(conv(x, upTo(5), true, false)) : activation(x);
    Image y{"", x.h, x.w, a.c + b.c};
    y.value = emit("concatenate " + a.value + ", " + b.value + " axis 3 : (" +
                   a.type() + ", " + b.type() + ") -> " + y.type());
    return y;
  }
  case 12:
    return gate(x);
  case 13:
    return layerNorm(x);
  case 14:
    return reshaped(x);
  case 15:
  case 16:
    return reduced(x);
  case 17:
    return flatAndBack(x);
  case 18:
    return twice(x);
  case 19:
    return apply(x, "softmax");
  default:
    return chance(50) ? drop(x) : activation(x);
  }
}

TrainText Writer::write(const std::string &name) {
  int64_t bound = oneOf<int64_t>({3, 8, 16, 19, 33});
  Image input{"%x", oneOf<int64_t>({1, 3, 5, 6, 7, 9}),
              oneOf<int64_t>({1, 3, 5, 7, 8, 9}), chance(20) ? 1 : upTo(9)};
  if (large)
    input = {"%x", 13, 11, 5};
  Image x = input;
  if (chance(30)) {
    std::string half = constant(0.5);
    x = binary("mul", x, half, "tensor<f32>");
  }
  for (int64_t blocks = 1 + upTo(4); blocks > 0; --blocks) {
    std::string statesBefore = states, bodyBefore = body;
    Image y = block(x);
    if (y.size() > (large ? 4000 : 1000)) { // too slow to interpret
      states = statesBefore;
      body = bodyBefore;
      continue;
    }
    older.push_back(x);
    for (const Image &o : older)
      if (o.hasShapeOf(y) && chance(30)) { // a reader far away
        y = binary(oneOf({"add", "mul"}), y, o);
        break;
      }
    x = y;
  }

  // Images to images, or a classifier; its weights are never frozen.
  older.clear();
  std::string y, type, loss, metrics;
  int64_t classes = 2;
  if (chance(20)) {
    Image z = conv(x, upTo(3), chance(50), true);
    bool isBinary = chance(50);
    if (isBinary)
      z = apply(z, "sigmoid");
    y = z.value;
    type = z.type();
    loss = isBinary ? R"(name = "binary_crossentropy")"
                    : R"(name = "mean_absolute_error")";
    metrics = R"({name = "mean_squared_error"})";
  } else {
    int64_t width = x.c;
    std::string flat;
    std::string each = "tensor<?x" + number(x.c) + "xf32>";
    switch (below(4)) {
    case 0: {
      std::string sum = emit("reduce_sum " + x.value + " axes [1, 2] : (" +
                             x.type() + ") -> " + each);
      std::string pixels = constant(double(x.h * x.w));
      flat = emit("div " + sum + ", " + pixels + " : (" + each +
                  ", tensor<f32>) -> " + each);
      break;
    }
    case 1:
      flat = emit("reduce_max " + x.value + " axes [1, 2] : (" + x.type() +
                  ") -> " + each);
      break;
    default:
      width = x.size();
      flat = emit("reshape " + x.value + " : " + x.type() + " -> tensor<?x" +
                  number(width) + "xf32>");
    }
    classes = 1 + upTo(10);
    y = dense(flat, width, classes);
    type = "tensor<?x" + number(classes) + "xf32>";
    loss = R"(name = "mean_squared_error")";
    if (chance(75)) {
      y = emit("softmax " + y + " : " + type);
      loss = R"(name = "sparse_categorical_crossentropy")";
      metrics = R"({name = "sparse_categorical_accuracy", title = "accuracy"})";
    }
  }
  std::string optimizer = oneOf<const char *>(
      {R"(name = "sgd", learning_rate = 0.05)",
       R"(name = "sgd", learning_rate = 0.02, momentum = 0.9)",
       R"(name = "sgd", learning_rate = 0.02, global_clipnorm = 0.5)",
       R"(name = "adam", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.999, epsilon = 0.01)"});
  return {name,
          "sinter.model @" + name + " batch_bound " + number(bound) +
              " attributes {loss = {" + loss + "}, optimizer = {" + optimizer +
              "}, metrics = [" + metrics + "]} {\n" + states +
              "func.func @forward(%x: " + input.type() + ") -> " + type +
              " {\n" + body + "return " + y + " : " + type + "\n}\n}\n",
          bound,
          classes,
          0,
          1};
}

TrainText sinter::test::imageText(uint64_t number) {
  return Writer(number).write("image" + ::number(static_cast<int64_t>(number)));
}

TrainText sinter::test::largeImageText(uint64_t number) {
  return Writer(number, true)
      .write("large" + ::number(static_cast<int64_t>(number)));
}
