// OnnxShapes.cpp - rules that move elements and compute nothing. Where the
// first axis is the batch, nothing may cross from sample to sample.
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

/// The operand's elements under new sizes, ONNX's, the batch in front.
static void reshapeTo(NodeReader &n, const Dims &dims) {
  Shape shape(dims.begin() + n.lead(), dims.end());
  const bool isScalar = shape.empty();
  if (isScalar)
    shape = {1};
  Tensor x = n.tensor(0);
  if (!x)
    return;
  auto finish = [&](Tensor y) {
    Operand operand;
    operand.tensor = y;
    operand.isScalar = isScalar;
    n.result(std::move(operand));
  };
  if (n.shapeOf(x) == shape)
    return finish(x);
  Config config = shape.size() == 1
                      ? Config("flatten")
                      : Config("reshape", {{"target_shape", toList(shape)}});
  finish(n.layer(std::move(config), x));
}

static void readReshape(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<std::vector<int64_t>> target = n.list("shape", 1);
  if (!target)
    return n.refuse("expected a constant shape");
  Dims dims = *target;
  const Dims sample(from.begin() + n.lead(), from.end());
  const int64_t count = *onnx::countElements(sample);
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] == 0 && !n.integer("allowzero", 0)) {
      if (i >= from.size())
        return n.refuse("expected 0 in the shape to stand for a size");
      dims[i] = from[i];
    }
  if (n.lead() == 1) {
    // The batch: as it is, as the file counts it, or what remains.
    Dims rest(dims.begin() + (dims.empty() ? 0 : 1), dims.end());
    const bool restIsSample = onnx::countElements(rest) == count;
    if (dims.empty() || (dims[0] != kBatch && dims[0] != n.fileBatch() &&
                         !(dims[0] == -1 && restIsSample)))
      return n.refuse("the shape " + dimsToText(*target) +
                      " mixes the samples of a batch of " + dimsToText(from));
    dims[0] = kBatch;
  }
  int64_t known = 1;
  int64_t *open = nullptr;
  for (size_t i = n.lead(); i < dims.size(); ++i)
    if (dims[i] == -1 && !open)
      open = &dims[i];
    else if (dims[i] < 1 || dims[i] > count)
      return n.refuse("the shape " + dimsToText(*target) + " does not hold " +
                      dimsToText(from));
    else if (known *= dims[i]; known > count)
      return n.refuse("the shape " + dimsToText(*target) + " does not hold " +
                      dimsToText(from));
  if (open)
    *open = count / known;
  if (known * (open ? *open : 1) != count)
    return n.refuse("the shape " + dimsToText(*target) + " does not hold " +
                    dimsToText(from));
  reshapeTo(n, dims);
}

static void readFlatten(NodeReader &n) {
  const Dims from = n.dims(0);
  int64_t axis = n.integer("axis", 1);
  axis += axis < 0 ? rankOf(from) : 0;
  if (axis < 0 || axis > rankOf(from))
    return n.refuse("expected an axis of its operand");
  if (n.lead() == 1) {
    if (axis != 1)
      return n.refuse("axis " + std::to_string(axis) +
                      " mixes the samples of a batch");
    return reshapeTo(
        n, {kBatch, *onnx::countElements(Dims(from.begin() + 1, from.end()))});
  }
  Dims dims = {1, 1};
  for (int64_t i = 0; i < rankOf(from); ++i)
    dims[i >= axis] *= from[i];
  reshapeTo(n, dims);
}

static void readUnsqueeze(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<std::vector<int64_t>> axes = n.list("axes", 1);
  if (!axes)
    return n.refuse("expected constant axes");
  const int64_t rank = rankOf(from) + static_cast<int64_t>(axes->size());
  std::vector<bool> isNew(rank);
  for (int64_t given : *axes) {
    std::optional<int64_t> axis = n.axisOf(given, rank);
    if (!axis)
      return;
    if (*axis < n.lead() || isNew[*axis])
      return n.refuse("expected different axes behind the batch, got " +
                      dimsToText(*axes));
    isNew[*axis] = true;
  }
  Dims dims;
  size_t next = 0;
  for (int64_t i = 0; i < rank; ++i)
    dims.push_back(isNew[i] ? 1 : from[next++]);
  reshapeTo(n, dims);
}

