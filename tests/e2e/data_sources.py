"""Where samples come from: made up, or from folders of pictures.

Oracle: the same program again. Labels of made-up samples have nothing to do with
their inputs, so a network that has parameters enough learns them by heart, and
is left with chance on other samples.
"""

import os
import struct
import unittest
import zlib

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


def png(width, height, pixels):
    """A grey PNG, as its definition says."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))
    rows = b"".join(b"\0" + bytes(pixels[y * width:(y + 1) * width])
                    for y in range(height))
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


FOLDERS = """
model: folders
input: {shape: [8, 8, 3], scale: 1/255}
layers:
  - flatten
  - dense: {units: 2, activation: softmax, name: output}
loss: sparse_categorical_crossentropy
optimizer: adam
metrics: [accuracy]
data:
  train: {directory: train}
  test: {directory: test}
  validation_split: {fraction: 0.25, shuffle: true}
train: {epochs: 40, batch_size: 8, seed: 3}
"""


class Pictures(unittest.TestCase):
    """Bright at the left or at the top, in files of another size than 8 x 8."""

    def write(self, folder, name, number):
        width, height = 9 + number % 5, 7 + number % 4
        path = e2e.scratch(os.path.join("pictures", folder, name))
        os.makedirs(path, exist_ok=True)
        pixels = [250 if (x < width // 2 if name == "left" else y < height // 2)
                  else number for y in range(height) for x in range(width)]
        with open(os.path.join(path, f"{number:03}.png"), "wb") as file:
            file.write(png(width, height, pixels))

    def test_folders(self):
        for number in range(32):
            self.write("train", "left", number)
            self.write("train", "top", number)
        for number in range(32, 40):
            self.write("test", "top", number)  # no folder for class 0
        trainer = e2e.Trainer(FOLDERS, "folders")
        data = e2e.scratch("pictures")
        weights = e2e.scratch("folders.safetensors")
        history = trainer.train(data, save=weights)
        self.assertEqual(history["val_accuracy"][-1], 1)
        result = trainer.evaluate(data, weights, "--confusion")
        self.assertEqual(result["samples"], 8)
        self.assertEqual(result["accuracy"], 1)
        self.assertEqual(result["confusion"]["labels"], ["left", "top"])
        _, chances = trainer.predict(
            weights, os.path.join(data, "test", "top", "035.png"))
        self.assertGreater(chances[1], chances[0])
        with open(os.path.join(data, "test", "top", "x.png"), "wb") as file:
            file.write(b"\xff\xd8\xff")
        with self.assertRaisesRegex(e2e.Failed, "x.png.*got JPEG; convert it"):
            trainer.evaluate(data, weights)


if __name__ == "__main__":
    e2e.main()
