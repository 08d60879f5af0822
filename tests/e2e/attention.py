"""Layers that attend train as they do in PyTorch, step by step.

Each network here is a spec and the same in PyTorch; both take 20 steps from the
same weights (torch_models.py tells how, and what the bounds are). Multi-head
attention is PyTorch's own nn.MultiheadAttention where that has a name for what
Keras's arguments say, and written out otherwise.

A transformer encoder that PyTorch exports to ONNX is imported, answers as
PyTorch does, and trains on; so is what our own export makes of the layers here.

Skipped without PyTorch (Debian's python3-torch).
"""

import os
import unittest

import e2e
from torch_models import Network, TorchModels


def causal(torch, scores):
    rows, columns = scores.shape[-2:]
    later = torch.ones(rows, columns, dtype=torch.bool).triu(1)
    return scores.masked_fill(later, float("-inf"))


def heads(torch, x, kernel, bias=0):
    """(N, T, F) times (F, heads, size): (N, heads, T, size)."""
    return (torch.einsum("ntf,fhd->nthd", x, kernel) + bias).transpose(1, 2)


class Attending(Network):
    """One network for each seed."""

    def make(self):
        self.samples = (16, 5, 33)[self.seed % 3]
        self.classes = 3
        self.last = "input"
        FORMS[self.seed % len(FORMS)](self)
        self.layer("global_average_pooling1d", {}, self.shape[-1:],
                   lambda t, w, x: x.mean(1))
        self.dense(self.classes, "softmax")

    def __init__(self, seed):
        self.seed = seed
        super().__init__(seed)

    def start(self, *shape):
        self.shapes["input"] = self.input = shape

    def rows(self, units):
        """Another sequence: of `units` features, made of the input."""
        self.last = "input"
        self.dense(units, "tanh")
        return self.last

    def multi_head(self, inputs, arguments, count, key, value, output, run,
                   bias=True):
        name = "multi_head_attention_" + self.next_name
        sizes = [self.shapes[i][-1] for i in inputs]
        query, of_key = sizes[0], sizes[-1]
        of_value = sizes[min(1, len(sizes) - 1)]
        parts = {"query": (query, count, key), "key": (of_key, count, key),
                 "value": (of_value, count, value),
                 "attention_output": (count, value, *output)}
        for part, shape in parts.items():
            self.parameter(name, part + "/kernel", shape, -0.5, 0.5)
            if bias:
                last = output if part == "attention_output" else shape[1:]
                self.parameter(name, part + "/bias", last, -0.2, 0.2)

        def function(t, w, *xs):
            own = {n[len(name) + 1:]: v for n, v in w.items()
                   if n.startswith(name + "/")}
            return run(t, own, xs[0], xs[min(1, len(xs) - 1)], xs[-1])
        self.layer("multi_head_attention",
                   dict(arguments, num_heads=count, key_dim=key),
                   (*self.shapes[inputs[0]][:-1], *output), function, inputs)

    # ---- Forms

    def transformer(self):
        """The block of Keras's tutorial "Text classification with Transformer",
        with PyTorch's own attention."""
        steps, width, words, count = 11, 16, 20, 2
        self.start(steps)
        self.vocabulary = words
        name = "embedding_" + self.next_name
        table = self.parameter(name, "embeddings", (words, width), -0.5, 0.5)
        self.layer("embedding", {"input_dim": words, "output_dim": width},
                   (steps, width), lambda t, w, x: w[table][x.long()])
        tokens = self.last
        name = "parameter_" + self.next_name
        places = self.parameter(name, "value", (steps, width), -0.5, 0.5)
        self.count += 1
        self.lines.append(f"  - parameter: {{shape: [{steps}, {width}], "
                          f"name: {name}}}")
        self.layer("add", {}, (steps, width), lambda t, w, x: x + w[places],
                   [tokens])
        self.lines[-1] = self.lines[-1].replace(f"[{tokens}]",
                                                f"[{tokens}, {name}]")
        before = self.last

        def own(t, w, query, value, key):
            module = t.nn.MultiheadAttention(width, count, batch_first=True,
                                             dtype=query.dtype)
            def matrix(part):
                return w[part + "/kernel"].reshape(width, width).T
            parts = ("query", "key", "value")
            values = {
                "in_proj_weight": t.cat([matrix(p) for p in parts]),
                "in_proj_bias": t.cat([w[p + "/bias"].reshape(-1)
                                       for p in parts]),
                "out_proj.weight": matrix("attention_output"),
                "out_proj.bias": w["attention_output/bias"]}
            from torch.nn.utils.stateless import functional_call
            return functional_call(module, values, (query, key, value),
                                   {"need_weights": False})[0]
        self.multi_head([before], {}, count, width // count, width // count,
                        (width,), own)
        self.layer("add", {}, (steps, width), lambda t, w, a, b: a + b,
                   [before, self.last])
        self.normalise()
        before = self.last
        self.dense(20, "relu")
        self.dense(width)
        self.layer("add", {}, (steps, width), lambda t, w, a, b: a + b,
                   [before, self.last])
        self.normalise()

    def normalise(self):
        name = "layer_normalization_" + self.next_name
        gamma = self.parameter(name, "gamma", self.shape[-1:], 0.5, 1.5)
        beta = self.parameter(name, "beta", self.shape[-1:], -0.5, 0.5)
        self.layer("layer_normalization", {"epsilon": 1e-6}, self.shape,
                   lambda t, w, x: t.nn.functional.layer_norm(
                       x, x.shape[-1:], w[gamma], w[beta], 1e-6))

    def masked_heads(self):
        self.start(9, 5)

        def run(t, w, query, value, key):
            q, k, v = (heads(t, x, w[n + "/kernel"]) for n, x in
                       (("query", query), ("key", key), ("value", value)))
            scores = causal(t, q @ k.transpose(-1, -2) / 4 ** 0.5)
            sums = t.softmax(scores, -1) @ v
            return t.einsum("nhtd,hdf->ntf", sums, w["attention_output/kernel"])
        self.multi_head(["input"], {"value_dim": 3, "use_bias": False,
                                    "use_causal_mask": True,
                                    "output_shape": 7}, 3, 4, 3, (7,), run,
                        bias=False)

    def three_inputs(self):
        self.start(6, 4)
        key, value = self.rows(5), self.rows(6)
        query = self.rows(3)
        name = "conv1d_" + self.next_name
        kernel = self.parameter(name, "kernel", (2, 3, 3))
        self.layer("conv1d", {"filters": 3, "kernel_size": 2, "use_bias": False},
                   (5, 3), lambda t, w, x: t.einsum(
                       "nktf,kfo->nto", t.stack((x[:, :-1], x[:, 1:]), 1),
                       w[kernel]), [query])

        def run(t, w, query, value, key):
            q, k, v = (heads(t, x, w[n + "/kernel"], w[n + "/bias"])
                       for n, x in (("query", query), ("key", key),
                                    ("value", value)))
            sums = t.softmax(q @ k.transpose(-1, -2) / 17 ** 0.5, -1) @ v
            return t.einsum("nhtd,hdf->ntf", sums,
                            w["attention_output/kernel"]) \
                + w["attention_output/bias"]
        self.multi_head([self.last, value, key], {"value_dim": 2}, 2, 17, 2,
                        (3,), run)

    def luong(self, mode, scale, mask, additive=False):
        self.start(7, 5)
        query, value = self.rows(4), self.rows(4)
        kind = "additive_attention" if additive else "attention"
        name = f"{kind}_{self.next_name}"
        arguments = {"use_scale": scale, "use_causal_mask": mask}
        if not additive:
            arguments["score_mode"] = mode
        by = scale and self.parameter(name, "scale", (4,) if additive else (),
                                      0.5, 1.5)
        weight = mode == "concat" and self.parameter(
            name, "concat_score_weight", (), 0.5, 1.5)

        def run(t, w, query, value):
            if mode == "dot":
                scores = query @ value.transpose(-1, -2)
                scores = scores * w[by] if by else scores
            else:
                pairs = query[:, :, None] + value[:, None]
                if additive:
                    pairs = t.tanh(pairs) * (w[by] if by else 1)
                else:
                    pairs = t.tanh(pairs * w[by] if by else pairs) * w[weight]
                scores = pairs.sum(-1)
            if mask:
                scores = causal(t, scores)
            return t.softmax(scores, -1) @ value
        self.layer(kind, arguments, (7, 4), run, [query, value])

    def products(self):
        self.start(6, 4, 3)

        def rows(units):
            self.last = "input"
            self.dense(units, "tanh")
            return self.last
        a, b = rows(5), rows(5)
        self.layer("permute", {"dims": [1, 3, 2]}, (6, 5, 4),
                   lambda t, w, x: x.transpose(-1, -2), [b])
        self.layer("matmul", {}, (6, 4, 4), lambda t, w, a, b: a @ b,
                   [a, self.last])
        self.layer("reshape", {"target_shape": [24, 4]}, (24, 4),
                   lambda t, w, x: x.reshape(len(x), 24, 4))
        c = self.last
        self.layer("reshape", {"target_shape": [24, 5]}, (24, 5),
                   lambda t, w, x: x.reshape(len(x), 24, 5), [a])
        self.layer("dot", {"axes": [1, 1], "normalize": True}, (4, 5),
                   lambda t, w, a, b: t.nn.functional.normalize(a, dim=1)
                   .transpose(1, 2) @ t.nn.functional.normalize(b, dim=1),
                   [c, self.last])

    def broadcast(self):
        """Three matrices of a sample, all times one other."""
        self.start(3, 4, 5)
        self.dense(6, "tanh")
        left = self.last
        self.layer("reshape", {"target_shape": [1, 6, 10]}, (1, 6, 10),
                   lambda t, w, x: x.reshape(len(x), 1, 6, 10), ["input"])
        self.dense(7)
        self.layer("matmul", {}, (3, 4, 7), lambda t, w, a, b: a @ b,
                   [left, self.last])
        self.layer("reshape", {"target_shape": [12, 7]}, (12, 7),
                   lambda t, w, x: x.reshape(len(x), 12, 7))

    def vectors(self):
        """Samples of different ranks, as numpy.matmul takes them."""
        def from_input(shape, *units):
            self.layer("reshape", {"target_shape": list(shape)}, shape,
                       lambda t, w, x: x.reshape(len(x), *shape), ["input"])
            for count in units:
                self.dense(count)
            return self.last
        self.start(3, 4, 5)
        self.dense(6, "tanh")
        left = self.last
        self.layer("matmul", {}, (3, 4, 10), lambda t, w, a, b: a @ b[:, None],
                   [left, from_input((6, 10))])
        right = self.last
        self.layer("matmul", {}, (3, 5, 10), lambda t, w, a, b: a[:, None] @ b,
                   [from_input((5, 12), 4), right])
        both = self.last
        self.layer("matmul", {}, (3, 5),
                   lambda t, w, a, b: (a @ b[:, None, :, None])[..., 0],
                   [both, from_input((60,), 10)])
        rows = self.last
        self.layer("matmul", {}, (3, 10),
                   lambda t, w, a, b: (a[:, None, None] @ b)[..., 0, :],
                   [from_input((60,), 5), both])
        self.layer("concatenate", {}, (3, 15),
                   lambda t, w, a, b: t.cat([a, b], -1), [rows, self.last])


