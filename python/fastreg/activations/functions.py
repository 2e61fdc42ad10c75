"""The activations as functions of arrays of any shape, each computed by the core in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg import _core
from fastreg.data.arrays import numeric
from fastreg.internal.activation_names import ACTIVATIONS, core_text, with_parameters
from fastreg.internal.checks import check_int
from fastreg.internal.float32 import in_float32

__all__ = [
    "FUNCTIONS",
    "celu",
    "elu",
    "exponential",
    "gelu",
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

Floats = NDArray[np.float32]


def _of_elements(name: str, x: ArrayLike, **parameters: object) -> Floats:
    array = in_float32(numeric(x, "x"), "x:")
    chosen = core_text(with_parameters(name, name, parameters))
    return _core.activation(array.reshape(1, -1), chosen).reshape(array.shape)


def _of_rows(name: str, x: ArrayLike, axis: int) -> Floats:
    array = in_float32(numeric(x, "x"), "x:")
    place = _place(name, array, axis)
    rows = np.moveaxis(array, place, -1)
    flat = np.ascontiguousarray(rows).reshape(-1, rows.shape[-1])
    return np.moveaxis(_core.activation(flat, name).reshape(rows.shape), -1, place)


def _place(owner: str, array: Floats, axis: int) -> int:
    rule = (f"be an axis of an array of {array.ndim} dimensions", lambda v: -array.ndim <= v < array.ndim)
    return check_int(owner, "axis", axis, rule)


def celu(x: ArrayLike, alpha: float = 1.0) -> Floats:
    r"""The continuously differentiable ELU: x above 0, :math:`\alpha (e^{x / \alpha} - 1)` below (Barron 2017).

    Args:
        x: An array of numbers.
        alpha: :math:`\alpha` >= 2**-126.

    Example:
        >>> from fastreg import activations
        >>> activations.celu([-1.0, 2.0]).round(3)
        array([-0.632,  2.   ], dtype=float32)
    """
    return _of_elements("celu", x, alpha=alpha)


def elu(x: ArrayLike, alpha: float = 1.0) -> Floats:
    r"""The exponential linear unit: x above 0, :math:`\alpha (e^x - 1)` below (Clevert et al. 2016).

    Args:
        x: An array of numbers.
        alpha: :math:`\alpha`, finite.

    Example:
        >>> from fastreg import activations
        >>> activations.elu([-1.0, 2.0]).round(3)
        array([-0.632,  2.   ], dtype=float32)
    """
    return _of_elements("elu", x, alpha=alpha)


def exponential(x: ArrayLike) -> Floats:
    r""":math:`e^x`.

    Example:
        >>> from fastreg import activations
        >>> activations.exponential([0.0, 1.0]).round(3)
        array([1.   , 2.718], dtype=float32)
    """
    return _of_elements("exponential", x)


def gelu(x: ArrayLike, approximate: bool = False) -> Floats:
    r"""The Gaussian error linear unit, :math:`x \Phi(x)` (Hendrycks and Gimpel 2016).

    Args:
        x: An array of numbers.
        approximate: False is the exact one, with the error function :math:`\Phi`; True is :math:`x (1 +
            \tanh(\sqrt{2 / \pi} (x + 0.044715 x^3))) / 2`.

    Example:
        >>> from fastreg import activations
        >>> activations.gelu([-1.0, 2.0]).round(3)
        array([-0.159,  1.954], dtype=float32)
    """
    return _of_elements("gelu", x, approximate=approximate)


def hard_shrink(x: ArrayLike, threshold: float = 0.5) -> Floats:
    r"""x, and 0 where :math:`|x|` is at most the threshold.

    Args:
        x: An array of numbers.
        threshold: >= 0.

    Example:
        >>> from fastreg import activations
        >>> activations.hard_shrink([-0.5, 2.0])
        array([0., 2.], dtype=float32)
    """
    return _of_elements("hard_shrink", x, threshold=threshold)


def hard_sigmoid(x: ArrayLike) -> Floats:
    r""":math:`\min(6, \max(0, x + 3)) / 6`.

    Example:
        >>> from fastreg import activations
        >>> activations.hard_sigmoid([-4.0, 0.0, 4.0])
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return _of_elements("hard_sigmoid", x)


def hard_silu(x: ArrayLike) -> Floats:
    r""":math:`x \min(6, \max(0, x + 3)) / 6`, also called hard_swish (Howard et al. 2019).

    Example:
        >>> from fastreg import activations
        >>> activations.hard_silu([-4.0, 3.0])
        array([-0.,  3.], dtype=float32)
    """
    return _of_elements("hard_silu", x)


