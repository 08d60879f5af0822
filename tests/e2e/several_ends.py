"""Models of several inputs and outputs, through every door.

NumPy works the same networks out, forwards and backwards; programs, libraries
and files of Keras and ONNX have to agree with it. Nested Keras models, layers
that are called twice and images with their channels first are made with h5py as
Keras writes them.
"""

import ctypes
import json
import os
import unittest
import warnings
import zipfile

import e2e
from keras import import_model, sinter

SPEC = """
model: pair
inputs:
  left: {shape: [6], scale: 1/2}
  right: [6]
layers:
  - dense: {units: 4, activation: tanh, name: tower, inputs: left}
  - reuse: {layer: tower, inputs: right}
  - concatenate: {inputs: [tower, tower_1]}
  - dense: {units: 3, activation: softmax, name: kind}
  - dense: {units: 2, name: size, inputs: tower_1}
outputs: [kind, size]
"""
TRAINING = """
loss: {kind: sparse_categorical_crossentropy, size: mse}
loss_weights: {size: 0.5}
optimizer: {sgd: {learning_rate: 0.1}}
metrics: {kind: accuracy}
train: {batch_size: 8}
"""
ONE_OUTPUT = """
model: sides
inputs:
  left: {shape: [6]}
  right: {shape: [2, 3], scale: 1/2}
layers:
  - flatten: {inputs: right}
  - concatenate: {inputs: [left, flatten]}
  - dense: {units: 3, activation: softmax, name: kind}
loss: sparse_categorical_crossentropy
optimizer: {sgd: {learning_rate: 0.5}}
metrics: [accuracy]
"""
SAMPLES = 21

try:
    import numpy
except ImportError:
    numpy = None


def softmax(x):
    x = numpy.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def forward(w, left, right):
    """kind and size of a batch, with what lies between."""
    a = numpy.tanh(left @ w["tower/kernel"] + w["tower/bias"])
    b = numpy.tanh(right @ w["tower/kernel"] + w["tower/bias"])
    both = numpy.concatenate([a, b], 1)
    kind = softmax(both @ w["kind/kernel"] + w["kind/bias"])
    return kind, b @ w["size/kernel"] + w["size/bias"], a, b, both


def step(w, left, right, labels, sizes, rate=0.1, share=0.5):
    """A step of gradient descent; loss, the two losses, accuracy before it."""
    n = len(labels)
    kind, size, a, b, both = forward(w, left, right)
    kind_loss = -numpy.log(kind[numpy.arange(n), labels]).mean()
    size_loss = ((size - sizes) ** 2).mean()
    accuracy = (kind.argmax(1) == labels).mean()
    d_kind = (kind - numpy.eye(3)[labels]) / n
    d_size = share * 2 * (size - sizes) / size.size
    d_both = d_kind @ w["kind/kernel"].T
    d_a = d_both[:, :4] * (1 - a ** 2)
    d_b = (d_both[:, 4:] + d_size @ w["size/kernel"].T) * (1 - b ** 2)
    gradients = {
        "kind/kernel": both.T @ d_kind, "kind/bias": d_kind.sum(0),
        "size/kernel": b.T @ d_size, "size/bias": d_size.sum(0),
        "tower/kernel": left.T @ d_a + right.T @ d_b,
        "tower/bias": d_a.sum(0) + d_b.sum(0)}
    for name, gradient in gradients.items():
        w[name] -= rate * gradient
    return kind_loss + share * size_loss, kind_loss, size_loss, accuracy


def random_weights(source, **shapes):
    return {name.replace("__", "/"): source.uniform(-1, 1, shape)
            for name, shape in shapes.items()}


def save(path, weights):
    return e2e.write_safetensors(e2e.scratch(path), {
        name: (list(values.shape), [float(x) for x in values.flat])
        for name, values in weights.items()})


class Case(unittest.TestCase):
    def setUp(self):
        e2e.import_or_skip("numpy")
        self.source = numpy.random.default_rng(7)
        self.weights = random_weights(
            self.source, tower__kernel=(6, 4), tower__bias=4,
            kind__kernel=(8, 3), kind__bias=3, size__kernel=(4, 2),
            size__bias=2)
        self.left = self.source.uniform(-1, 1, (SAMPLES, 6)).astype("f4")
        self.right = self.source.uniform(-1, 1, (SAMPLES, 6)).astype("f4")

    def assertNear(self, got, want, limit=1e-5):
        self.assertEqual(got.shape, want.shape)
        self.assertLess(abs(got - want).max(), limit)

    def program(self, spec, name, *flags):
        path = e2e.scratch(name)
        sinter("compile", spec, "-o", path, *flags)
        return path

    def predict(self, program, *flags, **inputs):
        archive, output = e2e.scratch("in.npz"), e2e.scratch("out.npz")
        numpy.savez(archive, **inputs)
        e2e.run(program, "predict", "--input", archive, "--output", output,
                *flags)
        with numpy.load(output) as file:
            return dict(file)


