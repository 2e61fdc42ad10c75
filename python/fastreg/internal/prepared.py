"""What the layers that prepare features compute of arrays, outside of a model. NumPy alone; it knows no layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.internal.checks import describe
from fastreg.internal.dlpack import of_memory
from fastreg.internal.float32 import in_float32

__all__ = ["encoded", "integers", "plain_numbers", "statistics"]

# The distance of the quartiles of the normal distribution, in its deviations.
_QUARTILES = 1.3489795003921634
_LARGEST = float(np.finfo(np.float32).max)


def plain_numbers(value: Any, where: str) -> NDArray[np.float32]:
    """Numbers as float32. Raises TypeError for anything else, ValueError for finite numbers beyond float32."""
    array = np.asarray(of_memory(value, where))
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{where}: must be numbers, got {array.dtype if array.ndim else describe(value)}")
    return in_float32(array, f"{where}:")


def statistics(
    data: ArrayLike, robust: bool, where: str, axis: int | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and variance of each feature (axis 0) or of all elements (None), one value at least.

    Args:
        data: Rows of features, or one feature.
        robust: Whether to take the median, and the squared distance of the quartiles in deviations; the variance where
            the quartiles are equal.
        where: How messages begin.
        axis: 0 or None.

    Raises:
        TypeError: If they are no numbers.
        ValueError: If there are none, one is not finite, or float32 cannot hold their mean or variance.
    """
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{where} must be numbers, got {array.dtype if array.ndim else describe(data)}")
    x = array.astype(np.float64).reshape(-1, 1) if array.ndim < 2 else array.astype(np.float64)
    if axis == 0 and x.ndim > 2:
        raise ValueError(f"{where} must be rows of features, got shape {array.shape}; axis=None takes any shape")
    if not x.size or not np.isfinite(x).all():
        raise ValueError(f"{where} must be finite numbers, at least one row, got shape {array.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        if robust:
            low, mean, high = np.percentile(x, (25, 50, 75), axis=axis)
            variance = ((high - low) / _QUARTILES) ** 2
            if not np.all(variance):  # equal quartiles say nothing of the other values
                variance = np.where(variance > 0.0, variance, x.var(axis=axis))
        else:
            mean, variance = x.mean(axis=axis), x.var(axis=axis)
    bad = ~((np.abs(mean) <= _LARGEST) & (variance <= _LARGEST))
    if np.any(bad):
        feature = "" if axis is None else f" of feature {np.flatnonzero(bad)[0]}"
        worst = float(np.abs(x if axis is None else x[:, np.flatnonzero(bad)[0]]).max())
        raise ValueError(
            f"{where} must have means that float32 can hold and standard deviations below {_LARGEST**0.5:.1e}, "
            f"got numbers as large as {worst:g}{feature}; divide them by a constant first"
        )
    return np.atleast_1d(np.asarray(mean, np.float32)), np.atleast_1d(np.asarray(variance, np.float32))


def integers(value: Any, limit: int | None, where: str) -> NDArray[np.int64]:
    """Integers in [0, limit) as int64. Raises ValueError for others, TypeError for what is no number."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{where}: must be integers, got {array.dtype if array.ndim else describe(value)}")
    if array.dtype.kind == "f" and not (array == np.floor(array)).all():
        raise ValueError(f"{where}: must be integers, got {float(array[array != np.floor(array)].flat[0])!r}")
    if limit is not None and array.size and (array.min() < 0 or array.max() >= limit):
        bad = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"{where}: integers must be in [0, {limit}), got {bad.item()}")
    return array.astype(np.int64)


def encoded(
    value: Any, depth: int, mode: str, where: str, weights: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Indicators of integers in [0, depth), as Keras's encodings have them; float32.

    Args:
        value: The integers, (n, k) or (n,).
        depth: How many there are.
        mode: ``"one_hot"``, ``"multi_hot"`` or ``"count"``.
        where: How messages begin.
        weights: What each integer counts for, with ``"count"``.
    """
    if weights is not None and mode != "count":
        raise ValueError(f"{where}: count_weights must be None unless output_mode is 'count', got {mode!r}")
    index = integers(value, depth, where)
    if mode == "one_hot":
        index = index[..., 0] if index.ndim > 1 and index.shape[-1] == 1 else index
        return np.asarray(index[..., None] == np.arange(depth), np.float32)
    rows = index.reshape(-1, index.shape[-1] if index.ndim else 1)
    amounts = np.ones(rows.shape) if weights is None else np.broadcast_to(np.asarray(weights), index.shape)
    out = np.zeros((len(rows), depth), np.float32)
    np.add.at(out, (np.arange(len(rows))[:, None], rows), amounts.reshape(rows.shape).astype(np.float32))
    out = np.minimum(out, np.float32(1)) if mode == "multi_hot" else out
    return out.reshape(*index.shape[:-1], depth)
