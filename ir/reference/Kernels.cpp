//===- Kernels.cpp - one reference kernel per op -------------------------===//
//
// The table at the end reads like the list of ops in SinterOps.td, in the same
// order. Elementwise ops are one-line lambdas over doubles; xtensor broadcasts.
// What looks at images through windows is in Windows.cpp.
// Composites have kernels of their own, never by way of their expansion: the
// two are compared with each other.
//
//===----------------------------------------------------------------------===//

#include "ir/reference/Kernels.h"

#include "ir/SinterDialect.h"
#include "ir/reference/Windows.h"
#include "runtime/sinter_runtime.h"

#include "mlir/IR/DialectResourceBlobManager.h"

#include <xtensor/xbroadcast.hpp>
#include <xtensor/xmanipulation.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xreducer.hpp>
#include <xtensor/xstrided_view.hpp>

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <optional>

using namespace mlir;
using namespace sinter;
using namespace sinter::reference;

static Tensor makeTensor(Element element, const std::vector<size_t> &shape,
                         const std::vector<double> &values) {
  Tensor tensor{element, Array::from_shape(shape)};
  assert(tensor.values.size() == values.size() &&
         "a tensor needs a value for each element");
  std::copy(values.begin(), values.end(), tensor.values.begin());
  return tensor;
}

Tensor Tensor::f32(std::vector<size_t> shape, std::vector<double> values) {
  return makeTensor(Element::F32, shape, values);
}

Tensor Tensor::i32(std::vector<size_t> shape, std::vector<double> values) {
  return makeTensor(Element::I32, shape, values);
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

template <typename T>
static Array fromValues(const KernelCall &call, T values) {
  Array result = Array::from_shape(call.shape);
  llvm::copy(values, result.begin());
  return result;
}

static FailureOr<Array> constant(const KernelCall &call) {
  ElementsAttr value = cast<ConstantOp>(call.op).getValue();
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    if (dense.getElementType().isF32())
      return fromValues(call, dense.getValues<float>());
    return fromValues(call, dense.getValues<int32_t>());
  }
  // A resource: the bytes are there, unless the printer elided them.
  size_t count = value.getNumElements();
  if (auto floats = dyn_cast<DenseF32ResourceElementsAttr>(value)) {
    auto data = floats.tryGetAsArrayRef();
    if (data && data->size() == count)
      return fromValues(call, *data);
  }
  if (auto integers = dyn_cast<DenseI32ResourceElementsAttr>(value)) {
    auto data = integers.tryGetAsArrayRef();
    if (data && data->size() == count)
      return fromValues(call, *data);
  }
  return call.op->emitOpError("expected a value with all its elements, got ")
         << value;
}

static FailureOr<Array> iota(const KernelCall &call) {
  size_t axis = cast<IotaOp>(call.op).getAxis();
  size_t inner = 1; // elements between neighbours
  for (size_t i = axis + 1; i < call.shape.size(); ++i)
    inner *= call.shape[i];
  Array result = Array::from_shape(call.shape);
  size_t position = 0;
  for (double &element : result)
    element = static_cast<double>(position++ / inner % call.shape[axis]);
  return result;
}

/// Four random words for an element. See the description of random ops.
static std::array<uint32_t, 4> randomWords(const KernelCall &call,
                                           uint32_t index, uint32_t sample,
                                           int64_t stream) {
  auto bits = [](double integer) {
    return static_cast<uint32_t>(static_cast<int32_t>(integer));
  };
  const uint32_t key[2] = {bits(call[0](0)), bits(call[0](1))};
  const uint32_t counter[4] = {index, sample, bits(call[1]()),
                               static_cast<uint32_t>(stream)};
  std::array<uint32_t, 4> words;
  sinter_philox4x32(counter, key, words.data());
  return words;
}

