"""What `sinter export` writes is ONNX, and computes what `predict` does.

A small spec for each case of each layer of the catalog, with random weights. The
oracle is the trainer itself, which other tests hold against Keras's formulas and
PyTorch. ONNX's own checker sees every file; ONNX Runtime runs them if
scripts/setup --bench has installed it.

    onnx_export.py --table     also prints the largest difference of each case
"""

import json
import os
import re
import shutil
import subprocess
import sys
import unittest
from array import array
from concurrent.futures import ThreadPoolExecutor
from random import Random

import e2e

COUNT = 33  # one more than a trainer's batch
BATCHES = [COUNT, 1, 5]
TOLERANCE = 1e-5
MODULES = os.path.join(e2e.ROOT, "build", "bench", "node", "node_modules")

ACTIVATIONS = [
    "relu", "{relu: {negative_slope: 0.1}}", "leaky_relu", "{elu: {alpha: 0.7}}",
    "selu", "gelu", "{gelu: {approximate: true}}", "silu", "sigmoid",
    "hard_sigmoid", "tanh", "softplus", "softmax", "log_softmax",
    "{celu: {alpha: 0.7}}", "exponential", "{hard_shrink: {threshold: 0.3}}",
    "hard_silu", "hard_tanh", "log_sigmoid", "mish", "relu6",
    "{soft_shrink: {threshold: 0.3}}", "softsign", "{squareplus: {b: 2}}",
    "tanh_shrink", "{relu: {max_value: 0.6}}", "{relu: {threshold: 0.3}}",
    "{relu: {max_value: 0.6, threshold: 0.3, negative_slope: 0.2}}",
    "{relu: {max_value: 0.6, negative_slope: 0.2}}"]

