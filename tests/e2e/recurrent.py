"""States and masks of recurrent layers.

Networks with masks and with states handed from layer to layer train as the same
in PyTorch, step by step (torch_models.py tells how); what a masked step does is
written out there. Encoders and decoders go out to files of Keras and ONNX and
come back, as Keras's tutorials have them; files of Keras 2 and 3 are made by
hand, since no Keras is here.

Skipped without PyTorch (Debian's python3-torch).
"""

import json
import os
import unittest

import e2e
from keras import import_model, sinter
from torch_models import ACTIVATIONS, Network, TorchModels

try:
    import numpy
except ImportError:
    numpy = None


def walk(t, w, prefix, cell, x, states=(), mask=None, zero_output=False):
    """A recurrent layer by Keras's formulas: what each step gives, in the order
    of processing, and the states at the end."""
    kind, units = cell["kind"], cell["units"]
    act = ACTIVATIONS[cell.get("activation", "tanh")]
    gate = t.sigmoid
    kernel, own = w[prefix + "kernel"], w[prefix + "recurrent_kernel"]
    bias = w[prefix + "bias"]
    zeros = x.new_zeros(len(x), units)
    states = list(states) or [zeros] * (2 if kind == "lstm" else 1)
    output, results = zeros, []
    order = list(range(x.shape[1]))
    for step in order[::-1] if cell.get("go_backwards") else order:
        h = states[0]
        if kind == "simple_rnn":
            new = [act(t, x[:, step] @ kernel + bias + h @ own)]
        elif kind == "lstm":
            i, f, g, o = (x[:, step] @ kernel + bias + h @ own).split(units, 1)
            c = gate(f) * states[1] + gate(i) * act(t, g)
            new = [gate(o) * act(t, c), c]
        else:
            xz, xr, xn = (x[:, step] @ kernel + bias[0]).split(units, 1)
            hz, hr, hn = (h @ own + bias[1]).split(units, 1)
            z, n = gate(xz + hz), act(t, xn + gate(xr + hr) * hn)
            new = [z * h + (1 - z) * n]
        if mask is None:
            output, states = new[0], new
        else:
            on = mask[:, step, None]
            output = t.where(on, new[0], zeros if zero_output else output)
            states = [t.where(on, a, b) for a, b in zip(new, states)]
        results.append(output)
    return results, states