static void readSqueeze(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<std::vector<int64_t>> axes = n.list("axes", 1);
  if (!axes && n.hasInput(1))
    return n.refuse("expected constant axes");
  std::vector<bool> drop(from.size());
  for (size_t i = n.lead(); i < from.size(); ++i)
    drop[i] = !axes && from[i] == 1;
  for (int64_t given : axes.value_or(std::vector<int64_t>())) {
    std::optional<int64_t> axis = n.axisOf(given, rankOf(from));
    if (!axis)
      return;
    if (*axis < n.lead() || from[*axis] != 1)
      return n.refuse("expected axes of size 1 behind the batch, got " +
                      dimsToText(*axes) + " of " + dimsToText(from));
    drop[*axis] = true;
  }
  Dims dims;
  for (size_t i = 0; i < from.size(); ++i)
    if (!drop[i])
      dims.push_back(from[i]);
  reshapeTo(n, dims);
}

static void readTranspose(NodeReader &n) {
  const Dims from = n.dims(0);
  const int64_t rank = rankOf(from);
  std::vector<int64_t> permutation = n.integers("perm", reversedAxes(rank));
  std::vector<int64_t> sorted = permutation;
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, rank)))
    return n.refuse("expected each axis once in perm, got " +
                    dimsToText(permutation));
  if (n.lead() == 1 && permutation[0] != 0)
    return n.refuse("perm " + dimsToText(permutation) +
                    " moves the samples of a batch");
  // Between (N, C, H, W) and (N, H, W, C): the layer has the right order.
  std::vector<int64_t> toLast = counting(0, rank);
  std::rotate(toLast.begin() + n.lead(), toLast.begin() + n.lead() + 1,
              toLast.end());
  std::vector<int64_t> toFirst = counting(0, rank);
  std::rotate(toFirst.begin() + n.lead(), toFirst.end() - 1, toFirst.end());
  if (rank - n.lead() >= 2 && orderOf(n, 0) == Order::ChannelsLast &&
      permutation == toLast)
    return n.result(n.tensor(0, Order::ChannelsLast));
  if (rank - n.lead() >= 2 && orderOf(n, 0) == Order::AsInFile &&
      permutation == toFirst)
    return n.result(n.tensor(0), Order::ChannelsLast);
  Dims dims;
  for (int64_t axis = n.lead(); axis < rank; ++axis)
    dims.push_back(permutation[axis] + 1 - n.lead());
  n.result(n.layer(Config("permute", {{"dims", toList(dims)}}), n.tensor(0)));
}

static void readConcat(NodeReader &n) {
  const int64_t rank = rankOf(n.dims(0));
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 1), rank);
  if (!axis)
    return;
  if (*axis < n.lead())
    return n.refuse("it joins batches of samples");
  Order order = Order::AsInFile;
  for (size_t i = 0; i < n.numInputs(); ++i) {
    if (rankOf(n.dims(i)) != rank)
      return n.refuse("expected operands of one rank");
    if (orderOf(n, i) == Order::ChannelsLast)
      order = Order::ChannelsLast;
  }
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < n.numInputs(); ++i)
    inputs.push_back(n.tensor(i, order));
  if (inputs.size() == 1)
    return passOn(n);
  int64_t at = *axis - n.lead(); // of a sample
  if (order == Order::ChannelsLast)
    at = at == 0 ? rank - n.lead() - 1 : at - 1;
  n.result(n.layer(Config("concatenate", {{"axis", at + 1}}), inputs), order);
}