# name: (shape of a sample, layers)
CASES = {
    "flatten": ([3, 4], "flatten"),
    "flatten_channels": ([6, 5, 3], """
        - conv2d: {filters: 4, kernel_size: 3}
        - flatten
        - batch_normalization
        - activation: tanh
        - layer_normalization
        - dense: 7"""),
    "flatten_out": ([6, 5, 3], """
        - conv2d: {filters: 4, kernel_size: 3}
        - flatten"""),
    "flatten_join": ([6, 5, 3], """
        - conv2d: {filters: 4, kernel_size: 3, name: a}
        - flatten: {name: fa}
        - conv2d: {filters: 4, kernel_size: 3, inputs: a, name: b}
        - flatten: {name: fb}
        - conv2d: {filters: 2, kernel_size: 3, inputs: a, name: c}
        - flatten: {name: fc}
        - conv2d: {filters: 4, kernel_size: [1, 3], inputs: c, name: d, padding: same}
        - conv2d: {filters: 4, kernel_size: 1, inputs: d, name: e}
        - flatten: {name: fe}
        - concatenate: {inputs: [fa, fb], name: joined}
        - add: {inputs: [fb, fe], name: sum}
        - concatenate: {inputs: [joined, sum, fc]}
        - dense: 5"""),
    "reshape": ([4, 6], """
        - reshape: [2, 3, -1]
        - conv2d: {filters: 3, kernel_size: 2}
        - reshape: [3, 2]"""),
    "reshape_one_channel": ([36], """
        - reshape: [6, 6, 1]
        - conv2d: {filters: 3, kernel_size: 3, padding: same}
        - max_pooling2d
        - flatten
        - dense: {units: 4, activation: softmax}"""),
    "dense": ([7], "dense: {units: 5, activation: relu}"),
    "dense_no_bias": ([7], "dense: {units: 5, use_bias: false}"),
    "dense_sequence": ([4, 7], "dense: {units: 5, activation: tanh}"),
    "dense_image": ([4, 3, 2], """
        - conv2d: {filters: 3, kernel_size: 2}
        - dense: {units: 5, activation: softmax}"""),
    "parameter": ([4, 3], """
        - parameter: {shape: [4, 3], name: p}
        - add: {inputs: [input, p]}"""),
    "parameter_vector": ([4], """
        - parameter: {shape: [4], name: p}
        - parameter: {shape: [1], name: q, trainable: false}
        - multiply: {inputs: [p, input, q]}"""),
    "parameter_image": ([5, 4, 2], """
        - parameter: {shape: [1, 1, 3], name: p}
        - conv2d: {filters: 3, kernel_size: 2, inputs: input}
        - multiply: {inputs: [p, conv2d], name: product}
        - flatten: {name: flat}
        - parameter: {shape: [36], name: q}
        - subtract: {inputs: [q, flat]}"""),
    "parameter_repeated": ([5, 4, 2], """
        - parameter: {shape: [4, 3, 2], name: p}
        - conv2d: {filters: 2, kernel_size: 2, inputs: p, name: c, padding: same}
        - max_pooling2d: {pool_size: 2, strides: 1, inputs: input, name: m}
        - concatenate: {inputs: [m, p], name: j}
        - conv2d: {filters: 2, kernel_size: 1, name: d, inputs: j}
        - add: {inputs: [c, d], name: sum}
        - parameter: {shape: [2, 2, 2], name: q}
        - max_pooling2d: {pool_size: 2, strides: 2, inputs: sum, name: n, padding: same}
        - maximum: {inputs: [q, n]}"""),
    "lstm": ([7, 3], "lstm: 5"),
    "lstm_sequences": ([7, 3], """
        - lstm: {units: 5, return_sequences: true, use_bias: false}
        - lstm: {units: 4, peepholes: true, activation: softsign}"""),
    "lstm_backwards": ([7, 3],
                       "lstm: {units: 5, return_sequences: true, "
                       "go_backwards: true}"),
    "lstm_state": ([7, 3], """
        - flatten: {name: flat}
        - dense: {units: 5, activation: tanh, name: h}
        - dense: {units: 5, name: c, inputs: flat}
        - lstm: {units: 5, inputs: [input, h, c]}"""),
    "lstm_states": ([7, 3], """
        - lstm: {units: 5, return_state: true, go_backwards: true, name: one}
        - state: {index: 1, inputs: one, name: c}
        - lstm: {units: 5, return_state: true, return_sequences: true,
                 inputs: [input, one, c], name: two}
        - state: {inputs: two, name: h}
        - state: {index: 1, inputs: two, name: d}
        - flatten: {inputs: two, name: steps}
        - concatenate: {inputs: [h, d, steps]}"""),
    "states_both_ways": ([7, 3], """
        - bidirectional: {layer: {lstm: {units: 4, return_state: true,
                                         go_backwards: true}}, name: one}
        - state: {index: 3, inputs: one, name: last}
        - state: {index: 0, inputs: one, name: first}
        - gru: {units: 4, return_state: true, inputs: [input, last], name: two}
        - state: {inputs: two, name: h}
        - concatenate: {inputs: [h, first, one]}"""),
    "masking": ([7, 3], """
        - relu
        - rescaling: {scale: 1.0, offset: 1.0}
        - masking: {mask_value: 1.0}
        - dense: 4
        - flatten"""),
    "gru": ([7, 3], "gru: 5"),
    "gru_reset_first": ([7, 3], """
        - gru: {units: 5, return_sequences: true, reset_after: false}
        - gru: {units: 4, go_backwards: true, activation: relu}"""),
    "cells_with_numbers": ([7, 3], """
        - lstm: {units: 5, return_sequences: true, activation: linear,
                 recurrent_activation: hard_sigmoid}
        - simple_rnn: {units: 4, activation: hard_sigmoid}"""),
    "simple_rnn": ([7, 3], """
        - simple_rnn: {units: 5, return_sequences: true, activation: relu}
        - simple_rnn: {units: 4, go_backwards: true}"""),
    "bidirectional": ([6, 4], """
        - bidirectional: {layer: {lstm: {units: 3, return_sequences: true}}}
        - bidirectional: {layer: {gru: {units: 3, return_sequences: true}},
                          merge_mode: sum}
        - bidirectional: {layer: {lstm: {units: 3, return_sequences: true,
                                         go_backwards: true}}}
        - bidirectional: {layer: {simple_rnn: {units: 2}}, merge_mode: mul}"""),
    "bidirectional_last": ([6, 4], """
        - bidirectional: {layer: {gru: 3}}
        - repeat_vector: 4
        - bidirectional: {layer: {lstm: {units: 3, go_backwards: true}},
                          merge_mode: ave}"""),
    "time_distributed": ([6, 4], """
        - time_distributed: {layer: {dense: {units: 5, activation: softmax}}}
        - time_distributed: {dropout: 0.5}
        - simple_rnn: 3
        - repeat_vector: 2"""),
    "embedding": ([6], "embedding: {input_dim: 20, output_dim: 5}"),
    "embedding_pool": ([6], """
        - embedding: {input_dim: 20, output_dim: 5}
        - conv1d: {filters: 4, kernel_size: 3, activation: relu}
        - global_average_pooling1d
        - dense: 2"""),
    "embedding_shared": ([6], """
        - embedding: {input_dim: 20, output_dim: 6, name: table}
        - flatten: {name: flat}
        - dense: {units: 3, name: numbers, inputs: input}
        - concatenate: {inputs: [flat, numbers]}"""),
    "rescaling": ([3, 4, 2], "rescaling: {scale: 0.25, offset: -0.5}"),
    "relu": ([6], "relu: {negative_slope: 0.2}"),
    "leaky_relu": ([6], "leaky_relu"),
    "elu": ([6], "elu: {alpha: 0.5}"),
    "softmax": ([3, 6], "softmax"),
    "softmax_channels": ([5, 5, 2], """
        - conv2d: {filters: 4, kernel_size: 3}
        - softmax"""),
    "activation_linear": ([6], "activation: linear"),
    "dropout": ([5, 5, 2], """
        - dropout: 0.4
        - conv2d: {filters: 4, kernel_size: 3}
        - dropout: 0.4"""),
    "gaussian_noise": ([6], "gaussian_noise: 0.5"),
    "spatial_dropout1d": ([6, 2], "spatial_dropout1d: 0.5"),
    "spatial_dropout2d": ([6, 2, 3], "spatial_dropout2d: 0.5"),
    "spatial_dropout3d": ([4, 6, 2, 3], "spatial_dropout3d: 0.5"),
    "conv3d": ([4, 5, 6, 3], """
        conv3d: {filters: 4, kernel_size: [2, 3, 1], strides: [1, 2, 1], padding: same, activation: relu}"""),
    "conv3d_dilated": ([5, 6, 5, 4], """
        conv3d: {filters: 2, kernel_size: 2, dilation_rate: [2, 1, 2], groups: 2, use_bias: false}"""),
    "conv3d_explicit": ([4, 5, 6, 2], """
        conv3d: {filters: 3, kernel_size: 3, strides: 2, padding: [[1, 0], [0, 1], [2, 2]]}"""),
    "conv2d_strided_dilated": ([9, 8, 2], """
        conv2d: {filters: 3, kernel_size: 3, strides: 2, dilation_rate: 2}"""),
    "conv3d_transpose": ([3, 4, 2, 3], """
        conv3d_transpose: {filters: 2, kernel_size: 3, strides: 2, padding: same, activation: relu}"""),
    "conv3d_transpose_valid": ([3, 4, 2, 3], """
        conv3d_transpose: {filters: 2, kernel_size: [2, 3, 1], strides: [3, 2, 2]}"""),
    "conv3d_transpose_dilated": ([3, 4, 2, 3], """
        conv3d_transpose: {filters: 2, kernel_size: 2, dilation_rate: [2, 1, 3], padding: 1}"""),
    "max_pooling3d": ([4, 5, 6, 3], """
        max_pooling3d: {pool_size: [2, 3, 2], strides: [1, 2, 2], padding: same}"""),
    "average_pooling3d": ([4, 5, 6, 3], """
        average_pooling3d: {pool_size: 3, strides: 2, padding: same}"""),
    "max_pooling3d_tiled": ([4, 4, 6, 3], "max_pooling3d"),
    "global_max_pooling3d": ([4, 5, 3, 2], "global_max_pooling3d"),
    "global_average_pooling3d": ([4, 5, 3, 2], """
        global_average_pooling3d: {keepdims: true}"""),
    "zero_padding3d": ([4, 3, 2, 2], """
        zero_padding3d: {padding: [[1, 0], [0, 2], [1, 1]]}"""),
    "cropping3d": ([4, 5, 6, 2], """
        cropping3d: {cropping: [[1, 0], [0, 2], [1, 1]]}"""),
    "up_sampling3d": ([4, 3, 2, 2], "up_sampling3d: {size: [1, 2, 3]}"),
    "volumes": ([6, 6, 6, 2], """
        - conv3d: {filters: 4, kernel_size: 3, activation: relu, name: a}
        - batch_normalization
        - max_pooling3d
        - conv3d: {filters: 3, kernel_size: 1, name: b}
        - global_average_pooling3d
        - dense: 3"""),
    "add": ([5, 5, 2], """
        - conv2d: {filters: 3, kernel_size: 3, padding: same, name: a}
        - dense: {units: 3, inputs: input, name: b}
        - global_average_pooling2d: {keepdims: true, inputs: a, name: c}
        - add: {inputs: [a, b, c]}"""),
    "multiply": ([4, 3], """
        - dense: {units: 3, name: a}
        - multiply: {inputs: [input, a, a]}"""),
    "subtract": ([4, 3], """
        - dense: {units: 3, name: a}
        - subtract: {inputs: [a, input]}"""),
    "average": ([4, 3], """
        - dense: {units: 3, name: a}
        - dense: {units: 3, name: b, inputs: input}
        - average: {inputs: [a, b, input]}"""),
    "maximum": ([4, 3], """
        - dense: {units: 3, name: a}
        - maximum: {inputs: [input, a]}"""),
    "minimum": ([4, 3], """
        - dense: {units: 3, name: a}
        - dense: {units: 3, name: b, inputs: input}
        - minimum: {inputs: [input, a, b]}"""),
    "concatenate": ([5, 5, 2], """
        - conv2d: {filters: 3, kernel_size: 3, padding: same, name: a}
        - concatenate: {inputs: [a, input]}"""),
    "concatenate_rows": ([5, 5, 2], """
        - conv2d: {filters: 2, kernel_size: 3, name: a}
        - zero_padding2d: {padding: [0, 1], name: b}
        - concatenate: {inputs: [b, input], axis: 1, name: c}
        - concatenate: {inputs: [c, c], axis: 2}"""),
    "conv1d": ([13, 3], """
        conv1d: {filters: 4, kernel_size: 4, strides: 3, padding: same, activation: relu}"""),
    "conv1d_causal": ([13, 4], """
        conv1d: {filters: 6, kernel_size: 3, dilation_rate: 2, padding: causal, groups: 2}"""),
    "conv2d": ([9, 8, 3], """
        conv2d: {filters: 5, kernel_size: [3, 2], activation: gelu}"""),
    "conv2d_same_strides": ([9, 8, 3], """
        conv2d: {filters: 5, kernel_size: [3, 5], strides: 2, padding: same, use_bias: false}"""),
    "conv2d_dilated_groups": ([9, 8, 4], """
        conv2d: {filters: 6, kernel_size: 3, dilation_rate: [2, 1], padding: same, groups: 2}"""),
    "conv1d_padded": ([13, 3], """
        conv1d: {filters: 4, kernel_size: 4, strides: 2, padding: [3, 1]}"""),
    "conv2d_padded": ([9, 8, 3], """
        conv2d: {filters: 4, kernel_size: 3, strides: 2, padding: [[2, 0], [1, 1]], activation: relu}"""),
    "depthwise_conv2d_padded": ([9, 8, 3], """
        depthwise_conv2d: {kernel_size: 3, padding: [[1, 2], [0, 1]]}"""),
    "conv2d_transpose_explicit": ([5, 4, 3], """
        conv2d_transpose: {filters: 2, kernel_size: 3, strides: 2, padding: [[1, 0], [1, 1]], activation: tanh}"""),
    "conv2d_transpose_explicit_more": ([5, 4, 3], """
        conv2d_transpose: {filters: 2, kernel_size: 4, strides: 3, padding: 1, output_padding: [1, 0]}"""),
    "max_pooling_padded": ([9, 8, 3], """
        - max_pooling2d: {pool_size: 3, strides: 2, padding: [[1, 0], [2, 1]]}"""),
    "average_pooling_padded": ([9, 8, 3], """
        - average_pooling2d: {pool_size: 3, strides: 2, padding: [[1, 0], [2, 1]]}
        - reshape: [20, 3]
        - average_pooling1d: {pool_size: 3, strides: 2, padding: [1, 2]}"""),
    "depthwise_conv2d": ([9, 8, 3], """
        depthwise_conv2d: {kernel_size: 3, strides: 2, padding: same, depth_multiplier: 2}"""),
    "separable_conv2d": ([9, 8, 3], """
        separable_conv2d: {filters: 5, kernel_size: [2, 3], depth_multiplier: 2, activation: silu}"""),
    "conv2d_transpose": ([5, 4, 3], """
        conv2d_transpose: {filters: 2, kernel_size: 3, strides: 2, padding: same, activation: relu}"""),
    "conv2d_transpose_valid": ([5, 4, 3], """
        conv2d_transpose: {filters: 4, kernel_size: [2, 3], strides: [3, 2]}"""),
    "conv2d_transpose_padded": ([5, 4, 3], """
        conv2d_transpose: {filters: 4, kernel_size: 4, strides: 2, padding: same, output_padding: 1, use_bias: false}"""),
    "conv2d_transpose_dilated": ([5, 4, 3], """
        conv2d_transpose: {filters: 4, kernel_size: 2, dilation_rate: 2}"""),
    "max_pooling1d": ([11, 3], "max_pooling1d: {pool_size: 3, strides: 2, padding: same}"),
    "max_pooling2d": ([9, 8, 3], "max_pooling2d: {pool_size: [3, 2], strides: 2, padding: same}"),
    "average_pooling1d": ([11, 3], "average_pooling1d: {pool_size: 4, strides: 2, padding: same}"),
    "average_pooling2d": ([9, 8, 3], """
        - average_pooling2d: {pool_size: 3, strides: 2, padding: same}
        - average_pooling2d"""),
    "global_max_pooling1d": ([11, 3], "global_max_pooling1d"),
    "global_max_pooling2d": ([5, 4, 3], """
        - conv2d: {filters: 4, kernel_size: 2}
        - global_max_pooling2d"""),
    "global_average_pooling1d": ([11, 3], "global_average_pooling1d: {keepdims: true}"),
    "global_average_pooling2d": ([5, 4, 3], "global_average_pooling2d"),
    "squeeze": ([5, 4, 3], """
        - conv2d: {filters: 4, kernel_size: 2, name: a}
        - global_average_pooling2d
        - reshape: [1, 1, 4]
        - conv2d: {filters: 4, kernel_size: 1, activation: sigmoid, name: b}
        - multiply: {inputs: [a, b]}"""),
    "zero_padding1d": ([4, 3], "zero_padding1d: [1, 2]"),
    "zero_padding2d": ([4, 3, 2], """
        - zero_padding2d: {padding: [[1, 0], [2, 3]]}
        - conv2d: {filters: 2, kernel_size: 2}
        - zero_padding2d: {padding: [[0, 1], [3, 2]]}"""),
    "cropping1d": ([8, 3], "cropping1d: [1, 2]"),
    "cropping2d": ([8, 9, 3], """
        - cropping2d: {cropping: [[1, 0], [2, 1]]}
        - conv2d: {filters: 2, kernel_size: 2}
        - cropping2d: {cropping: [[0, 1], [1, 2]]}"""),
    "up_sampling1d": ([4, 3], "up_sampling1d: 3"),
    "up_sampling2d": ([4, 3, 2], """
        - up_sampling2d: [2, 3]
        - conv2d: {filters: 2, kernel_size: 2}
        - up_sampling2d: [3, 2]"""),
    "permute": ([4, 3, 2], """
        - permute: [2, 3, 1]
        - conv2d: {filters: 2, kernel_size: 2}
        - permute: [3, 1, 2]
        - dense: 3"""),
    "batch_normalization": ([4, 3, 5], """
        - batch_normalization
        - conv2d: {filters: 4, kernel_size: 2}
        - batch_normalization: {epsilon: 0.01, scale: false}"""),
    "batch_normalization_vectors": ([6], """
        - batch_normalization: {center: false}
        - dense: 4
        - batch_normalization: {trainable: false}"""),
    "layer_normalization": ([4, 6], """
        - layer_normalization
        - layer_normalization: {axis: [-2, -1], scale: false, epsilon: 0.01}"""),
    "layer_normalization_image": ([5, 4, 3], """
        - conv2d: {filters: 4, kernel_size: 2}
        - layer_normalization: {center: false}"""),
}
for i, activation in enumerate(ACTIVATIONS):
    CASES[f"activation_{re.search('[a-z_0-9]+', activation)[0]}_{i}"] = (
        [9], f"activation: {activation}")


