// OnnxIndices.cpp - ops that pick, repeat, move and mask elements.
//
// Problem: Gather, ScatterND, Pad, Tile and their kin move elements by indices;
// Sinter's layers know slices, concatenation and broadcasting.
// Idea: constant indices are runs of neighbours, and each run is a slice. What
// is counted across several axes is counted in the flattened sample.
// Known weakness: more than 64 runs are refused here; OnnxOrders.cpp compares
// such indices, and computed ones, with all places.
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

static constexpr size_t kMostPieces = 64;
/// Of flattened samples that are picked from by constant indices.
static constexpr int64_t kMostPicked = int64_t(1) << 20;

// ---- Shared parts -----------------------------------------------------------

Tensor onnx::vectorAlong(NodeReader &n, std::vector<float> values, int64_t rank,
                         int64_t axis) {
  Constant constant;
  constant.dims = Dims(rank, 1);
  constant.dims[axis] = static_cast<int64_t>(values.size());
  constant.values = std::move(values);
  return n.frozen(std::move(constant));
}

Tensor onnx::rangeAlong(NodeReader &n, int64_t size, int64_t rank,
                        int64_t axis) {
  std::vector<float> numbers;
  for (int64_t i = 0; i < size; ++i)
    numbers.push_back(static_cast<float>(i));
  return vectorAlong(n, std::move(numbers), rank, axis);
}

Tensor onnx::reshaped(NodeReader &n, Tensor x, Shape shape) {
  if (shape.empty())
    shape = {1};
  if (!x || n.shapeOf(x) == shape)
    return x;
  return n.layer(Config("reshape", {{"target_shape", toList(shape)}}), x);
}

void onnx::resultOf(NodeReader &n, Tensor x, const Shape &sample) {
  Operand operand;
  operand.tensor = reshaped(n, x, sample);
  operand.isScalar = sample.empty();
  n.result(std::move(operand));
}

Tensor onnx::permuted(NodeReader &n, Tensor x, ArrayRef<int64_t> order) {
  if (!x || llvm::is_sorted(order))
    return x;
  Dims dims;
  for (int64_t axis : order)
    dims.push_back(axis + 1);
  return n.layer(Config("permute", {{"dims", toList(dims)}}), x);
}

Tensor onnx::sliced(NodeReader &n, Tensor x, const std::vector<int64_t> &starts,
                    const std::vector<int64_t> &shape) {
  if (!x || n.shapeOf(x) == shape)
    return x;
  return n.layer(Config("slice", {{"start_indices", toList(starts)},
                                  {"shape", toList(shape)}}),
                 x);
}

Tensor onnx::pickedAlong(NodeReader &n, Tensor x, int64_t axis,
                         ArrayRef<int64_t> indices, double fill) {
  if (!x)
    return {};
  struct Run {
    int64_t first, size; // first is -1 for the filling
  };
  std::vector<Run> runs;
  for (int64_t index : indices) {
    const bool continues =
        !runs.empty() &&
        (index < 0 ? runs.back().first < 0
                   : runs.back().first >= 0 &&
                         runs.back().first + runs.back().size == index);
    if (continues)
      ++runs.back().size;
    else
      runs.push_back({index, 1});
  }
  if (runs.empty() || runs.size() > kMostPieces) {
    n.refuse(formatv("expected indices of 1 to {0} runs of neighbours, got {1}",
                     kMostPieces, runs.size()));
    return {};
  }
  std::vector<Tensor> pieces;
  for (const Run &run : runs) {
    Shape shape = n.shapeOf(x);
    shape[axis] = run.size;
    if (run.first >= 0) {
      std::vector<int64_t> starts(shape.size(), 0);
      starts[axis] = run.first;
      pieces.push_back(sliced(n, x, starts, shape));
      continue;
    }
    Constant filling;
    filling.dims = shape;
    filling.values = std::vector<float>(*onnx::countElements(shape),
                                        static_cast<float>(fill));
    pieces.push_back(n.frozen(std::move(filling)));
  }
  return pieces.size() == 1
             ? pieces[0]
             : n.layer(Config("concatenate", {{"axis", axis + 1}}), pieces);
}

