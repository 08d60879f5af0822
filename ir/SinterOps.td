//===- SinterOps.td - the ops, by kind -----------------------------------===//
//
// Each op's description is its formula. Reference implementations (the oracle
// of every test) are in ir/reference/Kernels.cpp, gradient rules in
// SinterGrad.cpp, expansions of composites in SinterExpand.cpp, emission of
// primitives in codegen/.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_OPS_TD
#define SINTER_OPS_TD

include "ir/SinterDialect.td"
include "ir/SinterInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"

class Sinter_Op<string mnemonic, list<Trait> traits = []>
    : Op<Sinter_Dialect, mnemonic, traits>;

def Sinter_Tensor : RankedTensorOf<[F32, I32]>;
def Sinter_F32Tensor : RankedTensorOf<[F32]>;
def Sinter_I32Tensor : RankedTensorOf<[I32]>;
def Sinter_F32Matrix : 2DTensorOf<[F32]>;
def Sinter_F32Image : 4DTensorOf<[F32]>;
def Sinter_F32Vector : AnyTypeOf<[0DTensorOf<[F32]>, 1DTensorOf<[F32]>]>;
def Sinter_I32Scalar : 0DTensorOf<[I32]>;

// An op whose result type follows from operands and attributes.
class Sinter_ValueOp<string mnemonic, list<Trait> traits = []>
    : Sinter_Op<mnemonic, traits # [Pure, InferTypeOpAdaptor]> {
  let results = (outs Sinter_Tensor:$result);
}

defvar Differentiable = DeclareOpInterfaceMethods<Sinter_Differentiable>;
defvar Expandable = DeclareOpInterfaceMethods<Sinter_Expandable>;

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

def Sinter_ModelOp : Sinter_Op<"model", [Sinter_Structure, Symbol, SymbolTable,
    IsolatedFromAbove, NoTerminator, NoRegionArguments, SingleBlock]> {
  let summary = "A network, its state and its functions";
  let description = [{
    `batch_bound` is the largest batch that any function takes.

    At the graph stage the network is the one function `@forward`, and how it
    is trained is declared in `loss`, `optimizer` and `metrics`, dictionaries
    with a `name` and Keras's arguments, all of them present. The train stage
    has `@predict`, `@eval_step` and `@train_step` instead; the fused stage also
    `@prepare`, where there are derived states.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       ConfinedAttr<I64Attr, [IntPositive]>:$batch_bound,
                       OptionalAttr<DictionaryAttr>:$loss,
                       OptionalAttr<DictionaryAttr>:$optimizer,
                       OptionalAttr<ArrayAttr>:$metrics);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `batch_bound` $batch_bound attr-dict-with-keyword $body
  }];
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name,
                                 "int64_t":$batchBound)>];
  // Looks at the ops inside, so it must run after their own verifiers.
  let hasRegionVerifier = 1;
}

def Sinter_StateOp : Sinter_Op<"state", [Sinter_Structure, Symbol,
                                         HasParent<"ModelOp">]> {
  let summary = "A tensor that outlives the call";
  let description = [{
    Starts as `init(a, b)`: constant a; uniform on [a, b); normal with mean a
    and standard deviation b; truncated_normal, the same with values further
    than 2 b from the mean redrawn; orthogonal, standard normal numbers as a
    matrix with the last axis' columns, whose rows (or columns, where these are
    fewer) are then made orthonormal in order, times a. `value`, where given,
    takes their place.

    A derived state is what `@prepare` makes of the others, so that functions
    which use it need not in every call. Its initialiser means nothing: before
    the first use, and after a change of other states, `@prepare` runs.

    `regularizer = {l1, l2}` adds `l1 * sum(|s|) + l2 * sum(s * s)` to the loss.
  }];
  let arguments = (ins Sinter_Role:$role, SymbolNameAttr:$sym_name,
                       TypeAttr:$type, Sinter_Init:$init, F32Attr:$a, F32Attr:$b,
                       OptionalAttr<ElementsAttr>:$value,
                       OptionalAttr<DictionaryAttr>:$regularizer);
  let assemblyFormat = [{
    $role $sym_name `:` $type `=` $init `(` $a `,` $b `)` attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getTensorType() {
      return ::llvm::cast<::mlir::RankedTensorType>(getType());
    }
  }];
}

def Sinter_ReadOp : Sinter_Op<"read", [Sinter_Structure, Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A state's value at function entry";
  let arguments = (ins FlatSymbolRefAttr:$state);
  let results = (outs Sinter_Tensor:$result);
  let assemblyFormat = "$state attr-dict `:` type($result)";
}

def Sinter_WriteOp : Sinter_Op<"write", [Sinter_Structure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The value that a state has when the function returns";
  let description = [{At most one write a state and function. Reads in the
    same function do not see it.}];
  let arguments = (ins FlatSymbolRefAttr:$state, Sinter_Tensor:$value);
  let assemblyFormat = "$state `,` $value attr-dict `:` type($value)";
}

def Sinter_UpdateOp : Sinter_Op<"update", [Sinter_Structure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "One optimizer update of a parameter with its gradient";
  let description = [{Made by differentiation; expanding the optimizer turns it
    into reads, arithmetic and writes.}];
  let arguments = (ins FlatSymbolRefAttr:$state, Sinter_F32Tensor:$gradient);
  let assemblyFormat = "$state `,` $gradient attr-dict `:` type($gradient)";
}

