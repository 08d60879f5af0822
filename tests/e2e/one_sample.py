"""A sample's prediction is the same alone and in a batch, but for roundings.

One sample has code of its own, with other lanes and another order of sums. Both
samples' networks are trained for a moment, so that weights and moving
statistics are no longer what they began with. Threads change no bit.
"""

import os
import unittest

import e2e

SAMPLES = 37


def spec(name):
    """A sample's spec, on this test's data."""
    with open(e2e.sample(f"{name}/model.yaml"), encoding="utf-8") as file:
        text = file.read()
    head = text[:text.index("\ndata:")]
    return head + """
data:
  train: {images: images.npy, labels: labels.npy}
train: {epochs: 1, batch_size: 32, seed: 4}
"""


class OneSample(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data, cls.pixels, _ = e2e.fashion_subset(SAMPLES)

    def check(self, name):
        trainer = e2e.Trainer(spec(name), name)
        weights = e2e.scratch(name + ".safetensors")
        trainer.train(self.data, save=weights)
        shape, together = trainer.predict(
            weights, os.path.join(self.data, "images.npy"))
        width = shape[1]
        for i in range(0, SAMPLES, 6):
            image = e2e.scratch("one.npy")
            e2e.write_npy(image, (1, 28, 28),
                          self.pixels[784 * i:784 * i + 784], "B")
            shape, alone = trainer.predict(weights, image, "--threads", "1")
            self.assertEqual(shape, (1, width))
            for a, b in zip(alone, together[width * i:width * i + width]):
                self.assertLess(abs(a - b), 1e-5, f"{name}, sample {i}")
            self.assertEqual(
                alone, trainer.predict(weights, image, "--threads", "2")[1])

    def test_fashion_mlp(self):
        self.check("fashion_mlp")

    def test_sign_cnn(self):
        self.check("sign_cnn")


if __name__ == "__main__":
    e2e.main()