class Masked(Network):
    """One network for each seed."""

    def make(self):
        self.samples, self.classes, self.last = 16, 3, "input"
        self.mask = self.marks = None
        FORMS[self.seed](self)
        self.dense(self.classes, "softmax")

    def __init__(self, seed):
        self.seed = seed
        super().__init__(seed)

    # ---- Layers

    def embedding(self, words=5, width=4, steps=9):
        self.shapes["input"] = self.input = (steps,)
        self.vocabulary = words
        name = "embedding_" + self.next_name
        table = self.parameter(name, "embeddings", (words, width), -1, 1)

        def run(t, w, x):
            self.mask = x != 0
            return w[table][x.long()]
        return self.layer("embedding", {"input_dim": words, "mask_zero": True,
                                        "output_dim": width}, (steps, width),
                          run, ["input"])

    def masking(self, value, steps=8, features=3):
        self.shapes["input"] = self.input = (steps, features)
        self.marks = sorted({*(self.marks or ()), value})

        def run(t, w, x):
            self.mask = (x != value).any(-1)
            return x * self.mask[..., None]
        return self.layer("masking", {"mask_value": value}, (steps, features),
                          run, ["input"])

    def cell(self, kind, units, prefix, name, features):
        width = units * {"simple_rnn": 1, "gru": 3, "lstm": 4}[kind]
        self.parameter(name, prefix + "kernel", (features, width))
        self.parameter(name, prefix + "recurrent_kernel", (units, width))
        self.parameter(name, prefix + "bias",
                       (2, width) if kind == "gru" else (width,), -0.3, 0.3)

    def recurrent(self, kind, units, masked=True, states=(), **arguments):
        """Its mask is the last one made. Returns the name."""
        name = f"{kind}_{self.next_name}"
        steps, features = self.shape
        self.cell(kind, units, "", name, features)
        cell = dict(arguments, kind=kind, units=units)
        sequences = arguments.get("return_sequences", False)

        def run(t, w, x, *first):
            results, left = walk(t, w, name + "/", cell, x, first,
                                 self.mask if masked else None,
                                 arguments.get("zero_output_for_mask"))
            self.left[name] = left
            return t.stack(results, 1) if sequences else results[-1]
        return self.layer(kind, dict(arguments, units=units),
                          (steps, units) if sequences else (units,), run,
                          [self.last, *states])

    def bidirectional(self, kind, units, masked=True, **arguments):
        name = "bidirectional_" + self.next_name
        steps, features = self.shape
        for side in ("forward_", "backward_"):
            self.cell(kind, units, side, name, features)
        sequences = arguments.get("return_sequences", False)

        def run(t, w, x):
            mask = self.mask if masked else None
            cell = {"kind": kind, "units": units}
            a, left = walk(t, w, name + "/forward_", cell, x, (), mask,
                           sequences)
            b, right = walk(t, w, name + "/backward_",
                            dict(cell, go_backwards=True), x, (), mask,
                            sequences)
            self.left[name] = left + right
            if not sequences:
                return t.cat((a[-1], b[-1]), -1)
            return t.cat((t.stack(a, 1), t.stack(b[::-1], 1)), -1)
        return self.layer("bidirectional",
                          {"layer": {kind: dict(arguments, units=units)}},
                          (steps, 2 * units) if sequences else (2 * units,),
                          run)

    def state(self, layer, index, units):
        return self.layer("state", {"index": index}, (units,),
                          lambda t, w, x: self.left[layer][index], [layer])

    def average(self, masked=True):
        def run(t, w, x):
            if not masked:
                return x.mean(1)
            mask = self.mask[..., None]
            return (x * mask).sum(1) / mask.sum(1)
        self.layer("global_average_pooling1d", {}, self.shape[-1:], run)

    def run(self, t, w, x):
        self.left, self.values = {}, {"input": x}
        for name, inputs, function in self.functions:
            self.values[name] = function(t, w,
                                         *[self.values[i] for i in inputs])
        return self.values[self.last]  # logits

    # ---- Forms

    def words(self):
        """Two layers one on the other; the second gives its last step."""
        self.embedding()
        self.recurrent("lstm", 6, return_sequences=True)
        self.layer("dropout", {"rate": 0}, self.shape, lambda t, w, x: x)
        self.recurrent("gru", 5)

    def backwards(self):
        self.embedding()
        self.recurrent("lstm", 6, return_sequences=True, go_backwards=True)
        self.average()

    def both_ways(self):
        self.embedding()
        self.bidirectional("lstm", 4, return_sequences=True)
        self.time_distributed(5)
        self.average()

    def both_ways_last(self):
        self.embedding()
        self.bidirectional("gru", 4)

    def numbers(self):
        self.masking(2)
        self.recurrent("simple_rnn", 4, return_sequences=True,
                       zero_output_for_mask=True)
        name = "layer_normalization_" + self.next_name
        gamma = self.parameter(name, "gamma", self.shape[-1:], 0.5, 1.5)
        beta = self.parameter(name, "beta", self.shape[-1:], -0.5, 0.5)
        self.layer("layer_normalization", {}, self.shape,
                   lambda t, w, x: t.nn.functional.layer_norm(
                       x, x.shape[-1:], w[gamma], w[beta], 1e-3))
        self.recurrent("gru", 5, zero_output_for_mask=True)

    def time_distributed(self, units):
        name = "time_distributed_" + self.next_name
        kernel = self.parameter(name, "kernel", (self.shape[-1], units))
        bias = self.parameter(name, "bias", (units,), -0.1, 0.1)
        self.layer("time_distributed",
                   {"layer": {"dense": {"units": units,
                                        "activation": "tanh"}}},
                   (self.shape[0], units),
                   lambda t, w, x: t.tanh(x @ w[kernel] + w[bias]))

    def ends(self):
        """A mask ends at a reshape."""
        self.embedding()
        self.layer("reshape", {"target_shape": [6, 6]}, (6, 6),
                   lambda t, w, x: x.reshape(len(x), 6, 6))
        self.recurrent("lstm", 4, masked=False, return_sequences=True)
        self.average(masked=False)

    def merged(self):
        """Sums are masked where all terms are, joined features likewise, and
        joined steps have the masks one after the other."""
        one = self.masking(2)
        two = self.masking(-3)

        def joined(t, join):
            own = [(self.values["input"] != v).any(-1) for v in (2, -3)]
            self.mask = join(own)
        self.layer("add", {}, self.shape, lambda t, w, a, b: (
            joined(t, lambda m: m[0] | m[1]), a + b)[1], [one, two])
        added = self.last
        self.layer("concatenate", {}, (8, 6), lambda t, w, a, b: (
            joined(t, lambda m: m[0] | m[1]), t.cat((a, b), -1))[1],
            [added, two])
        self.recurrent("gru", 3, return_sequences=True)
        last = self.last
        self.layer("concatenate", {"axis": 1}, (16, 3), lambda t, w, a, b: (
            joined(t, lambda m: t.cat((m[0] | m[1], m[0]), 1)),
            t.cat((a, b), 1))[1], [last, one])
        self.recurrent("lstm", 4, return_sequences=True)
        last = self.last
        # The input has no mask, so the sum has none.
        self.layer("concatenate", {"axis": 1}, (16, 3),
                   lambda t, w, a, b: t.cat((a, b), 1), ["input", "input"])
        self.dense(4)
        self.layer("add", {}, (16, 4), lambda t, w, a, b: a + b,
                   [self.last, last])
        self.average(masked=False)

    @staticmethod
    def attention(kind, **arguments):
        def form(self):
            words = self.embedding(width=6)
            self.dense(6, "tanh")
            query = self.last
            name = f"{kind}_{self.next_name}"
            scale = self.parameter(name, "scale",
                                   (6,) if kind != "attention" else (), 0.5,
                                   1.5)

            def run(t, w, q, v):
                if kind == "attention":
                    scores = q @ v.transpose(-1, -2) * w[scale]
                else:
                    scores = (t.tanh(q[:, :, None] + v[:, None])
                              * w[scale]).sum(-1)
                on = self.mask[:, None]
                if arguments.get("use_causal_mask"):
                    on = on & t.ones(9, 9, dtype=t.bool).tril()
                weights = t.softmax(scores - 1e9 * ~on, -1)
                return weights @ v * self.mask[..., None]
            self.layer(kind, dict(arguments, use_scale=True), (9, 6), run,
                       [query, words])
            self.recurrent("lstm", 4)
        return form

    def heads(self):
        words = self.embedding(width=6)
        self.recurrent("gru", 5, return_sequences=True)
        query = self.last
        name = "multi_head_attention_" + self.next_name
        for part, size in (("query", 5), ("key", 6), ("value", 6)):
            self.parameter(name, part + "/kernel", (size, 2, 3), -0.5, 0.5)
            self.parameter(name, part + "/bias", (2, 3), -0.2, 0.2)
        self.parameter(name, "attention_output/kernel", (2, 3, 5), -0.5, 0.5)
        self.parameter(name, "attention_output/bias", (5,), -0.2, 0.2)

        def run(t, w, query, value):
            q, k, v = (t.einsum("ntf,fhd->nhtd", x, w[f"{name}/{p}/kernel"])
                       + w[f"{name}/{p}/bias"][:, None] for p, x in
                       (("query", query), ("key", value), ("value", value)))
            scores = q @ k.transpose(-1, -2) / 3 ** 0.5
            on = self.mask[:, None, None] & self.mask[:, None, :, None]
            weights = t.softmax(scores.masked_fill(~on, -1e9), -1)
            return t.einsum("nhtd,hdf->ntf", weights @ v,
                            w[name + "/attention_output/kernel"]) \
                + w[name + "/attention_output/bias"]
        self.layer("multi_head_attention", {"num_heads": 2, "key_dim": 3},
                   (9, 5), run, [query, words])
        self.average()

    def states(self):
        """An encoder's states start a decoder, which is masked from its first
        step on in some samples: these steps give 0."""
        self.embedding()
        encoder = self.recurrent("lstm", 5, return_state=True,
                                 go_backwards=True)
        h, c = self.state(encoder, 0, 5), self.state(encoder, 1, 5)
        self.last = "embedding_0"
        self.recurrent("lstm", 5, states=[h, c], return_sequences=True)
        self.average()

    def states_both_ways(self):
        """What two directions leave starts one of twice the size."""
        self.shapes["input"] = self.input = (5, 3)
        both = self.bidirectional("gru", 4, masked=False, return_state=True,
                                  return_sequences=True)
        states = [self.state(both, 0, 4), self.state(both, 1, 4)]
        self.layer("concatenate", {}, (8,),
                   lambda t, w, a, b: t.cat((a, b), -1), states)
        start, self.last = self.last, both
        last = self.recurrent("gru", 8, masked=False, states=[start],
                              return_state=True)
        self.layer("add", {}, (8,), lambda t, w, a, b: a + b,
                   [last, self.state(last, 0, 8)])


