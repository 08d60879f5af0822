"""Files of Keras go in and come out again.

Real files, where the project's data are there: each imported network, compiled
with its weights inside, has to answer as an independent evaluation in NumPy did
(expected.tsv), and to go on training from there. Small files made here with
h5py have every layout and every fault; round trips lose no bit.
"""

import io
import json
import os
import random
import re
import subprocess
import unittest
import zipfile

import e2e

SHARED = os.path.join(e2e.ROOT, "..", "shared", "data")


def shared(name):
    path = os.path.join(SHARED, name)
    if not os.path.exists(path):
        raise unittest.SkipTest(f"{path} is not on this machine")
    return path


def sinter(*arguments, status=0):
    """stderr of a call that ends as expected."""
    done = subprocess.run([e2e.tool("sinter"), *map(str, arguments)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120)
    if done.returncode != status:
        raise e2e.Failed(f"sinter {arguments}: expected status {status}, got "
                         f"{done.returncode}\n{done.stdout}{done.stderr}")
    return done.stderr


def import_model(path, name, *flags):
    """The spec's text and the weights of an imported file."""
    folder = e2e.scratch(name)
    sinter("import", path, "-o", folder, *flags)
    with open(os.path.join(folder, "spec.yaml")) as file:
        spec = file.read()
    weights = os.path.join(folder, "weights.safetensors")
    return spec, e2e.read_safetensors(weights) if os.path.exists(weights) else {}


def random_weights(spec):
    """A safetensors file with numbers for all parameters of a spec."""
    graph = e2e.run(e2e.tool("sinter"), "dump", spec, "--stage", "graph")
    tensors, source = {}, random.Random(5)
    for name, shape in re.findall(
            r'sinter\.state \w+ @"?([^" ]+)"? : tensor<([0-9x]*)f32>',
            graph):
        sizes = [int(size) for size in re.findall("[0-9]+", shape)]
        tensors[name] = (sizes, [source.uniform(0.1, 1) for _ in range(
            e2e.product(sizes))])
    return e2e.write_safetensors(e2e.scratch("random.safetensors"), tensors)


def without_comments(spec):
    return [line for line in spec.split("\n") if not line.startswith("#")]


# ---- Real files ----------------------------------------------------------------


def test_images(dataset, count=1000, part="test"):
    """Pixels and labels as bytes."""
    if dataset.startswith("Sign"):
        import gzip
        path = shared(f"sign-mnist/sign_mnist_{part}.csv.gz")
        pixels, labels = bytearray(), []
        with gzip.open(path, "rt") as file:
            next(file)
            for line in file:
                label, *row = map(int, line.split(","))
                labels.append(label)
                pixels += bytes(row)
                if len(labels) == count:
                    break
        return bytes(pixels), labels
    fashion = dataset.startswith("Fashion")
    folder = e2e.data_dir("fashion-mnist" if fashion else "mnist")
    ending = ".gz" if fashion else ""
    prefix = "t10k" if part == "test" else "train"
    _, pixels = e2e.read_idx(
        os.path.join(folder, prefix + "-images-idx3-ubyte" + ending))
    _, labels = e2e.read_idx(
        os.path.join(folder, prefix + "-labels-idx1-ubyte" + ending))
    return pixels[:784 * count], list(labels[:count])


def expected(folder):
    """Fields of the lines of expected.tsv about files of a folder."""
    with open(shared("expected.tsv")) as file:
        for line in list(file)[1:]:
            fields = line.rstrip("\n").split("\t")
            if fields[0].startswith(folder + "/"):
                yield fields


class RealFiles(unittest.TestCase):
    def check(self, fields):
        name, dataset, layout, _, samples, correct, outputs = fields
        source, samples = shared(name), int(samples)
        stem = os.path.basename(name).replace(".", "_")
        shape = [784] if layout == "784" else [28, 28, 1]
        pixels, labels = test_images(dataset, samples)
        images = e2e.write_npy(e2e.scratch(stem + ".npy"), (samples, *shape),
                               pixels, "B")
        train_pixels, train_labels = test_images(dataset, 1600, "train")
        e2e.write_npy(e2e.scratch("train_x.npy"), (1600, *shape), train_pixels,
                      "B")
        e2e.write_npy(e2e.scratch("train_y.npy"), (1600,),
                      bytes(train_labels), "B")
        spec = e2e.write(stem + ".yaml", f"""
model: {os.path.abspath(source)}
input: {{scale: 1/255}}
data:
  train: {{images: train_x.npy, labels: train_y.npy}}
train: {{epochs: 1, batch_size: 32, seed: 1}}
""")
        trainer = e2e.Trainer(spec, stem)
        predictions = trainer.path + ".npy"
        e2e.run(trainer.path, "predict", "--input", images, "--output",
                predictions)
        (rows, classes), values = e2e.read_npy(predictions)
        self.assertEqual(rows, samples)
        answers = [values[i * classes:(i + 1) * classes] for i in range(rows)]
        right = sum(max(range(classes), key=answer.__getitem__) == label
                    for answer, label in zip(answers, labels))
        self.assertLessEqual(abs(right - int(correct)), 1, name)
        for answer, text in zip(answers, outputs.split(";")):
            for got, wanted in zip(answer, map(float, text.split())):
                self.assertLess(abs(got - wanted), 1e-3 * wanted + 1e-7, name)
        # The first epoch starts where the file's training ended.
        history = trainer.train(e2e.scratch(), "--no-validation")
        self.assertGreater(history["accuracy"][0], 0.85, name)
        print(f"\n  {name}: {right} right (expected {correct}), one more epoch: "
              f"loss {history['loss'][0]:.4f}, accuracy "
              f"{history['accuracy'][0]:.4f}", end=" ")

    def test_answers_and_further_training(self):
        for fields in expected("keras"):
            self.check(fields)

    def test_round_trips(self):
        for name in sorted(os.listdir(shared("keras"))):
            spec, weights = import_model(shared("keras/" + name), "first-" + name)
            first = e2e.scratch("first-" + name)
            for ending in ".h5", ".keras":
                again = e2e.scratch("again-" + name + ending)
                sinter("export", "--spec", first + "/spec.yaml", "--weights",
                       first + "/weights.safetensors", "-o", again)
                other, others = import_model(again, "second-" + name + ending)
                # The model's name may have been the file's.
                self.assertEqual(without_comments(spec), without_comments(other))
                self.assertEqual(weights, others, name)
                with open(first + "/weights.safetensors", "rb") as one, \
                        open(e2e.scratch("second-" + name + ending) +
                             "/weights.safetensors", "rb") as two:
                    self.assertEqual(one.read(), two.read())

    def test_layout_is_that_of_keras(self):
        h5py = e2e.import_or_skip("h5py")
        source = shared("keras/xor_mlp_edycoleee.h5")
        copy = e2e.scratch("xor.h5")
        import_model(source, "xor")
        sinter("export", "--spec", e2e.scratch("xor/spec.yaml"), "--weights",
               e2e.scratch("xor/weights.safetensors"), "-o", copy)

        def outline(path):
            """Paths with what they are, names of the model and layers alike."""
            result = {}

            def visit(name, thing):
                if name.startswith("optimizer_weights"):
                    return
                name = name.replace("sequential_3", "M").replace(
                    "xor_mlp_edycoleee", "M")
                attributes = {key: type(value).__name__
                              for key, value in thing.attrs.items()}
                kind = (thing.dtype.str, thing.shape) if isinstance(
                    thing, h5py.Dataset) else "group"
                result[name] = (kind, attributes)

            with h5py.File(path, "r") as file:
                visit("/", file)
                file.visititems(visit)
                weights = file["model_weights"]
                layers = {name: [w.split("/")[-1] for w in
                                 weights[name].attrs["weight_names"]]
                          for name in weights.attrs["layer_names"]}
                training = json.loads(file.attrs["training_config"])
            return result, layers, sorted(training)

        self.assertEqual(outline(copy), outline(source))


class Sample(unittest.TestCase):
    def test_the_file_answers_before_any_training(self):
        data = e2e.data_dir("mnist")
        program = e2e.scratch("digits")
        spec = e2e.sample("keras_in_keras_out/model.yaml")
        sinter("compile", spec, "-o", program)
        result = json.loads(e2e.run(program, "evaluate", "--data", data,
                                    "--json"))
        self.assertGreater(result["accuracy"], 0.992)


# ---- Files made here -----------------------------------------------------------


def sequential(*layers, shape=(4,)):
    """Keras 3's JSON of a model; layers are (class, config)."""
    listed = [{"class_name": "InputLayer",
               "config": {"batch_shape": [None, *shape], "dtype": "float32",
                          "name": "input_layer"}}]
    listed += [{"class_name": c, "config": dict(config)} for c, config in layers]
    return {"class_name": "Sequential",
            "config": {"name": "made", "layers": listed}}


def dense(name="dense", units=3, **more):
    return "Dense", {"name": name, "units": units, **more}


class Maker:
    """Writes HDF5 files as Keras does, or nearly so."""

    def __init__(self):
        self.h5py = e2e.import_or_skip("h5py")
        self.numpy = e2e.import_or_skip("numpy")

    def whole(self, path, model, weights, names=None, texts=None, **attributes):
        """weights: {layer: {name in the file: array}}"""
        path = e2e.scratch(path)
        with self.h5py.File(path, "w") as file:
            file.attrs["keras_version"] = attributes.pop("version", "3.1.1")
            file.attrs["model_config"] = model if isinstance(
                model, str) else json.dumps(model)
            for key, value in attributes.items():
                file.attrs[key] = json.dumps(value)
            root = file.create_group("model_weights")
            encode = texts or list
            root.attrs["layer_names"] = encode(list(weights)) if weights else []
            for layer, arrays in weights.items():
                group = root.create_group(layer)
                for name, array in arrays.items():
                    group[name] = array
                listed = list(arrays) if names is None else names
                group.attrs["weight_names"] = encode(listed) if listed else []
        return path

    def ramp(self, *shape):
        count = self.numpy.prod(shape, dtype=int)
        return (self.numpy.arange(count, dtype="f4") / 7).reshape(shape)

    def simple(self, path, **more):
        return self.whole(path, sequential(dense()), {
            "dense": {"kernel": self.ramp(4, 3), "bias": self.ramp(3)}}, **more)


class Layouts(unittest.TestCase):
    def setUp(self):
        self.maker = Maker()
        self.kernel = tuple(float(x) for x in self.maker.ramp(4, 3).flat)

    def check(self, path, *flags):
        spec, weights = import_model(path, os.path.basename(path) + ".d", *flags)
        self.assertEqual(weights["dense/kernel"], ((4, 3), self.kernel))
        self.assertIn("  - dense: {units: 3}", spec)
        return spec

    def test_names_of_weights(self):
        ramp = self.maker.ramp
        for i, (kernel, bias) in enumerate([
                ("kernel", "bias"), ("dense/kernel:0", "dense/bias:0"),
                ("sequential/dense/kernel", "sequential/dense/bias"),
                ("dense/kernel_1:0", "dense/bias_1:0"), ("param_0", "param_1")]):
            self.check(self.maker.whole(f"names{i}.h5", sequential(dense()), {
                "dense": {kernel: ramp(4, 3), bias: ramp(3)}}))

    def test_texts(self):
        numpy = self.maker.numpy
        fixed = lambda names: numpy.array([n.encode() for n in names])
        self.check(self.maker.simple("fixed.h5", texts=fixed))
        # One attribute for each name, as Keras splits long lists.
        path = self.maker.simple("chunks.h5")
        with self.maker.h5py.File(path, "a") as file:
            group = file["model_weights/dense"]
            del group.attrs["weight_names"]
            group.attrs["weight_names0"] = ["kernel"]
            group.attrs["weight_names1"] = ["bias"]
        self.check(path)

    def test_compressed_and_double(self):
        path = self.maker.simple("packed.h5")
        with self.maker.h5py.File(path, "a") as file:
            group = file["model_weights/dense"]
            del group["kernel"]
            group.create_dataset("kernel", dtype="f8", compression="gzip",
                                 data=self.maker.ramp(4, 3))
        self.check(path)

    def weights_h5(self, path, root):
        with self.maker.h5py.File(path, "w") as file:
            file[root + "/dense/vars/0"] = self.maker.ramp(4, 3)
            file[root + "/dense/vars/1"] = self.maker.ramp(3)
        return path

    def archive(self, name, model, root):
        weights = self.weights_h5(e2e.scratch(name + ".weights.h5"), root)
        path = e2e.scratch(name)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("metadata.json", '{"keras_version": "3.1.1"}')
            file.writestr("config.json", json.dumps(model))
            file.write(weights, "model.weights.h5")
        return path

    def test_archives(self):
        # Groups are named by class there, not by the layer's name.
        named = sequential(dense("first"))
        for i, root in enumerate(["layers", "_layer_checkpoint_dependencies"]):
            path = self.archive(f"a{i}.keras", named, root)
            _, weights = import_model(path, f"a{i}")
            self.assertEqual(weights["first/kernel"], ((4, 3), self.kernel))

    def test_architecture_and_weights(self):
        json_path = e2e.write("arch.json", json.dumps(sequential(dense())))
        whole = self.maker.simple("weights_of_keras2.h5")
        with self.maker.h5py.File(whole, "a") as file:
            for name in list(file["model_weights"]):
                file.move("model_weights/" + name, name)
            for key, value in file["model_weights"].attrs.items():
                file.attrs[key] = value
            del file["model_weights"], file.attrs["model_config"]
        self.check(json_path, "--weights", whole)
        three = self.weights_h5(e2e.scratch("three.weights.h5"), "layers")
        self.check(json_path, "--weights", three)
        spec, weights = import_model(json_path, "bare")
        self.assertEqual(weights, {})
        message = sinter("import", whole, "-o", e2e.scratch("x"), status=1)
        self.assertIn("weights, but no architecture", message)

    def functional(self, calls):
        """x -> dense -> add(dense, dense_1) with dense_1 reading dense."""
        def entry(class_name, config, inputs):
            return {"class_name": class_name, "config": config,
                    "name": config["name"], "inbound_nodes": calls(inputs)}
        layers = [
            entry("InputLayer", {"name": "x", "batch_input_shape": [None, 4]},
                  []),
            entry("Add", {"name": "sum"}, ["dense", "dense_1"]),
            entry("Dense", {"name": "dense", "units": 3}, ["x"]),
            entry("Dense", {"name": "dense_1", "units": 3}, ["dense"])]
        layers[0]["inbound_nodes"] = []
        return {"class_name": "Functional", "config": {
            "name": "branches", "layers": layers,
            "input_layers": [["x", 0, 0]], "output_layers": [["sum", 0, 0]]}}

    def test_functional(self):
        two = lambda inputs: [[[name, 0, 0, {}] for name in inputs]]

        def three(inputs):
            tensors = [{"class_name": "__keras_tensor__", "config": {
                "shape": [None, 3], "keras_history": [name, 0, 0]}}
                for name in inputs]
            return [{"args": [tensors if len(tensors) > 1 else
                              (tensors or [None])[0]], "kwargs": {}}]

        for name, calls in ("two", two), ("three", three):
            path = e2e.write(name + ".json", json.dumps(self.functional(calls)))
            spec, _ = import_model(path, name)
            self.assertEqual([
                "model: branches", "input: {shape: [4]}", "layers:",
                "  - dense: {units: 3}", "  - dense: {units: 3}",
                "  - add: {name: sum, inputs: [dense, dense_1]}"],
                spec.split("\n")[1:7])

    def test_every_layer_and_argument_comes_back(self):
        spec = e2e.write("wide.yaml", """
model: wide
input: {shape: [16, 16, 4], name: pixels}
layers:
  - zero_padding2d: [[1, 2], [0, 1]]
  - cropping2d: [[1, 0], [0, 1]]
  - conv2d: {filters: 8, kernel_size: [3, 1], strides: [1, 2], padding: same,
             activation: {leaky_relu: 0.25}, kernel_initializer: he_normal,
             kernel_regularizer: {l1_l2: {l1: 0.1, l2: 0.01}}, name: first}
  - batch_normalization: {momentum: 0.9, epsilon: 0.01, scale: false}
  - depthwise_conv2d: {kernel_size: 3, depth_multiplier: 2, padding: same}
  - separable_conv2d: {filters: 6, kernel_size: 3, dilation_rate: 2,
                       padding: same, use_bias: false, trainable: false}
  - layer_normalization: {axis: [-2, -1]}
  - relu: {negative_slope: 0.1}
  - conv2d_transpose: {filters: 5, kernel_size: 3, strides: 2,
                       output_padding: 1}
  - average_pooling2d: {pool_size: [2, 1], strides: 2, padding: same}
  - up_sampling2d: [1, 2]
  - spatial_dropout2d: 0.3
  - permute: [2, 1, 3]
  - max_pooling2d: {pool_size: 3}
  - elu: 0.5
  - leaky_relu
  - conv2d: {filters: 4, kernel_size: 1, groups: 1, activation: gelu, name: a}
  - conv2d: {filters: 4, kernel_size: 1, activation: hard_sigmoid, inputs: elu,
             name: b}
  - multiply: {inputs: [a, b]}
  - concatenate: {inputs: [multiply, a], axis: -1}
  - global_average_pooling2d: {keepdims: true}
  - flatten
  - gaussian_noise: 0.1
  - rescaling: {scale: 0.5, offset: 1}
  - reshape: [4, 2]
  - conv1d: {filters: 6, kernel_size: 2, padding: causal, dilation_rate: 2}
  - max_pooling1d: {pool_size: 2, strides: 1}
  - global_max_pooling1d
  - dropout: 0.25
  - dense: {units: 7, kernel_initializer: {random_normal: {stddev: 0.1}},
            bias_regularizer: {l2: 0.02}, bias_initializer: {constant: 0.5}}
  - softmax
loss: {categorical_crossentropy: {label_smoothing: 0.1}}
optimizer: {sgd: {learning_rate: {exponential_decay: {
  initial_learning_rate: 0.1, decay_steps: 100, decay_rate: 0.9}},
  momentum: 0.9, nesterov: true, clipnorm: 1}}
metrics: [accuracy, {top_k_categorical_accuracy: {k: 3, name: top3}}]
""")
        weights = random_weights(spec)
        one = e2e.scratch("wide.h5")
        sinter("export", "--spec", spec, "--weights", weights, "-o", one)
        first, values = import_model(one, "wide1")
        self.assertEqual(values, e2e.read_safetensors(weights))
        for ending in ".h5", ".keras":
            two = e2e.scratch("wide2" + ending)
            sinter("export", "--spec", e2e.scratch("wide1/spec.yaml"),
                   "--weights", e2e.scratch("wide1/weights.safetensors"), "-o",
                   two)
            second, others = import_model(two, "wide3" + ending)
            self.assertEqual(without_comments(first), without_comments(second))
            self.assertEqual(values, others)
        # Not only stable: the graph is the one of the spec that was written.
        # (The batch is the training's, which a file of Keras does not have.)
        graphs = [re.sub(r"bound \d+", "", e2e.run(
            e2e.tool("sinter"), "dump", path, "--stage", "graph"))
                  for path in (spec, e2e.scratch("wide1/spec.yaml"))]
        self.assertEqual(*graphs)

    def test_recurrent_layers_come_back(self):
        spec = e2e.write("steps.yaml", """
model: steps
input: {shape: [6, 4]}
layers:
  - lstm: {units: 3, return_sequences: true, activation: relu, dropout: 0.1,
           kernel_regularizer: {l2: 0.01}, name: memory}
  - bidirectional: {layer: {gru: {units: 2, return_sequences: true}},
                    merge_mode: sum}
  - bidirectional: {layer: {lstm: {units: 2, return_sequences: true}},
      backward_layer: {lstm: {units: 2, return_sequences: true,
                              go_backwards: true, use_bias: false}}}
  - time_distributed: {layer: {dense: {units: 3, activation: tanh}}}
  - gru: {units: 5, reset_after: false, go_backwards: true,
          recurrent_initializer: {orthogonal: {gain: 0.5}}}
  - repeat_vector: 4
  - simple_rnn: {units: 2, use_bias: false}
  - dense: {units: 3, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: {adam: {learning_rate: 0.01}}
""")
        weights = random_weights(spec)
        for ending in ".h5", ".keras":
            path = e2e.scratch("steps" + ending)
            sinter("export", "--spec", spec, "--weights", weights, "-o", path)
            _, values = import_model(path, "steps" + ending + ".d")
            self.assertEqual(values, e2e.read_safetensors(weights))
            graphs = [re.sub(r"bound \d+", "", e2e.run(
                e2e.tool("sinter"), "dump", one, "--stage", "graph"))
                      for one in (spec, e2e.scratch(
                          "steps" + ending + ".d/spec.yaml"))]
            self.assertEqual(*graphs)
        with self.maker.h5py.File(e2e.scratch("steps.h5"), "r") as file:
            root = file["model_weights"]
            self.assertEqual(
                list(root["memory"].attrs["weight_names"]),
                [f"steps/memory/lstm_cell/{name}" for name in
                 ("kernel", "recurrent_kernel", "bias")])
            self.assertEqual(
                list(root["bidirectional"].attrs["weight_names"]),
                [f"steps/bidirectional/{side}_gru/gru_cell/{name}"
                 for side in ("forward", "backward")
                 for name in ("kernel", "recurrent_kernel", "bias")])

    def test_cells(self):
        """Where versions of Keras have the weights of recurrent layers."""
        ramp = self.maker.ramp
        model = sequential(
            ("LSTM", {"name": "memory", "units": 2, "return_sequences": True,
                      "implementation": 2, "time_major": False,
                      "recurrent_activation": "sigmoid"}),
            ("Bidirectional", {"name": "both", "merge_mode": "concat", "layer": {
                "class_name": "GRU", "config": {
                    "name": "gru", "units": 2, "reset_after": True}}}),
            shape=(5, 3))
        lstm = [ramp(3, 8), ramp(2, 8), ramp(8)]
        gru = [[x + side for x in (ramp(2, 6), ramp(2, 6), ramp(2, 6))]
               for side in (1, 2)]
        names = ("kernel", "recurrent_kernel", "bias")

        def check(path):
            spec, weights = import_model(path, os.path.basename(path) + ".d")
            self.assertIn("lstm: {units: 2, return_sequences: true, name: "
                          "memory}", spec)
            self.assertIn("bidirectional: {layer: {gru: {units: 2}}", spec)
            for name, array in zip(names, lstm):
                self.assertEqual(weights["memory/" + name][1],
                                 tuple(map(float, array.flat)))
            for side, arrays in zip(("forward", "backward"), gru):
                for name, array in zip(names, arrays):
                    self.assertEqual(weights[f"both/{side}_{name}"][1],
                                     tuple(map(float, array.flat)))
        for i, (cell, inner) in enumerate([
                ("memory/lstm_cell_3/", "both/{}_gru/gru_cell_4/"),
                ("memory/", "both/{}_gru/"),
                ("made/memory/lstm_cell/", "made/both/{}_gru/gru_cell/")]):
            check(self.maker.whole(f"cells{i}.h5", model, {
                "memory": {f"{cell}{n}:0": a for n, a in zip(names, lstm)},
                "both": {f"{inner.format(side)}{n}:0": a
                         for side, arrays in zip(("forward", "backward"), gru)
                         for n, a in zip(names, arrays)}}, version="2.15.0"))
        path = e2e.scratch("cells.keras")
        inside = e2e.scratch("cells.weights.h5")
        with self.maker.h5py.File(inside, "w") as file:
            for i in range(3):
                file[f"layers/lstm/cell/vars/{i}"] = lstm[i]
                for side, arrays in zip(("forward", "backward"), gru):
                    file[f"layers/bidirectional/{side}_layer/cell/vars/{i}"] = (
                        arrays[i])
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("metadata.json", '{"keras_version": "3.1.1"}')
            file.writestr("config.json", json.dumps(model))
            file.write(inside, "model.weights.h5")
        check(path)

    def test_cells_of_cudnn(self):
        """Kernels lie as (units, in) of each gate; biases are apart."""
        numpy = self.maker.numpy
        source = numpy.random.default_rng(3)
        inputs, units = 3, 2

        def cell(gates):
            """Of Keras, and as CuDNN has it."""
            kernel = source.normal(size=(inputs, gates * units)).astype("f4")
            recurrent = source.normal(size=(units, gates * units)).astype("f4")
            bias = source.normal(size=(2, gates * units)).astype("f4")
            turned = lambda array: numpy.hstack([
                part.T.flatten().reshape(part.shape)
                for part in numpy.hsplit(array, gates)])
            return ([kernel, recurrent, bias if gates == 3 else bias.sum(0)],
                    [turned(kernel), turned(recurrent), bias.flatten()])
        names = ("kernel", "recurrent_kernel", "bias")
        lstm, gru, sides = cell(4), cell(3), (cell(4), cell(4))
        # Each layer reads the data, which have `inputs` features.
        for i, (class_name, layer, prefixes, cells) in enumerate([
                ("CuDNNLSTM", "lstm", [""], [lstm]),
                ("CuDNNGRU", "gru", [""], [gru]),
                ("Bidirectional", "bidirectional",
                 ["forward_", "backward_"], sides)]):
            config = {"units": units, "return_sequences": False,
                      "stateful": False, "go_backwards": False}
            if class_name == "CuDNNLSTM":
                config["unit_forget_bias"] = True
            if class_name == "Bidirectional":
                config = {"merge_mode": "concat", "layer": {
                    "class_name": "CuDNNLSTM",
                    "config": dict(config, name="inner")}}
            model = sequential((class_name, dict(config, name="memory")),
                               shape=(5, inputs))
            arrays = {f"memory/{prefix}{name}:0": array
                      for prefix, (_, there) in zip(prefixes, cells)
                      for name, array in zip(names, there)}
            path = self.maker.whole(f"cudnn{i}.h5", model, {"memory": arrays},
                                    version="2.2.4-tf")
            spec, weights = import_model(path, f"cudnn{i}")
            self.assertIn(f"  - {layer}: {{", spec)
            self.assertNotIn("reset_after", spec)
            for prefix, (here, _) in zip(prefixes, cells):
                for name, array in zip(names, here):
                    self.assertEqual(
                        weights[f"memory/{prefix}{name}"],
                        (array.shape, tuple(map(float, array.flat))))

    def test_layers_that_attend_come_back(self):
        """Their inputs, one by one or as a list; weights by layer and part."""
        spec = e2e.write("attend.yaml", """
model: attend
input: {shape: [6, 4], name: rows}
layers:
  - dense: {units: 4, name: other}
  - multi_head_attention: {num_heads: 2, key_dim: 3, value_dim: 5, dropout: 0.1,
                           inputs: [rows, other], name: cross}
  - multi_head_attention: {num_heads: 1, key_dim: 2, output_shape: 3,
                           use_bias: false, use_causal_mask: true,
                           inputs: [cross, other, rows], name: masked}
  - attention: {use_scale: true, score_mode: concat, use_causal_mask: true,
                inputs: [masked, rows, masked]}
  - additive_attention: {inputs: [attention, rows]}
  - dot: {axes: [1, 1], normalize: true, inputs: [additive_attention, rows]}
  - flatten
  - dense: {units: 2}
loss: mean_squared_error
optimizer: sgd
""")
        weights = random_weights(spec)
        for ending in ".h5", ".keras":
            path = e2e.scratch("attend" + ending)
            sinter("export", "--spec", spec, "--weights", weights, "-o", path)
            name = "attend-again" + ending
            _, values = import_model(path, name)
            self.assertEqual(values, e2e.read_safetensors(weights))
            graphs = [re.sub(r"bound \d+", "", e2e.run(
                e2e.tool("sinter"), "dump", which, "--stage", "graph"))
                for which in (spec, e2e.scratch(name + "/spec.yaml"))]
            self.assertEqual(*graphs)
        with zipfile.ZipFile(e2e.scratch("attend.keras")) as archive:
            config = json.loads(archive.read("config.json"))
        calls = {layer["name"]: layer["inbound_nodes"][0]
                 for layer in config["config"]["layers"][1:]}
        self.assertEqual(len(calls["cross"]["args"]), 2)
        self.assertEqual(calls["masked"]["kwargs"], {"use_causal_mask": True})
        self.assertEqual(len(calls["attention"]["args"][0]), 3)
        # As Keras writes them once it has seen the inputs.
        heads = next(layer["config"] for layer in config["config"]["layers"]
                     if layer["name"] == "cross")
        plain, _ = import_model(e2e.write("axes.json", json.dumps(config)),
                                "axes")
        for axes in [1], [-2], 1, None, {"class_name": "__tuple__",
                                         "items": [1]}:
            heads.update(attention_axes=axes, query_shape=[None, 6, 4],
                         key_shape=[None, 6, 4], value_shape=[None, 6, 4])
            spec, _ = import_model(e2e.write("axes.json", json.dumps(config)),
                                   "axes")
            self.assertEqual(without_comments(spec), without_comments(plain))
        for axes in [2], [1, 2], [0], [], "rows":
            heads["attention_axes"] = axes
            message = sinter("import", e2e.write("axes.json",
                                                 json.dumps(config)),
                             "-o", e2e.scratch("none"), status=1)
            self.assertIn("layer 'cross' (MultiHeadAttention): "
                          "'attention_axes' = ", message)
            self.assertIn("1 to 1", message)

    def test_axes_of_attention_over_images(self):
        def model(axes):
            tensor = {"class_name": "__keras_tensor__", "config": {
                "shape": [None, 3, 5, 4], "dtype": "float32",
                "keras_history": ["pixels", 0, 0]}}
            return e2e.write("places.json", json.dumps({
                "class_name": "Functional", "config": {
                    "name": "places", "layers": [
                        {"class_name": "InputLayer", "name": "pixels",
                         "config": {"name": "pixels", "dtype": "float32",
                                    "batch_shape": [None, 3, 5, 4]},
                         "inbound_nodes": []},
                        {"class_name": "MultiHeadAttention", "name": "heads",
                         "config": {"name": "heads", "num_heads": 2,
                                    "key_dim": 3, "attention_axes": axes},
                         "inbound_nodes": [{"args": [tensor, tensor],
                                            "kwargs": {}}]}],
                    "input_layers": [["pixels", 0, 0]],
                    "output_layers": [["heads", 0, 0]]}}))
        for axes in [1, 2], [-2, -3]:
            spec, _ = import_model(model(axes), "places")
            self.assertIn("multi_head_attention: {num_heads: 2, key_dim: 3",
                          spec)
        # From row to row of each column.
        self.assertIn("expected all axes between the batch and the features, "
                      "1 to 2", sinter("import", model([1]), "-o",
                                       e2e.scratch("none"), status=1))

    def test_spellings_of_keras_2(self):
        """Forms that files of TensorFlow 1.x to Keras 2.15 have."""
        model = {"class_name": "Sequential", "config": [
            {"class_name": "Conv1D", "config": {
                "name": "conv", "batch_input_shape": [None, 9, 2], "filters": 3,
                "kernel_size": [3], "strides": [2], "padding": "valid",
                "dilation_rate": [1], "data_format": "channels_last",
                "groups": 1, "dtype": "float32"}},
            {"class_name": "BatchNormalizationV1", "config": {
                "name": "norm", "axis": [2], "momentum": 0.99, "fused": None,
                "renorm": False, "virtual_batch_size": None}},
            {"class_name": "LeakyReLU", "config": {
                "name": "leak", "alpha": 0.30000001192092896}},
            {"class_name": "MaxPooling1D", "config": {
                "name": "pool", "pool_size": [2], "strides": [2],
                "padding": "valid", "data_format": "channels_last"}},
            {"class_name": "Flatten", "config": {"name": "flat"}},
            dict(zip(["class_name", "config"], dense(
                "out", kernel_initializer={"class_name": "VarianceScaling",
                                           "config": {"scale": 2.0, "seed": 1,
                                                      "mode": "fan_in",
                                                      "distribution": "normal"}},
                kernel_regularizer={"class_name": "L1L2", "config": {
                    "l1": 0.0, "l2": 0.009999999776482582}})))]}
        ramp = self.maker.ramp
        path = self.maker.whole("two.h5", model, {
            "conv": {"conv/kernel:0": ramp(3, 2, 3), "conv/bias:0": ramp(3)},
            "norm": {f"norm/{name}:0": ramp(3) for name in (
                "gamma", "beta", "moving_mean", "moving_variance")},
            "leak": {}, "pool": {}, "flat": {},
            "out": {"out/kernel:0": ramp(6, 3), "out/bias:0": ramp(3)}},
            version="2.2.4-tf", training_config={
                "loss": {"class_name": "SparseCategoricalCrossentropy",
                         "config": {"reduction": "auto", "from_logits": True,
                                    "name": "sparse_categorical_crossentropy"}},
                "metrics": [[{"class_name": "MeanMetricWrapper", "config": {
                    "name": "accuracy", "dtype": "float32",
                    "fn": "sparse_categorical_accuracy"}}]],
                "optimizer_config": {"class_name": "RMSprop", "config": {
                    "lr": 0.0010000000474974513, "rho": 0.8999999761581421,
                    "decay": 0.0, "epsilon": 1e-07}}})
        spec, weights = import_model(path, "two")
        self.assertEqual(without_comments(spec), [
            "model: two", "input: {shape: [9, 2]}", "layers:",
            "  - conv1d: {filters: 3, kernel_size: 3, strides: 2, name: conv}",
            "  - batch_normalization: {name: norm}",
            "  - leaky_relu: {name: leak}", "  - max_pooling1d: {name: pool}",
            "  - flatten: {name: flat}",
            "  - dense: {units: 3, kernel_initializer: he_normal, "
            "kernel_regularizer: l2, name: out}",
            "loss: {sparse_categorical_crossentropy: {from_logits: true}}",
            "optimizer: rmsprop", "metrics: [accuracy]", ""])
        self.assertEqual(len(weights), 8)

    def test_npz(self):
        numpy = self.maker.numpy
        self.check(self.maker.simple("npz.h5"))
        folder = e2e.scratch("npz.h5.d")
        path = e2e.scratch("weights.npz")
        sinter("export", "--spec", folder + "/spec.yaml", "--weights",
               folder + "/weights.safetensors", "-o", path)
        with numpy.load(path) as arrays:
            self.assertEqual(sorted(arrays), ["dense/bias", "dense/kernel"])
            self.assertTrue((arrays["dense/kernel"] ==
                             self.maker.ramp(4, 3)).all())

    def test_nothing_but_differences(self):
        path = self.maker.whole("minimal.h5", sequential(
            dense("dense", activation="relu", use_bias=True,
                  kernel_initializer={"class_name": "VarianceScaling",
                                      "config": {"scale": 1.0, "seed": None,
                                                 "mode": "fan_avg",
                                                 "distribution": "uniform"}},
                  kernel_regularizer=None, bias_constraint=None)),
            {"dense": {"kernel": self.maker.ramp(4, 3),
                       "bias": self.maker.ramp(3)}},
            training_config={"loss": "mse", "metrics": ["mae"],
                             "optimizer_config": {"class_name": "Adam", "config": {
                                 "learning_rate": 0.0010000000474974513,
                                 "decay": 0.0, "beta_1": 0.8999999761581421}}})
        spec, _ = import_model(path, "minimal")
        self.assertEqual(without_comments(spec), [
            "model: made", "input: {shape: [4]}", "layers:",
            "  - dense: {units: 3, activation: relu}",
            "loss: mean_squared_error", "optimizer: adam",
            "metrics: [mean_absolute_error]", ""])


class Specs(unittest.TestCase):
    """`model: FILE` in a spec."""

    def setUp(self):
        Maker().simple("net.h5", training_config={
            "loss": "mse", "metrics": [],
            "optimizer_config": {"class_name": "SGD", "config": {}}})

    def test_rest_comes_from_the_spec(self):
        path = e2e.write("rest.yaml", """
model: net.h5
input: {scale: 1/2}
optimizer: adam
""")
        graph = e2e.run(e2e.tool("sinter"), "dump", path, "--stage", "graph")
        self.assertIn('name = "adam"', graph)
        self.assertIn('name = "mean_squared_error"', graph)
        self.assertIn("dense", e2e.run(e2e.tool("sinter"), "summary", path))

    def test_layers_are_the_files(self):
        path = e2e.write("both.yaml", """
model: net.h5
input: {shape: [4]}
layers:
  - dense: 2
""")
        message = sinter("check", path, status=1)
        self.assertIn("both.yaml:4:1: error: expected 'layers' or a model from "
                      "a file, got both", message)
        self.assertIn("both.yaml:3:8: error: expected 'input' to be {scale: "
                      "NUMBER}", message)

    def test_faults_of_the_file_are_told_at_its_name(self):
        path = e2e.write("gone.yaml", "model: gone.h5\n")
        message = sinter("check", path, status=1)
        self.assertIn("gone.yaml:1:8: error: gone.h5: cannot read it: No such "
                      "file", message)
        self.assertEqual(message.count("error:"), 1, message)

    def test_model_files_alone(self):
        path = e2e.scratch("net.h5")
        self.assertIn("dense", e2e.run(e2e.tool("sinter"), "summary", path))
        e2e.run(e2e.tool("sinter"), "check", path)
        e2e.run(e2e.tool("sinter"), "dump", path, "--stage", "graph")

    def test_weights_are_compiled_in(self):
        folder = e2e.scratch("net")
        sinter("import", e2e.scratch("net.h5"), "-o", folder)
        program = e2e.scratch("net.out")
        sinter("compile", folder + "/spec.yaml", "--weights",
               folder + "/weights.safetensors", "-o", program)
        images = e2e.write_npy(e2e.scratch("ones.npy"), (1, 4), [1.0] * 4)
        answer = e2e.scratch("answer.npy")
        e2e.run(program, "predict", "--input", images, "--output", answer)
        kernel = [i / 7 for i in range(12)]
        expected = [sum(kernel[j::3]) + j / 7 for j in range(3)]
        for got, wanted in zip(e2e.read_npy(answer)[1], expected):
            self.assertAlmostEqual(got, wanted, places=5)


class Scale(unittest.TestCase):
    """What the spec scales is scaled by a layer of the file."""

    def check(self, name, text, shape, layers):
        spec = e2e.write(name + ".yaml", text)
        weights = random_weights(spec)
        values = random.Random(6)
        inputs = e2e.write_npy(
            e2e.scratch(name + ".npy"), (5, *shape),
            [values.uniform(0, 255) for _ in range(5 * e2e.product(shape))])
        wanted = e2e.Trainer(spec, name).predict(weights, inputs)
        for ending in ".h5", ".keras":
            path = e2e.scratch(name + ending)
            message = sinter("export", "--spec", spec, "--weights", weights,
                             "-o", path)
            self.assertNotIn("warning", message)
            text, numbers = import_model(path, name + "-" + ending)
            self.assertEqual(numbers, e2e.read_safetensors(weights))
            for layer in layers:
                self.assertIn(layer, text)
            self.assertEqual(text.count("rescaling"), len(layers))
            folder = e2e.scratch(name + "-" + ending)
            got = e2e.Trainer(folder + "/spec.yaml", name + "-" + ending).predict(
                folder + "/weights.safetensors", inputs)
            self.assertEqual(got[0], wanted[0])
            for a, b in zip(got[1], wanted[1]):
                self.assertAlmostEqual(a, b, delta=1e-5 * max(1, abs(b)))

    def test_a_sequence_of_layers(self):
        self.check("scaled", """
model: scaled
input: {shape: [4], scale: 1/255}
layers:
  - dense: {units: 3, activation: tanh}
  - dense: 2
loss: mean_squared_error
optimizer: sgd
""", (4,), ["name: input_scale}"])

    def test_all_that_read_an_input(self):
        """Also where a layer has the name already."""
        self.check("readers", """
model: readers
input: {shape: [4], name: x, scale: 0.5}
layers:
  - dense: {units: 4, activation: tanh, name: x_scale}
  - add: {inputs: [x_scale, x]}
  - dense: {units: 2, name: last}
loss: mean_squared_error
optimizer: sgd
""", (4,), ["rescaling: {scale: 0.5, name: x_scale_"])


class Padding(unittest.TestCase):
    """Numbers as padding, which Keras's layers do not have."""

    LAYERS = """
  - conv2d: {filters: 4, kernel_size: 3, strides: 2, padding: [[2, 0], [1, 1]], activation: relu6}
  - max_pooling2d: {pool_size: 3, strides: 1, padding: [[1, 0], [1, 0]]}
  - depthwise_conv2d: {kernel_size: 3, padding: 1, activation: mish}
  - conv2d_transpose: {filters: 2, kernel_size: 3, strides: 2, padding: [[1, 0], [1, 2]],
      output_padding: [0, 1], activation: {celu: {alpha: 1.0}}}
  - average_pooling2d: {pool_size: 2, padding: [[0, 1], [0, 1]]}
  - reshape: [-1, 2]
  - conv1d: {filters: 3, kernel_size: 4, padding: [3, 1], activation: tanh_shrink}
  - max_pooling1d: {pool_size: 3, padding: 0}"""

    VOLUMES = """
  - conv3d: {filters: 4, kernel_size: [2, 3, 2], padding: [[1, 0], [2, 1], [0, 1]], activation: relu6}
  - max_pooling3d: {pool_size: 2, strides: 1, padding: same}
  - conv3d: {filters: 3, kernel_size: 3, padding: same, dilation_rate: [1, 2, 1]}
  - conv3d_transpose: {filters: 2, kernel_size: 3, strides: [1, 2, 1], padding: [[1, 0], [1, 2], [0, 1]], output_padding: [0, 1, 0]}
  - zero_padding3d: [[0, 1], [1, 1], [2, 0]]
  - up_sampling3d: [1, 2, 1]
  - average_pooling3d: {pool_size: [1, 3, 2]}
  - spatial_dropout3d: 0.5
  - cropping3d: [1, 0, 1]
  - global_max_pooling3d
  - dense: 3"""

    def test_volumes(self):
        spec = e2e.write("volumes.yaml",
                         "model: volumes\ninput: {shape: [5, 4, 6, 2]}\n"
                         f"layers:{self.VOLUMES}\n"
                         "loss: mean_squared_error\noptimizer: sgd\n")
        weights = random_weights(spec)
        values = random.Random(4)
        inputs = e2e.write_npy(
            e2e.scratch("volumes.npy"), (3, 5, 4, 6, 2),
            [values.uniform(-1, 1) for _ in range(3 * 5 * 4 * 6 * 2)])
        wanted = e2e.Trainer(spec, "volumes").predict(weights, inputs)
        for ending in ".h5", ".keras":
            path = e2e.scratch("volumes" + ending)
            sinter("export", "--spec", spec, "--weights", weights, "-o", path)
            text, numbers = import_model(path, "volumes-" + ending)
            self.assertEqual(numbers, e2e.read_safetensors(weights))
            self.assertEqual(
                re.findall(r"zero_padding3d: .*|cropping3d: .*", text)[:2], [
                    "zero_padding3d: {padding: [[1, 0], [2, 1], [0, 1]], "
                    "name: conv3d_padding}",
                    "cropping3d: {cropping: [[1, 0], [1, 2], [0, 1]], "
                    "name: conv3d_transpose_cropping}"])
            folder = e2e.scratch("volumes-" + ending)
            got = e2e.Trainer(folder + "/spec.yaml", "volumes-" + ending).predict(
                folder + "/weights.safetensors", inputs)
            self.assertEqual(got[0], wanted[0])
            for a, b in zip(got[1], wanted[1]):
                self.assertAlmostEqual(a, b, places=5)

    def test_strides_or_dilation(self):
        spec = self.spec("both.yaml", """
  - conv2d: {filters: 2, kernel_size: 3, strides: 2, dilation_rate: 2, name: both}
  - flatten
  - dense: 2""")
        weights = random_weights(spec)
        with self.assertRaises(e2e.Failed) as caught:
            sinter("export", "--spec", spec, "--weights", weights, "-o",
                   e2e.scratch("both.keras"))
        self.assertIn("strides or a dilation_rate, not both",
                      str(caught.exception))

    def spec(self, name, layers):
        return e2e.write(name, "model: padded\ninput: {shape: [12, 11, 3]}\n"
                               f"layers:{layers}\n"
                               "loss: mean_squared_error\noptimizer: sgd\n")

    def test_same_network(self):
        spec = self.spec("padded.yaml", self.LAYERS)
        weights = random_weights(spec)
        values = random.Random(3)
        inputs = e2e.write_npy(
            e2e.scratch("padded.npy"), (3, 12, 11, 3),
            [values.uniform(-1, 1) for _ in range(3 * 12 * 11 * 3)])
        wanted = e2e.Trainer(spec, "padded").predict(weights, inputs)
        for ending in ".h5", ".keras":
            path = e2e.scratch("padded" + ending)
            sinter("export", "--spec", spec, "--weights", weights, "-o", path)
            text, numbers = import_model(path, "padded-" + ending)
            self.assertEqual(numbers, e2e.read_safetensors(weights))
            # As the words that Keras has where these are equal.
            self.assertEqual(re.findall(r"(?<!_)padding: [^,}]*|cropping: [^n]*", text), [
                "padding: [[2", "padding: [[1", "padding: same",
                "cropping: [[1, 0], [1, 2]], ", "padding: same", "padding: [3"])
            folder = e2e.scratch("padded-" + ending)
            got = e2e.Trainer(folder + "/spec.yaml", "padded-" + ending).predict(
                folder + "/weights.safetensors", inputs)
            self.assertEqual(got[0], wanted[0])
            for a, b in zip(got[1], wanted[1]):
                self.assertAlmostEqual(a, b, delta=1e-5)

    def test_refused(self):
        for layers, *texts in [
                ("\n  - conv2d: {filters: 2, kernel_size: 1, name: c}"
                 "\n  - max_pooling2d: {padding: 1, name: pool}",
                 "layer 'pool' (max_pooling2d)", "put a relu before it"),
                ("\n  - conv2d: {filters: 2, kernel_size: 1, name: c}"
                 "\n  - average_pooling2d: {padding: 1, name: pool}",
                 "layer 'pool' (average_pooling2d)", "count in the average"),
                ("\n  - conv2d: {filters: 2, kernel_size: 1, name: c, activation: "
                 "{celu: {alpha: 2}}}", "layer 'c'", "activation celu"),
                ("\n  - parameter: {shape: [1, 1, 3], name: tensor}"
                 "\n  - add: {inputs: [input, tensor]}",
                 "layer 'tensor' (parameter): Keras has no layer")]:
            spec = self.spec("refused.yaml", layers)
            message = sinter("export", "--spec", spec, "--weights",
                             random_weights(spec), "-o",
                             e2e.scratch("refused.keras"), status=1)
            for text in texts:
                self.assertIn(text, message)
            self.assertEqual(message.count("error:"), 1, message)

    def test_names_of_activations(self):
        layers = [("Dense", {"name": "first", "units": 3, "activation": name})
                  for name in ("hard_swish", "log_softmax", "hard_tanh",
                               "soft_shrink", "squareplus")]
        for i, layer in enumerate(layers):
            layer[1]["name"] = f"d{i}"
        layers += [("ReLU", {"name": "limited", "max_value": 6.0,
                             "negative_slope": 0.0, "threshold": 0.0}),
                   ("Dense", {"name": "inner", "units": 3, "activation": {
                       "class_name": "ReLU", "config": {"max_value": 6}}})]
        path = e2e.write("names.json", json.dumps(sequential(*layers)))
        spec, _ = import_model(path, "names")
        self.assertEqual(re.findall("activation: ([a-z0-9_]+)", spec), [
            "hard_silu", "log_softmax", "hard_tanh", "soft_shrink",
            "squareplus", "relu6", "relu6"])

    def test_relu_with_arguments(self):
        """Back and forth, as a layer and inside of one."""
        arguments = {"max_value": 5.0, "negative_slope": 0.25, "threshold": 1.0}
        layers = [("ReLU", {"name": "limited", **arguments}),
                  ("Dense", {"name": "inner", "units": 3, "activation": {
                      "class_name": "ReLU", "config": {
                          "max_value": 2, "negative_slope": 0.0,
                          "threshold": None}}})]
        path = e2e.write("relu.json", json.dumps(sequential(*layers)))
        want = ["  - relu: {negative_slope: 0.25, max_value: 5, threshold: 1, "
                "name: limited}", "  - dense: {units: 3, activation: {relu: "
                "{max_value: 2}}, name: inner}"]
        spec, _ = import_model(path, "relu")
        self.assertEqual(re.findall("  - .*", spec)[:2], want)
        spec = os.path.join(e2e.scratch("relu"), "spec.yaml")
        for ending in "h5", "keras":
            again = e2e.scratch("relu." + ending)
            weights = e2e.write_safetensors(e2e.scratch("relu.safetensors"), {
                "inner/kernel": ([4, 3], [0.5] * 12),
                "inner/bias": ([3], [0.5] * 3)})
            sinter("export", "--spec", spec, "--weights", weights, "-o", again)
            text, _ = import_model(again, "relu-" + ending)
            self.assertEqual(re.findall("  - .*", text)[:2], want)


class Faults(unittest.TestCase):
    def setUp(self):
        self.maker = Maker()

    def refuse(self, path, *expected, flags=()):
        message = sinter("import", path, "-o", e2e.scratch("refused"), *flags,
                         status=1)
        for text in expected:
            self.assertIn(text, message)
        return message

    def json(self, *layers, **more):
        return e2e.write("wrong.json", json.dumps(sequential(*layers, **more)))

    def test_all_offenders_at_once(self):
        message = self.refuse(
            self.json(("ConvLSTM2D", {"name": "memory", "filters": 3}),
                      ("Lambda", {"name": "code"}),
                      ("MyLayer", {"name": "mine"}),
                      dense("limited", kernel_constraint={
                          "class_name": "MaxNorm", "config": {}}),
                      ("Conv2D", {"name": "first", "filters": 2,
                                  "kernel_size": [3, 3],
                                  "data_format": "channels_first",
                                  "activation": "softmax"}),
                      dense("odd", activation="sparsemax"),
                      dense("typed", dtype={"class_name": "DTypePolicy",
                                            "config": {"name": "int4"}})),
            "wrong.json: error: layer 'memory' (ConvLSTM2D): the layer is not "
            "supported yet",
            "layer 'code' (Lambda): it runs Python code",
            "layer 'mine' (MyLayer): no layer of Keras",
            "layer 'limited' (Dense): 'kernel_constraint' = MaxNorm is not",
            "layer 'first' (Conv2D): its images have channels first and its "
            "softmax runs over their width",
            "layer 'odd' (Dense): the activation sparsemax is not supported yet",
            "layer 'typed' (Dense): numbers of type int4 are not")
        self.assertEqual(message.count("error:"), 7, message)

    def test_meaning_that_changed(self):
        path = self.maker.whole(
            "old.h5", sequential(dense(activation="hard_sigmoid")),
            {"dense": {"kernel": self.maker.ramp(4, 3),
                       "bias": self.maker.ramp(3)}}, version="2.15.0")
        self.refuse(path, "hard_sigmoid has changed since Keras 2")

    def test_wrong_arguments(self):
        self.refuse(self.json(dense(units=0), dense("b", units="many")),
                    "layer 'dense': dense: expected 'units' to be an integer "
                    "of at least 1, got 0",
                    "layer 'b': dense: expected 'units'")
        self.refuse(self.json(("Conv2D", {"name": "c", "filters": 2,
                                          "kernel_size": [9, 9]}),
                              shape=(4, 4, 1)), "c: ")
        self.refuse(self.json(dense(), shape=(None,)), "size that is not fixed")
        self.refuse(self.json(dense(), dense()), "the name is used twice")

    def test_null(self):
        """None is linear as an activation, off as a flag; else no default."""
        spec, _ = import_model(self.json(
            ("LSTM", {"name": "a", "units": 2, "activation": None,
                      "recurrent_activation": None, "stateful": None,
                      "return_sequences": True, "trainable": None}),
            ("Bidirectional", {"name": "b", "layer": {
                "class_name": "GRU", "config": {
                    "name": "gru", "units": 2, "activation": None,
                    "return_sequences": True, "bias_initializer": None}}}),
            ("SimpleRNN", {"name": "c", "units": 2, "activation": None,
                           "dropout": None}),
            ("Activation", {"name": "d", "activation": None}),
            dense("e", activation=None, use_bias=True), shape=(3, 2)), "nulls")
        self.assertEqual(without_comments(spec)[3:8], [
            "  - lstm: {units: 2, activation: linear, recurrent_activation: "
            "linear, return_sequences: true, name: a}",
            "  - bidirectional: {layer: {gru: {units: 2, activation: linear, "
            "bias_initializer: glorot_uniform, return_sequences: true}}, "
            "name: b}",
            "  - simple_rnn: {units: 2, activation: linear, name: c}",
            "  - activation: {activation: linear, name: d}",
            "  - dense: {units: 3, name: e}"])
        self.refuse(self.json(
            ("Bidirectional", {"name": "both", "merge_mode": None, "layer": {
                "class_name": "LSTM", "config": {"name": "l", "units": 2}}}),
            dense("plain", use_bias=None), ("Softmax", {"name": "all",
                                                        "axis": None}),
            shape=(3, 2)),
                    "layer 'both' (Bidirectional): 'merge_mode' = null gives "
                    "two results",
                    "layer 'plain' (Dense): 'use_bias' = null is not supported "
                    "(expected true or false)",
                    "layer 'all' (Softmax): 'axis' = null")

    def test_wrong_weights(self):
        ramp, numpy = self.maker.ramp, self.maker.numpy
        whole, model = self.maker.whole, sequential(dense())
        self.refuse(whole("w1.h5", model, {"dense": {"kernel": ramp(5, 3),
                                                     "bias": ramp(3)}}),
                    "layer 'dense' (Dense): weight 'kernel': expected the shape "
                    "(4, 3), got (5, 3)")
        self.refuse(whole("w2.h5", model, {"dense": {"kernel": ramp(4, 3)}}),
                    "expected the weights kernel, bias, the file has kernel")
        self.refuse(whole("w3.h5", model, {"dense": {
            "kernel": ramp(4, 3) * numpy.float32("nan"), "bias": ramp(3)}}),
                    "weight 'dense/kernel': expected finite numbers, got NaN")
        self.refuse(whole("w4.h5", model, {"dense": {
            "kernel": ramp(4, 3).astype("i4"), "bias": ramp(3)}}),
                    "expected floating-point numbers, got i32")
        self.refuse(whole("w5.h5", model, {}), "the file has none")
        self.refuse(whole("w6.h5", model, {"dense": {
            "kernel": ramp(4, 3), "bias": ramp(3)}}, names=["kernel", "gone"]),
                    "weight 'gone' is listed, but not in the file")

    def test_graphs(self):
        def model(*layers, outputs=(("b", 0, 0),)):
            listed = [{"class_name": "InputLayer", "name": "x",
                       "config": {"name": "x", "batch_shape": [None, 4]},
                       "inbound_nodes": []}]
            for name, calls in layers:
                listed.append({"class_name": "Dense", "name": name,
                               "config": {"name": name, "units": 4},
                               "inbound_nodes": calls})
            return e2e.write("graph.json", json.dumps({
                "class_name": "Functional", "config": {
                    "name": "g", "layers": listed, "input_layers": ["x", 0, 0],
                    "output_layers": list(outputs)}}))
        call = lambda name: [[name, 0, 0, {}]]
        self.refuse(model(("a", [call("b")]), ("b", [call("a")])),
                    "the layers form a circle through 'a'")
        self.refuse(model(("a", [call("x"), call("x")]), ("b", [call("a")])),
                    "result of layer 'a_1' is not used")
        self.refuse(model(("a", [call("x"), call("x")]),
                          ("b", [[["a", 2, 0, {}]]])),
                    "layer 'b' reads call 3 of the layer 'a', which is called "
                    "2 times")
        self.refuse(model(("a", [call("x")]), ("b", [[["a", 0, 1, {}]]])),
                    "layer 'b' reads result number 2 of the layer 'a', which "
                    "has 1")
        self.refuse(model(("a", [call("x")]), ("b", [call("gone")])),
                    "reads the layer 'gone', which the file does not have")
        self.refuse(model(("a", [call("x")]), ("b", [call("a")]),
                          outputs=(("a", 0, 0), ("c", 0, 0))),
                    "the model reads the layer 'c', which the file does not "
                    "have")
        self.refuse(model(("b", [call("x")]), ("b", [call("x")])),
                    "the name 'b' is used twice")

    def test_files_that_are_none(self):
        self.refuse(e2e.scratch("not_there.h5"), "No such file")
        self.refuse(e2e.write("text.h5", "hello"), "not a readable HDF5 file")
        self.refuse(e2e.write("text.keras", "hello"), "not a readable zip")
        self.refuse(e2e.write("text.json", "{"), "not valid JSON at byte")
        self.refuse(e2e.write("deep.json", "[" * 100000), "at most 100 levels")
        self.refuse(e2e.write("list.json", "[1]"), "expected the configuration")
        self.refuse(e2e.scratch(""), "expected a model file")

    def test_bombs(self):
        path = self.maker.simple("huge.h5")
        with self.maker.h5py.File(path, "a") as file:
            del file["model_weights/dense/kernel"]
            file.create_dataset("model_weights/dense/kernel", (1 << 40, 1 << 20),
                                dtype="f4", chunks=(1024, 1024))
        self.refuse(path, "far more than a file of this size can hold")
        path = self.maker.simple("circle.h5")
        with self.maker.h5py.File(path, "a") as file:
            file["model_weights/dense/again"] = file["model_weights"]
        self.refuse(path, "a circle?")
        # Links to other files are not followed.
        path = self.maker.simple("link.h5")
        with self.maker.h5py.File(path, "a") as file:
            del file["model_weights/dense/kernel"]
            file["model_weights/dense/kernel"] = self.maker.h5py.ExternalLink(
                e2e.scratch("circle.h5"), "/model_weights/dense/kernel")
        self.refuse(path, "'kernel' is listed, but not in the file")
        path = e2e.scratch("bomb.keras")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("config.json", b"[" + b" " * (300 << 20))
        self.refuse(path, "holds far more than an archive of this size should")

    def test_damaged_files_end_well(self):
        whole = self.maker.simple("good.h5")
        archive = e2e.scratch("good.keras")
        weights = io.BytesIO()
        with self.maker.h5py.File(weights, "w") as file:
            file["layers/dense/vars/0"] = self.maker.ramp(4, 3)
            file["layers/dense/vars/1"] = self.maker.ramp(3)
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("config.json", json.dumps(sequential(dense())))
            file.writestr("model.weights.h5", weights.getvalue())
        source = random.Random(11)
        for path in [whole, archive] * 40:
            with open(path, "rb") as file:
                data = bytearray(file.read())
            for _ in range(source.choice([1, 4, 40])):
                place = source.randrange(len(data))
                data[place] = source.randrange(256)
            if source.random() < 0.2:
                del data[source.randrange(len(data)):]
            bad = e2e.scratch("bad" + os.path.splitext(path)[1])
            with open(bad, "wb") as file:
                file.write(data)
            done = subprocess.run(
                [e2e.tool("sinter"), "import", bad, "-o", e2e.scratch("bad")],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
            self.assertIn(done.returncode, (0, 1), done.stderr)
            self.assertEqual(b"error:" in done.stderr, done.returncode == 1,
                             done.stderr)


if __name__ == "__main__":
    e2e.main()
