"""torch_models - the samples' networks as a PyTorch user writes them.

Layers, initial weights and optimizers are the samples' own. A network ends in
logits; the loss has the softmax in it, as PyTorch's users do it.
"""

import torch
from torch import nn


def dense(hidden):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(),
                          nn.Linear(hidden, 10))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


def sign_cnn():
    def block(channels, filters, *rest):
        return [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), *rest,
                nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01),
                nn.MaxPool2d(2, ceil_mode=True)]

    return nn.Sequential(
        *block(1, 75), *block(75, 50, nn.Dropout(0.2)), *block(50, 25),
        nn.Flatten(), nn.Linear(400, 512), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(512, 24))


class BasicBlock(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False),
            nn.BatchNorm2d(filters), nn.ReLU(inplace=True),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
            nn.BatchNorm2d(filters))
        self.short = nn.Sequential()
        if stride != 1 or channels != filters:
            self.short = nn.Sequential(
                nn.Conv2d(channels, filters, 1, stride, bias=False),
                nn.BatchNorm2d(filters))

    def forward(self, x):
        return torch.relu_(self.body(x) + self.short(x))


def resnet18():
    layers, channels = [nn.Conv2d(3, 64, 7, 2, 3, bias=False),
                        nn.BatchNorm2d(64), nn.ReLU(inplace=True),
                        nn.MaxPool2d(3, 2, 1)], 64
    for filters in (64, 128, 256, 512):
        stride = 1 if filters == 64 else 2
        layers += [BasicBlock(channels, filters, stride),
                   BasicBlock(filters, filters, 1)]
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(512, 1000))


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, eps=1e-7)


def rmsprop(parameters):
    return torch.optim.RMSprop(parameters, lr=1e-3, alpha=0.9, eps=1e-7)


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


# Name: network, optimizer, shape of an image (channels first), classes.
MODELS = {
    "fashion_mlp": (lambda: dense(100), adam, (784,), 10),
    "mnist_dense": (lambda: dense(512), rmsprop, (784,), 10),
    "sign_cnn": (sign_cnn, adam, (1, 28, 28), 24),
    "resnet18": (resnet18, momentum, (3, 224, 224), 1000),
}