def operations(shape, head, rows):
    """A case that joins operations, each a line of its own."""
    names = [f"y{i}" for i in range(len(rows))]
    lines = list(head)
    for name, (layer, inputs, *arguments) in zip(names, rows):
        given = ", ".join([*arguments, f"inputs: {inputs}", f"name: {name}_raw"])
        lines += [f"{layer}: {{{given}}}", f"flatten: {{name: {name}}}"]
    lines.append(f"concatenate: {{inputs: [{', '.join(names)}]}}")
    return shape, "\n" + "\n".join(f"        - {line}" for line in lines)


# p is in (0, 1), q above 1, r and s are whole numbers, s above 0.
OPERANDS = ["activation: {activation: sigmoid, name: p}",
            "rescaling: {scale: 1.0, offset: 1.5, inputs: p, name: q}",
            "round: {inputs: input, name: r}",
            "rescaling: {scale: 1.0, offset: 3.0, inputs: r, name: s}"]
CASES["operations_unary"] = operations([3, 2], OPERANDS, [
    *((layer, "input") for layer in (
        "absolute arcsinh arctan ceil cos cosh erf exp expm1 floor isinf isnan "
        "negative round sign sin sinh square trunc").split()),
    *((layer, "p") for layer in (
        "arccos arcsin arctanh log log1p reciprocal rsqrt sqrt tan").split()),
    ("arccosh", "q"), ("logical_not", "r"), ("negative", "s")])
