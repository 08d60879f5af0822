"""torch_fashion_mlp - fashion_mlp as a PyTorch user writes it.

    torch_fashion_mlp.py DATA_DIR [--epochs N] [--threads T]

The loop of every tutorial: eager mode, modules, autograd, torch.optim.Adam. In
PyTorch's favour: all data is in memory as f32 already scaled, a batch is one
index operation (no DataLoader), denormals are flushed, and losses and hits are
summed on tensors, read once an epoch. Prints a JSON object: seconds of each
epoch (training only), last loss and accuracy.
"""

import argparse
import gzip
import json
import os
import struct
import time

import torch
from torch import nn


def read_idx(path):
    with gzip.open(path, "rb") as file:
        rank = struct.unpack(">HBB", file.read(4))[2]
        shape = struct.unpack(f">{rank}I", file.read(4 * rank))
        data = bytearray(file.read())
    return torch.frombuffer(data, dtype=torch.uint8).reshape(shape)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(42)

    images = read_idx(os.path.join(options.data, "train-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(options.data, "train-labels-idx1-ubyte.gz"))
    split = torch.randperm(len(images))[:48000]
    x = images[split].float() / 255
    y = labels[split].long()

    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(),
                          nn.Linear(100, 10))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

    seconds = []
    for _ in range(options.epochs):
        start = time.perf_counter()
        order = torch.randperm(len(x))
        total, right = torch.zeros(()), torch.zeros(())
        for begin in range(0, len(x), 32):
            batch = order[begin:begin + 32]
            inputs, targets = x[batch], y[batch]
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = loss_of(outputs, targets)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
            right += (outputs.argmax(1) == targets).sum()
        figures = total.item() / len(x), right.item() / len(x)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"epoch_seconds": seconds, "loss": figures[0],
                      "accuracy": figures[1], "torch": torch.__version__,
                      "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
