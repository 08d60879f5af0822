"""Labels, class weights and folds: what happens to the classes of a data set.

Oracles: plain Python in double precision for class weights; a separate trainer
with an explicit validation set for each fold of a cross-validation.
"""

import gzip
import json
import math
import os
import random
import struct
import subprocess
import unittest

import e2e

SPEC = """
model: classes
input: {shape: [4]}
layers:
  - dense: {units: 3, activation: softmax, name: output}
loss: sparse_categorical_crossentropy
optimizer: {sgd: {learning_rate: 0.5}}
metrics: [accuracy]
data:
  train: {csv: train.csv, label: kind}
  test: {csv: test.csv, label: kind}
  classes: auto
train: {epochs: 30, batch_size: 16, seed: 3}
"""
LABELS = (-2, 7, 40)


def table(labels, count, seed):
    """Four numbers and a label; the label decides which number is large."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        kind = chance.randrange(len(labels))
        x = [round(chance.uniform(0, 0.3) + (i == kind), 3) for i in range(4)]
        rows.append((x, labels[kind]))
    return rows


def write_table(name, rows):
    return e2e.write(name, "a,b,c,d,kind\n" + "".join(
        ",".join(map(str, x)) + f",{kind}\n" for x, kind in rows))


def refusal(path, *arguments, status=1):
    done = subprocess.run([path, *map(str, arguments)], capture_output=True,
                          text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr


def metadata(path):
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(size)).get("__metadata__", {})


class MappedClasses(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = table(LABELS, 90, 1)
        cls.data = os.path.dirname(write_table("train.csv", cls.rows))
        cls.test = [row for row in table(LABELS, 40, 2)
                    if row[1] != LABELS[0]][:20]
        write_table("test.csv", cls.test)
        cls.trainer = e2e.Trainer(SPEC)
        cls.weights = e2e.scratch("w.safetensors")
        cls.trainer.train(cls.data, "--checkpoint-dir", e2e.scratch("c"),
                          save=cls.weights)

    def test_saved(self):
        for file in ("w.safetensors", "c/checkpoint.safetensors"):
            self.assertEqual(metadata(e2e.scratch(file))["classes"], "-2 7 40")

    def test_evaluate(self):
        # The test set lacks the first label: numbers of its own would be wrong.
        result = self.trainer.evaluate(self.data, self.weights, "--confusion")
        self.assertEqual(result["accuracy"], 1)
        self.assertEqual(result["confusion"]["labels"], ["-2", "7", "40"])
        kinds = [kind for _, kind in self.test]
        self.assertEqual(result["confusion"]["matrix"],
                         [[0, 0, 0], [0, kinds.count(7), 0],
                          [0, 0, kinds.count(40)]])
        said = e2e.run(self.trainer.path, "evaluate", "--data", self.data,
                       "--weights", self.weights, "--confusion")
        self.assertIn("\n   -2    0    0    0\n", said)

    def test_confusion_counts(self):
        # Untrained weights, so that there is some confusion.
        rows = [(x, kind) for x, kind in table(LABELS, 40, 3)]
        write_table("test.csv", rows)
        fresh = e2e.scratch("fresh.safetensors")
        self.trainer.train(self.data, "--epochs", 1, save=fresh)
        result = self.trainer.evaluate(self.data, fresh, "--confusion")
        write_table("test.csv", self.test)
        matrix = result["confusion"]["matrix"]
        for row, label in zip(matrix, LABELS):
            self.assertEqual(sum(row), sum(k == label for _, k in rows))
        self.assertAlmostEqual(sum(matrix[i][i] for i in range(3)) / 40,
                               result["accuracy"])

    def test_argmax(self):
        inputs = e2e.write("x.csv", "1,0,0,0\n0,0,1,0\n0,1,0,0\n")
        for form in ("csv", "npy"):
            output = e2e.scratch("y." + form)
            e2e.run(self.trainer.path, "predict", "--weights", self.weights,
                    "--input", inputs, "--output", output, "--argmax")
            with open(output, "rb") as file:
                data = file.read()
            if form == "csv":
                self.assertEqual(data, b"-2\n40\n7\n")
            else:
                self.assertIn(b"'descr': '<i4'", data[:128])
                self.assertIn(b"'shape': (3, )", data[:128])
                self.assertEqual(struct.unpack("<3i", data[128:]), (-2, 40, 7))

    def test_texts(self):
        """Labels of a table that are texts, sorted; commas, quotes, slashes."""
        texts = dict(zip(LABELS, ('a "b", c', "and/or 100%", "cat")))

        def quoted(rows):
            return [(x, '"' + texts[kind].replace('"', '""') + '"')
                    for x, kind in rows]
        folder = e2e.scratch("texts")
        os.makedirs(folder, exist_ok=True)
        write_table("texts/train.csv", quoted(self.rows))
        write_table("texts/test.csv", quoted(self.test))
        weights = e2e.scratch("texts.safetensors")
        self.trainer.train(folder, save=weights)
        self.assertEqual(metadata(weights)["classes"], "0 1 2")
        self.assertEqual(metadata(weights)["class_names"],
                         'a "b", c/and%2For 100%25/cat')
        # The same as with numbers that are sorted alike.
        self.assertEqual(e2e.read_safetensors(weights),
                         e2e.read_safetensors(self.weights))
        result = self.trainer.evaluate(folder, weights, "--confusion")
        self.assertEqual(result["accuracy"], 1)
        self.assertEqual(result["confusion"]["labels"], list(texts.values()))
        inputs = e2e.write("x.csv", "1,0,0,0\n0,0,1,0\n0,1,0,0\n")
        for form in ("csv", "npy"):
            output = e2e.scratch("texts-y." + form)
            e2e.run(self.trainer.path, "predict", "--weights", weights,
                    "--input", inputs, "--output", output, "--argmax")
            with open(output, "rb") as file:
                data = file.read()
            if form == "csv":
                self.assertEqual(data, b'"a ""b"", c"\ncat\nand/or 100%\n')
            else:
                self.assertEqual(struct.unpack("<3i", data[128:]), (0, 2, 1))
        write_table("texts/test.csv", self.test)
        self.assertIn("test.csv: record 0 (counted from 0): expected a label of "
                      "the training set (a \"b\", c, and/or 100%, cat), got '",
                      refusal(self.trainer.path, "evaluate", "--data", folder,
                              "--weights", weights))
        write_table("texts/train.csv", quoted(self.rows)
                    + [([0, 0, 0, 0], "dog")])
        self.assertIn("got more: a \"b\", c, and/or 100%, cat, dog, ...",
                      refusal(self.trainer.path, "train", "--data", folder))

    def test_refusals(self):
        path = self.trainer.path
        write_table("test.csv", self.test + [([0, 0, 0, 0], 8)])
        self.assertIn("test.csv: record 20 (counted from 0): expected a label "
                      "of the training set (-2, 7, 40), got 8",
                      refusal(path, "evaluate", "--data", self.data,
                              "--weights", self.weights))
        write_table("test.csv", self.test)
        for labels, said in (
                (LABELS + (50,), "expected 3 different labels, one for each "
                 "class of the model, got more: -2, 7, 40, 50, ..."),
                (LABELS[:2], "got 2: -2, 7"),
                ((0.5, 1, 2), "expected a whole number as label, got 0.5")):
            folder = os.path.dirname(
                write_table("train.csv", table(labels, 90, 1)))
            self.assertIn(said, refusal(path, "train", "--data", folder))
        write_table("train.csv", self.rows)
        plain = e2e.write_safetensors(e2e.scratch("plain.safetensors"), {
            "output/kernel": ((4, 3), [0.0] * 12),
            "output/bias": ((3,), [0.0] * 3)})
        self.assertIn("expected the labels of 3 classes",
                      refusal(path, "evaluate", "--data", self.data,
                              "--weights", plain))
        bad = e2e.write_safetensors(e2e.scratch("bad.safetensors"), {
            "output/kernel": ((4, 3), [0.0] * 5 + [math.nan] + [0.0] * 6),
            "output/bias": ((3,), [0.0] * 3)})
        self.assertIn("tensor 'output/kernel': expected finite values, got nan "
                      "at element 5",
                      refusal(path, "predict", "--weights", bad, "--input",
                              "x.csv", "--output", "y.csv"))

    def test_validation_set(self):
        trainer = e2e.Trainer(SPEC.replace(
            "  test:", "  validation: {csv: v.csv, label: kind}\n  test:"),
            "validation")
        write_table("v.csv", self.test)
        history = trainer.train(self.data)
        self.assertEqual(history["val_accuracy"][-1], 1)
        write_table("v.csv", table((7, 41), 9, 1))
        self.assertIn("v.csv: record ", refusal(
            trainer.path, "train", "--data", self.data))


class Cifar(unittest.TestCase):
    SPEC = """
