"""The samples whose right answer is known: a fitted line, and XOR."""

import csv
import unittest

import e2e


def least_squares(path):
    """(slope, intercept, mean squared error) of the best line."""
    with open(path) as file:
        points = [(float(row["x"]), float(row["y"]))
                  for row in csv.DictReader(file)]
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    slope = (sum((x - mean_x) * (y - mean_y) for x, y in points)
             / sum((x - mean_x) ** 2 for x, _ in points))
    intercept = mean_y - slope * mean_x
    error = sum((slope * x + intercept - y) ** 2 for x, y in points) / n
    return slope, intercept, error


class LinearRegression(unittest.TestCase):
    def test_finds_the_best_line(self):
        trainer = e2e.Trainer(e2e.sample("linear_regression/model.yaml"))
        weights = e2e.scratch("line.safetensors")
        history = trainer.train(e2e.sample("linear_regression"), save=weights)
        slope, intercept, error = least_squares(
            e2e.sample("linear_regression/points.csv"))
        saved = e2e.read_safetensors(weights)
        self.assertAlmostEqual(saved["line/kernel"][1][0], slope, places=4)
        self.assertAlmostEqual(saved["line/bias"][1][0], intercept, places=4)
        self.assertAlmostEqual(history["loss"][-1], error, places=5)
        # Full-batch gradient descent with a safe step never climbs.
        for before, after in zip(history["loss"], history["loss"][1:]):
            self.assertLessEqual(after, before + 1e-7)


class Xor(unittest.TestCase):
    def train(self, name, seed):
        trainer = e2e.Trainer(e2e.sample(f"xor/{name}.yaml"))
        history = trainer.train(e2e.sample("xor"), "--seed", seed)
        return history["loss"][-1], history["accuracy"][-1]

    def test_a_line_fails(self):
        for seed in (1, 2, 42):
            loss, accuracy = self.train("linear", seed)
            # The best a line can do: 0.5 everywhere, a loss of ln 2.
            self.assertGreater(loss, 0.6931)
            self.assertLessEqual(accuracy, 0.75)

    def test_a_hidden_layer_works(self):
        for seed in (1, 2, 42):
            loss, accuracy = self.train("model", seed)
            self.assertLess(loss, 0.05)
            self.assertEqual(accuracy, 1.0)


if __name__ == "__main__":
    e2e.main()
