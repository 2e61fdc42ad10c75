"""Products in reduced precision, computed independently: in float64, with bounds of what float32 sums may differ by.

A value is a pair of arrays ``(v, e)``: what a float32 computation gives is within ``e`` of ``v``. Rounding to bfloat16
is monotone, so the rounded value is within the rounded ends of that interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EPS = float(np.finfo(np.float32).eps)
# What the splitting of two numbers into two bfloat16 numbers each, with 8 bits, loses of their product: each operand is
# x1 + x2 up to 2**-16 of it, and the product of the second parts, up to 2**-16, is left out. The rest is smaller.
SPLIT = 3.1 * 2.0**-16
# The smallest layer and batch whose products may be computed in reduced precision.
LEAST_WIDTH, LEAST_WEIGHTS, LEAST_ROWS = 64, 8192, 32


class Value(NamedTuple):
    """Numbers, and how far a computed float32 may be from each."""

    v: Floats
    e: Floats

    @property
    def T(self) -> Value:
        return Value(self.v.T, self.e.T)


def exact(array: NDArray[np.float32]) -> Value:
    v = np.asarray(array, np.float64)
    return Value(v, np.zeros_like(v))


def bfloat16(x: Floats) -> Floats:
    """Rounded to 8 significant bits, ties to even; what float32 has as a denormal number is 0."""
    mantissa, exponent = np.frexp(x)
    return np.where(np.abs(x) < 2.0**-126, 0.0, np.ldexp(np.rint(mantissa * 2.0**8), exponent - 8))


def rounded(x: Value) -> Value:
    v = bfloat16(x.v)
    ends = np.maximum(np.abs(bfloat16(x.v + x.e) - v), np.abs(bfloat16(x.v - x.e) - v))
    return Value(v, ends)


def product(a: Value, b: Value, precision: str) -> Value:
    """a b: "highest", or "medium" or "high" where the shapes allow it."""
    if precision == "medium":
        a, b = rounded(a), rounded(b)
    k = a.v.shape[1]
    terms = (np.abs(a.v) + a.e) @ (np.abs(b.v) + b.e)
    lost = EPS / 2 * (3 * k + 4) + SPLIT if precision == "high" else EPS / 2 * (k + 4)
    return Value(a.v @ b.v, lost * terms + a.e @ np.abs(b.v) + (np.abs(a.v) + a.e) @ b.e)


def dense(x: Value, kernel: Value, bias: Value, relu: bool, precision: str) -> tuple[Value, Value]:
    """The value before the activation, and after it."""
    made = product(x, kernel, precision)
    z = Value(made.v + bias.v, made.e + EPS * (np.abs(made.v) + made.e + np.abs(bias.v)))
    return z, Value(np.maximum(z.v, 0.0), z.e) if relu else z


def of_layer(precision: str, rows: int, width: int, units: int) -> str:
    """The precision of the products of a layer."""
    wide = min(width, units) >= LEAST_WIDTH and width * units >= LEAST_WEIGHTS
    return precision if wide and rows >= LEAST_ROWS else "highest"


def gradients(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    weights: list[NDArray[np.float32]],
    relus: list[bool],
    precision: str,
) -> list[Value]:
    """The gradients of the mean squared error with respect to kernels and biases, in the order of the weights."""
    layers = [(exact(weights[i]), exact(weights[i + 1])) for i in range(0, len(weights), 2)]
    values, before = [exact(x)], []
    used = [of_layer(precision, len(x), *kernel.v.shape) for kernel, _ in layers]
    for (kernel, bias), relu, how in zip(layers, relus, used, strict=True):
        z, value = dense(values[-1], kernel, bias, relu, how)
        before.append(z)
        values.append(value)
    share, out = 2.0 / y.size, values[-1]
    dy = Value(share * (out.v - y), share * (out.e + 4 * EPS * (np.abs(out.v) + out.e + np.abs(y))))
    found: list[Value] = []
    for i in reversed(range(len(layers))):
        if relus[i]:
            z, dead = before[i], np.abs(before[i].v) <= before[i].e
            dz = np.where(z.v > 0, dy.v, 0.0)
            dy = Value(dz, np.where(dead, np.abs(dy.v) + dy.e, np.where(z.v > 0, dy.e, 0.0)))
        sums = Value(dy.v.sum(0), dy.e.sum(0) + EPS * (len(x) + 4) * (np.abs(dy.v) + dy.e).sum(0))
        found = [product(values[i].T, dy, used[i]), sums, *found]
        if i:
            dy = product(dy, layers[i][0].T, used[i])
    return found
