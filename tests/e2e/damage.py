"""Damage to model files: to their bytes, and to what the bytes mean.

Problem: a file with a flipped bit mostly fails in protobuf's, libhdf5's or the
JSON parser, so that the readers behind them, which have to expect any number,
name and kind of value, see little of it.
Idea: two levels. The first knows bytes: bits, sizes, blocks, names. The second
takes the file apart, changes one to three things in it, and puts it together
again, so that it parses: messages of protobuf by a table of ONNX's fields
(values, shapes, types, ops, names, circles, bodies), the JSON of Keras's
configs (wrong kinds, missing keys, deep lists), HDF5's messages near their
signatures. Everything is drawn from one random.Random.
Known weakness: the JSON within an .h5 file has a fixed place; a change that
makes it longer is tried again, and given up after some times.

The tables below are ONNX's onnx.proto, as far as they are used.
"""

import collections
import io
import json
import re
import struct
import zipfile

# ---- Bytes ---------------------------------------------------------------------


def flip_bits(data, source):
    for _ in range(source.choice([1, 2, 8, 64])):
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def set_bytes(data, source):
    for _ in range(source.choice([1, 4, 40])):
        data[source.randrange(len(data))] = source.choice([0, 127, 128, 255])


def truncate(data, source):
    del data[source.randrange(len(data)):]


def huge_sizes(data, source):
    """Numbers of 1, 4 and 8 bytes, as protobuf and HDF5 have them."""
    for _ in range(source.choice([1, 3])):
        put_number(data, source.randrange(len(data)), source)


