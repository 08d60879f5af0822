//===- Autodiff.cpp - append the backward pass ---------------------------===//
//
// Reverse-mode differentiation over straight-line code: walk the ops from the
// loss back to the sources; when an op is reached, all readers of its result
// have been visited, so the gradient of the result is complete, and the op's
// rule gives those of its operands. Gradients of a value with several readers
// add up. Only ops between a source and the loss are visited, so nothing is
// built that dead-code elimination would have to remove, but for contributions
// to a sum that has a better form.
//
// What a rule keeps alive it names by using it: liveness is plain use-def.
//
//===----------------------------------------------------------------------===//

#include "passes/Autodiff.h"

#include "ir/Formula.h"

#include "passes/Names.h"
#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_AUTODIFF
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

namespace {
/// What the readers of a value contribute to its gradient. Contributions are
/// added as they come, but for two kinds whose sum has a better form:
///
///   parts of the value, each read by a slice: one concatenation instead of a
///     sum of tensors of the whole size that are mostly 0
///   products over the batch, of a matrix that several layers or steps read:
///     one product over all of them, which is made in one sweep over the result
class GradientSum {
public:
  void add(OpBuilder &builder, Value part) {
    auto matmul = part.getDefiningOp<MatmulOp>();
    if (auto pad = part.getDefiningOp<PadOp>())
      pads.push_back(pad);
    else if (matmul && matmul.getTransposeA() && !matmul.getTransposeB() &&
             isBatched(matmul.getA()))
      products.push_back(matmul);
    else
      addNow(builder, part);
  }

  /// Call it once, after the last add.
  Value total(OpBuilder &builder) {
    addPads(builder);
    addProducts(builder);
    return sum;
  }

private:
  void addNow(OpBuilder &builder, Value part) {
    sum = sum ? AddOp::create(builder, part.getLoc(), sum, part).getResult()
              : part;
  }
  void addPads(OpBuilder &builder);
  void addProducts(OpBuilder &builder);

  Value sum;
  SmallVector<PadOp> pads;
  SmallVector<MatmulOp> products;
};
} // namespace

/// The ends of the value may be missing, what lies between may not.
void GradientSum::addPads(OpBuilder &builder) {
  SmallVector<PadOp> sorted(pads);
  llvm::stable_sort(sorted,
                    [](PadOp a, PadOp b) { return a.getLow() < b.getLow(); });
  auto size = [](PadOp pad) {
    return static_cast<uint64_t>(
        tensorTypeOf(pad.getX()).getShape()[pad.getAxis()]);
  };
  bool areNeighbours = sorted.size() > 1;
  for (size_t i = 1; i < sorted.size(); ++i)
    areNeighbours &=
        sorted[i].getAxis() == sorted[0].getAxis() &&
        sorted[i].getLow() == sorted[i - 1].getLow() + size(sorted[i - 1]);
  if (!areNeighbours) {
    for (PadOp pad : pads)
      addNow(builder, pad);
    return;
  }
  SmallVector<Value> parts;
  for (PadOp pad : sorted)
    parts.push_back(pad.getX());
  PadOp first = sorted.front(), last = sorted.back();
  Value joined = ConcatenateOp::create(builder, first.getLoc(),
                                       ValueRange(parts), first.getAxis());
  if (first.getLow() > 0 || last.getHigh() > 0)
    joined = PadOp::create(builder, first.getLoc(), joined, first.getAxis(),
                           first.getLow(), last.getHigh());
  addNow(builder, joined);
}

/// The values one after the other along axis 1: a part of a concatenation that
/// has them so, or one of their own.
static Value joined(Formula &f, ArrayRef<Value> values) {
  for (Operation *user : values[0].getUsers()) {
    auto join = dyn_cast<ConcatenateOp>(user);
    if (!join || join.getAxis() != 1)
      continue;
    OperandRange all = join.getInputs();
    size_t first = llvm::find(all, values[0]) - all.begin();
    if (all.size() - first < values.size() ||
        !llvm::equal(all.drop_front(first).take_front(values.size()), values))
      continue;
    auto width = [&](Value value) { return tensorTypeOf(value).getShape()[1]; };
    int64_t start = 0, size = 0;
    for (Value before : all.take_front(first))
      start += width(before);
    for (Value value : values)
      size += width(value);
    return size == width(join.getResult())
               ? join.getResult()
               : SliceOp::create(f.b, f.loc, join, 1, start, size).getResult();
  }
  return ConcatenateOp::create(f.b, f.loc, ValueRange(values), /*axis=*/1);
}

