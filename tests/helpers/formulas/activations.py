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


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True)) if z.size else z
    return e / e.sum(axis=-1, keepdims=True)


# The rows. Softmax is not element by element and stands apart.
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
}
ACTIVATIONS = (*ELEMENTWISE, "softmax")


def activation_forward(name, z):
    z = np.asarray(z, np.float64)
    return softmax(z) if name == "softmax" else ELEMENTWISE[name].of(z)


def activation_backward(name, z, dy):
    """dz, from the value before the activation."""
    z, dy = np.asarray(z, np.float64), np.asarray(dy, np.float64)
    if name == "softmax":
        y = softmax(z)
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    return dy * ELEMENTWISE[name].derivative(z)
