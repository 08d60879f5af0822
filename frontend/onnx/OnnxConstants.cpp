// OnnxConstants.cpp - one small function an op. None of them is fast, and none
// makes more elements than Folding::most, which is what is left for the graph.
#include "frontend/onnx/OnnxConstants.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace sinter::frontend;
using namespace sinter::frontend::onnx;
using llvm::ArrayRef;
using llvm::formatv;
using llvm::StringRef;

/// Elements read and made for a graph: so many, and so many times those that
/// the file has.
static constexpr int64_t kMostElements = int64_t(1) << 25, kMostTimes = 32;

namespace {

/// What every rule gets.
struct Folding {
  const Node &node;
  int64_t opset;
  ArrayRef<const Constant *> inputs;
  std::string &wrong;
  std::vector<Constant> &others; // results behind the first
  int64_t most;                  // elements that a result may have

  bool fits(const Dims &dims) const {
    std::optional<int64_t> count = countElements(dims);
    return count && *count <= most;
  }
  std::nullopt_t fail(std::string why) const {
    wrong = std::move(why);
    return std::nullopt;
  }
  bool has(size_t input) const {
    return input < inputs.size() && inputs[input];
  }
  const Constant &operator[](size_t input) const { return *inputs[input]; }
  const Attribute *find(StringRef name) const {
    auto it = node.attributes.find(name.str());
    return it == node.attributes.end() ? nullptr : &it->second;
  }
  int64_t integer(StringRef name, int64_t value) const {
    const Attribute *attribute = find(name);
    return attribute ? attribute->integer : value;
  }
  /// A list that older operator sets have as an attribute, newer ones as input.
  std::optional<std::vector<int64_t>> list(StringRef attribute,
                                           size_t input) const {
    if (const Attribute *found = find(attribute))
      return found->integers;
    if (has(input) && !inputs[input]->isFloat())
      return inputs[input]->integers();
    return std::nullopt;
  }
};

using Result = std::optional<Constant>;

/// An axis counted from either end, or -1.
int64_t normalAxis(int64_t axis, size_t rank) {
  const int64_t count = static_cast<int64_t>(rank);
  if (axis < 0)
    axis += count;
  return axis >= 0 && axis < count ? axis : -1;
}

/// A constant of `dims`: element i is element `source(i)` of `x`.
template <typename Source>
Constant gathered(const Constant &x, Dims dims, Source source) {
  Constant result;
  result.type = x.type;
  const size_t count = static_cast<size_t>(*countElements(dims));
  result.dims = std::move(dims);
  std::visit(
      [&](const auto &values) {
        std::remove_cvref_t<decltype(values)> picked(count);
        for (size_t i = 0; i < count; ++i)
          picked[i] = values[source(i)];
        result.values = std::move(picked);
      },
      x.values);
  return result;
}

Result reshaped(const Constant &x, Dims dims) {
  Constant result = x;
  result.dims = std::move(dims);
  return result;
}

// ---- Rules ------------------------------------------------------------------

Result foldIdentity(const Folding &f) { return f[0]; }

Result foldDropout(const Folding &f) {
  if (f.inputs.size() > 1)
    return std::nullopt; // maybe in training
  Constant mask = f[0];
  mask.type = ElementType::Bool;
  mask.values = std::vector<int64_t>(f[0].size(), 1);
  f.others = {std::move(mask)};
  return f[0];
}

Result foldConstant(const Folding &f) {
  if (const Attribute *value = f.find("value");
      value && value->kind == Attribute::Kind::Tensor)
    return value->tensor;
  Constant result;
  if (const Attribute *value = f.find("value_int")) {
    result = Constant::ofIntegers({value->integer});
    result.dims.clear();
  } else if (const Attribute *value = f.find("value_ints")) {
    result = Constant::ofIntegers(value->integers);
  } else if (const Attribute *value = f.find("value_float")) {
    result.values = std::vector<float>{static_cast<float>(value->number)};
  } else if (const Attribute *value = f.find("value_floats")) {
    result.dims = {static_cast<int64_t>(value->numbers.size())};
    result.values =
        std::vector<float>(value->numbers.begin(), value->numbers.end());
  } else {
    return f.fail("expected a constant of numbers");
  }
  return result;
}

Result foldConstantOfShape(const Folding &f) {
  const Dims dims = f[0].isFloat() ? Dims{-1} : Dims(f[0].integers());
  if (!f.fits(dims))
    return f.fail("expected a size that fits into memory, got " +
                  dimsToText(dims));
  Constant fill;
  fill.values = std::vector<float>{0};
  if (const Attribute *value = f.find("value"))
    fill = value->tensor;
  if (fill.size() != 1)
    return f.fail("expected a value of one element");
  return gathered(fill, dims, [](size_t) { return 0; });
}

Result foldGather(const Folding &f) {
  const Constant &x = f[0], &indices = f[1];
  const int64_t axis = normalAxis(f.integer("axis", 0), x.dims.size());
  if (axis < 0 || indices.isFloat())
    return f.fail("expected an axis of the data and whole numbers as indices");
  const int64_t size = x.dims[axis];
  for (int64_t index : indices.integers())
    if (index < -size || index >= size)
      return f.fail(formatv("expected indices in {0} .. {1}, got {2}", -size,
                            size - 1, index));
  Dims dims(x.dims.begin(), x.dims.begin() + axis);
  llvm::append_range(dims, indices.dims);
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  if (!f.fits(dims))
    return f.fail("expected a result that fits into memory");
  const size_t inner = stridesOf(x.dims)[axis], picked = indices.size();
  return gathered(x, dims, [&, inner, picked](size_t i) {
    const size_t row = i / inner;
    int64_t index = indices.integers()[row % picked];
    index += index < 0 ? size : 0;
    return ((row / picked) * size + index) * inner + i % inner;
  });
}

Result foldConcat(const Folding &f) {
  const int64_t axis = normalAxis(f.integer("axis", 0), f[0].dims.size());
  if (axis < 0)
    return f.fail("expected an axis of its operands");
  Dims dims = f[0].dims;
  dims[axis] = 0;
  for (const Constant *x : f.inputs) {
    if (!x || x->dims.size() != dims.size() || x->isFloat() != f[0].isFloat())
      return f.fail("expected operands of one rank and type");
    for (size_t i = 0; i < dims.size(); ++i)
      if (static_cast<int64_t>(i) != axis && x->dims[i] != dims[i])
        return f.fail("expected operands that differ along the axis alone");
    dims[axis] += x->dims[axis];
  }
  if (!f.fits(dims))
    return f.fail("expected a result that fits into memory");
  Constant result;
  result.type = f[0].type;
  result.dims = dims;
  const size_t inner = stridesOf(dims)[axis];
  size_t outer = 1;
  for (int64_t i = 0; i < axis; ++i)
    outer *= dims[i];
  std::visit(
      [&](const auto &first) {
        using List = std::remove_cvref_t<decltype(first)>;
        List values;
        for (size_t row = 0; row < outer; ++row)
          for (const Constant *x : f.inputs) {
            const size_t length = x->dims[axis] * inner;
            auto begin = std::get<List>(x->values).begin() + row * length;
            values.insert(values.end(), begin, begin + length);
          }
        result.values = std::move(values);
      },
      f[0].values);
  return result;
}

Result foldUnsqueeze(const Folding &f) {
  std::optional<std::vector<int64_t>> axes = f.list("axes", 1);
  if (!axes)
    return f.fail("expected axes");
  const size_t rank = f[0].dims.size() + axes->size();
  std::vector<bool> isNew(rank);
  for (int64_t axis : *axes) {
    axis = normalAxis(axis, rank);
    if (axis < 0 || isNew[axis])
      return f.fail("expected different axes of the result");
    isNew[axis] = true;
  }
  Dims dims;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i)
    dims.push_back(isNew[i] ? 1 : f[0].dims[next++]);
  return reshaped(f[0], dims);
}