FORMS = (
    Masked.words, Masked.backwards, Masked.both_ways, Masked.both_ways_last,
    Masked.numbers, Masked.ends, Masked.merged, Masked.attention("attention"),
    Masked.attention("attention", use_causal_mask=True),
    Masked.attention("additive_attention"), Masked.heads, Masked.states,
    Masked.states_both_ways)


class TorchMasks(TorchModels):
    networks = [(Masked, seed) for seed in range(len(FORMS))]

    def numbers(self, network, seed):
        weights, images, labels = super().numbers(network, seed)
        source = self.numpy.random.default_rng(seed)
        if hasattr(network, "vocabulary"):
            images = source.integers(0, network.vocabulary, images.shape)
            # One step of each sample is there; the first sample has a gap in
            # its middle, the next ones end and begin masked.
            images[:, 4] = 1
            images[0, 1:3], images[1, 5:], images[2, :3] = 0, 0, 0
            images = images.astype("float32")
        for value in network.marks or ():
            images[source.uniform(size=images.shape[:2]) < 0.3] = value
        return weights, images, labels


del TorchModels  # its own networks have a test of their own


class RecurrentDropout(unittest.TestCase):
    def test_one_mask_for_all_steps(self):
        """h' = 1 + m h from 0, where m is 0 or 2 in training: after 6 steps 1
        or 63, if it is the same in all steps, and nothing between."""
        e2e.import_or_skip("numpy")
        folder = e2e.scratch("dropped")
        os.makedirs(folder)
        numpy.save(folder + "/x.npy", numpy.ones((1, 6, 1), "f4"))
        numpy.save(folder + "/y.npy", numpy.zeros((1, 1), "f4"))
        trainer = e2e.Trainer("""
model: dropped
input: {shape: [6, 1]}
layers:
  - simple_rnn: {units: 1, activation: linear, recurrent_dropout: 0.5,
                 kernel_initializer: ones, recurrent_initializer: ones}
loss: mse
optimizer: {sgd: {learning_rate: 1e-30}}
data:
  train: {images: x.npy, labels: y.npy}
train: {epochs: 40, batch_size: 1}
""", "dropped")
        saved = e2e.scratch("dropped.safetensors")
        losses = trainer.train(folder, save=saved)["loss"]
        self.assertEqual({round(loss ** 0.5, 3) for loss in losses}, {1, 63})
        # Nothing is dropped then.
        self.assertEqual(
            list(trainer.predict(saved, folder + "/x.npy")[1]), [6])


