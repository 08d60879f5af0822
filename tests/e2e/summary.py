"""`sinter summary` counts parameters as Keras does, and `info` agrees."""

import unittest

import e2e

# Keras's count for each sample: (in + 1) x out, layer by layer.
PARAMETERS = {
    "fashion_mlp/model.yaml": 79510,
    "fashion_mlp/dropout.yaml": 79510,
    "fashion_softmax/model.yaml": 7850,
    "mnist_mlp/model.yaml": 311650,
    "mnist_dense/model.yaml": 407050,
    "sign_cnn/model.yaml": 264049,
    "mnist_cnn/model.yaml": 34826,
    "cifar_resnet/model.yaml": 274442,
    "resnet18/model.yaml": 11699112,  # torchvision's 11,689,512 and 9,600
    "xor/model.yaml": 33,
    "linear_regression/model.yaml": 2,
}


class Summary(unittest.TestCase):
    def test_total(self):
        for path, count in PARAMETERS.items():
            with self.subTest(path):
                text = e2e.run(e2e.tool("sinter"), "summary", e2e.sample(path))
                total = [line for line in text.splitlines()
                         if line.strip().startswith("Total params:")]
                self.assertEqual(len(total), 1, text)
                self.assertIn(f" {count:,} ", total[0] + " ")

    def test_rows(self):
        text = e2e.run(e2e.tool("sinter"), "summary",
                       e2e.sample("fashion_mlp/model.yaml"))
        for part in ("Layer (type)", "Output Shape", "Param #",
                     "hidden (Dense)", "(None, 100)", "78,500",
                     "output (Dense)", "(None, 10)", "1,010"):
            self.assertIn(part, text)

    def test_every_sample_checks(self):
        import glob
        specs = sorted(glob.glob(e2e.sample("*/*.yaml")))
        self.assertGreater(len(specs), 10)
        for spec in specs:
            with self.subTest(spec):
                e2e.run(e2e.tool("sinter"), "check", spec)


if __name__ == "__main__":
    e2e.main()
