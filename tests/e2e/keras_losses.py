"""One hundred steps of every optimizer follow Keras's formulas.

Problem: PyTorch is a good witness, but its formulas are not Keras's (RMSprop's
epsilon stands outside of the root, Nadam's momentum has another schedule), and
it may not be installed.
Idea: the network is small enough (6 -> 9 tanh -> 4 softmax, 24 samples) to train
it in plain Python, in double precision: forward, backward and each optimizer as
Keras 3 documents it, a few lines each. Training on one batch makes one epoch
one step, so that the history holds the loss of every step.
Known weakness: one data set and one network; 1e-4 relative, since the compiled
program computes in single precision.
"""

import math
import random
import unittest

import e2e

STEPS, SAMPLES, INPUTS, HIDDEN, CLASSES = 100, 24, 6, 9, 4

SPEC = """
model: reference
input: {{shape: [{inputs}]}}
layers:
  - dense: {{units: {hidden}, activation: tanh, name: hidden{more}}}
  - dense: {{units: {classes}, activation: softmax, name: output}}
loss: sparse_categorical_crossentropy
optimizer: {optimizer}
data:
  train: {{images: images.npy, labels: labels.npy}}
train: {{epochs: {steps}, batch_size: {samples}, shuffle: false}}
"""


# ---- The network, in double precision ------------------------------------------


def dense(x, w, b):
    return [[sum(xi * wi[j] for xi, wi in zip(row, w)) + b[j]
             for j in range(len(b))] for row in x]


def loss_and_gradients(weights, x, labels):
    w1, b1, w2, b2 = weights
    h = [[math.tanh(v) for v in row] for row in dense(x, w1, b1)]
    loss, dz = 0.0, []
    for row, label in zip(dense(h, w2, b2), labels):
        top = max(row)
        log_sum = top + math.log(sum(math.exp(v - top) for v in row))
        loss += (log_sum - row[label]) / len(x)
        dz.append([(math.exp(v - log_sum) - (j == label)) / len(x)
                   for j, v in enumerate(row)])
    dw2 = [[sum(h[n][i] * dz[n][j] for n in range(len(x)))
            for j in range(CLASSES)] for i in range(HIDDEN)]
    db2 = [sum(row[j] for row in dz) for j in range(CLASSES)]
    da = [[sum(d[j] * w2[i][j] for j in range(CLASSES)) * (1 - hn[i] ** 2)
           for i in range(HIDDEN)] for d, hn in zip(dz, h)]
    dw1 = [[sum(x[n][i] * da[n][j] for n in range(len(x)))
            for j in range(HIDDEN)] for i in range(INPUTS)]
    db1 = [sum(row[j] for row in da) for j in range(HIDDEN)]
    return loss, [dw1, db1, dw2, db2]


def flat(tensor):
    return [v for row in tensor for v in row] \
        if isinstance(tensor[0], list) else list(tensor)


def unflat(values, like):
    if not isinstance(like[0], list):
        return list(values)
    width = len(like[0])
    return [values[i:i + width] for i in range(0, len(values), width)]


# ---- Keras's optimizers: (w, g, slots, step, lr) -> w, lists of floats ---------
# `slots` is a dict of one tensor; step counts from 0.


def slot(slots, name, like, value=0.0):
    return slots.setdefault(name, [value] * len(like))


def sgd(momentum=0.0, nesterov=False):
    def update(w, g, slots, step, lr):
        if not momentum:
            return [a - lr * b for a, b in zip(w, g)]
        m = slots["m"] = [momentum * m - lr * b
                          for m, b in zip(slot(slots, "m", w), g)]
        if nesterov:
            return [a + momentum * v - lr * b for a, v, b in zip(w, m, g)]
        return [a + v for a, v in zip(w, m)]
    return update


