#!/usr/bin/env python3
"""fit_polynomials.py - prints the coefficients in VectorMath.cpp.

Problem: a Taylor series wastes terms, and rounding the coefficients of a
minimax polynomial to f32 one by one loses what minimax had won.
Idea: Lawson's iteration (least squares, again and again, with the weight of
each point multiplied by its error) approaches the weighted minimax polynomial.
Then the lowest coefficient is rounded to f32, the others are fitted again with
that one fixed, and so on upwards: each makes up for the rounding of the earlier.
Known weakness: within some percent of minimax; ignores the rounding of the
evaluation itself, which VectorMathTest measures.
"""
import math
import struct
from decimal import Decimal, getcontext

getcontext().prec = 40


def to_f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def solve(matrix, right):
    """Gaussian elimination; the matrix is positive definite."""
    n = len(matrix)
    rows = [row + [value] for row, value in zip(matrix, right)]
    for k in range(n):
        for i in range(k + 1, n):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k])]
    x = [Decimal(0)] * n
    for k in reversed(range(n)):
        x[k] = (rows[k][n] - sum(rows[k][j] * x[j] for j in range(k + 1, n))) / rows[k][k]
    return x


def lawson(values, weights, xs, first, count, iterations=25):
    """c with values ~ sum c[i] x^(first+i): about the least maximum of weight * |error|; and that maximum."""
    powers = [[x ** (first + j) for j in range(count)] for x in xs]
    emphasis = [1.0] * len(xs)
    best = None
    for _ in range(iterations):
        scale = [Decimal(e * w * w) for e, w in zip(emphasis, weights)]
        matrix = [[sum(s * p[i] * p[j] for s, p in zip(scale, powers)) for j in range(count)] for i in range(count)]
        right = [sum(s * p[i] * v for s, p, v in zip(scale, powers, values)) for i in range(count)]
        c = solve(matrix, right)
        errors = [w * abs(float(v - sum(a * b for a, b in zip(c, p))))
                  for w, v, p in zip(weights, values, powers)]
        if best is None or max(errors) < best[1]:
            best = c, max(errors)
        emphasis = [e * d for e, d in zip(emphasis, errors)]
        total = sum(emphasis)
        emphasis = [e / total for e in emphasis]
    return best


def fit(name, f, weight, low, high, count, grid=150):
    xs = [(high + low) / 2 - (high - low) / 2 * math.cos(math.pi * (i + 0.5) / grid) for i in range(grid)]
    weights = [weight(x) for x in xs]
    rest = [Decimal(f(x)) for x in xs]
    xs = [Decimal(x) for x in xs]
    rounded, ideal, error = [], None, None
    for k in range(count):
        c, error = lawson(rest, weights, xs, k, count - k)
        ideal = ideal or error
        rounded.append(to_f32(float(c[0])))
        rest = [v - Decimal(rounded[k]) * x**k for v, x in zip(rest, xs)]
    error = max(w * abs(float(v)) for w, v in zip(weights, rest))
    print(f"{name}: error 2^{math.log2(error):.1f}, before rounding 2^{math.log2(ideal):.1f}")
    print("  {" + ", ".join(f"{v:.9g}f" for v in rounded) + "}")


def series(first, term, x, terms=30):
    """Sum of first, first * term(1) x, ...: quotients that cancel near 0."""
    total = value = first
    for k in range(1, terms):
        value *= term(k) * x
        total += value
    return total


half_ln2 = math.log(2) / 2 * 1.001
# (e^r - 1 - r) / r^2, error relative to e^r - 1
fit("exp", lambda r: series(0.5, lambda k: 1 / (k + 2), r), abs, -half_ln2, half_ln2, 6)


# (ln(1 + f) - f + f^2/2) / f^3, error relative to ln(1 + f)
def log_tail(f):
    if abs(f) > 0.05:
        return (math.log1p(f) - f + f * f / 2) / f**3
    return sum((-f) ** k / (k + 3) for k in range(40))


fit("log", log_tail, lambda f: f * f, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 8)

# erf(sqrt s) / sqrt s - 1, error relative to erf
fit("erf near 0", lambda s: math.erf(math.sqrt(s)) / math.sqrt(s) - 1 if s > 0 else 2 / math.sqrt(math.pi) - 1,
    lambda s: 1 / 1.128, 1e-8, 0.9375**2, 7)
# -ln(1 - erf t) / t, error as it shows in erf t
fit("erf far", lambda t: -math.log(math.erfc(t)) / t, lambda t: t * math.erfc(t), 0.9375, 4.0, 6)

# (sin r - r) / r^3 and (cos r - 1 + r^2/2) / r^4 in s = r^2, error relative to sin r and cos r
quarter = (math.pi / 4 * 1.001) ** 2
fit("sin", lambda s: series(-1 / 6, lambda k: -1 / ((2 * k + 2) * (2 * k + 3)), s), abs, 1e-8, quarter, 3)
fit("cos", lambda s: series(1 / 24, lambda k: -1 / ((2 * k + 3) * (2 * k + 4)), s), lambda s: s * s * 1.42, 1e-8,
    quarter, 3)
