"""A run that is killed and resumed ends in the same bits as one left alone.

Kills with SIGKILL at random moments, again and again, until a run gets through;
then compares weights, history (but for the seconds), the csv log and the best
weights with those of an undisturbed run. After each kill the checkpoint has to
be whole. Callbacks with memory (patience, learning rate, best weights) take
part, and so do dropout, whose position in the random stream must survive, and
batch normalisation, which sums about the mean of the batch before.

    tests/e2e/resume.py --kills 50        more kills than the default
"""

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
import unittest

import e2e

KILLS = 6
if "--kills" in sys.argv:
    at = sys.argv.index("--kills")
    KILLS = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]

SPEC = """
model: resume
input: {shape: [28, 28], scale: 1/255}
layers:
  - flatten
  - dense: {units: 40, activation: relu}
  - batch_normalization
  - dropout: 0.3
  - dense: {units: 10, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: {adam: {learning_rate: 0.01}}
metrics: [accuracy]
data:
  train: {images: images.npy, labels: labels.npy}
  validation_split: 0.2
train: {epochs: 8, batch_size: 16, seed: 7}
callbacks:
  - early_stopping: {patience: 3, restore_best_weights: true}
  - reduce_lr_on_plateau: {patience: 1, factor: 0.5}
  - csv_logger: log.csv
  - model_checkpoint: {path: best.safetensors, save_best_only: true}
  - tensorboard: tb
"""
SAMPLES = 3000


def content(path):
    with open(path, "rb") as file:
        return file.read()


def check_whole(path):
    """The file is what its header says."""
    data = content(path)
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    ends = [entry["data_offsets"][1] for name, entry in header.items()
            if name != "__metadata__"]
    assert 8 + size + max(ends) == len(data), path
    return header


