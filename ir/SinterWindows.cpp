//===- SinterWindows.cpp - verifiers of windows over images, of tables ---===//
//
// Shapes are checked in one place for the three forms of a convolution: given
// two of image, filter and result, the third follows.
//
//===----------------------------------------------------------------------===//

#include "ir/Window.h"

using namespace mlir;
using namespace sinter;

//===----------------------------------------------------------------------===//
// What an op's window is
//===----------------------------------------------------------------------===//

/// Height and width.
static ArrayRef<int64_t> pixelsOf(Value image) {
  return tensorTypeOf(image).getShape().slice(1, 2);
}
static ArrayRef<int64_t> tapsOf(Value filter) {
  return tensorTypeOf(filter).getShape().take_front(2);
}

template <typename Op>
static Convolution describe(Op op, Value image, Value filter, Value result) {
  int64_t groups = op.getGroups();
  ArrayRef<int64_t> taps = tensorTypeOf(filter).getShape();
  return {image,
          filter,
          result,
          makeWindow(pixelsOf(image), tapsOf(filter), op.getStrides(),
                     op.getPadding(), op.getDilations()),
          groups,
          taps[2],
          taps[3] / groups};
}

Convolution sinter::convolutionOf(Conv2dOp op) {
  return describe(op, op.getX(), op.getFilter(), op.getResult());
}
Convolution sinter::convolutionOf(Conv2dTransposeOp op) {
  return describe(op, op.getResult(), op.getFilter(), op.getX());
}
Convolution sinter::convolutionOf(Conv2dFilterGradientOp op) {
  return describe(op, op.getX(), op.getResult(), op.getDy());
}

/// 3 x 3 windows, one pixel apart.
static Window winogradWindow(Value image, ArrayRef<int64_t> padding) {
  return makeWindow(pixelsOf(image), {3, 3}, {1, 1}, padding);
}

Convolution sinter::convolutionOf(WinogradConv2dOp op) {
  Value x = op.getX(), y = op.getResult();
  return {x,
          Value(),
          y,
          winogradWindow(x, op.getPadding()),
          1,
          tensorTypeOf(x).getDimSize(3),
          tensorTypeOf(y).getDimSize(3)};
}
Convolution sinter::convolutionOf(WinogradFilterGradientOp op) {
  return {op.getX(),
          Value(),
          op.getDy(),
          winogradWindow(op.getX(), op.getPadding()),
          1,
          tensorTypeOf(op.getX()).getDimSize(3),
          tensorTypeOf(op.getDy()).getDimSize(3)};
}

