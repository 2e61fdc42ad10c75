"""Intervals around the predictions of a number, as wide as the errors of rows that the model has not seen.

The errors are divided by the scale of their row, where the model tells how far targets scatter; else it is 1.
Everything is in the unit of standardised targets. The rows count alike, whatever their weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import Range, check_real
from fastreg.internal.conformal import KEPT, ConformityScores, coverage, rows_needed
from fastreg.table.checked import finite, members, typed, whole
from fastreg.table.target import Target

__all__ = ["QUANTILES", "IntervalScores", "Intervals", "check_level", "check_rows", "intervals_of", "scale_of"]

# The quantiles that tell how far the targets of a row scatter.
QUANTILES = 3
# The least scale of a row.
_LEAST_SCALE = 1e-3

_HIGHEST = 0.999999
_LEVEL = Range(f"be in (0, {_HIGHEST}]", 0, _HIGHEST, "(]")
# A score of a file at most, so that bounds are finite.
_LARGEST = 1e38


@dataclass(frozen=True)
class Intervals:
    """What makes intervals of predictions.

    Attributes:
        level: The share of new rows that the intervals are to contain, if no other level is asked for.
        scores: The errors of rows that the model has not seen, without their signs, divided by the scale of the row.
        scaled: Whether that is the scale of the model, and not 1.
    """

    level: float
    scores: ConformityScores
    scaled: bool = False

    @classmethod
    def of(
        cls, level: float, outputs: NDArray[np.float32], scale: NDArray[np.float64], truth: NDArray[Any]
    ) -> Intervals:
        """Intervals by the errors of some rows: scaled if their mean width is smaller then, else all of one width.

        Args:
            level: The level, in (0, 0.999999].
            outputs: Predictions for rows that the model has not seen, (n, 1).
            scale: The scale of each of these rows, (n,).
            truth: Their targets, (n,).

        Raises:
            ValueError: If there are too few rows for the level.
        """
        errors = np.abs(truth.astype(np.float64) - outputs[:, 0])
        if not (errors / scale <= _LARGEST).all():
            row = int(np.argmin(errors / scale <= _LARGEST))
            raise ValueError(f"intervals: errors must be numbers below 1e38 standard deviations, got one in row {row}")
        plain, scaled = cls(level, ConformityScores.of(errors)), cls(level, ConformityScores.of(errors / scale), True)
        narrower = scaled.scores.margin(level) * float(np.mean(scale)) < plain.scores.margin(level)
        return scaled if narrower else plain

    def bounds(
        self, outputs: NDArray[np.float32], scale: NDArray[np.float64], level: float
    ) -> NDArray[np.float64]:
        """The lower and the upper bound of each prediction, (n, 2).

        Raises:
            ValueError: If there were too few rows for the level.
        """
        margin = self.scores.margin(level) * (scale if self.scaled else np.ones_like(scale))
        centre = outputs[:, 0].astype(np.float64)
        return np.column_stack([centre - margin, centre + margin])

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        config = {"level": self.level, "rows": self.scores.rows, "scores": list(self.scores.kept)}
        return config | ({"scaled": True} if self.scaled else {})

    @classmethod
    def from_config(cls, config: Any) -> Intervals:
        """The intervals of a JSON form. Raises ValueError if it is none."""
        config = members(config, "intervals", "level", "rows", "scores", "scaled")
        level = finite(config.get("level"), "level of intervals")
        if not _LEVEL.holds(level):
            raise ValueError(f"level of intervals must {_LEVEL.words}, got {level!r}")
        rows = whole(config.get("rows"), "rows of intervals", rows_needed(level), 2**53)
        scores = [finite(score, "a score", _LARGEST) for score in typed(config.get("scores"), list, "scores")]
        if len(scores) != min(rows, KEPT):
            raise ValueError(f"scores of {rows} rows must be {min(rows, KEPT)}, got {len(scores)}")
        if scores[0] < 0.0 or any(a > b for a, b in pairwise(scores)):
            raise ValueError("scores must be >= 0 and in ascending order")
        return cls(level, ConformityScores(rows, tuple(scores)), typed(config.get("scaled", False), bool, "scaled"))


@dataclass(frozen=True)
class IntervalScores:
    """How good intervals are on rows that were held back, each half by the errors of the other half.

    Attributes:
        level: The level.
        coverage: The share of the rows within their intervals.
        width: The mean width.
    """

    level: float
    coverage: float
    width: float

    @classmethod
    def of(
        cls,
        level: float,
        outputs: NDArray[np.float32],
        scale: NDArray[np.float64],
        truth: NDArray[Any],
        unit: float,
        seed: int,
    ) -> IntervalScores | None:
        """The scores on some rows, None if they are too few to be halved.

        Args:
            level: The level.
            outputs: Predictions, (n, 1).
            scale: The scale of each row, (n,).
            truth: Targets, (n,).
            unit: The size of the unit of all these in the unit of the target.
            seed: The seed of the halves.
        """
        n = len(truth)
        if n // 2 < rows_needed(level):
            return None
        order = np.random.default_rng(seed).permutation(n)
        halves = order[: n // 2], order[n // 2 :]
        bounds = np.empty((n, 2))
        for seen, judged in (halves, halves[::-1]):
            found = Intervals.of(level, outputs[seen], scale[seen], truth[seen])
            bounds[judged] = found.bounds(outputs[judged], scale[judged], level)
        width = float(np.mean(bounds[:, 1] - bounds[:, 0])) * unit
        return cls(level, coverage(bounds, truth.astype(np.float64)), width)


def scale_of(quantiles: NDArray[np.float32]) -> NDArray[np.float64]:
    """The scale of each row by the quantiles of its target, (n, QUANTILES): half the distance of the outer two."""
    distance = quantiles[:, -1].astype(np.float64) - quantiles[:, 0]
    return np.maximum(np.abs(distance) / 2.0, _LEAST_SCALE)


def intervals_of(config: Any, target: Target) -> Intervals | None:
    """The intervals of a model file, None if it has none. Raises ValueError if they are damaged, or of classes."""
    if config is None:
        return None
    if target.labels is not None:
        raise ValueError("a target of classes cannot have intervals")
    return Intervals.from_config(config)


def check_level(owner: str, name: str, level: Any) -> float:
    """The level of intervals. Raises ValueError or TypeError unless it is a number in (0, 0.999999]."""
    return check_real(owner, name, level, _LEVEL)


def check_rows(owner: str, level: float, rows: int) -> None:
    """Raises ValueError if intervals of a level need more rows than are held back."""
    needed = rows_needed(level)
    if rows < needed:
        raise ValueError(
            f"{owner}: intervals of level {level:g} need at least {needed} rows that are held back, got {rows}"
        )
