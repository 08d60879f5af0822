//===- Windows.cpp - reference kernels of convolutions and pooling -------===//
//
// Problem: strides, dilation, uneven padding and groups are where convolutions
// go wrong, so the oracle must have no cleverness at all.
//
// Idea: one loop over everything that touches: each window, each tap, the pixel
// that the tap reads, if it is in the image. A convolution's three ops differ
// only in which of image, filter and result is summed into; pooling and its
// gradients look at the same pairs of window and pixel.
//
//===----------------------------------------------------------------------===//

#include "ir/reference/Windows.h"

#include "ir/Window.h"
#include "ir/Winograd.h"

#include <cmath>
#include <limits>
#include <optional>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;

/// `visit(r, q, i, j, h, w)` for each window, tap and pixel that meet, windows
/// in row-major order, then taps.
template <typename Visit>
static void forEachMeeting(const Window &window, Visit visit) {
  auto [vertical, horizontal] = window;
  for (int64_t r = 0; r < vertical.windows(); ++r)
    for (int64_t q = 0; q < horizontal.windows(); ++q)
      for (int64_t i = 0; i < vertical.taps; ++i)
        for (int64_t j = 0; j < horizontal.taps; ++j)
          if (vertical.covers(r, i) && horizontal.covers(q, j))
            visit(r, q, i, j, vertical.pixel(r, i), horizontal.pixel(q, j));
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

/// `add(image index, filter index, result index)` for each product of the
/// trilinear form.
template <typename Add>
static void forEachProduct(const Convolution &form, size_t batch, Add add) {
  using Index = std::array<size_t, 4>;
  forEachMeeting(form.window, [&](size_t r, size_t q, size_t i, size_t j,
                                  size_t h, size_t w) {
    for (size_t n = 0; n < batch; ++n)
      for (int64_t group = 0; group < form.groups; ++group)
        for (int64_t c = 0; c < form.channels; ++c)
          for (int64_t k = 0; k < form.filters; ++k) {
            size_t channel = group * form.channels + c;
            size_t filter = group * form.filters + k;
            add(Index{n, h, w, channel}, Index{i, j, size_t(c), filter},
                Index{n, r, q, filter});
          }
  });
}

FailureOr<Array> reference::conv2d(const KernelCall &call) {
  Array result = xt::zeros<double>(call.shape);
  forEachProduct(convolutionOf(cast<Conv2dOp>(call.op)), call.shape[0],
                 [&](auto image, auto filter, auto at) {
                   result[at] += call[0][image] * call[1][filter];
                 });
  return result;
}

FailureOr<Array> reference::conv2dTranspose(const KernelCall &call) {
  Array result = xt::zeros<double>(call.shape);
  forEachProduct(convolutionOf(cast<Conv2dTransposeOp>(call.op)), call.shape[0],
                 [&](auto at, auto filter, auto window) {
                   result[at] += call[0][window] * call[1][filter];
                 });
  return result;
}

FailureOr<Array> reference::conv2dFilterGradient(const KernelCall &call) {
  Array result = xt::zeros<double>(call.shape);
  forEachProduct(convolutionOf(cast<Conv2dFilterGradientOp>(call.op)),
                 call[0].shape(0), [&](auto image, auto at, auto window) {
                   result[at] += call[0][image] * call[1][window];
                 });
  return result;
}

//===----------------------------------------------------------------------===//
// Winograd's filtering
//===----------------------------------------------------------------------===//

// The matrices' zeros stand for what is not read: they make no NaN of an
// infinity or of a NaN.

/// `visit(a, b, i, j, c, f, G[a, i] G[b, j])` where that is not 0; `u` is the
/// shape of transformed filters.
template <typename Visit>
static void forEachTransformedTap(RankedTensorType u, Visit visit) {
  const WinogradMatrices &m = winogradMatrices(winogradTile(u));
  auto taps = size_t(m.taps());
  for (size_t a = 0; a < taps; ++a)
    for (size_t b = 0; b < taps; ++b)
      for (size_t i = 0; i < 3; ++i)
        for (size_t j = 0; j < 3; ++j)
          if (double factor = m.filter[a][i] * m.filter[b][j]; factor != 0)
            for (size_t c = 0; c < size_t(u.getDimSize(2)); ++c)
              for (size_t f = 0; f < size_t(u.getDimSize(3)); ++f)
                visit(a, b, i, j, c, f, factor);
}

FailureOr<Array> reference::winogradFilter(const KernelCall &call) {
  bool flipped = cast<WinogradFilterOp>(call.op).getFlipped();
  const Array &w = call[0];
  Array u = xt::zeros<double>(call.shape);
  forEachTransformedTap(tensorTypeOf(call.op->getResult(0)),
                        [&](size_t a, size_t b, size_t i, size_t j, size_t c,
                            size_t f, double factor) {
                          u(a, b, c, f) +=
                              factor *
                              (flipped ? w(2 - i, 2 - j, f, c) : w(i, j, c, f));
                        });
  return u;
}

FailureOr<Array> reference::winogradFilterAdjoint(const KernelCall &call) {
  Array w = xt::zeros<double>(call.shape);
  forEachTransformedTap(
      tensorTypeOf(call.op->getOperand(0)),
      [&](size_t a, size_t b, size_t i, size_t j, size_t c, size_t f,
          double factor) { w(i, j, c, f) += factor * call[0](a, b, c, f); });
  return w;
}

/// B' x B for each tile and channel: (n, tile row, tile column, c, taps, taps).
static Array transformedTiles(const Convolution &form,
                              const WinogradMatrices &m, const Array &x) {
  const auto &[down, across] = form.window;
  int64_t taps = m.taps();
  WinogradCut rows(down, m.tile), columns(across, m.tile);
  std::vector<size_t> shape = {
      x.shape(0), size_t(rows.tiles), size_t(columns.tiles),
      x.shape(3), size_t(taps),       size_t(taps)};
  Array result = xt::zeros<double>(shape);
  for (size_t n = 0; n < shape[0]; ++n)
    for (size_t r = 0; r < shape[1]; ++r)
      for (size_t q = 0; q < shape[2]; ++q)
        for (size_t c = 0; c < shape[3]; ++c)
          for (int64_t a = 0; a < taps; ++a)
            for (int64_t b = 0; b < taps; ++b)
              for (int64_t k = 0; k < taps; ++k)
                for (int64_t l = 0; l < taps; ++l) {
                  int64_t h = down.pixel(rows.begin(int64_t(r)), k);
                  int64_t w = across.pixel(columns.begin(int64_t(q)), l);
                  double factor = m.image[a][k] * m.image[b][l];
                  if (factor != 0 && h >= 0 && h < down.pixels && w >= 0 &&
                      w < across.pixels)
                    result(n, r, q, c, size_t(a), size_t(b)) +=
                        factor * x(n, size_t(h), size_t(w), c);
                }
  return result;
}

/// `visit(pixel, i)` for pixel i of tile `number` of the result.
template <typename Visit>
static void forEachPixel(const WinogradCut &cut, size_t number, Visit visit) {
  auto begin = size_t(cut.begin(int64_t(number)));
  auto end = size_t(cut.end(int64_t(number)));
  for (size_t pixel = begin; pixel < end; ++pixel)
    visit(pixel, pixel - begin);
}

FailureOr<Array> reference::winogradConv2d(const KernelCall &call) {
  auto op = cast<WinogradConv2dOp>(call.op);
  Convolution form = convolutionOf(op);
  const auto &[down, across] = form.window;
  const WinogradMatrices &m =
      winogradMatrices(winogradTile(tensorTypeOf(op.getU())));
  WinogradCut rows(down, m.tile), columns(across, m.tile);
  Array tiles = transformedTiles(form, m, call[0]);
  const Array &u = call[1];
  auto taps = size_t(m.taps());
  Array y = xt::zeros<double>(call.shape);
  auto addTile = [&](size_t n, size_t r, size_t q, size_t f, size_t h, size_t i,
                     size_t w, size_t j) {
    for (size_t c = 0; c < call[0].shape(3); ++c)
      for (size_t a = 0; a < taps; ++a)
        for (size_t b = 0; b < taps; ++b)
          if (double factor = m.result[i][a] * m.result[j][b]; factor != 0)
            y(n, h, w, f) += factor * u(a, b, c, f) * tiles(n, r, q, c, a, b);
  };
  for (size_t n = 0; n < tiles.shape(0); ++n)
    for (size_t r = 0; r < tiles.shape(1); ++r)
      for (size_t q = 0; q < tiles.shape(2); ++q)
        for (size_t f = 0; f < call.shape[3]; ++f)
          forEachPixel(rows, r, [&](size_t h, size_t i) {
            forEachPixel(columns, q, [&](size_t w, size_t j) {
              addTile(n, r, q, f, h, i, w, j);
            });
          });
  return y;
}

FailureOr<Array> reference::winogradFilterGradient(const KernelCall &call) {
  auto op = cast<WinogradFilterGradientOp>(call.op);
  Convolution form = convolutionOf(op);
  const auto &[down, across] = form.window;
  const WinogradMatrices &m =
      winogradMatrices(static_cast<int64_t>(op.getTile()));
  WinogradCut rows(down, m.tile), columns(across, m.tile);
  Array tiles = transformedTiles(form, m, call[0]);
  const Array &dy = call[1];
  auto taps = size_t(m.taps());
  Array du = xt::zeros<double>(call.shape);
  for (size_t n = 0; n < tiles.shape(0); ++n)
    for (size_t r = 0; r < tiles.shape(1); ++r)
      for (size_t q = 0; q < tiles.shape(2); ++q)
        for (size_t a = 0; a < taps; ++a)
          for (size_t b = 0; b < taps; ++b)
            for (size_t f = 0; f < call.shape[3]; ++f) {
              std::optional<double> sum; // A dy A'
              forEachPixel(rows, r, [&](size_t h, size_t i) {
                forEachPixel(columns, q, [&](size_t w, size_t j) {
                  double factor = m.result[i][a] * m.result[j][b];
                  if (factor != 0)
                    sum = sum.value_or(0) + factor * dy(n, h, w, f);
                });
              });
              if (!sum)
                continue; // a short tile
              for (size_t c = 0; c < call.shape[2]; ++c)
                du(a, b, c, f) += *sum * tiles(n, r, q, c, a, b);
            }
  return du;
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

/// How many pixels of the image each window covers: (down, across).
static Array pixelsOfWindows(const Window &window) {
  std::vector<size_t> windows = {size_t(window[0].windows()),
                                 size_t(window[1].windows())};
  Array count = xt::zeros<double>(windows);
  forEachMeeting(window, [&](size_t r, size_t q, size_t, size_t, size_t,
                             size_t) { count(r, q) += 1; });
  return count;
}

/// `visit(n, r, q, h, w, c)` for each sample and channel.
template <typename Visit>
static void forEachPooled(const Window &window, size_t batch, size_t channels,
                          Visit visit) {
  forEachMeeting(window,
                 [&](size_t r, size_t q, size_t, size_t, size_t h, size_t w) {
                   for (size_t n = 0; n < batch; ++n)
                     for (size_t c = 0; c < channels; ++c)
                       visit(n, r, q, h, w, c);
                 });
}

/// Larger than the largest so far; NaN is larger than all.
static bool exceeds(double x, double largest) {
  return x > largest || (std::isnan(x) && !std::isnan(largest));
}

static Array maxOf(const Window &window, const Array &x,
                   const std::vector<size_t> &shape) {
  Array result = Array::from_shape(shape);
  result.fill(-std::numeric_limits<double>::infinity());
  forEachPooled(
      window, shape[0], shape[3],
      [&](size_t n, size_t r, size_t q, size_t h, size_t w, size_t c) {
        if (exceeds(x(n, h, w, c), result(n, r, q, c)))
          result(n, r, q, c) = x(n, h, w, c);
      });
  return result;
}

FailureOr<Array> reference::maxPool2d(const KernelCall &call) {
  return maxOf(poolWindowOf(call.op), call[0], call.shape);
}

/// `visit(n, r, q, h, w, c)` for the first maximal pixel of each of `windows`.
template <typename Visit>
static void forEachMaximum(const Window &window, const Array &x,
                           const std::vector<size_t> &windows, Visit visit) {
  Array largest = maxOf(window, x, windows);
  Array visited = xt::zeros<double>(windows);
  forEachPooled(
      window, windows[0], windows[3],
      [&](size_t n, size_t r, size_t q, size_t h, size_t w, size_t c) {
        if (visited(n, r, q, c) != 0 ||
            exceeds(largest(n, r, q, c), x(n, h, w, c)))
          return;
        visited(n, r, q, c) = 1;
        visit(n, r, q, h, w, c);
      });
}

FailureOr<Array> reference::maxPool2dGradient(const KernelCall &call) {
  const Array &x = call[0], &dy = call[1];
  std::vector<size_t> windows(dy.shape().begin(), dy.shape().end());
  Array result = xt::zeros<double>(call.shape);
  forEachMaximum(poolWindowOf(call.op), x, windows,
                 [&](size_t n, size_t r, size_t q, size_t h, size_t w,
                     size_t c) { result(n, h, w, c) += dy(n, r, q, c); });
  return result;
}

FailureOr<Array> reference::maxPool2dGather(const KernelCall &call) {
  Array result = Array::from_shape(call.shape);
  forEachMaximum(poolWindowOf(call.op), call[0], call.shape,
                 [&](size_t n, size_t r, size_t q, size_t h, size_t w,
                     size_t c) { result(n, r, q, c) = call[1](n, h, w, c); });
  return result;
}

FailureOr<Array> reference::avgPool2d(const KernelCall &call) {
  Window window = poolWindowOf(call.op);
  Array count = pixelsOfWindows(window);
  Array result = xt::zeros<double>(call.shape);
  forEachPooled(
      window, call.shape[0], call.shape[3],
      [&](size_t n, size_t r, size_t q, size_t h, size_t w, size_t c) {
        result(n, r, q, c) += call[0](n, h, w, c) / count(r, q);
      });
  return result;
}

FailureOr<Array> reference::avgPool2dGradient(const KernelCall &call) {
  Window window = poolWindowOf(call.op);
  Array count = pixelsOfWindows(window);
  Array result = xt::zeros<double>(call.shape);
  forEachPooled(
      window, call.shape[0], call.shape[3],
      [&](size_t n, size_t r, size_t q, size_t h, size_t w, size_t c) {
        result(n, h, w, c) += call[0](n, r, q, c) / count(r, q);
      });
  return result;
}
