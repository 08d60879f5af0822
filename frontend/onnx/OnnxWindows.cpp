// OnnxWindows.cpp - rules of convolutions and batch normalisation, on
// sequences, images and volumes. ONNX has channels first, layers have them
// last: operands are asked for in that order, and results are left in it.
#include "frontend/onnx/OnnxConstants.h"
#include "frontend/onnx/OnnxRuleParts.h"
#include "frontend/onnx/OnnxWindowParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

// ---- Windows ----------------------------------------------------------------

Tensor onnx::images(NodeReader &n, size_t input) {
  if (n.lead() == 1)
    return n.tensor(input, kImages);
  const Dims dims = n.dims(input);
  if (dims[0] != 1) {
    n.refuse("expected one image where the whole input is one sample, got " +
             dimsToText(dims));
    return {};
  }
  Tensor x = reshaped(n, n.tensor(input), Shape(dims.begin() + 1, dims.end()));
  std::vector<int64_t> order = counting(1, rankOf(dims) - 1);
  order.push_back(0);
  return permuted(n, x, order);
}

void onnx::imagesResult(NodeReader &n, Tensor y, size_t index) {
  if (!y || n.lead() == 1)
    return n.result(y, kImages, index);
  std::vector<int64_t> order =
      counting(0, static_cast<int64_t>(n.shapeOf(y).size()));
  std::rotate(order.begin(), order.end() - 1, order.end());
  y = permuted(n, y, order);
  if (!y)
    return;
  Shape shape = n.shapeOf(y);
  shape.insert(shape.begin(), 1);
  Operand operand;
  operand.tensor = reshaped(n, y, shape);
  n.result(std::move(operand), index);
}

std::optional<Windows>
onnx::readWindows(NodeReader &n, std::vector<int64_t> taps, bool mayBeLarger) {
  const Dims dims = n.dims(0);
  if (rankOf(dims) < 3 || rankOf(dims) > 5) {
    n.refuse("expected sequences (N, C, L), images (N, C, H, W) or volumes "
             "(N, C, D, H, W), got " +
             dimsToText(dims));
    return std::nullopt;
  }
  const size_t space = dims.size() - 2;
  Windows w;
  const std::vector<int64_t> ones(space, 1);
  w.taps = n.integers("kernel_shape", taps);
  w.strides = n.integers("strides", ones);
  w.dilations = n.integers("dilations", ones);
  std::vector<int64_t> pads =
      n.integers("pads", std::vector<int64_t>(2 * space, 0));
  auto inRange = [](ArrayRef<int64_t> numbers, int64_t low) {
    return llvm::all_of(numbers, [&](int64_t x) {
      return x >= low && x <= (int64_t(1) << 20);
    });
  };
  if (w.taps.size() != space || w.strides.size() != space ||
      w.dilations.size() != space || pads.size() != 2 * space ||
      !inRange(w.taps, 1) || !inRange(w.strides, 1) ||
      !inRange(w.dilations, 1) || !inRange(pads, 0)) {
    n.refuse(formatv("expected kernel_shape, strides, dilations and pads of "
                     "{0} axes, in range",
                     space));
    return std::nullopt;
  }
  w.pixels.assign(dims.begin() + 2, dims.end());
  w.beyond.assign(space, 0);
  w.low.assign(pads.begin(), pads.begin() + space);
  w.high.assign(pads.begin() + space, pads.end());
  const std::string rule = n.text("auto_pad", "NOTSET");
  for (size_t i = 0; i < space; ++i) {
    const int64_t pixels = w.pixels[i], reach = w.reach(i);
    if (rule == "SAME_UPPER" || rule == "SAME_LOWER") {
      const int64_t windows = (pixels + w.strides[i] - 1) / w.strides[i];
      const int64_t missing =
          std::max<int64_t>((windows - 1) * w.strides[i] + reach - pixels, 0);
      w.low[i] = rule == "SAME_UPPER" ? missing / 2 : missing - missing / 2;
      w.high[i] = missing - w.low[i];
    } else if (rule == "VALID") {
      w.low[i] = w.high[i] = 0;
    } else if (rule != "NOTSET" && !rule.empty()) {
      n.refuse("expected auto_pad to be one of ONNX's, got '" +
               printable(rule) + "'");
      return std::nullopt;
    }
    // A last window that the padding does not fill.
    if (n.integer("ceil_mode", 0)) {
      const int64_t room = pixels + w.low[i] + w.high[i] - reach;
      int64_t extra =
          room < 0 ? 0 : (w.strides[i] - room % w.strides[i]) % w.strides[i];
      // It must begin within the image or its padding before.
      const int64_t start = room + extra;
      if (extra && start < pixels + w.low[i]) {
        w.high[i] += extra;
        w.beyond[i] = extra;
      }
    }
    if (!mayBeLarger && pixels + w.low[i] + w.high[i] < reach) {
      n.refuse(formatv("expected images of at least the window's {0} pixels, "
                       "got {1}",
                       reach, pixels));
      return std::nullopt;
    }
  }
  w.isSame = llvm::all_of(llvm::seq<size_t>(0, space), [&](size_t i) {
    const int64_t pixels = w.pixels[i], stride = w.strides[i],
                  reach = w.reach(i), windows = (pixels + stride - 1) / stride;
    const int64_t missing =
        std::max<int64_t>((windows - 1) * stride + reach - pixels, 0);
    return w.low[i] == missing / 2 && w.high[i] == missing - missing / 2;
  });
  return w;
}

