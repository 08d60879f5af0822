"""Damaged and hostile model files end in an error or in a model.

Files of ONNX and Keras, made here by `sinter export` and, where the project's
data are there, real ones, are damaged: bits flipped, ends cut off, blocks
swapped or repeated, sizes made huge, names exchanged, so that graphs get
circles, weights go missing or change places. Each `sinter import` has to end
within 10 s and 1 GiB with status 0 and a spec that `sinter check` takes, or
with status 1 and a message that names the file.

    hostile_models.py --all         1,000 files instead of 150
    hostile_models.py --seed 7      others
"""

import collections
import glob
import io
import os
import random
import re
import resource
import subprocess
import sys
import unittest
import zipfile
from concurrent.futures import ThreadPoolExecutor

import e2e
from keras import random_weights

SECONDS, BYTES = 10, 1 << 30
LARGEST = 1 << 20  # of a seed

SPECS = {
    "dense": ("[6]", """
  - dense: {units: 5, activation: relu}
  - batch_normalization
  - dense: {units: 3, activation: softmax}"""),
    "images": ("[9, 8, 3]", """
  - conv2d: {filters: 4, kernel_size: 3, padding: same, activation: relu, name: a}
  - batch_normalization
  - depthwise_conv2d: {kernel_size: 3, strides: 2}
  - max_pooling2d: {pool_size: 2, strides: 1, name: b}
  - conv2d: {filters: 4, kernel_size: 1, name: c}
  - add: {inputs: [b, c]}
  - up_sampling2d
  - zero_padding2d: 1
  - cropping2d: 1
  - layer_normalization
  - global_average_pooling2d
  - dense: 4"""),
    "words": ("[7]", """
  - embedding: {input_dim: 12, output_dim: 6}
  - conv1d: {filters: 4, kernel_size: 3, activation: gelu}
  - permute: [2, 1]
  - flatten
  - reshape: [4, 5]
  - concatenate: {inputs: [reshape, reshape]}"""),
}

# ---- Damage --------------------------------------------------------------------


def flip_bits(data, source):
    for _ in range(source.choice([1, 2, 8, 64])):
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def set_bytes(data, source):
    for _ in range(source.choice([1, 4, 40])):
        data[source.randrange(len(data))] = source.choice([0, 127, 128, 255])


def truncate(data, source):
    del data[source.randrange(len(data)):]