/// sum(i) A_i' B_i: the gradient of a filter of one tap, on images whose pixels
/// are the rows of all A_i.
void GradientSum::addProducts(OpBuilder &builder) {
  constexpr size_t worthwhile = 3;
  if (products.size() < worthwhile) {
    for (MatmulOp product : products)
      addNow(builder, product);
    return;
  }
  Location loc = products[0].getLoc();
  Formula f(builder, loc);
  // In the order of a concatenation of all B_i, if there is one.
  for (Operation *user : products[0].getB().getUsers())
    if (auto join = dyn_cast<ConcatenateOp>(user)) {
      auto place = [&](MatmulOp product) {
        return llvm::find(join.getInputs(), product.getB()) -
               join.getInputs().begin();
      };
      llvm::stable_sort(products, [&](MatmulOp a, MatmulOp b) {
        return place(a) < place(b);
      });
      break;
    }
  const auto count = static_cast<int64_t>(products.size());
  auto image = [&](auto operandOf) {
    SmallVector<Value> parts;
    for (MatmulOp product : products)
      parts.push_back(operandOf(product));
    return f.reshape(joined(f, parts), {ShapedType::kDynamic, 1, count,
                                        tensorTypeOf(parts[0]).getShape()[1]});
  };
  Value x = image([](MatmulOp product) { return product.getA(); });
  Value dy = image([](MatmulOp product) { return product.getB(); });
  ArrayRef<int64_t> shape = tensorTypeOf(products[0].getResult()).getShape();
  Value filter = Conv2dFilterGradientOp::create(
      f.b, loc, x, dy, /*size=*/ArrayRef<int64_t>{1, 1},
      /*strides=*/ArrayRef<int64_t>{1, 1},
      /*dilations=*/ArrayRef<int64_t>{1, 1},
      /*padding=*/ArrayRef<int64_t>{0, 0, 0, 0}, /*groups=*/1);
  addNow(builder, f.reshape(filter, shape));
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

FailureOr<Gradients> sinter::buildBackward(OpBuilder &builder, Block &block,
                                           Value loss, ArrayRef<Value> sources,
                                           unsigned &numRules) {
  // Which values depend on a source? Ops are in topological order.
  llvm::DenseSet<Value> active(sources.begin(), sources.end());
  SmallVector<Operation *> path;
  for (Operation &op : block) {
    if (op.hasTrait<ZeroGradient>())
      continue;
    if (llvm::any_of(op.getOperands(),
                     [&](Value v) { return active.contains(v); })) {
      active.insert(op.result_begin(), op.result_end());
      path.push_back(&op);
    }
  }

  llvm::DenseMap<Value, GradientSum> sums;
  sums[loss].add(builder, scalar(builder, loss.getLoc(), 1));
  Gradients gradients;
  for (Operation *op : llvm::reverse(path)) {
    if (op->getNumResults() != 1 || !sums.contains(op->getResult(0)))
      continue; // the loss does not depend on it
    auto rule = dyn_cast<Differentiable>(op);
    if (!rule) {
      op->emitError("expected an op with a gradient rule between a parameter "
                    "and the loss, got '")
          << op->getName() << "'";
      return failure();
    }
    Value gradient = sums[op->getResult(0)].total(builder);
    gradients[op->getResult(0)] = gradient;
    SmallVector<Value> operandGradients = rule.buildGradient(builder, gradient);
    assert(operandGradients.size() == op->getNumOperands() &&
           "a gradient, or null, for each operand");
    ++numRules;
    for (auto [operand, gradient] :
         llvm::zip_equal(op->getOperands(), operandGradients))
      if (gradient && active.contains(operand))
        sums[operand].add(builder, gradient);
  }
  for (Value source : sources)
    if (auto sum = sums.find(source);
        sum != sums.end() && !gradients.contains(source))
      gradients[source] = sum->second.total(builder);
  return gradients;
}

namespace {
struct Autodiff : sinter::impl::AutodiffBase<Autodiff> {
  void runOnOperation() override {
    ModelOp model = getOperation();
    auto step = model.lookupSymbol<func::FuncOp>(names::trainStep);
    if (!step || !model.getOptimizer())
      return; // compiled for inference or evaluation alone

    SmallVector<Value> sources;
    for (ReadOp read : step.front().getOps<ReadOp>()) {
      auto state = model.lookupSymbol<StateOp>(read.getState());
      if (state.getRole() == Role::Parameter)
        sources.push_back(read);
    }
    Operation *terminator = step.front().getTerminator();
    OpBuilder builder(terminator);
    unsigned rules = 0;
    FailureOr<Gradients> gradients = buildBackward(
        builder, step.front(), terminator->getOperand(0), sources, rules);
    numRules += rules;
    if (failed(gradients))
      return signalPassFailure();

    // A parameter may be read in several places.
    llvm::MapVector<StringAttr, Value> totals;
    for (Value source : sources) {
      auto read = source.getDefiningOp<ReadOp>();
      Value gradient = gradients->lookup(source);
      if (!gradient)
        continue;
      Value &total = totals[read.getStateAttr().getAttr()];
      total = total ? AddOp::create(builder, read.getLoc(), total, gradient)
                          .getResult()
                    : gradient;
    }
    for (auto [name, gradient] : totals)
      UpdateOp::create(builder, model.lookupSymbol(name)->getLoc(),
                       FlatSymbolRefAttr::get(name), gradient);
  }
};
} // namespace
