r"""Calibration of probabilities by one temperature: the probabilities of classes become those of their logits over T.

.. math:: p'_k = \frac{p_k^{1/T}}{\sum_j p_j^{1/T}}

Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017. Certain targets are
smoothed as by Platt, "Probabilistic outputs for support vector machines", 1999: few rows that are all right do not make
it certain.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["HIGHEST", "LEAST", "LOWEST", "fit_temperature", "tempered"]

# Probabilities below this count as this.
LEAST = 1e-7
# The range of temperatures.
LOWEST, HIGHEST = 0.05, 20.0
_STEPS = 60
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def tempered(outputs: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """The outputs at a temperature: a probability of the second of two classes, (n, 1), or of each class, (n, k)."""
    if temperature == 1.0:
        return outputs
    logits = _logits(outputs) / temperature
    return _softmax(logits).astype(np.float32) if outputs.shape[1] > 1 else _sigmoid(logits).astype(np.float32)


def fit_temperature(outputs: NDArray[Any], truth: NDArray[Any], weights: NDArray[Any] | None = None) -> float:
    """The temperature of the smallest log-loss, by a golden-section search; the loss is convex in 1 / T.

    A class that is certain counts as one of probability 1 - 1 / (n + 2), and the others share the rest: n rows do not
    tell of errors that are rarer. Weighted rows count as n = (sum of w)^2 / (sum of w^2).

    Args:
        outputs: Probabilities for rows that the model was not trained on, as for :func:`tempered`.
        truth: The index of the class of each row, or soft targets: the probability of the second of two classes, (n,),
            or of each class, (n, k), as floats.
        weights: The weights of the rows; None weighs all alike.
    """
    logits, is_soft = _logits(outputs), truth.dtype.kind == "f"
    n = len(truth) if weights is None else float(weights.sum()) ** 2 / float(np.square(weights).sum())
    classes = max(outputs.shape[1], 2)
    # With the share e, targets y become (1 - e) y + e / k.
    smooth = np.full(len(truth), classes / ((classes - 1.0) * (n + 2.0)))
    if is_soft:
        smooth *= ((truth == 0.0) | (truth == 1.0)).reshape(len(truth), -1).all(axis=1)

    def loss(log_inverse: float) -> float:
        scaled = logits * math.exp(log_inverse)
        if outputs.shape[1] == 1 and is_soft:
            shares = (1.0 - smooth) * truth + 0.5 * smooth
            of_rows = np.logaddexp(0.0, scaled[:, 0]) - shares * scaled[:, 0]
            return float(np.average(of_rows, weights=weights))
        if outputs.shape[1] == 1:
            signed = np.where(truth == 1, -scaled[:, 0], scaled[:, 0])
            return float(np.average(np.logaddexp(0.0, signed) - 0.5 * smooth * signed, weights=weights))
        top = scaled.max(axis=1)
        own = np.sum(truth * scaled, axis=1) if is_soft else scaled[np.arange(len(truth)), truth]
        total = np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top
        own = (1.0 - smooth) * own + smooth * scaled.mean(axis=1)
        return float(np.average(total - own, weights=weights))

    low, high = -math.log(HIGHEST), -math.log(LOWEST)
    for _ in range(_STEPS):
        first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, second) if loss(first) <= loss(second) else (first, high)
    return math.exp(-0.5 * (low + high))


def _logits(outputs: NDArray[Any]) -> NDArray[np.float64]:
    shares = np.clip(outputs.astype(np.float64), LEAST, 1.0 - LEAST)
    return np.asarray(np.log(shares) - np.log1p(-shares) if outputs.shape[1] == 1 else np.log(shares))


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-z)))


def _softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
