//===- Passes.td - the passes, in the order in which they run ------------===//
//
// The manual: what each pass finds and what it leaves. Pipeline.cpp is the page
// that runs them and says why in this order.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_PASSES_TD
#define SINTER_PASSES_TD

include "mlir/Pass/PassBase.td"

class Sinter_Pass<string name> : Pass<"sinter-" # name, "::sinter::ModelOp"> {
  let dependentDialects = ["::sinter::SinterDialect", "::mlir::func::FuncDialect"];
}

//===----------------------------------------------------------------------===//
// graph -> train
//===----------------------------------------------------------------------===//

def CheckTrainable : Sinter_Pass<"check-trainable"> {
  let summary = "Report everything that would keep the model from training";
  let description = [{
    One error for each: an op on the way from a parameter to the output without
    gradient rule; a parameter that no path connects with the output; a model
    without any trainable parameter. Warns of a loss without optimizer. Changes
    nothing.
  }];
}

def BuildSteps : Sinter_Pass<"build-steps"> {
  let summary = "Write out prediction, evaluation and training as functions";
  let description = [{
    Before: `@forward`, and `loss` and `metrics` declared on the model.
    After:  `@predict`: the network in inference.
            `@eval_step`: that, the loss with its regularisers, the metrics.
            `@train_step`: the same with training's dropout and noise.
    A loss on a softmax or sigmoid takes its operand instead, the logits, which
    is exact where the probabilities have rounded to 0 or 1. A loss with
    `class_weight = [class, weight, ...]` scales the samples of these classes in
    `@train_step`. Without a loss there is only `@predict`.
  }];
}

def Autodiff : Sinter_Pass<"autodiff"> {
  let summary = "Append the backward pass to @train_step";
  let description = [{
    Walks the ops from the loss (the first result) back and asks each for its
    gradient rule; gradients of a value with several readers add up. Those of
    slices that lie side by side are joined instead, and products over the batch
    of a matrix that three or more ops read become one product. Leaves one
    `sinter.update` for each trainable parameter.
  }];
  let statistics = [Statistic<"numRules", "num-rules", "gradient rules applied">];
}

def ExpandOptimizer : Sinter_Pass<"expand-optimizer"> {
  let summary = "Turn updates into arithmetic, slots and writes";
  let description = [{
    Keras 3's formulas: learning-rate schedule, clipping, weight decay, then the
    optimizer's rule. Adds the slots as states and counts the iteration. With
    `variable_learning_rate` the rate is the state "optimizer/learning_rate",
    which is read and never written.
  }];
}

//===----------------------------------------------------------------------===//
// train -> fused
//===----------------------------------------------------------------------===//

def ExpandComposites : Sinter_Pass<"expand-composites"> {
  let summary = "Replace composites by primitives";
  let description = [{See `Expandable`; softmax, gelu, cross-entropies, ...}];
}

def SumWindows : Sinter_Pass<"sum-windows"> {
  let summary = "Sum max_pool2d's gradient over windows instead of pixels";
  let description = [{
    ```
    %g = sinter.max_pool2d_gradient %x, %dy
    %a = sinter.reduce_sum %g          ->    %a = sinter.reduce_sum %dy
    %p = sinter.mul %g, %y                   %m = sinter.max_pool2d_gather %x, %y
    %b = sinter.reduce_sum %p                %p = sinter.mul %dy, %m
                                             %b = sinter.reduce_sum %p
    ```
    %m is made beside the max_pool2d of %x, which compares the pixels anyway.
    Left alone: sums over a part of an image; windows that overlap; a %y that is
    not there yet when %x is pooled, a product with a second reader.
  }];
  let statistics = [Statistic<"numSums", "num-sums", "sums replaced">];
}

def SpecializeSample : Sinter_Pass<"specialize-sample"> {
  let summary = "Add @predict_one, inference on one sample";
  let description = [{
    A copy of `@predict` with the attribute `sinter.one_sample`: it is called
    with a batch of 1 alone. Its values stay row-major, and lanes run along
    channels and units, so that one sample fills them.
    Where convolutions of a multiple of 16 filters are nearly all of the work, and
    batches have less than 16 samples, `@predict` gets the attribute, too, and
    `sinter.batch_bound = 1`: it is compiled into a loop over samples.
    The right matrices of batch_matmul are transposed beforehand where the op
    has them transposed: there, too, lanes run along columns.
    None is made of a `@predict` with an op that has no such form: transposed
    convolutions, products of weights or with transposed weights, random
    numbers, sums over the batch, writes of states.
  }];
}

def FoldNormalization : Sinter_Pass<"fold-normalization"> {
  let summary = "In inference, factors by channel go into the filter";
  let description = [{
    ```
    %y = sinter.conv2d %x, %w          ->    %ws = sinter.mul %w, %s
    %d = sinter.sub %y, %mean                %y = sinter.conv2d %x, %ws
    %n = sinter.mul %d, %s                   %t = sinter.mul (sinter.neg %mean), %s
                                             %n = sinter.add %y, %t
    ```
    In functions that write no state, for conv2d and matmul. Left alone: results
    with a second reader; factors behind an activation.
  }];
  let statistics = [Statistic<"numFolded", "num-folded", "filters that took factors up">];
}