Window sinter::poolWindowOf(Operation *op) {
  auto make = [](Value image, auto pool) {
    return makeWindow(pixelsOf(image), pool.getWindow(), pool.getStrides(),
                      pool.getPadding());
  };
  if (auto pool = dyn_cast<MaxPool2dOp>(op))
    return make(pool.getX(), pool);
  if (auto pool = dyn_cast<AvgPool2dOp>(op))
    return make(pool.getX(), pool);
  if (auto pool = dyn_cast<MaxPool2dGradientOp>(op))
    return make(pool.getX(), pool);
  if (auto pool = dyn_cast<MaxPool2dGatherOp>(op))
    return make(pool.getX(), pool);
  auto pool = cast<AvgPool2dGradientOp>(op);
  return make(pool.getResult(), pool);
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

namespace {
/// Reports under an op's name, or stays silent without a location.
struct Checker {
  std::optional<Location> loc;
  StringRef name;

  template <typename... Args> LogicalResult fail(Args &&...args) const {
    return emitOptionalError(loc, "'", name, "' op expected ",
                             std::forward<Args>(args)...);
  }

  LogicalResult numbers(StringRef what, ArrayRef<int64_t> values, size_t count,
                        int64_t least) const {
    bool fits = values.size() == count && llvm::all_of(values, [&](int64_t v) {
                  return v >= least && v <= 1 << 20;
                });
    if (!fits)
      return fail(count, " ", what, " of at least ", least, ", got [", values,
                  "]");
    return success();
  }

  LogicalResult batched(Value image) const {
    if (!isBatched(image))
      return fail("a batch of images, got ", image.getType());
    return success();
  }

  /// `x` has channels, and each of `vectors` an element for every one, or one
  /// for all.
  LogicalResult channels(Value x, ArrayRef<Value> vectors) const {
    RankedTensorType image = tensorTypeOf(x);
    if (!isBatched(image) || image.getRank() < 2)
      return fail("a batched tensor with channels, got ", image);
    for (Value each : vectors) {
      RankedTensorType type = tensorTypeOf(each);
      if (type.getRank() == 1 && type.getDimSize(0) != image.getShape().back())
        return fail("one element for each of ", image.getShape().back(),
                    " channels, got ", type);
    }
    return success();
  }

  template <typename Adaptor> LogicalResult pooling(Adaptor a) const {
    return success(succeeded(batched(a.getOperands().front())) &&
                   succeeded(numbers("window sizes", a.getWindow(), 2, 1)) &&
                   succeeded(numbers("strides", a.getStrides(), 2, 1)) &&
                   succeeded(numbers("paddings", a.getPadding(), 4, 0)));
  }
  template <typename Adaptor> LogicalResult convolution(Adaptor a) const {
    return success(succeeded(batched(a.getOperands().front())) &&
                   succeeded(numbers("strides", a.getStrides(), 2, 1)) &&
                   succeeded(numbers("dilations", a.getDilations(), 2, 1)) &&
                   succeeded(numbers("paddings", a.getPadding(), 4, 0)));
  }

  /// The numbers of windows, at least one each.
  FailureOr<std::array<int64_t, 2>> windows(const Window &window) const {
    std::array<int64_t, 2> counts;
    for (int i = 0; i < 2; ++i) {
      counts[i] = window[i].windows();
      if (counts[i] < 1) {
        (void)fail("a window within the padded image, got a reach of ",
                   window[i].reach(), " over ",
                   window[i].pixels + window[i].low + window[i].high,
                   " pixels");
        return failure();
      }
    }
    return counts;
  }

  /// Each window has a pixel of the image.
  LogicalResult reachImage(const Window &window) const {
    for (const WindowAxis &axis : window)
      if (axis.low >= axis.taps || axis.high >= axis.taps)
        return fail("pooling windows that reach into the image, got padding ",
                    std::max(axis.low, axis.high), " for ", axis.taps, " taps");
    return success();
  }
};
} // namespace

static LogicalResult expectWindows(const Checker &check, Window window,
                                   ArrayRef<int64_t> got) {
  FailureOr<std::array<int64_t, 2>> counts = check.windows(window);
  if (failed(counts))
    return failure();
  if (ArrayRef(*counts) != got)
    return check.fail("results of ", (*counts)[0], " x ", (*counts)[1],
                      " pixels, got ", got[0], " x ", got[1]);
  return success();
}

/// Filters are whole groups, and the image has `channels` for each.
static LogicalResult checkGroups(const Checker &check, ArrayRef<int64_t> filter,
                                 int64_t channels, int64_t groups) {
  if (filter[2] * groups != channels || filter[3] % groups != 0)
    return check.fail("an image of ", filter[2], " channels for each of ",
                      groups, " groups, and filters in whole groups, got ",
                      channels, " channels and ", filter[3], " filters");
  return success();
}

static RankedTensorType imageType(RankedTensorType like, int64_t height,
                                  int64_t width, int64_t channels) {
  return RankedTensorType::get({like.getDimSize(0), height, width, channels},
                               like.getElementType(), like.getEncoding());
}

LogicalResult Conv2dOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc, Adaptor a,
                                         SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX());
  ArrayRef<int64_t> filter = tensorTypeOf(a.getFilter()).getShape();
  if (failed(check.convolution(a)) ||
      failed(checkGroups(check, filter, x.getDimSize(3), a.getGroups())))
    return failure();
  auto counts = check.windows(makeWindow(pixelsOf(a.getX()),
                                         tapsOf(a.getFilter()), a.getStrides(),
                                         a.getPadding(), a.getDilations()));
  if (failed(counts))
    return failure();
  types.push_back(imageType(x, (*counts)[0], (*counts)[1], filter[3]));
  return success();
}

LogicalResult
Conv2dTransposeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                    Adaptor a, SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX());
  ArrayRef<int64_t> filter = tensorTypeOf(a.getFilter()).getShape();
  if (failed(check.convolution(a)) ||
      failed(check.numbers("sizes", a.getSize(), 2, 1)))
    return failure();
  if (filter[3] != x.getDimSize(3) || filter[3] % a.getGroups() != 0)
    return check.fail("an image with a channel for each of ", filter[3],
                      " filters, in ", a.getGroups(), " whole groups, got ",
                      x.getDimSize(3));
  if (failed(expectWindows(check,
                           makeWindow(a.getSize(), tapsOf(a.getFilter()),
                                      a.getStrides(), a.getPadding(),
                                      a.getDilations()),
                           pixelsOf(a.getX()))))
    return failure();
  types.push_back(imageType(x, a.getSize()[0], a.getSize()[1],
                            filter[2] * static_cast<int64_t>(a.getGroups())));
  return success();
}