def Sinter_KernelOp : Sinter_Op<"kernel", [Sinter_Structure, SingleBlock,
    NoRegionArguments, RecursiveMemoryEffects]> {
  let summary = "Ops that run as one loop nest";
  let description = [{
    What the region yields is stored to memory; all other values inside live in
    registers. The region uses values of the function directly. `kind` names the
    loop nest. `offsets` is set by planning: results[i] starts at arena byte
    offsets[i]; -1 - j stands for output j of the function, which is written
    where the caller wants it.
  }];
  let arguments = (ins StrAttr:$name, Sinter_KernelKind:$kind,
                       OptionalAttr<DenseI64ArrayAttr>:$offsets);
  let results = (outs Variadic<Sinter_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $kind $name (`->` type($results)^)? attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    YieldOp getYield();
    /// The values of the function that the region uses, each once.
    ::llvm::SmallVector<::mlir::Value> getCaptured();
  }];
}

def Sinter_YieldOp : Sinter_Op<"yield", [Sinter_Structure, Pure, Terminator,
                                         HasParent<"KernelOp">]> {
  let summary = "What a kernel stores";
  let arguments = (ins Variadic<Sinter_Tensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

def Sinter_ConstantOp : Sinter_Op<"constant", [Pure, ConstantLike,
    Sinter_ZeroGradient, AllTypesMatch<["value", "result"]>]> {
  let summary = "A tensor known at compile time";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Sinter_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let builders = [OpBuilder<(ins "float":$value)>];
  let hasFolder = 1;
}

def Sinter_BatchSizeOp : Sinter_ValueOp<"batch_size", [Sinter_ZeroGradient]> {
  let summary = "The number of samples in this call, as f32";
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Sinter_IotaOp : Sinter_Op<"iota", [Pure, Sinter_ZeroGradient]> {
  let summary = "`y[.., i, ..] = i`: each element's place along `axis`";
  let description = [{Of a tensor without a batch; exact up to 2^24.}];
  let arguments = (ins ConfinedAttr<I64Attr, [IntNonNegative]>:$axis);
  let results = (outs Sinter_F32Tensor:$result);
  let assemblyFormat = "`axis` $axis attr-dict `:` type($result)";
  let hasVerifier = 1;
}

class Sinter_RandomOp<string mnemonic, string distribution>
    : Sinter_Op<mnemonic, [Pure, Sinter_ZeroGradient]> {
  let summary = distribution # ", a pure function of seed, step and stream";
  let description = [{
    Philox 4x32-10 with key `seed`. An element of sample n has index f in the last
    of F features and lies in row r, row-major, of the others. Uniform numbers:
    the counter is (r ceil(F / 4) + f / 4, n, step, stream), and the element takes
    word f % 4: (word >> 8) * 2^-24; no row shares a block with the next. Normal
    numbers use counter (r F + f, n, step, stream) and the Box-Muller transform
    `sqrt(-2 log(1 - u0)) * cos(2 pi u1)` of words 0 and 1.
  }];
  let arguments = (ins Sinter_I32Tensor:$seed, Sinter_I32Scalar:$step, I64Attr:$stream);
  let results = (outs Sinter_F32Tensor:$result);
  let assemblyFormat = [{
    $seed `,` $step `stream` $stream attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}
def Sinter_RandomUniformOp
    : Sinter_RandomOp<"random_uniform", "Uniform numbers in [0, 1)">;
def Sinter_RandomNormalOp
    : Sinter_RandomOp<"random_normal", "Standard normal numbers">;

//===----------------------------------------------------------------------===//
// Layers that differ between training and inference
//===----------------------------------------------------------------------===//

class Sinter_ModeDependentOp<string mnemonic, dag extra>
    : Sinter_Op<mnemonic, [Pure, SameOperandsAndResultType,
                           DeclareOpInterfaceMethods<Sinter_ModeDependent>]> {
  let arguments = !con((ins Sinter_F32Tensor:$x), extra);
  let results = (outs Sinter_F32Tensor:$result);
  let assemblyFormat = "$x `stream` $stream attr-dict `:` type($x)";
}

def Sinter_DropoutOp : Sinter_ModeDependentOp<"dropout",
    (ins F32Attr:$rate, I64Attr:$stream)> {
  let summary = "Training: `u < rate ? 0 : x / (1 - rate)`, u uniform in [0, 1); inference: x";
  let description = [{Srivastava et al., "Dropout", 2014, scaled in training as Keras does.}];
  let hasVerifier = 1;
}

def Sinter_GaussianNoiseOp : Sinter_ModeDependentOp<"gaussian_noise",
    (ins F32Attr:$stddev, I64Attr:$stream)> {
  let summary = "Training: `x + stddev * z`, z standard normal; inference: x";
  let hasVerifier = 1;
}

def Sinter_SpatialDropoutOp : Sinter_ModeDependentOp<"spatial_dropout",
    (ins F32Attr:$rate, I64Attr:$stream)> {
  let summary = "Dropout of whole channels: one draw for each sample and channel (the last axis)";
  let description = [{Tompson et al., "Efficient Object Localization", 2015.}];
  let hasVerifier = 1;
}

def Sinter_BatchNormalizationOp : Sinter_Op<"batch_normalization", [Pure,
    DeclareOpInterfaceMethods<Sinter_ModeDependent>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    AllTypesMatch<["x", "result"]>]> {
  let summary = "Training: batch_norm, and the moving statistics follow; inference: normalised with these";
  let description = [{
    Training: `batch_norm(x, gamma, beta)`, and
    `moving = moving * momentum + batch's * (1 - momentum)` for mean and biased
    variance. Inference: `gamma (x - moving_mean) / sqrt(moving_variance + epsilon) + beta`.
    batch_norm's shift is the mean of the batch before: `moving_mean + lag`, where
    training keeps how far the moving mean lags behind in a slot of its own,
    `@moving_mean/lag`, 0 at first. So the shift of the first step is the moving
    mean as it was given, and only there the variance has a relative error of
    about `2^-24 (mean - moving_mean)^2 / variance`.
  }];
  let arguments = (ins Sinter_F32Tensor:$x, Sinter_F32Vector:$gamma, Sinter_F32Vector:$beta,
                       FlatSymbolRefAttr:$moving_mean, FlatSymbolRefAttr:$moving_variance,
                       F32Attr:$momentum, F32Attr:$epsilon);
  let results = (outs Sinter_F32Tensor:$result);
  let assemblyFormat = [{
    $x `,` $gamma `,` $beta `moving` $moving_mean `,` $moving_variance
    `momentum` $momentum `epsilon` $epsilon attr-dict `:` functional-type(operands, $result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Elementwise primitives
//===----------------------------------------------------------------------===//

class Sinter_BinaryOp<string mnemonic, string formula, list<Trait> traits = [],
                      Type type = Sinter_F32Tensor>
    : Sinter_ValueOp<mnemonic, traits # [Sinter_Elementwise]> {
  let summary = "Elementwise `" # formula # "`, with broadcasting";
  let arguments = (ins type:$lhs, type:$rhs);
  let assemblyFormat = [{
    $lhs `,` $rhs attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_AddOp : Sinter_BinaryOp<"add", "a + b", [Commutative, Differentiable], Sinter_Tensor> {
  let hasFolder = 1;
}
def Sinter_SubOp : Sinter_BinaryOp<"sub", "a - b", [Differentiable]> {
  let hasFolder = 1;
}
def Sinter_MulOp : Sinter_BinaryOp<"mul", "a * b", [Commutative, Differentiable]> {
  let hasFolder = 1;
}
def Sinter_DivOp : Sinter_BinaryOp<"div", "a / b", [Differentiable]> {
  let hasFolder = 1;
}
def Sinter_MaximumOp : Sinter_BinaryOp<"maximum", "max(a, b)", [Differentiable]> {
  let description = [{
    NaN if either is NaN. The gradient of a tie goes to the left, so the operands
    do not commute.
  }];
}
def Sinter_MinimumOp : Sinter_BinaryOp<"minimum", "min(a, b)", [Differentiable]> {
  let description = [{
    NaN if either is NaN. The gradient of a tie goes to the left, so the operands
    do not commute.
  }];
}
def Sinter_GreaterOp : Sinter_BinaryOp<"greater", "a > b ? 1.0 : 0.0", [Sinter_ZeroGradient], Sinter_Tensor> {
  let description = [{The result is f32 for any operand type.}];
}
def Sinter_EqualOp : Sinter_BinaryOp<"equal", "a == b ? 1.0 : 0.0", [Commutative, Sinter_ZeroGradient], Sinter_Tensor> {
  let description = [{The result is f32 for any operand type.}];
}

def Sinter_SelectOp : Sinter_ValueOp<"select", [Sinter_Elementwise, Differentiable]> {
  let summary = "Elementwise `p > 0 ? a : b`, with broadcasting";
  let arguments = (ins Sinter_F32Tensor:$condition, Sinter_F32Tensor:$ifPositive, Sinter_F32Tensor:$otherwise);
  let assemblyFormat = [{
    $condition `,` $ifPositive `,` $otherwise attr-dict `:` functional-type(operands, $result)
  }];
}

class Sinter_UnaryOp<string mnemonic, string formula, list<Trait> traits>
    : Sinter_ValueOp<mnemonic, traits # [Sinter_Elementwise]> {
  let summary = "Elementwise `" # formula # "`";
  let arguments = (ins Sinter_F32Tensor:$x);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}

def Sinter_NegOp : Sinter_UnaryOp<"neg", "-x", [Differentiable]>;
def Sinter_AbsOp : Sinter_UnaryOp<"abs", "|x|", [Differentiable]>;
def Sinter_SignOp : Sinter_UnaryOp<"sign", "x > 0 ? 1 : x < 0 ? -1 : 0", [Sinter_ZeroGradient]>;
def Sinter_FloorOp : Sinter_UnaryOp<"floor", "largest integer <= x", [Sinter_ZeroGradient]>;
def Sinter_ExpOp : Sinter_UnaryOp<"exp", "e^x", [Differentiable]>;
def Sinter_Expm1Op : Sinter_UnaryOp<"expm1", "e^x - 1", [Differentiable]>;
def Sinter_LogOp : Sinter_UnaryOp<"log", "ln x", [Differentiable]>;
def Sinter_Log1pOp : Sinter_UnaryOp<"log1p", "ln(1 + x)", [Differentiable]>;
def Sinter_SqrtOp : Sinter_UnaryOp<"sqrt", "sqrt(x)", [Differentiable]>;
def Sinter_CosOp : Sinter_UnaryOp<"cos", "cos(x)", [Differentiable]>;
def Sinter_SinOp : Sinter_UnaryOp<"sin", "sin(x)", [Differentiable]>;
def Sinter_TanhOp : Sinter_UnaryOp<"tanh", "tanh(x)", [Differentiable]>;
def Sinter_ErfOp : Sinter_UnaryOp<"erf", "2/sqrt(pi) * integral of e^(-t^2) from 0 to x", [Differentiable]>;

def Sinter_CastOp : Sinter_Op<"cast", [Pure, Sinter_Elementwise, Sinter_ZeroGradient]> {
  let summary = "An integer tensor as f32, rounded to nearest";
  let arguments = (ins Sinter_I32Tensor:$x);
  let results = (outs Sinter_F32Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def Sinter_OneHotOp : Sinter_ValueOp<"one_hot", [Sinter_ZeroGradient]> {
  let summary = "`y[n, c] = labels[n] == c ? 1 : 0`";
  let arguments = (ins Sinter_I32Tensor:$labels, ConfinedAttr<I64Attr, [IntPositive]>:$classes);
  let assemblyFormat = [{
    $labels `classes` $classes attr-dict `:` functional-type(operands, $result)
  }];
}

//===----------------------------------------------------------------------===//
// Shape primitives
//===----------------------------------------------------------------------===//

def Sinter_ReshapeOp : Sinter_Op<"reshape", [Pure, Differentiable]> {
  let summary = "The same elements in row-major order under another shape; the batch stays";
  let arguments = (ins Sinter_Tensor:$x);
  let results = (outs Sinter_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Sinter_BroadcastOp : Sinter_Op<"broadcast", [Pure, Sinter_Elementwise, Differentiable]> {
  let summary = "Stretches a tensor to the result's shape, by the rule of broadcasting";
  let description = [{An unbatched tensor may become batched: every sample gets a copy.}];
  let arguments = (ins Sinter_F32Tensor:$x);
  let results = (outs Sinter_F32Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Sinter_ConcatenateOp : Sinter_ValueOp<"concatenate", [Sinter_Gathering, Differentiable]> {
  let summary = "Joins batched tensors along a feature axis";
  let arguments = (ins Variadic<Sinter_F32Tensor>:$inputs, ConfinedAttr<I64Attr, [IntPositive]>:$axis);
  let assemblyFormat = [{
    $inputs `axis` $axis attr-dict `:` functional-type($inputs, $result)
  }];
}

def Sinter_SliceOp : Sinter_ValueOp<"slice", [Sinter_Gathering, Differentiable]> {
  let summary = "Elements start .. start + size - 1 of a batched tensor along a feature axis";
  let arguments = (ins Sinter_F32Tensor:$x, ConfinedAttr<I64Attr, [IntPositive]>:$axis,
                       ConfinedAttr<I64Attr, [IntNonNegative]>:$start,
                       ConfinedAttr<I64Attr, [IntPositive]>:$size);
  let assemblyFormat = [{
    $x `axis` $axis `from` $start `size` $size attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_PadOp : Sinter_ValueOp<"pad", [Sinter_Gathering, Differentiable]> {
  let summary = "Adds `low` zeros before and `high` zeros after a batched tensor along a feature axis";
  let arguments = (ins Sinter_F32Tensor:$x, ConfinedAttr<I64Attr, [IntPositive]>:$axis,
                       ConfinedAttr<I64Attr, [IntNonNegative]>:$low,
                       ConfinedAttr<I64Attr, [IntNonNegative]>:$high);
  let assemblyFormat = [{
    $x `axis` $axis `low` $low `high` $high attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_TransposeOp : Sinter_ValueOp<"transpose", [Sinter_Gathering, Differentiable]> {
  let summary = "Axes in another order: axis i of the result is axis `permutation[i]` of the operand";
  let description = [{Of a batched tensor; the batch stays in front.}];
  let arguments = (ins Sinter_F32Tensor:$x, DenseI64ArrayAttr:$permutation);
  let assemblyFormat = [{
    $x `permutation` $permutation attr-dict `:` functional-type(operands, $result)
  }];
  let hasFolder = 1;
}

def Sinter_UpsampleOp : Sinter_ValueOp<"upsample", [Sinter_Gathering, Differentiable]> {
  let summary = "`y[n, h, w, c] = x[n, h / fh, w / fw, c]`: each pixel of an image repeated";
  let arguments = (ins Sinter_F32Image:$x, DenseI64ArrayAttr:$factors);
  let assemblyFormat = [{
    $x `factors` $factors attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_RelayoutOp : Sinter_Op<"relayout", [Pure, Differentiable]> {
  let summary = "The same tensor in the other layout";
  let description = [{Inserted by layout assignment, after differentiation.}];
  let arguments = (ins Sinter_Tensor:$x);
  let results = (outs Sinter_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Reductions and contractions
//===----------------------------------------------------------------------===//

class Sinter_ReduceOp<string mnemonic, string formula>
    : Sinter_ValueOp<mnemonic, [Differentiable]> {
  let summary = formula # " over `axes`, which are dropped, or kept with size 1 under `keep_dims`";
  let description = [{
    Axes ascend. The batch (axis 0 of a batched tensor) goes alone or together with
    all axes up to some other, and cannot be kept.
  }];
  let arguments = (ins Sinter_F32Tensor:$x, DenseI64ArrayAttr:$axes, UnitAttr:$keep_dims);
  let assemblyFormat = [{
    $x `axes` $axes (`keep_dims` $keep_dims^)? attr-dict `:` functional-type(operands, $result)
  }];
}
def Sinter_ReduceSumOp : Sinter_ReduceOp<"reduce_sum", "Sum"> {
  let hasFolder = 1;
}
def Sinter_ReduceMaxOp : Sinter_ReduceOp<"reduce_max", "Maximum"> {
  let description = [{Axes ascend; the batch is not among them. Elements that share the maximum share the gradient.}];
}

def Sinter_ArgMaxOp : Sinter_ValueOp<"argmax", [Sinter_ZeroGradient]> {
  let summary = "Index of the first maximum along the last axis, which is dropped";
  let arguments = (ins Sinter_F32Tensor:$x);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, $result)";
}

def Sinter_MatmulOp : Sinter_ValueOp<"matmul", [Differentiable]> {
  let summary = "Matrix product";
  let description = [{
    `y[i, j] = sum(k) A[i, k] * B[k, j]` where A is `a`, or its transpose under
    `transpose_a`, and B likewise. The batch may be rows of `a` (activations times
    weights) or, with `transpose_a`, contracted away (weight gradients).
    No bias operand: a separate add, so that fusion has one shape to look for.
  }];
  let arguments = (ins Sinter_F32Matrix:$a, Sinter_F32Matrix:$b, UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let assemblyFormat = [{
    $a (`transposed` $transpose_a^)? `,` $b (`transposed` $transpose_b^)? attr-dict
    `:` functional-type(operands, $result)
  }];
}

def Sinter_BatchMatmulOp : Sinter_ValueOp<"batch_matmul", [Differentiable]> {
  let summary = "Matrix products of each sample's own matrices";
  let description = [{
    `y[n, .., i, j] = sum(k) A[n, .., i, k] * B[n, .., k, j]` where A is `a`, or
    `a` with its last two axes exchanged under `transpose_a`, and B likewise. Both
    are batched, of one rank of at least 3. The axes between the batch and the
    matrices broadcast. Products with weights are `matmul`.
  }];
  let arguments = (ins Sinter_F32Tensor:$a, Sinter_F32Tensor:$b, UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let assemblyFormat = [{
    $a (`transposed` $transpose_a^)? `,` $b (`transposed` $transpose_b^)? attr-dict
    `:` functional-type(operands, $result)
  }];
  let extraClassDeclaration = [{
    /// The size of the contracted dimension.
    int64_t getInner();
  }];
}

//===----------------------------------------------------------------------===//
// Tables of rows
//===----------------------------------------------------------------------===//

// Indices are whole numbers in f32, which has all of them up to 2^24.

def Sinter_EmbeddingOp : Sinter_ValueOp<"embedding", [Differentiable]> {
  let summary = "`y[.., d] = table[x[..], d]`: each index's row of a table";
  let description = [{
    An x that is no row's number gives a row of NaN, so that nobody trains on it
    unawares. No gradient flows to x.
  }];
  let arguments = (ins Sinter_F32Tensor:$x, Sinter_F32Matrix:$table);
  let assemblyFormat = [{
    $x `,` $table attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_EmbeddingGradientOp
    : Sinter_ValueOp<"embedding_gradient", [Sinter_NoGradient]> {
  let summary = "embedding's gradient with respect to its table, which has `rows`";
  let description = [{
    `y[v, d] = sum(.. with x[..] == v) dy[.., d]`, added sample by sample, in
    row-major order. What an x that is no row's number takes is left out. There
    is no second derivative.
  }];
  let arguments = (ins Sinter_F32Tensor:$x, Sinter_F32Tensor:$dy,
                       ConfinedAttr<I64Attr, [IntPositive]>:$rows);
  let assemblyFormat = [{
    $x `,` $dy `rows` $rows attr-dict `:` functional-type(operands, $result)
  }];
}

//===----------------------------------------------------------------------===//
// Windows over images
//===----------------------------------------------------------------------===//

// Images are (batch, height, width, channels), filters (height, width, channels
// of a group, filters of all groups), as in Keras. Pairs are (vertical,
// horizontal); padding is (top, bottom, left, right). An axis of `in` pixels
// has `(in + low + high - dilation (size - 1) - 1) / stride + 1` windows,
// rounded down; tap i of window r reads pixel `r stride + i dilation - low`,
// and pixels outside of the image are not there: a convolution takes them as 0,
// pooling leaves them out.
//
// A convolution is a trilinear form of image, filter and result, and each of
// the three ops is its derivative by one of them: they are each other's
// gradients.

def Sinter_Conv2dOp : Sinter_ValueOp<"conv2d", [Differentiable]> {
  let summary = "2-D convolution (cross-correlation) of images with filters";
  let description = [{
    `y[n, r, q, f] = sum(i, j, c) x[n, r sh + i dh - top, q sw + j dw - left, g C + c] * w[i, j, c, f]`
    where C is the filter's channels, F the filters, G the groups and
    `g = f / (F / G)`. A depthwise convolution has one group a channel.
    No bias operand: a separate add, so that fusion has one shape to look for.
  }];
  let arguments = (ins Sinter_F32Image:$x, Sinter_F32Image:$filter,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
                       DenseI64ArrayAttr:$padding,
                       ConfinedAttr<I64Attr, [IntPositive]>:$groups);
  let assemblyFormat = [{
    $x `,` $filter `strides` $strides `dilations` $dilations `padding` $padding
    `groups` $groups attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_Conv2dTransposeOp : Sinter_ValueOp<"conv2d_transpose", [Differentiable]> {
  let summary = "The transpose of conv2d as a linear map of images";
  let description = [{
    `y[n, h, w, g C + c] = sum(i, j, f) x[n, r, q, f] * filter[i, j, c, f]` over all
    i, j, r, q with `h = r sh + i dh - top` and `w = q sw + j dw - left`, and the
    f of group g: conv2d's gradient with respect to its image, and Keras's
    Conv2DTranspose. Images of `size` come out.
  }];
  let arguments = (ins Sinter_F32Image:$x, Sinter_F32Image:$filter,
                       DenseI64ArrayAttr:$size,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
                       DenseI64ArrayAttr:$padding,
                       ConfinedAttr<I64Attr, [IntPositive]>:$groups);
  let assemblyFormat = [{
    $x `,` $filter `size` $size `strides` $strides `dilations` $dilations
    `padding` $padding `groups` $groups attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_Conv2dFilterGradientOp : Sinter_ValueOp<"conv2d_filter_gradient", [Differentiable]> {
  let summary = "conv2d's gradient with respect to its filter";
  let description = [{
    `y[i, j, c, f] = sum(n, r, q) x[n, r sh + i dh - top, q sw + j dw - left, g C + c] * dy[n, r, q, f]`,
    filters of `size`.
  }];
  let arguments = (ins Sinter_F32Image:$x, Sinter_F32Image:$dy,
                       DenseI64ArrayAttr:$size,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
                       DenseI64ArrayAttr:$padding,
                       ConfinedAttr<I64Attr, [IntPositive]>:$groups);
  let assemblyFormat = [{
    $x `,` $dy `size` $size `strides` $strides `dilations` $dilations
    `padding` $padding `groups` $groups attr-dict `:` functional-type(operands, $result)
  }];
}

// Winograd's minimal filtering, F(m x m, 3 x 3), with n = m + 2: n^2 products for
// m^2 pixels instead of 9 m^2 (Lavin and Gray, "Fast Algorithms for Convolutional
// Neural Networks", 2016). The m x m pixels y of a tile come from the n x n
// pixels x under their windows:
//
//   y = A' [(G w G') * (B' x B)] A, summed over channels inside the brackets.
//
// `tile` is m. For 2, 16 products instead of 36:
//
//       | 1   0   0  |        | 1  0 -1  0 |        | 1  1  1  0 |
//   G = | .5  .5  .5 |   B' = | 0  1  1  0 |   A' = | 0  1 -1 -1 |
//       | .5 -.5  .5 |        | 0 -1  1  0 |
//       | 0   0   1  |        | 0  1  0 -1 |
//
// For 4, 36 instead of 144: Toom and Cook's construction with the points 0, +-a,
// +-b and infinity, a = 3/4, b = 3/2. With N = a^2 b^2, K = 2 a^2 (a^2 - b^2) and
// L = 2 b^2 (b^2 - a^2):
//
//       | 1/N  0    0     |        | a^2 b^2    0     -a^2-b^2    0     1  0 |
//       | 1/K  a/K  a^2/K |        |    0   -a b^2      -b^2      a     1  0 |
//   G = | 1/K -a/K  a^2/K |   B' = |    0    a b^2      -b^2     -a     1  0 |
//       | 1/L  b/L  b^2/L |        |    0   -a^2 b      -a^2      b     1  0 |
//       | 1/L -b/L  b^2/L |        |    0    a^2 b      -a^2     -b     1  0 |
//       | 0    0    1     |        |    0   a^2 b^2      0    -a^2-b^2  0  1 |
//
//        | 1   1    1    1    1   0 |
//   A' = | 0   a   -a    b   -b   0 |
//        | 0  a^2  a^2  b^2  b^2  0 |
//        | 0  a^3 -a^3  b^3 -b^3  1 |
//
// These points round half as much as the usual 1 and 2: results of 64 to 512
// channels differ from exact ones by 2.7 times what those of tiles of 2 x 2 do,
// 6e-7 of their root mean square for 64 channels.
//
// Tiles that do not fill the image's lines are not filled up: as many as pixels
// are missing have m - 1 (ir/Winograd.h: WinogradCut). Only the last of m pixels
// has a part in the last row of A, so such tiles have no products there.
//
// The ops split that into what depends on the filter alone and the rest. All are
// made after autodiff, by use-winograd. Results differ from the direct sum's by
// rounding only.

def Sinter_WinogradFilterOp
    : Sinter_ValueOp<"winograd_filter", [Sinter_NoGradient]> {
  let summary = "`u[a, b, c, f] = sum(i, j) G[a, i] G[b, j] w[i, j, c, f]`";
  let description = [{
    If `flipped`, of the filter `w'[i, j, f, c] = w[2 - i, 2 - j, c, f]`, with
    which a convolution of dy is conv2d's gradient with respect to its image. If
    `blocked`, u is stored in `#sinter.filter_blocks`.
  }];
  let arguments = (ins Sinter_F32Image:$filter, I64Attr:$tile,
                       UnitAttr:$flipped, UnitAttr:$blocked);
  let assemblyFormat = [{
    $filter `tile` $tile (`flipped` $flipped^)? (`blocked` $blocked^)? attr-dict
    `:` functional-type(operands, $result)
  }];
}

def Sinter_WinogradFilterAdjointOp
    : Sinter_ValueOp<"winograd_filter_adjoint", [Sinter_NoGradient]> {
  let summary = "`w[i, j, c, f] = sum(a, b) G[a, i] G[b, j] u[a, b, c, f]`";
  let description = [{winograd_filter's transpose as a linear map.}];
  let arguments = (ins Sinter_F32Image:$u);
  let assemblyFormat = "$u attr-dict `:` functional-type(operands, $result)";
}

def Sinter_WinogradConv2dOp
    : Sinter_ValueOp<"winograd_conv2d", [Sinter_NoGradient]> {
  let summary = "conv2d of x with the 3 x 3 filter whose winograd_filter is u";
  let description = [{
    Strides and dilations are 1, one group; padding is 0 to 2 on each side. How
    large tiles are is seen from u.
  }];
  let arguments = (ins Sinter_F32Image:$x, Sinter_F32Image:$u,
                       DenseI64ArrayAttr:$padding);
  let assemblyFormat = [{
    $x `,` $u `padding` $padding attr-dict
    `:` functional-type(operands, $result)
  }];
}

def Sinter_WinogradFilterGradientOp
    : Sinter_ValueOp<"winograd_filter_gradient", [Sinter_NoGradient]> {
  let summary = "winograd_conv2d's gradient with respect to u";
  let description = [{
    `du = sum(tiles) (A dy A') * (B' x B)`, channels times filters; its
    winograd_filter_adjoint is conv2d_filter_gradient.
  }];
  let arguments = (ins Sinter_F32Image:$x, Sinter_F32Image:$dy, I64Attr:$tile,
                       DenseI64ArrayAttr:$padding);
  let assemblyFormat = [{
    $x `,` $dy `tile` $tile `padding` $padding attr-dict
    `:` functional-type(operands, $result)
  }];
}

def Sinter_ScratchOp : Sinter_Op<"scratch", [Pure, Sinter_ZeroGradient]> {
  let summary = "Memory for a kernel's own use while it runs; what it holds means nothing";
  let description = [{
    One row of the result belongs to each task. A kernel yields it, so that it is
    planned like any result; nobody reads it.
  }];
  let results = (outs Sinter_F32Matrix:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

class Sinter_PoolOp<string mnemonic, list<Trait> traits>
    : Sinter_ValueOp<mnemonic, traits # [Sinter_Gathering]> {
  let arguments = (ins Sinter_F32Image:$x, DenseI64ArrayAttr:$window,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$padding);
  let assemblyFormat = [{
    $x `window` $window `strides` $strides `padding` $padding
    attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_MaxPool2dOp : Sinter_PoolOp<"max_pool2d", [Differentiable]> {
  let summary = "The largest pixel of each window, channel by channel";
}
def Sinter_AvgPool2dOp : Sinter_PoolOp<"avg_pool2d", [Differentiable]> {
  let summary = "The mean of each window's pixels that are in the image, channel by channel";
}

def Sinter_MaxPool2dGradientOp
    : Sinter_ValueOp<"max_pool2d_gradient", [Sinter_Gathering, Sinter_NoGradient]> {
  let summary = "max_pool2d's gradient with respect to its image";
  let description = [{
    Each window's dy goes to its maximum, the first one in row-major order where
    several are equal. There is no second derivative.
  }];
  let arguments = (ins Sinter_F32Image:$x, Sinter_F32Image:$dy, DenseI64ArrayAttr:$window,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$padding);
  let assemblyFormat = [{
    $x `,` $dy `window` $window `strides` $strides `padding` $padding
    attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_MaxPool2dGatherOp
    : Sinter_ValueOp<"max_pool2d_gather", [Sinter_Gathering, Sinter_NoGradient]> {
  let summary = "y where max_pool2d finds x's maxima";
  let description = [{
    Of each window, y's pixel at x's maximum, the first one in row-major order
    where several are equal: `sum(max_pool2d_gradient(x, dy) * y) =
    sum(dy * max_pool2d_gather(x, y))`. Made after autodiff, by sum-windows.
  }];
  let arguments = (ins Sinter_F32Image:$x, Sinter_F32Image:$y, DenseI64ArrayAttr:$window,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$padding);
  let assemblyFormat = [{
    $x `,` $y `window` $window `strides` $strides `padding` $padding
    attr-dict `:` functional-type(operands, $result)
  }];
}

def Sinter_AvgPool2dGradientOp
    : Sinter_ValueOp<"avg_pool2d_gradient", [Sinter_Gathering, Differentiable]> {
  let summary = "avg_pool2d's gradient with respect to its image, which has `size`";
  let description = [{Each window's dy is split evenly among its pixels that are in the image.}];
  let arguments = (ins Sinter_F32Image:$dy, DenseI64ArrayAttr:$size,
                       DenseI64ArrayAttr:$window,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$padding);
  let assemblyFormat = [{
    $dy `size` $size `window` $window `strides` $strides `padding` $padding
    attr-dict `:` functional-type(operands, $result)
  }];
}

//===----------------------------------------------------------------------===//
// Composites
//===----------------------------------------------------------------------===//

def Sinter_BatchNormOp : Sinter_ValueOp<"batch_norm", [Differentiable, Expandable]> {
  let summary = "`y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, channel by channel";
  let description = [{
    Ioffe and Szegedy, "Batch Normalization", 2015, as in training: mean and
    (biased) variance are x's own, over all axes but the last. The variance is
    that of x - shift, in one pass: `E[(x - s)^2] - E[x - s]^2`, which loses no
    digits when the shift is near the mean. It changes nothing else, and no
    gradient flows to it.
  }];
  let arguments = (ins Sinter_F32Tensor:$x, Sinter_F32Vector:$gamma, Sinter_F32Vector:$beta,
                       Sinter_F32Vector:$shift, F32Attr:$epsilon);
  let assemblyFormat = [{
    $x `,` $gamma `,` $beta `,` $shift `epsilon` $epsilon attr-dict
    `:` functional-type(operands, $result)
  }];
}

def Sinter_LayerNormOp : Sinter_ValueOp<"layer_norm", [Differentiable, Expandable]> {
  let summary = "`y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, sample by sample";
  let description = [{
    Ba, Kiros and Hinton, "Layer Normalization", 2016. Mean and (biased) variance
    are taken over the last `axes` axes of each sample; gamma and beta have the
    shape of these axes or are scalars.
  }];
  let arguments = (ins Sinter_F32Tensor:$x, Sinter_F32Tensor:$gamma, Sinter_F32Tensor:$beta,
                       ConfinedAttr<I64Attr, [IntPositive]>:$axes, F32Attr:$epsilon);
  let assemblyFormat = [{
    $x `,` $gamma `,` $beta `axes` $axes `epsilon` $epsilon attr-dict
    `:` functional-type(operands, $result)
  }];
}

class Sinter_ActivationOp<string mnemonic, string formula, dag extra = (ins)>
    : Sinter_ValueOp<mnemonic, [Sinter_Elementwise, Differentiable, Expandable]> {
  let summary = "Elementwise `" # formula # "`";
  let arguments = !con((ins Sinter_F32Tensor:$x), extra);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}

def Sinter_ReluOp : Sinter_ActivationOp<"relu", "max(x, 0)">;
def Sinter_LeakyReluOp : Sinter_ActivationOp<"leaky_relu", "x > 0 ? x : alpha x", (ins F32Attr:$alpha)>;
def Sinter_EluOp : Sinter_ActivationOp<"elu", "x > 0 ? x : alpha (e^x - 1)", (ins F32Attr:$alpha)>;
def Sinter_SeluOp : Sinter_ActivationOp<"selu",
    "1.05070098 * (x > 0 ? x : 1.67326324 (e^x - 1))"> {
  let description = [{Klambauer et al., "Self-Normalizing Neural Networks", 2017.}];
}
def Sinter_GeluOp : Sinter_ActivationOp<"gelu",
    "x / 2 * (1 + erf(x / sqrt 2)); approximate: x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))",
    (ins UnitAttr:$approximate)> {
  let description = [{Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.}];
}
def Sinter_SiluOp : Sinter_ActivationOp<"silu", "x / (1 + e^-x)">;
def Sinter_SigmoidOp : Sinter_ActivationOp<"sigmoid", "1 / (1 + e^-x)">;
def Sinter_HardSigmoidOp : Sinter_ActivationOp<"hard_sigmoid", "min(max(x / 6 + 1 / 2, 0), 1)">;
def Sinter_SoftplusOp : Sinter_ActivationOp<"softplus", "ln(1 + e^x)">;

def Sinter_SoftmaxOp : Sinter_ValueOp<"softmax", [Differentiable, Expandable]> {
  let summary = "`y[.., c] = e^(x[.., c] - m) / sum(c') e^(x[.., c'] - m)` over the last axis, m its maximum";
  let arguments = (ins Sinter_F32Tensor:$x);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}

def Sinter_SoftmaxCrossEntropyOp
    : Sinter_ValueOp<"softmax_cross_entropy", [Differentiable, Expandable]> {
  let summary = "`loss[n] = sum(c) -t[n, c] * log softmax(x)[n, c]` for logits x and targets t";
  let description = [{
    Stable for any finite logits: `log softmax(x)[c] = x[c] - m - log(sum(c') e^(x[c'] - m))`.
    No gradient flows to the targets.
  }];
  let arguments = (ins Sinter_F32Matrix:$logits, Sinter_F32Matrix:$targets);
  let assemblyFormat = "$logits `,` $targets attr-dict `:` functional-type(operands, $result)";
}

def Sinter_SigmoidCrossEntropyOp
    : Sinter_ValueOp<"sigmoid_cross_entropy", [Sinter_Elementwise, Differentiable, Expandable]> {
  let summary = "Elementwise `max(x, 0) - x t + log(1 + e^-|x|)`: binary cross-entropy of sigmoid(x) and target t";
  let description = [{No gradient flows to the targets.}];
  let arguments = (ins Sinter_F32Tensor:$logits, Sinter_F32Tensor:$targets);
  let assemblyFormat = "$logits `,` $targets attr-dict `:` functional-type(operands, $result)";
}

#endif
