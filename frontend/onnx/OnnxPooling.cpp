// OnnxPooling.cpp - rules of pooling.
//
// Most of it is a layer. What the layers have no argument for is composed. A
// dilated maximum is one along each axis in turn, of 2, 4, 8, ... neighbours.
// Places of maxima, and means of dilated windows or of some that are cut off:
// for each tap of the window, the strided part of the padded image that it
// sees, and then the first of the largest, or the sum, over the taps.
// Known weakness: so windows of more than 64 taps are refused in the latter.
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

// ---- Taps -------------------------------------------------------------------

static constexpr int64_t kMostTaps = 64;

/// Counts through `sizes`, the last digit first; false at the end.
static bool next(std::vector<int64_t> &digits, ArrayRef<int64_t> sizes) {
  for (size_t i = digits.size(); i-- > 0;) {
    if (++digits[i] < sizes[i])
      return true;
    digits[i] = 0;
  }
  return false;
}

/// The image with `fill` around it, as far as the windows reach.
static Tensor padded(NodeReader &n, Tensor x, const Windows &w, double fill) {
  for (size_t i = 0; i < w.taps.size() && x; ++i) {
    const int64_t size = n.shapeOf(x)[i];
    std::vector<int64_t> sources(w.low[i], -1);
    llvm::append_range(sources, llvm::seq<int64_t>(0, size));
    sources.insert(sources.end(), w.high[i], -1);
    x = pickedAlong(n, x, static_cast<int64_t>(i), sources, fill);
  }
  return x;
}

/// What tap number `tap` of all windows sees of the padded image.
static Tensor seenBy(NodeReader &n, Tensor x, const Windows &w,
                     ArrayRef<int64_t> tap) {
  if (!x)
    return {};
  std::vector<int64_t> starts(w.taps.size() + 1, 0);
  Shape shape = n.shapeOf(x);
  for (size_t i = 0; i < w.taps.size(); ++i) {
    starts[i] = tap[i] * w.dilations[i];
    shape[i] = (w.windows(i) - 1) * w.strides[i] + 1;
  }
  x = sliced(n, x, starts, shape);
  if (llvm::all_of(w.strides, isOne))
    return x;
  // Every so many pixels.
  Config config(ranked("max_pooling", w.taps.size()),
                {{"pool_size", 1}, {"strides", toSize(w.strides)}});
  return n.layer(std::move(config), x);
}

/// The maximum of each dilated window of the padded image.
static Tensor mostOfEach(NodeReader &n, Tensor x, const Windows &w) {
  const size_t space = w.taps.size();
  for (size_t axis = 0; axis < space; ++axis)
    for (int64_t have = 1; have < w.taps[axis] && x;) {
      const int64_t more = std::min(have, w.taps[axis] - have),
                    shift = more * w.dilations[axis];
      Shape shape = n.shapeOf(x);
      shape[axis] -= shift;
      std::vector<int64_t> starts(space + 1, 0);
      Tensor first = sliced(n, x, starts, shape);
      starts[axis] = shift;
      x = n.layer(Config("maximum"), {first, sliced(n, x, starts, shape)});
      have += more;
    }
  return seenBy(n, x, w, std::vector<int64_t>(space, 0));
}

static bool hasFewTaps(NodeReader &n, const Windows &w) {
  int64_t count = 1;
  for (int64_t taps : w.taps)
    count *= std::min<int64_t>(taps, kMostTaps + 1);
  if (count > kMostTaps)
    n.refuse(formatv("expected windows of at most {0} pixels where the places "
                     "of maxima or means of dilated windows are asked for, got "
                     "{1}",
                     kMostTaps, dimsToText(w.taps)));
  return count <= kMostTaps;
}

/// Of each window; zeros lie around the image.
static Tensor sumOfTaps(NodeReader &n, Tensor x, const Windows &w) {
  x = padded(n, x, w, 0);
  Tensor sum;
  std::vector<int64_t> tap(w.taps.size(), 0);
  do {
    Tensor now = seenBy(n, x, w, tap);
    sum = sum ? n.layer(Config("add"), {sum, now}) : now;
  } while (next(tap, w.taps));
  return sum;
}

static Config poolConfig(StringRef layer, const Windows &w, Value padding) {
  return Config(ranked(layer, w.taps.size()),
                {{"pool_size", toSize(w.taps)},
                 {"strides", toSize(w.strides)},
                 {"padding", std::move(padding)}});
}

// ---- Maxima -----------------------------------------------------------------