def huge_sizes(data, source):
    """Numbers of 1, 4 and 8 bytes, as protobuf and HDF5 have them."""
    for _ in range(source.choice([1, 3])):
        at = source.randrange(len(data))
        value = source.choice([
            b"\xff" * 9 + b"\x01", b"\xff\xff\xff\xff\x07", b"\xff" * 8,
            b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0\0\x01\0\0"])
        data[at:at + len(value)] = value


def swap_blocks(data, source):
    size = source.choice([4, 16, 256])
    a, b = (source.randrange(len(data)) for _ in range(2))
    a, b = min(a, b), max(a, b)
    if a + size <= b <= len(data) - size:
        data[a:a + size], data[b:b + size] = data[b:b + size], data[a:a + size]


def repeat_block(data, source):
    at = source.randrange(len(data))
    block = data[at:at + source.choice([8, 64, 1024])]
    data[at:at] = block * source.choice([1, 3])


def drop_block(data, source):
    at = source.randrange(len(data))
    del data[at:at + source.choice([1, 8, 64, 1024])]


NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_/.]{1,40}")


def exchange_names(data, source):
    """A name becomes another of the same length: duplicates, circles, weights
    that are missing or in each other's place."""
    groups = collections.defaultdict(list)
    for found in NAME.finditer(bytes(data)):
        groups[len(found[0])].append(found)
    groups = [group for group in groups.values()
              if len({found[0] for found in group}) > 1]
    for _ in range(source.choice([1, 2, 5])):
        if groups:
            one, other = source.sample(source.choice(groups), 2)
            data[one.start():one.end()] = other[0]


NUMBER = re.compile(rb"(?<![A-Za-z0-9_.])-?[0-9]+(?![0-9.])")


def change_text(data, source):
    """Numbers and words of JSON."""
    for _ in range(source.choice([1, 2, 5])):
        found = source.choice(list(NUMBER.finditer(bytes(data))) or [None])
        if found:
            new = source.choice([b"0", b"-1", b"2147483648", b"1e999", b"null",
                                 b"999999999999999999999", b"[]", b"{}", b"0.5",
                                 b'"x"'])
            new = new[:len(found[0])] if source.random() < 0.5 else new
            data[found.start():found.end()] = new


DAMAGE = [flip_bits, set_bytes, truncate, huge_sizes, swap_blocks,
          repeat_block, drop_block, exchange_names, change_text]


def damaged(content, kind, source):
    """`content` after one kind of damage, or two; an archive's members are
    damaged in half of the cases, so that it still opens."""
    if kind == "keras" and source.random() < 0.7:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, \
                zipfile.ZipFile(buffer, "w") as new:
            names = old.namelist()
            victim = source.choice(names)
            for name in names:
                data = bytearray(old.read(name))
                if name == victim:
                    source.choice(DAMAGE)(data, source)
                new.writestr(name, bytes(data))
        return buffer.getvalue()
    data = bytearray(content)
    for _ in range(source.choice([1, 1, 2])):
        if data:
            source.choice(DAMAGE)(data, source)
    return bytes(data)


# ---- Files ---------------------------------------------------------------------


def seeds():
    """(name, ending, bytes) of whole files."""
    for name, (shape, layers) in SPECS.items():
        spec = e2e.write(name + ".yaml",
                         f"model: {name}\ninput: {{shape: {shape}}}\nlayers:"
                         f"{layers}\nloss: mean_squared_error\noptimizer: adam\n")
        weights = random_weights(spec)
        for ending in "onnx", "h5", "keras":
            path = e2e.scratch(f"{name}.{ending}")
            e2e.run(e2e.tool("sinter"), "export", "--spec", spec, "--weights",
                    weights, "-o", path)
            with open(path, "rb") as file:
                yield name, ending, file.read()
    data = os.path.join(e2e.ROOT, "..", "shared", "data")
    for path in sorted(glob.glob(os.path.join(data, "onnx", "*.onnx")) +
                       glob.glob(os.path.join(data, "keras", "*"))):
        if os.path.getsize(path) <= LARGEST:
            with open(path, "rb") as file:
                yield os.path.basename(path), path.rsplit(".", 1)[1], file.read()


def limit():
    # A sanitizer's shadow is address space, too.
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def outcome(path):
    """(what happened, its message); "" for what is as it should be."""
    folder = path + ".d"
    try:
        done = subprocess.run(
            [e2e.tool("sinter"), "import", path, "-o", folder],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit,
            timeout=SECONDS * (6 if SANITIZED else 1))
    except subprocess.TimeoutExpired:
        return "hangs", ""
    text = done.stderr.decode(errors="replace")
    if "Sanitizer" in text or "runtime error" in text:
        return "sanitizer", text
    if done.returncode == 1:
        name = os.path.basename(path)
        told = all(name in line for line in text.split("\n")
                   if "error:" in line) and "error:" in text
        return ("" if told else "unclear message"), text
    if done.returncode != 0:
        return f"status {done.returncode}", text
    check = subprocess.run([e2e.tool("sinter"), "check", folder + "/spec.yaml"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=60)
    if check.returncode != 0:
        return "spec is wrong", check.stderr.decode(errors="replace")
    return "", "model"


class Hostile(unittest.TestCase):
    def test_files(self):
        whole = list(seeds())
        source = random.Random(SEED)
        paths, counts = [], collections.Counter()
        for i in range(COUNT):
            name, ending, content = whole[i % len(whole)]
            path = e2e.scratch(f"bad{i}.{ending}")
            with open(path, "wb") as file:
                file.write(damaged(content, ending, source))
            paths.append((name, path))
        with ThreadPoolExecutor(2) as pool:
            results = pool.map(lambda entry: outcome(entry[1]), paths)
            for (name, path), (wrong, text) in zip(paths, results):
                counts["model" if text == "model" else wrong or "error"] += 1
                if wrong and KEEP:
                    os.makedirs(KEEP, exist_ok=True)
                    with open(path, "rb") as file, \
                            open(os.path.join(KEEP, os.path.basename(path)),
                                 "wb") as copy:
                        copy.write(file.read())
                with self.subTest(os.path.basename(path), seed=SEED, of=name):
                    self.assertEqual(wrong, "", text[-3000:])
        print(f"{COUNT} files of {len(whole)} seeds: {dict(counts)}", end=" ... ")
        # Damage that nobody notices, and damage that is told.
        self.assertGreater(counts["error"], COUNT // 4)
        self.assertGreater(counts["model"], 0)


if __name__ == "__main__":
    words = sys.argv
    COUNT = 1000 if "--all" in words else 150
    SEED = int(words[words.index("--seed") + 1]) if "--seed" in words else 1
    KEEP = os.environ.get("HOSTILE_KEEP")
    SANITIZED = b"__asan_init" in open(e2e.tool("sinter"), "rb").read()
    sys.argv = words[:1]
    e2e.main()