def hard_tanh(x: ArrayLike) -> Floats:
    r""":math:`\min(1, \max(-1, x))`.

    Example:
        >>> from fastreg import activations
        >>> activations.hard_tanh([-4.0, 0.5])
        array([-1. ,  0.5], dtype=float32)
    """
    return _of_elements("hard_tanh", x)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.2) -> Floats:
    r"""X above 0, ``negative_slope`` x below (Maas et al. 2013).

    Args:
        x: An array of numbers.
        negative_slope: >= 0.

    Example:
        >>> from fastreg import activations
        >>> activations.leaky_relu([-1.0, 2.0])
        array([-0.2,  2. ], dtype=float32)
    """
    return _of_elements("leaky_relu", x, negative_slope=negative_slope)


def linear(x: ArrayLike) -> Floats:
    r"""X itself.

    Example:
        >>> from fastreg import activations
        >>> activations.linear([-1.0, 2.0])
        array([-1.,  2.], dtype=float32)
    """
    return _of_elements("linear", x)


def log_sigmoid(x: ArrayLike) -> Floats:
    r""":math:`\log(1 / (1 + e^{-x}))`.

    Example:
        >>> from fastreg import activations
        >>> activations.log_sigmoid([0.0]).round(3)
        array([-0.693], dtype=float32)
    """
    return _of_elements("log_sigmoid", x)


def log_softmax(x: ArrayLike, axis: int = -1) -> Floats:
    r"""The logarithm of softmax, :math:`x_i - \log \sum_j e^{x_j}`.

    Args:
        x: An array of numbers.
        axis: The axis of the sum.

    Example:
        >>> from fastreg import activations
        >>> activations.log_softmax([[0.0, 0.0]]).round(3)
        array([[-0.693, -0.693]], dtype=float32)
    """
    return _of_rows("log_softmax", x, axis)


def mish(x: ArrayLike) -> Floats:
    r""":math:`x \tanh(\log(1 + e^x))` (Misra 2019).

    Example:
        >>> from fastreg import activations
        >>> activations.mish([-1.0, 2.0]).round(3)
        array([-0.303,  1.944], dtype=float32)
    """
    return _of_elements("mish", x)