/// (out, in, H, W) to (H, W, in, out).
static Constant toFilter(const Constant &w) {
  std::vector<int64_t> axes = counting(2, w.dims.size());
  axes.push_back(1);
  axes.push_back(0);
  return transposed(w, axes);
}

static void readConv(NodeReader &n) {
  const Dims dims = n.dims(0);
  const Constant *w = weight(n, 1, "the filters");
  if (!w)
    return;
  if (w->dims.size() != dims.size() || dims.size() < 3 || w->size() == 0)
    return n.refuse("expected filters (out, in, ...) for images of " +
                    dimsToText(dims) + ", got " + dimsToText(w->dims));
  std::optional<Windows> windows =
      readWindows(n, std::vector<int64_t>(w->dims.begin() + 2, w->dims.end()));
  if (!windows)
    return;
  const int64_t filters = w->dims[0], channels = dims[1],
                groups = n.integer("group", 1), space = rankOf(dims) - 2;
  if (groups < 1 || w->dims[1] != channels / groups || channels % groups != 0 ||
      !std::equal(windows->taps.begin(), windows->taps.end(),
                  w->dims.begin() + 2))
    return n.refuse(formatv("expected filters for {0} channels in {1} groups "
                            "with kernel_shape {2}, got {3}",
                            channels, groups, dimsToText(windows->taps),
                            dimsToText(w->dims)));
  std::optional<Constant> bias;
  const Node *add = nullptr;
  if (n.hasInput(2)) {
    const Constant *b = vectorWeight(n, 2, "the bias", filters);
    if (!b)
      return;
    bias = asVector(*b);
  } else if (n.lead() == 1) {
    bias = biasBehind(n, add, filters, space);
  }
  const bool isDepthwise =
      groups > 1 && groups == channels && space == 2 && filters % groups == 0;
  Config config(
      isDepthwise ? "depthwise_conv2d" : ranked("conv", space),
      {{"kernel_size", toSize(windows->taps)},
       {"strides", toSize(windows->strides)},
       {"padding", windows->isCausal() ? Value("causal") : windows->padding()},
       {"dilation_rate", toSize(windows->dilations)},
       {"use_bias", bias.has_value()}});
  Constant kernel = toFilter(*w);
  if (isDepthwise) { // (H, W, 1, C M) to (H, W, C, M)
    config.args.push_back({"depth_multiplier", filters / channels});
    kernel.dims[2] = channels;
    kernel.dims[3] = filters / channels;
  } else {
    config.args.push_back({"filters", filters});
    if (groups != 1)
      config.args.push_back({"groups", groups});
  }
  std::vector<LayerWeight> weights = {{"kernel", std::move(kernel)}};
  const bool absorbs = bias && add;
  if (bias)
    weights.push_back({"bias", std::move(*bias)});
  Tensor y =
      n.layer(std::move(config), images(n), std::move(weights), n.nameFrom(1));
  imagesResult(n, y);
  if (absorbs)
    n.absorb(*add, y, kImages);
}

/// (in, out, space..) to (space.., out, in).
static std::vector<int64_t> kernelOrder(size_t space) {
  std::vector<int64_t> order = counting(2, static_cast<int64_t>(space) + 2);
  order.push_back(1);
  order.push_back(0);
  return order;
}