Result foldSqueeze(const Folding &f) {
  std::optional<std::vector<int64_t>> axes = f.list("axes", 1);
  const Dims &from = f[0].dims;
  std::vector<bool> drop(from.size());
  for (size_t i = 0; i < from.size(); ++i)
    drop[i] = !axes && from[i] == 1;
  for (int64_t axis : axes.value_or(std::vector<int64_t>())) {
    axis = normalAxis(axis, from.size());
    if (axis < 0 || from[axis] != 1)
      return f.fail("expected axes of size 1");
    drop[axis] = true;
  }
  Dims dims;
  for (size_t i = 0; i < from.size(); ++i)
    if (!drop[i])
      dims.push_back(from[i]);
  return reshaped(f[0], dims);
}

Result foldReshape(const Folding &f) {
  if (!f.has(1) || f[1].isFloat())
    return f.fail("expected a shape");
  Dims dims = f[1].integers();
  int64_t known = 1, *open = nullptr;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && !f.integer("allowzero", 0)) {
      if (i >= f[0].dims.size())
        return f.fail("expected 0 in the shape to stand for a size");
      dims[i] = f[0].dims[i];
    }
    if (dims[i] == -1 && !open)
      open = &dims[i];
    else if (dims[i] < 0 || llvm::MulOverflow(known, dims[i], known))
      return f.fail("expected a shape of sizes, got " + dimsToText(dims));
  }
  const int64_t count = static_cast<int64_t>(f[0].size());
  if (open)
    *open = known > 0 && count % known == 0 ? count / known : 0;
  if (countElements(dims) != count)
    return f.fail(formatv("expected a shape of {0} elements, got {1}", count,
                          dimsToText(dims)));
  return reshaped(f[0], dims);
}