Tensor onnx::widened(NodeReader &n, size_t input, int64_t rank) {
  if (n.input(input).isConstant())
    return n.parameter(n.input(input), rank, Order::AsInFile);
  Shape shape = sampleOf(n, n.dims(input));
  if (n.lead() == 1 && static_cast<int64_t>(shape.size()) != rank) {
    n.refuse("operands of different rank would mix samples");
    return {};
  }
  shape.insert(shape.begin(), rank - shape.size(), 1);
  return reshaped(n, n.tensor(input), shape);
}

/// Ones along `axis`: what stretches a size of 1.
static Tensor stretched(NodeReader &n, Tensor x, int64_t axis, int64_t size) {
  if (!x || size == 1)
    return x;
  const int64_t rank = static_cast<int64_t>(n.shapeOf(x).size());
  return n.layer(
      Config("multiply"),
      {x, vectorAlong(n, std::vector<float>(size, 1.0f), rank, axis)});
}

/// An axis behind the batch, or nothing after a refusal.
static std::optional<int64_t> sampleAxis(NodeReader &n, int64_t axis,
                                         int64_t rank) {
  std::optional<int64_t> known = n.axisOf(axis, rank);
  if (!known)
    return std::nullopt;
  if (*known < n.lead()) {
    n.refuse("it runs over the samples of a batch");
    return std::nullopt;
  }
  return *known - n.lead();
}

/// A constant of whole numbers, or null after a refusal.
static const Constant *indicesOf(NodeReader &n, size_t input) {
  const Constant *indices = n.constant(input);
  if (indices && !indices->isFloat())
    return indices;
  n.refuse("expected constant indices, got a tensor that is computed");
  return nullptr;
}

/// For ops whose indices count all axes: the size of the operand, or nothing
/// after a refusal.
static std::optional<int64_t> flatSize(NodeReader &n) {
  if (n.lead() == 1) {
    n.refuse("its indices count the samples of a batch");
    return std::nullopt;
  }
  std::optional<int64_t> count = onnx::countElements(n.dims(0));
  if (!count || *count > kMostPicked) {
    n.refuse(formatv("expected at most {0} elements", kMostPicked));
    return std::nullopt;
  }
  return count;
}

// ---- Parts ------------------------------------------------------------------

void onnx::readConstantGather(NodeReader &n) {
  const Dims from = n.dims(0);
  const Constant *indices = indicesOf(n, 1);
  std::optional<int64_t> axis =
      indices ? sampleAxis(n, n.integer("axis", 0), rankOf(from))
              : std::nullopt;
  if (!axis)
    return;
  Shape shape = sampleOf(n, from);
  const int64_t size = shape[*axis];
  std::vector<int64_t> picked;
  for (int64_t index : indices->integers()) {
    if (index < -size || index >= size)
      return n.refuse(formatv("expected indices in {0} .. {1}, got {2}", -size,
                              size - 1, index));
    picked.push_back(index < 0 ? index + size : index);
  }
  Tensor y = pickedAlong(n, n.tensor(0), *axis, picked);
  if (!y)
    return;
  shape.erase(shape.begin() + *axis);
  shape.insert(shape.begin() + *axis, indices->dims.begin(),
               indices->dims.end());
  resultOf(n, y, shape);
}

/// The elements of the flattened operand at `indices`, as `dims`.
static void pickFlat(NodeReader &n, ArrayRef<int64_t> indices,
                     const Dims &dims) {
  Tensor x = reshaped(n, n.tensor(0), {*onnx::countElements(n.dims(0))});
  if (Tensor y = pickedAlong(n, x, 0, indices))
    resultOf(n, y, dims);
}

/// Where element `i` of a tensor of indices points to in a tensor of `dims`.
static std::optional<int64_t> elementAt(NodeReader &n, const Constant &indices,
                                        int64_t i, const Dims &dims,
                                        int64_t axis) {
  const Dims own = stridesOf(indices.dims), strides = stridesOf(dims);
  int64_t at = 0;
  for (int64_t k = 0; k < rankOf(dims); ++k) {
    int64_t index = i / own[k] % indices.dims[k];
    if (k == axis) {
      index = indices.integers()[i];
      index += index < 0 ? dims[k] : 0;
    }
    if (index < 0 || index >= dims[k]) {
      n.refuse(
          formatv("expected indices in {0} .. {1}", -dims[k], dims[k] - 1));
      return std::nullopt;
    }
    at += index * strides[k];
  }
  return at;
}

