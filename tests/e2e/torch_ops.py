"""Ops of convolutional networks compute what PyTorch's do, gradients included.

A table of cases is drawn from a seed: convolutions (strided, dilated, grouped,
depthwise, transposed, unevenly padded), pooling, normalisation, upsampling,
transposition, sums, and chains of them as networks have, with 1 to 75 channels,
odd sizes and batches that do not fill a vector. native-tests runs the table
twice, by the reference interpreter in double precision and by compiled code;
each result and each gradient is held against PyTorch's in double precision.

    torch_ops.py                  a part of the table, as in the test suite
    torch_ops.py --all            the whole table
    torch_ops.py --case NUMBER    one case

Errors are measured against the tensor's largest element, or a tenth of the
case's largest where that is more: 1e-6 for the
reference, whose formulas hold constants such as epsilon in f32; 2e-5 for
compiled code, where sums of thousands of products are rounded.

Skipped without PyTorch (Debian's python3-torch).
"""

import itertools
import os
import random
import sys
import unittest

import e2e

REFERENCE_BOUND = 1e-6
NATIVE_BOUND = 2e-5
CHANNELS = (1, 3, 5, 25, 50, 75)
BATCHES = ((1, 16), (3, 16), (7, 19), (16, 16), (17, 33), (5, 48), (2, 1 << 5))
MOST_PRODUCTS = 2_000_000  # of a case, for the sake of the reference


def tensor(*shape):
    return "tensor<" + "x".join(map(str, shape)) + "xf32>"


def images(shape):
    return tensor("?", *shape[1:])