/// The index of each pixel in the file's order, of an image (space.., C).
static Constant fileIndices(const NodeReader &n, const Shape &shape) {
  const int64_t channels = shape.back(),
                pixels = *onnx::countElements(shape) / channels,
                space = static_cast<int64_t>(shape.size()) - 1;
  const bool byColumns = n.integer("storage_order", 0) != 0;
  Constant result;
  result.dims = shape;
  std::vector<float> values;
  for (int64_t i = 0; i < pixels * channels; ++i) {
    int64_t pixel = i / channels, at = pixel;
    if (byColumns) { // the first axis of space is counted fastest
      int64_t stride = pixels;
      at = 0;
      for (int64_t axis = space; axis-- > 0; pixel /= shape[axis]) {
        stride /= shape[axis];
        at += pixel % shape[axis] * stride;
      }
    }
    values.push_back(static_cast<float>(i % channels * pixels + at));
  }
  result.values = std::move(values);
  return result;
}

static void readMaxPool(NodeReader &n) {
  std::optional<Windows> w = readWindows(n);
  if (!w)
    return;
  const bool wantsPlaces = n.wantsResult(1);
  const bool isDilated = !llvm::all_of(w->dilations, isOne);
  Tensor x = images(n);
  if (!x)
    return;
  if (!wantsPlaces && !isDilated)
    return imagesResult(
        n, n.layer(poolConfig("max_pooling", *w, w->padding()), x));
  if (!wantsPlaces)
    return imagesResult(n, mostOfEach(n, padded(n, x, *w, -INFINITY), *w));
  if (!hasFewTaps(n, *w))
    return;
  if (n.lead() == 1)
    return n.refuse("the places of maxima are counted in the whole batch");
  if (*onnx::countElements(n.shapeOf(x)) > 1 << 24)
    return n.refuse("expected at most 2^24 elements, whose places are exact in "
                    "float32");
  Tensor places = padded(n, n.frozen(fileIndices(n, n.shapeOf(x))), *w, 0);
  x = padded(n, x, *w, -INFINITY);
  Tensor most, place;
  std::vector<int64_t> tap(w->taps.size(), 0);
  do {
    Tensor now = seenBy(n, x, *w, tap), here = seenBy(n, places, *w, tap);
    Tensor isMore = most ? n.layer(Config("greater"), {now, most}) : Tensor();
    place = most ? n.layer(Config("where"), {isMore, here, place}) : here;
    most = most ? n.layer(Config("where"), {isMore, now, most}) : now;
  } while (next(tap, w->taps));
  imagesResult(n, most);
  imagesResult(n, place, 1);
}

/// Each element goes to its place among zeros.
static void readMaxUnpool(NodeReader &n) {
  const Dims dims = n.dims(0);
  std::optional<Windows> w = readWindows(n);
  if (!w)
    return;
  if (n.lead() == 1)
    return n.refuse("the places of maxima are counted in the whole batch");
  Dims result = {dims[0], dims[1]};
  for (size_t i = 0; i < w->taps.size(); ++i)
    result.push_back((dims[i + 2] - 1) * w->strides[i] + w->taps[i] -
                     w->low[i] - w->high[i]);
  Dims counted = result; // the places are counted in it
  if (n.hasInput(2)) {
    const Constant *given = n.constant(2);
    if (!given || given->isFloat() || given->size() != dims.size())
      return n.refuse("expected a constant output_shape");
    result = given->integers();
    for (size_t i = 0; i < result.size(); ++i)
      if (result[i] < counted[i] || (i < 2 && result[i] != counted[i]))
        return n.refuse("expected an output_shape of at least " +
                        dimsToText(counted));
  }
  std::optional<int64_t> from = onnx::countElements(dims),
                         to = onnx::countElements(counted);
  if (!from || !to || *from * *to > kMostPairs ||
      onnx::countElements(n.dims(1)) != from)
    return n.refuse(formatv("expected a place for each element, and at most "
                            "{0} pairs of an element and a place",
                            kMostPairs));
  Tensor x = reshaped(n, n.tensor(0), {*from, 1}),
         places = reshaped(n, n.tensor(1), {*from, 1});
  Tensor is = n.layer(Config("equal"), {places, rangeAlong(n, *to, 2, 1)});
  if (!is)
    return;
  // Where several windows share a maximum, it is the same for all of them.
  auto most = [&](Tensor t) {
    return n.layer(Config("max", {{"axis", 1}, {"keepdims", true}}), t);
  };
  Tensor y =
      most(n.layer(Config("where"), {is, x, numberLike(n, -INFINITY, x)}));
  Tensor any = most(is);
  y = n.layer(Config("where"), {any, y, numberLike(n, 0, any)});
  y = reshaped(n, y, counted);
  for (size_t i = 2; i < result.size() && y; ++i) {
    std::vector<int64_t> sources = counting(0, counted[i]);
    sources.resize(result[i], -1);
    y = pickedAlong(n, y, static_cast<int64_t>(i), sources);
  }
  resultOf(n, y, result);
}