Result foldFlatten(const Folding &f) {
  int64_t axis = f.integer("axis", 1),
          rank = static_cast<int64_t>(f[0].dims.size());
  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis > rank)
    return f.fail("expected an axis of the operand");
  Dims dims = {1, 1};
  for (int64_t i = 0; i < rank; ++i)
    dims[i >= axis] *= f[0].dims[i];
  return reshaped(f[0], dims);
}

Result foldTranspose(const Folding &f) {
  const size_t rank = f[0].dims.size();
  std::vector<int64_t> permutation;
  if (const Attribute *given = f.find("perm"))
    permutation = given->integers;
  else
    permutation = reversedAxes(rank);
  std::vector<int64_t> sorted = permutation;
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, rank)))
    return f.fail("expected each axis once in perm");
  return transposed(f[0], permutation);
}

Result foldCast(const Folding &f) {
  const auto to = static_cast<ElementType>(f.integer("to", 1));
  Constant result = f[0];
  result.type = to;
  if (to == ElementType::String)
    return f.fail("strings are not supported");
  if (isFloating(to) != f[0].isFloat() || to == ElementType::Bool) {
    if (isFloating(to)) {
      std::vector<float> values;
      for (int64_t x : f[0].integers()) {
        if (x == kBatch)
          return f.fail("it computes with the number of samples");
        values.push_back(static_cast<float>(x));
      }
      result.values = std::move(values);
    } else {
      std::vector<int64_t> values;
      for (size_t i = 0; i < f[0].size(); ++i) {
        const double x = f[0].number(i);
        if (to == ElementType::Bool)
          values.push_back(x != 0);
        else if (std::fabs(x) < 9e18)
          values.push_back(static_cast<int64_t>(x));
        else
          return f.fail("expected numbers that fit into 64 bits");
      }
      result.values = std::move(values);
    }
  }
  return result;
}

Result foldSlice(const Folding &f) {
  const Constant &x = f[0];
  std::optional<std::vector<int64_t>> starts = f.list("starts", 1),
                                      ends = f.list("ends", 2),
                                      axes = f.list("axes", 3),
                                      steps = f.list("steps", 4);
  if (!starts || !ends || starts->size() != ends->size())
    return f.fail("expected as many starts as ends");
  if (!axes)
    axes = counting(0, starts->size());
  if (!steps)
    steps.emplace(starts->size(), 1);
  if (axes->size() != starts->size() || steps->size() != starts->size())
    return f.fail("expected an axis and a step for each start");
  Dims dims = x.dims, begin(dims.size(), 0), step(dims.size(), 1);
  for (size_t i = 0; i < starts->size(); ++i) {
    const int64_t axis = normalAxis((*axes)[i], dims.size());
    if (axis < 0 || (*steps)[i] == 0)
      return f.fail("expected axes of the operand and steps other than 0");
    const int64_t size = x.dims[axis], stride = (*steps)[i];
    if (size == 0)
      continue;
    auto clamp = [&](int64_t at, int64_t low, int64_t high) {
      at += at < 0 ? size : 0;
      return std::clamp(at, low, high);
    };
    int64_t from = stride > 0 ? clamp((*starts)[i], 0, size)
                              : clamp((*starts)[i], 0, size - 1),
            to = stride > 0 ? clamp((*ends)[i], 0, size)
                            : clamp((*ends)[i], -1, size - 1);
    begin[axis] = from;
    step[axis] = stride;
    const int64_t span = stride > 0 ? to - from : from - to,
                  width = stride == INT64_MIN ? INT64_MAX : std::abs(stride);
    dims[axis] = span <= 0 ? 0 : (span - 1) / width + 1;
  }
  const Dims source = stridesOf(x.dims), target = stridesOf(dims);
  return gathered(x, dims, [&](size_t i) {
    size_t at = 0;
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      const int64_t index = static_cast<int64_t>(i) / target[axis] % dims[axis];
      at += (begin[axis] + index * step[axis]) * source[axis];
    }
    return at;
  });
}

Result foldRange(const Folding &f) {
  for (size_t i = 0; i < 3; ++i)
    if (!f.has(i) || f[i].size() != 1)
      return f.fail("expected start, limit and delta");
  const double start = f[0].number(0), limit = f[1].number(0),
               delta = f[2].number(0);
  const double count = std::ceil((limit - start) / delta);
  if (!(count <= static_cast<double>(f.most)))
    return f.fail("expected a range that ends");
  Constant result;
  result.type = f[0].type;
  const auto size = static_cast<int64_t>(std::max(0.0, count));
  result.dims = {size};
  auto fill = [&](auto &&values) {
    for (int64_t i = 0; i < size; ++i)
      values.push_back(start + static_cast<double>(i) * delta);
    result.values = std::move(values);
  };
  if (f[0].isFloat())
    fill(std::vector<float>());
  else
    fill(std::vector<int64_t>());
  return result;
}