CASES["operations_binary"] = operations([3, 2], OPERANDS, [
    *((layer, "[r, s]") for layer in (
        "equal greater_equal less_equal logical_and logical_or logical_xor "
        "not_equal").split()),
    *((layer, "[input, s]") for layer in
      "divide floor_divide greater less mod".split()),
    ("power", "[q, input]"), ("where", "[r, input, p]")])
CASES["operations_reductions"] = operations([3, 4, 2], [
    "conv2d: {filters: 3, kernel_size: 2, name: x}"], [
    *((layer, "x", "axis: [1]") for layer in
      "logsumexp max mean min prod sum".split()),
    ("sum", "x", "axis: [-1, 2]", "keepdims: true"), ("mean", "x"),
    ("argmax", "input", "axis: 2"), ("argmin", "input", "axis: -1", "keepdims: true"),
    ("slice", "x", "start_indices: [1, 0, 1]", "shape: [1, 2, 2]")])

CASES["dot"] = [4, 6], """
        - dense: {units: 6, name: a}
        - dense: {units: 5, inputs: input, name: b}
        - dot: {axes: [2, 2], normalize: true, inputs: [input, a], name: c}
        - dot: {axes: 1, inputs: [c, b]}
        - flatten: {name: d}
        - dense: {units: 20, name: e}
        - dot: {axes: -1, inputs: [d, e]}"""
