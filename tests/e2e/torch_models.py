"""Random networks train as they do in PyTorch, step by step.

A seed makes a spec and the same network in PyTorch: convolutions of every kind,
pooling, normalisation, residual and joined branches, sequences, embeddings,
penalties. From the same weights both take 20 steps on one batch; every loss must
agree, and for plain gradient descent the moving statistics at the end, too.
PyTorch computes in double precision.

    torch_models.py               some networks, as in the test suite
    torch_models.py --all         50 networks of images, 20 of sequences, 20 of
                                  volumes, 40 recurrent ones
    torch_models.py --model SEED  one of each

Two engines: the reference interpreter runs the train stage in double precision
(1e-6: constants are f32), the compiled trainer trains (1e-4: all is f32). Where
a relu or a maximum changes sides a difference jumps. So where the bound is
missed, PyTorch runs again, in double, from weights that are moved by a few parts
in a million, and as much as it then differs from itself is allowed on top.

Skipped without PyTorch (Debian's python3-torch).
"""

import os
import random
import sys
import unittest

import e2e
import torch_losses
from torch_ops import (Window, torch_avg_pool, torch_conv,
                       torch_conv_transpose, torch_max_pool, torch_normalise)

STEPS = 20
REFERENCE_BOUND = 1e-6
NATIVE_BOUND = 1e-4
MOVED = 4e-6
ACTIVATIONS = {
    "linear": lambda t, x: x,
    "relu": lambda t, x: t.relu(x),
    "tanh": lambda t, x: t.tanh(x),
    "sigmoid": lambda t, x: t.sigmoid(x),
    "elu": lambda t, x: t.nn.functional.elu(x),
    "selu": lambda t, x: t.nn.functional.selu(x),
    "gelu": lambda t, x: t.nn.functional.gelu(x),
    "silu": lambda t, x: t.nn.functional.silu(x),
    "softplus": lambda t, x: t.nn.functional.softplus(x),
    "leaky_relu": lambda t, x: t.nn.functional.leaky_relu(x, 0.2),
}
OPTIMIZERS = (
    ("{sgd: {learning_rate: 0.05}}",
     lambda t, p: t.optim.SGD(p, lr=0.05)),
    ("{sgd: {learning_rate: 0.01, momentum: 0.9}}",
     lambda t, p: t.optim.SGD(p, lr=0.01, momentum=0.9)),
    ("{adam: {learning_rate: 0.001}}",
     lambda t, p: torch_losses.keras_adam(t, p, lr=0.001)),
)


