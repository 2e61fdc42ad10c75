"""Splits in which every side has its share of each class: one algorithm for ``validation_split``, folds and tables.

Who splits draws an order of the rows from a random stream of its own. Here the rows are put in a line, class after
class, each class in the drawn order, and a rule says which places of the line are taken:

=================  =========================================================================
``dealt``          places in turn, one to each part: no part's share is off by more than one
``spread``         so many places, evenly spaced over the line
``first_of_each``  so many first places of each class; ``quotas`` apportions a total to them
=================  =========================================================================

Without classes the line is the drawn order. Knows no seeds, no targets and no models.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dealt", "first_of_each", "quotas", "spread"]

Order = NDArray[np.int64]
Classes = NDArray[Any]  # the class of each row, an integer counted from 0


def _line(order: Order, labels: Classes | None) -> Order:
    """The rows class after class, each class in the drawn order."""
    return order if labels is None else order[np.argsort(labels[order], kind="stable")]


def dealt(order: Order, labels: Classes | None, n_parts: int) -> NDArray[np.int64]:
    """The part of each row: the line is dealt out like cards."""
    n = len(order)
    part = np.empty(n, np.int64)
    part[_line(order, labels)] = np.arange(n) % n_parts
    return part


def spread(order: Order, labels: Classes, count: int) -> NDArray[np.bool_]:
    """Which rows are taken: place i of the line where i * count / n passes a whole number."""
    n = len(order)
    steps = (np.arange(1, n + 1) * count + n // 2) // n
    taken = np.zeros(n, dtype=bool)
    taken[_line(order, labels)] = np.diff(steps, prepend=(n // 2) // n) > 0
    return taken


def first_of_each(order: Order, labels: Classes, quota: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows are taken: of class c the first ``quota[c]`` of the drawn order."""
    counts = np.bincount(labels)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    place_in_class = np.arange(len(labels)) - np.repeat(starts, counts)
    taken = np.zeros(len(labels), dtype=bool)
    taken[_line(order, labels)] = place_in_class < np.repeat(quota, counts)
    return taken


def quotas(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Of every class its share of a total, rounded down; the largest remainders give one more until it is reached."""
    shares = counts * (total / int(counts.sum()))
    quota: NDArray[np.int64] = np.floor(shares).astype(np.int64)
    quota[np.argsort(quota - shares, kind="stable")[: total - int(quota.sum())]] += 1
    return quota
