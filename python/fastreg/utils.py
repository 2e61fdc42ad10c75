"""Helpers of Keras for programs of dense layers (one-hot targets, one global seed), and seeds for one thread."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.data.arrays import numeric
from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, SEED_LIMIT, absent_names, check_int

__all__ = ["default_seed", "set_random_seed", "to_categorical"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)

# Seeds for models made without one, after set_random_seed; None: the operating system's.
_seeds: Iterator[int] | None = None


class _Here(threading.local):
    """Seeds for models made without one by this thread, within default_seed; None: as anywhere."""

    seeds: Iterator[int] | None = None


_here = _Here()


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
    _seeds = _seeds_from(checked)


def default_seed(seed: int) -> AbstractContextManager[None]:
    """Seeds the models that this thread makes within a ``with`` and without a ``seed`` of their own.

    The seeds of the first model, the second model and so on are functions of ``seed`` alone, so that running the same
    program again makes the same models. Other threads, :func:`set_random_seed` and the global generators are not
    affected. If ``with`` statements are nested, the innermost one counts.

    Args:
        seed: In [0, 2**64).

    Raises:
        ValueError: If the seed is out of range.

    Example:
        >>> import fastreg as fr
        >>> def seeds():
        ...     with fr.utils.default_seed(5):
        ...         return fr.Sequential().seed, fr.Sequential().seed, fr.Sequential(seed=1).seed
        >>> first, second, third = seeds()
        >>> seeds() == (first, second, third), first != second, third
        (True, True, 1)
    """
    return _seeded(check_int("default_seed", "seed", seed, NON_NEGATIVE, SEED_LIMIT))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    before, _here.seeds = _here.seeds, _seeds_from(seed)
    try:
        yield
    finally:
        _here.seeds = before


def _seeds_from(seed: int) -> Iterator[int]:
    # A child sequence for each model, so that the models of a program differ. Not a generator: threads may share it.
    def child(i: int) -> int:
        return int(np.random.SeedSequence(seed, spawn_key=(i,)).generate_state(1, np.uint64)[0] >> np.uint64(16))

    return map(child, itertools.count())


def draw_seed() -> int:
    """A seed for a model made without one."""
    if _here.seeds is not None:
        return next(_here.seeds)
    return int.from_bytes(os.urandom(6), "little") if _seeds is None else next(_seeds)