# ---- Files -------------------------------------------------------------------

# As Keras's tutorial "A ten-minute introduction to sequence-to-sequence
# learning" has it.
TRANSLATOR = """
model: translator
inputs:
  source: {shape: [6, 3]}
  target: {shape: [4, 2]}
layers:
  - %s
  - %s
outputs: [%s]
"""
LSTM = TRANSLATOR % ("""lstm: {units: 5, return_state: true, name: encoder, inputs: [source]}
  - state: {name: encoder_state}
  - state: {index: 1, name: encoder_state_1, inputs: [encoder]}""",
                     """lstm: {units: 5, return_sequences: true, return_state: true, name: decoder, inputs: [target, encoder_state, encoder_state_1]}
  - dense: {units: 2, activation: softmax, name: letters}
  - state: {index: 1, name: decoder_state_1, inputs: [decoder]}""",
                     "letters, decoder_state_1")
BOTH = TRANSLATOR % ("""bidirectional: {layer: {gru: {units: 3, return_state: true}}, name: encoder, inputs: [source]}
  - state: {name: encoder_state}
  - state: {index: 1, name: encoder_state_1, inputs: [encoder]}
  - concatenate: {name: joined, inputs: [encoder_state, encoder_state_1]}""",
                     """gru: {units: 6, return_sequences: true, name: decoder, inputs: [target, joined]}
  - dense: {units: 2, activation: softmax, name: letters}""",
                     "encoder, letters")