def put_number(data, at, source):
    value = source.choice([
        b"\xff" * 9 + b"\x01", b"\xff\xff\xff\xff\x07", b"\xff" * 8,
        b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0\0\x01\0\0"])
    data[at:at + len(value)] = value


def swap_blocks(data, source):
    size = source.choice([4, 16, 256])
    a, b = (source.randrange(len(data)) for _ in range(2))
    a, b = min(a, b), max(a, b)
    if a + size <= b <= len(data) - size:
        data[a:a + size], data[b:b + size] = data[b:b + size], data[a:a + size]


def repeat_block(data, source):
    at = source.randrange(len(data))
    block = data[at:at + source.choice([8, 64, 1024])]
    data[at:at] = block * source.choice([1, 3])


def drop_block(data, source):
    at = source.randrange(len(data))
    del data[at:at + source.choice([1, 8, 64, 1024])]


NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_/.]{1,40}")


def exchange_names(data, source):
    """A name becomes another of the same length: duplicates, circles, weights
    that are missing or in each other's place."""
    groups = collections.defaultdict(list)
    for found in NAME.finditer(bytes(data)):
        groups[len(found[0])].append(found)
    groups = [group for group in groups.values()
              if len({found[0] for found in group}) > 1]
    for _ in range(source.choice([1, 2, 5])):
        if groups:
            one, other = source.sample(source.choice(groups), 2)
            data[one.start():one.end()] = other[0]


NUMBER = re.compile(rb"(?<![A-Za-z0-9_.])-?[0-9]+(?![0-9.])")


def change_text(data, source):
    """Numbers and words of JSON."""
    for _ in range(source.choice([1, 2, 5])):
        found = source.choice(list(NUMBER.finditer(bytes(data))) or [None])
        if found:
            new = source.choice([b"0", b"-1", b"2147483648", b"1e999", b"null",
                                 b"999999999999999999999", b"[]", b"{}", b"0.5",
                                 b'"x"'])
            new = new[:len(found[0])] if source.random() < 0.5 else new
            data[found.start():found.end()] = new


BYTES = [flip_bits, set_bytes, truncate, huge_sizes, swap_blocks,
         repeat_block, drop_block, exchange_names, change_text]


def in_bytes(content, source):
    data = bytearray(content)
    for _ in range(source.choice([1, 1, 2])):
        if data:
            source.choice(BYTES)(data, source)
    return bytes(data)


# ---- Protobuf ------------------------------------------------------------------

# Kind of message -> number of field -> its kind: another message, or int, name
# (of a value), op, word (of an attribute's name), text, ints (packed), data.
FIELDS = {
    "model": {7: "graph", 8: "opset"},
    "opset": {1: "text", 2: "int"},
    "graph": {1: "node", 5: "tensor", 11: "port", 12: "port", 13: "port"},
    "node": {1: "name", 2: "name", 4: "op", 5: "attribute", 7: "text"},
    "attribute": {1: "word", 2: "float", 3: "int", 4: "text", 5: "tensor",
                  6: "graph", 7: "data", 8: "ints", 9: "text", 20: "int"},
    "tensor": {1: "ints", 2: "int", 4: "data", 5: "ints", 7: "ints",
               8: "name", 9: "data", 10: "data", 14: "int"},
    "port": {1: "name", 2: "type"},
    "type": {1: "tensor_type", 4: "list_type", 9: "list_type"},
    "list_type": {1: "type"},
    "tensor_type": {1: "int", 2: "shape"},
    "shape": {1: "dim"},
    "dim": {1: "int", 2: "text"},
}
NUMBERS = [0, 1, 2, 3, 5, 7, 8, 11, 16, 64, 255, 4096, 65536, 1 << 20, 1 << 24,
           1 << 31, (1 << 31) - 1, 1 << 40, 1 << 62, (1 << 63) - 1,
           -1, -2, -7, -(1 << 31), -(1 << 63)]


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def take_varint(data, at):
    number, shift = 0, 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


class Message:
    """Fields as lists [number, wire type, value]; a value is a number, bytes or
    another Message."""

    def __init__(self, data, kind):
        self.kind, self.fields, at = kind, [], 0
        while at < len(data):
            key, at = take_varint(data, at)
            field, wire = key >> 3, key & 7
            if wire == 0:
                value, at = take_varint(data, at)
            else:
                size = {1: 8, 5: 4}.get(wire)
                if size is None:
                    size, at = take_varint(data, at)
                value, at = bytes(data[at:at + size]), at + size
            inner = FIELDS[kind].get(field)
            if inner in FIELDS:
                value = Message(value, inner)
            self.fields.append([field, wire, value])

    def pack(self):
        out = []
        for field, wire, value in self.fields:
            out.append(varint(field << 3 | wire))
            if wire == 0:
                out.append(varint(value))
                continue
            value = value.pack() if isinstance(value, Message) else value
            if wire == 2:
                out.append(varint(len(value)))
            out.append(value)
        return b"".join(out)

    def walk(self):
        """This message and all within it."""
        yield self
        for _, _, value in self.fields:
            if isinstance(value, Message):
                yield from value.walk()

    def all(self, *kinds):
        """(message, place) of each field of these kinds, at any depth."""
        return [(message, i) for message in self.walk()
                for i, (field, _, _) in enumerate(message.fields)
                if FIELDS[message.kind].get(field) in kinds]

    def get(self, field):
        return [entry[2] for entry in self.fields if entry[0] == field]


def near(number, source):
    """A number in place of `number`."""
    return source.choice([source.choice(NUMBERS), number + 1, number - 1,
                          source.randrange(20), -number])


def change_number(model, source):
    message, i = source.choice(model.all("int"))
    message.fields[i][2] = near(message.fields[i][2], source)


def change_list(model, source):
    """An element more, less or other, of dims, ints, elements."""
    places = model.all("ints")
    if not places:
        return
    message, i = source.choice(places)
    field, wire, value = message.fields[i]
    numbers, at = [value] if wire == 0 else [], 0
    while wire == 2 and at < len(value):
        number, at = take_varint(value, at)
        numbers.append(number)
    change = source.randrange(3)
    if change == 0 or not numbers:
        numbers.insert(source.randrange(len(numbers) + 1),
                       source.choice(NUMBERS))
    elif change == 1:
        del numbers[source.randrange(len(numbers))]
    else:
        j = source.randrange(len(numbers))
        numbers[j] = near(numbers[j], source)
    message.fields[i] = [field, 2, b"".join(map(varint, numbers))]


def change_data(model, source):
    """Numbers of a tensor: huge, not a number, too few."""
    places = [place for place in model.all("data")
              if place[0].fields[place[1]][1] == 2]
    if not places:
        return
    message, i = source.choice(places)
    data = bytearray(message.fields[i][2])
    # Elements of 8 bytes more often: sizes and indices.
    wide = 7 in message.get(2) or source.random() < 0.3
    value = source.choice(NUMBERS)
    new = struct.pack("<q", value) if wide else struct.pack("<f", source.choice(
        [float("nan"), float("inf"), -1e38, 0.0, -1.0, 0.5, float(value)]))
    if source.random() < 0.15 or not data:
        data = data[:-1] if source.random() < 0.5 else data + new
    else:
        at = source.randrange(len(data)) // len(new) * len(new)
        data[at:at + len(new)] = new
    message.fields[i][2] = bytes(data)


def exchange(*kinds):
    """A field becomes what another one of its kind is, or nothing, or a word
    that nobody knows."""
    def change(model, source):
        places = model.all(*kinds)
        if not places:
            return
        message, i = source.choice(places)
        other, j = source.choice(places)
        new = other.fields[j][2]
        if kinds[0] in ("name", "text") and source.random() < 0.2:
            new = source.choice([b"", b"?", b"\xff\xfe\0", b"x" * 5000])
        if isinstance(new, Message):
            new = Message(new.pack(), new.kind)
        message.fields[i][2] = new
    return change


OPS = """Abs ArgMax AveragePool BatchNormalization Cast Clip Compress Concat
Constant ConstantOfShape Conv ConvInteger ConvTranspose CumSum DFT
DepthToSpace DequantizeLinear Det DynamicQuantizeLinear Einsum Expand EyeLike
Flatten GRU Gather GatherElements GatherND Gemm GlobalAveragePool GridSample
HannWindow Hardmax If InstanceNormalization LRN LSTM LayerNormalization Loop
LpPool MatMul MatMulInteger MaxPool MaxRoiPool MaxUnpool MeanVarianceNormalization
MelWeightMatrix Mod NonMaxSuppression NonZero OneHot Pad QLinearConv
QLinearMatMul QuantizeLinear RNN Range ReduceMax ReduceSum Reshape Resize
ReverseSequence RoiAlign STFT Scan Scatter ScatterElements ScatterND SequenceAt
SequenceConstruct SequenceInsert Shape Slice Softmax SpaceToDepth Split
SplitToSequence Squeeze Tile TopK Transpose Trilu Unique Unsqueeze Upsample
Where""".split()


def change_op(model, source):
    message, i = source.choice(model.all("op"))
    message.fields[i][2] = source.choice(OPS).encode()


def drop_field(model, source):
    message = source.choice([m for m in model.walk() if m.fields])
    del message.fields[source.randrange(len(message.fields))]


def repeat_field(model, source):
    message = source.choice([m for m in model.walk() if m.fields])
    field, wire, value = source.choice(message.fields)
    if isinstance(value, Message):
        value = Message(value.pack(), value.kind)
    message.fields.insert(source.randrange(len(message.fields) + 1),
                          [field, wire, value])


def swap_fields(model, source):
    """Nodes, inputs and the like change places."""
    message = source.choice([m for m in model.walk() if len(m.fields) > 1])
    a, b = source.sample(range(len(message.fields)), 2)
    fields = message.fields
    fields[a], fields[b] = fields[b], fields[a]


def make_circle(model, source):
    """A node reads its own result, or a later one's."""
    nodes = [m for m in model.walk() if m.kind == "node"]
    reader = source.choice(nodes)
    names = source.choice([reader, source.choice(nodes)]).get(2)
    inputs = [i for i, entry in enumerate(reader.fields) if entry[0] == 1]
    if names and inputs:
        reader.fields[source.choice(inputs)][2] = source.choice(names)


def add_attribute(model, source):
    """An attribute that its node does not expect."""
    nodes = [m for m in model.walk() if m.kind == "node"]
    attributes = [m for m in model.walk() if m.kind == "attribute"]
    word = source.choice([
        "axis", "axes", "kernel_shape", "pads", "strides", "dilations", "group",
        "keepdims", "perm", "to", "auto_pad", "hidden_size", "direction",
        "activations", "layout", "equation", "mode", "body", "batch_dims",
        "block_size", "num_scan_inputs", "storage_order", "k", "ceil_mode"])
    number = source.choice(NUMBERS) & (1 << 64) - 1
    new = Message(b"", "attribute")
    new.fields = [[1, 2, word.encode()]] + source.choice([
        [[3, 0, number], [20, 0, 2]], [[8, 2, varint(number)], [20, 0, 7]],
        [[8, 2, b""], [20, 0, 7]], [[4, 2, b"?"], [20, 0, 3]],
        [[2, 5, b"\0\0\xc0\x7f"], [20, 0, 1]], [[3, 0, number]]])
    if attributes and source.random() < 0.3:
        new = Message(source.choice(attributes).pack(), "attribute")
    source.choice(nodes).fields.append([5, 2, new])


def nest(model, source):
    """A body becomes the whole graph, or holds itself some levels deep."""
    bodies = [place for place in model.all("graph") if place[0] is not model]
    if not bodies:
        return
    message, i = source.choice(bodies)
    body = source.choice([message.fields[i][2], model.get(7)[0]])
    for _ in range(source.choice([1, 2, 5])):
        copy = Message(body.pack(), "graph")
        inner = [place for place in copy.all("graph")]
        if not inner or len(copy.pack()) > 1 << 20:
            break
        holder, j = source.choice(inner)
        holder.fields[j][2] = Message(body.pack(), "graph")
        body = copy
    message.fields[i][2] = Message(body.pack(), "graph")


ONNX = [change_number, change_number, change_list, change_list, change_data,
        change_data, exchange("name"), exchange("name"), exchange("word"),
        exchange("tensor"), exchange("shape", "type"), exchange("attribute"),
        exchange("op"), exchange("graph"), exchange("node"), exchange("text"),
        change_op, drop_field, drop_field, repeat_field, swap_fields,
        make_circle, add_attribute, nest]


def in_onnx(content, source):
    model = Message(content, "model")
    for _ in range(source.choice([1, 1, 2, 3])):
        try:
            source.choice(ONNX)(model, source)
        except IndexError:
            pass  # nothing of the kind is left
    return model.pack()


def with_constants(content, tensors):
    """A model with `tensors` (files of TensorProto) as initializers in place of
    its inputs, in order; None for one that stays an input."""
    model = Message(content, "model")
    graph = model.get(7)[0]
    inputs = [field for field in graph.fields if field[0] == 11]
    for port, data in zip(inputs, tensors):
        if data is None:
            continue
        tensor = Message(data, "tensor")
        tensor.fields = [f for f in tensor.fields if f[0] != 8]
        tensor.fields.append([8, 2, port[2].get(1)[0]])
        graph.fields.append([5, 2, tensor])
    return model.pack()


# ---- JSON ----------------------------------------------------------------------


def places_of(value, found):
    """(container, key) of everything in it."""
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places_of(value[key], found)
    return found


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def change_json(value, source):
    places = places_of(value, [])
    if not places:
        return
    holder, key = source.choice(places)
    change = source.randrange(6)
    if change == 0:
        del holder[key]
    elif change == 1:  # what is somewhere else
        other, place = source.choice(places)
        holder[key] = json.loads(json.dumps(other[place]))
    elif change == 2 and isinstance(holder, list):
        holder.insert(source.randrange(len(holder) + 1),
                      json.loads(json.dumps(holder[key])))
    elif change == 3 and isinstance(holder, list):
        source.shuffle(holder)
    elif isinstance(holder[key], int) and source.random() < 0.5:
        holder[key] = near(holder[key], source)
    else:
        holder[key] = source.choice([
            None, True, False, "", "x", "-1", -1, 0, 1, 2.5, -0.0, 1e300, 1e-300,
            1 << 31, -(1 << 31), (1 << 63) - 1, 1 << 64, 10 ** 30, [], {}, [0],
            [[]], [-1, -1], [1 << 40] * 3, {"class_name": "Dense", "config": {}},
            {"class_name": None, "config": None}, {"a": {"a": [1]}},
            list(range(9)), deep(20), deep(150), "\0\ud83d", "x" * 3000, "same",
            "causal", "channels_first", ["a", 0, 0], ["a", 0, 0, {}], "lambda"])


def in_json(text, source):
    value = json.loads(text)
    for _ in range(source.choice([1, 1, 2, 3])):
        if isinstance(value, (dict, list)):
            change_json(value, source)
    return json.dumps(value, separators=(",", ":"))


# ---- Keras's files -------------------------------------------------------------


def in_keras(content, source):
    """One member of the archive: its JSON, or its HDF5; the archive opens."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, \
            zipfile.ZipFile(buffer, "w") as new:
        names = old.namelist()
        victim = source.choice(names + ["config.json"] * 3)
        for name in names:
            data = old.read(name)
            if name == victim:
                level = source.random() < 0.2
                data = (in_bytes(data, source) if level else
                        in_json(data, source).encode()
                        if name.endswith(".json") else in_hdf5(data, source))
            new.writestr(name, data)
    return buffer.getvalue()


SIGNATURE = re.compile(rb"TREE|SNOD|HEAP|GCOL|OHDR|OCHK|FRHP|FHDB|BTHD|BTLF|FADB"
                       rb"|\x89HDF")


def in_hdf5(content, source):
    """The config, in its place; else numbers behind the signatures of HDF5's
    parts, where addresses, sizes and types are."""
    data = bytearray(content)
    start = content.find(b'{"')
    if start >= 0 and source.random() < 0.6:
        text = content[start:].decode("latin-1")
        try:
            _, size = json.JSONDecoder().raw_decode(text)
        except ValueError:
            size = 0
        for _ in range(20 if size else 0):
            new = in_json(text[:size], source).encode()
            if len(new) <= size:
                data[start:start + size] = new.ljust(size)
                return bytes(data)
    places = [found.start() for found in SIGNATURE.finditer(content)]
    for _ in range(source.choice([1, 1, 3])):
        if not places:
            return in_bytes(content, source)
        at = min(source.choice(places) + 4 + source.randrange(300),
                 len(data) - 1)
        if source.random() < 0.5:
            data[at] = source.choice([0, 1, 2, 3, 8, 16, 127, 255])
        else:
            put_number(data, at, source)
    return bytes(data)


MEANING = {"onnx": in_onnx, "h5": in_hdf5, "keras": in_keras,
           "json": lambda content, source: in_json(content, source).encode()}


def damaged(content, ending, source):
    """`content` of a file with this ending after damage of either level."""
    level = MEANING[ending] if source.random() < 0.65 else in_bytes
    return level(content, source)
