//===- KernelFrame.cpp - what equal kernels differ in --------------------===//
//
// Types, attributes and names are unique in their context: their addresses
// stand for them. A form is the list of everything that a nest can see of its
// kernel, each list behind its length.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelFrame.h"
#include "codegen/NextSlice.h"
#include "passes/Names.h"
#include "passes/Schedule.h"

using namespace mlir;
using namespace sinter;

static uintptr_t addressOf(const void *unique) {
  return reinterpret_cast<uintptr_t>(unique);
}

template <typename Set, typename Element>
static uintptr_t positionIn(Set &set, const Element &element) {
  set.insert(element);
  return llvm::find(set, element) - set.begin();
}

/// States and tensors count apart; the last bit tells them apart.
uintptr_t KernelFrame::placeOf(StringAttr state) {
  return 2 * positionIn(states, state) + 1;
}

uintptr_t KernelFrame::placeOf(Value tensor) {
  tensor = startOf(tensor);
  if (auto read = tensor.getDefiningOp<ReadOp>())
    return placeOf(read.getStateAttr().getAttr());
  return 2 * positionIn(tensors, tensor);
}

void KernelFrame::describe(Operation &op,
                           llvm::DenseMap<Value, uintptr_t> &numbers) {
  form.push_back(addressOf(op.getName().getAsOpaquePointer()));
  form.push_back(op.getNumOperands());
  for (Value operand : op.getOperands())
    form.push_back(numbers.lookup(operand));
  NamedAttrList attributes(op.getAttrDictionary());
  if (auto random = dyn_cast<RandomUniformOp>(op))
    form.push_back(positionIn(streams, int64_t(random.getStream())));
  else if (auto random = dyn_cast<RandomNormalOp>(op))
    form.push_back(positionIn(streams, int64_t(random.getStream())));
  else if (auto read = dyn_cast<ReadOp>(op))
    form.push_back(placeOf(read.getStateAttr().getAttr()));
  else if (auto write = dyn_cast<WriteOp>(op))
    form.push_back(placeOf(write.getStateAttr().getAttr()));
  if (isa<RandomUniformOp, RandomNormalOp>(op))
    attributes.erase("stream");
  if (isa<ReadOp, WriteOp>(op))
    attributes.erase("state");
  form.push_back(attributes.getAttrs().size());
  for (NamedAttribute attribute : attributes) {
    form.push_back(addressOf(attribute.getName().getAsOpaquePointer()));
    form.push_back(addressOf(attribute.getValue().getAsOpaquePointer()));
  }
  form.push_back(op.getNumResults());
  for (Value result : op.getResults()) {
    form.push_back(addressOf(result.getType().getAsOpaquePointer()));
    numbers.try_emplace(result, numbers.size());
  }
}

KernelFrame::KernelFrame(KernelOp kernel) {
  SmallVector<Value> captured = kernel.getCaptured();
  llvm::DenseMap<Value, uintptr_t> numbers;
  auto function = kernel->getParentOfType<func::FuncOp>();
  form = {static_cast<uintptr_t>(kernel.getKind()),
          function->hasAttr(names::oneSample),
          static_cast<uintptr_t>(batchBoundOf(function)),
          static_cast<uintptr_t>(nextSliceFloats(kernel)), captured.size()};
  for (Value value : captured) {
    numbers.try_emplace(value, numbers.size());
    form.push_back(placeOf(value));
    form.push_back(rowSpacing(value));
    form.push_back(addressOf(value.getType().getAsOpaquePointer()));
  }
  form.push_back(kernel.getNumResults());
  for (Value result : kernel.getResults()) {
    tensors.insert(result);
    form.push_back(rowSpacing(result));
    form.push_back(addressOf(result.getType().getAsOpaquePointer()));
  }
  for (Operation &op : kernel.getBody().front())
    describe(op, numbers);
}