class Programs(Case):
    def setUp(self):
        super().setUp()
        spec = e2e.write("pair.yaml", SPEC)
        self.path = self.program(spec, "pair", "--weights",
                                 save("pair.safetensors", self.weights))
        self.want = forward(self.weights, self.left / 2, self.right)

    def test_archive(self):
        got = self.predict(self.path, left=self.left, right=self.right)
        self.assertEqual(sorted(got), ["kind", "size"])
        self.assertNear(got["kind"], self.want[0])
        self.assertNear(got["size"], self.want[1])
        self.assertIn("usage: pair predict --input FILE --output FILE [flags]",
                      e2e.run(self.path, "predict", "--help"))

    def test_a_file_for_each(self):
        for name, values in ("left", self.left), ("right", self.right):
            numpy.save(e2e.scratch(name + ".npy"), values)
        output = e2e.scratch("each.npz")
        e2e.run(self.path, "predict", "--output", output,
                "--input", "left=" + e2e.scratch("left.npy"),
                "--input", "right=" + e2e.scratch("right.npy"))
        with numpy.load(output) as got:
            self.assertNear(got["size"], self.want[1])

    def test_faults(self):
        def refuse(status, words, *arguments):
            with self.assertRaises(e2e.Failed) as failed:
                e2e.run(self.path, "predict", *arguments)
            self.assertIn(f"got {status}", str(failed.exception))
            self.assertIn(words, str(failed.exception))

        archive, output = e2e.scratch("bad.npz"), e2e.scratch("bad-out.npz")
        numpy.savez(archive, left=self.left, right=self.right[:5])
        refuse(1, "bad.npz: right: expected 21 records as in",
               "--input", archive, "--output", output)
        numpy.savez(archive, left=self.left)
        refuse(1, "expected a member 'right.npy', got left.npy",
               "--input", archive, "--output", output)
        numpy.save(e2e.scratch("left.npy"), self.left)
        refuse(1, "NAME=FILE for each; got none for 'right'",
               "--input", "left=" + e2e.scratch("left.npy"),
               "--input", "rigth=x.npy", "--output", output)
        refuse(2, "ends in .npz, since the model has several outputs (kind, "
               "size)", "--input", archive, "--output", "y.npy")
        numpy.savez(archive, left=self.left, right=self.right, rest=self.left)
        refuse(1, "bad.npz: expected no arrays but the model's inputs (left, "
               "right), got 'rest'", "--input", archive, "--output", output)
        # Whatever the file is called.
        for name in "y.npy", "y.npz", "y.csv":
            refuse(2, "--argmax: expected a model of one output, got kind, "
                   "size", "--argmax", "--input", archive, "--output", name)
        self.assertFalse(os.path.exists(output))

    def test_other_commands(self):
        e2e.run(self.path, "benchmark", "--repeat", "2")
        e2e.run(self.path, "info")


