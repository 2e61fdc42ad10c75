"""Further rows like those of a table: cells of two rows are mixed, and numbers are jittered. They have no targets.

Rows are described by where their cells come from, so that they can be made in any form of table: as codes, and as the
frame that a model of another library takes.

The method follows MUNGE (Bucilua, Caruana and Niculescu-Mizil, "Model compression", KDD 2006): a row takes each cell
from a near row with some probability, and numbers lie around the one that was taken, the wider the farther both rows
are apart. Here the near row is the nearest of some rows that are drawn, not of all, so that the work grows with the
number of rows alone. The rows of small tables lie far apart; there jitter is wider, and a share of the rows has a drawn
row in place of a near one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastreg.table.encoder import Codes

__all__ = ["SyntheticRows"]

# Rows of which the nearest is taken, and the probability that a cell is taken from the other row.
_DRAWN, _TAKEN = 64, 0.3
# The jitter of a number, a standard deviation as a share of the distance of both numbers, and the share of rows that
# are mixed with a drawn row: below a number of rows, and from there on.
_SMALL = 5000
_JITTER, _FAR = (0.5, 0.05), (0.25, 0.0)
# Rows whose distances are computed at once.
_BLOCK = 4096


@dataclass(frozen=True)
class SyntheticRows:
    """Rows that are made of those of a table.

    Attributes:
        base: The row that each begins as, (n,).
        sources: The row that each cell comes from, (n, columns).
        codes: The rows as codes, (n, columns), jittered numbers included.
        jittered: Which cells are jittered numbers, (n, columns); their values are those of ``codes``.
    """

    base: NDArray[np.int64]
    sources: NDArray[np.int64]
    codes: Codes
    jittered: NDArray[np.bool_]

    @classmethod
    def of(
        cls, codes: Codes, kinds: Sequence[str], jitters: NDArray[np.bool_], count: int, rng: np.random.Generator
    ) -> SyntheticRows:
        """Makes rows. What is missing stays missing, and whole numbers stay whole.

        Args:
            codes: The rows of the table.
            kinds: The kind of each column.
            jitters: Which columns are jittered.
            count: The number of rows to make.
            rng: What everything is drawn from.
        """
        n, columns = codes.shape
        base = np.concatenate([rng.permutation(n) for _ in range(-(-count // n))])[:count]
        other = _others(_places(codes, kinds), kinds, base, rng)
        taken = rng.random((count, columns)) < _TAKEN
        sources = np.where(taken, other[:, None], base[:, None])
        place = np.arange(columns)
        made = codes[sources, place]
        away = np.abs(codes[base] - codes[other])
        noise = rng.normal(0.0, _JITTER[n >= _SMALL], (count, columns)) * away
        jittered = jitters & np.isfinite(noise) & (noise != 0.0)
        made[jittered] += noise[jittered]
        whole = jitters & np.array([_is_whole(codes[:, j]) for j in range(columns)], np.bool_)
        made[:, whole] = np.round(made[:, whole])
        low, high = _range(codes)
        made = np.where(jittered, np.clip(made, low, high), made)
        return cls(base, sources, made, jittered)


    def of_table(self, numbers: NDArray[np.int64]) -> SyntheticRows:
        """The same, where the rows that they are made of have other numbers."""
        return SyntheticRows(numbers[self.base], numbers[self.sources], self.codes, self.jittered)


def _is_whole(column: NDArray[np.float64]) -> bool:
    known = column[~np.isnan(column)]
    return bool(np.all(known == np.round(known)))


def _range(codes: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the largest number of each column; infinite where all are missing."""
    gaps = np.isnan(codes)
    return np.where(gaps, np.inf, codes).min(axis=0), np.where(gaps, -np.inf, codes).max(axis=0)


def _places(codes: Codes, kinds: Sequence[str]) -> NDArray[np.float32]:
    """Where rows lie, for distances: numbers and dates by their rank from 0 to 1, and -1 for what is missing."""
    places = np.empty(codes.shape, np.float32)
    for j, kind in enumerate(kinds):
        column = codes[:, j]
        known = ~np.isnan(column)
        found = column.copy()
        if kind in ("numeric", "date") and known.any():
            values, index = np.unique(column[known], return_inverse=True)
            counts = np.bincount(index)
            middle = np.cumsum(counts) - 0.5 * counts
            found[known] = (middle / middle[-1] if len(values) > 1 else middle * 0.0)[index]
        found[~known] = -1.0
        places[:, j] = found
    return places


def _others(
    places: NDArray[np.float32], kinds: Sequence[str], base: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The row with which each row is mixed: the nearest of some that are drawn, or a drawn one."""
    n, count = len(places), len(base)
    numbers = np.array([kind in ("numeric", "date") for kind in kinds], np.bool_)
    groups = np.array([kind == "categorical" for kind in kinds], np.bool_)
    far = rng.random(count) < _FAR[n >= _SMALL]
    other = np.empty(count, np.int64)
    for begin in range(0, count, _BLOCK):
        own = base[begin : begin + _BLOCK]
        drawn = (own[:, None] + rng.integers(1, max(n, 2), (len(own), _DRAWN))) % n  # never the row itself
        away = np.zeros(drawn.shape, np.float32)
        for j in np.flatnonzero(numbers):
            away += (places[own, j][:, None] - places[drawn, j]) ** 2
        for j in np.flatnonzero(groups):
            away += places[own, j][:, None] != places[drawn, j]
        nearest = drawn[np.arange(len(own)), np.argmin(away, axis=1)]
        other[begin : begin + _BLOCK] = np.where(far[begin : begin + _BLOCK], drawn[:, 0], nearest)
    return other