def UseWinograd : Sinter_Pass<"use-winograd"> {
  let summary = "Compute 3 x 3 convolutions with fewer products";
  let description = [{
    conv2d and conv2d_transpose without strides, dilation or groups become
    winograd_filter and winograd_conv2d, conv2d_filter_gradient becomes
    winograd_filter_gradient and winograd_filter_adjoint, where channels and filters are many
    enough that transforms cost less than the products saved, and pixels outside
    of the image, which the direct sum skips, few enough. In a function of one
    sample both are multiples of 16.
  }];
  let statistics = [Statistic<"numConvolutions", "num-convolutions", "convolutions replaced">];
}

def PrepareWeights : Sinter_Pass<"prepare-weights"> {
  let summary = "Compute what depends on states alone once, in @prepare";
  let description = [{
    ```
    @predict:                            ->    @prepare:
      %s = sinter.mul %gamma, %r                 %s = sinter.mul %gamma, %r
      %ws = sinter.mul %w, %s                    %ws = sinter.mul %w, %s
      %y = sinter.conv2d %x, %ws                 sinter.write @"derived/0", %ws
                                               @predict:
                                                 %ws = sinter.read @"derived/0"
                                                 %y = sinter.conv2d %x, %ws
    ```
    In functions that write no state. Each such value that an op with samples
    uses gets a derived state; functions that need the same value share it. Left
    alone: random numbers; views and broadcasts of states, which cost nothing
    where they are used. Where no value is left, no function is made.
  }];
  let statistics = [Statistic<"numDerived", "num-derived", "states derived from others">];
}

def AssignLayout : Sinter_Pass<"assign-layout"> {
  let summary = "Put samples innermost, row-major where a kernel wants it";
  let description = [{
    Batched values become batch-minor: a vector lane is a sample, so channels
    need no padding and reductions over features no shuffles. Row-major stay
    the function's arguments and results, the caller's memory, and the right
    operand of a weight gradient, whose lanes are features. Functions of one
    sample are left alone.
  }];
  let statistics = [Statistic<"numRelayouts", "num-relayouts", "layout changes inserted">];
}

def FuseKernels : Sinter_Pass<"fuse-kernels"> {
  let summary = "Group ops into kernels, one loop nest each";
  let description = [{
    Elementwise ops join the kernel that makes their operand: a matmul's
    epilogue (bias, activation, dropout), a weight gradient's (the whole
    optimizer update, from registers into the state), a sweep's chain with its
    reductions (softmax, loss, metrics), a batch reduction's, a convolution's
    (bias, activation, dropout, and the sums over rows that batch normalisation
    wants), products of computed matrices. These read what a transposition
    before them reads, instead of its result. A value that several kernels read is computed again by each of them
    where that is cheap and needs one stored tensor of its size, as normalisation
    before pooling does.
    Left alone: an op whose fusion would make two kernels wait for each other;
    an op of another shape; a write of a state that a kernel behind still reads.
  }];
  let options = [
    Option<"fuse", "fuse", "bool", "true",
           "false: a kernel each, to compare with; writes join all the same">];
  let statistics = [
    Statistic<"numKernels", "num-kernels", "kernels made">,
    Statistic<"numFused", "num-fused", "ops that joined another op's kernel">,
    Statistic<"numRecomputed", "num-recomputed", "values that every reader computes instead of one storing it">];
}

//===----------------------------------------------------------------------===//
// fused -> planned
//===----------------------------------------------------------------------===//

def SplitContractions : Sinter_Pass<"split-contractions"> {
  let summary = "Sum over a dense layer's many inputs in parts";
  let description = [{
    ```
    kernel matmul {                  ->  kernel matmul {
      %y = matmul %x, %w                   %p0 = matmul (pad (slice %x ...)), %w
      ... %y ...                           ...
    }                                    }
                                         kernel sweep {
                                           %y = add (add %p0, %p1), ...
                                           ... %y ...
                                         }
    ```
    For weights that the function updates: the threads that update a row of the
    weights then also read it in forward, and the row stays in their cache.
    Left alone: layers with too few inputs for their outputs; little work.
  }];
  let statistics = [Statistic<"numSplit", "num-split", "contractions split">];
}

def OrderKernels : Sinter_Pass<"order-kernels"> {
  let summary = "Order kernels so that values die young";
  let description = [{
    A list schedule: of the kernels that are ready, the one that frees most
    memory. Kept if its peak is below that of the order found.
  }];
}

def PlanMemory : Sinter_Pass<"plan-memory"> {
  let summary = "Give every stored intermediate an offset in one arena";
  let description = [{
    An elementwise kernel may write over an operand that dies there; reshapes
    share their operand's bytes. Records arena bytes and lower bound on the
    function: `sinter.arena_bytes`, `sinter.arena_lower_bound`.
    A function whose samples have nothing to do with each other is planned for
    a slice of the batch, `sinter.batch_bound` samples, and compiled into a loop
    over slices, where 64 or more of them fit in a core's own cache (then the
    arena has room for `sinter.slice_places` slices, which may run at the same
    time), or else where its arena exceeds `slice-bytes`.
  }];
  let options = [
    Option<"sliceBytes", "slice-bytes", "int64_t", "4 << 20",
           "a core's share of the last cache">,
    Option<"ownSliceBytes", "own-slice-bytes", "int64_t", "256 << 10",
           "of a core's own cache, beside weights and input">];
  let statistics = [Statistic<"numSliced", "num-sliced", "functions that run slice by slice">];
}

#endif
