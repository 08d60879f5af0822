"""The same seed gives the same bits: run to run, and for any thread count.

Sizes are odd on purpose: the last batch of an epoch is smaller, and 37 units
fill no whole vector.
"""

import hashlib
import unittest

import e2e

SPEC = """
model: determinism
input: {{shape: [28, 28], scale: 1/255}}
layers:
  - flatten
  - dense: {{units: 37, activation: {activation}}}
  - {extra}
  - dense: {{units: 10, activation: softmax}}
loss: sparse_categorical_crossentropy
optimizer: {optimizer}
metrics: [accuracy]
data:
  train: {{images: images.npy, labels: labels.npy}}
  validation_split: {{fraction: 0.1, shuffle: true, seed: 3}}
train: {{epochs: 2, batch_size: 64, seed: 11}}
"""


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Determinism(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data, _, _ = e2e.fashion_subset(3001)

    def weights(self, trainer, *flags, threads=1):
        path = e2e.scratch("weights.safetensors")
        history = trainer.train(self.data, *flags, threads=threads, save=path)
        history.pop("epoch_seconds", None)
        return digest(path), history

    def check(self, **parts):
        trainer = e2e.Trainer(SPEC.format(**parts))
        first = self.weights(trainer)
        self.assertEqual(first, self.weights(trainer), "run to run")
        for threads in (2, 3, 8):
            self.assertEqual(first, self.weights(trainer, threads=threads),
                             f"1 thread and {threads}")
        self.assertNotEqual(first, self.weights(trainer, "--seed", 12),
                            "another seed")
        self.assertNotEqual(first, self.weights(trainer, "--no-shuffle"),
                            "another order")
        for size in (1, 7, 50):
            odd = self.weights(trainer, "--batch-size", size, "--epochs", 1)
            self.assertEqual(
                odd, self.weights(trainer, "--batch-size", size, "--epochs", 1,
                                  threads=2), f"batch size {size}")

    def test_adam_dropout(self):
        self.check(activation="relu", optimizer="adam", extra="dropout: 0.3")

    def test_rmsprop_noise(self):
        self.check(activation="tanh", optimizer="rmsprop",
                   extra="gaussian_noise: 0.1")

    def test_clipped_momentum(self):
        # The norm of all gradients together is a reduction over everything.
        self.check(activation="gelu", extra="dropout: 0.1",
                   optimizer="{sgd: {learning_rate: 0.1, momentum: 0.9, "
                   "global_clipnorm: 0.5}}")

    def test_whole_sample(self):
        data = e2e.data_dir("fashion-mnist")
        trainer = e2e.Trainer(e2e.sample("fashion_mlp/dropout.yaml"))
        digests = set()
        for threads in (1, 2, 2):
            path = e2e.scratch("sample.safetensors")
            trainer.train(data, "--epochs", 1, threads=threads, save=path)
            digests.add(digest(path))
        self.assertEqual(len(digests), 1)


if __name__ == "__main__":
    e2e.main()
