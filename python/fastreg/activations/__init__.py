"""The activations as functions of arrays, which are also what a layer's ``activation`` may be.

``activations.relu(x)`` computes an activation of an array of any shape, in float32. ``Dense(8, activations.relu)``
means the same as ``Dense(8, "relu")``, and ``functools.partial(activations.leaky_relu, negative_slope=0.1)`` gives an
activation of a layer its parameters. Names, arguments and defaults are Keras's. The activations of rows (softmax,
log_softmax, sparsemax) take the axis along which they act, the last one as a rule.

A NaN stays a NaN. All functions raise TypeError for what is no array of numbers, and ValueError for a parameter that is
out of range or an axis that the array does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.checks import absent_names
from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.activations.functions import (
        celu,
        elu,
        exponential,
        gelu,
        glu,
        hard_shrink,
        hard_sigmoid,
        hard_silu,
        hard_swish,
        hard_tanh,
        leaky_relu,
        linear,
        log_sigmoid,
        log_softmax,
        mish,
        relu,
        relu6,
        selu,
        sigmoid,
        silu,
        soft_shrink,
        softmax,
        softplus,
        softsign,
        sparse_plus,
        sparse_sigmoid,
        sparsemax,
        squareplus,
        swish,
        tanh,
        tanh_shrink,
        threshold,
    )
    from fastreg.activations.lookup import deserialize, get, serialize

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

_LOOKUP = ("deserialize", "get", "serialize")

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    _homes = {name: "lookup" if name in _LOOKUP else "functions" for name in __all__}
    __getattr__ = lazy_names(__name__, _homes, absent_names(__name__))


def __dir__() -> list[str]:
    return sorted(__all__)
