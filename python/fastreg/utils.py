"""Keras's two helpers that a dense program needs: one-hot targets, and one seed for everything."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastreg._checks import AT_LEAST_ONE, NON_NEGATIVE, check_int
from fastreg._data import numeric

__all__ = ["set_random_seed", "to_categorical"]

# Seeds for models made without one, after set_random_seed; None: the operating system's.
_seeds: Iterator[int] | None = None


def to_categorical(x: object, num_classes: int | None = None) -> NDArray[np.float64]:
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


def set_random_seed(seed: int) -> None:
    """Seeds Python's and NumPy's global generators, and the models made from now on without a ``seed`` of their own.

    Args:
        seed: In [0, 2**32).

    Raises:
        ValueError: If the seed is out of range.
    """
    import random

    global _seeds
    checked = check_int("set_random_seed", "seed", seed, NON_NEGATIVE, 2**32)
    random.seed(checked)
    np.random.seed(checked)  # noqa: NPY002 -- Keras seeds it, and programs draw their data from it
    # A child sequence for each model, so that the models of a program differ.
    _seeds = (
        int(np.random.SeedSequence(checked, spawn_key=(i,)).generate_state(1, np.uint64)[0] >> np.uint64(16))
        for i in itertools.count()
    )


def draw_seed() -> int:
    """A seed for a model made without one."""
    return int.from_bytes(os.urandom(6), "little") if _seeds is None else next(_seeds)