/// Which elements of the data the indices of Gather- and ScatterElements name,
/// in the order of the indices; nothing after a refusal.
static std::optional<std::vector<int64_t>> namedElements(NodeReader &n) {
  const Dims dims = n.dims(0);
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rankOf(dims));
  if (!axis || !flatSize(n))
    return std::nullopt;
  const Constant *indices = indicesOf(n, 1);
  if (!indices)
    return std::nullopt;
  if (indices->dims.size() != dims.size()) {
    n.refuse("expected indices of the rank of the data");
    return std::nullopt;
  }
  std::vector<int64_t> named;
  for (size_t i = 0; i < indices->size(); ++i) {
    std::optional<int64_t> at = elementAt(n, *indices, i, dims, *axis);
    if (!at)
      return std::nullopt;
    named.push_back(*at);
  }
  return named;
}

static void readGatherElements(NodeReader &n) {
  if (std::optional<std::vector<int64_t>> picked = namedElements(n))
    pickFlat(n, *picked, n.constant(1)->dims);
}

/// Where the slices that tuples of indices name begin; nothing after a refusal.
static std::optional<std::vector<int64_t>> slicesAt(NodeReader &n,
                                                    const Constant &indices,
                                                    const Dims &dims,
                                                    int64_t batchDims) {
  const int64_t length = indices.dims.empty() ? 0 : indices.dims.back();
  if (batchDims < 0 || length < 1 || batchDims + length > rankOf(dims) ||
      batchDims >= rankOf(indices.dims) ||
      !std::equal(dims.begin(), dims.begin() + batchDims,
                  indices.dims.begin())) {
    n.refuse("expected indices of axes of the data, got " +
             dimsToText(indices.dims) + " for " + dimsToText(dims));
    return std::nullopt;
  }
  const Dims strides = stridesOf(dims);
  int64_t batches = 1;
  for (int64_t i = 0; i < batchDims; ++i)
    batches *= dims[i];
  const int64_t tuples = static_cast<int64_t>(indices.size()) / length;
  std::vector<int64_t> starts;
  for (int64_t tuple = 0; tuple < tuples; ++tuple) {
    int64_t at = batchDims == 0
                     ? 0
                     : tuple / (tuples / batches) * strides[batchDims - 1];
    for (int64_t k = 0; k < length; ++k) {
      int64_t index = indices.integers()[tuple * length + k];
      const int64_t size = dims[batchDims + k];
      index += index < 0 ? size : 0;
      if (index < 0 || index >= size) {
        n.refuse(formatv("expected indices in {0} .. {1}", -size, size - 1));
        return std::nullopt;
      }
      at += index * strides[batchDims + k];
    }
    starts.push_back(at);
  }
  return starts;
}

static void readGatherND(NodeReader &n) {
  const Dims dims = n.dims(0);
  const int64_t batchDims = n.integer("batch_dims", 0);
  const Constant *indices = flatSize(n) ? indicesOf(n, 1) : nullptr;
  if (!indices)
    return;
  auto starts = slicesAt(n, *indices, dims, batchDims);
  if (!starts)
    return;
  const int64_t behind = batchDims + indices->dims.back();
  const int64_t size =
      *onnx::countElements(Dims(dims.begin() + behind, dims.end()));
  std::vector<int64_t> picked;
  for (int64_t start : *starts)
    llvm::append_range(picked, llvm::seq<int64_t>(start, start + size));
  Dims result(indices->dims.begin(), indices->dims.end() - 1);
  result.insert(result.end(), dims.begin() + behind, dims.end());
  pickFlat(n, picked, result);
}

