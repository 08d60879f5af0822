"""Networks of images learn from real images, and a notebook runs in its order.

Few epochs of each sample: enough to tell a network that learns from one that
does not. The tutorials' figures take minutes; samples' READMEs have them.
"""

import os
import re
import unittest

import e2e


class SignCnn(unittest.TestCase):
    def test_letters(self):
        data = e2e.data_dir("sign-mnist")
        trainer = e2e.Trainer(e2e.sample("sign_cnn/model.yaml"))
        weights = e2e.scratch("sign.safetensors")
        history = trainer.train(data, "--epochs", 2, "--no-validation",
                                threads=2, save=weights)
        self.assertGreater(history["accuracy"][0], 0.75)
        self.assertGreater(history["accuracy"][1], 0.98)
        # Labels travel with the weights: 24 classes, without 9.
        result = trainer.evaluate(data, weights, "--confusion")
        labels = [str(n) for n in range(25) if n != 9]
        self.assertEqual(result["confusion"]["labels"], labels)


class MnistCnn(unittest.TestCase):
    def test_digits(self):
        data = e2e.data_dir("mnist")
        trainer = e2e.Trainer(e2e.sample("mnist_cnn/model.yaml"))
        history = trainer.train(data, "--epochs", 1, threads=2)
        self.assertGreater(history["val_accuracy"][0], 0.96)


class FashionCourse(unittest.TestCase):
    def test_course(self):
        e2e.data_dir("fashion-mnist")
        said = e2e.run(e2e.sample("fashion_course/course"),
                       e2e.scratch("course"),
                       env={"SINTER": e2e.tool("sinter")})
        mean = re.search(r"^accuracy ([0-9.]+) \u00b1", said, re.M)
        self.assertGreater(float(mean.group(1)), 0.8436)
        self.assertIn("early stopping after epoch", said)
        self.assertRegex(said, r"restored the weights of epoch \d+")
        self.assertIn("ankle boot, pullover, trousers, trousers, shirt", said)
        for page in ("overfit", "dropout", "early"):
            path = e2e.scratch(os.path.join("course", page + ".html"))
            self.assertTrue(os.path.getsize(path) > 10000, page)


if __name__ == "__main__":
    e2e.main()