/// NumPy's rule; nothing if the sizes do not fit.
std::optional<Dims> broadcast(const Folding &f, const Dims &a, const Dims &b) {
  Dims dims(std::max(a.size(), b.size()));
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1,
                  y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1)
      return std::nullopt;
    dims[dims.size() - 1 - i] = x == 1 ? y : x;
  }
  return f.fits(dims) ? std::optional(dims) : std::nullopt;
}

/// The element of a tensor of `from` that element `i` of `to` comes from.
size_t broadcastIndex(size_t i, const Dims &to, const Dims &from) {
  size_t at = 0, stride = 1;
  for (size_t axis = to.size(); axis-- > 0;) {
    const size_t index = i % to[axis];
    i /= to[axis];
    const size_t behind = to.size() - axis;
    if (behind > from.size())
      continue;
    const int64_t size = from[from.size() - behind];
    at += size == 1 ? 0 : index * stride;
    stride *= size;
  }
  return at;
}

Result foldExpand(const Folding &f) {
  if (!f.has(1) || f[1].isFloat())
    return f.fail("expected a shape");
  if (llvm::is_contained(f[1].integers(), kBatch))
    return std::nullopt; // one for each sample: no constant
  std::optional<Dims> dims = broadcast(f, f[0].dims, f[1].integers());
  if (!dims)
    return f.fail("expected a shape that the operand can be stretched to");
  return gathered(f[0], *dims, [&](size_t i) {
    return broadcastIndex(i, *dims, f[0].dims);
  });
}

/// One function for f32, one for whole numbers, of two elements.
template <typename Floats, typename Integers>
Result elementwise(const Folding &f, const Constant &a, const Constant &b,
                   Floats floats, Integers integers) {
  if (a.isFloat() != b.isFloat())
    return f.fail("expected two operands of one type");
  std::optional<Dims> dims = broadcast(f, a.dims, b.dims);
  if (!dims)
    return f.fail("expected operands that broadcast, got " +
                  dimsToText(a.dims) + " and " + dimsToText(b.dims));
  Constant result;
  result.type = a.type;
  result.dims = *dims;
  const size_t count = static_cast<size_t>(*countElements(*dims));
  auto fill = [&](const auto &x, const auto &y, auto function) {
    std::vector<decltype(function(x[0], y[0]))> values;
    values.reserve(count);
    for (size_t i = 0; i < count; ++i)
      values.push_back(function(x[broadcastIndex(i, *dims, a.dims)],
                                y[broadcastIndex(i, *dims, b.dims)]));
    result.values = std::move(values);
  };
  if (a.isFloat())
    fill(a.floats(), b.floats(), floats);
  else
    fill(a.integers(), b.integers(), integers);
  return result;
}

Result foldArithmetic(const Folding &f) {
  const StringRef op = f.node.op;
  auto floats = [&](float a, float b) {
    return op == "Add"   ? a + b
           : op == "Sub" ? a - b
           : op == "Mul" ? a * b
           : op == "Max" ? std::fmax(a, b)
           : op == "Min" ? std::fmin(a, b)
           : op == "Pow" ? std::pow(a, b)
           : op == "Mod" ? std::fmod(a, b)
                         : a / b;
  };
  std::string wrong;
  auto integers = [&](int64_t a, int64_t b) -> int64_t {
    int64_t value = 0;
    bool overflow = false;
    if (a == kBatch || b == kBatch)
      wrong = "it computes with the number of samples";
    else if (op == "Max" || op == "Min")
      value = op == "Max" ? std::max(a, b) : std::min(a, b);
    else if (op == "Div" || op == "Mod") {
      if (b == 0 || (a == INT64_MIN && b == -1))
        wrong = "expected a divisor other than 0";
      else if (op == "Div")
        value = a / b;
      else // the divisor's sign, or the dividend's
        value = f.integer("fmod", 0) || a % b == 0 || (a < 0) == (b < 0)
                    ? a % b
                    : a % b + b;
    } else if (op == "Add")
      overflow = llvm::AddOverflow(a, b, value);
    else if (op == "Sub")
      overflow = llvm::SubOverflow(a, b, value);
    else if (op == "Mul")
      overflow = llvm::MulOverflow(a, b, value);
    else {
      value = 1;
      for (int64_t i = 0; i < b && !overflow && i < 64; ++i)
        overflow = llvm::MulOverflow(value, a, value);
      overflow |= b < 0 || b >= 64;
    }
    if (overflow)
      wrong = "expected numbers that fit into 64 bits";
    return value;
  };
  Result result = f[0];
  for (size_t i = 1; i < f.inputs.size(); ++i) {
    if (!f.has(i))
      return f.fail("expected no operand to be left out");
    if (op == "Mod" && f[i].isFloat() && !f.integer("fmod", 0))
      return f.fail("expected fmod 1 for numbers that are not whole");
    result = elementwise(f, *result, f[i], floats, integers);
    if (!result || !wrong.empty())
      return result ? f.fail(wrong) : result;
  }
  return result;
}

