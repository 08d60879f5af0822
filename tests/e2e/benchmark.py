"""`benchmark` is a profile: every kernel in order, and figures that fit.

Times differ from run to run, so what is checked holds for any of them.
"""

import json
import unittest

import e2e

SPEC = """
model: profiled
input: {shape: [12, 12, 3], scale: 1/255}
layers:
  - conv2d: {filters: 16, kernel_size: 3, activation: relu, name: first}
  - flatten
  - dense: {units: 10, activation: softmax, name: output}
loss: sparse_categorical_crossentropy
optimizer: adam
metrics: [accuracy]
data: {train: {synthetic: 64}}
train: {batch_size: 16}
"""
COUNTERS = ("cycles", "instructions", "cache_misses")


class Benchmark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.trainer = e2e.Trainer(SPEC, "profiled")

    def profile(self, *flags):
        return json.loads(e2e.run(self.trainer.path, "benchmark", "--json",
                                  *flags))

    def check(self, profile, function, batch, threads):
        self.assertEqual(profile["function"], function)
        self.assertEqual(profile["batch"], batch)
        self.assertEqual(profile["threads"], threads)
        self.assertEqual(list(profile["triad_gbps"])[-1], "DRAM")
        for key in ("step_ms", "kernels_ms", "gather_ms", "peak_gflops"):
            self.assertGreater(profile[key], 0, key)
        described = self.trainer.info()["functions"][function]["kernels"]
        kernels = profile["kernels"]
        self.assertEqual([k["name"] for k in kernels],
                         [k["name"] for k in described])
        total = 0
        for kernel, row in zip(kernels, described):
            with self.subTest(kernel["name"]):
                self.assertEqual(kernel["layer"], row["name"].split(": ")[0])
                self.assertEqual(kernel["threads"],
                                 min(threads, row["tasks"]))
                for unit in ("flops", "bytes"):
                    self.assertEqual(
                        kernel[unit], row[unit + "_fixed"]
                        + batch * row[unit + "_per_sample"])
                seconds = kernel["ms"] / 1e3
                total += kernel["ms"]
                self.assertGreater(seconds, 0)
                self.assertAlmostEqual(kernel["gflops"] * seconds * 1e9,
                                       kernel["flops"],
                                       delta=kernel["flops"] * 0.05 + 1)
                self.assertAlmostEqual(kernel["gbps"] * seconds * 1e9,
                                       kernel["bytes"],
                                       delta=kernel["bytes"] * 0.05 + 1)
                # Neither arithmetic nor bytes alone make a higher roof.
                if kernel["threads"] == threads:
                    self.assertGreaterEqual(kernel["roof_percent"],
                                            0.99 * kernel["percent_of_peak"])
                self.assertIn(kernel["memory"], profile["triad_gbps"])
                missing = [c for c in COUNTERS if c not in kernel]
                self.assertEqual(bool(missing), "not_counted" in profile)
        self.assertAlmostEqual(total, profile["kernels_ms"],
                               delta=0.01 * total)

    def test_train_step(self):
        self.check(self.profile("--threads", 1), "train_step", 16, 1)

    def test_other_functions(self):
        for function, batch in (("eval_step", 16), ("predict", 3)):
            profile = self.profile("--function", function, "--threads", 2,
                                   "--batch-size", batch, "--repeat", 4)
            self.assertEqual(profile["rounds"], 4)
            self.check(profile, function, batch, 2)

    def test_table(self):
        text = e2e.run(self.trainer.path, "benchmark", "--repeat", 2)
        self.assertRegex(text, r"(?m)^train_step, batch 16, \d+ threads?: ")
        self.assertRegex(text, r"(?m)^ +ms thr +GFLOP/s +% peak +GB/s +% roof")
        self.assertRegex(text, r"(?m)  first: conv2d.*$")
        self.assertRegex(text, r"\nstep [\d.]+ ms; sum of \d+ kernels ")
        self.assertLessEqual(text.count("not counted by the processor"), 1)

    def test_batch_beyond_the_bound(self):
        with self.assertRaisesRegex(e2e.Failed, "expected 1 to 16"):
            self.profile("--batch-size", 17)


if __name__ == "__main__":
    e2e.main()