/// Update number j goes to element `targets[j]` of the data.
static void scatter(NodeReader &n, ArrayRef<int64_t> targets) {
  const int64_t count = *onnx::countElements(n.dims(0)),
                updates = static_cast<int64_t>(targets.size());
  if (onnx::countElements(n.dims(2)) != updates)
    return n.refuse("expected an update for each index, got " +
                    dimsToText(n.dims(2)));
  const std::string reduction = n.text("reduction", "none");
  Tensor x = reshaped(n, n.tensor(0), {count}),
         u = reshaped(n, n.tensor(2), {updates});
  if (reduction == "none") {
    std::vector<int64_t> sources = counting(0, count);
    for (int64_t j = 0; j < updates; ++j)
      sources[targets[j]] = count + j;
    Tensor both = n.layer(Config("concatenate", {{"axis", 1}}), {x, u});
    if (Tensor y = pickedAlong(n, both, 0, sources))
      resultOf(n, y, n.dims(0));
    return;
  }
  static const std::tuple<StringRef, const char *, double> reductions[] = {
      {"add", "add", 0},
      {"mul", "multiply", 1},
      {"max", "maximum", -INFINITY},
      {"min", "minimum", INFINITY}};
  for (auto [name, layer, neutral] : reductions) {
    if (name != reduction)
      continue;
    // Each round takes one update of each element at most.
    std::vector<bool> done(updates);
    for (int64_t left = updates, round = 0; left > 0; ++round) {
      if (round == 8)
        return n.refuse("expected at most 8 updates of an element");
      std::vector<int64_t> sources(count, -1);
      for (int64_t j = 0; j < updates; ++j)
        if (!done[j] && sources[targets[j]] < 0) {
          sources[targets[j]] = j;
          done[j] = true;
          --left;
        }
      Tensor part = pickedAlong(n, u, 0, sources, neutral);
      if (!part)
        return;
      x = n.layer(Config(layer), {x, part});
    }
    return resultOf(n, x, n.dims(0));
  }
  n.refuse("expected a reduction of ONNX's, got '" + printable(reduction) +
           "'");
}

static void readScatterElements(NodeReader &n) {
  if (std::optional<std::vector<int64_t>> targets = namedElements(n))
    scatter(n, *targets);
}

static void readScatterND(NodeReader &n) {
  const Dims dims = n.dims(0);
  const Constant *indices = flatSize(n) ? indicesOf(n, 1) : nullptr;
  if (!indices)
    return;
  auto starts = slicesAt(n, *indices, dims, 0);
  if (!starts)
    return;
  const int64_t size = *onnx::countElements(
      Dims(dims.begin() + indices->dims.back(), dims.end()));
  std::vector<int64_t> targets;
  for (int64_t start : *starts)
    llvm::append_range(targets, llvm::seq<int64_t>(start, start + size));
  scatter(n, targets);
}

static void readCompress(NodeReader &n) {
  const Constant *condition = indicesOf(n, 1);
  if (!condition)
    return;
  std::vector<int64_t> picked;
  for (size_t i = 0; i < condition->size(); ++i)
    if (condition->integers()[i])
      picked.push_back(static_cast<int64_t>(i));
  const Dims dims = n.dims(0);
  if (!n.has("axis")) {
    std::optional<int64_t> count = flatSize(n);
    if (!count)
      return;
    if (!picked.empty() && picked.back() >= *count)
      return n.refuse("expected a condition no longer than the data");
    return pickFlat(n, picked, {static_cast<int64_t>(picked.size())});
  }
  std::optional<int64_t> axis =
      sampleAxis(n, n.integer("axis", 0), rankOf(dims));
  if (!axis)
    return;
  Shape shape = sampleOf(n, dims);
  if (!picked.empty() && picked.back() >= shape[*axis])
    return n.refuse("expected a condition no longer than the axis");
  if (Tensor y = pickedAlong(n, n.tensor(0), *axis, picked))
    n.result(y);
}

static void readReverseSequence(NodeReader &n) {
  const Dims dims = n.dims(0);
  const int64_t batch = n.integer("batch_axis", 1),
                time = n.integer("time_axis", 0);
  std::optional<int64_t> count = flatSize(n);
  const Constant *lengths = count ? indicesOf(n, 1) : nullptr;
  if (!lengths)
    return;
  if (rankOf(dims) < 2 || batch + time != 1 || batch * time != 0 ||
      static_cast<int64_t>(lengths->size()) != dims[batch])
    return n.refuse("expected axes 0 and 1 of batch and time, and a length for "
                    "each sequence");
  const Dims strides = stridesOf(dims);
  std::vector<int64_t> picked;
  for (int64_t i = 0; i < *count; ++i) {
    const int64_t t = i / strides[time] % dims[time],
                  length =
                      lengths->integers()[i / strides[batch] % dims[batch]];
    if (length < 1 || length > dims[time])
      return n.refuse(
          formatv("expected lengths in 1 .. {0}, got {1}", dims[time], length));
    picked.push_back(t < length ? i + (length - 1 - 2 * t) * strides[time] : i);
  }
  pickFlat(n, picked, dims);
}

// ---- Padding, repetition ----------------------------------------------------

