"""models - the networks that are timed as a whole: sizes, work, data."""

import os
import random

from .measure import OUT, ROOT

# Name: pixels, classes, hidden units (of those with one hidden layer).
PIXELS = {"fashion_mlp": 784, "mnist_dense": 784, "sign_cnn": 784,
          "resnet18": 224 * 224 * 3}
CLASSES = {"fashion_mlp": 10, "mnist_dense": 10, "sign_cnn": 24,
           "resnet18": 1000}
HIDDEN = {"fashion_mlp": 100, "mnist_dense": 512}
OPTIMIZER = {"fashion_mlp": "adam", "mnist_dense": "rmsprop"}


def matmuls(name):
    """Multiply-adds of each dense layer and convolution for one sample, in
    order."""
    if name in HIDDEN:
        return [784 * HIDDEN[name], HIDDEN[name] * 10]
    if name == "sign_cnn":
        return [28 * 28 * 9 * 75, 14 * 14 * 9 * 75 * 50, 7 * 7 * 9 * 50 * 25,
                400 * 512, 512 * 24]
    work, channels, size = [112 * 112 * 49 * 3 * 64], 64, 56
    for filters in (64, 128, 256, 512):
        if filters > 64:
            size //= 2
            work.append(size * size * channels * filters)  # 1x1, stride 2
        area = size * size * 9
        work += [area * channels * filters] + 3 * [area * filters * filters]
        channels = filters
    return work + [512 * 1000]


def predict_flops(name):
    return 2 * sum(matmuls(name))


def train_flops(name):
    """Forward, and both gradients; the first layer needs one only. The same for
    every side, whatever it computes again; optimizers are not counted."""
    work = matmuls(name)
    return 2 * (3 * sum(work) - work[0])


def absent(name, quick):
    """Why a sample cannot be measured, or None."""
    if quick and name == "resnet18":
        return "takes long: not with --quick"
    if os.path.exists(os.path.join(ROOT, "samples", name, "model.yaml")):
        return None
    return f"samples/{name} is not there"


def data(name):
    """A file of random images and labels, as bytes: the least favourable case
    for no side, as no time depends on values once denormals are flushed."""
    folder = os.path.join(OUT, "data")
    path = os.path.join(folder, f"{PIXELS[name]}.bin")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        samples = 2048 if PIXELS[name] < 1000 else 16
        with open(path, "wb") as file:
            file.write(random.Random(1).randbytes(samples
                                                  * (PIXELS[name] + 1)))
    return path
