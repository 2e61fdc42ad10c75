"""Scores of predictions that scikit-learn does not have by itself, and all scores of one competitor as a mapping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.9
_BINS = 15


def aligned(probabilities: Any, classes: Any, n_classes: int) -> NDArray[np.float64]:
    """Probabilities of all classes, which are 0 to n_classes - 1; one that the training rows did not have gets 0."""
    found = np.zeros((len(probabilities), n_classes))
    found[:, np.asarray(classes, dtype=np.int64)] = probabilities
    return found / found.sum(axis=1, keepdims=True)


def calibration_error(y: Any, probabilities: NDArray[np.float64]) -> float:
    """The expected calibration error: the mean over the rows of |share of hits - mean probability| within their bin.

    The probability is that of the most probable class, in 15 bins of equal width (Guo et al., "On calibration of modern
    neural networks", 2017).
    """
    top = probabilities.max(axis=1)
    hits = probabilities.argmax(axis=1) == np.asarray(y)
    bins = np.clip(np.ceil(top * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
    gaps = np.bincount(bins, hits, _BINS) - np.bincount(bins, top, _BINS)
    return float(np.abs(gaps).sum() / len(top))


def of_classes(y: Any, probabilities: NDArray[np.float64]) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, log_loss

    labels = np.arange(probabilities.shape[1])
    return {
        "score": float(accuracy_score(y, probabilities.argmax(axis=1))),
        "log_loss": float(log_loss(y, probabilities, labels=labels)),
        "ece": calibration_error(y, probabilities),
    }


def of_numbers(y: Any, predicted: Any) -> dict[str, float]:
    from sklearn.metrics import root_mean_squared_error

    return {"score": float(root_mean_squared_error(y, predicted))}


def of_intervals(y: Any, bounds: Any) -> dict[str, float]:
    lower, upper = np.asarray(bounds, dtype=np.float64).T
    return {"coverage": float(np.mean((lower <= y) & (y <= upper))), "width": float(np.mean(upper - lower))}


def margin(errors: Any, level: float = LEVEL) -> float:
    """The ceil((n + 1) level)-th smallest of n errors, the margin of split conformal prediction; inf without one."""
    n = len(errors)
    rank = math.ceil((n + 1) * level - 1e-9)  # 0.9 is not exact in binary
    return float(np.sort(errors)[rank - 1]) if rank <= n else math.inf
