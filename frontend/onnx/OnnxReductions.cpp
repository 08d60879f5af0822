// OnnxReductions.cpp - rules that run along axes: sums, extremes and their
// places. A mean or maximum over all pixels is global pooling.
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

/// A mean or maximum over all axes of space as global pooling; false: it is
/// another one.
static bool readPixelReduction(NodeReader &n, std::vector<int64_t> axes) {
  const Dims dims = n.dims(0);
  const int64_t rank = rankOf(dims), space = rank - 1 - n.lead();
  const StringRef layer = n.op() == "ReduceMean"  ? "global_average_pooling"
                          : n.op() == "ReduceMax" ? "global_max_pooling"
                                                  : "";
  if (layer.empty() || space < 1 || space > 2)
    return false;
  llvm::sort(axes);
  const auto is = [&](int64_t first) {
    return llvm::equal(axes, llvm::seq<int64_t>(first, first + space));
  };
  const bool keeps = n.integer("keepdims", 1);
  Config config(ranked(layer, space), {{"keepdims", keeps}});
  const Order order = keeps ? kImages : Order::AsInFile;
  if (is(n.lead() + 1)) // (N, C, H, W)
    n.result(n.layer(std::move(config), n.tensor(0, kImages)), order);
  else if (is(n.lead())) // (N, H, W, C): as in the file, channels are last
    n.result(n.layer(std::move(config), n.tensor(0)));
  else
    return false;
  return true;
}

static void readReduction(NodeReader &n) {
  struct Steps {
    StringRef op;
    const char *before, *reduction, *after; // null: nothing
  };
  static const Steps all[] = {
      {"ReduceL1", "absolute", "sum", nullptr},
      {"ReduceL2", "square", "sum", "sqrt"},
      {"ReduceLogSum", nullptr, "sum", "log"},
      {"ReduceLogSumExp", nullptr, "logsumexp", nullptr},
      {"ReduceMax", nullptr, "max", nullptr},
      {"ReduceMean", nullptr, "mean", nullptr},
      {"ReduceMin", nullptr, "min", nullptr},
      {"ReduceProd", nullptr, "prod", nullptr},
      {"ReduceSum", nullptr, "sum", nullptr},
      {"ReduceSumSquare", "square", "sum", nullptr},
  };
  const int64_t rank = rankOf(n.dims(0));
  std::optional<std::vector<int64_t>> axes = n.list("axes", 1);
  if (!axes && n.hasInput(1))
    return n.refuse("expected constant axes");
  if ((!axes || axes->empty()) && n.integer("noop_with_empty_axes", 0))
    return passOn(n);
  if (!axes || axes->empty())
    axes = counting(0, rank);
  std::vector<int64_t> positions;
  for (int64_t &given : *axes) {
    std::optional<int64_t> axis = n.axisOf(given, rank);
    if (!axis)
      return;
    if (*axis < n.lead())
      return n.refuse("it runs over the samples of a batch");
    given = *axis;
    positions.push_back(*axis + 1 - n.lead());
  }
  if (readPixelReduction(n, *axes))
    return;
  for (const Steps &steps : all) {
    if (steps.op != n.op())
      continue;
    Tensor x = n.tensor(0);
    if (steps.before)
      x = n.layer(Config(steps.before), x);
    if (!positions.empty())
      x = n.layer(Config(steps.reduction,
                         {{"axis", toList(positions)},
                          {"keepdims", n.integer("keepdims", 1) != 0}}),
                  x);
    if (steps.after)
      x = n.layer(Config(steps.after), x);
    if (!n.integer("keepdims", 1) &&
        static_cast<int64_t>(positions.size()) == rank - n.lead())
      n.scalarResult(x);
    else
      n.result(x);
  }
}

/// The last place of the extreme element: the largest index where it is.
static void readLastArg(NodeReader &n, int64_t axis) {
  const int64_t rank = rankOf(n.dims(0)), size = n.dims(0)[axis];
  const Value at = toList({axis + 1 - n.lead()});
  Tensor x = n.tensor(0);
  Tensor extreme = n.layer(Config(n.op() == "ArgMax" ? "max" : "min",
                                  {{"axis", at}, {"keepdims", true}}),
                           x);
  Constant places;
  places.dims = Dims(rank - n.lead(), 1);
  places.dims[axis - n.lead()] = size;
  std::vector<float> numbers;
  for (int64_t i = 0; i < size; ++i)
    numbers.push_back(static_cast<float>(i));
  places.values = std::move(numbers);
  Tensor isExtreme = n.layer(Config("equal"), {x, extreme});
  Tensor candidates =
      n.layer(Config("multiply"), {isExtreme, n.frozen(std::move(places))});
  const bool keeps = n.integer("keepdims", 1) != 0;
  Tensor y =
      n.layer(Config("max", {{"axis", at}, {"keepdims", keeps}}), candidates);
  if (!keeps && rank - n.lead() == 1)
    n.scalarResult(y);
  else
    n.result(y);
}

static void readArg(NodeReader &n) {
  const int64_t rank = rankOf(n.dims(0));
  std::optional<int64_t> axis = n.axisOf(n.integer("axis", 0), rank);
  if (!axis)
    return;
  if (*axis < n.lead())
    return n.refuse("it runs over the samples of a batch");
  if (n.integer("select_last_index", 0))
    return readLastArg(n, *axis);
  Tensor y = n.layer(Config(n.op() == "ArgMax" ? "argmax" : "argmin",
                            {{"axis", *axis + 1 - n.lead()},
                             {"keepdims", n.integer("keepdims", 1) != 0}}),
                     n.tensor(0));
  if (!n.integer("keepdims", 1) && rank - n.lead() == 1)
    n.scalarResult(y);
  else
    n.result(y);
}

// ---- The table -------------------------------------------------------------

ArrayRef<OpRule> onnx::reductionRules() {
  static const OpRule rules[] = {
      {"ArgMax", 1, readArg},
      {"ArgMin", 1, readArg},
      {"ReduceL1", 1, readReduction},
      {"ReduceL2", 1, readReduction},
      {"ReduceLogSum", 1, readReduction},
      {"ReduceLogSumExp", 1, readReduction},
      {"ReduceMax", 1, readReduction},
      {"ReduceMean", 1, readReduction},
      {"ReduceMin", 1, readReduction},
      {"ReduceProd", 1, readReduction},
      {"ReduceSum", 1, readReduction},
      {"ReduceSumSquare", 1, readReduction},
  };
  return rules;
}
