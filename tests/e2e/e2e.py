"""e2e - what the end-to-end tests share: tools, files, skipping.

Problem: these tests drive the programs as a user does, on a machine that may
have nothing but Python's standard library.
Idea: a Trainer object for a compiled spec; readers and writers of the three
file formats in play (safetensors, npy, idx) in a few lines each, independent of
Sinter's own code, so that a mistake in a format shows; a test that cannot run
here says why and exits with 77, which ctest reports as skipped.
Known weakness: every test file compiles its specs again (about a second each).

Tools come from $SINTER_BIN_DIR, or from build/release/bin.
"""

import atexit
import gzip
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.path.abspath(
    os.environ.get("SINTER_BIN_DIR")
    or os.path.join(ROOT, "build", "release", "bin"))
SKIPPED = 77


def tool(name):
    return os.path.join(BIN, name)


def sample(path):
    return os.path.join(ROOT, "samples", path)


# ---- Running programs --------------------------------------------------------


class Failed(AssertionError):
    """A program ended with another status than expected."""


def run(*command, status=0, cwd=None, env=None, timeout=600, stdin=None):
    """Runs a command; returns its stdout. Shows all it said when it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, timeout=timeout,
        env=dict(os.environ, **env) if env else None, text=True, input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != status:
        raise Failed(f"{' '.join(map(str, command))}\n"
                     f"expected exit status {status}, got {done.returncode}\n"
                     f"{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


_scratch = None
_scratch_lock = threading.Lock()


def scratch(name=""):
    """A path in a folder that lives as long as this test; for all threads."""
    global _scratch
    with _scratch_lock:
        if _scratch is None:
            _scratch = tempfile.mkdtemp(prefix="sinter-e2e-")
            atexit.register(shutil.rmtree, _scratch, ignore_errors=True)
    return os.path.join(_scratch, name)


def write(name, text):
    with open(scratch(name), "w") as file:
        file.write(text)
    return scratch(name)


class Trainer:
    """The program compiled from a spec: a path, or the spec's text."""

    def __init__(self, spec, name=None):
        if "\n" in spec:
            name = name or "spec"
            spec = write(name + ".yaml", spec)
        name = name or spec.replace(ROOT, "").strip("/").replace("/", "-")
        self.spec = spec
        self.path = scratch(name + ".out")
        run(tool("sinter"), "compile", spec, "-o", self.path)

    def train(self, data, *flags, threads=1, save=None, env=None):
        """Trains; returns the history as a dict of lists."""
        history = self.path + ".history.json"
        if os.path.exists(history):
            os.remove(history)
        command = [self.path, "train", "--data", data, "--threads", threads,
                   "--history", history, "--quiet", *flags]
        if save:
            command += ["--save", save]
        run(*command, env=env)
        with open(history) as file:
            return json.load(file)["history"]

    def evaluate(self, data, weights, *flags):
        return json.loads(run(self.path, "evaluate", "--data", data,
                              "--weights", weights, "--json", *flags))

    def predict(self, weights, inputs, *flags):
        outputs = self.path + ".predictions.npy"
        run(self.path, "predict", "--weights", weights, "--input", inputs,
            "--output", outputs, *flags)
        return read_npy(outputs)

    def info(self):
        return json.loads(run(self.path, "info", "--json"))


# ---- Files -------------------------------------------------------------------


def product(shape):
    return math.prod(shape)


def write_safetensors(path, tensors):
    """tensors: {name: (shape, flat list of floats)}."""
    header, offset = {}, 0
    for name, (shape, values) in tensors.items():
        assert len(values) == product(shape), name
        end = offset + 4 * len(values)
        header[name] = {"dtype": "F32", "shape": list(shape),
                        "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, values in tensors.values():
            file.write(struct.pack(f"<{len(values)}f", *values))
    return path


def read_safetensors(path):
    """{name: (shape, flat tuple of floats)}."""
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    result = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", entry
        begin, end = entry["data_offsets"]
        result[name] = (tuple(entry["shape"]),
                        struct.unpack(f"<{(end - begin) // 4}f",
                                      data[begin:end]))
    return result


NPY_TYPES = {"f": "<f4", "i": "<i4", "B": "|u1"}


def write_npy(path, shape, values, kind="f"):
    text = repr({"descr": NPY_TYPES[kind], "fortran_order": False,
                 "shape": tuple(shape)})
    text += " " * (-(len(text) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)))
        file.write(text.encode())
        if isinstance(values, bytes):
            file.write(values)
        else:
            file.write(struct.pack(f"<{len(values)}{kind}", *values))
    return path


def read_npy(path):
    """(shape, flat tuple)."""
    with open(path, "rb") as file:
        assert file.read(8) == b"\x93NUMPY\x01\x00", path
        size, = struct.unpack("<H", file.read(2))
        header = eval(file.read(size).decode(), {"__builtins__": {}})
        data = file.read()
    assert header["descr"] == "<f4" and not header["fortran_order"], header
    return header["shape"], struct.unpack(f"<{len(data) // 4}f", data)


def read_idx(path):
    """(shape, bytes)."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        kind, rank = struct.unpack(">HBB", file.read(4))[1:]
        assert kind == 8, path
        shape = struct.unpack(f">{rank}I", file.read(4 * rank))
        return shape, file.read()


# ---- Data --------------------------------------------------------------------


def data_dir(name):
    """The folder of a data set, or a skipped test."""
    done = subprocess.run([os.path.join(ROOT, "scripts", "data"), name],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode == SKIPPED:
        raise unittest.SkipTest(done.stderr.strip())
    if done.returncode:
        raise Failed(done.stderr)
    return done.stdout.strip()


def fashion_subset(count, name="subset"):
    """The first `count` training images as images.npy, labels.npy; the folder,
    the pixels and the labels."""
    source = data_dir("fashion-mnist")
    _, pixels = read_idx(os.path.join(source, "train-images-idx3-ubyte.gz"))
    _, labels = read_idx(os.path.join(source, "train-labels-idx1-ubyte.gz"))
    pixels, labels = pixels[:784 * count], labels[:count]
    folder = scratch(name)
    os.makedirs(folder, exist_ok=True)
    write_npy(os.path.join(folder, "images.npy"), (count, 28, 28), pixels, "B")
    write_npy(os.path.join(folder, "labels.npy"), (count,), labels, "B")
    return folder, pixels, labels


def import_or_skip(module):
    try:
        return __import__(module)
    except ImportError as problem:
        raise unittest.SkipTest(
            f"{problem}; Debian's python3-{module} has it "
            "(scripts/setup --peers)") from None


# ---- The test program ---------------------------------------------------------


def main():
    """unittest's, except that a file of which all tests are skipped exits with
    77, and that reasons are always printed."""
    if not os.path.exists(tool("sinter")):
        sys.exit(f"{tool('sinter')}: not built; see scripts/test")
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    # A class whose set-up was skipped counts no test as run.
    if len(result.skipped) >= max(result.testsRun, 1):
        print("skipped:", "; ".join(sorted({r for _, r in result.skipped})))
        sys.exit(SKIPPED)
