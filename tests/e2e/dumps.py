"""Every stage prints, reads back, and prints the same again.

What `sinter dump` shows up to `planned` is complete IR: sinter-opt parses and
verifies it, and its own output is a fixed point. Big constants are elided, so
that a dump stays readable.
"""

import unittest

import e2e

SPECS = ["fashion_mlp/model.yaml", "fashion_mlp/dropout.yaml",
         "fashion_mlp/nesterov.yaml", "mnist_mlp/model.yaml", "xor/model.yaml",
         "linear_regression/model.yaml"]
ROUND_TRIP = ["graph", "train", "fused", "planned"]


def dump(path, stage, *flags):
    return e2e.run(e2e.tool("sinter"), "dump", e2e.sample(path), "--stage",
                   stage, *flags)


def opt(text):
    return e2e.run(e2e.tool("sinter-opt"), "-", stdin=text)


def without_comments(text):
    lines = (line.split(" //")[0].rstrip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("//")]


class Dumps(unittest.TestCase):
    def test_round_trip(self):
        for path in SPECS:
            for stage in ROUND_TRIP:
                with self.subTest(path=path, stage=stage):
                    text = dump(path, stage)
                    again = opt(text)
                    self.assertEqual(again, opt(again))
                    self.assertEqual(without_comments(text),
                                     without_comments(again))

    def test_readable(self):
        for stage in ROUND_TRIP:
            text = dump("mnist_mlp/model.yaml", stage)
            self.assertLess(len(text), 100_000, stage)
            self.assertNotIn('dense<"0x', text, stage)
            self.assertLess(max(map(len, text.splitlines())), 2000, stage)

    def test_contents(self):
        path = "fashion_mlp/model.yaml"
        for stage, parts in {
                "graph": ["sinter.model", "@forward"],
                "train": ["@predict", "@eval_step", "@train_step"],
                "fused": ["sinter.kernel"],
                "planned": ["sinter.kernel"],
                "loops": ["vector", "memref"],
                "llvm": ["define ", "sinter_parallel_for"],
                "asm": [".text", "ret"]}.items():
            text = dump(path, stage)
            for part in parts:
                self.assertIn(part, text, stage)

    def test_one_layer(self):
        text = dump("fashion_mlp/model.yaml", "graph", "--layer", "output")
        self.assertIn("output", text)
        self.assertNotIn("hidden", text.replace("hidden/", ""))

    def test_unknown_stage(self):
        done = e2e.run(e2e.tool("sinter"), "dump",
                       e2e.sample("xor/model.yaml"), "--stage", "graf",
                       status=2)
        self.assertNotIn("sinter.model", done)


if __name__ == "__main__":
    e2e.main()