/// Index `at` of an axis as `mode` continues it; -1: the constant.
static int64_t continued(StringRef mode, int64_t at, int64_t size) {
  if (at >= 0 && at < size)
    return at;
  if (mode == "edge")
    return at < 0 ? 0 : size - 1;
  if (mode == "wrap")
    return (at % size + size) % size;
  if (mode == "reflect") {
    if (size == 1)
      return 0;
    const int64_t period = 2 * (size - 1);
    const int64_t turned = (at % period + period) % period;
    return turned < size ? turned : period - turned;
  }
  return -1;
}

static void readPad(NodeReader &n) {
  const Dims from = n.dims(0);
  const int64_t rank = rankOf(from);
  auto pads = n.list(n.opset() < 2 ? "paddings" : "pads", 1),
       axes = n.list("axes", 3);
  std::optional<double> value = n.number("value", 0);
  if (n.hasInput(2))
    value = scalar(n, 2);
  const std::string mode = n.text("mode", "constant");
  if (!axes && n.hasInput(3))
    return n.refuse("expected constant axes");
  if (!axes)
    axes = counting(0, rank);
  if (!pads || pads->size() != 2 * axes->size() || !value)
    return n.refuse("expected constant pads, two for each axis, and a constant "
                    "value");
  if (mode != "constant" && mode != "edge" && mode != "reflect" &&
      mode != "wrap")
    return n.refuse("expected mode constant, edge, reflect or wrap, got '" +
                    printable(mode) + "'");
  std::vector<int64_t> low(rank, 0), high(rank, 0);
  for (size_t i = 0; i < axes->size(); ++i) {
    std::optional<int64_t> axis = n.axisOf((*axes)[i], rank);
    if (!axis)
      return;
    low[*axis] = (*pads)[i];
    high[*axis] = (*pads)[i + axes->size()];
    const int64_t most = int64_t(1) << 20;
    if (std::abs(low[*axis]) > most || std::abs(high[*axis]) > most)
      return n.refuse("expected smaller pads, got " + dimsToText(*pads));
    if (*axis < n.lead() && (low[*axis] || high[*axis]))
      return n.refuse("it changes the samples of a batch");
  }
  // Zeros around pixels are a layer of their own.
  const int64_t space = rank - 1 - n.lead();
  bool isImage = mode == "constant" && value == 0.0 && space >= 1 &&
                 space <= 3 && low[n.lead()] == 0 && high[n.lead()] == 0;
  for (int64_t i = 0; i < rank; ++i)
    isImage &= low[i] >= 0 && high[i] >= 0;
  if (isImage) {
    Value::List sides;
    for (int64_t i = n.lead() + 1; i < rank; ++i)
      sides.push_back(toList({low[i], high[i]}));
    Value padding = space == 1 ? sides[0] : Value(sides);
    return n.result(
        n.layer(Config(ranked("zero_padding", space), {{"padding", padding}}),
                n.tensor(0, Order::ChannelsLast)),
        Order::ChannelsLast);
  }
  Tensor x = n.tensor(0);
  for (int64_t i = n.lead(); i < rank && x; ++i) {
    if (!low[i] && !high[i])
      continue;
    std::vector<int64_t> picked;
    for (int64_t at = -low[i]; at < from[i] + high[i]; ++at)
      picked.push_back(continued(mode, at, from[i]));
    x = pickedAlong(n, x, i - n.lead(), picked, *value);
  }
  if (x)
    n.result(x);
}

static void readTile(NodeReader &n) {
  const Dims from = n.dims(0);
  const Constant *repeats = n.constant(1);
  if (!repeats || repeats->isFloat() || repeats->size() != from.size() ||
      n.hasInput(2))
    return n.refuse("expected a constant number of repeats for each axis");
  Tensor x = n.tensor(0);
  for (int64_t i = 0; i < rankOf(from); ++i) {
    const int64_t times = repeats->integers()[i], axis = i - n.lead();
    if (times == 1)
      continue;
    if (axis < 0)
      return n.refuse("it repeats the samples of a batch");
    if (times < 1 || times > kMostPicked)
      return n.refuse(
          formatv("expected repeats in 1 .. {0}, got {1}", kMostPicked, times));
    if (!x)
      return;
    Shape shape = n.shapeOf(x), wide = shape;
    if (shape.size() == 2 && shape[0] == 1 && axis == 0) { // one row
      x = n.layer(Config("repeat_vector", {{"n", times}}),
                  reshaped(n, x, {shape[1]}));
      continue;
    }
    shape[axis] *= times;
    wide.insert(wide.begin() + axis, 1);
    x = stretched(n, reshaped(n, x, wide), axis, times);
    x = reshaped(n, x, shape);
  }
  n.result(x);
}

