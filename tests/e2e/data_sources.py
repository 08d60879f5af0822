"""Where samples come from: a made-up data set trains like any other.

Oracle: the same program again. Labels of made-up samples have nothing to do with
their inputs, so a network that has parameters enough learns them by heart, and
is left with chance on other samples.
"""

import unittest

import e2e

SPEC = """
model: made_up
input: {shape: [8, 8, 3], scale: 1/255}
layers:
  - conv2d: {filters: 8, kernel_size: 3, padding: same, activation: relu}
  - flatten
  - dense: {units: 5, activation: softmax, name: output}
loss: sparse_categorical_crossentropy
optimizer: adam
metrics: [accuracy]
data:
  train: {synthetic: 40}
  test: {synthetic: 200, seed: 1}
train: {epochs: 60, batch_size: 8, seed: 3}
"""


def content(path):
    with open(path, "rb") as file:
        return file.read()


class MadeUp(unittest.TestCase):
    def test_trains_and_repeats(self):
        trainer = e2e.Trainer(SPEC, "made-up")
        weights = [e2e.scratch(f"made-up-{n}.safetensors") for n in range(2)]
        nowhere = e2e.scratch("no-such-folder")
        runs = [trainer.train(nowhere, save=path, threads=threads)
                for threads, path in enumerate(weights, 1)]
        self.assertEqual(runs[0]["loss"], runs[1]["loss"])
        self.assertEqual(*map(content, weights))
        self.assertEqual(runs[0]["accuracy"][-1], 1)
        result = trainer.evaluate(nowhere, weights[0])
        self.assertEqual(result["samples"], 200)
        self.assertLess(result["accuracy"], 0.5)


if __name__ == "__main__":
    e2e.main()