CASES["matmul"] = [2, 4, 6], """
        - dense: {units: 4, name: a}
        - matmul: {inputs: [a, input], name: b}
        - reshape: {target_shape: [1, 6, 8]}
        - matmul: {inputs: [b, reshape]}"""
CASES["matmul_ranks"] = [2, 4, 6], """
        - reshape: {target_shape: [6, 8], name: a}
        - matmul: {inputs: [input, a], name: b}
        - reshape: {target_shape: [12, 4], inputs: input, name: c}
        - matmul: {inputs: [c, b], name: d}
        - flatten: {inputs: input, name: e}
        - dense: {units: 8, name: f}
        - matmul: {inputs: [d, f], name: g}
        - dense: {units: 12, inputs: e, name: h}
        - matmul: {inputs: [h, d], name: i}
        - concatenate: {inputs: [g, i]}"""
CASES["attention"] = [4, 6], """
        - dense: {units: 6, name: a}
        - attention: {inputs: [input, a], name: b}
        - attention: {use_scale: true, use_causal_mask: true, inputs: [b, a, input]}
        - attention: {score_mode: concat, inputs: [attention, b]}
        - attention: {score_mode: concat, use_scale: true, dropout: 0.3,
                      inputs: [attention_1, b]}"""
CASES["additive_attention"] = [4, 6], """
        - dense: {units: 6, name: a}
        - additive_attention: {inputs: [input, a], name: b}
        - additive_attention: {use_scale: false, use_causal_mask: true, inputs: [b, a]}"""