Result foldComparison(const Folding &f) {
  const StringRef op = f.node.op;
  auto compare = [&](auto a, auto b) -> int64_t {
    return op == "Equal"            ? a == b
           : op == "Greater"        ? a > b
           : op == "Less"           ? a < b
           : op == "GreaterOrEqual" ? a >= b
           : op == "LessOrEqual"    ? a <= b
           : op == "And"            ? a != 0 && b != 0
           : op == "Or"             ? a != 0 || b != 0
                                    : (a != 0) != (b != 0);
  };
  Result result = elementwise(f, f[0], f[1], compare, compare);
  if (result)
    result->type = ElementType::Bool;
  return result;
}

Result foldWhere(const Folding &f) {
  if (f[0].isFloat() || f[1].isFloat() != f[2].isFloat())
    return f.fail("expected truth values and two operands of one type");
  std::optional<Dims> dims = broadcast(f, f[1].dims, f[2].dims);
  if (dims)
    dims = broadcast(f, *dims, f[0].dims);
  if (!dims)
    return f.fail("expected operands that broadcast");
  Constant both = f[1]; // the elements of both, one behind the other
  const size_t first = f[1].size();
  std::visit(
      [&](auto &values) {
        using List = std::remove_cvref_t<decltype(values)>;
        llvm::append_range(values, std::get<List>(f[2].values));
      },
      both.values);
  return gathered(both, *dims, [&](size_t i) {
    return f[0].integers()[broadcastIndex(i, *dims, f[0].dims)]
               ? broadcastIndex(i, *dims, f[1].dims)
               : first + broadcastIndex(i, *dims, f[2].dims);
  });
}

Result foldUnary(const Folding &f) {
  const StringRef op = f.node.op;
  Constant result = f[0];
  if (f[0].isFloat()) {
    static const std::pair<StringRef, double (*)(double)> functions[] = {
        {"Abs", std::fabs},
        {"Ceil", std::ceil},
        {"Cos", std::cos},
        {"Exp", std::exp},
        {"Floor", std::floor},
        {"Log", std::log},
        {"Round", std::nearbyint},
        {"Sin", std::sin},
        {"Sqrt", std::sqrt},
        {"Neg", [](double x) { return -x; }},
        {"Reciprocal", [](double x) { return 1 / x; }},
        {"Relu", [](double x) { return x < 0 ? 0 : x; }}};
    for (auto [name, function] : functions)
      if (name == op) {
        for (float &x : std::get<0>(result.values))
          x = static_cast<float>(function(x));
        return result;
      }
    return std::nullopt;
  }
  for (int64_t &x : std::get<1>(result.values)) {
    if (x == kBatch || x == INT64_MIN)
      return f.fail("it computes with the number of samples");
    if (op == "Not")
      x = !x;
    else if (op == "Neg")
      x = -x;
    else if (op == "Abs")
      x = std::abs(x);
    else if (op == "Relu")
      x = std::max<int64_t>(x, 0);
    else
      return std::nullopt;
  }
  return result;
}

/// Sums, products, means and extremes over axes.
Result foldReduction(const Folding &f) {
  const StringRef op = f.node.op;
  const Dims &dims = f[0].dims;
  std::optional<std::vector<int64_t>> axes = f.list("axes", 1);
  std::vector<bool> gone(dims.size(), !axes || axes->empty());
  if (axes && axes->empty() && f.integer("noop_with_empty_axes", 0))
    return f[0];
  for (int64_t axis : axes.value_or(std::vector<int64_t>())) {
    axis = normalAxis(axis, dims.size());
    if (axis < 0)
      return f.fail("expected axes of the operand");
    gone[axis] = true;
  }
  Dims kept, shape; // with and without sizes of 1
  double count = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    kept.push_back(gone[i] ? 1 : dims[i]);
    if (gone[i])
      count *= static_cast<double>(dims[i]);
    if (!gone[i] || f.integer("keepdims", 1))
      shape.push_back(kept.back());
  }
  if (llvm::is_contained(dims, 0))
    return f.fail("expected elements to reduce, got " + dimsToText(dims));
  if (!f[0].isFloat() && llvm::is_contained(f[0].integers(), kBatch))
    return f.fail("it computes with the number of samples");
  std::vector<double> sums(*countElements(kept));
  std::vector<bool> seen(sums.size());
  for (size_t i = 0; i < f[0].size(); ++i) {
    const size_t at = broadcastIndex(i, dims, kept);
    const double x = f[0].number(i);
    double &sum = sums[at];
    if (!seen[at])
      sum = x;
    else if (op == "ReduceProd")
      sum *= x;
    else if (op == "ReduceMax")
      sum = std::max(sum, x);
    else if (op == "ReduceMin")
      sum = std::min(sum, x);
    else
      sum += x;
    seen[at] = true;
  }
  if (op == "ReduceMean" && !f[0].isFloat())
    return f.fail("expected a mean of numbers that are not whole");
  Constant result;
  result.type = f[0].type;
  result.dims = shape;
  auto fill = [&](auto &&values) -> bool {
    for (double sum : sums) {
      if (!f[0].isFloat() && std::fabs(sum) > 9e15)
        return false;
      values.push_back(op == "ReduceMean" ? sum / count : sum);
    }
    result.values = std::move(values);
    return true;
  };
  const bool exact = f[0].isFloat() ? fill(std::vector<float>())
                                    : fill(std::vector<int64_t>());
  if (!exact)
    return f.fail("expected whole numbers up to 2^53");
  return result;
}