class Files(unittest.TestCase):
    """Encoders and decoders go out to files and come back."""

    def setUp(self):
        self.torch = e2e.import_or_skip("torch")
        e2e.import_or_skip("numpy")
        source = numpy.random.default_rng(3)
        self.inputs = {"source": source.uniform(-1, 1, (7, 6, 3)).astype("f4"),
                       "target": source.uniform(-1, 1, (7, 4, 2)).astype("f4")}

    def weights(self, shapes):
        source = numpy.random.default_rng(4)
        return {name: source.uniform(-0.7, 0.7, shape)
                for name, shape in shapes.items()}

    def program(self, source, *flags):
        path = e2e.scratch("program")
        sinter("compile", source, "-o", path, *flags)
        return path

    def predict(self, program, inputs):
        archive, output = e2e.scratch("in.npz"), e2e.scratch("out.npz")
        numpy.savez(archive, **inputs)
        e2e.run(program, "predict", "--input", archive, "--output", output)
        with numpy.load(output) as file:
            return dict(file)

    def check(self, got, want):
        for name, values in want.items():
            self.assertEqual(got[name].shape, values.shape)
            self.assertLess(abs(got[name] - values).max(), 1e-5, name)

    def round_trips(self, name, text, weights, want, lines=True):
        spec = e2e.write(name + ".yaml", text)
        saved = e2e.write_safetensors(e2e.scratch(name + ".safetensors"), {
            key: (list(values.shape), [float(x) for x in values.flat])
            for key, values in weights.items()})
        self.check(self.predict(self.program(spec, "--weights", saved),
                                self.inputs), want)
        for ending in "h5", "keras", "onnx":
            path = e2e.scratch(f"{name}.{ending}")
            sinter("export", "--spec", spec, "--weights", saved, "-o", path)
            written, read = import_model(path, f"{name}-{ending}")
            if ending != "onnx":
                self.assertEqual(
                    [line.strip() for line in written.split("\n")
                     if line.strip().startswith("- ")],
                    [line.strip() for line in text.split("\n")
                     if line.strip().startswith("- ")])
                self.assertEqual(sorted(read), sorted(weights))
            self.check(self.predict(self.program(path), self.inputs), want)
            folder = e2e.scratch(f"{name}-{ending}/")
            self.check(self.predict(self.program(
                folder + "spec.yaml", "--weights",
                folder + "weights.safetensors"), self.inputs), want)

    def tensors(self, weights):
        torch = self.torch
        return torch, {n: torch.tensor(v) for n, v in weights.items()}, {
            n: torch.tensor(v.astype("f8")) for n, v in self.inputs.items()}

    def test_lstm(self):
        weights = self.weights({
            "encoder/kernel": (3, 20), "encoder/recurrent_kernel": (5, 20),
            "encoder/bias": 20, "decoder/kernel": (2, 20),
            "decoder/recurrent_kernel": (5, 20), "decoder/bias": 20,
            "letters/kernel": (5, 2), "letters/bias": 2})
        t, w, x = self.tensors(weights)
        cell = {"kind": "lstm", "units": 5}
        _, states = walk(t, w, "encoder/", cell, x["source"])
        steps, states = walk(t, w, "decoder/", cell, x["target"], states)
        letters = t.softmax(t.stack(steps, 1) @ w["letters/kernel"]
                            + w["letters/bias"], -1)
        self.round_trips("translator", LSTM, weights, {
            "letters": letters.numpy(), "decoder_state_1": states[1].numpy()})

    def test_both_ways(self):
        cells = {"encoder/forward_": (3, 3), "encoder/backward_": (3, 3),
                 "decoder/": (2, 6)}
        shapes = {"letters/kernel": (6, 2), "letters/bias": 2}
        for name, (features, units) in cells.items():
            shapes[name + "kernel"] = features, 3 * units
            shapes[name + "recurrent_kernel"] = units, 3 * units
            shapes[name + "bias"] = 2, 3 * units
        weights = self.weights(shapes)
        t, w, x = self.tensors(weights)
        cell = {"kind": "gru", "units": 3}
        _, left = walk(t, w, "encoder/forward_", cell, x["source"])
        _, right = walk(t, w, "encoder/backward_",
                        dict(cell, go_backwards=True), x["source"])
        start = t.cat((left[0], right[0]), -1)
        steps, _ = walk(t, w, "decoder/", {"kind": "gru", "units": 6},
                        x["target"], [start])
        letters = t.softmax(t.stack(steps, 1) @ w["letters/kernel"]
                            + w["letters/bias"], -1)
        self.round_trips("both", BOTH, weights, {
            "encoder": start.numpy(), "letters": letters.numpy()})

    def test_masks(self):
        """Files of Keras have masks, those of ONNX do not."""
        text = """
model: words
input: {shape: [5]}
layers:
  - embedding: {input_dim: 9, output_dim: 4, mask_zero: true}
  - lstm: {units: 3, return_sequences: true, zero_output_for_mask: true}
  - masking: 0.5
  - global_average_pooling1d
"""
        spec = e2e.write("words.yaml", text)
        shapes = {"embedding/embeddings": (9, 4), "lstm/kernel": (4, 12),
                  "lstm/recurrent_kernel": (3, 12), "lstm/bias": 12}
        weights = e2e.write_safetensors(e2e.scratch("words.safetensors"), {
            key: (list(values.shape), [float(x) for x in values.flat])
            for key, values in self.weights(shapes).items()})
        for ending in "h5", "keras":
            path = e2e.scratch("words." + ending)
            sinter("export", "--spec", spec, "--weights", weights, "-o", path)
            written, _ = import_model(path, "words-" + ending)
            for line in text.split("\n")[3:-1]:
                self.assertIn(line.strip().rstrip("}"), written)
        message = sinter("export", "--spec", spec, "--weights", weights, "-o",
                         e2e.scratch("words.onnx"), status=1)
        self.assertIn("layer 'lstm' (lstm): ONNX has no masks of steps, which "
                      "it reads", message)
        self.assertIn("'global_average_pooling1d'", message)


