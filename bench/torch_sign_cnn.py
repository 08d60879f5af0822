"""torch_sign_cnn - a training step of sign_cnn as a PyTorch user writes it.

    torch_sign_cnn.py [--steps N] [--threads T] [--batch N] [--channels-last]

Eager mode, modules, autograd, torch.optim.Adam, on one batch of random images
that is in memory already: the step alone, without the loop around it. Prints a
JSON object: milliseconds of each step after three to warm up.
"""

import argparse
import json
import time

import torch
from torch import nn


def block(channels, filters, *rest):
    return [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), *rest,
            nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01),
            nn.MaxPool2d(2, ceil_mode=True)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(42)

    x = torch.rand(options.batch, 1, 28, 28)
    y = torch.randint(24, (options.batch,))
    model = nn.Sequential(
        *block(1, 75), *block(75, 50, nn.Dropout(0.2)), *block(50, 25),
        nn.Flatten(), nn.Linear(400, 512), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(512, 24))
    if options.channels_last:
        x = x.to(memory_format=torch.channels_last)
        model = model.to(memory_format=torch.channels_last)
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, eps=1e-7)

    milliseconds = []
    for _ in range(options.steps + 3):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()
        milliseconds.append(1000 * (time.perf_counter() - start))
    print(json.dumps({"step_ms": milliseconds[3:], "torch": torch.__version__,
                      "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