static void readConvTranspose(NodeReader &n) {
  const Dims dims = n.dims(0);
  const Constant *w = weight(n, 1, "the filters");
  if (!w)
    return;
  if (rankOf(dims) < 3 || rankOf(dims) > 5 || w->dims.size() != dims.size() ||
      w->size() == 0)
    return n.refuse("expected filters (in, out, ...) for images of " +
                    dimsToText(dims) + ", got " + dimsToText(w->dims));
  if (n.integer("group", 1) != 1)
    return n.refuse("groups are not supported",
                    "split the channels into one op for each group");
  std::optional<Windows> windows =
      readWindows(n, std::vector<int64_t>(w->dims.begin() + 2, w->dims.end()),
                  /*mayBeLarger=*/true);
  if (!windows)
    return;
  const size_t space = windows->taps.size();
  const int64_t channels = dims[1], filters = w->dims[1];
  if (w->dims[0] != channels ||
      !std::equal(windows->taps.begin(), windows->taps.end(),
                  w->dims.begin() + 2))
    return n.refuse(formatv("expected filters for {0} channels, got {1}",
                            channels, dimsToText(w->dims)));
  std::vector<int64_t> extra =
      n.integers("output_padding", std::vector<int64_t>(space, 0));
  const std::string rule = n.text("auto_pad", "NOTSET");
  const bool same = StringRef(rule).starts_with("SAME");
  const std::vector<int64_t> wanted = n.integers("output_shape");
  if (extra.size() != space || (!wanted.empty() && wanted.size() < space))
    return n.refuse(formatv("expected output_padding and output_shape of {0} "
                            "axes",
                            space));
  for (size_t i = 0; i < space && (same || !wanted.empty()); ++i) {
    const int64_t pixels = windows->pixels[i],
                  size = wanted.empty() ? pixels * windows->strides[i]
                                        : wanted[wanted.size() - space + i],
                  reach = windows->reach(i);
    int64_t total =
        (pixels - 1) * windows->strides[i] + reach + extra[i] - size;
    if (total < 0) { // the result is longer than the windows reach
      extra[i] -= total;
      total = 0;
    }
    windows->low[i] = rule == "SAME_UPPER" ? total / 2 : total - total / 2;
    windows->high[i] = total - windows->low[i];
  }
  std::optional<Constant> bias;
  if (n.hasInput(2)) {
    const Constant *b = vectorWeight(n, 2, "the bias", filters);
    if (!b)
      return;
    bias = asVector(*b);
  }
  Constant kernel = transposed(*w, kernelOrder(space));
  Tensor x = images(n);
  if (space == 1) { // an image of one row
    if (!x)
      return;
    Shape shape = n.shapeOf(x);
    shape.insert(shape.begin(), 1);
    x = reshaped(n, x, shape);
    kernel.dims.insert(kernel.dims.begin(), 1);
    for (std::vector<int64_t> *ones :
         {&windows->taps, &windows->strides, &windows->dilations})
      ones->insert(ones->begin(), 1);
    for (std::vector<int64_t> *zeros : {&windows->low, &windows->high, &extra})
      zeros->insert(zeros->begin(), 0);
  }
  // Numbers even where all are 0: Keras's 'valid' may have another size.
  Value padding = toSides(windows->low, windows->high);
  auto isWord = [&](bool same) {
    return llvm::all_of(llvm::seq<size_t>(0, extra.size()), [&](size_t i) {
      const int64_t stride = windows->strides[i], reach = windows->reach(i);
      // What the windows reach beyond the result, or that beyond these.
      const int64_t missing = same ? std::max<int64_t>(reach - stride, 0) : 0;
      return windows->low[i] == missing / 2 &&
             windows->high[i] == missing - missing / 2 &&
             extra[i] == std::max<int64_t>(stride - reach, 0);
    });
  };
  if (isWord(true) || isWord(false)) {
    padding = isWord(true) ? "same" : "valid";
    extra.assign(extra.size(), 0); // the words imply it
  }
  Config config(space == 3 ? "conv3d_transpose" : "conv2d_transpose",
                {{"filters", filters},
                 {"kernel_size", toSize(windows->taps)},
                 {"strides", toSize(windows->strides)},
                 {"padding", std::move(padding)},
                 {"dilation_rate", toSize(windows->dilations)},
                 {"use_bias", bias.has_value()}});
  if (llvm::any_of(extra, [](int64_t x) { return x != 0; }))
    config.args.push_back({"output_padding", toList(extra)});
  std::vector<LayerWeight> weights = {{"kernel", std::move(kernel)}};
  if (bias)
    weights.push_back({"bias", std::move(*bias)});
  Tensor y = n.layer(std::move(config), x, std::move(weights), n.nameFrom(1));
  if (y && space == 1) {
    Shape shape = n.shapeOf(y);
    shape.erase(shape.begin());
    y = reshaped(n, y, shape);
  }
  imagesResult(n, y);
}

// ---- Normalisation ----------------------------------------------------------

/// A vector along axis 1, an operand of the node.
static Tensor alongChannels(NodeReader &n, size_t input) {
  const Dims dims = n.dims(0);
  if (onnx::countElements(n.dims(input)) != dims[1]) {
    n.refuse(formatv("expected {0} elements, got {1}", dims[1],
                     dimsToText(n.dims(input))));
    return {};
  }
  Dims shape(dims.size(), 1);
  shape[1] = dims[1];
  if (!n.constant(input))
    return reshaped(n, n.tensor(input), shape);
  Constant values = *n.constant(input);
  values.dims = shape;
  return values.isFloat() ? n.frozen(std::move(values)) : Tensor();
}

