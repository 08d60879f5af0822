"""roofline - a picture per model: its kernels under what the machine can do.

Across: work by traffic (FLOP a byte, each operand and result counted once); up:
GFLOP/s of one thread; both logarithmic. A slope is what the triad got from that
level of memory, the flat roof the FMA peak. A point below the DRAM slope waits
for something else than memory; one above it has its data in a cache. The area of
a point is its part of the step; the largest have a number and a name. SVG by
hand: nothing to install.
"""

import html
import json
import math
import os

from . import models
from .measure import OUT, output, peak as peak_of, pinned, sample

TITLE = "Rooflines"
MODELS = {"fashion_mlp": None, "mnist_dense": None, "sign_cnn": 32,
          "cifar_resnet": None, "resnet18": 8}
COLOURS = {"matmul": "#1f77b4", "weight_gradient": "#d62728",
           "conv": "#17becf", "filter_gradient": "#ff7f0e",
           "sweep": "#2ca02c", "batch_reduce": "#9467bd"}
OTHER = "#7f7f7f"
LEFT, TOP, WIDTH, HEIGHT = 70, 50, 820, 470
LARGEST = 7


def ids():
    return [f"roofline/{name}" for name in MODELS]


def points(program, threads):
    """(name, kind, FLOP a byte, GFLOP/s, part of the step) of kernels that
    compute."""
    info = json.loads(output(program, "info", "--json"))
    timed = json.loads(output(*pinned(threads), program, "benchmark",
                              "--threads", str(threads), "--json"))
    described = info["functions"][timed["function"]]["kernels"]
    total = sum(k["ms"] for k in timed["kernels"])
    result = []
    for work, time in zip(described, timed["kernels"]):
        flops = work["flops_fixed"] + timed["batch"] * work["flops_per_sample"]
        size = work["bytes_fixed"] + timed["batch"] * work["bytes_per_sample"]
        if flops and size and time["ms"] > 2e-4:  # 200 ns: the clock itself
            result.append((work["name"], work["kind"], flops / size,
                           flops / time["ms"] / 1e6, time["ms"] / total))
    return result, timed


def draw(title, kernels, peak):
    low_x, high_x = -2.0, 3.0  # powers of ten
    roof = peak["gflops"]
    high_y = math.ceil(math.log10(roof) * 2) / 2
    low_y = high_y - 3.5  # slower kernels lie on the edge

    def x(value):
        at = (math.log10(value) - low_x) / (high_x - low_x)
        return LEFT + WIDTH * min(max(at, 0), 1)

    def y(value):
        at = (math.log10(value) - low_y) / (high_y - low_y)
        return TOP + HEIGHT * (1 - min(max(at, 0), 1))

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}"'
             f' height="{TOP + HEIGHT + 60}" font-family="sans-serif" '
             'font-size="12"><rect width="100%" height="100%" fill="white"/>']

    def text(at_x, at_y, words, more=""):
        lines.append(f'<text x="{at_x:.1f}" y="{at_y:.1f}" {more}>'
                     f'{html.escape(words)}</text>')

    def line(x1, y1, x2, y2, colour, more=""):
        lines.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" '
                     f'y2="{y2:.1f}" stroke="{colour}" {more}/>')

    text(LEFT, 25, title, 'font-size="16"')
    for power in range(int(low_x), int(high_x) + 1):
        line(x(10 ** power), TOP, x(10 ** power), TOP + HEIGHT, "#ddd")
        text(x(10 ** power), TOP + HEIGHT + 18, f"{10.0 ** power:g}",
             'text-anchor="middle"')
    for power in range(math.ceil(low_y), math.floor(high_y) + 1):
        line(LEFT, y(10 ** power), LEFT + WIDTH, y(10 ** power), "#ddd")
        text(LEFT - 8, y(10 ** power) + 4, f"{10.0 ** power:g}",
             'text-anchor="end"')
    text(LEFT + WIDTH / 2, TOP + HEIGHT + 40, "FLOP a byte",
         'text-anchor="middle"')
    text(18, TOP + HEIGHT / 2, "GFLOP/s", 'text-anchor="middle" transform='
         f'"rotate(-90 18 {TOP + HEIGHT / 2})"')

    line(x(roof / peak["triad"][0]["gbs"]), y(roof), LEFT + WIDTH, y(roof),
         "black", 'stroke-width="2"')
    text(LEFT + WIDTH - 4, y(roof) - 6, f"FMA peak {roof:.0f} GFLOP/s",
         'text-anchor="end"')
    for index, level in enumerate(peak["triad"]):
        speed = level["gbs"]
        start = max(10 ** low_x, 10 ** low_y / speed)
        line(x(start), y(start * speed), x(roof / speed), y(roof), "black",
             'stroke-dasharray="6 3"')
        label = max(start, 10 ** (low_x + 0.15 + 0.1 * index))
        text(x(label), y(label * speed) - 4,
             f"{level['level']} {speed:.0f} GB/s")
    kernels = sorted(kernels, key=lambda k: -k[4])
    for number, (name, kind, intensity, gflops, part) in enumerate(kernels, 1):
        radius = 3 + 25 * math.sqrt(part)
        lines.append(
            f'<circle cx="{x(intensity):.1f}" cy="{y(gflops):.1f}" '
            f'r="{radius:.1f}" fill="{COLOURS.get(kind, OTHER)}" '
            'fill-opacity="0.45" stroke="black" stroke-width="0.5"><title>'
            + html.escape(f"{name} ({kind}): {gflops:.1f} GFLOP/s, "
                          f"{intensity:.2f} FLOP a byte, {100 * part:.1f} % of "
                          "the step") + '</title></circle>')
        if number <= LARGEST and part > 0.03:
            text(x(intensity), y(gflops) + 4, str(number),
                 'text-anchor="middle" font-weight="bold"')
            text(LEFT + WIDTH - 530, TOP + HEIGHT - 16 * (LARGEST - number) - 12,
                 f"{number}  {name[:40]}: {gflops:.0f} GFLOP/s, "
                 f"{100 * part:.0f} %", 'font-size="11"')
    seen = sorted({kernel[1] for kernel in kernels})
    for index, kind in enumerate(seen):
        at = LEFT + WIDTH - 120, TOP + HEIGHT - 16 * (len(seen) - index)
        lines.append(f'<circle cx="{at[0]}" cy="{at[1]}" r="5" '
                     f'fill="{COLOURS.get(kind, OTHER)}" fill-opacity="0.6"/>')
        text(at[0] + 10, at[1] + 4, kind)
    return "\n".join(lines + ["</svg>", ""])


def ceiling(run):
    """The best that one thread reached in this run."""
    all_of_one = [p[1] for p in run.peaks if 1 in p] or [peak_of(1)]
    levels = zip(*(p["triad"] for p in all_of_one))
    return {"gflops": max(p["gflops"] for p in all_of_one),
            "triad": [max(same, key=lambda level: level["gbs"])
                      for same in levels]}


def measure(run, row):
    name = row.split("/")[1]
    why = models.absent(name, run.quick)
    if why:
        run.skip(row, why)
        return
    kernels, timed = points(run.compile(sample(name, MODELS[name])), 1)
    path = os.path.join(OUT, f"roofline-{name}.svg")
    with open(path, "w") as file:
        file.write(draw(f"{name}: {timed['function']}, batch {timed['batch']}, "
                        f"1 thread, {timed['step_ms']:.3f} ms", kernels,
                        ceiling(run)))
    run.pictures.append(os.path.relpath(path, OUT))
