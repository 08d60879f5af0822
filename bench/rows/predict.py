"""predict - inference of one batch, beside ONNX Runtime."""

import os
import shutil

from . import models
from .measure import OUT, PEERS, PYTHON, Side, output
from .training import sinter_side

TITLE = "Inference"
NOTE = """One call on a batch in memory: NAME_predict of the compiled library; the
native session of npm's onnxruntime-node, on the model as PyTorch exports it (all
graph optimisations, channels first as exported, output written to memory that is
there)."""

BATCHES = {"fashion_mlp": (1, 256), "sign_cnn": (1, 256), "resnet18": (1, 8)}
SHAPES = {"fashion_mlp": "784", "sign_cnn": "1,28,28", "resnet18": "3,224,224"}
NODE = os.path.join(OUT, "node")


def ids():
    return [f"predict/{name}/{batch}" for name, batches in BATCHES.items()
            for batch in batches]


def has_onnx(run):
    package = os.path.join(NODE, "node_modules", "onnxruntime-node")
    if not shutil.which("node"):
        run.skip("ONNX Runtime", "node is not installed")
    elif not os.path.isdir(package):
        run.skip("ONNX Runtime", "npm's onnxruntime-node is not in "
                 "build/bench/node (scripts/setup --bench)")
    elif run.has_torch():  # exports the models
        return True
    return False


def export(name, batch):
    path = os.path.join(OUT, "onnx", f"{name}-{batch}.onnx")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        output(PYTHON, os.path.join(PEERS, "torch_export.py"), name, str(batch),
               path)
    return path


def measure(run, row):
    _, name, batch = row.split("/")
    why = models.absent(name, run.quick)
    if why:
        run.skip(row, why)
        return
    batch = int(batch)
    for threads in run.thread_counts:
        sides = [sinter_side(run, name, "predict", batch, threads, batch)]
        if has_onnx(run):
            sides.append(Side("ONNX Runtime", [
                "node", os.path.join(PEERS, "onnx_predict.js"),
                os.path.join(NODE, "node_modules"), export(name, batch),
                threads, f"{batch},{SHAPES[name]}", models.data(name)],
                threads))
        run.compare(f"{name}, batch {batch}", threads, sides,
                    batch * models.predict_flops(name))