def rmsprop(rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    def update(w, g, slots, step, lr):
        v = slots["v"] = [rho * v + (1 - rho) * b * b
                          for v, b in zip(slot(slots, "v", w), g)]
        below = [x + epsilon for x in v]
        if centered:
            a = slots["a"] = [rho * a + (1 - rho) * b
                              for a, b in zip(slot(slots, "a", w), g)]
            below = [x - y * y for x, y in zip(below, a)]
        move = [lr * b / math.sqrt(x) for b, x in zip(g, below)]
        if momentum:
            move = slots["m"] = [momentum * m + x for m, x in
                                 zip(slot(slots, "m", w), move)]
        return [a - x for a, x in zip(w, move)]
    return update


def adagrad(initial=0.1, epsilon=1e-7):
    def update(w, g, slots, step, lr):
        s = slots["s"] = [s + b * b for s, b in
                          zip(slot(slots, "s", w, initial), g)]
        return [a - lr * b / math.sqrt(x + epsilon)
                for a, b, x in zip(w, g, s)]
    return update


def adadelta(rho=0.95, epsilon=1e-7):
    def update(w, g, slots, step, lr):
        s = slots["s"] = [rho * s + (1 - rho) * b * b
                          for s, b in zip(slot(slots, "s", w), g)]
        d = slot(slots, "d", w)
        move = [-math.sqrt(y + epsilon) / math.sqrt(x + epsilon) * b
                for x, y, b in zip(s, d, g)]
        slots["d"] = [rho * y + (1 - rho) * x * x for y, x in zip(d, move)]
        return [a + lr * x for a, x in zip(w, move)]
    return update


def adam(beta1=0.9, beta2=0.999, epsilon=1e-7):
    def update(w, g, slots, step, lr):
        m = slots["m"] = [m + (b - m) * (1 - beta1)
                          for m, b in zip(slot(slots, "m", w), g)]
        v = slots["v"] = [v + (b * b - v) * (1 - beta2)
                          for v, b in zip(slot(slots, "v", w), g)]
        alpha = lr * math.sqrt(1 - beta2 ** (step + 1)) / (
            1 - beta1 ** (step + 1))
        return [a - alpha * x / (math.sqrt(y) + epsilon)
                for a, x, y in zip(w, m, v)]
    return update


def nadam(beta1=0.9, beta2=0.999, epsilon=1e-7):
    def update(w, g, slots, step, lr):
        t = step + 1
        u, u_next = (beta1 * (1 - 0.5 * 0.96 ** i) for i in (t, t + 1))
        product = slots["product"] = slots.get("product", 1.0) * u
        m = slots["m"] = [m + (b - m) * (1 - beta1)
                          for m, b in zip(slot(slots, "m", w), g)]
        v = slots["v"] = [v + (b * b - v) * (1 - beta2)
                          for v, b in zip(slot(slots, "v", w), g)]
        result = []
        for a, b, x, y in zip(w, g, m, v):
            x_hat = (u_next * x / (1 - product * u_next)
                     + (1 - u) * b / (1 - product))
            y_hat = y / (1 - beta2 ** t)
            result.append(a - lr * x_hat / (math.sqrt(y_hat) + epsilon))
        return result
    return update


# ---- What surrounds an update -----------------------------------------------


def norm(tensor):
    return math.sqrt(sum(v * v for v in tensor))


def clip_each_norm(limit):
    return lambda gs: [[v * min(1, limit / norm(g)) for v in g] for g in gs]


def clip_global_norm(limit):
    def clip(gs):
        whole = math.sqrt(sum(norm(g) ** 2 for g in gs))
        return [[v * min(1, limit / whole) for v in g] for g in gs]
    return clip


def clip_value(limit):
    return lambda gs: [[max(-limit, min(limit, v)) for v in g] for g in gs]


def exponential(start, steps, rate, staircase=False):
    def at(step):
        p = step / steps
        return start * rate ** (math.floor(p) if staircase else p)
    return at


def cosine(start, steps, alpha=0.0, target=None, warmup=0):
    def at(step):
        if target is not None and step < warmup:
            return start + (target - start) * step / warmup
        high = start if target is None else target
        done = min(step - warmup, steps) / steps
        return high * ((1 - alpha) * 0.5 * (1 + math.cos(math.pi * done))
                       + alpha)
    return at


def piecewise(boundaries, values):
    return lambda step: values[sum(step > b for b in boundaries)]


# (the spec's text, the update, its learning rate, extras)
CASES = {
    "sgd": ("{sgd: {learning_rate: 0.5}}", sgd(), 0.5, {}),
    "sgd_default": ("sgd", sgd(), 0.01, {}),
    "momentum": ("{sgd: {learning_rate: 0.1, momentum: 0.9}}", sgd(0.9), 0.1,
                 {}),
    "nesterov": ("{sgd: {learning_rate: 0.1, momentum: 0.9, nesterov: true}}",
                 sgd(0.9, True), 0.1, {}),
    "rmsprop": ("rmsprop", rmsprop(), 0.001, {}),
    "rmsprop_momentum": ("{rmsprop: {learning_rate: 0.002, rho: 0.8, "
                         "momentum: 0.5}}", rmsprop(0.8, 0.5), 0.002, {}),
    "rmsprop_centered": ("{rmsprop: {learning_rate: 0.005, centered: true, "
                         "epsilon: 0.01}}",
                         rmsprop(epsilon=0.01, centered=True), 0.005, {}),
    "adagrad": ("{adagrad: {learning_rate: 0.05}}", adagrad(), 0.05, {}),
    "adagrad_start": ("{adagrad: {learning_rate: 0.05, "
                      "initial_accumulator_value: 0.01}}", adagrad(0.01), 0.05,
                      {}),
    "adadelta": ("{adadelta: {learning_rate: 1.0}}", adadelta(), 1.0, {}),
    "adam": ("{adam: {learning_rate: 0.01}}", adam(), 0.01, {}),
    "adam_betas": ("{adam: {learning_rate: 0.01, beta_1: 0.8, beta_2: 0.99, "
                   "epsilon: 0.001}}", adam(0.8, 0.99, 0.001), 0.01, {}),
    "adamw": ("{adamw: {learning_rate: 0.01, weight_decay: 0.1}}", adam(),
              0.01, {"decay": 0.1}),
    "adamw_default": ("adamw", adam(), 0.001, {"decay": 0.004}),
    "nadam": ("{nadam: {learning_rate: 0.01}}", nadam(), 0.01, {}),
    "weight_decay": ("{sgd: {learning_rate: 0.2, weight_decay: 0.05}}", sgd(),
                     0.2, {"decay": 0.05}),
    "clipnorm": ("{sgd: {learning_rate: 0.5, clipnorm: 0.1}}", sgd(), 0.5,
                 {"clip": clip_each_norm(0.1)}),
    "global_clipnorm": ("{sgd: {learning_rate: 0.5, global_clipnorm: 0.2}}",
                        sgd(), 0.5, {"clip": clip_global_norm(0.2)}),
    "clipvalue": ("{adam: {learning_rate: 0.01, clipvalue: 0.01}}", adam(),
                  0.01, {"clip": clip_value(0.01)}),
    "exponential": ("{sgd: {learning_rate: {exponential_decay: "
                    "{initial_learning_rate: 1.0, decay_steps: 10, "
                    "decay_rate: 0.8}}}}", sgd(), exponential(1, 10, 0.8), {}),
    "staircase": ("{adam: {learning_rate: {exponential_decay: "
                  "{initial_learning_rate: 0.02, decay_steps: 30, "
                  "decay_rate: 0.5, staircase: true}}}}", adam(),
                  exponential(0.02, 30, 0.5, True), {}),
    "cosine": ("{sgd: {learning_rate: {cosine_decay: {initial_learning_rate: "
               "1.0, decay_steps: 70, alpha: 0.1}}}}", sgd(),
               cosine(1, 70, 0.1), {}),
    "cosine_warmup": ("{sgd: {learning_rate: {cosine_decay: "
                      "{initial_learning_rate: 0.0, decay_steps: 70, "
                      "warmup_target: 1.0, warmup_steps: 20}}}}", sgd(),
                      cosine(0, 70, target=1, warmup=20), {}),
    "piecewise": ("{sgd: {learning_rate: {piecewise_constant_decay: "
                  "{boundaries: [20, 60], values: [1.0, 0.3, 0.05]}}}}", sgd(),
                  piecewise([20, 60], [1.0, 0.3, 0.05]), {}),
    "l2": ("{sgd: {learning_rate: 0.5}}", sgd(), 0.5, {"l2": 0.01}),
    "l1": ("{sgd: {learning_rate: 0.1}}", sgd(), 0.1, {"l1": 0.01}),
}


def reference_losses(weights, x, labels, update, rate, clip=None, decay=0.0,
                     l1=0.0, l2=0.0):
    rate = rate if callable(rate) else lambda step, value=rate: value
    slots = [{} for _ in weights]
    losses = []
    for step in range(STEPS):
        loss, gradients = loss_and_gradients(weights, x, labels)
        gradients = [flat(g) for g in gradients]
        kernel = flat(weights[0])
        loss += sum(l1 * abs(v) + l2 * v * v for v in kernel)
        gradients[0] = [g + l1 * ((v > 0) - (v < 0)) + 2 * l2 * v
                        for g, v in zip(gradients[0], kernel)]
        losses.append(loss)
        if clip:
            gradients = clip(gradients)
        lr = rate(step)
        weights = [
            unflat(update([v - lr * decay * v for v in flat(w)], g, s, step,
                          lr), w)
            for w, g, s in zip(weights, gradients, slots)]
    return losses, weights


def f32(value):
    import struct
    return struct.unpack("<f", struct.pack("<f", value))[0]


class KerasLosses(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        draw = random.Random(5)

        def matrix(rows, columns, scale):
            return [[f32(draw.uniform(-scale, scale)) for _ in range(columns)]
                    for _ in range(rows)]
        cls.x = matrix(SAMPLES, INPUTS, 2)
        cls.labels = [draw.randrange(CLASSES) for _ in range(SAMPLES)]
        cls.weights = [matrix(INPUTS, HIDDEN, 0.6), matrix(1, HIDDEN, 0.1)[0],
                       matrix(HIDDEN, CLASSES, 0.6), matrix(1, CLASSES, 0.1)[0]]
        e2e.write_npy(e2e.scratch("images.npy"), (SAMPLES, INPUTS),
                      flat(cls.x))
        e2e.write_npy(e2e.scratch("labels.npy"), (SAMPLES,), cls.labels, "i")
        names = [("hidden/kernel", (INPUTS, HIDDEN)), ("hidden/bias", (HIDDEN,)),
                 ("output/kernel", (HIDDEN, CLASSES)),
                 ("output/bias", (CLASSES,))]
        cls.names = [name for name, _ in names]
        cls.start = e2e.write_safetensors(
            e2e.scratch("start.safetensors"),
            {name: (shape, flat(w))
             for (name, shape), w in zip(names, cls.weights)})

    def check(self, name):
        text, update, rate, extra = CASES[name]
        more = "".join(f", kernel_regularizer: {{{key}: {extra[key]}}}"
                       for key in ("l1", "l2") if key in extra)
        trainer = e2e.Trainer(SPEC.format(
            inputs=INPUTS, hidden=HIDDEN, classes=CLASSES, steps=STEPS,
            samples=SAMPLES, optimizer=text, more=more), name)
        end = e2e.scratch("end.safetensors")
        losses = trainer.train(e2e.scratch(), "--init", self.start,
                               save=end)["loss"]
        expected, weights = reference_losses(self.weights, self.x, self.labels,
                                             update, rate, **extra)
        self.assertEqual(len(losses), STEPS)
        worst = max(range(STEPS),
                    key=lambda i: abs(losses[i] / expected[i] - 1))
        error = abs(losses[worst] / expected[worst] - 1)
        print(f"loss {expected[0]:.4f} -> {expected[-1]:.4f}, largest relative "
              f"error {error:.1e} at step {worst}", end=" ... ", flush=True)
        self.assertLess(error, 1e-4, f"step {worst}: expected "
                        f"{expected[worst]}, got {losses[worst]}")
        self.assertNotAlmostEqual(expected[0], expected[-1], places=3,
                                  msg="nothing was trained")
        saved = e2e.read_safetensors(end)
        for tensor, want in zip(self.names, weights):
            for a, b in zip(saved[tensor][1], flat(want)):
                self.assertLess(abs(a - b), 1e-3 + 1e-3 * abs(b), tensor)


def add_case(name):
    setattr(KerasLosses, "test_" + name, lambda self: self.check(name))


for _name in CASES:
    add_case(_name)

if __name__ == "__main__":
    e2e.main()
