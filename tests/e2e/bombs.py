"""Small ONNX files that ask for far more than they hold, and what made the
importer fail once. onnx(name) for each name in FILES.

Protobuf is written here by hand, as in damage.py: a message is bytes, its
fields are put behind each other.
"""

import struct

from damage import varint

FLOAT, INT64, BOOL = 1, 7, 9


def put(field, value):
    if isinstance(value, int):
        return varint(field << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def join(field, values):
    return b"".join(put(field, value) for value in values)


def tensor(name, dims, kind, *values):
    form = {FLOAT: "f", INT64: "q", BOOL: "b"}[kind]
    return (join(1, dims) + put(2, kind) + put(8, name) +
            put(9, struct.pack(f"<{len(values)}{form}", *values)))


def port(name, dims, kind=FLOAT):
    shape = b"".join(put(1, put(1, size)) for size in dims)
    return put(1, name) + put(2, put(1, put(1, kind) + put(2, shape)))


def attribute(name, value):
    if isinstance(value, bytes):
        return put(1, name) + put(6, value) + put(20, 5)
    if isinstance(value, str):
        return put(1, name) + put(4, value) + put(20, 3)
    return put(1, name) + put(3, value) + put(20, 2)


def node(op, inputs, outputs, **attributes):
    return (join(1, inputs) + join(2, outputs) + put(4, op) +
            b"".join(put(5, attribute(*one)) for one in attributes.items()))


def graph(nodes, constants, inputs, outputs):
    return (join(1, nodes) + put(2, "g") + join(5, constants) +
            join(11, inputs) + join(12, outputs))


def model(nodes, constants, x=(1, 4), y=(1, 4), opset=13):
    return (put(1, 8) + put(8, put(1, "") + put(2, opset)) + put(7, graph(
        nodes, constants, [port("x", x)], [port("y", y)])))


def loops(depth, trips, inner):
    """Loops in loops, around the nodes `inner` from v to w."""
    nodes = inner
    for level in range(depth):
        body = graph(nodes, [], [port("i", [], INT64), port("c", [], BOOL),
                                 port("v", [1, 4])],
                     [port("c", [], BOOL), port("w" if nodes else "v", [1, 4])])
        start, end = ("x", "y") if level == depth - 1 else ("v", "w")
        nodes = [node("Loop", ["trips", "true", start], [end], body=body)]
    return model(nodes, [tensor("trips", [], INT64, trips),
                         tensor("true", [], BOOL, 1)])


def doubled(op, count, *more, **attributes):
    """A constant that each of `count` nodes makes twice as large."""
    nodes = [node(op, [f"k{i}", *(more or [f"k{i}"])], [f"k{i + 1}"],
                  **attributes) for i in range(count)]
    return model(nodes + [node("Add", ["x", f"k{count}"], ["y"])],
                 [tensor("k0", [4], FLOAT, 1, 2, 3, 4),
                  tensor("two", [1], INT64, 2)])


def filled(count):
    """Many large constants made of a few numbers."""
    nodes = [node("ConstantOfShape", ["s"], [f"k{i}"]) for i in range(count)]
    return model(nodes + [node("Sum", ["x"] + [f"k{i}" for i in range(count)],
                               ["y"])],
                 [tensor("s", [2], INT64, 1 << 13, 1 << 11)])


FILES = {
    "iterations without nodes": lambda: loops(1, 1 << 60, []),
    "loops in loops": lambda: loops(6, 30, [node("Identity", ["v"], ["w"])]),
    "loops in loops without nodes": lambda: loops(6, 15000, []),
    "loops in loops that fail": lambda: loops(
        5, 1000, [node("Identity", ["v"], ["w"])] +
        [node("Abs", ["v"], [f"a{i}"]) for i in range(50)] +
        [node("Abs", ["nobody"], ["z"])]),
    "long names": lambda: model(
        [node("Loop", ["trips", "true", "x"], ["y" * 100000], body=graph(
            [node("Abs", ["v"], ["w"])], [],
            [port("i", [], INT64), port("c", [], BOOL), port("v", [1, 4])],
            [port("c", [], BOOL), port("w", [1, 4])])),
         node("Identity", ["y" * 100000], ["y"])],
        [tensor("trips", [], INT64, 15000), tensor("true", [], BOOL, 1)]),
    "constants doubled by Concat": lambda: doubled("Concat", 40, axis=0),
    "constants doubled by Tile": lambda: doubled("Tile", 40, "two"),
    "constants filled": lambda: filled(60),
    "EyeLike": lambda: model([node("EyeLike", ["x"], ["y"])], [],
                             (46000, 46000), (46000, 46000)),
    "states filled": lambda: model(
        [node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]),
         node("Concat", ["n", "many"], ["t"], axis=0),
         node("ConstantOfShape", ["t"], ["k"]), node("Add", ["x", "k"], ["y"])],
        [tensor("zero", [1], INT64, 0), tensor("many", [1], INT64, 1 << 30)]),
    "matrices of Fourier": lambda: model(
        [node("Unsqueeze", ["x", "last"], ["k0"])] +
        [node("DFT", [f"k{i}"], [f"k{i + 1}"], axis=1) for i in range(60)] +
        [node("Identity", ["k60"], ["y"])],
        [tensor("last", [1], INT64, 2)], (1, 2000), (1, 2000, 2), 17),
    "slices compared": lambda: model(
        [node("ConstantOfShape", ["s"], ["k"]),
         node("Unique", ["k"], ["u"], axis=0), node("Add", ["x", "u"], ["y"])],
        [tensor("s", [2], INT64, 4096, 4000)]),
    "Unique of what is no number": lambda: model(
        [node("Unique", ["k"], ["u"]), node("Add", ["x", "u"], ["y"])],
        [tensor("k", [64], FLOAT, *[float("nan"), 2, 1, float("nan")] * 16)]),
    "many axes": lambda: model(
        [node("Add", ["x", "k"], ["y"])],
        [tensor("k", [1] * 5000 + [4], FLOAT, 1, 2, 3, 4)]),
    "axes for each element": lambda: model(
        [node("NonZero", ["k"], ["p"]), node("Add", ["x", "p"], ["y"])],
        [tensor("k", [1] * 60 + [4], FLOAT, 1, 2, 3, 4)]),
    "a result without a name": lambda: model(
        [node("Clip", ["x", "", "four"], ["y"]), node("Abs", ["x"], [""])],
        [tensor("four", [], FLOAT, 4)]),
    "a range that ends before it starts": lambda: model(
        [node("Range", ["one", "zero", "tiny"], ["r"]),
         node("Concat", ["r", "r"], ["t"], axis=0),
         node("Add", ["x", "t"], ["y"])],
        [tensor("one", [], FLOAT, 1e38), tensor("zero", [], FLOAT, 0),
         tensor("tiny", [], FLOAT, 1e-30)]),
    "a long chain": lambda: model(
        [node("Add", [f"k{i}" if i else "x"] * 2,
              [f"k{i + 1}" if i < 19999 else "y"]) for i in range(20000)], []),
    "a result that no layer is for": lambda: put(1, 8) + put(
        8, put(1, "") + put(2, 17)) + put(7, graph(
            [node("LayerNormalization", ["x", "w", "b"], ["y", "m", "d"],
                  axis=1)],
            [tensor(name, [3, 4, 5], FLOAT, *[0.5] * 60) for name in "wb"],
            [port("x", [2, 3, 4, 5])],
            [port(name, [2, 3, 4, 5]) for name in "ymd"])),
    "results that are left out": lambda: model(
        [node("DynamicQuantizeLinear", ["x"], ["y"])], []),
}