model: cifar
input: {shape: [32, 32, 3], scale: 1/255}
layers: [flatten, {dense: {units: 10, activation: softmax}}]
loss: sparse_categorical_crossentropy
optimizer: sgd
metrics: [accuracy]
data:
  train: {cifar10: [one.bin, two.bin.gz]}
  test: {cifar10: one.bin}
train: {epochs: 30}
"""

    def test_files(self):
        def record(label):
            # Its own brightness in red, none in green and blue.
            return bytes([label] + [25 * label] * 1024 + [0] * 2048)
        with open(e2e.scratch("one.bin"), "wb") as file:
            file.write(b"".join(record(i % 10) for i in range(50)))
        with gzip.open(e2e.scratch("two.bin.gz"), "wb") as file:
            file.write(b"".join(record(i % 10) for i in range(30)))
        trainer = e2e.Trainer(self.SPEC, "cifar")
        folder = e2e.scratch()
        said = e2e.run(trainer.path, "train", "--data", folder, "--save",
                       e2e.scratch("cifar.safetensors"))
        self.assertIn("80 samples to train on", said)
        # Green and blue are 0, so their weights got no gradient.
        _, kernel = e2e.read_safetensors(
            e2e.scratch("cifar.safetensors"))["dense/kernel"]
        fresh = e2e.scratch("cifar1.safetensors")
        trainer.train(folder, "--epochs", 1, save=fresh)
        _, before = e2e.read_safetensors(fresh)["dense/kernel"]
        for pixel in range(1024):
            row = 30 * pixel
            self.assertNotEqual(kernel[row:row + 10], before[row:row + 10])
            self.assertEqual(kernel[row + 10:row + 30],
                             before[row + 10:row + 30])

        with open(e2e.scratch("one.bin"), "ab") as file:
            file.write(b"\x01\x02")
        self.assertIn("one.bin: record 50 (counted from 0): truncated: expected "
                      "3073 bytes, got 2",
                      refusal(trainer.path, "train", "--data", folder))


class ClassWeights(unittest.TestCase):
    ROWS = table((0, 1, 2), 24, 5)

    @staticmethod
    def reference(weights, kernel, bias, epochs):
        """SGD without shuffling, one batch an epoch; the losses."""
        losses = []
        rows = ClassWeights.ROWS
        for _ in range(epochs):
            loss, dk, db = 0, [[0] * 3 for _ in range(4)], [0] * 3
            for x, kind in rows:
                z = [bias[j] + sum(x[i] * kernel[i][j] for i in range(4))
                     for j in range(3)]
                p = [math.exp(v - max(z)) for v in z]
                p = [v / sum(p) for v in p]
                w = weights.get(kind, 1) / len(rows)
                loss -= w * math.log(p[kind])
                for j in range(3):
                    e = w * (p[j] - (j == kind))
                    db[j] += e
                    for i in range(4):
                        dk[i][j] += e * x[i]
            losses.append(loss)
            bias = [b - 0.5 * d for b, d in zip(bias, db)]
            kernel = [[k - 0.5 * d for k, d in zip(*pair)]
                      for pair in zip(kernel, dk)]
        return losses

    def check(self, loss, weights):
        text = SPEC.replace("sparse_categorical_crossentropy", loss).replace(
            "batch_size: 16", "batch_size: 24, shuffle: false, class_weight: "
            + json.dumps(weights).replace('"', "")).replace("  classes: auto\n",
                                                            "")
        data = os.path.dirname(write_table("train.csv", self.ROWS))
        trainer = e2e.Trainer(text, "weights")
        start = {"output/kernel": ((4, 3), [0.1 * i for i in range(12)]),
                 "output/bias": ((3,), [0.0, 0.1, 0.2])}
        init = e2e.write_safetensors(e2e.scratch("init.safetensors"), start)
        history = trainer.train(data, "--init", init, "--epochs", 20)
        flat = start["output/kernel"][1]
        want = self.reference(weights, [flat[3 * i:3 * i + 3]
                                        for i in range(4)],
                              start["output/bias"][1], 20)
        for got, loss in zip(history["loss"], want, strict=True):
            self.assertAlmostEqual(got / loss, 1, places=5)
        # Evaluation knows no weights.
        write_table("test.csv", self.ROWS)
        result = trainer.evaluate(data, init)
        plain = self.reference({}, [flat[3 * i:3 * i + 3] for i in range(4)],
                               start["output/bias"][1], 1)[0]
        self.assertAlmostEqual(result["loss"] / plain, 1, places=5)

    def test_labels(self):
        self.check("sparse_categorical_crossentropy", {0: 2.5, 2: 0.25})

    def test_one_hot(self):
        self.check("categorical_crossentropy", {1: 3})

    def test_binary(self):
        rows = [(x, kind) for x, kind in table((0, 1), 16, 8)]
        data = os.path.dirname(write_table("train.csv", rows))
        losses = []
        for weights in ("null", "{0: 3.0, 1: 3.0}", "{1: 3.0}", "{0: 3.0}"):
            text = SPEC.replace("sparse_categorical", "binary").replace(
                "units: 3, activation: softmax",
                "units: 1, activation: sigmoid").replace(
                "  classes: auto\n", "").replace(
                "batch_size: 16", f"batch_size: 16, class_weight: {weights}")
            history = e2e.Trainer(text, "binary").train(data, "--epochs", 1)
            losses.append(history["loss"][0])
        plain, both, yes, no = losses
        self.assertAlmostEqual(both / plain, 3, places=5)
        self.assertAlmostEqual((yes + no - 2 * plain) / (both - plain), 1,
                               places=5)
        self.assertNotAlmostEqual(yes, no)

    def test_refusals(self):
        for weights, said in (
                ("{3: 1.0}", "class_weight: expected classes from 0 to 2, got "
                 "3"),
                ("{a: 1.0}", "expected 'class_weight' to map class numbers to "
                 "factors of at least 0, got a: "),
                ("{0: -1}", "got 0: -1"), ("{0: 1, 1: [2]}", "got 1: a list"),
                ("balanced", "expected 'class_weight' to be a map from class "
                 "numbers to factors ({0: 1.0, 3: 2.5}), got 'balanced'")):
            spec = e2e.write("bad.yaml", SPEC.replace(
                "seed: 3", f"class_weight: {weights}"))
            self.assertIn(said, refusal(e2e.tool("sinter"), "check", spec))
        spec = e2e.write("bad.yaml", SPEC.replace(
            "sparse_categorical_crossentropy", "mse").replace(
            "seed: 3", "class_weight: {0: 1}").replace("[accuracy]", "[]"))
        self.assertIn("class_weight: expected a loss with classes",
                      refusal(e2e.tool("sinter"), "check", spec))


class CrossValidation(unittest.TestCase):
    def test_folds(self):
        rows = table((0, 1, 2), 20, 9)
        text = SPEC.replace("  classes: auto\n", "").replace("epochs: 30",
                                                             "epochs: 3")
        data = os.path.dirname(write_table("train.csv", rows))
        trainer = e2e.Trainer(text, "folds")
        result = json.loads(e2e.run(trainer.path, "cross-validate", "--data",
                                    data, "--folds", 3, "--json"))
        # 20 = 7 + 7 + 6, as scikit-learn's KFold.
        split = e2e.Trainer(text.replace(
            "train.csv, label: kind}", "rest.csv, label: kind}\n"
            "  validation: {csv: fold.csv, label: kind}"), "one-fold")
        losses = []
        for fold, (begin, end) in enumerate(((0, 7), (7, 14), (14, 20))):
            write_table("fold.csv", rows[begin:end])
            write_table("rest.csv", rows[:begin] + rows[end:])
            history = split.train(data)
            losses.append(history["val_loss"][-1])
            for name in ("loss", "accuracy"):
                self.assertEqual(history["val_" + name][-1],
                                 result["folds"][name][fold])
        mean = sum(losses) / 3
        self.assertAlmostEqual(result["mean"]["loss"], mean)
        self.assertAlmostEqual(
            result["std"]["loss"],
            math.sqrt(sum((x - mean) ** 2 for x in losses) / 3))

        said = e2e.run(trainer.path, "cross-validate", "--data", data,
                       "--folds", 4, "--shuffle-folds")
        self.assertRegex(said, r"^fold 1/4  loss \d+\.\d+  accuracy ")
        self.assertRegex(said, r"\nloss \d\.\d+ ± \d\.\d+\naccuracy ")
        self.assertIn("--folds: expected at most the 20 samples",
                      refusal(trainer.path, "cross-validate", "--data", data,
                              "--folds", 21))


if __name__ == "__main__":
    e2e.main()