Result foldTile(const Folding &f) {
  const Dims &from = f[0].dims;
  if (f[1].isFloat() || f[1].size() != from.size())
    return f.fail("expected a number of repeats for each axis");
  Dims dims = from;
  for (size_t i = 0; i < dims.size(); ++i)
    if (const int64_t times = f[1].integers()[i];
        times < 0 || llvm::MulOverflow(dims[i], times, dims[i]))
      return f.fail("expected repeats of at least 0");
  if (!f.fits(dims))
    return f.fail("expected a result that fits into memory");
  const Dims source = stridesOf(from), target = stridesOf(dims);
  return gathered(f[0], dims, [&](size_t i) {
    size_t at = 0;
    for (size_t axis = 0; axis < dims.size(); ++axis)
      at += static_cast<int64_t>(i) / target[axis] % dims[axis] % from[axis] *
            source[axis];
    return at;
  });
}

/// The places of elements other than 0: a row for each axis.
Result foldNonZero(const Folding &f) {
  const Dims &dims = f[0].dims, strides = stridesOf(dims);
  std::vector<int64_t> places;
  for (size_t i = 0; i < f[0].size(); ++i)
    if (f[0].number(i) != 0)
      places.push_back(static_cast<int64_t>(i));
  Constant result;
  result.type = ElementType::Int64;
  result.dims = {static_cast<int64_t>(dims.size()),
                 static_cast<int64_t>(places.size())};
  if (!f.fits(result.dims))
    return f.fail("expected a result that fits into memory");
  std::vector<int64_t> values;
  for (size_t axis = 0; axis < dims.size(); ++axis)
    for (int64_t place : places)
      values.push_back(place / strides[axis] % dims[axis]);
  result.values = std::move(values);
  return result;
}

/// Slices along an axis that differ, or elements; with where each was first,
/// which one each is, and how many there are of each.
Result foldUnique(const Folding &f) {
  const bool isFlat = !f.find("axis");
  Constant x = f[0];
  if (isFlat)
    x.dims = {static_cast<int64_t>(x.size())};
  const int64_t axis = normalAxis(f.integer("axis", 0), x.dims.size());
  if (axis < 0)
    return f.fail("expected an axis of the operand");
  const int64_t size = x.dims[axis], inner = stridesOf(x.dims)[axis];
  auto slice = [&](int64_t at) {
    std::vector<double> elements;
    for (size_t i = 0; i < x.size(); ++i)
      if (static_cast<int64_t>(i) / inner % size == at)
        elements.push_back(x.number(i));
    return elements;
  };
  const int64_t most = 4096, mostLooks = int64_t(1) << 26;
  if (size > most || static_cast<int64_t>(x.size()) > mostLooks / most)
    return f.fail(formatv("expected at most {0} slices of {1} elements", most,
                          mostLooks / most));
  std::vector<std::vector<double>> found;
  std::vector<int64_t> first, counts, inverse;
  for (int64_t at = 0; at < size; ++at) {
    std::vector<double> own = slice(at);
    auto known = llvm::find(found, own);
    const int64_t index = known - found.begin();
    if (known == found.end()) {
      found.push_back(std::move(own));
      first.push_back(at);
      counts.push_back(0);
    }
    ++counts[index];
    inverse.push_back(index);
  }
  std::vector<int64_t> order = counting(0, first.size()), rank = order;
  if (f.integer("sorted", 1))
    llvm::sort(order, [&](int64_t a, int64_t b) {
      return std::lexicographical_compare(
          found[a].begin(), found[a].end(), found[b].begin(), found[b].end(),
          [](double x, double y) { // what is not a number comes last
            return std::isnan(y) ? !std::isnan(x) : x < y;
          });
    });
  for (size_t i = 0; i < order.size(); ++i)
    rank[order[i]] = static_cast<int64_t>(i);
  std::vector<int64_t> firsts, numbers;
  for (int64_t i : order) {
    firsts.push_back(first[i]);
    numbers.push_back(counts[i]);
  }
  for (int64_t &index : inverse)
    index = rank[index];
  f.others = {Constant::ofIntegers(firsts), Constant::ofIntegers(inverse),
              Constant::ofIntegers(numbers)};
  Dims dims = x.dims;
  dims[axis] = static_cast<int64_t>(order.size());
  return gathered(x, dims, [&, inner](size_t i) {
    const int64_t row = static_cast<int64_t>(i) / inner;
    return static_cast<size_t>(
        (row / dims[axis] * size + firsts[row % dims[axis]]) * inner +
        static_cast<int64_t>(i) % inner);
  });
}

