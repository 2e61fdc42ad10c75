"""Metrics as functions of the final outputs y (n, k) and the targets t of all rows, with weights r of the rows."""

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


@dataclass(frozen=True)
class F1Score(Metric):
    targets = "any"
    average: str | None = None
    threshold: float | None = None

    @property
    def outputs(self):
        return 1 if self.average is None else None

    def value(self, y, t, r=None):
        columns = np.arange(y.shape[1])
        actual = np.asarray(t).reshape(-1, 1) == columns if np.ndim(t) == 1 else t > 0.5
        if self.threshold is not None or len(columns) == 1:
            predicted = y > (self.threshold or 0.5)
        else:
            predicted = y.argmax(axis=1)[:, None] == columns
        if self.average == "micro":
            return _f1(predicted.ravel(), actual.ravel())
        scores = [_f1(predicted[:, j], actual[:, j]) for j in columns]
        return weighted_mean(scores, actual.sum(axis=0) if self.average == "weighted" else None)


def _f1(predicted, actual):
    if not (predicted & actual).any():
        return 0.0
    precision, recall = actual[predicted].mean(), predicted[actual].mean()
    return float(2.0 * precision * recall / (precision + recall))


# The rows.
METRICS = {
    "binary_accuracy": BinaryAccuracy(),
    "categorical_accuracy": CategoricalAccuracy(),
    "sparse_categorical_accuracy": SparseCategoricalAccuracy(),
    "mean_squared_error": MeanSquaredError(),
    "mean_absolute_error": MeanAbsoluteError(),
    "auc": AUC(),
    # Several outputs first: the test of every option takes the first row of a class, and averages differ there only.
    "micro f1": F1Score("micro"),
    "macro f1": F1Score("macro"),
    "weighted f1": F1Score("weighted"),
    "macro f1 of a threshold": F1Score("macro", 0.25),
    "f1_score": F1Score(),
    "f1 of a low threshold": F1Score(threshold=0.25),
}


def metric(name, y, t, r=None):
    """The value of a metric of no settings, by the name of its class in Keras's short form."""
    found = next(row for row in METRICS.values() if type(row).__name__ == class_name(name))
    return found.value(y, t, r)
