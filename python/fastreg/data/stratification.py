"""Splits in which every side has its share of each class: one algorithm for ``validation_split``, folds and tables.

The caller draws a random order of the rows. These functions sort the rows by class, keeping the drawn order within each
class, and a rule says which positions of the sorted sequence are taken:

=================  ====================================================================================
``dealt``          cyclically one for each part; the parts' counts of a class differ by at most one
``spread``         a number of positions, evenly spaced over the sequence
``first_of_each``  the first positions of each class; ``quotas`` divides a total among the classes
=================  ====================================================================================

Without classes the sequence is the drawn order. This module knows nothing of seeds, targets or models.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dealt", "first_of_each", "quotas", "spread"]

Order = NDArray[np.int64]
Classes = NDArray[Any]  # the class of each row, an integer counted from 0


def _line(order: Order, labels: Classes | None) -> Order:
    """The rows, sorted by class, with the drawn order within each class."""
    return order if labels is None else order[np.argsort(labels[order], kind="stable")]


def dealt(order: Order, labels: Classes | None, n_parts: int) -> NDArray[np.int64]:
    """The part of each row. The sorted sequence is dealt out to the parts like cards."""
    n = len(order)
    part = np.empty(n, np.int64)
    part[_line(order, labels)] = np.arange(n) % n_parts
    return part


def spread(order: Order, labels: Classes, count: int) -> NDArray[np.bool_]:
    """Which rows are taken: those at the positions i of the sequence at which i * count / n passes an integer."""
    n = len(order)
    steps = (np.arange(1, n + 1) * count + n // 2) // n
    taken = np.zeros(n, dtype=bool)
    taken[_line(order, labels)] = np.diff(steps, prepend=(n // 2) // n) > 0
    return taken


def first_of_each(order: Order, labels: Classes, quota: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows are taken: the first ``quota[c]`` rows of each class c in the drawn order."""
    counts = np.bincount(labels)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    place_in_class = np.arange(len(labels)) - np.repeat(starts, counts)
    taken = np.zeros(len(labels), dtype=bool)
    taken[_line(order, labels)] = place_in_class < np.repeat(quota, counts)
    return taken


def quotas(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """The share of each class in a total, rounded down. The classes with the largest remainders get one row more."""
    shares = counts * (total / int(counts.sum()))
    quota: NDArray[np.int64] = np.floor(shares).astype(np.int64)
    quota[np.argsort(quota - shares, kind="stable")[: total - int(quota.sum())]] += 1
    return quota
