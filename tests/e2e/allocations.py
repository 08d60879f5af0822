"""Training allocates nothing per step.

A counting allocator (allocations.c, built by CMake, $ALLOCATIONS_LIBRARY) is
preloaded into the trainer. The same data in batches of 50 and of 2 means 12 and
300 steps an epoch: were there a single allocation in a step, the second run
would count hundreds more.
"""

import os
import unittest

import e2e

SPEC = """
model: allocations
input: {shape: [28, 28], scale: 1/255}
layers:
  - flatten
  - dense: {units: 20, activation: relu}
  - dropout: 0.2
  - dense: {units: 10, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: adam
metrics: [accuracy]
data:
  train: {images: images.npy, labels: labels.npy}
  validation_split: 0.2
train: {epochs: 1, batch_size: 50}
"""

SEVERAL = """
model: several
inputs: {a: [5, 4], b: [6]}
layers:
  - flatten: {inputs: a}
  - concatenate: {inputs: [flatten, b]}
  - dense: {units: 3, activation: softmax, name: kind}
  - dense: {units: 2, name: size, inputs: concatenate}
  - dense: {units: 4, activation: softmax, name: hot, inputs: concatenate}
outputs: [kind, size, hot]
loss: {kind: sparse_categorical_crossentropy, size: mse,
       hot: categorical_crossentropy}
optimizer: adam
metrics: {kind: accuracy, hot: accuracy}
data: {train: {synthetic: 750}, validation_split: 0.2}
train: {epochs: 1, batch_size: 50}
"""


class Allocations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.library = os.environ.get("ALLOCATIONS_LIBRARY", "")
        if not os.path.exists(cls.library):
            raise unittest.SkipTest("expected $ALLOCATIONS_LIBRARY to name the "
                                    "counting allocator that CMake builds")
        cls.data, _, _ = e2e.fashion_subset(750)
        cls.trainer = e2e.Trainer(SPEC)
        cls.several = e2e.Trainer(SEVERAL, "several")

    def count(self, batch, epochs, threads, trainer=None):
        report = e2e.scratch("allocations.txt")
        if os.path.exists(report):
            os.remove(report)
        (trainer or self.trainer).train(
            self.data, "--batch-size", batch, "--epochs", epochs,
            threads=threads,
            env={"LD_PRELOAD": self.library, "ALLOCATIONS": report})
        with open(report) as file:
            heap, maps = map(int, file.read().split())
        self.assertGreater(heap, 0, "nothing was counted")
        return heap, maps

    def test_counter_counts(self):
        # Otherwise zero growth would prove nothing.
        report = e2e.scratch("control.txt")
        counts = []
        for size in (10, 10000):
            e2e.run("/usr/bin/env", "python3", "-c",
                    f"x = [bytes(2000) for i in range({size})]",
                    env={"LD_PRELOAD": self.library, "ALLOCATIONS": report})
            with open(report) as file:
                counts.append(int(file.read().split()[0]))
        self.assertGreater(counts[1], counts[0] + 9000)

    def test_steps(self):
        for threads, trainer in ((1, self.trainer), (2, self.trainer),
                                 (1, self.several), (2, self.several)):
            with self.subTest(threads=threads):
                few = self.count(50, 1, threads, trainer)
                many = self.count(2, 1, threads, trainer)
                print(f"{threads} thread(s): 12 steps {few}, 300 steps {many} "
                      "(heap, maps)")
                # Texts that are longer by a digit may cost one more.
                self.assertLessEqual(abs(many[0] - few[0]), 5)
                self.assertEqual(few[1], many[1])

    def test_epochs(self):
        # An epoch may note its figures (history), a constant number of times.
        few, many = self.count(50, 2, 1), self.count(50, 22, 1)
        per_epoch = (many[0] - few[0]) / 20
        print(f"allocations an epoch: {per_epoch}")
        self.assertLess(per_epoch, 30)
        self.assertEqual(few[1], many[1])


if __name__ == "__main__":
    e2e.main()