def relu(x: ArrayLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Floats:
    """The rectified linear unit.

    It is x above the threshold, and at most ``max_value``; elsewhere it is ``negative_slope`` (x - threshold).

    Args:
        x: An array of numbers.
        negative_slope: >= 0.
        max_value: >= 0, or None for no limit.
        threshold: >= 0.

    Example:
        >>> from fastreg import activations
        >>> activations.relu([-1.0, 2.0, 9.0], max_value=6)
        array([0., 2., 6.], dtype=float32)
    """
    return _of_elements("relu", x, negative_slope=negative_slope, max_value=max_value, threshold=threshold)


def relu6(x: ArrayLike) -> Floats:
    r""":math:`\min(6, \max(0, x))`.

    Example:
        >>> from fastreg import activations
        >>> activations.relu6([-1.0, 9.0])
        array([0., 6.], dtype=float32)
    """
    return _of_elements("relu6", x)


def selu(x: ArrayLike) -> Floats:
    r"""The scaled ELU, 1.0507 x above 0, 1.7581 (e^x - 1) below (Klambauer et al. 2017).

    Example:
        >>> from fastreg import activations
        >>> activations.selu([-1.0, 2.0]).round(3)
        array([-1.111,  2.101], dtype=float32)
    """
    return _of_elements("selu", x)


def sigmoid(x: ArrayLike) -> Floats:
    r""":math:`1 / (1 + e^{-x})`.

    Example:
        >>> from fastreg import activations
        >>> activations.sigmoid([0.0])
        array([0.5], dtype=float32)
    """
    return _of_elements("sigmoid", x)


def silu(x: ArrayLike) -> Floats:
    r""":math:`x / (1 + e^{-x})`, also called swish (Ramachandran et al. 2017).

    Example:
        >>> from fastreg import activations
        >>> activations.silu([-1.0, 2.0]).round(3)
        array([-0.269,  1.762], dtype=float32)
    """
    return _of_elements("silu", x)


def soft_shrink(x: ArrayLike, threshold: float = 0.5) -> Floats:
    r"""X brought nearer to 0 by the threshold, and 0 where :math:`|x|` is at most that.

    Args:
        x: An array of numbers.
        threshold: >= 0.

    Example:
        >>> from fastreg import activations
        >>> activations.soft_shrink([-2.0, 0.25])
        array([-1.5,  0. ], dtype=float32)
    """
    return _of_elements("soft_shrink", x, threshold=threshold)


def softmax(x: ArrayLike, axis: int = -1) -> Floats:
    r""":math:`e^{x_i} / \sum_j e^{x_j}`.

    Args:
        x: An array of numbers.
        axis: The axis of the sum.

    Example:
        >>> from fastreg import activations
        >>> activations.softmax([[0.0, 0.0]])
        array([[0.5, 0.5]], dtype=float32)
    """
    return _of_rows("softmax", x, axis)


def softplus(x: ArrayLike) -> Floats:
    r""":math:`\log(1 + e^x)`.

    Example:
        >>> from fastreg import activations
        >>> activations.softplus([0.0]).round(3)
        array([0.693], dtype=float32)
    """
    return _of_elements("softplus", x)


def softsign(x: ArrayLike) -> Floats:
    r""":math:`x / (1 + |x|)`.

    Example:
        >>> from fastreg import activations
        >>> activations.softsign([-1.0, 3.0])
        array([-0.5 ,  0.75], dtype=float32)
    """
    return _of_elements("softsign", x)


def sparse_plus(x: ArrayLike) -> Floats:
    r"""0 up to -1, :math:`(x + 1)^2 / 4` up to 1, then x.

    Example:
        >>> from fastreg import activations
        >>> activations.sparse_plus([-2.0, 0.0, 2.0])
        array([0.  , 0.25, 2.  ], dtype=float32)
    """
    return _of_elements("sparse_plus", x)


def sparse_sigmoid(x: ArrayLike) -> Floats:
    r""":math:`\min(1, \max(0, (x + 1) / 2))`.

    Example:
        >>> from fastreg import activations
        >>> activations.sparse_sigmoid([-2.0, 0.0, 2.0])
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return _of_elements("sparse_sigmoid", x)


def sparsemax(x: ArrayLike, axis: int = -1) -> Floats:
    r"""The nearest point to x whose entries are >= 0 and sum to 1 (Martins and Astudillo, ICML 2016).

    Args:
        x: An array of numbers.
        axis: The axis of the sum.

    Example:
        >>> from fastreg import activations
        >>> activations.sparsemax([[2.0, 1.5, -1.0]])
        array([[0.75, 0.25, 0.  ]], dtype=float32)
    """
    return _of_rows("sparsemax", x, axis)


def squareplus(x: ArrayLike, b: float = 4.0) -> Floats:
    r""":math:`(x + \sqrt{x^2 + b}) / 2` (Barron 2021).

    Args:
        x: An array of numbers.
        b: >= 2**-126.

    Example:
        >>> from fastreg import activations
        >>> activations.squareplus([0.0, 1.5])
        array([1., 2.], dtype=float32)
    """
    return _of_elements("squareplus", x, b=b)


def tanh(x: ArrayLike) -> Floats:
    r""":math:`\tanh(x)`.

    Example:
        >>> from fastreg import activations
        >>> activations.tanh([0.0, 1.0]).round(3)
        array([0.   , 0.762], dtype=float32)
    """
    return _of_elements("tanh", x)


def tanh_shrink(x: ArrayLike) -> Floats:
    r""":math:`x - \tanh(x)`.

    Example:
        >>> from fastreg import activations
        >>> activations.tanh_shrink([1.0]).round(3)
        array([0.238], dtype=float32)
    """
    return _of_elements("tanh_shrink", x)


def threshold(x: ArrayLike, threshold: float, default_value: float) -> Floats:
    r"""X above the threshold, ``default_value`` elsewhere.

    Args:
        x: An array of numbers.
        threshold: Finite.
        default_value: Finite.

    Example:
        >>> from fastreg import activations
        >>> activations.threshold([-1.0, 2.0], 0.0, -5.0)
        array([-5.,  2.], dtype=float32)
    """
    return _of_elements("threshold", x, threshold=threshold, default_value=default_value)


def glu(x: ArrayLike, axis: int = -1) -> Floats:
    r"""The gated linear unit, :math:`a / (1 + e^{-b})` of the two halves a and b of x (Dauphin et al. 2017).

    It halves the axis, so that it is no activation of a layer: ``Multiply`` joins a ``Dense`` and another one with
    ``activation="sigmoid"``.

    Args:
        x: An array of numbers.
        axis: The axis that is halved; its length must be even.

    Example:
        >>> from fastreg import activations
        >>> activations.glu([[2.0, 0.0]])
        array([[1.]], dtype=float32)
    """
    array = in_float32(numeric(x, "x"), "x:")
    place = _place("glu", array, axis)
    if array.shape[place] % 2:
        raise ValueError(f"glu: the length of the axis must be even, got {array.shape[place]}")
    value, gate = np.split(array, 2, axis=place)
    gated: Floats = value * sigmoid(gate)
    return gated


hard_swish, swish = hard_silu, silu


def _gelu_tanh(x: ArrayLike) -> Floats:
    return gelu(x, True)


# The function of each name that a layer's activation may have.
FUNCTIONS: dict[str, Callable[..., Floats]] = {name: globals()[name] for name in ACTIVATIONS if name in globals()} | {
    "gelu_tanh": _gelu_tanh
}
for _name, _function in (FUNCTIONS | {"glu": glu, "threshold": threshold}).items():
    _function.activation_name = _name  # type: ignore[attr-defined]