class Window:
    """One axis: pixels, taps, stride, dilation, padding before and after."""

    def __init__(self, pixels, taps, stride=1, dilation=1, padding=(0, 0)):
        self.pixels, self.taps = pixels, taps
        self.stride, self.dilation = stride, dilation
        reach = dilation * (taps - 1) + 1
        if padding == "same":
            missing = max((-(-pixels // stride) - 1) * stride + reach - pixels,
                          0)
            padding = (missing // 2, missing - missing // 2)
        self.low, self.high = padding
        self.reach = reach
        self.windows = (pixels + self.low + self.high - reach) // stride + 1

    @property
    def fits(self):
        return self.pixels + self.low + self.high >= self.reach


def attributes(vertical, horizontal, groups=None):
    def pair(name):
        return (f"{name}s [{getattr(vertical, name)}, "
                f"{getattr(horizontal, name)}]")
    text = pair("stride")
    if groups:
        text += " " + pair("dilation")
    text += (f" padding [{vertical.low}, {vertical.high}, "
             f"{horizontal.low}, {horizontal.high}]")
    return text + (f" groups {groups}" if groups else "")


class Case:
    """An MLIR function, what it gets, and the same in PyTorch.

    `arguments`: (name, shape, MLIR type); `torch` takes tensors in this order.
    `fixed` are arguments without a gradient.
    """

    def __init__(self, title, arguments, result, body, function, batch,
                 fixed=()):
        self.title, self.arguments, self.result = title, arguments, result
        self.body, self.function, self.fixed = body, function, fixed
        self.batch, self.bound = batch

    def text(self, number):
        arguments = ", ".join(f"%{name}: {kind}"
                              for name, _, kind in self.arguments)
        body = "\n".join("  " + line for line in self.body)
        return (f"func.func @case_{number}({arguments}) -> {self.result}\n"
                f"    attributes {{batch = {self.batch} : i64, "
                f"bound = {self.bound} : i64}} {{\n{body}\n"
                f"  return %y : {self.result}\n}}\n")


# ---- The same in PyTorch -------------------------------------------------------


def to_torch(x):
    return x.permute(0, 3, 1, 2)


def from_torch(x):
    return x.permute(0, 2, 3, 1)


def torch_pad(torch, x, v, h, value=0.0):
    return torch.nn.functional.pad(x, (h.low, h.high, v.low, v.high),
                                   value=value)


def torch_conv(torch, x, w, v, h, groups):
    y = torch.nn.functional.conv2d(
        torch_pad(torch, to_torch(x), v, h).contiguous(),
        w.permute(3, 2, 0, 1).contiguous(),
        stride=(v.stride, h.stride), dilation=(v.dilation, h.dilation),
        groups=groups)
    return from_torch(y)


def torch_conv_transpose(torch, x, w, v, h, groups):
    """The whole transpose, and of it the part that is the image."""
    y = torch.nn.functional.conv_transpose2d(
        to_torch(x).contiguous(), w.permute(3, 2, 0, 1).contiguous(),
        stride=(v.stride, h.stride),
        dilation=(v.dilation, h.dilation), groups=groups)
    below = max(v.low + v.pixels - y.shape[2], 0)
    right = max(h.low + h.pixels - y.shape[3], 0)
    y = torch.nn.functional.pad(y, (0, right, 0, below))
    return from_torch(y[:, :, v.low:v.low + v.pixels, h.low:h.low + h.pixels])


def torch_filter_gradient(torch, x, dy, w_shape, v, h, groups):
    w = torch.zeros(w_shape, dtype=x.dtype, requires_grad=True)
    y = torch_conv(torch, x, w, v, h, groups)
    return torch.autograd.grad(y, w, dy, create_graph=True)[0]


def torch_max_pool(torch, x, v, h):
    return from_torch(torch.nn.functional.max_pool2d(
        torch_pad(torch, to_torch(x), v, h, float("-inf")), (v.taps, h.taps),
        stride=(v.stride, h.stride)))


def torch_avg_pool(torch, x, v, h):
    def mean(x):
        return torch.nn.functional.avg_pool2d(
            torch_pad(torch, x, v, h), (v.taps, h.taps),
            stride=(v.stride, h.stride))
    x = to_torch(x)
    return from_torch(mean(x) / mean(torch.ones_like(x)))


def torch_normalise(torch, x, gamma, beta, axes, epsilon):
    mean = x.mean(axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axes, keepdim=True)
    return gamma * (x - mean) / torch.sqrt(variance + epsilon) + beta


# ---- The table -----------------------------------------------------------------


class Table:
    def __init__(self, seed=7):
        self.random = random.Random(seed)
        self.cases = []

    def pick(self, *choices):
        return self.random.choice(choices)

    def window(self, pixels, taps, strides=(1, 1, 2, 3), dilations=(1,)):
        """Axes with windows, or None."""
        stride = self.pick(*strides)
        dilation = self.pick(*dilations)
        padding = self.pick((0, 0), "same", "same",
                            (self.random.randrange(taps),
                             self.random.randrange(taps)))
        axis = Window(pixels, taps, stride, dilation, padding)
        return axis if axis.fits else None

    def geometry(self, taps, **options):
        while True:
            sizes = [self.pick(1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14)
                     for _ in range(2)]
            v, h = (self.window(size, tap, **options)
                    for size, tap in zip(sizes, taps))
            if v and h:
                return v, h

    def add(self, *arguments, **options):
        self.cases.append(Case(*arguments, **options))

    def convolution(self, kind, depthwise=False):
        dilations = self.pick((1,), (1,), (1, 2, 3))
        while True:
            taps = self.pick((1, 1), (3, 3), (3, 3), (5, 5), (2, 3), (1, 3),
                             (7, 1), (2, 2), (4, 4))
            v, h = self.geometry(taps, dilations=dilations)
            channels, filters = self.pick(*CHANNELS), self.pick(*CHANNELS)
            groups = self.pick(1, 1, 1, 5)
            if depthwise:
                groups = channels
                filters = channels * self.pick(1, 1, 2, 3)
            if channels % groups or filters % groups:
                continue
            batch = self.pick(*BATCHES)
            products = (batch[0] * v.windows * h.windows * taps[0] * taps[1]
                        * channels * filters // groups)
            if products <= MOST_PRODUCTS:
                break
        x = (batch[0], v.pixels, h.pixels, channels)
        w = (*taps, channels // groups, filters)
        y = (batch[0], v.windows, h.windows, filters)
        types = {"x": images(x), "w": tensor(*w), "d": images(y)}
        at = attributes(v, h, groups)
        title = f"{kind} of {x} by {w}, {at}, batch bound {batch[1]}"
        if kind == "conv2d":
            self.add(
                title, [("x", x, types["x"]), ("w", w, types["w"])],
                types["d"],
                [f"%y = sinter.conv2d %x, %w {at}",
                 f"    : ({types['x']}, {types['w']}) -> {types['d']}"],
                lambda t, x, w: torch_conv(t, x, w, v, h, groups), batch)
        elif kind == "conv2d_transpose":
            self.add(
                title, [("d", y, types["d"]), ("w", w, types["w"])],
                types["x"],
                [f"%y = sinter.conv2d_transpose %d, %w "
                 f"size [{v.pixels}, {h.pixels}] {at}",
                 f"    : ({types['d']}, {types['w']}) -> {types['x']}"],
                lambda t, d, w: torch_conv_transpose(t, d, w, v, h, groups),
                batch)
        else:
            self.add(
                title, [("x", x, types["x"]), ("d", y, types["d"])],
                types["w"],
                [f"%y = sinter.conv2d_filter_gradient %x, %d "
                 f"size [{taps[0]}, {taps[1]}] {at}",
                 f"    : ({types['x']}, {types['d']}) -> {types['w']}"],
                lambda t, x, d: torch_filter_gradient(t, x, d, w, v, h,
                                                      groups), batch)

    def pooling(self, kind):
        taps = self.pick((2, 2), (2, 2), (3, 3), (2, 3), (1, 4), (5, 1))
        v, h = self.geometry(taps)
        channels, batch = self.pick(*CHANNELS), self.pick(*BATCHES)
        x = (batch[0], v.pixels, h.pixels, channels)
        y = (batch[0], v.windows, h.windows, channels)
        at = f"window [{taps[0]}, {taps[1]}] " + attributes(v, h)
        function = {"max": torch_max_pool, "avg": torch_avg_pool}[kind]
        self.add(f"{kind}_pool2d of {x}, {at}, batch bound {batch[1]}",
                 [("x", x, images(x))], images(y),
                 [f"%y = sinter.{kind}_pool2d %x {at}",
                  f"    : ({images(x)}) -> {images(y)}"],
                 lambda t, x: function(t, x, v, h), batch)

    def batch_norm(self):
        batch = self.pick(*BATCHES)
        space = self.pick((), (4,), (3, 3), (7, 5), (14, 2))
        channels = self.pick(*CHANNELS)
        x = (batch[0], *space, channels)
        c = (channels,)
        epsilon = self.pick(0.5, 0.001)
        self.add(f"batch_norm of {x}, epsilon {epsilon}, batch bound "
                 f"{batch[1]}",
                 [("x", x, images(x)), ("g", c, tensor(*c)),
                  ("b", c, tensor(*c)), ("s", c, tensor(*c))], images(x),
                 [f"%y = sinter.batch_norm %x, %g, %b, %s epsilon {epsilon}",
                  f"    : ({', '.join([images(x)] + [tensor(*c)] * 3)}) -> "
                  f"{images(x)}"],
                 lambda t, x, g, b, s: torch_normalise(
                     t, x, g, b, tuple(range(x.dim() - 1)), epsilon),
                 batch, fixed=("s",))

    def layer_norm(self):
        batch = self.pick(*BATCHES)
        space = self.pick((), (4,), (3, 3), (7, 5))
        x = (batch[0], *space, self.pick(*CHANNELS))
        axes = self.random.randrange(1, len(x))
        c = x[-axes:]
        self.add(f"layer_norm of {x} over {axes}, batch bound {batch[1]}",
                 [("x", x, images(x)), ("g", c, tensor(*c)),
                  ("b", c, tensor(*c))], images(x),
                 [f"%y = sinter.layer_norm %x, %g, %b axes {axes} "
                  "epsilon 0.001",
                  f"    : ({', '.join([images(x)] + [tensor(*c)] * 2)}) -> "
                  f"{images(x)}"],
                 lambda t, x, g, b: torch_normalise(
                     t, x, g, b, tuple(range(-axes, 0)), 0.001), batch)

    def upsample(self):
        batch = self.pick(*BATCHES)
        x = (batch[0], self.pick(1, 3, 7), self.pick(1, 4, 5),
             self.pick(*CHANNELS))
        f = (self.pick(1, 2, 3), self.pick(2, 4))
        y = (x[0], x[1] * f[0], x[2] * f[1], x[3])
        self.add(f"upsample of {x} by {f}, batch bound {batch[1]}",
                 [("x", x, images(x))], images(y),
                 [f"%y = sinter.upsample %x factors [{f[0]}, {f[1]}]",
                  f"    : ({images(x)}) -> {images(y)}"],
                 lambda t, x: x.repeat_interleave(f[0], 1)
                 .repeat_interleave(f[1], 2), batch)

    def transpose(self):
        batch = self.pick(*BATCHES)
        x = (batch[0], self.pick(2, 7), self.pick(3, 16), self.pick(*CHANNELS))
        order = (0, *self.pick(*itertools.permutations((1, 2, 3))))
        y = tuple(x[axis] for axis in order)
        self.add(f"transpose of {x} as {order}, batch bound {batch[1]}",
                 [("x", x, images(x))], images(y),
                 [f"%y = sinter.transpose %x permutation {list(order)}",
                  f"    : ({images(x)}) -> {images(y)}"],
                 lambda t, x: x.permute(*order), batch)

    def leading_sum(self):
        batch = self.pick(*BATCHES)
        x = (batch[0], self.pick(1, 7), self.pick(3, 16), self.pick(*CHANNELS))
        axes = self.pick((0, 1), (0, 1, 2), (0, 1, 2, 3))
        y = tensor(*x[len(axes):]) if len(axes) < 4 else "tensor<f32>"
        self.add(f"reduce_sum of {x} over {axes}, batch bound {batch[1]}",
                 [("x", x, images(x))], y,
                 [f"%y = sinter.reduce_sum %x axes {list(axes)}",
                  f"    : ({images(x)}) -> {y}"],
                 lambda t, x: x.sum(axes), batch)

    def block(self, order):
        """A block of a network: convolution, bias, and what `order` lists."""
        batch = self.pick(*BATCHES[:5])
        while True:
            taps = self.pick((3, 3), (2, 3), (5, 5))
            v, h = self.geometry(taps, strides=(1, 1, 2))
            channels, filters = self.pick(*CHANNELS), self.pick(*CHANNELS)
            if (batch[0] * v.windows * h.windows * taps[0] * taps[1] * channels
                    * filters <= MOST_PRODUCTS):
                break
        x = (batch[0], v.pixels, h.pixels, channels)
        w = (*taps, channels, filters)
        z = (batch[0], v.windows, h.windows, filters)
        c = (filters,)
        zt, ct = images(z), tensor(*c)
        body = [f"%c0 = sinter.conv2d %x, %w {attributes(v, h, 1)}",
                f"    : ({images(x)}, {tensor(*w)}) -> {zt}",
                f"%c1 = sinter.add %c0, %k : ({zt}, {ct}) -> {zt}"]
        last, result = "c1", z
        pool = (Window(v.windows, 2, 2, 1, "same"),
                Window(h.windows, 2, 2, 1, "same"))
        for number, step in enumerate(order):
            name = f"s{number}"
            kind = images(result)
            if step == "relu":
                body.append(f"%{name} = sinter.relu %{last} : {kind}")
            elif step == "norm":
                body += [f"%{name} = sinter.batch_norm %{last}, %g, %b, %s "
                         "epsilon 0.001",
                         f"    : ({kind}, {ct}, {ct}, {ct}) -> {kind}"]
            else:
                result = (batch[0], pool[0].windows, pool[1].windows, filters)
                body += [f"%{name} = sinter.max_pool2d %{last} window [2, 2] "
                         + attributes(*pool),
                         f"    : ({kind}) -> {images(result)}"]
            last = name
        body.append(f"%y = sinter.tanh %{last} : {images(result)}")

        def function(torch, x, w, k, g, b, s):
            y = torch_conv(torch, x, w, v, h, 1) + k
            for step in order:
                if step == "relu":
                    y = torch.relu(y)
                elif step == "norm":
                    y = torch_normalise(torch, y, g, b, (0, 1, 2), 0.001)
                else:
                    y = torch_max_pool(torch, y, *pool)
            return torch.tanh(y)

        self.add(f"convolution, {', '.join(order)} of {x} by {w}, "
                 f"{attributes(v, h, 1)}, batch bound {batch[1]}",
                 [("x", x, images(x)), ("w", w, tensor(*w)), ("k", c, ct),
                  ("g", c, ct), ("b", c, ct), ("s", c, ct)], images(result),
                 body, function, batch, fixed=("s",))


def make_table():
    table = Table()
    for _ in range(8):  # each round is a fair part of the whole
        for kind in ("conv2d", "conv2d_transpose", "conv2d_filter_gradient"):
            for _ in range(5):
                table.convolution(kind)
            for _ in range(2):
                table.convolution(kind, depthwise=True)
        for kind in ("max", "avg"):
            for _ in range(3):
                table.pooling(kind)
        for make in (table.batch_norm, table.batch_norm, table.layer_norm,
                     table.layer_norm, table.upsample, table.transpose,
                     table.leading_sum):
            make()
        for order in (("relu", "norm", "pool"), ("norm", "relu"),
                      ("relu", "pool"), ("norm",)):
            table.block(order)
    return list(enumerate(table.cases))


# ---- Running it ----------------------------------------------------------------


class TorchOps(unittest.TestCase):
    part = 60  # cases of each engine
    only = None

    @classmethod
    def setUpClass(cls):
        cls.torch = e2e.import_or_skip("torch")
        cls.torch.set_num_threads(1)
        cls.numpy = e2e.import_or_skip("numpy")
        cls.table = make_table()

    def numbers(self, number, case):
        """The arguments, and the gradient by the result, as f32."""
        source = self.numpy.random.default_rng(number)
        arrays = [source.uniform(-1, 1, shape).astype("float32")
                  for _, shape, _ in case.arguments]
        shape = case.function(self.torch, *map(
            self.torch.from_numpy, arrays)).shape
        return arrays, source.uniform(-1, 1, tuple(shape)).astype("float32")

    def expected(self, case, arrays, gradient):
        """[(name, array)]: the result, then each gradient, by PyTorch."""
        torch = self.torch
        values = [torch.from_numpy(a).double().requires_grad_(True)
                  for a in arrays]
        result = case.function(torch, *values)
        names = [name for name, _, _ in case.arguments]
        wanted = [(n, v) for n, v in zip(names, values)
                  if n not in case.fixed]
        gradients = torch.autograd.grad(
            result, [v for _, v in wanted],
            torch.from_numpy(gradient).double(), allow_unused=True)
        found = [("result", result.detach())]
        for (name, value), g in zip(wanted, gradients):
            if g is not None:
                found.append((f"gradient by {name}", g))
        return [(name, value.numpy()) for name, value in found]

    def check(self, engine, bound, cases):
        numpy = self.numpy
        folder = e2e.scratch(engine)
        os.makedirs(folder, exist_ok=True)
        given = {n: self.numbers(n, case) for n, case in cases}
        with open(os.path.join(folder, "cases.mlir"), "w") as file:
            for number, case in cases:
                file.write(case.text(number))
        with open(os.path.join(folder, "inputs.f32"), "wb") as file:
            for number, _ in cases:
                arrays, gradient = given[number]
                for array in (*arrays, gradient):
                    file.write(array.tobytes())
        e2e.run(e2e.tool("native-tests"), f"[cases-{engine}]",
                env={"SINTER_CASES": folder})
        with open(os.path.join(folder, "outputs.f32"), "rb") as file:
            found = numpy.frombuffer(file.read(), dtype="float32")
        at, worst, wrong = 0, (0.0, ""), []
        for number, case in cases:
            expected = self.expected(case, *given[number])
            # A gradient that cancels to 0 has no scale of its own.
            scale = max([0.01] + [float(abs(w).max()) for _, w in expected]) / 10
            for name, want in expected:
                got = found[at:at + want.size].reshape(want.shape)
                at += want.size
                largest = max(float(numpy.abs(want).max()), scale)
                error = float(numpy.abs(got - want).max()) / largest
                if not error <= bound:
                    wrong.append(f"case {number}, {name}: error {error:.1e}: "
                                 + case.title)
                worst = max(worst, (error, case.title))
        self.assertEqual(at, found.size, "results without an expectation")
        print(f"{engine}: {len(cases)} cases, largest error {worst[0]:.1e} "
              f"({worst[1]})", end=" ... ", flush=True)
        if wrong:
            self.fail("\n" + "\n".join(wrong))

    def cases(self):
        if self.only is not None:
            return [self.table[self.only]]
        step = max(len(self.table) // self.part, 1)
        # Every step-th, from each kind in turn.
        return [c for i, c in enumerate(self.table) if i * 7 % step == 0]

    def test_table_is_large(self):
        self.assertGreaterEqual(len(self.table), 300)

    def test_reference(self):
        self.check("reference", REFERENCE_BOUND, self.cases())

    def test_native(self):
        self.check("native", NATIVE_BOUND, self.cases())


if __name__ == "__main__":
    if "--all" in sys.argv:
        sys.argv.remove("--all")
        TorchOps.part = 1 << 30
    if "--case" in sys.argv:
        at = sys.argv.index("--case")
        TorchOps.only = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    e2e.main()