def event_steps(folder):
    """The steps of all records in a folder of TensorBoard's files."""
    steps = []
    for name in sorted(os.listdir(folder)):
        data = content(os.path.join(folder, name))
        while data:
            size, = struct.unpack("<Q", data[:8])
            record, data = data[12:12 + size], data[16 + size:]
            assert len(record) == size, name
            if record[9] == 0x10:  # step, small
                steps.append(record[10])
    return steps


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data, _, _ = e2e.fashion_subset(SAMPLES)
        cls.trainer = e2e.Trainer(SPEC)
        begin = time.time()
        cls.want = cls.results(cls.start("undisturbed"))
        cls.seconds = time.time() - begin

    @classmethod
    def start(cls, name, *flags, **options):
        """A trainer that runs in a folder of its own."""
        folder = e2e.scratch(name)
        os.makedirs(folder, exist_ok=True)
        process = subprocess.Popen(
            [cls.trainer.path, "train", "--data", cls.data, "--threads", "1",
             "--save", "w.safetensors", "--history", "h.json", *flags],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, **options)
        process.folder = folder
        return process

    @staticmethod
    def results(process):
        """What a run that came to its end left."""
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        def path(name):
            return os.path.join(process.folder, name)
        history = json.loads(content(path("h.json")))["history"]
        del history["epoch_seconds"]
        return {"weights": content(path("w.safetensors")), "history": history,
                "log": content(path("log.csv")),
                "best": content(path("best.safetensors")),
                "events": event_steps(path("tb/train")) +
                          event_steps(path("tb/validation"))}

    def compare(self, got):
        for key, want in self.want.items():
            self.assertEqual(got[key], want, key)

    def test_kills(self):
        chance = random.Random(1)
        kills = ends = 0
        middles = set()
        while kills < KILLS or ends == 0:
            name = f"killed-{ends}"
            process = self.start(name, "--checkpoint-dir", "c", "--resume",
                                 "--checkpoint-every", "10")
            # Once enough is killed, the last run may come to its end.
            if kills < KILLS:
                try:
                    process.wait(chance.uniform(0.01, self.seconds / 2))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
            if process.returncode == -signal.SIGKILL:
                kills += 1
                file = os.path.join(process.folder, "c/checkpoint.safetensors")
                if os.path.exists(file):
                    header = check_whole(file)
                    notes = header["__metadata__"]
                    middles.add((int(notes["epoch"]), int(notes["step"])))
                    self.assertIn("batch_normalization/moving_mean/lag", header)
                continue
            self.compare(self.results(process))
            self.assertEqual(os.listdir(os.path.join(process.folder, "c")),
                             ["checkpoint.safetensors"])
            ends += 1
        print(f"{kills} kills, {ends} runs to the end, checkpoints at "
              f"(epoch, step) {sorted(middles)}")

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            name = f"signal-{number}"
            process = self.start(name, "--checkpoint-dir", "c")
            for line in process.stdout:
                if line.startswith("epoch 1/"):
                    process.send_signal(number)
                    break
            said, _ = process.communicate(timeout=300)
            self.assertEqual(process.returncode, 3, said)
            self.assertRegex(said, f"interrupted by {number.name} in epoch "
                             r"\d after step \d+ of 150; saved "
                             "c/checkpoint.safetensors, from which --resume")
            # Other thread counts make the same bits, too.
            process = self.start(name, "--checkpoint-dir", "c", "--resume",
                                 "--threads", "2")
            self.compare(self.results(process))

    def test_signal_without_checkpoint(self):
        process = self.start("unsaved")
        for line in process.stdout:
            if line.startswith("epoch 1/"):
                process.send_signal(signal.SIGTERM)
                break
        said, _ = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 3)
        self.assertIn("; nothing was saved", said)

    def test_longer(self):
        # More epochs than before: as if they had been asked for at once.
        first = self.start("longer", "--checkpoint-dir", "c", "--epochs", "2")
        first.communicate()
        self.assertEqual(first.returncode, 0)
        self.compare(self.results(
            self.start("longer", "--checkpoint-dir", "c", "--resume")))
        # And once more: nothing is left to do.
        again = self.start("longer", "--checkpoint-dir", "c", "--resume")
        self.compare(self.results(again))

    def test_refusals(self):
        def refused(status, *flags, folder="refused", data=None):
            extra = ["--data", data] if data else []
            process = self.start(folder, "--checkpoint-dir", "c", "--resume",
                                 *flags, *extra)
            said, _ = process.communicate()
            self.assertEqual(process.returncode, status, said)
            return said

        said = refused(0, "--epochs", "2")
        self.assertIn("no checkpoint in c: starting from the beginning", said)
        self.assertIn("expected a checkpoint of the same run: the seed was 7, "
                      "now it is 8", refused(1, "--seed", "8"))
        self.assertIn("the batch size was 16, now it is 8",
                      refused(1, "--batch-size", "8"))
        self.assertIn("shuffling was on, now it is off",
                      refused(1, "--no-shuffle"))
        self.assertIn("got 'val_loss'; this run has no validation data",
                      refused(1, "--no-validation"))
        self.assertIn("--epochs: expected at least 2",
                      refused(2, "--epochs", "1"))
        other, _, _ = e2e.fashion_subset(SAMPLES - 1, "other")
        self.assertIn("the number of training samples was 2400",
                      refused(1, data=other))
        source = os.path.join(self.data, "images.npy")
        changed = bytearray(content(source))
        changed[-1] ^= 1
        with open(os.path.join(other, "images.npy"), "wb") as file:
            file.write(changed)
        with open(os.path.join(other, "labels.npy"), "wb") as file:
            file.write(content(os.path.join(self.data, "labels.npy")))
        self.assertIn("the checksum of the data was", refused(1, data=other))

        # Broken files are refused, too, and say what is wrong.
        file = e2e.scratch("refused/c/checkpoint.safetensors")
        whole = content(file)
        for broken in (b"", whole[:100], whole[:-1], whole + b"x"):
            with open(file, "wb") as output:
                output.write(broken)
            self.assertIn("checkpoint.safetensors: ", refused(1))
        with open(file, "wb") as output:
            output.write(content(e2e.scratch("undisturbed/w.safetensors")))
        self.assertIn("expected a checkpoint of version 1, got another file",
                      refused(1))

    def test_another_model(self):
        first = self.start("another", "--checkpoint-dir", "c", "--epochs", "1")
        first.communicate()
        other = e2e.Trainer(SPEC.replace("0.01}", "0.02}"), "other-model")
        folder = e2e.scratch("another")
        done = subprocess.run(
            [other.path, "train", "--data", self.data, "--checkpoint-dir", "c",
             "--resume"], cwd=folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the checksum of the spec was", done.stderr)

    def test_two_runs_in_one_folder(self):
        first = self.start("two", "--checkpoint-dir", "c", "--epochs", "100000")
        for line in first.stdout:
            if line.startswith("epoch 1/"):
                break
        second = self.start("two", "--checkpoint-dir", "c")
        said, _ = second.communicate()
        first.kill()
        first.communicate()
        self.assertEqual(second.returncode, 3)
        self.assertIn("expected a folder that no other run uses", said)


if __name__ == "__main__":
    e2e.main()
