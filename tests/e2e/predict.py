"""A trained network answers the same through every door.

The saved weights and plain Python are the oracle: what `predict` writes is the
network's formula, and what `evaluate` reports is the loss and the accuracy of
those predictions.
"""

import math
import os
import unittest
import zipfile

import e2e

SPEC = """
model: doors
input: {shape: [28, 28], scale: 1/255}
layers:
  - flatten
  - dense: {units: 13, activation: relu, name: hidden}
  - dropout: 0.5
  - dense: {units: 10, activation: softmax, name: output}
loss: sparse_categorical_crossentropy
optimizer: adam
metrics: [accuracy]
data:
  train: {images: images.npy, labels: labels.npy}
  test: {images: images.npy, labels: labels.npy}
train: {epochs: 2, batch_size: 32, seed: 4}
"""
SAMPLES = 301


def forward(weights, row):
    """One sample in double precision."""
    def dense(name, x):
        kernel, bias = weights[name + "/kernel"][1], weights[name + "/bias"][1]
        units = len(bias)
        return [bias[j] + sum(v * kernel[i * units + j]
                              for i, v in enumerate(x) if v)
                for j in range(units)]
    hidden = [max(v, 0.0) for v in dense("hidden", row)]
    logits = dense("output", hidden)
    top = max(logits)
    powers = [math.exp(v - top) for v in logits]
    return [p / sum(powers) for p in powers]


class Predict(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data, pixels, labels = e2e.fashion_subset(SAMPLES)
        cls.labels = list(labels)
        cls.trainer = e2e.Trainer(SPEC)
        cls.weights = e2e.scratch("weights.safetensors")
        cls.trainer.train(cls.data, save=cls.weights)
        weights = e2e.read_safetensors(cls.weights)
        cls.shapes = {name: shape for name, (shape, _) in weights.items()}
        cls.want = [
            forward(weights, [v / 255 for v in pixels[784 * i:784 * i + 784]])
            for i in range(SAMPLES)]
        cls.images = os.path.join(cls.data, "images.npy")

    def test_weights(self):
        self.assertEqual(self.shapes, {
            "hidden/kernel": (784, 13), "hidden/bias": (13,),
            "output/kernel": (13, 10), "output/bias": (10,)})

    def test_predict(self):
        shape, got = self.trainer.predict(self.weights, self.images)
        self.assertEqual(shape, (SAMPLES, 10))
        for i, want in enumerate(self.want):
            for a, b in zip(got[10 * i:10 * i + 10], want):
                self.assertLess(abs(a - b), 2e-6 + 1e-5 * b, f"sample {i}")

    def test_archive(self):
        other = e2e.write_npy(e2e.scratch("other.npy"), (2,), [1, 2])
        archive, output = e2e.scratch("in.npz"), e2e.scratch("archived.npy")

        def predict(**members):
            with zipfile.ZipFile(archive, "w") as file:
                for name, path in members.items():
                    file.write(path, name + ".npy")
            e2e.run(self.trainer.path, "predict", "--weights", self.weights,
                    "--input", archive, "--output", output)
            return e2e.read_npy(output)

        want = self.trainer.predict(self.weights, self.images)
        self.assertEqual(predict(input=self.images), want)
        self.assertEqual(predict(pixels=self.images), want)
        with self.assertRaisesRegex(
                e2e.Failed, r"got 1\n[^\n]*in\.npz: expected no arrays but the "
                r"model's inputs \(input\), got 'other'"):
            predict(input=self.images, other=other)

    def test_evaluate(self):
        result = self.trainer.evaluate(self.data, self.weights)
        loss = -sum(math.log(row[label]) for row, label in
                    zip(self.want, self.labels)) / SAMPLES
        right = sum(row.index(max(row)) == label for row, label in
                    zip(self.want, self.labels)) / SAMPLES
        self.assertAlmostEqual(result["loss"] / loss, 1, places=5)
        self.assertAlmostEqual(result["accuracy"], right, places=6)

    def test_info(self):
        info = self.trainer.info()
        memory = info["memory"]
        self.assertGreater(memory["arena_bytes"], 0)
        self.assertGreaterEqual(memory["arena_bytes"],
                                memory["lower_bound_bytes"])
        self.assertLessEqual(memory["arena_bytes"],
                             1.02 * memory["lower_bound_bytes"] + 64)
        parameters = 784 * 13 + 13 + 130 + 10
        self.assertGreaterEqual(memory["state_bytes"], 3 * 4 * parameters)

    def test_small_program(self):
        # A trainer of a small model stays under 500 KB, stripped.
        stripped = e2e.scratch("stripped")
        e2e.run("strip", "-o", stripped, self.trainer.path)
        size = os.path.getsize(stripped)
        print(f"{size} bytes", end=" ... ")
        self.assertLess(size, 500_000)

    def test_needs_no_framework(self):
        libraries = {line.split()[0].split(".so")[0]
                     for line in e2e.run("ldd", self.trainer.path).splitlines()
                     if line.strip()}
        allowed = {"linux-vdso", "libc", "libm", "libpthread", "libdl", "librt",
                   "libgcc_s", "/lib64/ld-linux-x86-64", "/lib/ld-linux-aarch64"}
        self.assertLessEqual(libraries, allowed)


class NoParameters(unittest.TestCase):
    """Of a model without parameters no file of weights can exist."""

    def setUp(self):
        self.trainer = e2e.Trainer("""
model: still
input: {shape: [2, 2, 2, 1]}
layers: [average_pooling3d]
""")

    def test_predict(self):
        inputs = e2e.write_npy(e2e.scratch("cubes.npy"), (2, 2, 2, 2, 1),
                               range(16))
        output = e2e.scratch("means.npy")
        e2e.run(self.trainer.path, "predict", "--input", inputs, "--output",
                output)
        self.assertEqual(e2e.read_npy(output), ((2, 1, 1, 1, 1), (3.5, 11.5)))

    def test_export(self):
        for name in "still.onnx", "still.keras", "still.h5":
            path = e2e.scratch(name)
            e2e.run(e2e.tool("sinter"), "export", "--spec", self.trainer.spec,
                    "-o", path)
            program = e2e.scratch("again")
            e2e.run(e2e.tool("sinter"), "compile", path, "-o", program)
            self.assertIn("usage: again predict --input FILE --output FILE "
                          "[flags]", e2e.run(program, "predict", "--help"))


if __name__ == "__main__":
    e2e.main()