/// Where a whole input is one sample, it has axis 0, too; with its own
/// moments, and what becomes of the running ones, or with the latter.
static void readWholeBatchNormalization(NodeReader &n, bool trains) {
  const Dims dims = n.dims(0);
  if (rankOf(dims) < 2)
    return n.refuse("expected (N, C, ...), got " + dimsToText(dims));
  Tensor x = n.tensor(0), scale = alongChannels(n, 1),
         offset = alongChannels(n, 2), mean = alongChannels(n, 3),
         variance = alongChannels(n, 4);
  auto both = [&](StringRef op, Tensor a, Tensor b) {
    return n.layer(Config(op.str()), {a, b});
  };
  auto moment = [&](Tensor t) {
    std::vector<int64_t> axes = {1};
    llvm::append_range(axes, counting(3, rankOf(dims) + 1));
    return n.layer(Config("mean", {{"axis", toList(axes)}, {"keepdims", true}}),
                   t);
  };
  if (trains) {
    const double momentum = n.number("momentum", 0.9);
    Tensor ownMean = moment(x), apart = both("subtract", x, ownMean),
           ownVariance = moment(both("multiply", apart, apart));
    size_t index = 1;
    for (auto [running, own] :
         {std::pair(&mean, ownMean), std::pair(&variance, ownVariance)}) {
      auto part = [&](Tensor t, double factor) {
        return n.layer(Config("rescaling", {{"scale", factor}}), t);
      };
      Tensor moved =
          both("add", part(*running, momentum), part(own, 1 - momentum));
      *running = own;
      if (n.wantsResult(index)) {
        Operand operand;
        operand.tensor = reshaped(n, moved, {dims[1]});
        n.result(std::move(operand), index);
      }
      ++index;
    }
  }
  Tensor deviation =
      n.layer(Config("rescaling",
                     {{"scale", 1.0}, {"offset", n.number("epsilon", 1e-5)}}),
              variance);
  Tensor factor = both("multiply", scale, n.layer(Config("rsqrt"), deviation));
  Tensor y = both("multiply", both("subtract", x, mean), factor);
  Operand operand;
  operand.tensor = both("add", y, offset);
  n.result(std::move(operand));
}

static void readBatchNormalization(NodeReader &n) {
  const bool trains = n.opset() >= 14 && n.integer("training_mode", 0);
  if (!trains && n.refuseResultsFrom(1))
    return;
  if (n.opset() < 9 && n.integer("spatial", 1) != 1)
    return n.refuse("expected spatial 1: one mean for each channel");
  if (n.opset() < 7 && !n.integer("is_test", 0))
    return n.refuse("expected is_test 1, got 0",
                    "export the model in inference mode; training turns its "
                    "statistics on again");
  if (trains && n.lead() == 1)
    return n.refuse("training_mode 1 takes the mean over the samples",
                    "export the model in inference mode; training turns its "
                    "statistics on again");
  if (n.lead() == 0)
    return readWholeBatchNormalization(n, trains);
  const Dims dims = n.dims(0);
  if (rankOf(dims) < 2)
    return n.refuse("expected channels, got " + dimsToText(dims));
  const int64_t channels = dims[1];
  static const char *const names[] = {"gamma", "beta", "moving_mean",
                                      "moving_variance"};
  std::vector<LayerWeight> weights;
  for (size_t i = 0; i < 4; ++i) {
    const Constant *value =
        vectorWeight(n, i + 1, "scale, bias, mean and variance", channels);
    if (!value)
      return;
    weights.push_back({names[i], asVector(*value)});
  }
  StringRef name = n.input(1).initializer;
  const bool named =
      name.consume_back(".weight") || name.consume_back("/gamma");
  Config config("batch_normalization",
                {{"momentum", n.number("momentum", 0.9)},
                 {"epsilon", n.number("epsilon", 1e-5)}});
  const Order order = rankOf(dims) > 2 ? kImages : Order::AsInFile;
  n.result(n.layer(std::move(config), n.tensor(0, order), std::move(weights),
                   named ? name : StringRef()),
           order);
}

// ---- The table -------------------------------------------------------------

ArrayRef<OpRule> onnx::windowRules() {
  static const OpRule rules[] = {
      {"BatchNormalization", 5, readBatchNormalization},
      {"Conv", 2, readConv},
      {"ConvTranspose", 2, readConvTranspose},
  };
  return rules;
}
