"""torch_export - a network as ONNX, for inference with batches of one size.

    torch_export.py MODEL BATCH FILE

Weights are initial ones; softmax included, as in the sample.
"""

import sys

import torch

from torch_models import MODELS

name, batch, path = sys.argv[1:]
torch.manual_seed(42)
build, _, shape, _ = MODELS[name]
model = torch.nn.Sequential(build(), torch.nn.Softmax(1)).eval()
torch.onnx.export(model, torch.rand(int(batch), *shape), path,
                  input_names=["input"], output_names=["prediction"],
                  opset_version=13)