def flow(value):
    """A Python value as YAML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}"
                               for k, v in value.items()) + "}"
    return str(value)


class Network:
    """Layers of a spec and, beside each, a function of PyTorch tensors.

    Tensors are as in Sinter: batch first, channels last.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []       # of the spec
        self.functions = []   # (name, names of inputs, function)
        self.shapes = {}      # of one sample, by layer
        self.weights = {}     # name: (shape, low, high), in Keras's order
        self.frozen = {}      # name: (shape, value)
        self.penalties = []   # (name, factor of the squares)
        self.count = 0
        self.samples = self.pick(4, 7, 16, 19)
        self.classes = self.pick(2, 3, 10)
        self.optimizer = self.pick(*OPTIMIZERS)
        self.make()

    def pick(self, *choices):
        return self.random.choice(choices)

    # ---- Layers

    def layer(self, kind, arguments, shape, function, inputs=None):
        """Adds a layer that reads `inputs`, or the last one; its name."""
        name = f"{kind}_{self.count}"
        self.count += 1
        inputs = inputs or [self.last]
        text = dict(arguments, name=name, inputs=list(inputs))
        self.lines.append(f"  - {kind}: {flow(text)}")
        self.functions.append((name, inputs, function))
        self.shapes[name] = tuple(shape)
        self.last = name
        return name

    def parameter(self, layer, name, shape, low=None, high=None):
        full = f"{layer}/{name}"
        if low is None:
            pixels = e2e.product(shape[:-2])
            high = (6 / (pixels * (shape[-1] + shape[-2]))) ** 0.5
            low = -high
        self.weights[full] = (tuple(shape), low, high)
        return full

    @property
    def next_name(self):
        return str(self.count)

    @property
    def shape(self):
        return self.shapes[self.last]

    def activation(self):
        name = self.pick(*ACTIVATIONS)
        return name, ACTIVATIONS[name]

    def windows(self, taps, strides, dilation, padding):
        made = [Window(pixels, tap, stride, rate,
                       "same" if padding == "same" else (0, 0))
                for pixels, tap, stride, rate in zip(
                    self.shape, taps, strides, dilation)]
        return made if all(w.fits for w in made) else None

    def conv2d(self, filters=None, keep=False):
        taps = self.pick((1, 1), (3, 3), (2, 3), (3, 1), (2, 2))
        strides = (1, 1) if keep else self.pick((1, 1), (1, 1), (2, 2), (1, 2))
        dilation = self.pick((1, 1), (1, 1), (2, 1))
        padding = "same" if keep else self.pick("same", "valid")
        made = self.windows(taps, strides, dilation, padding)
        if not made:
            return self.conv2d(filters, keep)
        v, h = made
        channels = self.shape[2]
        filters = filters or self.pick(3, 4, 6, 8, 17)
        groups = self.pick(1, 1, 1, 2)
        if channels % groups or filters % groups:
            groups = 1
        bias = self.pick(True, True, False)
        activation, function = self.activation()
        name = "conv2d_" + self.next_name
        kernel = self.parameter(name, "kernel",
                                (*taps, channels // groups, filters))
        arguments = {"filters": filters, "kernel_size": taps,
                     "strides": strides, "padding": padding,
                     "dilation_rate": dilation, "groups": groups,
                     "use_bias": bias, "activation": activation}
        if bias:
            self.parameter(name, "bias", (filters,), -0.2, 0.2)
        if self.pick(False, False, True):
            arguments["kernel_regularizer"] = {"l2": 0.01}
            self.penalties.append((kernel, 0.01))

        def run(t, w, x):
            y = torch_conv(t, x, w[kernel], v, h, groups)
            return function(t, y + w[name + "/bias"] if bias else y)
        self.layer("conv2d", arguments, (v.windows, h.windows, filters), run)

    def depthwise_conv2d(self):
        v, h = self.windows((3, 3), (1, 1), (1, 1), "same")
        channels, multiplier = self.shape[2], self.pick(1, 2)
        name = "depthwise_conv2d_" + self.next_name
        kernel = self.parameter(name, "kernel", (3, 3, channels, multiplier),
                                -0.5, 0.5)
        bias = self.parameter(name, "bias", (channels * multiplier,), -.1, .1)
        out = channels * multiplier

        def run(t, w, x):
            filters = w[kernel].reshape(3, 3, 1, out)
            return torch_conv(t, x, filters, v, h, channels) + w[bias]
        self.layer("depthwise_conv2d",
                   {"kernel_size": 3, "padding": "same",
                    "depth_multiplier": multiplier},
                   (v.windows, h.windows, out), run)

    def separable_conv2d(self):
        v, h = self.windows((3, 2), (1, 1), (1, 1), "same")
        point = Window(v.windows, 1), Window(h.windows, 1)
        channels, filters = self.shape[2], self.pick(3, 5, 8)
        name = "separable_conv2d_" + self.next_name
        deep = self.parameter(name, "depthwise_kernel", (3, 2, channels, 1),
                              -0.5, 0.5)
        across = self.parameter(name, "pointwise_kernel",
                                (1, 1, channels, filters))
        bias = self.parameter(name, "bias", (filters,), -0.1, 0.1)

        def run(t, w, x):
            y = torch_conv(t, x, w[deep].reshape(3, 2, 1, channels), v, h,
                           channels)
            return torch_conv(t, y, w[across], *point, 1) + w[bias]
        self.layer("separable_conv2d",
                   {"filters": filters, "kernel_size": [3, 2],
                    "padding": "same"},
                   (v.windows, h.windows, filters), run)

    def conv2d_transpose(self):
        taps, strides = self.pick((3, 3), (2, 2), (1, 2)), self.pick(1, 2)
        padding = self.pick("same", "valid")
        axes = []
        for pixels, tap in zip(self.shape, taps):
            if padding == "same":
                axis = Window(pixels * strides, tap, strides, 1, "same")
            else:
                axis = Window((pixels - 1) * strides + max(tap, strides), tap,
                              strides)
            axes.append(axis)
        v, h = axes
        channels, filters = self.shape[2], self.pick(3, 5)
        name = "conv2d_transpose_" + self.next_name
        kernel = self.parameter(name, "kernel", (*taps, filters, channels))
        bias = self.parameter(name, "bias", (filters,), -0.1, 0.1)
        self.layer("conv2d_transpose",
                   {"filters": filters, "kernel_size": taps,
                    "strides": strides, "padding": padding},
                   (v.pixels, h.pixels, filters),
                   lambda t, w, x: torch_conv_transpose(
                       t, x, w[kernel], v, h, 1) + w[bias])

    def pooling(self):
        kind, function = self.pick(("max_pooling2d", torch_max_pool),
                                   ("average_pooling2d", torch_avg_pool))
        taps = self.pick((2, 2), (2, 2), (3, 3), (2, 1))
        padding = self.pick("same", "valid")
        strides = self.pick(None, (1, 1), (2, 2))
        made = self.windows(taps, strides or taps, (1, 1), padding)
        if not made:
            return
        arguments = {"pool_size": taps, "padding": padding}
        if strides:
            arguments["strides"] = strides
        self.layer(kind, arguments,
                   (made[0].windows, made[1].windows, self.shape[2]),
                   lambda t, w, x: function(t, x, *made))

    def batch_normalization(self):
        channels = self.shape[-1:]
        name = "batch_normalization_" + self.next_name
        gamma = self.parameter(name, "gamma", channels, 0.5, 1.5)
        beta = self.parameter(name, "beta", channels, -0.5, 0.5)
        momentum = self.pick(0.9, 0.99)
        mean, variance = name + "/moving_mean", name + "/moving_variance"
        self.weights[mean] = (channels, 0, 0)
        self.weights[variance] = (channels, 1, 1)
        self.frozen[mean] = self.frozen[variance] = True

        def run(t, w, x):
            axes = tuple(range(x.dim() - 1))
            with t.no_grad():
                for moving, now in ((w[mean], x.mean(axes)),
                                    (w[variance], x.var(axes, False))):
                    moving.mul_(momentum).add_(now, alpha=1 - momentum)
            return torch_normalise(t, x, w[gamma], w[beta], axes, 1e-3)
        self.layer("batch_normalization", {"momentum": momentum}, self.shape,
                   run)

    def layer_normalization(self):
        axes = self.pick((-1,), tuple(range(-len(self.shape), 0)))
        shape = self.shape[axes[0]:]
        name = "layer_normalization_" + self.next_name
        gamma = self.parameter(name, "gamma", shape, 0.5, 1.5)
        beta = self.parameter(name, "beta", shape, -0.5, 0.5)
        self.layer("layer_normalization", {"axis": axes}, self.shape,
                   lambda t, w, x: torch_normalise(t, x, w[gamma], w[beta],
                                                   axes, 1e-3))

    def activate(self):
        name, function = self.activation()
        self.layer("activation", {"activation": name}, self.shape,
                   lambda t, w, x: function(t, x))

    def dropout(self):
        self.layer("dropout", {"rate": 0}, self.shape, lambda t, w, x: x)

    def borders(self):
        height, width, channels = self.shape
        if height > 3 and width > 3 and self.pick(True, False):
            return self.layer(
                "cropping2d", {"cropping": [[1, 0], [0, 2]]},
                (height - 1, width - 2, channels),
                lambda t, w, x: x[:, 1:, :-2])
        return self.layer(
            "zero_padding2d", {"padding": [[0, 1], [2, 0]]},
            (height + 1, width + 2, channels),
            lambda t, w, x: t.nn.functional.pad(x, (0, 0, 2, 0, 0, 1)))

    def up_sampling2d(self):
        height, width, channels = self.shape
        if height * width > 40:
            return
        self.layer("up_sampling2d", {"size": [2, 1]},
                   (2 * height, width, channels),
                   lambda t, w, x: x.repeat_interleave(2, 1))

    def permute(self):
        height, width, channels = self.shape
        self.layer("permute", {"dims": [2, 1, 3]}, (width, height, channels),
                   lambda t, w, x: x.permute(0, 2, 1, 3))

    def rescaling(self):
        self.layer("rescaling", {"scale": 1.5, "offset": -0.25}, self.shape,
                   lambda t, w, x: x * 1.5 - 0.25)

    def dense(self, units, activation="linear"):
        name = "dense_" + self.next_name
        kernel = self.parameter(name, "kernel", (self.shape[-1], units))
        bias = self.parameter(name, "bias", (units,), -0.1, 0.1)
        function = ACTIVATIONS.get(activation, lambda t, x: x)
        self.layer("dense", {"units": units, "activation": activation},
                   (*self.shape[:-1], units),
                   lambda t, w, x: function(t, x @ w[kernel] + w[bias]))

    def residual(self):
        before = self.last
        self.conv2d(filters=self.shape[2], keep=True)
        if self.pick(True, False):
            self.batch_normalization()
        kind, function = self.pick(
            ("add", lambda t, w, a, b: a + b),
            ("add", lambda t, w, a, b: a + b),
            ("multiply", lambda t, w, a, b: a * b),
            ("subtract", lambda t, w, a, b: a - b),
            ("average", lambda t, w, a, b: (a + b) / 2),
            ("maximum", lambda t, w, a, b: t.maximum(a, b)))
        self.layer(kind, {}, self.shape, function, [before, self.last])

    def branches(self):
        before = self.last
        self.conv2d(keep=True)
        left = self.last
        self.last = before
        self.conv2d(keep=True)
        shape = (*self.shape[:2], self.shapes[left][2] + self.shape[2])
        self.layer("concatenate", {}, shape,
                   lambda t, w, a, b: t.cat((a, b), -1), [left, self.last])

    def conv1d(self):
        steps, channels = self.shape
        filters, taps = self.pick(4, 8), self.pick(2, 3)
        padding = self.pick("valid", "same", "causal")
        h = Window(steps, taps, 1, 1, {"valid": (0, 0), "same": "same",
                                       "causal": (taps - 1, 0)}[padding])
        if not h.fits:
            return
        v = Window(1, 1)
        name = "conv1d_" + self.next_name
        kernel = self.parameter(name, "kernel", (taps, channels, filters))
        bias = self.parameter(name, "bias", (filters,), -0.1, 0.1)
        activation, function = self.activation()
        self.layer("conv1d",
                   {"filters": filters, "kernel_size": taps,
                    "padding": padding, "activation": activation},
                   (h.windows, filters),
                   lambda t, w, x: function(t, torch_conv(
                       t, x[:, None], w[kernel][None], v, h, 1)[:, 0]
                       + w[bias]))

    def pooling1d(self):
        steps, channels = self.shape
        if steps < 2:
            return
        kind, function = self.pick(("max_pooling1d", torch_max_pool),
                                   ("average_pooling1d", torch_avg_pool))
        h, v = Window(steps, 2, 2, 1, "same"), Window(1, 1)
        self.layer(kind, {"padding": "same"}, (h.windows, channels),
                   lambda t, w, x: function(t, x[:, None], v, h)[:, 0])

    # ---- The whole

    def make(self):
        self.last = "input"
        height, width = self.pick((6, 6), (7, 5), (8, 8), (9, 4))
        self.shapes["input"] = self.input = (height, width, self.pick(1, 3))
        self.conv2d()
        steps = (self.conv2d, self.conv2d, self.depthwise_conv2d,
                 self.separable_conv2d, self.conv2d_transpose, self.pooling,
                 self.pooling, self.batch_normalization,
                 self.batch_normalization, self.layer_normalization,
                 self.activate, self.dropout, self.borders,
                 self.up_sampling2d, self.permute, self.rescaling,
                 self.residual, self.residual, self.branches,
                 lambda: self.dense(self.pick(3, 6), "tanh"))
        for _ in range(self.random.randrange(3, 8)):
            self.pick(*steps)()
        end = self.pick("flatten", "flatten", "average", "max", "sequence")
        axes = (1, 2)
        if end == "sequence":
            height, width, channels = self.shape
            self.layer("reshape", {"target_shape": [height * width, channels]},
                       (height * width, channels),
                       lambda t, w, x: x.reshape(len(x), height * width, -1))
            self.conv1d()
            self.pooling1d()
            if self.pick(True, False):
                self.batch_normalization()
            end, axes = self.pick("average", "max"), (1,)
        rank = f"{len(axes)}d"
        if end == "average":
            self.layer("global_average_pooling" + rank, {}, self.shape[-1:],
                       lambda t, w, x: x.mean(axes))
        elif end == "max":
            self.layer("global_max_pooling" + rank, {}, self.shape[-1:],
                       lambda t, w, x: x.amax(axes))
        else:
            self.layer("flatten", {}, (e2e.product(self.shape),),
                       lambda t, w, x: x.reshape(len(x), -1))
        if self.pick(True, False):
            self.dense(self.pick(5, 16, 20), "relu")
            if self.pick(True, False):
                self.batch_normalization()
        self.dense(self.classes, "softmax")

    def spec(self):
        lines = "\n".join(self.lines)
        return (f"model: network\ninput: {{shape: {flow(self.input)}}}\n"
                f"layers:\n{lines}\nloss: sparse_categorical_crossentropy\n"
                f"optimizer: {self.optimizer[0]}\n"
                "data:\n  train: {images: images.npy, labels: labels.npy}\n"
                f"train: {{epochs: {STEPS}, batch_size: {self.samples}, "
                "shuffle: false}\n")

    def run(self, torch, weights, x):
        values = {"input": x}
        for name, inputs, function in self.functions:
            values[name] = function(torch, weights,
                                    *[values[i] for i in inputs])
        return values[self.last]  # logits


class Sequences(Network):
    """Whole numbers first, and a table with a row for each."""

    def embedding(self, steps):
        rows, columns = self.vocabulary, self.pick(1, 5, 16, 20)
        name = "embedding_" + self.next_name
        table = self.parameter(name, "embeddings", (rows, columns), -0.5, 0.5)
        arguments = {"input_dim": rows, "output_dim": columns}
        if self.pick(True, False):
            arguments["embeddings_regularizer"] = {"l2": 0.01}
            self.penalties.append((table, 0.01))
        return self.layer(
            "embedding", arguments, (steps, columns),
            lambda t, w, x: t.nn.functional.embedding(x.long(), w[table]),
            ["input"])

    def make(self):
        self.last = "input"
        self.vocabulary = self.pick(2, 11, 40)
        steps = self.pick(1, 6, 21)
        self.shapes["input"] = self.input = (steps,)
        left = self.embedding(steps)
        if self.pick(True, False):
            right = self.embedding(steps)
            shape = (steps, self.shapes[left][1] + self.shapes[right][1])
            self.layer("concatenate", {}, shape,
                       lambda t, w, a, b: t.cat((a, b), -1), [left, right])
        if self.pick(True, False):
            self.conv1d()
        if self.pick(True, False):
            self.layer("flatten", {}, (e2e.product(self.shape),),
                       lambda t, w, x: x.reshape(len(x), -1))
        else:
            self.layer("global_average_pooling1d", {}, self.shape[-1:],
                       lambda t, w, x: x.mean(1))
        self.dense(self.classes, "softmax")


class Volumes(Network):
    """Windows of three axes; depth, height, width."""

    @staticmethod
    def padded(torch, x, windows, value=0.0):
        """Channels first, with what the windows reach beyond."""
        sides = [n for w in reversed(windows)
                 for n in (w.low, max(w.high, 0))]
        return torch.nn.functional.pad(x.permute(0, 4, 1, 2, 3), sides,
                                       value=value)

    @staticmethod
    def attributes(windows, *names):
        return {name: tuple(getattr(w, name) for w in windows)
                for name in names}

    def conv3d(self):
        taps = self.pick((3, 3, 3), (2, 2, 2), (3, 1, 1), (1, 3, 3),
                         (1, 1, 1), (2, 3, 1))
        strides = self.pick((1, 1, 1), (1, 1, 1), (2, 2, 2), (2, 1, 1))
        dilation = self.pick((1, 1, 1), (1, 1, 1), (2, 1, 2), (2, 2, 2))
        padding = self.pick("same", "same", "valid", "numbers")
        sides = [(1, 0), (0, 1), (1, 1)]
        made = [Window(p, n, s, d, "same" if padding == "same" else
                       side if padding == "numbers" else (0, 0))
                for p, n, s, d, side in zip(self.shape, taps, strides,
                                            dilation, sides)]
        if not all(w.fits for w in made):
            return self.conv3d()
        channels, filters = self.shape[3], self.pick(2, 4, 6)
        groups = self.pick(1, 1, 2)
        if channels % groups:
            groups = 1
        name = "conv3d_" + self.next_name
        kernel = self.parameter(name, "kernel",
                                (*taps, channels // groups, filters))
        bias = self.parameter(name, "bias", (filters,), -0.2, 0.2)
        activation, function = self.activation()

        def run(t, w, x):
            y = t.nn.functional.conv3d(
                self.padded(t, x, made), w[kernel].permute(4, 3, 0, 1, 2),
                w[bias], groups=groups,
                **self.attributes(made, "stride", "dilation"))
            return function(t, y.permute(0, 2, 3, 4, 1))
        self.layer("conv3d",
                   {"filters": filters, "kernel_size": taps,
                    "strides": strides, "dilation_rate": dilation,
                    "groups": groups, "activation": activation,
                    "padding": sides if padding == "numbers" else padding},
                   (*(w.windows for w in made), filters), run)

    def conv3d_transpose(self):
        if e2e.product(self.shape[:3]) > 40:
            return
        taps, stride = self.pick((3, 3, 3), (2, 2, 2), (1, 2, 3)), self.pick(
            1, 2)
        padding = self.pick("same", "valid")
        made = [Window(p * stride, n, stride, 1, "same")
                if padding == "same" else
                Window((p - 1) * stride + max(n, stride), n, stride)
                for p, n in zip(self.shape, taps)]
        channels, filters = self.shape[3], self.pick(2, 3)
        name = "conv3d_transpose_" + self.next_name
        kernel = self.parameter(name, "kernel", (*taps, filters, channels))
        bias = self.parameter(name, "bias", (filters,), -0.1, 0.1)

        def run(t, w, x):
            y = t.nn.functional.conv_transpose3d(
                x.permute(0, 4, 1, 2, 3), w[kernel].permute(4, 3, 0, 1, 2),
                stride=stride).permute(0, 2, 3, 4, 1)
            for axis, window in enumerate(made):
                y = y.narrow(axis + 1, window.low,
                             min(window.pixels, y.shape[axis + 1] - window.low))
            missing = [n for axis in (3, 2, 1) for n in
                       (0, made[axis - 1].pixels - y.shape[axis])]
            return t.nn.functional.pad(y, [0, 0, *missing]) + w[bias]
        self.layer("conv3d_transpose",
                   {"filters": filters, "kernel_size": taps,
                    "strides": stride, "padding": padding},
                   (*(w.pixels for w in made), filters), run)

    def pooling3d(self):
        kind = self.pick("max", "average")
        taps = self.pick((2, 2, 2), (2, 2, 2), (3, 3, 3), (1, 2, 2), (2, 1, 3))
        padding = self.pick("same", "valid")
        strides = self.pick(None, (1, 1, 1), (2, 2, 2))
        made = [Window(p, n, s, 1, padding if padding == "same" else (0, 0))
                for p, n, s in zip(self.shape, taps, strides or taps)]
        if not all(w.fits for w in made):
            return
        sizes = self.attributes(made, "stride")

        def run(t, w, x):
            if kind == "max":
                y = t.nn.functional.max_pool3d(
                    self.padded(t, x, made, float("-inf")), taps, **sizes)
            else:
                y, count = (t.nn.functional.avg_pool3d(
                    self.padded(t, v, made), taps, **sizes)
                    for v in (x, t.ones_like(x)))
                y = y / count
            return y.permute(0, 2, 3, 4, 1)
        arguments = {"pool_size": taps, "padding": padding}
        if strides:
            arguments["strides"] = strides
        self.layer(kind + "_pooling3d", arguments,
                   (*(w.windows for w in made), self.shape[3]), run)

    def borders3d(self):
        d, h, w, c = self.shape
        if min(d, h, w) > 3 and self.pick(True, False):
            return self.layer("cropping3d", {"cropping": [1, 0, 1]},
                              (d - 2, h, w - 2, c),
                              lambda t, _, x: x[:, 1:-1, :, 1:-1])
        self.layer("zero_padding3d", {"padding": [[0, 1], [2, 0], [1, 1]]},
                   (d + 1, h + 2, w + 2, c),
                   lambda t, _, x: t.nn.functional.pad(
                       x, (0, 0, 1, 1, 2, 0, 0, 1)))

    def up_sampling3d(self):
        d, h, w, c = self.shape
        if d * h * w <= 30:
            self.layer("up_sampling3d", {"size": [2, 1, 3]},
                       (2 * d, h, 3 * w, c),
                       lambda t, _, x: x.repeat_interleave(
                           2, 1).repeat_interleave(3, 3))

    def make(self):
        self.last = "input"
        self.shapes["input"] = self.input = (
            *self.pick((4, 5, 6), (5, 4, 4), (3, 6, 5)), self.pick(1, 2))
        self.conv3d()
        for _ in range(self.random.randrange(2, 5)):
            self.pick(self.conv3d, self.conv3d, self.conv3d_transpose,
                      self.pooling3d, self.pooling3d, self.borders3d,
                      self.up_sampling3d, self.batch_normalization)()
        end = self.pick("flatten", "global_average_pooling3d",
                        "global_max_pooling3d")
        if end == "flatten":
            self.layer(end, {}, (e2e.product(self.shape),),
                       lambda t, w, x: x.reshape(len(x), -1))
        else:
            average = "average" in end
            self.layer(end, {}, self.shape[-1:],
                       lambda t, w, x: x.mean((1, 2, 3)) if average
                       else x.amax((1, 2, 3)))
        self.dense(self.classes, "softmax")


def walk(t, w, prefix, cell, x, states=()):
    """What each step of a recurrent layer gives, by Keras's formulas."""
    kind, units = cell["kind"], cell["units"]
    act = ACTIVATIONS[cell["activation"]]
    gate = ACTIVATIONS[cell.get("recurrent_activation", "sigmoid")]
    kernel, own = w[prefix + "kernel"], w[prefix + "recurrent_kernel"]
    bias = w.get(prefix + "bias")
    zeros = x.new_zeros(len(x), units)
    h, c = (*states, zeros)[:2] if states else (zeros, zeros)
    split = kind == "gru" and cell["reset_after"]
    if bias is None:
        bias = x.new_zeros((2, 3 * units) if split else kernel.shape[1])
    steps = range(x.shape[1])
    results = []
    for step in reversed(steps) if cell["go_backwards"] else steps:
        z = x[:, step] @ kernel + (bias[0] if split else bias)
        if kind == "simple_rnn":
            h = act(t, z + h @ own)
        elif kind == "lstm":
            i, f, g, o = (z + h @ own).split(units, 1)
            peep = w.get(prefix + "peephole")
            if peep is not None:
                i, f = i + c * peep[0], f + c * peep[1]
            c = gate(t, f) * c + gate(t, i) * act(t, g)
            if peep is not None:
                o = o + c * peep[2]
            h = gate(t, o) * act(t, c)
        else:
            xz, xr, xh = z.split(units, 1)
            if split:
                hz, hr, hh = (h @ own + bias[1]).split(units, 1)
                update, reset = gate(t, xz + hz), gate(t, xr + hr)
                new = act(t, xh + reset * hh)
            else:
                update = gate(t, xz + h @ own[:, :units])
                reset = gate(t, xr + h @ own[:, units:2 * units])
                new = act(t, xh + (reset * h) @ own[:, 2 * units:])
            h = update * h + (1 - update) * new
        results.append(h)
    return results


class Recurrent(Network):
    """Sequences of numbers through recurrent layers and what wraps them."""

    def cell(self, kind, units, sequences):
        cell = {"units": units, "use_bias": self.pick(True, True, False),
                "activation": self.pick("tanh", "tanh", "tanh", "relu",
                                        "softplus"),
                "go_backwards": self.pick(False, False, True),
                "return_sequences": sequences}
        if kind != "simple_rnn":
            cell["recurrent_activation"] = self.pick("sigmoid", "sigmoid",
                                                     "tanh")
        if kind == "gru":
            cell["reset_after"] = self.pick(True, False)
        if kind == "lstm":
            cell["peepholes"] = self.pick(False, False, True)
        return cell

    def cell_parameters(self, name, prefix, kind, cell):
        units = cell["units"]
        width = units * {"simple_rnn": 1, "gru": 3, "lstm": 4}[kind]
        self.parameter(name, prefix + "kernel", (self.shape[-1], width))
        recurrent = self.parameter(name, prefix + "recurrent_kernel",
                                   (units, width))
        if cell["use_bias"]:
            shape = (2, width) if cell.get("reset_after") else (width,)
            self.parameter(name, prefix + "bias", shape, -0.3, 0.3)
        if cell.get("peepholes"):
            self.parameter(name, prefix + "peephole", (3, units), -0.3, 0.3)
        return recurrent

    def recurrent(self, sequences):
        kind = self.pick("lstm", "lstm", "gru", "gru", "simple_rnn")
        units = self.pick(1, 3, 8, 17)
        inputs = [self.last]
        if self.pick(False, False, True):  # a state to start with
            self.layer("global_average_pooling1d", {}, self.shape[-1:],
                       lambda t, w, x: x.mean(1))
            self.dense(units, "tanh")
            inputs += [self.last] * (2 if kind == "lstm" else 1)
            self.last = inputs[0]
        cell = self.cell(kind, units, sequences)
        name = f"{kind}_{self.next_name}"
        recurrent = self.cell_parameters(name, "", kind, cell)
        arguments = dict(cell)
        if self.pick(False, False, True):
            arguments["recurrent_regularizer"] = {"l2": 0.01}
            self.penalties.append((recurrent, 0.01))
        steps = self.shape[0]
        cell["kind"] = kind

        def run(t, w, x, *first):
            results = walk(t, w, name + "/", cell, x, first)
            return t.stack(results, 1) if sequences else results[-1]
        self.layer(kind, arguments,
                   (steps, units) if sequences else (units,), run, inputs)

    def bidirectional(self, sequences):
        kind = self.pick("lstm", "gru", "simple_rnn")
        units, mode = self.pick(2, 5), self.pick("concat", "concat", "sum",
                                                 "mul", "ave")
        cell = self.cell(kind, units, sequences)
        name = "bidirectional_" + self.next_name
        for side in ("forward_", "backward_"):
            self.cell_parameters(name, side, kind, cell)
        merge = {"concat": lambda t, a, b: t.cat((a, b), -1),
                 "sum": lambda t, a, b: a + b, "mul": lambda t, a, b: a * b,
                 "ave": lambda t, a, b: (a + b) / 2}[mode]
        width = units * (2 if mode == "concat" else 1)
        steps, arguments = self.shape[0], dict(cell)
        there = dict(cell, kind=kind)
        back = dict(there, go_backwards=not cell["go_backwards"])

        def run(t, w, x):
            a = walk(t, w, name + "/forward_", there, x)
            b = walk(t, w, name + "/backward_", back, x)
            if not sequences:
                return merge(t, a[-1], b[-1])
            return merge(t, t.stack(a, 1), t.stack(b[::-1], 1))
        self.layer("bidirectional",
                   {"layer": {kind: arguments}, "merge_mode": mode},
                   (steps, width) if sequences else (width,), run)

    def time_distributed(self):
        steps, features = self.shape
        name, units = "time_distributed_" + self.next_name, self.pick(3, 6)
        kernel = self.parameter(name, "kernel", (features, units))
        bias = self.parameter(name, "bias", (units,), -0.1, 0.1)
        self.layer("time_distributed",
                   {"layer": {"dense": {"units": units,
                                        "activation": "tanh"}}},
                   (steps, units),
                   lambda t, w, x: t.tanh(x @ w[kernel] + w[bias]))

    def convolve_steps(self):
        """A layer that is written out for each step."""
        steps, features = self.shape
        self.layer("reshape", {"target_shape": [steps, features, 1]},
                   (steps, features, 1), lambda t, w, x: x[..., None])
        name = "time_distributed_" + self.next_name
        kernel = self.parameter(name, "kernel", (2, 1, 3))
        bias = self.parameter(name, "bias", (3,), -0.1, 0.1)

        def run(t, w, x):
            x = t.nn.functional.pad(x, (0, 0, 1, 0))
            y = t.stack((x[:, :, :-1, 0], x[:, :, 1:, 0]), -1)
            return y @ w[kernel][:, 0] + w[bias]
        self.layer("time_distributed",
                   {"layer": {"conv1d": {"filters": 3, "kernel_size": 2,
                                         "padding": "causal"}}},
                   (steps, features, 3), run)
        self.layer("reshape", {"target_shape": [steps, features * 3]},
                   (steps, features * 3),
                   lambda t, w, x: x.reshape(len(x), steps, -1))

    def make(self):
        self.last = "input"
        steps = self.pick(1, 2, 5, 12)
        self.shapes["input"] = self.input = (steps, self.pick(1, 4, 19))
        if self.pick(False, False, True):
            self.pick(self.time_distributed, self.convolve_steps)()
        for _ in range(self.pick(0, 1)):
            self.pick(self.recurrent, self.bidirectional)(True)
        if self.pick(False, False, True):
            self.recurrent(False)
            repeats = self.pick(1, 4)
            self.layer("repeat_vector", {"n": repeats},
                       (repeats, *self.shape),
                       lambda t, w, x: x[:, None].expand(-1, repeats, -1))
        self.pick(self.recurrent, self.recurrent, self.bidirectional)(False)
        self.dense(self.classes, "softmax")


class TorchModels(unittest.TestCase):
    networks = [(Network, seed) for seed in range(8)] + [
        (Sequences, seed) for seed in range(4)] + [
        (Volumes, seed) for seed in range(4)] + [
        (Recurrent, seed) for seed in range(8)]

    @classmethod
    def setUpClass(cls):
        cls.torch = e2e.import_or_skip("torch")
        cls.torch.set_num_threads(1)
        cls.numpy = e2e.import_or_skip("numpy")

    def numbers(self, network, seed):
        """Weights, images and labels, as f32."""
        source = self.numpy.random.default_rng(seed)

        def draw(shape, low, high):
            return source.uniform(low, high, shape).astype("float32")
        weights = {name: draw(*weight)
                   for name, weight in network.weights.items()}
        shape = (network.samples, *network.input)
        if isinstance(network, Sequences):
            images = source.integers(0, network.vocabulary,
                                     shape).astype("float32")
        else:
            images = draw(shape, -1, 1)
        labels = source.integers(0, network.classes, network.samples)
        return weights, images, labels

    def expected(self, network, weights, images, labels, kind="float64"):
        """Losses of the steps, and the weights then, by PyTorch."""
        torch = self.torch
        values = {}
        for name, array in weights.items():
            values[name] = torch.from_numpy(array.astype(kind))
            values[name].requires_grad_(name not in network.frozen)
        optimizer = network.optimizer[1](
            torch, [v for n, v in values.items() if n not in network.frozen])
        x = torch.from_numpy(images.astype(kind))
        y = torch.from_numpy(labels)
        losses = []
        for _ in range(STEPS):
            logits = network.run(torch, values, x)
            loss = torch.nn.functional.cross_entropy(logits, y)
            for name, factor in network.penalties:
                loss = loss + factor * (values[name] ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, {n: v.detach().numpy() for n, v in values.items()}

    def reference(self, network, weights, images, labels):
        folder = e2e.scratch("reference")
        os.makedirs(folder, exist_ok=True)

        def path(name):
            return os.path.join(folder, name)
        spec = e2e.write("network.yaml", network.spec())
        with open(path("model.mlir"), "w") as file:
            file.write(e2e.run(e2e.tool("sinter"), "dump", spec, "--stage",
                               "train"))
        with open(path("steps.txt"), "w") as file:
            file.write(f"{STEPS} {network.samples}\n")
        with open(path("state.f32"), "wb") as file:
            for array in weights.values():
                file.write(array.tobytes())
        images.tofile(path("input.f32"))
        labels.astype("float32").tofile(path("target.f32"))
        e2e.run(e2e.tool("native-tests"), "[steps-reference]",
                env={"SINTER_CASES": folder})
        losses = self.numpy.fromfile(path("losses.f32"), dtype="float32")
        values = self.numpy.fromfile(path("end.f32"), dtype="float32")
        end, at = {}, 0
        for name, array in weights.items():
            end[name] = values[at:at + array.size].reshape(array.shape)
            at += array.size
        return list(losses), end

    def native(self, network, weights, images, labels):
        trainer = e2e.Trainer(network.spec(), "network")
        folder = e2e.scratch("data")
        os.makedirs(folder, exist_ok=True)
        e2e.write_npy(os.path.join(folder, "images.npy"), images.shape,
                      images.tobytes(), "f")
        e2e.write_npy(os.path.join(folder, "labels.npy"), labels.shape,
                      labels.astype("uint8").tobytes(), "B")
        start = e2e.write_safetensors(
            e2e.scratch("start.safetensors"),
            {name: (array.shape, array.flatten().tolist())
             for name, array in weights.items()})
        saved = e2e.scratch("end.safetensors")
        losses = trainer.train(folder, "--init", start, "--no-shuffle",
                               save=saved)["loss"]
        end = {name: self.numpy.array(values).reshape(shape)
               for name, (shape, values) in e2e.read_safetensors(saved).items()
               if name in weights}
        return losses, end

    def sensitivity(self, network, weights, images, labels, want):
        """How far PyTorch is off from itself when its first weights move."""
        worst = 0.0
        for seed in range(8):
            random_numbers = self.numpy.random.default_rng(seed)
            moved = {name: array * (1 + MOVED * random_numbers.uniform(
                         -1, 1, array.shape))
                     for name, array in weights.items()}
            got, _ = self.expected(network, moved, images, labels)
            worst = max(worst, max(abs(g - w) / max(abs(w), 1e-2)
                                   for g, w in zip(got, want)))
        return worst

    def check(self, engine, bound):
        worst, wrong = (0.0, ""), []
        for kind, seed in self.networks:
            network = kind(seed)
            numbers = self.numbers(network, seed)
            want, want_end = self.expected(network, *numbers)
            got, got_end = getattr(self, engine)(network, *numbers)
            self.assertEqual(len(got), STEPS)
            errors = [abs(g - w) / max(abs(w), 1e-2)
                      for g, w in zip(got, want)]
            error = max(errors)
            # Adam's steps amplify rounding where a gradient ought to be 0, as
            # that of a bias before a normalisation.
            names = network.frozen if "sgd" in network.optimizer[0] else ()
            for name in names:
                largest = max(abs(want_end[name]).max(), 1e-2)
                error = max(error, abs(got_end[name]
                                       - want_end[name]).max() / largest)
            allowed = bound
            if not error <= allowed:
                allowed += self.sensitivity(network, *numbers, want)
            if not error <= allowed:
                off = [i for i, e in enumerate(errors) if e > allowed]
                wrong.append(
                    f"{kind.__name__} {seed}: error {error:.1e} of {allowed:.1e}, losses "
                    f"{got[0]:.6f} -> {got[-1]:.6f}, PyTorch's {want[0]:.6f} -> "
                    f"{want[-1]:.6f}; steps that are off: {off}\n"
                    + network.spec())
            worst = max(worst, (error, f"{kind.__name__} {seed}"))
        print(f"{engine}: {len(self.networks)} networks, largest relative "
              f"error {worst[0]:.1e} ({worst[1]})", end=" ... ", flush=True)
        if wrong:
            self.fail("\n" + "\n".join(wrong))

    def test_reference(self):
        self.check("reference", REFERENCE_BOUND)

    def test_native(self):
        self.check("native", NATIVE_BOUND)


if __name__ == "__main__":
    if "--all" in sys.argv:
        sys.argv.remove("--all")
        TorchModels.networks = [(Network, seed) for seed in range(50)] + [
            (Sequences, seed) for seed in range(20)] + [
            (Volumes, seed) for seed in range(20)] + [
            (Recurrent, seed) for seed in range(40)]
    if "--model" in sys.argv:
        at = sys.argv.index("--model")
        TorchModels.networks = [(kind, int(sys.argv[at + 1]))
                                for kind in (Network, Sequences, Volumes,
                                             Recurrent)]
        del sys.argv[at:at + 2]
    e2e.main()