CASES["multi_head_attention"] = [4, 6], """
        - multi_head_attention: {num_heads: 2, key_dim: 3, name: a}
        - conv1d: {filters: 5, kernel_size: 2, name: b}
        - multi_head_attention: {num_heads: 3, key_dim: 4, value_dim: 2, dropout: 0.2,
                                 output_shape: 7, inputs: [input, b], name: c}"""
CASES["multi_head_attention_causal"] = [4, 6], """
        - dense: {units: 3, name: a}
        - multi_head_attention: {num_heads: 1, key_dim: 4, use_bias: false,
                                 use_causal_mask: true, inputs: [a, input, input]}"""
CASES["multi_head_attention_image"] = [3, 2, 6], """
        - conv2d: {filters: 4, kernel_size: 2, name: a}
        - multi_head_attention: {num_heads: 2, key_dim: 3, inputs: [input, a],
                                 output_shape: [2, 3]}
        - flatten"""

SAMPLES = ["fashion_mlp", "sign_cnn", "cifar_resnet"]


def spec_of(name):
    shape, layers = CASES[name]
    layers = layers.strip("\n")
    if "\n" not in layers and not layers.lstrip().startswith("-"):
        layers = "- " + layers.lstrip()
    if not re.search("dense|conv|_normalization|embedding|parameter|attention",
                     layers):
        # A trainer has to have something to train.
        indent = re.match(" *", layers)[0]
        layers += f"\n{indent}- dense: {{units: 5, name: behind}}"
    return (f"model: {name}\ninput: {{shape: {shape}}}\nlayers:\n{layers}\n"
            "loss: mean_squared_error\noptimizer: sgd\n")


def states(spec):
    """{name: shape} of a spec's weights."""
    text = e2e.run(e2e.tool("sinter"), "dump", spec, "--stage", "graph")
    found = re.findall(r'sinter\.state (?:parameter|frozen) @"([^"]+)" : '
                       r"tensor<([0-9x]*)f32>", text)
    return {name: tuple(map(int, re.findall("[0-9]+", shape)))
            for name, shape in found}


def write_weights(path, spec, random):
    tensors = {}
    for name, shape in states(spec).items():
        kind, size = name.split("/")[1], e2e.product(shape)
        reach = (3 / max(e2e.product(shape[:-1]), 1)) ** 0.5
        low, high = {"moving_variance": (0.5, 2), "gamma": (0.5, 1.5),
                     "embeddings": (-1, 1), "beta": (-0.5, 0.5),
                     "bias": (-0.5, 0.5), "value": (-2, 2), "moving_mean": (-0.5, 0.5),
                     "depthwise_kernel": (-0.6, 0.6)}.get(kind, (-reach, reach))
        tensors[name] = (shape, [random.uniform(low, high)
                                 for _ in range(size)])
    return e2e.write_safetensors(path, tensors)


def export(spec, weights, output, *flags, status=0):
    e2e.run(e2e.tool("sinter"), "export", "--spec", spec, "--weights", weights,
            "-o", output, *flags, status=status)
    return output


def check(files):
    """Runs ONNX's checker; what is in each file."""
    lines = e2e.run(e2e.tool("onnx_check"), *files).splitlines()
    return [json.loads(line) for line in lines]


class Model:
    """A spec, with random weights and inputs, as trainer and as ONNX."""

    def __init__(self, name, spec, shape, numbers=None):
        random = Random(name)
        self.name, self.shape = name, shape
        self.trainer = e2e.Trainer(spec, name)
        self.weights = write_weights(e2e.scratch(name + ".safetensors"),
                                     self.trainer.spec, random)
        self.onnx = export(self.trainer.spec, self.weights,
                           e2e.scratch(name + ".onnx"))
        size = COUNT * e2e.product(shape)
        if numbers:
            values = [random.randrange(numbers) for _ in range(size)]
        else:
            values = [random.uniform(-2, 2) for _ in range(size)]
        self.raw = e2e.scratch(name + ".raw")
        with open(self.raw, "wb") as file:
            array("f", values).tofile(file)
        inputs = e2e.write_npy(e2e.scratch(name + ".npy"), (COUNT, *shape),
                               values)
        _, self.want = self.trainer.predict(self.weights, inputs)
        one = e2e.write_npy(e2e.scratch(name + ".one.npy"), (1, *shape),
                            values[:e2e.product(shape)])
        _, self.alone = self.trainer.predict(self.weights, one)
        os.remove(self.trainer.path)
        self.inputs = inputs

    def job(self, type):
        return {"model": self.onnx, "input": self.raw, "name": "input",
                "sample": self.shape, "type": type, "batches": BATCHES,
                "output": self.onnx + ".out"}

    def imported(self):
        """What `sinter import` makes of the file: the spec's text, the weights,
        and the largest difference of its predictions."""
        folder = e2e.scratch(self.name + ".imported")
        e2e.run(e2e.tool("sinter"), "import", self.onnx, "-o", folder)
        spec = folder + "/spec.yaml"
        weights = folder + "/weights.safetensors"
        if not os.path.exists(weights):
            weights = e2e.write_safetensors(weights, {})
        trainer = e2e.Trainer(spec, self.name + ".again")
        _, got = trainer.predict(weights, self.inputs)
        os.remove(trainer.path)
        assert len(got) == len(self.want), (self.name, len(got))
        difference = max(abs(a - b) / max(1, abs(b)) if a == a else float("inf")
                         for a, b in zip(got, self.want))
        with open(spec) as file:
            return file.read(), e2e.read_safetensors(weights), difference

    def difference(self):
        """The largest one, relative where a value is above 1."""
        got = array("f")
        with open(self.onnx + ".out", "rb") as file:
            got.frombytes(file.read())
        width = len(self.want) // COUNT
        want = [v for count in BATCHES for v in
                (self.alone if count == 1 else self.want[:count * width])]
        assert len(got) == len(want), (self.name, len(got), len(want))
        return max(abs(a - b) / max(1, abs(b)) if a == a else float("inf")
                   for a, b in zip(got, want))