# ---- Models as Keras writes them -----------------------------------------------


def layer(name, class_name, nodes, module="keras.layers", **config):
    return {"module": module, "class_name": class_name,
            "config": dict(config, name=name), "name": name,
            "inbound_nodes": nodes}


def start(name, *shape):
    return layer(name, "InputLayer", [], batch_shape=[None, *shape],
                 dtype="float32")


def tensor(name, index=0):
    return {"class_name": "__keras_tensor__",
            "config": {"shape": [None, 4], "dtype": "float32",
                       "keras_history": [name, 0, index]}}


def call(*args, **kwargs):
    return [{"args": list(args), "kwargs": kwargs}]


class ByHand(unittest.TestCase):
    def imported(self, name, layers, inputs, outputs, status=0):
        path = e2e.write(name + ".json", json.dumps({
            "class_name": "Functional", "config": {
                "name": name, "layers": layers,
                "input_layers": [[i, 0, 0] for i in inputs],
                "output_layers": outputs}}))
        if status:
            return sinter("import", path, "-o", e2e.scratch("none"),
                          status=status)
        spec, _ = import_model(path, name)
        return [line.strip() for line in spec.split("\n")
                if line.startswith("  - ")]

    def test_masks_of_keras_3(self):
        """Masks are functions there, and arguments of the calls that heed
        them."""
        mask = tensor("not_equal")
        zero = layer("not_equal", "NotEqual", call(tensor("ids"), 0),
                     module="keras.src.ops.numpy")
        words = layer("words", "Embedding", call(tensor("ids")), input_dim=9,
                      output_dim=4, mask_zero=True)
        numbers = [
            layer("gaps", "Masking", call(tensor("x")), mask_value=2.0),
            layer("not_equal_1", "NotEqual", call(tensor("x"), 2.0),
                  module="keras.src.ops.numpy"),
            layer("any", "Any", call(tensor("not_equal_1"), axis=-1,
                                     keepdims=False),
                  module="keras.src.ops.numpy")]
        encoder = layer("encoder", "LSTM",
                        call(tensor("words"), training=False, mask=mask),
                        units=4, return_state=True)
        decoder = layer(
            "decoder", "LSTM", call(tensor("gaps"), mask=tensor("any"),
                                    initial_state=[tensor("encoder", 1),
                                                   tensor("encoder", 2)]),
            units=4, return_sequences=True)
        attention = layer(
            "heads", "MultiHeadAttention",
            call(tensor("decoder"), tensor("words"), query_mask=tensor("any"),
                 value_mask=mask), num_heads=2, key_dim=3)
        mean = layer("mean", "GlobalAveragePooling1D",
                     call(tensor("heads"), mask=tensor("any")))
        inputs = [start("ids", 5), start("x", 6, 3)]
        got = self.imported("masks", [*inputs, words, *numbers, zero, encoder,
                                      decoder, attention, mean],
                            ["ids", "x"], [["mean", 0, 0]])
        self.assertEqual(got, [
            "- embedding: {input_dim: 9, output_dim: 4, mask_zero: true, "
            "name: words, inputs: [ids]}",
            "- masking: {mask_value: 2, name: gaps, inputs: [x]}",
            "- lstm: {units: 4, return_state: true, name: encoder, inputs: "
            "[words]}",
            "- state: {name: encoder_state}",
            "- state: {index: 1, name: encoder_state_1, inputs: [encoder]}",
            "- lstm: {units: 4, return_sequences: true, name: decoder, "
            "inputs: [gaps, encoder_state, encoder_state_1]}",
            "- multi_head_attention: {num_heads: 2, key_dim: 3, name: heads, "
            "inputs: [decoder, words]}",
            "- global_average_pooling1d: {name: mean}"])

        # A mask that is not the input's, or is data, too.
        other = layer("encoder", "LSTM", call(tensor("words"),
                                              mask=tensor("any")), units=4)
        self.assertIn(
            "layer 'encoder' (LSTM): it is called with a 'mask' of its own, "
            "which is not supported yet; expected the one of its input",
            self.imported("other", [*inputs, words, *numbers, zero, other],
                          ["ids", "x"], [["encoder", 0, 0]], status=1))
        self.assertIn(
            "layer 'not_equal' (NotEqual): it is called with more than "
            "tensors, which is not supported yet",
            self.imported("data", [inputs[0], words, zero, layer(
                "sum", "Dense", call(mask), units=2)], ["ids"],
                [["sum", 0, 0]], status=1))
        ended = [layer("flat", "Reshape", call(tensor("words")),
                       target_shape=[5, 4]),
                 layer("mean", "GlobalAveragePooling1D",
                       call(tensor("flat"), mask=mask))]
        self.assertIn(
            "layer 'mean' (GlobalAveragePooling1D): the file gives it a mask, "
            "but none gets to its inputs",
            self.imported("ended", [inputs[0], words, zero, *ended], ["ids"],
                          [["mean", 0, 0]], status=1))

    def test_states_of_keras_2(self):
        """They are further inputs, or named."""
        ends = [start("a", 5, 3), start("b", 4, 2)]
        encoder = layer("encoder", "GRU", [[["a", 0, 0, {}]]], units=3,
                        return_state=True, reset_after=True)
        for calls in ([[["b", 0, 0, {}], ["encoder", 0, 1, {}]]],
                      [[["b", 0, 0, {"initial_state": [["encoder", 0, 1]]}]]],
                      [[["b", 0, 0, {"initial_state": ["encoder", 0, 1]}]]]):
            decoder = layer("decoder", "GRU", calls, units=3, reset_after=True)
            got = self.imported("states", [*ends, encoder, decoder],
                                ["a", "b"], [["decoder", 0, 0]])
            self.assertEqual(got, [
                "- gru: {units: 3, return_state: true, name: encoder, "
                "inputs: [a]}",
                "- state: {name: encoder_state}",
                "- gru: {units: 3, name: decoder, inputs: [b, "
                "encoder_state]}"])
        self.assertIn(
            "layer 'decoder' reads result number 3 of the layer 'encoder', "
            "which has 2",
            self.imported("none", [*ends, encoder, layer(
                "decoder", "GRU", [[["encoder", 0, 2, {}]]], units=3)],
                ["a", "b"], [["decoder", 0, 0]], status=1))