static void readPad(NodeReader &n) {
  const Dims from = n.dims(0);
  const int64_t space = rankOf(from) - 1 - n.lead();
  std::optional<std::vector<int64_t>> pads = n.list("pads", 1);
  std::optional<double> value = n.number("value", 0);
  if (n.hasInput(2))
    value = scalar(n, 2);
  if (n.text("mode", "constant") != "constant" || value != 0.0 || !pads ||
      n.hasInput(3) || static_cast<int64_t>(pads->size()) != 2 * rankOf(from) ||
      space < 1 || space > 3)
    return n.refuse("expected constant zeros around the pixels of images");
  std::vector<int64_t> low(pads->end() - 2 * rankOf(from),
                           pads->begin() + rankOf(from)),
      high(pads->begin() + rankOf(from), pads->end());
  // Channels are first or, untouched as well, last.
  auto isPadded = [&](int64_t axis) { return low[axis] || high[axis]; };
  const bool isLast = !isPadded(rankOf(from) - 1) &&
                      (isPadded(n.lead()) || orderOf(n, 0) == Order::AsInFile);
  const int64_t first = n.lead() + (isLast ? 0 : 1);
  if ((n.lead() == 1 && isPadded(0)) || (!isLast && isPadded(n.lead())))
    return n.refuse("expected zeros around the pixels of images, got pads " +
                    dimsToText(*pads));
  low = {low.begin() + first, low.begin() + first + space};
  high = {high.begin() + first, high.begin() + first + space};
  if (llvm::any_of(*pads, [](int64_t x) { return x < 0; }))
    return n.refuse("expected pads of at least 0, got " + dimsToText(*pads));
  n.result(n.layer(Config(ranked("zero_padding", space),
                          {{"padding", toSides(low, high)}}),
                   n.tensor(0, isLast ? Order::AsInFile : kImages)),
           isLast ? Order::AsInFile : kImages);
}

/// Blocks of channels become blocks of pixels; `CRD` and `DCR` say in which
/// order a channel's number counts block and depth.
static void readDepthToSpace(NodeReader &n) {
  const Dims from = n.dims(0);
  const int64_t block = n.integer("blocksize", 0);
  if (rankOf(from) != 3 + n.lead() || block < 1 || block > 1024 ||
      from[n.lead()] % (block * block) != 0)
    return n.refuse("expected images with a multiple of blocksize^2 channels, "
                    "got " +
                    dimsToText(from));
  const int64_t depth = from[n.lead()] / (block * block),
                height = from[n.lead() + 1], width = from[n.lead() + 2];
  const bool crd = n.text("mode", "DCR") == "CRD";
  Tensor x = n.tensor(0);
  x = n.layer(
      Config("reshape", {{"target_shape",
                          crd ? toList({depth, block, block, height, width})
                              : toList({block, block, depth, height, width})}}),
      x);
  x = n.layer(Config("permute", {{"dims", crd ? toList({1, 4, 2, 5, 3})
                                              : toList({3, 4, 1, 5, 2})}}),
              x);
  n.result(n.layer(
      Config("reshape", {{"target_shape",
                          toList({depth, height * block, width * block})}}),
      x));
}

static void readSpaceToDepth(NodeReader &n) {
  const Dims from = n.dims(0);
  const int64_t block = n.integer("blocksize", 0);
  if (rankOf(from) != 3 + n.lead() || block < 1 || block > 1024 ||
      from[n.lead() + 1] % block != 0 || from[n.lead() + 2] % block != 0)
    return n.refuse("expected images with sides that blocksize divides, got " +
                    dimsToText(from));
  const int64_t depth = from[n.lead()], height = from[n.lead() + 1] / block,
                width = from[n.lead() + 2] / block;
  Tensor x = n.layer(
      Config("reshape",
             {{"target_shape", toList({depth, height, block, width, block})}}),
      n.tensor(0));
  x = n.layer(Config("permute", {{"dims", toList({3, 5, 1, 2, 4})}}), x);
  n.result(n.layer(
      Config("reshape", {{"target_shape",
                          toList({depth * block * block, height, width})}}),
      x));
}