LogicalResult
Conv2dFilterGradientOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc, Adaptor a,
                                         SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX()), dy = tensorTypeOf(a.getDy());
  int64_t groups = a.getGroups();
  if (failed(check.convolution(a)) ||
      failed(check.numbers("sizes", a.getSize(), 2, 1)))
    return failure();
  if (x.getDimSize(0) != dy.getDimSize(0))
    return check.fail("one batch, got ", x, " and ", dy);
  if (x.getDimSize(3) % groups != 0 || dy.getDimSize(3) % groups != 0)
    return check.fail("channels and filters in ", groups, " whole groups, got ",
                      x.getDimSize(3), " and ", dy.getDimSize(3));
  if (failed(expectWindows(check,
                           makeWindow(pixelsOf(a.getX()), a.getSize(),
                                      a.getStrides(), a.getPadding(),
                                      a.getDilations()),
                           pixelsOf(a.getDy()))))
    return failure();
  types.push_back(
      RankedTensorType::get({a.getSize()[0], a.getSize()[1],
                             x.getDimSize(3) / groups, dy.getDimSize(3)},
                            x.getElementType()));
  return success();
}

/// `flipped`: with channels and filters exchanged.
static RankedTensorType withTaps(RankedTensorType filter, int64_t taps,
                                 bool flipped = false) {
  return RankedTensorType::get({taps, taps, filter.getDimSize(flipped ? 3 : 2),
                                filter.getDimSize(flipped ? 2 : 3)},
                               filter.getElementType());
}

static LogicalResult checkTile(const Checker &check, int64_t tile) {
  if (tile == 2 || tile == 4)
    return success();
  return check.fail("tiles of 2 or 4, got ", tile);
}

/// winograd_filter's result.
static LogicalResult checkTransformed(const Checker &check,
                                      RankedTensorType u) {
  int64_t taps = u.getDimSize(0);
  if (!isBatched(u) && taps == u.getDimSize(1) && (taps == 4 || taps == 6))
    return success();
  return check.fail("filters of 4 x 4 or 6 x 6 taps, got ", u);
}

LogicalResult WinogradFilterOp::inferReturnTypes(MLIRContext *,
                                                 std::optional<Location> loc,
                                                 Adaptor a,
                                                 SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType filter = tensorTypeOf(a.getFilter());
  if (isBatched(filter) || filter.getDimSize(0) != 3 ||
      filter.getDimSize(1) != 3)
    return check.fail("filters of 3 x 3 taps, got ", filter);
  auto tile = static_cast<int64_t>(a.getTile());
  if (failed(checkTile(check, tile)))
    return failure();
  RankedTensorType type = withTaps(filter, tile + 2, a.getFlipped());
  types.push_back(type);
  if (!a.getBlocked())
    return success();
  if (!fillsFilterBlocks(type.getDimSize(3)))
    return check.fail("a multiple of ", kFilterBlock, " filters, got ", type);
  types.back() =
      RankedTensorType::get(type.getShape(), type.getElementType(),
                            FilterBlocksAttr::get(type.getContext()));
  return success();
}

LogicalResult WinogradFilterAdjointOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor a,
    SmallVectorImpl<Type> &types) {
  RankedTensorType u = tensorTypeOf(a.getU());
  if (failed(checkTransformed({loc, getOperationName()}, u)))
    return failure();
  types.push_back(withTaps(u, 3));
  return success();
}

/// How many 3 x 3 windows there are.
static FailureOr<std::array<int64_t, 2>>
winogradWindows(const Checker &check, Value x, ArrayRef<int64_t> padding) {
  if (failed(check.batched(x)) ||
      failed(check.numbers("paddings", padding, 4, 0)))
    return failure();
  if (llvm::any_of(padding, [](int64_t p) { return p > 2; })) {
    (void)check.fail("paddings of at most 2, got [", padding, "]");
    return failure();
  }
  return check.windows(winogradWindow(x, padding));
}

LogicalResult WinogradConv2dOp::inferReturnTypes(MLIRContext *,
                                                 std::optional<Location> loc,
                                                 Adaptor a,
                                                 SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX()), u = tensorTypeOf(a.getU());
  auto counts = winogradWindows(check, a.getX(), a.getPadding());
  if (failed(counts))
    return failure();
  if (failed(checkTransformed(check, u)))
    return failure();
  if (u.getDimSize(2) != x.getDimSize(3))
    return check.fail("an image of ", u.getDimSize(2), " channels, got ",
                      x.getDimSize(3));
  types.push_back(imageType(x, (*counts)[0], (*counts)[1], u.getDimSize(3)));
  return success();
}

