"""Metrics: what they make of the final outputs y (n, k) and the targets t of all rows, with weights r of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from formulas import Formula, class_name
from formulas.losses import weighted_mean


@dataclass(frozen=True)
class Metric(Formula):
    """Base: ``value(y, t, r)``.

    targets: "matrix" (n, k), "labels" (n,), or "any". outputs: how many there must be; None is any number.
    """

    targets: ClassVar[str] = "matrix"
    outputs: ClassVar[int | None] = None

    def value(self, y, t, r=None):
        """That of a mean over rows; other metrics have their own."""
        return weighted_mean(self.rows(y, t), r)


class BinaryAccuracy(Metric):
    def rows(self, y, t):
        return ((y > 0.5) == (t > 0.5)).mean(axis=1)


class CategoricalAccuracy(Metric):
    def rows(self, y, t):
        return y.argmax(axis=1) == t.argmax(axis=1)


class SparseCategoricalAccuracy(Metric):
    targets = "labels"

    def rows(self, y, t):
        return y.argmax(axis=1) == np.asarray(t).reshape(-1)


class MeanSquaredError(Metric):
    def rows(self, y, t):
        return ((y - t) ** 2).mean(axis=1)


class MeanAbsoluteError(Metric):
    def rows(self, y, t):
        return np.abs(y - t).mean(axis=1)


class AUC(Metric):
    outputs = 1

    def value(self, y, t, r=None):
        positive = t[:, 0] > 0.5
        lead = y[positive] - y[~positive].T
        return float(((lead > 0.0) + 0.5 * (lead == 0.0)).mean())


# The rows.
METRICS = {
    "binary_accuracy": BinaryAccuracy(),
    "categorical_accuracy": CategoricalAccuracy(),
    "sparse_categorical_accuracy": SparseCategoricalAccuracy(),
    "mean_squared_error": MeanSquaredError(),
    "mean_absolute_error": MeanAbsoluteError(),
    "auc": AUC(),
}


def metric(name, y, t, r=None):
    """The value of a metric of no settings, by the name of its class in Keras's short form."""
    found = next(row for row in METRICS.values() if type(row).__name__ == class_name(name))
    return found.value(y, t, r)
