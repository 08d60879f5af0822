//===- SinterInterfaces.td - what passes ask of an op --------------------===//

#ifndef SINTER_INTERFACES_TD
#define SINTER_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Sinter_Differentiable : OpInterface<"Differentiable"> {
  let cppNamespace = "::sinter";
  let description = [{
    The op has a gradient rule. Rules stand in SinterGrad.cpp, one line of
    mathematics each, and name what they keep alive.
  }];
  let methods = [InterfaceMethod<
    [{Builds the gradient of the loss with respect to each operand, given the
      gradient with respect to the (single) result. A null value means that no
      gradient flows to that operand (labels, for example).}],
    "::llvm::SmallVector<::mlir::Value>", "buildGradient",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Value":$resultGradient)>];
}

def Sinter_Expandable : OpInterface<"Expandable"> {
  let cppNamespace = "::sinter";
  let description = [{
    A composite: the op can be written with other, simpler ops of the dialect.
    Expansions stand in SinterExpand.cpp.
  }];
  let methods = [InterfaceMethod<
    "Builds the same value from simpler ops.", "::mlir::Value", "expand",
    (ins "::mlir::OpBuilder &":$builder)>];
}

def Sinter_ModeDependent : OpInterface<"ModeDependent"> {
  let cppNamespace = "::sinter";
  let description = [{
    The op does one thing in training and another in inference. It stands at
    the graph stage only; building the steps replaces it by one of the two.
  }];
  let methods = [
    InterfaceMethod<
      [{Builds what the op does in training. `seed` (tensor<2xi32>) and `step`
        (tensor<i32>) feed random ops. What it keeps for the next step is a slot
        that it adds to the model.}],
      "::mlir::Value", "buildTraining",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Value":$seed,
           "::mlir::Value":$step)>,
    InterfaceMethod<"Builds what the op does in inference.",
      "::mlir::Value", "buildInference",
      (ins "::mlir::OpBuilder &":$builder)>];
}

// Declared absence of a gradient rule: the result does not vary with the
// operands, or is piecewise constant, so no gradient flows through the op.
def Sinter_ZeroGradient : NativeOpTrait<"ZeroGradient"> {
  let cppNamespace = "::sinter";
}

// result[i] depends on the operands at index i alone (after broadcasting).
def Sinter_Elementwise : NativeOpTrait<"Elementwise"> {
  let cppNamespace = "::sinter";
}

// Declared refusal: the op has no gradient rule, so a model that needs one is
// not trainable.
def Sinter_NoGradient : NativeOpTrait<"NoGradient"> {
  let cppNamespace = "::sinter";
}

// result[i] follows from single elements of the operands, at other indices than
// i: slices, windows, permutations.
def Sinter_Gathering : NativeOpTrait<"Gathering"> {
  let cppNamespace = "::sinter";
}

// Holds the program together; computes nothing.
def Sinter_Structure : NativeOpTrait<"Structure"> {
  let cppNamespace = "::sinter";
}

#endif