LogicalResult WinogradFilterGradientOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor a,
    SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX()), dy = tensorTypeOf(a.getDy());
  auto counts = winogradWindows(check, a.getX(), a.getPadding());
  if (failed(counts))
    return failure();
  if (x.getDimSize(0) != dy.getDimSize(0))
    return check.fail("one batch, got ", x, " and ", dy);
  if (ArrayRef(*counts) != pixelsOf(a.getDy()))
    return check.fail("results of ", (*counts)[0], " x ", (*counts)[1],
                      " pixels, got ", dy.getDimSize(1), " x ",
                      dy.getDimSize(2));
  auto tile = static_cast<int64_t>(a.getTile());
  if (failed(checkTile(check, tile)))
    return failure();
  int64_t taps = tile + 2;
  types.push_back(RankedTensorType::get(
      {taps, taps, x.getDimSize(3), dy.getDimSize(3)}, x.getElementType()));
  return success();
}

template <typename Adaptor>
static LogicalResult inferPool(const Checker &check, Adaptor a,
                               SmallVectorImpl<Type> &types) {
  if (failed(check.pooling(a)))
    return failure();
  RankedTensorType x = tensorTypeOf(a.getX());
  Window window = makeWindow(pixelsOf(a.getX()), a.getWindow(), a.getStrides(),
                             a.getPadding());
  auto counts = check.windows(window);
  if (failed(counts) || failed(check.reachImage(window)))
    return failure();
  types.push_back(imageType(x, (*counts)[0], (*counts)[1], x.getDimSize(3)));
  return success();
}

LogicalResult MaxPool2dOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor a,
                                            SmallVectorImpl<Type> &types) {
  return inferPool(Checker{loc, getOperationName()}, a, types);
}
LogicalResult AvgPool2dOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor a,
                                            SmallVectorImpl<Type> &types) {
  return inferPool(Checker{loc, getOperationName()}, a, types);
}

LogicalResult
MaxPool2dGatherOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                    Adaptor a, SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX()), y = tensorTypeOf(a.getY());
  if (x.getShape() != y.getShape())
    return check.fail("images of one shape, got ", x, " and ", y);
  return inferPool(check, a, types);
}

/// dy has a pixel for each window of an image of `pixels`.
template <typename Adaptor>
static LogicalResult inferPoolGradient(const Checker &check, Adaptor a,
                                       ArrayRef<int64_t> pixels,
                                       SmallVectorImpl<Type> &types) {
  Window window =
      makeWindow(pixels, a.getWindow(), a.getStrides(), a.getPadding());
  if (failed(expectWindows(check, window, pixelsOf(a.getDy()))) ||
      failed(check.reachImage(window)))
    return failure();
  RankedTensorType dy = tensorTypeOf(a.getDy());
  types.push_back(imageType(dy, pixels[0], pixels[1], dy.getDimSize(3)));
  return success();
}

LogicalResult
MaxPool2dGradientOp::inferReturnTypes(MLIRContext *,
                                      std::optional<Location> loc, Adaptor a,
                                      SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX()), dy = tensorTypeOf(a.getDy());
  if (failed(check.pooling(a)))
    return failure();
  if (x.getDimSize(0) != dy.getDimSize(0) ||
      x.getDimSize(3) != dy.getDimSize(3))
    return check.fail("one batch and equal channels, got ", x, " and ", dy);
  return inferPoolGradient(check, a, pixelsOf(a.getX()), types);
}

LogicalResult
AvgPool2dGradientOp::inferReturnTypes(MLIRContext *,
                                      std::optional<Location> loc, Adaptor a,
                                      SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  if (failed(check.pooling(a)) ||
      failed(check.numbers("sizes", a.getSize(), 2, 1)))
    return failure();
  return inferPoolGradient(check, a, a.getSize(), types);
}

//===----------------------------------------------------------------------===//
// Pixels and axes moved
//===----------------------------------------------------------------------===//

