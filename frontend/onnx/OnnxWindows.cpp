// OnnxWindows.cpp - rules of images and sequences: convolutions, pooling, batch
// normalisation. ONNX has channels first, layers have them last: operands are
// asked for in that order, and results are left in it.
#include "frontend/onnx/OnnxConstants.h"
#include "frontend/onnx/OnnxRuleParts.h"

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

namespace {
/// The attributes of convolutions and pooling, one number for each axis of
/// space.
struct Windows {
  std::vector<int64_t> taps, strides, dilations, low, high;
  /// The padding is what Keras calls 'same' for images of this size.
  bool isSame = false;

  bool isPadded() const {
    return llvm::any_of(low, [](int64_t x) { return x != 0; }) ||
           llvm::any_of(high, [](int64_t x) { return x != 0; });
  }
  /// All zeros before a sequence: no step sees a later one.
  bool isCausal() const {
    return taps.size() == 1 && isPadded() && high[0] == 0 &&
           low[0] == (taps[0] - 1) * dilations[0];
  }
  Value padding() const {
    if (isPadded() && !isSame)
      return toSides(low, high);
    return isPadded() ? "same" : "valid";
  }
};
} // namespace

/// Nothing after a refusal. `taps` is the kernel's size, where the op has one
/// as operand.
static std::optional<Windows> readWindows(NodeReader &n,
                                          std::vector<int64_t> taps = {}) {
  const Dims dims = n.dims(0);
  const size_t space = dims.size() - 1 - n.lead();
  if (static_cast<int64_t>(dims.size()) - 1 - n.lead() < 1 || space > 2) {
    n.refuse("expected sequences (N, C, L) or images (N, C, H, W), got " +
             dimsToText(dims));
    return std::nullopt;
  }
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
  w.low.assign(pads.begin(), pads.begin() + space);
  w.high.assign(pads.begin() + space, pads.end());
  const std::string rule = n.text("auto_pad", "NOTSET");
  for (size_t i = 0; i < space; ++i) {
    const int64_t pixels = dims[n.lead() + 1 + i],
                  reach = (w.taps[i] - 1) * w.dilations[i] + 1;
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
      if (extra && start < pixels + w.low[i])
        w.high[i] += extra;
    }
  }
  w.isSame = llvm::all_of(llvm::seq<size_t>(0, space), [&](size_t i) {
    const int64_t pixels = dims[n.lead() + 1 + i], stride = w.strides[i],
                  reach = (w.taps[i] - 1) * w.dilations[i] + 1,
                  windows = (pixels + stride - 1) / stride;
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
  if (w->dims.size() != dims.size() + 1 - n.lead() || dims.size() < 2 ||
      w->size() == 0)
    return n.refuse("expected filters (out, in, ...) for images of " +
                    dimsToText(dims) + ", got " + dimsToText(w->dims));
  std::optional<Windows> windows =
      readWindows(n, std::vector<int64_t>(w->dims.begin() + 2, w->dims.end()));
  if (!windows)
    return;
  const int64_t filters = w->dims[0], channels = dims[n.lead()],
                groups = n.integer("group", 1),
                space = rankOf(dims) - 1 - n.lead();
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
  } else {
    bias = biasBehind(n, add, filters, space);
  }
  const bool isDepthwise =
      groups > 1 && groups == channels && space == 2 && filters % groups == 0;
  Config config(
      isDepthwise  ? "depthwise_conv2d"
      : space == 1 ? "conv1d"
                   : "conv2d",
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
  Tensor y = n.layer(std::move(config), n.tensor(0, kImages),
                     std::move(weights), n.nameFrom(1));
  n.result(y, kImages);
  if (absorbs)
    n.absorb(*add, y, kImages);
}

static void readConvTranspose(NodeReader &n) {
  const Dims dims = n.dims(0);
  const Constant *w = weight(n, 1, "the filters");
  if (!w)
    return;
  if (rankOf(dims) != 3 + n.lead() || w->dims.size() != 4 || w->size() == 0)
    return n.refuse("expected images (N, C, H, W) and filters (in, out, H, W), "
                    "got " +
                    dimsToText(dims) + " and " + dimsToText(w->dims));
  if (n.integer("group", 1) != 1)
    return n.refuse("groups are not supported");
  std::optional<Windows> windows = readWindows(n, {w->dims[2], w->dims[3]});
  if (!windows)
    return;
  const int64_t channels = dims[n.lead()], filters = w->dims[1];
  if (w->dims[0] != channels || windows->taps[0] != w->dims[2] ||
      windows->taps[1] != w->dims[3])
    return n.refuse(formatv("expected filters for {0} channels, got {1}",
                            channels, dimsToText(w->dims)));
  std::vector<int64_t> extra = n.integers("output_padding", {0, 0});
  const std::string rule = n.text("auto_pad", "NOTSET");
  const bool same = StringRef(rule).starts_with("SAME");
  const std::vector<int64_t> wanted = n.integers("output_shape");
  if (extra.size() != 2 || (!wanted.empty() && wanted.size() < 2))
    return n.refuse("expected output_padding and output_shape of two axes");
  for (int i = 0; i < 2 && (same || !wanted.empty()); ++i) {
    const int64_t pixels = dims[n.lead() + 1 + i],
                  size = wanted.empty() ? pixels * windows->strides[i]
                                        : wanted[wanted.size() - 2 + i],
                  reach = (windows->taps[i] - 1) * windows->dilations[i] + 1;
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
  // Numbers even where all are 0: Keras's 'valid' may have another size.
  Value padding = toSides(windows->low, windows->high);
  auto isWord = [&](bool same) {
    return llvm::all_of(llvm::seq(0, 2), [&](int i) {
      const int64_t stride = windows->strides[i],
                    reach = (windows->taps[i] - 1) * windows->dilations[i] + 1;
      // What the windows reach beyond the result, or that beyond these.
      const int64_t missing = same ? std::max<int64_t>(reach - stride, 0) : 0;
      return windows->low[i] == missing / 2 &&
             windows->high[i] == missing - missing / 2 &&
             extra[i] == std::max<int64_t>(stride - reach, 0);
    });
  };
  if (isWord(true) || isWord(false)) {
    padding = isWord(true) ? "same" : "valid";
    extra = {0, 0}; // the words imply it
  }
  Config config("conv2d_transpose",
                {{"filters", filters},
                 {"kernel_size", toSize(windows->taps)},
                 {"strides", toSize(windows->strides)},
                 {"padding", std::move(padding)},
                 {"dilation_rate", toSize(windows->dilations)},
                 {"use_bias", bias.has_value()}});
  if (extra[0] || extra[1])
    config.args.push_back({"output_padding", toList(extra)});
  std::vector<LayerWeight> weights = {{"kernel", transposed(*w, {2, 3, 1, 0})}};
  if (bias)
    weights.push_back({"bias", std::move(*bias)});
  n.result(n.layer(std::move(config), n.tensor(0, kImages), std::move(weights),
                   n.nameFrom(1)),
           kImages);
}

static Config poolConfig(StringRef layer, const Windows &w, Value padding) {
  return Config(ranked(layer, w.taps.size()),
                {{"pool_size", toSize(w.taps)},
                 {"strides", toSize(w.strides)},
                 {"padding", std::move(padding)}});
}

static void readMaxPool(NodeReader &n) {
  if (n.refuseResultsFrom(1))
    return;
  std::optional<Windows> windows = readWindows(n);
  if (!windows)
    return;
  if (!llvm::all_of(windows->dilations, isOne))
    return n.refuse("dilated pooling is not supported");
  n.result(n.layer(poolConfig("max_pooling", *windows, windows->padding()),
                   n.tensor(0, kImages)),
           kImages);
}

static void readAveragePool(NodeReader &n) {
  std::optional<Windows> windows = readWindows(n);
  if (!windows)
    return;
  if (!llvm::all_of(windows->dilations, isOne))
    return n.refuse("dilated pooling is not supported");
  Tensor x = n.tensor(0, kImages);
  Value padding = windows->padding();
  if (n.integer("count_include_pad", 0) && windows->isPadded()) {
    if (n.integer("ceil_mode", 0))
      return n.refuse("count_include_pad together with ceil_mode is not "
                      "supported");
    x = n.layer(Config(ranked("zero_padding", windows->taps.size()),
                       {{"padding", toSides(windows->low, windows->high)}}),
                x);
    padding = Value("valid");
  }
  n.result(n.layer(poolConfig("average_pooling", *windows, padding), x),
           kImages);
}

static void readGlobalPool(NodeReader &n, StringRef layer) {
  const int64_t space = rankOf(n.dims(0)) - 1 - n.lead();
  if (space < 1 || space > 2)
    return n.refuse(
        "expected sequences (N, C, L) or images (N, C, H, W), got " +
        dimsToText(n.dims(0)));
  n.result(n.layer(Config(ranked(layer, space), {{"keepdims", true}}),
                   n.tensor(0, kImages)),
           kImages);
}
static void readGlobalAveragePool(NodeReader &n) {
  readGlobalPool(n, "global_average_pooling");
}
static void readGlobalMaxPool(NodeReader &n) {
  readGlobalPool(n, "global_max_pooling");
}

// ---- Normalisation ----------------------------------------------------------

static void readBatchNormalization(NodeReader &n) {
  if (n.refuseResultsFrom(1))
    return;
  if (n.opset() < 9 && n.integer("spatial", 1) != 1)
    return n.refuse("expected spatial 1: one mean for each channel");
  if (n.opset() < 7 && !n.integer("is_test", 0))
    return n.refuse("expected is_test 1, got 0",
                    "export the model in inference mode; training turns its "
                    "statistics on again");
  if (n.opset() >= 14 && n.integer("training_mode", 0))
    return n.refuse("training_mode 1 is not supported",
                    "export the model in inference mode; training turns its "
                    "statistics on again");
  const Dims dims = n.dims(0);
  if (rankOf(dims) <= n.lead())
    return n.refuse("expected channels, got " + dimsToText(dims));
  const int64_t channels = dims[n.lead()];
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
  const Order order = rankOf(dims) > n.lead() + 1 ? kImages : Order::AsInFile;
  n.result(n.layer(std::move(config), n.tensor(0, order), std::move(weights),
                   named ? name : StringRef()),
           order);
}

// ---- The table -------------------------------------------------------------

ArrayRef<OpRule> onnx::windowRules() {
  static const OpRule rules[] = {
      {"AveragePool", 1, readAveragePool},
      {"BatchNormalization", 5, readBatchNormalization},
      {"Conv", 2, readConv},
      {"ConvTranspose", 2, readConvTranspose},
      {"GlobalAveragePool", 1, readGlobalAveragePool},
      {"GlobalMaxPool", 1, readGlobalMaxPool},
      {"MaxPool", 1, readMaxPool},
  };
  return rules;
}
