//===- SplitContractions.cpp - sums in parts, so that weights stay put ---===//
//
// Problem: a dense layer's forward kernel has a task for each few outputs and
// reads all rows of the weights; the kernel that updates the weights has a task
// for each few rows. So with two threads each step carries half of the weights,
// and all inputs, from one core's cache to the other's.
// Idea: where inputs are many and outputs few, forward has a task for each few
// rows, too: each makes a part of the sum of all outputs, and the kernel behind
// adds the parts in order. Whoever updates a row then also reads it; only the
// parts travel.
//
//   y = matmul x, w   ->   p[i] = matmul (pad (slice x)), w  for each part i
//   ... y ...              ... p[0] + p[1] + ... ...
//
// The number of parts depends on shapes alone. A padded slice costs nothing:
// code generation runs over the slice's rows.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

namespace sinter {
#define GEN_PASS_DEF_SPLITCONTRACTIONS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

/// Parts of a sum: as many cores can share the work without sharing rows.
/// Outputs are written and read once for each.
static constexpr int64_t kParts = 4;

/// Multiply-adds below which one core does it alone.
static constexpr int64_t kLeastWork = 1 << 20;

//===----------------------------------------------------------------------===//
// May we?
//===----------------------------------------------------------------------===//

/// The kernel's only contraction, if it multiplies stored activations with a
/// state.
static MatmulOp forwardMatmul(KernelOp kernel) {
  if (kernel.getKind() != KernelKind::Matmul)
    return {};
  auto matmuls = kernel.getBody().front().getOps<MatmulOp>();
  if (!llvm::hasSingleElement(matmuls) ||
      !kernel.getBody().front().getOps<ScratchOp>().empty())
    return {}; // several already, or large enough to be cut in blocks
  MatmulOp matmul = *matmuls.begin();
  Operation *producer = matmul.getA().getDefiningOp();
  bool isStored = !producer || producer->getParentOp() != kernel;
  bool isForward = !matmul.getTransposeA() && !matmul.getTransposeB() &&
                   isBatchMinor(tensorTypeOf(matmul.getA())) &&
                   matmul.getB().getDefiningOp<ReadOp>();
  return isStored && isForward ? matmul : MatmulOp();
}

/// Numbers that cross between cores: parts are written here and read there;
/// otherwise all inputs and half of the weights are.
static bool isWorthwhile(MatmulOp matmul, int64_t batchBound) {
  int64_t inputs = tensorTypeOf(matmul.getA()).getDimSize(1);
  int64_t outputs = tensorTypeOf(matmul.getResult()).getDimSize(1);
  int64_t work = inputs * outputs * batchBound;
  int64_t parts = kParts * outputs * batchBound;
  int64_t saved = inputs * batchBound + inputs * outputs / 2;
  return work >= kLeastWork && 2 * parts <= saved;
}

//===----------------------------------------------------------------------===//
// Do it
//===----------------------------------------------------------------------===//

static std::string nameWithoutMatmul(StringRef name, StringRef replacement) {
  auto [before, after] = name.split("matmul");
  return (before + replacement + after).str();
}

/// The kernel that makes the parts, in front of `kernel`.
static KernelOp createParts(KernelOp kernel, MatmulOp matmul) {
  OpBuilder builder(kernel);
  Location loc = matmul.getLoc();
  auto [name, epilogue] = kernel.getName().split("+");
  SmallVector<Type> types(kParts, matmul.getResult().getType());
  auto parts = KernelOp::create(builder, kernel.getLoc(), types, name,
                                KernelKind::Matmul, nullptr);
  OpBuilder inside = OpBuilder::atBlockEnd(&parts.getBody().emplaceBlock());
  IRMapping mapping;
  inside.clone(*matmul.getB().getDefiningOp(), mapping);
  Value x = matmul.getA(), weights = mapping.lookup(matmul.getB());
  int64_t inputs = tensorTypeOf(x).getDimSize(1);
  SmallVector<Value> sums;
  for (int64_t part = 0; part < kParts; ++part) {
    int64_t low = part * inputs / kParts, high = (part + 1) * inputs / kParts;
    Value slice = SliceOp::create(inside, loc, x, 1, low, high - low);
    Value padded = PadOp::create(inside, loc, slice, 1, low, inputs - high);
    mapping.map(matmul.getA(), padded);
    mapping.map(matmul.getB(), weights);
    sums.push_back(inside.clone(*matmul, mapping)->getResult(0));
  }
  YieldOp::create(inside, loc, sums);
  return parts;
}

static void split(KernelOp kernel, MatmulOp matmul) {
  KernelOp parts = createParts(kernel, matmul);
  OpBuilder builder(kernel);
  auto rest = KernelOp::create(
      builder, kernel.getLoc(), kernel.getResultTypes(),
      nameWithoutMatmul(kernel.getName(), "sum"), KernelKind::Sweep, nullptr);
  rest.getBody().takeBody(kernel.getBody());
  builder.setInsertionPoint(matmul);
  Value sum = parts.getResult(0);
  for (Value part : parts.getResults().drop_front())
    sum = AddOp::create(builder, matmul.getLoc(), sum, part);
  Operation *read = matmul.getB().getDefiningOp();
  matmul.getResult().replaceAllUsesWith(sum);
  matmul.erase();
  if (read->use_empty())
    read->erase();
  kernel.replaceAllUsesWith(rest.getResults());
  kernel.erase();
}

namespace {
struct SplitContractions
    : sinter::impl::SplitContractionsBase<SplitContractions> {
  void runOnOperation() override {
    int64_t batchBound = getOperation().getBatchBound();
    for (auto function : getOperation().getBody().getOps<func::FuncOp>()) {
      llvm::StringSet<> written;
      function.walk([&](WriteOp write) { written.insert(write.getState()); });
      SmallVector<KernelOp> kernels(function.front().getOps<KernelOp>());
      for (KernelOp kernel : kernels) {
        MatmulOp matmul = forwardMatmul(kernel);
        if (!matmul || !isWorthwhile(matmul, batchBound))
          continue;
        auto read = matmul.getB().getDefiningOp<ReadOp>();
        if (!written.contains(read.getState()))
          continue; // nobody changes these weights: every core has a copy
        split(kernel, matmul);
        ++numSplit;
      }
    }
  }
};
} // namespace
