"""torch_step - training steps of PyTorch, timed in slices (bench/slices.h).

    torch_step.py MODEL eager|channels_last|manual BATCH THREADS DATA

eager          modules, autograd, torch.optim; nothing else is set
channels_last  the same in that memory format, denormals flushed
manual         networks with one hidden layer: backward pass and optimizer written
               by hand on tensors that exist already, no autograd, all parameters
               in one vector, denormals flushed. The least that PyTorch's own
               kernels can need.

DATA as bench_step reads it; all batches are in memory as f32.
"""

import os
import sys
import time

import torch
from torch.nn import functional

from torch_models import MODELS


def read(path, shape, classes):
    with open(path, "rb") as file:
        data = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
    pixels = 1
    for size in shape:
        pixels *= size
    samples = len(data) // (pixels + 1)
    images = data[:samples * pixels]
    if len(shape) == 3:  # the file has channels last
        images = images.reshape(samples, shape[1], shape[2], shape[0])
        images = images.permute(0, 3, 1, 2).contiguous()
    return (images.reshape(samples, *shape).float() / 255,
            data[samples * pixels:].long() % classes)


def autograd_step(model, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def manual_step(model, optimizer_name, batch):
    """Everything is written to tensors made here."""
    layers = [module for module in model if isinstance(module, torch.nn.Linear)]
    tensors = [t.detach() for layer in layers
               for t in (layer.weight.t(), layer.bias)]
    weights = torch.cat([t.reshape(-1) for t in tensors])
    gradients = torch.zeros_like(weights)
    mean, square, scratch = (torch.zeros_like(weights) for _ in range(3))

    def views(vector):
        parts = vector.split([t.numel() for t in tensors])
        return [part.view(t.shape) for part, t in zip(parts, tensors)]

    w1, b1, w2, b2 = views(weights)
    dw1, db1, dw2, db2 = views(gradients)
    hidden = torch.empty(batch, w1.shape[1])
    dhidden = torch.empty_like(hidden)
    logits = torch.empty(batch, w2.shape[1])
    minus_one = torch.full((batch, 1), -1.0)
    iteration = 0

    def step(x, y):
        nonlocal iteration
        iteration += 1
        torch.addmm(b1, x, w1, out=hidden)
        hidden.relu_()
        torch.addmm(b2, hidden, w2, out=logits)
        logs = torch.log_softmax(logits, 1)
        loss = functional.nll_loss(logs, y)
        delta = logs.exp_().scatter_add_(1, y.unsqueeze(1), minus_one)
        delta.mul_(1 / batch)
        torch.mm(hidden.t(), delta, out=dw2)
        torch.sum(delta, 0, out=db2)
        torch.mm(delta, w2.t(), out=dhidden)
        active = torch.ops.aten.threshold_backward(dhidden, hidden, 0)
        torch.mm(x.t(), active, out=dw1)
        torch.sum(active, 0, out=db1)
        if optimizer_name == "adam":
            first, second = 1 - 0.9 ** iteration, 1 - 0.999 ** iteration
            mean.lerp_(gradients, 0.1)
            square.mul_(0.999).addcmul_(gradients, gradients, value=0.001)
            torch.sqrt(square, out=scratch).add_(1e-7 * second ** 0.5)
            weights.addcdiv_(mean, scratch,
                             value=-0.001 * second ** 0.5 / first)
        else:
            square.mul_(0.9).addcmul_(gradients, gradients, value=0.1)
            torch.sqrt(square, out=scratch).add_(1e-7)
            weights.addcdiv_(gradients, scratch, value=-0.001)
        return loss

    return torch.inference_mode()(step)


def check(build, optimizer, x, y):
    """Stops unless both ways lose alike: a wrong step may be a fast one."""
    losses = []
    for manual in (False, True):
        torch.manual_seed(42)
        model = build()
        step = manual_step(model, optimizer.__name__, len(y)) if manual \
            else autograd_step(model, optimizer(model.parameters()))
        losses.append([step(x, y).item() for _ in range(10)])
    for expected, found in zip(*losses):
        if abs(found - expected) > 1e-3 * abs(expected):
            sys.exit(f"torch_step: by hand: expected losses {losses[0]}, "
                     f"got {losses[1]}")


def main():
    name, mode, batch, threads, path = sys.argv[1:]
    batch = int(batch)
    torch.set_num_threads(int(threads))
    torch.manual_seed(42)
    build, optimizer, shape, classes = MODELS[name]
    x, y = read(path, shape, classes)
    model = build()
    if mode != "eager":
        torch.set_flush_denormal(True)
    if mode == "channels_last":
        x = x.to(memory_format=torch.channels_last)
        model = model.to(memory_format=torch.channels_last)
    if mode == "manual":
        check(build, optimizer, x[:batch], y[:batch])
        step = manual_step(model, optimizer.__name__, batch)
    else:
        step = autograd_step(model, optimizer(model.parameters()))

    batches = list(zip(x.split(batch), y.split(batch)))
    if len(batches[-1][1]) < batch:
        batches.pop()
    number = 0
    clock = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" \
        else time.perf_counter

    def run_for(seconds):
        nonlocal number
        times, begin = [], time.perf_counter()
        while not times or time.perf_counter() - begin < seconds:
            inputs, targets = batches[number % len(batches)]
            number += 1
            start = clock()
            step(inputs, targets)
            times.append(1000 * (clock() - start))
        return times

    run_for(0)
    one = min(run_for(0.3)) / 1000
    print("ready", flush=True)
    for line in sys.stdin:
        if one < float(line) / 10:
            run_for(float(line) / 10)
        print([round(t, 6) for t in run_for(float(line))], flush=True)


if __name__ == "__main__":
    main()
