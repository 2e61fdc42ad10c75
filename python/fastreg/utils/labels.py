"""Targets of classes: labels as one-hot rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.data.arrays import numeric
from fastreg.internal.checks import AT_LEAST_ONE, check_int

__all__ = ["to_categorical"]


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[np.float64]:
    """Labels as one-hot rows.

    Args:
        x: Whole numbers >= 0, shape (n,) or (n, 1).
        num_classes: Columns; None is the largest label plus one.

    Returns:
        Zeros and ones, float64 as in Keras, shape (n, num_classes).

    Raises:
        ValueError: If a label is negative, no whole number or not below ``num_classes``, or the result is larger than
            memory.

    Example:
        >>> from fastreg import utils
        >>> utils.to_categorical([0, 2])
        array([[1., 0., 0.],
               [0., 0., 1.]])
    """
    labels = numeric(x, "x")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels.reshape(-1)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"to_categorical: x must have shape (n,) with n >= 1, got {labels.shape}")
    good = (labels >= 0) & np.isfinite(labels) & (labels == np.floor(labels))
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"to_categorical: x must be whole numbers >= 0, got {labels[row].item()!r} in row {row}")
    largest = int(labels.max())
    n = largest + 1 if num_classes is None else check_int("to_categorical", "num_classes", num_classes, AT_LEAST_ONE)
    if largest >= n:
        raise ValueError(f"to_categorical: labels must be in [0, {n}) for num_classes={n}, got {largest}")
    try:
        rows = np.zeros((len(labels), n))
    except (MemoryError, ValueError):  # NumPy raises the second where the size overflows
        raise ValueError(
            f"to_categorical: num_classes must be such that the result fits into memory, got {n} for {len(labels)} "
            f"rows, {8 * len(labels) * n} bytes"
        ) from None
    rows[np.arange(len(labels)), labels.astype(np.int64)] = 1.0
    return rows
