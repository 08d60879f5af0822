"""Training follows PyTorch's losses, step by step, on real images.

From the same initial weights, on the same images in the same order, every
optimizer trains fashion_mlp's network (784 -> 100 relu -> 10) for 100 steps in
both. Two ways to see losses of single steps: 100 epochs of one batch, and ten
epochs of ten batches, the last one smaller, whose means must agree too (Keras
weighs a batch by its size).

PyTorch's own optimizer is used where its formula is Keras's. Where epsilon
stands elsewhere it is adjusted (adam: PyTorch's is inside of the bias
correction) or Keras's formula is written in PyTorch (rmsprop, adagrad, nadam).
keras_losses.py checks every option; this test is about scale and real data.

Skipped without PyTorch (Debian's python3-torch).
"""

import os
import unittest

import e2e

SPEC = """
model: follower
input: {{shape: [28, 28], scale: 1/255}}
layers:
  - flatten
  - dense: {{units: 100, activation: relu, name: hidden}}
  - dense: {{units: 10, activation: softmax, name: output}}
loss: sparse_categorical_crossentropy
optimizer: {optimizer}
metrics: [accuracy]
data:
  train: {{images: images.npy, labels: labels.npy}}
train: {{epochs: 100, batch_size: 128, shuffle: false}}
"""
SAMPLES = 308  # nine batches of 32 and one of 20


def keras_adam(torch, parameters, **arguments):
    """Keras: alpha m / (sqrt(v) + epsilon), the correction inside of alpha."""
    epsilon, beta2 = 1e-7, 0.999
    optimizer = torch.optim.Adam(parameters, **arguments)
    plain = optimizer.step
    count = [0]

    def step():
        count[0] += 1
        for group in optimizer.param_groups:
            group["eps"] = epsilon / (1 - beta2 ** count[0]) ** 0.5
        plain()
    optimizer.step = step
    return optimizer


def keras_adamw(torch, parameters):
    parameters = list(parameters)
    optimizer = keras_adam(torch, parameters, lr=0.001)
    inner = optimizer.step

    def step():
        for parameter in parameters:
            parameter.data.mul_(1 - 0.001 * 0.004)
        inner()
    optimizer.step = step
    return optimizer


class KerasRule:
    """An optimizer from its rule: (parameter, gradient, slots) -> None."""

    def __init__(self, parameters, rule):
        self.parameters = [(p, {}) for p in parameters]
        self.rule = rule

    def zero_grad(self):
        for parameter, _ in self.parameters:
            parameter.grad = None

    def step(self):
        for parameter, slots in self.parameters:
            self.rule(parameter.data, parameter.grad, slots)


def keras_rmsprop(torch, parameters, lr, rho=0.9, momentum=0.0, epsilon=1e-7):
    def rule(w, g, slots):
        v = slots.setdefault("v", torch.zeros_like(w))
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        move = lr * g * torch.rsqrt(v + epsilon)
        if momentum:
            m = slots.setdefault("m", torch.zeros_like(w))
            move = m.mul_(momentum).add_(move)
        w.sub_(move)
    return KerasRule(parameters, rule)


def keras_adagrad(torch, parameters, lr, initial=0.1, epsilon=1e-7):
    def rule(w, g, slots):
        s = slots.setdefault("s", torch.full_like(w, initial))
        s.addcmul_(g, g)
        w.sub_(lr * g * torch.rsqrt(s + epsilon))
    return KerasRule(parameters, rule)


def keras_nadam(torch, parameters, lr, beta1=0.9, beta2=0.999, epsilon=1e-7):
    """torch.optim.NAdam of PyTorch 1.13 has one factor too many in the product
    of the next step, so the formula is written out."""
    def rule(w, g, slots):
        t = slots["t"] = slots.get("t", 0) + 1
        now, after = (beta1 * (1 - 0.5 * 0.96 ** i) for i in (t, t + 1))
        product = slots["product"] = slots.get("product", 1.0) * now
        m = slots.setdefault("m", torch.zeros_like(w))
        v = slots.setdefault("v", torch.zeros_like(w))
        m.add_(g - m, alpha=1 - beta1)
        v.add_(g * g - v, alpha=1 - beta2)
        mean = (after / (1 - product * after) * m
                + (1 - now) / (1 - product) * g)
        w.sub_(lr * mean / (torch.sqrt(v / (1 - beta2 ** t)) + epsilon))
    return KerasRule(parameters, rule)