// ---- Means ------------------------------------------------------------------

/// One over how many pixels each window has, with the padding that counts.
static Constant shares(const Windows &w, const Shape &image, bool countsPads) {
  Constant result;
  std::vector<int64_t> sizes, at(w.taps.size(), 0);
  for (size_t i = 0; i < w.taps.size(); ++i)
    sizes.push_back(w.windows(i));
  result.dims = sizes;
  result.dims.push_back(1);
  std::vector<float> values;
  do {
    double count = 1;
    for (size_t i = 0; i < w.taps.size(); ++i) {
      double inside = 0;
      for (int64_t tap = 0; tap < w.taps[i]; ++tap) {
        const int64_t pixel =
            at[i] * w.strides[i] + tap * w.dilations[i] - w.low[i];
        const int64_t low = countsPads ? -w.low[i] : 0,
                      high =
                          image[i] + (countsPads ? w.high[i] - w.beyond[i] : 0);
        inside += pixel >= low && pixel < high;
      }
      count *= inside;
    }
    values.push_back(static_cast<float>(1 / count));
  } while (next(at, sizes));
  result.values = std::move(values);
  return result;
}

static void readAveragePool(NodeReader &n) {
  std::optional<Windows> w = readWindows(n);
  if (!w)
    return;
  Tensor x = images(n);
  if (!x)
    return;
  const bool countsPads =
      n.integer("count_include_pad", 0) != 0 && w->isPadded();
  const bool isCutOff = llvm::any_of(w->beyond, [](int64_t x) { return x; });
  if (!llvm::all_of(w->dilations, isOne) || (countsPads && isCutOff)) {
    if (!hasFewTaps(n, *w))
      return;
    const Constant factors = shares(*w, n.shapeOf(x), countsPads);
    return imagesResult(n, n.layer(Config("multiply"),
                                   {sumOfTaps(n, x, *w), n.frozen(factors)}));
  }
  Value padding = w->padding();
  if (countsPads) {
    x = n.layer(Config(ranked("zero_padding", w->taps.size()),
                       {{"padding", toSides(w->low, w->high)}}),
                x);
    padding = Value("valid");
  }
  imagesResult(n, n.layer(poolConfig("average_pooling", *w, padding), x));
}

// ---- Whole images -----------------------------------------------------------

static void readGlobalPool(NodeReader &n, StringRef layer) {
  const int64_t space = rankOf(n.dims(0)) - 2;
  if (space < 1 || space > 3)
    return n.refuse("expected (N, C) and one to three axes of space, got " +
                    dimsToText(n.dims(0)));
  imagesResult(n, n.layer(Config(ranked(layer, space), {{"keepdims", true}}),
                          images(n)));
}
static void readGlobalAveragePool(NodeReader &n) {
  readGlobalPool(n, "global_average_pooling");
}
static void readGlobalMaxPool(NodeReader &n) {
  readGlobalPool(n, "global_max_pooling");
}

/// (sum |x|^p)^(1/p) of each window, or of the whole image. Zeros around it
/// add nothing.
static void readLpPool(NodeReader &n) {
  const bool isGlobal = n.op() == "GlobalLpPool";
  const double p =
      n.opset() < 2 ? n.number("p", 2) : static_cast<double>(n.integer("p", 2));
  std::optional<Windows> w;
  if (!isGlobal)
    w = readWindows(n);
  if (!isGlobal && !w)
    return;
  if (!(p > 0))
    return n.refuse("expected p above 0");
  Tensor x = images(n);
  if (!x)
    return;
  x = n.layer(Config("absolute"), x);
  if (p != 1)
    x = n.layer(Config("power"), {x, numberLike(n, p, x)});
  if (!x)
    return;
  if (isGlobal) {
    x = n.layer(
        Config("sum", {{"axis", toList(counting(1, n.shapeOf(x).size()))},
                       {"keepdims", true}}),
        x);
  } else {
    if (!hasFewTaps(n, *w))
      return;
    x = sumOfTaps(n, x, *w);
  }
  if (x && p != 1)
    x = n.layer(Config("power"), {x, numberLike(n, 1 / p, x)});
  imagesResult(n, x);
}

// ---- The table --------------------------------------------------------------

ArrayRef<OpRule> onnx::poolingRules() {
  static const OpRule rules[] = {
      {"AveragePool", 1, readAveragePool},
      {"GlobalAveragePool", 1, readGlobalAveragePool},
      {"GlobalLpPool", 1, readLpPool},
      {"GlobalMaxPool", 1, readGlobalMaxPool},
      {"LpPool", 1, readLpPool},
      {"MaxPool", 1, readMaxPool},
      {"MaxUnpool", 2, readMaxUnpool},
  };
  return rules;
}