static void readExpand(NodeReader &n) {
  const Dims from = n.dims(0);
  const Constant *given = n.constant(1);
  if (!given || given->isFloat())
    return n.refuse("expected a constant shape");
  Dims wanted = given->integers(), own = from;
  const int64_t rank = std::max(rankOf(wanted), rankOf(own));
  if (n.lead() == 1 && rank != rankOf(own))
    return n.refuse("it adds an axis before the samples of a batch");
  wanted.insert(wanted.begin(), rank - rankOf(wanted), 1);
  own.insert(own.begin(), rank - rankOf(own), 1);
  if (n.lead() == 1 && wanted[0] != 1 && wanted[0] != kBatch &&
      wanted[0] != n.fileBatch())
    return n.refuse("it repeats the samples of a batch");
  Tensor x = reshaped(n, n.tensor(0), sampleOf(n, own));
  for (int64_t i = n.lead(); i < rank; ++i) {
    if (wanted[i] == own[i] || wanted[i] == 1)
      continue;
    if (own[i] != 1 || wanted[i] < 1 || wanted[i] > kMostPicked)
      return n.refuse("expected a shape that " + dimsToText(from) +
                      " can be stretched to, got " + dimsToText(wanted));
    x = stretched(n, x, i - n.lead(), wanted[i]);
  }
  Operand operand;
  operand.tensor = x;
  operand.isScalar = rank == n.lead();
  n.result(std::move(operand));
}

// ---- Masks ------------------------------------------------------------------

static void readTrilu(NodeReader &n) {
  const Shape shape = sampleOf(n, n.dims(0));
  const std::optional<double> k = n.hasInput(1) ? scalar(n, 1) : 0.0;
  if (shape.size() < 2 || !k)
    return n.refuse("expected matrices and a constant k");
  const bool upper = n.integer("upper", 1) != 0;
  const int64_t rows = shape[shape.size() - 2], columns = shape.back();
  Constant mask;
  mask.dims = Dims(shape.size(), 1);
  mask.dims[shape.size() - 2] = rows;
  mask.dims.back() = columns;
  std::vector<float> values;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      const double above = static_cast<double>(j - i);
      values.push_back(upper ? above >= *k : above <= *k);
    }
  mask.values = std::move(values);
  Tensor x = n.tensor(0);
  if (x)
    n.result(n.layer(Config("where"),
                     {n.frozen(std::move(mask)), x, numberLike(n, 0, x)}));
}

/// Sums of 1, 2, 4, ... neighbours: each step adds the tensor, shifted.
static void readCumSum(NodeReader &n) {
  const std::optional<double> given = scalar(n, 1);
  if (!given)
    return n.refuse("expected a constant axis");
  const Dims dims = n.dims(0);
  std::optional<int64_t> axis =
      sampleAxis(n, static_cast<int64_t>(*given), rankOf(dims));
  if (!axis)
    return;
  Tensor x = n.tensor(0);
  const int64_t size = sampleOf(n, dims)[*axis];
  const bool reverse = n.integer("reverse", 0) != 0;
  auto shifted = [&](Tensor t, int64_t by) {
    std::vector<int64_t> sources;
    for (int64_t i = 0; i < size; ++i) {
      const int64_t from = reverse ? i + by : i - by;
      sources.push_back(from < size ? std::max<int64_t>(from, -1) : -1);
    }
    return pickedAlong(n, t, *axis, sources);
  };
  if (n.integer("exclusive", 0))
    x = shifted(x, 1);
  for (int64_t by = 1; by < size && x; by *= 2)
    x = n.layer(Config("add"), {x, shifted(x, by)});
  n.result(x);
}

static void readHardmax(NodeReader &n) {
  const Dims dims = n.dims(0);
  std::optional<int64_t> axis =
      sampleAxis(n, n.integer("axis", n.opset() < 13 ? 1 : -1), rankOf(dims));
  if (!axis)
    return;
  Tensor x = n.tensor(0);
  const Shape shape = sampleOf(n, dims);
  int64_t rank = rankOf(shape);
  if (n.opset() < 13 && *axis != rank - 1) { // over all axes from it on
    Shape rows(shape.begin(), shape.begin() + *axis);
    rows.push_back(
        *onnx::countElements(Shape(shape.begin() + *axis, shape.end())));
    rank = rankOf(rows);
    x = reshaped(n, x, rows);
  }
  if (!x)
    return;
  Tensor place =
      n.layer(Config("argmax", {{"axis", *axis + 1}, {"keepdims", true}}), x);
  Tensor y = n.layer(Config("equal"),
                     {place, rangeAlong(n, n.shapeOf(x)[*axis], rank, *axis)});
  resultOf(n, y, shape);
}