# name: (the spec's text, the same in PyTorch)
CASES = {
    "sgd": ("{sgd: {learning_rate: 0.1}}",
            lambda t, p: t.optim.SGD(p, lr=0.1)),
    "momentum": ("{sgd: {learning_rate: 0.01, momentum: 0.9}}",
                 lambda t, p: t.optim.SGD(p, lr=0.01, momentum=0.9)),
    "nesterov": ("{sgd: {learning_rate: 0.01, momentum: 0.9, nesterov: true}}",
                 lambda t, p: t.optim.SGD(p, lr=0.01, momentum=0.9,
                                          nesterov=True)),
    "rmsprop": ("rmsprop", lambda t, p: keras_rmsprop(t, p, 0.001)),
    "rmsprop_momentum": (
        "{rmsprop: {learning_rate: 0.0002, momentum: 0.9}}",
        lambda t, p: keras_rmsprop(t, p, 0.0002, momentum=0.9)),
    "adagrad": ("{adagrad: {learning_rate: 0.01}}",
                lambda t, p: keras_adagrad(t, p, 0.01)),
    "adadelta": ("{adadelta: {learning_rate: 0.5}}",
                 lambda t, p: t.optim.Adadelta(p, lr=0.5, rho=0.95, eps=1e-7)),
    "adam": ("adam", lambda t, p: keras_adam(t, p, lr=0.001)),
    "adamw": ("adamw", keras_adamw),
    "nadam": ("nadam", lambda t, p: keras_nadam(t, p, 0.001)),
}


class TorchLosses(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch = cls.torch = e2e.import_or_skip("torch")
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        cls.folder, pixels, labels = e2e.fashion_subset(SAMPLES)
        # The same data, cut after one batch.
        cls.batch, _, _ = e2e.fashion_subset(128, "batch")
        cls.x = torch.tensor(list(pixels), dtype=torch.float32)
        cls.x = cls.x.reshape(SAMPLES, 784) * (1 / 255)
        cls.y = torch.tensor(list(labels))
        torch.manual_seed(1)
        cls.init = {}
        for name, rows, columns in (("hidden", 784, 100), ("output", 100, 10)):
            limit = (6 / (rows + columns)) ** 0.5
            cls.init[name + "/kernel"] = (
                torch.rand(rows, columns) * 2 - 1) * limit
            cls.init[name + "/bias"] = torch.zeros(columns)
        cls.start = e2e.write_safetensors(
            os.path.join(e2e.scratch(), "start.safetensors"),
            {name: (tuple(t.shape), t.flatten().tolist())
             for name, t in cls.init.items()})

    def torch_losses(self, make, samples, batch, epochs):
        torch = self.torch
        weights = {name: t.clone().requires_grad_(True)
                   for name, t in self.init.items()}
        optimizer = make(torch, list(weights.values()))
        losses = []
        for _ in range(epochs):
            total = 0.0
            for begin in range(0, samples, batch):
                end = min(begin + batch, samples)
                x, y = self.x[begin:end], self.y[begin:end]
                hidden = torch.relu(x @ weights["hidden/kernel"]
                                    + weights["hidden/bias"])
                logits = (hidden @ weights["output/kernel"]
                          + weights["output/bias"])
                loss = torch.nn.functional.cross_entropy(logits, y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * (end - begin)
            losses.append(total / samples)
        return losses

    def compare(self, name, got, want):
        self.assertEqual(len(got), len(want))
        worst = max(range(len(want)), key=lambda i: abs(got[i] / want[i] - 1))
        error = abs(got[worst] / want[worst] - 1)
        print(f"{name}: {want[0]:.4f} -> {want[-1]:.4f}, largest relative "
              f"error {error:.1e}", end=" ... ", flush=True)
        self.assertLess(error, 1e-4, f"{name}, step {worst}: PyTorch "
                        f"{want[worst]}, Sinter {got[worst]}")
        self.assertLess(want[-1], 0.97 * want[0], "nothing was trained")

    def check(self, case):
        text, make = CASES[case]
        trainer = e2e.Trainer(SPEC.format(optimizer=text), case)
        self.compare("steps", trainer.train(
            self.batch, "--init", self.start, "--no-shuffle")["loss"],
            self.torch_losses(make, 128, 128, 100))
        self.compare("epochs", trainer.train(
            self.folder, "--init", self.start, "--no-shuffle", "--batch-size",
            32, "--epochs", 10)["loss"],
            self.torch_losses(make, SAMPLES, 32, 10))


def add_case(case):
    setattr(TorchLosses, "test_" + case, lambda self: self.check(case))


for _case in CASES:
    add_case(_case)

if __name__ == "__main__":
    e2e.main()
