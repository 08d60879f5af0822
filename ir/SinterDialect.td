//===- SinterDialect.td - what the dialect models, and its attributes ----===//

#ifndef SINTER_DIALECT_TD
#define SINTER_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Sinter_Dialect : Dialect {
  let name = "sinter";
  let cppNamespace = "::sinter";
  let summary = "A neural network and its training step, as values";
  let description = [{
    A `sinter.model` holds named state (parameters, optimizer slots) and
    functions over it. Inside a function everything is a value: ops are pure,
    `sinter.read` gives a state's value at function entry, `sinter.write` says
    what it holds when the function returns.

    **Shapes.** All dimensions are static but one: dimension 0 of a *batched*
    tensor is `?` and stands for the number of samples in this call, the same
    in the whole function, at least 1 and at most the model's `batch_bound`.
    A `?` anywhere else is refused.

    **Types.** f32; i32 for labels and counters.

    **Broadcasting** is NumPy's: shapes align at their last dimension, a
    dimension of 1 (or a missing one) stretches. A batch dimension only
    aligns with a batch dimension.

    **Layout.** Tensors are row-major as printed, unless their type carries
    `#sinter.batch_minor`: then samples are innermost, in vector lanes; or
    `#sinter.filter_blocks`, of transformed filters. Layout never changes what an
    op means.

    **Kinds of op.** *Structure* (model, state, read, write, kernel, yield);
    *primitives*, which code generation emits one by one; *composites*, which
    have a gradient and a reference of their own and expand into primitives
    before code generation.

    What the dialect refuses to model: control flow, dynamic shapes other than
    the batch, aliasing between states.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
}

def Sinter_BatchMinorAttr : AttrDef<Sinter_Dialect, "BatchMinor"> {
  let mnemonic = "batch_minor";
  let summary = "Tensor encoding: samples innermost";
  let description = [{
    A tensor of shape (batch, d1, ..., dk) is stored as (d1, ..., dk, lanes),
    where lanes is `batch_bound` rounded up to whole vectors (16 floats). Lanes
    at and past the number of samples hold unspecified values that no op that
    mixes samples may read.
  }];
}

def Sinter_FilterBlocksAttr : AttrDef<Sinter_Dialect, "FilterBlocks"> {
  let mnemonic = "filter_blocks";
  let summary = "Tensor encoding: the last dimension, filters, in blocks of 16";
  let description = [{
    A tensor of shape (d1, ..., dk, filters) is stored as (filters / 16, d1, ...,
    dk, 16): kernels that go through all of the other dimensions for a few
    filters read memory from front to back. Filters are a multiple of 16.
  }];
}

def Sinter_Role : I32EnumAttr<"Role", "what a state is to training", [
    I32EnumAttrCase<"Parameter", 0, "parameter">,
    I32EnumAttrCase<"Frozen", 1, "frozen">,
    I32EnumAttrCase<"Slot", 2, "slot">,
    I32EnumAttrCase<"Iteration", 3, "iteration">,
    I32EnumAttrCase<"Seed", 4, "seed">,
    I32EnumAttrCase<"Derived", 5, "derived">]> {
  let cppNamespace = "::sinter";
}

def Sinter_Init : I32EnumAttr<"Init", "how a state starts", [
    I32EnumAttrCase<"Constant", 0, "constant">,
    I32EnumAttrCase<"Uniform", 1, "uniform">,
    I32EnumAttrCase<"Normal", 2, "normal">,
    I32EnumAttrCase<"TruncatedNormal", 3, "truncated_normal">,
    I32EnumAttrCase<"Orthogonal", 5, "orthogonal">]> {
  let cppNamespace = "::sinter";
}

def Sinter_KernelKind : I32EnumAttr<"KernelKind", "which loop nest a kernel becomes", [
    I32EnumAttrCase<"Matmul", 0, "matmul">,
    I32EnumAttrCase<"WeightGradient", 1, "weight_gradient">,
    I32EnumAttrCase<"Sweep", 2, "sweep">,
    I32EnumAttrCase<"BatchReduce", 3, "batch_reduce">,
    I32EnumAttrCase<"Relayout", 4, "relayout">,
    I32EnumAttrCase<"Conv", 5, "conv">,
    I32EnumAttrCase<"FilterGradient", 6, "filter_gradient">,
    I32EnumAttrCase<"Scatter", 7, "scatter">,
    I32EnumAttrCase<"WinogradConv", 8, "winograd_conv">,
    I32EnumAttrCase<"WinogradFilter", 9, "winograd_filter">,
    I32EnumAttrCase<"WinogradGradient", 10, "winograd_gradient">,
    I32EnumAttrCase<"BatchMatmul", 11, "batch_matmul">]> {
  let cppNamespace = "::sinter";
}

#endif
