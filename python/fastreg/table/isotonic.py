r"""Isotonic calibration: probabilities go through curves that never fall, one for each class.

A curve is the non-decreasing function of the smallest squared error for the classes of some rows, found by pooling
adjacent violators. With :math:`f_k` the curve of class k against the rest, and :math:`p_k` its probability,

.. math:: p'_k = \frac{f_k(p_k)}{\sum_j f_j(p_j)}

Two classes have the curve of the second one alone, and nothing is divided.

Sources: Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002;
Ayer, Brunk, Ewing, Reid and Silverman, "An empirical distribution function for sampling with incomplete information",
Annals of Mathematical Statistics 26, 1955.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.calibration import LEAST
from fastreg.table.checked import finite, members, typed

__all__ = ["Curve", "Isotonic", "pooled"]

# Passes that pool all violators at once before the rest is pooled one by one.
_PASSES = 16


@dataclass(frozen=True)
class Curve:
    """A function that is linear between its points, and constant beyond the first and the last one.

    Attributes:
        x: Where the points are, strictly ascending.
        y: The values there, which never fall, in [1e-7, 1 - 1e-7].
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def fit(cls, shares: NDArray[Any], truth: NDArray[Any], weights: NDArray[Any] | None = None) -> Curve:
        """The curve of some rows, by which no probability becomes 0 or 1.

        Two rows of the mean weight are added: one of the class at the smallest probability, and one of another class at
        the largest. So n rows of the class at the upper end, and no others, give (n + 1) / (n + 2) at most.

        Args:
            shares: The probability of the class, (n,).
            truth: 1 where the row is of the class, else 0, (n,).
            weights: The weights of the rows, of which some are not 0; None weighs all alike.
        """
        known = np.ones(len(shares), bool) if weights is None else weights > 0.0
        weight = np.ones(len(shares)) if weights is None else weights[known].astype(np.float64)
        x, group = np.unique(shares[known].astype(np.float64), return_inverse=True)
        mass, hits = (np.bincount(group, of_rows).astype(np.float64) for of_rows in (weight, weight * truth[known]))
        one = float(weight.mean())
        mass[0] += one
        mass[-1] += one
        hits[0] += one
        y = np.clip(pooled(hits / mass, mass), LEAST, 1.0 - LEAST)
        ends = np.ones(len(y), bool)  # points within a block say nothing
        ends[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])
        return cls(tuple(x[ends].tolist()), tuple(y[ends].tolist()))

    def __call__(self, shares: NDArray[Any]) -> NDArray[np.float64]:
        """The values for probabilities of any shape."""
        return np.asarray(np.interp(shares, self.x, self.y))

    def to_config(self) -> dict[str, Any]:
        """The points as JSON has them."""
        return {"x": list(self.x), "y": list(self.y)}

    @classmethod
    def from_config(cls, config: Any) -> Curve:
        """The curve of a file. Raises ValueError if it is none."""
        parts: Mapping[str, Any] = members(config, "isotonic", "x", "y")
        x, y = (
            tuple(finite(value, f"isotonic.{name}") for value in typed(parts.get(name), list, f"isotonic.{name}"))
            for name in ("x", "y")
        )
        if not x or len(x) != len(y):
            raise ValueError(f"isotonic must have as many x as y, and one at least, got {len(x)} and {len(y)}")
        if any(after <= before for before, after in pairwise(x)):
            raise ValueError("isotonic.x must ascend strictly")
        if y[0] < LEAST or y[-1] > 1.0 - LEAST or any(after < before for before, after in pairwise(y)):
            raise ValueError(f"isotonic.y must be within [{LEAST}, 1 - {LEAST}] and must not fall")
        return cls(x, y)


@dataclass(frozen=True)
class Isotonic:
    """The curve of the second of two classes, or of each class."""

    curves: tuple[Curve, ...]

    @classmethod
    def fit(cls, outputs: NDArray[Any], truth: NDArray[Any], weights: NDArray[Any] | None = None) -> Isotonic:
        """The curves for the rows of some outputs.

        Args:
            outputs: Probabilities for rows that the model was not trained on: of the second of two classes, (n, 1), or
                of each class, (n, k).
            truth: The index of the class of each row, (n,).
            weights: The weights of the rows; None weighs all alike.
        """
        count = outputs.shape[1]
        classes = (1,) if count == 1 else range(count)
        made = (Curve.fit(outputs[:, i], truth == k, weights) for i, k in enumerate(classes))
        return cls(tuple(made))

    def __call__(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        """The calibrated probabilities, of the shape of the outputs: in (0, 1), and several of a row have the sum 1."""
        found = np.stack([curve(outputs[:, k]) for k, curve in enumerate(self.curves)], axis=1)
        if len(self.curves) > 1:
            found = found / found.sum(axis=1, keepdims=True)
        return found.astype(np.float32)

    def to_config(self) -> list[dict[str, Any]]:
        """The curves as JSON has them."""
        return [curve.to_config() for curve in self.curves]

    @classmethod
    def from_config(cls, config: Any, outputs: int) -> Isotonic:
        """The curves of a file for so many outputs. Raises ValueError if they are none."""
        found = typed(config, list, "isotonic")
        if len(found) != outputs:
            raise ValueError(f"isotonic must have a curve for each of the {outputs} outputs, got {len(found)}")
        return cls(tuple(map(Curve.from_config, found)))


def pooled(y: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The non-decreasing values of the smallest weighted squared error: means of blocks of neighbours.

    Args:
        y: The values, (n,), n >= 1.
        weights: Their weights, (n,), > 0.
    """
    sums, mass, size = y * weights, weights.astype(np.float64), np.ones(len(y), np.int64)
    for _ in range(_PASSES):
        mean = sums / mass
        starts = np.flatnonzero(np.append(True, mean[1:] > mean[:-1]))
        if len(starts) == len(mean):
            break
        sums, mass, size = (np.add.reduceat(part, starts) for part in (sums, mass, size))
    blocks: list[list[float]] = []
    for block in zip(sums.tolist(), mass.tolist(), size.tolist(), strict=True):
        blocks.append(list(block))
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    means, sizes = [total / weight for total, weight, _ in blocks], [int(count) for _, _, count in blocks]
    return np.maximum.accumulate(np.repeat(means, sizes))
