"""Split conformal prediction: from the errors of rows that a model has not seen to intervals of a given coverage.

Notation: n rows that the model has not seen, s_i the conformity score of row i, s_(k) the k-th smallest. An interval of
level p takes the margin s_(k) with k = ceil((n + 1) p). If these rows and a new one are exchangeable, the new one has a
score of at most s_(k), and so lies in its interval, with a probability in [p, p + 1 / (n + 1)] (without ties): Lei,
G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for regression", 2018. Knows numbers
alone, no models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEPT", "ConformityScores", "coverage", "rows_needed"]

# Scores that are kept at most. Of more rows these are evenly many, and a margin is the next larger one.
KEPT = 1000


@dataclass(frozen=True)
class ConformityScores:
    """The conformity scores of rows that a model has not seen.

    Attributes:
        rows: The number of rows, n.
        kept: Scores in ascending order: all of them, or ``KEPT`` of their order statistics with the largest one.
    """

    rows: int
    kept: tuple[float, ...]

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> ConformityScores:
        """Keeps the scores of rows, (n,), which must be finite."""
        ordered = np.sort(np.asarray(scores, np.float64))
        return cls(len(ordered), tuple(ordered[_ranks(len(ordered)) - 1].tolist()))

    def margin(self, level: float) -> float:
        """The score that a new row does not exceed with the probability ``level``, in (0, 1).

        Raises:
            ValueError: If there are too few rows for the level.
        """
        rank = _rank(self.rows, level)
        if rank > self.rows:
            raise ValueError(
                f"intervals of level {level:g} need {rows_needed(level)} rows that the model has not seen, got "
                f"{self.rows}"
            )
        return self.kept[int(np.searchsorted(_ranks(self.rows), rank))]


def rows_needed(level: float) -> int:
    """The least number of rows for intervals of a level, which is below 1."""
    share = _exact(level)
    return math.ceil(share / (1 - share))


def coverage(bounds: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """The share of the values, (n,), that lie within their lower and upper bounds, (n, 2)."""
    return float(np.mean((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])))


def _rank(n: int, level: float) -> int:
    return math.ceil((n + 1) * _exact(level))


def _exact(level: float) -> Fraction:
    """The level as it is written: 10 times 0.9 is 9, which it is not for the nearest float."""
    return Fraction(repr(float(level)))


def _ranks(n: int) -> NDArray[np.int64]:
    """The ranks of the scores that are kept of n, counted from 1; the last is n."""
    if n <= KEPT:
        return np.arange(1, n + 1)
    return (np.arange(1, KEPT + 1) * n + KEPT - 1) // KEPT
