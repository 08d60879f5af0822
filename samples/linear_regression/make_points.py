"""Writes points.csv: 100 points near y = 2.5 x + 0.7 (noise of 0.1)."""

import random

random.seed(7)
with open("points.csv", "w") as file:
    file.write("x,y\n")
    for _ in range(100):
        x = random.uniform(-1, 1)
        file.write(f"{x:.4f},{2.5 * x + 0.7 + random.gauss(0, 0.1):.4f}\n")