def runtime_or_skip():
    if not shutil.which("node"):
        raise unittest.SkipTest("no node, which ONNX Runtime needs here")
    if not os.path.isdir(os.path.join(MODULES, "onnxruntime-node")):
        raise unittest.SkipTest(
            f"no onnxruntime-node in {MODULES} (scripts/setup --bench)")


def differences(models, contents):
    """By ONNX Runtime: {model's name: difference}."""
    jobs = [model.job("int64" if "INT64" in content["input"][0] else "float32")
            for model, content in zip(models, contents)]
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "onnx_run.js")
    lines = e2e.run("node", script, MODULES, stdin=json.dumps(jobs))
    result = {}
    for model, line in zip(models, map(json.loads, lines.splitlines())):
        if "error" in line:
            raise e2e.Failed(f"{model.name}: {line['error']}")
        assert [s[0] for s in line["shapes"]] == BATCHES, line
        result[model.name] = model.difference()
    assert len(result) == len(models), lines
    return result


def print_table(figures):
    if "--table" in TABLE:
        for name, value in figures.items():
            print(f"  {name:30} {value:.1e}")


class Layers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        def make(name):
            numbers = 20 if name.startswith("embedding") else None
            return Model(name, spec_of(name), CASES[name][0], numbers)
        with ThreadPoolExecutor(2) as pool:
            cls.models = list(pool.map(make, CASES))
        cls.contents = check([model.onnx for model in cls.models])
        cls.content = dict(zip(CASES, cls.contents))

    def test_all_layers_have_a_case(self):
        catalog = e2e.run(e2e.tool("sinter"), "catalog")
        def names(section):
            text = catalog.split(f"\n## {section}\n")[1].split("\n## ")[0]
            return set(re.findall(r"^`([a-z0-9_]+)`", text, re.M))
        text = "\n".join(spec_of(name) for name in CASES)
        used = set(re.findall(r"^\s*- ([a-z0-9_]+)", text, re.M))
        self.assertEqual(names("Layers") - {"input"} - used, set())
        used = set(re.findall(r"activation: \{?([a-z_0-9]+)", text))
        self.assertEqual(names("Activations") - used, set())

    def test_checked(self):
        # The checker has passed all; what it does not know of:
        for name, content in self.content.items():
            self.assertEqual((content["ir"], content["opset"],
                              content["producer"]), (8, 17, "sinter"))
            self.assertEqual(len(content["input"]), 1)
            shape = " ".join(map(str, CASES[name][0]))
            kind = "INT64" if name in ("embedding", "embedding_pool") \
                else "FLOAT"
            self.assertEqual(content["input"], [f"input {kind} N {shape}"])
            for part in ("nodes", "results", "initializers"):
                names = [n for n in content[part] if n]  # left out: ""
                self.assertEqual(len(names), len(set(names)), name)
        self.assertEqual(self.content["dense"]["initializers"],
                         ["dense/kernel", "dense/bias"])
        self.assertEqual(self.content["dense"]["output"], ["dense FLOAT N 5"])

    def test_layouts(self):
        """Transpositions where layouts meet, and nowhere else."""
        for name, count in {
                "dense": 0, "dense_sequence": 0, "flatten_channels": 1,
                "flatten_join": 5, "reshape_one_channel": 0, "squeeze": 2,
                "add": 3, "concatenate": 2, "embedding_pool": 1,
                "global_average_pooling2d": 0, "global_max_pooling2d": 1,
                "softmax_channels": 2, "up_sampling1d": 0, "cropping1d": 0,
                "permute": 2, "parameter": 0, "parameter_vector": 0,
                "parameter_image": 2, "batch_normalization": 2}.items():
            ops = self.content[name]["ops"]
            self.assertEqual(ops.count("Transpose"), count, f"{name}: {ops}")

    def test_same_bytes(self):
        model = self.models[list(CASES).index("flatten_join")]
        with open(model.onnx, "rb") as first:
            bytes = first.read()
        again = export(model.trainer.spec, model.weights,
                       e2e.scratch("again.onnx"))
        with open(again, "rb") as second:
            self.assertEqual(bytes, second.read())

    # Their weights come back in another form, or another order.
    CHANGED = ("flatten_channels", "flatten_join", "reshape_one_channel",
               "parameter_image", "separable_conv2d",
               # a product and a sum
               "batch_normalization",
               # a factor that is one number
               "parameter_vector",
               # gamma and beta that the layer did not have
               "batch_normalization_vectors", "layer_normalization",
               # ONNX's first direction walks forward
               "bidirectional", "bidirectional_last", "states_both_ways",
               # a value to compare with
               "masking",
               # layers of their parts
               "dot", "attention", "additive_attention",
               "multi_head_attention", "multi_head_attention_causal",
               "multi_head_attention_image",
               # limits are parameters that are not trained
               "activation_relu_28",
               "activation_relu_29")

    def test_comes_back(self):
        with ThreadPoolExecutor(2) as pool:
            back = list(pool.map(Model.imported, self.models))
        figures = {}
        for model, (spec, weights, difference) in zip(self.models, back):
            with self.subTest(model.name):
                self.assertLess(difference, TOLERANCE)
                figures[model.name] = difference
                if model.name not in self.CHANGED:
                    wanted = e2e.read_safetensors(model.weights)
                    self.assertEqual(sorted(weights), sorted(wanted))
                    self.assertEqual(weights, wanted)  # every bit
        print_table(figures)
        worst = max(figures, key=figures.get)
        print(f"{len(figures)} cases, {figures[worst]:.1e} in {worst}",
              end=" ... ")

    def test_keras_has_no_operations(self):
        model = self.models[list(CASES).index("operations_binary")]
        for ending in ("keras", "h5"):
            output = e2e.scratch("operations." + ending)
            export(model.trainer.spec, model.weights, output, status=1)
            self.assertFalse(os.path.exists(output))

    def test_runtime(self):
        runtime_or_skip()
        figures = differences(self.models, self.contents)
        print_table(figures)
        worst = max(figures, key=figures.get)
        print(f"{len(figures)} cases, {figures[worst]:.1e} in {worst}",
              end=" ... ")
        for name, value in figures.items():
            self.assertLess(value, TOLERANCE, name)


