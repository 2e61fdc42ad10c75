"""Chooses how probabilities are calibrated: by one temperature, or by isotonic curves where rows allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.calibration import LEAST, fit_temperature, tempered
from fastreg.table.isotonic import Isotonic

__all__ = ["LEAST_ROWS", "MOST_CLASSES", "Calibration", "calibration"]

# Isotonic curves need so many rows of the rarest class, and take so many classes at most.
LEAST_ROWS, MOST_CLASSES = 1000, 32
# The folds that compare, the seed of their draw, and how many standard errors are more than noise. So many rows are
# compared at most, drawn by groups: more take seconds, and the difference is clear by then.
_FOLDS, _SEED, _ERRORS, _COMPARED = 5, 0, 2.0, 30_000


@dataclass(frozen=True)
class Calibration:
    """How probabilities are calibrated.

    Attributes:
        temperature: The temperature; 1 where there are curves, and for numbers.
        isotonic: The curves; None for the temperature alone.
        reason: Which of them was chosen and why, in words; empty for numbers.
    """

    temperature: float = 1.0
    isotonic: Isotonic | None = None
    reason: str = ""


def calibration(
    outputs: NDArray[Any],
    truth: NDArray[Any],
    weights: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
) -> Calibration:
    """The calibration of a model, by rows that it was not trained on.

    It is isotonic if four things hold: at least 1,000 of these rows are of the rarest class, there are 32 classes at
    most and five groups at least, and the log-loss of a five-fold cross-validation on these rows is smaller than with
    a temperature by more than two standard errors of the difference. Soft targets always get a temperature.

    Args:
        outputs: Probabilities: of the second of two classes, (n, 1), or of each class, (n, k).
        truth: The index of the class of each row, or soft targets as for ``fit_temperature``.
        weights: The weights of the rows; None weighs all alike.
        groups: The group of each row, an integer: a group is in one fold, and counts as one in the standard error. None
            makes each row a group of its own.
    """
    temperature = fit_temperature(outputs, truth, weights)
    heated = f"temperature {temperature:.3g}"
    if truth.dtype.kind == "f":
        return Calibration(temperature, None, f"{heated}; isotonic curves need classes, not probabilities of them")
    count = max(outputs.shape[1], 2)
    rarest = int(np.bincount(truth if weights is None else truth[weights > 0.0], minlength=count).min())
    if rarest < LEAST_ROWS:
        why = f"isotonic curves need {LEAST_ROWS:,} judged rows of the rarest class, it has {rarest:,}"
        return Calibration(temperature, None, f"{heated}; {why}")
    if count > MOST_CLASSES:
        return Calibration(temperature, None, f"{heated}; isotonic curves take {MOST_CLASSES} classes, not {count}")
    if weights is not None:
        counts = weights > 0.0
        outputs, truth, weights = outputs[counts], truth[counts], weights[counts]
        groups = None if groups is None else groups[counts]
    if groups is not None and (several := len(np.unique(groups))) < _FOLDS:
        why = f"isotonic curves need {_FOLDS} groups of judged rows, there are {several}"
        return Calibration(temperature, None, f"{heated}; {why}")
    by_temperature, by_curves, error = _compared(outputs, truth, weights, groups)
    told = f"cross-validated log-loss {by_curves:.4f} by isotonic curves, {by_temperature:.4f} by temperature"
    told += f", standard error of the difference {error:.1g}"
    if by_temperature - by_curves > _ERRORS * error:
        return Calibration(1.0, Isotonic.fit(outputs, truth, weights), f"isotonic; {told}")
    return Calibration(temperature, None, f"{heated}; {told}")


def _compared(
    outputs: NDArray[Any], truth: NDArray[Any], weights: NDArray[Any] | None, groups: NDArray[Any] | None
) -> tuple[float, float, float]:
    """The log-losses with a temperature and with curves for rows that neither has seen, and the standard error."""
    weights = np.ones(len(truth)) if weights is None else weights
    rows, units, folds = _drawn(len(truth), groups)
    outputs, truth, weight = outputs[rows], truth[rows], weights[rows].astype(np.float64)
    losses = np.zeros((2, len(rows)))
    for fold in range(_FOLDS):
        held = folds == fold
        seen = ~held
        given = outputs[seen], truth[seen], weight[seen]
        losses[0, held] = _losses(tempered(outputs[held], fit_temperature(*given)), truth[held])
        losses[1, held] = _losses(Isotonic.fit(*given)(outputs[held]), truth[held])
    first, second = (float(np.average(of_rows, weights=weight)) for of_rows in losses)
    apart = np.bincount(units, weight * (losses[0] - losses[1] - (first - second)))
    few = len(apart) / (len(apart) - 1)  # corrects the variance of a mean of few groups
    return first, second, float(np.sqrt(few * np.sum(apart**2)) / weight.sum())


def _drawn(n: int, groups: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The rows that are compared, the group of each, counted from 0, and its fold."""
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.random.default_rng(_SEED).permutation(int(units.max()) + 1)
    rows = np.flatnonzero(order[units] < max(_FOLDS, len(order) * _COMPARED // max(n, _COMPARED)))
    chosen = np.unique(units[rows], return_inverse=True)[1]
    return rows, chosen, order[units[rows]] % _FOLDS


def _losses(outputs: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
    """The log-loss of each row."""
    shares = outputs.astype(np.float64)
    own = np.where(truth == 1, shares[:, 0], 1.0 - shares[:, 0]) if shares.shape[1] == 1 else (
        shares[np.arange(len(truth)), truth]
    )
    return np.asarray(-np.log(np.maximum(own, LEAST)))