// ---- Signals ----------------------------------------------------------------

/// Sums of cosines over a window of `size` elements.
Result foldWindow(const Folding &f) {
  const double size = f[0].size() == 1 ? f[0].number(0) : -1;
  if (!(size >= 1 && size <= static_cast<double>(f.most)))
    return f.fail("expected a size");
  const StringRef op = f.node.op;
  // As ONNX defines them.
  const double hamming = 25.0 / 46,
               first = op == "HannWindow"      ? 0.5
                       : op == "HammingWindow" ? hamming
                                               : 0.42,
               second = op == "HannWindow"      ? 0.5
                        : op == "HammingWindow" ? 1 - hamming
                                                : 0.5,
               third = op == "BlackmanWindow" ? 0.08 : 0;
  const double period = f.integer("periodic", 1) ? size : size - 1;
  Constant result;
  result.type = static_cast<ElementType>(f.integer("output_datatype", 1));
  if (!isFloating(result.type))
    return f.fail("expected a floating output_datatype");
  result.dims = {static_cast<int64_t>(size)};
  std::vector<float> values;
  for (double i = 0; i < size; ++i) {
    const double angle = period > 0 ? 2 * M_PI * i / period : 0;
    values.push_back(static_cast<float>(first - second * std::cos(angle) +
                                        third * std::cos(2 * angle)));
  }
  result.values = std::move(values);
  return result;
}

/// Triangles that are evenly spaced on the mel scale, over the bins of a
/// spectrum.
Result foldMelWeightMatrix(const Folding &f) {
  for (size_t i = 0; i < 5; ++i)
    if (!f.has(i) || f[i].size() != 1)
      return f.fail("expected five numbers");
  const double bands = f[0].number(0), length = f[1].number(0),
               rate = f[2].number(0);
  if (!(bands >= 1 && bands <= 65536 && length >= 1 && length <= 1 << 20 &&
        rate > 0 &&
        (std::floor(length / 2) + 1) * bands <= static_cast<double>(f.most)))
    return f.fail("expected numbers of mel bins and of a spectrum's elements, "
                  "and a sample rate");
  auto toMel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double low = toMel(f[3].number(0)), high = toMel(f[4].number(0)),
               step = (high - low) / (bands + 2);
  std::vector<double> edges; // bins
  for (double i = 0; i < bands + 2; ++i) {
    const double hertz = 700 * (std::pow(10, (i * step + low) / 2595) - 1);
    edges.push_back(std::floor((length + 1) * hertz / rate));
  }
  const int64_t rows = static_cast<int64_t>(length / 2) + 1,
                columns = static_cast<int64_t>(bands);
  Constant result;
  result.type = static_cast<ElementType>(f.integer("output_datatype", 1));
  if (!isFloating(result.type))
    return f.fail("expected a floating output_datatype");
  result.dims = {rows, columns};
  std::vector<float> values(rows * columns);
  for (int64_t band = 0; band < columns; ++band) {
    const double from = edges[band], middle = edges[band + 1],
                 to = edges[band + 2];
    if (!(from >= 0 && to <= static_cast<double>(rows)))
      return f.fail("expected edges within the spectrum");
    auto at = [&](double bin) -> float & {
      return values[static_cast<int64_t>(bin) * columns + band];
    };
    if (middle == from && middle < rows)
      at(middle) = 1;
    else
      for (double bin = from; bin <= middle && bin < rows; ++bin)
        at(bin) = static_cast<float>((bin - from) / (middle - from));
    for (double bin = middle; bin < to; ++bin)
      if (to > middle)
        at(bin) = static_cast<float>((to - bin) / (to - middle));
  }
  result.values = std::move(values);
  return result;
}

/// The triangle of each matrix; 0 elsewhere.
Result foldTrilu(const Folding &f) {
  const size_t rank = f[0].dims.size();
  if (rank < 2 || (f.has(1) && f[1].size() != 1))
    return f.fail("expected matrices, and one k");
  const bool upper = f.integer("upper", 1) != 0;
  const double k = f.has(1) ? f[1].number(0) : 0;
  const auto rows = static_cast<size_t>(f[0].dims[rank - 2]),
             columns = static_cast<size_t>(f[0].dims[rank - 1]);
  Constant result = f[0];
  std::visit(
      [&](auto &values) {
        for (size_t i = 0; i < values.size(); ++i) {
          const double above = static_cast<double>(i % columns) -
                               static_cast<double>(i / columns % rows);
          if (upper ? above < k : above > k)
            values[i] = 0;
        }
      },
      result.values);
  return result;
}

struct Rule {
  StringRef op;
  size_t operands; // that must be there
  Result (*fold)(const Folding &);
};

} // namespace

