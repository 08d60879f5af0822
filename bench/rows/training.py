"""training - a training step as a whole, and an epoch with the loop around it."""

import json
import os
import statistics

from . import models
from .measure import (BIN, OUT, PEERS, PYTHON, SINTER, Side, output, pinned,
                      sample)

TITLE = "Training step"
NOTE = """One call on a batch that is in memory as f32. `eager`: modules, autograd,
torch.optim, nothing else set. `by hand`: backward pass and optimizer written out
without autograd, denormals flushed, tcmalloc, OpenMP OpenBLAS. `libtorch`: C++
modules and autograd, the same settings. `channels_last`: that, with denormals
flushed and tcmalloc."""

BATCH = {"fashion_mlp": 32, "mnist_dense": 128, "sign_cnn": 32, "resnet18": 8}


def ids():
    return [f"train/{name}" for name in BATCH] + ["train/epoch"]


def sinter_side(run, name, function, batch, threads, bound):
    library = run.compile(sample(name, bound), "shared")
    return Side(SINTER, [os.path.join(BIN, "bench_step"), library, name,
                         function, batch, models.PIXELS[name],
                         models.CLASSES[name], threads, models.data(name)],
                threads)


def torch_side(name, mode, threads, label, **settings):
    return Side(label, [PYTHON, os.path.join(PEERS, "torch_step.py"), name, mode,
                        BATCH[name], threads, models.data(name)], threads,
                **settings)


def sides(run, name, threads):
    yield sinter_side(run, name, "train_step", BATCH[name], threads,
                      BATCH[name])
    best = {"blas": True, "tcmalloc": True}
    if run.has_torch():
        yield torch_side(name, "eager", threads, "PyTorch eager")
        if name in models.HIDDEN:
            yield torch_side(name, "manual", threads, "PyTorch by hand", **best)
        else:
            yield torch_side(name, "channels_last", threads,
                             "PyTorch channels_last", **best)
    if name in models.HIDDEN:
        program = run.peer("peer_libtorch", "libtorch-dev")
        if program:
            yield Side("libtorch", [program, models.HIDDEN[name],
                                    models.OPTIMIZER[name], BATCH[name], 784,
                                    models.CLASSES[name], threads,
                                    models.data(name)], threads, **best)


class Epochs:
    """Seconds of epochs of fashion_mlp, told by the program itself."""

    def __init__(self, name, command, threads, read):
        self.name, self.read = name, read
        self.command = [*pinned(threads), *command]
        self.env = {"OMP_NUM_THREADS": str(threads)}

    def start(self, clock="wall"):
        pass

    wait = stop = start

    def slice(self, _):
        return {"": [1000 * s for s in
                     self.read(output(*self.command, env=self.env))]}


def run_epochs(run):
    data = output(os.path.join(run_scripts(), "data"), "fashion-mnist").strip()
    history = os.path.join(OUT, "history.json")

    def sinter_seconds(_):
        with open(history) as file:
            return json.load(file)["history"]["epoch_seconds"]

    program = run.compile(sample("fashion_mlp"))
    for threads in run.thread_counts:
        both = [Epochs(SINTER, [
            program, "train", "--data", data, "--threads", str(threads),
            "--epochs", "2", "--quiet", "--no-validation", "--history",
            history], threads, sinter_seconds)]
        if run.has_torch():
            both.append(Epochs("PyTorch eager, denormals flushed", [
                PYTHON, os.path.join(PEERS, "torch_epoch.py"), data, "--epochs",
                "1", "--threads", str(threads)], threads,
                lambda text: json.loads(text)["epoch_seconds"]))
        run.compare("fashion_mlp, epoch of 48,000", threads, both,
                    48000 * models.train_flops("fashion_mlp"),
                    rounds=run.kernel_rounds)


def run_scripts():
    return os.path.join(os.path.dirname(os.path.dirname(PEERS)), "scripts")


def measure(run, row):
    name = row.split("/")[1]
    if name == "epoch":
        run_epochs(run)
        return
    why = models.absent(name, run.quick)
    if why:
        run.skip(row, why)
        return
    for threads in run.thread_counts:
        run.compare(f"{name}, batch {BATCH[name]}", threads,
                    list(sides(run, name, threads)),
                    BATCH[name] * models.train_flops(name))
