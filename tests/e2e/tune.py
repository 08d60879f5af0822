"""`sinter compile --tune` writes a file that later compilations read.

The file fits: no warnings, and the same program, byte by byte, as --tune made.
What is measured is another matter: machines that run tests are no place to
compare times.
"""

import os
import re
import subprocess
import unittest

import e2e

SPEC = """
model: tuned
input: {shape: [10, 10, 3]}
layers:
  - conv2d: {filters: 8, kernel_size: 3, padding: same, activation: relu}
  - max_pooling2d: 2
  - flatten
  - dense: {units: 20, activation: relu}
  - dense: {units: 3, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: adam
data: {train: {npz: data.npz, x: x, y: y}}
train: {batch_size: 32}
"""

# States that its convolutions derive are of other sizes with other algorithms,
# some larger than all others together.
LARGE = """
model: large
input: {shape: [7, 7, 256]}
layers:
  - conv2d: {filters: 512, kernel_size: 3, padding: same, activation: relu}
  - conv2d: {filters: 256, kernel_size: 3, padding: same}
  - flatten
  - dense: {units: 3, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: sgd
data: {train: {synthetic: 8}}
train: {batch_size: 8}
"""


def contents(path):
    with open(path, "rb") as file:
        return file.read()


class Tune(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.spec = e2e.scratch("tuned.yaml")
        with open(cls.spec, "w", encoding="utf-8") as file:
            file.write(SPEC)
        cls.file = cls.spec.replace(".yaml", ".tuning")
        cls.first = e2e.scratch("first")
        cls.temporary = e2e.scratch("temporary")
        os.mkdir(cls.temporary)
        cls.table = e2e.run(e2e.tool("sinter"), "compile", cls.spec, "--tune",
                            "--tune-seconds", 2, "-o", cls.first,
                            env={"TMPDIR": cls.temporary})

    def compile(self, output, *flags):
        """Compiles; returns what it warned of."""
        done = subprocess.run(
            [e2e.tool("sinter"), "compile", self.spec, "-o", output, *flags],
            text=True, stderr=subprocess.PIPE, check=True)
        return done.stderr

    def test_states_of_algorithms(self):
        spec = e2e.scratch("large.yaml")
        with open(spec, "w", encoding="utf-8") as file:
            file.write(LARGE)
        table = e2e.run(e2e.tool("sinter"), "compile", spec, "--tune",
                        "--tune-seconds", 2, "-o", e2e.scratch("large"))
        self.assertIn("convolution 7x7x256 to 7x7x512", table)
        self.assertIn("convolution 7x7x512 to 7x7x256", table)

    def test_table(self):
        rows = re.findall(r"^(.+?) +([\d.]+|-) +([\d.]+)[* ] (\w+ .*)$",
                          self.table, re.M)
        kernels = {row[0] for row in rows}
        self.assertIn("convolution 10x10x3 to 10x10x8 padding=1,1,1,1 N=32",
                      kernels)
        self.assertIn("matmul 200xN 200x20 N=32", kernels)
        self.assertIn("matmul 200xN Nx20 transpose_a N=32", kernels)
        for _, _, best, choice in rows:
            self.assertRegex(choice, r"^\w+ \w+(, \w+ \w+)*$")
            self.assertGreaterEqual(float(best), 0)
        self.assertIn("all of train_step", self.table)

    def test_file(self):
        lines = contents(self.file).decode().splitlines()
        lines = [line for line in lines if not line.startswith("#")]
        self.assertEqual(lines[0], "tuning: 1")
        self.assertRegex(lines[1], r"^compiler: sinter [\d.]+$")
        self.assertRegex(lines[2], r"^target_cpu: \S+$")
        self.assertEqual(lines[3], "kernels:")
        kernels = lines[4:]
        self.assertEqual(kernels, sorted(kernels))
        for line in kernels:
            self.assertRegex(line, r"^  \w.*: \{\w+: \w+(, \w+: \w+)*\}$")

    def test_read_again(self):
        second, third = e2e.scratch("second"), e2e.scratch("third")
        self.assertEqual(self.compile(second), "", "found beside the spec")
        self.assertEqual(contents(self.first), contents(second))
        moved = e2e.scratch("moved.tuning")
        with open(moved, "wb") as file:
            file.write(contents(self.file))
        self.assertEqual(self.compile(third, "--tuning", moved), "")
        self.assertEqual(contents(self.first), contents(third))

    def test_nothing_left(self):
        self.assertEqual(os.listdir(self.temporary), [])


if __name__ == "__main__":
    e2e.main()
