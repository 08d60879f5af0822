#!/usr/bin/env python3
"""measure - train the samples and compare with the figures of their tutorials.

    samples/measure.py [--seeds N] [--only NAME] [--threads T] [--markdown]
                       [--tolerance X]

Each sample is compiled once and trained with seeds 1..N (default 3); the
table shows the mean of the last epoch. Exit status 1 when a mean stays more
than the tolerance (default 0.01) below the tutorial's figure, 77 when no data
could be had. The tests run this with one seed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SKIPPED = 77

# (spec, data set, the tutorial's figures of the last epoch)
ROWS = [
    ("mnist_mlp/model", "mnist", {"accuracy": 0.9016, "val_accuracy": 0.9312}),
    ("mnist_dense/model", "mnist",
     {"accuracy": 0.989, "test_accuracy": 0.9785}),
    ("fashion_softmax/model", "fashion-mnist",
     {"accuracy": 0.8540, "val_accuracy": 0.8507}),
    ("fashion_mlp/sigmoid", "fashion-mnist", {"accuracy": 0.8779}),
    ("fashion_mlp/rmsprop", "fashion-mnist",
     {"accuracy": 0.8873, "val_accuracy": 0.8748}),
    ("fashion_mlp/sgd", "fashion-mnist", {"accuracy": 0.8474}),
    ("fashion_mlp/sgd_fast", "fashion-mnist", {"accuracy": 0.8774}),
    ("fashion_mlp/momentum", "fashion-mnist", {"accuracy": 0.8773}),
    ("fashion_mlp/nesterov", "fashion-mnist", {"accuracy": 0.8795}),
    ("fashion_mlp/adagrad", "fashion-mnist", {"accuracy": 0.8033}),
    ("fashion_mlp/adadelta", "fashion-mnist", {}),
    ("fashion_mlp/model", "fashion-mnist",
     {"accuracy": 0.8852, "val_accuracy": 0.8737}),
    ("fashion_mlp/dropout", "fashion-mnist", {"val_accuracy": 0.8798}),
]
FIGURES = ["accuracy", "val_accuracy"]


def sinter():
    folder = os.environ.get("SINTER_BIN_DIR") or os.path.join(
        ROOT, "build", "release", "bin")
    return os.path.join(folder, "sinter")


def data_dir(name):
    """(a data set's folder or "", why it is not there)"""
    done = subprocess.run([os.path.join(ROOT, "scripts", "data"), name],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode not in (0, SKIPPED):
        sys.exit(done.stderr)
    return done.stdout.strip(), done.stderr.strip()


def train(program, data, seed, threads, folder):
    history = os.path.join(folder, "history.json")
    weights = os.path.join(folder, "weights.safetensors")
    subprocess.run([program, "train", "--data", data, "--seed", str(seed),
                    "--threads", str(threads), "--history", history, "--save",
                    weights, "--quiet"], check=True)
    test = subprocess.run([program, "evaluate", "--data", data, "--weights",
                           weights, "--json"], check=True, text=True,
                          stdout=subprocess.PIPE)
    with open(history) as file:
        curves = json.load(file)["history"]
    result = {name: curve[-1] for name, curve in curves.items()}
    result["test_accuracy"] = json.loads(test.stdout)["accuracy"]
    result["epochs"] = len(curves["loss"])
    result["epoch_seconds"] = sum(curves["epoch_seconds"]) / result["epochs"]
    return result


def measure(spec, data, options, folder):
    program = os.path.join(folder, spec.replace("/", "-"))
    start = time.time()
    subprocess.run([sinter(), "compile", os.path.join(HERE, spec + ".yaml"),
                    "-o", program], check=True)
    compiled = time.time() - start
    runs = [train(program, data, seed, options.threads, folder)
            for seed in range(1, options.seeds + 1)]
    mean = {name: sum(run[name] for run in runs) / len(runs)
            for name in runs[0]}
    mean["compile_seconds"] = compiled
    return mean


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="samples whose name has this in it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--markdown", action="store_true",
                        help="a Markdown table")
    options = parser.parse_args()

    header = ["sample", "epochs", "tutorial acc / val", "ours acc / val",
              "ours on test", "s/epoch"]
    print("| " + " | ".join(header) + " |" if options.markdown else
          "{:24} {:>6} {:>20} {:>20} {:>13} {:>8}".format(*header))
    if options.markdown:
        print("|" + " --- |" * len(header))
    short, skipped, measured = [], set(), 0
    with tempfile.TemporaryDirectory(prefix="sinter-measure-") as folder:
        for spec, source, tutorial in ROWS:
            if (options.only or "") not in spec:
                continue
            data, reason = data_dir(source)
            if not data:
                skipped.add(reason)
                continue
            measured += 1
            ours = measure(spec, data, options, folder)

            def pair(figures):
                return " / ".join(f"{figures[n]:.4f}" if n in figures else "-"
                                  for n in FIGURES)
            cells = [spec, f"{ours['epochs']:.0f}",
                     pair(tutorial), pair(ours), f"{ours['test_accuracy']:.4f}",
                     f"{ours['epoch_seconds']:.2f}"]
            print("| " + " | ".join(cells) + " |" if options.markdown else
                  "{:24} {:>6} {:>20} {:>20} {:>13} {:>8}".format(*cells),
                  flush=True)
            for name, goal in tutorial.items():
                if ours[name] < goal - options.tolerance:
                    short.append(f"{spec}: expected {name} of at least "
                                 f"{goal - options.tolerance:.4f}, got "
                                 f"{ours[name]:.4f}")
    for line in short:
        print(line, file=sys.stderr)
    if skipped:
        print("skipped:", "; ".join(skipped))
    if not measured:
        sys.exit(SKIPPED if skipped else f"no sample has '{options.only}' in it")
    sys.exit(1 if short else 0)


if __name__ == "__main__":
    main()
