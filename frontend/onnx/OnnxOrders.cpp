// OnnxOrders.cpp - rules of ops that depend on which of two elements is larger
// or at which computed place an element stands: the k largest elements,
// elements at indices that are computed; and determinants.
//
// Problem: the dialect has no sort and no gather along an axis.
// Idea: an element's place in the sorted order is the number of elements that
// come before it, so one comparison of each with each finds all places; the
// element of place i is the sum of those whose place equals i. An element at a
// computed index likewise is the sum of those whose index equals it.
// Known weakness: that is the square of the axis' size, up to kMostPairs.
#include "frontend/onnx/OnnxRuleParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

/// `x` where `is` holds, else 0; also where `x` is infinite.
static Tensor keptWhere(NodeReader &n, Tensor is, Tensor x) {
  return is ? n.layer(Config("where"), {is, x, numberLike(n, 0, is)})
            : Tensor();
}

static Shape withAxis(Shape shape, int64_t axis) {
  shape.insert(shape.begin() + axis, 1);
  return shape;
}

static bool fitsPairs(NodeReader &n, const Shape &shape, int64_t times) {
  const std::optional<int64_t> count = onnx::countElements(shape);
  if (count && *count <= kMostPairs / std::max<int64_t>(times, 1))
    return true;
  n.refuse(
      formatv("expected at most {0} pairs of elements to compare", kMostPairs));
  return false;
}

// ---- The largest ------------------------------------------------------------

static void readTopK(NodeReader &n) {
  const Dims dims = n.dims(0);
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", -1), rankOf(dims));
  if (!axis)
    return;
  *axis -= n.lead();
  double k = static_cast<double>(n.integer("k", -1));
  if (n.opset() >= 10)
    k = n.hasInput(1) ? scalar(n, 1).value_or(-1) : -1;
  const Shape shape = sampleOf(n, dims);
  if (*axis < 0)
    return n.refuse("it compares the samples of a batch");
  const int64_t size = shape[*axis];
  if (!(k >= 1 && k <= static_cast<double>(size)))
    return n.refuse(formatv("expected a constant k in 1 .. {0}", size));
  if (!fitsPairs(n, shape, size))
    return;
  const bool largest = n.integer("largest", 1) != 0;
  Tensor x = n.tensor(0);
  // Each along the axis, and each other along a new one behind it.
  const int64_t rank = rankOf(shape) + 1;
  Tensor own = reshaped(n, x, withAxis(shape, *axis + 1)),
         other = reshaped(n, x, withAxis(shape, *axis));
  Tensor before =
      largest ? both(n, "greater", other, own) : both(n, "less", other, own);
  // Of equal ones, the first comes first.
  Tensor isEarlier = both(n, "less", rangeAlong(n, size, rank, *axis + 1),
                          rangeAlong(n, size, rank, *axis));
  Tensor isSame = both(n, "equal", other, own);
  before =
      both(n, "logical_or", before, both(n, "logical_and", isSame, isEarlier));
  Tensor place = sumOver(n, before, *axis + 1);
  if (!place)
    return;
  // Place i of the result takes the element of that place.
  Tensor is = both(n, "equal", reshaped(n, place, withAxis(shape, *axis)),
                   rangeAlong(n, static_cast<int64_t>(k), rank, *axis));
  n.result(sumOver(n, keptWhere(n, is, other), *axis + 1));
  if (n.wantsResult(1))
    n.result(sumOver(n, keptWhere(n, is, rangeAlong(n, size, rank, *axis + 1)),
                     *axis + 1),
             Order::AsInFile, 1);
}

// ---- Computed indices -------------------------------------------------------

/// Indices from the end become those from the beginning.
static Tensor normalised(NodeReader &n, Tensor index, int64_t size) {
  if (!index)
    return {};
  Tensor isBelow = both(n, "less", index, numberLike(n, 0, index));
  Tensor shifted =
      n.layer(Config("rescaling",
                     {{"scale", 1.0}, {"offset", static_cast<double>(size)}}),
              index);
  return isBelow ? n.layer(Config("where"), {isBelow, shifted, index})
                 : Tensor();
}

/// An index outside of the axis gives 0.
static void readGatherElements(NodeReader &n) {
  if (n.constant(1) && n.lead() == 1)
    return n.refuse("its indices count the samples of a batch");
  const Dims dims = n.dims(0), places = n.dims(1);
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rankOf(dims));
  if (!axis)
    return;
  *axis -= n.lead();
  if (*axis < 0)
    return n.refuse("it picks from the samples of a batch");
  if (places.size() != dims.size())
    return n.refuse("expected indices of the rank of the data");
  Shape from = sampleOf(n, dims), to = sampleOf(n, places);
  const int64_t size = from[*axis];
  Tensor x = n.tensor(0);
  for (int64_t i = 0; i < rankOf(from); ++i) {
    if (i == *axis || from[i] == to[i])
      continue;
    if (to[i] > from[i])
      return n.refuse("expected indices within the data, got " +
                      dimsToText(places) + " for " + dimsToText(dims));
    from[i] = to[i];
  }
  if (x)
    x = sliced(n, x, std::vector<int64_t>(from.size(), 0), from);
  if (!x || !fitsPairs(n, to, size))
    return;
  // (.., index, element, ..)
  Tensor index = normalised(n, n.tensor(1), size);
  index = reshaped(n, index, withAxis(to, *axis + 1));
  Tensor is =
      both(n, "equal", index, rangeAlong(n, size, rankOf(to) + 1, *axis + 1));
  x = reshaped(n, x, withAxis(from, *axis));
  n.result(sumOver(n, keptWhere(n, is, x), *axis + 1));
}

