"""The losses as functions: the value of each row, computed by the core. Their names and arguments are Keras's.

Each takes targets ``y_true`` and outputs ``y_pred`` of shape (n, k), or of more dimensions, of which the last one is
that of the outputs, and returns a float32 array with a value for each row, the shape of ``y_pred`` without its last
dimension. A class of the same name in capitals has the formula, the ranges of the arguments and what targets may be.
``compile(loss=)`` takes a function, too, and uses the defaults of its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg import losses
from fastreg.internal.checks import describe
from fastreg.losses.computing import row_values

Floats = NDArray[np.float32]


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.MeanSquaredError`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.mean_squared_error([[0.0, 2.0], [1.0, 1.0]], [[1.0, 2.0], [1.0, 1.0]])
        array([0.5, 0. ], dtype=float32)
    """
    return row_values(losses.MeanSquaredError(), y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.MeanAbsoluteError`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.mean_absolute_error([[0.0, 2.0]], [[1.0, 4.0]])
        array([1.5], dtype=float32)
    """
    return row_values(losses.MeanAbsoluteError(), y_true, y_pred)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.MeanAbsolutePercentageError`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]])
        array([25.], dtype=float32)
    """
    return row_values(losses.MeanAbsolutePercentageError(), y_true, y_pred)


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.MeanSquaredLogarithmicError`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.mean_squared_logarithmic_error([[3.0]], [[3.0]])
        array([0.], dtype=float32)
    """
    return row_values(losses.MeanSquaredLogarithmicError(), y_true, y_pred)


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> Floats:
    """The values of :class:`~fastreg.losses.Huber`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.huber([[0.0]], [[3.0]], delta=2.0)
        array([4.], dtype=float32)
    """
    return row_values(losses.Huber(delta=delta), y_true, y_pred)


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.LogCosh`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.log_cosh([[1.0]], [[1.0]])
        array([0.], dtype=float32)
    """
    return row_values(losses.LogCosh(), y_true, y_pred)


def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.Poisson`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.poisson([[0.0]], [[2.0]])
        array([2.], dtype=float32)
    """
    return row_values(losses.Poisson(), y_true, y_pred)


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Floats:
    """The values of :class:`~fastreg.losses.CosineSimilarity`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.cosine_similarity([[3.0, 4.0]], [[-6.0, -8.0]])
        array([1.], dtype=float32)
    """
    return row_values(losses.CosineSimilarity(axis=axis), y_true, y_pred)


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.KLDivergence`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.kl_divergence([[0.5, 0.5]], [[0.5, 0.5]])
        array([0.], dtype=float32)
    """
    return row_values(losses.KLDivergence(), y_true, y_pred)


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.Hinge`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.hinge([[1.0], [-1.0]], [[0.5], [0.5]])
        array([0.5, 1.5], dtype=float32)
    """
    return row_values(losses.Hinge(), y_true, y_pred)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.SquaredHinge`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.squared_hinge([[1.0], [-1.0]], [[0.5], [0.5]])
        array([0.25, 2.25], dtype=float32)
    """
    return row_values(losses.SquaredHinge(), y_true, y_pred)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """The values of :class:`~fastreg.losses.CategoricalHinge`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.categorical_hinge([[1.0, 0.0]], [[0.5, 0.25]])
        array([0.75], dtype=float32)
    """
    return row_values(losses.CategoricalHinge(), y_true, y_pred)


def binary_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Floats:
    """The values of :class:`~fastreg.losses.BinaryCrossentropy`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.binary_crossentropy([[1.0], [0.0]], [[0.0], [0.0]], from_logits=True)
        array([0.6931472, 0.6931472], dtype=float32)
    """
    loss = losses.BinaryCrossentropy(from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)
    return row_values(loss, y_true, y_pred)


def categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Floats:
    """The values of :class:`~fastreg.losses.CategoricalCrossentropy`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.categorical_crossentropy([[0.0, 1.0]], [[0.0, 0.0]], from_logits=True)
        array([0.6931472], dtype=float32)
    """
    loss = losses.CategoricalCrossentropy(from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)
    return row_values(loss, y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Floats:
    """The values of :class:`~fastreg.losses.SparseCategoricalCrossentropy`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.sparse_categorical_crossentropy([1, 9], [[0.0, 0.0], [0.0, 0.0]], True, ignore_class=9)
        array([0.6931472, 0.       ], dtype=float32)
    """
    loss = losses.SparseCategoricalCrossentropy(from_logits=from_logits, ignore_class=ignore_class, axis=axis)
    return row_values(loss, y_true, y_pred)


def binary_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Floats:
    """The values of :class:`~fastreg.losses.BinaryFocalCrossentropy`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.binary_focal_crossentropy([[1.0]], [[0.0]], from_logits=True)
        array([0.1732868], dtype=float32)
    """
    loss = losses.BinaryFocalCrossentropy(
        apply_class_balancing=apply_class_balancing,
        alpha=alpha,
        gamma=gamma,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        axis=axis,
    )
    return row_values(loss, y_true, y_pred)


def categorical_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Floats:
    """The values of :class:`~fastreg.losses.CategoricalFocalCrossentropy`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.0, 0.0]], from_logits=True)
        array([0.0433217], dtype=float32)
    """
    loss = losses.CategoricalFocalCrossentropy(
        alpha=alpha,
        gamma=gamma,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        axis=axis,
    )
    return row_values(loss, y_true, y_pred)


def categorical_generalized_cross_entropy(y_true: ArrayLike, y_pred: ArrayLike, q: float = 0.5) -> Floats:
    """The values of :class:`~fastreg.losses.CategoricalGeneralizedCrossEntropy`, one for each row.

    Raises:
        ValueError: If shapes do not fit, or a number or target is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.categorical_generalized_cross_entropy([1], [[0.75, 0.25]], 0.5)
        array([1.], dtype=float32)
    """
    return row_values(losses.CategoricalGeneralizedCrossEntropy(q=q), y_true, y_pred)


def serialize(loss: losses.Loss) -> dict[str, Any]:
    """The description of a loss as plain values, from which :func:`deserialize` makes it again.

    Example:
        >>> from fastreg import losses
        >>> losses.serialize(losses.Huber(2.0))
        {'type': 'Huber', 'delta': 2.0}
    """
    return losses.get(loss, "serialize: loss").to_config()


def deserialize(name: str | Mapping[str, Any], custom_objects: Mapping[str, object] | None = None) -> losses.Loss:
    """The loss of a name or a description that :func:`serialize` made.

    Args:
        name: The name or the description.
        custom_objects: None or empty; there are no losses but those of fastreg.

    Raises:
        ValueError: If there is no such loss, a value is bad, or there are ``custom_objects``.

    Example:
        >>> from fastreg import losses
        >>> losses.deserialize({"type": "Huber", "delta": 2.0})
        Huber(delta=2.0)
    """
    if custom_objects:
        raise ValueError(f"deserialize: custom_objects must be None or empty, got {describe(custom_objects)}")
    return losses.get(name, "deserialize")
