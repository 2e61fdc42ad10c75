"""Activations: the function, its derivative, and how exactly float32 can have it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LEAKY_RELU_SLOPE = 0.2
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


class Activation(NamedTuple):
    """A function of each element and its derivative, both of the value before it, z."""

    of: Callable[[Any], Any]
    derivative: Callable[[Any], Any]
    # Units in the last place of the result, with the one rounding that the result itself needs.
    ulps: float
    # Whether the tail below zero is a difference of numbers near z, where an absolute error of a last place counts.
    cancels: bool = False
    # The argument of the exponential that the tail is, where it is computed with errors of its own: each of its ulps
    # is as many of the result as the argument is large.
    exponent: Callable[[Any], Any] = np.zeros_like


def sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


def _normal_cdf(z):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in np.ravel(z)]).reshape(np.shape(z))


def _normal_pdf(z):
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def _mish(z):
    return z * np.tanh(np.logaddexp(0.0, z))


def _mish_derivative(z):
    bounded = np.tanh(np.logaddexp(0.0, z))
    return bounded + z * sigmoid(z) * (1.0 - bounded**2)


def _float32_exp(z):
    """The exponential, infinite where float32 is."""
    return np.where(z > 88.72284, np.inf, np.exp(np.minimum(z, 88.72284)))


def _z_minus_tanh(z):
    """Its series near 0, where the difference cancels."""
    near = np.clip(z, -0.1, 0.1)
    series = near**3 / 3.0 - 2.0 * near**5 / 15.0 + 17.0 * near**7 / 315.0 - 62.0 * near**9 / 2835.0
    return np.where(abs(z) < 0.1, series + 1382.0 * near**11 / 155925.0, z - np.tanh(z))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True)) if z.size else z
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(z):
    if not z.size:
        return z
    top = z.max(axis=-1, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(axis=-1, keepdims=True))


def sparsemax(z):
    """By sorting: the support is the longest run of largest entries whose smallest is above their threshold."""
    if not z.size:
        return z
    ordered = -np.sort(-z, axis=-1)
    excess = np.cumsum(ordered, axis=-1) - 1.0
    counts = np.arange(1, z.shape[-1] + 1)
    support = (ordered * counts > excess).sum(axis=-1, keepdims=True)
    return np.maximum(0.0, z - np.take_along_axis(excess, support - 1, axis=-1) / support)


def softmax_backward(y, dy):
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def log_softmax_backward(y, dy):
    return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)


def sparsemax_backward(y, dy):
    if not y.size:
        return dy
    support = y > 0.0
    return np.where(support, dy - (dy * support).sum(axis=-1, keepdims=True) / support.sum(axis=-1, keepdims=True), 0.0)


def _squareplus(z, b=4.0):
    r = np.hypot(z, math.sqrt(b))
    return np.where(z < 0.0, b / (2.0 * (r + abs(z))), 0.5 * z + 0.5 * r)


def _gelu_tanh_exponent(z):
    return 2.0 * math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)


def _gelu_tanh(z):
    return z * sigmoid(_gelu_tanh_exponent(z))


def _gelu_tanh_derivative(z):
    c = 2.0 * math.sqrt(2.0 / math.pi)
    z = np.clip(z, -1e3, 1e3)
    s = sigmoid(_gelu_tanh_exponent(z))
    return s + z * s * (1.0 - s) * c * (1.0 + 3.0 * 0.044715 * z * z)


# The rows. Those that are not element by element stand apart.
ELEMENTWISE = {
    "linear": Activation(lambda z: z, lambda z: np.ones_like(z), ulps=0.0),
    "relu": Activation(lambda z: np.maximum(z, 0.0), lambda z: np.where(z > 0.0, 1.0, 0.0), ulps=0.0),
    "leaky_relu": Activation(
        lambda z: np.where(z > 0.0, z, LEAKY_RELU_SLOPE * z),
        lambda z: np.where(z > 0.0, 1.0, LEAKY_RELU_SLOPE),
        ulps=1.0,
    ),
    "elu": Activation(
        lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))),
        lambda z: np.where(z > 0.0, 1.0, np.exp(np.minimum(z, 0.0))),
        ulps=4.0,
    ),
    "gelu": Activation(
        lambda z: z * _normal_cdf(z), lambda z: _normal_cdf(z) + z * _normal_pdf(z), ulps=8.0, cancels=True
    ),
    "silu": Activation(
        lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1.0 + z * sigmoid(-z)), ulps=8.0, cancels=True
    ),
    "tanh": Activation(np.tanh, lambda z: 1.0 - np.tanh(z) ** 2, ulps=4.0),
    "sigmoid": Activation(sigmoid, lambda z: sigmoid(z) * sigmoid(-z), ulps=4.0),
    "mish": Activation(_mish, _mish_derivative, ulps=8.0, cancels=True),
    "selu": Activation(
        lambda z: SELU_SCALE * np.where(z > 0.0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0.0))),
        lambda z: SELU_SCALE * np.where(z > 0.0, 1.0, SELU_ALPHA * np.exp(np.minimum(z, 0.0))),
        ulps=4.0,
    ),
    "softplus": Activation(lambda z: np.logaddexp(0.0, z), sigmoid, ulps=4.0),
    "relu6": Activation(
        lambda z: np.clip(z, 0.0, 6.0), lambda z: np.where((z > 0.0) & (z < 6.0), 1.0, 0.0), ulps=0.0
    ),
    "celu": Activation(
        lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))),
        lambda z: np.where(z > 0.0, 1.0, np.exp(np.minimum(z, 0.0))),
        ulps=4.0,
    ),
    "softsign": Activation(lambda z: z / (1.0 + abs(z)), lambda z: (1.0 + abs(z)) ** -2.0, ulps=2.0),
    "exponential": Activation(lambda z: _float32_exp(z), lambda z: _float32_exp(z), ulps=4.0),
    "hard_sigmoid": Activation(
        lambda z: np.clip(z + 3.0, 0.0, 6.0) / 6.0,
        lambda z: np.where(abs(z) < 3.0, 1.0 / 6.0, 0.0),
        ulps=2.0,
        cancels=True,
    ),
    "hard_silu": Activation(
        lambda z: z * (np.clip(z + 3.0, 0.0, 6.0) / 6.0),
        lambda z: np.where(z >= 3.0, 1.0, np.where(z > -3.0, z / 3.0 + 0.5, 0.0)),
        ulps=4.0,
        cancels=True,
    ),
    "hard_tanh": Activation(
        lambda z: np.clip(z, -1.0, 1.0), lambda z: np.where(abs(z) < 1.0, 1.0, 0.0), ulps=0.0
    ),
    "log_sigmoid": Activation(lambda z: -np.logaddexp(0.0, -z), lambda z: sigmoid(-z), ulps=4.0),
    "squareplus": Activation(
        _squareplus, lambda z: _squareplus(z) / np.hypot(z, 2.0), ulps=6.0
    ),
    # Above 0.55 the difference is a tenth of its operands.
    "tanh_shrink": Activation(lambda z: _z_minus_tanh(z), lambda z: np.tanh(z) ** 2, ulps=16.0),
    "soft_shrink": Activation(
        lambda z: np.where(abs(z) <= 0.5, 0.0, z - 0.5 * np.sign(z)),
        lambda z: np.where(abs(z) <= 0.5, 0.0, 1.0),
        ulps=1.0,
    ),
    "hard_shrink": Activation(
        lambda z: np.where(abs(z) <= 0.5, 0.0, z), lambda z: np.where(abs(z) <= 0.5, 0.0, 1.0), ulps=0.0
    ),
    "gelu_tanh": Activation(
        _gelu_tanh, _gelu_tanh_derivative, ulps=8.0, cancels=True, exponent=_gelu_tanh_exponent
    ),
    "sparse_plus": Activation(
        lambda z: np.where(z >= 1.0, z, 0.25 * (np.maximum(z, -1.0) + 1.0) ** 2),
        lambda z: np.clip(0.5 * z + 0.5, 0.0, 1.0),
        ulps=4.0,
        cancels=True,
    ),
    "sparse_sigmoid": Activation(
        lambda z: np.clip(0.5 * z + 0.5, 0.0, 1.0), lambda z: np.where(abs(z) < 1.0, 0.5, 0.0), ulps=2.0, cancels=True
    ),
}
def _rectifier(z, slope, limit, threshold):
    return np.where(z > threshold, np.minimum(limit, z), slope * (z - threshold))


# With other than default parameters: the JSON form, and the formula.
PARAMETRISED = {
    "relu(2, 0.1, 0.5)": (
        {"type": "relu", "negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5},
        Activation(
            lambda z: _rectifier(z, 0.1, 2.0, 0.5),
            lambda z: np.where(z > 0.5, np.where(z < 2.0, 1.0, 0.0), 0.1),
            ulps=2.0,
            cancels=True,
        ),
    ),
    "relu(6)": (
        {"type": "relu", "negative_slope": 0.0, "max_value": 6.0, "threshold": 0.0},
        ELEMENTWISE["relu6"],
    ),
    "leaky_relu(0.1)": (
        {"type": "leaky_relu", "negative_slope": 0.1},
        Activation(lambda z: np.where(z > 0.0, z, 0.1 * z), lambda z: np.where(z > 0.0, 1.0, 0.1), ulps=2.0),
    ),
    "elu(0.5)": (
        {"type": "elu", "alpha": 0.5},
        Activation(
            lambda z: np.where(z > 0.0, z, 0.5 * np.expm1(np.minimum(z, 0.0))),
            lambda z: np.where(z > 0.0, 1.0, 0.5 * np.exp(np.minimum(z, 0.0))),
            ulps=4.0,
        ),
    ),
    "gelu(approximate)": ({"type": "gelu", "approximate": True}, ELEMENTWISE["gelu_tanh"]),
    "celu(2)": (
        {"type": "celu", "alpha": 2.0},
        Activation(
            lambda z: np.where(z > 0.0, z, 2.0 * np.expm1(np.minimum(z, 0.0) / 2.0)),
            lambda z: np.where(z > 0.0, 1.0, np.exp(np.minimum(z, 0.0) / 2.0)),
            ulps=4.0,
        ),
    ),
    "squareplus(1)": (
        {"type": "squareplus", "b": 1.0},
        Activation(lambda z: _squareplus(z, 1.0), lambda z: _squareplus(z, 1.0) / np.hypot(z, 1.0), ulps=6.0),
    ),
    "soft_shrink(1.5)": (
        {"type": "soft_shrink", "threshold": 1.5},
        Activation(
            lambda z: np.where(abs(z) <= 1.5, 0.0, z - 1.5 * np.sign(z)),
            lambda z: np.where(abs(z) <= 1.5, 0.0, 1.0),
            ulps=1.0,
        ),
    ),
    "hard_shrink(1.5)": (
        {"type": "hard_shrink", "threshold": 1.5},
        Activation(lambda z: np.where(abs(z) <= 1.5, 0.0, z), lambda z: np.where(abs(z) <= 1.5, 0.0, 1.0), ulps=0.0),
    ),
    "threshold(0.25, -2)": (
        {"type": "threshold", "threshold": 0.25, "default_value": -2.0},
        Activation(lambda z: np.where(z > 0.25, z, -2.0), lambda z: np.where(z > 0.25, 1.0, 0.0), ulps=0.0),
    ),
}
# Of rows: forward, and backward from the output.
ROWS = {
    "softmax": (softmax, softmax_backward),
    "log_softmax": (log_softmax, log_softmax_backward),
    "sparsemax": (sparsemax, sparsemax_backward),
}
ACTIVATIONS = (*ELEMENTWISE, *ROWS)


def _element(name):
    return PARAMETRISED[name][1] if name in PARAMETRISED else ELEMENTWISE[name]


def steepness(name, z):
    """How much an error of the value before the activation grows, 1.2 at least."""
    return 1.2 if name in ROWS else np.maximum(1.2, abs(_element(name).derivative(np.asarray(z, np.float64))))


def activation_forward(name, z):
    z = np.asarray(z, np.float64)
    return ROWS[name][0](z) if name in ROWS else _element(name).of(z)


def activation_backward(name, z, dy):
    """dz, from the value before the activation."""
    z, dy = np.asarray(z, np.float64), np.asarray(dy, np.float64)
    if name in ROWS:
        forward, backward = ROWS[name]
        return backward(forward(z), dy)
    return dy * _element(name).derivative(z)