class Samples(unittest.TestCase):
    def test_samples(self):
        models = []
        for name in SAMPLES:
            with open(e2e.sample(f"{name}/model.yaml")) as file:
                text = file.read()
            shape = json.loads(re.search(r"shape: (\[[^]]*\])", text)[1])
            models.append(Model(name, text, shape, 256))
        contents = check([model.onnx for model in models])
        for content in contents:
            self.assertLessEqual(content["ops"].count("Transpose"), 1)
        runtime_or_skip()
        figures = differences(models, contents)
        print_table(figures)
        for name, value in figures.items():
            print(f"{name} {value:.1e}", end=" ")
            self.assertLess(value, TOLERANCE, name)


class Scale(unittest.TestCase):
    SPEC = """
model: scaled
input: {shape: [4], scale: 1/255, name: pixels}
layers:
  - dense: {units: 3, name: out}
loss: mean_squared_error
optimizer: sgd
"""

    def test_scale(self):
        spec = e2e.write("scaled.yaml", self.SPEC)
        weights = write_weights(e2e.scratch("scaled.safetensors"), spec,
                                Random(3))
        raw, scaled = check([
            export(spec, weights, e2e.scratch("raw.onnx")),
            export(spec, weights, e2e.scratch("scaled.onnx"),
                   "--scaled-input")])
        self.assertEqual(raw["ops"], ["Mul", "Gemm"])
        self.assertEqual(raw["initializers"],
                         ["pixels/scale", "out/kernel", "out/bias"])
        self.assertEqual(scaled["ops"], ["Gemm"])
        self.assertEqual(raw["input"], ["pixels FLOAT N 4"])

    def test_errors(self):
        spec = e2e.write("scaled.yaml", self.SPEC)
        good = {"out/kernel": ((4, 3), [0.5] * 12), "out/bias": ((3,), [0] * 3)}
        weights = e2e.scratch("bad.safetensors")
        output = e2e.scratch("bad.onnx")

        def refuse(tensors, output, status, *words):
            e2e.write_safetensors(weights, tensors)
            done = subprocess.run(
                [e2e.tool("sinter"), "export", "--spec", spec, "--weights",
                 weights, "-o", output], stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, status, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
            self.assertFalse(os.path.exists(output))
        refuse({"out/kernel": good["out/kernel"]}, output, 1, "out/bias")
        refuse({**good, "out/kernel": ((3, 4), [0.5] * 12)}, output, 1,
               "out/kernel", weights)
        refuse(good, e2e.scratch("no/such/folder.onnx"), 3, "no/such/folder")


if __name__ == "__main__":
    TABLE = [word for word in sys.argv if word == "--table"]
    sys.argv = [word for word in sys.argv if word != "--table"]
    e2e.main()
