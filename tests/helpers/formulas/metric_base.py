"""The base of the metrics, which are functions of outputs y (n, k), targets t and weights r of all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from formulas import Formula
from formulas.losses import weighted_mean

EPSILON = 1e-7  # Keras's


def one_hot(t, k):
    """Targets as a matrix; labels become rows with a 1."""
    return np.eye(k)[np.asarray(t)] if np.ndim(t) == 1 else np.asarray(t, np.float64)


def ones_of(y, r):
    return np.ones(len(y)) if r is None else np.asarray(r, np.float64)


def share(part, whole):
    return float(part / whole) if whole > 0 else 0.0


@dataclass(frozen=True)
class Metric(Formula):
    """Base: ``value(y, t, r)``.

    targets: "matrix" (n, k), "labels" (n,), or "any". outputs: how many there must be; None is any number;
    least_outputs: how many at least.
    """

    targets: ClassVar[str] = "matrix"
    outputs: ClassVar[int | None] = None
    least_outputs: ClassVar[int] = 1

    def value(self, y, t, r=None):
        """That of a mean over rows; other metrics have their own."""
        return weighted_mean(self.rows(np.asarray(y, np.float64), t), r)
