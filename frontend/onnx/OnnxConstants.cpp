// OnnxConstants.cpp - one small function an op. None of them is fast, and none
// takes more memory than kMostElements allow.
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

/// Of a result: 256 MiB as f32.
static constexpr int64_t kMostElements = int64_t(1) << 26;

namespace {

/// What every rule gets.
struct Folding {
  const Node &node;
  int64_t opset;
  ArrayRef<const Constant *> inputs;
  std::string &wrong;

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

Dims stridesOf(const Dims &dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;)
    strides[i - 1] = strides[i] * dims[i];
  return strides;
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

bool fits(const Dims &dims) {
  std::optional<int64_t> count = countElements(dims);
  return count && *count <= kMostElements;
}

Result reshaped(const Constant &x, Dims dims) {
  Constant result = x;
  result.dims = std::move(dims);
  return result;
}

// ---- Rules ------------------------------------------------------------------

Result foldIdentity(const Folding &f) { return f[0]; }

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
  if (!fits(dims))
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
  if (!fits(dims))
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
  if (!fits(dims))
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
    else if (dims[i] < 0 || dims[i] > kMostElements ||
             llvm::MulOverflow(known, dims[i], known))
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
  if (!(count <= kMostElements))
    return f.fail("expected a range that ends");
  Constant result;
  result.type = f[0].type;
  const int64_t size = std::max<int64_t>(0, static_cast<int64_t>(count));
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
std::optional<Dims> broadcast(const Dims &a, const Dims &b) {
  Dims dims(std::max(a.size(), b.size()));
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1,
                  y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1)
      return std::nullopt;
    dims[dims.size() - 1 - i] = x == 1 ? y : x;
  }
  return fits(dims) ? std::optional(dims) : std::nullopt;
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
  std::optional<Dims> dims = broadcast(f[0].dims, f[1].integers());
  if (!dims)
    return f.fail("expected a shape that the operand can be stretched to");
  return gathered(f[0], *dims, [&](size_t i) {
    return broadcastIndex(i, *dims, f[0].dims);
  });
}

Result foldArithmetic(const Folding &f) {
  if (!f.has(1) || f[0].isFloat() != f[1].isFloat())
    return f.fail("expected two operands of one type");
  std::optional<Dims> dims = broadcast(f[0].dims, f[1].dims);
  if (!dims)
    return f.fail("expected operands that broadcast, got " +
                  dimsToText(f[0].dims) + " and " + dimsToText(f[1].dims));
  const StringRef op = f.node.op;
  Constant result;
  result.type = f[0].type;
  result.dims = *dims;
  const size_t count = static_cast<size_t>(*countElements(*dims));
  if (f[0].isFloat()) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) {
      const float a = f[0].floats()[broadcastIndex(i, *dims, f[0].dims)],
                  b = f[1].floats()[broadcastIndex(i, *dims, f[1].dims)];
      values[i] = op == "Add"   ? a + b
                  : op == "Sub" ? a - b
                  : op == "Mul" ? a * b
                                : a / b;
    }
    result.values = std::move(values);
    return result;
  }
  std::vector<int64_t> values(count);
  for (size_t i = 0; i < count; ++i) {
    const int64_t a = f[0].integers()[broadcastIndex(i, *dims, f[0].dims)],
                  b = f[1].integers()[broadcastIndex(i, *dims, f[1].dims)];
    if (a == kBatch || b == kBatch)
      return f.fail("it computes with the number of samples");
    if (op == "Div" && (b == 0 || (a == INT64_MIN && b == -1)))
      return f.fail("expected a divisor other than 0");
    bool overflow = false;
    if (op == "Add")
      overflow = llvm::AddOverflow(a, b, values[i]);
    else if (op == "Sub")
      overflow = llvm::SubOverflow(a, b, values[i]);
    else if (op == "Mul")
      overflow = llvm::MulOverflow(a, b, values[i]);
    else
      values[i] = a / b;
    if (overflow)
      return f.fail("expected numbers that fit into 64 bits");
  }
  result.values = std::move(values);
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

std::optional<Constant> onnx::foldNode(const Node &node, int64_t opset,
                                       ArrayRef<const Constant *> inputs,
                                       std::string &wrong) {
  static const Rule rules[] = {
      {"Identity", 1, foldIdentity},
      {"Dropout", 1, foldIdentity},
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
      {"Add", 2, foldArithmetic},
      {"Sub", 2, foldArithmetic},
      {"Mul", 2, foldArithmetic},
      {"Div", 2, foldArithmetic},
  };
  if (!node.domain.empty())
    return std::nullopt;
  for (const Rule &rule : rules) {
    if (rule.op != node.op)
      continue;
    Folding folding{node, opset, inputs, wrong};
    for (size_t i = 0; i < rule.operands; ++i)
      if (!folding.has(i))
        return folding.fail(formatv("expected {0} operands", rule.operands));
    return rule.fold(folding);
  }
  return std::nullopt;
}