/// Whole slices at computed places.
static void readGather(NodeReader &n) {
  const Dims dims = n.dims(0);
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rankOf(dims));
  if (!axis)
    return;
  *axis -= n.lead();
  if (n.lead() == 1)
    return n.refuse("expected constant indices, or rows of a constant table: "
                    "else samples get elements of one another");
  Shape from = sampleOf(n, dims);
  const Shape places = sampleOf(n, n.dims(1));
  const int64_t size = from[*axis], count = *onnx::countElements(places),
                behind = *onnx::countElements(
                    Shape(from.begin() + *axis + 1, from.end())),
                before = *onnx::countElements(
                    Shape(from.begin(), from.begin() + *axis));
  if (!fitsPairs(n, from, count))
    return;
  // (before, index, element, behind)
  Tensor x = reshaped(n, n.tensor(0), {before, 1, size, behind});
  Tensor index = normalised(n, n.tensor(1), size);
  index = reshaped(n, index, {1, count, 1, 1});
  Tensor is = both(n, "equal", index, rangeAlong(n, size, 4, 2));
  Tensor y = sumOver(n, keptWhere(n, is, x), 2);
  from.erase(from.begin() + *axis);
  from.insert(from.begin() + *axis, places.begin(), places.end());
  if (y)
    resultOf(n, y, from);
}

/// The elements, but for those that an update replaces or adds to.
static void readScatterElements(NodeReader &n) {
  if (n.constant(1) && n.lead() == 1)
    return n.refuse("its indices count the samples of a batch");
  const Dims dims = n.dims(0), places = n.dims(1);
  const std::string reduction = n.text("reduction", "none");
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rankOf(dims));
  if (!axis)
    return;
  *axis -= n.lead();
  if (*axis < 0)
    return n.refuse("it changes elements of other samples of a batch");
  if (reduction != "none" && reduction != "add")
    return n.refuse(
        "expected reduction none or add where indices are computed");
  Shape from = sampleOf(n, dims), to = sampleOf(n, places);
  for (int64_t i = 0; i < rankOf(from); ++i)
    if (to.size() != from.size() || (i != *axis && to[i] != from[i]))
      return n.refuse("expected computed indices of the size of the data, but "
                      "along the axis");
  const int64_t size = from[*axis];
  if (!fitsPairs(n, to, size))
    return;
  // (.., update, element, ..)
  Tensor index = normalised(n, n.tensor(1), size);
  index = reshaped(n, index, withAxis(to, *axis + 1));
  Tensor updates = reshaped(n, n.tensor(2), withAxis(to, *axis + 1));
  Tensor is =
      both(n, "equal", index, rangeAlong(n, size, rankOf(to) + 1, *axis + 1));
  Tensor sum = sumOver(n, keptWhere(n, is, updates), *axis);
  Tensor x = n.tensor(0);
  if (reduction == "add")
    return n.result(both(n, "add", x, sum));
  // ONNX wants each element to be named once at most.
  Tensor any = sumOver(n, is, *axis);
  if (any && sum && x)
    n.result(n.layer(Config("where"), {any, sum, x}));
}

// ---- Determinants -----------------------------------------------------------

static constexpr int64_t kMostRows = 8;

/// Expansion along the rows, each minor of the last rows once.
static void readDet(NodeReader &n) {
  const Shape shape = sampleOf(n, n.dims(0));
  if (rankOf(shape) < 2 || shape.back() != shape[shape.size() - 2] ||
      shape.back() > kMostRows)
    return n.refuse(
        formatv("expected square matrices of at most {0} rows", kMostRows));
  const int64_t size = shape.back(), rank = rankOf(shape);
  Tensor x = n.tensor(0);
  auto element = [&](int64_t row, int64_t column) {
    std::vector<int64_t> starts(rank, 0);
    Shape one = shape;
    starts[rank - 2] = row;
    starts[rank - 1] = column;
    one[rank - 2] = one[rank - 1] = 1;
    return sliced(n, x, starts, one);
  };
  // minors[columns]: of the last rows, as many as there are bits.
  std::map<unsigned, Tensor> minors;
  for (int64_t column = 0; column < size; ++column)
    minors[1u << column] = element(size - 1, column);
  for (int64_t row = size - 2; row >= 0; --row) {
    std::map<unsigned, Tensor> larger;
    for (unsigned columns = 1; columns < 1u << size; ++columns) {
      if (llvm::popcount(columns) != size - row)
        continue;
      Tensor sum;
      bool isPlus = true;
      for (int64_t column = 0; column < size; ++column) {
        if (!(columns >> column & 1))
          continue;
        Tensor part = both(n, "multiply", element(row, column),
                           minors[columns & ~(1u << column)]);
        sum = !sum ? part : both(n, isPlus ? "add" : "subtract", sum, part);
        isPlus = !isPlus;
      }
      larger[columns] = sum;
    }
    minors = std::move(larger);
  }
  Tensor y = minors[(1u << size) - 1];
  if (y)
    resultOf(n, y, Shape(shape.begin(), shape.end() - 2));
}

// ---- The table --------------------------------------------------------------

ArrayRef<OpRule> onnx::orderRules() {
  static const OpRule rules[] = {
      {"Det", 1, readDet},
      {"Gather", 2, readGather},
      {"GatherElements", 2, readGatherElements},
      {"Scatter", 3, readScatterElements},
      {"ScatterElements", 3, readScatterElements},
      {"TopK", 1, readTopK},
  };
  return rules;
}