/// `draw(feature, sample)` for every element of a batched result.
template <typename Draw>
static Array drawEach(const KernelCall &call, Draw draw) {
  Array result = Array::from_shape(call.shape);
  size_t features = result.size() / call.batch;
  auto element = result.begin();
  for (size_t sample = 0; sample < call.batch; ++sample)
    for (size_t feature = 0; feature < features; ++feature)
      *element++ = draw(feature, sample);
  return result;
}

static FailureOr<Array> randomUniform(const KernelCall &call) {
  int64_t stream = cast<RandomUniformOp>(call.op).getStream();
  const uint32_t last = call.shape.size() > 1 ? call.shape.back() : 1;
  const uint32_t blocks = (last + 3) / 4;
  return drawEach(call, [&](uint32_t feature, uint32_t sample) {
    uint32_t row = feature / last, f = feature % last;
    auto words = randomWords(call, row * blocks + f / 4, sample, stream);
    return static_cast<double>(sinter_uniform01(words[f % 4]));
  });
}

static FailureOr<Array> randomNormal(const KernelCall &call) {
  int64_t stream = cast<RandomNormalOp>(call.op).getStream();
  return drawEach(call, [&](uint32_t feature, uint32_t sample) {
    auto words = randomWords(call, feature, sample, stream);
    double u0 = sinter_uniform01(words[0]), u1 = sinter_uniform01(words[1]);
    return std::sqrt(-2 * std::log(1 - u0)) *
           std::cos(2 * std::numbers::pi * u1);
  });
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static FailureOr<Array> reshape(const KernelCall &call) {
  Array result = call[0];
  result.reshape(call.shape);
  return result;
}

/// `size` elements from `start` along `axis`, everything along other axes.
static xt::xstrided_slice_vector window(size_t rank, size_t axis, size_t start,
                                        size_t size) {
  xt::xstrided_slice_vector slices(rank, xt::all());
  slices[axis] = xt::range(start, start + size);
  return slices;
}

static FailureOr<Array> concatenate(const KernelCall &call) {
  size_t axis = cast<ConcatenateOp>(call.op).getAxis(), start = 0;
  Array result = Array::from_shape(call.shape);
  for (const Array *input : call.operands) {
    size_t size = input->shape(axis);
    auto part =
        xt::strided_view(result, window(call.shape.size(), axis, start, size));
    xt::noalias(part) = *input;
    start += size;
  }
  return result;
}

static FailureOr<Array> slice(const KernelCall &call) {
  auto op = cast<SliceOp>(call.op);
  return Array(xt::strided_view(call[0], window(call.shape.size(), op.getAxis(),
                                                op.getStart(), op.getSize())));
}

static FailureOr<Array> pad(const KernelCall &call) {
  auto op = cast<PadOp>(call.op);
  Array result = xt::zeros<double>(call.shape);
  auto middle = xt::strided_view(result, window(call.shape.size(), op.getAxis(),
                                                op.getLow(),
                                                call[0].shape(op.getAxis())));
  xt::noalias(middle) = call[0];
  return result;
}

static FailureOr<Array> transpose(const KernelCall &call) {
  ArrayRef<int64_t> order = cast<TransposeOp>(call.op).getPermutation();
  return Array(
      xt::transpose(call[0], std::vector<size_t>(order.begin(), order.end())));
}

static FailureOr<Array> upsample(const KernelCall &call) {
  ArrayRef<int64_t> factors = cast<UpsampleOp>(call.op).getFactors();
  Array result = Array::from_shape(call.shape);
  for (size_t n = 0; n < call.shape[0]; ++n)
    for (size_t h = 0; h < call.shape[1]; ++h)
      for (size_t w = 0; w < call.shape[2]; ++w)
        for (size_t c = 0; c < call.shape[3]; ++c)
          result(n, h, w, c) = call[0](n, h / factors[0], w / factors[1], c);
  return result;
}

//===----------------------------------------------------------------------===//
// Reductions and contractions
//===----------------------------------------------------------------------===//

static double maximum(double a, double b) {
  return std::isnan(a) || a > b ? a : b;
}

static double minimum(double a, double b) {
  return std::isnan(a) || a < b ? a : b;
}

static Array sumOver(const Array &x, const std::vector<size_t> &axes) {
  return xt::sum(x, axes, xt::keep_dims);
}

static Array maxOver(const Array &x, const std::vector<size_t> &axes) {
  struct Maximum {
    double operator()(double a, double b) const { return maximum(a, b); }
  };
  // Unlike xt::amax: a row of -infinity, and NaN, keep what they are.
  xt::const_value<double> lowest(-std::numeric_limits<double>::infinity());
  return xt::reduce(
      xt::make_xreducer_functor(Maximum(), std::move(lowest), Maximum()), x,
      axes, xt::keep_dims);
}

template <typename Op, Array over(const Array &, const std::vector<size_t> &)>
static FailureOr<Array> reduce(const KernelCall &call) {
  ArrayRef<int64_t> axes = cast<Op>(call.op).getAxes();
  Array result = over(call[0], std::vector<size_t>(axes.begin(), axes.end()));
  result.reshape(call.shape); // drops the axes, unless they are kept
  return result;
}

static FailureOr<Array> argmax(const KernelCall &call) {
  const Array &x = call[0];
  size_t classes = x.shape().back();
  Array result = Array::from_shape(call.shape);
  auto row = x.begin();
  for (double &index : result) {
    index = std::distance(row, std::max_element(row, row + classes));
    row += classes;
  }
  return result;
}

static FailureOr<Array> oneHot(const KernelCall &call) {
  Array result = xt::zeros<double>(call.shape);
  for (size_t n = 0; n < call.shape[0]; ++n)
    for (size_t c = 0; c < call.shape[1]; ++c)
      result(n, c) = call[0](n) == static_cast<double>(c);
  return result;
}

/// The row that each index names; none where it names none.
static std::vector<std::optional<size_t>> rowsOf(const Array &x, size_t rows) {
  std::vector<std::optional<size_t>> result;
  for (double index : x) {
    bool isRow = index >= 0 && index < static_cast<double>(rows) &&
                 index == std::floor(index);
    result.push_back(isRow ? std::optional(static_cast<size_t>(index))
                           : std::nullopt);
  }
  return result;
}

static FailureOr<Array> embedding(const KernelCall &call) {
  const Array &table = call[1];
  size_t columns = table.shape(1);
  Array result = Array::from_shape(call.shape);
  auto out = result.begin();
  for (std::optional<size_t> row : rowsOf(call[0], table.shape(0)))
    for (size_t d = 0; d < columns; ++d)
      *out++ = row ? table(*row, d) : std::numeric_limits<double>::quiet_NaN();
  return result;
}

static FailureOr<Array> embeddingGradient(const KernelCall &call) {
  Array result = xt::zeros<double>(call.shape);
  auto dy = call[1].begin();
  for (std::optional<size_t> row : rowsOf(call[0], call.shape[0]))
    for (size_t d = 0; d < call.shape[1]; ++d, ++dy)
      if (row)
        result(*row, d) += *dy;
  return result;
}

static FailureOr<Array> matmul(const KernelCall &call) {
  auto op = cast<MatmulOp>(call.op);
  bool transposeA = op.getTransposeA(), transposeB = op.getTransposeB();
  const Array &a = call[0], &b = call[1];
  size_t inner = a.shape(transposeA ? 0 : 1);
  Array result = Array::from_shape(call.shape);
  for (size_t i = 0; i < call.shape[0]; ++i)
    for (size_t j = 0; j < call.shape[1]; ++j) {
      double sum = 0;
      for (size_t k = 0; k < inner; ++k)
        sum +=
            (transposeA ? a(k, i) : a(i, k)) * (transposeB ? b(j, k) : b(k, j));
      result(i, j) = sum;
    }
  return result;
}

static FailureOr<Array> batchMatmul(const KernelCall &call) {
  auto op = cast<BatchMatmulOp>(call.op);
  const size_t rank = call.shape.size(), inner = op.getInner();
  const size_t rows = call.shape[rank - 2], columns = call.shape[rank - 1];
  // The matrices of an operand that those of the result at `at` are made of.
  auto element = [&](const Array &x, std::vector<size_t> at, bool transposed,
                     size_t row, size_t column) {
    for (size_t i = 0; i + 2 < rank; ++i)
      at[i] = x.shape(i) == 1 ? 0 : at[i];
    at[rank - 2] = transposed ? column : row;
    at[rank - 1] = transposed ? row : column;
    return x.element(at.begin(), at.end());
  };
  Array result = Array::from_shape(call.shape);
  auto out = result.begin();
  for (size_t position = 0; position < result.size(); ++position, ++out) {
    std::vector<size_t> at(rank);
    size_t rest = position / (rows * columns);
    for (size_t i = rank - 2; i-- > 0; rest /= call.shape[i])
      at[i] = rest % call.shape[i];
    const size_t row = position / columns % rows, column = position % columns;
    double sum = 0;
    for (size_t k = 0; k < inner; ++k)
      sum += element(call[0], at, op.getTransposeA(), row, k) *
             element(call[1], at, op.getTransposeB(), k, column);
    *out = sum;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Composites
//===----------------------------------------------------------------------===//

static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

static double exponentialUnit(double x, double alpha) {
  return x > 0 ? x : alpha * std::expm1(x);
}

static FailureOr<Array> leakyRelu(const KernelCall &call) {
  double alpha = cast<LeakyReluOp>(call.op).getAlpha().convertToFloat();
  return Array(xt::make_lambda_xfunction(
      [alpha](double x) { return x > 0 ? x : alpha * x; }, call[0]));
}

static FailureOr<Array> elu(const KernelCall &call) {
  double alpha = cast<EluOp>(call.op).getAlpha().convertToFloat();
  return Array(xt::make_lambda_xfunction(
      [alpha](double x) { return exponentialUnit(x, alpha); }, call[0]));
}

static double geluExact(double x) {
  return x / 2 * (1 + std::erf(x / std::numbers::sqrt2));
}

static double geluApproximate(double x) {
  double u = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return x / 2 * (1 + std::tanh(u));
}

static FailureOr<Array> gelu(const KernelCall &call) {
  bool approximate = cast<GeluOp>(call.op).getApproximate();
  return Array(xt::make_lambda_xfunction(
      approximate ? geluApproximate : geluExact, call[0]));
}

/// log softmax(x) over the last axis.
static Array logSoftmax(const Array &x) {
  size_t last = x.dimension() - 1;
  Array shifted = x - maxOver(x, {last});
  return shifted - xt::log(sumOver(xt::exp(shifted), {last}));
}

static FailureOr<Array> softmax(const KernelCall &call) {
  size_t last = call.shape.size() - 1;
  Array e = xt::exp(call[0] - maxOver(call[0], {last}));
  return Array(e / sumOver(e, {last}));
}

static FailureOr<Array> softmaxCrossEntropy(const KernelCall &call) {
  Array result = sumOver(-call[1] * logSoftmax(call[0]), {1});
  result.reshape(call.shape);
  return result;
}

/// `gamma (x - mean) / sqrt(variance + epsilon) + beta`, moments over `axes`.
static Array normalise(const KernelCall &call, const std::vector<size_t> &axes,
                       double epsilon) {
  double count = 1;
  for (size_t axis : axes)
    count *= static_cast<double>(call.shape[axis]);
  Array centred = call[0] - sumOver(call[0], axes) / count;
  Array variance = sumOver(centred * centred, axes) / count;
  return call[1] * centred / xt::sqrt(variance + epsilon) + call[2];
}

static FailureOr<Array> batchNorm(const KernelCall &call) {
  std::vector<size_t> axes(call.shape.size() - 1);
  std::iota(axes.begin(), axes.end(), 0);
  return normalise(call, axes,
                   cast<BatchNormOp>(call.op).getEpsilon().convertToFloat());
}

/// In inference. Operands 3 and 4 are the moving mean and variance.
static FailureOr<Array> batchNormalization(const KernelCall &call) {
  double epsilon =
      cast<BatchNormalizationOp>(call.op).getEpsilon().convertToFloat();
  return Array(call[1] * (call[0] - call[3]) / xt::sqrt(call[4] + epsilon) +
               call[2]);
}

static FailureOr<Array> layerNorm(const KernelCall &call) {
  auto op = cast<LayerNormOp>(call.op);
  std::vector<size_t> axes(op.getAxes());
  std::iota(axes.begin(), axes.end(), call.shape.size() - axes.size());
  return normalise(call, axes, op.getEpsilon().convertToFloat());
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {
/// Kernels by op name. A scalar function becomes a kernel by applying it to
/// each element, operands broadcast.
class Table {
public:
  Table();
  Kernel find(StringRef name) const { return kernels.lookup(name); }

private:
  template <typename Op> void kernel(Kernel kernel) {
    assert(!kernels.contains(Op::getOperationName()) && "one kernel an op");
    kernels[Op::getOperationName()] = kernel;
  }

  // A lambda without captures is a type that can be made anew at the call.
  template <typename Op, typename Scalar> void unary(Scalar) {
    kernel<Op>([](const KernelCall &call) -> FailureOr<Array> {
      return Array(xt::make_lambda_xfunction(Scalar(), call[0]));
    });
  }
  template <typename Op, typename Scalar> void binary(Scalar) {
    kernel<Op>([](const KernelCall &call) -> FailureOr<Array> {
      return Array(xt::make_lambda_xfunction(Scalar(), call[0], call[1]));
    });
  }
  template <typename Op, typename Scalar> void ternary(Scalar) {
    kernel<Op>([](const KernelCall &call) -> FailureOr<Array> {
      return Array(
          xt::make_lambda_xfunction(Scalar(), call[0], call[1], call[2]));
    });
  }

  llvm::StringMap<Kernel> kernels;
};
} // namespace

Table::Table() {
  auto sameValues = [](const KernelCall &call) -> FailureOr<Array> {
    return call[0];
  };

  // Leaves.
  kernel<ConstantOp>(constant);
  kernel<IotaOp>(iota);
  kernel<BatchSizeOp>([](const KernelCall &call) -> FailureOr<Array> {
    return Array(static_cast<double>(call.batch));
  });
  kernel<RandomUniformOp>(randomUniform);
  kernel<RandomNormalOp>(randomNormal);

  // Layers that differ between training and inference: the graph stage, the
  // only one that has them, runs as inference.
  kernel<DropoutOp>(sameValues);
  kernel<GaussianNoiseOp>(sameValues);
  kernel<SpatialDropoutOp>(sameValues);
  kernel<BatchNormalizationOp>(batchNormalization);

  // Elementwise primitives.
  binary<AddOp>([](double a, double b) { return a + b; });
  binary<SubOp>([](double a, double b) { return a - b; });
  binary<MulOp>([](double a, double b) { return a * b; });
  binary<DivOp>([](double a, double b) { return a / b; });
  binary<MaximumOp>([](double a, double b) { return maximum(a, b); });
  binary<MinimumOp>([](double a, double b) { return minimum(a, b); });
  binary<GreaterOp>([](double a, double b) { return a > b ? 1.0 : 0.0; });
  binary<EqualOp>([](double a, double b) { return a == b ? 1.0 : 0.0; });
  ternary<SelectOp>([](double p, double a, double b) { return p > 0 ? a : b; });
  unary<NegOp>([](double x) { return -x; });
  unary<AbsOp>([](double x) { return std::abs(x); });
  unary<SignOp>([](double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; });
  unary<FloorOp>([](double x) { return std::floor(x); });
  unary<ExpOp>([](double x) { return std::exp(x); });
  unary<Expm1Op>([](double x) { return std::expm1(x); });
  unary<LogOp>([](double x) { return std::log(x); });
  unary<Log1pOp>([](double x) { return std::log1p(x); });
  unary<SqrtOp>([](double x) { return std::sqrt(x); });
  unary<CosOp>([](double x) { return std::cos(x); });
  unary<SinOp>([](double x) { return std::sin(x); });
  unary<TanhOp>([](double x) { return std::tanh(x); });
  unary<ErfOp>([](double x) { return std::erf(x); });
  kernel<CastOp>(sameValues); // rounded, like every f32 result, by the caller
  kernel<OneHotOp>(oneHot);

  // Shape primitives.
  kernel<ReshapeOp>(reshape);
  kernel<BroadcastOp>([](const KernelCall &call) -> FailureOr<Array> {
    return Array(xt::broadcast(call[0], call.shape));
  });
  kernel<ConcatenateOp>(concatenate);
  kernel<SliceOp>(slice);
  kernel<PadOp>(pad);
  kernel<TransposeOp>(transpose);
  kernel<UpsampleOp>(upsample);
  kernel<RelayoutOp>(sameValues); // a layout is not part of the meaning

  // Reductions and contractions.
  kernel<ReduceSumOp>(reduce<ReduceSumOp, sumOver>);
  kernel<ReduceMaxOp>(reduce<ReduceMaxOp, maxOver>);
  kernel<ArgMaxOp>(argmax);
  kernel<MatmulOp>(matmul);
  kernel<BatchMatmulOp>(batchMatmul);

  // Tables of rows.
  kernel<EmbeddingOp>(embedding);
  kernel<EmbeddingGradientOp>(embeddingGradient);

  // Windows over images.
  kernel<Conv2dOp>(conv2d);
  kernel<Conv2dTransposeOp>(conv2dTranspose);
  kernel<Conv2dFilterGradientOp>(conv2dFilterGradient);
  kernel<WinogradFilterOp>(winogradFilter);
  kernel<WinogradFilterAdjointOp>(winogradFilterAdjoint);
  kernel<WinogradConv2dOp>(winogradConv2d);
  kernel<WinogradFilterGradientOp>(winogradFilterGradient);
  kernel<ScratchOp>([](const KernelCall &call) -> FailureOr<Array> {
    return Array(xt::zeros<double>(call.shape));
  });
  kernel<MaxPool2dOp>(maxPool2d);
  kernel<AvgPool2dOp>(avgPool2d);
  kernel<MaxPool2dGradientOp>(maxPool2dGradient);
  kernel<MaxPool2dGatherOp>(maxPool2dGather);
  kernel<AvgPool2dGradientOp>(avgPool2dGradient);

  // Composites.
  kernel<BatchNormOp>(batchNorm);
  kernel<LayerNormOp>(layerNorm);
  unary<ReluOp>([](double x) { return maximum(x, 0); });
  kernel<LeakyReluOp>(leakyRelu);
  kernel<EluOp>(elu);
  unary<SeluOp>([](double x) {
    return 1.0507009873554805 * exponentialUnit(x, 1.6732632423543772);
  });
  kernel<GeluOp>(gelu);
  unary<SiluOp>([](double x) { return x * sigmoid(x); });
  unary<SigmoidOp>([](double x) { return sigmoid(x); });
  unary<HardSigmoidOp>(
      [](double x) { return minimum(maximum(x / 6 + 0.5, 0), 1); });
  unary<SoftplusOp>([](double x) {
    return maximum(x, 0) + std::log1p(std::exp(-std::abs(x)));
  });
  kernel<SoftmaxOp>(softmax);
  kernel<SoftmaxCrossEntropyOp>(softmaxCrossEntropy);
  binary<SigmoidCrossEntropyOp>([](double x, double t) {
    return maximum(x, 0) - x * t + std::log1p(std::exp(-std::abs(x)));
  });
}

Kernel sinter::reference::findKernel(StringRef opName) {
  static const Table table;
  return table.find(opName);
}