static void readSlice(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<std::vector<int64_t>> starts = n.list("starts", 1),
                                      ends = n.list("ends", 2),
                                      axes = n.list("axes", 3),
                                      steps = n.list("steps", 4);
  if (!starts || !ends || starts->size() != ends->size() ||
      (n.hasInput(3) && !axes) || (n.hasInput(4) && !steps))
    return n.refuse("expected constant starts, ends, axes and steps");
  if (!axes)
    axes = counting(0, static_cast<int64_t>(starts->size()));
  if (axes->size() != starts->size() ||
      (steps && steps->size() != starts->size()))
    return n.refuse("expected an axis and a step for each start");
  std::vector<int64_t> begin(from.size(), 0), size = from;
  std::map<int64_t, std::vector<int64_t>> picked; // where the step is not 1
  for (size_t i = 0; i < starts->size(); ++i) {
    std::optional<int64_t> axis = n.axisOf((*axes)[i], rankOf(from));
    if (!axis)
      return;
    if (*axis < n.lead())
      return n.refuse("it takes a part of the samples of a batch");
    const int64_t all = from[*axis], step = steps ? (*steps)[i] : 1;
    auto clamp = [&](int64_t at, int64_t low, int64_t high) {
      return std::clamp<int64_t>(at < 0 ? at + all : at, low, high);
    };
    if (step == 1) {
      begin[*axis] = clamp((*starts)[i], 0, all);
      size[*axis] = clamp((*ends)[i], 0, all) - begin[*axis];
      if (size[*axis] < 1)
        return n.refuse("expected a part with elements");
      continue;
    }
    if (step == 0 || std::abs(step) > all)
      return n.refuse(formatv("expected steps of 1 to {0} or -{0} to -1, got "
                              "{1}",
                              all, step));
    const int64_t first = step > 0 ? clamp((*starts)[i], 0, all)
                                   : clamp((*starts)[i], 0, all - 1),
                  last = step > 0 ? clamp((*ends)[i], 0, all)
                                  : clamp((*ends)[i], -1, all - 1);
    for (int64_t at = first; step > 0 ? at < last : at > last; at += step)
      picked[*axis].push_back(at);
    if (picked[*axis].empty())
      return n.refuse("expected a part with elements");
  }
  begin.erase(begin.begin(), begin.begin() + n.lead());
  size.erase(size.begin(), size.begin() + n.lead());
  Tensor x = sliced(n, n.tensor(0), begin, size);
  for (auto &[axis, indices] : picked)
    x = pickedAlong(n, x, axis - n.lead(), indices);
  if (x)
    n.result(x);
}

static void readSplit(NodeReader &n) {
  const Dims from = n.dims(0);
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rankOf(from));
  if (!axis)
    return;
  if (*axis < n.lead())
    return n.refuse("it splits the samples of a batch");
  std::optional<std::vector<int64_t>> sizes = n.list("split", 1);
  if (!sizes && n.hasInput(1))
    return n.refuse("expected constant sizes");
  const int64_t parts = static_cast<int64_t>(n.numResults());
  if (!sizes) {
    const int64_t size = (from[*axis] + parts - 1) / parts;
    sizes.emplace(parts, size);
    sizes->back() = from[*axis] - (parts - 1) * size;
  }
  int64_t total = 0;
  for (int64_t size : *sizes) {
    if (size < 1 || size > from[*axis])
      return n.refuse("expected parts with elements, got sizes " +
                      dimsToText(*sizes));
    total += size;
  }
  if (total != from[*axis] || static_cast<int64_t>(sizes->size()) != parts)
    return n.refuse("expected sizes of " + std::to_string(parts) +
                    " parts that add up to " + std::to_string(from[*axis]) +
                    ", got " + dimsToText(*sizes));
  std::vector<int64_t> begin(from.size() - n.lead(), 0),
      size(from.begin() + n.lead(), from.end());
  for (int64_t part = 0; part < parts; ++part) {
    size[*axis - n.lead()] = (*sizes)[part];
    n.result(sliced(n, n.tensor(0), begin, size), Order::AsInFile, part);
    begin[*axis - n.lead()] += (*sizes)[part];
  }
}

// ---- The table -------------------------------------------------------------

ArrayRef<OpRule> onnx::shapeRules() {
  static const OpRule rules[] = {
      {"Concat", 1, readConcat},
      {"DepthToSpace", 1, readDepthToSpace},
      {"Flatten", 1, readFlatten},
      {"Pad", 1, readPad},
      {"Reshape", 1, readReshape},
      {"Slice", 1, readSlice},
      {"SpaceToDepth", 1, readSpaceToDepth},
      {"Split", 1, readSplit},
      {"Squeeze", 1, readSqueeze},
      {"Transpose", 1, readTranspose},
      {"Unsqueeze", 1, readUnsqueeze},
  };
  return rules;
}