class Torch(unittest.TestCase):
    """torch.nn.LSTM as PyTorch exports it, its states among the outputs."""

    def test_states(self):
        torch = e2e.import_or_skip("torch")
        e2e.import_or_skip("numpy")

        class Model(torch.nn.Module):
            def __init__(self, both, given):
                super().__init__()
                self.lstm = torch.nn.LSTM(3, 4, batch_first=True,
                                          bidirectional=both)
                self.given = given

            def forward(self, x, *states):
                start = tuple(s.transpose(0, 1) for s in states)
                y, (h, c) = self.lstm(x, start) if self.given else self.lstm(x)
                return y, h.transpose(0, 1), c.transpose(0, 1)
        for both in False, True:
            for given, anySize in (False, True), (True, True), (False, False):
                model = Model(both, given)
                sides = 2 if both else 1
                inputs = [torch.randn(5, 6, 3)] + [
                    torch.randn(5, sides, 4) for _ in range(2 * given)]
                names = ["x", "h0", "c0"][:len(inputs)]
                path = e2e.scratch(f"lstm{both}{given}.onnx")
                results = ["y", "h", "c"]
                torch.onnx.export(
                    model, tuple(inputs), path, input_names=names,
                    output_names=results, opset_version=14,
                    dynamic_axes={n: {0: "N"} for n in names + results}
                    if anySize else None)
                program = e2e.scratch("lstm")
                sinter("compile", path, "-o", program)
                archive = e2e.scratch("lstm.npz")
                numpy.savez(archive, **{
                    n: x.numpy() for n, x in zip(names, inputs)})
                e2e.run(program, "predict", "--input", archive, "--output",
                        archive + ".out.npz")
                with numpy.load(archive + ".out.npz") as got:
                    for name, want in zip(results, model(*inputs)):
                        want = want.detach().numpy()
                        self.assertEqual(got[name].shape, want.shape)
                        self.assertLess(abs(got[name] - want).max(), 1e-5)

    def test_states_along_another_axis(self):
        torch = e2e.import_or_skip("torch")
        e2e.import_or_skip("numpy")

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.gru = torch.nn.GRU(3, 4, batch_first=True)

            def forward(self, x, h):
                return self.gru(x, h)

        model = Model()
        x, h = torch.randn(5, 6, 3), torch.randn(1, 5, 4)
        path = e2e.scratch("gru.onnx")
        torch.onnx.export(
            model, (x, h), path, input_names=["x", "h"],
            output_names=["y", "last"], opset_version=14,
            dynamic_axes={"x": {0: "N"}, "h": {1: "N"}, "y": {0: "N"},
                          "last": {1: "N"}})
        program, archive = e2e.scratch("gru"), e2e.scratch("gru.npz")
        sinter("compile", path, "-o", program)
        numpy.savez(archive, x=x.numpy(), h=h.transpose(0, 1).numpy())
        e2e.run(program, "predict", "--input", archive, "--output",
                archive + ".out.npz")
        y, last = (t.detach() for t in model(x, h))
        with numpy.load(archive + ".out.npz") as got:
            for name, want in ("y", y), ("last", last.transpose(0, 1)):
                self.assertLess(abs(got[name] - want.numpy()).max(), 1e-5)


if __name__ == "__main__":
    e2e.main()