Constant onnx::transposed(const Constant &x, ArrayRef<int64_t> permutation) {
  Dims dims;
  const Dims source = stridesOf(x.dims);
  for (int64_t axis : permutation)
    dims.push_back(x.dims[axis]);
  const Dims target = stridesOf(dims);
  return gathered(x, dims, [&](size_t i) {
    size_t at = 0;
    for (size_t axis = 0; axis < dims.size(); ++axis)
      at += static_cast<int64_t>(i) / target[axis] % dims[axis] *
            source[permutation[axis]];
    return at;
  });
}

int64_t onnx::foldingBudget(const Graph &graph) {
  int64_t count = 0;
  for (const auto &[name, constant] : graph.initializers)
    count += static_cast<int64_t>(constant.size());
  for (const Node &node : graph.nodes)
    for (const auto &[name, attribute] : node.attributes)
      count += static_cast<int64_t>(attribute.tensor.size() +
                                    attribute.integers.size() +
                                    attribute.numbers.size());
  return kMostElements + kMostTimes * count;
}

std::optional<Constant> onnx::foldNode(const Node &node, int64_t opset,
                                       ArrayRef<const Constant *> inputs,
                                       std::vector<Constant> &others,
                                       int64_t &budget, std::string &wrong) {
  static const Rule rules[] = {
      {"Identity", 1, foldIdentity},
      {"Dropout", 1, foldDropout},
      {"Constant", 0, foldConstant},
      {"ConstantOfShape", 1, foldConstantOfShape},
      {"Gather", 2, foldGather},
      {"Concat", 1, foldConcat},
      {"Unsqueeze", 1, foldUnsqueeze},
      {"Squeeze", 1, foldSqueeze},
      {"Reshape", 2, foldReshape},
      {"Flatten", 1, foldFlatten},
      {"Transpose", 1, foldTranspose},
      {"Cast", 1, foldCast},
      {"Slice", 1, foldSlice},
      {"Range", 3, foldRange},
      {"Expand", 2, foldExpand},
      {"Trilu", 1, foldTrilu},
      {"Add", 2, foldArithmetic},
      {"Sub", 2, foldArithmetic},
      {"Mul", 2, foldArithmetic},
      {"Div", 2, foldArithmetic},
      {"Max", 1, foldArithmetic},
      {"Min", 1, foldArithmetic},
      {"Mod", 2, foldArithmetic},
      {"Equal", 2, foldComparison},
      {"Greater", 2, foldComparison},
      {"GreaterOrEqual", 2, foldComparison},
      {"Less", 2, foldComparison},
      {"LessOrEqual", 2, foldComparison},
      {"And", 2, foldComparison},
      {"Or", 2, foldComparison},
      {"Xor", 2, foldComparison},
      {"Where", 3, foldWhere},
      {"Abs", 1, foldUnary},
      {"Ceil", 1, foldUnary},
      {"Cos", 1, foldUnary},
      {"Exp", 1, foldUnary},
      {"Floor", 1, foldUnary},
      {"Log", 1, foldUnary},
      {"Neg", 1, foldUnary},
      {"Not", 1, foldUnary},
      {"Reciprocal", 1, foldUnary},
      {"Relu", 1, foldUnary},
      {"Round", 1, foldUnary},
      {"Sin", 1, foldUnary},
      {"Sqrt", 1, foldUnary},
      {"ReduceMax", 1, foldReduction},
      {"ReduceMean", 1, foldReduction},
      {"ReduceMin", 1, foldReduction},
      {"ReduceProd", 1, foldReduction},
      {"ReduceSum", 1, foldReduction},
      {"Tile", 2, foldTile},
      {"NonZero", 1, foldNonZero},
      {"Unique", 1, foldUnique},
      {"BlackmanWindow", 1, foldWindow},
      {"HammingWindow", 1, foldWindow},
      {"HannWindow", 1, foldWindow},
      {"MelWeightMatrix", 5, foldMelWeightMatrix},
  };
  if (!node.domain.empty())
    return std::nullopt;
  for (const Rule &rule : rules) {
    if (rule.op != node.op)
      continue;
    int64_t given = 0;
    for (const Constant *input : inputs)
      given += input ? static_cast<int64_t>(input->size()) : 0;
    // Each operand may be looked at for each element of the result.
    const auto times = std::max<int64_t>(1, inputs.size());
    const int64_t most = (budget - given) / times;
    Folding folding{node, opset, inputs, wrong, others, most};
    for (size_t i = 0; i < rule.operands; ++i)
      if (!folding.has(i))
        return folding.fail(formatv("expected {0} operands", rule.operands));
    if (most <= 0)
      return folding.fail("computing the constants of this file takes far more "
                          "work than a file of its size needs");
    std::optional<Constant> result = rule.fold(folding);
    budget -= given;
    if (result)
      budget -= times * static_cast<int64_t>(result->size());
    if (result && result->dims.size() > kMostAxes)
      return folding.fail(formatv("expected at most {0} axes, got {1}",
                                  kMostAxes, result->dims.size()));
    return result;
  }
  return std::nullopt;
}
