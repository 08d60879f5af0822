"""Callbacks follow Keras's rules, and their files hold what they should.

The history of a run says what callbacks saw; their rules, written down a second
time in Python after Keras 3's source, say what they should have done with it.
Event files are decoded here from the wire format up, checksums included.
"""

import math
import os
import struct
import unittest

import e2e

SPEC = """
model: callbacks
input: {{shape: [28, 28], scale: 1/255}}
layers:
  - flatten
  - dense: {{units: 12, activation: relu, name: hidden}}
  - dense: {{units: 10, activation: softmax, name: output}}
loss: sparse_categorical_crossentropy
optimizer: {optimizer}
metrics: [accuracy]
data:
  train: {{images: images.npy, labels: labels.npy}}
  validation_split: 0.25
train: {{epochs: {epochs}, batch_size: 32, seed: 4}}
callbacks: {callbacks}
"""


# ---- Keras's rules -----------------------------------------------------------


def early_stopping(values, patience=0, min_delta=0.0, baseline=None, first=0):
    """(epochs run, best epoch) for a figure that should be small."""
    best, best_epoch, wait = math.inf, -1, 0
    for epoch, value in enumerate(values):
        if epoch < first:
            continue
        if best_epoch < 0:
            best_epoch = epoch
        wait += 1
        if value + min_delta < best:
            best, best_epoch = value, epoch
            if baseline is None or value + min_delta < baseline:
                wait = 0
        elif wait >= patience and epoch > 0:
            return epoch + 1, best_epoch
    return len(values), best_epoch


def plateau_rates(values, rate, factor, patience, min_delta, cooldown, least):
    """The learning rate in each epoch."""
    rates, best, wait, rest = [], math.inf, 0, 0
    for value in values:
        rates.append(rate)
        if rest > 0:
            rest -= 1
            wait = 0
        if value < best - min_delta:
            best, wait = value, 0
        elif rest <= 0:
            wait += 1
            if wait >= patience and rate > least:
                rate = max(rate * factor, least)
                rest, wait = cooldown, 0
    return rates


# ---- Event files -------------------------------------------------------------


def masked_crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    crc ^= 0xffffffff
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff


def fields(data):
    """A protocol buffer as a list of (field number, value)."""
    result, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        wire = key & 7
        if wire == 0:
            value = varint()
        elif wire == 1:
            value, = struct.unpack("<d", data[at:at + 8])
            at += 8
        else:
            assert wire == 2, wire
            size = varint()
            value, at = data[at:at + size], at + size
        result.append((key >> 3, value))
    return result


def read_events(folder):
    """{tag: [(step, value)]} of the one event file in a folder."""
    name, = os.listdir(folder)
    assert name.startswith("events.out.tfevents."), name
    with open(os.path.join(folder, name), "rb") as file:
        data = file.read()
    events = []
    while data:
        length = data[:8]
        size, = struct.unpack("<Q", length)
        record = data[12:12 + size]
        crcs = struct.unpack("<I", data[8:12]) + struct.unpack(
            "<I", data[12 + size:16 + size])
        assert crcs == (masked_crc32c(length), masked_crc32c(record))
        events.append(dict(fields(record)))
        data = data[16 + size:]
    assert events[0][3] == b"brain.Event:2" and events[0][1] > 1.6e9
    scalars = {}
    for event in events[1:]:
        for _, value in fields(event[5]):
            value = dict(fields(value))
            plugin = dict(fields(dict(fields(value[9]))[1]))
            tensor = dict(fields(value[8]))
            assert plugin[1] == b"scalars" and tensor[1] == 1
            scalars.setdefault(value[1].decode(), []).append(
                (event[2], struct.unpack("<f", tensor[5])[0]))
    return scalars


# ---- Tests -------------------------------------------------------------------


class Callbacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data, _, _ = e2e.fashion_subset(400)

    def train(self, name, callbacks, epochs=20, optimizer="adam", status=0,
              flags=()):
        """Trains in a folder of its own; returns the history and what was
        said."""
        trainer = e2e.Trainer(
            SPEC.format(callbacks=callbacks, epochs=epochs,
                        optimizer=optimizer), name)
        self.folder = e2e.scratch(name + "-run")
        os.makedirs(self.folder, exist_ok=True)
        said = e2e.run(trainer.path, "train", "--data", self.data, "--threads",
                       1, "--history", "h.json", "--save", "w.safetensors",
                       *flags, cwd=self.folder, status=status)
        if status:
            return None, said
        return e2e.json.loads(self.content("h.json"))["history"], said

    def content(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def test_early_stopping(self):
        every = "{model_checkpoint: {path: 'e{epoch:02d}.safetensors'}}"
        for options, rule in (
                ("patience: 2, restore_best_weights: true", dict(patience=2)),
                ("min_delta: 0.05, patience: 1", dict(min_delta=0.05,
                                                      patience=1)),
                ("baseline: 0.1, patience: 3", dict(baseline=0.1, patience=3)),
                ("patience: 1, start_from_epoch: 5, min_delta: 0.03",
                 dict(patience=1, first=5, min_delta=0.03))):
            with self.subTest(options):
                history, said = self.train(
                    "stop", f"[{{early_stopping: {{{options}}}}}, {every}]",
                    epochs=60, optimizer="{adam: {learning_rate: 0.01}}")
                values = history["val_loss"]
                epochs, best = early_stopping(values, **rule)
                self.assertEqual(len(values), epochs)
                self.assertLess(epochs, 60, "not stopped: a test of nothing")
                self.assertIn(f"early stopping after epoch {epochs}", said)
                kept = best + 1 if "restore" in options else epochs
                self.assertEqual(self.content("w.safetensors"),
                                 self.content(f"e{kept:02d}.safetensors"))
                self.assertEqual("restore" in options,
                                 f"restored the weights of epoch {best + 1}\n"
                                 in said)

    def test_plateau(self):
        history, said = self.train(
            "plateau", "{reduce_lr_on_plateau: {patience: 1, factor: 0.5, "
            "min_delta: 0.02, cooldown: 1, min_lr: 0.001}}", epochs=30,
            optimizer="{adam: {learning_rate: 0.01}}")
        want = plateau_rates(history["val_loss"], 0.01, 0.5, 1, 0.02, 1, 0.001)
        for got, rate in zip(history["learning_rate"], want, strict=True):
            self.assertAlmostEqual(got / rate, 1, places=6)
        self.assertEqual(said.count("learning rate reduced"),
                         len(set(want)) - 1)
        self.assertAlmostEqual(want[-1], 0.001)

    def test_plateau_changes_the_steps(self):
        # A learning rate of 0 leaves the weights alone.
        for optimizer in ("sgd", "rmsprop", "adam", "nadam", "adadelta"):
            history, _ = self.train(
                "still", "{reduce_lr_on_plateau: {monitor: loss, patience: 0, "
                "factor: 0, min_delta: 1000}}", epochs=4, optimizer=optimizer)
            self.assertEqual(history["learning_rate"][2:], [0, 0], optimizer)
            self.assertEqual(*history["val_loss"][2:], optimizer)
            self.assertNotEqual(*history["val_loss"][:2], optimizer)

    def test_checkpoint_names(self):
        history, _ = self.train(
            "names", "{model_checkpoint: {path: "
            "'{epoch:03d}-{val_loss:.4f}-{accuracy:.2e}.safetensors', "
            "save_best_only: true, monitor: val_accuracy}}", epochs=12)
        want, best = [], -math.inf
        for epoch, value in enumerate(history["val_accuracy"]):
            if value > best:
                best = value
                want.append(f"{epoch + 1:03d}-{history['val_loss'][epoch]:.4f}"
                            f"-{history['accuracy'][epoch]:.2e}.safetensors")
        got = sorted(name for name in os.listdir(self.folder)
                     if name.startswith("0"))
        self.assertEqual(got, want)

    def test_threshold(self):
        history, _ = self.train(
            "threshold", "[{model_checkpoint: {path: '{epoch}.safetensors', "
            "save_best_only: true, initial_value_threshold: 0}}, "
            "{model_checkpoint: 'new/{epoch}/w.safetensors'}]", epochs=2)
        self.assertEqual(len(history["loss"]), 2)
        self.assertFalse(os.path.exists(
            os.path.join(self.folder, "1.safetensors")))
        # Folders are made, as Keras does.
        self.assertEqual(self.content("new/2/w.safetensors"),
                         self.content("w.safetensors"))

    def test_csv_logger(self):
        callbacks = "{csv_logger: {filename: log.csv, separator: ';', " \
                    "append: true}}"
        for _ in range(2):
            history, _ = self.train("log", callbacks, epochs=3)
        lines = self.content("log.csv").decode().splitlines()
        self.assertEqual(lines[0], "epoch;accuracy;loss;val_accuracy;val_loss")
        self.assertEqual(len(lines), 7, "one header, two runs of three epochs")
        self.assertEqual(lines[1:4], lines[4:])
        for epoch, line in enumerate(lines[1:4]):
            self.assertEqual(
                [float(field) for field in line.split(";")],
                [epoch] + [history[name][epoch] for name in
                           ("accuracy", "loss", "val_accuracy", "val_loss")])

    def test_tensorboard(self):
        history, _ = self.train("board", "[{tensorboard: logs/run}, "
                                "{reduce_lr_on_plateau: {patience: 1}}]",
                                epochs=4)
        training = read_events(os.path.join(self.folder, "logs/run/train"))
        validation = read_events(
            os.path.join(self.folder, "logs/run/validation"))
        self.assertEqual(sorted(training), ["epoch_accuracy",
                                            "epoch_learning_rate",
                                            "epoch_loss"])
        self.assertEqual(sorted(validation), ["epoch_accuracy", "epoch_loss"])
        for scalars, prefix in ((training, ""), (validation, "val_")):
            for tag, points in scalars.items():
                values = history[prefix + tag[len("epoch_"):]]
                self.assertEqual([step for step, _ in points], [0, 1, 2, 3])
                for (_, got), want in zip(points, values, strict=True):
                    self.assertAlmostEqual(got, want, places=6)

    def test_terminate_on_nan(self):
        for scale, cause in (
                ("255", "the last update before it had made weights infinite "
                 "or NaN, in the order of the layers: hidden/kernel"),
                ("1/255", "all weights were finite before it, so the "
                 "network's output or the loss overflowed")):
            trainer = e2e.Trainer(SPEC.format(
                callbacks="[terminate_on_nan]", epochs=5,
                optimizer="{sgd: {learning_rate: 1e38}}").replace(
                    "1/255", scale), "nan")
            done = e2e.subprocess.run(
                [trainer.path, "train", "--data", self.data, "--save",
                 e2e.scratch("nan.safetensors")],
                capture_output=True, text=True)
            self.assertEqual(done.returncode, 3)
            self.assertRegex(
                done.stderr, r"^error: training diverged at epoch 1, step 2 of "
                r"10: expected a finite loss, got -?(nan|inf); " + cause)
            self.assertFalse(os.path.exists(e2e.scratch("nan.safetensors")))

    def test_places_that_cannot_be_written(self):
        for callback, message in (
                ("{csv_logger: /proc/no/where.csv}", "/proc/no: cannot make the "
                 "folder"),
                ("{model_checkpoint: /proc/no/where}", "/proc/no: cannot make "
                 "the folder"),
                ("{tensorboard: /dev/null/x}", "/dev/null"),
                ("{csv_logger: /dev/full}", "/dev/full: cannot write: No "
                 "space left on device")):
            with self.subTest(callback):
                with self.assertRaisesRegex(e2e.Failed, message):
                    self.train("unwritable", callback)
        with self.assertRaisesRegex(e2e.Failed, "expected {NAME:FORMAT} in "):
            self.train("unwritable", "{model_checkpoint: '{val_los:.2f}'}")


class Checks(unittest.TestCase):
    """What `sinter check` finds."""

    def refusal(self, callbacks, optimizer="adam", **replaced):
        text = SPEC.format(callbacks=callbacks, epochs=1, optimizer=optimizer)
        for old, new in replaced.items():
            text = text.replace(old + ":", new)
        done = e2e.subprocess.run(
            [e2e.tool("sinter"), "check", e2e.write("bad.yaml", text)],
            capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def test_monitor(self):
        self.assertIn("early_stopping: expected 'monitor' to be a figure of "
                      "the training, got 'val_acuracy'; did you mean "
                      "'val_accuracy'?",
                      self.refusal("{early_stopping: val_acuracy}"))
        self.assertIn("'val_loss' needs validation data",
                      self.refusal("[early_stopping]",
                                   validation_split="#"))

    def test_arguments(self):
        self.assertIn("expected 'mode' to be auto, min or max, got 'maxx'",
                      self.refusal("{early_stopping: {mode: maxx}}"))
        self.assertIn("did you mean 'patience'?",
                      self.refusal("{early_stopping: {patienc: 3}}"))
        self.assertIn("did you mean 'early_stopping'?",
                      self.refusal("[early_stoping]"))
        self.assertIn("missing argument 'path'",
                      self.refusal("[model_checkpoint]"))

    def test_schedule(self):
        self.assertIn(
            "expected a learning rate that is a number, got the schedule "
            "cosine_decay",
            self.refusal("[reduce_lr_on_plateau]",
                         "{sgd: {learning_rate: {cosine_decay: "
                         "{initial_learning_rate: 0.1, decay_steps: 9}}}}"))


if __name__ == "__main__":
    e2e.main()