LogicalResult UpsampleOp::inferReturnTypes(MLIRContext *,
                                           std::optional<Location> loc,
                                           Adaptor a,
                                           SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  if (failed(check.batched(a.getX())) ||
      failed(check.numbers("factors", a.getFactors(), 2, 1)))
    return failure();
  RankedTensorType x = tensorTypeOf(a.getX());
  types.push_back(imageType(x, x.getDimSize(1) * a.getFactors()[0],
                            x.getDimSize(2) * a.getFactors()[1],
                            x.getDimSize(3)));
  return success();
}

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor a,
                                            SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX());
  ArrayRef<int64_t> permutation = a.getPermutation();
  SmallVector<int64_t> sorted(permutation), shape;
  llvm::sort(sorted);
  bool isPermutation =
      sorted == llvm::to_vector(llvm::seq<int64_t>(0, x.getRank())) &&
      isBatched(x) && permutation.front() == 0;
  if (!isPermutation)
    return check.fail("each axis of a batched tensor once, the batch first, "
                      "got [",
                      permutation, "] for ", x);
  for (int64_t axis : permutation)
    shape.push_back(x.getDimSize(axis));
  types.push_back(
      RankedTensorType::get(shape, x.getElementType(), x.getEncoding()));
  return success();
}

//===----------------------------------------------------------------------===//
// Tables of rows
//===----------------------------------------------------------------------===//

/// f32 has a number for each row.
static LogicalResult checkRows(const Checker &check, int64_t rows) {
  if (rows > int64_t{1} << 24)
    return check.fail("at most 2^24 rows, got ", rows);
  return success();
}

LogicalResult EmbeddingOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor a,
                                            SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX()),
                   table = tensorTypeOf(a.getTable());
  if (!isBatched(x) || isBatched(table))
    return check.fail("a batch of indices and a table, got ", x, " and ",
                      table);
  if (failed(checkRows(check, table.getDimSize(0))))
    return failure();
  SmallVector<int64_t> shape(x.getShape());
  shape.push_back(table.getDimSize(1));
  types.push_back(
      RankedTensorType::get(shape, x.getElementType(), x.getEncoding()));
  return success();
}

LogicalResult
EmbeddingGradientOp::inferReturnTypes(MLIRContext *,
                                      std::optional<Location> loc, Adaptor a,
                                      SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX()), dy = tensorTypeOf(a.getDy());
  if (!isBatched(x) || dy.getRank() != x.getRank() + 1 ||
      dy.getShape().drop_back() != x.getShape())
    return check.fail("a batch of indices and a row for each, got ", x, " and ",
                      dy);
  if (failed(checkRows(check, a.getRows())))
    return failure();
  types.push_back(RankedTensorType::get(
      {static_cast<int64_t>(a.getRows()), dy.getShape().back()},
      x.getElementType()));
  return success();
}

//===----------------------------------------------------------------------===//
// Normalisation
//===----------------------------------------------------------------------===//

LogicalResult BatchNormOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor a,
                                            SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  if (failed(
          check.channels(a.getX(), {a.getGamma(), a.getBeta(), a.getShift()})))
    return failure();
  types.push_back(a.getX().getType());
  return success();
}

LogicalResult LayerNormOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor a,
                                            SmallVectorImpl<Type> &types) {
  Checker check{loc, getOperationName()};
  RankedTensorType x = tensorTypeOf(a.getX());
  int64_t axes = a.getAxes();
  if (!isBatched(x) || axes >= x.getRank())
    return check.fail("a batched tensor with at least ", axes,
                      " feature axes, got ", x);
  for (Value each : {a.getGamma(), a.getBeta()}) {
    RankedTensorType type = tensorTypeOf(each);
    if (type.getRank() != 0 && type.getShape() != x.getShape().take_back(axes))
      return check.fail("gamma and beta of the normalised axes' shape, got ",
                        type, " for ", x);
  }
  types.push_back(x);
  return success();
}

LogicalResult BatchNormalizationOp::verify() {
  float momentum = getMomentum().convertToFloat();
  if (!(momentum >= 0 && momentum <= 1))
    return emitOpError("expected a momentum in [0, 1], got ") << momentum;
  if (!(getEpsilon().convertToFloat() > 0))
    return emitOpError("expected an epsilon above 0, got ")
           << getEpsilon().convertToFloat();
  return Checker{getLoc(), getOperationName()}.channels(
      getX(), {getGamma(), getBeta()});
}

LogicalResult
BatchNormalizationOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto wanted = RankedTensorType::get({tensorTypeOf(getX()).getShape().back()},
                                      Float32Type::get(getContext()));
  for (FlatSymbolRefAttr name :
       {getMovingMeanAttr(), getMovingVarianceAttr()}) {
    auto state = tables.lookupNearestSymbolFrom<StateOp>(*this, name);
    if (!state || state.getType() != wanted)
      return emitOpError("expected a state of type ")
             << wanted << ", got " << name;
  }
  return success();
}