class Libraries(Case):
    def library(self, spec, name):
        path = e2e.scratch("lib" + name + ".so")
        sinter("compile", spec, "--emit", "shared", "-o", path)
        return ctypes.CDLL(path), os.path.dirname(path)

    def test_training_of_two_outputs(self):
        spec = e2e.write("pair_train.yaml", SPEC + TRAINING)
        library, _ = self.library(spec, "pair")
        for name in "state_bytes", "arena_bytes":
            getattr(library, "pair_" + name).restype = ctypes.c_int64

        def block(size):
            self.buffers = getattr(self, "buffers", [])
            self.buffers.append(ctypes.create_string_buffer(size + 64))
            start = ctypes.addressof(self.buffers[-1])
            return ctypes.c_void_p((start + 63) // 64 * 64)

        state = block(library.pair_state_bytes())
        arena = block(library.pair_arena_bytes())
        library.pair_init(state, ctypes.c_uint64(1))
        weights = save("start.safetensors", self.weights)
        message = ctypes.create_string_buffer(512)
        self.assertEqual(0, library.pair_load(
            state, weights.encode(), message, ctypes.c_size_t(512)),
            message.value)
        pointer = lambda x: x.ctypes.data_as(ctypes.c_void_p)
        for batch in 8, 3, 8, 1:
            left = self.source.uniform(-1, 1, (batch, 6)).astype("f4")
            right = self.source.uniform(-1, 1, (batch, 6)).astype("f4")
            labels = self.source.integers(0, 3, batch).astype("i4")
            sizes = self.source.uniform(-1, 1, (batch, 2)).astype("f4")
            results = numpy.zeros(4, "f4")
            want = step(self.weights, left, right, labels, sizes)
            library.pair_train_step(
                state, arena, ctypes.c_int64(batch), pointer(left),
                pointer(right), pointer(labels), pointer(sizes),
                *[pointer(results[i:]) for i in range(4)], None)
            self.assertNear(results, numpy.array(want), 1e-5)
        path = e2e.scratch("after.safetensors")
        self.assertEqual(0, library.pair_save(
            state, path.encode(), message, ctypes.c_size_t(512)))
        for name, (shape, values) in e2e.read_safetensors(path).items():
            self.assertNear(numpy.array(values).reshape(shape),
                            self.weights[name])

    def test_headers(self):
        text = SPEC.replace("left", "int").replace("right", "state")
        spec = e2e.write("words.yaml", text + TRAINING)
        path = e2e.scratch("libpair.a")
        sinter("compile", spec, "--emit", "lib", "-o", path)
        folder = os.path.dirname(path)
        with open(os.path.join(folder, "pair.h")) as file:
            header = file.read()
        self.assertIn(" *   int_2: float[batch][6], already multiplied by 0.5, "
                      "the spec's scale\n"
                      " *   state_2: float[batch][6]\n"
                      " *   kind: float[batch][3], written\n"
                      " *   size: float[batch][2], written\n", header)
        self.assertIn("const float *int_2,\n    const float *state_2,\n"
                      "    const int32_t *kind_target,\n"
                      "    const float *size_target,\n    float *loss,\n"
                      "    float *kind_loss,\n    float *size_loss,\n"
                      "    float *kind_accuracy,", header)
        program = e2e.write("words.cpp", """
#include "pair.hpp"
#include <cmath>
int main() {
  pair::Model model(1);
  float left[10 * 6] = {}, right[10 * 6] = {}, kind[30], size[20] = {};
  std::int32_t labels[10] = {};
  model.predict(left, right, 10, kind, size);
  pair::Model::Results r = model.train_step(left, right, labels, size, 8);
  return std::fabs(kind[0] + kind[1] + kind[2] - 1) < 1e-5 &&
                 r.loss > 0 && r.kind_accuracy <= 1 && r.size_loss >= 0
             ? 0
             : 1;
}
""")
        binary = e2e.scratch("words")
        e2e.run("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror",
                "-pedantic", "-I", folder, program, path, "-lpthread", "-lm",
                "-o", binary)
        e2e.run(binary)
        c = e2e.write("words.c", '#include "pair.h"\nint main(void) '
                                 '{ return pair_batch_bound() != 8; }\n')
        e2e.run("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic",
                "-I", folder, c, path, "-lpthread", "-lm", "-o", binary)
        e2e.run(binary)

    def test_only_predict(self):
        spec = e2e.write("only.yaml", SPEC + TRAINING)
        path = self.program(spec, "only", "--functions", "predict",
                            "--weights", save("o.safetensors", self.weights))
        got = self.predict(path, left=self.left, right=self.right)
        self.assertNear(got["size"],
                        forward(self.weights, self.left / 2, self.right)[1])
        with self.assertRaises(e2e.Failed) as failed:
            e2e.run(path, "train")
        self.assertIn("compiled without", str(failed.exception))
        library = e2e.scratch("libonly.a")
        sinter("compile", spec, "--functions", "predict", "--emit", "lib",
               "-o", library)
        with open(os.path.join(os.path.dirname(library), "pair.h")) as file:
            self.assertNotIn("training steps", file.read())


class SeveralOutputs(Case):
    """A program trains a model of several outputs from files."""
    COUNT = 40

    def setUp(self):
        super().setUp()
        self.folder = e2e.scratch("pair-data")
        os.makedirs(self.folder, exist_ok=True)
        self.arrays = {
            "left": self.source.uniform(-1, 1, (self.COUNT, 6)).astype("f4"),
            "right": self.source.uniform(-1, 1, (self.COUNT, 6)).astype("f4"),
            "kind": self.source.integers(0, 3, self.COUNT).astype("i4"),
            "size": self.source.uniform(-1, 1, (self.COUNT, 2)).astype("f4")}
        numpy.savez(os.path.join(self.folder, "all.npz"), **self.arrays)
        for name, values in self.arrays.items():
            numpy.save(os.path.join(self.folder, name + ".npy"), values)

    def spec(self, name, train, rest="", text=SPEC.replace(", scale: 1/2", "")):
        return e2e.write(
            name + ".yaml", text +
            TRAINING.replace("{batch_size: 8}",
                             "{batch_size: 8, epochs: 3, shuffle: false}") +
            f"data:\n  train: {train}\n  test: {train}\n" + rest)

    def test_figures(self):
        """History, log, printed figures and weights are those of NumPy."""
        w = {name: values.copy() for name, values in self.weights.items()}
        want = {name: [] for name in (
            "loss", "kind_loss", "size_loss", "kind_accuracy")}
        for _ in range(3):
            rows = [step(w, *(a[i:i + 8] for a in self.arrays.values()))
                    for i in range(0, self.COUNT, 8)]
            for values, mean in zip(want.values(), numpy.mean(rows, 0)):
                values.append(mean)
        start = save("pair-start.safetensors", self.weights)
        log = e2e.scratch("logs/deeper/pair.csv")
        saved = []
        for name, source in [
                ("npz", "{npz: all.npz}"),
                ("files", "{inputs: {left: left.npy, right: right.npy}, "
                          "labels: {size: size.npy, kind: kind.npy}}")]:
            spec = self.spec("pair_" + name, source, "  validation: " + source +
                             "\ncallbacks:\n  - csv_logger: " + log +
                             "\n  - early_stopping: {monitor: "
                             "val_kind_accuracy, patience: 9}\n  - "
                             "model_checkpoint: {path: '" +
                             e2e.scratch("best-{val_size_loss:.3f}") +
                             ".safetensors', monitor: size_loss, "
                             "save_best_only: true}\n")
            path = self.program(spec, "pair_" + name)
            for threads in "1", "2":
                saved.append(e2e.scratch(f"pair-{name}{threads}.safetensors"))
                history = e2e.scratch("pair.json")
                text = e2e.run(
                    path, "train", "--data", self.folder, "--init", start,
                    "--save", saved[-1], "--history", history, "--threads",
                    threads, "--report", e2e.scratch("pair.html"))
                self.assertRegex(
                    text, r"epoch 3/3  loss \S+  kind_loss \S+  size_loss \S+  "
                    r"kind_accuracy \S+  val_loss \S+  val_kind_loss \S+  "
                    r"val_size_loss \S+  val_kind_accuracy \S+  ")
                with open(history) as file:
                    got = json.load(file)["history"]
                for key, values in want.items():
                    self.assertNear(numpy.array(got[key]),
                                    numpy.array(values), 1e-5)
                self.assertEqual(list(got), [
                    *want, *("val_" + key for key in want), "epoch_seconds"])
            with open(log) as file:
                self.assertEqual(file.readline(), "epoch," + ",".join(sorted(
                    [*want, *("val_" + key for key in want)])) + "\n")
        contents = set()
        for one in saved:
            with open(one, "rb") as file:
                contents.add(file.read())
        self.assertEqual(len(contents), 1, "forms of data, threads")
        for name, (shape, values) in e2e.read_safetensors(saved[0]).items():
            self.assertNear(numpy.array(values).reshape(shape), w[name])
        arrays = self.arrays
        kind, size = forward(w, arrays["left"], arrays["right"])[:2]
        kind_loss = -numpy.log(
            kind[numpy.arange(self.COUNT), arrays["kind"]]).mean()
        size_loss = ((size - arrays["size"]) ** 2).mean()
        figures = json.loads(e2e.run(
            path, "evaluate", "--data", self.folder, "--weights", saved[0],
            "--json"))
        for key, value in dict(
                loss=kind_loss + 0.5 * size_loss, kind_loss=kind_loss,
                size_loss=size_loss,
                kind_accuracy=(kind.argmax(1) == arrays["kind"]).mean()
                ).items():
            self.assertAlmostEqual(figures[key], value, 5)
        got = self.predict(path, "--weights", saved[0], left=arrays["left"],
                           right=arrays["right"])
        self.assertNear(got["size"], size)
        folds = json.loads(e2e.run(
            path, "cross-validate", "--data", self.folder, "--folds", "2",
            "--json"))
        self.assertEqual(list(folds["mean"]), list(want))
        e2e.run(path, "benchmark", "--repeat", "2")
        with self.assertRaises(e2e.Failed) as failed:
            e2e.run(path, "evaluate", "--data", self.folder, "--weights",
                    saved[0], "--confusion")
        self.assertIn("--confusion: expected a model of one output, got one of "
                      "2", str(failed.exception))

    ONE_INPUT = """
model: table
input: [6]
layers:
  - dense: {units: 3, activation: softmax, name: kind, inputs: input}
  - dense: {units: 2, name: size, inputs: input}
outputs: [kind, size]
"""

    def test_table(self):
        """Columns of a table, and made-up samples."""
        with open(os.path.join(self.folder, "all.csv"), "w") as file:
            file.write("width,a,b,c,species,d,e,f,height\n")
            for x, kind, (width, height) in zip(*(self.arrays[name] for name in (
                    "left", "kind", "size"))):
                numbers = [repr(float(n)) for n in (width, *x, height)]
                file.write(",".join([*numbers[:4], str(kind),
                                     *numbers[4:]]) + "\n")
        saved = []
        for name, source in [
                ("csv", "{csv: all.csv, label: {kind: species, "
                        "size: [width, height]}}"),
                ("npy", "{images: left.npy, labels: {kind: kind.npy, "
                        "size: size.npy}}"),
                ("npz", "{npz: all.npz, x: left}")]:
            path = self.program(self.spec("table_" + name, source,
                                          text=self.ONE_INPUT), "table")
            saved.append(e2e.scratch(name + ".safetensors"))
            e2e.run(path, "train", "--data", self.folder, "--save", saved[-1])
        weights = [e2e.read_safetensors(path) for path in saved]
        self.assertEqual(weights[0], weights[1])
        self.assertEqual(weights[0], weights[2])

    def test_synthetic(self):
        path = self.program(self.spec("made", "{synthetic: 24, values: 2}"),
                            "made")
        saved = e2e.scratch("made.safetensors")
        e2e.run(path, "train", "--epochs", "150", "--quiet", "--save", saved)
        figures = json.loads(e2e.run(path, "evaluate", "--weights", saved,
                                     "--json"))
        # By heart, which only inputs that differ allow.
        self.assertGreater(figures["kind_accuracy"], 0.7)
        self.assertLess(figures["size_loss"], 0.1)

    def test_resume(self):
        path = self.program(self.spec("again", "{npz: all.npz}"), "again")
        whole, parts = e2e.scratch("whole.safetensors"), e2e.scratch(
            "parts.safetensors")
        e2e.run(path, "train", "--data", self.folder, "--save", whole,
                "--epochs", "4")
        folder = e2e.scratch("again-checkpoints")
        for epochs in "2", "4":
            e2e.run(path, "train", "--data", self.folder, "--save", parts,
                    "--epochs", epochs, "--checkpoint-dir", folder, "--resume")
        self.assertEqual(e2e.read_safetensors(whole),
                         e2e.read_safetensors(parts))

    def test_faults(self):
        path = self.program(self.spec("faulty", "{npz: bad.npz}"), "faulty")

        def refuse(words, **arrays):
            numpy.savez(os.path.join(self.folder, "bad.npz"), **{
                name: values for name, values in {
                    **self.arrays, **arrays}.items() if values is not None})
            with self.assertRaises(e2e.Failed) as failed:
                e2e.run(path, "train", "--data", self.folder)
            self.assertIn("got 1", str(failed.exception))
            self.assertIn(words, str(failed.exception))

        size, kind = self.arrays["size"], self.arrays["kind"]
        refuse("bad.npz: expected a member 'size.npy', got left.npy", size=None)
        refuse("bad.npz: size: expected targets of shape (2) in each record, "
               "got (3)", size=numpy.zeros((self.COUNT, 3), "f4"))
        refuse("bad.npz: size: expected 40 records as in", size=size[:5])
        refuse("bad.npz: kind: record 1 (counted from 0): expected a class "
               "number from 0 to 2, got 3", kind=kind * 0 + numpy.arange(
                   self.COUNT) * 3)
        refuse("expected one class number in each record",
               kind=numpy.zeros((self.COUNT, 2)))


class Training(Case):
    """A program trains a model of several inputs from files."""

    def data(self):
        folder = e2e.scratch("sides-data")
        os.makedirs(folder, exist_ok=True)
        count = 200
        left = self.source.uniform(-1, 1, (count, 6)).astype("f4")
        right = self.source.uniform(-1, 1, (count, 2, 3)).astype("f4")
        truth = left[:, :3] + right[:, 0]
        labels = truth.argmax(1).astype("i4")
        numpy.savez(os.path.join(folder, "all.npz"), left=left, right=right,
                    labels=labels)
        for name, values in dict(left=left, right=right,
                                 labels=labels).items():
            numpy.save(os.path.join(folder, name + ".npy"), values)
        return folder, left, right, labels

    def test_both_forms_of_data(self):
        folder, left, right, labels = self.data()
        saved = []
        for name, source in [
                ("npz", "{npz: all.npz, y: labels}"),
                ("files", "{inputs: {right: right.npy, left: left.npy}, "
                          "labels: labels.npy}")]:
            spec = e2e.write(
                f"sides_{name}.yaml",
                ONE_OUTPUT + f"data: {{train: {source}, test: {source}, "
                "validation_split: 0.2}\ntrain: {epochs: 12, batch_size: 16, "
                "seed: 3}\n")
            path = self.program(spec, "sides_" + name)
            saved.append(e2e.scratch(name + ".safetensors"))
            e2e.run(path, "train", "--data", folder, "--save", saved[-1],
                    "--report", e2e.scratch(name + ".html"))
            result = json.loads(e2e.run(
                path, "evaluate", "--data", folder, "--weights", saved[-1],
                "--json"))
            w = {key: numpy.array(values).reshape(shape) for key, (
                shape, values) in e2e.read_safetensors(saved[-1]).items()}
            both = numpy.concatenate([left, right.reshape(-1, 6) / 2], 1)
            kind = softmax(both @ w["kind/kernel"] + w["kind/bias"])
            self.assertAlmostEqual(
                result["accuracy"], (kind.argmax(1) == labels).mean(), 6)
            self.assertAlmostEqual(
                result["loss"],
                -numpy.log(kind[numpy.arange(200), labels]).mean(), 5)
            self.assertGreater(result["accuracy"], 0.75)
            got = self.predict(path, "--weights", saved[-1], left=left,
                               right=right)
            self.assertNear(got["prediction"], kind)
        with open(saved[0], "rb") as one, open(saved[1], "rb") as two:
            self.assertEqual(one.read(), two.read())


class Files(Case):
    """The network goes out to a file and comes back."""

    def test_round_trips(self):
        # What `sinter import` writes for it; files of Keras have no scale.
        text = SPEC.replace("{shape: [6], scale: 1/2}", "{shape: [6]}")
        spec = e2e.write("trip.yaml", text)
        weights = save("trip.safetensors", self.weights)
        want = forward(self.weights, self.left, self.right)
        for ending in "h5", "keras", "onnx":
            path = e2e.scratch("trip." + ending)
            sinter("export", "--spec", spec, "--weights", weights, "-o", path)
            written, read = import_model(path, "trip-" + ending)
            lines = [line for line in written.split("\n")
                     if not line.startswith("#")]
            if ending != "onnx":  # there, a shared layer is two
                self.assertEqual(lines[1:], [
                    "inputs:", "  left: {shape: [6]}",
                    "  right: {shape: [6]}", "layers:",
                    "  - dense: {units: 4, activation: tanh, name: tower, "
                    "inputs: [left]}",
                    "  - reuse: {layer: tower, inputs: [right]}",
                    "  - concatenate: {inputs: [tower, tower_1]}",
                    "  - dense: {units: 3, activation: softmax, name: kind}",
                    "  - dense: {units: 2, name: size, inputs: [tower_1]}",
                    "outputs: [kind, size]", ""])
                self.assertEqual(sorted(read), sorted(self.weights))
            for source in path, os.path.join(e2e.scratch("trip-" + ending),
                                             "spec.yaml"):
                flags = [] if source == path else [
                    "--weights", os.path.join(e2e.scratch("trip-" + ending),
                                              "weights.safetensors")]
                program = self.program(source, "trip-" + ending + ".run",
                                       *flags)
                got = self.predict(program, left=self.left, right=self.right)
                self.assertNear(got["kind"], want[0])
                self.assertNear(got["size"], want[1])


class Onnx(Case):
    def test_whole_numbers_and_two_outputs(self):
        onnx = e2e.import_or_skip("onnx.numpy_helper")
        helper, kinds = onnx.helper, onnx.TensorProto
        table = self.source.uniform(-1, 1, (10, 4)).astype("f4")
        out = self.source.uniform(-1, 1, (4, 2)).astype("f4")
        value = lambda name, kind, *shape: helper.make_tensor_value_info(
            name, kind, ["N", *shape])
        graph = helper.make_graph([
            helper.make_node("Gather", ["table", "input_ids"], ["words"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"],
                             to=kinds.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
            helper.make_node("Mul", ["words", "mask3"], ["last_hidden_state"]),
            helper.make_node("ReduceMean", ["last_hidden_state"], ["pooled"],
                             axes=[1], keepdims=0),
            helper.make_node("MatMul", ["pooled", "out"], ["logits"]),
        ], "bert_like", [
            value("input_ids", kinds.INT64, 5),
            value("attention_mask", kinds.INT64, 5),
            value("token_type_ids", kinds.INT64, 5)], [
            value("last_hidden_state", kinds.FLOAT, 5, 4),
            value("logits", kinds.FLOAT, 2)], [
            onnx.numpy_helper.from_array(table, "table"),
            onnx.numpy_helper.from_array(out, "out"),
            onnx.numpy_helper.from_array(numpy.array([2]), "last")])
        path = e2e.scratch("bert_like.onnx")
        onnx.save(helper.make_model(graph, opset_imports=[
            helper.make_opsetid("", 13)]), path)
        message = sinter("import", path, "-o", e2e.scratch("bert"))
        self.assertIn("input 'token_type_ids' is left out: no output depends "
                      "on it", message)
        with open(os.path.join(e2e.scratch("bert"), "spec.yaml")) as file:
            spec = file.read()
        self.assertIn("inputs:\n  input_ids: {shape: [5]}\n"
                      "  attention_mask: {shape: [5]}\n", spec)
        self.assertIn("outputs: [last_hidden_state, logits]\n", spec)
        ids = self.source.integers(0, 10, (3, 5))
        mask = self.source.integers(0, 2, (3, 5))
        hidden = table[ids] * mask[..., None]
        for source, *flags in [[path], [
                os.path.join(e2e.scratch("bert"), "spec.yaml"), "--weights",
                os.path.join(e2e.scratch("bert"), "weights.safetensors")]]:
            program = self.program(source, "bert.run", *flags)
            got = self.predict(program, input_ids=ids, attention_mask=mask)
            self.assertNear(got["last_hidden_state"], hidden)
            self.assertNear(got["logits"], hidden.mean(1) @ out)


class TorchAttention(Case):
    """PyTorch's attention moves the samples to the second axis, and its file
    reads a tensor of which only the sizes matter."""

    def export(self, torch, batch, dynamic, **arguments):
        class Network(torch.nn.Module):
            def __init__(self):
                super().__init__()
                torch.manual_seed(1)
                self.own = torch.nn.MultiheadAttention(
                    8, 2, batch_first=True, **arguments)

            def forward(self, x):
                return self.own(x, x, x)
        network = Network().eval()
        x = torch.randn(batch, 5, 8)
        path = e2e.scratch("attention.onnx")
        names = ("x", "y", "w")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network, x, path, input_names=names[:1],
                output_names=names[1:], dynamic_axes={
                    name: {0: "N"} for name in names} if dynamic else None)
        return network, path

    def test_batches(self):
        torch = e2e.import_or_skip("torch")
        e2e.import_or_skip("onnx")
        for batch, dynamic in (9, True), (1, True), (1, False):
            for keys in False, True:
                network, path = self.export(torch, batch, dynamic,
                                            add_bias_kv=keys)
                x = self.source.uniform(-1, 1, (7, 5, 8)).astype("f4")
                got = self.predict(self.program(path, "attention"), x=x)
                with torch.no_grad():
                    y, w = network(torch.from_numpy(x))
                self.assertNear(got["y"], y.numpy())
                self.assertNear(got["w"], w.numpy())

    def test_fixed_batch(self):
        torch = e2e.import_or_skip("torch")
        e2e.import_or_skip("onnx")
        network, path = self.export(torch, 9, False)
        message = sinter("import", path, "-o", e2e.scratch("attention-9"))
        self.assertIn("a whole input is taken as one sample (for a batch of "
                      "samples, export with a dynamic first axis)", message)
        x = self.source.uniform(-1, 1, (2, 9, 5, 8)).astype("f4")
        got = self.predict(self.program(path, "attention"), x=x)
        with torch.no_grad():
            for i in range(2):
                self.assertNear(got["y"][i],
                                network(torch.from_numpy(x[i]))[0].numpy())


def tensor(name, call=0):
    return {"class_name": "__keras_tensor__",
            "config": {"shape": [None, 4], "keras_history": [name, call, 0]}}


def entry(class_name, config, *calls):
    """A layer of a Functional model; a call is a list of (layer, call)."""
    return {"class_name": class_name, "config": config, "name": config["name"],
            "inbound_nodes": [{"args": [
                [tensor(*one) for one in call] if len(call) > 1
                else tensor(*call[0])], "kwargs": {}} for call in calls]}


def input_layer(name, *shape):
    return {"class_name": "InputLayer", "name": name, "inbound_nodes": [],
            "config": {"name": name, "batch_shape": [None, *shape]}}


def functional(name, layers, inputs, outputs):
    return {"class_name": "Functional", "config": {
        "name": name, "layers": layers,
        "input_layers": [[one, 0, 0] for one in inputs],
        "output_layers": [[one, call, 0] for one, call in outputs]}}


class Keras(Case):
    """A siamese network: an encoder that is a model, with a model in it."""

    def setUp(self):
        super().setUp()
        self.h5py = e2e.import_or_skip("h5py")
        self.w = random_weights(
            self.source, encoder_first__kernel=(6, 4),
            encoder_first__bias=4, encoder_head_norm__gamma=4,
            encoder_head_norm__beta=4, encoder_head_norm__moving_mean=4,
            encoder_head_norm__moving_variance=4,
            encoder_head_last__kernel=(4, 3), encoder_head_last__bias=3,
            score__kernel=(3, 1), score__bias=1)
        self.w["encoder_head_norm/moving_variance"] = self.source.uniform(
            0.5, 1, 4)
        head = {"class_name": "Sequential", "config": {
            "name": "head", "layers": [
                input_layer("head_in", 4),
                {"class_name": "BatchNormalization",
                 "config": {"name": "norm", "epsilon": 0.01}},
                {"class_name": "Dense", "config": {"name": "last", "units": 3,
                                                   "activation": "tanh"}}]}}
        head["inbound_nodes"] = entry("", {"name": ""}, [("first",)])[
            "inbound_nodes"]
        head["name"] = "head"
        encoder = functional("encoder", [
            input_layer("x", 6),
            entry("Dense", {"name": "first", "units": 4,
                            "activation": "relu"}, [("x",)]),
            head], ["x"], [("head", 0)])
        encoder["name"] = "encoder"
        encoder["inbound_nodes"] = entry(
            "", {"name": ""}, [("left",)], [("right",)])["inbound_nodes"]
        self.model = functional("twins", [
            input_layer("left", 6), input_layer("right", 6), encoder,
            entry("Subtract", {"name": "difference"},
                  [("encoder", 0), ("encoder", 1)]),
            entry("Dense", {"name": "score", "units": 1,
                            "activation": "sigmoid"}, [("difference",)])],
            ["right", "left"], [("score", 0), ("encoder", 1)])

    def encode(self, x):
        w = lambda name: self.w["encoder_" + name]
        x = numpy.maximum(x @ w("first/kernel") + w("first/bias"), 0)
        x = (x - w("head_norm/moving_mean")) / numpy.sqrt(
            w("head_norm/moving_variance") + 0.01)
        x = x * w("head_norm/gamma") + w("head_norm/beta")
        return numpy.tanh(x @ w("head_last/kernel") + w("head_last/bias"))

    def check(self, path):
        spec, weights = import_model(path, os.path.basename(path) + ".d")
        self.assertIn("inputs:\n  right: {shape: [6]}\n  left: {shape: [6]}\n",
                      spec)
        self.assertIn("reuse: {layer: encoder_first", spec)
        self.assertEqual(sorted(weights), sorted(self.w))
        a, b = self.encode(self.left), self.encode(self.right)
        score = 1 / (1 + numpy.exp(
            -((a - b) @ self.w["score/kernel"] + self.w["score/bias"])))
        got = self.predict(self.program(path, "twins"), left=self.left,
                           right=self.right)
        self.assertNear(got["score"], score)
        second = [name for name in got if name != "score"][0]
        self.assertNear(got[second], b)

    def test_hdf5(self):
        path = e2e.scratch("twins.h5")
        with self.h5py.File(path, "w") as file:
            file.attrs["keras_version"] = "3.1.1"
            file.attrs["model_config"] = json.dumps(self.model)
            root = file.create_group("model_weights")
            root.attrs["layer_names"] = ["left", "right", "encoder",
                                         "difference", "score"]

            def group(name, variables):
                made = root.create_group(name)
                made.attrs["weight_names"] = [n for n, _ in variables]
                for own, key in variables:
                    made[own] = self.w[key].astype("f4")

            # What is trained comes first, then the statistics.
            inner = lambda path: (path, "encoder_" + path.replace(
                "head/", "head_"))
            group("encoder", [inner(n) for n in (
                "first/kernel", "first/bias", "head/norm/gamma",
                "head/norm/beta", "head/last/kernel", "head/last/bias",
                "head/norm/moving_mean", "head/norm/moving_variance")])
            group("score", [("score/kernel",) * 2, ("score/bias",) * 2])
        self.check(path)

    def test_archive(self):
        weights = e2e.scratch("twins.weights.h5")
        with self.h5py.File(weights, "w") as file:
            def put(group, *names):
                for i, name in enumerate(names):
                    file[f"{group}/vars/{i}"] = self.w[name].astype("f4")
            inside = "layers/functional/layers/"
            put(inside + "dense", "encoder_first/kernel", "encoder_first/bias")
            put(inside + "sequential/layers/batch_normalization", *(
                "encoder_head_norm/" + n for n in (
                    "gamma", "beta", "moving_mean", "moving_variance")))
            put(inside + "sequential/layers/dense",
                "encoder_head_last/kernel", "encoder_head_last/bias")
            put("layers/dense", "score/kernel", "score/bias")
        path = e2e.scratch("twins.keras")
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("metadata.json", '{"keras_version": "3.1.1"}')
            file.writestr("config.json", json.dumps(self.model))
            file.write(weights, "model.weights.h5")
        self.check(path)
        with open(path, "rb") as file:
            content = file.read()
        cut = e2e.scratch("cut.keras")
        with open(cut, "wb") as file:
            file.write(content[:-100])
        message = sinter("import", cut, "-o", e2e.scratch("cut"), status=1)
        self.assertIn("truncated or damaged", message)
        self.assertIn(f"{len(content) - 100} bytes", message)


class ChannelsFirst(Case):
    def setUp(self):
        super().setUp()
        self.h5py = e2e.import_or_skip("h5py")

    @staticmethod
    def convolve(x, kernel, bias):
        """valid, (N, H, W, C)"""
        n, h, w, _ = x.shape
        kh, kw, _, filters = kernel.shape
        y = numpy.zeros((n, h - kh + 1, w - kw + 1, filters))
        for i in range(kh):
            for j in range(kw):
                y += x[:, i:i + h - kh + 1, j:j + w - kw + 1] @ kernel[i, j]
        return y + bias

    def test_images(self):
        first = {"data_format": "channels_first"}
        shape = (2, 9, 8)
        w = random_weights(
            self.source, a__kernel=(3, 2, 2, 4), a__bias=4, n__gamma=4,
            n__beta=4, n__moving_mean=4, b__kernel=(2, 2, 4, 3), b__bias=3,
            d__kernel=(2 * 2 * 3, 5), d__bias=5)
        w["n/moving_variance"] = self.source.uniform(0.5, 1, 4)
        model = functional("first", [
            input_layer("x", *shape),
            entry("Conv2D", {"name": "a", "filters": 4, "kernel_size": [3, 2],
                             **first}, [("x",)]),
            entry("BatchNormalization", {"name": "n", "axis": [1]}, [("a",)]),
            entry("Activation", {"name": "r", "activation": "relu"},
                  [("n",)]),
            entry("Concatenate", {"name": "c", "axis": 1}, [("r",), ("n",)]),
            entry("MaxPooling2D", {"name": "p", "pool_size": [2, 2], **first},
                  [("r",)]),
            entry("Conv2D", {"name": "b", "filters": 3, "kernel_size": [2, 2],
                             **first}, [("p",)]),
            entry("Flatten", {"name": "f", **first}, [("b",)]),
            entry("Dense", {"name": "d", "units": 5}, [("f",)])],
            ["x"], [("d", 0), ("c", 0)])
        path = e2e.scratch("first.h5")
        with self.h5py.File(path, "w") as file:
            file.attrs["keras_version"] = "3.1.1"
            file.attrs["model_config"] = json.dumps(model)
            root = file.create_group("model_weights")
            root.attrs["layer_names"] = list("anbd")
            for layer, names in ("a", ["kernel", "bias"]), ("n", [
                    "gamma", "beta", "moving_mean", "moving_variance"]), (
                    "b", ["kernel", "bias"]), ("d", ["kernel", "bias"]):
                group = root.create_group(layer)
                group.attrs["weight_names"] = names
                for name in names:
                    group[name] = w[f"{layer}/{name}"].astype("f4")
        image = self.source.uniform(-1, 1, (3, *shape)).astype("f4")
        x = self.convolve(image.transpose(0, 2, 3, 1), w["a/kernel"],
                          w["a/bias"])
        n = (x - w["n/moving_mean"]) / numpy.sqrt(
            w["n/moving_variance"] + 1e-3) * w["n/gamma"] + w["n/beta"]
        r = numpy.maximum(n, 0)
        joined = numpy.concatenate([r, n], 3).transpose(0, 3, 1, 2)
        p = r[:, :6, :6].reshape(3, 3, 2, 3, 2, 4).max((2, 4))
        b = self.convolve(p, w["b/kernel"], w["b/bias"])
        want = b.reshape(3, -1) @ w["d/kernel"] + w["d/bias"]
        got = self.predict(self.program(path, "first"), input=image)
        self.assertNear(got["d"], want, 1e-4)
        self.assertNear(got[[name for name in got if name != "d"][0]], joined)
        spec, _ = import_model(path, "first-d")
        self.assertEqual(spec.count("  - permute: "), 2)


if __name__ == "__main__":
    e2e.main()
