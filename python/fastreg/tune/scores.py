"""Scores of predictions on rows whose target is known: what ``fastreg tune`` prints and reports.

All are computed by :mod:`fastreg.metrics`. A row whose class the training rows did not have counts as wrong wherever
classes are compared, and is left out where probabilities are, since no probability was given to its class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import metrics

__all__ = ["ClassScores", "Scores", "probabilities", "score_classes", "score_numbers"]

# With more classes there is no confusion matrix, and no area under a curve for each class.
_MOST_CLASSES = 500


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class: how many rows have it, and how well it is found."""

    label: str
    rows: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Scores:
    """Scores on some rows.

    Attributes:
        rows: The number of rows that were scored.
        values: The scores by name, the one that is named first is the headline. NaN where a score is not defined.
        classes: The scores of each class; empty for numbers.
        confusion: Rows by actual class, (classes, classes), a column for each predicted class; None for numbers and for
            very many classes. If there are rows of unseen classes, they have the last row.
        unseen: How many of the rows have a class that no training row has.
    """

    rows: int
    values: Mapping[str, float]
    classes: tuple[ClassScores, ...] = ()
    confusion: NDArray[np.int64] | None = None
    unseen: int = 0

    @property
    def headline(self) -> tuple[str, float]:
        """The name and the value of the first score."""
        return next(iter(self.values.items()))


def probabilities(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of each class, (rows, classes), from the outputs of a network."""
    if outputs.shape[1] > 1:
        return outputs
    return np.column_stack([1.0 - outputs[:, 0], outputs[:, 0]])


def score_classes(
    labels: tuple[str, ...], shares: NDArray[np.float32], truth: NDArray[Any], weights: NDArray[Any] | None = None
) -> Scores:
    """Scores of probabilities.

    Args:
        labels: The names of the classes.
        shares: The probability of each class, (rows, classes).
        truth: The index of the class of each row; -1 for a class that is none of ``labels``.
        weights: Weights of the rows; None weighs all alike.

    Raises:
        ValueError: If there are no rows.
    """
    if len(truth) == 0:
        raise ValueError("no row to score has a known target")
    seen, k = truth >= 0, len(labels)
    n_unseen = int((~seen).sum())
    actual = np.where(seen, truth, k).astype(np.int32)
    # Unseen classes share a last one, which is never predicted.
    padded = np.column_stack([shares, np.full(len(shares), -1.0, np.float32)]) if n_unseen else shares
    predicted = np.argmax(shares, axis=1)
    found, mean_f1 = _classes(labels, actual, predicted, weights)
    values = {
        "accuracy": metrics.SparseCategoricalAccuracy()(actual, padded, weights),
        "balanced accuracy": metrics.BalancedAccuracy()(actual, padded, weights),
        "F1 (mean of the classes)": mean_f1,
        **_of_probabilities(shares[seen], truth[seen], None if weights is None else weights[seen]),
    }
    confusion = None
    if k <= _MOST_CLASSES:
        confusion = np.bincount(actual * k + predicted, minlength=(k + (n_unseen > 0)) * k).reshape(-1, k)
    return Scores(len(truth), {name: float(value) for name, value in values.items()}, found, confusion, n_unseen)


def score_numbers(
    scale: float, outputs: NDArray[np.float32], truth: NDArray[Any], weights: NDArray[Any] | None = None
) -> Scores:
    """Scores of standardised numbers, in the unit of the target.

    Args:
        scale: The standard deviation by which the target was divided.
        outputs: Predictions, (rows,).
        truth: Targets, (rows,).
        weights: Weights of the rows; None weighs all alike.

    Raises:
        ValueError: If there are no rows.
    """
    if len(truth) == 0:
        raise ValueError("no row to score has a known target")
    values = {
        "R²": metrics.R2Score()(truth, outputs, weights),
        "RMSE": metrics.RootMeanSquaredError()(truth, outputs, weights) * scale,
        "MAE": metrics.MeanAbsoluteError()(truth, outputs, weights) * scale,
    }
    return Scores(len(truth), {name: float(value) for name, value in values.items()})


def _of_probabilities(shares: NDArray[np.float32], truth: NDArray[Any], weights: NDArray[Any] | None) -> dict[str, Any]:
    """The area under the ROC, for several classes the mean over those with rows against the rest, and the log-loss."""
    if len(truth) == 0:
        return {"ROC-AUC": math.nan, "log-loss": math.nan}
    k = shares.shape[1]
    columns = [1] if k == 2 else np.unique(truth) if k <= _MOST_CLASSES else []
    areas = [metrics.AUC()((truth == j).astype(np.float32), shares[:, j], weights) for j in columns]
    return {
        "ROC-AUC": float(np.mean(areas)) if len(areas) else math.nan,
        "log-loss": metrics.SparseCategoricalCrossentropy()(truth.astype(np.int32), shares, weights),
    }


def _classes(
    labels: tuple[str, ...], actual: NDArray[Any], predicted: NDArray[Any], weights: NDArray[Any] | None
) -> tuple[tuple[ClassScores, ...], float]:
    """The scores of each class, and the mean F1 of those that occur."""
    k = len(labels) + 1
    right = np.bincount(actual[actual == predicted], _picked(weights, actual == predicted), k)
    wanted, found = np.bincount(actual, weights, k), np.bincount(predicted, weights, k)
    with np.errstate(invalid="ignore"):
        precision, recall, f1 = right / found, right / wanted, 2.0 * right / (wanted + found)
    rows = np.bincount(actual, minlength=k)
    entries = tuple(
        ClassScores(label, int(rows[j]), *(float(np.nan_to_num(part[j])) for part in (precision, recall, f1)))
        for j, label in enumerate(labels)
    )
    occurs = (wanted + found) > 0
    return entries, float(np.mean(f1[occurs])) if occurs.any() else math.nan


def _picked(weights: NDArray[Any] | None, rows: NDArray[np.bool_]) -> NDArray[Any] | None:
    return None if weights is None else weights[rows]
