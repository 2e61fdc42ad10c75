"""Which targets are classes, and the splits of a search by its seed: folds, and shares that are held out.

What is stratified goes by ``data/stratification.py``; the order of the rows is drawn here. Knows rows, labels and
seeds; no models and no splitters.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.data.stratification import dealt, spread

__all__ = [
    "Labels",
    "class_labels",
    "class_values",
    "parts",
    "plain_values",
    "share",
    "warn_of_missing_classes",
    "whole_numbers",
]

Labels = NDArray[np.int64]

# Whole numbers count as classes if they have at most this many values and the values repeat.
_MOST_CLASSES = 100


def class_labels(y: object, classes: bool | None = None) -> Labels | None:
    """The class of each row, counted from 0 in sorted order; None if targets are not classes.

    Args:
        y: Targets, (n,), (n, 1), or (n, k) for one-hot rows.
        classes: True: every value is a class, and for one-hot rows the index of the largest column. False: there are no
            classes. None: bools, text, and whole numbers of an integer type with at most 100 repeated values are
            classes.
    """
    if classes is False:
        return None
    array = plain_values(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and classes:
        array = np.argmax(array, axis=1)
    if array.ndim != 1 or len(array) == 0:
        return None
    if classes is None and array.dtype.kind not in "biuUS":
        return None
    if array.dtype.kind == "O":
        array = array.astype(str)
    values, labels = np.unique(array, return_inverse=True)
    if classes is None and array.dtype.kind in "iu" and len(values) > max(2, min(_MOST_CLASSES, len(array) // 2)):
        return None
    return labels.astype(np.int64)


def class_values(y: object) -> NDArray[Any]:
    """The classes of targets that are classes, in sorted order; of one-hot rows the numbers of the columns."""
    array = plain_values(y)
    if array.ndim == 2 and array.shape[1] > 1:
        return np.arange(array.shape[1])
    return np.unique(array)


def plain_values(y: object) -> NDArray[Any]:
    """Targets as an array.

    An array of objects becomes one of bools, numbers or text if all its values are of that kind.
    """
    array = np.asarray(y)
    if array.dtype.kind == "T":
        array = array.astype(object)
    if array.dtype.kind != "O" or array.ndim > 2:
        return array
    kinds = {_kind(value) for value in array.ravel()}
    if kinds <= {"text", "bool"}:
        return array.astype(str)
    return np.array(array.tolist()) if kinds <= {"bool", "number"} else array


def _kind(value: object) -> str:
    if isinstance(value, (str, bytes)):
        return "text"
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    return "number" if isinstance(value, (int, float, np.integer, np.floating)) else "other"


def whole_numbers(array: NDArray[Any]) -> bool:
    """Whether every element of a float array is a whole number."""
    return bool(np.all(np.isfinite(array)) and np.all(array == np.floor(array)))


def parts(n: int, k: int, labels: Labels | None, seed: int, strict: bool) -> Labels:
    """The part of each row: dealt out in a drawn order, class after class, so that no share is off by more than 1."""
    if n < k:
        raise ValueError(f"cv: {k} folds need as many rows at least, got {n}")
    order = np.random.default_rng(seed).permutation(n)
    if labels is not None:
        counts = np.bincount(labels)
        if counts.min() < k:
            rare = int(np.argmin(counts))
            message = f"cv: class number {rare} (in sorted order) has {counts[rare]} rows, fewer than the {k} folds"
            if strict:
                raise ValueError(f"{message}; use fewer folds, or stratified=False")
            warnings.warn(message, UserWarning, stacklevel=4)
    return dealt(order, labels, k)


def share(
    n: int, fraction: float, labels: Labels | None, seed: int, what: str, argument: str = "cv"
) -> NDArray[np.bool_]:
    """Which of n things are chosen: the share of them, and of every class, to within one."""
    count = round(n * fraction)
    if not 0 < count < n:
        raise ValueError(
            f"{argument}: {fraction} of {n} {what} leaves {n - count} for one side and {count} for the other; both "
            "need one at least"
        )
    order = np.random.default_rng(seed).permutation(n)
    if labels is not None:
        return spread(order, labels, count)
    chosen = np.zeros(n, dtype=bool)
    chosen[order[:count]] = True
    return chosen


def warn_of_missing_classes(pairs: Iterable[tuple[NDArray[Any], NDArray[Any]]], labels: Labels) -> None:
    """Warns of each fold that is scored on a class that its training rows lack."""
    n_classes = int(labels.max()) + 1
    for number, (train, test) in enumerate(pairs):
        missing = np.setdiff1d(labels[test], labels[train])
        if len(missing):
            message = (
                f"cv: fold {number} is scored on {len(missing)} of {n_classes} classes that its training rows lack, "
                f"class number {missing[0]} (in sorted order) the first"
            )
            warnings.warn(message, UserWarning, stacklevel=3)