FORMS = (
    Attending.transformer, Attending.masked_heads, Attending.three_inputs,
    lambda n: n.luong("dot", True, True), lambda n: n.luong("dot", False, False),
    lambda n: n.luong("concat", True, False),
    lambda n: n.luong("concat", False, True),
    lambda n: n.luong("", True, False, additive=True),
    Attending.products, Attending.broadcast, Attending.vectors)


class TorchAttention(TorchModels):
    networks = [(Attending, seed) for seed in range(len(FORMS))]

    def numbers(self, network, seed):
        weights, images, labels = super().numbers(network, seed)
        if hasattr(network, "vocabulary"):
            source = self.numpy.random.default_rng(seed)
            images = source.integers(0, network.vocabulary,
                                     images.shape).astype("float32")
        return weights, images, labels


del TorchModels  # its own networks have a test of their own


class Exported(unittest.TestCase):
    """PyTorch's encoders come as ONNX, answer as there, and train on."""

    STEPS, SHAPE, CLASSES, SAMPLES = 5, (7, 6), 3, 20

    @classmethod
    def setUpClass(cls):
        cls.torch = e2e.import_or_skip("torch")
        cls.numpy = e2e.import_or_skip("numpy")
        cls.torch.set_num_threads(1)

    def classifier(self, encoder):
        torch = self.torch

        class Classifier(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = torch.nn.Linear(6, 16)
                self.encoder = encoder
                self.outer = torch.nn.Linear(16, 3)

            def forward(self, x):
                y = self.encoder(self.inner(x))
                return torch.softmax(self.outer(y.mean(1)), -1)
        return Classifier()

    def check(self, name, encoder):
        torch, numpy = self.torch, self.numpy
        model = self.classifier(encoder).train()
        path = e2e.scratch(name + ".onnx")
        x = torch.randn(self.SAMPLES, *self.SHAPE)
        y = torch.arange(self.SAMPLES) % self.CLASSES
        try:
            torch.onnx.export(
                model, x, path, opset_version=14, do_constant_folding=False,
                training=torch.onnx.TrainingMode.TRAINING,
                input_names=["x"], output_names=["y"],
                dynamic_axes={"x": {0: "N"}, "y": {0: "N"}})
        except ImportError as problem:
            self.skipTest(str(problem))
        trainer = e2e.Trainer(
            f"""
model: {path}
loss: sparse_categorical_crossentropy
optimizer: {{sgd: {{learning_rate: 0.1}}}}
data:
  train: {{images: x.npy, labels: y.npy}}
train: {{epochs: {self.STEPS}, batch_size: {self.SAMPLES}, shuffle: false}}
""", name)
        folder = e2e.scratch(name + ".data")
        os.makedirs(folder)
        inputs = e2e.write_npy(os.path.join(folder, "x.npy"), x.shape,
                               x.numpy().tobytes())
        e2e.write_npy(os.path.join(folder, "y.npy"), y.shape,
                      y.numpy().astype("uint8").tobytes(), "B")
        e2e.run(trainer.path, "predict", "--input", inputs, "--output",
                trainer.path + ".npy")
        shape, got = e2e.read_npy(trainer.path + ".npy")
        want = model(x).detach().numpy()
        self.assertEqual(shape, want.shape)
        got = numpy.array(got).reshape(shape)
        self.assertLess(abs(got - want).max(), 1e-5)
        # One alone: other loops.
        one = e2e.write_npy(e2e.scratch("one.npy"), (1, *self.SHAPE),
                            x[:1].numpy().tobytes())
        e2e.run(trainer.path, "predict", "--input", one, "--output",
                trainer.path + ".npy")
        alone = numpy.array(e2e.read_npy(trainer.path + ".npy")[1])
        self.assertLess(abs(alone - want[0]).max(), 1e-5)

        losses = trainer.train(folder, "--no-shuffle")["loss"]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        expected = []
        for _ in range(self.STEPS):
            loss = torch.nn.functional.nll_loss(torch.log(model(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
        error = max(abs(g - w) / w for g, w in zip(losses, expected))
        self.assertLess(error, 1e-4, (losses, expected))

    def test_encoder_layer(self):
        """PyTorch's own, which moves the samples to the second axis."""
        for name, arguments in (("post", {"activation": "gelu"}),
                                ("pre", {"norm_first": True})):
            self.torch.manual_seed(3)
            self.check(name, self.torch.nn.TransformerEncoderLayer(
                16, 2, 24, dropout=0.0, batch_first=True, **arguments))

    def test_encoder(self):
        """Two layers of it, behind a mask."""
        torch = self.torch
        torch.manual_seed(6)

        class Masked(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = torch.nn.TransformerEncoder(
                    torch.nn.TransformerEncoderLayer(16, 4, 8, dropout=0.0,
                                                     batch_first=True), 2)

            def forward(self, x):
                later = torch.full((7, 7), float("-inf")).triu(1)
                return self.layers(x, later)
        self.check("encoder", Masked())

    def test_batch_first(self):
        """As BERT's code has it: heads behind the batch, masked."""
        torch = self.torch
        torch.manual_seed(4)

        class Block(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.query, self.key, self.value, self.output = (
                    torch.nn.Linear(16, 16) for _ in range(4))
                self.norm = torch.nn.LayerNorm(16)

            def heads(self, x):
                return x.view(x.size(0), x.size(1), 4, 4).permute(0, 2, 1, 3)

            def forward(self, x):
                q, k, v = (self.heads(layer(x)) for layer in
                           (self.query, self.key, self.value))
                scores = torch.matmul(q, k.transpose(-1, -2)) / 2
                later = torch.full((x.size(1), x.size(1)), -1e4).triu(1)
                weights = torch.softmax(scores + later, -1)
                y = torch.matmul(weights, v).permute(0, 2, 1, 3)
                y = y.reshape(x.size(0), x.size(1), 16)
                return self.norm(x + self.output(y))
        self.check("batch_first", Block())

    def test_einsum(self):
        """Products by equations, of weights and of what is computed."""
        torch = self.torch
        torch.manual_seed(5)

        class Block(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.project = torch.nn.Parameter(torch.randn(3, 16, 2, 8) / 4)
                self.join = torch.nn.Parameter(torch.randn(2, 8, 16) / 4)

            def forward(self, x):
                q, k, v = (torch.einsum("bte,ehd->bthd", x, self.project[i])
                           for i in range(3))
                scores = torch.einsum("bthd,bshd->bhts", q, k) / 8 ** 0.5
                sums = torch.einsum("bhts,bshd->bthd",
                                    torch.softmax(scores, -1), v)
                return torch.einsum("bthd,hde->bte", sums, self.join)
        self.check("einsum", Block())


if __name__ == "__main__":
    e2e.main()
