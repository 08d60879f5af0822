"""Damaged and hostile model files end in an error or in a model.

Files of ONNX and Keras, made here by `sinter export` and, where they are there,
the project's data and ONNX's own examples (Debian's libonnx-testdata), are
damaged as damage.py says. Each `sinter import` has to end within 10 s and 1 GiB
with status 0 and a spec whose graph can be made, or with status 1 and a message
that names the file.

    hostile_models.py --all         1,000 files instead of 150, all examples
    hostile_models.py --count 9999  as many
    hostile_models.py --seed 7      others
    HOSTILE_KEEP=DIR                keeps the files that went wrong

With the preset `asan` (cmake --preset asan; ninja -C build/asan sinter) in
SINTER_BIN_DIR=build/asan/bin, any report of a sanitizer fails the test; memory
is what is resident, and an import may take a minute of work.
"""

import collections
import glob
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import bombs
import damage
import e2e
from keras import random_weights

SECONDS, BYTES = 10, 1 << 30
PATIENCE = 120  # for those seconds on a machine that has other things to do
LARGEST = 1 << 20  # of a seed

SPECS = {
    "dense": ("input: {shape: [6]}", """
  - dense: {units: 5, activation: relu}
  - batch_normalization
  - dense: {units: 3, activation: softmax}"""),
    "images": ("input: {shape: [9, 8, 3]}", """
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
    "words": ("input: {shape: [7]}", """
  - embedding: {input_dim: 12, output_dim: 6}
  - conv1d: {filters: 4, kernel_size: 3, activation: gelu}
  - permute: [2, 1]
  - flatten
  - reshape: [4, 5]
  - concatenate: {inputs: [reshape, reshape]}"""),
    "steps": ("input: {shape: [4, 3]}", """
  - lstm: {units: 2, return_sequences: true}
  - bidirectional: {layer: {gru: {units: 2, return_sequences: true}}}
  - simple_rnn: {units: 3, go_backwards: true, return_sequences: true}
  - time_distributed: {layer: {dense: {units: 2, activation: tanh}}}
  - bidirectional: {layer: {lstm: {units: 2}}, merge_mode: sum}
  - repeat_vector: 2
  - gru: {units: 2, reset_after: false}"""),
    "rows": ("input: {shape: [4, 6]}", """
  - dense: {units: 6, name: other}
  - multi_head_attention: {num_heads: 2, key_dim: 3, inputs: [input, other]}
  - attention: {use_scale: true, inputs: [multi_head_attention, other]}
  - additive_attention: {inputs: [attention, other]}
  - dot: {axes: [1, 1], inputs: [additive_attention, other]}
  - multi_head_attention: {num_heads: 1, key_dim: 2, use_causal_mask: true,
                           inputs: [dot, dot]}"""),
    "products": ("input: {shape: [4, 4]}", """
  - matmul: {inputs: [input, input]}
  - sum: {axis: 2, keepdims: true}
  - where: {inputs: [sum, matmul, input]}
  - slice: {start_indices: [1, 0], shape: [2, 3]}
  - argmax"""),
    "volumes": ("input: {shape: [4, 5, 6, 2]}", """
  - conv3d: {filters: 3, kernel_size: [2, 3, 1], strides: [1, 2, 1], padding: same}
  - max_pooling3d: {pool_size: [1, 2, 2], strides: 1}
  - conv3d_transpose: {filters: 2, kernel_size: 2, strides: 2}
  - up_sampling3d: [1, 2, 1]
  - zero_padding3d: 1
  - cropping3d: [1, 0, 1]
  - average_pooling3d: 2
  - flatten
  - dense: 3"""),
    "ends": ("inputs: {left: {shape: [6], scale: 1/255}, right: [6]}", """
  - dense: {units: 4, activation: tanh, name: tower, inputs: left}
  - reuse: {layer: tower, inputs: right}
  - concatenate: {inputs: [tower, tower_1]}
  - dense: {units: 3, activation: softmax, name: kind}
  - dense: {units: 1, name: size, inputs: concatenate}
outputs: [kind, size]"""),
}
NO_KERAS = {"products"}

# Of ONNX's conformance suite: what the networks above do not have.
SUITE = "/usr/share/libonnx-testdata/data"
EXAMPLES = """if loop11 loop13_seq loop16_seq_none if_seq if_opt scan_sum
scan9_sum qlinearconv qlinearmatmul_3D quantizelinear_axis dequantizelinear_axis
convinteger_with_padding dynamicquantizelinear_expanded matmulinteger
resize_downsample_sizes_cubic resize_tf_crop_and_resize
resize_upsample_scales_linear_align_corners gridsample_bicubic top_k
top_k_negative_axis dft dft_inverse stft_with_window sequence_insert_at_front
sequence_map_add_2_sequences_expanded sequence_map_extract_shapes
simple_rnn_batchwise gru_seq_length gru_with_initial_bias lstm_with_peepholes
lstm_batchwise einsum_batch_diagonal einsum_batch_matmul nonmaxsuppression_single_box
roialign_aligned_true maxunpool_export_with_output_shape convtranspose_output_shape
averagepool_3d_default maxpool_2d_dilations scatternd_add gathernd_example_int32_batch_dim1
onehot_with_axis reversesequence_time unique_sorted_with_axis cumsum_2d_axis_0
tile slice_neg_steps split_variable_parts_2d reshape_zero_and_negative_dim
constantofshape_int_zeros range_int32_type_negative_delta_expanded edge_pad
expand_dim_changed compress_1 melweightmatrix det_nd trilu_pos depthtospace_crd_mode
layer_normalization_3d_axis1_epsilon_expanded nllloss_NCd1_weight_ii_expanded""".split()


def nested():
    """Keras's JSON of a model that is called twice and holds another."""
    def node(*calls):
        return [{"args": [{"class_name": "__keras_tensor__", "config": {
            "shape": [None, 4], "keras_history": [name, 0, 0]}}],
            "kwargs": {}} for name in calls]

    def layer(kind, name, *calls, **config):
        return {"class_name": kind, "name": name, "inbound_nodes": node(*calls),
                "config": dict(config, name=name)}

    def model(name, layers, start, *ends):
        return {"class_name": "Functional", "name": name, "config": {
            "name": name, "layers": layers, "input_layers": [[start, 0, 0]],
            "output_layers": [[*end, 0] for end in ends]}}
    head = layer("Sequential", "head", "first", layers=[
        layer("InputLayer", "head_in", batch_shape=[None, 4]),
        layer("Bidirectional", "both", layer=layer("LSTM", "memory", units=2)),
        layer("Dense", "last", units=4, activation={
            "class_name": "ReLU", "config": {"negative_slope": 0.1}})])
    head["config"]["layers"][1:1] = [layer("Reshape", "rows", target_shape=[2, 2])]
    encoder = model("encoder", [
        layer("InputLayer", "x", batch_shape=[None, 4]),
        layer("Dense", "first", "x", units=4), head], "x", ("head", 0))
    encoder["inbound_nodes"] = node("left", "head_out")
    return json.dumps(model("twins", [
        layer("InputLayer", "left", batch_shape=[None, 4]), encoder,
        layer("Dense", "head_out", "encoder", units=4)],
        "left", ("encoder", 1), ("head_out", 0))).encode()


# ---- Files ---------------------------------------------------------------------


def networks():
    """(name, ending, bytes) of whole files."""
    for name, (head, layers) in SPECS.items():
        spec = e2e.write(name + ".yaml", f"model: {name}\n{head}\nlayers:"
                         f"{layers}\n")
        weights = random_weights(spec)
        for ending in ["onnx"] + ["h5", "keras"] * (name not in NO_KERAS):
            path = e2e.scratch(f"{name}.{ending}")
            e2e.run(e2e.tool("sinter"), "export", "--spec", spec, "--weights",
                    weights, "-o", path)
            yield name, ending, read(path)
    yield "nested", "json", nested()
    data = os.path.join(e2e.ROOT, "..", "shared", "data")
    for path in sorted(glob.glob(os.path.join(data, "onnx", "*.onnx")) +
                       glob.glob(os.path.join(data, "keras", "*"))):
        if os.path.getsize(path) <= LARGEST:
            yield os.path.basename(path), path.rsplit(".", 1)[1], read(path)


def examples():
    """ONNX's own, with the integers among their inputs as constants, as sizes
    and indices have to be; or all of the inputs but the first."""
    chosen = {f"node/test_{name}" for name in EXAMPLES}
    for path in sorted(glob.glob(os.path.join(SUITE, "*", "*", "model.onnx"))):
        folder = os.path.dirname(path)
        name = os.path.relpath(folder, SUITE)
        if not ALL and name not in chosen:
            continue
        tensors = []
        while os.path.exists(
                file := f"{folder}/test_data_set_0/input_{len(tensors)}.pb"):
            tensors.append(read(file))
        integers = [data if damage.Message(data, "tensor").get(2) != [1] else None
                    for data in tensors]
        yield name, "onnx", damage.with_constants(read(path), integers)
        if any(tensors[i] is not integers[i] for i in range(1, len(tensors))):
            yield name, "onnx", damage.with_constants(read(path),
                                                      [None] + tensors[1:])


def read(path):
    with open(path, "rb") as file:
        return file.read()


def environment(path):
    """Reports of sanitizers go to files, because the child that reads HDF5 has
    no stderr. LLVM's libraries are not instrumented: a container that they and
    we write to looks overflown."""
    common = f"log_path={path}.log:print_stacktrace=1:halt_on_error=1"
    return dict(os.environ, UBSAN_OPTIONS=common, ASAN_OPTIONS=common +
                f":hard_rss_limit_mb={BYTES >> 20}:quarantine_size_mb=32"
                ":detect_container_overflow=0")


def limit():
    # A sanitizer's shadow is address space, too; see environment().
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    seconds = SECONDS * (6 if SANITIZED else 1)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def report(path):
    """What sanitizers said; libhdf5's own faults stay in the child."""
    texts = [read(log).decode(errors="replace")
             for log in glob.glob(glob.escape(path) + ".log*")]
    return "".join(text for text in texts if "libhdf5" not in text)


def is_clear(text, path):
    lines = [line for line in text.split("\n") if "error:" in line]
    return (lines and all(os.path.basename(path) in line for line in lines)
            and len(text) < 20000 and max(map(len, lines)) < 2000
            and all(c.isprintable() or c in "\n\t" for c in text))


def outcome(path):
    """(what happened, its message, seconds); "" for what is as it should be."""
    folder = path + ".d"
    start = time.monotonic()
    try:
        done = subprocess.run(
            [e2e.tool("sinter"), "import", path, "-o", folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=limit, timeout=PATIENCE, env=environment(path))
    except subprocess.TimeoutExpired:
        return "hangs", "", PATIENCE
    seconds = time.monotonic() - start
    text = done.stderr.decode(errors="replace")
    if said := report(path):
        return "sanitizer", said, seconds
    if done.returncode == 1:
        return "" if is_clear(text, path) else "unclear message", text, seconds
    if done.returncode == -signal.SIGXCPU:
        return "takes too long", text, seconds
    if done.returncode != 0:
        return f"status {done.returncode}", text, seconds
    # Not `check`: a network without parameters is one, but cannot be trained.
    try:
        dump = subprocess.run(
            [e2e.tool("sinter"), "dump", folder + "/spec.yaml", "--stage",
             "graph"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            timeout=PATIENCE, env=environment(path))
    except subprocess.TimeoutExpired:
        return "the model comes to no end", "", seconds
    if dump.returncode != 0 or report(path):
        return ("spec is wrong",
                dump.stderr.decode(errors="replace") + report(path), seconds)
    return "", "model", seconds


class Hostile(unittest.TestCase):
    def test_files(self):
        source = random.Random(SEED)
        own, foreign = list(networks()), list(examples())
        if not foreign:
            print(f"no examples of ONNX: {SUITE} is not here "
                  "(apt install libonnx-testdata)", end=" ... ")
        for files in own, foreign:
            source.shuffle(files)
        paths, counts = [], collections.Counter()
        for i in range(COUNT):
            files = foreign if foreign and i % 2 else own
            name, ending, content = files[i // 2 % len(files)]
            path = e2e.scratch(f"bad{i}.{ending}")
            with open(path, "wb") as file:
                file.write(damage.damaged(content, ending, source))
            paths.append((name, path))
        longest = 0
        with ThreadPoolExecutor(2) as pool:
            results = pool.map(lambda entry: outcome(entry[1]), paths)
            for (name, path), (wrong, text, seconds) in zip(paths, results):
                counts["model" if text == "model" else wrong or "error"] += 1
                longest = max(longest, seconds)
                if wrong and KEEP:
                    os.makedirs(KEEP, exist_ok=True)
                    shutil.copy(path, KEEP)
                with self.subTest(os.path.basename(path), seed=SEED, of=name):
                    self.assertEqual(wrong, "", text[-3000:])
        print(f"{COUNT} files of {len(own) + len(foreign)} seeds: "
              f"{dict(counts)}, {longest:.1f} s at most", end=" ... ")
        # Damage that nobody notices, and damage that is told.
        self.assertGreater(counts["error"], COUNT // 4)
        self.assertGreater(counts["model"], 0)

    def test_bombs(self):
        for name, make in bombs.FILES.items():
            path = e2e.scratch(name.replace(" ", "-") + ".onnx")
            with open(path, "wb") as file:
                file.write(make())
            with self.subTest(name):
                wrong, text, _ = outcome(path)
                self.assertEqual(wrong, "", text[-3000:])


if __name__ == "__main__":
    words = sys.argv
    ALL = "--all" in words
    COUNT = (int(words[words.index("--count") + 1]) if "--count" in words
             else 1000 if ALL else 150)
    SEED = int(words[words.index("--seed") + 1]) if "--seed" in words else 1
    KEEP = os.environ.get("HOSTILE_KEEP")
    SANITIZED = b"__asan_init" in open(e2e.tool("sinter"), "rb").read()
    sys.argv = words[:1]
    e2e.main()