static void readOneHot(NodeReader &n) {
  const std::optional<double> depth = scalar(n, 1);
  const Constant *values = n.constant(2);
  if (!depth || *depth < 1 || *depth > 65536 || !values || values->size() != 2)
    return n.refuse("expected a constant depth in 1 .. 65536 and two constant "
                    "values");
  Shape shape = sampleOf(n, n.dims(0));
  std::optional<int64_t> axis =
      sampleAxis(n, n.integer("axis", -1), rankOf(n.dims(0)) + 1);
  if (!axis)
    return;
  shape.insert(shape.begin() + *axis, 1);
  const int64_t rank = rankOf(shape), size = static_cast<int64_t>(*depth);
  Tensor x = reshaped(n, n.tensor(0), shape);
  Tensor is = n.layer(Config("equal"), {x, rangeAlong(n, size, rank, *axis)});
  std::vector<float> below;
  for (int64_t i = 0; i < size; ++i)
    below.push_back(static_cast<float>(i - size));
  Tensor isBelow = n.layer(Config("equal"),
                           {x, vectorAlong(n, std::move(below), rank, *axis)});
  is = n.layer(Config("logical_or"), {is, isBelow});
  if (!is)
    return;
  Operand operand; // two axes at least, whatever the indices have
  operand.tensor =
      n.layer(Config("where"), {is, numberLike(n, values->number(1), is),
                                numberLike(n, values->number(0), is)});
  n.result(std::move(operand));
}

// ---- Bits -------------------------------------------------------------------

/// Powers of 2 are exact in f32, and so is what they multiply and divide.
static void readBitShift(NodeReader &n) {
  const Constant *bits = n.constant(1);
  const ElementType type = n.type(0);
  const int width = type == ElementType::UInt8    ? 8
                    : type == ElementType::UInt16 ? 16
                    : type == ElementType::UInt32 ? 32
                    : type == ElementType::UInt64 ? 64
                                                  : 0;
  if (!bits || bits->isFloat() || !width)
    return n.refuse("expected an unsigned operand and a constant number of "
                    "bits");
  const bool left = n.text("direction", "") == "LEFT";
  Operand factors;
  Constant powers;
  powers.dims = bits->dims;
  std::vector<float> values;
  for (int64_t by : bits->integers()) {
    if (by < 0 || by >= width)
      return n.refuse(
          formatv("expected fewer than {0} bits, got {1}", width, by));
    values.push_back(std::ldexp(1.0f, static_cast<int>(left ? by : -by)));
  }
  powers.values = std::move(values);
  factors.constant = std::make_shared<Constant>(std::move(powers));
  const int64_t rank = rankOf(n.dims(0)) - n.lead();
  Tensor x = n.tensor(0);
  x = n.layer(Config("multiply"),
              {x, n.parameter(factors, rank, Order::AsInFile)});
  if (!x)
    return;
  n.result(left ? n.layer(Config("mod"),
                          {x, numberLike(n, std::ldexp(1.0, width), x)})
                : n.layer(Config("floor"), x));
}

// ---- The table --------------------------------------------------------------

ArrayRef<OpRule> onnx::indexRules() {
  static const OpRule rules[] = {
      {"BitShift", 2, readBitShift},
      {"Compress", 2, readCompress},
      {"CumSum", 2, readCumSum},
      {"Expand", 2, readExpand},
      {"GatherElements", 2, readGatherElements},
      {"GatherND", 2, readGatherND},
      {"Hardmax", 1, readHardmax},
      {"OneHot", 3, readOneHot},
      {"Pad", 1, readPad},
      {"ReverseSequence", 2, readReverseSequence},
      {"Scatter", 3, readScatterElements},
      {"ScatterElements", 3, readScatterElements},
      {"ScatterND", 3, readScatterND},
      {"Tile", 2, readTile},
      {"Trilu", 1, readTrilu},
  };
  return rules;
}
